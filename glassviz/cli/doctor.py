"""Commands that explain: doctor (this machine), explain (metrics)."""

import sys
from typing import TYPE_CHECKING, Annotated

import typer

from glassviz.cli.options import Json
from glassviz.errors import GlassvizError

if TYPE_CHECKING:
    from glassviz.metrics.glossary import Metric


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
            typer.echo(f"{mark}  {check.name:<10}  {check.found}")
            if check.fix:
                typer.echo(f"{'':18}-> {check.fix}")
        typer.echo("Films can be made." if report.can_film else "Films cannot be made.")
    if not report.can_film:
        raise typer.Exit(1)


def _explain(message: str) -> None:
    from glassviz.video.opengl import diagnose

    failure = diagnose(sys.stdin.read() if message == "-" else message)
    if failure is None:
        raise GlassvizError("doctor --message: not a known OpenGL error")
    typer.echo(f"cause: {failure.cause}\nfix:   {failure.fix}")


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
        typer.echo(_listed(found) if name is None else _told(found[0]))


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
