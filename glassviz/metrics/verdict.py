"""The verdict on labels, and the basin that gait and labels put a run in."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple, Self

from glassviz.gait.verdict import GAIT_THRESHOLDS, Criterion, GaitName, GaitThresholds, GaitVerdict
from glassviz.metrics.labels import LabelName, LabelStats
from glassviz.metrics.locking import Motif

Verdict = Literal["locked", "oscillating", "none", "undetermined"]


@dataclass(frozen=True)
class LabelThresholds:
    """Where the verdict draws its lines, and why there.

    The evidence is 89 episodes with five gait cycles or more, of seven agents, whose label
    timelines were judged by eye before any verdict on them: docs/validation.md. The lines between
    locked and oscillating are drawn where those groups part; they are few for that, as one agent
    under its planner is seven of the ten that oscillate.

    Attributes:
        one_label: share of frames from which on there is one label for everything. What is left
            is less than the frames that a hop spends in its shortest phase. Five hops that were
            called locked to one label have 0.91 to 0.93, two that oscillate 0.66 and 0.71.
        locked_kappa: "substantial" agreement between cycles in the usual reading of kappa
            (Landis & Koch, 1977). Locked 0.62 to 0.84, and 0.42 to 0.52 in one agent that varies.
        oscillating_kappa: below "fair" agreement in the same reading.
        locked_chatter, oscillating_chatter: shares of the time. Locked 0.08 at most; those that
            oscillate by chatter and not by kappa 0.06 to 0.10, so that most are undetermined. From
            episode to episode of one planted gait the share varies by 0.02 to 0.04: the lines lie
            further apart than that.
        alpha: level of the locking test.
        clear_word: below this share the commonest word is a minority of a third of the cycles.
            Locked 0.35 and more (once 0.30), two that oscillate 0.18 and 0.24.
        alike: cycles that agree in so many bins do not oscillate, whatever kappa says: with one
            label nearly everywhere chance agreement is as high, and kappa meaningless.
        cycles: fewer say nothing about what differs from cycle to cycle.
    """

    one_label: float = 0.9
    locked_kappa: float = 0.6
    oscillating_kappa: float = 0.3
    locked_chatter: float = 0.08
    oscillating_chatter: float = 0.15
    alpha: float = 0.05
    clear_word: float = 1 / 3
    alike: float = 0.8
    cycles: int = 5


LABEL_THRESHOLDS = LabelThresholds()


@dataclass(frozen=True)
class LabelVerdict:
    """What the labels of an episode do.

    Attributes:
        verdict: `locked`: one label, or each gait phase keeps its label from cycle to cycle;
            `oscillating`: labels differ from cycle to cycle or flicker; `none`: no labels;
            `undetermined`: neither, or both.
        dominant: the label with most frames; None without frames.
        criteria: everything that was looked at, in the order of `LabelCriteria`. A metric may stand
            twice: with the threshold for `locked`, and with that for `oscillating`.
    """

    verdict: Verdict
    dominant: int | None
    criteria: tuple[Criterion, ...]

    @property
    def of_one_label(self) -> bool:
        """Whether one label holds so much of the time that nothing is left to be locked."""
        return any(each.name == "dominant_share" and bool(each.met) for each in self.criteria)


def label_values(stats: LabelStats) -> dict[str, float | None]:
    """All that the verdict on labels looks at; None where it is undefined."""
    locking, agreement = stats.locking, stats.agreement
    return {
        "dominant_share": stats.occupancy.dominant_share,
        "cycles": float(locking.cycles) if locking else 0.0,
        "fleiss_kappa": agreement.fleiss_kappa if agreement else None,
        "chatter_share": stats.chatter_share,
        "locking_p": locking.locking_p if locking else None,
        "clear_word_share": stats.clear_words.modal_share if stats.clear_words else None,
        "pairwise_agreement": agreement.pairwise_agreement if agreement else None,
    }


def label_verdict(
    stats: LabelStats | None, thresholds: LabelThresholds = LABEL_THRESHOLDS
) -> LabelVerdict:
    """Judge the labels of one episode.

    Args:
        stats: of its steady frames; None for an agent without labels.
        thresholds: where to draw the lines.
    """
    if stats is None:
        return LabelVerdict("none", None, ())
    return judge_labels(label_values(stats), thresholds, stats.occupancy.dominant)


def judge_labels(
    values: Mapping[str, float | None],
    thresholds: LabelThresholds = LABEL_THRESHOLDS,
    dominant: int | None = None,
) -> LabelVerdict:
    """Judge labels by the values of `label_values`; `dominant` is the commonest label."""
    criteria = _criteria(values, thresholds)
    return LabelVerdict(_judge(criteria), dominant, criteria.all)


class LabelCriteria(NamedTuple):
    """The criteria of the verdict on labels by their role.

    Attributes:
        one: whether there is one label.
        enough: whether there are cycles enough to compare.
        locked: all of them make labels locked.
        oscillating: kappa, chatter and the commonest word; one of them makes labels oscillate.
        alike: must hold beside a low kappa.
    """

    one: Criterion
    enough: Criterion
    locked: tuple[Criterion, ...]
    oscillating: tuple[Criterion, ...]
    alike: Criterion

    @classmethod
    def of(cls, verdict: LabelVerdict) -> Self:
        """Those of a verdict on an agent with labels."""
        one, enough, *others, alike = verdict.criteria
        return cls(one, enough, tuple(others[:3]), tuple(others[3:]), alike)

    @property
    def all(self) -> tuple[Criterion, ...]:
        """One after the other."""
        return (self.one, self.enough, *self.locked, *self.oscillating, self.alike)

    @property
    def signs(self) -> tuple[Criterion, ...]:
        """The signs of oscillation that were found."""
        kappa, *others = self.oscillating
        # Where cycles are alike anyway, a low kappa is its paradox, not oscillation.
        low = (kappa,) if kappa.met and self.alike.met else ()
        return (*low, *(each for each in others if each.met))


def _criteria(values: Mapping[str, float | None], limits: LabelThresholds) -> LabelCriteria:
    def at_least(name: str, threshold: float) -> Criterion:
        return Criterion(name, values[name], threshold, at_least=True)

    def at_most(name: str, threshold: float) -> Criterion:
        return Criterion(name, values[name], threshold, at_least=False)

    return LabelCriteria(
        one=at_least("dominant_share", limits.one_label),
        enough=at_least("cycles", float(limits.cycles)),
        locked=(
            at_least("fleiss_kappa", limits.locked_kappa),
            at_most("chatter_share", limits.locked_chatter),
            at_most("locking_p", limits.alpha),
        ),
        oscillating=(
            at_most("fleiss_kappa", limits.oscillating_kappa),
            at_least("chatter_share", limits.oscillating_chatter),
            at_most("clear_word_share", limits.clear_word),
        ),
        alike=at_most("pairwise_agreement", limits.alike),
    )


def _judge(criteria: LabelCriteria) -> Verdict:
    if criteria.one.value is None:
        return "undetermined"
    if criteria.one.met:
        return "locked"
    if not criteria.enough.met:
        return "undetermined"
    if all(criterion.met for criterion in criteria.locked):
        return "undetermined" if criteria.signs else "locked"
    return "oscillating" if criteria.signs else "undetermined"


BasinName = Literal["stable-hop", "unstable", "undetermined"]
RunBasinName = Literal["stable-hop", "unstable", "undetermined", "split"]


@dataclass(frozen=True)
class Cause:
    """What decided on a basin.

    Attributes:
        gait: the verdict on the gait.
        labels: that on the labels; None where it made no difference.
    """

    gait: GaitName
    labels: Verdict | None = None


@dataclass(frozen=True)
class Basin:
    """The basin of one episode.

    Attributes:
        name: which.
        cause: what decided.
        gait, labels: the two verdicts that it joins, with all their criteria.
    """

    name: BasinName
    cause: Cause
    gait: GaitVerdict
    labels: LabelVerdict


@dataclass(frozen=True)
class RunBasin:
    """The basin of a run.

    Attributes:
        name: of the commonest basin; `split` if none has more than three quarters of the
            episodes.
        split: number of episodes by basin, the commonest first.
        causes: number of episodes by cause: those of the commonest basin first, and of them the
            commonest.
    """

    name: RunBasinName
    split: dict[BasinName, int]
    causes: dict[Cause, int]


def basin(gait: GaitVerdict, labels: LabelVerdict) -> Basin:
    """Join the verdicts on an episode's gait and labels."""
    name, cause = join(gait.name, labels.verdict)
    return Basin(name, cause, gait, labels)


def run_basin(basins: Sequence[Basin], thresholds: GaitThresholds = GAIT_THRESHOLDS) -> RunBasin:
    """Name the basin of a run by the majority of its episodes, as `run_gait` does its gait.

    Episodes that leave the basin for different reasons are still outside: a run that walks on its
    knee in one half and lies still in the other is split in its gait, and unstable.

    Raises:
        ValueError: there are no basins.
    """
    if not basins:
        raise ValueError("run_basin: expected the basins of at least one episode, found none")
    split = dict(Counter(each.name for each in basins).most_common())
    commonest, count = next(iter(split.items()))
    found = Counter((each.name != commonest, each.cause) for each in basins).most_common()
    causes = {cause: n for (_, cause), n in sorted(found, key=lambda item: item[0][0])}
    name = commonest if count > thresholds.split * len(basins) else "split"
    return RunBasin(name, split, causes)


def join(gait: GaitName, labels: Verdict) -> tuple[BasinName, Cause]:
    """The basin that two verdicts put an episode in, and what decided."""
    if gait == "hop":
        names: dict[Verdict, BasinName] = {"locked": "stable-hop", "oscillating": "unstable"}
        return names.get(labels, "undetermined"), Cause(gait, labels)
    oscillate = labels == "oscillating"
    cause = Cause(gait, labels if oscillate else None)
    if gait == "undetermined":
        return "unstable" if oscillate else "undetermined", cause
    return "unstable", cause


@dataclass(frozen=True)
class LabelAnswers:
    """One episode, after its opening.

    Attributes:
        visited: labels with more than 1 % of the frames.
        in_step: whether they change in step with the gait; None where they do not change, or it
            cannot be told.
        word: the labels of most gait cycles, in order from touchdown on; None without cycles.
        word_share: share of the cycles that are spelled so.
        names: the phase of the gait that each label lives in.
        dominant: the label with most frames; None without frames.
        dominant_share: share of the frames that it has.
        stuck: whether that is four fifths or more.
    """

    visited: tuple[int, ...]
    in_step: bool | None
    word: Motif | None
    word_share: float | None
    names: tuple[LabelName, ...]
    dominant: int | None
    dominant_share: float | None
    stuck: bool


def label_answers(
    stats: LabelStats, verdict: LabelVerdict, names: tuple[LabelName, ...]
) -> LabelAnswers:
    """Answer the questions about one episode.

    Args:
        stats: of all frames after the opening.
        verdict: on its labels.
        names: of its labels.
    """
    occupancy, words = stats.occupancy, stats.clear_words
    in_step = {"locked": True, "oscillating": False}.get(verdict.verdict)
    return LabelAnswers(
        visited=occupancy.visited,
        in_step=None if verdict.of_one_label or len(occupancy.visited) < 2 else in_step,
        word=words.modal if words else None,
        word_share=words.modal_share if words else None,
        names=names,
        dominant=occupancy.dominant,
        dominant_share=occupancy.dominant_share,
        stuck=occupancy.stuck,
    )
