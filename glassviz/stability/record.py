"""What is known of runs as plain containers, for JSON, and as flat rows, for CSV."""

import csv
import dataclasses
import io
import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Int

from glassviz.analysis.labels import LabelStats
from glassviz.analysis.persistence import Persistence
from glassviz.analysis.segments import Occupancy
from glassviz.files import replacing
from glassviz.gait.gait import Gait
from glassviz.gait.verdict import Criterion
from glassviz.many import Failed
from glassviz.stability.episode import EpisodeStability
from glassviz.stability.many import Assessed
from glassviz.stability.run import RunStability

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


RESULTS = ("stability.json", "runs.csv", "episodes.csv")
"""Files that `save` writes."""


def save(rows: Sequence[Assessed | Failed], folder: Path, together: Any = None) -> None:
    """Write everything as JSON, a row a run and controller as CSV, and a row an episode.

    Args:
        rows: of `assess_all`.
        folder: where to.
        together: what the rows say together, as for `as_json`.

    Raises:
        GlassvizError: a file cannot be written.
    """
    texts = (
        as_json(rows, together) + "\n",
        as_csv([run_row(row) for row in rows]),
        as_csv([episode for row in rows for episode in episode_rows(row)]),
    )
    for name, text in zip(RESULTS, texts, strict=True):
        with replacing(folder / name) as partial:
            partial.write_text(text, encoding="utf-8", newline="")


def as_json(rows: Sequence[Assessed | Failed], together: Any = None) -> str:
    """One document: `runs`, a list with everything about every run, and `together`.

    Args:
        rows: of `assess_all`.
        together: what they say together: the result of a comparison, a dataclass; None if there
            is nothing to compare.
    """
    told = {"runs": [to_dict(row) for row in rows], "together": plain(together)}
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


def to_dict(row: Assessed | Failed) -> dict[str, Any]:
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
    told = to_dict(row)
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
