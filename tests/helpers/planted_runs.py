"""Runs whose gaits, labels, latents, prototypes and returns are known, as traces and assessed."""

import hashlib
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from glassviz.metrics.stability import RunStability
from glassviz.rollout.run import Run
from glassviz.trace import ARRAYS, Trace
from tests.helpers.synthetic_gait import GaitPlan, synthesise

HOP = GaitPlan(frames=500, jitter_cv=0.03)
UNLOCKED = replace(HOP, locking=0.0)
STILL = GaitPlan(frames=500, opening_s=1000.0)
KNEE = GaitPlan(frames=500, support="knee", period_s=1.0)

CLUSTERS, PROTOTYPES, LATENT = 8, 16, 12


def sha256_of(name: str) -> str:
    """The hash of a checkpoint of this name."""
    return hashlib.sha256(name.encode()).hexdigest()


def planted(
    *plans: GaitPlan,
    name: str = "planted",
    controller: str = "mppi",
    glass: bool = True,
    labels: Sequence[int] = range(CLUSTERS),
    returns: Sequence[float] | float | None = None,
    noise: float = 0.05,
    env: dict[str, Any] | None = None,
) -> Trace:
    """A run with one episode per plan.

    Args:
        glass: whether the agent has Glass, and the trace labels.
        labels: what the agent calls each planted label.
        returns: of the episodes; None: 0, 1, 2, …
        noise: standard deviation of the latents around one place per planted label.
        env: entries of the header's `env` to replace.
    """
    # The episodes of a run depend on its name, and do so alike in every process.
    seed = int(sha256_of(name)[:12], 16)
    episodes = [
        synthesise(plan, np.random.default_rng(seed + i)).trace() for i, plan in enumerate(plans)
    ]
    arrays = {each: np.concatenate([getattr(t, each) for t in episodes]) for each in ARRAYS}
    label, frames = arrays["label"], arrays["label"].shape[1]
    places = np.random.default_rng(1).normal(size=(CLUSTERS, LATENT))
    latent = np.random.default_rng(seed).normal(places[label], noise)
    returns = np.arange(len(plans)) if returns is None else returns
    returns = np.broadcast_to(np.asarray(returns, np.float64), (len(plans),))
    renamed = np.array(labels, np.int32)[label] if glass else np.full_like(label, -1)
    arrays |= {
        "latent": latent.astype(np.float32),
        "reward": np.repeat(returns[:, None] / frames, frames, axis=1),
        "label": renamed,
        "prototype": renamed,
    }
    header = episodes[0].header | {
        "checkpoint": {"name": name, "sha256": sha256_of(name), "format": "synthetic"},
        "controller": controller,
        "reset_seeds": list(range(len(plans))),
        "labels_from": "glass" if glass else "none",
        "tau": 0.7 if glass else None,
        "env": episodes[0].header["env"] | (env or {}),
    }
    return Trace(header=header, **arrays)


def with_soft(trace: Trace, tau: float = 0.1) -> Trace:
    """The trace with two prototypes per label, and soft assignments that follow them."""
    partition = np.repeat(np.eye(CLUSTERS), PROTOTYPES // CLUSTERS, axis=0) * 0.92 + 0.01
    prototype = trace.label * 2
    soft = np.exp((np.arange(PROTOTYPES) == prototype[..., None]) / tau)
    glass = {"clusters": CLUSTERS, "prototypes": PROTOTYPES}
    return replace(
        trace,
        header=trace.header
        | {"partition": partition.tolist(), "tau": tau, "agent": {"glass": glass}},
        prototype=prototype.astype(np.int32),
        soft_assignment=(soft / soft.sum(axis=-1, keepdims=True)).astype(np.float32),
    )


def with_latent(trace: Trace, value: float) -> Trace:
    """The trace with the same latent in all frames, as for an agent that lies still."""
    return replace(trace, latent=np.full_like(trace.latent, value))


def row(stability: RunStability, name: str = "run", path: Path | None = None) -> Run:
    """A run with a result, without a trace."""
    path = path or Path(f"{name}.npz")
    run = Run(path, path, name, stability.controller, stability.checkpoint_sha256)
    run.stability = stability
    return run


def assessed(folder: Path, trace: Trace, name: str | None = None) -> Run:
    """The run of a trace that is saved in `folder`."""
    name = name or trace.header["checkpoint"]["name"]
    path = folder / f"{name}-{trace.header['controller']}.npz"
    trace.save(path)
    return Run.of(trace, path, name)
