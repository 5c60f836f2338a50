"""The trace: a recorded roll-out with all per-frame quantities, and its validated header."""

import dataclasses
import hashlib
import json
import sys
import zipfile
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Self, cast

import numpy as np
from jaxtyping import Bool, Float, Float32, Float64, Int32

from glassviz.errors import GlassvizError
from glassviz.files import StrPath, replacing
from glassviz.text import parse_json

SCHEMA_VERSION = 1


@dataclass(frozen=True, eq=False)
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
        height: torso over foot, m.
        speed: forward speed of the centre of mass, m/s.
        angles: pitch of the bodies against the vertical, rad; order as in `header["bodies"]`.
        contacts: whether a geom touches the floor; order as in `header["geoms"]`.
        touch: toe and heel touch sensors, N.
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

    @property
    def episodes(self) -> int:
        """Number of episodes E."""
        return self.time.shape[0]

    @property
    def frames(self) -> int:
        """Number of frames T of an episode."""
        return self.time.shape[1]

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

    def save(self, path: StrPath) -> None:
        """Write the trace to `path` (.npz) atomically.

        Raises:
            GlassvizError: the file cannot be written.
        """
        arrays = {name: getattr(self, name) for name in ARRAYS}
        header = np.frombuffer(json.dumps(self.header, sort_keys=True).encode(), dtype=np.uint8)
        with replacing(path) as partial, partial.open("wb") as file:
            np.savez(file, header=header, **arrays)

    @classmethod
    def load(cls, path: StrPath) -> Self:
        """Read a trace.

        Raises:
            GlassvizError: the file is missing, truncated, not a trace or of another schema
                version, or an array or header entry is invalid.
        """
        path = Path(path)
        try:
            # If NumPy opened the file itself, it would leave it open when it is not an archive.
            with path.open("rb") as file, np.load(file, allow_pickle=False) as archive:
                header = parse_json(archive["header"].tobytes())
                _check_version(header, path)
                arrays = {name: archive[name] for name in ARRAYS}
            if not all(isinstance(array, np.ndarray) for array in arrays.values()):
                raise ValueError("members that are not arrays")
        except GlassvizError:
            raise
        except FileNotFoundError:
            raise GlassvizError(f"{path}: expected a trace, found no such file") from None
        except UNREADABLE as error:
            raise GlassvizError(
                f"{path}: expected a trace (.npz), found a file that cannot be read as one "
                f"({error}): record it again with `glassviz rollout`"
            ) from None
        _check_arrays(arrays, path)
        _check_header(header, arrays, path)
        return cls(header=header, **arrays)


ARRAYS = tuple(f.name for f in dataclasses.fields(Trace) if f.name != "header")

UNREADABLE = (
    *(OSError, ValueError, KeyError, EOFError, RuntimeError, MemoryError),
    # An array instead of an archive, and archive members that are not arrays.
    *(TypeError, AttributeError),
    *(zipfile.BadZipFile, zlib.error),
)
"""Exceptions of NumPy, zipfile and json for damaged files and files of another kind."""


def _check_version(header: Any, path: Path) -> None:
    version = header.get("schema_version") if isinstance(header, dict) else None
    if version != SCHEMA_VERSION:
        raise GlassvizError(
            f"{path}: expected trace schema version {SCHEMA_VERSION}, found {version}: record it "
            f"again with `glassviz rollout`"
        )


def _check_arrays(arrays: dict[str, np.ndarray], path: Path) -> None:
    """Refuse arrays whose axes or kind differ from the annotations of `Trace`."""
    shape = arrays["time"].shape[:2]
    kinds = {field.name: cast(Any, field.type) for field in dataclasses.fields(Trace)}
    for name, array in arrays.items():
        declared = kinds[name]
        axes, dtype = declared.dim_str.split(), np.dtype(declared.dtypes[0])
        if array.ndim != len(axes) or array.shape[:2] != shape:
            raise GlassvizError(
                f"{path}: {name} has shape {array.shape}, expected ({', '.join(axes)}) with "
                f"{shape} first: record it again with `glassviz rollout`"
            )
        if array.dtype.kind != dtype.kind:
            raise GlassvizError(
                f"{path}: {name} has dtype {array.dtype}, expected {dtype}: record it again "
                f"with `glassviz rollout`"
            )


_Entry = tuple[str, Callable[[Any], bool]]
"""Expected value of a header entry, in words and as a predicate; absent entries are `_ABSENT`."""

_ABSENT = object()
_SHOWN_CHARACTERS = 60


def _check_header(header: Mapping[str, Any], arrays: Mapping[str, np.ndarray], path: Path) -> None:
    """Refuse a header with an entry that is absent, invalid or inconsistent with the arrays."""
    entries = _HEADER | _array_entries(arrays)
    if header.get("labels_from") == "fitted":
        entries["fitted_labels"] = ("an object with sha256, since labels are fitted", _is_fitted)
    for entry, (expected, is_valid) in entries.items():
        value: Any = header
        for key in entry.split("."):
            value = value.get(key, _ABSENT) if isinstance(value, dict) else _ABSENT
        if not is_valid(value):
            shown = "nothing" if value is _ABSENT else json.dumps(value)
            if len(shown) > _SHOWN_CHARACTERS:
                shown = f"{shown[:_SHOWN_CHARACTERS]} …"
            raise GlassvizError(
                f"{path}: header entry {entry}: expected {expected}, found {shown}: record it "
                f"again with `glassviz rollout`"
            )


def _array_entries(arrays: Mapping[str, np.ndarray]) -> dict[str, _Entry]:
    """Header entries that depend on the shapes of the arrays."""
    episodes, geoms, bodies = (
        arrays[name].shape[axis] for name, axis in (("time", 0), ("contacts", 2), ("angles", 2))
    )
    prototypes = arrays["soft_assignment"].shape[2]
    rows = f"{prototypes} rows" if prototypes else "rows"
    tau = "a positive number or null" if prototypes else "null without soft assignments"
    return {
        "reset_seeds": (f"{episodes} integers, one per episode", _list_of(int, episodes)),
        "geoms": (f"{geoms} names, one per column of contacts", _list_of(str, geoms)),
        "bodies": (f"{bodies} names, one per column of angles", _list_of(str, bodies)),
        "tau": (tau, lambda value: value is None or (prototypes > 0 and _is_positive(value))),
        # Absent from older traces.
        "partition": (
            f"{rows} of numbers, all of one length, or null",
            lambda value: value in (_ABSENT, None) or _is_matrix(value, prototypes),
        ),
    }


def _is(*kinds: type) -> Callable[[Any], bool]:
    return lambda value: type(value) in kinds  # not isinstance: JSON's true is not an integer


def _or_absent(predicate: Callable[[Any], bool]) -> Callable[[Any], bool]:
    return lambda value: value is _ABSENT or predicate(value)


def _list_of(kind: type, count: int | None = None) -> Callable[[Any], bool]:
    def predicate(value: Any) -> bool:
        homogeneous = isinstance(value, list) and all(type(item) is kind for item in value)
        return homogeneous and count in (None, len(value))

    return predicate


def _is_number(value: Any) -> bool:
    """Whether `value` is a finite number that fits a float; JSON integers have any length."""
    return type(value) in (int, float) and abs(value) <= sys.float_info.max


def _is_positive(value: Any) -> bool:
    return _is_number(value) and value > 0


def _is_matrix(value: Any, rows: int) -> bool:
    """Whether `value` is a matrix of numbers with `rows` rows; with any number of rows for 0."""
    return (
        isinstance(value, list)
        and len(value) > 0
        and rows in (0, len(value))
        and all(isinstance(row, list) and row and len(row) == len(value[0]) for row in value)
        and all(_is_number(item) for row in value for item in row)
    )


def _is_glass(value: Any) -> bool:
    clusters = value.get("clusters") if isinstance(value, dict) else None
    return value is None or (type(clusters) is int and clusters > 0)


def _is_fitted(value: Any) -> bool:
    return isinstance(value, dict) and isinstance(value.get("sha256"), str)


_STRING: _Entry = ("a string", _is(str))
_OBJECT: _Entry = ("an object", _is(dict))
_INTEGER: _Entry = ("an integer", _is(int))
_STRINGS: _Entry = ("a list of strings", _list_of(str))

_HEADER: dict[str, _Entry] = {
    "checkpoint.name": _STRING,
    "checkpoint.sha256": _STRING,
    "checkpoint.format": _STRING,
    "agent": _OBJECT,
    "agent.planner": ("an object, if present", _or_absent(_is(dict))),
    "agent.planner.discount": ("a number, if present", _or_absent(_is_number)),
    "agent.glass": ("an object with clusters, or null", _or_absent(_is_glass)),
    "controller": _STRING,
    "planner": _OBJECT,
    "env.task": _STRING,
    "env.physics": _STRING,
    "env.action_repeat": (
        "a positive integer",
        lambda value: type(value) is int and _is_positive(value),
    ),
    "env.control_dt_s": (
        "a positive number of seconds, up to an hour",
        lambda value: _is_number(value) and 1e-6 <= value <= 3600,  # durations are divided by it
    ),
    "seed": _INTEGER,
    "label_rule": _STRING,
    "labels_from": ("glass, fitted or none", lambda value: value in ("glass", "fitted", "none")),
    "assumptions": _STRINGS,
    "versions": _OBJECT,
    "device": _STRING,
    "fitted_labels": ("an object with sha256, if present", _or_absent(_is_fitted)),
}
