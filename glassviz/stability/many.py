"""Many runs at once: traces found or made, assessed side by side, the broken ones named."""

import multiprocessing
import os
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from glassviz.errors import GlassvizError
from glassviz.relabel import LEARNED, check_labels, load_labelled
from glassviz.stability.run import RunStability, assess
from glassviz.targets import NoTarget, find_targets
from glassviz.trace import Trace

if TYPE_CHECKING:
    from glassviz.agents.agent import Controller
    from glassviz.reevaluation import Recorded
    from glassviz.runs import Located, RolloutOptions

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


@dataclass(frozen=True)
class Unassessed:
    """One run that could not be assessed.

    Attributes:
        name: what tables call it.
        target: the trace, checkpoint or folder.
        controller: under which it failed; None for all, or unknown.
        error: what is wrong, in one sentence.
    """

    name: str
    target: Path
    controller: "Controller | None"
    error: str


def assess_all(
    arguments: Sequence[Path],
    options: "RolloutOptions",
    folder: Path | None = None,
    jobs: int | None = None,
    tell: Callable[[str], None] = lambda line: None,
    on_recording: Callable[[int, int], None] = lambda done, total: None,
    on_estimate: Callable[[int, float], None] | None = None,
    on_assessing: Callable[[int, int], None] = lambda done, total: None,
    labels: str = LEARNED,
) -> list[Assessed | Unassessed]:
    """Assess runs; one that is broken does not keep the others.

    Args:
        arguments: traces, checkpoints, run folders, folders of either, or patterns, as for
            `targets.find_targets`.
        options: how checkpoints are rolled out whose traces are missing.
        folder: of the traces; renders/traces by default.
        jobs: processes to assess with; by default one a core, if there are traces enough.
        tell: called with each line that a user should see.
        on_recording: called with decisions done and in all, while traces are recorded.
        on_estimate: called before that with the number of missing traces and the seconds that
            they will take.
        on_assessing: called with traces assessed and in all.
        labels: that the runs are judged by, as for `relabel.load_labelled`.

    Returns:
        In the order of `arguments`, then of controllers.

    Raises:
        GlassvizError: no run can have such labels.
    """
    check_labels(labels)
    from glassviz.runs import TRACE_FOLDER, locate_traces

    targets = find_targets(arguments, tell)
    rows: dict[Path, list[Assessed | Unassessed]] = {target.path: [] for target in targets}
    names = {target.path: str(target.path) for target in targets}
    names |= {t.path: t.name for t in targets if not isinstance(t, NoTarget) and t.name}
    for target in targets:
        if isinstance(target, NoTarget):
            rows[target.path].append(
                Unassessed(names[target.path], target.path, None, target.error)
            )

    def on_broken(path: Path, controller: "Controller | None", error: GlassvizError) -> None:
        rows[path].append(Unassessed(names[path], path, controller, str(error)))

    located = locate_traces(
        [target.path for target in targets if not isinstance(target, NoTarget)],
        options,
        on_broken,
        folder or TRACE_FOLDER,
        tell,
        on_recording,
        on_estimate,
    )
    found = _assess_files([(each.path, labels, each.target) for each in located], jobs)
    for done, (each, stability) in enumerate(zip(located, found, strict=True), start=1):
        row = _row(each, names[each.target], stability, labels)
        if row not in rows[each.target]:  # What is wrong for both controllers is said once.
            rows[each.target].append(row)
        on_assessing(done, len(located))
    return _told_apart([row for of_target in rows.values() for row in of_target])


def _row(
    located: "Located", name: str, found: RunStability | GlassvizError, labels: str
) -> Assessed | Unassessed:
    if isinstance(found, GlassvizError):
        return Unassessed(name, located.target, None, str(found))
    if located.target == located.path:
        name = found.checkpoint
    return Assessed(
        name, located.target, located.path, located.reused, located.recorded, found, labels
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


def _told_apart(rows: list[Assessed | Unassessed]) -> list[Assessed | Unassessed]:
    """The same rows; those of one name and controller are called by their files, or paths."""
    for longer in (lambda row: row.target.stem, lambda row: str(row.target)):
        count = Counter((row.name, row.controller) for row in rows)
        rows = [
            replace(row, name=longer(row)) if count[row.name, row.controller] > 1 else row
            for row in rows
        ]
    return rows
