"""Frames by gait cycle, phase bin and label: all that locking has to know of an episode."""

import numpy as np
from jaxtyping import Float64, Int

PHASE_BINS = 12

CycleCounts = Float64[np.ndarray, "cycles bins labels"]


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
    """Frames by gait cycle, phase bin and label; of the cycles and labels that occur together."""
    part = phase_bin(phase, cycle, bins)
    kept = (part >= 0) & (label >= 0)
    cycles, j = np.unique(cycle[kept], return_inverse=True)
    labels, k = np.unique(label[kept], return_inverse=True)
    shape = (len(cycles), bins, len(labels))
    flat = np.bincount((j * bins + part[kept]) * len(labels) + k, minlength=int(np.prod(shape)))
    return flat.reshape(shape).astype(np.float64)
