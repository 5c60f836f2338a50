"""One gradient update, and the K updates of a round."""

from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Bool, Float, Int

from glassviz.agents.networks import init_params
from glassviz.training.config import TrainConfig
from glassviz.training.losses import Batch, Metrics, total_loss
from glassviz.training.replay import Sequences

SCALE_EMA = 0.01
SCALE_BOUNDS = (1.0, 4.0)


class LearnerState(NamedTuple):
    """Everything that updates change."""

    params: dict[str, Any]
    target_params: dict[str, Any]
    opt_state: Any
    scale: Float[Array, ""]
    updates: Int[Array, ""]


def optimizer(train: TrainConfig) -> optax.GradientTransformation:
    """Adam behind a clip of the global gradient norm."""
    return optax.chain(optax.clip_by_global_norm(train.grad_clip), optax.adam(train.learning_rate))


def init_learner(train: TrainConfig) -> LearnerState:
    """A fresh learner; targets equal the online parameters."""
    params = init_params(train.agent, jax.random.key(train.seed), train.glass.logit_scale)
    return LearnerState(
        params=params,
        target_params=jax.tree.map(jnp.copy, params),
        opt_state=optimizer(train).init(params),
        scale=jnp.array(SCALE_BOUNDS[0]),
        updates=jnp.array(0),
    )


def update(
    train: TrainConfig, state: LearnerState, batch: Batch, glass_warm: Bool[Array, ""]
) -> tuple[LearnerState, Metrics]:
    """One gradient update on one batch.

    Args:
        glass_warm: whether the Glass warm-up is over; then every k-th update has its losses.
    """
    glass_on = glass_warm & (state.updates % train.glass.every_k_updates == 0)
    gradient, metrics = jax.grad(total_loss, has_aux=True)(
        state.params, train, state.target_params, state.scale, batch, glass_on
    )
    step, opt_state = optimizer(train).update(gradient, state.opt_state, state.params)
    params = optax.apply_updates(state.params, step)
    scale = jnp.clip((1 - SCALE_EMA) * state.scale + SCALE_EMA * metrics["q_spread"], *SCALE_BOUNDS)
    new_state = LearnerState(
        params=params,
        target_params=optax.incremental_update(params, state.target_params, train.ema),
        opt_state=opt_state,
        scale=scale,
        updates=state.updates + 1,
    )
    return new_state, metrics | {"grad_norm": optax.tree.norm(gradient), "scale": scale}


def update_round(
    train: TrainConfig, state: LearnerState, sequences: Sequences, glass_warm: bool
) -> tuple[LearnerState, Metrics]:
    """One update for each batch of `sequences`, in one compiled call. Donates `state`.

    Returns the new state and each metric's mean over the updates.
    """
    batches = Batch(*map(jnp.asarray, sequences))
    return _compiled_round(train, state, batches, jnp.asarray(glass_warm))


@partial(jax.jit, static_argnames="train", donate_argnames="state")
def _compiled_round(
    train: TrainConfig, state: LearnerState, batches: Batch, glass_warm: Bool[Array, ""]
) -> tuple[LearnerState, Metrics]:
    def one_update(state: LearnerState, batch: Batch) -> tuple[LearnerState, Metrics]:
        # Without the barrier XLA fuses the slice of this update's batch into the first matrix
        # products, which on a CPU then run six times slower.
        return update(train, state, jax.lax.optimization_barrier(batch), glass_warm)

    state, metrics = jax.lax.scan(one_update, state, batches)
    return state, jax.tree.map(lambda values: values.mean(axis=0), metrics)
