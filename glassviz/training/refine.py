"""Evolution strategies on an agent's policy, on the true model: a better gait to plan around.

Gradients of learned values improve a policy by so much a gradient step; on a processor there are
few of those. Rolling out perturbed policies on the model is cheap, and an agent that hops already
hops faster after some hundred iterations. Only the policy changes: the world model and the values
still are those of the agent that it was, so that the refined agent is a teacher (`glassviz
demonstrate --agent`), or what a training starts from (`glassviz train --init`).

The objective is not the task's reward but a shaped one: the planner's, with its margin and soft
edge over the height threshold, less a penalty on every step on the floor. Refined agents say so.

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
from glassviz.agents import networks, world_model
from glassviz.agents.config import AgentConfig
from glassviz.agents.networks import Params
from glassviz.checkpoints import Checkpoint
from glassviz.envs.hopper import STAND_HEIGHT_M, HopperBatch
from glassviz.errors import GlassvizError
from glassviz.rollout.rollout import roll_out
from glassviz.training.demonstrations import observe, require_hopper
from glassviz.training.true_model import HopModel, MPCConfig, States, fallen, objective


@dataclass(frozen=True)
class ESConfig:
    """Constants of the search.

    Attributes:
        directions: of perturbation an iteration; each is tried forward and backward.
        noise: standard deviation of a perturbed parameter.
        learning_rate: of Adam, in units of `noise`; it falls to a tenth by the last iteration, as
            what was gained at a constant one went up and down by 15 in returns of 430.
        horizon: steps that a perturbed policy is rolled out.
        height_margin_m, softness_m: of the objective, as in `MPCConfig`; smaller: a policy that
            reacts needs less of a margin than a plan does.
        fall_penalty: cost of a step on the floor.
        start_episodes, start_steps: the policy's own episodes, and how many of their first steps,
            to take states from. Getting up is among them: a search over states of the gait alone
            forgot it within 700 iterations, in eight episodes of ten.
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
    """After an iteration.

    Attributes:
        score: mean over the perturbed policies of the planner's objective a step.
        stands: share of them that stand in the end.
    """

    score: float
    stands: float


class Refiner:
    """Improves the policy of one agent; deterministic by `seed` on one machine.

    Args:
        checkpoint: an agent that hops already, most of the time.
        iterations: how many are to come.

    Raises:
        GlassvizError: it is an agent of another task, or never stands in its own episodes.
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
        """Try perturbed policies, each from some state, and step where the better ones lie."""
        es = self._es
        noise = self._rng.standard_normal((es.directions, self._flat.size)).astype(np.float32)
        starts = self._states[self._rng.choice(len(self._states), es.directions)]
        tried = self._flat + es.noise * jnp.concatenate([noise, -noise])
        score, stands = self._roll_out(tried, np.concatenate([starts, starts]))
        gain = score[: es.directions] - score[es.directions :]
        # Falls outweigh all else: their differences count for two deviations at most.
        weight = np.clip(gain / max(float(gain.std()), 1e-9), -2, 2).astype(np.float32)
        uphill = jnp.asarray(weight) @ noise / es.directions
        step, self._moments = self._adam.update(-uphill, self._moments)
        self._flat = optax.apply_updates(self._flat, step)
        return Progress(float(score.mean()), float(stands.mean()))

    @property
    def params(self) -> dict[str, Any]:
        """The agent's parameters with the policy as it is now."""
        policy = jax.tree.map(np.asarray, self._unravel(self._flat))
        return {**self._checkpoint.params, "pi": policy}

    def _roll_out(
        self, policies: Float[Array, "batch params"], states: States
    ) -> tuple[Float64[np.ndarray, " batch"], Float64[np.ndarray, " batch"]]:
        """Mean objective of each policy from its own state, and whether it stands in the end."""
        config, mpc, es = self._checkpoint.config, self._mpc, self._es
        stands = np.zeros(len(states), bool)
        score = np.zeros(len(states))
        # What a hopper touches is known after a step only; the first one is made without torque.
        states, readings = self._model.step(states, np.zeros((len(states), 4)))
        act = partial(_act, config, self._unravel, self._checkpoint.params)
        for _ in range(es.horizon):
            actions = np.asarray(act(policies, observe(states, readings)), np.float64)
            states, readings = self._model.step(states, actions)
            stands = ~fallen(mpc, readings)
            score += np.where(stands, objective(mpc, readings), -es.fall_penalty)
        return score / es.horizon, stands.astype(float)


def provenance_of(
    checkpoint: Checkpoint, es: ESConfig, iterations: int, seed: int
) -> dict[str, Any]:
    """What a refined agent says about itself: all that it said before, and how it was refined.

    Evaluations in training are left out, as another policy earned those returns.
    """
    evaluations = ("evaluation", "returns")
    kept = {key: value for key, value in checkpoint.provenance.items() if key not in evaluations}
    last: dict[str, Any] = {
        **environment.provenance("policy refined by evolution strategies"),
        "from": {"name": checkpoint.name, "sha256": checkpoint.sha256},
        "es": dataclasses.asdict(es),
        "iterations": iterations,
        "seed": seed,
    }
    last["objective"] = f"shaped: {shaping_of(last['es'])}"
    kept["refined"] = [*checkpoint.provenance.get("refined", []), last]
    return kept | {"shaped": environment.reward_shaping(kept)}


def shaping_of(es: Mapping[str, Any]) -> str:
    """In words, what the objective of a search has that the task's reward has not.

    Args:
        es: constants of the search, as provenance has them. Where an older file lacks margin and
            softness, they were the planner's.
    """
    margin = es.get("height_margin_m", MPCConfig.height_margin_m)
    softness = es.get("softness_m", MPCConfig.height_softness_m)
    return (
        f"a logistic edge of {softness:g} m at {STAND_HEIGHT_M:g} m + {margin:g} m of height, "
        f"a fall penalty of {es['fall_penalty']:g} a step on the floor"
    )


@partial(jax.jit, static_argnums=(0, 1))
def _act(
    config: AgentConfig,
    unravel: Callable[[Float[Array, " params"]], Params],
    params: Params,
    policies: Float[Array, "batch params"],
    obs: Float[Array, "batch obs"],
) -> Float[Array, "batch act"]:
    """What each policy does in its own hopper."""
    z = networks.encode(config, params, obs)
    return jax.vmap(
        lambda policy, one: world_model.policy_action(
            config, {**params, "pi": unravel(policy)}, one
        )
    )(policies, z)


def _start_states(checkpoint: Checkpoint, es: ESConfig, mpc: MPCConfig, seed: int) -> States:
    """States that the agent comes through in its own episodes."""
    config = checkpoint.config
    env = HopperBatch(config.env, es.start_episodes)
    (trace,) = roll_out(config, [checkpoint.params], "pi", env, seed, es.start_steps)
    if (trace["height"][:, -1] <= mpc.fall_height_m).all():
        raise GlassvizError(
            f"{checkpoint.name}: expected an agent that hops, found that its policy is down after "
            f"{es.start_steps} steps in all of {es.start_episodes} episodes: refine another one"
        )
    joined = np.concatenate([trace["qpos"], trace["qvel"]], axis=2)
    return joined.reshape(-1, joined.shape[-1])
