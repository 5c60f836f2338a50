"""The world model of an agent: policy prior, Q heads, dynamics and reward."""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int, Key

from glassviz.agents import glass, networks
from glassviz.agents.config import AgentConfig, PlannerConfig
from glassviz.agents.networks import Action, Bins, Latent, Params, ValueInput

Latents = Float[Array, "rows latent"]
SharedLatents = Float[Array, "*rows latent"]
Actions = Float[Array, "rows act"]
Returns = Float[Array, " rows"]


def value_input(config: AgentConfig, params: Params, z: Latent) -> ValueInput:
    """Input of policy and Q: z, or [z, S[nearest prototype]] with `cluster_obs`.

    No gradient flows through the row of S.
    """
    if not (config.glass and config.glass.cluster_obs):
        return z
    nearest = glass.nearest_prototype(config.glass, params["glass"], z)
    row = glass.partition(config.glass, params["glass"])[nearest]
    return jnp.concatenate([z, jax.lax.stop_gradient(row)], axis=-1)


def policy_action(config: AgentConfig, params: Params, z: Latent) -> Action:
    """The policy prior's action tanh(mean), in [-1, 1]."""
    mean, _ = networks.policy(config, params, value_input(config, params, z))
    return jnp.tanh(mean)


def routed_correction(config: AgentConfig, params: Params, z: Latent) -> Bins | float:
    """Σ_k s_k(z)·ΔQ_k with s = cS, added to the logits of every Q head; 0 without a routed critic.

    The critic trains ΔQ but not the clusters: no gradient flows through s.
    """
    if not (config.glass and config.glass.routed_critic):
        return 0.0
    c = glass.soft_assignment(config.glass, params["glass"], z)
    s = c @ glass.partition(config.glass, params["glass"])
    correction: Array = jax.lax.stop_gradient(s) @ params["glass"]["delta_q"]
    return correction


def q_distribution(
    config: AgentConfig, params: Params, z: Latent, action: Action
) -> Float[Array, "heads *batch bins"]:
    """Logits over the value bins of taking `action` in z, one row per Q head."""
    logits = networks.q_logits(config, params, value_input(config, params, z), action)
    return logits + routed_correction(config, params, z)


def q_values(
    config: AgentConfig, params: Params, z: Latent, action: Action
) -> Float[Array, "heads *batch"]:
    """Return-to-go of taking `action` in z, one estimate per Q head."""
    return networks.expected_value(config, q_distribution(config, params, z, action))


class Model(NamedTuple):
    """Interface between planner and world model; rows are trajectories.

    Attributes:
        step: maps latent and action to next latent and reward. A latent shared by all rows has no
            rows axis.
        terminal: return-to-go from a latent; the key is for models with a random value.
        policy: an action drawn from the policy prior.
        ends: whether the episode ends in a latent; None where episodes do not end early.
    """

    step: Callable[[SharedLatents, Actions], tuple[Latents, Returns]]
    terminal: Callable[[Latents, Key[Array, ""]], Returns]
    policy: Callable[[Latents, Key[Array, ""]], Actions]
    ends: Callable[[Latents], Bool[Array, " rows"]] | None = None


def world_model(config: AgentConfig, planner: PlannerConfig, params: Params) -> Model:
    """The world model of an agent, with the terminal value of the planner's variant.

    `glass`: the minimum of the Q heads at the policy's mean action, at least 0. `tdmpc2`: the
    mean of two random heads at an action drawn from the policy; `tdmpc2-jax`: of all heads.
    """
    names = ("dyn", "rew", "q", "pi", *(["term"] if config.episodic else []))
    nets = {name: _prepared(params[name], planner.precision) for name in names}

    def step(z: SharedLatents, action: Actions) -> tuple[Latents, Returns]:
        latent = _rest(config, nets["dyn"], _first(nets["dyn"], z, action))
        reward = _rest(config, nets["rew"], _first(nets["rew"], z, action))
        z_next = networks.simnorm(latent, config.simnorm_group)
        return z_next, networks.expected_value(config, reward)

    def policy_gaussian(z: Latents) -> tuple[Actions, Actions]:
        hidden = _dense(nets["pi"]["Dense_0"], value_input(config, params, z))
        return networks.gaussian(config, _rest(config, nets["pi"], hidden))

    def policy(z: Latents, key: Key[Array, ""]) -> Actions:
        mean, log_std = policy_gaussian(z)
        return jnp.tanh(mean + jnp.exp(log_std) * jax.random.normal(key, mean.shape))

    def q(head: Params, z: Latents, action: Actions) -> Returns:
        logits = _rest(config, head, _first(head, value_input(config, params, z), action))
        return networks.expected_value(config, logits + routed_correction(config, params, z))

    def q_head(index: int | Int[Array, ""]) -> Params:
        return jax.tree.map(lambda leaf: leaf[index], nets["q"])

    # Heads are evaluated one by one: on a CPU a batched product is slower.
    def terminal_glass(z: Latents, key: Key[Array, ""]) -> Returns:
        mean, _ = policy_gaussian(z)
        values = [q(q_head(i), z, jnp.tanh(mean)) for i in range(config.num_q)]
        return jnp.maximum(jnp.stack(values).min(axis=0), 0.0)

    def terminal_tdmpc2(z: Latents, key: Key[Array, ""]) -> Returns:
        head_key, policy_key = jax.random.split(key)
        two_heads = jax.random.permutation(head_key, config.num_q)[:2]
        action = policy(z, policy_key)
        values = [q(q_head(i), z, action) for i in two_heads]
        return jnp.stack(values).mean(axis=0)

    def terminal_jax(z: Latents, key: Key[Array, ""]) -> Returns:
        action = policy(z, key)
        values = [q(q_head(i), z, action) for i in range(config.num_q)]
        return jnp.stack(values).mean(axis=0)

    def ends(z: Latents) -> Bool[Array, " rows"]:
        return _rest(config, nets["term"], _dense(nets["term"]["Dense_0"], z))[..., 0] > 0

    terminals = {
        "glass": terminal_glass,
        "tdmpc2": terminal_tdmpc2,
        "tdmpc2-jax": terminal_jax,
    }
    return Model(step, terminals[planner.variant], policy, ends if config.episodic else None)


def _prepared(net: Params, precision: str) -> Params:
    """A network with its kernels in `precision`, and centred where a LayerNorm follows.

    Kernel rows and bias are centred in advance, so the layer's outputs have mean 0 for every
    input and the LayerNorm reduces to a division.
    """
    layers = jax.tree.map(jnp.asarray, dict(net))
    for i in range(sum(name.startswith("Dense_") for name in net)):
        dense = layers[f"Dense_{i}"]
        if f"LayerNorm_{i}" in net:
            dense = {k: leaf - leaf.mean(axis=-1, keepdims=True) for k, leaf in dense.items()}
        layers[f"Dense_{i}"] = dense | {"kernel": jnp.asarray(dense["kernel"], precision)}
    return layers


def _first(net: Params, z: SharedLatents, action: Actions) -> Float[Array, "rows width"]:
    """Output of the first Dense layer on [z, action]; a shared z is multiplied once."""
    layer = net["Dense_0"]
    if z.ndim == action.ndim:
        return _dense(layer, jnp.concatenate([z, action], axis=-1))
    split = z.shape[-1]
    from_z = _dense({"kernel": layer["kernel"][:split], "bias": layer["bias"]}, z)
    return _dense({"kernel": layer["kernel"][split:], "bias": from_z}, action)


def _rest(
    config: AgentConfig, net: Params, x: Float[Array, "rows width"]
) -> Float[Array, "rows out"]:
    """Output of a network, given the output of its first Dense layer."""
    activation = networks.ACTIVATIONS[config.activation]
    depth = len(config.hidden_widths)
    for layer in range(depth):
        x = activation(_layer_norm(net[f"LayerNorm_{layer}"], x, config.layer_norm_eps))
        x = _dense(net[f"Dense_{layer + 1}"], x)
    if f"LayerNorm_{depth}" in net:
        x = _layer_norm(net[f"LayerNorm_{depth}"], x, config.layer_norm_eps)
    return x


def _dense(layer: Params, x: Float[Array, "*rows features"]) -> Float[Array, "*rows out"]:
    """x·kernel + bias, multiplied in the kernel's precision, accumulated in single precision."""
    kernel = layer["kernel"]
    product = jnp.matmul(x.astype(kernel.dtype), kernel, preferred_element_type=jnp.float32)
    return product + layer["bias"]


def _layer_norm(
    net: Params, x: Float[Array, "rows width"], eps: float
) -> Float[Array, "rows width"]:
    """LayerNorm of outputs with mean 0, as `_prepared` layers produce them."""
    variance = (x * x).mean(axis=-1, keepdims=True)
    return x * jax.lax.rsqrt(variance + eps) * net["scale"] + net["bias"]
