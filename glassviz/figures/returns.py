"""Figures of returns: learning curves in front of published ones, and a metric against return."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.legend_handler import HandlerTuple
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import FuncFormatter, MaxNLocator

from glassviz.figures.graph_layout import Box, Room
from glassviz.figures.style import COLUMN_INCHES, INK, shortened, style, text_width
from glassviz.palette import CLUSTER_COLORS, NO_CLUSTER_COLOR
from glassviz.text import count_of
from glassviz.training.log import CONTROLLERS, Curve, Run

TITLES = {"pi": "policy prior (pi)", "mppi": "planner (mppi)"}

# Dark colours first, for thin lines on white; further runs reuse them dashed, then dotted.
_COLORS = tuple(CLUSTER_COLORS[k] for k in (4, 5, 2, 7, 0, 6, 1, 3))

_DASHES = ("-", "--", ":")
_BAND = "#E0E3E8"
_MEDIAN = "#9AA0AB"
PANEL_INCHES = 1.4
LINE_INCHES = 0.15

SHORT_NAME = 26
"""Longest name for which the legend has two columns."""

NAME_POINTS = 160.0
"""Width of a name in the legend of learning curves."""

LEGEND_ROOM = 1.25
"""Upper limit over the highest curve, which leaves room for the legend of the published band."""

VISIBLE = 1.2
"""The published band is shown for runs this many times longer than its first step."""


@dataclass(frozen=True)
class PublishedReturns:
    """Quartiles of the return over many runs, at several steps of training.

    Attributes:
        what: description of the runs.
        runs: number of runs.
        env_steps: environment steps of the quartiles.
        p25, median, p75, best: quartiles and maximum of the runs' returns at these steps.
    """

    what: str
    runs: int
    env_steps: tuple[int, ...]
    p25: tuple[float, ...]
    median: tuple[float, ...]
    p75: tuple[float, ...]
    best: tuple[float, ...]


HOPPER_HOP_POLICY = PublishedReturns(
    what="TD-MPC-Glass on hopper-hop, policy prior acting, all published recipes and seeds",
    runs=381,
    env_steps=(250_000, 500_000, 1_000_000, 2_000_000, 4_000_000),
    p25=(0.0, 1.0, 10.0, 116.0, 215.0),
    median=(0.3, 15.0, 230.0, 265.0, 281.0),
    p75=(24.0, 179.0, 307.0, 341.0, 387.0),
    best=(294.0, 462.0, 512.0, 549.0, 578.0),
)


def learning_curves(
    runs: Sequence[Run],
    controllers: Sequence[str] = CONTROLLERS,
    published: PublishedReturns | None = None,
) -> Figure:
    """Draw one panel per controller, one colour per run and one thin line per seed.

    All panels share both axes. A dot marks a seed's last evaluation, a cross a restart. `published`
    are quartiles of the policy's return, drawn behind its panel up to the runs' length.
    """
    last = max(step for run in runs for curve in run.curves for step in curve.env_steps)
    handles, labels = _legend_of_runs(runs)
    columns = 2 if all(len(label) <= SHORT_NAME for label in labels) else 1
    lines = math.ceil(len(labels) / columns)
    height = 0.45 + PANEL_INCHES * len(controllers) + LINE_INCHES * lines
    with style():
        figure = Figure(figsize=(COLUMN_INCHES, height), layout="constrained")
        panels = figure.subplots(len(controllers), sharex=True, sharey=True, squeeze=False)[:, 0]
        for axes, controller in zip(panels, controllers, strict=True):
            axes.set_title(TITLES[controller])
            axes.set_ylabel("mean return")
            for i, run in enumerate(runs):
                for curve in run.curves:
                    if curve.controller == controller:
                        _draw(axes, curve, run.restarts.get(curve.seed, ()), i)
            if not axes.lines:
                axes.text(0.5, 0.5, "no evaluations", ha="center", transform=axes.transAxes)
            if published and controller == "pi" and last > VISIBLE * published.env_steps[0]:
                _draw_published(axes, published, last)
        axes.set_xlim(0, max(last, 1))
        headroom = LEGEND_ROOM if published else 1.08
        axes.set_ylim(bottom=0, top=max(1.0, headroom * axes.get_ylim()[1]))
        axes.set_xlabel("environment steps")
        axes.xaxis.set_major_locator(MaxNLocator(5, steps=[1, 2, 2.5, 5, 10]))
        axes.xaxis.set_major_formatter(FuncFormatter(lambda step, _: short(step)))
        axes.yaxis.set_major_locator(MaxNLocator(4, steps=[1, 2, 2.5, 5, 10]))
        legend = figure.legend(handles, labels, loc="outside lower center", ncols=columns)
        for text in legend.get_texts():
            text.set_parse_math(False)  # a folder's name may contain a dollar sign
    return figure


def short(step: float) -> str:
    """A number of steps as 0, 250k or 1M."""
    for size, unit in ((1_000_000, "M"), (1_000, "k")):
        if abs(step) >= size:
            return f"{step / size:g}{unit}"
    return f"{step:g}"


def _look(run: int) -> dict[str, Any]:
    dashes = _DASHES[run // len(_COLORS) % len(_DASHES)]
    return {"color": _COLORS[run % len(_COLORS)], "linestyle": dashes, "linewidth": 0.9}


def _draw(axes: Axes, curve: Curve, restarts: Sequence[int], run: int) -> None:
    look = _look(run)
    color, (steps, returns) = look["color"], (curve.env_steps, curve.returns)
    axes.plot(steps, returns, **look, alpha=0.85)
    axes.plot(steps[-1:], returns[-1:], "o", color=color, ms=2.5, clip_on=False)
    axes.plot(restarts, np.interp(restarts, steps, returns), "x", color=color, ms=4, mew=1)


def _draw_published(axes: Axes, published: PublishedReturns, last: int) -> None:
    """Draw interpolated quartiles, up to the length of the runs."""
    inside = [step for step in published.env_steps if step < last]
    steps = [*inside, min(last, published.env_steps[-1])]
    low, median, high = (
        np.interp(steps, published.env_steps, values)
        for values in (published.p25, published.median, published.p75)
    )
    axes.fill_between(steps, low, high, color=_BAND, linewidth=0, zorder=0.5)
    axes.plot(steps, median, color=_MEDIAN, linewidth=0.8, zorder=0.6)
    axes.plot(inside, median[: len(inside)], "o", color=_MEDIAN, ms=2, zorder=0.6)
    band: Any = (Patch(color=_BAND), Line2D([], [], color=_MEDIAN, linewidth=0.8))
    axes.legend(
        [band],
        [f"{published.runs} published runs, policy: quartiles, median"],
        handler_map={tuple: HandlerTuple(ndivide=1)},
        loc="upper left",
        borderaxespad=0,
    )


def _legend_of_runs(runs: Sequence[Run]) -> tuple[list[Artist], list[str]]:
    handles: list[Artist] = [Line2D([], [], **_look(i)) for i in range(len(runs))]
    # Matplotlib omits labels that begin with an underscore.
    labels = [
        f"{' ' * run.name.startswith('_')}{shortened(run.name, NAME_POINTS, 7.0)} "
        f"({count_of(run.seeds, 'seed')})"
        for run in runs
    ]
    if any(steps for run in runs for steps in run.restarts.values()):
        handles.append(Line2D([], [], color=INK, linestyle="", marker="x", markersize=4))
        labels.append("restart")
    return handles, labels


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
            _draw_points(axes, panel.values, returns, basins)
        present = [basin for basin in MARKERS if basin in basins.values()]
        handles = [Line2D([], [], linestyle="", **_marker(basin)) for basin in present]
        spacing: Any = {"borderaxespad": 0.1, "handletextpad": 0.1}
        figure.legend(handles, present, loc="lower center", ncols=len(MARKERS), **spacing)
    return figure


def _draw_points(
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
