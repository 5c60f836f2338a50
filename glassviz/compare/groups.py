"""Comparison of two groups: recipes, with and without Glass, planner and policy."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from glassviz.compare.returns import PRIMARY
from glassviz.compare.runs import (
    Caveat,
    ComparedRun,
    ConfoundedRecipes,
    Mismatch,
    by_controller,
    dependence,
    mismatch,
)
from glassviz.gait.verdict import RunGait
from glassviz.metrics.statistics import (
    IQM_FROM,
    MeanInterval,
    PermutationTest,
    generator,
    mean_interval,
    paired_test,
    probability_of_improvement,
    two_group_test,
)
from glassviz.metrics.verdict import STABLE, RunBasin

By = Literal["recipe", "Glass"]


@dataclass(frozen=True)
class Group:
    """A group of runs: mean return of each, and primary metric of those where it is defined."""

    name: str
    runs: tuple[str, ...]
    returns: tuple[float, ...]
    primary: tuple[float, ...]
    stable_hops: int


@dataclass(frozen=True)
class GroupComparison:
    """Comparison of two groups under one controller, `one` and `other` in alphabetical order.

    Attributes:
        returns: test of mean(one) − mean(other) over the runs' returns.
        improvement: probability that a run of `one` has a higher return than a run of `other`.
        primary: the same test of the primary metric; None if a group has no value.
        stable_hop_p: p of Fisher's exact test of the shares of stable hops.
        stable_hop_smallest_p: smallest attainable p with as many runs and stable hops.
    """

    by: By
    one: Group
    other: Group
    returns: PermutationTest
    improvement: float
    primary: PermutationTest | None
    stable_hop_p: float
    stable_hop_smallest_p: float
    caveats: tuple[Caveat, ...]


def compare_groups(compared: Sequence[ComparedRun]) -> GroupComparison | None:
    """Compare runs of two recipes, or else runs with and without Glass.

    None unless there are exactly two groups, whose returns have a common scale.
    """
    kinds: dict[By, Callable[[ComparedRun], str | None]] = {
        "recipe": lambda each: each.recipe,
        "Glass": lambda each: "with Glass" if each.glass else "without Glass",
    }
    for by, kind in kinds.items():
        names = sorted({kind(each) or "" for each in compared})
        if len(names) == 2 and all(names) and mismatch(compared) is None:
            one, other = (
                _group(name, [each for each in compared if kind(each) == name]) for name in names
            )
            caveats: tuple[Caveat, ...] = dependence(
                sorted(compared, key=lambda each: kind(each) != one.name)
            )
            if by == "Glass" and any(each.recipe for each in compared):
                caveats = (ConfoundedRecipes(), *caveats)
            return _compare(by, one, other, caveats)
    return None


def _compare(by: By, one: Group, other: Group, caveats: tuple[Caveat, ...]) -> GroupComparison:
    returns = _test(one.returns, other.returns)
    improvement = probability_of_improvement(one.returns, other.returns)
    assert returns is not None and improvement is not None  # Neither group is empty.
    primary = _test(one.primary, other.primary)
    fisher = _fisher(one, other)
    return GroupComparison(by, one, other, returns, improvement, primary, *fisher, caveats)


def _test(one: Sequence[float], other: Sequence[float]) -> PermutationTest | None:
    return two_group_test(one, other, generator(one, other))


def _group(name: str, compared: Sequence[ComparedRun]) -> Group:
    primary = [each.stability.metrics[PRIMARY] for each in compared]
    return Group(
        name=name,
        runs=tuple(each.name for each in compared),
        returns=tuple(each.mean_return for each in compared),
        primary=tuple(value.mean for value in primary if value is not None),
        stable_hops=sum(each.stability.basin.name in STABLE for each in compared),
    )


def _fisher(one: Group, other: Group) -> tuple[float, float]:
    """p of the shares of stable hops, and the smallest attainable p with as many of them."""
    from scipy.stats import fisher_exact

    def p(hits: int) -> float:
        table = [[hits, n - hits], [hops - hits, m - hops + hits]]
        return float(fisher_exact(table).pvalue)

    n, m, hops = len(one.runs), len(other.runs), one.stable_hops + other.stable_hops
    return p(one.stable_hops), min(p(hits) for hits in range(max(0, hops - m), min(n, hops) + 1))


@dataclass(frozen=True)
class ControllerPair:
    """One checkpoint under both controllers.

    Attributes:
        difference: planner − policy over common resets, with an interval within this checkpoint;
            None without common resets.
        planner_gait, policy_gait, planner_basin, policy_basin: verdicts with their splits.
        gait_differs, basin_differs: whether the most common verdict on an episode differs.
    """

    run: str
    planner_return: float
    policy_return: float
    difference: MeanInterval | None
    planner_gait: RunGait
    policy_gait: RunGait
    planner_basin: RunBasin
    policy_basin: RunBasin
    gait_differs: bool
    basin_differs: bool


@dataclass(frozen=True)
class Controllers:
    """All checkpoints with runs of both controllers.

    Attributes:
        pairs: one per checkpoint, by name.
        mean: planner − policy over checkpoints, with Student's t interval; None below four
            checkpoints, or if returns have no common scale.
        test: sign-flip test of the difference; None without a common scale.
        mismatch: the setting that keeps returns from having a common scale; None if they have one.
    """

    pairs: tuple[ControllerPair, ...]
    mean: MeanInterval | None
    test: PermutationTest | None
    mismatch: Mismatch | None


def compare_controllers(compared: Sequence[ComparedRun]) -> Controllers | None:
    """Compare planner and policy; None if no checkpoint has runs of both."""
    seen = by_controller(compared)
    planners, policies = (
        {each.checkpoint: each for each in seen.get(who, ())} for who in ("mppi", "pi")
    )
    both = [
        (planner, policy)
        for planner in planners.values()
        if (policy := policies.get(planner.checkpoint)) and planner.setting == policy.setting
    ]
    apart = mismatch([planner for planner, _ in both])
    pairs = tuple(_pair(planner, policy) for planner, policy in both)
    planned, own = [each.planner_return for each in pairs], [each.policy_return for each in pairs]
    test = paired_test(planned, own, generator(planned, own))
    if test is None:
        return None
    if apart:
        return Controllers(pairs, None, None, apart)
    differences = [a - b for a, b in zip(planned, own, strict=True)]
    mean = mean_interval(differences) if len(pairs) >= IQM_FROM else None
    return Controllers(pairs, mean, test, None)


def _pair(planner: ComparedRun, policy: ComparedRun) -> ControllerPair:
    a, b = planner.stability, policy.stability
    own = {each.reset_seed: each.episode_return for each in b.episodes}
    planned = {each.reset_seed: each.episode_return for each in a.episodes}
    shared = [value - own[seed] for seed, value in planned.items() if seed in own]
    return ControllerPair(
        run=planner.name,
        planner_return=a.returns.mean,
        policy_return=b.returns.mean,
        difference=mean_interval(shared) if shared else None,
        planner_gait=a.gait,
        policy_gait=b.gait,
        planner_basin=a.basin,
        policy_basin=b.basin,
        gait_differs=_commonest(a.gait.split).isdisjoint(_commonest(b.gait.split)),
        basin_differs=_commonest(a.basin.split).isdisjoint(_commonest(b.basin.split)),
    )


def _commonest(split: Mapping[Any, int]) -> set[str]:
    """The verdict on most episodes, or those on equally many."""
    most = max(split.values())
    return {name for name, count in split.items() if count == most}
