"""Numbers as text."""

from collections.abc import Mapping
from typing import Any

from glassviz.metrics.statistics import BootstrapInterval, MeanInterval

NONE = "–"
"""Where there is nothing to measure."""


def figure(value: float | None, spec: str = ".2f") -> str:
    """A number in the format `spec`; a dash for none."""
    return NONE if value is None else f"{value:{spec}}"


def shown_return(returns: MeanInterval) -> str:
    """A mean return, ± half of its interval where it has one."""
    half = "" if returns.high is None else f" ± {returns.high - returns.mean:.0f}"
    return f"{returns.mean:.0f}{half}"


def shown_mean(interval: MeanInterval | None, spec: str = "z.2f") -> str:
    """A mean in the format `spec`; a dash for a number that no episode has."""
    return NONE if interval is None else f"{interval.mean:{spec}}"


def p_value(p: float) -> str:
    """`p = 0.034`; two digits, three below a tenth."""
    return f"p = {p:.2g}" if p < 0.001 else f"p = {p:.3f}" if p < 0.1 else f"p = {p:.2f}"


def interval(low: float, high: float, spec: str) -> str:
    """`[1.5, 2.5]`, a 95 % interval."""
    return f"[{low:{spec}}, {high:{spec}}]"


def estimate(found: BootstrapInterval, spec: str) -> str:
    """`2.0 [1.5, 2.5]`; without the interval where there is none."""
    told = f"{found.estimate:{spec}}"
    if found.low is None or found.high is None:
        return told
    return f"{told} {interval(found.low, found.high, spec)}"


def named(name: str, split: Mapping[Any, int]) -> str:
    """The commonest verdict, with its share of the episodes; of a split run all of them."""
    if name == "split":
        return "split: " + ", ".join(f"{count} {each}" for each, count in split.items())
    count, episodes = split[name], sum(split.values())
    return name if count == episodes else f"{name} {count}/{episodes}"


def verdict(name: str, split: Mapping[Any, int]) -> str:
    """The commonest verdict, with its share of the episodes if that is not all."""
    if name == "split":
        return " or ".join(f"{each} {count}" for each, count in split.items())
    count, episodes = split[name], sum(split.values())
    return name if count == episodes else f"{name} {count}/{episodes}"


_FRACTIONS = {1.0: "Real speed", 0.5: "Half speed", 0.25: "A quarter of the speed"}


def speed_words(speed: float) -> str:
    """`A quarter of the speed`."""
    return _FRACTIONS.get(speed, f"{speed:g} times the speed")
