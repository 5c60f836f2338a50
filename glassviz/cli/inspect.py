"""Commands that inspect: inspect and convert (files), doctor (this machine), explain (metrics)."""

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from glassviz.cli.options import Checkpoint, Json, Overwrite, say
from glassviz.errors import GlassvizError

if TYPE_CHECKING:
    from glassviz.metrics.glossary import Metric


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
    say(f"{source} -> {target} (sha256 {summary.sha256[:12]})")


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


def doctor(
    to_json: Json = False,
    message: Annotated[
        str | None,
        typer.Option(
            help="Explain this OpenGL error message instead of checking the machine; - reads it "
            "from standard input."
        ),
    ] = None,
) -> None:
    """Check rendering, JAX and ffmpeg on this machine.

    Draws a picture with every OpenGL backend, starts JAX, looks for the encoder, and prints what
    to install where something is missing. Exits with 0 if films can be made, otherwise with 1.

    \b
    Examples:
      glassviz doctor
      python film.py 2>&1 | glassviz doctor --message -
    """
    if message is not None:
        _explain(message)
        return
    from glassviz.video.doctor import examine

    report = examine()
    if to_json:
        from glassviz.report.serialize import as_json

        typer.echo(as_json({"can_film": report.can_film, "checks": [*map(vars, report.checks)]}))
    else:
        for check in report.checks:
            mark = {"ok": "ok  ", "note": "note", "failed": "FAIL"}[check.status]
            say(f"{mark}  {check.name:<10}  {check.found}")
            if check.fix:
                say(f"{'':18}-> {check.fix}")
        say("Films can be made." if report.can_film else "Films cannot be made.")
    if not report.can_film:
        raise typer.Exit(1)


def _explain(message: str) -> None:
    from glassviz.video.opengl import diagnose

    failure = diagnose(sys.stdin.read() if message == "-" else message)
    if failure is None:
        raise GlassvizError("doctor --message: not a known OpenGL error")
    say(f"cause: {failure.cause}\nfix:   {failure.fix}")


TEXT_WIDTH = 88
NAME_WIDTH = 28
"""Columns of the name in the list of all metrics."""


def explain(
    name: Annotated[
        str | None,
        typer.Argument(metavar="METRIC", help="Metric or field; without it, all are listed."),
    ] = None,
    to_json: Json = False,
) -> None:
    """Explain a metric, with its range, chance level and pitfalls.

    The name is the one that reports and verdicts print. A field that several results have is
    named with its class.

    \b
    Examples:
      glassviz explain
      glassviz explain fleiss_kappa
      glassviz explain Dwell.cv
    """
    from glassviz.metrics.glossary import METRICS, metric

    found = list(METRICS.values()) if name is None else [metric(name)]
    if to_json:
        from glassviz.report.serialize import as_json

        entries = [*map(vars, found)]
        typer.echo(as_json(entries if name is None else entries[0], ascii_only=False))
    else:
        say(_listed(found) if name is None else _told(found[0]))


def _listed(found: "list[Metric]") -> str:
    """One line per metric, under the titles of their groups."""
    lines: list[str] = []
    for title in dict.fromkeys(each.group for each in found):
        lines += ["", title] if lines else [title]
        lines += [f"  {m.name:<{NAME_WIDTH}}{m.what}" for m in found if m.group == title]
    return "\n".join(lines)


def _told(found: "Metric") -> str:
    import textwrap

    facts = {
        "formula": found.formula,
        "unit": found.unit,
        "range": found.range,
        "good": found.good,
        "null": found.null,
        "reading": found.reading,
        "trap": found.trap,
        "source": found.source,
        "fields": ", ".join(found.fields),
    }
    lines = [f"{found.name}  ({found.group})", found.what, ""]
    for heading, text in facts.items():
        lines += textwrap.wrap(
            text, TEXT_WIDTH, initial_indent=f"{heading:<9}", subsequent_indent=" " * 9
        )
    return "\n".join(lines)
