"""`glassviz rollout`, and the options of a roll-out that other commands share."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

if TYPE_CHECKING:
    from glassviz.runs import Recording, RolloutOptions

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
    from glassviz.runs import RolloutOptions

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
    for recording in record(targets, options, out):
        typer.echo(describe_returns(recording))


def controllers(choice: ControllerChoice) -> tuple[Literal["mppi", "pi"], ...]:
    """The controllers that a `--controller` option names."""
    return ("mppi", "pi") if choice == "both" else (choice,)


def record(
    targets: list[Path],
    options: "RolloutOptions",
    folder: Path | None = None,
    labels: str = "learned",
) -> list["Recording"]:
    """The traces of `targets`, with a progress bar while missing ones are recorded."""
    from functools import partial

    from glassviz.cli.progress import progress_bar
    from glassviz.runs import TRACE_FOLDER, traces_of

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


def describe_returns(recording: "Recording") -> str:
    """One line: file, controller, return of each episode."""
    trace = recording.trace
    returns = " ".join(f"{value:.1f}" for value in trace.returns)
    return (
        f"{recording.path}: {trace.header['controller']}, {trace.episodes} episodes of "
        f"{trace.frames} frames, mean return {trace.returns.mean():.1f} ({returns})"
    )
