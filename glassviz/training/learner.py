"""Gradient updates: a single one, and the K updates of a round for several seeds at once."""

import dataclasses
from functools import lru_cache, partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array, Float, Int, UInt32

from glassviz.agents.networks import Params, init_params, map_stacked, matmul_dtype, stack
from glassviz.training.collection import Sequences
from glassviz.training.config import Exploration, Rescue, Shaping, TrainConfig
from glassviz.training.losses import HEADS, MIN_SCALE, Batch, Metrics, Schedule, total_loss

SeedMetrics = dict[str, Float[Array, " seeds"]]

# ε of Adam on the policy in the official TD-MPC2.
OFFICIAL_POLICY_EPS = 1e-5


class LearnerState(NamedTuple):
    """State changed by updates. With several seeds, they are the first axis of every leaf."""

    params: dict[str, Any]
    target_params: dict[str, Any]
    opt_state: Any
    scale: Float[Array, "*seeds"]
    updates: Int[Array, "*seeds"]
    key: UInt32[Array, "*seeds two"]


def optimizer(train: TrainConfig) -> optax.GradientTransformation:
    """Adam after clipping the global gradient norm.

    The official TD-MPC2 clips the policy's gradient separately, and uses a smaller learning rate
    for the encoder and a larger ε for the policy.
    """
    losses = train.losses

    def adam(scale: float = 1.0, eps: float = 1e-8) -> optax.GradientTransformation:
        return optax.adam(scale * losses.learning_rate, eps=eps)

    clip = optax.clip_by_global_norm(losses.grad_clip)
    if train.agent.family == "glass":
        return optax.chain(clip, adam())

    def by_net(**parts: optax.GradientTransformation) -> optax.GradientTransformation:
        """One transformation per network; networks that are not named share `model`."""
        return optax.partition(
            parts, lambda tree: {name: name if name in parts else "model" for name in tree}
        )

    encoder, policy = adam(losses.encoder_lr_scale), adam(eps=OFFICIAL_POLICY_EPS)
    return optax.chain(by_net(model=clip, pi=clip), by_net(model=adam(), enc=encoder, pi=policy))


def init_learner(train: TrainConfig, seed: int | None = None) -> LearnerState:
    """A new learner for one seed; targets equal the online parameters."""
    key = jax.random.key(train.seed if seed is None else seed)
    params = init_params(train.agent, key, train.glass.logit_scale)
    for i in range(1, len(train.tasks)):
        other = init_params(train.agent, jax.random.fold_in(key, i))
        params |= {name: stack([params[name], other[name]]) for name in HEADS}
    return LearnerState(
        params=params,
        target_params=jax.tree.map(jnp.copy, params),
        opt_state=optimizer(train).init(params),
        scale=jnp.array(MIN_SCALE, jnp.float32),
        updates=jnp.array(0, jnp.int32),  # typed as a saved one, so that resuming compiles nothing
        key=jax.random.key_data(jax.random.fold_in(key, 2**31)),
    )


def update(
    train: TrainConfig, state: LearnerState, batch: Batch, schedule: Schedule
) -> tuple[LearnerState, Metrics]:
    """One gradient update of one seed on one batch; Glass losses apply in every k-th update."""
    glass_turn = state.updates % train.glass.every_k_updates == 0
    schedule = schedule._replace(glass=schedule.glass & glass_turn)
    key = jax.random.fold_in(jax.random.wrap_key_data(state.key), state.updates)
    gradient, metrics = jax.grad(total_loss, has_aux=True)(
        state.params, train, state.target_params, state.scale, batch, schedule, key
    )
    # Adam does not move what never had a gradient, and XLA does not compute what is not used.
    frozen = {name: jax.tree.map(jnp.zeros_like, gradient[name]) for name in train.losses.freeze}
    gradient = {**gradient, **frozen}
    step, opt_state = optimizer(train).update(gradient, state.opt_state, state.params)
    params = optax.apply_updates(state.params, step)
    target = optax.incremental_update(params, state.target_params, train.losses.ema)
    updates = state.updates + 1
    new_state = LearnerState(params, target, opt_state, metrics["scale"], updates, state.key)
    return new_state, metrics | {"grad_norm": optax.tree.norm(gradient)}


def update_round(
    train: TrainConfig, state: LearnerState, sequences: Sequences, schedule: Schedule
) -> tuple[LearnerState, SeedMetrics]:
    """K updates of every seed in one compiled call. Donates `state`.

    Args:
        state: learners, with the seeds on the first axis of every leaf.
        sequences: batches, with axes (seeds, updates, …).
        schedule: one entry per seed.

    Returns:
        The new state, and the metrics averaged over the updates, one entry per seed. If an update
        of a seed has a non-finite metric, the metrics of the first such update are returned
        instead, since all later ones are affected; `broken_update` is its index among the K
        updates, −1 if all are finite.
    """
    batches = Batch(*map(jnp.asarray, sequences))
    with matmul_dtype(train.precision):  # effective while tracing; compilation is cached by `train`
        return _compiled_round(_of_updates(train), state, batches, schedule)


@lru_cache
def _of_updates(train: TrainConfig) -> TrainConfig:
    """`train` without what updates do not read, so that runs which differ in it compile once."""
    # Settings of collection that others must fit to: the length of an episode, the planner's share.
    explore = Exploration(
        collect=train.explore.collect,
        planner_share=train.explore.planner_share,
        collect_episode_steps=train.explore.collect_episode_steps,
    )
    return dataclasses.replace(
        train,
        seed=1,
        steps=1,
        learning_starts=0,
        explore=explore,
        shaping=Shaping(),
        rescue=Rescue(),
        eval_every=1,
        eval_episodes_pi=1,
        eval_episodes_mppi=1,
        save_every=1,
    )


@partial(jax.jit, static_argnames="train", donate_argnames="state")
def _compiled_round(
    train: TrainConfig, state: LearnerState, batches: Batch, schedule: Schedule
) -> tuple[LearnerState, SeedMetrics]:
    def one_seed(arguments: tuple[LearnerState, Batch, Schedule]) -> tuple[LearnerState, Metrics]:
        state, batches, schedule = arguments

        def one_update(state: LearnerState, batch: Batch) -> tuple[LearnerState, Metrics]:
            return update(train, state, batch, schedule)

        state, metrics = jax.lax.scan(one_update, state, batches)
        return state, _mean_or_first_nonfinite(metrics)

    return map_stacked(one_seed, (state, batches, schedule))


def _mean_or_first_nonfinite(metrics: dict[str, Float[Array, " updates"]]) -> Metrics:
    nonfinite = jnp.stack([~jnp.isfinite(values) for values in metrics.values()]).any(axis=0)
    diverged, first = nonfinite.any(), jnp.argmax(nonfinite)
    reported = {
        name: jnp.where(diverged, values[first], values.mean()) for name, values in metrics.items()
    }
    return reported | {"broken_update": jnp.where(diverged, first, -1.0)}


def take(state: Any, index: int) -> Any:
    """The tree of one seed."""
    return jax.tree.map(lambda leaf: leaf[index], state)


def put(state: Any, index: int, one: Any) -> Any:
    """`state` with the tree of one seed replaced."""
    return jax.tree.map(lambda leaf, new: leaf.at[index].set(new), state, one)


def reset_q(train: TrainConfig, state: LearnerState, seed: int) -> LearnerState:
    """One seed's learner with reinitialised online Q heads and their optimiser state."""
    return _reset(train, state, seed, ("q",))


def restart(train: TrainConfig, state: LearnerState, seed: int) -> LearnerState:
    """One seed's learner with reinitialised policy, Q heads and optimiser.

    Targets are set to the new parameters; encoder, dynamics, reward and Glass are kept.
    """
    fresh = _reset(train, state, seed, ("q", "pi"))
    return fresh._replace(
        target_params=jax.tree.map(jnp.copy, fresh.params),
        opt_state=optimizer(train).init(fresh.params),
        scale=init_learner(train).scale,
    )


def with_params(state: LearnerState, params: Params) -> LearnerState:
    """One seed's learner with `params` as online and target parameters."""
    online = jax.tree.map(jnp.asarray, dict(params))
    return state._replace(params=online, target_params=jax.tree.map(jnp.copy, online))


def with_prototypes(
    train: TrainConfig, state: LearnerState, prototypes: Float[np.ndarray, "prototypes latent"]
) -> LearnerState:
    """One seed's learner with other prototypes and a reinitialised optimiser state of Glass."""
    cleared = _reset(train, state, train.seed, ("glass",))
    glass = {**state.params["glass"], "prototypes": jnp.asarray(prototypes)}
    return cleared._replace(
        params={**state.params, "glass": glass},
        target_params={**state.target_params, "glass": jax.tree.map(jnp.copy, glass)},
    )


def _reset(
    train: TrainConfig, state: LearnerState, seed: int, names: tuple[str, ...]
) -> LearnerState:
    fresh = init_learner(train, seed)
    params = {**state.params, **{name: fresh.params[name] for name in names}}

    def moments(path: Any, old: Any, new: Any) -> Any:
        inside = any(getattr(part, "key", None) in names for part in path)
        return new if inside else old

    opt_state = jax.tree_util.tree_map_with_path(moments, state.opt_state, fresh.opt_state)
    return state._replace(params=params, opt_state=opt_state)
