"""One progress bar for all long work: with an ETA on a terminal, silent elsewhere."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.progress import Progress


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
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("ETA"),
        TimeRemainingColumn(),
        console=console,
        disable=not console.is_terminal,
    )


def told_estimate(missing: int, seconds: float) -> str:
    """How many traces are missing, and how long it takes to record them."""
    time = f"{seconds:.0f} s" if seconds < 90 else f"{seconds / 60:.0f} min"
    if missing == 1:
        return f"1 trace is missing: recording it takes about {time}"
    return f"{missing} traces are missing: recording them takes about {time}"
