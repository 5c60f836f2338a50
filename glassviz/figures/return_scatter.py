"""The figure of metrics against return: scatter plots with one numbered point per run."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from glassviz.figures.graph_layout import Box, Room
from glassviz.figures.style import INK, style, text_width
from glassviz.palette import CLUSTER_COLORS, NO_CLUSTER_COLOR

WIDTH = 360.0
"""Width of the figure, in points like all lengths here."""

COLUMNS = 2
PANEL = (134.0, 100.0)

LEFT, TOP, BOTTOM, LEGEND = 38.0, 16.0, 27.0, 18.0
"""Margins of a panel, and height of the legend."""

NUMBER_SIZE = 6.5

POINT = 2.6
"""Radius of a point."""

LEADER_DISTANCE = 10.0
"""A number further from its point is connected to it by a line."""

MARKERS = {
    "stable-hop": ("o", CLUSTER_COLORS[2]),
    "unstable": ("s", CLUSTER_COLORS[5]),
    "split": ("D", CLUSTER_COLORS[3]),
    "undetermined": ("^", NO_CLUSTER_COLOR),
}


@dataclass(frozen=True)
class Panel:
    """One metric.

    Attributes:
        metric: name of the metric.
        title: title of the panel, such as the correlation with return.
        values: values by the run's number; without runs in which the metric is undefined.
    """

    metric: str
    title: str
    values: Mapping[int, float]


def against_return(
    panels: Sequence[Panel], returns: Mapping[int, float], basins: Mapping[int, str]
) -> Figure:
    """Draw one panel per metric, with a common scale of return.

    Numbers of runs are drawn next to their points; basins are keys of `MARKERS`.
    """
    rows = math.ceil(len(panels) / COLUMNS)
    step = TOP + PANEL[1] + BOTTOM
    height = rows * step + LEGEND
    limits = _limits(list(returns.values()))
    with style():
        figure = Figure(figsize=(WIDTH / 72, height / 72))
        for i, panel in enumerate(panels):
            row, column = divmod(i, COLUMNS)
            left = column * WIDTH / COLUMNS + LEFT
            bottom = height - row * step - TOP - PANEL[1]
            place = left / WIDTH, bottom / height, PANEL[0] / WIDTH, PANEL[1] / height
            axes = figure.add_axes(place)
            axes.set(ylim=limits, xlabel=panel.metric, ylabel="" if column else "return")
            axes.set_title(panel.title, fontsize=7)
            _draw(axes, panel.values, returns, basins)
        present = [basin for basin in MARKERS if basin in basins.values()]
        handles = [Line2D([], [], linestyle="", **_marker(basin)) for basin in present]
        spacing: Any = {"borderaxespad": 0.1, "handletextpad": 0.1}
        figure.legend(handles, present, loc="lower center", ncols=len(MARKERS), **spacing)
    return figure


def _draw(
    axes: Axes, values: Mapping[int, float], returns: Mapping[int, float], basins: Mapping[int, str]
) -> None:
    if not values:
        axes.set(xticks=[])
        return
    x_low, x_high = _limits(list(values.values()))
    y_low, y_high = _limits(list(returns.values()))
    axes.set_xlim(x_low, x_high)
    axes.locator_params(axis="x", nbins=5)
    for run, value in values.items():
        axes.plot(value, returns[run], linestyle="", **_marker(basins[run]))
    width, height = PANEL
    points = {  # In points, y downwards.
        run: (
            (value - x_low) / (x_high - x_low) * width,
            (y_high - returns[run]) / (y_high - y_low) * height,
        )
        for run, value in values.items()
    }
    room = Room(Box(0.0, 0.0, width, height), [(x, y, POINT) for x, y in points.values()])
    for run, (x, y) in points.items():
        number_width = text_width(str(run), NUMBER_SIZE)
        candidates = [
            (x + distance * math.cos(angle), y + 0.9 * distance * math.sin(angle))
            for distance in (POINT + 3 + number_width / 2, 9.0, 12.0, 16.0, 21.0, 27.0)
            for angle in np.arange(0, 2 * math.pi, math.pi / 6).tolist()
        ]
        at = room.take(candidates, number_width, NUMBER_SIZE * 0.75) or candidates[0]
        leader: Any = {"arrowstyle": "-", "color": INK, "linewidth": 0.3, "shrinkA": 3}
        look: Any = {"ha": "center", "va": "center_baseline", "fontsize": NUMBER_SIZE}
        axes.annotate(
            str(run),
            (x / width, 1 - y / height),
            (at[0] / width, 1 - at[1] / height),
            xycoords="axes fraction",
            textcoords="axes fraction",
            arrowprops=leader if math.dist(at, (x, y)) > LEADER_DISTANCE else None,
            **look,
        )


def _marker(basin: str) -> dict[str, Any]:
    shape, color = MARKERS[basin]
    edge = {"markeredgecolor": INK, "markeredgewidth": 0.5}
    return {"marker": shape, "markersize": 2 * POINT, "markerfacecolor": color, **edge}


def _limits(values: Sequence[float]) -> tuple[float, float]:
    """Range of the values with a margin on both sides, even if all are equal."""
    low, high = min(values), max(values)
    margin = 0.12 * (high - low) or 0.1 * abs(high) or 1.0
    return low - margin, high + margin
