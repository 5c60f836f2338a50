"""Films, label metrics and basin verdicts for TD-MPC2 and TD-MPC-Glass agents.

    load: a checkpoint or a trace, to work with in a notebook.
    GlassvizError: a mistake that the user can mend, told in one sentence.

The library's rooms are imported by name (`from glassviz.trace import Trace`); importing the
package itself loads nothing that takes time.
"""

from typing import TYPE_CHECKING, Any

from glassviz.errors import GlassvizError

if TYPE_CHECKING:
    from glassviz.notebook.load import load

__version__ = "0.1.0"

__all__ = ["GlassvizError", "__version__", "load"]


def __getattr__(name: str) -> Any:
    if name != "load":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from glassviz.notebook.load import load

    return load
