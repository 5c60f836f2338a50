"""The state that a run continues from after a kill, replaced whole at every save.

One uncompressed `.npz` a seed. Its size is that of its arrays: the replay buffer's filled part
(81 bytes a transition of the hopper), the learner (parameters, their targets and two moments, four
bytes each), the physics. It grows until the buffer is full and no further. While it is replaced,
the old file and the new one are both on the disk.
"""

import json
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import jax
import numpy as np

from glassviz.errors import GlassvizError, UsageError
from glassviz.files import DiskFullError, replacing
from glassviz.training.config import TrainConfig
from glassviz.training.run_folder.folder import check_same, seed_folder_of

STATE_FILE = "resume.npz"

_COUNTERS = "counters"
_LEARNER = "learner/{}"
_UNREADABLE = (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile)


def save(
    folder: Path, learner: Any, arrays: Mapping[str, np.ndarray], counters: Mapping[str, Any]
) -> int:
    """Replace a seed's saved state; a kill at any moment leaves the old one or the new one.

    Args:
        folder: the seed's folder.
        learner: tree of this seed's arrays; its structure is not stored, see `load`.
        arrays: replay buffer, physics, observations, by name.
        counters: what JSON can hold, with `env_steps`.

    Returns:
        The size of the state in bytes.

    Raises:
        DiskFullError: there is no room; the state saved before is intact.
    """
    everything: dict[str, Any] = {_COUNTERS: np.array(json.dumps({**counters})), **arrays}
    for i, leaf in enumerate(jax.tree.leaves(learner)):
        everything[_LEARNER.format(i)] = np.asarray(leaf)
    size = sum(array.nbytes for array in everything.values())
    with replacing(folder / STATE_FILE, size) as partial, partial.open("wb") as file:
        np.savez(file, **everything)
    return size


def load(
    folder: Path, train: TrainConfig, like: Any
) -> tuple[Any, dict[str, np.ndarray], dict[str, Any]]:
    """What `save` wrote last: learner, arrays, counters.

    Args:
        folder: the seed's folder.
        train: the configuration that the run is to have been made with.
        like: a learner of that configuration, for structure and shapes; not changed.

    Returns:
        The learner's leaves are NumPy arrays.

    Raises:
        UsageError: there is nothing to resume, or it is a run of another configuration.
        GlassvizError: the saved state cannot be read, or does not fit the learner.
    """
    check_same(folder, train)
    path = folder / STATE_FILE
    try:
        with _opened(path) as archive:
            arrays = {name: archive[name] for name in archive.files}
        counters = json.loads(str(arrays.pop(_COUNTERS)))
        expected = jax.tree.leaves(like)
        leaves = [arrays.pop(_LEARNER.format(i)) for i in range(len(expected))]
    except FileNotFoundError:
        raise UsageError(
            f"{path}: expected the saved state of a run, found none: it was removed, and the run "
            f"cannot be continued; start it anew in another folder"
        ) from None
    except _UNREADABLE as error:
        raise GlassvizError(
            f"{path}: expected the saved state of a run, found a file that cannot "
            f"be read ({error}): start the run anew in another folder"
        ) from None
    for i, (leaf, shape) in enumerate(zip(leaves, map(np.shape, expected), strict=True)):
        if leaf.shape != shape:
            raise GlassvizError(
                f"{path}: expected leaf {i} of the learner to have shape {shape}, found "
                f"{leaf.shape}: resume with the version of glassviz that saved it"
            )
    return jax.tree.unflatten(jax.tree.structure(like), leaves), arrays, counters


def saved_step(folder: Path) -> int | None:
    """Environment steps of a seed's saved state; None without one that can be read."""
    try:
        with _opened(folder / STATE_FILE) as archive:
            return int(json.loads(str(archive[_COUNTERS]))["env_steps"])
    except _UNREADABLE:
        return None


@contextmanager
def _opened(path: Path) -> Iterator[Any]:
    # NumPy leaves a file that it opened itself open when it turns out to be no archive.
    with path.open("rb") as file, np.load(file) as archive:
        yield archive


@contextmanager
def telling_last_save(root: Path) -> Iterator[None]:
    """Have a full disk say which save of which seed the run can be continued from.

    Raises:
        GlassvizError: in place of a `DiskFullError` about a file in the run folder `root`.
    """
    try:
        yield
    except DiskFullError as error:
        folder = seed_folder_of(root, error.path)
        if folder is None:
            raise
        step = saved_step(folder)
        if step is None:
            remedy = "nothing was saved yet, free some room and start again"
        else:
            remedy = (
                f"the last good save is {folder / STATE_FILE} of step {step}, "
                f"free some room and continue with --resume"
            )
        raise GlassvizError(f"{error.finding}: {remedy}") from None
