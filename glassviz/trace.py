"""The trace: one recorded roll-out with every per-frame quantity, and its header."""

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
from glassviz.files import replacing

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

SCHEMA_VERSION = 1


@dataclass(frozen=True, eq=False)
class Trace:
    """Episodes of one checkpoint under one controller; E episodes of T frames each.

    Attributes:
        header: where the trace came from: `schema_version`, `checkpoint` (name, sha256, format),
            `agent` (the whole agent configuration), `controller`, `planner`, `env` (task,
            physics, action_repeat, episode_steps, control_dt_s), `seed`, `reset_seeds`,
            `label_rule`, `labels_from` ("glass", "fitted" or "none"), `tau` (null without soft
            assignments), `partition` (rows of S; null without labels), `geoms` (names),
            `assumptions`, `versions`, `device`; and `fitted_labels` where they are fitted.
        time: s since the reset.
        qpos, qvel: generalised positions and velocities, what the picture is drawn from.
        obs: observation.
        latent: encoder output z.
        soft_assignment: c over the N prototypes of Glass; N is 0 without, and where labels are
            fitted.
        prototype: nearest prototype n; -1 without labels.
        label: cluster label k of this frame's observation; -1 without labels.
        action: action taken from this frame.
        policy_action: what the policy prior would have done.
        value: predicted return-to-go. Under `mppi` the mean of the elites' values in the last
            iteration, under `pi` the mean of the Q heads at the action taken.
        value_spread: standard deviation of the same.
        reward: reward that the action earned, summed over the action repeat.
        height: torso over foot, m.
        speed: forward speed of the centre of mass, m/s.
        angles: pitch of every body against the vertical, rad; bodies as in `header["bodies"]`.
        contacts: whether each geom touches the floor; geoms as in `header["geoms"]`.
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
        """Whether there are clusters to name, learned or fitted."""
        return self.header["labels_from"] != "none"

    @property
    def partition(self) -> Float64[np.ndarray, "prototypes clusters"] | None:
        """S; None without labels, and for a trace from before it was recorded."""
        rows = self.header.get("partition")
        return None if rows is None else np.array(rows, dtype=np.float64)

    @property
    def clusters(self) -> int:
        """Number of labels K that there may be; of an unknown agent those up to the highest."""
        rows, glass = self.header.get("partition"), self.header["agent"].get("glass")
        if rows is not None:
            return len(rows[0])
        return glass["clusters"] if glass else int(self.label.max(initial=-1)) + 1

    @property
    def labels_sha256(self) -> str | None:
        """Hash of the fitted labels that the frames go by; None for all others."""
        fitted = self.header.get("fitted_labels")
        return fitted["sha256"] if fitted else None

    @property
    def frame_dt_s(self) -> float:
        """Seconds between frames: the control step times the action repeat."""
        env = self.header["env"]
        return float(env["control_dt_s"] * env["action_repeat"])

    @property
    def returns(self) -> Float[np.ndarray, " episodes"]:
        """Return of each episode: its sum of rewards."""
        return self.reward.sum(axis=1)

    @cached_property
    def sha256(self) -> str:
        """Hash of header and arrays; what is derived from a trace carries it."""
        digest = hashlib.sha256(json.dumps(self.header, sort_keys=True).encode())
        for name in ARRAYS:
            digest.update(np.ascontiguousarray(getattr(self, name)).data)
        return digest.hexdigest()

    def save(self, path: Path) -> None:
        """Write the trace to `path` (.npz), whole or not at all.

        Raises:
            GlassvizError: it cannot be written.
        """
        arrays = {name: getattr(self, name) for name in ARRAYS}
        header = np.frombuffer(json.dumps(self.header, sort_keys=True).encode(), dtype=np.uint8)
        with replacing(path) as partial, partial.open("wb") as file:
            np.savez(file, header=header, **arrays)

    @classmethod
    def load(cls, path: Path) -> Self:
        """Read a trace.

        Raises:
            GlassvizError: the file is missing, truncated, no trace, or of another schema version;
                or its arrays, or an entry of its header, are none of a trace.
        """
        try:
            # NumPy leaves a file that it opened itself open when it turns out to be no archive.
            with path.open("rb") as file, np.load(file, allow_pickle=False) as archive:
                header = json.loads(archive["header"].tobytes())
                _check_version(header, path)
                arrays = {name: archive[name] for name in ARRAYS}
            if not all(isinstance(each, np.ndarray) for each in arrays.values()):
                raise ValueError("members that are no arrays")
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
        check_header(header, arrays, path)
        return cls(header=header, **arrays)


ARRAYS = tuple(f.name for f in dataclasses.fields(Trace) if f.name != "header")

UNREADABLE = (
    *(OSError, ValueError, KeyError, EOFError, RuntimeError, MemoryError),
    # An array that is no archive, and members of an archive that are no arrays.
    *(TypeError, AttributeError),
    *(zipfile.BadZipFile, zlib.error),
)
"""What damaged files, and files of another kind, make NumPy, zipfile and json raise."""


def _check_version(header: Any, path: Path) -> None:
    found = header.get("schema_version") if isinstance(header, dict) else None
    if found != SCHEMA_VERSION:
        raise GlassvizError(
            f"{path}: expected trace schema version {SCHEMA_VERSION}, found {found}: record it "
            f"again with `glassviz rollout`"
        )


def _check_arrays(arrays: dict[str, np.ndarray], path: Path) -> None:
    """Refuse arrays whose axes or kind are not those of the annotations of `Trace`."""
    shape = arrays["time"].shape[:2]
    for field in dataclasses.fields(Trace):
        if field.name == "header":
            continue
        array, declared = arrays[field.name], cast(Any, field.type)
        axes, dtype = declared.dim_str.split(), np.dtype(declared.dtypes[0])
        if array.ndim != len(axes) or array.shape[:2] != shape:
            raise GlassvizError(
                f"{path}: {field.name} has shape {array.shape}, expected ({', '.join(axes)}) with "
                f"{shape} first: record it again with `glassviz rollout`"
            )
        if array.dtype.kind != dtype.kind:
            raise GlassvizError(
                f"{path}: {field.name} is of {array.dtype}, expected {dtype}: record it again "
                f"with `glassviz rollout`"
            )
