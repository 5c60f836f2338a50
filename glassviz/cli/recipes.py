"""`glassviz recipes`."""

from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from glassviz.training.recipes import Recipe

TITLES = {
    "phase": "Published phases: `glassviz train --recipe NAME`",
    "baseline": "Our own",
    "proposal": "Proposals: `glassviz train --recipe NAME --with PROPOSAL`",
}


def recipes(
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of tables.")] = False,
) -> None:
    """List the training recipes: what each changes, and what was published.

    Published returns are the planner's best of each seed, nothing that was measured here.
    """
    from glassviz.training.recipes import names, recipe

    found = [recipe(name) for name in names()]
    if as_json:
        import dataclasses
        import json

        typer.echo(json.dumps([dataclasses.asdict(each) for each in found], indent=2))
        return
    from rich.console import Console

    console = Console()
    for kind, title in TITLES.items():
        console.print(_table(title, [each for each in found if each.kind == kind]))


def _table(title: str, found: "list[Recipe]") -> Any:
    from rich.table import Table

    table = Table("recipe", "what", "changes", title=title, title_justify="left")
    published = any(each.published for each in found)
    if published:
        table.add_column("published")
    for each in found:
        changes = ", ".join(f"{name} {_plain(value)}" for name, value in each.own.items())
        row = [each.name, each.what, changes]
        table.add_row(*row, each.published) if published else table.add_row(*row)
    return table


def _plain(value: Any) -> str:
    if isinstance(value, list):
        return "+".join(map(_plain, value))
    return f"{value:g}" if isinstance(value, float) else str(value)
