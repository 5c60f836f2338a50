"""Figure of the history of a training run: return, gait and labels over environment steps."""

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import get_args

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch
from matplotlib.ticker import EngFormatter, MaxNLocator

from glassviz.compare.history import History, Moment
from glassviz.figures.style import COLUMN_INCHES, INK, style
from glassviz.gait.verdict import FOOT_RULES, HOPPER_RULES, JOINT_RULES, GaitName
from glassviz.metrics.verdict import Verdict
from glassviz.palette import CLUSTER_COLORS

PANEL_INCHES = 1.3
_COLORS = tuple(CLUSTER_COLORS[k] for k in (5, 4, 2, 7, 0, 1, 3, 6))
_UNDETERMINED = "#C9CDD4"


def history_figure(found: Sequence[History]) -> Figure:
    """Draw return, shares of gaits and shares of verdicts on labels, one column per history."""
    gaits = _gaits(found)
    with style():
        width = max(COLUMN_INCHES, 0.75 * COLUMN_INCHES * len(found))
        figure = Figure(figsize=(width, 0.6 + 3 * PANEL_INCHES), layout="constrained")
        panels = figure.subplots(3, len(found), sharex="col", sharey="row", squeeze=False)
        for column, history in zip(panels.T, found, strict=True):
            _draw(column.tolist(), history, gaits)
        for axes, title in zip(panels[:, 0], ("return", "gait", "labels"), strict=True):
            axes.set_ylabel(title if title == "return" else f"{title}, share of episodes")
        _legend(panels[1, -1], gaits)
        _legend(panels[2, -1], get_args(Verdict))
    return figure


def _gaits(found: Sequence[History]) -> list[str]:
    """Gaits that the bodies of the runs may have."""
    seen = {name for history in found for each in history.moments for name in each.gait_split}
    kinds = [{*rules, "undetermined"} for rules in (HOPPER_RULES, FOOT_RULES, JOINT_RULES)]
    own = next((kind for kind in kinds if seen <= kind), {*seen, "undetermined"})
    return [name for name in get_args(GaitName) if name in own]


def _draw(column: Sequence[Axes], history: History, gaits: Sequence[str]) -> None:
    moments = history.moments
    steps = [each.env_steps for each in moments]
    column[0].set_title(f"{history.run} ({history.controller})")
    means = [each.returns.mean for each in moments]
    low = [_bound(each, each.returns.low) for each in moments]
    high = [_bound(each, each.returns.high) for each in moments]
    column[0].fill_between(steps, low, high, color=INK, alpha=0.15, linewidth=0)
    column[0].plot(steps, means, color=INK, marker="o", markersize=2.5)
    _shares(column[1], steps, [each.gait_split for each in moments], gaits)
    _shares(column[2], steps, [each.label_split for each in moments], get_args(Verdict))
    column[2].set_xlabel("environment steps")
    column[2].xaxis.set_major_locator(MaxNLocator(4, steps=[1, 2, 5, 10]))
    column[2].xaxis.set_major_formatter(EngFormatter(sep=""))


def _bound(moment: Moment, bound: float | None) -> float:
    return moment.returns.mean if bound is None else bound


def _shares(
    axes: Axes, steps: Sequence[int], splits: Sequence[Mapping[str, int]], names: Sequence[str]
) -> None:
    """Stacked bars: one per checkpoint, as wide as the smallest distance of two allows."""
    width = 0.8 * min(b - a for a, b in pairwise(steps))
    bottom = [0.0] * len(steps)
    for name in names:
        height = [split.get(name, 0) / sum(split.values()) for split in splits]
        axes.bar(steps, height, width, bottom, color=_color(name, names), linewidth=0)
        bottom = [a + b for a, b in zip(bottom, height, strict=True)]
    axes.set_ylim(0, 1)


def _color(name: str, names: Sequence[str]) -> str:
    if name == "undetermined":
        return _UNDETERMINED
    return _COLORS[[each for each in names if each != "undetermined"].index(name) % len(_COLORS)]


def _legend(axes: Axes, names: Sequence[str]) -> None:
    handles = [Patch(color=_color(name, names), label=name) for name in names]
    axes.legend(handles=handles, loc="center left", bbox_to_anchor=(1, 0.5), fontsize=6)
