"""Glossary of metrics: definition, formula, unit, range, null, interpretation and pitfalls.

The texts are in `glossary.toml`, those of other words that outputs print in `words.toml`. The
command line, the documentation and the reports take them from there.
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
"""Suffixes of metrics in columns of runs.csv: bounds of the interval; computed over all frames
after the initial transient, not only those in gait cycles."""


@dataclass(frozen=True)
class Metric:
    """Glossary entry of a metric.

    Attributes:
        name: name of the field that holds it, or of a criterion of a verdict; longer if fields of
            different meaning share a name.
        what, formula: definition in one line, and formula in plain text.
        unit: unit; `none` for dimensionless numbers.
        range: range, and when it is undefined.
        null: value by chance, and the null model.
        reading, trap: interpretation and pitfalls.
        source: author, venue, year.
        fields: results that hold it, its interval or its null: `Class.field`, a function, or a
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
    """Look up a metric.

    The name is that of the metric, of a field that holds it, or `Class.field` if several metrics
    have fields of that name; optionally with a suffix of `ENDINGS`.

    Raises:
        UsageError: the name is unknown, or the name of a field of several metrics.

    Example:
        >>> metric("fleiss_kappa").good
        'high'
        >>> metric("kappa_low").name
        'fleiss_kappa'
    """
    # Metrics come before fields, one of which may be named like the bound of a metric.
    bare = name
    for ending in ENDINGS:
        bare = bare.removesuffix(ending)
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
    known = {_names(alias)[1] for m in METRICS.values() for alias in (m.name, *m.fields)}
    known |= {each for word in WORDS for each in word.names}
    similar = get_close_matches(name, sorted(known))
    remedy = f"try {' or '.join(similar)}" if similar else "`glassviz explain` lists all"
    raise UsageError(f"{name!r}: expected a metric or a word of an output, found neither: {remedy}")


@dataclass(frozen=True)
class Word:
    """A word that outputs print: a column, symbol, verdict or entry of a legend.

    Attributes:
        names: the word, and others for the same thing.
        metric: name of the metric that it stands for; None if it stands for none.
    """

    names: tuple[str, ...]
    what: str
    metric: str | None


def explained(name: str) -> Word | Metric:
    """Look up a word of an output, or else a metric; words come before fields of metrics.

    Upper and lower case differ only where both are words (`K` and `k`).

    Raises:
        UsageError: as for `metric`.

    Example:
        >>> explained("κ").metric
        'fleiss_kappa'
    """
    name = name.strip()
    if name in METRICS:
        return METRICS[name]
    for same in (str.__eq__, lambda a, b: a.casefold() == b.casefold()):
        for word in WORDS:
            if any(same(each, name) for each in word.names):
                return word
    return metric(name)


def _names(field: str) -> tuple[str, str]:
    """Names of a field, with and without its class."""
    return field, field.rpartition(".")[2]


def _read_words() -> tuple[Word, ...]:
    text = files(__package__).joinpath("words.toml").read_text(encoding="utf-8")
    words = []
    for entries in tomllib.loads(text).values():
        for names, entry in entries.items():
            told = {"what": entry} if isinstance(entry, str) else entry
            words.append(Word(tuple(names.split("|")), told["what"], told.get("metric")))
    return tuple(words)


def _read() -> Mapping[str, Metric]:
    text = files(__package__).joinpath("glossary.toml").read_text(encoding="utf-8")
    tables = tomllib.loads(text)
    titles = tables.pop("groups")
    metrics: dict[str, Metric] = {}
    for group, entries in tables.items():
        for name, entry in entries.items():
            fields = tuple(entry.pop("fields"))
            texts: dict[str, Any] = {key: " ".join(text.split()) for key, text in entry.items()}
            metrics[name] = Metric(name=name, group=titles[group], fields=fields, **texts)
    return MappingProxyType(metrics)


METRICS: Mapping[str, Metric] = _read()
"""All metrics by name, in the order of the file."""

WORDS: tuple[Word, ...] = _read_words()
"""All words that outputs print, in the order of the file."""
