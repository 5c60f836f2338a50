"""Every frame of a trace is one moment: its picture, observation, label, action and reward."""

import dataclasses
from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import tests.helpers.tiny as tiny
from glassviz.agents import glass
from glassviz.agents.networks import encode, init_params
from glassviz.envs.batch import Step
from glassviz.envs.hopper import HopperBatch
from glassviz.rollout import rollout
from glassviz.rollout.rollout import Actors, reset_seeds, roll_out

FRAMES = 12


class Clock:
    """An environment that does nothing but tell the time.

    The picture (qpos) shows the frame's number, the observation points in a direction that turns
    with it, and the reward of an action is the number of the frame in which it was chosen, plus
    a thousandth of the action's first component.
    """

    geoms = bodies = ()
    obs_dim, action_dim = 15, 4

    def __init__(self, num: int) -> None:
        self.num = num
        self.received: list[np.ndarray] = []

    def reset(self, seeds: Sequence[int]) -> Step:
        self.seeds = list(seeds)
        return self._show(np.zeros(self.num))

    def step(self, actions: np.ndarray) -> Step:
        reward = len(self.received) + actions[:, 0] / 1000
        self.received.append(actions)
        return self._show(reward)

    def get_state(self) -> np.ndarray:
        return np.zeros((self.num, 0))

    def set_state(self, state: np.ndarray) -> Step:
        return self._show(np.zeros(self.num))

    def _show(self, reward: np.ndarray) -> Step:
        t = len(self.received)
        row = np.full(self.num, float(t))
        return Step(
            obs=np.tile(clock_obs(t), (self.num, 1)),
            reward=reward,
            time=row,
            qpos=np.tile(row[:, None], 7),
            qvel=np.tile(row[:, None], 7),
            height=row,
            speed=row,
            angles=np.tile(row[:, None], 6),
            contacts=np.full((self.num, 7), t % 2 == 0),
            touch=np.tile(row[:, None], 2),
            geom_heights=np.tile(row[:, None], 7),
        )


def clock_obs(t: int) -> np.ndarray:
    """The clock's observation in frame t."""
    return (3 * np.cos(2 * np.pi * t / FRAMES + np.arange(15))).astype(np.float32)


@pytest.fixture(scope="module")
def params():
    """An agent that tells the clock's frames apart: its prototypes are latents of six of them."""
    params = init_params(tiny.AGENT, jax.random.key(3))
    params["enc"] = jax.tree.map(lambda leaf: leaf * 20 if leaf.ndim == 2 else leaf, params["enc"])
    seen = np.stack([clock_obs(t) for t in range(0, FRAMES, 2)])
    latents = encode(tiny.AGENT, params, jnp.asarray(seen))
    logits = 9 * jnp.eye(3)[jnp.arange(6) % 3]
    return params | {"glass": {"prototypes": latents, "assign_logits": logits}}


@jax.jit
def look(params, obs):
    """Latent and label of one observation."""
    z = encode(tiny.AGENT, params, obs)
    return z, glass.label(tiny.GLASS, params["glass"], z)


@pytest.mark.parametrize("controller", ["mppi", "pi"])
def test_picture_label_action_and_reward_of_a_frame_belong_together(params, controller):
    env = Clock(2)
    [trace] = roll_out(tiny.AGENT, [params], controller, env, seed=0, steps=FRAMES)
    t = np.arange(FRAMES)
    assert np.array_equal(trace["qpos"][..., 0], [t, t])
    assert np.array_equal(trace["time"], [t, t])
    assert np.array_equal(trace["contacts"][..., 0], [t % 2 == 0] * 2)
    for frame in range(FRAMES):
        z, label = look(params, jnp.asarray(clock_obs(frame)))
        assert np.allclose(trace["latent"][:, frame], z, atol=1e-5)
        assert np.all(trace["label"][:, frame] == label)
        assert np.allclose(env.received[frame], trace["action"][:, frame])
    expected = t + trace["action"][..., 0] / 1000
    assert np.allclose(trace["reward"], expected, atol=1e-9)
    assert len(set(trace["label"][0])) == 3, "labels that do not change cannot show a shift"


def test_under_the_policy_the_action_is_the_prior_and_under_the_planner_it_is_not(params):
    env = HopperBatch(tiny.AGENT.env, 2)
    prior, planned = (
        roll_out(tiny.AGENT, [params], controller, env, seed=0, steps=5)[0]
        for controller in ("pi", "mppi")
    )
    assert np.array_equal(prior["action"], prior["policy_action"])
    assert not np.allclose(planned["action"], planned["policy_action"], atol=1e-2)


def test_both_controllers_start_from_the_same_resets(params):
    env = HopperBatch(tiny.AGENT.env, 3)
    starts = [
        roll_out(tiny.AGENT, [params], controller, env, seed=4, steps=1)[0]["qpos"]
        for controller in ("pi", "mppi")
    ]
    assert np.array_equal(*starts)


def test_the_same_call_gives_the_same_trace_bit_for_bit(params):
    env = HopperBatch(tiny.AGENT.env, 2)
    runs = [roll_out(tiny.AGENT, [params], "mppi", env, seed=1, steps=8)[0] for _ in range(2)]
    assert all(np.array_equal(runs[0][name], runs[1][name]) for name in runs[0])


@pytest.fixture(params=[False, True], ids=["one by one", "in one call"])
def batched(request, monkeypatch):
    """As a CPU decides the episodes, and as an accelerator does."""
    monkeypatch.setattr(rollout, "batching_is_faster", lambda: request.param)


def test_several_agents_side_by_side_do_what_each_does_alone(params, batched):
    other = init_params(tiny.AGENT, jax.random.key(9), logit_scale=3.0)
    together = roll_out(
        tiny.AGENT, [params, other], "mppi", HopperBatch(tiny.AGENT.env, 4), seed=2, steps=4
    )
    for agent, shared in zip((params, other), together, strict=True):
        env = HopperBatch(tiny.AGENT.env, 2)
        [alone] = roll_out(tiny.AGENT, [agent], "mppi", env, seed=2, steps=4)
        assert set(shared) == set(alone)
        for name in alone:
            assert shared[name].shape == alone[name].shape
            # Batched matrix products round differently, and the hopper amplifies it.
            assert np.allclose(shared[name], alone[name], atol=1e-2)


def test_an_agent_without_glass_has_no_labels_and_invents_none():
    config = dataclasses.replace(tiny.AGENT, glass=None)
    bare = init_params(config, jax.random.key(0))
    [trace] = roll_out(config, [bare], "pi", HopperBatch(config.env, 1), seed=0, steps=3)
    assert trace["soft_assignment"].shape == (1, 3, 0)
    assert np.all(trace["label"] == -1) and np.all(trace["prototype"] == -1)


def test_several_agents_without_glass_do_what_each_does_alone(batched):
    config = tiny.AGENT.replace(glass=None)
    agents = [init_params(config, jax.random.key(i)) for i in range(2)]
    together = roll_out(config, agents, "pi", Clock(4), 0, 3)
    for agent, arrays in zip(agents, together, strict=True):
        [alone] = roll_out(config, [agent], "pi", Clock(2), 0, 3)
        assert arrays["soft_assignment"].shape == (2, 3, 0)
        np.testing.assert_allclose(arrays["action"], alone["action"], atol=1e-5)


def test_reset_seeds_are_a_prefix_of_longer_ones_and_differ_between_seeds():
    assert reset_seeds(0, 3) == reset_seeds(0, 10)[:3]
    assert not set(reset_seeds(0, 100)) & set(reset_seeds(1, 100))


@pytest.mark.parametrize("controller", ["mppi", "pi"])
@pytest.mark.parametrize("glass", [True, False])
def test_the_second_decision_needs_no_compilation(glass, controller):
    config = tiny.AGENT if glass else tiny.AGENT.replace(glass=None)
    actors = Actors(config, [init_params(config, jax.random.key(0))], controller, 3, 0)
    obs = np.zeros((3, config.obs_dim), np.float32)
    actors.decide(obs)
    programs = actors._decide._cache_size()
    actors.decide(obs)
    assert actors._decide._cache_size() == programs
