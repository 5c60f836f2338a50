"""What a checkpoint calls observations that it may never have made."""

from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Float32, Int

if TYPE_CHECKING:
    from glassviz.agents.glass import LabelRule
    from glassviz.checkpoints import Checkpoint

BATCH = 4096


def label_observations(
    checkpoint: "Checkpoint", obs: Float32[np.ndarray, "frames obs"], rule: "LabelRule"
) -> Int[np.ndarray, " frames"]:
    """Label observations by an agent's own encoder, prototypes and partition, batch by batch.

    Args:
        checkpoint: of an agent with Glass.
        obs: what it is shown.
        rule: how a latent gets its label.
    """
    import jax
    from jaxtyping import Array

    from glassviz.agents import glass
    from glassviz.agents.networks import encode

    config = checkpoint.config
    assert config.glass is not None
    clusters = config.glass

    def label(batch: Array) -> Array:
        z = encode(config, checkpoint.params, batch)
        return glass.label(clusters, checkpoint.params["glass"], z, rule)

    found = jax.jit(lambda rows: jax.lax.map(label, rows, batch_size=BATCH))(obs)
    return np.asarray(found).astype(np.int64)
