"""Labels against the gait cycle: phase information, onsets, agreement between cycles."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache

import numpy as np
from jaxtyping import Bool, Float64, Int
from scipy.special import gammaln

from glassviz.metrics.information import entropy_bits, information_bits, miller_madow_bits
from glassviz.metrics.nulls import (
    PHASE_BINS,
    REPLICATES,
    cycle_counts,
    phase_bin,
    portions,
    rotation_test,
    shuffled_information_bits,
    switch_counts,
)
from glassviz.metrics.segments import Segments


@dataclass(frozen=True)
class Locking:
    """What the phase of the gait says about the label, over frames within gait cycles.

    Attributes:
        cycles, frames: that were looked at.
        phase_information_bits: I(phase bin; label), Miller-Madow corrected, at least 0.
        null_information_bits: mean of the plug-in I over rotated cycles; what `I` is without any
            locking. None with a single cycle or label.
        shuffled_information_bits: mean of the plug-in I over segments in random order, a weaker
            null that breaks the labels' order too; None with one label.
        locking_u: U = I / H(label), the share of the label's entropy that the phase explains, in
            [0, 1]. None with one label ("one label"): nothing is left to explain.
        nmi: plug-in I over the mean of both entropies, in [0, 1].
        ami: the same above what frames dealt out at random share, for unbalanced labels; at most
            1, 0 by chance (Vinh, Epps & Bailey, 2010).
        locking_p: chance that cycles agree as much on the phases of their switches, under
            rotation of each cycle by its own amount; None with one label or fewer than three
            cycles.
    """

    cycles: int
    frames: int
    phase_information_bits: float
    null_information_bits: float | None
    shuffled_information_bits: float | None
    locking_u: float | None
    nmi: float | None
    ami: float | None
    locking_p: float | None


def locking(
    label: Int[np.ndarray, " frames"],
    phase: Float64[np.ndarray, " frames"],
    cycle: Int[np.ndarray, " frames"],
    rng: np.random.Generator,
    replicates: int = REPLICATES,
) -> Locking | None:
    """Measure and test phase locking.

    Args:
        label: of each frame; −1: left out.
        phase: of the gait, rad in [0, 2π); NaN outside of cycles.
        cycle: gait cycle of each frame; −1 outside of cycles.
        rng: for both nulls.
        replicates: B of the rotations; p = (1 + #{null >= observed}) / (B + 1).

    Returns:
        None when no labelled frame lies in a gait cycle.
    """
    counts = cycle_counts(label, phase, cycle)
    if not len(counts):
        return None
    table = counts.sum(axis=0)
    information = _corrected_information(table)
    result = Locking(len(counts), int(table.sum()), information, None, None, None, None, None, None)
    if table.shape[1] < 2:
        return result
    switches = switch_counts(label, phase, cycle)
    null_information, p = rotation_test(counts, switches, rng, replicates)
    plug_in = float(information_bits(table))
    entropies = [float(entropy_bits(table.sum(axis=i) / table.sum())) for i in (0, 1)]
    chance = _chance_information(table)
    return Locking(
        cycles=result.cycles,
        frames=result.frames,
        phase_information_bits=information,
        null_information_bits=null_information,
        shuffled_information_bits=shuffled_information_bits(label, phase, cycle, rng),
        locking_u=min(information / miller_madow_bits(table.sum(axis=0)), 1.0),
        nmi=plug_in / float(np.mean(entropies)),
        ami=(plug_in - chance) / (float(np.mean(entropies)) - chance),
        locking_p=p,
    )


def _corrected_information(table: Float64[np.ndarray, "bins labels"]) -> float:
    one = miller_madow_bits(table.sum(axis=0)) + miller_madow_bits(table.sum(axis=1))
    return max(one - miller_madow_bits(table), 0.0)


def _chance_information(table: Float64[np.ndarray, "bins labels"]) -> float:
    """Expected plug-in information of frames dealt out at random with these margins, in bits."""
    from sklearn.metrics.cluster import expected_mutual_information

    occupied = table[table.sum(axis=1) > 0].astype(np.int64)
    return float(expected_mutual_information(occupied, int(table.sum())) / np.log(2))


@dataclass(frozen=True)
class OnsetLocking:
    """Where in the gait cycle a label begins.

    Attributes:
        label: which.
        onsets: n, its segments that begin within a gait cycle, behind another label.
        concentration: R = |mean of exp(iφ)| over onsets, in [0, 1]; 1: always at one phase.
        mean_phase_rad: circular mean, in [0, 2π).
        circular_sd_rad: √(−2 ln R); infinite where R is 0.
        rayleigh_p: of the Rayleigh test against onsets anywhere. Of onsets, not of frames, and
            blind to labels that begin twice a cycle.
    """

    label: int
    onsets: int
    concentration: float
    mean_phase_rad: float
    circular_sd_rad: float
    rayleigh_p: float


def onset_locking(
    segments: Segments, phase: Float64[np.ndarray, " frames"]
) -> tuple[OnsetLocking, ...]:
    """Onset statistics of every label with an onset, by label."""
    begun = ~segments.open_start
    at, label = phase[segments.start[begun]], segments.label[begun]
    at, label = at[np.isfinite(at)], label[np.isfinite(at)]
    return tuple(_onsets(int(k), at[label == k]) for k in np.unique(label))


def _onsets(label: int, phase: Float64[np.ndarray, " onsets"]) -> OnsetLocking:
    mean = np.exp(1j * phase).mean()
    r = min(float(abs(mean)), 1.0)
    return OnsetLocking(
        label=label,
        onsets=len(phase),
        concentration=r,
        mean_phase_rad=float(np.angle(mean) % (2 * np.pi)),
        circular_sd_rad=float(np.sqrt(-2 * np.log(r))) if r > 0 else float("inf"),
        rayleigh_p=rayleigh_p(len(phase), r),
    )


def rayleigh_p(n: int, r: float) -> float:
    """P of a resultant as long as R = `r` from n uniform phases (Zar's approximation, 2010).

    p = exp(√(1 + 4n + 4n²(1 − R²)) − (1 + 2n)).
    """
    return float(min(np.exp(np.sqrt(1 + 4 * n + 4 * n**2 * (1 - r**2)) - (1 + 2 * n)), 1.0))


RESAMPLES = 999


INTERVAL = (0.025, 0.975)


Word = tuple[int, ...]


Raster = Int[np.ndarray, "cycles bins"]


PhaseMap = Int[np.ndarray, " bins"]


def phase_raster(
    label: Int[np.ndarray, " frames"],
    phase: Float64[np.ndarray, " frames"],
    cycle: Int[np.ndarray, " frames"],
    bins: int = PHASE_BINS,
) -> Raster:
    """The most frequent label of every gait cycle in every phase bin.

    Of equally frequent labels the one that was there first; −1 where a cycle has no frame.

    Args:
        label: of each frame; −1: left out.
        phase: of the gait, rad in [0, 2π).
        cycle: gait cycle of each frame; −1 outside of cycles.
        bins: equal parts of the cycle.
    """
    part = phase_bin(phase, cycle, bins)
    kept = np.flatnonzero((part >= 0) & (label >= 0))
    cycles, j = np.unique(cycle[kept], return_inverse=True)
    raster = np.full(len(cycles) * bins, -1, np.int64)
    cell = j * bins + part[kept]
    raster[np.unique(cell)] = _modes(cell, label[kept])
    return raster.reshape(len(cycles), bins)


def phase_map(raster: Raster) -> PhaseMap:
    """The most frequent label of every phase bin over cycles; −1 where no cycle has one."""
    kept = raster.T >= 0
    part = np.nonzero(kept)[0]
    modes = np.full(raster.shape[1], -1, np.int64)
    modes[np.unique(part)] = _modes(part, raster.T[kept])
    return modes


@dataclass(frozen=True)
class Agreement:
    """Agreement of gait cycles on the label of each phase bin.

    Attributes:
        cycles: J, the raters; phase bins are what they rate.
        pairwise_agreement: share of equal labels over bins and pairs of cycles, in [0, 1].
        fleiss_kappa: the same beyond chance, (P − P_e) / (1 − P_e), P_e = Σ p_k²; 1: all cycles
            alike, 0: labels have nothing to do with the phase. None when one label is
            everywhere. With one label nearly everywhere it may be low although cycles agree:
            read it beside `pairwise_agreement`.
        pairwise_low, pairwise_high, kappa_low, kappa_high: 95 % percentile bootstrap over cycles;
            within this episode only. Pairs of a cycle with itself do not count.

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


def agreement(
    raster: Raster, rng: np.random.Generator, resamples: int = RESAMPLES
) -> Agreement | None:
    """Compare gait cycles with each other; None with fewer than two cycles.

    Args:
        raster: from `phase_raster`.
        rng: draws the cycles of the bootstrap.
        resamples: of the bootstrap.
    """
    cycles = len(raster)
    if cycles < 2 or (raster < 0).all():
        return None
    rated = (raster[:, :, None] == np.unique(raster[raster >= 0])).astype(np.float64)
    [pairwise], [kappa] = _fleiss(rated, np.ones((1, cycles)))
    if np.isnan(pairwise):
        return None  # No two cycles have a frame in the same bin.
    drawn = []
    for count in portions(resamples, cycles):
        flat = rng.integers(cycles, size=(count, cycles)) + cycles * np.arange(count)[:, None]
        weight = np.bincount(flat.ravel(), minlength=count * cycles).reshape(count, cycles)
        drawn.append(_fleiss(rated, weight.astype(np.float64)))
    pairwise_low, pairwise_high = _interval(np.concatenate([draw[0] for draw in drawn]))
    low, high = _interval(np.concatenate([draw[1] for draw in drawn]))
    defined = not np.isnan(kappa)
    return Agreement(
        cycles=cycles,
        pairwise_agreement=float(pairwise),
        fleiss_kappa=float(kappa) if defined else None,
        pairwise_low=pairwise_low,
        pairwise_high=pairwise_high,
        kappa_low=low if defined else None,
        kappa_high=high if defined else None,
    )


def _fleiss(
    rated: Float64[np.ndarray, "cycles bins labels"],
    weight: Float64[np.ndarray, "samples cycles"],
) -> tuple[Float64[np.ndarray, " samples"], Float64[np.ndarray, " samples"]]:
    """Pairwise agreement and kappa of cycles that were drawn `weight` times; NaN: undefined."""
    flat = rated.reshape(len(rated), -1)
    count = (weight @ flat).reshape(-1, *rated.shape[1:])
    rating = count.sum(axis=2)
    itself = np.square(weight) @ rated.sum(axis=2)
    same = (np.square(count).sum(axis=2) - itself).sum(axis=1)
    pairs = (np.square(rating) - itself).sum(axis=1)
    share = count.sum(axis=1) / rating.sum(axis=1, keepdims=True)
    chance = np.square(share).sum(axis=1)
    with np.errstate(invalid="ignore", divide="ignore"):
        pairwise = same / pairs
        kappa = np.where(chance < 1 - 1e-12, (pairwise - chance) / (1 - chance), np.nan)
    return pairwise, kappa


def _interval(values: Float64[np.ndarray, " samples"]) -> tuple[float, float]:
    known = values[~np.isnan(values)]  # A draw of one cycle only, or of one label only, has none.
    if not len(known):
        return float("nan"), float("nan")
    low, high = np.quantile(known, INTERVAL).tolist()
    return low, high


@dataclass(frozen=True, eq=False)
class CycleWords:
    """Each gait cycle as a word: its labels from touchdown on, repeats collapsed.

    Attributes:
        words: one a cycle, in the order of time.
        modal: the most frequent word; of equally frequent ones the first.
        modal_share: share of the cycles with that word, in (0, 1].
        mean_distance: mean over cycles of the Levenshtein distance to it, over the length of the
            longer word; in [0, 1], 0: all alike.
    """

    words: tuple[Word, ...]
    modal: Word
    modal_share: float
    mean_distance: float


def cycle_words(
    label: Int[np.ndarray, " frames"], cycle: Int[np.ndarray, " frames"], least_frames: int = 1
) -> CycleWords | None:
    """Spell the gait cycles; None without any.

    Args:
        label, cycle: as in `phase_raster`.
        least_frames: stretches of a label that are shorter within their cycle are left out, as if
            the labels before and behind them met.
    """
    kept = (cycle >= 0) & (label >= 0)
    if not kept.any():
        return None
    value, of = label[kept], cycle[kept]
    starts = _changes(value, of)
    length = np.diff(np.append(np.flatnonzero(starts), len(value)))
    value, of = value[starts], of[starts]
    cycles = np.unique(of)
    value, of = value[length >= least_frames], of[length >= least_frames]
    starts = _changes(value, of)
    value, of = value[starts], of[starts]
    parts = np.split(value, np.searchsorted(of, cycles[1:]))
    words = tuple(tuple(part.tolist()) for part in parts)
    counts = Counter(words)
    [(modal, most)] = counts.most_common(1)
    distances = [
        times * levenshtein(word, modal) / max(len(word), len(modal), 1)
        for word, times in counts.items()
    ]
    return CycleWords(words, modal, most / len(words), sum(distances) / len(words))


def _changes(
    value: Int[np.ndarray, " frames"], of: Int[np.ndarray, " frames"]
) -> Bool[np.ndarray, " frames"]:
    """Where a label or a cycle begins."""
    first = np.ones(min(len(value), 1), bool)
    return np.concatenate([first, (np.diff(value) != 0) | (np.diff(of) != 0)])


def levenshtein(a: Word, b: Word) -> int:
    """Fewest insertions, deletions and substitutions that turn one word into the other."""
    row = list(range(len(b) + 1))
    for i, x in enumerate(a, start=1):
        above, row = row, [i]
        for j, y in enumerate(b):
            row.append(min(above[j + 1] + 1, row[j] + 1, above[j] + (x != y)))
    return row[-1]


def in_modal_cycle(
    words: CycleWords, cycle: Int[np.ndarray, " frames"], label: Int[np.ndarray, " frames"]
) -> Bool[np.ndarray, " frames"]:
    """Whether a frame's gait cycle is spelled like most are."""
    kept = (cycle >= 0) & (label >= 0)
    modal = np.array([word == words.modal for word in words.words])
    _, place = np.unique(cycle[kept], return_inverse=True)
    inside = np.zeros(len(cycle), bool)
    inside[kept] = modal[place]
    return inside


def _modes(
    group: Int[np.ndarray, " items"], value: Int[np.ndarray, " items"]
) -> Int[np.ndarray, " groups"]:
    """The most frequent value of each group, by group; of equals the first to occur."""
    if not len(group):
        return np.zeros(0, np.int64)
    width = int(value.max()) + 1
    pair, first, count = np.unique(group * width + value, return_index=True, return_counts=True)
    best = np.lexsort((first, -count, pair // width))
    leads = np.concatenate([[True], np.diff(pair[best] // width) != 0])
    return (pair[best] % width)[leads].astype(np.int64)


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
