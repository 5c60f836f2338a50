"""`glassviz map`."""

import json
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from glassviz.cli.labels import Labels
from glassviz.cli.rollout import Controllers, Seed, Steps, controllers
from glassviz.cli.stability import Episodes, Runs, Traces
from glassviz.errors import UsageError

if TYPE_CHECKING:
    from rich.progress import TaskID

    from glassviz.maps import LatentMap, MapOptions, Unmapped
    from glassviz.runs import RolloutOptions

Color = Literal["label", "phase", "return-to-go", "controller", "episode", "run", "all"]


def latent_map(
    targets: Runs,
    out: Annotated[
        Path, typer.Option("--out", "-o", help="The figure: a .png, .svg or .pdf file.")
    ] = Path("renders/map.png"),
    method: Annotated[
        Literal["umap", "pca"],
        typer.Option(help="Keep neighbourhoods (umap), or the directions of most variance (pca)."),
    ] = "umap",
    color: Annotated[
        Color, typer.Option(help="What frames are coloured by; all: a panel for each.")
    ] = "all",
    joint: Annotated[
        Literal["obs", "gait", "latent"] | None,
        typer.Option(
            help="One map of all runs, of what they have in common: observations, or features of "
            "the gait; latents only if all are of one checkpoint."
        ),
    ] = None,
    gallery: Annotated[
        Path | None,
        typer.Option(help="Also draw the frames nearest to each prototype, to this file."),
    ] = None,
    max_points: Annotated[
        int,
        typer.Option(help="Frames to fit at most; of more, evenly many of each gait phase.", min=4),
    ] = 100_000,
    place_rest: Annotated[
        bool, typer.Option("--place-rest", help="Place the frames that were not fitted, too.")
    ] = False,
    map_seed: Annotated[int, typer.Option(help="Determines the map.", min=0)] = 0,
    episodes: Episodes = 10,
    controller: Controllers = "both",
    seed: Seed = 0,
    steps: Steps = None,
    traces: Traces = None,
    labels: Labels = "learned",
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace figures that exist.")
    ] = False,
    to_json: Annotated[
        bool, typer.Option("--json", help="Print JSON, with landmarks, quality and captions.")
    ] = False,
) -> None:
    """Draw maps of what agents perceive: their latents in a plane, a map a checkpoint.

    The traces of both controllers share a map. Coordinates are kept beside the traces and used
    again. How much of the latents' neighbourhoods the map keeps is printed with it, with frames
    left out that are neighbours in time only. Missing traces are recorded, existing ones reused.
    Runs that cannot be mapped are named in the table, and make the exit code 1.
    """
    from glassviz.plots.figure import check_target

    check_target(out, overwrite)
    if gallery:
        check_target(gallery, overwrite)
        from glassviz.video.gl import choose_backend

        choose_backend()  # before the next imports, which bring MuJoCo, which takes what it finds
    from glassviz.maps import LatentMap, MapOptions, Unmapped
    from glassviz.maps.drawing import figure
    from glassviz.plots.figure import save
    from glassviz.runs import RolloutOptions

    rollout = RolloutOptions(
        episodes=episodes, controllers=controllers(controller), seed=seed, steps=steps
    )
    options = MapOptions(method, map_seed, joint or "latent", max_points, place_rest)
    rows = _map(targets, rollout, options, joint is not None, traces, labels)
    maps = [row for row in rows if isinstance(row, LatentMap)]
    files = []
    if maps:
        save(figure(maps, None if color == "all" else [color]), out, overwrite)
        files = [out, *(_galleries(maps, gallery, overwrite) if gallery else ())]
    if to_json:
        typer.echo(json.dumps([row.to_dict() for row in rows], indent=2, allow_nan=False))
    else:
        from glassviz.cli.map_table import print_maps

        print_maps(rows, files)
    if any(isinstance(row, Unmapped) for row in rows):
        raise typer.Exit(1)


def _map(
    targets: list[Path],
    rollout: "RolloutOptions",
    options: "MapOptions",
    joint: bool,
    traces: Path | None,
    labels: str,
) -> list["LatentMap | Unmapped"]:
    """Make maps with a progress bar, and an estimate before anything is recorded."""
    from glassviz.cli.progress import progress_bar, told_estimate
    from glassviz.maps import map_all

    with progress_bar() as bar:
        recording = bar.add_task("rolling out", total=None, visible=False)
        mapping = bar.add_task("mapping", total=None, visible=False)

        def tell(line: str) -> None:
            bar.console.print(line, highlight=False, markup=False, soft_wrap=True)

        def show(task: "TaskID", done: int, total: int) -> None:
            bar.update(task, completed=done, total=total, visible=True)

        return map_all(
            targets,
            rollout,
            options,
            joint,
            traces,
            labels,
            tell,
            on_recording=partial(show, recording),
            on_estimate=lambda count, seconds: tell(told_estimate(count, seconds)),
            on_mapping=partial(show, mapping),
        )


def _galleries(maps: list["LatentMap"], path: Path, overwrite: bool) -> list[Path]:
    """A gallery of each map that has prototypes; of several, each under its run's name."""
    from glassviz.maps.gallery import examples_of, gallery_caption, pictures
    from glassviz.plots.figure import save
    from glassviz.plots.gallery import gallery

    shown = [each for each in maps if each.prototypes]
    if not shown:
        raise UsageError(
            "--gallery: expected agents with prototypes, found none: name one with Glass, or add "
            "--labels fitted"
        )
    paths = []
    for each in shown:
        own = path
        if len(shown) > 1:
            own = path.with_stem(f"{path.stem}-{each.name.replace('/', '-')}")
        entries = pictures(each, examples_of(each))
        save(gallery(entries, gallery_caption(each)), own, overwrite)
        paths.append(own)
    return paths
