"""Recipes: named changes of a training configuration, shipped or from a file."""

import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from importlib.resources import files
from pathlib import Path
from typing import Any, Literal

from pydantic import ConfigDict, Field, TypeAdapter, ValidationError
from pydantic.dataclasses import dataclass as validated

from glassviz.errors import UsageError
from glassviz.training.config import Algo, Preset, TrainConfig, official, preset
from glassviz.training.settings import apply, needs_glass

Kind = Literal["phase", "baseline", "proposal"]


@validated(frozen=True, config=ConfigDict(extra="forbid"))
class Entry:
    """A recipe as it is written: what it changes about those that it starts from."""

    what: str
    kind: Kind = "baseline"
    published: str = ""
    base: tuple[str, ...] = Field(default=(), alias="from")
    algo: Algo | None = None
    official: bool | None = None
    settings: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Recipe:
    """A recipe with all that it inherits.

    Attributes:
        name, kind, what, published: of the recipe itself.
        starts_from: the recipes that it inherits from; the later ones overrule.
        algo: with Glass or without.
        official: whether networks, losses and constants are those of the official TD-MPC2.
        settings: every setting that differs from the preset's, by published name.
        own: those of them that the recipe changes itself.
    """

    name: str
    kind: Kind
    what: str
    published: str
    starts_from: tuple[str, ...]
    algo: Algo
    official: bool
    settings: Mapping[str, Any]
    own: Mapping[str, Any]


def names(kind: Kind | None = None) -> list[str]:
    """The recipes that come with the program, in the order of the file."""
    return [name for name, entry in _shipped().items() if kind in (None, entry.kind)]


def recipe(name: str) -> Recipe:
    """A recipe by name, or from a TOML file with one table, which may start from named ones.

    Raises:
        UsageError: no such recipe or file, or one that cannot be read.
    """
    entries = dict(_shipped())
    if name.endswith(".toml"):
        own = _read(Path(name))
        entries |= own
        name = next(iter(own))
    if name not in entries:
        raise UsageError(
            f"recipe {name!r}: expected one of {', '.join(entries)}, or a .toml file: "
            f"`glassviz recipes` says what they are"
        )
    return _resolve(name, entries)


def configure(
    name: str,
    preset_name: Preset = "small",
    additions: Sequence[str] = (),
    changes: Mapping[str, Any] | None = None,
    algo: Algo | None = None,
) -> TrainConfig:
    """The run that a recipe describes.

    Preset, recipe, additions and changes each overrule those before them.

    Args:
        additions: proposals (or other recipes) whose settings are added.
        changes: settings by published name.
        algo: with Glass or without, where the recipe's own choice is not wanted; settings of
            Glass are then left out of the recipe.

    Raises:
        UsageError: an unknown recipe or setting, or one that does not fit the run.
    """
    chosen = recipe(name)
    algo = algo or chosen.algo
    train = preset(preset_name, algo)
    if chosen.official:
        train = official(train)
    own = dict(chosen.settings)
    if algo == "tdmpc2":
        own = {key: value for key, value in own.items() if not needs_glass(key)}
    layers: list[tuple[str, Mapping[str, Any]]] = [(f"recipe {name}", own)]
    for each in additions:
        added = recipe(each)
        if added.kind != "proposal" and (added.algo, added.official) != (algo, chosen.official):
            raise UsageError(
                f"recipe {name} with {each}: expected settings to add, found a recipe of other "
                f"networks (algo {added.algo}{', official' if added.official else ''}): train it "
                f"by --recipe {each}"
            )
        layers.append((f"recipe {name} with {each}", added.settings))
    layers.append(("training", changes or {}))
    values: dict[str, Any] = {}
    places: dict[str, str] = {}
    for place, layer in layers:
        values |= layer
        places |= dict.fromkeys(layer, place)
    return apply(train, values, places)


def _resolve(name: str, entries: Mapping[str, Entry], seen: tuple[str, ...] = ()) -> Recipe:
    if name in seen or name not in entries:
        raise UsageError(
            f"recipe {(*seen, name)[0]}: expected a recipe to start from, found {name!r}"
            f"{' again' if name in seen else ''}: mend its `from`"
        )
    entry = entries[name]
    bases = [_resolve(base, entries, (*seen, name)) for base in entry.base]
    values: dict[str, Any] = {}
    for base in bases:
        values |= base.settings
    return Recipe(
        name=name,
        kind=entry.kind,
        what=entry.what,
        published=entry.published,
        starts_from=entry.base,
        algo=entry.algo or (bases[0].algo if bases else "tdmpc-glass"),
        official=entry.official if entry.official is not None else any(b.official for b in bases),
        settings=values | entry.settings,
        own=entry.settings,
    )


@lru_cache
def _shipped() -> dict[str, Entry]:
    text = (files("glassviz.training") / "recipes.toml").read_text()
    return TypeAdapter(dict[str, Entry]).validate_python(tomllib.loads(text))


def _read(path: Path) -> dict[str, Entry]:
    try:
        found = TypeAdapter(dict[str, Entry]).validate_python(tomllib.loads(path.read_text()))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError, ValidationError) as error:
        reason = str(error).splitlines()[0]
        raise UsageError(
            f"{path}: expected a recipe, found a file that is none ({reason}): see the shipped "
            f"ones with `glassviz recipes`"
        ) from None
    if len(found) != 1:
        raise UsageError(f"{path}: expected one table with the recipe, found {len(found)}")
    return found
