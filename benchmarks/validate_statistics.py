"""How often intervals cover, and how often tests err and find, on samples of known truth.

    python benchmarks/validate_statistics.py [SAMPLES]

Prints two Markdown tables. Intervals are nominally of 95 %, tests at 5 %; with 2,000 samples the
figures are within about one percentage point.
"""

import sys
from collections.abc import Callable

import numpy as np

from glassviz.analysis.permutation import (
    PermutationTest,
    paired_test,
    rank_correlation_test,
    two_group_test,
)
from glassviz.analysis.statistics import bootstrap_interval, mean_interval, share_interval

SAMPLES = 2_000
SEEDS = (3, 5, 10)
EPISODES, CYCLES = 5, 10
RESAMPLES = 999

Draw = Callable[[np.random.Generator, int], np.ndarray]
Test = Callable[[np.ndarray, np.ndarray, np.random.Generator], PermutationTest | None]


def main() -> None:
    """Print coverage, then type I error and power."""
    samples = int(sys.argv[1]) if len(sys.argv) > 1 else SAMPLES
    print("| interval, nominally 95 % | values | n = 3 | n = 5 | n = 10 |")
    print("|---|---|---|---|---|")
    for name, values, covers in INTERVALS:
        row = [coverage(covers, n, samples) for n in SEEDS]
        print(f"| {name} | {values} | " + " | ".join(f"{share:.1%}" for share in row) + " |")
    print()
    print("| test at 5 % | seeds | smallest p | type I error | planted effect | power |")
    print("|---|---|---|---|---|---|")
    for name, seeds, test, effect, planted in TESTS:
        print(f"| {name} | {seeds} | {rates(test, seeds, effect, planted, samples)} |")


def coverage(covers: Callable[[np.random.Generator, int], bool], n: int, samples: int) -> float:
    """Share of samples of n seeds whose interval holds the truth."""
    return float(np.mean([covers(np.random.default_rng([n, i]), n) for i in range(samples)]))


def normal(rng: np.random.Generator, n: int) -> np.ndarray:
    """Seeds with mean 0."""
    return rng.normal(size=n)


def bimodal(rng: np.random.Generator, n: int) -> np.ndarray:
    """Returns of seeds that find a good basin in 60 % of all cases; their mean taken off."""
    good = rng.random(n) < 0.6
    return np.where(good, 300.0, 30.0) + 20 * rng.normal(size=n) - 192.0


def by_student(draw: Draw) -> Callable[[np.random.Generator, int], bool]:
    """Student's t over seeds."""
    return lambda rng, n: mean_interval(draw(rng, n).tolist()).place(0.0) == "within"


def by_bootstrap(draw: Draw) -> Callable[[np.random.Generator, int], bool]:
    """Percentile bootstrap over seeds."""
    return lambda rng, n: _holds(draw(rng, n).tolist(), rng)


def nested(rng: np.random.Generator, n: int) -> np.ndarray:
    """Cycles in episodes in seeds, each level with a spread of 1, around 0."""
    return (
        rng.normal(size=(n, 1, 1))
        + rng.normal(size=(n, EPISODES, 1))
        + rng.normal(size=(n, EPISODES, CYCLES))
    )


def by_hierarchy(rng: np.random.Generator, n: int) -> bool:
    """Hierarchical bootstrap."""
    return _holds(nested(rng, n).tolist(), rng)


def by_student_of_means(rng: np.random.Generator, n: int) -> bool:
    """Student's t over the means of seeds."""
    return mean_interval(nested(rng, n).mean(axis=(1, 2)).tolist()).place(0.0) == "within"


def by_all_cycles(rng: np.random.Generator, n: int) -> bool:
    """Student's t over all cycles, as if each were a seed: what not to do."""
    return mean_interval(nested(rng, n).ravel().tolist()).place(0.0) == "within"


def by_wilson(share: float) -> Callable[[np.random.Generator, int], bool]:
    """Wilson's interval of a share."""

    def covers(rng: np.random.Generator, n: int) -> bool:
        found = share_interval(int(rng.binomial(n, share)), n)
        assert found is not None
        return found.low <= share <= found.high

    return covers


def _holds(sample: list, rng: np.random.Generator) -> bool:
    found = bootstrap_interval(sample, rng, replicates=RESAMPLES)
    assert found is not None and found.low is not None and found.high is not None
    return found.low <= 0.0 <= found.high


def rates(test: Test, n: int, effect: str, planted: Draw, samples: int) -> str:
    """Smallest p, type I error, effect and power, as cells."""
    null, power, least = [], [], 1.0
    for i in range(samples):
        rng = np.random.default_rng([n, i])
        x, y = rng.normal(size=(2, n))
        nothing, something = test(x, y, rng), test(*planted(rng, n), rng)
        assert nothing is not None and something is not None
        null.append(nothing.p <= 0.05)
        power.append(something.p <= 0.05)
        least = min(least, nothing.smallest_p)
    return f"{least:.2g} | {np.mean(null):.1%} | {effect} | {np.mean(power):.1%}"


def shifted(by: float) -> Draw:
    """Two groups that differ by so many standard deviations."""
    return lambda rng, n: rng.normal(size=(2, n)) + np.array([[by], [0.0]])


def correlated(rho: float) -> Draw:
    """Pairs with this correlation."""

    def draw(rng: np.random.Generator, n: int) -> np.ndarray:
        x, noise = rng.normal(size=(2, n))
        return np.stack([x, rho * x + np.sqrt(1 - rho**2) * noise])

    return draw


def groups(x: np.ndarray, y: np.ndarray, rng: np.random.Generator) -> PermutationTest | None:
    """Two groups of seeds."""
    return two_group_test(x.tolist(), y.tolist(), rng, RESAMPLES)


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
    ("Wilson", "a share of 0.6", by_wilson(0.6)),
    ("Wilson", "a share of 0.9", by_wilson(0.9)),
]

TESTS = [
    *(("two groups, each of", n, groups, "3 SD", shifted(3.0)) for n in (3, 4, 5)),
    ("two groups, each of", 10, groups, "1.5 SD", shifted(1.5)),
    *(("pairs", n, pairs, "3 SD", shifted(3.0)) for n in (5, 6, 8)),
    ("pairs", 16, pairs, "1.5 SD", shifted(1.5)),
    *(("Spearman", n, spearman, "ρ = 0.95", correlated(0.95)) for n in (4, 5, 7)),
    ("Spearman", 10, spearman, "ρ = 0.9", correlated(0.9)),
    *(("Kendall", n, kendall, "ρ = 0.95", correlated(0.95)) for n in (4, 5, 7)),
    ("Kendall", 10, kendall, "ρ = 0.9", correlated(0.9)),
]


if __name__ == "__main__":
    main()
