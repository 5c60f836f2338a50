"""Agreement of labellings: contingency, one-to-one matching, ARI, AMI, VI."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import chain, combinations

import numpy as np
from jaxtyping import Bool, Float64, Int

from glassviz.metrics.information import divergence_bits, entropy_bits, information_bits
from glassviz.metrics.nulls import PHASE_BINS, phase_bin
from glassviz.metrics.statistics import REPLICATES

MATCHED_JACCARD = 0.2
"""Labels that share less than this part of the frames of either are called unmatched."""


MATCHED_DIVERGENCE_BITS = 2 / 3
"""The same for phase profiles: what two flat profiles with a Jaccard index of 0.2 have."""


Labels = Int[np.ndarray, " frames"]


Profiles = Float64[np.ndarray, "clusters bins"]


def contingency(
    a: Labels, b: Labels, rows: int | None = None, columns: int | None = None
) -> Float64[np.ndarray, "rows columns"]:
    """n_ij: frames with label i of a and j of b.

    Args:
        a, b: two labellings of the same frames; −1: left out.
        rows, columns: numbers of labels, where the highest may not occur.
    """
    kept = (a >= 0) & (b >= 0)
    a, b = a[kept].astype(np.int64), b[kept].astype(np.int64)
    rows = rows or int(a.max(initial=-1)) + 1
    columns = columns or int(b.max(initial=-1)) + 1
    counts = np.bincount(a * columns + b, minlength=rows * columns)
    return counts.reshape(rows, columns).astype(np.float64)


@dataclass(frozen=True, eq=False)
class Matching:
    """One-to-one matches between the labels of a and of b.

    Attributes:
        partner: for each label of a the label of b that it is matched with; −1: unmatched. It
            decides which labels get the same colour.
        similarity: of each pair, in [0, 1]; 0 where unmatched. The Jaccard index of their
            frames, or 1 − the Jensen-Shannon divergence of their phase profiles.
    """

    partner: Int[np.ndarray, " labels"]
    similarity: Float64[np.ndarray, " labels"]

    def accuracy(self, table: Float64[np.ndarray, "labels others"]) -> float | None:
        """Share of frames whose two labels are matched with each other, in [0, 1].

        Args:
            table: from `contingency`.

        Returns:
            None without frames.
        """
        if not table.any():
            return None
        matched = np.flatnonzero(self.partner >= 0)
        return float(table[matched, self.partner[matched]].sum() / table.sum())


def match_by_frames(table: Float64[np.ndarray, "labels others"]) -> Matching:
    """Match labels so that as many frames as possible agree (the Hungarian method).

    Pairs with a Jaccard index below 0.2 are left unmatched; the numbers of labels may differ.

    Args:
        table: from `contingency`.
    """
    union = table.sum(axis=1, keepdims=True) + table.sum(axis=0) - table
    jaccard = np.divide(table, union, out=np.zeros_like(table), where=union > 0)
    return _assigned(-table, jaccard, jaccard >= MATCHED_JACCARD)


def phase_profiles(
    label: Labels,
    phase: Float64[np.ndarray, " frames"],
    cycle: Int[np.ndarray, " frames"],
    clusters: int,
    bins: int = PHASE_BINS,
) -> Profiles:
    """p(phase bin | label): where in the gait cycle each label lives; zeros for one not seen.

    Args:
        label: of each frame; −1: left out.
        phase, cycle: of the gait, as everywhere; frames outside of cycles are left out.
        clusters: K.
        bins: equal parts of the cycle.
    """
    counts = contingency(label, phase_bin(phase, cycle, bins), clusters, bins)
    total = counts.sum(axis=1, keepdims=True)
    return np.divide(counts, total, out=np.zeros_like(counts), where=total > 0)


def match_by_phase(
    a: Float64[np.ndarray, "labels bins"], b: Float64[np.ndarray, "others bins"]
) -> Matching:
    """Match labels that live in the same phase of the gait, for agents with gaits that correspond.

    Minimises the sum of Jensen-Shannon divergences; pairs further apart than ⅔ bit, and labels
    that were not seen, are left unmatched.

    Args:
        a, b: from `phase_profiles`, with cycles that begin at the same event.
    """
    p, q = np.broadcast_arrays(a[:, None], b[None])
    divergence = np.asarray(divergence_bits(p, q))
    seen = (a.sum(axis=1)[:, None] > 0) & (b.sum(axis=1) > 0)
    cost = np.where(seen, divergence, 1.0)
    return _assigned(cost, 1.0 - cost, seen & (cost <= MATCHED_DIVERGENCE_BITS))


def _assigned(
    cost: Float64[np.ndarray, "labels others"],
    similarity: Float64[np.ndarray, "labels others"],
    allowed: Bool[np.ndarray, "labels others"],
) -> Matching:
    from scipy.optimize import linear_sum_assignment

    partner, value = np.full(len(cost), -1), np.zeros(len(cost))
    for i, j in zip(*linear_sum_assignment(cost), strict=True):
        if allowed[i, j]:
            partner[i], value[i] = j, similarity[i, j]
    return Matching(partner, value)


SPREAD = 0.5
"""How much faster or slower than their own time null labels may run: enough to lose the phase of
20 cycles, and their dwell stays what it was on average."""


_ROUNDING = 1e-9


@dataclass(frozen=True)
class Agreement:
    """How much two labellings of the same frames say the same.

    Attributes:
        ari: adjusted Rand index, at most 1, 0 by chance; for balanced labels.
        ami: adjusted mutual information (by the mean entropy), the same for unbalanced labels.
        vi_bits: variation of information H(a|b) + H(b|a), 0 for the same partition.
        vi_normalised: vi_bits / H(a, b), in [0, 1]; 1 for independent labellings.

    `ari`, `ami` and `vi_normalised` are None where there is nothing to agree upon (both have one
    label, or every frame a label of its own), and all are None without frames. With one label on
    one side ARI and AMI are 0. Chance means frames dealt out at random, and frames of a gait are
    not: see `agreement_test`.

    References:
        Hubert & Arabie, "Comparing partitions", 1985. Vinh, Epps & Bailey, "Information theoretic
        measures for clusterings comparison", JMLR 2010. Meila, "Comparing clusterings", 2007.
    """

    ari: float | None
    ami: float | None
    vi_bits: float | None
    vi_normalised: float | None


def agreement(a: Labels, b: Labels) -> Agreement:
    """Compare two labellings of the same frames."""
    table = contingency(a, b)
    if not table.any():
        return Agreement(None, None, None, None)
    measures = _measures(table[None], _chance_bits(table))
    [ari], [ami], [vi], [joint] = (measure.tolist() for measure in measures)
    if np.isnan(ami):
        return Agreement(None, None, vi, None)
    return Agreement(ari, ami, vi, vi / joint)


@dataclass(frozen=True)
class AgreementTest:
    """Agreement of two labellings against what chance leaves.

    Attributes:
        observed: the agreement, over the frames that the null keeps.
        null_ari, null_ami, null_vi_bits: means over the null labels.
        ari_p, ami_p: how often chance reaches as much, (1 + #{null >= observed}) / (B + 1).
        replicates: B.

    Nulls and p are None where ARI and AMI are.
    """

    observed: Agreement
    null_ari: float | None
    null_ami: float | None
    null_vi_bits: float | None
    ari_p: float | None
    ami_p: float | None
    replicates: int


def agreement_test(a: Labels, b: Labels, null_b: Iterable[Labels]) -> AgreementTest:
    """Test whether two labellings agree more than the rhythm of each alone would make them.

    Args:
        a, b: two labellings of the same frames.
        null_b: b as chance would have it, such as `on_other_clocks`, at least once. Each keeps the
            same frames, and gives every label about as many of them.
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
    chance = _chance_bits(contingency(a, b, rows, columns))
    ari, ami, vi, _ = _measures(tables, chance)

    def p(null: Float64[np.ndarray, " replicates"], value: float) -> float:
        reached = (null >= value - _ROUNDING) | np.isnan(null)
        return float((1 + reached.sum()) / (count + 1))

    return AgreementTest(
        observed=observed,
        null_ari=_mean_of_defined(ari),
        null_ami=_mean_of_defined(ami),
        null_vi_bits=float(vi.mean()),
        ari_p=p(ari, observed.ari),
        ami_p=p(ami, observed.ami),
        replicates=count,
    )


def _mean_of_defined(values: Float64[np.ndarray, " replicates"]) -> float | None:
    defined = values[~np.isnan(values)]
    return float(defined.mean()) if len(defined) else None


def on_other_clocks(
    label: Labels,
    cycle: Int[np.ndarray, " frames"],
    rng: np.random.Generator,
    replicates: int,
    span: Int[np.ndarray, " frames"] | None = None,
) -> Iterator[Labels]:
    """Labels that begin anywhere, and run faster or slower by up to a half in each gait cycle.

    Keeps their order, and their dwell on average, and nothing of their phase. (A rotation of every
    cycle by itself would tear labels apart that last from one cycle into the next; labels of slow
    agents that have nothing to do with each other would often agree beyond such a chance:
    `benchmarks/validate_labels.py`. A shift of all frames alone would leave two labellings of one
    gait in step.) Frames outside of cycles are left out.

    Args:
        label: of each frame.
        cycle: gait cycle of each frame, −1 outside of cycles. The frames of a cycle are in a
            row, and neighbours in a pool of episodes have different numbers.
        rng: draws beginnings and speeds.
        replicates: how many.
        span: which part of the pool each frame belongs to, such as its episode, from 0, in a row;
            labels stay in theirs, so that what parts have in common is chance too. All of one by
            default.
    """
    inside = np.flatnonzero(cycle >= 0)
    own, frames = label[inside], len(inside)
    first = np.flatnonzero(np.diff(cycle[inside], prepend=-1))
    length = np.diff(first, append=frames)
    parts = np.zeros(frames, np.int64) if span is None else span[inside]
    start = np.flatnonzero(np.diff(parts, prepend=-1))
    size = np.diff(start, append=frames)
    for _ in range(replicates):
        speed = rng.uniform(1 - SPREAD, 1 + SPREAD, size=len(length))
        time = np.cumsum(np.concatenate([[0.0], np.repeat(speed, length)]))
        begin, took = rng.uniform(size=len(start)), time[start + size] - time[start]
        turn = (time[:-1] - np.repeat(time[start], size)) / np.repeat(took, size)
        place = (np.repeat(begin, size) + turn) % 1 * np.repeat(size, size)
        drawn = np.full_like(label, -1)
        drawn[inside] = own[np.repeat(start, size) + place.astype(np.int64)]
        yield drawn


@dataclass(frozen=True, eq=False)
class Consensus:
    """How much the runs of several seeds agree with each other.

    Attributes:
        ami: of every pair of runs; NaN on the diagonal, and where it is undefined.
        mean_ami: over pairs; None when no pair has one.
        low, high: percentile interval from resampled seeds, without pairs of a seed with itself;
            None with fewer than three runs or undefined pairs.
        medoid: the typical run, with the highest mean AMI with the others; the first of several.
            None with fewer than three runs, which are equally typical.
        level: of the interval, in name: of few seeds it covers less.
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
    """Compare the labels that several runs give to the same frames.

    Args:
        labels: of each run, for every frame of a bank of observations.
        rng: resamples seeds.
        level, replicates: of the bootstrap.
    """
    ami = pairwise_ami(labels)
    runs, defined = len(ami), ~np.isnan(ami)
    if not defined.any():
        return Consensus(ami, None, None, None, None, level)
    mean = float(ami[defined].mean())
    low = high = medoid = None
    if runs > 2:
        means = [
            row[each].mean() if each.any() else -np.inf
            for row, each in zip(ami, defined, strict=True)
        ]
        medoid = int(np.argmax(means))
    if runs > 2 and defined.sum() == runs * (runs - 1):
        drawn = rng.integers(runs, size=(replicates, runs))
        weight = (drawn[:, :, None] == np.arange(runs)).sum(axis=1).astype(np.float64)
        total = ((weight @ np.nan_to_num(ami)) * weight).sum(axis=1)
        pairs = runs**2 - np.square(weight).sum(axis=1)
        # A resample of one seed alone has no pair.
        resampled = total[pairs > 0] / pairs[pairs > 0]
        low, high = np.quantile(resampled, [(1 - level) / 2, (1 + level) / 2]).tolist()
    return Consensus(ami, mean, low, high, medoid, level)


def pairwise_ami(labels: Int[np.ndarray, "runs frames"]) -> Float64[np.ndarray, "runs runs"]:
    """AMI of every pair of labellings; NaN on the diagonal and where it is undefined."""
    ami = np.full((len(labels), len(labels)), np.nan)
    for i, j in combinations(range(len(labels)), 2):
        value = agreement(labels[i], labels[j]).ami
        ami[i, j] = ami[j, i] = np.nan if value is None else value
    return ami


def _chance_bits(table: Float64[np.ndarray, "rows columns"]) -> float:
    """Expected information of frames dealt out at random with the margins of this table."""
    from sklearn.metrics.cluster import expected_mutual_information

    occupied = table[table.any(axis=1)][:, table.any(axis=0)].astype(np.int64)
    return float(expected_mutual_information(occupied, int(occupied.sum())) / np.log(2))


def _measures(
    tables: Float64[np.ndarray, "tables rows columns"], chance: float
) -> tuple[Float64[np.ndarray, " tables"], ...]:
    """ARI, AMI, VI and H(a, b) of contingency tables; NaN where undefined.

    `chance` is the expected information of one of them, which has about the margins of all.
    """
    share = tables / tables.sum(axis=(1, 2), keepdims=True)
    joint = np.asarray(entropy_bits(share.reshape(len(tables), -1)))
    entropy_a, entropy_b = (np.asarray(entropy_bits(share.sum(axis=i))) for i in (2, 1))
    information, mean = np.asarray(information_bits(tables)), (entropy_a + entropy_b) / 2

    rows, columns = (_pairs(tables.sum(axis=i)).sum(axis=1) for i in (2, 1))
    pairs = _pairs(tables).sum(axis=(1, 2))
    by_chance = rows * columns / np.maximum(_pairs(tables.sum(axis=(1, 2))), 1.0)
    undefined = mean - chance < _ROUNDING
    ami = np.where(
        undefined, np.nan, (information - chance) / np.where(undefined, 1, mean - chance)
    )
    spread = np.where(undefined, 1, (rows + columns) / 2 - by_chance)
    ari = np.where(undefined, np.nan, (pairs - by_chance) / spread)
    return ari, ami, np.maximum(2 * (joint - mean), 0.0), joint


def _pairs(count: Float64[np.ndarray, "*shape"]) -> Float64[np.ndarray, "*shape"]:
    """Pairs that can be formed of so many frames."""
    return count * (count - 1) / 2
