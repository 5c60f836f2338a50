"""The planner (MPPI over the world model), and the decisions of planner and policy prior."""

from functools import partial
from typing import Literal, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Key

from glassviz.agents import glass
from glassviz.agents.config import AgentConfig, PlannerConfig
from glassviz.agents.networks import Action, Latent, Params, Value, encode
from glassviz.agents.world_model import Model, policy_action, q_values, world_model
from glassviz.errors import GlassvizError


class PlannerState(NamedTuple):
    """The Gaussian sampling distribution over action sequences.

    Between plans it is already shifted: its first row belongs to the next action.
    """

    mean: Float[Array, "*episodes horizon act"]
    std: Float[Array, "*episodes horizon act"]


class Plan(NamedTuple):
    """Result of planning: the action to take now, in [-1, 1], and the next step's initial state.

    `value` and `value_spread` are mean and std of the elites' values in the last iteration.
    """

    action: Float[Array, "*episodes act"]
    state: PlannerState
    value: Float[Array, "*episodes"]
    value_spread: Float[Array, "*episodes"]


class Trajectories(NamedTuple):
    """Action sequences, their discounted model rewards and their final latents.

    `going` is 1 where the episode goes on after the final latent, else 0.
    """

    actions: Float[Array, "rows horizon act"]
    rewards: Float[Array, " rows"]
    end: Float[Array, "rows latent"]
    going: Float[Array, " rows"]


class Elites(NamedTuple):
    """The best action sequences, their values and their weights, which sum to 1."""

    actions: Float[Array, "*iterations elites horizon act"]
    values: Float[Array, "*iterations elites"]
    weights: Float[Array, "*iterations elites"]


def initial_state(config: AgentConfig, planner: PlannerConfig, episodes: int) -> PlannerState:
    """The state at the start of an episode: mean 0, std `max_std`."""
    shape = (episodes, planner.horizon, config.action_dim)
    # With a weak type in place of an explicit dtype, the second step would recompile the planner.
    mean, std = jnp.zeros(shape, jnp.float32), jnp.full(shape, planner.max_std, jnp.float32)
    return PlannerState(mean, std)


def plan(
    config: AgentConfig,
    planner: PlannerConfig,
    params: Params,
    z: Float[Array, "episodes latent"],
    state: PlannerState,
    keys: Key[Array, " episodes"],
) -> Plan:
    """Plan one action per episode.

    Pure; jit it with `config` and `planner` static, and vmap it over `params` for several agents
    of one architecture. The random numbers of an episode depend on its key alone.

    Args:
        planner: parameters of the planner; not necessarily `config.planner`.
        params: structured as by `networks.init_params`.
        state: `initial_state` at the start of an episode, then the previous plan's state.
        keys: one key per episode, fresh for every plan.

    Raises:
        GlassvizError: the planner cannot run this agent.
    """
    if config.no_planner:
        raise GlassvizError(
            f"planner: expected an agent that supports planning, found one that does not "
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

    `key` is split into one key for the policy's trajectories, one per iteration (split again into
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

    # A scan compiles in half the time of a Python loop and runs as fast.
    fitted, history = jax.lax.scan(iterate, state, jnp.stack(iteration_keys))
    elites = jax.tree.map(lambda leaf: leaf[-1], history)
    action, values = act(planner, fitted, elites, act_key), elites.values
    return Plan(action, shift(planner, fitted), values.mean(), values.std())


def propose(
    planner: PlannerConfig, model: Model, z: Float[Array, " latent"], key: Key[Array, ""]
) -> Trajectories:
    """Trajectories of the policy prior in the world model."""
    latent = jnp.broadcast_to(z, (planner.policy_trajectories, *z.shape))
    rewards, going = jnp.zeros(planner.policy_trajectories), jnp.ones(planner.policy_trajectories)
    actions = []
    for t, step_key in enumerate(jax.random.split(key, planner.horizon)):
        actions.append(model.policy(latent, step_key))
        latent, reward = model.step(latent, actions[-1])
        rewards += planner.discount**t * _counted(model, reward, going)
        going = _going(model, latent, going)
    return Trajectories(jnp.stack(actions, axis=1), rewards, latent, going)


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
    """Roll out action sequences from z in the world model."""
    latent, rewards, going = z, jnp.zeros(actions.shape[0]), jnp.ones(actions.shape[0])
    for t in range(planner.horizon):
        latent, reward = model.step(latent, actions[:, t])
        rewards += planner.discount**t * _counted(model, reward, going)
        going = _going(model, latent, going)
    return Trajectories(actions, rewards, latent, going)


def _counted(
    model: Model, value: Float[Array, " rows"], going: Float[Array, " rows"]
) -> Float[Array, " rows"]:
    """What of a reward or a value counts: nothing after the end of an episode."""
    return value if model.ends is None else going * value


def _going(
    model: Model, z: Float[Array, "rows latent"], going: Float[Array, " rows"]
) -> Float[Array, " rows"]:
    """1 where an episode still goes on in z, else 0."""
    return going if model.ends is None else going * (1.0 - model.ends(z))


def evaluate(
    planner: PlannerConfig, model: Model, trajectories: Trajectories, key: Key[Array, ""]
) -> Float[Array, " rows"]:
    """Σ γ^t r_t + γ^H · terminal value."""
    value = model.terminal(trajectories.end, key)
    terminal = _counted(model, value, trajectories.going)
    return trajectories.rewards + planner.discount**planner.horizon * terminal


def select(
    planner: PlannerConfig, candidates: Trajectories, values: Float[Array, " rows"]
) -> Elites:
    """The best trajectories, weighted equally (`glass`) or by value (`tdmpc2`)."""
    elite_values, best = jax.lax.top_k(values, planner.elites)
    if planner.variant == "glass":
        weights = jnp.full_like(elite_values, 1.0 / planner.elites)
    else:
        weights = jax.nn.softmax(planner.temperature * elite_values)
    return Elites(candidates.actions[best], elite_values, weights)


def refit(planner: PlannerConfig, elites: Elites) -> PlannerState:
    """Weighted mean and std of the elites, the std clipped to its bounds."""
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
    """Initial state of the next plan, one step later; all but `tdmpc2` carry the std over."""
    mean, std = fitted
    initial_std = jnp.full_like(std, planner.max_std)
    shifted_std = jnp.concatenate([std[1:], initial_std[:1]])
    shifted_mean = jnp.concatenate([mean[1:], jnp.zeros_like(mean[:1])])
    return PlannerState(shifted_mean, initial_std if planner.variant == "tdmpc2" else shifted_std)


Controller = Literal["mppi", "pi"]
CONTROLLERS: tuple[Controller, ...] = ("mppi", "pi")
NO_CLUSTER = -1


class Decision(NamedTuple):
    """An agent's response to observations; the fields of a trace's frame.

    Attributes:
        latent: encoder output z.
        soft_assignment: c over the prototypes; no columns without Glass.
        prototype, label: nearest prototype and cluster; -1 without Glass.
        action: action of the controller.
        policy_action: action of the policy prior.
        value, value_spread: predicted return-to-go. Under `mppi` mean and std of the elites'
            values, under `pi` mean and std of the Q heads at the action.
    """

    latent: Latent
    soft_assignment: glass.Assignment
    prototype: glass.Index
    label: glass.Index
    action: Action
    policy_action: Action
    value: Value
    value_spread: Value


def decide(
    config: AgentConfig,
    planner: PlannerConfig,
    controller: Controller,
    rule: glass.LabelRule,
    params: Params,
    obs: Float[Array, "episodes obs"],
    state: PlannerState,
    keys: Key[Array, " episodes"],
) -> tuple[Decision, PlannerState]:
    """One decision per episode. Pure; arguments as for `planner.plan`."""
    z = encode(config, params, obs)
    prior = policy_action(config, params, z)
    if controller == "mppi":
        planned = plan(config, planner, params, z, state, keys)
        action, state = planned.action, planned.state
        value, spread = planned.value, planned.value_spread
    else:
        action = prior
        q = q_values(config, params, z, action)
        value, spread = q.mean(axis=0), q.std(axis=0)
    return Decision(z, *_labels(config, params, z, rule), action, prior, value, spread), state


def _labels(
    config: AgentConfig, params: Params, z: Float[Array, "episodes latent"], rule: glass.LabelRule
) -> tuple[glass.Assignment, glass.Index, glass.Index]:
    if config.glass is None:
        none = jnp.full(z.shape[:-1], NO_CLUSTER)
        return jnp.zeros((*z.shape[:-1], 0)), none, none
    tree = params["glass"]
    return (
        glass.soft_assignment(config.glass, tree, z),
        glass.nearest_prototype(config.glass, tree, z),
        glass.label(config.glass, tree, z, rule),
    )
