"""Transition graphs: counts, Markov chains, cycles, relaxation times, and their partition."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from jaxtyping import Bool, Complex128, Float, Float64, Int

from glassviz.metrics.information import contingency, entropy_bits, normalised_rows
from glassviz.metrics.labels import GAIT_PHASES
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

Mode = Literal["frame", "jump", "soft-train", "flow"]

TRANSITION_FLOOR = 1e-4
"""Added to every soft count, as in training, so that no row is empty."""

Matrix = Float64[np.ndarray, "states states"]
Shares = Float64[np.ndarray, " states"]
SoftStates = Float[np.ndarray, "episodes frames states"]
States = Int[np.ndarray, "episodes frames"]
"""State of every frame of every episode; −1 leaves a frame out, and transitions across it."""


def transition_counts(labels: States, states: int, lag: int = 1) -> Matrix:
    """Transition counts C_ij: number of frames in state i that are in state j `lag` frames later.

    Matrix of traces of different lengths can be added.

    Example:
        >>> transition_counts(np.array([[0, 0, 1, 1, -1, 0]]), states=2)
        array([[1., 1.],
               [0., 1.]])
    """
    gaps = np.cumsum(labels < 0, axis=1)
    counted = (labels[:, :-lag] >= 0) & (gaps[:, :-lag] == gaps[:, lag:])
    return contingency(labels[:, :-lag][counted], labels[:, lag:][counted], states, states)


def soft_transition_counts(c: SoftStates) -> Matrix:
    """Soft transition counts Σ_t c_t ⊗ c_{t+1} within episodes, of soft assignments c.

    The floor that training adds is added by `markov_chain` in mode `soft-train`.
    """
    counts = np.zeros((c.shape[-1],) * 2)
    for episode in c:  # One episode at a time, since it is copied in double precision.
        episode = episode.astype(np.float64)
        counts += episode[:-1].T @ episode[1:]
    return counts


# Markov chains ------------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class Chain:
    """Empirical Markov chain. Without transitions π, empirical shares and flow are 0.

    Attributes:
        mode: the graph that `weights` describes.
        counts: transition counts C of this mode (no diagonal for `jump`, floor for `soft-train`).
        p: transition matrix P, C with normalised rows; rows of zeros for states never left.
        connected: states of the strongly connected component with the most transitions. It
            excludes states passed through once, at the reset or in a fall that ends the episode.
        stationary: stationary distribution π = π P on the connected states, 0 elsewhere.
        empirical: share of the transitions that leave each state. Differs from π if episodes begin
            and end in states where they do not stay.
        flow: stationary flow F_ij = π_i P_ij on the connected states; sums to 1.
    """

    mode: Mode
    counts: Matrix
    p: Matrix
    connected: Bool[np.ndarray, " states"]
    stationary: Shares
    empirical: Shares
    flow: Matrix

    @property
    def weights(self) -> Matrix:
        """Edge weights of the graph: P; (P + Pᵀ)/2 for `soft-train`; F for `flow`."""
        if self.mode == "soft-train":
            return (self.p + self.p.T) / 2
        return self.flow if self.mode == "flow" else self.p


def markov_chain(counts: Matrix, mode: Mode = "frame") -> Chain:
    """Estimate a Markov chain from transition counts.

    Args:
        counts: from `transition_counts`, or `soft_transition_counts` for `soft-train`.
        mode: `frame` counts every frame, `jump` only switches, `soft-train` adds the floor of the
            training loss, and `flow` weights edges by stationary flow.

    Example:
        >>> chain = markov_chain(np.array([[8.0, 2.0], [4.0, 6.0]]))
        >>> chain.p.tolist(), chain.stationary.round(3).tolist()
        ([[0.8, 0.2], [0.4, 0.6]], [0.667, 0.333])
    """
    if mode == "jump":
        counts = counts * (1 - np.eye(len(counts)))
    elif mode == "soft-train":
        counts = counts + TRANSITION_FLOOR
    connected = _connected(counts)
    stationary, flow = np.zeros(len(counts)), np.zeros_like(counts)
    if connected.any():
        within = np.ix_(connected, connected)
        p = normalised_rows(counts[within])
        stationary[connected] = _stationary(p)
        flow[within] = stationary[connected, None] * p
    return Chain(
        mode=mode,
        counts=counts,
        p=normalised_rows(counts),
        connected=connected,
        stationary=stationary,
        empirical=counts.sum(axis=1) / (counts.sum() or 1.0),
        flow=flow,
    )


def _connected(counts: Matrix) -> Bool[np.ndarray, " states"]:
    """States of the strongly connected component with the most transitions.

    Components are compared by switches, so that a state in which an episode ends does not win by
    its dwell. If no component has a switch, the most occupied state is chosen.
    """
    from scipy.sparse.csgraph import connected_components

    _, component = connected_components(counts > 0, connection="strong")
    same = component[:, None] == component
    inside = np.bincount(component, weights=(counts * same).sum(axis=1))
    if not inside.any():
        return np.zeros(len(counts), bool)
    between = same & ~np.eye(len(counts), dtype=bool)
    switches = np.bincount(component, weights=(counts * between).sum(axis=1))
    inside = switches if switches.any() else inside
    return np.asarray(component == inside.argmax())


def _stationary(p: Matrix) -> Shares:
    """π of an irreducible chain: π (I − P) = 0, with one equation replaced by Σ π = 1."""
    equations = (np.eye(len(p)) - p).T
    equations[-1] = 1.0
    solution = np.linalg.solve(equations, np.eye(len(p))[-1])
    # Rarely visited states may round to −1e-17.
    positive = np.maximum(solution, 0.0)
    return positive / positive.sum()


def entropy_rate_bits(chain: Chain) -> float | None:
    """Entropy rate h = −Σ_i π_i Σ_j P_ij log2 P_ij: uncertainty of the next state.

    In bits per frame, or bits per switch in mode `jump`, where h is 0 for a fixed order of states
    with any dwell. At most log2 of the number of possible next states. None without transitions.

    Example:
        >>> round(entropy_rate_bits(markov_chain(np.array([[5.0, 5.0], [5.0, 5.0]]))), 3)
        1.0
    """
    if not chain.connected.any():
        return None
    within = chain.p[np.ix_(chain.connected, chain.connected)]
    return float(chain.stationary[chain.connected] @ entropy_bits(normalised_rows(within)))


def entropy_rate(chain: Chain) -> float | None:
    """Entropy rate normalised by log2 of the number of possible next states.

    In [0, 1]: 0 for a deterministic chain, 1 for a uniform one. None if only one state can follow.
    """
    bits = entropy_rate_bits(chain)
    choices = int(chain.connected.sum()) - (chain.mode == "jump")
    return None if bits is None or choices < 2 else min(bits / float(np.log2(choices)), 1.0)


def irreversibility(chain: Chain) -> float | None:
    """Irreversibility Σ_{i<j} |F_ij − F_ji| / Σ_{i≠j} F_ij: net flow over total flow.

    In [0, 1]: 1 for a one-way cycle, 0 under detailed balance, which any chain of two states
    fulfils. None if the state never changes.
    """
    between = chain.flow.sum() - np.trace(chain.flow)
    if between <= 0:
        return None
    return min(float(np.abs(chain.flow - chain.flow.T).sum() / 2 / between), 1.0)


# Cycles -------------------------------------------------------------------------------------------

FEWEST_ROUNDS = 2
"""A dominant cycle was completed at least this often."""

LEAST_SHARE = 0.1
"""A dominant cycle has at least this share of the switches."""


@dataclass(frozen=True)
class Cycle:
    """A closed path of distinct states, starting with the smallest, completed `count` times.

    `share` is the share of all switches that belong to it, in [0, 1].
    """

    states: tuple[int, ...]
    count: int
    share: float


def dominant_cycles(labels: States) -> tuple[Cycle, ...]:
    """Cycle decomposition of the state sequence, cycles with the most switches first.

    Follows the path with repeats collapsed. Whenever it returns to a state, the loop in between is
    counted as a cycle and erased. Unlike net flux this includes cycles of two states and needs no
    model. Shares sum to 1 except for the unfinished end of each path. A new path begins where
    frames are left out.

    References:
        MacQueen, "Circuit processes", 1981. Kalpazidou, "Cycle representations of Markov
        processes", 2006.

    Example:
        >>> dominant_cycles(np.array([[0, 1, 2, 0, 1, 2, 0, 2, 0]]))[0]
        Cycle(states=(0, 1, 2), count=2, share=0.75)
    """
    completed: Counter[tuple[int, ...]] = Counter()
    switches = 0
    for episode in labels:
        switched = np.diff(episode, prepend=episode[:1] - 1) != 0
        path: list[int] = []
        for state in episode[switched].tolist():
            if state < 0:
                path = []
                continue
            switches += bool(path)
            if state in path:
                start = path.index(state)
                completed[tuple(path[start:])] += 1
                del path[start:]
            path.append(state)
    rotated: Counter[tuple[int, ...]] = Counter()
    for states, count in completed.items():
        first = states.index(min(states))
        rotated[states[first:] + states[:first]] += count
    cycles = [
        Cycle(states, count, count * len(states) / switches) for states, count in rotated.items()
    ]
    return tuple(sorted(cycles, key=lambda cycle: (-cycle.share, cycle.states)))


def dominant_cycle(cycles: Sequence[Cycle]) -> Cycle | None:
    """First cycle completed at least twice and with a tenth of the switches; None without one.

    A long loop that was completed once may have the most switches, but is not a habit.
    """
    return next((c for c in cycles if c.count >= FEWEST_ROUNDS and c.share >= LEAST_SHARE), None)


def cycle_order(cycles: Sequence[Cycle], phase: Mapping[int, str], clusters: int) -> list[int]:
    """All labels in the order in which a gait cycle visits them.

    That of the dominant cycle, from the earliest gait phase on; then other labels by the gait phase
    in which they occur; then those that do not occur.

    Args:
        cycles: of labels, as `dominant_cycles` finds them.
        phase: of each label that occurs, one of `GAIT_PHASES`, or another word.

    Example:
        >>> cycle_order([Cycle((0, 1), 9, 0.9)], {1: "stance", 0: "flight", 3: "landing"}, 4)
        [1, 0, 3, 2]
    """
    rank = {k: GAIT_PHASES.index(name) for k, name in phase.items() if name in GAIT_PHASES}
    main = dominant_cycle(cycles)
    states = list(main.states) if main else []
    if states:
        first = min(range(len(states)), key=lambda i: rank.get(states[i], len(GAIT_PHASES)))
        states = states[first:] + states[:first]
    others = [k for k in range(clusters) if k not in states]
    return states + sorted(others, key=lambda k: (rank.get(k, len(GAIT_PHASES)), k))


# Timescales ---------------------------------------------------------------------------------------

LAGS = (1, 2, 5, 10, 20)
"""Lags at which the slowest relaxation time is estimated, frames."""

_ROUNDING = 1e-9


@dataclass(frozen=True)
class Timescale:
    """One eigenprocess of a chain.

    Attributes:
        relaxation_s: relaxation time −lag dt / ln |λ|, s; None without decay, as in a perfectly
            periodic chain.
        turn_s: period of rotation 2π lag dt / |arg λ|, s; None without rotation.
    """

    relaxation_s: float | None
    turn_s: float | None


def timescales(chain: Chain, dt_s: float, lag: int = 1) -> tuple[Timescale, ...]:
    """Timescales of a chain from the eigenvalues λ of P on the connected states, slowest first.

    Leaves out the stationary process (λ = 1) and processes that decay within one step (λ = 0);
    pairs of conjugates count once. The chain is of mode `frame`, whose steps are steps in time, and
    its counts of lag `lag`.

    Example:
        >>> chain = markov_chain(np.array([[9.0, 1.0], [1.0, 9.0]]))
        >>> [round(t.relaxation_s, 4) for t in timescales(chain, dt_s=0.02)]
        [0.0896]
    """
    processes = []
    for value in _eigenvalues(chain)[1:]:
        modulus, angle = float(np.abs(value)), float(np.angle(value))
        if modulus < _ROUNDING or angle < -_ROUNDING:
            continue
        decay = -lag * dt_s / float(np.log(modulus)) if modulus < 1 - _ROUNDING else None
        turn = 2 * np.pi * lag * dt_s / angle if angle > _ROUNDING else None
        processes.append(Timescale(decay, turn))
    return tuple(processes)


def spectral_gap(chain: Chain) -> float | None:
    """Spectral gap 1 − |λ₂|: share of the slowest process that decays in one step.

    In [0, 1]: 0 for a periodic chain, 1 without memory. None with fewer than two connected states.
    """
    values = _eigenvalues(chain)
    return None if len(values) < 2 else float(np.clip(1 - np.abs(values[1]), 0.0, 1.0))


def slowest_by_lag(
    states: States, count: int, dt_s: float, lags: Sequence[int] = LAGS
) -> dict[int, float | None]:
    """Slowest relaxation time, s, by lag in frames (implied timescales).

    For a Markov chain it does not depend on the lag. If it grows with the lag, the states are not
    Markovian: the label of a periodic signal, for instance, does not contain the time since its
    onset. None if nothing decays, or with fewer than two states; `count` is the number of states.
    """
    slowest: dict[int, float | None] = {}
    for lag in lags:
        chain = markov_chain(transition_counts(states, count, lag))
        processes = timescales(chain, dt_s, lag)
        slowest[lag] = processes[0].relaxation_s if processes else None
    return slowest


def _eigenvalues(chain: Chain) -> Complex128[np.ndarray, " connected"]:
    """λ of P on the connected states, largest modulus first; of a pair, positive angle first."""
    within = chain.p[np.ix_(chain.connected, chain.connected)]
    # Some transitions lead out of the connected states; the rows are normalised without them.
    values = np.linalg.eigvals(normalised_rows(within)).astype(np.complex128)
    # Rounded moduli keep the order of ties independent of rounding errors.
    order = np.lexsort((-values.imag, -values.real, -np.round(np.abs(values), 9)))
    return np.asarray(values[order])


# Statistics of a transition graph -----------------------------------------------------------------

Convention = Literal["flow", "train"]
"""Convention of structural entropy, printed with it. Both keep all edges, including weak ones.

`flow`: (F + Fᵀ)/2 of the flow F_ij = π_i P_ij, self-transitions dropped, hard clusters: describes
behaviour. The modes `frame`, `jump` and `flow` agree on it.
`train`: (P + Pᵀ)/2 of soft counts with a floor, rows normalised, self-transitions once, the soft S:
the training loss of Glass, not weighted by visits.
"""
_LOOPS: dict[Convention, SelfLoops] = {"flow": "dropped", "train": "once"}
Partition = Float64[np.ndarray, "prototypes clusters"]


@dataclass(frozen=True, eq=False)
class Walks:
    """State sequences of episodes, −1 in frames left out, with soft assignments c if any."""

    prototype: States
    label: States
    soft: Float[np.ndarray, "episodes frames prototypes"] | None = None


@dataclass(frozen=True, eq=False)
class ChainStats:
    """Statistics of one Markov chain, over prototypes or labels.

    Attributes:
        counts: frame-to-frame transition counts C_ij, in any mode.
        frames: number of frames in each state.
        entropy_rate_bits, entropy_rate, irreversibility: of `chain`.
        cycles: cycle decomposition of the state sequence, cycles with the most switches first.
        stationary: stationary distribution of the chain in mode `frame`.
        occupancy: share of the frames in each state.
        occupancy_distance: ½ Σ |stationary − occupancy|, in [0, 1]; None without transitions.
        spectral_gap, timescales: of the chain in mode `frame`.
        slowest_s: slowest relaxation time, s, by lag in frames.
    """

    chain: Chain
    counts: Matrix
    frames: Int[np.ndarray, " states"]
    entropy_rate_bits: float | None
    entropy_rate: float | None
    irreversibility: float | None
    cycles: tuple[Cycle, ...]
    stationary: Shares
    occupancy: Shares
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
        flow, train: the partition by convention; `train` is None without soft assignments.
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

    `partition` is S of learned or fitted clusters; `rng` draws `replicates` random partitions.

    Raises:
        ValueError: mode `soft-train` without soft assignments.
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
    states: States, soft: SoftStates | None, count: int, mode: Mode, dt_s: float
) -> ChainStats:
    """Describe the chain of one level, of `count` states; c is 0 in frames that are left out.

    Raises:
        ValueError: mode `soft-train` without soft assignments.
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
