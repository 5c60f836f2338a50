"""What the policy prior and the Q heads say about a latent, in actions and returns."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from glassviz.agents import glass, networks
from glassviz.agents.config import AgentConfig
from glassviz.agents.networks import Params


def value_input(
    config: AgentConfig, params: Params, z: Float[Array, "*batch latent"]
) -> Float[Array, "*batch value_input"]:
    """What policy and Q see of a latent: z, or [z, S[nearest prototype]] for agents whose
    configuration says `cluster_obs`. The row of S carries no gradient."""
    if not (config.glass and config.glass.cluster_obs):
        return z
    nearest = glass.nearest_prototype(config.glass, params["glass"], z)
    row = glass.partition(config.glass, params["glass"])[nearest]
    return jnp.concatenate([z, jax.lax.stop_gradient(row)], axis=-1)


def policy_action(
    config: AgentConfig, params: Params, z: Float[Array, "*batch latent"]
) -> Float[Array, "*batch act"]:
    """The policy prior's action tanh(mean), in [-1, 1]."""
    mean, _ = networks.policy(config, params, value_input(config, params, z))
    return jnp.tanh(mean)


def q_values(
    config: AgentConfig,
    params: Params,
    z: Float[Array, "*batch latent"],
    action: Float[Array, "*batch act"],
) -> Float[Array, "heads *batch"]:
    """Return-to-go of taking `action` in z, one estimate a Q head."""
    logits = networks.q_logits(config, params, value_input(config, params, z), action)
    return networks.expected_value(config, logits)
