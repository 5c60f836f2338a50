"""The losses of prototypes and clusters: the published terms, and the proposed ones.

Whatever has weight 0 is absent from the program.
"""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from glassviz.agents import glass as glass_ops
from glassviz.agents.config import AgentConfig
from glassviz.agents.networks import Params, encode
from glassviz.training.parts import GlassTraining

Metrics = dict[str, Float[Array, ""]]

CONTRAST_TEMPERATURE = 0.5
# The contrast compares all pairs of frames: many more sequences would cost more than the rest.
CONTRAST_SEQUENCES = 64


def glass_loss(
    config: AgentConfig,
    train: GlassTraining,
    params: Params,
    latents: Float[Array, "steps_and_one batch latent"],
    obs: Float[Array, "frames batch obs"],
) -> tuple[Float[Array, ""], Metrics]:
    """Structural entropy of the prototypes' transition graph, balance and temporal terms.

    Pairs are consecutive latents of the model roll-out; no gradient flows through the later one,
    and with `stopgrad_graph` none through the earlier one.

    Args:
        latents: of the model roll-out.
        obs: real consecutive frames, for the terms that need them.
    """
    glass = config.glass
    assert glass is not None
    z = latents[:-1].reshape(-1, latents.shape[-1])
    z_next = jax.lax.stop_gradient(latents[1:]).reshape(z.shape)
    if train.stopgrad_graph:
        z = jax.lax.stop_gradient(z)
    tree = params["glass"]
    c = glass_ops.soft_assignment(glass, tree, z)
    c_next = glass_ops.soft_assignment(glass, tree, z_next)
    clusters = glass_ops.partition(glass, tree)
    graph = glass_ops.transition_graph(glass_ops.transition_matrix(c, c_next))
    s, s_next = c @ clusters, jax.lax.stop_gradient(c_next @ clusters)
    terms = {
        "glass_entropy": (train.lambda_se, glass_ops.entropy_2d(graph, clusters)),
        "glass_balance": (
            train.lambda_balance,
            _overfull(clusters.mean(axis=0)) + _overfull(c.mean(axis=0)),
        ),
        "glass_temporal": (train.lambda_temporal, jnp.mean(jnp.sum((s - s_next) ** 2, axis=-1))),
    }
    if train.lambda_temp_stability:
        terms["glass_temp_stability"] = (train.lambda_temp_stability, _turn(s, s_next))
    if glass.super_clusters and (train.lambda_super_se or train.lambda_super_balance):
        supers = glass_ops.super_partition(glass, tree)
        coarse = clusters.T @ graph @ clusters
        entropy = glass_ops.entropy_2d(coarse, supers)
        terms["glass_super_entropy"] = (train.lambda_super_se, entropy)
        terms["glass_super_balance"] = (
            train.lambda_super_balance,
            _overfull(supers.mean(axis=0)),
        )
    if train.lambda_window or train.lambda_contrastive:
        seen = encode(config, params, obs)
        if train.stopgrad_graph:
            seen = jax.lax.stop_gradient(seen)
        shown = glass_ops.soft_assignment(glass, tree, seen)
        if train.lambda_window:
            terms["glass_window"] = (train.lambda_window, window_spread(shown[: train.window]))
        if train.lambda_contrastive:
            contrast = phase_contrast(shown, foot_down(obs))
            terms["glass_contrastive"] = (train.lambda_contrastive, contrast)
    total = sum(weight * term for weight, term in terms.values())
    metrics = {name: term for name, (_, term) in terms.items()}
    active = glass_ops.active_in_partition(glass, tree).astype(jnp.float32)
    visited = jnp.bincount(jnp.argmax(c, axis=-1), length=glass.prototypes)
    return jnp.asarray(total), metrics | {
        "clusters_active_in_s": active,
        "prototypes_visited": jnp.sum(visited > 0).astype(jnp.float32),
        "assignment_confidence": c.max(axis=-1).mean(),
    }


def window_spread(c: Float[Array, "window batch prototypes"]) -> Float[Array, ""]:
    """mean over windows of H(mean c) − mean H(c), in bits: how far a window's frames differ.

    Between 0 (the same distribution in every frame) and log2 of the window's length.
    """
    return jnp.mean(_entropy(c.mean(axis=0)) - _entropy(c).mean(axis=0))


def foot_down(obs: Float[Array, "frames batch obs"]) -> Bool[Array, "frames batch"]:
    """Whether the toe or heel sensor, the last two values of an observation, feels the floor."""
    return jnp.any(obs[..., -2:] > 0, axis=-1)


def phase_contrast(
    c: Float[Array, "frames batch prototypes"], down: Bool[Array, "frames batch"]
) -> Float[Array, ""]:
    """NT-Xent on assignments (Chen et al., SimCLR, ICML 2020, with several positives a frame).

    Positives of a frame: consecutive frames, and frames of its sequence in the same contact
    state. Negatives: frames of other sequences.
    """
    # Evenly spaced: where there are demonstrations, they come first in a batch.
    every = -(-down.shape[1] // CONTRAST_SEQUENCES)
    c, down = c[:, ::every], down[:, ::every]
    frames, batch = down.shape
    time = jnp.repeat(jnp.arange(frames), batch)
    sequence = jnp.tile(jnp.arange(batch), frames)
    contact = down.reshape(-1)
    unit = c.reshape(frames * batch, -1)
    unit /= jnp.linalg.norm(unit, axis=-1, keepdims=True)
    similarity = unit @ unit.T / CONTRAST_TEMPERATURE
    same = sequence[:, None] == sequence
    apart = jnp.abs(time[:, None] - time)
    positive = same & (apart > 0) & ((contact[:, None] == contact) | (apart == 1))
    against = jnp.sum(jnp.where(same, 0.0, jnp.exp(similarity)), axis=1, keepdims=True)
    surprise = jnp.log(jnp.exp(similarity) + against) - similarity
    return jnp.sum(jnp.where(positive, surprise, 0.0)) / jnp.maximum(positive.sum(), 1)


def _turn(
    s: Float[Array, "pairs clusters"], s_next: Float[Array, "pairs clusters"]
) -> Float[Array, ""]:
    """mean 1 − cos between consecutive cluster distributions."""
    dot = jnp.sum(s * s_next, axis=-1)
    return jnp.mean(1.0 - dot / jnp.linalg.norm(s, axis=-1) / jnp.linalg.norm(s_next, axis=-1))


def _entropy(p: Float[Array, "*batch states"]) -> Float[Array, "*batch"]:
    return -jnp.sum(glass_ops.p_log(p, p), axis=-1)


def _overfull(mass: Float[Array, " groups"]) -> Float[Array, ""]:
    """Σ relu(mass − 2/groups)²: what lies above twice an even share."""
    return jnp.sum(jax.nn.relu(mass - 2.0 / mass.shape[0]) ** 2)
