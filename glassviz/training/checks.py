"""Which training runs are possible at all: what would fail, hang or mean nothing is refused."""

from typing import TYPE_CHECKING

from glassviz.errors import UsageError

if TYPE_CHECKING:
    from glassviz.training.config import TrainConfig

# Seeds of new starts are larger, and all have to fit into 32 bits with a sign.
MAX_SEED = 2_000_000_000
# Where the task's own reward for standing begins; `envs` is not imported for a number.
STAND_HEIGHT_M = 0.6


def check(train: "TrainConfig") -> None:
    """Refuse a run that cannot be trained.

    Raises:
        UsageError: naming the first setting that is in the way, by its published name.
    """
    _check_numbers(train)
    _check_lengths(train)
    _check_parts(train)


def _check_numbers(train: "TrainConfig") -> None:
    counts = {
        "steps": train.steps,
        "num_envs": train.num_envs,
        "k_update": train.k_update,
        "batch_size": train.batch_size,
        "eval_every": train.eval_every,
        "eval_episodes_pi": train.eval_episodes_pi,
        "eval_episodes_mppi": train.eval_episodes_mppi,
        "save_every": train.save_every,
        "act_noise_anneal_steps": train.explore.act_noise_anneal_steps,
        "glass_every_k_updates": train.glass.every_k_updates,
        "window": train.glass.window,
        "cluster_intrinsic_window": train.shaping.cluster_intrinsic_window,
        "restart_check_at": train.rescue.restart_check_at,
    }
    for name, value in counts.items():
        if value < 1:
            raise UsageError(f"training: {name} must be at least 1, found {value}")
    if not 0 <= train.seed <= MAX_SEED:
        raise UsageError(f"training: seed must be from 0 to {MAX_SEED}, found {train.seed}")
    if not 0 <= train.demos.demo_fraction < 1:
        raise UsageError(
            f"training: demo_fraction must be at least 0 and below 1, found "
            f"{train.demos.demo_fraction}"
        )
    floor = train.shaping.soft_stand_floor_m
    if floor >= STAND_HEIGHT_M:
        raise UsageError(
            f"training: soft_stand_floor_m must be below {STAND_HEIGHT_M}, where the bonus has "
            f"its full height, found {floor}"
        )


def _check_lengths(train: "TrainConfig") -> None:
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


def _check_parts(train: "TrainConfig") -> None:
    if train.multitask and (train.num_envs % 2 or train.batch_size % 2):
        raise UsageError(
            f"training: multitask needs an even num_envs and batch_size, found "
            f"{train.num_envs} and {train.batch_size}"
        )
    if train.demos.demo_fraction and train.multitask:
        raise UsageError("training: demonstrations are of one task, found multitask: drop one")
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
