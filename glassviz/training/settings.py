"""The settings of a training run by their published names: one table for recipes and options."""

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, get_type_hints

from glassviz.errors import UsageError
from glassviz.ranges import valid
from glassviz.training.config import TrainConfig


@dataclass(frozen=True)
class Setting:
    """One setting.

    Attributes:
        path: the fields that lead to it from a `TrainConfig`.
        help: what it is, in one line.
    """

    path: str
    help: str

    @property
    def type(self) -> Any:
        """Its type."""
        return self._annotation(include_extras=False)

    @property
    def range(self) -> Any:
        """Its type, with the values that it may take."""
        return self._annotation(include_extras=True)

    def _annotation(self, include_extras: bool) -> Any:
        kind: Any = TrainConfig
        for name in self.path.split("."):
            kind = get_type_hints(kind, include_extras=include_extras)[name]
            if dataclasses.is_dataclass(inner := _without_none(kind)):
                kind = inner
        return kind

    def of(self, train: TrainConfig) -> Any:
        """Its value in a run; None where the run has no such part."""
        value: Any = train
        for name in self.path.split("."):
            value = getattr(value, name, None)
        return value


def _without_none(kind: Any) -> Any:
    members = [each for each in getattr(kind, "__args__", ()) if each is not type(None)]
    return members[0] if len(members) == 1 else kind


SETTINGS: dict[str, Setting] = {
    # The run
    "task": Setting("agent.env.task", "What to learn."),
    "physics": Setting("agent.env.physics", "Physics profile to train in."),
    "steps": Setting("steps", "Environment steps in all."),
    "num_envs": Setting("num_envs", "Hoppers that step together."),
    "k_update": Setting("k_update", "Gradient updates per step of all hoppers."),
    "batch_size": Setting("batch_size", "Sequences per update."),
    "buffer_steps": Setting("buffer_steps", "Transitions that the replay buffer holds."),
    "learning_starts": Setting("learning_starts", "Environment steps before the first update."),
    "eval_every": Setting("eval_every", "Environment steps between evaluations."),
    "eval_episodes_pi": Setting("eval_episodes_pi", "Episodes of the policy per evaluation."),
    "eval_episodes_mppi": Setting("eval_episodes_mppi", "Episodes of the planner per evaluation."),
    "save_every": Setting("save_every", "Environment steps between saves."),
    "multitask": Setting("multitask", "Learn hop and stand together, with heads of their own."),
    "precision": Setting("precision", "What matrix products of the updates are computed in."),
    # The planner and the networks
    "mppi_samples": Setting("agent.planner.samples", "NS, action sequences per iteration."),
    "mppi_horizon": Setting("agent.planner.horizon", "H; sequences have H+1 observations."),
    "num_q": Setting("agent.num_q", "Q heads."),
    # Exploration
    "collect": Setting("explore.collect", "Who acts in collection: policy or planner."),
    "expl_until": Setting("explore.expl_until", "Environment steps of random actions."),
    "expl_mix_decay_steps": Setting(
        "explore.expl_mix_decay_steps",
        "Let random actions fade out over this many steps instead.",
    ),
    "act_noise_start": Setting("explore.act_noise_start", "Std of the noise in collection."),
    "act_noise_end": Setting("explore.act_noise_end", "What that std is annealed to."),
    "act_noise_anneal_steps": Setting("explore.act_noise_anneal_steps", "Over how many steps."),
    "upright_resets": Setting(
        "explore.upright_resets", "Share of the hoppers that begin upright in collection."
    ),
    "collect_episode_steps": Setting(
        "explore.collect_episode_steps", "Decisions of an episode in collection."
    ),
    # Losses
    "learning_rate": Setting("losses.learning_rate", "Learning rate of Adam."),
    "discount": Setting("agent.planner.discount", "γ of the TD target and of the planner."),
    "consistency_coef": Setting("losses.consistency_coef", "Weight of the consistency loss."),
    "reward_coef": Setting("losses.reward_coef", "Weight of the reward loss."),
    "value_coef": Setting("losses.value_coef", "Weight of the value loss."),
    "policy_coef": Setting("losses.policy_coef", "Weight of the policy loss."),
    "entropy_coef": Setting("losses.entropy_coef", "Weight of the policy's entropy (official)."),
    "rho": Setting("losses.rho", "Weight of a step further along the model roll-out."),
    "latent_action_smooth_coef": Setting(
        "losses.latent_action_smooth_coef", "Weight of the policy's change from latent to latent."
    ),
    "latent_smooth_warmup_steps": Setting(
        "losses.latent_smooth_warmup_steps", "Environment steps before that term counts."
    ),
    # Glass
    "glass_prototypes": Setting("agent.glass.prototypes", "N, prototypes."),
    "glass_clusters": Setting("agent.glass.clusters", "K, clusters."),
    "proto_temperature": Setting("agent.glass.proto_temperature", "τ of the soft assignment."),
    "assignment_temperature": Setting(
        "agent.glass.assignment_temperature", "Temperature of the partition."
    ),
    "super_clusters": Setting("agent.glass.super_clusters", "Clusters of the second level."),
    "cluster_obs": Setting("agent.glass.cluster_obs", "Show policy and Q the cluster row."),
    "routed_critic": Setting(
        "agent.glass.routed_critic", "Give every cluster a correction of the Q distribution."
    ),
    "glass_warmup_steps": Setting("glass.warmup_steps", "Environment steps before Glass trains."),
    "glass_off_steps": Setting("glass.off_steps", "Environment steps after which it stops."),
    "glass_every_k_updates": Setting("glass.every_k_updates", "Train Glass every k-th update."),
    "lambda_se": Setting("glass.lambda_se", "Weight of the structural entropy."),
    "lambda_balance": Setting("glass.lambda_balance", "Weight of the balance penalty."),
    "lambda_temporal": Setting("glass.lambda_temporal", "Weight of the temporal term."),
    "lambda_temp_stability": Setting(
        "glass.lambda_temp_stability", "Weight of 1 − cos of consecutive cluster distributions."
    ),
    "lambda_super_se": Setting("glass.lambda_super_se", "Structural entropy, one level up."),
    "lambda_super_balance": Setting("glass.lambda_super_balance", "Balance, one level up."),
    "lambda_window": Setting("glass.lambda_window", "Weight of the window consistency."),
    "window": Setting("glass.window", "W, consecutive frames of a window."),
    "lambda_contrastive": Setting("glass.lambda_contrastive", "Weight of the phase contrast."),
    "stopgrad_graph": Setting("glass.stopgrad_graph", "Shield the encoder from Glass."),
    "assign_logits_init_scale": Setting("glass.logit_scale", "Std of the first partition logits."),
    "kmeans_init": Setting("glass.kmeans_init", "Start the prototypes at k-means centroids."),
    # Shaping of the training reward
    "knee_penalty_coef": Setting("shaping.knee_penalty_coef", "Penalty on parts near the floor."),
    "knee_threshold_m": Setting("shaping.knee_threshold_m", "Height below which they are, m."),
    "gait_fall_penalty": Setting("shaping.gait_fall_penalty", "Penalty on being fallen."),
    "gait_fall_height_m": Setting("shaping.gait_fall_height_m", "Height below which one is, m."),
    "gait_action_smooth": Setting("shaping.gait_action_smooth", "Penalty on changes of action."),
    "soft_stand_bonus": Setting("shaping.soft_stand_bonus", "Bonus for height below 0.6 m."),
    "soft_stand_floor_m": Setting("shaping.soft_stand_floor_m", "Height where it begins, m."),
    "soft_stand_anneal_steps": Setting(
        "shaping.soft_stand_anneal_steps", "Environment steps over which it falls to 0."
    ),
    "cluster_intrinsic_coef": Setting(
        "shaping.cluster_intrinsic_coef", "Bonus for the entropy of recent labels."
    ),
    "cluster_intrinsic_window": Setting(
        "shaping.cluster_intrinsic_window", "Frames whose labels count as recent."
    ),
    "cluster_intrinsic_decay_start_steps": Setting(
        "shaping.cluster_intrinsic_decay_start_steps", "Environment steps before it decays."
    ),
    "cluster_intrinsic_decay_steps": Setting(
        "shaping.cluster_intrinsic_decay_steps", "Environment steps at which it has."
    ),
    # Restarts
    "q_reset_steps": Setting("rescue.q_reset_steps", "Start the Q heads anew at these steps."),
    "early_stop_patience": Setting(
        "rescue.early_stop_patience", "Stop after this many steps without a better planner."
    ),
    "restart_on_plateau": Setting(
        "rescue.restart_on_plateau", "Start policy and Q anew while the planner stays poor."
    ),
    "restart_check_at": Setting("rescue.restart_check_at", "Environment steps of that check."),
    "restart_threshold": Setting("rescue.restart_threshold", "Return below which it is poor."),
    "restart_max_attempts": Setting("rescue.restart_max_attempts", "How often at most."),
    "basin_restart": Setting("rescue.basin_restart", "Begin anew by this signal of a bad basin."),
    "basin_check_at": Setting("rescue.basin_check_at", "Environment steps of that check."),
    "basin_max_attempts": Setting("rescue.basin_max_attempts", "How often at most."),
    # Demonstrations
    "demo_fraction": Setting("demos.demo_fraction", "Share of a batch from demonstrations."),
    "demo_bc_coef": Setting("demos.demo_bc_coef", "Weight of imitating their actions."),
    "demo_bc_end": Setting("demos.demo_bc_end", "What that weight falls to."),
    "demo_bc_decay_steps": Setting(
        "demos.demo_bc_decay_steps", "Environment steps over which it falls."
    ),
}


def needs_glass(name: str) -> bool:
    """Whether this is a setting that means something only in a run with Glass."""
    return name in SETTINGS and SETTINGS[name].path.startswith(("agent.glass.", "glass."))


def apply(
    train: TrainConfig, values: Mapping[str, Any], places: Mapping[str, str] | None = None
) -> TrainConfig:
    """A run with some settings changed, all at once.

    Args:
        values: by published name.
        places: where they were written, for messages; "training" for those that it leaves out.

    Raises:
        UsageError: an unknown name, a value of the wrong type or out of its range, a setting of
            Glass in a run without it, or settings that make no run together.
    """
    changes: dict[str, Any] = {}
    for name, value in values.items():
        place = (places or {}).get(name, "training")
        if name not in SETTINGS:
            raise UsageError(
                f"{place}: expected settings of a training run, found {name!r}: "
                f"`glassviz train --help` lists them"
            )
        setting = SETTINGS[name]
        if needs_glass(name) and train.agent.glass is None:
            raise UsageError(
                f"{place}: {name} is a setting of Glass, found a run without it: leave the "
                f"setting out, or train with Glass"
            )
        changes[setting.path] = valid(f"{place}: {name}", setting.range, value)
    return _replace(train, changes)


def _replace(config: Any, changes: Mapping[str, Any]) -> Any:
    """`config` with the values at some dotted paths changed, each part made anew just once."""
    parts: dict[str, dict[str, Any]] = {}
    own: dict[str, Any] = {}
    for path, value in changes.items():
        name, _, rest = path.partition(".")
        if rest:
            parts.setdefault(name, {})[rest] = value
        else:
            own[name] = value
    inner = {name: _replace(getattr(config, name), within) for name, within in parts.items()}
    return dataclasses.replace(config, **own, **inner)
