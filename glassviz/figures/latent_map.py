"""The figure of latent maps: panels by colouring, legends, gait cycles, quality and caption."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np
from jaxtyping import Bool, Float, Float32, Float64, Int
from matplotlib.axes import Axes
from matplotlib.colors import Colormap, to_rgba_array
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from matplotlib.patheffects import Normal, Stroke

from glassviz.errors import UsageError
from glassviz.figures.graph_drawing import PROTOTYPE
from glassviz.figures.graph_layout import Box, Room
from glassviz.figures.style import (
    COLUMN_INCHES,
    GROUP_COLORS,
    INK,
    PAGE_INCHES,
    PLAIN,
    WIDE_INCHES,
    FigureStyle,
    category_colors,
    full_names,
    phase_colors,
    scale_colors,
    shortened,
    style,
    text_width,
    wrapped,
)
from glassviz.maps.coordinates import neighbours_of
from glassviz.maps.features import (
    CLOCKLESS_WINDOW_S,
    SPACE_METRICS,
    SPACE_NAMES,
    CyclePath,
    PlacedPrototype,
)
from glassviz.maps.maps import LatentMap
from glassviz.palette import ink_on, label_color
from glassviz.text import count_of, printable

Color = Literal["label", "phase", "return-to-go", "controller", "episode", "run"]
COLORS: tuple[Color, ...] = get_args(Color)
QUALITY = "quality"
PANELS = (*COLORS, QUALITY)
Plane = Float32[np.ndarray, "frames 2"]

TITLES: dict[Color, str] = {
    "label": "Label",
    "phase": "Gait phase",
    "return-to-go": "Return-to-go",
    "controller": "Controller",
    "episode": "Episode",
    "run": "Run",
}

CONTROLLERS = {"mppi": "planner (mppi)", "pi": "policy (pi)"}

_WHY_NOT: dict[Color, str] = {
    "label": "expected runs with labels of one agent, found none, or several agents in one map, "
    "whose labels have no common numbering",
    "phase": "expected gait cycles, found none",
    "return-to-go": "expected rewards, found none",
    "controller": "expected both controllers in a map, found one",
    "episode": "expected several episodes, found one",
    "run": "expected several runs in one map, found one",
}

OUTSIDE_COLOR = "#D3D6DB"
"""Colour of frames without a value."""

PANEL_INCHES = 1.6

SIDE_BY_SIDE = 4
"""Maximum number of single-panel maps in a row of a page."""

HEAD_INCHES = 0.2
GAP_INCHES = 0.12

SIDE_INCHES = 0.07

CAPTION_SIZE = 6.0
LEGEND_INCHES = 0.4
TITLE_INCHES = 0.2

TEXT_INCHES = 0.105
"""Height of a line of the caption."""

PROTOTYPE_POINT = 1.8
"""Radius of the point of a prototype, points."""

LEAP = 0.04
"""A path that is further from any frame, in widths of the map, jumps between islands."""

HALO = [Stroke(linewidth=1.8, foreground="white"), Normal()]

NO_DISTANCES = "Distances between islands mean nothing."
SHADOW = "Points close to each other here may be far apart in the other dimensions."


@dataclass(frozen=True, eq=False)
class Trail:
    """A closed path of a typical gait cycle, from touchdown on; its name may be empty."""

    xy: Float64[np.ndarray, "steps 2"]
    name: str
    color: str = INK


def figure(maps: Sequence[LatentMap], look: FigureStyle = PLAIN) -> Figure:
    """Draw maps: one at the width of a column, several at that of a page.

    One map has a table of its quality. Several are drawn in rows, or side by side if they have one
    panel each. There is one panel per colouring, grey if it does not apply to a map; by default all
    that apply to any map. `look.panels` are some of `PANELS`.

    Raises:
        UsageError: a colouring applies to no map.
    """
    applicable = [color for color in COLORS if any(_applies(color, each) for each in maps)]
    for color in COLORS:
        if look.panels and color in look.panels and color not in applicable:
            raise UsageError(f"--panels: {_WHY_NOT[color]}: omit {color}")
    shown = look.chosen((*applicable, QUALITY))
    if len(maps) > 1:
        shown = [panel for panel in shown if panel != QUALITY]
    with style(look):
        return (_draw_one if len(maps) == 1 else _draw_several)(maps, shown, look)


def _draw_one(maps: Sequence[LatentMap], panels: Sequence[str], look: FigureStyle) -> Figure:
    [latent_map] = maps
    numbers = _numbers(latent_map)
    cells = [panel for panel in panels if panel != QUALITY or numbers]
    width = look.inches(COLUMN_INCHES)
    columns = min(len(cells), 4 if width >= WIDE_INCHES else 2)
    panel_width = width / columns
    size = panel_width, panel_width if columns == 1 else panel_width - 0.07
    cell = TITLE_INCHES + size[1] + _legend_inches(look)
    head = HEAD_INCHES if look.title else 0.0
    page = _Page(width, head + cell * math.ceil(len(cells) / columns), maps, look)
    if look.title:
        room = 72 * (width - 2 * SIDE_INCHES)
        title = shortened(_title(latent_map), room, 8.0, bold=True)
        page.write(SIDE_INCHES, 0.03, title, weight="bold", fontsize=8)
    colors = [panel for panel in cells if panel != QUALITY]
    for i, panel in enumerate(cells):
        corner = panel_width * (i % columns), head + cell * (i // columns)
        if panel == QUALITY:
            _table(page.cell(*corner, *size)[0], numbers)
        else:
            axes, below = page.cell(*corner, *size)
            _panel(axes, below, latent_map, _color(panel), len(colors) == 1)
    return page.figure


def _draw_several(maps: Sequence[LatentMap], colors: Sequence[str], look: FigureStyle) -> Figure:
    width = look.inches(PAGE_INCHES)
    columns = min(len(maps), SIDE_BY_SIDE) if len(colors) == 1 else len(colors)
    panel_width = width / columns
    size = panel_width, min(PANEL_INCHES, panel_width - GAP_INCHES)
    cell = TITLE_INCHES + size[1] + _legend_inches(look)
    if len(colors) == 1:
        page = _Page(width, cell * math.ceil(len(maps) / columns), maps, look)
        for i, latent_map in enumerate(maps):
            panel = page.cell(panel_width * (i % columns), cell * (i // columns), *size)
            _panel(*panel, latent_map, _color(colors[0]), True, _title(latent_map))
        return page.figure
    row = HEAD_INCHES + cell
    page = _Page(width, row * len(maps), maps, look)
    for i, latent_map in enumerate(maps):
        right, summary = width - SIDE_INCHES, _summary(latent_map)
        room = 72 * (right - 2 * SIDE_INCHES) - text_width(summary, 6.0)
        title = shortened(_title(latent_map), room, 8.0, bold=True)
        if look.title:
            page.write(SIDE_INCHES, row * i + 0.03, title, weight="bold", fontsize=8)
            page.write(right, row * i + 0.05, summary, ha="right", fontsize=6)
        for j, color in enumerate(colors):
            panel = page.cell(panel_width * j, row * i + HEAD_INCHES, *size)
            _panel(*panel, latent_map, _color(color), False)
    return page.figure


def _color(panel: str) -> Color:
    return next(color for color in COLORS if color == panel)


def _legend_inches(look: FigureStyle) -> float:
    return LEGEND_INCHES if look.legend else 0.1


def _applies(color: Color, latent_map: LatentMap) -> bool:
    """Whether a colouring applies to a map, with more than one colour for groups."""
    if color == "label":
        return latent_map.has_labels
    if color == "phase":
        return bool((latent_map.frames.cycle >= 0).any())
    if color == "episode":
        return bool(latent_map.frames.episode.any())
    if color == "controller":
        return len({trace.header["controller"] for trace in latent_map.traces}) > 1
    return color == "return-to-go" or len(set(latent_map.names)) > 1


def _title(latent_map: LatentMap) -> str:
    """The names of up to two runs, or the number of runs."""
    runs = len(set(latent_map.names))
    return latent_map.name if runs < 3 else f"{runs} runs together"


class _Page:
    """A figure with a caption; positions are in inches from the upper left corner."""

    def __init__(
        self, width: float, height: float, maps: Sequence[LatentMap], look: FigureStyle
    ) -> None:
        lines = []
        if look.caption:
            lines = wrapped(caption(maps), (width - 2 * SIDE_INCHES) * 72, CAPTION_SIZE)
        self._legend = look.legend
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
        below.set_visible(self._legend)
        return axes, below


def _panel(
    axes: Axes,
    below: Axes,
    latent_map: LatentMap,
    color: Color,
    alone: bool,
    title: str | None = None,
) -> None:
    """Draw a map in one colouring, with its legend on the axes `below`.

    Unless the panel is `alone`, gait cycles and prototypes are drawn in the panels that they belong
    to. `title` is None for that of the colouring.
    """
    title = title or _panel_title(latent_map, color)
    width = _points_wide(axes)
    axes.set_title(shortened(title, width, 7.5), pad=2, fontsize=7.5, parse_math=False)
    axes.grid(False)
    axes.set(xticks=[], yticks=[])
    for spine in axes.spines.values():
        spine.set(visible=True, color="#C4C8CF", linewidth=0.5)
    on_map = np.isfinite(latent_map.xy).all(axis=1)
    xy = latent_map.xy[on_map]
    _frame(axes, xy)
    if latent_map.explained:
        first, second = (f"PC {i} ({part:.0%})" for i, part in enumerate(latent_map.explained, 1))
        look: Any = {"transform": axes.transAxes, "fontsize": 6, "color": "#5B6270"}
        look |= {"zorder": 8, "path_effects": HALO}
        axes.text(0.985, 0.015, first, ha="right", va="bottom", **look)
        axes.text(0.015, 0.985, second, ha="left", va="top", rotation=90, **look)
    frames = latent_map.frames
    if color == "phase":
        phase = frames.phase[on_map]
        known = np.isfinite(phase)
        _points(axes, xy, phase_colors()(np.where(known, phase, 0.0) / (2 * np.pi)), known)
        _phase_legend(below, not known.all())
    elif color == "return-to-go":
        value = frames.to_go[on_map]
        known = np.isfinite(value)
        low, high = _limits(value[known])
        part = (np.where(known, value, low) - low) / max(high - low, 1e-12)
        _points(axes, xy, scale_colors()(np.clip(part, 0, 1)), known)
        spec = ".0f" if high - low >= 10 else ".2g"
        _ramp(below, scale_colors(), {0.0: f"{low:{spec}}", 1.0: f"{high:{spec}}"})
    else:
        group, names, colors = _groups(latent_map, color, on_map)
        point_colors = to_rgba_array([colors.get(k, OUTSIDE_COLOR) for k in group.tolist()])
        _points(axes, xy, point_colors, group >= 0)
        _group_legend(below, names, colors)
    if alone or color == ("phase" if latent_map.of_one_checkpoint else "run"):
        trails = _trails(latent_map)
        for trail in trails:
            _draw_trail(axes, trail, _leaps(trail, xy), trails)
    if alone or color == "label":
        _draw_prototypes(axes, latent_map.prototypes, color == "label")


def _points_wide(axes: Axes) -> float:
    """Width of axes in points."""
    return float(72 * axes.get_window_extent().width / axes.figure.dpi)


def _panel_title(latent_map: LatentMap, color: Color) -> str:
    if color != "label":
        return TITLES[color]
    if not latent_map.has_labels:
        return f"{TITLES[color]}: none"
    fitted = any(trace.labels_sha256 for trace in latent_map.traces)
    return TITLES[color] + (" (fitted)" if fitted else "")


def _groups(
    latent_map: LatentMap, color: Color, on_map: Bool[np.ndarray, " frames"]
) -> tuple[Int[np.ndarray, " shown"], dict[int, str], dict[int, str]]:
    """Labels, episodes, controllers or runs: group of each frame (-1 for none), names, colours."""
    if color == "label":
        if not latent_map.has_labels:
            return np.full(int(on_map.sum()), -1), {}, {}
        label = latent_map.frames.label[on_map].astype(np.int64)
        named = {n.label: f"{n.label} {n.name}" for n in latent_map.label_names}
        occurring = [k for k in np.unique(label).tolist() if k >= 0]
        names = {k: named.get(k, str(k)) for k in occurring}
        return label, names, {k: label_color(k) for k in occurring}
    if color == "episode":
        episode = latent_map.frames.episode[on_map].astype(np.int64)
        numbers = np.unique(episode).tolist()
        colors = dict(zip(numbers, category_colors(len(numbers)), strict=True))
        return episode, {i: str(i + 1) for i in numbers}, colors
    name_of_trace = list(latent_map.names)
    if color == "controller":
        controllers = [trace.header["controller"] for trace in latent_map.traces]
        name_of_trace = [CONTROLLERS.get(name, name) for name in controllers]
    unique = list(dict.fromkeys(name_of_trace))
    number = np.array([unique.index(name) for name in name_of_trace])
    colors = {i: GROUP_COLORS[i % len(GROUP_COLORS)] for i in range(len(unique))}
    return number[latent_map.frames.trace[on_map]], dict(enumerate(unique)), colors


def _trails(latent_map: LatentMap) -> list[Trail]:
    """Typical cycles: one per controller, named; in a joint map one per run, in its colour."""
    if latent_map.of_one_checkpoint:
        named = len(latent_map.cycles) > 1
        traces = latent_map.traces
        return [
            Trail(cycle.xy, traces[cycle.trace].header["controller"] if named else "")
            for cycle in latent_map.cycles
        ]
    names = list(dict.fromkeys(latent_map.names))
    longest: dict[str, CyclePath] = {}
    for cycle in sorted(latent_map.cycles, key=lambda cycle: cycle.of):
        longest[latent_map.names[cycle.trace]] = cycle
    return [
        Trail(cycle.xy, "", GROUP_COLORS[names.index(name) % len(GROUP_COLORS)])
        for name, cycle in longest.items()
    ]


def _frame(axes: Axes, xy: Plane) -> None:
    """Set equal scales on both axes, with all points inside the panel."""
    panel = np.array(axes.get_window_extent().size)
    low, high = xy.min(axis=0).astype(float), xy.max(axis=0).astype(float)
    middle, size = (low + high) / 2, np.maximum(high - low, 1e-6)
    half = 0.53 * panel * (size / panel).max()
    axes.set_xlim(middle[0] - half[0], middle[0] + half[0])
    axes.set_ylim(middle[1] - half[1], middle[1] + half[1])


def _points(
    axes: Axes, xy: Plane, colors: Float[np.ndarray, "frames 4"], known: Bool[np.ndarray, " frames"]
) -> None:
    """Draw frames in random order, so that no group covers another."""
    size = float(np.clip(9000 / max(len(xy), 1), 0.25, 6.0))
    order = np.random.default_rng(0).permutation(len(xy))
    colors = np.where(known[:, None], colors, to_rgba_array(OUTSIDE_COLOR))
    look: Any = {"s": size, "linewidths": 0, "alpha": 0.8, "rasterized": True}
    for kind, z in ((~known, 1.0), (known, 2.0)):
        chosen = order[kind[order]]
        axes.scatter(xy[chosen, 0], xy[chosen, 1], c=colors[chosen], zorder=z, **look)


def _limits(values: Float64[np.ndarray, " frames"]) -> tuple[float, float]:
    """The 1st to the 99th percentile."""
    if not len(values):
        return 0.0, 1.0
    low, high = np.quantile(values, (0.01, 0.99))
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
    arrow: Any = {"arrowstyle": "-|>,head_length=0.45,head_width=0.22", "linewidth": 0}
    arrow |= {"shrinkA": 0, "shrinkB": 0}
    for part in (0.2, 0.45, 0.7, 0.95):
        i = int(np.searchsorted(along, part * along[-1]))
        axes.annotate(
            "",
            closed[i] + 0.65 * (closed[i + 1] - closed[i]),
            closed[i] + 0.35 * (closed[i + 1] - closed[i]),
            arrowprops=arrow | {"color": trail.color},
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
            path_effects=HALO,
        )


def _draw_prototypes(axes: Axes, prototypes: Sequence[PlacedPrototype], by_label: bool) -> None:
    """Mark the places of prototypes, and write their numbers beside them without overlaps."""
    sides = axes.get_window_extent().size
    width, height = (float(72 * side / axes.figure.dpi) for side in sides)
    (left, right), (bottom, top) = axes.get_xlim(), axes.get_ylim()
    places = {
        prototype.number: (
            float((prototype.xy[0] - left) / (right - left)) * width,
            float((top - prototype.xy[1]) / (top - bottom)) * height,
        )
        for prototype in prototypes
    }
    room = Room(Box(0.0, 0.0, width, height), [(*at, PROTOTYPE_POINT) for at in places.values()])
    for prototype in prototypes:
        color = label_color(prototype.label) if by_label else INK
        point: Any = {"mfc": color, "mec": INK, "mew": 0.6, "zorder": 7}
        axes.plot(*prototype.xy, "o", ms=2 * PROTOTYPE_POINT, **point)
        (x, y), number = places[prototype.number], f"{PROTOTYPE}{prototype.number}"
        wide, tall = text_width(number, 6.0) + 3, 9.0
        rings = [
            (x + d * math.cos(angle) + wide / 2 * math.cos(angle), y + d * math.sin(angle))
            for d in (8.0, 11.0, 15.0, 20.0, 27.0, 35.0)
            for angle in np.arange(-math.pi / 2, 3 * math.pi / 2, math.pi / 6).tolist()
        ]
        at = room.take(rings, wide, tall) or (x, y)
        box: Any = {"boxstyle": "round,pad=0.2", "facecolor": color}
        box |= {"edgecolor": "white", "linewidth": 0.6}
        look: Any = {"ha": "center", "va": "center", "fontsize": 6, "zorder": 7.5}
        axes.annotate(
            number,
            prototype.xy,
            (at[0] / width, 1 - at[1] / height),
            textcoords="axes fraction",
            color=ink_on(color),
            bbox=box,
            arrowprops={"arrowstyle": "-", "color": INK, "linewidth": 0.6, "shrinkA": 0},
            **look,
        )


def _group_legend(below: Axes, names: Mapping[int, str], colors: Mapping[int, str]) -> None:
    longest = max(map(len, names.values()), default=0)
    columns = 1 if longest > 22 else 2 if longest > 3 else 7
    width = _points_wide(below)
    widest = max((text_width(name, 6.0) for name in names.values()), default=0)
    # Four names fit below each other; of more, long ones are shortened.
    if widest > (1 / columns - 0.06) * width and len(names) <= 4:
        columns = 1
    rows = max(3, math.ceil(len(names) / columns))
    for i, (k, name) in enumerate(names.items()):
        column, row = divmod(i, rows)
        x, y = column / columns, 0.95 - row / rows
        height = 0.7 / rows
        tall = min(height, 0.25)
        below.add_patch(Rectangle((x, y - tall), 0.035, tall, color=colors[k], linewidth=0))
        at = x + 0.055, y - tall / 2
        name = shortened(name, (1 / columns - 0.06) * width, 6.0)
        below.text(*at, name, va="center", fontsize=6, parse_math=False)


def _phase_legend(below: Axes, others: bool) -> None:
    _ramp(below, phase_colors(), {0.0: "touchdown", 0.5: "½", 1.0: "touchdown"})
    if others:
        below.add_patch(Rectangle((0, 0.06), 0.035, 0.2, color=OUTSIDE_COLOR, linewidth=0))
        below.text(0.055, 0.16, "in no gait cycle", va="center", fontsize=6)


def _ramp(below: Axes, colors: Colormap, ticks: Mapping[float, str]) -> None:
    """Draw a colour bar with ticks by position, from 0 (left) to 1 (right)."""
    ramp = colors(np.linspace(0, 1, 240))[None]
    below.imshow(ramp, extent=(0, 1, 0.72, 0.95), aspect="auto")
    for x, text in ticks.items():
        side = "left" if x == 0 else "right" if x == 1 else "center"
        below.text(x, 0.66, text, ha=side, va="top", fontsize=6)
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


def _numbers(latent_map: LatentMap) -> list[tuple[str, str, str]]:
    """Rows of the quality table: metric, value in the space, value on the map."""
    rows: list[tuple[str, str, str]] = []
    quality, labels = latent_map.quality, latent_map.labels
    if quality:
        rows += [
            ("trustworthiness", "", f"{quality.trustworthiness:.2f}"),
            ("continuity", "", f"{quality.continuity:.2f}"),
            ("neighbours kept, Q", "", f"{quality.neighbour_preservation:.2f}"),
            ("  over chance, R", "", f"{quality.neighbours_over_chance:.2f}"),
            ("  over all k, AUC", "", f"{quality.neighbour_preservation_auc:.2f}"),
        ]
    if labels:
        rows += [
            ("", latent_map.options.space, "map"),
            ("label purity", f"{labels.purity_space:.2f}", f"{labels.purity_plane:.2f}"),
            ("  by chance", f"{labels.chance_purity:.2f}", f"{labels.chance_purity:.2f}"),
        ]
        if labels.silhouette_space is not None and labels.silhouette_plane is not None:
            rows.append(
                ("silhouette", f"{labels.silhouette_space:.2f}", f"{labels.silhouette_plane:.2f}")
            )
    return rows


def _summary(latent_map: LatentMap) -> str:
    quality, labels = latent_map.quality, latent_map.labels
    parts = []
    if quality:
        parts += [
            f"trustworthiness {quality.trustworthiness:.2f}",
            f"continuity {quality.continuity:.2f}",
            f"neighbours kept over chance {quality.neighbours_over_chance:.2f}",
        ]
    if labels:
        parts.append(
            f"label purity {labels.purity_space:.2f}, on the map {labels.purity_plane:.2f}"
        )
    return ", ".join(parts)


def caption(maps: Sequence[LatentMap]) -> str:
    """Caption of a figure of one or several maps."""
    umap = maps[0].options.method == "umap"
    parts = [_made(maps), NO_DISTANCES if umap else SHADOW]
    if len(maps) > 1 and maps[0].options.space == "latent":
        parts.append("Latent spaces differ between runs: positions cannot be compared across maps.")
    if any(latent_map.cycles for latent_map in maps):
        parts.append(
            "Lines are typical gait cycles, from touchdown (ring) in the direction of the arrows, "
            "dotted where they jump between islands."
        )
    if any(latent_map.prototypes for latent_map in maps):
        parts.append(_prototypes(maps))
    if any(" / " in named.name for latent_map in maps for named in latent_map.label_names):
        acting = dict.fromkeys(t.header["controller"] for each in maps for t in each.traces)
        where = f"under {' / '.join(acting)}" if len(acting) > 1 else "in different runs"
        parts.append(f"Labels with two names have them {where}.")
    parts += _quality(maps)
    parts += full_names(name for each in maps for name in each.names)
    return " ".join(parts)


def method_text(latent_map: LatentMap) -> str:
    """The method of a map with its parameters."""
    if latent_map.options.method == "umap":
        metric = SPACE_METRICS[latent_map.options.space]
        neighbours = count_of(neighbours_of(latent_map.fitted), "neighbour")
        return f"UMAP ({metric}, {neighbours}, seed {latent_map.options.seed})"
    first, second = latent_map.explained or (0.0, 0.0)
    return f"PCA ({first:.0%} and {second:.0%} of the variance)"


def _made(maps: Sequence[LatentMap]) -> str:
    first = maps[0]
    methods = list(dict.fromkeys(map(method_text, maps)))
    # Each map has shares of its own.
    method = methods[0] if len(methods) == 1 else "PCA"
    if len(methods) > 1 and first.options.method == "umap":
        method = ", ".join(methods)
    encoder = ""
    if first.encoder:
        encoder = f" of all observations under the encoder of {printable(first.encoder.name)}"
    fitted = [f"{latent_map.fitted:,}" for latent_map in maps]
    n = " and ".join(dict.fromkeys(fitted)) if len(set(fitted)) < 3 else ", ".join(fitted)
    text = f"{method} of the {SPACE_NAMES[first.options.space]}{encoder}, n\u00a0=\u00a0{n} frames"
    thinned = [latent_map for latent_map in maps if latent_map.fitted < len(latent_map.frames)]
    if thinned:
        total = sum(len(latent_map.frames) for latent_map in thinned)
        text += f", sampled evenly by episode, gait cycle and phase from {total:,}"
        if all(np.isfinite(latent_map.xy).all() for latent_map in thinned):
            exact = all(latent_map.options.method == "pca" for latent_map in thinned)
            text += ", the others projected" if exact else ", the others interpolated"
    return f"{text}."


def _prototypes(maps: Sequence[LatentMap]) -> str:
    text = "Points with numbers μ are prototypes, placed among the frames nearest to them"
    dead = [
        (latent_map.name, latent_map.dead_prototypes)
        for latent_map in maps
        if latent_map.dead_prototypes
    ]
    if dead:
        lists = [
            ", ".join(map(str, numbers)) + (f" ({name})" if len(maps) > 1 else "")
            for name, numbers in dead
        ]
        text += f"; never visited: {'; '.join(lists)}"
    return f"{text}."


def _quality(maps: Sequence[LatentMap]) -> list[str]:
    qualities = [latent_map.quality for latent_map in maps if latent_map.quality]
    if not qualities:
        return []
    windows = np.concatenate([latent_map.frames.window for latent_map in maps]).tolist()
    n = _range(quality.frames for quality in qualities)
    k = _range(quality.neighbours for quality in qualities)
    return [
        f"Quality over {n} frames, k\u00a0=\u00a0{k}; frames of an episode "
        f"less than half a gait cycle apart ({CLOCKLESS_WINDOW_S:g} s without one; "
        f"{_range(windows)} frames) do not count as neighbours."
    ]


def _range(numbers: Iterable[int]) -> str:
    """`3`, or `2 to 1,500`."""
    values = list(numbers)
    low, high = min(values), max(values)
    return f"{low:,}" if low == high else f"{low:,} to {high:,}"
