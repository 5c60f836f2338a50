"""Locking: known answers, oracles, and how often its tests err, on labels of known truth."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import circmean, circstd, kstest
from sklearn.metrics import (
    adjusted_mutual_info_score,
    mutual_info_score,
    normalized_mutual_info_score,
)

from glassviz.metrics.information import information_bits
from glassviz.metrics.locking import locking, onset_locking, rayleigh_p
from glassviz.metrics.nulls import (
    PHASE_BINS,
    cycle_counts,
    phase_bin,
    rotation_test,
    shuffled_information_bits,
    switch_counts,
)
from glassviz.metrics.segments import find_segments
from tests.helpers.label_series import Series, clock, planted, unlocked

DATASETS = 500
ERRORS = (0.03, 0.07)
"""How often a test at 0.05 may reject what is true, over so many data sets."""


def rotated(series: Series, draws: np.random.Generator, replicates: int = 199):
    return rotation_test(cycle_counts(*series), switch_counts(*series), draws, replicates)


def test_a_clock_is_locked_as_far_as_its_bins_and_the_replicates_go(rng):
    found = locking(*clock(), rng)
    assert found.locking_u == pytest.approx(1)
    assert found.phase_information_bits == pytest.approx(2, abs=0.01)
    assert found.locking_p == 1 / 1000
    assert max(found.null_information_bits, found.shuffled_information_bits) < 0.3
    assert (found.cycles, found.frames) == (20, 800)


def test_one_label_leaves_nothing_to_lock(rng):
    series = clock(labels=1)
    found = locking(*series, rng)
    assert found.phase_information_bits == 0
    assert (found.locking_u, found.nmi, found.ami, found.locking_p) == (None, None, None, None)


def test_without_cycles_there_is_no_locking(rng):
    label = clock().label
    outside = np.full(len(label), -1)
    assert locking(label, np.full(len(label), np.nan), outside, rng) is None


@pytest.mark.parametrize("cycles", [1, 2])
def test_two_cycles_cannot_show_that_they_agree(cycles, rng):
    assert locking(*clock(cycles=cycles), rng).locking_p is None


def test_three_cycles_that_agree_are_as_rare_as_two_rotations_that_hit_one_bin_of_twelve(rng):
    assert locking(*clock(cycles=3), rng).locking_p == pytest.approx(1 / 144, abs=0.006)


def test_shares_are_those_of_scikit_learn():
    series = planted(np.random.default_rng(0), lost=0.3, slips=0.3)
    part = phase_bin(series.phase, series.cycle)
    found = locking(*series, np.random.default_rng(0))
    assert found.nmi == pytest.approx(normalized_mutual_info_score(part, series.label))
    assert found.ami == pytest.approx(adjusted_mutual_info_score(part, series.label))
    plug_in = mutual_info_score(part, series.label) / np.log(2)
    bias = 3 * (PHASE_BINS - 1) / (2 * len(part) * np.log(2))
    assert found.phase_information_bits == pytest.approx(plug_in - bias, abs=0.005)


def test_the_mean_of_the_null_is_that_of_cycles_rolled_one_by_one():
    series = planted(np.random.default_rng(0), slips=0.2)
    counts, draws = cycle_counts(*series), np.random.default_rng(1)
    by_hand = []
    for _ in range(400):
        rolled = [np.roll(c, s, axis=0) for c, s in zip(counts, draws.integers(12, size=20))]  # noqa: B905
        by_hand.append(information_bits(np.sum(rolled, axis=0)))
    mean, _ = rotated(series, np.random.default_rng(2), 999)
    assert mean == pytest.approx(np.mean(by_hand), rel=0.05)


def test_rotating_all_cycles_alike_changes_nothing():
    series = planted(np.random.default_rng(0), lost=0.4, slips=0.2)
    tables = cycle_counts(*series), switch_counts(*series)
    turned = (np.roll(table, 5, axis=1) for table in tables)
    assert rotation_test(*turned, np.random.default_rng(3)) == pytest.approx(
        rotation_test(*tables, np.random.default_rng(3))
    )


@settings(max_examples=20)
@given(st.integers(0, 2**32 - 1))
def test_the_statistic_of_the_locking_test_is_that_of_cycles_rolled_one_by_one(seed):
    series = planted(np.random.default_rng(seed), cycles=6, lost=0.5, slips=0.2)
    counts, switches = cycle_counts(*series), switch_counts(*series)
    scaled = switches / np.sqrt(counts.sum(axis=(0, 1)) / counts.sum())
    shifts = np.random.default_rng(1).integers(12, size=(99, 6))
    null = [
        np.square(sum(np.roll(c, s, axis=0) for c, s in zip(scaled, shift, strict=True))).sum()
        for shift in shifts
    ]
    reached = (np.array(null) >= np.square(scaled.sum(axis=0)).sum() - 1e-6).sum()
    assert rotated(series, np.random.default_rng(1), 99)[1] == (1 + reached) / 100


def test_a_switch_is_shared_out_between_its_bin_and_the_next():
    label = np.array([0, 0, 3, 3, 3, 0])
    phase = 2 * np.pi / 12 * np.array([0.0, 1.5, 2.25, 5.0, 8.0, 11.5])
    found = switch_counts(label, phase, np.zeros(6, int))
    begun = np.zeros(12)
    begun[[2, 3, 11, 0]] = [0.75, 0.25, -0.5, -0.5]
    np.testing.assert_allclose(found, np.stack([-begun, begun], axis=1)[None])


@pytest.mark.parametrize("left_out", ["label", "cycle", "phase"])
def test_no_switch_is_counted_across_a_frame_that_is_left_out(left_out):
    series = clock(cycles=4)
    assert np.abs(switch_counts(*series)).sum() == pytest.approx(2 * 15)
    changed = series._asdict()
    changed[left_out] = changed[left_out].astype(float if left_out == "phase" else int)
    changed[left_out][[39, 90]] = np.nan if left_out == "phase" else -1
    assert np.abs(switch_counts(**changed)).sum() == pytest.approx(2 * 13)


@settings(max_examples=20)
@given(st.permutations(range(4)), st.integers(0, 2**32 - 1))
def test_locking_does_not_depend_on_the_labels_names(names, seed):
    series = planted(np.random.default_rng(seed), lost=0.3, slips=0.2)
    renamed = Series(np.array(names)[series.label], series.phase, series.cycle)
    one, other = (locking(*s, np.random.default_rng(0), replicates=99) for s in (series, renamed))
    for name in ("phase_information_bits", "locking_u", "nmi", "ami", "locking_p"):
        assert getattr(one, name) == pytest.approx(getattr(other, name))


def share_rejected(p_values) -> float:
    return float(np.mean(np.asarray(p_values) <= 0.05))


@pytest.mark.parametrize(("labels", "dwell"), [(2, 6), (8, 6), (2, 20), (4, 40), (8, 80)])
def test_the_locking_test_errs_as_often_as_it_says_on_labels_independent_of_the_gait(labels, dwell):
    draws = np.random.default_rng(labels)
    p = [rotated(unlocked(draws, labels=labels, dwell=dwell), draws)[1] for _ in range(DATASETS)]
    assert ERRORS[0] <= share_rejected(p) <= ERRORS[1]
    assert kstest(p, "uniform").statistic < 0.08


def test_gaits_interrupted_in_every_third_cycle_do_not_make_the_locking_test_rash(rng):
    p = []
    for _ in range(DATASETS):
        label, phase, cycle = unlocked(rng, cycles=30, dwell=20)
        broken = Series(np.where(cycle % 3 == 0, -1, label), phase, cycle)
        p.append(rotated(broken, rng)[1])
    assert ERRORS[0] <= share_rejected(p) <= ERRORS[1]


def test_the_locking_test_finds_labels_that_lose_half_of_20_cycles_and_slip_in_a_fifth_of_frames(
    rng,
):
    p = [rotated(planted(rng, lost=0.5, slips=0.2), rng)[1] for _ in range(200)]
    assert share_rejected(p) >= 0.9


def test_segments_in_random_order_share_little_with_the_phase_and_keep_every_frame():
    series = clock(cycles=50)
    found = shuffled_information_bits(*series, np.random.default_rng(0))
    by_hand = []
    draws, cuts = np.random.default_rng(1), np.split(series.label, np.arange(10, 2000, 10))
    part = phase_bin(series.phase, series.cycle)
    for _ in range(100):
        order = draws.permutation(len(cuts))
        label = np.concatenate([cuts[i] for i in order])
        by_hand.append(mutual_info_score(part, label) / np.log(2))
    assert found == pytest.approx(np.mean(by_hand), rel=0.15)
    assert found < 0.1


def test_onsets_of_a_clock_are_at_one_phase_each():
    series = clock()
    found = onset_locking(find_segments(series.label), series.phase)
    # Nobody saw where the first segment, of label 0, began.
    assert [(o.label, o.onsets) for o in found] == [(0, 19), (1, 20), (2, 20), (3, 20)]
    for onset in found:
        assert onset.concentration == pytest.approx(1)
        distance = (onset.mean_phase_rad - onset.label * np.pi / 2 + np.pi) % (2 * np.pi) - np.pi
        assert distance == pytest.approx(0, abs=1e-9)
        assert onset.circular_sd_rad < 1e-6
        assert onset.rayleigh_p < 1e-6


@given(st.lists(st.floats(0, 6.28), min_size=2, max_size=40))
def test_circular_mean_and_deviation_are_scipy_s(phases):
    # Every second frame is another label, so that each phase is that of an onset of label 1.
    label = np.tile([0, 1], len(phases))
    phase = np.repeat(phases, 2)
    [found] = [o for o in onset_locking(find_segments(label), phase) if o.label == 1]
    assert found.onsets == len(phases)
    if found.concentration > 1e-3:
        assert np.cos(found.mean_phase_rad - circmean(phases)) == pytest.approx(1)
        assert found.circular_sd_rad == pytest.approx(circstd(phases), abs=1e-5)


@pytest.mark.parametrize("n", [5, 20])
def test_the_rayleigh_test_errs_as_often_as_it_says_on_uniform_onsets(n):
    phase = np.random.default_rng(n).uniform(0, 2 * np.pi, size=(4000, n))
    r = np.abs(np.exp(1j * phase).mean(axis=1))
    assert share_rejected([rayleigh_p(n, x) for x in r]) == pytest.approx(0.05, abs=0.01)


@pytest.mark.parametrize(("n", "sd"), [(5, 0.5), (10, 0.8), (20, 1.1)])
def test_the_rayleigh_test_finds_onsets_around_one_phase(n, sd):
    phase = sd * np.random.default_rng(n).standard_normal((1000, n))
    r = np.abs(np.exp(1j * phase).mean(axis=1))
    assert share_rejected([rayleigh_p(n, x) for x in r]) >= 0.9


def test_frames_without_a_phase_or_a_label_are_left_out_of_the_counts():
    series = clock(cycles=4)
    phase, label = series.phase.copy(), series.label.copy()
    phase[3], label[50] = np.nan, -1
    assert cycle_counts(label, phase, series.cycle).sum() == 158
    assert phase_bin(np.array([0.0, 6.2831853]), np.array([0, 0])).tolist() == [0, 11]
