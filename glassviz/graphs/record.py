"""A graph as plain containers, as a network for other programs, and as files of five kinds."""

import dataclasses
import json
import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from glassviz.analysis.transitions import dominant_cycle
from glassviz.errors import UsageError
from glassviz.files import refuse_existing, replacing
from glassviz.graphs.difference import FluxDifference
from glassviz.graphs.run_graph import RunGraph
from glassviz.graphs.wording import convention

if TYPE_CHECKING:
    import networkx as nx

    from glassviz.plots.transition_graph import Width

FIGURES = (".png", ".svg", ".pdf")
FORMATS = (*FIGURES, ".graphml", ".json")

SCHEMA_VERSION = 1


def check_format(path: Path) -> None:
    """Refuse a file of another kind than `FORMATS`.

    Raises:
        UsageError: its name ends otherwise.
    """
    if path.suffix.lower() not in FORMATS:
        raise UsageError(f"{path}: expected a name that ends in {', '.join(FORMATS)}")


def save(
    graph: RunGraph | FluxDifference,
    path: Path,
    overwrite: bool = False,
    width: "Width" = "column",
) -> None:
    """Write a graph, or how two differ, to a file of the kind that its name ends in.

    Whole or not at all; equal graphs give equal files.

    Args:
        graph: what to write.
        path: of the file.
        overwrite: whether it may replace one.
        width: of a figure.

    Raises:
        UsageError: the name ends otherwise than `FORMATS`.
        GlassvizError: there is a file already, or it cannot be written.
    """
    check_format(path)
    refuse_existing(path, overwrite)
    ending = path.suffix.lower()
    if ending in FIGURES:
        from glassviz.plots import figure

        figure.save(_drawn(graph, width), path, overwrite, text_as_paths=True)
        return
    if ending == ".json":
        text = as_json(graph) + "\n"
    else:
        import networkx as nx

        text = "\n".join(nx.generate_graphml(to_networkx(graph))) + "\n"
    with replacing(path) as partial:
        partial.write_text(text, encoding="utf-8", newline="")


def _drawn(graph: RunGraph | FluxDifference, width: "Width") -> Any:
    from glassviz.graphs.difference_drawing import difference_figure_of
    from glassviz.graphs.drawing import figure_of
    from glassviz.plots.flux_difference import flux_difference
    from glassviz.plots.transition_graph import transition_graph

    if isinstance(graph, FluxDifference):
        return flux_difference(difference_figure_of(graph, width), width)
    return transition_graph(figure_of(graph), width)


def as_json(graph: RunGraph | FluxDifference) -> str:
    """Everything as JSON, which `networkx.node_link_graph(..., edges="edges")` reads as well."""
    return json.dumps(to_dict(graph), indent=2, ensure_ascii=False, allow_nan=False)


def to_dict(graph: RunGraph | FluxDifference) -> dict[str, Any]:
    """A graph as plain containers: nodes and edges, and under `graph` all that is known of it."""
    network = to_networkx(graph)
    return {
        "schema_version": SCHEMA_VERSION,
        "directed": True,
        "multigraph": False,
        "graph": _everything(graph),
        "nodes": [{"id": key} | values for key, values in network.nodes(data=True)],
        "edges": [
            {"source": source, "target": target} | values
            for source, target, values in network.edges(data=True)
        ],
    }


def _everything(graph: RunGraph | FluxDifference) -> dict[str, Any]:
    if isinstance(graph, FluxDifference):
        return _plain(graph)
    from glassviz.graphs.drawing import drawing_of
    from glassviz.graphs.wording import caption

    found = _plain(graph)
    for name in ("flow", "train"):
        partition = getattr(graph.stats, name)
        if partition:
            found["stats"][name]["told"] = convention(partition)
    cluster = graph.cluster.tolist()
    return found | {
        "cluster": cluster,
        "frames": graph.frames,
        "caption": caption(graph),
        "drawing": _plain(drawing_of(graph)),
    }


def to_networkx(graph: RunGraph | FluxDifference) -> "nx.DiGraph":
    """A directed graph with all numbers of its nodes and edges as attributes.

    Of a run: a node a prototype, an edge a transition of the graph's mode, with its count, the
    probability P, the flux F (share of all steps) and the weight that it has in that mode.
    """
    import networkx as nx

    network = nx.DiGraph()
    if isinstance(graph, FluxDifference):
        _add_difference(network, graph)
        return network
    prototypes, chain = graph.stats.prototypes, graph.stats.prototypes.chain
    network.graph |= {
        "run": graph.run,
        "controller": graph.controller,
        "mode": graph.mode,
        "checkpoint_sha256": graph.checkpoint_sha256,
        "structural_entropy": convention(graph.stats.flow),
        "h1_bits": graph.stats.flow.entropy.h1_bits,
        "h2_bits": graph.stats.flow.entropy.h2_bits,
    }
    named = {each.label: each.name for each in graph.names}
    main = dominant_cycle(prototypes.cycles)
    steps = set(_steps(main.states)) if main else set()
    for i, k in enumerate(graph.cluster.tolist()):
        network.add_node(
            i,
            cluster=k,
            name=named.get(k, ""),
            frames=int(prototypes.frames[i]),
            share=float(prototypes.occupancy[i]),
            stationary=float(prototypes.stationary[i]),
            self_transitions=int(prototypes.counts[i, i]),
        )
    for i, j in np.argwhere(chain.counts > 0).tolist():
        network.add_edge(
            i,
            j,
            count=int(prototypes.counts[i, j]),
            probability=float(chain.p[i, j]),
            flux=float(chain.flow[i, j]),
            weight=float(chain.weights[i, j]),
            dominant=(i, j) in steps,
        )
    return network


def _add_difference(network: "nx.DiGraph", found: FluxDifference) -> None:
    network.graph |= {
        "one": found.one,
        "other": found.other,
        "mode": found.mode,
        "level": found.level,
        "matched_by": found.matched_by,
    }
    for i, state in enumerate(found.states):
        known = {name: getattr(state, name) for name in ("one", "other", "similarity")}
        network.add_node(i, **{k: v for k, v in known.items() if v is not None})
    either = (found.one_flux > 0) | (found.other_flux > 0)
    for i, j in np.argwhere(either).tolist():
        network.add_edge(
            i,
            j,
            one=float(found.one_flux[i, j]),
            other=float(found.other_flux[i, j]),
            difference=float(found.difference[i, j]),
        )


def _steps(states: tuple[int, ...]) -> list[tuple[int, int]]:
    return list(zip(states, states[1:] + states[:1], strict=True))


def _plain(value: Any) -> Any:
    """Dataclasses, arrays and tuples as dictionaries and lists; what is not finite as None."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {f.name: _plain(getattr(value, f.name)) for f in dataclasses.fields(value)}
    if isinstance(value, np.ndarray):
        return _plain(value.tolist())
    if isinstance(value, dict):
        return {str(key): _plain(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(each) for each in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value
