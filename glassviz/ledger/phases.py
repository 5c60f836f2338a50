"""Phases: which trainings have the same settings, by rules that are data (`phases.toml`)."""

import re
import tomllib
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from functools import cached_property
from pathlib import Path
from typing import Any

from pydantic import ConfigDict, Field, TypeAdapter, ValidationError
from pydantic.dataclasses import dataclass as validated

from glassviz.envs.bodies import tasks
from glassviz.errors import GlassvizError
from glassviz.files import StrPath, read_text
from glassviz.palette import CLUSTER_COLORS
from glassviz.text import printable

BUILT_IN = Path(__file__).with_name("phases.toml")
_MAX_BYTES = 1 << 20
_STRICT = ConfigDict(extra="forbid", allow_inf_nan=False)
UNTAGGED = "(no tag)"
"""The phase of folders that are named by their task alone."""


@validated(frozen=True, config=_STRICT)
class Strip:
    """What does not set two phases apart, and why."""

    pattern: str
    why: str


@validated(frozen=True, config=_STRICT)
class Goal:
    """What counts as success for a phase.

    Attributes:
        reach: the best return that a training must have.
        task: of which the goal is; None for all.
        seeds: trainings that the phase must have, at least.
        every: whether all of them must reach it, or one.
        unshaped: whether it must be trained on the task's own reward.
    """

    what: str
    reach: float
    task: str | None = None
    seeds: int = Field(default=1, ge=1)
    every: bool = False
    unshaped: bool = False


@validated(frozen=True, config=_STRICT)
class Published:
    """What a published ledger says of a phase.

    Attributes:
        task: of which it speaks.
        best: highest return of the planner over seeds and evaluations.
        about: whether it is given as "about".
        hits, n: seeds that reach 500, and how many there are.
        returns: best return of each seed, in the order in which they are given.
        mean: of the seeds' best returns.
    """

    task: str = "hopper-hop"
    best: float | None = None
    about: bool = False
    hits: int | None = Field(default=None, ge=0)
    n: int | None = Field(default=None, ge=1)
    returns: tuple[float, ...] = ()
    mean: float | None = None


@validated(frozen=True, config=_STRICT)
class About:
    """What is known of a phase.

    Attributes:
        same: further names of the same settings.
        settings: in words.
        shaped: whether it was trained on another reward than the task's; None if unknown.
        k_update: gradient updates per 256 environment steps.
        note: anything else.
        color: #RRGGBB in figures.
    """

    same: tuple[str, ...] = ()
    settings: str = ""
    shaped: bool | None = None
    k_update: int | None = Field(default=None, ge=1)
    note: str = ""
    color: str | None = Field(default=None, pattern="^#[0-9A-Fa-f]{6}$")
    published: Published | None = None


UNKNOWN = About()


@validated(frozen=True, config=_STRICT)
class Rules:
    """The rules; see `phases.toml`.

    Attributes:
        strip, keep: patterns of parts of a tag.
        skip: reasons by shell pattern of names of files and folders.
        goals, phases: by name.
    """

    prefix: tuple[str, ...] = ()
    strip: tuple[Strip, ...] = ()
    keep: tuple[str, ...] = ()
    skip: Mapping[str, str] = field(default_factory=dict)
    goals: Mapping[str, Goal] = field(default_factory=dict)
    phases: Mapping[str, About] = field(default_factory=dict)

    @cached_property
    def _names(self) -> dict[str, str]:
        """The canonical name by each name that stands for it."""
        return {same: name for name, about in self.phases.items() for same in (name, *about.same)}

    @cached_property
    def _strips(self) -> list[re.Pattern[str]]:
        return [re.compile(f"(?:{each.pattern})(?=_|$)") for each in self.strip]

    @cached_property
    def _keeps(self) -> list[re.Pattern[str]]:
        return [re.compile(f"(?:{each})(?=_|$)") for each in self.keep]

    def canonical(self, tag: str, task: str = "") -> str:
        """The name of a tag's phase.

        Args:
            tag: name of a folder without the task.
            task: as the folder names it, `HopperHop`, which may stand in the tag again.

        >>> RULES.canonical("phasei9r_p1b_off1m_s4_auto_s2_dbf5cea-dirty")
        'i9r'
        >>> RULES.canonical("phasex_ns1024"), RULES.canonical("phasex_local")
        ('x_ns1024', 'x')
        """
        name = tag
        for each in self.prefix:
            name = name.removeprefix(each)
        name = f"_{name}"
        if task and name != f"_{task}":
            name = re.sub(f"_{re.escape(task)}(?=_|$)", "", name)
        while (shorter := self._stripped(name)) != name:
            name = shorter
        name = name.strip("_") or tag
        return self._names.get(name, name) or UNTAGGED

    def _stripped(self, name: str) -> str:
        for pattern in self._strips:
            for match in pattern.finditer(name):
                # A tag does not lose its first part, which is its name.
                if match.start() and not any(k.fullmatch(match[0]) for k in self._keeps):
                    return name[: match.start()] + name[match.end() :]
        return name

    def about(self, phase: str) -> About:
        """What is known of a phase."""
        return self.phases.get(phase, UNKNOWN)

    def color(self, phase: str) -> str:
        """Its colour as #RRGGBB, the same in every figure."""
        place = zlib.crc32(phase.encode("utf-8", "surrogateescape")) % len(CLUSTER_COLORS)
        return self.about(phase).color or CLUSTER_COLORS[place]


def load(path: StrPath | None = None) -> Rules:
    """The built-in rules, with those of a file over them.

    Raises:
        GlassvizError: the file cannot be read, or is of another form.
    """
    if path is None:
        return RULES
    path = Path(path)
    try:
        own = tomllib.loads(read_text(path, "rules for phases (.toml)", _MAX_BYTES))
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        raise GlassvizError(
            f"{path}: expected rules for phases as TOML, found none: {printable(str(error))}"
        ) from None
    merged = _built_in()
    for key, value in own.items():
        both = isinstance(value, dict) and isinstance(merged.get(key), dict)
        merged[key] = {**merged[key], **value} if both else value
    try:
        rules = TypeAdapter(Rules).validate_python(merged)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        place = ".".join(map(str, first["loc"]))
        known = ", ".join(each.name for each in fields(Rules))
        raise GlassvizError(
            f"{path}: {printable(place, 100)}: {first['msg'][0].lower()}{first['msg'][1:]} "
            f"(rules have {known}; `glassviz ledger --show-phases` prints the built-in ones)"
        ) from None
    try:
        rules.canonical("")
        rules._strips, rules._keeps  # noqa: B018
    except (re.error, RecursionError, OverflowError) as error:
        raise GlassvizError(
            f"{path}: expected regular expressions in strip and keep, found {printable(str(error))}"
        ) from None
    return rules


def _built_in() -> dict[str, Any]:
    return tomllib.loads(BUILT_IN.read_text(encoding="utf-8"))


RULES = TypeAdapter(Rules).validate_python(_built_in())

_WORD = re.compile(r"[A-Z][a-z0-9]*", re.ASCII)


@dataclass(frozen=True)
class Tagged:
    """The name of a run's folder, taken apart.

    Attributes:
        task: such as `hopper-hop`; None if the name does not tell.
        spelled: the task as the name has it, `HopperHop`.
        tag: the rest of the name.
    """

    task: str | None
    spelled: str
    tag: str


def taken_apart(name: str, task: str | None = None) -> Tagged:
    """The task and the tag of a folder named `<Task>_<tag>`, as published, or `<task>_<tag>`.

    Args:
        task: if it is known from elsewhere.

    >>> taken_apart("HopperHop_phaseg")
    Tagged(task='hopper-hop', spelled='HopperHop', tag='phaseg')
    """
    first, _, rest = name.partition("_")
    words = _WORD.findall(first)
    if len(words) > 1 and "".join(words) == first:
        return Tagged(task or "-".join(words).lower(), first, rest)
    if first == task or first in tasks():
        return Tagged(task or first, first, rest)
    return Tagged(task, "", name)
