"""Script that draws one picture and prints the name of the renderer.

An incomplete backend may raise, abort or hang, so `opengl.probe` runs this file in a child
process with MUJOCO_GL set. It imports nothing of glassviz.
"""

import json
import sys

SCENE = """
<mujoco>
  <asset><texture type="skybox" builtin="flat" rgb1="1 0 0" width="8" height="8"/></asset>
  <worldbody><geom size="0.1"/></worldbody>
</mujoco>
"""


def main() -> None:
    """Print `{"renderer": …}`, or fail with MuJoCo's error."""
    import mujoco

    model = mujoco.MjModel.from_xml_string(SCENE)
    data = mujoco.MjData(model)
    mujoco.mj_forward(model, data)
    with mujoco.Renderer(model, height=16, width=16) as renderer:
        renderer.update_scene(data)
        picture = renderer.render()
        from OpenGL import GL

        name = GL.glGetString(GL.GL_RENDERER).decode()
    if not picture.any():
        sys.exit(f"{name} drew a black picture of a red sky")
    print(json.dumps({"renderer": name}))


if __name__ == "__main__":
    main()
