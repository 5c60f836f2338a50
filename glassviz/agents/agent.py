"""A trained agent as functions of arrays, for notebooks and other programs."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float32, Int32
from numpy.typing import ArrayLike

from glassviz.agents import glass, networks, world_model
from glassviz.agents.config import AgentConfig
from glassviz.agents.networks import Params
from glassviz.errors import UsageError


@dataclass(frozen=True, eq=False, repr=False)
class Agent:
    """The networks of an agent. Arrays go in and NumPy arrays come out.

    The last axis is that of the observation, latent or action; any axes may precede it, and those
    of z and a are broadcast against each other. All arrays are in single precision.

    Attributes:
        config: sizes (`obs_dim`, `latent_dim`, `action_dim`) and conventions.
        params: the parameters.

    Every method raises a UsageError for arrays of other sizes.
    """

    config: AgentConfig
    params: Params

    def __repr__(self) -> str:
        config = self.config
        return (
            f"Agent({config.family}, {config.obs_dim} observations, latent {config.latent_dim}, "
            f"{config.action_dim} actions)"
        )

    def encode(self, obs: ArrayLike) -> Float32[np.ndarray, "*batch latent"]:
        """Latent z of an observation of shape (…, obs_dim)."""
        return self._run(networks.encode, obs=obs)

    def policy(self, z: ArrayLike) -> Float32[np.ndarray, "*batch act"]:
        """The policy prior's action tanh(mean), in [-1, 1], in z of shape (…, latent_dim)."""
        return self._run(world_model.policy_action, z=z)

    def next(self, z: ArrayLike, a: ArrayLike) -> Float32[np.ndarray, "*batch latent"]:
        """The latent that the model predicts after action a in z."""
        return self._run(networks.next_latent, z=z, a=a)

    def reward(self, z: ArrayLike, a: ArrayLike) -> Float32[np.ndarray, "*batch"]:
        """The reward that the model predicts for action a in z."""
        return self._run(_reward, z=z, a=a)

    def values(self, z: ArrayLike, a: ArrayLike) -> Float32[np.ndarray, "heads *batch"]:
        """Return-to-go of action a in z by each Q head; the heads are the first axis."""
        return self._run(world_model.q_values, z=z, a=a)

    def labels(self, z: ArrayLike) -> Int32[np.ndarray, "*batch"]:
        """The cluster, 0 to K−1, of the prototype nearest to z.

        Raises:
            UsageError: the agent was trained without Glass.
        """
        if self.config.glass is None:
            raise UsageError(
                "labels: expected an agent with Glass, found one without: fit labels to a roll-out "
                "of it with `glassviz fit`"
            )
        return self._run(_labels, z=z).astype(np.int32)

    def _run(self, function: Callable[..., Any], **arrays: ArrayLike) -> np.ndarray:
        """A function of configuration, parameters and arrays, compiled once per shape."""
        read = [self._read(name, array) for name, array in arrays.items()]
        try:
            lead = np.broadcast_shapes(*(array.shape[:-1] for array in read))
        except ValueError:
            shapes = " and ".join(str(array.shape) for array in read)
            raise UsageError(
                f"agent: expected z and a with axes that fit each other, found shapes {shapes}"
            ) from None
        same = [jnp.asarray(np.broadcast_to(each, (*lead, each.shape[-1]))) for each in read]
        return np.asarray(_compiled(function)(self.config, self.params, *same))

    def _read(self, name: str, array: ArrayLike) -> np.ndarray:
        config = self.config
        sizes = {"obs": config.obs_dim, "z": config.latent_dim, "a": config.action_dim}
        try:
            found = np.asarray(array, np.float32)
        except (TypeError, ValueError):
            raise UsageError(
                f"agent: expected {name} to be an array of {sizes[name]} numbers on its last axis, "
                f"found {type(array).__name__}"
            ) from None
        if found.ndim == 0 or found.shape[-1] != sizes[name]:
            raise UsageError(
                f"agent: expected {name} with {sizes[name]} values on its last axis, found shape "
                f"{found.shape}"
            )
        return found


@cache
def _compiled(function: Callable[..., Any]) -> Callable[..., Any]:
    """The function compiled, whatever agent asks for it."""
    return jax.jit(function, static_argnums=0)


def _reward(config: AgentConfig, params: Params, z: Any, a: Any) -> Any:
    return networks.expected_value(config, networks.reward_logits(config, params, z, a))


def _labels(config: AgentConfig, params: Params, z: Any) -> Any:
    assert config.glass is not None
    return glass.label(config.glass, params["glass"], z)
