"""Many runs at once: traces found or made, assessed side by side, the broken ones named."""

import multiprocessing
import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from glassviz.errors import GlassvizError
from glassviz.metrics.stability import RunStability, assess
from glassviz.rollout.batch import NOBODY, Failed, Listener, each_once, for_each, told_apart
from glassviz.rollout.relabel import LEARNED, check_labels, load_labelled
from glassviz.trace import Trace

if TYPE_CHECKING:
    from glassviz.rollout.evaluate import Recorded
    from glassviz.rollout.traces import Located, RolloutOptions


WORTH_A_PROCESS = 4
"""Traces for which it pays to start one process more."""


@dataclass(frozen=True, eq=False)
class Assessed:
    """One run that was assessed.

    Attributes:
        name: what tables call it; names and controllers together tell all rows apart.
        target: the trace or checkpoint.
        trace: the trace file.
        reused: whether that was there already.
        recorded: what the checkpoint says of its evaluation in training; None if nothing.
        stability: what came of it.
        labels: which ones it was judged by, as they were asked for.
    """

    name: str
    target: Path
    trace: Path
    reused: bool
    recorded: "Recorded | None"
    stability: RunStability
    labels: str = LEARNED

    @property
    def controller(self) -> str:
        """Who acted."""
        return self.stability.controller

    def load(self) -> Trace:
        """The trace, with the labels that it was judged by."""
        return load_labelled(self.trace, self.labels, self.target)


def assess_all(
    arguments: Sequence[Path],
    options: "RolloutOptions",
    folder: Path | None = None,
    jobs: int | None = None,
    labels: str = LEARNED,
    listener: Listener = NOBODY,
) -> list[Assessed | Failed]:
    """Assess runs; one that is broken does not keep the others.

    Args:
        arguments: traces, checkpoints, run folders, folders of either, or patterns, as for
            `targets.find_targets`.
        options: how checkpoints are rolled out whose traces are missing.
        folder: of the traces; renders/traces by default.
        jobs: processes to assess with; by default one a core, if there are traces enough.
        labels: that the runs are judged by, as for `relabel.load_labelled`.
        listener: who is told how it goes.

    Returns:
        In the order of `arguments`, then of controllers.

    Raises:
        GlassvizError: no run can have such labels.
    """
    check_labels(labels)
    from glassviz.rollout.traces import find_traces

    rows = find_traces(arguments, options, folder, listener)
    files = [(row.path, labels, row.target) for row in rows if not isinstance(row, Failed)]
    results = _assess_files(files, jobs)

    def assessed(located: "Located") -> Assessed:
        found = next(results)
        if isinstance(found, GlassvizError):
            raise found
        return Assessed(
            located.name or found.checkpoint,
            located.target,
            located.path,
            located.reused,
            located.recorded,
            found,
            labels,
        )

    return _told_apart(
        each_once(for_each(rows, assessed, lambda row, error: row.failed(error), listener.on_run))
    )


def _assess_files(
    files: Sequence[tuple[Path, str, Path]], jobs: int | None
) -> Iterator[RunStability | GlassvizError]:
    if jobs is None:
        jobs = min(os.cpu_count() or 1, len(files) // WORTH_A_PROCESS)
    if jobs < 2:
        yield from map(_assess_file, files)
        return
    # Forked processes would share the locks of libraries that have threads.
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(min(jobs, len(files)), mp_context=context) as pool:
        yield from pool.map(_assess_file, files)


def _assess_file(file: tuple[Path, str, Path]) -> RunStability | GlassvizError:
    try:
        return assess(load_labelled(*file))
    except GlassvizError as error:
        return error


def _told_apart(rows: Sequence[Assessed | Failed]) -> list[Assessed | Failed]:
    """The same rows; those of one name and controller are called by their files, or paths."""
    names = told_apart(
        [row.name for row in rows],
        [row.target for row in rows],
        [(str(row.controller),) for row in rows],
    )
    return [replace(row, name=name) for row, name in zip(rows, names, strict=True)]
