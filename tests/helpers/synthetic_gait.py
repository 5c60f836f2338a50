"""Synthetic gaits whose truth is known: what metrics and verdicts are tested and validated with.

No physics: contacts, height, speed and angles follow the phase of a gait whose period, jitter,
falls and labels are planted.
"""

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from jaxtyping import Bool, Float64, Int

from glassviz.gait.contacts import BODY, FOOT
from glassviz.trace import SCHEMA_VERSION, Trace

GEOMS = ("floor", *BODY, "calf", FOOT)
BODIES = ("torso", "pelvis", "thigh", "calf", "foot")

DROP_S = 0.3
"""Flight with which an episode begins, before anything touches the floor."""

SHORTEST = 0.3
"""No drawn cycle is shorter than this share of the period."""

KNEES = 0.4
"""Share of its stance that a knee-walk spends on the knee before it has the foot on the floor."""

LYING_M = 0.0
"""Height of a body on the floor, torso over foot."""


@dataclass(frozen=True)
class GaitPlan:
    """What to plant.

    Attributes:
        frames: of the episode.
        dt_s: seconds between them.
        support: `foot` hops; `knee` comes down on the thigh and pushes off the foot.
        period_s: mean duration of a cycle.
        jitter_cv: coefficient of variation of the durations, drawn from a normal distribution.
        duty_factor: share of each cycle that is stance, in (0, 1).
        speed_mps: forward speed while it goes.
        opening_s: how long it lies, after the drop, before it goes.
        falls: how often it falls, evenly spread over the episode.
        fall_s: how long each fall lasts.
        map: label of each phase sector; the sectors share the cycle evenly.
        clusters: number of labels K that there may be.
        locking: chance that a sector of a cycle keeps its label; otherwise it gets any, drawn
            evenly, its own included. 1 follows the map; with 0 the label knows nothing of the
            phase, though it still changes between sectors only.
        flicker: chance that a frame shows some other label, for that frame alone.
    """

    frames: int = 1000
    dt_s: float = 0.02
    support: Literal["foot", "knee"] = "foot"
    period_s: float = 0.4
    jitter_cv: float = 0.0
    duty_factor: float = 0.5
    speed_mps: float = 0.7
    opening_s: float = 1.0
    falls: int = 0
    fall_s: float = 1.0
    map: tuple[int, ...] = (0, 1, 2, 3)
    clusters: int = 8
    locking: float = 1.0
    flicker: float = 0.0


@dataclass(frozen=True, eq=False)
class SyntheticGait:
    """An episode and its truth.

    Attributes:
        plan: what was planted.
        label: of each frame, 0..K-1.
        phase: in [0, 2π), 0 at touchdown; NaN outside of whole cycles.
        cycle: number of the cycle, 0..J-1; -1 outside of whole cycles.
        going: whether it goes; otherwise it drops, or lies.
        height, speed, torso: as in a trace.
        contacts: with the floor, of `GEOMS`.
    """

    plan: GaitPlan
    label: Int[np.ndarray, " frames"]
    phase: Float64[np.ndarray, " frames"]
    cycle: Int[np.ndarray, " frames"]
    going: Bool[np.ndarray, " frames"]
    height: Float64[np.ndarray, " frames"]
    speed: Float64[np.ndarray, " frames"]
    torso: Float64[np.ndarray, " frames"]
    contacts: Bool[np.ndarray, "frames geoms"]

    def trace(self) -> Trace:
        """The episode as a trace; what no gait is made of is zero."""
        frames, dt_s = self.plan.frames, self.plan.dt_s
        shape = 1, frames
        angles = np.zeros((*shape, len(BODIES)))
        angles[0, :, BODIES.index("torso")] = self.torso
        return Trace(
            header=_header(self.plan),
            time=np.arange(frames)[None] * dt_s,
            qpos=np.zeros((*shape, 7)),
            qvel=np.zeros((*shape, 7)),
            obs=np.zeros((*shape, 15), np.float32),
            latent=np.zeros((*shape, 1), np.float32),
            soft_assignment=np.zeros((*shape, 16), np.float32),
            prototype=self.label[None].astype(np.int32),
            label=self.label[None].astype(np.int32),
            action=np.zeros((*shape, 4), np.float32),
            policy_action=np.zeros((*shape, 4), np.float32),
            value=np.zeros(shape, np.float32),
            value_spread=np.zeros(shape, np.float32),
            reward=np.zeros(shape),
            height=self.height[None],
            speed=self.speed[None],
            angles=angles,
            contacts=self.contacts[None],
            touch=np.zeros((*shape, 2)),
        )


def synthesise(plan: GaitPlan, rng: np.random.Generator) -> SyntheticGait:
    """Draw an episode.

    A fall interrupts the gait, which goes on afterwards from the phase that it had; the cycle
    that was interrupted is no whole one, and neither are the first and the last.
    """
    t = np.arange(plan.frames)
    opening = t < round((DROP_S + plan.opening_s) / plan.dt_s)
    dropping = t < round(DROP_S / plan.dt_s)
    falling = _falling(plan)
    going = ~opening & ~falling

    phase, number = _clock(plan, going, rng)
    cycle, whole = _whole_cycles(number, going)
    label = _labels(plan, phase, number, rng)
    stance = going & (phase < 2 * np.pi * plan.duty_factor)
    knees = stance & (phase < 2 * np.pi * plan.duty_factor * KNEES) & (plan.support == "knee")
    lying = ~going & ~dropping

    contacts = np.zeros((plan.frames, len(GEOMS)), bool)
    contacts[:, GEOMS.index(FOOT)] = stance & ~knees
    contacts[:, GEOMS.index("thigh")] = knees | lying
    contacts[:, GEOMS.index("nose")] = lying
    lowest = np.pi * plan.duty_factor * (KNEES if plan.support == "knee" else 1.0)
    middle, swing = (0.75, 0.05) if plan.support == "foot" else (0.45, 0.35)
    upright = middle - swing * np.cos(phase - lowest)
    return SyntheticGait(
        plan=plan,
        label=label,
        phase=np.where(whole, phase, np.nan),
        cycle=cycle,
        going=going,
        height=np.where(going, upright, np.where(dropping, 0.3, LYING_M)),
        speed=np.where(going, plan.speed_mps, 0.0),
        torso=np.where(lying, np.pi / 2, 0.2 * np.sin(phase)),
        contacts=contacts,
    )


def _falling(plan: GaitPlan) -> Bool[np.ndarray, " frames"]:
    """Frames of the falls, which stand evenly between opening and end."""
    first = DROP_S + plan.opening_s
    gap = (plan.frames * plan.dt_s - first) / (plan.falls + 1)
    starts = np.round((first + gap * np.arange(1, plan.falls + 1)) / plan.dt_s).astype(int)
    falling = np.zeros(plan.frames, bool)
    for start in starts:
        falling[start : start + round(plan.fall_s / plan.dt_s)] = True
    return falling


def _clock(
    plan: GaitPlan, going: Bool[np.ndarray, " frames"], rng: np.random.Generator
) -> tuple[Float64[np.ndarray, " frames"], Int[np.ndarray, " frames"]]:
    """Phase and number of the cycle in every frame, on a clock that runs while it goes.

    The clock begins in the middle of a flight, so that the first touchdown is one.
    """
    elapsed = np.cumsum(going) * plan.dt_s
    count = int(np.ceil(elapsed[-1] / (SHORTEST * plan.period_s))) + 2
    drawn = plan.period_s * (1 + plan.jitter_cv * rng.standard_normal(count))
    durations = np.maximum(drawn, SHORTEST * plan.period_s)
    flown = (1 + plan.duty_factor) / 2
    starts = np.concatenate([[0.0], np.cumsum(durations)]) - flown * durations[0]
    number = np.searchsorted(starts, elapsed, side="right") - 1
    phase = 2 * np.pi * (elapsed - starts[number]) / durations[number]
    # Rounding must not reach the next cycle's beginning.
    return np.clip(phase, 0.0, np.nextafter(2 * np.pi, 0)), number


def _whole_cycles(
    number: Int[np.ndarray, " frames"], going: Bool[np.ndarray, " frames"]
) -> tuple[Int[np.ndarray, " frames"], Bool[np.ndarray, " frames"]]:
    """Numbers of the cycles that begin, end and are not interrupted; and whether one is on."""
    broken = np.unique(number[~going])
    ends = np.array([number[0], number[-1]])
    whole = ~np.isin(number, np.concatenate([broken, ends]))
    cycle = np.full(len(number), -1)
    cycle[whole] = np.unique(number[whole], return_inverse=True)[1]
    return cycle, whole


def _labels(
    plan: GaitPlan,
    phase: Float64[np.ndarray, " frames"],
    number: Int[np.ndarray, " frames"],
    rng: np.random.Generator,
) -> Int[np.ndarray, " frames"]:
    sectors = len(plan.map)
    sector = np.minimum((phase / (2 * np.pi) * sectors).astype(int), sectors - 1)
    table = np.tile(np.array(plan.map), (number[-1] + 1, 1))
    loose = rng.random(table.shape) >= plan.locking
    table[loose] = rng.integers(plan.clusters, size=int(loose.sum()))
    label = table[number, sector]
    flickers = rng.random(plan.frames) < plan.flicker
    others = rng.integers(1, max(plan.clusters, 2), size=plan.frames)
    return np.where(flickers, (label + others) % plan.clusters, label)


def _header(plan: GaitPlan) -> dict[str, Any]:
    return {
        "schema_version": SCHEMA_VERSION,
        "checkpoint": {"name": "synthetic", "sha256": "0" * 64, "format": "synthetic"},
        "agent": {},
        "controller": "pi",
        "planner": {},
        "env": {
            "task": "hopper-hop",
            "physics": "dm_control",
            "action_repeat": 1,
            "episode_steps": plan.frames,
            "control_dt_s": plan.dt_s,
        },
        "seed": 0,
        "reset_seeds": [0],
        "label_rule": "nearest-prototype",
        "labels_from": "glass",
        "tau": 1.0,
        "geoms": list(GEOMS),
        "bodies": list(BODIES),
        "assumptions": [],
        "versions": {},
        "device": "cpu",
    }
