"""Recipes and single settings: what each changes of a training configuration."""

import dataclasses
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from importlib.resources import files
from pathlib import Path
from typing import Any, Literal, get_type_hints

from pydantic import ConfigDict, Field, TypeAdapter, ValidationError
from pydantic.dataclasses import dataclass as validated

from glassviz.errors import UsageError
from glassviz.training.config import Algo, Preset, TrainConfig, official, preset
from glassviz.validation import check_value


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
        changes[setting.path] = check_value(f"{place}: {name}", setting.range, value)
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


Kind = Literal["phase", "baseline", "proposal"]


@validated(frozen=True, config=ConfigDict(extra="forbid"))
class Entry:
    """A recipe as it is written: what it changes about those that it starts from."""

    what: str
    kind: Kind = "baseline"
    published: str = ""
    base: tuple[str, ...] = Field(default=(), alias="from")
    algo: Algo | None = None
    official: bool | None = None
    settings: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Recipe:
    """A recipe with all that it inherits.

    Attributes:
        name, kind, what, published: of the recipe itself.
        starts_from: the recipes that it inherits from; the later ones overrule.
        algo: with Glass or without.
        official: whether networks, losses and constants are those of the official TD-MPC2.
        settings: every setting that differs from the preset's, by published name.
        own: those of them that the recipe changes itself.
    """

    name: str
    kind: Kind
    what: str
    published: str
    starts_from: tuple[str, ...]
    algo: Algo
    official: bool
    settings: Mapping[str, Any]
    own: Mapping[str, Any]


def names(kind: Kind | None = None) -> list[str]:
    """The recipes that come with the program, in the order of the file."""
    return [name for name, entry in _shipped().items() if kind in (None, entry.kind)]


def recipe(name: str) -> Recipe:
    """A recipe by name, or from a TOML file with one table, which may start from named ones.

    Raises:
        UsageError: no such recipe or file, or one that cannot be read.
    """
    entries = dict(_shipped())
    if name.endswith(".toml"):
        own = _read(Path(name))
        entries |= own
        name = next(iter(own))
    if name not in entries:
        raise UsageError(
            f"recipe {name!r}: expected one of {', '.join(entries)}, or a .toml file: "
            f"`glassviz recipes` says what they are"
        )
    return _resolve(name, entries)


def configure(
    name: str,
    preset_name: Preset = "small",
    additions: Sequence[str] = (),
    changes: Mapping[str, Any] | None = None,
    algo: Algo | None = None,
) -> TrainConfig:
    """The run that a recipe describes.

    Preset, recipe, additions and changes each overrule those before them.

    Args:
        additions: proposals (or other recipes) whose settings are added.
        changes: settings by published name.
        algo: with Glass or without, where the recipe's own choice is not wanted; settings of
            Glass are then left out of the recipe.

    Raises:
        UsageError: an unknown recipe or setting, or one that does not fit the run.
    """
    chosen = recipe(name)
    algo = algo or chosen.algo
    train = preset(preset_name, algo)
    if chosen.official:
        train = official(train)
    own = dict(chosen.settings)
    if algo == "tdmpc2":
        own = {key: value for key, value in own.items() if not needs_glass(key)}
    layers: list[tuple[str, Mapping[str, Any]]] = [(f"recipe {name}", own)]
    for each in additions:
        added = recipe(each)
        if added.kind != "proposal" and (added.algo, added.official) != (algo, chosen.official):
            raise UsageError(
                f"recipe {name} with {each}: expected settings to add, found a recipe of other "
                f"networks (algo {added.algo}{', official' if added.official else ''}): train it "
                f"by --recipe {each}"
            )
        layers.append((f"recipe {name} with {each}", added.settings))
    layers.append(("training", changes or {}))
    values: dict[str, Any] = {}
    places: dict[str, str] = {}
    for place, layer in layers:
        values |= layer
        places |= dict.fromkeys(layer, place)
    return apply(train, values, places)


def _resolve(name: str, entries: Mapping[str, Entry], seen: tuple[str, ...] = ()) -> Recipe:
    if name in seen or name not in entries:
        raise UsageError(
            f"recipe {(*seen, name)[0]}: expected a recipe to start from, found {name!r}"
            f"{' again' if name in seen else ''}: mend its `from`"
        )
    entry = entries[name]
    bases = [_resolve(base, entries, (*seen, name)) for base in entry.base]
    values: dict[str, Any] = {}
    for base in bases:
        values |= base.settings
    return Recipe(
        name=name,
        kind=entry.kind,
        what=entry.what,
        published=entry.published,
        starts_from=entry.base,
        algo=entry.algo or (bases[0].algo if bases else "tdmpc-glass"),
        official=entry.official if entry.official is not None else any(b.official for b in bases),
        settings=values | entry.settings,
        own=entry.settings,
    )


@lru_cache
def _shipped() -> dict[str, Entry]:
    text = (files("glassviz.training") / "recipes.toml").read_text()
    return TypeAdapter(dict[str, Entry]).validate_python(tomllib.loads(text))


def _read(path: Path) -> dict[str, Entry]:
    try:
        found = TypeAdapter(dict[str, Entry]).validate_python(tomllib.loads(path.read_text()))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError, ValidationError) as error:
        reason = str(error).splitlines()[0]
        raise UsageError(
            f"{path}: expected a recipe, found a file that is none ({reason}): see the shipped "
            f"ones with `glassviz recipes`"
        ) from None
    if len(found) != 1:
        raise UsageError(f"{path}: expected one table with the recipe, found {len(found)}")
    return found
