"""Figures of labels: raster over cycles, dwell histograms, occupancy, temperature audit."""

import math
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

import numpy as np
from jaxtyping import Float64, Int, UInt8
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, MaxNLocator, NullLocator

from glassviz.figures.style import INK, PAGE_INCHES, PLAIN, FigureStyle, style
from glassviz.metrics.labels import SoftStats
from glassviz.palette import CLUSTER_COLORS, ink_on, label_color, to_rgb

ROW_INCHES = 0.8
"""Height of a panel of a raster."""

PANEL_INCHES = 1.3
"""Smallest width of a panel of a raster."""

LEFT_INCHES, RIGHT_INCHES, PANEL_GAP = 0.42, 0.08, 0.14
TITLE_INCHES, AXIS_INCHES = 0.22, 0.36
"""Margins of the panels of a raster."""

RIDGE_INCHES = 0.36
MAX_BARS = 60

TAIL = 0.98
"""Dwells beyond this quantile are counted in the last bar."""

NUMBERED_SHARE = 0.035
"""Smallest part of an occupancy bar that has room for its number."""

AUDIT_COLOR = CLUSTER_COLORS[5]
"""Colour of the second curve of an audit, visible on white and on black."""

TAU_TICKS = (0.02, 0.1, 0.5, 2.0)

TAU_PADDING = 1.3
"""Factor by which the temperature axes extend beyond the first and the last value."""

Raster = Int[np.ndarray, "cycles bins"]


def label_raster(
    rasters: Mapping[int, Raster], look: FigureStyle = PLAIN, row_inches: float = ROW_INCHES
) -> Figure:
    """Draw every gait cycle as a column, phase upwards from touchdown, coloured by label.

    One panel per episode, all of equal size and with the same axes: phase, and number of the gait
    cycle. Locked labels form bands, oscillating ones noise. A band of phases with the same most
    frequent label in an episode is annotated with the label's number.

    Args:
        rasters: by the episode's number, without episodes that have no cycles; −1 for no frame.
        look: style, in a page of its own width.
        row_inches: height of a panel.
    """
    width = look.inches(PAGE_INCHES)
    columns = min(len(rasters), max(1, int((width - LEFT_INCHES) // PANEL_INCHES)))
    rows = math.ceil(len(rasters) / columns)
    title = TITLE_INCHES if look.title else 0.08
    step = row_inches + title
    height = rows * step + AXIS_INCHES
    longest = max(map(len, rasters.values()))
    panel = (width - LEFT_INCHES - RIGHT_INCHES + PANEL_GAP) / columns
    with style(look):
        figure = Figure(figsize=(width, height))
        for i, (episode, raster) in enumerate(rasters.items()):
            row, column = divmod(i, columns)
            left = LEFT_INCHES + column * panel
            bottom = height - (row + 1) * step
            box = left / width, bottom / height, (panel - PANEL_GAP) / width, row_inches / height
            axes = figure.add_axes(box)
            _draw_raster(axes, raster, 0, 0.0)
            axes.set(xlim=(0, longest), ylim=(0, 1))
            if look.title:
                axes.set_title(f"episode {episode}", fontsize=7, pad=2)
            axes.grid(False)
            axes.spines[["top", "right"]].set_visible(True)
            axes.tick_params(length=2.5)
            axes.set_yticks([0, 0.5, 1], ["0", "½", "1"] if column == 0 else [])
            axes.xaxis.set_major_locator(MaxNLocator(4, integer=True))
            lowest = i + columns >= len(rasters)
            axes.tick_params(labelbottom=lowest)
            if lowest:
                axes.set_xlabel("gait cycle", labelpad=1)
            if column == 0:
                axes.set_ylabel("phase", labelpad=2)
    return figure


def dwell_histograms(
    dwell_s: Mapping[int, Float64[np.ndarray, " segments"]],
    names: Mapping[int, str],
    frame_dt_s: float,
) -> Figure:
    """Draw one histogram of dwell times per label, on a common time scale; lines are medians.

    Args:
        dwell_s: durations of the segments by label, without labels that have none, s.
        names: gait phases by label.
        frame_dt_s: time between frames, s; bars are a multiple of it wide.
    """
    longest = float(np.quantile(np.concatenate(list(dwell_s.values())), TAIL))
    step = frame_dt_s * max(1, math.ceil(longest / frame_dt_s / MAX_BARS))
    edges = (np.arange(max(2, math.ceil(longest / step) + 2)) - 0.5) * step
    with style():
        figure, axes = _panel(RIDGE_INCHES * len(dwell_s), left=1.25, bottom=0.4, top=0.05)
        for y, (label, values) in enumerate(dwell_s.items()):
            counts, _ = np.histogram(np.minimum(values, edges[-1]), edges)
            base = len(dwell_s) - 1.0 - y
            look: Any = {"color": label_color(label), "edgecolor": INK, "linewidth": 0.4}
            bars = base + 0.85 * counts / counts.max()
            axes.stairs(bars, edges, baseline=base, fill=True, **look)
            median = [min(float(np.median(values)), edges[-1])] * 2
            axes.plot(median, [base, base + 0.92], color=INK, linewidth=1)
        ticks = [f"{k} {names.get(k, '')} (n = {len(v)})" for k, v in dwell_s.items()]
        axes.set_yticks(np.arange(len(ticks))[::-1] + 0.3, ticks)
        axes.set(xlim=(0, edges[-1]), ylim=(0, len(ticks)), xlabel="dwell, s")
        _bare(axes)
    return figure


def occupancy_bars(shares: Mapping[str, Float64[np.ndarray, " clusters"]]) -> Figure:
    """Draw one stacked bar of label shares, which sum to 1, per named set of frames."""
    with style():
        figure, axes = _panel(0.27 * len(shares), left=0.9, bottom=0.2, top=0.03)
        for y, share in enumerate(shares.values()):
            left = 0.0
            for label, part in enumerate(share.tolist()):
                if not part:
                    continue
                color = label_color(label)
                axes.barh(y, part, left=left, height=0.8, color=color, edgecolor=INK, linewidth=0.3)
                if part >= NUMBERED_SHARE:
                    text = f"{label}" if part < 3 * NUMBERED_SHARE else f"{label}: {part:.0%}"
                    middle = left + part / 2
                    axes.text(middle, y, text, ha="center", va="center", color=ink_on(color))
                left += part
        axes.set_yticks(range(len(shares)), list(shares))
        axes.set(xlim=(0, 1), ylim=(len(shares) - 0.5, -0.5))
        axes.set_xticks([0, 0.25, 0.5, 0.75, 1], ["0", "25 %", "50 %", "75 %", "100 %"])
        _bare(axes)
    return figure


def temperature_audit(audit: Sequence[SoftStats], checkpoint_tau: float) -> Figure:
    """Draw soft metrics against the temperature τ: bits on the left, shares on the right.

    The checkpoint's own τ is marked; undefined metrics are left out.
    """
    taus = [each.tau for each in audit]
    with style():
        figure = Figure(figsize=(PAGE_INCHES, 1.75), layout="constrained")
        bits, shares = figure.subplots(1, 2)
        for axes, name, label, color, line in (
            (bits, "within_cycle_mi_bits", "within cycles", INK, "o-"),
            (bits, "between_cycle_mi_bits", "between cycles", AUDIT_COLOR, "s--"),
            (shares, "confidence", "confidence", INK, "o-"),
            (shares, "rule_agreement", "rule agreement", AUDIT_COLOR, "s--"),
        ):
            values = np.array([getattr(each, name) for each in audit], float)  # None becomes NaN
            axes.plot(taus, values, line, color=color, label=label, markersize=2.5, linewidth=1)
        bits.set(ylabel="soft JSD, bits", ylim=(0, 1.25 * max(bits.get_ylim()[1], 0.1)))
        shares.set(ylabel="share", ylim=(0, 1.35), yticks=[0, 0.5, 1])
        for axes in (bits, shares):
            # Set first: without any defined value, a logarithmic scale has no valid limits.
            axes.set_xlim(min(taus) / TAU_PADDING, max(taus) * TAU_PADDING)
            axes.axvline(checkpoint_tau, ymax=0.8, color=INK, linewidth=0.8, linestyle=":")
            transform = axes.get_xaxis_transform()
            text = f" τ = {checkpoint_tau:g}"
            axes.text(checkpoint_tau, 0.03, text, transform=transform, fontsize=6.5)
            axes.set_xscale("log")
            axes.xaxis.set_major_locator(FixedLocator(TAU_TICKS))
            axes.xaxis.set_minor_locator(NullLocator())
            axes.set_xticks(TAU_TICKS, [f"{tick:g}" for tick in TAU_TICKS])
            axes.set_xlabel("temperature τ")
            axes.legend(loc="upper right", ncols=2, borderaxespad=0)
    return figure


def _panel(
    height: float, left: float, bottom: float, top: float, width: float = PAGE_INCHES
) -> tuple[Figure, Axes]:
    """A figure of `width`, with axes of `height` and margins around them, inches."""
    total, right = bottom + height + top, 0.25 * width / PAGE_INCHES
    figure = Figure(figsize=(width, total))
    inner = (width - left - right) / width
    return figure, figure.add_axes((left / width, bottom / total, inner, height / total))


def _bare(axes: Axes) -> None:
    axes.grid(False)
    axes.spines[["left", "bottom"]].set_visible(False)


def _draw_raster(axes: Axes, raster: Raster, left: int, base: float) -> None:
    cycles, bins = raster.shape
    extent = left, left + cycles, base, base + 1
    axes.imshow(
        _colored(raster.T), aspect="auto", interpolation="nearest", origin="lower", extent=extent
    )
    bands = _bands(raster)
    wide = {label for low, high, label in bands if high - low > 1}
    for low, high, label in bands:
        if high - low == 1 and label in wide:
            continue  # Its number would cover its neighbours' numbers.
        color = label_color(label)
        at = left + cycles / 2, base + (low + high) / 2 / bins
        box: Any = {"boxstyle": "round,pad=0.15", "facecolor": color, "linewidth": 0}
        look: Any = {"ha": "center", "va": "center", "fontsize": 6, "color": ink_on(color)}
        axes.text(*at, str(label), bbox=box, **look)


def _bands(raster: Raster) -> list[tuple[int, int, int]]:
    """Runs of bins with the same most frequent label: first bin, last bin (exclusive), label."""
    counts = [np.bincount(column[column >= 0]) for column in raster.T]
    modes = np.array([count.argmax() if count.size else -1 for count in counts])
    cuts = [0, *(np.flatnonzero(np.diff(modes)) + 1).tolist(), len(modes)]
    return [(low, high, int(modes[low])) for low, high in pairwise(cuts) if modes[low] >= 0]


def _colored(label: Int[np.ndarray, "bins cycles"]) -> UInt8[np.ndarray, "bins cycles 4"]:
    """Colours of labels; −1 is transparent."""
    highest = int(label.max(initial=-1))
    palette = [(*to_rgb(label_color(k)), 255) for k in range(highest + 1)] + [(0, 0, 0, 0)]
    return np.array(palette, np.uint8)[label]
