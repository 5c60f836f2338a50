"""What every environment offers: a batch of independent episodes of one task."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np
from jaxtyping import Bool, Float, Float32, Float64


@dataclass(frozen=True)
class Step:
    """Observable quantities of a batch of bodies after a reset or a step.

    Attributes:
        obs: what the task shows an agent.
        reward: summed over the action repeat; zero after a reset.
        time: since the reset, s.
        height: of the hopper's torso over its foot (centres of mass), of other bodies' torso above
            the floor, m; NaN for a body without a torso.
        speed: forward speed of the centre of mass, m/s; NaN for a body without a torso.
        angles: pitch of the bodies, without the world, against the vertical, rad.
        contacts: whether a geom touches the floor.
        touch: the hopper's toe and heel touch sensors, N; none for other bodies.
        geom_heights: height of the geom centres above the world's origin, m.
    """

    obs: Float32[np.ndarray, "envs obs"]
    reward: Float64[np.ndarray, " envs"]
    time: Float64[np.ndarray, " envs"]
    qpos: Float64[np.ndarray, "envs nq"]
    qvel: Float64[np.ndarray, "envs nv"]
    height: Float64[np.ndarray, " envs"]
    speed: Float64[np.ndarray, " envs"]
    angles: Float64[np.ndarray, "envs bodies"]
    contacts: Bool[np.ndarray, "envs geoms"]
    touch: Float64[np.ndarray, "envs sensors"]
    geom_heights: Float64[np.ndarray, "envs geoms"]


@runtime_checkable
class Batch(Protocol):
    """Independent episodes of one task, stepped together.

    Attributes:
        num: how many they are.
    """

    num: int

    @property
    def geoms(self) -> tuple[str, ...]:
        """Names of the geoms, in the order of `Step.contacts`."""

    @property
    def bodies(self) -> tuple[str, ...]:
        """Names of the bodies, in the order of `Step.angles`."""

    @property
    def obs_dim(self) -> int:
        """Size of an observation."""

    @property
    def action_dim(self) -> int:
        """Size of an action."""

    def reset(self, seeds: Sequence[int], upright: int = 0) -> Step:
        """Start an episode in each; its seed determines how it begins completely.

        Args:
            seeds: one per episode.
            upright: number of episodes, counted from the first, that start upright instead.

        Raises:
            GlassvizError: there are more or fewer seeds, or the body has no upright start.
        """

    def step(self, actions: Float[np.ndarray, "envs act"]) -> Step:
        """Apply actions in [-1, 1] for `action_repeat` control steps."""

    def get_state(self) -> Float64[np.ndarray, "envs state"]:
        """The complete state, for `set_state`."""

    def set_state(self, state: Float64[np.ndarray, "envs state"]) -> Step:
        """Continue from a state returned by `get_state`; what follows is bitwise the same."""
