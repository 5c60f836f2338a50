"""Learned and fitted labels of the same frames: how far they agree, and which knows the gait."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Int

from glassviz.analysis.agreement import (
    AgreementTest,
    agreement,
    agreement_test,
    on_other_clocks,
)
from glassviz.analysis.correspondence import contingency, match_by_frames
from glassviz.analysis.fitted_labels import FittedLabels
from glassviz.analysis.locking import Locking, locking
from glassviz.analysis.nulls import REPLICATES
from glassviz.analysis.segments import occupancy
from glassviz.gait.gait import describe
from glassviz.relabel import relabelled
from glassviz.trace import Trace

Labels = Int[np.ndarray, " frames"]

_ROUNDING = 1e-9


@dataclass(frozen=True)
class PhaseReading:
    """What labels say about the gait phase: means over episodes with gait cycles.

    Attributes:
        phase_information_bits: I(phase bin; label). More labels can say more.
        locking_u: the share of the labels' entropy that the phase explains, in [0, 1]; over the
            episodes in which both sets of labels have one. None without such.
    """

    phase_information_bits: float
    locking_u: float | None


@dataclass(frozen=True)
class Comparison:
    """The labels that an agent learned beside those that were fitted to the same frames.

    All but `test` is over the frames after the openings, or, for the phase, in gait cycles.

    Attributes:
        label_rule: how a latent got its learned label.
        learned_visited: learned labels with more than 1 % of the frames.
        ami: adjusted mutual information of both; None where it is undefined.
        test: agreement over frames in gait cycles, against the fitted labels on other
            clocks (`agreement.on_other_clocks`) within their episodes; None without gait cycles.
        partner: fitted label that each learned label is matched with; −1: none.
        similarity: Jaccard index of each of these pairs, in [0, 1]; 0 where there is none.
        matched_share: share of the frames whose two labels are matched with each other.
        cycle_episodes: episodes with gait cycles.
        learned, fitted: what each says about the phase; None without gait cycles.
        fitted_ahead: episodes in which the fitted labels have more bits about the phase.
    """

    label_rule: str
    learned_visited: tuple[int, ...]
    ami: float | None
    test: AgreementTest | None
    partner: tuple[int, ...]
    similarity: tuple[float, ...]
    matched_share: float | None
    cycle_episodes: int
    learned: PhaseReading | None
    fitted: PhaseReading | None
    fitted_ahead: int

    @property
    def more_bits(self) -> float | None:
        """Bits that the fitted labels say more about the phase; None without gait cycles."""
        if self.learned is None or self.fitted is None:
            return None
        return self.fitted.phase_information_bits - self.learned.phase_information_bits

    @property
    def more_u(self) -> float | None:
        """How much higher the U of the fitted labels is; None where U is undefined."""
        if self.learned is None or self.fitted is None:
            return None
        if self.learned.locking_u is None or self.fitted.locking_u is None:
            return None
        return self.fitted.locking_u - self.learned.locking_u


def compare(traces: Sequence[Trace], fitted: FittedLabels, seed: int = 0) -> Comparison:
    """Compare the labels that traces were recorded with to fitted ones.

    Args:
        traces: of one agent with Glass, as they were recorded.
        fitted: to its latents.
        seed: of what chance leaves.

    Raises:
        GlassvizError: a gait cannot be described, or a frame not labelled.
    """
    rng = np.random.default_rng(seed)
    episodes = [each for trace in traces for each in _episodes(trace, fitted, rng)]
    learned = np.concatenate([each.learned for each in episodes])
    found = np.concatenate([each.fitted for each in episodes])
    clusters = max(trace.clusters for trace in traces)
    table = contingency(learned, found, clusters, fitted.clusters)
    matching = match_by_frames(table)
    moving = [each for each in episodes if each.locking]
    here, there = ([each.locking[i] for each in moving if each.locking] for i in (0, 1))
    return Comparison(
        label_rule=" and ".join(sorted({trace.header["label_rule"] for trace in traces})),
        learned_visited=occupancy(learned, clusters).visited,
        ami=agreement(learned, found).ami,
        test=_test(moving, rng) if moving else None,
        partner=tuple(matching.partner.tolist()),
        similarity=tuple(matching.similarity.tolist()),
        matched_share=matching.accuracy(table),
        cycle_episodes=len(moving),
        learned=_reading(here, there),
        fitted=_reading(there, here),
        fitted_ahead=sum(
            other.phase_information_bits > own.phase_information_bits + _ROUNDING
            for own, other in zip(here, there, strict=True)
        ),
    )


@dataclass(frozen=True, eq=False)
class _Episode:
    """Labels of an episode, −1 in its opening, and what each says about its gait cycles."""

    learned: Labels
    fitted: Labels
    cycle: Labels
    locking: tuple[Locking, Locking] | None


def _episodes(trace: Trace, fitted: FittedLabels, rng: np.random.Generator) -> Iterator[_Episode]:
    found = relabelled(trace, fitted)
    for i in range(trace.episodes):
        gait = describe(trace, i)
        after = np.arange(trace.frames) >= gait.opening_end
        label, other = (
            np.where(after, each.label[i].astype(np.int64), -1) for each in (trace, found)
        )
        phase, cycle = gait.cycles.phase, gait.cycles.cycle
        # One rotation, for the p-values are not asked for.
        here, there = (locking(each, phase, cycle, rng, 1) for each in (label, other))
        yield _Episode(label, other, cycle, (here, there) if here and there else None)


def _test(episodes: Sequence[_Episode], rng: np.random.Generator) -> AgreementTest:
    label = np.concatenate([each.learned for each in episodes])
    other = np.concatenate([each.fitted for each in episodes])
    # Cycles of different episodes must not have the same number.
    ends = np.cumsum([0, *(each.cycle.max() + 1 for each in episodes)])
    cycle = np.concatenate(
        [
            np.where(each.cycle >= 0, each.cycle + end, -1)
            for each, end in zip(episodes, ends[:-1], strict=True)
        ]
    )
    # That labels of one episode or controller do not occur in another is chance too.
    span = np.repeat(np.arange(len(episodes)), [len(each.cycle) for each in episodes])
    return agreement_test(label, other, on_other_clocks(other, cycle, rng, REPLICATES, span))


def _reading(own: Sequence[Locking], other: Sequence[Locking]) -> PhaseReading | None:
    """What labels say about the phase, U over the episodes in which the others have one too."""
    if not own:
        return None
    u = [
        here.locking_u
        for here, there in zip(own, other, strict=True)
        if here.locking_u is not None and there.locking_u is not None
    ]
    return PhaseReading(
        phase_information_bits=float(np.mean([each.phase_information_bits for each in own])),
        locking_u=float(np.mean(u)) if u else None,
    )
