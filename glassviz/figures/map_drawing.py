"""Drawing of latent maps from plain data: panels, legends, gait cycles and the quality table."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Bool, Float, Float64, Int
from matplotlib.axes import Axes
from matplotlib.colors import to_rgba_array
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from matplotlib.patheffects import Normal, Stroke

from glassviz.figures.style import (
    COLUMN_INCHES,
    INK,
    PAGE_INCHES,
    phase_colors,
    scale_colors,
    style,
    wrapped,
)
from glassviz.palette import ink_on, label_color

Plane = Float[np.ndarray, "frames 2"]

OUTSIDE_COLOR = "#D3D6DB"
"""Colour of frames without a value."""

PANEL_INCHES = 1.6
"""Height of a panel."""

SIDE_BY_SIDE = 4
"""Maximum number of single-panel maps in a row of a page."""

HEAD_INCHES = 0.2
GAP_INCHES = 0.12

SIDE_INCHES = 0.07
"""Margin of titles and caption."""

CAPTION_SIZE = 6.0
LEGEND_INCHES = 0.4
TITLE_INCHES = 0.2

TEXT_INCHES = 0.105
"""Height of a line of the caption."""

LEAP = 0.04
"""A path that is further from any frame, in widths of the map, jumps between islands."""


@dataclass(frozen=True, eq=False)
class Groups:
    """A colouring by category: labels, controllers or runs.

    Attributes:
        title: title of the panel.
        group: number of the frame's group; −1 for none.
        names: names of the groups that occur, by number.
        colors: colours of the groups that occur, by number.
    """

    title: str
    group: Int[np.ndarray, " frames"]
    names: dict[int, str]
    colors: dict[int, str]


@dataclass(frozen=True, eq=False)
class Circle:
    """A colouring by gait phase, in [0, 2π); NaN for none."""

    title: str
    phase: Float64[np.ndarray, " frames"]


@dataclass(frozen=True, eq=False)
class Scale:
    """A colouring by a number.

    Attributes:
        title: title of the panel.
        value: value of the frame; NaN for none.
        whole: whether values are integers, such as episode numbers.
    """

    title: str
    value: Float64[np.ndarray, " frames"]
    whole: bool = False


Colouring = Groups | Circle | Scale


@dataclass(frozen=True, eq=False)
class Trail:
    """A closed path of a typical gait cycle, from touchdown on; its name may be empty."""

    xy: Float64[np.ndarray, "steps 2"]
    name: str
    color: str = INK


@dataclass(frozen=True)
class Mark:
    """A prototype: position, number and label."""

    xy: tuple[float, float]
    number: int
    label: int


@dataclass(frozen=True, eq=False)
class MapDrawing:
    """Content of the figure of one map; without frames that have no position.

    Attributes:
        title: name of the run or runs.
        xy: positions of the frames.
        colourings: colourings, one panel per colouring.
        trails: typical gait cycles.
        trails_on: title of the panel with the gait cycles, if there are several panels.
        marks: prototypes.
        marks_on: title of the panel with the prototypes, if there are several panels.
        numbers: rows of the quality table: metric, value in the space, value on the map; values
            may be "".
        summary: quality in one line.
        caption: caption, plain text.
        axes: names of the two axes; "" for none.
    """

    title: str
    xy: Plane
    colourings: Sequence[Colouring]
    trails: Sequence[Trail]
    trails_on: str
    marks: Sequence[Mark]
    marks_on: str
    numbers: Sequence[tuple[str, str, str]]
    summary: str
    caption: str
    axes: tuple[str, str] = ("", "")


def latent_map(drawn: MapDrawing) -> Figure:
    """Draw one map at the width of a column: its panels, and a table of its quality."""
    cells = len(drawn.colourings) + bool(drawn.numbers)
    columns = min(cells, 2)
    panel_width = COLUMN_INCHES / columns
    panel = PANEL_INCHES if columns == 2 else 2 * PANEL_INCHES
    cell = TITLE_INCHES + panel + LEGEND_INCHES
    with style():
        page = _Page(COLUMN_INCHES, HEAD_INCHES + cell * math.ceil(cells / columns), drawn.caption)
        page.write(SIDE_INCHES, 0.03, drawn.title, weight="bold", fontsize=8)
        corners = [
            (panel_width * (i % columns), HEAD_INCHES + cell * (i // columns)) for i in range(cells)
        ]
        for corner, colouring in zip(corners, drawn.colourings, strict=False):
            _panel(*page.cell(*corner, panel_width, panel), drawn, colouring, colouring.title)
        if drawn.numbers:
            _table(page.cell(*corners[-1], panel_width, panel)[0], drawn.numbers)
    return page.figure


def latent_maps(maps: Sequence[MapDrawing], caption: str) -> Figure:
    """Draw several maps at the width of a page, in rows, or side by side if all have one panel.

    Args:
        maps: the maps; a single one is drawn by `latent_map`.
        caption: common caption.
    """
    if len(maps) == 1:
        return latent_map(maps[0])
    panels = max(len(drawn.colourings) for drawn in maps)
    columns = min(len(maps), SIDE_BY_SIDE) if panels == 1 else panels
    panel_width = PAGE_INCHES / columns
    panel = min(PANEL_INCHES, panel_width - GAP_INCHES)
    cell = TITLE_INCHES + panel + LEGEND_INCHES
    with style():
        if panels == 1:
            page = _Page(PAGE_INCHES, cell * math.ceil(len(maps) / columns), caption)
            for i, drawn in enumerate(maps):
                corner = panel_width * (i % columns), cell * (i // columns)
                for colouring in drawn.colourings:
                    _panel(*page.cell(*corner, panel_width, panel), drawn, colouring, drawn.title)
            return page.figure
        row = HEAD_INCHES + cell
        page = _Page(PAGE_INCHES, row * len(maps), caption)
        for i, drawn in enumerate(maps):
            page.write(SIDE_INCHES, row * i + 0.03, drawn.title, weight="bold", fontsize=8)
            right = PAGE_INCHES - SIDE_INCHES
            page.write(right, row * i + 0.05, drawn.summary, ha="right", fontsize=6)
            for j, colouring in enumerate(drawn.colourings):
                corner = panel_width * j, row * i + HEAD_INCHES
                _panel(*page.cell(*corner, panel_width, panel), drawn, colouring, colouring.title)
    return page.figure


class _Page:
    """A figure with a caption; positions are in inches from the upper left corner."""

    def __init__(self, width: float, height: float, caption: str) -> None:
        lines = wrapped(caption, (width - 2 * SIDE_INCHES) * 72, CAPTION_SIZE)
        self.width, self.height = width, height + TEXT_INCHES * len(lines) + 0.08
        self.figure = Figure(figsize=(self.width, self.height))
        text = "\n".join(lines)
        self.write(SIDE_INCHES, height + 0.02, text, fontsize=CAPTION_SIZE, linespacing=1.15)

    def write(self, left: float, top: float, text: str, **look: Any) -> None:
        """Write plain text; a run's name may contain a dollar sign."""
        at = left / self.width, 1 - top / self.height
        self.figure.text(*at, text, va="top", parse_math=False, **look)

    def cell(self, left: float, top: float, cell_width: float, panel: float) -> tuple[Axes, Axes]:
        """Axes of a panel, with room for a title above, and axes of the legend below."""
        x, width = (left + GAP_INCHES / 2) / self.width, (cell_width - GAP_INCHES) / self.width
        base, legend = self.height - top - TITLE_INCHES - panel, LEGEND_INCHES - 0.06
        axes = self.figure.add_axes((x, base / self.height, width, panel / self.height))
        box = x, (base - legend) / self.height, width, legend / self.height
        below = self.figure.add_axes(box, xlim=(0, 1), ylim=(0, 1))
        below.axis("off")
        return axes, below


def _panel(axes: Axes, below: Axes, drawn: MapDrawing, colouring: Colouring, title: str) -> None:
    axes.set_title(title, pad=2, fontsize=7.5, parse_math=False)
    axes.grid(False)
    axes.set_xticks([])
    axes.set_yticks([])
    for spine in axes.spines.values():
        spine.set(visible=True, color="#C4C8CF", linewidth=0.5)
    box = axes.get_window_extent()
    _frame(axes, drawn.xy, (box.width, box.height))
    first, second = drawn.axes
    look: dict[str, Any] = {"transform": axes.transAxes, "fontsize": 6, "color": "#5B6270"}
    look |= {"zorder": 8, "path_effects": [Stroke(linewidth=1.8, foreground="white"), Normal()]}
    axes.text(0.985, 0.015, first, ha="right", va="bottom", **look)
    axes.text(0.015, 0.985, second, ha="left", va="top", rotation=90, **look)
    match colouring:
        case Groups():
            colors = [colouring.colors.get(int(k), OUTSIDE_COLOR) for k in colouring.group]
            _points(axes, drawn.xy, to_rgba_array(colors), colouring.group >= 0)
            _group_legend(below, colouring.names, colouring.colors)
        case Circle():
            known = np.isfinite(colouring.phase)
            phase = np.where(known, colouring.phase, 0.0)
            _points(axes, drawn.xy, phase_colors()(phase / (2 * np.pi)), known)
            _phase_legend(below, not known.all())
        case Scale():
            known = np.isfinite(colouring.value)
            low, high = _limits(colouring)
            part = (np.where(known, colouring.value, low) - low) / max(high - low, 1e-12)
            _points(axes, drawn.xy, scale_colors()(np.clip(part, 0, 1)), known)
            _scale_legend(below, low, high, colouring.whole)
    alone = len(drawn.colourings) == 1
    if alone or colouring.title == drawn.trails_on:
        for trail in drawn.trails:
            _draw_trail(axes, trail, _leaps(trail, drawn.xy), drawn.trails)
    if alone or colouring.title == drawn.marks_on:
        _draw_marks(axes, drawn.marks, colouring.title == drawn.marks_on)


def _frame(axes: Axes, xy: Plane, panel: tuple[float, float]) -> None:
    """Set equal scales on both axes, with all points inside the panel."""
    low, high = xy.min(axis=0).astype(float), xy.max(axis=0).astype(float)
    middle, size = (low + high) / 2, np.maximum(high - low, 1e-6)
    half = 0.53 * np.array(panel) * (size / panel).max()
    axes.set_xlim(middle[0] - half[0], middle[0] + half[0])
    axes.set_ylim(middle[1] - half[1], middle[1] + half[1])


def _points(
    axes: Axes,
    xy: Plane,
    colors: Float[np.ndarray, "frames 4"],
    known: Bool[np.ndarray, " frames"],
) -> None:
    """Draw frames in random order, so that no group covers another."""
    size = float(np.clip(9000 / max(len(xy), 1), 0.25, 6.0))
    order = np.random.default_rng(0).permutation(len(xy))
    colors = np.where(known[:, None], colors, to_rgba_array(OUTSIDE_COLOR))
    for kind, z in ((~known, 1.0), (known, 2.0)):
        chosen = order[kind[order]]
        axes.scatter(
            xy[chosen, 0],
            xy[chosen, 1],
            s=size,
            c=colors[chosen],
            linewidths=0,
            alpha=0.8,
            zorder=z,
            rasterized=True,
        )


def _limits(scale: Scale) -> tuple[float, float]:
    """The full range of integers; the 1st to the 99th percentile of other values."""
    known = scale.value[np.isfinite(scale.value)]
    if not len(known):
        return 0.0, 1.0
    quantiles = (0, 1) if scale.whole else (0.01, 0.99)
    low, high = np.quantile(known, quantiles)
    return float(low), float(high)


def _leaps(trail: Trail, xy: Plane) -> Bool[np.ndarray, " steps"]:
    """Whether a step of the path is far from any frame, at one of five points along it."""
    from scipy.spatial import KDTree

    ends = np.roll(trail.xy, -1, axis=0)
    part = np.linspace(0, 1, 5)[:, None, None]
    distance, _ = KDTree(xy).query(trail.xy + part * (ends - trail.xy))
    return np.asarray(distance.max(axis=0) > LEAP * float(np.ptp(xy, axis=0).max()))


def _draw_trail(
    axes: Axes, trail: Trail, leaps: Bool[np.ndarray, " steps"], all_trails: Sequence[Trail]
) -> None:
    """Draw a closed path with arrows, a ring at touchdown, and dotted lines where it jumps."""
    closed = np.concatenate([trail.xy, trail.xy[:1]])
    steps = np.linalg.norm(np.diff(closed, axis=0), axis=1)
    for i, leap in enumerate(leaps):
        step = closed[i : i + 2].T
        if leap:
            axes.plot(*step, color=trail.color, linewidth=0.7, linestyle=(0, (1, 1.2)), zorder=4)
        else:
            axes.plot(*step, color="white", linewidth=2.2, zorder=3.8)
            axes.plot(*step, color=trail.color, linewidth=1.1, solid_capstyle="round", zorder=4)
    along = np.cumsum(steps)
    for part in (0.2, 0.45, 0.7, 0.95):
        i = int(np.searchsorted(along, part * along[-1]))
        axes.annotate(
            "",
            closed[i] + 0.65 * (closed[i + 1] - closed[i]),
            closed[i] + 0.35 * (closed[i + 1] - closed[i]),
            arrowprops={
                "arrowstyle": "-|>,head_length=0.45,head_width=0.22",
                "color": trail.color,
                "linewidth": 0,
                "shrinkA": 0,
                "shrinkB": 0,
            },
            zorder=5,
        )
    axes.plot(*trail.xy[0], "o", ms=4.2, mfc="white", mec=trail.color, mew=1.0, zorder=6)
    if trail.name:
        # Names of neighbouring rings point away from each other and from the edge.
        topmost = trail.xy[0, 1] >= max(other.xy[0, 1] for other in all_trails)
        left, right = axes.get_xlim()
        across = (trail.xy[0, 0] - left) / (right - left)
        axes.annotate(
            trail.name,
            trail.xy[0],
            (0, 4 if topmost else -4),
            textcoords="offset points",
            ha="left" if across < 0.2 else "right" if across > 0.8 else "center",
            va="bottom" if topmost else "top",
            fontsize=6,
            parse_math=False,
            zorder=6,
            path_effects=[Stroke(linewidth=1.8, foreground="white"), Normal()],
        )


def _draw_marks(axes: Axes, marks: Sequence[Mark], by_label: bool) -> None:
    """Draw numbers in circles, in the colours of their labels on a panel of labels."""
    for mark in marks:
        color = label_color(mark.label) if by_label else INK
        axes.text(
            *mark.xy,
            str(mark.number),
            ha="center",
            va="center",
            fontsize=6,
            color=ink_on(color),
            zorder=7,
            bbox={
                "boxstyle": "circle,pad=0.18",
                "facecolor": color,
                "edgecolor": "white",
                "linewidth": 0.8,
            },
        )


def _group_legend(below: Axes, names: Mapping[int, str], colors: Mapping[int, str]) -> None:
    columns = 1 if any(len(name) > 22 for name in names.values()) else 2
    rows = max(3, math.ceil(len(names) / columns))
    for i, (k, name) in enumerate(names.items()):
        column, row = divmod(i, rows)
        x, y = column / columns, 0.95 - row / rows
        height = 0.7 / rows
        below.add_patch(Rectangle((x, y - height), 0.035, height, color=colors[k], linewidth=0))
        at = x + 0.055, y - height / 2
        below.text(*at, name, va="center", fontsize=6, parse_math=False)


def _phase_legend(below: Axes, others: bool) -> None:
    """The gait phase as a cyclic colour bar."""
    ramp = phase_colors()(np.linspace(0, 1, 240))[None]
    below.imshow(ramp, extent=(0, 1, 0.72, 0.95), aspect="auto")
    for x, text, side in (
        (0.0, "touchdown", "left"),
        (0.5, "½", "center"),
        (1.0, "touchdown", "right"),
    ):
        below.text(x, 0.66, text, ha=side, va="top", fontsize=6)
    if others:
        below.add_patch(Rectangle((0, 0.06), 0.035, 0.2, color=OUTSIDE_COLOR, linewidth=0))
        below.text(0.055, 0.16, "in no gait cycle", va="center", fontsize=6)
    below.set(xlim=(0, 1), ylim=(0, 1))


def _scale_legend(below: Axes, low: float, high: float, whole: bool) -> None:
    ramp = scale_colors()(np.linspace(0, 1, 240))[None]
    below.imshow(ramp, extent=(0, 1, 0.72, 0.95), aspect="auto")
    spec = ".0f" if whole or high - low >= 10 else ".2g"
    below.text(0, 0.66, f"{low:{spec}}", ha="left", va="top", fontsize=6)
    below.text(1, 0.66, f"{high:{spec}}", ha="right", va="top", fontsize=6)
    below.set(xlim=(0, 1), ylim=(0, 1))


def _table(axes: Axes, numbers: Sequence[tuple[str, str, str]]) -> None:
    axes.axis("off")
    axes.set(xlim=(0, 1), ylim=(0, 1))
    axes.set_title("Quality", pad=2, fontsize=7.5)
    y = 0.97
    for metric, space, plane in numbers:
        weight = "normal" if metric else "bold"  # the head of the table has no metric
        axes.text(0, y, metric, va="top", fontsize=6.2)
        axes.text(0.78, y, space, va="top", ha="right", fontsize=6.2, weight=weight)
        axes.text(1, y, plane, va="top", ha="right", fontsize=6.2, weight=weight)
        y -= 0.105
