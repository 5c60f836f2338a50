"""Consistency: whether every gait cycle has the same labels at the same phases."""

from collections import Counter
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float64, Int

from glassviz.analysis.nulls import portions
from glassviz.analysis.phase_counts import PHASE_BINS, phase_bin

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
