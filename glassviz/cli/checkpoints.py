"""`glassviz inspect` and `glassviz convert`: what is in a checkpoint, and how to keep it."""

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import typer


def inspect(
    checkpoint: Annotated[Path, typer.Argument(help="Native .safetensors or published .pkl file.")],
    to_json: Annotated[
        bool, typer.Option("--json", help="Print the summary as JSON instead of a table.")
    ] = False,
) -> None:
    """Show what is in a checkpoint.

    Agent, planner, Glass, provenance, and what had to be assumed. Reading a checkpoint runs no
    code, whatever the file holds.
    """
    from glassviz.checkpoints import load, rows_of, summarise

    summary = summarise(load(checkpoint))
    if to_json:
        from glassviz.report.serialize import as_json

        typer.echo(as_json(summary))
    else:
        _print_table(rows_of(summary))


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
    from glassviz.checkpoints import remarks_of, summarise

    summary = summarise(convert_file(source, target, half=half, overwrite=overwrite))
    _print_table(remarks_of(summary))
    typer.echo(f"{source} -> {target} (sha256 {summary.sha256[:12]})")


def _print_table(rows: Iterator[tuple[str, str]]) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    from glassviz.text import printable

    table = Table.grid(padding=(0, 2))
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    for name, value in rows:
        # Text, not markup: provenance comes from the file.
        table.add_row(Text(printable(name)), Text(printable(value, limit=1000)))
    # Into a file or a pipe a hash must not be broken in two.
    Console(highlight=False, width=None if sys.stdout.isatty() else 120).print(table)
