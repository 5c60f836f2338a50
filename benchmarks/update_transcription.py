"""One training update of TD-MPC-Glass written down line by line: the oracle and baseline.

The total loss of recipe 1b (consistency, reward, value, policy and Glass), Adam behind a clip of
the global gradient norm, and targets that follow by an exponential moving average. Nothing is
shared with `glassviz.training` but the weights in its configuration. Dispatched one update at a
time, as papers' code is: the benchmark times the shipped updates against it, and both must end in
the same parameters.

Sources: Hansen, Su & Wang, "TD-MPC2", ICLR 2024, equations 3 to 5; the losses of TD-MPC-Glass;
Li & Pan, IEEE Trans. Inf. Theory 62(6), 2016; Kingma & Ba, "Adam", ICLR 2015.
"""

from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from transcription import mlp, next_latent, scalar, simnorm

from glassviz.agents.config import AgentConfig
from glassviz.training.config import TrainConfig

Tree = Any
Losses = dict[str, jax.Array]


class State(NamedTuple):
    params: Tree
    target: Tree
    m: Tree
    v: Tree
    scale: jax.Array


def start(params: Tree) -> State:
    zeros = jax.tree.map(jnp.zeros_like, params)
    return State(params, params, zeros, zeros, jnp.array(1.0))


def encode(config: AgentConfig, params: Tree, obs: jax.Array) -> jax.Array:
    return simnorm(config, mlp(config, params["enc"], obs))


def action(config: AgentConfig, params: Tree, z: jax.Array) -> jax.Array:
    return jnp.tanh(mlp(config, params["pi"], z)[..., : config.action_dim])


def q_logits(config: AgentConfig, params: Tree, z: jax.Array, a: jax.Array) -> list[jax.Array]:
    x = jnp.concatenate([z, a], axis=-1)
    heads = [jax.tree.map(lambda leaf, i=i: leaf[i], params["q"]) for i in range(config.num_q)]
    return [mlp(config, head, x) for head in heads]


def q_min(config: AgentConfig, params: Tree, z: jax.Array, a: jax.Array) -> jax.Array:
    q = [scalar(config, logits) for logits in q_logits(config, params, z, a)]
    return jnp.min(jnp.stack(q), axis=0)


def two_hot(config: AgentConfig, value: jax.Array) -> jax.Array:
    symlog = jnp.sign(value) * jnp.log(1.0 + jnp.abs(value))
    width = (config.bin_max - config.bin_min) / (config.num_bins - 1)
    place = (jnp.clip(symlog, config.bin_min, config.bin_max) - config.bin_min) / width
    below = jnp.clip(jnp.floor(place), 0, config.num_bins - 2)
    above = (place - below)[..., None]
    one_hot = partial(jax.nn.one_hot, num_classes=config.num_bins)
    below = below.astype(int)
    return (1.0 - above) * one_hot(below) + above * one_hot(below + 1)


def cross_entropy(config: AgentConfig, logits: jax.Array, value: jax.Array) -> jax.Array:
    return -jnp.sum(two_hot(config, value) * jax.nn.log_softmax(logits, axis=-1), axis=-1)


def glass_loss(
    train: TrainConfig, glass: Tree, z: jax.Array, z_next: jax.Array
) -> tuple[jax.Array, Losses]:
    sizes, weights = train.agent.glass, train.glass
    assert sizes is not None
    z = jax.lax.stop_gradient(z.reshape(-1, z.shape[-1]))
    z_next = jax.lax.stop_gradient(z_next.reshape(z.shape))

    def assignment(z: jax.Array) -> jax.Array:
        cosine = (z @ glass["prototypes"].T) / (
            (jnp.linalg.norm(z, axis=-1, keepdims=True) + 1e-8)
            * (jnp.linalg.norm(glass["prototypes"], axis=-1) + 1e-8)
        )
        return jax.nn.softmax(cosine / sizes.proto_temperature, axis=-1)

    c, c_next = assignment(z), assignment(z_next)
    S = jax.nn.softmax(glass["assign_logits"] / sizes.assignment_temperature, axis=-1)

    counts = c.T @ c_next + 1e-4
    P = counts / jnp.sum(counts, axis=1, keepdims=True)
    A = (P + P.T) / 2
    d = jnp.sum(A, axis=1)
    m2 = jnp.sum(d)
    V = S.T @ d
    g = jnp.sum(S * (d[:, None] - A @ S), axis=0)
    h1 = -jnp.sum(d / m2 * jnp.log2(d / m2))
    log_volume = jnp.log2(V / m2)
    entropy = -jnp.sum(g / m2 * log_volume) + h1 + jnp.sum(V / m2 * log_volume)

    balance = jnp.sum(jnp.maximum(jnp.mean(S, axis=0) - 2.0 / sizes.clusters, 0.0) ** 2)
    balance += jnp.sum(jnp.maximum(jnp.mean(c, axis=0) - 2.0 / sizes.prototypes, 0.0) ** 2)
    s, s_next = c @ S, jax.lax.stop_gradient(c_next @ S)
    temporal = jnp.mean(jnp.sum((s - s_next) ** 2, axis=-1))
    total = (
        weights.lambda_se * entropy
        + weights.lambda_balance * balance
        + weights.lambda_temporal * temporal
    )
    terms = {"glass_entropy": entropy, "glass_balance": balance, "glass_temporal": temporal}
    return total, terms


def total_loss(
    params: Tree,
    train: TrainConfig,
    target: Tree,
    scale: jax.Array,
    obs: jax.Array,
    actions: jax.Array,
    rewards: jax.Array,
    with_glass: bool,
) -> tuple[jax.Array, tuple[Losses, jax.Array]]:
    config, weights = train.agent, train.losses
    H = actions.shape[0]
    rho = weights.rho ** jnp.arange(H)

    zs = [encode(config, params, obs[0])]
    for t in range(H):
        zs.append(next_latent(config, params, zs[t], actions[t]))
    z, z_next = jnp.stack(zs[:-1]), jnp.stack(zs[1:])

    future = jax.lax.stop_gradient(encode(config, params, obs[1:]))
    consistency = jnp.sum((z_next - future) ** 2, axis=-1)

    logits = mlp(config, params["rew"], jnp.concatenate([z, actions], axis=-1))
    reward = cross_entropy(config, logits, rewards)

    future = encode(config, target, obs[1:])
    q = q_min(config, target, future, action(config, target, future))
    td = jax.lax.stop_gradient(rewards + train.agent.planner.discount * jnp.maximum(q, 0.0))
    value = sum(
        cross_entropy(config, logits, td) for logits in q_logits(config, params, z, actions)
    )

    still = jax.lax.stop_gradient(z)
    frozen = jax.lax.stop_gradient(params)
    policy_q = q_min(config, frozen, still, action(config, params, still))

    terms = {
        "consistency_loss": jnp.sum(rho * jnp.mean(consistency, axis=1)) / H,
        "reward_loss": jnp.sum(rho * jnp.mean(reward, axis=1)) / H,
        "value_loss": jnp.sum(rho * jnp.mean(value, axis=1)) / H,
        "policy_loss": jnp.sum(rho * jnp.mean(-policy_q / scale, axis=1)) / H,
    }
    loss = (
        weights.consistency_coef * terms["consistency_loss"]
        + weights.reward_coef * terms["reward_loss"]
        + weights.value_coef * terms["value_loss"]
        + weights.policy_coef * terms["policy_loss"]
    )
    if with_glass:
        glass_total, glass_terms = glass_loss(train, params["glass"], z, z_next)
        loss, terms = loss + glass_total, terms | glass_terms
    spread = jnp.percentile(policy_q, 95.0) - jnp.percentile(policy_q, 5.0)
    return loss, (terms, spread)


@partial(jax.jit, static_argnames=("train", "with_glass"))
def update(
    train: TrainConfig,
    state: State,
    number: jax.Array,
    obs: jax.Array,
    actions: jax.Array,
    rewards: jax.Array,
    with_glass: bool,
) -> tuple[State, Losses]:
    """Update `number` (from 0) on sequences of steps, time first; the new state and the losses."""
    weights = train.losses
    g, (terms, spread) = jax.grad(total_loss, has_aux=True)(
        state.params, train, state.target, state.scale, obs, actions, rewards, with_glass
    )
    norm = jnp.sqrt(sum(jnp.sum(leaf**2) for leaf in jax.tree.leaves(g)))
    g = jax.tree.map(lambda g: g * jnp.minimum(1.0, weights.grad_clip / norm), g)

    m = jax.tree.map(lambda m, g: 0.9 * m + 0.1 * g, state.m, g)
    v = jax.tree.map(lambda v, g: 0.999 * v + 0.001 * g**2, state.v, g)
    m_unit, v_unit = 1 - 0.9 ** (number + 1), 1 - 0.999 ** (number + 1)
    params = jax.tree.map(
        lambda p, m, v: p - weights.learning_rate * (m / m_unit) / (jnp.sqrt(v / v_unit) + 1e-8),
        state.params, m, v,
    )  # fmt: skip
    target = jax.tree.map(
        lambda old, new: (1 - weights.ema) * old + weights.ema * new, state.target, params
    )
    scale = jnp.clip(0.99 * state.scale + 0.01 * spread, 1.0, 4.0)
    return State(params, target, m, v, scale), terms
