"""How stable the labels of runs are in the mean: over runs, and then over their episodes."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from glassviz.analysis.statistics import IQM_FROM, BootstrapInterval, bootstrap_interval
from glassviz.comparison.members import Member
from glassviz.comparison.returns import PRIMARY
from glassviz.comparison.wording import estimate, listed
from glassviz.stability import METRICS

MEASURED = (PRIMARY, "locking_u")


@dataclass(frozen=True)
class MetricMean:
    """One metric over runs.

    Attributes:
        metric: by its name in `METRICS`.
        runs: those in which it is defined; n is their number.
        values: of each, the mean over the episodes in which it is defined.
        mean: over runs, with an interval from resampled runs and then their episodes; None below
            four runs, whose values say more than a summary.
    """

    metric: str
    runs: tuple[str, ...]
    values: tuple[float, ...]
    mean: BootstrapInterval | None


@dataclass(frozen=True)
class MetricMeans:
    """The metrics of `MEASURED` over the runs of one controller.

    Attributes:
        metrics: each of them.
        answer: in a sentence.
    """

    metrics: tuple[MetricMean, ...]
    answer: str


def metric_means(members: Sequence[Member], rng: np.random.Generator) -> MetricMeans:
    """Means over runs of one controller, runs being what is counted."""
    found = tuple(_mean(name, members, rng) for name in MEASURED)
    told = "; ".join(_told(each) for each in found)
    return MetricMeans(found, f"Stability over runs: {told}.")


def _mean(name: str, members: Sequence[Member], rng: np.random.Generator) -> MetricMean:
    sample = [[METRICS[name](each) for each in run.stability.episodes] for run in members]
    defined = [
        (run.name, [value for value in values if value is not None and np.isfinite(value)])
        for run, values in zip(members, sample, strict=True)
    ]
    defined = [(run, values) for run, values in defined if values]
    values = [own for _, own in defined]
    return MetricMean(
        metric=name,
        runs=tuple(run for run, _ in defined),
        values=tuple(float(np.mean(own)) for own in values),
        mean=bootstrap_interval(values, rng) if len(defined) >= IQM_FROM else None,
    )


def _told(found: MetricMean) -> str:
    if not found.runs:
        return f"{found.metric} is measured in none"
    values = listed(f"{value:.2f}" for value in found.values)
    shown = estimate(found.mean, ".2f") if found.mean else values
    return f"{found.metric} {shown}, n = {len(found.runs)}"
