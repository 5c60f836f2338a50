"""Results as plain containers, JSON and CSV."""

import csv
import dataclasses
import io
import json
import math
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from glassviz.text import printable_lines


def plain(value: Any) -> Any:
    """`value` as null, bool, int, float, str, list or dict; NaN and infinity are null."""
    if value is None or isinstance(value, bool | int | str):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, np.ndarray | np.generic):
        return plain(value.tolist())
    if isinstance(value, Mapping):
        return {str(key): plain(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [plain(each) for each in value]
    if isinstance(value, Path):
        return str(value)
    if dataclasses.is_dataclass(value):
        return {key: plain(each) for key, each in _items(value)}
    raise TypeError(f"plain: expected a result, found {type(value).__name__}")


def _items(result: Any) -> Iterator[tuple[str, Any]]:
    # Not at the top: documents of plain containers, such as the doctor's, need no analysis.
    from glassviz.report.keys import KEYS, Keys

    keys = KEYS.get(type(result), Keys())
    for field in dataclasses.fields(result):
        yield from ((key, of(result)) for key, of in keys.before.get(field.name, {}).items())
        if field.name not in keys.without:
            yield field.name, getattr(result, field.name)
    yield from ((key, of(result)) for key, of in keys.last.items())


def as_json(value: Any, ascii_only: bool = True) -> str:
    """`plain(value)` as JSON; with `ascii_only`, other characters are escaped."""
    return json.dumps(plain(value), indent=2, ensure_ascii=ascii_only, allow_nan=False)


def as_csv(rows: Sequence[Mapping[str, Any]], columns: Sequence[str] = ()) -> str:
    """Flat rows as CSV, by default all keys; a cell is empty where its row has no such key.

    Texts that a spreadsheet would compute begin with an apostrophe.
    """
    names = list(columns)
    if not names:
        found = dict.fromkeys(name for row in rows for name in row)
        # A result that is missing from one row stands in others under longer names.
        parents = {name.rpartition(".")[0] for name in found}
        names = [name for name in found if name not in parents]
    text = io.StringIO()
    writer = csv.DictWriter(text, names, extrasaction="ignore", lineterminator="\n")
    writer.writeheader()
    writer.writerows({name: _no_formula(value) for name, value in row.items()} for row in rows)
    return text.getvalue()


def _no_formula(value: Any) -> Any:
    """`value`; a name such as `=1+1|cmd` as text, which spreadsheets do not run."""
    if not isinstance(value, str):
        return value
    value = printable_lines(value)
    return f"'{value}" if value.lstrip().startswith(_FORMULA) else value


_FORMULA = ("=", "+", "-", "@")


def flatten(told: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested keys joined by dots; short lists become text, and lists of results are left out.

    So are empty lists, which may be of results as well.
    """
    flat: dict[str, Any] = {}
    for key, value in told.items():
        if isinstance(value, Mapping):
            flat |= flatten(value, f"{prefix}{key}.")
        elif not isinstance(value, list) or (value and not isinstance(value[0], dict)):
            flat[prefix + key] = cell(value)
    return flat


def cell(value: Any) -> Any:
    """`value` for a row of a CSV file: a list as text."""
    return json.dumps(value) if isinstance(value, list) else value
