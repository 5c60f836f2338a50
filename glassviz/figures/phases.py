"""The figure of phases against each other: curves, performance profiles, improvement."""

from collections.abc import Sequence
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter, MaxNLocator

from glassviz.compare.phases import Comparison, over_steps
from glassviz.figures.returns import short
from glassviz.figures.style import INK, PAGE_INCHES, PLAIN, STYLE, FigureStyle, style, wrapped

DASHES = ("-", "--", ":", "-.")

PANEL_INCHES = 1.9
CAPTION_SIZE, CAPTION_INCHES = 6.0, 0.105
PAIR_INCHES = 0.2
LABEL_POINTS = 92.0


def phases_figure(found: Comparison, caption: str, look: FigureStyle = PLAIN) -> Figure:
    """Draw curves, profiles where there are several tasks, and probabilities of improvement."""
    with style(look):
        width = look.inches(PAGE_INCHES)
        lines = wrapped(caption, 72 * width - 12, CAPTION_SIZE) if look.caption else []
        rows = max(PANEL_INCHES, 0.5 + PAIR_INCHES * len(found.at_steps.pairs))
        below = CAPTION_INCHES * len(lines) + 0.32
        height = rows + 0.35 + below
        figure = Figure(figsize=(width, height))
        margins: Any = {"rect": (0, below / height, 1, 1 - below / height)}
        figure.set_layout_engine("constrained", **margins)
        panels = figure.subplots(1, 3 if found.profiles else 2, squeeze=False)[0]
        looks = looks_of([each.color for each in found.groups])
        _curves(panels[0], found, looks)
        if found.profiles:
            _profiles(panels[1], found, looks)
        _improvement(panels[-1], found)
        handles = [Line2D([], [], **each, linewidth=1.6) for each in looks]
        names = [each.name for each in found.groups]
        at = 0.5, (CAPTION_INCHES * len(lines) + 0.08) / height
        legend = figure.legend(
            handles, names, loc="lower center", bbox_to_anchor=at, ncols=min(len(names), 6)
        )
        for text in legend.get_texts():
            text.set_parse_math(False)  # a folder's name may contain a dollar sign
        placed: Any = {"va": "top", "fontsize": CAPTION_SIZE, "parse_math": False}
        place = 6 / 72 / width, (CAPTION_INCHES * len(lines) + 0.04) / height
        figure.text(*place, "\n".join(lines), **placed)
    return figure


def looks_of(colors: Sequence[str]) -> list[dict[str, Any]]:
    """Colour and dashes: a phase keeps its colour; another of the same colour is dashed."""
    return [
        {"color": color, "linestyle": DASHES[list(colors[:i]).count(color) % len(DASHES)]}
        for i, color in enumerate(colors)
    ]


def _curves(axes: Axes, found: Comparison, looks: Sequence[dict[str, Any]]) -> None:
    for group, look in zip(found.groups, looks, strict=True):
        steps, middle, low, high = over_steps(found, group)
        axes.fill_between(steps, low, high, color=look["color"], alpha=0.18, linewidth=0)
        axes.plot(steps, middle, **look, linewidth=1.6)
    axes.set(xlabel="environment steps", title="over training", xlim=(0, None))
    axes.set_ylabel("score (return / 1000)" if found.normalised else "return")
    axes.set_ylim(0, 1 if found.normalised else None)
    axes.xaxis.set_major_locator(MaxNLocator(4, steps=[1, 2, 2.5, 5, 10]))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda step, _: short(step)))


def _profiles(axes: Axes, found: Comparison, looks: Sequence[dict[str, Any]]) -> None:
    for profile, look in zip(found.profiles, looks, strict=True):
        bounds = profile.low, profile.high
        axes.fill_between(found.scores_from, *bounds, color=look["color"], alpha=0.18, linewidth=0)
        axes.plot(found.scores_from, profile.share, **look, linewidth=1.6)
    axes.set(xlim=(0, 1), ylim=(0, 1.02), title="performance profiles")
    axes.set(xlabel="score τ", ylabel="trainings with a score > τ")


def _improvement(axes: Axes, found: Comparison) -> None:
    pairs = found.at_steps.pairs[::-1]
    for i, pair in enumerate(pairs):
        each = pair.improvement
        if each.low is not None and each.high is not None:
            axes.plot([each.low, each.high], [i, i], color=INK, linewidth=2.5, alpha=0.3)
        axes.plot(each.estimate, i, "o", color=INK, ms=3.5, clip_on=False)
    size = float(STYLE["ytick.labelsize"])
    labels = ["\n".join(wrapped(f"{p.one} > {p.other}", LABEL_POINTS, size)) for p in pairs]
    axes.set_yticks(range(len(pairs)), labels)
    for text in axes.get_yticklabels():
        text.set_parse_math(False)
    axes.axvline(0.5, color=INK, linewidth=0.5, linestyle=":")
    axes.set(xlim=(0, 1), ylim=(-0.6, len(pairs) - 0.4), title="probability of improvement")
    axes.set_xlabel("P(a training returns more)")
