"""Commands that make films and figures of runs: render, export, rerun."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from glassviz.agents.config import Unsaid
from glassviz.cli import options as opt
from glassviz.cli import terminal
from glassviz.errors import GlassvizError, UsageError
from glassviz.rollout.batch import Failed, file_stem
from glassviz.text import listed, printable

if TYPE_CHECKING:
    from glassviz.export.product import Product, Source, Studio
    from glassviz.figures.style import FigureStyle
    from glassviz.rollout.batch import Failed
    from glassviz.rollout.run import Run
    from glassviz.rollout.traces import RolloutOptions
    from glassviz.video.film import FilmOptions

Format = Literal["mp4", "gif", "webm"]
FORMATS: tuple[Format, ...] = ("mp4", "gif", "webm")
RENDER_SIZE = "640x480"


@opt.with_agent_options
def render(
    targets: opt.Runs,
    overlay_k: Annotated[
        bool,
        typer.Option(
            "--overlay-k/--no-overlay",
            help="Draw cluster, controller, return and timeline over each frame.",
        ),
    ] = True,
    controller: opt.OptionalController = None,
    episodes: Annotated[
        int, typer.Option(help="Number of episodes to show, one after the other.", min=1)
    ] = 1,
    episode: Annotated[
        int | None, typer.Option(help="Show this episode only, counted from 1.", min=1)
    ] = None,
    steps: opt.Steps = None,
    seed: opt.OptionalSeed = None,
    camera: Annotated[
        str | None,
        typer.Option(
            help="Camera of the body; by default the one that shows most. The hopper has cam0, "
            "from the side, and back, from behind.",
            show_default=False,
        ),
    ] = None,
    size: opt.Size = RENDER_SIZE,
    clip: opt.Clip = None,
    speed: Annotated[
        float, typer.Option(help="1 is real time, 0.5 slow motion. No frame is skipped.")
    ] = 1.0,
    quality: opt.Quality = None,
    background: opt.Background = "sky",
    format: Annotated[
        Format | None, typer.Option(help="File format; by default from --out, else mp4.")
    ] = None,
    side_by_side: Annotated[
        bool, typer.Option("--side-by-side", help="Show both controllers in one film, same resets.")
    ] = False,
    labels: opt.Labels = "learned",
    names: opt.Names = None,
    out: Annotated[
        Path | None,
        typer.Option(
            "--out",
            "-o",
            help="Film to write; by default renders/, under a name that says what is in it.",
        ),
    ] = None,
    overwrite: opt.Overwrite = False,
    traces: opt.Traces = None,
    samples: opt.Samples = None,
    horizon: opt.Horizon = None,
    iterations: opt.Iterations = None,
    precision: opt.Precision = None,
    physics: opt.Physics = None,
    *,
    unsaid: Unsaid,
) -> None:
    """Film agents, with the active cluster on every frame.

    Checkpoints are rolled out first; a trace of the same roll-out is reused. The controller is
    the planner by default, and the seed 0: episode 1 is the first in tables too.

    \b
    Examples:
      glassviz render agent.safetensors
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
    if episode is not None and episodes != 1:
        raise UsageError("render: --episode and --episodes exclude each other: drop one")
    part_s = None if clip is None else opt.part_of_episode(clip)
    found = _found(targets)
    _refuse_for_traces(found, given | {"controller": controller})
    options = FilmOptions(
        overlay_k=overlay_k,
        episodes=tuple(range(episodes)) if episode is None else (episode - 1,),
        steps=steps,
        part_s=part_s,
        camera=camera,
        size=opt.picture_size(size or RENDER_SIZE),
        speed=speed,
        quality=quality,
        background=background,
        format=_format(format, out),
        side_by_side=side_by_side,
        overwrite=overwrite,
    )
    agents = len(found) * len(unsaid.each())
    acting = _acting(controller, side_by_side and agents == 1)
    planned = {"episodes": episode or episodes, "steps": steps, "unsaid": unsaid} | given
    planned |= {"seed": seed or 0}
    films = _recorded(found, acting, planned, options, labels, out, traces, names)
    film_of = {row[0]: (row, path) for row, path in films}
    rows = opt.each_by_itself([*film_of], lambda run: _film(*film_of[run], options))
    opt.tell_failures(rows)
    opt.exit_on_failures(rows)


def _recorded(
    targets: list[Path],
    acting: opt.ControllerChoice,
    planned: dict[str, Any],
    options: "FilmOptions",
    labels: str,
    out: Path | None,
    traces: Path | None,
    names: Path | None,
) -> list[tuple[list["Run"], Path]]:
    """The traces of each film, from left to right, and its file."""
    from glassviz.files import check_folder, check_target
    from glassviz.video.opengl import choose_backend

    def films(runs: Sequence["Run"]) -> list[tuple[list["Run"], Path]]:
        runs = [run for run in with_distinct_names(runs) if isinstance(run, Run)]
        _check_episodes(runs, options)
        opt.check_part(runs, options.part_s)
        rows = [list(runs)] if options.side_by_side else [[run] for run in runs]
        paths = [out or _default_path(row, asked, options) for row in rows]
        opt.refuse_clash("render", paths)
        for path in paths:
            check_target(path, options.overwrite)
        return list(zip(rows, paths, strict=True))

    if out:
        check_target(out, options.overwrite)
    else:
        check_folder(opt.RENDERS)
    choose_backend()  # before the next imports: MuJoCo reads MUJOCO_GL when it is imported
    from glassviz.cli.progress import record_with_progress
    from glassviz.rollout.run import Run, with_distinct_names
    from glassviz.video.encode import find_ffmpeg

    find_ffmpeg()
    asked = opt.rollout_options(acting, **planned)
    return films(record_with_progress(targets, asked, traces, labels, films, names))


def _film(row: list["Run"], path: Path, options: "FilmOptions") -> None:
    from glassviz.cli.progress import task
    from glassviz.report.phrases.numbers import film_facts
    from glassviz.video.clip import ShownNames
    from glassviz.video.film import film

    with task(f"filming {path.name}") as progress:
        names = [ShownNames(run.name, run.given_labels) for run in row]
        report = film([run.trace for run in row], path, options, names=names, progress=progress)
    terminal.echo(f"{path}: {film_facts(report)}")
    for line in (*(f"note: {note}" for note in report.notes), *_shown_returns(row, options)):
        terminal.echo(f"  {line}")


def _shown_returns(row: list["Run"], options: "FilmOptions") -> list[str]:
    """The return of each episode, as its last frame in the film shows it."""
    from glassviz.video.film import frames_between

    shortest = min(run.trace.frames for run in row)
    shown = min(shortest, options.steps or shortest)
    if options.part_s:
        _, shown = frames_between(options.part_s, row[0].trace.frame_dt_s, shown)
    return [
        f"{run.controller}, episode {episode + 1}: return "
        f"{run.trace.reward[episode, :shown].sum():.2f}"
        for run in row
        for episode in options.episodes or ()
    ]


def _found(targets: list[Path]) -> list[Path]:
    """The checkpoints and traces that arguments lead to.

    Raises:
        GlassvizError: an argument leads to none.
    """
    from glassviz.rollout.find import find_targets

    found = find_targets(targets, terminal.tell)
    for each in found:
        if isinstance(each, Failed):
            raise GlassvizError(each.error)
    return [each.path for each in found if not isinstance(each, Failed)]


def _check_episodes(runs: Sequence["Run"], options: "FilmOptions") -> None:
    """Refuse episodes that a trace does not have."""
    most = max(options.episodes or (0,)) + 1
    for run in runs:
        if (has := _episodes_of(run)) < most:
            raise UsageError(f"{run.target}: expected {most} episodes, found {has}: name fewer")


def _episodes_of(run: "Run") -> int:
    return run.episodes or len(run.header["reset_seeds"])


def _default_path(row: list["Run"], asked: "RolloutOptions", options: "FilmOptions") -> Path:
    from glassviz.rollout.run import LEARNED

    acting = dict.fromkeys(run.controller for run in row)
    words = [*acting, *(["fitted"] if any(run.labels != LEARNED for run in row) else [])]
    shown = options.episodes or ()
    # One that is filmed alone is named, and the number of several follows.
    if len(shown) == 1 and shown != (0,):
        words.append(f"episode{shown[0] + 1}")
    size = None if options.size == opt.picture_size(RENDER_SIZE) else options.size
    words += opt.film_words(options.part_s, size, options.background)
    usual = asked.episodes if len(shown) == 1 else 1
    return opt.output_path("", row, asked, f".{options.format}", words, usual)


def _acting(controller: opt.ControllerChoice | None, both_needed: bool) -> opt.ControllerChoice:
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


def _format(wanted: Format | None, out: Path | None) -> Format:
    """The format from --format or the name of --out, which must agree."""
    if out is None:
        return wanted or "mp4"
    for known in FORMATS:
        if out.suffix.lower() == f".{known}" and wanted in (None, known):
            return known
    suffix = f".{wanted}" if wanted else f".{', .'.join(FORMATS)}"
    raise UsageError(f"--out: expected a name that ends in {suffix}, found {out}")


@opt.with_agent_options
@opt.with_figure_options()
def export(
    targets: opt.Runs,
    grid: Annotated[
        bool,
        typer.Option(
            "--grid", help="Film: one row per label, one column per visit, aligned by gait phase."
        ),
    ] = False,
    wall: Annotated[
        bool, typer.Option("--wall", help="Film: all runs side by side, aligned by gait phase.")
    ] = False,
    strip: Annotated[
        bool, typer.Option("--strip", help="Figure: film strip of two gait cycles, with labels.")
    ] = False,
    gif: Annotated[
        bool, typer.Option("--gif", help="Film: six seconds as a GIF of at most 8 MB.")
    ] = False,
    raster: Annotated[
        bool, typer.Option("--raster", help="Figure: labels by gait cycle and phase.")
    ] = False,
    poses: Annotated[
        bool,
        typer.Option("--poses", help="Figure: the mean pose of each label, with its spread."),
    ] = False,
    usage: Annotated[
        bool,
        typer.Option("--usage", help="Figure: how often runs use each label, by recipe."),
    ] = False,
    timeline: Annotated[
        bool, typer.Option("--timeline", help="Figure: labels, height and contacts over time.")
    ] = False,
    clip: Annotated[
        str | None,
        typer.Option(
            "--clip",
            metavar="START-END",
            help="Film: part of the episode, in seconds, such as 4-10. With other kinds: the part "
            "that they show.",
        ),
    ] = None,
    all_: Annotated[
        Path | None,
        typer.Option(
            "--all", metavar="DIR", help="Everything, with captions.md; existing files are kept."
        ),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(
            "--out", "-o", help="File to write; its suffix selects the format. By default renders/."
        ),
    ] = None,
    episode: opt.Episode = None,
    columns: Annotated[int, typer.Option(help="With --grid: visits per row.", min=1, max=12)] = 6,
    speed: Annotated[
        float | None,
        typer.Option(
            help="With --grid or --wall: 1 is real time. By default --grid lasts eight seconds at "
            "most, and --wall runs at 0.5."
        ),
    ] = None,
    size: opt.Size = None,
    quality: opt.Quality = None,
    background: opt.Background = "sky",
    episodes: opt.Episodes = 10,
    controller: opt.Controller = "mppi",
    jobs: opt.Jobs = None,
    seed: opt.Seed = 0,
    steps: opt.Steps = None,
    precision: opt.Precision = None,
    traces: opt.Traces = None,
    labels: opt.Labels = "learned",
    names: opt.Names = None,
    overwrite: opt.Overwrite = False,
    *,
    figures: opt.Figures,
    unsaid: Unsaid,
) -> None:
    """Make films and figures for papers and talks, each with a caption.

    One kind per call, or everything with --all. Figures are 85 mm wide, and vector graphics with
    embedded fonts as .pdf or .svg; films are .mp4, .webm or .gif. With --episode, a grid, raster or
    poses show that episode only. Missing traces are recorded. Runs that fail are listed with the
    reason, and the exit code is 1.

    \b
    Examples:
      glassviz export agent.safetensors --strip -o strip.pdf
      glassviz export agent.safetensors --controller pi --all figures
    """
    flags = {
        "grid": grid,
        "wall": wall,
        "strip": strip,
        "gif": gif,
        "raster": raster,
        "poses": poses,
        "usage": usage,
        "timeline": timeline,
        "all": all_ is not None,
    }
    kind = _kind([name for name, given in flags.items() if given], clip is not None)
    part_s = None if clip is None else opt.part_of_episode(clip)
    picture = None if size is None else opt.picture_size(size)
    _refuse(kind, out, columns != 6, speed, picture, background)
    if kind == "usage" and episode is not None:
        raise UsageError("--usage: counts all episodes, found --episode: drop it")
    _refuse_style(kind, figures)
    from glassviz.video.opengl import prefer_backend

    prefer_backend()  # before the next imports: MuJoCo reads MUJOCO_GL when it is imported
    from glassviz.cli.progress import assess_with_progress
    from glassviz.export.product import Source, Studio
    from glassviz.files import check_folder
    from glassviz.video.encode import find_ffmpeg

    if kind not in FIGURES:
        find_ffmpeg()
    _check_size(kind, out, picture)
    options = opt.rollout_options(
        controller, unsaid, episodes=episodes, seed=seed, steps=steps, precision=precision
    )
    shown = None if episode is None else episode - 1
    words = opt.film_words(part_s, picture, background)

    def check(runs: Sequence["Run"]) -> None:
        _check_shown(kind, runs, shown)
        opt.check_part(runs, part_s)
        if all_ is None:
            _check_targets(kind, runs, out, shown, labels, options, words, overwrite, figures)
        else:
            check_folder(all_)

    check([])
    rows = assess_with_progress(targets, options, traces, jobs, labels, check, names)
    with Studio(quality, jobs, background=background, size=picture) as studio:
        if all_ is not None:
            _export_all(rows, all_, studio, shown, overwrite)
        else:
            runs = [row for row in rows if not isinstance(row, Failed)]

            def write(product: "Product") -> None:
                path = out or _named(product.kind, product.stem, runs, options, words)
                _write(product, path, overwrite, figures)

            if kind == "wall":
                from glassviz.export import kinds

                sources = _sources(rows, shown)
                write(kinds.wall(sources, studio, speed, part_s, terminal.tell))
            elif kind == "usage":
                from glassviz.export import kinds

                write(kinds.usage(_sources(rows, shown), figures.style, terminal.tell))
            else:
                make = _maker(kind, studio, columns, speed, part_s, figures.style)
                rows = opt.each_by_itself(rows, lambda run: write(make(Source.of(run, shown))))
            opt.tell_failures(rows)
            opt.exit_on_failures(rows)


def _kind(given: list[str], clipped: bool) -> str:
    """The one kind that is requested."""
    if not given and clipped:
        return "clip"
    if len(given) != 1:
        found = " and ".join(f"--{name}" for name in given) or "none"
        raise UsageError(
            f"export: expected one of --grid, --wall, --strip, --gif, --raster, --poses, "
            f"--usage, --timeline, --clip and --all, found {found}"
        )
    if clipped and given[0] in ("raster", "all"):
        raise UsageError(
            f"--clip: works alone or with --grid, --wall, --strip, --gif or --timeline, found "
            f"--{given[0]}: drop one of the two"
        )
    return given[0]


def _refuse(
    kind: str,
    out: Path | None,
    columns: bool,
    speed: float | None,
    size: tuple[int, int] | None,
    background: str,
) -> None:
    """Refuse options that have no effect on this kind."""
    for option, given, kinds in (
        ("--columns", columns, ("grid",)),
        ("--speed", speed is not None, ("grid", "wall")),
        ("--size", size is not None, ("clip", "gif", "grid", "wall")),
        ("--background", background != "sky", (*PICTURED, "all")),
    ):
        if given and kind not in kinds:
            raise UsageError(
                f"{option}: only affects {listed([f'--{each}' for each in kinds], most=9)}, found "
                f"--{kind}: drop it"
            )
    if kind == "all" and out:
        raise UsageError("--out: names a single file, found --all, which names its folder: drop it")
    if speed is not None and not 0.05 <= speed <= 4:
        raise UsageError(f"--speed: expected 0.05 to 4, found {speed:g}")


def _check_size(kind: str, out: Path | None, size: tuple[int, int] | None) -> None:
    """Refuse a size that the film cannot have, before anything is computed.

    Raises:
        UsageError: it cannot.
    """
    from glassviz.video.film import FilmOptions
    from glassviz.video.mosaic import Look

    if size and kind in ("grid", "wall"):
        Look("fast", size=size)
    elif size:
        default: Format = "gif" if kind == "gif" else "mp4"
        FilmOptions(overlay_k=True, size=size, format=_format(None, out) if out else default)


FIGURES = ("strip", "raster", "poses", "usage", "timeline")
"""Kinds that are figures; the others are films."""

PICTURED = ("clip", "gif", "grid", "wall", "strip")
"""Kinds that show the body."""


def _refuse_style(kind: str, figures: opt.Figures) -> None:
    """Refuse options of figures for films, which they have no effect on.

    Raises:
        UsageError: there are some.
    """
    from glassviz.figures.style import PLAIN

    if kind not in FIGURES and (figures.style != PLAIN or figures.caption_file):
        raise UsageError(
            f"--{kind}: options of figures such as --width only affect "
            f"{', '.join(f'--{name}' for name in FIGURES)}: drop them"
        )


def _check_targets(
    kind: str,
    runs: Sequence["Run"],
    out: Path | None,
    episode: int | None,
    labels: str,
    options: "RolloutOptions",
    words: Sequence[str],
    overwrite: bool,
    figures: opt.Figures,
) -> None:
    """Refuse what cannot be written, once before the runs are found and once they are."""
    from glassviz.export.product import TOGETHER, check_ending, default_stem
    from glassviz.files import check_folder, check_target
    from glassviz.rollout.batch import distinct_names

    if out:
        check_ending(kind, out)
        paths = [out] * (1 if kind in TOGETHER else max(len(runs), 1))
    else:
        check_folder(opt.RENDERS)
        controllers = [(run.controller,) for run in runs]
        targets = [run.target for run in runs]
        names = distinct_names([run.name for run in runs], targets, controllers)
        fitted = labels != "learned"
        stems = [
            default_stem(kind, name, run.controller, fitted, episode)
            for name, run in zip(names, runs, strict=True)
        ]
        stems = stems[:1] if kind in TOGETHER else stems
        paths = [_named(kind, stem, runs, options, words) for stem in stems]
    opt.refuse_clash("export", paths)
    for path in paths:
        check_target(path, overwrite)
        figures.check(path, overwrite)


def _named(
    kind: str, stem: str, runs: Sequence["Run"], options: "RolloutOptions", words: Sequence[str]
) -> Path:
    """The default file of a product; those of several runs are named after them."""
    from glassviz.export.product import ENDINGS, TOGETHER

    ending = ENDINGS[kind][0]
    if kind in TOGETHER:
        return opt.output_path(kind, runs, options, ending, words)
    return opt.RENDERS / f"{file_stem(stem, *words, *opt.settings_words(runs, options))}{ending}"


def _check_shown(kind: str, runs: Sequence["Run"], episode: int | None) -> None:
    """Refuse an episode that a run does not have, and a wall of too many runs."""
    from glassviz.export.mosaics import check_count

    if runs and kind == "wall":
        check_count(len(runs))
    for run in runs:
        if episode is not None and episode >= (has := _episodes_of(run)):
            raise UsageError(
                f"--episode: expected 1 to {has}, the episodes of {printable(run.name)}, found "
                f"{episode + 1}"
            )


def _sources(rows: Sequence["Run | Failed"], episode: int | None) -> list["Source"]:
    """What is shown of the runs that could be assessed.

    Raises:
        GlassvizError: none could.
    """
    from glassviz.export.product import Source

    failed = [row for row in rows if isinstance(row, Failed)]
    if failed and len(failed) == len(rows):
        raise GlassvizError(failed[0].error)
    return [Source.of(row, episode) for row in rows if not isinstance(row, Failed)]


def _maker(
    kind: str,
    studio: "Studio",
    columns: int,
    speed: float | None,
    part_s: tuple[float, float] | None,
    look: "FigureStyle",
) -> Callable[["Source"], "Product"]:
    """What makes the product of a run."""
    from glassviz.export import kinds

    make: dict[str, Callable[[Source], Product]] = {
        "grid": lambda source: kinds.grid(source, studio, columns, speed, part_s),
        "strip": lambda source: kinds.strip(source, studio, part_s, look),
        "gif": lambda source: kinds.gif(source, studio, part_s),
        "clip": lambda source: kinds.clip(source, studio, part_s),
        "raster": lambda source: kinds.raster(source, look),
        "poses": lambda source: kinds.poses(source, look),
        "timeline": lambda source: kinds.timeline(source, part_s, look),
    }
    return make[kind]


def _write(product: "Product", path: Path, overwrite: bool, figures: opt.Figures) -> None:
    from glassviz.cli.progress import task
    from glassviz.export.product import check_ending
    from glassviz.files import check_target

    check_ending(product.kind, path)
    check_target(path, overwrite)
    with task(f"drawing {path.name}") as progress:
        notes = product.write(path, overwrite, progress)
        figures.save_caption(path, product.caption, overwrite)
    terminal.echo(": ".join([str(path), *notes[:1]]))
    for note in (*notes[1:], product.caption):
        terminal.echo(f"  {note}")


def _export_all(
    rows: list["Run | Failed"], folder: Path, studio: "Studio", episode: int | None, overwrite: bool
) -> None:
    from glassviz.cli.progress import task
    from glassviz.export.kinds import export_all

    with task("drawing") as progress:
        made = export_all(
            rows,
            folder,
            studio,
            episode=episode,
            overwrite=overwrite,
            tell=progress.print,
            on_file=lambda name: progress.begin(f"drawing {name}"),
        )
    terminal.echo(
        f"{folder}: {len(made.written)} files written, {len(made.kept)} kept, "
        f"{len(made.left_out)} not made; see captions.md"
    )
    opt.exit_on_failures(rows)
    if not (made.written or made.kept):
        raise typer.Exit(1)


@opt.with_agent_options
def rerun(
    target: opt.OneRun,
    out: Annotated[
        Path | None,
        typer.Option(
            "--out",
            "-o",
            help="File to write, a .rrd; by default in renders/, under a name that says what is in "
            "it.",
        ),
    ] = None,
    episode: opt.Episode = None,
    episodes: opt.Episodes = 10,
    controller: opt.OneController = "mppi",
    seed: opt.Seed = 0,
    steps: opt.Steps = None,
    precision: opt.Precision = None,
    traces: opt.Traces = None,
    labels: opt.Labels = "learned",
    names: opt.Names = None,
    background: opt.Background = "sky",
    overwrite: opt.Overwrite = False,
    *,
    unsaid: Unsaid,
) -> None:
    """Write an episode for the Rerun viewer.

    The file has film, labels, latent map and scalars on one clock. Needs `pip install
    'glassviz[rerun]'`; open the file with `rerun FILE.rrd`. A latent map that is cached beside the
    trace is reused. A missing trace is recorded.

    \b
    Example:
      glassviz rerun agent.safetensors -o run.rrd
    """
    from glassviz.video.opengl import prefer_backend

    prefer_backend()  # before the next imports: MuJoCo reads MUJOCO_GL when it is imported
    from glassviz.cli.progress import assess_with_progress, task
    from glassviz.export import rerun
    from glassviz.video.encode import find_ffmpeg

    find_ffmpeg()
    options = opt.rollout_options(
        controller, unsaid, episodes=episodes, seed=seed, steps=steps, precision=precision
    )
    shown = [] if episode is None else [f"episode{episode}"]

    def path_of(runs: Sequence["Run"]) -> Path:
        named = [*dict.fromkeys(run.controller for run in runs), *shown]
        return out or opt.output_path("", runs, options, ".rrd", named)

    def check(runs: Sequence["Run"]) -> None:
        if len(runs) > 1:
            found = ", ".join(run.name for run in runs[:3])
            raise UsageError(
                f"rerun: expected one run, found {len(runs)} ({found}, …): write them one by one"
            )
        _check_shown("rerun", runs, None if episode is None else episode - 1)
        rerun.check(path_of(runs), overwrite)

    rerun.check(out or opt.RENDERS / "any.rrd", overwrite or out is None)
    rows = assess_with_progress([target], options, traces, 1, labels, check, names)
    out = path_of([row for row in rows if not isinstance(row, Failed)])
    [source] = _sources(rows, None if episode is None else episode - 1)
    with task(f"drawing and mapping {source.title}"):
        notes = rerun.write(source, out, overwrite, background=background)
    size = out.stat().st_size / 1e6
    terminal.echo(f"{out}: {source.title}, episode {source.episode + 1}, {size:.1f} MB")
    for note in notes:
        terminal.echo(f"  {note}")
