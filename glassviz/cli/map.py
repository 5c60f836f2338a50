"""`glassviz map`."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from glassviz.cli.options import Labels
from glassviz.cli.rollout import Controllers, Seed, Steps, controllers
from glassviz.cli.stability import Episodes, Runs, Traces
from glassviz.errors import UsageError

if TYPE_CHECKING:
    from glassviz.maps.maps import LatentMap


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
            "the gait; latents if all are of one checkpoint, or by one --encoder."
        ),
    ] = None,
    encoder: Annotated[
        Path | None,
        typer.Option(
            help="With --joint latent: a checkpoint that is shown the observations of all runs.",
            metavar="CHECKPOINT",
        ),
    ] = None,
    gallery: Annotated[
        Path | None,
        typer.Option(help="Also draw the frames nearest to each prototype, to this file."),
    ] = None,
    max_points: Annotated[
        int,
        typer.Option(
            help="Frames to fit at most; of more, evenly many of each gait cycle and phase.", min=4
        ),
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
    from glassviz.figures.style import check_target

    check_target(out, overwrite)
    if gallery:
        check_target(gallery, overwrite)
        from glassviz.video.opengl import choose_backend

        choose_backend()  # before the next imports, which bring MuJoCo, which takes what it finds
    from glassviz.cli.progress import listener
    from glassviz.figures.latent_map import figure
    from glassviz.figures.style import save
    from glassviz.maps.coordinates import MapOptions
    from glassviz.maps.maps import LatentMap, map_all
    from glassviz.rollout.traces import RolloutOptions

    rollout = RolloutOptions(
        episodes=episodes, controllers=controllers(controller), seed=seed, steps=steps
    )
    options = MapOptions(method, map_seed, joint or "latent", max_points, place_rest)
    with listener("mapping") as told:
        rows = map_all(targets, rollout, options, joint is not None, traces, labels, told, encoder)
    maps = [row for row in rows if isinstance(row, LatentMap)]
    files = []
    if maps:
        galleries = _galleries(maps, gallery, overwrite) if gallery else {}
        save(figure(maps, None if color == "all" else [color]), out, overwrite)
        for path, each in galleries.items():
            _draw_gallery(each, path, overwrite)
        files = [out, *galleries]
    if to_json:
        from glassviz.report.documents import map_dict
        from glassviz.report.serialize import as_json

        typer.echo(as_json([map_dict(row) for row in rows]))
    else:
        from glassviz.cli.tables import print_maps

        print_maps(rows, files)
    if len(maps) < len(rows):
        raise typer.Exit(1)


def _galleries(maps: list["LatentMap"], path: Path, overwrite: bool) -> dict[Path, "LatentMap"]:
    """The file of a gallery of each map that has prototypes; of several, by their runs' names."""
    from glassviz.figures.style import check_target
    from glassviz.rollout.batch import file_stem

    shown = [each for each in maps if each.prototypes]
    if not shown:
        raise UsageError(
            "--gallery: expected agents with prototypes, found none: name one with Glass, or add "
            "--labels fitted"
        )
    if len(shown) == 1:
        return {path: shown[0]}
    found = {path.with_stem(f"{path.stem}-{file_stem(each.name)}"): each for each in shown}
    for own in found:
        check_target(own, overwrite)
    return found


def _draw_gallery(found: "LatentMap", path: Path, overwrite: bool) -> None:
    from glassviz.figures.gallery import examples_of, gallery, gallery_caption, pictures
    from glassviz.figures.style import save

    entries = pictures(found, examples_of(found))
    save(gallery(entries, gallery_caption(found)), path, overwrite)
