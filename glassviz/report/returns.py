"""Metrics against return, over the runs of one controller: the figure, and the table of all."""

from collections.abc import Iterable, Mapping
from dataclasses import replace

from glassviz.comparison import ControllerRuns
from glassviz.comparison.returns import NAMED, PRIMARY, MetricCorrelation
from glassviz.comparison.wording import interval, p_value
from glassviz.plots.scatter import Panel, against_return
from glassviz.report.page import Drawing, Table
from glassviz.stability import OF_LABELS
from glassviz.stability.wording import NONE

TITLE = "Stability against return"
DRAWN = (PRIMARY, *NAMED)


def drawing_of(own: ControllerRuns, name: str) -> Drawing | None:
    """The primary metric and the named ones against return, a point a run.

    Args:
        own: the runs.
        name: of the drawing.

    Returns:
        None for a single run, and where returns have no common scale.
    """
    found = {each.metric: each for each in own.stability_and_return.correlations}
    if not found or len(own.runs) < 2:
        return None
    returns = dict(zip(own.returns.runs, own.returns.values, strict=True))
    order = sorted(returns, key=lambda run: (-returns[run], run))
    number = {run: i for i, run in enumerate(order, start=1)}
    drawn = [found[metric] for metric in DRAWN]
    if not any(each.runs for each in drawn):
        return Drawing(name, TITLE, f"No run has {' or '.join(DRAWN)}.", "", None, DRAWN)
    told = f"{', '.join(DRAWN)} of {len(order)} runs against their return"
    caption = (
        f"A point is a checkpoint, the mean over its episodes; the numbers go by return: "
        f"{', '.join(f'{i} {run}' for run, i in number.items())}. {_tests(drawn)}"
    )
    figure = against_return(
        [Panel(each.metric, _over_panel(each), _numbered(each, number)) for each in drawn],
        {number[run]: value for run, value in returns.items()},
        {number[run]: each.basin for each in own.basins for run in each.returns.runs},
    )
    return Drawing(name, TITLE, told, caption, figure, DRAWN)


def tables_of(own: ControllerRuns) -> tuple[Table, ...]:
    """Every metric that can be correlated with return, those of labels and those of the body."""
    found = own.stability_and_return
    within = [
        # Its p is one of several, and adjusted for none of them.
        (f"{PRIMARY} within {basin}", replace(each, adjusted_p=None))
        for basin, each in found.within_basins.items()
    ]
    named = [(each.metric, each) for each in found.correlations]
    groups = {
        "Metrics of labels and return": [
            *[pair for pair in named if pair[0] in OF_LABELS],
            *within,
        ],
        "Metrics of the body and return": [pair for pair in named if pair[0] not in OF_LABELS],
    }
    head = ("metric", "n", "ρ", "95 %", "p", "p at best", "adjusted p")
    return tuple(
        Table(title, head, rows, _note(pairs))
        for title, pairs in groups.items()
        if (rows := tuple(_rows(pairs)))
    )


def _numbered(found: MetricCorrelation, number: Mapping[str, int]) -> dict[int, float]:
    values = zip(found.runs, found.values, strict=True)
    return {number[run]: value for run, value in values}


def _over_panel(found: MetricCorrelation) -> str:
    n = f"n = {len(found.runs)}"
    test = found.test
    return f"ρ = {test.statistic:.2f}, {p_value(test.p)}, {n}" if test else f"{n}, no ρ"


def _tests(drawn: Iterable[MetricCorrelation]) -> str:
    """Every test with the smallest p that its values could have led to."""
    told = []
    for each in drawn:
        n, test = len(each.runs), each.test
        if test is None:
            told.append(f"{each.metric} n = {n}, ρ undefined")
            continue
        text = f"{each.metric} ρ = {test.statistic:.2f}, n = {n}, {p_value(test.p)}"
        text += f" (at best {test.smallest_p:.2g}"
        if each.family == "named" and each.adjusted_p is not None:
            text += f"; {each.adjusted_p:.2g} adjusted"
        told.append(f"{text})")
    return f"{'; '.join(told)}."


def _rows(pairs: Iterable[tuple[str, MetricCorrelation]]) -> Iterable[tuple[str, ...]]:
    for name, each in pairs:
        if each.test is None:
            continue
        low, high = each.rho_low, each.rho_high
        yield (
            name,
            str(len(each.runs)),
            f"{each.test.statistic:+.2f}",
            NONE if low is None or high is None else interval(low, high, ".2f"),
            f"{each.test.p:.2g}",
            f"{each.test.smallest_p:.2g}",
            NONE if each.adjusted_p is None else f"{each.adjusted_p:.2g}",
        )


def _note(pairs: Iterable[tuple[str, MetricCorrelation]]) -> str:
    missing = [name for name, each in pairs if each.test is None]
    told = "n: runs. p at best: the smallest that these values could have led to in any order."
    if missing:
        told += f" Not measured, or the same in all runs: {', '.join(missing)}."
    return told
