"""Film strips: a few frames of one episode, drawn from its trace."""

import io
from collections.abc import Callable
from typing import Self

import numpy as np
from jaxtyping import Int, UInt8
from PIL import Image

from glassviz.errors import GlassvizError
from glassviz.gait.cycles import Cycles
from glassviz.plots.palette import ink_on, label_color
from glassviz.report.page import Chip, Picture, Strip
from glassviz.stability import RunStability
from glassviz.trace import Trace
from glassviz.video.clip import CONTROLLER_NAMES
from glassviz.video.renderer import FrameRenderer, MujocoRenderer, Scene

FRAMES = 9
CYCLES = 2
"""A strip lasts so many gait cycles; the last picture is the touchdown that ends them."""

DRAWN = (512, 384)
"""Width and height of the picture that is drawn."""

KEPT = (136, 98, 376, 362)
"""Left, top, right and bottom of what is kept of it: the body is small, and in the middle."""

JPEG_QUALITY = 80

OpenRenderer = Callable[[Scene], FrameRenderer]


class StripMaker:
    """Draws strips, each scene with one renderer. Close it, or use it as a context manager.

    Where nothing can be drawn, a strip without pictures says why.
    """

    def __init__(self, open_renderer: OpenRenderer = MujocoRenderer) -> None:
        self._open = open_renderer
        self._renderers: dict[Scene, FrameRenderer] = {}
        self._failures: dict[Scene, GlassvizError] = {}

    def strip(self, trace: Trace, stability: RunStability) -> Strip:
        """A strip of the median episode: two cycles, or all of it where it has none."""
        episode = median_episode(stability)
        frames, told = chosen_frames(stability.episodes[episode].gait.cycles, trace.frames)
        controller = CONTROLLER_NAMES.get(stability.controller, stability.controller)
        caption = f"Episode {episode + 1} of {trace.episodes} by the {controller}, {told}."
        scene = Scene(trace.header["env"]["physics"], "cam0", *DRAWN, "full")
        self._prepare(scene)
        if scene in self._failures:
            return Strip((), f"No film strip: {self._failures[scene]}")
        renderer = self._renderers[scene]
        phase = stability.episodes[episode].gait.cycles.phase / (2 * np.pi)
        pictures = []
        for t in frames.tolist():
            drawn = renderer.render(trace.qpos[episode, t], trace.qvel[episode, t])
            label = int(trace.label[episode, t])
            pictures.append(
                Picture(
                    jpeg=_jpeg(drawn),
                    width=KEPT[2] - KEPT[0],
                    height=KEPT[3] - KEPT[1],
                    chip=chip(label) if trace.has_labels else None,
                    time_s=float(trace.time[episode, t]),
                    phase=float(phase[t]) if np.isfinite(phase[t]) else None,
                )
            )
        return Strip(tuple(pictures), caption)

    def close(self) -> None:
        """Free what the renderers hold."""
        for renderer in self._renderers.values():
            renderer.close()
        self._renderers.clear()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _prepare(self, scene: Scene) -> None:
        """Open a renderer, once a scene, or keep why there is none."""
        if scene in self._renderers or scene in self._failures:
            return
        try:
            self._renderers[scene] = self._open(scene)
        except GlassvizError as error:
            self._failures[scene] = error


def chip(label: int) -> Chip:
    """The chip of a label."""
    color = label_color(label)
    return Chip(label, color, ink_on(color))


def median_episode(stability: RunStability) -> int:
    """The episode with the median return, of two the one with less."""
    order = np.argsort([each.episode_return for each in stability.episodes], kind="stable")
    return int(order[(len(order) - 1) // 2])


def chosen_frames(cycles: Cycles, frames: int) -> tuple[Int[np.ndarray, " chosen"], str]:
    """Frames of a strip, and what they show, in words.

    Those of two cycles that follow each other, as near to the middle of all cycles as there are;
    else of one cycle; without any, of the whole episode.
    """
    for count in range(CYCLES, 0, -1):
        follow = np.flatnonzero(
            [
                bool((cycles.ends[j : j + count - 1] == cycles.starts[j + 1 : j + count]).all())
                for j in range(cycles.count - count + 1)
            ]
        )
        if len(follow):
            first = int(follow[len(follow) // 2])
            start, end = int(cycles.starts[first]), int(cycles.ends[first + count - 1])
            told = f"{'two gait cycles' if count == 2 else 'one gait cycle'} from touchdown on"
            return _evenly(start, min(end, frames - 1)), told
    return _evenly(0, frames - 1), "from its reset to its end, for it has no gait cycles"


def _evenly(first: int, last: int) -> Int[np.ndarray, " chosen"]:
    return np.unique(np.linspace(first, last, FRAMES).round().astype(np.int64))


def _jpeg(picture: UInt8[np.ndarray, "height width 3"]) -> bytes:
    file = io.BytesIO()
    Image.fromarray(picture).crop(KEPT).save(file, "JPEG", quality=JPEG_QUALITY, optimize=True)
    return file.getvalue()
