"""Commands on checkpoint files: inspect, convert."""

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import typer

from glassviz.cli.options import Checkpoint, Json, Overwrite


def inspect(checkpoint: Checkpoint, to_json: Json = False) -> None:
    """Show what is in a checkpoint.

    Lists agent, planner, Glass, provenance, and what had to be assumed. Reading a checkpoint never
    executes code from the file.

    \b
    Example:
      glassviz inspect best_mppi.pkl
    """
    from glassviz.checkpoints import load, summarise

    summary = summarise(load(checkpoint))
    if to_json:
        from glassviz.report.serialize import as_json

        typer.echo(as_json(summary))
    else:
        from glassviz.report.phrases.tables import rows_of

        _print_facts(rows_of(summary))


def convert(
    source: Annotated[Path, typer.Argument(metavar="IN", help="Checkpoint in any known format.")],
    target: Annotated[Path, typer.Argument(metavar="OUT", help="The .safetensors file to write.")],
    half: Annotated[
        bool, typer.Option("--half", help="Store 16-bit floats: half the size, rounded weights.")
    ] = False,
    overwrite: Overwrite = False,
) -> None:
    """Convert a checkpoint to the native format (.safetensors).

    Prints which facts were missing and assumed, and which content is dropped.

    \b
    Example:
      glassviz convert best_mppi.pkl agent.safetensors
    """
    from glassviz.checkpoints import convert as convert_file
    from glassviz.checkpoints import summarise
    from glassviz.report.phrases.tables import remarks_of

    summary = summarise(convert_file(source, target, half=half, overwrite=overwrite))
    _print_facts(remarks_of(summary))
    typer.echo(f"{source} -> {target} (sha256 {summary.sha256[:12]})")


def _print_facts(rows: Iterator[tuple[str, str]]) -> None:
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
    # In a file or a pipe, a hash must stay on one line.
    Console(highlight=False, width=None if sys.stdout.isatty() else 120).print(table)
