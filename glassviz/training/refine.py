"""Refinement of an agent's policy by evolution strategies on the true model.

On a CPU, gradient steps are expensive, but rolling out perturbed policies on the model is cheap:
an agent that already hops becomes faster within some hundred iterations. Only the policy changes;
world model and values remain those of the original agent. A refined agent therefore serves as a
teacher (`glassviz demonstrate --agent`) or as the start of a training (`glassviz train --init`).

The objective is not the task's reward but a shaped one: the planner's, with its margin and soft
threshold for the height, minus a penalty for every step on the floor. Its provenance records this.

Reference: Salimans, Ho, Chen, Sidor, Sutskever, "Evolution strategies as a scalable alternative to
reinforcement learning", 2017; antithetic sampling, and Adam on the estimated gradient.
"""

import dataclasses
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax.flatten_util import ravel_pytree
from jaxtyping import Array, Float, Float64

from glassviz import environment
from glassviz.agents.config import AgentConfig
from glassviz.agents.networks import Action, Latent, Params, encode
from glassviz.agents.world_model import policy_action
from glassviz.checkpoints import Checkpoint
from glassviz.envs.hopper import STAND_HEIGHT_M, HopperBatch
from glassviz.errors import GlassvizError
from glassviz.rollout.rollout import roll_out
from glassviz.training.demonstrations import observe, require_hopper
from glassviz.training.true_model import HopModel, MPCConfig, States, fallen, objective


@dataclass(frozen=True)
class ESConfig:
    """Parameters of the search.

    Attributes:
        directions: perturbations per iteration, each evaluated with both signs.
        noise: standard deviation of the perturbation of a parameter.
        learning_rate: learning rate of Adam in units of `noise`; it decays to a tenth by the last
            iteration, since at a constant rate returns of 430 fluctuated by 15.
        horizon: steps that a perturbed policy is rolled out.
        height_margin_m, softness_m: margin and softness of the objective, as in `MPCConfig` but
            smaller, since a feedback policy needs less margin than a plan.
        fall_penalty: cost of a step on the floor.
        start_episodes, start_steps: number of the policy's episodes, and of their first steps,
            that start states are drawn from. They include getting up: a search over states of the
            gait alone unlearned it within 700 iterations, in eight of ten episodes.
    """

    directions: int = 32
    noise: float = 0.02
    learning_rate: float = 0.15
    horizon: int = 120
    height_margin_m: float = 0.005
    softness_m: float = 0.01
    fall_penalty: float = 0.5
    start_episodes: int = 64
    start_steps: int = 300


class Progress(NamedTuple):
    """Mean objective per step of the perturbed policies, and the share that stands at the end."""

    score: float
    stands: float


class Refiner:
    """Improves the policy of one agent, which already hops most of the time.

    Deterministic given `seed` on one machine.

    Raises:
        GlassvizError: the agent has another task, or its policy falls in every episode.
    """

    def __init__(self, checkpoint: Checkpoint, es: ESConfig, iterations: int, seed: int) -> None:
        require_hopper(checkpoint)
        self._es = es
        self._mpc = MPCConfig(height_margin_m=es.height_margin_m, height_softness_m=es.softness_m)
        self._checkpoint = checkpoint
        self._model = HopModel(checkpoint.config.env.physics)
        self._rng = np.random.default_rng(seed)
        self._states = _start_states(checkpoint, es, self._mpc, seed)
        self._flat, self._unravel = ravel_pytree(checkpoint.params["pi"])
        rate = es.learning_rate * es.noise
        self._adam = optax.adam(optax.linear_schedule(rate, 0.1 * rate, iterations))
        self._moments = self._adam.init(self._flat)

    def iterate(self) -> Progress:
        """Evaluate perturbed policies from random start states, and take a step uphill."""
        es = self._es
        noise = self._rng.standard_normal((es.directions, self._flat.size)).astype(np.float32)
        starts = self._states[self._rng.choice(len(self._states), es.directions)]
        perturbed = self._flat + es.noise * jnp.concatenate([noise, -noise])
        score, stands = self._roll_out(perturbed, np.concatenate([starts, starts]))
        gain = score[: es.directions] - score[es.directions :]
        # Clipped to two standard deviations, since falls would dominate the gradient.
        weight = np.clip(gain / max(float(gain.std()), 1e-9), -2, 2).astype(np.float32)
        uphill = jnp.asarray(weight) @ noise / es.directions
        step, self._moments = self._adam.update(-uphill, self._moments)
        self._flat = optax.apply_updates(self._flat, step)
        return Progress(float(score.mean()), float(stands.mean()))

    @property
    def params(self) -> dict[str, Any]:
        """The agent's parameters with the current policy."""
        policy = jax.tree.map(np.asarray, self._unravel(self._flat))
        return {**self._checkpoint.params, "pi": policy}

    def _roll_out(
        self, policies: Float[Array, "batch params"], states: States
    ) -> tuple[Float64[np.ndarray, " batch"], Float64[np.ndarray, " batch"]]:
        """Mean objective of the policies, one per state, and whether they stand at the end."""
        config, mpc, es = self._checkpoint.config, self._mpc, self._es
        stands = np.zeros(len(states), bool)
        score = np.zeros(len(states))
        # Touch sensors are valid only after a step: the first one is taken without torque.
        states, readings = self._model.step(states, np.zeros((len(states), 4)))
        act = partial(_act, config, self._unravel, self._checkpoint.params)
        for _ in range(es.horizon):
            actions = np.asarray(act(policies, observe(states, readings)), np.float64)
            states, readings = self._model.step(states, actions)
            stands = ~fallen(mpc, readings)
            score += np.where(stands, objective(mpc, readings), -es.fall_penalty)
        return score / es.horizon, stands.astype(float)


def _start_states(checkpoint: Checkpoint, es: ESConfig, mpc: MPCConfig, seed: int) -> States:
    """States that the agent visits in its episodes."""
    config = checkpoint.config
    env = HopperBatch(config.env, es.start_episodes)
    (trace,) = roll_out(config, [checkpoint.params], "pi", env, seed, es.start_steps)
    if (trace["height"][:, -1] <= mpc.fall_height_m).all():
        raise GlassvizError(
            f"{checkpoint.name}: expected an agent that hops, found that its policy lies on the "
            f"floor after {es.start_steps} steps in all {es.start_episodes} episodes: choose "
            f"another one"
        )
    states = np.concatenate([trace["qpos"], trace["qvel"]], axis=2)
    return states.reshape(-1, states.shape[-1])


@partial(jax.jit, static_argnums=(0, 1))
def _act(
    config: AgentConfig,
    unravel: Callable[[Float[Array, " params"]], Params],
    params: Params,
    policies: Float[Array, "batch params"],
    obs: Float[Array, "batch obs"],
) -> Float[Array, "batch act"]:
    z = encode(config, params, obs)

    def act(policy: Float[Array, " params"], latent: Latent) -> Action:
        return policy_action(config, {**params, "pi": unravel(policy)}, latent)

    return jax.vmap(act)(policies, z)


def provenance_of(
    checkpoint: Checkpoint, es: ESConfig, iterations: int, seed: int
) -> dict[str, Any]:
    """Provenance of a refined agent: that of the original agent, and the search.

    Training-time evaluations are dropped, since another policy earned those returns.
    """
    old = checkpoint.provenance
    provenance = {key: old[key] for key in old if key not in ("evaluation", "returns")}
    search: dict[str, Any] = {
        **environment.provenance("policy refined by evolution strategies"),
        "from": {"name": checkpoint.name, "sha256": checkpoint.sha256},
        "es": dataclasses.asdict(es),
        "iterations": iterations,
        "seed": seed,
    }
    search["objective"] = f"shaped: {shaping_of(search['es'])}"
    provenance["refined"] = [*old.get("refined", []), search]
    return provenance | {"shaped": environment.reward_shaping(provenance)}


def shaping_of(es: Mapping[str, Any]) -> str:
    """How the objective of a search differs from the task's reward, in words.

    `es` is as in the provenance; older files lack margin and softness, which were the planner's.
    """
    margin = es.get("height_margin_m", MPCConfig.height_margin_m)
    softness = es.get("softness_m", MPCConfig.height_softness_m)
    return (
        f"a logistic edge of {softness:g} m at {STAND_HEIGHT_M:g} m + {margin:g} m of height, "
        f"a fall penalty of {es['fall_penalty']:g} a step on the floor"
    )
