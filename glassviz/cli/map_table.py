"""The table of `glassviz map`."""

import sys
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.table import Table
from rich.text import Text

from glassviz.checkpoints.wording import printable
from glassviz.many import Failed
from glassviz.maps import LatentMap
from glassviz.maps.caption import caption
from glassviz.stability.wording import LONGEST, NONE

_NOTES = (
    "trust: trustworthiness, cont: continuity, 1 at best and 0.5 by chance. kept: share of a "
    "frame's nearest that are among its nearest on the map; over chance, and over all "
    "neighbourhoods: 1 at best, 0 by chance. purity: share of the nearest with the same label "
    "(by chance), silhouette: how far labels lie apart; in the space → on the map: a map that has "
    "more than its space flatters."
)


def print_maps(
    rows: Sequence[LatentMap | Failed], files: Sequence[Path], console: Console | None = None
) -> None:
    """Print a row a map, its caption, and what was written.

    Args:
        rows: of `map_all`.
        files: that were written.
        console: where to; by default the terminal, or, into a file or a pipe, lines as long as
            they need to be.
    """
    console = console or Console(highlight=False, width=None if sys.stdout.isatty() else 10_000)
    console.print(_table(rows))
    maps = [row for row in rows if isinstance(row, LatentMap)]
    if maps:
        console.print(Text(_NOTES, "dim"))
        console.print(Text(caption(maps)))
    for path in files:
        console.print(Text(str(path)))


def _table(rows: Sequence[LatentMap | Failed]) -> Table:
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="bold")
    table.add_column("run", overflow="fold", min_width=10)
    for column in ("frames", "trust", "cont", "kept", "over chance", "all k"):
        table.add_column(column, no_wrap=column != "over chance", justify="right")
    table.add_column("purity", justify="right")
    table.add_column("silhouette", justify="right")
    failed = any(isinstance(row, Failed) for row in rows)
    if failed:
        table.add_column("", overflow="fold")
    for row in rows:
        # Text, not markup: names and errors come from files.
        name = Text(printable(row.name, limit=LONGEST))
        if isinstance(row, Failed):
            reason = printable(row.error.removeprefix(f"{row.name}: "), limit=LONGEST)
            told = Text.assemble(("failed", "bold red"), f": {reason}")
            table.add_row(name, *[""] * 8, told)
            continue
        table.add_row(name, f"{row.fitted}", *_quality(row), *_labels(row))
    return table


def _quality(row: LatentMap) -> list[str]:
    if row.quality is None:
        return [NONE] * 5
    values = (
        row.quality.trustworthiness,
        row.quality.continuity,
        row.quality.neighbour_preservation,
        row.quality.neighbours_over_chance,
        row.quality.neighbour_preservation_auc,
    )
    return [f"{value:.2f}" for value in values]


def _labels(row: LatentMap) -> list[str]:
    found = row.labels
    if found is None:
        return [NONE, NONE]
    purity = f"{found.purity_space:.2f} → {found.purity_plane:.2f} ({found.chance_purity:.2f})"
    if found.silhouette_space is None or found.silhouette_plane is None:
        return [purity, NONE]
    return [purity, f"{found.silhouette_space:.2f} → {found.silhouette_plane:.2f}"]
