"""One encoder for all: the observations of several agents as latents of one of them."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Float32

from glassviz.errors import GlassvizError
from glassviz.trace import Trace

if TYPE_CHECKING:
    from glassviz.checkpoints import Checkpoint

BATCH = 4096


@dataclass(frozen=True, eq=False)
class Encoder:
    """An agent that is shown what others saw.

    Attributes:
        checkpoint: of the agent.
    """

    checkpoint: "Checkpoint"

    @classmethod
    def load(cls, path: Path) -> "Encoder":
        """Read an agent.

        Raises:
            GlassvizError: the file is no checkpoint.
        """
        from glassviz import checkpoints

        return cls(checkpoints.load(path))

    @property
    def name(self) -> str:
        """Of the agent."""
        return self.checkpoint.name

    @property
    def sha256(self) -> str:
        """Of the agent's file."""
        return self.checkpoint.sha256

    def latents(self, trace: Trace) -> Float32[np.ndarray, "frames latent"]:
        """What the agent makes of every observation of a trace.

        Raises:
            GlassvizError: its observations have another number of values.
        """
        import jax

        from glassviz.agents.networks import encode

        config, params = self.checkpoint.config, self.checkpoint.params
        obs = trace.obs.reshape(-1, trace.obs.shape[2])
        if obs.shape[1] != config.obs_dim:
            raise GlassvizError(
                f"--encoder: expected an agent that observes {obs.shape[1]} values, as "
                f"{trace.header['checkpoint']['name']} does, found {self.name} with "
                f"{config.obs_dim}: name another"
            )
        found = jax.jit(
            lambda rows: jax.lax.map(lambda x: encode(config, params, x), rows, batch_size=BATCH)
        )(obs)
        return np.asarray(found, np.float32)
