"""What limits a comparison: settings that differ, checkpoints that depend on each other."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Literal

from glassviz.compare.runs import ComparedRun
from glassviz.metrics.verdict import RunBasinName


@dataclass(frozen=True)
class Mismatch:
    """A setting in which compared runs differ.

    Attributes:
        setting: which.
        values: that it has, in ascending order.
    """

    setting: Literal["task", "physics", "episode_s", "observation_size"]
    values: tuple[str, ...]


@dataclass(frozen=True)
class ContinuedFrom:
    """A checkpoint whose training went on from another that is compared too.

    Attributes:
        run, parent: names of the two.
    """

    run: str
    parent: str


@dataclass(frozen=True)
class SharedSeed:
    """Checkpoints of one recipe and seed, perhaps of one training run.

    Attributes:
        runs: their names.
    """

    runs: tuple[str, ...]


@dataclass(frozen=True)
class MixedRecipes:
    """Runs that were not all trained alike.

    Attributes:
        counts: number of checkpoints by recipe, in alphabetical order.
    """

    counts: tuple[tuple[str, int], ...]


@dataclass(frozen=True)
class ConfoundedRecipes:
    """Groups with and without Glass whose recipes differ in more than that."""


@dataclass(frozen=True)
class Unmeasured:
    """Runs in which a metric is not defined.

    Attributes:
        metric: which.
        runs, count: how many of how many.
    """

    metric: str
    runs: int
    count: int


@dataclass(frozen=True)
class OneBasin:
    """Runs that are all in one basin.

    Attributes:
        basin: which.
    """

    basin: RunBasinName


Caveat = (
    Mismatch | ContinuedFrom | SharedSeed | MixedRecipes | ConfoundedRecipes | Unmeasured | OneBasin
)


@dataclass(frozen=True)
class TooFewCheckpoints:
    """Labels are matched between two checkpoints with labels at least.

    Attributes:
        at_hand, labelled: how many with labels are at hand, and how many were given.
    """

    at_hand: int
    labelled: int


@dataclass(frozen=True)
class NoFrames:
    """No run has a frame after the openings of its episodes."""


NoCorrespondence = TooFewCheckpoints | Mismatch | NoFrames
"""Why labels are not matched."""


def mismatch(compared: Sequence[ComparedRun]) -> Mismatch | None:
    """The first setting that keeps returns from having a common scale; None if they have one."""
    for part in ("task", "physics", "episode_s"):
        values = sorted({getattr(each.setting, part) for each in compared})
        if len(values) > 1:
            return Mismatch(part, tuple(map(str, values)))
    return None


def dependence(compared: Sequence[ComparedRun]) -> tuple[ContinuedFrom | SharedSeed, ...]:
    """Checkpoints that are not independent of each other."""
    checkpoints = list({each.checkpoint: each for each in compared}.values())
    names = {each.checkpoint: each.name for each in checkpoints}
    found: list[ContinuedFrom | SharedSeed] = [
        ContinuedFrom(each.name, names[each.started_from])
        for each in checkpoints
        if each.started_from in names
    ]
    runs = Counter((each.recipe, each.seed) for each in checkpoints)
    for (recipe, seed), count in runs.items():
        if recipe is not None and seed is not None and count > 1:
            related = [each for each in checkpoints if (each.recipe, each.seed) == (recipe, seed)]
            if not any(_descends(a, b) for a, b in combinations(related, 2)):
                found.append(SharedSeed(tuple(each.name for each in related)))
    return tuple(found)


def mixed_recipes(compared: Sequence[ComparedRun]) -> MixedRecipes | None:
    """The recipes of runs that were not all trained alike; None for one recipe."""
    recipes = Counter(each.recipe for each in compared if each.recipe)
    return MixedRecipes(tuple(sorted(recipes.items()))) if len(recipes) > 1 else None


def _descends(a: ComparedRun, b: ComparedRun) -> bool:
    return a.started_from == b.checkpoint or b.started_from == a.checkpoint
