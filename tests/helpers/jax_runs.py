"""Run folders as tdmpc2-jax leaves them, written by orbax."""

from pathlib import Path
from typing import Any

import numpy as np
import optax
import orbax.checkpoint as ocp
from flax import struct
from flax.training.train_state import TrainState

from tests.helpers.torch_files import Layer, Networks

MODELS = {
    "_encoder.state": "encoder",
    "_dynamics": "dynamics_model",
    "_reward": "reward_model",
    "_pi": "policy_model",
    "_Qs": "value_model",
}


class WorldModel(struct.PyTreeNode):
    """The networks, as the published class has them."""

    encoder: TrainState
    dynamics_model: TrainState
    reward_model: TrainState
    policy_model: TrainState
    value_model: TrainState
    target_value_model: TrainState
    continue_model: TrainState | None
    symlog_min: float
    symlog_max: float
    latent_dim: int = struct.field(pytree_node=False)


class Agent(struct.PyTreeNode):
    """The agent, as far as it is saved."""

    model: WorldModel
    scale: np.ndarray
    mpc: bool
    min_plan_std: float
    max_plan_std: float
    temperature: float
    discount: float
    horizon: int = struct.field(pytree_node=False)


def _params(layers: list[Layer]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for i, layer in enumerate(layers):
        dense = {"kernel": np.swapaxes(layer["weight"], -1, -2), "bias": layer["bias"]}
        norm = {"scale": layer.get("ln.weight"), "bias": layer.get("ln.bias")}
        normed = {"Dense_0": dense, "LayerNorm_0": norm}
        found[f"layers_{i}"] = normed if "ln.weight" in layer else dense
    return found


def write_run(
    folder: Path,
    nets: Networks,
    steps: tuple[int, ...] = (5, 20),
    *,
    temperature: float = 0.5,
    symlog: float = 10.0,
) -> Path:
    """A run of `nets`, whose earlier steps have other networks; returns its folder."""

    def state(params: Any) -> TrainState:
        return TrainState.create(apply_fn=lambda x: x, params=params, tx=optax.adam(1e-3))

    models = {name: state(_params(nets.layers[net])) for net, name in MODELS.items()}
    heads = {"VmapSequential_0": _params(nets.layers["_Qs"])}
    models |= {"value_model": state(heads), "target_value_model": state(heads)}
    goes_on = None
    if "_termination" in nets.layers:
        layers = [dict(layer) for layer in nets.layers["_termination"]]
        layers[-1] = {name: -leaf for name, leaf in layers[-1].items()}
        goes_on = state(_params(layers))
    model = WorldModel(
        **models, continue_model=goes_on, symlog_min=-symlog, symlog_max=symlog, latent_dim=16
    )
    agent = Agent(model, np.ones(1, np.float32), True, 0.05, 2.0, temperature, 0.99, 3)
    options = ocp.CheckpointManagerOptions(max_to_keep=None)
    names = ("agent", "global_step", "buffer_state")
    with ocp.CheckpointManager(
        (folder / "checkpoint").absolute(), options=options, item_names=names
    ) as manager:
        for step in steps:
            saved = agent if step == steps[-1] else agent.replace(discount=0.5)
            buffer = {"observation": np.zeros((1000, 5), np.float32)}
            manager.save(
                step,
                args=ocp.args.Composite(
                    agent=ocp.args.StandardSave(saved),
                    global_step=ocp.args.JsonSave(step),
                    buffer_state=ocp.args.StandardSave(buffer),
                ),
            )
        manager.wait_until_finished()
    return folder
