"""`glassviz inspect` and `glassviz convert`: what is in a checkpoint, and how to keep it."""

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from glassviz.checkpoints import Summary


def inspect(
    checkpoint: Annotated[Path, typer.Argument(help="Native .safetensors or published .pkl file.")],
    as_json: Annotated[
        bool, typer.Option("--json", help="Print the summary as JSON instead of a table.")
    ] = False,
) -> None:
    """Show what is in a checkpoint.

    Agent, planner, Glass, provenance, and what had to be assumed. Reading a checkpoint runs no
    code, whatever the file holds.
    """
    from glassviz.checkpoints import load, summarise

    summary = summarise(load(checkpoint))
    if as_json:
        typer.echo(json.dumps(summary.to_dict(), indent=2))
    else:
        _print_table(_rows(summary))


def convert(
    source: Annotated[Path, typer.Argument(metavar="IN", help="Checkpoint of any layout read.")],
    target: Annotated[Path, typer.Argument(metavar="OUT", help="The .safetensors file to write.")],
    half: Annotated[
        bool, typer.Option("--half", help="Store half precision: half the size, rounded weights.")
    ] = False,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace OUT if it exists already.")
    ] = False,
) -> None:
    """Bring a checkpoint into the native format.

    Prints what the file did not say and had to be assumed, and what of it is not kept.
    """
    from glassviz.checkpoints import convert as convert_file
    from glassviz.checkpoints import summarise

    summary = summarise(convert_file(source, target, half=half, overwrite=overwrite))
    _print_table(_remarks(summary))
    typer.echo(f"{source} -> {target} (sha256 {summary.sha256[:12]})")


def _rows(summary: "Summary") -> Iterator[tuple[str, str]]:
    """Name and value of every line of the table."""
    yield "checkpoint", f"{summary.name} ({summary.format})"
    yield "sha256", summary.sha256
    yield "family", summary.family
    yield "parameters", f"{summary.parameters:,}"
    for network, sizes in summary.networks.items():
        yield f"  {network}", sizes
    if summary.glass is None:
        yield "Glass", "none: labels say so until they are fitted"
    else:
        glass = summary.glass
        yield (
            "Glass",
            (
                f"N={glass.prototypes} prototypes, K={glass.clusters} clusters, τ={glass.tau:g}, "
                f"{glass.similarity} similarity"
            ),
        )
        if glass.super_clusters:
            yield "  super-clusters", str(glass.super_clusters)
        if glass.cluster_obs:
            yield "  cluster row", "policy and Q see it"
        yield (
            "  clusters active in S",
            (
                f"{glass.clusters_active_in_partition} of {glass.clusters} "
                f"(a property of the parameters, not of behaviour)"
            ),
        )
    yield "planner", summary.no_planner or _pairs(summary.planner)
    yield "environment", _pairs(summary.env)
    for name, value in summary.provenance.items():
        yield name, _pairs(value) if isinstance(value, dict) else str(value)
    yield from _remarks(summary)


def _remarks(summary: "Summary") -> Iterator[tuple[str, str]]:
    """What was assumed, what is not used and what got lost."""
    yield from (("assumed", item) for item in summary.assumptions)
    yield from (("ignored", item) for item in summary.ignored_leaves)
    yield from (("not kept", item) for item in summary.losses)


def _pairs(items: dict[str, Any]) -> str:
    return ", ".join(
        f"{key} ({_pairs(value)})" if isinstance(value, dict) else f"{key} {value}"
        for key, value in items.items()
    )


def _print_table(rows: Iterator[tuple[str, str]]) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    from glassviz.checkpoints.wording import printable

    table = Table.grid(padding=(0, 2))
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    for name, value in rows:
        # Text, not markup: provenance comes from the file.
        table.add_row(Text(printable(name)), Text(printable(value, limit=1000)))
    # Into a file or a pipe a hash must not be broken in two.
    Console(highlight=False, width=None if sys.stdout.isatty() else 120).print(table)
