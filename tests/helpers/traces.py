"""Traces made up for tests: no agent, no physics, every number known."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from glassviz.trace import SCHEMA_VERSION, Trace

GEOMS = ["floor", "torso", "nose", "pelvis", "thigh", "calf", "foot"]
BODIES = ["torso", "pelvis", "thigh", "calf", "foot"]
PROTOTYPES = 16


def clock_trace(
    episodes: int = 1,
    frames: int = 40,
    *,
    controller: str = "mppi",
    labels: bool = True,
    clusters: int = 8,
    prototypes: int = PROTOTYPES,
    latent: int = 8,
    dwell: int = 5,
    action_repeat: int = 1,
    physics: str = "dm_control",
) -> Trace:
    """A trace in which frame t of every array tells t.

    The label moves on every `dwell` frames, the reward of frame t is t / 100, and the height
    t / 1000 m; the body stands upright and glides forward, one centimetre a control step, from
    10 m for each earlier episode. The foot touches the floor in every other dwell, the calf in
    every fourth.
    """
    rng = np.random.default_rng(0)
    shape = episodes, frames
    t = np.broadcast_to(np.arange(frames), shape)
    beat = t // dwell
    dt = 0.02 * action_repeat
    time = t * dt
    qpos = np.zeros((*shape, 7))
    qpos[..., 0] = 0.5 * time + 10 * np.arange(episodes)[:, None]
    qvel = np.zeros((*shape, 7))
    qvel[..., 0] = 0.5
    contacts = np.zeros((*shape, len(GEOMS)), bool)
    contacts[..., GEOMS.index("foot")] = beat % 2 == 0
    contacts[..., GEOMS.index("calf")] = beat % 4 == 0
    prototype = (beat % prototypes).astype(np.int32)
    label = (beat % clusters).astype(np.int32)
    soft = rng.random((*shape, prototypes), np.float32)
    none = np.full(shape, -1, np.int32)
    header = {
        "schema_version": SCHEMA_VERSION,
        "checkpoint": {"name": "clock", "sha256": "0" * 64, "format": "native"},
        "agent": {},
        "controller": controller,
        "planner": {},
        "env": {
            "task": "hopper-hop",
            "physics": physics,
            "action_repeat": action_repeat,
            "episode_steps": frames,
            "control_dt_s": 0.02,
        },
        "seed": 0,
        "reset_seeds": list(range(episodes)),
        "label_rule": "nearest-prototype",
        "labels_from": "glass" if labels else "none",
        "tau": 1.0 if labels else None,
        "geoms": GEOMS,
        "bodies": BODIES,
        "assumptions": [],
        "versions": {},
        "device": "cpu",
    }
    return Trace(
        header=header,
        time=time,
        qpos=qpos,
        qvel=qvel,
        obs=np.zeros((*shape, 15), np.float32),
        latent=rng.random((*shape, latent), np.float32),
        soft_assignment=soft / soft.sum(-1, keepdims=True) if labels else soft[..., :0],
        prototype=prototype if labels else none,
        label=label if labels else none,
        action=np.zeros((*shape, 4), np.float32),
        policy_action=np.zeros((*shape, 4), np.float32),
        value=np.zeros(shape, np.float32),
        value_spread=np.zeros(shape, np.float32),
        reward=t / 100.0,
        height=t / 1000.0,
        speed=np.full(shape, 0.5),
        angles=np.zeros((*shape, len(BODIES))),
        contacts=contacts,
        touch=np.zeros((*shape, 2)),
    )


def walked(
    walks: np.ndarray,
    cluster: Sequence[int],
    *,
    clusters: int = 8,
    name: str = "walker",
    controller: str = "pi",
    fitted: bool = False,
) -> Trace:
    """A trace whose prototype goes as `walks` says, and whose label is the prototype's cluster.

    The body bobs, so that labels have names of more than one gait phase.
    """
    walks, cluster = np.asarray(walks, np.int32), np.asarray(cluster)
    episodes, frames = walks.shape
    trace = clock_trace(episodes, frames, prototypes=len(cluster), controller=controller)
    s = 0.9 * np.eye(clusters)[cluster] + 0.1 / clusters
    header = trace.header | {
        "checkpoint": {"name": name, "sha256": name.encode().hex().ljust(64, "0"), "format": "x"},
        "partition": s.tolist(),
    }
    soft = trace.soft_assignment
    if fitted:
        header |= {"labels_from": "fitted", "tau": None, "fitted_labels": {"sha256": "f" * 64}}
        soft = soft[..., :0]
    height = 1 + 0.2 * np.sin(0.7 * walks)
    label = cluster[walks].astype(np.int32)
    return replace(
        trace,
        header=header,
        prototype=walks,
        label=label,
        soft_assignment=soft,
        height=height,
    )


def wandering(visited: int, clusters: int = 5, seed: int = 0, **how) -> Trace:
    """Three episodes between so many prototypes, mostly around a ring of them."""
    rng = np.random.default_rng(seed)
    ring = rng.permutation(PROTOTYPES)[:visited]
    place = np.cumsum(rng.choice([0, 1, 2], (3, 300), p=[0.7, 0.25, 0.05]), axis=1)
    jumps = rng.random((3, 300)) < 0.02
    place = np.where(jumps, rng.integers(0, visited, (3, 300)), place)
    cluster = np.arange(PROTOTYPES) % clusters
    return walked(ring[place % visited], cluster, clusters=max(clusters, 8), **how)
