"""Film strips: a few frames of one episode, drawn from its trace."""

import io
from typing import Self

import numpy as np
from jaxtyping import Int, UInt8
from PIL import Image

from glassviz.errors import GlassvizError
from glassviz.gait.cycles import Cycles
from glassviz.plots.palette import ink_on, label_color
from glassviz.report.page import Chip, Picture, Strip
from glassviz.stability import RunStability, median_episode
from glassviz.trace import Trace
from glassviz.video.clip import CONTROLLER_NAMES
from glassviz.video.renderer import MujocoRenderer
from glassviz.video.stills import OpenRenderer, StillMaker, consecutive_cycles, evenly

FRAMES = 9
CYCLES = 2
"""A strip lasts so many gait cycles; the last picture is the touchdown that ends them."""

WIDTH, HEIGHT = 240, 264
JPEG_QUALITY = 80


class StripMaker:
    """Draws strips. Close it, or use it as a context manager.

    Where nothing can be drawn, a strip without pictures says why.
    """

    def __init__(self, open_renderer: OpenRenderer = MujocoRenderer) -> None:
        self._stills = StillMaker(open_renderer)
        self._failure: GlassvizError | None = None

    def strip(self, trace: Trace, stability: RunStability) -> Strip:
        """A strip of the median episode: two cycles, or all of it where it has none."""
        episode = median_episode(stability)
        frames, told = chosen_frames(stability.episodes[episode].gait.cycles, trace.frames)
        controller = CONTROLLER_NAMES.get(stability.controller, stability.controller)
        caption = f"Episode {episode + 1} of {trace.episodes} by the {controller}, {told}."
        try:
            if self._failure:  # Whoever has failed to draw once would fail for every card.
                raise self._failure
            scene = self._stills.prepare(trace.header["env"]["physics"], WIDTH, HEIGHT)
        except GlassvizError as error:
            self._failure = error
            return Strip((), f"No film strip: {error}")
        phase = stability.episodes[episode].gait.cycles.phase / (2 * np.pi)
        pictures = []
        for t in frames.tolist():
            drawn = self._stills.draw(scene, trace.qpos[episode, t], trace.qvel[episode, t])
            label = int(trace.label[episode, t])
            pictures.append(
                Picture(
                    jpeg=_jpeg(drawn),
                    width=WIDTH,
                    height=HEIGHT,
                    chip=chip(label) if trace.has_labels else None,
                    time_s=float(trace.time[episode, t]),
                    phase=float(phase[t]) if np.isfinite(phase[t]) else None,
                )
            )
        return Strip(tuple(pictures), caption)

    def close(self) -> None:
        """Free what the renderers hold."""
        self._stills.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def chip(label: int) -> Chip:
    """The chip of a label."""
    color = label_color(label)
    return Chip(label, color, ink_on(color))


def chosen_frames(cycles: Cycles, frames: int) -> tuple[Int[np.ndarray, " chosen"], str]:
    """Frames of a strip, and what they show, in words.

    Those of two cycles that follow each other; else of one cycle; without any, of the whole
    episode.
    """
    found = consecutive_cycles(cycles, CYCLES)
    if found is None:
        told = "from its reset to its end, for it has no gait cycles"
        return evenly(0, frames - 1, FRAMES), told
    first, count = found
    start, end = int(cycles.starts[first]), int(cycles.ends[first + count - 1])
    told = f"{'two gait cycles' if count == 2 else 'one gait cycle'} from touchdown on"
    return evenly(start, min(end, frames - 1), FRAMES), told


def _jpeg(picture: UInt8[np.ndarray, "height width 3"]) -> bytes:
    file = io.BytesIO()
    Image.fromarray(picture).save(file, "JPEG", quality=JPEG_QUALITY, optimize=True)
    return file.getvalue()
