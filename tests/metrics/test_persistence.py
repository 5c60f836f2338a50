"""Persistence against lag: exact counts, clocks, noise, and how much frame rate labels need."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from sklearn.metrics import cohen_kappa_score, mutual_info_score

from glassviz.metrics.segments import lagged_counts, persistence
from tests.helpers.label_series import DT_S, clock


@given(arrays(np.int64, st.integers(3, 80), elements=st.integers(-1, 3)), st.integers(0, 20))
def test_counts_are_exactly_those_of_a_comparison_lag_by_lag(label, lags):
    occurring = np.unique(label[label >= 0])
    if not len(occurring):
        return
    found = lagged_counts(label, lags)
    for lag in range(lags + 1):
        now, later = label[: max(len(label) - lag, 0)], label[lag:]
        for i, a in enumerate(occurring):
            for j, b in enumerate(occurring):
                assert found[lag, i, j] == np.sum((now == a) & (later == b))


def test_counts_are_exact_across_blocks(rng):
    label = rng.integers(3, size=400_000)
    found = lagged_counts(label, 5)
    for lag in (0, 1, 5):
        pairs = label[: len(label) - lag] * 3 + label[lag:]
        assert np.array_equal(found[lag].ravel(), np.bincount(pairs, minlength=9))


def test_a_clock_has_its_period_and_full_periodicity():
    found = persistence(clock(period=40).label, DT_S)
    assert found.period_s == pytest.approx(40 * DT_S)
    assert found.periodicity == pytest.approx(1)
    assert found.agreement[19] == 0
    assert found.auto_information_bits[39] == pytest.approx(2)


def test_the_period_is_the_first_of_its_multiples_even_with_slips(rng):
    label = clock(cycles=50, period=40).label.copy()
    slipped = rng.random(len(label)) < 0.2
    label[slipped] = rng.integers(4, size=int(slipped.sum()))
    found = persistence(label, DT_S)
    assert found.period_s == pytest.approx(40 * DT_S, abs=2 * DT_S)
    # A frame keeps its label with chance 0.8 + 0.2/4, so both do, and are alike, with 0.8².
    assert found.periodicity == pytest.approx(0.64, abs=0.06)


def test_kappa_and_information_are_those_of_scikit_learn_on_a_long_series():
    label = np.random.default_rng(1).integers(3, size=60_000)
    label[1::2] = label[::2]
    found = persistence(label, DT_S, max_lag_s=3 * DT_S)
    for lag in (1, 2, 3):
        now, later = label[:-lag], label[lag:]
        assert found.kappa[lag - 1] == pytest.approx(cohen_kappa_score(now, later), abs=1e-4)
        information = mutual_info_score(now, later) / np.log(2)
        assert found.auto_information_bits[lag - 1] == pytest.approx(information, abs=1e-9)


def test_independent_labels_have_neither_kappa_nor_a_high_peak():
    found = persistence(np.random.default_rng(2).integers(4, size=20_000), DT_S)
    assert np.abs(found.kappa).max() < 0.03
    assert found.periodicity < 0.03


def test_a_constant_label_has_no_kappa_and_no_period():
    found = persistence(np.zeros(50, int), DT_S)
    assert np.isnan(found.kappa).all() and (found.agreement == 1).all()
    assert (found.period_s, found.periodicity) == (None, None)


@pytest.mark.parametrize("hold", [2, 5, 10])
def test_hold_agreement_is_that_of_labels_really_held(hold):
    label = np.random.default_rng(3).integers(2, size=30_000).repeat(4)
    held = []
    for start in range(hold):
        frames = np.arange(start, len(label))
        held.append(np.mean(label[frames] == label[frames - (frames - start) % hold]))
    found = dict(persistence(label, DT_S).hold_agreement)
    assert found[hold] == pytest.approx(np.mean(held), abs=1e-3)


def test_three_frames_have_a_lag_and_no_frames_have_nothing():
    assert len(persistence(np.array([0, 1, 0]), DT_S).lag_s) == 1
    assert len(persistence(np.array([0]), DT_S).lag_s) == 0
    assert persistence(np.full(5, -1), DT_S) is None
