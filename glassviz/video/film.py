"""Films: `film` turns episodes of traces into a file, `shoot` draws and encodes any reel.

Frames are assigned to processes round-robin, so all of them work on the same stretch of the film:
frames arrive in order, and only a few are in memory at a time.
"""

import ctypes
import math
import multiprocessing
import os
import signal
import time
from bisect import bisect_right
from collections.abc import Callable, Generator, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass
from fractions import Fraction
from itertools import accumulate
from multiprocessing import resource_tracker
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import cv2
import numpy as np
from jaxtyping import UInt8

from glassviz.envs.bodies import HOPPER
from glassviz.errors import GlassvizError, UsageError
from glassviz.files import StrPath, check_target
from glassviz.trace import Trace
from glassviz.video.backdrop import Background
from glassviz.video.clip import Canvas, Clip, ShownNames
from glassviz.video.encode import Encoder, FilmFacts, Format, frame_rate, pack, packed_size
from glassviz.video.opengl import Backend, choose_backend
from glassviz.video.overlay import ROOMY, Layout, Overlay
from glassviz.video.renderer import (
    BETWEEN_PANELS,
    FULL_VIEW,
    FrameRenderer,
    MujocoRenderer,
    OpenRenderer,
    Quality,
    Scene,
    scene_of,
)

MAX_JOBS = 8

FRAMES_PER_JOB = 100
"""Starting a process takes half a second, which does not pay off for fewer frames."""

SLOTS = 4
"""Number of frames that a process may be ahead of the encoder."""

MIN_SIDE = 64


@dataclass(frozen=True)
class FilmOptions:
    """Options of a film.

    Attributes:
        overlay_k: draw cluster, controller, return and timeline over the pictures.
        episodes: episodes per trace, counted from 0; None for all.
        steps: number of frames per episode, from its start; None for all.
        part_s: start and end of the filmed part of an episode, s; None for the whole episode.
        camera: a camera of the model; None for the one that shows most. Of the hopper's, `cam0`
            follows from the side, `back` from behind.
        size: width and height of one picture, even numbers except for a GIF; a side-by-side film
            is twice as wide.
        speed: 1 for real time, 0.5 for half speed. It changes the frame rate: every frame of the
            trace is shown exactly once.
        quality: see `renderer.Scene`; None for `full` on a GPU and `fast` without one.
        background: see `backdrop.set_backdrop`.
        side_by_side: show two traces with the same resets next to each other.
        jobs: number of drawing processes; None for a number that suits this machine.
        max_bytes: maximum size of a GIF; resolution and frame rate are reduced until it fits.

    Raises:
        UsageError: the size is too small, or odd and the format needs even numbers.
    """

    overlay_k: bool = False
    episodes: tuple[int, ...] | None = None
    steps: int | None = None
    part_s: tuple[float, float] | None = None
    camera: str | None = None
    size: tuple[int, int] = (640, 480)
    speed: float = 1.0
    quality: Quality | None = None
    background: Background = "sky"
    format: Format = "mp4"
    side_by_side: bool = False
    overwrite: bool = False
    jobs: int | None = None
    max_bytes: int | None = None

    def __post_init__(self) -> None:
        width, height = self.size
        even = self.format != "gif"
        if min(width, height) < MIN_SIDE or (even and (width % 2 or height % 2)):
            numbers = "even numbers" if even else "numbers"
            reason = f" ({self.format} stores colour per 2x2 pixels)" if even else ""
            raise UsageError(
                f"size: expected {numbers} of at least {MIN_SIDE}{reason}, found {width}x{height}"
            )
        if self.overlay_k:
            Layout.of(width, height)


@dataclass(frozen=True)
class FilmReport(FilmFacts):
    """Properties of a finished film, read back from its file, and how it was drawn.

    Attributes:
        renderer: GL_RENDERER, the name of the OpenGL renderer.
        seconds: time for drawing and encoding, s.
        notes: unexpected properties of the film, one sentence per item.
    """

    path: Path
    renderer: str
    quality: Quality
    background: Background
    seconds: float
    notes: tuple[str, ...]


def film(
    traces: Sequence[Trace],
    out: StrPath,
    options: FilmOptions | None = None,
    *,
    names: Sequence[ShownNames] | None = None,
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
        traces: traces of one body, physics profile and frame rate; two of them if side by side.
        names: of each trace; by default the agents' recorded names, and none for labels.
        progress: called with the number of finished frames and of all frames.
        backend: OpenGL backend; None to detect one.
        open_renderer: opens the renderer; must be picklable, since processes receive it.

    Raises:
        UsageError: the options do not fit the traces or exclude each other.
        GlassvizError: the file exists, no backend or encoder works here, or the finished file is
            not as requested.
    """
    options = options or FilmOptions()
    check_target(out, options.overwrite)
    shots = _shots(traces, options, names or [None] * len(traces))
    fps, rate_note = frame_rate(traces[0].frame_dt_s, options.speed, options.format)
    backend = backend or choose_backend()
    quality, quality_note = options.quality or "full", ""
    if backend.software and not options.quality:
        quality = "fast"
        quality_note = (
            "software rendering, so without shadows and reflections: --quality full adds them "
            "and takes about five times as long"
        )
    view = BETWEEN_PANELS if options.overlay_k and options.size[1] >= ROOMY else FULL_VIEW
    scene = scene_of(traces[0], *options.size, quality, view, options.background, options.camera)
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


Frames = Generator[UInt8[np.ndarray, "..."], None, None]

Paint = Callable[[Canvas, int], None]
"""Draws frame t of a film onto a canvas of its size."""


@runtime_checkable
class Reel(Protocol):
    """Everything needed to draw the frames of a film; picklable, since processes receive it.

    Attributes:
        frames: number of frames.
        width, height: size of a frame, pixels.
        scene: scene that the renderer is opened with.
        format: file format, which determines the pixel layout.
    """

    @property
    def frames(self) -> int: ...
    @property
    def width(self) -> int: ...
    @property
    def height(self) -> int: ...
    @property
    def scene(self) -> Scene: ...
    @property
    def format(self) -> Format: ...

    def painter(self, renderer: FrameRenderer) -> Paint:
        """A function that draws the frames, to be called with increasing t."""
        ...


@dataclass(frozen=True)
class Shot:
    """The first frames of one clip, or of several clips from left to right."""

    clips: tuple[Clip, ...]
    frames: int


@dataclass(frozen=True)
class Shots:
    """A reel of consecutive shots.

    Attributes:
        shots: shots in order, all with the same number of clips.
        scene: scene of a single clip, including the size of its picture.
        overlay: draw the overlay over the pictures.
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

        def paint(canvas: Canvas, t: int) -> None:
            nonlocal current, overlays
            index = bisect_right(starts, t) - 1
            clips = self.shots[index].clips
            if index != current:
                # Side by side, clips have the same resets.
                renderer.begin(clips[0].reset_seed)
                width, height = self.scene.width, self.scene.height
                overlays = [Overlay(clip, width, height) for clip in clips if self.overlay]
                current = index
            frame = t - starts[index]
            for i, panel in enumerate(np.split(canvas, len(clips), axis=1)):
                panel[:] = renderer.render(clips[i].qpos[frame], clips[i].qvel[frame])
                if overlays:
                    overlays[i].draw(panel, frame)

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
        traces: source of the reel; their hashes and the background are written to the file's
            metadata.
        overwrite, jobs, max_bytes: as for `FilmOptions`.
        notes: notes for the report; empty ones are dropped.
        progress, open_renderer: as for `film`.

    Raises:
        GlassvizError: the file exists, cannot be drawn or encoded, or is not as requested.
    """
    out = Path(out)
    started = time.perf_counter()
    hashes = ", ".join(dict.fromkeys(trace.sha256 for trace in traces))
    comment = f"glassviz, background {reel.scene.background}, trace {hashes}"
    encoder = Encoder(out, reel.width, reel.height, fps, reel.format, comment, overwrite, max_bytes)
    jobs = jobs or choose_jobs(reel.frames)
    with encoder, closing(draw_frames(reel, open_renderer, jobs)) as frames:
        for done, frame in enumerate(frames, 1):
            encoder.write(frame)
            if progress:
                progress(done, reel.frames)
    assert encoder.facts is not None
    return FilmReport(
        **vars(encoder.facts),
        path=out,
        renderer=backend.renderer,
        quality=reel.scene.quality,
        background=reel.scene.background,
        seconds=time.perf_counter() - started,
        notes=tuple(filter(None, (backend.note, *notes, encoder.note))),
    )


def _shots(
    traces: Sequence[Trace], options: FilmOptions, names: Sequence[ShownNames | None]
) -> tuple[Shot, ...]:
    if not traces:
        raise UsageError("film: expected at least one trace, found none")
    kinds = {(model_words(trace), trace.frame_dt_s) for trace in traces}
    if len(kinds) > 1:
        found = ", ".join(f"{model} at {dt:g} s" for model, dt in sorted(kinds))
        raise UsageError(
            f"film: expected traces of one body, physics profile and frame rate, found {found}: "
            f"make one film for each"
        )
    if options.side_by_side:
        _check_same_resets(traces)
    cast = list(zip(traces, names, strict=True))
    rows = [cast] if options.side_by_side else [[each] for each in cast]
    return tuple(_shot(row, e, options) for row in rows for e in _episodes(row[0][0], options))


def model_words(trace: Trace) -> str:
    """Body and physics profile of a trace, in words: those of one model have the same."""
    physics = trace.header["env"]["physics"]
    if trace.body.name == HOPPER:
        return f"{HOPPER} ({physics})"
    return f"{trace.task.name} ({physics})"


def _shot(
    row: Sequence[tuple[Trace, ShownNames | None]], episode: int, options: FilmOptions
) -> Shot:
    clips = tuple(Clip.of(trace, episode, names) for trace, names in row)
    available = min(trace.frames for trace, _ in row)
    length = available if options.steps is None else options.steps
    if not 1 <= length <= available:
        raise UsageError(
            f"steps: expected 1 to {available}, the trace's number of frames, found {length}"
        )
    if options.part_s:
        first, last = frames_between(options.part_s, row[0][0].frame_dt_s, length)
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
            f"clip: expected a part of the episode, within 0-{frames * dt_s:g} s, found "
            f"{part_s[0]:g}-{part_s[1]:g}"
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


def _episodes(trace: Trace, options: FilmOptions) -> Sequence[int]:
    for episode in options.episodes or ():
        if not 0 <= episode < trace.episodes:
            raise UsageError(
                f"episodes: expected numbers below {trace.episodes}, the trace's number of "
                f"episodes, found {episode}"
            )
    return range(trace.episodes) if options.episodes is None else options.episodes


def choose_jobs(frames: int) -> int:
    """Number of processes for drawing a film of `frames` frames on this machine."""
    return max(1, min(len(os.sched_getaffinity(0)), MAX_JOBS, frames // FRAMES_PER_JOB))


def draw_frames(reel: Reel, open_renderer: OpenRenderer, jobs: int) -> Frames:
    """Yield the frames in order, packed for the encoder; a frame is valid until the next one.

    Raises:
        GlassvizError: the renderer cannot be opened, or a process died.
    """
    if jobs == 1:
        return _draw_share(reel, open_renderer, 0, 1)
    return _draw_in_processes(reel, open_renderer, jobs)


def _draw_share(reel: Reel, open_renderer: OpenRenderer, first: int, jobs: int) -> Frames:
    """Yield the frames `first`, `first + jobs`, `first + 2·jobs`, …"""
    canvas = np.empty((reel.height, reel.width, 3), np.uint8)
    with closing(open_renderer(reel.scene)) as renderer:
        paint = reel.painter(renderer)
        for t in range(first, reel.frames, jobs):
            paint(canvas, t)
            yield pack(canvas, reel.format)


def _draw_in_processes(reel: Reel, open_renderer: OpenRenderer, jobs: int) -> Frames:
    # Spawn rather than fork: neither GL contexts nor JAX's threads survive a fork.
    context = multiprocessing.get_context("spawn")
    size = packed_size(reel.width, reel.height, reel.format)
    workers: list[tuple[BaseProcess, Connection, UInt8[np.ndarray, "slots bytes"]]] = []
    try:
        for first in range(jobs):
            memory = context.RawArray(ctypes.c_uint8, SLOTS * size)
            parent_end, child_end = context.Pipe()
            arguments = (reel, open_renderer, first, jobs, memory, child_end)
            process = context.Process(target=_work, args=arguments, daemon=True)
            _start_ignoring_interrupts(process)
            child_end.close()
            workers.append((process, parent_end, _slots(memory)))
        for i in range(reel.frames):
            worker, connection, slots = workers[i % jobs]
            _await_frame(worker, connection)
            yield slots[i // jobs % SLOTS]
            if i + jobs * SLOTS < reel.frames:
                with suppress(BrokenPipeError):  # a dead process is reported by _await_frame
                    connection.send(None)
    finally:
        for worker, connection, _ in workers:
            connection.close()
            worker.terminate()
            worker.join()


def _start_ignoring_interrupts(process: BaseProcess) -> None:
    """Start a process that ignores Ctrl-C: its parent terminates it, without a traceback."""
    resource_tracker.ensure_running()  # starting it within process.start() would unblock the signal
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        process.start()
    finally:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})


def _await_frame(process: BaseProcess, connection: Connection) -> None:
    try:
        error = connection.recv()
    except (EOFError, ConnectionResetError):
        process.join()
        raise GlassvizError(
            f"render: a drawing process ended with exit code {process.exitcode}: try again with "
            f"one process (jobs=1), and run `glassviz doctor`"
        ) from None
    if error is not None:
        raise error


def _work(
    reel: Reel,
    open_renderer: OpenRenderer,
    first: int,
    jobs: int,
    memory: Any,
    connection: Connection,
) -> None:
    """Draw one process's share of the frames into `memory`, waiting for free slots."""
    threads = max(1, len(os.sched_getaffinity(0)) // jobs)
    os.environ.setdefault("LP_NUM_THREADS", str(threads))  # Mesa's software renderer
    cv2.setNumThreads(threads)
    slots = _slots(memory)
    try:
        for i, packed in enumerate(_draw_share(reel, open_renderer, first, jobs)):
            if i >= SLOTS:
                connection.recv()
            slots[i % SLOTS] = packed.ravel()
            connection.send(None)
    except GlassvizError as error:
        connection.send(error)
    except (EOFError, OSError):
        return  # the film was abandoned


def _slots(memory: Any) -> UInt8[np.ndarray, "slots bytes"]:
    return np.frombuffer(memory, np.uint8).reshape(SLOTS, -1)
