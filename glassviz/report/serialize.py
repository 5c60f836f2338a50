"""Results as plain containers for JSON, flat rows for CSV, GraphML."""

import csv
import dataclasses
import io
import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Int

from glassviz.compare.compare import Together
from glassviz.compare.correspondence import LabelPair
from glassviz.compare.graphs import FluxDifference, RunGraph
from glassviz.errors import UsageError
from glassviz.figures.transition_graph import convention
from glassviz.files import refuse_existing, replacing
from glassviz.gait.gait import Gait
from glassviz.gait.verdict import Criterion
from glassviz.metrics.labels import LabelStats
from glassviz.metrics.segments import Occupancy, Persistence
from glassviz.metrics.stability import EpisodeStability, RunStability
from glassviz.metrics.transitions import dominant_cycle
from glassviz.rollout.assess import Assessed
from glassviz.rollout.batch import Failed

if TYPE_CHECKING:
    import networkx as nx

    from glassviz.figures.graph_page import Width


_LEFT_OUT: dict[type, tuple[str, ...]] = {
    # As long as the episode, and in its trace.
    Gait: ("opening_end", "contacts", "cycles", "falls"),
    LabelStats: ("segments", "raster"),
    Persistence: ("lag_s", "agreement", "kappa", "auto_information_bits"),
}


_ADDED: dict[type, tuple[str, ...]] = {
    Criterion: ("margin", "met"),
    Occupancy: ("stuck",),
    Gait: (
        "duration_s",
        "flight_share",
        "fallen_share",
        "falls_per_minute",
        "longest_down_s",
        "hops_per_s",
        "detected_periods_s",
        "period_spread",
    ),
    RunStability: ("label_verdict",),
}
"""Properties that a reader would miss."""


STABILITY_FILES = ("stability.json", "runs.csv", "episodes.csv")
"""Files that `save` writes."""


def save_stability(rows: Sequence[Assessed | Failed], folder: Path, together: Any = None) -> None:
    """Write everything as JSON, a row a run and controller as CSV, and a row an episode.

    Args:
        rows: of `assess_all`.
        folder: where to.
        together: what the rows say together, as for `as_json`.

    Raises:
        GlassvizError: a file cannot be written.
    """
    texts = (
        stability_json(rows, together) + "\n",
        as_csv([run_row(row) for row in rows]),
        as_csv([episode for row in rows for episode in episode_rows(row)]),
    )
    for name, text in zip(STABILITY_FILES, texts, strict=True):
        with replacing(folder / name) as partial:
            partial.write_text(text, encoding="utf-8", newline="")


def stability_json(rows: Sequence[Assessed | Failed], together: Any = None) -> str:
    """One document: `runs`, a list with everything about every run, and `together`.

    Args:
        rows: of `assess_all`.
        together: what they say together: the result of a comparison, a dataclass; None if there
            is nothing to compare.
    """
    told = {"runs": [run_dict(row) for row in rows], "together": plain(together)}
    return json.dumps(told, indent=2, allow_nan=False)


def as_csv(rows: Sequence[Mapping[str, Any]]) -> str:
    """Flat rows under the names that any of them has; empty where a row has none."""
    found = dict.fromkeys(name for row in rows for name in row)
    # A result that is missing from one row stands in others under longer names.
    parents = {name.rpartition(".")[0] for name in found}
    names = [name for name in found if name not in parents]
    text = io.StringIO()
    writer = csv.DictWriter(text, names, extrasaction="ignore", lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def run_dict(row: Assessed | Failed) -> dict[str, Any]:
    """Plain containers only, without NaN: what is undefined is null."""
    head = {"run": row.name, "target": str(row.target), "controller": row.controller}
    if isinstance(row, Failed):
        return head | {"error": row.error}
    run = row.stability
    told = plain(run)
    told["episodes"] = [_episode(each) for each in run.episodes]
    told["basin"]["reasons"] = list(run.basin.reasons)
    told["persistence"] = _curves(run.persistence)
    return (
        head
        | {"error": None, "trace": str(row.trace), "recorded": plain(row.recorded)}
        | told
        | {"map_agreement": plain(run.map_agreement)}
    )


def run_row(row: Assessed | Failed) -> dict[str, Any]:
    """One flat row: verdicts with their splits, and every metric's mean and interval."""
    told = run_dict(row)
    if isinstance(row, Failed):
        return told
    kept = (
        *("run", "target", "controller", "checkpoint", "checkpoint_sha256", "trace"),
        *("trace_sha256", "labels_from", "labels_sha256", "label_rule", "tau", "clusters"),
        *("frames", "frame_dt_s", "reachable_clusters", "active_clusters", "map_agreement"),
    )
    flat = {name: told[name] for name in kept} | {"episodes": len(told["episodes"])}
    for name in ("gait", "basin"):
        flat |= {name: told[name]["name"], f"{name}_split": _split(told[name]["split"])}
    flat |= {
        "reasons": "; ".join(told["basin"]["reasons"]),
        "label_verdict": told["label_verdict"],
        "label_split": _split(told["label_split"]),
    }
    flat |= {"visited_labels": _cell((told["occupancy"] or {}).get("visited"))}
    flat["recorded_return"] = (told["recorded"] or {}).get("mean")
    for name, interval in {"return": told["returns"], **told["metrics"]}.items():
        for part in ("mean", "low", "high"):
            flat[name if part == "mean" else f"{name}_{part}"] = (interval or {}).get(part)
    flat |= {f"value_{name}": each for name, each in _calibration(told["calibration"]).items()}
    return flat | {"error": None}


def episode_rows(row: Assessed | Failed) -> list[dict[str, Any]]:
    """One flat row an episode: everything in `to_dict` but lists of results."""
    if isinstance(row, Failed):
        return []
    head = {"run": row.name, "controller": row.controller}
    return [head | flatten(_episode(each)) for each in row.stability.episodes]


def plain(value: Any) -> Any:
    """`value` as null, bool, int, float, str, list or dict; NaN and infinity are null."""
    if value is None or isinstance(value, bool | int | str):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, np.ndarray | np.generic):
        return plain(value.tolist())
    if isinstance(value, Mapping):
        return {str(key): plain(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [plain(each) for each in value]
    if dataclasses.is_dataclass(value):
        kind = type(value)
        names = [field.name for field in dataclasses.fields(value)]
        names = [name for name in names if name not in _LEFT_OUT.get(kind, ())]
        return {name: plain(getattr(value, name)) for name in (*names, *_ADDED.get(kind, ()))}
    raise TypeError(f"plain: expected a result, found {type(value).__name__}")


def flatten(told: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested keys joined by dots; short lists become text, and lists of results are left out.

    So are empty lists, which may be of results as well.
    """
    flat: dict[str, Any] = {}
    for key, value in told.items():
        if isinstance(value, Mapping):
            flat |= flatten(value, f"{prefix}{key}.")
        elif not isinstance(value, list) or (value and not isinstance(value[0], dict)):
            flat[prefix + key] = _cell(value)
    return flat


def _episode(episode: EpisodeStability) -> dict[str, Any]:
    gait, told = episode.gait, plain(episode)
    told["gait"] |= {
        "cycles": gait.cycles.count,
        "period_s": plain(gait.cycles.period_s),
        "period_cv": plain(gait.cycles.period_cv),
        "opening_s": gait.opening_end * gait.dt_s,
        "touchdowns_s": _after_opening(gait, gait.contacts.touchdowns),
        "liftoffs_s": _after_opening(gait, gait.contacts.liftoffs),
        "falls": [
            {
                "start_s": fall.start * gait.dt_s,
                "hit_s": fall.hit * gait.dt_s,
                "recovery_s": None if fall.recovery is None else fall.recovery * gait.dt_s,
                "direction": fall.direction,
                "manner": fall.manner,
                "first": list(fall.first),
            }
            for fall in gait.falls
        ],
    }
    told["basin"] |= {"reason": episode.basin.reason}
    return told


def _after_opening(gait: Gait, frames: Int[np.ndarray, " events"]) -> list[float]:
    """Times of events since the reset, s."""
    return [round(frame * gait.dt_s, 6) for frame in frames[frames >= gait.opening_end].tolist()]


def _curves(found: Persistence | None) -> dict[str, Any] | None:
    """Persistence with its curves, which are left out where each episode has its own."""
    if found is None:
        return None
    return {each.name: plain(getattr(found, each.name)) for each in dataclasses.fields(found)}


def _cell(value: Any) -> Any:
    return json.dumps(value) if isinstance(value, list) else value


def _calibration(told: Mapping[str, Any] | None) -> dict[str, Any]:
    """Predicted against realised value; means of what has an interval."""
    names = ("predicted", "realised", "bias", "rmse", "relative_rmse", "rank_correlation", "slope")
    found = {name: (told or {}).get(name) for name in names}
    return {
        name: value["mean"] if isinstance(value, Mapping) else value
        for name, value in found.items()
    }


def _split(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{count} {name}" for name, count in counts.items())


COMPARISON_FILES = ("together.json", "pairs.csv")
"""Files that `save` writes."""


def save_comparison(together: Together | None, folder: Path) -> None:
    """Write everything as JSON, and a row for every two checkpoints with labels as CSV.

    With nothing to compare the one holds null, and the other no row.

    Raises:
        GlassvizError: a file cannot be written.
    """
    found = together.correspondence if together else None
    told = json.dumps(plain(together), indent=2, allow_nan=False)
    texts = (f"{told}\n", as_csv([pair_row(pair) for pair in (found.pairs if found else ())]))
    for name, text in zip(COMPARISON_FILES, texts, strict=True):
        with replacing(folder / name) as partial:
            partial.write_text(text, encoding="utf-8", newline="")


def pair_row(pair: LabelPair) -> dict[str, Any]:
    """One flat row: how far two checkpoints agree, and which label is which."""
    told = plain(pair)
    test = {"observed": None} | (told["test"] or {})
    return (
        {"one": pair.one, "other": pair.other}
        | flatten(told["agreement"])
        | {"matched_accuracy": pair.matched_accuracy, "partner": str(told["matching"]["partner"])}
        | {f"in_cycles_{name}": value for name, value in (test["observed"] or {}).items()}
        | {f"in_cycles_{name}": value for name, value in test.items() if name != "observed"}
    )


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


def save_graphs(
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
        from glassviz.figures import style

        style.save(_drawn(graph, width), path, overwrite, text_as_paths=True)
        return
    if ending == ".json":
        text = graphs_json(graph) + "\n"
    else:
        import networkx as nx

        text = "\n".join(nx.generate_graphml(to_networkx(graph))) + "\n"
    with replacing(path) as partial:
        partial.write_text(text, encoding="utf-8", newline="")


def _drawn(graph: RunGraph | FluxDifference, width: "Width") -> Any:
    from glassviz.figures.flux_difference import difference_figure_of, flux_difference
    from glassviz.figures.transition_graph import figure_of, transition_graph

    if isinstance(graph, FluxDifference):
        return flux_difference(difference_figure_of(graph, width), width)
    return transition_graph(figure_of(graph), width)


def graphs_json(graph: RunGraph | FluxDifference) -> str:
    """Everything as JSON, which `networkx.node_link_graph(..., edges="edges")` reads as well."""
    return json.dumps(graph_dict(graph), indent=2, ensure_ascii=False, allow_nan=False)


def graph_dict(graph: RunGraph | FluxDifference) -> dict[str, Any]:
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
    from glassviz.figures.transition_graph import caption, drawing_of

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
