"""What can be exported: a file's name, its caption, and how it is written."""

from collections.abc import Callable
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path

from glassviz.errors import UsageError
from glassviz.video.formats import SPECS, Format
from glassviz.video.frames import OpenRenderer
from glassviz.video.gl import Backend, choose_backend
from glassviz.video.renderer import MujocoRenderer, Quality
from glassviz.video.stills import StillMaker

FIGURES = (".pdf", ".svg", ".png")
FILMS = tuple(f".{name}" for name in SPECS)

GIF_BYTES = 8_000_000
"""What mail, chats and README files take."""

Progress = Callable[[int, int], None]


@dataclass
class Studio:
    """What draws: opened when it is needed first. Close it, or use it in `with`.

    Attributes:
        quality: of films; None for what suits the machine.
        jobs: processes that draw; None for as many as pay.
        open_renderer: makes renderers.
        backend: of OpenGL; found out if None.
        stills: draws single pictures.
    """

    quality: Quality | None = None
    jobs: int | None = None
    open_renderer: OpenRenderer = MujocoRenderer
    backend: Backend | None = None
    stills: StillMaker = field(init=False)

    def __post_init__(self) -> None:
        self.stills = StillMaker(self.open_renderer)

    def light(self) -> Backend:
        """What draws here.

        Raises:
            GlassvizError: nothing does.
        """
        self.backend = self.backend or choose_backend()
        return self.backend

    def mosaic_quality(self) -> Quality:
        """Of films made of many: shadows in each of many cells would take minutes in software."""
        return self.quality or ("smooth" if self.light().software else "full")

    def __enter__(self) -> "Studio":
        return self

    def __exit__(self, *_: object) -> None:
        self.stills.close()


@dataclass(frozen=True)
class Product:
    """A film or a figure that can be made.

    Attributes:
        kind: such as `strip`.
        stem: of the file's name, unless another is asked for.
        endings: that the file may have; the first is the default.
        caption: what it shows, and what it was made from.
        write: makes the file, whole or not at all, and returns what may surprise about it.
    """

    kind: str
    stem: str
    endings: tuple[str, ...]
    caption: str
    write: Callable[[Path, bool, Progress], list[str]]

    def check(self, path: Path) -> None:
        """Say early that it cannot become such a file.

        Raises:
            UsageError: the name has another ending.
        """
        if path.suffix.lower() not in self.endings:
            endings = " or ".join(self.endings)
            raise UsageError(f"{path}: expected a name that ends in {endings} for --{self.kind}")


def film_format(path: Path) -> Format:
    """The format that a film's name asks for."""
    formats: dict[str, Format] = {f".{name}": name for name in SPECS}
    return formats[path.suffix.lower()]


def mosaic_rate(format: Format) -> Fraction:
    """Frames per second of films made of many: a GIF's frames last whole hundredths of a second."""
    return Fraction(25 if format == "gif" else 30)
