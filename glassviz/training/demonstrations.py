"""Demonstrations of hopping: episodes of a planner on the true model."""

import dataclasses
import hashlib
import json
import multiprocessing
import zipfile
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

import jax
import numpy as np
from jaxtyping import Float, Float32, Float64

from glassviz import checkpoints
from glassviz.agents import networks, world_model
from glassviz.agents.config import EnvConfig
from glassviz.checkpoints import Checkpoint
from glassviz.envs.hopper import HopperBatch
from glassviz.errors import GlassvizError, UsageError
from glassviz.files import StrPath, replacing
from glassviz.training.replay import Replay
from glassviz.training.true_model import (
    Actions,
    HopPlanner,
    MPCConfig,
    Readings,
    States,
    load_skills,
)


class AgentGait:
    """Acts as the policy prior's mean, from what the agent would observe.

    Args:
        checkpoint: an agent of hopper-hop in single control steps.

    Raises:
        GlassvizError: it is an agent of another task, or repeats its actions.
    """

    def __init__(self, checkpoint: Checkpoint) -> None:
        require_hopper(checkpoint)
        config = checkpoint.config
        self._params = checkpoint.params
        self._act = jax.jit(
            lambda params, obs: world_model.policy_action(
                config, params, networks.encode(config, params, obs)
            )
        )

    def __call__(self, states: States, readings: Readings) -> Actions:
        """The policy's actions."""
        return np.asarray(self._act(self._params, observe(states, readings)), np.float64)


def require_hopper(checkpoint: Checkpoint) -> None:
    """Raise GlassvizError unless the agent hops in single control steps, as the planner does."""
    env = checkpoint.config.env
    if env.task != "hopper-hop" or env.action_repeat != 1:
        raise GlassvizError(
            f"{checkpoint.name}: expected an agent of hopper-hop with action repeat 1 to plan "
            f"around, found {env.task} with {env.action_repeat}: give another one"
        )


def observe(states: States, readings: Readings) -> Float32[np.ndarray, "batch obs"]:
    """What an agent observes; not the distance, a state's first coordinate."""
    return np.concatenate([states[:, 1:], np.log1p(readings.touch)], axis=1, dtype=np.float32)


@lru_cache(maxsize=1)
def load_agent_gait(path: StrPath) -> AgentGait:
    """The gait of the checkpoint at `path`, read once a process.

    Raises:
        GlassvizError: as `checkpoints.load` and `AgentGait`.
    """
    return AgentGait(checkpoints.load(path))


SCHEMA_VERSION = 1
REPAIR = "make it again with `glassviz demonstrate`"


@dataclass(frozen=True, eq=False)
class Demonstration:
    """One episode. A row holds the observation, the action taken from it, the reward earned.

    Attributes:
        seed: that the episode was reset with.
        obs, action, reward: of every step; the reward is the task's own.
    """

    seed: int
    obs: Float32[np.ndarray, "steps obs"]
    action: Float32[np.ndarray, "steps act"]
    reward: Float64[np.ndarray, " steps"]

    @property
    def total(self) -> float:
        """The return: the sum of the rewards."""
        return float(self.reward.sum())


@dataclass(frozen=True, eq=False)
class Demonstrations:
    """Episodes of equal length, time first.

    Attributes:
        name, sha256: of the file that they were read from.
        header: `schema_version`, `env` (an EnvConfig), `planner` (an MPCConfig), `agent` (name and
            sha256 of the checkpoint that it planned around, None without), `tried` and `kept`
            (numbers of episodes), `min_return`, and where they were made.
        seeds: that the episodes were reset with.
        obs, action, reward: as in `Demonstration`.
    """

    name: str
    sha256: str
    header: dict[str, Any]
    seeds: tuple[int, ...]
    obs: Float32[np.ndarray, "steps episodes obs"]
    action: Float32[np.ndarray, "steps episodes act"]
    reward: Float32[np.ndarray, "steps episodes"]

    @property
    def returns(self) -> Float[np.ndarray, " episodes"]:
        """Return of each episode."""
        return self.reward.sum(axis=0, dtype=np.float64)


def demonstrate(
    config: EnvConfig, mpc: MPCConfig, seed: int, agent: StrPath | None = None
) -> Demonstration:
    """One episode of the planner; `seed` determines reset and planning completely.

    Args:
        agent: checkpoint that the planner plans around, instead of the skills that come with it.

    Raises:
        UsageError: the planner hops, in single control steps; another task or action repeat was
            asked for.
        GlassvizError: the checkpoint cannot be read, or is of another task.
    """
    if config.task != "hopper-hop" or config.action_repeat != 1:
        raise UsageError(
            f"demonstrations: expected hopper-hop with action repeat 1, found {config.task} with "
            f"{config.action_repeat}: the planner demonstrates nothing else"
        )
    env = HopperBatch(config, 1)
    gait, motions = (load_agent_gait(Path(agent)), None) if agent else load_skills()
    planner = HopPlanner(mpc, gait, motions, config.physics, np.random.default_rng(seed))
    step = env.reset([seed])
    obs: list[np.ndarray] = []
    actions: list[np.ndarray] = []
    rewards: list[float] = []
    while len(rewards) < config.episode_steps:
        state = np.concatenate([step.qpos[0], step.qvel[0]])
        for action in planner.plan(state)[: config.episode_steps - len(rewards)]:
            obs.append(step.obs[0])
            actions.append(action.astype(np.float32))
            step = env.step(actions[-1][None].astype(np.float64))
            rewards.append(step.reward[0])
    return Demonstration(seed, np.array(obs), np.array(actions), np.array(rewards))


def demonstrate_all(
    config: EnvConfig,
    mpc: MPCConfig,
    seeds: Sequence[int],
    jobs: int = 1,
    agent: StrPath | None = None,
) -> Iterator[Demonstration]:
    """The episodes of `seeds` in their order, made by `jobs` processes; the same for any number.

    Raises:
        UsageError, GlassvizError: as `demonstrate`.
    """
    one = partial(demonstrate, config, mpc, agent=agent)
    if jobs == 1:
        yield from map(one, seeds)
        return
    # Spawned, not forked: a fork of a process with threads (JAX has some) can hang.
    with ProcessPoolExecutor(jobs, multiprocessing.get_context("spawn")) as pool:
        try:
            yield from pool.map(one, seeds)
        finally:
            pool.shutdown(wait=True, cancel_futures=True)


def save(path: StrPath, demos: Sequence[Demonstration], provenance: dict[str, Any]) -> None:
    """Write episodes to `path` (.npz), whole or not at all.

    Args:
        demos: one or more, of equal length.
        provenance: for the header: see `describe`.

    Raises:
        GlassvizError: there is none, or it cannot be written.
    """
    if not demos:
        raise GlassvizError(f"{path}: expected one or more episodes to keep, found none: try more")
    header = {**provenance, "schema_version": SCHEMA_VERSION, "kept": len(demos)}
    with replacing(path) as partial, partial.open("wb") as file:
        np.savez_compressed(
            file,
            header=np.array(json.dumps(header, sort_keys=True)),
            seeds=np.array([demo.seed for demo in demos]),
            obs=np.stack([demo.obs for demo in demos], axis=1),
            action=np.stack([demo.action for demo in demos], axis=1),
            reward=np.stack([demo.reward for demo in demos], axis=1).astype(np.float32),
        )


def describe(
    config: EnvConfig,
    mpc: MPCConfig,
    tried: int,
    min_return: float,
    agent: Checkpoint | None = None,
) -> dict[str, Any]:
    """What a file of demonstrations says about how its episodes came about.

    Args:
        agent: that the planner planned around.
        tried: how many episodes were made.
        min_return: those below it were left out.
    """
    return {
        "env": dataclasses.asdict(config),
        "planner": dataclasses.asdict(mpc),
        "agent": {"name": agent.name, "sha256": agent.sha256} if agent else None,
        "tried": tried,
        "min_return": min_return,
    }


def load(path: StrPath) -> Demonstrations:
    """Read what `save` wrote.

    Raises:
        GlassvizError: the file is missing, truncated, no demonstrations, of another schema
            version, or its arrays do not belong together.
    """
    path = Path(path)
    try:
        # NumPy leaves a file that it opened itself open when it turns out to be no archive.
        with path.open("rb") as file:
            sha256 = hashlib.file_digest(file, "sha256").hexdigest()
            file.seek(0)
            with np.load(file, allow_pickle=False) as archive:
                header = json.loads(str(archive["header"]))
                seeds, obs, action, reward = (
                    archive[name] for name in ("seeds", "obs", "action", "reward")
                )
            version = header["schema_version"]
    except FileNotFoundError:
        raise GlassvizError(f"{path}: expected demonstrations, found no such file") from None
    except (OSError, ValueError, KeyError, TypeError, EOFError, zipfile.BadZipFile) as error:
        raise GlassvizError(
            f"{path}: expected demonstrations (.npz), found a file that cannot be read as such "
            f"({error}): {REPAIR}"
        ) from None
    if version != SCHEMA_VERSION:
        raise GlassvizError(
            f"{path}: expected demonstrations of schema version {SCHEMA_VERSION}, found "
            f"{version}: {REPAIR}"
        )
    shape = reward.shape
    found = (obs.shape[:2], action.shape[:2], seeds.shape)
    if len(shape) != 2 or 0 in shape or found != (shape, shape, shape[1:]):
        raise GlassvizError(
            f"{path}: expected arrays of (steps, episodes) each, found obs {obs.shape}, action "
            f"{action.shape}, reward {reward.shape}, seeds {seeds.shape}: {REPAIR}"
        )
    seeds = tuple(seeds.tolist())
    return Demonstrations(path.stem, sha256, header, seeds, obs, action, reward)


def require_same_task(demos: Demonstrations, config: EnvConfig) -> None:
    """Refuse demonstrations that show another task than an agent is to learn.

    Args:
        config: what it learns in.

    Raises:
        UsageError: they are of another task, physics or action repeat.
    """
    told = demos.header.get("env")
    shown = told if isinstance(told, dict) else {}
    for name in ("task", "physics", "action_repeat"):
        expected, found = getattr(config, name), shown.get(name)
        if found != expected:
            raise UsageError(
                f"demonstrations {demos.name}: expected {name} {expected} as the run has it, found "
                f"{found}: make others with `glassviz demonstrate`, or train as they were made"
            )


def as_replay(demos: Demonstrations) -> Replay:
    """A full replay buffer of the episodes, to sample sequences from."""
    steps, episodes, obs_dim = demos.obs.shape
    replay = Replay(steps, episodes, obs_dim, demos.action.shape[-1])
    for t, row in enumerate(zip(demos.obs, demos.action, demos.reward, strict=True)):
        replay.add(*row, first=np.full(episodes, t == 0))
    return replay
