"""Ways to make the updates of a run of recipe 1b: shipped, transcribed, vectorised over seeds."""

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import update_transcription
from planner import random_agent

from glassviz.agents.networks import stack
from glassviz.training import learner, recipes
from glassviz.training.collection import Collector, Replay, Sequences
from glassviz.training.config import Preset, TrainConfig
from glassviz.training.losses import Batch, Schedule

COLLECTED_STEPS = 24

Run = Callable[[], Any]


class Setup(NamedTuple):
    """A run about to update: hoppers that have moved, and a learner with parameters to improve."""

    train: TrainConfig
    collector: Collector
    state: learner.LearnerState

    def sample(self, updates: int) -> Sequences:
        """Batches for so many updates."""
        train, collector = self.train, self.collector
        return collector.replay.sample(
            collector.rng, updates, train.batch_size, train.sequence_steps
        )


def set_up(preset: Preset) -> Setup:
    """Recipe 1b with some random steps in the replay buffer and random parameters."""
    train = recipes.configure("1b", preset)
    agent = train.agent
    rows = train.buffer_steps // train.num_envs
    replay = Replay(rows, train.num_envs, agent.obs_dim, agent.action_dim)
    collector = Collector(train, np.random.default_rng(0), replay)
    collector.reset()
    for _ in range(COLLECTED_STEPS):
        collector.step(None, 0)
    # How fast a buffer is sampled depends on its size: it is filled with copies.
    for row in range(rows - COLLECTED_STEPS):
        source = row % COLLECTED_STEPS
        replay.add(*(held[source] for held in (replay.obs, replay.action, replay.reward,
                                               replay.first)))  # fmt: skip
    params = random_agent(agent)
    state = learner.init_learner(train)
    state = state._replace(params=params, target_params=jax.tree.map(jnp.copy, params))
    return Setup(train, collector, state)


def schedule(seeds: int) -> Schedule:
    """With the Glass losses on."""
    return Schedule(jnp.ones(seeds, bool), jnp.ones(seeds, bool), jnp.zeros(seeds))


def carried(call: Callable[[Any], tuple[Any, Any]], start: Any) -> Run:
    """Calls that each go on from the state that the last one left."""
    held = [start]

    def run() -> Any:
        held[0], found = call(held[0])
        return held[0], found

    return run


def shipped(train: TrainConfig, states: list[learner.LearnerState], batches: Sequences) -> Run:
    """One call of `update_round` for all of the seeds, on the same batches each."""
    several = Sequences(*(np.stack([leaf] * len(states)) for leaf in batches))
    given = schedule(len(states))
    return carried(lambda state: learner.update_round(train, state, several, given), stack(states))


def transcribe(train: TrainConfig, batches: Sequences, held: Any) -> tuple[Any, list[Any]]:
    """As many calls of the transcription as there are batches.

    Args:
        held: how many updates there were before, and the state that they led to.

    Returns `held` after these, and the losses of each.
    """
    done, state = held
    losses = []
    for k, batch in enumerate(zip(*batches[:3], strict=True), start=done):
        with_glass = k % train.glass.every_k_updates == 0
        state, found = update_transcription.update(train, state, np.int32(k), *batch, with_glass)
        losses.append(found)
    return (done + len(losses), state), losses


def transcribed(train: TrainConfig, state: learner.LearnerState, batches: Sequences) -> Run:
    """One seed's updates by the transcription."""
    start = (0, update_transcription.start(state.params))
    return carried(partial(transcribe, train, batches), start)


def vectorised(train: TrainConfig, states: list[learner.LearnerState], batches: Sequences) -> Run:
    """One call for all of the seeds, on the same batches each: every operation does all seeds."""

    def one_seed(state: learner.LearnerState, batches: Batch, given: Schedule) -> Any:
        return jax.lax.scan(
            lambda state, batch: learner.update(train, state, batch, given), state, batches
        )

    compiled = jax.jit(jax.vmap(one_seed), donate_argnums=0)
    several = Batch(*(jnp.stack([leaf] * len(states)) for leaf in batches))
    given = schedule(len(states))
    return carried(lambda state: compiled(state, several, given), stack(states))
