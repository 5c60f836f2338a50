"""What the colours of a map's panels mean, drawn under them, and the table of its quality."""

import math
from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.patches import Rectangle

from glassviz.plots.colormaps import phase_colors, scale_colors

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
