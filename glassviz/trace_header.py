"""What the header of a trace must say, so that whoever reads the trace can rely on it."""

import json
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from glassviz.errors import GlassvizError

LONGEST = 60
"""More of an entry is not shown."""

_MISSING = object()

_Entry = tuple[str, Callable[[Any], bool]]
"""What is expected, in words and as a test; of an entry that is missing, `_MISSING` is tested."""


def check_header(header: Mapping[str, Any], arrays: Mapping[str, np.ndarray], path: Path) -> None:
    """Refuse a header that lacks an entry, or has one that no trace has, or not of these arrays.

    Args:
        header: of a trace, of the present schema version.
        arrays: of the same trace, with the axes that they must have.
        path: of the trace, for the error.

    Raises:
        GlassvizError: the first such entry.
    """
    entries = _HEADER | _of(arrays)
    if header.get("labels_from") == "fitted":
        entries["fitted_labels"] = ("an object with sha256, for labels are fitted", _is_fitted)
    for entry, (expected, holds) in entries.items():
        found: Any = header
        for key in entry.split("."):
            found = found.get(key, _MISSING) if isinstance(found, dict) else _MISSING
        if not holds(found):
            told = "nothing" if found is _MISSING else json.dumps(found)
            told = told if len(told) <= LONGEST else f"{told[:LONGEST]} …"
            raise GlassvizError(
                f"{path}: header entry {entry}: expected {expected}, found {told}: record it again "
                f"with `glassviz rollout`"
            )


def _of(arrays: Mapping[str, np.ndarray]) -> dict[str, _Entry]:
    """Entries that tell of axes of the arrays."""
    episodes, geoms, bodies = (
        arrays[name].shape[axis] for name, axis in (("time", 0), ("contacts", 2), ("angles", 2))
    )
    prototypes = arrays["soft_assignment"].shape[2]
    rows = f"{prototypes} rows" if prototypes else "rows"
    tau = "a positive number or null" if prototypes else "null, there being no soft assignments"
    return {
        "reset_seeds": (f"{episodes} integers, one an episode", _list_of(int, episodes)),
        "geoms": (f"{geoms} names, one a column of contacts", _list_of(str, geoms)),
        "bodies": (f"{bodies} names, one a column of angles", _list_of(str, bodies)),
        "tau": (tau, lambda found: found is None or (prototypes > 0 and _is_positive(found))),
        # Missing from older traces.
        "partition": (
            f"{rows} of as many numbers each, or null",
            lambda found: found in (_MISSING, None) or _is_matrix(found, prototypes),
        ),
    }


def _is(*kinds: type) -> Callable[[Any], bool]:
    return lambda found: type(found) in kinds  # JSON's true is no integer.


def _or_missing(holds: Callable[[Any], bool]) -> Callable[[Any], bool]:
    return lambda found: found is _MISSING or holds(found)


def _list_of(kind: type, count: int | None = None) -> Callable[[Any], bool]:
    def holds(found: Any) -> bool:
        right = isinstance(found, list) and all(type(each) is kind for each in found)
        return right and count in (None, len(found))

    return holds


def _is_number(found: Any) -> bool:
    """Whether it is finite, and so as a float: JSON has integers of any length."""
    return type(found) in (int, float) and abs(found) <= sys.float_info.max


def _is_positive(found: Any) -> bool:
    return _is_number(found) and found > 0


def _is_step(found: Any) -> bool:
    """Whether it is a step of time that others can be told in."""
    return _is_number(found) and 1e-6 <= found <= 3600


def _is_matrix(found: Any, rows: int) -> bool:
    """Whether it has rows of as many numbers each; so many rows, or any number for 0."""
    return (
        isinstance(found, list)
        and len(found) > 0
        and rows in (0, len(found))
        and all(isinstance(row, list) and row and len(row) == len(found[0]) for row in found)
        and all(_is_number(each) for row in found for each in row)
    )


def _is_glass(found: Any) -> bool:
    clusters = found.get("clusters") if isinstance(found, dict) else None
    return found is None or (type(clusters) is int and clusters > 0)


def _is_fitted(found: Any) -> bool:
    return isinstance(found, dict) and isinstance(found.get("sha256"), str)


_TEXT: _Entry = ("a text", _is(str))
_OBJECT: _Entry = ("an object", _is(dict))
_INTEGER: _Entry = ("an integer", _is(int))
_TEXTS: _Entry = ("a list of texts", _list_of(str))

_HEADER: dict[str, _Entry] = {
    "checkpoint.name": _TEXT,
    "checkpoint.sha256": _TEXT,
    "checkpoint.format": _TEXT,
    "agent": _OBJECT,
    "agent.planner": ("an object, if there is one", _or_missing(_is(dict))),
    "agent.planner.discount": ("a number, if there is one", _or_missing(_is_number)),
    "agent.glass": ("an object with clusters, or null", _or_missing(_is_glass)),
    "controller": _TEXT,
    "planner": _OBJECT,
    "env.task": _TEXT,
    "env.physics": _TEXT,
    "env.action_repeat": (
        "a positive integer",
        lambda found: type(found) is int and _is_positive(found),
    ),
    "env.control_dt_s": ("a positive number of seconds, up to an hour", _is_step),
    "seed": _INTEGER,
    "label_rule": _TEXT,
    "labels_from": ("glass, fitted or none", lambda found: found in ("glass", "fitted", "none")),
    "assumptions": _TEXTS,
    "versions": _OBJECT,
    "device": _TEXT,
    "fitted_labels": ("an object with sha256, if there is one", _or_missing(_is_fitted)),
}
