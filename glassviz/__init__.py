"""Films, label metrics and basin verdicts for TD-MPC2 and TD-MPC-Glass agents.

    load: open a checkpoint or a trace in a notebook.
    GlassvizError: an error that the user can fix, stated in one sentence.

Import everything else from its module (`from glassviz.trace import Trace`). Importing the package
itself is fast: it loads nothing heavy.
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
