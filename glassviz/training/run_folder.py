"""The folder of a training run: lock, comparison of settings, saves and resume."""

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
from glassviz.files import PARTIAL_SUFFIX, DiskFullError, replacing, write_errors
from glassviz.training.config import TrainConfig

CHANGEABLE = frozenset(
    {"steps", "eval_every", "save_every", "eval_episodes_pi", "eval_episodes_mppi"}
)
"""A run may be prolonged, and saved or evaluated more or less often; all else must agree."""


def compare(folder: Path, saved: dict[str, Any], train: TrainConfig) -> None:
    """Check that a run's saved configuration agrees with the one asked for.

    A setting that the run does not know, because a later version brought it, agrees when it has
    its default.

    Args:
        folder: the run's, for the message.
        saved: `TrainConfig.to_dict()` of the run, as it came back from JSON.
        train: what is asked for.

    Raises:
        UsageError: naming the first setting that differs.
    """
    was = dict(_flat(saved))
    now = dict(_flat(_plain(train.to_dict())))
    was = dict(_defaults(train, was.keys())) | was
    for name in sorted((was.keys() | now.keys()) - CHANGEABLE):
        before, after = _value(was, name), _value(now, name)
        if before != after:
            raise UsageError(
                f"{folder}: expected {name} = {before} as the run was started with, found "
                f"{after}: resume with the same settings, or start a new run"
            )


def _value(settings: dict[str, Any], name: str) -> Any:
    """A setting, or in words that there is none, or a whole group of them in its place."""
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
    """The settings in `config` that are not in `known`, each at its default, named as by `_flat`.

    Where a group is known, a setting that it lacks has the default of its own dataclass; a group
    that is not known at all has the default of the field that it stands in.
    """
    for field in dataclasses.fields(config):
        name = f"{prefix}{field.name}"
        value = getattr(config, field.name)
        if any(other.startswith(f"{name}.") for other in known):
            if dataclasses.is_dataclass(value):
                yield from _defaults(value, known, f"{name}.")
        elif name not in known:
            yield from _flat({name: _plain(_default(field))})


def _default(field: dataclasses.Field[Any]) -> Any:
    if field.default_factory is not dataclasses.MISSING:
        return field.default_factory()
    return None if field.default is dataclasses.MISSING else field.default


def _plain(value: Any) -> Any:
    """As it would come back from JSON: tuples are lists there, dataclasses objects."""
    return json.loads(json.dumps(value, default=dataclasses.asdict))


CONFIG_FILE = "train.json"


STARTS_FILE = "run.json"


LOCK_FILE = "lock"


SOURCES = ("recipe", "init", "demos")
"""What a run says of where it comes from, which no later start changes."""


def seed_folder(root: Path, seed: int) -> Path:
    """The folder of a seed within a run folder."""
    return root / f"seed_{seed}"


def seed_folder_of(root: Path, path: Path) -> Path | None:
    """The seed's folder that a file of the run folder `root` belongs to, as its logs do."""
    if not path.is_relative_to(root):
        return None
    match = re.match(r"seed_\d+", path.relative_to(root).parts[0])
    return root / match[0] if match else None


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Hold a seed's folder: no other process, and nobody else in this one, can hold it meanwhile.

    The system lets go of the lock when the process ends, however it ends. What a process that was
    killed in the middle of a save left behind is removed.

    Raises:
        UsageError: another process holds the folder.
        DiskFullError: there is no room to say who holds it.
        GlassvizError: the folder cannot be written to, or its file system knows no locks.
    """
    path = folder / LOCK_FILE
    try:
        folder.mkdir(parents=True, exist_ok=True)
        file = path.open("a+")
    except OSError as error:
        raise GlassvizError(
            f"{folder}: expected a folder to write a run to, found that it cannot be written "
            f"({error.strerror}): choose another --out"
        ) from None
    with file:
        _take(file.fileno(), path)
        holder = f"process {os.getpid()} on {platform.node()}\n".encode()
        with write_errors(path, len(holder)):
            os.ftruncate(file.fileno(), 0)
            os.write(file.fileno(), holder)
        _sweep(folder)
        yield


def _take(descriptor: int, path: Path) -> None:
    # flock, not lockf: the latter belongs to the process, which could then hold a folder twice.
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        holder = path.read_text(errors="replace").strip() or "another process"
        raise UsageError(
            f"{path.parent}: expected a run that nobody writes to, found {holder} training it: "
            f"wait for it or stop it, or choose another --out or --seed"
        ) from None
    except OSError as error:
        raise GlassvizError(
            f"{path}: expected a file system with locks, found one without "
            f"({error.strerror}): choose another --out"
        ) from None


def _sweep(folder: Path) -> None:
    """Remove the half-written files of killed processes; the log's lie beside the folder."""
    for place, start in (
        (folder, "."),
        (folder / "checkpoints", "."),
        (folder.parent, f".{folder.name}."),
        (folder.parent, f".{folder.name}_"),
    ):
        for path in place.glob(f"{start}*{PARTIAL_SUFFIX}"):
            path.unlink(missing_ok=True)


def check_unused(folder: Path) -> None:
    """Refuse to start a run over another, or over the log of one.

    Raises:
        UsageError: `folder` holds a run already, or its log beside it tells of one.
    """
    log = folder.with_name(f"{folder.name}.csv")
    if not (folder / CONFIG_FILE).exists() and _has_rows(log):
        raise UsageError(
            f"{log}: expected no log of this seed here, found one of a run that cannot be "
            f"continued: choose another --out or --seed, or move it away"
        )
    if (folder / CONFIG_FILE).exists():
        raise UsageError(
            f"{folder}: expected no run of this seed here, found one: continue it with --resume, "
            f"or choose another --out or --seed"
        )


def _has_rows(log: Path) -> bool:
    """Whether there is more in a log than the names of its columns."""
    return log.exists() and len(log.read_bytes().splitlines()) > 1


def check_same(folder: Path, train: TrainConfig) -> None:
    """Refuse to continue a run with other settings than it was started with.

    Raises:
        UsageError: there is no run in `folder`, or it is of another configuration.
        GlassvizError: its configuration cannot be read.
    """
    path = folder / CONFIG_FILE
    try:
        saved = json.loads(path.read_text())
    except FileNotFoundError:
        raise UsageError(
            f"{folder}: expected a run to resume, found none: start it without --resume"
        ) from None
    except (OSError, ValueError) as error:
        raise GlassvizError(
            f"{path}: expected the configuration of a run, found a file that cannot be read "
            f"({error}): start the run anew in another folder"
        ) from None
    compare(folder, saved, train)


def record_start(
    folder: Path, train: TrainConfig, provenance: dict[str, Any], env_steps: int
) -> None:
    """Write down a start of the run: its first, or one that continued it.

    The configuration comes last, and a new run records its start after its first save: so a run
    that was killed before it could be resumed is none, and can be started again.

    Args:
        folder: the seed's folder.
        train: what the run does from now on.
        provenance: recipe, command, versions, git commit.
        env_steps: where in the run this start is.

    Raises:
        GlassvizError: the earlier starts cannot be read, or the record cannot be written.
    """
    begins = not (folder / CONFIG_FILE).exists()
    start = {
        "time": datetime.now(UTC).isoformat(timespec="seconds"),
        "env_steps": env_steps,
        **provenance,
    }
    starts = [start] if begins else [*_starts(folder / STARTS_FILE), start]
    _write_json(folder / STARTS_FILE, {"starts": starts})
    _write_json(folder / CONFIG_FILE, train.to_dict())


def as_first_started(folder: Path, provenance: dict[str, Any]) -> dict[str, Any]:
    """The provenance of a run that is continued: recipe and sources are those of its first start.

    Args:
        folder: the seed's folder.
        provenance: of the start that continues it; `demos` and `init`, where it has some, as they
            are given this time.

    Raises:
        UsageError: the run learned from other demonstrations until now, or did not start from that
            agent.
        GlassvizError: the earlier starts cannot be read.
    """
    first = next(iter(_starts(folder / STARTS_FILE)), provenance)
    kept = {name: first[name] for name in SOURCES if name in first}
    was, now = (told.get("demos") for told in (kept, provenance))
    if was and now and was["sha256"] != now["sha256"]:
        raise UsageError(
            f"{folder}: expected the demonstrations {was['name']} that the run was started with, "
            f"found others in {now['name']}: resume with the same file, or start a new run"
        )
    started, wanted = (told.get("init") for told in (kept, provenance))
    if wanted and (not started or started["sha256"] != wanted["sha256"]):
        raise UsageError(
            f"{folder}: expected a run that started from {wanted['name']}, found one that started "
            f"from {started['name'] if started else 'nothing'}: resume without --init, or start a "
            f"new run"
        )
    others = {name: value for name, value in provenance.items() if name != "init"}
    return others | kept


def _starts(path: Path) -> list[dict[str, Any]]:
    try:
        starts = json.loads(path.read_text())["starts"]
        if isinstance(starts, list) and all(isinstance(each, dict) for each in starts):
            return starts
        found = "no list of starts in it"
    except FileNotFoundError:
        return []
    except (OSError, ValueError, KeyError, TypeError) as error:
        found = f"a damaged one ({error})"
    raise GlassvizError(
        f"{path}: expected the record of a run's starts, found {found}: "
        f"mend it, or move it away to begin a new one"
    )


def _write_json(path: Path, value: dict[str, Any]) -> None:
    text = json.dumps(value, indent=2) + "\n"
    with replacing(path, len(text)) as partial:
        partial.write_text(text)


def step_checkpoint(checkpoints: Path, env_steps: int) -> Path:
    """Where the checkpoint of one evaluation goes."""
    return checkpoints / f"step_{env_steps:09d}.safetensors"


def prune(checkpoints: Path, keep: int) -> None:
    """Remove all but the newest `keep` evaluations' checkpoints; `best` and `last` stay."""
    by_step = _by_step(checkpoints)
    for step in sorted(by_step)[: max(len(by_step) - keep, 0)]:
        _remove(by_step[step])


def drop_later(checkpoints: Path, env_steps: int) -> None:
    """Remove the evaluations' checkpoints from after `env_steps`: a resumed run makes them anew."""
    for step, paths in _by_step(checkpoints).items():
        if step > env_steps:
            _remove(paths)


def _remove(paths: list[Path]) -> None:
    for path in paths:
        path.unlink(missing_ok=True)


def _by_step(checkpoints: Path) -> dict[int, list[Path]]:
    """The checkpoints of each evaluation: one, or one a task (`step_000500000_hopper-stand`)."""
    found: dict[int, list[Path]] = {}
    for path in checkpoints.glob("step_*.safetensors"):
        if match := re.fullmatch(r"step_(\d+)(_.+)?", path.stem):
            found.setdefault(int(match[1]), []).append(path)
    return found


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
