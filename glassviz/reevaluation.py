"""Checkpoints on fresh episodes, against what was recorded of them in training."""

import dataclasses
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from glassviz import checkpoints
from glassviz.agents.agent import Controller
from glassviz.agents.config import AgentConfig
from glassviz.analysis.statistics import MeanInterval, mean_interval
from glassviz.checkpoints import Checkpoint
from glassviz.envs.hopper import check_sizes
from glassviz.errors import GlassvizError
from glassviz.evaluation import Evaluation, evaluate


@dataclass(frozen=True)
class Recorded:
    """What a checkpoint says of its evaluation in training.

    Attributes:
        mean: mean return.
        episodes: over how many; None where the file does not say.
        reset_seeds: what they were reset with; empty where the file does not say.
    """

    mean: float
    episodes: int | None
    reset_seeds: tuple[int, ...] = ()


@dataclass(frozen=True)
class Fresh:
    """One checkpoint under one controller on fresh episodes.

    Attributes:
        path: the checkpoint.
        controller: who acted.
        evaluation: what came of it.
        recorded: what the file says of its evaluation in training; None if nothing.
    """

    path: Path
    controller: Controller
    evaluation: Evaluation
    recorded: Recorded | None

    @property
    def interval(self) -> MeanInterval:
        """Mean return and its interval over the episodes."""
        return mean_interval(self.evaluation.returns)

    @property
    def above_recorded(self) -> float | None:
        """The fresh mean less the recorded one."""
        return self.evaluation.mean - self.recorded.mean if self.recorded else None

    @property
    def recorded_place(self) -> str | None:
        """Whether the recorded mean is `within`, `above` or `below` the fresh one's interval."""
        return self.interval.place(self.recorded.mean) if self.recorded else None

    @property
    def shared_resets(self) -> int:
        """How many of the episodes started as one of the recorded did: these are not fresh."""
        recorded = self.recorded.reset_seeds if self.recorded else ()
        return len(set(self.evaluation.reset_seeds) & set(recorded))

    def to_dict(self) -> dict[str, Any]:
        """Plain containers only, for JSON."""
        interval = self.interval
        return {
            "checkpoint": str(self.path),
            **self.evaluation.to_dict(),
            "low": interval.low,
            "high": interval.high,
            "level": interval.level,
            "recorded": dataclasses.asdict(self.recorded) if self.recorded else None,
            "above_recorded": self.above_recorded,
            "recorded_place": self.recorded_place,
        }


@dataclass(frozen=True)
class Failed:
    """A checkpoint that could not be evaluated.

    Attributes:
        path: the checkpoint.
        controller: under which it failed; None for all.
        error: what is wrong, in one sentence.
    """

    path: Path
    controller: Controller | None
    error: str

    def to_dict(self) -> dict[str, Any]:
        """Plain containers only, for JSON."""
        return {"checkpoint": str(self.path), "controller": self.controller, "error": self.error}


def reevaluate(
    paths: Sequence[Path],
    controllers: Sequence[Controller],
    episodes: int,
    seed: int,
    on_progress: Callable[[int, int], None] = lambda done, total: None,
) -> list[Fresh | Failed]:
    """Evaluate checkpoints on the same resets, those of one configuration side by side.

    Args:
        paths: the checkpoints; one that is broken does not keep the others.
        controllers: who acts.
        episodes: of each checkpoint under each controller.
        seed: determines resets and planning.
        on_progress: called with decisions done and in all.

    Returns:
        In the order of `paths`, then of `controllers`.
    """
    rows: dict[tuple[int, Controller | None], Fresh | Failed] = {}
    groups: dict[tuple[AgentConfig, tuple[Controller, ...]], dict[int, Checkpoint]] = {}
    for i, path in enumerate(paths):
        try:
            checkpoint = checkpoints.load(path)
            check_sizes(str(path), checkpoint.config)
        except GlassvizError as error:
            rows[i, None] = Failed(path, None, str(error))
            continue
        reason = checkpoint.config.no_planner
        for controller in controllers:
            if controller == "mppi" and reason:
                error_text = f"{path}: expected a planner for mppi, found none: {reason}"
                rows[i, controller] = Failed(path, controller, error_text)
        able = tuple(each for each in controllers if (i, each) not in rows)
        groups.setdefault((checkpoint.config, able), {})[i] = checkpoint

    total = sum(config.env.episode_steps for config, able in groups if able)
    before = 0
    for (config, able), group in groups.items():
        found = evaluate(
            config,
            [checkpoint.params for checkpoint in group.values()],
            dict.fromkeys(able, episodes),
            seed,
            on_step=partial(_count, on_progress, before, total),
        )
        before += config.env.episode_steps if able else 0
        for (i, checkpoint), evaluations in zip(group.items(), found, strict=True):
            steps = checkpoint.provenance.get("env_steps")
            for controller, evaluation in evaluations.items():
                if isinstance(steps, int):
                    evaluation = dataclasses.replace(evaluation, env_steps=steps)
                recorded = recorded_in(checkpoint.provenance, controller)
                rows[i, controller] = Fresh(paths[i], controller, evaluation, recorded)
    order = [(i, each) for i in range(len(paths)) for each in (None, *controllers)]
    return [rows[key] for key in order if key in rows]


def recorded_in(provenance: Mapping[str, Any], controller: Controller) -> Recorded | None:
    """The evaluation in training that a checkpoint's provenance tells of; None if it does not.

    The file is not vouched for: what is no evaluation is passed over, and so is one that says
    itself that it was at another step than the checkpoint is of.
    """
    for key in ("evaluation", "returns"):  # this package's trainer, and published files
        told = provenance.get(key)
        entry = told.get(controller) if isinstance(told, Mapping) else None
        if not isinstance(entry, Mapping):
            continue
        mean = entry.get("mean")
        if not isinstance(mean, int | float) or not math.isfinite(mean):
            continue
        steps = entry.get("env_steps"), provenance.get("env_steps")
        if None not in steps and steps[0] != steps[1]:
            continue
        returns, count, seeds = (entry.get(name) for name in ("returns", "episodes", "reset_seeds"))
        if isinstance(returns, list):
            count = len(returns)
        return Recorded(
            mean=float(mean),
            episodes=count if isinstance(count, int) else None,
            reset_seeds=tuple(each for each in seeds if isinstance(each, int))
            if isinstance(seeds, list)
            else (),
        )
    return None


def _count(on_progress: Callable[[int, int], None], before: int, total: int, done: int) -> None:
    on_progress(before + done, total)
