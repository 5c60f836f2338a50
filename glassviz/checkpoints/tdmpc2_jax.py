"""Import of agents of tdmpc2-jax: a step of a run folder, as orbax writes it."""

import hashlib
import logging
import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeGuard

import numpy as np
from flax.traverse_util import flatten_dict, unflatten_dict

from glassviz.agents.config import UNSAID, Unsaid
from glassviz.checkpoints import official
from glassviz.checkpoints.native import Checkpoint, check_config, check_leaves
from glassviz.checkpoints.official import TaskSize
from glassviz.errors import GlassvizError
from glassviz.files import StrPath, read_bytes
from glassviz.text import LONGEST_NAME, listed, printable

FORMAT = "tdmpc2-jax"

NETS = {
    "enc": "encoder",
    "dyn": "dynamics_model",
    "rew": "reward_model",
    "pi": "policy_model",
    "q": "value_model",
    "term": "continue_model",
}
"""Networks by our names."""

_MODEL_NUMBERS = ("symlog_min", "symlog_max")
_NUMBERS = ("discount", "temperature", "min_plan_std", "max_plan_std")
_MOST_COMPRESSED = 100
"""How many times as many bytes as its files an agent may have."""


def read(folder: StrPath, agent: StrPath, most_bytes: int, unsaid: Unsaid = UNSAID) -> Checkpoint:
    """Read an agent; nothing beside it is opened, such as the replay buffer.

    Args:
        folder: what a user named.
        agent: where orbax wrote the agent, within it, see `files.orbax_agent`.
        most_bytes: that its files may have.

    Raises:
        UsageError: the agent's task is needed.
        GlassvizError: orbax is not installed, or the folder is damaged or not an agent's.
    """
    place, folder, agent = str(folder), Path(folder), Path(agent)
    size = sum(path.stat().st_size for path in agent.rglob("*") if path.is_file())
    model, numbers = _restored(place, agent, _MOST_COMPRESSED * size)
    sha256 = _hash(agent, most_bytes)
    symlog_obs = unsaid.layout == "A"
    chosen = f"{sha256} layout A".encode()
    leaves: dict[str, np.ndarray] = {}
    for net, name in NETS.items():
        if name in model or net != "term":
            leaves |= _leaves(place, net, name, model.get(name))
    if "term/Dense_0/kernel" in leaves:
        _negate_last(leaves)
    inputs, actions = (leaves[f"{net}/Dense_0/kernel"].shape[0] for net in ("enc", "dyn"))
    latent = leaves["pi/Dense_0/kernel"].shape[0]
    task = official.one_task(place, TaskSize("", inputs, actions - latent), unsaid.task)
    planner = {
        "variant": "tdmpc2-jax",
        "temperature": numbers.get("temperature", 0.5),
        "min_std": numbers.get("min_plan_std", 0.05),
        "max_std": numbers.get("max_plan_std", 2.0),
    }
    if unsaid.episode_steps is None and "discount" in numbers:
        planner["discount"] = numbers["discount"]
    config = official.infer_config(
        leaves,
        task.name,
        unsaid,
        planner,
        layer_norm_eps=1e-6,
        bin_min=numbers.get("symlog_min", -10.0),
        bin_max=numbers.get("symlog_max", 10.0),
        symlog_obs=symlog_obs,
    )
    check_config(place, config)
    check_leaves(place, config, leaves)
    name = next((part.name for part in (agent, *agent.parents) if _names_a_run(part)), folder.name)
    step = int(agent.parent.name) if agent.parent.name.isdigit() else None
    told = "those of tdmpc2-jax"
    return Checkpoint(
        config=config,
        params=unflatten_dict(leaves, sep="/"),
        name=printable(name, LONGEST_NAME),
        format=FORMAT,
        sha256=hashlib.sha256(chosen).hexdigest() if symlog_obs else sha256,
        provenance={
            "algo": "tdmpc2",
            "env_id": task.name,
            **({} if step is None else {"env_steps": step}),
            "size": official.size_class(config) or "of its own",
            "source": {
                "file": printable(folder.name, LONGEST_NAME),
                "format": FORMAT,
                "sha256": sha256,
            },
            "losses": ["what only training needs: optimisers, target Q heads, return scale"],
        },
        assumptions=tuple(official.assumptions(config, told, unsaid.task is not None)),
    )


def _names_a_run(folder: Path) -> bool:
    """Whether a folder has a name of its own, as that of a run and not of its parts."""
    return folder.name not in ("agent", "default", "checkpoint", "checkpoints", "") and not (
        folder.name.isdigit()
    )


def _hash(agent: Path, most_bytes: int) -> str:
    """Hash of the files of an agent, and of their names."""
    digest = hashlib.sha256()
    for path in sorted(agent.rglob("*")):
        if not path.is_dir():
            content = read_bytes(path, "a part of a checkpoint", most_bytes)
            digest.update(f"{path.relative_to(agent).as_posix()} {len(content)}\n".encode())
            digest.update(content)
    return digest.hexdigest()


def _restored(place: str, agent: Path, most_bytes: int) -> tuple[dict[str, Any], dict[str, float]]:
    """The parameters of each network by its own name, and the numbers beside them."""
    try:
        import orbax.checkpoint as ocp
    except ImportError:
        raise GlassvizError(
            f"{place}: expected the package orbax-checkpoint to read an agent of tdmpc2-jax, found "
            f"none: install it with `pip install 'glassviz[orbax]'`"
        ) from None
    try:
        with _quiet(), ocp.PyTreeCheckpointer() as reader:
            _check_data(agent.absolute())
            tree = reader.metadata(agent.absolute()).item_metadata.tree
            wanted = _wanted(tree)
            declared = sum(_bytes(leaf) for leaf in wanted.values())
            if declared <= most_bytes:
                item = unflatten_dict(wanted)
                how = unflatten_dict(
                    {path: ocp.RestoreArgs(restore_type=np.ndarray) for path in wanted}
                )
                args = ocp.args.PyTreeRestore(item=item, restore_args=how, partial_restore=True)
                tree = reader.restore(agent.absolute(), args=args)
    # What is damaged ends in errors of orbax, tensorstore, JSON or Python.
    except Exception as error:
        raise GlassvizError(
            f"{place}: expected an agent of tdmpc2-jax, found a folder that orbax cannot read "
            f"({printable(str(error), 200)}): copy it again from where it was written"
        ) from None
    if declared > most_bytes:
        raise GlassvizError(
            f"{place}: expected arrays as large as their files, found {declared:.3g} bytes "
            f"declared: do not trust this folder"
        )
    model = tree["model"]
    beside = {name: model.get(name) for name in _MODEL_NUMBERS}
    beside |= {name: tree.get(name) for name in _NUMBERS}
    numbers = {
        name: float(value)
        for name, value in beside.items()
        if value is not None and not value.shape
    }
    nets = {name: net["params"] for name, net in model.items() if isinstance(net, dict)}
    return nets, numbers


def _check_data(agent: Path) -> None:
    """Read the data of all leaves, which orbax, in its threads, could not refuse without noise.

    Raises:
        ValueError: something is damaged or missing.
    """
    import tensorstore

    if any(agent.glob("*/.zarray")):  # as older versions of orbax wrote leaves
        return
    source = {"driver": "ocdbt", "base": f"{agent.as_uri()}/"}
    store = tensorstore.KvStore.open(source).result()
    keys = store.list().result()
    if not keys:
        raise ValueError("no data in it")
    for key in keys:
        store.read(key).result()


def _wanted(tree: Any) -> dict[tuple[str, ...], Any]:
    """What is read of an agent, by its path in the tree: parameters and numbers; no optimisers."""
    model = tree.get("model") if isinstance(tree, Mapping) else None
    if not isinstance(model, Mapping):
        raise ValueError("no model in it")
    nets = {name: model[name] for name in NETS.values() if isinstance(model.get(name), Mapping)}
    kept = {name: {"params": net["params"]} for name, net in nets.items()}
    wanted = {
        "model": kept | {name: model[name] for name in _MODEL_NUMBERS if name in model},
        **{name: tree[name] for name in _NUMBERS if name in tree},
    }
    return {path: leaf for path, leaf in flatten_dict(wanted).items() if leaf is not None}


def _bytes(leaf: Any) -> int:
    return math.prod(leaf.shape) * np.dtype(leaf.dtype).itemsize


@contextmanager
def _quiet() -> Iterator[None]:
    """Without the notes of orbax on what it did not find and did not need."""
    log = logging.getLogger("absl")
    level = log.level
    log.setLevel(logging.ERROR)
    try:
        yield
    finally:
        log.setLevel(level)


def _leaves(place: str, net: str, name: str, params: Any) -> dict[str, np.ndarray]:
    """The leaves of a network by the names of the native format."""
    # An ensemble is a module around its layers, and so may be a layer.
    while isinstance(params, Mapping) and len(params) == 1 and "layers_0" not in params:
        params = next(iter(params.values()))
    leaves = {}
    layers = params if isinstance(params, Mapping) else {}
    for i in range(len(layers)):
        layer = layers.get(f"layers_{i}")
        if isinstance(layer, Mapping):
            layer = layer.get("NormedLinear", layer)
        if isinstance(layer, Mapping) and "kernel" in layer:
            layer = {"Dense_0": layer}
        if not _is_layer(layer):
            layers = {}
            break
        for module, own in layer.items():
            for leaf, values in own.items():
                with np.errstate(over="ignore"):  # check_leaves refuses values that overflow
                    leaves[f"{net}/{module[:-1]}{i}/{leaf}"] = np.asarray(values, np.float32)
    if not layers:
        found = listed([printable(each) for each in params], most=4) if params else "nothing"
        raise GlassvizError(
            f"{place}: expected {name} to consist of layers of tdmpc2-jax (layers_0, …), found "
            f"{found}: this is another agent, or one of pixels"
        )
    return leaves


def _is_layer(layer: Any) -> TypeGuard[Mapping[str, Mapping[str, np.ndarray]]]:
    """Whether this is a Dense layer, perhaps with a LayerNorm."""
    if not isinstance(layer, Mapping) or "Dense_0" not in layer:
        return False
    known = {"Dense_0": {"kernel", "bias"}, "LayerNorm_0": {"scale", "bias"}}
    return all(
        isinstance(own, Mapping)
        and module in known
        and own.keys() == known[module]
        and all(isinstance(leaf, np.ndarray) and leaf.ndim for leaf in own.values())
        for module, own in layer.items()
    )


def _negate_last(leaves: dict[str, np.ndarray]) -> None:
    """Make a network that says whether an episode goes on one that says whether it ends."""
    last = max(name for name in leaves if name.startswith("term/Dense_")).split("/")[1]
    for leaf in ("kernel", "bias"):
        leaves[f"term/{last}/{leaf}"] = -leaves[f"term/{last}/{leaf}"]
