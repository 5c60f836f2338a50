"""Whether seed numbers matter: the returns of each over phases, against permuted seeds."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import permutations, product
from math import factorial, prod
from typing import Any

import numpy as np
from jaxtyping import Bool, Float64, Int

from glassviz.compare.phases import Measure, measured
from glassviz.ledger import Phase
from glassviz.metrics.nulls import batch_sizes
from glassviz.metrics.statistics import EXACT_UP_TO, RESAMPLES, generator


@dataclass(frozen=True)
class SeedRow:
    """One seed number over phases.

    Attributes:
        trainings: with this seed, in all phases.
        ranked: those in phases with other seeds, where it can be best or worst.
        best, worst: in how many phases one of its trainings alone has the highest or lowest return.
        best_by_chance, worst_by_chance: how often, on average over permutations.
        place: mean place within the phases, from −1 (always last) over 0 (chance) to 1 (always
            first); None if it is never ranked.
        p: that a place is as far from chance for any seed number, two-sided: adjusted for the
            number of seeds.
        worst_p: that any seed number is worst so much more often than by chance: adjusted too.
        worst_alone_p: the same for this seed alone, as if it had been named before looking.
    """

    seed: int
    trainings: int
    mean: float
    median: float
    highest: float
    lowest: float
    ranked: int
    best: int
    worst: int
    best_by_chance: float
    worst_by_chance: float
    place: float | None
    p: float | None
    worst_p: float | None
    worst_alone_p: float | None


@dataclass(frozen=True)
class Seeds:
    """Seed numbers over phases.

    Attributes:
        rows: by seed number.
        phases: with two seed numbers or more, within which seeds were permuted.
        trainings: in these phases.
        left_out: trainings without a seed number, or without a return.
        p: that seed numbers do not matter, by the sum over seeds of n · place²; None without a
            phase.
        smallest_p: smallest attainable p.
        permutations: how many were made; `exact` if these are all.
    """

    rows: tuple[SeedRow, ...]
    phases: int
    trainings: int
    left_out: int
    p: float | None
    smallest_p: float | None
    permutations: int
    exact: bool


@dataclass(frozen=True)
class _Block:
    """The trainings of a phase: number of the seed of each, mid-rank in [−1, 1], first, last."""

    seeds: Int[np.ndarray, " n"]
    places: Float64[np.ndarray, " n"]
    first: Bool[np.ndarray, " n"]
    last: Bool[np.ndarray, " n"]


def compare_seeds(
    phases: Sequence[Phase],
    measure: Measure = "peak",
    controller: str = "mppi",
    at: int | None = None,
    resamples: int = RESAMPLES,
) -> Seeds:
    """The returns of each seed number over phases, and whether seed numbers matter at all.

    Within each phase the returns are ranked, so that no phase counts more because its returns are
    high; seeds are permuted within phases. Equal returns share their ranks, and none of them is
    best or worst alone. A seed number that two trainings of a phase have counts twice.

    Args:
        at: environment steps at which all are compared; trainings that stopped earlier are left
            out. None: as far as each came.
    """
    rows: list[list[tuple[int, float]]] = []
    left_out = 0
    for phase in phases:
        found = [(each.seed, measured(each, measure, controller, at)) for each in phase.trainings]
        known = [(s, value) for s, value in found if s is not None and value is not None]
        left_out += len(found) - len(known)
        rows.append(known)
    numbers = sorted({seed for row in rows for seed, _ in row})
    blocks = [_block(row, numbers) for row in rows if len({seed for seed, _ in row}) > 1]
    rng = generator([[list(pair) for pair in row] for row in rows])
    null, exact = _permuted(blocks, len(numbers), resamples, rng)
    told = _Tests(null, exact, blocks, len(numbers))
    return Seeds(
        rows=tuple(told.row(i, seed, rows) for i, seed in enumerate(numbers)),
        phases=len(blocks),
        trainings=sum(len(block.seeds) for block in blocks),
        left_out=left_out,
        p=told.p,
        smallest_p=told.smallest_p,
        permutations=len(null) - (not exact) if blocks else 0,
        exact=exact,
    )


def _block(row: Sequence[tuple[int, float]], numbers: Sequence[int]) -> _Block:
    from scipy.stats import rankdata

    values = np.array([value for _, value in row])
    n = len(values)
    return _Block(
        seeds=np.array([numbers.index(seed) for seed, _ in row]),
        places=(2 * rankdata(values) - n - 1) / (n - 1),
        first=(values == values.max()) & ((values == values.max()).sum() == 1),
        last=(values == values.min()) & ((values == values.min()).sum() == 1),
    )


_Sums = Float64[np.ndarray, "permutations three seeds"]


def _permuted(
    blocks: Sequence[_Block], seeds: int, resamples: int, rng: np.random.Generator
) -> tuple[_Sums, bool]:
    """Sums of places, of firsts and of lasts by seed, as observed and then by permutation."""
    exact = prod(factorial(len(block.seeds)) for block in blocks) <= EXACT_UP_TO
    every: list[Any] = []
    total = np.zeros((1 if exact else resamples + 1, 3, seeds))
    for block in blocks:
        n = len(block.seeds)
        scores = np.stack([block.places, block.first, block.last]).astype(np.float64)
        member = np.eye(seeds)[block.seeds]
        if exact:
            orders = np.array(list(permutations(range(n))))  # The first is the observed one.
        else:
            drawn = [
                rng.permuted(np.tile(np.arange(n), (size, 1)), axis=1)
                for size in batch_sizes(resamples, n)
            ]
            orders = np.concatenate([np.arange(n)[None], *drawn])
        sums = np.swapaxes(scores[:, orders], 0, 1) @ member
        if exact:
            every.append(sums)
        else:
            total += sums
    if exact and blocks:
        total = np.stack([np.sum(parts, axis=0) for parts in product(*every)])
    return total, exact


class _Tests:
    """p-values from the sums under permutation; the observed ones are the first."""

    def __init__(self, null: _Sums, exact: bool, blocks: Sequence[_Block], seeds: int) -> None:
        self.null, self.exact = null, exact
        counts = np.zeros(seeds)
        for block in blocks:
            counts += np.bincount(block.seeds, minlength=seeds)
        self.counts = counts
        sums = null[:, 0]
        ranked = counts > 0
        # n · place², the same as sum²/n.
        overall = (sums[:, ranked] ** 2 / counts[ranked]).sum(axis=1)
        self.p = _upper(overall) if blocks else None
        self.smallest_p = float((overall >= overall.max() - 1e-9).mean()) if blocks else None
        self.places = np.abs(_standardised(sums, around=0.0))
        self.lasts = _standardised(null[:, 2])

    def row(self, i: int, seed: int, rows: Sequence[Sequence[tuple[int, float]]]) -> SeedRow:
        """One seed number."""
        values = np.array([value for row in rows for own, value in row if own == seed])
        ranked = int(self.counts[i])
        place, first, last = self.null[:, :, i].T
        return SeedRow(
            seed=seed,
            trainings=len(values),
            mean=float(values.mean()),
            median=float(np.median(values)),
            highest=float(values.max()),
            lowest=float(values.min()),
            ranked=ranked,
            best=round(float(first[0])),
            worst=round(float(last[0])),
            best_by_chance=float(first.mean()),
            worst_by_chance=float(last.mean()),
            place=float(place[0] / ranked) if ranked else None,
            p=_upper(self.places.max(axis=1), self.places[0, i]) if ranked else None,
            worst_p=_upper(self.lasts.max(axis=1), self.lasts[0, i]) if ranked else None,
            worst_alone_p=_upper(last) if ranked else None,
        )


def _upper(null: Float64[np.ndarray, " permutations"], observed: float | None = None) -> float:
    """The share that is as high; the first is the observed one, so that it is never 0."""
    reached = null[0] if observed is None else observed
    return float((null >= reached - 1e-9).mean())


def _standardised(
    sums: Float64[np.ndarray, "permutations seeds"], around: float | None = None
) -> Float64[np.ndarray, "permutations seeds"]:
    """Deviations from the mean under permutation, in its standard deviations; 0 if constant."""
    center = sums.mean(axis=0) if around is None else around
    spread = sums.std(axis=0)
    return np.asarray((sums - center) / np.where(spread > 1e-12, spread, np.inf))
