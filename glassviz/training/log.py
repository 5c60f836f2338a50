"""Logs of a training run, as CSV, JSON lines and TensorBoard events."""

import json
import math
import struct
import time
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from glassviz.errors import GlassvizError, UsageError
from glassviz.files import (
    StrPath,
    append,
    read_bytes,
    replacing,
)
from glassviz.ledger.rows import COLUMNS, parse_step, shown
from glassviz.text import parse_json

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

        Raises:
            GlassvizError: a file cannot be read, or has other columns; none is changed then.
        """
        tables = {self.returns: COLUMNS, self.diagnostics: DIAGNOSTIC_COLUMNS}
        kept = {
            path: [_row(columns), *_rows_until(path, env_steps, columns)]
            for path, columns in tables.items()
        }
        records = _lines_until(self.records, env_steps, _step_of_record)
        for path, lines in kept.items():
            _rewrite(path, lines)
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
    data = read_bytes(path, "a log") if path.exists() else b""
    for line in data.splitlines(keepends=True):
        try:
            if line.endswith(b"\n") and step_of(line) <= env_steps:
                kept.append(line)
        except (ValueError, KeyError, TypeError):
            continue
    return kept


def _rows_until(path: Path, env_steps: int, columns: tuple[str, ...]) -> list[bytes]:
    """The rows of a CSV log up to a step, unchanged.

    Raises:
        GlassvizError: its columns are others, so that its rows would be lost or misread.
    """
    rows = _lines_until(path, env_steps, partial(_step_of_row, len(columns)))
    with_header = _lines_until(path, env_steps, lambda line: 0)[:1]
    found = [name.strip() for name in b"".join(with_header).decode(errors="replace").split(",")]
    if with_header and tuple(found) != columns:
        raise GlassvizError(
            f"{path}, line 1: expected the columns {','.join(columns)}, found "
            f"{shown(','.join(found))}: correct the file, or move it away"
        )
    return rows


def _step_of_row(columns: int, line: bytes) -> int:
    step, *others = line.decode().split(",")
    if len(others) != columns - 1:
        raise ValueError("not a whole row")
    return parse_step(step)


def _step_of_record(line: bytes) -> int:
    return int(parse_json(line)["env_steps"])
