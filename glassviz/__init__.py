"""Films, label metrics and basin verdicts for TD-MPC2 and TD-MPC-Glass agents.

The names below are the public interface. They are imported when they are first used, so that
`import glassviz` is fast.

In a notebook:
    load: open a checkpoint or a trace; the result displays itself, and its methods roll out, film,
        assess, graph and map.

In a program:
    load_checkpoint, save_checkpoint, convert_checkpoint: checkpoint files.
    Unsaid: what a checkpoint of others does not say, such as its task.
    RolloutOptions: how checkpoints are rolled out.
    find_runs: runs with their traces, recorded where they are missing.
    Trace: a recorded roll-out, with `load` and `save`.
    assess_runs, compare_runs: gaits, labels and basins of runs, and their comparison.
    evaluate_checkpoints: returns on fresh episodes.
    fit_labels: labels for agents without Glass.
    film, FilmOptions: films of traces.
    graph_runs, map_runs: transition graphs and latent maps.
    compose_report, write_html: the report.

Errors:
    GlassvizError: an error that the user can fix, stated in one sentence.
    UsageError: an invalid call; a `GlassvizError`.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from glassviz.errors import GlassvizError, UsageError

if TYPE_CHECKING:
    from glassviz.agents.config import Unsaid
    from glassviz.checkpoints import convert as convert_checkpoint
    from glassviz.checkpoints import load as load_checkpoint
    from glassviz.checkpoints import save as save_checkpoint
    from glassviz.compare.compare import compare as compare_runs
    from glassviz.compare.fit import fit_all as fit_labels
    from glassviz.compare.graphs import graph_all as graph_runs
    from glassviz.maps.maps import map_all as map_runs
    from glassviz.notebook import load
    from glassviz.report.compose import compose as compose_report
    from glassviz.report.html import write_html
    from glassviz.rollout.evaluate import reevaluate as evaluate_checkpoints
    from glassviz.rollout.run import assess_all as assess_runs
    from glassviz.rollout.traces import RolloutOptions, find_runs
    from glassviz.trace import Trace
    from glassviz.video.film import FilmOptions, film

__version__ = "0.1.0"

__all__ = [
    "FilmOptions",
    "GlassvizError",
    "RolloutOptions",
    "Trace",
    "Unsaid",
    "UsageError",
    "__version__",
    "assess_runs",
    "compare_runs",
    "compose_report",
    "convert_checkpoint",
    "evaluate_checkpoints",
    "film",
    "find_runs",
    "fit_labels",
    "graph_runs",
    "load",
    "load_checkpoint",
    "map_runs",
    "save_checkpoint",
    "write_html",
]

_HOME = {
    "FilmOptions": "video.film.FilmOptions",
    "RolloutOptions": "rollout.traces.RolloutOptions",
    "Trace": "trace.Trace",
    "Unsaid": "agents.config.Unsaid",
    "assess_runs": "rollout.run.assess_all",
    "compare_runs": "compare.compare.compare",
    "compose_report": "report.compose.compose",
    "convert_checkpoint": "checkpoints.convert",
    "evaluate_checkpoints": "rollout.evaluate.reevaluate",
    "film": "video.film.film",
    "find_runs": "rollout.traces.find_runs",
    "fit_labels": "compare.fit.fit_all",
    "graph_runs": "compare.graphs.graph_all",
    "load": "notebook.load",
    "load_checkpoint": "checkpoints.load",
    "map_runs": "maps.maps.map_all",
    "save_checkpoint": "checkpoints.save",
    "write_html": "report.html.write_html",
}
"""Where each name is defined, relative to this package."""


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from glassviz.environment import check_jax, check_variables, prepare_environment
    from glassviz.video.opengl import prefer_backend

    module, _, attribute = _HOME[name].rpartition(".")
    # JAX and MuJoCo read their environment when they are imported, which is next.
    prepare_environment()
    check_variables()
    check_jax()
    if module not in ("checkpoints", "trace"):
        prefer_backend()
    found = getattr(import_module(f"{__name__}.{module}"), attribute)
    globals()[name] = found
    return found


def __dir__() -> list[str]:
    return __all__
