"""One training update made in other ways: without a part, as other programs, in other precision.

A part left out shows what it costs within the compiled program, where XLA fuses neighbours. Such an
update learns nothing useful; it is timed only.
"""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any
from unittest.mock import patch

import flax.linen as nn
import jax
import jax.numpy as jnp
import optax
from update_contestants import Run, Setup, schedule

from glassviz.agents import networks
from glassviz.training import learner
from glassviz.training.losses import Batch

SHIPPED = "update"

# Ways to compile the same update: options of XLA's CPU compiler.
COMPILER_OPTIONS: dict[str, dict[str, Any]] = {
    "512-bit vectors": {"xla_cpu_prefer_vector_width": 512},
    "fast math": {"xla_cpu_enable_fast_math": True},
    "XNNPACK": {"xla_cpu_use_xnnpack": True},
    "oneDNN": {"xla_cpu_experimental_onednn_custom_call": True},
    "YNNPACK": {"xla_cpu_experimental_ynn_fusion_type": "LIBRARY_FUSION_TYPE_DOT"},
}


class LayerNorm(nn.Module):
    """Scale and bias of a LayerNorm without the normalisation; flax names it like the original."""

    epsilon: float

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        width = x.shape[-1:]
        scale = self.param("scale", nn.initializers.ones, width)
        return x * scale + self.param("bias", nn.initializers.zeros, width)


def heads_apart(config: Any, params: Any, z: jax.Array, action: jax.Array) -> jax.Array:
    """`networks.q_logits` with one product per head, not a batched one."""
    x, net = jnp.concatenate([z, action], axis=-1), networks.modules(config)["q"]
    heads = [jax.tree.map(lambda leaf, i=i: leaf[i], params["q"]) for i in range(config.num_q)]
    return jnp.stack([net.apply({"params": head}, x) for head in heads])


def variants(setup: Setup, updates: int) -> dict[str, Run]:
    """Every way by name, each as K updates in one call from the same start."""
    without_silu = patch.dict(networks.ACTIVATIONS, {"silu": lambda x: x})
    without_norm = patch.object(networks.nn, "LayerNorm", LayerNorm)
    optimizer = learner.optimizer
    one_vector = patch.object(learner, "optimizer", lambda of: optax.flatten(optimizer(of)))
    batches = Batch(*map(jnp.asarray, setup.sample(updates)))

    def run(*changes: Any, precision: str = "float32", **options: Any) -> Run:
        return _compiled(setup, batches, changes, precision, options)

    runs: dict[str, Run] = {
        SHIPPED: run(),
        "without SiLU": run(without_silu),
        "without LayerNorm": run(without_norm),
        "without both": run(without_silu, without_norm),
        "plain gradient descent": run(
            patch.object(learner, "optimizer", lambda _: optax.sgd(1e-3))
        ),
        "Adam on one vector": run(one_vector),
        "Q heads apart": run(patch.object(networks, "q_logits", heads_apart)),
        "bfloat16": run(precision="bfloat16"),
        "bfloat16, oneDNN": run(precision="bfloat16", **COMPILER_OPTIONS["oneDNN"]),
    }
    return runs | {name: run(**options) for name, options in COMPILER_OPTIONS.items()}


def _compiled(
    setup: Setup, batches: Batch, changes: tuple[Any, ...], precision: str, options: dict[str, Any]
) -> Run:
    given = learner.take(schedule(1), 0)

    def one(state: learner.LearnerState, batch: Batch) -> Any:
        return learner.update(setup.train, state, batch, given)

    with _applied(changes), networks.matmul_dtype(precision):
        optimizer = learner.optimizer(setup.train)
        start = setup.state._replace(opt_state=optimizer.init(setup.state.params))
        lowered = jax.jit(lambda state: jax.lax.scan(one, state, batches)).lower(start)
    call: Callable[..., Any] = lowered.compile(compiler_options=options)
    return lambda: call(start)


@contextmanager
def _applied(changes: tuple[Any, ...]) -> Iterator[None]:
    with ExitStack() as stack:
        for change in changes:
            stack.enter_context(change)
        yield
