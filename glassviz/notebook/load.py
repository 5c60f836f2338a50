"""What a user names, opened."""

from contextlib import suppress
from os import PathLike
from pathlib import Path

from glassviz.errors import GlassvizError, UsageError
from glassviz.notebook.rollout import Rollout
from glassviz.notebook.run import Run
from glassviz.runtime import prepare_environment
from glassviz.targets import TRACE_SUFFIX, NoTarget, find_targets


def load(path: str | PathLike[str]) -> Run | Rollout:
    """Open a checkpoint or a trace.

    Args:
        path: a native checkpoint (.safetensors), a published one (.pkl), a folder that holds one
            run, or a trace (.npz). Reading a file runs no code of its own.

    Returns:
        A `Run`; a `Rollout` for a trace.

    Raises:
        GlassvizError: there is no such file, it is of another kind or damaged.
        UsageError: the folder holds several runs.
    """
    _prepare()
    found = find_targets([Path(path)])
    if len(found) > 1:
        names = ", ".join(str(each.path) for each in found[:3])
        raise UsageError(
            f"{path}: expected one run, found {len(found)} ({names}, …): load them one by one"
        )
    [target] = found
    if isinstance(target, NoTarget):
        raise GlassvizError(target.error)
    if target.path.suffix == TRACE_SUFFIX:
        return Rollout.load(target.path)
    return Run.load(target.path, target.name)


def _prepare() -> None:
    """Set what JAX and MuJoCo read when they are imported, as the command line does."""
    from glassviz.video.gl import choose_backend

    prepare_environment()
    # Where nothing draws, only that which has to be drawn fails, and says why.
    with suppress(GlassvizError):
        choose_backend()
