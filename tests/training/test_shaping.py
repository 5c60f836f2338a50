"""Shaped rewards are their formulas, and evaluation never sees them."""

import dataclasses

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import entropy

import tests.helpers.tiny as tiny
from glassviz.envs.hopper import HopperBatch
from glassviz.training.collection import Shaper, intrinsic_share, label_entropy, stand_share
from glassviz.training.config import Shaping, apply

ENVS = 3


@pytest.fixture(scope="module")
def env():
    return HopperBatch(tiny.AGENT.env, ENVS)


@pytest.fixture(scope="module")
def step(env):
    env.reset([1, 2, 3])
    return env.step(np.zeros((ENVS, 4)))


def shaper(env, **settings):
    return Shaper(Shaping(**settings), ENVS, 4, env.geoms)


def shaped(env, step, action=None, labels=None, env_steps=0, **settings):
    action = np.zeros((ENVS, 4), np.float32) if action is None else action
    return shaper(env, **settings)(step, action, labels, env_steps)


def test_nothing_is_changed_by_default(env, step):
    assert not Shaping().active
    assert np.array_equal(shaped(env, step), np.zeros(ENVS))


def test_the_knee_penalty_sums_how_far_each_part_is_below_the_threshold(env, step):
    heights = np.full((ENVS, 7), 1.0)
    heights[0, env.geoms.index("calf")] = 0.05
    heights[0, env.geoms.index("thigh")] = 0.10
    heights[1, env.geoms.index("foot")] = 0.0  # a foot belongs on the floor
    low = dataclasses.replace(step, geom_heights=heights)
    found = shaped(env, low, knee_penalty_coef=0.5, knee_threshold_m=0.15)
    assert found == pytest.approx([-0.5 * (0.10 + 0.05), 0, 0])


def test_the_fall_penalty_counts_while_the_height_is_below(env, step):
    low = dataclasses.replace(step, height=np.array([0.2, 0.449, 0.451]))
    assert shaped(env, low, gait_fall_penalty=0.1) == pytest.approx([-0.1, -0.1, 0])


def test_the_action_penalty_is_the_squared_change_and_spares_the_first_action(env, step):
    one = shaper(env, gait_action_smooth=0.5)
    first = np.zeros((ENVS, 4), np.float32)
    assert np.array_equal(one(step, first + 1, None, 0), np.zeros(ENVS))
    assert one(step, first, None, 0) == pytest.approx([-2.0] * ENVS)
    one.reset()
    assert np.array_equal(one(step, first + 1, None, 0), np.zeros(ENVS))


def test_the_stand_bonus_rises_from_its_floor_to_where_the_task_begins(env, step):
    rising = dataclasses.replace(step, height=np.array([0.3, 0.5, 0.9]))
    found = shaped(env, rising, soft_stand_bonus=0.1, soft_stand_floor_m=0.4)
    assert found == pytest.approx([0, 0.05, 0.1])


def test_the_stand_bonus_is_annealed_to_nothing():
    settings = Shaping(soft_stand_bonus=0.1, soft_stand_anneal_steps=1000)
    assert [stand_share(settings, n) for n in (0, 500, 1000, 2000)] == [1, 0.5, 0, 0]
    assert stand_share(Shaping(soft_stand_bonus=0.1), 10**9) == 1


def test_the_intrinsic_reward_decays_between_its_two_steps():
    settings = Shaping(
        cluster_intrinsic_coef=0.1,
        cluster_intrinsic_decay_start_steps=500,
        cluster_intrinsic_decay_steps=1500,
    )
    assert [intrinsic_share(settings, n) for n in (0, 500, 1000, 1500, 9000)] == [1, 1, 0.5, 0, 0]


def test_the_intrinsic_reward_is_the_entropy_of_the_last_labels(env, step):
    one = shaper(env, cluster_intrinsic_coef=1.0, cluster_intrinsic_window=4)
    action = np.zeros((ENVS, 4), np.float32)
    for labels in ([0, 0, 0], [0, 1, 1], [0, 0, 2]):
        found = one(step, action, np.array(labels), 0)
    assert found == pytest.approx([0, entropy([2, 1], base=2), np.log2(3)])
    for _ in range(4):  # the window forgets what is older
        found = one(step, action, np.array([5, 5, 5]), 0)
    assert found == pytest.approx([0, 0, 0])


@given(st.lists(st.integers(-1, 5), min_size=1, max_size=20))
def test_label_entropy_is_that_of_the_labels_seen(labels):
    seen = [label for label in labels if label >= 0]
    expected = entropy(np.bincount(seen), base=2) if seen else 0
    assert label_entropy(np.array(labels)[:, None])[0] == pytest.approx(expected, abs=1e-9)


def test_a_shaper_continues_from_its_state(env, step, rng):
    settings = dict(gait_action_smooth=0.5, cluster_intrinsic_coef=1.0)
    one, other = shaper(env, **settings), shaper(env, **settings)

    def turn(of):
        return of(step, actions.astype(np.float32), labels, 0)

    for i in range(6):
        actions, labels = rng.uniform(-1, 1, (ENVS, 4)), rng.integers(4, size=ENVS)
        expected = turn(one)
        if i >= 3:
            assert np.array_equal(turn(other), expected)
        if i == 2:
            other.set_state({name: value.copy() for name, value in one.get_state().items()})


def test_a_shaped_run_learns_from_another_reward_and_is_evaluated_on_the_task_s(tmp_path):
    plain = tiny.trainer(tmp_path / "plain")
    shaping = {"soft_stand_bonus": 1.0, "soft_stand_floor_m": -1.0}
    bonus = tiny.trainer(tmp_path / "bonus", apply(tiny.TRAIN, shaping))
    for trainer in (plain, bonus):
        while trainer.env_steps < tiny.TRAIN.explore.expl_until:  # the same actions in both
            trainer.train_round()
    rows = slice(len(plain.runs[0].replay))
    ours, theirs = (run.runs[0].replay for run in (plain, bonus))
    assert np.array_equal(ours.obs[rows], theirs.obs[rows])
    assert np.all(theirs.reward[rows] > ours.reward[rows])
    # Before the first update both are the same agent, and evaluated alike.
    for trainer in (plain, bonus):
        trainer.learner = plain.learner
        trainer.evaluate_seeds([0])
    assert plain.runs[0].latest == bonus.runs[0].latest
