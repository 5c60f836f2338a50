"""Known answers for the networks and for the encodings of latents and values."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from glassviz.agents import networks
from glassviz.agents.config import AgentConfig, GlassConfig, tdmpc2_config

SMALL = {"latent_dim": 32, "encoder_widths": (16,), "hidden_widths": (16,), "simnorm_group": 8}
AGENTS = [AgentConfig(**SMALL, glass=GlassConfig()), tdmpc2_config(**SMALL)]


def log_distribution(config, value):
    return jnp.log(networks.two_hot(config, value) + 1e-30)


def test_mish_is_jaxs_mish_in_value_and_gradient():
    x = jnp.concatenate([jnp.linspace(-90.0, 90.0, 2001), jnp.array([0.0, -1e-6, 19.99, 20.01])])
    np.testing.assert_allclose(networks.mish(x), jax.nn.mish(x), rtol=2e-6, atol=1e-7)
    ours, theirs = (jax.vmap(jax.grad(f))(x) for f in (networks.mish, jax.nn.mish))
    np.testing.assert_allclose(ours, theirs, rtol=2e-5, atol=2e-6)


@settings(max_examples=25)
@given(st.integers(0, 2**31 - 1), st.sampled_from([4, 8, 32]), st.floats(0.01, 100.0))
def test_every_simnorm_group_sums_to_one(seed, group, scale):
    x = scale * jax.random.normal(jax.random.key(seed), (3, 32))
    groups = networks.simnorm(x, group).reshape(3, -1, group)
    np.testing.assert_allclose(groups.sum(axis=-1), 1.0, rtol=1e-5)
    assert (groups >= 0.0).all()


def test_simnorm_groups_are_runs_of_consecutive_values():
    z = networks.simnorm(jnp.array([0.0, 0.0, jnp.log(3.0), 0.0]), 2)
    np.testing.assert_allclose(z, [0.5, 0.5, 0.75, 0.25], rtol=1e-6)


@settings(max_examples=25)
@given(st.floats(-1e6, 1e6, width=32, allow_subnormal=False))
def test_symexp_undoes_symlog(x):
    np.testing.assert_allclose(networks.symexp(networks.symlog(jnp.float32(x))), x, rtol=1e-4)


@pytest.mark.parametrize("config", AGENTS, ids=lambda c: c.family)
@settings(max_examples=25)
@given(value=st.floats(-5000.0, 5000.0, width=32))
def test_two_hot_comes_back_as_the_value_it_encodes(config, value):
    encoded = networks.two_hot(config, jnp.float32(value))
    np.testing.assert_allclose(encoded.sum(), 1.0, rtol=1e-4)
    places = np.flatnonzero(encoded > 1e-4)
    assert len(places) <= 2 and np.ptp(places) <= 1
    decoded = networks.expected_value(config, log_distribution(config, jnp.float32(value)))
    np.testing.assert_allclose(decoded, value, rtol=2e-3, atol=1e-4)


@pytest.mark.parametrize("config", AGENTS, ids=lambda c: c.family)
def test_two_hot_puts_what_lies_beyond_the_bins_on_the_last_one(config):
    beyond = networks.symexp(jnp.float32(config.bin_max)) * 2.0
    assert networks.two_hot(config, beyond)[-1] == 1.0
    assert networks.two_hot(config, -beyond)[0] == 1.0


@pytest.mark.parametrize("config", AGENTS, ids=lambda c: c.family)
def test_a_new_agent_predicts_no_reward_and_no_value(config):
    params = networks.init_params(config, jax.random.key(0))
    z = networks.encode(config, params, jnp.ones((5, config.obs_dim)))
    action = jnp.full((5, config.action_dim), 0.3)
    for logits in (
        networks.reward_logits(config, params, z, action),
        networks.q_logits(config, params, z, action),
    ):
        values = networks.expected_value(config, logits)
        np.testing.assert_allclose(values, 0.0, atol=1e-5)


@pytest.mark.parametrize("config", AGENTS, ids=lambda c: c.family)
def test_q_heads_are_independent_networks_on_a_leading_axis(config):
    params = networks.init_params(config, jax.random.key(0))
    params = jax.tree.map(lambda x: x + 0.1 * jax.random.normal(jax.random.key(1), x.shape), params)
    z = networks.encode(config, params, jnp.ones((5, config.obs_dim)))
    action = jnp.full((5, config.action_dim), 0.3)
    logits = networks.q_logits(config, params, z, action)
    assert logits.shape == (config.num_q, 5, config.num_bins)
    x = jnp.concatenate([z, action], axis=-1)
    for head in range(config.num_q):
        alone = jax.tree.map(lambda leaf, head=head: leaf[head], params["q"])
        expected = networks.modules(config)["q"].apply({"params": alone}, x)
        np.testing.assert_allclose(logits[head], expected, rtol=1e-4, atol=1e-4)
    assert np.abs(logits[0] - logits[1]).max() > 1e-3


def test_encoder_and_dynamics_stay_on_the_simplices():
    for config in AGENTS:
        params = networks.init_params(config, jax.random.key(0))
        z = networks.encode(config, params, 100.0 * jnp.ones((4, config.obs_dim)))
        after = networks.next_latent(config, params, z, jnp.ones((4, config.action_dim)))
        for latent in (z, after):
            groups = latent.reshape(4, -1, config.simnorm_group)
            np.testing.assert_allclose(groups.sum(axis=-1), 1.0, rtol=1e-5)


def test_symlog_of_the_observation_is_applied_where_the_configuration_says_so():
    plain = AGENTS[1]
    squashed = plain.replace(symlog_obs=True)
    params = networks.init_params(plain, jax.random.key(0))
    obs = jnp.linspace(-30.0, 30.0, plain.obs_dim)
    np.testing.assert_allclose(
        networks.encode(squashed, params, obs),
        networks.encode(plain, params, networks.symlog(obs)),
        rtol=1e-6,
    )


@settings(max_examples=25)
@given(st.floats(-1e4, 1e4, width=32))
def test_the_policys_log_std_stays_within_its_bounds(raw):
    config = AGENTS[0]
    params = networks.init_params(config, jax.random.key(0))
    params["pi"]["Dense_1"]["bias"] = jnp.full(2 * config.action_dim, jnp.float32(raw))
    _, log_std = networks.policy(config, params, jnp.zeros(config.latent_dim))
    assert (log_std >= config.log_std_min).all() and (log_std <= config.log_std_max).all()
