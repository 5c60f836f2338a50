"""Assess many runs, in several processes where that pays."""

import multiprocessing
import os
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from types import TracebackType
from typing import TYPE_CHECKING, Self

from glassviz.errors import GlassvizError
from glassviz.files import StrPath
from glassviz.metrics.stability import RunStability, assess
from glassviz.rollout.batch import NOBODY, Failed, Listener, each_once, for_each
from glassviz.rollout.relabel import LEARNED
from glassviz.rollout.run import Run, with_distinct_names

if TYPE_CHECKING:
    from glassviz.rollout.traces import RolloutOptions


WORTH_A_PROCESS = 4
"""Traces for which it pays to start one process more."""

AHEAD = 2
"""Traces that are handed to each process at a time: one to work on, and one that waits."""


def assess_all(
    arguments: StrPath | Sequence[StrPath],
    options: "RolloutOptions",
    folder: StrPath | None = None,
    jobs: int | None = None,
    labels: str = LEARNED,
    listener: Listener = NOBODY,
) -> list[Run | Failed]:
    """Find and assess runs; one that fails does not stop the others.

    Args:
        arguments, options, folder, labels: as for `traces.find_runs`.
        jobs: processes to assess with; by default one per core, if there are enough traces.
        listener: progress callbacks.

    Returns:
        Runs whose stability is known, in the order of `arguments`, then of controllers, under names
        that are unique together with the controller.

    Raises:
        GlassvizError: no run can have such labels.
    """
    from glassviz.rollout.traces import find_runs

    rows = find_runs(arguments, options, folder, labels, listener)
    runs = [row for row in rows if isinstance(row, Run)]
    if jobs is None:
        jobs = min(os.cpu_count() or 1, len(runs) // WORTH_A_PROCESS)
    if jobs < 2:
        return _assessed(rows, lambda run: assess(run.trace), listener)
    with _Processes(runs, min(jobs, len(runs))) as processes:
        return _assessed(rows, processes.result, listener)


def _assessed(
    rows: Sequence[Run | Failed], stability_of: Callable[[Run], RunStability], listener: Listener
) -> list[Run | Failed]:
    def assessed(run: Run) -> Run:
        run.stability = stability_of(run)
        return run

    return with_distinct_names(each_once(for_each(rows, assessed, Run.failed, listener.on_run)))


class _Processes:
    """Processes that assess runs, in their order; close them, or use them in a `with`.

    Traces are read here, where they are kept for what comes after, and handed on as they are
    needed: of a thousand only some fit into memory.
    """

    def __init__(self, runs: Sequence[Run], jobs: int) -> None:
        # Forked processes would share the locks of libraries that have threads.
        context = multiprocessing.get_context("spawn")
        self._pool = ProcessPoolExecutor(jobs, mp_context=context)
        self._most = AHEAD * jobs
        self._waiting = deque(runs)
        self._started: dict[Run, Future[RunStability]] = {}

    def result(self, run: Run) -> RunStability:
        """What was found about a run; the next ones are begun meanwhile.

        Raises:
            GlassvizError: its trace cannot be read, or not be assessed.
        """
        while self._waiting and len(self._started) < self._most:
            following = self._waiting.popleft()
            self._started[following] = self._start(following)
        return self._started.pop(run).result()

    def _start(self, run: Run) -> "Future[RunStability]":
        try:
            return self._pool.submit(assess, run.trace)
        except GlassvizError as error:
            broken: Future[RunStability] = Future()
            broken.set_exception(error)
            return broken

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._pool.shutdown(cancel_futures=kind is not None)
