"""Logs of a training run, as CSV, JSON lines and TensorBoard events, and their learning curves."""

import csv
import json
import math
import re
import struct
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from glassviz.errors import GlassvizError, UsageError
from glassviz.files import StrPath, append, as_paths, replacing
from glassviz.text import LONGEST_PATH, printable

if TYPE_CHECKING:
    from glassviz.rollout.evaluate import Evaluation

FILE = "events.out.tfevents"
"""TensorBoard reads files with `tfevents` in their name."""


class EventFile:
    """A TensorBoard event file with scalars over environment steps.

    Raises:
        UsageError: the extra is not installed.
    """

    def __init__(self, folder: Path) -> None:
        try:
            import tensorboardX.proto.event_pb2 as event_pb2
            import tensorboardX.proto.summary_pb2 as summary_pb2
            from tensorboardX.record_writer import masked_crc32c
        except ModuleNotFoundError as error:
            raise UsageError(
                f"TensorBoard log: the package {error.name} is not installed: "
                f"pip install 'glassviz[tensorboard]', or train without --tensorboard"
            ) from None
        self.path = folder / FILE
        self._event, self._summary = event_pb2.Event, summary_pb2.Summary
        self._checksum = masked_crc32c

    def append(self, record: Mapping[str, Any]) -> None:
        """Add the scalars of a record of `metrics.jsonl`."""
        append(self.path, self._encoded(record))

    def rewrite(self, records: Iterable[Mapping[str, Any]]) -> None:
        """Replace the content of the file by these records."""
        header = self._event(wall_time=0.0, file_version="brain.Event:2")
        with replacing(self.path) as partial, partial.open("wb") as file:
            file.write(self._framed(header.SerializeToString()))
            for record in records:
                file.write(self._encoded(record))

    def _encoded(self, record: Mapping[str, Any]) -> bytes:
        value = self._summary.Value
        values = [value(tag=tag, simple_value=x) for tag, x in scalars(record).items()]
        now, summary = record["clock"]["time"], self._summary(value=values)
        event = self._event(wall_time=now, step=record["env_steps"], summary=summary)
        return self._framed(event.SerializeToString())

    def _framed(self, data: bytes) -> bytes:
        """A TFRecord, little-endian: length, its checksum, data, its checksum."""
        length = struct.pack("<Q", len(data))
        parts = [(part, struct.pack("<I", self._checksum(part))) for part in (length, data)]
        return b"".join(part + checksum for part, checksum in parts)


def scalars(record: Mapping[str, Any]) -> dict[str, float]:
    """The numbers in a record of `metrics.jsonl`, by TensorBoard tag."""
    match record["kind"]:
        case "evaluation":
            return {f"return/{record['controller']}": record["mean"]}
        case "restart":
            return {f"restart/{record['reason']}": record["value"]}
    clock = {f"clock/{name}": value for name, value in record["clock"].items() if name != "time"}
    values = {f"train/{name}": value for name, value in record.items() if name not in _NO_SCALARS}
    return {tag: value for tag, value in (values | clock).items() if value is not None}


_NO_SCALARS = frozenset({"kind", "env_steps", "clock"})
COLUMNS = ("step", "reward", "eval_type", "seed")

_MEASURES = ("full_reward_rate", "standing_rate", "fall_count", "time_to_first_full")
DIAGNOSTIC_COLUMNS = ("step", "eval_type", "seed", *_MEASURES)
_NO_CLOCK: Mapping[str, float | int] = MappingProxyType({})


class RunLog:
    """The log files of one seed. No file is kept open between calls.

    Args:
        folder: run folder.
        tensorboard: whether to write TensorBoard events too, into `folder/seed_N`. After `rewind`
            they cover the whole past of the run, even if they were not written before.

    Raises:
        UsageError: `tensorboard` is True and the extra is not installed.
    """

    def __init__(self, folder: StrPath, seed: int, tensorboard: bool = False) -> None:
        folder = Path(folder)
        self.returns = folder / f"seed_{seed}.csv"
        self.diagnostics = folder / f"seed_{seed}_diag.csv"
        self.records = folder / f"seed_{seed}_metrics.jsonl"
        self.seed = seed
        self._events = EventFile(folder / f"seed_{seed}") if tensorboard else None

    def start(self) -> None:
        """Create the files, with column names only."""
        _rewrite(self.returns, [_row(COLUMNS)])
        _rewrite(self.diagnostics, [_row(DIAGNOSTIC_COLUMNS)])
        _rewrite(self.records, [])
        if self._events:
            self._events.rewrite([])

    def append(self, evaluation: "Evaluation") -> None:
        """Add an evaluation of one controller."""
        step, controller = evaluation.env_steps, evaluation.controller
        append(self.returns, _row((step, round(evaluation.mean, 3), controller, self.seed)))
        measures = [getattr(evaluation, name) for name in _MEASURES]
        rounded = ["" if value is None else round(value, 4) for value in measures]
        append(self.diagnostics, _row((step, controller, self.seed, *rounded)))
        self._record("evaluation", evaluation.to_dict())

    def restart(self, attempt: int, env_steps: int, reason: str, value: float) -> None:
        """Add a restart of the agent.

        Args:
            attempt: number of the restart, from 1.
            reason: the value that was too low: `best_mppi`, the planner's best return, or the
                signal of a bad basin.
            value: of that quantity.
        """
        reward = round(value, 3) if reason == "best_mppi" else ""
        append(self.returns, _row((env_steps, reward, f"restart_{attempt}", self.seed)))
        found = {"env_steps": env_steps, "attempt": attempt, "reason": reason, "value": value}
        self._record("restart", found)

    def metrics(
        self,
        env_steps: int,
        values: Mapping[str, float | int],
        clock: Mapping[str, float | int] = _NO_CLOCK,
    ) -> None:
        """Add the metrics of a round.

        Args:
            values: losses, diagnostics and counts by name; values that are not finite become null.
            clock: values that depend on the machine's speed, such as updates per second.
        """
        self._record("round", {"env_steps": env_steps, **values}, clock)

    def rewind(self, env_steps: int) -> None:
        """Drop the lines after `env_steps`, which a resumed run logs again.

        Truncated lines are dropped too, and missing files are created.
        """
        for path, columns in ((self.returns, COLUMNS), (self.diagnostics, DIAGNOSTIC_COLUMNS)):
            step_of = partial(_step_of_row, len(columns))
            _rewrite(path, [_row(columns), *_lines_until(path, env_steps, step_of)])
        records = _lines_until(
            self.records, env_steps, lambda row: int(json.loads(row)["env_steps"])
        )
        _rewrite(self.records, records)
        if self._events:
            self._events.rewrite(map(json.loads, records))

    def _record(
        self, kind: str, values: Mapping[str, Any], clock: Mapping[str, float | int] = _NO_CLOCK
    ) -> None:
        now = {"time": round(time.time(), 3)}
        record = _plain({"kind": kind, **values, "clock": {**now, **clock}})
        append(self.records, json.dumps(record).encode() + b"\n")
        if self._events:
            self._events.append(record)


def _row(values: Iterable[object]) -> bytes:
    return ",".join(map(str, values)).encode() + b"\n"


def _plain(value: Any) -> Any:
    """Plain containers for JSON; numbers that are not finite become None."""
    if isinstance(value, Mapping):
        return {name: _plain(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if value is None or isinstance(value, str | int):
        return value
    return float(value) if math.isfinite(value) else None


def _rewrite(path: Path, lines: list[bytes]) -> None:
    data = b"".join(lines)
    with replacing(path, len(data)) as partial:
        partial.write_bytes(data)


def _lines_until(path: Path, env_steps: int, step_of: Callable[[bytes], int]) -> list[bytes]:
    """The valid lines of `path` up to a step, unchanged."""
    kept = []
    for line in path.read_bytes().splitlines(keepends=True) if path.exists() else []:
        try:
            if line.endswith(b"\n") and step_of(line) <= env_steps:
                kept.append(line)
        except (ValueError, KeyError, TypeError):
            continue
    return kept


def _step_of_row(columns: int, line: bytes) -> int:
    step, *others = line.split(b",")
    if len(others) != columns - 1:
        raise ValueError("not a whole row")
    return int(step)


CONTROLLERS = ("pi", "mppi")
_LOG = re.compile(r"seed_(\d+)\.csv")
_RESTART = re.compile(r"restart_\d+")


@dataclass(frozen=True)
class Curve:
    """Evaluations of one seed under one controller: mean returns by the step of training."""

    seed: int
    controller: str
    env_steps: tuple[int, ...]
    returns: tuple[float, ...]


@dataclass(frozen=True)
class Run:
    """The learning curves of all seeds of a run folder.

    Attributes:
        curves: by seed, then controller; a controller without evaluations has none.
        restarts: steps of restarts, by seed.
    """

    name: str
    curves: tuple[Curve, ...]
    restarts: dict[int, tuple[int, ...]]

    @property
    def seeds(self) -> int:
        """Number of seeds with a curve."""
        return len({curve.seed for curve in self.curves})


def read_runs(folders: StrPath | Sequence[StrPath]) -> list[Run]:
    """Read run folders, each named by the shortest unique end of its path.

    Raises:
        GlassvizError: as for `read_run`.
    """
    folders = as_paths(folders)
    paths = [folder.resolve() for folder in folders]
    names = [path.name for path in paths]
    for depth in range(2, max(len(path.parts) for path in paths) + 1):
        names = [
            str(Path(*path.parts[-depth:])) if names.count(name) > 1 else name
            for path, name in zip(paths, names, strict=True)
        ]
    return [read_run(folder, name) for folder, name in zip(folders, names, strict=True)]


def read_run(folder: StrPath, name: str) -> Run:
    """Read `seed_N.csv` of every seed in a run folder.

    Skips evaluation types other than the two controllers and restarts, and an incomplete last line
    of a training that is running. If a step occurs twice, the later line counts.

    Raises:
        GlassvizError: there is no log, no evaluation, or a damaged line.
    """
    folder = Path(folder)
    logs = {
        int(match[1]): path
        for path in (folder.iterdir() if folder.is_dir() else ())
        if (match := _LOG.fullmatch(path.name))
    }
    if not logs:
        found = "none" if folder.is_dir() else "no such folder"
        raise GlassvizError(
            f"{folder}: expected a run folder with logs seed_N.csv, found {found}: name a folder "
            f"written by `glassviz train`"
        )
    curves: list[Curve] = []
    restarts = {}
    for seed, path in sorted(logs.items()):
        by_type: dict[str, dict[int, float]] = {}
        for step, reward, kind in _rows(path):
            by_type.setdefault("restart" if _RESTART.fullmatch(kind) else kind, {})[step] = reward
        restarts[seed] = tuple(sorted(by_type.get("restart", ())))
        for controller in CONTROLLERS:
            if points := sorted(by_type.get(controller, {}).items()):
                curves.append(Curve(seed, controller, *map(tuple, zip(*points, strict=True))))
    if not curves:
        raise GlassvizError(
            f"{folder}: expected evaluations in {', '.join(logs[seed].name for seed in logs)}, "
            f"found none: wait for the first one"
        )
    return Run(printable(name, LONGEST_PATH), tuple(curves), restarts)


def _rows(path: Path) -> list[tuple[int, float, str]]:
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not text"
        raise GlassvizError(f"{path}: cannot be read: {reason}") from None
    lines = text.splitlines()
    if not lines or tuple(lines[0].split(",")) != COLUMNS:
        found = f"{lines[0][:60]!r}" if lines else "an empty file"
        raise GlassvizError(
            f"{path}, line 1: expected the columns {','.join(COLUMNS)}, found {found}"
        )
    rows = []
    for number, fields in enumerate(csv.reader(lines[1:]), start=2):
        try:
            step, reward, kind, _ = fields
            # A restart may have no return.
            empty = not reward and _RESTART.fullmatch(kind)
            row = int(step), 0.0 if empty else float(reward), kind
            if row[0] < 0 or not math.isfinite(row[1]):
                raise ValueError
        except ValueError:
            if number == len(lines) and not text.endswith("\n"):
                break
            raise GlassvizError(
                f"{path}, line {number}: expected step,reward,eval_type,seed with finite numbers, "
                f"found {lines[number - 1][:60]!r}: correct or delete the line"
            ) from None
        rows.append(row)
    return rows
