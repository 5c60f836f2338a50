"""One episode of a trace, reduced to what a film of it shows."""

from dataclasses import dataclass, fields, replace

import numpy as np
from jaxtyping import Bool, Float64, Int32

from glassviz.trace import Trace

CONTROLLER_NAMES = {"mppi": "planner (mppi)", "pi": "policy (pi)"}


@dataclass(frozen=True, eq=False)
class Clip:
    """What is filmed, and what is written over it, frame by frame; T frames.

    Attributes:
        controller: who acts, in the words of the overlay.
        episode, episodes: number of this episode, from 1, and how many the trace has.
        has_labels: whether the frames have clusters.
        fitted: whether these were fitted to the agent's latents, and not learned by it.
        qpos, qvel: the state that the picture is drawn from.
        time: s since the reset.
        total: return so far, the reward of this frame's action included.
        label, prototype: cluster and nearest prototype of this frame; -1 without
            clusters.
        foot, other: whether the foot, and whether any other part of the body, touches the floor.
    """

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
        """The frames from `first` to before `last`."""
        arrays = {
            each.name: getattr(self, each.name)[first:last]
            for each in fields(self)
            if isinstance(getattr(self, each.name), np.ndarray)
        }
        return replace(self, **arrays)

    @classmethod
    def of(cls, trace: Trace, episode: int) -> "Clip":
        """The clip of `episode`, counted from 0."""
        geoms = trace.header["geoms"]
        foot = np.array([name == "foot" for name in geoms])
        other = np.array([name not in ("foot", "floor") for name in geoms])
        contacts = trace.contacts[episode]
        controller = trace.header["controller"]
        return cls(
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
