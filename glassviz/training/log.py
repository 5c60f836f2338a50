"""Logs of a training run, as CSV, JSON lines and TensorBoard events, and their learning curves."""

import csv
import json
import math
import re
import struct
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from fnmatch import fnmatchcase
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from glassviz.envs.bodies import tasks
from glassviz.errors import GlassvizError, UsageError
from glassviz.files import (
    MissingFileError,
    StrPath,
    append,
    as_paths,
    read_bytes,
    read_text,
    replacing,
)
from glassviz.rollout.batch import Failed, for_each
from glassviz.text import LONGEST_PATH, listed, parse_json, printable

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
            f"{_shown(','.join(found))}: correct the file, or move it away"
        )
    return rows


def _step_of_row(columns: int, line: bytes) -> int:
    step, *others = line.decode().split(",")
    if len(others) != columns - 1:
        raise ValueError("not a whole row")
    return _step(step)


def _step_of_record(line: bytes) -> int:
    return int(parse_json(line)["env_steps"])


CONTROLLERS = ("pi", "mppi")
TRAINING = "training"
"""In place of a controller, for what is measured while training."""

_LOG = re.compile(r"seed_(\d+)\.csv", re.ASCII)
_RESTART = re.compile(r"restart_\d+")
_INTEGER = re.compile(r"\+?\d{1,19}", re.ASCII)
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?|[+-]?(inf|infinity|nan)", re.ASCII | re.I)
LARGEST_STEP = 2**63 - 1
MAX_LOG_BYTES = 64 << 20
LARGEST = 1e100
"""Larger numbers count as infinite: their differences may overflow."""


@dataclass(frozen=True)
class Curve:
    """Evaluations of one training under one controller, or what was measured while it trained.

    Attributes:
        controller: or `TRAINING`.
        x: environment steps, or another quantity that grows with them.
        y: mean return, or another quantity; NaN where the log has no number.
        training, trainings: which training of the seed's log it is, from 1, and how many there are.
        restarts: where on the x-axis the training began anew.
        begins: where it began, in steps: after those of the agent that it started from, which all
            other steps include.
    """

    seed: int
    controller: str
    x: tuple[int | float, ...]
    y: tuple[float, ...]
    training: int = 1
    trainings: int = 1
    restarts: tuple[int | float, ...] = ()
    begins: int = 0

    def after(self, past: int) -> "Curve":
        """The curve of a training that started from an agent with this many steps."""
        return replace(
            self,
            x=tuple(past + step for step in self.x),
            restarts=tuple(past + step for step in self.restarts),
            begins=past,
        )


@dataclass(frozen=True)
class Run:
    """The learning curves of all seeds of a run folder.

    Attributes:
        curves: by seed, then training, then controller; a controller without evaluations has none.
        task: such as `hopper-hop`; None if unknown.
    """

    name: str
    curves: tuple[Curve, ...]
    task: str | None = None

    @property
    def seeds(self) -> int:
        """Number of seeds with a curve."""
        return len({curve.seed for curve in self.curves})


def _nothing(line: str) -> None:
    """No-op."""


def read_runs(
    folders: StrPath | Sequence[StrPath], tell: Callable[[str], None] = _nothing
) -> list[Run | Failed]:
    """Read run folders, each named by the shortest unique end of its path.

    A folder without logs stands for the run folders in it. A folder that cannot be read does not
    stop the others.

    Args:
        tell: called with each remark on a log; see `read_run`.
    """
    found = [run for folder in as_paths(folders) for run in _run_folders(folder)]
    paths = [folder.resolve() for folder in found]
    names = [path.name for path in paths]
    for depth in range(2, max(len(path.parts) for path in paths) + 1):
        names = [
            str(Path(*path.parts[-depth:])) if names.count(name) > 1 else name
            for path, name in zip(paths, names, strict=True)
        ]
    return for_each(
        zip(found, map(printable, names), strict=True),
        lambda each: read_run(*each, tell),
        lambda each, error: Failed(each[1], each[0], None, str(error)),
    )


def _run_folders(folder: Path) -> list[Path]:
    """The folder itself, or the run folders in it where it has no logs."""
    try:
        inside = [] if _logs_in(folder) else sorted(folder.iterdir())
        return [each for each in inside if each.is_dir() and _logs_in(each)] or [folder]
    except OSError:  # reading it says why
        return [folder]


def _logs_in(folder: Path) -> dict[int, Path]:
    """Logs `seed_N.csv` by seed."""
    matches = ((_LOG.fullmatch(path.name), path) for path in folder.iterdir())
    return {int(match[1]): path for match, path in matches if match}


def read_run(folder: StrPath, name: str, tell: Callable[[str], None] = _nothing) -> Run:
    """Read `seed_N.csv` of every seed in a run folder.

    The columns are found by their names, in any order, among others, with spaces, quotes or upper
    case, separated by commas, semicolons or tabs. Evaluation types other than the two controllers
    and restarts are skipped, and so is an incomplete last line of a training that is running. A
    return that is no finite number is a gap.

    If a step occurs twice, the later line counts. Steps that go back are, see `_trainings`, a
    training that was resumed, or another training in the same file; the curves of several
    trainings are kept apart.

    Args:
        tell: called with each remark on a log: several trainings, a resumption, gaps, a line that
            is left out.

    Raises:
        GlassvizError: there is no log, no evaluation, or a damaged line.
    """
    folder = Path(folder)
    try:
        logs = _logs_in(folder) if folder.is_dir() else {}
    except OSError as error:
        raise GlassvizError(f"{folder}: cannot be read: {error.strerror}") from None
    if not logs:
        if not folder.is_dir():
            raise MissingFileError(folder, "a run folder with logs seed_N.csv", what="folder")
        raise GlassvizError(
            f"{folder}: expected a run folder with logs seed_N.csv, or a folder of these, found "
            f"none: name a folder written by `glassviz train`"
        )
    curves = [
        curve.after(_past(folder / f"seed_{seed}" / "run.json"))
        for seed, path in sorted(logs.items())
        for curve in read_curves(seed, path, tell)
    ]
    if not curves:
        raise GlassvizError(
            f"{folder}: expected evaluations in "
            f"{listed(path.name for _, path in sorted(logs.items()))}, found none: wait for the "
            f"first one"
        )
    return Run(printable(name, LONGEST_PATH), tuple(curves), _task_of(folder, sorted(logs)))


def _task_of(folder: Path, seeds: Iterable[int]) -> str | None:
    """The task of a run: of its configurations, else of the name of its folder; None if unknown.

    Published folders are named `<Task>_<tag>`, ours by default `<task>_<recipe>`.
    """
    found = {_configured_task(folder / f"seed_{seed}" / "train.json") for seed in seeds} - {None}
    if found:
        return found.pop() if len(found) == 1 else None
    name = folder.resolve().name.partition("_")[0]
    words = _WORD.findall(name)
    if len(words) > 1 and "".join(words) == name:
        return "-".join(words).lower()
    return name if name in tasks() else None


def _past(path: Path) -> int:
    """Environment steps of the agent that a seed started from; 0 if there is none, or unknown."""
    try:
        steps = parse_json(read_text(path, "a record"))["starts"][0]["init"]["env_steps"]
    except (GlassvizError, ValueError, KeyError, TypeError, IndexError):
        return 0
    return steps if isinstance(steps, int) and 0 <= steps <= LARGEST_STEP // 2 else 0


def grouped(runs: Sequence[Run], patterns: Sequence[str]) -> list[Run]:
    """Runs of one group as one run, named by the pattern; others stay as they are.

    A run belongs to the first shell pattern, such as `glass-*`, that its name fits. The seeds of a
    group are numbered anew.

    Raises:
        UsageError: a pattern fits no run.
    """
    groups: dict[str, list[Run]] = {pattern: [] for pattern in patterns}
    kept: list[Run] = []
    for run in runs:
        pattern = next((each for each in patterns if fnmatchcase(run.name, each)), None)
        (kept if pattern is None else groups[pattern]).append(run)
    for pattern, members in groups.items():
        if not members:
            raise UsageError(
                f"--group: expected a pattern of names of runs, found {pattern!r}, which fits none "
                f"of {listed(run.name for run in runs)}"
            )
    return [*(_merged(pattern, members) for pattern, members in groups.items()), *kept]


def _merged(name: str, runs: Sequence[Run]) -> Run:
    seeds = dict.fromkeys((i, curve.seed) for i, run in enumerate(runs) for curve in run.curves)
    number = {seed: n for n, seed in enumerate(seeds, start=1)}
    curves = [
        replace(curve, seed=number[i, curve.seed])
        for i, run in enumerate(runs)
        for curve in run.curves
    ]
    tasks = {run.task for run in runs}
    return Run(printable(name), tuple(curves), tasks.pop() if len(tasks) == 1 else None)


_WORD = re.compile(r"[A-Z][a-z0-9]*", re.ASCII)


def _configured_task(path: Path) -> str | None:
    """The task that a training's configuration names; None if it cannot be read."""
    try:
        task = parse_json(read_text(path, "a configuration"))["agent"]["env"]["task"]
    except (GlassvizError, ValueError, KeyError, TypeError):
        return None
    return task if isinstance(task, str) else None


@dataclass(frozen=True)
class _Row:
    """A line of a log; `value` is None where it has no finite number."""

    line: int
    step: int
    value: float | None
    kind: str


@dataclass
class _Training:
    """The rows of one training, by kind and step, and the line it begins in."""

    line: int
    rows: dict[str, dict[int, float]] = field(default_factory=dict)
    steps: list[int] = field(default_factory=list)

    @property
    def last(self) -> int:
        return self.steps[-1]

    @property
    def next(self) -> int:
        """Where its next evaluation is expected: as far on as the one before was."""
        before = self.steps[-2] if len(self.steps) > 1 else 0
        return 2 * self.last - before

    def takes(self, row: _Row) -> bool:
        """Whether the row goes on from here: a later step, or more of the last one."""
        return row.step > self.last or (row.step == self.last and self.lacks(row))

    def lacks(self, row: _Row) -> bool:
        return row.step not in self.rows.get(row.kind, {})

    def add(self, row: _Row) -> None:
        """Add a row; those after its step, which a resumed training logs again, are dropped."""
        if self.steps and row.step < self.last:
            self.steps = [step for step in self.steps if step < row.step]
            for points in self.rows.values():
                for step in [step for step in points if step >= row.step]:
                    del points[step]
        if not self.steps or row.step > self.last:
            self.steps.append(row.step)
        value = math.nan if row.value is None else row.value
        self.rows.setdefault(row.kind, {})[row.step] = value


def _trainings(path: Path, rows: Iterable[_Row], tell: Callable[[str], None]) -> list[_Training]:
    """The trainings that wrote a log.

    Within a training, steps rise. A row below all that could go on with it goes back. Back to more
    than half of the last step, it is a training that was resumed from a save: what came after its
    step is dropped, as it is logged again. Back to half or less, another training begins. Once
    there are several, each row goes to the one whose next evaluation is expected nearest to it,
    since two processes may have written at the same time.
    """
    found: list[_Training] = []
    for row in rows:
        going = [each for each in found if each.takes(row)]
        repeated = [each for each in found if each.last == row.step]
        resumed = [each for each in found if each.last > row.step > each.last / 2]
        if going:
            # Of equally near ones, the newest.
            into = min(reversed(going), key=lambda each: _distance(each, row))
        elif repeated:
            into = repeated[-1]
        elif resumed:
            into = min(resumed, key=lambda each: each.last)
            tell(
                f"{path}, line {row.line}: steps go back from {into.last} to {row.step}: read as a "
                f"training that was resumed, whose later lines count"
            )
        else:
            into = _Training(row.line)
            if found:
                tell(
                    f"{path}, line {row.line}: steps go back from {found[-1].last} to {row.step}: "
                    f"training {len(found) + 1} in this file, drawn apart from the one before"
                )
            found.append(into)
        into.add(row)
    return found


def _distance(training: _Training, row: _Row) -> int:
    return 0 if row.step == training.last else abs(row.step - training.next)


def read_curves(
    seed: int, path: StrPath, tell: Callable[[str], None] = _nothing, column: str = "reward"
) -> Iterator[Curve]:
    """The curves of a column of a log, by training and controller.

    Raises:
        GlassvizError: it cannot be read, or a line is damaged.
    """
    path = Path(path)
    rows = [
        row
        for row in _rows(path, seed, tell, column)
        if row.kind in CONTROLLERS or _is_restart(row.kind)
    ]
    gaps = [row for row in rows if row.value is None and row.kind in CONTROLLERS]
    if gaps and column == "reward":  # other measures may not exist, such as the time to an event
        tell(
            f"{path}, line {listed((str(row.line) for row in gaps), most=6)}: the return is no "
            f"finite number: a gap in the curve"
        )
    trainings = _trainings(path, rows, tell)
    for number, training in enumerate(trainings, start=1):
        steps = (
            step for kind in training.rows if _is_restart(kind) for step in training.rows[kind]
        )
        restarts = tuple(sorted(set(steps)))
        for controller in CONTROLLERS:
            points = sorted(training.rows.get(controller, {}).items())
            if any(math.isfinite(value) for _, value in points):
                at, values = zip(*points, strict=True)
                yield Curve(seed, controller, at, values, number, len(trainings), restarts)


def column_names(path: StrPath) -> list[str]:
    """The names of the columns of a log.

    Raises:
        GlassvizError: it cannot be read.
    """
    header, *_ = read_text(path, "a log", MAX_LOG_BYTES).splitlines() or [""]
    return _names(header, _delimiter(header))


def _delimiter(header: str) -> str:
    return max(",;\t", key=header.count)


def _names(header: str, delimiter: str) -> list[str]:
    return [name.strip().lower() for name in _fields(header, delimiter) or []]


def _rows(path: Path, seed: int, tell: Callable[[str], None], column: str) -> list[_Row]:
    """The rows of a log with the values of a column, in the order of its lines.

    Raises:
        GlassvizError: it cannot be read, or a line is damaged.
    """
    text = read_text(path, "a log", MAX_LOG_BYTES).replace("\r\n", "\n").replace("\r", "\n")
    header, *lines = text.split("\n")
    delimiter = _delimiter(header)
    names = _names(header, delimiter)
    wanted = tuple(column if name == "reward" else name for name in COLUMNS)
    if any(names.count(name) != 1 for name in wanted):
        found = _shown(header) if text.strip() else "an empty file"
        raise GlassvizError(
            f"{path}, line 1: expected the columns {','.join(wanted)}, found {found}"
        )
    places = [names.index(name) for name in wanted]
    rows = []
    for number, line in enumerate(lines, start=2):
        if not line.strip():
            continue
        # An incomplete number at the end of the file could look like a whole one.
        cut = number == len(lines) + 1 and names[-1] in ("step", column)
        fields = _fields(line, delimiter)
        try:
            if cut or fields is None or len(fields) != len(names):
                raise ValueError("not a whole row")
            step, reward, kind, of_seed = (fields[place].strip() for place in places)
            kind = kind.lower()
            row = _Row(number, _step(step), None if not reward else _number(reward), kind)
            if not kind or _step(of_seed) != seed:
                raise ValueError("not of this seed")
            # An empty field is a gap, unless the line was being written.
            if number == len(lines) + 1 and not reward and not _is_restart(kind):
                raise ValueError("not a whole row")
        except ValueError:
            if number == len(lines) + 1:
                tell(f"{path}, line {number}: incomplete, as if it were being written: left out")
                break
            what = "return" if column == "reward" else column
            raise GlassvizError(
                f"{path}, line {number}: expected {delimiter.join(names)} with a step from 0, a "
                f"finite {what} and the seed {seed} of the file's name, found {_shown(line)}: "
                f"correct or delete the line"
            ) from None
        rows.append(row)
    return rows


def _fields(line: str, delimiter: str) -> list[str] | None:
    """The fields of a line; None if it is no CSV."""
    try:
        reader = csv.reader([line], delimiter=delimiter, skipinitialspace=True, strict=True)
        return next(reader, None)
    except csv.Error:  # a quote without its partner, a field that is too long, a NUL
        return None


def _is_restart(kind: str) -> bool:
    return _RESTART.fullmatch(kind) is not None


def _step(text: str) -> int:
    """A number of steps: `250000`, `250000.0` or `2.5e5`.

    Raises:
        ValueError: it is negative, not whole, or beyond 64 bits.
    """
    text = text.strip()
    if _INTEGER.fullmatch(text):
        step = int(text)
    else:
        value = _number(text)
        step = -1 if value is None or not value.is_integer() else int(value)
    if not 0 <= step <= LARGEST_STEP:
        raise ValueError("no number of steps")
    return step


def _number(text: str) -> float | None:
    """A number; None if it is not finite.

    Raises:
        ValueError: it is no number.
    """
    if not _NUMBER.fullmatch(text):
        raise ValueError("no number")
    value = float(text)
    return value if abs(value) <= LARGEST else None


def _shown(line: str) -> str:
    """A line for a message, printable and quoted."""
    return repr(printable(line, limit=60))
