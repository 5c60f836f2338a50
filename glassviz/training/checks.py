"""Which training runs are possible at all: what would fail, hang or mean nothing is refused."""

import dataclasses
from typing import TYPE_CHECKING, Any, get_type_hints

from glassviz.errors import UsageError

if TYPE_CHECKING:
    from glassviz.training.config import TrainConfig

# Where the task's own reward for standing begins; `envs` is not imported for a number.
STAND_HEIGHT_M = 0.6
# With fewer active clusters an agent is in a bad basin, by the signal `prototypes`.
FEWEST_ACTIVE = 4


def check(train: "TrainConfig") -> None:
    """Refuse a run that cannot be trained.

    Raises:
        UsageError: naming the first setting that is in the way.
    """
    _check_fields(train, "training: ")
    _check_floor(train)
    _check_lengths(train)
    _check_parts(train)


def valid(place: str, kind: Any, value: Any) -> Any:
    """`value` as what an annotation asks for, its range included.

    Raises:
        UsageError: it is something else.
    """
    # Here, because the command line reads the settings before any command runs.
    from pydantic import TypeAdapter, ValidationError

    try:
        return TypeAdapter(kind).validate_python(value)
    except ValidationError as error:
        reason = error.errors(include_url=False)[0]["msg"]
        raise UsageError(
            f"{place} is not usable: {reason[0].lower()}{reason[1:]}, found {value!r}"
        ) from None


def _check_fields(config: Any, place: str) -> None:
    kinds = get_type_hints(type(config), include_extras=True)
    for field in dataclasses.fields(config):
        value = getattr(config, field.name)
        if dataclasses.is_dataclass(value):
            _check_fields(value, f"{place}{field.name}.")
        else:
            valid(f"{place}{field.name}", kinds[field.name], value)


def _check_floor(train: "TrainConfig") -> None:
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
