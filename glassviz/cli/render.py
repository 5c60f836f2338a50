"""`glassviz render`."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from glassviz.cli.options import Labels
from glassviz.cli.rollout import (
    ControllerChoice,
    Horizon,
    Iterations,
    Physics,
    Precision,
    Samples,
    controllers,
    record,
)
from glassviz.errors import UsageError
from glassviz.rollout.batch import file_stem

if TYPE_CHECKING:
    from glassviz.rollout.run import Run
    from glassviz.video.film import FilmOptions, FilmReport


RENDERS = Path("renders")


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
    controller: Annotated[
        ControllerChoice | None,
        typer.Option(
            help="Who acts: the planner (mppi, the default), the policy prior alone (pi), or each."
        ),
    ] = None,
    episodes: Annotated[
        int, typer.Option(help="How many episodes to show, one after the other.", min=1)
    ] = 1,
    steps: Annotated[
        int | None, typer.Option(help="Frames per episode; the whole episode by default.", min=1)
    ] = None,
    seed: Annotated[
        int | None, typer.Option(help="Determines resets and planning; 0 by default.", min=0)
    ] = None,
    camera: Annotated[
        Literal["cam0", "back"], typer.Option(help="Follow from the side (cam0), or from behind.")
    ] = "cam0",
    size: Annotated[
        str, typer.Option(metavar="WxH", help="Size of the picture; of each, side by side.")
    ] = "640x480",
    speed: Annotated[
        float, typer.Option(help="1 is real time, 0.5 slow motion. No frame is left out.")
    ] = 1.0,
    quality: Annotated[
        Literal["fast", "full"] | None,
        typer.Option(help="With shadows, reflections and smooth edges (full: GPU's default)."),
    ] = None,
    format: Annotated[
        Format | None,
        typer.Option(help="File format; that of --out by default, else mp4."),
    ] = None,
    side_by_side: Annotated[
        bool,
        typer.Option("--side-by-side", help="Both controllers from the same resets in one film."),
    ] = False,
    labels: Labels = "learned",
    out: Annotated[
        Path | None,
        typer.Option(help="The film's file; renders/<name>-<controller>.<format> by default."),
    ] = None,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace a file that exists.")
    ] = False,
    samples: Samples = None,
    horizon: Horizon = None,
    iterations: Iterations = None,
    physics: Physics = None,
    precision: Precision = None,
) -> None:
    """Film agents, with their cluster on every frame.

    Checkpoints are rolled out first, unless there is a trace of the same roll-out already.
    """
    from glassviz.video.film import FilmOptions

    planned: dict[str, Any] = dict(
        seed=seed,
        samples=samples,
        horizon=horizon,
        iterations=iterations,
        precision=precision,
        physics=physics,
    )
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
    _refuse_for_traces(targets, planned | {"controller": controller})
    one_target = len(targets) == 1
    if side_by_side and one_target and controller in ("mppi", "pi"):
        raise UsageError(
            f"--side-by-side: expected both controllers, found --controller {controller}: leave "
            f"one of the two out"
        )
    acting = controllers(controller or ("both" if side_by_side and one_target else "mppi"))
    planned |= {"episodes": episodes, "controllers": acting, "steps": steps}
    given = {name: value for name, value in planned.items() if value is not None}
    _render(targets, given, options, labels, out)


def _render(
    targets: list[Path],
    planned: dict[str, Any],
    options: "FilmOptions",
    labels: str,
    out: Path | None,
) -> None:
    from glassviz.files import refuse_existing
    from glassviz.video.opengl import choose_backend

    if out:
        refuse_existing(out, options.overwrite)
    choose_backend()  # before the next import, which brings MuJoCo, which takes what it finds
    from glassviz.rollout.traces import RolloutOptions

    recordings = record(targets, RolloutOptions(**planned), labels=labels)
    rows = [recordings] if options.side_by_side else [[recording] for recording in recordings]
    paths = [out or _default_path(row, options) for row in rows]
    if len(set(paths)) < len(paths):
        raise UsageError(
            f"render: expected a file for each of {len(rows)} films, found that several would go "
            f"to {paths[0]}: render them one by one, each with its own --out"
        )
    for row, path in zip(rows, paths, strict=True):
        _film(row, path, options)


def _film(row: list["Run"], path: Path, options: "FilmOptions") -> None:
    from glassviz.cli.progress import progress_bar
    from glassviz.video.film import film

    traces = [recording.trace for recording in row]
    with progress_bar() as bar:
        task = bar.add_task(f"filming {path.name}", total=None)
        report = film(
            traces,
            path,
            options,
            progress=lambda done, total: bar.update(task, completed=done, total=total),
        )
    for line in (*describe_film(report), *_shown_returns(row, options)):
        typer.echo(line)


def describe_film(report: "FilmReport") -> list[str]:
    """The film's file and facts, then a line for each thing that may surprise."""
    width, height = report.size
    facts = (
        f"{report.path}: {report.frames} frames at {report.fps:g} fps, {width}x{height}, "
        f"{report.codec} {report.pixel_format}, drawn by {report.renderer} ({report.quality}) "
        f"in {report.seconds:.1f} s"
    )
    return [facts, *(f"  note: {note}" for note in report.notes)]


def _shown_returns(row: list["Run"], options: "FilmOptions") -> list[str]:
    """The return of each episode, as the film's last frame of it shows it."""
    shortest = min(recording.trace.frames for recording in row)
    shown = min(shortest, options.steps or shortest)
    return [
        f"  {recording.trace.header['controller']}, episode {episode + 1}: return "
        f"{recording.trace.reward[episode, :shown].sum():.2f}"
        for recording in row
        for episode in options.episodes or ()
    ]


def _default_path(row: list["Run"], options: "FilmOptions") -> Path:
    headers = [recording.trace.header for recording in row]
    names = dict.fromkeys(header["checkpoint"]["name"] for header in headers)
    acting = dict.fromkeys(header["controller"] for header in headers)
    fitted = ["fitted"] if any(header["labels_from"] == "fitted" for header in headers) else []
    return RENDERS / f"{file_stem(*names, *acting, *fitted)}.{options.format}"


def _refuse_for_traces(targets: list[Path], options: dict[str, Any]) -> None:
    """A trace is what it is: an option that could only be ignored is refused."""
    traces = [target for target in targets if target.suffix == ".npz"]
    given = [f"--{name}" for name, value in options.items() if value is not None]
    if traces and given:
        raise UsageError(
            f"{traces[0]}: expected a checkpoint for {', '.join(given)}, found a trace, which is "
            f"recorded already: leave that out, or name its checkpoint"
        )


def _size(text: str) -> tuple[int, int]:
    width, x, height = text.lower().partition("x")
    if not (x and width.isdecimal() and height.isdecimal()):
        raise UsageError(f"--size: expected width x height such as 640x480, found {text!r}")
    return int(width), int(height)


def _format(wanted: Format | None, out: Path | None) -> Format:
    """The format that is asked for, or that the file's name asks for; they must agree."""
    if out is None:
        return wanted or "mp4"
    for known in FORMATS:
        if out.suffix.lower() == f".{known}" and wanted in (None, known):
            return known
    ending = f".{wanted}" if wanted else f".{', .'.join(FORMATS)}"
    raise UsageError(f"--out: expected a name that ends in {ending}, found {out}")
