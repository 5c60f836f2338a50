"""The folder of a training run: lock, configuration, saved state."""

import dataclasses
import fcntl
import json
import os
import platform
import re
import zipfile
from collections.abc import Iterator, Mapping, Set
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import jax
import numpy as np

from glassviz.errors import GlassvizError, UsageError
from glassviz.files import DiskFullError, read_bytes, replacing, sweep, write_errors
from glassviz.training.config import TrainConfig

CHANGEABLE = {"steps", "eval_every", "save_every", "eval_episodes_pi", "eval_episodes_mppi"}
"""Settings that may change when a run is resumed."""


def _value(settings: dict[str, Any], name: str) -> Any:
    """The value of a setting, or words for a missing one or a group of settings."""
    grouped = any(other.startswith(f"{name}.") for other in settings)
    return settings.get(name, "a group of settings" if grouped else "nothing")


def _flat(settings: dict[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """`{"glass": {"tau": 1}}` as `("glass.tau", 1)`."""
    for name, value in settings.items():
        if isinstance(value, dict):
            yield from _flat(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", value


def _defaults(config: Any, known: Set[str], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """The settings in `config` that are not in `known`, at their defaults, named as in `_flat`.

    A setting missing from a known group has the default of the group's dataclass; a group that is
    missing entirely has the default of its field.
    """
    for field in dataclasses.fields(config):
        name = f"{prefix}{field.name}"
        value = getattr(config, field.name)
        if any(other.startswith(f"{name}.") for other in known):
            if dataclasses.is_dataclass(value):
                yield from _defaults(value, known, f"{name}.")
        elif name not in known:
            factory = field.default_factory
            default = field.default if factory is dataclasses.MISSING else factory()
            yield from _flat({name: _plain(default)})


def _plain(value: Any) -> Any:
    """`value` after a round trip through JSON: tuples become lists, dataclasses dicts."""
    return json.loads(json.dumps(value, default=dataclasses.asdict))


CONFIG_FILE = "train.json"
STARTS_FILE = "run.json"
LOCK_FILE = "lock"

SOURCES = ("recipe", "init", "demos")
"""Provenance that is set at the first start and kept when the run is resumed."""


def seed_folder(root: Path, seed: int) -> Path:
    """The folder of a seed within a run folder."""
    return root / f"seed_{seed}"


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Lock a seed's folder, exclusively among processes and within this one.

    The lock ends with the process, however it ends. Partial files of a process that was killed
    during a save are removed.

    Raises:
        UsageError: the folder is locked already.
        DiskFullError: the lock file does not fit on the disk.
        GlassvizError: the folder is not writable, or its file system has no locks.
    """
    path = folder / LOCK_FILE
    try:
        folder.mkdir(parents=True, exist_ok=True)
        file = path.open("a+")
    except OSError as error:
        raise GlassvizError(
            f"{folder}: not writable ({error.strerror}): choose another --out"
        ) from None
    with file:
        try:
            # flock, not lockf: lockf locks belong to the process, which could lock twice.
            fcntl.flock(file.fileno(), fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            other = path.read_text("utf-8", errors="replace").strip() or "another process"
            raise UsageError(
                f"{folder}: {other} is training this run: wait for it or stop it, or choose "
                f"another --out or --seed"
            ) from None
        except OSError as error:
            raise GlassvizError(
                f"{path}: the file system does not support locks ({error.strerror}): choose "
                f"another --out"
            ) from None
        holder = f"process {os.getpid()} on {platform.node()}\n".encode()
        with write_errors(path, len(holder)):
            os.ftruncate(file.fileno(), 0)
            os.write(file.fileno(), holder)
        for place in (folder, folder / "checkpoints"):
            sweep(place, locked=True)
        sweep(folder.parent)  # the logs beside it
        yield


def check_unused(folder: Path) -> None:
    """Refuse to start a run where there is a run, or the log of one.

    Raises:
        UsageError: `folder` holds a run, or the log beside it is not empty.
        GlassvizError: what is in the log's place cannot be read.
    """
    log = folder.with_name(f"{folder.name}.csv")
    if (folder / CONFIG_FILE).exists():
        raise UsageError(
            f"{folder}: holds a run of this seed already: continue it with --resume, or choose "
            f"another --out or --seed"
        )
    # More than the header.
    if log.exists() and len(read_bytes(log, "a log").strip().splitlines()) > 1:
        raise UsageError(
            f"{log}: the log of an earlier run that cannot be resumed: choose another --out or "
            f"--seed, or move it away"
        )


def check_same(folder: Path, train: TrainConfig) -> None:
    """Refuse to resume a run with settings that differ from those of its start.

    A setting that is missing from the saved configuration, because it was added in a later
    version, must have its default.

    Raises:
        UsageError: there is no run in `folder`, or it has another configuration.
        GlassvizError: its configuration cannot be read.
    """
    path = folder / CONFIG_FILE
    try:
        saved = json.loads(path.read_text("utf-8"))
    except FileNotFoundError:
        raise UsageError(
            f"{folder}: expected a run to resume, found none: start it without --resume"
        ) from None
    except (OSError, ValueError) as error:
        raise GlassvizError(
            f"{path}: the configuration of the run cannot be read ({error}): start a new run in "
            f"another folder"
        ) from None
    was = dict(_flat(saved))
    now = dict(_flat(_plain(train.to_dict())))
    was = dict(_defaults(train, was.keys())) | was
    for name in sorted((was.keys() | now.keys()) - CHANGEABLE):
        before, after = _value(was, name), _value(now, name)
        if before != after:
            raise UsageError(
                f"{folder}: expected {name} = {before} as when the run was started, found "
                f"{after}: resume with the same settings, or start a new run"
            )


def record_start(
    folder: Path, train: TrainConfig, provenance: dict[str, Any], env_steps: int
) -> None:
    """Record a start of the run: the first one, or a resumption.

    The configuration is written last, after the first save. A run that was killed before it could
    be resumed therefore does not count as a run, and can be started again. `provenance` is recipe,
    command, versions and git commit; `env_steps` are those of the run at this start.

    Raises:
        GlassvizError: the earlier starts cannot be read, or the record cannot be written.
    """
    begins = not (folder / CONFIG_FILE).exists()
    now = datetime.now(UTC).isoformat(timespec="seconds")
    start = {"time": now, "env_steps": env_steps, **provenance}
    starts = [start] if begins else [*_starts(folder / STARTS_FILE), start]
    _write_json(folder / STARTS_FILE, {"starts": starts})
    _write_json(folder / CONFIG_FILE, train.to_dict())


def as_first_started(folder: Path, provenance: dict[str, Any]) -> dict[str, Any]:
    """The provenance of a resumed run: recipe and sources are those of its first start.

    Args:
        provenance: of the resumption, with `demos` and `init` if they were passed again.

    Raises:
        UsageError: `demos` or `init` differ from those of the first start.
        GlassvizError: the earlier starts cannot be read.
    """
    first = next(iter(_starts(folder / STARTS_FILE)), provenance)
    kept = {name: first[name] for name in SOURCES if name in first}
    was, now = (each.get("demos") for each in (kept, provenance))
    if was and now and was["sha256"] != now["sha256"]:
        raise UsageError(
            f"{folder}: the run was started with the demonstrations {was['name']}, found others in "
            f"{now['name']}: resume with the same file, or start a new run"
        )
    started, wanted = (each.get("init") for each in (kept, provenance))
    if wanted and (not started or started["sha256"] != wanted["sha256"]):
        raise UsageError(
            f"{folder}: expected a run that started from {wanted['name']}, found one that started "
            f"from {started['name'] if started else 'scratch'}: resume without --init, or start a "
            f"new run"
        )
    return {name: value for name, value in provenance.items() if name != "init"} | kept


def _starts(path: Path) -> list[dict[str, Any]]:
    try:
        starts = json.loads(path.read_text("utf-8"))["starts"]
        if isinstance(starts, list) and all(isinstance(each, dict) for each in starts):
            return starts
        found = "no list of starts"
    except FileNotFoundError:
        return []
    except (OSError, ValueError, KeyError, TypeError) as error:
        found = f"a damaged file ({error})"
    raise GlassvizError(
        f"{path}: expected the record of the run's starts, found {found}: "
        f"repair it, or move it away to begin a new one"
    )


def _write_json(path: Path, value: dict[str, Any]) -> None:
    text = json.dumps(value, indent=2) + "\n"
    with replacing(path, len(text)) as partial:
        partial.write_text(text, "utf-8")


def step_checkpoint(checkpoints: Path, env_steps: int) -> Path:
    """The checkpoint file of one evaluation."""
    return checkpoints / f"step_{env_steps:09d}.safetensors"


def prune(checkpoints: Path, keep: int) -> None:
    """Remove checkpoints of evaluations but the newest `keep`; `best` and `last` stay."""
    newest = sorted({step for step, _ in _by_step(checkpoints)}, reverse=True)[:keep]
    for step, path in _by_step(checkpoints):
        if step not in newest:
            path.unlink(missing_ok=True)


def drop_later(checkpoints: Path, env_steps: int) -> None:
    """Remove checkpoints of evaluations after `env_steps`, which a resumed run writes again."""
    for step, path in _by_step(checkpoints):
        if step > env_steps:
            path.unlink(missing_ok=True)


def _by_step(checkpoints: Path) -> list[tuple[int, Path]]:
    """The checkpoints of evaluations: one, or one per task (`step_000500000_hopper-stand`)."""
    paths = checkpoints.glob("step_*.safetensors")
    matches = [(re.fullmatch(r"step_(\d+)(_.+)?", path.stem), path) for path in paths]
    return [(int(match[1]), path) for match, path in matches if match]


STATE_FILE = "resume.npz"
_COUNTERS = "counters"
_LEARNER = "learner/{}"
_UNREADABLE = (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile)


def save(
    folder: Path, learner: Any, arrays: Mapping[str, np.ndarray], counters: Mapping[str, Any]
) -> int:
    """Replace a seed's saved state, atomically, and return its size in bytes.

    The learner's structure is not stored, see `load`; `arrays` are replay buffer, physics and
    observations, by name; `counters` are JSON values, among them `env_steps`.

    Raises:
        DiskFullError: the state does not fit; the one saved before is intact.
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
    """Read what `save` wrote: learner (with NumPy arrays as leaves), arrays, counters.

    Args:
        train: configuration that the run must have.
        like: a learner of that configuration, for structure and shapes.

    Raises:
        UsageError: there is nothing to resume, or the run has another configuration.
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
            f"{path}: expected the saved state of a run, found no such file: the run cannot be "
            f"resumed, start a new one in another folder"
        ) from None
    except _UNREADABLE as error:
        raise GlassvizError(
            f"{path}: expected the saved state of a run, found a file that cannot be read "
            f"({error}): start a new run in another folder"
        ) from None
    for i, (leaf, shape) in enumerate(zip(leaves, map(np.shape, expected), strict=True)):
        if leaf.shape != shape:
            raise GlassvizError(
                f"{path}: expected leaf {i} of the learner to have shape {shape}, found "
                f"{leaf.shape}: resume with the version of glassviz that saved it"
            )
    return jax.tree.unflatten(jax.tree.structure(like), leaves), arrays, counters


def saved_step(folder: Path) -> int | None:
    """Environment steps of a seed's saved state; None if it is missing or cannot be read."""
    try:
        with _opened(folder / STATE_FILE) as archive:
            return int(json.loads(str(archive[_COUNTERS]))["env_steps"])
    except _UNREADABLE:
        return None


@contextmanager
def _opened(path: Path) -> Iterator[Any]:
    # When NumPy opens a file that is not an archive, it does not close it.
    with path.open("rb") as file, np.load(file) as archive:
        yield archive


@contextmanager
def telling_last_save(root: Path) -> Iterator[None]:
    """Add the last good save of the seed to errors about a full disk.

    Raises:
        GlassvizError: instead of a `DiskFullError` about a file in the run folder `root`.
    """
    try:
        yield
    except DiskFullError as error:
        inside = error.path.is_relative_to(root)
        match = inside and re.match(r"seed_\d+", error.path.relative_to(root).parts[0])
        if not match:
            raise
        folder = root / match[0]
        step = saved_step(folder)
        remedy = "nothing was saved yet, free some space and start again"
        if step is not None:
            remedy = (
                f"the last good save is {folder / STATE_FILE} of step {step}, "
                f"free some space and continue with --resume"
            )
        raise GlassvizError(f"{error.finding}: {remedy}") from None
