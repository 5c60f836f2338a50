"""The tables of `glassviz graph`."""

import sys
from collections.abc import Sequence

from rich.console import Console
from rich.table import Table
from rich.text import Text

from glassviz.analysis.graph_stats import ChainStats, PartitionStats
from glassviz.checkpoints.wording import printable
from glassviz.graphs import FluxDifference, Graphed, RunGraph
from glassviz.graphs.difference_drawing import distance_told
from glassviz.graphs.matching import MATCHED_BY
from glassviz.graphs.wording import NONE, convention, title_of, told_cycle
from glassviz.many import Failed
from glassviz.plots.graph_drawing import percent

CYCLES = 3
"""That are told of each level."""

LARGEST = 8
"""Differences that are told."""

_NOTES = (
    "h: entropy rate, bits a step of the mode, and as a share of the largest possible. one-way: "
    "share of the traffic that goes one way only (irreversibility; 0 for any two states). fades: "
    "slowest relaxation time with steps of 1 and of 10 frames; growing, so that the states do not "
    "tell all that matters, in a clock. cycles: share of the switches (times completed). gap: "
    "share of H¹ that the clusters explain, by chance for random clusters of the same sizes, at "
    "best for those that a greedy search finds. Everything: --json."
)


def print_graphs(rows: Sequence[Graphed | Failed], console: Console | None = None) -> None:
    """Print the numbers of every graph, and what is wrong with runs that there is none of.

    Args:
        rows: of `graph_all`.
        console: where to; by default the terminal, or, into a file or a pipe, lines as long as
            they need to be.
    """
    console = console or _console()
    for row in rows:
        if isinstance(row, Failed):
            failed = ("failed", "bold red")
            error = printable(row.error, limit=1000)
            console.print(Text.assemble(printable(row.name, limit=1000), " ", failed, f": {error}"))
            continue
        _print_graph(row.graph, console)
    if any(isinstance(row, Graphed) for row in rows):
        console.print(Text(_NOTES, "dim"))


def print_difference(found: FluxDifference, console: Console | None = None) -> None:
    """Print where the traffic of two runs differs most."""
    console = console or _console()
    console.print()
    console.print(Text(f"{printable(found.one)} against {printable(found.other)}", "bold"))
    console.print(Text(f"mode {found.mode}; {MATCHED_BY[found.matched_by]}"))
    console.print(Text(distance_told(found)))
    table = _table("from", "to", "one", "other", "difference")
    between = abs(found.difference)
    order = sorted(
        ((i, j) for i in range(len(between)) for j in range(len(between)) if between[i, j] > 0),
        key=lambda pair: (-float(between[pair]), pair),
    )
    for i, j in order[:LARGEST]:
        own, its = float(found.one_flux[i, j]), float(found.other_flux[i, j])
        sign = "+" if its > own else "−"
        change = f"{sign}{percent(abs(its - own))}"
        table.add_row(_state(found, i), _state(found, j), percent(own), percent(its), change)
    if order:
        console.print(table)


def _state(found: FluxDifference, index: int) -> str:
    state = found.states[index]
    one, other = (NONE if n is None else str(n) for n in (state.one, state.other))
    return one if one == other else f"{one} ↔ {other}"


def _console() -> Console:
    return Console(highlight=False, width=None if sys.stdout.isatty() else 10_000)


def _table(first: str, *titles: str) -> Table:
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="bold")
    table.add_column(first, no_wrap=True)
    for title in titles:
        table.add_column(title, overflow="fold")
    return table


def _print_graph(graph: RunGraph, console: Console) -> None:
    stats = graph.stats
    console.print(
        Text.assemble(
            (title_of(graph), "bold"),
            f": mode {graph.mode}, {graph.episodes} episodes after their openings, "
            f"{graph.frames:,} frames",
        )
    )
    table = _table("", "visited", "switches", "h", "one-way", "fades", "cycles")
    for name, level, count in (
        ("prototypes", stats.prototypes, len(graph.partition)),
        ("labels", stats.labels, graph.partition.shape[1]),
    ):
        table.add_row(name, *_chain(level, count))
    console.print(table)
    table = _table("", "H¹", "H²", "gap", "by chance", "z", "p", "best", "crossing", "Q")
    for each in (stats.flow, stats.train):
        if each:
            table.add_row(each.convention, *_partition(each))
    console.print(table)
    for each in (stats.flow, stats.train):
        if each:
            console.print(Text(f"{each.convention}: {convention(each)}", "dim"))
    distance = stats.prototypes.occupancy_distance
    if distance is not None:
        text = f"stationary against empirical occupancy: {percent(distance)} of the time differs"
        console.print(Text(text))
    console.print(Text(f"best clusters found (flow): {_clusters(graph)}"))
    console.print()


def _chain(level: ChainStats, count: int) -> tuple[str, ...]:
    slow, slower = (level.slowest_s.get(lag) for lag in (1, 10))
    told = [
        f"{told_cycle(each)} {percent(each.share)} ({each.count:,}×)"
        for each in level.cycles[:CYCLES]
    ]
    rate = NONE
    if level.entropy_rate_bits is not None:
        share = "" if level.entropy_rate is None else f" ({level.entropy_rate:.2f})"
        rate = f"{level.entropy_rate_bits:.2f}{share}"
    return (
        f"{len(level.visited)} of {count}",
        f"{level.switches:,}",
        rate,
        _shown(level.irreversibility),
        f"{_seconds(slow)}, {_seconds(slower)}",
        "\n".join(told) or NONE,
    )


def _partition(found: PartitionStats) -> tuple[str, ...]:
    entropy, cut = found.entropy, found.cut
    chance = None if not entropy.h1_bits else 1 - entropy.null_h2_bits / entropy.h1_bits
    return (
        f"{entropy.h1_bits:.3f}",
        f"{entropy.h2_bits:.3f}",
        _shown(entropy.gap, ".3f"),
        _shown(chance, ".3f"),
        _shown(entropy.z, ".1f"),
        f"{entropy.p:.3f}",
        _shown(found.best_gap, ".3f"),
        f"{_shown(cut.share)} ({_shown(cut.null_share)} by chance)",
        _shown(found.modularity),
    )


def _clusters(graph: RunGraph) -> str:
    """Visited prototypes of the best partition, cluster by cluster."""
    best, visited = graph.stats.flow.best, graph.stats.prototypes.visited
    groups: dict[int, list[str]] = {}
    for i in visited:
        groups.setdefault(int(best[i]), []).append(str(i))
    return " ".join("{" + ", ".join(group) + "}" for group in groups.values()) or NONE


def _shown(value: float | None, spec: str = ".2f") -> str:
    return NONE if value is None else f"{value:{spec}}"


def _seconds(value: float | None) -> str:
    return NONE if value is None else f"{value:.2g} s"
