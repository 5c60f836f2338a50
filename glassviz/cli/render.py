"""`glassviz render`: films of single agents."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from glassviz.cli.options import (
    RENDERS,
    ControllerChoice,
    Horizon,
    Iterations,
    Labels,
    OptionalController,
    OptionalSeed,
    Overwrite,
    Physics,
    Precision,
    Samples,
    Steps,
    refuse_clash,
    rollout_options,
)
from glassviz.errors import UsageError
from glassviz.rollout.batch import file_stem

if TYPE_CHECKING:
    from glassviz.rollout.run import Run
    from glassviz.video.film import FilmOptions

Format = Literal["mp4", "gif", "webm"]
FORMATS: tuple[Format, ...] = ("mp4", "gif", "webm")


def render(
    targets: Annotated[
        list[Path],
        typer.Argument(metavar="CKPT|TRACE", help="Checkpoints to roll out, or traces (.npz)."),
    ],
    overlay_k: Annotated[
        bool,
        typer.Option(
            "--overlay-k", help="Draw cluster, controller, return and timeline over each frame."
        ),
    ] = False,
    controller: OptionalController = None,
    episodes: Annotated[
        int, typer.Option(help="Number of episodes to show, one after the other.", min=1)
    ] = 1,
    steps: Steps = None,
    seed: OptionalSeed = None,
    camera: Annotated[
        Literal["cam0", "back"], typer.Option(help="Follow from the side (cam0) or from behind.")
    ] = "cam0",
    size: Annotated[
        str, typer.Option(metavar="WxH", help="Picture size; with --side-by-side of each picture.")
    ] = "640x480",
    speed: Annotated[
        float, typer.Option(help="1 is real time, 0.5 slow motion. No frame is skipped.")
    ] = 1.0,
    quality: Annotated[
        Literal["fast", "full"] | None,
        typer.Option(
            help="full draws shadows, reflections and smooth edges; the default on a GPU."
        ),
    ] = None,
    format: Annotated[
        Format | None, typer.Option(help="File format; by default from --out, else mp4.")
    ] = None,
    side_by_side: Annotated[
        bool,
        typer.Option("--side-by-side", help="Show both controllers in one film, same resets."),
    ] = False,
    labels: Labels = "learned",
    out: Annotated[
        Path | None,
        typer.Option(help="Film to write; by default renders/<name>-<controller>.<format>."),
    ] = None,
    overwrite: Overwrite = False,
    samples: Samples = None,
    horizon: Horizon = None,
    iterations: Iterations = None,
    precision: Precision = None,
    physics: Physics = None,
) -> None:
    """Film agents, with the active cluster on every frame.

    Checkpoints are rolled out first; a trace of the same roll-out is reused. The controller is
    the planner by default, and the seed 0.

    \b
    Examples:
      glassviz render agent.safetensors --overlay-k
      glassviz render agent.safetensors --side-by-side --speed 0.5 --out both.mp4
    """
    from glassviz.video.film import FilmOptions

    given: dict[str, Any] = {
        "seed": seed,
        "samples": samples,
        "horizon": horizon,
        "iterations": iterations,
        "precision": precision,
        "physics": physics,
    }
    _refuse_for_traces(targets, given | {"controller": controller})
    options = FilmOptions(
        overlay_k=overlay_k,
        episodes=tuple(range(episodes)),
        steps=steps,
        camera=camera,
        size=_size(size),
        speed=speed,
        quality=quality,
        format=_format(format, out),
        side_by_side=side_by_side,
        overwrite=overwrite,
    )
    acting = _acting(controller, side_by_side and len(targets) == 1)
    planned = {"episodes": episodes, "steps": steps} | given | {"seed": seed or 0}
    for row, path in _recorded(targets, acting, planned, options, labels, out):
        _film(row, path, options)


def _recorded(
    targets: list[Path],
    acting: ControllerChoice,
    planned: dict[str, Any],
    options: "FilmOptions",
    labels: str,
    out: Path | None,
) -> list[tuple[list["Run"], Path]]:
    """The traces of each film, from left to right, and its file."""
    from glassviz.files import refuse_existing
    from glassviz.video.opengl import choose_backend

    if out:
        refuse_existing(out, options.overwrite)
    choose_backend()  # before the next imports: MuJoCo reads MUJOCO_GL when it is imported
    from glassviz.cli.progress import record_with_progress

    runs = record_with_progress(targets, rollout_options(acting, **planned), labels=labels)
    rows = [runs] if options.side_by_side else [[run] for run in runs]
    paths = [out or _default_path(row, options) for row in rows]
    refuse_clash("render", paths)
    return list(zip(rows, paths, strict=True))


def _film(row: list["Run"], path: Path, options: "FilmOptions") -> None:
    from glassviz.cli.progress import task
    from glassviz.report.phrases.numbers import film_facts
    from glassviz.video.film import film

    with task(f"filming {path.name}") as progress:
        report = film([run.trace for run in row], path, options, progress=progress)
    typer.echo(f"{path}: {film_facts(report)}")
    for line in (*(f"note: {note}" for note in report.notes), *_shown_returns(row, options)):
        typer.echo(f"  {line}")


def _shown_returns(row: list["Run"], options: "FilmOptions") -> list[str]:
    """The return of each episode, as its last frame in the film shows it."""
    shortest = min(run.trace.frames for run in row)
    shown = min(shortest, options.steps or shortest)
    return [
        f"{run.controller}, episode {episode + 1}: return "
        f"{run.trace.reward[episode, :shown].sum():.2f}"
        for run in row
        for episode in options.episodes or ()
    ]


def _default_path(row: list["Run"], options: "FilmOptions") -> Path:
    headers = [run.header for run in row]
    names = dict.fromkeys(header["checkpoint"]["name"] for header in headers)
    acting = dict.fromkeys(header["controller"] for header in headers)
    fitted = ["fitted"] if any(header["labels_from"] == "fitted" for header in headers) else []
    return RENDERS / f"{file_stem(*names, *acting, *fitted)}.{options.format}"


def _acting(controller: ControllerChoice | None, both_needed: bool) -> ControllerChoice:
    """The controllers to record; one agent side by side takes both."""
    if both_needed and controller in ("mppi", "pi"):
        raise UsageError(
            f"--side-by-side: one agent needs both controllers, found --controller {controller}: "
            f"drop one of the two options"
        )
    return controller or ("both" if both_needed else "mppi")


def _refuse_for_traces(targets: list[Path], options: dict[str, Any]) -> None:
    """Refuse options that have no effect on a recorded trace."""
    traces = [target for target in targets if target.suffix == ".npz"]
    given = [f"--{name}" for name, value in options.items() if value is not None]
    if traces and given:
        raise UsageError(
            f"{traces[0]}: a recorded trace cannot be changed by {', '.join(given)}: drop that, "
            f"or name the checkpoint"
        )


def _size(text: str) -> tuple[int, int]:
    width, x, height = text.lower().partition("x")
    if not (x and width.isdecimal() and height.isdecimal()):
        raise UsageError(f"--size: expected width x height such as 640x480, found {text!r}")
    return int(width), int(height)


def _format(wanted: Format | None, out: Path | None) -> Format:
    """The format from --format or the name of --out, which must agree."""
    if out is None:
        return wanted or "mp4"
    for known in FORMATS:
        if out.suffix.lower() == f".{known}" and wanted in (None, known):
            return known
    suffix = f".{wanted}" if wanted else f".{', .'.join(FORMATS)}"
    raise UsageError(f"--out: expected a name that ends in {suffix}, found {out}")
