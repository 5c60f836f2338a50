"""Documents of the commands: the output of `--json`, `--csv` and `--out`."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from glassviz.compare.compare import Comparison
from glassviz.compare.correspondence import LabelPair
from glassviz.compare.fit import Fitted
from glassviz.compare.graphs import FluxDifference, RunGraph
from glassviz.compare.history import History
from glassviz.compare.single_label import single_label
from glassviz.errors import UsageError
from glassviz.files import StrPath, check_target, replacing
from glassviz.metrics.transitions import dominant_cycle
from glassviz.report.serialize import as_csv, as_json, cell, flatten, plain
from glassviz.rollout.batch import Failed
from glassviz.rollout.run import Run

if TYPE_CHECKING:
    import networkx as nx

    from glassviz.compare.recipes import RecipeTotals
    from glassviz.figures.style import FigureStyle
    from glassviz.maps.maps import LatentMap
    from glassviz.rollout.evaluate import Fresh

# Stability ----------------------------------------------------------------------------------------

STABILITY_FILES = ("stability.json", "runs.csv", "episodes.csv")


def save_stability(
    rows: Sequence[Run | Failed],
    folder: StrPath,
    together: Any = None,
    histories: Sequence[History] = (),
) -> None:
    """Write all results as JSON, and CSV files with one row per run and one per episode.

    Raises:
        GlassvizError: a file cannot be written.
    """
    texts = (
        stability_json(rows, together, histories) + "\n",
        as_csv([run_row(row, rows) for row in rows]),
        as_csv([episode for row in rows for episode in episode_rows(row)]),
    )
    _write(Path(folder), STABILITY_FILES, texts)


def stability_json(
    rows: Sequence[Run | Failed], together: Any = None, histories: Sequence[History] = ()
) -> str:
    """One document: results of the `runs`, `together`, their comparison or None, and `histories`
    of training runs with several checkpoints."""
    runs = [run_dict(row, rows) for row in rows]
    return as_json({"runs": runs, "together": together, "histories": list(histories)})


HISTORY_FILE = "history.csv"


def save_history(histories: Sequence[History], folder: StrPath) -> None:
    """Write a CSV file with one row per training run, controller and environment step.

    Raises:
        GlassvizError: it cannot be written.
    """
    _write(Path(folder), (HISTORY_FILE,), (as_csv(history_rows(histories)),))


def history_rows(histories: Sequence[History]) -> list[dict[str, Any]]:
    """One flat row per moment of each history."""
    return [
        {"training": each.run, "controller": each.controller}
        | {name: getattr(moment, name) for name in ("env_steps", "run")}
        | {name: getattr(moment, name) for name in ("gait", "labels", "basin")}
        | {
            f"{name}_split": _split(getattr(moment, f"{key}_split"))
            for name, key in (("gait", "gait"), ("labels", "label"), ("basin", "basin"))
        }
        | {"return": moment.returns.mean}
        | {"return_low": moment.returns.low, "return_high": moment.returns.high}
        for each in histories
        for moment in each.moments
    ]


def run_dict(row: Run | Failed, rows: Sequence[Run | Failed] = ()) -> dict[str, Any]:
    """All results of a run in plain containers; undefined values are None.

    `rows` may have other runs of the same agent, for the share of a single label in other gaits.
    """
    head = {"run": row.name, "target": str(row.target), "controller": row.controller}
    if isinstance(row, Failed):
        return head | {"error": row.error}
    used = {"episode_count": len(row.stability.episodes)}
    recorded = {"error": None, "trace": str(row.trace_path), "recorded": plain(row.recorded)}
    single = {"single_label": plain(single_label(row, rows))}
    return head | recorded | used | plain(row.stability) | single


def run_row(row: Run | Failed, rows: Sequence[Run | Failed] = ()) -> dict[str, Any]:
    """One flat row: verdicts with their splits, and mean and interval of every metric."""
    told = run_dict(row, rows)
    if isinstance(row, Failed):
        return told
    kept = (
        *("run", "target", "controller", "checkpoint", "checkpoint_sha256", "trace"),
        *("trace_sha256", "labels_from", "labels_sha256", "label_rule", "tau", "clusters"),
        *("frames", "frame_dt_s", "reachable_clusters", "active_clusters", "map_agreement"),
    )
    flat = {name: told[name] for name in kept} | {"episodes": told["episode_count"]}
    for name in ("gait", "basin"):
        flat |= {name: told[name]["name"], f"{name}_split": _split(told[name]["split"])}
    flat |= {
        "reasons": "; ".join(told["basin"]["reasons"]),
        "basin_why": _split(told["basin"]["whys"]),
        "label_verdict": told["label_verdict"],
        "label_split": _split(told["label_split"]),
    }
    single = told["single_label"] or {}
    flat |= {f"single_label_{k}": single.get(k) for k in ("label", "share", "elsewhere")}
    flat |= {"visited_labels": cell((told["occupancy"] or {}).get("visited"))}
    flat["recorded_return"] = (told["recorded"] or {}).get("mean")
    for name, interval in {"return": told["returns"], **told["metrics"]}.items():
        for part in ("mean", "low", "high"):
            flat[name if part == "mean" else f"{name}_{part}"] = (interval or {}).get(part)
    flat |= {f"value_{name}": each for name, each in _calibration(told["calibration"]).items()}
    return flat | {"error": None}


def episode_rows(row: Run | Failed) -> list[dict[str, Any]]:
    """One flat row per episode: everything in `run_dict` except lists of results."""
    if isinstance(row, Failed):
        return []
    head = {"run": row.name, "controller": row.controller}
    return [head | flatten(plain(each)) for each in row.stability.episodes]


def _calibration(told: Mapping[str, Any] | None) -> dict[str, Any]:
    """Value calibration, with means in place of intervals."""
    names = ("predicted", "realised", "bias", "rmse", "relative_rmse", "rank_correlation", "slope")
    found = {k: (told or {}).get(k) for k in names}
    return {k: each["mean"] if isinstance(each, Mapping) else each for k, each in found.items()}


def _split(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{count} {name}" for name, count in counts.items())


# Comparison ---------------------------------------------------------------------------------------


COMPARISON_FILES = ("together.json", "pairs.csv")


def save_comparison(together: Comparison | None, folder: StrPath) -> None:
    """Write the comparison as JSON, and a CSV file with one row per pair of labelled checkpoints.

    With nothing to compare, the JSON holds null and the CSV no row.

    Raises:
        GlassvizError: a file cannot be written.
    """
    found = together.correspondence if together else None
    rows = [pair_row(pair) for pair in (found.pairs if found else ())]
    _write(Path(folder), COMPARISON_FILES, (as_json(together) + "\n", as_csv(rows)))


def _write(folder: Path, names: Sequence[str], texts: Sequence[str]) -> None:
    for name, text in zip(names, texts, strict=True):
        with replacing(folder / name) as partial:
            partial.write_text(text, encoding="utf-8", newline="")


def pair_row(pair: LabelPair) -> dict[str, Any]:
    """One flat row: agreement of two checkpoints, and their matching labels."""
    told = plain(pair)
    test = {"observed": None} | (told["test"] or {})
    return (
        {"one": pair.one, "other": pair.other}
        | flatten(told["agreement"])
        | {"matched_accuracy": pair.matched_accuracy, "partner": str(told["matching"]["partner"])}
        | {f"in_cycles_{name}": value for name, value in (test["observed"] or {}).items()}
        | {f"in_cycles_{name}": value for name, value in test.items() if name != "observed"}
    )


# Graphs -------------------------------------------------------------------------------------------


FIGURES = (".png", ".svg", ".pdf")
FORMATS = (*FIGURES, ".graphml", ".json")
SCHEMA_VERSION = 1


def check_format(path: StrPath) -> None:
    """Check the suffix of a graph's file.

    Raises:
        UsageError: it is not in `FORMATS`.
    """
    path = Path(path)
    if path.suffix.lower() not in FORMATS:
        raise UsageError(f"{path}: expected a name that ends in {', '.join(FORMATS)}")


def save_graph(
    graph: RunGraph | FluxDifference,
    path: StrPath,
    overwrite: bool = False,
    look: "FigureStyle | None" = None,
) -> None:
    """Write a graph, or the difference of two, in the format of the file's suffix.

    `look` is the style of a figure. The file is written atomically; equal graphs give equal files.

    Raises:
        UsageError: the suffix is not in `FORMATS`.
        GlassvizError: the file exists or cannot be written.
    """
    path = Path(path)
    check_format(path)
    check_target(path, overwrite)
    ending = path.suffix.lower()
    if ending in FIGURES:
        from glassviz.figures import style
        from glassviz.figures.flux_difference import flux_difference
        from glassviz.figures.transition_graph import transition_graph

        if isinstance(graph, FluxDifference):
            figure = flux_difference(graph, look or style.PLAIN)
        else:
            figure = transition_graph(graph, look or style.PLAIN)
        style.save(figure, path, overwrite, text_as_paths=True, look=look or style.PLAIN)
        return
    if ending == ".json":
        text = graph_json(graph) + "\n"
    else:
        import networkx as nx

        text = "\n".join(nx.generate_graphml(to_networkx(graph))) + "\n"
    with replacing(path) as partial:
        partial.write_text(text, encoding="utf-8", newline="")


def graph_caption(graph: RunGraph | FluxDifference) -> str:
    """Caption of the figure of a graph, or of the difference of two."""
    from glassviz.figures.flux_difference import difference_caption
    from glassviz.figures.transition_graph import caption

    return difference_caption(graph) if isinstance(graph, FluxDifference) else caption(graph)


def graph_json(graph: RunGraph | FluxDifference) -> str:
    """JSON that `networkx.node_link_graph(..., edges="edges")` reads as well."""
    return as_json(graph_dict(graph), ascii_only=False)


def graph_dict(graph: RunGraph | FluxDifference) -> dict[str, Any]:
    """Nodes and edges in plain containers, with all results under `graph`."""
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
    found: dict[str, Any] = plain(graph)
    if isinstance(graph, FluxDifference):
        return found
    from glassviz.figures.transition_graph import caption, convention, drawing_of

    for name in ("flow", "train"):
        partition = getattr(graph.stats, name)
        if partition:
            found["stats"][name]["told"] = convention(partition)
    return found | {
        "cluster": graph.cluster.tolist(),
        "frames": graph.frames,
        "caption": caption(graph),
        "drawing": plain(drawing_of(graph)),
    }


def to_networkx(graph: RunGraph | FluxDifference) -> "nx.DiGraph":
    """A directed graph with the numbers of its nodes and edges as attributes.

    For a run, nodes are prototypes and edges are transitions of the graph's mode, with count,
    probability P, flux F (share of all steps) and weight in that mode.
    """
    import networkx as nx

    from glassviz.figures.transition_graph import convention

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
    cycle = main.states if main else ()
    steps = set(zip(cycle, cycle[1:] + cycle[:1], strict=True))
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
        "matched_by": found.matched_by.value,
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


# Evaluation, fits and maps ------------------------------------------------------------------------

EVALUATION_COLUMNS = (
    *("checkpoint", "task", "controller", "mean", "low", "high", "min", "max", "episodes"),
    *("recorded", "recorded_episodes", "above_recorded", "recorded_place", "error"),
    *("recipe", "recipe_checkpoints", "recipe_mean", "recipe_mean_low", "recipe_mean_high"),
    *("recipe_iqm", "recipe_iqm_low", "recipe_iqm_high", "recipe_improvements"),
)


def evaluation_dicts(rows: Sequence["Fresh | Failed"]) -> list[dict[str, Any]]:
    """Evaluation of each checkpoint under each controller, with every return.

    `recipe_totals` are those of all checkpoints of its recipe under its controller; None if no two
    checkpoints were evaluated, or on no common scale.
    """
    from glassviz.compare.recipes import recipe_totals
    from glassviz.rollout.evaluate import Fresh

    totals = recipe_totals([row for row in rows if isinstance(row, Fresh)])
    return [_evaluation(row, totals) for row in rows]


def _evaluation(row: "Fresh | Failed", totals: "RecipeTotals") -> dict[str, Any]:
    from glassviz.rollout.evaluate import Fresh

    head = {"checkpoint": str(row.target)}
    if not isinstance(row, Fresh):
        return head | {"controller": row.controller, "error": row.error}
    interval = row.interval
    evaluated: dict[str, Any] = head | plain(row.evaluation)
    return evaluated | {
        "mean": row.evaluation.mean,
        "low": interval.low,
        "high": interval.high,
        "level": interval.level,
        "recorded": plain(row.recorded),
        "above_recorded": row.above_recorded,
        "recorded_place": row.recorded_place,
        "recipe": row.recipe,
        "recipe_totals": _totals(row, totals),
        "precision": row.precision,
        "task": row.env.task if row.env else None,
    }


def _totals(row: "Fresh", totals: "RecipeTotals") -> dict[str, Any] | None:
    found = totals.of(row)
    if found is None:
        return None
    improvements = [
        {"over": each.other, "probability": each.probability, "low": each.low, "high": each.high}
        for each in totals.improvements_of(found)
    ]
    returns = found.returns
    mean, iqm = plain(returns.mean), plain(returns.iqm)
    beside = {"mean": mean, "iqm": iqm, "improvements": improvements}
    return {"checkpoints": len(returns.runs)} | beside


def evaluation_rows(rows: Sequence["Fresh | Failed"]) -> list[dict[str, Any]]:
    """One flat row each of the same."""
    return [_evaluation_row(told) for told in evaluation_dicts(rows)]


def _evaluation_row(told: dict[str, Any]) -> dict[str, Any]:
    if returns := told.get("returns"):
        told |= {"min": min(returns), "max": max(returns), "episodes": len(returns)}
    if recorded := told.get("recorded"):
        told |= {"recorded": recorded["mean"], "recorded_episodes": recorded["episodes"]}
    if totals := told.get("recipe_totals"):
        told |= {"recipe_checkpoints": totals["checkpoints"]}
        told |= {"recipe_improvements": cell(totals["improvements"])}
        for name in ("mean", "iqm"):
            found = totals[name] or {}
            told[f"recipe_{name}"] = found.get("estimate")
            told |= {f"recipe_{name}_{end}": found.get(end) for end in ("low", "high")}
    return told


def fit_dict(row: Fitted | Failed) -> dict[str, Any]:
    """Fitted labels of a checkpoint, without prototypes: those are in their file."""
    if isinstance(row, Failed):
        told: dict[str, Any] = plain(row)
        return told
    labels = row.labels
    return {
        "run": row.name,
        "error": None,
        "checkpoint_sha256": labels.checkpoint_sha256,
        "file": str(row.path),
        "labels_sha256": labels.sha256,
        "traces": plain(row.traces),
        "frames": labels.frames,
        "seed": labels.seed,
        "prototypes": len(labels.prototypes),
        "clusters": labels.clusters,
        "partition": labels.partition.tolist(),
        "visited": list(row.visited),
        "mean_cosine": labels.mean_cosine,
        "h1_bits": labels.h1_bits,
        "h2_bits": labels.h2_bits,
        "gap": labels.gap,
        "refits": plain(row.refits),
        "learned": plain(row.comparison),
    }


def map_dict(row: "LatentMap | Failed") -> dict[str, Any]:
    """A latent map, without coordinates: those are in its file."""
    from glassviz.maps.coordinates import recorded_sha256

    if isinstance(row, Failed):
        told: dict[str, Any] = plain(row)
        return told
    encoder = row.encoder
    return {
        "run": row.name,
        "error": None,
        "options": plain(row.options),
        "traces": [
            {
                "run": name,
                "controller": trace.header["controller"],
                "sha256": recorded_sha256(trace),
                "checkpoint_sha256": trace.header["checkpoint"]["sha256"],
                "episodes": trace.episodes,
                "frames": trace.frames,
            }
            for name, trace in zip(row.names, row.traces, strict=True)
        ],
        "frames": len(row.frames),
        "fitted": row.fitted,
        "file": plain(row.path),
        "reused": row.reused,
        "encoder": encoder and {"name": encoder.name, "checkpoint_sha256": encoder.sha256},
        "explained": plain(row.explained),
        "quality": plain(row.quality),
        "labels": plain(row.labels),
        "label_names": plain(row.label_names),
        "prototypes": [
            {"number": each.number, "label": each.label, "share": each.share, "xy": list(each.xy)}
            for each in row.prototypes
        ],
        "dead_prototypes": list(row.dead_prototypes),
        "cycles": [
            {"trace": each.trace, "xy": each.xy.tolist(), "cycles": each.cycles, "of": each.of}
            for each in row.cycles
        ],
    }
