"""The training losses of TD-MPC2 and TD-MPC-Glass.

A batch is a set of sequences of H transitions. The model is rolled out over each from its first
observation; every term below is weighted by ρ^t along that roll-out, divided by H, and averaged
over the batch (Hansen, Su & Wang, "TD-MPC2", ICLR 2024, equation 3 and following).
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from glassviz.agents import glass as glass_ops
from glassviz.agents.config import AgentConfig, GlassConfig
from glassviz.agents.networks import (
    Params,
    encode,
    next_latent,
    q_logits,
    reward_logits,
    two_hot,
)
from glassviz.agents.values import policy_action, q_values, value_input
from glassviz.training.config import GlassTraining, TrainConfig

Metrics = dict[str, Float[Array, ""]]


class Batch(NamedTuple):
    """What one update learns from: sequences of steps, time first."""

    obs: Float[Array, "steps_and_one batch obs"]
    action: Float[Array, "steps batch act"]
    reward: Float[Array, "steps batch"]


def total_loss(
    params: Params,
    train: TrainConfig,
    target_params: Params,
    scale: Float[Array, ""],
    batch: Batch,
    glass_on: Bool[Array, ""],
) -> tuple[Float[Array, ""], Metrics]:
    """The loss of one update, and its terms by name.

    Args:
        scale: spread of the Q values, by which the policy loss is divided.
        glass_on: whether the Glass losses join this update.
    """
    config = train.agent
    latents = _model_rollout(config, params, batch)
    z = latents[:-1]
    horizon = z.shape[0]
    weight = train.rho ** jnp.arange(horizon)

    def along_rollout(per_step: Float[Array, "steps batch"]) -> Float[Array, ""]:
        return jnp.sum(weight * per_step.mean(axis=1)) / horizon

    expected = jax.lax.stop_gradient(encode(config, params, batch.obs[1:]))
    consistency = along_rollout(jnp.sum((latents[1:] - expected) ** 2, axis=-1))
    reward = along_rollout(
        _cross_entropy(config, reward_logits(config, params, z, batch.action), batch.reward)
    )
    target = td_target(train, target_params, batch)
    logits = q_logits(config, params, value_input(config, params, z), batch.action)
    value = along_rollout(_cross_entropy(config, logits, target).sum(axis=0))
    policy_q = _policy_q(config, params, z)
    policy = along_rollout(-policy_q / scale)

    metrics = {
        "consistency_loss": consistency,
        "reward_loss": reward,
        "value_loss": value,
        "policy_loss": policy,
        "q_mean": policy_q.mean(),
        "q_spread": _spread(policy_q),
    }
    loss = (
        train.consistency_coef * consistency
        + train.reward_coef * reward
        + train.value_coef * value
        + train.policy_coef * policy
    )
    if config.glass:
        glass_total, glass_metrics = glass_loss(config.glass, train.glass, params, latents)
        loss += jnp.where(glass_on, glass_total, 0.0)
        metrics |= glass_metrics
    return loss, metrics | {"loss": loss}


def td_target(
    train: TrainConfig, target_params: Params, batch: Batch
) -> Float[Array, "steps batch"]:
    """r + γ·max(min over heads of Q_target(z', π_target(z')), 0), without a gradient."""
    config = train.agent
    z_next = encode(config, target_params, batch.obs[1:])
    q = q_values(config, target_params, z_next, policy_action(config, target_params, z_next))
    target = batch.reward + train.discount * jnp.maximum(q.min(axis=0), 0.0)
    return jax.lax.stop_gradient(target)


def glass_loss(
    glass: GlassConfig,
    train: GlassTraining,
    params: Params,
    latents: Float[Array, "steps_and_one batch latent"],
) -> tuple[Float[Array, ""], Metrics]:
    """Structural entropy of the prototypes' transition graph, balance and temporal terms.

    Pairs are consecutive latents of the model roll-out; no gradient flows through the later one,
    and with `stopgrad_graph` none through the earlier one.
    """
    z = latents[:-1].reshape(-1, latents.shape[-1])
    z_next = jax.lax.stop_gradient(latents[1:]).reshape(z.shape)
    if train.stopgrad_graph:
        z = jax.lax.stop_gradient(z)
    tree = params["glass"]
    c = glass_ops.soft_assignment(glass, tree, z)
    c_next = glass_ops.soft_assignment(glass, tree, z_next)
    clusters = glass_ops.partition(glass, tree)
    graph = glass_ops.transition_graph(glass_ops.transition_matrix(c, c_next))
    entropy = glass_ops.entropy_2d(graph, clusters)
    balance = _overfull(clusters.mean(axis=0)) + _overfull(c.mean(axis=0))
    s, s_next = c @ clusters, jax.lax.stop_gradient(c_next @ clusters)
    temporal = jnp.mean(jnp.sum((s - s_next) ** 2, axis=-1))
    total = (
        train.lambda_se * entropy
        + train.lambda_balance * balance
        + train.lambda_temporal * temporal
    )
    return total, {
        "glass_entropy": entropy,
        "glass_balance": balance,
        "glass_temporal": temporal,
        "clusters_active_in_s": glass_ops.active_in_partition(glass, tree).astype(jnp.float32),
    }


def _model_rollout(
    config: AgentConfig, params: Params, batch: Batch
) -> Float[Array, "steps_and_one batch latent"]:
    latents = [encode(config, params, batch.obs[0])]
    for action in batch.action:
        latents.append(next_latent(config, params, latents[-1], action))
    return jnp.stack(latents)


def _policy_q(
    config: AgentConfig, params: Params, z: Float[Array, "steps batch latent"]
) -> Float[Array, "steps batch"]:
    """min over heads of Q at the policy's action; only the policy gets a gradient."""
    z = jax.lax.stop_gradient(z)
    action = policy_action(config, params, z)
    return q_values(config, jax.lax.stop_gradient(params), z, action).min(axis=0)


def _cross_entropy(
    config: AgentConfig,
    logits: Float[Array, "*heads steps batch bins"],
    value: Float[Array, "steps batch"],
) -> Float[Array, "*heads steps batch"]:
    return -jnp.sum(two_hot(config, value) * jax.nn.log_softmax(logits, axis=-1), axis=-1)


def _spread(q: Float[Array, "..."]) -> Float[Array, ""]:
    """Range between the 5th and the 95th percentile."""
    low, high = jnp.percentile(q, jnp.array([5.0, 95.0]))
    return jax.lax.stop_gradient(high - low)


def _overfull(mass: Float[Array, " groups"]) -> Float[Array, ""]:
    """Σ relu(mass − 2/groups)²: what lies above twice an even share."""
    return jnp.sum(jax.nn.relu(mass - 2.0 / mass.shape[0]) ** 2)
