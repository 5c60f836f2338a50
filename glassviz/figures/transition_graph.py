"""The figure of a transition graph, with its matrices and caption."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from string import ascii_letters
from typing import Any, Literal

import numpy as np
from jaxtyping import Float64, Int
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure
from matplotlib.patches import Arc, Circle, PathPatch, Polygon, Rectangle
from matplotlib.path import Path
from matplotlib.text import Text

from glassviz.compare.graphs import RunGraph
from glassviz.figures.graph_drawing import (
    LESS,
    MAIN,
    MINOR,
    MORE,
    NUMBER_SIZE,
    RING_GAP,
    RING_WIDTH,
    SHARE_SIZE,
    Drawing,
    Look,
    Node,
    draw_graph,
    percent,
)
from glassviz.figures.graph_layout import NAME_SIZE
from glassviz.figures.style import (
    COLUMN_INCHES,
    FAINT,
    INK,
    LINE_HEIGHT,
    shortened,
    style,
    text_width,
    wrapped,
)
from glassviz.metrics.graph_stats import Convention, PartitionStats
from glassviz.metrics.structural_entropy import symmetrised
from glassviz.metrics.transitions import Cycle, Mode, dominant_cycle
from glassviz.palette import label_color
from glassviz.text import printable

Width = Literal["column", "page"]
POINTS = 72.0

COLUMN = COLUMN_INCHES * POINTS
"""Width of a column; a page has two."""

TITLE_SIZE, CAPTION_SIZE, TICK_SIZE = 8.0, 6.0, 6.0
CAPTION_STEP = CAPTION_SIZE * LINE_HEIGHT
MARGIN = 4.0
TITLE_HEIGHT = 13.0
_HEAT = LinearSegmentedColormap.from_list("ink", ["#FFFFFF", "#8FB1D1", "#1F4E86", "#0B2038"])


@dataclass(frozen=True, eq=False)
class Heat:
    """A matrix of one kind of number.

    Attributes:
        title: what it is.
        values: a column a prototype; a row a prototype, or a cluster.
        highest: of the scale, which begins at 0.
        told: what that is, in words.
    """

    title: str
    values: Float64[np.ndarray, "rows prototypes"]
    highest: float
    told: str


@dataclass(frozen=True, eq=False)
class GraphFigure:
    """What a figure shows.

    Attributes:
        title: of the run.
        mode: of the graph.
        drawing: of the graph.
        key: what its signs mean, by sign.
        order: of the prototypes in all matrices.
        colors: of the prototypes, and of the clusters.
        p, a, s: the matrices; `s` with a row a cluster.
        best: letters of the prototypes below `s`: those of the best clusters found have one.
        caption: below all.
    """

    title: str
    mode: str
    drawing: Drawing
    key: "tuple[tuple[Sign, str], ...]"
    order: Int[np.ndarray, " prototypes"]
    colors: tuple[str, ...]
    cluster_colors: tuple[str, ...]
    p: Heat
    a: Heat
    s: Heat
    best: tuple[str, ...]
    caption: str


Sign = Literal["visited", "hollow", "ring", "main", "arrow", "line", "more", "less", "best"]


def transition_graph(shown: GraphFigure, width: Width = "column") -> Figure:
    """Draw a graph with its matrices below it, or on a page beside it."""
    total = COLUMN if width == "column" else 2 * COLUMN
    caption = wrapped(shown.caption, total - 2 * MARGIN, CAPTION_SIZE)
    cell = _cell(shown)
    if cell < TICK_SIZE:  # No room for letters.
        key = tuple(each for each in shown.key if each[0] != "best")
        shown = replace(shown, key=key, best=("",) * len(shown.best))
    maps = _maps_height(shown, cell)
    drawing = shown.drawing.height
    body = drawing + maps if width == "column" else max(drawing, maps)
    below = MARGIN + len(caption) * CAPTION_STEP
    with style():
        page = Page(total, TITLE_HEIGHT + body + below + MARGIN)
        page.title(MARGIN, 2.5, shown.title, total - 2 * MARGIN - text_width(shown.mode, NAME_SIZE))
        page.text(total - MARGIN, 3.2, shown.mode, NAME_SIZE, ha="right")
        # A drawing is a little narrower than a column.
        left = (COLUMN - shown.drawing.width) / 2
        top = TITLE_HEIGHT + (0.0 if width == "column" else (body - drawing) / 2)
        draw(page.axes(left, top, shown.drawing.width, drawing), shown.drawing)
        if width == "column":
            _maps(page, shown, 0.0, TITLE_HEIGHT + drawing, cell)
        else:
            _maps(page, shown, COLUMN, TITLE_HEIGHT + (body - maps) / 2, cell)
        for i, line in enumerate(caption):
            y = TITLE_HEIGHT + body + MARGIN + i * CAPTION_STEP
            page.text(MARGIN, y, line, CAPTION_SIZE)
    return page.figure


class Page:
    """A figure that is measured in points, from its upper left corner."""

    def __init__(self, width: float, height: float) -> None:
        self._size = width, height
        self.figure = Figure(figsize=(width / POINTS, height / POINTS))

    def axes(self, left: float, top: float, width: float, height: float) -> Axes:
        """Bare axes there, in points, y downwards."""
        w, h = self._size
        axes = self.figure.add_axes((left / w, 1 - (top + height) / h, width / w, height / h))
        axes.set(xlim=(0, width), ylim=(height, 0))
        axes.axis("off")
        return axes

    def text(self, left: float, top: float, text: str, size: float, **how: Any) -> None:
        """A line with this upper left corner, or, with `ha`, this middle or end."""
        w, h = self._size
        # A run's name may hold a dollar sign.
        where: dict[str, Any] = {"ha": "left", "va": "top", "parse_math": False}
        how = where | how
        self.figure.text(left / w, 1 - top / h, text, fontsize=size, **how)

    def title(self, left: float, top: float, text: str, width: float) -> None:
        """A bold line, cut off where it would be wider; a little air stays behind it."""
        fits = shortened(text, width - TITLE_SIZE, TITLE_SIZE, bold=True)
        self.text(left, top, fits, TITLE_SIZE, weight="bold")


# The graph ----------------------------------------------------------------------------------------


def draw(axes: Axes, drawing: Drawing) -> None:
    """Draw a graph into axes that are measured in points, y downwards."""
    for hull in drawing.hulls:
        tint = 0.2 if hull.visited else 0.07
        axes.add_patch(
            Polygon(hull.outline, facecolor=hull.color, alpha=tint, linewidth=0, joinstyle="round")
        )
        axes.add_patch(
            Polygon(
                hull.outline,
                facecolor="none",
                edgecolor=hull.color,
                alpha=1.0 if hull.visited else 0.5,
                linewidth=0.7,
                linestyle="-" if hull.visited else (0, (2, 2)),
            )
        )
        _name(axes, hull.name, hull.at, INK if hull.visited else "#6B7280")
    for z, arrow in enumerate(drawing.arrows):
        color = arrow.color
        way = Path([arrow.start, arrow.control, arrow.end], [Path.MOVETO, Path.CURVE3, Path.CURVE3])
        at = 2 + z / 1000
        axes.add_patch(
            PathPatch(
                way,
                facecolor="none",
                edgecolor=color,
                linewidth=arrow.width,
                capstyle="butt",
                zorder=at,
            )
        )
        if arrow.head:
            axes.add_patch(Polygon(arrow.head, facecolor=color, linewidth=0, zorder=at))
    for node in drawing.nodes:
        _node(axes, node)
    for arrow in drawing.arrows:
        if arrow.told:
            _plate(_written(axes, *arrow.at, arrow.told, SHARE_SIZE))


def _node(axes: Axes, node: Node) -> None:
    at = node.x, node.y
    if not node.share:
        hollow: Any = {
            "facecolor": "white",
            "edgecolor": node.color,
            "linewidth": 0.7,
            "alpha": 0.75,
        }
        axes.add_patch(Circle(at, node.radius, zorder=4, **hollow))
        _written(axes, *at, node.number, NUMBER_SIZE, color="#6B7280")
        return
    axes.add_patch(
        Circle(at, node.radius, facecolor=node.color, edgecolor=INK, linewidth=0.6, zorder=4)
    )
    if node.stays is not None:
        _ring(axes, node)
    if not node.told:
        _written(axes, *at, node.number, NUMBER_SIZE, color=node.ink, weight="bold")
        return
    _written(axes, node.x, node.y - 3.1, node.number, NUMBER_SIZE, color=node.ink, weight="bold")
    _written(axes, node.x, node.y + 3.3, node.told, SHARE_SIZE, color=node.ink)


def _ring(axes: Axes, node: Node) -> None:
    """From the top, clockwise: y points downwards, so that angles do too."""
    size = 2 * (node.radius + RING_GAP + RING_WIDTH / 2)
    how: Any = {"linewidth": RING_WIDTH, "zorder": 4}
    axes.add_patch(Circle((node.x, node.y), size / 2, facecolor="none", edgecolor=FAINT, **how))
    if node.stays:
        arc = Arc((node.x, node.y), size, size, theta1=-90, theta2=-90 + 360 * node.stays, **how)
        arc.set_edgecolor(INK)
        axes.add_patch(arc)


def _written(
    axes: Axes, x: float, y: float, text: str, size: float, color: str = INK, weight: str = "normal"
) -> Text:
    return axes.text(
        x, y, text, fontsize=size, color=color, weight=weight, ha="center", va="center", zorder=6
    )


def _plate(text: Text) -> None:
    """White behind a text that lies on lines."""
    plate = {"boxstyle": "round,pad=0.12,rounding_size=0.4", "facecolor": "white", "linewidth": 0}
    text.set_bbox(plate | {"alpha": 0.9})


def _name(axes: Axes, lines: Sequence[str], at: tuple[float, float], color: str) -> None:
    step = NAME_SIZE * LINE_HEIGHT
    for i, line in enumerate(lines):
        y = at[1] + (i - (len(lines) - 1) / 2) * step
        weight = "bold" if i == 0 else "normal"
        size = NAME_SIZE if i == 0 else CAPTION_SIZE
        _plate(_written(axes, at[0], y, line, size, color, weight))


# Matrices and key ---------------------------------------------------------------------------------

STRIP = 2.4
"""Of the clusters' colours along a matrix."""

LEFT, BETWEEN = 13.0, 15.0
"""Of the first matrix, and from it to the second: room for numbers."""

HEAD, FOOT = 11.0, 17.0
"""Above a matrix its title, below it its scale."""

LETTERS = 7.0
"""Below S the letters of the best clusters."""

SIGN, INDENT, KEY_STEP = 16.0, 19.0, 8.6
"""Of the key: width of a sign, where its text begins, and height of a line."""


def _cell(shown: GraphFigure) -> float:
    """Side of a cell of the matrices."""
    room = COLUMN - LEFT - BETWEEN - 2 * STRIP - MARGIN
    return min(room / 2 / len(shown.order), 7.5)


def _maps_height(shown: GraphFigure, cell: float) -> float:
    p = len(shown.order) * cell + HEAD + STRIP + FOOT
    s = len(shown.cluster_colors) * cell + HEAD + STRIP + FOOT + LETTERS
    return p + max(s, _key_height(shown, _key_width(shown, cell)))


def _second(shown: GraphFigure, cell: float) -> float:
    """Left side of the second matrix."""
    return LEFT + len(shown.order) * cell + BETWEEN + 2 * STRIP


def _maps(page: Page, shown: GraphFigure, left: float, top: float, cell: float) -> None:
    """P and A side by side; S below P, with the same columns; the key beside S."""
    order, side = shown.order, len(shown.order) * cell
    colors = [shown.colors[i] for i in order]
    visited = {node.key for node in shown.drawing.nodes if node.share}
    ticks = [str(i) if i in visited and cell >= TICK_SIZE else "" for i in order.tolist()]
    first, second = left + LEFT + STRIP, left + _second(shown, cell)
    upper = top + HEAD + STRIP
    lower = upper + side + FOOT + HEAD + STRIP
    both = np.ix_(order, order)
    _heat(page, shown.p, shown.p.values[both], (first, upper), cell, colors, colors, ticks)
    _heat(page, shown.a, shown.a.values[both], (second, upper), cell, colors, colors, ticks)
    rows = [str(k) if cell >= TICK_SIZE else "" for k in range(len(shown.cluster_colors))]
    own = shown.s.values[:, order]
    letters = [shown.best[i] for i in order]
    _heat(page, shown.s, own, (first, lower), cell, colors, shown.cluster_colors, rows, letters)
    _key(page, shown, second - STRIP, lower - STRIP - HEAD, _key_width(shown, cell))


def _heat(
    page: Page,
    heat: Heat,
    values: Float64[np.ndarray, "rows columns"],
    corner: tuple[float, float],
    cell: float,
    column_colors: Sequence[str],
    row_colors: Sequence[str],
    ticks: Sequence[str],
    letters: Sequence[str] = (),
) -> None:
    """A matrix with its upper left corner there, and perhaps letters below its columns."""
    rows, columns = values.shape
    width, height = columns * cell, rows * cell
    x, y = corner
    page.text(x - STRIP, y - HEAD - STRIP + 2.5, heat.title, NAME_SIZE)
    axes = page.axes(x - STRIP - LEFT, y - STRIP, LEFT + STRIP + width, STRIP + height)
    at = LEFT + STRIP
    for i, color in enumerate(column_colors):
        _tile(axes, at + i * cell, 0.0, cell, STRIP * 0.8, color)
    for i, (color, tick) in enumerate(zip(row_colors, ticks, strict=True)):
        _tile(axes, LEFT + STRIP * 0.2, STRIP + i * cell, STRIP * 0.8, cell, color)
        where = LEFT - 1.5, STRIP + (i + 0.5) * cell
        axes.text(*where, tick, fontsize=TICK_SIZE, ha="right", va="center")
    axes.imshow(
        values,
        cmap=_HEAT,
        vmin=0,
        vmax=heat.highest or 1.0,
        extent=(at, at + width, STRIP + height, STRIP),
        interpolation="nearest",
        aspect="auto",
    )
    axes.set(xlim=(0, LEFT + STRIP + width), ylim=(STRIP + height, 0))
    frame: Any = {"facecolor": "none", "edgecolor": INK, "linewidth": 0.5, "clip_on": False}
    axes.add_patch(Rectangle((at, STRIP), width, height, **frame))
    for i, letter in enumerate(letters):
        page.text(x + (i + 0.5) * cell, y + height + 1, letter, TICK_SIZE, ha="center")
    _scale(page, heat, x, y + height + 4.5 + (LETTERS if letters else 0))


def _tile(axes: Axes, x: float, y: float, width: float, height: float, color: str) -> None:
    # With an edge, for viewers would show a line between tiles of one colour.
    axes.add_patch(Rectangle((x, y), width, height, color=color, linewidth=0.2))


def _scale(page: Page, heat: Heat, x: float, y: float) -> None:
    """What is light, what is dark."""
    length = 34.0
    page.text(x, y - 1.6, "0", TICK_SIZE)
    axes = page.axes(x + 5, y, length, 3.2)
    axes.imshow(np.linspace(0, 1, 64)[None], cmap=_HEAT, extent=(0, length, 3.2, 0), aspect="auto")
    page.text(x + length + 7, y - 1.6, heat.told, TICK_SIZE)


def _key(page: Page, shown: GraphFigure, left: float, top: float, width: float) -> None:
    """What the signs of the drawing mean."""
    y = top
    for sign, told in shown.key:
        axes = page.axes(left, y, SIGN, KEY_STEP)
        _sign(axes, sign, SIGN / 2, KEY_STEP / 2)
        for i, line in enumerate(wrapped(told, width, CAPTION_SIZE)):
            page.text(left + INDENT, y + 1.2 + i * CAPTION_STEP, line, CAPTION_SIZE)
        y += _entry_height(told, width)


def _key_width(shown: GraphFigure, cell: float) -> float:
    """Of its texts."""
    return COLUMN - MARGIN - _second(shown, cell) + STRIP - INDENT


def _key_height(shown: GraphFigure, width: float) -> float:
    return sum(_entry_height(told, width) for _, told in shown.key)


def _entry_height(told: str, width: float) -> float:
    return KEY_STEP + (len(wrapped(told, width, CAPTION_SIZE)) - 1) * CAPTION_STEP


def _sign(axes: Axes, sign: Sign, x: float, y: float) -> None:
    if sign in ("visited", "ring"):
        axes.add_patch(Circle((x, y), 2.6, facecolor=MINOR, edgecolor=INK, linewidth=0.6))
        if sign == "ring":
            arc = Arc((x, y), 7.4, 7.4, theta1=-90, theta2=150, linewidth=RING_WIDTH)
            arc.set_edgecolor(INK)
            axes.add_patch(arc)
    elif sign == "best":
        _written(axes, x, y, "a, b", CAPTION_SIZE)
    elif sign == "hollow":
        axes.add_patch(Circle((x, y), 2.6, facecolor="white", edgecolor=MINOR, linewidth=0.8))
    else:
        color = {"main": MAIN, "more": MORE, "less": LESS}.get(sign, MINOR)
        tip = 2 * x if sign == "line" else 2 * x - 4
        axes.plot([0, tip], [y, y], color=color, linewidth=2 if sign == "main" else 1.2)
        if sign != "line":
            head = [(2 * x, y), (2 * x - 5, y - 2.6), (2 * x - 5, y + 2.6)]
            axes.add_patch(Polygon(head, facecolor=color, linewidth=0))


NONE = "–"

LONGEST = 10
"""States of a cycle that are told, its return to the first included."""

MODES: dict[Mode, str] = {
    "frame": "frame: every frame leads to the next one, self-transitions kept",
    "jump": "jump: self-transitions dropped",
    "soft-train": "soft-train: the graph that Glass is trained on, from soft assignments, "
    "unweighted by visits",
    "flow": "flow: share of the time on each transition, π_i P_ij",
}
"""Of the figure's caption."""


CONVENTIONS: dict[Convention, str] = {
    "flow": "flow, symmetrised, self-transitions dropped",
    "train": "soft counts + 1e-4, rows normalised, symmetrised, self-transitions once, soft S",
}
"""In words, to be printed beside every structural entropy."""


def title_of(graph: RunGraph) -> str:
    """Whose graph it is."""
    fitted = ", fitted labels" if graph.labels_from == "fitted" else ""
    return f"{printable(graph.run, limit=44)}, {graph.controller}{fitted}"


def told_cycle(cycle: Cycle) -> str:
    """A cycle as its states, 3→4→3; of a long one how many there are."""
    states = [*cycle.states, cycle.states[0]]
    if len(states) <= LONGEST:
        return "→".join(map(str, states))
    return "→".join(map(str, states[: LONGEST - 3])) + f"→… (of {len(cycle.states)})"


def main_cycle(cycles: Sequence[Cycle]) -> str | None:
    """The dominant cycle, its share of the switches, how often it was completed; None without."""
    cycle = dominant_cycle(cycles)
    if cycle is None:
        return None
    return f"{told_cycle(cycle)}: {percent(cycle.share)} of the switches, {cycle.count:,} times"


def hull_names(graph: RunGraph) -> dict[int, tuple[str, ...]]:
    """Of each cluster that has prototypes: label and gait phase, and how much of the time it is.

    That is the label's share, which under the rule `soft` is not that of the cluster's prototypes.
    """
    named = {each.label: each.name for each in graph.names}
    found: dict[int, tuple[str, ...]] = {}
    for k in sorted(set(graph.cluster.tolist())):
        own = float(graph.stats.labels.occupancy[k])
        found[k] = (
            (f"{k} {named.get(k, '')}".strip(), f"{percent(own)} of frames") if own else (str(k),)
        )
    return found


def caption(graph: RunGraph) -> str:
    """Below the figure: mode, convention, what was counted, and what came of it."""
    stats = graph.stats
    cycle = dominant_cycle(stats.labels.cycles)
    labels = "fitted" if graph.labels_from == "fitted" else "learned"
    steps = (
        f"{graph.episodes} episodes after their openings, {graph.frames:,} frames, "
        f"{stats.prototypes.switches:,} switches between prototypes"
    )
    sentences = [
        f"Mode {MODES[graph.mode]}.",
        "Circles: prototypes by number, in hulls of their clusters; "
        f"labels are {labels}, with the phase of the gait that they live in.",
        f"{steps}.",
    ]
    if cycle:
        share = percent(cycle.share)
        sentences.append(
            f"Between labels, {told_cycle(cycle)} carries {share} of the switches, completed "
            f"{cycle.count:,} times."
        )
    elif stats.labels.switches:
        sentences.append("Between labels, no cycle is dominant.")
    if graph.tau is not None and graph.mode == "soft-train":
        sentences.append(f"Temperature τ = {graph.tau:g}.")
    sentences.append(f"{structure(shown_partition(graph))}.")
    return " ".join(sentences)


def shown_partition(graph: RunGraph) -> PartitionStats:
    """The partition by the convention of the mode."""
    train = graph.stats.train if graph.mode == "soft-train" else None
    return train or graph.stats.flow


def structure(found: PartitionStats) -> str:
    """What a partition tells about a graph, with its convention."""
    entropy = found.entropy
    told = f"({convention(found)})"
    if entropy.gap is None:
        return f"No transition between prototypes, and so no structural entropy {told}"
    null = 1 - entropy.null_h2_bits / entropy.h1_bits
    gaps = (entropy.gap, null, found.best_gap or 0.0)
    gap, chance, best = (f"{each:z.1%}".replace("%", " %") for each in gaps)
    h1, h2 = (f"{each:.2f}" for each in (entropy.h1_bits, entropy.h2_bits))
    return (
        f"H¹\u00a0{h1} bits, H²\u00a0{h2}: gap {gap}, by chance {chance}, best found {best} {told}"
    )


def convention(found: PartitionStats) -> str:
    """Of structural entropy."""
    return f"{CONVENTIONS[found.convention]}, all edges kept"


Matrix = Float64[np.ndarray, "prototypes prototypes"]


def drawing_of(graph: RunGraph) -> Drawing:
    """Nodes, arrows and hulls with their places, as plain data.

    Places of nodes and hulls depend on the checkpoint's partition alone.
    """
    prototypes = graph.stats.prototypes
    directed = graph.mode != "soft-train"
    main = dominant_cycle(prototypes.cycles) if directed else None
    return draw_graph(
        Look(
            cluster=graph.cluster,
            share=prototypes.occupancy,
            traffic=_traffic(graph),
            stays=None if graph.mode == "jump" else np.diag(prototypes.chain.p),
            main=main.states if main else (),
            directed=directed,
            names=hull_names(graph),
        )
    )


def figure_of(graph: RunGraph) -> GraphFigure:
    """All that a figure shows."""
    cluster = graph.cluster
    return GraphFigure(
        title=title_of(graph),
        mode=f"mode {graph.mode}",
        drawing=drawing_of(graph),
        key=_legend(graph),
        order=np.lexsort((np.arange(len(cluster)), cluster)),
        colors=tuple(label_color(k) for k in cluster.tolist()),
        cluster_colors=tuple(label_color(k) for k in range(graph.partition.shape[1])),
        p=_first(graph),
        a=_second_line(graph),
        s=Heat("S: prototype (column) in label (row)", graph.partition.T, 1.0, "1"),
        best=_letters(graph),
        caption=caption(graph),
    )


def _letters(graph: RunGraph) -> tuple[str, ...]:
    """A letter for every visited prototype: its cluster in the best partition that was found.

    They go by the alphabet in the order of the matrices; none without a transition.
    """
    best, cluster = shown_partition(graph).best, graph.cluster
    seen: dict[int, str] = {}
    found = [""] * len(best)
    if not graph.stats.prototypes.switches:
        return tuple(found)
    for i in np.lexsort((np.arange(len(cluster)), cluster)).tolist():
        if graph.stats.prototypes.frames[i]:
            found[i] = seen.setdefault(int(best[i]), ascii_letters[len(seen) % len(ascii_letters)])
    return tuple(found)


def _traffic(graph: RunGraph) -> Matrix:
    chain = graph.stats.prototypes.chain
    return chain.weights / chain.weights.sum() if graph.mode == "soft-train" else chain.flow


def _first(graph: RunGraph) -> Heat:
    chain = graph.stats.prototypes.chain
    if graph.mode == "flow":
        return _scaled("F: share of time, row to column", chain.flow)
    if graph.mode == "soft-train":
        return _scaled("P: soft, row to column", chain.p)
    return Heat("P: next, row to column", chain.p, 1.0, "1")


def _second_line(graph: RunGraph) -> Heat:
    """The graph that structural entropy is of."""
    chain = graph.stats.prototypes.chain
    if graph.mode == "soft-train":
        return _scaled("A = (P + Pᵀ)/2", chain.weights)
    both = symmetrised(chain.flow)
    both = both * (1 - np.eye(len(both)))
    return _scaled("A: switches, both ways", both / (both.sum() or 1.0))


def _scaled(title: str, values: Matrix) -> Heat:
    highest = float(values.max(initial=0))
    return Heat(title, values, highest, f"{highest:.2g}")


def _legend(graph: RunGraph) -> tuple[tuple[Sign, str], ...]:
    main = main_cycle(graph.stats.prototypes.cycles)
    found: list[tuple[Sign, str]] = [
        ("visited", "prototype: area by its frames"),
        ("hollow", "prototype never visited"),
    ]
    if any(_letters(graph)):
        found.append(("best", "below S: one letter, one of the best clusters found"))
    if graph.mode == "soft-train":
        return (
            *found,
            ("ring", "dark part: weight of staying"),
            ("line", "A, both ways: width by weight"),
        )
    if graph.mode != "jump":
        found.append(("ring", "dark part: chance of staying for another frame"))
    if main:
        found.append(("main", f"dominant cycle {main}"))
    what = "switches" if graph.mode == "jump" else "frames"
    return (*found, ("arrow", f"switches: width and number by share of all {what}"))
