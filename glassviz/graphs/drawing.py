"""From the graph of a run to what is drawn of it."""

from string import ascii_letters

import numpy as np
from jaxtyping import Float64

from glassviz.analysis.structural_entropy import symmetrised
from glassviz.analysis.transitions import dominant_cycle
from glassviz.graphs.run_graph import RunGraph
from glassviz.graphs.wording import caption, hull_names, main_cycle, shown_partition, title_of
from glassviz.plots.graph_drawing import Drawing, Look, draw_graph
from glassviz.plots.palette import label_color
from glassviz.plots.transition_graph import GraphFigure, Heat, Sign

Matrix = Float64[np.ndarray, "prototypes prototypes"]


def drawing_of(graph: RunGraph) -> Drawing:
    """Nodes, arrows and hulls with their places, as plain data.

    Places of nodes and hulls depend on the checkpoint's partition alone.
    """
    prototypes = graph.stats.prototypes
    directed = graph.mode != "soft-train"
    main = dominant_cycle(prototypes.cycles) if directed else None
    return draw_graph(
        Look(
            cluster=graph.cluster,
            share=prototypes.occupancy,
            traffic=_traffic(graph),
            stays=None if graph.mode == "jump" else np.diag(prototypes.chain.p),
            main=main.states if main else (),
            directed=directed,
            names=hull_names(graph),
        )
    )


def figure_of(graph: RunGraph) -> GraphFigure:
    """All that a figure shows."""
    cluster = graph.cluster
    return GraphFigure(
        title=title_of(graph),
        mode=f"mode {graph.mode}",
        drawing=drawing_of(graph),
        key=_key(graph),
        order=np.lexsort((np.arange(len(cluster)), cluster)),
        colors=tuple(label_color(k) for k in cluster.tolist()),
        cluster_colors=tuple(label_color(k) for k in range(graph.partition.shape[1])),
        p=_first(graph),
        a=_second(graph),
        s=Heat("S: prototype (column) in label (row)", graph.partition.T, 1.0, "1"),
        best=_letters(graph),
        caption=caption(graph),
    )


def _letters(graph: RunGraph) -> tuple[str, ...]:
    """A letter for every visited prototype: its cluster in the best partition that was found.

    They go by the alphabet in the order of the matrices; none without a transition.
    """
    best, cluster = shown_partition(graph).best, graph.cluster
    seen: dict[int, str] = {}
    found = [""] * len(best)
    if not graph.stats.prototypes.switches:
        return tuple(found)
    for i in np.lexsort((np.arange(len(cluster)), cluster)).tolist():
        if graph.stats.prototypes.frames[i]:
            found[i] = seen.setdefault(int(best[i]), ascii_letters[len(seen) % len(ascii_letters)])
    return tuple(found)


def _traffic(graph: RunGraph) -> Matrix:
    chain = graph.stats.prototypes.chain
    return chain.weights / chain.weights.sum() if graph.mode == "soft-train" else chain.flow


def _first(graph: RunGraph) -> Heat:
    chain = graph.stats.prototypes.chain
    if graph.mode == "flow":
        return _scaled("F: share of time, row to column", chain.flow)
    if graph.mode == "soft-train":
        return _scaled("P: soft, row to column", chain.p)
    return Heat("P: next, row to column", chain.p, 1.0, "1")


def _second(graph: RunGraph) -> Heat:
    """The graph that structural entropy is of."""
    chain = graph.stats.prototypes.chain
    if graph.mode == "soft-train":
        return _scaled("A = (P + Pᵀ)/2", chain.weights)
    both = symmetrised(chain.flow)
    both = both * (1 - np.eye(len(both)))
    return _scaled("A: switches, both ways", both / (both.sum() or 1.0))


def _scaled(title: str, values: Matrix) -> Heat:
    highest = float(values.max(initial=0))
    return Heat(title, values, highest, f"{highest:.2g}")


def _key(graph: RunGraph) -> tuple[tuple[Sign, str], ...]:
    main = main_cycle(graph.stats.prototypes.cycles)
    found: list[tuple[Sign, str]] = [
        ("visited", "prototype: area by its frames"),
        ("hollow", "prototype never visited"),
    ]
    if any(_letters(graph)):
        found.append(("best", "below S: one letter, one of the best clusters found"))
    if graph.mode == "soft-train":
        return (
            *found,
            ("ring", "dark part: weight of staying"),
            ("line", "A, both ways: width by weight"),
        )
    if graph.mode != "jump":
        found.append(("ring", "dark part: chance of staying for another frame"))
    if main:
        found.append(("main", f"dominant cycle {main}"))
    what = "switches" if graph.mode == "jump" else "frames"
    return (*found, ("arrow", f"switches: width and number by share of all {what}"))
