"""Decisions of an agent: from a batch of observations to actions and labels."""

from typing import Literal, NamedTuple

import jax.numpy as jnp
from jaxtyping import Array, Float, Key

from glassviz.agents import glass
from glassviz.agents.config import AgentConfig, PlannerConfig
from glassviz.agents.networks import Action, Latent, Params, Value, encode
from glassviz.agents.planner import PlannerState, plan
from glassviz.agents.world_model import policy_action, q_values

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
