"""The trace: a recorded roll-out with all per-frame quantities, and its validated header."""

import dataclasses
import hashlib
import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Self, cast

import numpy as np
from jaxtyping import Bool, Float, Float32, Float64, Int32

from glassviz import archive
from glassviz.envs.bodies import Body, TaskFacts, task_of, tasks
from glassviz.errors import GlassvizError
from glassviz.files import StrPath
from glassviz.text import listed, printable

SCHEMA_VERSION = 1

MOST_CLUSTERS = 4096
"""Largest number of clusters K, and of prototypes N: metrics need memory in proportion to them."""

REMEDY = "record it again with `glassviz rollout`"


@dataclass(frozen=True, eq=False, repr=False)
class Trace:
    """E episodes of T frames, recorded from one checkpoint under one controller.

    Attributes:
        header: provenance of the trace: `schema_version`, `checkpoint` (name, sha256, format),
            `agent` (the whole agent configuration), `controller`, `planner`, `env` (task,
            physics, action_repeat, episode_steps, control_dt_s), `seed`, `reset_seeds`,
            `label_rule`, `labels_from` ("glass", "fitted" or "none"), `tau` (null without soft
            assignments), `partition` (rows of S; null without labels), `geoms` (names),
            `assumptions`, `versions`, `device`; with fitted labels also `fitted_labels`.
        time: time since the reset, s.
        qpos, qvel: generalised positions and velocities, from which the frame is drawn.
        latent: encoder output z.
        soft_assignment: c over the N prototypes of Glass; N is 0 without Glass and with fitted
            labels.
        prototype: nearest prototype n; -1 without labels.
        label: cluster label k of the observation; -1 without labels.
        policy_action: action of the policy prior.
        value: predicted return-to-go. Under `mppi` the mean of the elites' values in the last
            iteration, under `pi` the mean of the Q heads at the action taken.
        value_spread: standard deviation of the same.
        reward: reward for the action, summed over the action repeat.
        height: of the hopper's torso over its foot, of other bodies' torso above the floor, m; NaN
            for a body without a torso.
        speed: forward speed of the centre of mass, m/s; NaN for a body without a torso.
        angles: pitch of the bodies against the vertical, rad; order as in `header["bodies"]`.
        contacts: whether a geom touches the floor; order as in `header["geoms"]`.
        touch: the hopper's toe and heel touch sensors, N; none for other bodies.
    """

    header: dict[str, Any]
    time: Float64[np.ndarray, "episodes frames"]
    qpos: Float64[np.ndarray, "episodes frames nq"]
    qvel: Float64[np.ndarray, "episodes frames nv"]
    obs: Float32[np.ndarray, "episodes frames obs"]
    latent: Float32[np.ndarray, "episodes frames latent"]
    soft_assignment: Float32[np.ndarray, "episodes frames prototypes"]
    prototype: Int32[np.ndarray, "episodes frames"]
    label: Int32[np.ndarray, "episodes frames"]
    action: Float32[np.ndarray, "episodes frames act"]
    policy_action: Float32[np.ndarray, "episodes frames act"]
    value: Float32[np.ndarray, "episodes frames"]
    value_spread: Float32[np.ndarray, "episodes frames"]
    reward: Float64[np.ndarray, "episodes frames"]
    height: Float64[np.ndarray, "episodes frames"]
    speed: Float64[np.ndarray, "episodes frames"]
    angles: Float64[np.ndarray, "episodes frames bodies"]
    contacts: Bool[np.ndarray, "episodes frames geoms"]
    touch: Float64[np.ndarray, "episodes frames sensors"]

    def __repr__(self) -> str:
        return (
            f"Trace({self.header['checkpoint']['name']!r}, {self.header['controller']}, "
            f"{self.episodes} episodes of {self.frames} frames)"
        )

    @property
    def episodes(self) -> int:
        """Number of episodes E."""
        return self.time.shape[0]

    @property
    def frames(self) -> int:
        """Number of frames T of an episode."""
        return self.time.shape[1]

    @property
    def task(self) -> TaskFacts:
        """What is known of its task without a model."""
        return task_of(self.header["env"]["task"])

    @property
    def body(self) -> Body:
        """The body that acted."""
        return self.task.body

    @property
    def unknown(self) -> frozenset[str]:
        """Names of the arrays that are NaN throughout, since the body has no such quantity."""
        return frozenset() if self.body.torso else OF_TORSO

    @property
    def has_labels(self) -> bool:
        """Whether frames have cluster labels, learned or fitted."""
        return self.header["labels_from"] != "none"

    @property
    def partition(self) -> Float64[np.ndarray, "prototypes clusters"] | None:
        """S; None without labels and in traces older than this header entry."""
        rows = self.header.get("partition")
        return None if rows is None else np.array(rows, dtype=np.float64)

    @property
    def clusters(self) -> int:
        """Number of possible labels K; the highest label + 1 if the agent's K is unknown."""
        rows, glass = self.header.get("partition"), self.header["agent"].get("glass")
        if rows is not None:
            return len(rows[0])
        return glass["clusters"] if glass else int(self.label.max(initial=-1)) + 1

    @property
    def labels_sha256(self) -> str | None:
        """Hash of the file of fitted labels; None without fitted labels."""
        fitted = self.header.get("fitted_labels")
        return fitted["sha256"] if fitted else None

    @property
    def frame_dt_s(self) -> float:
        """Seconds between frames: the control step times the action repeat."""
        env = self.header["env"]
        return float(env["control_dt_s"] * env["action_repeat"])

    @property
    def returns(self) -> Float[np.ndarray, " episodes"]:
        """Sum of rewards per episode."""
        return self.reward.sum(axis=1)

    @cached_property
    def sha256(self) -> str:
        """Hash of header and arrays, recorded in everything derived from the trace."""
        digest = hashlib.sha256(json.dumps(self.header, sort_keys=True).encode())
        for name in ARRAYS:
            digest.update(np.ascontiguousarray(getattr(self, name)).data)
        return digest.hexdigest()

    @cached_property
    def episode_sha256(self) -> tuple[str, ...]:
        """Hash of each episode, the same whatever other episodes were recorded beside it."""
        shared = {name: entry for name, entry in self.header.items() if name not in _OF_EPISODES}
        head = json.dumps(shared, sort_keys=True).encode()
        hashes = []
        for episode in range(self.episodes):
            digest = hashlib.sha256(head)
            for name in ARRAYS:
                digest.update(np.ascontiguousarray(getattr(self, name)[episode]).data)
            hashes.append(digest.hexdigest())
        return tuple(hashes)

    def first(self, episodes: int, frames: int | None = None) -> Self:
        """The trace of its first episodes: what recording these alone would have given.

        No frame depends on those after it, so that this holds for their first `frames` too.
        """
        if (episodes, frames or self.frames) == (self.episodes, self.frames):
            return self
        header = self.header | {"reset_seeds": self.header["reset_seeds"][:episodes]}
        if frames:
            header["env"] = header["env"] | {"episode_steps": frames}
        # Copied, so that the others can be forgotten.
        arrays = {name: getattr(self, name)[:episodes, :frames].copy() for name in ARRAYS}
        return dataclasses.replace(self, header=header, **arrays)

    def followed_by(self, more: Self) -> Self:
        """The trace of the episodes of both, which differ in nothing but their resets."""
        seeds = self.header["reset_seeds"] + more.header["reset_seeds"]
        arrays = {
            name: np.concatenate([getattr(self, name), getattr(more, name)]) for name in ARRAYS
        }
        return dataclasses.replace(self, header=more.header | {"reset_seeds": seeds}, **arrays)

    def save(self, path: StrPath) -> None:
        """Write the trace to `path` (.npz) atomically.

        Raises:
            GlassvizError: the file cannot be written.
        """
        archive.save(path, self.header, {name: getattr(self, name) for name in ARRAYS})

    @classmethod
    def load(cls, path: StrPath) -> Self:
        """Read a trace, and check everything that is computed from one later.

        Raises:
            MissingFileError: there is no such file.
            GlassvizError: it is not a trace, damaged or of another schema version, or an array or
                header entry is invalid.
        """
        path = Path(path)
        header, arrays = archive.load(path, "a trace", REMEDY)
        _check_version(header, path)
        if missing := [name for name in ARRAYS if name not in arrays]:
            raise _invalid(path, f"expected arrays of a trace, found no {listed(missing)}")
        arrays = {name: arrays[name] for name in ARRAYS}
        _check_shapes(arrays, path)
        _check_header(header, arrays, path)
        trace = cls(header=header, **arrays)
        _check_widths(trace, path)
        _check_values(trace, path)
        return trace


ARRAYS = tuple(f.name for f in dataclasses.fields(Trace) if f.name != "header")

_OF_EPISODES = ("reset_seeds", "fitted_labels")
"""Header entries that say something of all episodes together."""


def _invalid(path: Path, finding: str) -> GlassvizError:
    return GlassvizError(f"{path}: {finding}: {REMEDY}")


def _check_version(header: dict[str, Any], path: Path) -> None:
    version = header.get("schema_version")
    if version != SCHEMA_VERSION:
        raise _invalid(
            path, f"expected trace schema version {SCHEMA_VERSION}, found {_shown(version)}"
        )


def _shown(value: Any) -> str:
    return "nothing" if value is _ABSENT else printable(json.dumps(value), _SHOWN_CHARACTERS)


# Arrays -------------------------------------------------------------------------------------------

OF_TORSO = frozenset({"height", "speed"})
"""Arrays that are NaN for a body without a torso."""

MAX_LATENT = 1 << 16

LARGEST = 1e9
"""Numbers beyond this come from a broken agent or simulation; squares of them overflow."""


def _check_shapes(arrays: dict[str, np.ndarray], path: Path) -> None:
    """Refuse arrays whose axes or dtypes differ from the annotations of `Trace`."""
    shape = arrays["time"].shape[:2]
    kinds = {field.name: cast(Any, field.type) for field in dataclasses.fields(Trace)}
    if 0 in shape:
        found = " and ".join(f"{n} {what}" for n, what in zip(shape, _AXES, strict=False))
        raise _invalid(path, f"expected at least one episode of one frame, found {found}")
    for name, array in arrays.items():
        declared = kinds[name]
        axes, dtype = declared.dim_str.split(), np.dtype(declared.dtypes[0])
        if array.ndim != len(axes) or array.shape[:2] != shape:
            raise _invalid(
                path,
                f"{name} has shape {array.shape}, expected ({', '.join(axes)}) with {shape} first",
            )
        if array.dtype != dtype:
            raise _invalid(path, f"{name} has dtype {array.dtype}, expected {dtype}")
    for name, least, most in (
        ("latent", 1, MAX_LATENT),
        ("soft_assignment", 0, MOST_CLUSTERS),
    ):
        width = arrays[name].shape[-1]
        if not least <= width <= most:
            raise _invalid(
                path, f"expected {least} to {most} values of {name} per frame, found {width}"
            )


_AXES = ("episodes", "frames")


def _check_widths(trace: Trace, path: Path) -> None:
    """Refuse arrays of another width than those of the task."""
    task = trace.task
    widths = {"qpos": task.nq, "qvel": task.nv, "obs": task.obs_dim, "touch": task.touch_sensors}
    widths |= dict.fromkeys(("action", "policy_action"), task.body.action_dim)
    for name, expected in widths.items():
        found = getattr(trace, name).shape[-1]
        if found != expected:
            raise _invalid(
                path,
                f"expected {expected} values of {name} per frame of {task.name}, found {found}",
            )


def _check_values(trace: Trace, path: Path) -> None:
    """Refuse numbers out of the range that they have in every trace."""
    labelled = trace.has_labels
    for name in ARRAYS:
        array = getattr(trace, name)
        if name in trace.unknown:
            if not np.isnan(array).all():
                raise _invalid(
                    path, f"expected no {name}, which {trace.body.name} has not, found numbers"
                )
            continue
        low, high = -LARGEST, LARGEST
        if name == "soft_assignment":
            low, high = 0.0, 1 + _ROUNDING
        elif name in ("time", "touch", "value_spread"):
            low = 0.0
        elif name == "label":
            low, high = -1, (trace.clusters if labelled else 0) - 1
        elif name == "prototype":
            low, high = -1, (_prototypes(trace) if labelled else 0) - 1
        # Not `<` and `>`: NaN is neither.
        broken = ~((array >= low) & (array <= high))
        if broken.any():
            episode, frame, *_ = place = tuple(np.argwhere(broken)[0].tolist())
            value = array[place]
            expected = f"{low:g} to {high:g}" if np.isfinite(value) else "finite numbers"
            raise _invalid(
                path,
                f"episode {episode}: expected {expected}, found {value} for {name} in "
                f"frame {frame}",
            )
    dt_s = trace.frame_dt_s
    uneven = np.abs(np.diff(trace.time, axis=1) - dt_s) > _UNEVEN * dt_s
    if uneven.any():
        episode, frame = np.argwhere(uneven)[0].tolist()
        step = np.diff(trace.time[episode])[frame]
        raise _invalid(
            path,
            f"episode {episode}: expected frames {dt_s:g} s apart as in the header, found {step:g} "
            f"s after frame {frame}",
        )


_ROUNDING = 1e-4
_UNEVEN = 0.01


def _prototypes(trace: Trace) -> int:
    """Number of prototypes N; the largest possible if it is not recorded."""
    partition, glass = trace.header.get("partition"), trace.header["agent"].get("glass") or {}
    if partition is not None:
        return len(partition)
    soft = trace.soft_assignment.shape[-1]
    return soft or glass.get("prototypes", MOST_CLUSTERS)


# Header -------------------------------------------------------------------------------------------

_Entry = tuple[str, Callable[[Any], bool]]
"""Expected value of a header entry, in words and as a predicate; absent entries are `_ABSENT`."""

_ABSENT = object()
_SHOWN_CHARACTERS = 60


def _check_header(header: Mapping[str, Any], arrays: Mapping[str, np.ndarray], path: Path) -> None:
    """Refuse a header with an entry that is absent, invalid or inconsistent with the arrays."""
    _check_entries(header, _HEADER, path)
    if header["agent"].get("glass") is not None:
        _check_entries(header, _GLASS, path)
    _check_entries(header, _depending_entries(header, arrays), path)


def _check_entries(header: Mapping[str, Any], entries: dict[str, _Entry], path: Path) -> None:
    for entry, (expected, is_valid) in entries.items():
        value: Any = header
        for key in entry.split("."):
            value = value.get(key, _ABSENT) if isinstance(value, dict) else _ABSENT
        if not is_valid(value):
            raise _invalid(
                path, f"header entry {entry}: expected {expected}, found {_shown(value)}"
            )


def _depending_entries(
    header: Mapping[str, Any], arrays: Mapping[str, np.ndarray]
) -> dict[str, _Entry]:
    """Header entries that depend on the arrays, or on other entries, which are valid."""
    episodes, geoms, bodies = (
        arrays[name].shape[axis] for name, axis in (("time", 0), ("contacts", 2), ("angles", 2))
    )
    prototypes = arrays["soft_assignment"].shape[2]
    source, glass = header["labels_from"], header["agent"].get("glass")
    rows = f"{prototypes} rows" if prototypes else "rows"
    columns = glass["clusters"] if glass and source == "glass" else None
    of_columns = f"one length up to {MOST_CLUSTERS}" if columns is None else f"length {columns}"
    entries = {
        "env.control_dt_s": (
            "a number that makes frames last from a millisecond to a second",
            lambda value: 1e-3 <= value * header["env"]["action_repeat"] <= 1,
        ),
        "reset_seeds": (f"{episodes} integers, one per episode", _list_of(_is_integer, episodes)),
        "geoms": (f"{geoms} names, one per column of contacts", _list_of(_is(str), geoms)),
        "bodies": (f"{bodies} names, one per column of angles", _list_of(_is(str), bodies)),
        "tau": (
            "a positive number or null" if prototypes else "null without soft assignments",
            lambda value: value is None or (prototypes > 0 and _is_positive(value)),
        ),
        # Absent from older traces.
        "partition": (
            f"{rows} of shares that sum to 1, all of {of_columns}, or null",
            lambda value: value in (_ABSENT, None) or _is_partition(value, prototypes, columns),
        ),
    }
    if source == "none":
        entries["partition"] = (
            "null without labels",
            lambda value: value in (_ABSENT, None),
        )
    if source == "fitted":
        entries["fitted_labels"] = (
            "an object with the hashes sha256 and recorded_trace_sha256, since labels are fitted",
            _is_fitted,
        )
    else:
        entries["fitted_labels"] = (
            f"nothing, since labels are from {source}",
            lambda value: value is _ABSENT,
        )
    return entries


def _is(*kinds: type) -> Callable[[Any], bool]:
    return lambda value: type(value) in kinds  # not isinstance: JSON's true is not an integer


def _is_in(*values: str) -> Callable[[Any], bool]:
    return lambda value: isinstance(value, str) and value in values


def _or_absent(predicate: Callable[[Any], bool]) -> Callable[[Any], bool]:
    return lambda value: value is _ABSENT or predicate(value)


def _list_of(predicate: Callable[[Any], bool], count: int | None = None) -> Callable[[Any], bool]:
    return lambda value: (
        isinstance(value, list) and count in (None, len(value)) and all(map(predicate, value))
    )


def _is_integer(value: Any) -> bool:
    """Whether `value` is an integer of a seed's size; JSON integers have any length."""
    return type(value) is int and abs(value) < 1 << 64


def _is_count(value: Any) -> bool:
    return type(value) is int and 1 <= value < 1 << 31


def _is_size(value: Any) -> bool:
    """Whether `value` can be a number of clusters or prototypes."""
    return _is_count(value) and value <= MOST_CLUSTERS


def _is_positive(value: Any) -> bool:
    """Whether `value` is a positive number that later code can divide by."""
    return type(value) in (int, float) and 1e-6 <= value <= LARGEST


def _is_share(value: Any) -> bool:
    return type(value) in (int, float) and 0 <= value <= 1


def _is_partition(value: Any, rows: int, columns: int | None) -> bool:
    """Whether rows hold shares that sum to 1; any number of rows for 0, of columns for None."""
    if not isinstance(value, list) or not 1 <= len(value) <= MOST_CLUSTERS:
        return False
    if rows not in (0, len(value)) or not all(isinstance(row, list) for row in value):
        return False
    width = len(value[0])
    return (
        1 <= width <= MOST_CLUSTERS
        and columns in (None, width)
        and all(len(row) == width for row in value)
        and all(_is_share(item) for row in value for item in row)
        and all(abs(sum(row) - 1) <= _ROUNDING * width for row in value)
    )


def _is_planner(value: Any) -> bool:
    """Whether it is empty or has the settings that reports tell of."""
    told = ("samples", "horizon", "iterations")
    return isinstance(value, dict) and (not value or all(_is_count(value.get(n)) for n in told))


def is_sha256(value: Any) -> bool:
    """Whether it is a hash: 64 hexadecimal digits."""
    return isinstance(value, str) and re.fullmatch("[0-9a-f]{64}", value) is not None


def _is_fitted(value: Any) -> bool:
    return isinstance(value, dict) and all(
        is_sha256(value.get(name)) for name in ("sha256", "recorded_trace_sha256")
    )


CONTROLLERS = ("mppi", "pi")
PHYSICS = ("dm_control", "playground")
LABEL_RULES = ("nearest-prototype", "soft")


def _one_of(*values: str) -> _Entry:
    return f"{', '.join(values[:-1])} or {values[-1]}", _is_in(*values)


_STRING: _Entry = ("a string", _is(str))
_OBJECT: _Entry = ("an object", _is(dict))
_COUNT: _Entry = ("a positive integer", _is_count)
_SHA256: _Entry = ("a hash of 64 hexadecimal digits", is_sha256)

_GLASS: dict[str, _Entry] = {
    "agent.glass.clusters": (f"an integer from 1 to {MOST_CLUSTERS}", _is_size),
    "agent.glass.prototypes": (
        f"an integer from 1 to {MOST_CLUSTERS}, if present",
        _or_absent(_is_size),
    ),
}

_HEADER: dict[str, _Entry] = {
    "checkpoint.name": (
        "a name of at most 255 characters",
        lambda value: isinstance(value, str) and 1 <= len(value) <= 255,
    ),
    "checkpoint.sha256": _SHA256,
    "checkpoint.format": _STRING,
    "agent": _OBJECT,
    "agent.planner": ("an object, if present", _or_absent(_is(dict))),
    "agent.planner.discount": ("a number from 0 to 1, if present", _or_absent(_is_share)),
    "agent.glass": ("an object or null", _or_absent(_is(dict, type(None)))),
    "controller": _one_of(*CONTROLLERS),
    "planner": ("an object, empty or with samples, horizon and iterations", _is_planner),
    "env.task": (
        "a task that there is an environment for, such as hopper-hop",
        lambda value: isinstance(value, str) and value in tasks(),
    ),
    "env.physics": _one_of(*PHYSICS),
    "env.action_repeat": _COUNT,
    "env.control_dt_s": ("a positive number of seconds", _is_positive),
    "seed": ("an integer of at most 64 bits", _is_integer),
    "label_rule": _one_of(*LABEL_RULES),
    "labels_from": _one_of("glass", "fitted", "none"),
    "assumptions": ("a list of strings", _list_of(_is(str))),
    "versions": _OBJECT,
    "device": _STRING,
}
