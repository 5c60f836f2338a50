"""Onsets: where in the gait cycle labels begin."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64

from glassviz.analysis.segments import Segments


@dataclass(frozen=True)
class OnsetLocking:
    """Where in the gait cycle a label begins.

    Attributes:
        label: which.
        onsets: n, its segments that begin within a gait cycle, behind another label.
        concentration: R = |mean of exp(iφ)| over onsets, in [0, 1]; 1: always at one phase.
        mean_phase_rad: circular mean, in [0, 2π).
        circular_sd_rad: √(−2 ln R); infinite where R is 0.
        rayleigh_p: of the Rayleigh test against onsets anywhere. Of onsets, not of frames, and
            blind to labels that begin twice a cycle.
    """

    label: int
    onsets: int
    concentration: float
    mean_phase_rad: float
    circular_sd_rad: float
    rayleigh_p: float


def onset_locking(
    segments: Segments, phase: Float64[np.ndarray, " frames"]
) -> tuple[OnsetLocking, ...]:
    """Onset statistics of every label with an onset, by label."""
    begun = ~segments.open_start
    at, label = phase[segments.start[begun]], segments.label[begun]
    at, label = at[np.isfinite(at)], label[np.isfinite(at)]
    return tuple(_onsets(int(k), at[label == k]) for k in np.unique(label))


def _onsets(label: int, phase: Float64[np.ndarray, " onsets"]) -> OnsetLocking:
    mean = np.exp(1j * phase).mean()
    r = min(float(abs(mean)), 1.0)
    return OnsetLocking(
        label=label,
        onsets=len(phase),
        concentration=r,
        mean_phase_rad=float(np.angle(mean) % (2 * np.pi)),
        circular_sd_rad=float(np.sqrt(-2 * np.log(r))) if r > 0 else float("inf"),
        rayleigh_p=rayleigh_p(len(phase), r),
    )


def rayleigh_p(n: int, r: float) -> float:
    """P of a resultant as long as R = `r` from n uniform phases (Zar's approximation, 2010).

    p = exp(√(1 + 4n + 4n²(1 − R²)) − (1 + 2n)).
    """
    return float(min(np.exp(np.sqrt(1 + 4 * n + 4 * n**2 * (1 - r**2)) - (1 + 2 * n)), 1.0))
