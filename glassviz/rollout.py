"""Run agents in an environment, a batch of episodes at a time, and record what they did."""

from collections.abc import Callable, Sequence
from functools import lru_cache, partial
from typing import Any, Protocol, runtime_checkable

import jax
import jax.numpy as jnp
import numpy as np

from glassviz.agents.agent import Controller, Decision, decide
from glassviz.agents.config import AgentConfig, PlannerConfig
from glassviz.agents.glass import LabelRule
from glassviz.agents.networks import Params
from glassviz.agents.planner import PlannerState, initial_state
from glassviz.envs.hopper import Step

Arrays = dict[str, np.ndarray]
OnStep = Callable[[int], None]

FROM_DECISION = (
    "latent",
    "soft_assignment",
    "prototype",
    "label",
    "action",
    "policy_action",
    "value",
    "value_spread",
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


def roll_out(
    config: AgentConfig,
    agents: Sequence[Params],
    controller: Controller,
    env: Env,
    seed: int,
    steps: int,
    planner: PlannerConfig | None = None,
    rule: LabelRule = "nearest-prototype",
    on_step: OnStep | None = None,
) -> list[Arrays]:
    """Record episodes of one or more agents of one architecture, all planned in one call a step.

    Frame t of an episode holds the state and observation at t, the decision made from that very
    observation, and the reward that its action earned.

    Args:
        config: the architecture that the agents share.
        agents: their parameters. The hoppers of `env` are dealt to them in equal shares, and
            every agent meets the same resets.
        seed: determines resets and planning completely.
        steps: frames per episode.
        planner: constants to plan with; the agents' own by default.
        on_step: called with the number of frames recorded so far.

    Returns:
        For each agent the arrays of a `Trace`, with axes (episodes, frames, …).
    """
    episodes = env.num // len(agents)
    planner = planner or config.planner
    seeds = reset_seeds(seed, episodes)
    keys = jax.vmap(lambda s: jax.random.fold_in(jax.random.key(seed), s))(
        jnp.array(seeds, dtype=jnp.uint32)
    )
    state = initial_state(config, planner, episodes)
    act = _decider(config, planner, controller, rule, several=len(agents) > 1)
    params: Any = agents[0]
    lead: tuple[int, ...] = (episodes,)
    if len(agents) > 1:
        params, lead = jax.tree.map(lambda *p: jnp.stack(p), *agents), (len(agents), episodes)
        state = jax.tree.map(lambda x: jnp.broadcast_to(x, (len(agents), *x.shape)), state)

    step = env.reset(seeds * len(agents))
    decisions, shown, rewards = [], [], []
    for t in range(steps):
        obs = jnp.asarray(step.obs).reshape(*lead, -1)
        step_keys = _fold_in(keys, t)
        decision, state = act(params, obs, state, step_keys)
        decisions.append(
            jax.tree.map(lambda x: np.asarray(x).reshape(env.num, *x.shape[len(lead) :]), decision)
        )
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
    """`decide`, compiled; for several agents with one more axis in front, keys shared."""
    one = partial(decide, config, planner, controller, rule)
    return jax.jit(jax.vmap(one, in_axes=(0, 0, 0, None)) if several else one)


def _arrays(
    decisions: list[Decision], shown: list[Step], rewards: list[np.ndarray], agents: int
) -> list[Arrays]:
    """Per-step records to one dict of (episodes, frames, …) arrays an agent."""
    columns = {name: [getattr(step, name) for step in shown] for name in FROM_STEP}
    columns |= {name: [getattr(each, name) for each in decisions] for name in FROM_DECISION}
    columns["reward"] = rewards
    # (frames, agents · episodes, …) to (agents · episodes, frames, …), then one share an agent.
    stacked = {name: np.stack(values, axis=1) for name, values in columns.items()}
    shares = {name: np.split(array, agents) for name, array in stacked.items()}
    return [{name: share[i] for name, share in shares.items()} for i in range(agents)]
