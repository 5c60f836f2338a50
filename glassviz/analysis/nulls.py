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
    counts: CycleCounts,
    switches: CycleCounts,
    rng: np.random.Generator,
    replicates: int = REPLICATES,
) -> tuple[float | None, float | None]:
    """Test whether cycles agree on the phase at which labels take over from each other.

    The null rotates the bins of every cycle by an amount of its own. The statistic is the
    agreement of cycles on their switches, Σ over bins and labels of N² / p, with N the switches of
    all cycles (beginnings less ends of the label) and p the label's share of the frames. (Frames
    in the place of switches, or I itself, would not do: a rotation tears a label that lasts from
    one cycle into the next apart at the seam, which the observed series is not, so that labels
    independent of the gait come out less significant than they should, the longer their dwell:
    0.2 % at 0.05 for a dwell of one cycle. Switches have no seam: `benchmarks/validate_labels.py`.)

    Args:
        counts: frames by cycle, phase bin and label.
        switches: beginnings less ends, in the same cells.
        rng: draws the rotations.
        replicates: B.

    Returns:
        Mean of the plug-in information under the null, None with one cycle; and
        p = (1 + #{null >= observed}) / (B + 1), None with fewer than three cycles, which agree by
        chance too often to tell.
    """
    cycles, bins, labels = counts.shape
    if cycles < 2:
        return None, None
    share = counts.sum(axis=(0, 1)) / counts.sum()
    both = np.concatenate([counts, switches / np.sqrt(share)], axis=2)
    # Rotating a cycle multiplies its Fourier transform by e^(−2πi f s / bins).
    spectrum = np.fft.rfft(both, axis=1).transpose(1, 0, 2)
    turns = np.exp(-2j * np.pi * np.arange(bins) / bins)
    turns = turns[np.arange(len(spectrum))[:, None] * np.arange(bins) % bins]  # [f, s]

    def rotated(
        shift: Int[np.ndarray, "replicates cycles"],
    ) -> tuple[Float64[np.ndarray, " replicates"], Float64[np.ndarray, " replicates"]]:
        """Agreement and information of cycles rotated by so many bins."""
        spectra = (turns[:, shift] @ spectrum).transpose(1, 0, 2)
        tables = np.fft.irfft(spectra, bins, axis=1)
        frames = np.maximum(np.rint(tables[..., :labels]), 0.0)
        agreement = np.square(tables[..., labels:]).sum(axis=(1, 2))
        return agreement, np.asarray(information_bits(frames))

    [observed], _ = rotated(np.zeros((1, cycles), np.int64))
    null = [
        rotated(rng.integers(bins, size=(count, cycles)))
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
