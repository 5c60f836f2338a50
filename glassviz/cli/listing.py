"""Tables whose rows are readable at any width: what does not fit beside its row goes below it."""

import re
import textwrap
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from rich.cells import cell_len
from rich.console import Console
from rich.text import Text

from glassviz.errors import UsageError
from glassviz.files import near

if TYPE_CHECKING:
    from glassviz.report.latex import LatexTable

GAPS = (2, 1)
"""Spaces between columns, and between columns that would not fit otherwise."""

INDENT = 4
"""Spaces before what stands below its row."""

NARROWEST_NAME = 16
"""Columns that names have at least, unless all are shorter."""

NARROWEST_REMARK = 36
"""Columns that remarks need at least to stand beside their rows."""

Cell = str | Text


@dataclass(frozen=True)
class _Row:
    cells: tuple[Text, ...]
    remark: Text


@dataclass
class Listing:
    """Rows of cells under titles, the first of which is a name.

    No cell is cut and no word is broken. A name that is too long goes over several lines. Where
    the cells of a row need more than the width, its last ones stand below it, after their titles.
    A remark stands beside its row if there is room, else below it.

    Attributes:
        titles: of the columns; `\\n` breaks a title into lines.
        left: titles of the columns besides the first that are aligned to the left.
        remarks: title of the remarks.
    """

    titles: Sequence[str]
    left: Collection[str] = ()
    remarks: str = ""
    _rows: list[_Row] = field(default_factory=list)

    def __len__(self) -> int:
        return len(self._rows)

    def add(self, *cells: Cell, remark: Cell = "") -> None:
        """Add a row; cells that are left out at its end are empty."""
        every = [*map(_text, cells), *[Text()] * (len(self.titles) - len(cells))]
        self._rows.append(_Row(tuple(every), _text(remark)))

    def sort(self, column: str | None) -> None:
        """Sort by a column: numbers from the highest, words by alphabet, empty cells last.

        Raises:
            UsageError: there is no such column.
        """
        if column is None:
            return
        check_column(column, self.titles)
        place = [*map(plain_title, self.titles)].index(plain_title(column))
        self._rows.sort(key=lambda row: _order(row.cells[place].plain))

    def latex(self, caption: str, suffix: str = "") -> "LatexTable":
        """The same table for a paper, with the remarks as comments."""
        from glassviz.report.latex import LatexTable

        rows = [[cell.plain for cell in row.cells] for row in self._rows]
        remarks = [row.remark.plain for row in self._rows]
        return LatexTable(self.titles, self.left, rows, remarks, caption, suffix)

    def print(self, console: Console) -> None:
        """Print titles and rows."""
        below, gap = self._first_below(console.width)
        titles = self.titles[:below]
        wide = [self._width(i) for i in range(len(titles))]
        over = sum(wide) + gap * (len(wide) - 1) - console.width
        if over > 0:
            wide[0] = max(1, wide[0] - over)
        start = sum(wide) + GAPS[0] + gap * (len(wide) - 1)
        longest = max((cell_len(row.remark.plain) for row in self._rows), default=0)
        room = console.width - start
        beside = below == len(self.titles) and room >= min(longest, NARROWEST_REMARK)
        for line in self._header(
            titles, wide, gap, start, self.remarks if beside and longest else ""
        ):
            _print(console, line)
        for row in self._rows:
            remark = row.remark if beside else Text()
            lines = self._lines(row.cells[: len(titles)], wide, gap, console)
            told = list(remark.wrap(console, max(room, 1))) if remark else []
            for i in range(max(len(lines), len(told))):
                line = lines[i] if i < len(lines) else Text()
                if i < len(told):
                    line.pad_right(start - cell_len(line.plain))
                    line.append_text(told[i])
                _print(console, line)
            for line in () if beside else self._below(row, below, console):
                _print(console, line)

    def _first_below(self, width: int) -> tuple[int, int]:
        """How many columns fit into lines of a width, where names may be broken, with what gap."""
        name = min(self._width(0), NARROWEST_NAME)
        widths = [name, *(self._width(i) for i in range(1, len(self.titles)))]
        for count in range(len(widths), 1, -1):
            for gap in GAPS:
                if sum(widths[:count]) + gap * (count - 1) <= width:
                    return count, gap
        return 1, GAPS[0]

    def _width(self, column: int) -> int:
        cells = [row.cells[column].plain for row in self._rows]
        return max(cell_len(text) for text in [*self.titles[column].split("\n"), *cells])

    def _header(
        self, titles: Sequence[str], wide: Sequence[int], gap: int, start: int, remarks: str
    ) -> list[Text]:
        parts = [title.split("\n") for title in titles]
        height = max(map(len, parts), default=1)
        lines: list[Text] = []
        for i in range(height):
            cells = [Text(([""] * (height - len(part)) + part)[i]) for part in parts]
            line = self._line(cells, wide, gap)
            if remarks and i == height - 1:
                line.pad_right(start - cell_len(line.plain))
                line.append(remarks)
            line.stylize("bold")
            lines.append(line)
        return lines

    def _lines(
        self, cells: Sequence[Text], wide: Sequence[int], gap: int, console: Console
    ) -> list[Text]:
        name, *others = cells
        names = _broken(name, wide[0], console)
        return [self._line([names[0], *others], wide, gap), *names[1:]]

    def _line(self, cells: Sequence[Text], wide: Sequence[int], gap: int) -> Text:
        line = Text()
        for i, (cell, width) in enumerate(zip(cells, wide, strict=True)):
            space = max(0, width - cell_len(cell.plain))
            to_left = i == 0 or self.titles[i] in self.left
            line.append(" " * (gap if i else 0) + ("" if to_left else " " * space))
            line.append_text(cell)
            line.append(" " * space if to_left else "")
        return line

    def _below(self, row: _Row, first: int, console: Console) -> list[Text]:
        """What stands below a row: its last cells, after their titles, and the remark."""
        parts = [
            Text.assemble((f"{plain_title(title)} ", "dim"), cell)
            for title, cell in zip(self.titles[first:], row.cells[first:], strict=True)
            if cell.plain
        ]
        told = Text(", ").join(parts)
        if row.remark.plain:
            told = Text(": " if parts else "").join([told, row.remark])
        wrapped = told.wrap(console, max(console.width - INDENT, 1)) if told.plain else ()
        return [Text.assemble(" " * INDENT, line) for line in wrapped]


def check_column(column: str | None, titles: Sequence[str]) -> None:
    """Refuse a column to sort by that a table does not have.

    Raises:
        UsageError: there is no such column.
    """
    known = [*filter(None, map(plain_title, titles))]
    if column is not None and plain_title(column) not in known:
        raise UsageError(
            f"--sort: expected a column of the table, one of {', '.join(known)}, found "
            f"{column!r}{near(column, known)}"
        )


def plain_title(title: str) -> str:
    """A title on one line."""
    return " ".join(title.split())


def _text(cell: Cell) -> Text:
    # Text, not markup: names and errors come from files.
    return cell if isinstance(cell, Text) else Text(cell)


def _print(console: Console, line: Text) -> None:
    line.rstrip()
    console.print(line, soft_wrap=True)


def _broken(name: Text, width: int, console: Console) -> list[Text]:
    """A name in lines, broken at its dashes and slashes if it can be."""
    if cell_len(name.plain) <= width:
        return [name]
    apart = re.sub(r"([/_.-])", "\\1\0", name.plain).replace(" ", "\1").replace("\0", " ")
    lines = textwrap.wrap(apart, max(width, 2), break_long_words=True, break_on_hyphens=False)
    joined = [line.replace(" ", "").replace("\1", " ") for line in lines]
    return [part for line in joined for part in Text(line).wrap(console, width)] or [name]


_NUMBER = re.compile(r"[+-]?\d+(\.\d+)?")


def _order(text: str) -> tuple[int, float, str]:
    found = _NUMBER.match(text.replace("−", "-").replace(",", ""))
    if found:
        return 0, -float(found[0]), ""
    return (2, 0.0, "") if text in ("", "–") else (1, 0.0, text)
