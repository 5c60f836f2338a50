"""The figure of a transition graph: drawing, matrices, key and caption."""

from collections.abc import Sequence
from dataclasses import dataclass
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
from glassviz.figures.style import INK, full_names, style, text_width, wrapped
from glassviz.metrics.structural_entropy import symmetrised
from glassviz.metrics.transitions import Convention, Cycle, Mode, PartitionStats, dominant_cycle
from glassviz.palette import label_color
from glassviz.text import LONGEST_PATH, printable

Sign = Literal["visited", "hollow", "ring", "main", "arrow", "line", "best"]
Key = tuple[tuple[Sign, str], ...]

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

CONVENTIONS: dict[Convention, str] = {
    "flow": "flow, symmetrised, self-transitions dropped",
    "train": "soft counts + 1e-4, rows normalised, symmetrised, self-transitions once, soft S",
}
"""Descriptions, printed with every structural entropy."""

MAX_STATES = 10
"""Maximum number of printed states of a cycle, including the return to the first."""


@dataclass(frozen=True, eq=False)
class Heat:
    """A heat map of a matrix with one column per prototype, on a scale from 0 to `highest`."""

    title: str
    values: Float64[np.ndarray, "rows prototypes"]
    highest: float


def transition_graph(graph: RunGraph, width: Width = "column") -> Figure:
    """Draw a graph with its matrices below it in a column, or beside it on a page."""
    total = COLUMN if width == "column" else 2 * COLUMN
    lines = wrapped(caption(graph), total - 2 * MARGIN, CAPTION_SIZE)
    count, clusters = graph.partition.shape
    cell = min((COLUMN - LEFT - BETWEEN - 2 * STRIP - MARGIN) / 2 / count, 7.5)
    key = key_of(graph)
    if cell < TICK_SIZE:  # no room for letters
        key = tuple(entry for entry in key if entry[0] != "best")
    key_height = sum(_entry_height(meaning, _key_width(count, cell)) for _, meaning in key)
    p_height = count * cell + HEAD + STRIP + FOOT
    s_height = clusters * cell + HEAD + STRIP + FOOT + LETTERS
    maps = p_height + max(s_height, key_height)
    drawing = drawing_of(graph)
    body = drawing.height + maps if width == "column" else max(drawing.height, maps)
    below = MARGIN + len(lines) * CAPTION_STEP
    mode = f"mode {graph.mode}"
    with style():
        page = Page(total, TITLE_HEIGHT + body + below + MARGIN)
        page.title(MARGIN, 2.5, title_of(graph), total - 2 * MARGIN - text_width(mode, NAME_SIZE))
        page.text(total - MARGIN, 3.2, mode, NAME_SIZE, ha="right")
        # A drawing is slightly narrower than a column.
        left = (COLUMN - drawing.width) / 2
        top = TITLE_HEIGHT + (0.0 if width == "column" else (body - drawing.height) / 2)
        draw(page.axes(left, top, drawing.width, drawing.height), drawing)
        if width == "column":
            _maps(page, graph, key, 0.0, TITLE_HEIGHT + drawing.height, cell)
        else:
            _maps(page, graph, key, COLUMN, TITLE_HEIGHT + (body - maps) / 2, cell)
        for i, line in enumerate(lines):
            y = TITLE_HEIGHT + body + MARGIN + i * CAPTION_STEP
            page.text(MARGIN, y, line, CAPTION_SIZE)
    return page.figure


def _second_left(count: int, cell: float) -> float:
    return LEFT + count * cell + BETWEEN + 2 * STRIP


def _key_width(count: int, cell: float) -> float:
    return COLUMN - MARGIN - _second_left(count, cell) + STRIP - INDENT


def _maps(page: Page, graph: RunGraph, key: Key, left: float, top: float, cell: float) -> None:
    """P and A side by side; S below P, with the same columns; the key beside S."""
    count, clusters = graph.partition.shape
    order = _order(graph)
    colors = [label_color(int(graph.cluster[i])) for i in order]
    cluster_colors = [label_color(k) for k in range(clusters)]
    numbered = graph.stats.prototypes.occupancy[order] * (cell >= TICK_SIZE) > 0
    ticks = [str(i) if shown else "" for i, shown in zip(order, numbered, strict=True)]
    rows = [str(k) if cell >= TICK_SIZE else "" for k in range(clusters)]
    best = best_letters(graph)
    letters = [best[i] if cell >= TICK_SIZE else "" for i in order]
    first, second = left + LEFT + STRIP, left + _second_left(count, cell)
    upper = top + HEAD + STRIP
    lower = upper + count * cell + FOOT + HEAD + STRIP
    p, a = _matrices(graph, order)
    s = Heat("S: prototype (column) in label (row)", graph.partition.T[:, order], 1.0)
    _heat(page, p, (first, upper), cell, colors, colors, ticks)
    _heat(page, a, (second, upper), cell, colors, colors, ticks)
    _heat(page, s, (first, lower), cell, colors, cluster_colors, rows, letters)
    y = lower - STRIP - HEAD
    for sign, meaning in key:
        _sign(page.axes(second - STRIP, y, SIGN, KEY_STEP), sign, SIGN / 2, KEY_STEP / 2)
        for i, line in enumerate(wrapped(meaning, _key_width(count, cell), CAPTION_SIZE)):
            at = second - STRIP + INDENT, y + 1.2 + i * CAPTION_STEP
            page.text(*at, line, CAPTION_SIZE)
        y += _entry_height(meaning, _key_width(count, cell))


def _order(graph: RunGraph) -> Int[np.ndarray, " prototypes"]:
    """Order of the prototypes in all matrices: by cluster, then by number."""
    return np.argsort(graph.cluster, kind="stable")


def _matrices(graph: RunGraph, order: Int[np.ndarray, " prototypes"]) -> tuple[Heat, Heat]:
    """P, or F, and the undirected graph A that structural entropy is computed on."""
    chain = graph.stats.prototypes.chain
    title, values = "P: next, row to column", chain.p
    highest = 1.0
    if graph.mode in ("flow", "soft-train"):
        if graph.mode == "flow":
            title, values = "F: share of time, row to column", chain.flow
        else:
            title = "P: soft, row to column"
        highest = float(values.max(initial=0))
    if graph.mode == "soft-train":
        a_title, a = "A = (P + Pᵀ)/2", chain.weights
    else:
        both = symmetrised(chain.flow)
        both = both * (1 - np.eye(len(both)))
        a_title, a = "A: switches, both ways", both / (both.sum() or 1.0)
    by_order = np.ix_(order, order)
    second = Heat(a_title, a[by_order], float(a.max(initial=0)))
    return Heat(title, values[by_order], highest), second


def _heat(
    page: Page,
    heat: Heat,
    corner: tuple[float, float],
    cell: float,
    column_colors: Sequence[str],
    row_colors: Sequence[str],
    ticks: Sequence[str],
    letters: Sequence[str] = (),
) -> None:
    """Draw a matrix with its upper left corner at `corner`, optionally with letters below."""
    rows, columns = heat.values.shape
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
    look: Any = {"cmap": _HEAT, "vmin": 0, "vmax": heat.highest or 1.0}
    look |= {"interpolation": "nearest", "aspect": "auto"}
    axes.imshow(heat.values, extent=(at, at + width, STRIP + height, STRIP), **look)
    axes.set(xlim=(0, LEFT + STRIP + width), ylim=(STRIP + height, 0))
    frame: Any = {"facecolor": "none", "edgecolor": INK, "linewidth": 0.5, "clip_on": False}
    axes.add_patch(Rectangle((at, STRIP), width, height, **frame))
    for i, letter in enumerate(letters):
        page.text(x + (i + 0.5) * cell, y + height + 1, letter, TICK_SIZE, ha="center")
    _color_scale(page, heat.highest, x, y + height + 4.5 + (LETTERS if letters else 0))


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
    return f"{printable(graph.run, LONGEST_PATH)}, {graph.controller}{fitted}"


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
    sentences = [
        f"Mode {MODES[graph.mode]}.",
        f"Circles: prototypes by number, in hulls of their clusters; labels are {labels}, named "
        "by the gait phase in which they occur.",
        f"{graph.episodes} episodes without initial transients, {graph.frames:,} frames, "
        f"{stats.prototypes.switches:,} switches between prototypes.",
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


def drawing_of(graph: RunGraph) -> Drawing:
    """Drawing of a graph; positions depend on the checkpoint's partition only."""
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
        )
    )


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
        ("visited", "prototype: area by number of frames"),
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
