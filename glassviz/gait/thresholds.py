"""Where the verdict on a gait draws its lines."""

from dataclasses import dataclass


@dataclass(frozen=True)
class GaitThresholds:
    """Where the verdict draws its lines, and why there.

    The evidence is 80 episodes of 20 s: four agents, each by planner and by policy, judged from
    film strips. 10 hop (two of them with one fall), 34 knee-walk, 28 fall and get up, 2 lie still,
    and 6 are mixed: they tumble backward, and walk later or never, or lie down for good. The lines
    lie in gaps between these groups, so that the same episodes cannot tell how well they separate
    others. Of 24 episodes of four policies from other training runs, judged from film strips
    before their verdicts were computed, none that hops, lies still or falls all the time was
    called by another name; two that hop (with two falls; after 7 s on the floor) were
    undetermined, and of those that hop between falls one was called fall-recover.

    Attributes:
        hop_foot_only: share of the stance on the foot alone. Hops 0.92 (with a fall) to 1.00, all
            else 0.76 at most.
        hop_standing: share of frames with a height of 0.6 m. Hops 0.91 to 1.00, else 0.57 at most.
        hop_falls_per_minute: hops 0, or 3.2 to 3.7 (one fall in the episode, after which it hops
            on); agents that fall and get up as a habit 24 and more.
        knee_body: share of the stance in which torso, nose, pelvis or thigh touches the floor.
            Knee-walks 0.39 to 0.51, hops 0.08 at most.
        knee_speed_mps: mean speed. Knee-walks 0.59 to 0.77; agents that stand up, topple forward
            and get up move too, at 0.50 at most: the line between the two gaits.
        rhythm: height of the autocorrelation's first peak. Hops 0.43 to 0.66, knee-walks 0.54 to
            0.98.
        period_cv: of cycles. Hops 0.08 to 0.16, knee-walks 0.02 to 0.17.
        period_spread: (longest - shortest) / median period of the three detectors. Hops and
            knee-walks 0.06 at most.
        cycles: fewer say nothing about rhythm.
        fall_falls_per_minute: agents that fall and get up 24 and more. In between lies neither.
        fall_recovered: share of the falls that end with a stand; the last may be cut off by the
            episode's end.
        fall_period_spread: agents that fall and get up 0.18 at most where all three detectors find
            a period. Four of the mixed episodes, 0.51 to 0.76, have two gaits in turn.
        fall_longest_down_s: the longest fall that ended took 2.9 s; one that lies on for longer
            than this does not get up.
        static_moving: share of frames with a speed of 0.1 m/s or more. Agents that lie still 0.03
            at most, all others 0.33 and more.
        static_flight: share of frames in flight; who hops in place is not static.
        tolerance: share of a threshold within which a value is too near to it to tell.
        split: share of a run's episodes that the commonest verdict must exceed. In ten episodes
            two others are chance resets, three are another habit.
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


DEFAULT_THRESHOLDS = GaitThresholds()
