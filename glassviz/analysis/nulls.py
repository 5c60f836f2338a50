"""What phase locking would look like by chance.

Frames are not independent, so chance means: every gait cycle keeps its labels, their order and
their dwell, and is rotated by an amount of its own. Shifting the whole series instead would only
rotate a periodic label against a periodic phase, and call a perfect lock insignificant.
"""

from collections.abc import Iterator

import numpy as np
from jaxtyping import Float64, Int

from glassviz.analysis.information import information_bits
from glassviz.analysis.phase_counts import PHASE_BINS, CycleCounts, phase_bin
from glassviz.analysis.segments import find_segments

REPLICATES = 999
SHUFFLES = 49
"""Replicates of the weaker null, enough for a mean: each has to lay all segments out anew."""

_AT_ONCE = 2_000_000  # Numbers of a null that are in memory together.


def rotation_test(
    counts: CycleCounts, rng: np.random.Generator, replicates: int = REPLICATES
) -> tuple[float | None, float | None]:
    """Test whether cycles agree on which label belongs to which phase.

    The null rotates the bins of every cycle by an amount of its own. The statistic is the
    agreement of cycles that are not next to each other, Σ over pairs of cycles of the products of
    their standardised counts. (A rotation tears a label that lasts from one cycle into the next
    apart at the seam, which the observed series is not: compared by I itself, labels independent
    of the gait come out less significant than they should, the longer their dwell. This statistic
    rejects 4 to 6 % of such labels at 0.05 for dwells up to a quarter of a cycle, and fewer
    beyond: `benchmarks/validate_labels.py`.)

    Args:
        counts: frames by cycle, phase bin and label.
        rng: draws the rotations.
        replicates: B.

    Returns:
        Mean of the plug-in information under the null, None with one cycle; and
        p = (1 + #{null >= observed}) / (B + 1), None with fewer than three cycles, for which
        there are no two that are not neighbours.
    """
    cycles, bins, _ = counts.shape
    if cycles < 2:
        return None, None
    share = counts.sum(axis=(0, 1)) / counts.sum()
    # Rotating a cycle multiplies its Fourier transform by e^(−2πi f s / bins).
    spectrum = np.fft.rfft(counts, axis=1).transpose(1, 0, 2)
    standardised = (counts - counts.sum(axis=2, keepdims=True) * share) / np.sqrt(share)
    spectra = np.fft.rfft(standardised, axis=1)
    neighbours = np.fft.irfft(
        (spectra[:-1].conj() * spectra[1:]).sum(axis=2), bins, axis=1
    )  # [j, d]: the product of cycle j and its successor, when j is rotated by d bins more.
    turn = np.exp(-2j * np.pi * np.arange(bins) / bins)
    frequency = np.arange(len(spectrum))[:, None, None]

    def agreement(
        shift: Int[np.ndarray, "replicates cycles"],
    ) -> tuple[Float64[np.ndarray, " replicates"], Float64[np.ndarray, " replicates"]]:
        rotated = (turn[frequency * shift % bins] @ spectrum).transpose(1, 0, 2)
        tables = np.rint(np.fft.irfft(rotated, bins, axis=1))
        residual = (tables - tables.sum(axis=2, keepdims=True) * share) / np.sqrt(share)
        adjacent = neighbours[np.arange(cycles - 1), (shift[:, :-1] - shift[:, 1:]) % bins]
        # The products of each cycle with itself are the same for all rotations.
        value = np.square(residual).sum(axis=(1, 2)) - 2 * adjacent.sum(axis=1)
        return value, np.asarray(information_bits(np.maximum(tables, 0.0)))

    [observed], _ = agreement(np.zeros((1, cycles), np.int64))
    null = [
        agreement(rng.integers(bins, size=(count, cycles)))
        for count in portions(replicates, len(spectrum) * cycles)
    ]
    values = np.concatenate([value for value, _ in null])
    mean = float(np.concatenate([information for _, information in null]).mean())
    if cycles < 3:
        return mean, None
    # Rotations that change nothing must tie with what was observed, in spite of rounding.
    reached = values >= observed - 1e-9 * (1 + abs(observed))
    return mean, float((1 + reached.sum()) / (replicates + 1))


def shuffled_information_bits(
    label: Int[np.ndarray, " frames"],
    phase: Float64[np.ndarray, " frames"],
    cycle: Int[np.ndarray, " frames"],
    rng: np.random.Generator,
    replicates: int = SHUFFLES,
) -> float | None:
    """Mean of the plug-in information when segments within cycles are laid out in random order.

    A weaker null than rotation: it keeps every segment's label and dwell, and nothing of their
    order. A value to compare with, not a test: segments that merely take turns are not
    exchangeable, and a test by their order would reject up to twice as often as it should.

    Args:
        label, phase, cycle: as in `cycle_counts`.
        rng: draws the orders.
        replicates: how many.

    Returns:
        None when no labelled frame lies in a gait cycle.
    """
    part = phase_bin(phase, cycle)
    kept = (part >= 0) & (label >= 0)
    if not kept.any():
        return None
    segments = find_segments(np.where(kept, label, -1))
    labels, count = np.unique(segments.label), len(segments.label)
    upto = np.zeros((int(kept.sum()) + 1, PHASE_BINS))
    np.cumsum(part[kept, None] == np.arange(PHASE_BINS), axis=0, out=upto[1:])
    drawn = []
    for portion in portions(replicates, count * PHASE_BINS):
        order = rng.permuted(np.tile(np.arange(count), (portion, 1)), axis=1)
        ends = np.cumsum(segments.length[order], axis=1)
        bins = np.diff(upto[ends], axis=1, prepend=0.0)
        member = segments.label[order][:, None] == labels[:, None]
        drawn.append(np.asarray(information_bits(member.astype(np.float64) @ bins)))
    return float(np.concatenate(drawn).mean())


def portions(total: int, each: int) -> Iterator[int]:
    """Split replicates that need `each` numbers into portions that fit into memory."""
    most = max(_AT_ONCE // max(each, 1), 1)
    for first in range(0, total, most):
        yield min(most, total - first)
