"""The figure of a transition graph: drawing, matrices, key and caption."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from string import ascii_letters
from typing import Any, Literal

import numpy as np
from jaxtyping import Float64, Int
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure
from matplotlib.patches import Arc, Circle, Polygon, Rectangle

from glassviz.compare.graphs import Order, RunGraph
from glassviz.figures.graph_drawing import (
    CAPTION_SIZE,
    CAPTION_STEP,
    COLUMN,
    HEIGHT,
    MAIN,
    MARGIN,
    MINOR,
    POINTS,
    PROTOTYPE,
    RING_WIDTH,
    TICK_SIZE,
    TITLE_HEIGHT,
    WIDTH,
    Drawing,
    Look,
    Page,
    centred_text,
    draw,
    draw_graph,
    percent,
)
from glassviz.figures.graph_layout import NAME_SIZE
from glassviz.figures.style import (
    COLUMN_INCHES,
    INK,
    PLAIN,
    WIDE_INCHES,
    FigureStyle,
    full_names,
    style,
    text_width,
    wrapped,
)
from glassviz.metrics import transitions
from glassviz.metrics.labels import UNNAMED
from glassviz.metrics.structural_entropy import symmetrised
from glassviz.metrics.transitions import Convention, Cycle, Mode, PartitionStats, dominant_cycle
from glassviz.palette import label_color
from glassviz.text import LONGEST_PATH, printable

Sign = Literal["visited", "hollow", "ring", "main", "arrow", "line", "best"]
Key = tuple[tuple[Sign, str], ...]
"""Signs and their meanings."""

STRIP = 2.4
"""Width of the strips of cluster colours along a matrix."""

LEFT = 15.0
"""Margin of a matrix, for row numbers."""

LARGEST_CELL = 11.0
"""Maximum size of a cell of a matrix."""

SEEN = 0.005
"""Smallest entry of S that is worth a row."""

HEAD, FOOT = 11.0, 17.0
"""Height of a matrix's title and of its scale."""

LETTERS = 7.0
"""Height of the letters below S."""

KEY_LEFT = 4.0
"""Margin left of the key."""

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

CONVENTIONS: dict[Convention, str] = {
    "flow": "flow, symmetrised, self-transitions dropped",
    "train": "soft counts + 1e-4, rows normalised, symmetrised, self-transitions once, soft S",
}
"""Descriptions, printed with every structural entropy."""

ORDERS: dict[Order, str] = {
    "cycle": "in the order of the gait cycle",
    "share": "from the most frequent on",
    "number": "by number",
}
"""Orders of labels, in words."""

MAX_STATES = 10
"""Maximum number of printed states of a cycle, including the return to the first."""


@dataclass(frozen=True, eq=False)
class Heat:
    """A heat map of a matrix with one column per prototype, on a scale from 0 to `highest`.

    Attributes:
        row_colors, column_colors: colours of the clusters along the edges.
        ticks: names of the rows; empty where there is no room.
        letters: below the columns; none for no line of letters.
    """

    title: str
    values: Float64[np.ndarray, "rows prototypes"]
    highest: float
    row_colors: Sequence[str]
    column_colors: Sequence[str]
    ticks: Sequence[str]
    letters: Sequence[str] = ()

    def height(self, cell: float) -> float:
        """Height with title and scale."""
        below = FOOT + (LETTERS if self.letters else 0)
        return HEAD + STRIP + len(self.values) * cell + below


PANELS = ("graph", "P", "A", "S")
"""Parts of the figure that can be chosen."""


def transition_graph(graph: RunGraph, look: FigureStyle = PLAIN) -> Figure:
    """Draw a graph with its matrices below it, or beside it if the figure is wide."""
    with style(look):
        total = POINTS * look.inches(COLUMN_INCHES)
        matrices, shown = look.chosen(PANELS[1:]), look.shows("graph")
        beside = shown and bool(matrices) and total >= POINTS * WIDE_INCHES
        column = total / 2 if beside else total
        lines = wrapped(caption(graph), total - 2 * MARGIN, CAPTION_SIZE) if look.caption else []
        enlarged = column / COLUMN
        size = WIDTH * enlarged, HEIGHT * min(enlarged, 1.3)
        drawing = drawing_of(graph, *size) if shown else None
        parts = _parts(graph, matrices, look.legend, column)
        rows = [parts[i : i + 2] for i in range(0, len(parts), 2)]
        heights = [max(part.height for part in row) for row in rows]
        graph_height = drawing.height if drawing else 0.0
        body = max(graph_height, sum(heights)) if beside else graph_height + sum(heights)
        head = TITLE_HEIGHT if look.title else MARGIN
        below = MARGIN + len(lines) * CAPTION_STEP if lines else 0.0
        page = Page(total, head + body + below + MARGIN)
        if look.title:
            mode = f"mode {graph.mode}"
            room = total - 2 * MARGIN - text_width(mode, NAME_SIZE)
            page.title(MARGIN, 2.5, title_of(graph), room)
            page.text(total - MARGIN, 3.2, mode, NAME_SIZE, ha="right")
        if drawing:
            # A drawing is slightly narrower than a column.
            left = (column - drawing.width) / 2
            top = head + ((body - drawing.height) / 2 if beside else 0.0)
            draw(page.axes(left, top, drawing.width, drawing.height), drawing)
        left = column if beside else 0.0
        top = head + ((body - sum(heights)) / 2 if beside else graph_height)
        for row, height in zip(rows, heights, strict=True):
            for i, part in enumerate(row):
                part.draw(page, left + i * column / 2, top)
            top += height
        page.lines(head + body + MARGIN, lines)
    return page.figure


@dataclass(frozen=True)
class _Part:
    """A matrix or the key: half a column wide, drawn with its upper left corner at a place."""

    height: float
    draw: Callable[[Page, float, float], None]


def _parts(graph: RunGraph, names: Sequence[str], legend: bool, column: float) -> list[_Part]:
    """The matrices that are drawn, and the key."""
    order = _order(graph)
    cell = min((column / 2 - LEFT - STRIP - MARGIN) / len(order), LARGEST_CELL)
    heats = [_heat_of(graph, name, order, cell) for name in names]
    parts = [_Part(heat.height(cell), partial(_heat, heat=heat, cell=cell)) for heat in heats]
    if legend:
        lettered = any(heat.letters for heat in heats)
        key = [entry for entry in key_of(graph) if lettered or entry[0] != "best"]
        width = column / 2 - KEY_LEFT - INDENT - MARGIN
        height = sum(_entry_height(meaning, width) for _, meaning in key)
        parts.append(_Part(height, partial(_key, key=key, width=width)))
    return parts


def _key(page: Page, x: float, y: float, key: Sequence[tuple[Sign, str]], width: float) -> None:
    x += KEY_LEFT
    for sign, meaning in key:
        _sign(page.axes(x, y, SIGN, KEY_STEP), sign, SIGN / 2, KEY_STEP / 2)
        for i, line in enumerate(wrapped(meaning, width, CAPTION_SIZE)):
            page.text(x + INDENT, y + 1.2 + i * CAPTION_STEP, line, CAPTION_SIZE)
        y += _entry_height(meaning, width)


def _order(graph: RunGraph) -> Int[np.ndarray, " shown"]:
    """The prototypes in all matrices: by cluster in the order of labels, then by frames or number.

    Those that are never visited are left out, except of the soft graph, which has all.
    """
    frames = graph.stats.prototypes.frames
    rank = np.argsort(label_order(graph))
    within = -frames if graph.order == "share" else np.zeros_like(frames)
    order = np.lexsort((within, rank[graph.cluster]))
    if graph.mode == "soft-train":
        return order
    return order[frames[order] > 0]


def label_order(graph: RunGraph) -> list[int]:
    """The labels in the order that the graph asks for."""
    if graph.order == "number":
        return list(range(graph.partition.shape[1]))
    if graph.order == "share":
        return np.argsort(-graph.stats.labels.frames, kind="stable").tolist()
    phase = {named.label: named.phase for named in graph.names}
    return transitions.cycle_order(graph.stats.labels.cycles, phase, graph.partition.shape[1])


def _heat_of(graph: RunGraph, name: str, order: Int[np.ndarray, " shown"], cell: float) -> Heat:
    """One of the matrices, of these prototypes."""
    colors = [label_color(int(graph.cluster[i])) for i in order]
    lettered = cell >= TICK_SIZE
    if name == "S":
        s = graph.partition[order].T
        used = graph.stats.labels.frames > 0
        rows = [k for k in label_order(graph) if used[k] or s[k].max(initial=0) >= SEEN]
        best = best_letters(graph)
        return Heat(
            "S: μ in label (row)",
            s[rows],
            1.0,
            [label_color(k) for k in rows],
            colors,
            [str(k) if lettered else "" for k in rows],
            [best[i] for i in order] if lettered and any(best) else (),
        )
    title, values = _matrix(graph, name)
    ticks = [f"{PROTOTYPE}{i}" if lettered else "" for i in order]
    highest = (
        1.0 if name == "P" and graph.mode in ("frame", "jump") else float(values.max(initial=0))
    )
    return Heat(title, values[np.ix_(order, order)], highest, colors, colors, ticks)


def _matrix(graph: RunGraph, name: str) -> tuple[str, Float64[np.ndarray, "all all"]]:
    """P, or F, or the undirected graph A that structural entropy is computed on."""
    chain = graph.stats.prototypes.chain
    if name == "P":
        if graph.mode == "flow":
            return "F: share of time, row to column", chain.flow
        soft = graph.mode == "soft-train"
        return "P: soft, row to column" if soft else "P: next, row to column", chain.p
    if graph.mode == "soft-train":
        return "A = (P + Pᵀ)/2", chain.weights
    both = symmetrised(chain.flow)
    both = both * (1 - np.eye(len(both)))
    return "A: switches, both ways", both / (both.sum() or 1.0)


def _heat(page: Page, left: float, top: float, heat: Heat, cell: float) -> None:
    """Draw a matrix with its title, colours, numbers, letters and scale."""
    rows, columns = heat.values.shape
    width, height = columns * cell, rows * cell
    x, y = left + LEFT + STRIP, top + HEAD + STRIP
    page.text(x - STRIP, top + 2.5, heat.title, NAME_SIZE)
    axes = page.axes(left, y - STRIP, LEFT + STRIP + width, STRIP + height)
    at = LEFT + STRIP
    for i, color in enumerate(heat.column_colors):
        _tile(axes, at + i * cell, 0.0, cell, STRIP * 0.8, color)
    for i, (color, tick) in enumerate(zip(heat.row_colors, heat.ticks, strict=True)):
        _tile(axes, LEFT + STRIP * 0.2, STRIP + i * cell, STRIP * 0.8, cell, color)
        where = LEFT - 1.5, STRIP + (i + 0.5) * cell
        axes.text(*where, tick, fontsize=TICK_SIZE, ha="right", va="center")
    look: Any = {"cmap": _HEAT, "vmin": 0, "vmax": heat.highest or 1.0}
    look |= {"interpolation": "nearest", "aspect": "auto"}
    axes.imshow(heat.values, extent=(at, at + width, STRIP + height, STRIP), **look)
    axes.set(xlim=(0, LEFT + STRIP + width), ylim=(STRIP + height, 0))
    frame: Any = {"facecolor": "none", "edgecolor": INK, "linewidth": 0.5, "clip_on": False}
    axes.add_patch(Rectangle((at, STRIP), width, height, **frame))
    for i, letter in enumerate(heat.letters):
        page.text(x + (i + 0.5) * cell, y + height + 1, letter, TICK_SIZE, ha="center")
    _color_scale(page, heat.highest, x, y + height + 4.5 + (LETTERS if heat.letters else 0))


def _tile(axes: Axes, x: float, y: float, width: float, height: float, color: str) -> None:
    # The edge hides the gaps that viewers show between adjacent tiles.
    axes.add_patch(Rectangle((x, y), width, height, color=color, linewidth=0.2))


def _color_scale(page: Page, highest: float, x: float, y: float) -> None:
    """Draw the colour scale of a matrix, from 0 to `highest`."""
    length = 34.0
    page.text(x, y - 1.6, "0", TICK_SIZE)
    axes = page.axes(x + 5, y, length, 3.2)
    axes.imshow(np.linspace(0, 1, 64)[None], cmap=_HEAT, extent=(0, length, 3.2, 0), aspect="auto")
    page.text(x + length + 7, y - 1.6, f"{highest:.2g}", TICK_SIZE)


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
    elif sign == "line":
        axes.plot([0, SIGN], [y, y], color=MINOR, linewidth=1.2)
    else:
        main = sign == "main"
        arrow_sign(axes, MAIN if main else MINOR, y, 2.0 if main else 1.2)


def arrow_sign(axes: Axes, color: str, y: float, width: float) -> None:
    """Draw an arrow of the key across its axes."""
    axes.plot([0, SIGN - 4], [y, y], color=color, linewidth=width)
    head = [(SIGN, y), (SIGN - 5, y - 2.6), (SIGN - 5, y + 2.6)]
    axes.add_patch(Polygon(head, facecolor=color, linewidth=0))


def title_of(graph: RunGraph) -> str:
    """Title of a graph: run, controller and kind of labels."""
    fitted = ", fitted labels" if graph.labels_from == "fitted" else ""
    return f"{printable(graph.run, LONGEST_PATH)}, {graph.controller}{fitted}"


def cycle_text(cycle: Cycle, prefix: str = "") -> str:
    """The states of a cycle, such as 3→4→3; a long one is abbreviated with its length.

    `prefix` is that of every state, such as `PROTOTYPE`.
    """
    states = [f"{prefix}{state}" for state in (*cycle.states, cycle.states[0])]
    if len(states) <= MAX_STATES:
        return "→".join(states)
    return "→".join(states[: MAX_STATES - 3]) + f"→… (of {len(cycle.states)})"


def dominant_cycle_text(cycles: Sequence[Cycle]) -> str | None:
    """The dominant cycle of prototypes with its share of switches and its completions, if any."""
    cycle = dominant_cycle(cycles)
    if cycle is None:
        return None
    states = cycle_text(cycle, PROTOTYPE)
    return f"{states}: {percent(cycle.share)} of the switches, {cycle.count:,} times"


def hull_names(graph: RunGraph) -> dict[int, tuple[str, ...]]:
    """Names of the clusters that have prototypes: label, its name, and share of the frames.

    The share is the label's, which under the rule `soft` differs from that of its prototypes.
    """
    found = {named.label: named.name for named in graph.names}
    names: dict[int, tuple[str, ...]] = {}
    for k in sorted(set(graph.cluster.tolist())):
        share = float(graph.stats.labels.occupancy[k])
        name = f"{k} {found.get(k, '')}".strip()
        names[k] = (name, f"{percent(share)} of frames") if share else (name,)
    return names


def caption(graph: RunGraph) -> str:
    """Caption of the figure: mode, labels, data, dominant cycle and structural entropy."""
    stats = graph.stats
    cycle = dominant_cycle(stats.labels.cycles)
    labels = "fitted" if graph.labels_from == "fitted" else "learned"
    given = any(named.name != named.phase for named in graph.names)
    phases = all(named.phase != UNNAMED for named in graph.names)
    ordered = phases or graph.order != "cycle"
    order = f", clockwise {ORDERS[graph.order]}" if ordered else ""
    named_by = ", named by the gait phase in which they occur" if phases else ""
    named_by += " unless a name was given" if phases and given else ""
    sentences = [
        f"Mode {MODES[graph.mode]}.",
        f"Circles: prototypes μ by number, in hulls of their labels' clusters{order}; labels are "
        f"{labels}{named_by}.",
        f"{graph.episodes} episodes{' without initial transients' if phases else ''}, "
        f"{graph.frames:,} frames, {stats.prototypes.switches:,} switches between prototypes.",
    ]
    if cycle:
        sentences.append(
            f"Between labels, {cycle_text(cycle)} carries {percent(cycle.share)} of the switches, "
            f"completed {cycle.count:,} times."
        )
    elif stats.labels.switches:
        sentences.append("Between labels, no cycle is dominant.")
    if graph.tau is not None and graph.mode == "soft-train":
        sentences.append(f"Temperature τ = {graph.tau:g}.")
    sentences.append(f"{structure(shown_partition(graph))}.")
    sentences += full_names([printable(graph.run, LONGEST_PATH)])
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


def drawing_of(graph: RunGraph, width: float = WIDTH, height: float = HEIGHT) -> Drawing:
    """Drawing of a graph; positions depend on the partition and the order of the gait only."""
    prototypes = graph.stats.prototypes
    directed = graph.mode != "soft-train"
    main = dominant_cycle(prototypes.cycles) if directed else None
    chain = prototypes.chain
    return draw_graph(
        Look(
            cluster=graph.cluster,
            share=prototypes.occupancy,
            traffic=chain.flow if directed else chain.weights / chain.weights.sum(),
            stays=None if graph.mode == "jump" else np.diag(chain.p),
            main=main.states if main else (),
            directed=directed,
            names=hull_names(graph),
            numbers=prototype_numbers(graph),
            order=label_order(graph),
        ),
        width,
        height,
    )


def prototype_numbers(graph: RunGraph) -> list[str]:
    """Printed numbers of the prototypes."""
    return [f"{PROTOTYPE}{i}" for i in range(len(graph.cluster))]


def best_letters(graph: RunGraph) -> list[str]:
    """A letter per visited prototype; equal ones mean a cluster of the best partition found.

    Letters are alphabetical in the order of the matrices; all are "" without transitions.
    """
    prototypes, best = graph.stats.prototypes, shown_partition(graph).best
    letter: dict[int, str] = {}
    letters = [""] * len(best)
    if prototypes.switches:
        for i in _order(graph).tolist():
            if prototypes.frames[i]:
                unused = ascii_letters[len(letter) % len(ascii_letters)]
                letters[i] = letter.setdefault(int(best[i]), unused)
    return letters


def key_of(graph: RunGraph) -> Key:
    """Signs of the drawing and their meanings."""
    main = dominant_cycle_text(graph.stats.prototypes.cycles)
    key: list[tuple[Sign, str]] = [
        ("visited", "prototype μ: area by number of frames"),
        ("hollow", "prototype never visited"),
    ]
    if any(best_letters(graph)):
        key.append(("best", "letters below S: clusters of the best partition found"))
    if graph.mode == "soft-train":
        key.append(("ring", "dark part: weight of self-transitions"))
        return (*key, ("line", "A, both ways: width by weight"))
    if graph.mode != "jump":
        key.append(("ring", "dark part: probability of self-transition"))
    if main:
        key.append(("main", f"dominant cycle {main}"))
    counted = "switches" if graph.mode == "jump" else "frames"
    return (*key, ("arrow", f"switches: width and number by share of all {counted}"))
