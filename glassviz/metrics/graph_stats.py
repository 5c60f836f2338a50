"""Statistics of a transition graph: chains of prototypes and labels, and their partition.

Structural entropy follows one of two conventions, which is printed with it:

    flow     (F + Fᵀ)/2 of the flow F_ij = π_i P_ij, self-transitions dropped, hard clusters:
             describes behaviour. The modes `frame`, `jump` and `flow` agree on it.
    train    (P + Pᵀ)/2 of soft counts with a floor, rows normalised, self-transitions once, the
             soft S: the training loss of Glass, not weighted by visits.

Both keep all edges, including weak ones.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from jaxtyping import Float, Float64, Int

from glassviz.metrics.nulls import REPLICATES
from glassviz.metrics.structural_entropy import (
    Cut,
    Graph,
    SelfLoops,
    StructuralEntropy,
    cut,
    entropy_2d,
    greedy_partition,
    modularity,
    structural_entropy,
    symmetrised,
)
from glassviz.metrics.transitions import (
    Chain,
    Cycle,
    Mode,
    States,
    Timescale,
    dominant_cycles,
    entropy_rate,
    entropy_rate_bits,
    irreversibility,
    markov_chain,
    slowest_by_lag,
    soft_transition_counts,
    spectral_gap,
    timescales,
    transition_counts,
)

Convention = Literal["flow", "train"]
_LOOPS: dict[Convention, SelfLoops] = {"flow": "dropped", "train": "once"}
Partition = Float64[np.ndarray, "prototypes clusters"]


@dataclass(frozen=True, eq=False)
class Walks:
    """State sequences of episodes; frames labelled −1 are left out, with transitions across them.

    Attributes:
        prototype, label: of every frame.
        soft: soft assignment c of every frame, or None.
    """

    prototype: States
    label: States
    soft: Float[np.ndarray, "episodes frames prototypes"] | None = None


@dataclass(frozen=True, eq=False)
class ChainStats:
    """Statistics of one Markov chain, over prototypes or labels.

    Attributes:
        chain: the chain, in the requested mode.
        counts: frame-to-frame transition counts C_ij, in any mode.
        frames: number of frames in each state.
        entropy_rate_bits, entropy_rate, irreversibility: of `chain`.
        cycles: cycle decomposition of the state sequence, cycles with the most switches first.
        stationary: stationary distribution of the chain in mode `frame`.
        occupancy: share of the frames in each state.
        occupancy_distance: total variation distance ½ Σ |stationary − occupancy|, in [0, 1]; None
            without transitions.
        spectral_gap, timescales: of the chain in mode `frame`.
        slowest_s: slowest relaxation time, s, by lag in frames.
    """

    chain: Chain
    counts: Float64[np.ndarray, "states states"]
    frames: Int[np.ndarray, " states"]
    entropy_rate_bits: float | None
    entropy_rate: float | None
    irreversibility: float | None
    cycles: tuple[Cycle, ...]
    stationary: Float64[np.ndarray, " states"]
    occupancy: Float64[np.ndarray, " states"]
    occupancy_distance: float | None
    spectral_gap: float | None
    timescales: tuple[Timescale, ...]
    slowest_s: dict[int, float | None]

    @property
    def visited(self) -> tuple[int, ...]:
        """States with a frame."""
        return tuple(np.flatnonzero(self.frames).tolist())

    @property
    def switches(self) -> int:
        """Number of switches over all episodes."""
        return int(self.counts.sum() - np.trace(self.counts))


@dataclass(frozen=True, eq=False)
class PartitionStats:
    """Statistics of a partition of the prototypes, by one convention.

    Attributes:
        graph: symmetric edge weights.
        entropy: H¹, H² and gap, against random partitions with the same cluster sizes.
        cut: share of the weight that crosses clusters, against the same null.
        modularity: Q of the directed flow, or of the symmetric training graph.
        best: cluster of each prototype in the partition of lowest H²: that of a greedy search, or
            the learned one if it is better. The search chooses the number of clusters for `flow`.
            For `train`, where self-transitions favour singletons, it keeps the learned number.
        best_h2_bits, best_gap: H² and gap of that partition.
    """

    convention: Convention
    graph: Graph
    entropy: StructuralEntropy
    cut: Cut
    modularity: float | None
    best: Int[np.ndarray, " prototypes"]
    best_h2_bits: float
    best_gap: float | None


@dataclass(frozen=True, eq=False)
class GraphStats:
    """Statistics of a transition graph.

    Attributes:
        mode: mode of the chains of both levels, `prototypes` and `labels`.
        flow, train: statistics of the partition by convention; `train` is None without soft
            assignments.
    """

    mode: Mode
    prototypes: ChainStats
    labels: ChainStats
    flow: PartitionStats
    train: PartitionStats | None


def graph_stats(
    walks: Walks,
    partition: Partition,
    mode: Mode,
    dt_s: float,
    rng: np.random.Generator,
    replicates: int = REPLICATES,
) -> GraphStats:
    """Describe the transitions of pooled episodes; none are counted across episodes.

    Args:
        walks: state sequences; mode `soft-train` needs soft assignments.
        partition: S of learned or fitted clusters.
        mode: mode of the chains.
        dt_s: seconds between frames.
        rng: draws the random partitions, `replicates` of them.

    Raises:
        ValueError: `soft-train` without soft assignments.
    """
    assigned = walks.prototype >= 0
    soft = None if walks.soft is None else np.where(assigned[..., None], walks.soft, 0)
    clustered = None if soft is None else soft @ partition
    prototypes = chain_stats(walks.prototype, soft, len(partition), mode, dt_s)
    labels = chain_stats(walks.label, clustered, partition.shape[1], mode, dt_s)
    train = None
    if soft is not None:
        weights = markov_chain(soft_transition_counts(soft), "soft-train").weights
        train = partition_stats("train", weights, partition, rng, replicates)
    weights = markov_chain(prototypes.counts, "flow").weights
    flow = partition_stats("flow", weights, partition, rng, replicates)
    return GraphStats(mode, prototypes, labels, flow, train)


def chain_stats(
    states: States,
    soft: Float[np.ndarray, "episodes frames states"] | None,
    count: int,
    mode: Mode,
    dt_s: float,
) -> ChainStats:
    """Describe the chain of one level.

    Args:
        states: state of every frame, 0 … `count` − 1.
        soft: soft assignment of every frame, for mode `soft-train`; 0 in frames that are left out.
        count: number of states.
        mode: mode of the chain.
        dt_s: seconds between frames.

    Raises:
        ValueError: `soft-train` without soft assignments.
    """
    counts = transition_counts(states, count)
    if mode != "soft-train":
        chain = markov_chain(counts, mode)
    elif soft is None:
        raise ValueError("the mode soft-train needs soft assignments")
    else:
        chain = markov_chain(soft_transition_counts(soft), mode)
    frame = markov_chain(counts, "frame")
    frames = np.bincount(states[states >= 0], minlength=len(counts))
    occupancy = frames / max(int(frames.sum()), 1)
    distance = float(np.abs(frame.stationary - occupancy).sum() / 2)
    return ChainStats(
        chain=chain,
        counts=counts,
        frames=frames,
        entropy_rate_bits=entropy_rate_bits(chain),
        entropy_rate=entropy_rate(chain),
        irreversibility=irreversibility(chain),
        cycles=dominant_cycles(states),
        stationary=frame.stationary,
        occupancy=occupancy,
        occupancy_distance=distance if frame.connected.any() else None,
        spectral_gap=spectral_gap(frame),
        timescales=timescales(frame, dt_s),
        slowest_s=slowest_by_lag(states, len(counts), dt_s),
    )


def partition_stats(
    convention: Convention,
    weights: Graph,
    partition: Partition,
    rng: np.random.Generator,
    replicates: int = REPLICATES,
) -> PartitionStats:
    """Describe a partition of a graph, by one convention.

    `weights` are the flow, or the training graph. `flow` uses the hard clusters of S, `train` S.
    """
    loops = _LOOPS[convention]
    graph = symmetrised(weights)
    hard = partition.argmax(axis=1)
    learned = partition if convention == "train" else hard
    entropy = structural_entropy(graph, learned, rng, loops, replicates)
    clusters = len(np.unique(hard)) if convention == "train" else None
    candidates = (greedy_partition(graph, clusters, loops), hard)
    best = min(candidates, key=lambda candidate: entropy_2d(graph, candidate, loops))
    h1, best_h2 = entropy.h1_bits, entropy_2d(graph, best, loops)
    return PartitionStats(
        convention=convention,
        graph=graph,
        entropy=entropy,
        cut=cut(graph, learned, rng, loops, replicates),
        modularity=modularity(weights, learned, loops),
        best=best,
        best_h2_bits=best_h2,
        best_gap=(h1 - best_h2) / h1 if h1 > 0 else None,
    )
