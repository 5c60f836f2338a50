"""A trained agent's policy as the gait that the hop planner improves on."""

from functools import lru_cache
from pathlib import Path

import jax
import numpy as np
from jaxtyping import Float32

from glassviz import checkpoints
from glassviz.agents import networks, values
from glassviz.checkpoints import Checkpoint
from glassviz.demonstrations.model import Actions, Readings, States
from glassviz.errors import GlassvizError


class AgentGait:
    """Acts as the policy prior's mean, from what the agent would observe.

    Args:
        checkpoint: an agent of hopper-hop in single control steps.

    Raises:
        GlassvizError: it is an agent of another task, or repeats its actions.
    """

    def __init__(self, checkpoint: Checkpoint) -> None:
        require_hopper(checkpoint)
        config = checkpoint.config
        self._params = checkpoint.params
        self._act = jax.jit(
            lambda params, obs: values.policy_action(
                config, params, networks.encode(config, params, obs)
            )
        )

    def __call__(self, states: States, readings: Readings) -> Actions:
        """The policy's actions."""
        return np.asarray(self._act(self._params, observe(states, readings)), np.float64)


def require_hopper(checkpoint: Checkpoint) -> None:
    """Raise GlassvizError unless the agent hops in single control steps, as the planner does."""
    env = checkpoint.config.env
    if env.task != "hopper-hop" or env.action_repeat != 1:
        raise GlassvizError(
            f"{checkpoint.name}: expected an agent of hopper-hop with action repeat 1 to plan "
            f"around, found {env.task} with {env.action_repeat}: give another one"
        )


def observe(states: States, readings: Readings) -> Float32[np.ndarray, "batch obs"]:
    """What an agent observes; not the distance, a state's first coordinate."""
    return np.concatenate([states[:, 1:], np.log1p(readings.touch)], axis=1, dtype=np.float32)


@lru_cache(maxsize=1)
def load_agent_gait(path: Path) -> AgentGait:
    """The gait of the checkpoint at `path`, read once a process.

    Raises:
        GlassvizError: as `checkpoints.load` and `AgentGait`.
    """
    return AgentGait(checkpoints.load(path))
