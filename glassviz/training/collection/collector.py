"""Collection of one seed: hoppers that act, explore, and fill the replay buffer."""

import dataclasses
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Float32, Int, Int32

from glassviz.agents import glass as glass_ops
from glassviz.agents.agent import decide
from glassviz.agents.networks import Params, encode
from glassviz.agents.planner import PlannerState, initial_state
from glassviz.agents.several import over_each
from glassviz.agents.values import policy_action
from glassviz.envs.hopper import HopperBatch, Step
from glassviz.training.collection.replay import Replay
from glassviz.training.collection.shaping import Shaper
from glassviz.training.config import TrainConfig
from glassviz.training.learning.losses import task_params


class Proposal(NamedTuple):
    """What an agent would do without exploration noise.

    Attributes:
        action: of the policy, or of the planner.
        label: clusters of the observations; empty where nothing needs them.
        plan: what the planner starts from at the next step; empty without a planner.
    """

    action: Float[Array, "*seeds envs act"]
    label: Int[Array, "*seeds labels"]
    plan: tuple[Array, ...]


class Collector:
    """The hoppers of one seed.

    Args:
        rng: of resets and exploration; shared with whatever else the seed draws.
        replay: where steps go.
    """

    def __init__(self, train: TrainConfig, rng: np.random.Generator, replay: Replay) -> None:
        self.train, self.rng, self.replay = train, rng, replay
        agent, share = train.agent, train.num_envs // len(train.tasks)
        self._batches = [
            HopperBatch(dataclasses.replace(agent.env, task=task), share) for task in train.tasks
        ]
        self._shaper = Shaper(
            train.shaping, train.num_envs, agent.action_dim, self._batches[0].geoms
        )
        self.obs = np.zeros((train.num_envs, agent.obs_dim), np.float32)
        self.episode_step = 0
        self.plan: tuple[np.ndarray, ...] = ()

    def reset(self) -> None:
        """Start an episode in every hopper."""
        seeds = [int(seed) for seed in self.rng.integers(2**31, size=self.train.num_envs)]
        share = len(seeds) // len(self._batches)
        upright = round(self.train.explore.upright_resets * share)
        steps = [
            batch.reset(seeds[i * share : (i + 1) * share], upright)
            for i, batch in enumerate(self._batches)
        ]
        self.obs = np.concatenate([step.obs for step in steps])
        self.episode_step = 0
        self._shaper.reset()
        if self.train.explore.collect == "mppi":
            fresh = initial_state(self.train.agent, self.train.agent.planner, self.train.num_envs)
            self.plan = tuple(np.asarray(leaf) for leaf in fresh)

    @property
    def episode_steps(self) -> int:
        """Decisions of an episode in collection."""
        return self.train.explore.collect_episode_steps or self.train.agent.env.episode_steps

    def needs_proposal(self, env_steps: int) -> bool:
        """Whether the next actions or rewards depend on the agent at all."""
        explore = self.train.explore
        random = env_steps < explore.expl_until and not explore.expl_mix_decay_steps
        return not random or bool(self.train.shaping.cluster_intrinsic_coef)

    def step(self, proposal: Proposal | None, env_steps: int) -> None:
        """Act once in every hopper, and keep what came of it.

        Args:
            proposal: as `propose` made it for this seed; None while all actions are random.
            env_steps: of the run before this step.
        """
        action = self._explored(proposal, env_steps)
        step = self._advance(action)
        reward = step.reward
        if self.train.shaping.active:
            labels = None if proposal is None else np.asarray(proposal.label)
            reward = reward + self._shaper(step, action, labels, env_steps)
        first = np.full(len(action), self.episode_step == 0)
        self.replay.add(self.obs, action, reward.astype(np.float32), first)
        self.obs = step.obs
        if proposal is not None:
            self.plan = tuple(np.asarray(leaf) for leaf in proposal.plan)
        self.episode_step += 1
        if self.episode_step == self.episode_steps:
            self.reset()

    def get_state(self) -> dict[str, np.ndarray]:
        """Arrays that `set_state` continues from."""
        return {
            "env_state": np.concatenate([batch.get_state() for batch in self._batches]),
            "env_obs": self.obs,
            "episode_step": np.array(self.episode_step),
            **{f"plan_{i}": leaf for i, leaf in enumerate(self.plan)},
            **self._shaper.get_state(),
        }

    def set_state(self, state: dict[str, Any]) -> None:
        """Continue from what `get_state` returned."""
        for batch, rows in zip(
            self._batches, np.split(state["env_state"], len(self._batches)), strict=True
        ):
            batch.set_state(rows)
        # Not what the environment shows now: its touch sensors belong to the last substep taken.
        self.obs = state["env_obs"]
        self.episode_step = int(state["episode_step"])
        self.plan = tuple(state[name] for name in ("plan_0", "plan_1") if name in state)
        self._shaper.set_state(state)

    def _explored(self, proposal: Proposal | None, env_steps: int) -> Float32[np.ndarray, "e act"]:
        explore = self.train.explore
        shape = (self.train.num_envs, self.train.agent.action_dim)
        random = env_steps < explore.expl_until
        mixed = explore.expl_mix_decay_steps
        if proposal is None or (random and not mixed):
            return self.rng.uniform(-1, 1, shape).astype(np.float32)
        noise = noise_std(self.train, env_steps) * self.rng.standard_normal(shape, np.float32)
        action = np.clip(np.asarray(proposal.action) + noise, -1, 1).astype(np.float32)
        if mixed and env_steps < mixed:
            at_random = self.rng.random(len(action)) < 1 - env_steps / mixed
            uniform = self.rng.uniform(-1, 1, shape).astype(np.float32)
            action = np.where(at_random[:, None], uniform, action)
        return action

    def _advance(self, action: Float32[np.ndarray, "envs act"]) -> Step:
        actions = np.split(action.astype(np.float64), len(self._batches))
        steps = [batch.step(share) for batch, share in zip(self._batches, actions, strict=True)]
        if len(steps) == 1:
            return steps[0]
        names = [each.name for each in dataclasses.fields(Step)]
        return Step(**{n: np.concatenate([getattr(s, n) for s in steps]) for n in names})


def noise_std(train: TrainConfig, env_steps: int) -> float:
    """Std of the noise in collection after so many environment steps.

    The planner of TD-MPC2 adds the noise of its own plan instead.
    """
    explore = train.explore
    if explore.collect == "mppi" and train.agent.planner.variant == "tdmpc2":
        return 0.0
    if explore.act_noise_end is None:
        return explore.act_noise_start
    progress = min(1.0, env_steps / explore.act_noise_anneal_steps)
    return explore.act_noise_start + progress * (explore.act_noise_end - explore.act_noise_start)


def propose(
    train: TrainConfig,
    params: Params,
    obs: Float32[np.ndarray, "seeds envs obs"],
    plan: tuple[np.ndarray, ...],
    seeds: Int32[np.ndarray, " seeds"],
    env_steps: int,
) -> list[Proposal]:
    """What the agents of several seeds would do, in one compiled call.

    Args:
        params: with the seeds on every leaf's first axis.
        plan: the collectors' planner states; empty when the policy acts.
        seeds: of the planner's draws, together with `env_steps`.
    """
    found = _proposals(
        train, params, jnp.asarray(obs), tuple(map(jnp.asarray, plan)), seeds, env_steps
    )
    host = jax.tree.map(np.asarray, found)
    return [jax.tree.map(lambda leaf, i=i: leaf[i], host) for i in range(len(obs))]


@partial(jax.jit, static_argnames="train")
def _proposals(
    train: TrainConfig,
    params: Params,
    obs: Float[Array, "seeds envs obs"],
    plan: tuple[Array, ...],
    seeds: Int[Array, " seeds"],
    env_steps: Int[Array, ""],
) -> Proposal:
    def one_seed(each: tuple[Params, Array, tuple[Array, ...], Array]) -> Proposal:
        params, obs, plan, seed = each
        key = jax.random.fold_in(jax.random.key(seed), env_steps)
        if not train.multitask:
            return _propose(train, params, obs, plan, key)
        count = len(train.tasks)
        shares = [
            _propose(
                train, task_params(params, i), jnp.split(obs, count)[i],
                tuple(jnp.split(leaf, count)[i] for leaf in plan), jax.random.fold_in(key, i),
            )
            for i in range(count)
        ]  # fmt: skip
        joined: Proposal = jax.tree.map(lambda *leaves: jnp.concatenate(leaves), *shares)
        return joined

    result: Proposal = over_each(one_seed, (params, obs, plan, seeds))
    return result


def _propose(
    train: TrainConfig,
    params: Params,
    obs: Float[Array, "envs obs"],
    plan: tuple[Array, ...],
    key: Array,
) -> Proposal:
    agent = train.agent
    z = encode(agent, params, obs)
    label = jnp.zeros(0, int)
    if train.shaping.cluster_intrinsic_coef and agent.glass:
        label = glass_ops.label(agent.glass, params["glass"], z)
    if train.explore.collect == "pi":
        return Proposal(policy_action(agent, params, z), label, ())
    planner = dataclasses.replace(agent.planner, action_noise=agent.planner.variant == "tdmpc2")
    keys = jax.random.split(key, len(obs))
    decision, state = decide(
        agent, planner, "mppi", "nearest-prototype", params, obs, PlannerState(*plan), keys
    )
    return Proposal(decision.action, label, tuple(state))
