"""What a checkpoint calls observations that it may never have made."""

from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Float32, Int

from glassviz.analysis.fitted_labels import FittedLabels

if TYPE_CHECKING:
    from glassviz.agents.glass import LabelRule
    from glassviz.checkpoints import Checkpoint

BATCH = 4096


def label_observations(
    checkpoint: "Checkpoint",
    obs: Float32[np.ndarray, "frames obs"],
    rule: "LabelRule",
    fitted: FittedLabels | None = None,
) -> Int[np.ndarray, " frames"]:
    """Label observations by an agent's own encoder, prototypes and partition, batch by batch.

    Args:
        checkpoint: of the agent; with Glass, if it is to go by what it has learned.
        obs: what it is shown.
        rule: how a latent gets its learned label.
        fitted: labels to go by instead.
    """
    import jax
    from jaxtyping import Array

    from glassviz.agents import glass
    from glassviz.agents.networks import encode

    config, params = checkpoint.config, checkpoint.params

    def answer(batch: Array) -> Array:
        z = encode(config, params, batch)
        if fitted or config.glass is None:
            return z
        return glass.label(config.glass, params["glass"], z, rule)

    found = np.asarray(jax.jit(lambda rows: jax.lax.map(answer, rows, batch_size=BATCH))(obs))
    return (fitted.labels(found)[1] if fitted else found).astype(np.int64)
