"""Both planners written down line by line, as slow as the papers' code: the oracle and baseline.

Nothing is shared, cached or fused: every iteration evaluates all trajectories, the policy's
included, with all Q heads, and every layer is written as its formula. The tests hold the shipped
planner to it, the benchmark times the two against each other. Random numbers are drawn from the
same keys as in `glassviz.agents.planner.search`, and so are the same numbers.

Sources: `TDMPC2._plan` and `_estimate_value` of TD-MPC2 (Hansen, Su & Wang, ICLR 2024) for
`plan_tdmpc2`; the planner of TD-MPC-Glass for `plan_glass`.
"""

from typing import Any

import jax
import jax.numpy as jnp

from glassviz.agents.config import AgentConfig, PlannerConfig

Tree = Any


def layer_norm(p: Tree, x: jax.Array, eps: float) -> jax.Array:
    mean = jnp.mean(x, axis=-1, keepdims=True)
    var = jnp.mean((x - mean) ** 2, axis=-1, keepdims=True)
    return (x - mean) / jnp.sqrt(var + eps) * p["scale"] + p["bias"]


def mlp(config: AgentConfig, p: Tree, x: jax.Array) -> jax.Array:
    depth = len(config.hidden_widths)
    for i in range(depth):
        x = x @ p[f"Dense_{i}"]["kernel"] + p[f"Dense_{i}"]["bias"]
        x = layer_norm(p[f"LayerNorm_{i}"], x, config.layer_norm_eps)
        if config.activation == "mish":
            x = x * jnp.tanh(jnp.log1p(jnp.exp(-jnp.abs(x))) + jnp.maximum(x, 0.0))
        else:
            x = x / (1.0 + jnp.exp(-x))
    x = x @ p[f"Dense_{depth}"]["kernel"] + p[f"Dense_{depth}"]["bias"]
    if f"LayerNorm_{depth}" in p:
        x = layer_norm(p[f"LayerNorm_{depth}"], x, config.layer_norm_eps)
    return x


def scalar(config: AgentConfig, logits: jax.Array) -> jax.Array:
    centres = jnp.linspace(config.bin_min, config.bin_max, config.num_bins)
    mean = jnp.sum(jax.nn.softmax(logits, axis=-1) * centres, axis=-1)
    return jnp.sign(mean) * (jnp.exp(jnp.abs(mean)) - 1.0)


def simnorm(config: AgentConfig, x: jax.Array) -> jax.Array:
    groups = x.reshape(*x.shape[:-1], x.shape[-1] // config.simnorm_group, config.simnorm_group)
    return jax.nn.softmax(groups, axis=-1).reshape(x.shape)


def next_latent(config: AgentConfig, params: Tree, z: jax.Array, a: jax.Array) -> jax.Array:
    return simnorm(config, mlp(config, params["dyn"], jnp.concatenate([z, a], axis=-1)))


def reward(config: AgentConfig, params: Tree, z: jax.Array, a: jax.Array) -> jax.Array:
    return scalar(config, mlp(config, params["rew"], jnp.concatenate([z, a], axis=-1)))


def with_cluster(config: AgentConfig, params: Tree, z: jax.Array) -> jax.Array:
    if config.glass is None or not config.glass.cluster_obs:
        return z
    glass = params["glass"]
    similarity = (z @ glass["prototypes"].T) / (
        (jnp.linalg.norm(z, axis=-1, keepdims=True) + 1e-8)
        * (jnp.linalg.norm(glass["prototypes"], axis=-1) + 1e-8)
    )
    rows = jax.nn.softmax(glass["assign_logits"] / config.glass.assignment_temperature, axis=-1)
    return jnp.concatenate([z, rows[jnp.argmax(similarity, axis=-1)]], axis=-1)


def q_all(config: AgentConfig, params: Tree, z: jax.Array, a: jax.Array) -> jax.Array:
    x = jnp.concatenate([with_cluster(config, params, z), a], axis=-1)
    heads = [jax.tree.map(lambda leaf, i=i: leaf[i], params["q"]) for i in range(config.num_q)]
    return jnp.stack([scalar(config, mlp(config, head, x)) for head in heads])


def pi(config: AgentConfig, params: Tree, z: jax.Array) -> tuple[jax.Array, jax.Array]:
    out = mlp(config, params["pi"], with_cluster(config, params, z))
    mean, raw = out[:, : config.action_dim], out[:, config.action_dim :]
    low, high = config.log_std_min, config.log_std_max
    return mean, low + 0.5 * (high - low) * (jnp.tanh(raw) + 1.0)


def pi_sample(config: AgentConfig, params: Tree, z: jax.Array, key: jax.Array) -> jax.Array:
    mean, log_std = pi(config, params, z)
    return jnp.tanh(mean + jnp.exp(log_std) * jax.random.normal(key, mean.shape))


def policy_trajectories(
    config: AgentConfig, planner: PlannerConfig, params: Tree, z: jax.Array, key: jax.Array
) -> jax.Array:
    keys = jax.random.split(key, planner.horizon)
    z = jnp.repeat(z[None], planner.policy_trajectories, axis=0)
    actions = []
    for t in range(planner.horizon):
        actions.append(pi_sample(config, params, z, keys[t]))
        z = next_latent(config, params, z, actions[t])
    return jnp.stack(actions, axis=1)


def model_return(
    config: AgentConfig, planner: PlannerConfig, params: Tree, z: jax.Array, actions: jax.Array
) -> tuple[jax.Array, jax.Array]:
    """Discounted rewards of the action sequences, and the latents they end in."""
    z = jnp.repeat(z[None], actions.shape[0], axis=0)
    total = jnp.zeros(actions.shape[0])
    for t in range(planner.horizon):
        total = total + planner.discount**t * reward(config, params, z, actions[:, t])
        z = next_latent(config, params, z, actions[:, t])
    return total, z


def plan_glass(
    config: AgentConfig,
    planner: PlannerConfig,
    params: Tree,
    z: jax.Array,
    start: tuple[jax.Array, jax.Array],
    key: jax.Array,
) -> tuple[jax.Array, tuple[jax.Array, jax.Array], jax.Array]:
    """TD-MPC-Glass: one latent in; action, next start (mean, std), last elites' values out."""
    keys = jax.random.split(key, planner.iterations + 2)
    policy = policy_trajectories(config, planner, params, z, keys[0])
    mu, std = start
    for i in range(planner.iterations):
        noise_key, _ = jax.random.split(keys[1 + i])
        shape = (planner.samples - planner.policy_trajectories, *mu.shape)
        noise = jax.random.normal(noise_key, shape)
        actions = jnp.concatenate([policy, jnp.clip(mu + std * noise, -1, 1)])

        total, end = model_return(config, planner, params, z, actions)
        last, _ = pi(config, params, end)
        q = jnp.min(q_all(config, params, end, jnp.tanh(last)), axis=0)
        values = total + planner.discount**planner.horizon * jnp.maximum(q, 0)

        best = jnp.argsort(-values)[: planner.elites]
        mu = jnp.mean(actions[best], axis=0)
        std = jnp.clip(jnp.std(actions[best], axis=0), planner.min_std, planner.max_std)
    start = (
        jnp.concatenate([mu[1:], jnp.zeros_like(mu[:1])]),
        jnp.concatenate([std[1:], jnp.full_like(std[:1], planner.max_std)]),
    )
    return jnp.clip(mu[0], -1, 1), start, values[best]


def plan_tdmpc2(
    config: AgentConfig,
    planner: PlannerConfig,
    params: Tree,
    z: jax.Array,
    start: tuple[jax.Array, jax.Array],
    key: jax.Array,
) -> tuple[jax.Array, tuple[jax.Array, jax.Array], jax.Array]:
    """TD-MPC2: one latent in; action, next start (mean, std), last elites' values out."""
    keys = jax.random.split(key, planner.iterations + 2)
    policy = policy_trajectories(config, planner, params, z, keys[0])
    mean, std = start
    for i in range(planner.iterations):
        noise_key, value_key = jax.random.split(keys[1 + i])
        head_key, pi_key = jax.random.split(value_key)
        shape = (planner.samples - planner.policy_trajectories, *mean.shape)
        noise = jax.random.normal(noise_key, shape)
        actions = jnp.concatenate([policy, jnp.clip(mean + std * noise, -1, 1)])

        total, end = model_return(config, planner, params, z, actions)
        last = pi_sample(config, params, end, pi_key)
        pair = jax.random.permutation(head_key, config.num_q)[:2]
        q = jnp.mean(q_all(config, params, end, last)[pair], axis=0)
        values = total + planner.discount**planner.horizon * q

        best = jnp.argsort(-values)[: planner.elites]
        elite_actions = actions[best]
        score = jnp.exp(planner.temperature * (values[best] - jnp.max(values[best])))
        score = (score / jnp.sum(score))[:, None, None]
        mean = jnp.sum(score * elite_actions, axis=0)
        std = jnp.sqrt(jnp.sum(score * (elite_actions - mean) ** 2, axis=0))
        std = jnp.clip(std, planner.min_std, planner.max_std)
    pick_key, act_key = jax.random.split(keys[-1])
    action = elite_actions[jax.random.categorical(pick_key, jnp.log(score[:, 0, 0]))][0]
    if planner.action_noise:
        action = action + std[0] * jax.random.normal(act_key, action.shape)
    start = (
        jnp.concatenate([mean[1:], jnp.zeros_like(mean[:1])]),
        jnp.full_like(std, planner.max_std),
    )
    return jnp.clip(action, -1, 1), start, values[best]


PLANS = {"glass": plan_glass, "tdmpc2": plan_tdmpc2}
