"""Two groups of runs: recipes, Glass and none, planner and policy."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from glassviz.compare.returns import LEVEL, PRIMARY
from glassviz.compare.runs import Member, by_controller, dependent, unlike
from glassviz.metrics.statistics import (
    IQM_FROM,
    MeanInterval,
    PermutationTest,
    mean_interval,
    paired_test,
    probability_of_improvement,
    two_group_test,
)
from glassviz.report.phrases import count_of, interval, listed, p_value, verdict

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
                _groups_answer(a, b, returns),
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


def _groups_answer(one: Group, other: Group, test: PermutationTest) -> str:
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


PLANNER, POLICY = "mppi", "pi"


@dataclass(frozen=True)
class ControllerPair:
    """One checkpoint under both controllers.

    Attributes:
        run: its name.
        planner_return, policy_return: mean returns.
        difference: planner less policy, over the resets that both met; an interval within this
            checkpoint. None if they met none in common.
        planner_gait, policy_gait, planner_basin, policy_basin: verdicts, with their splits.
        gait_differs, basin_differs: whether the commonest verdict on an episode does.
        told: in a sentence, what the planner makes different.
    """

    run: str
    planner_return: float
    policy_return: float
    difference: MeanInterval | None
    planner_gait: str
    policy_gait: str
    planner_basin: str
    policy_basin: str
    gait_differs: bool
    basin_differs: bool
    told: str


@dataclass(frozen=True)
class Controllers:
    """All checkpoints that were seen under both controllers.

    Attributes:
        pairs: one a checkpoint, by name.
        mean: planner less policy over checkpoints, with Student's interval; None below four, and
            where the checkpoints' returns have no common scale.
        test: of that difference by flipping signs; None without a common scale.
        answer: in a sentence or two.
    """

    pairs: tuple[ControllerPair, ...]
    mean: MeanInterval | None
    test: PermutationTest | None
    answer: str


def compare_controllers(members: Sequence[Member], rng: np.random.Generator) -> Controllers | None:
    """Compare planner and policy; None if no checkpoint was seen under both."""
    seen = by_controller(members)
    planners, policies = (
        {each.checkpoint: each for each in seen.get(who, ())} for who in (PLANNER, POLICY)
    )
    both = [(each, policies[key]) for key, each in planners.items() if key in policies]
    both = [(a, b) for a, b in both if a.setting == b.setting]
    apart = unlike([planner for planner, _ in both])
    pairs = tuple(_pair(planner, policy) for planner, policy in both)
    planned, own = [each.planner_return for each in pairs], [each.policy_return for each in pairs]
    test = paired_test(planned, own, rng)
    if test is None:
        return None
    if apart:
        told = f"No mean over {count_of(len(pairs), 'checkpoint')}: {apart}."
        return Controllers(pairs, None, None, f"{told} {_agreement(pairs)}")
    differences = [a - b for a, b in zip(planned, own, strict=True)]
    mean = mean_interval(differences) if len(pairs) >= IQM_FROM else None
    return Controllers(pairs, mean, test, _controllers_answer(pairs, mean, test))


def _pair(planner: Member, policy: Member) -> ControllerPair:
    a, b = planner.stability, policy.stability
    gait_differs = _commonest(a.gait.split).isdisjoint(_commonest(b.gait.split))
    basin_differs = _commonest(a.basin.split).isdisjoint(_commonest(b.basin.split))
    gaits = verdict(a.gait.name, a.gait.split), verdict(b.gait.name, b.gait.split)
    basins = verdict(a.basin.name, a.basin.split), verdict(b.basin.name, b.basin.split)
    returns = a.returns.mean, b.returns.mean
    told = f"{planner.name} earns {returns[0]:.0f} by the planner, {returns[1]:.0f} by the policy"
    differing = [
        f"{what} {one} by the planner, {other} by the policy"
        for what, (one, other), differs in (
            ("gait", gaits, gait_differs),
            ("basin", basins, basin_differs),
        )
        if differs
    ]
    return ControllerPair(
        run=planner.name,
        planner_return=returns[0],
        policy_return=returns[1],
        difference=_difference(_by_reset(planner), _by_reset(policy)),
        planner_gait=gaits[0],
        policy_gait=gaits[1],
        planner_basin=basins[0],
        policy_basin=basins[1],
        gait_differs=gait_differs,
        basin_differs=basin_differs,
        told="; ".join([told, *differing]) + ("." if differing else "; gait and basin agree."),
    )


def _commonest(split: Mapping[Any, int]) -> set[str]:
    """The verdict on most episodes, or those on equally many."""
    most = max(split.values())
    return {name for name, count in split.items() if count == most}


def _by_reset(member: Member) -> dict[int, float]:
    return {each.reset_seed: each.episode_return for each in member.stability.episodes}


def _difference(one: Mapping[int, float], other: Mapping[int, float]) -> MeanInterval | None:
    shared = [value - other[seed] for seed, value in one.items() if seed in other]
    return mean_interval(shared) if shared else None


def _controllers_answer(
    pairs: Sequence[ControllerPair], mean: MeanInterval | None, test: PermutationTest
) -> str:
    told = f"The planner earns {test.statistic:+.0f} against the policy"
    if mean is not None and mean.low is not None and mean.high is not None:
        told += f" {interval(mean.low, mean.high, '+.0f')}"
    told += f", {p_value(test.p)}, n = {count_of(len(pairs), 'checkpoint')}"
    if test.smallest_p > LEVEL:
        told += f"; p cannot be below {test.smallest_p:.2g}"
    return f"{told}. {_agreement(pairs)}"


def _agreement(pairs: Sequence[ControllerPair]) -> str:
    differing = [each.run for each in pairs if each.gait_differs or each.basin_differs]
    if not differing:
        return "Gait and basin agree in all of them."
    return f"Gait or basin differ in {len(differing)}: {listed(differing, most=6)}."
