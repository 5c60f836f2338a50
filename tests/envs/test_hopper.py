"""The hopper equals the suite's, resets by seed alone, and reports what touches the floor."""

import numpy as np
import pytest
from dm_control import suite

from glassviz.agents.config import EnvConfig
from glassviz.envs.hopper import HopperBatch


def flat(timestep):
    return np.concatenate([np.ravel(v) for v in timestep.observation.values()])


@pytest.mark.parametrize("task", ["hop", "stand"])
def test_dm_control_profile_equals_the_suite_exactly(task, rng):
    actions = rng.uniform(-1, 1, (300, 4))
    theirs = suite.load("hopper", task, task_kwargs={"random": 7})
    ours = HopperBatch(EnvConfig(task=f"hopper-{task}"), 1)
    start, step = theirs.reset(), ours.reset([7])
    assert np.array_equal(step.obs[0], flat(start).astype(np.float32))
    for action in actions:
        expected, step = theirs.step(action), ours.step(action[None])
        assert np.array_equal(step.qpos[0], theirs.physics.data.qpos)
        assert np.array_equal(step.obs[0], flat(expected).astype(np.float32))
        assert step.reward[0] == expected.reward
        assert step.height[0] == theirs.physics.height()
        assert step.speed[0] == theirs.physics.speed()


def test_action_repeat_sums_the_rewards_of_its_control_steps():
    actions = np.random.default_rng(1).uniform(-1, 1, (20, 1, 4))
    once, twice = HopperBatch(EnvConfig(), 1), HopperBatch(EnvConfig(action_repeat=2), 1)
    once.reset([3]), twice.reset([3])
    for action in actions:
        reward = once.step(action).reward + once.step(action).reward
        assert twice.step(action).reward == pytest.approx(reward, abs=0)


def test_playground_profile_differs_from_dm_control_but_little_over_one_step():
    action = np.full((1, 4), 0.3)
    steps = {}
    for physics in ("dm_control", "playground"):
        env = HopperBatch(EnvConfig(physics=physics), 1)
        env.reset([0])
        steps[physics] = env.step(action)
    gap = np.abs(steps["dm_control"].qpos - steps["playground"].qpos).max()
    assert 0 < gap < 1e-3


def test_playground_derived_quantities_are_one_substep_old():
    env = HopperBatch(EnvConfig(physics="playground"), 1)
    env.reset([0])
    step = env.step(np.zeros((1, 4)))
    assert step.height[0] != env.set_state(env.get_state()).height[0]


def test_a_reset_depends_on_its_seed_alone():
    env = HopperBatch(EnvConfig(), 3)
    first = env.reset([5, 6, 5])
    env.step(np.ones((3, 4)))
    again = HopperBatch(EnvConfig(), 1).reset([6])
    assert np.array_equal(first.qpos[0], first.qpos[2])
    assert not np.array_equal(first.qpos[0], first.qpos[1])
    assert np.array_equal(first.qpos[1], again.qpos[0])


def test_resets_are_spread_as_published():
    qpos = HopperBatch(EnvConfig(), 500).reset(range(500)).qpos
    assert np.all(qpos[:, :2] == 0)  # torso at its reference height of one metre
    low, high = np.deg2rad([-180, -30, -170, 5, -45]), np.deg2rad([180, 30, 10, 150, 45])
    unit = (qpos[:, 2:] - low) / (high - low)
    assert unit.min() >= 0 and unit.max() <= 1
    assert np.allclose(unit.mean(axis=0), 0.5, atol=0.05)
    assert np.allclose(unit.std(axis=0), 12**-0.5, atol=0.03)


@pytest.mark.parametrize("physics", ["dm_control", "playground"])
def test_state_restores_the_future_exactly(physics):
    env = HopperBatch(EnvConfig(physics=physics), 2)
    actions = np.random.default_rng(2).uniform(-1, 1, (60, 2, 4))
    env.reset([0, 1])
    for action in actions[:40]:
        env.step(action)
    state = env.get_state()
    futures = [[env.step(a) for a in actions[40:]]]
    other = HopperBatch(EnvConfig(physics=physics), 2)
    other.set_state(state)
    futures.append([other.step(a) for a in actions[40:]])
    for a, b in zip(*futures, strict=True):
        assert np.array_equal(a.qpos, b.qpos) and np.array_equal(a.reward, b.reward)


def test_a_fallen_hopper_touches_the_floor_with_more_than_its_foot():
    env = HopperBatch(EnvConfig(), 1)
    start = env.reset([0])
    assert not start.contacts.any()
    for _ in range(150):
        step = env.step(np.zeros((1, 4)))
    names = {n for n, touching in zip(env.geoms, step.contacts[0], strict=True) if touching}
    assert names - {"foot"} and "floor" not in names


def test_torso_angle_is_the_pitch_joint():
    env = HopperBatch(EnvConfig(), 4)
    step = env.reset([0, 1, 2, 3])
    assert np.allclose(step.angles[:, env.bodies.index("torso")], step.qpos[:, 2])
