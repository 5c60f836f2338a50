"""What a training run is made of, and which runs are possible at all.

`settings.py` gives every field its published name; `recipes.toml` says which experiment changes
which.
"""

import dataclasses
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal, get_args

from annotated_types import Interval

from glassviz.agents.config import AgentConfig, Task
from glassviz.errors import UsageError
from glassviz.ranges import Count, Natural, check_fields
from glassviz.training.parts import (
    DemoTraining,
    Exploration,
    GlassTraining,
    Losses,
    Rescue,
    Shaping,
)

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
