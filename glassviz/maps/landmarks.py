"""What is drawn on a map to find one's way: the typical gait cycle, and prototypes."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Float32, Float64, Int

from glassviz.analysis.spherical_kmeans import unit_vectors
from glassviz.maps.frames import Frames
from glassviz.trace import Trace

CYCLE_STEPS = 24
FEWEST_CYCLES = 3
COMPARED = 400
"""Of more cycles so many are compared with each other, evenly drawn."""

AVERAGED = 0.25
"""Share of the cycles, those nearest to the typical one, that its path is the mean of."""

NEAREST = 15
"""Frames around a prototype, whose midst it stands in."""

Plane = Float32[np.ndarray, "frames 2"]


@dataclass(frozen=True, eq=False)
class CyclePath:
    """The typical gait cycle of one trace, as a path on the map.

    Attributes:
        trace: number of the trace.
        xy: where it is at phases 0, 1/24, 2/24 … of the cycle.
        cycles: how many cycles it is the mean of.
        of: how many there are.
    """

    trace: int
    xy: Float64[np.ndarray, "steps 2"]
    cycles: int
    of: int


@dataclass(frozen=True, eq=False)
class PlacedPrototype:
    """A prototype that is the nearest one of some frame.

    Attributes:
        number: n.
        label: the commonest label of its frames.
        share: of all frames with prototypes, those that it is nearest to.
        xy: where it stands: at one of the frames that are nearest to it, the one in their midst.
        nearest: these frames, the nearest first; numbers in `Frames`.
    """

    number: int
    label: int
    share: float
    xy: tuple[float, float]
    nearest: Int[np.ndarray, " nearest"]


def typical_cycle(frames: Frames, xy: Plane, trace: int) -> CyclePath | None:
    """The path of the gait cycle that is least far from all others, and of those nearest to it.

    A mean over all cycles would run where no cycle does, if there are two kinds of them.

    Args:
        frames: of all traces.
        xy: where each is; NaN: nowhere.
        trace: number of the trace whose cycles count.

    Returns:
        None with fewer than three cycles.
    """
    inside = (frames.trace == trace) & (frames.cycle >= 0) & np.isfinite(xy).all(axis=1)
    kept = np.flatnonzero(inside)
    curves = _curves(frames.cycle[kept], frames.phase[kept], xy[kept])
    if len(curves) < FEWEST_CYCLES:
        return None
    some = curves[np.linspace(0, len(curves) - 1, min(len(curves), COMPARED)).round().astype(int)]
    apart = np.linalg.norm(some[:, None] - some[None], axis=3).mean(axis=2)
    medoid = some[int(apart.sum(axis=1).argmin())]
    order = np.argsort(np.linalg.norm(curves - medoid, axis=2).mean(axis=1), kind="stable")
    count = max(1, round(AVERAGED * len(curves)))
    return CyclePath(trace, curves[order[:count]].mean(axis=0), count, len(curves))


def _curves(
    cycle: Int[np.ndarray, " frames"], phase: Float64[np.ndarray, " frames"], xy: Plane
) -> Float64[np.ndarray, "cycles steps 2"]:
    """Every cycle that has frames in each third of it, at equal steps of its phase."""
    steps = np.arange(CYCLE_STEPS) * (2 * np.pi / CYCLE_STEPS)
    curves = []
    cuts = np.flatnonzero(np.diff(cycle)) + 1
    for own in np.split(np.arange(len(cycle)), cuts):
        if len(np.unique(phase[own] // (2 * np.pi / 3))) < 3:
            continue
        curves.append(
            [np.interp(steps, phase[own], xy[own, axis], period=2 * np.pi) for axis in (0, 1)]
        )
    return np.array(curves, dtype=np.float64).reshape(-1, 2, CYCLE_STEPS).transpose(0, 2, 1)


def place_prototypes(
    traces: Sequence[Trace], frames: Frames, xy: Plane
) -> tuple[PlacedPrototype, ...]:
    """Every prototype that is the nearest one of a frame, by number.

    Frames are near to a prototype by their soft assignment to it; where there is none (fitted
    labels), by their cosine with the mean direction of all frames that it is the nearest of, which
    is what a fitted prototype is.

    Args:
        traces: of one checkpoint.
        frames: theirs.
        xy: where each frame is; NaN: nowhere.
    """
    on_map = np.isfinite(xy).all(axis=1)
    total = int((frames.prototype >= 0).sum())
    placed = []
    for number in np.unique(frames.prototype[frames.prototype >= 0]).tolist():
        own = frames.prototype == number
        kept = np.flatnonzero(own & on_map)
        if not len(kept):
            continue
        nearness = _nearness(traces, own, kept, number)
        nearest = kept[np.argsort(-nearness, kind="stable")[:NEAREST]]
        apart = np.linalg.norm(xy[nearest][:, None] - xy[nearest], axis=2).sum(axis=1)
        x, y = xy[nearest[int(apart.argmin())]].tolist()
        label = int(np.bincount(frames.label[own]).argmax())
        share = float(own.sum() / total)
        placed.append(PlacedPrototype(number, label, share, (x, y), nearest))
    return tuple(placed)


def by_nearness(traces: Sequence[Trace], frames: Frames, number: int) -> Int[np.ndarray, " frames"]:
    """Frames that prototype `number` is the nearest of, those nearest to it first."""
    own = frames.prototype == number
    kept = np.flatnonzero(own)
    return kept[np.argsort(-_nearness(traces, own, kept, number), kind="stable")]


def _nearness(
    traces: Sequence[Trace],
    own: Bool[np.ndarray, " frames"],
    kept: Int[np.ndarray, " kept"],
    number: int,
) -> Float[np.ndarray, " kept"]:
    if all(trace.soft_assignment.shape[2] > number for trace in traces):
        return np.concatenate([t.soft_assignment[..., number].reshape(-1) for t in traces])[kept]
    unit = unit_vectors(np.concatenate([t.latent.reshape(-1, t.latent.shape[2]) for t in traces]))
    return unit[kept] @ unit_vectors(unit[own].mean(axis=0))
