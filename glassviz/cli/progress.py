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
from glassviz.text import count_of, printable

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

    from glassviz.metrics.stability import RunStability
    from glassviz.rollout.names import Names
    from glassviz.rollout.run import Run
    from glassviz.rollout.traces import RolloutOptions


EVERY_S = 30.0
"""Seconds between lines of progress where there is no terminal."""


@dataclass
class Task:
    """One line of a progress bar; call it with steps done and in all.

    Without a terminal it is a line of text every half minute.

    Attributes:
        what: the work, as "rolling out".
        facts: what else is known of it, as the rate of a training; shown behind the bar.
    """

    bar: "Progress"
    id: "TaskID"
    what: str = ""
    facts: str = ""
    remaining: Remaining | None = None
    told: bool = False
    since: float = field(default_factory=time.monotonic)
    ends: float | None = None
    begun_at: int = 0
    lined: float = field(default_factory=time.monotonic)

    def __call__(self, done: int, total: int) -> None:
        """Move on."""
        done = min(done, total)
        if not self.told:
            clock = time.monotonic
            self.remaining = self.remaining or Remaining(
                [("step", total)], now=clock, since=self.since
            )
            self.expect(self.remaining(done))
        self.told = False
        self.bar.update(self.id, completed=done, total=total, visible=True, facts=self.facts)
        if not self.bar.console.is_terminal and time.monotonic() - self.lined >= EVERY_S:
            self.lined = time.monotonic()
            self.print(self._line(done, total))

    def _line(self, done: int, total: int) -> str:
        """Where it is, how fast, and how long it will take: `rolling out: 120 of 1,000, …`."""
        now = time.monotonic()
        rate = (done - self.begun_at) / max(now - self.since, 1e-9)
        left_s = max(0, round((self.ends or now) - now))
        facts = f", {self.facts}" if self.facts else f", {rate:.3g} per s"
        return f"{self.what}: {done:,} of {total:,}{facts}, ETA {timedelta(seconds=left_s)}"

    def expect(self, seconds: float) -> None:
        """Show that so many seconds are left, for steps that take different times."""
        self.told = True
        self.ends = time.monotonic() + seconds
        self.bar.update(self.id, ends=self.ends)

    def begin(self, doing: str) -> "Task":
        """Start again with other work."""
        self.remaining, self.since, self.begun_at = None, time.monotonic(), 0
        self.what = printable(doing)
        self.bar.update(self.id, description=self.what, completed=0, total=None, ends=None)
        return self

    def print(self, line: str) -> None:
        """Print a line above the bar."""
        # No markup: lines may contain text from files.
        self.bar.console.print(terminal.clean(line), markup=False, soft_wrap=True)


@contextmanager
def task(doing: str, done: int = 0, total: int | None = None) -> Iterator[Task]:
    """Show one task, as "filming hop.mp4", while the block runs, from `done` of `total` steps."""
    with _progress_bar() as bar:
        name = printable(doing)
        yield Task(
            bar,
            bar.add_task(name, completed=done, total=total, ends=None, facts=""),
            name,
            begun_at=done,
        )


@contextmanager
def listener(
    doing: str,
    on_found: Callable[[Sequence["Run"]], object] = lambda runs: None,
    names: "Names | None" = None,
    rows: bool = False,
) -> Iterator[Listener]:
    """Progress callbacks for work on many runs, whose missing traces are recorded first.

    `on_found` is called with the runs before, under their shown `names`, and may raise where their
    results cannot be written. With `rows`, a line tells what the first episode of each run shows,
    and another what all of them do.
    """
    from glassviz.report.phrases.verdicts import row_line

    with _progress_bar() as bar:
        recording, working = (
            Task(bar, bar.add_task(name, total=None, visible=False, ends=None, facts=""), name)
            for name in ("rolling out", doing)
        )
        found: list[Run] = []

        def on_remaining(seconds: float) -> None:
            for each in (recording, working):
                each.expect(seconds)

        def on_row(run: "Run", known: "RunStability", done: bool) -> None:
            if done or len(known.episodes) == 1:
                working.print(row_line(run.name, known, done))

        def check(runs: Sequence["Run"]) -> None:
            found[:] = [run for run in runs if not run.reused]
            if names:
                names.apply(runs, working.print)
            on_found(runs)

        with terminal.if_interrupted(lambda: kept_traces(found)):
            yield Listener(
                tell=working.print,
                on_found=check,
                on_estimate=lambda missing, seconds: working.print(_estimate(missing, seconds)),
                on_recording=recording,
                on_row=on_row if rows else None,
                on_run=working,
                on_remaining=on_remaining,
            )


def kept_traces(missing: Sequence["Run"]) -> str:
    """What an interruption leaves of traces that were missing; empty if none was."""
    if not missing:
        return ""
    kept = sum(run.trace_path.exists() for run in missing)
    return (
        f"kept: {kept} of {count_of(len(missing), 'missing trace')}, in "
        f"{missing[0].trace_path.parent}; the same command records what is missing"
    )


def assess_with_progress(
    targets: list[Path],
    options: "RolloutOptions",
    traces: Path | None,
    jobs: int | None,
    labels: str,
    on_found: Callable[[Sequence["Run"]], object] = lambda runs: None,
    names: Path | None = None,
) -> list["Run | Failed"]:
    """Assess runs, as `rollout.run.assess_all`; `on_found` as for `listener`; `names`: a file."""
    from glassviz.rollout.names import Names
    from glassviz.rollout.run import assess_all

    with listener("assessing", on_found, Names.load(names), rows=True) as callbacks:
        return assess_all(targets, options, traces, jobs, labels, callbacks)


def record_with_progress(
    targets: list[Path],
    options: "RolloutOptions",
    folder: Path | None = None,
    labels: str = "learned",
    on_found: Callable[[Sequence["Run"]], object] = lambda runs: None,
    names: Path | None = None,
) -> list["Run"]:
    """The traces of checkpoints, as `rollout.traces.traces_of`; the rest as for assessing."""
    from glassviz.rollout.names import Names
    from glassviz.rollout.traces import traces_of

    with listener("rolling out", on_found, Names.load(names)) as callbacks:
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
        progress.TextColumn("{task.fields[facts]}", markup=False),
        console=console,
        disable=not console.is_terminal,
    )


def _estimate(missing: int, seconds: float) -> str:
    """The number of missing traces, and the time that recording them takes."""
    time = f"{seconds:.0f} s" if seconds < 90 else f"{seconds / 60:.0f} min"
    if missing == 1:
        return f"1 trace is missing: recording it takes about {time}"
    return f"{missing} traces are missing: recording them takes about {time}"
