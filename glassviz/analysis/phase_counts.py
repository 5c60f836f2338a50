"""Frames by gait cycle, phase bin and label: all that locking has to know of an episode."""

import numpy as np
from jaxtyping import Float64, Int

PHASE_BINS = 12

CycleCounts = Float64[np.ndarray, "cycles bins labels"]
"""By gait cycle, phase bin and label; of the cycles and labels that occur together."""


def phase_bin(
    phase: Float64[np.ndarray, " frames"],
    cycle: Int[np.ndarray, " frames"],
    bins: int = PHASE_BINS,
) -> Int[np.ndarray, " frames"]:
    """Which of `bins` equal parts of the cycle a frame lies in; −1 outside of cycles."""
    inside = (cycle >= 0) & np.isfinite(phase)
    part = np.floor(np.where(inside, phase, 0.0) * (bins / (2 * np.pi))).astype(np.int64)
    return np.where(inside, np.clip(part, 0, bins - 1), -1)


def cycle_counts(
    label: Int[np.ndarray, " frames"],
    phase: Float64[np.ndarray, " frames"],
    cycle: Int[np.ndarray, " frames"],
    bins: int = PHASE_BINS,
) -> CycleCounts:
    """Frames by gait cycle, phase bin and label."""
    part = phase_bin(phase, cycle, bins)
    cycles, labels, kept, j, k = _occurring(label, part, cycle)
    shape = (cycles, bins, labels)
    flat = np.bincount((j * bins + part[kept]) * labels + k, minlength=int(np.prod(shape)))
    return flat.reshape(shape).astype(np.float64)


def switch_counts(
    label: Int[np.ndarray, " frames"],
    phase: Float64[np.ndarray, " frames"],
    cycle: Int[np.ndarray, " frames"],
    bins: int = PHASE_BINS,
) -> CycleCounts:
    """Beginnings less ends of each label, by gait cycle and phase; cells as in `cycle_counts`.

    A switch is shared out between the bin that it lies in and the next one, so that the sum over
    both is 1 for the new label and −1 for the old one: by this much the label's share of each bin
    differs from that of the bin before. No switch is counted across a frame that is left out.
    """
    part = phase_bin(phase, cycle, bins)
    cycles, labels, kept, j, k = _occurring(label, part, cycle)
    switch = np.flatnonzero((np.diff(kept) == 1) & (np.diff(k) != 0)) + 1
    at = phase[kept[switch]] * (bins / (2 * np.pi))
    into = np.mod(at, 1.0)
    own = np.floor(at).astype(np.int64)
    cells, weights = [], []
    for place, weight in ((own, 1 - into), (own + 1, into)):
        cell = (j[switch] * bins + place % bins) * labels
        cells += [cell + k[switch], cell + k[switch - 1]]
        weights += [weight, -weight]
    flat = np.bincount(
        np.concatenate(cells), np.concatenate(weights), minlength=cycles * bins * labels
    )
    return flat.reshape(cycles, bins, labels)


def _occurring(
    label: Int[np.ndarray, " frames"],
    part: Int[np.ndarray, " frames"],
    cycle: Int[np.ndarray, " frames"],
) -> tuple[int, int, Int[np.ndarray, " kept"], Int[np.ndarray, " kept"], Int[np.ndarray, " kept"]]:
    """How many cycles and labels occur together, in which frames, and which these have."""
    kept = np.flatnonzero((part >= 0) & (label >= 0))
    cycles, j = np.unique(cycle[kept], return_inverse=True)
    labels, k = np.unique(label[kept], return_inverse=True)
    return len(cycles), len(labels), kept, j, k
