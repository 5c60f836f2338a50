"""What the hop planner starts from by itself: a gait that reacts, two motions that are played.

All three were found by random search on the true model and are stored as data. The gait: evolution
strategies over all gains, from gains that hold a crouch; first for not falling, then for the
task's reward. The motions: the cross-entropy method over splines, from the two poses in which a
hopper that holds its joints comes to rest, on its back and face down; the one that stands up is
scored by how the gait goes on from its end. Reference for the gait's search: Mania, Guy, Recht,
"Simple random search of static linear policies is competitive for reinforcement learning",
NeurIPS 2018.
"""

import json
from dataclasses import dataclass
from functools import lru_cache
from importlib.resources import files

import numpy as np
from jaxtyping import Float, Float64

from glassviz.demonstrations.model import (
    JOINT_VELOCITIES,
    JOINTS,
    PITCH,
    Actions,
    Readings,
    States,
)

REST_POSE = np.array([0.0, -0.8, 1.2, -0.4])
"""Joint angles (waist, hip, knee, ankle) that a fallen hopper holds until it lies still, rad."""
HOLD_STIFFNESS, HOLD_DAMPING = 2.0, 0.15

# What the gait's inputs are measured from and by: height and pitch, joints, velocities.
_ORIGIN = np.array([-0.15, 0.1, 0, -0.8, 1.2, -0.4, 1, 0, 0, 0, 0, 0, 0])
_SCALE = np.array([0.2, 0.3, 0.3, 0.5, 0.5, 0.3, 1, 1, 3, 3, 4, 5, 6])
_AHEAD_SCALE_M = 0.2
_FULL_TOUCH_N = 20.0
_RISE_SCALE_MPS = 0.1


@dataclass(frozen=True)
class LinearGait:
    """Hops: linear in each of the four phases of a hop; between phases the gains are mixed.

    Attributes:
        gains: from inputs to actions, one block a phase: on the ground rising, in the air rising,
            on the ground sinking, in the air sinking.
    """

    gains: Float64[np.ndarray, "act inputs"]

    def __call__(self, states: States, readings: Readings) -> Actions:
        """What it does in each state, before it is clipped to [-1, 1]."""
        values = states[:, 1:].copy()  # where the hopper is along the track does not matter
        pitch = values[:, PITCH - 1]
        values[:, PITCH - 1] = (pitch + np.pi) % (2 * np.pi) - np.pi
        inputs = np.concatenate(
            [
                (values - _ORIGIN) / _SCALE,
                np.ones((len(states), 1)),
                readings.ahead[:, None] / _AHEAD_SCALE_M,
                readings.speed[:, None],
            ],
            axis=1,
        )
        force = readings.touch.sum(axis=1, keepdims=True)
        ground = np.clip(force / _FULL_TOUCH_N, 0, 1)
        rising = 1 / (1 + np.exp(-np.clip(readings.rise / _RISE_SCALE_MPS, -30, 30)))[:, None]
        by_contact = np.concatenate([inputs * ground, inputs * (1 - ground)], axis=1)
        phases = np.concatenate([by_contact * rising, by_contact * (1 - rising)], axis=1)
        return phases @ self.gains.T


@dataclass(frozen=True)
class Motions:
    """Actions to be played one after the other.

    Attributes:
        stand_up: take a hopper from lying face down to a stand.
        roll_over: take it from its back onto its face, heels over head.
    """

    stand_up: Float64[np.ndarray, "up_steps act"]
    roll_over: Float64[np.ndarray, "over_steps act"]


@lru_cache
def load_skills() -> tuple[LinearGait, Motions]:
    """The skills that come with the program."""
    stored = json.loads(files(__package__).joinpath("skills.json").read_text())
    motions = Motions(_actions(**stored["stand_up"]), _actions(**stored["roll_over"]))
    return LinearGait(np.array(stored["gait"])), motions


def hold(state: Float64[np.ndarray, " 14"]) -> Float64[np.ndarray, " 4"]:
    """Drive the joints to `REST_POSE`."""
    torque = HOLD_STIFFNESS * (REST_POSE - state[JOINTS]) - HOLD_DAMPING * state[JOINT_VELOCITIES]
    return np.clip(torque, -1, 1)


def spline(
    knots: Float[np.ndarray, "*batch knots act"], knot_steps: int, steps: int
) -> Float64[np.ndarray, "*batch steps act"]:
    """Straight lines through knots that lie `knot_steps` apart."""
    place = np.arange(steps) / knot_steps
    before = np.floor(place).astype(int)
    after = np.minimum(before + 1, knots.shape[-2] - 1)
    share = (place - before)[:, None]
    return knots[..., before, :] * (1 - share) + knots[..., after, :] * share


def _actions(
    knots: list[list[float]], knot_steps: int, steps: int
) -> Float64[np.ndarray, "steps act"]:
    return spline(np.array(knots), knot_steps, steps)
