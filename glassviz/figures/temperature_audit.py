"""The figure of soft metrics against the temperature of the soft assignment."""

from collections.abc import Sequence
from dataclasses import dataclass

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, NullLocator

from glassviz.figures.style import INK, PAGE_INCHES, style
from glassviz.palette import CLUSTER_COLORS

TICKS = (0.02, 0.1, 0.5, 2.0)

PADDING = 1.3
"""Factor by which the temperature axes extend beyond the first and the last value."""

Curve = Sequence[float | None]


@dataclass(frozen=True)
class AuditCurves:
    """Soft metrics by temperature; None where a metric is undefined.

    Attributes:
        tau: temperatures, ascending.
        checkpoint_tau: temperature of the checkpoint.
        within_cycle_mi_bits, between_cycle_mi_bits: variation of the soft clusters within gait
            cycles, and between cycles.
        confidence: mean of the largest entry.
        rule_agreement: share of frames in which hard and soft label agree.
    """

    tau: Sequence[float]
    checkpoint_tau: float
    within_cycle_mi_bits: Curve
    between_cycle_mi_bits: Curve
    confidence: Curve
    rule_agreement: Curve


def temperature_audit(curves: AuditCurves) -> Figure:
    """Draw the metrics against τ: bits on the left, shares on the right."""
    first, second = INK, CLUSTER_COLORS[5]  # visible on white and on black
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
            # Set first: without any defined value, a logarithmic scale has no valid limits.
            axes.set_xlim(low / PADDING, high * PADDING)
            axes.axvline(curves.checkpoint_tau, ymax=0.8, color=INK, linewidth=0.8, linestyle=":")
            transform = axes.get_xaxis_transform()
            text = f" τ = {curves.checkpoint_tau:g}"
            axes.text(curves.checkpoint_tau, 0.03, text, transform=transform, fontsize=6.5)
            axes.set_xscale("log")
            axes.xaxis.set_major_locator(FixedLocator(TICKS))
            axes.xaxis.set_minor_locator(NullLocator())
            axes.set_xticks(TICKS, [f"{tick:g}" for tick in TICKS])
            axes.set_xlabel("temperature τ")
            axes.legend(loc="upper right", ncols=2, borderaxespad=0)
    return figure


def _draw(axes: Axes, curves: AuditCurves, name: str, label: str, color: str, line: str) -> None:
    values = [float("nan") if value is None else value for value in getattr(curves, name)]
    axes.plot(curves.tau, values, line, color=color, label=label, markersize=2.5, linewidth=1)
