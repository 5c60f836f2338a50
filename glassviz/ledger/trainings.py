"""Which rows of a log belong to which training: several may have written into one file."""

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from glassviz.errors import GlassvizError
from glassviz.files import StrPath
from glassviz.ledger.rows import Row

MOST = 64
"""Trainings that one file may hold."""


@dataclass
class Training:
    """The rows of one training.

    Attributes:
        line: that it begins in.
        rows: values by kind and step.
        steps: all of them, rising.
        resumed: how often it went on from a save.
    """

    line: int
    rows: dict[str, dict[int, float]] = field(default_factory=dict)
    steps: list[int] = field(default_factory=list)
    resumed: int = 0

    @property
    def last(self) -> int:
        """The last step."""
        return self.steps[-1]

    @property
    def next(self) -> int:
        """Where its next evaluation is expected: as far on as the one before was."""
        before = self.steps[-2] if len(self.steps) > 1 else 0
        return 2 * self.last - before

    def takes(self, row: Row) -> bool:
        """Whether the row goes on from here: a later step, or more of the last one."""
        return row.step > self.last or (row.step == self.last and self.lacks(row))

    def lacks(self, row: Row) -> bool:
        """Whether there is no row of this kind at this step."""
        return row.step not in self.rows.get(row.kind, {})

    def add(self, row: Row) -> None:
        """Add a row; those after its step, which a resumed training logs again, are dropped."""
        if self.steps and row.step < self.last:
            while self.steps and self.steps[-1] >= row.step:
                step = self.steps.pop()
                for points in self.rows.values():
                    points.pop(step, None)
        if not self.steps or row.step > self.last:
            self.steps.append(row.step)
        value = math.nan if row.value is None else row.value
        self.rows.setdefault(row.kind, {})[row.step] = value


def apart(path: StrPath, rows: Iterable[Row], tell: Callable[[str], None]) -> list[Training]:
    """The trainings that wrote a log.

    Within a training, steps rise. A row below all that could go on with it goes back. Back to more
    than half of the last step, it is a training that was resumed from a save: what came after its
    step is dropped, as it is logged again. Back to half or less, another training begins. Once
    there are several, each row goes to the one whose next evaluation is expected nearest to it,
    since two processes may have written at the same time.

    Raises:
        GlassvizError: there are more than `MOST`.
    """
    found: list[Training] = []
    for row in rows:
        if len(found) == 1 and found[0].takes(row):  # nearly always
            found[0].add(row)
            continue
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
            into.resumed += 1
            tell(
                f"{path}, line {row.line}: steps go back from {into.last} to {row.step}: read as a "
                f"training that was resumed, whose later lines count"
            )
        elif len(found) == MOST:
            raise GlassvizError(
                f"{path}, line {row.line}: expected at most {MOST} trainings in one file, found "
                f"that steps go back once more: is it a log of evaluations?"
            )
        else:
            into = Training(row.line)
            if found:
                tell(
                    f"{path}, line {row.line}: steps go back from {found[-1].last} to {row.step}: "
                    f"training {len(found) + 1} in this file, drawn apart from the one before"
                )
            found.append(into)
        into.add(row)
    return found


def _distance(training: Training, row: Row) -> int:
    return 0 if row.step == training.last else abs(row.step - training.next)
