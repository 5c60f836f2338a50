"""Rasters of labels over gait cycles, and the temperature audit."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from jaxtyping import Float64, Int, UInt8
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, NullLocator

from glassviz.figures.style import INK, style
from glassviz.palette import CLUSTER_COLORS, ink_on, label_color, to_rgb

PAGE_INCHES = 7.0
"""Width of a page between its margins."""

ROW_CYCLES = 180
"""Cycles in a row of a raster; an episode that does not fit begins the next row."""

GAP_CYCLES = 3
"""Between episodes."""

ROW_INCHES = 0.95

ROW_GAP = 0.25
"""Between rows of a raster, in heights of a row: room for the episodes' numbers."""

RIDGE_INCHES = 0.36
MOST_BARS = 60

TAIL = 0.98
"""Dwells beyond this quantile are counted in the last bar."""

NUMBERED_SHARE = 0.035
"""A part of an occupancy bar that is smaller has no room for its number."""

Raster = Int[np.ndarray, "cycles bins"]


def label_raster(
    rasters: Mapping[int, Raster],
    width_inches: float = PAGE_INCHES,
    row_inches: float = ROW_INCHES,
) -> Figure:
    """Draw every gait cycle as a column, phase upwards from touchdown, coloured by label.

    A locked gait shows bands, an oscillating one noise. Where an episode's most frequent label of
    neighbouring phases is one, its number stands there.

    Args:
        rasters: by number of the episode; those without cycles must be left out. −1: no frame.
        width_inches: of the figure.
        row_inches: height of a row.
    """
    rows = _rows({episode: len(raster) for episode, raster in rasters.items()})
    height = len(rows) + ROW_GAP * (len(rows) - 1)
    with style():
        figure, axes = _panel(
            row_inches * height, left=0.5, bottom=0.05, top=0.16, width=width_inches
        )
        for i, row in enumerate(rows):
            base, at = (len(rows) - 1 - i) * (1 + ROW_GAP), 0
            for episode in row:
                _draw_raster(axes, rasters[episode], at, base)
                middle = at + len(rasters[episode]) / 2
                axes.text(middle, base + 1.03, str(episode), ha="center", va="bottom", fontsize=6.5)
                at += len(rasters[episode]) + GAP_CYCLES
        width = max(sum(len(rasters[each]) + GAP_CYCLES for each in row) for row in rows)
        axes.set(xlim=(0, width - GAP_CYCLES), ylim=(0, height), xticks=[], ylabel="phase")
        bases = [i * (1 + ROW_GAP) for i in range(len(rows))]
        axes.set_yticks(
            [base + phase for base in bases for phase in (0, 0.5, 1)], ["0", "½", "1"] * len(rows)
        )
        axes.text(
            -0.005,
            1 + 0.03 / height,
            "episode",
            ha="right",
            va="bottom",
            fontsize=6.5,
            transform=axes.transAxes,
        )
        axes.yaxis.set_label_coords(-0.22 / (width_inches * axes.get_position().width), 0.5)
        # Away from the numbers of the episodes, and from the row below.
        for i, tick in enumerate(axes.get_yticklabels()):
            tick.set_verticalalignment(
                "bottom" if i % 3 == 0 else "center" if i % 3 == 1 else "top"
            )
        _bare(axes)
    return figure


def dwell_histograms(
    dwell_s: Mapping[int, Float64[np.ndarray, " segments"]],
    names: Mapping[int, str],
    frame_dt_s: float,
) -> Figure:
    """Draw how long each label stays, a ridge a label on one scale of time; the line is the median.

    Args:
        dwell_s: durations of each label's segments, s; those without any must be left out.
        names: what each label stands for.
        frame_dt_s: seconds between frames: bars are whole numbers of them wide.
    """
    longest = float(np.quantile(np.concatenate(list(dwell_s.values())), TAIL))
    step = frame_dt_s * max(1, math.ceil(longest / frame_dt_s / MOST_BARS))
    edges = (np.arange(max(2, math.ceil(longest / step) + 2)) - 0.5) * step
    with style():
        figure, axes = _panel(RIDGE_INCHES * len(dwell_s), left=1.25, bottom=0.4, top=0.05)
        for y, (label, values) in enumerate(dwell_s.items()):
            counts, _ = np.histogram(np.minimum(values, edges[-1]), edges)
            base = len(dwell_s) - 1.0 - y
            axes.stairs(
                base + 0.85 * counts / counts.max(),
                edges,
                baseline=base,
                fill=True,
                color=label_color(label),
                edgecolor=INK,
                linewidth=0.4,
            )
            median = [min(float(np.median(values)), edges[-1])] * 2
            axes.plot(median, [base, base + 0.92], color=INK, linewidth=1)
        told = [f"{k} {names.get(k, '')} (n = {len(v)})" for k, v in dwell_s.items()]
        axes.set_yticks(np.arange(len(told))[::-1] + 0.3, told)
        axes.set(xlim=(0, edges[-1]), ylim=(0, len(told)), xlabel="dwell, s")
        _bare(axes)
    return figure


def occupancy_bars(shares: Mapping[str, Float64[np.ndarray, " clusters"]]) -> Figure:
    """Draw how the frames are shared out between the labels, a bar for each set of frames.

    Args:
        shares: of the labels, by name of the set of frames; each sums to 1.
    """
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


def _panel(
    height: float, left: float, bottom: float, top: float, width: float = PAGE_INCHES
) -> tuple[Figure, Axes]:
    """A figure of that width with one pair of axes; all in inches."""
    total, right = bottom + height + top, 0.25 * width / PAGE_INCHES
    figure = Figure(figsize=(width, total))
    inner = (width - left - right) / width
    return figure, figure.add_axes((left / width, bottom / total, inner, height / total))


def _bare(axes: Axes) -> None:
    axes.grid(False)
    axes.spines[["left", "bottom"]].set_visible(False)


def _rows(cycles: Mapping[int, int]) -> list[list[int]]:
    """The episodes in each row, as many as there is room for."""
    rows: list[list[int]] = [[]]
    for episode, count in cycles.items():
        if rows[-1] and sum(cycles[each] + GAP_CYCLES for each in rows[-1]) + count > ROW_CYCLES:
            rows.append([])
        rows[-1].append(episode)
    return rows


def _draw_raster(axes: Axes, raster: Raster, at: int, base: float) -> None:
    cycles, bins = raster.shape
    axes.imshow(
        _colored(raster.T),
        extent=(at, at + cycles, base, base + 1),
        origin="lower",
        aspect="auto",
        interpolation="nearest",
    )
    bands = _bands(raster)
    wide = {label for low, high, label in bands if high - low > 1}
    for low, high, label in bands:
        if high - low == 1 and label in wide:
            continue  # Its number would cover its neighbours'.
        color = label_color(label)
        axes.text(
            at + cycles / 2,
            base + (low + high) / 2 / bins,
            str(label),
            ha="center",
            va="center",
            fontsize=6,
            color=ink_on(color),
            bbox={"boxstyle": "round,pad=0.15", "facecolor": color, "linewidth": 0},
        )


def _bands(raster: Raster) -> list[tuple[int, int, int]]:
    """Neighbouring bins whose most frequent label is one: first bin, bin behind, label."""
    counts = [np.bincount(column[column >= 0]) for column in raster.T]
    modes = np.array([count.argmax() if count.size else -1 for count in counts])
    cuts = [0, *(np.flatnonzero(np.diff(modes)) + 1).tolist(), len(modes)]
    return [(low, high, int(modes[low])) for low, high in pairwise(cuts) if modes[low] >= 0]


def _colored(label: Int[np.ndarray, "bins cycles"]) -> UInt8[np.ndarray, "bins cycles 4"]:
    """Colours of labels; −1 is transparent."""
    highest = int(label.max(initial=-1))
    palette = [(*to_rgb(label_color(k)), 255) for k in range(highest + 1)] + [(0, 0, 0, 0)]
    return np.array(palette, np.uint8)[label]


TICKS = (0.02, 0.1, 0.5, 2.0)

AIR = 1.3
"""Factor that the axes of temperature go beyond the first and the last."""

Curve = Sequence[float | None]


@dataclass(frozen=True)
class AuditCurves:
    """Soft metrics at a number of temperatures; None where a metric is undefined.

    Attributes:
        tau: the temperatures, rising.
        own_tau: the checkpoint's.
        within_cycle_mi_bits, between_cycle_mi_bits: how much soft clusters differ within gait
            cycles, and from cycle to cycle.
        confidence: mean of the largest entry.
        rule_agreement: share of frames in which hard and soft label are one.
    """

    tau: Sequence[float]
    own_tau: float
    within_cycle_mi_bits: Curve
    between_cycle_mi_bits: Curve
    confidence: Curve
    rule_agreement: Curve


def temperature_audit(curves: AuditCurves) -> Figure:
    """Draw the metrics against τ, those in bits on the left, shares on the right."""
    first, second = INK, CLUSTER_COLORS[5]  # both to be seen on white and on black
    with style():
        figure = Figure(figsize=(PAGE_INCHES, 1.75), layout="constrained")
        bits, shares = figure.subplots(1, 2)
        _draw(bits, curves, "within_cycle_mi_bits", "within cycles", first, "o-")
        _draw(bits, curves, "between_cycle_mi_bits", "between cycles", second, "s--")
        _draw(shares, curves, "confidence", "confidence", first, "o-")
        _draw(shares, curves, "rule_agreement", "rule agreement", second, "s--")
        bits.set_ylabel("soft JSD, bits")
        bits.set_ylim(0, 1.25 * max(bits.get_ylim()[1], 0.1))
        shares.set_ylabel("share")
        shares.set_ylim(0, 1.35)
        shares.set_yticks([0, 0.5, 1])
        low, high = min(curves.tau), max(curves.tau)
        for axes in (bits, shares):
            # Where no value is defined there are no limits that a scale of logarithms could keep.
            axes.set_xlim(low / AIR, high * AIR)
            axes.axvline(curves.own_tau, ymax=0.8, color=INK, linewidth=0.8, linestyle=":")
            place = axes.get_xaxis_transform()
            told = f" τ = {curves.own_tau:g}"
            axes.text(curves.own_tau, 0.03, told, transform=place, fontsize=6.5)
            axes.set_xscale("log")
            axes.xaxis.set_major_locator(FixedLocator(TICKS))
            axes.xaxis.set_minor_locator(NullLocator())
            axes.set_xticks(TICKS, [f"{tick:g}" for tick in TICKS])
            axes.set_xlabel("temperature τ")
            axes.legend(loc="upper right", ncols=2, borderaxespad=0)
    return figure


def _draw(axes: Axes, curves: AuditCurves, name: str, told: str, color: str, look: str) -> None:
    values = [float("nan") if each is None else each for each in getattr(curves, name)]
    axes.plot(curves.tau, values, look, color=color, label=told, markersize=2.5, linewidth=1)
