"""A trained agent's policy as the gait that the hop planner improves on."""

from functools import lru_cache
from pathlib import Path

import jax
import numpy as np

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
        config = checkpoint.config
        if config.env.task != "hopper-hop" or config.env.action_repeat != 1:
            raise GlassvizError(
                f"{checkpoint.name}: expected an agent of hopper-hop with action repeat 1 to plan "
                f"around, found {config.env.task} with {config.env.action_repeat}: give another one"
            )
        self._params = checkpoint.params
        self._act = jax.jit(
            lambda params, obs: values.policy_action(
                config, params, networks.encode(config, params, obs)
            )
        )

    def __call__(self, states: States, readings: Readings) -> Actions:
        """The policy's actions; a state's first coordinate, the distance, is not observed."""
        obs = np.concatenate([states[:, 1:], np.log1p(readings.touch)], axis=1, dtype=np.float32)
        return np.asarray(self._act(self._params, obs), np.float64)


@lru_cache(maxsize=1)
def load_agent_gait(path: Path) -> AgentGait:
    """The gait of the checkpoint at `path`, read once a process.

    Raises:
        GlassvizError: as `checkpoints.load` and `AgentGait`.
    """
    return AgentGait(checkpoints.load(path))
