"""Places for the texts of a drawing, so that none lies on another, or on what it is not about."""

import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from glassviz.plots.graph_layout import GraphLayout
from glassviz.plots.text import LINE_HEIGHT, text_width

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
