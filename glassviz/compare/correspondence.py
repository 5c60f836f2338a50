"""What several agents call the same observations, and what that answers."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from jaxtyping import Float64

from glassviz.compare.matching import PhaseMatch, ProbeSet, match_observations, match_phases
from glassviz.compare.runs import ComparedRun, LeftOut, by_controller
from glassviz.metrics.agreement import (
    Agreement,
    AgreementTest,
    Consensus,
    Matching,
    agreement,
    agreement_test,
    consensus,
    warped_circular_shifts,
)
from glassviz.metrics.information import Labels, contingency
from glassviz.metrics.labels import PhaseUse
from glassviz.metrics.segments import VISITED_SHARE
from glassviz.metrics.statistics import benjamini_hochberg, generator

REPLICATES = 199


@dataclass(frozen=True)
class Source:
    """Where frames of the probe set come from; `cycle_frames` are those in whole gait cycles."""

    run: str
    controller: str
    frames: int
    cycle_frames: int


@dataclass(frozen=True)
class SourceAgreement:
    """How far two checkpoints agree on the frames of one source.

    Attributes:
        own: whether it is one of the two, whose encoder has seen such frames.
        matched_accuracy: share of its frames whose labels are matched; None without frames.
    """

    run: str
    controller: str
    own: bool
    agreement: Agreement
    matched_accuracy: float | None


@dataclass(frozen=True, eq=False)
class LabelPair:
    """The labels of two checkpoints on the same frames.

    Attributes:
        agreement: over the whole probe_set.
        test: over the frames in gait cycles, against labels of `other` that run on other clocks
            within each episode; None where the probe set has fewer than two whole cycles.
        matching: labels of `one` to those of `other`, by the whole probe_set.
        matched_accuracy: share of the frames whose two labels are matched; None without frames.
        by_source: the same for each source, as latents of frames from elsewhere may be poor.
        by_phase: labels matched by the phase of the gait, one a controller under which both have
            the same rhythmic gait.
    """

    one: str
    other: str
    agreement: Agreement
    test: AgreementTest | None
    matching: Matching
    matched_accuracy: float | None
    by_source: tuple[SourceAgreement, ...]
    by_phase: tuple[PhaseMatch, ...]


@dataclass(frozen=True, eq=False)
class Correspondence:
    """The labels of several checkpoints on one probe set of observations.

    Attributes:
        left_out: runs with labels that could not take part.
        pairs: every two of `runs`, in that order.
        consensus: mean AMI over pairs, its interval over seeds, and the medoid.
        medoid: the typical run; None with fewer than three.
        reference: whose labels give the colours: the medoid, else the first.
        visited: labels of each run that have more than 1 % of the probe set's frames.
        colours: of each run, the reference's label matched with each of its own; −1: none (grey).
    """

    sources: tuple[Source, ...]
    runs: tuple[str, ...]
    left_out: tuple[LeftOut, ...]
    pairs: tuple[LabelPair, ...]
    consensus: Consensus
    medoid: str | None
    reference: str
    visited: dict[str, tuple[int, ...]]
    colours: dict[str, tuple[int, ...]]

    @property
    def frames(self) -> int:
        """Frames in the probe_set."""
        return sum(each.frames for each in self.sources)

    def pair(self, one: str, other: str) -> LabelPair:
        """What is known of two runs, in whichever order."""
        return next(pair for pair in self.pairs if {pair.one, pair.other} == {one, other})


def correspond(
    probe_set: ProbeSet,
    sources: Sequence[ComparedRun],
    labels: Mapping[str, Labels],
    compared: Mapping[str, Sequence[ComparedRun]],
    left_out: tuple[LeftOut, ...],
) -> Correspondence:
    """Compare the labels that checkpoints give to the frames of a probe_set.

    `labels` are by name of the checkpoint, two at least; `probe_set.source` numbers the `sources`.
    """
    names = list(labels)
    matched = {}
    for place, other in enumerate(names):
        # One at a time: a null is as large as 199 probe sets.
        null = _null(labels[other], probe_set)
        for one in names[:place]:
            matched[one, other] = _pair(one, other, labels, null, probe_set, sources, compared)
    pairs = tuple(matched[pair] for pair in combinations(names, 2))
    every = np.stack([labels[name] for name in names])
    found = consensus(every, generator(every))
    medoid = None if found.medoid is None else names[found.medoid]
    reference = medoid or names[0]
    return Correspondence(
        sources=tuple(_source(each, probe_set, i) for i, each in enumerate(sources)),
        runs=tuple(names),
        left_out=left_out,
        pairs=pairs,
        consensus=found,
        medoid=medoid,
        reference=reference,
        visited={name: _visited(label) for name, label in labels.items()},
        colours={
            name: tuple(match_observations(label, labels[reference]).partner.tolist())
            for name, label in labels.items()
        },
    )


def _null(label: Labels, probe_set: ProbeSet) -> list[Labels] | None:
    """Labels as chance would have them; what episodes share, such as the gait, is chance too."""
    if len(np.unique(probe_set.cycle[probe_set.cycle >= 0])) < 2:
        return None
    rng = generator(label, probe_set.cycle)
    return list(warped_circular_shifts(label, probe_set.cycle, rng, REPLICATES, probe_set.episode))


def _pair(
    one: str,
    other: str,
    labels: Mapping[str, Labels],
    null: list[Labels] | None,
    probe_set: ProbeSet,
    sources: Sequence[ComparedRun],
    compared: Mapping[str, Sequence[ComparedRun]],
) -> LabelPair:
    a, b = labels[one], labels[other]
    table = contingency(a, b)
    matching = match_observations(a, b)
    by_source = []
    for i, source in enumerate(sources):
        inside = probe_set.source == i
        own = source.checkpoint in (compared[one][0].checkpoint, compared[other][0].checkpoint)
        accuracy = matching.accuracy(contingency(a[inside], b[inside], *table.shape))
        found = agreement(a[inside], b[inside])
        by_source.append(SourceAgreement(source.name, source.controller, own, found, accuracy))
    return LabelPair(
        one=one,
        other=other,
        agreement=agreement(a, b),
        test=None if null is None else agreement_test(a, b, null),
        matching=matching,
        matched_accuracy=matching.accuracy(table),
        by_source=tuple(by_source),
        by_phase=match_phases(compared[one], compared[other]),
    )


def _visited(label: Labels) -> tuple[int, ...]:
    count = np.bincount(label[label >= 0])
    return tuple(np.flatnonzero(count > VISITED_SHARE * count.sum()).tolist())


def _source(run: ComparedRun, probe_set: ProbeSet, index: int) -> Source:
    cycle = probe_set.cycle[probe_set.source == index]
    return Source(run.name, run.controller, len(cycle), int((cycle >= 0).sum()))


def adjusted_p(pairs: Sequence[LabelPair]) -> Float64[np.ndarray, " tested"]:
    """p of every pair that was tested, adjusted by Benjamini and Hochberg's method."""
    tests = [pair.test for pair in pairs if pair.test and pair.test.ami_p is not None]
    return benjamini_hochberg(np.array([test.ami_p for test in tests], dtype=np.float64))


PHASES_OF_A_HOP = ("stance", "push-off", "flight", "landing")
"""The phases that one label may have together: those of an upright body."""

PHASES_TO_LACK = ("push-off", "flight", "landing")
"""Of these a run may lack one; in a quick hop the turn of the stance is too short to be missed."""

LACKING_SHARE = VISITED_SHARE
"""A phase with fewer of the frames is lacking, as a label with fewer is not visited."""

MERGED_SHARE = 0.5
"""Phases are merged where one label has more than this share of each."""


@dataclass(frozen=True)
class ComparisonAnswers:
    """What the questions about several runs are answered by.

    Attributes:
        any_frames: whether a run has a frame after the openings of its episodes.
        labelled_runs: how many runs have labels, by controller.
        gaits_by_controller: how many runs have which gait.
        same_phase, matched: of the pairs of matched labels whose phases are known (`matched`),
            those in which both live in the same (`same_phase`).
        same_phase_by_chance: expected number of these if labels were paired blindly.
        lacking_phases: those that others by the same controller have, by controller and run; runs
            that lack none are left out.
        lacked_by_all: those that no run by a controller has.
        merged_phases: by controller and run; runs with none are left out.
    """

    labels_compared: bool
    any_frames: bool
    labelled_runs: dict[str, int]
    gaits_by_controller: dict[str, dict[str, int]]
    same_phase: int
    matched: int
    same_phase_by_chance: float
    lacking_phases: dict[str, dict[str, tuple[str, ...]]]
    lacked_by_all: dict[str, tuple[str, ...]]
    merged_phases: dict[str, dict[str, tuple[tuple[str, ...], ...]]]


def comparison_answers(
    compared: Sequence[ComparedRun], correspondence: Correspondence | None
) -> ComparisonAnswers:
    """Answer the questions about several runs; `correspondence` is None without labels."""
    groups = by_controller(compared)
    same, matched, chance = _same_phase(compared, correspondence)
    return ComparisonAnswers(
        labels_compared=correspondence is not None,
        any_frames=any(_of_a_hop(each) for each in compared),
        labelled_runs={
            controller: sum(each.stability.occupancy is not None for each in own)
            for controller, own in groups.items()
        },
        gaits_by_controller={
            controller: dict(Counter[str](each.stability.gait.name for each in own).most_common())
            for controller, own in groups.items()
        },
        same_phase=same,
        matched=matched,
        same_phase_by_chance=chance,
        lacking_phases={
            controller: {each.name: lacks for each in own if (lacks := _lacking(each, own))}
            for controller, own in groups.items()
        },
        lacked_by_all={controller: _lacked_by_all(own) for controller, own in groups.items()},
        merged_phases={
            controller: {each.name: shared for each in own if (shared := _merged(each))}
            for controller, own in groups.items()
        },
    )


def _of_a_hop(run: ComparedRun) -> list[PhaseUse]:
    return [use for use in run.stability.phases if use.name in PHASES_OF_A_HOP]


def _lacking(run: ComparedRun, among: Sequence[ComparedRun]) -> tuple[str, ...]:
    """Phases of a hop that a run lacks and another of the same controller has."""
    wanted = _had(among) & set(PHASES_TO_LACK)
    return tuple(
        use.name for use in _of_a_hop(run) if use.share < LACKING_SHARE and use.name in wanted
    )


def _had(compared: Sequence[ComparedRun]) -> set[str]:
    return {use.name for each in compared for use in _of_a_hop(each) if use.share >= LACKING_SHARE}


def _lacked_by_all(compared: Sequence[ComparedRun]) -> tuple[str, ...]:
    """Phases of a hop that no run has; empty if no run has a frame to tell from."""
    if not any(_of_a_hop(each) for each in compared):
        return ()
    had = _had(compared)
    return tuple(name for name in PHASES_TO_LACK if name not in had)


def _merged(run: ComparedRun) -> tuple[tuple[str, ...], ...]:
    """Groups of phases of a hop that have one label for most of their frames."""
    by_label: dict[int, list[str]] = {}
    for use in _of_a_hop(run):
        most = use.label_share is not None and use.label_share > MERGED_SHARE
        if most and use.label is not None and use.share >= LACKING_SHARE:
            by_label.setdefault(use.label, []).append(use.name)
    return tuple(tuple(names) for _, names in sorted(by_label.items()) if len(names) > 1)


def _same_phase(
    compared: Sequence[ComparedRun], correspondence: Correspondence | None
) -> tuple[int, int, float]:
    """Matched labels that live in one phase, all matched ones, and how many chance would give."""
    if correspondence is None:
        return 0, 0, 0.0
    phases = {(each.name, each.controller): _phases_of_labels(each) for each in compared}
    same, matched, chance = 0, 0, 0.0
    for pair in correspondence.pairs:
        shared = [
            (phases[pair.one, who], phases[pair.other, who])
            for who in by_controller(compared)
            if (pair.one, who) in phases and (pair.other, who) in phases
        ]
        if not shared:
            continue
        one, other = shared[0]  # One controller is enough: the matching is the same for all.
        partners = enumerate(pair.matching.partner.tolist())
        both = [(one[i], other[j]) for i, j in partners if i in one and j in other]
        same += sum(a == b for a, b in both)
        matched += len(both)
        left, right = Counter(a for a, _ in both), Counter(b for _, b in both)
        chance += sum(left[name] * right[name] for name in left) / max(len(both), 1)
    return same, matched, chance


def _phases_of_labels(run: ComparedRun) -> dict[int, str]:
    """The phase of the gait that each visited label lives in."""
    visited = run.stability.occupancy.visited if run.stability.occupancy else ()
    return {each.label: each.phase for each in run.stability.label_names if each.label in visited}
