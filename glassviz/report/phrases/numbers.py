"""Numbers as text."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from glassviz.metrics.statistics import BootstrapInterval, MeanInterval

if TYPE_CHECKING:
    from glassviz.video.film import FilmReport

NONE = "–"
"""Stands for a missing value."""


def figure(value: float | None, spec: str = ".2f") -> str:
    """A number in the format `spec`; a dash for None."""
    return NONE if value is None else f"{value:{spec}}"


def shown_return(returns: MeanInterval) -> str:
    """A mean return, ± half the width of its interval if it has one."""
    half = "" if returns.high is None else f" ± {returns.high - returns.mean:.0f}"
    return f"{returns.mean:.0f}{half}"


def shown_mean(interval: MeanInterval | None, spec: str = "z.2f") -> str:
    """A mean in the format `spec`; a dash if no episode has a value."""
    return NONE if interval is None else f"{interval.mean:{spec}}"


def p_value(p: float) -> str:
    """`p = 0.42`, `p = 0.034`, `p = 0.0002`."""
    return f"p = {p:.2g}" if p < 0.001 else f"p = {p:.3f}" if p < 0.1 else f"p = {p:.2f}"


def interval(low: float, high: float, spec: str) -> str:
    """A 95 % interval: `[1.5, 2.5]`."""
    return f"[{low:{spec}}, {high:{spec}}]"


def estimate(found: BootstrapInterval, spec: str) -> str:
    """`2.0 [1.5, 2.5]`; the estimate alone if there is no interval."""
    text = f"{found.estimate:{spec}}"
    if found.low is None or found.high is None:
        return text
    return f"{text} {interval(found.low, found.high, spec)}"


def majority(name: str, split: Mapping[Any, int]) -> str:
    """A run's verdict with its share of the episodes: `hop 9/10`, `split (5 hop, 5 static)`.

    The share is omitted if all episodes agree.
    """
    if name == "split":
        return f"split ({', '.join(f'{count} {each}' for each, count in split.items())})"
    count, episodes = split[name], sum(split.values())
    return name if count == episodes else f"{name} {count}/{episodes}"


def short_majority(name: str, split: Mapping[Any, int]) -> str:
    """The same in one word or two: `hop 9/10`, `split`."""
    return name if name == "split" else majority(name, split)


_FRACTIONS = {1.0: "Real time", 0.5: "Half speed", 0.25: "Quarter speed"}


def speed_words(speed: float) -> str:
    """`Quarter speed`, `3 times real time`."""
    return _FRACTIONS.get(speed, f"{speed:g} times real time")


def film_facts(report: "FilmReport") -> str:
    """Frames, rate, size, codec and renderer of a film."""
    return (
        f"{report.frames} frames at {report.fps:g} fps, {report.width}x{report.height}, "
        f"{report.codec} {report.pixel_format}, drawn by {report.renderer} ({report.quality}) in "
        f"{report.seconds:.1f} s"
    )
