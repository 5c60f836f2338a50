"""Runs with planted gaits, labels and returns, on disk and assessed, for runs to be compared."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from glassviz.rollout.run import Run
from glassviz.trace import ARRAYS, Trace
from tests.helpers.synthetic import GaitPlan, synthesise

HOP = GaitPlan(frames=300, jitter_cv=0.03)
UNLOCKED = replace(HOP, locking=0.0)
STILL = GaitPlan(frames=300, opening_s=1000.0)
KNEE = GaitPlan(frames=300, support="knee", period_s=1.0)


def sha(name: str) -> str:
    """A hash for a checkpoint of this name."""
    return name.encode().hex().ljust(64, "0")[:64]


def trace_of(
    name: str,
    plans: Sequence[GaitPlan],
    *,
    controller: str = "mppi",
    returns: Sequence[float] | float = 0.0,
    labels: bool = True,
    env: dict[str, Any] | None = None,
) -> Trace:
    """A trace with one episode a plan, whose rewards sum up to `returns`."""
    seeds = [hash_of(name, i) for i in range(len(plans))]
    own = [
        synthesise(p, np.random.default_rng(s)).trace() for p, s in zip(plans, seeds, strict=True)
    ]
    header = own[0].header | {
        "checkpoint": {"name": name, "sha256": sha(name), "format": "synthetic"},
        "controller": controller,
        "reset_seeds": list(range(len(plans))),
        "labels_from": "glass" if labels else "none",
    }
    header["env"] = header["env"] | (env or {})
    arrays = {each: np.concatenate([getattr(t, each) for t in own]) for each in ARRAYS}
    earned = np.broadcast_to(np.asarray(returns, dtype=np.float64), (len(plans),))
    frames = arrays["reward"].shape[1]
    arrays["reward"] = np.repeat(earned[:, None] / frames, frames, axis=1)
    if not labels:
        arrays |= {each: np.full_like(arrays[each], -1) for each in ("label", "prototype")}
    return Trace(header=header, **arrays)


def hash_of(name: str, episode: int) -> int:
    """A seed that is the same in every process."""
    return int(sha(name)[:12], 16) + episode


def assessed(folder: Path, trace: Trace, name: str | None = None) -> Run:
    """The run of a trace that is saved in `folder`."""
    told = name or trace.header["checkpoint"]["name"]
    path = folder / f"{told}-{trace.header['controller']}.npz"
    trace.save(path)
    return Run.of(trace, path, told)
