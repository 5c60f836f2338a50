"""Two groups of runs: recipes, or agents with Glass and without."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from glassviz.analysis.permutation import PermutationTest, two_group_test
from glassviz.analysis.statistics import probability_of_improvement
from glassviz.comparison.members import Member, dependent, unlike
from glassviz.comparison.returns import LEVEL, PRIMARY
from glassviz.comparison.wording import count_of, p_value

By = Literal["recipe", "Glass"]


@dataclass(frozen=True)
class Group:
    """Runs of one kind.

    Attributes:
        name: of the recipe, or `with Glass` and `without Glass`.
        runs: their names.
        returns: mean return of each.
        primary: the primary metric of those runs that it is defined for.
        stable_hops: how many of them are in the stable-hop basin.
    """

    name: str
    runs: tuple[str, ...]
    returns: tuple[float, ...]
    primary: tuple[float, ...]
    stable_hops: int


@dataclass(frozen=True)
class GroupComparison:
    """Two groups against each other, under one controller.

    Attributes:
        by: what makes the groups.
        one, other: in the order of their names.
        returns: test of mean(one) − mean(other) of the runs' returns.
        improvement: how often a run of `one` earns more than one of `other`, in [0, 1].
        primary: the same test of the primary metric; None where a group has no such value.
        stable_hop_p: Fisher's exact test of their shares of stable hops.
        stable_hop_smallest_p: that so many stable hops among so many runs could have led to.
        answer: in a few sentences.
        doubts: what speaks against reading more into it, a sentence each.
    """

    by: By
    one: Group
    other: Group
    returns: PermutationTest
    improvement: float
    primary: PermutationTest | None
    stable_hop_p: float
    stable_hop_smallest_p: float
    answer: str
    doubts: tuple[str, ...]


def compare_groups(members: Sequence[Member], rng: np.random.Generator) -> GroupComparison | None:
    """Compare the two recipes of runs, or else those with Glass with those without.

    None unless the runs make two groups, and where their returns have no common scale.
    """
    kinds: dict[By, Callable[[Member], str | None]] = {
        "recipe": lambda each: each.recipe,
        "Glass": lambda each: "with Glass" if each.glass else "without Glass",
    }
    for by, kind in kinds.items():
        names = sorted({kind(each) or "" for each in members})
        if len(names) == 2 and all(names) and unlike(members) is None:
            one, other = ([each for each in members if kind(each) == name] for name in names)
            return _compare(by, (names[0], names[1]), one, other, rng)
    return None


def _compare(
    by: By,
    names: tuple[str, str],
    one: Sequence[Member],
    other: Sequence[Member],
    rng: np.random.Generator,
) -> GroupComparison:
    a, b = _group(names[0], one), _group(names[1], other)
    returns = two_group_test(a.returns, b.returns, rng)
    improvement = probability_of_improvement(a.returns, b.returns)
    assert returns is not None and improvement is not None  # Neither group is empty.
    primary = two_group_test(a.primary, b.primary, rng)
    stable_hop_p, smallest_p = _fisher(a, b)
    doubts = list(dependent([*one, *other]))
    if by == "Glass" and any(each.recipe for each in (*one, *other)):
        doubts.insert(0, "The groups differ in their recipes too, and not only in Glass.")
    return GroupComparison(
        by=by,
        one=a,
        other=b,
        returns=returns,
        improvement=improvement,
        primary=primary,
        stable_hop_p=stable_hop_p,
        stable_hop_smallest_p=smallest_p,
        answer=" ".join(
            [
                _answer(a, b, returns),
                f"In {improvement:.0%} of the pairs of their runs {a.name} earns more.",
                *_told_primary(primary),
                f"Stable hops: {a.stable_hops} of {len(a.runs)} and {b.stable_hops} of "
                f"{len(b.runs)}, {p_value(stable_hop_p)} by Fisher's exact test (at best "
                f"{smallest_p:.2g}).",
            ]
        ),
        doubts=tuple(doubts),
    )


def _group(name: str, members: Sequence[Member]) -> Group:
    primary = [each.stability.metrics[PRIMARY] for each in members]
    return Group(
        name=name,
        runs=tuple(each.name for each in members),
        returns=tuple(each.mean_return for each in members),
        primary=tuple(value.mean for value in primary if value is not None),
        stable_hops=sum(each.stability.basin.name == "stable-hop" for each in members),
    )


def _answer(one: Group, other: Group, test: PermutationTest) -> str:
    told = f"{one.name} ({count_of(len(one.runs), 'run')}) less {other.name} ({len(other.runs)}): "
    told += f"return {test.statistic:+.0f}, {p_value(test.p)}"
    if test.smallest_p > LEVEL:
        return f"{told}; cannot be told from so few, as p is at best {test.smallest_p:.2g}."
    return f"{told} (at best {test.smallest_p:.2g})."


def _told_primary(test: PermutationTest | None) -> list[str]:
    if test is None:
        return []
    told = f"{PRIMARY} {test.statistic:+.2f}, {p_value(test.p)} (at best {test.smallest_p:.2g})."
    return [told]


def _fisher(one: Group, other: Group) -> tuple[float, float]:
    """p of the shares of stable hops, and the smallest that there is with as many of them."""
    from scipy.stats import fisher_exact

    def p(hits: int) -> float:
        table = [[hits, n - hits], [hops - hits, m - hops + hits]]
        return float(fisher_exact(table).pvalue)

    n, m, hops = len(one.runs), len(other.runs), one.stable_hops + other.stable_hops
    return p(one.stable_hops), min(p(hits) for hits in range(max(0, hops - m), min(n, hops) + 1))
