"""Progress on standard error: bars with an ETA on a terminal, plain lines elsewhere."""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from glassviz.cli import terminal
from glassviz.rollout.batch import Failed, Listener
from glassviz.rollout.remaining import Remaining
from glassviz.text import printable

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

    from glassviz.rollout.run import Run
    from glassviz.rollout.traces import RolloutOptions


@dataclass
class Task:
    """One line of a progress bar; call it with steps done and in all."""

    bar: "Progress"
    id: "TaskID"
    remaining: Remaining | None = None
    told: bool = False
    since: float = field(default_factory=time.monotonic)

    def __call__(self, done: int, total: int) -> None:
        """Move on."""
        if not self.told:
            clock = time.monotonic
            self.remaining = self.remaining or Remaining(
                [("step", total)], now=clock, since=self.since
            )
            self.expect(self.remaining(done))
        self.told = False
        self.bar.update(self.id, completed=done, total=total, visible=True)

    def expect(self, seconds: float) -> None:
        """Show that so many seconds are left, for steps that take different times."""
        self.told = True
        self.bar.update(self.id, ends=time.monotonic() + seconds)

    def begin(self, doing: str) -> "Task":
        """Start again with other work."""
        self.remaining, self.since = None, time.monotonic()
        self.bar.update(self.id, description=printable(doing), completed=0, total=None, ends=None)
        return self

    def print(self, line: str) -> None:
        """Print a line above the bar."""
        # No markup: lines may contain text from files.
        self.bar.console.print(terminal.clean(line), markup=False, soft_wrap=True)


@contextmanager
def task(doing: str, done: int = 0, total: int | None = None) -> Iterator[Task]:
    """Show one task, as "filming hop.mp4", while the block runs, from `done` of `total` steps."""
    with _progress_bar() as bar:
        yield Task(bar, bar.add_task(printable(doing), completed=done, total=total, ends=None))


@contextmanager
def listener(
    doing: str, on_found: Callable[[Sequence["Run"]], object] = lambda runs: None
) -> Iterator[Listener]:
    """Progress callbacks for work on many runs, whose missing traces are recorded first.

    `on_found` is called with the runs before, and may raise where their results cannot be written.
    """
    with _progress_bar() as bar:
        recording = Task(bar, bar.add_task("rolling out", total=None, visible=False, ends=None))
        working = Task(bar, bar.add_task(doing, total=None, visible=False, ends=None))

        def on_remaining(seconds: float) -> None:
            for each in (recording, working):
                each.expect(seconds)

        yield Listener(
            tell=working.print,
            on_found=on_found,
            on_estimate=lambda missing, seconds: working.print(_estimate(missing, seconds)),
            on_recording=recording,
            on_run=working,
            on_remaining=on_remaining,
        )


def assess_with_progress(
    targets: list[Path],
    options: "RolloutOptions",
    traces: Path | None,
    jobs: int | None,
    labels: str,
    on_found: Callable[[Sequence["Run"]], object] = lambda runs: None,
) -> list["Run | Failed"]:
    """Assess runs, as `rollout.run.assess_all`; `on_found` as for `listener`."""
    from glassviz.rollout.run import assess_all

    with listener("assessing", on_found) as callbacks:
        return assess_all(targets, options, traces, jobs, labels, callbacks)


def record_with_progress(
    targets: list[Path],
    options: "RolloutOptions",
    folder: Path | None = None,
    labels: str = "learned",
    on_found: Callable[[Sequence["Run"]], object] = lambda runs: None,
) -> list["Run"]:
    """The traces of checkpoints, as `rollout.traces.traces_of`; `on_found` as for `listener`."""
    from glassviz.rollout.traces import traces_of

    with listener("rolling out", on_found) as callbacks:
        return traces_of(targets, options, folder, labels, replace(callbacks, on_estimate=None))


def _progress_bar() -> "Progress":
    """A bar on standard error; without a terminal only printed lines appear."""
    from rich import progress
    from rich.text import Text

    class _Eta(progress.ProgressColumn):
        """The time left, as the task was told it."""

        def render(self, task: "progress.Task") -> Text:
            ends = task.fields["ends"]
            if ends is None or task.finished:
                return Text("ETA -:--:--" if ends is None else "ETA 0:00:00")
            left_s = max(0, round(ends - time.monotonic()))
            return Text(f"ETA {timedelta(seconds=left_s)}")

    console = terminal.console(err=True, otherwise=None)
    return progress.Progress(
        progress.TextColumn("{task.description}", markup=False),  # It may contain file names.
        progress.BarColumn(),
        progress.MofNCompleteColumn(),
        progress.TimeElapsedColumn(),
        _Eta(),
        console=console,
        disable=not console.is_terminal,
    )


def _estimate(missing: int, seconds: float) -> str:
    """The number of missing traces, and the time that recording them takes."""
    time = f"{seconds:.0f} s" if seconds < 90 else f"{seconds / 60:.0f} min"
    if missing == 1:
        return f"1 trace is missing: recording it takes about {time}"
    return f"{missing} traces are missing: recording them takes about {time}"
