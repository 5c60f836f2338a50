"""Planner and policy of one checkpoint, side by side."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from glassviz.analysis.permutation import PermutationTest, paired_test
from glassviz.analysis.statistics import IQM_FROM, MeanInterval, mean_interval
from glassviz.comparison.members import Member, by_controller, unlike
from glassviz.comparison.returns import LEVEL
from glassviz.comparison.wording import count_of, interval, listed, p_value, verdict

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
    return Controllers(pairs, mean, test, _answer(pairs, mean, test))


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


def _answer(
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
