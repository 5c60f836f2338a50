"""The verdict on labels, and the basin that gait and labels put a run in."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

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
        reason: one sentence.
        criteria: everything that was looked at. A metric may stand twice: with the threshold for
            `locked`, and with that for `oscillating`.
    """

    verdict: Verdict
    reason: str
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
        return LabelVerdict("none", "The agent has no labels.", ())
    return judge_labels(label_values(stats), thresholds, stats.occupancy.dominant)


def judge_labels(
    values: Mapping[str, float | None],
    thresholds: LabelThresholds = LABEL_THRESHOLDS,
    dominant: int | None = None,
) -> LabelVerdict:
    """Judge labels by the values of `label_values`; `dominant` is the commonest, for the reason."""
    criteria = _criteria(values, thresholds)
    verdict, reason = _judge(criteria, dominant)
    return LabelVerdict(verdict, reason, criteria.all)


class _Criteria(NamedTuple):
    one: Criterion
    enough: Criterion
    locked: tuple[Criterion, ...]
    oscillating: tuple[Criterion, ...]
    alike: Criterion

    @property
    def all(self) -> tuple[Criterion, ...]:
        return (self.one, self.enough, *self.locked, *self.oscillating, self.alike)


def _criteria(values: Mapping[str, float | None], limits: LabelThresholds) -> _Criteria:
    def at_least(name: str, threshold: float) -> Criterion:
        return Criterion(name, values[name], threshold, at_least=True)

    def at_most(name: str, threshold: float) -> Criterion:
        return Criterion(name, values[name], threshold, at_least=False)

    return _Criteria(
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


def _judge(criteria: _Criteria, dominant: int | None) -> tuple[Verdict, str]:
    one, enough, locked, oscillating, alike = criteria
    if one.value is None:
        return "undetermined", "No frame is left to judge."
    if one.met:
        which = "" if dominant is None else f", {dominant},"
        return "locked", f"One label{which} for {one.value:.1%} of the time: none to lock."
    if not enough.met:
        found = f"{enough.value:.0f} gait cycles, {enough.threshold:.0f} are needed"
        return "undetermined", f"Too few cycles to compare: {found}."
    kappa, chatter, word = oscillating
    # Where cycles are alike anyway, a low kappa is its paradox, not oscillation.
    signs = [
        text
        for met, text in (
            (kappa.met and alike.met, f"cycles hardly agree (kappa {_told(kappa)})"),
            (chatter.met, f"{_percent(chatter)} of the time is chatter"),
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


BasinName = Literal["stable-hop", "unstable", "undetermined"]


RunBasinName = Literal["stable-hop", "unstable", "undetermined", "split"]


@dataclass(frozen=True)
class Basin:
    """The basin of one episode.

    Attributes:
        name: which.
        cause: what decided, in a few words: `knee-walk`, `hop, labels oscillate`.
        gait, labels: the two verdicts that it joins, with all their criteria.
    """

    name: BasinName
    cause: str
    gait: GaitVerdict
    labels: LabelVerdict

    @property
    def reason(self) -> str:
        """The reasons of both verdicts, a sentence each."""
        return f"{self.gait.reason} {self.labels.reason}"


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
    causes: dict[str, int]

    @property
    def reasons(self) -> tuple[str, ...]:
        """The causes in a few words, with their shares of the episodes: `knee-walk 8/10`."""
        episodes = sum(self.split.values())
        return tuple(
            cause if count == episodes else f"{cause} {count}/{episodes}"
            for cause, count in self.causes.items()
        )


def basin(gait: GaitVerdict, labels: LabelVerdict) -> Basin:
    """Join the verdicts on an episode's gait and labels."""
    name, causes = join(gait.name, labels.verdict)
    return Basin(name, ", ".join(causes), gait, labels)


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


_LABELS: dict[Verdict, str] = {
    "locked": "labels locked",
    "oscillating": "labels oscillate",
    "none": "no labels",
    "undetermined": "labels undetermined",
}


def join(gait: GaitName, labels: Verdict) -> tuple[BasinName, tuple[str, ...]]:
    """The basin that two verdicts put an episode in, and what decided."""
    told = _LABELS[labels]
    oscillate = labels == "oscillating"
    if gait == "hop":
        names: dict[Verdict, BasinName] = {"locked": "stable-hop", "oscillating": "unstable"}
        return names.get(labels, "undetermined"), ("hop", told)
    also = (told,) if oscillate else ()
    if gait == "undetermined":
        return "unstable" if oscillate else "undetermined", ("gait undetermined", *also)
    return "unstable", (gait, *also)


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
