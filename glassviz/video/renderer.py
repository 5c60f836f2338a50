"""Off-screen rendering with MuJoCo: frames of films, and stills."""

import copy
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, Protocol, Self, runtime_checkable

import cv2
import numpy as np
from jaxtyping import Float64, Int

from glassviz import envs
from glassviz.agents.config import Physics
from glassviz.envs.bodies import HOPPER, task_of
from glassviz.errors import GlassvizError, UsageError
from glassviz.gait.cycles import Cycles
from glassviz.trace import Trace
from glassviz.video.backdrop import Background, draw_line, set_backdrop, widen_floor
from glassviz.video.clip import Canvas
from glassviz.video.opengl import choose_backend

Quality = Literal["fast", "smooth", "full"]

Position = Float64[np.ndarray, " nq"]
Velocity = Float64[np.ndarray, " nv"]

MULTISAMPLES: dict[Quality, int] = {"fast": 0, "smooth": 4, "full": 4}
FULL_VIEW = (0.0, 1.0)

BETWEEN_PANELS = (0.06, 1.21)
"""A wider view, in which the body stands between the panels of a film's overlay."""

BODY_VIEW = (0.255, 0.943)
"""Part of a following camera's view that contains the body, standing, in flight or fallen."""

BODY_ASPECT = 10 / 11
"""Width over height of a picture with that view."""


@dataclass(frozen=True)
class Scene:
    """Settings that a renderer is opened with.

    Attributes:
        task: whose model is drawn.
        camera: a camera of the model; of the hopper's, `cam0` follows from the side, `back` from
            behind.
        width, height: pixels.
        quality: `full` draws shadows, reflections and four samples per pixel, `smooth` four
            samples only, `fast` none of these.
        window: top and bottom of the drawn part of the camera's view, as shares of its height;
            horizontally it is centred, with the width given by the picture's aspect ratio.
        background: what is behind and below the body: see `backdrop.set_backdrop`.
    """

    task: str
    physics: Physics
    camera: str
    width: int
    height: int
    quality: Quality
    window: tuple[float, float] = FULL_VIEW
    background: Background = "sky"


def body_view(trace: Trace) -> tuple[float, float]:
    """The part of the view of the body's camera that contains it."""
    return BODY_VIEW if trace.body.name == HOPPER else FULL_VIEW


def scene_of(
    trace: Trace,
    width: int,
    height: int,
    quality: Quality,
    window: tuple[float, float],
    background: Background,
    camera: str | None = None,
) -> Scene:
    """The scene of a trace, from its body's best camera by default."""
    env, camera = trace.header["env"], camera or trace.body.camera
    return Scene(env["task"], env["physics"], camera, width, height, quality, window, background)


@runtime_checkable
class FrameRenderer(Protocol):
    """Draws a state of the body."""

    def begin(self, reset_seed: int) -> None:
        """Place what an episode's reset places, such as targets, before its states are drawn."""
        ...

    def render(self, qpos: Position, qvel: Velocity) -> Canvas:
        """An RGB picture of the state; the caller may draw on it until the next call."""
        ...

    def close(self) -> None:
        """Free the renderer's resources."""
        ...


OpenRenderer = Callable[[Scene], FrameRenderer]

PLACED_IN_RESETS = (
    *("body_pos", "body_quat", "geom_pos", "geom_quat", "geom_size", "geom_rgba"),
    *("site_pos", "site_quat", "site_size", "hfield_data"),
)
"""What resets of some tasks change in their models."""


class MujocoRenderer:
    """Draws with MuJoCo's renderer. Close it, or use it as a context manager.

    Raises:
        UsageError: the model has no such camera.
        GlassvizError: no OpenGL backend works, or the picture is too large for it.
    """

    def __init__(self, scene: Scene) -> None:
        choose_backend()
        import mujoco

        self._task = task_of(scene.task)
        model = copy.copy(envs.model_of(scene.task, scene.physics))
        model.vis.global_.offwidth = scene.width
        model.vis.global_.offheight = scene.height
        model.vis.quality.offsamples = MULTISAMPLES[scene.quality]
        cameras = [model.camera(i).name for i in range(model.ncam)]
        if scene.camera not in cameras:
            raise UsageError(
                f"camera: expected one of {', '.join(cameras)}, found {scene.camera!r}"
            )
        set_backdrop(model, scene.background, scene.camera, self._task.body)
        self._camera, self._window, self._background = scene.camera, scene.window, scene.background
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
        # Parts of other bodies are black, and could not be told from the sky.
        plain = scene.quality == "fast" and self._task.body.name == HOPPER
        self._sky = self._draw_sky() if plain else None
        self._reset_seed: int | None = None

    def _draw_sky(self) -> Canvas | None:
        """The sky without anything before it; None if the camera turns.

        It is infinitely far, so it is the same in all pictures of a camera that does not turn, and
        a software rasterizer spends half of its time on it. From here on it is not drawn.
        """
        import mujoco

        turning = (
            mujoco.mjtCamLight.mjCAMLIGHT_TARGETBODY,
            mujoco.mjtCamLight.mjCAMLIGHT_TARGETBODYCOM,
        )
        if self._model.camera(self._camera).mode[0] in turning:
            return None
        self._forward(self._model, self._data)
        self._update_scene()
        self._renderer.scene.ngeom = 0
        sky = self._renderer.render().copy()
        self._renderer.scene.flags[mujoco.mjtRndFlag.mjRND_SKYBOX] = False
        return sky

    def begin(self, reset_seed: int) -> None:
        """Place what an episode's reset places, such as targets, before its states are drawn."""
        if self._task.body.name == HOPPER or reset_seed == self._reset_seed:
            return
        import mujoco

        from glassviz.envs.suite import model_after_reset

        self._reset_seed = reset_seed
        placed = model_after_reset(self._task.name, reset_seed)
        for name in PLACED_IN_RESETS:
            getattr(self._model, name)[:] = getattr(placed, name)
        widen_floor(self._model, self._camera, self._task.body)
        for terrain in range(self._model.nhfield):
            self._renderer._gl_context.make_current()
            mujoco.mjr_uploadHField(self._model, self._renderer._mjr_context, terrain)

    def render(self, qpos: Position, qvel: Velocity) -> Canvas:
        """An RGB picture of the state; overwritten by the next call."""
        self._data.qpos[:] = qpos
        self._data.qvel[:] = qvel
        self._forward(self._model, self._data)
        self._update_scene()
        picture = self._renderer.render(out=self._picture)
        if self._sky is not None:
            # One sample per pixel: a pixel is drawn or black. Lit surfaces are nowhere black.
            cv2.copyTo(self._sky, cv2.inRange(picture, (0, 0, 0), (0, 0, 0)), picture)
        return picture

    def _update_scene(self) -> None:
        self._renderer.update_scene(self._data, self._camera)
        if self._background != "sky" and self._task.body.forward == "x":
            draw_line(self._renderer.scene)
        if self._window != FULL_VIEW:
            # Cropping before rendering wastes no pixels.
            above, below = self._window
            for camera in self._renderer.scene.camera:
                top, height = camera.frustum_top, camera.frustum_top - camera.frustum_bottom
                camera.frustum_top = top - above * height
                camera.frustum_bottom = top - below * height

    def close(self) -> None:
        """Free the OpenGL context; at interpreter shutdown it would be too late."""
        self._renderer.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class Renderers:
    """One renderer per scene, opened when it is first needed. Close it, or use it in `with`."""

    def __init__(self, open_renderer: OpenRenderer = MujocoRenderer) -> None:
        self._open = open_renderer
        self._renderers: dict[Scene, FrameRenderer] = {}

    def of(self, scene: Scene) -> FrameRenderer:
        """The renderer of a scene.

        Raises:
            GlassvizError: no OpenGL backend works.
        """
        if scene not in self._renderers:
            self._renderers[scene] = self._open(scene)
        return self._renderers[scene]

    def close(self) -> None:
        """Free the resources of all renderers."""
        for renderer in self._renderers.values():
            renderer.close()
        self._renderers.clear()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class StillMaker(Renderers):
    """Draws stills of the body. Close it, or use it in `with`."""

    def __init__(
        self, open_renderer: OpenRenderer = MujocoRenderer, background: Background = "sky"
    ) -> None:
        super().__init__(open_renderer)
        self._background: Background = background

    def prepare(self, trace: Trace, width: int, height: int) -> Scene:
        """Open a renderer for pictures of a size, unless one is open.

        Raises:
            GlassvizError: no OpenGL backend works.
        """
        scene = scene_of(trace, width, height, "full", body_view(trace), self._background)
        self.of(scene)
        return scene

    def draw(self, scene: Scene, qpos: Position, qvel: Velocity, reset_seed: int) -> Canvas:
        """An RGB picture of a state in an episode that was reset with a seed."""
        renderer = self.of(scene)
        renderer.begin(reset_seed)
        return renderer.render(qpos, qvel).copy()


def consecutive_cycles(cycles: Cycles, most: int) -> tuple[int, int] | None:
    """The longest run of up to `most` consecutive gait cycles, nearest to the middle of all.

    Returns:
        Index of the first cycle, and the number of cycles; None without cycles.
    """
    follows = cycles.ends[:-1] == cycles.starts[1:]
    for count in range(min(most, cycles.count), 0, -1):
        firsts = range(cycles.count - count + 1)
        starts = [first for first in firsts if follows[first : first + count - 1].all()]
        if starts:
            return starts[len(starts) // 2], count
    return None


def evenly(first: int, last: int, count: int) -> Int[np.ndarray, " chosen"]:
    """Up to `count` evenly spaced frames from `first` to `last`, without duplicates.

    >>> evenly(0, 10, 3)
    array([ 0,  5, 10])
    """
    return np.unique(np.linspace(first, last, count).round().astype(np.int64))
