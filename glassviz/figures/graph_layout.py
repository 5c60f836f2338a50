"""Layout of transition graphs: positions of prototypes, routes of arrows, places of texts."""

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float64, Int
from scipy.optimize import brentq

from glassviz.figures.style import LINE_HEIGHT, text_width

Points = Float64[np.ndarray, "points 2"]
Point = tuple[float, float]
Vector = Float64[np.ndarray, "2"]

PAD = 0.22
"""Distance between the discs of a cluster and its hull, in diameters of a disc."""

GAP = 0.5
"""Minimum distance between hulls, in diameters of a disc."""

_ROTATIONS = 144

BENDS = (0.16, 0.24, 0.34, 0.46, 0.08)
"""Bends of arrows to their left, relative to their length, in order of preference. The arrow in
the opposite direction bends to the other side."""

STRAIGHT = (0.0, 0.12, -0.12, 0.25, -0.25)
"""Bends of undirected lines."""

CLEARANCE = 1.5
"""Distance between a line and the nodes that it passes, in points."""

HEAD_LEAST = 2.2

OFFSETS = (0.4, 2.0, 4.0)
"""Distances of a text from its arrow, points."""

_CORNERS = 24
_SAMPLES = np.linspace(0.0, 1.0, 17)[1:-1]
_PLACES = (0.5, 0.42, 0.58, 0.34, 0.66, 0.26, 0.74, 0.18, 0.82, 0.1, 0.9)

NAME_SIZE = 6.5
"""Font size of the names of hulls; the first line is bold."""

INWARDS = 0.3
"""Maximum cosine between a name's direction and that to the centre, where the arrows are."""

TEXT_MARGIN = 0.8
"""Margin around every text, in points."""


@dataclass(frozen=True, eq=False)
class GraphLayout:
    """Positions of prototypes and clusters, y downwards.

    Attributes:
        centre, radius: circles around the clusters, in the order of `clusters`.
        clusters: numbers of the clusters that have prototypes, clockwise.
        unit: diameter of a prototype's disc.
    """

    place: Float64[np.ndarray, "prototypes 2"]
    centre: Float64[np.ndarray, "clusters 2"]
    radius: Float64[np.ndarray, " clusters"]
    clusters: tuple[int, ...]
    unit: float

    def moved(self, x: float, y: float) -> "GraphLayout":
        """The layout shifted right and down."""
        shift = np.array([x, y])
        return replace(self, place=self.place + shift, centre=self.centre + shift)


def graph_layout(
    cluster: Int[np.ndarray, " prototypes"],
    width: float,
    height: float,
    largest: float = np.inf,
    order: Sequence[int] = (),
) -> GraphLayout:
    """Lay out prototypes in a box, as large as possible, with discs of at most diameter `largest`.

    Clusters are placed clockwise on a ring, which is rotated to fit best: those of `order` first,
    then the others by number.
    """
    present = np.unique(cluster).tolist()
    first = [k for k in order if k in present]
    clusters = np.array([*first, *(k for k in present if k not in first)])
    members = [np.flatnonzero(cluster == k) for k in clusters]
    discs = [_packed(len(indices)) for indices in members]
    radius = np.array([_reach(disc) + 0.5 + PAD for disc in discs])
    angle, ring = _ring(radius + GAP / 2)
    fits = []
    for turn in _TURNS:
        low, high = _bounds(ring * _towards(angle + turn), radius)
        fits.append(min(*(np.array([width, height]) / (high - low)).tolist(), largest))
    best = int(np.argmax(np.round(fits, 9)))
    angle, scale = angle + _TURNS[best], fits[best]
    centre = ring * _towards(angle)
    place = np.zeros((len(cluster), 2))
    for indices, disc, at, a in zip(members, discs, centre, angle, strict=True):
        # The first prototype points outwards, the others follow clockwise.
        outwards = np.array([[np.cos(a), np.sin(a)], [-np.sin(a), np.cos(a)]])
        place[indices] = at + disc @ outwards
    low, high = _bounds(centre, radius)
    shift = np.array([width, height]) / 2 - scale * (low + high) / 2
    return GraphLayout(
        place=scale * place + shift,
        centre=scale * centre + shift,
        radius=scale * radius,
        clusters=tuple(clusters.tolist()),
        unit=scale,
    )


_TURNS = np.linspace(0, 2 * np.pi, _ROTATIONS, endpoint=False) - np.pi / 2
"""Rotations of the ring, beginning with the first cluster at the top."""


def _towards(angle: Float64[np.ndarray, " points"]) -> Points:
    return np.stack([np.cos(angle), np.sin(angle)], axis=1)


def _reach(discs: Points) -> float:
    return float(np.linalg.norm(discs, axis=1).max())


def _packed(count: int) -> Points:
    """Centres of `count` discs of diameter 1, in rings around 0; the first on the outer ring."""
    if count == 1:
        return np.zeros((1, 2))
    if count <= 6:
        return _circle(count, 0.5 / np.sin(np.pi / count))
    packings = []
    for inside in range(1, count - 5):
        core, least = _packed(inside), 0.5 / float(np.sin(np.pi / (count - inside)))
        packings.append((max(_reach(core) + 1, least), inside, core))
    reach, inside, core = min(packings, key=lambda packing: (round(packing[0], 9), packing[1]))
    return np.concatenate([_circle(count - inside, reach), core])


def _circle(count: int, radius: float) -> Points:
    return radius * _towards(2 * np.pi * np.arange(count) / count)


def _ring(
    radius: Float64[np.ndarray, " clusters"],
) -> tuple[Float64[np.ndarray, " clusters"], float]:
    """Angles and radius of the smallest ring on which circles of these radii do not overlap."""
    if len(radius) == 1:
        return np.zeros(1), 0.0

    def too_wide(ring: float) -> float:
        return float(2 * np.arcsin(np.minimum(radius / ring, 1)).sum() - 2 * np.pi)

    low = float(radius.max())
    ring = low if too_wide(low) <= 0 else float(brentq(too_wide, low, low * 2 * len(radius)))
    half = np.arcsin(np.minimum(radius / ring, 1))
    half += (np.pi - half.sum()) / len(radius)
    return np.concatenate([[0.0], np.cumsum(half[:-1] + half[1:])]), ring


def _bounds(centre: Points, radius: Float64[np.ndarray, " clusters"]) -> tuple[Vector, Vector]:
    return (centre - radius[:, None]).min(axis=0), (centre + radius[:, None]).max(axis=0)


def outline(place: Float64[np.ndarray, "members 2"], radius: float) -> tuple[Point, ...]:
    """The convex hull of discs around the members of a cluster, as a polygon."""
    from scipy.spatial import ConvexHull

    # The sides of the polygon, not only its corners, keep this distance.
    disc = _circle(_CORNERS, radius / np.cos(np.pi / _CORNERS))
    points = (place[:, None] + disc).reshape(-1, 2)
    return tuple(map(_point, points[ConvexHull(points).vertices]))


def head_length(width: float) -> float:
    """Length of the arrowhead of a line."""
    return HEAD_LEAST + 1.3 * width


def route(
    discs: Float64[np.ndarray, "nodes 3"], source: int, target: int, head: float
) -> tuple[Point, Point, Point, tuple[Point, ...]]:
    """A curve from one disc to another that avoids the others as far as possible.

    `head` is the length of the arrowhead, 0 for an undirected line. Returns start, control point
    and end of the curve, and the corners of the arrowhead.
    """
    others = np.delete(discs, [source, target], axis=0)
    a, b = discs[source, :2], discs[target, :2]
    left = np.array([b[1] - a[1], a[0] - b[0]])
    costs = []
    bends = BENDS if head else STRAIGHT
    for order, bend in enumerate(bends):
        curve = _bezier(a, (a + b) / 2 + bend * left, b, _SAMPLES)
        distance = np.linalg.norm(curve[:, None] - others[None, :, :2], axis=2)
        overlap = np.maximum(others[:, 2] + CLEARANCE - distance, 0).max(axis=0, initial=0)
        costs.append((round(float(overlap.sum()), 6), order))
    control = (a + b) / 2 + bends[min(costs)[1]] * left
    start = a + discs[source, 2] * _unit(control - a)
    tip = b + discs[target, 2] * _unit(control - b)
    if not head:
        return _point(start), _point(control), _point(tip), ()
    head = min(head, 0.7 * float(np.linalg.norm(tip - start)))
    back = _unit(control - tip)
    end = tip + head * back
    half = np.array([-back[1], back[0]]) * 0.55 * head
    # The line ends within the head, so that no gap shows.
    line_end = tip + 0.8 * head * back
    corners = tuple(map(_point, (tip, end + half, end - half)))
    return _point(start), _point(control), _point(line_end), corners


def text_positions(
    start: Point, control: Point, end: Point, line: float, width: float, height: float
) -> Iterator[Point]:
    """Candidate centres of a text beside a curve, close to it and near its middle first."""
    a, c, b = np.array(start), np.array(control), np.array(end)
    half_width, half_height = width / 2 + TEXT_MARGIN, height / 2 + TEXT_MARGIN
    for distance in OFFSETS:
        for t in _PLACES:
            at = _bezier(a, c, b, np.array([t]))[0]
            along = _unit((1 - t) * (c - a) + t * (b - c))
            normal = np.array([along[1], -along[0]])
            reach = abs(normal[0]) * half_width + abs(normal[1]) * half_height
            for side in (1, -1):
                yield _point(at + side * (line / 2 + reach + distance) * normal)


def along_curve(start: Point, control: Point, end: Point, line: float) -> list[list[float]]:
    """Discs (x, y, radius) that cover a curve of this width."""
    a, c, b = np.array(start), np.array(control), np.array(end)
    steps = max(2, math.ceil(float(np.linalg.norm(b - a)) / 2))
    centres = _bezier(a, c, b, np.linspace(0, 1, steps))
    return [[x, y, line / 2] for x, y in centres.tolist()]


def _bezier(
    a: Vector, control: Vector, b: Vector, t: Float64[np.ndarray, " samples"]
) -> Float64[np.ndarray, "samples 2"]:
    t = t[:, None]
    return (1 - t) ** 2 * a + 2 * t * (1 - t) * control + t**2 * b


def _unit(vector: Vector) -> Vector:
    return vector / max(float(np.linalg.norm(vector)), 1e-9)


def _point(vector: Vector) -> Point:
    return float(vector[0]), float(vector[1])


@dataclass(frozen=True)
class Box:
    """A rectangle; y downwards."""

    left: float
    top: float
    right: float
    bottom: float

    @classmethod
    def around(cls, x: float, y: float, width: float, height: float) -> "Box":
        """The box with this centre and size."""
        return cls(x - width / 2, y - height / 2, x + width / 2, y + height / 2)

    def overlaps(self, other: "Box") -> bool:
        """Whether two boxes share more than a border."""
        return (
            self.left < other.right
            and other.left < self.right
            and self.top < other.bottom
            and other.top < self.bottom
        )

    def touches(self, x: float, y: float, radius: float) -> bool:
        """Whether the box overlaps a disc."""
        dx = x - min(max(x, self.left), self.right)
        dy = y - min(max(y, self.top), self.bottom)
        return dx * dx + dy * dy < radius * radius

    def inside(self, other: "Box") -> bool:
        """Whether the box lies within another."""
        return (
            other.left <= self.left
            and other.top <= self.top
            and self.right <= other.right
            and self.bottom <= other.bottom
        )


class Room:
    """The free space of a page: texts stay within it, and cover neither discs nor `taken` boxes."""

    def __init__(
        self, page: Box, discs: Iterable[Iterable[float]], taken: Iterable[Box] = ()
    ) -> None:
        self._page = page
        self._discs = [tuple(disc) for disc in discs]
        self._taken = list(taken)

    def take(self, centres: Iterable[Point], width: float, height: float) -> Point | None:
        """Reserve space for a text at the first centre where it fits; None if it fits nowhere."""
        for x, y in centres:
            box = Box.around(x, y, width + 2 * TEXT_MARGIN, height + 2 * TEXT_MARGIN)
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
    """The name of a hull.

    Attributes:
        lines: lines of text; empty if there is no room.
        at: centre of the text.
        box: bounding box of the text.
    """

    lines: tuple[str, ...]
    at: Point
    box: Box


def place_names(
    layout: GraphLayout, names: Mapping[int, tuple[str, ...]], page: Box
) -> dict[int, Name]:
    """Place the name of every cluster beside its hull, within the page.

    All names in full, if they fit; else their first lines; else the first words of these, as many
    as fit.
    """
    first_lines = {k: lines[:1] for k, lines in names.items()}
    for variant in (names, first_lines):
        placed = _placed(layout, variant, page)
        if all(name.lines for name in placed.values()):
            return placed
    return _placed(layout, {k: (line.split(" ")[0],) for k, (line,) in first_lines.items()}, page)


def _placed(
    layout: GraphLayout, names: Mapping[int, tuple[str, ...]], page: Box
) -> dict[int, Name]:
    centres, radii = layout.centre.tolist(), layout.radius.tolist()
    room = Room(page, [(*at, r) for at, r in zip(centres, radii, strict=True)])
    middle = (page.left + page.right) / 2, (page.top + page.bottom) / 2
    placed = {}
    for k, (x, y), r in zip(layout.clusters, centres, radii, strict=True):
        width = max(text_width(line, NAME_SIZE, bold=i == 0) for i, line in enumerate(names[k]))
        height = NAME_SIZE * LINE_HEIGHT * len(names[k])
        free = room.take(_around(x, y, r, width, height, middle), width, height)
        at = free or (x, y)
        placed[k] = Name(names[k] if free else (), at, Box.around(at[0], at[1], width, height))
    return placed


def _around(
    x: float, y: float, radius: float, width: float, height: float, middle: tuple[float, float]
) -> Iterator[tuple[float, float]]:
    """Candidate centres of a text that touches a circle, above or below first, never inwards."""
    outwards = x - middle[0], y - middle[1]
    distance = math.hypot(*outwards)
    first = -90 if y < middle[1] else 90
    for turn in (0, 15, -15, 30, -30, 45, -45, 60, -60, 75, -75, 90, -90, 105, -105):
        angle = math.radians(first + turn)
        dx, dy = math.cos(angle), math.sin(angle)
        if dx * outwards[0] + dy * outwards[1] < -INWARDS * distance:
            continue
        half_width, half_height = width / 2 + TEXT_MARGIN, height / 2 + TEXT_MARGIN
        offset = radius + TEXT_MARGIN + abs(dx) * half_width + abs(dy) * half_height
        yield x + dx * offset, y + dy * offset
