"""Cycles and rhythms of signals whose period is known."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from glassviz.gait.contacts import floor_contacts
from glassviz.gait.cycles import (
    autocorrelation,
    autocorrelation_rhythm,
    body_touchdowns,
    find_cycles,
    hilbert_period,
)
from glassviz.gait.gait import return_map

DT_S = 0.02
T = np.arange(1000)


def everywhere(frames: int = 1000) -> np.ndarray:
    return np.ones(frames, bool)


def wave(period_s: float, frames: int = 1000) -> np.ndarray:
    return np.sin(2 * np.pi * np.arange(frames) * DT_S / period_s)


def noise(seed: int, frames: int = 1000) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal(frames)


# Cycles ------------------------------------------------------------------------------------------


def test_phase_is_zero_at_touchdown_and_linear_to_the_next():
    cycles = find_cycles(np.array([10, 30, 50]), everywhere(100), DT_S)
    np.testing.assert_allclose(cycles.phase[10:30], 2 * np.pi * np.arange(20) / 20)
    np.testing.assert_array_equal(cycles.cycle[10:50], np.repeat([0, 1], 20))
    assert np.isnan(cycles.phase[[9, 50]]).all()
    assert (cycles.cycle[[9, 50]] == -1).all()
    assert cycles.period_s == pytest.approx(0.4)
    assert cycles.period_cv == 0.0


def test_a_missed_touchdown_makes_no_cycle_of_double_length():
    cycles = find_cycles(np.array([0, 20, 40, 80, 100, 120]), everywhere(130), DT_S)
    assert cycles.starts.tolist() == [0, 20, 80, 100]
    assert (cycles.cycle[40:80] == -1).all()


def test_a_cycle_that_leaves_the_mask_is_none():
    mask = everywhere(100)
    mask[45] = False
    cycles = find_cycles(np.array([10, 30, 50, 70]), mask, DT_S)
    assert cycles.starts.tolist() == [10, 50]
    assert cycles.ends.tolist() == [30, 70]


@pytest.mark.parametrize("touchdowns", [[], [7], [7, 9], [7, 900]])
def test_no_cycle_is_a_result(touchdowns):
    cycles = find_cycles(np.array(touchdowns, int), everywhere(), DT_S)
    assert cycles.count == 0
    assert cycles.period_s is None and cycles.period_cv is None
    assert np.isnan(cycles.phase).all() and (cycles.cycle == -1).all()


@given(st.lists(st.integers(0, 999), unique=True, max_size=80).map(sorted), st.integers(0, 9))
def test_phase_and_cycle_agree_with_each_other(touchdowns, seed):
    mask = np.random.default_rng(seed).random(1000) < 0.99
    cycles = find_cycles(np.array(touchdowns, int), mask, DT_S)
    inside = cycles.cycle >= 0
    np.testing.assert_array_equal(inside, np.isfinite(cycles.phase))
    assert ((cycles.phase[inside] >= 0) & (cycles.phase[inside] < 2 * np.pi)).all()
    assert mask[inside].all()
    found, counts = np.unique(cycles.cycle[inside], return_counts=True)
    assert found.tolist() == list(range(cycles.count))
    np.testing.assert_array_equal(counts, cycles.ends - cycles.starts)
    np.testing.assert_array_equal(cycles.phase[cycles.starts], 0.0)


def test_a_body_that_comes_down_on_nose_and_knee_touches_down_once_a_rise():
    height = 0.45 + 0.35 * wave(1.2, 600)
    low = (np.arange(600) + 15) % 60
    raw = np.zeros((600, 7), bool)
    raw[:, 2] = (low >= 50) & (low < 55)  # the nose, then the thigh
    raw[:, 4] = (low >= 58) | (low < 4)
    geoms = ("floor", "torso", "nose", "pelvis", "thigh", "calf", "foot")
    touchdowns = body_touchdowns(floor_contacts(raw, geoms, DT_S), height, DT_S)
    assert (np.diff(touchdowns) == 60).all()
    assert (touchdowns % 60 == 35).all()


# Rhythm ------------------------------------------------------------------------------------------


def test_autocorrelation_is_the_textbook_sum():
    signal, mask = noise(0, 200), noise(1, 200) > -1
    x = np.where(mask, signal - signal[mask].mean(), 0)
    slow = [
        (x[lag:] * x[: 200 - lag]).sum() / (mask[lag:] & mask[: 200 - lag]).sum()
        for lag in range(50)
    ]
    np.testing.assert_allclose(
        autocorrelation(signal, mask, 49), np.array(slow) / slow[0], atol=1e-9
    )


@pytest.mark.parametrize("period_s", [0.2, 0.35, 0.617, 1.2, 1.97, 2.4])
def test_both_detectors_find_the_period_of_a_wave(period_s):
    rhythm = autocorrelation_rhythm(wave(period_s), everywhere(), DT_S)
    assert rhythm.period_s == pytest.approx(period_s, rel=0.01)
    assert rhythm.strength > 0.97
    found = hilbert_period(wave(period_s), everywhere(), DT_S, rhythm.period_s)
    assert found == pytest.approx(period_s, rel=0.02)


def test_hops_that_alternate_have_the_period_of_one_hop():
    # Two hops apart they are all alike, one hop apart to 0.79: (1 - 0.34²) / (1 + 0.34²).
    rhythm = autocorrelation_rhythm(wave(0.4) + 0.34 * wave(0.8), everywhere(), DT_S)
    assert rhythm.period_s == pytest.approx(0.4, abs=0.01)


@pytest.mark.parametrize("hops", [2, 3])
def test_hops_of_which_only_every_second_or_third_is_alike_have_the_period_of_one(hops):
    # One hop apart they are alike to 0.5 or 0.55, and after two or three all are.
    signal = wave(0.4) + (0.58 if hops == 2 else 0.6) * wave(0.4 * hops)
    rhythm = autocorrelation_rhythm(signal, everywhere(), DT_S)
    assert rhythm.period_s == pytest.approx(0.4, abs=0.02)
    assert rhythm.strength > 0.97


def test_peaks_that_do_not_divide_the_period_equally_leave_it_alone():
    signal = wave(1.2) + 0.9 * np.where(np.arange(1000) % 60 < 20, wave(0.4), 0)
    rhythm = autocorrelation_rhythm(signal, everywhere(), DT_S)
    assert rhythm.period_s == pytest.approx(1.2, rel=0.02)


def test_the_first_of_two_equal_peaks_is_the_period():
    rhythm = autocorrelation_rhythm(wave(0.4) + 0.1 * wave(0.8), everywhere(), DT_S)
    assert rhythm.period_s == pytest.approx(0.4, rel=0.02)


def test_a_stronger_long_peak_is_preferred_to_a_weak_first_one():
    rhythm = autocorrelation_rhythm(wave(1.2) + 1.1 * wave(0.4), everywhere(), DT_S)
    assert rhythm.period_s == pytest.approx(1.2, rel=0.02)


def test_what_lies_outside_the_mask_does_not_matter():
    signal, mask = wave(0.5), everywhere()
    signal[400:500], mask[400:500] = -50.0, False
    rhythm = autocorrelation_rhythm(signal, mask, DT_S)
    assert rhythm.period_s == pytest.approx(0.5, rel=0.01)
    assert rhythm.strength > 0.97
    assert hilbert_period(signal, mask, DT_S, 0.5) == pytest.approx(0.5, rel=0.02)


def test_noise_has_a_weak_rhythm_at_most():
    strengths = []
    for seed in range(20):
        rhythm = autocorrelation_rhythm(noise(seed), everywhere(), DT_S)
        strengths.append(rhythm.strength if rhythm else 0.0)
    assert max(strengths) < 0.2


@pytest.mark.parametrize("frames", [1, 2, 3, 10, 17])
def test_too_few_frames_have_no_rhythm(frames):
    assert autocorrelation_rhythm(wave(0.2, frames), everywhere(frames), DT_S) is None
    assert hilbert_period(wave(0.4, frames), everywhere(frames), DT_S, 0.4) is None


def test_less_than_two_periods_are_no_rhythm():
    assert autocorrelation_rhythm(wave(1.0, 80), everywhere(80), DT_S) is None


def test_a_constant_height_has_no_rhythm():
    assert autocorrelation_rhythm(np.full(1000, 0.7), everywhere(), DT_S) is None


def test_an_empty_mask_has_no_rhythm():
    assert autocorrelation_rhythm(wave(0.4), ~everywhere(), DT_S) is None


def test_a_phase_that_runs_to_and_fro_is_none():
    # Of two waves in the band the slow one is larger and the fast one turns the sum back.
    assert hilbert_period(wave(1 / 1.3) + 0.6 * wave(1 / 3.7), everywhere(), DT_S, 0.4) is None


# Return map --------------------------------------------------------------------------------------


def returning(matrix: np.ndarray, cycles: int = 400, seed: int = 0):
    """A body whose states at touchdowns follow y -> A y + noise, in cycles of 20 frames."""
    rng = np.random.default_rng(seed)
    states = np.zeros((cycles + 1, 3))
    for j in range(cycles):
        states[j + 1] = matrix @ states[j] + 0.1 * rng.standard_normal(3)
    height, torso = np.zeros(20 * (cycles + 1) + 10), np.zeros(20 * (cycles + 1) + 10)
    touchdowns = 5 + 20 * np.arange(cycles + 1)
    for offset in (-1, 0, 1):
        height[touchdowns + offset] = offset * states[:, 0]
        torso[touchdowns + offset] = states[:, 1] + offset * states[:, 2]
    return find_cycles(touchdowns, everywhere(len(height)), DT_S), height, torso


@pytest.mark.parametrize("rho", [0.3, 0.6, 0.9])
def test_the_planted_multiplier_is_found_within_its_interval(rho):
    turn = np.linalg.qr(np.random.default_rng(1).standard_normal((3, 3)))[0]
    matrix = turn @ np.diag([rho, -0.5 * rho, 0.1]) @ turn.T
    found = return_map(*returning(matrix), np.random.default_rng(0))
    assert found.rho == pytest.approx(rho, abs=0.1)
    assert found.low <= rho <= found.high
    assert found.cycles == 400


def test_whole_turns_of_the_torso_leave_the_multiplier_alone():
    cycles, height, torso = returning(np.diag([0.5, 0.3, 0.1]), cycles=60)
    turned = np.angle(np.exp(1j * (torso + 2 * np.pi * (np.arange(len(torso)) > 500) + 3.0)))
    first = return_map(cycles, height, torso, np.random.default_rng(0))
    second = return_map(cycles, height, turned, np.random.default_rng(0))
    assert second.rho == pytest.approx(first.rho, abs=1e-6)


def test_few_cycles_have_no_return_map(rng):
    assert return_map(*returning(np.eye(3) / 2, cycles=9), rng) is None


def test_a_body_that_returns_exactly_has_the_multiplier_zero(rng):
    cycles, height, torso = returning(np.eye(3) / 2, cycles=20)
    found = return_map(cycles, 0 * height, 0 * torso, rng)
    assert (found.rho, found.low, found.high) == pytest.approx((0.0, 0.0, 0.0), abs=1e-9)
