"""Tables of the commands."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console
from rich.table import Table
from rich.text import Text

from glassviz.cli import terminal
from glassviz.cli.listing import Listing
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
from glassviz.report.phrases.comparison import settled
from glassviz.report.phrases.numbers import (
    NONE,
    figure,
    majority,
    short_majority,
    shown_mean,
    shown_return,
)
from glassviz.report.phrases.verdicts import (
    LONGEST,
    failure,
    labels_used,
    remark_of,
    short_basin,
    shown_pattern,
)
from glassviz.rollout.batch import Failed, distinct_names
from glassviz.rollout.run import Run
from glassviz.text import printable

if TYPE_CHECKING:
    from glassviz.compare.compare import Comparison
    from glassviz.compare.fit import LabelComparison
    from glassviz.compare.history import History
    from glassviz.compare.recipes import RecipeTotals
    from glassviz.metrics.stability import RunStability
    from glassviz.metrics.statistics import BootstrapInterval
    from glassviz.report.latex import LatexTable
    from glassviz.rollout.evaluate import Fresh


def save_latex(path: Path, tables: Sequence["LatexTable"]) -> None:
    """Write tables to a .tex file, replacing one that is there.

    Raises:
        GlassvizError: it cannot be written.
    """
    from glassviz import __version__, environment
    from glassviz.files import replacing
    from glassviz.report.latex import document

    made = f"made by glassviz {__version__} with {environment.command()}"
    with replacing(path) as partial:
        text = document(tables, path.stem, [made])
        partial.write_text(text, encoding="utf-8", newline="")
    terminal.tell(f"wrote {path}")


def print_together(together: "Comparison", console: Console, everything: bool = True) -> None:
    """Print the comparison of runs, one paragraph per question; the numbers are in the JSON."""
    grid = Table.grid(padding=(0, 2, 0, 0))
    grid.add_column(no_wrap=True, style="bold")
    grid.add_column(overflow="fold")
    for title, text in notes.comparison_paragraphs(together, everything):
        # Text, not markup: names come from files.
        grid.add_row(title, Text(printable(text, limit=2000)))
    if grid.row_count:
        console.print()
        console.print(grid)
    if not everything:
        console.print(Text(notes.MORE_COMPARISON, "dim"))


_STYLES = {
    "stable-hop": "green",
    "stable": "green",
    "unstable": "red",
    "split": "yellow",
    "undetermined": "yellow",
}


STABILITY_COLUMNS = (
    "run",
    "by",
    "n",
    "return",
    "gait",
    "labels",
    "seen",
    "U",
    "κ",
    "sw/cyc",
    "basin",
)


def stability_listing(
    rows: Sequence[Run | Failed], sort: str | None = None, brief: bool = False
) -> Listing:
    """One row per run and controller; arguments as for `print_table`."""
    table = Listing(STABILITY_COLUMNS, left=("by", "gait", "labels", "basin"))
    for row in rows:
        name = printable(row.name, limit=1000)
        if isinstance(row, Run):
            told = "" if brief else remark_of(row.stability, single_label(row, rows))
            table.add(name, row.controller, *_cells(row.stability), remark=told)
        else:
            table.add(name, row.controller or "", remark=_failed(failure(row)))
    table.sort(sort)
    return table


def print_table(
    rows: Sequence[Run | Failed],
    together: "Comparison | None" = None,
    console: Console | None = None,
    sort: str | None = None,
    brief: bool = False,
    everything: bool = False,
) -> None:
    """Print one row per run and controller, notes on the columns, and the comparison of the runs.

    Args:
        together: their comparison; None if there is nothing to compare.
        sort: title of the column to sort by; by default rows are in the order of the runs.
        brief: whether to leave out reasons and notes.
        everything: whether to print the whole comparison, or only what it finds.
    """
    console = console or terminal.console()
    stability_listing(rows, sort, brief).print(console)
    assessed = [row.stability for row in rows if isinstance(row, Run)]
    if brief:
        return
    if assessed:
        console.print(Text(f"{notes.STABILITY_NOTES} {notes.MORE_STABILITY}", "dim"))
    for line in labels_used(assessed):
        console.print(Text(printable(line, limit=1000)))
    if together:
        print_together(together, console, everything)


def print_history(history: "History", console: Console | None = None) -> None:
    """Print gait, labels, basin and return of a training run over its environment steps."""
    console = console or terminal.console()
    console.print()
    console.print(Text(history_title(history), "bold"))
    history_listing(history).print(console)
    console.print(Text(settled(history), "dim"))


def history_title(history: "History") -> str:
    """What a table of the history shows."""
    return f"history of {_name(history.run)} ({history.controller})"


def history_listing(history: "History") -> Listing:
    """One row per step checkpoint of a training run."""
    table = Listing(HISTORY_COLUMNS, left=HISTORY_WORDS)
    for each in history.moments:
        table.add(
            f"{each.env_steps:,}",
            shown_return(each.returns),
            majority(each.gait, each.gait_split),
            majority(each.labels, each.label_split),
            majority(each.basin, each.basin_split),
        )
    return table


HISTORY_COLUMNS = ("env steps", "return", "gait", "labels", "basin")
HISTORY_WORDS = ("gait", "labels", "basin")


def _cells(run: "RunStability") -> tuple[str | Text, ...]:
    return (
        str(len(run.episodes)),
        shown_return(run.returns),
        short_majority(run.gait.name, run.gait.split) + shown_pattern(run.gait),
        short_majority(run.label_verdict, run.label_split),
        NONE if run.occupancy is None else str(len(run.occupancy.visited)),
        shown_mean(run.metrics["locking_u"]),
        shown_mean(run.metrics["fleiss_kappa"]),
        shown_mean(run.metrics["switches_per_cycle"], "z.1f"),
        Text(short_basin(run.basin), _STYLES[run.basin.name]),
    )


def _failed(reason: str) -> Text:
    return Text.assemble(("failed", "bold red"), f": {reason}")


def _reason(row: Failed) -> str:
    """What went wrong, without the name that the table shows beside it."""
    return printable(row.error.removeprefix(f"{row.name}: "), limit=LONGEST)


def print_fits(
    rows: Sequence[Fitted | Failed],
    console: Console | None = None,
    sort: str | None = None,
    brief: bool = False,
) -> None:
    """Print one row per checkpoint and, for agents with Glass, a comparison of the labels."""
    console = console or terminal.console()
    fitted = [row for row in rows if isinstance(row, Fitted)]
    fits_listing(rows, sort).print(console)
    if brief:
        return
    if fitted:
        console.print(Text(notes.FIT_NOTES, "dim"))
    if learned := _learned(rows):
        console.print()
        learned_listing(rows).print(console)
        for name, found in learned:
            console.print(Text(f"{_name(name)}: {notes.learned_and_fitted(found)}"))
        console.print(Text(notes.LEARNED_NOTES, "dim"))
    for row in fitted:
        line = f"{row.path}: {_name(row.name)}, sha256 {row.labels.sha256:.12}"
        console.print(Text(terminal.clean(line)))


FIT_COLUMNS = ("run", "K", "seen", "H² bits", "gap", "refits:\nlabels", "refits:\nprototypes")


def fits_listing(rows: Sequence[Fitted | Failed], sort: str | None = None) -> Listing:
    """One row per checkpoint."""
    table = Listing(FIT_COLUMNS)
    for row in rows:
        if isinstance(row, Failed):
            table.add(_name(row.name), remark=_failed(_reason(row)))
            continue
        labels, refits = row.labels, row.refits
        table.add(
            _name(row.name),
            str(labels.clusters),
            str(len(row.visited)),
            f"{labels.h2_bits:.2f}",
            figure(labels.gap),
            _mean_and_low(refits.label_ami_mean, refits.label_ami_min) if refits else NONE,
            _mean_and_low(refits.prototype_ami_mean, refits.prototype_ami_min) if refits else NONE,
        )
    table.sort(sort)
    return table


def _learned(rows: Sequence[Fitted | Failed]) -> list[tuple[str, "LabelComparison"]]:
    fitted = [row for row in rows if isinstance(row, Fitted)]
    return [(row.name, row.comparison) for row in fitted if row.comparison]


def learned_listing(rows: Sequence[Fitted | Failed]) -> Listing:
    """One row per checkpoint with labels of its own, which are compared with the fitted ones."""
    titles = ("run", "learned", "AMI", "chance", "p", "matched", "phase bits", "U")
    table = Listing(titles)
    for name, found in _learned(rows):
        test, readings = found.test, (found.learned, found.fitted)
        bits = [figure(each.phase_information_bits) if each else NONE for each in readings]
        u = [figure(each.locking_u) if each else NONE for each in readings]
        table.add(
            _name(name),
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


def print_graphs(
    rows: Sequence[Graphed | Failed], console: Console | None = None, brief: bool = False
) -> None:
    """Print the statistics of every graph, and why runs have none.

    Args:
        brief: whether to leave out cycles, conventions and notes.
    """
    console = console or terminal.console()
    for row in rows:
        if isinstance(row, Failed):
            console.print(Text.assemble(_name(row.name), " ", _failed(_reason(row))))
            continue
        _print_graph(row.graph, console, brief)
    if any(isinstance(row, Graphed) for row in rows) and not brief:
        console.print(Text(f"{notes.GRAPH_NOTES} {notes.MORE_GRAPH}", "dim"))


def print_difference(found: FluxDifference, console: Console | None = None) -> None:
    """Print the largest differences in traffic between two runs."""
    console = console or terminal.console()
    console.print()
    console.print(Text(f"{printable(found.one)} vs {printable(found.other)}", "bold"))
    console.print(Text(f"mode {found.mode}; {MATCHED_BY[found.matched_by]}"))
    console.print(Text(distance_text(found)))
    table = difference_listing(found)
    if len(table):
        table.print(console)


DIFFERENCE_COLUMNS = ("from", "to", "one", "other", "difference")


def difference_listing(found: FluxDifference) -> Listing:
    """The largest differences in traffic, one row per arrow."""
    table = Listing(DIFFERENCE_COLUMNS)
    between = abs(found.difference)
    order = sorted(
        ((i, j) for i in range(len(between)) for j in range(len(between)) if between[i, j] > 0),
        key=lambda pair: (-float(between[pair]), pair),
    )
    for i, j in order[:LARGEST]:
        own, its = float(found.one_flux[i, j]), float(found.other_flux[i, j])
        sign = "+" if its > own else "−"
        change = f"{sign}{percent(abs(its - own))}"
        table.add(_state(found, i), _state(found, j), percent(own), percent(its), change)
    return table


def _state(found: FluxDifference, index: int) -> str:
    state = found.states[index]
    one, other = (NONE if n is None else str(n) for n in (state.one, state.other))
    return one if one == other else f"{one} ↔ {other}"


CHAIN_COLUMNS = (
    "",
    "visited",
    "switches",
    "entropy rate\n(bits/step)",
    "irreversibility\n(0 to 1)",
    "relaxation time\n(s)",
)
PARTITION_COLUMNS = (
    "",
    "H¹\n(bits)",
    "H²\n(bits)",
    "gap",
    "gap by\nchance",
    "z",
    "p",
    "best\ngap",
    "cut",
    "cut by\nchance",
    "Q",
)


def _print_graph(graph: RunGraph, console: Console, brief: bool) -> None:
    stats = graph.stats
    console.print(Text.assemble((title_of(graph), "bold"), f": {notes.pooled(graph)}"))
    table = Listing(CHAIN_COLUMNS)
    for name, cells, cycles in _chains(graph):
        table.add(name, *cells, remark="" if brief else cycles)
    table.print(console)
    table = Listing(PARTITION_COLUMNS)
    partitions = _partitions(graph)
    for each in partitions:
        table.add(each.convention, *_partition(each))
    table.print(console)
    if not brief:
        for each in partitions:
            console.print(Text(f"{each.convention}: {convention(each)}", "dim"))
        distance = stats.prototypes.occupancy_distance
        if distance is not None:
            console.print(Text(notes.occupancy_distance(distance)))
        console.print(Text(f"best clusters found (flow): {_clusters(graph)}"))
    console.print()


def graph_listings(rows: Sequence[Graphed | Failed]) -> tuple[Listing, Listing]:
    """Statistics of the chains, and of the clusters, of all graphs."""
    chains = Listing(("run", "of", *CHAIN_COLUMNS[1:]), left=("of",))
    partitions = Listing(("run", "of", *PARTITION_COLUMNS[1:]), left=("of",))
    for row in rows:
        if isinstance(row, Failed):
            chains.add(_name(row.name), remark=_failed(_reason(row)))
            continue
        title = title_of(row.graph)
        for name, cells, cycles in _chains(row.graph):
            chains.add(title, name, *cells, remark=cycles)
        for each in _partitions(row.graph):
            partitions.add(title, each.convention, *_partition(each))
    return chains, partitions


def _partitions(graph: RunGraph) -> list[PartitionStats]:
    return [each for each in (graph.stats.flow, graph.stats.train) if each]


def _chains(graph: RunGraph) -> Iterator[tuple[str, tuple[str, ...], str]]:
    """Name, cells and cycles of both levels."""
    stats = graph.stats
    for name, level, count, prefix in zip(
        ("prototypes", "labels"),
        (stats.prototypes, stats.labels),
        graph.partition.shape,
        (PROTOTYPE, ""),
        strict=True,
    ):
        yield name, _chain(level, count), _cycles(level, prefix)


def _cycles(level: ChainStats, prefix: str) -> str:
    """The most frequent cycles of a level."""
    told = [
        f"{cycle_text(each, prefix)} {percent(each.share)} ({each.count:,}×)"
        for each in level.cycles[:CYCLES]
    ]
    return f"cycles {', '.join(told)}" if told else "no cycles"


def _chain(level: ChainStats, count: int) -> tuple[str, ...]:
    times = (level.slowest_s.get(lag) for lag in (1, 10))
    rate = NONE
    if level.entropy_rate_bits is not None:
        share = "" if level.entropy_rate is None else f" ({level.entropy_rate:.0%})"
        rate = f"{level.entropy_rate_bits:.2f}{share}"
    return (
        f"{len(level.visited)} of {count}",
        f"{level.switches:,}",
        rate,
        figure(level.irreversibility),
        ", ".join(figure(seconds, ".2g") for seconds in times),
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
        figure(cut.share),
        figure(cut.null_share),
        figure(found.modularity),
    )


def _clusters(graph: RunGraph) -> str:
    """Visited prototypes of the best partition, grouped by cluster."""
    best, visited = graph.stats.flow.best, graph.stats.prototypes.visited
    groups: dict[int, list[str]] = {}
    for i in visited:
        groups.setdefault(int(best[i]), []).append(str(i))
    return " ".join("{" + ", ".join(group) + "}" for group in groups.values()) or NONE


MAP_COLUMNS = (
    "run",
    "frames",
    "trust",
    "cont",
    "kept",
    "over\nchance",
    "all k",
    "purity",
    "silhouette",
)


def print_maps(
    rows: Sequence[LatentMap | Failed],
    files: Sequence[Path],
    console: Console | None = None,
    sort: str | None = None,
    brief: bool = False,
) -> None:
    """Print one row per map, its caption, and the files that were written."""
    console = console or terminal.console()
    maps_listing(rows, sort).print(console)
    maps = [row for row in rows if isinstance(row, LatentMap)]
    if maps and not brief:
        console.print(Text(notes.MAP_NOTES, "dim"))
        console.print(Text(caption(maps)))
    for path in files:
        console.print(Text(terminal.clean(str(path))))


def maps_listing(rows: Sequence[LatentMap | Failed], sort: str | None = None) -> Listing:
    """One row per map."""
    table = Listing(MAP_COLUMNS)
    for row in rows:
        if isinstance(row, Failed):
            table.add(_name(row.name), remark=_failed(_reason(row)))
        else:
            table.add(_name(row.name), f"{row.fitted}", *_quality(row), *_labels(row))
    table.sort(sort)
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
    purity = f"{found.purity_space:.2f}→{found.purity_plane:.2f} ({found.chance_purity:.2f})"
    if found.silhouette_space is None or found.silhouette_plane is None:
        return [purity, NONE]
    return [purity, f"{found.silhouette_space:.2f}→{found.silhouette_plane:.2f}"]


EVALUATION_COLUMNS = ("checkpoint", "by", "mean", "95 % interval", "min..max", "n", "recorded")


def print_evaluations(
    rows: Sequence["Fresh | Failed"],
    console: Console | None = None,
    sort: str | None = None,
    brief: bool = False,
) -> None:
    """Print one row per checkpoint and controller, totals per recipe, and how to read them."""
    from glassviz.compare.recipes import recipe_totals
    from glassviz.rollout.evaluate import Fresh

    console = console or terminal.console()
    evaluation_listing(rows, sort, brief).print(console)
    fresh = [row for row in rows if isinstance(row, Fresh)]
    totals = recipe_totals(fresh)
    if totals.recipes:
        console.print()
        totals_listing(totals).print(console)
        for line in notes.improvements(totals):
            console.print(Text(printable(line, limit=1000)))
    elif not totals.common_scale:
        console.print(Text(notes.NO_TOTALS))
    if not brief:
        for note in notes.evaluation_notes(fresh):
            console.print(Text(note, "dim"))
        if any(row.shared_resets for row in fresh):
            console.print(Text(notes.REUSED_RESETS, "dim"))


def evaluation_listing(
    rows: Sequence["Fresh | Failed"], sort: str | None = None, brief: bool = False
) -> Listing:
    """One row per checkpoint and controller; arguments as for `print_evaluations`."""
    from glassviz.rollout.evaluate import Fresh

    table = Listing(EVALUATION_COLUMNS, left=("by",), remarks="fresh vs recorded")
    names = distinct_names(
        [_file_name(row) for row in rows],
        [row.target for row in rows],
        [(str(row.controller),) for row in rows],
    )
    for name, row in zip(names, rows, strict=True):
        if isinstance(row, Fresh):
            told = "" if brief else notes.against_recorded(row)
            table.add(_name(name), row.controller, *_returns(row), remark=told)
        else:
            table.add(_name(name), row.controller or "", remark=_failed(_reason(row)))
    table.sort(sort)
    return table


def _file_name(row: "Fresh | Failed") -> str:
    from glassviz.rollout.evaluate import Fresh

    is_file = not isinstance(row, Fresh) and row.name == str(row.target)
    return row.target.stem if is_file else row.name


TOTALS_COLUMNS = ("recipe", "by", "checkpoints", "mean", "95 %", "IQM", "95 % ")


def totals_listing(totals: "RecipeTotals") -> Listing:
    """One row per recipe and controller."""
    table = Listing(TOTALS_COLUMNS, left=("by",))
    for each in totals.recipes:
        mean, iqm = each.returns.mean, each.returns.iqm
        table.add(
            _name(each.recipe),
            each.controller,
            str(len(each.returns.runs)),
            figure(mean.estimate if mean else None, ".0f"),
            _bounds(mean),
            figure(iqm.estimate if iqm else None, ".0f"),
            _bounds(iqm),
        )
    return table


def _bounds(found: "BootstrapInterval | None") -> str:
    if found is None or found.low is None or found.high is None:
        return NONE
    return f"{found.low:.0f} to {found.high:.0f}"


def _returns(row: "Fresh") -> tuple[str, ...]:
    """Mean, interval, range, number of episodes, recorded mean."""
    interval, returns = row.interval, row.evaluation.returns
    bounds = NONE if interval.low is None else f"{interval.low:.0f} to {interval.high:.0f}"
    recorded = NONE
    if row.recorded is not None:
        over = "" if row.recorded.episodes is None else f" (n={row.recorded.episodes})"
        recorded = f"{row.recorded.mean:.1f}{over}"
    return (
        f"{interval.mean:.1f}",
        bounds,
        f"{min(returns):.0f}..{max(returns):.0f}",
        str(interval.count),
        recorded,
    )


# For papers ---------------------------------------------------------------------------------------


def stability_tables(
    rows: Sequence[Run | Failed], histories: Sequence["History"] = (), sort: str | None = None
) -> list["LatexTable"]:
    """What `stability` prints, for `save_latex`."""
    caption = f"Gait, labels and basin of each run. {notes.STABILITY_NOTES}"
    tables = [stability_listing(rows, sort).latex(caption)]
    for i, each in enumerate(histories, 1):
        caption = _sentence(history_title(each))
        tables.append(history_listing(each).latex(caption, f"history-{i}"))
    return tables


def evaluation_tables(
    rows: Sequence["Fresh | Failed"], sort: str | None = None
) -> list["LatexTable"]:
    """What `evaluate` prints, for `save_latex`."""
    from glassviz.compare.recipes import recipe_totals
    from glassviz.rollout.evaluate import Fresh

    fresh = [row for row in rows if isinstance(row, Fresh)]
    caption = " ".join(["Returns on fresh episodes.", *notes.evaluation_notes(fresh)])
    tables = [evaluation_listing(rows, sort).latex(caption)]
    totals = recipe_totals(fresh)
    if totals.recipes:
        told = map(_sentence, notes.improvements(totals))
        caption = " ".join(["Returns by recipe.", notes.IQM_NOTE, *told])
        tables.append(totals_listing(totals).latex(caption, "recipes"))
    return tables


def fit_tables(rows: Sequence[Fitted | Failed], sort: str | None = None) -> list["LatexTable"]:
    """What `fit` prints, for `save_latex`."""
    tables = [fits_listing(rows, sort).latex(f"Fitted labels. {notes.FIT_NOTES}")]
    if len(learned := learned_listing(rows)):
        caption = f"Learned and fitted labels. {notes.LEARNED_NOTES}"
        tables.append(learned.latex(caption, "learned"))
    return tables


def graph_tables(
    rows: Sequence[Graphed | Failed], difference: FluxDifference | None = None
) -> list["LatexTable"]:
    """What `graph` prints, for `save_latex`."""
    chains, partitions = graph_listings(rows)
    tables = [chains.latex(f"Transitions. {notes.GRAPH_NOTES}", "transitions")]
    if len(partitions):
        tables.append(partitions.latex("Clusters as partitions of the prototypes.", "clusters"))
    if difference:
        names = f"{printable(difference.one)} and {printable(difference.other)}"
        caption = f"Largest differences in traffic between {names}: {distance_text(difference)}."
        tables.append(difference_listing(difference).latex(caption, "difference"))
    return tables


def map_tables(rows: Sequence[LatentMap | Failed], sort: str | None = None) -> list["LatexTable"]:
    """What `map` prints, for `save_latex`."""
    return [maps_listing(rows, sort).latex(f"Quality of latent maps. {notes.MAP_NOTES}")]


def _sentence(text: str) -> str:
    return f"{text[:1].upper()}{text[1:]}."
