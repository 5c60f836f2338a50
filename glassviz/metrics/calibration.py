"""Value calibration: predicted values against realised discounted returns."""

from dataclasses import dataclass
from math import ceil, log

import numpy as np
from jaxtyping import Float, Float64

from glassviz.metrics.statistics import REPLICATES, MeanInterval, bootstrap_weights, mean_interval

TAIL_WEIGHT = 0.01
"""Frames count if rewards after the end of the episode would have at most this weight."""

PerFrame = Float[np.ndarray, "episodes frames"]


@dataclass(frozen=True)
class ValueCalibration:
    """Predicted value against realised discounted return-to-go, over the episodes of one run.

    Attributes:
        episodes, frames: numbers of episodes, and of frames of each that count, from the first on.
        discount: γ per frame.
        predicted, realised: means over frames, in discounted reward.
        bias: mean of predicted − realised per episode; positive if the agent overestimates.
        rmse: root mean squared error, in discounted reward.
        relative_rmse: rmse / standard deviation of the realised values. From 1 on, the mean
            realised value is the better prediction. None if realised values are constant.
        rank_correlation: Spearman's ρ of both within an episode, over the episodes in which
            neither is constant; None without such an episode.
        slope: calibration slope, the least-squares slope of realised on predicted values: 1 if
            calibrated, below 1 if predictions vary too much. None if predictions are constant.
        slope_low, slope_high: 95 % percentile bootstrap interval over episodes; None with a single
            episode.
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
    """Compare predicted values with the discounted sums of the rewards that follow.

    Episodes are truncated, and later rewards are unknown. Frames in which those would weigh more
    than 1 % (γᵐ for m remaining rewards) are left out: the last 458 at γ = 0.99. Returns are not
    bootstrapped from the values under test.

    `value` is predicted at each frame, before its reward; `rng` resamples episodes. None if
    episodes are too short, the discount is not in (0, 1), or a number is not finite.

    Example:
        >>> reward = np.random.default_rng(0).uniform(size=(3, 100))
        >>> value = returns_to_go(reward, 0.9) + 0.5
        >>> result = value_calibration(value, reward, 0.9, np.random.default_rng(0))
        >>> result.frames, round(result.bias.mean, 3), round(result.slope, 3)
        (57, 0.5, 1.0)
    """
    frames = reward.shape[1] - frames_ahead(discount) + 1 if 0 < discount < 1 else 0
    if frames < 1 or not len(reward) or not (np.isfinite(value) & np.isfinite(reward)).all():
        return None
    v = value[:, :frames].astype(np.float64)
    g = returns_to_go(reward, discount)[:, :frames]
    rho = _rank_correlations(v, g)
    slope, low, high = _slope(v, g, rng)
    rmse, sd = float(np.sqrt(np.square(v - g).mean())), float(g.std())
    return ValueCalibration(
        episodes=len(v),
        frames=frames,
        discount=discount,
        predicted=float(v.mean()),
        realised=float(g.mean()),
        bias=mean_interval((v - g).mean(axis=1).tolist()),
        rmse=rmse,
        relative_rmse=rmse / sd if np.ptp(g) > 0 else None,
        rank_correlation=mean_interval(rho.tolist()) if len(rho) else None,
        slope=slope,
        slope_low=low,
        slope_high=high,
    )


def frames_ahead(discount: float) -> int:
    """Number of rewards m from a frame to the end, inclusive, that makes γᵐ at most 1 %.

    Example:
        >>> frames_ahead(0.99)
        459
    """
    return ceil(log(TAIL_WEIGHT) / log(discount))


def returns_to_go(reward: PerFrame, discount: float) -> Float64[np.ndarray, "episodes frames"]:
    """Discounted return-to-go G_t = Σ_k γᵏ r_{t+k} up to the end of the episode.

    Example:
        >>> returns_to_go(np.array([[1.0, 1.0, 1.0]]), discount=0.5)
        array([[1.75, 1.5 , 1.  ]])
    """
    from scipy.signal import lfilter

    backwards = reward[:, ::-1].astype(np.float64)
    return np.asarray(lfilter([1.0], [1.0, -discount], backwards, axis=1))[:, ::-1]


def _rank_correlations(v: PerFrame, g: PerFrame) -> Float64[np.ndarray, " defined"]:
    from scipy.stats import rankdata

    varying = (np.ptp(v, axis=1) > 0) & (np.ptp(g, axis=1) > 0)
    ranks = [rankdata(values[varying], axis=1) for values in (v, g)]
    a, b = (rank - rank.mean(axis=1, keepdims=True) for rank in ranks)
    return (a * b).sum(axis=1) / np.sqrt(np.square(a).sum(axis=1) * np.square(b).sum(axis=1))


def _slope(v: PerFrame, g: PerFrame, rng: np.random.Generator) -> tuple[float | None, ...]:
    """Slope over all frames, and the bounds of its interval."""
    if np.ptp(v) == 0:
        return None, None, None
    # Centring preserves the precision of the sums of squares.
    v, g = v - v.mean(), g - g.mean()
    sums = np.stack([values.mean(axis=1) for values in (v, g, v * v, v * g)])
    episodes = len(v)

    def slopes(weight: Float64[np.ndarray, "samples episodes"]) -> Float64[np.ndarray, " samples"]:
        mean_v, mean_g, vv, vg = sums @ weight.T / episodes
        variance = vv - mean_v**2
        defined = variance > 1e-12 * np.square(v).mean()
        return (vg - mean_v * mean_g)[defined] / variance[defined]

    [slope] = slopes(np.ones((1, episodes))).tolist()
    if episodes < 2:
        return slope, None, None
    resampled = slopes(bootstrap_weights(episodes, REPLICATES, rng))
    return slope, *np.quantile(resampled, [0.025, 0.975]).tolist()
