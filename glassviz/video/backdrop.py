"""The backdrop of a picture: what is drawn behind the body, and the floor under it."""

from typing import TYPE_CHECKING, Literal, get_args

import numpy as np

from glassviz.envs.bodies import HOPPER, Body
from glassviz.palette import to_rgb

if TYPE_CHECKING:
    import mujoco

Background = Literal["sky", "plain", "white"]
BACKGROUNDS: tuple[Background, ...] = get_args(Background)

FLOOR_M = 100.0
"""Extent of the drawn floor in front of and behind the start."""

FAR_M, NEAR_M = 1.0, 12.0
"""Edges of the drawn floor: beyond the body as in the suite, towards the viewer under the camera,
so that no view ends before it does."""

WALL_COLOR, FLOOR_COLOR = "#B9C0C9", "#747D89"
LINE_COLOR, LINE_M = "#4A4F58", 0.012
"""Colour and thickness of the line under the body where it casts no shadow."""


def set_backdrop(model: "mujoco.MjModel", background: Background, camera: str, body: Body) -> None:
    """Set floor, sky and light of a model of one's own.

    `sky` is the suite's: stars and a chequered floor. `plain` is a wall and a floor, each of one
    colour, `white` has neither; `draw_line` shows where their floor is.
    """
    import mujoco

    names = [model.geom(i).name for i in range(model.ngeom)]
    floors = [model.geom(column) for column in body.floor_geoms(names)]
    widen_floor(model, camera, body)
    if background == "sky":
        return
    white = background == "white"
    _paint_sky(model, "#FFFFFF" if white else WALL_COLOR)
    for floor in floors:
        floor.matid[:] = -1
        floor.rgba[:] = (*_shares(FLOOR_COLOR), 0.0 if white else 1.0)
    # The suite's spotlight would draw a disc on a floor of one colour, and shadows of a light
    # from everywhere have specks.
    model.light_type[:] = mujoco.mjtLightType.mjLIGHT_DIRECTIONAL
    model.light_castshadow[:] = False


def widen_floor(model: "mujoco.MjModel", camera: str, body: Body) -> None:
    """Let the floor reach further than any view.

    Contacts have no edge, but the suite draws floors of some metres: an agent would seem to leave
    them. A floor between walls, or under a terrain, stays as it is.
    """
    names = [model.geom(i).name for i in range(model.ngeom)]
    columns = body.floor_geoms(names)
    if len(columns) > 1 or any(name.startswith("wall") for name in names):
        return
    floor = model.geom(columns[0])
    if body.name != HOPPER:
        floor.pos[:2] = floor.size[:2] = 0.0  # infinite
        return
    near, far = (NEAR_M, NEAR_M) if camera == "back" else (NEAR_M, FAR_M)
    floor.pos[:2] = 0.0, (far - near) / 2
    floor.size[:2] = FLOOR_M, (far + near) / 2


def draw_line(scene: "mujoco.MjvScene") -> None:
    """Add the line of the floor, below the body, to what is drawn next."""
    import mujoco

    geom = scene.geoms[scene.ngeom]
    half = LINE_M / 2
    mujoco.mjv_initGeom(
        geom,
        mujoco.mjtGeom.mjGEOM_BOX,
        np.array([FLOOR_M, half, half]),
        np.array([0.0, 0.0, -half]),
        np.eye(3).ravel(),
        np.array([*_shares(LINE_COLOR), 1.0], np.float32),
    )
    geom.emission = 1.0  # of one colour, however it is lit
    scene.ngeom += 1


def _paint_sky(model: "mujoco.MjModel", color: str) -> None:
    import mujoco

    for sky in np.flatnonzero(model.tex_type == mujoco.mjtTexture.mjTEXTURE_SKYBOX):
        first, pixels = model.tex_adr[sky], model.tex_width[sky] * model.tex_height[sky]
        model.tex_data[first : first + 3 * pixels] = np.tile(to_rgb(color), pixels)


def _shares(color: str) -> tuple[float, ...]:
    return tuple(channel / 255 for channel in to_rgb(color))
