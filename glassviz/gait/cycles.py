"""Rhythm and gait cycles: period detectors, cycle boundaries and phase."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Complex128, Float64, Int
from scipy.fft import irfft, next_fast_len, rfft
from scipy.signal import butter, hilbert, sosfiltfilt

from glassviz.gait.contacts import FloorContacts, Mask, Signal, debounce, rising_edges

SLOWEST_S = 2.5
"""Longest period, s. Agents that repeatedly fall and get up have periods of 1.7 to 2.1 s."""

FASTEST_S = 1 / 6

FIRST_PEAK = 0.75
"""The rhythm is the first peak that reaches this share of the highest peak."""

FRACTION_PEAK = 0.4
"""A rhythm of m equal cycles has peaks at 1/m, 2/m, … of its lag: hops that alternate resemble the
second or fourth next hop more than the next one. The first of these peaks is the period if it
reaches this share of the rhythm's height. In shipped agents that visibly hop it has at least 0.53;
0.32 in a wave whose third harmonic is as large as its fundamental."""

EQUAL = 0.15
"""How far such peaks may be from equal parts of the lag, in cycles."""

MONOTONE = 0.95
"""A Hilbert phase is accepted if it advances in at least this share of the frames."""

BAND = (0.5, 1.5)
"""Pass band of the Hilbert phase, relative to the frequency found by autocorrelation."""


@dataclass(frozen=True)
class Rhythm:
    """Rhythm of an autocorrelation.

    Attributes:
        period_s: lag of the first high peak, or its m-th part for a rhythm of m equal cycles, s;
            interpolated between frames by a parabola.
        strength: height of the first high peak, at most 1; 1 for a perfectly periodic signal.
    """

    period_s: float
    strength: float


def autocorrelation(signal: Signal, mask: Mask, lags: int) -> Float64[np.ndarray, " lags"] | None:
    """Autocorrelation at lags 0..`lags`, over pairs of frames that both lie in the mask.

    r(l) = mean of x_t x_{t+l} / mean of x_t², with x the signal minus its mean over the mask;
    computed by FFT. In [-1, 1] up to sampling noise of few pairs, 0 at lags without a pair. None if
    the signal is constant.

    Example:
        >>> signal = np.sin(2 * np.pi * np.arange(200) / 20)
        >>> r = autocorrelation(signal, np.ones(200, bool), lags=30)
        >>> r[[10, 20]].round(2)
        array([-1.,  1.])
    """
    if not mask.any() or np.ptp(signal[mask]) < 1e-9:
        return None
    size = next_fast_len(len(signal) + lags, real=True)

    def products(values: Signal) -> Float64[np.ndarray, " lags"]:
        return irfft(np.abs(rfft(values, size)) ** 2, size)[: lags + 1]

    total = products(np.where(mask, signal - signal[mask].mean(), 0.0))
    pairs = np.round(products(mask.astype(np.float64)))
    means = np.where(pairs > 0, total / np.maximum(pairs, 1), 0.0)
    return means / means[0]


def autocorrelation_rhythm(height: Signal, mask: Mask, dt_s: float) -> Rhythm | None:
    """Rhythm of the height by its autocorrelation; None without a positive peak.

    Lags longer than half the frames in the mask are ignored: fewer than two periods are no rhythm.

    Example:
        >>> height = np.sin(2 * np.pi * np.arange(400) / 20)
        >>> rhythm = autocorrelation_rhythm(height, np.ones(400, bool), dt_s=0.02)
        >>> round(rhythm.period_s, 2), round(rhythm.strength, 2)
        (0.4, 1.0)
    """
    lags = min(round(SLOWEST_S / dt_s), int(mask.sum()) // 2) + 1
    shortest = max(1, int(np.ceil(FASTEST_S / dt_s)))
    r = autocorrelation(height, mask, lags) if lags > shortest + 1 else None
    return None if r is None else first_peak(r, shortest, dt_s)


def first_peak(r: Float64[np.ndarray, " lags"], shortest: int, dt_s: float) -> Rhythm | None:
    """Rhythm of an autocorrelation, by its peaks after the lag `shortest`; None without one."""
    inner = np.arange(shortest, len(r) - 1)
    peaks = inner[(r[inner] > 0) & (r[inner] >= r[inner - 1]) & (r[inner] > r[inner + 1])]
    if not len(peaks):
        return None
    high = int(peaks[r[peaks] >= FIRST_PEAK * r[peaks].max()][0])
    peak = _first_of_equal(peaks[(peaks < high) & (r[peaks] >= FRACTION_PEAK * r[high])], high)
    before, top, after = r[peak - 1 : peak + 2]
    shift = (before - after) / (2 * (before - 2 * top + after))
    return Rhythm(float(peak + shift) * dt_s, min(1.0, float(r[high])))


def _first_of_equal(peaks: Int[np.ndarray, " peaks"], high: int) -> int:
    """The first of the `peaks` if they divide the lag `high` into equal parts; else `high`."""
    for peak in peaks.tolist():
        parts = round(high / peak)
        divisions = high / parts * np.arange(1, parts)
        distances = np.abs(peaks[:, None] - divisions).min(axis=0)
        if parts > 1 and (distances <= EQUAL * high / parts).all():
            return peak
    return high


def hilbert_period(height: Signal, mask: Mask, dt_s: float, around_s: float) -> float | None:
    """Period, s, from the phase of the analytic signal x + i H[x] of the band-passed height x.

    The zero-phase filter passes 0.5 to 1.5 times the frequency 1 / `around_s`. One period at each
    end is dropped. None if the phase advances in less than 95 % of the frames, or if there are too
    few frames.
    """
    found = _advancing(height, mask, dt_s, around_s)
    return None if found is None else float(2 * np.pi * dt_s / found[1].mean())


def hilbert_beats(
    signal: Signal, mask: Mask, dt_s: float, around_s: float
) -> Int[np.ndarray, " beats"]:
    """Frames in which the phase of `hilbert_period` passes 0: the signal is at its highest.

    None of them if the phase advances in less than 95 % of the frames.
    """
    found = _advancing(signal, mask, dt_s, around_s)
    if found is None:
        return np.zeros(0, np.int64)
    phase = np.angle(found[0])
    # A phase that passes ±π is at the lowest, not at the highest.
    return np.flatnonzero((phase[:-1] < 0) & (phase[1:] >= 0) & (np.diff(phase) < np.pi)) + 1


def _advancing(
    height: Signal, mask: Mask, dt_s: float, around_s: float
) -> tuple[Complex128[np.ndarray, " frames"], Float64[np.ndarray, " steps"]] | None:
    """The band-passed analytic signal and its phase's steps within the mask; None without one."""
    edge = round(around_s / dt_s)
    band = [min(factor * 2 * dt_s / around_s, 0.99) for factor in BAND]
    inside = np.zeros_like(mask)
    inside[edge : len(mask) - edge] = mask[edge : len(mask) - edge]
    pairs = inside[1:] & inside[:-1]
    if pairs.sum() < 2 * edge or band[0] >= band[1]:
        return None
    known = np.flatnonzero(mask)
    filled = np.interp(np.arange(len(height)), known, height[known])
    sos = butter(2, band, btype="bandpass", output="sos")
    band_passed = sosfiltfilt(sos, filled, padlen=min(3 * edge, len(filled) - 1))
    # The FFT is slow for lengths with large prime factors.
    analytic = hilbert(band_passed, next_fast_len(len(band_passed)))[: len(band_passed)]
    steps = np.angle(analytic[1:] * np.conj(analytic[:-1]))[pairs]
    if (steps > 0).mean() < MONOTONE:
        return None
    return analytic, steps


# Gait cycles --------------------------------------------------------------------------------------

REGULAR = (0.5, 1.5)
"""Durations accepted as cycles, relative to the median: a longer interval has missed a touchdown, a
shorter one has an extra touchdown."""


@dataclass(frozen=True, eq=False)
class Cycles:
    """The J gait cycles of an episode.

    Attributes:
        starts, ends: frames of the touchdowns that begin and end each cycle; an end is the start of
            the next cycle if that follows directly.
        phase: phase in [0, 2π), linear between touchdowns; NaN outside of cycles.
        cycle: index of the cycle, 0..J-1; -1 outside of cycles.
    """

    starts: Int[np.ndarray, " cycles"]
    ends: Int[np.ndarray, " cycles"]
    phase: Signal
    cycle: Int[np.ndarray, " frames"]
    dt_s: float

    @property
    def count(self) -> int:
        """Number of cycles J."""
        return len(self.starts)

    @property
    def periods_s(self) -> Float64[np.ndarray, " cycles"]:
        """Duration of each cycle, s."""
        return (self.ends - self.starts) * self.dt_s

    @property
    def period_s(self) -> float | None:
        """Mean duration of a cycle, s; None without cycles."""
        return float(self.periods_s.mean()) if self.count else None

    @property
    def period_cv(self) -> float | None:
        """Coefficient of variation of the durations; None with fewer than two cycles."""
        periods = self.periods_s
        return float(periods.std(ddof=1) / periods.mean()) if self.count > 1 else None


def find_cycles(
    touchdowns: Int[np.ndarray, " touchdowns"],
    mask: Mask,
    dt_s: float,
    slowest_s: float = SLOWEST_S,
) -> Cycles:
    """Segment an episode into cycles at its touchdowns.

    A cycle is an interval between successive touchdowns that lies in the mask completely, lasts
    1/6 to 2.5 s (or up to `slowest_s`), and 0.5 to 1.5 times the median of all such intervals.

    Touchdowns are ascending frames; the mask has the frames that may belong to a cycle.

    Example:
        >>> cycles = find_cycles(np.array([0, 20, 41, 61]), np.ones(70, bool), dt_s=0.02)
        >>> cycles.count, cycles.periods_s.round(2).tolist()
        (3, [0.4, 0.42, 0.4])
    """
    starts, ends = touchdowns[:-1], touchdowns[1:]
    outside = np.concatenate([[0], np.cumsum(~mask)])
    lengths = ends - starts
    accepted = (outside[ends] == outside[starts]) & (lengths * dt_s >= FASTEST_S - dt_s / 2)
    accepted &= lengths * dt_s <= slowest_s
    if accepted.any():
        median = np.median(lengths[accepted])
        accepted &= (lengths >= REGULAR[0] * median) & (lengths <= REGULAR[1] * median)
    starts, ends = starts[accepted], ends[accepted]

    frames = np.arange(len(mask))
    cycle = np.searchsorted(starts, frames, side="right") - 1
    phase = np.full(len(mask), np.nan)
    if len(starts):
        cycle = np.where(frames < ends[cycle], cycle, -1)
        inside = cycle >= 0
        start, end = starts[cycle[inside]], ends[cycle[inside]]
        phase[inside] = 2 * np.pi * (frames[inside] - start) / (end - start)
    return Cycles(starts, ends, phase, cycle, dt_s)


def body_touchdowns(
    contacts: FloorContacts, height: Signal, dt_s: float
) -> Int[np.ndarray, " touchdowns"]:
    """Frames in which torso, nose, pelvis or thigh touches down, one per rise of the torso.

    Gaits that are not on the foot alone have cycles that begin with a touchdown of the body. The
    body may touch down several times before it rises (nose, then knee); only the first touchdown
    after the torso was above its mean height counts.
    """
    above_mean = debounce(height > height.mean(), dt_s)
    rises = np.zeros(len(height), int)
    rises[rising_edges(above_mean)] = 1
    touches = rising_edges(contacts.body)
    _, first = np.unique(np.cumsum(rises)[touches], return_index=True)
    return touches[first]
