"""From a reel to a film file."""

import time
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

from glassviz.trace import Trace
from glassviz.video.encode import Encoder
from glassviz.video.frames import OpenRenderer, Reel, choose_jobs, draw_frames
from glassviz.video.gl import Backend
from glassviz.video.renderer import MujocoRenderer, Quality


@dataclass(frozen=True)
class FilmReport:
    """What came of it, as read back from the file.

    Attributes:
        path: the file.
        frames: number of frames.
        fps: frames per second.
        size: width and height.
        codec, pixel_format: of the file.
        renderer: GL_RENDERER, the name of what drew the frames.
        quality: what they were drawn with.
        seconds: how long drawing and encoding took.
        notes: what may surprise about the film, a sentence each.
    """

    path: Path
    frames: int
    fps: float
    size: tuple[int, int]
    codec: str
    pixel_format: str
    renderer: str
    quality: Quality
    seconds: float
    notes: tuple[str, ...]


def shoot(
    reel: Reel,
    out: Path,
    fps: Fraction,
    traces: Sequence[Trace],
    backend: Backend,
    *,
    overwrite: bool = False,
    jobs: int | None = None,
    most_bytes: int | None = None,
    notes: Sequence[str] = (),
    progress: Callable[[int, int], None] | None = None,
    open_renderer: OpenRenderer = MujocoRenderer,
) -> FilmReport:
    """Draw and encode a reel; the file appears whole or not at all.

    Args:
        reel: what is drawn.
        out: the file.
        fps: frames per second.
        traces: what it is drawn from; their hashes go into the file's metadata.
        backend: what draws.
        overwrite: whether an existing file may be replaced.
        jobs: processes that draw; if None, what pays on this machine.
        most_bytes: of a GIF, as for `Encoder`.
        notes: for the report; empty ones are left out.
        progress: called with the number of frames done and of all frames.
        open_renderer: makes the renderer. A picklable function, for it is sent to the processes.

    Raises:
        GlassvizError: the file exists, cannot be drawn or encoded, or is not what was asked for.
    """
    started = time.perf_counter()
    comment = "glassviz, trace " + ", ".join(dict.fromkeys(trace.sha256 for trace in traces))
    encoder = Encoder(
        out, reel.width, reel.height, fps, reel.format, comment, overwrite, most_bytes
    )
    jobs = jobs or choose_jobs(reel.frames)
    with encoder, closing(draw_frames(reel, open_renderer, jobs)) as frames:
        for done, frame in enumerate(frames, 1):
            encoder.write(frame)
            if progress:
                progress(done, reel.frames)
    facts = encoder.facts
    assert facts is not None
    return FilmReport(
        path=out,
        frames=facts.frames,
        fps=facts.fps,
        size=(facts.width, facts.height),
        codec=facts.codec,
        pixel_format=facts.pixel_format,
        renderer=backend.renderer,
        quality=reel.scene.quality,
        seconds=time.perf_counter() - started,
        notes=tuple(filter(None, (backend.note, *notes, encoder.note))),
    )


def choose_quality(wanted: Quality | None, backend: Backend) -> tuple[Quality, str]:
    """What to draw a film with, and a note where that may surprise."""
    if wanted:
        return wanted, ""
    if not backend.software:
        return "full", ""
    return "fast", (
        "drawn in software, so without shadows and reflections: --quality full has them, and takes "
        "about five times as long"
    )
