"""Run agents in an environment, a batch of episodes at a time, and record what they did."""

from collections.abc import Callable, Sequence
from functools import lru_cache, partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float32, Key

from glassviz.agents.config import AgentConfig, PlannerConfig
from glassviz.agents.glass import LabelRule
from glassviz.agents.networks import Params, batching_is_faster, stack
from glassviz.agents.planner import Controller, Decision, PlannerState, decide, initial_state
from glassviz.envs.batch import Batch, Step

Arrays = dict[str, np.ndarray]

FROM_DECISION = (
    *("latent", "soft_assignment", "prototype", "label"),
    *("action", "policy_action", "value", "value_spread"),
)
FROM_STEP = ("time", "qpos", "qvel", "obs", "height", "speed", "angles", "contacts", "touch")


def reset_seeds(seed: int, episodes: int) -> list[int]:
    """The seeds that the episodes of a roll-out are reset with.

    Well apart for different `seed`, and the first n are the same however many follow.
    """
    return [int(word) for word in np.random.SeedSequence(seed).generate_state(episodes)]


class Actors:
    """Agents of one architecture under one controller, in the midst of their episodes.

    On a CPU each episode is decided by itself, in one program whatever their number: what happens
    in it depends on agent, controller, settings and reset alone, to the last bit. Sums of a
    product of matrices are rounded in an order that depends on how many rows there are, and a
    batch saves a CPU no time. An accelerator decides all episodes in one call.

    Args:
        episodes: how many of every agent; all agents meet the same resets.
        planner: constants to plan with; the agents' own by default.
        first: the first of these episodes, counted from 0 among those that the seed leads to.

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
        first: int = 0,
    ) -> None:
        planner = planner or config.planner
        seeds = reset_seeds(seed, first + episodes)[first:]
        self.reset_seeds = seeds * len(agents)
        self._t = 0
        if batching_is_faster():
            params: Any = agents[0] if len(agents) == 1 else stack(agents)
            shares = [(params, seeds)]
            self._decide = _decider(config, planner, controller, rule, several=len(agents) > 1)
        else:
            shares = [(params, [each]) for params in agents for each in seeds]
            self._decide = _decider(config, planner, controller, rule, several=False)
        self._params = [params for params, _ in shares]
        self._keys = [_episode_keys(seed, own) for _, own in shares]
        size = len(self.reset_seeds) // len(shares)
        self._states = [initial_state(config, planner, size) for _ in shares]

    def decide(self, obs: Float32[np.ndarray, "all_episodes obs"]) -> Decision:
        """The next decision in every episode, from what it shows now.

        An accelerator is not waited for.
        """
        decisions = []
        for i, own in enumerate(np.split(obs, len(self._states))):
            decision, self._states[i] = self._decide(
                self._params[i], own, self._states[i], self._keys[i], self._t
            )
            decisions.append(decision)
        self._t += 1
        return decisions[0] if len(decisions) == 1 else jax.tree.map(_joined, *decisions)


def _joined(*parts: Array) -> np.ndarray:
    return np.concatenate([np.asarray(part) for part in parts])


def _episode_keys(seed: int, reset_seeds: Sequence[int]) -> Key[Array, " episodes"]:
    """What planning draws from in each episode: determined by the seed and its own reset."""
    fold_in = jax.vmap(partial(jax.random.fold_in, jax.random.key(seed)))
    keys: Array = fold_in(jnp.array(reset_seeds, dtype=jnp.uint32))
    return keys


def roll_out(
    config: AgentConfig,
    agents: Sequence[Params],
    controller: Controller,
    env: Batch,
    seed: int,
    steps: int,
    planner: PlannerConfig | None = None,
    rule: LabelRule = "nearest-prototype",
    on_step: Callable[[int], None] | None = None,
    first: int = 0,
) -> list[Arrays]:
    """Record episodes of one or more agents of one architecture, side by side.

    Frame t of an episode holds the state and observation at t, the decision made from that very
    observation, and the reward that its action earned.

    Args:
        env: its episodes are dealt to the agents in equal shares.
        steps: frames per episode.
        on_step: called with the number of frames recorded so far.
        first: the first of these episodes, counted from 0 among those that the seed leads to.

    Returns:
        For each agent the arrays of a `Trace`, with axes (episodes, frames, …).
    """
    episodes = env.num // len(agents)
    actors = Actors(config, agents, controller, episodes, seed, planner, rule, first)
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


@lru_cache
def _decider(
    config: AgentConfig,
    planner: PlannerConfig,
    controller: Controller,
    rule: LabelRule,
    several: bool,
) -> Callable[..., tuple[Decision, PlannerState]]:
    """`decide` at a time of the episodes, compiled.

    For several agents, stacked, with their episodes one after the other: all that goes in and comes
    out has these on its first axis, but for the keys, which the agents share.
    """

    def one(
        params: Params, obs: Array, state: PlannerState, keys: Key[Array, " episodes"], t: Array
    ) -> tuple[Decision, PlannerState]:
        keys = jax.vmap(jax.random.fold_in, in_axes=(0, None))(keys, t)
        return decide(config, planner, controller, rule, params, obs, state, keys)

    def each(
        params: Params, obs: Array, state: PlannerState, keys: Key[Array, " episodes"], t: Array
    ) -> tuple[Decision, PlannerState]:
        shares = jax.tree.map(lambda x: x.reshape(-1, len(keys), *x.shape[1:]), (obs, state))
        own_obs, own_state = shares
        of_agents = jax.vmap(one, in_axes=(0, 0, 0, None, None))
        decided = of_agents(params, own_obs, own_state, keys, t)
        # Spelled out: −1 would not do where an array is empty, as those of labels without Glass.
        return jax.tree.map(lambda x: x.reshape(x.shape[0] * x.shape[1], *x.shape[2:]), decided)

    return jax.jit(each if several else one)


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
