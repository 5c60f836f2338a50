"""The kinds of export, one by one or all."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from matplotlib.figure import Figure

from glassviz.errors import GlassvizError, UsageError
from glassviz.export import figures
from glassviz.export.grid import COLUMNS, grid_caption, grid_film, plan_grid, usual_speed
from glassviz.export.product import (
    FIGURES,
    FILMS,
    GIF_BYTES,
    UNKNOWN,
    Product,
    Progress,
    Source,
    Studio,
    film_format,
    made_from,
    mosaic_rate,
    read_captions,
    shared_colors,
    why_kept,
    write_captions,
)
from glassviz.export.wall import SPEED as WALL_SPEED
from glassviz.export.wall import plan_wall, wall_caption, wall_film
from glassviz.figures.style import save
from glassviz.files import DiskFullError, StrPath, refuse_existing
from glassviz.report.phrases.numbers import speed_words
from glassviz.report.phrases.verdicts import failure
from glassviz.rollout.batch import Failed, for_each
from glassviz.rollout.run import Run
from glassviz.text import escaped
from glassviz.video.film import FilmOptions, FilmReport, film, shoot
from glassviz.video.mosaic import Mosaic

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
    from glassviz.compare.graphs import run_graph
    from glassviz.figures.transition_graph import caption
    from glassviz.report.documents import save_graph

    found = run_graph(source.trace, name=source.name, gaits=source.run.gaits)

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
    from glassviz.figures.latent_map import caption, figure
    from glassviz.maps.maps import make_map

    found = make_map(
        [source.trace],
        folder=source.run.trace_path.parent,
        names=[source.name],
        gaits=[source.run.gaits],
    )
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
            max_bytes=GIF_BYTES,
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
                max_bytes=GIF_BYTES,
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


PAPER = (".pdf", ".png")
"""Endings of every figure: for the paper, and for slides and pages."""

Plan = Callable[[], Product]


@dataclass(frozen=True)
class Made:
    """What came of a full set.

    Attributes:
        written, kept: files that were made, and that were there already.
        left_out: what could not be made, and why.
    """

    written: tuple[Path, ...]
    kept: tuple[Path, ...]
    left_out: dict[str, str]


def export_all(
    rows: Sequence[Run | Failed],
    folder: StrPath,
    studio: Studio,
    *,
    episode: int | None = None,
    overwrite: bool = False,
    tell: Callable[[str], None] = lambda line: None,
    on_file: Callable[[str], Progress] = lambda name: lambda done, total: None,
) -> Made:
    """Make everything that there is to make of some runs.

    Files that are there already are kept, with the captions that tell what they were made from, so
    that a set that was interrupted can be gone on with. The captions are written again after every
    file. What a run cannot have (a grid without
    labels) is left out, and the captions say why.

    Args:
        rows: of `assess_all`.
        folder: where to.
        studio: what draws.
        episode: to show, from 0; of each run the one with the median return if None.
        overwrite: whether files that are there are made anew.
        tell: called with each line that a user should see.
        on_file: called with the name of each film, for the progress of it.

    Raises:
        GlassvizError: the disk is full, or the folder cannot be written to.
    """
    folder = Path(folder)
    if folder.exists() and not folder.is_dir():
        raise UsageError(
            f"{folder}: expected a folder for --all, found a file: choose another name"
        )
    captions = read_captions(folder)
    left_out: dict[str, str] = {}
    written: list[Path] = []
    kept: list[Path] = []
    taken: set[str] = set()

    def leave_out(what: str, error: GlassvizError) -> None:
        left_out[what] = str(error)
        tell(f"{what}: not made: {error}")

    def make(what: str, plan: Plan) -> None:
        try:
            product = plan()
        except GlassvizError as error:
            leave_out(what, error)
            return
        stem = _free(product.stem, taken)
        endings = PAPER if product.endings == FIGURES else product.endings[:1]
        caption = escaped(product.caption)
        for path in (folder / f"{stem}{ending}" for ending in endings):
            name = escaped(path.name)
            if path.exists() and not overwrite:
                kept.append(path)
                why = why_kept(captions.setdefault(name, UNKNOWN), caption)
                tell(f"{path}: kept, {why} (--overwrite makes it anew)")
            else:
                try:
                    refuse_existing(path, overwrite)
                    notes = product.write(path, overwrite, on_file(path.name))
                except DiskFullError:
                    raise
                except GlassvizError as error:
                    leave_out(path.name, error)
                    continue
                written.append(path)
                tell(": ".join([str(path), *notes[:1]]))
                captions[name] = caption
            write_captions(folder, captions, left_out)

    def failed(run: Run, error: GlassvizError) -> Failed:
        return Failed(run.name, run.target, None, str(error))

    sources: list[Source] = []
    for each in for_each(rows, lambda run: Source.of(run, episode), failed):
        if isinstance(each, Failed):
            leave_out(each.name, GlassvizError(failure(each)))
            continue
        sources.append(each)
        for kind, plan in _of_one(each, studio):
            make(f"{kind} of {each.title}", plan)
    if len(sources) > 1:
        make("wall", lambda: wall(sources, studio, tell=tell))
    write_captions(folder, captions, left_out)
    return Made(tuple(written), tuple(kept), left_out)


def _of_one(source: Source, studio: Studio) -> Iterator[tuple[str, Plan]]:
    """Everything of one run, the figures first: they take seconds."""
    yield "strip", lambda: strip(source, studio)
    yield "timeline", lambda: timeline(source)
    yield "raster", lambda: raster(source)
    yield "graph", lambda: graph(source)
    yield "map", lambda: latent_map(source)
    yield "clip", lambda: clip(source, studio)
    yield "gif", lambda: gif(source, studio)
    yield "grid", lambda: grid(source, studio)


def _free(stem: str, taken: set[str]) -> str:
    """A name that no other product of this set has."""
    number, found = 2, stem
    while found.lower() in taken:
        found, number = f"{stem}-{number}", number + 1
    taken.add(found.lower())
    return found
