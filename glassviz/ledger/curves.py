"""Learning curves of run folders, as their logs have them."""

import math
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from pathlib import Path

import numpy as np

from glassviz.errors import GlassvizError, UsageError
from glassviz.files import MissingFileError, StrPath, as_paths, read_text
from glassviz.ledger.ledger import Ledger
from glassviz.ledger.phases import taken_apart
from glassviz.ledger.rows import (
    CONTROLLERS,
    LARGEST_STEP,
    Columns,
    Damaged,
    Table,
    evaluations,
    is_restart,
    read_table,
    shown,
)
from glassviz.ledger.trainings import apart
from glassviz.rollout.batch import Failed, for_each
from glassviz.text import LONGEST_PATH, listed, parse_json, printable

TRAINING = "training"
"""In place of a controller, for what is measured while training."""

_LOG = re.compile(r"seed_(\d+)\.csv", re.ASCII)


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
        color: #RRGGBB; None: any.
    """

    name: str
    curves: tuple[Curve, ...]
    task: str | None = None
    color: str | None = None

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

    If a step occurs twice, the later line counts. Steps that go back are, see `apart`, a
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
    return taken_apart(folder.resolve().name).task


def _past(path: Path) -> int:
    """Environment steps of the agent that a seed started from; 0 if there is none, or unknown."""
    try:
        steps = parse_json(read_text(path, "a record"))["starts"][0]["init"]["env_steps"]
    except (GlassvizError, ValueError, KeyError, TypeError, IndexError):
        return 0
    return steps if isinstance(steps, int) and 0 <= steps <= LARGEST_STEP // 2 else 0


def runs_of(ledger: Ledger) -> list[Run]:
    """The phases of a ledger as runs, each in its colour; those without an evaluation are left out.

    Trainings are numbered in place of seeds, as two of a phase may have the same seed. Evaluations
    of a log that names no controller stand with the planner's.
    """
    several = len({phase.task for phase in ledger.phases}) > 1
    runs = []
    for phase in ledger.phases:
        curves = []
        for number, training in enumerate(phase.trainings, start=1):
            for controller in CONTROLLERS:
                series = training.series.get(controller)
                if series is None and controller == "mppi":
                    series = training.evaluations(controller)
                if series is not None and np.isfinite(series.returns).any():
                    points = tuple(series.steps.tolist()), tuple(series.returns.tolist())
                    restarts = training.restarts
                    curves.append(Curve(number, controller, *points, restarts=restarts))
        if curves:
            name = f"{phase.task or 'unknown task'}/{phase.name}" if several else phase.name
            runs.append(Run(printable(name, LONGEST_PATH), tuple(curves), phase.task, phase.color))
    return runs


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


def _configured_task(path: Path) -> str | None:
    """The task that a training's configuration names; None if it cannot be read."""
    try:
        task = parse_json(read_text(path, "a configuration"))["agent"]["env"]["task"]
    except (GlassvizError, ValueError, KeyError, TypeError):
        return None
    return task if isinstance(task, str) else None


def read_curves(
    seed: int, path: StrPath, tell: Callable[[str], None] = _nothing, column: str = "reward"
) -> Iterator[Curve]:
    """The curves of a column of a log, by training and controller.

    Raises:
        GlassvizError: it cannot be read, or a line is damaged.
    """
    path = Path(path)
    found = read_table(path)
    columns = Columns(value=column)
    if any(found.names.count(name) != 1 for name in columns.names):
        first = shown(found.header) if found.header.strip() or found.lines else "an empty file"
        raise GlassvizError(
            f"{path}, line 1: expected the columns {','.join(columns.names)}, found {first}"
        )
    every, damaged = evaluations(found, columns, seed)
    for each in damaged:
        if not each.last:
            raise _damaged(path, found, column, seed, each)
        tell(f"{path}, line {each.line}: incomplete, as if it were being written: left out")
    rows = [row for row in every if row.kind in CONTROLLERS or is_restart(row.kind)]
    gaps = [row for row in rows if row.value is None and row.kind in CONTROLLERS]
    if gaps and column == "reward":  # other measures may not exist, such as the time to an event
        tell(
            f"{path}, line {listed((str(row.line) for row in gaps), most=6)}: the return is no "
            f"finite number: a gap in the curve"
        )
    trainings = apart(path, rows, tell)
    for number, training in enumerate(trainings, start=1):
        steps = (step for kind in training.rows if is_restart(kind) for step in training.rows[kind])
        restarts = tuple(sorted(set(steps)))
        for controller in CONTROLLERS:
            points = sorted(training.rows.get(controller, {}).items())
            if any(math.isfinite(value) for _, value in points):
                at, values = zip(*points, strict=True)
                yield Curve(seed, controller, at, values, number, len(trainings), restarts)


def _damaged(path: Path, found: Table, column: str, seed: int, damaged: Damaged) -> GlassvizError:
    what = "return" if column == "reward" else column
    return GlassvizError(
        f"{path}, line {damaged.line}: expected {found.delimiter.join(found.names)} with a step "
        f"from 0, a finite {what} and the seed {seed} of the file's name, found "
        f"{shown(damaged.text)}: correct or delete the line"
    )
