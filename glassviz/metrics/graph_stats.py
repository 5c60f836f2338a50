"""A transition graph in numbers: its chain of prototypes, its chain of labels, its partition.

Two conventions for structural entropy, always to be printed with it:

    flow     (F + Fᵀ)/2 of the flow F_ij = π_i P_ij, self-transitions dropped, the cluster of each
             prototype: what describes behaviour. The modes `frame`, `jump` and `flow` agree on it.
    train    (P + Pᵀ)/2 of soft counts with a floor, rows normalised, self-transitions once, the
             soft S: the loss that Glass is trained on, unweighted by visits.

Both keep all edges, however weak.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from jaxtyping import Float, Float64, Int

from glassviz.metrics.structural_entropy import (
    REPLICATES,
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


States = Int[np.ndarray, "episodes frames"]


@dataclass(frozen=True, eq=False)
class Walks:
    """Where episodes were, frame by frame; −1: left out, and nothing is counted across it.

    Attributes:
        prototype, label: of every frame.
        soft: c, the soft assignment of every frame; None where there are none.
    """

    prototype: States
    label: States
    soft: Float[np.ndarray, "episodes frames prototypes"] | None = None


@dataclass(frozen=True, eq=False)
class ChainStats:
    """A chain of states, prototypes or labels.

    Attributes:
        chain: of the mode that was asked for.
        counts: C_ij, how often a frame of state i is followed by one of j, whatever the mode.
        frames: how many each state has.
        entropy_rate_bits, entropy_rate: how uncertain the next state is; of that chain.
        irreversibility: how much of the traffic goes one way only; of that chain.
        cycles: that the path of states is made of, those with the most switches first.
        stationary: share of the time in each state in the long run, by the chain `frame`.
        occupancy: share of the frames that each state has.
        occupancy_distance: ½ Σ |stationary − occupancy|, in [0, 1]; None without a transition.
        spectral_gap, timescales: how fast the chain `frame` forgets.
        slowest_s: slowest relaxation time by lag in frames.
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
        """How often the state changed, over all episodes."""
        return int(self.counts.sum() - np.trace(self.counts))


@dataclass(frozen=True, eq=False)
class PartitionStats:
    """A partition of the prototypes, on the graph of one convention.

    Attributes:
        convention: which.
        graph: its weights, symmetric.
        entropy: H¹, H² and gap, against random partitions of the same sizes.
        cut: how much of the weight crosses clusters, against the same.
        modularity: Q of the directed flow, or of the symmetric graph of training.
        best: cluster of each prototype in the best partition that a greedy search finds, or in
            the learned one, if that is better; for `flow` in as many clusters as tell most, for
            `train`, where self-transitions make singletons look best, in as many as the learned
            one.
        best_h2_bits, best_gap: of that.
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
    """A transition graph in numbers.

    Attributes:
        mode: of its chains.
        prototypes, labels: the two levels.
        flow: what the partition tells about the traffic.
        train: what the training loss makes of it; None without soft assignments.
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
    """Describe the transitions of episodes, pooled; none are counted across episodes.

    Args:
        walks: where they were; for the mode `soft-train` with soft assignments.
        partition: S, of learned or fitted clusters.
        mode: of the chains.
        dt_s: seconds between frames.
        rng: for the random partitions.
        replicates: how many of them.
    """
    kept = walks.prototype >= 0
    soft = None if walks.soft is None else np.where(kept[..., None], walks.soft, 0)
    counts, soft_counts = _counts(walks.prototype, soft, len(partition))
    prototypes = chain_stats(walks.prototype, counts, soft_counts, mode, dt_s)
    clustered = None if soft is None else soft @ partition
    counts, soft_labels = _counts(walks.label, clustered, partition.shape[1])
    labels = chain_stats(walks.label, counts, soft_labels, mode, dt_s)
    flow = markov_chain(prototypes.counts, "flow").weights
    train = None
    if soft_counts is not None:
        train = partition_stats(
            "train", markov_chain(soft_counts, "soft-train").weights, partition, rng, replicates
        )
    return GraphStats(
        mode=mode,
        prototypes=prototypes,
        labels=labels,
        flow=partition_stats("flow", flow, partition, rng, replicates),
        train=train,
    )


def _counts(
    states: States, soft: Float[np.ndarray, "episodes frames states"] | None, count: int
) -> tuple[Float64[np.ndarray, "states states"], Float64[np.ndarray, "states states"] | None]:
    """Hard and soft transition counts; frames that are left out have soft assignments of 0."""
    hard = transition_counts(states, count)
    return hard, None if soft is None else soft_transition_counts(soft)


def chain_stats(
    states: States,
    counts: Float64[np.ndarray, "states states"],
    soft_counts: Float64[np.ndarray, "states states"] | None,
    mode: Mode,
    dt_s: float,
) -> ChainStats:
    """Describe the chain of one level.

    Args:
        states: of every frame; −1: left out.
        counts: of transitions from frame to frame.
        soft_counts: the same of soft assignments, for the mode `soft-train`.
        mode: of the chain.
        dt_s: seconds between frames.

    Raises:
        ValueError: `soft-train` without soft counts.
    """
    if mode == "soft-train" and soft_counts is None:
        raise ValueError("the mode soft-train needs soft assignments")
    chain = markov_chain(
        soft_counts if mode == "soft-train" and soft_counts is not None else counts, mode
    )
    frame = markov_chain(counts, "frame")
    frames = np.bincount(states[states >= 0], minlength=len(counts))
    occupancy = frames / max(int(frames.sum()), 1)
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
        occupancy_distance=float(np.abs(frame.stationary - occupancy).sum() / 2)
        if frame.connected.any()
        else None,
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
    """Describe what a partition tells about a graph, by a convention.

    Args:
        convention: which; `flow` takes the cluster of each prototype, `train` S as it is.
        weights: the flow, or the graph that is trained on.
        partition: S.
        rng: for the random partitions.
        replicates: how many of them.
    """
    loops = _LOOPS[convention]
    graph = symmetrised(weights)
    member = partition.argmax(axis=1)
    learned = partition if convention == "train" else member
    entropy = structural_entropy(graph, learned, rng, loops, replicates)
    clusters = len(np.unique(member)) if convention == "train" else None
    found = (greedy_partition(graph, clusters, loops), member)
    best_h2, best = min(
        ((entropy_2d(graph, each, loops), each) for each in found), key=lambda pair: pair[0]
    )
    h1 = entropy.h1_bits
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
