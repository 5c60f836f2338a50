"""Predicted against realised value: known answers, and what the end of an episode does."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from glassviz.metrics.calibration import TAIL_WEIGHT, frames_ahead, returns_to_go, value_calibration

DISCOUNT = 0.9
FRAMES, EPISODES = 300, 6


def rewards(seed: int = 0, episodes: int = EPISODES):
    return np.random.default_rng(seed).random((episodes, FRAMES)) * np.linspace(0, 3, FRAMES)


def calibration(value, reward, discount=DISCOUNT):
    return value_calibration(value, reward, discount, np.random.default_rng(0))


def test_the_return_to_go_is_the_discounted_sum_of_what_is_left():
    reward = rewards()
    weight = DISCOUNT ** np.arange(FRAMES)
    expected = [(reward[2, t:] * weight[: FRAMES - t]).sum() for t in range(FRAMES)]
    assert returns_to_go(reward, DISCOUNT)[2] == pytest.approx(expected)


def test_a_perfect_value_has_slope_1_no_bias_and_no_error():
    reward = rewards()
    found = calibration(returns_to_go(reward, DISCOUNT), reward)
    assert (found.slope, found.slope_low, found.slope_high) == pytest.approx((1, 1, 1))
    assert found.bias.mean == pytest.approx(0, abs=1e-12)
    assert (found.rmse, found.relative_rmse) == pytest.approx((0, 0), abs=1e-9)
    assert found.rank_correlation.mean == pytest.approx(1)


@given(st.floats(0.1, 5), st.floats(-20, 20))
def test_a_stretched_and_shifted_value_is_told_by_slope_and_bias(stretch, shift):
    reward = rewards()
    truth = returns_to_go(reward, DISCOUNT)
    found = calibration(stretch * truth + shift, reward)
    assert found.slope == pytest.approx(1 / stretch)
    assert found.bias.mean == pytest.approx(found.predicted - found.realised)
    assert found.predicted == pytest.approx(stretch * found.realised + shift)
    assert found.rank_correlation.mean == pytest.approx(1)


def test_the_mean_of_what_is_realised_has_a_relative_error_of_1():
    reward = rewards()
    frames = calibration(reward, reward).frames
    mean = returns_to_go(reward, DISCOUNT)[:, :frames].mean()
    found = calibration(np.full_like(reward, mean), reward)
    assert found.relative_rmse == pytest.approx(1)
    assert found.slope is None and found.rank_correlation is None


def test_values_that_know_nothing_have_no_slope_and_no_rank_correlation():
    reward = np.random.default_rng(1).random((40, FRAMES))
    found = calibration(np.random.default_rng(2).random((40, FRAMES)), reward)
    assert found.slope_low < 0 < found.slope_high
    assert found.rank_correlation.low < 0 < found.rank_correlation.high


def test_only_frames_with_nearly_all_of_their_future_count():
    ahead = frames_ahead(DISCOUNT)
    assert DISCOUNT**ahead <= TAIL_WEIGHT < DISCOUNT ** (ahead - 1)
    endless = np.ones((2, FRAMES))  # A value that sees past the end: 1 / (1 − γ) everywhere.
    found = calibration(endless / (1 - DISCOUNT), endless)
    assert found.frames == FRAMES - ahead + 1
    assert 0 < found.bias.mean < TAIL_WEIGHT / (1 - DISCOUNT)


def test_values_of_frames_without_enough_future_do_not_matter():
    reward = rewards()
    value = returns_to_go(reward, DISCOUNT) + 1
    other = value.copy()
    other[:, calibration(value, reward).frames :] = 1e6
    assert calibration(other, reward) == calibration(value, reward)


def test_n_is_the_number_of_episodes():
    reward = rewards(episodes=3)
    found = calibration(reward, reward)
    assert found.episodes == found.bias.count == found.rank_correlation.count == 3
    one = calibration(reward[:1], reward[:1])
    assert one.bias.low is one.slope_low is None and one.slope is not None


@pytest.mark.parametrize(
    ("shape", "discount"), [((2, 20), 0.9), ((0, 300), 0.9), ((2, 0), 0.9), ((2, 300), 1.0)]
)
def test_too_little_to_tell_is_none(shape, discount):
    assert calibration(np.ones(shape), np.ones(shape), discount) is None


def test_a_number_that_is_none_makes_no_calibration():
    reward = rewards()
    value = reward.copy()
    value[0, 0] = np.nan
    assert calibration(value, reward) is None


def test_constant_rewards_of_nothing_have_no_relative_error():
    found = calibration(rewards(), np.zeros((EPISODES, FRAMES)))
    assert found.relative_rmse is None and found.rank_correlation is None and found.slope == 0
