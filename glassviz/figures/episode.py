"""Figures of an episode: film strips and timelines."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import islice, pairwise
from typing import Any

import numpy as np
from jaxtyping import Bool, Float64, Int, UInt8
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from matplotlib.ticker import MaxNLocator

from glassviz.figures.style import FAINT, INK, PLAIN, FigureStyle, style
from glassviz.palette import ink_on, label_color

WIDTH_MM = 85.0
"""Width of a column in most journals."""

INCH_MM = 25.4

FONT_SIZE = 6.5
"""Smallest font size, in points."""

GAP_MM = 0.6
BAR_MM = 3.0

MIN_MARGIN_M = 0.1
"""The height axis spans at least twice this, so that small variations look small."""

NUMBERED_WIDTH_MM = 2.2
"""Narrowest segment that has room for its number."""

OTHER = "#A98467"
"""Colour of floor contacts of other parts of the body than the foot."""

Ticks = Mapping[float, str]
"""Labels of an axis by position, from 0 (left) to 1 (right)."""


@dataclass(frozen=True, eq=False)
class StripRow:
    """One row of a film strip.

    Attributes:
        pictures: pictures of equal size, in temporal order.
        labels: labels of the pictures' frames; None for an agent without labels.
        span: labels of all frames of the row, from left to right; None without labels.
        title: short title of the row.
    """

    pictures: Sequence[UInt8[np.ndarray, "height width 3"]]
    labels: Sequence[int] | None
    span: Int[np.ndarray, " frames"] | None
    title: str


@dataclass(frozen=True, eq=False)
class Signals:
    """Quantities of an episode in a timeline, T frames.

    Attributes:
        height_m: height of the torso; None for a body without one.
        lanes: names of what touches the floor: the feet, and any other part of the body.
        contacts: whether each of these does.
        label: labels; None for an agent without labels.
    """

    time_s: Float64[np.ndarray, " frames"]
    height_m: Float64[np.ndarray, " frames"] | None
    lanes: tuple[str, ...]
    contacts: Bool[np.ndarray, "frames lanes"]
    label: Int[np.ndarray, " frames"] | None


def film_strip(
    rows: Sequence[StripRow],
    names: Mapping[int, str],
    axis: str,
    ticks: Ticks,
    look: FigureStyle = PLAIN,
) -> Figure:
    """Draw rows of pictures above bars of their labels, each picture above its frame.

    All rows have equal numbers of pictures; `names` are gait phases by label.
    """
    width_mm = INCH_MM * look.inches(WIDTH_MM / INCH_MM)
    left, right = 0.5, 0.5
    inner = width_mm - left - right
    count = len(rows[0].pictures)
    height, width, _ = rows[0].pictures[0].shape
    cell = inner / count
    tall = (cell - GAP_MM) * height / width
    head, labelled = 3.4, rows[0].span is not None
    row_mm = head + tall + (BAR_MM + 0.8 if labelled else 0.0)
    used = sorted({int(k) for row in rows for k in (row.span if row.span is not None else [])})
    legend = _legend_lines([names.get(k, "") for k in used], inner) if look.legend else []
    below = 8.0 + 4.0 * len(legend)
    total = len(rows) * row_mm + below
    with style(look):
        figure = Figure(figsize=(width_mm / INCH_MM, total / INCH_MM))
        axes = _page(figure, width_mm, total)
        for i, row in enumerate(rows):
            top = total - i * row_mm
            axes.text(left, top - 0.4, row.title, fontsize=FONT_SIZE, va="top")
            for j, picture in enumerate(row.pictures):
                x, y = left + j * cell + GAP_MM / 2, top - head - tall
                box = x / width_mm, y / total, (cell - GAP_MM) / width_mm, tall / total
                image = figure.add_axes(box, zorder=-1)
                image.imshow(picture, aspect="auto", interpolation="antialiased")
                image.set_axis_off()
                if row.labels is not None:
                    _chip(axes, x + 0.5, y + tall - 0.5, row.labels[j])
            if row.span is not None:
                _segments(axes, row.span, left, top - head - tall - 0.5 - BAR_MM, inner, BAR_MM)
        base = total - len(rows) * row_mm
        _scale(axes, left, base, inner, ticks)
        axes.text(left + inner / 2, base - 4.1, axis, fontsize=7, ha="center", va="top")
        _legend(axes, left, base - 8.0, legend, used, names)
    return figure


def timeline(
    signals: Signals,
    part: tuple[int, int],
    names: Mapping[int, str],
    label_title: str = "label",
    look: FigureStyle = PLAIN,
) -> Figure:
    """Draw a whole episode as a band of labels, and a part of it with height and contacts.

    Args:
        part: first and last frame (exclusive) of the enlarged part.
        names: gait phases by label.
        label_title: title of the lane of labels.
    """
    width_mm = INCH_MM * look.inches(WIDTH_MM / INCH_MM)
    first, last = part
    time = signals.time_s
    step = float(time[1] - time[0]) if len(time) > 1 else 1.0
    used = sorted({int(k) for k in signals.label if k >= 0}) if signals.label is not None else []
    left, right = 11.0, 1.5
    inner = width_mm - left - right
    legend = _legend_lines([names.get(k, "") for k in used], inner) if look.legend else []
    foot_mm = 8.0 + 4.0 * len(legend)
    lane_mm, curve_mm = 2.5, 17.0 if signals.height_m is not None else 0.0
    lanes_mm = lane_mm * len(signals.lanes)
    label_mm = 4.0 if signals.label is not None else 0.0
    total = 1.0 + (label_mm + 6.8 if label_mm else 0) + curve_mm + 1 + label_mm + lanes_mm + foot_mm
    with style(look):
        figure = Figure(figsize=(width_mm / INCH_MM, total / INCH_MM))
        page = _page(figure, width_mm, total)
        y = total - 1.0
        edges = left + first / len(time) * inner, left + last / len(time) * inner
        funnel = None
        if signals.label is not None:
            y -= label_mm + 2.6
            text = f"whole episode, {float(time[-1]) + step - float(time[0]):g} s"
            page.text(left, y + label_mm + 0.5, text, fontsize=FONT_SIZE)
            _segments(page, signals.label, left, y, inner, label_mm, numbered=False)
            box = (
                (edges[0], y - 0.3),
                (last / len(time) - first / len(time)) * inner,
                label_mm + 0.6,
            )
            page.add_patch(Rectangle(*box, fill=False, edgecolor=INK, linewidth=0.8))
            funnel = y
            y -= 4.2
        y -= curve_mm
        if signals.height_m is not None:
            place = left / width_mm, y / total, inner / width_mm, curve_mm / total
            _height(figure.add_axes(place), time[first:last], signals.height_m[first:last], step)
        if funnel is not None:
            for edge, end in zip(edges, (left, left + inner), strict=True):
                at = [edge, end], [funnel - 0.3, y + curve_mm + 0.5]
                page.plot(*at, color=INK, linewidth=0.4)
        y -= 1.0
        beside: Any = {"ha": "right", "va": "center_baseline"}
        if signals.label is not None:
            y -= label_mm
            _segments(page, signals.label[first:last], left, y, inner, label_mm)
            page.text(left - 0.8, y + label_mm / 2, label_title, fontsize=7, **beside)
        for name, contact in zip(signals.lanes, signals.contacts.T, strict=True):
            y -= lane_mm
            color = OTHER if name == signals.lanes[-1] else INK
            _lane(page, contact[first:last], left, y + 0.3, inner, lane_mm - 0.7, color)
            page.text(left - 0.8, y + lane_mm / 2, name, fontsize=FONT_SIZE, **beside)
        _scale(page, left, y, inner, round_ticks(float(time[first]), float(time[last - 1]) + step))
        page.text(left + inner / 2, y - 4.1, "time, s", fontsize=7, ha="center", va="top")
        _legend(page, left, y - 8.5, legend, used, names)
    return figure


def _height(
    curve: Axes,
    time: Float64[np.ndarray, " shown"],
    height_m: Float64[np.ndarray, " shown"],
    step: float,
) -> None:
    curve.plot(time, height_m, color=INK, linewidth=0.9)
    curve.set_xlim(time[0], time[-1] + step)
    low, high = float(height_m.min()), float(height_m.max())
    margin = max(0.1 * (high - low), MIN_MARGIN_M - (high - low) / 2)
    curve.set_ylim(low - margin, high + margin)
    curve.set_ylabel("height, m", labelpad=2)
    curve.tick_params(labelbottom=False, bottom=False)
    curve.spines["bottom"].set_visible(False)


def _legend_lines(names: Sequence[str], width_mm: float) -> list[int]:
    lines: list[int] = []
    remaining = 0.0
    for name in names:
        needed = _entry_width(name)
        if not lines or needed > remaining:
            lines.append(0)
            remaining = width_mm
        lines[-1] += 1
        remaining -= needed
    return lines


def _entry_width(name: str) -> float:
    """Width of a legend entry, mm."""
    return 6.5 + 1.35 * len(name)


def _page(figure: Figure, width_mm: float, height_mm: float) -> Axes:
    """Axes over the whole figure, in millimetres."""
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set(xlim=(0, width_mm), ylim=(0, height_mm))
    axes.set_axis_off()
    return axes


def _chip(axes: Axes, x: float, top: float, label: int) -> None:
    color, side = label_color(label), 2.9
    width = side if label < 10 else 1.4 * side
    axes.add_patch(Rectangle((x, top - side), width, side, facecolor=color, linewidth=0))
    _number(axes, x + width / 2, top - side / 2 - 0.06, label)


def _number(axes: Axes, x: float, y: float, label: int) -> None:
    look: Any = {"fontsize": FONT_SIZE, "ha": "center", "va": "center_baseline"}
    axes.text(x, y, str(label), color=ink_on(label_color(label)), **look)


def _segments(
    axes: Axes,
    label: Int[np.ndarray, " frames"],
    x: float,
    y: float,
    width: float,
    height: float,
    numbered: bool = True,
) -> None:
    """Draw segments of equal labels as boxes, with their numbers where there is room."""
    cuts = [0, *(np.flatnonzero(np.diff(label)) + 1).tolist(), len(label)]
    scale = width / len(label)
    for start, end in pairwise(cuts):
        number, box = int(label[start]), ((x + start * scale, y), (end - start) * scale, height)
        axes.add_patch(Rectangle(*box, facecolor=label_color(number), linewidth=0))
        if numbered and number >= 0 and (end - start) * scale >= NUMBERED_WIDTH_MM:
            _number(axes, x + (start + end) / 2 * scale, y + height / 2 - 0.06, number)


def _lane(
    axes: Axes,
    contact: Bool[np.ndarray, " frames"],
    x: float,
    y: float,
    width: float,
    height: float,
    color: str,
) -> None:
    axes.add_patch(Rectangle((x, y), width, height, facecolor=FAINT, linewidth=0))
    edges = np.flatnonzero(np.diff(np.concatenate([[0], contact.astype(np.int8), [0]])))
    scale = width / len(contact)
    for start, end in edges.reshape(-1, 2).tolist():
        box = (x + start * scale, y), (end - start) * scale, height
        axes.add_patch(Rectangle(*box, facecolor=color, linewidth=0))


def _scale(axes: Axes, x: float, y: float, width: float, ticks: Ticks) -> None:
    for share, tick in ticks.items():
        at = x + share * width
        axes.plot([at, at], [y + 0.2, y - 0.7], color=INK, linewidth=0.5)
        anchor = "left" if share == 0 else "right" if share == 1 else "center"
        axes.text(at, y - 1.0, tick, fontsize=FONT_SIZE, ha=anchor, va="top")


def round_ticks(low: float, high: float) -> Ticks:
    """Ticks at round numbers within a range.

    >>> round_ticks(0.0, 2.0)
    {0.0: '0', 0.25: '0.5', 0.5: '1', 0.75: '1.5', 1.0: '2'}
    """
    values = np.asarray(MaxNLocator(5, steps=[1, 2, 2.5, 5, 10]).tick_values(low, high))
    inside = [tick for tick in values.tolist() if low - 1e-9 <= tick <= high + 1e-9]
    return {round((tick - low) / (high - low), 9): f"{tick:g}" for tick in inside}


def _legend(
    axes: Axes,
    left: float,
    top: float,
    lines: Sequence[int],
    labels: Sequence[int],
    names: Mapping[int, str],
) -> None:
    """Draw labels and their names; `lines` are the numbers of labels per line."""
    remaining = iter(labels)
    for i, count in enumerate(lines):
        x, y = left, top - 4.0 * i
        for label in islice(remaining, count):
            _chip(axes, x, y, label)
            name = names.get(label, "")
            axes.text(x + 3.8, y - 1.5, name, fontsize=FONT_SIZE, va="center_baseline")
            x += _entry_width(name)
