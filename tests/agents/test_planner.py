"""The planner: the published algorithms step by step, and that planning pays."""

from dataclasses import replace
from functools import cache, partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import transcription

from glassviz.agents import networks, planner
from glassviz.agents.config import AgentConfig, GlassConfig, PlannerConfig, tdmpc2_config
from glassviz.agents.world_model import Model, policy_action, q_values, value_input, world_model
from glassviz.errors import GlassvizError

SIZES = {"latent_dim": 32, "encoder_widths": (24,), "hidden_widths": (24, 24), "simnorm_group": 8}
FEW = {"samples": 64, "elites": 12, "policy_trajectories": 8, "iterations": 2, "horizon": 2}
GLASS = AgentConfig(**SIZES, glass=GlassConfig(), planner=PlannerConfig(**FEW))
TDMPC2 = tdmpc2_config(**SIZES, planner=PlannerConfig(variant="tdmpc2", **FEW))
BOTH = pytest.mark.parametrize("config", [GLASS, TDMPC2], ids=["glass", "tdmpc2"])
VARIANTS = pytest.mark.parametrize("variant", ["glass", "tdmpc2"])

EPISODES = 8
"""As many in nearly every test, so that each agent's programs are compiled once."""

plan = jax.jit(planner.plan, static_argnums=(0, 1))
encode = jax.jit(networks.encode, static_argnums=0)
prior_of = jax.jit(policy_action, static_argnums=0)
heads_of = jax.jit(q_values, static_argnums=0)
input_of = jax.jit(value_input, static_argnums=0)


@cache
def agent(config, seed=0):
    """Parameters as after some training: nothing is at its initial zero."""
    params = jax.eval_shape(partial(networks.init_params, config), jax.random.key(0))
    rng = np.random.default_rng(seed)
    return jax.tree.map(lambda x: (0.2 * rng.standard_normal(x.shape)).astype(np.float32), params)


def latents(config, params, episodes=EPISODES):
    obs = np.random.default_rng(5).standard_normal((episodes, config.obs_dim))
    return encode(config, params, jnp.asarray(obs, jnp.float32))


def keys(episodes=EPISODES, seed=3):
    return jax.random.split(jax.random.key(seed), episodes)


def used_state(config, episodes=EPISODES):
    """A warm start as the middle of an episode has it."""
    state = planner.initial_state(config, config.planner, episodes)
    mean = 0.5 * jnp.tanh(jax.random.normal(jax.random.key(9), state.mean.shape))
    std = state.std if config.planner.variant == "tdmpc2" else 0.5 * state.std
    return planner.PlannerState(mean, std)


CLUSTER_OBS = GLASS.replace(glass=GlassConfig(cluster_obs=True))
NOISY = TDMPC2.replace(planner=replace(TDMPC2.planner, action_noise=True))
NO_POLICY = GLASS.replace(planner=replace(GLASS.planner, policy_trajectories=0))
CROSSED = TDMPC2.replace(planner=replace(GLASS.planner, horizon=1, discount=0.9))


@pytest.mark.parametrize(
    "config",
    [GLASS, TDMPC2, CLUSTER_OBS, NOISY, NO_POLICY, CROSSED],
    ids=["glass", "tdmpc2", "cluster_obs", "action_noise", "no_policy", "crossed"],
)
def test_plans_as_the_transcription_of_the_published_code_does(config):
    params = agent(config)
    z, state = latents(config, params), used_state(config)
    ours = plan(config, config.planner, params, z, state, keys())
    transcribed = jax.jit(transcription.PLANS[config.planner.variant], static_argnums=(0, 1))
    for i in range(3):
        start = (state.mean[i], state.std[i])
        action, (mean, std), values = transcribed(
            config, config.planner, params, z[i], start, keys()[i]
        )
        np.testing.assert_allclose(ours.action[i], action, atol=1e-4)
        np.testing.assert_allclose(ours.state.mean[i], mean, atol=1e-4)
        np.testing.assert_allclose(ours.state.std[i], std, atol=1e-4)
        np.testing.assert_allclose(ours.value[i], values.mean(), rtol=1e-4)
        np.testing.assert_allclose(ours.value_spread[i], values.std(), rtol=1e-3, atol=1e-5)


@BOTH
def test_the_two_controllers_choose_different_actions(config):
    params = agent(config)
    z = latents(config, params)
    state = planner.initial_state(config, config.planner, EPISODES)
    planned = plan(config, config.planner, params, z, state, keys()).action
    prior = prior_of(config, params, z)
    assert (jnp.abs(planned - prior).max(axis=1) > 0.05).all()
    assert (jnp.abs(planned) <= 1.0).all() and (jnp.abs(prior) <= 1.0).all()


@BOTH
def test_the_plan_is_worth_more_to_the_model_than_the_policys_trajectory(config):
    constants, params = config.planner, agent(config)
    z = latents(config, params)
    state = planner.initial_state(config, constants, EPISODES)
    # The mean of the last distribution is read from the shifted state; its last row is the tail.
    planned = plan(config, constants, params, z, state, keys()).state.mean[:, :-1]

    def value(latent, actions):
        """Model return of `actions`, then of the policy's mean actions to the horizon."""
        total, latent = 0.0, latent[None]
        for t in range(constants.horizon):
            chosen = actions[t][None] if t < len(actions) else policy_action(config, params, latent)
            logits = networks.reward_logits(config, params, latent, chosen)
            total += constants.discount**t * networks.expected_value(config, logits)[0]
            latent = networks.next_latent(config, params, latent, chosen)
        last = policy_action(config, params, latent)
        return (
            total
            + constants.discount**constants.horizon
            * q_values(config, params, latent, last).mean(axis=0)[0]
        )

    values = jax.jit(jax.vmap(value))
    gains = values(z, planned) - values(z, planned[:, :0])
    assert gains.mean() > 0.0 and (gains > 0.0).mean() >= 0.75, gains


def point_mass(target):
    """A point that an action moves; nearness to `target` pays, moving costs, and so does the end.

    A linear-quadratic problem: reward -(|z' - target|² + c|a|²), terminal value -|z - target|².
    """

    def step(z, action):
        after = z + action
        cost = ((after - target) ** 2).sum(axis=-1) + MOVING_COST * (action**2).sum(axis=-1)
        return after, -cost

    def terminal(z, key):
        return -((z - target) ** 2).sum(axis=-1)

    def policy(z, key):
        return jax.random.uniform(key, z.shape, minval=-1.0, maxval=1.0)

    return Model(step, terminal, policy)


MOVING_COST = 0.5


def riccati_action(z, target, horizon, discount):
    """The optimal first action of `point_mass`, by dynamic programming over value -p·|z - g|²."""
    p, gain = 1.0, 0.0
    for _ in range(horizon):
        # max_a -(1 + γp)(z + a - g)² - c·a²: a = -gain·(z - g).
        weight = 1.0 + discount * p
        gain = weight / (weight + MOVING_COST)
        p = weight * (1.0 - gain) ** 2 + MOVING_COST * gain**2
    return -gain * (z - target)


@VARIANTS
def test_finds_the_optimum_of_a_linear_quadratic_problem(variant):
    constants = PlannerConfig(
        variant=variant,
        samples=2048,
        elites=32,
        iterations=12,
        policy_trajectories=8,
        min_std=0.005,
    )
    z, target = jnp.array([0.2, -0.3]), jnp.array([0.7, -0.8])
    state = planner.PlannerState(jnp.zeros((3, 2)), jnp.full((3, 2), 2.0))
    search = partial(planner.search, constants, point_mass(target), z, state)
    found = jax.jit(jax.vmap(search))(keys(3))
    best = riccati_action(z, target, constants.horizon, constants.discount)
    assert 0.3 < np.abs(best).max() < 0.9  # far from the start, inside the bounds
    np.testing.assert_allclose(found.action, np.tile(best, (3, 1)), atol=0.05)


@VARIANTS
def test_an_optimum_beyond_the_bounds_is_clipped_to_them(variant):
    constants = PlannerConfig(variant=variant, iterations=8)
    state = planner.PlannerState(jnp.zeros((3, 2)), jnp.full((3, 2), 2.0))
    target = jnp.array([30.0, -30.0])
    found = planner.search(constants, point_mass(target), jnp.zeros(2), state, jax.random.key(0))
    assert (jnp.abs(found.action) <= 1.0).all()
    np.testing.assert_allclose(found.action, [1.0, -1.0], atol=0.05)


@BOTH
def test_an_episode_does_not_depend_on_its_batch_companions(config):
    params = agent(config)
    z, state = latents(config, params), used_state(config)
    together = plan(config, config.planner, params, z, state, keys())
    for i in (0, 3):
        alone = jax.tree.map(lambda x, i=i: x[i : i + 1], (z, state, keys()))
        found = plan(config, config.planner, params, *alone)
        for one, many in zip(jax.tree.leaves(found), jax.tree.leaves(together), strict=True):
            np.testing.assert_allclose(one[0], many[i], atol=1e-4)


@BOTH
def test_other_keys_draw_other_plans_and_the_same_keys_the_same(config):
    params = agent(config)
    z, state = latents(config, params), used_state(config)
    first, again, other = (
        plan(config, config.planner, params, z, state, keys(seed=seed)).action for seed in (3, 3, 4)
    )
    np.testing.assert_array_equal(first, again)
    assert jnp.abs(first - other).max() > 1e-3


@BOTH
def test_bfloat16_is_worth_nearly_the_same_and_is_not_the_same(config):
    params = agent(config)
    z, state = latents(config, params), planner.initial_state(config, config.planner, EPISODES)
    rounded = replace(config.planner, precision="bfloat16")
    exact = plan(config, config.planner, params, z, state, keys())
    found = plan(config, rounded, params, z, state, keys())
    np.testing.assert_allclose(found.value, exact.value, rtol=0.05, atol=0.05)
    assert (found.value != exact.value).all()


@BOTH
def test_several_agents_of_one_architecture_plan_in_one_call(config):
    agents = [agent(config, seed) for seed in (0, 20)]
    z = jnp.stack([latents(config, params) for params in agents])
    state = used_state(config)
    stacked = jax.tree.map(lambda *leaves: jnp.stack(leaves), *agents)
    many = jax.jit(jax.vmap(partial(planner.plan, config, config.planner), (0, 0, None, None)))
    together = many(stacked, z, state, keys())
    for i, params in enumerate(agents):
        alone = plan(config, config.planner, params, z[i], state, keys())
        np.testing.assert_allclose(together.action[i], alone.action, atol=1e-4)


def test_glass_carries_mean_and_std_on_by_one_step():
    fitted = planner.PlannerState(jnp.arange(12.0).reshape(3, 4), jnp.full((3, 4), 0.3))
    state = planner.shift(GLASS.planner, fitted)
    np.testing.assert_array_equal(state.mean, [*fitted.mean[1:], np.zeros(4)])
    np.testing.assert_array_equal(state.std, [*fitted.std[1:], np.full(4, 2.0)])


def test_tdmpc2_carries_the_mean_on_and_starts_every_plan_from_the_widest_std():
    fitted = planner.PlannerState(jnp.arange(12.0).reshape(3, 4), jnp.full((3, 4), 0.3))
    state = planner.shift(TDMPC2.planner, fitted)
    np.testing.assert_array_equal(state.mean, [*fitted.mean[1:], np.zeros(4)])
    np.testing.assert_array_equal(state.std, np.full((3, 4), 2.0))


@BOTH
def test_an_episode_starts_from_mean_zero_and_the_widest_std(config):
    state = planner.initial_state(config, config.planner, 2)
    np.testing.assert_array_equal(state.mean, np.zeros((2, 2, 4)))
    np.testing.assert_array_equal(state.std, np.full((2, 2, 4), 2.0))


@VARIANTS
def test_elites_are_the_best_and_their_weights_sum_to_one(variant):
    constants = PlannerConfig(variant=variant, elites=3)
    actions = jnp.arange(5.0)[:, None, None]
    values = jnp.array([-500.0, 300.0, 10.0, 299.0, 0.0])
    candidates = planner.Trajectories(actions, values, jnp.zeros((5, 2)), jnp.ones(5))
    elites = planner.select(constants, candidates, values)
    np.testing.assert_array_equal(elites.actions[:, 0, 0], [1, 3, 2])
    np.testing.assert_array_equal(elites.values, [300.0, 299.0, 10.0])
    np.testing.assert_allclose(elites.weights.sum(), 1.0, rtol=1e-6)
    if variant == "glass":
        np.testing.assert_allclose(elites.weights, 1 / 3, rtol=1e-6)
    else:
        np.testing.assert_allclose(elites.weights[1] / elites.weights[0], np.exp(-0.5), rtol=1e-5)


def elites_of(actions, weights):
    return planner.Elites(jnp.array(actions), jnp.zeros(len(weights)), jnp.array(weights))


@VARIANTS
def test_refit_keeps_the_std_within_its_bounds(variant):
    constants = PlannerConfig(variant=variant, elites=2, max_std=0.8)
    elites = elites_of([[[0.5, -1.0, 0.3]], [[0.5, 1.0, 0.5]]], [0.5, 0.5])
    mean, std = planner.refit(constants, elites)
    np.testing.assert_allclose(mean, [[0.5, 0.0, 0.4]], atol=1e-6)
    np.testing.assert_allclose(std, [[0.05, 0.8, 0.1]], atol=1e-6)


def test_refit_weighs_the_elites():
    mean, std = planner.refit(TDMPC2.planner, elites_of([[[0.0]], [[1.0]]], [0.2, 0.8]))
    np.testing.assert_allclose(mean, [[0.8]], atol=1e-6)
    np.testing.assert_allclose(std, [[0.4]], atol=1e-6)


def test_samples_are_clipped_and_follow_mean_and_std():
    constants = PlannerConfig(samples=4096, policy_trajectories=0)
    state = planner.PlannerState(jnp.array([[0.0, 0.9]]), jnp.array([[0.1, 2.0]]))
    drawn = planner.sample(constants, state, jax.random.key(0))
    assert drawn.shape == (4096, 1, 2)
    assert (jnp.abs(drawn) <= 1.0).all() and (drawn[..., 1] == 1.0).mean() > 0.4
    np.testing.assert_allclose(drawn[:, 0, 0].mean(), 0.0, atol=0.01)
    np.testing.assert_allclose(drawn[:, 0, 0].std(), 0.1, rtol=0.05)


def test_tdmpc2_acts_with_elites_as_often_as_they_weigh():
    elites = elites_of([[[-0.5]], [[0.0]], [[0.5]]], [0.2, 0.0, 0.8])
    fitted = planner.PlannerState(jnp.zeros((1, 1)), jnp.ones((1, 1)))
    act = partial(planner.act, TDMPC2.planner, fitted, elites)
    drawn = jax.vmap(act)(jax.random.split(jax.random.key(0), 4000))[:, 0]
    assert set(np.unique(drawn)) == {-0.5, 0.5}
    np.testing.assert_allclose((drawn > 0).mean(), 0.8, atol=0.03)


def test_action_noise_has_the_std_of_the_first_step_and_is_clipped():
    fitted = planner.PlannerState(jnp.zeros((2, 1)), jnp.array([[0.4], [0.1]]))
    act = partial(planner.act, NOISY.planner, fitted, elites_of([[[0.0], [0.0]]], [1.0]))
    drawn = jax.vmap(act)(jax.random.split(jax.random.key(0), 4000))[:, 0]
    np.testing.assert_allclose(drawn.std(), 0.4, rtol=0.1)
    assert jnp.abs(drawn).max() == 1.0


def test_glass_acts_with_the_clipped_mean():
    fitted = planner.PlannerState(jnp.array([[1.5, -0.2]]), jnp.ones((1, 2)))
    elites = elites_of([[[0.0, 0.0]]], [1.0])
    action = planner.act(GLASS.planner, fitted, elites, jax.random.key(0))
    np.testing.assert_allclose(action, [1.0, -0.2])


def test_terminal_value_of_glass_is_the_smallest_head_and_never_negative():
    params = agent(GLASS)
    z = networks.simnorm(8.0 * jax.random.normal(jax.random.key(0), (256, 32)), 8)
    action = prior_of(GLASS, params, z)
    # Bins moved so that the values lie on both sides of 0.
    middle = float(networks.symlog(heads_of(GLASS, params, z, action).min(axis=0)).mean())
    config = GLASS.replace(bin_min=GLASS.bin_min - middle, bin_max=GLASS.bin_max - middle)
    heads = heads_of(config, params, z, action)
    expected = jnp.maximum(heads.min(axis=0), 0.0)
    assert (expected == 0.0).any() and (expected > 0.0).any()
    found = jax.jit(world_model(config, config.planner, params).terminal)(z, jax.random.key(0))
    np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-4)


def test_terminal_value_of_tdmpc2_is_the_mean_of_two_heads_drawn_anew():
    params = agent(TDMPC2)
    # A policy without spread, so that the heads are the only thing drawn.
    last = {name: leaf.copy() for name, leaf in params["pi"]["Dense_2"].items()}
    last["kernel"][:, 4:], last["bias"][4:] = 0.0, -50.0
    params = params | {"pi": params["pi"] | {"Dense_2": last}}
    z = latents(TDMPC2, params)
    heads = heads_of(TDMPC2, params, z, prior_of(TDMPC2, params, z))
    pairs = {(i, j): (heads[i] + heads[j]) / 2 for i in range(5) for j in range(i)}
    terminal = jax.jit(world_model(TDMPC2, TDMPC2.planner, params).terminal)
    seen = set()
    for seed in range(40):
        value = terminal(z, jax.random.key(seed))
        distance = {pair: float(jnp.abs(value - mean).max()) for pair, mean in pairs.items()}
        closest = min(distance, key=distance.__getitem__)
        assert distance[closest] < 5e-3
        seen.add(closest)
    assert len(seen) >= 8


def test_policy_and_q_see_the_cluster_row_where_the_agent_was_trained_with_it():
    params = agent(CLUSTER_OBS)
    z = latents(CLUSTER_OBS, params)
    seen = input_of(CLUSTER_OBS, params, z)
    assert seen.shape == (EPISODES, 32 + 8)
    np.testing.assert_array_equal(seen[:, :32], z)
    np.testing.assert_allclose(seen[:, 32:].sum(axis=1), 1.0, rtol=1e-5)
    gradient = jax.jit(jax.grad(lambda p: value_input(CLUSTER_OBS, p, z).sum()))(params)
    assert all((leaf == 0.0).all() for leaf in jax.tree.leaves(gradient))
    np.testing.assert_array_equal(value_input(GLASS, params, z), z)


def test_an_agent_that_cannot_be_planned_with_is_refused_with_its_reason():
    config = GLASS.replace(no_planner="its dynamics jump several steps at once")
    params = agent(config)
    with pytest.raises(GlassvizError, match=r"jump several steps at once.*controller `pi`"):
        planner.plan(
            config,
            config.planner,
            params,
            latents(config, params, 1),
            planner.initial_state(config, config.planner, 1),
            keys(1),
        )


EPISODIC = TDMPC2.replace(episodic=True)


def ending_walk(end):
    """A walk along a line by the actions, each step worth 1, that ends at `end`."""

    def step(z, action):
        after = z + action
        return after, jnp.ones(after.shape[0])

    def terminal(z, key):
        return jnp.full(z.shape[0], 100.0)

    def policy(z, key):
        return jnp.ones((z.shape[0], 1))

    return Model(step, terminal, policy, lambda z: z[..., 0] >= end)


@pytest.mark.parametrize(
    ("end", "value"),
    # The step that ends the episode is paid; nothing after it is, and no terminal value.
    [(0.5, 1.0), (1.5, 1.0 + 0.5), (2.5, 1.75), (3.5, 1.75 + 0.125 * 100.0)],
    ids=["at the first step", "at the second", "at the last", "never"],
)
def test_nothing_counts_after_an_episode_has_ended(end, value):
    constants = replace(TDMPC2.planner, horizon=3, discount=0.5, policy_trajectories=4)
    model, z, key = ending_walk(end), jnp.zeros(1), jax.random.key(0)
    actions = jnp.ones((5, 3, 1))
    sampled = planner.roll_out(constants, model, z, actions)
    proposed = planner.propose(constants, model, z, key)
    for trajectories in (sampled, proposed):
        found = planner.evaluate(constants, model, trajectories, key)
        np.testing.assert_allclose(found, value)
        np.testing.assert_array_equal(trajectories.going, float(end > 3.0))


def test_an_episodic_agent_plans_past_no_end():
    params = agent(EPISODIC)
    bias = f"Dense_{len(EPISODIC.hidden_widths)}"
    z, state = latents(EPISODIC, params), used_state(EPISODIC)

    def planned(logit):
        last = params["term"][bias]
        always = {"kernel": 0.0 * last["kernel"], "bias": jnp.full(1, logit, jnp.float32)}
        ending = params | {"term": params["term"] | {bias: always}}
        return plan(EPISODIC, EPISODIC.planner, ending, z, state, keys())

    others = {name: net for name, net in params.items() if name != "term"}
    ordinary = plan(TDMPC2, TDMPC2.planner, others, z, state, keys())
    np.testing.assert_allclose(planned(-1.0).value, ordinary.value, rtol=1e-5)
    assert jnp.abs(planned(1.0).value - ordinary.value).min() > 1e-3


JAX = TDMPC2.replace(planner=replace(TDMPC2.planner, variant="tdmpc2-jax"))


def test_the_planner_of_tdmpc2_jax_asks_all_heads_and_carries_the_std_over():
    params, key = agent(JAX), jax.random.key(2)
    z = latents(JAX, params)
    model = world_model(JAX, JAX.planner, params)
    expected = heads_of(JAX, params, z, model.policy(z, key)).mean(axis=0)
    np.testing.assert_allclose(model.terminal(z, key), expected, rtol=1e-4, atol=1e-5)
    fitted = planner.PlannerState(jnp.ones((2, 4)), jnp.full((2, 4), 0.3))
    shifted = planner.shift(JAX.planner, fitted)
    np.testing.assert_allclose(shifted.std[:, 0], [0.3, JAX.planner.max_std])
    np.testing.assert_allclose(shifted.mean[:, 0], [1.0, 0.0])
    reset = planner.shift(TDMPC2.planner, fitted)
    np.testing.assert_allclose(reset.std, TDMPC2.planner.max_std)
