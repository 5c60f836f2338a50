"""Run agents in an environment, a batch of episodes at a time, and record what they did."""

from collections.abc import Callable, Sequence
from functools import lru_cache, partial
from typing import Any, Protocol, runtime_checkable

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float32, Key

from glassviz.agents.config import AgentConfig, PlannerConfig
from glassviz.agents.glass import LabelRule
from glassviz.agents.networks import Params, map_stacked, stack
from glassviz.agents.planner import Controller, Decision, PlannerState, decide, initial_state
from glassviz.envs.hopper import Step

Arrays = dict[str, np.ndarray]

FROM_DECISION = (
    *("latent", "soft_assignment", "prototype", "label"),
    *("action", "policy_action", "value", "value_spread"),
)
FROM_STEP = ("time", "qpos", "qvel", "obs", "height", "speed", "angles", "contacts", "touch")


@runtime_checkable
class Env(Protocol):
    """What `roll_out` needs of an environment; `HopperBatch` is one."""

    @property
    def num(self) -> int:
        """How many episodes run side by side."""

    def reset(self, seeds: Sequence[int]) -> Step:
        """Start an episode in each."""

    def step(self, actions: np.ndarray) -> Step:
        """Act in each; the reward is that of these actions."""


def reset_seeds(seed: int, episodes: int) -> list[int]:
    """The seeds that the episodes of a roll-out are reset with.

    Well apart for different `seed`, and the first n are the same however many follow.
    """
    return [int(word) for word in np.random.SeedSequence(seed).generate_state(episodes)]


class Actors:
    """Agents of one architecture under one controller, in the midst of their episodes.

    Args:
        episodes: how many of every agent; all agents meet the same resets.
        planner: constants to plan with; the agents' own by default.

    Attributes:
        reset_seeds: of all episodes, agent by agent; what an environment is to be reset with.
    """

    def __init__(
        self,
        config: AgentConfig,
        agents: Sequence[Params],
        controller: Controller,
        episodes: int,
        seed: int,
        planner: PlannerConfig | None = None,
        rule: LabelRule = "nearest-prototype",
    ) -> None:
        planner = planner or config.planner
        seeds = reset_seeds(seed, episodes)
        self.reset_seeds = seeds * len(agents)
        self._keys = jax.vmap(lambda s: jax.random.fold_in(jax.random.key(seed), s))(
            jnp.array(seeds, dtype=jnp.uint32)
        )
        self._params: Any = agents[0] if len(agents) == 1 else stack(agents)
        self._decide = _decider(config, planner, controller, rule, several=len(agents) > 1)
        self._state = initial_state(config, planner, len(self.reset_seeds))
        self._t = 0

    def decide(self, obs: Float32[np.ndarray, "all_episodes obs"]) -> Decision:
        """The next decision in every episode, from what it shows now.

        Returns without waiting for it to be computed.
        """
        keys = _fold_in(self._keys, self._t)
        decision, self._state = self._decide(self._params, jnp.asarray(obs), self._state, keys)
        self._t += 1
        return decision


def roll_out(
    config: AgentConfig,
    agents: Sequence[Params],
    controller: Controller,
    env: Env,
    seed: int,
    steps: int,
    planner: PlannerConfig | None = None,
    rule: LabelRule = "nearest-prototype",
    on_step: Callable[[int], None] | None = None,
) -> list[Arrays]:
    """Record episodes of one or more agents of one architecture, all planned in one call a step.

    Frame t of an episode holds the state and observation at t, the decision made from that very
    observation, and the reward that its action earned.

    Args:
        env: its hoppers are dealt to the agents in equal shares.
        steps: frames per episode.
        on_step: called with the number of frames recorded so far.

    Returns:
        For each agent the arrays of a `Trace`, with axes (episodes, frames, …).
    """
    actors = Actors(config, agents, controller, env.num // len(agents), seed, planner, rule)
    step = env.reset(actors.reset_seeds)
    decisions, shown, rewards = [], [], []
    for t in range(steps):
        decisions.append(jax.tree.map(np.asarray, actors.decide(step.obs)))
        shown.append(step)
        step = env.step(decisions[-1].action.astype(np.float64))
        rewards.append(step.reward)
        if on_step:
            on_step(t + 1)
    return _arrays(decisions, shown, rewards, len(agents))


_fold_in = jax.jit(jax.vmap(jax.random.fold_in, in_axes=(0, None)))


@lru_cache
def _decider(
    config: AgentConfig,
    planner: PlannerConfig,
    controller: Controller,
    rule: LabelRule,
    several: bool,
) -> Callable[..., tuple[Decision, PlannerState]]:
    """`decide`, compiled; for several agents with their episodes one after the other, keys shared.

    All that goes in and comes out has the episodes of all agents on its first axis.
    """
    one = partial(decide, config, planner, controller, rule)
    if not several:
        return jax.jit(one)

    def each(
        params: Params, obs: Array, state: PlannerState, keys: Key[Array, " episodes"]
    ) -> tuple[Decision, PlannerState]:
        shares = jax.tree.map(lambda x: x.reshape(-1, len(keys), *x.shape[1:]), (obs, state))

        def decide_one(share: Any) -> tuple[Decision, PlannerState]:
            own_params, (own_obs, own_state) = share
            return one(own_params, own_obs, own_state, keys)

        decided = map_stacked(decide_one, (params, shares))
        # Spelled out: −1 would not do where an array is empty, as those of labels without Glass.
        return jax.tree.map(lambda x: x.reshape(x.shape[0] * x.shape[1], *x.shape[2:]), decided)

    return jax.jit(each)


def _arrays(
    decisions: list[Decision], shown: list[Step], rewards: list[np.ndarray], agents: int
) -> list[Arrays]:
    """Per-step records to one dict of (episodes, frames, …) arrays an agent."""
    columns = {name: [getattr(step, name) for step in shown] for name in FROM_STEP}
    columns |= {name: [getattr(each, name) for each in decisions] for name in FROM_DECISION}
    columns["reward"] = rewards
    # (frames, agents · episodes, …) to (agents · episodes, frames, …), then one share an agent.
    shares = {name: np.split(np.stack(rows, axis=1), agents) for name, rows in columns.items()}
    return [{name: share[i] for name, share in shares.items()} for i in range(agents)]
