"""The hopper's true model, stepped in batches for a planner: state in, state and readings out."""

from typing import NamedTuple

import mujoco
import numpy as np
from jaxtyping import Float64
from mujoco import rollout

from glassviz.agents.config import Physics
from glassviz.envs.hopper import SUBSTEPS, load_model, model_path

POSITIONS = slice(0, 7)
VELOCITIES = slice(7, 14)
PITCH = 2
JOINTS = slice(3, 7)
JOINT_VELOCITIES = slice(10, 14)

States = Float64[np.ndarray, "batch 14"]
Actions = Float64[np.ndarray, "batch 4"]


class Readings(NamedTuple):
    """What a planner asks of a state, beyond the state itself. Leading axes are those asked for.

    Attributes:
        height: torso over foot (centres of mass), as the task measures it, m.
        upright: cosine of the torso's pitch.
        speed, rise: forward and upward speed of the centre of mass, m/s.
        ahead: centre of mass ahead of the foot, m.
        touch: toe and heel touch sensors, N.
    """

    height: Float64[np.ndarray, "*axes"]
    upright: Float64[np.ndarray, "*axes"]
    speed: Float64[np.ndarray, "*axes"]
    rise: Float64[np.ndarray, "*axes"]
    ahead: Float64[np.ndarray, "*axes"]
    touch: Float64[np.ndarray, "*axes 2"]


class HopModel:
    """The suite's hopper under a physics profile, with sensors for all of `Readings`.

    A state is (qpos, qvel). Its future under given actions is that in `HopperBatch`, as near as the
    contact solver comes to its solution when it starts from nothing; readings after a step are
    one physics step (5 ms) older than the state, as MuJoCo's sensors are.
    """

    def __init__(self, physics: Physics) -> None:
        spec = mujoco.MjSpec.from_file(str(model_path()))
        kind, of = mujoco.mjtSensor, mujoco.mjtObj
        for name, sensor, body in (
            ("torso_position", kind.mjSENS_FRAMEPOS, "torso"),
            ("foot_position", kind.mjSENS_FRAMEPOS, "foot"),
            ("centre_of_mass", kind.mjSENS_SUBTREECOM, "torso"),
        ):
            spec.add_sensor(name=name, type=sensor, objtype=of.mjOBJ_BODY, objname=body)
        spec.add_sensor(
            name="torso_axis", type=kind.mjSENS_FRAMEZAXIS, objtype=of.mjOBJ_XBODY, objname="torso"
        )
        self.model = spec.compile()
        profile = load_model(physics).opt
        for option in ("iterations", "ls_iterations", "disableflags"):
            setattr(self.model.opt, option, getattr(profile, option))
        self._data = mujoco.MjData(self.model)
        address = {
            self.model.sensor(i).name: int(self.model.sensor_adr[i])
            for i in range(self.model.nsensor)
        }
        self._torso, self._foot = address["torso_position"], address["foot_position"]
        self._centre, self._axis = address["centre_of_mass"], address["torso_axis"]
        self._velocity = address["torso_subtreelinvel"]
        self._touch = [address["touch_toe"], address["touch_heel"]]

    def read(self, state: Float64[np.ndarray, " 14"], count: int) -> Readings:
        """Readings of one state, `count` times over."""
        self._data.qpos[:], self._data.qvel[:] = state[POSITIONS], state[VELOCITIES]
        mujoco.mj_forward(self.model, self._data)
        return self._readings(np.tile(self._data.sensordata, (count, 1)))

    def step(self, states: States, actions: Actions) -> tuple[States, Readings]:
        """One control step of 20 ms for every row."""
        full, sensors = rollout.rollout(
            self.model,
            self._data,
            np.concatenate([np.zeros((len(states), 1)), states], axis=1),  # time first
            np.repeat(actions[:, None], SUBSTEPS, axis=1),
        )
        return full[:, -1, 1:], self._readings(sensors[:, -1])

    def _readings(self, sensors: Float64[np.ndarray, "batch sensors"]) -> Readings:
        return Readings(
            height=sensors[:, self._torso + 2] - sensors[:, self._foot + 2],
            upright=sensors[:, self._axis + 2],
            speed=sensors[:, self._velocity],
            rise=sensors[:, self._velocity + 2],
            ahead=sensors[:, self._centre] - sensors[:, self._foot],
            touch=sensors[:, self._touch],
        )
