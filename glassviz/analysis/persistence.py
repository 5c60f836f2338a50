"""How alike labels are a lag apart: persistence, its peak, and how much frame rate they need."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64, Int
from scipy.fft import irfft, next_fast_len, rfft
from scipy.signal import find_peaks

from glassviz.analysis.information import information_bits

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
