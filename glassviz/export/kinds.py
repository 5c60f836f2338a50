"""Every kind of export, as a product: planned at once, so that it is refused before it is drawn."""

from collections.abc import Callable, Sequence
from pathlib import Path

from matplotlib.figure import Figure

from glassviz.export import figures
from glassviz.export.captions import made_from
from glassviz.export.grid import COLUMNS, grid_caption, grid_film, plan_grid, usual_speed
from glassviz.export.matching import shared_colors
from glassviz.export.product import (
    FIGURES,
    FILMS,
    GIF_BYTES,
    Product,
    Progress,
    Studio,
    film_format,
    mosaic_rate,
)
from glassviz.export.source import Source
from glassviz.export.wall import SPEED as WALL_SPEED
from glassviz.export.wall import plan_wall, wall_caption, wall_film
from glassviz.export.wording import speed_words
from glassviz.plots.figure import save
from glassviz.video.film import FilmOptions, film
from glassviz.video.mosaic import Mosaic
from glassviz.video.shoot import FilmReport, shoot

SIZE = 640, 480
GIF_S = 6.0

Part = figures.Part


def strip(source: Source, studio: Studio, part_s: Part | None = None) -> Product:
    """A film strip with labels."""
    caption = figures.strip_caption(source, part_s)

    def draw() -> Figure:
        studio.light()
        return figures.strip_figure(source, studio.stills, part_s)

    return _figure("strip", source, caption, draw, whole=False)


def timeline(source: Source, part_s: Part | None = None) -> Product:
    """Labels, height and contacts over time."""
    caption = figures.timeline_caption(source, part_s)
    draw = lambda: figures.timeline_figure(source, part_s)  # noqa: E731
    return _figure("timeline", source, caption, draw, whole=False)


def raster(source: Source) -> Product:
    """Labels by gait cycle and phase.

    Raises:
        GlassvizError: there are no labels or no cycles.
    """
    caption = figures.raster_caption(source)
    return _figure("raster", source, caption, lambda: figures.raster_figure(source), whole=True)


def graph(source: Source) -> Product:
    """The transition graph of the run's labels.

    Raises:
        GlassvizError: there are no labels.
    """
    from glassviz.graphs import run_graph
    from glassviz.graphs import save as save_graph
    from glassviz.graphs.wording import caption

    found = run_graph(source.trace, name=source.name)

    def write(path: Path, overwrite: bool, progress: Progress) -> list[str]:
        save_graph(found, path, overwrite)
        return []

    told = f"{caption(found)} {made_from(source, whole=True)}"
    return Product("graph", f"{_stem(source)}-graph", FIGURES, told, write)


def latent_map(source: Source) -> Product:
    """A map of the run's latents.

    Raises:
        GlassvizError: there is nothing to map.
    """
    from glassviz.maps import make_map
    from glassviz.maps.caption import caption
    from glassviz.maps.drawing import figure

    found = make_map([source.trace], folder=source.row.trace.parent, names=[source.name])
    return _figure("map", source, caption([found]), lambda: figure([found]), whole=True)


def clip(source: Source, studio: Studio, part_s: Part | None = None) -> Product:
    """The film of an episode, or of a part of it, with its overlay."""
    first, last = _part(source, part_s)
    return _single("clip", source, studio, (first, last), FILMS, SIZE)


def gif(source: Source, studio: Studio, part_s: Part | None = None) -> Product:
    """A small film that plays anywhere: six seconds unless a part is asked for."""
    if part_s is None:
        dt_s = source.trace.frame_dt_s
        first, last = (t * dt_s for t in figures.shown_part(source, None, GIF_S, GIF_S))
        part_s = first, last
    return _single("gif", source, studio, _part(source, part_s), (".gif",), SIZE)


def grid(
    source: Source, studio: Studio, columns: int = COLUMNS, speed: float | None = None
) -> Product:
    """The phase-aligned grid film: rows are labels, columns visits to them.

    Raises:
        GlassvizError: there are no labels, or none has visits enough.
    """
    plan = plan_grid(source)
    pace = speed or usual_speed(plan)
    caption = grid_caption(source, plan, columns, pace)

    def reel(path: Path) -> Mosaic:
        format = film_format(path)
        quality = studio.mosaic_quality()
        return grid_film(source, plan, format, quality, columns, pace, mosaic_rate(format))

    caption = f"{caption} {made_from(source, whole=True)}"
    stem = f"{_stem(source)}-grid"
    return Product("grid", stem, FILMS, caption, _shoot(reel, [source], studio))


def wall(
    sources: Sequence[Source],
    studio: Studio,
    speed: float | None = None,
    tell: Callable[[str], None] = lambda line: None,
) -> Product:
    """Several runs side by side, at a common phase of the gait.

    Raises:
        GlassvizError: there are too few runs, or too many, or they have nothing in common.
    """
    pace = speed or WALL_SPEED
    plan = plan_wall(sources, pace)
    colors = shared_colors(sources, tell)
    caption = wall_caption(sources, plan, colors, pace)

    def reel(path: Path) -> Mosaic:
        format = film_format(path)
        quality = studio.mosaic_quality()
        return wall_film(sources, plan, colors, format, quality, pace, mosaic_rate(format))

    made = " ".join(made_from(source, whole=False) for source in sources)
    return Product("wall", "wall", FILMS, f"{caption} {made}", _shoot(reel, sources, studio))


def _figure(
    kind: str, source: Source, caption: str, draw: Callable[[], Figure], *, whole: bool
) -> Product:
    def write(path: Path, overwrite: bool, progress: Progress) -> list[str]:
        save(draw(), path, overwrite)
        return []

    caption = f"{caption} {made_from(source, whole=whole)}"
    return Product(kind, f"{_stem(source)}-{kind}", FIGURES, caption, write)


def _single(
    kind: str,
    source: Source,
    studio: Studio,
    part_s: Part,
    endings: tuple[str, ...],
    size: tuple[int, int],
) -> Product:
    def write(path: Path, overwrite: bool, progress: Progress) -> list[str]:
        options = FilmOptions(
            overlay_k=True,
            episodes=(source.episode,),
            part_s=part_s,
            size=size,
            quality=studio.mosaic_quality(),
            format=film_format(path),
            overwrite=overwrite,
            jobs=studio.jobs,
            most_bytes=GIF_BYTES,
        )
        backend, draw = studio.light(), studio.open_renderer
        return _told(
            film(
                [source.trace],
                path,
                options,
                progress=progress,
                backend=backend,
                open_renderer=draw,
            )
        )

    labels = "its label, " if source.trace.has_labels else ""
    caption = (
        f"{part_s[0]:.2f} to {part_s[1]:.2f} s of the episode with {labels}controller, time and "
        f"return so far; below, the floor contacts. {speed_words(1.0)}; every recorded frame, "
        f"fewer in a GIF that would be too large."
        if kind == "clip"
        else f"{part_s[0]:.2f} to {part_s[1]:.2f} s of the episode with {labels}controller, time "
        f"and return so far; below, the floor contacts. {speed_words(1.0)}; frames are left out "
        f"where the file would be too large."
    )
    caption = f"{caption} {made_from(source, whole=False)}"
    return Product(kind, f"{_stem(source)}-{kind}", endings, caption, write)


def _shoot(
    reel: Callable[[Path], Mosaic], sources: Sequence[Source], studio: Studio
) -> Callable[[Path, bool, Progress], list[str]]:
    def write(path: Path, overwrite: bool, progress: Progress) -> list[str]:
        made = reel(path)
        return _told(
            shoot(
                made,
                path,
                mosaic_rate(made.format),
                [source.trace for source in sources],
                studio.light(),
                overwrite=overwrite,
                jobs=studio.jobs,
                most_bytes=GIF_BYTES,
                progress=progress,
                open_renderer=studio.open_renderer,
            )
        )

    return write


def _told(report: FilmReport) -> list[str]:
    width, height = report.size
    facts = (
        f"{report.frames} frames at {report.fps:g} fps, {width}x{height}, {report.codec} "
        f"{report.pixel_format}, drawn by {report.renderer} ({report.quality}) in "
        f"{report.seconds:.1f} s"
    )
    return [facts, *(f"note: {note}" for note in report.notes)]


def _part(source: Source, part_s: Part | None) -> Part:
    """A part of the episode that there is, in whole frames; all of it if None."""
    dt_s = source.trace.frame_dt_s
    if part_s is None:
        return 0.0, source.trace.frames * dt_s
    first, last = figures.shown_part(source, part_s)
    return first * dt_s, last * dt_s


def _stem(source: Source) -> str:
    """Of a file's name: what of the run's may stand in one, controller, and whose labels."""
    kept = (
        "".join(c if c.isalnum() or c in "-_." else "_" for c in source.name).strip("._") or "run"
    )
    fitted = ("fitted",) if source.fitted else ()
    episode = (f"episode{source.episode + 1}",) if source.chosen else ()
    return "-".join((kept[:80], source.run.controller, *fitted, *episode))
