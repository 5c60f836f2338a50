"""Sampled sequences are what was stored, in order, and never cross a reset."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from glassviz.errors import GlassvizError
from glassviz.training.collection import Replay


def filled(rows: int, envs: int, added: int, episode: int) -> Replay:
    """A buffer in which observation, action and reward tell step and hopper."""
    replay = Replay(rows, envs, obs_dim=2, action_dim=1)
    replay.planned = np.arange(envs) > 0
    for step in range(added):
        code = np.stack([np.full(envs, step), np.arange(envs)], axis=1).astype(np.float32)
        first = np.full(envs, step % episode == 0)
        replay.add(code, code[:, :1] + 0.5, code[:, 0] * 10, first)
    return replay


@given(
    rows=st.integers(8, 30),
    extra=st.integers(0, 60),
    episode=st.integers(4, 12),
    horizon=st.integers(1, 3),
)
def test_sequences_are_consecutive_steps_of_one_hopper_in_one_episode(
    rows, extra, episode, horizon
):
    replay = filled(rows, 3, rows + extra, episode)
    batch = replay.sample(np.random.default_rng(0), updates=5, batch_size=7, horizon=horizon)
    assert batch.obs.shape == (5, horizon + 1, 7, 2)
    steps, envs = batch.obs[..., 0], batch.obs[..., 1]
    assert np.all(np.diff(steps, axis=1) == 1)
    assert np.all(envs == envs[:, :1])
    assert np.all(steps // episode == steps[:, :1] // episode)
    assert np.array_equal(batch.action[..., 0], steps[:, :-1] + 0.5)
    assert np.array_equal(batch.reward, steps[:, :-1] * 10)
    assert np.array_equal(batch.planned, envs[:, :-1] > 0)
    assert steps.min() >= extra  # what the ring has overwritten is gone


def test_every_sequence_that_can_be_sampled_is_sampled(rng):
    replay = filled(rows=12, envs=2, added=20, episode=6)
    batch = replay.sample(rng, updates=50, batch_size=40, horizon=2)
    starts = {(int(s), int(e)) for s, e in batch.obs[:, 0].reshape(-1, 2)}
    # Steps 8 to 19 are held; a start needs two more steps of its own episode.
    assert starts == {(s, e) for s in (8, 9, 12, 13, 14, 15) for e in (0, 1)}


def test_too_few_steps_are_named(rng):
    with pytest.raises(GlassvizError, match=r"more than 3 steps .* found 3"):
        filled(10, 2, 3, 10).sample(rng, 1, 1, horizon=3)


def test_state_round_trip_samples_the_same():
    replay, copy = filled(10, 2, 17, 5), Replay(10, 2, 2, 1)
    copy.set_state(replay.get_state())
    copy.planned = replay.planned
    batches = [r.sample(np.random.default_rng(3), 2, 4, 2) for r in (replay, copy)]
    assert all(np.array_equal(a, b) for a, b in zip(*batches, strict=True))
