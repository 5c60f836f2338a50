"""Tasks of the dm_control suite through dm_control itself, stepped in batches.

Observations are the suite's, flattened in their own order. Actions in [-1, 1] are scaled to the
range of the actuators. Episodes do not end: whoever acts decides how many steps they have.

Reference: Tassa et al., "DeepMind Control Suite", 2018.
"""

import logging
import os
from collections.abc import Sequence
from contextlib import contextmanager
from functools import cache, cached_property, lru_cache
from typing import Any

import mujoco
import numpy as np
from jaxtyping import Bool, Float, Float32, Float64

from glassviz.agents.config import EnvConfig
from glassviz.envs.batch import Step
from glassviz.envs.bodies import TaskFacts, task_of
from glassviz.errors import GlassvizError

Quantity = Float64[np.ndarray, " envs"]


@cache
def _suite() -> Any:
    """The suite, imported without its renderers, which warn on a machine without a display."""
    variable, before = "MUJOCO_GL", os.environ.get("MUJOCO_GL")
    os.environ[variable] = "disable"
    try:
        from dm_control import suite
    finally:
        del os.environ[variable]
        if before is not None:
            os.environ[variable] = before
    return suite


def load(task: TaskFacts) -> Any:
    """A new environment of the suite, which does not draw."""
    suite, log = _suite(), logging.getLogger("absl")
    before, log.disabled = log.disabled, True  # models of the suite are deprecated in parts
    try:
        env = suite.load(task.body.domain, task.suite_name, task_kwargs={"random": 0})
    finally:
        log.disabled = before
    # Resets of a terrain would open a renderer to hand it the terrain.
    kind = type(env.physics)
    env.physics.__class__ = type(kind.__name__, (kind,), {"contexts": None})
    return env


@lru_cache(1)
def _loaded(task: str) -> Any:
    return load(task_of(task))


def model_after_reset(task: str, seed: int) -> mujoco.MjModel:
    """The model of a task in an episode: where targets and terrain lie is drawn in its reset.

    It is overwritten by the next call for the same task.
    """
    env = _loaded(task)
    _begin(env, seed % (1 << 32))
    return env.physics.model.ptr


class SuiteBatch:
    """A batch of independent episodes of a task of the suite.

    >>> walkers = SuiteBatch(EnvConfig(task="walker-walk", action_repeat=2), num=2)
    >>> walkers.reset(seeds=[0, 1]).obs.shape
    (2, 24)
    >>> step = walkers.step(np.zeros((2, walkers.action_dim)))
    >>> step.reward.shape, round(float(step.time[0]), 3)
    ((2,), 0.05)

    Raises:
        GlassvizError: the suite has no such task, or another physics profile is asked for.
    """

    def __init__(self, config: EnvConfig, num: int) -> None:
        self.config, self.num = config, num
        self.task = task_of(config.task)
        # Resets change some tasks' models: each episode has its own.
        self._envs = [load(self.task) for _ in range(num)]
        self._seeds = np.zeros(num)

    @cached_property
    def _first(self) -> Any:
        return self._envs[0] if self._envs else load(self.task)

    @cached_property
    def _model(self) -> mujoco.MjModel:
        return self._first.physics.model.ptr

    @cached_property
    def geoms(self) -> tuple[str, ...]:
        """Names of the geoms, in the order of `Step.contacts`."""
        return tuple(self._model.geom(i).name for i in range(self._model.ngeom))

    @cached_property
    def bodies(self) -> tuple[str, ...]:
        """Names of the bodies, in the order of `Step.angles`."""
        return tuple(self._model.body(i).name for i in range(1, self._model.nbody))

    @property
    def obs_dim(self) -> int:
        """Size of an observation."""
        return self.task.obs_dim

    @property
    def action_dim(self) -> int:
        """Size of an action."""
        return self.task.body.action_dim

    def reset(self, seeds: Sequence[int], upright: int = 0) -> Step:
        """Start an episode in each; its seed determines how it begins completely.

        Raises:
            GlassvizError: there are more or fewer seeds, or upright starts are asked for.
        """
        if len(seeds) != self.num:
            raise GlassvizError(f"reset: expected {self.num} seeds, found {len(seeds)}")
        if upright:
            raise GlassvizError(
                f"reset: expected no upright starts of {self.task.body.name}, found {upright}: "
                f"only the hopper can start upright"
            )
        for env, seed in zip(self._envs, seeds, strict=True):
            _begin(env, seed)
        self._seeds = np.array(seeds, dtype=np.float64)
        return self._observe(np.zeros(self.num))

    def step(self, actions: Float[np.ndarray, "envs act"]) -> Step:
        """Apply actions in [-1, 1] for `action_repeat` control steps.

        Raises:
            GlassvizError: the simulation diverges.
        """
        reward = np.zeros(self.num)
        for i, (env, action) in enumerate(zip(self._envs, self._scaled(actions), strict=True)):
            with self._diverging(i):
                for _ in range(self.config.action_repeat):
                    env.task.before_step(action, env.physics)
                    env.physics.step(self._substeps)
                    env.task.after_step(env.physics)
                    reward[i] += env.task.get_reward(env.physics)
        return self._observe(reward)

    def get_state(self) -> Float64[np.ndarray, "envs state"]:
        """The seed and the simulation state of each episode, for `set_state`."""
        spec = mujoco.mjtState.mjSTATE_INTEGRATION
        state = np.empty((self.num, 1 + mujoco.mj_stateSize(self._model, spec)))
        state[:, 0] = self._seeds
        for env, row in zip(self._envs, state[:, 1:], strict=True):
            mujoco.mj_getState(env.physics.model.ptr, env.physics.data.ptr, row, spec)
        return state

    def set_state(self, state: Float64[np.ndarray, "envs state"]) -> Step:
        """Continue from a state returned by `get_state`.

        The continuation is bitwise reproducible. The returned step is recomputed from the state:
        sensors that lag one substep in a running simulation are up to date here.
        """
        self._seeds = state[:, 0].copy()
        spec = mujoco.mjtState.mjSTATE_INTEGRATION
        for env, row in zip(self._envs, state, strict=True):
            _begin(env, int(row[0]) % (1 << 32))  # targets and terrain are part of the model
            model, data = env.physics.model.ptr, env.physics.data.ptr
            mujoco.mj_setState(model, data, row[1:], spec)
            mujoco.mj_forward(model, data)
            # mj_forward overwrites the solver's warm start: restore it.
            mujoco.mj_setState(model, data, row[1:], spec)
        return self._observe(np.zeros(self.num))

    @cached_property
    def _substeps(self) -> int:
        return round(self._first.control_timestep() / self._first.physics.timestep())

    def _scaled(self, actions: Float[np.ndarray, "envs act"]) -> Float[np.ndarray, "envs act"]:
        spec = self._first.action_spec()
        if (spec.minimum == -1).all() and (spec.maximum == 1).all():
            return actions  # as they are: scaling would round them
        return spec.minimum + (spec.maximum - spec.minimum) / 2 * (actions + 1)

    @contextmanager
    def _diverging(self, i: int) -> Any:
        from dm_control.rl.control import PhysicsError

        try:
            yield
        except PhysicsError as error:
            raise GlassvizError(
                f"{self.task.name}, episode {i}: expected a finite simulation, found one that "
                f"diverges ({str(error).splitlines()[0]}): the agent's actions are extreme"
            ) from None

    def _observe(self, reward: Quantity) -> Step:
        datas = [env.physics.data.ptr for env in self._envs]
        axes = np.array([data.xmat[1:] for data in datas])
        height, speed = self._height_and_speed()
        return Step(
            obs=np.array([_flat(env.task.get_observation(env.physics)) for env in self._envs]),
            reward=reward,
            time=np.array([data.time for data in datas]),
            qpos=np.array([data.qpos for data in datas]),
            qvel=np.array([data.qvel for data in datas]),
            height=height,
            speed=speed,
            angles=np.arctan2(axes[:, :, 2], axes[:, :, 8]),
            contacts=self._contacts(),
            touch=np.zeros((self.num, self.task.touch_sensors)),
            geom_heights=np.array([data.geom_xpos[:, 2] for data in datas]),
        )

    def _height_and_speed(
        self,
    ) -> tuple[Float64[np.ndarray, " envs"], Float64[np.ndarray, " envs"]]:
        """Of the torso above the floor, and of the centre of mass forward; NaN without a torso."""
        height, speed = np.full(self.num, np.nan), np.full(self.num, np.nan)
        body = self.task.body
        if body.torso is None:
            return height, speed
        torso = self._model.body(body.torso).id
        for i, env in enumerate(self._envs):
            data = env.physics.data.ptr
            mujoco.mj_subtreeVel(env.physics.model.ptr, data)
            ahead = np.array([1.0, 0.0])
            if body.forward == "torso":
                ahead = data.xmat[torso, [0, 3]]
                ahead = ahead / max(float(np.linalg.norm(ahead)), 1e-9)
            height[i] = data.xpos[torso, 2]
            speed[i] = data.subtree_linvel[torso, :2] @ ahead
        return height, speed

    def _contacts(self) -> Bool[np.ndarray, "envs geoms"]:
        is_floor = np.zeros(self._model.ngeom, dtype=bool)
        is_floor[self.task.body.floor_geoms(self.geoms)] = True
        touching = np.zeros((self.num, self._model.ngeom), dtype=bool)
        for row, env in zip(touching, self._envs, strict=True):
            data = env.physics.data.ptr
            if data.ncon:
                pairs = data.contact.geom
                row[pairs[is_floor[pairs].any(axis=1)]] = True
        return touching & ~is_floor


def _begin(env: Any, seed: int) -> None:
    """Start an episode as `env.reset` of an environment that was loaded with this seed."""
    env.task.random.seed(seed)
    with env.physics.reset_context():
        env.task.initialize_episode(env.physics)


def _flat(observation: dict[str, Any]) -> Float32[np.ndarray, " obs"]:
    return np.concatenate([np.ravel(value) for value in observation.values()]).astype(np.float32)
