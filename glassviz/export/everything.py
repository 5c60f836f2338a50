"""The full set for a write-up: every film and figure of some runs, with their captions."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from glassviz.errors import GlassvizError, UsageError
from glassviz.export import kinds
from glassviz.export.captions import UNKNOWN, read_captions, why_kept, write_captions
from glassviz.export.product import FIGURES, Product, Progress, Studio
from glassviz.export.source import Source
from glassviz.files import DiskFullError, refuse_existing
from glassviz.many import Failed
from glassviz.markdown import escaped
from glassviz.stability import Assessed
from glassviz.stability.wording import failure

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
    rows: Sequence[Assessed | Failed],
    folder: Path,
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

    sources: list[Source] = []
    for row in rows:
        if isinstance(row, Failed):
            leave_out(row.name, GlassvizError(failure(row)))
            continue
        try:
            source = Source.of(row, episode)
        except GlassvizError as error:
            leave_out(row.name, error)
            continue
        sources.append(source)
        for kind, plan in _of_one(source, studio):
            make(f"{kind} of {source.title}", plan)
    if len(sources) > 1:
        make("wall", lambda: kinds.wall(sources, studio, tell=tell))
    write_captions(folder, captions, left_out)
    return Made(tuple(written), tuple(kept), left_out)


def _of_one(source: Source, studio: Studio) -> Iterator[tuple[str, Plan]]:
    """Everything of one run, the figures first: they take seconds."""
    yield "strip", lambda: kinds.strip(source, studio)
    yield "timeline", lambda: kinds.timeline(source)
    yield "raster", lambda: kinds.raster(source)
    yield "graph", lambda: kinds.graph(source)
    yield "map", lambda: kinds.latent_map(source)
    yield "clip", lambda: kinds.clip(source, studio)
    yield "gif", lambda: kinds.gif(source, studio)
    yield "grid", lambda: kinds.grid(source, studio)


def _free(stem: str, taken: set[str]) -> str:
    """A name that no other product of this set has."""
    number, found = 2, stem
    while found.lower() in taken:
        found, number = f"{stem}-{number}", number + 1
    taken.add(found.lower())
    return found
