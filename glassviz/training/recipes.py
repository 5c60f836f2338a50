"""Recipes: named changes of a training configuration, shipped or from a file."""

import dataclasses
import json
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from importlib.resources import files
from pathlib import Path
from typing import Any, Literal

from pydantic import ConfigDict, Field, TypeAdapter, ValidationError
from pydantic.dataclasses import dataclass as validated

from glassviz.agents.config import AgentConfig
from glassviz.errors import GlassvizError, UsageError
from glassviz.files import near, read_text
from glassviz.text import parse_json, printable
from glassviz.training.config import Algo, Preset, TrainConfig, apply, needs_glass, official, preset

Kind = Literal["phase", "baseline", "continuation", "proposal"]


@validated(frozen=True, config=ConfigDict(extra="forbid"))
class Entry:
    """A recipe as written: its base recipes and its own settings."""

    what: str
    kind: Kind = "baseline"
    published: str = ""
    base: tuple[str, ...] = Field(default=(), alias="from")
    algo: Algo | None = None
    official: bool | None = None
    settings: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Recipe:
    """A recipe with everything that it inherits.

    Attributes:
        what: its idea, in one phrase.
        published: reported returns.
        starts_from: base recipes; later ones take precedence.
        official: whether networks, losses and constants are those of the official TD-MPC2.
        settings: every setting that differs from the preset, by name.
        own: those that the recipe itself changes.
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
    """Names of the shipped recipes, in the order of the file."""
    return [name for name, entry in _shipped().items() if kind in (None, entry.kind)]


def recipe(name: str) -> Recipe:
    """A shipped recipe by name, or one from a TOML file.

    The file has one table, whose `from` may name shipped recipes.

    Raises:
        UsageError: there is no such recipe, or the file cannot be read.
    """
    entries = dict(_shipped())
    if name.endswith(".toml"):
        from_file = _read(Path(name))
        entries |= from_file
        name = next(iter(from_file))
    if name not in entries:
        raise UsageError(
            f"recipe {name!r}: expected one of {', '.join(entries)}, or a .toml file"
            f"{near(name, entries)}: see `glassviz recipes`"
        )
    return _resolve(name, entries)


def configure(
    name: str,
    preset_name: Preset = "small",
    additions: Sequence[str] = (),
    changes: Mapping[str, Any] | None = None,
    algo: Algo | None = None,
    agent: AgentConfig | None = None,
) -> TrainConfig:
    """The run of a recipe.

    Precedence, from low to high: preset, agent, recipe, additions, changes.

    Args:
        name: of a shipped recipe, or a .toml file.
        additions: proposals (or other recipes) whose settings are added.
        changes: single settings, by name.
        algo: with Glass or without, instead of the recipe's choice; without, the recipe's settings
            of Glass are dropped.
        agent: that the run starts from; its networks, losses, task and planner are those of the
            run, where nothing else is said.

    Raises:
        UsageError: a recipe or setting is unknown, or does not fit the run.
    """
    chosen = recipe(name)
    if agent:
        algo = algo or ("tdmpc-glass" if agent.glass else "tdmpc2")
    algo = algo or chosen.algo
    train = preset(preset_name, algo)
    if chosen.official or (agent and agent.family == "tdmpc2"):
        train = official(train)
    if agent:
        train = dataclasses.replace(train, agent=agent)
    settings = dict(chosen.settings)
    if algo == "tdmpc2":
        settings = {key: value for key, value in settings.items() if not needs_glass(key)}
    layers: list[tuple[str, Mapping[str, Any]]] = [(f"recipe {name}", settings)]
    for each in additions:
        added = recipe(each)
        if added.kind != "proposal" and (added.algo, added.official) != (algo, chosen.official):
            raise UsageError(
                f"recipe {name} with {each}: expected settings to add, found a recipe of other "
                f"networks (algo {added.algo}{', official' if added.official else ''}): train it "
                f"with --recipe {each}"
            )
        layers.append((f"recipe {name} with {each}", added.settings))
    layers.append(("training", changes or {}))
    values = {key: value for _, layer in layers for key, value in layer.items()}
    places = {key: place for place, layer in layers for key in layer}
    run = apply(train, values, places)
    found = (run.agent.obs_dim, run.agent.action_dim)
    if agent and found != (agent.obs_dim, agent.action_dim):
        raise UsageError(
            f"training: expected an agent with {found[0]} observations and {found[1]} actions, as "
            f"{run.agent.env.task} has, found one of {agent.env.task} with {agent.obs_dim} and "
            f"{agent.action_dim}: start from another agent, or train on another task"
        )
    return run


def _resolve(name: str, entries: Mapping[str, Entry], seen: tuple[str, ...] = ()) -> Recipe:
    if name in seen or name not in entries:
        raise UsageError(
            f"recipe {(*seen, name)[0]}: expected a recipe to start from, found {name!r}"
            f"{' again' if name in seen else ''}: correct its `from`"
        )
    entry = entries[name]
    bases = [_resolve(base, entries, (*seen, name)) for base in entry.base]
    inherited = {key: value for base in bases for key, value in base.settings.items()}
    return Recipe(
        name=name,
        kind=entry.kind,
        what=entry.what,
        published=entry.published,
        starts_from=entry.base,
        algo=entry.algo or (bases[0].algo if bases else "tdmpc-glass"),
        official=entry.official if entry.official is not None else any(b.official for b in bases),
        settings=inherited | entry.settings,
        own=entry.settings,
    )


@lru_cache
def _shipped() -> dict[str, Entry]:
    text = (files("glassviz.training") / "recipes.toml").read_text(encoding="utf-8")
    return TypeAdapter(dict[str, Entry]).validate_python(tomllib.loads(text))


_MAX_BYTES = 1 << 20


def _read(path: Path) -> dict[str, Entry]:
    try:
        table = tomllib.loads(read_text(path, "a recipe (.toml)", _MAX_BYTES))
        # Its strings become printable, and its depth is bounded, as those of JSON.
        plain = parse_json(json.dumps(table, default=str))
        found = TypeAdapter(dict[str, Entry]).validate_python(plain)
    except GlassvizError as error:
        raise UsageError(str(error)) from None
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        reason = f"{'.'.join(map(str, first['loc']))}: {first['msg'].lower()}"
    except (ValueError, RecursionError) as error:
        reason = "nested too deep" if isinstance(error, RecursionError) else str(error)
    else:
        reason = ""
    if reason:
        raise UsageError(
            f"{path}: not a recipe ({printable(reason)}): write one TOML table with `what`, and "
            f"optionally `from`, `algo` and `settings`"
        )
    if len(found) != 1:
        raise UsageError(f"{path}: expected one table with the recipe, found {len(found)} tables")
    return found
