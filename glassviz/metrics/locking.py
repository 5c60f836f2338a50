"""Labels against the gait cycle: phase locking, onsets, agreement of cycles, and motifs."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cache

import numpy as np
from jaxtyping import Float64, Int
from scipy.special import gammaln

from glassviz.gait.contacts import Mask
from glassviz.metrics.information import (
    ROUNDING_BITS,
    CycleIndex,
    Labels,
    Phases,
    entropy_bits,
    expected_information_bits,
    information_bits,
    miller_madow_bits,
)
from glassviz.metrics.nulls import (
    PHASE_BINS,
    REPLICATES,
    batch_sizes,
    cycle_counts,
    phase_bin,
    rotation_test,
    shuffled_information_bits,
    switch_counts,
)
from glassviz.metrics.segments import Segments
from glassviz.metrics.statistics import bootstrap_weights

# Phase locking ------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Locking:
    """Mutual information of gait phase and label, over the frames within gait cycles.

    With a single label all but the first three are None.

    Attributes:
        cycles, frames: numbers of gait cycles and of labelled frames in them.
        phase_information_bits: I(phase bin; label), Miller-Madow corrected, at least 0.
        null_information_bits: mean plug-in I under the rotation null, the value without phase
            locking; also None with a single cycle.
        shuffled_information_bits: mean plug-in I under the shuffle null, which is weaker: it also
            destroys the order of the segments.
        locking_u: uncertainty coefficient U = I / H(label), the share of the label entropy that
            the phase explains, in [0, 1].
        nmi: normalised mutual information, plug-in I over the mean of both entropies, in [0, 1].
        ami: adjusted mutual information: the same, corrected for chance, for unbalanced labels; at
            most 1, 0 by chance (Vinh, Epps & Bailey, 2010).
        locking_p: p-value of the rotation test on label switches; also None with fewer than three
            cycles.
    """

    cycles: int
    frames: int
    phase_information_bits: float
    null_information_bits: float | None = None
    shuffled_information_bits: float | None = None
    locking_u: float | None = None
    nmi: float | None = None
    ami: float | None = None
    locking_p: float | None = None


def locking(
    label: Labels,
    phase: Phases,
    cycle: CycleIndex,
    rng: np.random.Generator,
    replicates: int = REPLICATES,
) -> Locking | None:
    """Measure and test phase locking of labels to the gait; None without labelled frames in cycles.

    `rng` draws both nulls; p = (1 + #{null >= observed}) / (B + 1) for B replicates of the rotation
    null.

    Example:
        >>> cycle = np.repeat(np.arange(20), 40)
        >>> phase = np.tile(np.arange(40) * 2 * np.pi / 40, 20)
        >>> label = np.tile(np.repeat([0, 1, 2, 3], 10), 20)
        >>> result = locking(label, phase, cycle, np.random.default_rng(0), replicates=99)
        >>> result.cycles, round(result.locking_u, 2), result.locking_p
        (20, 1.0, 0.01)
    """
    counts = cycle_counts(label, phase, cycle)
    if not len(counts):
        return None
    table = counts.sum(axis=0)
    marginal = miller_madow_bits(table.sum(axis=0)) + miller_madow_bits(table.sum(axis=1))
    information = max(marginal - miller_madow_bits(table), 0.0)
    result = Locking(len(counts), int(table.sum()), information)
    if table.shape[1] < 2:
        return result
    switches = switch_counts(label, phase, cycle)
    null_information, p = rotation_test(counts, switches, rng, replicates)
    plug_in = float(information_bits(table))
    entropies = [float(entropy_bits(table.sum(axis=i) / table.sum())) for i in (0, 1)]
    entropy, chance = float(np.mean(entropies)), expected_information_bits(table)
    return replace(
        result,
        null_information_bits=null_information,
        shuffled_information_bits=shuffled_information_bits(label, phase, cycle, rng),
        locking_u=min(information / miller_madow_bits(table.sum(axis=0)), 1.0),
        nmi=plug_in / entropy,
        ami=(plug_in - chance) / (entropy - chance),
        locking_p=p,
    )


# Onsets -------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class OnsetLocking:
    """Circular statistics of the phases at which a label begins.

    Attributes:
        onsets: number n of its segments that begin within a gait cycle, after another label.
        concentration: mean resultant length R = |mean of exp(iφ)|, in [0, 1]; 1 if all onsets have
            the same phase.
        mean_phase_rad: circular mean of the phase, in [0, 2π).
        circular_sd_rad: circular standard deviation √(−2 ln R), rad; infinite if R is 0.
        rayleigh_p: p-value of the Rayleigh test against uniform phases. Its samples are onsets,
            not frames. It has no power against labels that begin twice per cycle.
    """

    label: int
    onsets: int
    concentration: float
    mean_phase_rad: float
    circular_sd_rad: float
    rayleigh_p: float


def onset_locking(segments: Segments, phase: Phases) -> tuple[OnsetLocking, ...]:
    """Onset statistics of every label with an onset in a gait cycle, ordered by label."""
    observed = ~segments.open_start
    onset, label = phase[segments.start[observed]], segments.label[observed]
    onset, label = onset[np.isfinite(onset)], label[np.isfinite(onset)]
    return tuple(_onsets(int(k), onset[label == k]) for k in np.unique(label))


def _onsets(label: int, phase: Float64[np.ndarray, " onsets"]) -> OnsetLocking:
    mean = np.exp(1j * phase).mean()
    r = min(float(abs(mean)), 1.0)
    angle, sd = float(np.angle(mean) % (2 * np.pi)), np.sqrt(-2 * np.log(r)) if r > 0 else np.inf
    return OnsetLocking(label, len(phase), r, angle, float(sd), rayleigh_p(len(phase), r))


def rayleigh_p(n: int, r: float) -> float:
    """P-value of the Rayleigh test of n phases with mean resultant length `r`.

    p = exp(√(1 + 4n + 4n²(1 − R²)) − (1 + 2n)) (Zar's approximation, 2010).

    Example:
        >>> round(rayleigh_p(10, 0.6), 3)
        0.023
    """
    return float(min(np.exp(np.sqrt(1 + 4 * n + 4 * n**2 * (1 - r**2)) - (1 + 2 * n)), 1.0))


# Agreement of gait cycles -------------------------------------------------------------------------

RESAMPLES = 999

INTERVAL = (0.025, 0.975)

Raster = Int[np.ndarray, "cycles bins"]
PhaseMap = Int[np.ndarray, " bins"]
Samples = Float64[np.ndarray, " samples"]


def phase_raster(label: Labels, phase: Phases, cycle: CycleIndex, bins: int = PHASE_BINS) -> Raster:
    """Most frequent label of every gait cycle in every phase bin.

    Ties go to the label that comes first; −1 where a cycle has no labelled frame in the bin.

    Example:
        >>> phase = np.tile([0.1, 1.7, 3.3, 4.9], 2)
        >>> label = np.array([0, 0, 1, 1, 0, 2, 1, -1])
        >>> phase_raster(label, phase, np.repeat([0, 1], 4), bins=4)
        array([[ 0,  0,  1,  1],
               [ 0,  2,  1, -1]])
    """
    part = phase_bin(phase, cycle, bins)
    labelled = np.flatnonzero((part >= 0) & (label >= 0))
    cycles, j = np.unique(cycle[labelled], return_inverse=True)
    raster = np.full(len(cycles) * bins, -1, np.int64)
    cell = j * bins + part[labelled]
    raster[np.unique(cell)] = _modes(cell, label[labelled])
    return raster.reshape(len(cycles), bins)


def phase_map(raster: Raster) -> PhaseMap:
    """Most frequent label of every phase bin over the cycles of a raster; −1 where none has one."""
    labelled = raster.T >= 0
    part = np.nonzero(labelled)[0]
    modes = np.full(raster.shape[1], -1, np.int64)
    modes[np.unique(part)] = _modes(part, raster.T[labelled])
    return modes


def _modes(group: Labels, value: Labels) -> Int[np.ndarray, " groups"]:
    """Most frequent value of each group, ordered by group; the first value of ties."""
    if not len(group):
        return np.zeros(0, np.int64)
    width = int(value.max()) + 1
    pair, first, count = np.unique(group * width + value, return_index=True, return_counts=True)
    ranked = np.lexsort((first, -count, pair // width))
    is_mode = np.concatenate([[True], np.diff(pair[ranked] // width) != 0])
    return (pair[ranked] % width)[is_mode].astype(np.int64)


@dataclass(frozen=True)
class CycleAgreement:
    """Agreement of gait cycles on the label of each phase bin.

    Attributes:
        cycles: number of cycles J, the raters; phase bins are the subjects they rate.
        pairwise_agreement: share of equal labels over bins and pairs of cycles, in [0, 1].
        fleiss_kappa: Fleiss' kappa (P − P_e) / (1 − P_e), P_e = Σ p_k²: 1 if all cycles are alike,
            0 if labels are independent of the phase. None with a single label. With one label
            nearly everywhere it may be low although cycles agree: read it with
            `pairwise_agreement`.
        pairwise_low, pairwise_high, kappa_low, kappa_high: 95 % percentile bootstrap intervals
            over the cycles of this episode, without pairs of a cycle with itself.

    References:
        Fleiss, "Measuring nominal scale agreement among many raters", 1971.
    """

    cycles: int
    pairwise_agreement: float
    fleiss_kappa: float | None
    pairwise_low: float
    pairwise_high: float
    kappa_low: float | None
    kappa_high: float | None


def cycle_agreement(
    raster: Raster, rng: np.random.Generator, resamples: int = RESAMPLES
) -> CycleAgreement | None:
    """Agreement of the gait cycles of an episode; None with fewer than two cycles.

    Example:
        >>> raster = np.array([[0, 0, 1, 1], [0, 0, 1, 1], [0, 1, 1, 1]])
        >>> result = cycle_agreement(raster, np.random.default_rng(0))
        >>> round(result.pairwise_agreement, 3), round(result.fleiss_kappa, 3)
        (0.833, 0.657)
    """
    cycles = len(raster)
    if cycles < 2 or (raster < 0).all():
        return None
    rated = (raster[:, :, None] == np.unique(raster[raster >= 0])).astype(np.float64)
    [pairwise], [kappa] = _fleiss(rated, np.ones((1, cycles)))
    if np.isnan(pairwise):
        return None  # No two cycles have a frame in the same bin.
    batches = batch_sizes(resamples, cycles)
    resampled = [_fleiss(rated, bootstrap_weights(cycles, count, rng)) for count in batches]
    of_pairs, of_kappa = (_interval(np.concatenate(part)) for part in zip(*resampled, strict=True))
    if np.isnan(kappa):
        return CycleAgreement(cycles, float(pairwise), None, *of_pairs, None, None)
    return CycleAgreement(cycles, float(pairwise), float(kappa), *of_pairs, *of_kappa)


def _fleiss(
    rated: Float64[np.ndarray, "cycles bins labels"], weight: Float64[np.ndarray, "samples cycles"]
) -> tuple[Samples, Samples]:
    """Pairwise agreement and kappa of resampled cycles; NaN where undefined."""
    flat = rated.reshape(len(rated), -1)
    count = (weight @ flat).reshape(-1, *rated.shape[1:])
    rating = count.sum(axis=2)
    with_itself = np.square(weight) @ rated.sum(axis=2)
    same = (np.square(count).sum(axis=2) - with_itself).sum(axis=1)
    pairs = (np.square(rating) - with_itself).sum(axis=1)
    share = count.sum(axis=1) / rating.sum(axis=1, keepdims=True)
    chance = np.square(share).sum(axis=1)
    with np.errstate(invalid="ignore", divide="ignore"):
        pairwise = same / pairs
        kappa = np.where(chance < 1 - 1e-12, (pairwise - chance) / (1 - chance), np.nan)
    return pairwise, kappa


def _interval(values: Samples) -> tuple[float, float]:
    # Resamples of a single cycle, or with a single label, are undefined.
    defined = values[~np.isnan(values)]
    if not len(defined):
        return float("nan"), float("nan")
    low, high = np.quantile(defined, INTERVAL).tolist()
    return low, high


# Motifs of gait cycles ----------------------------------------------------------------------------

Motif = tuple[int, ...]
"""Sequence of labels in a gait cycle, repeats collapsed."""


@dataclass(frozen=True, eq=False)
class CycleMotifs:
    """Label motif of each gait cycle: its labels from touchdown on, repeats collapsed.

    Attributes:
        words: motif of each cycle, in temporal order.
        modal: most frequent motif; ties go to the motif that comes first.
        modal_share: share of the cycles with the modal motif, in (0, 1].
        mean_distance: mean over cycles of the Levenshtein distance to the modal motif, relative to
            the longer of the two; in [0, 1], 0 if all cycles are alike.
    """

    words: tuple[Motif, ...]
    modal: Motif
    modal_share: float
    mean_distance: float


def cycle_motifs(label: Labels, cycle: CycleIndex, min_frames: int = 1) -> CycleMotifs | None:
    """Label motifs of the gait cycles; None without cycles.

    Segments shorter than `min_frames` within their cycle are removed, and their neighbours joined.

    Example:
        >>> label = np.array([0, 0, 1, 1, 0, 2, 1, 1])
        >>> cycle_motifs(label, np.repeat([0, 1], 4)).words
        ((0, 1), (0, 2, 1))
    """
    labelled = (cycle >= 0) & (label >= 0)
    if not labelled.any():
        return None
    value, owner = label[labelled], cycle[labelled]
    starts = _segment_starts(value, owner)
    length = np.diff(np.append(np.flatnonzero(starts), len(value)))
    value, owner = value[starts], owner[starts]
    cycles = np.unique(owner)
    value, owner = value[length >= min_frames], owner[length >= min_frames]
    starts = _segment_starts(value, owner)
    value, owner = value[starts], owner[starts]
    parts = np.split(value, np.searchsorted(owner, cycles[1:]))
    motifs = tuple(tuple(part.tolist()) for part in parts)
    counts = Counter(motifs)
    [(modal, modal_count)] = counts.most_common(1)
    distance = sum(
        count * levenshtein(motif, modal) / max(len(motif), len(modal), 1)
        for motif, count in counts.items()
    )
    return CycleMotifs(motifs, modal, modal_count / len(motifs), distance / len(motifs))


def _segment_starts(value: Labels, cycle: CycleIndex) -> Mask:
    """Frames in which a label or a cycle begins."""
    first = np.ones(min(len(value), 1), bool)
    return np.concatenate([first, (np.diff(value) != 0) | (np.diff(cycle) != 0)])


def levenshtein(a: Motif, b: Motif) -> int:
    """Levenshtein distance: fewest insertions, deletions and substitutions that turn a into b.

    Example:
        >>> levenshtein((0, 1, 2), (0, 2, 3))
        2
    """
    row = list(range(len(b) + 1))
    for i, x in enumerate(a, start=1):
        above, row = row, [i]
        for j, y in enumerate(b):
            row.append(min(above[j + 1] + 1, row[j] + 1, above[j] + (x != y)))
    return row[-1]


def in_modal_cycle(motifs: CycleMotifs, cycle: CycleIndex, label: Labels) -> Mask:
    """Whether each frame lies in a gait cycle with the modal motif."""
    labelled = (cycle >= 0) & (label >= 0)
    modal = np.array([motif == motifs.modal for motif in motifs.words])
    _, index = np.unique(cycle[labelled], return_inverse=True)
    inside = np.zeros(len(cycle), bool)
    inside[labelled] = modal[index]
    return inside


# Agreement of phase maps between episodes ---------------------------------------------------------


@dataclass(frozen=True)
class MapAgreement:
    """Agreement of the phase maps of two episodes of one agent.

    Attributes:
        bins: number of phase bins in which both episodes have a label.
        agreement: share of those bins with the same label, in [0, 1].
        ami: adjusted mutual information of both maps: 1 if they are the same up to a relabelling,
            0 by chance. None if either map has a single label, or all labels of both are distinct.
    """

    bins: int
    agreement: float
    ami: float | None


def map_agreements(
    maps: Int[np.ndarray, "episodes bins"],
) -> Iterator[tuple[int, int, MapAgreement]]:
    """Compare the phase maps of all pairs of episodes of one agent; −1 for no label.

    Yields both episodes and their agreement, for pairs with a labelled bin in common.
    """
    labels = np.unique(maps[maps >= 0])
    member = (maps[..., None] == labels).astype(np.float64)
    for i in range(len(maps) - 1):
        tables = np.einsum("bk,ebl->ekl", member[i], member[i + 1 :])
        bins = tables.sum(axis=(1, 2))
        common = np.flatnonzero(bins > 0)
        if not len(common):
            continue
        same = np.trace(tables, axis1=1, axis2=2)
        ami = _ami(tables[common], maps.shape[1])
        for j, value in zip(common.tolist(), ami.tolist(), strict=True):
            known = None if np.isnan(value) else value
            yield i, i + 1 + j, MapAgreement(int(bins[j]), float(same[j] / bins[j]), known)


def _ami(
    tables: Float64[np.ndarray, "pairs labels labels"], most: int
) -> Float64[np.ndarray, " pairs"]:
    """AMI, normalised by the mean entropy, of tables of at most `most` counts; NaN if undefined."""
    rows, columns = tables.sum(axis=2), tables.sum(axis=1)
    count = rows.sum(axis=1, keepdims=True)
    entropies = [np.asarray(entropy_bits(margin / count)) for margin in (rows, columns)]
    n, a, b = (margin.astype(np.int64) for margin in (count, rows, columns))
    chance = _expected_bits(most)[n[:, :, None], a[:, :, None], b[:, None, :]].sum(axis=(1, 2))
    largest = (entropies[0] + entropies[1]) / 2 - chance
    undefined = (np.minimum(*entropies) < ROUNDING_BITS) | (largest < ROUNDING_BITS)
    excess = np.asarray(information_bits(tables)) - chance
    return np.where(undefined, np.nan, excess / np.where(undefined, 1.0, largest))


@cache
def _expected_bits(most: int) -> Float64[np.ndarray, "n a b"]:
    """Expected information of one pair of labels with a and b of n bins, for all n up to `most`.

    The mean of m/n log2(n m / (a b)) over the hypergeometric m. Its sum over all pairs of labels
    is the expected mutual information (Vinh, Epps & Bailey, JMLR 2010). The table replaces
    `expected_information_bits`, which is slow for many small tables.
    """
    size = np.arange(most + 1)
    n, a, b, m = np.meshgrid(size, size, size, size, indexing="ij", sparse=True)
    possible = (m > 0) & (a <= n) & (b <= n) & (m <= a) & (m <= b) & (m >= a + b - n)

    def log_factorials(*counts: Int[np.ndarray, "..."]) -> Float64[np.ndarray, "..."]:
        """Logarithm of the product of the factorials of the counts."""
        return np.asarray(sum(gammaln(np.maximum(count, 0) + 1.0) for count in counts))

    probability = log_factorials(a, b, n - a, n - b)
    probability = np.exp(probability - log_factorials(n, m, a - m, b - m, n - a - b + m))
    bits = np.log2(np.where(possible, n * m, 1) / np.where(possible, a * b, 1))
    terms = np.where(possible, m / np.maximum(n, 1) * bits * probability, 0.0)
    return np.asarray(terms.sum(axis=3))
