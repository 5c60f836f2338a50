"""Returns on fresh episodes, with intervals, against what training recorded."""

import dataclasses
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Self

import numpy as np
from jaxtyping import Float64

from glassviz import checkpoints, envs
from glassviz.agents.config import UNSAID, AgentConfig, EnvConfig, PlannerConfig, Precision, Unsaid
from glassviz.agents.networks import Params
from glassviz.agents.planner import Controller
from glassviz.checkpoints import Checkpoint
from glassviz.errors import GlassvizError
from glassviz.files import StrPath
from glassviz.metrics.statistics import MeanInterval, mean_interval
from glassviz.rollout.batch import NOBODY, Failed, Listener, counting_from, for_each
from glassviz.rollout.cost import check_cost
from glassviz.rollout.find import Target, find_targets
from glassviz.rollout.remaining import Remaining, trial_s
from glassviz.rollout.rollout import Actors
from glassviz.text import listed

EVAL_SEED = 10_000
"""Evaluations meet the same resets at every step of a training run and in every run."""

FRESH_SEED = 2_000
"""Leads to resets that no evaluation in training met, so that no checkpoint was chosen by them."""

FULL_REWARD = 0.99
STANDING_REWARD = 0.01
Rewards = Float64[np.ndarray, "episodes decisions"]


@dataclass(frozen=True)
class Evaluation:
    """One controller's episodes at one step of training.

    The four diagnostics are computed from the rewards alone, as published runs have them; None
    where a record does not say. They count decisions, and per control step rewards.

    Attributes:
        returns: one an episode.
        reset_seeds: what the episodes were reset with; empty where a record does not say.
        full_reward_rate: share of the decisions with a reward above 0.99.
        standing_rate: share of the decisions with a reward above 0.01.
        fall_count: how often an episode's reward fell to 0.01 or below it, on average.
        time_to_first_full: decisions up to the first full reward, itself included; mean of the
            episodes that have one, None when none has.
    """

    env_steps: int
    controller: Controller
    returns: tuple[float, ...]
    reset_seeds: tuple[int, ...] = ()
    full_reward_rate: float | None = None
    standing_rate: float | None = None
    fall_count: float | None = None
    time_to_first_full: float | None = None

    @property
    def mean(self) -> float:
        """Mean return."""
        return float(np.mean(self.returns))

    def to_dict(self) -> dict[str, Any]:
        """Plain containers only, for JSON; the mean is spelled out for its readers."""
        return dataclasses.asdict(self) | {
            "returns": list(self.returns),
            "reset_seeds": list(self.reset_seeds),
            "mean": self.mean,
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        """The inverse of `to_dict`; a record from before there were diagnostics will do."""
        known = {field.name for field in dataclasses.fields(cls)} & data.keys()
        tuples = {name: tuple(data.get(name, ())) for name in ("returns", "reset_seeds")}
        return cls(**({name: data[name] for name in known} | tuples))


def evaluate(
    config: AgentConfig,
    params_of: Sequence[Params],
    episodes: Mapping[Controller, int],
    seed: int,
    env_steps: int = 0,
    on_step: Callable[[int], None] | None = None,
    decisions: int | None = None,
    planner: PlannerConfig | None = None,
) -> list[dict[Controller, Evaluation]]:
    """Evaluate agents of one configuration on the task's own reward, under several controllers.

    All episodes run in lockstep in one batch of environments; a decision takes one call of the
    planner and one of the policy. Under each controller an agent earns what `roll_out` of as many
    episodes records: to the last bit on a CPU, whichever agents and controllers are beside it.

    Args:
        episodes: how many of each agent under each controller; one with 0 is left out. Different
            controllers start from the same resets.
        seed: determines resets and planning completely.
        on_step: called with the number of decisions made so far in every episode.
        decisions: how many to make in every episode; by default the whole episode.
        planner: constants to plan with; the agents' own by default.

    Returns:
        For each agent an evaluation by controller.

    Raises:
        GlassvizError: the agents cannot be planned with, and are to be.
    """
    groups = {
        controller: Actors(config, params_of, controller, count, seed, planner)
        for controller, count in episodes.items()
        if count
    }
    if not groups:
        return [{} for _ in params_of]
    seeds = [seed for actors in groups.values() for seed in actors.reset_seeds]
    ends = np.cumsum([len(actors.reset_seeds) for actors in groups.values()])
    env = envs.make(config.env, len(seeds))
    step = env.reset(seeds)
    rewards = []
    for t in range(decisions or config.env.episode_steps):
        shares = np.split(step.obs, ends[:-1])
        # All are asked before the first answer is waited for.
        asked = zip(groups.values(), shares, strict=True)
        decided = [actors.decide(obs) for actors, obs in asked]
        actions = np.concatenate([np.asarray(decision.action) for decision in decided])
        step = env.step(actions.astype(np.float64))
        rewards.append(step.reward)
        if on_step:
            on_step(t + 1)

    results: list[dict[Controller, Evaluation]] = [{} for _ in params_of]
    of_groups = np.split(np.stack(rewards, axis=1), ends[:-1])
    for (controller, actors), earned in zip(groups.items(), of_groups, strict=True):
        for result, own in zip(results, np.split(earned, len(params_of)), strict=True):
            met = actors.reset_seeds[: len(own)]
            result[controller] = summarise(env_steps, controller, own, met, config)
    return results


def summarise(
    env_steps: int,
    controller: Controller,
    rewards: Rewards,
    reset_seeds: Sequence[int],
    config: AgentConfig,
) -> Evaluation:
    """The evaluation that episodes with these rewards make."""
    per_control_step = rewards / config.env.action_repeat
    full = per_control_step > FULL_REWARD
    standing = per_control_step > STANDING_REWARD
    reached = full.any(axis=1)
    first = full.argmax(axis=1)[reached] + 1
    return Evaluation(
        env_steps=env_steps,
        controller=controller,
        returns=tuple(rewards.sum(axis=1).tolist()),
        reset_seeds=tuple(reset_seeds),
        full_reward_rate=float(full.mean()),
        standing_rate=float(standing.mean()),
        fall_count=float((standing[:, :-1] & ~standing[:, 1:]).sum(axis=1).mean()),
        time_to_first_full=float(first.mean()) if reached.any() else None,
    )


@dataclass(frozen=True)
class Recorded:
    """What a checkpoint says of its evaluation in training.

    `episodes` is None and `reset_seeds` empty where the file does not say.
    """

    mean: float
    episodes: int | None
    reset_seeds: tuple[int, ...] = ()


@dataclass(frozen=True)
class Fresh:
    """One checkpoint under one controller on fresh episodes.

    Attributes:
        recorded: what the file says of its evaluation in training; None if nothing.
        checkpoint_sha256: hash of the checkpoint, which tells units apart.
        recipe: that it was trained with; None if unknown.
        env: what it acted in, for returns of unlike ones have no common scale; None if unknown.
        precision: that it planned in, where another than its own was asked for.
        task_name: what an agent of a multitask file is called; empty for any other.
    """

    target: Path
    controller: Controller
    evaluation: Evaluation
    recorded: Recorded | None
    checkpoint_sha256: str = ""
    recipe: str | None = None
    env: EnvConfig | None = None
    precision: Precision | None = None
    task_name: str = ""

    @property
    def name(self) -> str:
        """Of the agent: of its file, or of its task in a file of several."""
        return self.task_name or self.target.stem

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


def reevaluate(
    arguments: StrPath | Sequence[StrPath],
    controllers: Sequence[Controller],
    episodes: int,
    seed: int,
    listener: Listener = NOBODY,
    precision: Precision | None = None,
    unsaid: Unsaid = UNSAID,
) -> list[Fresh | Failed]:
    """Evaluate checkpoints on the same resets, those of one configuration side by side.

    `arguments` are as for `find.find_targets`, and `unsaid` is what their files do not say. One
    that is broken does not keep the others. Results are in the order of `arguments`, then of
    `controllers`. The listener hears of decisions (`on_recording`) and the time left. `precision`
    is that of planning; by default each agent's.
    """
    targets = find_targets(arguments, listener.tell, unsaid)
    rows: dict[tuple[int, Controller | None], Fresh | Failed] = {}
    groups: dict[tuple[AgentConfig, tuple[Controller, ...]], dict[int, Checkpoint]] = {}
    load = partial(_load_feasible, controllers=controllers, episodes=episodes)
    paths = [each.target if isinstance(each, Failed) else each.path for each in targets]
    loads = for_each(targets, load, Target.failed)
    for i, (target, loaded) in enumerate(zip(targets, loads, strict=True)):
        if isinstance(target, Failed) or isinstance(loaded, Failed):
            assert isinstance(loaded, Failed)
            rows[i, None] = loaded
            continue
        able = controllers
        if "mppi" in controllers and (reason := loaded.config.no_planner):
            error = GlassvizError(f"{paths[i]}: expected a planner for mppi, found none: {reason}")
            rows[i, "mppi"] = target.failed(error, "mppi")
            able = [each for each in controllers if each != "mppi"]
        groups.setdefault((loaded.config, tuple(able)), {})[i] = loaded

    def evaluated(key: tuple[AgentConfig, tuple[Controller, ...]], **how: Any) -> Any:
        config, able = key
        agents = [checkpoint.params for checkpoint in groups[key].values()]
        planner = config.planner
        if precision:
            planner = dataclasses.replace(planner, precision=precision)
        counts = dict.fromkeys(able, episodes)
        return evaluate(config, agents, counts, seed, planner=planner, **how)

    def tried_s(key: tuple[AgentConfig, tuple[Controller, ...]]) -> float:
        return trial_s(lambda steps, on_step: evaluated(key, on_step=on_step, decisions=steps))

    sound = {i: checkpoint for group in groups.values() for i, checkpoint in group.items()}
    told = [(sound[i].name, sound[i].provenance) for i in sorted(sound)]
    if better := better_controllers(told, controllers):
        listener.tell(better)
    parts = [(key, key[0].env.episode_steps) for key in groups if key[1]]
    remaining = Remaining(parts, {key: tried_s(key) for key, _ in parts} if parts[1:] else {})
    total = sum(steps for _, steps in parts)

    def on_progress(done: int, total: int) -> None:
        listener.on_remaining(remaining(done))
        listener.on_recording(done, total)

    before = 0
    for key, group in groups.items():
        found = evaluated(key, on_step=counting_from(before, total, on_progress))
        before += key[0].env.episode_steps if key[1] else 0
        for (i, checkpoint), evaluations in zip(group.items(), found, strict=True):
            steps = checkpoint.provenance.get("env_steps")
            for controller, evaluation in evaluations.items():
                if isinstance(steps, int):
                    evaluation = dataclasses.replace(evaluation, env_steps=steps)
                recorded = recorded_in(checkpoint.provenance, controller)
                recipe = checkpoint.provenance.get("recipe")
                rows[i, controller] = Fresh(
                    paths[i],
                    controller,
                    evaluation,
                    recorded,
                    checkpoint.sha256,
                    recipe if isinstance(recipe, str) else None,
                    checkpoint.config.env,
                    precision if controller == "mppi" else None,
                    checkpoint.name if "tasks" in checkpoint.provenance else "",
                )
    order = [(i, each) for i in range(len(paths)) for each in (None, *controllers)]
    return [rows[key] for key in order if key in rows]


def _load_feasible(target: Target, controllers: Sequence[Controller], episodes: int) -> Checkpoint:
    checkpoint = checkpoints.load(target.path, target.unsaid)
    place, config = str(target.path), checkpoint.config
    envs.check_body(place, config)
    for controller in controllers:
        if controller == "pi" or not config.no_planner:
            check_cost(
                place, config, config.planner, config.env, controller, episodes, "--episodes"
            )
    return checkpoint


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
        seeds = seeds if isinstance(seeds, list) else []
        known = tuple(each for each in seeds if isinstance(each, int))
        return Recorded(float(mean), count if isinstance(count, int) else None, known)
    return None


BETTER_BY_FAR = 2.0
"""How many times as much one controller earns as another that is better by far."""

NOT_NOTHING = 10.0
"""Return below which a controller earns nothing worth showing."""


def better_controllers(
    agents: Iterable[tuple[str, Mapping[str, Any]]], controllers: Sequence[Controller]
) -> str | None:
    """One line on agents that were better by far under the controller that is not asked for.

    None if there are none, or both controllers are asked for. An agent that was evaluated under the
    other one alone counts as well.

    Args:
        agents: name and provenance of each checkpoint.
    """
    if len(controllers) != 1:
        return None
    [asked] = controllers
    other: Controller = "pi" if asked == "mppi" else "mppi"
    found = []
    for name, provenance in agents:
        own, better = (recorded_in(provenance, each) for each in (asked, other))
        # One that was refined, or trained, for one controller alone was evaluated under it alone.
        against = own.mean if own else 0.0
        if better and better.mean > BETTER_BY_FAR * against + NOT_NOTHING:
            shown = f"{own.mean:.0f}" if own else "no evaluation"
            found.append(f"{name} ({better.mean:.0f} against {shown})")
        elif other == "pi" and provenance.get("refined") and not own:
            found.append(f"{name} (its policy was refined, its planner was not)")
    if not found:
        return None
    return (
        f"{other} earns far more than {asked}, by their records: {listed(found)}; "
        f"--controller {other} shows it"
    )
