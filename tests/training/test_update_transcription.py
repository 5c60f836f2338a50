"""The shipped updates and the transcription of the published formulas do the same."""

import jax
import jax.numpy as jnp
import numpy as np
import update_transcription

import tests.helpers.tiny as tiny
from glassviz.agents.networks import stack
from glassviz.training.collection import Sequences
from glassviz.training.learner import init_learner, update_round
from glassviz.training.losses import Schedule

TRAIN = tiny.TRAIN
UPDATES = 2 * TRAIN.glass.every_k_updates
# Adam's first steps divide by gradients that may be all rounding: a tenth of a single step.
TOLERANCE = 0.1 * TRAIN.losses.learning_rate


def sequences():
    rng = np.random.default_rng(0)
    steps, size = TRAIN.agent.planner.horizon, TRAIN.batch_size
    return Sequences(
        obs=rng.normal(size=(UPDATES, steps + 1, size, 15)).astype(np.float32),
        action=rng.uniform(-1, 1, (UPDATES, steps, size, 4)).astype(np.float32),
        reward=rng.uniform(0, 1, (UPDATES, steps, size)).astype(np.float32),
        planned=np.zeros((UPDATES, steps, size), bool),
    )


def trained_a_little():
    """A learner none of whose parameters is at its initial zero, and whose targets lag behind."""
    state, rng = init_learner(TRAIN), np.random.default_rng(1)

    def moved(leaf):
        return leaf + (0.2 * rng.standard_normal(leaf.shape)).astype(np.float32)

    return state._replace(
        params=jax.tree.map(moved, state.params),
        target_params=jax.tree.map(moved, state.target_params),
    )


def test_updates_end_where_the_transcription_does():
    state, batches = trained_a_little(), sequences()
    start = update_transcription.start(state.params)._replace(target=state.target_params)
    one = Sequences(*(leaf[None] for leaf in batches))
    always = Schedule(jnp.ones(1, bool), jnp.ones(1, bool), jnp.zeros(1))
    shipped, metrics = update_round(TRAIN, stack([state]), one, always)

    transcribed, losses = start, []
    for k, batch in enumerate(zip(*batches[:3], strict=True)):
        transcribed, found = update_transcription.update(
            TRAIN, transcribed, np.int32(k), *batch, with_glass=k % TRAIN.glass.every_k_updates == 0
        )
        losses.append(found)

    for ours, theirs in [
        (shipped.params, transcribed.params),
        (shipped.target_params, transcribed.target),
    ]:
        jax.tree.map(
            lambda a, b: np.testing.assert_allclose(a[0], b, rtol=0, atol=TOLERANCE), ours, theirs
        )
    np.testing.assert_allclose(shipped.scale[0], transcribed.scale, rtol=1e-5)
    for name in losses[1]:
        mean = np.mean([each[name] for each in losses])
        np.testing.assert_allclose(metrics[name][0], mean, rtol=1e-4)
