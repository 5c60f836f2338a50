"""Figures of returns: learning curves in front of published ones, and a metric against return."""

import math
import os.path
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
from jaxtyping import Float64
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.legend_handler import HandlerTuple
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import FuncFormatter, MaxNLocator

from glassviz.figures.graph_layout import Box, Room
from glassviz.figures.style import (
    COLUMN_INCHES,
    INK,
    PLAIN,
    STYLE,
    WIDE_INCHES,
    FigureStyle,
    style,
    text_width,
    wrapped,
)
from glassviz.ledger.curves import TRAINING, Curve, Run
from glassviz.ledger.rows import CONTROLLERS
from glassviz.metrics.statistics import (
    BootstrapInterval,
    MeanInterval,
    Statistic,
    bootstrap_interval,
    mean_interval,
)
from glassviz.palette import CLUSTER_COLORS, NO_CLUSTER_COLOR
from glassviz.text import count_of, listed
from glassviz.training.quantities import HOURS, RETURN, STEPS, UPDATES

TITLES = {"pi": "policy prior (pi)", "mppi": "planner (mppi)", TRAINING: "training"}

LABELS = {
    STEPS: "environment steps",
    UPDATES: "gradient updates",
    HOURS: "time since the first record, h",
    RETURN: "return",
    "full_reward_rate": "share of steps at full reward",
    "standing_rate": "share of steps standing",
    "fall_count": "falls per episode",
    "time_to_first_full": "time to first full reward, steps",
    "updates_per_s": "gradient updates, 1/s",
    "grad_norm": "norm of the gradient",
}
"""Labels of axes with units; other quantities have their names, and no unit."""


# Dark colours first, for thin lines on white; further runs reuse them dashed, then dotted.
_COLORS = tuple(CLUSTER_COLORS[k] for k in (4, 5, 2, 7, 0, 6, 1, 3))

_DASHES = ("-", "--", ":")
_BAND = "#E0E3E8"
_MEDIAN = "#9AA0AB"
PANEL_INCHES = 1.4
LABEL_SIZE, LABEL_POINTS = float(STYLE["axes.labelsize"]), 85.0
"""Size of axis labels, and length of a line of one beside a panel."""

LEGEND_LINE_INCHES = 0.165
CAPTION_SIZE, CAPTION_INCHES = 6.0, 0.105

LEGEND_ROOM = 1.25
"""Upper limit over the highest curve, which leaves room for the legend of the published band."""

VISIBLE = 1.2
"""The published band is shown for runs this many times longer than its first step."""


@dataclass(frozen=True)
class PublishedReturns:
    """Quartiles of the return over many runs, at several steps of training.

    Attributes:
        what: description of the runs.
        task: the task of all of them.
        runs: number of runs.
        env_steps: environment steps of the quartiles.
        p25, median, p75, best: quartiles and maximum of the runs' returns at these steps.
    """

    what: str
    task: str
    runs: int
    env_steps: tuple[int, ...]
    p25: tuple[float, ...]
    median: tuple[float, ...]
    p75: tuple[float, ...]
    best: tuple[float, ...]


HOPPER_HOP_POLICY = PublishedReturns(
    what="TD-MPC-Glass on hopper-hop, policy prior acting, all published recipes and seeds",
    task="hopper-hop",
    runs=381,
    env_steps=(250_000, 500_000, 1_000_000, 2_000_000, 4_000_000),
    p25=(0.0, 1.0, 10.0, 116.0, 215.0),
    median=(0.3, 15.0, 230.0, 265.0, 281.0),
    p75=(24.0, 179.0, 307.0, 341.0, 387.0),
    best=(294.0, 462.0, 512.0, 549.0, 578.0),
)


@dataclass(frozen=True)
class _Entry:
    """Curves that look alike, and their name in the legend."""

    label: str
    curves: tuple[Curve, ...]
    color: str | None = None


Interval = Literal["t", "bootstrap"]

LEVEL = 0.95
"""Confidence level of the intervals."""

FEWEST = {"mean": 2, "iqm": 4}
"""Seeds from which a statistic is drawn."""

STATISTICS = {"mean": "mean", "iqm": "interquartile mean"}


def learning_curves(
    runs: Sequence[Run],
    controllers: Sequence[str] = CONTROLLERS,
    published: PublishedReturns | None = None,
    statistic: Statistic | None = "mean",
    smooth: int = 1,
    look: FigureStyle = PLAIN,
    x: str = STEPS,
    y: str = RETURN,
    interval: Interval | None = None,
    goals: Sequence[float] = (),
) -> Figure:
    """Draw one panel per controller and one colour per run: its mean with a 95 % interval.

    The seeds are thin lines behind it. A run with too few seeds for the `statistic`, or all runs
    without one, have a line per seed alone. `smooth` is the number of evaluations of a seed that
    are averaged at each step; `x` and `y` are the quantities of the axes. Several trainings in the
    log of one seed have a colour each. `interval` is Student's t by default, of the mean alone, and
    the bootstrap of an interquartile mean; `goals` are horizontal lines. All panels share both
    axes. A dot marks a seed's last evaluation, a cross a restart. `published` are quartiles of
    the policy's return, drawn behind its panel up to the runs' length; they are left out if the
    task of a run is known to be another.
    """
    last = max(step for run in runs for curve in run.curves for step in curve.x)
    if published and any(run.task not in (None, published.task) for run in runs):
        published = None
    entries = [entry for run in runs for entry in _entries(run)]
    with style(look):
        width = look.inches(COLUMN_INCHES)
        wide = width >= WIDE_INCHES
        told = (published, statistic, smooth, y, interval, goals)
        caption = curves_caption(runs, *told) if look.caption else ""
        lines = wrapped(caption, 72 * width - 12, CAPTION_SIZE) if caption else []
        looks = _looks(entries)
        legend = _legend(entries, looks, 72 * width - 12)
        rows = 1 if wide else len(controllers)
        height = 0.45 + PANEL_INCHES * (1.4 if wide else 1) * rows
        height += LEGEND_LINE_INCHES * legend.lines * look.legend + CAPTION_INCHES * len(lines)
        figure = Figure(figsize=(width, height))
        below = CAPTION_INCHES * len(lines) + 0.06
        under = below + (LEGEND_LINE_INCHES * legend.lines + 0.08) * look.legend
        margins: Any = {"rect": (0, under / height, 1, 1 - under / height)}
        figure.set_layout_engine("constrained", **margins)
        at = 6 / 72 / width, (below - 0.03) / height
        caption_look: Any = {"va": "top", "fontsize": CAPTION_SIZE, "parse_math": False}
        figure.text(*at, "\n".join(lines), **caption_look)
        shape = (1, len(controllers)) if wide else (len(controllers), 1)
        panels = figure.subplots(*shape, sharex=True, sharey=True, squeeze=False).flatten()
        for axes, controller in zip(panels, controllers, strict=True):
            if look.title:
                axes.set_title(TITLES[controller])
            axes.set_ylabel("\n".join(wrapped(axis_label(y), LABEL_POINTS, LABEL_SIZE)))
            for entry, own in zip(entries, looks, strict=True):
                found = [each for each in entry.curves if each.controller == controller]
                curves = [_smoothed(each, smooth) for each in found]
                band = _summary(curves, statistic, interval)
                for curve in curves:
                    _draw(axes, curve, own, behind=band is not None)
                if band:
                    _draw_band(axes, band, own)
            for value in goals:
                axes.axhline(value, color=INK, linewidth=0.6, linestyle=(0, (4, 3)), zorder=1)
            if not axes.lines:
                axes.text(0.5, 0.5, "no evaluations", ha="center", transform=axes.transAxes)
            if published and controller == "pi" and last > VISIBLE * published.env_steps[0]:
                _draw_published(axes, published, last)
        axes.set_xlim(0, last or 1)
        axes.set_ylim(*_limits_of(runs, LEGEND_ROOM if published else 1.08, axes, y))
        for each in panels if wide else panels[-1:]:
            each.set_xlabel(axis_label(x))
        axes.xaxis.set_major_locator(MaxNLocator(5, steps=[1, 2, 2.5, 5, 10]))
        axes.xaxis.set_major_formatter(FuncFormatter(lambda step, _: short(step)))
        axes.yaxis.set_major_locator(MaxNLocator(4, steps=[1, 2, 2.5, 5, 10]))
        if look.legend:
            drawn = figure.legend(
                legend.handles,
                legend.labels,
                title=legend.title,
                loc="lower center",
                bbox_to_anchor=(0.5, below / height),
                borderaxespad=0,
                ncols=legend.columns,
                alignment="left",
            )
            for each in (drawn.get_title(), *drawn.get_texts()):
                each.set_parse_math(False)  # a folder's name may contain a dollar sign
    return figure


def axis_label(quantity: str) -> str:
    """A quantity with its unit."""
    return LABELS.get(quantity, quantity.replace("_", " "))


def curves_caption(
    runs: Sequence[Run],
    published: PublishedReturns | None = None,
    statistic: Statistic | None = "mean",
    smooth: int = 1,
    y: str = RETURN,
    interval: Interval | None = None,
    goals: Sequence[float] = (),
) -> str:
    """Caption of learning curves."""
    what = "mean returns of the evaluations" if y == RETURN else axis_label(y)
    single = f"Lines: {what} of single seeds, with a dot at the last."
    if statistic and any(run.seeds >= FEWEST[statistic] for run in runs):
        by_t = statistic == "mean" and interval != "bootstrap"
        what_interval = "Student's t interval" if by_t else "percentile bootstrap interval"
        single = (
            f"Thick lines: {STATISTICS[statistic]} over the seeds of a run; bands: its 95 % "
            f"{what_interval}, pointwise; thin lines: single seeds."
        )
        if any(_ends_apart(run) for run in runs):
            single += (
                " A seed that has stopped is not carried forward: the statistic is then of those "
                "that go on, as long as at least half do."
            )
        single += "" if y == RETURN else f" Shown: {what}."
    sentences = [single]
    if smooth > 1:
        training = any(curve.controller == TRAINING for run in runs for curve in run.curves)
        each = "records" if training else "evaluations"
        sentences.append(f"Each seed is smoothed over {smooth} {each}.")
    if any(curve.begins for run in runs for curve in run.curves):
        sentences.append("Steps include those of the agent that a run started from.")
    if any(curve.restarts for run in runs for curve in run.curves):
        sentences.append("Crosses: restarts.")
    if goals:
        sentences.append(f"Dashed: {listed(f'{goal:g}' for goal in goals)}.")
    if published:
        sentences.append(f"Grey: {published.what}, quartiles of {published.runs} runs.")
    return " ".join(sentences)


def _smoothed(curve: Curve, window: int) -> Curve:
    """Moving average over a number of evaluations, centred; gaps stay gaps."""
    if window == 1:
        return curve
    values, before = np.array(curve.y), (window - 1) // 2
    parts = (values[max(0, i - before) : i - before + window] for i in range(len(values)))
    means = [
        math.nan if math.isnan(value) else float(np.nanmean(part))
        for value, part in zip(values, parts, strict=True)
    ]
    return replace(curve, y=tuple(means))


@dataclass(frozen=True)
class _Band:
    """A statistic over seeds with its interval, by step."""

    x: list[float]
    middle: list[float]
    low: list[float]
    high: list[float]


def _ends_apart(run: Run) -> bool:
    """Whether some seeds have gone on for longer than others."""
    ends: dict[str, set[float]] = {}
    for curve in run.curves:
        ends.setdefault(curve.controller, set()).add(curve.x[-1])
    return any(len(each) > 1 for each in ends.values())


def _summary(
    curves: Sequence[Curve], statistic: Statistic | None, interval: Interval | None
) -> _Band | None:
    """The statistic over the seeds that are there, interpolated between evaluations.

    It begins where all have begun, and ends where fewer than half go on.
    """
    if statistic is None or len({curve.seed for curve in curves}) < FEWEST[statistic]:
        return None
    if any(curve.trainings > 1 for curve in curves):
        return None
    fewest = max(FEWEST[statistic], math.ceil(len(curves) / 2))
    first = max(curve.x[0] for curve in curves)
    last = sorted((curve.x[-1] for curve in curves), reverse=True)[fewest - 1]
    steps = sorted({step for each in curves for step in each.x if first <= step <= last})
    if not steps:
        return None
    table = np.stack([_at(curve, steps) for curve in curves])
    rng = np.random.default_rng(0)
    columns = ([value for value in column if not math.isnan(value)] for column in table.T.tolist())
    intervals = [_interval(values, statistic, interval, rng) for values in columns]
    return _Band(list(map(float, steps)), *map(list, zip(*intervals, strict=True)))


def _interval(
    values: list[float],
    statistic: Statistic,
    interval: Interval | None,
    rng: np.random.Generator,
) -> tuple[float, float, float]:
    """A statistic with the bounds of its interval; values that are all equal have none."""
    found: MeanInterval | BootstrapInterval | None
    if statistic == "mean" and interval != "bootstrap":
        found = mean_interval(values, LEVEL)
        middle = found.mean
    else:
        found = bootstrap_interval(values, rng, statistic, LEVEL)
        assert found is not None
        middle = found.estimate
    low, high = found.low, found.high
    return middle, middle if low is None else low, middle if high is None else high


def _at(curve: Curve, steps: Sequence[int | float]) -> Float64[np.ndarray, " steps"]:
    known = [i for i, value in enumerate(curve.y) if not math.isnan(value)]
    at, values = ([each[i] for i in known] for each in (curve.x, curve.y))
    return np.where(np.array(steps) <= curve.x[-1], np.interp(steps, at, values), np.nan)


def _draw_band(axes: Axes, band: _Band, look: dict[str, Any]) -> None:
    look = look | {"linewidth": 1.6}
    fill: Any = {"color": look["color"], "alpha": 0.18, "linewidth": 0, "zorder": 1.5}
    axes.fill_between(band.x, band.low, band.high, **fill)
    axes.plot(band.x, band.middle, **look, zorder=3)


def short(step: float) -> str:
    """A number of steps as 0, 250k or 1M."""
    for size, unit in ((1_000_000, "M"), (1_000, "k")):
        if abs(step) >= size:
            return f"{step / size:g}{unit}"
    return f"{step:g}"


def _looks(entries: Sequence[_Entry]) -> list[dict[str, Any]]:
    """Colour and dashes of each entry: its own colour, or the next of the palette.

    A second one of the same colour is dashed, a third dotted.
    """
    places = iter(range(len(entries)))
    looks: list[dict[str, Any]] = []
    for entry in entries:
        color = entry.color or _COLORS[next(places) % len(_COLORS)]
        before = sum(look["color"] == color for look in looks)
        dashes = _DASHES[before % len(_DASHES)]
        looks.append({"color": color, "linestyle": dashes, "linewidth": 0.9})
    return looks


def _draw(axes: Axes, curve: Curve, look: dict[str, Any], behind: bool = False) -> None:
    """Draw the curve of a seed; `behind` the statistic of its run, thin and pale."""
    look = dict(look)
    color, (steps, returns) = look["color"], (curve.x, curve.y)
    if behind:
        look["linewidth"] = 0.5
    axes.plot(steps, returns, **look, alpha=0.35 if behind else 0.85)
    known = [i for i, value in enumerate(returns) if not math.isnan(value)]
    around = (math.nan, *returns, math.nan)
    # A point between two gaps has no line.
    alone = {i for i in known if math.isnan(around[i]) and math.isnan(around[i + 2])}
    dots = sorted({known[-1], *alone})
    at, values = ([each[i] for i in known] for each in (steps, returns))
    marked = ([each[i] for i in dots] for each in (steps, returns))
    if not behind:
        axes.plot(*marked, "o", color=color, ms=2.5, clip_on=False)
    crosses = np.interp(curve.restarts, at, values)
    axes.plot(curve.restarts, crosses, "x", color=color, ms=4, mew=1)


def _draw_published(axes: Axes, published: PublishedReturns, last: int | float) -> None:
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
        [f"{published.runs} published {published.task} runs: quartiles, median"],
        handler_map={tuple: HandlerTuple(ndivide=1)},
        loc="upper left",
        borderaxespad=0,
    )


def _entries(run: Run) -> Iterator[_Entry]:
    """The curves of a run, those of a log with several trainings apart."""
    alike = tuple(curve for curve in run.curves if curve.trainings == 1)
    if alike:
        seeds = len({curve.seed for curve in alike})
        yield _Entry(f"{run.name} ({count_of(seeds, 'seed')})", alike, run.color)
    apart: dict[tuple[int, int], list[Curve]] = {}
    for curve in run.curves:
        if curve.trainings > 1:
            apart.setdefault((curve.seed, curve.training), []).append(curve)
    for (seed, training), curves in apart.items():
        which = f"seed {seed}, training {training} of {curves[0].trainings}"
        yield _Entry(f"{run.name} ({which})", tuple(curves), run.color)


@dataclass(frozen=True)
class _Legend:
    """Handles and labels in columns; `lines` is the height of it all in lines of text."""

    title: str | None
    handles: list[Artist]
    labels: list[str]
    columns: int
    lines: int


MOST_NAMED = 24
"""Entries that a legend names; it counts the rest."""

_HANDLE_POINTS = 40.0
"""Space of a handle, and between columns."""


def _legend(entries: Sequence[_Entry], looks: Sequence[dict[str, Any]], width: float) -> _Legend:
    """A legend that fits the figure's width: the start that all names share is its title."""
    names = [entry.label for entry in entries[:MOST_NAMED]]
    handles: list[Artist] = [Line2D([], [], **look) for look in looks[: len(names)]]
    shared = _shared_start([entry.label for entry in entries]) if len(entries) > 2 else ""
    names = [name.removeprefix(shared) for name in names]
    if len(entries) > MOST_NAMED:
        handles.append(Line2D([], [], linestyle=""))
        names.append(f"and {len(entries) - MOST_NAMED} more")
    if any(curve.restarts for entry in entries for curve in entry.curves):
        handles.append(Line2D([], [], color=INK, linestyle="", marker="x", markersize=4))
        names.append("restart")
    size = float(STYLE["legend.fontsize"])
    widest = max(text_width(name, size) for name in names)
    columns = int(max(1, min(3, len(names), width // (widest + _HANDLE_POINTS))))
    room = width / columns - _HANDLE_POINTS
    broken = ["\n".join(_broken(name, room, size)) for name in names]
    title = "\n".join(_broken(f"{shared} …", width, size)) if shared else None
    rows = math.ceil(len(broken) / columns)
    by_column = [broken[i : i + rows] for i in range(0, len(broken), rows)]
    lines = max(sum(label.count("\n") + 1 for label in column) for column in by_column)
    if title:
        lines += title.count("\n") + 1
    # Matplotlib omits labels that begin with an underscore.
    labels = [f"{' ' * label.startswith('_')}{label}" for label in broken]
    return _Legend(title, handles, labels, columns, lines)


def _shared_start(names: Sequence[str]) -> str:
    """The start that all names share, up to a separator; nothing if it is short."""
    start = os.path.commonprefix(names)  # noqa: RUF071 character by character is what is wanted
    start = start[: max(start.rfind(separator) for separator in "_/-") + 1]
    return start if len(start) >= SHORTEST_SHARED else ""


SHORTEST_SHARED = 8
"""Characters of a start of names that is worth a line of its own."""


def _broken(text: str, width: float, size: float) -> list[str]:
    """`text` in lines of at most `width`, broken after a separator where there is one."""
    lines = [""]
    for piece in re.split(r"(?<=[ _/-])", text):
        if lines[-1] and text_width(lines[-1] + piece, size) > width:
            lines.append("")
        for character in piece:
            if lines[-1] and text_width(lines[-1] + character, size) > width:
                lines.append("")
            lines[-1] += character
    return lines


def _limits_of(runs: Sequence[Run], headroom: float, axes: Axes, y: str) -> tuple[float, float]:
    """Limits of the y-axis: from 0, or from the lowest one below."""
    values = [value for run in runs for curve in run.curves for value in curve.y]
    lowest = min((value for value in values if not math.isnan(value)), default=0.0)
    top = axes.get_ylim()[1]
    top = max(1.0, headroom * top) if y == RETURN else top * headroom if top > 0 else 0.0
    return (0.0 if lowest >= 0 else lowest - 0.05 * (top - lowest)), top


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
    "stable": ("o", CLUSTER_COLORS[2]),
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
