"""`glassviz recipes`."""

from collections.abc import Callable
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
    """List the training recipes: what each starts from and changes, and what was published.

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

    columns: dict[str, Callable[[Recipe], str]] = {
        "recipe": lambda each: each.name,
        "from": lambda each: ", ".join(each.starts_from),
        "what": lambda each: each.what,
        "changes": lambda each: ", ".join(f"{k} {_plain(v)}" for k, v in each.own.items()),
        "published": lambda each: each.published,
    }
    # What no recipe of a kind has needs no column: proposals start from nothing.
    shown = {name: of for name, of in columns.items() if any(map(of, found))}
    table = Table(*shown, title=title, title_justify="left")
    for each in found:
        table.add_row(*(of(each) for of in shown.values()))
    return table


def _plain(value: Any) -> str:
    if isinstance(value, list):
        return "+".join(map(_plain, value))
    return f"{value:g}" if isinstance(value, float) else str(value)
