"""Sentences for users."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from glassviz.metrics.stability import RunStability
from glassviz.metrics.statistics import BootstrapInterval, MeanInterval
from glassviz.rollout.batch import Failed
from glassviz.text import printable

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


ONE_LABEL = "one label"
"""Where locking is undefined because a single label leaves nothing to lock."""


def listed(names: Iterable[str], most: int = 4) -> str:
    """`a, b and c`; of more than `most` those that come first, and how many are left."""
    told = list(names)
    if len(told) > most:
        told = [*told[: most - 1], f"{len(told) - most + 1} more"]
    return told[0] if len(told) == 1 else f"{', '.join(told[:-1])} and {told[-1]}"


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


def count_of(count: int, what: str) -> str:
    """`1 run`, `2 runs`."""
    return f"{count} {what}" if count == 1 else f"{count} {what}s"


def verdict(name: str, split: Mapping[Any, int]) -> str:
    """The commonest verdict, with its share of the episodes if that is not all."""
    if name == "split":
        return " or ".join(f"{each} {count}" for each, count in split.items())
    count, episodes = split[name], sum(split.values())
    return name if count == episodes else f"{name} {count}/{episodes}"


def has_one_label(run: RunStability) -> bool:
    """Whether locking is measured in no episode, as each with gait cycles has one label in them."""
    locking = [each.steady_labels.locking for each in run.episodes if each.steady_labels]
    return any(locking) and all(each is None or each.locking_u is None for each in locking)


def shown_locking(run: RunStability) -> str:
    """The mean of U; `one label` for a run that has but one, unlike the dash of one without any."""
    return ONE_LABEL if has_one_label(run) else shown_mean(run.metrics["locking_u"])


def reasons_of(run: RunStability) -> tuple[str, ...]:
    """The reasons of a run's basin; with one label, where that decides, the first says so."""
    first, *others = run.basin.reasons
    told = f"{first} ({ONE_LABEL})" if "labels" in first and has_one_label(run) else first
    return told, *others


def labels_used(runs: Sequence[RunStability]) -> tuple[str, ...]:
    """Which labels runs were judged by, a line for learned and a line for fitted ones."""
    learned: dict[str, dict[str, str]] = {}
    for run in runs:
        if run.labels_from != "none" and run.labels_sha256 is None:
            how = f"rule {run.label_rule}" + ("" if run.tau is None else f", τ {run.tau:g}")
            learned.setdefault(how, {})[run.checkpoint_sha256] = run.checkpoint
    told = [
        how if len(learned) == 1 else f"{how} ({', '.join(of.values())})"
        for how, of in learned.items()
    ]
    lines = [f"labels: learned, {'; '.join(told)}"] if told else []
    files = {run.checkpoint_sha256: run for run in runs if run.labels_sha256}
    if files:
        named = ", ".join(f"{each.checkpoint} {each.labels_sha256:.12}" for each in files.values())
        lines.append(
            f"labels: fitted to the agents' latents by `glassviz fit`, not learned; sha256 of the "
            f"files: {named}"
        )
    return tuple(lines)


_FRACTIONS = {1.0: "Real speed", 0.5: "Half speed", 0.25: "A quarter of the speed"}


def speed_words(speed: float) -> str:
    """`A quarter of the speed`."""
    return _FRACTIONS.get(speed, f"{speed:g} times the speed")
