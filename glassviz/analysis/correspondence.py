"""Which label of one agent is which of another's.

Clusters have no common numbering. Labels of two agents are matched by the frames that they share,
when each agent labels the same frames, or by the phase of the gait that they live in.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float64, Int

from glassviz.analysis.information import divergence_bits
from glassviz.analysis.phase_counts import PHASE_BINS, phase_bin

MATCHED_JACCARD = 0.2
"""Labels that share less than this part of the frames of either are called unmatched."""

MATCHED_DIVERGENCE_BITS = 2 / 3
"""The same for phase profiles: what two flat profiles with a Jaccard index of 0.2 have."""

Labels = Int[np.ndarray, " frames"]
Profiles = Float64[np.ndarray, "clusters bins"]


def contingency(
    a: Labels, b: Labels, rows: int | None = None, columns: int | None = None
) -> Float64[np.ndarray, "rows columns"]:
    """n_ij: frames with label i of a and j of b.

    Args:
        a, b: two labellings of the same frames; −1: left out.
        rows, columns: numbers of labels, where the highest may not occur.
    """
    kept = (a >= 0) & (b >= 0)
    a, b = a[kept].astype(np.int64), b[kept].astype(np.int64)
    rows = rows or int(a.max(initial=-1)) + 1
    columns = columns or int(b.max(initial=-1)) + 1
    counts = np.bincount(a * columns + b, minlength=rows * columns)
    return counts.reshape(rows, columns).astype(np.float64)


@dataclass(frozen=True, eq=False)
class Matching:
    """One-to-one matches between the labels of a and of b.

    Attributes:
        partner: for each label of a the label of b that it is matched with; −1: unmatched. It
            decides which labels get the same colour.
        similarity: of each pair, in [0, 1]; 0 where unmatched. The Jaccard index of their
            frames, or 1 − the Jensen-Shannon divergence of their phase profiles.
    """

    partner: Int[np.ndarray, " labels"]
    similarity: Float64[np.ndarray, " labels"]

    def accuracy(self, table: Float64[np.ndarray, "labels others"]) -> float | None:
        """Share of frames whose two labels are matched with each other, in [0, 1].

        Args:
            table: from `contingency`.

        Returns:
            None without frames.
        """
        if not table.any():
            return None
        matched = np.flatnonzero(self.partner >= 0)
        return float(table[matched, self.partner[matched]].sum() / table.sum())


def match_by_frames(table: Float64[np.ndarray, "labels others"]) -> Matching:
    """Match labels so that as many frames as possible agree (the Hungarian method).

    Pairs with a Jaccard index below 0.2 are left unmatched; the numbers of labels may differ.

    Args:
        table: from `contingency`.
    """
    union = table.sum(axis=1, keepdims=True) + table.sum(axis=0) - table
    jaccard = np.divide(table, union, out=np.zeros_like(table), where=union > 0)
    return _assigned(-table, jaccard, jaccard >= MATCHED_JACCARD)


def phase_profiles(
    label: Labels,
    phase: Float64[np.ndarray, " frames"],
    cycle: Int[np.ndarray, " frames"],
    clusters: int,
    bins: int = PHASE_BINS,
) -> Profiles:
    """p(phase bin | label): where in the gait cycle each label lives; zeros for one not seen.

    Args:
        label: of each frame; −1: left out.
        phase, cycle: of the gait, as everywhere; frames outside of cycles are left out.
        clusters: K.
        bins: equal parts of the cycle.
    """
    counts = contingency(label, phase_bin(phase, cycle, bins), clusters, bins)
    total = counts.sum(axis=1, keepdims=True)
    return np.divide(counts, total, out=np.zeros_like(counts), where=total > 0)


def match_by_phase(
    a: Float64[np.ndarray, "labels bins"], b: Float64[np.ndarray, "others bins"]
) -> Matching:
    """Match labels that live in the same phase of the gait, for agents with gaits that correspond.

    Minimises the sum of Jensen-Shannon divergences; pairs further apart than ⅔ bit, and labels
    that were not seen, are left unmatched.

    Args:
        a, b: from `phase_profiles`, with cycles that begin at the same event.
    """
    p, q = np.broadcast_arrays(a[:, None], b[None])
    divergence = np.asarray(divergence_bits(p, q))
    seen = (a.sum(axis=1)[:, None] > 0) & (b.sum(axis=1) > 0)
    cost = np.where(seen, divergence, 1.0)
    return _assigned(cost, 1.0 - cost, seen & (cost <= MATCHED_DIVERGENCE_BITS))


def _assigned(
    cost: Float64[np.ndarray, "labels others"],
    similarity: Float64[np.ndarray, "labels others"],
    allowed: Bool[np.ndarray, "labels others"],
) -> Matching:
    from scipy.optimize import linear_sum_assignment

    partner, value = np.full(len(cost), -1), np.zeros(len(cost))
    for i, j in zip(*linear_sum_assignment(cost), strict=True):
        if allowed[i, j]:
            partner[i], value[i] = j, similarity[i, j]
    return Matching(partner, value)
