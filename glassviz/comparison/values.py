"""Predicted against realised value, over runs."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from glassviz.comparison.members import Member
from glassviz.comparison.wording import count_of, listed


@dataclass(frozen=True)
class Values:
    """How far the runs of one controller know what they will get.

    Attributes:
        runs: those whose episodes are long enough to tell.
        biases: of each, predicted − realised, in discounted reward.
        rank_correlations: of each, the mean over its episodes; None where it is undefined.
        worse_than_mean: runs in which the mean of what was realised predicts better.
        shaped: runs that learned another reward than the task's, which is what they predict.
        answer: in a sentence or two.
    """

    runs: tuple[str, ...]
    biases: tuple[float, ...]
    rank_correlations: tuple[float | None, ...]
    worse_than_mean: tuple[str, ...]
    shaped: tuple[str, ...]
    answer: str


def compare_values(members: Sequence[Member]) -> Values:
    """Collect the calibrations of runs of one controller."""
    found = [(each, each.stability.calibration) for each in members]
    known = [(each, value) for each, value in found if value]
    biases = tuple(value.bias.mean for _, value in known)
    ranks = tuple(
        value.rank_correlation.mean if value.rank_correlation else None for _, value in known
    )
    names = tuple(each.name for each, _ in known)
    worse = tuple(
        each.name
        for each, value in known
        if value.relative_rmse is not None and value.relative_rmse > 1
    )
    shaped = tuple(each.name for each, _ in known if each.shaped)
    answer = _answer(names, biases, [each for each in ranks if each is not None], len(worse))
    if shaped:
        whose = "its values predict" if len(shaped) == 1 else "their values predict"
        answer += f" {listed(shaped)} learned a shaped reward: {whose} that one."
    return Values(names, biases, ranks, worse, shaped, answer)


def _answer(
    names: Sequence[str], biases: Sequence[float], ranks: Sequence[float], worse: int
) -> str:
    if not names:
        return "Cannot be told: episodes are too short for the discount."
    told = f"Predicted less realised value {np.median(biases):+.1f}"
    if len(names) > 1:
        low, high = int(np.argmin(biases)), int(np.argmax(biases))
        told += f" in the median of {count_of(len(names), 'run')}, {biases[low]:+.1f} "
        told += f"({names[low]}) to {biases[high]:+.1f} ({names[high]})"
    if ranks:
        told += f"; rank correlation {np.median(ranks):.2f}"
    if worse:
        told += f"; worse than the mean in {worse}"
    return f"{told}."
