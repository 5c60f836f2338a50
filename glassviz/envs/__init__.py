"""Environments: bodies and tasks as data, and batches of episodes on MuJoCo."""

from typing import TYPE_CHECKING

from glassviz.envs.bodies import HOPPER, task_of
from glassviz.errors import GlassvizError

if TYPE_CHECKING:
    import mujoco

    from glassviz.agents.config import AgentConfig, EnvConfig, Physics
    from glassviz.envs.batch import Batch


def make(config: "EnvConfig", num: int) -> "Batch":
    """A batch of `num` episodes of a task: the hopper's own, or the suite's.

    Raises:
        GlassvizError: there is no environment for the task in this physics profile.
    """
    check_env(config)
    if task_of(config.task).body.name == HOPPER:
        from glassviz.envs.hopper import HopperBatch

        return HopperBatch(config, num)
    from glassviz.envs.suite import SuiteBatch

    return SuiteBatch(config, num)


def model_of(task: str, physics: "Physics") -> "mujoco.MjModel":
    """The compiled model of a task, as before any reset. It may be shared: do not modify it.

    Raises:
        GlassvizError: there is no environment for the task.
    """
    facts = task_of(task)
    if facts.body.name == HOPPER:
        from glassviz.envs.hopper import load_model

        return load_model(physics)
    from glassviz.envs.suite import load

    return load(facts).physics.model.ptr


def check_env(config: "EnvConfig") -> None:
    """Refuse a task, or a physics profile of it, that there is no environment for.

    Raises:
        GlassvizError: there is none.
    """
    body = task_of(config.task).body
    if body.name != HOPPER and config.physics != "dm_control":
        raise GlassvizError(
            f"environment: expected the physics profile dm_control for {config.task}, found "
            f"{config.physics}: only the hopper has others"
        )


def check_body(name: str, config: "AgentConfig") -> None:
    """Refuse an agent, named so in the message, that no environment fits.

    Raises:
        GlassvizError: there is none for its task, or its observation or action has another size.
    """
    try:
        check_env(config.env)
    except GlassvizError as error:
        raise GlassvizError(f"{name}: {error}") from None
    task = task_of(config.env.task)
    sizes = task.obs_dim, task.body.action_dim
    if (config.obs_dim, config.action_dim) != sizes:
        raise GlassvizError(
            f"{name}: expected an agent for {task.name}, with {sizes[0]} observations and "
            f"{sizes[1]} actions, found one with {config.obs_dim} and {config.action_dim}: it was "
            f"trained on another task, or on another version of this one"
        )
