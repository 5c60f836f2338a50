"""What a transition graph looks like, as plain data: whatever draws it, draws the same.

Lengths are in points (1/72 inch), as are the sizes of texts; y points downwards, as on a page.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from jaxtyping import Float64, Int

from glassviz.figures.graph_layout import (
    PAD,
    Box,
    GraphLayout,
    Room,
    graph_layout,
    head_length,
    outline,
    place_names,
    places_of_text,
    route,
)
from glassviz.figures.style import INK, text_width
from glassviz.palette import ink_on, label_color

WIDTH, HEIGHT = 240.0, 222.0
"""Of a drawing: as wide as a column of a page."""

MARGIN_X, MARGIN_Y = 4.0, 22.0
"""Around the hulls: room for their names."""

LARGEST_UNIT = 0.17
"""Of a prototype's place, diameter, in sides of the page."""

RING_GAP, RING_WIDTH = 1.7, 1.3
"""Between a disc and the ring of its self-transitions, and of the ring."""

NUMBER_SIZE, SHARE_SIZE = 6.0, 6.0
"""Of the texts: numbers of prototypes, and shares."""

MIN_TOLD = 10.5
"""Radius of a disc in which a share fits below the number."""

THINNEST, THICKEST = 0.35, 3.6
"""Of arrows: the widest has all of the latter, the others in proportion, but for the former."""

LINE_WIDEST = 1.0
"""Of lines without a direction: there is one between any two prototypes."""

MAIN, MINOR, LINE = INK, "#9AA1AC", "#BCC2CB"
"""Colours of arrows in the dominant cycle, of others, and of lines without a direction."""

MORE, LESS = "#2166AC", "#B35806"
"""Colours of arrows of a difference."""

MOST_SHARES = 8
"""Arrows that tell their share: the widest, if it is a fair part of the widest one's."""

FAIR_PART = 0.12
Point = tuple[float, float]


@dataclass(frozen=True)
class Node:
    """A prototype, or a label.

    Attributes:
        key: its number.
        cluster: that it is in.
        x, y, radius: of its disc; the area goes with its share of the frames.
        share: of the frames, in [0, 1]; 0: never visited, to be drawn hollow.
        stays: probability that the next frame is its own too, the part of the ring that is
            drawn; None: without a ring.
        color, ink: of the disc, and of what is written in it.
        number, told: what that is: the number, and its share where there is room; each may be "".
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
        share: of the traffic, in [0, 1].
        width: of the line, in proportion to that.
        main: whether it is part of the dominant cycle.
        color: of line and head.
        start, control, end: of the quadratic Bézier curve that the line is.
        head: corners of the arrowhead, whose tip touches the target; none without direction.
        told: its share, where there is room; else "".
        at: the centre of that text.
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
        cluster: its number.
        color: of label and cluster.
        outline: corners of a convex polygon with all of its prototypes inside.
        name: lines of text about it; none where there is no room.
        at: the centre of that text.
        visited: whether any frame is in it.
    """

    cluster: int
    color: str
    outline: tuple[Point, ...]
    name: tuple[str, ...]
    at: Point
    visited: bool


@dataclass(frozen=True)
class Drawing:
    """A transition graph.

    Attributes:
        width, height: of the page.
        hulls, arrows, nodes: in the order in which they are to be drawn.
    """

    width: float
    height: float
    hulls: tuple[Hull, ...]
    arrows: tuple[Arrow, ...]
    nodes: tuple[Node, ...]


@dataclass(frozen=True, eq=False)
class Look:
    """What a drawing is made of.

    Attributes:
        cluster: of each node.
        share: of the frames that each node has.
        traffic: from each node to each other, shares; its diagonal is not drawn.
        stays: probability of staying; None: without rings.
        main: keys of the dominant cycle, in order; empty for none.
        directed: whether the traffic has a direction; otherwise `traffic` is symmetric.
        names: of clusters, lines of text; the first ones are left out last.
        colors: of clusters that do not have their own colour.
        numbers: of nodes that are not called by their place.
        signs: of a difference: +1 where there is more traffic, −1 where there is less, which
            takes the place of bold and faint; None for a graph.
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


def draw_graph(
    look: Look, width: float = WIDTH, height: float = HEIGHT, sides: float = MARGIN_X
) -> Drawing:
    """Lay a graph out; the same partition always gives the same places.

    Args:
        look: what is to be seen.
        width, height: of the page.
        sides: kept free to the left and to the right, for names to stand there.
    """
    page = Box(0.0, 0.0, width, height)
    layout = graph_layout(
        look.cluster, width - 2 * sides, height - 2 * MARGIN_Y, LARGEST_UNIT * min(width, height)
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
        arrows=_arrows(look, nodes, page, [each.box for each in names.values() if each.lines]),
        nodes=nodes,
    )


def _nodes(look: Look, layout: GraphLayout, colors: Mapping[int, str]) -> tuple[Node, ...]:
    smallest = text_width("00", NUMBER_SIZE) / 2 + 0.9
    largest = max(layout.unit / 2 - RING_GAP - RING_WIDTH, 0.3 * layout.unit)
    smallest = min(smallest, largest)
    most = float(look.share.max(initial=0)) or 1.0
    nodes = []
    for key, (x, y) in enumerate(layout.place.tolist()):
        share, cluster = float(look.share[key]), int(look.cluster[key])
        radius = max(largest * (share / most) ** 0.5, smallest)
        color = colors[cluster]
        number = look.numbers[key] if look.numbers else str(key)
        told = percent(share)
        if radius < MIN_TOLD or not share:
            told = ""
        if text_width(number, NUMBER_SIZE) > 2 * radius - 0.6:
            number = ""
        stays = look.stays is not None and share > 0
        nodes.append(
            Node(
                key=key,
                cluster=cluster,
                x=x,
                y=y,
                radius=radius,
                share=share,
                stays=float(look.stays[key]) if stays and look.stays is not None else None,
                color=color,
                ink=ink_on(color),
                number=number,
                told=told,
            )
        )
    return tuple(nodes)


def _arrows(
    look: Look, nodes: Sequence[Node], page: Box, taken: Sequence[Box]
) -> tuple[Arrow, ...]:
    """The traffic, the widest arrows last; their shares where there is room."""
    discs = np.array([(node.x, node.y, reach(node)) for node in nodes])
    steps = set(zip(look.main, look.main[1:] + look.main[:1], strict=True))
    traffic = look.traffic if look.directed else np.triu(look.traffic)
    pairs = [(i, j) for i, j in np.argwhere(traffic > 0).tolist() if i != j]
    most = max((float(traffic[pair]) for pair in pairs), default=1.0)
    thickest = THICKEST if look.directed else LINE_WIDEST
    arrows = []
    for i, j in sorted(pairs, key=lambda pair: (float(traffic[pair]), pair)):
        share = float(traffic[i, j])
        width = max(thickest * share / most, THINNEST)
        curve = route(discs, i, j, head_length(width) if look.directed else 0.0)
        main = (i, j) in steps
        color = LINE if not look.directed else MAIN if main else MINOR
        if look.signs is not None:
            color = MORE if look.signs[i, j] > 0 else LESS
        arrows.append(Arrow(i, j, share, width, main, color, *curve))
    # Bold ones lie on top.
    arrows.sort(key=lambda arrow: arrow.main)
    if not look.directed:
        return tuple(arrows)
    return _with_shares(arrows, look.signs, Room(page, discs.tolist(), taken), most)


def _with_shares(
    arrows: Sequence[Arrow],
    signs: Float64[np.ndarray, "nodes nodes"] | None,
    room: Room,
    most: float,
) -> tuple[Arrow, ...]:
    widest = sorted(arrows, key=lambda arrow: (-arrow.main, -arrow.share))[:MOST_SHARES]
    told = {}
    for arrow in widest:
        if arrow.share < FAIR_PART * most:
            continue
        text = percent(arrow.share)
        if signs is not None:
            text = f"{'+' if signs[arrow.source, arrow.target] > 0 else '−'}{text}"
        size = text_width(text, SHARE_SIZE), SHARE_SIZE
        curve = arrow.start, arrow.control, arrow.end
        found = room.take(places_of_text(*curve, arrow.width, *size), *size)
        if found:
            told[arrow.source, arrow.target] = (text, found)
    return tuple(
        replace(arrow, told=text, at=at)
        for arrow in arrows
        for text, at in [told.get((arrow.source, arrow.target), ("", (0.0, 0.0)))]
    )


def reach(node: Node) -> float:
    """Radius of a node with its ring."""
    return node.radius + (0.0 if node.stays is None else RING_GAP + RING_WIDTH)


def percent(share: float) -> str:
    """A share as people write it: 41 %, 3.2 %, 0.04 %."""
    if share >= 0.0995 or not share:
        return f"{share:.0%}".replace("%", " %")
    if share >= 0.00095:
        return f"{share:.1%}".replace("%", " %")
    return f"{share:.2%}".replace("%", " %")
