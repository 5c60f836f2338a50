"""Where prototypes stand in a drawing of their graph: clusters on a ring, prototypes within them.

Places depend on the partition alone, so that every drawing of a checkpoint has the same ones,
whoever acted, whatever the mode. Lengths are in places: a prototype has a disc of diameter 1.
"""

from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float64, Int
from scipy.optimize import brentq

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
