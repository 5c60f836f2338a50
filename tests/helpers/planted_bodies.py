"""Planted gaits of other bodies than the hopper: feet with lags, joints with a rhythm, labels.

No physics: contacts, heights and joints follow the phase of a gait whose period, jitter, falls,
lags and labels are planted.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

import numpy as np
from jaxtyping import Bool, Float64, Int

from glassviz.envs.bodies import task_of
from glassviz.trace import SCHEMA_VERSION, Trace

LAGS: Mapping[str, Mapping[str, float]] = MappingProxyType(
    {
        "walk": {"left": 0.0, "right": 0.5},
        "run": {"left": 0.0, "right": 0.5},
        "hop": {"left": 0.0, "right": 0.0},
        "skip": {"left": 0.0, "right": 0.25},
        "bound of two": {"back": 0.0, "front": 0.5},
        "four-beat walk": {
            **{"front left": 0.0, "front right": 0.5, "back left": 0.75, "back right": 0.25}
        },
        "amble": {"front left": 0.0, "front right": 0.5, "back left": 0.75, "back right": 0.25},
        "trot": {"front left": 0.0, "front right": 0.5, "back left": 0.5, "back right": 0.0},
        "pace": {"front left": 0.0, "front right": 0.5, "back left": 0.0, "back right": 0.5},
        "bound": {"front left": 0.0, "front right": 0.0, "back left": 0.5, "back right": 0.5},
        "pronk": {"front left": 0.0, "front right": 0.0, "back left": 0.0, "back right": 0.0},
        "gallop": {"front left": 0.0, "front right": 0.15, "back left": 0.5, "back right": 0.65},
        "rotary gallop": {
            **{"front left": 0.0, "front right": 0.15, "back left": 0.65, "back right": 0.5}
        },
    }
)
"""Lags of the feet by what is planted; the name that it should get is in `NAMES` if it differs."""

NAMES = MappingProxyType(
    {"bound of two": "bound", "four-beat walk": "walk", "rotary gallop": "gallop"}
)

WALKS = frozenset({"walk", "four-beat walk"})

DROP_S = 0.3
OPENING_S = 1.0

SMOOTH = 9
"""Frames over which the noise of the joints is smoothed: their velocities are its differences."""


@dataclass(frozen=True)
class BodyPlan:
    """What to plant.

    Attributes:
        task: of a body with feet, or without.
        lags: by foot; none for a body without feet, or one that stands.
        duty_factor: of every foot.
        jitter_cv: coefficient of variation of the durations of the cycles.
        noise: standard deviation of what is added to each joint.
        falls, fall_s: falls, evenly spread, and how long each lasts.
        trunk: whether the trunk is on the floor while a foot is.
        map, locking: labels by sector of the cycle, as for the hopper.
    """

    task: str = "walker-walk"
    lags: Mapping[str, float] = field(default_factory=dict)
    frames: int = 800
    period_s: float = 0.6
    duty_factor: float = 0.6
    jitter_cv: float = 0.0
    noise: float = 0.05
    speed_mps: float = 1.0
    falls: int = 0
    fall_s: float = 1.0
    trunk: bool = False
    map: tuple[int, ...] = (0, 1, 2, 3)
    clusters: int = 8
    locking: float = 1.0


def plan_of(gait: str, **plan) -> BodyPlan:
    """The plan of a gait of `LAGS`."""
    lags = LAGS[gait]
    task = {"left": "walker-walk", "back": "cheetah-run"}.get(next(iter(lags)), "quadruped-walk")
    duty = 0.6 if gait in WALKS else 0.35
    return BodyPlan(**({"task": task, "lags": lags, "duty_factor": duty} | plan))


def synthesise(plan: BodyPlan, rng: np.random.Generator) -> Trace:
    """Draw an episode."""
    facts = task_of(plan.task)
    body, dt_s = facts.body, facts.body.control_dt_s
    time = np.arange(plan.frames) * dt_s
    opening = time < (DROP_S + OPENING_S if body.feet else 0.0)
    lying = (opening & (time >= DROP_S)) | _falling(plan, dt_s)
    going = ~opening & ~lying
    clock, number = _clock(plan, going, dt_s, rng)
    moves = going if plan.period_s else np.zeros_like(going)

    geoms, contacts = _contacts(plan, clock, moves, going, lying)
    joints = facts.nv - body.root if body.joints is None else body.joints
    offsets = np.arange(joints) / max(joints, 2)
    swing = 0.5 * np.sin(2 * np.pi * (clock[:, None] - offsets)) * moves[:, None]
    smooth = np.ones(SMOOTH) / SMOOTH**0.5
    white = rng.standard_normal((plan.frames + SMOOTH - 1, joints))
    angle = swing + plan.noise * np.apply_along_axis(np.convolve, 0, white, smooth, "valid")
    qpos, qvel = np.zeros((plan.frames, facts.nq)), np.zeros((plan.frames, facts.nv))
    first = body.root + (body.root == 6)
    qpos[:, first : first + joints] = angle
    qvel[:, body.root : body.root + joints] = np.gradient(angle, dt_s, axis=0)
    labels = _labels(plan, clock, number, rng)

    stand = body.stand_m or 0.0
    has_torso = body.torso is not None
    height = np.where(lying, 0.2 * stand, 1.3 * stand) if has_torso else np.full(len(time), np.nan)
    speed = np.where(moves, plan.speed_mps, 0.0) if has_torso else np.full(len(time), np.nan)
    one = (1, plan.frames)
    bodies = [body.torso or "base"]
    return Trace(
        header=_header(plan, facts.body.control_dt_s, geoms, bodies),
        time=time[None],
        qpos=qpos[None],
        qvel=qvel[None],
        obs=np.zeros((*one, facts.obs_dim), np.float32),
        latent=np.zeros((*one, 1), np.float32),
        soft_assignment=np.zeros((*one, 16), np.float32),
        prototype=labels[None].astype(np.int32),
        label=labels[None].astype(np.int32),
        action=np.zeros((*one, body.action_dim), np.float32),
        policy_action=np.zeros((*one, body.action_dim), np.float32),
        value=np.zeros(one, np.float32),
        value_spread=np.zeros(one, np.float32),
        reward=np.zeros(one),
        height=height[None],
        speed=speed[None],
        angles=np.where(lying, np.pi / 2, 0.0)[None, :, None],
        contacts=contacts[None],
        touch=np.zeros((*one, facts.touch_sensors)),
    )


def _falling(plan: BodyPlan, dt_s: float) -> Bool[np.ndarray, " frames"]:
    falling = np.zeros(plan.frames, bool)
    first = DROP_S + OPENING_S
    gap = (plan.frames * dt_s - first) / (plan.falls + 1)
    for fall in range(1, plan.falls + 1):
        start = round((first + fall * gap) / dt_s)
        falling[start : start + round(plan.fall_s / dt_s)] = True
    return falling


def _clock(
    plan: BodyPlan, going: Bool[np.ndarray, " frames"], dt_s: float, rng: np.random.Generator
) -> tuple[Float64[np.ndarray, " frames"], Int[np.ndarray, " frames"]]:
    """Cycles passed in each frame, on a clock that runs while the body goes; and their number."""
    if not plan.period_s:
        return np.zeros(plan.frames), np.zeros(plan.frames, np.int64)
    elapsed = np.cumsum(going) * dt_s
    count = int(np.ceil(elapsed[-1] / (0.3 * plan.period_s))) + 2
    drawn = plan.period_s * (1 + plan.jitter_cv * rng.standard_normal(count))
    ends = np.concatenate([[0.0], np.cumsum(np.maximum(drawn, 0.3 * plan.period_s))])
    clock = np.interp(elapsed, ends, np.arange(len(ends)))
    return clock, np.floor(clock).astype(np.int64)


def _contacts(
    plan: BodyPlan,
    clock: Float64[np.ndarray, " frames"],
    moves: Bool[np.ndarray, " frames"],
    going: Bool[np.ndarray, " frames"],
    lying: Bool[np.ndarray, " frames"],
) -> tuple[list[str], Bool[np.ndarray, "frames geoms"]]:
    """Names of the geoms, and which touch the floor: a foot lands `lag` of a cycle later."""
    body = task_of(plan.task).body
    feet = {foot: patterns[0].replace("*", "x") for foot, patterns in body.feet.items()}
    trunk = body.trunk[0].replace("*", "x").replace("?", "b") if body.trunk else None
    geoms = [body.floor[0], *feet.values(), *([trunk] if trunk else [])]
    contacts = np.zeros((len(clock), len(geoms)), bool)
    for foot, geom in feet.items():
        phase = (clock - plan.lags.get(foot, 0.0)) % 1.0
        down = moves & (phase < plan.duty_factor) if plan.lags else going
        contacts[:, geoms.index(geom)] = down
    if trunk:
        dragged = contacts.any(axis=1) & plan.trunk
        contacts[:, -1] = lying | dragged
    return geoms, contacts


def _labels(
    plan: BodyPlan,
    clock: Float64[np.ndarray, " frames"],
    number: Int[np.ndarray, " frames"],
    rng: np.random.Generator,
) -> Int[np.ndarray, " frames"]:
    sectors = len(plan.map)
    sector = np.minimum((clock % 1.0 * sectors).astype(int), sectors - 1)
    table = np.tile(np.array(plan.map), (number[-1] + 1, 1))
    loose = rng.random(table.shape) >= plan.locking
    table[loose] = rng.integers(plan.clusters, size=int(loose.sum()))
    return table[number, sector]


def _header(plan: BodyPlan, dt_s: float, geoms: list[str], bodies: list[str]) -> dict:
    return {
        "schema_version": SCHEMA_VERSION,
        "checkpoint": {"name": "planted", "sha256": "0" * 64, "format": "planted"},
        "agent": {},
        "controller": "pi",
        "planner": {},
        "env": {
            "task": plan.task,
            "physics": "dm_control",
            "action_repeat": 1,
            "episode_steps": plan.frames,
            "control_dt_s": dt_s,
        },
        "seed": 0,
        "reset_seeds": [0],
        "label_rule": "nearest-prototype",
        "labels_from": "glass",
        "tau": 1.0,
        "partition": None,
        "geoms": geoms,
        "bodies": bodies,
        "assumptions": [],
        "versions": {},
        "device": "cpu",
    }
