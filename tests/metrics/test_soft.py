"""Soft assignments: known answers at every temperature, the audit, and counts of clusters."""

import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.special import softmax
from scipy.stats import entropy

from glassviz.agents.config import GlassConfig
from glassviz.agents.glass import active_in_partition, partition
from glassviz.metrics.information import between_groups_bits, window_mi_bits
from glassviz.metrics.labels import (
    active_clusters,
    cosine_up_to_a_constant,
    describe_soft,
    reachable_clusters,
    soft_assignment,
    temperature_audit,
)
from glassviz.training.losses import cosine_distance, window_spread
from tests.helpers.label_series import clock

NOBODY = np.full(800, -1)
# Four phases with a prototype each, of 16; the other cosines are 0.
CLOCK = clock()
COSINE = (CLOCK.label[:, None] == np.arange(16)).astype(np.float64)
PAIRS = np.repeat(np.eye(8), 2, axis=0)


def drawn(seed: int, frames: int = 200) -> tuple[np.ndarray, np.ndarray]:
    """Random cosines, and a random partition."""
    draws = np.random.default_rng(seed)
    return draws.random((frames, 16)), softmax(3 * draws.normal(size=(16, 8)), axis=1)


@pytest.mark.parametrize(
    ("tau", "low", "high"), [(1.0, 0.0, 0.06), (0.7, 0.0, 0.14), (0.2, 1.5, 2.0), (0.1, 1.9, 2.0)]
)
def test_a_perfect_four_phase_cycle_looks_still_at_the_usual_temperatures(tau, low, high):
    own, other = np.exp(1 / tau) / (np.exp(1 / tau) + 15), 1 / (np.exp(1 / tau) + 15)
    mixed = np.repeat([(own + 3 * other) / 4, other], [4, 12])
    by_hand = entropy(mixed, base=2) - entropy(np.repeat([own, other], [1, 15]), base=2)
    found = between_groups_bits(soft_assignment(COSINE, tau), CLOCK.label)
    assert found == pytest.approx(by_hand)
    assert low <= found <= high, "of 2 bits that the hard labels have"


@given(st.integers(0, 1000), st.sampled_from([0.05, 0.3, 1.0]), st.sampled_from([0.1, 0.7, 2.0]))
def test_assignments_at_another_temperature_follow_from_those_at_a_known_one(seed, known, other):
    cosine, _ = drawn(seed, frames=5)
    c = soft_assignment(cosine, known).astype(np.float32)
    found = soft_assignment(cosine_up_to_a_constant(c, known), other)
    assert found == pytest.approx(soft_assignment(cosine, other), abs=1e-5)


def test_an_entry_that_underflowed_stays_the_smallest():
    cosine = cosine_up_to_a_constant(np.array([[1.0, 0.0]], np.float32), 0.005)
    c = soft_assignment(cosine, 0.005)
    assert np.isfinite(cosine).all() and c[0, 1] < 1e-30


def test_trained_terms_are_those_of_training(rng):
    cosine, s_of = drawn(0)
    c = soft_assignment(cosine, 0.7)
    found = describe_soft(c, s_of, 0.7, np.full(200, -1), rng)
    s = jnp.asarray(c @ s_of)
    assert found.change.temporal == pytest.approx(
        float(jnp.mean(jnp.sum((s[1:] - s[:-1]) ** 2, axis=1))), rel=1e-4
    )
    assert found.change.temp_stability == pytest.approx(
        float(cosine_distance(s[:-1], s[1:])), rel=1e-3
    )
    windows = jnp.stack([jnp.asarray(c[t : t + 196]) for t in range(5)])
    assert found.change.window_mi_5_bits == pytest.approx(float(window_spread(windows)), rel=1e-3)


def test_assignments_of_nothing_have_no_stability(rng):
    nothing = np.zeros((200, drawn(0)[1].shape[0]))
    found = describe_soft(nothing, drawn(0)[1], 0.7, np.full(200, -1), rng)
    assert found.change.temp_stability is None


def test_a_clock_is_sure_and_steady_when_cold(rng):
    found = describe_soft(soft_assignment(COSINE, 0.02), PAIRS, 0.02, CLOCK.cycle, rng)
    # Prototypes 0 to 3 belong to clusters 0 and 1 only.
    assert found.within_cycle_mi_bits == pytest.approx(1)
    assert found.between_cycle_mi_bits == pytest.approx(0, abs=1e-9)
    assert found.confidence == found.margin == pytest.approx(1)
    assert found.entropy == pytest.approx(0, abs=1e-9)
    assert found.rule_agreement == 1
    assert found.change.step_jsd_bits == pytest.approx(39 / 799)
    assert found.change.temporal == pytest.approx(2 * 39 / 799)
    assert found.change.temp_stability == pytest.approx(39 / 799)
    assert found.change_in_random_order.step_jsd_bits == pytest.approx(0.5, abs=0.05)


def test_the_rules_disagree_when_hot_and_agree_when_cold():
    cosine, s_of = drawn(1, frames=3000)
    hot, warm, cold = (
        each.rule_agreement
        for each in temperature_audit(
            cosine, s_of, np.full(3000, -1), np.random.default_rng(0), (1.0, 0.1, 0.001)
        )
    )
    assert hot < 0.7 < cold
    assert hot < warm <= cold and cold > 0.98


def test_an_audit_goes_from_sure_to_flat(rng):
    cosine, _ = drawn(2)
    audit = temperature_audit(cosine, np.eye(16), np.arange(200) // 40, rng)
    assert [each.tau for each in audit] == sorted(each.tau for each in audit)
    confidence = [each.confidence for each in audit]
    assert confidence == sorted(confidence, reverse=True)
    changes = [each.change.step_jsd_bits for each in audit]
    assert changes == sorted(changes, reverse=True)
    assert audit[-1].entropy > audit[0].entropy


@given(
    arrays(np.float64, (30, 4), elements=st.floats(0, 1)),
    st.permutations(range(3)),
    st.sampled_from([0.05, 0.7]),
)
def test_numbers_stay_in_their_ranges_and_do_not_depend_on_the_clusters_names(cosine, names, tau):
    s_of, cycle = softmax(np.random.default_rng(0).normal(size=(4, 3)), axis=1), np.arange(30) // 10
    one, other = (
        describe_soft(soft_assignment(cosine, tau), s, tau, cycle, np.random.default_rng(0))
        for s in (s_of, s_of[:, names])
    )
    for name in ("between_cycle_mi_bits", "within_cycle_mi_bits", "confidence", "margin"):
        assert getattr(one, name) == pytest.approx(getattr(other, name), abs=1e-9)
    assert 1 / 3 - 1e-9 <= one.confidence <= 1 and 0 <= one.margin <= 1
    assert 0 <= one.entropy <= 1 + 1e-9
    assert 0 <= one.change.step_jsd_bits <= 1
    assert 0 <= one.within_cycle_mi_bits <= np.log2(3) + 1e-9


def test_frames_of_nan_are_left_out_and_nothing_is_compared_across_them():
    c = soft_assignment(COSINE, 0.02)[:21].copy()
    c[10] = np.nan  # the last frame of phase 0 …, so that the only switch is not seen
    c[20] = np.nan
    found = describe_soft(c, np.eye(16), 0.02, NOBODY[:21], np.random.default_rng(0))
    assert found.change.step_jsd_bits == pytest.approx(0, abs=1e-9)
    assert found.between_cycle_mi_bits is None
    pieces = [window_mi_bits(part, 5, np.zeros(len(part), int)) for part in (c[:10], c[11:20])]
    assert found.change.window_mi_5_bits == pytest.approx(np.average(pieces, weights=[6, 5]))
    assert (
        describe_soft(np.full((3, 16), np.nan), PAIRS, 0.02, NOBODY[:3], np.random.default_rng(0))
        is None
    )
    assert (
        temperature_audit(np.full((3, 16), np.nan), PAIRS, NOBODY[:3], np.random.default_rng(0))
        == ()
    )


def test_three_frames_have_steps_and_no_windows_and_one_has_neither():
    three = describe_soft(
        soft_assignment(COSINE[:3], 0.7), PAIRS, 0.7, NOBODY[:3], np.random.default_rng(0)
    )
    assert three.change.window_mi_5_bits is None and three.change.step_jsd_bits is not None
    one = describe_soft(
        soft_assignment(COSINE[:1], 0.7), PAIRS, 0.7, NOBODY[:1], np.random.default_rng(0)
    )
    assert one.change.step_jsd_bits is None and one.confidence > 0


def test_one_cluster_has_neither_margin_nor_entropy(rng):
    found = describe_soft(soft_assignment(COSINE, 0.7), np.ones((16, 1)), 0.7, NOBODY, rng)
    assert (found.margin, found.entropy, found.confidence) == (None, None, pytest.approx(1))


def test_reachable_and_active_clusters_are_counted_apart():
    # Cluster 2 has a tenth of every prototype, and is the first choice of none.
    s_of = np.array([[0.9, 0.0, 0.1], [0.0, 0.9, 0.1]])
    assert (reachable_clusters(s_of), active_clusters(s_of)) == (2, 3)


@given(arrays(np.float32, (16, 8), elements=st.floats(-20, 20, width=32)))
def test_active_clusters_are_those_that_training_counts(logits):
    glass = GlassConfig()
    params = {"assign_logits": jnp.asarray(logits)}
    expected = int(active_in_partition(glass, params))
    assert active_clusters(np.asarray(partition(glass, params))) == expected
