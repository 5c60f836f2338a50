"""Verdicts and means of runs in the few words that tables have room for."""

from collections.abc import Mapping
from typing import Any

from glassviz.analysis.statistics import MeanInterval
from glassviz.checkpoints.wording import printable
from glassviz.many import Failed

NONE = "–"
"""Where there is nothing to measure."""

LONGEST = 1000
"""More of a name or an error from a file is cut off."""


def named(name: str, split: Mapping[Any, int]) -> str:
    """The commonest verdict, with its share of the episodes; of a split run all of them."""
    if name == "split":
        return "split: " + ", ".join(f"{count} {each}" for each, count in split.items())
    count, episodes = split[name], sum(split.values())
    return name if count == episodes else f"{name} {count}/{episodes}"


def shown_return(returns: MeanInterval) -> str:
    """A mean return, ± half of its interval where it has one."""
    half = "" if returns.high is None else f" ± {returns.high - returns.mean:.0f}"
    return f"{returns.mean:.0f}{half}"


def shown_mean(interval: MeanInterval | None, spec: str = "z.2f") -> str:
    """A mean in the format `spec`; a dash for a number that no episode has."""
    return NONE if interval is None else f"{interval.mean:{spec}}"


def failure(row: Failed) -> str:
    """What is wrong with a run, without the path that stands beside it anyway."""
    return printable(row.reason, limit=LONGEST)
