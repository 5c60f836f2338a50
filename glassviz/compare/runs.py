"""What is compared: checkpoints under a controller, each a unit of n, and what limits that."""

import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import permutations
from pathlib import Path
from typing import Any, Literal, Self

from glassviz.files import StrPath
from glassviz.metrics.stability import RunStability
from glassviz.metrics.verdict import RunBasinName
from glassviz.rollout.find import PREFERRED
from glassviz.rollout.run import Run
from glassviz.training.config import CHANGEABLE


@dataclass(frozen=True)
class Setting:
    """What a run acted in; returns of unlike settings have no common scale."""

    task: str
    physics: str
    episode_s: float


@dataclass(frozen=True, eq=False)
class ComparedRun:
    """One checkpoint under one controller.

    Attributes:
        recipe, seed: that it was trained with; None where the file is missing or does not say.
        started_from: hash of the checkpoint that its training, or refinement, went on from.
        shaped: whether it was trained on another reward than the task's; None if unknown.
        training: what tells its training run from others, see `training_run`; None if unknown.
    """

    name: str
    stability: RunStability
    glass: bool
    recipe: str | None
    seed: int | None
    started_from: str | None
    shaped: bool | None
    setting: Setting
    training: str | None = None

    @classmethod
    def of(cls, run: Run, provenance: Mapping[str, Any]) -> Self:
        """An assessed run and its origin; `provenance` is empty if only a trace was given."""
        header, stability = run.header, run.stability
        env, agent = header["env"], header["agent"]
        init = provenance.get("init")
        recipe, seed, shaped = (provenance.get(name) for name in ("recipe", "seed", "shaped"))
        return cls(
            name=run.name,
            stability=stability,
            glass=bool(agent.get("glass")) or header["labels_from"] == "glass",
            # Older files write the preset without brackets.
            recipe=recipe.replace("(", "").replace(")", "") if isinstance(recipe, str) else None,
            seed=seed if isinstance(seed, int) else None,
            started_from=init.get("sha256") if isinstance(init, Mapping) else None,
            shaped=shaped if isinstance(shaped, bool) else None,
            setting=Setting(
                env["task"], env["physics"], round(stability.frames * stability.frame_dt_s, 6)
            ),
            training=training_run(provenance, run.checkpoint),
        )

    @property
    def controller(self) -> str:
        """Who acted."""
        return self.stability.controller

    @property
    def checkpoint(self) -> str:
        """Hash of the checkpoint, which tells units apart."""
        return self.stability.checkpoint_sha256

    @property
    def mean_return(self) -> float:
        """Mean over its episodes."""
        return self.stability.returns.mean


@dataclass(frozen=True)
class LeftOut:
    """A run that does not count.

    Attributes:
        reason: `duplicate`: its checkpoint counts already; `same-training`: another checkpoint of
            its training run counts; `no-checkpoint`: only its trace was given, and the checkpoint
            is needed.
        counted_as: the run that counts in its place; None for `no-checkpoint`.
    """

    run: str
    controller: str
    reason: Literal["duplicate", "same-training", "no-checkpoint"]
    counted_as: str | None = None


def unique_runs(rows: Sequence[Run]) -> tuple[list[Run], tuple[LeftOut, ...]]:
    """One row for each checkpoint and controller, by name; of several the first by `worth`."""
    best: dict[tuple[str, str], Run] = {}
    left_out = []
    for row in sorted(rows, key=worth):
        kept = best.setdefault((row.checkpoint_sha256, row.controller), row)
        if kept is not row:
            left_out.append(LeftOut(row.name, row.controller, "duplicate", kept.name))
    counted = sorted(
        best.values(), key=lambda row: (row.name, row.checkpoint_sha256, row.controller)
    )
    return counted, tuple(sorted(left_out, key=lambda each: (each.run, each.controller)))


ORIGIN = ("recipe", "seed", "algo", "init", "demos", "refined")
"""Provenance that all checkpoints of one training run share, besides its settings."""


def training_run(provenance: Mapping[str, Any], checkpoint: StrPath | None) -> str | None:
    """What tells a training run from others: all of its checkpoints have the same.

    Checkpoints are of one run if they have the same seed, training settings (those aside that may
    change when a run is resumed) and origin: recipe, initial checkpoint, demonstrations and
    refinement. Where a file does not say, the checkpoints in one `seed_*/checkpoints` folder are.
    None where neither is known: such a checkpoint is a run of its own.
    """
    settings = provenance.get("training")
    if isinstance(settings, Mapping) and isinstance(provenance.get("seed"), int):
        fixed = {name: value for name, value in settings.items() if name not in CHANGEABLE}
        told = {name: provenance[name] for name in ORIGIN if name in provenance}
        return json.dumps([fixed, told], sort_keys=True, default=str)
    if checkpoint is None:
        return None
    folder = seed_folder(checkpoint)
    return str(folder / "checkpoints") if folder else None


def seed_folder(checkpoint: StrPath) -> Path | None:
    """The folder `seed_N` that holds a checkpoint in `seed_N/checkpoints`; None elsewhere."""
    folder = Path(checkpoint).resolve().parent
    of_a_seed = folder.name == "checkpoints" and folder.parent.name.startswith("seed_")
    return folder.parent if of_a_seed else None


def one_per_training(runs: Sequence[Run]) -> tuple[list[Run], tuple[LeftOut, ...]]:
    """The rows of one checkpoint of each training run, in their order.

    That is the checkpoint that its folder stands for (`find.PREFERRED`), or else the latest. It is
    the same under both controllers where both are given.
    """
    trained = trained_by(runs)
    standing: dict[str, Run] = {}
    for run in sorted(runs, key=_standing):
        standing.setdefault(trained[run.checkpoint_sha256], run)
    kept, left_out = [], []
    counted = {(run.checkpoint_sha256) for run in standing.values()}
    for run in runs:
        if run.checkpoint_sha256 in counted:
            kept.append(run)
        else:
            name = standing[trained[run.checkpoint_sha256]].name
            left_out.append(LeftOut(run.name, run.controller, "same-training", name))
    return kept, tuple(left_out)


def trained_by(runs: Iterable[Run]) -> dict[str, str]:
    """Training run of each checkpoint, by hash."""
    found: dict[str, str] = {}
    for run in runs:
        known = training_run(run.provenance, run.checkpoint)
        if known or run.checkpoint_sha256 not in found:
            found[run.checkpoint_sha256] = known or run.checkpoint_sha256
    return found


def env_steps(run: Run) -> int | None:
    """Environment steps that its checkpoint was trained for; None if it does not say."""
    steps = run.provenance.get("env_steps")
    return steps if isinstance(steps, int) else None


def _standing(run: Run) -> tuple[int, int, str]:
    stem = run.checkpoint.stem if run.checkpoint else ""
    rank = PREFERRED.index(stem) if stem in PREFERRED else len(PREFERRED)
    return rank, -(env_steps(run) or 0), run.name


def count_seeds(rows: Iterable[Run]) -> int:
    """n: the number of training runs, each counted once whatever is given of it."""
    return len(set(trained_by(rows).values()))


def worth(run: Run) -> tuple[int, bool, str, str]:
    """Sorts runs of one checkpoint and controller: the one that counts comes first.

    The more frames the better; of equally long ones that of the checkpoint comes before that of
    its trace, which knows less.
    """
    episodes, frames, _ = run.obs.shape
    return -episodes * frames, run.checkpoint is None, run.name, str(run.trace_path)


def with_checkpoint_names(compared: Sequence[ComparedRun]) -> list[ComparedRun]:
    """The same runs, with one name for each checkpoint, that no other has."""
    names = checkpoint_names((each.checkpoint, each.name) for each in compared)
    return [replace(each, name=names[each.checkpoint]) for each in compared]


def checkpoint_names(named: Iterable[tuple[str, str]]) -> dict[str, str]:
    """One name for each checkpoint, by hash: its first, with the hash where that is taken.

    `named` has hash and name of each run.
    """
    names: dict[str, str] = {}
    for checkpoint, name in named:
        if checkpoint not in names:
            taken = name in names.values()
            names[checkpoint] = f"{name} ({checkpoint[:8]})" if taken else name
    return names


def by_controller(compared: Sequence[ComparedRun]) -> dict[str, list[ComparedRun]]:
    """The runs of each controller, controllers in the order of their names."""
    found: dict[str, list[ComparedRun]] = {}
    for each in sorted(compared, key=lambda each: each.controller):
        found.setdefault(each.controller, []).append(each)
    return found


@dataclass(frozen=True)
class Mismatch:
    """A setting that compared runs differ in, with its values in ascending order."""

    setting: Literal["task", "physics", "episode_s", "observation_size"]
    values: tuple[str, ...]


@dataclass(frozen=True)
class ContinuedFrom:
    """A checkpoint that was trained from another compared checkpoint."""

    run: str
    parent: str


@dataclass(frozen=True)
class SharedSeed:
    """Checkpoints with the same recipe and seed, possibly from one training run."""

    runs: tuple[str, ...]


@dataclass(frozen=True)
class MixedRecipes:
    """Runs of different recipes: number of checkpoints by recipe, in alphabetical order."""

    counts: tuple[tuple[str, int], ...]


@dataclass(frozen=True)
class ConfoundedRecipes:
    """Groups with and without Glass whose recipes differ in other settings as well."""


@dataclass(frozen=True)
class Unmeasured:
    """Runs where a metric is undefined: their number, and that of all runs."""

    metric: str
    runs: int
    count: int


@dataclass(frozen=True)
class OneBasin:
    """Runs that all have the same basin."""

    basin: RunBasinName


Caveat = (
    Mismatch | ContinuedFrom | SharedSeed | MixedRecipes | ConfoundedRecipes | Unmeasured | OneBasin
)


@dataclass(frozen=True)
class TooFewCheckpoints:
    """Fewer than two checkpoints with labels: `at_hand` of the `labelled` agents were given."""

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
            if not any(a.started_from == b.checkpoint for a, b in permutations(related, 2)):
                found.append(SharedSeed(tuple(each.name for each in related)))
    return tuple(found)


def mixed_recipes(compared: Sequence[ComparedRun]) -> MixedRecipes | None:
    """Recipes of the runs if there are several; None for one recipe."""
    recipes = Counter(each.recipe for each in compared if each.recipe)
    return MixedRecipes(tuple(sorted(recipes.items()))) if len(recipes) > 1 else None
