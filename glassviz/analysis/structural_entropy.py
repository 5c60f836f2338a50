"""Structural entropy: how much a partition of a graph tells about where a random walk is.

H¹ is the entropy of the walk's place, H² of its place once its cluster is known, paid for by the
edges that leave clusters (Li & Pan, IEEE Trans. Inf. Theory 62(6), 2016). In bits.

The convention for self-transitions decides the value, and is to be printed with it: `dropped`
(the default, to describe behaviour), `once` (the diagonal counts once in the degree, as in the
training loss), `twice` (as networkx counts degrees). Where they are kept, the partition into
singletons comes out below sensible ones. Graphs are used whole: no weak edges are taken away.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from jaxtyping import Float64, Int

from glassviz.analysis.information import entropy_bits, one_hot

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
