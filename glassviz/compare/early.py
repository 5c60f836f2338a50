"""How early a training tells whether it will reach a goal, and what restarting by that would do."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float64

from glassviz.compare.phases import TOLERANCE
from glassviz.errors import GlassvizError
from glassviz.ledger import Ledger, Training
from glassviz.ledger.curves import read_curves
from glassviz.ledger.rows import CONTROLLERS, UNNAMED
from glassviz.metrics.statistics import (
    BootstrapInterval,
    Share,
    generator,
    improvement_interval,
    share_interval,
)

CHECKPOINTS = (250_000, 500_000, 1_000_000, 2_000_000)
"""Environment steps at which trainings are looked at."""

MEASURES = ("full_reward_rate", "standing_rate", "fall_count")
"""Of the body's behaviour, which logs have beside the returns."""

OLDEST = 0.2
"""A value counts at a step unless it is this share of the step older."""

NOT_IN_LOGS = ("gait verdict", "label stability")
"""What needs roll-outs of a training's checkpoints."""


@dataclass(frozen=True)
class Sign:
    """What a quantity at a step tells of the goal.

    Attributes:
        quantity: `return`, or one of `MEASURES`.
        controller: whose evaluations it is of.
        n: trainings that went on after the step, and have ended or reached the goal.
        reached: those that reach the goal, before or after the step.
        before: those that had reached it by then.
        auc: probability that a training that reaches the goal has the higher value than one that
            does not; None if all or none reach it.
        auc_ahead: the same of those that had not reached it by then.
    """

    steps: int
    quantity: str
    controller: str
    n: int
    reached: int
    before: int
    auc: BootstrapInterval | None
    auc_ahead: BootstrapInterval | None


@dataclass(frozen=True)
class Early:
    """How early trainings tell.

    Attributes:
        goal: return to reach by any evaluation under `controller`.
        open: running trainings that have not reached the goal: their outcome is not known.
        tasks: how many there are.
        missing: quantities that no log has.
    """

    goal: float
    controller: str
    signs: tuple[Sign, ...]
    open: int
    tasks: int
    missing: tuple[str, ...]


def early_signs(ledger: Ledger, goal: float = 500.0, controller: str = "mppi") -> Early:
    """AUC of returns and measures of logs at early steps for reaching a goal by the end.

    A value at a step is that of the last evaluation before it. Trainings that end at the step do
    not count at it.
    """
    ended, running = _by_outcome(ledger, goal, controller)
    values = [_quantities(each) for each in ended]
    kinds = dict.fromkeys(kind for own in values for kind in own)
    signs = []
    for quantity, who in sorted(kinds, key=lambda kind: (kind[0] != "return", *kind)):
        for steps in CHECKPOINTS:
            rows = [
                (value, each)
                for each, own in zip(ended, values, strict=True)
                if (quantity, who) in own
                and (value := _value(*own[quantity, who], steps, each)) is not None
            ]
            if rows:
                signs.append(_sign(steps, quantity, who, rows, goal, controller))
    missing = [name for name in MEASURES if all(name != kind[0] for kind in kinds)]
    tasks = len({each.task for each in ledger.trainings})
    return Early(goal, controller, tuple(signs), len(running), tasks, (*missing, *NOT_IN_LOGS))


def _by_outcome(
    ledger: Ledger, goal: float, controller: str
) -> tuple[list[Training], list[Training]]:
    """Trainings whose outcome is known, and those that run and may still reach the goal."""
    ended: list[Training] = []
    running: list[Training] = []
    for each in ledger.trainings:
        found = each.reached(controller)
        if found:
            (running if each.running and found.peak < goal else ended).append(each)
    return ended, running


_Points = tuple[np.ndarray, Float64[np.ndarray, " n"]]


def _quantities(training: Training) -> dict[tuple[str, str], _Points]:
    """Steps and values by quantity and controller."""
    found: dict[tuple[str, str], _Points] = {}
    for who in (*CONTROLLERS, UNNAMED):
        series = training.series.get(who)
        if series:
            known = np.isfinite(series.returns)
            found["return", who] = series.steps[known], series.returns[known]
    path = training.path.with_name(f"{training.path.stem}_diag.csv")
    if training.parts == 1 and training.seed is not None and path.is_file():
        for name in MEASURES:
            for who, points in _measures(path, training.seed, name).items():
                found[name, who] = points
    return found


def _measures(path: Path, seed: int, name: str) -> Mapping[str, _Points]:
    """A column beside the evaluations, by controller; empty if it cannot be read."""
    try:
        curves = [each for each in read_curves(seed, path, column=name) if each.trainings == 1]
    except GlassvizError:
        return {}
    return {each.controller: (np.array(each.x), np.array(each.y)) for each in curves}


def _value(
    steps: np.ndarray, values: Float64[np.ndarray, " n"], at: int, training: Training
) -> float | None:
    """The last value up to a step; None if it is too old, or the training ended there."""
    if training.steps <= (1 + TOLERANCE) * at:
        return None
    inside = np.isfinite(values) & (steps <= (1 + TOLERANCE) * at)
    if not inside.any() or steps[inside][-1] < (1 - OLDEST) * at:
        return None
    return float(values[inside][-1])


def _hit(training: Training, goal: float, controller: str, by: int | None = None) -> bool:
    """Whether an evaluation, up to a step if one is given, reaches the goal."""
    found = training.evaluations(controller)
    if found is None:
        return False
    inside = np.isfinite(found.returns)
    if by is not None:
        inside &= found.steps <= (1 + TOLERANCE) * by
    return bool((found.returns[inside] >= goal).any())


def _sign(
    steps: int,
    quantity: str,
    who: str,
    rows: Sequence[tuple[float, Training]],
    goal: float,
    controller: str,
) -> Sign:
    told = [
        (value, _hit(each, goal, controller), _hit(each, goal, controller, steps))
        for value, each in rows
    ]
    return Sign(
        steps=steps,
        quantity=quantity,
        controller=who,
        n=len(told),
        reached=sum(hit for _, hit, _ in told),
        before=sum(before for *_, before in told),
        auc=_auc([(value, hit) for value, hit, _ in told]),
        auc_ahead=_auc([(value, hit) for value, hit, before in told if not before]),
    )


def _auc(rows: Sequence[tuple[float, bool]]) -> BootstrapInterval | None:
    hits, others = ([value for value, hit in rows if hit is kind] for kind in (True, False))
    return improvement_interval([hits], [others], generator(hits, others))


# Restarts -----------------------------------------------------------------------------------------


@dataclass(frozen=True)
class RestartRule:
    """Restart a training whose return at a step is below a threshold.

    The threshold has the highest sum of sensitivity and specificity on past trainings (Youden's J).
    Each past training is judged by the threshold of the others.

    Attributes:
        threshold: of all past trainings; None if no threshold is better than chance.
        n: past trainings that had not reached the goal by then, and went on.
        reached: those that reach it later.
        restarted: those that the rule would have restarted.
        wrong: the share of the restarted that reach the goal; None if none is restarted.
        kept: the share of those not restarted that reach the goal; None if all are.
    """

    steps: int
    threshold: float | None
    n: int
    reached: int
    restarted: int
    wrong: Share | None
    kept: Share | None


@dataclass(frozen=True, eq=False)
class Advice:
    """What a rule says of a running training.

    Attributes:
        rule: of the last step that it has passed; None before the first one, or without a rule.
        value: its return there.
        restart: whether the rule would restart it; None without a rule.
    """

    training: Training
    rule: RestartRule | None
    value: float | None
    restart: bool | None


@dataclass(frozen=True, eq=False)
class Restarts:
    """Rules by step, and what they say of the running trainings."""

    goal: float
    controller: str
    rules: tuple[RestartRule, ...]
    advice: tuple[Advice, ...]


def restart_rules(ledger: Ledger, goal: float = 500.0, controller: str = "mppi") -> Restarts:
    """Rules for restarts from the trainings that ended, with leave-one-out errors."""
    ended, running = _by_outcome(ledger, goal, controller)
    rules = tuple(_rule(ended, steps, goal, controller) for steps in CHECKPOINTS)
    advice = tuple(_advice(each, rules, controller) for each in running)
    return Restarts(goal, controller, rules, advice)


def _rule(trainings: Sequence[Training], steps: int, goal: float, controller: str) -> RestartRule:
    rows = [
        (value, _hit(each, goal, controller))
        for each in trainings
        if not _hit(each, goal, controller, steps)
        and (found := each.evaluations(controller))
        and (value := _value(found.steps, found.returns, steps, each)) is not None
    ]
    values = np.array([value for value, _ in rows])
    hits = np.array([hit for _, hit in rows], dtype=bool)
    own = np.arange(len(rows))
    restarted = np.array(
        [
            (limit := _threshold(values[own != i], hits[own != i])) is not None
            and values[i] < limit
            for i in own
        ],
        dtype=bool,
    )
    return RestartRule(
        steps=steps,
        threshold=_threshold(values, hits),
        n=len(rows),
        reached=int(hits.sum()),
        restarted=int(restarted.sum()),
        wrong=share_interval(int(hits[restarted].sum()), int(restarted.sum())),
        kept=share_interval(int(hits[~restarted].sum()), int((~restarted).sum())),
    )


def _threshold(values: Float64[np.ndarray, " n"], hits: np.ndarray) -> float | None:
    """The threshold with the highest J, the lowest of equal ones; None if none is above 0."""
    if not hits.any() or hits.all():
        return None
    distinct = np.unique(values)
    limits = (distinct[1:] + distinct[:-1]) / 2
    if not len(limits):
        return None
    below = values[:, None] < limits
    gain = below[~hits].mean(axis=0) - below[hits].mean(axis=0)
    best = int(np.argmax(gain > gain.max() - 1e-12))
    return float(limits[best]) if gain[best] > 1e-12 else None


def _advice(training: Training, rules: Sequence[RestartRule], controller: str) -> Advice:
    found = training.evaluations(controller)
    for rule in reversed(rules):
        if found is None or rule.threshold is None or training.steps < (1 - TOLERANCE) * rule.steps:
            continue
        inside = np.isfinite(found.returns) & (found.steps <= (1 + TOLERANCE) * rule.steps)
        if inside.any() and found.steps[inside][-1] >= (1 - OLDEST) * rule.steps:
            value = float(found.returns[inside][-1])
            return Advice(training, rule, value, value < rule.threshold)
    return Advice(training, None, None, None)
