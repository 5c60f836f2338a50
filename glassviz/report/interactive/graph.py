"""The transition graph of a run as the page draws it."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from jaxtyping import Float32, UInt8

from glassviz.analysis.transitions import dominant_cycle, dominant_cycles, transition_counts
from glassviz.graphs.wording import told_cycle
from glassviz.plots.graph_drawing import percent
from glassviz.report.interactive.page import NO_STATE, Edge, Graph

States = UInt8[np.ndarray, "episodes frames"]

CAPTION = (
    "Size: share of the time. Width: share of the switches. Clockwise in the order of the gait "
    "cycle, from touchdown at the top."
)


def graph_of(
    state: States, phase: Float32[np.ndarray, "episodes frames"], keys: Sequence[int]
) -> Graph:
    """The switches between the states of a run, over all its episodes.

    Args:
        state: of every frame; `NO_STATE` for none, and in openings.
        phase: of the gait cycle, in [0, 1); NaN outside.
        keys: what each of them is called.
    """
    states = len(keys)
    path = np.where(state == NO_STATE, -1, state.astype(np.int64))
    counts = transition_counts(path, states)
    np.fill_diagonal(counts, 0)
    dominant = dominant_cycle(dominant_cycles(path))
    main = dominant.states if dominant else ()
    steps = set(zip(main, main[1:] + main[:1], strict=True))
    total = max(counts.sum(), 1.0)
    edges = tuple(
        Edge(i, j, int(counts[i, j]), float(counts[i, j] / total), (i, j) in steps)
        for i, j in np.argwhere(counts > 0).tolist()
    )
    caption = CAPTION
    if dominant:
        named = replace(dominant, states=tuple(keys[i] for i in main))
        caption += f" Dark: {told_cycle(named)} carries {percent(named.share)} of the switches."
    return Graph(_around_the_cycle(state, phase, states), edges, caption)


def _around_the_cycle(
    state: States, phase: Float32[np.ndarray, "episodes frames"], states: int
) -> tuple[tuple[float, float], ...]:
    """A ring, clockwise by the circular mean of the phases at which each state is met."""
    turn = np.exp(2j * np.pi * phase)
    at = np.empty(states)
    for i in range(states):
        own = turn[(state == i) & np.isfinite(phase)]
        # A state that is met in no cycle comes last.
        at[i] = np.angle(own.mean()) % (2 * np.pi) if len(own) else 2 * np.pi
    place = np.empty(states)
    place[np.argsort(at, kind="stable")] = np.arange(states) * (2 * np.pi / max(states, 1))
    return tuple((float(x), float(y)) for x, y in zip(np.sin(place), np.cos(place), strict=True))
