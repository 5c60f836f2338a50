"""Configuration of a training run: parts, rules between them, presets, settings by name."""

import dataclasses
import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal, get_args, get_type_hints

from annotated_types import Ge, Interval

from glassviz import envs
from glassviz.agents.config import (
    AgentConfig,
    GlassConfig,
    PlannerConfig,
    discount,
    more_iterations,
    tdmpc2_config,
)
from glassviz.envs.bodies import HOPPER, task_of, tasks
from glassviz.errors import GlassvizError, UsageError
from glassviz.text import listed, printable
from glassviz.validation import (
    Count,
    Doc,
    Finite,
    Natural,
    NonNegative,
    Positive,
    Share,
    check_fields,
    check_value,
)

CHANGEABLE = {"steps", "eval_every", "save_every", "eval_episodes_pi", "eval_episodes_mppi"}
"""Settings that may change when a run is resumed."""

Signal = Literal["gait", "prototypes"]
Network = Literal["enc", "dyn", "rew", "pi", "q", "glass"]

STEPS = "environment steps"
"""Unit of settings that count time."""

LEARNED_TOGETHER = ("hopper-hop", "hopper-stand")
"""Tasks of a multitask run."""

# The task rewards standing from this height on; importing it from `envs` would load MuJoCo.
STAND_HEIGHT_M = 0.6


@dataclass(frozen=True)
class Exploration:
    """Actions and episodes in collection."""

    collect: Annotated[
        Literal["pi", "mppi"], Doc("Controller in collection: noisy policy (pi) or planner (mppi).")
    ] = "pi"
    expl_until: Annotated[Natural, Doc("Take uniformly random actions up to this step.", STEPS)] = (
        25_000
    )
    expl_mix_decay_steps: Annotated[
        Natural,
        Doc(
            "If above 0, replaces --expl-until: the probability of a random action falls from 1 "
            "to 0 over this many steps.",
            STEPS,
        ),
    ] = 0
    act_noise_start: Annotated[
        NonNegative, Doc("Standard deviation of the action noise, at the start.")
    ] = 0.3
    act_noise_end: Annotated[
        NonNegative | None,
        Doc("Standard deviation of the action noise, at the end; by default that of the start."),
    ] = None
    act_noise_anneal_steps: Annotated[
        Count, Doc("Duration of the change of the action noise.", STEPS)
    ] = 1_000_000
    act_noise_spread: Annotated[
        Share,
        Doc(
            "Spread of the action noise over the policy's bodies: from 1 - spread to 1 + spread "
            "times its standard deviation."
        ),
    ] = 0.0
    burst_rate: Annotated[
        Share, Doc("Probability per step that a body of the policy begins random actions.")
    ] = 0.0
    burst_steps: Annotated[Count, Doc("Longest such burst of random actions.", "actions")] = 4
    planner_share: Annotated[
        Share,
        Doc("With --collect pi: fraction of the bodies that the planner acts for all the same."),
    ] = 0.0
    planner_noise: Annotated[
        NonNegative | None,
        Doc("Standard deviation of noise on the planner's actions; by default the policy's."),
    ] = None
    upright_resets: Annotated[
        Share, Doc("Fraction of the bodies whose episodes start upright in collection.")
    ] = 0.0
    collect_episode_steps: Annotated[
        Natural, Doc("Episode length in collection; 0 for the task's own.", "actions")
    ] = 0

    def planned(self, bodies: int) -> int:
        """How many of the bodies of a task the planner acts for: the last ones."""
        return bodies if self.collect == "mppi" else round(self.planner_share * bodies)


@dataclass(frozen=True)
class Losses:
    """Weights of the losses, and their optimiser.

    Attributes:
        encoder_lr_scale: factor on the encoder's learning rate.
        grad_clip: global norm that gradients are clipped to.
        ema: share of the online parameters that enters the targets at each update.
    """

    learning_rate: Annotated[Positive, Doc("Learning rate of Adam.")] = 3e-4
    encoder_lr_scale: NonNegative = 1.0
    grad_clip: Positive = 20.0
    ema: Share = 0.01
    rho: Annotated[Share, Doc("Discount of the losses per step of the model roll-out.")] = 0.5
    consistency_coef: Annotated[Finite, Doc("Weight of the consistency loss.")] = 2.0
    reward_coef: Annotated[Finite, Doc("Weight of the reward loss.")] = 2.0
    value_coef: Annotated[Finite, Doc("Weight of the value loss.")] = 1.0
    policy_coef: Annotated[Finite, Doc("Weight of the policy loss.")] = 0.1
    entropy_coef: Annotated[
        Finite, Doc("Weight of the policy's entropy (official TD-MPC2 only).")
    ] = 0.0
    planner_imitation_coef: Annotated[
        NonNegative,
        Doc(
            "Weight of the squared distance between the policy's and the planner's action, where "
            "the planner's has the higher Q; needs --planner-share or --collect mppi."
        ),
    ] = 0.0
    latent_action_smooth_coef: Annotated[
        Finite, Doc("λ of λ·mean‖π(z_{t+1}) − π(z_t)‖² along the model roll-out.")
    ] = 0.0
    latent_smooth_warmup_steps: Annotated[
        Natural, Doc("Apply --latent-action-smooth-coef from this step on.", STEPS)
    ] = 0
    freeze: Annotated[
        tuple[Network, ...],
        Doc("Network that is not trained: enc, dyn, rew, pi, q or glass; may be repeated."),
    ] = ()


@dataclass(frozen=True)
class GlassTraining:
    """Losses and schedule of prototypes and partition."""

    warmup_steps: Annotated[
        Natural, Doc("Train Glass from this step on.", STEPS, name="glass_warmup_steps")
    ] = 100_000
    off_steps: Annotated[
        Natural,
        Doc("Stop training Glass at this step; 0 for never.", STEPS, name="glass_off_steps"),
    ] = 0
    every_k_updates: Annotated[
        Count, Doc("Add the losses of Glass to every k-th update.", name="glass_every_k_updates")
    ] = 4
    lambda_se: Annotated[Finite, Doc("Weight of the structural entropy.")] = 5e-3
    lambda_balance: Annotated[
        Finite, Doc("Weight of the penalty on overfull clusters and prototypes.")
    ] = 1e-2
    lambda_temporal: Annotated[
        Finite, Doc("Weight of the distance between consecutive cluster distributions.")
    ] = 1e-3
    lambda_temp_stability: Annotated[
        Finite, Doc("Weight of 1 − cos of consecutive cluster distributions.")
    ] = 0.0
    lambda_super_se: Annotated[
        Finite, Doc("Weight of the structural entropy of the second level.")
    ] = 0.0
    lambda_super_balance: Annotated[
        Finite, Doc("Weight of the balance penalty of the second level.")
    ] = 0.0
    lambda_window: Annotated[
        Finite, Doc("Weight of H(mean c) − mean H(c) over consecutive frames.")
    ] = 0.0
    window: Annotated[Count, Doc("Window of --lambda-window.", "frames")] = 8
    lambda_contrastive: Annotated[
        Finite, Doc("Weight of the loss that pulls frames with the same foot contact together.")
    ] = 0.0
    stopgrad_graph: Annotated[
        bool, Doc("Stop the gradient of the Glass losses at the encoder.")
    ] = True
    logit_scale: Annotated[
        NonNegative,
        Doc(
            "Standard deviation of the initial assignment logits.", name="assign_logits_init_scale"
        ),
    ] = 1.0
    kmeans_init: Annotated[
        bool,
        Doc(
            "Initialise the prototypes by k-means on latents after the random phase; the losses "
            "of Glass wait for it."
        ),
    ] = False


@dataclass(frozen=True)
class Shaping:
    """Terms added to the training reward; evaluation uses the task's reward."""

    knee_penalty_coef: Annotated[
        Finite,
        Doc("Weight of −Σ max(0, threshold − height) over torso, nose, pelvis, thigh, calf."),
    ] = 0.0
    knee_threshold_m: Annotated[Finite, Doc("Threshold of --knee-penalty-coef.", "m")] = 0.15
    gait_fall_penalty: Annotated[
        Finite, Doc("Penalty per step while the hopper is below --gait-fall-height-m.")
    ] = 0.0
    gait_fall_height_m: Annotated[Finite, Doc("Height for --gait-fall-penalty.", "m")] = 0.45
    gait_action_smooth: Annotated[Finite, Doc("Weight of −‖a_t − a_{t−1}‖².")] = 0.0
    soft_stand_bonus: Annotated[
        Finite, Doc(f"Largest bonus for height, reached at {STAND_HEIGHT_M} m.")
    ] = 0.0
    soft_stand_floor_m: Annotated[
        Finite, Doc("Height at which --soft-stand-bonus begins.", "m")
    ] = 0.4
    soft_stand_anneal_steps: Annotated[
        Natural, Doc("Time in which --soft-stand-bonus falls to 0; 0 for constant.", STEPS)
    ] = 0
    cluster_intrinsic_coef: Annotated[
        Finite, Doc("Bonus per bit of entropy of the most recent labels.")
    ] = 0.0
    cluster_intrinsic_window: Annotated[
        Count, Doc("Number of labels for --cluster-intrinsic-coef.", "frames")
    ] = 20
    cluster_intrinsic_decay_start_steps: Annotated[
        Natural, Doc("Start of the decay of --cluster-intrinsic-coef.", STEPS)
    ] = 0
    cluster_intrinsic_decay_steps: Annotated[
        Natural, Doc("End of that decay, with a coefficient of 0; 0 for no decay.", STEPS)
    ] = 0

    @property
    def active(self) -> bool:
        """Whether the training reward differs from the task's."""
        falling = self.knee_penalty_coef or self.gait_fall_penalty or self.gait_action_smooth
        return bool(falling or self.soft_stand_bonus or self.cluster_intrinsic_coef)


@dataclass(frozen=True)
class Rescue:
    """Restarts and early stopping.

    A plateau restart reinitialises policy, Q, targets and optimiser, and keeps world model and
    replay. A basin restart begins again from nothing with another seed. Its signal `gait` is a
    roll-out of the policy in which less than a quarter of the frames with floor contact have it on
    the foot alone. Its signal `prototypes` is a partition with fewer than four active clusters;
    it is kept because it was used, and predicts nothing.
    """

    q_reset_steps: Annotated[
        tuple[Count, ...], Doc("Reinitialise the Q heads at this step; may be repeated.", STEPS)
    ] = ()
    early_stop_patience: Annotated[
        Natural,
        Doc("Stop after this long without a better return of the planner; 0 for never.", STEPS),
    ] = 0
    restart_on_plateau: Annotated[
        bool, Doc("Reinitialise policy and Q while the planner's best return is low.")
    ] = False
    restart_check_at: Annotated[
        Count, Doc("Check for --restart-on-plateau at every multiple of this.", STEPS)
    ] = 1_000_000
    restart_threshold: Annotated[
        Finite, Doc("Return below which --restart-on-plateau restarts.")
    ] = 100.0
    restart_max_attempts: Annotated[Natural, Doc("Most restarts by --restart-on-plateau.")] = 3
    basin_restart: Annotated[
        Signal | None, Doc("Start again with another seed when this signal shows a bad basin.")
    ] = None
    basin_check_at: Annotated[
        Count, Doc("Check for --basin-restart this long after a start.", STEPS)
    ] = 200_000
    basin_max_attempts: Annotated[Natural, Doc("Most restarts by --basin-restart.")] = 3


@dataclass(frozen=True)
class DemoTraining:
    """Learning from demonstrations."""

    demo_fraction: Annotated[
        float,
        Interval(ge=0, lt=1),
        Doc("Fraction of every batch that comes from demonstrations; 0 needs none."),
    ] = 0.0
    demo_bc_coef: Annotated[
        Finite,
        Doc("Initial weight of the squared distance between the policy's and the demo's action."),
    ] = 0.0
    demo_bc_end: Annotated[Finite, Doc("Final value of --demo-bc-coef.")] = 0.0
    demo_bc_decay_steps: Annotated[
        Natural, Doc("Time in which --demo-bc-coef falls to --demo-bc-end; 0 for constant.", STEPS)
    ] = 0


Algo = Literal["tdmpc-glass", "tdmpc2"]

# Restarts use larger seeds, and all of them must fit into a signed 32-bit integer.
MAX_SEED = 2_000_000_000

# The signal `prototypes` calls a partition with fewer active clusters a bad basin.
FEWEST_ACTIVE = 4


@dataclass(frozen=True)
class TrainConfig:
    """A training run.

    Fields with a `Doc`, here and in the parts, are settings: recipes and `glassviz train` can
    change them. A round is one step of every body, followed by `k_update` updates.

    Attributes:
        agent: the agent to train, including its task and its planner.
        seed: of parameters, resets, exploration and replay.
        explore, losses, glass, shaping, rescue, demos: the settings by subject; `glass` is ignored
            by an agent without it.

    Raises:
        UsageError: a setting is out of its range, or settings contradict each other; names the
            first.
    """

    agent: AgentConfig = field(default_factory=AgentConfig)
    seed: Annotated[int, Interval(ge=0, le=MAX_SEED)] = 1
    steps: Annotated[Count, Doc("Length of the run.", STEPS)] = 4_000_000
    num_envs: Annotated[Count, Doc("Bodies that step in parallel.")] = 256
    k_update: Annotated[
        Count, Doc("Gradient updates per round, a round being one step of every body.")
    ] = 64
    batch_size: Annotated[Count, Doc("Sequences per update.")] = 256
    buffer_steps: Annotated[Count, Doc("Capacity of the replay buffer.", "transitions")] = 1_000_000
    learning_starts: Annotated[Natural, Doc("Step of the first update.", STEPS)] = 5_000
    multitask: Annotated[
        bool,
        Doc(
            "Learn hop and stand together, with shared encoder, dynamics and Glass; reward, "
            "policy and Q heads are separate."
        ),
    ] = False
    precision: Annotated[
        Literal["float32", "bfloat16"], Doc("Precision of the matrix products in the losses.")
    ] = "float32"
    explore: Exploration = field(default_factory=Exploration)
    losses: Losses = field(default_factory=Losses)
    glass: GlassTraining = field(default_factory=GlassTraining)
    shaping: Shaping = field(default_factory=Shaping)
    rescue: Rescue = field(default_factory=Rescue)
    demos: DemoTraining = field(default_factory=DemoTraining)
    eval_every: Annotated[Count, Doc("Interval between evaluations.", STEPS)] = 250_000
    eval_episodes_pi: Annotated[Count, Doc("Episodes of the policy per evaluation.")] = 5
    eval_episodes_mppi: Annotated[Count, Doc("Episodes of the planner per evaluation.")] = 8
    save_every: Annotated[Count, Doc("Interval between saves.", STEPS)] = 50_000

    def __post_init__(self) -> None:
        check_fields(self, "training: ")
        for message in _contradictions(self):
            raise UsageError(f"training: {message}")

    @property
    def algo(self) -> Algo:
        """Published name of the algorithm."""
        return "tdmpc-glass" if self.agent.glass else "tdmpc2"

    @property
    def tasks(self) -> tuple[str, ...]:
        """Tasks that are learned; the agent's task first."""
        first = self.agent.env.task
        together = LEARNED_TOGETHER if self.multitask else ()
        return (first, *(task for task in together if task != first))

    @property
    def sequence_steps(self) -> int:
        """Transitions per sampled sequence: the planner's horizon, or more for the window loss."""
        horizon = self.agent.planner.horizon
        if self.agent.glass and self.glass.lambda_window:
            return max(horizon, self.glass.window - 1)
        return horizon

    @property
    def prototypes_start(self) -> int:
        """Step at which `kmeans_init` initialises the prototypes."""
        return max(self.explore.expl_until, self.learning_starts, 1)

    @property
    def glass_starts(self) -> int:
        """Step from which the losses of Glass apply."""
        warmup = self.glass.warmup_steps
        return max(warmup, self.prototypes_start) if self.glass.kmeans_init else warmup

    @property
    def demo_batch(self) -> int:
        """Sequences per batch that come from demonstrations."""
        return round(self.demos.demo_fraction * self.batch_size)

    def to_dict(self) -> dict[str, Any]:
        """Plain containers only, for JSON."""
        return dataclasses.asdict(self)


def _contradictions(train: TrainConfig) -> Iterator[str]:
    """What is wrong with the settings taken together."""
    floor, needed = train.shaping.soft_stand_floor_m, train.sequence_steps
    try:
        envs.check_env(train.agent.env)
        envs.check_body("agent", train.agent)
    except GlassvizError as error:
        yield str(error)
    task = train.agent.env.task
    if task_of(task).body.name != HOPPER and (only := list(_of_the_hopper_alone(train))):
        yield (
            f"{listed(only)} {'is' if len(only) == 1 else 'are'} of the hopper alone, found the "
            f"task {task}: drop the setting, or set it to 0 where a recipe has it"
        )
    if train.multitask and task not in LEARNED_TOGETHER:
        yield f"multitask learns {' and '.join(LEARNED_TOGETHER)} together, found {task}: drop one"
    if floor >= STAND_HEIGHT_M:
        yield (
            f"soft_stand_floor_m must be below {STAND_HEIGHT_M}, where the bonus is largest, found "
            f"{floor}"
        )
    # Replay must hold sequences without a reset; sampling would not end otherwise. Up to `needed`
    # rows may be the end of one episode, and the others the start of the next.
    if train.buffer_steps // train.num_envs <= 2 * needed:
        yield (
            f"buffer_steps must hold more than {2 * needed} steps of each of the {train.num_envs} "
            f"bodies, found {train.buffer_steps} in all"
        )
    episode = train.explore.collect_episode_steps or train.agent.env.episode_steps
    if episode <= needed:
        yield (
            f"an episode in collection must have more than the {needed} steps of a sequence, found "
            f"{episode}: raise collect_episode_steps, or lower mppi_horizon"
        )
    if train.multitask and (train.num_envs % 2 or train.batch_size % 2):
        yield (
            f"multitask needs an even num_envs and batch_size, found {train.num_envs} and "
            f"{train.batch_size}"
        )
    explore = train.explore
    if train.losses.planner_imitation_coef and not explore.planned(train.num_envs):
        yield (
            "planner_imitation_coef needs bodies that the planner acts for, found none: raise "
            "planner_share"
        )
    if train.multitask and train.demos.demo_fraction:
        yield "demonstrations are of one task, found multitask: drop one of the two"
    glass, by_prototypes = train.agent.glass, train.rescue.basin_restart == "prototypes"
    supers = train.glass.lambda_super_se or train.glass.lambda_super_balance
    if glass and supers and not glass.super_clusters:
        yield (
            "lambda_super_se and lambda_super_balance need a second level, found super_clusters 0: "
            "set it, or drop them"
        )
    if glass and by_prototypes and glass.clusters < FEWEST_ACTIVE:
        yield (
            f"basin_restart prototypes needs {FEWEST_ACTIVE} or more clusters, found "
            f"glass_clusters {glass.clusters}: use basin_restart gait"
        )
    if glass is None and "glass" in train.losses.freeze:
        yield "freeze glass needs Glass, found a run without it: drop the setting"
    bonus = train.shaping.cluster_intrinsic_coef
    if glass is None and (bonus or by_prototypes):
        name = "cluster_intrinsic_coef" if bonus else "basin_restart prototypes"
        yield (
            f"{name} needs the labels of Glass, found a run without it: drop the setting, or train "
            f"with Glass"
        )


def _of_the_hopper_alone(train: TrainConfig) -> Iterator[str]:
    """Settings in use that rest on the hopper's geoms, heights, sensors or upright pose."""
    shaping, glass = train.shaping, train.glass if train.agent.glass else None
    used = {
        "upright_resets": train.explore.upright_resets,
        "knee_penalty_coef": shaping.knee_penalty_coef,
        "gait_fall_penalty": shaping.gait_fall_penalty,
        "soft_stand_bonus": shaping.soft_stand_bonus,
        "lambda_contrastive": glass and glass.lambda_contrastive,
        "basin_restart gait": train.rescue.basin_restart == "gait",
        "demo_fraction": train.demos.demo_fraction,
        "multitask": train.multitask,
    }
    yield from (name for name, value in used.items() if value)


Preset = Literal["paper", "small"]


def preset(name: Preset, algo: Algo = "tdmpc-glass", **changes: Any) -> TrainConfig:
    """The run of a preset, with some fields of `TrainConfig` changed.

    `paper`: 512 wide, batches of 256, as published. `small`: 128 wide, batches of 128, planner with
    256 samples, shorter evaluations; 500,000 steps take 40 minutes on one CPU core.
    """
    glass = GlassConfig() if algo == "tdmpc-glass" else None
    if name == "paper":
        # The published runs without Glass evaluated the planner on three episodes.
        episodes: dict[str, Any] = {} if glass else {"eval_episodes_mppi": 3}
        return TrainConfig(agent=AgentConfig(glass=glass), **(episodes | changes))
    agent = AgentConfig(
        latent_dim=128,
        encoder_widths=(128, 128),
        hidden_widths=(128, 128),
        simnorm_group=16,
        glass=glass,
        planner=PlannerConfig(samples=256),
    )
    lengths = dict(steps=1_000_000, batch_size=128, eval_every=100_000, eval_episodes_mppi=3)
    return TrainConfig(agent=agent, **(lengths | changes))


def official(train: TrainConfig) -> TrainConfig:
    """The same run with the networks, losses and constants of the official TD-MPC2.

    Batch sizes, numbers of steps and widths are kept; the encoder has half the width. Source: the
    released code and the appendix of Hansen, Su & Wang, ICLR 2024, without the dropout of 1 % in
    the Q heads.
    """
    base = train.agent
    agent = tdmpc2_config(
        latent_dim=base.latent_dim,
        encoder_widths=(base.encoder_widths[0] // 2,),
        hidden_widths=base.hidden_widths,
        glass=base.glass,
        planner=dataclasses.replace(base.planner, variant="tdmpc2"),
        env=dataclasses.replace(base.env, action_repeat=2, episode_steps=500),
    )
    weights: dict[str, Any] = dict(
        consistency_coef=20.0, reward_coef=0.1, value_coef=0.1, policy_coef=1.0
    )
    losses = dataclasses.replace(train.losses, encoder_lr_scale=0.3, entropy_coef=1e-4, **weights)
    return dataclasses.replace(train, agent=agent, losses=losses)


@dataclass(frozen=True)
class Setting:
    """One setting.

    Attributes:
        path: the fields that lead to it from a `TrainConfig`, joined by dots.
        group: a heading for the settings of one dataclass, from the start of its docstring.
        range: the type, annotated with the values that it may take.
        default: of the preset `paper`; the preset `small` and recipes change some.
    """

    name: str
    path: str
    group: str
    type: Any
    range: Any
    default: Any
    doc: Doc

    @property
    def help(self) -> str:
        """Meaning, default with its unit, and range in one line."""
        unit = f" {self.doc.unit}" if self.doc.unit else ""
        default = f"default: {_shown(self.default)}{unit}" if self.default not in (None, ()) else ""
        notes = "; ".join(filter(None, [default or unit.strip(), _bounds(self.range)]))
        return f"{self.doc.text}  [{notes}]" if notes else self.doc.text

    def of(self, train: TrainConfig) -> Any:
        """Its value in a run; None where the run has no such part."""
        value: Any = train
        for name in self.path.split("."):
            value = getattr(value, name, None)
        return value


def _settings(config: type, path: str = "") -> Iterator[Setting]:
    """The fields of a dataclass that have a `Doc`, then those of its parts."""
    ranges = get_type_hints(config, include_extras=True)
    types = get_type_hints(config)
    group = re.split(r" ?[.:;(]", config.__doc__ or "")[0]
    for each in dataclasses.fields(config):
        kind, place = ranges[each.name], path + each.name
        for doc in getattr(kind, "__metadata__", ()):
            if isinstance(doc, Doc):
                name = doc.name or each.name
                yield Setting(name, place, group, types[each.name], kind, each.default, doc)
    for each in dataclasses.fields(config):
        kind = types[each.name]
        for part in (kind, *get_args(kind)):  # of `Part | None` too
            if isinstance(part, type) and dataclasses.is_dataclass(part):
                yield from _settings(part, f"{path}{each.name}.")


def _shown(value: Any) -> str:
    if isinstance(value, bool):
        return "on" if value else "off"
    return f"{value:g}" if isinstance(value, float) else str(value)


def _bounds(kind: Any) -> str:
    """The range that an annotation allows, such as `0<=x<1`; empty without one."""
    for mark in _marks(kind):
        if isinstance(mark, Ge):
            return f"x>={mark.ge}"
        if isinstance(mark, Interval) and mark.lt != math.inf:
            low = f"{mark.ge}<=" if mark.ge is not None else f"{mark.gt}<"
            return f"{low}x<={mark.le}" if mark.le is not None else f"{low}x<{mark.lt}"
        if isinstance(mark, Interval) and mark.gt != -math.inf:
            return f"x>={mark.ge}" if mark.ge is not None else f"x>{mark.gt}"
    return ""


def _marks(kind: Any) -> Iterator[Any]:
    """What stands in an annotation beside types, also inside `… | None` and `tuple[…]`."""
    yield from getattr(kind, "__metadata__", ())
    for each in get_args(kind):
        yield from _marks(each)


SETTINGS: dict[str, Setting] = {each.name: each for each in _settings(TrainConfig)}


def needs_glass(name: str) -> bool:
    """Whether a setting has no effect in a run without Glass."""
    return name in SETTINGS and SETTINGS[name].path.startswith(("agent.glass.", "glass."))


def apply(
    train: TrainConfig, values: Mapping[str, Any], places: Mapping[str, str] | None = None
) -> TrainConfig:
    """A run with some settings changed, all at once.

    Args:
        values: by the setting's name.
        places: where each was written, for messages; "training" by default.

    Raises:
        UsageError: an unknown name, a value of the wrong type or out of its range, a setting of
            Glass in a run without it, or settings that contradict each other.
    """
    changes: dict[str, Any] = {}
    for name, value in values.items():
        place = (places or {}).get(name, "training")
        if name not in SETTINGS:
            raise UsageError(
                f"{place}: expected settings of a training run, found {printable(name)!r}: see "
                f"`glassviz train --help`"
            )
        if needs_glass(name) and train.agent.glass is None:
            raise UsageError(
                f"{place}: {name} is a setting of Glass, found a run without it: drop the "
                f"setting, or train with Glass"
            )
        setting = SETTINGS[name]
        changes[setting.path] = check_value(f"{place}: {name}", setting.range, value)
    return _replace(train, _of_task(train, changes) | changes)


def _of_task(train: TrainConfig, changes: Mapping[str, Any]) -> dict[str, Any]:
    """What follows from another task or action repeat, by dotted path.

    An episode lasts as long as before. Discount and iterations of the planner follow in the family
    of TD-MPC2, as published; those of TD-MPC-Glass are constants.
    """
    agent, env = train.agent, train.agent.env
    task = changes.get("agent.env.task", env.task)
    repeat = changes.get("agent.env.action_repeat", env.action_repeat)
    if (task, repeat) == (env.task, env.action_repeat) or task not in tasks():
        return {}
    steps = max(env.episode_steps * env.action_repeat // repeat, 1)
    facts = task_of(task)
    found: dict[str, Any] = {
        "agent.obs_dim": facts.obs_dim,
        "agent.action_dim": facts.body.action_dim,
        "agent.env.episode_steps": steps,
    }
    if agent.family == "tdmpc2":
        usual = agent.planner.iterations - more_iterations(agent.action_dim)
        found["agent.planner.iterations"] = usual + more_iterations(facts.body.action_dim)
        found["agent.planner.discount"] = discount(steps)
    return found


def _replace(config: Any, changes: Mapping[str, Any]) -> Any:
    """`config` with the values at some dotted paths changed; each part is rebuilt once."""
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
