"""Options that several commands share, each defined once, and their translation for the library."""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer
from typer.core import TyperCommand

from glassviz.agents.config import MAX_EPISODE_STEPS, MAX_HORIZON, MAX_ITERATIONS, MAX_SAMPLES
from glassviz.cli import terminal
from glassviz.environment import check_jax, check_variables
from glassviz.errors import UsageError
from glassviz.rollout.batch import Failed, file_stem

if TYPE_CHECKING:
    from glassviz.rollout.run import Run
    from glassviz.rollout.traces import RolloutOptions

RENDERS = Path("renders")
"""Default folder of films, figures and reports."""

WITHOUT_LIBRARIES = ("doctor", "explain", "recipes", "curves")
"""Commands that import neither JAX nor MuJoCo, or report what is wrong with these themselves."""

ControllerName = Literal["mppi", "pi"]
ControllerChoice = Literal["mppi", "pi", "both"]

# Inputs
Runs = Annotated[
    list[Path],
    typer.Argument(
        metavar="RUN",
        help="Checkpoint, trace, run folder, or a folder or pattern of these.",
    ),
]
OneRun = Annotated[Path, typer.Argument(metavar="RUN", help="Checkpoint, trace or run folder.")]
Checkpoint = Annotated[Path, typer.Argument(metavar="CKPT", help="Checkpoint file.")]

# Roll-outs
Episodes = Annotated[
    int, typer.Option(help="Episodes per controller, each from its own reset.", min=1)
]
_controller = typer.Option(help="Which controller: mppi (planner), pi (policy prior) or both.")
Controller = Annotated[ControllerChoice, _controller]
OptionalController = Annotated[ControllerChoice | None, _controller]
OneController = Annotated[
    ControllerName, typer.Option(help="Which controller: mppi (planner) or pi (policy prior).")
]
_seed = typer.Option(help="Seed of resets and planning.", min=0)
Seed = Annotated[int, _seed]
OptionalSeed = Annotated[int | None, _seed]
Steps = Annotated[
    int | None,
    typer.Option(
        help="Frames per episode; by default the whole episode.", min=1, max=MAX_EPISODE_STEPS
    ),
]
Traces = Annotated[
    Path | None,
    typer.Option(
        help="Folder of traces; by default renders/traces, or the user's cache folder where that "
        "cannot be written."
    ),
]
Labels = Annotated[
    str,
    typer.Option(
        metavar="learned|fitted|FILE",
        help="Which labels: learned by the agent, fitted by `glassviz fit`, or read from a file.",
    ),
]
Episode = Annotated[
    int | None,
    typer.Option(
        help="Episode to show, counted from 1; by default the one with the median return.", min=1
    ),
]
Jobs = Annotated[
    int | None,
    typer.Option(
        help="Worker processes; by default one per core, or fewer if there are few traces.", min=1
    ),
]

# Planner and physics, where they differ from the checkpoint's
Samples = Annotated[
    int | None,
    typer.Option(help="Action sequences per planner iteration.", min=1, max=MAX_SAMPLES),
]
Horizon = Annotated[
    int | None, typer.Option(help="Steps that the planner looks ahead.", min=1, max=MAX_HORIZON)
]
Iterations = Annotated[
    int | None, typer.Option(help="Planner iterations per step.", min=1, max=MAX_ITERATIONS)
]
Precision = Annotated[
    Literal["float32", "bfloat16"] | None,
    typer.Option(help="Precision of the matrix products in planning."),
]
Physics = Annotated[
    Literal["dm_control", "playground"] | None,
    typer.Option(help="Physics profile; by default the checkpoint's."),
]

# Outputs
FigureFile = Annotated[
    Path, typer.Option("--out", "-o", help="Figure to write: a .png, .svg or .pdf file.")
]
Overwrite = Annotated[bool, typer.Option("--overwrite", help="Replace existing files.")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON instead of text.")]
Csv = Annotated[
    bool, typer.Option("--csv", help="Print one CSV row per run and controller instead of text.")
]


class Command(TyperCommand):
    """A command whose help lists options under their headings (`rich_help_panel`)."""

    def invoke(self, ctx: Any) -> Any:
        """Run the command, unless a variable keeps the libraries that it needs from being loaded.

        Raises:
            UsageError: a variable is wrong.
        """
        if self.name not in WITHOUT_LIBRARIES:
            check_variables()
            check_jax()
        return super().invoke(ctx)

    def get_short_help_str(self, limit: int = 0) -> str:
        """The first line of the help, in full."""
        return (self.help or "").partition("\n")[0]

    def format_options(self, ctx: Any, formatter: Any) -> None:
        """Write arguments and options, those without a heading first."""
        sections: dict[str, list[tuple[str, str]]] = {"Arguments": [], "Options": []}
        for parameter in self.get_params(ctx):
            plain = "Arguments" if parameter.param_type_name == "argument" else "Options"
            heading = getattr(parameter, "rich_help_panel", None) or plain
            if record := parameter.get_help_record(ctx):
                sections.setdefault(heading, []).append(record)
        for heading, records in sections.items():
            if records:
                with formatter.section(heading):
                    formatter.write_dl(records)


def rollout_options(controller: ControllerChoice, **options: Any) -> "RolloutOptions":
    """What `--controller` and other options of roll-outs ask for."""
    from glassviz.rollout.traces import RolloutOptions

    return RolloutOptions(controllers=controllers(controller), **options)


def output_path(
    kind: str,
    runs: Sequence["Run"],
    options: "RolloutOptions",
    suffix: str,
    words: Sequence[str] = (),
    episodes: int = 10,
) -> Path:
    """The default file of an output: its name says what is in it.

    Args:
        kind: begins the name; may be empty.
        words: that follow the names of the runs.
        episodes: the default of --episodes.
    """
    names = list(dict.fromkeys(run.name for run in runs))
    if len(names) > 2:
        names = [names[0], f"and-{len(names) - 1}-more"]
    beside = settings_words(runs, options, episodes)
    return RENDERS / f"{file_stem(*filter(None, [kind]), *names, *words, *beside)}{suffix}"


def settings_words(
    runs: Sequence["Run"], options: "RolloutOptions", episodes: int = 10
) -> list[str]:
    """What sets roll-outs apart from those without options, as parts of a file's name.

    Nothing for recorded traces, which the options do not change.
    """
    if not any(run.checkpoint for run in runs):
        return []
    words = [f"seed{options.seed}"] if options.seed else []
    if options.episodes != episodes:
        words.append("1episode" if options.episodes == 1 else f"{options.episodes}episodes")
    for name in ("steps", "samples", "horizon", "iterations"):
        if (value := getattr(options, name)) is not None:
            words.append(f"{value}{name}")
    return [*words, *filter(None, (options.precision, options.physics))]


def controllers(choice: ControllerChoice) -> tuple[ControllerName, ...]:
    """The controllers that `--controller` selects."""
    return ("mppi", "pi") if choice == "both" else (choice,)


def refuse_both(command: str, to_json: bool, to_csv: bool) -> None:
    """Refuse --json together with --csv.

    Raises:
        UsageError: both are given.
    """
    if to_json and to_csv:
        raise UsageError(f"{command}: --json and --csv exclude each other: drop one")


def refuse_clash(command: str, paths: Sequence[Path]) -> None:
    """Refuse several outputs with the same file name.

    Raises:
        UsageError: two of `paths` are the same.
    """
    for path in paths:
        if paths.count(path) > 1:
            raise UsageError(
                f"{command}: {paths.count(path)} of {len(paths)} outputs would be written to "
                f"{path}: run the command once per input, each with its own --out"
            )


def tell_failures(rows: Iterable[object]) -> None:
    """Print why runs failed, on standard error; for commands without a table of them."""
    for row in rows:
        if isinstance(row, Failed):
            terminal.tell(f"error: {row.error}")


def exit_on_failures(rows: Iterable[object]) -> None:
    """Exit with 1 if a run failed; the others have been processed and printed.

    Raises:
        typer.Exit: a row is `Failed`.
    """
    if any(isinstance(row, Failed) for row in rows):
        raise typer.Exit(1)
