"""What is done to a run that goes badly: signals of it, and new starts."""

import jax.numpy as jnp
import numpy as np
from jaxtyping import Bool, Float32

from glassviz.agents import glass as glass_ops
from glassviz.agents.networks import Params, encode
from glassviz.envs.hopper import HopperBatch
from glassviz.rollout import roll_out
from glassviz.training.config import FEWEST_ACTIVE, TrainConfig
from glassviz.training.parts import Signal

# Of the roll-out that the gait is judged by: the drop at its start does not count.
GAIT_STEPS = 300
DROP_STEPS = 50
# Below this an agent is in a bad basin, by the signal.
LEAST: dict[Signal, float] = {"gait": 0.25, "prototypes": FEWEST_ACTIVE}
# A new start of seed s is seeded s + n·this, well apart from the seeds that people choose.
SEED_STRIDE = 10_000

KMEANS_SAMPLE = 4096


def basin_signal(train: TrainConfig, signal: Signal, params: Params, seed: int) -> float:
    """What a signal says of an agent; below `LEAST` it is in a bad basin.

    Args:
        signal: `gait`: share of the frames with floor contact in which the foot alone has it, in a
            roll-out of the policy. `prototypes`: clusters that are active in the partition.
        seed: of the roll-out's reset.
    """
    if signal == "prototypes":
        glass = train.agent.glass
        assert glass is not None
        return float(glass_ops.active_in_partition(glass, params["glass"]))
    env = HopperBatch(train.agent.env, 1)
    [arrays] = roll_out(train.agent, [params], "pi", env, seed, GAIT_STEPS)
    return foot_share(arrays["contacts"][0, DROP_STEPS:], env.geoms)


def foot_share(contacts: Bool[np.ndarray, "frames geoms"], geoms: tuple[str, ...]) -> float:
    """Share of the frames with floor contact in which the foot alone has it; 0 without contact."""
    touching = contacts.any(axis=1)
    others = np.delete(contacts, geoms.index("foot"), axis=1).any(axis=1)
    return float((touching & ~others).sum() / max(touching.sum(), 1))


def kmeans_prototypes(
    train: TrainConfig, params: Params, obs: Float32[np.ndarray, "sample obs"], seed: int
) -> Float32[np.ndarray, "prototypes latent"]:
    """Centroids of the latents of `obs`, one a prototype."""
    from sklearn.cluster import KMeans

    assert train.agent.glass is not None
    z = np.asarray(encode(train.agent, params, jnp.asarray(obs)))
    found = KMeans(train.agent.glass.prototypes, n_init=1, random_state=seed).fit(z)
    return np.asarray(found.cluster_centers_, np.float32)
