"""Entropies, divergences, windows and groups of frames: known answers, SciPy, scikit-learn."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.spatial.distance import jensenshannon
from scipy.stats import entropy
from sklearn.metrics import mutual_info_score

from glassviz.metrics.information import (
    between_groups_bits,
    contiguous_blocks,
    divergence_bits,
    entropy_bits,
    information_bits,
    miller_madow_bits,
    one_hot,
    window_mi_bits,
    within_groups_bits,
)
from tests.helpers.label_series import clock

WHOLE = np.zeros(800, np.int64)
FOUR = one_hot(clock().label, 8)
# SciPy's divergence of numbers that underflow is infinite.
WEIGHTS = arrays(np.float64, (2, 5), elements=st.just(0.0) | st.floats(1e-6, 1)).filter(
    lambda w: (w.sum(axis=1) > 1e-3).all()
)


@given(WEIGHTS)
def test_entropy_and_divergence_are_scipy_s_squared_and_in_bits(weights):
    p, q = weights / weights.sum(axis=1, keepdims=True)
    assert entropy_bits(p) == pytest.approx(entropy(p, base=2), abs=1e-9)
    assert divergence_bits(p, q) == pytest.approx(jensenshannon(p, q, base=2) ** 2, abs=1e-7)


@given(arrays(np.int64, (2, 30), elements=st.integers(0, 3)))
def test_information_is_scikit_learn_s(labels):
    counts = np.zeros((4, 4))
    np.add.at(counts, tuple(labels), 1.0)
    expected = mutual_info_score(*labels) / np.log(2)
    assert information_bits(counts) == pytest.approx(expected, abs=1e-9)


def test_miller_madow_takes_most_of_the_bias_of_small_samples_out(rng):
    samples = [np.bincount(rng.integers(8, size=60), minlength=8).astype(float) for _ in range(500)]
    plain = np.mean([entropy_bits(sample / 60) for sample in samples])
    corrected = np.mean([miller_madow_bits(sample) for sample in samples])
    assert 3 - plain > 0.07
    assert corrected == pytest.approx(3, abs=0.01)


@pytest.mark.parametrize(("window", "bits"), [(40, 0.0), (25, 0.478), (10, 2.0)])
def test_only_windows_of_whole_cycles_are_alike_in_a_perfect_cycle(window, bits):
    group = np.arange(800) // window
    assert between_groups_bits(FOUR, group) == pytest.approx(bits, abs=5e-4)


def test_a_perfect_cycle_has_two_bits_within_and_none_between_cycles():
    cycle = clock().cycle
    assert between_groups_bits(FOUR, cycle) == pytest.approx(0, abs=1e-12)
    assert within_groups_bits(FOUR, cycle) == pytest.approx(2)


def test_information_between_groups_of_equal_size_is_that_of_scikit_learn(rng):
    label, group = rng.integers(3, size=600), np.repeat(np.arange(6), 100)
    found = between_groups_bits(one_hot(label, 3), group)
    assert found == pytest.approx(mutual_info_score(label, group) / np.log(2))


def test_window_mi_is_worked_out_by_hand():
    # Windows of five: 00001 00011 00111 01111, entropies H(1/5), H(2/5) twice each.
    p = one_hot(np.array([0, 0, 0, 0, 1, 1, 1, 1]), 2)
    by_hand = np.mean([entropy([1, 4], base=2), entropy([2, 3], base=2)])
    assert window_mi_bits(p, 5, WHOLE[:8]) == pytest.approx(by_hand)


def test_window_mi_is_0_for_one_label_and_for_a_constant_mixture():
    assert window_mi_bits(one_hot(WHOLE, 3), 5, WHOLE) == 0
    assert window_mi_bits(np.tile([0.2, 0.3, 0.5], (800, 1)), 10, WHOLE) == pytest.approx(0)


@given(arrays(np.float64, (30, 4), elements=st.floats(0.01, 1)), st.integers(2, 12))
def test_window_mi_is_the_mean_over_windows_taken_one_by_one(weights, window):
    p = weights / weights.sum(axis=1, keepdims=True)
    kept = np.ones(30, bool)
    kept[13] = False
    one_by_one = [
        entropy_bits(p[t : t + window].mean(axis=0)) - np.mean(entropy_bits(p[t : t + window]))
        for t in range(30 - window + 1)
        if kept[t : t + window].all()
    ]
    found = window_mi_bits(p, window, contiguous_blocks(kept))
    assert found == pytest.approx(np.mean(one_by_one), abs=1e-9)
    assert 0 <= found <= np.log2(min(window, 4)) + 1e-9


def test_there_is_no_window_longer_than_what_was_kept_and_no_group_without_frames():
    kept = np.array([True, True, True, False, True, True, True])
    assert contiguous_blocks(kept).tolist() == [0, 0, 0, -1, 1, 1, 1]
    assert window_mi_bits(FOUR[:7], 5, contiguous_blocks(kept)) is None
    assert window_mi_bits(FOUR[:3], 5, WHOLE[:3]) is None
    assert between_groups_bits(FOUR[:3], np.full(3, -1)) is None
    assert within_groups_bits(FOUR[:3], np.full(3, -1)) is None
