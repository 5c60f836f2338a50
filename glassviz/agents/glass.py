"""Glass: prototypes and clusters over the latent space of a world model.

Prototypes μ_n are reference points in latent space; the partition S assigns prototypes to
clusters. Both are trained on the transitions between prototypes, by minimising the
two-dimensional structural entropy of the transition graph (Li & Pan, IEEE Trans. Inf. Theory
62(6), 2016) with soft memberships. Entropies are in bits.
"""

from typing import Literal

import jax.numpy as jnp
from flax.linen import softmax
from jaxtyping import Array, Float, Int

from glassviz.agents.config import GlassConfig
from glassviz.agents.networks import Latent, Params

Assignment = Float[Array, "*batch prototypes"]
Index = Int[Array, "*batch"]
Scalar = Float[Array, ""]
Graph = Float[Array, "nodes nodes"]

LabelRule = Literal["nearest-prototype", "soft"]
SelfLoops = Literal["once", "dropped"]

TRANSITION_FLOOR = 1e-4
"""Added to every transition count in training, so that no row is empty."""


def similarity(glass: GlassConfig, params: Params, z: Latent) -> Assignment:
    """Similarity of latents to prototypes: cosine, or the negative squared L2 distance."""
    mu = params["prototypes"]
    if glass.similarity == "l2":
        return -jnp.sum((z[..., None, :] - mu) ** 2, axis=-1)
    unit_z = z / (jnp.linalg.norm(z, axis=-1, keepdims=True) + 1e-8)
    unit_mu = mu / (jnp.linalg.norm(mu, axis=-1, keepdims=True) + 1e-8)
    return unit_z @ unit_mu.T


def soft_assignment(glass: GlassConfig, params: Params, z: Latent) -> Assignment:
    """c = softmax(similarity / τ): degree of membership of z in each prototype."""
    return softmax(similarity(glass, params, z) / glass.proto_temperature, axis=-1)


def partition(glass: GlassConfig, params: Params) -> Float[Array, "prototypes clusters"]:
    """S: each prototype's distribution over the clusters."""
    return softmax(params["assign_logits"] / glass.assignment_temperature, axis=-1)


def super_partition(glass: GlassConfig, params: Params) -> Float[Array, "clusters supers"]:
    """Each cluster's distribution over the super-clusters: softmax(super-assignment)."""
    return softmax(params["super_assign_logits"] / glass.assignment_temperature, axis=-1)


def nearest_prototype(glass: GlassConfig, params: Params, z: Latent) -> Index:
    """Index of the prototype most similar to z."""
    return jnp.argmax(similarity(glass, params, z), axis=-1)


def label(
    glass: GlassConfig, params: Params, z: Latent, rule: LabelRule = "nearest-prototype"
) -> Index:
    """The cluster label k of a latent.

    `nearest-prototype`: argmax S[argmax_n similarity]. `soft`: argmax of c·S. At the usual τ the
    two disagree on many frames, so the rule is recorded with the labels.
    """
    clusters = partition(glass, params)
    if rule == "soft":
        return jnp.argmax(soft_assignment(glass, params, z) @ clusters, axis=-1)
    return jnp.argmax(clusters[nearest_prototype(glass, params, z)], axis=-1)


def active_in_partition(glass: GlassConfig, params: Params) -> Int[Array, ""]:
    """#{k : mean_n S_nk > 0.05/K}, the "active clusters" of the training logs.

    A property of S alone, independent of which clusters the agent visits.
    """
    mass = partition(glass, params).mean(axis=0)
    return jnp.sum(mass > 0.05 / glass.clusters)


def transition_matrix(
    c: Float[Array, "pairs prototypes"], c_next: Float[Array, "pairs prototypes"]
) -> Float[Array, "prototypes prototypes"]:
    """P: row-normalised soft transition counts Σ c_t ⊗ c_{t+1} + `TRANSITION_FLOOR`."""
    counts = c.T @ c_next + TRANSITION_FLOOR
    return counts / counts.sum(axis=1, keepdims=True)


def transition_graph(p: Graph) -> Graph:
    """A = (P + Pᵀ)/2, the undirected graph whose structural entropy is minimised."""
    return 0.5 * (p + p.T)


def entropy_1d(graph: Graph, self_loops: SelfLoops = "once") -> Scalar:
    """H¹ = −Σ (d/2m) log2(d/2m) over the degrees d of an undirected weighted graph."""
    if self_loops == "dropped":
        graph = graph * (1.0 - jnp.eye(graph.shape[0]))
    degree = graph.sum(axis=1)
    return -jnp.sum(p_log(degree / degree.sum(), degree / degree.sum()))


def entropy_2d(
    graph: Graph, membership: Float[Array, "nodes clusters"], self_loops: SelfLoops = "once"
) -> Scalar:
    """Two-dimensional structural entropy H² of a graph under a (soft) partition, in bits.

    With degrees d, volumes V = Sᵀd, cuts g_k = Σ_n S_nk (d_n − (A S)_nk) and 2m = Σ d:
    H² = H¹ + Σ_k (V_k − g_k)/2m · log2(V_k/2m).

    Args:
        graph: symmetric non-negative weights A.
        membership: S; rows sum to 1.
        self_loops: `once` counts the diagonal once in the degree, as in the training loss;
            `dropped` removes it first, as when describing behaviour.
    """
    if self_loops == "dropped":
        graph = graph * (1.0 - jnp.eye(graph.shape[0]))
    degree = graph.sum(axis=1)
    total = degree.sum()
    volume = membership.T @ degree
    cut = jnp.sum(membership * (degree[:, None] - graph @ membership), axis=0)
    return entropy_1d(graph) + jnp.sum(p_log((volume - cut) / total, volume / total))


def p_log(p: Float[Array, "*n"], q: Float[Array, "*n"]) -> Float[Array, "*n"]:
    """p log2 q, with 0 log 0 = 0 and a finite gradient there."""
    return jnp.where(q > 0, p * jnp.log2(jnp.where(q > 0, q, 1.0)), 0.0)
