"""One progress bar for all long work: with an ETA on a terminal, silent elsewhere."""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING

from glassviz.rollout.batch import Listener

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID


def progress_bar() -> "Progress":
    """A bar on standard error; where that is no terminal, only what is printed to it shows."""
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )

    console = Console(stderr=True)
    return Progress(
        TextColumn("{task.description}", markup=False),  # It may name files.
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("ETA"),
        TimeRemainingColumn(),
        console=console,
        disable=not console.is_terminal,
    )


@contextmanager
def listener(doing: str) -> Iterator[Listener]:
    """Show on a bar how the work on many runs goes, with an estimate before any is recorded.

    Args:
        doing: what is done with each run, as in "assessing".
    """
    with progress_bar() as bar:
        recording = bar.add_task("rolling out", total=None, visible=False)
        working = bar.add_task(doing, total=None, visible=False)

        def tell(line: str) -> None:
            bar.console.print(line, highlight=False, markup=False, soft_wrap=True)

        def show(task: "TaskID", done: int, total: int) -> None:
            bar.update(task, completed=done, total=total, visible=True)

        yield Listener(
            tell=tell,
            on_estimate=lambda missing, seconds: tell(_estimate(missing, seconds)),
            on_recording=partial(show, recording),
            on_run=partial(show, working),
        )


def _estimate(missing: int, seconds: float) -> str:
    """How many traces are missing, and how long it takes to record them."""
    time = f"{seconds:.0f} s" if seconds < 90 else f"{seconds / 60:.0f} min"
    if missing == 1:
        return f"1 trace is missing: recording it takes about {time}"
    return f"{missing} traces are missing: recording them takes about {time}"
