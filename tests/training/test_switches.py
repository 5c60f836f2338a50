"""Each setting of the losses moves what it says it moves; what is off or later moves nothing."""

import dataclasses
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import tests.helpers.tiny as tiny
from glassviz.agents.networks import init_params, stack
from glassviz.agents.world_model import q_values, routed_correction
from glassviz.training import losses
from glassviz.training.config import apply, official
from glassviz.training.learner import init_learner, put, reset_q, restart, take, update
from glassviz.training.losses import Batch, Schedule, task_params, total_loss

BASE = tiny.TRAIN
ON = Schedule(jnp.array(True), jnp.array(True), jnp.array(1.0))
KEY = jax.random.key(3)
MODEL = {"enc", "dyn"}


def filled(train, seed=0):
    """Parameters of which none is zero, so that every loss has a gradient."""
    fresh = init_learner(train, seed).params
    keys = jax.random.split(jax.random.key(1), len(jax.tree.leaves(fresh)))
    leaves = [
        leaf + 0.1 * jax.random.normal(key, leaf.shape)
        for leaf, key in zip(jax.tree.leaves(fresh), keys, strict=True)
    ]
    return jax.tree.unflatten(jax.tree.structure(fresh), leaves)


def batch_of(train):
    rng = np.random.default_rng(0)
    size, steps = train.batch_size, train.sequence_steps
    obs = rng.normal(size=(steps + 1, size, 15))
    obs[..., -2:] = np.maximum(obs[..., -2:], 0)
    return Batch(
        obs=jnp.asarray(obs, jnp.float32),
        action=jnp.asarray(rng.uniform(-1, 1, (steps, size, 4)), jnp.float32),
        reward=jnp.asarray(rng.uniform(0, 1, (steps, size)), jnp.float32),
        planned=jnp.tile(jnp.arange(size) % 2 == 0, (steps, 1)),
    )


def gradient(train, schedule=ON):
    params = filled(train)
    grad = jax.grad(
        lambda p: total_loss(p, train, params, jnp.array(2.0), batch_of(train), schedule, KEY)[0]
    )
    return jax.jit(grad)(params)


@partial(jax.jit, static_argnums=1)
def losses_of(params, train, scale, batch):
    """The total loss and its terms, where targets are the parameters themselves."""
    return total_loss(params, train, params, scale, batch, ON, KEY)


def moved(one, other) -> set[str]:
    """The networks in which two gradients differ by more than rounding."""
    return {
        name
        for name in one
        if any(
            not np.allclose(a, b, rtol=1e-4, atol=1e-7)
            for a, b in zip(jax.tree.leaves(one[name]), jax.tree.leaves(other[name]), strict=True)
        )
    }


@pytest.fixture(scope="module")
def baseline():
    return gradient(BASE)


@pytest.mark.parametrize(
    ("changes", "networks"),
    [
        ({"consistency_coef": 1.0}, MODEL),
        ({"reward_coef": 1.0}, MODEL | {"rew"}),
        ({"value_coef": 2.0}, MODEL | {"q"}),
        ({"discount": 0.9}, MODEL | {"q"}),
        ({"policy_coef": 1.0}, {"pi"}),
        ({"latent_action_smooth_coef": 0.1}, {"pi"}),
        ({"rho": 0.9}, MODEL | {"rew", "q", "pi"}),
        ({"proto_temperature": 0.4}, {"glass"}),
        ({"assignment_temperature": 2.0}, {"glass"}),
        ({"lambda_se": 0.5}, {"glass"}),
        ({"lambda_balance": 50.0}, {"glass"}),
        ({"lambda_temporal": 50.0}, {"glass"}),
        ({"lambda_temp_stability": 5.0}, {"glass"}),
        ({"lambda_window": 0.5, "window": 4}, {"glass"}),
        ({"lambda_contrastive": 0.5}, {"glass"}),
        ({"stopgrad_graph": False, "lambda_se": 0.5}, {"glass"} | MODEL),
        ({"demo_fraction": 0.5, "demo_bc_coef": 1.0}, {"pi"}),
        ({"planner_share": 0.5, "planner_imitation_coef": 1.0}, {"pi"}),
    ],
    ids=lambda value: "+".join(value) if isinstance(value, dict) else "",
)
def test_a_loss_reaches_the_networks_that_it_is_about(baseline, changes, networks):
    assert moved(baseline, gradient(apply(BASE, changes))) == networks


@pytest.mark.parametrize(
    ("changes", "schedule"),
    [
        ({"latent_action_smooth_coef": 0.1}, ON._replace(smooth=jnp.array(False))),
        ({"demo_fraction": 0.5, "demo_bc_coef": 1.0}, ON._replace(imitation=jnp.array(0.0))),
    ],
    ids=["smooth", "imitation"],
)
def test_a_loss_that_is_not_there_yet_changes_no_bit(baseline, changes, schedule):
    later = gradient(apply(BASE, changes), schedule)
    for a, b in zip(jax.tree.leaves(baseline), jax.tree.leaves(later), strict=True):
        assert np.array_equal(a, b)


def test_super_clusters_are_trained_by_losses_of_their_own():
    two_levels = apply(BASE, {"super_clusters": 2})
    trained = apply(two_levels, {"lambda_super_se": 0.5, "lambda_super_balance": 0.5})
    still = gradient(two_levels)["glass"]["super_assign_logits"]
    assert not np.any(still)
    assert np.any(gradient(trained)["glass"]["super_assign_logits"])


def test_the_window_loss_sees_more_frames_than_the_model_rolls_out():
    train = apply(BASE, {"lambda_window": 0.5, "window": 8})
    assert train.sequence_steps == 7
    batch = batch_of(train)
    late = batch._replace(obs=batch.obs.at[-1].add(5.0))

    params = filled(train)

    def window(of):
        metrics = losses_of(params, train, jnp.array(2.0), of)[1]
        return float(metrics["glass_window"]), float(metrics["consistency_loss"])

    assert window(batch)[0] != window(late)[0]
    assert window(batch)[1] == window(late)[1]


def test_window_spread_is_zero_for_one_label_and_one_bit_for_two():
    constant = jnp.tile(jnp.array([0.7, 0.2, 0.1]), (6, 4, 1))
    assert losses.window_spread(constant) == pytest.approx(0, abs=1e-6)
    sure = jnp.array([1.0, 0.0])
    halves = jnp.stack([sure, sure, sure[::-1], sure[::-1]])[:, None]
    assert losses.window_spread(halves) == pytest.approx(1)
    assert np.all(np.isfinite(jax.grad(losses.window_spread)(halves)))


def test_phase_contrast_is_lower_when_frames_of_one_contact_state_agree():
    # Sequence 0 stands, sequence 1 flies; the order of frames within each does not matter.
    down = jnp.array([[True, False]] * 4)
    sharp = jnp.array([[0.9, 0.1], [0.1, 0.9]])
    agreeing = jnp.tile(sharp[None], (4, 1, 1))
    swapping = jnp.stack([sharp, sharp[::-1], sharp, sharp[::-1]])
    assert losses.phase_contrast(agreeing, down) < losses.phase_contrast(swapping, down)


def test_the_contrast_is_of_sequences_from_the_whole_batch(rng):
    """Demonstrations come first in a batch: the agent's own frames count as well."""
    c = jnp.asarray(rng.dirichlet(np.ones(3), (4, 256)), jnp.float32)
    down = jnp.asarray(rng.random((4, 256)) < 0.5)
    felt = jax.grad(losses.phase_contrast)(c, down)
    by_sequence = np.any(np.asarray(felt), axis=(0, 2))
    assert by_sequence.sum() == 64
    assert by_sequence[:64].sum() == by_sequence[192:].sum() == 16


def test_the_routed_critic_starts_as_the_plain_one_and_then_corrects_by_cluster():
    routed = apply(BASE, {"routed_critic": True})
    params = init_params(routed.agent, jax.random.key(0))
    assert params["glass"]["delta_q"].shape == (3, 101)
    plain = {**params, "glass": {k: v for k, v in params["glass"].items() if k != "delta_q"}}
    z = jax.nn.softmax(jax.random.normal(KEY, (5, 4, 4)), axis=-1).reshape(5, 16)
    action = jnp.zeros((5, 4))
    assert np.array_equal(
        q_values(routed.agent, params, z, action), q_values(BASE.agent, plain, z, action)
    )
    higher = jnp.tile(jnp.arange(101.0), (3, 1))
    raised = {**params, "glass": params["glass"] | {"delta_q": higher}}
    assert np.all(q_values(routed.agent, raised, z, action) > 0)
    assert np.allclose(routed_correction(routed.agent, raised, z), higher[0], rtol=1e-5)
    assert np.any(gradient(routed)["glass"]["delta_q"])


def test_the_routed_critic_does_not_train_the_clusters_through_the_value():
    routed = apply(BASE, {"routed_critic": True})
    cold = ON._replace(glass=jnp.array(False))
    found = gradient(routed, cold)["glass"]
    assert np.any(found["delta_q"])
    assert not np.any(found["prototypes"]) and not np.any(found["assign_logits"])


def test_multitask_shares_the_model_and_keeps_heads_apart():
    both = apply(BASE, {"multitask": True})
    assert both.tasks == ("hopper-hop", "hopper-stand")
    found = gradient(both)
    for head in ("rew", "q", "pi"):
        first, second = task_params(found, 0)[head], task_params(found, 1)[head]
        pairs = zip(jax.tree.leaves(first), jax.tree.leaves(second), strict=True)
        assert all(np.any(a) and np.any(b) and not np.allclose(a, b) for a, b in pairs)
    assert found["enc"]["Dense_0"]["kernel"].ndim == 2


def test_five_heads_share_one_value_loss_in_the_official_family():
    train = official(apply(BASE, {"task": "hopper-stand"}))
    params = filled(train)
    assert params["q"]["Dense_0"]["kernel"].shape[0] == 5
    loss, m = losses_of(params, train, jnp.array(1.0), batch_of(train))
    glass = 5e-3 * m["glass_entropy"] + 1e-2 * m["glass_balance"] + 1e-3 * m["glass_temporal"]
    expected = (
        20 * m["consistency_loss"] + 0.1 * m["reward_loss"] + 0.1 * m["value_loss"]
        + m["policy_loss"] + glass
    )  # fmt: skip
    assert loss == pytest.approx(float(expected), rel=1e-5)


def test_the_official_policy_loss_is_divided_by_the_scale_that_it_leads_to():
    train = apply(official(BASE), {"entropy_coef": 0.0})
    params, batch = filled(train), batch_of(train)

    def found(scale: float) -> dict[str, float]:
        return losses_of(params, train, jnp.array(scale), batch)[1]

    low, high = found(1.0), found(2.0)
    assert high["scale"] - low["scale"] == pytest.approx(0.99, abs=1e-5)
    assert low["scale"] >= 1  # the spread counts as 1 at least
    undivided = low["policy_loss"] * low["scale"]
    assert undivided == pytest.approx(float(high["policy_loss"] * high["scale"]), rel=1e-4)


def test_the_entropy_weight_widens_the_policy():
    train = official(BASE)

    def spread(coef):
        found = gradient(dataclasses.replace(
            train, losses=dataclasses.replace(train.losses, entropy_coef=coef)
        ))  # fmt: skip
        last = f"Dense_{len(train.agent.hidden_widths)}"
        return np.asarray(found["pi"][last]["bias"][4:])  # of the log std

    assert np.all(spread(1.0) < spread(0.0))  # descent raises the log std


def test_the_encoder_of_the_official_family_learns_at_three_tenths_of_the_rate():
    train = official(BASE)
    state = init_learner(train)
    state = state._replace(params=filled(train))
    after, _ = jax.jit(update, static_argnums=0)(train, state, batch_of(train), ON)
    steps = {
        name: max(
            float(jnp.abs(new - old).max())
            for old, new in zip(
                jax.tree.leaves(state.params[name]),
                jax.tree.leaves(after.params[name]),
                strict=True,
            )
        )
        for name in ("enc", "dyn")
    }
    assert steps["dyn"] == pytest.approx(3e-4, rel=0.01)
    assert steps["enc"] == pytest.approx(0.9e-4, rel=0.01)


def leaves_equal(one, other) -> bool:
    pairs = zip(jax.tree.leaves(one), jax.tree.leaves(other), strict=True)
    return all(np.array_equal(a, b) for a, b in pairs)


@pytest.fixture(scope="module")
def trained():
    state = init_learner(BASE)
    step = jax.jit(update, static_argnums=0)
    for _ in range(2):
        state, _ = step(BASE, state, batch_of(BASE), ON)
    return state


def moments_of(state, name):
    found = jax.tree_util.tree_leaves_with_path(state.opt_state)
    return [leaf for path, leaf in found if any(getattr(p, "key", None) == name for p in path)]


def test_a_q_reset_renews_the_online_heads_and_their_moments_alone(trained):
    after = reset_q(BASE, trained, seed=9)
    assert not leaves_equal(after.params["q"], trained.params["q"])
    for name in ("enc", "dyn", "rew", "pi", "glass"):
        assert leaves_equal(after.params[name], trained.params[name])
        assert leaves_equal(moments_of(after, name), moments_of(trained, name))
    assert all(not np.any(leaf) for leaf in moments_of(after, "q"))
    assert leaves_equal(after.target_params, trained.target_params)


def test_a_restart_keeps_the_world_model_alone(trained):
    after = restart(BASE, trained, seed=9)
    for name in ("enc", "dyn", "rew", "glass"):
        assert leaves_equal(after.params[name], trained.params[name])
    for name in ("q", "pi"):
        assert not leaves_equal(after.params[name], trained.params[name])
    assert leaves_equal(after.target_params, after.params)
    assert all(not np.any(leaf) for leaf in jax.tree.leaves(after.opt_state))
    assert after.updates == trained.updates


def test_seeds_are_stacked_taken_and_put_back(trained):
    other = init_learner(BASE, 7)
    both = stack([trained, other])
    assert leaves_equal(take(both, 0), trained) and leaves_equal(take(both, 1), other)
    assert leaves_equal(take(put(both, 0, other), 0), other)
