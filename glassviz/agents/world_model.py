"""The world model as the planner uses it: three pure functions over rows of latents.

The same mathematics as `networks`, arranged for speed: a latent that all rows share is multiplied
once, only the Q heads that count are evaluated, and the products may run in lower precision.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Key

from glassviz.agents import networks
from glassviz.agents.config import AgentConfig, PlannerConfig
from glassviz.agents.networks import Params
from glassviz.agents.values import value_input

Latents = Float[Array, "rows latent"]
SharedLatents = Float[Array, "*rows latent"]
Actions = Float[Array, "rows act"]


class Model(NamedTuple):
    """All that the planner asks of a world model; rows are trajectories.

    Attributes:
        step: latent and action to next latent and reward. The latent comes without the rows axis
            where all rows share it.
        terminal: return to go from a latent; the key is for models whose value is drawn.
        policy: an action drawn from the policy prior.
    """

    step: Callable[[SharedLatents, Actions], tuple[Latents, Float[Array, " rows"]]]
    terminal: Callable[[Latents, Key[Array, ""]], Float[Array, " rows"]]
    policy: Callable[[Latents, Key[Array, ""]], Actions]


def world_model(config: AgentConfig, planner: PlannerConfig, params: Params) -> Model:
    """The model of an agent, with the terminal value of the planner's variant.

    `glass`: the smallest Q head at the policy's mean action, at least 0. `tdmpc2`: the mean of
    two heads drawn at random, at an action drawn from the policy.
    """
    nets = _with_kernels_in(planner.precision, params)

    def step(z: SharedLatents, action: Actions) -> tuple[Latents, Float[Array, " rows"]]:
        latent = _rest(config, nets["dyn"], _first(nets["dyn"], z, action))
        reward = _rest(config, nets["rew"], _first(nets["rew"], z, action))
        return (
            networks.simnorm(latent, config.simnorm_group),
            networks.expected_value(config, reward),
        )

    def policy_gaussian(z: Latents) -> tuple[Actions, Actions]:
        seen = value_input(config, params, z)
        output = _rest(config, nets["pi"], _dense(nets["pi"]["Dense_0"], seen))
        return networks.gaussian(config, output)

    def policy(z: Latents, key: Key[Array, ""]) -> Actions:
        mean, log_std = policy_gaussian(z)
        return jnp.tanh(mean + jnp.exp(log_std) * jax.random.normal(key, mean.shape))

    def q(heads: Params, z: Latents, action: Actions) -> Float[Array, "heads rows"]:
        seen = value_input(config, params, z)
        logits = jax.vmap(lambda net: _rest(config, net, _first(net, seen, action)))(heads)
        return networks.expected_value(config, logits)

    def terminal_glass(z: Latents, key: Key[Array, ""]) -> Float[Array, " rows"]:
        mean, _ = policy_gaussian(z)
        return jnp.maximum(q(nets["q"], z, jnp.tanh(mean)).min(axis=0), 0.0)

    def terminal_tdmpc2(z: Latents, key: Key[Array, ""]) -> Float[Array, " rows"]:
        head_key, policy_key = jax.random.split(key)
        pair = jax.random.permutation(head_key, config.num_q)[:2]
        heads = jax.tree.map(lambda leaf: leaf[pair], nets["q"])
        return q(heads, z, policy(z, policy_key)).mean(axis=0)

    return Model(step, terminal_glass if planner.variant == "glass" else terminal_tdmpc2, policy)


def _with_kernels_in(precision: str, params: Params) -> Params:
    """The parameters with the Dense kernels, which alone meet in products, in `precision`."""

    def cast(path: tuple[Any, ...], leaf: Float[Array, "..."]) -> Float[Array, "..."]:
        is_kernel = path[-1] == jax.tree_util.DictKey("kernel")
        return jnp.asarray(leaf, precision) if is_kernel else leaf

    return jax.tree_util.tree_map_with_path(cast, params)


def _first(net: Params, z: SharedLatents, action: Actions) -> Float[Array, "rows width"]:
    """Output of the first Dense layer on [z, action]; a shared z is multiplied once."""
    layer = net["Dense_0"]
    if z.ndim == action.ndim:
        return _dense(layer, jnp.concatenate([z, action], axis=-1))
    split = z.shape[-1]
    of_z = _dense({"kernel": layer["kernel"][:split], "bias": layer["bias"]}, z)
    return _dense({"kernel": layer["kernel"][split:], "bias": of_z}, action)


def _rest(
    config: AgentConfig, net: Params, x: Float[Array, "rows width"]
) -> Float[Array, "rows out"]:
    """Output of a network, from its first Dense layer's output on."""
    activation = networks.ACTIVATIONS[config.activation]
    depth = len(config.hidden_widths)
    for layer in range(depth):
        x = activation(_layer_norm(net[f"LayerNorm_{layer}"], x, config.layer_norm_eps))
        x = _dense(net[f"Dense_{layer + 1}"], x)
    if f"LayerNorm_{depth}" in net:
        x = _layer_norm(net[f"LayerNorm_{depth}"], x, config.layer_norm_eps)
    return x


def _dense(layer: Params, x: Float[Array, "*rows features"]) -> Float[Array, "*rows out"]:
    """x·kernel + bias, multiplied in the kernel's precision and summed in single precision."""
    kernel = layer["kernel"]
    product = jnp.matmul(x.astype(kernel.dtype), kernel, preferred_element_type=jnp.float32)
    return product + layer["bias"]


def _layer_norm(
    net: Params, x: Float[Array, "rows width"], eps: float
) -> Float[Array, "rows width"]:
    mean = x.mean(axis=-1, keepdims=True)
    variance = jnp.maximum((x * x).mean(axis=-1, keepdims=True) - mean * mean, 0.0)
    return (x - mean) * (net["scale"] * jax.lax.rsqrt(variance + eps)) + net["bias"]
