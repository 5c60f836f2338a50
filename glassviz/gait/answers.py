"""What somebody who watches a film notes down about the gait, as data.

Where does it go, is there a rhythm, how does it fall, how far does it get before it does, and how
often does it hop?
"""

from collections import Counter
from dataclasses import dataclass
from typing import Literal

from glassviz.gait.gait import Gait
from glassviz.gait.rhythm import SLOWEST_S
from glassviz.gait.thresholds import DEFAULT_THRESHOLDS, GaitThresholds

Course = Literal["forward", "backward", "in place"]

IN_PLACE_MPS = 0.05
"""A slower mean speed is no direction; it is a metre in 20 s, less than the hopper is long."""

LONG_ENOUGH_S = 2 * SLOWEST_S
"""Without a rhythm for so long there is none."""


@dataclass(frozen=True)
class GaitAnswers:
    """One episode, after its opening.

    Attributes:
        course: where it went.
        distance_m: how far, negative backward.
        mean_speed_mps: how fast.
        rhythmic: whether there is a rhythm; None where there is none, and the episode is too
            short (two periods of the slowest rhythm that is looked for) to say so.
        rhythm: height of the autocorrelation's first peak, 1 for a clock; None without one.
        period_s: mean duration of a gait cycle; None without cycles.
        fall_manners: how it falls (`folds forward`, `sits backward`, …) and how often, the
            commonest first; empty without falls.
        first_fall_s: time from the opening's end to the first fall; None without falls.
        first_fall_m: how far it got by then; None without falls.
        hops_per_s: while it hops; None for a gait that is not on the foot.
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


def gait_answers(gait: Gait, thresholds: GaitThresholds = DEFAULT_THRESHOLDS) -> GaitAnswers:
    """Answer the questions about one episode.

    Args:
        gait: the episode.
        thresholds: a rhythm reaches `rhythm`, in cycles that vary by `period_cv` at most.
    """
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
    )
