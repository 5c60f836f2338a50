"""How fast a chain forgets where it was: the times of its slowest processes."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Complex128, Int

from glassviz.analysis.transitions import Chain, markov_chain, transition_counts

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
