"""Structural entropy of a graph, partitions with little of it, and cuts."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from jaxtyping import Float64, Int

from glassviz.metrics.information import entropy_bits, one_hot

SelfLoops = Literal["dropped", "once", "twice"]


REPLICATES = 999


_LOOP_FACTOR: dict[SelfLoops, float] = {"dropped": 0.0, "once": 1.0, "twice": 2.0}


_ROUNDING = 1e-12


Graph = Float64[np.ndarray, "nodes nodes"]


Partition = Int[np.ndarray, " nodes"] | Float64[np.ndarray, "nodes clusters"]


def symmetrised(weights: Graph) -> Graph:
    """(W + Wᵀ)/2: the undirected graph of a directed one, such as a flow.

    Its H² is the directed structural entropy of a flow, with loops counted once.
    """
    return (weights + weights.T) / 2


def entropy_1d(graph: Graph, self_loops: SelfLoops = "dropped") -> float:
    """H¹ = −Σ_v d_v/2m log2(d_v/2m) of the degrees d, in [0, log2 nodes]; 0 without edges.

    Args:
        graph: symmetric weights, at least 0.
        self_loops: how the diagonal counts.
    """
    degree = with_loops(graph, self_loops).sum(axis=1)
    return float(entropy_bits(degree / degree.sum())) if degree.any() else 0.0


def entropy_2d(graph: Graph, partition: Partition, self_loops: SelfLoops = "dropped") -> float:
    """H² of a graph under a partition, in [0, H¹]; 0 without edges.

    With volumes V_k = Σ_v S_vk d_v, cuts g_k = Σ_v S_vk (d_v − (A S)_vk) and 2m = Σ d:
    H² = −Σ_k g_k/2m log2(V_k/2m) − Σ_k Σ_v S_vk d_v/2m log2(d_v/V_k)
       = H¹ + Σ_k (V_k − g_k)/2m log2(V_k/2m).
    A soft S takes the mean over memberships outside of the logarithm, as the training loss does
    (the entropy of the mixture, inside, would differ).

    Args:
        graph: symmetric weights, at least 0.
        partition: cluster of every node, or S, the distribution of every node over clusters.
        self_loops: how the diagonal counts.
    """
    weights = with_loops(graph, self_loops)
    saved = _saved_bits(weights, membership_of(partition)[None])
    return entropy_1d(weights, "once") - float(saved[0])


@dataclass(frozen=True)
class StructuralEntropy:
    """What a partition tells about a graph.

    Attributes:
        self_loops: how the diagonal was counted.
        h1_bits, h2_bits: entropies without and with the partition.
        gap: θ = (H¹ − H²)/H¹, in [0, 1]: the share that the partition explains. Without self-loops
            0 for one block and for singletons. None without edges.
        null_h2_bits: mean H² of random partitions of the same sizes.
        z: (H² − mean)/standard deviation over those; below 0: better than chance. None when
            they are all alike.
        p: (1 + #{null <= H²})/(B + 1), how often chance is as good.
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
    """Entropies of a graph under a partition, beside random partitions of the same sizes.

    Args:
        graph, partition, self_loops: as in `entropy_2d`.
        rng: deals the memberships out anew among the nodes with edges; others keep theirs.
        replicates: B.
    """
    weights, membership = with_loops(graph, self_loops), membership_of(partition)
    h1, h2 = entropy_1d(weights, "once"), entropy_2d(weights, membership, "once")
    null = h1 - _saved_bits(weights, dealt_out(weights, membership, rng, replicates))
    mean, sd = float(null.mean()), float(null.std())
    return StructuralEntropy(
        self_loops=self_loops,
        h1_bits=h1,
        h2_bits=h2,
        gap=(h1 - h2) / h1 if h1 > 0 else None,
        null_h2_bits=mean,
        z=(h2 - mean) / sd if sd > _ROUNDING else None,
        p=float((1 + (null <= h2 + _ROUNDING).sum()) / (replicates + 1)),
    )


def with_loops(graph: Graph, self_loops: SelfLoops) -> Graph:
    """The graph with its diagonal as often in it as it is to count in the degree."""
    return graph * np.where(np.eye(len(graph), dtype=bool), _LOOP_FACTOR[self_loops], 1.0)


def membership_of(partition: Partition) -> Float64[np.ndarray, "nodes clusters"]:
    """S of a partition, one-hot where that is given as the cluster of every node."""
    if partition.ndim == 2:
        return partition
    return one_hot(partition, int(partition.max()) + 1)


def dealt_out(
    weights: Graph,
    membership: Float64[np.ndarray, "nodes clusters"],
    rng: np.random.Generator,
    replicates: int,
) -> Float64[np.ndarray, "replicates nodes clusters"]:
    """Random partitions of the same sizes: memberships dealt anew among the nodes with edges."""
    linked = np.flatnonzero(weights.any(axis=1) | weights.any(axis=0))
    order = np.tile(np.arange(len(weights)), (replicates, 1))
    order[:, linked] = rng.permuted(np.tile(linked, (replicates, 1)), axis=1)
    return membership[order]


def _saved_bits(
    weights: Graph, membership: Float64[np.ndarray, "partitions nodes clusters"]
) -> Float64[np.ndarray, " partitions"]:
    """H¹ − H² = −Σ_k (V_k − g_k)/2m log2(V_k/2m), where V_k − g_k = Σ_v S_vk (A S)_vk."""
    total = weights.sum()
    if total == 0:
        return np.zeros(len(membership))
    volume = np.einsum("n,pnk->pk", weights.sum(axis=1), membership) / total
    inside = (membership * (weights @ membership)).sum(axis=1) / total
    return -(inside * log2_or_0(volume)).sum(axis=1)


def log2_or_0(x: Float64[np.ndarray, "*shape"]) -> Float64[np.ndarray, "*shape"]:
    """log2 x, and 0 at 0, where it is only ever multiplied by 0."""
    return np.log2(np.where(x > 0, x, 1.0))


Members = Int[np.ndarray, " nodes"]


def greedy_partition(
    graph: Graph, clusters: int | None = None, self_loops: SelfLoops = "dropped"
) -> Members:
    """A partition with low H², by merging from singletons on and then moving nodes.

    Always merges the two clusters whose merger lowers H² most, or raises it least, down to one
    cluster. At each number of clusters single nodes are then moved while that lowers H². Merging
    alone cuts two triangles that a bridge joins into three pairs; moves from a merger too far
    find the triangles.

    Args:
        graph: symmetric weights, at least 0.
        clusters: K, of which as many are made as there are nodes; None: whichever K has the
            lowest H², with nodes without edges by themselves.
        self_loops: how the diagonal counts.

    Returns:
        Cluster of every node, numbered by their first nodes.
    """
    weights = with_loops(graph, self_loops)
    if clusters is not None:
        return _numbered(_best(_dendrogram(weights, clusters)[-1:], weights))
    linked = weights.any(axis=1)
    member = np.arange(len(weights))
    if linked.any():
        inner = weights[np.ix_(linked, linked)]
        member[linked] = len(weights) + _best(_dendrogram(inner, 1), inner)
    return _numbered(member)


def _dendrogram(weights: Graph, clusters: int) -> list[Members]:
    """Partitions from singletons down to so many clusters, each one merger from the last."""
    between = weights.copy()
    member = np.arange(len(weights))
    levels = [member]
    while len(between) > max(clusters, 1):
        volume, inside = between.sum(axis=1), np.diag(between)
        together = inside[:, None] + inside + 2 * between
        own = _kept(inside, volume, weights)
        change = _kept(together, volume[:, None] + volume, weights) - own[:, None] - own
        change[np.tril_indices(len(change))] = np.inf
        # Equals up to rounding are merged in the order of their nodes.
        i, j = np.unravel_index(np.round(change, 12).argmin(), change.shape)
        member = np.where(member == j, i, member)
        member = member - (member > j)
        levels.append(member)
        between[i] += between[j]
        between[:, i] += between[:, j]
        between = np.delete(np.delete(between, j, axis=0), j, axis=1)
    return levels


def _best(levels: list[Members], weights: Graph) -> Members:
    """The lowest in H² of these partitions after moves; the first one of equals."""
    refined = [_moved(member, weights) for member in levels]
    h2 = [entropy_2d(weights, member, "once") for member in refined]
    return refined[int(np.argmin(np.round(h2, 12)))]


def _moved(member: Members, weights: Graph) -> Members:
    """Move nodes one by one to the cluster that lowers H² most, until no move does.

    No cluster loses its last node.
    """
    member, clusters = member.copy(), int(member.max()) + 1
    degree, loop = weights.sum(axis=1), np.diag(weights)
    while True:
        moved = False
        for v in range(len(weights)):
            s = one_hot(member, clusters)
            if s[:, member[v]].sum() == 1:
                continue
            s[v] = 0
            volume, inside = s.T @ degree, np.einsum("nk,nm,mk->k", s, weights, s)
            joined = inside + 2 * weights[v] @ s + loop[v]
            change = _kept(joined, volume + degree[v], weights) - _kept(inside, volume, weights)
            target = int(change.argmin())
            if change[target] < change[member[v]] - _ROUNDING:
                member[v], moved = target, True
        if not moved:
            return member


def _kept(
    inside: Float64[np.ndarray, "*shape"], volume: Float64[np.ndarray, "*shape"], weights: Graph
) -> Float64[np.ndarray, "*shape"]:
    """(V − g)/2m log2(V/2m), a cluster's part of H² − H¹: at most 0."""
    total = weights.sum() or 1.0
    return inside / total * log2_or_0(volume / total)


def _numbered(member: Members) -> Members:
    """The same partition with clusters numbered by their first nodes."""
    _, first, inverse = np.unique(member, return_index=True, return_inverse=True)
    rank = np.argsort(np.argsort(first))
    return np.asarray(rank[inverse])


@dataclass(frozen=True)
class Cut:
    """How much crosses from one cluster into another.

    Attributes:
        share: of the weight of all edges, in [0, 1]; None without edges.
        null_share: mean over random partitions of the same sizes.
        z: (share − mean)/standard deviation over those; below 0: less than by chance. None when
            they are all alike.
        p: (1 + #{null <= share})/(B + 1), how often chance cuts as little.
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
    """Σ_k g_k / 2m under a partition, beside random partitions of the same sizes.

    Args:
        graph: weights, at least 0; directed or not.
        partition, self_loops: as in `entropy_2d`.
        rng: deals the memberships out anew among the nodes with edges; others keep theirs.
        replicates: B.
    """
    weights, membership = with_loops(graph, self_loops), membership_of(partition)
    total = weights.sum()
    if total <= 0:
        return Cut(None, None, None, 1.0)
    every = np.concatenate([membership[None], dealt_out(weights, membership, rng, replicates)])
    inside = np.einsum("pnk,pnk->p", every, weights @ every) / total
    share, null = float(1 - inside[0]), 1 - inside[1:]
    mean, sd = float(null.mean()), float(null.std())
    return Cut(
        share=max(share, 0.0),
        null_share=max(mean, 0.0),
        z=(share - mean) / sd if sd > _ROUNDING else None,
        p=float((1 + (null <= share + _ROUNDING).sum()) / (replicates + 1)),
    )


def modularity(
    graph: Graph, partition: Partition, self_loops: SelfLoops = "dropped"
) -> float | None:
    """Q = 1/m Σ_ij (W_ij − k_i^out k_j^in / m) S_i·S_j, of a directed graph.

    In [−1, 1]: 0 where as much stays within clusters as the degrees alone would have it, above 0
    where more does. None without edges.

    Args:
        graph: weights, at least 0; directed or not.
        partition, self_loops: as in `entropy_2d`.

    References:
        Leicht & Newman, "Community structure in directed networks", Phys. Rev. Lett. 100, 2008.
    """
    weights, membership = with_loops(graph, self_loops), membership_of(partition)
    total = weights.sum()
    if total <= 0:
        return None
    inside = float((membership * (weights @ membership)).sum() / total)
    out, into = (weights.sum(axis=axis) @ membership / total for axis in (1, 0))
    return inside - float(out @ into)
