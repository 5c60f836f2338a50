"""What colours the frames of a run: its labels, or for want of them the phases of its gait."""

import numpy as np
from jaxtyping import Int, UInt8

from glassviz.analysis.naming import GAIT_PHASES
from glassviz.plots.palette import ink_on, label_color
from glassviz.report.interactive.page import NO_STATE, State
from glassviz.stability import RunStability
from glassviz.stability.episode import phases_of
from glassviz.trace import Trace

PHASE_COLORS = ("#516186", "#7A90AB", "#DCDEEE", "#9AB5D9", "#BD9762", "#864C39", "#E6BA91")
"""Of `GAIT_PHASES`: the upright body in blues, from dark on the floor to light in the air, then the
fallen one in browns.

Duller than those of labels, which they must not be taken for; every two can be told apart, with
defective colour vision too."""


def gait_of(trace: Trace, run: RunStability) -> UInt8[np.ndarray, "episodes frames"]:
    """The entry of `GAIT_PHASES` that every frame belongs to; `NO_STATE` in openings."""
    rows = [phases_of(trace, each.episode, each.gait) for each in run.episodes]
    return _numbered(np.stack(rows))


def states_of(
    trace: Trace, run: RunStability, gait: UInt8[np.ndarray, "episodes frames"]
) -> tuple[tuple[State, ...], UInt8[np.ndarray, "episodes frames"]]:
    """The states that occur in a run, and the number among them that every frame has.

    Args:
        trace: that `run` was made from.
        run: what was found.
        gait: from `gait_of`.
    """
    if trace.has_labels:
        value = _numbered(trace.label)
        named = {each.label: each.name for each in run.label_names}
        occurring = np.unique(value[value != NO_STATE]).tolist()
        looks = [(str(k), named.get(k, "opening"), label_color(k)) for k in occurring]
    else:
        value = gait
        occurring = np.unique(value[value != NO_STATE]).tolist()
        looks = [(str(k + 1), GAIT_PHASES[k], PHASE_COLORS[k]) for k in occurring]
    number = np.full(NO_STATE + 1, NO_STATE, np.uint8)
    number[occurring] = np.arange(len(occurring))
    state = number[value]
    states = tuple(
        State(key, name, color, ink_on(color), float((state == i).mean()))
        for i, (key, name, color) in enumerate(looks)
    )
    return states, state


def _numbered(values: Int[np.ndarray, "episodes frames"]) -> UInt8[np.ndarray, "episodes frames"]:
    return np.where(values < 0, NO_STATE, values).astype(np.uint8)
