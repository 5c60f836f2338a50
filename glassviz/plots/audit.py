"""The temperature audit: how much of soft metrics is the temperature's doing."""

from collections.abc import Sequence
from dataclasses import dataclass

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, NullLocator

from glassviz.plots.figure import INK, style
from glassviz.plots.labels import PAGE_INCHES
from glassviz.plots.palette import CLUSTER_COLORS

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
