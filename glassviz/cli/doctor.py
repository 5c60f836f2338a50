"""Commands that explain: doctor, explain."""

import sys
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from glassviz.metrics.glossary import Metric


def doctor(
    to_json: Annotated[
        bool, typer.Option("--json", help="Print the report as JSON instead of a table.")
    ] = False,
    message: Annotated[
        str | None,
        typer.Option(
            help="Instead of looking at the machine, explain this OpenGL error message "
            "('-' reads it from standard input)."
        ),
    ] = None,
) -> None:
    """Say whether this machine can make films.

    Tries every OpenGL backend by drawing a picture, starts JAX, looks for the encoder, and says
    what to install where something is missing. Exits with 0 if films can be made, with 1 if not.
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
    from glassviz.errors import GlassvizError
    from glassviz.video.opengl import diagnose

    failure = diagnose(sys.stdin.read() if message == "-" else message)
    if failure is None:
        raise GlassvizError("doctor --message: expected a known OpenGL error, found none of them")
    typer.echo(f"cause: {failure.cause}\nfix:   {failure.fix}")


WIDTH = 88


NAME = 28
"""Columns of the name in the list of all metrics."""


def explain(
    name: Annotated[
        str | None,
        typer.Argument(metavar="METRIC", help="Metric or field; without it all are listed."),
    ] = None,
    to_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of text.")] = False,
) -> None:
    """Say what a metric means, and how it misleads.

    Formula, unit, range, which direction is good, what it would be by chance, and its source.

    The name is the one that reports and verdicts print, such as fleiss_kappa. A field that several
    results have is asked for with its class, such as Dwell.cv.
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
    """One line a metric, under the titles of their groups."""
    lines: list[str] = []
    for title in dict.fromkeys(each.group for each in found):
        lines += ["", title] if lines else [title]
        lines += [f"  {m.name:<{NAME}}{m.what}" for m in found if m.group == title]
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
            text, WIDTH, initial_indent=f"{heading:<9}", subsequent_indent=" " * 9
        )
    return "\n".join(lines)
