"""Verdict on labels, and the basin of a run from gait and labels."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple, Self

from glassviz.envs.bodies import Goal
from glassviz.gait.verdict import GAIT_THRESHOLDS, Criterion, GaitName, GaitThresholds, GaitVerdict
from glassviz.metrics.labels import LabelName, LabelStats
from glassviz.metrics.locking import Motif

Verdict = Literal["one label", "phase-locked", "oscillating", "none", "undetermined"]

STEADY: frozenset[Verdict] = frozenset({"one label", "phase-locked"})
"""Verdicts on labels that a stable run may have."""


@dataclass(frozen=True)
class LabelThresholds:
    """Thresholds of the verdict on labels, with their evidence.

    The evidence is 89 episodes with at least five gait cycles, from seven agents, whose label
    timelines were judged by eye before any verdict was computed (docs/validation.md): locked (in
    phase or to one label) or oscillating. Thresholds between these lie where the groups separate.
    The evidence is thin: seven of the ten oscillating episodes are from one agent with its planner.

    Attributes:
        one_label: share of frames above which a single label covers everything; the rest is
            shorter than the shortest phase of a hop. Five hops judged as locked to one label have
            0.91 to 0.93, two oscillating ones 0.66 and 0.71.
        tolerance: a share this close to `one_label` is too close to it. Episodes of one agent
            differ by 0.03.
        locked_kappa: "substantial" agreement between cycles (Landis & Koch, 1977). Locked 0.62 to
            0.84, and 0.42 to 0.52 in one agent that varies.
        oscillating_kappa: below "fair" agreement by the same scale.
        locked_chatter, oscillating_chatter: shares of the time. Locked at most 0.08; episodes
            that oscillate by chatter and not by kappa 0.06 to 0.10, so most are undetermined. The
            share varies by 0.02 to 0.04 between episodes of one synthetic gait, less than the
            distance of the two thresholds.
        alpha: level of the locking test.
        clear_word: below this share, the most common motif covers less than a third of the
            cycles. Locked at least 0.35 (once 0.30), two oscillating ones 0.18 and 0.24.
        alike: cycles that agree in this share of bins do not oscillate, whatever kappa is: with
            one label nearly everywhere, chance agreement is as high and kappa is meaningless.
        cycles: fewer cycles do not show what differs between them.
    """

    one_label: float = 0.9
    tolerance: float = 0.01
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
    """Verdict on the labels of an episode.

    Attributes:
        verdict: `one label`: a single label through the steady gait; `phase-locked`: each gait
            phase keeps its label from cycle to cycle; `oscillating`: labels differ from cycle to
            cycle or flicker; `none`: no labels; `undetermined`: none of these, or two.
        dominant: label with the most frames; None without frames.
        criteria: all criteria in the order of `LabelCriteria`. A metric may occur twice, with the
            thresholds for `phase-locked` and for `oscillating`.
        held: whether the body is at rest, without a cycle that labels could lock to.
    """

    verdict: Verdict
    dominant: int | None
    criteria: tuple[Criterion, ...]
    held: bool = False


def label_values(stats: LabelStats) -> dict[str, float | None]:
    """Values of the criteria of the verdict on labels; None if undefined."""
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
    stats: LabelStats | None,
    thresholds: LabelThresholds = LABEL_THRESHOLDS,
    held: bool = False,
) -> LabelVerdict:
    """Judge the labels of one episode by `stats` of its steady frames, None without labels.

    A body that is `held` at rest has no cycle to lock to: chatter alone makes labels oscillate.
    """
    if stats is None:
        return LabelVerdict("none", None, ())
    return judge_labels(label_values(stats), thresholds, stats.occupancy.dominant, held)


def judge_labels(
    values: Mapping[str, float | None],
    thresholds: LabelThresholds = LABEL_THRESHOLDS,
    dominant: int | None = None,
    held: bool = False,
) -> LabelVerdict:
    """Judge labels by the values of `label_values`; `dominant` is the most common label."""
    criteria = _criteria(values, thresholds)
    verdict = _judge(criteria, thresholds.tolerance, held)
    return LabelVerdict(verdict, dominant, criteria.all, held)


class LabelCriteria(NamedTuple):
    """Criteria of the verdict on labels by their role.

    Attributes:
        one: a single label.
        enough: enough cycles to compare.
        locked: labels are phase-locked if all are met.
        oscillating: kappa, chatter and most common motif; labels oscillate if one is met.
        alike: required with a low kappa.
    """

    one: Criterion
    enough: Criterion
    locked: tuple[Criterion, ...]
    oscillating: tuple[Criterion, ...]
    alike: Criterion

    @classmethod
    def of(cls, verdict: LabelVerdict) -> Self:
        """Criteria of a verdict on an agent with labels."""
        one, enough, *others, alike = verdict.criteria
        return cls(one, enough, tuple(others[:3]), tuple(others[3:]), alike)

    @property
    def all(self) -> tuple[Criterion, ...]:
        """All criteria in one tuple."""
        return (self.one, self.enough, *self.locked, *self.oscillating, self.alike)

    @property
    def signs(self) -> tuple[Criterion, ...]:
        """Criteria of oscillation that are met."""
        kappa, *others = self.oscillating
        # A low kappa of cycles that agree anyway is the kappa paradox, not oscillation.
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


def _judge(criteria: LabelCriteria, tolerance: float, held: bool) -> Verdict:
    margin = criteria.one.margin
    if margin is None or abs(margin) < tolerance:
        return "undetermined"
    if criteria.one.met:
        return "one label"
    if not criteria.enough.met:
        _, chatter, _ = criteria.oscillating
        return "oscillating" if held and chatter.met else "undetermined"
    if all(criterion.met for criterion in criteria.locked):
        return "undetermined" if criteria.signs else "phase-locked"
    return "oscillating" if criteria.signs else "undetermined"


BasinName = Literal["stable-hop", "stable", "unstable", "undetermined"]
RunBasinName = Literal[BasinName, "split"]

STABLE: frozenset[RunBasinName] = frozenset({"stable-hop", "stable"})
"""Basins of a run that does what its task asks for, with steady labels."""

OWN_GAITS: Mapping[Goal | None, frozenset[GaitName]] = {
    None: frozenset({"hop"}),
    "gait": frozenset({"steady gait", "rhythmic"}),
    "hold": frozenset({"settled"}),
    "either": frozenset({"steady gait", "rhythmic", "settled"}),
}
"""Gaits by what the task asks for; None stands for the hopper, whose gait is the hop."""

Why = Literal[
    "not a hop",
    "no steady gait",
    "no hold",
    "labels oscillate",
    "gait unclear",
    "labels unclear",
    "no labels",
]
"""What keeps an episode out of the stable basin: the first four make it unstable, the others
undetermined."""


@dataclass(frozen=True)
class Cause:
    """Cause of a basin.

    Attributes:
        labels: None if the verdict on them made no difference.
        goal: what the task asks for; None for the hopper.
    """

    gait: GaitName
    labels: Verdict | None = None
    goal: Goal | None = None

    @property
    def why(self) -> Why | None:
        """The first thing that keeps it out of the stable basin; None for a stable one."""
        if self.gait != "undetermined" and self.gait not in OWN_GAITS[self.goal]:
            others: dict[Goal | None, Why] = {None: "not a hop", "hold": "no hold"}
            return others.get(self.goal, "no steady gait")
        whys: dict[Verdict | None, Why] = {
            "oscillating": "labels oscillate",
            "undetermined": "labels unclear",
            "none": "no labels",
            None: "gait unclear",
        }
        return whys.get(self.labels)


@dataclass(frozen=True)
class Basin:
    """Basin of an episode, its cause, and both verdicts with all their criteria."""

    name: BasinName
    cause: Cause
    gait: GaitVerdict
    labels: LabelVerdict


@dataclass(frozen=True)
class RunBasin:
    """Basin of a run.

    Attributes:
        name: most common basin; `split` if none has more than three quarters of the episodes.
        split: number of episodes by basin, most common first.
        causes: number of episodes by cause; those of the most common basin first, then by number.
    """

    name: RunBasinName
    split: dict[BasinName, int]
    causes: dict[Cause, int]

    @property
    def whys(self) -> dict[Why, int]:
        """Why it is not stable: number of episodes by reason, most common first."""
        found: Counter[Why] = Counter()
        for cause, count in self.causes.items():
            if cause.why:
                found[cause.why] += count
        return dict(found.most_common())

    def whys_of(self, basin: BasinName) -> dict[Why, int]:
        """Those of `whys` that put episodes into this basin."""
        return {why: count for why, count in self.whys.items() if BASIN_OF[why] == basin}


BASIN_OF: dict[Why, BasinName] = {
    "not a hop": "unstable",
    "no steady gait": "unstable",
    "no hold": "unstable",
    "labels oscillate": "unstable",
    "gait unclear": "undetermined",
    "labels unclear": "undetermined",
    "no labels": "undetermined",
}


def basin(gait: GaitVerdict, labels: LabelVerdict) -> Basin:
    """Basin of an episode from the verdicts on gait and labels, and from what its task asks for."""
    goal = None if gait.gait.phased else gait.gait.goal
    name, cause = join(gait.name, labels.verdict, goal)
    return Basin(name, cause, gait, labels)


def run_basin(basins: Sequence[Basin], thresholds: GaitThresholds = GAIT_THRESHOLDS) -> RunBasin:
    """Basin of a run by the majority of its episodes, like `run_gait`; ValueError without any.

    Causes do not have to agree: a run that walks on its knee in one half and lies still in the
    other is split in its gait, but unstable.
    """
    if not basins:
        raise ValueError("run_basin: expected the basins of at least one episode, found none")
    split = dict(Counter(each.name for each in basins).most_common())
    commonest, count = next(iter(split.items()))
    found = Counter((each.name != commonest, each.cause) for each in basins).most_common()
    causes = {cause: n for (_, cause), n in sorted(found, key=lambda item: item[0][0])}
    name = commonest if count > thresholds.split * len(basins) else "split"
    return RunBasin(name, split, causes)


def join(gait: GaitName, labels: Verdict, goal: Goal | None = None) -> tuple[BasinName, Cause]:
    """Basin and cause from the verdicts on gait and labels; `goal` is None for the hopper."""
    if gait in OWN_GAITS[goal]:
        cause = Cause(gait, labels, goal)
        if labels in STEADY:
            return ("stable-hop" if goal is None else "stable"), cause
        return "unstable" if labels == "oscillating" else "undetermined", cause
    oscillate = labels == "oscillating"
    cause = Cause(gait, labels if oscillate else None, goal)
    if gait == "undetermined":
        return "unstable" if oscillate else "undetermined", cause
    return "unstable", cause


@dataclass(frozen=True)
class LabelAnswers:
    """Labels of an episode after the initial transient.

    Attributes:
        visited: labels with more than 1 % of frames.
        in_step: whether labels change in step with the gait; None if they do not change or the
            verdict is undetermined.
        word: most common motif of a gait cycle, from touchdown; None without cycles.
        word_share: share of cycles with that motif.
        dominant, dominant_share: label with the most frames, and its share; None without frames.
        stuck: whether that share is at least 0.8.
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
    """Describe the labels of an episode; `stats` are of all frames after the initial transient."""
    occupancy, words = stats.occupancy, stats.clear_words
    in_step = {"phase-locked": True, "oscillating": False}.get(verdict.verdict)
    return LabelAnswers(
        visited=occupancy.visited,
        in_step=None if len(occupancy.visited) < 2 else in_step,
        word=words.modal if words else None,
        word_share=words.modal_share if words else None,
        names=names,
        dominant=occupancy.dominant,
        dominant_share=occupancy.dominant_share,
        stuck=occupancy.stuck,
    )
