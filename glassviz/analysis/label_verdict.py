"""The verdict on labels: does each gait phase keep its label from cycle to cycle?"""

from dataclasses import dataclass
from typing import Literal

from glassviz.analysis.labels import LabelStats
from glassviz.gait.verdict import Criterion

Verdict = Literal["locked", "oscillating", "none", "undetermined"]


@dataclass(frozen=True)
class LabelThresholds:
    """Where the verdict draws its lines, and why there.

    Attributes:
        one_label: share of frames from which on there is one label for everything. What is left
            is less than the frames that a hop spends in its shortest phase.
        locked_kappa: "substantial" agreement between cycles in the usual reading of kappa
            (Landis & Koch, 1977).
        oscillating_kappa: below "fair" agreement in the same reading.
        locked_flicker, oscillating_flicker: shares of short segments that do not belong to the
            cycles' common word. One in twenty is a stumble, one in five a habit.
        alpha: level of the locking test.
        modal_word: below this share the commonest word is a minority of a third of the cycles.
        alike: cycles that agree in so many bins do not oscillate, whatever kappa says: with one
            label nearly everywhere chance agreement is as high, and kappa meaningless.
        cycles: fewer say nothing about what differs from cycle to cycle.
    """

    one_label: float = 0.95
    locked_kappa: float = 0.6
    oscillating_kappa: float = 0.3
    locked_flicker: float = 0.05
    oscillating_flicker: float = 0.2
    alpha: float = 0.05
    modal_word: float = 1 / 3
    alike: float = 0.8
    cycles: int = 5


DEFAULT_THRESHOLDS = LabelThresholds()


@dataclass(frozen=True)
class LabelVerdict:
    """What the labels of an episode do.

    Attributes:
        verdict: `locked`: one label, or each gait phase keeps its label from cycle to cycle;
            `oscillating`: labels differ from cycle to cycle or flicker; `none`: no labels;
            `undetermined`: neither, or both.
        reason: one sentence.
        criteria: everything that was looked at. A metric may stand twice: with the threshold for
            `locked`, and with that for `oscillating`.
    """

    verdict: Verdict
    reason: str
    criteria: tuple[Criterion, ...]


def label_verdict(
    stats: LabelStats | None, thresholds: LabelThresholds = DEFAULT_THRESHOLDS
) -> LabelVerdict:
    """Judge the labels of one episode.

    Args:
        stats: of its steady frames; None for an agent without labels.
        thresholds: where to draw the lines.
    """
    if stats is None:
        return LabelVerdict("none", "The agent has no labels.", ())
    one, enough, locked, oscillating, alike = _criteria(stats, thresholds)
    criteria = (one, enough, *locked, *oscillating, alike)
    verdict, reason = _judge(stats, one, enough, locked, oscillating, alike)
    return LabelVerdict(verdict, reason, criteria)


_Criteria = tuple[Criterion, ...]


def _criteria(
    stats: LabelStats, limits: LabelThresholds
) -> tuple[Criterion, Criterion, _Criteria, _Criteria, Criterion]:
    locking, agreement = stats.locking, stats.agreement
    count = float(locking.cycles) if locking else 0.0
    p = locking.locking_p if locking else None
    kappa = agreement.fleiss_kappa if agreement else None
    alike = agreement.pairwise_agreement if agreement else None
    word = stats.words.modal_share if stats.words else None
    flicker = stats.stray_flicker_share
    return (
        Criterion("dominant_share", stats.occupancy.dominant_share, limits.one_label, True),
        Criterion("cycles", count, float(limits.cycles), True),
        (
            Criterion("fleiss_kappa", kappa, limits.locked_kappa, True),
            Criterion("stray_flicker_share", flicker, limits.locked_flicker, False),
            Criterion("locking_p", p, limits.alpha, False),
        ),
        (
            Criterion("fleiss_kappa", kappa, limits.oscillating_kappa, False),
            Criterion("stray_flicker_share", flicker, limits.oscillating_flicker, True),
            Criterion("modal_word_share", word, limits.modal_word, False),
        ),
        Criterion("pairwise_agreement", alike, limits.alike, False),
    )


def _judge(
    stats: LabelStats,
    one: Criterion,
    enough: Criterion,
    locked: _Criteria,
    oscillating: _Criteria,
    alike: Criterion,
) -> tuple[Verdict, str]:
    if not stats.frames:
        return "undetermined", "No frame is left to judge."
    if one.met:
        share = f"{one.value:.1%} of the time"
        return "locked", f"One label, {stats.occupancy.dominant}, for {share}: none to lock."
    if not enough.met:
        found = f"{enough.value:.0f} gait cycles, {enough.threshold:.0f} are needed"
        return "undetermined", f"Too few cycles to compare: {found}."
    kappa, flicker, word = oscillating
    # Where cycles are alike anyway, a low kappa is its paradox, not oscillation.
    signs = [
        text
        for met, text in (
            (kappa.met and alike.met, f"cycles hardly agree (kappa {_told(kappa)})"),
            (flicker.met, f"{_percent(flicker)} of the segments are stray flicker"),
            (word.met, f"the commonest word covers {_percent(word)} of the cycles"),
        )
        if met
    ]
    if all(criterion.met for criterion in locked):
        told = f"cycles agree with kappa {_told(locked[0])} (p = {_told(locked[2])})"
        if not signs:
            return "locked", f"Each phase keeps its label: {told}."
        return "undetermined", f"Evidence for both: {told}, but {' and '.join(signs)}."
    if signs:
        return "oscillating", f"Labels do not follow the gait: {' and '.join(signs)}."
    missed = ", ".join(f"{each.name} {_told(each)}" for each in locked if not each.met)
    return "undetermined", f"Between locked and oscillating: {missed}."


def _told(criterion: Criterion) -> str:
    return "undefined" if criterion.value is None else f"{criterion.value:.3g}"


def _percent(criterion: Criterion) -> str:
    return "an unknown share" if criterion.value is None else f"{criterion.value:.0%}"
