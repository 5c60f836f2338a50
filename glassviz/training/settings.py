"""Settings of a training run by name, read from the annotations of `TrainConfig`."""

import dataclasses
import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, get_args, get_type_hints

from annotated_types import Ge, Interval

from glassviz.errors import UsageError
from glassviz.training.config import TrainConfig
from glassviz.validation import Doc, check_value


@dataclass(frozen=True)
class Setting:
    """One setting.

    Attributes:
        name: what recipes and options call it.
        path: the fields that lead to it from a `TrainConfig`, joined by dots.
        group: a heading for the settings of one dataclass, from the start of its docstring.
        type: of its value.
        range: the same, annotated with the values that it may take.
        default: of the preset `paper`; the preset `small` and recipes change some.
        doc: its meaning and unit.
    """

    name: str
    path: str
    group: str
    type: Any
    range: Any
    default: Any
    doc: Doc

    @property
    def help(self) -> str:
        """Meaning, default with its unit, and range in one line."""
        unit = f" {self.doc.unit}" if self.doc.unit else ""
        default = f"default: {_shown(self.default)}{unit}" if self.default not in (None, ()) else ""
        notes = "; ".join(filter(None, [default or unit.strip(), _bounds(self.range)]))
        return f"{self.doc.text}  [{notes}]" if notes else self.doc.text

    def of(self, train: TrainConfig) -> Any:
        """Its value in a run; None where the run has no such part."""
        value: Any = train
        for name in self.path.split("."):
            value = getattr(value, name, None)
        return value


def _settings(config: type, path: str = "") -> Iterator[Setting]:
    """The fields of a dataclass that have a `Doc`, then those of its parts."""
    ranges = get_type_hints(config, include_extras=True)
    types = get_type_hints(config)
    group = re.split(r" ?[.:;(]", config.__doc__ or "")[0]
    for field in dataclasses.fields(config):
        kind, place = ranges[field.name], path + field.name
        for doc in getattr(kind, "__metadata__", ()):
            if isinstance(doc, Doc):
                name = doc.name or field.name
                yield Setting(name, place, group, types[field.name], kind, field.default, doc)
    for field in dataclasses.fields(config):
        kind = types[field.name]
        for part in (kind, *get_args(kind)):  # of `Part | None` too
            if isinstance(part, type) and dataclasses.is_dataclass(part):
                yield from _settings(part, f"{path}{field.name}.")


def _shown(value: Any) -> str:
    if isinstance(value, bool):
        return "on" if value else "off"
    return f"{value:g}" if isinstance(value, float) else str(value)


def _bounds(kind: Any) -> str:
    """The range that an annotation allows, such as `0<=x<1`; empty without one."""
    for mark in _marks(kind):
        if isinstance(mark, Ge):
            return f"x>={mark.ge}"
        if isinstance(mark, Interval) and mark.lt != math.inf:
            low = f"{mark.ge}<=" if mark.ge is not None else f"{mark.gt}<"
            return f"{low}x<={mark.le}" if mark.le is not None else f"{low}x<{mark.lt}"
        if isinstance(mark, Interval) and mark.gt != -math.inf:
            return f"x>={mark.ge}" if mark.ge is not None else f"x>{mark.gt}"
    return ""


def _marks(kind: Any) -> Iterator[Any]:
    """What stands in an annotation beside types, also inside `… | None` and `tuple[…]`."""
    yield from getattr(kind, "__metadata__", ())
    for each in get_args(kind):
        yield from _marks(each)


SETTINGS: dict[str, Setting] = {each.name: each for each in _settings(TrainConfig)}


def needs_glass(name: str) -> bool:
    """Whether a setting has no effect in a run without Glass."""
    return name in SETTINGS and SETTINGS[name].path.startswith(("agent.glass.", "glass."))


def apply(
    train: TrainConfig, values: Mapping[str, Any], places: Mapping[str, str] | None = None
) -> TrainConfig:
    """A run with some settings changed, all at once.

    Args:
        values: by the setting's name.
        places: where each was written, for messages; "training" by default.

    Raises:
        UsageError: an unknown name, a value of the wrong type or out of its range, a setting of
            Glass in a run without it, or settings that contradict each other.
    """
    changes: dict[str, Any] = {}
    for name, value in values.items():
        place = (places or {}).get(name, "training")
        if name not in SETTINGS:
            raise UsageError(
                f"{place}: expected settings of a training run, found {name!r}: see "
                f"`glassviz train --help`"
            )
        setting = SETTINGS[name]
        if needs_glass(name) and train.agent.glass is None:
            raise UsageError(
                f"{place}: {name} is a setting of Glass, found a run without it: drop the "
                f"setting, or train with Glass"
            )
        changes[setting.path] = check_value(f"{place}: {name}", setting.range, value)
    return _replace(train, changes)


def _replace(config: Any, changes: Mapping[str, Any]) -> Any:
    """`config` with the values at some dotted paths changed; each part is rebuilt once."""
    parts: dict[str, dict[str, Any]] = {}
    own: dict[str, Any] = {}
    for path, value in changes.items():
        name, _, rest = path.partition(".")
        if rest:
            parts.setdefault(name, {})[rest] = value
        else:
            own[name] = value
    inner = {name: _replace(getattr(config, name), within) for name, within in parts.items()}
    return dataclasses.replace(config, **own, **inner)
