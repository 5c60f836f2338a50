"""The folder of a training run: lock, configuration, saved state."""

import dataclasses
import fcntl
import json
import os
import platform
import re
from collections.abc import Iterator, Mapping, Set
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import jax
import numpy as np
from pydantic import ConfigDict, NonNegativeInt, TypeAdapter, ValidationError
from pydantic.dataclasses import dataclass as validated

from glassviz import archive
from glassviz.agents.planner import Controller
from glassviz.errors import GlassvizError, UsageError
from glassviz.files import (
    DiskFullError,
    MissingFileError,
    read_bytes,
    read_text,
    replacing,
    sweep,
    write_errors,
)
from glassviz.rollout.evaluate import Evaluation
from glassviz.text import parse_json, printable
from glassviz.trace import LARGEST
from glassviz.training.collection import ADDED, REPLAY_ARRAYS
from glassviz.training.config import CHANGEABLE, TrainConfig


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
        file = path.open("a+b")
    except OSError as error:
        raise GlassvizError(
            f"{folder}: not writable ({error.strerror}): choose another --out"
        ) from None
    with file:
        try:
            # flock, not lockf: lockf locks belong to the process, which could lock twice.
            fcntl.flock(file.fileno(), fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.seek(0)
            holder = file.read(_MAX_HOLDER).decode("utf-8", "replace").strip()
            other = printable(holder) or "another process"
            raise UsageError(
                f"{folder}: {other} is training this run: wait for it or stop it, or choose "
                f"another --out or --seed"
            ) from None
        except OSError as error:
            raise GlassvizError(
                f"{path}: the file system does not support locks ({error.strerror}): choose "
                f"another --out"
            ) from None
        name = f"process {os.getpid()} on {platform.node()}\n".encode()
        with write_errors(path, len(name)):
            os.ftruncate(file.fileno(), 0)
            os.write(file.fileno(), name)
        for place in (folder, folder / "checkpoints"):
            sweep(place, locked=True)
        sweep(folder.parent)  # the logs beside it
        yield


_MAX_HOLDER = 500


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
        saved = parse_json(read_text(path, "the configuration of a run"))
    except MissingFileError:
        raise UsageError(
            f"{folder}: expected a run to resume, found none: start it without --resume"
        ) from None
    except ValueError as error:
        saved, found = None, str(error)
    else:
        found = "something else"
    if not isinstance(saved, dict):
        raise GlassvizError(
            f"{path}: expected the configuration of a run, found {found}: start a new run in "
            f"another folder"
        )
    was = dict(_flat(saved))
    now = dict(_flat(_plain(train.to_dict())))
    was = dict(_defaults(train, was.keys())) | was
    for name in sorted((was.keys() | now.keys()) - CHANGEABLE):
        before, after = _value(was, name), _value(now, name)
        if before != after:
            raise UsageError(
                f"{folder}: expected {name} = {printable(str(before), 60)} as when the run was "
                f"started, found {after}: resume with the same settings, or start a new run"
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
        record = parse_json(read_text(path, "the record of the run's starts"))
    except MissingFileError:
        return []
    except ValueError as error:
        found = str(error)
    else:
        starts = record.get("starts") if isinstance(record, dict) else None
        if isinstance(starts, list) and all(map(_is_start, starts)):
            return starts
        found = "no list of starts"
    raise GlassvizError(
        f"{path}: expected the record of the run's starts, found {found}: "
        f"repair it, or move it away to begin a new one"
    )


def _is_start(start: Any) -> bool:
    """Whether it is an object whose sources, if it has any, have a name and a hash."""
    sources = [start.get(name) for name in ("init", "demos")] if isinstance(start, dict) else [0]
    return all(
        source is None
        or (
            isinstance(source, dict)
            and all(isinstance(source.get(key), str) for key in ("name", "sha256"))
        )
        for source in sources
    )


def _write_json(path: Path, value: dict[str, Any]) -> None:
    data = (json.dumps(value, indent=2) + "\n").encode()
    with replacing(path, len(data)) as partial:
        partial.write_bytes(data)


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


# Saved state --------------------------------------------------------------------------------------

STATE_FILE = "resume.npz"
_LEARNER = "learner/{}"
_EXPECTED = "the saved state of a run"
_REMEDY = "start a new run in another folder"


@validated(frozen=True, config=ConfigDict(allow_inf_nan=False))
class Counters:
    """All of a seed's saved state that is not an array.

    Attributes:
        best: highest mean return, by controller.
        best_step: environment steps at the best mean return of the planner.
        finished: whether the seed ended for lack of progress.
        latest: evaluations of the current agent.
        begun: environment steps when the attempt began.
        rng: state of NumPy's generator.
    """

    env_steps: NonNegativeInt
    best: dict[Controller, float]
    best_step: NonNegativeInt
    finished: bool
    plateau_restarts: NonNegativeInt
    basin_restarts: NonNegativeInt
    latest: tuple[Evaluation, ...]
    begun: NonNegativeInt
    rng: dict[str, Any]


def save(
    folder: Path, learner: Any, arrays: Mapping[str, np.ndarray], counters: Mapping[str, Any]
) -> int:
    """Replace a seed's saved state, atomically, and return its size in bytes.

    The learner's structure is not stored, see `load`; `arrays` are replay buffer, physics and
    observations, by name; `counters` are the fields of `Counters` as JSON values.

    Raises:
        DiskFullError: the state does not fit; the one saved before is intact.
    """
    leaves = {_LEARNER.format(i): np.asarray(x) for i, x in enumerate(jax.tree.leaves(learner))}
    return archive.save(folder / STATE_FILE, counters, {**arrays, **leaves})


def load(
    folder: Path, train: TrainConfig, like: Any, arrays_like: Mapping[str, np.ndarray]
) -> tuple[Any, dict[str, np.ndarray], Counters]:
    """Read what `save` wrote, and check all of it.

    Args:
        train: configuration that the run must have.
        like: a learner of that configuration, for structure, shapes and dtypes.
        arrays_like: arrays of a run of that configuration that has just begun; with an empty
            replay buffer.

    Returns:
        The learner (with NumPy arrays as leaves), arrays, counters.

    Raises:
        UsageError: there is nothing to resume, or the run has another configuration.
        GlassvizError: the saved state cannot be read, or does not fit the run.
    """
    check_same(folder, train)
    path = folder / STATE_FILE
    try:
        header, found = archive.load(path, _EXPECTED, _REMEDY)
    except MissingFileError:
        raise UsageError(
            f"{path}: expected the saved state of a run, found no such file: the run cannot be "
            f"resumed, start a new one in another folder"
        ) from None
    counters = _checked_counters(path, train, header)
    expected = {_LEARNER.format(i): np.asarray(x) for i, x in enumerate(jax.tree.leaves(like))}
    added = _added(path, train, counters, found.get(ADDED))
    rows = min(added, train.buffer_steps // train.num_envs)
    for name, array in arrays_like.items():
        shape = (rows, *array.shape[1:]) if name in REPLAY_ARRAYS else array.shape
        expected[name] = np.broadcast_to(np.zeros((), array.dtype), shape)
    for name, array in expected.items():
        _check_like(path, name, found.get(name), array)
    _check_ranges(path, train, found)
    leaves = [found.pop(_LEARNER.format(i)) for i in range(len(jax.tree.leaves(like)))]
    arrays = {name: found[name] for name in arrays_like}
    return jax.tree.unflatten(jax.tree.structure(like), leaves), arrays, counters


def _broken(path: Path, expected: str, found: Any) -> GlassvizError:
    shown = printable(str(found), 60)
    return GlassvizError(f"{path}: expected {expected}, found {shown}: {_REMEDY}")


def _checked_counters(path: Path, train: TrainConfig, header: dict[str, Any]) -> Counters:
    try:
        counters = TypeAdapter(Counters).validate_json(json.dumps(header), strict=True)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        entry = ".".join(map(str, first["loc"])) or "header"
        raise _broken(
            path, f"a usable {printable(entry, 60)} ({first['msg'].lower()})", first["input"]
        ) from None
    rescue = train.rescue
    for name, most in (
        ("env_steps", 1 << 53),
        ("best_step", counters.env_steps),
        ("begun", counters.env_steps),
        ("plateau_restarts", rescue.restart_max_attempts),
        ("basin_restarts", rescue.basin_max_attempts),
    ):
        if (value := getattr(counters, name)) > most:
            raise _broken(path, f"{name} of at most {most}", value)
    if any(not evaluation.returns for evaluation in counters.latest):
        raise _broken(path, "returns of the latest evaluations", "none")
    try:
        generator = np.random.default_rng().bit_generator
        generator.state = counters.rng
    except (ValueError, TypeError, KeyError, OverflowError, AttributeError):
        raise _broken(path, "the state of a generator as rng", counters.rng) from None
    return counters


def _added(path: Path, train: TrainConfig, counters: Counters, found: np.ndarray | None) -> int:
    """How many rows were added to the replay buffer; each is a step of every body."""
    rows, rest = divmod(counters.env_steps - counters.begun, train.num_envs)
    if found is None or found.shape != () or found.dtype.kind != "i" or rest or found != rows:
        raise _broken(
            path,
            f"{rows} rows added to the replay buffer after {counters.env_steps} steps",
            "nothing" if found is None else found,
        )
    return rows


def _check_like(path: Path, name: str, found: np.ndarray | None, like: np.ndarray) -> None:
    """Refuse an array of another shape or dtype, or with numbers that training never leaves."""
    expected = f"{name} of {like.dtype} {like.shape}"
    if found is None:
        raise _broken(path, expected, "nothing")
    if found.shape != like.shape or found.dtype != like.dtype:
        raise _broken(path, expected, f"{found.dtype} {found.shape}")
    if found.dtype.kind == "f" and not np.isfinite(found).all():
        raise _broken(path, f"finite numbers in {name}", found[~np.isfinite(found)][0])


def _check_ranges(path: Path, train: TrainConfig, arrays: Mapping[str, np.ndarray]) -> None:
    """Refuse arrays of sound shape with numbers out of range."""
    clusters = train.agent.glass.clusters if train.agent.glass else 0
    steps = train.explore.collect_episode_steps or train.agent.env.episode_steps
    ranges = {
        "episode_step": (0, steps - 1),
        "burst_left": (0, train.explore.burst_steps),
        "shaper_labels": (-1, clusters - 1),
        **dict.fromkeys(("obs", "env_obs", "reward"), (-LARGEST, LARGEST)),
        # The seeds of the episodes are part of it.
        "env_state": (-(2.0**31), 2.0**31),
        **dict.fromkeys(("action", "shaper_action"), (-1 - _ROUNDING, 1 + _ROUNDING)),
    }
    # Counts, such as of updates.
    counts = [n for n, a in arrays.items() if n.startswith("learner/") and a.dtype.kind == "i"]
    ranges |= dict.fromkeys(counts, (0, np.iinfo(np.int32).max - 1))
    for name in ranges.keys() & arrays.keys():
        (low, high), values = ranges[name], arrays[name]
        if ((values < low) | (values > high)).any():
            outside = values[(values < low) | (values > high)].flat[0]
            raise _broken(path, f"{name} from {low:g} to {high:g}", outside)


_ROUNDING = 1e-5


def saved_step(folder: Path) -> int | None:
    """Environment steps of a seed's saved state; None if it is missing or cannot be read."""
    try:
        step = archive.load_header(folder / STATE_FILE, _EXPECTED, _REMEDY).get("env_steps")
    except GlassvizError:
        return None
    return step if type(step) is int and step >= 0 else None


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
