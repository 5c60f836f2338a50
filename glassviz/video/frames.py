"""Draw the frames of a film in order, in several processes where that is faster.

Frames are assigned to processes round-robin, so all of them work on the same stretch of the film:
frames arrive in order, and only a few are in memory at a time.
"""

import ctypes
import multiprocessing
import os
import signal
from collections.abc import Callable, Generator
from contextlib import closing, suppress
from multiprocessing import resource_tracker
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from typing import Any, Protocol, runtime_checkable

import cv2
import numpy as np
from jaxtyping import UInt8

from glassviz.errors import GlassvizError
from glassviz.video.encode import Format, pack, packed_size
from glassviz.video.renderer import FrameRenderer, OpenRenderer, Scene

MAX_JOBS = 8

FRAMES_PER_JOB = 100
"""Starting a process takes half a second, which does not pay off for fewer frames."""

SLOTS = 4
"""Number of frames that a process may be ahead of the encoder."""

Frames = Generator[UInt8[np.ndarray, "..."], None, None]

Paint = Callable[[UInt8[np.ndarray, "height width 3"], int], None]
"""Draws frame t of a film onto a canvas of its size."""


@runtime_checkable
class Reel(Protocol):
    """Everything needed to draw the frames of a film; picklable, since processes receive it."""

    @property
    def frames(self) -> int:
        """Number of frames."""
        ...

    @property
    def width(self) -> int:
        """Width of a frame."""
        ...

    @property
    def height(self) -> int:
        """Height of a frame."""
        ...

    @property
    def scene(self) -> Scene:
        """Scene that the renderer is opened with."""
        ...

    @property
    def format(self) -> Format:
        """File format, which determines the pixel layout."""
        ...

    def painter(self, renderer: FrameRenderer) -> Paint:
        """A function that draws the frames, to be called with increasing t."""
        ...


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
