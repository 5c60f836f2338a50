"""A planner for hopping on the true MuJoCo model, with the gait and motions it builds on."""

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from importlib.resources import files
from typing import Literal, NamedTuple

import mujoco
import numpy as np
from jaxtyping import Bool, Float, Float64
from mujoco import rollout

from glassviz.agents.config import Physics
from glassviz.envs.hopper import HOP_SPEED_MPS, STAND_HEIGHT_M, SUBSTEPS, load_model, model_path

POSITIONS = slice(0, 7)
VELOCITIES = slice(7, 14)
PITCH = 2
JOINTS = slice(3, 7)
JOINT_VELOCITIES = slice(10, 14)
State = Float64[np.ndarray, " 14"]
States = Float64[np.ndarray, "batch 14"]
Actions = Float64[np.ndarray, "batch 4"]


class Readings(NamedTuple):
    """Derived quantities of states that the planner uses.

    Attributes:
        height: torso over foot (centres of mass), as measured by the task, m.
        upright: cosine of the torso's pitch.
        speed, rise: forward and upward speed of the centre of mass, m/s.
        ahead: distance of the centre of mass ahead of the foot, m.
        touch: toe and heel touch sensors, N.
    """

    height: Float64[np.ndarray, "*axes"]
    upright: Float64[np.ndarray, "*axes"]
    speed: Float64[np.ndarray, "*axes"]
    rise: Float64[np.ndarray, "*axes"]
    ahead: Float64[np.ndarray, "*axes"]
    touch: Float64[np.ndarray, "*axes 2"]


class HopModel:
    """The suite's hopper under a physics profile, with sensors for all `Readings`.

    A state is (qpos, qvel). Its dynamics are those of `HopperBatch`, up to the accuracy of the
    contact solver without a warm start; readings after a step are one physics step (5 ms) older
    than the state, as are MuJoCo's sensors.
    """

    def __init__(self, physics: Physics) -> None:
        spec = mujoco.MjSpec.from_file(str(model_path()))
        kind, target = mujoco.mjtSensor, mujoco.mjtObj
        for name, sensor, part, body in (
            ("torso_position", kind.mjSENS_FRAMEPOS, target.mjOBJ_BODY, "torso"),
            ("foot_position", kind.mjSENS_FRAMEPOS, target.mjOBJ_BODY, "foot"),
            ("centre_of_mass", kind.mjSENS_SUBTREECOM, target.mjOBJ_BODY, "torso"),
            ("torso_axis", kind.mjSENS_FRAMEZAXIS, target.mjOBJ_XBODY, "torso"),
        ):
            spec.add_sensor(name=name, type=sensor, objtype=part, objname=body)
        self.model = spec.compile()
        profile = load_model(physics).opt
        for option in ("iterations", "ls_iterations", "disableflags"):
            setattr(self.model.opt, option, getattr(profile, option))
        self._data = mujoco.MjData(self.model)
        sensors = map(self.model.sensor, range(self.model.nsensor))
        address = {sensor.name: int(sensor.adr[0]) for sensor in sensors}
        self._torso, self._foot = address["torso_position"], address["foot_position"]
        self._centre, self._axis = address["centre_of_mass"], address["torso_axis"]
        self._velocity = address["torso_subtreelinvel"]
        self._touch = [address["touch_toe"], address["touch_heel"]]

    def read(self, state: Float64[np.ndarray, " 14"], count: int) -> Readings:
        """Readings of one state, repeated `count` times."""
        self._data.qpos[:], self._data.qvel[:] = state[POSITIONS], state[VELOCITIES]
        mujoco.mj_forward(self.model, self._data)
        return self._readings(np.tile(self._data.sensordata, (count, 1)))

    def step(self, states: States, actions: Actions) -> tuple[States, Readings]:
        """Advance every row by one control step of 20 ms."""
        full, sensors = rollout.rollout(
            self.model,
            self._data,
            np.concatenate([np.zeros((len(states), 1)), states], axis=1),  # time first
            np.repeat(actions[:, None], SUBSTEPS, axis=1),
        )
        return full[:, -1, 1:], self._readings(sensors[:, -1])

    def _readings(self, sensors: Float64[np.ndarray, "batch sensors"]) -> Readings:
        return Readings(
            height=sensors[:, self._torso + 2] - sensors[:, self._foot + 2],
            upright=sensors[:, self._axis + 2],
            speed=sensors[:, self._velocity],
            rise=sensors[:, self._velocity + 2],
            ahead=sensors[:, self._centre] - sensors[:, self._foot],
            touch=sensors[:, self._touch],
        )


REST_POSE = np.array([0.0, -0.8, 1.2, -0.4])
"""Joint angles (waist, hip, knee, ankle) that a fallen hopper holds until it lies still, rad."""

HOLD_STIFFNESS, HOLD_DAMPING = 2.0, 0.15

# Offset and scale of the gait's inputs: height, pitch, joint angles, velocities.
_ORIGIN = np.array([-0.15, 0.1, 0, -0.8, 1.2, -0.4, 1, 0, 0, 0, 0, 0, 0])

_SCALE = np.array([0.2, 0.3, 0.3, 0.5, 0.5, 0.3, 1, 1, 3, 3, 4, 5, 6])
_AHEAD_SCALE_M = 0.2
_FULL_TOUCH_N = 20.0
_RISE_SCALE_MPS = 0.1


@dataclass(frozen=True)
class LinearGait:
    """A hopping gait: linear feedback in each of four phases, blended between them.

    `gains` has one block per phase: rising on the ground, rising in the air, sinking on the ground,
    sinking in the air.
    """

    gains: Float64[np.ndarray, "act inputs"]

    def __call__(self, states: States, readings: Readings) -> Actions:
        """Actions in a batch of states, not clipped to [-1, 1]."""
        values = states[:, 1:].copy()  # without the position along the track
        pitch = values[:, PITCH - 1]
        values[:, PITCH - 1] = (pitch + np.pi) % (2 * np.pi) - np.pi
        one, ahead = np.ones(len(states)), readings.ahead / _AHEAD_SCALE_M
        inputs = np.column_stack([(values - _ORIGIN) / _SCALE, one, ahead, readings.speed])
        force = readings.touch.sum(axis=1, keepdims=True)
        ground = np.clip(force / _FULL_TOUCH_N, 0, 1)
        rising = 1 / (1 + np.exp(-np.clip(readings.rise / _RISE_SCALE_MPS, -30, 30)))[:, None]
        by_contact = np.concatenate([inputs * ground, inputs * (1 - ground)], axis=1)
        phases = np.concatenate([by_contact * rising, by_contact * (1 - rising)], axis=1)
        return phases @ self.gains.T


@dataclass(frozen=True)
class Motions:
    """Action sequences: from lying face down to standing, and from the back to the face."""

    stand_up: Float64[np.ndarray, "up_steps act"]
    roll_over: Float64[np.ndarray, "over_steps act"]


@lru_cache
def load_skills() -> tuple[LinearGait, Motions]:
    """The gait and motions that ship with the package."""
    stored = json.loads(files(__package__).joinpath("skills.json").read_text(encoding="utf-8"))
    up, over = (
        spline(np.array(motion["knots"]), motion["knot_steps"], motion["steps"])
        for motion in (stored["stand_up"], stored["roll_over"])
    )
    return LinearGait(np.array(stored["gait"])), Motions(up, over)


def hold(state: Float64[np.ndarray, " 14"]) -> Float64[np.ndarray, " 4"]:
    """PD control of the joints to `REST_POSE`."""
    torque = HOLD_STIFFNESS * (REST_POSE - state[JOINTS]) - HOLD_DAMPING * state[JOINT_VELOCITIES]
    return np.clip(torque, -1, 1)


def spline(
    knots: Float[np.ndarray, "*batch knots act"], knot_steps: int, steps: int
) -> Float64[np.ndarray, "*batch steps act"]:
    """Linear interpolation between knots `knot_steps` apart."""
    position = np.arange(steps) / knot_steps
    before = np.floor(position).astype(int)
    after = np.minimum(before + 1, knots.shape[-2] - 1)
    weight = (position - before)[:, None]
    return knots[..., before, :] * (1 - weight) + knots[..., after, :] * weight


Phase = Literal["lie", "roll over", "stand up", "hop"]

Gait = Callable[[States, Readings], Actions]
"""Policy that the planner adds noise to: actions in a batch of states."""


@dataclass(frozen=True)
class MPCConfig:
    """Parameters of the planner.

    Attributes:
        samples: noise sequences per plan while hopping.
        rescue_samples: noise sequences per plan when entering the gait or about to fall.
        horizon: steps that a sample is rolled out; 1.4 s is about three hops.
        knots, knot_steps: noise is a spline with this number of knots, `knot_steps` apart; no
            noise is added after the last knot.
        noise, rescue_noise: largest standard deviation of the noise; those of the samples are
            log-uniform between a tenth of it and the whole.
        elites, temperature: the next plan's noise is centred on the average of the best sample
            and of the elites' mean, weighted by exp(score / temperature).
        steps_per_plan: actions per plan, at most `knot_steps`.
        height_margin_m, height_softness_m: height is scored by a logistic of this softness at the
            task's threshold plus the margin; without a margin, the hopper would be below the
            threshold half of the time.
        fall_height_m, fall_cosine: a sample that is lower or more tilted has fallen.
        ready_height_m: minimum height at which the gait is attempted.
        still_speed: speed below which a hopper lies still, rad/s or m/s.
        lie_steps: minimum and maximum number of steps to wait for that.
    """

    samples: int = 80
    rescue_samples: int = 120
    horizon: int = 70
    knots: int = 7
    knot_steps: int = 4
    noise: float = 0.5
    rescue_noise: float = 1.0
    elites: int = 6
    temperature: float = 0.05
    steps_per_plan: int = 2
    height_margin_m: float = 0.02
    height_softness_m: float = 0.015
    fall_height_m: float = 0.45
    fall_cosine: float = 0.3
    ready_height_m: float = 0.5
    still_speed: float = 0.3
    lie_steps: tuple[int, int] = (10, 50)


AGENT_MPC = MPCConfig(noise=1.0, temperature=0.02, steps_per_plan=4)
"""For planning around an agent, which reacts better than `LinearGait`: a return of 43 per 100 steps
where the agent alone earns 33; 40 with two steps per plan and 46 with 160 samples, both at twice
the computing time."""


class RollOuts(NamedTuple):
    """Samples rolled out to the horizon.

    `score` is the mean `objective` over the horizon, −1 for every step after a fall; `stands` says
    whether there was none; `actions` are those of the first `steps_per_plan` steps.
    """

    score: Float64[np.ndarray, " samples"]
    stands: Bool[np.ndarray, " samples"]
    actions: Float64[np.ndarray, "samples steps act"]


def objective(mpc: MPCConfig, readings: Readings) -> Float64[np.ndarray, " samples"]:
    """The task's reward with a margin and a soft threshold for the height."""
    over = readings.height - STAND_HEIGHT_M - mpc.height_margin_m
    standing = 1 / (1 + np.exp(-np.clip(over / mpc.height_softness_m, -30, 30)))
    return standing * np.clip(readings.speed / HOP_SPEED_MPS, 0, 1)


def fallen(mpc: MPCConfig, readings: Readings) -> Bool[np.ndarray, " samples"]:
    """Whether a hopper is too low or too tilted to continue hopping."""
    return (readings.height <= mpc.fall_height_m) | (readings.upright <= mpc.fall_cosine)


class HopPlanner:
    """Plans the actions of one hopper around a gait; deterministic given the generator.

    Without `motions` for getting up, that is left to the gait.
    """

    def __init__(
        self,
        mpc: MPCConfig,
        gait: Gait,
        motions: Motions | None,
        physics: Physics,
        rng: np.random.Generator,
    ) -> None:
        self.mpc, self.gait, self.motions = mpc, gait, motions
        self.model = HopModel(physics)
        self.phase: Phase = "lie"
        self._rng = rng
        self._noise = np.zeros((mpc.knots, 4))
        self._motion: Iterator[np.ndarray] = iter(())
        self._lie_count = 0

    def plan(self, state: State) -> Float64[np.ndarray, "steps act"]:
        """One or more actions from a state (qpos, qvel)."""
        readings = self.model.read(state, 1)
        upright = readings.upright[0] > self.mpc.fall_cosine
        if readings.height[0] > self.mpc.ready_height_m and upright:
            actions = self._hop(state)
            if actions is not None:
                self.phase, self._motion = "hop", iter(())
                return actions
        if self.motions is None:
            self._noise = np.zeros_like(self._noise)
            return np.clip(self.gait(state[None], readings), -1, 1)
        return self._get_up(state, self.motions)[None]

    def roll_out(self, state: State, noise: Float64[np.ndarray, "samples knots act"]) -> RollOuts:
        """Roll out the gait with added noise from a state."""
        mpc = self.mpc
        added = spline(noise, mpc.knot_steps, (mpc.knots - 1) * mpc.knot_steps)
        states = np.tile(state, (len(noise), 1))
        readings = self.model.read(state, len(noise))
        stands = np.ones(len(noise), bool)
        score = np.zeros(len(noise))
        first = []
        for t in range(mpc.horizon):
            actions = self.gait(states, readings)
            if t < added.shape[1]:
                actions = actions + added[:, t]
            actions = np.clip(actions, -1, 1)
            if t < mpc.steps_per_plan:
                first.append(actions)
            states, readings = self.model.step(states, actions)
            stands &= ~fallen(mpc, readings)
            score += np.where(stands, objective(mpc, readings), -1.0)
        return RollOuts(score / mpc.horizon, stands, np.stack(first, axis=1))

    def _hop(self, state: State) -> Float64[np.ndarray, "steps act"] | None:
        """Actions of the best sample; None if every sample falls."""
        mpc = self.mpc
        normal = [(mpc.samples, mpc.noise)] if self.phase == "hop" else []
        for count, scale in [*normal, (mpc.rescue_samples, mpc.rescue_noise)]:
            noise = self._sample(count, scale)
            out = self.roll_out(state, noise)
            best = np.argsort(-out.score)[: mpc.elites]
            if out.stands[best[0]]:
                weight = np.exp((out.score[best] - out.score[best[0]]) / mpc.temperature)
                mean = np.tensordot(weight / weight.sum(), noise[best], axes=1)
                self._noise = self._shifted((mean + noise[best[0]]) / 2)
                return out.actions[best[0]]
        return None

    def _sample(self, count: int, scale: float) -> Float64[np.ndarray, "samples knots act"]:
        """Noise around the previous best; the first sample is the previous best, the second 0."""
        scales = scale * 10.0 ** -self._rng.uniform(size=(count, 1, 1))
        noise = self._noise + scales * self._rng.standard_normal((count, *self._noise.shape))
        noise[0], noise[1] = self._noise, 0
        return noise

    def _shifted(self, noise: Float64[np.ndarray, "knots act"]) -> Float64[np.ndarray, "knots act"]:
        """Shift noise in time to the start of the next plan."""
        padded = np.concatenate([noise, np.zeros((1, 4))])
        mpc = self.mpc
        fine = spline(padded, mpc.knot_steps, mpc.knots * mpc.knot_steps + 1)
        return fine[mpc.steps_per_plan :: mpc.knot_steps][: mpc.knots]

    def _get_up(self, state: State, motions: Motions) -> Float64[np.ndarray, " act"]:
        """The next action of the current motion, or of lying still before the next motion."""
        self._noise = np.zeros_like(self._noise)
        action = next(self._motion, None)
        if action is not None:
            return action
        if self.phase != "lie":
            self.phase, self._lie_count = "lie", 0
        self._lie_count += 1
        min_steps, max_steps = self.mpc.lie_steps
        still = np.abs(state[VELOCITIES][1:]).max() < self.mpc.still_speed
        if (still and self._lie_count > min_steps) or self._lie_count > max_steps:
            face_down = np.sin(state[PITCH]) > 0
            self.phase = "stand up" if face_down else "roll over"
            self._motion = iter(motions.stand_up if face_down else motions.roll_over)
            return next(self._motion)
        return hold(state)
