"""Labels fitted to many runs: one set a checkpoint, from the traces of both controllers."""

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from glassviz.analysis.fit import (
    PROTOTYPES,
    REFITS,
    RefitStability,
    check_numbers,
    fit_labels,
    refit_stability,
)
from glassviz.analysis.fitted_labels import FittedLabels
from glassviz.analysis.segments import occupancy
from glassviz.errors import GlassvizError, UsageError
from glassviz.files import refuse_existing
from glassviz.fitting.comparison import Comparison, compare
from glassviz.many import NOBODY, Failed, Listener, each_once
from glassviz.relabel import labels_path
from glassviz.trace import Trace

if TYPE_CHECKING:
    from glassviz.runs import RolloutOptions


@dataclass(frozen=True)
class FitOptions:
    """How labels are fitted.

    Attributes:
        prototypes: N.
        clusters: K; None: as many as minimise the structural entropy.
        seed: of the starts of k-means.
        refits: how many fits with other seeds are compared; below 2 none are.

    Raises:
        UsageError: N or K is out of range.
    """

    prototypes: int = PROTOTYPES
    clusters: int | None = None
    seed: int = 0
    refits: int = REFITS

    def __post_init__(self) -> None:
        check_numbers(self.prototypes, self.clusters)


@dataclass(frozen=True, eq=False)
class Fitted:
    """Labels that were fitted to one checkpoint.

    Attributes:
        name: what tables call the checkpoint.
        path: the file of the labels.
        traces: that they were fitted on.
        labels: as in the file.
        visited: labels with more than 1 % of all frames.
        refits: how much fits with other seeds agree; None without refits.
        comparison: with the labels that the agent learned; None without Glass.
    """

    name: str
    path: Path
    traces: tuple[Path, ...]
    labels: FittedLabels
    visited: tuple[int, ...]
    refits: RefitStability | None
    comparison: Comparison | None

    def to_dict(self) -> dict[str, Any]:
        """Plain containers for JSON, without prototypes: those are in the file."""
        labels, versus = self.labels, self.comparison
        return {
            "run": self.name,
            "error": None,
            "checkpoint_sha256": labels.checkpoint_sha256,
            "file": str(self.path),
            "labels_sha256": labels.sha256,
            "traces": [str(path) for path in self.traces],
            "frames": labels.frames,
            "seed": labels.seed,
            "prototypes": len(labels.prototypes),
            "clusters": labels.clusters,
            "partition": labels.partition.tolist(),
            "visited": list(self.visited),
            "mean_cosine": labels.mean_cosine,
            "h1_bits": labels.h1_bits,
            "h2_bits": labels.h2_bits,
            "gap": labels.gap,
            "refits": dataclasses.asdict(self.refits) if self.refits else None,
            "learned": dataclasses.asdict(versus)
            | {"more_bits": versus.more_bits, "more_u": versus.more_u}
            if versus
            else None,
        }


@dataclass
class _Checkpoint:
    """A checkpoint, what led to it first, and its traces by their hash."""

    name: str
    target: Path
    by_hash: dict[str, Path]


def fit_all(
    arguments: Sequence[Path],
    options: "RolloutOptions",
    fit: FitOptions,
    folder: Path | None = None,
    out: Path | None = None,
    overwrite: bool = False,
    listener: Listener = NOBODY,
) -> list[Fitted | Failed]:
    """Fit labels to the checkpoints of runs; one that is broken does not keep the others.

    The same traces and seed give the same labels and the same file, whatever the order of the
    traces.

    Args:
        arguments: traces, checkpoints, run folders, folders of either, or patterns, as for
            `targets.find_targets`.
        options: how checkpoints are rolled out whose traces are missing.
        fit: how labels are fitted.
        folder: of the traces; renders/traces by default.
        out: file for the labels of the only checkpoint; beside its first trace by default.
        overwrite: whether existing files may be replaced.
        listener: who is told how it goes.

    Returns:
        What was fitted in the order of `arguments`, then what could not be.

    Raises:
        UsageError: `out` is given, and there are several checkpoints.
        GlassvizError: `out` exists.
    """
    if out:
        refuse_existing(out, overwrite)
    found, failed = _checkpoints(arguments, options, folder, listener)
    if out and len(found) > 1:
        names = ", ".join(each.name for each in found.values())
        raise UsageError(
            f"--out: expected one checkpoint, found {len(found)} ({names}): fit them one by one, "
            f"or leave --out out"
        )
    rows: list[Fitted | Failed] = []
    for done, (sha256, checkpoint) in enumerate(found.items(), start=1):
        first = next(iter(checkpoint.by_hash.values()))
        path = out or labels_path(first.parent, sha256)
        try:
            refuse_existing(path, overwrite)
            rows.append(_fitted(checkpoint, sha256, path, fit))
        except GlassvizError as error:
            rows.append(Failed(checkpoint.name, checkpoint.target, None, str(error)))
        listener.on_run(done, len(found))
    return rows + failed


def _checkpoints(
    arguments: Sequence[Path], options: "RolloutOptions", folder: Path | None, listener: Listener
) -> tuple[dict[str, _Checkpoint], list[Failed]]:
    """Checkpoints by their hash, each with its traces; and what leads to none."""
    from glassviz.runs import find_traces

    found: dict[str, _Checkpoint] = {}
    failed: list[Failed] = []
    for row in find_traces(arguments, options, folder, listener):
        if isinstance(row, Failed):
            failed.append(row)
            continue
        trace = Trace.load(row.path)
        origin = trace.header["checkpoint"]
        name = row.name or origin["name"]
        checkpoint = found.setdefault(origin["sha256"], _Checkpoint(name, row.target, {}))
        checkpoint.by_hash.setdefault(trace.sha256, row.path)
    return found, each_once(failed)


def _fitted(checkpoint: _Checkpoint, sha256: str, path: Path, fit: FitOptions) -> Fitted:
    by_hash = dict(sorted(checkpoint.by_hash.items()))
    traces = [Trace.load(trace) for trace in by_hash.values()]
    latents = [episode for trace in traces for episode in trace.latent]
    labels = fit_labels(latents, sha256, fit.prototypes, fit.clusters, fit.seed, tuple(by_hash))
    refits = None
    if fit.refits > 1:
        refits = refit_stability(latents, fit.prototypes, fit.clusters, fit.refits)
    learned = [trace for trace in traces if trace.header["labels_from"] == "glass"]
    comparison = compare(learned, labels, fit.seed) if learned else None
    found = [labels.labels(episode)[1] for episode in latents]
    labels.save(path)
    return Fitted(
        name=checkpoint.name,
        path=path,
        traces=tuple(by_hash.values()),
        labels=labels,
        visited=occupancy(np.concatenate(found).astype(np.int64), labels.clusters).visited,
        refits=refits,
        comparison=comparison,
    )
