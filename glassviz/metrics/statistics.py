"""Confidence intervals, bootstrap, permutation tests and multiple testing, for few seeds."""

import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations, permutations
from math import comb, factorial, prod
from typing import Any, Literal

import numpy as np
from jaxtyping import Float64, Int
from scipy.special import stdtrit

from glassviz.metrics.nulls import batch_sizes

REPLICATES = 4999

IQM_FROM = 4
"""An interquartile mean of fewer values would trim none of them."""

Statistic = Literal["mean", "iqm"]
Sample = Float64[np.ndarray, " values"]
Sizes = list[Int[np.ndarray, " _"]]  # A level has more parts than the one above.
PValues = Float64[np.ndarray, " tests"]


@dataclass(frozen=True)
class MeanInterval:
    """A mean with Student's t confidence interval.

    Attributes:
        low, high: bounds of the interval; None for a single value.
        level: confidence level, exact for normal values.
    """

    mean: float
    low: float | None
    high: float | None
    count: int
    level: float

    def place(self, value: float) -> str | None:
        """Whether `value` lies `within`, `above` or `below` the interval; None if undefined."""
        if self.low is None or self.high is None:
            return None
        return "below" if value < self.low else "above" if value > self.high else "within"


def generator(*data: Any) -> np.random.Generator:
    """Random numbers that are determined by the data of one result.

    A result is then the same whatever else is computed beside it.

    Args:
        data: arrays, and nested sequences of numbers and strings.

    Example:
        >>> generator([1.0, 2.0]).random() == generator([1.0, 2.0]).random()
        True
    """
    digest = hashlib.sha256()
    for part in data:
        is_array = isinstance(part, np.ndarray)
        digest.update(np.ascontiguousarray(part).data if is_array else json.dumps(part).encode())
    return np.random.default_rng(int(digest.hexdigest()[:16], 16))


def mean_interval(values: Sequence[float], level: float = 0.95) -> MeanInterval:
    """Mean and Student's t interval of independent values: one per seed, or one per episode.

    An interval over the episodes of one agent does not generalise to other seeds of its recipe.

    Example:
        >>> interval = mean_interval([310.0, 290.0, 330.0])
        >>> round(interval.low), round(interval.mean), round(interval.high)
        (260, 310, 360)
    """
    sample = np.asarray(values, dtype=np.float64)
    mean, count = float(sample.mean()), len(sample)
    if count < 2:
        return MeanInterval(mean, None, None, count, level)
    half = float(stdtrit(count - 1, (1 + level) / 2) * sample.std(ddof=1) / np.sqrt(count))
    return MeanInterval(mean, mean - half, mean + half, count, level)


def interquartile_mean(values: Sequence[float]) -> float | None:
    """Mean of the middle half; None for fewer than four values, of which it would trim none.

    References:
        Agarwal et al., "Deep RL at the edge of the statistical precipice", NeurIPS 2021.

    Example:
        >>> interquartile_mean([0.0, 10.0, 20.0, 400.0])
        15.0
    """
    if len(values) < IQM_FROM:
        return None
    return float(_summary("iqm", np.asarray(values, dtype=np.float64)[None])[0])


# Bootstrap ----------------------------------------------------------------------------------------


@dataclass(frozen=True)
class BootstrapInterval:
    """An estimate from a nested sample with its percentile bootstrap interval.

    Attributes:
        estimate: mean (or interquartile mean) over the outermost units of the means of their
            parts, so that a seed with more episodes or cycles does not weigh more.
        low, high: percentiles of the resampled estimates; None if no level has two values.
        units: number n of outermost units (seeds). With one unit the interval is within that run.
        level: nominal confidence level; the coverage is lower for few seeds.
    """

    estimate: float
    low: float | None
    high: float | None
    units: int
    level: float


def bootstrap_weights(
    units: int, replicates: int, rng: np.random.Generator
) -> Float64[np.ndarray, "replicates units"]:
    """How often each unit is drawn in each bootstrap resample."""
    drawn = rng.integers(units, size=(replicates, units)) + units * np.arange(replicates)[:, None]
    counts = np.bincount(drawn.ravel(), minlength=replicates * units)
    return counts.reshape(replicates, units).astype(np.float64)


def bootstrap_interval(
    sample: Sequence[Any],
    rng: np.random.Generator,
    statistic: Statistic = "mean",
    level: float = 0.95,
    replicates: int = REPLICATES,
) -> BootstrapInterval | None:
    """Percentile interval of the hierarchical bootstrap.

    Seeds are drawn with replacement, then the episodes of each drawn seed, then the cycles of each
    drawn episode. For few seeds prefer `mean_interval` of one value per seed, which has its nominal
    coverage for normal values. The coverage of a nominal 95 % of this interval is about 75 % for 3
    seeds, 82 % for 5 and 88 % for 10 with one value per seed, and 83 %, 90 % and 92 % if episodes
    and cycles vary as much as seeds do.

    Args:
        sample: nested sequences, seeds > episodes > cycles, or fewer or more levels; the depth is
            the same everywhere. None, NaN and empty parts are left out.
        statistic: `mean` or `iqm` (interquartile mean) over seeds.

    Returns:
        None without values, or with fewer than four seeds for an interquartile mean.

    References:
        Davison & Hinkley, "Bootstrap Methods and their Application", 1997, §3.8. Agarwal et al.,
        "Deep RL at the edge of the statistical precipice", NeurIPS 2021 (interquartile mean).

    Example:
        >>> episodes_by_seed = [[310, 290], [120], [330, 350, 340]]
        >>> bootstrap_interval(episodes_by_seed, np.random.default_rng(0)).estimate
        253.33333333333334
    """
    sizes, values = _flattened(_defined(sample))
    units = int(sizes[0][0])
    if not units or (statistic == "iqm" and units < IQM_FROM):
        return None
    [estimate] = _summary(statistic, _means_of_parts(values, sizes[1:])[None])
    if all((size == 1).all() for size in sizes):
        return BootstrapInterval(float(estimate), None, None, units, level)
    batches = batch_sizes(replicates, len(values))
    resampled = [_summary(statistic, _resampled_units(values, sizes, n, rng)) for n in batches]
    quantiles = [(1 - level) / 2, (1 + level) / 2]
    low, high = np.quantile(np.concatenate(resampled), quantiles).tolist()
    return BootstrapInterval(float(estimate), low, high, units, level)


def _defined(part: Any) -> Any:
    """`part` without undefined values and empty parts."""
    if not isinstance(part, Sequence | np.ndarray):
        return np.nan if part is None else float(part)
    children = [_defined(child) for child in part]
    return [
        child
        for child in children
        if (len(child) > 0 if isinstance(child, list) else not np.isnan(child))
    ]


def _flattened(sample: list[Any]) -> tuple[Sizes, Sample]:
    """Number of children of every part, level by level from the root; and the values."""
    sizes, parts = [], [sample]
    while parts and isinstance(parts[0], list):
        sizes.append(np.array([len(part) for part in parts]))
        parts = [child for part in parts for child in part]
    return sizes, np.array(parts, dtype=np.float64)


def _resampled_units(
    values: Sample, sizes: Sizes, replicates: int, rng: np.random.Generator
) -> Float64[np.ndarray, "replicates units"]:
    """Values of the drawn outermost units, in each replicate."""
    drawn = np.zeros(replicates, np.int64)  # The root, once per replicate.
    drawn_sizes = []
    for size in sizes:
        drawn_sizes.append(size[drawn])
        first = (np.cumsum(size) - size)[drawn]
        parent = np.repeat(np.arange(len(drawn)), size[drawn])
        drawn = first[parent] + rng.integers(size[drawn][parent])
    return _means_of_parts(values[drawn], drawn_sizes[1:]).reshape(replicates, -1)


def _means_of_parts(values: Sample, sizes: Sizes) -> Float64[np.ndarray, " units"]:
    """Nested means, up to the outermost units."""
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


def stratified_interval(
    strata: Sequence[Sequence[float]],
    rng: np.random.Generator,
    statistic: Statistic = "mean",
    level: float = 0.95,
    replicates: int = REPLICATES,
) -> BootstrapInterval | None:
    """Percentile interval of the stratified bootstrap, over all values of all strata.

    Values are drawn with replacement within each stratum, such as the seeds of a task, and all
    drawn values are summarised together.

    Returns:
        None without values, or with fewer than four for an interquartile mean. The bounds are None
        if no stratum has two values.

    References:
        Agarwal et al., "Deep RL at the edge of the statistical precipice", NeurIPS 2021.

    Example:
        >>> found = stratified_interval([[0.1, 0.2], [0.7, 0.9]], np.random.default_rng(0), "iqm")
        >>> round(found.estimate, 2), found.units
        (0.45, 4)
    """
    parts = [_array(stratum) for stratum in strata if len(stratum)]
    count = sum(map(len, parts))
    if not count or (statistic == "iqm" and count < IQM_FROM):
        return None
    [estimate] = _summary(statistic, np.concatenate(parts)[None])
    if all(len(part) == 1 for part in parts):
        return BootstrapInterval(float(estimate), None, None, count, level)
    drawn = [part[rng.integers(len(part), size=(replicates, len(part)))] for part in parts]
    resampled = _summary(statistic, np.concatenate(drawn, axis=1))
    low, high = np.quantile(resampled, [(1 - level) / 2, (1 + level) / 2]).tolist()
    return BootstrapInterval(float(estimate), low, high, count, level)


# Proportions --------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Share:
    """A proportion, such as seeds in a basin, with Wilson's score interval.

    Attributes:
        share: hits / count.
        low, high: bounds in [0, 1]; also valid for proportions of 0 and 1.
    """

    share: float
    low: float
    high: float
    hits: int
    count: int
    level: float


def share_interval(hits: int, count: int, level: float = 0.95) -> Share | None:
    """A proportion with Wilson's score interval; None if `count` is 0.

    References:
        Wilson, "Probable inference, the law of succession, and statistical inference", 1927.

    Example:
        >>> share = share_interval(hits=3, count=5)
        >>> round(share.low, 2), share.share, round(share.high, 2)
        (0.23, 0.6, 0.88)
    """
    if not count:
        return None
    from scipy.stats import binomtest

    interval = binomtest(hits, count).proportion_ci(level, method="wilson")
    return Share(hits / count, float(interval.low), float(interval.high), hits, count, level)


def probability_of_improvement(x: Sequence[float], y: Sequence[float]) -> float | None:
    """P(X > Y) + P(X = Y)/2 for one value of each sample: U / (n_x n_y), in [0, 1], 0.5 by chance.

    None if either sample is empty.

    Example:
        >>> probability_of_improvement([300.0, 310.0], [120.0, 305.0])
        0.75
    """
    if not len(x) or not len(y):
        return None
    return float((np.sign(_array(x)[:, None] - _array(y)) + 1).mean() / 2)


def improvement_interval(
    x: Sequence[Sequence[float]],
    y: Sequence[Sequence[float]],
    rng: np.random.Generator,
    level: float = 0.95,
) -> BootstrapInterval | None:
    """Mean over strata of the probability of improvement, with a stratified bootstrap interval.

    With one stratum of values with and without an outcome, it is the area under the ROC curve.

    Args:
        x, y: values by stratum, such as the seeds of each task, in the same order.

    Returns:
        None if a stratum is empty. The bounds are None if a stratum has a single x or y.

    Example:
        >>> rng = np.random.default_rng(0)
        >>> improvement_interval([[300.0, 310.0]], [[120.0, 305.0]], rng).estimate
        0.75
    """
    pairs = [(_array(one), _array(other)) for one, other in zip(x, y, strict=True)]
    if not pairs or any(not len(one) or not len(other) for one, other in pairs):
        return None
    units = sum(len(one) + len(other) for one, other in pairs)
    wins = [(np.sign(one[:, None] - other) + 1) / 2 for one, other in pairs]
    estimate = float(np.mean([each.mean() for each in wins]))
    if any(min(each.shape) < 2 for each in wins):
        return BootstrapInterval(estimate, None, None, units, level)
    resampled = np.zeros(REPLICATES)
    for each in wins:
        ours, theirs = (rng.integers(n, size=(REPLICATES, n)) for n in each.shape)
        weights = (_weights(drawn, n) for drawn, n in zip((ours, theirs), each.shape, strict=True))
        resampled += np.einsum("rx,xy,ry->r", next(weights), each, next(weights), optimize=True)
    low, high = np.quantile(resampled / len(wins), [(1 - level) / 2, (1 + level) / 2]).tolist()
    return BootstrapInterval(estimate, low, high, units, level)


def _weights(drawn: Int[np.ndarray, "replicates n"], n: int) -> Float64[np.ndarray, "replicates n"]:
    """The share of each of n values in each resample."""
    counts = np.bincount(
        (drawn + n * np.arange(len(drawn))[:, None]).ravel(), minlength=n * len(drawn)
    )
    return counts.reshape(-1, n) / n


# Multiple testing ---------------------------------------------------------------------------------


def holm(p: PValues) -> PValues:
    """Holm-adjusted p-values: controls the family-wise error rate of a few preregistered tests.

    NaN (a test that could not be made) stays NaN and does not count as a test.

    References:
        Holm, "A simple sequentially rejective multiple test procedure", 1979.

    Example:
        >>> holm(np.array([0.01, 0.04, np.nan])).tolist()
        [0.02, 0.04, nan]
    """
    adjusted = np.full(len(p), np.nan)
    order = np.argsort(p)[: int(np.isfinite(p).sum())]  # NaN sorts last.
    factor = np.arange(len(order), 0, -1)
    adjusted[order] = np.minimum(np.maximum.accumulate(p[order] * factor), 1.0)
    return adjusted


def benjamini_hochberg(p: PValues) -> PValues:
    """Benjamini-Hochberg adjusted p-values: controls the false discovery rate of many tests.

    NaN (a test that could not be made) stays NaN and does not count as a test.

    References:
        Benjamini & Hochberg, "Controlling the false discovery rate", 1995.

    Example:
        >>> benjamini_hochberg(np.array([0.01, 0.04, np.nan])).tolist()
        [0.02, 0.04, nan]
    """
    from scipy.stats import false_discovery_control

    defined = np.isfinite(p)
    adjusted = np.full(len(p), np.nan)
    if defined.any():
        adjusted[defined] = false_discovery_control(p[defined])
    return adjusted


# Permutation tests --------------------------------------------------------------------------------

RESAMPLES = 9999
"""Random permutations if there are too many for an exact test."""

EXACT_UP_TO = 50_000
"""A test is exact up to this many permutations: 9 against 9, 15 pairs, 8 ranks."""

_ROUNDING = 1e-12


@dataclass(frozen=True)
class PermutationTest:
    """Result of a two-sided permutation test.

    Attributes:
        statistic: observed difference of means, or rank correlation in [−1, 1].
        p: two-sided p-value. With few permutations it is discrete, and conservative.
        smallest_p: smallest attainable p of these values; the test cannot reject at a lower level.
            Ties raise it.
        exact: whether all permutations were enumerated.
    """

    statistic: float
    p: float
    smallest_p: float
    exact: bool


def two_group_test(
    x: Sequence[float], y: Sequence[float], rng: np.random.Generator, resamples: int = RESAMPLES
) -> PermutationTest | None:
    """Permutation test of mean(x) − mean(y) of independent groups; None if a group is empty.

    Exact up to 9 against 9. The smallest attainable p is 0.1 for 3 against 3, 0.029 for 4 against
    4, 0.008 for 5 against 5. Otherwise `rng` draws permutations.

    Example:
        >>> two_group_test([310.0, 290.0, 330.0], [120.0, 90.0, 200.0], np.random.default_rng(0))
        PermutationTest(statistic=173.33333333333334, p=0.1, smallest_p=0.1, exact=True)
    """
    if not len(x) or not len(y):
        return None
    pooled = np.concatenate([_array(x), _array(y)])
    size, n = len(x), len(pooled)
    exact = comb(n, size) <= EXACT_UP_TO
    every = [np.array(list(combinations(range(n), size)))] if exact else []
    orders = every or _permutations(n, resamples, rng)

    def difference(group: Any) -> Any:
        """mean(x) − mean(y), from the sum over x alone."""
        return (pooled[group].sum(axis=-1) - pooled.sum() * size / n) * n / (size * (n - size))

    null = np.concatenate([difference(order[:, :size]) for order in orders])
    return _two_sided_test(float(difference(np.arange(size))), null, np.abs(pooled).max(), exact)


def stratified_test(
    x: Sequence[Sequence[float]],
    y: Sequence[Sequence[float]],
    rng: np.random.Generator,
    resamples: int = RESAMPLES,
) -> PermutationTest | None:
    """Permutation test of the mean over strata of mean(x) − mean(y), permuted within strata.

    With one stratum it is `two_group_test`. Otherwise `rng` draws permutations, unless there are
    few. None if a group is empty in a stratum.

    Args:
        x, y: values by stratum, such as the seeds of each task, in the same order.
    """
    if not len(x) or any(not len(a) or not len(b) for a, b in zip(x, y, strict=True)):
        return None
    if len(x) == 1:
        return two_group_test(x[0], y[0], rng, resamples)
    pooled = [_array([*a, *b]) for a, b in zip(x, y, strict=True)]
    signs = [
        np.array([1 / len(a)] * len(a) + [-1 / len(b)] * len(b)) for a, b in zip(x, y, strict=True)
    ]
    observed = sum(float(values @ sign) for values, sign in zip(pooled, signs, strict=True))
    total = prod(comb(len(a) + len(b), len(a)) for a, b in zip(x, y, strict=True))
    exact = total <= EXACT_UP_TO
    null = np.zeros(1 if exact else resamples)
    for a, values, sign in zip(x, pooled, signs, strict=True):
        n = len(values)
        if exact:
            chosen = np.array(list(combinations(range(n), len(a))))
            in_x = np.zeros((len(chosen), n))
            np.put_along_axis(in_x, chosen, 1.0, axis=1)
            differences = np.where(in_x > 0, sign[0], sign[-1]) @ values
            null = (null[:, None] + differences).ravel()
        else:
            orders = np.concatenate(list(_permutations(n, resamples, rng)))
            null += values[orders] @ sign
    scale = max(float(np.abs(values).max()) for values in pooled)
    count = len(pooled)
    return _two_sided_test(observed / count, null / count, scale, exact)


def paired_test(
    x: Sequence[float], y: Sequence[float], rng: np.random.Generator, resamples: int = RESAMPLES
) -> PermutationTest | None:
    """Sign-flip test of mean(x − y) of paired values, such as the same seeds under two controllers.

    Exact up to 15 pairs. The smallest attainable p is 2/2ⁿ: 0.0625 for five pairs, 0.031 for six.
    None without pairs.

    Example:
        >>> paired_test([310.0, 290.0, 330.0], [120.0, 90.0, 200.0], np.random.default_rng(0)).p
        0.25
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
    return _two_sided_test(float(difference.mean()), null, scale, exact)


def rank_correlation_test(
    x: Sequence[float],
    y: Sequence[float],
    rng: np.random.Generator,
    kind: Literal["spearman", "kendall"] = "spearman",
    resamples: int = RESAMPLES,
) -> PermutationTest | None:
    """Permutation test of Spearman's ρ, or Kendall's τ-b, of two measurements of the same seeds.

    Exact up to eight seeds. The smallest attainable p is 2/n!: 0.083 for four seeds, 0.017 for
    five. None if the correlation is undefined: fewer than two seeds, or a constant.

    Example:
        >>> x, y = [1.0, 2.0, 3.0, 4.0], [10.0, 20.0, 30.0, 40.0]
        >>> test = rank_correlation_test(x, y, np.random.default_rng(0))
        >>> round(test.statistic, 3), round(test.p, 3)
        (1.0, 0.083)
    """
    from scipy.stats import rankdata

    n = len(x)
    if n < 2 or np.ptp(_array(x)) == 0 or np.ptp(_array(y)) == 0:
        return None
    # Both coefficients are cosines: of centred ranks, and of the signs of pairwise differences.
    features = _centred if kind == "spearman" else _differences
    ranks, other = rankdata(x), features(rankdata(y))
    norm = np.linalg.norm(features(ranks)) * np.linalg.norm(other)
    exact = factorial(n) <= EXACT_UP_TO
    every = [np.array(list(permutations(range(n))))] if exact else []
    orders = every or _permutations(n, resamples, rng, width=len(other))
    null = np.concatenate([features(ranks[order]) @ other / norm for order in orders])
    return _two_sided_test(float(features(ranks) @ other / norm), null, 1.0, exact)


def _array(values: Sequence[float]) -> Sample:
    return np.asarray(values, dtype=np.float64)


def _permutations(n: int, count: int, rng: np.random.Generator, width: int = 0) -> Iterator[Any]:
    """`count` random permutations of n, in batches with room for `width` numbers each."""
    for batch in batch_sizes(count, max(n, width)):
        yield rng.permuted(np.tile(np.arange(n), (batch, 1)), axis=1)


def _centred(ranks: Float64[np.ndarray, "*more n"]) -> Float64[np.ndarray, "*more n"]:
    return ranks - ranks.mean(axis=-1, keepdims=True)


def _differences(ranks: Float64[np.ndarray, "*more n"]) -> Float64[np.ndarray, "*more pairs"]:
    i, j = np.triu_indices(ranks.shape[-1], 1)
    return np.sign(ranks[..., i] - ranks[..., j])


def _two_sided_test(
    observed: float, null: Float64[np.ndarray, " permutations"], scale: float, exact: bool
) -> PermutationTest:
    """p = twice the smaller tail, at most 1."""
    tolerance = _ROUNDING * scale
    if not exact:  # The enumerated permutations include the observed one.
        null = np.append(null, observed)

    def two_sided(above: np.signedinteger, below: np.signedinteger) -> float:
        return min(2 * int(min(above, below)) / len(null), 1.0)

    p = two_sided((null >= observed - tolerance).sum(), (null <= observed + tolerance).sum())
    highest, lowest = null.max() - tolerance, null.min() + tolerance
    smallest = two_sided((null >= highest).sum(), (null <= lowest).sum())
    return PermutationTest(observed, p, smallest, exact)
