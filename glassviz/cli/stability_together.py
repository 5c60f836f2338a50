"""What `glassviz stability` says under its table about several runs together."""

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from rich.console import Console
from rich.table import Table
from rich.text import Text

from glassviz.checkpoints.wording import printable
from glassviz.comparison.basins import told_basins, told_returns

if TYPE_CHECKING:
    from glassviz.comparison import Together


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
        yield f"basins, {own.controller}", told_basins(own.basins)
    for own in together.by_controller:
        yield f"runs, {own.controller}", f"{told_returns(own.returns)} {own.means.answer}"
    for own in together.by_controller:
        found = own.stability_and_return
        told = [found.answer, found.others, *_new(found.doubts, together)]
        yield f"return, {own.controller}", " ".join(filter(None, told))
    for own in together.by_controller:
        if own.groups:
            told = [own.groups.answer, *_new(own.groups.doubts, together)]
            yield f"groups, {own.controller}", " ".join(told)
    if together.controllers:
        yield "mppi and pi", together.controllers.answer
    for own in together.by_controller:
        yield f"value, {own.controller}", own.values.answer
    if together.correspondence:
        yield "labels", together.correspondence.answer
        yield "phases", together.answers.labels
    else:
        yield "labels", f"Not matched: {together.no_correspondence}."


def _new(doubts: Iterable[str], together: "Together") -> list[str]:
    """Those that are not told of all runs anyway."""
    return [doubt for doubt in doubts if doubt not in together.doubts]
