"""Import of official TD-MPC2 agents (.pt), single-task and multitask, in all their layouts."""

import hashlib
import re
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np
from flax.traverse_util import unflatten_dict

from glassviz.agents.config import (
    UNSAID,
    AgentConfig,
    EnvConfig,
    Layout,
    PlannerConfig,
    Unsaid,
    discount,
    more_iterations,
    tdmpc2_config,
)
from glassviz.checkpoints import torch_archive
from glassviz.checkpoints.native import Checkpoint, Leaves, check_config, check_leaves
from glassviz.checkpoints.unpickler import PickledArray
from glassviz.errors import GlassvizError, UsageError
from glassviz.files import StrPath
from glassviz.text import LONGEST_NAME, listed, printable

FORMAT = "tdmpc2-pt"
FOUND_IN = b"/data.pkl"
"""The name of the pickle in an archive of `torch.save`, which tells one from other archives."""

NETS = {
    "enc": "_encoder.state.",
    "dyn": "_dynamics.",
    "rew": "_reward.",
    "pi": "_pi.",
    "q": "_Qs.params.",
}
"""Prefixes of the networks, by our names."""

_TERMINATION = "_termination."
_EMBEDDINGS = "_task_emb.weight"
_MASKS = "_action_masks"
_WITH_ACTION = ("dyn", "rew", "q")
_LEAVES = ("weight", "bias", "ln.weight", "ln.bias")
_COPIES = re.compile(r"_(detach|target)_Qs[._]")
_NOT_TENSORS = ("__batch_size", "__device")
_NOT_PARAMETERS = ("log_std_min", "log_std_dif", _MASKS, _EMBEDDINGS)
_DEFAULT_TASK = ("hopper-hop", 15, 4)
_META_WORLD = (39, 4)

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


class TaskSize(NamedTuple):
    """A task and the sizes of its observation and action; 0 where they are not known."""

    name: str
    obs_dim: int
    action_dim: int


@dataclass(frozen=True)
class Survey:
    """What a file holds, whatever task is asked for.

    Attributes:
        tasks: of a multitask agent; of another one the known tasks that fit its sizes.
        multitask: whether the agent has embeddings of tasks.
        size: released size such as `5M`; empty for another.
        obs_dim, action_dim: of the networks; of a multitask agent those of its largest tasks.
    """

    layout: Layout
    size: str
    obs_dim: int
    action_dim: int
    multitask: bool
    tasks: tuple[TaskSize, ...]

    @property
    def needs_task(self) -> bool:
        """Whether the agent cannot be read unless a task is named."""
        return self.multitask or (self.obs_dim, self.action_dim) != _DEFAULT_TASK[1:]


def read(data: bytes, path: StrPath, unsaid: Unsaid = UNSAID) -> Checkpoint:
    """Read an agent from the bytes of a file written by TD-MPC2.

    Of a multitask agent, the agent of one task is read: the embedding of the task is constant, so
    that it becomes a part of the biases, and what other tasks observe or do is left out.

    Raises:
        UsageError: a multitask agent without a task, or a task that it was not trained on.
        GlassvizError: the file is damaged or hostile, or is not an agent that can be read.
    """
    path = Path(path)
    place = str(path)
    agent = _Agent.of(data, place)
    task, row = agent.chosen(unsaid.task)
    leaves = agent.leaves(task, row)
    layout = unsaid.layout or agent.layout
    config = infer_config(
        leaves,
        task.name,
        unsaid,
        symlog_obs=layout == "A",
        log_std_min=agent.number("log_std_min", -10.0),
        log_std_max=agent.number("log_std_min", -10.0) + agent.number("log_std_dif", 12.0),
    )
    check_config(place, config)
    check_leaves(place, config, leaves)
    sha256 = hashlib.sha256(data).hexdigest()
    # One file holds many agents: what chose this one tells it apart from the others.
    chosen = [task.name] if row is not None else []
    chosen += [f"layout {layout}"] if config.symlog_obs != (agent.layout == "A") else []
    identity = hashlib.sha256(" ".join([sha256, *chosen]).encode()).hexdigest()
    name = path.stem if row is None else f"{path.stem}_{task.name}"
    told = f"layout {layout}, {'as named' if unsaid.layout else 'recognised by its names'}"
    return Checkpoint(
        config=config,
        params=unflatten_dict(leaves, sep="/"),
        name=printable(name, LONGEST_NAME),
        format=FORMAT,
        sha256=identity if chosen else sha256,
        provenance={
            "algo": "tdmpc2",
            "env_id": task.name,
            "size": size_class(config) or "of its own",
            **({} if row is None else {"tasks": len(agent.state[_EMBEDDINGS])}),
            "source": {
                "file": printable(path.name, LONGEST_NAME),
                "format": FORMAT,
                "layout": layout,
                "sha256": sha256,
            },
            "losses": agent.losses,
        },
        assumptions=(
            *assumptions(config, told, known_task=row is not None or unsaid.task is not None),
            *agent.changes,
        ),
    )


def survey(data: bytes, path: StrPath) -> Survey:
    """What a file written by TD-MPC2 holds; for its errors see `read`."""
    agent = _Agent.of(data, str(path))
    leaves = agent.leaves(agent.padded, 0 if agent.multitask else None)
    config = infer_config(leaves, _DEFAULT_TASK[0], UNSAID)
    return Survey(
        agent.layout,
        size_class(config),
        agent.padded.obs_dim,
        agent.padded.action_dim,
        agent.multitask,
        agent.tasks if agent.multitask else fitting(agent.padded),
    )


def size_class(config: AgentConfig) -> str:
    """The released size that an agent has, such as `5M`; empty for any other."""
    if len(set(config.hidden_widths)) != 1:
        return ""
    width = config.hidden_widths[0]
    return SIZES.get((config.encoder_widths, width, config.latent_dim, config.num_q), "")


def fitting(sizes: TaskSize) -> tuple[TaskSize, ...]:
    """The known tasks of the suite whose observations and actions have such sizes."""
    return tuple(each for each in _suite() if each[1:] == sizes[1:])


def one_task(place: str, sizes: TaskSize, asked: str | None) -> TaskSize:
    """The task of an agent of one task, which its file does not say.

    Raises:
        UsageError: none is asked for, and there is no default for such sizes.
    """
    name = asked or (_DEFAULT_TASK[0] if sizes[1:] == _DEFAULT_TASK[1:] else None)
    if name is None:
        names = [each.name for each in fitting(sizes)]
        such = f", such as {listed(names, most=6)}" if names else ""
        raise UsageError(
            f"{place}: expected the task that its agent was trained on, which the file does not "
            f"say ({sizes.obs_dim} observations, {sizes.action_dim} actions): name it with "
            f"--task{such}"
        )
    return sizes._replace(name=name)


def infer_config(
    leaves: Leaves,
    task: str,
    unsaid: Unsaid,
    planner: Mapping[str, Any] = MappingProxyType({}),
    **changes: Any,
) -> AgentConfig:
    """The configuration of an agent of the TD-MPC2 family, from the shapes of its leaves.

    Args:
        leaves: by the names of the native format.
        planner: constants of the planner that are not as published.
        changes: what else shapes do not say.
    """

    def widths(net: str) -> tuple[int, ...]:
        count = sum(name.startswith(f"{net}/Dense_") and name.endswith("bias") for name in leaves)
        return tuple(leaves[f"{net}/Dense_{i}/bias"].shape[-1] for i in range(count))

    action_dim = widths("pi")[-1] // 2
    steps = unsaid.episode_steps or 500
    usual: dict[str, Any] = {
        "variant": "tdmpc2",
        "iterations": 6 + more_iterations(action_dim),
        "discount": discount(steps),
    }
    return tdmpc2_config(
        obs_dim=leaves["enc/Dense_0/kernel"].shape[0],
        action_dim=action_dim,
        latent_dim=widths("dyn")[-1],
        encoder_widths=widths("enc")[:-1],
        hidden_widths=widths("dyn")[:-1],
        num_q=leaves["q/Dense_0/bias"].shape[0],
        num_bins=widths("rew")[-1],
        episodic="term/Dense_0/bias" in leaves,
        planner=PlannerConfig(**(usual | dict(planner))),
        env=EnvConfig(task=task, action_repeat=unsaid.action_repeat or 2, episode_steps=steps),
        **changes,
    )


def assumptions(config: AgentConfig, told: str, known_task: bool) -> Iterator[str]:
    """What a file of the family does not say, one sentence per item; `told` begins the networks."""
    planner, env = config.planner, config.env
    if not known_task:
        yield f"environment: the task is {env.task}"
    yield (
        f"environment: action repeat {env.action_repeat}, {env.episode_steps} decisions an episode"
    )
    yield (
        f"planner: horizon {planner.horizon}, {planner.samples} samples, {planner.iterations} "
        f"iterations, {planner.elites} elites, {planner.policy_trajectories} policy trajectories, "
        f"discount {planner.discount:g}"
    )
    yield (
        f"networks: {told}; {config.activation.capitalize()}, LayerNorm eps "
        f"{config.layer_norm_eps:g}, SimNorm groups of {config.simnorm_group}, bins from "
        f"{config.bin_min:g} to {config.bin_max:g}"
        + (", observations pass through symlog" if config.symlog_obs else "")
    )


@dataclass(frozen=True)
class _Agent:
    """The networks of a file, for all tasks that they serve.

    Attributes:
        state: tensors by name, as float32.
        layers: of each network by our name, with `_LEAVES` as far as a layer has them; the Q heads
            have an axis of their own, the first.
        changes: how parameters were stored, where they were converted, one sentence per item.
        losses: what was left out, one sentence per item.
        padded: the sizes of observation and action that the networks have.
        tasks: that it was trained on, if there are several.
    """

    place: str
    state: State
    layout: Layout
    layers: dict[str, list[State]]
    changes: list[str]
    losses: list[str]
    padded: TaskSize
    tasks: tuple[TaskSize, ...]

    @classmethod
    def of(cls, data: bytes, place: str) -> "_Agent":
        """The networks in the bytes of a file."""
        payload, left_out = torch_archive.read(data, place)
        tensors = _tensors(place, payload)
        layout = _layout(place, tensors)
        state, changes = _widened(place, tensors, len(data))
        losses = []
        if left_out:
            classes = listed([printable(name, 80) for name in left_out], most=8)
            losses.append(f"objects that an agent does not need: {classes}")
        if any(name.startswith("_target_Qs") for name in tensors):
            losses.append("what only training needs: target Q heads")
        layers = _layers(place, state)
        table = _embeddings(place, state)
        inputs = layers["enc"][0]["weight"].shape[-1] - (0 if table is None else table.shape[1])
        padded = TaskSize("", inputs, layers["pi"][-1]["bias"].shape[0] // 2)
        if min(padded[1:]) < 1:
            raise GlassvizError(
                f"{place}: expected observations and actions, found networks for "
                f"{padded.obs_dim} and {padded.action_dim} of them: the file is not an agent's"
            )
        tasks = () if table is None else _task_set(len(table), state, padded)
        return cls(place, state, layout, layers, changes, losses, padded, tasks)

    @property
    def multitask(self) -> bool:
        """Whether it has embeddings of tasks."""
        return _EMBEDDINGS in self.state

    def number(self, name: str, default: float) -> float:
        """A setting that newer files hold."""
        values = self.state.get(name)
        return float(values.reshape(-1)[0]) if values is not None and values.size == 1 else default

    def chosen(self, asked: str | None) -> tuple[TaskSize, int | None]:
        """The task to read, and the row of its embedding; None for an agent of one task."""
        if not self.multitask:
            return one_task(self.place, self.padded, asked), None
        for row, task in enumerate(self.tasks):
            if task.name == asked:
                return task, row
        found = f"found {printable(asked)}" if asked else "but none was named"
        raise UsageError(
            f"{self.place}: expected one of the {len(self.tasks)} tasks of this agent with --task, "
            f"{found}: {', '.join(task.name for task in self.tasks)}"
        )

    def leaves(self, task: TaskSize, row: int | None) -> State:
        """One task's parameters by the names of the native format.

        The task's embedding enters the biases of first layers, whose inputs are [x, embedding,
        action].
        """
        leaves: State = {}
        for net, layers in self.layers.items():
            for i, layer in enumerate(layers):
                weight, bias = layer["weight"], layer["bias"]
                if i == 0:
                    weight, bias = self._first(net, weight, bias, task, row)
                if net == "pi" and i == len(layers) - 1:
                    weight, bias = self._policy(weight, task), self._policy(bias, task)
                leaves[f"{net}/Dense_{i}/kernel"] = np.swapaxes(weight, -1, -2)
                leaves[f"{net}/Dense_{i}/bias"] = bias
                if "ln.weight" in layer:
                    leaves[f"{net}/LayerNorm_{i}/scale"] = layer["ln.weight"]
                    leaves[f"{net}/LayerNorm_{i}/bias"] = layer["ln.bias"]
        return {name: np.ascontiguousarray(leaf, np.float32) for name, leaf in leaves.items()}

    def _first(
        self, net: str, weight: np.ndarray, bias: np.ndarray, task: TaskSize, row: int | None
    ) -> tuple[np.ndarray, np.ndarray]:
        """Weight and bias of a first layer for one task."""
        latent = self.layers["dyn"][-1]["bias"].shape[-1]
        own, kept = (self.padded.obs_dim, task.obs_dim) if net == "enc" else (latent, latent)
        embedding = np.zeros(0) if row is None else _normed(self.state[_EMBEDDINGS][row])
        before = own + len(embedding)
        expected = before + (self.padded.action_dim if net in _WITH_ACTION else 0)
        if weight.shape[-1] != expected:
            raise GlassvizError(
                f"{self.place}: the first layer of network {net} has {weight.shape[-1]} inputs, "
                f"expected {expected}: the networks in the file do not match each other"
            )
        actions = weight[..., before : before + task.action_dim]
        return (
            np.concatenate([weight[..., :kept], actions], axis=-1),
            bias + weight[..., own:before].astype(np.float64) @ embedding,
        )

    def _policy(self, rows: np.ndarray, task: TaskSize) -> np.ndarray:
        """Rows of the policy's output for the actions of a task: means, then log stds."""
        mean, log_std = rows[: self.padded.action_dim], rows[self.padded.action_dim :]
        return np.concatenate([mean[: task.action_dim], log_std[: task.action_dim]])


def _normed(embedding: np.ndarray) -> np.ndarray:
    """An embedding as it is looked up: no longer than `_MAX_NORM`."""
    row = embedding.astype(np.float64)
    norm = float(np.linalg.norm(row))
    return row * (_MAX_NORM / (norm + 1e-7)) if norm > _MAX_NORM else row


def _tensors(place: str, payload: Any) -> dict[str, PickledArray]:
    """The tensors of a state dictionary by name, without marks of compiled or parallel modules."""
    inner = payload.get("model", payload) if isinstance(payload, dict) else payload
    if not isinstance(inner, dict) or not any(isinstance(v, PickledArray) for v in inner.values()):
        raise GlassvizError(
            f"{place}: expected the state_dict of a TD-MPC2 agent, alone or under 'model', found "
            f"a file of something else: name the agent's own file"
        )
    tensors = {}
    for key, value in inner.items():
        name = str(key).replace("_orig_mod.", "").removeprefix("module.")
        placeholder = ".module." in name or name.endswith(_NOT_TENSORS)
        if isinstance(value, PickledArray) and value.values is not None and not placeholder:
            tensors[name] = value
    for pattern, what in _FOREIGN.items():
        if any(re.match(pattern, name) for name in tensors):
            raise GlassvizError(f"{place}: expected an agent of TD-MPC2, found {what}")
    return tensors


def _layout(place: str, tensors: Mapping[str, PickledArray]) -> Layout:
    """How the parameters are named."""
    if any(name.startswith("_encoder.state.0.") for name in tensors):
        if any(re.fullmatch(r"_Qs\.params\.\d+", name) for name in tensors):
            return "B"
        return "C" if any(name.startswith("_detach_Qs.params.") for name in tensors) else "D"
    if "_encoder.state.1.weight" in tensors:
        return "A"
    found = listed([printable(name) for name in tensors], most=4)
    raise GlassvizError(
        f"{place}: expected the networks of a TD-MPC2 agent (_encoder.state, _dynamics, _reward, "
        f"_pi, _Qs), found {found}: this is another agent"
    )


def _widened(
    place: str, tensors: Mapping[str, PickledArray], budget: int
) -> tuple[State, list[str]]:
    """The tensors that are no copies as float32, and what was changed in them.

    Args:
        budget: most values that they may have together, one per byte of the file: tensors that
            share their storage could otherwise expand without bound.
    """
    wanted = {name: each for name, each in tensors.items() if not _COPIES.match(name)}
    if sum(each.values.size for each in wanted.values() if each.values is not None) > budget:
        raise GlassvizError(
            f"{place}: expected separate data for every parameter, found parameters that share it: "
            f"nothing was loaded; do not trust this file"
        )
    with np.errstate(over="ignore"):  # check_leaves refuses values that overflow
        state = {name: each.floats() for name, each in wanted.items()}
    kinds = {each.values.dtype.name for each in wanted.values() if each.values is not None}
    changes = [
        f"parameters: stored as {kind}, {'rounded' if kind == 'float64' else 'widened'} to float32"
        for kind in sorted(kinds & {"float16", "bfloat16", "float64"})
    ]
    if quantised := sum(each.quantiser is not None for each in wanted.values()):
        changes.append(f"parameters: {quantised} leaves are quantised to 8 bits, per tensor")
    return state, changes


def _layers(place: str, state: State) -> dict[str, list[State]]:
    """The layers of each network."""
    nets = NETS | ({"term": _TERMINATION} if any(n.startswith(_TERMINATION) for n in state) else {})
    known = tuple(nets.values())
    others = {n for n in state if n not in _NOT_PARAMETERS and not n.startswith(known)}
    if others:
        found = sorted({printable(".".join(name.split(".")[:2])) for name in others})
        raise GlassvizError(
            f"{place}: expected the networks of TD-MPC2 and no others, found "
            f"{listed(found, most=6)}: agents of an extended architecture cannot be read"
        )
    layers = {}
    for net, prefix in nets.items():
        own = {n.removeprefix(prefix): leaf for n, leaf in state.items() if n.startswith(prefix)}
        if net == "q" and all(re.fullmatch(r"\d{1,2}", name) for name in own):
            own = {f"{int(n) // 4}.{_LEAVES[int(n) % 4]}": leaf for n, leaf in own.items()}
        layers[net] = _in_sequence(own, rank=3 if net == "q" else 2)
        if not layers[net]:
            raise GlassvizError(
                f"{place}: network {prefix.rstrip('.')} is missing, or does not consist of layers "
                f"of TD-MPC2: the file is incomplete, or another agent's"
            )
    return layers


def _in_sequence(own: State, rank: int) -> list[State]:
    """The layers of a network: a matrix begins one, vectors of the next module are its norm.

    Modules are numbered, or a norm is called `ln` within its layer. Empty if these are no layers.
    """
    layers: list[State] = []
    modules = {name.rpartition(".")[0] for name in own}
    known = re.compile(r"\d{1,2}(\.\d{1,2})?(\.ln)?\.(weight|bias)")
    if not all(known.fullmatch(name) for name in own):
        return []
    for name in sorted(modules, key=_place_in_sequence):
        weight, bias = own.get(f"{name}.weight"), own.get(f"{name}.bias")
        if weight is None or bias is None or not bias.shape:
            return []
        if weight.ndim == rank and bias.shape == weight.shape[:-1]:
            layers.append({"weight": weight, "bias": bias})
        elif layers and weight.ndim == rank - 1 and "ln.weight" not in layers[-1]:
            layers[-1] |= {"ln.weight": weight, "ln.bias": bias}
        else:
            return []
    return layers


def _place_in_sequence(module: str) -> list[int]:
    """By number; the norm within a layer comes after the layer."""
    return [*map(int, re.findall(r"\d+", module)), module.endswith(".ln")]


def _embeddings(place: str, state: State) -> np.ndarray | None:
    """The embeddings of the tasks, one per row; None for an agent of one task."""
    table = state.get(_EMBEDDINGS)
    if table is None:
        return None
    if table.ndim != 2 or not table.size:
        raise GlassvizError(
            f"{place}: leaf {_EMBEDDINGS} has shape {table.shape}, expected one row per task: the "
            f"file is not an agent's"
        )
    if table.shape[1] >= _LANGUAGE_DIM:
        raise GlassvizError(
            f"{place}: expected an agent of TD-MPC2, found one with language embeddings of its "
            f"tasks (Newt), whose architecture differs"
        )
    return table


@cache
def _sets() -> dict[str, list[Any]]:
    return tomllib.loads((Path(__file__).parent / "task_sets.toml").read_text("utf-8"))


def _suite() -> list[TaskSize]:
    return [TaskSize(*each) for each in _sets()["dm_control"]]


def _task_set(count: int, state: State, padded: TaskSize) -> tuple[TaskSize, ...]:
    """The tasks of an agent with `count` embeddings; numbered where the set is not a known one."""
    suite = _suite()
    world = [TaskSize(f"mw-{name}", *_META_WORLD) for name in _sets()["meta_world"]]
    masks = state.get(_MASKS)
    sizes = [padded.action_dim] * count
    if masks is not None and masks.shape == (count, padded.action_dim):
        sizes = [int(row.sum()) for row in masks > 0]
    for known in (suite, suite + world):
        largest = "", max(each.obs_dim for each in known), max(each.action_dim for each in known)
        same = masks is None or sizes == [task.action_dim for task in known]
        if count == len(known) and padded == largest and same:
            return tuple(known)
    return tuple(TaskSize(f"task-{i}", padded.obs_dim, size) for i, size in enumerate(sizes))
