"""The trace: one recorded roll-out, and where it came from.

Everything downstream (films, metrics, graphs, maps) reads traces, and never the agent again. A
trace holds the episodes of one checkpoint under one controller; frame t of an episode is one
record: the observation, the picture's state (qpos, qvel), latent, label and action of that very
observation, and the reward that the action earned.
"""

import dataclasses
import hashlib
import json
import zipfile
import zlib
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Self, cast

import numpy as np
from jaxtyping import Bool, Float, Float32, Float64, Int32

from glassviz.errors import GlassvizError
from glassviz.files import replacing
from glassviz.trace_header import check_header

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
