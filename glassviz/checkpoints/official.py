"""Import of official TD-MPC2 agents (.pt), single-task and multitask, in all their layouts."""

import hashlib
import re
import tomllib
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal, NamedTuple, get_args

import numpy as np
from flax.traverse_util import unflatten_dict

from glassviz.agents.config import AgentConfig, EnvConfig, PlannerConfig, tdmpc2_config
from glassviz.checkpoints import torch_archive
from glassviz.checkpoints.native import Checkpoint, check_config, check_leaves
from glassviz.checkpoints.unpickler import PickledArray
from glassviz.errors import GlassvizError, UsageError
from glassviz.files import StrPath
from glassviz.text import LONGEST_NAME, listed, printable

FORMAT = "tdmpc2-pt"
Layout = Literal["A", "B", "C", "D"]

NETS = {"enc": "_encoder.state", "dyn": "_dynamics", "rew": "_reward", "pi": "_pi"}
"""Networks by our name; the Q heads and the termination are apart."""

_WITH_ACTION = ("dyn", "rew", "q")
_LEAVES = ("weight", "bias", "ln.weight", "ln.bias")
_COPIES = ("_detach_Qs", "_target_Qs")
_NOT_PARAMETERS = ("log_std_min", "log_std_dif", "_action_masks", "_task_emb.weight")
_DEFAULT_TASK = ("hopper-hop", 15, 4)
_META_WORLD = (39, 4)
_MANY_ACTIONS = 20
_MAX_NORM = 1.0
"""Of the embedding of a task, as `nn.Embedding(max_norm=1)` looks it up."""

_LANGUAGE_DIM = 512
"""Size of the language embeddings of Newt; those of TD-MPC2 are learned and smaller."""

SIZES = {
    ((256,), 384, 128, 2): "1M",
    ((256,), 512, 512, 5): "5M",
    ((1024, 1024), 1024, 768, 5): "19M",
    ((1792, 1792, 1792), 1792, 768, 5): "48M",
    ((4096, 4096, 4096, 4096), 4096, 1376, 8): "317M",
}
"""Released sizes by encoder widths, width of the other networks, latent size and Q heads."""

_FOREIGN = {
    r"_encoder\.rgb\.": "an agent that sees pixels: only agents that observe a state can be read",
    r"_Q1\.": "an agent of TD-MPC, the predecessor of TD-MPC2, whose networks and planner differ",
    r"_V\.": "an agent with state values in place of Q, which TD-MPC2 does not have",
    r"(actor|critic|policy|mlp_extractor|q_net)\.": "a policy of another algorithm, without a "
    "world model",
}

State = dict[str, np.ndarray]


@dataclass(frozen=True)
class Unsaid:
    """What a file does not say and a user may; None for the default.

    Attributes:
        task: of the agent; of a multitask agent, the task to read.
        action_repeat: physics steps per decision.
        episode_steps: decisions per episode.
        layout: how the file names its parameters, where it is not recognised.
    """

    task: str | None = None
    action_repeat: int | None = None
    episode_steps: int | None = None
    layout: Layout | None = None


class TaskSize(NamedTuple):
    """A task and the sizes of its observation and action."""

    name: str
    obs_dim: int
    action_dim: int


def read(data: bytes, path: StrPath, unsaid: Unsaid = Unsaid()) -> Checkpoint:
    """Read an agent from the bytes of a file written by TD-MPC2.

    Of a multitask agent, the agent of one task is read: the embedding of the task is constant, so
    that it becomes a part of the biases, and what other tasks observe or do is left out.

    Raises:
        UsageError: a multitask agent without a task, or a task that it was not trained on.
        GlassvizError: the file is damaged or hostile, or is not an agent that can be read.
    """
    path = Path(path)
    place = str(path)
    payload, left_out = torch_archive.read(data, place)
    state, notes = _state(place, payload)
    layout = unsaid.layout or _layout(place, state)
    layers = _layers(place, state, layout)
    heads = _heads(place, state, layout)
    task, embedding = _task(place, state, layers, unsaid)
    leaves = _Folding(place, task, embedding, _padded(state, layers)).leaves(layers, heads)
    config = _config(leaves, layout, state, task, unsaid)
    check_config(place, config)
    check_leaves(place, config, leaves)
    if left_out:
        classes = listed([printable(name, 80) for name in left_out], most=8)
        notes.append(f"objects that an agent does not need: {classes}")
    if any(name.startswith("_target_Qs") for name in state):
        notes.append("what only training needs: target Q heads")
    sha256 = hashlib.sha256(data).hexdigest()
    name = path.stem if embedding is None else f"{path.stem}_{task.name}"
    return Checkpoint(
        config=config,
        params=unflatten_dict(leaves, sep="/"),
        name=printable(name, LONGEST_NAME),
        format=FORMAT,
        sha256=sha256,
        provenance={
            "algo": "tdmpc2",
            "env_id": task.name,
            "size": size_class(config) or "of its own",
            **({"tasks": len(state["_task_emb.weight"])} if embedding is not None else {}),
            "source": {
                "file": printable(path.name, LONGEST_NAME),
                "format": FORMAT,
                "layout": layout,
                "sha256": sha256,
            },
            "losses": notes,
        },
        assumptions=tuple(_assumptions(config, layout, task, embedding, unsaid)),
    )


def tasks(data: bytes, path: StrPath) -> tuple[str, ...]:
    """Names of the tasks of a multitask agent; empty for an agent of one task."""
    place = str(path)
    state, _ = _state(place, torch_archive.read(data, place)[0])
    if "_task_emb.weight" not in state:
        return ()
    return tuple(task.name for task in _task_set(len(state["_task_emb.weight"]), state))


def size_class(config: AgentConfig) -> str:
    """The released size that an agent has, such as `5M`; empty for any other."""
    widths = set(config.hidden_widths)
    key = (config.encoder_widths, max(widths), config.latent_dim, config.num_q)
    return SIZES.get(key, "") if len(widths) == 1 else ""


def _state(place: str, payload: Any) -> tuple[State, list[str]]:
    """The tensors of a state dictionary as float32 by name, and what was changed in them."""
    inner = payload.get("model", payload) if isinstance(payload, dict) else payload
    if not isinstance(inner, dict) or not any(isinstance(v, PickledArray) for v in inner.values()):
        raise GlassvizError(
            f"{place}: expected the state_dict of a TD-MPC2 agent, alone or under 'model', found "
            f"a file of something else: name the agent's own file"
        )
    state, stored, quantised = {}, set(), 0
    for key, value in inner.items():
        if not isinstance(value, PickledArray) or value.values is None or ".module." in str(key):
            continue
        name = re.sub(r"^(module|_orig_mod)\.", "", str(key))
        quantised += value.quantised
        kind = value.values.dtype
        if kind.kind not in "fiu" and kind.name != "bfloat16":
            continue
        stored.add(kind.name)
        # Copies of the Q heads share their numbers, and need not be unpacked.
        state[name] = value.values
    for pattern, what in _FOREIGN.items():
        if any(re.match(pattern, name) for name in state):
            raise GlassvizError(f"{place}: expected an agent of TD-MPC2, found {what}")
    notes = []
    if quantised:
        notes.append(f"{quantised} leaves were quantised to 8 bits, per tensor")
    if half := stored & {"float16", "bfloat16"}:
        notes.append(f"leaves were stored as {listed(sorted(half))}, and widened to float32")
    if "float64" in stored:
        notes.append("double precision, rounded to float32")
    with np.errstate(over="ignore"):  # check_leaves refuses values that overflow
        wanted = {n: v for n, v in state.items() if not n.startswith(_COPIES)}
        copies = {n: v for n, v in state.items() if n.startswith(_COPIES)}
        return {n: v.astype(np.float32) for n, v in wanted.items()} | copies, notes


def _layout(place: str, state: State) -> Layout:
    """How the parameters are named."""
    if any(name.startswith("_encoder.state.0.") for name in state):
        if not any(re.fullmatch(r"_Qs\.params\.\d+", name) for name in state):
            transitional = any(name.startswith("_detach_Qs.params.") for name in state)
            return "C" if transitional else "D"
        return "B"
    if "_encoder.state.1.weight" in state and state["_encoder.state.1.weight"].ndim == 2:
        return "A"
    found = listed([printable(name) for name in list(state)[:4]])
    raise GlassvizError(
        f"{place}: expected the networks of a TD-MPC2 agent (_encoder.state, _dynamics, _reward, "
        f"_pi, _Qs), found {found}, …: this is another agent"
    )


def _layers(place: str, state: State, layout: Layout) -> dict[str, list[State]]:
    """The layers of each network, with `_LEAVES` as far as a layer has them."""
    nets = dict(NETS)
    if any(name.startswith("_termination.") for name in state):
        nets["term"] = "_termination"
    known = (*nets.values(), "_Qs", *_COPIES)
    others = {
        n.split(".")[0] for n in state if n not in _NOT_PARAMETERS and not n.startswith(known)
    }
    if others:
        raise GlassvizError(
            f"{place}: expected the networks of TD-MPC2 and no others, found "
            f"{listed([printable(name) for name in sorted(others)], most=6)}: agents of an "
            f"extended architecture cannot be read"
        )
    found = {}
    for net, prefix in nets.items():
        own = {n.removeprefix(f"{prefix}."): v for n, v in state.items() if n.startswith(prefix)}
        layers = _in_sequence(own) if layout == "A" else _numbered(own)
        if not layers or any(leaf.keys() - set(_LEAVES) for leaf in layers):
            raise GlassvizError(
                f"{place}: network {prefix} is missing or has no layers of TD-MPC2 in layout "
                f"{layout}: name another layout (--layout) or file"
            )
        found[net] = layers
    return found


def _numbered(own: State) -> list[State]:
    """Layers named by number: `0.weight`, `0.bias`, `0.ln.weight`, …"""
    layers: dict[int, State] = {}
    for name, leaf in own.items():
        number, _, rest = name.partition(".")
        if not number.isdigit():
            return []
        layers.setdefault(int(number), {})[rest] = leaf
    return [layers[i] for i in sorted(layers)] if sorted(layers) == list(range(len(layers))) else []


def _in_sequence(own: State) -> list[State]:
    """Layers of a sequence of modules: a matrix begins one, the vectors after it are its norm."""
    layers: list[State] = []
    places = sorted(
        {name.rpartition(".")[0] for name in own},
        key=lambda name: [int(part) if part.isdigit() else -1 for part in name.split(".")],
    )
    for name in places:
        weight, bias = own.get(f"{name}.weight"), own.get(f"{name}.bias")
        if weight is None or bias is None:
            return []
        if weight.ndim == 2:
            layers.append({"weight": weight, "bias": bias})
        elif layers:
            layers[-1] |= {"ln.weight": weight, "ln.bias": bias}
    return layers


def _heads(place: str, state: State, layout: Layout) -> list[State]:
    """The layers of the Q heads, with the heads on the first axis of every leaf."""
    prefix = "_Qs.params."
    own = {
        n.removeprefix(prefix): leaf
        for n, leaf in state.items()
        if n.startswith(prefix) and not n.endswith(("__batch_size", "__device"))
    }
    if layout in ("A", "B") and all(name.isdigit() for name in own):
        own = {f"{int(n) // 4}.{_LEAVES[int(n) % 4]}": leaf for n, leaf in own.items()}
    layers = _numbered(own)
    if not layers or any(leaf.keys() - set(_LEAVES) for leaf in layers):
        raise GlassvizError(
            f"{place}: expected Q heads (_Qs.params) in layout {layout}, found none: name another "
            f"layout (--layout) or file"
        )
    return layers


@lru_cache
def _sets() -> dict[str, list[Any]]:
    text = (Path(__file__).parent / "task_sets.toml").read_text()
    return tomllib.loads(text)


def _task_set(count: int, state: State) -> list[TaskSize]:
    """The tasks of an agent with `count` embeddings; numbered where the set is not a known one."""
    suite = [TaskSize(*each) for each in _sets()["dm_control"]]
    world = [TaskSize(f"mw-{name}", *_META_WORLD) for name in _sets()["meta_world"]]
    for known in (suite, suite + world):
        if count == len(known):
            return known
    masks = state.get("_action_masks")
    sizes = [0] * count if masks is None else [int(row.sum()) for row in masks]
    return [TaskSize(f"task-{i}", 0, size) for i, size in enumerate(sizes[:count])]


def _padded(state: State, layers: dict[str, list[State]]) -> TaskSize:
    """The sizes of observation and action that the networks have, with what is only padding."""
    embedding = state.get("_task_emb.weight")
    extra = 0 if embedding is None else embedding.shape[-1]
    inputs = layers["enc"][0]["weight"].shape[-1]
    return TaskSize("", inputs - extra, layers["pi"][-1]["weight"].shape[0] // 2)


def _task(
    place: str, state: State, layers: dict[str, list[State]], unsaid: Unsaid
) -> tuple[TaskSize, np.ndarray | None]:
    """The task to read, and its embedding; None for an agent of one task."""
    padded = _padded(state, layers)
    table = state.get("_task_emb.weight")
    if table is None:
        known = [TaskSize(*each) for each in _sets()["dm_control"]]
        fitting = [each.name for each in known if each[1:] == padded[1:]]
        name = unsaid.task or (_DEFAULT_TASK[0] if padded[1:] == _DEFAULT_TASK[1:] else None)
        if name is None:
            raise UsageError(
                f"{place}: the file does not say which task its agent was trained on "
                f"({padded.obs_dim} observations, {padded.action_dim} actions): name it with "
                f"--task" + (f", such as {listed(fitting, most=6)}" if fitting else "")
            )
        return padded._replace(name=name), None
    if table.ndim != 2 or len(table) == 0:
        raise GlassvizError(f"{place}: leaf _task_emb.weight has shape {table.shape}")
    if table.shape[1] >= _LANGUAGE_DIM:
        raise GlassvizError(
            f"{place}: expected an agent of TD-MPC2, found one with language embeddings of its "
            f"tasks (Newt), whose architecture differs"
        )
    every = _task_set(len(table), state)
    index = next((i for i, each in enumerate(every) if each.name == unsaid.task), None)
    if index is None:
        asked = f"found {printable(unsaid.task)}" if unsaid.task else "and none was named"
        raise UsageError(
            f"{place}: expected one of the {len(every)} tasks of this agent with --task, {asked}: "
            f"{', '.join(each.name for each in every)}"
        )
    row = table[index].astype(np.float64)
    norm = float(np.linalg.norm(row))
    embedding = row * min(1.0, _MAX_NORM / (norm + 1e-7)) if norm > _MAX_NORM else row
    task = every[index]
    task = task._replace(
        obs_dim=min(task.obs_dim or padded.obs_dim, padded.obs_dim),
        action_dim=min(task.action_dim or padded.action_dim, padded.action_dim),
    )
    return task, embedding


@dataclass(frozen=True)
class _Folding:
    """Makes the leaves of one task's agent: its embedding enters the biases of first layers."""

    place: str
    task: TaskSize
    embedding: np.ndarray | None
    padded: TaskSize

    def leaves(self, layers: dict[str, list[State]], heads: list[State]) -> State:
        """Leaves by the names of the native format."""
        latent = layers["dyn"][-1]["weight"].shape[0]
        leaves: State = {}
        for net, own in {**layers, "q": heads}.items():
            for i, layer in enumerate(own):
                weight, bias = layer["weight"], layer["bias"]
                if weight.ndim < 2:
                    raise GlassvizError(
                        f"{self.place}: layer {i} of network {net} has a weight of shape "
                        f"{weight.shape}, expected a matrix"
                    )
                if i == 0:
                    weight, bias = self._first(net, weight, bias, latent)
                if net == "pi" and i == len(own) - 1:
                    weight, bias = self._policy(weight), self._policy(bias)
                leaves[f"{net}/Dense_{i}/kernel"] = np.swapaxes(weight, -1, -2)
                leaves[f"{net}/Dense_{i}/bias"] = bias
                for ours, theirs in (("scale", "ln.weight"), ("bias", "ln.bias")):
                    if theirs in layer:
                        leaves[f"{net}/LayerNorm_{i}/{ours}"] = layer[theirs]
        return {name: np.ascontiguousarray(leaf, np.float32) for name, leaf in leaves.items()}

    def _first(
        self, net: str, weight: np.ndarray, bias: np.ndarray, latent: int
    ) -> tuple[np.ndarray, np.ndarray]:
        """Weight and bias of a first layer, whose inputs are [x, embedding, action]."""
        own = self.padded.obs_dim if net == "enc" else latent
        kept = self.task.obs_dim if net == "enc" else latent
        size = 0 if self.embedding is None else len(self.embedding)
        actions = self.padded.action_dim if net in _WITH_ACTION else 0
        if weight.shape[-1] != own + size + actions:
            raise GlassvizError(
                f"{self.place}: the first layer of network {net} has {weight.shape[-1]} inputs, "
                f"expected {own + size + actions}: the networks in the file do not match each other"
            )
        if self.embedding is not None:
            bias = bias + weight[..., own : own + size].astype(np.float64) @ self.embedding
        action = weight[..., own + size : own + size + self.task.action_dim]
        taken = action if net in _WITH_ACTION else action[..., :0]
        return np.concatenate([weight[..., :kept], taken], axis=-1), bias

    def _policy(self, rows: np.ndarray) -> np.ndarray:
        """Rows of the policy's output for the actions of the task: means, then log stds."""
        mean, log_std = np.split(rows, [self.padded.action_dim])
        return np.concatenate([mean[: self.task.action_dim], log_std[: self.task.action_dim]])


def _config(
    leaves: State, layout: Layout, state: State, task: TaskSize, unsaid: Unsaid
) -> AgentConfig:
    """The configuration, from the shapes of the leaves."""

    def widths(net: str) -> tuple[int, ...]:
        count = sum(name.startswith(f"{net}/Dense_") and name.endswith("bias") for name in leaves)
        return tuple(leaves[f"{net}/Dense_{i}/bias"].shape[-1] for i in range(count))

    steps = unsaid.episode_steps or 500
    lowest = float(state["log_std_min"]) if "log_std_min" in state else -10.0
    span = float(state["log_std_dif"]) if "log_std_dif" in state else 12.0
    return tdmpc2_config(
        obs_dim=task.obs_dim,
        action_dim=task.action_dim,
        latent_dim=widths("dyn")[-1],
        encoder_widths=widths("enc")[:-1],
        hidden_widths=widths("dyn")[:-1],
        symlog_obs=layout == "A",
        num_q=leaves["q/Dense_0/bias"].shape[0],
        num_bins=widths("rew")[-1],
        log_std_min=lowest,
        log_std_max=lowest + span,
        episodic="term/Dense_0/bias" in leaves,
        planner=PlannerConfig(
            variant="tdmpc2",
            iterations=8 if task.action_dim >= _MANY_ACTIONS else 6,
            discount=discount(steps),
        ),
        env=EnvConfig(task=task.name, action_repeat=unsaid.action_repeat or 2, episode_steps=steps),
    )


def discount(episode_steps: int) -> float:
    """γ of TD-MPC2 for episodes of so many decisions: 1 − 5/L, within 0.95 and 0.995.

    >>> discount(500)
    0.99
    """
    return float(np.clip(1 - 5 / episode_steps, 0.95, 0.995))


def _assumptions(
    config: AgentConfig,
    layout: Layout,
    task: TaskSize,
    embedding: np.ndarray | None,
    unsaid: Unsaid,
) -> list[str]:
    planner, env = config.planner, config.env
    told = "as named" if unsaid.layout else "recognised by its names"
    first = (
        [] if unsaid.task or embedding is not None else [f"environment: the task is {task.name}"]
    )
    return [
        *first,
        f"environment: action repeat {env.action_repeat}, {env.episode_steps} decisions an episode",
        f"planner: horizon {planner.horizon}, {planner.samples} samples, {planner.iterations} "
        f"iterations, {planner.elites} elites, {planner.policy_trajectories} policy trajectories, "
        f"discount {planner.discount:g}",
        f"networks: layout {layout}, {told}; Mish, LayerNorm eps {config.layer_norm_eps:g}, "
        f"SimNorm groups of {config.simnorm_group}, bins from {config.bin_min:g} to "
        f"{config.bin_max:g}" + (", observations pass through symlog" if config.symlog_obs else ""),
    ]


LAYOUTS: tuple[Layout, ...] = get_args(Layout)
