"""The figure of the difference of two transition graphs."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64, Int
from matplotlib.figure import Figure

from glassviz.compare.graphs import FluxDifference, RunGraph
from glassviz.compare.matching import MatchedBy
from glassviz.figures.graph_drawing import MARGIN_X, Drawing, Look, draw_graph, percent
from glassviz.figures.graph_layout import NAME_SIZE
from glassviz.figures.style import style, text_width, wrapped
from glassviz.figures.transition_graph import (
    CAPTION_SIZE,
    CAPTION_STEP,
    COLUMN,
    MARGIN,
    MODES,
    TITLE_HEIGHT,
    Page,
    Width,
    draw,
    hull_names,
    title_of,
)
from glassviz.metrics.transitions import dominant_cycle
from glassviz.palette import NO_CLUSTER_COLOR, label_color


@dataclass(frozen=True, eq=False)
class DifferenceFigure:
    """What a figure of a difference shows.

    Attributes:
        titles: of both runs, and of their difference.
        mode: of the graphs.
        drawings: of the same.
        caption: below all.
    """

    titles: tuple[str, str, str]
    mode: str
    drawings: tuple[Drawing, Drawing, Drawing]
    caption: str


def difference_size(width: Width) -> tuple[float, float]:
    """Width and height of a drawing in a figure of this width: below each other, or in a row."""
    return (COLUMN - 2 * MARGIN, 170.0) if width == "column" else (2 * COLUMN / 3 - 2, 176.0)


def flux_difference(shown: DifferenceFigure, width: Width = "column") -> Figure:
    """Draw both graphs and their difference; every state has one place in all three."""
    total = COLUMN if width == "column" else 2 * COLUMN
    caption = wrapped(shown.caption, total - 2 * MARGIN, CAPTION_SIZE)
    own, height = shown.drawings[0].width, shown.drawings[0].height
    rows = 3 if width == "column" else 1
    step = TITLE_HEIGHT + height
    body = rows * step
    with style():
        page = Page(total, body + 2 * MARGIN + len(caption) * CAPTION_STEP)
        page.text(total - MARGIN, 3.2, shown.mode, NAME_SIZE, ha="right")
        for i, (title, drawing) in enumerate(zip(shown.titles, shown.drawings, strict=True)):
            left, top = (MARGIN, i * step) if rows == 3 else (2 + i * (own + 2), 0.0)
            room = own - (text_width(shown.mode, NAME_SIZE) if i == (0 if rows == 3 else 2) else 0)
            page.title(left, top + 2.5, title, room)
            draw(page.axes(left, top + TITLE_HEIGHT, own, height), drawing)
        for i, line in enumerate(caption):
            page.text(MARGIN, body + MARGIN + i * CAPTION_STEP, line, CAPTION_SIZE)
    return page.figure


SIDES = 20.0
"""Beside a ring of labels, in points: room for their names."""


def difference_figure_of(found: FluxDifference, width: Width = "column") -> DifferenceFigure:
    """Both graphs and their difference, each state in one place in all three."""
    return DifferenceFigure(
        titles=(title_of(found.graphs[0]), title_of(found.graphs[1]), "difference"),
        mode=f"mode {found.mode}",
        drawings=difference_drawings(found, *difference_size(width)),
        caption=difference_caption(found),
    )


def difference_drawings(
    found: FluxDifference, width: float, height: float
) -> tuple[Drawing, Drawing, Drawing]:
    """The one, the other, and the other less the one, as plain data."""
    cluster = _clusters(found)
    matched = {
        int(k): label_color(state.one) if state.one is not None else NO_CLUSTER_COLOR
        for k, state in zip(cluster, found.states, strict=True)
    }
    if found.level == "prototype":
        matched = {}
    looks = []
    for i, (flux, share) in enumerate(
        [(found.one_flux, found.one_share), (found.other_flux, found.other_share)]
    ):
        looks.append(
            Look(
                cluster=cluster,
                share=share,
                traffic=flux,
                stays=None,
                main=_main(found, i),
                directed=True,
                names=_names(found, i),
                colors=matched,
                numbers=_numbers(found, i),
            )
        )
    between = np.abs(found.difference)
    looks.append(
        Look(
            cluster=cluster,
            share=(found.one_share + found.other_share) / 2,
            traffic=between,
            stays=None,
            main=(),
            directed=True,
            names=_both_names(found),
            colors=matched,
            numbers=_numbers(found, None),
            signs=np.sign(found.difference),
        )
    )
    sides = SIDES if found.level == "label" else MARGIN_X
    first, second, third = (draw_graph(look, width, height, sides) for look in looks)
    return first, second, third


MATCHED_BY: dict[MatchedBy, str] = {
    MatchedBy.CHECKPOINT: "both runs have the same prototypes and labels",
    MatchedBy.OBSERVATIONS: (
        "labels matched by what both agents call the same frames (Hungarian method)"
    ),
    MatchedBy.PHASE: "labels matched by the phase of the gait that they live in (Hungarian method)",
}


def difference_caption(found: FluxDifference) -> str:
    """What is shown, how states were matched, and how large the difference is."""
    counted = "switches" if found.mode == "jump" else "frames"
    sentences = [
        f"Mode {MODES[found.mode]}. States are {found.level}s: {MATCHED_BY[found.matched_by]}.",
        f"Numbers at arrows: share of all {counted}; black: the dominant cycle. Difference: blue "
        "(+) where the second has more of its traffic, brown (−) where it has less.",
    ]
    alone = [state for state in found.states if state.one is None or state.other is None]
    if alone:
        sentences.append(f"Without counterpart, in grey or absent: {len(alone)} labels.")
    sentences.append(distance_told(found))
    return " ".join(sentences)


def distance_told(found: FluxDifference) -> str:
    """How much of the traffic differs, beside what the episodes alone would make differ."""
    if found.distance is None or found.null_distance is None:
        return "A run without a transition has no traffic to compare."
    own, chance = percent(found.distance), percent(found.null_distance)
    return (
        f"{own} of the traffic differs; by chance {chance} "
        f"(episodes dealt out anew, p = {found.p:.3f}; about these two runs, not other seeds)."
    )


def _clusters(found: FluxDifference) -> Int[np.ndarray, " states"]:
    if found.level == "prototype":
        return found.graphs[0].cluster
    return np.arange(len(found.states))


def _main(found: FluxDifference, which: int) -> tuple[int, ...]:
    """The dominant cycle of one of the runs, by the places of its states."""
    stats = found.graphs[which].stats
    level = stats.prototypes if found.level == "prototype" else stats.labels
    cycle = dominant_cycle(level.cycles)
    places = [state.one if which == 0 else state.other for state in found.states]
    return tuple(places.index(state) for state in cycle.states) if cycle else ()


def _numbers(found: FluxDifference, which: int | None) -> tuple[str, ...]:
    """What a run calls its states; in the difference as the first run does, if it has them."""
    told = []
    for state in found.states:
        both = (state.one, state.other)
        number = both[which] if which is not None else both[0] if both[0] is not None else both[1]
        told.append("" if number is None else str(number))
    return tuple(told)


def _names(found: FluxDifference, which: int) -> dict[int, tuple[str, ...]]:
    graph = found.graphs[which]
    if found.level == "prototype":
        return hull_names(graph)
    share: Float64[np.ndarray, " states"] = (found.one_share, found.other_share)[which]
    names: dict[int, tuple[str, ...]] = {}
    for i, state in enumerate(found.states):
        label = (state.one, state.other)[which]
        told = "absent" if label is None else f"{label} {_named(graph, label)}".strip()
        names[i] = (told, f"{percent(float(share[i]))} of frames") if share[i] else (told,)
    return names


def _both_names(found: FluxDifference) -> dict[int, tuple[str, ...]]:
    if found.level == "prototype":
        one, other = (hull_names(graph) for graph in found.graphs)
        # A cluster may live in another phase under another controller: then by its number alone.
        return {k: lines[:1] if lines[0] == other[k][0] else (str(k),) for k, lines in one.items()}
    names: dict[int, tuple[str, ...]] = {}
    for i, state in enumerate(found.states):
        if state.one is None or state.other is None:
            names[i] = (f"{state.one if state.one is not None else state.other} alone",)
        else:
            names[i] = (f"{state.one} ↔ {state.other}",)
    return names


def _named(graph: RunGraph, label: int) -> str:
    return next((each.name for each in graph.names if each.label == label), "")
