"""The state that a run continues from after a kill: written beside, then renamed."""

import json
import os
import zipfile
from pathlib import Path
from typing import Any

import jax
import numpy as np

from glassviz.errors import GlassvizError, UsageError
from glassviz.files import replacing
from glassviz.training.config import TrainConfig
from glassviz.training.learner import LearnerState

CONFIG_FILE = "train.json"
STATE_FILE = "resume.npz"


def claim(folder: Path, train: TrainConfig) -> None:
    """Make `folder` the place of a new run.

    Raises:
        UsageError: it holds a run already.
    """
    if (folder / CONFIG_FILE).exists():
        raise UsageError(
            f"{folder}: expected no run of this seed here, found one: continue it with --resume, "
            f"or choose another --out or --seed"
        )
    with replacing(folder / CONFIG_FILE) as partial:
        partial.write_text(json.dumps(train.to_dict(), indent=2))


def save(
    folder: Path, learner: LearnerState, arrays: dict[str, np.ndarray], counters: dict[str, Any]
) -> None:
    """Replace the run's saved state; a kill at any moment leaves the old one or the new one."""
    everything: dict[str, Any] = {"counters": np.array(json.dumps(counters)), **arrays}
    for i, leaf in enumerate(jax.tree.leaves(learner)):
        everything[f"learner/{i}"] = np.asarray(leaf)
    with replacing(folder / STATE_FILE) as partial, partial.open("wb") as file:
        np.savez(file, **everything)
        file.flush()
        os.fsync(file.fileno())


def load(
    folder: Path, train: TrainConfig, like: LearnerState
) -> tuple[LearnerState, dict[str, np.ndarray], dict[str, Any]]:
    """What `save` wrote last: learner, arrays, counters.

    Raises:
        UsageError: there is nothing to resume, or it is a run of another configuration.
        GlassvizError: the saved state cannot be read.
    """
    try:
        saved_config = json.loads((folder / CONFIG_FILE).read_text())
    except FileNotFoundError:
        raise UsageError(
            f"{folder}: expected a run to resume, found none: start it without --resume"
        ) from None
    _check_same(folder, saved_config, json.loads(json.dumps(train.to_dict())))
    try:
        # NumPy leaves a file that it opened itself open when it turns out to be no archive.
        with (folder / STATE_FILE).open("rb") as file, np.load(file) as archive:
            arrays = {name: archive[name] for name in archive.files}
    except (OSError, ValueError, EOFError, zipfile.BadZipFile) as error:
        raise GlassvizError(
            f"{folder / STATE_FILE}: expected the saved state of a run, found a file that cannot "
            f"be read ({error}): start the run anew in another folder"
        ) from None
    counters = json.loads(str(arrays.pop("counters")))
    leaves = [
        jax.numpy.asarray(arrays.pop(f"learner/{i}")) for i in range(len(jax.tree.leaves(like)))
    ]
    return jax.tree.unflatten(jax.tree.structure(like), leaves), arrays, counters


def _check_same(folder: Path, saved: dict[str, Any], asked: dict[str, Any]) -> None:
    # A run may be prolonged, and saved or evaluated more or less often; all else must agree.
    free = {"steps", "eval_every", "save_every", "eval_episodes_pi", "eval_episodes_mppi"}
    for name in sorted((saved.keys() | asked.keys()) - free):
        if saved.get(name) != asked.get(name):
            raise UsageError(
                f"{folder}: expected {name} = {saved.get(name)} as the run was started with, found "
                f"{asked.get(name)}: resume with the same settings, or start a new run"
            )
