"""MuJoCo drawn off screen, frame by frame, and stills of a trace."""

import copy
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, Protocol, Self, runtime_checkable

import numpy as np
from jaxtyping import Float64, Int, UInt8

from glassviz.agents.config import Physics
from glassviz.errors import GlassvizError, UsageError
from glassviz.gait.cycles import Cycles
from glassviz.video.opengl import choose_backend

Quality = Literal["fast", "smooth", "full"]

FLOOR_M = 100.0
"""How far the floor is drawn before and behind the start."""

MULTISAMPLES: dict[Quality, int] = {"fast": 0, "smooth": 4, "full": 4}
WHOLE = (0.0, 1.0)

BODY = (0.255, 0.943)
"""What of a following camera's height the body needs, standing, in flight or on the floor."""

BODY_SHAPE = 10 / 11
"""Width over height of a picture that shows it so."""


@dataclass(frozen=True)
class Scene:
    """What a renderer is opened for.

    Attributes:
        physics: profile that names the model.
        camera: a camera of the model: `cam0` follows from the side, `back` from behind.
        width, height: of the picture, in pixels.
        quality: `full` draws shadows and reflections and samples each pixel four times; `smooth`
            only samples so, and `fast` does none of that.
        window: top and bottom of what is drawn of the camera's picture, as shares of its height;
            in its middle as wide as the shape of this picture makes it.
    """

    physics: Physics
    camera: str
    width: int
    height: int
    quality: Quality
    window: tuple[float, float] = WHOLE


@runtime_checkable
class FrameRenderer(Protocol):
    """Whatever turns a state of the body into a picture."""

    def render(
        self, qpos: Float64[np.ndarray, " nq"], qvel: Float64[np.ndarray, " nv"]
    ) -> UInt8[np.ndarray, "height width 3"]:
        """A picture of the state, RGB, the caller's to draw on until the next call."""
        ...

    def close(self) -> None:
        """Free what the renderer holds."""
        ...


class MujocoRenderer:
    """Draws with MuJoCo's own renderer. Close it, or use it as a context manager.

    Raises:
        UsageError: the model has no such camera.
        GlassvizError: no GL backend works, or it cannot draw at this size.
    """

    def __init__(self, scene: Scene) -> None:
        choose_backend()
        import mujoco

        from glassviz.envs.hopper import load_model

        model = copy.copy(load_model(scene.physics))
        model.vis.global_.offwidth = scene.width
        model.vis.global_.offheight = scene.height
        model.vis.quality.offsamples = MULTISAMPLES[scene.quality]
        # The suite's floor is drawn from two metres behind the start, and an agent that goes
        # backwards would move through the void; contacts know no edge.
        model.geom("floor").pos[0] = 0.0
        model.geom("floor").size[0] = FLOOR_M
        cameras = [model.camera(i).name for i in range(model.ncam)]
        if scene.camera not in cameras:
            raise UsageError(
                f"camera: expected one of {', '.join(cameras)}, found {scene.camera!r}"
            )
        self._camera = scene.camera
        self._window = scene.window
        self._model = model
        self._data = mujoco.MjData(model)
        self._forward = mujoco.mj_forward
        try:
            self._renderer = mujoco.Renderer(model, scene.height, scene.width)
        except (RuntimeError, mujoco.FatalError) as error:
            raise GlassvizError(
                f"OpenGL: expected a picture of {scene.width}x{scene.height}, found {error}: try "
                f"a smaller size, or run `glassviz doctor`"
            ) from error
        for flag in (mujoco.mjtRndFlag.mjRND_SHADOW, mujoco.mjtRndFlag.mjRND_REFLECTION):
            self._renderer.scene.flags[flag] = scene.quality == "full"
        self._picture = np.empty((scene.height, scene.width, 3), np.uint8)

    def render(
        self, qpos: Float64[np.ndarray, " nq"], qvel: Float64[np.ndarray, " nv"]
    ) -> UInt8[np.ndarray, "height width 3"]:
        """A picture of the state, RGB; overwritten by the next call."""
        self._data.qpos[:] = qpos
        self._data.qvel[:] = qvel
        self._forward(self._model, self._data)
        self._renderer.update_scene(self._data, self._camera)
        self._narrow()
        return self._renderer.render(out=self._picture)

    def _narrow(self) -> None:
        """Cut the view down to the window: it costs no more pixels than are kept."""
        if self._window == WHOLE:
            return
        above, below = self._window
        for camera in self._renderer.scene.camera:
            top, height = camera.frustum_top, camera.frustum_top - camera.frustum_bottom
            camera.frustum_top = top - above * height
            camera.frustum_bottom = top - below * height

    def close(self) -> None:
        """Free the GL context. Left to the interpreter's end, that comes too late to work."""
        self._renderer.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


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
