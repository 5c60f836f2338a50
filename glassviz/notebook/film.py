"""A film, in a notebook."""

import base64
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Self

from glassviz.notebook.html import rendered
from glassviz.notebook.progress import progress
from glassviz.trace import Trace

if TYPE_CHECKING:
    from glassviz.video.film import FilmOptions
    from glassviz.video.shoot import FilmReport


@dataclass(frozen=True, eq=False, repr=False)
class Film:
    """A film. As the last line of a cell it plays below it.

    Attributes:
        mp4: the file.
        caption: what it shows.
        report: its facts: frames, frames per second, size, what drew it.
    """

    mp4: bytes
    caption: str
    report: "FilmReport"

    @classmethod
    def of(cls, trace: Trace, name: str, options: "FilmOptions") -> Self:
        """Film an episode of a trace.

        Raises:
            GlassvizError: the options do not fit the trace, or nothing can be drawn here.
        """
        from glassviz.video.clip import CONTROLLER_NAMES
        from glassviz.video.film import film

        with tempfile.TemporaryDirectory() as folder, progress(f"filming {name}") as on_frame:
            path = Path(folder) / "film.mp4"
            report = film([trace], path, options, progress=on_frame)
            mp4 = path.read_bytes()
        controller = trace.header["controller"]
        [episode] = options.episodes or (0,)
        caption = (
            f"{name}, {CONTROLLER_NAMES.get(controller, controller)}, episode {episode + 1} of "
            f"{trace.episodes}, return {trace.returns[episode]:.0f}"
        )
        return cls(mp4, caption, report)

    def save(self, path: str | Path, overwrite: bool = False) -> Path:
        """Write the file (.mp4), whole or not at all.

        Raises:
            GlassvizError: there is one already, or it cannot be written.
        """
        from glassviz.files import refuse_existing, replacing

        target = Path(path)
        refuse_existing(target, overwrite)
        with replacing(target) as partial:
            partial.write_bytes(self.mp4)
        return target

    def __repr__(self) -> str:
        report = self.report
        return (
            f"Film({self.caption!r}, {report.frames} frames at {report.fps:g} fps, "
            f"{len(self.mp4) / 1e6:.1f} MB)"
        )

    def _repr_html_(self) -> str:
        data = base64.b64encode(self.mp4).decode()
        width, height = self.report.size
        return rendered("notebook_film", film=self, data=data, width=width, height=height)
