"""The transition graph of one run: one checkpoint under one controller."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64, Int

from glassviz.analysis.graph_stats import GraphStats, Walks, graph_stats
from glassviz.analysis.naming import LabelName, name_labels
from glassviz.analysis.transitions import Mode
from glassviz.checkpoints.wording import printable
from glassviz.errors import GlassvizError
from glassviz.gait.gait import Gait, describe
from glassviz.stability.episode import phases_of
from glassviz.trace import Trace


@dataclass(frozen=True, eq=False)
class RunGraph:
    """The transitions of one run, pooled over its episodes after their openings.

    Attributes:
        run: what tables call it.
        checkpoint, checkpoint_sha256: whose run it is.
        controller: who acted.
        trace_sha256: of the trace.
        labels_from: `glass` or `fitted`.
        labels_sha256: of the file of fitted labels; None for learned ones.
        label_rule: how a latent got its label.
        tau: temperature of the soft assignments; None for fitted labels.
        frame_dt_s: seconds between frames.
        episodes: how many were pooled.
        mode: of the graph.
        partition: S.
        names: what the labels stand for.
        stats: all numbers.
    """

    run: str
    checkpoint: str
    checkpoint_sha256: str
    controller: str
    trace_sha256: str
    labels_from: str
    labels_sha256: str | None
    label_rule: str
    tau: float | None
    frame_dt_s: float
    episodes: int
    mode: Mode
    partition: Float64[np.ndarray, "prototypes clusters"]
    names: tuple[LabelName, ...]
    stats: GraphStats

    @property
    def cluster(self) -> Int[np.ndarray, " prototypes"]:
        """Cluster of each prototype: the one that most of it belongs to."""
        return self.partition.argmax(axis=1)

    @property
    def frames(self) -> int:
        """How many frames there are, without openings."""
        return int(self.stats.prototypes.frames.sum())


def run_graph(trace: Trace, mode: Mode = "jump", name: str | None = None) -> RunGraph:
    """Describe the transitions of a trace; the same trace always gives the same.

    Args:
        trace: with labels, learned or fitted.
        mode: of the graph.
        name: what tables call the run; its checkpoint's by default.

    Raises:
        GlassvizError: the trace has no labels or, for `soft-train`, no soft assignments; it is
            from before partitions were recorded; or its gait cannot be described.
    """
    partition = _partition(trace, mode)
    gaits = [describe(trace, episode) for episode in range(trace.episodes)]
    own = walks(trace, gaits)
    phases = np.concatenate([phases_of(trace, i, gait) for i, gait in enumerate(gaits)])
    checkpoint = trace.header["checkpoint"]
    return RunGraph(
        run=name or checkpoint["name"],
        checkpoint=checkpoint["name"],
        checkpoint_sha256=checkpoint["sha256"],
        controller=trace.header["controller"],
        trace_sha256=trace.sha256,
        labels_from=trace.header["labels_from"],
        labels_sha256=trace.labels_sha256,
        label_rule=trace.header["label_rule"],
        tau=trace.header["tau"],
        frame_dt_s=trace.frame_dt_s,
        episodes=trace.episodes,
        mode=mode,
        partition=partition,
        names=name_labels(own.label.reshape(-1), phases, partition.shape[1]),
        stats=graph_stats(
            own,
            partition,
            mode,
            trace.frame_dt_s,
            np.random.default_rng(int(trace.sha256[:16], 16)),
        ),
    )


def walks(trace: Trace, gaits: list[Gait]) -> Walks:
    """Where the episodes of a trace were, after their openings."""
    after = np.arange(trace.frames) >= np.array([gait.opening_end for gait in gaits])[:, None]
    soft = trace.soft_assignment
    return Walks(
        prototype=np.where(after, trace.prototype.astype(np.int64), -1),
        label=np.where(after, trace.label.astype(np.int64), -1),
        soft=soft if soft.shape[2] else None,
    )


def _partition(trace: Trace, mode: Mode) -> Float64[np.ndarray, "prototypes clusters"]:
    """S of a trace that a graph of this mode can be made of."""
    name = printable(trace.header["checkpoint"]["name"])
    if not trace.has_labels:
        raise GlassvizError(
            f"{name}: expected labels, found an agent without Glass: fit some with `glassviz fit` "
            f"and ask for them with `--labels fitted`"
        )
    if trace.partition is None:
        raise GlassvizError(
            f"{name}: expected a trace with the clusters of its prototypes, found one from before "
            f"they were recorded: delete it and record it again"
        )
    if mode == "soft-train" and not trace.soft_assignment.shape[2]:
        raise GlassvizError(
            f"{name}: expected soft assignments for the mode soft-train, found fitted labels, "
            f"which have none: choose frame, jump or flow"
        )
    return trace.partition
