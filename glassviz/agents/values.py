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


def routed_correction(
    config: AgentConfig, params: Params, z: Float[Array, "*batch latent"]
) -> Float[Array, "*batch bins"] | float:
    """Σ_k s_k(z)·ΔQ_k with s = cS, added to the logits of every Q head; 0 for agents without.

    The critic trains ΔQ through it, not the clusters: s carries no gradient.
    """
    if not (config.glass and config.glass.routed_critic):
        return 0.0
    c = glass.soft_assignment(config.glass, params["glass"], z)
    s = c @ glass.partition(config.glass, params["glass"])
    correction: Array = jax.lax.stop_gradient(s) @ params["glass"]["delta_q"]
    return correction


def q_distribution(
    config: AgentConfig,
    params: Params,
    z: Float[Array, "*batch latent"],
    action: Float[Array, "*batch act"],
) -> Float[Array, "heads *batch bins"]:
    """Logits over the value bins of taking `action` in z, one row a Q head."""
    logits = networks.q_logits(config, params, value_input(config, params, z), action)
    return logits + routed_correction(config, params, z)


def q_values(
    config: AgentConfig,
    params: Params,
    z: Float[Array, "*batch latent"],
    action: Float[Array, "*batch act"],
) -> Float[Array, "heads *batch"]:
    """Return-to-go of taking `action` in z, one estimate a Q head."""
    return networks.expected_value(config, q_distribution(config, params, z, action))
