"""Checks parameters against the configuration that claims to describe them.

Every reader and the writer go through here, so that a `Checkpoint` in hand is one that runs.
"""

import dataclasses
import math
from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import Any

import jax
import numpy as np
from flax.traverse_util import flatten_dict

from glassviz.agents.config import AgentConfig
from glassviz.agents.networks import init_params
from glassviz.checkpoints.wording import printable
from glassviz.errors import GlassvizError

Leaves = Mapping[str, np.ndarray]

# Far beyond any agent of this kind; keeps a made-up configuration from costing anything.
_MAX_SIZE = 1 << 20
_MAX_LAYERS = 64
_MAX_HEADS = 64


def check_config(place: str, config: AgentConfig) -> None:
    """Raise GlassvizError unless every number in `config` is one that an agent can have."""
    for name, value in _numbers(dataclasses.asdict(config)):
        if isinstance(value, float) and not math.isfinite(value):
            raise GlassvizError(f"{place}: {name} is {value}, expected a finite number")
        if isinstance(value, int) and not 0 <= value <= _MAX_SIZE:
            raise GlassvizError(f"{place}: {name} is {value}, expected 0 to {_MAX_SIZE}")
    layers = max(len(config.encoder_widths), len(config.hidden_widths))
    if layers > _MAX_LAYERS or config.num_q > _MAX_HEADS:
        raise GlassvizError(
            f"{place}: expected at most {_MAX_LAYERS} layers and {_MAX_HEADS} Q heads, found "
            f"{layers} and {config.num_q}"
        )
    sizes = {
        "obs_dim": config.obs_dim,
        "action_dim": config.action_dim,
        "latent_dim": config.latent_dim,
        "simnorm_group": config.simnorm_group,
        "num_q": config.num_q,
        "num_bins": config.num_bins - 1,  # two bins at least span a range
        "bin_max - bin_min": config.bin_max - config.bin_min,
        "layer_norm_eps": config.layer_norm_eps,
        "narrowest layer": min((*config.encoder_widths, *config.hidden_widths), default=1),
    }
    if config.glass:
        sizes |= {
            "prototypes": config.glass.prototypes,
            "clusters": config.glass.clusters,
            "proto_temperature": config.glass.proto_temperature,
            "assignment_temperature": config.glass.assignment_temperature,
        }
    for name, size in sizes.items():
        if size <= 0:
            raise GlassvizError(f"{place}: {name} is too small for an agent: found {size}")


def _numbers(tree: Any, name: str = "configuration") -> Iterator[tuple[str, int | float]]:
    if isinstance(tree, Mapping):
        for key, value in tree.items():
            yield from _numbers(value, str(key))
    elif isinstance(tree, tuple):
        for value in tree:
            yield from _numbers(value, name)
    elif isinstance(tree, int | float):
        yield name, tree


@lru_cache(maxsize=16)
def expected_shapes(config: AgentConfig) -> dict[str, tuple[int, ...]]:
    """Shape of every leaf that `config` implies, by name (`dyn/Dense_0/kernel`)."""
    tree = jax.eval_shape(lambda: init_params(config, jax.random.key(0)))
    return {name: leaf.shape for name, leaf in flatten_dict(tree, sep="/").items()}


def check_leaves(place: str, config: AgentConfig, leaves: Leaves) -> None:
    """Raise GlassvizError unless `leaves` are the finite float32 arrays that `config` implies.

    The message names the first leaf that is missing, unexpected, of another shape or dtype, or
    not finite.
    """
    expected = expected_shapes(config)
    for name, shape in expected.items():
        if name not in leaves:
            raise GlassvizError(
                f"{place}: leaf {name} is missing, expected shape {shape}: was the file written "
                f"by another version or for another agent?"
            )
    for name, leaf in leaves.items():
        label = printable(name)
        if name not in expected:
            raise GlassvizError(
                f"{place}: leaf {label} of shape {leaf.shape} is unexpected: the configuration "
                f"of this agent has no such parameter"
            )
        if leaf.shape != expected[name]:
            raise GlassvizError(
                f"{place}: leaf {label} has shape {leaf.shape}, expected {expected[name]}: the "
                f"networks of the file do not fit together"
            )
        if leaf.dtype != np.float32:
            raise GlassvizError(f"{place}: leaf {label} has dtype {leaf.dtype}, expected float32")
        broken = leaf.size - int(np.isfinite(leaf).sum())
        if broken:
            raise GlassvizError(
                f"{place}: leaf {label} has {broken} of {leaf.size} values that are not finite: "
                f"training diverged, so use an earlier checkpoint"
            )
