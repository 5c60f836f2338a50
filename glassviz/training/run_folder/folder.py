"""A seed's place in a run folder: who writes there, how it was started, what is kept.

runs/hop/
  seed_1.csv  seed_1_diag.csv  seed_1_metrics.jsonl      the log (log.py)
  seed_1/
    train.json            every setting; a folder that has it holds a run
    run.json              each start of the run: when, by which command, code and versions
    resume.npz            the state to continue from (resume.py)
    checkpoints/          best_mppi, best_pi, last, step_000500000, … (.safetensors)
    lock                  held by the process that trains
"""

import fcntl
import json
import os
import platform
import re
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from glassviz.errors import GlassvizError, UsageError
from glassviz.files import PARTIAL_SUFFIX, replacing, telling_no_room
from glassviz.training.config import TrainConfig
from glassviz.training.run_folder.comparison import compare

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
        with telling_no_room(path, len(holder)):
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
