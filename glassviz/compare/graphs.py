"""Transition graphs of runs, and where two of them differ."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from typing import TYPE_CHECKING, Literal

import numpy as np
from jaxtyping import Float64, Int

from glassviz.compare.matching import MatchedBy, match_labels
from glassviz.errors import GlassvizError, UsageError
from glassviz.files import StrPath
from glassviz.gait.gait import Gait
from glassviz.metrics.agreement import Matching
from glassviz.metrics.labels import LabelName
from glassviz.metrics.stability import describe_gaits, label_names
from glassviz.metrics.transitions import (
    GraphStats,
    Mode,
    States,
    Walks,
    graph_stats,
    markov_chain,
    transition_counts,
)
from glassviz.rollout.batch import NOBODY, Failed, Listener, each_once, file_stem, for_each
from glassviz.rollout.remaining import counting_sizes
from glassviz.rollout.run import LEARNED, Run, with_distinct_names
from glassviz.text import printable
from glassviz.trace import Trace

if TYPE_CHECKING:
    from glassviz.rollout.traces import RolloutOptions


Order = Literal["cycle", "share", "number"]
"""Of labels and prototypes: by the gait cycle, by number of frames, or by number."""


@dataclass(frozen=True, eq=False, repr=False)
class RunGraph:
    """The transitions of one run, pooled over its episodes after their openings.

    Attributes:
        labels_from: `glass` or `fitted`.
        labels_sha256: of the file of fitted labels; None for learned ones.
        tau: temperature of the soft assignments; None for fitted labels.
        order: of labels and prototypes in figures.
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
    order: Order = "cycle"

    def __repr__(self) -> str:
        return f"RunGraph({self.run!r}, {self.controller}, {self.mode}, {self.frames} frames)"

    @property
    def cluster(self) -> Int[np.ndarray, " prototypes"]:
        """Cluster of each prototype: the one that most of it belongs to."""
        return self.partition.argmax(axis=1)

    @property
    def frames(self) -> int:
        """How many frames there are, without openings."""
        return int(self.stats.prototypes.frames.sum())


def run_graph(
    trace: Trace,
    mode: Mode = "jump",
    name: str | None = None,
    gaits: Sequence[Gait] | None = None,
    given: Mapping[int, str] | None = None,
) -> RunGraph:
    """Describe the transitions of a trace; the same trace always gives the same.

    `name` of the run, `gaits` of the episodes and `given` names of labels where they are known.

    Raises:
        GlassvizError: the trace has no labels or, for `soft-train`, no soft assignments; it is
            from before partitions were recorded; or its gait cannot be described.
    """
    partition = _partition(trace, mode)
    gaits = gaits or describe_gaits(trace)
    own = walks(trace, gaits)
    header = trace.header
    checkpoint = header["checkpoint"]
    rng = np.random.default_rng(int(trace.sha256[:16], 16))
    return RunGraph(
        run=name or checkpoint["name"],
        checkpoint=checkpoint["name"],
        checkpoint_sha256=checkpoint["sha256"],
        controller=header["controller"],
        trace_sha256=trace.sha256,
        labels_from=header["labels_from"],
        labels_sha256=trace.labels_sha256,
        label_rule=header["label_rule"],
        tau=header["tau"],
        frame_dt_s=trace.frame_dt_s,
        episodes=trace.episodes,
        mode=mode,
        partition=partition,
        names=label_names(trace, gaits, given),
        stats=graph_stats(own, partition, mode, trace.frame_dt_s, rng),
    )


def walks(trace: Trace, gaits: Sequence[Gait]) -> Walks:
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


@dataclass(frozen=True, eq=False)
class Graphed:
    """A run with its transition graph."""

    run: Run
    graph: RunGraph

    @property
    def file_stem(self) -> str:
        """A name for its file, unique where the run's name and controller are."""
        return file_stem(self.graph.run, self.graph.controller, self.graph.mode)


def graph_all(
    arguments: StrPath | Sequence[StrPath],
    options: "RolloutOptions",
    mode: Mode = "jump",
    folder: StrPath | None = None,
    labels: str = LEARNED,
    listener: Listener = NOBODY,
    order: Order = "cycle",
) -> list[Graphed | Failed]:
    """Graphs of runs, one per checkpoint and controller; one that fails does not stop the others.

    The arguments are those of `traces.find_runs`. Graphs come in their order, then that of
    controllers; what failed comes last.

    Raises:
        GlassvizError: no run can have such labels.
    """
    from glassviz.rollout.traces import find_runs

    def graphed(run: Run) -> Graphed:
        graph = run_graph(run.trace, mode, run.name, run.gaits, run.given_labels)
        return Graphed(run, replace(graph, order=order))

    runs = with_distinct_names(find_runs(arguments, options, folder, labels, listener))
    sizes = [run.frames for run in runs if isinstance(run, Run)]
    rows = each_once(for_each(runs, graphed, Run.failed, counting_sizes(sizes, listener)))
    return sorted(rows, key=lambda row: isinstance(row, Failed))


REPLICATES = 999
Flux = Float64[np.ndarray, "states states"]

PerEpisode = Float64[np.ndarray, "_ states states"]


@dataclass(frozen=True)
class MatchedState:
    """A state of the runs that are compared.

    Attributes:
        one, other: its number in each; None where it has no counterpart.
        similarity: of the two, as for `Matching`; 1 if they are the same, None without match.
    """

    one: int | None
    other: int | None
    similarity: float | None


@dataclass(frozen=True, eq=False)
class FluxDifference:
    """Where the traffic of two runs differs.

    Attributes:
        level: whether the states are prototypes, of one checkpoint, or labels.
        states: all that either visits, in order of the matrices.
        one_flux, other_flux: share of all steps on each transition.
        one_share, other_share: of the frames that each state has.
        distance: ½ Σ |other − one| of the fluxes, in [0, 1]; None without a transition in either.
        null_distance: its mean when the episodes of both are dealt out anew.
        p: (1 + #{null >= distance})/(B + 1); about these episodes, not about other seeds.
    """

    graphs: tuple[RunGraph, RunGraph]
    one: str
    other: str
    mode: Mode
    level: Literal["prototype", "label"]
    matched_by: MatchedBy
    states: tuple[MatchedState, ...]
    one_flux: Flux
    other_flux: Flux
    one_share: Float64[np.ndarray, " states"]
    other_share: Float64[np.ndarray, " states"]
    distance: float | None
    null_distance: float | None
    p: float | None

    @property
    def difference(self) -> Flux:
        """Flux of the other run less that of the one; sums to 0."""
        return self.other_flux - self.one_flux


def flux_difference(one: Graphed, other: Graphed, replicates: int = REPLICATES) -> FluxDifference:
    """Hold the graphs of two runs against each other.

    Runs of one checkpoint are compared by prototypes, others by their matched labels. Both have
    one mode: `frame`, `jump` or `flow`.

    Raises:
        UsageError: the mode is `soft-train`, whose graph has no direction.
        GlassvizError: the labels cannot be matched.
    """
    mode = one.graph.mode
    if mode == "soft-train":
        raise UsageError("--compare: expected mode frame, jump or flow, found soft-train")
    paths = walks(one.run.trace, one.run.gaits), walks(other.run.trace, other.run.gaits)
    match = match_labels([one.run, other.run]).between(one.run, other.run)
    if match is None:
        raise GlassvizError(
            f"--compare: expected two checkpoints, or traces whose labels live in the same phases "
            f"of one gait, found neither in {one.graph.run} and {other.graph.run}: give the "
            f"checkpoints instead of their traces"
        )
    if match.by is MatchedBy.CHECKPOINT:
        states = tuple(MatchedState(i, i, 1.0) for i in range(len(one.graph.partition)))
        own = [each.prototype for each in paths]
    else:
        states = _matched(paths, match.matching)
        own = [each.label for each in paths]
    places = [state.one for state in states], [state.other for state in states]
    counts = [_counts(walk, place) for walk, place in zip(own, places, strict=True)]
    a, b = (markov_chain(each.sum(axis=0), mode).flow for each in counts)
    rng = np.random.default_rng(int(one.graph.trace_sha256[:16], 16))
    distance, null_distance, p = flux_distance(counts[0], counts[1], mode, rng, replicates)
    return FluxDifference(
        graphs=(one.graph, other.graph),
        one=f"{one.graph.run}, {one.graph.controller}",
        other=f"{other.graph.run}, {other.graph.controller}",
        mode=mode,
        level="prototype" if match.by is MatchedBy.CHECKPOINT else "label",
        matched_by=match.by,
        states=states,
        one_flux=a,
        other_flux=b,
        one_share=_shares(own[0], places[0]),
        other_share=_shares(own[1], places[1]),
        distance=distance,
        null_distance=null_distance,
        p=p,
    )


def _matched(paths: tuple[Walks, Walks], matching: Matching) -> tuple[MatchedState, ...]:
    """Labels that either run visits: matched ones by number, then those that only one has."""
    visited = [set(np.unique(path.label[path.label >= 0]).tolist()) for path in paths]
    states = []
    pairs = zip(matching.partner.tolist(), matching.similarity.tolist(), strict=True)
    for i, (j, alike) in enumerate(pairs):
        if j >= 0 and (i in visited[0] or j in visited[1]):
            states.append(MatchedState(i, j, alike))
        elif j < 0 and i in visited[0]:
            states.append(MatchedState(i, None, None))
    alone = sorted(visited[1] - {state.other for state in states})
    return (*states, *(MatchedState(None, j, None) for j in alone))


def _moved(states: States, places: Sequence[int | None]) -> States:
    """From a run's numbers to those of the matrices; −1: none, as for frames left out."""
    highest = max([int(states.max(initial=-1)), *(p for p in places if p is not None)])
    number = np.full(highest + 2, -1)
    for i, place in enumerate(places):
        if place is not None:
            number[place] = i
    return number[states]


def _counts(states: States, places: Sequence[int | None]) -> PerEpisode:
    moved = _moved(states, places)
    return np.stack([transition_counts(row[None], len(places)) for row in moved])


def _shares(states: States, places: Sequence[int | None]) -> Float64[np.ndarray, " states"]:
    moved = _moved(states, places)
    count = np.bincount(moved[moved >= 0], minlength=len(places))
    return count / max(int(count.sum()), 1)


def flux_distance(
    one: PerEpisode,
    other: PerEpisode,
    mode: Mode,
    rng: np.random.Generator,
    replicates: int = REPLICATES,
) -> tuple[float | None, float | None, float | None]:
    """½ Σ |F' − F| of two runs, its mean over the null, and p; None if a run has no transition.

    `one` and `other` are transition counts by episode; `rng` deals all episodes out anew,
    B = `replicates` times.
    """
    every, size = np.concatenate([one, other]), len(one)
    if not all(markov_chain(each.sum(axis=0), mode).connected.any() for each in (one, other)):
        return None, None, None

    # A few episodes are dealt out in few ways, and their order within a run changes nothing.
    @cache
    def distance(dealt: frozenset[int]) -> float:
        first = np.isin(np.arange(len(every)), list(dealt))
        a, b = (markov_chain(every[run].sum(axis=0), mode).flow for run in (first, ~first))
        return float(np.abs(a - b).sum() / 2)

    own = distance(frozenset(range(size)))
    orders = (rng.permutation(len(every)) for _ in range(replicates))
    null = np.array([distance(frozenset(order[:size].tolist())) for order in orders])
    return own, float(null.mean()), float((1 + (null >= own - 1e-12).sum()) / (replicates + 1))
