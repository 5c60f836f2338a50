"""Rows of a log in CSV: evaluations of a training, in the order of its lines."""

import csv
import math
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

from glassviz.files import StrPath, read_text
from glassviz.text import printable

COLUMNS = ("step", "reward", "eval_type", "seed")

CONTROLLERS = ("pi", "mppi")
UNNAMED = "eval"
"""In place of a controller, where a log does not name it."""

LARGEST_STEP = 2**63 - 1
MAX_LOG_BYTES = 64 << 20
LARGEST = 1e100
"""Larger numbers count as infinite: their differences may overflow."""

_RESTART = re.compile(r"restart_\d+")
_INTEGER = re.compile(r"\+?\d{1,19}", re.ASCII)
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?|[+-]?(inf|infinity|nan)", re.ASCII | re.I)
_SURELY_64_BITS = 19
_LONGEST_PLAIN = 10_000
"""Longer lines are left to the `csv` module, which refuses fields without an end."""


@dataclass(frozen=True)
class Table:
    """The lines of a log under the names of its columns.

    Attributes:
        names: in lower case, without spaces around them.
        lines: without the header.
    """

    header: str
    delimiter: str
    names: tuple[str, ...]
    lines: list[str]

    def fields(self) -> Iterator[tuple[int, str, list[str] | None]]:
        """The number and the text of each line that is not empty, and its fields.

        None for a line that is no CSV, or has more or fewer fields than columns.
        """
        for number, line in enumerate(self.lines, start=2):
            if line.strip():
                found = fields_of(line, self.delimiter)
                whole = found is not None and len(found) == len(self.names)
                yield number, line, found if whole else None

    @property
    def last(self) -> int:
        """The number of the line after the last line break, which may still be written."""
        return len(self.lines) + 1


@dataclass(frozen=True)
class Columns:
    """The columns that hold evaluations; None where a log does not have one."""

    step: str = "step"
    value: str = "reward"
    kind: str | None = "eval_type"
    seed: str | None = "seed"

    @property
    def names(self) -> tuple[str, ...]:
        """Those that the log has."""
        return tuple(name for name in (self.step, self.value, self.kind, self.seed) if name)


class Row(NamedTuple):
    """An evaluation.

    Attributes:
        value: None where the line has no finite number.
        kind: controller, restart or another type of evaluation, in lower case.
        seed: None where the log has no such column.
    """

    line: int
    step: int
    value: float | None
    kind: str
    seed: int | None = None


@dataclass(frozen=True)
class Damaged:
    """A line that is no whole row; the last one may have been read while it was being written."""

    line: int
    text: str
    last: bool


def read_table(path: StrPath) -> Table:
    """The lines of a log.

    Raises:
        GlassvizError: it cannot be read.
    """
    return table(read_text(path, "a log", MAX_LOG_BYTES))


def table(text: str) -> Table:
    """The lines of a log: columns separated by commas, semicolons or tabs."""
    header, *lines = text.replace("\r\n", "\n").replace("\r", "\n").split("\n")
    delimiter = max(",;\t", key=header.count)
    names = tuple(name.strip().lower() for name in fields_of(header, delimiter) or ())
    return Table(header, delimiter, names, lines)


def evaluations(
    found: Table, columns: Columns, seed: int | None = None
) -> tuple[list[Row], list[Damaged]]:
    """The rows of a log, and its damaged lines.

    Args:
        columns: each of which the log has once.
        seed: that all rows must have; None: any.
    """
    places = [found.names.index(name) for name in columns.names]
    # An incomplete number at the end of the file could look like a whole one.
    cut = found.names[-1] in (columns.step, columns.value)
    has_kind, has_seed = columns.kind is not None, columns.seed is not None
    rows, damaged, last = [], [], found.last
    step_at, value_at, *others = places
    kind_at = others[0] if has_kind else -1
    seed_at = others[-1] if has_seed else -1
    of_seed: int | None = None
    told: str | None = None  # seeds are all the same, or nearly so
    for number, line, fields in found.fields():
        try:
            if fields is None or (cut and number == last):
                raise ValueError("not a whole row")
            value = fields[value_at].strip()
            kind = fields[kind_at].strip().lower() if has_kind else UNNAMED
            if has_seed and fields[seed_at] != told:
                of_seed = parse_step(fields[seed_at])
                told = fields[seed_at]
            at = parse_step(fields[step_at])
            row = Row(number, at, parse_number(value) if value else None, kind, of_seed)
            if not kind or (seed is not None and of_seed != seed):
                raise ValueError("not of this seed")
            # An empty field is a gap, unless the line was being written.
            if number == last and not value and not is_restart(kind):
                raise ValueError("not a whole row")
        except ValueError:
            damaged.append(Damaged(number, line, number == last))
        else:
            rows.append(row)
    return rows, damaged


def column_names(path: StrPath) -> list[str]:
    """The names of the columns of a log.

    Raises:
        GlassvizError: it cannot be read.
    """
    return list(read_table(path).names)


def fields_of(line: str, delimiter: str) -> list[str] | None:
    """The fields of a line; None if it is no CSV."""
    if '"' not in line and "\0" not in line and len(line) < _LONGEST_PLAIN:
        return line.split(delimiter)
    try:
        reader = csv.reader([line], delimiter=delimiter, skipinitialspace=True, strict=True)
        return next(reader, None)
    except csv.Error:  # a quote without its partner, a field that is too long, a NUL
        return None


def is_restart(kind: str) -> bool:
    """Whether this type of evaluation stands for a restart: `restart_1`."""
    return kind.startswith("restart") and _RESTART.fullmatch(kind) is not None


def parse_step(text: str) -> int:
    """A number of steps: `250000`, `250000.0` or `2.5e5`.

    Raises:
        ValueError: it is negative, not whole, or beyond 64 bits.
    """
    text = text.strip()
    if text.isdigit() and text.isascii() and len(text) < _SURELY_64_BITS:  # nearly always
        return int(text)
    if _INTEGER.fullmatch(text):
        step = int(text)
    else:
        value = parse_number(text)
        step = -1 if value is None or not value.is_integer() else int(value)
    if not 0 <= step <= LARGEST_STEP:
        raise ValueError("no number of steps")
    return step


def parse_number(text: str) -> float | None:
    """A number; None if it is not finite.

    Raises:
        ValueError: it is no number.
    """
    if not _NUMBER.fullmatch(text):
        raise ValueError("no number")
    value = float(text)
    return value if math.isfinite(value) and abs(value) <= LARGEST else None


def shown(line: str) -> str:
    """A line for a message, printable and quoted."""
    return repr(printable(line, limit=60))
