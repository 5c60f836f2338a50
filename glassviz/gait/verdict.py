"""Verdict on the gait from physics alone: criteria, and thresholds with their evidence."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

from glassviz.gait.cycles import SLOWEST_S
from glassviz.gait.feet import Pattern
from glassviz.gait.gait import Gait


@dataclass(frozen=True)
class GaitThresholds:
    """Thresholds of the verdict on the gait, with their evidence.

    The evidence is 80 episodes of 20 s from four agents, by planner and by policy, judged from
    film strips: 10 hop (two of them with one fall), 34 knee-walk, 28 fall and get up, 2 lie still,
    and 6 are mixed (tumbling backward, and walking later or never, or staying down). Thresholds
    lie in gaps between these groups, so these episodes do not show how well they separate others.
    Of 24 episodes of four policies from other training runs, judged from film strips before their
    verdicts were computed, all that hop, lie still or fall all the time got the right name or
    none: two that hop (with two falls; after 7 s on the floor) were undetermined. Of those that
    hop between falls, one was called fall-recover.

    Attributes:
        hop_foot_only: share of stance on the foot alone. Hops 0.92 (with a fall) to 1.00, others
            at most 0.76.
        hop_standing: share of frames at 0.6 m or more. Hops 0.91 to 1.00, others at most 0.57.
        hop_falls_per_minute: hops 0, or 3.2 to 3.7 (one fall per episode, then hopping again);
            agents that fall and get up habitually at least 24.
        knee_body: share of stance with torso, nose, pelvis or thigh on the floor. Knee-walks 0.39
            to 0.51, hops at most 0.08.
        knee_speed_mps: mean speed. Knee-walks 0.59 to 0.77; agents that stand up, topple forward
            and get up again at most 0.50.
        rhythm: the autocorrelation's first peak. Hops 0.43 to 0.66, knee-walks 0.54 to 0.98.
        period_cv: coefficient of variation. Hops 0.08 to 0.16, knee-walks 0.02 to 0.17.
        period_spread: (longest − shortest) / median period of the three detectors. Hops and
            knee-walks at most 0.06.
        cycles: fewer cycles do not show a rhythm.
        fall_falls_per_minute: agents that fall and get up at least 24; no group lies in between.
        fall_recovered: share of falls that end with a stand; the episode may cut off the last.
        fall_period_spread: agents that fall and get up at most 0.18 where all three detectors
            find a period. Four of the mixed episodes have 0.51 to 0.76 and two alternating gaits.
        fall_longest_down_s: the longest fall with a recovery took 2.9 s; after a longer time on
            the floor an agent does not get up.
        static_moving: share of frames with a speed of at least 0.1 m/s. Agents that lie still at
            most 0.03, all others at least 0.33.
        static_flight: share of frames in flight; hopping in place is not static.
        tolerance: a value within this share of its threshold is too close to it.
        split: share of a run's episodes that the most common verdict must exceed. Two of ten
            episodes may differ by chance of the reset; three show another habit.
    """

    hop_foot_only: float = 0.85
    hop_standing: float = 0.75
    hop_falls_per_minute: float = 6.0
    knee_body: float = 0.25
    knee_speed_mps: float = 0.55
    rhythm: float = 0.35
    period_cv: float = 0.2
    period_spread: float = 0.15
    cycles: float = 5.0
    fall_falls_per_minute: float = 10.0
    fall_recovered: float = 0.5
    fall_period_spread: float = 0.35
    fall_longest_down_s: float = 5.0
    static_moving: float = 0.15
    static_flight: float = 0.05
    tolerance: float = 0.03
    split: float = 0.75


GAIT_THRESHOLDS = GaitThresholds()


@dataclass(frozen=True)
class BodyThresholds:
    """Thresholds of the verdict on the gait of other bodies than the hopper.

    What counts as standing, and which contacts are flicker, is each body's own
    (`envs/bodies.toml`). Thresholds that the hopper has too are the hopper's, since they are shares
    and rates that do not depend on the size of a body; docs/gaits.md has how well they do on
    planted gaits and on bodies under controllers that were made by hand.

    Attributes:
        steady_body: share of stance with the trunk on the floor. Hops have at most 0.08, and gaits
            on feet none.
        steady_standing, steady_falls_per_minute: as for hops.
        rhythm, period_cv, cycles: as for hops.
        drag_body: as for knee-walks.
        drag_moving: share of frames with a speed of at least 0.1 m/s, as for what is not static.
        static_moving: as for the hopper.
        static_flight: a walker that falls at once and then lies still for the rest of 15 s bounces
            in 0.06 of the frames.
        fall_falls_per_minute, fall_recovered, fall_longest_down_s: as for the hopper.
        joint_rhythm: height of the autocorrelation's first peak for a body without feet. Noise
            without a rhythm meets all criteria of `rhythmic` in at most 4 % of episodes of 20 s,
            whatever its correlation time (docs/gaits.md).
        period_spread: as for hops, for a body without feet.
        quiet: share of the second half in which all joints are at rest.
        hold_reward: mean reward of the second half, per control step. The suite gives up to 1.
        tolerance, split: as for the hopper.
    """

    steady_body: float = 0.1
    steady_standing: float = 0.75
    steady_falls_per_minute: float = 6.0
    rhythm: float = 0.35
    period_cv: float = 0.2
    cycles: float = 5.0
    drag_body: float = 0.25
    drag_moving: float = 0.15
    static_moving: float = 0.15
    static_flight: float = 0.1
    fall_falls_per_minute: float = 10.0
    fall_recovered: float = 0.5
    fall_longest_down_s: float = 5.0
    joint_rhythm: float = 0.5
    period_spread: float = 0.15
    quiet: float = 0.95
    hold_reward: float = 0.5
    tolerance: float = 0.03
    split: float = 0.75


BODY_THRESHOLDS = BodyThresholds()

GaitName = Literal[
    "hop",
    "knee-walk",
    "fall-recover",
    "static",
    "undetermined",
    "steady gait",
    "drags its trunk",
    "falls and recovers",
    "rhythmic",
    "settled",
]
RunGaitName = Literal[GaitName, "split"]


@dataclass(frozen=True)
class Criterion:
    """A value against a threshold.

    Attributes:
        name: name of the metric, with its unit.
        value: None if it could not be measured.
        at_least: whether the value must reach the threshold; otherwise it must not exceed it.
    """

    name: str
    value: float | None
    threshold: float
    at_least: bool

    @property
    def margin(self) -> float | None:
        """Distance by which it is met (positive) or missed (negative), in the unit of the value."""
        if self.value is None:
            return None
        return self.value - self.threshold if self.at_least else self.threshold - self.value

    @property
    def met(self) -> bool | None:
        """Whether it is met; None if it could not be measured."""
        return None if self.margin is None else self.margin >= 0


@dataclass(frozen=True)
class GaitVerdict:
    """Verdict on the gait of an episode.

    Attributes:
        name: name of the gait, or `undetermined`.
        criteria: of that gait; if undetermined of `nearest`, or else the missed ones of all gaits.
        nearest: gait that an undetermined episode may show; None if none comes close.
        unclear: criteria of `nearest` that are too close to their threshold, or not measured.
        candidates: criteria of every gait, in the order in which gaits are tried.
    """

    name: GaitName
    criteria: tuple[Criterion, ...]
    gait: Gait
    nearest: GaitName | None
    unclear: tuple[Criterion, ...]
    candidates: dict[GaitName, tuple[Criterion, ...]]


@dataclass(frozen=True)
class RunGait:
    """Gait of a run.

    Attributes:
        name: most common verdict; `split` if none has more than three quarters of the episodes.
        split: number of episodes by verdict, most common first.
        patterns: number of steady gaits by what their feet show, most common first.
    """

    name: RunGaitName
    split: dict[GaitName, int]
    patterns: dict[Pattern, int] = field(default_factory=dict)


class _Line(NamedTuple):
    """A metric, its field in the thresholds, and the side of the threshold to be on."""

    metric: str
    threshold: str
    at_least: bool
    needed: bool = True
    """Whether a missing measurement leaves the gait unclear."""


_RHYTHMIC = (
    _Line("rhythm", "rhythm", at_least=True),
    _Line("period_cv", "period_cv", at_least=False),
    _Line("period_spread", "period_spread", at_least=False),
    _Line("cycles", "cycles", at_least=True),
)

Rules = Mapping[GaitName, tuple[_Line, ...]]

HOPPER_RULES: Rules = {
    "hop": (
        _Line("foot_only_share", "hop_foot_only", at_least=True),
        _Line("standing_rate", "hop_standing", at_least=True),
        _Line("falls_per_minute", "hop_falls_per_minute", at_least=False),
        *_RHYTHMIC,
    ),
    "knee-walk": (
        _Line("body_share", "knee_body", at_least=True),
        _Line("mean_speed_mps", "knee_speed_mps", at_least=True),
        *_RHYTHMIC,
    ),
    "static": (
        _Line("moving_share", "static_moving", at_least=False),
        _Line("flight_share", "static_flight", at_least=False),
    ),
    "fall-recover": (
        _Line("falls_per_minute", "fall_falls_per_minute", at_least=True),
        _Line("recovered_share", "fall_recovered", at_least=True),
        _Line("longest_down_s", "fall_longest_down_s", at_least=False),
        # Falling needs no rhythm, so a detector may find no period; two rhythms are another gait.
        _Line("period_spread", "fall_period_spread", at_least=False, needed=False),
    ),
}
"""Criteria by gait, in the order in which gaits are tried."""

_SETTLED = (
    _Line("quiet_share", "quiet", at_least=True),
    _Line("hold_reward", "hold_reward", at_least=True),
)

FOOT_RULES: Rules = {
    "steady gait": (
        _Line("body_share", "steady_body", at_least=False),
        _Line("standing_rate", "steady_standing", at_least=True),
        _Line("falls_per_minute", "steady_falls_per_minute", at_least=False),
        _Line("rhythm", "rhythm", at_least=True),
        _Line("period_cv", "period_cv", at_least=False),
        _Line("cycles", "cycles", at_least=True),
    ),
    "settled": (*_SETTLED, _Line("standing_rate", "steady_standing", at_least=True)),
    "static": (
        _Line("moving_share", "static_moving", at_least=False),
        _Line("flight_share", "static_flight", at_least=False),
    ),
    "falls and recovers": (
        _Line("falls_per_minute", "fall_falls_per_minute", at_least=True),
        _Line("recovered_share", "fall_recovered", at_least=True),
        _Line("longest_down_s", "fall_longest_down_s", at_least=False),
    ),
    "drags its trunk": (
        _Line("body_share", "drag_body", at_least=True),
        _Line("moving_share", "drag_moving", at_least=True),
    ),
}

JOINT_RULES: Rules = {
    "settled": _SETTLED,
    "static": (_Line("quiet_share", "quiet", at_least=True),),
    "rhythmic": (
        _Line("rhythm", "joint_rhythm", at_least=True),
        _Line("period_cv", "period_cv", at_least=False),
        _Line("period_spread", "period_spread", at_least=False),
        _Line("cycles", "cycles", at_least=True),
    ),
}


def rules_of(gait: Gait) -> Rules:
    """Criteria by gait for a body; it settles only where its task asks for a hold."""
    if gait.phased:
        return HOPPER_RULES
    rules = FOOT_RULES if gait.body.feet else JOINT_RULES
    return {name: own for name, own in rules.items() if name != "settled" or gait.goal != "gait"}


def thresholds_of(gait: Gait) -> GaitThresholds | BodyThresholds:
    """Thresholds of the verdict on the gait of a body."""
    return GAIT_THRESHOLDS if gait.phased else BODY_THRESHOLDS


def gait_values(gait: Gait) -> dict[str, float | None]:
    """Values of the criteria of the verdict on a gait; None if not measured."""
    recovered = sum(fall.recovery is not None for fall in gait.falls)
    rest = {"quiet_share": gait.quiet_share, "hold_reward": gait.hold_reward}
    return {
        "foot_only_share": gait.foot_only_share,
        "standing_rate": gait.standing_rate,
        "falls_per_minute": gait.falls_per_minute,
        "body_share": gait.body_share,
        "mean_speed_mps": gait.mean_speed_mps,
        "rhythm": gait.rhythm.strength if gait.rhythm else None,
        "period_cv": gait.cycles.period_cv,
        "period_spread": gait.period_spread,
        "cycles": float(gait.cycles.count),
        "moving_share": gait.moving_share,
        "flight_share": gait.flight_share,
        "recovered_share": recovered / len(gait.falls) if gait.falls else None,
        "longest_down_s": gait.longest_down_s,
        **({} if gait.phased else rest),
    }


def gait_criteria(
    values: Mapping[str, float | None],
    thresholds: GaitThresholds | BodyThresholds = GAIT_THRESHOLDS,
    rules: Rules = HOPPER_RULES,
) -> dict[GaitName, tuple[Criterion, ...]]:
    """Criteria of every gait with the values of `gait_values`."""
    return {
        gait: tuple(
            Criterion(
                line.metric, values[line.metric], getattr(thresholds, line.threshold), line.at_least
            )
            for line in lines
            if line.needed or values[line.metric] is not None
        )
        for gait, lines in rules.items()
    }


def name_gait(
    values: Mapping[str, float | None],
    thresholds: GaitThresholds | BodyThresholds = GAIT_THRESHOLDS,
    rules: Rules = HOPPER_RULES,
) -> tuple[GaitName, GaitName | None]:
    """Gait for these values and, if it is undetermined, the gait that comes close."""
    for gait, criteria in gait_criteria(values, thresholds, rules).items():
        doubts = _doubts(criteria, thresholds)
        if not doubts:
            return gait, None
        if not any(_clearly_missed(each, thresholds.tolerance) for each in doubts):
            return "undetermined", gait
    return "undetermined", None


def gait_verdict(
    gait: Gait, thresholds: GaitThresholds | BodyThresholds | None = None
) -> GaitVerdict:
    """Verdict on the gait of an episode, by the rules and thresholds of its body."""
    thresholds, rules, values = thresholds or thresholds_of(gait), rules_of(gait), gait_values(gait)
    candidates = gait_criteria(values, thresholds, rules)
    name, nearest = name_gait(values, thresholds, rules)
    if nearest:
        criteria = candidates[nearest]
        unclear = tuple(_doubts(criteria, thresholds))
        return GaitVerdict(name, criteria, gait, nearest, unclear, candidates)
    if name == "undetermined":
        every = (each for criteria in candidates.values() for each in criteria)
        missed = tuple(each for each in every if not each.met)
        return GaitVerdict(name, missed, gait, None, (), candidates)
    return GaitVerdict(name, candidates[name], gait, None, (), candidates)


def _doubts(
    criteria: Sequence[Criterion], thresholds: GaitThresholds | BodyThresholds
) -> list[Criterion]:
    return [each for each in criteria if not _clearly_met(each, thresholds.tolerance)]


def run_gait(
    verdicts: Sequence[GaitVerdict], thresholds: GaitThresholds = GAIT_THRESHOLDS
) -> RunGait:
    """Gait of a run by the majority of its episodes; ValueError without verdicts."""
    if not verdicts:
        raise ValueError("run_gait: expected the verdicts of at least one episode, found none")
    counts = Counter(verdict.name for verdict in verdicts)
    split = dict(counts.most_common())
    commonest, count = next(iter(split.items()))
    name = commonest if count > thresholds.split * len(verdicts) else "split"
    steady = [each.gait.pattern for each in verdicts if each.name == "steady gait"]
    patterns = Counter(pattern for pattern in steady if pattern is not None)
    return RunGait(name, split, dict(patterns.most_common()))


def _clearly_met(criterion: Criterion, tolerance: float) -> bool:
    if criterion.name == "cycles":  # A count has no tolerance.
        return bool(criterion.met)
    return criterion.margin is not None and criterion.margin >= tolerance * criterion.threshold


def _clearly_missed(criterion: Criterion, tolerance: float) -> bool:
    return criterion.margin is not None and criterion.margin < -tolerance * criterion.threshold


Course = Literal["forward", "backward", "in place"]

IN_PLACE_MPS = 0.05
"""Below this mean speed an episode stays in place; 1 m in 20 s is less than the hopper's length."""

LONG_ENOUGH_S = 2 * SLOWEST_S
"""An episode of this length without a rhythm has none."""


@dataclass(frozen=True)
class GaitAnswers:
    """Gait of an episode after the initial transient.

    Attributes:
        distance_m: distance, negative backward.
        rhythmic: whether there is a rhythm; None if none is found and the episode is shorter than
            two periods of the slowest rhythm.
        rhythm: height of the autocorrelation's first peak, 1 for a clock; None without one.
        period_s: mean duration of a gait cycle; None without cycles.
        fall_manners: number of falls by manner (`folds forward`, `sits backward`, …), most common
            first; empty without falls.
        first_fall_s, first_fall_m: from the transient's end to the first fall; None without falls.
        hops_per_s: hopping rate; None for a gait that is not on the foot.
        pattern: gait that the lags of the feet show; None for the hopper, or if they show none.
    """

    course: Course
    distance_m: float
    mean_speed_mps: float
    rhythmic: bool | None
    rhythm: float | None
    period_s: float | None
    fall_manners: dict[str, int]
    first_fall_s: float | None
    first_fall_m: float | None
    hops_per_s: float | None
    pattern: Pattern | None = None


def gait_answers(
    gait: Gait, thresholds: GaitThresholds | BodyThresholds | None = None
) -> GaitAnswers | None:
    """Describe the gait of an episode; None for a body without feet.

    A rhythm reaches `rhythm` with a CV up to `period_cv`.
    """
    if gait.mean_speed_mps is None or gait.distance_m is None or not gait.body.feet:
        return None
    thresholds = thresholds or thresholds_of(gait)
    speed, cycles = gait.mean_speed_mps, gait.cycles
    first = gait.frames_to_first_fall
    manners = Counter(f"{fall.manner} {fall.direction}" for fall in gait.falls)
    rhythmic = None if gait.duration_s < LONG_ENOUGH_S else False
    if gait.rhythm is not None and cycles.period_cv is not None:
        strong = gait.rhythm.strength >= thresholds.rhythm
        rhythmic = strong and cycles.period_cv <= thresholds.period_cv
    return GaitAnswers(
        course="in place" if abs(speed) < IN_PLACE_MPS else "forward" if speed > 0 else "backward",
        distance_m=gait.distance_m,
        mean_speed_mps=speed,
        rhythmic=rhythmic,
        rhythm=gait.rhythm.strength if gait.rhythm else None,
        period_s=cycles.period_s,
        fall_manners=dict(manners.most_common()),
        first_fall_s=None if first is None else first * gait.dt_s,
        first_fall_m=gait.first_fall_m,
        hops_per_s=gait.hops_per_s,
        pattern=gait.pattern,
    )
