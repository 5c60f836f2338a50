"""Whether a run that is to be continued is the one that is asked for."""

import dataclasses
import json
from collections.abc import Iterator, Set
from pathlib import Path
from typing import Any

from glassviz.errors import UsageError
from glassviz.training.config import TrainConfig

CHANGEABLE = frozenset(
    {"steps", "eval_every", "save_every", "eval_episodes_pi", "eval_episodes_mppi"}
)
"""A run may be prolonged, and saved or evaluated more or less often; all else must agree."""


def compare(folder: Path, saved: dict[str, Any], train: TrainConfig) -> None:
    """Check that a run's saved configuration agrees with the one asked for.

    A setting that the run does not know, because a later version brought it, agrees when it has
    its default.

    Args:
        folder: the run's, for the message.
        saved: `TrainConfig.to_dict()` of the run, as it came back from JSON.
        train: what is asked for.

    Raises:
        UsageError: naming the first setting that differs.
    """
    was = dict(_flat(saved))
    now = dict(_flat(_plain(train.to_dict())))
    was = dict(_defaults(train, was.keys())) | was
    for name in sorted((was.keys() | now.keys()) - CHANGEABLE):
        before, after = _value(was, name), _value(now, name)
        if before != after:
            raise UsageError(
                f"{folder}: expected {name} = {before} as the run was started with, found "
                f"{after}: resume with the same settings, or start a new run"
            )


def _value(settings: dict[str, Any], name: str) -> Any:
    """A setting, or in words that there is none, or a whole group of them in its place."""
    grouped = any(other.startswith(f"{name}.") for other in settings)
    return settings.get(name, "a group of settings" if grouped else "nothing")


def _flat(settings: dict[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """`{"glass": {"tau": 1}}` as `("glass.tau", 1)`."""
    for name, value in settings.items():
        if isinstance(value, dict):
            yield from _flat(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", value


def _defaults(config: Any, known: Set[str], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """The settings in `config` that are not in `known`, each at its default, named as by `_flat`.

    Where a group is known, a setting that it lacks has the default of its own dataclass; a group
    that is not known at all has the default of the field that it stands in.
    """
    for field in dataclasses.fields(config):
        name = f"{prefix}{field.name}"
        value = getattr(config, field.name)
        if any(other.startswith(f"{name}.") for other in known):
            if dataclasses.is_dataclass(value):
                yield from _defaults(value, known, f"{name}.")
        elif name not in known:
            yield from _flat({name: _plain(_default(field))})


def _default(field: dataclasses.Field[Any]) -> Any:
    if field.default_factory is not dataclasses.MISSING:
        return field.default_factory()
    return None if field.default is dataclasses.MISSING else field.default


def _plain(value: Any) -> Any:
    """As it would come back from JSON: tuples are lists there, dataclasses objects."""
    return json.loads(json.dumps(value, default=dataclasses.asdict))
