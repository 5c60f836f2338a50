"""Commands that export: export, rerun."""

import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from glassviz.cli.options import (
    RENDERS,
    Controller,
    Episode,
    Episodes,
    Jobs,
    Labels,
    OneController,
    OneRun,
    Overwrite,
    Runs,
    Seed,
    Steps,
    Traces,
    exit_on_failures,
    refuse_clash,
    rollout_options,
)
from glassviz.errors import GlassvizError, UsageError

if TYPE_CHECKING:
    from glassviz.export.product import Product, Source, Studio
    from glassviz.rollout.batch import Failed
    from glassviz.rollout.run import Run


def export(
    targets: Runs,
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
    timeline: Annotated[
        bool, typer.Option("--timeline", help="Figure: labels, height and contacts over time.")
    ] = False,
    clip: Annotated[
        str | None,
        typer.Option(
            metavar="T0:T1",
            help="Film: part of the episode, in seconds. With --gif, --strip or --timeline: the "
            "part that they show.",
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
    episode: Episode = None,
    columns: Annotated[int, typer.Option(help="With --grid: visits per row.", min=1, max=12)] = 6,
    speed: Annotated[
        float | None,
        typer.Option(
            help="With --grid or --wall: 1 is real time. By default --grid lasts eight seconds at "
            "most, and --wall runs at 0.5."
        ),
    ] = None,
    quality: Annotated[
        Literal["fast", "smooth", "full"] | None,
        typer.Option(help="smooth draws smooth edges, full also shadows and reflections."),
    ] = None,
    episodes: Episodes = 10,
    controller: Controller = "mppi",
    jobs: Jobs = None,
    seed: Seed = 0,
    steps: Steps = None,
    traces: Traces = None,
    labels: Labels = "learned",
    overwrite: Overwrite = False,
) -> None:
    """Make films and figures for papers and talks, each with a caption.

    One kind per call, or everything with --all. Figures are 85 mm wide, and vector graphics with
    embedded fonts as .pdf or .svg; films are .mp4, .webm or .gif. With --episode, a grid or raster
    shows that episode only. Missing traces are recorded. With --all, runs that fail are listed
    with the reason, and the exit code is 1.

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
        "timeline": timeline,
        "all": all_ is not None,
    }
    kind = _kind([name for name, given in flags.items() if given], clip is not None)
    part_s = None if clip is None else _part(clip)
    _refuse(kind, out, columns != 6, speed)
    from glassviz.video.opengl import prefer_backend

    prefer_backend()  # before the next imports: MuJoCo reads MUJOCO_GL when it is imported
    from glassviz.cli.progress import assess_with_progress
    from glassviz.export.product import Studio

    options = rollout_options(controller, episodes=episodes, seed=seed, steps=steps)
    rows = assess_with_progress(targets, options, traces, jobs, labels)
    shown = None if episode is None else episode - 1
    with Studio(quality=quality, jobs=jobs) as studio:
        if all_ is not None:
            _export_all(rows, all_, studio, shown, overwrite)
        else:
            sources = _sources(rows, shown)
            _write(_products(kind, sources, studio, columns, speed, part_s), out, overwrite)


def _kind(given: list[str], clipped: bool) -> str:
    """The one kind that is requested."""
    if not given and clipped:
        return "clip"
    if len(given) != 1:
        found = " and ".join(f"--{name}" for name in given) or "none"
        raise UsageError(
            f"export: expected one of --grid, --wall, --strip, --gif, --raster, --timeline, --clip "
            f"and --all, found {found}"
        )
    if clipped and given[0] not in ("gif", "strip", "timeline"):
        raise UsageError(
            f"--clip: works alone or with --gif, --strip or --timeline, found --{given[0]}: drop "
            f"one of the two"
        )
    return given[0]


def _part(text: str) -> tuple[float, float]:
    first, _, last = text.partition(":")
    try:
        part = float(first), float(last)
    except ValueError:
        part = math.nan, math.nan
    if not all(map(math.isfinite, part)):
        raise UsageError(f"--clip: expected start and end in seconds such as 4:10, found {text!r}")
    return part


def _refuse(kind: str, out: Path | None, columns: bool, speed: float | None) -> None:
    """Refuse options that have no effect on this kind."""
    for option, given, kinds in (
        ("--columns", columns, ("grid",)),
        ("--speed", speed is not None, ("grid", "wall")),
    ):
        if given and kind not in kinds:
            raise UsageError(
                f"{option}: only affects --{' and --'.join(kinds)}, found --{kind}: drop it"
            )
    if kind == "all" and out:
        raise UsageError("--out: names a single file, found --all, which names its folder: drop it")
    if speed is not None and not 0.05 <= speed <= 4:
        raise UsageError(f"--speed: expected 0.05 to 4, found {speed:g}")


def _sources(rows: Sequence["Run | Failed"], episode: int | None) -> list["Source"]:
    from glassviz.export.product import Source
    from glassviz.rollout.batch import Failed

    for row in rows:
        if isinstance(row, Failed):
            raise GlassvizError(row.error)
    return [Source.of(row, episode) for row in rows if not isinstance(row, Failed)]


def _products(
    kind: str,
    sources: list["Source"],
    studio: "Studio",
    columns: int,
    speed: float | None,
    part_s: tuple[float, float] | None,
) -> list["Product"]:
    """One product per run, or a single wall."""
    from glassviz.export import kinds

    if kind == "wall":
        return [kinds.wall(sources, studio, speed, lambda line: typer.echo(line, err=True))]
    make: dict[str, Callable[[Source], Product]] = {
        "grid": lambda source: kinds.grid(source, studio, columns, speed),
        "strip": lambda source: kinds.strip(source, studio, part_s),
        "gif": lambda source: kinds.gif(source, studio, part_s),
        "clip": lambda source: kinds.clip(source, studio, part_s),
        "raster": kinds.raster,
        "timeline": lambda source: kinds.timeline(source, part_s),
    }
    return [make[kind](source) for source in sources]


def _write(products: list["Product"], out: Path | None, overwrite: bool) -> None:
    from glassviz.cli.progress import task
    from glassviz.files import refuse_existing

    paths = [out or RENDERS / f"{each.stem}{each.endings[0]}" for each in products]
    refuse_clash("export", paths)
    for product, path in zip(products, paths, strict=True):
        product.check(path)
        refuse_existing(path, overwrite)
    for product, path in zip(products, paths, strict=True):
        with task(f"drawing {path.name}") as progress:
            notes = product.write(path, overwrite, progress)
        typer.echo(": ".join([str(path), *notes[:1]]))
        for note in (*notes[1:], product.caption):
            typer.echo(f"  {note}")


def _export_all(
    rows: list["Run | Failed"],
    folder: Path,
    studio: "Studio",
    episode: int | None,
    overwrite: bool,
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
    typer.echo(
        f"{folder}: {len(made.written)} files written, {len(made.kept)} kept, "
        f"{len(made.left_out)} not made; see captions.md"
    )
    exit_on_failures(rows)
    if not (made.written or made.kept):
        raise typer.Exit(1)


def rerun(
    target: OneRun,
    out: Annotated[Path, typer.Option("--out", "-o", help="File to write, a .rrd.")] = RENDERS
    / "run.rrd",
    episode: Episode = None,
    episodes: Episodes = 10,
    controller: OneController = "mppi",
    seed: Seed = 0,
    steps: Steps = None,
    traces: Traces = None,
    labels: Labels = "learned",
    overwrite: Overwrite = False,
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

    rerun.check(out, overwrite)
    options = rollout_options(controller, episodes=episodes, seed=seed, steps=steps)
    rows = assess_with_progress([target], options, traces, 1, labels)
    if len(rows) > 1:
        names = ", ".join(row.name for row in rows[:3])
        raise UsageError(
            f"rerun: expected one run, found {len(rows)} ({names}, …): write them one by one"
        )
    [source] = _sources(rows, None if episode is None else episode - 1)
    with task(f"drawing and mapping {source.title}"):
        notes = rerun.write(source, out, overwrite)
    size = out.stat().st_size / 1e6
    typer.echo(f"{out}: {source.title}, episode {source.episode + 1}, {size:.1f} MB")
    for note in notes:
        typer.echo(f"  {note}")
