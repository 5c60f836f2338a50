"""Single pictures of recorded states, and which of an episode's frames make a film strip."""

from collections.abc import Callable
from typing import Self

import numpy as np
from jaxtyping import Float64, Int, UInt8

from glassviz.agents.config import Physics
from glassviz.gait.cycles import Cycles
from glassviz.video.renderer import BODY, FrameRenderer, MujocoRenderer, Scene

OpenRenderer = Callable[[Scene], FrameRenderer]


class StillMaker:
    """Draws the body, each kind of picture with one renderer. Close it, or use it in `with`."""

    def __init__(self, open_renderer: OpenRenderer = MujocoRenderer) -> None:
        self._open = open_renderer
        self._renderers: dict[Scene, FrameRenderer] = {}

    def prepare(self, physics: Physics, width: int, height: int) -> Scene:
        """Open what draws pictures of such a size, once.

        Raises:
            GlassvizError: nothing can be drawn here.
        """
        scene = Scene(physics, "cam0", width, height, "full", BODY)
        if scene not in self._renderers:
            self._renderers[scene] = self._open(scene)
        return scene

    def draw(
        self, scene: Scene, qpos: Float64[np.ndarray, " nq"], qvel: Float64[np.ndarray, " nv"]
    ) -> UInt8[np.ndarray, "height width 3"]:
        """A picture of a state, RGB."""
        return self._renderers[scene].render(qpos, qvel).copy()

    def close(self) -> None:
        """Free what the renderers hold."""
        for renderer in self._renderers.values():
            renderer.close()
        self._renderers.clear()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def consecutive_cycles(cycles: Cycles, most: int) -> tuple[int, int] | None:
    """First of the gait cycles of a strip, and how many: `most`, or fewer if there are no more.

    They follow each other, as near to the middle of all cycles as such are. None without cycles.
    """
    for count in range(most, 0, -1):
        follow = np.flatnonzero(
            [
                bool((cycles.ends[j : j + count - 1] == cycles.starts[j + 1 : j + count]).all())
                for j in range(cycles.count - count + 1)
            ]
        )
        if len(follow):
            return int(follow[len(follow) // 2]), count
    return None


def evenly(first: int, last: int, count: int) -> Int[np.ndarray, " chosen"]:
    """So many frames from `first` to `last`; fewer if there are not so many."""
    return np.unique(np.linspace(first, last, count).round().astype(np.int64))
