"""The figure of a latent map, with its legends and caption."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np
from jaxtyping import Bool, Float, Float64, Int
from matplotlib.axes import Axes
from matplotlib.colors import to_rgba_array
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from matplotlib.patheffects import Normal, Stroke

from glassviz.errors import UsageError
from glassviz.figures.rasters import PAGE_INCHES
from glassviz.figures.style import COLUMN_INCHES, INK, phase_colors, scale_colors, style, wrapped
from glassviz.maps.coordinates import NEIGHBOURS
from glassviz.maps.features import CLOCKLESS_WINDOW_S, SPACE_METRICS, SPACE_NAMES, CyclePath
from glassviz.maps.maps import LatentMap
from glassviz.palette import ink_on, label_color
from glassviz.text import printable

OUTSIDE_COLOR = "#D3D6DB"
"""Of frames that a colouring says nothing about."""


def group_legend(below: Axes, names: Mapping[int, str], colors: Mapping[int, str]) -> None:
    told = list(names.items())
    columns = 1 if any(len(name) > 22 for _, name in told) else 2
    rows = max(3, math.ceil(len(told) / columns))
    for i, (k, name) in enumerate(told):
        column, row = divmod(i, rows)
        x, y = column / columns, 0.95 - row / rows
        high = 0.7 / rows
        below.add_patch(Rectangle((x, y - high), 0.035, high, color=colors[k], linewidth=0))
        at = x + 0.055, y - high / 2
        below.text(*at, name, va="center", fontsize=6, parse_math=False)


def phase_legend(below: Axes, others: bool) -> None:
    """The phase as a bar that ends where it begins."""
    ramp = phase_colors()(np.linspace(0, 1, 240))[None]
    below.imshow(ramp, extent=(0, 1, 0.72, 0.95), aspect="auto")
    for x, told, side in (
        (0.0, "touchdown", "left"),
        (0.5, "½", "center"),
        (1.0, "touchdown", "right"),
    ):
        below.text(x, 0.66, told, ha=side, va="top", fontsize=6)
    if others:
        below.add_patch(Rectangle((0, 0.06), 0.035, 0.2, color=OUTSIDE_COLOR, linewidth=0))
        below.text(0.055, 0.16, "in no gait cycle", va="center", fontsize=6)
    below.set(xlim=(0, 1), ylim=(0, 1))


def scale_legend(below: Axes, low: float, high: float, whole: bool) -> None:
    ramp = scale_colors()(np.linspace(0, 1, 240))[None]
    below.imshow(ramp, extent=(0, 1, 0.72, 0.95), aspect="auto")
    spec = ".0f" if whole or high - low >= 10 else ".2g"
    below.text(0, 0.66, f"{low:{spec}}", ha="left", va="top", fontsize=6)
    below.text(1, 0.66, f"{high:{spec}}", ha="right", va="top", fontsize=6)
    below.set(xlim=(0, 1), ylim=(0, 1))


def table(axes: Axes, numbers: Sequence[tuple[str, str, str]]) -> None:
    axes.axis("off")
    axes.set(xlim=(0, 1), ylim=(0, 1))
    axes.set_title("Quality", pad=2, fontsize=7.5)
    y = 0.97
    for what, space, plane in numbers:
        head = not what
        weight = "bold" if head else "normal"
        axes.text(0, y, what, va="top", fontsize=6.2)
        axes.text(0.78, y, space, va="top", ha="right", fontsize=6.2, weight=weight)
        axes.text(1, y, plane, va="top", ha="right", fontsize=6.2, weight=weight)
        y -= 0.105


GROUP_COLORS = (
    "#1F5FA8",  # blue
    "#E07B00",  # orange
    "#B46CFC",  # violet
    "#54A89C",  # teal
    "#782400",  # brown
    "#000090",  # navy
    "#A85430",  # clay
    "#3C0C30",  # aubergine
)
"""Of controllers and runs: other than the clusters', which stand beside them.

Told apart under every kind of colour blindness, as those are.
"""

PANEL_INCHES = 1.6
"""Height of a panel."""

SIDE_BY_SIDE = 4
"""So many maps of one panel each fill the width of a page."""

HEAD_INCHES = 0.2
GAP_INCHES = 0.12

SIDE_INCHES = 0.07
"""Beside titles and caption."""

CAPTION_SIZE = 6.0
LEGEND_INCHES = 0.4
TITLE_INCHES = 0.2

TEXT_INCHES = 0.105
"""Height of a line of the caption."""

LEAP = 0.04
"""Where a path is further from any frame, in widths of the map, it goes from island to island."""

Plane = Float[np.ndarray, "frames 2"]


@dataclass(frozen=True, eq=False)
class Groups:
    """A colouring by what has no order: labels, controllers, runs.

    Attributes:
        title: of the panel.
        group: of each frame; −1: none.
        names: of each group that occurs, by number.
        colors: likewise.
    """

    title: str
    group: Int[np.ndarray, " frames"]
    names: dict[int, str]
    colors: dict[int, str]


@dataclass(frozen=True, eq=False)
class Circle:
    """A colouring by phase of the gait cycle, in [0, 2π); NaN: none."""

    title: str
    phase: Float64[np.ndarray, " frames"]


@dataclass(frozen=True, eq=False)
class Scale:
    """A colouring by a number.

    Attributes:
        title: of the panel.
        value: of each frame; NaN: none.
        whole: whether numbers are counts of things, such as the number of an episode.
    """

    title: str
    value: Float64[np.ndarray, " frames"]
    whole: bool = False


Colouring = Groups | Circle | Scale


@dataclass(frozen=True, eq=False)
class Trail:
    """A typical gait cycle, closed, from touchdown on; whose it is, "" if that is plain."""

    xy: Float64[np.ndarray, "steps 2"]
    name: str
    color: str = INK


@dataclass(frozen=True)
class Mark:
    """A prototype: its place, its number and its label."""

    xy: tuple[float, float]
    number: int
    label: int


@dataclass(frozen=True, eq=False)
class Drawn:
    """What is drawn of one map; frames that are nowhere are left out.

    Attributes:
        title: the run, or runs.
        xy: of each frame.
        colourings: a panel each.
        trails: typical gait cycles.
        trails_on: title of the panel that they are drawn on, if there are several panels.
        marks: prototypes.
        marks_on: likewise.
        numbers: rows of quality: what, in the space, in the plane; "" where there is none.
        summary: the same in a line.
        caption: under all panels; as plain text.
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


def latent_map(drawn: Drawn) -> Figure:
    """Draw one map at the width of a column: its panels, and last a table of its quality."""
    cells = len(drawn.colourings) + bool(drawn.numbers)
    columns = min(cells, 2)
    wide = COLUMN_INCHES / columns
    panel = PANEL_INCHES if columns == 2 else 2 * PANEL_INCHES
    cell = TITLE_INCHES + panel + LEGEND_INCHES
    with style():
        page = _Page(COLUMN_INCHES, HEAD_INCHES + cell * math.ceil(cells / columns), drawn.caption)
        page.write(SIDE_INCHES, 0.03, drawn.title, weight="bold", fontsize=8)
        places = [(wide * (i % columns), HEAD_INCHES + cell * (i // columns)) for i in range(cells)]
        for place, colouring in zip(places, drawn.colourings, strict=False):
            _panel(*page.cell(*place, wide, panel), drawn, colouring, colouring.title)
        if drawn.numbers:
            table(page.cell(*places[-1], wide, panel)[0], drawn.numbers)
    return page.figure


def latent_maps(maps: Sequence[Drawn], caption: str) -> Figure:
    """Draw several maps at the width of a page, a row each; or side by side, if all have one panel.

    Args:
        maps: one has a figure of its own.
        caption: of all together.
    """
    if len(maps) == 1:
        return latent_map(maps[0])
    most = max(len(each.colourings) for each in maps)
    columns = min(len(maps), SIDE_BY_SIDE) if most == 1 else most
    wide = PAGE_INCHES / columns
    panel = min(PANEL_INCHES, wide - GAP_INCHES)
    cell = TITLE_INCHES + panel + LEGEND_INCHES
    with style():
        if most == 1:
            page = _Page(PAGE_INCHES, cell * math.ceil(len(maps) / columns), caption)
            for i, drawn in enumerate(maps):
                place = wide * (i % columns), cell * (i // columns)
                for colouring in drawn.colourings:
                    _panel(*page.cell(*place, wide, panel), drawn, colouring, drawn.title)
            return page.figure
        row = HEAD_INCHES + cell
        page = _Page(PAGE_INCHES, row * len(maps), caption)
        for i, drawn in enumerate(maps):
            page.write(SIDE_INCHES, row * i + 0.03, drawn.title, weight="bold", fontsize=8)
            right = PAGE_INCHES - SIDE_INCHES
            page.write(right, row * i + 0.05, drawn.summary, ha="right", fontsize=6)
            for j, colouring in enumerate(drawn.colourings):
                place = wide * j, row * i + HEAD_INCHES
                _panel(*page.cell(*place, wide, panel), drawn, colouring, colouring.title)
    return page.figure


class _Page:
    """A figure with a caption, on which places are inches from the left and from the top."""

    def __init__(self, width: float, height: float, caption: str) -> None:
        lines = wrapped(caption, (width - 2 * SIDE_INCHES) * 72, CAPTION_SIZE)
        self.width, self.height = width, height + TEXT_INCHES * len(lines) + 0.08
        self.figure = Figure(figsize=(self.width, self.height))
        told = "\n".join(lines)
        self.write(SIDE_INCHES, height + 0.02, told, fontsize=CAPTION_SIZE, linespacing=1.15)

    def write(self, left: float, top: float, text: str, **look: Any) -> None:
        """Plain text: a run's name may hold a dollar sign."""
        at = left / self.width, 1 - top / self.height
        self.figure.text(*at, text, va="top", parse_math=False, **look)

    def cell(self, left: float, top: float, wide: float, panel: float) -> tuple[Axes, Axes]:
        """Axes of a panel with room for a title over it, and of the legend under it."""
        x, width = (left + GAP_INCHES / 2) / self.width, (wide - GAP_INCHES) / self.width
        base, under = self.height - top - TITLE_INCHES - panel, LEGEND_INCHES - 0.06
        axes = self.figure.add_axes((x, base / self.height, width, panel / self.height))
        place = x, (base - under) / self.height, width, under / self.height
        below = self.figure.add_axes(place, xlim=(0, 1), ylim=(0, 1))
        below.axis("off")
        return axes, below


def _panel(axes: Axes, below: Axes, drawn: Drawn, colouring: Colouring, title: str) -> None:
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
            group_legend(below, colouring.names, colouring.colors)
        case Circle():
            known = np.isfinite(colouring.phase)
            phase = np.where(known, colouring.phase, 0.0)
            _points(axes, drawn.xy, phase_colors()(phase / (2 * np.pi)), known)
            phase_legend(below, not known.all())
        case Scale():
            known = np.isfinite(colouring.value)
            low, high = _limits(colouring)
            part = (np.where(known, colouring.value, low) - low) / max(high - low, 1e-12)
            _points(axes, drawn.xy, scale_colors()(np.clip(part, 0, 1)), known)
            scale_legend(below, low, high, colouring.whole)
    alone = len(drawn.colourings) == 1
    if alone or colouring.title == drawn.trails_on:
        for trail in drawn.trails:
            _draw_trail(axes, trail, _leaps(trail, drawn.xy), drawn.trails)
    if alone or colouring.title == drawn.marks_on:
        _draw_marks(axes, drawn.marks, colouring.title == drawn.marks_on)


def _frame(axes: Axes, xy: Plane, panel: tuple[float, float]) -> None:
    """Both axes to one scale, with all points in a rectangle of the panel's shape."""
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
    """Frames in an order that is drawn, so that no group lies on top of another."""
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
    """Whole numbers from end to end; others without their outermost hundredths."""
    known = scale.value[np.isfinite(scale.value)]
    if not len(known):
        return 0.0, 1.0
    ends = (0, 1) if scale.whole else (0.01, 0.99)
    low, high = np.quantile(known, ends)
    return float(low), float(high)


def _leaps(trail: Trail, xy: Plane) -> Bool[np.ndarray, " steps"]:
    """Whether each step of a path leads through nowhere, by five places along it."""
    from scipy.spatial import KDTree

    ends = np.roll(trail.xy, -1, axis=0)
    part = np.linspace(0, 1, 5)[:, None, None]
    away, _ = KDTree(xy).query(trail.xy + part * (ends - trail.xy))
    return np.asarray(away.max(axis=0) > LEAP * float(np.ptp(xy, axis=0).max()))


def _draw_trail(
    axes: Axes, trail: Trail, leaps: Bool[np.ndarray, " steps"], all_trails: Sequence[Trail]
) -> None:
    """A closed path with arrows; a ring where it begins, at touchdown; dots where it leaps."""
    closed = np.concatenate([trail.xy, trail.xy[:1]])
    steps = np.linalg.norm(np.diff(closed, axis=0), axis=1)
    for i, leap in enumerate(leaps):
        own = closed[i : i + 2].T
        if leap:
            axes.plot(*own, color=trail.color, linewidth=0.7, linestyle=(0, (1, 1.2)), zorder=4)
        else:
            axes.plot(*own, color="white", linewidth=2.2, zorder=3.8)
            axes.plot(*own, color=trail.color, linewidth=1.1, solid_capstyle="round", zorder=4)
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
        # The names of rings that lie close together point away from each other, and from the edge.
        topmost = trail.xy[0, 1] >= max(each.xy[0, 1] for each in all_trails)
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
    """Numbers in circles, in the colours of their labels where frames have these."""
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


NO_DISTANCES = "Distances between islands mean nothing."
SHADOW = "What lies together here may lie apart in the other directions."


def caption(maps: Sequence[LatentMap]) -> str:
    """The caption of a figure of one map, or of several."""
    umap = maps[0].options.method == "umap"
    parts = [_made(maps), NO_DISTANCES if umap else SHADOW]
    if len(maps) > 1 and maps[0].options.space == "latent":
        parts.append("Every run has latents of its own, so places cannot be compared between maps.")
    if any(each.cycles for each in maps):
        parts.append(
            "Lines are typical gait cycles, from touchdown (ring) in the arrows' direction, dotted "
            "where they leap from island to island."
        )
    if any(each.prototypes for each in maps):
        parts.append(_prototypes(maps))
    parts += _quality(maps)
    return " ".join(parts)


def method_told(found: LatentMap) -> str:
    """How a map was made, in a few words."""
    if found.options.method == "umap":
        metric = SPACE_METRICS[found.options.space]
        return f"UMAP ({metric}, {NEIGHBOURS} neighbours, seed {found.options.seed})"
    first, second = found.explained or (0.0, 0.0)
    return f"PCA ({first:.0%} and {second:.0%} of the variance)"


def _made(maps: Sequence[LatentMap]) -> str:
    first = maps[0]
    method = method_told(first) if len({method_told(each) for each in maps}) == 1 else "PCA"
    encoder = ""
    if first.encoder:
        encoder = f" that {printable(first.encoder.name)} makes of all observations"
    counts = [f"{each.fitted:,}" for each in maps]
    told = " and ".join(dict.fromkeys(counts)) if len(set(counts)) < 3 else ", ".join(counts)
    told = (
        f"{method} of the {SPACE_NAMES[first.options.space]}{encoder}, n\u00a0=\u00a0{told} frames"
    )
    thinned = [each for each in maps if each.fitted < len(each.frames)]
    if thinned:
        of = sum(len(each.frames) for each in thinned)
        told += f", evenly drawn by episode, gait cycle and phase from {of:,}"
        if all(np.isfinite(each.xy).all() for each in thinned):
            exact = all(each.options.method == "pca" for each in thinned)
            told += ", the others projected" if exact else ", the others placed between them"
    return f"{told}."


def _prototypes(maps: Sequence[LatentMap]) -> str:
    told = "Circles are prototypes, each amid the frames nearest to it"
    dead = [(each.name, each.dead_prototypes) for each in maps if each.dead_prototypes]
    if dead:
        lists = [
            ", ".join(map(str, own)) + (f" ({name})" if len(maps) > 1 else "") for name, own in dead
        ]
        told += f"; never visited: {'; '.join(lists)}"
    return f"{told}."


def _quality(maps: Sequence[LatentMap]) -> list[str]:
    found = [each.quality for each in maps if each.quality]
    if not found:
        return []
    windows = np.concatenate([each.frames.window for each in maps])
    low, high = int(windows.min()), int(windows.max())
    n = max(each.frames for each in found)
    return [
        f"Quality over {n:,} frames, k\u00a0=\u00a0{found[0].neighbours}; frames of an episode "
        f"less than half a gait cycle, or {CLOCKLESS_WINDOW_S:g} s without one, apart "
        f"({low if low == high else f'{low} to {high}'} frames) are no neighbours."
    ]


Color = Literal["label", "phase", "return-to-go", "controller", "episode", "run"]
OnMap = Bool[np.ndarray, " frames"]
COLORS: tuple[Color, ...] = get_args(Color)

TITLES: dict[Color, str] = {
    "label": "Label",
    "phase": "Gait phase",
    "return-to-go": "Return-to-go",
    "controller": "Controller",
    "episode": "Episode",
    "run": "Run",
}

CONTROLLERS = {"mppi": "planner (mppi)", "pi": "policy (pi)"}


def figure(maps: Sequence[LatentMap], colors: Sequence[Color] | None = None) -> Figure:
    """Draw maps: one at the width of a column, several at that of a page.

    Args:
        maps: at least one.
        colors: a panel each; all that some map has by default.

    Raises:
        UsageError: no map has anything to show in one of the colours.
    """
    known = [color for color in COLORS if any(_has(each, color) for each in maps)]
    for color in colors or ():
        if color not in known:
            raise UsageError(f"--color: {_WHY_NOT[color]}: leave {color} out")
    told = caption(maps)
    return latent_maps([drawn(each, colors or known, told) for each in maps], told)


def drawn(found: LatentMap, colors: Sequence[Color], told: str) -> Drawn:
    """Everything that a figure of the map shows.

    Args:
        found: the map.
        colors: a panel each; grey where the map has nothing to show.
        told: the caption.
    """
    on_map = np.isfinite(found.xy).all(axis=1)
    first, second = found.explained or (0.0, 0.0)
    axes = (f"PC 1 ({first:.0%})", f"PC 2 ({second:.0%})") if found.explained else ("", "")
    return Drawn(
        title=_title(found),
        xy=found.xy[on_map],
        colourings=[_colouring(found, color, on_map) for color in colors],
        trails=_trails(found),
        trails_on=TITLES["phase" if found.of_one_checkpoint else "run"],
        marks=[Mark(each.xy, each.number, each.label) for each in found.prototypes],
        marks_on=_label_title(found),
        numbers=numbers(found),
        summary=summary(found),
        caption=told,
        axes=axes,
    )


_WHY_NOT: dict[Color, str] = {
    "label": "expected runs with labels of one agent, found none, or several agents in one map, "
    "whose labels have no common numbering",
    "phase": "expected gait cycles, found none",
    "return-to-go": "expected rewards, found none",
    "controller": "expected both controllers in a map, found one",
    "episode": "expected several episodes, found one",
    "run": "expected several runs in one map, found one",
}


def _has(found: LatentMap, color: Color) -> bool:
    """Whether a map can be coloured so, with more than one colour where there are groups."""
    if color == "label":
        return found.has_labels
    if color == "phase":
        return bool((found.frames.cycle >= 0).any())
    if color == "episode":
        return bool(found.frames.episode.any())
    if color == "controller":
        return len({trace.header["controller"] for trace in found.traces}) > 1
    return color == "return-to-go" or len(set(found.names)) > 1


def _title(found: LatentMap) -> str:
    """The run; of more runs than there is room for, how many."""
    runs = len(set(found.names))
    return found.name if runs < 3 else f"{runs} runs together"


def summary(found: LatentMap) -> str:
    """Quality in a line."""
    quality, labels = found.quality, found.labels
    told = []
    if quality:
        told += [
            f"trustworthiness {quality.trustworthiness:.2f}",
            f"continuity {quality.continuity:.2f}",
            f"neighbours kept over chance {quality.neighbours_over_chance:.2f}",
        ]
    if labels:
        told.append(f"label purity {labels.purity_space:.2f}, on the map {labels.purity_plane:.2f}")
    return ", ".join(told)


def _trails(found: LatentMap) -> list[Trail]:
    """Typical cycles: one a controller, with its name; in a joint map one a run, in its colour."""
    if found.of_one_checkpoint:
        several = len(found.cycles) > 1
        own = [found.traces[each.trace].header["controller"] for each in found.cycles]
        return [
            Trail(cycle.xy, name if several else "")
            for cycle, name in zip(found.cycles, own, strict=True)
        ]
    names = list(dict.fromkeys(found.names))
    longest: dict[str, CyclePath] = {}
    for cycle in sorted(found.cycles, key=lambda each: each.of):
        longest[found.names[cycle.trace]] = cycle
    return [
        Trail(cycle.xy, "", GROUP_COLORS[names.index(name) % len(GROUP_COLORS)])
        for name, cycle in longest.items()
    ]


def numbers(found: LatentMap) -> list[tuple[str, str, str]]:
    """Rows of the table of quality: what, in the space, in the plane."""
    rows: list[tuple[str, str, str]] = []
    quality, labels = found.quality, found.labels
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
            ("", found.options.space, "map"),
            ("label purity", f"{labels.purity_space:.2f}", f"{labels.purity_plane:.2f}"),
            ("  by chance", f"{labels.chance_purity:.2f}", f"{labels.chance_purity:.2f}"),
        ]
        if labels.silhouette_space is not None and labels.silhouette_plane is not None:
            rows.append(
                (
                    "silhouette",
                    f"{labels.silhouette_space:.2f}",
                    f"{labels.silhouette_plane:.2f}",
                )
            )
    return rows


def _label_title(found: LatentMap) -> str:
    fitted = any(trace.labels_sha256 for trace in found.traces)
    return TITLES["label"] + (" (fitted)" if fitted else "")


def _colouring(found: LatentMap, color: Color, on_map: OnMap) -> Colouring:
    frames, trace = found.frames, found.frames.trace[on_map]
    if color == "label":
        return _labels(found, on_map)
    if color == "phase":
        return Circle(TITLES[color], frames.phase[on_map])
    if color == "return-to-go":
        return Scale(TITLES[color], frames.to_go[on_map])
    if color == "episode":
        return Scale(TITLES[color], frames.episode[on_map] + 1.0, whole=True)
    if color == "controller":
        of_trace = [each.header["controller"] for each in found.traces]
        told = [CONTROLLERS.get(each, each) for each in of_trace]
    else:
        told = list(found.names)
    names = list(dict.fromkeys(told))
    number = np.array([names.index(each) for each in told])
    colors = {i: GROUP_COLORS[i % len(GROUP_COLORS)] for i in range(len(names))}
    return Groups(TITLES[color], number[trace], dict(enumerate(names)), colors)


def _labels(found: LatentMap, on_map: OnMap) -> Groups:
    if not found.has_labels:
        return Groups(f"{TITLES['label']}: none", np.full(int(on_map.sum()), -1), {}, {})
    label = found.frames.label[on_map].astype(np.int64)
    named = {each.label: f"{each.label} {each.name}" for each in found.label_names}
    occurring = [int(k) for k in np.unique(label) if k >= 0]
    return Groups(
        _label_title(found),
        label,
        {k: named.get(k, str(k)) for k in occurring},
        {k: label_color(k) for k in occurring},
    )
