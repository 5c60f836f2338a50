"""The planar hopper of the dm_control suite on raw MuJoCo, stepped in batches.

There are two physics profiles. `dm_control` is the suite's: one control step is mj_step2, three
mj_step, mj_step1, so derived quantities (heights, contacts, sensors) belong to the new positions.
`playground` (MuJoCo Playground) uses the same XML with a cheaper solver and four mj_step: derived
quantities are one substep old.

Falling never ends an episode, and every episode starts with a drop from one metre in a random
pose. References: Tassa et al., "DeepMind Control Suite", 2018; Zakka et al., "MuJoCo Playground",
2025.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from importlib.util import find_spec
from pathlib import Path

import mujoco
import numpy as np
from jaxtyping import Bool, Float, Float64

from glassviz.agents.config import EnvConfig, Physics
from glassviz.envs.batch import Step
from glassviz.envs.bodies import HOPPER, task_of
from glassviz.errors import GlassvizError

CONTROL_DT_S = 0.02
SUBSTEPS = 4
STAND_HEIGHT_M = 0.6
MAX_HEIGHT_M = 2.0
HOP_SPEED_MPS = 2.0
BACK_SPEED_MPS = -1.0
UPRIGHT_NOISE = 0.1


def model_path() -> Path:
    """The suite's XML model of the hopper, located without importing the suite.

    Raises:
        GlassvizError: dm_control is not installed.
    """
    package = find_spec("dm_control")
    if package is None or not package.submodule_search_locations:
        raise GlassvizError("environment: expected the package dm_control, found none: install it")
    return Path(package.submodule_search_locations[0]) / "suite" / "hopper.xml"


@lru_cache
def load_model(physics: Physics) -> mujoco.MjModel:
    """The hopper's compiled model for a physics profile. Cached and shared: do not modify it."""
    model = mujoco.MjModel.from_xml_path(str(model_path()))
    if physics == "playground":
        model.opt.iterations = 4
        model.opt.ls_iterations = 10
        model.opt.disableflags |= mujoco.mjtDisableBit.mjDSBL_EULERDAMP
    return model


@dataclass(frozen=True)
class SideView:
    """The body seen from the side: every part is a capsule, from `start` to `end`.

    Attributes:
        names: of the parts.
        radius: of the parts, m.
        start, end: forward and upward position of the ends, m.
    """

    names: tuple[str, ...]
    radius: Float64[np.ndarray, " parts"]
    start: Float64[np.ndarray, "poses parts 2"]
    end: Float64[np.ndarray, "poses parts 2"]


def side_view(physics: Physics, qpos: Float64[np.ndarray, "poses nq"]) -> SideView:
    """The body in some poses, by forward kinematics.

    Example:
        >>> upright = np.zeros((1, 7))
        >>> view = side_view("dm_control", upright)
        >>> round(float(view.start[0, view.names.index("torso"), 0]), 3)
        0.0
    """
    model = load_model(physics)
    data = mujoco.MjData(model)
    parts = np.flatnonzero(model.geom_type == mujoco.mjtGeom.mjGEOM_CAPSULE)
    half = model.geom_size[parts, 1, None]
    ends = []
    for pose in qpos:
        data.qpos[:] = pose
        mujoco.mj_kinematics(model, data)
        along = data.geom_xmat[parts][:, [2, 8]] * half
        centre = data.geom_xpos[parts][:, [0, 2]]
        ends.append((centre - along, centre + along))
    start, end = np.array(ends).reshape(-1, 2, len(parts), 2).transpose(1, 0, 2, 3)
    names = tuple(model.geom(int(part)).name for part in parts)
    return SideView(names, model.geom_size[parts, 0].copy(), start, end)


class HopperBatch:
    """A batch of independent hoppers.

    >>> hoppers = HopperBatch(EnvConfig(task="hopper-hop", action_repeat=2), num=3)
    >>> hoppers.reset(seeds=[0, 1, 2]).obs.shape
    (3, 15)
    >>> step = hoppers.step(np.zeros((3, hoppers.action_dim)))
    >>> step.reward.shape, float(step.time[0])
    ((3,), 0.04)

    """

    def __init__(self, config: EnvConfig, num: int) -> None:
        if task_of(config.task).body.name != HOPPER:
            raise GlassvizError(
                f"environment: expected a task of the hopper, such as hopper-hop, found "
                f"{config.task}: `envs.make` makes the environment of any task"
            )
        self.config, self.num = config, num
        self.model = load_model(config.physics)
        self._data = [mujoco.MjData(self.model) for _ in range(num)]
        self._floor = self.model.geom("floor").id
        self._torso = self.model.body("torso").id
        self._foot = self.model.body("foot").id

    @cached_property
    def geoms(self) -> tuple[str, ...]:
        """Names of the geoms, in the order of `Step.contacts`."""
        return tuple(self.model.geom(i).name for i in range(self.model.ngeom))

    @cached_property
    def bodies(self) -> tuple[str, ...]:
        """Names of the bodies, in the order of `Step.angles`."""
        return tuple(self.model.body(i).name for i in range(1, self.model.nbody))

    @property
    def obs_dim(self) -> int:
        """Size of an observation."""
        return int(self.model.nq - 1 + self.model.nv + 2)

    @property
    def action_dim(self) -> int:
        """Size of an action."""
        return int(self.model.nu)

    def reset(self, seeds: Sequence[int], upright: int = 0) -> Step:
        """Start an episode in every hopper; its seed determines the initial pose completely.

        The pose is drawn from `numpy.random.RandomState(seed)` as in the suite: limited joints
        uniform in their range, the pitch uniform in ±π, the torso at 1 m.

        Args:
            seeds: one seed per hopper.
            upright: number of hoppers, counted from the first, that start upright instead: joints
                and pitch within ±0.1 rad of the model's default pose. Not part of the task.
        """
        if len(seeds) != self.num:
            raise GlassvizError(f"reset: expected {self.num} seeds, found {len(seeds)}")
        actuation = mujoco.mjtDisableBit.mjDSBL_ACTUATION
        flags = self.model.opt.disableflags
        self.model.opt.disableflags = flags | actuation  # as in the suite: no controls yet
        for i, (data, seed) in enumerate(zip(self._data, seeds, strict=True)):
            mujoco.mj_resetData(self.model, data)
            random = np.random.RandomState(seed)
            if i < upright:
                data.qpos[2:] += random.uniform(-UPRIGHT_NOISE, UPRIGHT_NOISE, self.model.nq - 2)
            else:
                self._draw_pose(data, random)
            mujoco.mj_forward(self.model, data)
        self.model.opt.disableflags = flags
        return self._observe(np.zeros(self.num))

    def step(self, actions: Float[np.ndarray, "envs act"]) -> Step:
        """Apply actions for `action_repeat` control steps of 20 ms."""
        reward = np.zeros(self.num)
        for _ in range(self.config.action_repeat):
            for data, action in zip(self._data, actions, strict=True):
                data.ctrl[:] = action
                self._advance(data)
            reward += self._reward()
        return self._observe(reward)

    def get_state(self) -> Float64[np.ndarray, "envs state"]:
        """The complete simulation state, for `set_state`."""
        spec = mujoco.mjtState.mjSTATE_INTEGRATION
        state = np.empty((self.num, mujoco.mj_stateSize(self.model, spec)))
        for data, row in zip(self._data, state, strict=True):
            mujoco.mj_getState(self.model, data, row, spec)
        return state

    def set_state(self, state: Float64[np.ndarray, "envs state"]) -> Step:
        """Continue from a state returned by `get_state`.

        The continuation is bitwise reproducible. The returned step is recomputed from the state:
        quantities that lag one substep in a running simulation (touch sensors, and under
        `playground` heights and contacts) are up to date here.
        """
        for data, row in zip(self._data, state, strict=True):
            mujoco.mj_setState(self.model, data, row, mujoco.mjtState.mjSTATE_INTEGRATION)
            mujoco.mj_forward(self.model, data)
            # mj_forward overwrites the solver's warm start: restore it.
            mujoco.mj_setState(self.model, data, row, mujoco.mjtState.mjSTATE_INTEGRATION)
        return self._observe(np.zeros(self.num))

    def _draw_pose(self, data: mujoco.MjData, random: np.random.RandomState) -> None:
        for joint in range(self.model.njnt):
            if self.model.jnt_limited[joint]:
                low, high = self.model.jnt_range[joint]
            elif self.model.jnt_type[joint] == mujoco.mjtJoint.mjJNT_HINGE:
                low, high = -np.pi, np.pi
            else:
                continue
            data.qpos[self.model.jnt_qposadr[joint]] = random.uniform(low, high)

    def _advance(self, data: mujoco.MjData) -> None:
        if self.config.physics == "dm_control":
            mujoco.mj_step2(self.model, data)
            mujoco.mj_step(self.model, data, SUBSTEPS - 1)
            mujoco.mj_step1(self.model, data)
        else:
            mujoco.mj_step(self.model, data, SUBSTEPS)

    def _reward(self) -> Float64[np.ndarray, " envs"]:
        ctrl = np.array([data.ctrl for data in self._data])
        return task_reward(self.config.task, self._heights(), self._sensors()[:, 0], ctrl)

    def _heights(self) -> Float64[np.ndarray, " envs"]:
        return np.array([d.xipos[self._torso, 2] - d.xipos[self._foot, 2] for d in self._data])

    def _sensors(self) -> Float64[np.ndarray, "envs sensors"]:
        return np.array([data.sensordata for data in self._data])

    def _observe(self, reward: Float64[np.ndarray, " envs"]) -> Step:
        qpos = np.array([data.qpos for data in self._data])
        qvel = np.array([data.qvel for data in self._data])
        sensors = self._sensors()  # velocity of the centre of mass (3), toe, heel
        touch = sensors[:, 3:5]
        axes = np.array([data.xmat[1:] for data in self._data])
        return Step(
            obs=np.concatenate([qpos[:, 1:], qvel, np.log1p(touch)], axis=1).astype(np.float32),
            reward=reward,
            time=np.array([data.time for data in self._data]),
            qpos=qpos,
            qvel=qvel,
            height=self._heights(),
            speed=sensors[:, 0],
            angles=np.arctan2(axes[:, :, 2], axes[:, :, 8]),
            contacts=self._contacts(),
            touch=touch,
            geom_heights=np.array([data.geom_xpos[:, 2] for data in self._data]),
        )

    def _contacts(self) -> Bool[np.ndarray, "envs geoms"]:
        touching = np.zeros((self.num, self.model.ngeom), dtype=bool)
        for row, data in zip(touching, self._data, strict=True):
            if data.ncon:
                pairs = data.contact.geom
                with_floor = pairs[(pairs == self._floor).any(axis=1)]
                row[with_floor[with_floor != self._floor]] = True
        return touching


def task_reward(
    task: str,
    height: Float64[np.ndarray, " envs"],
    speed: Float64[np.ndarray, " envs"],
    ctrl: Float64[np.ndarray, "envs act"],
) -> Float64[np.ndarray, " envs"]:
    """Reward of one control step, in [0, 1]: standing × hopping, or standing × small control.

    standing is 1 for 0.6 m ≤ height ≤ 2 m, else 0; hopping is clip(speed/2, 0, 1), or backwards
    1 from −1 m/s on and less by the distance to it, down to 0 at 0 m/s; small control is
    0.8 + 0.2·mean(max(1 − u², 0)). Heights are in m, speeds in m/s, `ctrl` is u. Operations are in
    the suite's order, so rewards are bitwise equal to the suite's.
    """
    standing = np.where((height >= STAND_HEIGHT_M) & (height <= MAX_HEIGHT_M), 1.0, 0.0)
    if task == "hopper-hop":
        below = (HOP_SPEED_MPS - speed) / (HOP_SPEED_MPS / 2) * 0.5
        hopping = np.where(speed >= HOP_SPEED_MPS, 1.0, np.where(below < 1, 1.0 - below, 0.0))
        return standing * hopping
    if task == "hopper-hop-backwards":
        above = (speed - BACK_SPEED_MPS) / (-BACK_SPEED_MPS / 2) * 0.5
        hopping = np.where(speed <= BACK_SPEED_MPS, 1.0, np.where(above < 1, 1.0 - above, 0.0))
        return standing * hopping
    effort = np.where(ctrl == 0, 1.0, np.where(np.abs(ctrl) < 1, 1.0 - ctrl**2, 0.0))
    return standing * ((effort.mean(axis=1) + 4) / 5)
