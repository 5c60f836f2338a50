"""Runs with latents that lie where the labels say, for labels to be fitted to."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from glassviz.trace import ARRAYS, Trace
from tests.helpers.synthetic import GaitPlan, synthesise

HOP = GaitPlan(jitter_cv=0.03, frames=500)
STILL = GaitPlan(opening_s=1000.0, frames=500)
LATENT = 12


def run(
    *plans: GaitPlan,
    name: str = "hopper",
    sha256: str = "ab" * 32,
    controller: str = "mppi",
    learned: Sequence[int] | None = None,
    noise: float = 0.05,
) -> Trace:
    """One episode a plan; latents near one of eight places, by the planted label.

    Args:
        learned: label that the agent gives to each of the planted ones; None: it has no Glass.
    """
    own = [synthesise(plan, np.random.default_rng(i)) for i, plan in enumerate(plans)]
    traces = [each.trace() for each in own]
    arrays = {each: np.concatenate([getattr(t, each) for t in traces]) for each in ARRAYS}
    planted = arrays["label"]
    rng = np.random.default_rng(len(name))
    places = np.random.default_rng(1).normal(size=(8, LATENT))
    latent = places[planted] + noise * rng.normal(size=(*planted.shape, LATENT))
    arrays["latent"] = latent.astype(np.float32)
    label = np.full_like(planted, -1) if learned is None else np.array(learned, np.int32)[planted]
    arrays |= {"label": label, "prototype": label}
    header = traces[0].header | {
        "checkpoint": {"name": name, "sha256": sha256, "format": "synthetic"},
        "controller": controller,
        "reset_seeds": list(range(len(plans))),
        "labels_from": "none" if learned is None else "glass",
        "tau": None if learned is None else 0.7,
    }
    return Trace(header=header, **arrays)


def with_latent(trace: Trace, value: float) -> Trace:
    """The same with all latents alike, as those of an agent that lies still."""
    return replace(trace, latent=np.full_like(trace.latent, value))
