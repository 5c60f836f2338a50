"""Tasks of the suite equal dm_control exactly, and the table of bodies equals its models."""

import numpy as np
import pytest
from dm_control import suite
from dm_control.suite.wrappers import action_scale

from glassviz import envs
from glassviz.agents.config import AgentConfig, EnvConfig
from glassviz.envs.batch import Batch
from glassviz.envs.bodies import task_of, tasks
from glassviz.envs.hopper import HopperBatch
from glassviz.envs.suite import SuiteBatch
from glassviz.errors import GlassvizError
from tests.envs.test_hopper import flat

STEPS = 20
OWN_TASKS = ("hopper-hop-backwards",)
SUITE_TASKS = [name for name in tasks() if name not in OWN_TASKS]
HEAVY = ("dog", "humanoid-cmu", "stacker", "quadruped-escape")
"""One task of each of these is enough: their models take seconds to load."""


def test_there_is_a_task_for_every_one_of_the_suite_with_bounded_actions():
    known = {(task.body.domain, task.suite_name) for task in tasks().values()}
    theirs = {each for each in suite.ALL_TASKS if each[0] != "lqr"}
    assert known - theirs == {("hopper", "hop_backwards")}
    assert theirs <= known


def light(names):
    """The tasks without all but the first of each body that takes long to load."""
    seen = set()
    for name in names:
        body = task_of(name).body.name
        if body not in HEAVY or body not in seen:
            yield name
        seen.add(body)


@pytest.mark.parametrize("name", list(light(SUITE_TASKS)))
def test_a_task_equals_the_suite_and_its_entry_in_the_table(name, rng):
    task = task_of(name)
    body = task.body
    theirs = suite.load(body.domain, task.suite_name, task_kwargs={"random": 7})
    model = theirs.physics.model
    scaled = theirs
    if (theirs.action_spec().maximum != 1).any():
        scaled = action_scale.Wrapper(theirs, minimum=-1.0, maximum=1.0)
    ours = envs.make(EnvConfig(task=name), 1)
    start, step = theirs.reset(), ours.reset([7])
    assert np.array_equal(step.obs[0], flat(start).astype(np.float32))
    for action in rng.uniform(-1, 1, (STEPS, body.action_dim)):
        expected, step = scaled.step(action), ours.step(action[None])
        assert np.array_equal(step.obs[0], flat(expected).astype(np.float32))
        assert step.reward[0] == expected.reward

    assert isinstance(ours, Batch)
    assert step.obs.shape == (1, ours.obs_dim) == (1, task.obs_dim)
    assert ours.action_dim == body.action_dim == len(theirs.action_spec().minimum)
    assert (model.nq, model.nv) == (task.nq, task.nv)
    assert theirs.control_timestep() == pytest.approx(body.control_dt_s)
    assert body.camera in [model.id2name(i, "camera") for i in range(model.ncam)]
    assert body.floor_geoms(ours.geoms)
    assert step.touch.shape == (1, task.touch_sensors)
    assert not step.contacts[:, body.floor_geoms(ours.geoms)].any()
    assert all(body.foot_geoms(ours.geoms).values())
    assert bool(body.torso) == bool(body.feet) == bool(body.trunk_geoms(ours.geoms))
    assert np.isfinite(step.height[0]) == np.isfinite(step.speed[0]) == bool(body.torso)


def test_every_pattern_of_a_foot_or_a_trunk_fits_a_geom():
    for name in ("cheetah-run", "dog-run", "hopper-hop", "humanoid-run", "humanoid-cmu-run",
                 "quadruped-run", "walker-run"):  # fmt: skip
        body, geoms = task_of(name).body, envs.make(EnvConfig(task=name), 0).geoms
        for patterns in (body.trunk, *body.feet.values()):
            for pattern in patterns:
                assert len(_fitting(pattern, geoms)) > 0, (name, pattern)


def _fitting(pattern, geoms):
    from fnmatch import fnmatchcase

    return [geom for geom in geoms if fnmatchcase(geom, pattern)]


def test_a_seed_determines_an_episode_whatever_came_before(rng):
    # Its target is part of the model, and is drawn anew in every reset.
    env = SuiteBatch(EnvConfig(task="reacher-easy"), 2)
    first = env.reset([3, 4])
    env.step(np.ones((2, 2)))
    env.reset([5, 6])
    again = env.reset([3, 4])
    other = SuiteBatch(EnvConfig(task="reacher-easy"), 1).reset([4])
    assert np.array_equal(first.obs, again.obs) and not np.array_equal(first.obs[0], first.obs[1])
    assert np.array_equal(first.obs[1], other.obs[0])


@pytest.mark.parametrize("name", ["reacher-hard", "walker-run", "quadruped-walk"])
def test_state_restores_the_future_exactly(name, rng):
    env = SuiteBatch(EnvConfig(task=name), 2)
    actions = rng.uniform(-1, 1, (30, 2, env.action_dim))
    env.reset([0, 1])
    for action in actions[:20]:
        env.step(action)
    other = SuiteBatch(EnvConfig(task=name), 2)
    other.set_state(env.get_state())
    for action in actions[20:]:
        one, same = env.step(action), other.step(action)
        assert np.array_equal(one.obs, same.obs) and np.array_equal(one.reward, same.reward)


def test_action_repeat_sums_the_rewards_of_its_control_steps(rng):
    once = SuiteBatch(EnvConfig(task="cheetah-run"), 1)
    twice = SuiteBatch(EnvConfig(task="cheetah-run", action_repeat=2), 1)
    once.reset([3]), twice.reset([3])
    for action in rng.uniform(-1, 1, (10, 1, 6)):
        reward = once.step(action).reward + once.step(action).reward
        step = twice.step(action)
        assert step.reward == pytest.approx(reward, abs=0)
    assert step.time[0] == pytest.approx(0.2)


def test_an_episode_does_not_end_where_the_suite_would_begin_a_new_one():
    env = SuiteBatch(EnvConfig(task="pendulum-swingup", action_repeat=10), 1)
    env.reset([0])
    times = [env.step(np.zeros((1, 1))).time[0] for _ in range(110)]
    assert times[-1] == pytest.approx(22.0)


def test_height_speed_and_contacts_of_a_walker_are_those_of_the_suite():
    env = SuiteBatch(EnvConfig(task="walker-walk"), 1)
    env.reset([1])
    theirs = suite.load("walker", "walk", task_kwargs={"random": 1})
    theirs.reset()
    for _ in range(60):
        step = env.step(np.zeros((1, 6)))
        theirs.step(np.zeros(6))
        assert step.height[0] == theirs.physics.torso_height()
        assert step.speed[0] == pytest.approx(theirs.physics.horizontal_velocity(), abs=1e-12)
    touching = {n for n, on in zip(env.geoms, step.contacts[0], strict=True) if on}
    assert touching and "floor" not in touching


def test_a_body_without_a_heading_of_its_own_torso_moves_where_that_points():
    env = SuiteBatch(EnvConfig(task="quadruped-walk"), 1)
    env.reset([2])
    step = env.step(np.zeros((1, 12)))
    physics = env._envs[0].physics
    ahead = physics.named.data.xmat["torso"].reshape(3, 3)[:2, 0]
    velocity = physics.data.subtree_linvel[1, :2]
    assert step.speed[0] == pytest.approx(velocity @ ahead / np.linalg.norm(ahead))


def test_hopping_backwards_is_rewarded_at_its_speed_and_height(rng):
    from dm_control.utils.rewards import tolerance

    env = envs.make(EnvConfig(task="hopper-hop-backwards"), 50)
    assert isinstance(env, HopperBatch)
    env.reset(range(50))
    for _ in range(15):
        step = env.step(rng.uniform(-1, 1, (50, 4)))
        expected = [
            tolerance(height, (0.6, 2))
            * tolerance(speed, (-np.inf, -1.0), margin=0.5, value_at_margin=0.5, sigmoid="linear")
            for height, speed in zip(step.height, step.speed, strict=True)
        ]
        assert step.reward.tolist() == expected
    assert step.reward.any()


@pytest.mark.parametrize("name", ["cheetah-jump", "walker-fly", "assembly"])
def test_a_task_without_an_environment_is_refused_by_its_name(name):
    with pytest.raises(GlassvizError, match=f"found {name}"):
        envs.make(EnvConfig(task=name), 1)


def test_a_misspelt_task_is_met_with_the_nearest():
    with pytest.raises(GlassvizError, match="did you mean walker-walk"):
        envs.make(EnvConfig(task="walker-wlak"), 1)


def test_only_the_hopper_has_another_physics_profile():
    with pytest.raises(GlassvizError, match=r"expected the physics profile dm_control"):
        envs.make(EnvConfig(task="walker-walk", physics="playground"), 1)
    assert envs.make(EnvConfig(physics="playground"), 1).num == 1


def test_an_agent_of_another_size_than_its_task_is_refused():
    config = AgentConfig(env=EnvConfig(task="walker-walk"))
    with pytest.raises(GlassvizError, match="24 observations and 6 actions, found one with 15"):
        envs.check_body("agent", config)
    envs.check_body("agent", config.replace(obs_dim=24, action_dim=6))


def test_only_the_hopper_starts_upright():
    with pytest.raises(GlassvizError, match="only the hopper can start upright"):
        SuiteBatch(EnvConfig(task="walker-walk"), 1).reset([0], upright=1)
