"""Configuration of a training run: its parts, the rules between them, presets."""

import dataclasses
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal, get_args

from annotated_types import Interval

from glassviz.agents.config import AgentConfig, GlassConfig, PlannerConfig, Task, tdmpc2_config
from glassviz.errors import UsageError
from glassviz.validation import Count, Finite, Natural, NonNegative, Positive, Share, check_fields

Signal = Literal["gait", "prototypes"]


@dataclass(frozen=True)
class Exploration:
    """How actions are chosen in collection.

    Attributes:
        collect: the policy's mean action with noise, or the planner's.
        expl_until: environment steps of uniformly random actions.
        expl_mix_decay_steps: when above 0, replaces `expl_until`: each hopper acts at random with
            a probability that falls from 1 to 0 over this many steps.
        act_noise_start, act_noise_end: std of the Gaussian noise on the action; `None` keeps the
            start's.
        act_noise_anneal_steps: environment steps from the one to the other.
        upright_resets: share of the hoppers whose episodes begin upright, in collection alone.
        collect_episode_steps: decisions of an episode in collection; 0 for the task's own.
    """

    collect: Literal["pi", "mppi"] = "pi"
    expl_until: Natural = 25_000
    expl_mix_decay_steps: Natural = 0
    act_noise_start: NonNegative = 0.3
    act_noise_end: NonNegative | None = None
    act_noise_anneal_steps: Count = 1_000_000
    upright_resets: Share = 0.0
    collect_episode_steps: Natural = 0


@dataclass(frozen=True)
class Losses:
    """Weights of the losses, and how they are optimised.

    Attributes:
        learning_rate, grad_clip: of Adam, and the global norm that gradients are clipped to.
        encoder_lr_scale: share of the learning rate that the encoder gets.
        ema: share of the online parameters that enters the targets at each update.
        rho: weight of a step further along the model roll-out.
        consistency_coef, reward_coef, value_coef, policy_coef: weights of the losses.
        entropy_coef: weight of the policy's entropy (official TD-MPC2 only).
        latent_action_smooth_coef: λ·mean‖π(z_{t+1}) − π(z_t)‖² along the model roll-out.
        latent_smooth_warmup_steps: environment steps before that term counts.
    """

    learning_rate: Positive = 3e-4
    encoder_lr_scale: NonNegative = 1.0
    grad_clip: Positive = 20.0
    ema: Share = 0.01
    rho: Share = 0.5
    consistency_coef: Finite = 2.0
    reward_coef: Finite = 2.0
    value_coef: Finite = 1.0
    policy_coef: Finite = 0.1
    entropy_coef: Finite = 0.0
    latent_action_smooth_coef: Finite = 0.0
    latent_smooth_warmup_steps: Natural = 0


@dataclass(frozen=True)
class GlassTraining:
    """How prototypes and partition are trained.

    Attributes:
        warmup_steps: environment steps before the Glass losses exist.
        off_steps: environment steps after which they no longer do; 0 for never.
        every_k_updates: the losses join every k-th update.
        lambda_se, lambda_balance, lambda_temporal: weights of structural entropy, of the penalty
            on overfull clusters and prototypes, and of the distance between consecutive
            cluster distributions.
        lambda_temp_stability: weight of 1 − cos of consecutive cluster distributions.
        lambda_super_se, lambda_super_balance: the first two, one level up.
        lambda_window, window: weight of H(mean c) − mean H(c) over this many consecutive frames.
        lambda_contrastive: weight of the contrastive loss that draws together frames of a
            sequence with the same contact state.
        stopgrad_graph: whether the encoder is shielded from the Glass losses.
        logit_scale: std of the initial assignment logits.
        kmeans_init: whether prototypes start at the centroids of latents once the random phase
            is over; the losses wait for it, even where `warmup_steps` are over before.
    """

    warmup_steps: Natural = 100_000
    off_steps: Natural = 0
    every_k_updates: Count = 4
    lambda_se: Finite = 5e-3
    lambda_balance: Finite = 1e-2
    lambda_temporal: Finite = 1e-3
    lambda_temp_stability: Finite = 0.0
    lambda_super_se: Finite = 0.0
    lambda_super_balance: Finite = 0.0
    lambda_window: Finite = 0.0
    window: Count = 8
    lambda_contrastive: Finite = 0.0
    stopgrad_graph: bool = True
    logit_scale: NonNegative = 1.0
    kmeans_init: bool = False


@dataclass(frozen=True)
class Shaping:
    """What is added to the training reward; evaluation is on the task's own.

    Attributes:
        knee_penalty_coef, knee_threshold_m: −coef·Σ max(0, threshold − z) over the heights of
            torso, nose, pelvis, thigh and calf.
        gait_fall_penalty, gait_fall_height_m: −penalty while the height is below.
        gait_action_smooth: −coef·‖a_t − a_{t−1}‖².
        soft_stand_bonus, soft_stand_floor_m: +bonus·(height − floor)/(0.6 m − floor), clipped to
            [0, bonus].
        soft_stand_anneal_steps: environment steps over which the bonus falls to 0; 0 keeps it.
        cluster_intrinsic_coef, cluster_intrinsic_window: +coef·entropy (bits) of the labels of
            the last frames.
        cluster_intrinsic_decay_start_steps, cluster_intrinsic_decay_steps: the coefficient falls
            to 0 between the first and the second; a second of 0 keeps it.
    """

    knee_penalty_coef: Finite = 0.0
    knee_threshold_m: Finite = 0.15
    gait_fall_penalty: Finite = 0.0
    gait_fall_height_m: Finite = 0.45
    gait_action_smooth: Finite = 0.0
    soft_stand_bonus: Finite = 0.0
    soft_stand_floor_m: Finite = 0.4
    soft_stand_anneal_steps: Natural = 0
    cluster_intrinsic_coef: Finite = 0.0
    cluster_intrinsic_window: Count = 20
    cluster_intrinsic_decay_start_steps: Natural = 0
    cluster_intrinsic_decay_steps: Natural = 0

    @property
    def active(self) -> bool:
        """Whether the training reward differs from the task's."""
        return any(
            (
                self.knee_penalty_coef,
                self.gait_fall_penalty,
                self.gait_action_smooth,
                self.soft_stand_bonus,
                self.cluster_intrinsic_coef,
            )
        )


@dataclass(frozen=True)
class Rescue:
    """What is done about a run that goes badly.

    Attributes:
        q_reset_steps: environment steps at which the Q heads start anew.
        early_stop_patience: environment steps without a better planner, after which a run ends;
            0 for never.
        restart_on_plateau: whether policy, Q, targets and optimiser start anew while the best
            planner is below `restart_threshold` at `restart_check_at` steps (and at its multiples,
            at most `restart_max_attempts` times); world model and replay stay.
        basin_restart: signal by which a run is given up at `basin_check_at` steps and begun anew
            with another seed, at most `basin_max_attempts` times. `gait`: a roll-out of the policy
            in which less than a quarter of the frames that touch the floor touch it with the foot
            alone. `prototypes`: fewer than four clusters are active in the partition; kept because
            it was used, although it is known to predict nothing.
    """

    q_reset_steps: tuple[Count, ...] = ()
    early_stop_patience: Natural = 0
    restart_on_plateau: bool = False
    restart_check_at: Count = 1_000_000
    restart_threshold: Finite = 100.0
    restart_max_attempts: Natural = 3
    basin_restart: Signal | None = None
    basin_check_at: Count = 200_000
    basin_max_attempts: Natural = 3


@dataclass(frozen=True)
class DemoTraining:
    """How demonstrations are learned from.

    Attributes:
        demo_fraction: share of every batch that comes from demonstrations; 0 needs none.
        demo_bc_coef: weight of the squared distance between the policy's action and the
            demonstrated one.
        demo_bc_end: what that weight falls to.
        demo_bc_decay_steps: environment steps over which it falls; 0 keeps the first weight.
    """

    demo_fraction: Annotated[float, Interval(ge=0, lt=1)] = 0.0
    demo_bc_coef: Finite = 0.0
    demo_bc_end: Finite = 0.0
    demo_bc_decay_steps: Natural = 0


Algo = Literal["tdmpc-glass", "tdmpc2"]


# Seeds of new starts are larger, and all have to fit into 32 bits with a sign.
MAX_SEED = 2_000_000_000


# Where the task's own reward for standing begins; `envs` is not imported for a number.
STAND_HEIGHT_M = 0.6


# With fewer active clusters an agent is in a bad basin, by the signal `prototypes`.
FEWEST_ACTIVE = 4


@dataclass(frozen=True)
class TrainConfig:
    """A training run.

    Attributes:
        agent: the agent to train, its task and its planner included.
        seed: of parameters, resets, exploration and replay.
        steps: environment steps in all.
        num_envs: hoppers that step together.
        k_update: gradient updates per round, a round being one step of every hopper.
        batch_size: sequences per update; each has `agent.planner.horizon` transitions.
        buffer_steps: transitions that the replay buffer holds.
        learning_starts: environment steps before the first update.
        multitask: whether hop and stand are learned together: one encoder, model of the dynamics
            and Glass, and a reward model, a policy and Q heads each.
        precision: of the matrix products in the losses.
        explore, losses, glass, shaping, rescue, demos: the settings by what they concern; `glass`
            is ignored by an agent without it.
        eval_every, eval_episodes_pi, eval_episodes_mppi: evaluations on the task's own reward.
        save_every: environment steps between saves.

    Raises:
        UsageError: naming the first setting that would fail, hang or mean nothing.
    """

    agent: AgentConfig = field(default_factory=AgentConfig)
    seed: Annotated[int, Interval(ge=0, le=MAX_SEED)] = 1
    steps: Count = 4_000_000
    num_envs: Count = 256
    k_update: Count = 64
    batch_size: Count = 256
    buffer_steps: Count = 1_000_000
    learning_starts: Natural = 5_000
    multitask: bool = False
    precision: Literal["float32", "bfloat16"] = "float32"
    explore: Exploration = field(default_factory=Exploration)
    losses: Losses = field(default_factory=Losses)
    glass: GlassTraining = field(default_factory=GlassTraining)
    shaping: Shaping = field(default_factory=Shaping)
    rescue: Rescue = field(default_factory=Rescue)
    demos: DemoTraining = field(default_factory=DemoTraining)
    eval_every: Count = 250_000
    eval_episodes_pi: Count = 5
    eval_episodes_mppi: Count = 8
    save_every: Count = 50_000

    def __post_init__(self) -> None:
        check_fields(self, "training: ")
        _check_floor(self)
        _check_lengths(self)
        _check_parts(self)

    @property
    def algo(self) -> Algo:
        """The published name of what is trained."""
        return "tdmpc-glass" if self.agent.glass else "tdmpc2"

    @property
    def tasks(self) -> tuple[Task, ...]:
        """The tasks that are learned; the agent's own first."""
        own = self.agent.env.task
        others = tuple(task for task in get_args(Task) if task != own) if self.multitask else ()
        return (own, *others)

    @property
    def sequence_steps(self) -> int:
        """Transitions of a sampled sequence: the planner's horizon, or more for the window loss."""
        horizon = self.agent.planner.horizon
        if self.agent.glass and self.glass.lambda_window:
            return max(horizon, self.glass.window - 1)
        return horizon

    @property
    def prototypes_start(self) -> int:
        """Environment steps at which k-means finds the first prototypes, where it is asked to."""
        return max(self.explore.expl_until, self.learning_starts, 1)

    @property
    def glass_starts(self) -> int:
        """Environment steps at which the losses of Glass begin."""
        warmup = self.glass.warmup_steps
        return max(warmup, self.prototypes_start) if self.glass.kmeans_init else warmup

    @property
    def demo_batch(self) -> int:
        """Sequences of a batch that come from demonstrations."""
        return round(self.demos.demo_fraction * self.batch_size)

    def to_dict(self) -> dict[str, Any]:
        """Plain containers only, for JSON."""
        return dataclasses.asdict(self)


def _check_floor(train: TrainConfig) -> None:
    floor = train.shaping.soft_stand_floor_m
    if floor >= STAND_HEIGHT_M:
        raise UsageError(
            f"training: soft_stand_floor_m must be below {STAND_HEIGHT_M}, where the bonus has "
            f"its full height, found {floor}"
        )


def _check_lengths(train: TrainConfig) -> None:
    """Whether replay always holds a sequence that crosses no reset: one is drawn until it does."""
    needed = train.sequence_steps
    # Of these rows so many may be the end of one episode, and the rest is the start of the next.
    if train.buffer_steps // train.num_envs <= 2 * needed:
        raise UsageError(
            f"training: buffer_steps must hold more than {2 * needed} steps "
            f"of each of the {train.num_envs} hoppers, found {train.buffer_steps}"
        )
    episode = train.explore.collect_episode_steps or train.agent.env.episode_steps
    if episode <= needed:
        raise UsageError(
            f"training: an episode in collection must have more than the {needed} steps of a "
            f"sequence, found {episode}: raise collect_episode_steps, or lower mppi_horizon"
        )


def _check_parts(train: TrainConfig) -> None:
    if train.multitask and (train.num_envs % 2 or train.batch_size % 2):
        raise UsageError(
            f"training: multitask needs an even num_envs and batch_size, found "
            f"{train.num_envs} and {train.batch_size}"
        )
    if train.demos.demo_fraction and train.multitask:
        raise UsageError("training: demonstrations are of one task, found multitask: drop one")
    supers = train.glass.lambda_super_se or train.glass.lambda_super_balance
    if train.agent.glass and supers and not train.agent.glass.super_clusters:
        raise UsageError(
            "training: lambda_super_se and lambda_super_balance are of a second level, found "
            "super_clusters 0: set it, or leave them out"
        )
    if train.rescue.basin_restart == "prototypes" and train.agent.glass:
        clusters = train.agent.glass.clusters
        if clusters < FEWEST_ACTIVE:
            raise UsageError(
                f"training: basin_restart prototypes takes fewer than {FEWEST_ACTIVE} active "
                f"clusters for a bad basin, found glass_clusters {clusters}: choose the signal gait"
            )
    needing_glass = {
        "cluster_intrinsic_coef": bool(train.shaping.cluster_intrinsic_coef),
        "basin_restart prototypes": train.rescue.basin_restart == "prototypes",
    }
    for name, wanted in needing_glass.items():
        if wanted and train.agent.glass is None:
            raise UsageError(
                f"training: {name} needs the labels of Glass, found a run without it: leave the "
                f"setting out, or train with Glass"
            )


Preset = Literal["paper", "small"]


def preset(name: Preset, algo: Algo = "tdmpc-glass", **changes: Any) -> TrainConfig:
    """The run that a preset describes, with some fields of `TrainConfig` changed.

    `paper`: 512 wide, batches of 256, as published. `small`: 128 wide, batches of 128, plans of
    256 samples, shorter evaluations: 40 minutes of one CPU core for 500,000 steps.
    """
    glass = GlassConfig() if algo == "tdmpc-glass" else None
    if name == "paper":
        # The published runs without Glass evaluated their planner in three episodes.
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
    small: dict[str, Any] = dict(
        steps=1_000_000,
        batch_size=128,
        eval_every=100_000,
        eval_episodes_mppi=3,
    )
    return TrainConfig(agent=agent, **(small | changes))


def official(train: TrainConfig) -> TrainConfig:
    """The same run with the networks, losses and constants of the official TD-MPC2.

    Sizes of batches and numbers of steps stay, and widths (the encoder's is half the others').
    Source: the released code and appendix of Hansen, Su & Wang, ICLR 2024; its dropout of 1 % in
    the Q heads is left out.
    """
    own = train.agent
    agent = tdmpc2_config(
        latent_dim=own.latent_dim,
        encoder_widths=(own.encoder_widths[0] // 2,),
        hidden_widths=own.hidden_widths,
        glass=own.glass,
        planner=dataclasses.replace(own.planner, variant="tdmpc2"),
        env=dataclasses.replace(own.env, action_repeat=2, episode_steps=500),
    )
    losses = dataclasses.replace(
        train.losses,
        encoder_lr_scale=0.3,
        consistency_coef=20.0,
        reward_coef=0.1,
        value_coef=0.1,
        policy_coef=1.0,
        entropy_coef=1e-4,
    )
    return dataclasses.replace(train, agent=agent, losses=losses)
