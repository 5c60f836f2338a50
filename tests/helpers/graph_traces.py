"""Traces whose prototypes walk as they are told to, for graphs to be made of."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from glassviz.trace import Trace
from tests.helpers.traces import clock_trace

PROTOTYPES = 16


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
