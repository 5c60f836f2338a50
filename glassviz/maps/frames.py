"""The frames of several traces, one after the other, and what each is coloured by."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float32, Float64, Int, Int32

from glassviz.analysis.calibration import returns_to_go
from glassviz.analysis.naming import LabelName, name_labels
from glassviz.errors import GlassvizError
from glassviz.gait.gait import describe
from glassviz.stability.episode import phases_of
from glassviz.trace import Trace

CLOCKLESS_WINDOW_S = 0.5
"""Frames nearer than this are no neighbours in runs without gait cycles, which have no half one."""

DISCOUNT = 0.99
"""Of an agent whose trace tells none."""


@dataclass(frozen=True, eq=False)
class Frames:
    """All frames of all traces, openings included.

    Attributes:
        shapes: episodes and frames of each trace.
        trace: number of the trace that each frame is of.
        series: number of its episode, among those of all traces.
        episode: number of its episode in its trace.
        time: number of the frame in its episode.
        phase: in its gait cycle, [0, 2π); NaN outside of cycles.
        cycle: number of its gait cycle, among those of all traces; −1 outside.
        window: half a gait cycle of its trace, in frames.
        label, prototype: of the frame; −1 without labels.
        to_go: its return-to-go. What comes after the episode's end is taken to be like what came
            before it, or all late frames would look poor.
        gait_phase: the entry of `GAIT_PHASES` that it belongs to; −1 in openings.
    """

    shapes: tuple[tuple[int, int], ...]
    trace: Int[np.ndarray, " frames"]
    series: Int[np.ndarray, " frames"]
    episode: Int[np.ndarray, " frames"]
    time: Int[np.ndarray, " frames"]
    phase: Float64[np.ndarray, " frames"]
    cycle: Int[np.ndarray, " frames"]
    window: Int[np.ndarray, " frames"]
    label: Int32[np.ndarray, " frames"]
    prototype: Int32[np.ndarray, " frames"]
    to_go: Float64[np.ndarray, " frames"]
    gait_phase: Int[np.ndarray, " frames"]

    def __len__(self) -> int:
        return len(self.trace)

    def label_names(self, clusters: int) -> tuple[LabelName, ...]:
        """What each label stands for, by the phase of the gait that it lives in."""
        return name_labels(self.label.astype(np.int64), self.gait_phase, clusters)


def pool(traces: Sequence[Trace]) -> Frames:
    """Put the frames of traces one after the other, and find their gait cycles.

    Raises:
        GlassvizError: there are no frames, or a gait cannot be described.
    """
    if not sum(trace.label.size for trace in traces):
        raise GlassvizError("map: expected traces with frames, found none: record them again")
    parts: list[dict[str, np.ndarray]] = []
    cycles = series = 0
    for number, trace in enumerate(traces):
        part = _part(trace, number, cycles, series)
        parts.append(part)
        cycles = max(cycles, int(part["cycle"].max(initial=-1)) + 1)
        series += trace.episodes
    arrays: dict[str, Any] = {
        name: np.concatenate([part[name] for part in parts]) for name in parts[0]
    }
    return Frames(shapes=tuple((t.episodes, t.frames) for t in traces), **arrays)


def _part(trace: Trace, number: int, cycles: int, series: int) -> dict[str, np.ndarray]:
    phase, cycle, gait_phase, lengths = [], [], [], []
    for episode in range(trace.episodes):
        gait = describe(trace, episode)
        found = gait.cycles
        phase.append(found.phase)
        cycle.append(np.where(found.cycle >= 0, found.cycle + cycles, -1))
        gait_phase.append(phases_of(trace, episode, gait))
        lengths.append(found.ends - found.starts)
        cycles += found.count
    every = np.concatenate(lengths) if lengths else np.zeros(0, int)
    without = CLOCKLESS_WINDOW_S / trace.frame_dt_s
    window = max(1, round(float(np.median(every)) / 2 if len(every) else without))
    number_of, time = (each.reshape(-1) for each in np.indices((trace.episodes, trace.frames)))
    return {
        "trace": np.full(len(time), number),
        "series": number_of + series,
        "episode": number_of,
        "time": time,
        "phase": _joined(phase, float),
        "cycle": _joined(cycle, np.int64),
        "window": np.full(len(time), window),
        "label": trace.label.reshape(-1),
        "prototype": trace.prototype.reshape(-1),
        "to_go": return_to_go(trace).reshape(-1),
        "gait_phase": _joined(gait_phase, np.int64),
    }


def _joined(parts: list[np.ndarray], dtype: type) -> np.ndarray:
    return np.concatenate(parts).astype(dtype) if parts else np.zeros(0, dtype)


def discount_of(trace: Trace) -> float:
    """γ per frame of the agent; 0.99 where the trace does not tell."""
    found = trace.header["agent"].get("planner", {}).get("discount")
    return found if found is not None and 0 < found < 1 else DISCOUNT


def return_to_go(trace: Trace) -> Float64[np.ndarray, "episodes frames"]:
    """Σ γʲ r over the rest of the episode, divided by 1 − γᵐ where m frames are left.

    That is the discounted mean of the rewards to come over 1 − γ: on the scale of values, and not
    falling to zero at the episode's end, where the clock cuts it off.
    """
    discount = discount_of(trace)
    left = np.arange(trace.frames, 0, -1)
    return returns_to_go(trace.reward, discount) / (1 - discount**left)


def split(
    frames: Frames, rows: Float32[np.ndarray, "frames columns"]
) -> tuple[Float32[np.ndarray, "episodes length columns"], ...]:
    """Rows of all frames as one array a trace."""
    sizes = [episodes * length for episodes, length in frames.shapes]
    parts = np.split(rows, np.cumsum(sizes)[:-1])
    return tuple(
        part.reshape(*shape, rows.shape[1])
        for part, shape in zip(parts, frames.shapes, strict=True)
    )
