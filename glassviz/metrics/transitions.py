"""Transitions between states: counts, chains, cycles, and how fast chains forget."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from jaxtyping import Bool, Complex128, Float, Float64, Int

from glassviz.metrics.information import entropy_bits

Mode = Literal["frame", "jump", "soft-train", "flow"]


TRANSITION_FLOOR = 1e-4
"""Added to every soft count, as in training, so that no row is empty."""


FEWEST_ROUNDS, LEAST_SHARE = 2, 0.1
"""Of a cycle that is called dominant: how often it was completed, and its share of the switches."""


Counts = Float64[np.ndarray, "states states"]


def transition_counts(
    labels: Int[np.ndarray, "episodes frames"], states: int, lag: int = 1
) -> Counts:
    """C_ij: how often a frame of state i is followed by one of state j, `lag` frames later.

    Args:
        labels: state of every frame of every episode; −1: left out, and nothing is counted across
            it. Counts of traces of other lengths can be added up.
        states: number of states.
        lag: in frames.
    """
    stretch = np.cumsum(labels < 0, axis=1)
    kept = (labels[:, :-lag] >= 0) & (stretch[:, :-lag] == stretch[:, lag:])
    pairs = labels[:, :-lag][kept].astype(np.int64) * states + labels[:, lag:][kept]
    counts = np.bincount(pairs, minlength=states**2)
    return counts.reshape(states, states).astype(np.float64)


def soft_transition_counts(c: Float[np.ndarray, "episodes frames states"]) -> Counts:
    """Σ_t c_t ⊗ c_{t+1} over the frames of each episode, of soft assignments c.

    Defined on distributions; the floor that training adds comes in with mode `soft-train`.
    """
    counts = np.zeros((c.shape[-1],) * 2)
    for episode in c:  # One at a time, for a copy in double precision would not be small.
        episode = episode.astype(np.float64)
        counts += episode[:-1].T @ episode[1:]
    return counts


@dataclass(frozen=True, eq=False)
class Chain:
    """A Markov chain as far as it was observed.

    Attributes:
        mode: which graph `weights` are of.
        counts: C, of this mode (without diagonal for `jump`, with the floor for `soft-train`).
        p: C with rows normalised; rows of zeros for states that were never left.
        connected: states that lead to each other and back; of several such groups the one with
            the most transitions. A state passed through once, at the reset or in a fall that
            ends the episode, is none of them.
        stationary: π = π P within the connected states, 0 elsewhere.
        empirical: share of the transitions that leave each state. Differs from π where episodes
            begin and end elsewhere than they stay.
        flow: F_ij = π_i P_ij, within the connected states; sums to 1.

    Without any transition π, shares and flow are 0.
    """

    mode: Mode
    counts: Counts
    p: Float64[np.ndarray, "states states"]
    connected: Bool[np.ndarray, " states"]
    stationary: Float64[np.ndarray, " states"]
    empirical: Float64[np.ndarray, " states"]
    flow: Float64[np.ndarray, "states states"]

    @property
    def weights(self) -> Float64[np.ndarray, "states states"]:
        """Edge weights of the graph: P, for `soft-train` (P + Pᵀ)/2, for `flow` F."""
        if self.mode == "soft-train":
            return (self.p + self.p.T) / 2
        return self.flow if self.mode == "flow" else self.p


def markov_chain(counts: Counts, mode: Mode = "frame") -> Chain:
    """The chain that transition counts make.

    Args:
        counts: from `transition_counts`, or for `soft-train` from `soft_transition_counts`.
        mode: which graph is asked for.
    """
    if mode == "jump":
        counts = counts * (1 - np.eye(len(counts)))
    elif mode == "soft-train":
        counts = counts + TRANSITION_FLOOR
    total = counts.sum()
    connected = _connected(counts)
    stationary, flow = np.zeros(len(counts)), np.zeros_like(counts)
    if connected.any():
        within = np.ix_(connected, connected)
        p = _rows_normalised(counts[within])
        stationary[connected] = _stationary(p)
        flow[within] = stationary[connected, None] * p
    return Chain(
        mode=mode,
        counts=counts,
        p=_rows_normalised(counts),
        connected=connected,
        stationary=stationary,
        empirical=counts.sum(axis=1) / (total if total > 0 else 1.0),
        flow=flow,
    )


def _rows_normalised(counts: Counts) -> Counts:
    total = counts.sum(axis=1, keepdims=True)
    return np.divide(counts, total, out=np.zeros_like(counts), where=total > 0)


def _connected(counts: Counts) -> Bool[np.ndarray, " states"]:
    """The strongly connected states with the most transitions between them.

    Switches count first: a state in which an episode ends, however long, is no chain where there
    is another. Where nothing switches and returns, the most occupied one is.
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


def _stationary(p: Float64[np.ndarray, "states states"]) -> Float64[np.ndarray, " states"]:
    """π of an irreducible chain: π (I − P) = 0, of which one equation gives way to Σ π = 1."""
    equations = (np.eye(len(p)) - p).T
    equations[-1] = 1.0
    solved = np.linalg.solve(equations, np.eye(len(p))[-1])
    # A state that is hardly ever visited may come out as −1e-17.
    positive = np.maximum(solved, 0.0)
    return positive / positive.sum()


def entropy_rate_bits(chain: Chain) -> float | None:
    """h = −Σ_i π_i Σ_j P_ij log2 P_ij: how uncertain the next state is.

    In bits per frame, or per switch for the mode `jump`, whose h is 0 for a clock whatever its
    dwell. At most log2 of the states that can follow. None without a transition.
    """
    if not chain.connected.any():
        return None
    within = chain.p[np.ix_(chain.connected, chain.connected)]
    return float(chain.stationary[chain.connected] @ entropy_bits(_rows_normalised(within)))


def entropy_rate(chain: Chain) -> float | None:
    """The entropy rate over its largest value, log2 of the connected states that can follow.

    In [0, 1]: 0 for a clock, 1 for a die. None where one state, or in the mode `jump` one other
    state, is all that can follow.
    """
    bits = entropy_rate_bits(chain)
    choices = int(chain.connected.sum()) - (chain.mode == "jump")
    return None if bits is None or choices < 2 else min(bits / float(np.log2(choices)), 1.0)


def irreversibility(chain: Chain) -> float | None:
    """Σ_{i<j} |F_ij − F_ji| / Σ_{i≠j} F_ij: how much of the traffic goes one way only.

    In [0, 1]: 1 for a pure one-way cycle, 0 for a chain that looks the same backwards, which any
    chain of two states does. None when the state never changes.
    """
    between = chain.flow.sum() - np.trace(chain.flow)
    if between <= 0:
        return None
    return min(float(np.abs(chain.flow - chain.flow.T).sum() / 2 / between), 1.0)


@dataclass(frozen=True)
class Cycle:
    """A sequence of states that leads back to its first.

    Attributes:
        states: in order, each once, the smallest first.
        count: how often it was completed.
        share: of all switches, those that were part of it, in [0, 1].
    """

    states: tuple[int, ...]
    count: int
    share: float


def dominant_cycles(labels: Int[np.ndarray, "episodes frames"]) -> tuple[Cycle, ...]:
    """Cycles that the path of states is made of, those with the most switches first.

    Follows the path with repeats dropped; as soon as it comes back to a state, the loop in
    between is counted as a cycle and erased. Unlike net flux this counts cycles of two states
    too, and needs no model. Shares sum to 1 but for the last, open piece of each path.

    Args:
        labels: state of every frame of every episode; −1: left out, where a new path begins.

    References:
        MacQueen, "Circuit processes", 1981. Kalpazidou, "Cycle representations of Markov
        processes", 2006.
    """
    completed: Counter[tuple[int, ...]] = Counter()
    switches = 0
    for episode in labels:
        switched = np.diff(episode, prepend=episode[:1] - 1) != 0
        path: list[int] = []
        place: dict[int, int] = {}
        for state in episode[switched].tolist():
            if state < 0:
                path, place = [], {}
                continue
            switches += bool(path)
            start = place.get(state)
            if start is not None:
                loop = tuple(path[start:])
                completed[loop] += 1
                for erased in loop:
                    del place[erased]
                del path[start:]
            place[state] = len(path)
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
    """The cycle that may be called so: with the most switches, a tenth of all, more than once.

    A long loop that was completed once can have more switches than any other, and is no habit.

    Args:
        cycles: of `dominant_cycles`.
    """
    repeated = (each for each in cycles if each.count >= FEWEST_ROUNDS)
    return next((each for each in repeated if each.share >= LEAST_SHARE), None)


LAGS = (1, 2, 5, 10, 20)
"""Frames between the two ends of a step, at which the slowest time is looked at."""


_ROUNDING = 1e-9


@dataclass(frozen=True)
class Timescale:
    """One process that a chain is made of.

    Attributes:
        relaxation_s: after so long 1/e of it is left, −lag dt / ln |λ|; None: it never fades, as
            in a clock.
        turn_s: time of a turn, 2π lag dt / |arg λ|; None for a process that does not turn.
    """

    relaxation_s: float | None
    turn_s: float | None


def timescales(chain: Chain, dt_s: float, lag: int = 1) -> tuple[Timescale, ...]:
    """The processes of a chain by the eigenvalues λ of its P, slowest first.

    Within the connected states, and without the stationary one, for which λ = 1; pairs of
    conjugates count once, and what is forgotten within a step is left out.

    Args:
        chain: of the mode `frame`, whose steps are steps in time.
        dt_s: seconds between frames.
        lag: of its counts, in frames.
    """
    found = []
    for value in _eigenvalues(chain)[1:]:
        size, angle = float(np.abs(value)), float(np.angle(value))
        if size < _ROUNDING or angle < -_ROUNDING:
            continue
        forgets = size < 1 - _ROUNDING
        turns = angle > _ROUNDING
        found.append(
            Timescale(
                relaxation_s=-lag * dt_s / float(np.log(size)) if forgets else None,
                turn_s=2 * np.pi * lag * dt_s / angle if turns else None,
            )
        )
    return tuple(found)


def spectral_gap(chain: Chain) -> float | None:
    """1 − |λ₂|: how much of the slowest process is forgotten in a step.

    In [0, 1]: 0 for a clock, 1 without memory. None with fewer than two connected states.
    """
    values = _eigenvalues(chain)
    return None if len(values) < 2 else float(np.clip(1 - np.abs(values[1]), 0.0, 1.0))


def slowest_by_lag(
    states: Int[np.ndarray, "episodes frames"],
    count: int,
    dt_s: float,
    lags: Sequence[int] = LAGS,
) -> dict[int, float | None]:
    """The slowest relaxation time, s, estimated with steps of several lengths.

    For a Markov chain it does not depend on the lag. One that grows with it is of states that do
    not tell all that matters, as the dwell of a clock is not told by its label.

    Args:
        states: of every frame; −1: left out.
        count: number of states.
        dt_s: seconds between frames.
        lags: in frames.

    Returns:
        By lag; None where nothing fades, or there is no second state.
    """
    found: dict[int, float | None] = {}
    for lag in lags:
        chain = markov_chain(transition_counts(states, count, lag))
        slowest = timescales(chain, dt_s, lag)
        found[lag] = slowest[0].relaxation_s if slowest else None
    return found


def _eigenvalues(chain: Chain) -> Complex128[np.ndarray, " connected"]:
    """λ of P within the connected states, the largest first; of a pair the one that turns on."""
    within = chain.p[np.ix_(chain.connected, chain.connected)]
    # A connected state may be left for good in a few steps: those are not steps within.
    total = within.sum(axis=1, keepdims=True)
    rows = np.divide(within, total, out=np.zeros_like(within), where=total > 0)
    values = np.linalg.eigvals(rows).astype(np.complex128)
    # Rounded, or equal sizes would come in an order that rounding decides.
    order = np.lexsort((-values.imag, -values.real, -np.round(np.abs(values), 9)))
    return np.asarray(values[order])
