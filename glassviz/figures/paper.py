"""Figures for a column of a paper: film strips, and timelines of an episode."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from jaxtyping import Bool, Float64, Int, UInt8
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from matplotlib.ticker import MaxNLocator

from glassviz.figures.style import FAINT, INK, style
from glassviz.palette import ink_on, label_color

WIDTH_MM = 85.0
"""A column of most journals."""

INCH_MM = 25.4

SMALL = 6.5
"""Smallest size of type, in points."""

GAP_MM = 0.6
BAR_MM = 3.0

LEAST_ROOM_M = 0.1
"""Heights that differ by less than twice this are not drawn as if they differed by much."""

NUMBERED_MM = 2.2
"""A narrower segment has no room for its number."""

Ticks = Mapping[float, str]
"""What is written where: at 0 on the left end, at 1 on the right."""


@dataclass(frozen=True, eq=False)
class StripRow:
    """One row of a film strip.

    Attributes:
        pictures: of equal size, in the order of time.
        labels: of the pictures' frames; None for an agent without.
        span: labels of all frames of the row, from its left end to its right; None without.
        told: what the row shows, in a few words.
    """

    pictures: Sequence[UInt8[np.ndarray, "height width 3"]]
    labels: Sequence[int] | None
    span: Int[np.ndarray, " frames"] | None
    told: str


@dataclass(frozen=True, eq=False)
class Signals:
    """What a timeline shows of an episode, T frames.

    Attributes:
        time_s: since the reset.
        height_m: of the torso over the foot.
        foot, other: whether the foot, and whether another part, touches the floor.
        label: of each frame; None for an agent without.
    """

    time_s: Float64[np.ndarray, " frames"]
    height_m: Float64[np.ndarray, " frames"]
    foot: Bool[np.ndarray, " frames"]
    other: Bool[np.ndarray, " frames"]
    label: Int[np.ndarray, " frames"] | None


def film_strip(
    rows: Sequence[StripRow],
    names: Mapping[int, str],
    axis: str,
    ticks: Ticks,
    width_mm: float = WIDTH_MM,
) -> Figure:
    """Draw rows of pictures over bars of their labels; each picture stands over its frame.

    Args:
        rows: with as many pictures each.
        names: what labels stand for.
        axis: what goes from left to right.
        ticks: along the rows.
        width_mm: of the figure.
    """
    left, right = 0.5, 0.5
    inner = width_mm - left - right
    count = len(rows[0].pictures)
    height, width, _ = rows[0].pictures[0].shape
    cell = inner / count
    tall = (cell - GAP_MM) * height / width
    head, labelled = 3.4, rows[0].span is not None
    row_mm = head + tall + (BAR_MM + 0.8 if labelled else 0.0)
    used = sorted({int(k) for row in rows for k in (row.span if row.span is not None else [])})
    legend = legend_lines([f"{names.get(k, '')}" for k in used], inner)
    below = 8.0 + 4.0 * len(legend)
    total = len(rows) * row_mm + below
    with style():
        figure = Figure(figsize=(width_mm / INCH_MM, total / INCH_MM))
        axes = _page(figure, width_mm, total)
        for i, row in enumerate(rows):
            top = total - i * row_mm
            axes.text(left, top - 0.4, row.told, fontsize=SMALL, va="top")
            for j, picture in enumerate(row.pictures):
                x, y = left + j * cell + GAP_MM / 2, top - head - tall
                _image(figure, picture, x, y, cell - GAP_MM, tall, width_mm, total)
                if row.labels is not None:
                    _chip(axes, x + 0.5, y + tall - 0.5, row.labels[j])
            if row.span is not None:
                _segments(axes, row.span, left, top - head - tall - 0.5 - BAR_MM, inner, BAR_MM)
        base = total - len(rows) * row_mm
        _scale(axes, left, base, inner, ticks)
        axes.text(left + inner / 2, base - 4.1, axis, fontsize=7, ha="center", va="top")
        pen = base - 8.0
        at = 0
        for line in legend:
            _legend(axes, left, pen, used[at : at + line], names)
            at += line
            pen -= 4.0
    return figure


def timeline(
    signals: Signals,
    part: tuple[int, int],
    names: Mapping[int, str],
    label_title: str = "label",
    width_mm: float = WIDTH_MM,
) -> Figure:
    """Draw an episode: all of it as a band of labels, and a part with height and contacts.

    Args:
        signals: of the episode.
        part: first frame that is shown at large, and the one behind the last.
        names: what labels stand for.
        label_title: what the lane of labels is called.
        width_mm: of the figure.
    """
    first, last = part
    time = signals.time_s
    step = float(time[1] - time[0]) if len(time) > 1 else 1.0
    labelled = signals.label is not None
    used = sorted({int(k) for k in signals.label if k >= 0}) if signals.label is not None else []
    left, right = 11.0, 1.5
    inner = width_mm - left - right
    legend = legend_lines([names.get(k, "") for k in used], inner)
    foot_mm = 8.0 + 4.0 * len(legend)
    lanes_mm, curve_mm = 5.0, 17.0
    whole_mm = 4.0 if labelled else 0.0
    label_mm = 4.0 if labelled else 0.0
    total = 1.0 + (whole_mm + 6.8 if labelled else 0) + curve_mm + 1 + label_mm + lanes_mm + foot_mm
    with style():
        figure = Figure(figsize=(width_mm / INCH_MM, total / INCH_MM))
        page = _page(figure, width_mm, total)
        y = total - 1.0
        if signals.label is not None:
            y -= whole_mm + 2.6
            span = (float(time[0]), float(time[-1]) + step)
            page.text(
                left, y + whole_mm + 0.5, f"whole episode, {span[1] - span[0]:g} s", fontsize=SMALL
            )
            _segments(page, signals.label, left, y, inner, whole_mm, numbered=False)
            _mark(page, left, y, inner, whole_mm, first / len(time), last / len(time))
            funnel = y
            y -= 4.2
        else:
            funnel = None
        y -= curve_mm
        curve = figure.add_axes((left / width_mm, y / total, inner / width_mm, curve_mm / total))
        curve.plot(time[first:last], signals.height_m[first:last], color=INK, linewidth=0.9)
        curve.set_xlim(time[first], time[last - 1] + step)
        low, high = (float(f(signals.height_m[first:last])) for f in (np.min, np.max))
        room = max(0.1 * (high - low), LEAST_ROOM_M - (high - low) / 2)
        curve.set_ylim(low - room, high + room)
        curve.set_ylabel("height, m", labelpad=2)
        curve.tick_params(labelbottom=False, bottom=False)
        curve.spines["bottom"].set_visible(False)
        if funnel is not None:
            for at, end in ((first / len(time), 0.0), (last / len(time), 1.0)):
                page.plot(
                    [left + at * inner, left + end * inner],
                    [funnel - 0.3, y + curve_mm + 0.5],
                    color=INK,
                    linewidth=0.4,
                )
        y -= 1.0
        if signals.label is not None:
            y -= label_mm
            _segments(page, signals.label[first:last], left, y, inner, label_mm)
            page.text(
                left - 0.8,
                y + label_mm / 2,
                label_title,
                fontsize=7,
                ha="right",
                va="center_baseline",
            )
        for name, contact, color in (
            ("foot", signals.foot, INK),
            ("other", signals.other, "#A98467"),
        ):
            y -= lanes_mm / 2
            _lane(page, contact[first:last], left, y + 0.3, inner, lanes_mm / 2 - 0.7, color)
            page.text(
                left - 0.8, y + lanes_mm / 4, name, fontsize=SMALL, ha="right", va="center_baseline"
            )
        _scale(page, left, y, inner, round_ticks(float(time[first]), float(time[last - 1]) + step))
        page.text(left + inner / 2, y - 4.1, "time, s", fontsize=7, ha="center", va="top")
        pen, at = y - 8.5, 0
        for line in legend:
            _legend(page, left, pen, used[at : at + line], names)
            at, pen = at + line, pen - 4.0
    return figure


def legend_lines(names: Sequence[str], width_mm: float) -> list[int]:
    """How many labels stand in each line of a legend."""
    lines: list[int] = []
    room = 0.0
    for name in names:
        need = 6.5 + 1.35 * len(name)
        if not lines or need > room:
            lines.append(0)
            room = width_mm
        lines[-1] += 1
        room -= need
    return lines


def _page(figure: Figure, width_mm: float, height_mm: float) -> Axes:
    """Axes in millimetres over the whole figure."""
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set(xlim=(0, width_mm), ylim=(0, height_mm))
    axes.set_axis_off()
    return axes


def _image(
    figure: Figure,
    picture: UInt8[np.ndarray, "height width 3"],
    x: float,
    y: float,
    width: float,
    height: float,
    width_mm: float,
    total: float,
) -> None:
    box = (x / width_mm, y / total, width / width_mm, height / total)
    axes = figure.add_axes(box, zorder=-1)
    axes.imshow(picture, aspect="auto", interpolation="antialiased")
    axes.set_axis_off()


def _chip(axes: Axes, x: float, top: float, label: int) -> None:
    color = label_color(label)
    side = 2.9
    width = side if label < 10 else 1.4 * side
    axes.add_patch(Rectangle((x, top - side), width, side, facecolor=color, linewidth=0))
    axes.text(
        x + width / 2,
        top - side / 2 - 0.06,
        str(label),
        color=ink_on(color),
        fontsize=SMALL,
        ha="center",
        va="center_baseline",
    )


def _segments(
    axes: Axes,
    label: Int[np.ndarray, " frames"],
    x: float,
    y: float,
    width: float,
    height: float,
    numbered: bool = True,
) -> None:
    """Runs of one label as boxes, with their numbers where there is room."""
    cuts = [0, *(np.flatnonzero(np.diff(label)) + 1).tolist(), len(label)]
    scale = width / len(label)
    for start, end in pairwise(cuts):
        own = int(label[start])
        color = label_color(own)
        box = Rectangle(
            (x + start * scale, y), (end - start) * scale, height, facecolor=color, linewidth=0
        )
        axes.add_patch(box)
        if numbered and own >= 0 and (end - start) * scale >= NUMBERED_MM:
            axes.text(
                x + (start + end) / 2 * scale,
                y + height / 2 - 0.06,
                str(own),
                color=ink_on(color),
                fontsize=SMALL,
                ha="center",
                va="center_baseline",
            )


def _lane(
    axes: Axes,
    contact: Bool[np.ndarray, " frames"],
    x: float,
    y: float,
    width: float,
    height: float,
    color: str,
) -> None:
    """When there is contact."""
    axes.add_patch(Rectangle((x, y), width, height, facecolor=FAINT, linewidth=0))
    edges = np.flatnonzero(np.diff(np.concatenate([[0], contact.astype(np.int8), [0]])))
    scale = width / len(contact)
    for start, end in edges.reshape(-1, 2).tolist():
        at = x + start * scale
        axes.add_patch(
            Rectangle((at, y), (end - start) * scale, height, facecolor=color, linewidth=0)
        )


def _mark(
    axes: Axes, x: float, y: float, width: float, height: float, start: float, end: float
) -> None:
    box = (x + start * width, y - 0.3), (end - start) * width, height + 0.6
    axes.add_patch(Rectangle(*box, fill=False, edgecolor=INK, linewidth=0.8))


def _scale(axes: Axes, x: float, y: float, width: float, ticks: Ticks) -> None:
    for share, tick in ticks.items():
        at = x + share * width
        axes.plot([at, at], [y + 0.2, y - 0.7], color=INK, linewidth=0.5)
        anchor = "left" if share == 0 else "right" if share == 1 else "center"
        axes.text(at, y - 1.0, tick, fontsize=SMALL, ha=anchor, va="top")


def round_ticks(low: float, high: float) -> Ticks:
    """Ticks at round numbers between two."""
    found = np.asarray(MaxNLocator(5, steps=[1, 2, 2.5, 5, 10]).tick_values(low, high))
    inside = [tick for tick in found.tolist() if low - 1e-9 <= tick <= high + 1e-9]
    return {round((tick - low) / (high - low), 9): f"{tick:g}" for tick in inside}


def _legend(
    axes: Axes, x: float, top: float, labels: Sequence[int], names: Mapping[int, str]
) -> None:
    for label in labels:
        _chip(axes, x, top, label)
        name = names.get(label, "")
        axes.text(x + 3.8, top - 1.5, name, fontsize=SMALL, va="center_baseline")
        x += 6.5 + 1.35 * len(name)
