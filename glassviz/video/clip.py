"""The clip: an episode of a trace reduced to what a film shows."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from jaxtyping import Bool, Float64, Int32, UInt8

from glassviz.text import printable
from glassviz.trace import Trace

Canvas = UInt8[np.ndarray, "height width 3"]
"""RGB pixels to draw on."""

CONTROLLER_NAMES = {"mppi": "planner (mppi)", "pi": "policy (pi)"}


@dataclass(frozen=True)
class ShownNames:
    """What a film calls an agent, and those of its labels that a user has named."""

    agent: str
    labels: Mapping[int, str]


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
        given_labels: names that a user gave to clusters.
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
    given_labels: Mapping[int, str] = field(default_factory=dict)

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
    def of(cls, trace: Trace, episode: int, names: ShownNames | None = None) -> "Clip":
        """The clip of an episode, counted from 0; by default under the agent's recorded name."""
        geoms = trace.header["geoms"]
        foot = np.array([name == "foot" for name in geoms])
        other = np.array([name not in ("foot", "floor") for name in geoms])
        contacts = trace.contacts[episode]
        controller = trace.header["controller"]
        return cls(
            name=printable(names.agent if names else trace.header["checkpoint"]["name"]),
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
            given_labels=names.labels if names else {},
        )
