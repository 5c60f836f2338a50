"""Phases of a ledger against each other: returns at equal steps, and at equal updates."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import combinations
from typing import Literal

import numpy as np
from jaxtyping import Float64

from glassviz.errors import GlassvizError, UsageError
from glassviz.ledger import Ledger, Phase, Training
from glassviz.ledger.ledger import LAST
from glassviz.metrics.statistics import (
    IQM_FROM,
    REPLICATES,
    BootstrapInterval,
    PermutationTest,
    Statistic,
    generator,
    holm,
    improvement_interval,
    rank_correlation_test,
    stratified_interval,
    stratified_test,
)
from glassviz.text import listed

Measure = Literal["peak", "last", "final"]
"""Of the evaluations up to a step: the highest, the mean of the last three, or the last."""

HIGHEST_RETURN = 1000.0
"""Of an episode of dm_control; returns of several tasks are divided by it."""

UPDATE_STEPS = 256
"""Environment steps that `Phase.k_update` counts updates for."""

TOLERANCE = 0.02
"""Logs are 250,112 steps apart, not 250,000: a step counts as reached this share before it."""


def measured(
    training: Training, measure: Measure, controller: str, at: int | None = None
) -> float | None:
    """The return of a training, or None if it has none or stopped before the step `at`."""
    found = training.evaluations(controller)
    if found is None:
        return None
    known = np.isfinite(found.returns)
    steps, returns = found.steps[known], found.returns[known]
    if at is not None:
        if not len(steps) or steps[-1] < (1 - TOLERANCE) * at:
            return None
        returns = returns[steps <= (1 + TOLERANCE) * at]
    if not len(returns):
        return None
    if measure == "peak":
        return float(returns.max())
    return float(returns[-LAST:].mean() if measure == "last" else returns[-1])


# What is compared ---------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class Pooled:
    """Phases that count as one, on the tasks that all compared ones have.

    Attributes:
        name: the phases' names, joined by `+`.
        color: #RRGGBB.
        k_update: gradient updates per 256 environment steps; None if unknown, or if they differ.
        trainings: by task.
    """

    name: str
    color: str
    k_update: int | None
    trainings: tuple[tuple[Training, ...], ...]


def pooled(ledger: Ledger, names: Sequence[str]) -> tuple[tuple[str | None, ...], list[Pooled]]:
    """The phases of some names, `A+B` for two that count as one, and the tasks that all have.

    Raises:
        UsageError: there are fewer than two names, a phase is unknown, or no task has all of them.
    """
    if len(set(names)) < 2 or len(set(names)) < len(names):
        raise UsageError(
            f"--compare: expected two different phases or more, found {listed(names) or 'none'}"
        )
    parts = [name.split("+") for name in names]
    known = {phase.name for phase in ledger.phases}
    for name in (each for own in parts for each in own):
        if name not in known:
            raise UsageError(
                f"--compare: expected phases of the ledger, found {name!r}: there are "
                f"{listed(sorted(known), most=20)}"
            )
    groups = [[phase for phase in ledger.phases if phase.name in own] for own in parts]
    tasks = [
        task
        for task in dict.fromkeys(phase.task for phase in ledger.phases)
        if all(any(phase.task == task for phase in group) for group in groups)
    ]
    if not tasks:
        raise UsageError(f"--compare: expected a task that {listed(names)} share, found none")
    return tuple(tasks), [
        _pool(name, group, tasks) for name, group in zip(names, groups, strict=True)
    ]


def _pool(name: str, phases: Sequence[Phase], tasks: Sequence[str | None]) -> Pooled:
    ratios = {phase.k_update for phase in phases}
    trainings = tuple(
        tuple(each for phase in phases if phase.task == task for each in phase.trainings)
        for task in tasks
    )
    return Pooled(name, phases[0].color, ratios.pop() if len(ratios) == 1 else None, trainings)


# At a step ----------------------------------------------------------------------------------------


@dataclass(frozen=True)
class PhaseReturns:
    """The returns of a phase.

    Attributes:
        steps: environment steps at which they are taken.
        values: by task and training; scores in [0, 1] if there are several tasks.
        of: how many trainings there are; those that are missing stopped earlier.
        mean, iqm: over trainings of all tasks, with stratified bootstrap intervals; the
            interquartile mean is None for fewer than four trainings.
    """

    name: str
    color: str
    steps: int
    values: tuple[tuple[float, ...], ...]
    of: int
    mean: BootstrapInterval
    iqm: BootstrapInterval | None

    @property
    def n(self) -> int:
        """Trainings that count."""
        return sum(map(len, self.values))


@dataclass(frozen=True)
class Pair:
    """Two phases.

    Attributes:
        improvement: mean over tasks of the probability that a training of `one` returns more.
        test: permutation of trainings between the two, within tasks.
        holm_p: p, adjusted for all pairs.
    """

    one: str
    other: str
    improvement: BootstrapInterval
    test: PermutationTest
    holm_p: float


@dataclass(frozen=True)
class Trend:
    """Whether returns grow with the update ratio: Kendall's τ over trainings."""

    ratios: tuple[int, ...]
    n: int
    test: PermutationTest


@dataclass(frozen=True)
class At:
    """Phases at equal environment steps, or at equal updates.

    Attributes:
        updates: None at equal steps.
        pairs: of every two.
        trend: None unless three update ratios or more are compared on one task.
    """

    steps: int | None
    updates: int | None
    phases: tuple[PhaseReturns, ...]
    pairs: tuple[Pair, ...]
    trend: Trend | None


@dataclass(frozen=True, eq=False)
class Comparison:
    """Phases against each other.

    Attributes:
        tasks: that all of them have.
        normalised: whether values are scores, returns divided by 1000.
        at_steps: at equal environment steps.
        at_updates: at equal gradient updates; None if a ratio is `unknown`, or all are the same.
        same_ratio: whether all have the same update ratio.
        unknown: phases whose update ratio is unknown.
        scores_from, profiles: shares of trainings above each score, by phase, averaged over tasks,
            with pointwise bootstrap bounds; empty for a single task.
    """

    tasks: tuple[str | None, ...]
    normalised: bool
    measure: Measure
    controller: str
    at_steps: At
    at_updates: At | None
    same_ratio: bool
    unknown: tuple[str, ...]
    scores_from: tuple[float, ...]
    profiles: tuple["Profile", ...]
    groups: tuple[Pooled, ...]

    @property
    def statistic(self) -> Statistic:
        """The interquartile mean, or the mean if a phase has too few trainings for it."""
        return "iqm" if all(each.n >= IQM_FROM for each in self.at_steps.phases) else "mean"


@dataclass(frozen=True, eq=False)
class Profile:
    """Share of trainings with a score above each threshold."""

    name: str
    share: Float64[np.ndarray, " thresholds"]
    low: Float64[np.ndarray, " thresholds"]
    high: Float64[np.ndarray, " thresholds"]


def compare_phases(
    ledger: Ledger,
    names: Sequence[str],
    measure: Measure = "last",
    controller: str = "mppi",
    at: int | None = None,
) -> Comparison:
    """Compare phases of a ledger at equal environment steps, and at equal updates.

    A training that stopped before the common step is left out; its last return is never carried
    forward.

    Args:
        names: of phases; `A+B` counts two as one.
        at: environment steps. None: as many as at least half of the trainings of every phase and
            task have reached.

    Raises:
        UsageError: see `pooled`, or no training of a phase has come as far as `at`.
        GlassvizError: returns of several tasks are on no common scale.
    """
    tasks, groups = pooled(ledger, names)
    horizon = at or min(_half_reach(own, controller) for each in groups for own in each.trainings)
    at_steps = _compare(groups, tasks, measure, controller, [horizon] * len(groups), None)
    unknown = tuple(each.name for each in groups if each.k_update is None)
    ratios = [each.k_update for each in groups if each.k_update is not None]
    same = len(set(ratios)) == 1 and not unknown
    at_updates = None
    if not unknown and not same:
        updates = min(
            _half_reach(own, controller) * ratio / UPDATE_STEPS
            for each, ratio in zip(groups, ratios, strict=True)
            for own in each.trainings
        )
        steps = [round(updates * UPDATE_STEPS / ratio) for ratio in ratios]
        at_updates = _compare(groups, tasks, measure, controller, steps, round(updates))
    thresholds: tuple[float, ...] = ()
    profiles: tuple[Profile, ...] = ()
    if len(tasks) > 1:
        thresholds = tuple(np.linspace(0, 1, 101).tolist())
        profiles = tuple(_profile(each, thresholds) for each in at_steps.phases)
    return Comparison(
        tasks, len(tasks) > 1, measure, controller, at_steps, at_updates, same, unknown,
        thresholds, profiles, tuple(groups),
    )  # fmt: skip


def _half_reach(trainings: Sequence[Training], controller: str) -> int:
    """Environment steps that at least half of the trainings have reached."""
    reached = sorted(
        (int(found.steps[-1]) for each in trainings if (found := each.evaluations(controller))),
        reverse=True,
    )
    return reached[math.ceil(len(reached) / 2) - 1] if reached else 0


def _compare(
    groups: Sequence[Pooled],
    tasks: Sequence[str | None],
    measure: Measure,
    controller: str,
    steps: Sequence[int],
    updates: int | None,
) -> At:
    phases = [
        _returns(each, tasks, partial(measured, measure=measure, controller=controller, at=at), at)
        for each, at in zip(groups, steps, strict=True)
    ]
    pairs = [(one, other) for one, other in combinations(phases, 2)]
    tests = [
        stratified_test(one.values, other.values, generator(one.values, other.values))
        for one, other in pairs
    ]
    known = [test for test in tests if test is not None]
    adjusted = holm(np.array([test.p for test in known])).tolist()
    found = []
    for (one, other), test, p in zip(pairs, known, adjusted, strict=True):
        rng = generator(one.values, other.values)
        improvement = improvement_interval(one.values, other.values, rng)
        assert improvement is not None
        found.append(Pair(one.name, other.name, improvement, test, p))
    equal = steps[0] if updates is None else None
    return At(equal, updates, tuple(phases), tuple(found), _trend(groups, phases))


def _returns(
    group: Pooled,
    tasks: Sequence[str | None],
    value: Callable[[Training], float | None],
    steps: int,
) -> PhaseReturns:
    values = []
    for task, own in zip(tasks, group.trainings, strict=True):
        found = [each for training in own if (each := value(training)) is not None]
        if not found:
            raise UsageError(
                f"--compare: expected trainings of {group.name} on {task or 'an unknown task'} "
                f"with evaluations up to {steps} environment steps, found none: "
                f"{'give fewer with --at' if steps else 'choose another --controller'}"
            )
        if len(tasks) > 1:
            outside = [each for each in found if not 0 <= each <= 1.001 * HIGHEST_RETURN]
            if outside:
                raise GlassvizError(
                    f"--compare: expected returns from 0 to {HIGHEST_RETURN:g} on every task, as "
                    f"of dm_control, found {outside[0]:g} on {task or 'an unknown task'}: compare "
                    f"on one task with --task"
                )
            found = [each / HIGHEST_RETURN for each in found]
        values.append(tuple(found))
    mean = stratified_interval(values, generator(values))
    assert mean is not None
    return PhaseReturns(
        name=group.name,
        color=group.color,
        steps=steps,
        values=tuple(values),
        of=sum(map(len, group.trainings)),
        mean=mean,
        iqm=stratified_interval(values, generator(values), "iqm"),
    )


def _trend(groups: Sequence[Pooled], phases: Sequence[PhaseReturns]) -> Trend | None:
    ratios = [each.k_update for each in groups if each.k_update is not None]
    if len(ratios) < len(groups) or len(set(ratios)) < 3 or len(phases[0].values) > 1:
        return None
    x = [float(k) for k, each in zip(ratios, phases, strict=True) for _ in each.values[0]]
    y = [value for each in phases for value in each.values[0]]
    test = rank_correlation_test(x, y, generator(x, y), "kendall")
    return Trend(tuple(sorted(set(ratios))), len(x), test) if test else None


def _profile(phase: PhaseReturns, thresholds: Sequence[float]) -> Profile:
    rng = generator(phase.values, "profile")
    edges = np.array(thresholds)
    above = [np.array(own)[:, None] > edges for own in phase.values]
    drawn = np.mean(
        [
            own[rng.integers(len(own), size=(REPLICATES // 5, len(own)))].mean(axis=1)
            for own in above
        ],
        axis=0,
    )
    low, high = np.quantile(drawn, [0.025, 0.975], axis=0)
    return Profile(phase.name, np.mean([own.mean(axis=0) for own in above], axis=0), low, high)


def over_steps(
    comparison: Comparison, group: Pooled, points: int = 60
) -> tuple[list[float], list[float], list[float], list[float]]:
    """`Comparison.statistic` by environment step, up to the common step, with its interval.

    Only trainings that reach a step count at it; evaluations are interpolated, and never carried
    forward.

    Returns:
        steps, estimates, low and high bounds.
    """
    last = comparison.at_steps.phases[0].steps
    scale = HIGHEST_RETURN if comparison.normalised else 1.0
    told: tuple[list[float], list[float], list[float], list[float]] = ([], [], [], [])
    rng = generator(group.name, last)
    for step in np.linspace(0, last, points).tolist():
        found = [
            [_at(each, step, comparison.controller) for each in own] for own in group.trainings
        ]
        values = [[value / scale for value in own if value is not None] for own in found]
        if not all(values):
            continue
        interval = stratified_interval(values, rng, comparison.statistic, replicates=500)
        if interval is None:
            continue
        middle, low, high = interval.estimate, interval.low, interval.high
        row = (step, middle, middle if low is None else low, middle if high is None else high)
        for column, value in zip(told, row, strict=True):
            column.append(value)
    return told


def _at(training: Training, step: float, controller: str) -> float | None:
    """The return at a step, interpolated between evaluations; None outside of them."""
    found = training.evaluations(controller)
    if found is None:
        return None
    known = np.isfinite(found.returns)
    steps, returns = found.steps[known], found.returns[known]
    if not len(steps) or not steps[0] <= step <= steps[-1] * (1 + TOLERANCE):
        return None
    return float(np.interp(step, steps, returns))
