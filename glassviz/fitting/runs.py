"""Labels fitted to many runs: one set a checkpoint, from the traces of both controllers."""

import dataclasses
from collections.abc import Callable, Sequence
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
from glassviz.relabel import labels_path
from glassviz.targets import NoTarget, find_targets
from glassviz.trace import Trace

if TYPE_CHECKING:
    from glassviz.agents.agent import Controller
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


@dataclass(frozen=True)
class Unfitted:
    """A run that no labels could be fitted to.

    Attributes:
        name: what tables call it.
        error: what is wrong, in one sentence.
    """

    name: str
    error: str

    def to_dict(self) -> dict[str, Any]:
        """Plain containers for JSON."""
        return {"run": self.name, "error": self.error}


@dataclass
class _Checkpoint:
    """What leads to one checkpoint; `by_hash` are its traces."""

    name: str
    by_hash: dict[str, Path]


def fit_all(
    arguments: Sequence[Path],
    options: "RolloutOptions",
    fit: FitOptions,
    folder: Path | None = None,
    out: Path | None = None,
    overwrite: bool = False,
    tell: Callable[[str], None] = lambda line: None,
    on_recording: Callable[[int, int], None] = lambda done, total: None,
    on_estimate: Callable[[int, float], None] | None = None,
    on_fitting: Callable[[int, int], None] = lambda done, total: None,
) -> list[Fitted | Unfitted]:
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
        tell: called with each line that a user should see.
        on_recording: called with decisions done and in all, while traces are recorded.
        on_estimate: called before that with the number of missing traces and the seconds that
            they will take.
        on_fitting: called with checkpoints done and in all.

    Returns:
        What was fitted in the order of `arguments`, then what could not be.

    Raises:
        UsageError: `out` is given, and there are several checkpoints.
        GlassvizError: `out` exists.
    """
    if out:
        refuse_existing(out, overwrite)
    found, broken = _checkpoints(arguments, options, folder, tell, on_recording, on_estimate)
    if out and len(found) > 1:
        names = ", ".join(each.name for each in found.values())
        raise UsageError(
            f"--out: expected one checkpoint, found {len(found)} ({names}): fit them one by one, "
            f"or leave --out out"
        )
    rows: list[Fitted | Unfitted] = []
    for done, (sha256, checkpoint) in enumerate(found.items(), start=1):
        first = next(iter(checkpoint.by_hash.values()))
        path = out or labels_path(first.parent, sha256)
        try:
            refuse_existing(path, overwrite)
            rows.append(_fitted(checkpoint, sha256, path, fit))
        except GlassvizError as error:
            rows.append(Unfitted(checkpoint.name, str(error)))
        on_fitting(done, len(found))
    return rows + broken


def _checkpoints(
    arguments: Sequence[Path],
    options: "RolloutOptions",
    folder: Path | None,
    tell: Callable[[str], None],
    on_recording: Callable[[int, int], None],
    on_estimate: Callable[[int, float], None] | None,
) -> tuple[dict[str, _Checkpoint], list[Unfitted]]:
    """Checkpoints by their hash, each with its traces; and what leads to none."""
    from glassviz.runs import TRACE_FOLDER, locate_traces

    targets = find_targets(arguments, tell)
    names = {
        target.path: None if isinstance(target, NoTarget) else target.name for target in targets
    }
    broken = [
        Unfitted(str(target.path), target.error)
        for target in targets
        if isinstance(target, NoTarget)
    ]

    def on_broken(path: Path, controller: "Controller | None", error: GlassvizError) -> None:
        broken.append(Unfitted(names[path] or str(path), str(error)))

    located = locate_traces(
        [target.path for target in targets if not isinstance(target, NoTarget)],
        options,
        on_broken,
        folder or TRACE_FOLDER,
        tell,
        on_recording,
        on_estimate,
    )
    found: dict[str, _Checkpoint] = {}
    for each in located:
        trace = Trace.load(each.path)
        origin = trace.header["checkpoint"]
        name = names[each.target] or origin["name"]
        checkpoint = found.setdefault(origin["sha256"], _Checkpoint(name, {}))
        checkpoint.by_hash.setdefault(trace.sha256, each.path)
    return found, broken


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
