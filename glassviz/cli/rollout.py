"""Commands that roll out: rollout, evaluate."""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from glassviz.errors import UsageError

if TYPE_CHECKING:
    from glassviz.rollout.batch import Failed
    from glassviz.rollout.evaluate import Fresh
    from glassviz.rollout.run import Run
    from glassviz.rollout.traces import RolloutOptions


ControllerChoice = Literal["mppi", "pi", "both"]


Controllers = Annotated[
    ControllerChoice,
    typer.Option(help="Who acts: the planner (mppi), the policy prior alone (pi), or each."),
]


Seed = Annotated[int, typer.Option(help="Determines resets and planning.", min=0)]


Steps = Annotated[
    int | None, typer.Option(help="Frames per episode; the whole episode by default.", min=1)
]


Samples = Annotated[
    int | None, typer.Option(help="Action sequences per iteration of the planner.", min=1)
]


Horizon = Annotated[int | None, typer.Option(help="Steps that the planner looks ahead.", min=1)]


Iterations = Annotated[int | None, typer.Option(help="Iterations of the planner.", min=1)]


Physics = Annotated[
    Literal["dm_control", "playground"] | None,
    typer.Option(help="Physics profile; the checkpoint's own by default."),
]


Precision = Annotated[
    Literal["float32", "bfloat16"] | None,
    typer.Option(help="Number format that the planner computes its model in."),
]


def rollout(
    targets: Annotated[list[Path], typer.Argument(metavar="CKPT", help="Checkpoints to roll out.")],
    episodes: Annotated[int, typer.Option(help="Episodes, each from its own reset.", min=1)] = 10,
    controller: Controllers = "both",
    seed: Seed = 0,
    steps: Steps = None,
    samples: Samples = None,
    horizon: Horizon = None,
    iterations: Iterations = None,
    physics: Physics = None,
    precision: Precision = None,
    rule: Annotated[
        Literal["nearest-prototype", "soft"],
        typer.Option(help="How a latent gets its label."),
    ] = "nearest-prototype",
    out: Annotated[
        Path | None, typer.Option(help="Folder of the traces; renders/traces by default.")
    ] = None,
) -> None:
    """Run agents and record traces, from which all else is made.

    Both controllers start from identical resets. Traces that exist already are reused.
    """
    from glassviz.rollout.traces import RolloutOptions

    options = RolloutOptions(
        episodes=episodes,
        controllers=controllers(controller),
        seed=seed,
        steps=steps,
        samples=samples,
        horizon=horizon,
        iterations=iterations,
        precision=precision,
        physics=physics,
        rule=rule,
    )
    for run in record(targets, options, out):
        typer.echo(describe_returns(run))


def controllers(choice: ControllerChoice) -> tuple[Literal["mppi", "pi"], ...]:
    """The controllers that a `--controller` option names."""
    return ("mppi", "pi") if choice == "both" else (choice,)


def record(
    targets: list[Path],
    options: "RolloutOptions",
    folder: Path | None = None,
    labels: str = "learned",
) -> list["Run"]:
    """The traces of `targets`, with a progress bar while missing ones are recorded."""
    from functools import partial

    from glassviz.cli.progress import progress_bar
    from glassviz.rollout.traces import TRACE_FOLDER, traces_of

    with progress_bar() as bar:
        task = bar.add_task("rolling out", total=None, visible=False)
        return traces_of(
            targets,
            options,
            folder or TRACE_FOLDER,
            tell=partial(bar.console.print, highlight=False, markup=False, soft_wrap=True),
            on_progress=lambda done, total: bar.update(
                task, completed=done, total=total, visible=True
            ),
            labels=labels,
        )


def describe_returns(run: "Run") -> str:
    """One line: file, controller, return of each episode."""
    trace = run.trace
    returns = " ".join(f"{value:.1f}" for value in trace.returns)
    return (
        f"{run.trace_path}: {trace.header['controller']}, {trace.episodes} episodes of "
        f"{trace.frames} frames, mean return {trace.returns.mean():.1f} ({returns})"
    )


def evaluate(
    targets: Annotated[list[Path], typer.Argument(metavar="CKPT", help="Checkpoints to evaluate.")],
    episodes: Annotated[
        int, typer.Option(help="Episodes of each controller, each from its own reset.", min=1)
    ] = 20,
    controller: Controllers = "both",
    seed: Annotated[
        int | None,
        typer.Option(
            help="Determines resets and planning; 2000 by default, which training never uses.",
            min=0,
        ),
    ] = None,
    to_json: Annotated[
        bool, typer.Option("--json", help="Print JSON, with the return of every episode.")
    ] = False,
    to_csv: Annotated[bool, typer.Option("--csv", help="Print a row a controller as CSV.")] = False,
) -> None:
    """Measure returns on fresh episodes, and compare with the recorded ones.

    On the task's own reward, from the same resets for every checkpoint and controller. Checkpoints
    that cannot be evaluated are named in the table; the others are evaluated all the same.
    """
    if to_json and to_csv:
        raise UsageError("evaluate: expected one of --json and --csv, found both: leave one out")
    from glassviz.cli.progress import progress_bar
    from glassviz.report.documents import EVALUATION_COLUMNS, evaluation_dict, evaluation_row
    from glassviz.report.serialize import as_csv, as_json
    from glassviz.rollout.batch import Failed
    from glassviz.rollout.evaluate import FRESH_SEED, reevaluate

    with progress_bar() as bar:
        task = bar.add_task("evaluating", total=None)
        rows = reevaluate(
            targets,
            controllers(controller),
            episodes,
            FRESH_SEED if seed is None else seed,
            on_progress=lambda done, total: bar.update(task, completed=done, total=total),
        )
    if to_json:
        typer.echo(as_json([evaluation_dict(row) for row in rows]))
    elif to_csv:
        flat = [evaluation_row(row) for row in rows]
        typer.echo(as_csv(flat, EVALUATION_COLUMNS), nl=False)
    else:
        _print_table(rows)
    if any(isinstance(row, Failed) for row in rows):
        raise typer.Exit(1)


def _print_table(rows: Sequence["Fresh | Failed"]) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    from glassviz.rollout.batch import Failed
    from glassviz.rollout.evaluate import Fresh
    from glassviz.text import printable

    table = Table(box=None, padding=(0, 2, 0, 0), header_style="bold")
    table.add_column("checkpoint", overflow="fold")
    table.add_column("controller")
    for name in ("mean", "95 % interval", "min..max", "n", "recorded"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("fresh against recorded")
    for row in rows:
        # Text, not markup: names and errors come from files.
        path = Text(printable(str(row.target), limit=1000))
        if isinstance(row, Failed):
            failed = Text(f"failed: {printable(row.reason, limit=1000)}")
            table.add_row(path, row.controller or "", "", "", "", "", "", failed)
        else:
            table.add_row(path, row.controller, *_cells(row))
    # Into a file or a pipe a path must not be broken in two: columns as wide as they need to be.
    console = Console(highlight=False, width=None if sys.stdout.isatty() else 10_000)
    console.print(table)
    fresh = [row for row in rows if isinstance(row, Fresh)]
    for note in _notes(fresh):
        console.print(Text(note))


def _cells(row: "Fresh") -> tuple[str, ...]:
    """Mean, interval, range, number of episodes, recorded mean, comparison."""
    interval, returns = row.interval, row.evaluation.returns
    bounds = "" if interval.low is None else f"{interval.low:.0f} to {interval.high:.0f}"
    if row.recorded is None or row.above_recorded is None:
        recorded, comparison = "none", ""
    else:
        over = "" if row.recorded.episodes is None else f" (n={row.recorded.episodes})"
        recorded = f"{row.recorded.mean:.1f}{over}"
        side = "below" if row.above_recorded < 0 else "above"
        comparison = f"{abs(row.above_recorded):.1f} {side} the recorded"
        if row.recorded_place:
            comparison += f", which is {row.recorded_place} the interval"
    return (
        f"{interval.mean:.1f}",
        bounds,
        f"{min(returns):.0f}..{max(returns):.0f}",
        str(interval.count),
        recorded,
        comparison,
    )


def _notes(rows: Sequence["Fresh"]) -> list[str]:
    """What a reader of the table has to know."""
    notes = []
    if rows:
        notes.append(
            "Intervals are Student's t over the episodes of one trained agent: they say nothing "
            "about other seeds."
        )
    if any(row.recorded for row in rows):
        notes.append(
            "recorded: the evaluation in training at this checkpoint. For a checkpoint that was "
            "kept as the best it is a maximum over noisy evaluations, and fresh means tend to "
            "fall below it."
        )
    shared = max((row.shared_resets for row in rows), default=0)
    if shared:
        notes.append(
            f"Not all fresh: {shared} episodes start as a recorded evaluation did; take another "
            f"--seed."
        )
    return notes
