"""The configuration of a published pickle: what its shapes and settings say, and the rest assumed.

The layout fixes the conventions of the networks (SiLU, LayerNorm eps 1e-6, 8 SimNorm groups, 101
bins on symlog [-20, 20]), whichever `algo` the file names. Planner and physics are not in it.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from glassviz.agents.config import AgentConfig, EnvConfig, GlassConfig, PlannerConfig, Task
from glassviz.checkpoints.published_leaves import PublishedLeaves
from glassviz.checkpoints.wording import printable
from glassviz.errors import GlassvizError

_TASKS: dict[str, Task] = {"hopperhop": "hopper-hop", "hopperstand": "hopper-stand"}
_JUMPY_NETS = ("jdyn", "jrew")
_SIMNORM_GROUPS = 8


@dataclass(frozen=True)
class InferredConfig:
    """A configuration, and what it rests on besides the file."""

    config: AgentConfig
    assumptions: tuple[str, ...]
    glass_switched_off: bool


def infer_config(payload: Mapping[Any, Any], found: PublishedLeaves, place: str) -> InferredConfig:
    """The configuration that the shapes of the leaves and `glass_config` imply.

    Raises:
        GlassvizError: a leaf that the sizes are read from is missing or of another rank, a
            setting is unusable, or the task is none of the hopper's.
    """
    return _Inference(payload, found, place).infer()


class _Inference:
    def __init__(self, payload: Mapping[Any, Any], found: PublishedLeaves, place: str) -> None:
        settings = payload.get("glass_config")
        self.settings: Mapping[Any, Any] = settings if isinstance(settings, dict) else {}
        self.env_id = payload.get("env_id")
        self.found = found
        self.leaves: Mapping[str, np.ndarray] = found.leaves
        self.place = place
        self.assumptions: list[str] = []

    def infer(self) -> InferredConfig:
        encoder, dynamics = self._layers("enc"), self._layers("dyn")
        latent = encoder[-1]
        if latent % _SIMNORM_GROUPS or not latent:
            raise self._error(
                f"the latent has {latent} values, expected a multiple of the {_SIMNORM_GROUPS} "
                f"SimNorm groups of this layout"
            )
        glass = self._glass(latent)
        switched_off = (
            glass is not None and self.settings.get("enabled") is False and not glass.cluster_obs
        )
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
            glass=None if switched_off else glass,
            planner=PlannerConfig(variant="glass"),
            env=EnvConfig(task=self._task(), physics="playground"),
            no_planner=self._no_planner(),
        )
        self._assume(config)
        return InferredConfig(config, tuple(self.assumptions), switched_off)

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
        names = [name for name in self.leaves if name.startswith("glass/")]
        if not names:
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
            raise self._error(f"glass_config has no usable {key}, expected a number above 0")
        return float(value)

    def _task(self) -> Task:
        if self.env_id is None:
            self.assumptions.append("environment: the task is hopper-hop")
            return "hopper-hop"
        name = self.env_id if isinstance(self.env_id, str) else "no text"
        task = _TASKS.get("".join(c for c in name.lower() if c.isalnum()))
        if task is None:
            raise self._error(
                f"env_id is {printable(name)}, expected HopperHop or HopperStand: other robots "
                f"are not simulated by this version"
            )
        return task

    def _no_planner(self) -> str:
        jumpy = [net for net in _JUMPY_NETS if net in self.found.other_nets]
        if not jumpy:
            return ""
        return (
            f"it was trained to plan with a jumpy model ({' and '.join(jumpy)}), which this "
            f"version does not run: its policy does (--controller pi)"
        )

    def _assume(self, config: AgentConfig) -> None:
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

    def _error(self, problem: str) -> GlassvizError:
        return GlassvizError(f"{self.place}: {problem}")
