"""Options that several commands share, each defined once, and their translation for the library."""

import inspect
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial, wraps
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, get_type_hints

import typer
from typer.core import TyperCommand

from glassviz.agents.config import (
    MAX_ACTION_REPEAT,
    MAX_EPISODE_STEPS,
    MAX_HORIZON,
    MAX_ITERATIONS,
    MAX_SAMPLES,
    UNSAID,
    Layout,
    Unsaid,
)
from glassviz.cli import terminal
from glassviz.environment import check_jax, check_variables
from glassviz.errors import GlassvizError, UsageError
from glassviz.files import DiskFullError, check_target, replacing
from glassviz.rollout.batch import Failed, file_stem, for_each
from glassviz.text import printable

if TYPE_CHECKING:
    from glassviz.figures.style import FigureStyle
    from glassviz.rollout.run import Run
    from glassviz.rollout.traces import RolloutOptions

RENDERS = Path("renders")
"""Default folder of films, figures and reports."""

WITHOUT_LIBRARIES = ("doctor", "explain", "recipes", "curves", "ledger")
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
UpToEpisodes = Annotated[
    int | None,
    typer.Option(
        help="Episodes per controller, each from its own reset; by default up to 10, and fewer if "
        "gait, labels and basin are settled before: the rest cannot change them, or the first five "
        "or more agree.",
        min=1,
    ),
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

# Films and pictures
Size = Annotated[
    str | None,
    typer.Option(
        "--size",
        metavar="WxH",
        help="Width and height in pixels, of each picture where a film shows several.",
    ),
]
Clip = Annotated[
    str | None,
    typer.Option(
        "--clip", metavar="START-END", help="Part of the episode to show, in seconds, such as 4-10."
    ),
]
Background = Annotated[
    Literal["sky", "plain", "white"],
    typer.Option(
        help="Behind the body: sky and a chequered floor, plain (wall and floor of one colour "
        "each), or white with a line for the floor."
    ),
]
Quality = Annotated[
    Literal["fast", "full"] | None,
    typer.Option(
        help="full draws shadows, reflections and smooth edges, fast none of these; by default "
        "what suits the machine."
    ),
]

# Outputs
Names = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE.toml",
        help="Names of runs and labels to show: a .toml file, see docs/names.md.",
    ),
]
FigureFile = Annotated[
    Path, typer.Option("--out", "-o", help="Figure to write: a .png, .svg or .pdf file.")
]
Overwrite = Annotated[bool, typer.Option("--overwrite", help="Replace existing files.")]
Brief = Annotated[
    bool, typer.Option("--brief", help="Print the table alone, without remarks and notes.")
]
Sort = Annotated[
    str | None,
    typer.Option(
        metavar="COLUMN",
        help="Sort the table by a column: numbers from the highest, words by alphabet.",
    ),
]
Latex = Annotated[
    Path | None,
    typer.Option(
        "--latex",
        metavar="FILE.tex",
        help="Also write the table to this file, as LaTeX for the package booktabs.",
    ),
]
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


# Figures

_FIGURE = "Figures"

_STYLE_OPTIONS: dict[str, tuple[Any, Any]] = {
    "no_title": (
        Annotated[
            bool,
            typer.Option(
                "--no-title",
                help="Leave out the title, where there is one.",
                rich_help_panel=_FIGURE,
            ),
        ],
        False,
    ),
    "no_caption": (
        Annotated[
            bool,
            typer.Option(
                "--no-caption",
                help="Leave out the caption, and write it beside the figure, to FILE.caption.txt.",
                rich_help_panel=_FIGURE,
            ),
        ],
        False,
    ),
    "caption_file": (
        Annotated[
            bool,
            typer.Option(
                "--caption-file",
                help="Write the caption beside the figure too.",
                rich_help_panel=_FIGURE,
            ),
        ],
        False,
    ),
    "no_legend": (
        Annotated[
            bool, typer.Option("--no-legend", help="Leave out legends.", rich_help_panel=_FIGURE)
        ],
        False,
    ),
    "width": (
        Annotated[
            str | None,
            typer.Option(
                metavar="85mm|180mm|LENGTH",
                help="Width in mm, cm or in; by default that of a column, or of a page.",
                rich_help_panel=_FIGURE,
            ),
        ],
        None,
    ),
    "font": (
        Annotated[
            str | None,
            typer.Option(
                metavar="NAME[/SIZE]",
                help="Font, and its size in points, at which axes are labelled; other texts and "
                "lines grow with it.",
                rich_help_panel=_FIGURE,
            ),
        ],
        None,
    ),
    "dpi": (
        Annotated[
            int,
            typer.Option(
                help="Resolution of a PNG, and of pictures in a PDF or SVG, dots per inch.",
                min=50,
                max=1200,
                rich_help_panel=_FIGURE,
            ),
        ],
        300,
    ),
}

_LENGTH = re.compile(r"(\d+(?:\.\d*)?)\s*(mm|cm|in)", re.ASCII)
_MILLIMETRES = {"mm": 1.0, "cm": 10.0, "in": 25.4}

NARROWEST_MM, WIDEST_MM = 60.0, 400.0
SMALLEST_FONT, LARGEST_FONT = 4.0, 30.0


@dataclass(frozen=True)
class Figures:
    """What the options of figures ask for.

    Attributes:
        caption_file: whether the caption is written beside the figure.
    """

    style: "FigureStyle"
    caption_file: bool

    def check(self, path: Path, overwrite: bool) -> None:
        """Check in advance that the caption of a figure can be written, if it will be.

        Raises:
            GlassvizError: it cannot.
        """
        if self.caption_file:
            check_target(caption_path(path), overwrite)

    def save_caption(self, path: Path, caption: str, overwrite: bool) -> None:
        """Write the caption beside a figure, if asked for.

        Raises:
            GlassvizError: it cannot be written.
        """
        if self.caption_file:
            check_target(caption_path(path), overwrite)
            with replacing(caption_path(path)) as partial:
                partial.write_text(f"{caption}\n", encoding="utf-8", newline="")


def caption_path(figure: Path) -> Path:
    """The file of a figure's caption."""
    return figure.with_suffix(".caption.txt")


def with_figure_options(*panels: str) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Give a command the options of figures, and what they ask for as its `figures`.

    `panels` are those that --panels chooses from; without any, the command lacks that option.
    """
    found = dict(_STYLE_OPTIONS)
    if panels:
        chosen = typer.Option(
            metavar=",".join(panels),
            help="Which panels to draw, separated by commas; by default all that apply.",
            rich_help_panel=_FIGURE,
        )
        found["panels"] = Annotated[str | None, chosen], None

    return _with_options(found, "figures", partial(_figures, panels))


_UNSAID = "What a checkpoint of others does not say"

_AGENT_OPTIONS: dict[str, tuple[Any, Any]] = {
    "task": (
        Annotated[
            list[str] | None,
            typer.Option(
                metavar="TASK",
                help="Task of the agent, such as walker-run; of a multitask agent, which to take, "
                "may be repeated.",
                rich_help_panel=_UNSAID,
            ),
        ],
        None,
    ),
    "action_repeat": (
        Annotated[
            int | None,
            typer.Option(
                help="Physics steps per decision; by default 2 for TD-MPC2, 1 for TD-MPC-Glass.",
                min=1,
                max=MAX_ACTION_REPEAT,
                rich_help_panel=_UNSAID,
            ),
        ],
        None,
    ),
    "episode_steps": (
        Annotated[
            int | None,
            typer.Option(
                help="Decisions per episode, which the discount follows; by default 500 for "
                "TD-MPC2, 1000 for TD-MPC-Glass.",
                min=1,
                max=MAX_EPISODE_STEPS,
                rich_help_panel=_UNSAID,
            ),
        ],
        None,
    ),
    "layout": (
        Annotated[
            Layout | None,
            typer.Option(
                help="How a .pt file names its parameters, where that is not recognised; in A, "
                "observations pass through symlog.",
                rich_help_panel=_UNSAID,
            ),
        ],
        None,
    ),
}


def with_agent_options(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command that reads checkpoints the options of what these do not say, as `unsaid`."""
    return _with_options(_AGENT_OPTIONS, "unsaid", _unsaid)(command)


def _unsaid(task: list[str] | None, **others: Any) -> Unsaid:
    return Unsaid(tuple(task or ()), **others)


def _with_options(
    added: Mapping[str, tuple[Any, Any]], name: str, make: Callable[..., Any]
) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Give a command options, and what `make` makes of them as its argument `name`.

    Args:
        added: annotation and default of each option.
    """

    def decorated(command: Callable[..., None]) -> Callable[..., None]:
        @wraps(command)
        def run(**arguments: Any) -> None:
            given = {option: arguments.pop(option) for option in added}
            command(**arguments, **{name: make(**given)})

        kind = inspect.Parameter.KEYWORD_ONLY
        own = [
            each.replace(kind=kind)
            for each in inspect.signature(command).parameters.values()
            if each.name != name
        ]
        options = [
            inspect.Parameter(option, kind, default=default, annotation=annotation)
            for option, (annotation, default) in added.items()
        ]
        hints = get_type_hints(command, include_extras=True)
        hints |= {option: annotation for option, (annotation, _) in added.items()}
        run.__signature__ = inspect.Signature([*own, *options])  # type: ignore[attr-defined]
        run.__annotations__ = {each: hint for each, hint in hints.items() if each != name}
        return run

    return decorated


def _figures(
    known: Sequence[str],
    no_title: bool,
    no_caption: bool,
    caption_file: bool,
    no_legend: bool,
    width: str | None,
    font: str | None,
    dpi: int,
    panels: str | None = None,
) -> Figures:
    """What the options of figures ask for.

    Raises:
        UsageError: one is not understood, or a figure would be too narrow for its texts.
    """
    from glassviz.figures.style import FONT, FONT_SIZE, FigureStyle, check_font

    name, size = _font(font) if font else (FONT, FONT_SIZE)
    check_font(name)
    width_mm = _width(width) if width else None
    least = NARROWEST_MM * size / FONT_SIZE
    if width_mm is not None and not least <= width_mm <= WIDEST_MM:
        raise UsageError(
            f"--width: expected {least:.0f} to {WIDEST_MM:g} mm for a font of {size:g} points, "
            f"found {width}"
        )
    style = FigureStyle(
        title=not no_title,
        caption=not no_caption,
        legend=not no_legend,
        panels=_panels(panels, known) if panels is not None else None,
        width_mm=width_mm,
        font=name,
        font_size=size,
        dpi=dpi,
    )
    return Figures(style, caption_file or no_caption)


def _panels(text: str, known: Sequence[str]) -> tuple[str, ...]:
    names = tuple(dict.fromkeys(name.strip() for name in text.split(",")))
    unknown = [name for name in names if name not in known]
    if unknown:
        raise UsageError(
            f"--panels: expected some of {', '.join(known)}, separated by commas, found "
            f"{', '.join(map(repr, unknown))}"
        )
    return names


def _width(text: str) -> float:
    match = _LENGTH.fullmatch(text.strip())
    if not match:
        raise UsageError(f"--width: expected a length such as 85mm, 18cm or 3.3in, found {text!r}")
    return float(match[1]) * _MILLIMETRES[match[2]]


def _font(text: str) -> tuple[str, float]:
    from glassviz.figures.style import FONT, FONT_SIZE

    name, slash, size = text.partition("/")
    if not slash:
        return name.strip() or FONT, FONT_SIZE
    try:
        points = float(size)
    except ValueError:
        points = 0.0
    if not SMALLEST_FONT <= points <= LARGEST_FONT:
        raise UsageError(
            f"--font: expected a name and a size of {SMALLEST_FONT:g} to {LARGEST_FONT:g} points "
            f"such as Arial/8, found {text!r}"
        )
    return name.strip() or FONT, points


def rollout_options(
    controller: ControllerChoice, unsaid: Unsaid = UNSAID, **options: Any
) -> "RolloutOptions":
    """What `--controller`, options of the agent and other options of roll-outs ask for.

    With `episodes` None, as many as it takes to settle the verdicts.
    """
    from glassviz.metrics.stopping import MOST
    from glassviz.rollout.traces import RolloutOptions

    if options.get("episodes", MOST) is None:
        options |= {"episodes": MOST, "early": True}
    return RolloutOptions(controllers=controllers(controller), unsaid=unsaid, **options)


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
    tasks = options.unsaid.tasks
    words = [task for task in tasks[:2] if not all(task in run.name for run in runs)]
    words += [f"{len(tasks)}tasks"] if len(tasks) > 2 else []
    words += [f"seed{options.seed}"] if options.seed else []
    if options.episodes != episodes:
        words.append("1episode" if options.episodes == 1 else f"{options.episodes}episodes")
    for name in ("steps", "samples", "horizon", "iterations"):
        if (value := getattr(options, name)) is not None:
            words.append(f"{value}{name}")
    return [*words, *filter(None, (options.precision, options.physics))]


_SIZE = re.compile(r"(\d{1,5})\s*[x×]\s*(\d{1,5})", re.ASCII | re.IGNORECASE)
_CLIP = re.compile(r"\s*(\d+(?:\.\d*)?|\.\d+)\s*-\s*(\d+(?:\.\d*)?|\.\d+)\s*", re.ASCII)


def picture_size(text: str) -> tuple[int, int]:
    """The width and height that `--size` asks for, pixels.

    Raises:
        UsageError: it is not understood.
    """
    match = _SIZE.fullmatch(text.strip())
    if not match:
        raise UsageError(f"--size: expected width x height such as 640x480, found {text!r}")
    return int(match[1]), int(match[2])


def part_of_episode(text: str) -> tuple[float, float]:
    """The start and end that `--clip` asks for, s.

    Raises:
        UsageError: it is not understood, or empty.
    """
    match = _CLIP.fullmatch(text)
    start, end = (float(match[1]), float(match[2])) if match else (0.0, 0.0)
    if start >= end:
        raise UsageError(f"--clip: expected start and end in seconds such as 4-10, found {text!r}")
    return start, end


def check_part(runs: Iterable["Run"], part_s: tuple[float, float] | None) -> None:
    """Refuse a part of the episode that a run does not have, before it is recorded.

    Raises:
        UsageError: there is one.
    """
    from glassviz.video.film import frames_between

    if part_s is None:
        return
    for run in runs:
        frames = run.frames // (run.episodes or len(run.header["reset_seeds"]))
        try:
            frames_between(part_s, run.frame_dt_s, frames)
        except UsageError as error:
            raise UsageError(f"{printable(run.name)}: {error}") from None


def film_words(
    part_s: tuple[float, float] | None, size: tuple[int, int] | None, background: str
) -> list[str]:
    """What sets a film apart from one without options, as parts of a file's name."""
    words = [f"{part_s[0]:g}-{part_s[1]:g}s"] if part_s else []
    words += [f"{size[0]}x{size[1]}"] if size else []
    return words + ([background] if background != "sky" else [])


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


def check_table(
    command: str, titles: Sequence[str], sort: str | None, brief: bool, no_table: bool
) -> None:
    """Refuse options of a table that it cannot follow, or that is not printed.

    Args:
        no_table: whether JSON or CSV is printed instead.

    Raises:
        UsageError: `sort` is no title, or there is no table.
    """
    from glassviz.cli.listing import check_column

    check_column(sort, titles)
    for name, given in (("--sort", sort is not None), ("--brief", brief)):
        if given and no_table:
            raise UsageError(f"{command}: {name} is of the table, found --json or --csv: drop one")


def check_latex(path: Path | None, overwrite: bool) -> None:
    """Check in advance that a table can be written as LaTeX, if it will be.

    Raises:
        UsageError: the file is not named as one.
        GlassvizError: it exists, or cannot be written.
    """
    if path is None:
        return
    if path.suffix.lower() != ".tex":
        raise UsageError(f"--latex: expected a name that ends in .tex, found {path}")
    check_target(path, overwrite)


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


def each_by_itself(
    rows: Sequence["Run | Failed"], work: Callable[["Run"], object]
) -> list["Run | Failed"]:
    """Do something with every run: one that fails does not stop the others.

    Returns:
        The rows, with what failed.

    Raises:
        GlassvizError: there is but one, or the disk is full, which stops all.
    """

    def failed(run: "Run", error: GlassvizError) -> Failed:
        if len(rows) == 1 or isinstance(error, DiskFullError):
            raise error
        return run.failed(error)

    done = for_each(rows, work, failed)
    return [each if isinstance(each, Failed) else row for each, row in zip(done, rows, strict=True)]


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
