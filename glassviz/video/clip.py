"""The clip: an episode of a trace reduced to what a film shows."""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from jaxtyping import Bool, Float64, Int32, UInt8

from glassviz.text import printable
from glassviz.trace import Trace

Canvas = UInt8[np.ndarray, "height width 3"]
"""RGB pixels to draw on."""

CONTROLLER_NAMES = {"mppi": "planner (mppi)", "pi": "policy (pi)"}


@dataclass(frozen=True, eq=False)
class Clip:
    """T frames of one episode, with the quantities of the overlay.

    Attributes:
        name: the agent's name.
        seed: seed of the resets.
        episode, episodes: number of this episode, from 1, and number of episodes in the trace.
        fitted: whether the clusters were fitted to the agent's latents rather than learned.
        time: time since the reset, s.
        total: return so far, including the reward of this frame's action.
        label, prototype: cluster and nearest prototype; -1 without clusters.
        foot, other: floor contact of the foot, and of any other part of the body.
    """

    name: str
    seed: int
    controller: str
    episode: int
    episodes: int
    has_labels: bool
    fitted: bool
    qpos: Float64[np.ndarray, "frames nq"]
    qvel: Float64[np.ndarray, "frames nv"]
    time: Float64[np.ndarray, " frames"]
    total: Float64[np.ndarray, " frames"]
    label: Int32[np.ndarray, " frames"]
    prototype: Int32[np.ndarray, " frames"]
    foot: Bool[np.ndarray, " frames"]
    other: Bool[np.ndarray, " frames"]

    @property
    def frames(self) -> int:
        """Number of frames T."""
        return len(self.time)

    def part(self, first: int, last: int) -> "Clip":
        """The frames from `first` up to but not including `last`."""
        arrays: dict[str, Any] = {
            name: value[first:last]
            for name, value in vars(self).items()
            if isinstance(value, np.ndarray)
        }
        return replace(self, **arrays)

    @classmethod
    def of(cls, trace: Trace, episode: int) -> "Clip":
        """The clip of an episode, counted from 0."""
        geoms = trace.header["geoms"]
        foot = np.array([name == "foot" for name in geoms])
        other = np.array([name not in ("foot", "floor") for name in geoms])
        contacts = trace.contacts[episode]
        controller = trace.header["controller"]
        return cls(
            name=printable(trace.header["checkpoint"]["name"]),
            seed=trace.header["seed"],
            controller=CONTROLLER_NAMES.get(controller, controller),
            episode=episode + 1,
            episodes=trace.episodes,
            has_labels=trace.has_labels,
            fitted=trace.labels_sha256 is not None,
            qpos=trace.qpos[episode],
            qvel=trace.qvel[episode],
            time=trace.time[episode],
            total=np.cumsum(trace.reward[episode]),
            label=trace.label[episode],
            prototype=trace.prototype[episode],
            foot=contacts[:, foot].any(axis=1),
            other=contacts[:, other].any(axis=1),
        )
