"""An agent as functions of arrays: what the networks compute, for any leading axes."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from glassviz.agents import glass, networks
from glassviz.agents.agent import Agent
from glassviz.agents.config import AgentConfig, GlassConfig, tdmpc2_config
from glassviz.agents.world_model import policy_action, q_values
from glassviz.errors import UsageError

SIZES = {"latent_dim": 16, "encoder_widths": (12,), "hidden_widths": (12, 12), "simnorm_group": 8}
GLASS = AgentConfig(**SIZES, glass=GlassConfig(prototypes=8, clusters=4))
CLUSTER_OBS = GLASS.replace(glass=GlassConfig(prototypes=8, clusters=4, cluster_obs=True))
TDMPC2 = tdmpc2_config(**SIZES, obs_dim=9, action_dim=2)
FAMILIES = pytest.mark.parametrize(
    "config", [GLASS, CLUSTER_OBS, TDMPC2], ids=["glass", "cluster_obs", "tdmpc2"]
)


def agent(config: AgentConfig) -> Agent:
    params = networks.init_params(config, jax.random.key(0))
    rng = np.random.default_rng(0)
    return Agent(config, jax.tree.map(lambda x: 0.3 * rng.standard_normal(x.shape), params))


@FAMILIES
@pytest.mark.parametrize("lead", [(), (3,), (2, 3)], ids=["one", "a row", "a table"])
def test_arrays_of_any_leading_axes_give_what_the_networks_give(config, lead) -> None:
    own, rng = agent(config), np.random.default_rng(1)
    obs = rng.normal(size=(*lead, config.obs_dim))
    a = rng.uniform(-1, 1, (*lead, config.action_dim))
    z = own.encode(obs)
    params, at, action = own.params, jnp.asarray(z), jnp.asarray(a, jnp.float32)
    logits = networks.reward_logits(config, params, at, action)
    expected = {
        "policy": (own.policy(z), policy_action(config, params, at)),
        "next": (own.next(z, a), networks.next_latent(config, params, at, action)),
        "reward": (own.reward(z, a), networks.expected_value(config, logits)),
        "values": (own.values(z, a), q_values(config, params, at, action)),
    }
    for name, (ours, theirs) in expected.items():
        assert isinstance(ours, np.ndarray) and ours.dtype == np.float32, name
        np.testing.assert_allclose(ours, theirs, rtol=1e-4, atol=1e-5, err_msg=name)
    assert z.shape == (*lead, config.latent_dim)
    assert own.policy(z).shape == (*lead, config.action_dim)
    assert own.reward(z, a).shape == lead
    assert own.values(z, a).shape == (config.num_q, *lead)


def test_one_latent_serves_many_actions_and_lists_are_arrays() -> None:
    own = agent(TDMPC2)
    z = own.encode([0.0] * 9)
    actions = np.linspace(-1, 1, 10).reshape(5, 2)
    assert own.values(z, actions).shape == (5, 5)
    np.testing.assert_allclose(own.reward(z, actions)[2], own.reward(z, actions[2]), rtol=1e-5)


def test_labels_are_the_clusters_of_nearest_prototypes() -> None:
    own = agent(GLASS)
    z = own.encode(np.random.default_rng(2).normal(size=(50, 15)))
    found = own.labels(z)
    assert found.dtype == np.int32 and found.shape == (50,) and found.max() < 4
    assert GLASS.glass is not None
    np.testing.assert_array_equal(
        found, glass.label(GLASS.glass, own.params["glass"], jnp.asarray(z))
    )


def test_an_agent_without_glass_has_no_labels() -> None:
    own = agent(TDMPC2)
    with pytest.raises(UsageError, match="an agent with Glass, found one without: fit labels"):
        own.labels(own.encode(np.zeros(9)))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda own: own.encode(np.zeros(8)), r"obs with 9 values on its last axis, found .*8"),
        (lambda own: own.encode(np.float32(0)), r"obs with 9 values .* found shape \(\)"),
        (lambda own: own.policy("standing"), "z to be an array of 16 numbers .* found str"),
        (lambda own: own.next(np.zeros(16), np.zeros(3)), "a with 2 values"),
        (lambda own: own.next(np.zeros((2, 16)), np.zeros((3, 2))), r"\(2, 16\) and \(3, 2\)"),
    ],
    ids=["too few", "a number", "text", "another action", "axes that do not fit"],
)
def test_arrays_of_other_sizes_are_refused_in_a_sentence(call, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        call(agent(TDMPC2))


def test_it_shows_its_sizes() -> None:
    assert repr(agent(TDMPC2)) == "Agent(tdmpc2, 9 observations, latent 16, 2 actions)"
