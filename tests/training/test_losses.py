"""Each training loss equals its formula, and its gradient reaches just what it should."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import tests.helpers.tiny as tiny
from glassviz.agents import glass as glass_ops
from glassviz.agents.networks import encode, init_params, next_latent
from glassviz.agents.world_model import policy_action, q_values
from glassviz.errors import UsageError
from glassviz.training.config import apply
from glassviz.training.learner import init_learner, update
from glassviz.training.losses import SCALE_EMA, Batch, Schedule, glass_loss, td_target, total_loss

TRAIN = tiny.TRAIN
HORIZON = TRAIN.agent.planner.horizon
COLD = Schedule(jnp.array(False), jnp.array(False), jnp.array(0.0))
WARM = COLD._replace(glass=jnp.array(True))


@pytest.fixture(scope="module")
def params():
    fresh = init_params(TRAIN.agent, jax.random.key(0))
    noise = jax.random.split(jax.random.key(1), len(jax.tree.leaves(fresh)))
    leaves = [
        leaf + 0.1 * jax.random.normal(key, leaf.shape)
        for leaf, key in zip(jax.tree.leaves(fresh), noise, strict=True)
    ]
    return jax.tree.unflatten(jax.tree.structure(fresh), leaves)


@pytest.fixture(scope="module")
def batch():
    rng = np.random.default_rng(0)
    size = TRAIN.batch_size
    return Batch(
        obs=jnp.asarray(rng.normal(size=(HORIZON + 1, size, 15)), jnp.float32),
        action=jnp.asarray(rng.uniform(-1, 1, (HORIZON, size, 4)), jnp.float32),
        reward=jnp.asarray(rng.uniform(0, 1, (HORIZON, size)), jnp.float32),
        planned=jnp.zeros((HORIZON, size), bool),
    )


@jax.jit
def loss_terms(params, batch):
    return total_loss(params, TRAIN, params, jnp.array(2.0), batch, COLD, jax.random.key(0))


@jax.jit
def rolled_out(params, batch):
    latents = [encode(TRAIN.agent, params, batch.obs[0])]
    for t in range(HORIZON):
        latents.append(next_latent(TRAIN.agent, params, latents[-1], batch.action[t]))
    return latents


values = jax.jit(
    lambda params, z: q_values(TRAIN.agent, params, z, policy_action(TRAIN.agent, params, z))
)
embed = jax.jit(lambda params, obs: encode(TRAIN.agent, params, obs))
target = jax.jit(lambda params, batch: td_target(TRAIN, params, batch))


def test_consistency_is_the_discounted_squared_distance_to_the_encoded_future(params, batch):
    latents = rolled_out(params, batch)
    expected = 0.0
    for t in range(HORIZON):
        seen = embed(params, batch.obs[t + 1])
        expected += 0.5**t * jnp.sum((latents[t + 1] - seen) ** 2, axis=-1).mean()
    _, metrics = loss_terms(params, batch)
    assert metrics["consistency_loss"] == pytest.approx(float(expected) / HORIZON, rel=1e-5)


def test_policy_loss_is_minus_the_smallest_q_over_the_scale(params, batch):
    expected = 0.0
    for t, z in enumerate(rolled_out(params, batch)[:-1]):
        q = values(params, z)
        expected += -(0.5**t) * float(q.min(axis=0).mean()) / 2.0
    _, metrics = loss_terms(params, batch)
    assert metrics["policy_loss"] == pytest.approx(expected / HORIZON, rel=1e-4)


def test_td_target_is_reward_plus_the_discounted_value_of_the_target_policy(params, batch):
    q = values(params, embed(params, batch.obs[1:])).min(axis=0)
    assert np.all(q > 0)
    assert np.allclose(target(params, batch), batch.reward + 0.99 * q, atol=1e-5)


def test_td_target_takes_no_value_below_zero(params, batch):
    last = f"Dense_{len(TRAIN.agent.hidden_widths)}"
    bias = params["q"][last]["bias"].at[:, :20].add(20.0)  # all mass on the lowest bins
    pessimist = params | {"q": params["q"] | {last: params["q"][last] | {"bias": bias}}}
    assert np.array_equal(target(pessimist, batch), batch.reward)


def test_total_is_the_weighted_sum_of_its_terms(params, batch):
    loss, m = loss_terms(params, batch)
    expected = (
        2 * m["consistency_loss"] + 2 * m["reward_loss"] + m["value_loss"] + 0.1 * m["policy_loss"]
    )
    assert loss == pytest.approx(float(expected), rel=1e-6)


def reached(gradient) -> set[str]:
    """The networks that a gradient is not zero in."""
    return {
        name
        for name, tree in gradient.items()
        if any(bool(jnp.any(leaf != 0)) for leaf in jax.tree.leaves(tree))
    }


def test_policy_loss_reaches_the_policy_alone(params, batch):
    gradient = jax.jit(jax.grad(lambda p: loss_terms(p, batch)[1]["policy_loss"]))(params)
    assert reached(gradient) == {"pi"}


def test_td_target_has_no_gradient(params, batch):
    gradient = jax.jit(jax.grad(lambda p: td_target(TRAIN, p, batch).sum()))(params)
    assert reached(gradient) == set()


@pytest.mark.parametrize("stopgrad", [True, False])
def test_glass_reaches_encoder_and_dynamics_only_without_stopgrad(params, batch, stopgrad):
    settings = dataclasses.replace(TRAIN.glass, stopgrad_graph=stopgrad)

    def loss(p):
        latents = jnp.stack(rolled_out(p, batch))
        return glass_loss(TRAIN.agent, settings, p, latents, batch.obs)[0]

    shaped = {"glass"} if stopgrad else {"glass", "enc", "dyn"}
    assert reached(jax.jit(jax.grad(loss))(params)) == shaped


def test_glass_loss_equals_its_formula(params, batch):
    latents = jnp.stack(rolled_out(params, batch))
    total, _ = jax.jit(lambda p, z: glass_loss(TRAIN.agent, TRAIN.glass, p, z, batch.obs))(
        params, latents
    )

    z = np.asarray(latents, np.float64)
    mu = np.asarray(params["glass"]["prototypes"], np.float64)
    cos = (z @ mu.T) / np.linalg.norm(z, axis=-1, keepdims=True) / np.linalg.norm(mu, axis=1)
    c = np.exp(cos / 0.7)
    c /= c.sum(axis=-1, keepdims=True)
    logits = np.asarray(params["glass"]["assign_logits"], np.float64)
    s_nk = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    now, later = c[:-1].reshape(-1, 6), c[1:].reshape(-1, 6)
    p = now.T @ later + 1e-4
    p /= p.sum(axis=1, keepdims=True)
    a = (p + p.T) / 2
    d = a.sum(axis=1)
    volume = s_nk.T @ d
    cut = (s_nk * (d[:, None] - a @ s_nk)).sum(axis=0)
    two_m = d.sum()
    h1 = -np.sum(d / two_m * np.log2(d / two_m))
    h2 = h1 + np.sum((volume - cut) / two_m * np.log2(volume / two_m))
    balance = np.sum(np.maximum(s_nk.mean(axis=0) - 2 / 3, 0) ** 2)
    balance += np.sum(np.maximum(now.mean(axis=0) - 2 / 6, 0) ** 2)
    temporal = np.mean(np.sum((now @ s_nk - later @ s_nk) ** 2, axis=1))
    assert total == pytest.approx(5e-3 * h2 + 1e-2 * balance + 1e-3 * temporal, abs=1e-6)


step = jax.jit(update, static_argnums=0)


def test_glass_parameters_rest_until_they_are_warm_and_then_move_every_kth_update(batch):
    state = init_learner(TRAIN)
    before = state.params["glass"]["prototypes"]
    for _ in range(3):
        state, _ = step(TRAIN, state, batch, COLD)
    assert jnp.array_equal(state.params["glass"]["prototypes"], before)
    assert state.updates == 3
    # Update 3 of every second one is off: Adam's moments are still zero, so nothing moves.
    state, _ = step(TRAIN, state, batch, WARM)
    assert jnp.array_equal(state.params["glass"]["prototypes"], before)
    state, _ = step(TRAIN, state, batch, WARM)
    assert not jnp.array_equal(state.params["glass"]["prototypes"], before)


def test_active_clusters_depend_on_the_partition_alone(params):
    tree = params["glass"] | {"assign_logits": jnp.tile(jnp.array([9.0, 9.0, -9.0]), (6, 1))}
    assert glass_ops.active_in_partition(tiny.GLASS, tree) == 2


def test_targets_follow_by_the_ema_and_the_scale_stays_in_its_bounds(batch):
    state = init_learner(TRAIN)
    after, metrics = step(TRAIN, state, batch, COLD)
    for old, new, target in zip(
        *map(jax.tree.leaves, (state.target_params, after.params, after.target_params)), strict=True
    ):
        assert np.allclose(target, 0.99 * old + 0.01 * new, atol=1e-7)
    expected = (1 - SCALE_EMA) * 1.0 + SCALE_EMA * metrics["q_spread"]
    assert after.scale == pytest.approx(max(1.0, float(expected)))


def test_updates_on_one_batch_bring_its_loss_down(batch):
    state, first = step(TRAIN, init_learner(TRAIN), batch, WARM)
    for _ in range(150):
        state, last = step(TRAIN, state, batch, WARM)
    assert last["reward_loss"] < 0.8 * first["reward_loss"]
    assert last["value_loss"] < 0.8 * first["value_loss"]


def test_the_policy_is_drawn_to_the_planners_actions_that_q_prefers_and_to_no_others(params, batch):
    half = np.zeros(batch.planned.shape, bool)
    half[:, ::2] = True
    train = apply(TRAIN, {"planner_share": 0.5, "planner_imitation_coef": 1.0, "rho": 1.0})
    found = jax.jit(
        lambda of: total_loss(params, train, params, jnp.array(2.0), of, COLD, jax.random.key(0))
    )(batch._replace(planned=jnp.asarray(half)))[1]

    z = jnp.stack(rolled_out(params, batch)[:-1])
    action = policy_action(TRAIN.agent, params, z)
    of_planner = q_values(TRAIN.agent, params, z, batch.action).min(axis=0)
    better = half & np.asarray(of_planner > q_values(TRAIN.agent, params, z, action).min(axis=0))
    assert 0 < better.sum() < half.sum()
    squared = np.sum((np.asarray(action) - np.asarray(batch.action)) ** 2, axis=-1)
    expected = squared[better].sum() / half.sum()
    assert np.allclose(found["planner_imitation_loss"], expected, rtol=1e-4)
    assert np.allclose(found["planner_better"], better.sum() / half.sum())


def test_an_imitation_of_nobody_is_refused():
    with pytest.raises(UsageError, match=r"planner_imitation_coef needs bodies .* planner_share"):
        apply(TRAIN, {"planner_imitation_coef": 1.0})
