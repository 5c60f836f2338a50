"""Drawings of transition graphs: as plain data, and by Matplotlib on a page measured in points.

Lengths and font sizes are in points (1/72 inch); y points downwards.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from jaxtyping import Float64, Int
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Arc, Circle, PathPatch, Polygon
from matplotlib.path import Path
from matplotlib.text import Text

from glassviz.figures.graph_layout import (
    NAME_SIZE,
    PAD,
    Box,
    GraphLayout,
    Point,
    Room,
    along_curve,
    graph_layout,
    head_length,
    outline,
    place_names,
    route,
    text_positions,
)
from glassviz.figures.style import COLUMN_INCHES, FAINT, INK, LINE_HEIGHT, shortened, text_width
from glassviz.palette import ink_on, label_color

WIDTH, HEIGHT = 240.0, 222.0

MARGIN_X, MARGIN_Y = 4.0, 22.0
"""Margins around the hulls, for their names."""

LARGEST_UNIT = 0.17
"""Maximum diameter of a prototype's place, relative to the shorter side of the drawing."""

RING_GAP, RING_WIDTH = 1.7, 1.3
"""Gap between a disc and its ring of self-transitions, and width of the ring."""

NUMBER_SIZE, SHARE_SIZE = 6.0, 6.0

MIN_SHARE_RADIUS = 10.5
"""Smallest radius of a disc that has room for a share below its number."""

MIN_WIDTH, MAX_WIDTH = 0.35, 3.6
"""Widths of arrows, proportional to their share between these."""

MAX_LINE_WIDTH = 1.0
"""Maximum width of undirected lines, which connect all pairs of prototypes."""

MAIN, MINOR, LINE = INK, "#9AA1AC", "#BCC2CB"
"""Colours of arrows in the dominant cycle, of other arrows, and of undirected lines."""

MORE, LESS = "#2166AC", "#B35806"
"""Colours of arrows of a difference."""

MAX_SHARES = 8

MIN_PRINTED_SHARE = 0.12
"""Smallest share that is printed, relative to the largest one."""

UNVISITED = "#6B7280"

PROTOTYPE = "μ"
"""Prefix of the numbers of prototypes; those of labels have none."""

POINTS = 72.0

COLUMN = COLUMN_INCHES * POINTS
"""Width of a column."""

TITLE_SIZE, CAPTION_SIZE, TICK_SIZE = 8.0, 6.0, 6.0
CAPTION_STEP = CAPTION_SIZE * LINE_HEIGHT
MARGIN = 4.0
TITLE_HEIGHT = 13.0


@dataclass(frozen=True)
class Node:
    """A prototype or a label, drawn as a disc with an area proportional to its share.

    Attributes:
        share: share of the frames, in [0, 1]; 0 for a node that is never visited, drawn hollow.
        stays: probability of a self-transition, drawn as part of a ring; None for no ring.
        color, ink: colours of the disc and of its text.
        number, told: text of the disc: number, and share if there is room; may be "".
    """

    key: int
    cluster: int
    x: float
    y: float
    radius: float
    share: float
    stays: float | None
    color: str
    ink: str
    number: str
    told: str


@dataclass(frozen=True)
class Arrow:
    """The traffic from one node to another.

    Attributes:
        source, target: keys of the nodes.
        share: share of the traffic, in [0, 1]; the width of the line is proportional to it.
        main: whether the arrow is part of the dominant cycle.
        start, control, end: quadratic Bézier curve of the line.
        head: corners of the arrowhead, whose tip touches the target; empty if undirected.
        told, at: printed share, "" if there is no room, and its centre.
    """

    source: int
    target: int
    share: float
    width: float
    main: bool
    color: str
    start: Point
    control: Point
    end: Point
    head: tuple[Point, ...]
    told: str = ""
    at: Point = (0.0, 0.0)


@dataclass(frozen=True)
class Hull:
    """A cluster.

    Attributes:
        outline: corners of a convex polygon around its prototypes.
        name, at: lines of text, empty if there is no room, and their centre.
        visited: whether any frame belongs to it.
    """

    cluster: int
    color: str
    outline: tuple[Point, ...]
    name: tuple[str, ...]
    at: Point
    visited: bool


@dataclass(frozen=True)
class Drawing:
    """A transition graph; hulls, arrows and nodes are in drawing order."""

    width: float
    height: float
    hulls: tuple[Hull, ...]
    arrows: tuple[Arrow, ...]
    nodes: tuple[Node, ...]


@dataclass(frozen=True, eq=False)
class Look:
    """The content of a drawing, before layout.

    Attributes:
        share: shares of the frames.
        traffic: shares of the traffic between nodes; the diagonal is not drawn.
        stays: probabilities of self-transitions; None for no rings.
        main: keys of the dominant cycle, in order; empty for none.
        directed: whether the traffic is directed; if not, `traffic` is symmetric.
        names: lines of text by cluster, the most important first.
        colors: colours of clusters that differ from the palette.
        numbers: printed numbers of the nodes; empty for their keys.
        order: clusters in clockwise order; others follow by number.
        signs: for a difference, +1 for more traffic and −1 for less, shown by colour instead of
            the dominant cycle; None for a graph.
    """

    cluster: Int[np.ndarray, " nodes"]
    share: Float64[np.ndarray, " nodes"]
    traffic: Float64[np.ndarray, "nodes nodes"]
    stays: Float64[np.ndarray, " nodes"] | None
    main: tuple[int, ...]
    directed: bool
    names: Mapping[int, tuple[str, ...]]
    colors: Mapping[int, str] = field(default_factory=dict)
    numbers: Sequence[str] = ()
    signs: Float64[np.ndarray, "nodes nodes"] | None = None
    order: Sequence[int] = ()


def draw_graph(
    look: Look, width: float = WIDTH, height: float = HEIGHT, sides: float = MARGIN_X
) -> Drawing:
    """Lay out a graph; positions depend on the partition and on the order of clusters only.

    Args:
        look: content of the drawing.
        width, height: size of the drawing.
        sides: margins at the left and right, for names.
    """
    page = Box(0.0, 0.0, width, height)
    layout = graph_layout(
        look.cluster,
        width - 2 * sides,
        height - 2 * MARGIN_Y,
        LARGEST_UNIT * min(width, height),
        look.order,
    ).moved(sides, MARGIN_Y)
    colors = {k: look.colors.get(k, label_color(k)) for k in layout.clusters}
    nodes = _nodes(look, layout, colors)
    names = place_names(layout, look.names, page)
    return Drawing(
        width=width,
        height=height,
        hulls=tuple(
            Hull(
                cluster=k,
                color=colors[k],
                outline=outline(layout.place[look.cluster == k], (0.5 + PAD) * layout.unit),
                name=names[k].lines,
                at=names[k].at,
                visited=bool(look.share[look.cluster == k].any()),
            )
            for k in layout.clusters
        ),
        arrows=_arrows(look, nodes, page, [name.box for name in names.values() if name.lines]),
        nodes=nodes,
    )


def _nodes(look: Look, layout: GraphLayout, colors: Mapping[int, str]) -> tuple[Node, ...]:
    numbers = look.numbers or [str(key) for key in range(len(look.cluster))]
    smallest = max(text_width(number, NUMBER_SIZE, bold=True) for number in numbers) / 2 + 0.9
    largest = max(layout.unit / 2 - RING_GAP - RING_WIDTH, 0.3 * layout.unit)
    smallest = min(smallest, largest)
    max_share = float(look.share.max(initial=0)) or 1.0
    nodes = []
    for key, (x, y) in enumerate(layout.place.tolist()):
        share, cluster = float(look.share[key]), int(look.cluster[key])
        radius = max(largest * (share / max_share) ** 0.5, smallest)
        color = colors[cluster]
        number = numbers[key]
        told = percent(share) if share and radius >= MIN_SHARE_RADIUS else ""
        for shorter in (number.removeprefix(PROTOTYPE), ""):
            if text_width(number, NUMBER_SIZE, bold=bool(share)) > 2 * radius - 0.6:
                number = shorter
        stays = float(look.stays[key]) if look.stays is not None and share else None
        disc = key, cluster, x, y, radius, share, stays
        nodes.append(Node(*disc, color=color, ink=ink_on(color), number=number, told=told))
    return tuple(nodes)


def _arrows(
    look: Look, nodes: Sequence[Node], page: Box, taken: Sequence[Box]
) -> tuple[Arrow, ...]:
    """Arrows from narrow to wide, those of the dominant cycle last, with shares where they fit."""
    rings = (0.0 if node.stays is None else RING_GAP + RING_WIDTH for node in nodes)
    discs = np.array([(n.x, n.y, n.radius + ring) for n, ring in zip(nodes, rings, strict=True)])
    steps = set(zip(look.main, look.main[1:] + look.main[:1], strict=True))
    traffic = look.traffic if look.directed else np.triu(look.traffic)
    pairs = [(i, j) for i, j in np.argwhere(traffic > 0).tolist() if i != j]
    max_share = max((float(traffic[pair]) for pair in pairs), default=1.0)
    max_width = MAX_WIDTH if look.directed else MAX_LINE_WIDTH
    arrows = []
    for i, j in sorted(pairs, key=lambda pair: (float(traffic[pair]), pair)):
        share = float(traffic[i, j])
        width = max(max_width * share / max_share, MIN_WIDTH)
        curve = route(discs, i, j, head_length(width) if look.directed else 0.0)
        main = (i, j) in steps
        color = LINE if not look.directed else MAIN if main else MINOR
        if look.signs is not None:
            color = MORE if look.signs[i, j] > 0 else LESS
        arrows.append(Arrow(i, j, share, width, main, color, *curve))
    arrows.sort(key=lambda arrow: arrow.main)
    if not look.directed:
        return tuple(arrows)
    lines = [
        disc
        for arrow in arrows
        for disc in along_curve(arrow.start, arrow.control, arrow.end, arrow.width)
    ]
    room = Room(page, [*discs.tolist(), *lines], taken)
    by_rank = sorted(range(len(arrows)), key=lambda i: (-arrows[i].main, -arrows[i].share))
    for i in by_rank[:MAX_SHARES]:
        arrow = arrows[i]
        if arrow.share < MIN_PRINTED_SHARE * max_share:
            continue
        told = percent(arrow.share)
        if look.signs is not None:
            told = f"{'+' if look.signs[arrow.source, arrow.target] > 0 else '−'}{told}"
        size = text_width(told, SHARE_SIZE), SHARE_SIZE
        centres = text_positions(arrow.start, arrow.control, arrow.end, arrow.width, *size)
        at = room.take(centres, *size)
        if at:
            arrows[i] = replace(arrow, told=told, at=at)
    return tuple(arrows)


def percent(share: float) -> str:
    """A share as a percentage with about two significant digits.

    >>> percent(0.41), percent(0.032), percent(0.0004)
    ('41 %', '3.2 %', '0.04 %')
    """
    digits = 0 if share >= 0.0995 or not share else 1 if share >= 0.00095 else 2
    return f"{share:.{digits}%}".replace("%", " %")


class Page:
    """A figure measured in points from its upper left corner."""

    def __init__(self, width: float, height: float) -> None:
        self._size = width, height
        self.figure = Figure(figsize=(width / POINTS, height / POINTS))

    def axes(self, left: float, top: float, width: float, height: float) -> Axes:
        """Axes without decoration, in points, y downwards."""
        w, h = self._size
        axes = self.figure.add_axes((left / w, 1 - (top + height) / h, width / w, height / h))
        axes.set(xlim=(0, width), ylim=(height, 0))
        axes.axis("off")
        return axes

    def text(self, left: float, top: float, text: str, size: float, **properties: Any) -> None:
        """Write a line of text with its upper left corner, or the end given by `ha`, there."""
        w, h = self._size
        # A run's name may contain a dollar sign.
        defaults: dict[str, Any] = {"ha": "left", "va": "top", "parse_math": False}
        self.figure.text(left / w, 1 - top / h, text, fontsize=size, **(defaults | properties))

    def lines(self, top: float, lines: Sequence[str]) -> None:
        """Write the lines of a caption."""
        for i, line in enumerate(lines):
            self.text(MARGIN, top + i * CAPTION_STEP, line, CAPTION_SIZE)

    def title(self, left: float, top: float, text: str, width: float) -> None:
        """Write a bold line, truncated to the width with a small gap at its end."""
        fits = shortened(text, width - TITLE_SIZE, TITLE_SIZE, bold=True)
        self.text(left, top, fits, TITLE_SIZE, weight="bold")


def draw(axes: Axes, drawing: Drawing) -> None:
    """Draw a graph into axes measured in points, y downwards."""
    for hull in drawing.hulls:
        tint = 0.2 if hull.visited else 0.07
        area: Any = {"facecolor": hull.color, "alpha": tint, "linewidth": 0, "joinstyle": "round"}
        axes.add_patch(Polygon(hull.outline, **area))
        alpha, dashes = (1.0, "-") if hull.visited else (0.5, (0, (2, 2)))
        line: Any = {"edgecolor": hull.color, "linewidth": 0.7, "linestyle": dashes}
        axes.add_patch(Polygon(hull.outline, facecolor="none", alpha=alpha, **line))
        _name(axes, hull.name, hull.at, INK if hull.visited else UNVISITED)
    for z, arrow in enumerate(drawing.arrows):
        codes = [Path.MOVETO, Path.CURVE3, Path.CURVE3]
        curve = Path([arrow.start, arrow.control, arrow.end], codes)
        look: Any = {"zorder": 2 + z / 1000}
        stroke: Any = {"edgecolor": arrow.color, "linewidth": arrow.width, "capstyle": "butt"}
        axes.add_patch(PathPatch(curve, facecolor="none", **stroke, **look))
        if arrow.head:
            axes.add_patch(Polygon(arrow.head, facecolor=arrow.color, linewidth=0, **look))
    for node in drawing.nodes:
        _node(axes, node)
    for arrow in drawing.arrows:
        if arrow.told:
            centred_text(axes, *arrow.at, arrow.told, SHARE_SIZE)


def _node(axes: Axes, node: Node) -> None:
    at = node.x, node.y
    if not node.share:
        hollow: Any = {"facecolor": "white", "edgecolor": node.color, "linewidth": 0.7}
        axes.add_patch(Circle(at, node.radius, zorder=4, alpha=0.75, **hollow))
        centred_text(axes, *at, node.number, NUMBER_SIZE, color=UNVISITED)
        return
    disc: Any = {"facecolor": node.color, "edgecolor": INK, "linewidth": 0.6}
    axes.add_patch(Circle(at, node.radius, zorder=4, **disc))
    if node.stays is not None:
        size = 2 * (node.radius + RING_GAP + RING_WIDTH / 2)
        line: Any = {"linewidth": RING_WIDTH, "zorder": 4}
        axes.add_patch(Circle(at, size / 2, facecolor="none", edgecolor=FAINT, **line))
        if node.stays:  # Clockwise from the top: angles follow y, which points downwards.
            arc = Arc(at, size, size, theta1=-90, theta2=-90 + 360 * node.stays, **line)
            arc.set_edgecolor(INK)
            axes.add_patch(arc)
    y = node.y - 3.1 if node.told else node.y
    centred_text(axes, node.x, y, node.number, NUMBER_SIZE, color=node.ink, weight="bold")
    if node.told:
        centred_text(axes, node.x, node.y + 3.3, node.told, SHARE_SIZE, color=node.ink)


def centred_text(
    axes: Axes, x: float, y: float, text: str, size: float, color: str = INK, weight: str = "normal"
) -> Text:
    """Write a text centred on (x, y)."""
    return axes.text(
        x, y, text, fontsize=size, color=color, weight=weight, ha="center", va="center", zorder=6
    )


def _plate(text: Text) -> None:
    """Put a white background behind a text that covers lines."""
    plate = {"boxstyle": "round,pad=0.12,rounding_size=0.4", "facecolor": "white", "linewidth": 0}
    text.set_bbox(plate | {"alpha": 0.9})


def _name(axes: Axes, lines: Sequence[str], at: tuple[float, float], color: str) -> None:
    step = NAME_SIZE * LINE_HEIGHT
    for i, line in enumerate(lines):
        y = at[1] + (i - (len(lines) - 1) / 2) * step
        weight = "bold" if i == 0 else "normal"
        size = NAME_SIZE if i == 0 else CAPTION_SIZE
        _plate(centred_text(axes, at[0], y, line, size, color, weight))
