"""Agreement and matching of labellings: ARI, AMI, VI, one-to-one matching, consensus of runs."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import chain, combinations

import numpy as np
from jaxtyping import Bool, Float64, Int

from glassviz.metrics.information import (
    ROUNDING_BITS,
    CycleIndex,
    Labels,
    contingency,
    divergence_bits,
    entropy_bits,
    expected_information_bits,
    information_bits,
    normalised_rows,
)
from glassviz.metrics.nulls import monte_carlo_p
from glassviz.metrics.statistics import REPLICATES, bootstrap_weights

Profiles = Float64[np.ndarray, "labels bins"]
Table = Float64[np.ndarray, "labels others"]
Replicates = Float64[np.ndarray, " replicates"]


# Matching -----------------------------------------------------------------------------------------

MATCHED_JACCARD = 0.2
"""Pairs of labels with a lower Jaccard index stay unmatched."""

MATCHED_DIVERGENCE_BITS = 2 / 3
"""Pairs of phase profiles with a higher divergence stay unmatched. Two uniform profiles with a
Jaccard index of 0.2 have this divergence."""


@dataclass(frozen=True, eq=False)
class Matching:
    """One-to-one matching of the labels of a to those of b.

    Attributes:
        partner: matched label of b for each label of a; −1 if unmatched.
        similarity: similarity of each pair, in [0, 1]; 0 if unmatched. The Jaccard index of their
            frames, or 1 − the Jensen-Shannon divergence of their phase profiles.
    """

    partner: Int[np.ndarray, " labels"]
    similarity: Float64[np.ndarray, " labels"]

    def accuracy(self, table: Table) -> float | None:
        """Share of frames whose labels are matched, by a contingency table; None without frames."""
        if not table.any():
            return None
        matched = np.flatnonzero(self.partner >= 0)
        return float(table[matched, self.partner[matched]].sum() / table.sum())

    def resized(self, labels: int) -> "Matching":
        """Matching with `labels` labels of a: added ones are unmatched, removed ones must be."""
        partner, similarity = np.full(labels, -1), np.zeros(labels)
        common = min(labels, len(self.partner))
        partner[:common], similarity[:common] = self.partner[:common], self.similarity[:common]
        return Matching(partner, similarity)

    def inverse(self, others: int) -> "Matching":
        """The matching of b to a, with `others` labels of b."""
        partner, similarity = np.full(others, -1), np.zeros(others)
        matched = np.flatnonzero(self.partner >= 0)
        partner[self.partner[matched]] = matched
        similarity[self.partner[matched]] = self.similarity[matched]
        return Matching(partner, similarity)


def match_by_frames(table: Table) -> Matching:
    """Match labels such that as many frames as possible agree (Hungarian algorithm).

    Pairs with a Jaccard index below 0.2 stay unmatched. The numbers of labels may differ.

    Example:
        >>> match_by_frames(np.array([[0.0, 9.0], [8.0, 1.0], [1.0, 0.0]])).partner
        array([ 1,  0, -1])
    """
    union = table.sum(axis=1, keepdims=True) + table.sum(axis=0) - table
    jaccard = np.divide(table, union, out=np.zeros_like(table), where=union > 0)
    return _assigned(-table, jaccard, jaccard >= MATCHED_JACCARD)


def phase_profiles(raster: Int[np.ndarray, "cycles bins"], clusters: int) -> Profiles:
    """Phase profiles p(phase bin | label) of `clusters` labels, from `locking.phase_raster`.

    Zeros for labels that do not occur. All gait cycles have equal weight, whatever their duration.

    Example:
        >>> phase_profiles(np.array([[0, 0, 1, 1], [0, 1, 1, 1]]), clusters=2).round(2)
        array([[0.67, 0.33, 0.  , 0.  ],
               [0.  , 0.2 , 0.4 , 0.4 ]])
    """
    counts = (raster == np.arange(clusters)[:, None, None]).sum(axis=1)
    return normalised_rows(counts.astype(np.float64))


def match_by_phase(a: Profiles, b: Float64[np.ndarray, "others bins"]) -> Matching:
    """Match labels that occur at the same phases, for agents with corresponding gaits.

    Minimises the sum of Jensen-Shannon divergences of the profiles, whose cycles begin at the same
    event. Pairs with a divergence above ⅔ bit, and labels that do not occur, stay unmatched.

    Example:
        >>> match_by_phase(np.array([[1.0, 0.0], [0.0, 1.0]]), np.array([[0.1, 0.9]])).partner
        array([-1,  0])
    """
    p, q = np.broadcast_arrays(a[:, None], b[None])
    divergence = np.asarray(divergence_bits(p, q))
    occurring = (a.sum(axis=1)[:, None] > 0) & (b.sum(axis=1) > 0)
    cost = np.where(occurring, divergence, 1.0)
    return _assigned(cost, 1.0 - cost, occurring & (cost <= MATCHED_DIVERGENCE_BITS))


def _assigned(
    cost: Table, similarity: Table, allowed: Bool[np.ndarray, "labels others"]
) -> Matching:
    from scipy.optimize import linear_sum_assignment

    partner, value = np.full(len(cost), -1), np.zeros(len(cost))
    for i, j in zip(*linear_sum_assignment(cost), strict=True):
        if allowed[i, j]:
            partner[i], value[i] = j, similarity[i, j]
    return Matching(partner, value)


# Agreement of two labellings ----------------------------------------------------------------------


@dataclass(frozen=True)
class Agreement:
    """Agreement of two labellings of the same frames. All None without frames.

    Attributes:
        ari: adjusted Rand index, at most 1, 0 by chance; for balanced labels.
        ami: adjusted mutual information, normalised by the mean entropy; at most 1, 0 by chance;
            for unbalanced labels.
        vi_bits: variation of information H(a|b) + H(b|a), 0 for identical partitions.
        vi_normalised: vi_bits / H(a, b), in [0, 1]; 1 for independent labellings.

    `ari`, `ami` and `vi_normalised` are None if both labellings have a single label, or all frames
    have distinct labels. With a single label on one side ARI and AMI are 0. Both assume randomly
    permuted frames as chance, which frames of a gait are not: see `agreement_test`.

    References:
        Hubert & Arabie, "Comparing partitions", 1985. Vinh, Epps & Bailey, "Information theoretic
        measures for clusterings comparison", JMLR 2010. Meila, "Comparing clusterings", 2007.
    """

    ari: float | None
    ami: float | None
    vi_bits: float | None
    vi_normalised: float | None


def agreement(a: Labels, b: Labels) -> Agreement:
    """Agreement of two labellings of the same frames.

    Example:
        >>> result = agreement(np.array([0, 0, 1, 1]), np.array([5, 5, 3, 3]))
        >>> result.ari, result.ami, result.vi_bits
        (1.0, 1.0, 0.0)
    """
    table = contingency(a, b)
    if not table.any():
        return Agreement(None, None, None, None)
    measures = _measures(table[None], expected_information_bits(table))
    [ari], [ami], [vi], [joint] = (measure.tolist() for measure in measures)
    if np.isnan(ami):
        return Agreement(None, None, vi, None)
    return Agreement(ari, ami, vi, vi / joint)


def _measures(
    tables: Float64[np.ndarray, "tables rows columns"], chance: float
) -> tuple[Float64[np.ndarray, " tables"], ...]:
    """ARI, AMI, VI and H(a, b) of tables with nearly the same margins; NaN where undefined."""
    share = tables / tables.sum(axis=(1, 2), keepdims=True)
    joint = np.asarray(entropy_bits(share.reshape(len(tables), -1)))
    entropy_a, entropy_b = (np.asarray(entropy_bits(share.sum(axis=i))) for i in (2, 1))
    information, mean = np.asarray(information_bits(tables)), (entropy_a + entropy_b) / 2

    rows, columns = (_pairs(tables.sum(axis=i)).sum(axis=1) for i in (2, 1))
    pairs = _pairs(tables).sum(axis=(1, 2))
    expected_pairs = rows * columns / np.maximum(_pairs(tables.sum(axis=(1, 2))), 1.0)
    defined = mean - chance >= ROUNDING_BITS
    with np.errstate(invalid="ignore", divide="ignore"):
        ami = np.where(defined, (information - chance) / (mean - chance), np.nan)
        largest = (rows + columns) / 2 - expected_pairs
        ari = np.where(defined, (pairs - expected_pairs) / largest, np.nan)
    return ari, ami, np.maximum(2 * (joint - mean), 0.0), joint


def _pairs(count: Float64[np.ndarray, "*shape"]) -> Float64[np.ndarray, "*shape"]:
    return count * (count - 1) / 2


SPREAD = 0.5
"""Random speeds of the null lie in 1 ± SPREAD: enough to lose the phase of 20 cycles while the mean
dwell is preserved."""


@dataclass(frozen=True)
class AgreementTest:
    """Agreement of two labellings against a null. Nulls and p are None if ARI and AMI are.

    Attributes:
        observed: agreement over the frames that the null covers.
        null_ari, null_ami, null_vi_bits: means under the null.
        ari_p, ami_p: upper-tail p-values, (1 + #{null >= observed}) / (B + 1).
    """

    observed: Agreement
    null_ari: float | None
    null_ami: float | None
    null_vi_bits: float | None
    ari_p: float | None
    ami_p: float | None
    replicates: int


def agreement_test(a: Labels, b: Labels, null_b: Iterable[Labels]) -> AgreementTest:
    """Test whether two labellings agree more than their common rhythm explains.

    `null_b` are surrogates of b, at least one, such as `warped_circular_shifts`. All cover the same
    frames and have nearly the same label frequencies.
    """
    nulls = iter(null_b)
    first = next(nulls)
    b = np.where(first >= 0, b, -1)
    rows, columns = int(a.max(initial=0)) + 1, int(b.max(initial=0)) + 1
    observed = agreement(a, b)
    tables = np.stack([contingency(a, null, rows, columns) for null in chain([first], nulls)])
    count = len(tables)
    if observed.ari is None or observed.ami is None:
        return AgreementTest(observed, None, None, None, None, None, count)
    chance = expected_information_bits(contingency(a, b, rows, columns))
    ari, ami, vi, _ = _measures(tables, chance)
    means = _nan_mean(ari), _nan_mean(ami), float(vi.mean())
    ari_p, ami_p = _upper_tail_p(ari, observed.ari), _upper_tail_p(ami, observed.ami)
    return AgreementTest(observed, *means, ari_p, ami_p, count)


def _upper_tail_p(null: Replicates, observed: float) -> float:
    return monte_carlo_p((null >= observed - ROUNDING_BITS) | np.isnan(null))


def _nan_mean(values: Replicates) -> float | None:
    defined = values[~np.isnan(values)]
    return float(defined.mean()) if len(defined) else None


def warped_circular_shifts(
    label: Labels,
    cycle: CycleIndex,
    rng: np.random.Generator,
    replicates: int,
    span: Labels | None = None,
) -> Iterator[Labels]:
    """Surrogates of labels: a random circular shift with a random speed in each gait cycle.

    They preserve the order of the labels and their mean dwell, and destroy their phase. A rotation
    null would cut labels that last from one cycle into the next; independent labels of slow agents
    would then often exceed it (`benchmarks/validate_labels.py`). A circular shift alone would keep
    two labellings of one gait in step. Frames outside of cycles are left out.

    Frames of a cycle are consecutive; adjacent cycles in a pool of episodes have different numbers.
    `span` is the part of the pool that each frame belongs to, such as its episode, from 0, in
    consecutive frames. Labels stay within their part, so that what the parts have in common belongs
    to the null. By default there is one part.
    """
    inside = np.flatnonzero(cycle >= 0)
    inside_label, frames = label[inside], len(inside)
    first = np.flatnonzero(np.diff(cycle[inside], prepend=-1))
    length = np.diff(first, append=frames)
    part = np.zeros(frames, np.int64) if span is None else span[inside]
    start = np.flatnonzero(np.diff(part, prepend=-1))
    size = np.diff(start, append=frames)
    for _ in range(replicates):
        speed = rng.uniform(1 - SPREAD, 1 + SPREAD, size=len(length))
        time = np.cumsum(np.concatenate([[0.0], np.repeat(speed, length)]))
        shift, duration = rng.uniform(size=len(start)), time[start + size] - time[start]
        elapsed = (time[:-1] - np.repeat(time[start], size)) / np.repeat(duration, size)
        position = (np.repeat(shift, size) + elapsed) % 1 * np.repeat(size, size)
        surrogate = np.full_like(label, -1)
        surrogate[inside] = inside_label[np.repeat(start, size) + position.astype(np.int64)]
        yield surrogate


# Consensus of runs --------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class Consensus:
    """Agreement of the labels of several seeds.

    Attributes:
        ami: AMI of every pair of runs; NaN on the diagonal and where undefined.
        mean_ami: mean over pairs; None if no pair is defined.
        low, high: percentile interval over resampled seeds, without pairs of a seed with itself;
            None with fewer than three runs or undefined pairs.
        level: nominal confidence level; the coverage is lower for few seeds.
    """

    ami: Float64[np.ndarray, "runs runs"]
    mean_ami: float | None
    low: float | None
    high: float | None
    medoid: int | None
    level: float


def consensus(
    labels: Int[np.ndarray, "runs frames"],
    rng: np.random.Generator,
    level: float = 0.95,
    replicates: int = REPLICATES,
) -> Consensus:
    """Agreement of the labels that several runs give to the frames of a probe set.

    Example:
        >>> labels = np.array([[0, 0, 1, 1, 2, 2], [1, 1, 0, 0, 2, 2], [0, 0, 1, 1, 1, 1]])
        >>> result = consensus(labels, np.random.default_rng(0))
        >>> round(result.mean_ami, 2), result.medoid
        (0.74, 0)
    """
    ami = pairwise_ami(labels)
    runs, defined = len(ami), ~np.isnan(ami)
    if not defined.any():
        return Consensus(ami, None, None, None, None, level)
    mean = float(ami[defined].mean())
    low = high = None
    if runs > 2 and defined.sum() == runs * (runs - 1):
        weight = bootstrap_weights(runs, replicates, rng)
        total = ((weight @ np.nan_to_num(ami)) * weight).sum(axis=1)
        pairs = runs**2 - np.square(weight).sum(axis=1)
        # A resample of a single seed has no pair.
        resampled = total[pairs > 0] / pairs[pairs > 0]
        low, high = np.quantile(resampled, [(1 - level) / 2, (1 + level) / 2]).tolist()
    return Consensus(ami, mean, low, high, medoid(ami), level)


def medoid(ami: Float64[np.ndarray, "runs runs"]) -> int | None:
    """The typical run: the run with the highest mean AMI with the others; the first of ties.

    None with fewer than three runs, or if no AMI is defined.

    Example:
        >>> medoid(np.array([[np.nan, 0.9, 0.5], [0.9, np.nan, 0.8], [0.5, 0.8, np.nan]]))
        1
    """
    defined = ~np.isnan(ami)
    if len(ami) < 3 or not defined.any():
        return None
    means = [
        row[known].mean() if known.any() else -np.inf
        for row, known in zip(ami, defined, strict=True)
    ]
    return int(np.argmax(means))


def pairwise_ami(labels: Int[np.ndarray, "runs frames"]) -> Float64[np.ndarray, "runs runs"]:
    """AMI of every pair of labellings; NaN on the diagonal and where undefined."""
    ami = np.full((len(labels), len(labels)), np.nan)
    for i, j in combinations(range(len(labels)), 2):
        value = agreement(labels[i], labels[j]).ami
        ami[i, j] = ami[j, i] = np.nan if value is None else value
    return ami
