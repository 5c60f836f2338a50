"""Caveats of a comparison: differing settings, dependent checkpoints, missing values."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Literal

from glassviz.compare.runs import ComparedRun
from glassviz.metrics.verdict import RunBasinName


@dataclass(frozen=True)
class Mismatch:
    """A setting that compared runs differ in.

    Attributes:
        setting: name of the setting.
        values: its values in ascending order.
    """

    setting: Literal["task", "physics", "episode_s", "observation_size"]
    values: tuple[str, ...]


@dataclass(frozen=True)
class ContinuedFrom:
    """A checkpoint that was trained from another compared checkpoint.

    Attributes:
        run, parent: names of both.
    """

    run: str
    parent: str


@dataclass(frozen=True)
class SharedSeed:
    """Checkpoints with the same recipe and seed, possibly from one training run.

    Attributes:
        runs: names of the checkpoints.
    """

    runs: tuple[str, ...]


@dataclass(frozen=True)
class MixedRecipes:
    """Runs of different recipes.

    Attributes:
        counts: number of checkpoints by recipe, in alphabetical order.
    """

    counts: tuple[tuple[str, int], ...]


@dataclass(frozen=True)
class ConfoundedRecipes:
    """Groups with and without Glass whose recipes differ in other settings as well."""


@dataclass(frozen=True)
class Unmeasured:
    """Runs where a metric is undefined.

    Attributes:
        metric: name of the metric.
        runs, count: number of these runs, and of all runs.
    """

    metric: str
    runs: int
    count: int


@dataclass(frozen=True)
class OneBasin:
    """Runs that all have the same basin.

    Attributes:
        basin: name of the basin.
    """

    basin: RunBasinName


Caveat = (
    Mismatch | ContinuedFrom | SharedSeed | MixedRecipes | ConfoundedRecipes | Unmeasured | OneBasin
)


@dataclass(frozen=True)
class TooFewCheckpoints:
    """Fewer than two checkpoints with labels.

    Attributes:
        at_hand, labelled: agents with labels whose checkpoint was given, and all of them.
    """

    at_hand: int
    labelled: int


@dataclass(frozen=True)
class NoFrames:
    """No run has frames after the initial transient."""


NoCorrespondence = TooFewCheckpoints | Mismatch | NoFrames
"""Why labels are not compared on common observations."""


def mismatch(compared: Sequence[ComparedRun]) -> Mismatch | None:
    """First setting that keeps returns from having a common scale; None if they have one."""
    for part in ("task", "physics", "episode_s"):
        values = sorted({getattr(each.setting, part) for each in compared})
        if len(values) > 1:
            return Mismatch(part, tuple(map(str, values)))
    return None


def dependence(compared: Sequence[ComparedRun]) -> tuple[ContinuedFrom | SharedSeed, ...]:
    """Checkpoints that are not independent."""
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
    """Recipes of the runs if there are several; None for one recipe."""
    recipes = Counter(each.recipe for each in compared if each.recipe)
    return MixedRecipes(tuple(sorted(recipes.items()))) if len(recipes) > 1 else None


def _descends(a: ComparedRun, b: ComparedRun) -> bool:
    return a.started_from == b.checkpoint or b.started_from == a.checkpoint
