"""The figure of a transition graph: drawing, matrices, key and caption."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from string import ascii_letters
from typing import Any, Literal

import numpy as np
from jaxtyping import Float64, Int
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure
from matplotlib.patches import Arc, Circle, Polygon, Rectangle

from glassviz.compare.graphs import RunGraph
from glassviz.figures.graph_drawing import (
    CAPTION_SIZE,
    CAPTION_STEP,
    COLUMN,
    MAIN,
    MARGIN,
    MINOR,
    RING_WIDTH,
    TICK_SIZE,
    TITLE_HEIGHT,
    Drawing,
    Look,
    Page,
    Width,
    centred_text,
    draw,
    draw_graph,
    percent,
)
from glassviz.figures.graph_layout import NAME_SIZE
from glassviz.figures.style import INK, style, text_width, wrapped
from glassviz.metrics.structural_entropy import symmetrised
from glassviz.metrics.transitions import Convention, Cycle, Mode, PartitionStats, dominant_cycle
from glassviz.palette import label_color
from glassviz.text import printable

Sign = Literal["visited", "hollow", "ring", "main", "arrow", "line", "best"]
Matrix = Float64[np.ndarray, "prototypes prototypes"]

STRIP = 2.4
"""Width of the strips of cluster colours along a matrix."""

LEFT, BETWEEN = 13.0, 15.0
"""Margins of the first and the second matrix, for row numbers."""

HEAD, FOOT = 11.0, 17.0
"""Height of a matrix's title and of its scale."""

LETTERS = 7.0
"""Height of the letters below S."""

SIGN, INDENT, KEY_STEP = 16.0, 19.0, 8.6
"""Width of a sign in the key, indentation of its text, and height of a line."""

_HEAT = LinearSegmentedColormap.from_list("ink", ["#FFFFFF", "#8FB1D1", "#1F4E86", "#0B2038"])

MODES: dict[Mode, str] = {
    "frame": "frame: every frame leads to the next one, self-transitions kept",
    "jump": "jump: self-transitions dropped",
    "soft-train": "soft-train: the graph that Glass is trained on, from soft assignments, "
    "unweighted by visits",
    "flow": "flow: share of the time on each transition, π_i P_ij",
}
"""Descriptions of the modes for captions."""

CONVENTIONS: dict[Convention, str] = {
    "flow": "flow, symmetrised, self-transitions dropped",
    "train": "soft counts + 1e-4, rows normalised, symmetrised, self-transitions once, soft S",
}
"""Descriptions, printed with every structural entropy."""

MAX_STATES = 10
"""Maximum number of printed states of a cycle, including the return to the first."""


@dataclass(frozen=True, eq=False)
class Heat:
    """A heat map of a matrix.

    Attributes:
        title: title of the matrix.
        values: one column per prototype, one row per prototype or cluster.
        highest: upper end of the scale, which begins at 0.
        highest_text: label of the upper end.
    """

    title: str
    values: Float64[np.ndarray, "rows prototypes"]
    highest: float
    highest_text: str


@dataclass(frozen=True, eq=False)
class GraphFigure:
    """Content of the figure of a graph.

    Attributes:
        title: name of the run and controller.
        mode: mode of the graph.
        drawing: drawing of the graph.
        key: signs and their meanings.
        order: order of the prototypes in all matrices.
        colors, cluster_colors: colours of the prototypes and of the clusters.
        p, a, s: the matrices; `s` has one row per cluster.
        best: letters of the prototypes below `s`: equal letters mean the same cluster in the best
            partition found.
        caption: caption of the figure.
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


def transition_graph(shown: GraphFigure, width: Width = "column") -> Figure:
    """Draw a graph with its matrices below it in a column, or beside it on a page."""
    total = COLUMN if width == "column" else 2 * COLUMN
    caption = wrapped(shown.caption, total - 2 * MARGIN, CAPTION_SIZE)
    cell = _cell(shown)
    if cell < TICK_SIZE:  # no room for letters
        key = tuple(entry for entry in shown.key if entry[0] != "best")
        shown = replace(shown, key=key, best=("",) * len(shown.best))
    maps = _maps_height(shown, cell)
    drawing = shown.drawing.height
    body = drawing + maps if width == "column" else max(drawing, maps)
    below = MARGIN + len(caption) * CAPTION_STEP
    with style():
        page = Page(total, TITLE_HEIGHT + body + below + MARGIN)
        page.title(MARGIN, 2.5, shown.title, total - 2 * MARGIN - text_width(shown.mode, NAME_SIZE))
        page.text(total - MARGIN, 3.2, shown.mode, NAME_SIZE, ha="right")
        # A drawing is slightly narrower than a column.
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


def _cell(shown: GraphFigure) -> float:
    """Side of a cell of the matrices."""
    room = COLUMN - LEFT - BETWEEN - 2 * STRIP - MARGIN
    return min(room / 2 / len(shown.order), 7.5)


def _maps_height(shown: GraphFigure, cell: float) -> float:
    p = len(shown.order) * cell + HEAD + STRIP + FOOT
    s = len(shown.cluster_colors) * cell + HEAD + STRIP + FOOT + LETTERS
    return p + max(s, _key_height(shown, _key_width(shown, cell)))


def _second_left(shown: GraphFigure, cell: float) -> float:
    """Left side of the second matrix."""
    return LEFT + len(shown.order) * cell + BETWEEN + 2 * STRIP


def _maps(page: Page, shown: GraphFigure, left: float, top: float, cell: float) -> None:
    """P and A side by side; S below P, with the same columns; the key beside S."""
    order, side = shown.order, len(shown.order) * cell
    colors = [shown.colors[i] for i in order]
    visited = {node.key for node in shown.drawing.nodes if node.share}
    ticks = [str(i) if i in visited and cell >= TICK_SIZE else "" for i in order.tolist()]
    first, second = left + LEFT + STRIP, left + _second_left(shown, cell)
    upper = top + HEAD + STRIP
    lower = upper + side + FOOT + HEAD + STRIP
    both = np.ix_(order, order)
    _heat(page, shown.p, shown.p.values[both], (first, upper), cell, colors, colors, ticks)
    _heat(page, shown.a, shown.a.values[both], (second, upper), cell, colors, colors, ticks)
    rows = [str(k) if cell >= TICK_SIZE else "" for k in range(len(shown.cluster_colors))]
    s = shown.s.values[:, order]
    letters = [shown.best[i] for i in order]
    _heat(page, shown.s, s, (first, lower), cell, colors, shown.cluster_colors, rows, letters)
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
    """Draw a matrix with its upper left corner at `corner`, optionally with letters below."""
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
    # The edge hides the gaps that viewers show between adjacent tiles.
    axes.add_patch(Rectangle((x, y), width, height, color=color, linewidth=0.2))


def _scale(page: Page, heat: Heat, x: float, y: float) -> None:
    """Draw the colour scale of a matrix."""
    length = 34.0
    page.text(x, y - 1.6, "0", TICK_SIZE)
    axes = page.axes(x + 5, y, length, 3.2)
    axes.imshow(np.linspace(0, 1, 64)[None], cmap=_HEAT, extent=(0, length, 3.2, 0), aspect="auto")
    page.text(x + length + 7, y - 1.6, heat.highest_text, TICK_SIZE)


def _key(page: Page, shown: GraphFigure, left: float, top: float, width: float) -> None:
    """Draw the signs of the drawing and their meanings."""
    y = top
    for sign, meaning in shown.key:
        axes = page.axes(left, y, SIGN, KEY_STEP)
        _sign(axes, sign, SIGN / 2, KEY_STEP / 2)
        for i, line in enumerate(wrapped(meaning, width, CAPTION_SIZE)):
            page.text(left + INDENT, y + 1.2 + i * CAPTION_STEP, line, CAPTION_SIZE)
        y += _entry_height(meaning, width)


def _key_width(shown: GraphFigure, cell: float) -> float:
    """Width of the key's texts."""
    return COLUMN - MARGIN - _second_left(shown, cell) + STRIP - INDENT


def _key_height(shown: GraphFigure, width: float) -> float:
    return sum(_entry_height(meaning, width) for _, meaning in shown.key)


def _entry_height(meaning: str, width: float) -> float:
    return KEY_STEP + (len(wrapped(meaning, width, CAPTION_SIZE)) - 1) * CAPTION_STEP


def _sign(axes: Axes, sign: Sign, x: float, y: float) -> None:
    if sign in ("visited", "ring"):
        axes.add_patch(Circle((x, y), 2.6, facecolor=MINOR, edgecolor=INK, linewidth=0.6))
        if sign == "ring":
            arc = Arc((x, y), 7.4, 7.4, theta1=-90, theta2=150, linewidth=RING_WIDTH)
            arc.set_edgecolor(INK)
            axes.add_patch(arc)
    elif sign == "best":
        centred_text(axes, x, y, "a, b", CAPTION_SIZE)
    elif sign == "hollow":
        axes.add_patch(Circle((x, y), 2.6, facecolor="white", edgecolor=MINOR, linewidth=0.8))
    else:
        color = MAIN if sign == "main" else MINOR
        tip = 2 * x if sign == "line" else 2 * x - 4
        axes.plot([0, tip], [y, y], color=color, linewidth=2 if sign == "main" else 1.2)
        if sign != "line":
            head = [(2 * x, y), (2 * x - 5, y - 2.6), (2 * x - 5, y + 2.6)]
            axes.add_patch(Polygon(head, facecolor=color, linewidth=0))


def title_of(graph: RunGraph) -> str:
    """Title of a graph: run, controller and kind of labels."""
    fitted = ", fitted labels" if graph.labels_from == "fitted" else ""
    return f"{printable(graph.run, limit=44)}, {graph.controller}{fitted}"


def cycle_text(cycle: Cycle) -> str:
    """The states of a cycle, such as 3→4→3; a long one is abbreviated with its length."""
    states = [*cycle.states, cycle.states[0]]
    if len(states) <= MAX_STATES:
        return "→".join(map(str, states))
    return "→".join(map(str, states[: MAX_STATES - 3])) + f"→… (of {len(cycle.states)})"


def dominant_cycle_text(cycles: Sequence[Cycle]) -> str | None:
    """The dominant cycle with its share of switches and its number of completions, if any."""
    cycle = dominant_cycle(cycles)
    if cycle is None:
        return None
    return f"{cycle_text(cycle)}: {percent(cycle.share)} of the switches, {cycle.count:,} times"


def hull_names(graph: RunGraph) -> dict[int, tuple[str, ...]]:
    """Names of the clusters that have prototypes: label and gait phase, and share of the frames.

    The share is the label's, which under the rule `soft` differs from that of its prototypes.
    """
    phase = {named.label: named.name for named in graph.names}
    names: dict[int, tuple[str, ...]] = {}
    for k in sorted(set(graph.cluster.tolist())):
        share = float(graph.stats.labels.occupancy[k])
        name = f"{k} {phase.get(k, '')}".strip()
        names[k] = (name, f"{percent(share)} of frames") if share else (str(k),)
    return names


def caption(graph: RunGraph) -> str:
    """Caption of the figure: mode, labels, data, dominant cycle and structural entropy."""
    stats = graph.stats
    cycle = dominant_cycle(stats.labels.cycles)
    labels = "fitted" if graph.labels_from == "fitted" else "learned"
    steps = (
        f"{graph.episodes} episodes without initial transients, {graph.frames:,} frames, "
        f"{stats.prototypes.switches:,} switches between prototypes"
    )
    sentences = [
        f"Mode {MODES[graph.mode]}.",
        f"Circles: prototypes by number, in hulls of their clusters; labels are {labels}, named "
        "by the gait phase in which they occur.",
        f"{steps}.",
    ]
    if cycle:
        share = percent(cycle.share)
        sentences.append(
            f"Between labels, {cycle_text(cycle)} carries {share} of the switches, completed "
            f"{cycle.count:,} times."
        )
    elif stats.labels.switches:
        sentences.append("Between labels, no cycle is dominant.")
    if graph.tau is not None and graph.mode == "soft-train":
        sentences.append(f"Temperature τ = {graph.tau:g}.")
    sentences.append(f"{structure(shown_partition(graph))}.")
    return " ".join(sentences)


def shown_partition(graph: RunGraph) -> PartitionStats:
    """Statistics of the partition under the mode's convention."""
    train = graph.stats.train if graph.mode == "soft-train" else None
    return train or graph.stats.flow


def structure(partition: PartitionStats) -> str:
    """Structural entropy of a partition, with its convention."""
    entropy = partition.entropy
    suffix = f"({convention(partition)})"
    if entropy.gap is None:
        return f"No transitions between prototypes, hence no structural entropy {suffix}"
    null = 1 - entropy.null_h2_bits / entropy.h1_bits
    gaps = (entropy.gap, null, partition.best_gap or 0.0)
    gap, chance, best = (f"{value:z.1%}".replace("%", " %") for value in gaps)
    h1, h2 = (f"{bits:.2f}" for bits in (entropy.h1_bits, entropy.h2_bits))
    return (
        f"H¹\u00a0{h1} bits, H²\u00a0{h2}: gap {gap}, by chance {chance}, best found {best} "
        f"{suffix}"
    )


def convention(partition: PartitionStats) -> str:
    """Convention of structural entropy, in words."""
    return f"{CONVENTIONS[partition.convention]}, all edges kept"


def drawing_of(graph: RunGraph) -> Drawing:
    """Drawing of a graph; positions depend on the checkpoint's partition only."""
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
    """Content of the figure of a graph."""
    cluster = graph.cluster
    return GraphFigure(
        title=title_of(graph),
        mode=f"mode {graph.mode}",
        drawing=drawing_of(graph),
        key=_legend(graph),
        order=np.lexsort((np.arange(len(cluster)), cluster)),
        colors=tuple(label_color(k) for k in cluster.tolist()),
        cluster_colors=tuple(label_color(k) for k in range(graph.partition.shape[1])),
        p=_first_matrix(graph),
        a=_second_matrix(graph),
        s=Heat("S: prototype (column) in label (row)", graph.partition.T, 1.0, "1"),
        best=_letters(graph),
        caption=caption(graph),
    )


def _letters(graph: RunGraph) -> tuple[str, ...]:
    """Letters of the visited prototypes, by cluster in the best partition found.

    Letters are alphabetical in the order of the matrices; empty without transitions.
    """
    best, cluster = shown_partition(graph).best, graph.cluster
    letter: dict[int, str] = {}
    letters = [""] * len(best)
    if not graph.stats.prototypes.switches:
        return tuple(letters)
    for i in np.lexsort((np.arange(len(cluster)), cluster)).tolist():
        if graph.stats.prototypes.frames[i]:
            unused = ascii_letters[len(letter) % len(ascii_letters)]
            letters[i] = letter.setdefault(int(best[i]), unused)
    return tuple(letters)


def _traffic(graph: RunGraph) -> Matrix:
    chain = graph.stats.prototypes.chain
    return chain.weights / chain.weights.sum() if graph.mode == "soft-train" else chain.flow


def _first_matrix(graph: RunGraph) -> Heat:
    chain = graph.stats.prototypes.chain
    if graph.mode == "flow":
        return _scaled("F: share of time, row to column", chain.flow)
    if graph.mode == "soft-train":
        return _scaled("P: soft, row to column", chain.p)
    return Heat("P: next, row to column", chain.p, 1.0, "1")


def _second_matrix(graph: RunGraph) -> Heat:
    """The undirected graph that structural entropy is computed on."""
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
    main = dominant_cycle_text(graph.stats.prototypes.cycles)
    key: list[tuple[Sign, str]] = [
        ("visited", "prototype: area by number of frames"),
        ("hollow", "prototype never visited"),
    ]
    if any(_letters(graph)):
        key.append(("best", "letters below S: clusters of the best partition found"))
    if graph.mode == "soft-train":
        return (
            *key,
            ("ring", "dark part: weight of self-transitions"),
            ("line", "A, both ways: width by weight"),
        )
    if graph.mode != "jump":
        key.append(("ring", "dark part: probability of self-transition"))
    if main:
        key.append(("main", f"dominant cycle {main}"))
    counted = "switches" if graph.mode == "jump" else "frames"
    return (*key, ("arrow", f"switches: width and number by share of all {counted}"))
