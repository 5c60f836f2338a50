"""Films of a trace: shots, the shoot, the command that makes one."""

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
from glassviz.files import refuse_existing
from glassviz.trace import Trace
from glassviz.video.clip import Clip
from glassviz.video.encode import Encoder, Format, frame_rate
from glassviz.video.frames import OpenRenderer, Paint, Reel, choose_jobs, draw_frames
from glassviz.video.opengl import Backend, choose_backend
from glassviz.video.overlay import Layout, Overlay
from glassviz.video.renderer import FrameRenderer, MujocoRenderer, Quality, Scene


@dataclass(frozen=True)
class Shot:
    """The first frames of one clip, or of several next to each other.

    Attributes:
        clips: from left to right.
        frames: how many frames of each are shown.
    """

    clips: tuple[Clip, ...]
    frames: int


@dataclass(frozen=True)
class Shots:
    """The reel of such a film.

    Attributes:
        shots: in order; each has the same number of clips.
        scene: what each clip is drawn with; its size is that of one clip's picture.
        overlay: whether the labels are drawn over the pictures.
        format: of the film.
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
        """Width of a frame: as many pictures as there are clips in a shot."""
        return self.scene.width * len(self.shots[0].clips)

    @property
    def height(self) -> int:
        """Height of a frame."""
        return self.scene.height

    def painter(self, renderer: FrameRenderer) -> Paint:
        """What draws the frames; the overlays of one shot are held at a time."""
        starts = [0, *accumulate(shot.frames for shot in self.shots)]
        number, overlays = -1, list[Overlay]()

        def paint(canvas: UInt8[np.ndarray, "height width 3"], t: int) -> None:
            nonlocal number, overlays
            wanted = bisect_right(starts, t) - 1
            clips = self.shots[wanted].clips
            if wanted != number:
                width, height = self.scene.width, self.scene.height
                overlays = [Overlay(clip, width, height) for clip in clips if self.overlay]
                number = wanted
            own = t - starts[wanted]
            panels = np.split(canvas, len(clips), axis=1)
            for panel, clip in zip(panels, clips, strict=True):
                panel[:] = renderer.render(clip.qpos[own], clip.qvel[own])
            for panel, overlay in zip(panels, overlays, strict=False):
                overlay.draw(panel, own)

        return paint


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


MIN_SIDE = 64


@dataclass(frozen=True)
class FilmOptions:
    """How a film is made.

    Attributes:
        overlay_k: whether cluster, controller, return and timeline are drawn over the pictures.
        episodes: which episodes of each trace, counted from 0; all of them if None.
        steps: how many frames of each episode, from its start; all of them if None.
        part_s: seconds of each episode, from and to; all of them if None.
        camera: `cam0` follows from the side, `back` from behind.
        size: width and height of one picture, even numbers; side by side, the film is twice as
            wide.
        speed: 1 for real time, 0.5 for slow motion at half speed. It changes the frames per
            second: every frame of the trace is shown once.
        quality: see `renderer.Scene`; if None, `full` on a GPU and `fast` without one.
        format: of the file.
        side_by_side: show two traces with the same resets next to each other.
        overwrite: whether an existing file may be replaced.
        jobs: processes that draw; if None, what pays on this machine.
        most_bytes: of a GIF, which becomes smaller and slower until it fits; any size if None.

    Raises:
        UsageError: the size is odd, or too small.
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
    most_bytes: int | None = None

    def __post_init__(self) -> None:
        width, height = self.size
        if min(width, height) < MIN_SIDE or width % 2 or height % 2:
            raise UsageError(
                f"size: expected even numbers of at least {MIN_SIDE} (video stores colour for two "
                f"by two pixels), found {width}x{height}"
            )
        if self.overlay_k:
            Layout.of(width, height)


def film(
    traces: Sequence[Trace],
    out: Path,
    options: FilmOptions | None = None,
    *,
    progress: Callable[[int, int], None] | None = None,
    backend: Backend | None = None,
    open_renderer: OpenRenderer = MujocoRenderer,
) -> FilmReport:
    """Film the episodes of some traces, one after the other, into one file.

    Several processes draw (see `FilmOptions.jobs`): a script that calls this at its top level
    needs the usual `if __name__ == "__main__":`.

    Args:
        traces: all of one physics profile and frame rate; two of them if side by side.
        out: the file.
        options: the defaults if None.
        progress: called with the number of frames done and of all frames.
        backend: what draws; found out if None.
        open_renderer: makes the renderer. A picklable function, for it is sent to the processes.

    Raises:
        UsageError: the options do not fit the traces, or exclude each other.
        GlassvizError: the file exists, nothing can draw or encode here, or the finished file is
            not what was asked for.
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
        most_bytes=options.most_bytes,
        notes=(quality_note, rate_note),
        progress=progress,
        open_renderer=open_renderer,
    )


def _shots(traces: Sequence[Trace], options: FilmOptions) -> tuple[Shot, ...]:
    if not traces:
        raise UsageError("film: expected at least one trace, found none")
    kinds = {(trace.header["env"]["physics"], trace.frame_dt_s) for trace in traces}
    if len(kinds) > 1:
        raise UsageError(
            f"film: expected traces of one physics profile and frame rate, found "
            f"{', '.join(f'{physics} at {dt:g} s' for physics, dt in sorted(kinds))}: make a film "
            f"of each"
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
    """First frame, and the one behind the last, of a part of an episode.

    Raises:
        UsageError: the episode has no such part.
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
    for what in ("qpos", "qvel"):
        ours, theirs = getattr(left, what)[:, 0], getattr(right, what)[:, 0]
        if not np.array_equal(ours, theirs):
            raise UsageError(
                f"side by side: expected two traces that start from the same resets, found "
                f"different {what} at frame 0: roll both controllers out with the same seed and "
                f"number of episodes"
            )


def _episodes(trace: Trace, wanted: tuple[int, ...] | None) -> Sequence[int]:
    for episode in wanted or ():
        if not 0 <= episode < trace.episodes:
            raise UsageError(
                f"episodes: expected numbers below {trace.episodes}, as many as the trace has, "
                f"found {episode}"
            )
    return wanted if wanted is not None else range(trace.episodes)


def _length(row: tuple[Trace, ...], steps: int | None) -> int:
    available = min(trace.frames for trace in row)
    if steps is None:
        return available
    if not 1 <= steps <= available:
        raise UsageError(
            f"steps: expected 1 to {available}, as many as the trace has, found {steps}"
        )
    return steps
