"""A search for the partition that tells most about a graph, for a learned one to stand beside."""

import numpy as np
from jaxtyping import Float64, Int

from glassviz.analysis.information import one_hot
from glassviz.analysis.structural_entropy import (
    Graph,
    SelfLoops,
    entropy_2d,
    log2_or_0,
    with_loops,
)

_ROUNDING = 1e-12

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
