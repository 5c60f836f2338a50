"""The parts of a training run's configuration, by what they concern: frozen dataclasses."""

from dataclasses import dataclass
from typing import Annotated, Literal

from annotated_types import Interval

from glassviz.ranges import Count, Finite, Natural, NonNegative, Positive, Share

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
