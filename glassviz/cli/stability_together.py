"""What `glassviz stability` says under its table about several runs together."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

from rich.console import Console
from rich.table import Table
from rich.text import Text

from glassviz.checkpoints.wording import printable

if TYPE_CHECKING:
    from glassviz.comparison import ControllerRuns, Together


def print_together(together: "Together", console: Console) -> None:
    """Print the answers, a paragraph each; everything else is in the JSON."""
    grid = Table.grid(padding=(0, 2, 0, 0))
    grid.add_column(no_wrap=True, style="bold")
    grid.add_column(overflow="fold")
    for title, text in _paragraphs(together):
        # Text, not markup: names come from files.
        grid.add_row(title, Text(printable(text, limit=2000)))
    console.print()
    console.print(grid)


def _paragraphs(together: "Together") -> Iterator[tuple[str, str]]:
    n = len(together.checkpoints)
    yield "together", " ".join([f"n = {n} checkpoints; [95 % intervals].", *together.doubts])
    for own in together.by_controller:
        yield f"basins, {own.controller}", _basins(own)
    for own in together.by_controller:
        yield f"return, {own.controller}", own.stability_and_return.answer
    for own in together.by_controller:
        if own.groups:
            yield f"groups, {own.controller}", own.groups.answer
    if together.controllers:
        yield "mppi and pi", together.controllers.answer
    for own in together.by_controller:
        yield f"value, {own.controller}", own.values.answer
    if together.correspondence:
        yield "labels", together.correspondence.answer
        yield "phases", together.answers.labels
    else:
        yield "labels", f"Not matched: {together.no_correspondence}."


def _basins(own: "ControllerRuns") -> str:
    told = [
        f"{each.share.hits} {each.basin} [{each.share.low:.0%}, {each.share.high:.0%}]"
        for each in own.basins
        if each.share.hits
    ]
    return f"of {len(own.runs)} runs {', '.join(told)}."
