"""Writes files in the published pickle layout of TD-MPC-Glass, with real optax states inside."""

import pickle
from functools import cache
from pathlib import Path
from typing import Any

import jax
import numpy as np
import optax

from glassviz.agents.config import AgentConfig, GlassConfig
from glassviz.agents.networks import init_params

SMALL = AgentConfig(
    latent_dim=16,
    encoder_widths=(12, 12),
    hidden_widths=(12, 12),
    simnorm_group=2,
    num_bins=11,
    glass=GlassConfig(prototypes=8, clusters=4),
)
"""The agent of the tests: every size small, and no two alike where a mix-up could hide."""

GLASS_SETTINGS = {
    "enabled": True,
    "num_prototypes": 8,
    "num_clusters": 4,
    "proto_temperature": 0.5,
    "assignment_temperature": 0.25,
    "use_cosine_assign": True,
    "use_cluster_obs": False,
}


def own_params(config: AgentConfig = SMALL, seed: int = 0) -> dict[str, Any]:
    """Parameters in this package's tree, as numpy arrays, no leaf constant."""
    rng = np.random.default_rng(seed)
    tree = jax.eval_shape(lambda: init_params(config, jax.random.key(0)))
    return jax.tree.map(lambda leaf: rng.normal(0, 0.1, leaf.shape).astype(np.float32), tree)


def published_tree(params: dict[str, Any]) -> dict[str, Any]:
    """The same parameters as the published code nests them."""
    tree: dict[str, Any] = {
        net: {"params": {"NormMLP_0": params[net]}} for net in ("enc", "dyn", "rew", "pi")
    }
    heads = len(params["q"]["Dense_0"]["kernel"])
    tree["q"] = {
        "params": {
            f"NormMLP_{i}": jax.tree.map(lambda leaf, i=i: leaf[i].copy(), params["q"])
            for i in range(heads)
        }
    }
    if "glass" in params:
        tree["glass"] = dict(params["glass"])
    return tree


def payload(config: AgentConfig = SMALL, **changes: Any) -> dict[str, Any]:
    """The dictionary that the published code pickles, with some entries changed.

    A change to None removes the entry.
    """
    content = pickle.loads(_pickled(config))
    content |= changes
    return {key: value for key, value in content.items() if value is not None}


@cache
def _pickled(config: AgentConfig) -> bytes:
    tree = published_tree(own_params(config))
    optimiser = optax.chain(optax.clip_by_global_norm(20.0), optax.adam(3e-4))
    state = jax.tree.map(np.asarray, optimiser.init(tree))
    content = {
        "algo": "tdmpc-glass" if config.glass else "tdmpc2",
        "env_id": "HopperHop",
        "seed": 3,
        "env_steps": 250_000,
        "pi_reward": np.float32(120.5),
        "mppi_reward": 131.25,
        "params": tree,
        "target_params": jax.tree.map(np.copy, tree),
        "opt_state": state,
        "scale": np.float32(1.5),
        "glass_step": 7,
        "key": np.asarray(jax.random.key_data(jax.random.key(1))),
        "glass_config": dict(GLASS_SETTINGS) if config.glass else {},
        "best_mppi": 131.25,
        "best_mppi_step": 250_000,
    }
    return pickle.dumps(content)


def write(path: Path, content: Any, protocol: int = pickle.HIGHEST_PROTOCOL) -> Path:
    """Pickle `content` to `path`."""
    path.write_bytes(pickle.dumps(content, protocol))
    return path
