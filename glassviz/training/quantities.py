"""Quantities that the logs of a training have, besides its return over environment steps."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeGuard

import numpy as np

from glassviz.errors import GlassvizError, UsageError
from glassviz.files import StrPath, read_text
from glassviz.ledger.curves import TRAINING, Curve, Run, read_curves
from glassviz.ledger.rows import COLUMNS, LARGEST, LARGEST_STEP, MAX_LOG_BYTES, column_names
from glassviz.rollout.batch import Failed, for_each
from glassviz.text import listed, parse_json, printable

STEPS, UPDATES, HOURS = "env_steps", "updates", "hours"
RETURN = "return"
Points = dict[int, float]


@dataclass(frozen=True)
class _Logs:
    """The logs of a seed.

    Attributes:
        columns: of the evaluations' other measures.
        records: of `metrics.jsonl`, by environment step.
    """

    seed: int
    begins: int
    measures: Path
    columns: tuple[str, ...]
    records: tuple[Mapping[str, Any], ...]

    @property
    def rounds(self) -> dict[str, None]:
        """Names of all numbers that are logged while training, as an ordered set."""
        named: dict[str, None] = {}
        for record in self.records:
            named |= dict.fromkeys(_numbers(record))
        return named

    @property
    def x_names(self) -> list[str]:
        """Quantities for the x-axis."""
        clocked = any(HOURS in _times(record) for record in self.records)
        return [STEPS, *([UPDATES] if UPDATES in self.rounds else []), *([HOURS] * clocked)]

    @property
    def y_names(self) -> list[str]:
        """Quantities for the y-axis."""
        return [RETURN, *self.columns, *self.rounds]

    def series(self, of: Callable[[Mapping[str, Any]], Mapping[str, float]], name: str) -> Points:
        """A number of the records, by environment step; of two at a step, the later counts."""
        return {
            int(record[STEPS]): value
            for record in self.records
            if (value := of(record).get(name)) is not None
        }


def _numbers(record: Mapping[str, Any]) -> dict[str, float]:
    """The numbers of a round."""
    if record.get("kind") != "round":
        return {}
    clock = record.get("clock")
    both = {**record, **(clock if isinstance(clock, dict) else {})}
    return {
        name: float(value)
        for name, value in both.items()
        if name not in (STEPS, "time") and _is_number(value)
    }


def _is_number(value: object) -> TypeGuard[float]:
    return isinstance(value, int | float) and type(value) is not bool and abs(value) < LARGEST


def _times(record: Mapping[str, Any]) -> dict[str, float]:
    """The time of a record, hours since 1970."""
    clock = record.get("clock")
    time_s = clock.get("time") if isinstance(clock, dict) else None
    return {HOURS: time_s / 3600} if _is_number(time_s) else {}


def _read(folder: Path, seed: int, begins: int) -> _Logs:
    """The logs of a seed; those that are not there are empty.

    Raises:
        GlassvizError: one cannot be read.
    """
    measures = folder / f"seed_{seed}_diag.csv"
    columns: tuple[str, ...] = ()
    if measures.exists():
        others = (each for each in column_names(measures) if each not in COLUMNS)
        columns = tuple(map(printable, others))
    path = folder / f"seed_{seed}_metrics.jsonl"
    lines = read_text(path, "a log", MAX_LOG_BYTES).splitlines() if path.exists() else []
    records = []
    for number, line in enumerate(lines, start=1):
        try:
            record = parse_json(line)
            if not 0 <= int(record[STEPS]) == record[STEPS] <= LARGEST_STEP:
                raise ValueError("no number of steps")
        except (ValueError, KeyError, TypeError, OverflowError):
            if number == len(lines):  # as if it were being written
                break
            raise GlassvizError(
                f"{path}, line {number}: expected a JSON object with env_steps, found "
                f"{printable(line, limit=60)!r}: correct or delete the line"
            ) from None
        records.append(record)
    return _Logs(seed, begins, measures, columns, tuple(records))


def measured(
    rows: Sequence[Run | Failed],
    folders: Sequence[StrPath],
    x: str = STEPS,
    y: str = RETURN,
    tell: Callable[[str], None] = lambda line: None,
) -> list[Run | Failed]:
    """Runs with the curves of other quantities than their return over environment steps.

    What is logged while training, such as a loss, has one curve per seed, whose controller is
    `TRAINING`. A seed without the quantity is told and left out, a run without it fails.

    Args:
        rows: as `read_runs` reads `folders`.
        x: `env_steps`, `updates` or `hours` since the first record, where they are logged.
        y: `return`, a column of `seed_N_diag.csv`, or a number of the rounds of
            `seed_N_metrics.jsonl`.

    Raises:
        UsageError: no run has the quantity.
    """
    if (x, y) == (STEPS, RETURN):
        return list(rows)
    read = for_each(
        [
            row if isinstance(row, Failed) else (row, Path(folder))
            for row, folder in zip(rows, folders, strict=True)
        ],
        lambda each: (each[0], each[1], _of_seeds(*each)),
        lambda each, error: Failed(each[0].name, each[1], None, str(error)),
    )
    logs = [one for each in read if not isinstance(each, Failed) for one in each[2]]
    if logs:
        _check("--x", x, [name for one in logs for name in one.x_names])
        _check("--y", y, [name for one in logs for name in one.y_names])
    return for_each(
        read,
        lambda each: _run(*each, x, y, tell),
        lambda each, error: Failed(each[0].name, each[1], None, str(error)),
    )


def _of_seeds(run: Run, folder: Path) -> list[_Logs]:
    begins = {curve.seed: curve.begins for curve in run.curves}
    return [_read(folder, seed, past) for seed, past in begins.items()]


def _check(option: str, name: str, known: Sequence[str]) -> None:
    if name not in known:
        raise UsageError(
            f"{option}: expected a quantity that the logs have, found {printable(name)!r}: "
            f"choose among {_all(known)}"
        )


def _all(names: Sequence[str]) -> str:
    distinct = list(dict.fromkeys(names))
    return listed(distinct, most=len(distinct))


def _run(
    run: Run,
    folder: Path,
    logs: Sequence[_Logs],
    x: str,
    y: str,
    tell: Callable[[str], None],
) -> Run:
    curves: list[Curve] = []
    lacking: list[int] = []
    for one in logs:
        if x not in one.x_names or y not in one.y_names:
            lacking.append(one.seed)
            continue
        of_seed = [curve for curve in run.curves if curve.seed == one.seed]
        found = _curves(one, of_seed, y, tell)
        curves += found if x == STEPS else [_over(curve, one, x, folder) for curve in found]
    what = y if x == STEPS else f"{y} over {x}"
    if not curves:
        known = [name for one in logs for name in (*one.x_names, *one.y_names)]
        raise GlassvizError(f"{folder}: no {what} in its logs, which have {_all(known)}")
    if lacking:
        which = listed(map(str, lacking))
        tell(f"{folder}, seed {which}: left out, as there is no {what} in the logs")
    return replace(run, curves=tuple(curves))


def _curves(
    logs: _Logs, returns: Sequence[Curve], y: str, tell: Callable[[str], None]
) -> list[Curve]:
    """The curves of a quantity over environment steps."""
    if y == RETURN:
        return list(returns)
    restarts = returns[0].restarts if returns[0].trainings == 1 else ()
    if y in logs.columns:
        found = read_curves(logs.seed, logs.measures, tell, y)
        own = [curve.after(logs.begins) for curve in found]
    else:
        points = sorted(logs.series(_numbers, y).items())
        steps, values = zip(*points, strict=True)
        own = [Curve(logs.seed, TRAINING, steps, values).after(logs.begins)]
    return [replace(curve, restarts=restarts) for curve in own]


def _over(curve: Curve, logs: _Logs, x: str, folder: Path) -> Curve:
    """A curve over another quantity than environment steps, interpolated between its records."""
    if curve.trainings > 1:
        raise GlassvizError(
            f"{folder}, seed {logs.seed}: expected one training in its log for --x {x}, found "
            f"{curve.trainings}: leave --x out"
        )
    series = logs.series(_times if x == HOURS else _numbers, x)
    first = min(series.values()) if x == HOURS else 0.0
    steps = sorted(series)
    # A clock that was set back does not turn the curve back.
    values = np.maximum.accumulate([series[step] - first for step in steps])

    def at(env_steps: Sequence[int | float]) -> tuple[float, ...]:
        own = np.array(env_steps, dtype=float) - curve.begins
        return tuple(np.interp(own, steps, values).tolist())

    return replace(curve, x=at(curve.x), restarts=at(curve.restarts), begins=0)
