"""How many runs end in which basin, and what they earn there."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from glassviz.analysis.basin import RunBasinName
from glassviz.analysis.statistics import (
    IQM_FROM,
    BootstrapInterval,
    Share,
    bootstrap_interval,
    share_interval,
)
from glassviz.comparison.members import Member, unlike
from glassviz.comparison.wording import count_of, estimate, interval, listed

BASINS: tuple[RunBasinName, ...] = ("stable-hop", "unstable", "split", "undetermined")


@dataclass(frozen=True)
class Returns:
    """What some runs earn; one value a run.

    Attributes:
        runs: their names.
        values: mean return of each.
        mean, iqm: over runs, with intervals from resampled runs and then their episodes; None
            below four runs, whose values say more than a summary.
    """

    runs: tuple[str, ...]
    values: tuple[float, ...]
    mean: BootstrapInterval | None
    iqm: BootstrapInterval | None


@dataclass(frozen=True)
class BasinShare:
    """One basin.

    Attributes:
        basin: which.
        share: of the runs, with Wilson's interval.
        returns: of the runs in it.
    """

    basin: RunBasinName
    share: Share
    returns: Returns


def told_basins(shares: Sequence[BasinShare]) -> str:
    """Basins that have runs, in a sentence: `stable-hop 2 of 5 [12%, 77%], return 400 and 410`."""
    told = [
        f"{each.basin} {each.share.hits} of {each.share.count} "
        f"{interval(each.share.low, each.share.high, '.0%')}"
        # Those of all runs are told anyway.
        f"{f', {_told_returns(each.returns)}' if each.share.hits < each.share.count else ''}"
        for each in shares
        if each.share.hits
    ]
    return f"{'; '.join(told)}."


def told_returns(returns: Returns) -> str:
    """Returns over runs, in a sentence."""
    return f"Over {count_of(len(returns.runs), 'run')}: {_told_returns(returns)}."


def _told_returns(returns: Returns) -> str:
    if returns.mean is None or returns.iqm is None:
        return f"return {listed(f'{value:.0f}' for value in returns.values)}"
    mean, iqm = (estimate(each, ".0f") for each in (returns.mean, returns.iqm))
    return f"mean return {mean}, interquartile mean {iqm}"


def basin_shares(members: Sequence[Member], rng: np.random.Generator) -> tuple[BasinShare, ...]:
    """Every basin, empty ones too, in the order of `BASINS`; none without runs."""
    found = []
    for basin in BASINS:
        inside = [each for each in members if each.stability.basin.name == basin]
        share = share_interval(len(inside), len(members))
        if share:
            found.append(BasinShare(basin, share, returns_of(inside, rng)))
    return tuple(found)


def returns_of(members: Sequence[Member], rng: np.random.Generator) -> Returns:
    """Returns of runs, and their summary if there are enough, on a common scale."""
    episodes = [[each.episode_return for each in run.stability.episodes] for run in members]
    enough = len(members) >= IQM_FROM and unlike(members) is None
    return Returns(
        runs=tuple(each.name for each in members),
        values=tuple(each.mean_return for each in members),
        mean=bootstrap_interval(episodes, rng) if enough else None,
        iqm=bootstrap_interval(episodes, rng, "iqm") if enough else None,
    )
