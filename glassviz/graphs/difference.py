"""How the traffic of two runs differs, state by state, once their labels are matched."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from jaxtyping import Float64, Int

from glassviz.analysis.graph_stats import States, Walks
from glassviz.analysis.transitions import Mode, markov_chain, transition_counts
from glassviz.errors import UsageError
from glassviz.graphs.matching import MatchedBy, Source, match, same_labels
from glassviz.graphs.run_graph import RunGraph, walks

REPLICATES = 999

Flux = Float64[np.ndarray, "states states"]
PerEpisode = Float64[np.ndarray, "_ states states"]
"""Counts of each episode."""


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
        graphs: of the two.
        one, other: what they are called.
        mode: of the chains.
        level: whether the states are prototypes, of one checkpoint, or labels.
        matched_by: how their states were matched.
        states: all that either visits, in order of the matrices.
        one_flux, other_flux: share of all steps on each transition.
        one_share, other_share: of the frames that each state has.
        distance: ½ Σ |other − one| of the fluxes, in [0, 1]; None without a transition in either.
        null_distance: its mean when the episodes of both are dealt out anew.
        p: (1 + #{null >= distance})/(B + 1). About these episodes of these two runs, not about
            other seeds.
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


def flux_difference(one: Source, other: Source, replicates: int = REPLICATES) -> FluxDifference:
    """Hold the graphs of two runs against each other.

    Runs of one checkpoint are compared by prototypes, others by their matched labels.

    Args:
        one, other: of one mode: `frame`, `jump` or `flow`.
        replicates: B.

    Raises:
        UsageError: the mode is `soft-train`, whose graph has no direction.
        GlassvizError: the labels cannot be matched.
    """
    mode = one.graph.mode
    if mode == "soft-train":
        raise UsageError("--compare: expected mode frame, jump or flow, found soft-train")
    paths = walks(one.trace, one.gaits), walks(other.trace, other.gaits)
    level: Literal["prototype", "label"] = "label"
    by: MatchedBy = "checkpoint"
    if same_labels(one.graph, other.graph):
        level = "prototype"
        states = tuple(MatchedState(i, i, 1.0) for i in range(len(one.graph.partition)))
    else:
        matching, by = match(one, other)
        states = _matched(paths, matching.partner.tolist(), matching.similarity.tolist())
    own = [each.prototype if level == "prototype" else each.label for each in paths]
    places = [state.one for state in states], [state.other for state in states]
    counts = [_counts(walk, place) for walk, place in zip(own, places, strict=True)]
    a, b = (markov_chain(each.sum(axis=0), mode).flow for each in counts)
    rng = np.random.default_rng(int(one.graph.trace_sha256[:16], 16))
    distance, null, p = flux_distance(counts[0], counts[1], mode, rng, replicates)
    return FluxDifference(
        graphs=(one.graph, other.graph),
        one=f"{one.graph.run}, {one.graph.controller}",
        other=f"{other.graph.run}, {other.graph.controller}",
        mode=mode,
        level=level,
        matched_by=by,
        states=states,
        one_flux=a,
        other_flux=b,
        one_share=_shares(own[0], places[0]),
        other_share=_shares(own[1], places[1]),
        distance=distance,
        null_distance=null,
        p=p,
    )


def _matched(
    paths: tuple[Walks, Walks], partner: Sequence[int], similarity: Sequence[float]
) -> tuple[MatchedState, ...]:
    """Labels that either run visits: matched ones by number, then those that only one has."""
    visited = [set(np.unique(path.label[path.label >= 0]).tolist()) for path in paths]
    states = []
    for i, (j, alike) in enumerate(zip(partner, similarity, strict=True)):
        if j >= 0 and (i in visited[0] or j in visited[1]):
            states.append(MatchedState(i, j, alike))
        elif j < 0 and i in visited[0]:
            states.append(MatchedState(i, None, None))
    taken = {state.other for state in states}
    alone = sorted(visited[1] - taken)
    return (*states, *(MatchedState(None, j, None) for j in alone))


def _numbers(places: Sequence[int | None], count: int) -> Int[np.ndarray, " numbers"]:
    """From a run's numbers to those of the matrices; −1: none, as for frames left out."""
    number = np.full(count + 1, -1)
    for i, place in enumerate(places):
        if place is not None:
            number[place] = i
    return number


def _moved(states: States, places: Sequence[int | None]) -> States:
    highest = max([int(states.max(initial=-1)), *(p for p in places if p is not None)])
    return _numbers(places, highest + 1)[states]


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
    """½ Σ |F' − F| of two runs, and how far they would be apart by their episodes alone.

    Args:
        one, other: transition counts of each of their episodes.
        mode: of the chains.
        rng: deals all episodes out anew between the two.
        replicates: B.

    Returns:
        The distance, its mean over the null, and p; None if a run has no transition.
    """
    every, size = np.concatenate([one, other]), len(one)
    if not all(markov_chain(each.sum(axis=0), mode).connected.any() for each in (one, other)):
        return None, None, None

    def distance(order: Int[np.ndarray, " episodes"]) -> float:
        a, b = (markov_chain(every[own].sum(axis=0), mode).flow for own in np.split(order, [size]))
        return float(np.abs(a - b).sum() / 2)

    own = distance(np.arange(len(every)))
    null = np.array([distance(rng.permutation(len(every))) for _ in range(replicates)])
    return own, float(null.mean()), float((1 + (null >= own - 1e-12).sum()) / (replicates + 1))
