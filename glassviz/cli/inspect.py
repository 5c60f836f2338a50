"""Commands that inspect: inspect and convert (files), doctor (this machine), explain (metrics)."""

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from glassviz.cli import terminal
from glassviz.cli.options import Checkpoint, Json, Overwrite
from glassviz.errors import GlassvizError

if TYPE_CHECKING:
    from glassviz.metrics.glossary import Metric, Word


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
        terminal.echo_json(summary)
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
    terminal.echo(f"{source} -> {target} (sha256 {summary.sha256[:12]})")


def _print_facts(rows: Iterator[tuple[str, str]]) -> None:
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
    terminal.console(otherwise=120).print(table)


def doctor(
    to_json: Json = False,
    message: Annotated[
        str | None,
        typer.Option(
            help="Explain this error message (of OpenGL, JAX, ffmpeg) instead of checking the "
            "machine; - reads it from standard input."
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
        terminal.echo_json({"can_film": report.can_film, "checks": [*map(vars, report.checks)]})
    else:
        for check in report.checks:
            mark = {"ok": "ok  ", "note": "note", "failed": "FAIL"}[check.status]
            terminal.echo(terminal.hanging(f"{mark}  {check.name:<10}  ", check.found))
            if check.fix:
                terminal.echo(terminal.hanging(f"{'':18}-> ", check.fix))
        terminal.echo("Films can be made." if report.can_film else "Films cannot be made.")
    if not report.can_film:
        raise typer.Exit(1)


def _explain(message: str) -> None:
    from glassviz.video.failures import diagnose

    if message == "-":
        message = sys.stdin.buffer.read().decode(errors="replace")
    failure = diagnose(message)
    if failure is None:
        raise GlassvizError(
            "doctor --message: expected the message of a known failure of OpenGL, JAX or ffmpeg, "
            "found none: pass the program's whole output, or run `glassviz doctor`"
        )
    terminal.echo(f"cause: {failure.cause}\nfix:   {failure.fix}")


TEXT_WIDTH = 88
NAME_WIDTH = 28
"""Columns of the name in the list of all metrics."""


def explain(
    name: Annotated[
        str | None,
        typer.Argument(
            metavar="METRIC",
            help="Metric, field, or a word of a table, verdict or legend; without it, all are "
            "listed.",
        ),
    ] = None,
    to_json: Json = False,
) -> None:
    """Explain a metric, with range, chance level and pitfalls, or a word of an output.

    The name is the one that tables, reports and verdicts print. A field that several results have
    is named with its class.

    \b
    Examples:
      glassviz explain
      glassviz explain κ
      glassviz explain knee-walk
      glassviz explain fleiss_kappa
      glassviz explain Dwell.cv
    """
    from glassviz.metrics.glossary import METRICS, Word, explained

    if name is None:
        every = list(METRICS.values())
        if to_json:
            terminal.echo_json([*map(vars, every)], ascii_only=False)
        else:
            terminal.echo(f"{_listed(every)}\n\n{_words()}")
        return
    found = explained(name)
    if isinstance(found, Word):
        own = METRICS[found.metric] if found.metric else None
        if to_json:
            terminal.echo_json(vars(found) | {"metric": own and vars(own)}, ascii_only=False)
        else:
            terminal.echo(_word(found) + (f"\n\n{_told(own)}" if own else ""))
    elif to_json:
        terminal.echo_json(vars(found), ascii_only=False)
    else:
        terminal.echo(_told(found))


def _word(found: "Word") -> str:
    return terminal.hanging("", f"{', '.join(found.names)}: {found.what}")


def _words() -> str:
    """One line per word of tables, verdicts and legends."""
    from glassviz.metrics.glossary import WORDS

    lines = [_named(", ".join(word.names), word.what) for word in WORDS]
    return "\n".join(["Words of tables, verdicts and legends", *lines])


def _named(name: str, what: str) -> str:
    # A space, for names that are longer than their column.
    return terminal.hanging(f"  {name:<{NAME_WIDTH - 1}} ", what)


def _listed(found: "list[Metric]") -> str:
    """One line per metric, under the titles of their groups."""
    lines: list[str] = []
    for title in dict.fromkeys(each.group for each in found):
        lines += ["", title] if lines else [title]
        lines += [_named(m.name, m.what) for m in found if m.group == title]
    return "\n".join(lines)


def _told(found: "Metric") -> str:
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
    lines = [f"{found.name}  ({found.group})", terminal.hanging("", found.what), ""]
    for heading, text in facts.items():
        if text:
            lines.append(terminal.hanging(f"{heading:<9}", text, TEXT_WIDTH))
    return "\n".join(lines)
