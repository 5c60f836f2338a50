"""Basins, returns, metrics and values of several runs of one controller."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from glassviz.compare.runs import (
    Caveat,
    ComparedRun,
    Mismatch,
    OneBasin,
    Unmeasured,
    dependence,
    mismatch,
    mixed_recipes,
)
from glassviz.metrics.stability import METRICS
from glassviz.metrics.statistics import (
    IQM_FROM,
    BootstrapInterval,
    PermutationTest,
    Share,
    benjamini_hochberg,
    bootstrap_interval,
    generator,
    holm,
    rank_correlation_test,
    share_interval,
)
from glassviz.metrics.verdict import RunBasinName

BASINS: tuple[RunBasinName, ...] = (
    "stable-hop",
    "stable",
    "unstable",
    "split",
    "undetermined",
)


@dataclass(frozen=True)
class Returns:
    """Returns of some runs, one value per run.

    Attributes:
        mean, iqm: over runs, with intervals that resample runs and then their episodes; None for
            fewer than four runs, where the values are more informative.
    """

    runs: tuple[str, ...]
    values: tuple[float, ...]
    mean: BootstrapInterval | None
    iqm: BootstrapInterval | None


@dataclass(frozen=True)
class BasinShare:
    """Share of the runs in one basin, with Wilson's interval, and their returns."""

    basin: RunBasinName
    share: Share
    returns: Returns


def basin_shares(compared: Sequence[ComparedRun]) -> tuple[BasinShare, ...]:
    """Shares of all basins in the order of `BASINS`, also of empty ones; empty without runs."""
    found = []
    for basin in BASINS:
        inside = _inside(basin, compared)
        share = share_interval(len(inside), len(compared))
        if share:
            found.append(BasinShare(basin, share, returns_of(inside)))
    return tuple(found)


def _inside(basin: RunBasinName, compared: Sequence[ComparedRun]) -> list[ComparedRun]:
    return [each for each in compared if each.stability.basin.name == basin]


def returns_of(compared: Sequence[ComparedRun]) -> Returns:
    """Returns of runs, with a summary if there are enough of them on a common scale."""
    episodes = [[each.episode_return for each in run.stability.episodes] for run in compared]
    enough = len(compared) >= IQM_FROM and mismatch(compared) is None
    return Returns(
        runs=tuple(each.name for each in compared),
        values=tuple(each.mean_return for each in compared),
        mean=bootstrap_interval(episodes, generator(episodes)) if enough else None,
        iqm=bootstrap_interval(episodes, generator(episodes), "iqm") if enough else None,
    )


PRIMARY = "fleiss_kappa"
"""Primary metric: agreement of labels across gait cycles."""

NAMED = ("locking_u", "window_mi_10_bits", "switches_per_cycle")
"""Secondary metrics, chosen in advance and adjusted by Holm's method."""

LEVEL = 0.05
"""Significance level; intervals cover the rest."""

STRATUM_FROM = 5
"""Smallest basin that is tested separately: ranks of fewer runs cannot reach the level."""

_INTERVAL_FROM = 4
_Z = 1.959964
Family = Literal["primary", "named", "explored"]


@dataclass(frozen=True)
class MetricCorrelation:
    """One metric against return, over the runs in which it is defined.

    Attributes:
        metric: name in `METRICS`.
        family: `primary`, `named` in advance, or `explored`.
        values, returns: mean over the episodes of each run.
        test: Spearman's ρ, p and the smallest attainable p; None if ρ is undefined.
        rho_low, rho_high: approximate 95 % interval of ρ; None below four runs or for |ρ| = 1.
        adjusted_p: p adjusted within its family (Holm for `named`, Benjamini-Hochberg for
            `explored`, unadjusted for the primary metric); None without a test, and for an
            explored metric whose smallest attainable p is above 0.05.
    """

    metric: str
    family: Family
    runs: tuple[str, ...]
    values: tuple[float, ...]
    returns: tuple[float, ...]
    test: PermutationTest | None
    rho_low: float | None
    rho_high: float | None
    adjusted_p: float | None

    @property
    def testable(self) -> bool:
        """Whether its test could reach the level."""
        return self.test is not None and self.test.smallest_p <= LEVEL


@dataclass(frozen=True)
class StabilityAndReturn:
    """Correlation of stability with return over the runs of one controller.

    Attributes:
        runs: number of runs, with and without labels.
        correlations: of every metric, primary and named ones first; empty without a common scale.
        within_basins: of the primary metric, for basins with at least five runs.
        mismatch: the setting that keeps returns from having a common scale; None if they have one.
    """

    runs: int
    correlations: tuple[MetricCorrelation, ...]
    within_basins: dict[RunBasinName, MetricCorrelation]
    mismatch: Mismatch | None
    caveats: tuple[Caveat, ...]


def stability_and_return(compared: Sequence[ComparedRun]) -> StabilityAndReturn:
    """Correlate every metric with return over the runs of one controller."""
    differing = mismatch(compared)
    if differing:
        return StabilityAndReturn(len(compared), (), {}, differing, ())
    order = dict.fromkeys((PRIMARY, *NAMED, *METRICS))
    found = _adjusted([_correlate(name, compared) for name in order])
    alone = {basin: _correlate(PRIMARY, _inside(basin, compared)) for basin in BASINS}
    within = {
        basin: each
        for basin, each in alone.items()
        if STRATUM_FROM <= len(each.runs) < len(found[0].runs)
    }
    return StabilityAndReturn(len(compared), found, within, None, _caveats(compared, found[0]))


def _correlate(name: str, compared: Sequence[ComparedRun]) -> MetricCorrelation:
    known = [each for each in compared if each.stability.metrics[name] is not None]
    values = [value.mean for each in known if (value := each.stability.metrics[name])]
    returns = [each.mean_return for each in known]
    test = rank_correlation_test(values, returns, generator(values, returns))
    low, high = correlation_interval(test.statistic, len(known)) if test else (None, None)
    return MetricCorrelation(
        metric=name,
        family="primary" if name == PRIMARY else "named" if name in NAMED else "explored",
        runs=tuple(each.name for each in known),
        values=tuple(values),
        returns=tuple(returns),
        test=test,
        rho_low=low,
        rho_high=high,
        adjusted_p=test.p if test else None,
    )


def correlation_interval(rho: float, n: int) -> tuple[float | None, float | None]:
    """Fisher's transformation with the variance for ranks.

    References:
        Bonett & Wright, "Sample size requirements for estimating Pearson, Kendall and Spearman
        correlations", Psychometrika 2000.
    """
    if n < _INTERVAL_FROM or abs(rho) > 1 - 1e-9:
        return None, None
    half = _Z * np.sqrt((1 + rho**2 / 2) / (n - 3))
    low, high = np.tanh(np.arctanh(rho) + np.array([-half, half])).tolist()
    return low, high


def _adjusted(found: list[MetricCorrelation]) -> tuple[MetricCorrelation, ...]:
    adjust = {"primary": lambda p: p, "named": holm, "explored": benjamini_hochberg}
    adjusted: list[MetricCorrelation] = []
    for family, adjustment in adjust.items():
        own = [each for each in found if each.family == family]
        p = np.array(
            [
                each.test.p if each.test and (family != "explored" or each.testable) else np.nan
                for each in own
            ]
        )
        for each, value in zip(own, adjustment(p).tolist(), strict=True):
            adjusted.append(replace(each, adjusted_p=None if np.isnan(value) else value))
    return tuple(adjusted)


def _caveats(compared: Sequence[ComparedRun], primary: MetricCorrelation) -> tuple[Caveat, ...]:
    measured = [each for each in compared if each.name in primary.runs]
    missing = len(compared) - len(measured)
    found: list[Caveat | None] = [
        Unmeasured(PRIMARY, missing, len(compared)) if missing else None,
        mixed_recipes(measured),
        *dependence(measured),
    ]
    basins = {each.stability.basin.name for each in measured}
    if len(basins) == 1 and len(measured) > 1:
        found.append(OneBasin(basins.pop()))
    return tuple(caveat for caveat in found if caveat)


MEASURED = (PRIMARY, "locking_u")


@dataclass(frozen=True)
class MetricMean:
    """One metric over runs.

    Attributes:
        runs, values: runs where it is defined, n of them, and the mean over the episodes of each.
        mean: over runs, with an interval that resamples runs and then their episodes; None for
            fewer than four runs, where the values are more informative.
    """

    metric: str
    runs: tuple[str, ...]
    values: tuple[float, ...]
    mean: BootstrapInterval | None


def metric_means(compared: Sequence[ComparedRun]) -> tuple[MetricMean, ...]:
    """The metrics of `MEASURED` over the runs of one controller; n counts runs."""
    return tuple(_mean(name, compared) for name in MEASURED)


def _mean(name: str, compared: Sequence[ComparedRun]) -> MetricMean:
    names, samples = [], []
    for run in compared:
        values = (METRICS[name](each) for each in run.stability.episodes)
        if defined := [value for value in values if value is not None and np.isfinite(value)]:
            names.append(run.name)
            samples.append(defined)
    means = tuple(float(np.mean(sample)) for sample in samples)
    mean = bootstrap_interval(samples, generator(samples)) if len(samples) >= IQM_FROM else None
    return MetricMean(name, tuple(names), means, mean)


@dataclass(frozen=True)
class Values:
    """Value calibration over the runs of one controller.

    Attributes:
        biases: predicted − realised discounted reward of each run.
        rank_correlations: mean over the episodes of each run; None if undefined.
        worse_than_mean: runs whose values predict worse than the mean realised value.
        shaped: runs trained on a shaped reward, which their values predict.
    """

    runs: tuple[str, ...]
    biases: tuple[float, ...]
    rank_correlations: tuple[float | None, ...]
    worse_than_mean: tuple[str, ...]
    shaped: tuple[str, ...]


def compare_values(compared: Sequence[ComparedRun]) -> Values:
    """Value calibration of the runs of one controller."""
    known = [(each, value) for each in compared if (value := each.stability.calibration)]
    ranks = [value.rank_correlation for _, value in known]
    return Values(
        runs=tuple(each.name for each, _ in known),
        biases=tuple(value.bias.mean for _, value in known),
        rank_correlations=tuple(rank.mean if rank else None for rank in ranks),
        worse_than_mean=tuple(each.name for each, value in known if (value.relative_rmse or 0) > 1),
        shaped=tuple(each.name for each, _ in known if each.shaped),
    )
