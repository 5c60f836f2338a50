"""Lines of a drawing: the outlines of clusters, and the ways that arrows take between nodes."""

from collections.abc import Iterator

import numpy as np
from jaxtyping import Float64

Point = tuple[float, float]
Vector = Float64[np.ndarray, "2"]

BENDS = (0.16, 0.24, 0.34, 0.46, 0.08)
"""How far arrows bend to their left, in parts of their length, the preferred first: the way back
bends to the other side."""

STRAIGHT = (0.0, 0.12, -0.12, 0.25, -0.25)
"""The same for lines without a direction."""

CLEARANCE = 1.5
"""Between a line and the nodes that it passes, in points."""

HEAD_WIDTH = 2.6
"""Of an arrowhead, in widths of its line, on top of `HEAD_LEAST`."""

HEAD_LEAST = 2.2

LONG = 2.2
"""Widths of its text in a curve that the text may lie on."""

_CORNERS = 24
_SAMPLES = np.linspace(0.0, 1.0, 17)[1:-1]
_PLACES = (0.5, 0.42, 0.58, 0.34, 0.66, 0.26, 0.74, 0.18, 0.82)


def outline(place: Float64[np.ndarray, "members 2"], radius: float) -> tuple[Point, ...]:
    """The convex hull of discs around the members of a cluster, as a polygon."""
    from scipy.spatial import ConvexHull

    angle = 2 * np.pi * np.arange(_CORNERS) / _CORNERS
    # Sides of the polygon, and not only its corners, stay so far away.
    disc = radius / np.cos(np.pi / _CORNERS) * np.stack([np.cos(angle), np.sin(angle)], axis=1)
    points = (place[:, None] + disc).reshape(-1, 2)
    corners = points[ConvexHull(points).vertices]
    return tuple((float(x), float(y)) for x, y in corners)


def head_length(width: float) -> float:
    """Of the arrowhead of a line."""
    return HEAD_LEAST + 1.3 * width


def route(
    discs: Float64[np.ndarray, "nodes 3"], source: int, target: int, head: float
) -> tuple[Point, Point, Point, tuple[Point, ...]]:
    """A curve from one disc to another that stays clear of the others, where it can.

    Args:
        discs: centres and radii.
        source, target: which two.
        head: length of the arrowhead; 0 for a line without direction.

    Returns:
        Start, control point and end of the curve, and the corners of the arrowhead.
    """
    others = np.delete(discs, [source, target], axis=0)
    a, b = discs[source, :2], discs[target, :2]
    left = np.array([b[1] - a[1], a[0] - b[0]])
    costs = []
    bends = BENDS if head else STRAIGHT
    for order, bend in enumerate(bends):
        curve = _bezier(a, (a + b) / 2 + bend * left, b, _SAMPLES)
        far = np.linalg.norm(curve[:, None] - others[None, :, :2], axis=2)
        inside = np.maximum(others[:, 2] + CLEARANCE - far, 0).max(axis=0, initial=0)
        costs.append((round(float(inside.sum()), 6), order))
    control = (a + b) / 2 + bends[min(costs)[1]] * left
    start = a + discs[source, 2] * _unit(control - a)
    tip = b + discs[target, 2] * _unit(control - b)
    if not head:
        return _point(start), _point(control), _point(tip), ()
    head = min(head, 0.7 * float(np.linalg.norm(tip - start)))
    back = _unit(control - tip)
    end = tip + head * back
    half = np.array([-back[1], back[0]]) * 0.55 * head
    # The line ends within the head, or a gap would show.
    line_end = tip + 0.8 * head * back
    return (
        _point(start),
        _point(control),
        _point(line_end),
        (
            _point(tip),
            _point(end + half),
            _point(end - half),
        ),
    )


def places_of_text(
    start: Point, control: Point, end: Point, line: float, width: float, height: float
) -> Iterator[Point]:
    """Centres of a text about a curve, near its middle first.

    On the curve if that is long enough to be seen on both sides; else, and where that is taken,
    beside it.
    """
    a, c, b = np.array(start), np.array(control), np.array(end)
    if np.linalg.norm(b - a) > LONG * width:
        for t in _PLACES:
            yield _point(_bezier(a, c, b, np.array([t]))[0])
    for t in _PLACES:
        at = _bezier(a, c, b, np.array([t]))[0]
        along = _unit((1 - t) * (c - a) + t * (b - c))
        normal = np.array([along[1], -along[0]])
        away = line / 2 + abs(normal[0]) * width / 2 + abs(normal[1]) * height / 2 + 1
        for side in (1, -1):
            yield _point(at + side * away * normal)


def _bezier(
    a: Vector, control: Vector, b: Vector, t: Float64[np.ndarray, " samples"]
) -> Float64[np.ndarray, "samples 2"]:
    t = t[:, None]
    return (1 - t) ** 2 * a + 2 * t * (1 - t) * control + t**2 * b


def _unit(vector: Vector) -> Vector:
    return vector / max(float(np.linalg.norm(vector)), 1e-9)


def _point(vector: Vector) -> Point:
    return float(vector[0]), float(vector[1])
