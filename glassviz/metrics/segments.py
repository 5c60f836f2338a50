"""Labels in time: segments, switch rates, dwell times, occupancy, and persistence over lags."""

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace

import numpy as np
from jaxtyping import Bool, Float64, Int
from scipy.fft import irfft, next_fast_len, rfft
from scipy.signal import find_peaks

from glassviz.metrics.information import (
    CycleIndex,
    Labels,
    contiguous_blocks,
    entropy_bits,
    information_bits,
)

FLICKER_FRAMES = 2
"""A segment of at most this many frames is flicker."""

VISITED_SHARE = 0.01
"""A label is visited if it has more than this share of the frames."""

STUCK_SHARE = 0.8
"""A run is stuck if one label has at least this share of the frames."""


@dataclass(frozen=True, eq=False)
class Segments:
    """Maximal runs of consecutive frames with the same label, in temporal order.

    Attributes:
        label, start, length: label, first frame, and length d in frames of each segment.
        open_start, open_end: whether the segment begins or ends at the boundary of the observed
            frames, so that its true length is unknown.
    """

    label: Int[np.ndarray, " segments"]
    start: Int[np.ndarray, " segments"]
    length: Int[np.ndarray, " segments"]
    open_start: Bool[np.ndarray, " segments"]
    open_end: Bool[np.ndarray, " segments"]

    @property
    def censored(self) -> Bool[np.ndarray, " segments"]:
        """Segments whose true length is unknown."""
        return self.open_start | self.open_end

    @property
    def flicker(self) -> Bool[np.ndarray, " segments"]:
        """Uncensored segments of at most two frames."""
        return ~self.censored & (self.length <= FLICKER_FRAMES)

    @property
    def returns(self) -> Bool[np.ndarray, " segments"]:
        """Flicker B in A-B-A: the label returns to the one before."""
        same_neighbours = np.zeros(len(self.label), bool)
        same_neighbours[1:-1] = self.label[:-2] == self.label[2:]
        return self.flicker & same_neighbours


def find_segments(label: Labels) -> Segments:
    """Segment the labels of an episode; frames labelled −1 belong to no segment.

    Example:
        >>> segments = find_segments(np.array([2, 2, 2, 5, 5, -1, 5]))
        >>> segments.label, segments.length
        (array([2, 5, 5]), array([3, 2, 1]))
        >>> segments.open_end
        array([False,  True,  True])
    """
    block = contiguous_blocks(label >= 0)
    labelled = np.flatnonzero(block >= 0)
    if not len(labelled):
        empty, none = np.zeros(0, np.int64), np.zeros(0, bool)
        return Segments(empty, empty, empty, none, none)
    value, block = label[labelled], block[labelled]
    cut = np.flatnonzero((np.diff(value) != 0) | (np.diff(block) != 0)) + 1
    first = np.concatenate([[0], cut])
    boundary = np.concatenate([[True], np.diff(block[first]) != 0, [True]])
    return Segments(
        label=value[first].astype(np.int64),
        start=labelled[first],
        length=np.diff(first, append=len(labelled)),
        open_start=boundary[:-1],
        open_end=boundary[1:],
    )


def pooled(episodes: Sequence[Segments], frames: int) -> Segments:
    """Concatenate the segments of episodes of `frames` frames each."""
    shifted = [replace(part, start=part.start + i * frames) for i, part in enumerate(episodes)]
    names = [field.name for field in fields(Segments)]
    return Segments(**{n: np.concatenate([getattr(part, n) for part in shifted]) for n in names})


# Switches, dwell and occupancy --------------------------------------------------------------------


@dataclass(frozen=True)
class Switching:
    """Switch rates and flicker.

    Attributes:
        rate_hz: switches per second of observed time; 0 for a constant label. None without two
            consecutive frames.
        per_cycle: switches per gait cycle: m for a clean gait of m phases, more with chatter. None
            without a gait cycle.
        flicker_share: share of the uncensored segments that last at most two frames, in [0, 1].
        return_share: share of the uncensored segments that are flicker and return to the label
            before (A-B-A). Both are None without an uncensored segment.
    """

    rate_hz: float | None
    per_cycle: float | None
    flicker_share: float | None
    return_share: float | None


def switching(label: Labels, cycle: CycleIndex, segments: Segments, dt_s: float) -> Switching:
    """Count the switches of an episode, with frames `dt_s` seconds apart; `segments` of `label`."""
    pair = (label[1:] >= 0) & (label[:-1] >= 0)
    changed = pair & (label[1:] != label[:-1])
    rate = changed.sum() / pair.sum() if pair.any() else None
    # A pair belongs to the cycle of its second frame, so that cycles have as many pairs as frames.
    inside = cycle >= 0
    in_cycle = pair & inside[1:]
    per_cycle = None
    if in_cycle.any():
        counted = inside & (label >= 0)
        period = counted.sum() / len(np.unique(cycle[counted]))
        per_cycle = float(changed[inside[1:]].sum() / in_cycle.sum() * period)
    uncensored = int((~segments.censored).sum())
    return Switching(
        rate_hz=float(rate / dt_s) if rate is not None else None,
        per_cycle=per_cycle,
        flicker_share=float(segments.flicker.sum() / uncensored) if uncensored else None,
        return_share=float(segments.returns.sum() / uncensored) if uncensored else None,
    )


@dataclass(frozen=True)
class Dwell:
    """Dwell times of one label, from its uncensored segments; None without any.

    Attributes:
        segments, censored: numbers of uncensored segments, and of those cut off at a boundary.
        median_frames, mean_frames, iqr_frames: median, mean and interquartile range of the dwell
            time, frames.
        median_s, mean_s, iqr_s: the same, s.
        cv: coefficient of variation: near 1 for a memoryless label, 0 for a perfectly periodic
            one. None with fewer than two segments.
    """

    label: int
    segments: int
    censored: int
    median_frames: float | None = None
    mean_frames: float | None = None
    iqr_frames: float | None = None
    median_s: float | None = None
    mean_s: float | None = None
    iqr_s: float | None = None
    cv: float | None = None


def dwell_times(segments: Segments, dt_s: float) -> tuple[Dwell, ...]:
    """Dwell times of every label that occurs, ordered by label.

    Example:
        >>> labels = np.array([0, 1, 1, 1, 0, 0, 1, 1, 1, 0])
        >>> [(dwell.label, dwell.mean_s) for dwell in dwell_times(find_segments(labels), dt_s=0.5)]
        [(0, 1.0), (1, 1.5)]
    """
    return tuple(_dwell(segments, int(k), dt_s) for k in np.unique(segments.label))


def _dwell(segments: Segments, label: int, dt_s: float) -> Dwell:
    selected = segments.label == label
    length = segments.length[selected & ~segments.censored]
    censored = int((selected & segments.censored).sum())
    if not len(length):
        return Dwell(label, 0, censored)
    low, median, high = np.quantile(length, [0.25, 0.5, 0.75]).tolist()
    mean = float(length.mean())
    return Dwell(
        label=label,
        segments=len(length),
        censored=censored,
        median_frames=median,
        mean_frames=mean,
        iqr_frames=high - low,
        median_s=median * dt_s,
        mean_s=mean * dt_s,
        iqr_s=(high - low) * dt_s,
        cv=float(length.std(ddof=1) / mean) if len(length) > 1 else None,
    )


def within_label_cv(dwells: Sequence[Dwell]) -> float | None:
    """Mean over labels of the coefficient of variation of the dwell time, weighted by segments.

    Pooling the dwell times of all labels would make a perfect clock with long and short phases
    look irregular. None if no label has two uncensored segments.
    """
    defined = [(dwell.cv, dwell.segments) for dwell in dwells if dwell.cv is not None]
    if not defined:
        return None
    cv, weight = zip(*defined, strict=True)
    return float(np.average(cv, weights=weight))


@dataclass(frozen=True, eq=False)
class Occupancy:
    """Distribution of the frames over the labels. All but the first two are None without frames.

    Attributes:
        share: share p_k of the frames of each of the K labels; all 0 without frames.
        visited: labels with more than 1 % of the frames. They depend on behaviour; the active
            clusters of the partition do not.
        entropy: normalised entropy −Σ p log p / log K, in [0, 1]; 0 for a single label. None with
            K = 1.
        effective_labels: 2^H, the number of equally frequent labels with the same entropy.
        dominant, dominant_share: most frequent label, and its share of the frames.
    """

    share: Float64[np.ndarray, " clusters"]
    visited: tuple[int, ...]
    entropy: float | None
    effective_labels: float | None
    dominant: int | None
    dominant_share: float | None

    @property
    def stuck(self) -> bool:
        """Whether one label has at least 80 % of the frames."""
        return self.dominant_share is not None and self.dominant_share >= STUCK_SHARE


def occupancy(label: Labels, clusters: int) -> Occupancy:
    """Occupancy of each of `clusters` labels; frames labelled −1 are left out.

    Example:
        >>> result = occupancy(np.array([0, 0, 2, 2, -1]), clusters=4)
        >>> result.visited, result.effective_labels, result.entropy
        ((0, 2), 2.0, 0.5)
    """
    count = np.bincount(label[label >= 0], minlength=clusters)
    if not count.any():
        return Occupancy(np.zeros(clusters), (), None, None, None, None)
    share = count / count.sum()
    bits = float(entropy_bits(share))
    return Occupancy(
        share=share,
        visited=tuple(np.flatnonzero(share > VISITED_SHARE).tolist()),
        entropy=bits / float(np.log2(clusters)) if clusters > 1 else None,
        effective_labels=2.0**bits,
        dominant=int(share.argmax()),
        dominant_share=float(share.max()),
    )


# Persistence --------------------------------------------------------------------------------------

MAX_LAG_S = 4.0
"""Longest lag, s: two periods of the slowest rhythm considered, 0.5 Hz."""

HOLD_FRAMES = (2, 3, 5, 10)
"""Label intervals i of `hold_agreement`, frames."""

NEARLY_HIGHEST = 0.9
"""The period is the lag of the first peak that reaches this share of the highest peak, since peaks
recur at multiples of the period."""

_BLOCKS_PER_BATCH = 256


@dataclass(frozen=True, eq=False)
class Persistence:
    """Autocorrelation of labels at lags τ = 1, 2, … frames. NaN at lags without a pair of frames.

    Attributes:
        lag_s: τ, s.
        agreement: A(τ) = P(k_t = k_{t+τ}), in [0, 1].
        kappa: chance-corrected agreement (A − Σ p²) / (1 − Σ p²): 1 for identical labels, 0 for
            independent ones, negative if labels avoid each other. NaN for a constant label.
        auto_information_bits: plug-in mutual information I(k_t; k_{t+τ}), in [0, H(k)].
        period_s: period of the labels, s: lag of the first high peak of kappa after its first
            zero crossing. None without such a peak.
        periodicity: kappa at that lag, in [0, 1]; 1 for labels that repeat exactly. None without
            a period.
        hold_agreement: pairs (i, share of frames whose label is unchanged if only every i-th frame
            is labelled and the label held in between), averaged over all offsets. If high, a low
            label rate suffices.
    """

    lag_s: Float64[np.ndarray, " lags"]
    agreement: Float64[np.ndarray, " lags"]
    kappa: Float64[np.ndarray, " lags"]
    auto_information_bits: Float64[np.ndarray, " lags"]
    period_s: float | None
    periodicity: float | None
    hold_agreement: tuple[tuple[int, float], ...]


def persistence(label: Labels, dt_s: float, max_lag_s: float = MAX_LAG_S) -> Persistence | None:
    """Autocorrelation of labels, in time linear in the number of frames; None without labels.

    Lags are limited to half the number of frames.

    Example:
        >>> labels = np.tile(np.repeat([0, 1, 2], 5), 20)
        >>> result = persistence(labels, dt_s=0.02)
        >>> round(result.period_s, 2), round(result.periodicity, 2)
        (0.3, 1.0)
    """
    if not (label >= 0).any():
        return None
    lags = min(round(max_lag_s / dt_s), len(label) // 2)
    counts = lagged_counts(label, lags)
    pairs = counts.sum(axis=(1, 2))
    with np.errstate(invalid="ignore", divide="ignore"):
        agreement = np.trace(counts, axis1=1, axis2=2) / pairs
        chance = np.square(np.diagonal(counts[0]) / pairs[0]).sum()
        kappa = (agreement - chance) / (1 - chance)
        information = np.asarray(information_bits(counts))
    if len(counts[0]) < 2:
        kappa = np.full_like(kappa, np.nan)
    period = _period(kappa)
    return Persistence(
        lag_s=np.arange(1, lags + 1) * dt_s,
        agreement=agreement[1:],
        kappa=kappa[1:],
        auto_information_bits=information[1:],
        period_s=period * dt_s if period is not None else None,
        periodicity=float(kappa[period]) if period is not None else None,
        # A label held for d frames is still right with probability A(d), d = 0 … i − 1.
        hold_agreement=tuple((i, float(agreement[:i].mean())) for i in HOLD_FRAMES if i <= lags),
    )


def lagged_counts(
    label: Labels, lags: int
) -> Float64[np.ndarray, "lags_and_zero occurring occurring"]:
    """Count the pairs (k_t = a, k_{t+τ} = b) of occurring labels at every lag τ = 0 … lags.

    Cross-correlations by FFT over blocks of a few times `lags` frames, summed over blocks in the
    frequency domain: linear in the number of frames, and exact after rounding.
    """
    occurring = np.unique(label[label >= 0])
    block = max(3 * lags, 1024)
    size = next_fast_len(block + lags, real=True)
    blocks = -(-len(label) // block)
    padded = np.full(blocks * block + lags, -1, label.dtype)
    padded[: len(label)] = label
    total = np.zeros((size // 2 + 1, len(occurring), len(occurring)), np.complex128)
    windows = np.lib.stride_tricks.sliding_window_view(padded, block + lags)[::block]
    for first in range(0, blocks, _BLOCKS_PER_BATCH):
        later = windows[first : first + _BLOCKS_PER_BATCH, :, None] == occurring
        spectrum = rfft(later[:, :block].astype(np.float64), size, axis=1)
        spectrum_later = rfft(later.astype(np.float64), size, axis=1)
        # At each frequency, the sum over blocks of conj(a) · b.
        total += spectrum.conj().transpose(1, 2, 0) @ spectrum_later.transpose(1, 0, 2)
    return np.maximum(np.rint(irfft(total, size, axis=0)[: lags + 1]), 0.0)


def _period(kappa: Float64[np.ndarray, " lags_and_zero"]) -> int | None:
    first = np.argmax(kappa < 0) if (kappa < 0).any() else len(kappa)
    peaks = first + find_peaks(kappa[first:], height=0.0)[0]
    if not len(peaks):
        return None
    return int(peaks[np.argmax(kappa[peaks] >= NEARLY_HIGHEST * kappa[peaks].max())])
