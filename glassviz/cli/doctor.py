"""`glassviz doctor`: can this machine make films?"""

import json
import sys
from typing import Annotated

import typer


def doctor(
    as_json: Annotated[
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
    from glassviz.doctor import examine

    report = examine()
    if as_json:
        typer.echo(json.dumps(report.to_dict(), indent=2))
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
    from glassviz.video.gl_failures import diagnose

    failure = diagnose(sys.stdin.read() if message == "-" else message)
    if failure is None:
        raise GlassvizError("doctor --message: expected a known OpenGL error, found none of them")
    typer.echo(f"cause: {failure.cause}\nfix:   {failure.fix}")
