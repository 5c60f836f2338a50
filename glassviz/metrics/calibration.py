"""Whether an agent's predicted values are what it then gets."""

from dataclasses import dataclass
from math import ceil, log

import numpy as np
from jaxtyping import Float, Float64, Int

from glassviz.metrics.statistics import REPLICATES, MeanInterval, mean_interval

TAIL_WEIGHT = 0.01
"""Frames count if what comes after the episode's end would weigh at most this much in them."""


PerFrame = Float[np.ndarray, "episodes frames"]


@dataclass(frozen=True)
class ValueCalibration:
    """Predicted value against realised discounted return-to-go, over the frames that have enough
    of the episode before them; n is the number of episodes, and all is within one run.

    Attributes:
        episodes: n.
        frames: of each episode that count: the first ones.
        discount: γ per frame.
        predicted, realised: means over frames, in discounted reward.
        bias: predicted − realised, a mean per episode; above 0: the agent expects too much.
        rmse: root of the mean squared difference, in discounted reward.
        relative_rmse: rmse / standard deviation of what was realised; from 1 on the mean of what
            was realised would have predicted better. None where that is constant.
        rank_correlation: Spearman's ρ of both within an episode, over the episodes in which
            neither is constant; None if there is none.
        slope: of the least-squares line of what was realised on what was predicted: 1 if
            calibrated, below 1 if predictions differ more than what comes of them. None where
            predictions are constant.
        slope_low, slope_high: 95 % percentile interval, resampling episodes; None with one.
    """

    episodes: int
    frames: int
    discount: float
    predicted: float
    realised: float
    bias: MeanInterval
    rmse: float
    relative_rmse: float | None
    rank_correlation: MeanInterval | None
    slope: float | None
    slope_low: float | None
    slope_high: float | None


def value_calibration(
    value: PerFrame, reward: PerFrame, discount: float, rng: np.random.Generator
) -> ValueCalibration | None:
    """Compare values with the discounted sums of the rewards that followed.

    Episodes end by the clock, and what would have come after is not known. Frames of which it
    would weigh more than 1 % (γᵐ, m rewards being left) are left out: with γ = 0.99 the last 458.
    Nothing is bootstrapped from the values that are put to the test.

    Args:
        value: predicted at each frame, before its reward.
        reward: of each frame.
        discount: γ per frame.
        rng: resamples episodes.

    Returns:
        None when episodes are too short, the discount is not between 0 and 1, or a number is not
        finite.
    """
    frames = reward.shape[1] - frames_ahead(discount) + 1 if 0 < discount < 1 else 0
    if frames < 1 or not len(reward) or not (np.isfinite(value) & np.isfinite(reward)).all():
        return None
    v = value[:, :frames].astype(np.float64)
    g = returns_to_go(reward, discount)[:, :frames]
    rho = _rank_correlations(v, g)
    slope, low, high = _slope(v, g, rng)
    rmse, spread = float(np.sqrt(np.square(v - g).mean())), float(g.std())
    return ValueCalibration(
        episodes=len(v),
        frames=frames,
        discount=discount,
        predicted=float(v.mean()),
        realised=float(g.mean()),
        bias=mean_interval((v - g).mean(axis=1).tolist()),
        rmse=rmse,
        relative_rmse=rmse / spread if np.ptp(g) > 0 else None,
        rank_correlation=mean_interval(rho.tolist()) if len(rho) else None,
        slope=slope,
        slope_low=low,
        slope_high=high,
    )


def frames_ahead(discount: float) -> int:
    """Rewards that a frame needs before the end, its own included, for γᵐ to be at most 1 %."""
    return ceil(log(TAIL_WEIGHT) / log(discount))


def returns_to_go(reward: PerFrame, discount: float) -> Float64[np.ndarray, "episodes frames"]:
    """G_t = Σ_k γᵏ r_{t+k} up to the episode's end."""
    from scipy.signal import lfilter

    backwards = reward[:, ::-1].astype(np.float64)
    return np.asarray(lfilter([1.0], [1.0, -discount], backwards, axis=1))[:, ::-1]


def _rank_correlations(
    v: Float64[np.ndarray, "episodes frames"], g: Float64[np.ndarray, "episodes frames"]
) -> Float64[np.ndarray, " defined"]:
    from scipy.stats import rankdata

    varied = (np.ptp(v, axis=1) > 0) & (np.ptp(g, axis=1) > 0)
    ranks = [rankdata(each[varied], axis=1) for each in (v, g)]
    a, b = (each - each.mean(axis=1, keepdims=True) for each in ranks)
    return (a * b).sum(axis=1) / np.sqrt(np.square(a).sum(axis=1) * np.square(b).sum(axis=1))


def _slope(
    v: Float64[np.ndarray, "episodes frames"],
    g: Float64[np.ndarray, "episodes frames"],
    rng: np.random.Generator,
) -> tuple[float | None, float | None, float | None]:
    """The slope over all frames, and its interval."""
    if np.ptp(v) == 0:
        return None, None, None
    # Centred first, so that the sums of squares lose no digits.
    v, g = v - v.mean(), g - g.mean()
    sums = np.stack([each.mean(axis=1) for each in (v, g, v * v, v * g)])
    episodes = len(v)

    def slope(weight: Int[np.ndarray, "samples episodes"]) -> Float64[np.ndarray, " samples"]:
        mean_v, mean_g, vv, vg = sums @ weight.T / episodes
        spread = vv - mean_v**2
        known = spread > 1e-12 * np.square(v).mean()
        return (vg - mean_v * mean_g)[known] / spread[known]

    [whole] = slope(np.ones((1, episodes), np.int64)).tolist()
    if episodes < 2:
        return whole, None, None
    drawn = rng.integers(episodes, size=(REPLICATES, episodes))
    weight = (drawn[:, :, None] == np.arange(episodes)).sum(axis=1)
    low, high = np.quantile(slope(weight), [0.025, 0.975]).tolist()
    return whole, low, high
