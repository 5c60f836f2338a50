"""Locking: how much of the label the gait phase explains, and whether that could be chance."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64, Int

from glassviz.analysis.information import entropy_bits, information_bits, miller_madow_bits
from glassviz.analysis.nulls import REPLICATES, rotation_test, shuffled_information_bits
from glassviz.analysis.phase_counts import cycle_counts, switch_counts


@dataclass(frozen=True)
class Locking:
    """What the phase of the gait says about the label, over frames within gait cycles.

    Attributes:
        cycles, frames: that were looked at.
        phase_information_bits: I(phase bin; label), Miller-Madow corrected, at least 0.
        null_information_bits: mean of the plug-in I over rotated cycles; what `I` is without any
            locking. None with a single cycle or label.
        shuffled_information_bits: mean of the plug-in I over segments in random order, a weaker
            null that breaks the labels' order too; None with one label.
        locking_u: U = I / H(label), the share of the label's entropy that the phase explains, in
            [0, 1]. None with one label ("one label"): nothing is left to explain.
        nmi: plug-in I over the mean of both entropies, in [0, 1].
        ami: the same above what frames dealt out at random share, for unbalanced labels; at most
            1, 0 by chance (Vinh, Epps & Bailey, 2010).
        locking_p: chance that cycles agree as much on the phases of their switches, under
            rotation of each cycle by its own amount; None with one label or fewer than three
            cycles.
    """

    cycles: int
    frames: int
    phase_information_bits: float
    null_information_bits: float | None
    shuffled_information_bits: float | None
    locking_u: float | None
    nmi: float | None
    ami: float | None
    locking_p: float | None


def locking(
    label: Int[np.ndarray, " frames"],
    phase: Float64[np.ndarray, " frames"],
    cycle: Int[np.ndarray, " frames"],
    rng: np.random.Generator,
    replicates: int = REPLICATES,
) -> Locking | None:
    """Measure and test phase locking.

    Args:
        label: of each frame; −1: left out.
        phase: of the gait, rad in [0, 2π); NaN outside of cycles.
        cycle: gait cycle of each frame; −1 outside of cycles.
        rng: for both nulls.
        replicates: B of the rotations; p = (1 + #{null >= observed}) / (B + 1).

    Returns:
        None when no labelled frame lies in a gait cycle.
    """
    counts = cycle_counts(label, phase, cycle)
    if not len(counts):
        return None
    table = counts.sum(axis=0)
    information = _corrected_information(table)
    result = Locking(len(counts), int(table.sum()), information, None, None, None, None, None, None)
    if table.shape[1] < 2:
        return result
    switches = switch_counts(label, phase, cycle)
    null_information, p = rotation_test(counts, switches, rng, replicates)
    plug_in = float(information_bits(table))
    entropies = [float(entropy_bits(table.sum(axis=i) / table.sum())) for i in (0, 1)]
    chance = _chance_information(table)
    return Locking(
        cycles=result.cycles,
        frames=result.frames,
        phase_information_bits=information,
        null_information_bits=null_information,
        shuffled_information_bits=shuffled_information_bits(label, phase, cycle, rng),
        locking_u=min(information / miller_madow_bits(table.sum(axis=0)), 1.0),
        nmi=plug_in / float(np.mean(entropies)),
        ami=(plug_in - chance) / (float(np.mean(entropies)) - chance),
        locking_p=p,
    )


def _corrected_information(table: Float64[np.ndarray, "bins labels"]) -> float:
    one = miller_madow_bits(table.sum(axis=0)) + miller_madow_bits(table.sum(axis=1))
    return max(one - miller_madow_bits(table), 0.0)


def _chance_information(table: Float64[np.ndarray, "bins labels"]) -> float:
    """Expected plug-in information of frames dealt out at random with these margins, in bits."""
    from sklearn.metrics.cluster import expected_mutual_information

    occupied = table[table.sum(axis=1) > 0].astype(np.int64)
    return float(expected_mutual_information(occupied, int(table.sum())) / np.log(2))
