"""What a training run is made of: one frozen dataclass, and the presets that fill it."""

import dataclasses
from dataclasses import dataclass, field
from typing import Any, Literal

from glassviz.agents.config import AgentConfig, EnvConfig, GlassConfig, Physics, PlannerConfig, Task
from glassviz.errors import UsageError

Algo = Literal["tdmpc-glass", "tdmpc2"]
Preset = Literal["paper", "small"]


@dataclass(frozen=True)
class GlassTraining:
    """How prototypes and partition are trained.

    Attributes:
        warmup_steps: environment steps before the Glass losses exist.
        every_k_updates: the losses join every k-th update.
        lambda_se, lambda_balance, lambda_temporal: weights of structural entropy, of the penalty
            on overfull clusters and prototypes, and of the distance between consecutive
            cluster distributions.
        stopgrad_graph: whether the encoder is shielded from the Glass losses.
        logit_scale: std of the initial assignment logits.
    """

    warmup_steps: int = 100_000
    every_k_updates: int = 4
    lambda_se: float = 5e-3
    lambda_balance: float = 1e-2
    lambda_temporal: float = 1e-3
    stopgrad_graph: bool = True
    logit_scale: float = 1.0


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
        expl_until: environment steps of uniformly random actions.
        act_noise: std of the Gaussian noise on the policy's action in collection.
        learning_rate, grad_clip: of Adam, and the global norm that gradients are clipped to.
        ema: share of the online parameters that enters the targets at each update.
        rho: weight of a step further along the model roll-out.
        discount: γ of the TD target.
        consistency_coef, reward_coef, value_coef, policy_coef: weights of the losses.
        glass: how Glass is trained; ignored by an agent without it.
        eval_every, eval_episodes_pi, eval_episodes_mppi: evaluations on the task's own reward.
        save_every: environment steps between saves.
    """

    agent: AgentConfig = field(default_factory=AgentConfig)
    seed: int = 1
    steps: int = 4_000_000
    num_envs: int = 256
    k_update: int = 64
    batch_size: int = 256
    buffer_steps: int = 1_000_000
    learning_starts: int = 5_000
    expl_until: int = 25_000
    act_noise: float = 0.3
    learning_rate: float = 3e-4
    grad_clip: float = 20.0
    ema: float = 0.01
    rho: float = 0.5
    discount: float = 0.99
    consistency_coef: float = 2.0
    reward_coef: float = 2.0
    value_coef: float = 1.0
    policy_coef: float = 0.1
    glass: GlassTraining = field(default_factory=GlassTraining)
    eval_every: int = 250_000
    eval_episodes_pi: int = 5
    eval_episodes_mppi: int = 8
    save_every: int = 50_000

    def __post_init__(self) -> None:
        for name in ("steps", "num_envs", "k_update", "batch_size", "eval_every", "save_every"):
            if getattr(self, name) < 1:
                raise UsageError(
                    f"training: {name} must be at least 1, found {getattr(self, name)}"
                )
        rows = self.buffer_steps // self.num_envs
        if rows <= self.agent.planner.horizon:
            raise UsageError(
                f"training: buffer_steps must hold more than {self.agent.planner.horizon} steps "
                f"of each of the {self.num_envs} hoppers, found {self.buffer_steps}"
            )

    @property
    def algo(self) -> Algo:
        """The published name of what is trained."""
        return "tdmpc-glass" if self.agent.glass else "tdmpc2"

    def to_dict(self) -> dict[str, Any]:
        """Plain containers only, for JSON."""
        return dataclasses.asdict(self)


def preset(
    name: Preset,
    algo: Algo,
    task: Task = "hopper-hop",
    physics: Physics = "dm_control",
    planner: PlannerConfig | None = None,
    **changes: Any,
) -> TrainConfig:
    """The run that a preset describes, with some fields of `TrainConfig` changed.

    `paper`: 512 wide, batches of 256, as published. `small`: 128 wide, batches of 128, plans of
    256 samples, shorter evaluations: 40 minutes of one CPU core for 500,000 steps. With Glass,
    temperature and initial logits are those of the published runs (phase 1b and after).
    """
    glass = GlassConfig(proto_temperature=0.7) if algo == "tdmpc-glass" else None
    changes = {"glass": GlassTraining(logit_scale=0.5)} | changes
    env = EnvConfig(task=task, physics=physics)
    if name == "paper":
        agent = AgentConfig(glass=glass, env=env, planner=planner or PlannerConfig())
        return TrainConfig(agent=agent, **changes)
    agent = AgentConfig(
        latent_dim=128,
        encoder_widths=(128, 128),
        hidden_widths=(128, 128),
        simnorm_group=16,
        glass=glass,
        env=env,
        planner=planner or PlannerConfig(samples=256),
    )
    small: dict[str, Any] = dict(
        steps=1_000_000,
        batch_size=128,
        eval_every=100_000,
        eval_episodes_mppi=3,
    )
    return TrainConfig(agent=agent, **(small | changes))
