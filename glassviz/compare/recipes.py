"""Returns of recipes: those of their checkpoints on the same fresh episodes."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from hashlib import sha256
from itertools import combinations
from typing import Self

import numpy as np

from glassviz.compare.returns import LEVEL, Returns
from glassviz.metrics.statistics import (
    IQM_FROM,
    bootstrap_interval,
    improvement_interval,
)
from glassviz.rollout.evaluate import Fresh


@dataclass(frozen=True)
class RecipeReturns:
    """Returns of the checkpoints of one recipe under one controller; each is a unit of n."""

    recipe: str
    controller: str
    returns: Returns


@dataclass(frozen=True)
class Improvement:
    """How probably a checkpoint of `one` earns more than one of `other`.

    Attributes:
        low, high: percentile interval over resampled checkpoints; None if a recipe has but one.
    """

    one: str
    other: str
    controller: str
    probability: float
    low: float | None
    high: float | None

    @property
    def turned(self) -> Self:
        """How probably a checkpoint of `other` earns more; equal returns count half."""
        low, high = (None if end is None else 1 - end for end in (self.high, self.low))
        return replace(
            self,
            one=self.other,
            other=self.one,
            probability=1 - self.probability,
            low=low,
            high=high,
        )


@dataclass(frozen=True)
class RecipeTotals:
    """Totals of recipes, in the order of their checkpoints.

    Attributes:
        recipes: empty if no two checkpoints were evaluated, or on no common scale.
        improvements: of every two recipes, the one with the higher mean first.
        common_scale: whether task, physics and length of the episodes are the same for all.
    """

    recipes: tuple[RecipeReturns, ...]
    improvements: tuple[Improvement, ...]
    common_scale: bool

    def of(self, row: Fresh) -> RecipeReturns | None:
        """The returns of all checkpoints of its recipe under its controller."""
        own = (row.recipe or UNKNOWN, row.controller)
        return next((each for each in self.recipes if (each.recipe, each.controller) == own), None)

    def improvements_of(self, recipe: RecipeReturns) -> list[Improvement]:
        """Those of one recipe over each other under its controller."""
        own = [each for each in self.improvements if each.controller == recipe.controller]
        return [
            each if each.one == recipe.recipe else each.turned
            for each in own
            if recipe.recipe in (each.one, each.other)
        ]


def recipe_totals(rows: Sequence[Fresh]) -> RecipeTotals:
    """Total the returns by controller and recipe; a checkpoint counts once."""
    counted = list({(row.checkpoint_sha256, row.controller): row for row in rows}.values())
    if len({row.env for row in counted}) > 1:
        return RecipeTotals((), (), False)
    groups: dict[tuple[str, str], list[Fresh]] = {}
    for row in counted:
        groups.setdefault((row.controller, row.recipe or UNKNOWN), []).append(row)
    if len({row.checkpoint_sha256 for row in counted}) < 2:
        return RecipeTotals((), (), True)
    found = [
        RecipeReturns(recipe, controller, _returns(own))
        for (controller, recipe), own in groups.items()
    ]
    pairs = [
        _improvement(*sorted(pair, key=lambda each: -np.mean(each.returns.values)))
        for pair in combinations(found, 2)
        if pair[0].controller == pair[1].controller
    ]
    return RecipeTotals(tuple(found), tuple(pairs), True)


UNKNOWN = "unknown recipe"
"""Stands for the recipe of files that do not tell theirs."""


def _returns(rows: Sequence[Fresh]) -> Returns:
    episodes = [list(row.evaluation.returns) for row in rows]
    rng = _rng(*(value for own in episodes for value in own))
    several = len(rows) > 1
    return Returns(
        runs=tuple(row.name for row in rows),
        values=tuple(row.evaluation.mean for row in rows),
        # One checkpoint says nothing about others of its recipe.
        mean=bootstrap_interval(episodes if several else [np.mean(episodes[0])], rng),
        iqm=bootstrap_interval(episodes, rng, "iqm") if len(rows) >= IQM_FROM else None,
    )


def _improvement(one: RecipeReturns, other: RecipeReturns) -> Improvement:
    x, y = list(one.returns.values), list(other.returns.values)
    found = improvement_interval([x], [y], _rng(*x, *y), 1 - LEVEL)
    assert found is not None
    names = one.recipe, other.recipe, one.controller
    return Improvement(*names, found.estimate, found.low, found.high)


def _rng(*values: float) -> np.random.Generator:
    """The same for the same returns, whatever else is evaluated."""
    digest = sha256(np.array(values, np.float64).tobytes()).digest()
    return np.random.default_rng(int.from_bytes(digest[:8], "little"))
