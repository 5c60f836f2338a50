"""Which labels of one checkpoint are which of another's, and how far seeds find the same ones."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from glassviz.analysis.agreement import (
    Agreement,
    AgreementTest,
    Consensus,
    agreement,
    agreement_test,
    consensus,
    on_other_clocks,
)
from glassviz.analysis.correspondence import Labels, Matching, contingency, match_by_frames
from glassviz.analysis.segments import VISITED_SHARE
from glassviz.analysis.statistics import benjamini_hochberg
from glassviz.comparison.bank import Bank
from glassviz.comparison.members import LeftOut, Member
from glassviz.comparison.phase_matches import PhaseMatch, match_phases
from glassviz.comparison.returns import LEVEL
from glassviz.comparison.wording import count_of, interval, p_value

REPLICATES = 199
"""Of the null of each pair."""


@dataclass(frozen=True)
class Source:
    """Where frames of the bank come from.

    Attributes:
        run, controller: whose they are.
        frames: how many.
        cycle_frames: of them those in whole gait cycles.
    """

    run: str
    controller: str
    frames: int
    cycle_frames: int


@dataclass(frozen=True)
class SourceAgreement:
    """How far two checkpoints agree on the frames of one source.

    Attributes:
        run, controller: the source.
        own: whether it is one of the two, whose encoder has seen such frames.
        agreement: of their labels there.
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
        one, other: their names.
        agreement: over the whole bank.
        test: over the frames in gait cycles, against labels of `other` that run on other clocks
            within each episode; None where the bank has fewer than two whole cycles.
        matching: labels of `one` to those of `other`, by the whole bank.
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
    """The labels of several checkpoints on one bank of observations.

    Attributes:
        sources: where the frames are from.
        runs: the checkpoints that labelled them, by name.
        left_out: runs with labels that could not take part.
        pairs: every two of `runs`, in that order.
        consensus: mean AMI over pairs, its interval over seeds, and the medoid.
        medoid: the typical run; None with fewer than three.
        reference: whose labels give the colours: the medoid, else the first.
        visited: labels of each run that have more than 1 % of the bank's frames.
        colours: of each run, the label of the reference that each of its labels is matched with;
            −1: none, to be drawn in grey.
        answer: in a sentence or two.
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
    answer: str

    @property
    def frames(self) -> int:
        """Frames in the bank."""
        return sum(each.frames for each in self.sources)

    def pair(self, one: str, other: str) -> LabelPair:
        """What is known of two runs, in whichever order."""
        return next(pair for pair in self.pairs if {pair.one, pair.other} == {one, other})


def correspond(
    bank: Bank,
    sources: Sequence[Member],
    labels: Mapping[str, Labels],
    members: Mapping[str, Sequence[Member]],
    left_out: tuple[LeftOut, ...],
    rng: np.random.Generator,
) -> Correspondence:
    """Compare the labels that checkpoints give to the frames of a bank.

    Args:
        bank: the frames.
        sources: where they are from, by the numbers in `bank.source`.
        labels: of each checkpoint, by name; two at least.
        members: each of these checkpoints under its controllers.
        left_out: runs that could not take part.
        rng: for nulls and the bootstrap.
    """
    names = list(labels)
    matched = {}
    for place, other in enumerate(names):
        null = _null(labels[other], bank, rng)  # One at a time: a null is as large as 199 banks.
        for one in names[:place]:
            matched[one, other] = _pair(one, other, labels, null, bank, sources, members)
    pairs = tuple(matched[pair] for pair in combinations(names, 2))
    found = consensus(np.stack([labels[name] for name in names]), rng)
    medoid = None if found.medoid is None else names[found.medoid]
    reference = medoid or names[0]
    return Correspondence(
        sources=tuple(_source(each, bank, i) for i, each in enumerate(sources)),
        runs=tuple(names),
        left_out=left_out,
        pairs=pairs,
        consensus=found,
        medoid=medoid,
        reference=reference,
        visited={name: _visited(label) for name, label in labels.items()},
        colours={name: _colours(labels[name], labels[reference]) for name in names},
        answer=_answer(found, pairs, medoid),
    )


def _null(label: Labels, bank: Bank, rng: np.random.Generator) -> list[Labels] | None:
    """A checkpoint's labels as chance would have them, for all pairs that it is the second of.

    What episodes have in common, such as the gait, is chance too.
    """
    if len(np.unique(bank.cycle[bank.cycle >= 0])) < 2:
        return None
    return list(on_other_clocks(label, bank.cycle, rng, REPLICATES, bank.episode))


def _pair(
    one: str,
    other: str,
    labels: Mapping[str, Labels],
    null: list[Labels] | None,
    bank: Bank,
    sources: Sequence[Member],
    members: Mapping[str, Sequence[Member]],
) -> LabelPair:
    a, b = labels[one], labels[other]
    table = contingency(a, b, _width(a), _width(b))
    matching = match_by_frames(table)
    by_source = []
    for i, source in enumerate(sources):
        inside = bank.source == i
        own = source.checkpoint in (members[one][0].checkpoint, members[other][0].checkpoint)
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
        by_phase=match_phases(members[one], members[other]),
    )


def _visited(label: Labels) -> tuple[int, ...]:
    count = np.bincount(label[label >= 0])
    return tuple(np.flatnonzero(count > VISITED_SHARE * count.sum()).tolist())


def _width(label: Labels) -> int:
    return int(label.max(initial=0)) + 1


def _source(member: Member, bank: Bank, index: int) -> Source:
    inside = bank.source == index
    in_cycles = int((bank.cycle[inside] >= 0).sum())
    return Source(member.name, member.controller, int(inside.sum()), in_cycles)


def _colours(own: Labels, reference: Labels) -> tuple[int, ...]:
    partner = match_by_frames(contingency(own, reference)).partner
    return tuple(partner.tolist())


def _answer(found: Consensus, pairs: Sequence[LabelPair], medoid: str | None) -> str:
    if found.mean_ami is None:
        return "Cannot be told: every checkpoint gives one label to all frames."
    told = f"AMI {found.mean_ami:.2f}"
    if found.low is not None and found.high is not None:
        told += f" {interval(found.low, found.high, '.2f')}"
    told += f" in the mean of {count_of(len(pairs), 'pair')}, n = {len(found.ami)} checkpoints"
    tests = [pair.test for pair in pairs if pair.test and pair.test.ami_p is not None]
    if tests:
        inside = np.mean([test.observed.ami for test in tests])
        chance = np.mean([test.null_ami for test in tests])
        p = benjamini_hochberg(np.array([test.ami_p for test in tests], dtype=np.float64))
        told += f"; in gait cycles {inside:.2f}, by chance {chance:.2f}"
        told += (
            f", beyond it in {(p <= LEVEL).sum()} of {len(tests)}"
            if len(tests) > 1
            else f", {p_value(float(p[0]))}"
        )
    return f"{told}. The typical one is {medoid}." if medoid else f"{told}."
