"""Demonstrations of hopping: episodes of the planner on the true model, and their files."""

import dataclasses
import hashlib
import multiprocessing
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

import jax
import numpy as np
from jaxtyping import Array, Float, Float32, Float64

from glassviz import archive, checkpoints
from glassviz.agents import networks
from glassviz.agents.config import EnvConfig
from glassviz.agents.world_model import policy_action
from glassviz.checkpoints import Checkpoint
from glassviz.envs.bodies import task_of
from glassviz.envs.hopper import HopperBatch
from glassviz.errors import GlassvizError, UsageError
from glassviz.files import StrPath, read_bytes
from glassviz.text import listed, printable
from glassviz.trace import LARGEST
from glassviz.training.collection import Replay
from glassviz.training.true_model import (
    Actions,
    HopPlanner,
    MPCConfig,
    Readings,
    States,
    load_skills,
)

SCHEMA_VERSION = 1
REMEDY = "generate it again with `glassviz demonstrate`"


@dataclass(frozen=True, eq=False)
class Demonstration:
    """One episode, with one row of observation, action and task reward per step."""

    seed: int
    obs: Float32[np.ndarray, "steps obs"]
    action: Float32[np.ndarray, "steps act"]
    reward: Float64[np.ndarray, " steps"]

    @property
    def total(self) -> float:
        """Return of the episode."""
        return float(self.reward.sum())


@dataclass(frozen=True, eq=False)
class Demonstrations:
    """Episodes of equal length read from a file, time first.

    Attributes:
        header: `schema_version`, `env` (an EnvConfig), `planner` (an MPCConfig), `agent` (name and
            sha256 of the checkpoint planned around, or None), `tried` and `kept` (numbers of
            episodes), `min_return`, and the provenance.
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
        """Returns of the episodes."""
        return self.reward.sum(axis=0, dtype=np.float64)


def demonstrate(
    config: EnvConfig, mpc: MPCConfig, seed: int, agent: StrPath | None = None
) -> Demonstration:
    """One episode of the planner, for hopper-hop with action repeat 1 only.

    `seed` determines reset and planning completely. `agent` is the checkpoint to plan around; None
    for the skills that ship with the package.

    Raises:
        UsageError: the environment has another task or action repeat.
        GlassvizError: the checkpoint cannot be read or is for another task.
    """
    if config.task != "hopper-hop" or config.action_repeat != 1:
        raise UsageError(
            f"demonstrations: expected hopper-hop with action repeat 1, found {config.task} with "
            f"{config.action_repeat}: the planner supports nothing else"
        )
    env = HopperBatch(config, 1)
    gait, motions = (load_agent_gait(Path(agent)), None) if agent else load_skills()
    planner = HopPlanner(mpc, gait, motions, config.physics, np.random.default_rng(seed))
    step = env.reset([seed])
    rows: list[tuple[Any, ...]] = []
    while len(rows) < config.episode_steps:
        state = np.concatenate([step.qpos[0], step.qvel[0]])
        for action in planner.plan(state)[: config.episode_steps - len(rows)]:
            obs, action = step.obs[0], action.astype(np.float32)
            step = env.step(action[None].astype(np.float64))
            rows.append((obs, action, step.reward[0]))
    return Demonstration(seed, *map(np.array, zip(*rows, strict=True)))


def demonstrate_all(
    config: EnvConfig,
    mpc: MPCConfig,
    seeds: Sequence[int],
    jobs: int = 1,
    agent: StrPath | None = None,
) -> Iterator[Demonstration]:
    """Yield the episodes of `seeds` in order; `jobs` does not change the result or the errors."""
    demonstrate_seed = partial(demonstrate, config, mpc, agent=agent)
    if jobs == 1:
        yield from map(demonstrate_seed, seeds)
        return
    # Spawn rather than fork: forking a process with threads, such as JAX's, can deadlock.
    with ProcessPoolExecutor(jobs, multiprocessing.get_context("spawn")) as pool:
        try:
            yield from pool.map(demonstrate_seed, seeds)
        finally:
            pool.shutdown(wait=True, cancel_futures=True)


def save(path: StrPath, demos: Sequence[Demonstration], provenance: dict[str, Any]) -> None:
    """Write episodes of equal length to `path` (.npz) atomically; see `describe` for `provenance`.

    Raises:
        GlassvizError: there are no episodes, or the file cannot be written.
    """
    if not demos:
        raise GlassvizError(f"{path}: expected at least one episode to keep, found none: try more")
    header = {**provenance, "schema_version": SCHEMA_VERSION, "kept": len(demos)}
    arrays = {
        "seeds": np.array([demo.seed for demo in demos]),
        "obs": np.stack([demo.obs for demo in demos], axis=1),
        "action": np.stack([demo.action for demo in demos], axis=1),
        "reward": np.stack([demo.reward for demo in demos], axis=1).astype(np.float32),
    }
    archive.save(path, header, arrays, compress=True)


def describe(
    config: EnvConfig,
    mpc: MPCConfig,
    tried: int,
    min_return: float,
    agent: Checkpoint | None = None,
) -> dict[str, Any]:
    """Header entries that describe how episodes were generated.

    Of the `tried` ones, those with a return below `min_return` were discarded.
    """
    return {
        "env": dataclasses.asdict(config),
        "planner": dataclasses.asdict(mpc),
        "agent": {"name": agent.name, "sha256": agent.sha256} if agent else None,
        "tried": tried,
        "min_return": min_return,
    }


def load(path: StrPath) -> Demonstrations:
    """Read demonstrations from a file written by `save`.

    Raises:
        MissingFileError: there is no such file.
        GlassvizError: it is not a file of demonstrations, damaged or of another schema version, or
            its arrays are not those of episodes of the hopper.
    """
    path = Path(path)
    header, arrays = archive.load(path, "demonstrations", REMEDY)
    if (version := header.get("schema_version")) != SCHEMA_VERSION:
        raise GlassvizError(
            f"{path}: expected demonstrations of schema version {SCHEMA_VERSION}, found "
            f"{printable(str(version), 20)}: {REMEDY}"
        )
    _check_arrays(path, arrays)
    seeds = tuple(arrays["seeds"].tolist())
    sha256 = hashlib.sha256(read_bytes(path, "demonstrations")).hexdigest()
    obs, action, reward = (arrays[name].astype(np.float32) for name in _PER_STEP)
    return Demonstrations(path.stem, sha256, header, seeds, obs, action, reward)


_PER_STEP = ("obs", "action", "reward")

_ROUNDING = 1e-5


def _check_arrays(path: Path, arrays: dict[str, np.ndarray]) -> None:
    """Refuse arrays that no agent can learn from."""
    if missing := [name for name in ("seeds", *_PER_STEP) if name not in arrays]:
        raise GlassvizError(
            f"{path}: expected arrays of demonstrations, found no {listed(missing)}: {REMEDY}"
        )
    seeds, obs, action, reward = (arrays[name] for name in ("seeds", *_PER_STEP))
    shape, task = reward.shape, task_of("hopper-hop")
    widths = (*shape, task.obs_dim), (*shape, task.body.action_dim)
    if (
        len(shape) != 2
        or 0 in shape
        or (obs.shape, action.shape, seeds.shape)
        != (
            *widths,
            shape[1:],
        )
    ):
        raise GlassvizError(
            f"{path}: expected arrays with axes (steps, episodes), {task.obs_dim} observations "
            f"and {task.body.action_dim} actions, found obs {obs.shape}, action {action.shape}, "
            f"reward {reward.shape}, seeds {seeds.shape}: {REMEDY}"
        )
    kinds = {"seeds": "iu", **dict.fromkeys(_PER_STEP, "f")}
    for name, kind in kinds.items():
        if arrays[name].dtype.kind not in kind:
            expected = "integers" if name == "seeds" else "floating-point numbers"
            raise GlassvizError(
                f"{path}: expected {expected} for {name}, found {arrays[name].dtype}: {REMEDY}"
            )
    for name, most in (("obs", LARGEST), ("action", 1 + _ROUNDING), ("reward", LARGEST)):
        # Not `>`, which NaN is not either; half precision could not be compared with the largest.
        broken = ~(np.abs(arrays[name].astype(np.float64)) <= most)
        if broken.any():
            step, episode, *_ = place = tuple(np.argwhere(broken)[0].tolist())
            raise GlassvizError(
                f"{path}: expected finite numbers from {-most:g} to {most:g} for {name}, found "
                f"{arrays[name][place]} in step {step} of episode {episode}: {REMEDY}"
            )


def require_same_task(demos: Demonstrations, config: EnvConfig) -> None:
    """Refuse demonstrations of another task than the training environment's.

    Raises:
        UsageError: task, physics or action repeat differ.
    """
    env = demos.header.get("env")
    for name in ("task", "physics", "action_repeat"):
        expected, found = getattr(config, name), env.get(name) if isinstance(env, dict) else None
        if found != expected:
            raise UsageError(
                f"demonstrations {demos.name}: expected {name} {expected} as in the run, found "
                f"{printable(str(found), 60)}: generate others with `glassviz demonstrate`, or "
                f"change the run to match"
            )


def as_replay(demos: Demonstrations) -> Replay:
    """A replay buffer filled with the episodes."""
    steps, episodes, obs_dim = demos.obs.shape
    replay = Replay(steps, episodes, obs_dim, demos.action.shape[-1])
    for t, row in enumerate(zip(demos.obs, demos.action, demos.reward, strict=True)):
        replay.add(*row, first=np.full(episodes, t == 0))
    return replay


class AgentGait:
    """The mean action of an agent's policy prior, as a gait for the planner.

    Raises:
        GlassvizError: the agent has another task or action repeat.
    """

    def __init__(self, checkpoint: Checkpoint) -> None:
        require_hopper(checkpoint)
        config, self._params = checkpoint.config, checkpoint.params

        @jax.jit
        def act(params: networks.Params, obs: Array) -> Array:
            return policy_action(config, params, networks.encode(config, params, obs))

        self._act = act

    def __call__(self, states: States, readings: Readings) -> Actions:
        return np.asarray(self._act(self._params, observe(states, readings)), np.float64)


def require_hopper(checkpoint: Checkpoint) -> None:
    """Raise GlassvizError unless the agent's task is hopper-hop with action repeat 1."""
    env = checkpoint.config.env
    if env.task != "hopper-hop" or env.action_repeat != 1:
        raise GlassvizError(
            f"{checkpoint.name}: expected an agent for hopper-hop with action repeat 1 to plan "
            f"around, found {env.task} with {env.action_repeat}: choose another one"
        )


def observe(states: States, readings: Readings) -> Float32[np.ndarray, "batch obs"]:
    """An agent's observations: the states without the distance, and the touch sensors."""
    return np.concatenate([states[:, 1:], np.log1p(readings.touch)], axis=1, dtype=np.float32)


@lru_cache(maxsize=1)
def load_agent_gait(path: StrPath) -> AgentGait:
    """The gait of the checkpoint at `path`, read once per process; raises as `AgentGait`."""
    return AgentGait(checkpoints.load(path))
