"""What one training update of recipe 1b consists of: its matrix products, and what is around them.

Every part is a function without arguments that does that part of one update alone, at the update's
shapes and on random numbers. The parts are an account, not a partition: within an update XLA fuses
neighbours, and what is in the cache there may not be here.
"""

import itertools
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

from glassviz.agents import networks
from glassviz.agents.config import AgentConfig
from glassviz.training import learner
from glassviz.training.config import TrainConfig
from glassviz.training.losses import Batch, Schedule, glass_loss, total_loss

Part = Callable[[], Any]


@dataclass(frozen=True)
class Site:
    """One use of a network in an update.

    Attributes:
        network, rows: which, and on how many latents or observations at once.
        times: how often: once a step where the model is rolled out, once a head of Q.
        to_params, to_input: whether gradients flow to the network's parameters, and through it.
        value: whether the output is turned into a number, not compared with one.
    """

    network: str
    rows: int
    times: int = 1
    to_params: bool = False
    to_input: bool = False
    value: bool = False

    @property
    def differentiated(self) -> bool:
        return self.to_params or self.to_input


def sites(train: TrainConfig) -> list[Site]:
    """Every use of a network in one update."""
    config, batch = train.agent, train.batch_size
    steps = config.planner.horizon
    rows, heads = steps * batch, config.num_q
    return [
        Site("enc", batch, to_params=True),
        Site("dyn", batch, steps, to_params=True, to_input=True),
        Site("enc", rows),  # what the model should have predicted
        Site("rew", rows, to_params=True, to_input=True),
        Site("q", rows, heads, to_params=True, to_input=True),
        Site("enc", rows),  # from here on the TD target, with the target networks
        Site("pi", rows),
        Site("q", rows, heads, value=True),
        Site("pi", rows, to_params=True),  # from here on the policy loss
        Site("q", rows, heads, to_input=True, value=True),
    ]


def layers(config: AgentConfig, network: str) -> list[tuple[int, int]]:
    """(inputs, outputs) of a network's layers."""
    net = networks.modules(config)[network]
    return list(itertools.pairwise([networks.input_dims(config)[network], *net.hidden, net.out]))


@dataclass(frozen=True)
class Product:
    """rows × inner times inner × columns, `kind` saying how the operands lie in memory."""

    kind: str
    rows: int
    inner: int
    columns: int

    @property
    def flop(self) -> int:
        return 2 * self.rows * self.inner * self.columns


def products(train: TrainConfig) -> list[Product]:
    """The matrix products of one update: forward, to the parameters, to the input.

    Without those of the prototypes and of the bins' mean, under 1 % of the whole.
    """
    found = []
    for site in sites(train):
        each = []
        for i, (inputs, outputs) in enumerate(layers(train.agent, site.network)):
            each.append(Product("forward", site.rows, inputs, outputs))
            if site.to_params:
                each.append(Product("to_params", inputs, site.rows, outputs))
            if site.to_input or (site.to_params and i):
                each.append(Product("to_input", site.rows, outputs, inputs))
        found += each * site.times
    return found


def flop(train: TrainConfig) -> int:
    """Floating-point operations of the matrix products of one update."""
    return sum(product.flop for product in products(train))


def bare_products(train: TrainConfig) -> Part:
    """The matrix products of one update in single precision and nothing else."""
    random = _Random()
    wanted = products(train)
    lefts = {(p.kind, p.rows, p.inner): random(*_left_shape(p)) for p in wanted}
    rights = [random(*_right_shape(p)) for p in wanted]

    def multiply(lefts: list[jax.Array], rights: list[jax.Array]) -> list[jax.Array]:
        contracted = {"forward": (1, 0), "to_params": (0, 0), "to_input": (1, 1)}
        return [
            jax.lax.dot_general(left, right, (([own], [other]), ([], [])))
            for p, left, right in zip(wanted, lefts, rights, strict=True)
            for own, other in [contracted[p.kind]]
        ]

    compiled = jax.jit(multiply)
    return partial(compiled, [lefts[p.kind, p.rows, p.inner] for p in wanted], rights)


def _left_shape(p: Product) -> tuple[int, int]:
    return (p.inner, p.rows) if p.kind == "to_params" else (p.rows, p.inner)


def _right_shape(p: Product) -> tuple[int, int]:
    return (p.columns, p.inner) if p.kind == "to_input" else (p.inner, p.columns)


def parts(
    train: TrainConfig, state: learner.LearnerState, batch: Batch, schedule: Schedule
) -> dict[str, Part]:
    """The parts of one update by name; the first three overlap the rest.

    Args:
        state, batch, schedule: of one seed and one update.
    """
    key = jax.random.key(0)

    def loss(params: Any, state: learner.LearnerState, batch: Batch) -> Any:
        target, scale = state.target_params, state.scale
        return total_loss(params, train, target, scale, batch, schedule, key)

    def optimise(state: learner.LearnerState, gradient: Any) -> Any:
        step, opt_state = learner.optimizer(train).update(gradient, state.opt_state, state.params)
        params = jax.tree.map(jnp.add, state.params, step)
        ema = train.losses.ema
        target = jax.tree.map(lambda p, t: ema * p + (1 - ema) * t, params, state.target_params)
        return params, target, opt_state

    gradient = jax.jit(jax.grad(loss, has_aux=True))
    found = gradient(state.params, state, batch)[0]
    return {
        "loss alone": partial(jax.jit(loss), state.params, state, batch),
        "loss and gradient": partial(gradient, state.params, state, batch),
        "clip, Adam, targets": partial(jax.jit(optimise), state, found),
        "LayerNorm and SiLU": _around(_hidden_layers(train)),
        "SimNorm": _around(_simnorms(train)),
        "two-hot cross-entropy": _around(_cross_entropies(train)),
        "values from bins": _around(_values(train)),
        "Glass losses": _glass(train, state.params),
    }


def _hidden_layers(train: TrainConfig) -> list[tuple[Callable[..., Any], Any, bool]]:
    random, norm = _Random(), nn.LayerNorm(epsilon=train.agent.layer_norm_eps)
    return [
        (
            lambda p, x: nn.silu(norm.apply({"params": p}, x)),
            ({"scale": random(width), "bias": random(width)}, random(site.rows, width)),
            site.differentiated,
        )
        for site in sites(train)
        for width in networks.modules(train.agent)[site.network].hidden * site.times
    ]


def _simnorms(train: TrainConfig) -> list[tuple[Callable[..., Any], Any, bool]]:
    random, config = _Random(), train.agent
    return [
        (
            lambda x: networks.simnorm(x, config.simnorm_group),
            (random(site.rows, config.latent_dim),),
            site.differentiated,
        )
        for site in sites(train)
        for _ in range(site.times)
        if site.network in ("enc", "dyn")
    ]


def _cross_entropies(train: TrainConfig) -> list[tuple[Callable[..., Any], Any, bool]]:
    random, config = _Random(), train.agent

    def surprise(logits: jax.Array, value: jax.Array) -> jax.Array:
        shares = networks.two_hot(config, value)
        return -jnp.sum(shares * nn.log_softmax(logits, axis=-1), axis=-1)

    return [
        (surprise, (random(site.rows, config.num_bins), random(site.rows)), True)
        for site in sites(train)
        for _ in range(site.times)
        if site.network in ("rew", "q") and not site.value
    ]


def _values(train: TrainConfig) -> list[tuple[Callable[..., Any], Any, bool]]:
    random, config = _Random(), train.agent
    return [
        (
            partial(networks.expected_value, config),
            (random(site.rows, config.num_bins),),
            site.differentiated,
        )
        for site in sites(train)
        for _ in range(site.times)
        if site.value
    ]


def _glass(train: TrainConfig, params: Any) -> Part:
    config, random = train.agent, _Random()
    shape = (config.planner.horizon + 1, train.batch_size)
    latents = networks.simnorm(random(*shape, config.latent_dim), config.simnorm_group)
    obs = random(*shape, config.obs_dim)

    def loss(glass: Any, latents: jax.Array) -> Any:
        return glass_loss(config, train.glass, {"glass": glass}, latents, obs)

    return partial(jax.jit(jax.grad(loss, has_aux=True)), params["glass"], latents)


def _around(calls: list[tuple[Callable[..., Any], Any, bool]]) -> Part:
    """Functions with their arguments, and whether to differentiate them by the first ones."""
    random = _Random()
    outputs = [jax.eval_shape(function, *arguments) for function, arguments, _ in calls]
    cotangents = [random(*output.shape) for output in outputs]

    def run(arguments: list[Any], cotangents: list[jax.Array]) -> Any:
        results = []
        for (function, _, backward), given, ct in zip(calls, arguments, cotangents, strict=True):
            if backward:
                result, pull_back = jax.vjp(function, *given)
                results.append((result, pull_back(ct)))
            else:
                results.append(function(*given))
        return results

    return partial(jax.jit(run), [arguments for _, arguments, _ in calls], cotangents)


class _Random:
    """Standard normal arrays, the same in every run."""

    def __init__(self) -> None:
        self._rng = np.random.default_rng(0)

    def __call__(self, *shape: int) -> jax.Array:
        return jnp.asarray(self._rng.standard_normal(shape, np.float32))
