"""Average the parameters of several checkpoints of one training run."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import jax
import numpy as np

from glassviz.checkpoints.formats import SUFFIX, load
from glassviz.checkpoints.native import Checkpoint, save
from glassviz.errors import UsageError
from glassviz.files import StrPath, check_target

RUN_RETURNS = ("evaluation", "returns", "best")
"""What provenance says of how well a checkpoint acted, which is not true of an average."""


def average(sources: Sequence[StrPath], target: StrPath, *, overwrite: bool = False) -> Checkpoint:
    """Write the mean of the parameters of several agents, and return it as read back.

    The mean of late checkpoints of one run is often better than each (stochastic weight averaging,
    Izmailov et al., UAI 2018). That holds for agents that come from one another: the mean of two
    that were trained apart is no agent.

    Args:
        sources: checkpoints of one configuration, at least two; provenance is that of the last.

    Raises:
        UsageError: there are fewer than two, `target` does not end in `.safetensors`, or the agents
            differ in their configuration.
        GlassvizError: a source cannot be read, or `target` exists or cannot be written.
    """
    paths, target = [Path(source) for source in sources], Path(target)
    if len(paths) < 2:
        raise UsageError(f"average: expected at least two checkpoints, found {len(paths)}")
    if target.suffix != SUFFIX:
        raise UsageError(f"{target}: expected a name that ends in {SUFFIX}, the native format")
    check_target(target, overwrite)
    agents = [load(path) for path in paths]
    last = agents[-1]
    for path, agent in zip(paths, agents, strict=True):
        if agent.config != last.config:
            raise UsageError(
                f"{path}: expected the configuration of {paths[-1]}, found another: average "
                f"checkpoints of one training run"
            )
    params = jax.tree.map(_mean, *[agent.params for agent in agents])
    provenance: dict[str, Any] = {
        key: value for key, value in last.provenance.items() if key not in RUN_RETURNS
    }
    provenance["average_of"] = [
        {"name": agent.name, "sha256": agent.sha256, "env_steps": agent.provenance.get("env_steps")}
        for agent in agents
    ]
    save(target, last.config, params, provenance, assumptions=last.assumptions)
    return load(target)


def _mean(*leaves: Any) -> np.ndarray:
    total = sum(np.asarray(leaf, np.float64) for leaf in leaves)
    return np.asarray(total / len(leaves), np.float32)
