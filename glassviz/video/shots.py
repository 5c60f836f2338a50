"""Films of episodes: clips one after the other, or next to each other."""

from bisect import bisect_right
from dataclasses import dataclass
from itertools import accumulate

import numpy as np
from jaxtyping import UInt8

from glassviz.video.clip import Clip
from glassviz.video.formats import Format
from glassviz.video.frames import Paint
from glassviz.video.overlay import Overlay
from glassviz.video.renderer import FrameRenderer, Scene


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
