"""What one file says, by its content: evaluations in CSV or as events, or a run's settings."""

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float64, Int64

from glassviz.errors import GlassvizError
from glassviz.files import StrPath, read_text
from glassviz.ledger.rows import (
    UNNAMED,
    Columns,
    Damaged,
    Row,
    Table,
    evaluations,
    fields_of,
    is_restart,
    parse_number,
    parse_step,
    read_table,
    shown,
)
from glassviz.ledger.trainings import Training, apart
from glassviz.text import count_of, listed, parse_json, printable

PUBLISHED, RESULTS, EVALUATIONS, EXPORT, EVENTS, SETTINGS = (
    "seed_N.csv",
    "results.csv",
    "eval.csv",
    "W&B export",
    "TensorBoard events",
    "settings",
)
"""Formats, as tables call them."""

EVENTS_NAME = "tfevents"
SETTINGS_NAMES = ("train.json", "run.json")
MOST_KINDS = 64
"""Types of evaluation in one file."""

MOST_DAMAGED = 0.1
"""Share of damaged lines from which a file counts as none of these formats."""

_MAX_SETTINGS_BYTES = 1 << 20


class NotALogError(GlassvizError):
    """The file is none of the formats, or holds no evaluation; `reason` is the same without it.

    Args:
        reason: the same words for all files of one sort, so that they can be counted.
    """

    def __init__(self, path: StrPath, reason: str) -> None:
        self.reason = reason
        super().__init__(f"{path}: {reason}")


@dataclass(frozen=True, eq=False)
class Series:
    """Evaluations of one training under one controller.

    Attributes:
        steps: environment steps, rising.
        returns: mean return; NaN where the log has no number.
    """

    steps: Int64[np.ndarray, " n"]
    returns: Float64[np.ndarray, " n"]

    def __len__(self) -> int:
        return len(self.steps)


@dataclass(frozen=True, eq=False)
class Logged:
    """One training in a file.

    Attributes:
        seed: None where the content does not tell.
        name: that the content gives the run; empty if none.
        series: by controller (`pi`, `mppi`, or `eval` where it is not named) or other type of
            evaluation, such as `arb`.
        restarts: steps at which the agent began anew.
        resumed: how often the training went on from a save.
        part, parts: which of the trainings in the file it is, from 1, and how many there are.
        line: at which it begins.
    """

    seed: int | None
    series: Mapping[str, Series]
    name: str = ""
    restarts: tuple[int, ...] = ()
    resumed: int = 0
    part: int = 1
    parts: int = 1
    line: int = 1


@dataclass(frozen=True, eq=False)
class Log:
    """What a file says.

    Attributes:
        damaged: lines that were left out.
        incomplete: whether the last line is cut, or was being written.
        facts: of a file of settings.
    """

    format: str
    trainings: tuple[Logged, ...] = ()
    damaged: tuple[int, ...] = ()
    incomplete: bool = False
    facts: Mapping[str, Any] = field(default_factory=dict)


def read_log(path: StrPath) -> Log:
    """Read a file, whatever its format.

    Raises:
        NotALogError: it is of no known format, or holds no evaluation.
        GlassvizError: it cannot be read, or is damaged.
    """
    path = Path(path)
    if path.name in SETTINGS_NAMES:
        return _settings(path)
    if EVENTS_NAME in path.name:
        from glassviz.ledger.events import read_events

        rows, incomplete = read_events(path)
        return _log(path, EVENTS, rows, [], incomplete)
    found = read_table(path)
    names = found.names
    if not found.header.strip() and not any(line.strip() for line in found.lines):
        raise NotALogError(path, "an empty file")
    if {"step", "reward", "eval_type"} <= {*names}:
        columns = Columns(seed="seed" if "seed" in names else None)
        return _from_columns(path, PUBLISHED, found, columns)
    if "eval_type" in names or {"selected", "margin"} <= {*names}:
        raise NotALogError(path, "measures beside the evaluations, no returns")
    if {"step", "reward", "seed"} <= {*names}:
        return _from_columns(path, RESULTS, found, Columns(kind=None))
    return _from_wide(path, found)


# Formats ------------------------------------------------------------------------------------------


def _from_columns(path: Path, kind: str, found: Table, columns: Columns) -> Log:
    twice = [name for name in columns.names if found.names.count(name) > 1]
    if twice:
        raise GlassvizError(f"{path}, line 1: expected one column {twice[0]}, found several")
    return _log(path, kind, *evaluations(found, columns))


_STEPS = (
    "step",
    "env_steps",
    "env_step",
    "eval/step",
    "eval/env_step",
    "global_step",
    "timesteps",
    "total_steps",
    "_step",
)
"""Columns with steps, the surest first: `_step` of W&B counts what was logged."""

_RETURNS = (
    "reward|return|episode_reward|episode_return|mean_reward|mean_return|avg_reward|average_return"
    "|eval_return|eval_reward|eval_episode_reward|eval_episode_return"
)
_NAMED = re.compile(
    rf"(?:.*/)?(?:(?:{_RETURNS})[/_](?P<after>pi|mppi)|(?P<before>pi|mppi)_(?:{_RETURNS}))"
)
_PLAIN = re.compile(rf"(?:.*/)?(?:{_RETURNS})")
_WHILE_TRAINING = re.compile(r"(^|/)(train|training|rollout|collect)/")


def controller_of(name: str) -> str | None:
    """The controller whose return a column or a tag has; None if it is none of an evaluation.

    >>> controller_of("return/mppi"), controller_of("eval/episode_reward")
    ('mppi', 'eval')
    >>> controller_of("train/episode_reward") is None
    True
    """
    name = name.strip().lower()
    if len(name) > 200 or _WHILE_TRAINING.search(name):
        return None
    if named := _NAMED.fullmatch(name):
        return named["after"] or named["before"]
    return UNNAMED if _PLAIN.fullmatch(name) else None


def _from_wide(path: Path, found: Table) -> Log:
    """Returns in columns of their own: official `eval.csv`, or an export of W&B."""
    step = next((found.names.index(name) for name in _STEPS if name in found.names), None)
    header = [name.strip() for name in fields_of(found.header, found.delimiter) or ()]
    if step is None:
        raise NotALogError(path, f"no log: its columns are {_columns(header)}")
    kinds = {
        place: kind
        for place, name in enumerate(header)
        if " - " not in name and (kind := controller_of(name))
    }
    if kinds:
        seed = found.names.index("seed") if "seed" in found.names else None
        export = "_step" in found.names or "_runtime" in found.names
        rows, damaged = _wide_rows(found, step, {p: ("", kind) for p, kind in kinds.items()}, seed)
        return _log(path, EXPORT if export else EVALUATIONS, rows[""], damaged)
    runs: dict[int, tuple[str, str]] = {}
    for place, name in enumerate(header):
        run, dash, metric = name.rpartition(" - ")
        kind = controller_of(metric) if dash else None
        if kind:
            runs[place] = (run, kind)
    if not runs:
        raise NotALogError(path, f"no log: its columns are {_columns(header)}")
    by_run, damaged = _wide_rows(found, step, runs, None)
    logs = [_log(path, EXPORT, rows, damaged, name=run) for run, rows in by_run.items() if rows]
    if not logs:
        raise NotALogError(path, "no evaluation yet")
    return Log(
        EXPORT,
        tuple(each for log in logs for each in log.trainings),
        logs[0].damaged,
        logs[0].incomplete,
    )


def _columns(header: Sequence[str]) -> str:
    return printable(listed((name or "''" for name in header), most=3), 80)


def _wide_rows(
    found: Table, step: int, places: Mapping[int, tuple[str, str]], seed: int | None
) -> tuple[dict[str, list[Row]], list[Damaged]]:
    """Rows by run; cells without a value are left out."""
    rows: dict[str, list[Row]] = {run: [] for run, _ in places.values()}
    damaged = []
    for number, line, fields in found.fields():
        try:
            if fields is None:
                raise ValueError("not a whole row")
            cells = [(run, kind, fields[p].strip()) for p, (run, kind) in places.items()]
            cells = [cell for cell in cells if cell[2]]
            if not cells:
                continue
            at = parse_step(fields[step])
            of = parse_step(fields[seed]) if seed is not None and fields[seed].strip() else None
            new = [(run, Row(number, at, parse_number(x), kind, of)) for run, kind, x in cells]
        except ValueError:
            damaged.append(Damaged(number, line, number == found.last))
        else:
            for run, row in new:
                rows[run].append(row)
    return rows, damaged


_KIND = re.compile(r"[a-z0-9_.\-]{1,40}")


def _log(
    path: Path,
    kind: str,
    rows: Sequence[Row],
    damaged: Sequence[Damaged],
    incomplete: bool = False,
    name: str = "",
) -> Log:
    """The trainings of a file's rows.

    Raises:
        NotALogError: there is no evaluation.
        GlassvizError: too many lines are damaged.
    """
    lost = [each for each in damaged if not each.last]
    if len(lost) > MOST_DAMAGED * (len(rows) + len(lost)) and len(lost) > 1:
        raise GlassvizError(
            f"{path}, line {lost[0].line}: expected rows of evaluations, found "
            f"{count_of(len(lost), 'damaged line')} of {len(rows) + len(lost)}, the first is "
            f"{shown(lost[0].text)}"
        )
    kinds = {row.kind for row in rows}
    of_evaluations = {each for each in kinds if not is_restart(each)}
    if len(of_evaluations) > MOST_KINDS or not all(map(_KIND.fullmatch, of_evaluations)):
        raise GlassvizError(
            f"{path}: expected controllers such as pi and mppi as types of evaluation, found "
            f"{printable(listed(sorted(of_evaluations)), 100)}"
        )
    by_seed: dict[int | None, list[Row]] = {}
    for row in rows:
        by_seed.setdefault(row.seed, []).append(row)
    trainings: list[Logged] = []
    for seed, own in by_seed.items():
        parts = [each for each in apart(path, own, _nothing) if _evaluated(each)]
        for part, each in enumerate(parts, start=1):
            trainings.append(_logged(seed, name, each, part, len(parts)))
    if not trainings:
        raise NotALogError(path, "no evaluation yet")
    cut = incomplete or any(each.last for each in damaged)
    return Log(kind, tuple(trainings), tuple(each.line for each in lost), cut)


def _nothing(line: str) -> None:
    """No-op."""


def _evaluated(training: Training) -> bool:
    return any(points and not is_restart(kind) for kind, points in training.rows.items())


def _logged(seed: int | None, name: str, found: Training, part: int, parts: int) -> Logged:
    restarts = {step for kind, own in found.rows.items() if is_restart(kind) for step in own}
    series = {}
    for kind, points in found.rows.items():
        if points and not is_restart(kind):
            steps = np.fromiter(points.keys(), np.int64, len(points))
            returns = np.fromiter(points.values(), np.float64, len(points))
            if len(steps) > 1 and (np.diff(steps) < 0).any():
                order = np.argsort(steps)
                steps, returns = steps[order], returns[order]
            series[kind] = Series(steps, returns)
    return Logged(
        seed, series, name, tuple(sorted(restarts)), found.resumed, part, parts, found.line
    )


# Settings of our own runs -------------------------------------------------------------------------

_NO_SETTINGS = {
    "seed",
    "steps",
    "eval_every",
    "save_every",
    "eval_episodes_pi",
    "eval_episodes_mppi",
}
"""What may differ between the seeds of a phase."""

_SHAPING = (
    "knee_penalty_coef",
    "gait_fall_penalty",
    "gait_action_smooth",
    "soft_stand_bonus",
    "cluster_intrinsic_coef",
)


def _settings(path: Path) -> Log:
    """Facts about a run: of its configuration, or of its starts.

    Raises:
        NotALogError: it is another JSON file of this name.
    """
    try:
        read = parse_json(read_text(path, "settings of a run", _MAX_SETTINGS_BYTES))
        facts = _configured(read) if path.name == "train.json" else _started(read)
    except (ValueError, KeyError, TypeError, IndexError, AttributeError):
        raise NotALogError(path, "a JSON file that is not of a run folder") from None
    return Log(SETTINGS, facts=facts)


def _configured(read: Any) -> dict[str, Any]:
    settings = {name: value for name, value in read.items() if name not in _NO_SETTINGS}
    shaping = read["shaping"]
    packed = json.dumps(settings, sort_keys=True).encode()
    return {
        "task": str(read["agent"]["env"]["task"]),
        "steps": int(read["steps"]),
        "k_update": int(read["k_update"]),
        "glass": read["agent"].get("glass") is not None,
        "shaped": any(shaping.get(name) for name in _SHAPING),
        "settings": hashlib.sha256(packed).hexdigest()[:6],
    }


def _started(read: Any) -> dict[str, Any]:
    first = read["starts"][0]
    begins = (first.get("init") or {}).get("env_steps", 0)
    recipe = first.get("recipe")
    return {
        "recipe": recipe if isinstance(recipe, str) else None,
        "begins": begins if isinstance(begins, int) and 0 <= begins < 2**62 else 0,
    }


# In the index -------------------------------------------------------------------------------------


def packed(log: Log) -> bytes:
    """A log as bytes, for `unpacked`."""
    head = {
        "format": log.format,
        "damaged": log.damaged,
        "incomplete": log.incomplete,
        "facts": log.facts,
        "trainings": [
            {
                **{name: getattr(each, name) for name in _PLAIN_FIELDS},
                "series": {kind: len(series) for kind, series in each.series.items()},
            }
            for each in log.trainings
        ],
    }
    arrays = [
        part.tobytes()
        for each in log.trainings
        for series in each.series.values()
        for part in (series.steps, series.returns)
    ]
    return b"\n".join([json.dumps(head).encode(), b"".join(arrays)])


_PLAIN_FIELDS = ("seed", "name", "restarts", "resumed", "part", "parts", "line")


def unpacked(data: bytes) -> Log:
    """The log that `packed` made these bytes of.

    Raises:
        ValueError: they are others.
    """
    head, _, arrays = data.partition(b"\n")
    place = 0

    def taken(dtype: Any, count: int) -> Any:
        nonlocal place
        found = np.frombuffer(arrays, dtype, count, place)
        place += found.nbytes
        return found

    try:
        read = json.loads(head)
        trainings = []
        for each in read["trainings"]:
            series = {
                kind: Series(taken(np.int64, count), taken(np.float64, count))
                for kind, count in each.pop("series").items()
            }
            each["restarts"] = tuple(each["restarts"])
            trainings.append(Logged(series=series, **each))
        return Log(
            read["format"],
            tuple(trainings),
            tuple(read["damaged"]),
            read["incomplete"],
            read["facts"],
        )
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError(str(error)) from None
