"""Structural entropy, cut and modularity of partitioned graphs, and partitions of low entropy."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from jaxtyping import Float64, Int

from glassviz.metrics.information import entropy_bits, one_hot
from glassviz.metrics.nulls import REPLICATES, monte_carlo_p

SelfLoops = Literal["dropped", "once", "twice"]
_LOOP_FACTOR: dict[SelfLoops, float] = {"dropped": 0.0, "once": 1.0, "twice": 2.0}
_ROUNDING = 1e-12
Graph = Float64[np.ndarray, "nodes nodes"]

Clustering = Int[np.ndarray, " nodes"]
Membership = Float64[np.ndarray, "nodes clusters"]
Replicates = Float64[np.ndarray, " replicates"]
Shaped = Float64[np.ndarray, "*shape"]

Partition = Clustering | Membership
"""Cluster of every node, or S, a distribution over clusters for every node."""


# Graphs and partitions ----------------------------------------------------------------------------


def symmetrised(weights: Graph) -> Graph:
    """(W + Wᵀ)/2: the undirected graph of a directed one, such as a flow.

    Its H² is the directed structural entropy of a flow, with self-loops counted once.
    """
    return (weights + weights.T) / 2


def _with_loops(graph: Graph, self_loops: SelfLoops) -> Graph:
    """The graph with its diagonal scaled to count as requested in the degrees."""
    return graph * np.where(np.eye(len(graph), dtype=bool), _LOOP_FACTOR[self_loops], 1.0)


def _membership(partition: Partition) -> Membership:
    """The matrix S of a partition; one-hot for hard clusters."""
    return partition if partition.ndim == 2 else one_hot(partition, int(partition.max()) + 1)


def _permuted_memberships(
    weights: Graph, membership: Membership, rng: np.random.Generator, replicates: int
) -> Float64[np.ndarray, "replicates nodes clusters"]:
    """Random partitions with the same cluster sizes: memberships permuted among linked nodes."""
    linked = np.flatnonzero(weights.any(axis=1) | weights.any(axis=0))
    order = np.tile(np.arange(len(weights)), (replicates, 1))
    order[:, linked] = rng.permuted(np.tile(linked, (replicates, 1)), axis=1)
    return membership[order]


def _lower_than_null(observed: float, null: Replicates) -> tuple[float, float | None, float]:
    """Mean of the null, z-score of the observed value, and lower-tail p."""
    mean, sd = float(null.mean()), float(null.std())
    z = (observed - mean) / sd if sd > _ROUNDING else None
    return mean, z, monte_carlo_p(null <= observed + _ROUNDING)


# Structural entropy -------------------------------------------------------------------------------


def entropy_1d(graph: Graph, self_loops: SelfLoops = "dropped") -> float:
    """H¹ = −Σ_v d_v/2m log2(d_v/2m) of the degrees d, in [0, log2 nodes]; 0 without edges.

    The graph is symmetric and non-negative; `self_loops` says how its diagonal counts in degrees.

    Example:
        >>> ring = np.roll(np.eye(4), 1, axis=1) + np.roll(np.eye(4), -1, axis=1)
        >>> entropy_1d(ring)
        2.0
    """
    degree = _with_loops(graph, self_loops).sum(axis=1)
    return float(entropy_bits(degree / degree.sum())) if degree.any() else 0.0


def entropy_2d(graph: Graph, partition: Partition, self_loops: SelfLoops = "dropped") -> float:
    """H² of a graph under a partition, in [0, H¹]; 0 without edges.

    With volumes V_k = Σ_v S_vk d_v, cuts g_k = Σ_v S_vk (d_v − (A S)_vk) and 2m = Σ d:
    H² = −Σ_k g_k/2m log2(V_k/2m) − Σ_k Σ_v S_vk d_v/2m log2(d_v/V_k)
       = H¹ + Σ_k (V_k − g_k)/2m log2(V_k/2m).
    A soft S averages over memberships outside of the logarithm, as the training loss does; the
    entropy of the mixture would differ.

    The graph is symmetric and non-negative; `self_loops` says how its diagonal counts in degrees.

    Example:
        >>> ring = np.roll(np.eye(4), 1, axis=1) + np.roll(np.eye(4), -1, axis=1)
        >>> entropy_2d(ring, np.array([0, 0, 1, 1]))
        1.5
    """
    weights = _with_loops(graph, self_loops)
    saved = _saved_bits(weights, _membership(partition)[None])
    return entropy_1d(weights, "once") - float(saved[0])


@dataclass(frozen=True)
class StructuralEntropy:
    """Structural entropy of a graph under a partition, against random partitions.

    Attributes:
        h1_bits, h2_bits: structural entropy without and with the partition.
        gap: θ = (H¹ − H²)/H¹, the share of H¹ that the partition explains, in [0, 1]. Without
            self-loops it is 0 for a single cluster and for singletons. None without edges.
        null_h2_bits: mean H² of random partitions with the same cluster sizes.
        z: z-score of H² under that null, negative if below chance; None if the null is constant.
        p: lower-tail p-value, (1 + #{null <= H²})/(B + 1).
    """

    self_loops: SelfLoops
    h1_bits: float
    h2_bits: float
    gap: float | None
    null_h2_bits: float
    z: float | None
    p: float


def structural_entropy(
    graph: Graph,
    partition: Partition,
    rng: np.random.Generator,
    self_loops: SelfLoops = "dropped",
    replicates: int = REPLICATES,
) -> StructuralEntropy:
    """Structural entropy of a graph under a partition, against random partitions.

    `rng` permutes the memberships of nodes with edges `replicates` times; the others keep theirs.
    """
    weights, membership = _with_loops(graph, self_loops), _membership(partition)
    h1, h2 = entropy_1d(weights, "once"), entropy_2d(weights, membership, "once")
    null = h1 - _saved_bits(weights, _permuted_memberships(weights, membership, rng, replicates))
    gap = (h1 - h2) / h1 if h1 > 0 else None
    return StructuralEntropy(self_loops, h1, h2, gap, *_lower_than_null(h2, null))


def _saved_bits(
    weights: Graph, membership: Float64[np.ndarray, "partitions nodes clusters"]
) -> Float64[np.ndarray, " partitions"]:
    """H¹ − H² = −Σ_k (V_k − g_k)/2m log2(V_k/2m), where V_k − g_k = Σ_v S_vk (A S)_vk."""
    total = weights.sum()
    if total == 0:
        return np.zeros(len(membership))
    volume = np.einsum("n,pnk->pk", weights.sum(axis=1), membership) / total
    inside = (membership * (weights @ membership)).sum(axis=1) / total
    return -(inside * _log2_or_0(volume)).sum(axis=1)


def _log2_or_0(x: Shaped) -> Shaped:
    """log2 x, and 0 at 0; the result is only multiplied by 0 there."""
    return np.log2(np.where(x > 0, x, 1.0))


# Partitions of low structural entropy -------------------------------------------------------------


def greedy_partition(
    graph: Graph, clusters: int | None = None, self_loops: SelfLoops = "dropped"
) -> Clustering:
    """A partition of low H², by agglomerative merging and local moves.

    Starting from singletons, the two clusters whose merger changes H² most favourably are merged
    repeatedly. At each number of clusters, single nodes are then moved while that lowers H².
    Merging alone would cut two triangles joined by a bridge into three pairs; the moves find the
    triangles.

    The graph is symmetric and non-negative. Without a number of clusters K that of the lowest H² is
    chosen, and nodes without edges are singletons. Clusters are numbered by first node.

    Example:
        >>> triangles = np.kron(np.eye(2), np.ones((3, 3)) - np.eye(3))
        >>> triangles[2, 3] = triangles[3, 2] = 0.1
        >>> greedy_partition(triangles)
        array([0, 0, 0, 1, 1, 1])
    """
    weights = _with_loops(graph, self_loops)
    if clusters is not None:
        return _numbered(_best(_dendrogram(weights, clusters)[-1:], weights))
    linked = weights.any(axis=1)
    cluster = np.arange(len(weights))
    if linked.any():
        inner = weights[np.ix_(linked, linked)]
        cluster[linked] = len(weights) + _best(_dendrogram(inner, 1), inner)
    return _numbered(cluster)


def _dendrogram(weights: Graph, clusters: int) -> list[Clustering]:
    """Partitions from singletons down to this number of clusters, one merger apart."""
    between = weights.copy()
    cluster = np.arange(len(weights))
    levels = [cluster]
    while len(between) > max(clusters, 1):
        volume, inside = between.sum(axis=1), np.diag(between)
        merged_inside = inside[:, None] + inside + 2 * between
        single = _h2_term(inside, volume, weights)
        merged = _h2_term(merged_inside, volume[:, None] + volume, weights)
        change = merged - single[:, None] - single
        change[np.tril_indices(len(change))] = np.inf
        # Ties, up to rounding, are merged in node order.
        i, j = np.unravel_index(np.round(change, 12).argmin(), change.shape)
        cluster = np.where(cluster == j, i, cluster)
        cluster = cluster - (cluster > j)
        levels.append(cluster)
        between[i] += between[j]
        between[:, i] += between[:, j]
        between = np.delete(np.delete(between, j, axis=0), j, axis=1)
    return levels


def _best(levels: list[Clustering], weights: Graph) -> Clustering:
    """The partition with the lowest H² after local moves; the first of ties."""
    refined = [_moved(cluster, weights) for cluster in levels]
    h2 = [entropy_2d(weights, cluster, "once") for cluster in refined]
    return refined[int(np.argmin(np.round(h2, 12)))]


def _moved(cluster: Clustering, weights: Graph) -> Clustering:
    """Move single nodes to the cluster that lowers H² most, emptying none, until no move does."""
    cluster, clusters = cluster.copy(), int(cluster.max()) + 1
    degree, loop = weights.sum(axis=1), np.diag(weights)
    moved = True
    while moved:
        moved = False
        for v in range(len(weights)):
            s = one_hot(cluster, clusters)
            if s[:, cluster[v]].sum() == 1:
                continue
            s[v] = 0
            volume, inside = s.T @ degree, np.einsum("nk,nm,mk->k", s, weights, s)
            with_v = _h2_term(inside + 2 * weights[v] @ s + loop[v], volume + degree[v], weights)
            change = with_v - _h2_term(inside, volume, weights)
            target = int(change.argmin())
            if change[target] < change[cluster[v]] - _ROUNDING:
                cluster[v], moved = target, True
    return cluster


def _h2_term(inside: Shaped, volume: Shaped, weights: Graph) -> Shaped:
    """(V − g)/2m log2(V/2m), the contribution of a cluster to H² − H¹: at most 0."""
    total = weights.sum() or 1.0
    return inside / total * _log2_or_0(volume / total)


def _numbered(cluster: Clustering) -> Clustering:
    """The same partition with clusters numbered by first node."""
    _, first, inverse = np.unique(cluster, return_index=True, return_inverse=True)
    return np.asarray(np.argsort(np.argsort(first))[inverse])


# Cut and modularity -------------------------------------------------------------------------------


@dataclass(frozen=True)
class Cut:
    """Edge weight between clusters, against random partitions.

    Attributes:
        share: share of the edge weight that crosses clusters, in [0, 1]; None without edges.
        null_share: its mean under random partitions of the same cluster sizes; None without edges.
        z: z-score under that null, negative if below chance; None if the null has no variance.
        p: lower-tail p-value, (1 + #{null <= share})/(B + 1).
    """

    share: float | None
    null_share: float | None
    z: float | None
    p: float


def cut(
    graph: Graph,
    partition: Partition,
    rng: np.random.Generator,
    self_loops: SelfLoops = "dropped",
    replicates: int = REPLICATES,
) -> Cut:
    """Cut Σ_k g_k / 2m of a partition of a graph, directed or not, against random partitions."""
    weights, membership = _with_loops(graph, self_loops), _membership(partition)
    total = weights.sum()
    if total <= 0:
        return Cut(None, None, None, 1.0)
    permuted = _permuted_memberships(weights, membership, rng, replicates)
    memberships = np.concatenate([membership[None], permuted])
    inside = np.einsum("pnk,pnk->p", memberships, weights @ memberships) / total
    share = float(1 - inside[0])
    mean, z, p = _lower_than_null(share, 1 - inside[1:])
    return Cut(share=max(share, 0.0), null_share=max(mean, 0.0), z=z, p=p)


def modularity(
    graph: Graph, partition: Partition, self_loops: SelfLoops = "dropped"
) -> float | None:
    """Directed modularity Q = 1/m Σ_ij (W_ij − k_i^out k_j^in / m) S_i·S_j, in [−1, 1].

    0 if the weight within clusters is as expected from the degrees, positive if it is higher. None
    without edges. The graph is directed or undirected; arguments as in `structural_entropy`.

    References:
        Leicht & Newman, "Community structure in directed networks", Phys. Rev. Lett. 100, 2008.
    """
    weights, membership = _with_loops(graph, self_loops), _membership(partition)
    total = weights.sum()
    if total <= 0:
        return None
    inside = float((membership * (weights @ membership)).sum() / total)
    out, into = (weights.sum(axis=axis) @ membership / total for axis in (1, 0))
    return inside - float(out @ into)
