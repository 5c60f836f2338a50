"""Metrics of runs against their return: every run a point with a number."""

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
"""Of the figure, in points, as all lengths here."""

COLUMNS = 2
PANEL = (134.0, 100.0)

LEFT, TOP, BOTTOM, LEGEND = 38.0, 16.0, 27.0, 18.0
"""Margins of a panel, and the height of the legend."""

NUMBER_SIZE = 6.5

POINT = 2.6
"""Radius of a point."""

FAR = 10.0
"""From here on a line leads from a number to its point."""

LOOKS = {
    "stable-hop": ("o", CLUSTER_COLORS[2]),
    "unstable": ("s", CLUSTER_COLORS[5]),
    "split": ("D", CLUSTER_COLORS[3]),
    "undetermined": ("^", NO_CLUSTER_COLOR),
}
"""Shape and colour of each basin."""


@dataclass(frozen=True)
class Panel:
    """One metric.

    Attributes:
        metric: its name.
        told: over the panel, how it goes with return.
        values: of each run in which it is defined, by the run's number.
    """

    metric: str
    told: str
    values: Mapping[int, float]


def against_return(
    panels: Sequence[Panel], returns: Mapping[int, float], basins: Mapping[int, str]
) -> Figure:
    """Draw metrics against return, a panel each, with one scale of return.

    Args:
        panels: the metrics; one at least.
        returns: of each run, by its number, which stands beside its point.
        basins: of each run, one of `LOOKS`.
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
            place = (left / WIDTH, bottom / height, PANEL[0] / WIDTH, PANEL[1] / height)
            axes = figure.add_axes(place)
            axes.set(ylim=limits, xlabel=panel.metric, ylabel="" if column else "return")
            axes.set_title(panel.told, fontsize=7)
            _draw(axes, panel.values, returns, basins)
        seen = [basin for basin in LOOKS if basin in basins.values()]
        figure.legend(
            [Line2D([], [], linestyle="", **_look(basin)) for basin in seen],
            seen,
            loc="lower center",
            ncols=len(LOOKS),
            borderaxespad=0.1,
            handletextpad=0.1,
        )
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
        axes.plot(value, returns[run], linestyle="", **_look(basins[run]))
    wide, high = PANEL
    at = {  # In points, y downwards.
        run: (
            (value - x_low) / (x_high - x_low) * wide,
            (y_high - returns[run]) / (y_high - y_low) * high,
        )
        for run, value in values.items()
    }
    room = Room(Box(0.0, 0.0, wide, high), [(x, y, POINT) for x, y in at.values()])
    for run, (x, y) in at.items():
        width = text_width(str(run), NUMBER_SIZE)
        places = [
            (x + away * math.cos(turn), y + 0.9 * away * math.sin(turn))
            for away in (POINT + 3 + width / 2, 9.0, 12.0, 16.0, 21.0, 27.0)
            for turn in np.arange(0, 2 * math.pi, math.pi / 6).tolist()
        ]
        found = room.take(places, width, NUMBER_SIZE * 0.75) or places[0]
        axes.annotate(
            str(run),
            (x / wide, 1 - y / high),
            (found[0] / wide, 1 - found[1] / high),
            xycoords="axes fraction",
            textcoords="axes fraction",
            ha="center",
            va="center_baseline",
            fontsize=NUMBER_SIZE,
            arrowprops={"arrowstyle": "-", "color": INK, "linewidth": 0.3, "shrinkA": 3}
            if math.dist(found, (x, y)) > FAR
            else None,
        )


def _look(basin: str) -> dict[str, Any]:
    shape, color = LOOKS[basin]
    return {
        "marker": shape,
        "markersize": 2 * POINT,
        "markerfacecolor": color,
        "markeredgecolor": INK,
        "markeredgewidth": 0.5,
    }


def _limits(values: Sequence[float]) -> tuple[float, float]:
    """The values with some room on both sides, also where they are all one."""
    low, high = min(values), max(values)
    room = 0.12 * (high - low) or 0.1 * abs(high) or 1.0
    return low - room, high + room
