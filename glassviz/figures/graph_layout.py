"""Layout of transition graphs: places, routes, texts."""

import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float64, Int
from scipy.optimize import brentq

from glassviz.figures.style import LINE_HEIGHT, text_width

PAD = 0.22
"""Between the discs of a cluster and its hull."""

GAP = 0.5
"""Between hulls, at least."""

_ROTATIONS = 144
Points = Float64[np.ndarray, "points 2"]


@dataclass(frozen=True, eq=False)
class GraphLayout:
    """Places within a box of unit lengths, y downwards.

    Attributes:
        place: centre of each prototype.
        centre, radius: of each cluster's circle, by `clusters`.
        clusters: numbers of the clusters that have prototypes, ascending.
        unit: diameter of a prototype's disc.
    """

    place: Float64[np.ndarray, "prototypes 2"]
    centre: Float64[np.ndarray, "clusters 2"]
    radius: Float64[np.ndarray, " clusters"]
    clusters: tuple[int, ...]
    unit: float

    def moved(self, x: float, y: float) -> "GraphLayout":
        """The same, further right and down."""
        by = np.array([x, y])
        return replace(self, place=self.place + by, centre=self.centre + by)


def graph_layout(
    cluster: Int[np.ndarray, " prototypes"], width: float, height: float, largest: float = np.inf
) -> GraphLayout:
    """Place prototypes in a box, as large as fits.

    Clusters stand clockwise by their numbers, on a ring that is turned to where it fits best.

    Args:
        cluster: of each prototype.
        width, height: of the box.
        largest: diameter of a prototype's disc at most.
    """
    clusters = np.unique(cluster)
    members = [np.flatnonzero(cluster == k) for k in clusters]
    discs = [_packed(len(own)) for own in members]
    radius = np.array([_reach(disc) + 0.5 + PAD for disc in discs])
    angle, ring = _ring(radius + GAP / 2)
    fits = [_scale(ring * _towards(angle + turn), radius, width, height) for turn in _TURNS]
    fits = [min(fit, largest) for fit in fits]
    best = int(np.argmax(np.round(fits, 9)))
    angle, scale = angle + _TURNS[best], fits[best]
    centre = ring * _towards(angle)
    place = np.zeros((len(cluster), 2))
    for own, disc, at, a in zip(members, discs, centre, angle, strict=True):
        # The first one outwards, the others clockwise.
        outwards = np.array([[np.cos(a), np.sin(a)], [-np.sin(a), np.cos(a)]])
        place[own] = at + disc @ outwards
    low, high = (centre - radius[:, None]).min(axis=0), (centre + radius[:, None]).max(axis=0)
    shift = np.array([width, height]) / 2 - scale * (low + high) / 2
    return GraphLayout(
        place=scale * place + shift,
        centre=scale * centre + shift,
        radius=scale * radius,
        clusters=tuple(clusters.tolist()),
        unit=scale,
    )


_TURNS = np.linspace(0, 2 * np.pi, _ROTATIONS, endpoint=False) - np.pi / 2
"""Of the ring: the first cluster at the top, then clockwise."""


def _towards(angle: Float64[np.ndarray, " points"]) -> Points:
    return np.stack([np.cos(angle), np.sin(angle)], axis=1)


def _reach(discs: Points) -> float:
    return float(np.linalg.norm(discs, axis=1).max())


def _packed(count: int) -> Points:
    """Centres of so many discs of diameter 1, in rings around 0; the first on the outer ring."""
    if count == 1:
        return np.zeros((1, 2))
    if count <= 6:
        return _circle(count, 0.5 / np.sin(np.pi / count))
    found = []
    for inside in range(1, count - 5):
        core = _packed(inside)
        outer = count - inside
        found.append((max(_reach(core) + 1, 0.5 / float(np.sin(np.pi / outer))), inside, core))
    reach, inside, core = min(found, key=lambda each: (round(each[0], 9), each[1]))
    return np.concatenate([_circle(count - inside, reach), core])


def _circle(count: int, radius: float) -> Points:
    return radius * _towards(2 * np.pi * np.arange(count) / count)


def _ring(
    radius: Float64[np.ndarray, " clusters"],
) -> tuple[Float64[np.ndarray, " clusters"], float]:
    """Angles and radius of the smallest ring on which circles around its points do not meet."""
    if len(radius) == 1:
        return np.zeros(1), 0.0

    def too_wide(ring: float) -> float:
        return float(2 * np.arcsin(np.minimum(radius / ring, 1)).sum() - 2 * np.pi)

    low = float(radius.max())
    ring = low if too_wide(low) <= 0 else float(brentq(too_wide, low, low * 2 * len(radius)))
    half = np.arcsin(np.minimum(radius / ring, 1))
    half += (np.pi - half.sum()) / len(radius)
    return np.concatenate([[0.0], np.cumsum(half[:-1] + half[1:])]), ring


def _scale(
    centre: Points, radius: Float64[np.ndarray, " clusters"], width: float, height: float
) -> float:
    size = (centre + radius[:, None]).max(axis=0) - (centre - radius[:, None]).min(axis=0)
    return float(min(width / size[0], height / size[1]))


Point = tuple[float, float]
Vector = Float64[np.ndarray, "2"]

BENDS = (0.16, 0.24, 0.34, 0.46, 0.08)
"""How far arrows bend to their left, in parts of their length, the preferred first: the way back
bends to the other side."""

STRAIGHT = (0.0, 0.12, -0.12, 0.25, -0.25)
"""The same for lines without a direction."""

CLEARANCE = 1.5
"""Between a line and the nodes that it passes, in points."""

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


NAME_SIZE = 6.5
"""Of the names of hulls; the first line is bold."""

INWARDS = 0.3
"""How far a name may lie towards the middle, where the arrows are: the cosine."""

AIR = 0.8
"""Kept free around every text, in points."""


@dataclass(frozen=True)
class Box:
    """A rectangle; y downwards."""

    left: float
    top: float
    right: float
    bottom: float

    @classmethod
    def around(cls, x: float, y: float, width: float, height: float) -> "Box":
        """The one with this centre and size."""
        return cls(x - width / 2, y - height / 2, x + width / 2, y + height / 2)

    def overlaps(self, other: "Box") -> bool:
        """Whether two have more than a border in common."""
        return (
            self.left < other.right
            and other.left < self.right
            and self.top < other.bottom
            and other.top < self.bottom
        )

    def touches(self, x: float, y: float, radius: float) -> bool:
        """Whether some of a disc lies in it."""
        dx = x - min(max(x, self.left), self.right)
        dy = y - min(max(y, self.top), self.bottom)
        return dx * dx + dy * dy < radius * radius

    def inside(self, other: "Box") -> bool:
        """Whether all of it lies in another."""
        return (
            other.left <= self.left
            and other.top <= self.top
            and self.right <= other.right
            and self.bottom <= other.bottom
        )


class Room:
    """What is still free of a page.

    Args:
        page: texts stay inside.
        discs: centres and radii of what they must not cover.
        taken: the same, boxes.
    """

    def __init__(
        self,
        page: Box,
        discs: Iterable[Iterable[float]],
        taken: Iterable[Box] = (),
    ) -> None:
        self._page = page
        self._discs = [tuple(disc) for disc in discs]
        self._taken = list(taken)

    def take(
        self, places: Iterable[tuple[float, float]], width: float, height: float
    ) -> tuple[float, float] | None:
        """The first of several centres around which a text fits, now taken; None: it never does."""
        for x, y in places:
            box = Box.around(x, y, width + 2 * AIR, height + 2 * AIR)
            if (
                box.inside(self._page)
                and not any(box.overlaps(other) for other in self._taken)
                and not any(box.touches(*disc) for disc in self._discs)
            ):
                self._taken.append(box)
                return x, y
        return None


@dataclass(frozen=True)
class Name:
    """What stands beside a hull.

    Attributes:
        lines: of text; none where there was no room.
        at: its centre.
        box: that it fills.
    """

    lines: tuple[str, ...]
    at: tuple[float, float]
    box: Box


def place_names(
    layout: GraphLayout, names: Mapping[int, tuple[str, ...]], page: Box
) -> dict[int, Name]:
    """Put the name of every cluster beside its hull.

    All in full if there is room for that, else all by their first lines, else the first words of
    those, as many as fit.

    Args:
        layout: of the hulls.
        names: lines of text, by cluster.
        page: to stay inside of.
    """
    shorter = (
        names,
        {k: lines[:1] for k, lines in names.items()},
        {k: (lines[0].split(" ")[0],) for k, lines in names.items()},
    )
    found: dict[int, Name] = {}
    for told in shorter:
        found = _placed(layout, told, page)
        if all(name.lines for name in found.values()):
            break
    return found


def _placed(
    layout: GraphLayout, names: Mapping[int, tuple[str, ...]], page: Box
) -> dict[int, Name]:
    centres, radii = layout.centre.tolist(), layout.radius.tolist()
    room = Room(page, [(*at, r) for at, r in zip(centres, radii, strict=True)])
    middle = (page.left + page.right) / 2, (page.top + page.bottom) / 2
    found = {}
    for k, (x, y), r in zip(layout.clusters, centres, radii, strict=True):
        width = max(text_width(line, NAME_SIZE, bold=i == 0) for i, line in enumerate(names[k]))
        height = NAME_SIZE * LINE_HEIGHT * len(names[k])
        free = room.take(_around(x, y, r, width, height, middle), width, height)
        at = free or (x, y)
        found[k] = Name(names[k] if free else (), at, Box.around(at[0], at[1], width, height))
    return found


def _around(
    x: float, y: float, radius: float, width: float, height: float, middle: tuple[float, float]
) -> Iterator[tuple[float, float]]:
    """Centres of a text that touches a circle, above or below first, and never inwards of it."""
    outwards = x - middle[0], y - middle[1]
    far = math.hypot(*outwards)
    first = -90 if y < middle[1] else 90
    for turn in (0, 15, -15, 30, -30, 45, -45, 60, -60, 75, -75, 90, -90, 105, -105):
        angle = math.radians(first + turn)
        dx, dy = math.cos(angle), math.sin(angle)
        if dx * outwards[0] + dy * outwards[1] < -INWARDS * far:
            continue
        away = radius + AIR + abs(dx) * (width / 2 + AIR) + abs(dy) * (height / 2 + AIR)
        yield x + dx * away, y + dy * away
