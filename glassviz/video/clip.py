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
        task: what it was rolled out on.
        seed: seed that the resets of all episodes follow from.
        reset_seed: seed of this episode's reset.
        episode, episodes: number of this episode, from 1, and number of episodes in the trace.
        fitted: whether the clusters were fitted to the agent's latents rather than learned.
        time: time since the reset, s.
        total: return so far, including the reward of this frame's action.
        label, prototype: cluster and nearest prototype; -1 without clusters.
        given_labels: names that a user gave to clusters.
        lanes: what touches the floor: each foot, and `other` parts of the body; empty for a body
            without feet.
        contacts: whether each of these does.
    """

    name: str
    task: str
    seed: int
    reset_seed: int
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
    lanes: tuple[str, ...]
    contacts: Bool[np.ndarray, "frames lanes"]
    given_labels: Mapping[int, str] = field(default_factory=dict)

    @property
    def frames(self) -> int:
        """Number of frames T."""
        return len(self.time)

    @property
    def lane_names(self) -> tuple[str, ...]:
        """What the lanes are called: initials for the feet of a body with many."""
        if len(self.lanes) <= MOST_WORDS:
            return self.lanes
        *feet, other = self.lanes
        return (*("".join(word[0] for word in foot.split()).upper() for foot in feet), other)

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
        lanes, contacts = _contacts(trace, episode)
        controller = trace.header["controller"]
        return cls(
            name=printable(names.agent if names else trace.header["checkpoint"]["name"]),
            task=trace.task.name,
            seed=trace.header["seed"],
            reset_seed=trace.header["reset_seeds"][episode],
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
            lanes=lanes,
            contacts=contacts,
            given_labels=names.labels if names else {},
        )


MOST_WORDS = 3
"""Contact lanes that are named in full."""

OTHER = "other"
"""Name of the lane of all parts of the body but its feet."""


def _contacts(
    trace: Trace, episode: int
) -> tuple[tuple[str, ...], Bool[np.ndarray, "frames lanes"]]:
    """Names and floor contacts of the feet, and of all other parts of the body together."""
    geoms, touching = trace.header["geoms"], trace.contacts[episode]
    feet = trace.body.foot_geoms(geoms)
    if not feet:
        return (), np.zeros((trace.frames, 0), bool)
    known = {*trace.body.floor_geoms(geoms), *(i for columns in feet.values() for i in columns)}
    others = [i for i in range(len(geoms)) if i not in known]
    lanes = feet | {OTHER: others}
    columns = [touching[:, own].any(axis=1) for own in lanes.values()]
    return tuple(lanes), np.stack(columns, axis=1)
