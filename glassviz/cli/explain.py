"""`glassviz explain`."""

from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from glassviz.analysis.metrics import Metric

WIDTH = 88
NAME = 28
"""Columns of the name in the list of all metrics."""


def explain(
    name: Annotated[
        str | None,
        typer.Argument(metavar="METRIC", help="Metric or field; without it all are listed."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of text.")] = False,
) -> None:
    """Say what a metric means, and how it misleads.

    Formula, unit, range, which direction is good, what it would be by chance, and its source.

    The name is the one that reports and verdicts print, such as fleiss_kappa. A field that several
    results have is asked for with its class, such as Dwell.cv.
    """
    from glassviz.analysis.metrics import METRICS, metric

    found = list(METRICS.values()) if name is None else [metric(name)]
    if as_json:
        import dataclasses
        import json

        told = [dataclasses.asdict(each) for each in found]
        typer.echo(json.dumps(told if name is None else told[0], indent=2, ensure_ascii=False))
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
