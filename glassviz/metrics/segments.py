"""Segments of labels (dwell, switches, occupancy), and how labels persist over lags."""

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace

import numpy as np
from jaxtyping import Bool, Float64, Int
from scipy.fft import irfft, next_fast_len, rfft
from scipy.signal import find_peaks

from glassviz.metrics.information import entropy_bits, information_bits, stretches

FLICKER_FRAMES = 2
"""A segment of so many frames or fewer is taken for flicker."""


VISITED_SHARE = 0.01
"""A label counts as visited with more than this share of the frames."""


STUCK_SHARE = 0.8
"""With one label for so much of the time, a run is called stuck."""


Labels = Int[np.ndarray, " frames"]


@dataclass(frozen=True, eq=False)
class Segments:
    """Maximal runs of one label in consecutive frames, in the order of time.

    Attributes:
        label: of each segment.
        start: its first frame.
        length: d, in frames.
        open_start, open_end: whether the frame before, or behind, is left out, so that the
            segment may be longer than what was seen of it.
    """

    label: Int[np.ndarray, " segments"]
    start: Int[np.ndarray, " segments"]
    length: Int[np.ndarray, " segments"]
    open_start: Bool[np.ndarray, " segments"]
    open_end: Bool[np.ndarray, " segments"]

    @property
    def censored(self) -> Bool[np.ndarray, " segments"]:
        """Segments whose whole length is unknown."""
        return self.open_start | self.open_end

    @property
    def flicker(self) -> Bool[np.ndarray, " segments"]:
        """Segments that are seen whole, and last two frames at most."""
        return ~self.censored & (self.length <= FLICKER_FRAMES)

    @property
    def returns(self) -> Bool[np.ndarray, " segments"]:
        """Flicker B in A-B-A: the label comes back to what it was."""
        around = np.zeros(len(self.label), bool)
        around[1:-1] = self.label[:-2] == self.label[2:]
        return self.flicker & around


def find_segments(label: Labels) -> Segments:
    """Cut an episode's labels into segments."""
    stretch = stretches(label >= 0)
    kept = np.flatnonzero(stretch >= 0)
    if not len(kept):
        empty, none = np.zeros(0, np.int64), np.zeros(0, bool)
        return Segments(empty, empty, empty, none, none)
    value, part = label[kept], stretch[kept]
    cut = np.flatnonzero((np.diff(value) != 0) | (np.diff(part) != 0)) + 1
    first = np.concatenate([[0], cut])
    last = np.concatenate([cut, [len(kept)]]) - 1
    alone = np.concatenate([[True], np.diff(part[first]) != 0, [True]])
    return Segments(
        label=value[first].astype(np.int64),
        start=kept[first],
        length=last - first + 1,
        open_start=alone[:-1],
        open_end=alone[1:],
    )


def pooled(episodes: Sequence[Segments], frames: int) -> Segments:
    """The segments of several episodes of so many frames each, laid one behind the other."""
    parts = [replace(each, start=each.start + i * frames) for i, each in enumerate(episodes)]
    names = [field.name for field in fields(Segments)]
    return Segments(**{n: np.concatenate([getattr(each, n) for each in parts]) for n in names})


@dataclass(frozen=True)
class Switching:
    """How often the label changes.

    Attributes:
        rate_hz: switches per second of observed time. 0: a constant label.
        per_cycle: switches per gait cycle. A clean gait of m phases has m; more is chatter.
        flicker_share: share of the segments seen whole that last two frames or fewer, in [0, 1].
        return_share: share of the segments seen whole that are such flicker and lead back to the
            label before (A-B-A), in [0, flicker_share].

    Each is None where it has nothing to be computed from: no two consecutive frames, no gait
    cycle, no segment seen whole.
    """

    rate_hz: float | None
    per_cycle: float | None
    flicker_share: float | None
    return_share: float | None


def switching(
    label: Labels, cycle: Int[np.ndarray, " frames"], segments: Segments, dt_s: float
) -> Switching:
    """Count the switches of an episode.

    Args:
        label: of each frame; −1: left out.
        cycle: gait cycle of each frame; −1 outside of cycles.
        segments: of these labels.
        dt_s: seconds between frames.
    """
    pair = (label[1:] >= 0) & (label[:-1] >= 0)
    changed = pair & (label[1:] != label[:-1])
    rate = changed.sum() / pair.sum() if pair.any() else None
    # A pair belongs to the cycle of its second frame, so that each cycle has as many as frames.
    inside = cycle >= 0
    in_cycle = pair & inside[1:]
    per_cycle = None
    if in_cycle.any():
        counted = inside & (label >= 0)
        period = counted.sum() / len(np.unique(cycle[counted]))
        per_cycle = float(changed[inside[1:]].sum() / in_cycle.sum() * period)
    whole = int((~segments.censored).sum())
    return Switching(
        rate_hz=float(rate / dt_s) if rate is not None else None,
        per_cycle=per_cycle,
        flicker_share=float(segments.flicker.sum() / whole) if whole else None,
        return_share=float(segments.returns.sum() / whole) if whole else None,
    )


@dataclass(frozen=True)
class Dwell:
    """How long one label stays, from the segments that were seen whole.

    Attributes:
        label: which.
        segments: seen whole.
        censored: segments cut off by the ends of what was observed; not in the figures below.
        median_frames, mean_frames, iqr_frames: of the length; iqr from quartile to quartile.
        median_s, mean_s, iqr_s: the same in seconds.
        cv: standard deviation over mean. Near 1 for a memoryless label, far below for a clocked
            one, 0 for a perfect clock. None with fewer than two segments.

    The figures are None without a segment seen whole.
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
    """The dwell of every label that occurs, by label."""
    return tuple(_dwell(segments, int(k), dt_s) for k in np.unique(segments.label))


def _dwell(segments: Segments, label: int, dt_s: float) -> Dwell:
    own = segments.label == label
    length = segments.length[own & ~segments.censored]
    censored = int((own & segments.censored).sum())
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


def clock_cv(dwells: Sequence[Dwell]) -> float | None:
    """Coefficient of variation of the dwell within labels: mean over labels, by segments.

    Pooled over labels a perfect clock with long and short phases would look irregular. None when
    no label has two segments seen whole.
    """
    rated = [(dwell.cv, dwell.segments) for dwell in dwells if dwell.cv is not None]
    if not rated:
        return None
    cv, weight = zip(*rated, strict=True)
    return float(np.average(cv, weights=weight))


@dataclass(frozen=True, eq=False)
class Occupancy:
    """How the frames are shared out between the labels.

    Attributes:
        share: p_k of each of the K labels; all 0 without frames.
        visited: labels with more than 1 % of the frames. What happens, as opposed to the
            clusters that are active in the partition.
        entropy: −Σ p log p / log K, in [0, 1]; 0 for a stuck run, neither good nor bad by itself.
            None with K = 1 or without frames.
        effective_labels: 2^H, the number of equally frequent labels with the same entropy.
        dominant: the most frequent label, and `dominant_share` its share; None without frames.
    """

    share: Float64[np.ndarray, " clusters"]
    visited: tuple[int, ...]
    entropy: float | None
    effective_labels: float | None
    dominant: int | None
    dominant_share: float | None

    @property
    def stuck(self) -> bool:
        """Whether one label has four fifths of the frames or more."""
        return self.dominant_share is not None and self.dominant_share >= STUCK_SHARE


def occupancy(label: Labels, clusters: int) -> Occupancy:
    """Count the frames of each of K labels."""
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


MAX_LAG_S = 4.0
"""Two periods of the slowest rhythm that is looked for, 0.5 Hz."""


HOLD_FRAMES = (2, 3, 5, 10)
"""Label resolution: a label every so many frames, held in between."""


NEARLY_HIGHEST = 0.9
"""The period is the first peak of this share of the highest: peaks return at its multiples."""


_BLOCKS_AT_ONCE = 256


@dataclass(frozen=True, eq=False)
class Persistence:
    """Labels against labels τ later, for τ = 1, 2, … frames.

    Attributes:
        lag_s: τ in seconds.
        agreement: A(τ) = P(k_t = k_{t+τ}), in [0, 1].
        kappa: (A − Σ p²) / (1 − Σ p²), agreement beyond chance: 1 the same, 0 independent,
            negative where labels avoid each other. NaN for a constant label.
        auto_information_bits: I(k_t; k_{t+τ}), plug-in; in [0, H(k)].
        period_s: the label's own period: place of the first high peak of kappa behind its first
            dip below zero. None when there is none.
        periodicity: kappa there, in [0, 1]; 1 for labels that repeat exactly.
        hold_agreement: (i, share of frames that keep their label when only every i-th frame is
            labelled and the label held), over all starts. High: a low frame rate will do.

    Lags without a single pair of frames are NaN.
    """

    lag_s: Float64[np.ndarray, " lags"]
    agreement: Float64[np.ndarray, " lags"]
    kappa: Float64[np.ndarray, " lags"]
    auto_information_bits: Float64[np.ndarray, " lags"]
    period_s: float | None
    periodicity: float | None
    hold_agreement: tuple[tuple[int, float], ...]


def persistence(
    label: Int[np.ndarray, " frames"], dt_s: float, max_lag_s: float = MAX_LAG_S
) -> Persistence | None:
    """Compare labels with later ones; frames labelled −1 are left out of every pair.

    The time taken grows linearly with the frames.

    Args:
        label: of each frame.
        dt_s: seconds between frames.
        max_lag_s: longest lag; no lag is longer than half of the frames.

    Returns:
        None when every frame is left out.
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
    place = _period(kappa)
    return Persistence(
        lag_s=np.arange(1, lags + 1) * dt_s,
        agreement=agreement[1:],
        kappa=kappa[1:],
        auto_information_bits=information[1:],
        period_s=place * dt_s if place is not None else None,
        periodicity=float(kappa[place]) if place is not None else None,
        # A frame labelled d frames ago keeps its label with A(d), and d runs from 0 to i − 1.
        hold_agreement=tuple((i, float(agreement[:i].mean())) for i in HOLD_FRAMES if i <= lags),
    )


def lagged_counts(
    label: Int[np.ndarray, " frames"], lags: int
) -> Float64[np.ndarray, "lags_and_zero occurring occurring"]:
    """Count, for every lag τ = 0 … lags, the pairs (k_t = a, k_{t+τ} = b) of occurring labels.

    Cross-correlations by Fourier transforms of blocks of a few times `lags` frames, summed over
    blocks before they are transformed back: linear in the frames, and exact after rounding.

    Args:
        label: of each frame; −1: left out.
        lags: the longest lag, in frames.
    """
    occurring = np.unique(label[label >= 0])
    block = max(3 * lags, 1024)
    size = next_fast_len(block + lags, real=True)
    blocks = -(-len(label) // block)
    padded = np.full(blocks * block + lags, -1, label.dtype)
    padded[: len(label)] = label
    total = np.zeros((size // 2 + 1, len(occurring), len(occurring)), np.complex128)
    windows = np.lib.stride_tricks.sliding_window_view(padded, block + lags)[::block]
    for first in range(0, blocks, _BLOCKS_AT_ONCE):
        later = windows[first : first + _BLOCKS_AT_ONCE, :, None] == occurring
        spectrum = rfft(later[:, :block].astype(np.float64), size, axis=1)
        spectrum_later = rfft(later.astype(np.float64), size, axis=1)
        # By frequency: the sum over blocks of conj(a) · b.
        total += spectrum.conj().transpose(1, 2, 0) @ spectrum_later.transpose(1, 0, 2)
    return np.maximum(np.rint(irfft(total, size, axis=0)[: lags + 1]), 0.0)


def _period(kappa: Float64[np.ndarray, " lags_and_zero"]) -> int | None:
    below = np.flatnonzero(kappa < 0)
    if not len(below):
        return None
    peaks, _ = find_peaks(kappa[below[0] :], height=0.0)
    if not len(peaks):
        return None
    peaks += below[0]
    return int(peaks[np.argmax(kappa[peaks] >= NEARLY_HIGHEST * kappa[peaks].max())])
