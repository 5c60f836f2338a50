"""Commands that export: export, rerun."""

import math
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from glassviz.cli.options import Labels
from glassviz.cli.rollout import ControllerChoice, Seed, Steps, controllers
from glassviz.cli.stability import Episodes, Jobs, Runs, Traces, assess_with_progress
from glassviz.errors import GlassvizError, UsageError

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

    from glassviz.export.product import Product, Studio
    from glassviz.rollout.batch import Failed
    from glassviz.rollout.run import Run


RENDERS = Path("renders")


def export(
    targets: Runs,
    grid: Annotated[
        bool,
        typer.Option(
            "--grid", help="Film: rows are labels, columns visits, all at one phase of the gait."
        ),
    ] = False,
    wall: Annotated[
        bool, typer.Option("--wall", help="Film: all runs side by side, at one phase of the gait.")
    ] = False,
    strip: Annotated[
        bool, typer.Option("--strip", help="Figure: a film strip of two gait cycles with labels.")
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
            help="Part of the episode in seconds: alone a film of it, or with --gif, --strip or "
            "--timeline.",
        ),
    ] = None,
    all_: Annotated[
        Path | None,
        typer.Option(
            "--all",
            metavar="DIR",
            help="The full set, with captions.md; files that are there are kept.",
        ),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option("--out", "-o", help="The file, whose ending is its format; in renders/."),
    ] = None,
    episode: Annotated[
        int | None,
        typer.Option(
            help="Episode to show, from 1, and the only one of a grid or raster; the one of median "
            "return by default.",
            min=1,
        ),
    ] = None,
    columns: Annotated[int, typer.Option(help="Visits in a row of a grid.", min=1, max=12)] = 6,
    speed: Annotated[
        float | None,
        typer.Option(
            help="Of a grid (by default slow, for eight seconds at most) or a wall (0.5); 1 is "
            "real time."
        ),
    ] = None,
    quality: Annotated[
        Literal["fast", "smooth", "full"] | None,
        typer.Option(help="Smooth edges (smooth), also shadows and reflections (full)."),
    ] = None,
    episodes: Episodes = 10,
    controller: Annotated[
        ControllerChoice,
        typer.Option(help="Who acts: the planner (mppi), the policy prior alone (pi), or each."),
    ] = "mppi",
    jobs: Jobs = None,
    seed: Seed = 0,
    steps: Steps = None,
    traces: Traces = None,
    labels: Labels = "learned",
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace files that exist.")
    ] = False,
) -> None:
    """Make films and figures for papers and talks, each with its caption.

    One kind a call, or everything with --all. Figures are 85 mm wide, vector as .pdf or .svg, with
    their fonts; films are .mp4, .webm or .gif. Missing traces are recorded, existing ones reused.
    Runs that fail are named by --all, and make the exit code 1.
    """
    wanted = {
        "grid": grid,
        "wall": wall,
        "strip": strip,
        "gif": gif,
        "raster": raster,
        "timeline": timeline,
        "all": all_ is not None,
    }
    kind = _kind([name for name, given in wanted.items() if given], clip is not None)
    part_s = None if clip is None else _part(clip)
    _refuse(kind, out, columns != 6, speed)
    from glassviz.video.opengl import choose_backend

    with suppress(GlassvizError):  # some figures need none, and what does says so
        choose_backend()  # before the next imports, which bring MuJoCo, which takes what it finds
    from glassviz.export import kinds
    from glassviz.export.product import Source, Studio
    from glassviz.rollout.run import Run
    from glassviz.rollout.traces import RolloutOptions

    options = RolloutOptions(
        episodes=episodes, controllers=controllers(controller), seed=seed, steps=steps
    )
    rows = assess_with_progress(targets, options, traces, jobs, labels)
    shown = None if episode is None else episode - 1
    with Studio(quality=quality, jobs=jobs) as studio:
        if all_ is not None:
            _export_all(rows, all_, studio, shown, overwrite)
            return
        for row in rows:
            if not isinstance(row, Run):
                raise GlassvizError(row.error)
        sources = [Source.of(row, shown) for row in rows if isinstance(row, Run)]
        make: dict[str, Callable[[Source], Product]] = {
            "grid": lambda source: kinds.grid(source, studio, columns, speed),
            "strip": lambda source: kinds.strip(source, studio, part_s),
            "gif": lambda source: kinds.gif(source, studio, part_s),
            "clip": lambda source: kinds.clip(source, studio, part_s),
            "raster": kinds.raster,
            "timeline": lambda source: kinds.timeline(source, part_s),
        }
        if kind == "wall":
            tell = lambda line: typer.echo(line, err=True)  # noqa: E731
            products = [kinds.wall(sources, studio, speed, tell)]
        else:
            products = [make[kind](source) for source in sources]
        _write(products, out, overwrite)


def _write(products: list["Product"], out: Path | None, overwrite: bool) -> None:
    from glassviz.cli.progress import progress_bar
    from glassviz.files import refuse_existing

    paths = [out or RENDERS / f"{each.stem}{each.endings[0]}" for each in products]
    if len(set(paths)) < len(paths):
        raise UsageError(
            f"export: expected a file for each of {len(products)} runs, found that several would "
            f"go to {paths[0]}: export them one by one, each with its own --out"
        )
    for product, path in zip(products, paths, strict=True):
        product.check(path)
        refuse_existing(path, overwrite)
    for product, path in zip(products, paths, strict=True):
        with progress_bar() as bar:
            task = bar.add_task(f"drawing {path.name}", total=None)
            notes = product.write(
                path,
                overwrite,
                partial(_show, bar, task),
            )
        typer.echo(": ".join([str(path), *notes[:1]]))
        for note in notes[1:]:
            typer.echo(f"  {note}")
        typer.echo(f"  {product.caption}")


def _show(bar: "Progress", task: "TaskID", done: int, total: int) -> None:
    bar.update(task, completed=done, total=total)


def _export_all(
    rows: list["Run | Failed"],
    folder: Path,
    studio: "Studio",
    episode: int | None,
    overwrite: bool,
) -> None:
    from glassviz.cli.progress import progress_bar
    from glassviz.export.kinds import export_all
    from glassviz.rollout.batch import Failed

    with progress_bar() as bar:
        task = bar.add_task("drawing", total=None)

        def on_file(name: str) -> Callable[[int, int], None]:
            bar.update(task, description=f"drawing {name}", completed=0, total=None)
            return partial(_show, bar, task)

        made = export_all(
            rows,
            folder,
            studio,
            episode=episode,
            overwrite=overwrite,
            tell=lambda line: bar.console.print(
                line, highlight=False, markup=False, soft_wrap=True
            ),
            on_file=on_file,
        )
    typer.echo(
        f"{folder}: {len(made.written)} files written, {len(made.kept)} kept, "
        f"{len(made.left_out)} not made; captions.md says what each is"
    )
    if any(isinstance(row, Failed) for row in rows) or not (made.written or made.kept):
        raise typer.Exit(1)


def _kind(given: list[str], clipped: bool) -> str:
    """The one kind that is asked for."""
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
            f"--clip: expected --gif, --strip, --timeline or nothing beside it, found "
            f"--{given[0]}: leave one of the two out"
        )
    return given[0]


def _refuse(kind: str, out: Path | None, columns: bool, speed: float | None) -> None:
    """An option that could only be ignored is refused."""
    for option, given, kinds in (
        ("--columns", columns, ("grid",)),
        ("--speed", speed is not None, ("grid", "wall")),
    ):
        if given and kind not in kinds:
            raise UsageError(
                f"{option}: expected --{' or --'.join(kinds)} with it, found --{kind}: leave it out"
            )
    if kind == "all" and out:
        raise UsageError("--out: expected one film or figure, found --all, which names its folder")
    if speed is not None and not 0.05 <= speed <= 4:
        raise UsageError(f"--speed: expected 0.05 to 4, found {speed:g}")


def _part(text: str) -> tuple[float, float]:
    first, _, last = text.partition(":")
    try:
        part = float(first), float(last)
    except ValueError:
        part = math.nan, math.nan
    if not all(map(math.isfinite, part)):
        raise UsageError(f"--clip: expected seconds from and to such as 4:10, found {text!r}")
    return part


def rerun(
    target: Annotated[
        Path, typer.Argument(metavar="RUN", help="A checkpoint, a trace, or a run folder.")
    ],
    out: Annotated[Path, typer.Option("--out", "-o", help="The file, a .rrd.")] = Path(
        "renders/run.rrd"
    ),
    episode: Annotated[
        int | None,
        typer.Option(
            help="Episode to show, from 1; the one of median return by default.",
            min=1,
        ),
    ] = None,
    episodes: Episodes = 10,
    controller: Annotated[
        Literal["mppi", "pi"],
        typer.Option(help="Who acts: the planner (mppi), or the policy prior alone (pi)."),
    ] = "mppi",
    seed: Seed = 0,
    steps: Steps = None,
    traces: Traces = None,
    labels: Labels = "learned",
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace a file that exists.")
    ] = False,
) -> None:
    """Write an episode for the Rerun viewer: film, labels, map and scalars on one clock.

    Needs `pip install 'glassviz[rerun]'`; `rerun FILE.rrd` opens it. A map that is kept
    beside the trace is used again, else one is made. A missing trace is recorded, an existing one
    reused.
    """
    from glassviz.video.opengl import choose_backend

    with suppress(GlassvizError):
        choose_backend()  # before the next imports, which bring MuJoCo, which takes what it finds
    from glassviz.cli.progress import progress_bar
    from glassviz.export import rerun
    from glassviz.export.product import Source
    from glassviz.rollout.run import Run
    from glassviz.rollout.traces import RolloutOptions

    rerun.check(out, overwrite)
    options = RolloutOptions(episodes=episodes, controllers=(controller,), seed=seed, steps=steps)
    rows = assess_with_progress([target], options, traces, 1, labels)
    if len(rows) > 1:
        names = ", ".join(row.name for row in rows[:3])
        raise UsageError(
            f"rerun: expected one run, found {len(rows)} ({names}, …): write them one by one"
        )
    [row] = rows
    if not isinstance(row, Run):
        raise GlassvizError(row.error)
    source = Source.of(row, None if episode is None else episode - 1)
    with progress_bar() as bar:
        bar.add_task(f"drawing and mapping {source.title}", total=None)
        notes = rerun.write(source, out, overwrite)
    size = out.stat().st_size / 1e6
    typer.echo(f"{out}: {source.title}, episode {source.episode + 1}, {size:.1f} MB")
    for note in notes:
        typer.echo(f"  {note}")
