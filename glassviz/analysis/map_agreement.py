"""Whether the episodes of one agent have the same labels at the same phases."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache

import numpy as np
from jaxtyping import Float64, Int
from scipy.special import gammaln

from glassviz.analysis.information import entropy_bits, information_bits

_ROUNDING = 1e-9


@dataclass(frozen=True)
class MapAgreement:
    """Whether two episodes of one agent have the same labels at the same phases.

    Attributes:
        bins: phase bins that both episodes have a label for.
        agreement: share of them with the same label, in [0, 1].
        ami: adjusted mutual information of both maps: 1 the same up to the labels' names, 0 by
            chance. None when either map has a single label, or every bin a label of its own.
    """

    bins: int
    agreement: float
    ami: float | None


def map_agreements(
    maps: Int[np.ndarray, "episodes bins"],
) -> Iterator[tuple[int, int, MapAgreement]]:
    """Compare the phase maps of one agent's episodes, each with all later ones.

    Args:
        maps: from `phase_map`; −1: no label.

    Yields:
        Both episodes and how far they agree, for pairs with a bin in common.
    """
    labels = np.unique(maps[maps >= 0])
    has = (maps[..., None] == labels).astype(np.float64)
    for i in range(len(maps) - 1):
        tables = np.einsum("bk,ebl->ekl", has[i], has[i + 1 :])
        bins = tables.sum(axis=(1, 2))
        common = np.flatnonzero(bins > 0)
        if not len(common):
            continue
        same = np.trace(tables, axis1=1, axis2=2)
        ami = _ami(tables[common], maps.shape[1])
        for place, value in zip(common.tolist(), ami.tolist(), strict=True):
            yield (
                i,
                i + 1 + place,
                MapAgreement(
                    bins=int(bins[place]),
                    agreement=float(same[place] / bins[place]),
                    ami=None if np.isnan(value) else value,
                ),
            )


def _ami(
    tables: Float64[np.ndarray, "pairs labels labels"], most: int
) -> Float64[np.ndarray, " pairs"]:
    """AMI by the mean entropy of tables of at most so many counts; NaN where undefined."""
    rows, columns = tables.sum(axis=2), tables.sum(axis=1)
    count = rows.sum(axis=1, keepdims=True)
    entropies = [np.asarray(entropy_bits(each / count)) for each in (rows, columns)]
    n, a, b = (each.astype(np.int64) for each in (count, rows, columns))
    chance = _expected_bits(most)[n[:, :, None], a[:, :, None], b[:, None, :]].sum(axis=(1, 2))
    room = (entropies[0] + entropies[1]) / 2 - chance
    undefined = (np.minimum(*entropies) < _ROUNDING) | (room < _ROUNDING)
    beyond = np.asarray(information_bits(tables)) - chance
    return np.where(undefined, np.nan, beyond / np.where(undefined, 1.0, room))


@cache
def _expected_bits(most: int) -> Float64[np.ndarray, "n a b"]:
    """What a label with a of n bins and one with b of them share by chance, for all up to `most`.

    The mean of m/n log2(n m / (a b)) over the hypergeometric m; the sum over all pairs of labels
    is the expected mutual information (Vinh, Epps & Bailey, JMLR 2010).
    """
    size = np.arange(most + 1)
    n, a, b, m = np.meshgrid(size, size, size, size, indexing="ij", sparse=True)
    possible = (m > 0) & (a <= n) & (b <= n) & (m <= a) & (m <= b) & (m >= a + b - n)

    def log_factorials(*counts: Int[np.ndarray, "..."]) -> Float64[np.ndarray, "..."]:
        """Of the product of the counts' factorials."""
        return np.asarray(sum(gammaln(np.maximum(count, 0) + 1.0) for count in counts))

    chance = log_factorials(a, b, n - a, n - b)
    chance = np.exp(chance - log_factorials(n, m, a - m, b - m, n - a - b + m))
    told = np.log2(np.where(possible, n * m, 1) / np.where(possible, a * b, 1))
    each = np.where(possible, m / np.maximum(n, 1) * told * chance, 0.0)
    return np.asarray(each.sum(axis=3))
