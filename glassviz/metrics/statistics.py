"""Intervals, p-values of many tests, and exact permutation tests."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations, permutations
from math import comb, factorial
from typing import Any, Literal

import numpy as np
from jaxtyping import Float64, Int
from scipy.special import stdtrit

from glassviz.metrics.nulls import portions

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


RESAMPLES = 9999
"""Arrangements drawn at random where there are too many to look at all of them."""


EXACT_UP_TO = 50_000
"""Arrangements that are all looked at: 9 against 9, 15 pairs, 8 ranks."""


_ROUNDING = 1e-12


Sample = Float64[np.ndarray, " values"]


@dataclass(frozen=True)
class PermutationTest:
    """A statistic, and how often chance reaches it.

    Attributes:
        statistic: observed; a difference of means, or a rank correlation in [−1, 1].
        p: two-sided. Conservative where few arrangements exist: it takes few values.
        smallest_p: that these values could have led to in any arrangement; where it is above
            the level of the test, the test cannot reject. Ties raise it.
        exact: whether all arrangements were looked at.
    """

    statistic: float
    p: float
    smallest_p: float
    exact: bool


def two_group_test(
    x: Sequence[float],
    y: Sequence[float],
    rng: np.random.Generator,
    resamples: int = RESAMPLES,
) -> PermutationTest | None:
    """Whether two groups have the same mean, by dealing out their values anew.

    Exact up to 9 against 9. The smallest p is 0.1 for 3 against 3, 0.029 for 4 against 4, 0.008
    for 5 against 5.

    Args:
        x, y: one value a seed.
        rng: draws arrangements, where there are too many.
        resamples: how many it draws.

    Returns:
        The test of mean(x) − mean(y); None when a group is empty.
    """
    if not len(x) or not len(y):
        return None
    pooled = np.concatenate([_array(x), _array(y)])
    own, n = len(x), len(pooled)
    exact = comb(n, own) <= EXACT_UP_TO
    orders: Iterator[Any] = (
        iter([np.array(list(combinations(range(n), own)))]) if exact else _orders(n, resamples, rng)
    )

    def difference(mine: Any) -> Any:
        """mean(x) − mean(y), of which the sum over x is all that changes."""
        return (pooled[mine].sum(axis=-1) - pooled.sum() * own / n) * n / (own * (n - own))

    null = np.concatenate([difference(order[:, :own]) for order in orders])
    return _judged(float(difference(np.arange(own))), null, np.abs(pooled).max(), exact)


def paired_test(
    x: Sequence[float],
    y: Sequence[float],
    rng: np.random.Generator,
    resamples: int = RESAMPLES,
) -> PermutationTest | None:
    """Whether pairs (the same seed under two controllers) differ, by flipping their signs.

    Exact up to 15 pairs. The smallest p is 2/2ⁿ: 0.0625 for five pairs, 0.031 for six.

    Args:
        x, y: one value a seed, in the same order.
        rng, resamples: as in `two_group_test`.

    Returns:
        The test of mean(x − y); None without pairs.
    """
    difference = _array(x) - _array(y)
    n = len(difference)
    if not n:
        return None
    exact = 2**n <= EXACT_UP_TO
    if exact:
        flipped = np.arange(2**n)[:, None] >> np.arange(n) & 1
    else:
        flipped = rng.integers(2, size=(resamples, n))
    null = (1 - 2 * flipped) @ difference / n
    scale = max(np.abs(_array(x)).max(), np.abs(_array(y)).max())
    return _judged(float(difference.mean()), null, scale, exact)


def rank_correlation_test(
    x: Sequence[float],
    y: Sequence[float],
    rng: np.random.Generator,
    kind: Literal["spearman", "kendall"] = "spearman",
    resamples: int = RESAMPLES,
) -> PermutationTest | None:
    """Whether two measurements of the same seeds rise and fall together, by pairing them anew.

    Exact up to eight seeds. The smallest p is 2/n!: 0.083 for four seeds, 0.017 for five.

    Args:
        x, y: one value a seed, in the same order.
        rng, resamples: as in `two_group_test`.
        kind: Spearman's ρ, or Kendall's τ-b.

    Returns:
        None when the correlation is undefined: fewer than two seeds, or a constant.
    """
    from scipy.stats import rankdata

    n = len(x)
    if n < 2 or np.ptp(_array(x)) == 0 or np.ptp(_array(y)) == 0:
        return None
    # Both coefficients are cosines: of centred ranks, and of the signs of all differences.
    features = _centred if kind == "spearman" else _differences
    ranks, other = rankdata(x), features(rankdata(y))
    norm = np.linalg.norm(features(ranks)) * np.linalg.norm(other)
    exact = factorial(n) <= EXACT_UP_TO
    orders: Iterator[Any] = (
        iter([np.array(list(permutations(range(n))))])
        if exact
        else _orders(n, resamples, rng, width=len(other))
    )
    null = np.concatenate([features(ranks[order]) @ other / norm for order in orders])
    return _judged(float(features(ranks) @ other / norm), null, 1.0, exact)


def _array(values: Sequence[float]) -> Sample:
    return np.asarray(values, dtype=np.float64)


def _orders(n: int, count: int, rng: np.random.Generator, width: int = 0) -> Iterator[Any]:
    """`count` random orders of n things, in portions that leave room for `width` numbers each."""
    for part in portions(count, max(n, width)):
        yield rng.permuted(np.tile(np.arange(n), (part, 1)), axis=1)


def _centred(ranks: Float64[np.ndarray, "*more n"]) -> Float64[np.ndarray, "*more n"]:
    return ranks - ranks.mean(axis=-1, keepdims=True)


def _differences(ranks: Float64[np.ndarray, "*more n"]) -> Float64[np.ndarray, "*more pairs"]:
    i, j = np.triu_indices(ranks.shape[-1], 1)
    return np.sign(ranks[..., i] - ranks[..., j])


def _judged(
    observed: float, null: Float64[np.ndarray, " arrangements"], scale: float, exact: bool
) -> PermutationTest:
    """p = twice the smaller tail, at most 1.

    What was observed is one of all arrangements; to random ones it is added.
    """
    slack = _ROUNDING * scale
    if not exact:
        null = np.append(null, observed)

    def two_sided(above: np.signedinteger, below: np.signedinteger) -> float:
        return min(2 * int(min(above, below)) / len(null), 1.0)

    p = two_sided((null >= observed - slack).sum(), (null <= observed + slack).sum())
    least = two_sided((null >= null.max() - slack).sum(), (null <= null.min() + slack).sum())
    return PermutationTest(observed, p, least, exact)
