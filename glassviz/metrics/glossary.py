"""What every metric means: definition, formula, range, direction, null, source, reading and trap.

The texts are in `glossary.toml`, the one place that the command line, the documentation and
whatever else shows a number take them from.
"""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from importlib.resources import files
from types import MappingProxyType
from typing import Any, Literal

from glassviz.errors import UsageError

ENDINGS = ("_low", "_high", "_all_frames")
"""What columns of runs.csv add to a metric: bounds of its interval; over all frames after the
opening, those outside of gait cycles included."""


SUGGESTIONS = 3
"""So many names at most are offered in place of an unknown one."""


@dataclass(frozen=True)
class Metric:
    """What a metric means, in words that can be shown.

    Attributes:
        name: of the field that carries it, or of a verdict's criterion; where several fields of
            different meaning have one name, a longer one.
        group: title of the group that it is listed under.
        what: definition, one line.
        formula: in plain text.
        unit: `none` for pure numbers.
        range: and when it is undefined.
        good: which direction is good, if any is.
        null: what it would be by chance, and how that is found.
        reading: how to read it.
        trap: how it misleads.
        source: author, venue, year.
        fields: results that carry it, its interval or its null: `Class.field`, a function, or a
            column of runs.csv.
    """

    name: str
    group: str
    what: str
    formula: str
    unit: str
    range: str
    good: Literal["high", "low", "neither"]
    null: str
    reading: str
    trap: str
    source: str
    fields: tuple[str, ...]


def metric(name: str) -> Metric:
    """Look a metric up.

    Args:
        name: of the metric, of a field that carries it, or `Class.field` where several metrics
            have fields of that name; also with an ending of `ENDINGS`.

    Raises:
        UsageError: there is none, or a field's name is that of several.
    """
    # Before fields, of which one may have the name of a metric's bound.
    bare = _without_endings(name)
    if bare in METRICS:
        return METRICS[bare]
    for field in dict.fromkeys((name, bare)):
        carriers = {m.name: m for m in METRICS.values() for f in m.fields if field in _names(f)}
        if len(carriers) == 1:
            return next(iter(carriers.values()))
        if carriers:
            raise UsageError(
                f"metric {name!r}: expected the name of one metric, found a field of several: ask "
                f"for one of {', '.join(carriers)}"
            )
    known = {_names(each)[1] for m in METRICS.values() for each in (m.name, *m.fields)}
    near = get_close_matches(name, sorted(known), SUGGESTIONS)
    remedy = f"try {' or '.join(near)}" if near else "`glassviz explain` lists all"
    raise UsageError(f"metric {name!r}: expected the name of a metric, found no such: {remedy}")


def _without_endings(name: str) -> str:
    for ending in ENDINGS:
        name = name.removesuffix(ending)
    return name


def _names(field: str) -> tuple[str, str]:
    """Both ways to ask for a field: with and without its class."""
    return field, field.rpartition(".")[2]


def _read() -> Mapping[str, Metric]:
    text = files(__package__).joinpath("glossary.toml").read_text(encoding="utf-8")
    tables = tomllib.loads(text)
    titles = tables.pop("groups")
    return MappingProxyType(
        {
            name: Metric(name=name, group=titles[group], **_one_line(entry))
            for group, entries in tables.items()
            for name, entry in entries.items()
        }
    )


def _one_line(entry: Mapping[str, Any]) -> dict[str, Any]:
    """Texts without the line breaks of the file."""
    return {
        key: tuple(value) if isinstance(value, list) else " ".join(value.split())
        for key, value in entry.items()
    }


METRICS: Mapping[str, Metric] = _read()
"""Every metric by name, in the order of the file, group by group."""
