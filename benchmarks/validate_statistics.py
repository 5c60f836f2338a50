"""How often intervals cover, and how often tests err and find, on samples of known truth.

    python benchmarks/validate_statistics.py [SAMPLES]

Prints Markdown tables. Intervals are nominally of 95 %, tests at 5 %; with 2,000 samples, and half
as many for intervals, the figures are within about one percentage point. Where there is no interval
it counts as one that misses. Beside the type I error of an exact test stands what it can err by at
most: with few seeds p takes few values, and the share of arrangements that reject is below 5 %.
"""

import sys
from collections.abc import Callable
from functools import cache
from itertools import combinations, permutations
from math import comb

import numpy as np
from scipy.special import ndtri
from scipy.stats import binom, fisher_exact

from glassviz.compare.returns import _interval as interval_of_ranks
from glassviz.gait.cycles import find_cycles
from glassviz.gait.gait import return_map
from glassviz.metrics.agreement import consensus
from glassviz.metrics.calibration import value_calibration
from glassviz.metrics.statistics import (
    PermutationTest,
    bootstrap_interval,
    interquartile_mean,
    mean_interval,
    paired_test,
    rank_correlation_test,
    share_interval,
    two_group_test,
)
from glassviz.metrics.structural_entropy import cut, structural_entropy

SAMPLES = 2_000
SEEDS = (3, 4, 5, 10)
EPISODES, CYCLES = 5, 10
RESAMPLES = 999

Draw = Callable[[np.random.Generator, int], np.ndarray]
Covers = Callable[[np.random.Generator, int], bool | None]
Test = Callable[[np.ndarray, np.ndarray, np.random.Generator], PermutationTest | None]


def main() -> None:
    """Print coverage, then type I error and power."""
    samples = int(sys.argv[1]) if len(sys.argv) > 1 else SAMPLES
    print("| interval, nominally 95 % | values | " + " | ".join(f"n = {n}" for n in SEEDS) + " |")
    print("|---" * (2 + len(SEEDS)) + "|")
    for name, values, covers in INTERVALS:
        row = [coverage(covers, n, samples // 2) for n in SEEDS]
        print(f"| {name} | {values} | " + " | ".join(row) + " |", flush=True)
    print("\n| interval of ρ, nominally 95 % | 10 cycles | 20 cycles | 50 cycles |")
    print("|---|---|---|---|")
    for rho in RHOS:
        row = [coverage(covers_rho(rho), cycles, samples // 2) for cycles in (10, 20, 50)]
        print(f"| largest multiplier {rho} | " + " | ".join(row) + " |", flush=True)
    print("\n| test at 5 % | seeds | smallest p | attainable | type I error | effect | power |")
    print("|---|---|---|---|---|---|---|")
    for name, seeds, test, level, effect, planted in TESTS:
        row = rates(test, seeds, level(seeds), effect, planted, samples)
        print(f"| {name} | {seeds} | {row} |", flush=True)
    print("\n| better than random partitions, rejected | structural entropy | cut |\n|---|---|---|")
    for name, stronger in (("type I: any graph", 1.0), ("power: 3 times the weight inside", 3.0)):
        p = np.array([graph_p(np.random.default_rng(i), stronger) for i in range(samples)])
        entropy, left = (p <= 0.05).mean(axis=0)
        print(f"| {name} | {entropy:.1%} | {left:.1%} |")


def coverage(covers: Covers, n: int, samples: int) -> str:
    """Share of samples of n seeds whose interval holds the truth, and of those without one."""
    found = [covers(np.random.default_rng([n, i]), n) for i in range(samples)]
    without = found.count(None) / samples
    if without == 1:
        return "none"
    held = found.count(True) / samples
    return f"{held:.1%} ({without:.1%} without)" if without else f"{held:.1%}"


def normal(rng: np.random.Generator, n: int) -> np.ndarray:
    """Seeds with mean 0."""
    return rng.normal(size=n)


def bimodal(rng: np.random.Generator, n: int) -> np.ndarray:
    """Returns of seeds that find a good basin in 60 % of all cases; their mean taken off."""
    good = rng.random(n) < 0.6
    return np.where(good, 300.0, 30.0) + 20 * rng.normal(size=n) - 192.0


def by_student(draw: Draw) -> Covers:
    """Student's t over seeds."""
    return lambda rng, n: mean_interval(draw(rng, n).tolist()).place(0.0) == "within"


def by_bootstrap(draw: Draw) -> Covers:
    """Percentile bootstrap over seeds."""
    return lambda rng, n: _holds(draw(rng, n).tolist(), rng)


def by_bootstrapped_iqm(draw: Draw) -> Covers:
    """Percentile bootstrap of the interquartile mean over seeds."""
    truth = interquartile_mean(draw(np.random.default_rng(0), 1_000_000).tolist())
    assert truth is not None

    def covers(rng: np.random.Generator, n: int) -> bool | None:
        found = bootstrap_interval(draw(rng, n).tolist(), rng, "iqm", replicates=RESAMPLES)
        return _within(found.low, truth, found.high) if found else None

    return covers


def by_ranks(rho: float) -> Covers:
    """Fisher's transformation of Spearman's ρ, of normal values."""
    draw = correlated(2 * np.sin(np.pi * rho / 6))

    def covers(rng: np.random.Generator, n: int) -> bool | None:
        x, y = draw(rng, n)
        found = rank_correlation_test(x.tolist(), y.tolist(), rng, resamples=1)
        assert found is not None
        low, high = interval_of_ranks(found.statistic, n)
        return _within(low, rho, high)

    return covers


STEPS, DISCOUNT, MEMORY = 200, 0.9, 0.9


def by_slope(rng: np.random.Generator, n: int) -> bool | None:
    """Bootstrap over episodes of an agent that knows its state, its slope being 1.

    The reward is a state that fades, and a level of the episode's own; values are their expected
    return-to-go, which the noise that is to come leaves open.
    """
    level, state = rng.normal(size=(n, 1)) / 10, np.zeros((n, STEPS))
    noise = rng.normal(size=(n, STEPS))
    for t in range(1, STEPS):
        state[:, t] = MEMORY * state[:, t - 1] + noise[:, t]
    value = state / (1 - DISCOUNT * MEMORY) + level / (1 - DISCOUNT)
    found = value_calibration(value, state + level, DISCOUNT, rng)
    assert found is not None
    return _within(found.slope_low, 1.0, found.slope_high)


def nested(rng: np.random.Generator, n: int) -> np.ndarray:
    """Cycles in episodes in seeds, each level with a spread of 1, around 0."""
    return (
        rng.normal(size=(n, 1, 1))
        + rng.normal(size=(n, EPISODES, 1))
        + rng.normal(size=(n, EPISODES, CYCLES))
    )


def by_hierarchy(rng: np.random.Generator, n: int) -> bool | None:
    """Hierarchical bootstrap."""
    return _holds(nested(rng, n).tolist(), rng)


def by_student_of_means(rng: np.random.Generator, n: int) -> bool:
    """Student's t over the means of seeds."""
    return mean_interval(nested(rng, n).mean(axis=(1, 2)).tolist()).place(0.0) == "within"


def by_all_cycles(rng: np.random.Generator, n: int) -> bool:
    """Student's t over all cycles, as if each were a seed: what not to do."""
    return mean_interval(nested(rng, n).ravel().tolist()).place(0.0) == "within"


def by_wilson(share: float) -> Covers:
    """Wilson's interval of a share."""

    def covers(rng: np.random.Generator, n: int) -> bool | None:
        found = share_interval(int(rng.binomial(n, share)), n)
        assert found is not None
        return _within(found.low, share, found.high)

    return covers


SKILL, SPREAD = 0.6, 0.3
FRAMES = 500


def by_consensus(rng: np.random.Generator, n: int) -> bool | None:
    """Resampled seeds, whose labels are right in a share of the frames that differs by seed."""
    found = consensus(_alike(rng, n), rng, replicates=RESAMPLES)
    return _within(found.low, MEAN_AMI, found.high)


def _alike(rng: np.random.Generator, n: int) -> np.ndarray:
    truth = np.arange(FRAMES) % 4
    right = rng.random((n, FRAMES)) < rng.uniform(SKILL - SPREAD, SKILL + SPREAD, size=(n, 1))
    return np.where(right, truth, rng.integers(4, size=(n, FRAMES)))


MEAN_AMI = consensus(_alike(np.random.default_rng(0), 100), np.random.default_rng(0)).mean_ami
"""Of two seeds: the mean over the pairs of 100."""

RHOS = (0.3, 0.6, 0.9)


def covers_rho(rho: float) -> Covers:
    """The return map of a gait whose pitch at touchdown is an autoregression, its rest noise."""

    def covers(rng: np.random.Generator, cycles: int) -> bool | None:
        pitch = np.zeros(cycles + 51)
        for j in range(1, len(pitch)):
            pitch[j] = rho * pitch[j - 1] + rng.normal()
        # Three frames a touchdown, so that rates are noise of their own.
        frame = 10 * np.arange(cycles + 1) + 1
        height, torso = 0.1 * rng.normal(size=(2, frame[-1] + 2))
        torso[frame] = 0.05 * pitch[-cycles - 1 :]
        found = return_map(find_cycles(frame, np.ones(len(height), bool), 0.04), height, torso, rng)
        assert found is not None
        return _within(found.low, rho, found.high)

    return covers


def graph_p(rng: np.random.Generator, stronger: float) -> tuple[float, float]:
    """Structural entropy and cut of 16 nodes in 8 pairs, with heavier edges inside."""
    weights = rng.exponential(size=(16, 16))
    weights = (weights + weights.T) / 2
    partition = np.arange(16) // 2
    weights[partition[:, None] == partition] *= stronger
    return (
        structural_entropy(weights, partition, rng, replicates=199).p,
        cut(weights, partition, rng, replicates=199).p,
    )


def _holds(sample: list, rng: np.random.Generator) -> bool | None:
    found = bootstrap_interval(sample, rng, replicates=RESAMPLES)
    assert found is not None
    return _within(found.low, 0.0, found.high)


def _within(low: float | None, truth: float, high: float | None) -> bool | None:
    return None if low is None or high is None else low <= truth <= high


def rates(test: Test, n: int, level: float, effect: str, planted: Draw, samples: int) -> str:
    """Smallest p, attainable level, type I error, effect and power, as cells."""
    null, power, least = [], [], 1.0
    for i in range(samples):
        rng = np.random.default_rng([n, i])
        x, y = rng.normal(size=(2, n))
        nothing, something = test(x, y, rng), test(*planted(rng, n), rng)
        assert nothing is not None and something is not None
        null.append(nothing.p <= 0.05)
        power.append(something.p <= 0.05)
        least = min(least, nothing.smallest_p)
    return f"{least:.2g} | {level:.1%} | {np.mean(null):.1%} | {effect} | {np.mean(power):.1%}"


def attainable(null: np.ndarray) -> float:
    """Share of the arrangements, all equally likely, whose two-sided p is at most 5 %."""
    _, count = np.unique(np.round(null, 9), return_counts=True)
    above, below = np.cumsum(count[::-1])[::-1], np.cumsum(count)
    return float(count[2 * np.minimum(above, below) <= 0.05 * len(null)].sum() / len(null))


def of_groups(n: int) -> float:
    """Of two groups; above 9 against 9 as good as 5 %."""
    if comb(2 * n, n) > 50_000:
        return 0.05
    values = np.random.default_rng(0).normal(size=2 * n)
    return attainable(np.array([values[list(own)].sum() for own in combinations(range(2 * n), n)]))


def of_pairs(n: int) -> float:
    """Of pairs; above 15 as good as 5 %."""
    if n > 15:
        return 0.05
    signs = 1 - 2 * (np.arange(2**n)[:, None] >> np.arange(n) & 1)
    return attainable(signs @ np.random.default_rng(0).normal(size=n))


def of_ranks(kind: str) -> Callable[[int], float]:
    """Of a rank correlation without ties; above 8 as good as 5 %."""

    def level(n: int) -> float:
        if n > 8:
            return 0.05
        orders = np.array(list(permutations(range(n))))
        if kind == "spearman":
            return attainable((orders @ np.arange(n)).astype(np.float64))
        i, j = np.triu_indices(n, 1)
        return attainable(np.sign(orders[:, j] - orders[:, i]).sum(axis=1).astype(np.float64))

    return level


def of_shares(n: int) -> float:
    """Of two shares of n: the most that equal ones reject, whatever they are."""
    rejects = np.array([[fisher_p(i, j, n) <= 0.05 for j in range(n + 1)] for i in range(n + 1)])
    chances = binom.pmf(np.arange(n + 1), n, np.linspace(0, 1, 101)[:, None])
    return float(np.einsum("si,ij,sj->s", chances, rejects, chances).max())


@cache
def fisher_p(one: int, other: int, n: int) -> float:
    """Of hits in two groups of n each, by the test that compares the stable hops of groups."""
    return float(fisher_exact([[one, n - one], [other, n - other]]).pvalue)


def shifted(by: float) -> Draw:
    """Two groups that differ by so many standard deviations."""
    return lambda rng, n: rng.normal(size=(2, n)) + np.array([[by], [0.0]])


def split(share: float) -> Draw:
    """Two groups with so many hits, values above 0, in one, and misses in the other."""
    return lambda rng, n: rng.normal(size=(2, n)) + ndtri(share) * np.array([[1.0], [-1.0]])


def correlated(rho: float) -> Draw:
    """Pairs with this correlation."""

    def draw(rng: np.random.Generator, n: int) -> np.ndarray:
        x, noise = rng.normal(size=(2, n))
        return np.stack([x, rho * x + np.sqrt(1 - rho**2) * noise])

    return draw


def groups(x: np.ndarray, y: np.ndarray, rng: np.random.Generator) -> PermutationTest | None:
    """Two groups of seeds."""
    return two_group_test(x.tolist(), y.tolist(), rng, RESAMPLES)


def shares(x: np.ndarray, y: np.ndarray, rng: np.random.Generator) -> PermutationTest:
    """Fisher's exact test of the shares above 0, half of all where there is no effect."""
    n, one, other = len(x), int((x > 0).sum()), int((y > 0).sum())
    return PermutationTest((one - other) / n, fisher_p(one, other, n), fisher_p(n, 0, n), True)


def pairs(x: np.ndarray, y: np.ndarray, rng: np.random.Generator) -> PermutationTest | None:
    """The same seeds twice."""
    return paired_test(x.tolist(), y.tolist(), rng, RESAMPLES)


def spearman(x: np.ndarray, y: np.ndarray, rng: np.random.Generator) -> PermutationTest | None:
    """Spearman's rank correlation."""
    return rank_correlation_test(x.tolist(), y.tolist(), rng, "spearman", RESAMPLES)


def kendall(x: np.ndarray, y: np.ndarray, rng: np.random.Generator) -> PermutationTest | None:
    """Kendall's rank correlation."""
    return rank_correlation_test(x.tolist(), y.tolist(), rng, "kendall", RESAMPLES)


INTERVALS = [
    ("Student's t over seeds", "normal", by_student(normal)),
    ("percentile bootstrap over seeds", "normal", by_bootstrap(normal)),
    ("Student's t over seeds", "60/40 bimodal", by_student(bimodal)),
    ("percentile bootstrap over seeds", "60/40 bimodal", by_bootstrap(bimodal)),
    ("Student's t over means of seeds", "nested", by_student_of_means),
    ("hierarchical bootstrap", "nested", by_hierarchy),
    ("Student's t over all cycles (wrong)", "nested", by_all_cycles),
    ("percentile bootstrap of the IQM over seeds", "normal", by_bootstrapped_iqm(normal)),
    ("percentile bootstrap of the IQM over seeds", "60/40 bimodal", by_bootstrapped_iqm(bimodal)),
    ("Fisher's transformation", "Spearman's ρ of 0.5", by_ranks(0.5)),
    ("Fisher's transformation", "Spearman's ρ of 0.9", by_ranks(0.9)),
    ("percentile bootstrap over episodes", "slope of values, 1", by_slope),
    ("Wilson", "a share of 0.6", by_wilson(0.6)),
    ("Wilson", "a share of 0.9", by_wilson(0.9)),
    ("consensus of labels (mean AMI)", "alike by 0.3 to 0.9", by_consensus),
]

TESTS = [
    *(("two groups, each of", n, groups, of_groups, "3 SD", shifted(3.0)) for n in (3, 4, 5)),
    ("two groups, each of", 10, groups, of_groups, "1.6 SD", shifted(1.6)),
    *(("pairs", n, pairs, of_pairs, "3 SD", shifted(3.0)) for n in (5, 6, 8)),
    ("pairs", 16, pairs, of_pairs, "1.5 SD", shifted(1.5)),
    *(
        ("Spearman", n, spearman, of_ranks("spearman"), "ρ = 0.95", correlated(0.95))
        for n in (4, 5, 7)
    ),
    ("Spearman", 10, spearman, of_ranks("spearman"), "ρ = 0.9", correlated(0.9)),
    *(
        ("Kendall", n, kendall, of_ranks("kendall"), "ρ = 0.95", correlated(0.95))
        for n in (4, 5, 7)
    ),
    ("Kendall", 10, kendall, of_ranks("kendall"), "ρ = 0.9", correlated(0.9)),
    *(
        ("Fisher, two groups, each of", n, shares, of_shares, "shares 0.95, 0.05", split(0.95))
        for n in (3, 4, 5)
    ),
    *(
        ("Fisher, two groups, each of", n, shares, of_shares, "shares 0.9, 0.1", split(0.9))
        for n in (8, 10)
    ),
]


if __name__ == "__main__":
    main()
