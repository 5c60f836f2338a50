"""Import of published TD-MPC-Glass pickles: parameters, configuration and provenance."""

import hashlib
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from flax.traverse_util import unflatten_dict

from glassviz.agents.config import (
    UNSAID,
    AgentConfig,
    EnvConfig,
    GlassConfig,
    PlannerConfig,
    Unsaid,
)
from glassviz.checkpoints.native import Checkpoint, check_config, check_leaves
from glassviz.checkpoints.unpickler import BFLOAT16, PickledArray, read_pickle
from glassviz.errors import GlassvizError
from glassviz.files import StrPath
from glassviz.text import LONGEST_NAME, listed, printable

FORMAT = "tdmpc-glass-pickle"
NETS = ("enc", "dyn", "rew", "q", "pi")
GLASS_LEAVES = ("prototypes", "assign_logits", "super_assign_logits")
_RUN_FACTS = ("algo", "env_id", "seed", "env_steps", "best_mppi_step", "best_any_selector")
_TRAINING_STATE = ("target_params", "opt_state", "scale", "key", "glass_step")

# Episodes per evaluation in the published runs; the files contain only the means.
_EVAL_EPISODES = {"tdmpc-glass": {"pi": 5, "mppi": 8}, "tdmpc2": {"pi": 5, "mppi": 3}}

_JUMPY_NETS = ("jdyn", "jrew")
_TASKS = {"hopperhop": "hopper-hop", "hopperstand": "hopper-stand"}
_SIMNORM_GROUPS = 8

# A malicious file may refer to one dictionary many times: bounds on what is traversed.
_MAX_ENTRIES = 64
_MAX_NAME = 64

Leaves = dict[str, np.ndarray]


def read(data: bytes, path: StrPath, unsaid: Unsaid = UNSAID) -> Checkpoint:
    """Read a checkpoint from the bytes of a published pickle; `unsaid` is what it does not say.

    Raises:
        GlassvizError: the file is damaged, refers to code, is not a checkpoint, or contains an
            unsupported architecture.
    """
    path = Path(path)
    place = str(path)
    payload, left_out = read_pickle(data, place)
    if not (isinstance(payload, dict) and isinstance(payload.get("params"), dict)):
        raise GlassvizError(
            f"{place}: expected a TD-MPC-Glass checkpoint (a dictionary with 'params'), found a "
            f"pickle of something else"
        )
    read = _LeafReader(place, budget=len(data))
    read.read(payload["params"])
    inferred = _Inference(payload, read, unsaid)
    config = inferred.infer()
    leaves, ignored, losses = read.leaves, read.ignored, []
    if inferred.glass_switched_off:
        ignored += [name for name in leaves if name.startswith("glass/")]
        leaves = {name: leaf for name, leaf in leaves.items() if name not in ignored}
        losses.append("prototypes and clusters, since Glass was switched off in training")
    if read.rounded:
        losses.append(f"double precision of {read.rounded} leaves, rounded to float32")
    if training_state := [key for key in _TRAINING_STATE if key in payload]:
        losses.append(f"what only training needs: {', '.join(training_state)}")
    if left_out:
        classes = listed([printable(name, 80) for name in left_out], most=8)
        losses.append(f"objects that an agent does not need: {classes}")
    check_config(place, config)
    check_leaves(place, config, leaves)
    sha256 = hashlib.sha256(data).hexdigest()
    returns, episode_assumption = _returns(payload)
    provenance = {
        **_run_facts(payload),
        **({"returns": returns} if returns else {}),
        "source": {"file": printable(path.name, LONGEST_NAME), "format": FORMAT, "sha256": sha256},
        "ignored_leaves": [printable(name) for name in ignored],
        "losses": losses,
    }
    return Checkpoint(
        config=config,
        params=unflatten_dict(leaves, sep="/"),
        name=printable(path.stem, LONGEST_NAME),
        format=FORMAT,
        sha256=sha256,
        provenance=provenance,
        assumptions=(*inferred.assumptions, *episode_assumption),
    )


def _run_facts(payload: Mapping[Any, Any]) -> dict[str, Any]:
    facts: dict[str, Any] = {}
    for key in _RUN_FACTS:
        value = payload.get(key)
        if isinstance(value, str):
            facts[key] = printable(value)
        elif isinstance(value, int | float) and math.isfinite(value):
            facts[key] = value
    return facts


def _returns(payload: Mapping[Any, Any]) -> tuple[dict[str, Any], list[str]]:
    """Mean return per controller, and the assumption about the number of episodes, if any."""
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


class _LeafReader:
    """Reads the leaves under `params`; `place` is the file's name in messages.

    Args:
        budget: maximum total size of the leaves in bytes, namely the file's size: leaves that
            share their bytes could otherwise expand without bound.

    Attributes:
        leaves: float32 arrays by name, including those of Glass.
        ignored: unused networks, and leaves of `glass` besides prototypes and assignment logits.
        rounded: number of leaves that were stored in double precision.
    """

    def __init__(self, place: str, budget: int) -> None:
        self.place = place
        self.budget = budget
        self.leaves: Leaves = {}
        self.rounded = 0

    def read(self, params: dict[Any, Any]) -> None:
        """Raises GlassvizError if a network is missing or does not consist of NormMLPs."""
        nets = self._entries(params, "params")
        for net in NETS:
            heads = self._heads(net, nets.get(net))
            for name in heads[0]:
                stacked = np.stack([head[name] for head in heads])
                self.leaves[f"{net}/{name}"] = stacked if net == "q" else stacked[0]
        glass = self._entries(nets.get("glass", {}), "glass")
        for name in GLASS_LEAVES:
            if name in glass:
                self.leaves[f"glass/{name}"] = self._array(f"glass/{name}", glass[name])
        self.other_nets = [name for name in nets if name not in (*NETS, "glass")]
        others = [f"glass/{name}" for name in glass if name not in GLASS_LEAVES]
        self.ignored = [*self.other_nets, *others]

    def _heads(self, net: str, branch: Any) -> list[Leaves]:
        """The NormMLPs of a network in order, checked to have equal shapes."""
        modules = self._entries(branch, net).get("params") if isinstance(branch, dict) else None
        if not modules:
            raise self.error(
                f"network {net!r} is missing, expected {', '.join(NETS)} in 'params': is this a "
                f"checkpoint of TD-MPC-Glass?"
            )
        modules = self._entries(modules, net)
        expected = [f"NormMLP_{index}" for index in range(len(modules) if net == "q" else 1)]
        for module in modules:
            if module not in expected:
                raise self.error(
                    f"network {net!r} has a module {printable(module)}, expected "
                    f"{' and '.join(expected)}: agents with residual, attention or other networks "
                    f"are not supported"
                )
        heads = [self._mlp(net, modules[module]) for module in expected]
        for module, head in zip(expected, heads, strict=True):
            if {k: v.shape for k, v in head.items()} != {k: v.shape for k, v in heads[0].items()}:
                raise self.error(f"network {net!r}: {module} has other shapes than NormMLP_0")
        return heads

    def _mlp(self, net: str, layers: Any) -> Leaves:
        return {
            f"{layer}/{name}": self._array(f"{net}/{layer}/{name}", leaf)
            for layer, leaves in self._entries(layers, net).items()
            for name, leaf in self._entries(leaves, f"{net}/{layer}").items()
        }

    def _entries(self, branch: Any, name: str) -> dict[str, Any]:
        """`branch`, checked to be a small dictionary with short names."""
        if not isinstance(branch, dict):
            raise self.error(f"{printable(name)} is not a dictionary, expected parameters by name")
        if len(branch) > _MAX_ENTRIES:
            raise self.error(
                f"{printable(name)} has {len(branch)} entries, expected at most {_MAX_ENTRIES}"
            )
        for key in branch:
            if not (isinstance(key, str) and 0 < len(key) <= _MAX_NAME):
                raise self.error(
                    f"{printable(name)} has an invalid key, expected a string of 1 to {_MAX_NAME} "
                    f"characters"
                )
        return branch

    def _array(self, name: str, leaf: Any) -> np.ndarray:
        values = leaf.values if isinstance(leaf, PickledArray) else None
        if values is None or not (values.dtype.kind == "f" or values.dtype == BFLOAT16):
            raise self.error(f"leaf {printable(name)} is not an array of floats, expected float32")
        self.budget -= values.nbytes
        if self.budget < 0:
            raise self.error("leaves share bytes, expected separate data for every leaf")
        self.rounded += values.dtype.itemsize > np.float32().itemsize
        with np.errstate(over="ignore"):  # check_leaves refuses values that overflow
            return values.astype(np.float32)

    def error(self, problem: str) -> GlassvizError:
        return GlassvizError(f"{self.place}: {problem}")


class _Inference:
    """Infers the configuration from the shapes of the leaves and from `glass_config`.

    `glass_switched_off`: the agent was trained without the Glass that the file contains.
    """

    def __init__(self, payload: Mapping[Any, Any], read: _LeafReader, unsaid: Unsaid) -> None:
        settings = payload.get("glass_config")
        self.settings: Mapping[Any, Any] = settings if isinstance(settings, dict) else {}
        self.env_id = payload.get("env_id")
        self.unsaid = unsaid
        self.leaves, self.other_nets, self._error = read.leaves, read.other_nets, read.error
        self.assumptions: list[str] = []

    def infer(self) -> AgentConfig:
        """Raises GlassvizError for a wrong leaf or setting, or a task that is not the hopper's."""
        encoder, dynamics = self._layers("enc"), self._layers("dyn")
        latent = encoder[-1]
        if latent % _SIMNORM_GROUPS or not latent:
            raise self._error(
                f"the latent has {latent} values, expected a multiple of {_SIMNORM_GROUPS}, the "
                f"number of SimNorm groups in this format"
            )
        glass = self._glass(latent)
        no_planner = ""
        if jumpy := [net for net in _JUMPY_NETS if net in self.other_nets]:
            no_planner = (
                f"it was trained to plan with a jumpy model ({' and '.join(jumpy)}), which this "
                f"version does not run: its policy does (--controller pi)"
            )
        off = self.settings.get("enabled") is False
        self.glass_switched_off = glass is not None and off and not glass.cluster_obs
        config = AgentConfig(
            family="glass",
            obs_dim=self._shape("enc/Dense_0/kernel")[0],
            action_dim=self._layers("pi")[-1] // 2,
            latent_dim=latent,
            encoder_widths=encoder[:-1],
            hidden_widths=dynamics[:-1],
            simnorm_group=latent // _SIMNORM_GROUPS,
            num_q=len(self.leaves["q/Dense_0/kernel"]) if "q/Dense_0/kernel" in self.leaves else 1,
            num_bins=self._layers("rew")[-1],
            glass=None if self.glass_switched_off else glass,
            planner=PlannerConfig(variant="glass"),
            env=EnvConfig(
                task=self._task(),
                physics="playground",
                action_repeat=self.unsaid.action_repeat or 1,
                episode_steps=self.unsaid.episode_steps or 1000,
            ),
            no_planner=no_planner,
        )
        planner, env = config.planner, config.env
        self.assumptions += [
            f"planner: horizon {planner.horizon}, {planner.samples} samples (many published runs "
            f"used 2048), {planner.iterations} iterations, {planner.elites} elites, "
            f"{planner.policy_trajectories} policy trajectories, discount {planner.discount}",
            f"environment: physics profile {env.physics}, action repeat {env.action_repeat}, "
            f"{env.episode_steps} steps an episode",
            f"networks: SiLU, LayerNorm eps {config.layer_norm_eps:g}, {_SIMNORM_GROUPS} SimNorm "
            f"groups, bins from {config.bin_min:g} to {config.bin_max:g}, as this layout has them",
        ]
        return config

    def _layers(self, net: str) -> tuple[int, ...]:
        """Output sizes of the Dense layers of a network."""
        sizes = [self._shape(f"{net}/Dense_0/kernel")[1]]
        while (name := f"{net}/Dense_{len(sizes)}/kernel") in self.leaves:
            sizes.append(self._shape(name)[1])
        return tuple(sizes)

    def _shape(self, name: str) -> tuple[int, int]:
        if name not in self.leaves:
            raise self._error(f"leaf {name} is missing, expected a matrix")
        shape = self.leaves[name].shape
        if len(shape) != 2:
            raise self._error(f"leaf {name} has shape {shape}, expected a matrix")
        return shape[0], shape[1]

    def _glass(self, latent: int) -> GlassConfig | None:
        if not any(name.startswith("glass/") for name in self.leaves):
            return None
        prototypes, clusters = self._shape("glass/assign_logits")
        supers = "glass/super_assign_logits"
        if "use_cosine_assign" not in self.settings:
            self.assumptions.append(
                "Glass: prototypes are assigned by L2 distance, as in the earliest runs, whose "
                "files have no use_cosine_assign either"
            )
        return GlassConfig(
            prototypes=prototypes,
            clusters=clusters,
            proto_temperature=self._temperature("proto_temperature"),
            assignment_temperature=self._temperature("assignment_temperature"),
            similarity="cosine" if self.settings.get("use_cosine_assign") is True else "l2",
            cluster_obs=self._shape("pi/Dense_0/kernel")[0] == latent + clusters,
            super_clusters=self._shape(supers)[1] if supers in self.leaves else 0,
        )

    def _temperature(self, key: str) -> float:
        value = self.settings.get(key)
        if value is None:
            self.assumptions.append(f"Glass: {key} is 1")
            return 1.0
        if not isinstance(value, int | float) or not math.isfinite(value) or value <= 0:
            raise self._error(f"glass_config has an invalid {key}, expected a number above 0")
        return float(value)

    def _task(self) -> str:
        if self.env_id is None and self.unsaid.task:
            return self.unsaid.task
        if self.env_id is None:
            self.assumptions.append("environment: the task is hopper-hop")
            return "hopper-hop"
        name = self.env_id if isinstance(self.env_id, str) else "not a string"
        task = _TASKS.get("".join(c for c in name.lower() if c.isalnum()))
        if task is None:
            raise self._error(
                f"env_id is {printable(name)}, expected HopperHop or HopperStand: other robots "
                f"are not supported"
            )
        return task
