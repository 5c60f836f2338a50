"""What figures and tables say about a graph."""

from collections.abc import Sequence

from glassviz.analysis.graph_stats import CONVENTIONS, PartitionStats
from glassviz.analysis.transitions import Cycle, Mode, dominant_cycle
from glassviz.checkpoints.wording import printable
from glassviz.graphs.run_graph import RunGraph
from glassviz.plots.graph_drawing import percent

NONE = "–"

LONGEST = 10
"""States of a cycle that are told, its return to the first included."""

MODES: dict[Mode, str] = {
    "frame": "frame: every frame leads to the next one, self-transitions kept",
    "jump": "jump: self-transitions dropped",
    "soft-train": "soft-train: the graph that Glass is trained on, from soft assignments, "
    "unweighted by visits",
    "flow": "flow: share of the time on each transition, π_i P_ij",
}
"""Of the figure's caption."""


def title_of(graph: RunGraph) -> str:
    """Whose graph it is."""
    fitted = ", fitted labels" if graph.labels_from == "fitted" else ""
    return f"{printable(graph.run, limit=44)}, {graph.controller}{fitted}"


def told_cycle(cycle: Cycle) -> str:
    """A cycle as its states, 3→4→3; of a long one how many there are."""
    states = [*cycle.states, cycle.states[0]]
    if len(states) <= LONGEST:
        return "→".join(map(str, states))
    return "→".join(map(str, states[: LONGEST - 3])) + f"→… (of {len(cycle.states)})"


def main_cycle(cycles: Sequence[Cycle]) -> str | None:
    """The dominant cycle, its share of the switches, how often it was completed; None without."""
    cycle = dominant_cycle(cycles)
    if cycle is None:
        return None
    return f"{told_cycle(cycle)}: {percent(cycle.share)} of the switches, {cycle.count:,} times"


def hull_names(graph: RunGraph) -> dict[int, tuple[str, ...]]:
    """Of each cluster that has prototypes: label and gait phase, and how much of the time it is.

    That is the label's share, which under the rule `soft` is not that of the cluster's prototypes.
    """
    named = {each.label: each.name for each in graph.names}
    found: dict[int, tuple[str, ...]] = {}
    for k in sorted(set(graph.cluster.tolist())):
        own = float(graph.stats.labels.occupancy[k])
        found[k] = (
            (f"{k} {named.get(k, '')}".strip(), f"{percent(own)} of frames") if own else (str(k),)
        )
    return found


def caption(graph: RunGraph) -> str:
    """Below the figure: mode, convention, what was counted, and what came of it."""
    stats = graph.stats
    cycle = dominant_cycle(stats.labels.cycles)
    labels = "fitted" if graph.labels_from == "fitted" else "learned"
    steps = (
        f"{graph.episodes} episodes after their openings, {graph.frames:,} frames, "
        f"{stats.prototypes.switches:,} switches between prototypes"
    )
    sentences = [
        f"Mode {MODES[graph.mode]}.",
        "Circles: prototypes by number, in hulls of their clusters; "
        f"labels are {labels}, with the phase of the gait that they live in.",
        f"{steps}.",
    ]
    if cycle:
        share = percent(cycle.share)
        sentences.append(
            f"Between labels, {told_cycle(cycle)} carries {share} of the switches, completed "
            f"{cycle.count:,} times."
        )
    elif stats.labels.switches:
        sentences.append("Between labels, no cycle is dominant.")
    if graph.tau is not None and graph.mode == "soft-train":
        sentences.append(f"Temperature τ = {graph.tau:g}.")
    sentences.append(f"{structure(shown_partition(graph))}.")
    return " ".join(sentences)


def shown_partition(graph: RunGraph) -> PartitionStats:
    """The partition by the convention of the mode."""
    train = graph.stats.train if graph.mode == "soft-train" else None
    return train or graph.stats.flow


def structure(found: PartitionStats) -> str:
    """What a partition tells about a graph, with its convention."""
    entropy = found.entropy
    told = f"({convention(found)})"
    if entropy.gap is None:
        return f"No transition between prototypes, and so no structural entropy {told}"
    null = 1 - entropy.null_h2_bits / entropy.h1_bits
    gaps = (entropy.gap, null, found.best_gap or 0.0)
    gap, chance, best = (f"{each:z.1%}".replace("%", " %") for each in gaps)
    h1, h2 = (f"{each:.2f}" for each in (entropy.h1_bits, entropy.h2_bits))
    return (
        f"H¹\u00a0{h1} bits, H²\u00a0{h2}: gap {gap}, by chance {chance}, best found {best} {told}"
    )


def convention(found: PartitionStats) -> str:
    """Of structural entropy."""
    return f"{CONVENTIONS[found.convention]}, all edges kept"
