"""`glassviz graph`."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from glassviz.cli.options import Labels
from glassviz.cli.rollout import Controllers, Seed, Steps, controllers
from glassviz.cli.stability import Episodes, Runs, Traces
from glassviz.errors import GlassvizError, UsageError

if TYPE_CHECKING:
    from glassviz.compare.graphs import FluxDifference, Graphed, RunGraph


RENDERS = Path("renders")


GraphMode = Literal["frame", "jump", "soft-train", "flow"]


def graph(
    targets: Runs,
    out: Annotated[
        Path | None,
        typer.Option(
            "--out",
            "-o",
            help="The file: .png, .svg, .pdf, .graphml or .json. With several graphs the start of "
            "their names, or a folder. renders/ by default.",
        ),
    ] = None,
    mode: Annotated[
        GraphMode,
        typer.Option(
            help="Which graph: frame by frame, switches only (jump), the one that Glass is trained "
            "on (soft-train), or shares of time (flow)."
        ),
    ] = "jump",
    compare: Annotated[
        bool,
        typer.Option("--compare", help="Match the labels of two runs, and draw where they differ."),
    ] = False,
    width: Annotated[
        Literal["column", "page"],
        typer.Option(help="Of figures: matrices below the graph, or beside it."),
    ] = "column",
    episodes: Episodes = 10,
    controller: Controllers = "both",
    seed: Seed = 0,
    steps: Steps = None,
    traces: Traces = None,
    labels: Labels = "learned",
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace files that exist.")
    ] = False,
    to_json: Annotated[
        bool, typer.Option("--json", help="Print JSON, and write files only with --out.")
    ] = False,
) -> None:
    """Draw which prototype follows which, and say how orderly the transitions are.

    A graph for every checkpoint and controller: prototypes inside the hulls of their clusters,
    arrows as wide as their traffic, the dominant cycle in black, with the matrices P, A and S.
    Transitions are pooled over episodes, after their openings, and never counted across two of
    them. Agents without labels need those of `glassviz fit`. Runs without a graph are named, and
    make the exit code 1.
    """
    from glassviz.cli.progress import listener
    from glassviz.cli.tables import print_difference, print_graphs
    from glassviz.compare.graphs import Graphed, graph_all
    from glassviz.files import refuse_existing
    from glassviz.report.documents import check_format, graph_dict, save_graph
    from glassviz.report.serialize import as_json
    from glassviz.rollout.traces import RolloutOptions

    if out and out.suffix:
        check_format(out)
    options = RolloutOptions(
        episodes=episodes, controllers=controllers(controller), seed=seed, steps=steps
    )
    with listener("counting") as told:
        rows = graph_all(targets, options, mode, traces, labels, told)
    found = {row.file_stem: row for row in rows if isinstance(row, Graphed)}
    broken = [row for row in rows if not isinstance(row, Graphed)]
    shown: dict[str, RunGraph | FluxDifference] = {key: row.graph for key, row in found.items()}
    if compare and broken and len(found) != 2:
        raise GlassvizError(broken[0].error)
    difference = _compare(list(found.values())) if compare else None
    if difference:
        shown = {"-against-".join(found): difference}
    paths = _paths(out, list(shown)) if out or not to_json else []
    for path in paths:
        refuse_existing(path, overwrite)
    if to_json:
        document = [*map(graph_dict, shown.values()), *broken]
        typer.echo(as_json(document, ascii_only=False))
    else:
        print_graphs(rows)
        if difference:
            print_difference(difference)
    for path, each in zip(paths, shown.values(), strict=bool(paths)):
        save_graph(each, path, overwrite, width)
        typer.echo(f"wrote {path}", err=to_json)
    if broken:
        raise typer.Exit(1)


def _compare(found: list["Graphed"]) -> "FluxDifference":
    from glassviz.compare.graphs import flux_difference

    if len(found) != 2:
        raise UsageError(
            f"--compare: expected two graphs, found {len(found)}: name two runs and a "
            f"--controller, or one run for its two controllers"
        )
    return flux_difference(found[0], found[1])


def _paths(out: Path | None, names: list[str]) -> list[Path]:
    """A file a graph: the one that is named, others after it, or all in a folder."""
    if out is None:
        return [RENDERS / f"graph-{name}.svg" for name in names]
    if not out.suffix:
        return [out / f"{name}.svg" for name in names]
    if len(names) == 1:
        return [out]
    return [out.with_name(f"{out.stem}-{name}{out.suffix}") for name in names]
