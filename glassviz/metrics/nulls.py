"""Rotation and shuffle nulls of phase locking, on counts by gait cycle, phase bin and label."""

from collections.abc import Iterator

import numpy as np
from jaxtyping import Bool, Float64, Int

from glassviz.metrics.information import CycleIndex, Labels, Phases, contingency, information_bits
from glassviz.metrics.segments import find_segments

PHASE_BINS = 12
"""Default number of equal parts of a gait cycle."""

REPLICATES = 999

SHUFFLES = 49
"""Replicates of the shuffle null: enough for its mean, and each one rearranges all segments."""

_MAX_NUMBERS = 2_000_000  # Numbers of a null held in memory at once.

Labelled = Int[np.ndarray, " labelled"]
Replicates = Float64[np.ndarray, " replicates"]
CycleCounts = Float64[np.ndarray, "cycles bins labels"]
"""Counts by gait cycle, phase bin and label; cycles and labels without a frame are absent."""


# Monte Carlo tests --------------------------------------------------------------------------------


def monte_carlo_p(as_extreme: Bool[np.ndarray, " replicates"]) -> float:
    """p = (1 + #{null at least as extreme as observed}) / (B + 1) of a Monte Carlo test.

    References:
        Phipson & Smyth, "Permutation p-values should never be zero", 2010.

    Example:
        >>> monte_carlo_p(np.array([True] * 4 + [False] * 95))
        0.05
    """
    return float((1 + as_extreme.sum()) / (len(as_extreme) + 1))


def batch_sizes(replicates: int, numbers: int) -> Iterator[int]:
    """Split replicates that need `numbers` numbers each into batches that fit into memory."""
    most = max(_MAX_NUMBERS // max(numbers, 1), 1)
    for first in range(0, replicates, most):
        yield min(most, replicates - first)


# Counts by cycle and phase ------------------------------------------------------------------------


def phase_bin(phase: Phases, cycle: CycleIndex, bins: int = PHASE_BINS) -> Labels:
    """Index of the phase bin of each frame, 0..bins-1; −1 outside of cycles.

    Example:
        >>> phase_bin(np.array([0.0, 3.2, np.nan]), np.array([0, 0, -1]), bins=4)
        array([ 0,  2, -1])
    """
    inside = (cycle >= 0) & np.isfinite(phase)
    part = np.floor(np.where(inside, phase, 0.0) * (bins / (2 * np.pi))).astype(np.int64)
    return np.where(inside, np.clip(part, 0, bins - 1), -1)


def cycle_counts(label: Labels, phase: Phases, cycle: CycleIndex) -> CycleCounts:
    """Number of frames by gait cycle, phase bin and label."""
    part = phase_bin(phase, cycle)
    cycles, labels, labelled, j, k = _occurring(label, part, cycle)
    counts = contingency(j * PHASE_BINS + part[labelled], k, cycles * PHASE_BINS, labels)
    return counts.reshape(cycles, PHASE_BINS, labels)


def switch_counts(label: Labels, phase: Phases, cycle: CycleIndex) -> CycleCounts:
    """Onsets minus offsets of each label, in the cells of `cycle_counts`.

    A switch is split linearly between its bin and the next, so that both add up to 1 for the new
    label and −1 for the old one: the amount by which the label's share of a bin differs from that
    of the bin before. Switches across a frame that is left out do not count.
    """
    bins = PHASE_BINS
    cycles, labels, labelled, j, k = _occurring(label, phase_bin(phase, cycle), cycle)
    switch = np.flatnonzero((np.diff(labelled) == 1) & (np.diff(k) != 0)) + 1
    position = phase[labelled[switch]] * (bins / (2 * np.pi))
    fraction = np.mod(position, 1.0)
    first_bin = np.floor(position).astype(np.int64)
    cells, weights = [], []
    for at, weight in ((first_bin, 1 - fraction), (first_bin + 1, fraction)):
        cell = (j[switch] * bins + at % bins) * labels
        cells += [cell + k[switch], cell + k[switch - 1]]
        weights += [weight, -weight]
    size = cycles, bins, labels
    flat = np.bincount(np.concatenate(cells), np.concatenate(weights), minlength=np.prod(size))
    return flat.reshape(size)


def _occurring(
    label: Labels, part: Labels, cycle: CycleIndex
) -> tuple[int, int, Labelled, Labelled, Labelled]:
    """Numbers of cycles and labels, the labelled frames in cycles, and their cycle and label."""
    labelled = np.flatnonzero((part >= 0) & (label >= 0))
    cycles, j = np.unique(cycle[labelled], return_inverse=True)
    labels, k = np.unique(label[labelled], return_inverse=True)
    return len(cycles), len(labels), labelled, j, k


# Nulls of phase locking ---------------------------------------------------------------------------


def rotation_test(
    counts: CycleCounts,
    switches: CycleCounts,
    rng: np.random.Generator,
    replicates: int = REPLICATES,
) -> tuple[float | None, float | None]:
    """Test whether gait cycles agree on the phases of their label switches.

    The rotation null shifts every cycle circularly by an independent random number of bins. The
    statistic is Σ N² / p over bins and labels, with N the net onsets of a label over all cycles
    (onsets minus offsets) and p its share of the frames.

    The test compares switches, not frames or I itself. Rotation cuts a label that lasts from one
    cycle into the next at the cycle boundary, which never happens in the observed series. With
    frames, labels independent of the gait would therefore come out as less significant than they
    should, the more so the longer their dwell: 0.2 % rejected at 0.05 for a dwell of one cycle
    (`benchmarks/validate_labels.py`). Switches have no such seam.

    Returns:
        Mean plug-in information under the null, None with a single cycle; and
        p = (1 + #{null >= observed}) / (B + 1), None with fewer than three cycles, which agree by
        chance too often.
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

    def rotated(shift: Int[np.ndarray, "replicates cycles"]) -> tuple[Replicates, Replicates]:
        """Statistic and information of cycles rotated by these numbers of bins."""
        spectra = (turns[:, shift] @ spectrum).transpose(1, 0, 2)
        tables = np.fft.irfft(spectra, bins, axis=1)
        frames = np.maximum(np.rint(tables[..., :labels]), 0.0)
        statistic = np.square(tables[..., labels:]).sum(axis=(1, 2))
        return statistic, np.asarray(information_bits(frames))

    [observed], _ = rotated(np.zeros((1, cycles), np.int64))
    batches = batch_sizes(replicates, len(spectrum) * cycles)
    null = [rotated(rng.integers(bins, size=(count, cycles))) for count in batches]
    statistics, information = (np.concatenate(parts) for parts in zip(*null, strict=True))
    mean = float(information.mean())
    if cycles < 3:
        return mean, None
    # Rotations that change nothing must tie with the observed value despite rounding.
    return mean, monte_carlo_p(statistics >= observed - 1e-9 * (1 + abs(observed)))


def shuffled_information_bits(
    label: Labels, phase: Phases, cycle: CycleIndex, rng: np.random.Generator
) -> float | None:
    """Mean plug-in information when the label segments within cycles are shuffled.

    A weaker null than rotation: it preserves the label and dwell of every segment, but not their
    order. Use it for reference, not as a test: alternating segments are not exchangeable, and a
    test based on their order would reject up to twice as often as it should. None if no labelled
    frame lies in a gait cycle.
    """
    part = phase_bin(phase, cycle)
    labelled = (part >= 0) & (label >= 0)
    if not labelled.any():
        return None
    segments = find_segments(np.where(labelled, label, -1))
    labels, count = np.unique(segments.label), len(segments.label)
    cumulative = np.zeros((int(labelled.sum()) + 1, PHASE_BINS))
    np.cumsum(part[labelled, None] == np.arange(PHASE_BINS), axis=0, out=cumulative[1:])
    information = []
    for batch in batch_sizes(SHUFFLES, count * PHASE_BINS):
        order = rng.permuted(np.tile(np.arange(count), (batch, 1)), axis=1)
        ends = np.cumsum(segments.length[order], axis=1)
        bins = np.diff(cumulative[ends], axis=1, prepend=0.0)
        member = segments.label[order][:, None] == labels[:, None]
        information.append(np.asarray(information_bits(member.astype(np.float64) @ bins)))
    return float(np.concatenate(information).mean())
