"""Films of traces: `film` turns episodes into a file, `shoot` draws and encodes any reel."""

import math
import time
from bisect import bisect_right
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass
from fractions import Fraction
from itertools import accumulate
from pathlib import Path

import numpy as np
from jaxtyping import UInt8

from glassviz.errors import UsageError
from glassviz.files import StrPath, refuse_existing
from glassviz.trace import Trace
from glassviz.video.clip import Clip
from glassviz.video.encode import Encoder, Format, frame_rate
from glassviz.video.frames import Paint, Reel, choose_jobs, draw_frames
from glassviz.video.opengl import Backend, choose_backend
from glassviz.video.overlay import Layout, Overlay
from glassviz.video.renderer import FrameRenderer, MujocoRenderer, OpenRenderer, Quality, Scene

MIN_SIDE = 64


@dataclass(frozen=True)
class FilmOptions:
    """Options of a film.

    Attributes:
        overlay_k: draw cluster, controller, return and timeline over the pictures.
        episodes: episodes per trace, counted from 0; None for all.
        steps: number of frames per episode, from its start; None for all.
        part_s: start and end of the filmed part of an episode, s; None for the whole episode.
        camera: `cam0` follows from the side, `back` from behind.
        size: width and height of one picture, even numbers; a side-by-side film is twice as wide.
        speed: 1 for real time, 0.5 for half speed. It changes the frame rate: every frame of the
            trace is shown exactly once.
        quality: see `renderer.Scene`; None for `full` on a GPU and `fast` without one.
        format: file format.
        side_by_side: show two traces with the same resets next to each other.
        overwrite: replace an existing file.
        jobs: number of drawing processes; None for a number that suits this machine.
        max_bytes: maximum size of a GIF; resolution and frame rate are reduced until it fits.

    Raises:
        UsageError: the size is odd or too small.
    """

    overlay_k: bool = False
    episodes: tuple[int, ...] | None = None
    steps: int | None = None
    part_s: tuple[float, float] | None = None
    camera: str = "cam0"
    size: tuple[int, int] = (640, 480)
    speed: float = 1.0
    quality: Quality | None = None
    format: Format = "mp4"
    side_by_side: bool = False
    overwrite: bool = False
    jobs: int | None = None
    max_bytes: int | None = None

    def __post_init__(self) -> None:
        width, height = self.size
        if min(width, height) < MIN_SIDE or width % 2 or height % 2:
            raise UsageError(
                f"size: expected even numbers of at least {MIN_SIDE} (video stores colour per 2x2 "
                f"pixels), found {width}x{height}"
            )
        if self.overlay_k:
            Layout.of(width, height)


@dataclass(frozen=True)
class FilmReport:
    """Properties of a finished film, read back from its file.

    Attributes:
        path: the film's file.
        frames: number of frames.
        fps: frames per second.
        size: width and height, pixels.
        codec, pixel_format: codec and pixel format of the file.
        renderer: GL_RENDERER, the name of the OpenGL renderer.
        quality: rendering quality.
        seconds: time for drawing and encoding, s.
        notes: unexpected properties of the film, one sentence per item.
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


def film(
    traces: Sequence[Trace],
    out: StrPath,
    options: FilmOptions | None = None,
    *,
    progress: Callable[[int, int], None] | None = None,
    backend: Backend | None = None,
    open_renderer: OpenRenderer = MujocoRenderer,
) -> FilmReport:
    """Film the episodes of traces, one after the other, into one file.

    Frames are drawn in several processes (see `FilmOptions.jobs`), so a script must call this
    under `if __name__ == "__main__":`.

    Example:

        film([Trace.load(path)], Path("film.mp4"), FilmOptions(overlay_k=True, episodes=(0,)))

    Args:
        traces: traces of one physics profile and frame rate; two of them if side by side.
        out: file to write.
        options: None for the defaults.
        progress: called with the number of finished frames and of all frames.
        backend: OpenGL backend; None to detect one.
        open_renderer: opens the renderer; must be picklable, since processes receive it.

    Raises:
        UsageError: the options do not fit the traces or exclude each other.
        GlassvizError: the file exists, no backend or encoder works here, or the finished file is
            not as requested.
    """
    options = options or FilmOptions()
    refuse_existing(out, options.overwrite)
    shots = _shots(traces, options)
    fps, rate_note = frame_rate(traces[0].frame_dt_s, options.speed, options.format)
    backend = backend or choose_backend()
    quality, quality_note = choose_quality(options.quality, backend)
    scene = Scene(traces[0].header["env"]["physics"], options.camera, *options.size, quality)
    return shoot(
        Shots(shots, scene, options.overlay_k, options.format),
        out,
        fps,
        traces,
        backend,
        overwrite=options.overwrite,
        jobs=options.jobs,
        max_bytes=options.max_bytes,
        notes=(quality_note, rate_note),
        progress=progress,
        open_renderer=open_renderer,
    )


@dataclass(frozen=True)
class Shot:
    """The first frames of one clip, or of several clips next to each other.

    Attributes:
        clips: clips from left to right.
        frames: number of frames shown.
    """

    clips: tuple[Clip, ...]
    frames: int


@dataclass(frozen=True)
class Shots:
    """A reel of consecutive shots.

    Attributes:
        shots: shots in order, all with the same number of clips.
        scene: scene of a single clip, including the size of its picture.
        overlay: draw the overlay over the pictures.
        format: file format.
    """

    shots: tuple[Shot, ...]
    scene: Scene
    overlay: bool
    format: Format

    @property
    def frames(self) -> int:
        """Number of frames."""
        return sum(shot.frames for shot in self.shots)

    @property
    def width(self) -> int:
        """Width of a frame: that of all clips in a shot."""
        return self.scene.width * len(self.shots[0].clips)

    @property
    def height(self) -> int:
        """Height of a frame."""
        return self.scene.height

    def painter(self, renderer: FrameRenderer) -> Paint:
        """A function that draws the frames; it holds the overlays of one shot at a time."""
        starts = [0, *accumulate(shot.frames for shot in self.shots)]
        current, overlays = -1, list[Overlay]()

        def paint(canvas: UInt8[np.ndarray, "height width 3"], t: int) -> None:
            nonlocal current, overlays
            index = bisect_right(starts, t) - 1
            clips = self.shots[index].clips
            if index != current:
                width, height = self.scene.width, self.scene.height
                overlays = [Overlay(clip, width, height) for clip in clips if self.overlay]
                current = index
            frame = t - starts[index]
            panels = np.split(canvas, len(clips), axis=1)
            for panel, clip in zip(panels, clips, strict=True):
                panel[:] = renderer.render(clip.qpos[frame], clip.qvel[frame])
            for panel, overlay in zip(panels, overlays, strict=False):
                overlay.draw(panel, frame)

        return paint


def shoot(
    reel: Reel,
    out: StrPath,
    fps: Fraction,
    traces: Sequence[Trace],
    backend: Backend,
    *,
    overwrite: bool = False,
    jobs: int | None = None,
    max_bytes: int | None = None,
    notes: Sequence[str] = (),
    progress: Callable[[int, int], None] | None = None,
    open_renderer: OpenRenderer = MujocoRenderer,
) -> FilmReport:
    """Draw and encode a reel; the file is written atomically.

    Args:
        reel: the reel to draw.
        out: file to write.
        fps: frames per second.
        traces: source of the reel; their hashes are written to the file's metadata.
        backend: OpenGL backend.
        overwrite: replace an existing file.
        jobs: number of drawing processes; None for a number that suits this machine.
        max_bytes: maximum size of a GIF, as for `Encoder`.
        notes: notes for the report; empty ones are dropped.
        progress: called with the number of finished frames and of all frames.
        open_renderer: opens the renderer; must be picklable, since processes receive it.

    Raises:
        GlassvizError: the file exists, cannot be drawn or encoded, or is not as requested.
    """
    out = Path(out)
    started = time.perf_counter()
    comment = "glassviz, trace " + ", ".join(dict.fromkeys(trace.sha256 for trace in traces))
    encoder = Encoder(out, reel.width, reel.height, fps, reel.format, comment, overwrite, max_bytes)
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


def choose_quality(requested: Quality | None, backend: Backend) -> tuple[Quality, str]:
    """The rendering quality, and a note if it is reduced."""
    if requested:
        return requested, ""
    if not backend.software:
        return "full", ""
    return "fast", (
        "software rendering, so without shadows and reflections: --quality full adds them and "
        "takes about five times as long"
    )


def _shots(traces: Sequence[Trace], options: FilmOptions) -> tuple[Shot, ...]:
    if not traces:
        raise UsageError("film: expected at least one trace, found none")
    kinds = {(trace.header["env"]["physics"], trace.frame_dt_s) for trace in traces}
    if len(kinds) > 1:
        found = ", ".join(f"{physics} at {dt:g} s" for physics, dt in sorted(kinds))
        raise UsageError(
            f"film: expected traces of one physics profile and frame rate, found {found}: make "
            f"one film per profile and rate"
        )
    rows = [tuple(traces)] if options.side_by_side else [(trace,) for trace in traces]
    if options.side_by_side:
        _check_same_resets(traces)
    return tuple(
        _shot(row, e, options) for row in rows for e in _episodes(row[0], options.episodes)
    )


def _shot(row: tuple[Trace, ...], episode: int, options: FilmOptions) -> Shot:
    clips = tuple(Clip.of(trace, episode) for trace in row)
    length = _length(row, options.steps)
    if options.part_s:
        first, last = frames_between(options.part_s, row[0].frame_dt_s, length)
        clips, length = tuple(clip.part(first, last) for clip in clips), last - first
    return Shot(clips, length)


def frames_between(part_s: tuple[float, float], dt_s: float, frames: int) -> tuple[int, int]:
    """First and last frame (exclusive) of a part of an episode.

    >>> frames_between((0.5, 1.0), dt_s=0.02, frames=1000)
    (25, 50)

    Raises:
        UsageError: the part is empty or not within the episode.
    """
    finite = all(map(math.isfinite, part_s))
    first, last = (round(seconds / dt_s) for seconds in part_s) if finite else (-1, -1)
    if not 0 <= first < last <= frames:
        raise UsageError(
            f"clip: expected a part of the episode, within 0:{frames * dt_s:g} s, found "
            f"{part_s[0]:g}:{part_s[1]:g}"
        )
    return first, last


def _check_same_resets(traces: Sequence[Trace]) -> None:
    if len(traces) != 2:
        raise UsageError(f"side by side: expected two traces, found {len(traces)}")
    left, right = traces
    for name in ("qpos", "qvel"):
        if not np.array_equal(getattr(left, name)[:, 0], getattr(right, name)[:, 0]):
            raise UsageError(
                f"side by side: expected two traces with the same resets, found different {name} "
                f"at frame 0: roll out both controllers with the same seed and number of episodes"
            )


def _episodes(trace: Trace, requested: tuple[int, ...] | None) -> Sequence[int]:
    for episode in requested or ():
        if not 0 <= episode < trace.episodes:
            raise UsageError(
                f"episodes: expected numbers below {trace.episodes}, the trace's number of "
                f"episodes, found {episode}"
            )
    return requested if requested is not None else range(trace.episodes)


def _length(row: tuple[Trace, ...], steps: int | None) -> int:
    available = min(trace.frames for trace in row)
    if steps is None:
        return available
    if not 1 <= steps <= available:
        raise UsageError(
            f"steps: expected 1 to {available}, the trace's number of frames, found {steps}"
        )
    return steps
