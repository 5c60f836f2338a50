"""The ledger: trainings in phases, with what each reached."""

import math
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Literal

import numpy as np

from glassviz.ledger.logs import Series
from glassviz.ledger.phases import RULES, About, Rules
from glassviz.ledger.rows import UNNAMED
from glassviz.ledger.tree import Skipped
from glassviz.metrics.statistics import Share, share_interval

Mark = Literal[
    "running",
    "cut",
    "damaged",
    "resumed",
    "restarted",
    "policy only",
    "planner only",
    "one of several in its file",
    "same seed",
    "set aside",
    "same rows elsewhere",
    "copied",
]
"""What a reader of a training's numbers should know:

- running: its log changed a short while ago, and it has not reached its planned steps
- cut: the last line is incomplete; damaged: lines were left out
- resumed: it went on from a save, and what it logged again counts once
- restarted: the agent began anew, see `Training.restarts`
- policy only, planner only: no evaluation of the other controller
- one of several in its file: two processes wrote there, or one began again
- same seed: another training of the phase has the same seed and other rows
- set aside: its file is named as one that was put away, such as `seed_1.run2.csv`
- same rows elsewhere: a training of another phase or seed has the same rows
- copied: the same rows lie in other places, see `Training.copies`
"""

Verdict = Literal["yes", "no", "open"]
"""Whether a goal is met; open: there are too few trainings to say."""

LAST = 3
"""Evaluations whose mean stands beside the final one."""


@dataclass(frozen=True, eq=False)
class Training:
    """One training of one seed.

    Attributes:
        task: such as `hopper-hop`; None if unknown.
        phase: canonical name of its settings.
        tag: its folder's name without the task, which the phase comes from.
        seed: None if unknown.
        path: of the file; `copies` are others with the same rows, or the first of them.
        format: of the file.
        series: evaluations by controller: `pi`, `mppi`, or `eval` where the log names none; other
            types of evaluation, such as `arb`, by their names. Steps are environment steps, with
            those of the agent that it started from.
        restarts: steps at which the agent began anew.
        part, parts: which of the trainings in the file it is, from 1, and how many there are.
        marks: in the order of `Mark`.
        modified_s: when the file changed last, in seconds since 1970.
        planned_steps: None if unknown.
        recipe, settings, shaped, k_update: of our own run folders; `settings` is a hash. None where
            the folder does not tell.
    """

    task: str | None
    phase: str
    tag: str
    seed: int | None
    path: Path
    format: str
    series: Mapping[str, Series]
    restarts: tuple[int, ...] = ()
    part: int = 1
    parts: int = 1
    marks: tuple[Mark, ...] = ()
    copies: tuple[Path, ...] = ()
    modified_s: float = 0.0
    planned_steps: int | None = None
    recipe: str | None = None
    settings: str | None = None
    shaped: bool | None = None
    k_update: int | None = None

    @property
    def name(self) -> str:
        """What distinguishes it in its phase: `seed 3`, `seed 9 (2 of 2 in its file)`."""
        seed = "seed ?" if self.seed is None else f"seed {self.seed}"
        return f"{seed} ({self.part} of {self.parts} in its file)" if self.parts > 1 else seed

    @property
    def steps(self) -> int:
        """The last step of any evaluation."""
        return max((int(each.steps[-1]) for each in self.series.values()), default=0)

    @property
    def running(self) -> bool:
        """Whether its log changed a short while ago."""
        return "running" in self.marks

    def evaluations(self, controller: str) -> Series | None:
        """Its evaluations under a controller, or those of which the log does not tell whose."""
        return self.series.get(controller) or self.series.get(UNNAMED)

    def reached(self, controller: str) -> "Reached | None":
        """What it reached under a controller; None without an evaluation of it."""
        found = self.evaluations(controller)
        return _reached(found, self.restarts) if found else None


@dataclass(frozen=True)
class Reached:
    """Returns that a training reached under one controller.

    Attributes:
        peak: the highest of all evaluations, a maximum over many noisy ones.
        peak_step: environment steps at it.
        final: of the last evaluation.
        last: mean of the last three, or of fewer if there are no more.
        evaluations: how many there are.
        attempts: the highest of each attempt, which restarts set apart; NaN for one without an
            evaluation.
    """

    peak: float
    peak_step: int
    final: float
    last: float
    evaluations: int
    attempts: tuple[float, ...]


def _reached(found: Series, restarts: Sequence[int]) -> Reached | None:
    finite = np.isfinite(found.returns)
    steps, returns = found.steps[finite], found.returns[finite]
    if not len(steps):
        return None
    best = int(np.argmax(returns))
    # The evaluation at a restart is what led to it.
    parts = np.split(returns, np.searchsorted(steps, restarts, side="right"))
    return Reached(
        peak=float(returns[best]),
        peak_step=int(steps[best]),
        final=float(returns[-1]),
        last=float(returns[-LAST:].mean()),
        evaluations=len(steps),
        attempts=tuple(float(part.max()) if len(part) else math.nan for part in parts),
    )


@dataclass(frozen=True, eq=False)
class Phase:
    """The trainings with the same settings.

    Attributes:
        tags: that were merged into its name, with the number of trainings of each.
        trainings: that count, by seed.
        set_aside: attempts that were put away while their seed has another log; they do not count,
            but are shown.
    """

    task: str | None
    name: str
    about: About
    color: str
    tags: Mapping[str, int]
    trainings: tuple[Training, ...]
    set_aside: tuple[Training, ...] = ()

    @property
    def shaped(self) -> bool | None:
        """Whether it was trained on another reward than the task's; None if unknown."""
        told = {each.shaped for each in self.trainings} - {None}
        return self.about.shaped if not told else True in told

    @property
    def k_update(self) -> int | None:
        """Gradient updates per 256 environment steps; None if unknown."""
        told = {each.k_update for each in self.trainings} - {None}
        return told.pop() if len(told) == 1 else self.about.k_update

    @property
    def settings(self) -> str:
        """Its settings in words; empty if unknown."""
        recipes = {each.recipe for each in self.trainings} - {None}
        if self.about.settings or len(recipes) != 1:
            return self.about.settings
        return f"recipe {recipes.pop()}, k {self.k_update}"


@dataclass(frozen=True, eq=False)
class Ledger:
    """What the trainings in trees reported.

    Attributes:
        trees: that were read.
        phases: by task and name.
        skipped: files and folders that were not read, with the reason.
        others: how many files of other kinds there are, by suffix.
        files: how many logs were looked at, and how many of them the index knew.
        rules: that named the phases.
    """

    trees: tuple[Path, ...]
    phases: tuple[Phase, ...]
    skipped: tuple[Skipped, ...] = ()
    others: Mapping[str, int] = field(default_factory=dict)
    files: int = 0
    known: int = 0
    rules: Rules = RULES

    @property
    def trainings(self) -> tuple[Training, ...]:
        """All trainings that count, in the order of the phases."""
        return tuple(each for phase in self.phases for each in phase.trainings)

    def __iter__(self) -> Iterator[Phase]:
        return iter(self.phases)

    def phase(self, name: str, task: str | None = None) -> Phase:
        """A phase by its name, of the first task that has it unless one is named.

        Raises:
            KeyError: there is none.
        """
        for each in self.phases:
            if each.name == name and task in (None, each.task):
                return each
        raise KeyError(name)

    def where(
        self,
        tasks: Collection[str] = (),
        phases: Collection[str] = (),
        min_steps: int = 0,
        running: bool = False,
    ) -> "Ledger":
        """The ledger of some trainings; phases without one are left out.

        Args:
            tasks, phases: shell patterns, such as `i10*`, one of which must fit; by default all.
            min_steps: environment steps that a training must have reached.
            running: whether it must be running.
        """

        def kept(trainings: Sequence[Training]) -> tuple[Training, ...]:
            return tuple(
                each
                for each in trainings
                if each.steps >= min_steps and (each.running or not running)
            )

        def fits(name: str, patterns: Collection[str]) -> bool:
            return not patterns or any(fnmatchcase(name, pattern) for pattern in patterns)

        found = tuple(
            replace(each, trainings=kept(each.trainings), set_aside=kept(each.set_aside))
            for each in self.phases
            if fits(each.task or "", tasks) and fits(each.name, phases)
        )
        return replace(self, phases=tuple(each for each in found if each.trainings))


@dataclass(frozen=True)
class PhaseSummary:
    """A row of the ledger.

    Attributes:
        n: trainings.
        seeds: distinct seeds among them.
        best: the highest peak of the planner, or of what the logs do not name; None without one.
        best_pi: of the policy prior.
        hits: trainings whose peak reaches the goal, among those with an evaluation.
        first_hits: the same with the peaks before any restart; None if nothing was restarted.
        goals: by name, of those that there are for the task.
        restarts: of agents within trainings, and attempts that were set aside.
        restarted: trainings with a restart.
        steps: fewest and most environment steps.
    """

    n: int
    seeds: int
    best: float | None
    best_pi: float | None
    hits: Share | None
    first_hits: Share | None
    goals: Mapping[str, Verdict]
    restarts: int
    set_aside: int
    restarted: int
    steps: tuple[int, int]


GOAL = 500.0


def summarise(
    phase: Phase, goal: float = GOAL, controller: str = "mppi", rules: Rules = RULES
) -> PhaseSummary:
    """The row of a phase.

    Args:
        goal: return that counts as a hit.
        controller: whose evaluations count.
    """
    reached = [each.reached(controller) for each in phase.trainings]
    known = [each for each in reached if each]
    policy = [
        found for each in phase.trainings if "pi" in each.series and (found := each.reached("pi"))
    ]
    restarted = sum(bool(each.restarts) for each in phase.trainings)
    first = [each.attempts[0] for each in known]
    return PhaseSummary(
        n=len(phase.trainings),
        seeds=len({each.seed for each in phase.trainings}),
        best=max((each.peak for each in known), default=None),
        best_pi=max((each.peak for each in policy), default=None),
        hits=share_interval(sum(each.peak >= goal for each in known), len(known)),
        first_hits=(
            share_interval(sum(peak >= goal for peak in first), len(first)) if restarted else None
        ),
        goals=_goals(phase, [each.peak for each in known], rules),
        restarts=sum(len(each.restarts) for each in phase.trainings),
        set_aside=len(phase.set_aside),
        restarted=restarted,
        steps=(
            min(each.steps for each in phase.trainings),
            max(each.steps for each in phase.trainings),
        ),
    )


def _goals(phase: Phase, peaks: Sequence[float], rules: Rules) -> dict[str, Verdict]:
    found: dict[str, Verdict] = {}
    for name, goal in rules.goals.items():
        if goal.task not in (None, phase.task) or not peaks:
            continue
        missed = any(peak < goal.reach for peak in peaks)
        if goal.unshaped and phase.shaped:
            found[name] = "no"
        elif goal.every:
            found[name] = "no" if missed else "yes" if len(peaks) >= goal.seeds else "open"
        else:
            hit = max(peaks) >= goal.reach
            found[name] = "yes" if hit else "no"
    return found
