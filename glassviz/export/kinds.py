"""The kinds of export, one by one or all."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from matplotlib.figure import Figure

from glassviz.errors import GlassvizError, UsageError
from glassviz.export import figures, mosaics
from glassviz.export.product import (
    FIGURES,
    GIF_BYTES,
    UNKNOWN,
    USAGE,
    WALL,
    Product,
    Progress,
    Source,
    Studio,
    default_stem,
    made_from,
    mosaic_rate,
    read_captions,
    shared_colors,
    why_kept,
    write_captions,
)
from glassviz.figures.style import PLAIN, FigureStyle, save
from glassviz.files import DiskFullError, StrPath, check_folder, check_target
from glassviz.report.phrases import captions
from glassviz.report.phrases.numbers import film_facts, speed_words
from glassviz.report.phrases.verdicts import failure
from glassviz.rollout.batch import Failed, for_each
from glassviz.rollout.run import Run
from glassviz.text import escaped
from glassviz.video.encode import SPECS, Format
from glassviz.video.film import FilmOptions, FilmReport, film, shoot
from glassviz.video.mosaic import Look, Mosaic

SIZE = 640, 480
GIF_S = 6.0
Part = figures.Part


def strip(
    source: Source, studio: Studio, part_s: Part | None = None, look: FigureStyle = PLAIN
) -> Product:
    """A film strip with labels."""
    caption = figures.strip_caption(source, part_s) + _behind(studio)

    def draw() -> Figure:
        studio.light()
        return figures.strip_figure(source, studio.stills, part_s, look)

    return _figure("strip", source, caption, draw, look)


def timeline(source: Source, part_s: Part | None = None, look: FigureStyle = PLAIN) -> Product:
    """Labels, height and contacts over time."""
    caption = figures.timeline_caption(source, part_s)

    def draw() -> Figure:
        return figures.timeline_figure(source, part_s, look)

    return _figure("timeline", source, caption, draw, look)


def raster(source: Source, look: FigureStyle = PLAIN) -> Product:
    """Labels by gait cycle and phase.

    Raises:
        GlassvizError: there are no labels or no cycles.
    """
    caption = figures.raster_caption(source)

    def draw() -> Figure:
        return figures.raster_figure(source, look)

    return _figure("raster", source, caption, draw, look, whole=True)


def poses(source: Source, look: FigureStyle = PLAIN) -> Product:
    """The mean pose of each label, with its spread.

    Raises:
        GlassvizError: there are no labels, or no frames after the initial transients.
    """
    from glassviz.figures.poses import caption, pose_figure

    found = figures.label_poses(source)
    physics = source.trace.header["env"]["physics"]

    def draw() -> Figure:
        return pose_figure(found, physics, look)

    return _figure("poses", source, caption(found, len(source.episodes)), draw, look, whole=True)


def graph(source: Source) -> Product:
    """The transition graph of the run's labels.

    Raises:
        GlassvizError: there are no labels.
    """
    from glassviz.compare.graphs import run_graph
    from glassviz.figures.transition_graph import caption
    from glassviz.report.documents import save_graph

    run = source.run
    found = run_graph(source.trace, name=source.name, gaits=run.gaits, given=run.given_labels)

    def write(path: Path, overwrite: bool, progress: Progress) -> list[str]:
        save_graph(found, path, overwrite)
        return []

    told = f"{caption(found)} {made_from(source, whole=True)}"
    return Product("graph", _stem("graph", source), told, write)


def latent_map(source: Source) -> Product:
    """A map of the run's latents.

    Raises:
        GlassvizError: there is nothing to map.
    """
    from glassviz.figures.latent_map import caption, figure
    from glassviz.maps.maps import make_map

    run = source.run
    found = make_map(
        [run.trace],
        folder=run.trace_path.parent,
        names=[source.name],
        gaits=[run.gaits],
        given=run.given_labels,
    )
    return _figure("map", source, caption([found]), lambda: figure([found]), whole=True)


def clip(source: Source, studio: Studio, part_s: Part | None = None) -> Product:
    """The film of an episode, or of a part of it, with its overlay."""
    part = figures.shown_part(source, part_s) if part_s else (0, source.trace.frames)
    rest = "every recorded frame, fewer in a GIF that would be too large"
    return _single("clip", source, studio, part, rest)


def gif(source: Source, studio: Studio, part_s: Part | None = None) -> Product:
    """A small film that plays anywhere: six seconds unless a part is asked for."""
    part = figures.shown_part(source, part_s, GIF_S, GIF_S)
    rest = "frames are left out where the file would be too large"
    return _single("gif", source, studio, part, rest)


def grid(
    source: Source,
    studio: Studio,
    columns: int = mosaics.COLUMNS,
    speed: float | None = None,
    part_s: Part | None = None,
) -> Product:
    """The phase-aligned grid film: rows are labels, columns visits to them.

    Raises:
        GlassvizError: there are no labels, or none has visits enough.
    """
    plan = mosaics.plan_grid(source, part_s)
    pace = speed or mosaics.usual_speed(plan)

    def reel(format: Format, look: Look) -> Mosaic:
        return mosaics.grid_film(source, plan, format, look, columns, pace)

    told = mosaics.grid_caption(source, plan, columns, pace) + _behind(studio)
    caption = f"{told} {made_from(source, whole=True)}"
    return _mosaic("grid", _stem("grid", source), caption, [source], studio, reel)


def wall(
    sources: Sequence[Source],
    studio: Studio,
    speed: float | None = None,
    part_s: Part | None = None,
    tell: Callable[[str], None] = lambda line: None,
) -> Product:
    """Several runs side by side, at a common phase of the gait.

    Raises:
        GlassvizError: there are too few runs, or too many, or they have nothing in common.
    """
    pace = speed or mosaics.WALL_SPEED
    plan = mosaics.plan_wall(sources, pace, part_s)
    colors = shared_colors(sources, tell)

    def reel(format: Format, look: Look) -> Mosaic:
        return mosaics.wall_film(sources, plan, colors, format, look, pace)

    made = " ".join(made_from(source, whole=False) for source in sources)
    told = mosaics.wall_caption(sources, plan, colors, pace) + _behind(studio)
    caption = f"{told} {made}"
    return _mosaic(WALL, WALL, caption, sources, studio, reel)


def usage(
    sources: Sequence[Source],
    look: FigureStyle = PLAIN,
    tell: Callable[[str], None] = lambda line: None,
) -> Product:
    """How often several runs use each label, by recipe and controller.

    Raises:
        GlassvizError: no run has labels.
    """
    from glassviz.figures.usage import caption, label_usage, usage_figure

    found = label_usage([source.run for source in sources], tell)

    def write(path: Path, overwrite: bool, progress: Progress) -> list[str]:
        save(usage_figure(found, look), path, overwrite, look=look)
        return []

    made = " ".join(made_from(source, whole=True) for source in sources)
    return Product(USAGE, USAGE, f"{caption(found, captions.shared_colors)} {made}", write)


def _figure(
    kind: str,
    source: Source,
    caption: str,
    draw: Callable[[], Figure],
    look: FigureStyle = PLAIN,
    *,
    whole: bool = False,
) -> Product:
    def write(path: Path, overwrite: bool, progress: Progress) -> list[str]:
        save(draw(), path, overwrite, look=look)
        return []

    caption = f"{caption} {made_from(source, whole=whole)}"
    return Product(kind, _stem(kind, source), caption, write)


def _single(
    kind: str,
    source: Source,
    studio: Studio,
    part: tuple[int, int],
    rest: str,
) -> Product:
    """The film of the frames `part` of an episode; `rest` ends its caption."""
    dt_s = source.trace.frame_dt_s
    first_s, last_s = part[0] * dt_s, part[1] * dt_s

    def write(path: Path, overwrite: bool, progress: Progress) -> list[str]:
        options = FilmOptions(
            overlay_k=True,
            episodes=(source.episode,),
            part_s=(first_s, last_s),
            size=studio.size or SIZE,
            quality=studio.mosaic_quality(),
            background=studio.background,
            format=_format(path),
            overwrite=overwrite,
            jobs=studio.jobs,
            max_bytes=GIF_BYTES,
        )
        backend, draw = studio.light(), studio.open_renderer
        report = film(
            [source.trace],
            path,
            options,
            names=[source.shown_names],
            progress=progress,
            backend=backend,
            open_renderer=draw,
        )
        return _notes(report)

    labels = "its label, " if source.trace.has_labels else ""
    caption = (
        f"{first_s:.2f} to {last_s:.2f} s of the episode with {labels}controller, time and return "
        f"so far; below, the floor contacts. {speed_words(1.0)}; {rest}.{_behind(studio)} "
        f"{made_from(source, whole=False)}"
    )
    return Product(kind, _stem(kind, source), caption, write)


def _mosaic(
    kind: str,
    stem: str,
    caption: str,
    sources: Sequence[Source],
    studio: Studio,
    reel: Callable[[Format, Look], Mosaic],
) -> Product:
    def write(path: Path, overwrite: bool, progress: Progress) -> list[str]:
        format = _format(path)
        report = shoot(
            reel(format, studio.look()),
            path,
            mosaic_rate(format),
            [source.trace for source in sources],
            studio.light(),
            overwrite=overwrite,
            jobs=studio.jobs,
            max_bytes=GIF_BYTES,
            progress=progress,
            open_renderer=studio.open_renderer,
        )
        return _notes(report)

    return Product(kind, stem, caption, write)


def _format(path: Path) -> Format:
    return next(name for name in SPECS if path.suffix.lower() == f".{name}")


def _behind(studio: Studio) -> str:
    """What is behind the body, where it is not the usual."""
    return "" if studio.background == "sky" else f" Background: {studio.background}."


def _notes(report: FilmReport) -> list[str]:
    return [film_facts(report), *(f"note: {note}" for note in report.notes)]


def _stem(kind: str, source: Source) -> str:
    episode = source.episode if source.chosen else None
    return default_stem(kind, source.run.name, source.run.controller, source.fitted, episode)


PAPER = (".pdf", ".png")
"""Endings of every figure: for the paper, and for slides and pages."""

Plan = Callable[[], Product]


@dataclass(frozen=True)
class Made:
    """Files that were written, and kept since they existed; what could not be made, and why."""

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

    Existing files are kept, with the captions that say what they were made from, so that an
    interrupted set can be resumed; captions are written again after every file. What a run cannot
    have (a grid without labels) is left out, and the captions say why.

    Args:
        episode: to show, from 0; of each run the one with the median return if None.
        tell: called with each line that a user should see.
        on_file: called with the name of each film; returns its progress callback.

    Raises:
        GlassvizError: the disk is full, or the folder cannot be written to.
    """
    folder = Path(folder)
    if folder.exists() and not folder.is_dir():
        raise UsageError(
            f"{folder}: expected a folder for --all, found a file: choose another name"
        )
    check_folder(folder)
    captions, left_out = read_captions(folder), dict[str, str]()
    written, kept, taken = list[Path](), list[Path](), set[str]()

    def leave_out(what: str, error: GlassvizError) -> None:
        left_out[what] = str(error)
        tell(f"{what}: not made: {error}")

    def make(what: str, plan: Plan) -> None:
        try:
            product = plan()
        except GlassvizError as error:
            leave_out(what, error)
            return
        stem, number = product.stem, 2
        while stem.lower() in taken:
            stem, number = f"{product.stem}-{number}", number + 1
        taken.add(stem.lower())
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
                    check_target(path, overwrite)
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
        for kind, plan in plans_of(each, studio):
            make(f"{kind} of {each.title}", plan)
    if len(sources) > 1:
        make("wall", lambda: wall(sources, studio, tell=tell))
    write_captions(folder, captions, left_out)
    return Made(tuple(written), tuple(kept), left_out)


def plans_of(source: Source, studio: Studio) -> Iterator[tuple[str, Plan]]:
    """Everything of one run, the figures first: they take seconds."""
    yield "strip", lambda: strip(source, studio)
    yield "timeline", lambda: timeline(source)
    yield "raster", lambda: raster(source)
    yield "poses", lambda: poses(source)
    yield "graph", lambda: graph(source)
    yield "map", lambda: latent_map(source)
    yield "clip", lambda: clip(source, studio)
    yield "gif", lambda: gif(source, studio)
    yield "grid", lambda: grid(source, studio)
