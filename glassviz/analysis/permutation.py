"""Tests by permutation, for the handful of seeds that there are.

All are two-sided, p being twice the smaller tail, and say how small p could have become at all:
with three seeds against three no difference, however large, gets below 0.1. Ties count as
reached up to rounding errors of the values' own size, which SciPy's `permutation_test` measures
by the statistic's instead, so that sums of large values in another order fail to tie.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations, permutations
from math import comb, factorial
from typing import Any, Literal

import numpy as np
from jaxtyping import Float64

from glassviz.analysis.nulls import portions

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
