"""The table of `glassviz stability`."""

import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

from rich.console import Console
from rich.table import Table
from rich.text import Text

from glassviz.checkpoints.wording import printable
from glassviz.cli.stability_together import print_together
from glassviz.comparison.wording import labels_used, reasons_of, shown_locking
from glassviz.many import Failed
from glassviz.stability import Assessed
from glassviz.stability.wording import NONE, failure, named, shown_mean, shown_return

if TYPE_CHECKING:
    from glassviz.comparison import Together
    from glassviz.stability import RunStability

_STYLES = {"stable-hop": "green", "unstable": "red", "split": "yellow", "undetermined": "yellow"}

_NOTES = (
    "return: mean of the episodes, and the 95 % interval of that mean, which says nothing about "
    "other seeds. labels: visited, with more than 1 % of the frames. U: share of their entropy "
    "that the gait phase explains; one label has none. κ: agreement of gait cycles on them, beyond "
    "chance. sw/cyc: switches per gait cycle. All three are means over the episodes that have gait "
    "cycles, U and κ over those of them with more than one label. "
    "Everything by episode, with every criterion: --json, or --out DIR."
)


def print_table(
    rows: Sequence[Assessed | Failed],
    together: "Together | None" = None,
    console: Console | None = None,
) -> None:
    """Print one row a run and controller, what the columns mean, and what the rows say together.

    Args:
        rows: of `assess_all`.
        together: of these rows; None if there is nothing to compare.
        console: where to; by default the terminal, or, into a file or a pipe, lines as long as
            they need to be.
    """
    console = console or Console(highlight=False, width=None if sys.stdout.isatty() else 10_000)
    table = Table(box=None, padding=(0, 1, 0, 0), header_style="bold")
    table.add_column("run", overflow="fold", min_width=10)
    table.add_column("by", no_wrap=True)
    table.add_column("return", no_wrap=True, justify="right")
    table.add_column("gait", overflow="fold", min_width=12)
    for title in ("labels", "U", "κ", "sw/cyc"):
        table.add_column(title, no_wrap=True, justify="right")
    table.add_column("basin: main reason", overflow="fold", min_width=13)
    for row in rows:
        # Text, not markup: names and errors come from files.
        name = Text(printable(row.name, limit=1000))
        cells = _cells(row.stability) if isinstance(row, Assessed) else _failed(row)
        table.add_row(name, row.controller or "", *cells)
    console.print(table)
    assessed = [row.stability for row in rows if isinstance(row, Assessed)]
    if assessed:
        console.print(Text(_NOTES, "dim"))
    for line in labels_used(assessed):
        console.print(Text(printable(line, limit=1000)))
    if together:
        print_together(together, console)


def _cells(run: "RunStability") -> tuple[str | Text, ...]:
    basin = run.basin
    name = named(basin.name, basin.split)
    return (
        shown_return(run.returns),
        named(run.gait.name, run.gait.split),
        NONE if run.occupancy is None else str(len(run.occupancy.visited)),
        shown_locking(run),
        shown_mean(run.metrics["fleiss_kappa"]),
        shown_mean(run.metrics["switches_per_cycle"], "z.1f"),
        Text.assemble((name, _STYLES[basin.name]), f": {reasons_of(run)[0]}"),
    )


def _failed(row: Failed) -> tuple[str | Text, ...]:
    failed = Text.assemble(("failed", "bold red"), f": {failure(row)}")
    return (*[""] * 6, failed)
