"""Rhythm and gait cycles: period, phase, and where each cycle begins."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float64, Int
from scipy.fft import irfft, next_fast_len, rfft
from scipy.signal import butter, hilbert, sosfiltfilt

from glassviz.gait.contacts import FloorContacts, debounce, rising

SLOWEST_S = 2.5
"""Agents that fall and get up all the time take 1.7 to 2.1 s for it."""


FASTEST_S = 1 / 6


FIRST_PEAK = 0.75
"""The first peak that reaches this share of the highest one is the period. The highest may be a
multiple of it: hops that alternate are more alike two or three hops apart than one, and their
first peak has 0.81 to 0.84 of the highest, in shipped agents that hop to the eye. None of these
agents has a second peak within a gait cycle, which a lower share could mistake for its end."""


MONOTONE = 0.95
"""Share of the frames in which a Hilbert phase must advance to be one."""


BAND = (0.5, 1.5)
"""Pass band of the Hilbert phase, in units of the autocorrelation's frequency."""


FILTER_ORDER = 2


@dataclass(frozen=True)
class Rhythm:
    """First peak of an autocorrelation.

    Attributes:
        period_s: its lag, between frames by a parabola.
        strength: its height, at most 1; 1 is a clock.
    """

    period_s: float
    strength: float


def autocorrelation(
    signal: Float64[np.ndarray, " frames"], mask: Bool[np.ndarray, " frames"], lags: int
) -> Float64[np.ndarray, " lags"] | None:
    """Autocorrelation at lags 0..`lags`, over pairs of frames that are both in the mask.

    r(l) = mean of x_t x_{t+l} / mean of x_t², x the signal about its mean over the mask; by FFT.

    Returns:
        In [-1, 1] up to the noise of few pairs, 0 where there is no pair; None if the signal does
        not move.
    """
    if not mask.any() or np.ptp(signal[mask]) < 1e-9:
        return None
    size = next_fast_len(len(signal) + lags, real=True)

    def products(values: Float64[np.ndarray, " frames"]) -> Float64[np.ndarray, " lags"]:
        return irfft(np.abs(rfft(values, size)) ** 2, size)[: lags + 1]

    total = products(np.where(mask, signal - signal[mask].mean(), 0.0))
    pairs = np.round(products(mask.astype(np.float64)))
    means = np.where(pairs > 0, total / np.maximum(pairs, 1), 0.0)
    return means / means[0]


def autocorrelation_rhythm(
    height: Float64[np.ndarray, " frames"], mask: Bool[np.ndarray, " frames"], dt_s: float
) -> Rhythm | None:
    """The first high peak of the height's autocorrelation; None without a positive peak.

    Longer lags than half of the frames in the mask are left out: less than two periods are no
    rhythm.
    """
    lags = min(round(SLOWEST_S / dt_s), int(mask.sum()) // 2) + 1
    least = max(1, int(np.ceil(FASTEST_S / dt_s)))
    r = autocorrelation(height, mask, lags) if lags > least + 1 else None
    if r is None:
        return None
    inner = np.arange(least, len(r) - 1)
    peaks = inner[(r[inner] > 0) & (r[inner] >= r[inner - 1]) & (r[inner] > r[inner + 1])]
    if not len(peaks):
        return None
    peak = int(peaks[r[peaks] >= FIRST_PEAK * r[peaks].max()][0])
    before, top, after = r[peak - 1 : peak + 2]
    shift = (before - after) / (2 * (before - 2 * top + after))
    return Rhythm(float(peak + shift) * dt_s, min(1.0, float(top)))


def hilbert_period(
    height: Float64[np.ndarray, " frames"],
    mask: Bool[np.ndarray, " frames"],
    dt_s: float,
    around_s: float,
) -> float | None:
    """Period by the phase of the analytic signal x + i H[x], x the height in a band.

    The band reaches from half of the frequency 1 / `around_s` to one and a half of it, and the
    filter shifts no phase. One period at each end is dropped.

    Returns:
        s; None if the phase does not advance in 95 % of the frames, or these are too few.
    """
    edge = round(around_s / dt_s)
    band = [min(factor * 2 * dt_s / around_s, 0.99) for factor in BAND]
    inside = np.zeros_like(mask)
    inside[edge : len(mask) - edge] = mask[edge : len(mask) - edge]
    pairs = inside[1:] & inside[:-1]
    if pairs.sum() < 2 * edge:
        return None
    at = np.flatnonzero(mask)
    filled = np.interp(np.arange(len(height)), at, height[at])
    sos = butter(FILTER_ORDER, band, btype="bandpass", output="sos")
    # The fast length spares a slow transform of a length with large prime factors.
    narrow = sosfiltfilt(sos, filled, padlen=min(3 * edge, len(filled) - 1))
    analytic = hilbert(narrow, next_fast_len(len(narrow)))[: len(narrow)]
    steps = np.angle(analytic[1:] * np.conj(analytic[:-1]))[pairs]
    if (steps > 0).mean() < MONOTONE:
        return None
    return float(2 * np.pi * dt_s / steps.mean())


REGULAR = (0.5, 1.5)
"""Between two touchdowns that lie further apart than one and a half median periods one was missed,
and such an interval is no cycle; nor is one of less than half a period."""


@dataclass(frozen=True, eq=False)
class Cycles:
    """The cycles of an episode, J of them.

    Attributes:
        starts: frame of the touchdown that begins each.
        ends: frame of the touchdown that ends it, the next one's start if that follows directly.
        phase: in [0, 2π), linear between touchdowns; NaN outside of cycles.
        cycle: number of the cycle, 0..J-1; -1 outside.
        dt_s: seconds between frames.
    """

    starts: Int[np.ndarray, " cycles"]
    ends: Int[np.ndarray, " cycles"]
    phase: Float64[np.ndarray, " frames"]
    cycle: Int[np.ndarray, " frames"]
    dt_s: float

    @property
    def count(self) -> int:
        """Number of cycles J."""
        return len(self.starts)

    @property
    def periods_s(self) -> Float64[np.ndarray, " cycles"]:
        """Duration of each, s."""
        return (self.ends - self.starts) * self.dt_s

    @property
    def period_s(self) -> float | None:
        """Mean duration, s; None without cycles."""
        return float(self.periods_s.mean()) if self.count else None

    @property
    def period_cv(self) -> float | None:
        """Coefficient of variation of the durations, 0 for a clock; None below two cycles."""
        periods = self.periods_s
        return float(periods.std(ddof=1) / periods.mean()) if self.count > 1 else None


def find_cycles(
    touchdowns: Int[np.ndarray, " touchdowns"], mask: Bool[np.ndarray, " frames"], dt_s: float
) -> Cycles:
    """Cut an episode into cycles at its touchdowns.

    A cycle is what lies between two successive touchdowns, if all its frames are in the mask, it
    lasts 1/6 to 2.5 s, and between 0.5 and 1.5 times the median of these.
    """
    starts, ends = touchdowns[:-1], touchdowns[1:]
    outside = np.concatenate([[0], np.cumsum(~mask)])
    lengths = ends - starts
    good = (outside[ends] == outside[starts]) & (lengths * dt_s >= FASTEST_S - dt_s / 2)
    good &= lengths * dt_s <= SLOWEST_S
    if good.any():
        usual = np.median(lengths[good])
        good &= (lengths >= REGULAR[0] * usual) & (lengths <= REGULAR[1] * usual)
    starts, ends = starts[good], ends[good]

    frames = np.arange(len(mask))
    cycle = np.searchsorted(starts, frames, side="right") - 1
    phase = np.full(len(mask), np.nan)
    if len(starts):
        cycle = np.where(frames < ends[cycle], cycle, -1)
        inside = cycle >= 0
        own = cycle[inside]
        phase[inside] = 2 * np.pi * (frames[inside] - starts[own]) / (ends[own] - starts[own])
    return Cycles(starts, ends, phase, cycle, dt_s)


def body_touchdowns(
    contacts: FloorContacts, height: Float64[np.ndarray, " frames"], dt_s: float
) -> Int[np.ndarray, " touchdowns"]:
    """Frames at which torso, nose, pelvis or thigh comes down, once for every rise of the torso.

    The cycle of a gait that does not stay on its foot begins when the body touches the floor. It
    may do so several times before it rises (nose, then knee), so that only the first touch after
    the torso was above its mean height counts.
    """
    high = debounce(height > height.mean(), dt_s)
    rises = np.zeros(len(height), int)
    rises[rising(high)] = 1
    touches = rising(contacts.body)
    _, first = np.unique(np.cumsum(rises)[touches], return_index=True)
    return touches[first]
