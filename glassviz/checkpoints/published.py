"""Reads the published pickle layout of TD-MPC-Glass (`best_mppi.pkl` and siblings).

A file is a dict with `algo`, `env_id`, `seed`, `env_steps`, `params`, `glass_config`, … and has
no configuration: shapes tell the sizes, the layout fixes the conventions, and what neither says
is assumed in so many words.
"""

import hashlib
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from flax.traverse_util import unflatten_dict

from glassviz.checkpoints.check import check_config, check_leaves
from glassviz.checkpoints.checkpoint import Checkpoint
from glassviz.checkpoints.published_config import infer_config
from glassviz.checkpoints.published_leaves import read_leaves
from glassviz.checkpoints.unpickler import read_pickle
from glassviz.checkpoints.wording import printable
from glassviz.errors import GlassvizError

FORMAT = "tdmpc-glass-pickle"

_ABOUT = ("algo", "env_id", "seed", "env_steps", "best_mppi_step", "best_any_selector")
_NOT_KEPT = ("target_params", "opt_state", "scale", "key", "glass_step")
# Episodes of an evaluation in the published runs; the files keep only the means.
_EVAL_EPISODES = {"tdmpc-glass": {"pi": 5, "mppi": 8}, "tdmpc2": {"pi": 5, "mppi": 3}}


def read(data: bytes, path: Path) -> Checkpoint:
    """The checkpoint in the bytes of a published pickle.

    Raises:
        GlassvizError: the file is damaged or refers to code, is no checkpoint, or holds an
            architecture that this package does not run.
    """
    place = str(path)
    payload = read_pickle(data, place)
    if not (isinstance(payload, dict) and isinstance(payload.get("params"), dict)):
        raise GlassvizError(
            f"{place}: expected a TD-MPC-Glass checkpoint (a dictionary with 'params'), found a "
            f"pickle of something else"
        )
    found = read_leaves(payload["params"], place, budget=len(data))
    inferred = infer_config(payload, found, place)
    leaves = dict(found.leaves)
    ignored = [*found.other_nets, *found.other_leaves]
    losses = []
    if inferred.glass_switched_off:
        unused = [name for name in leaves if name.startswith("glass/")]
        leaves = {name: leaf for name, leaf in leaves.items() if name not in unused}
        ignored += unused
        losses.append("prototypes and clusters, since Glass was switched off in training")
    if found.rounded:
        losses.append(f"double precision of {found.rounded} leaves, rounded to float32")
    if kept_back := [key for key in _NOT_KEPT if key in payload]:
        losses.append(f"what only training needs: {', '.join(kept_back)}")
    check_config(place, inferred.config)
    check_leaves(place, inferred.config, leaves)
    sha256 = hashlib.sha256(data).hexdigest()
    returns, counted = _returns(payload)
    provenance = (
        _about(payload)
        | ({"returns": returns} if returns else {})
        | {
            "source": {"file": path.name, "format": FORMAT, "sha256": sha256},
            "ignored_leaves": [printable(name) for name in ignored],
            "losses": losses,
        }
    )
    return Checkpoint(
        config=inferred.config,
        params=unflatten_dict(leaves, sep="/"),
        name=path.stem,
        format=FORMAT,
        sha256=sha256,
        provenance=provenance,
        assumptions=(*inferred.assumptions, *counted),
    )


def _about(payload: Mapping[Any, Any]) -> dict[str, Any]:
    """The short facts that a file tells about its run."""
    about: dict[str, Any] = {}
    for key in _ABOUT:
        value = payload.get(key)
        if isinstance(value, str):
            about[key] = printable(value)
        elif isinstance(value, int | float) and math.isfinite(value):
            about[key] = value
    return about


def _returns(payload: Mapping[Any, Any]) -> tuple[dict[str, Any], list[str]]:
    """Mean return of each controller, and what is assumed about its number of episodes."""
    algo = payload.get("algo")
    episodes = _EVAL_EPISODES.get(algo, {}) if isinstance(algo, str) else {}
    returns: dict[str, Any] = {}
    for controller in ("pi", "mppi"):
        mean = payload.get(f"{controller}_reward")
        if isinstance(mean, int | float) and math.isfinite(mean):
            returns[controller] = {"mean": float(mean), "episodes": episodes.get(controller)}
    if not (returns and episodes):
        return returns, []
    counts = " and ".join(f"{episodes[name]} ({name})" for name in returns)
    return returns, [f"returns: means over {counts} episodes, as in the published runs"]
