"""The figure of the difference between two transition graphs."""

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from jaxtyping import Float64
from matplotlib.figure import Figure

from glassviz.compare.graphs import FluxDifference
from glassviz.compare.matching import MatchedBy
from glassviz.figures.graph_drawing import (
    CAPTION_SIZE,
    CAPTION_STEP,
    LESS,
    MARGIN,
    MARGIN_X,
    MORE,
    POINTS,
    PROTOTYPE,
    TITLE_HEIGHT,
    Drawing,
    Look,
    Page,
    draw,
    draw_graph,
    percent,
)
from glassviz.figures.graph_layout import NAME_SIZE
from glassviz.figures.style import (
    COLUMN_INCHES,
    PLAIN,
    WIDE_INCHES,
    FigureStyle,
    full_names,
    shortened,
    style,
    text_width,
    wrapped,
)
from glassviz.figures.transition_graph import (
    INDENT,
    KEY_STEP,
    MODES,
    SIGN,
    arrow_sign,
    hull_names,
    label_order,
    title_of,
)
from glassviz.metrics.labels import names_together
from glassviz.metrics.transitions import dominant_cycle
from glassviz.palette import NO_CLUSTER_COLOR, label_color
from glassviz.text import LONGEST_PATH, count_of, printable

MATCHED_BY: dict[MatchedBy, str] = {
    MatchedBy.CHECKPOINT: "both runs have the same prototypes and labels",
    MatchedBy.OBSERVATIONS: (
        "labels matched by what both agents assign to the same frames (Hungarian method)"
    ),
    MatchedBy.PHASE: "labels matched by the gait phase in which they occur (Hungarian method)",
}

SIDES = 20.0
"""Margin beside a ring of labels for their names, in points."""


PANELS = ("difference", "first", "second")
"""Graphs that can be chosen; by default the difference alone."""

DRAWING_HEIGHT = 176.0


def flux_difference(difference: FluxDifference, look: FigureStyle = PLAIN) -> Figure:
    """Draw the difference of two graphs; with `look.panels` also the graphs themselves.

    Several are drawn below each other, or side by side if the figure is wide.
    """
    with style(look):
        total = POINTS * look.inches(COLUMN_INCHES)
        chosen = look.chosen(PANELS) if look.panels else ["difference"]
        columns = len(chosen) if total >= POINTS * WIDE_INCHES else 1
        width = (total - 2 * MARGIN) / columns
        lines = []
        if look.caption:
            lines = wrapped(difference_caption(difference), total - 2 * MARGIN, CAPTION_SIZE)
        key = _key(difference) if look.legend and "difference" in chosen else []
        key_height = KEY_STEP * len(key) + MARGIN if key else 0.0
        head = TITLE_HEIGHT if look.title else MARGIN
        step = head + DRAWING_HEIGHT
        body = step * math.ceil(len(chosen) / columns)
        below = MARGIN + len(lines) * CAPTION_STEP if lines else 0.0
        page = Page(total, body + key_height + below + MARGIN)
        drawings = difference_drawings(difference, width, DRAWING_HEIGHT)
        mode = f"mode {difference.mode}"
        for i, panel in enumerate(chosen):
            row, column = divmod(i, columns)
            left, top = MARGIN + column * width, row * step
            if look.title:
                last = i == columns - 1
                room = width - (text_width(mode, NAME_SIZE) + MARGIN if last else 0)
                page.title(left, top + 2.5, panel_title(difference, panel), room)
            box = left, top + head, width, DRAWING_HEIGHT
            draw(page.axes(*box), drawings[panel])
        if look.title:
            page.text(total - MARGIN, 3.2, mode, NAME_SIZE, ha="right")
        for i, (color, meaning) in enumerate(key):
            y = body + i * KEY_STEP
            axes = page.axes(MARGIN, y, SIGN, KEY_STEP)
            arrow_sign(axes, color, KEY_STEP / 2, 1.6)
            room = total - 2 * MARGIN - INDENT
            page.text(MARGIN + INDENT, y + 1.2, shortened(meaning, room, 6.0), CAPTION_SIZE)
        page.lines(body + key_height + MARGIN, lines)
    return page.figure


def panel_title(difference: FluxDifference, panel: str) -> str:
    """Title of one of the graphs, or of their difference."""
    one, other = map(title_of, difference.graphs)
    if difference.graphs[0].controller == difference.graphs[1].controller:
        one = printable(difference.graphs[0].run, LONGEST_PATH)
    return {"first": title_of(difference.graphs[0]), "second": other}.get(panel, f"{one} → {other}")


def _key(difference: FluxDifference) -> list[tuple[str, str]]:
    """Colours of the arrows of the difference, and their meanings."""
    one, other = (title_of(graph) for graph in difference.graphs)
    return [(MORE, f"larger share of the traffic in {other}"), (LESS, f"in {one}")]


def difference_drawings(
    difference: FluxDifference, width: float, height: float
) -> dict[str, Drawing]:
    """Drawings of the first graph, the second, and the second minus the first, by panel.

    A state has the same position in all three.
    """
    order: Sequence[int] = label_order(difference.graphs[0])
    if difference.level == "prototype":
        cluster, colors = difference.graphs[0].cluster, {}
    else:
        cluster = np.arange(len(difference.states))
        order = sorted(
            cluster.tolist(), key=lambda i: _place(order, difference.states[i].one, len(cluster))
        )
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
            order=order,
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
    drawings = [draw_graph(look, width, height, sides) for look in (between, *looks)]
    return dict(zip(PANELS, drawings, strict=True))


def _place(order: Sequence[int], label: int | None, last: int) -> int:
    """Where a label comes in an order; without counterpart it comes last."""
    return order.index(label) if label in order else last


def difference_caption(difference: FluxDifference) -> str:
    """Caption: mode, matching of the states, and size of the difference."""
    counted = "switches" if difference.mode == "jump" else "frames"
    matching = MATCHED_BY[difference.matched_by]
    sentences = [
        f"Mode {MODES[difference.mode]}. States are {difference.level}s: {matching}.",
        f"Arrows: shares of all {counted} in {printable(difference.other)} less those in "
        f"{printable(difference.one)}: blue (+) where larger, brown (−) where smaller. Areas: mean "
        "of both shares of the frames.",
    ]
    if difference.level == "label":
        sentences.append(
            f"a ↔ b: label a of {printable(difference.one)} matches label b of "
            f"{printable(difference.other)}. Colours are those of the labels of "
            f"{printable(difference.one)}."
        )
    unmatched = [state for state in difference.states if state.one is None or state.other is None]
    if unmatched:
        has = "has" if len(unmatched) == 1 else "have"
        told = f"{count_of(len(unmatched), difference.level)} {has} no counterpart"
        if difference.level == "label" and any(state.one is None for state in unmatched):
            told += f" (grey: of {printable(difference.other)} alone)"
        sentences.append(f"{told}.")
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
        prefix = PROTOTYPE if difference.level == "prototype" else ""
        texts.append("" if number is None else f"{prefix}{number}")
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
        together = names_together([graph.names for graph in difference.graphs])
        named = {each.label: each.name for each in together}
        clusters = sorted(set(difference.graphs[0].cluster.tolist()))
        return {k: (f"{k} {named.get(k, '')}".strip(),) for k in clusters}
    names: dict[int, tuple[str, ...]] = {}
    for i, state in enumerate(difference.states):
        shares = float(difference.one_share[i]), float(difference.other_share[i])
        if state.one is None or state.other is None:
            which = 0 if state.other is None else 1
            name = f"{(state.one, state.other)[which]} only in {('first', 'second')[which]}"
            names[i] = (name, f"{percent(shares[which])} of frames")
        else:
            change = f"{percent(shares[0])} → {percent(shares[1])} of frames"
            names[i] = (f"{state.one} ↔ {state.other}", change)
    return names
