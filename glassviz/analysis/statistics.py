"""Estimates and what they allow to say, where n is the number of training seeds.

Episodes of one seed, and cycles of one episode, are no independent evidence about other seeds:
intervals resample or count seeds first. Tests by permutation are in `permutation`.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from jaxtyping import Float64, Int
from scipy.special import stdtrit

from glassviz.analysis.nulls import portions

REPLICATES = 4999
"""Resamples of a bootstrap."""

IQM_FROM = 4
"""With fewer values an interquartile mean trims none of them."""

Statistic = Literal["mean", "iqm"]


@dataclass(frozen=True)
class MeanInterval:
    """A mean, and an interval that covers the true one in `level` of all samples.

    Attributes:
        mean: of the sample.
        low, high: bounds of Student's t interval; None for a single value, which has none.
        count: size of the sample.
        level: share of samples whose interval covers the true mean, if values are normal.
    """

    mean: float
    low: float | None
    high: float | None
    count: int
    level: float

    def place(self, value: float) -> str | None:
        """Whether `value` lies `within`, `above` or `below` the interval; None without one."""
        if self.low is None or self.high is None:
            return None
        return "below" if value < self.low else "above" if value > self.high else "within"


def mean_interval(values: Sequence[float], level: float = 0.95) -> MeanInterval:
    """Mean and Student-t interval of independent values: one a seed, or the returns of episodes.

    Of the episodes of one agent it says nothing about other seeds of the same recipe.
    """
    sample = np.asarray(values, dtype=np.float64)
    mean, count = float(sample.mean()), len(sample)
    if count < 2:
        return MeanInterval(mean, None, None, count, level)
    half = float(stdtrit(count - 1, (1 + level) / 2) * sample.std(ddof=1) / np.sqrt(count))
    return MeanInterval(mean, mean - half, mean + half, count, level)


@dataclass(frozen=True)
class BootstrapInterval:
    """An estimate from a nested sample, and its percentile interval.

    Attributes:
        estimate: mean (or interquartile mean) over the outermost units, each the mean of its
            parts, so that a seed with more episodes or cycles weighs no more than another.
        low, high: percentiles of the resampled estimates; None when no level has two values.
        units: n, the number of outermost units (seeds).
        level: of the interval, in name. The mean of few seeds is covered less often.
    """

    estimate: float
    low: float | None
    high: float | None
    units: int
    level: float

    @property
    def within_run(self) -> bool:
        """Whether a single seed was resampled: the interval says nothing about other seeds."""
        return self.units == 1


def bootstrap_interval(
    sample: Sequence[Any],
    rng: np.random.Generator,
    statistic: Statistic = "mean",
    level: float = 0.95,
    replicates: int = REPLICATES,
) -> BootstrapInterval | None:
    """Percentile interval by the hierarchical bootstrap.

    Seeds are drawn with replacement, then as many episodes of each drawn seed as it has, then as
    many cycles of each drawn episode. With few seeds prefer `mean_interval` over one value a
    seed, which covers the mean of normal values as often as it says: a nominal 95 % of this one
    are about 75 % for 3 seeds, 82 % for 5 and 88 % for 10 with one value a seed, and 83 %, 90 %
    and 92 % where episodes and cycles spread as much as seeds do.

    Args:
        sample: nested sequences, seeds > episodes > cycles, or fewer or more levels; the same
            number of levels everywhere. None, NaN and empty parts are left out.
        rng: draws the resamples.
        statistic: over seeds: their mean, or their interquartile mean.
        level: of the interval.
        replicates: number of resamples.

    Returns:
        None when nothing is left, or fewer than four seeds for an interquartile mean.

    References:
        Davison & Hinkley, "Bootstrap Methods and their Application", 1997, §3.8. Agarwal et al.,
        "Deep RL at the edge of the statistical precipice", NeurIPS 2021 (interquartile mean).
    """
    sizes, values = _flattened(_defined(sample))
    units = int(sizes[0][0])
    if not units or (statistic == "iqm" and units < IQM_FROM):
        return None
    [estimate] = _summary(statistic, _means_of_parts(values, sizes[1:])[None])
    if all((size == 1).all() for size in sizes):
        return BootstrapInterval(float(estimate), None, None, units, level)
    resampled = np.concatenate(
        [
            _summary(statistic, _resampled_units(values, sizes, count, rng))
            for count in portions(replicates, len(values))
        ]
    )
    low, high = np.quantile(resampled, [(1 - level) / 2, (1 + level) / 2]).tolist()
    return BootstrapInterval(float(estimate), low, high, units, level)


def _defined(part: Any) -> Any:
    """`part` without what is undefined or empty."""
    if not isinstance(part, Sequence | np.ndarray):
        return np.nan if part is None else float(part)
    children = [_defined(child) for child in part]
    return [
        child
        for child in children
        if (len(child) > 0 if isinstance(child, list) else not np.isnan(child))
    ]


def _flattened(
    sample: list[Any],
) -> tuple[list[Int[np.ndarray, " parts"]], Float64[np.ndarray, " values"]]:
    """The number of children of every part, level by level from the root, and the values."""
    sizes, parts = [], [sample]
    while parts and isinstance(parts[0], list):
        sizes.append(np.array([len(part) for part in parts]))
        parts = [child for part in parts for child in part]
    return sizes, np.array(parts, dtype=np.float64)


def _resampled_units(
    values: Float64[np.ndarray, " values"],
    sizes: list[Int[np.ndarray, "..."]],
    replicates: int,
    rng: np.random.Generator,
) -> Float64[np.ndarray, "replicates units"]:
    """Values of the drawn outermost units, in each replicate."""
    drawn = np.zeros(replicates, np.int64)  # The root, once a replicate.
    drawn_sizes = []
    for size in sizes:
        drawn_sizes.append(size[drawn])
        first = (np.cumsum(size) - size)[drawn]
        parent = np.repeat(np.arange(len(drawn)), size[drawn])
        drawn = first[parent] + rng.integers(size[drawn][parent])
    return _means_of_parts(values[drawn], drawn_sizes[1:]).reshape(replicates, -1)


def _means_of_parts(
    values: Float64[np.ndarray, " values"], sizes: list[Int[np.ndarray, "..."]]
) -> Float64[np.ndarray, " units"]:
    """Mean of the means of the means, up to the outermost units."""
    for size in reversed(sizes):
        values = np.add.reduceat(values, np.cumsum(size) - size) / size
    return values


def _summary(
    statistic: Statistic, units: Float64[np.ndarray, "replicates units"]
) -> Float64[np.ndarray, " replicates"]:
    if statistic == "mean":
        return units.mean(axis=1)
    from scipy.stats import trim_mean

    return np.asarray(trim_mean(units, 0.25, axis=1))


@dataclass(frozen=True)
class Share:
    """How many of `count`, such as seeds in a basin, with Wilson's interval.

    Attributes:
        share: hits / count.
        low, high: bounds, in [0, 1]; sensible for shares of 0 and 1 too.
        hits, count: of how many.
        level: of the interval.
    """

    share: float
    low: float
    high: float
    hits: int
    count: int
    level: float


def share_interval(hits: int, count: int, level: float = 0.95) -> Share | None:
    """A share with Wilson's score interval; None of nothing.

    References:
        Wilson, "Probable inference, the law of succession, and statistical inference", 1927.
    """
    if not count:
        return None
    from scipy.stats import binomtest

    found = binomtest(hits, count).proportion_ci(level, method="wilson")
    return Share(hits / count, float(found.low), float(found.high), hits, count, level)


def interquartile_mean(values: Sequence[float]) -> float | None:
    """Mean of the middle half; None for fewer than four values, of which it would trim none.

    References:
        Agarwal et al., "Deep RL at the edge of the statistical precipice", NeurIPS 2021.
    """
    if len(values) < IQM_FROM:
        return None
    return float(_summary("iqm", np.asarray(values, dtype=np.float64)[None])[0])


def probability_of_improvement(better: Sequence[float], than: Sequence[float]) -> float | None:
    """P(X > Y) + P(X = Y)/2 of a value of each sample: U / (n_x n_y), in [0, 1], 0.5 by chance.

    None when one of the samples is empty.
    """
    if not len(better) or not len(than):
        return None
    x, y = np.asarray(better, dtype=np.float64), np.asarray(than, dtype=np.float64)
    return float((np.sign(x[:, None] - y) + 1).mean() / 2)


def holm(p: Float64[np.ndarray, " tests"]) -> Float64[np.ndarray, " tests"]:
    """P-values adjusted for the chance of any false finding among a few tests named beforehand.

    A test that could not be made (NaN) stays one, and counts for nothing.

    References:
        Holm, "A simple sequentially rejective multiple test procedure", 1979.
    """
    adjusted = np.full(len(p), np.nan)
    order = np.argsort(p)[: int(np.isfinite(p).sum())]  # NaN sorts last.
    factor = np.arange(len(order), 0, -1)
    adjusted[order] = np.minimum(np.maximum.accumulate(p[order] * factor), 1.0)
    return adjusted


def benjamini_hochberg(p: Float64[np.ndarray, " tests"]) -> Float64[np.ndarray, " tests"]:
    """P-values adjusted for the share of false findings, for maps of many tests.

    A test that could not be made (NaN) stays one, and counts for nothing.

    References:
        Benjamini & Hochberg, "Controlling the false discovery rate", 1995.
    """
    from scipy.stats import false_discovery_control

    made = np.isfinite(p)
    adjusted = np.full(len(p), np.nan)
    if made.any():
        adjusted[made] = false_discovery_control(p[made])
    return adjusted
