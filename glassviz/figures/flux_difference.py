"""The figure of the difference between two transition graphs."""

from dataclasses import replace

import numpy as np
from jaxtyping import Float64
from matplotlib.figure import Figure

from glassviz.compare.graphs import FluxDifference
from glassviz.compare.matching import MatchedBy
from glassviz.figures.graph_drawing import (
    CAPTION_SIZE,
    CAPTION_STEP,
    COLUMN,
    MARGIN,
    MARGIN_X,
    TITLE_HEIGHT,
    Drawing,
    Look,
    Page,
    Width,
    draw,
    draw_graph,
    percent,
)
from glassviz.figures.graph_layout import NAME_SIZE
from glassviz.figures.style import full_names, style, text_width, wrapped
from glassviz.figures.transition_graph import MODES, hull_names, title_of
from glassviz.metrics.transitions import dominant_cycle
from glassviz.palette import NO_CLUSTER_COLOR, label_color
from glassviz.text import LONGEST_PATH, printable

MATCHED_BY: dict[MatchedBy, str] = {
    MatchedBy.CHECKPOINT: "both runs have the same prototypes and labels",
    MatchedBy.OBSERVATIONS: (
        "labels matched by what both agents assign to the same frames (Hungarian method)"
    ),
    MatchedBy.PHASE: "labels matched by the gait phase in which they occur (Hungarian method)",
}

SIDES = 20.0
"""Margin beside a ring of labels for their names, in points."""


def flux_difference(difference: FluxDifference, width: Width = "column") -> Figure:
    """Draw both graphs and their difference, in a column or in a row."""
    rows, total = (3, COLUMN) if width == "column" else (1, 2 * COLUMN)
    drawing_width, height = (total - 2 * MARGIN, 170.0) if rows == 3 else (total / 3 - 2, 176.0)
    caption = wrapped(difference_caption(difference), total - 2 * MARGIN, CAPTION_SIZE)
    step = TITLE_HEIGHT + height
    body = rows * step
    mode = f"mode {difference.mode}"
    titles = *map(title_of, difference.graphs), "difference"
    drawings = difference_drawings(difference, drawing_width, height)
    with style():
        page = Page(total, body + 2 * MARGIN + len(caption) * CAPTION_STEP)
        page.text(total - MARGIN, 3.2, mode, NAME_SIZE, ha="right")
        for i, (title, drawing) in enumerate(zip(titles, drawings, strict=True)):
            left, top = (MARGIN, i * step) if rows == 3 else (2 + i * (drawing_width + 2), 0.0)
            beside_mode = i == (0 if rows == 3 else 2)
            room = drawing_width - (text_width(mode, NAME_SIZE) if beside_mode else 0)
            page.title(left, top + 2.5, title, room)
            draw(page.axes(left, top + TITLE_HEIGHT, drawing_width, height), drawing)
        for i, line in enumerate(caption):
            page.text(MARGIN, body + MARGIN + i * CAPTION_STEP, line, CAPTION_SIZE)
    return page.figure


def difference_drawings(
    difference: FluxDifference, width: float, height: float
) -> tuple[Drawing, Drawing, Drawing]:
    """Drawings of the first graph, the second, and the second minus the first.

    A state has the same position in all three.
    """
    if difference.level == "prototype":
        cluster, colors = difference.graphs[0].cluster, {}
    else:
        cluster = np.arange(len(difference.states))
        colors = {
            i: NO_CLUSTER_COLOR if state.one is None else label_color(state.one)
            for i, state in enumerate(difference.states)
        }
    fluxes = difference.one_flux, difference.other_flux
    shares = difference.one_share, difference.other_share
    looks = [
        Look(
            cluster=cluster,
            share=shares[i],
            traffic=fluxes[i],
            stays=None,
            main=_main(difference, i),
            directed=True,
            names=_names(difference, i),
            colors=colors,
            numbers=_numbers(difference, i),
        )
        for i in (0, 1)
    ]
    between = replace(
        looks[0],
        share=(shares[0] + shares[1]) / 2,
        traffic=np.abs(difference.difference),
        main=(),
        names=_both_names(difference),
        numbers=_numbers(difference, None),
        signs=np.sign(difference.difference),
    )
    sides = SIDES if difference.level == "label" else MARGIN_X
    first, second, third = (draw_graph(look, width, height, sides) for look in (*looks, between))
    return first, second, third


def difference_caption(difference: FluxDifference) -> str:
    """Caption: mode, matching of the states, and size of the difference."""
    counted = "switches" if difference.mode == "jump" else "frames"
    matching = MATCHED_BY[difference.matched_by]
    sentences = [
        f"Mode {MODES[difference.mode]}. States are {difference.level}s: {matching}.",
        f"Numbers at arrows: share of all {counted}; black: the dominant cycle. Difference: blue "
        "(+) where the second has a larger share of its traffic, brown (−) where a smaller one.",
    ]
    unmatched = [state for state in difference.states if state.one is None or state.other is None]
    if unmatched:
        sentences.append(f"Labels without counterpart, grey or absent: {len(unmatched)}.")
    sentences.append(distance_text(difference))
    sentences += full_names(printable(graph.run, LONGEST_PATH) for graph in difference.graphs)
    return " ".join(sentences)


def distance_text(difference: FluxDifference) -> str:
    """The share of traffic that differs, against that of permuted episodes."""
    if difference.distance is None or difference.null_distance is None:
        return "A run without a transition has no traffic to compare."
    share, chance = percent(difference.distance), percent(difference.null_distance)
    return (
        f"{share} of the traffic differs; {chance} by chance (episodes permuted between the runs, "
        f"p = {difference.p:.3f}; a statement about these two runs, not about other seeds)."
    )


def _main(difference: FluxDifference, which: int) -> tuple[int, ...]:
    """The dominant cycle of one of the runs, as indices into the matched states."""
    stats = difference.graphs[which].stats
    level = stats.prototypes if difference.level == "prototype" else stats.labels
    cycle = dominant_cycle(level.cycles)
    states = [state.one if which == 0 else state.other for state in difference.states]
    return tuple(states.index(state) for state in cycle.states) if cycle else ()


def _numbers(difference: FluxDifference, which: int | None) -> tuple[str, ...]:
    """The states' numbers in a run; None: in the first run, or else in the second."""
    texts = []
    for state in difference.states:
        both = (state.one, state.other)
        number = both[which] if which is not None else both[0] if both[0] is not None else both[1]
        texts.append("" if number is None else str(number))
    return tuple(texts)


def _names(difference: FluxDifference, which: int) -> dict[int, tuple[str, ...]]:
    graph = difference.graphs[which]
    if difference.level == "prototype":
        return hull_names(graph)
    phase = {named.label: named.name for named in graph.names}
    share: Float64[np.ndarray, " states"] = (difference.one_share, difference.other_share)[which]
    names: dict[int, tuple[str, ...]] = {}
    for i, state in enumerate(difference.states):
        label = (state.one, state.other)[which]
        name = "absent" if label is None else f"{label} {phase.get(label, '')}".strip()
        names[i] = (name, f"{percent(float(share[i]))} of frames") if share[i] else (name,)
    return names


def _both_names(difference: FluxDifference) -> dict[int, tuple[str, ...]]:
    if difference.level == "prototype":
        one, other = (hull_names(graph) for graph in difference.graphs)
        # The number alone, if a cluster occurs in different phases under the two controllers.
        return {k: lines[:1] if lines[0] == other[k][0] else (str(k),) for k, lines in one.items()}
    return {
        i: (f"{state.other if state.one is None else state.one} only",)
        if state.one is None or state.other is None
        else (f"{state.one} ↔ {state.other}",)
        for i, state in enumerate(difference.states)
    }
