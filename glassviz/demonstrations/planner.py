"""A planner on the true model that gets a fallen hopper up and hops: a teacher for agents.

Every episode of the hopper starts with a drop in a random pose, so it first has to stand up. Short
look-ahead cannot find that: it sits up and stays there. So the planner plays motions that were
found beforehand: lie still, roll over if on the back, stand up. As soon as it stands it samples:
noise is added to the gait's actions, each sample is rolled out on the model with the gait
reacting, and the best is followed for a few steps. Since the gait goes on to the horizon's end, a
sample that would fall shortly is seen to fall.

The gait can be a trained agent's policy. It then gets up by itself, the planner hops better than
the agent, and an agent that learns from that hops better still: expert iteration. Reference:
Anthony, Tian, Barber, "Thinking fast and slow with deep learning and tree search", NeurIPS 2017.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np
from jaxtyping import Bool, Float64

from glassviz.agents.config import Physics
from glassviz.demonstrations.model import (
    PITCH,
    VELOCITIES,
    Actions,
    HopModel,
    Readings,
    States,
)
from glassviz.demonstrations.skills import Motions, hold, spline
from glassviz.envs.hopper import HOP_SPEED_MPS, STAND_HEIGHT_M

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
