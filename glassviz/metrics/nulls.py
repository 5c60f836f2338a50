"""Counts of frames by cycle, phase and label, and what locking would be by chance."""

from collections.abc import Iterator

import numpy as np
from jaxtyping import Float64, Int

from glassviz.metrics.information import information_bits
from glassviz.metrics.segments import find_segments

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
