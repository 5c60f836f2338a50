"""Tables of the commands."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console
from rich.table import Table
from rich.text import Text

from glassviz.cli import terminal
from glassviz.compare.fit import Fitted
from glassviz.compare.graphs import FluxDifference, Graphed, RunGraph
from glassviz.compare.single_label import single_label
from glassviz.figures.flux_difference import MATCHED_BY, distance_text
from glassviz.figures.graph_drawing import PROTOTYPE, percent
from glassviz.figures.latent_map import caption
from glassviz.figures.transition_graph import convention, cycle_text, title_of
from glassviz.maps.maps import LatentMap
from glassviz.metrics.transitions import ChainStats, PartitionStats
from glassviz.report.phrases import tables as notes
from glassviz.report.phrases.numbers import NONE, figure, majority, shown_mean, shown_return
from glassviz.report.phrases.verdicts import (
    LONGEST,
    failure,
    labels_used,
    shown_basin,
    shown_labels,
)
from glassviz.rollout.batch import Failed
from glassviz.rollout.run import Run
from glassviz.text import printable

if TYPE_CHECKING:
    from glassviz.compare.compare import Comparison
    from glassviz.compare.fit import LabelComparison
    from glassviz.compare.history import History
    from glassviz.rollout.evaluate import Fresh


def print_together(together: "Comparison", console: Console) -> None:
    """Print the comparison of runs, one paragraph per question; the numbers are in the JSON."""
    grid = Table.grid(padding=(0, 2, 0, 0))
    grid.add_column(no_wrap=True, style="bold")
    grid.add_column(overflow="fold")
    for title, text in notes.comparison_paragraphs(together):
        # Text, not markup: names come from files.
        grid.add_row(title, Text(printable(text, limit=2000)))
    console.print()
    console.print(grid)


_STYLES = {"stable-hop": "green", "unstable": "red", "split": "yellow", "undetermined": "yellow"}


def print_table(
    rows: Sequence[Run | Failed],
    together: "Comparison | None" = None,
    console: Console | None = None,
) -> None:
    """Print one row per run and controller, notes on the columns, and the comparison of the runs.

    Args:
        together: their comparison; None if there is nothing to compare.
    """
    console = console or terminal.console()
    table = Table(box=None, padding=(0, 1, 0, 0), header_style="bold")
    table.add_column("run", overflow="fold", min_width=10)
    table.add_column("by", no_wrap=True)
    table.add_column("return", no_wrap=True, justify="right")
    table.add_column("gait", overflow="fold", min_width=12)
    table.add_column("labels", overflow="fold", min_width=12)
    for title in ("seen", "U", "κ", "sw/cyc"):
        table.add_column(title, no_wrap=True, justify="right")
    table.add_column("basin", overflow="fold", min_width=13)
    for row in rows:
        # Text, not markup, as names and errors come from files.
        name = Text(printable(row.name, limit=1000))
        if isinstance(row, Run):
            table.add_row(name, row.controller, *_cells(row, rows))
        else:
            table.add_row(name, row.controller or "", *[""] * 7, _failed(failure(row)))
    console.print(table)
    assessed = [row.stability for row in rows if isinstance(row, Run)]
    if assessed:
        console.print(Text(notes.STABILITY_NOTES, "dim"))
    for line in labels_used(assessed):
        console.print(Text(printable(line, limit=1000)))
    if together:
        print_together(together, console)


def print_history(history: "History", console: Console | None = None) -> None:
    """Print gait, labels, basin and return of a training run over its environment steps."""
    console = console or terminal.console()
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="bold")
    for title in ("env steps", "return"):
        table.add_column(title, no_wrap=True, justify="right")
    for title in ("gait", "labels", "basin"):
        table.add_column(title, overflow="fold")
    for each in history.moments:
        table.add_row(
            f"{each.env_steps:,}",
            shown_return(each.returns),
            majority(each.gait, each.gait_split),
            majority(each.labels, each.label_split),
            majority(each.basin, each.basin_split),
        )
    console.print()
    console.print(Text(f"history of {_name(history.run)} ({history.controller})", "bold"))
    console.print(table)


def _cells(row: Run, rows: Sequence[Run | Failed]) -> tuple[str | Text, ...]:
    run = row.stability
    return (
        shown_return(run.returns),
        majority(run.gait.name, run.gait.split),
        shown_labels(run, single_label(row, rows)),
        NONE if run.occupancy is None else str(len(run.occupancy.visited)),
        shown_mean(run.metrics["locking_u"]),
        shown_mean(run.metrics["fleiss_kappa"]),
        shown_mean(run.metrics["switches_per_cycle"], "z.1f"),
        Text(shown_basin(run.basin), _STYLES[run.basin.name]),
    )


def _failed(reason: str) -> Text:
    return Text.assemble(("failed", "bold red"), f": {reason}")


def _reason(row: Failed) -> str:
    """What went wrong, without the name that the table shows beside it."""
    return printable(row.error.removeprefix(f"{row.name}: "), limit=LONGEST)


def print_fits(rows: Sequence[Fitted | Failed], console: Console | None = None) -> None:
    """Print one row per checkpoint and, for agents with Glass, a comparison of the labels."""
    console = console or terminal.console()
    fitted = [row for row in rows if isinstance(row, Fitted)]
    console.print(_fits(rows))
    if fitted:
        console.print(Text(notes.FIT_NOTES, "dim"))
    learned = [(row.name, row.comparison) for row in fitted if row.comparison]
    if learned:
        console.print()
        console.print(_against_learned(learned))
        for name, found in learned:
            console.print(Text(f"{_name(name)}: {notes.learned_and_fitted(found)}"))
        console.print(Text(notes.LEARNED_NOTES, "dim"))
    for row in fitted:
        line = f"{row.path}: {_name(row.name)}, sha256 {row.labels.sha256:.12}"
        console.print(Text(terminal.clean(line)))


def _fit_table(*columns: str) -> Table:
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="bold")
    table.add_column("run", overflow="fold", min_width=10)
    for column in columns:
        table.add_column(column, no_wrap=True, justify="right")
    return table


def _fits(rows: Sequence[Fitted | Failed]) -> Table:
    table = _fit_table("K", "seen", "H² bits", "gap", "refits: labels", "prototypes")
    table.add_column("", overflow="fold")
    for row in rows:
        # Text, not markup, as names and errors come from files.
        name = Text(_name(row.name))
        if isinstance(row, Failed):
            table.add_row(name, *[""] * 6, _failed(_reason(row)))
            continue
        labels, refits = row.labels, row.refits
        table.add_row(
            name,
            str(labels.clusters),
            str(len(row.visited)),
            f"{labels.h2_bits:.2f}",
            figure(labels.gap),
            _mean_and_low(refits.label_ami_mean, refits.label_ami_min) if refits else NONE,
            _mean_and_low(refits.prototype_ami_mean, refits.prototype_ami_min) if refits else NONE,
        )
    return table


def _against_learned(rows: Sequence[tuple[str, "LabelComparison"]]) -> Table:
    table = _fit_table("learned", "AMI", "chance", "p", "matched", "phase bits", "U")
    for name, found in rows:
        test, readings = found.test, (found.learned, found.fitted)
        bits = [figure(each.phase_information_bits) if each else NONE for each in readings]
        u = [figure(each.locking_u) if each else NONE for each in readings]
        table.add_row(
            Text(_name(name)),
            str(len(found.learned_visited)),
            figure(test.observed.ami if test else None),
            figure(test.null_ami if test else None),
            figure(test.ami_p if test else None, ".3f"),
            figure(found.matched_share, ".0%"),
            " / ".join(bits),
            " / ".join(u),
        )
    return table


def _mean_and_low(mean: float | None, low: float | None) -> str:
    return NONE if mean is None else f"{mean:.2f} ({figure(low)})"


def _name(name: str) -> str:
    return printable(name, limit=LONGEST)


CYCLES = 3
"""Cycles that are listed per level."""

LARGEST = 8
"""Differences that are listed."""


def print_graphs(rows: Sequence[Graphed | Failed], console: Console | None = None) -> None:
    """Print the statistics of every graph, and why runs have none."""
    console = console or terminal.console()
    for row in rows:
        if isinstance(row, Failed):
            failed = _failed(printable(row.error, limit=LONGEST))
            console.print(Text.assemble(_name(row.name), " ", failed))
            continue
        _print_graph(row.graph, console)
    if any(isinstance(row, Graphed) for row in rows):
        console.print(Text(notes.GRAPH_NOTES, "dim"))


def print_difference(found: FluxDifference, console: Console | None = None) -> None:
    """Print the largest differences in traffic between two runs."""
    console = console or terminal.console()
    console.print()
    console.print(Text(f"{printable(found.one)} vs {printable(found.other)}", "bold"))
    console.print(Text(f"mode {found.mode}; {MATCHED_BY[found.matched_by]}"))
    console.print(Text(distance_text(found)))
    table = _graph_table("from", "to", "one", "other", "difference")
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


def _graph_table(first: str, *titles: str) -> Table:
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="bold")
    table.add_column(first, no_wrap=True)
    for title in titles:
        table.add_column(title, overflow="fold")
    return table


def _print_graph(graph: RunGraph, console: Console) -> None:
    stats = graph.stats
    console.print(Text.assemble((title_of(graph), "bold"), f": {notes.pooled(graph)}"))
    table = _graph_table("", "visited", "switches", "h", "one-way", "fades", "cycles")
    prototypes, labels = graph.partition.shape
    table.add_row("prototypes", *_chain(stats.prototypes, prototypes, PROTOTYPE))
    table.add_row("labels", *_chain(stats.labels, labels))
    console.print(table)
    table = _graph_table("", "H¹", "H²", "gap", "by chance", "z", "p", "best", "crossing", "Q")
    partitions = [each for each in (stats.flow, stats.train) if each]
    for each in partitions:
        table.add_row(each.convention, *_partition(each))
    console.print(table)
    for each in partitions:
        console.print(Text(f"{each.convention}: {convention(each)}", "dim"))
    distance = stats.prototypes.occupancy_distance
    if distance is not None:
        console.print(Text(notes.occupancy_distance(distance)))
    console.print(Text(f"best clusters found (flow): {_clusters(graph)}"))
    console.print()


def _chain(level: ChainStats, count: int, prefix: str = "") -> tuple[str, ...]:
    fades = (level.slowest_s.get(lag) for lag in (1, 10))
    told = [
        f"{cycle_text(each, prefix)} {percent(each.share)} ({each.count:,}×)"
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
        figure(level.irreversibility),
        ", ".join(NONE if seconds is None else f"{seconds:.2g} s" for seconds in fades),
        "\n".join(told) or NONE,
    )


def _partition(found: PartitionStats) -> tuple[str, ...]:
    entropy, cut = found.entropy, found.cut
    chance = None if not entropy.h1_bits else 1 - entropy.null_h2_bits / entropy.h1_bits
    return (
        f"{entropy.h1_bits:.3f}",
        f"{entropy.h2_bits:.3f}",
        figure(entropy.gap, ".3f"),
        figure(chance, ".3f"),
        figure(entropy.z, ".1f"),
        f"{entropy.p:.3f}",
        figure(found.best_gap, ".3f"),
        f"{figure(cut.share)} ({figure(cut.null_share)} by chance)",
        figure(found.modularity),
    )


def _clusters(graph: RunGraph) -> str:
    """Visited prototypes of the best partition, grouped by cluster."""
    best, visited = graph.stats.flow.best, graph.stats.prototypes.visited
    groups: dict[int, list[str]] = {}
    for i in visited:
        groups.setdefault(int(best[i]), []).append(str(i))
    return " ".join("{" + ", ".join(group) + "}" for group in groups.values()) or NONE


def print_maps(
    rows: Sequence[LatentMap | Failed], files: Sequence[Path], console: Console | None = None
) -> None:
    """Print one row per map, its caption, and the files that were written."""
    console = console or terminal.console()
    console.print(_map_table(rows))
    maps = [row for row in rows if isinstance(row, LatentMap)]
    if maps:
        console.print(Text(notes.MAP_NOTES, "dim"))
        console.print(Text(caption(maps)))
    for path in files:
        console.print(Text(terminal.clean(str(path))))


def _map_table(rows: Sequence[LatentMap | Failed]) -> Table:
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="bold")
    table.add_column("run", overflow="fold", min_width=10)
    for column in ("frames", "trust", "cont", "kept", "over chance", "all k"):
        table.add_column(column, no_wrap=column != "over chance", justify="right")
    table.add_column("purity", justify="right")
    table.add_column("silhouette", justify="right")
    if any(isinstance(row, Failed) for row in rows):
        table.add_column("", overflow="fold")
    for row in rows:
        # Text, not markup, as names and errors come from files.
        name = Text(printable(row.name, limit=LONGEST))
        if isinstance(row, Failed):
            table.add_row(name, *[""] * 8, _failed(_reason(row)))
            continue
        table.add_row(name, f"{row.fitted}", *_quality(row), *_labels(row))
    return table


def _quality(row: LatentMap) -> list[str]:
    found = row.quality
    if found is None:
        return [NONE] * 5
    kept = (found.neighbour_preservation, found.neighbours_over_chance)
    values = (found.trustworthiness, found.continuity, *kept, found.neighbour_preservation_auc)
    return [f"{value:.2f}" for value in values]


def _labels(row: LatentMap) -> list[str]:
    found = row.labels
    if found is None:
        return [NONE, NONE]
    purity = f"{found.purity_space:.2f} → {found.purity_plane:.2f} ({found.chance_purity:.2f})"
    if found.silhouette_space is None or found.silhouette_plane is None:
        return [purity, NONE]
    return [purity, f"{found.silhouette_space:.2f} → {found.silhouette_plane:.2f}"]


def print_evaluations(rows: Sequence["Fresh | Failed"], console: Console | None = None) -> None:
    """Print one row per checkpoint and controller, and notes on how to read them."""
    from glassviz.rollout.evaluate import Fresh

    console = console or terminal.console()
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="bold")
    table.add_column("checkpoint", overflow="fold")
    table.add_column("controller")
    for name in ("mean", "95 % interval", "min..max", "n", "recorded"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("fresh vs recorded")
    for row in rows:
        # Text, not markup, as names and errors come from files.
        path = Text(printable(str(row.target), limit=1000))
        if isinstance(row, Fresh):
            table.add_row(path, row.controller, *_returns(row))
        else:
            failed = Text(f"failed: {printable(row.reason, limit=1000)}")
            table.add_row(path, row.controller or "", "", "", "", "", "", failed)
    console.print(table)
    for note in notes.evaluation_notes([row for row in rows if isinstance(row, Fresh)]):
        console.print(Text(note))


def _returns(row: "Fresh") -> tuple[str, ...]:
    """Mean, interval, range, number of episodes, recorded mean, comparison."""
    interval, returns = row.interval, row.evaluation.returns
    bounds = "" if interval.low is None else f"{interval.low:.0f} to {interval.high:.0f}"
    recorded = "none"
    if row.recorded is not None:
        over = "" if row.recorded.episodes is None else f" (n={row.recorded.episodes})"
        recorded = f"{row.recorded.mean:.1f}{over}"
    return (
        f"{interval.mean:.1f}",
        bounds,
        f"{min(returns):.0f}..{max(returns):.0f}",
        str(interval.count),
        recorded,
        notes.against_recorded(row),
    )
