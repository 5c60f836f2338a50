"""How much of a graph's traffic leaves the clusters of a partition, beside what chance would have.

A share by itself says little: it depends on how many clusters there are and how large they are.
"""

from dataclasses import dataclass

import numpy as np

from glassviz.analysis.structural_entropy import (
    REPLICATES,
    Graph,
    Partition,
    SelfLoops,
    dealt_out,
    membership_of,
    with_loops,
)

_ROUNDING = 1e-12


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
