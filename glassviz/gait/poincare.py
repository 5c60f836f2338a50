"""Physical stability of a gait: the return map from touchdown to touchdown."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64

from glassviz.gait.cycles import Cycles

FEWEST_CYCLES = 10
RESAMPLES = 200
LEVEL = 0.95


@dataclass(frozen=True)
class ReturnMap:
    """The largest Floquet multiplier of the linear return map.

    Attributes:
        rho: spectral radius ρ(A); below 1 disturbances die out from cycle to cycle.
        low, high: percentile interval of ρ over cycles drawn with replacement. Drawing repeats
            cycles, and a fit to fewer cycles scatters more: it lies rather high.
        level: share of the resampled values within the interval.
        cycles: number of cycles that it is fitted to.
    """

    rho: float
    low: float
    high: float
    level: float
    cycles: int


def return_map(
    cycles: Cycles,
    height: Float64[np.ndarray, " frames"],
    torso: Float64[np.ndarray, " frames"],
    rng: np.random.Generator,
) -> ReturnMap | None:
    """Fit y_{j+1} = A y_j + b to what the body does at touchdowns; None below 10 cycles.

    y is (rate of the height, pitch of the torso, its rate): with 20 cycles no more than three
    features can be fitted, and the interval is wide even so (Hurmuzlu & Basdogan, "On the
    measurement of dynamic stability of human locomotion", 1994).

    Args:
        cycles: of the gait; each gives one pair (y_j, y_{j+1}).
        height: torso over foot, m.
        torso: pitch, rad.
        rng: draws the cycles of the bootstrap.
    """
    if cycles.count < FEWEST_CYCLES:
        return None
    # Pitch is an angle: taken from its mean direction, whole turns drop out.
    towards = np.exp(1j * torso)
    pitch = np.angle(towards / towards[cycles.starts].mean())
    states = np.stack([np.gradient(height), pitch, np.gradient(np.unwrap(torso))], axis=1)
    before, after = states[cycles.starts], states[cycles.ends]
    # The same scale on both sides leaves the eigenvalues alone and the fit well conditioned.
    centre, scale = before.mean(axis=0), before.std(axis=0)
    scale[scale < 1e-12] = 1.0
    x = np.column_stack([(before - centre) / scale, np.ones(cycles.count)])
    y = (after - centre) / scale

    draws = rng.multinomial(cycles.count, np.full(cycles.count, 1 / cycles.count), RESAMPLES)
    weights = np.vstack([np.ones(cycles.count), draws])
    gram = np.einsum("wj,jab->wab", weights, x[:, :, None] * x[:, None, :], optimize=True)
    cross = np.einsum("wj,jab->wab", weights, x[:, :, None] * y[:, None, :], optimize=True)
    fitted = np.linalg.pinv(gram, hermitian=True) @ cross
    rho, *resampled = np.abs(np.linalg.eigvals(fitted[:, :-1])).max(axis=1)
    low, high = np.quantile(resampled, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return ReturnMap(float(rho), float(low), float(high), LEVEL, cycles.count)
