"""Bodies and tasks of the dm_control suite, as data: what is known without loading a model."""

import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import cache
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal

from glassviz.errors import GlassvizError
from glassviz.files import near
from glassviz.text import printable

HOPPER = "hopper"

FLICKER_S = 0.06
"""Shorter contacts, and shorter gaps between contacts, are flicker: three steps of the hopper."""

Goal = Literal["gait", "hold", "either"]
"""What a task asks for: to move on, to hold a pose, or to get somewhere and stay there."""


@dataclass(frozen=True)
class Body:
    """A body of the suite.

    Attributes:
        name: such as `walker`.
        domain: of the suite.
        action_dim: size of an action.
        control_dt_s: control step, s.
        floor: geoms that are the floor, in one task or another.
        camera: the one that shows most of the motion.
        torso: the body whose height and heading are recorded; None where there is none.
        forward: direction of the speed: the world's `x`, or where the `torso` heads.
        trunk: geoms that no gait of the body should touch the floor with, as patterns.
        feet: geoms of each foot, as patterns; empty for a body without feet.
        root: number of velocities that move the whole body; the joints come after them.
        joints: number of its joints; None if all that follow the root are its own.
        stand_m: height of the torso from which it stands, m; None for a body without feet.
        flicker_s: shorter contacts, and shorter gaps between contacts, are flicker, s.
    """

    name: str
    domain: str
    action_dim: int
    control_dt_s: float
    floor: tuple[str, ...]
    camera: str
    torso: str | None
    forward: Literal["x", "torso"]
    trunk: tuple[str, ...]
    feet: Mapping[str, tuple[str, ...]]
    root: int
    joints: int | None
    stand_m: float | None
    flicker_s: float

    @property
    def phased(self) -> bool:
        """Whether the phases of its gait have names: stance, push-off, flight and others."""
        return self.name == HOPPER

    def foot_geoms(self, geoms: Sequence[str]) -> dict[str, list[int]]:
        """Columns of the geoms of each foot, among named geoms."""
        return {foot: _columns(geoms, patterns) for foot, patterns in self.feet.items()}

    def floor_geoms(self, geoms: Sequence[str]) -> list[int]:
        """Columns of the geoms that are the floor."""
        return _columns(geoms, self.floor)

    def trunk_geoms(self, geoms: Sequence[str]) -> list[int]:
        """Columns of the geoms of the trunk."""
        feet = {column for columns in self.foot_geoms(geoms).values() for column in columns}
        return [column for column in _columns(geoms, self.trunk) if column not in feet]


def _columns(geoms: Sequence[str], patterns: Sequence[str]) -> list[int]:
    return [i for i, geom in enumerate(geoms) if any(fnmatchcase(geom, p) for p in patterns)]


@dataclass(frozen=True)
class TaskFacts:
    """A task of a body.

    Attributes:
        name: such as `walker-walk`.
        suite_name: the task's name in the suite's domain.
        obs_dim, nq, nv: sizes of the observation, of qpos and of qvel.
        goal: what it asks for.
    """

    name: str
    body: Body
    suite_name: str
    obs_dim: int
    nq: int
    nv: int
    goal: Goal

    @property
    def touch_sensors(self) -> int:
        """Number of touch sensors that traces record."""
        return 2 if self.body.name == HOPPER else 0


@cache
def tasks() -> Mapping[str, TaskFacts]:
    """Every task that there is an environment for, by name."""
    found = {}
    for name, entry in tomllib.loads(_TABLE.read_text(encoding="utf-8")).items():
        body = _body(name, entry)
        usual = entry.get("goal", "gait" if body.feet else "hold")
        for task, (obs_dim, nq, nv) in entry["tasks"].items():
            full = f"{entry.get('prefix', name)}-{task.replace('_', '-')}"
            goal = entry.get("goals", {}).get(task, usual)
            found[full] = TaskFacts(full, body, task, obs_dim, nq, nv, goal)
    return MappingProxyType(found)


_TABLE = Path(__file__).parent / "bodies.toml"


def _body(name: str, entry: Mapping[str, Any]) -> Body:
    feet = {foot: tuple(patterns) for foot, patterns in entry.get("feet", {}).items()}
    return Body(
        name=name,
        domain=entry["domain"],
        action_dim=entry["actions"],
        control_dt_s=entry["control_dt_s"],
        floor=tuple(entry["floor"]),
        camera=entry["camera"],
        torso=entry.get("torso"),
        forward=entry.get("forward", "x"),
        trunk=tuple(entry.get("trunk", ())),
        feet=feet,
        root=entry.get("root", 0),
        joints=entry.get("joints"),
        stand_m=entry.get("stand_m"),
        flicker_s=entry.get("flicker_s", FLICKER_S),
    )


def task_of(name: str) -> TaskFacts:
    """The task of that name.

    Raises:
        GlassvizError: there is no environment for it.
    """
    if name in tasks():
        return tasks()[name]
    raise GlassvizError(
        f"environment: expected a task of the dm_control suite, such as walker-walk, found "
        f"{printable(name)}{near(name, tasks())}: other tasks cannot be rolled out"
    )
