"""Model-predictive path integral planning (MPPI) over a learned world model.

Sources: TD-MPC2 (Hansen, Su & Wang, ICLR 2024), section 3.3, for the variant `tdmpc2`; the
planner of TD-MPC-Glass for the variant `glass`. `PlannerConfig` says how the two differ.
"""

from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Key

from glassviz.agents.config import AgentConfig, PlannerConfig
from glassviz.agents.networks import Params
from glassviz.agents.world_model import Model, world_model
from glassviz.errors import GlassvizError


class PlannerState(NamedTuple):
    """The sampling distribution, step by step over the horizon.

    Between plans it is already shifted: its first row belongs to the action that comes next.
    """

    mean: Float[Array, "*episodes horizon act"]
    std: Float[Array, "*episodes horizon act"]


class Plan(NamedTuple):
    """What came out of planning.

    Attributes:
        action: what to do now, in [-1, 1].
        state: what the next step's plan starts from.
        value: mean of the elites' values in the last iteration.
        value_spread: standard deviation of the same.
    """

    action: Float[Array, "*episodes act"]
    state: PlannerState
    value: Float[Array, "*episodes"]
    value_spread: Float[Array, "*episodes"]


class Trajectories(NamedTuple):
    """Action sequences, the discounted model rewards that they earn, and where they end."""

    actions: Float[Array, "rows horizon act"]
    rewards: Float[Array, " rows"]
    end: Float[Array, "rows latent"]


class Elites(NamedTuple):
    """The best action sequences, what they are worth, and how much each counts (sums to 1)."""

    actions: Float[Array, "*iterations elites horizon act"]
    values: Float[Array, "*iterations elites"]
    weights: Float[Array, "*iterations elites"]


def initial_state(config: AgentConfig, planner: PlannerConfig, episodes: int) -> PlannerState:
    """The state at the start of an episode: mean 0, the widest std."""
    shape = (episodes, planner.horizon, config.action_dim)
    # The dtype is spelled out: of a weak type, it would have the planner compiled once more for the
    # second step.
    return PlannerState(
        jnp.zeros(shape, jnp.float32), jnp.full(shape, planner.max_std, jnp.float32)
    )


def plan(
    config: AgentConfig,
    planner: PlannerConfig,
    params: Params,
    z: Float[Array, "episodes latent"],
    state: PlannerState,
    keys: Key[Array, " episodes"],
) -> Plan:
    """Plan one action for each episode.

    Pure; jit it with `config` and `planner` static, and vmap it over `params` for several agents
    of one architecture. An episode's draws depend on its own key alone.

    Args:
        config: the agent.
        planner: the planner's constants; not necessarily `config.planner`.
        params: its parameters, as `networks.init_params` lays them out.
        z: latents of the current observations.
        state: `initial_state` at the start of an episode, then the previous plan's state.
        keys: one a plan and episode, as `jax.random.split` makes them.

    Raises:
        GlassvizError: the agent cannot be planned with.
    """
    if config.no_planner:
        raise GlassvizError(
            f"planner: expected an agent that can be planned with, found one that cannot "
            f"({config.no_planner}): use the controller `pi`"
        )
    model = world_model(config, planner, params)
    return jax.vmap(partial(search, planner, model))(z, state, keys)


def search(
    planner: PlannerConfig,
    model: Model,
    z: Float[Array, " latent"],
    state: PlannerState,
    key: Key[Array, ""],
) -> Plan:
    """Plan one action of one episode with any world model.

    `key` is split into one key for the policy's trajectories, one an iteration (split again into
    one for the samples and one for the terminal value), and one for the action.
    """
    propose_key, *iteration_keys, act_key = jax.random.split(key, planner.iterations + 2)
    proposed = propose(planner, model, z, propose_key)

    def iterate(state: PlannerState, key: Key[Array, ""]) -> tuple[PlannerState, Elites]:
        sample_key, value_key = jax.random.split(key)
        sampled = roll_out(planner, model, z, sample(planner, state, sample_key))
        candidates = jax.tree.map(lambda *parts: jnp.concatenate(parts), proposed, sampled)
        elites = select(planner, candidates, evaluate(planner, model, candidates, value_key))
        return refit(planner, elites), elites

    # A scan, and not a loop in Python, because it compiles in half the time and runs as fast.
    fitted, history = jax.lax.scan(iterate, state, jnp.stack(iteration_keys))
    elites = jax.tree.map(lambda leaf: leaf[-1], history)
    return Plan(
        action=act(planner, fitted, elites, act_key),
        state=shift(planner, fitted),
        value=elites.values.mean(),
        value_spread=elites.values.std(),
    )


def propose(
    planner: PlannerConfig, model: Model, z: Float[Array, " latent"], key: Key[Array, ""]
) -> Trajectories:
    """Trajectories of the policy prior, imagined step by step."""
    latent = jnp.broadcast_to(z, (planner.policy_trajectories, *z.shape))
    rewards = jnp.zeros(planner.policy_trajectories)
    actions = []
    for t, step_key in enumerate(jax.random.split(key, planner.horizon)):
        actions.append(model.policy(latent, step_key))
        latent, reward = model.step(latent, actions[-1])
        rewards += planner.discount**t * reward
    return Trajectories(jnp.stack(actions, axis=1), rewards, latent)


def sample(
    planner: PlannerConfig, state: PlannerState, key: Key[Array, ""]
) -> Float[Array, "samples horizon act"]:
    """Action sequences drawn from N(mean, std), clipped to [-1, 1]."""
    rows = planner.samples - planner.policy_trajectories
    noise = jax.random.normal(key, (rows, *state.mean.shape))
    return jnp.clip(state.mean + state.std * noise, -1.0, 1.0)


def roll_out(
    planner: PlannerConfig,
    model: Model,
    z: Float[Array, " latent"],
    actions: Float[Array, "rows horizon act"],
) -> Trajectories:
    """What the model expects of action sequences that all start in z."""
    latent, rewards = z, jnp.zeros(actions.shape[0])
    for t in range(planner.horizon):
        latent, reward = model.step(latent, actions[:, t])
        rewards += planner.discount**t * reward
    return Trajectories(actions, rewards, latent)


def evaluate(
    planner: PlannerConfig, model: Model, trajectories: Trajectories, key: Key[Array, ""]
) -> Float[Array, " rows"]:
    """Σ γ^t r_t + γ^H · terminal value."""
    terminal = model.terminal(trajectories.end, key)
    return trajectories.rewards + planner.discount**planner.horizon * terminal


def select(
    planner: PlannerConfig, candidates: Trajectories, values: Float[Array, " rows"]
) -> Elites:
    """The best trajectories, all counting the same (`glass`) or by their value (`tdmpc2`)."""
    elite_values, best = jax.lax.top_k(values, planner.elites)
    if planner.variant == "glass":
        weights = jnp.full_like(elite_values, 1.0 / planner.elites)
    else:
        weights = jax.nn.softmax(planner.temperature * elite_values)
    return Elites(candidates.actions[best], elite_values, weights)


def refit(planner: PlannerConfig, elites: Elites) -> PlannerState:
    """Weighted mean and std of the elites, the std within its bounds."""
    weights = elites.weights[:, None, None]
    mean = (weights * elites.actions).sum(axis=0)
    std = jnp.sqrt((weights * (elites.actions - mean) ** 2).sum(axis=0))
    return PlannerState(mean, jnp.clip(std, planner.min_std, planner.max_std))


def act(
    planner: PlannerConfig, fitted: PlannerState, elites: Elites, key: Key[Array, ""]
) -> Float[Array, " act"]:
    """The first action of the mean (`glass`), or of one elite drawn by weight (`tdmpc2`)."""
    if planner.variant == "glass":
        return jnp.clip(fitted.mean[0], -1.0, 1.0)
    pick_key, noise_key = jax.random.split(key)
    action = elites.actions[jax.random.categorical(pick_key, jnp.log(elites.weights)), 0]
    if planner.action_noise:
        action += fitted.std[0] * jax.random.normal(noise_key, action.shape)
    return jnp.clip(action, -1.0, 1.0)


def shift(planner: PlannerConfig, fitted: PlannerState) -> PlannerState:
    """Where the next plan starts: one step on; the std is carried over by `glass` alone."""
    mean, std = fitted
    widest = jnp.full_like(std, planner.max_std)
    return PlannerState(
        mean=jnp.concatenate([mean[1:], jnp.zeros_like(mean[:1])]),
        std=jnp.concatenate([std[1:], widest[:1]]) if planner.variant == "glass" else widest,
    )
