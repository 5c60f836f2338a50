"""Soft assignments: how they change, how sure they are, and how much of that is the temperature.

Soft metrics are nearly blind at the usual temperatures. SimNorm latents are non-negative, so
cosines lie in [0, 1], no two entries of c = softmax(cosine / τ) differ by more than a factor of
e^(1/τ), 4.2 at τ = 0.7, and "changes little" passes whatever happens. Hence every number stands
beside that of the same frames in random order, with its τ, and `temperature_audit` shows all of
them against τ.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Float64, Int
from scipy.special import softmax

from glassviz.analysis.information import (
    between_groups_bits,
    divergence_bits,
    entropy_bits,
    random_order,
    stretches,
    window_mi_bits,
    within_groups_bits,
)

TAU_GRID = (0.02, 0.05, 0.1, 0.2, 0.4, 0.7, 1.0, 2.0)
"""Temperatures of an audit: from hard assignments to flat ones."""

AUDIT_FRAMES = 100_000
"""An audit looks at so many frames at most: more would not move its curves."""

ACTIVE_SHARE = 0.05
"""A cluster is active in S with more than this part of an even share of the prototypes."""

Assignments = Float[np.ndarray, "frames prototypes"]
Partition = Float[np.ndarray, "prototypes clusters"]


@dataclass(frozen=True)
class Change:
    """How much soft assignments change over time. All at least 0; 0: not at all.

    Attributes:
        window_mi_5_bits, window_mi_10_bits: of c over sliding windows of 5 and 10 frames.
        step_jsd_bits: mean Jensen-Shannon divergence of consecutive s, in [0, 1].
        temporal: mean squared distance of consecutive s, the trained term of this name.
        temp_stability: mean 1 − cosine of consecutive s, the trained term of this name.

    None where no two consecutive frames, or no window of them, were kept.
    """

    window_mi_5_bits: float | None
    window_mi_10_bits: float | None
    step_jsd_bits: float | None
    temporal: float | None
    temp_stability: float | None


@dataclass(frozen=True)
class SoftStats:
    """Soft assignments of an episode at one temperature; c over prototypes, s = c S over clusters.

    Attributes:
        tau: the temperature of c.
        change: how much they change.
        change_in_random_order: of such frames in random order; what `change` would be if time
            did not matter. `change` says something only as far as it is smaller.
        between_cycle_mi_bits: how much s differs from gait cycle to gait cycle, in
            [0, log2 K]; low in a steady gait, whatever its labels.
        within_cycle_mi_bits: how much s differs within a cycle, in [0, log2 K]; high where the
            clusters resolve the phase. None without gait cycles, as the former.
        confidence: mean of the largest entry of s, in [1/K, 1].
        margin: mean of the largest less the second largest entry, in [0, 1]; None with K = 1.
        entropy: mean H(s) / log K, in [0, 1]; 1: flat. None with K = 1.
        rule_agreement: share of frames in which the cluster of the nearest prototype is the
            largest entry of s. Low: soft and hard labels tell different stories.
    """

    tau: float
    change: Change
    change_in_random_order: Change
    between_cycle_mi_bits: float | None
    within_cycle_mi_bits: float | None
    confidence: float
    margin: float | None
    entropy: float | None
    rule_agreement: float


def describe_soft(
    c: Assignments,
    partition: Partition,
    tau: float,
    cycle: Int[np.ndarray, " frames"],
    rng: np.random.Generator,
) -> SoftStats | None:
    """Describe the soft assignments of one episode, or of its steady frames.

    Args:
        c: soft assignment of each frame; a frame of NaN is left out.
        partition: S, rows summing to 1.
        tau: temperature of c, to be printed beside every number.
        cycle: gait cycle of each frame; −1 outside of cycles.
        rng: for the random order.

    Returns:
        None when every frame is left out.
    """
    kept = ~np.isnan(c[:, 0])
    if not kept.any():
        return None
    # Sums of sliding windows run over all frames, though only windows of kept ones are looked at.
    c = np.where(kept[:, None], c, 0).astype(np.float64)
    s = c @ partition.astype(np.float64)
    order = random_order(kept, rng)
    change = _change(c, s, stretches(kept))
    in_random_order = _change(c[order], s[order], np.zeros(len(order), np.int64))
    nearest = np.argmax(partition, axis=1)[np.argmax(c, axis=1)[kept]]
    known, clusters = s[kept], partition.shape[1]
    group = np.where(kept, cycle, -1)
    ranked = np.sort(known, axis=1)
    several = clusters > 1
    return SoftStats(
        tau=tau,
        change=change,
        change_in_random_order=in_random_order,
        between_cycle_mi_bits=between_groups_bits(s, group),
        within_cycle_mi_bits=within_groups_bits(s, group),
        confidence=float(ranked[:, -1].mean()),
        margin=float((ranked[:, -1] - ranked[:, -2]).mean()) if several else None,
        entropy=float(np.mean(entropy_bits(known)) / np.log2(clusters)) if several else None,
        rule_agreement=float(np.mean(nearest == np.argmax(known, axis=1))),
    )


def temperature_audit(
    cosine: Assignments,
    partition: Partition,
    cycle: Int[np.ndarray, " frames"],
    rng: np.random.Generator,
    grid: Sequence[float] = TAU_GRID,
) -> tuple[SoftStats, ...]:
    """Soft metrics as they would be at other temperatures than the checkpoint's own.

    Args:
        cosine: similarity of each latent and each prototype, or `cosine_up_to_a_constant`.
        partition: S.
        cycle: gait cycle of each frame; −1 outside of cycles.
        rng: for the random orders.
        grid: temperatures; include the checkpoint's own, to mark it.

    Returns:
        One description a temperature, of the first 100,000 frames; empty when every one of them
        is left out.
    """
    cosine, cycle = cosine[:AUDIT_FRAMES], cycle[:AUDIT_FRAMES]
    described = (describe_soft(assign(cosine, tau), partition, tau, cycle, rng) for tau in grid)
    return tuple(stats for stats in described if stats is not None)


def assign(cosine: Assignments, tau: float) -> Float64[np.ndarray, "frames prototypes"]:
    """c = softmax(cosine / τ)."""
    return softmax(cosine.astype(np.float64) / tau, axis=1)


def cosine_up_to_a_constant(c: Assignments, tau: float) -> Float64[np.ndarray, "frames prototypes"]:
    """Recover cosines from assignments at a known τ: τ log c.

    Each frame's are off by one constant, which a softmax at any temperature takes out again.
    Entries that underflowed to 0 are taken for the smallest number that does not.
    """
    return tau * np.log(np.maximum(c.astype(np.float64), np.finfo(np.float32).tiny))


def reachable_clusters(partition: Partition) -> int:
    """How many clusters the label rule can produce: #{argmax_k S_nk over prototypes n}."""
    return len(np.unique(np.argmax(partition, axis=1)))


def active_clusters(partition: Partition) -> int:
    """#{k : mean_n S_nk > 0.05/K}, the training logs' count.

    A property of S alone: it says nothing about what the agent does or visits.
    """
    return int((partition.mean(axis=0) > ACTIVE_SHARE / partition.shape[1]).sum())


def _change(
    c: Float64[np.ndarray, "frames prototypes"],
    s: Float64[np.ndarray, "frames clusters"],
    stretch: Int[np.ndarray, " frames"],
) -> Change:
    # First, as they take most of the memory.
    windows = [window_mi_bits(c, window, stretch) for window in (5, 10)]
    pair = (stretch[:-1] >= 0) & (stretch[:-1] == stretch[1:])
    now, after = s[:-1][pair], s[1:][pair]
    some = bool(pair.any())
    norm = np.linalg.norm(now, axis=1) * np.linalg.norm(after, axis=1)
    return Change(
        window_mi_5_bits=windows[0],
        window_mi_10_bits=windows[1],
        step_jsd_bits=float(np.mean(divergence_bits(now, after))) if some else None,
        temporal=float(np.square(now - after).sum(axis=1).mean()) if some else None,
        temp_stability=float(np.mean(1 - (now * after).sum(axis=1) / norm)) if some else None,
    )
