"""Progress on standard error: bars with an ETA on a terminal, plain lines elsewhere."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from glassviz.cli import terminal
from glassviz.rollout.batch import Failed, Listener

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

    from glassviz.rollout.run import Run
    from glassviz.rollout.traces import RolloutOptions


@dataclass(frozen=True)
class Task:
    """One line of a progress bar; call it with steps done and in all."""

    bar: "Progress"
    id: "TaskID"

    def __call__(self, done: int, total: int) -> None:
        """Move on."""
        self.bar.update(self.id, completed=done, total=total, visible=True)

    def begin(self, doing: str) -> "Task":
        """Start again with other work."""
        self.bar.update(self.id, description=doing, completed=0, total=None)
        return self

    def print(self, line: str) -> None:
        """Print a line above the bar."""
        # No markup: lines may contain text from files.
        self.bar.console.print(terminal.clean(line), markup=False, soft_wrap=True)


@contextmanager
def task(doing: str, done: int = 0, total: int | None = None) -> Iterator[Task]:
    """Show one task, as "filming hop.mp4", while the block runs, from `done` of `total` steps."""
    with _progress_bar() as bar:
        yield Task(bar, bar.add_task(doing, completed=done, total=total))


@contextmanager
def listener(doing: str) -> Iterator[Listener]:
    """Progress callbacks for work on many runs, whose missing traces are recorded first."""
    with _progress_bar() as bar:
        recording = Task(bar, bar.add_task("rolling out", total=None, visible=False))
        working = Task(bar, bar.add_task(doing, total=None, visible=False))
        yield Listener(
            tell=working.print,
            on_estimate=lambda missing, seconds: working.print(_estimate(missing, seconds)),
            on_recording=recording,
            on_run=working,
        )


def assess_with_progress(
    targets: list[Path],
    options: "RolloutOptions",
    traces: Path | None,
    jobs: int | None,
    labels: str,
) -> list["Run | Failed"]:
    """Assess runs, as `rollout.run.assess_all`."""
    from glassviz.rollout.run import assess_all

    with listener("assessing") as callbacks:
        return assess_all(targets, options, traces, jobs, labels, callbacks)


def record_with_progress(
    targets: list[Path],
    options: "RolloutOptions",
    folder: Path | None = None,
    labels: str = "learned",
) -> list["Run"]:
    """The traces of checkpoints, as `rollout.traces.traces_of`."""
    from glassviz.rollout.traces import TRACE_FOLDER, traces_of

    with listener("rolling out") as callbacks:
        return traces_of(
            targets,
            options,
            folder or TRACE_FOLDER,
            tell=callbacks.tell,
            on_progress=callbacks.on_recording,
            labels=labels,
        )


def _progress_bar() -> "Progress":
    """A bar on standard error; without a terminal only printed lines appear."""
    from rich import progress

    console = terminal.console(err=True, otherwise=None)
    return progress.Progress(
        progress.TextColumn("{task.description}", markup=False),  # It may contain file names.
        progress.BarColumn(),
        progress.MofNCompleteColumn(),
        progress.TimeElapsedColumn(),
        progress.TextColumn("ETA"),
        progress.TimeRemainingColumn(),
        console=console,
        disable=not console.is_terminal,
    )


def _estimate(missing: int, seconds: float) -> str:
    """The number of missing traces, and the time that recording them takes."""
    time = f"{seconds:.0f} s" if seconds < 90 else f"{seconds / 60:.0f} min"
    if missing == 1:
        return f"1 trace is missing: recording it takes about {time}"
    return f"{missing} traces are missing: recording them takes about {time}"
