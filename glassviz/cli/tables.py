"""Tables of the commands."""

import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console
from rich.table import Table
from rich.text import Text

from glassviz.compare.fit import Fitted
from glassviz.compare.graphs import FluxDifference, Graphed, RunGraph
from glassviz.figures.flux_difference import MATCHED_BY, distance_text
from glassviz.figures.graph_drawing import percent
from glassviz.figures.latent_map import caption
from glassviz.figures.transition_graph import convention, cycle_text, title_of
from glassviz.maps.maps import LatentMap
from glassviz.metrics.graph_stats import ChainStats, PartitionStats
from glassviz.report.phrases import comparison as phrases
from glassviz.report.phrases.numbers import NONE, named, shown_mean, shown_return
from glassviz.report.phrases.verdicts import (
    LONGEST,
    failure,
    labels_used,
    reasons_of,
    shown_locking,
)
from glassviz.rollout.batch import Failed
from glassviz.rollout.run import Run
from glassviz.text import printable

if TYPE_CHECKING:
    from glassviz.compare.compare import Together
    from glassviz.compare.fit import Comparison
    from glassviz.metrics.stability import RunStability
    from glassviz.rollout.evaluate import Fresh


def print_together(together: "Together", console: Console) -> None:
    """Print the answers, a paragraph each; everything else is in the JSON."""
    grid = Table.grid(padding=(0, 2, 0, 0))
    grid.add_column(no_wrap=True, style="bold")
    grid.add_column(overflow="fold")
    for title, text in _paragraphs(together):
        # Text, not markup: names come from files.
        grid.add_row(title, Text(printable(text, limit=2000)))
    console.print()
    console.print(grid)


def _paragraphs(together: "Together") -> Iterator[tuple[str, str]]:
    n = len(together.checkpoints)
    doubts = phrases.caveats(together.caveats)
    yield "together", " ".join([f"n = {n} checkpoints; [95 % intervals].", *doubts])
    for own in together.by_controller:
        yield f"basins, {own.controller}", phrases.basins(own.basins)
    for own in together.by_controller:
        told = [phrases.returns(own.returns), phrases.metric_means(own.means)]
        yield f"runs, {own.controller}", " ".join(told)
    for own in together.by_controller:
        found = own.stability_and_return
        told = [phrases.stability_and_return(found), phrases.other_metrics(found)]
        told += [doubt for doubt in phrases.correlation_caveats(found) if doubt not in doubts]
        yield f"return, {own.controller}", " ".join(filter(None, told))
    for own in together.by_controller:
        if own.groups:
            told = [phrases.groups(own.groups), *phrases.caveats(own.groups.caveats, doubts)]
            yield f"groups, {own.controller}", " ".join(told)
    if together.controllers:
        yield "mppi and pi", phrases.controllers(together.controllers)
    for own in together.by_controller:
        yield f"value, {own.controller}", phrases.values(own.values)
    if together.correspondence:
        yield "labels", phrases.correspondence(together.correspondence)
        yield "phases", phrases.labels_correspond(together.answers)
    elif together.no_correspondence:
        how = "Matched by phase alone" if together.label_matches.pairs else "Not matched"
        yield "labels", f"{how}: {phrases.no_correspondence(together.no_correspondence)}."


_STYLES = {"stable-hop": "green", "unstable": "red", "split": "yellow", "undetermined": "yellow"}

_STABILITY_NOTES = (
    "return: mean of the episodes, and the 95 % interval of that mean, which says nothing about "
    "other seeds. labels: visited, with more than 1 % of the frames. U: share of their entropy "
    "that the gait phase explains; one label has none. κ: agreement of gait cycles on them, beyond "
    "chance. sw/cyc: switches per gait cycle. All three are means over the episodes that have gait "
    "cycles, U and κ over those of them with more than one label. "
    "Everything by episode, with every criterion: --json, or --out DIR."
)


def print_table(
    rows: Sequence[Run | Failed],
    together: "Together | None" = None,
    console: Console | None = None,
) -> None:
    """Print one row a run and controller, what the columns mean, and what the rows say together.

    Args:
        rows: of `assess_all`.
        together: of these rows; None if there is nothing to compare.
        console: where to; by default the terminal, or, into a file or a pipe, lines as long as
            they need to be.
    """
    console = console or Console(highlight=False, width=None if sys.stdout.isatty() else 10_000)
    table = Table(box=None, padding=(0, 1, 0, 0), header_style="bold")
    table.add_column("run", overflow="fold", min_width=10)
    table.add_column("by", no_wrap=True)
    table.add_column("return", no_wrap=True, justify="right")
    table.add_column("gait", overflow="fold", min_width=12)
    for title in ("labels", "U", "κ", "sw/cyc"):
        table.add_column(title, no_wrap=True, justify="right")
    table.add_column("basin: main reason", overflow="fold", min_width=13)
    for row in rows:
        # Text, not markup: names and errors come from files.
        name = Text(printable(row.name, limit=1000))
        cells = _cells(row.stability) if isinstance(row, Run) else _failed(row)
        table.add_row(name, row.controller or "", *cells)
    console.print(table)
    assessed = [row.stability for row in rows if isinstance(row, Run)]
    if assessed:
        console.print(Text(_STABILITY_NOTES, "dim"))
    for line in labels_used(assessed):
        console.print(Text(printable(line, limit=1000)))
    if together:
        print_together(together, console)


def _cells(run: "RunStability") -> tuple[str | Text, ...]:
    basin = run.basin
    name = named(basin.name, basin.split)
    return (
        shown_return(run.returns),
        named(run.gait.name, run.gait.split),
        NONE if run.occupancy is None else str(len(run.occupancy.visited)),
        shown_locking(run),
        shown_mean(run.metrics["fleiss_kappa"]),
        shown_mean(run.metrics["switches_per_cycle"], "z.1f"),
        Text.assemble((name, _STYLES[basin.name]), f": {reasons_of(run)[0]}"),
    )


def _failed(row: Failed) -> tuple[str | Text, ...]:
    failed = Text.assemble(("failed", "bold red"), f": {failure(row)}")
    return (*[""] * 6, failed)


SAME_BITS = 0.005
"""Less is not shown."""

_FIT_NOTES = (
    "K: clusters. seen: with more than 1 % of the frames. H²: structural entropy of the "
    "transitions between prototypes under their clusters, without self-transitions; gap: share of "
    "H¹ that the clusters explain. refits: adjusted mutual information of the labels, and of the "
    "prototypes alone, over pairs of fits with other seeds; mean (lowest): 1 the same, 0 chance."
)

_LEARNED_NOTES = (
    "learned: labels of its own with more than 1 % of the frames. AMI: adjusted mutual information "
    "of learned and fitted labels in gait cycles; chance: with the fitted ones on other clocks. "
    "matched: frames whose two labels are matched with each other. phase bits: what labels say "
    "about the gait phase, U: share of their entropy that the phase explains, learned / fitted; "
    "means over episodes with gait cycles, U over those in which both have one. The difference "
    "describes these episodes and tests nothing, and fitted labels were fitted to these frames."
)


def print_fits(rows: Sequence[Fitted | Failed], console: Console | None = None) -> None:
    """Print a row a checkpoint, and for agents with Glass one that compares the labels.

    Args:
        rows: of `fit_all`.
        console: where to; by default the terminal, or, into a file or a pipe, lines as long as
            they need to be.
    """
    console = console or Console(highlight=False, width=None if sys.stdout.isatty() else 10_000)
    fitted = [row for row in rows if isinstance(row, Fitted)]
    console.print(_fits(rows))
    if fitted:
        console.print(Text(_FIT_NOTES, "dim"))
    learned = [(row.name, row.comparison) for row in fitted if row.comparison]
    if learned:
        console.print()
        console.print(_against_learned(learned))
        for name, found in learned:
            console.print(Text(f"{_name(name)}: {_matches(found)}; {_says_more(found)}"))
        console.print(Text(_LEARNED_NOTES, "dim"))
    for row in fitted:
        console.print(Text(f"{row.path}: {_name(row.name)}, sha256 {row.labels.sha256:.12}"))


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
        # Text, not markup: names and errors come from files.
        name = Text(_name(row.name))
        if isinstance(row, Failed):
            reason = printable(row.error.removeprefix(f"{row.name}: "), limit=LONGEST)
            failed = Text.assemble(("failed", "bold red"), f": {reason}")
            table.add_row(name, *[""] * 6, failed)
            continue
        labels, refits = row.labels, row.refits
        table.add_row(
            name,
            str(labels.clusters),
            str(len(row.visited)),
            f"{labels.h2_bits:.2f}",
            _number(labels.gap),
            _mean_and_low(refits.label_ami_mean, refits.label_ami_min) if refits else NONE,
            _mean_and_low(refits.prototype_ami_mean, refits.prototype_ami_min) if refits else NONE,
        )
    return table


def _against_learned(rows: Sequence[tuple[str, "Comparison"]]) -> Table:
    table = _fit_table("learned", "AMI", "chance", "p", "matched", "phase bits", "U")
    for name, found in rows:
        test, readings = found.test, (found.learned, found.fitted)
        bits = [_number(each.phase_information_bits) if each else NONE for each in readings]
        u = [_number(each.locking_u) if each else NONE for each in readings]
        table.add_row(
            Text(_name(name)),
            str(len(found.learned_visited)),
            _number(test.observed.ami if test else None),
            _number(test.null_ami if test else None),
            _number(test.ami_p if test else None, ".3f"),
            _number(found.matched_share, ".0%"),
            " / ".join(bits),
            " / ".join(u),
        )
    return table


def _matches(found: "Comparison") -> str:
    pairs = [
        f"{own}→{other} ({share:.2f})"
        for own, (other, share) in enumerate(zip(found.partner, found.similarity, strict=True))
        if other >= 0
    ]
    if not pairs:
        return "no learned label has a fitted one that is much like it"
    return f"learned→fitted {', '.join(pairs)}"


def _says_more(found: "Comparison") -> str:
    """Which labels say more about the gait phase, by bits and by share of their entropy."""
    bits, u = found.more_bits, found.more_u
    if bits is None:
        return "no gait cycles to compare the labels by"
    more = "fitted" if bits > 0 else "learned"
    told = f"the {more} labels say more about the phase by {abs(bits):.2f} bits"
    if abs(bits) < SAME_BITS:
        told = "both say as much about the phase"
    if u is not None:
        told += f" ({'' if bits * u >= 0 else 'but '}U {u:+.2f} for the fitted)"
    return f"{told}, fitted ahead in {found.fitted_ahead} of {found.cycle_episodes} episodes"


def _mean_and_low(mean: float | None, low: float | None) -> str:
    return NONE if mean is None else f"{mean:.2f} ({_number(low)})"


def _number(value: float | None, spec: str = ".2f") -> str:
    return NONE if value is None else f"{value:{spec}}"


def _name(name: str) -> str:
    return printable(name, limit=LONGEST)


CYCLES = 3
"""That are told of each level."""

LARGEST = 8
"""Differences that are told."""

_GRAPH_NOTES = (
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
        console.print(Text(_GRAPH_NOTES, "dim"))


def print_difference(found: FluxDifference, console: Console | None = None) -> None:
    """Print where the traffic of two runs differs most."""
    console = console or _console()
    console.print()
    console.print(Text(f"{printable(found.one)} against {printable(found.other)}", "bold"))
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


def _console() -> Console:
    return Console(highlight=False, width=None if sys.stdout.isatty() else 10_000)


def _graph_table(first: str, *titles: str) -> Table:
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
    table = _graph_table("", "visited", "switches", "h", "one-way", "fades", "cycles")
    for name, level, count in (
        ("prototypes", stats.prototypes, len(graph.partition)),
        ("labels", stats.labels, graph.partition.shape[1]),
    ):
        table.add_row(name, *_chain(level, count))
    console.print(table)
    table = _graph_table("", "H¹", "H²", "gap", "by chance", "z", "p", "best", "crossing", "Q")
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
        f"{cycle_text(each)} {percent(each.share)} ({each.count:,}×)"
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


_MAP_NOTES = (
    "trust: trustworthiness, cont: continuity, 1 at best and 0.5 by chance. kept: share of a "
    "frame's nearest that are among its nearest on the map; over chance, and over all "
    "neighbourhoods: 1 at best, 0 by chance. purity: share of the nearest with the same label "
    "(by chance), silhouette: how far labels lie apart; in the space → on the map: a map that has "
    "more than its space flatters."
)


def print_maps(
    rows: Sequence[LatentMap | Failed], files: Sequence[Path], console: Console | None = None
) -> None:
    """Print a row a map, its caption, and what was written.

    Args:
        rows: of `map_all`.
        files: that were written.
        console: where to; by default the terminal, or, into a file or a pipe, lines as long as
            they need to be.
    """
    console = console or Console(highlight=False, width=None if sys.stdout.isatty() else 10_000)
    console.print(_map_table(rows))
    maps = [row for row in rows if isinstance(row, LatentMap)]
    if maps:
        console.print(Text(_MAP_NOTES, "dim"))
        console.print(Text(caption(maps)))
    for path in files:
        console.print(Text(str(path)))


def _map_table(rows: Sequence[LatentMap | Failed]) -> Table:
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="bold")
    table.add_column("run", overflow="fold", min_width=10)
    for column in ("frames", "trust", "cont", "kept", "over chance", "all k"):
        table.add_column(column, no_wrap=column != "over chance", justify="right")
    table.add_column("purity", justify="right")
    table.add_column("silhouette", justify="right")
    failed = any(isinstance(row, Failed) for row in rows)
    if failed:
        table.add_column("", overflow="fold")
    for row in rows:
        # Text, not markup: names and errors come from files.
        name = Text(printable(row.name, limit=LONGEST))
        if isinstance(row, Failed):
            reason = printable(row.error.removeprefix(f"{row.name}: "), limit=LONGEST)
            told = Text.assemble(("failed", "bold red"), f": {reason}")
            table.add_row(name, *[""] * 8, told)
            continue
        table.add_row(name, f"{row.fitted}", *_quality(row), *_labels(row))
    return table


def _quality(row: LatentMap) -> list[str]:
    if row.quality is None:
        return [NONE] * 5
    values = (
        row.quality.trustworthiness,
        row.quality.continuity,
        row.quality.neighbour_preservation,
        row.quality.neighbours_over_chance,
        row.quality.neighbour_preservation_auc,
    )
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
    """Print one row per checkpoint and controller, and notes on how to read them.

    Args:
        rows: of `reevaluate`.
        console: by default the terminal, or, for a file or pipe, one without line breaks.
    """
    from glassviz.rollout.evaluate import Fresh

    console = console or _console()
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="bold")
    table.add_column("checkpoint", overflow="fold")
    table.add_column("controller")
    for name in ("mean", "95 % interval", "min..max", "n", "recorded"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("fresh vs recorded")
    for row in rows:
        # Text, not markup: names and errors come from files.
        path = Text(printable(str(row.target), limit=1000))
        if isinstance(row, Fresh):
            table.add_row(path, row.controller, *_returns(row))
        else:
            failed = Text(f"failed: {printable(row.reason, limit=1000)}")
            table.add_row(path, row.controller or "", "", "", "", "", "", failed)
    console.print(table)
    for note in _evaluation_notes([row for row in rows if isinstance(row, Fresh)]):
        console.print(Text(note))


def _returns(row: "Fresh") -> tuple[str, ...]:
    """Mean, interval, range, number of episodes, recorded mean, comparison."""
    interval, returns = row.interval, row.evaluation.returns
    bounds = "" if interval.low is None else f"{interval.low:.0f} to {interval.high:.0f}"
    if row.recorded is None or row.above_recorded is None:
        recorded, comparison = "none", ""
    else:
        over = "" if row.recorded.episodes is None else f" (n={row.recorded.episodes})"
        recorded = f"{row.recorded.mean:.1f}{over}"
        side = "lower" if row.above_recorded < 0 else "higher"
        comparison = f"{abs(row.above_recorded):.1f} {side}"
        if row.recorded_place:
            comparison += f"; recorded is {row.recorded_place} the interval"
    return (
        f"{interval.mean:.1f}",
        bounds,
        f"{min(returns):.0f}..{max(returns):.0f}",
        str(interval.count),
        recorded,
        comparison,
    )


def _evaluation_notes(rows: Sequence["Fresh"]) -> Iterator[str]:
    if rows:
        yield (
            "Intervals are Student's t over the episodes of one trained agent; they do not cover "
            "other seeds."
        )
    if any(row.recorded for row in rows):
        yield (
            "recorded: the evaluation during training at this checkpoint. For a checkpoint that "
            "was kept as the best it is the maximum of noisy evaluations, so fresh means tend to "
            "be lower."
        )
    shared = max((row.shared_resets for row in rows), default=0)
    if shared:
        yield (
            f"{shared} episodes reuse reset seeds of an evaluation during training: choose another "
            f"--seed."
        )
