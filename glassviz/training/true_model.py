"""A planner on the true MuJoCo model, and the skills that it is asked for."""

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
States = Float64[np.ndarray, "batch 14"]
Actions = Float64[np.ndarray, "batch 4"]


class Readings(NamedTuple):
    """What a planner asks of a state, beyond the state itself. Leading axes are those asked for.

    Attributes:
        height: torso over foot (centres of mass), as the task measures it, m.
        upright: cosine of the torso's pitch.
        speed, rise: forward and upward speed of the centre of mass, m/s.
        ahead: centre of mass ahead of the foot, m.
        touch: toe and heel touch sensors, N.
    """

    height: Float64[np.ndarray, "*axes"]
    upright: Float64[np.ndarray, "*axes"]
    speed: Float64[np.ndarray, "*axes"]
    rise: Float64[np.ndarray, "*axes"]
    ahead: Float64[np.ndarray, "*axes"]
    touch: Float64[np.ndarray, "*axes 2"]


class HopModel:
    """The suite's hopper under a physics profile, with sensors for all of `Readings`.

    A state is (qpos, qvel). Its future under given actions is that in `HopperBatch`, as near as the
    contact solver comes to its solution when it starts from nothing; readings after a step are
    one physics step (5 ms) older than the state, as MuJoCo's sensors are.
    """

    def __init__(self, physics: Physics) -> None:
        spec = mujoco.MjSpec.from_file(str(model_path()))
        kind, of = mujoco.mjtSensor, mujoco.mjtObj
        for name, sensor, body in (
            ("torso_position", kind.mjSENS_FRAMEPOS, "torso"),
            ("foot_position", kind.mjSENS_FRAMEPOS, "foot"),
            ("centre_of_mass", kind.mjSENS_SUBTREECOM, "torso"),
        ):
            spec.add_sensor(name=name, type=sensor, objtype=of.mjOBJ_BODY, objname=body)
        spec.add_sensor(
            name="torso_axis", type=kind.mjSENS_FRAMEZAXIS, objtype=of.mjOBJ_XBODY, objname="torso"
        )
        self.model = spec.compile()
        profile = load_model(physics).opt
        for option in ("iterations", "ls_iterations", "disableflags"):
            setattr(self.model.opt, option, getattr(profile, option))
        self._data = mujoco.MjData(self.model)
        address = {
            self.model.sensor(i).name: int(self.model.sensor_adr[i])
            for i in range(self.model.nsensor)
        }
        self._torso, self._foot = address["torso_position"], address["foot_position"]
        self._centre, self._axis = address["centre_of_mass"], address["torso_axis"]
        self._velocity = address["torso_subtreelinvel"]
        self._touch = [address["touch_toe"], address["touch_heel"]]

    def read(self, state: Float64[np.ndarray, " 14"], count: int) -> Readings:
        """Readings of one state, `count` times over."""
        self._data.qpos[:], self._data.qvel[:] = state[POSITIONS], state[VELOCITIES]
        mujoco.mj_forward(self.model, self._data)
        return self._readings(np.tile(self._data.sensordata, (count, 1)))

    def step(self, states: States, actions: Actions) -> tuple[States, Readings]:
        """One control step of 20 ms for every row."""
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


Phase = Literal["lie", "roll over", "stand up", "hop"]
State = Float64[np.ndarray, " 14"]

Gait = Callable[[States, Readings], Actions]
"""What the planner adds its noise to: actions in a batch of states."""


@dataclass(frozen=True)
class MPCConfig:
    """Constants of the planner.

    Attributes:
        samples: noise sequences a plan while it hops.
        rescue_samples: the same in getting from a motion into the gait, and in trouble.
        horizon: steps that a sample is rolled out; 1.4 s is about three hops.
        knots, knot_steps: noise is a spline through so many knots, so many steps apart; after
            the last one the gait is on its own.
        noise, rescue_noise: standard deviation of the noise of the wildest sample; of the tamest
            a tenth, the others between on a logarithmic scale.
        elites, temperature: the next plan's noise starts from the best samples' mean, weighted
            by exp(score / temperature), and from the best one, in equal parts.
        steps_per_plan: actions taken before the next plan, `knot_steps` at most.
        height_margin_m, height_softness_m: a sample scores for a height above the task's
            threshold plus the margin, through a logistic of this softness: to plan for the
            threshold itself is to be below it half of the time.
        fall_height_m, fall_cosine: a sample that is lower, or tilted further, has fallen.
        ready_height_m: the lowest stand in which the gait is tried.
        still_speed: rad/s or m/s below which a hopper lies still.
        lie_steps: (least, most) steps to wait for that.
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
"""Around an agent, which reacts better than the gains do: 43 a 100 steps where the agent alone
earns 33; 40 with two steps a plan and 46 with 160 samples, at twice the time each."""


class RollOuts(NamedTuple):
    """Samples rolled out to the horizon.

    Attributes:
        score: mean over the horizon of what the task would pay, less 1 a step after a fall.
        stands: whether it never fell.
        actions: those of the first `steps_per_plan` steps.
    """

    score: Float64[np.ndarray, " samples"]
    stands: Bool[np.ndarray, " samples"]
    actions: Float64[np.ndarray, "samples steps act"]


def objective(mpc: MPCConfig, readings: Readings) -> Float64[np.ndarray, " samples"]:
    """The task's reward with a margin and a soft edge at its height threshold."""
    over = readings.height - STAND_HEIGHT_M - mpc.height_margin_m
    standing = 1 / (1 + np.exp(-np.clip(over / mpc.height_softness_m, -30, 30)))
    return standing * np.clip(readings.speed / HOP_SPEED_MPS, 0, 1)


def fallen(mpc: MPCConfig, readings: Readings) -> Bool[np.ndarray, " samples"]:
    """Whether a hopper is so low, or tilted so far, that its gait is over."""
    return (readings.height <= mpc.fall_height_m) | (readings.upright <= mpc.fall_cosine)


class HopPlanner:
    """Acts for one hopper; deterministic by the generator that it is given.

    Args:
        mpc: its constants.
        gait: what it starts from.
        motions: how it gets up; None leaves that to the gait.
        physics: profile of the model.
        rng: of the noise that it samples.
    """

    def __init__(
        self,
        mpc: MPCConfig,
        gait: Gait,
        motions: Motions | None,
        physics: Physics,
        rng: np.random.Generator,
    ) -> None:
        self.mpc = mpc
        self.gait = gait
        self.motions = motions
        self.model = HopModel(physics)
        self.phase: Phase = "lie"
        self._rng = rng
        self._noise = np.zeros((mpc.knots, 4))
        self._motion: Iterator[np.ndarray] = iter(())
        self._lain = 0

    def plan(self, state: State) -> Float64[np.ndarray, "steps act"]:
        """The next one or more actions from a state (qpos, qvel)."""
        now = self.model.read(state, 1)
        upright = now.upright[0] > self.mpc.fall_cosine
        if now.height[0] > self.mpc.ready_height_m and upright:
            actions = self._hop(state)
            if actions is not None:
                self.phase, self._motion = "hop", iter(())
                return actions
        if self.motions is None:
            self._noise = np.zeros_like(self._noise)
            return np.clip(self.gait(state[None], now), -1, 1)
        return self._get_up(state, self.motions)[None]

    def roll_out(self, state: State, noise: Float64[np.ndarray, "samples knots act"]) -> RollOuts:
        """What becomes of a state when the gait acts with noise added."""
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
        """Actions of the best sample; None when every sample falls."""
        mpc = self.mpc
        efforts = [(mpc.samples, mpc.noise)] if self.phase == "hop" else []
        for count, scale in [*efforts, (mpc.rescue_samples, mpc.rescue_noise)]:
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
        """Noise around what was best before; the first two are that itself, and none."""
        scales = scale * 10.0 ** -self._rng.uniform(size=(count, 1, 1))
        noise = self._noise + scales * self._rng.standard_normal((count, *self._noise.shape))
        noise[0], noise[1] = self._noise, 0
        return noise

    def _shifted(self, noise: Float64[np.ndarray, "knots act"]) -> Float64[np.ndarray, "knots act"]:
        """The same noise, seen from where the next plan starts."""
        longer = np.concatenate([noise, np.zeros((1, 4))])
        mpc = self.mpc
        fine = spline(longer, mpc.knot_steps, mpc.knots * mpc.knot_steps + 1)
        return fine[mpc.steps_per_plan :: mpc.knot_steps][: mpc.knots]

    def _get_up(self, state: State, motions: Motions) -> Float64[np.ndarray, " act"]:
        """The next action of the motion that is on, or of lying still before the next one."""
        self._noise = np.zeros_like(self._noise)
        action = next(self._motion, None)
        if action is not None:
            return action
        if self.phase != "lie":
            self.phase, self._lain = "lie", 0
        self._lain += 1
        least, most = self.mpc.lie_steps
        still = np.abs(state[VELOCITIES][1:]).max() < self.mpc.still_speed
        if (still and self._lain > least) or self._lain > most:
            if np.sin(state[PITCH]) > 0:
                self.phase, motion = "stand up", motions.stand_up
            else:
                self.phase, motion = "roll over", motions.roll_over
            self._motion = iter(motion)
            return next(self._motion)
        return hold(state)
