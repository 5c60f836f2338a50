"""Segments, switches, flicker, dwell and occupancy: by hand, on clocks, and against itertools."""

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from glassviz.metrics.segments import (
    dwell_times,
    find_segments,
    occupancy,
    switching,
    within_label_cv,
)
from tests.helpers.label_series import DT_S, clock, sticky

LABELS = arrays(np.int64, st.integers(0, 60), elements=st.integers(-1, 4))
OUTSIDE = -1


def no_cycle(label):
    return np.full(len(label), OUTSIDE)


@given(LABELS)
def test_segments_are_the_groups_of_equal_consecutive_labels(label):
    found = find_segments(label)
    groups = [(k, len(list(g))) for k, g in itertools.groupby(label.tolist())]
    assert [(k, n) for k, n in groups if k >= 0] == list(
        zip(found.label.tolist(), found.length.tolist(), strict=True)
    )
    assert np.array_equal(label[found.start], found.label)


@given(LABELS)
def test_a_segment_is_censored_exactly_beside_what_was_left_out(label):
    found = find_segments(label)
    padded = np.concatenate([[-1], label, [-1]])
    assert np.array_equal(found.open_start, padded[found.start] < 0)
    assert np.array_equal(found.open_end, padded[found.start + found.length + 1] < 0)


def test_flicker_and_returns_are_those_counted_by_hand():
    #                 0  0  0  1  0  0  0  2  2  3  3  3  1  2  2  2
    label = np.array([0, 0, 0, 1, 0, 0, 0, 2, 2, 3, 3, 3, 1, 2, 2, 2])
    found = switching(label, no_cycle(label), find_segments(label), DT_S)
    # Seen whole: 1 (1 frame, A-B-A), 0 (3), 2 (2 frames), 3 (3), 1 (1 frame).
    assert found.flicker_share == pytest.approx(3 / 5)
    assert found.return_share == pytest.approx(1 / 5)
    assert found.rate_hz == pytest.approx(6 / 15 / DT_S)
    assert found.per_cycle is None


@pytest.mark.parametrize("labels", [2, 4, 8])
def test_a_clean_gait_of_m_phases_switches_m_times_a_cycle(labels):
    series = clock(labels=labels)
    # The pair in front of the first cycle is seen as well, so that every cycle is whole.
    label = np.concatenate([[labels - 1], series.label])
    cycle = np.concatenate([[OUTSIDE], series.cycle])
    found = switching(label, cycle, find_segments(label), DT_S)
    assert found.per_cycle == pytest.approx(labels)
    assert found.flicker_share == found.return_share == 0


def test_a_gap_is_no_switch():
    label = np.array([0, 0, -1, 1, 1])
    found = switching(label, no_cycle(label), find_segments(label), DT_S)
    assert found.rate_hz == 0
    assert found.flicker_share is None, "every segment is censored"


def test_dwell_is_known_on_a_clock_and_drops_the_censored_ends():
    dwells = dwell_times(find_segments(clock(labels=2).label), DT_S)
    assert [(d.label, d.segments, d.censored) for d in dwells] == [(0, 19, 1), (1, 19, 1)]
    for dwell in dwells:
        assert (dwell.median_frames, dwell.mean_frames, dwell.iqr_frames) == (20, 20, 0)
        assert (dwell.median_s, dwell.mean_s, dwell.iqr_s) == (20 * DT_S, 20 * DT_S, 0)
        assert dwell.cv == 0
    assert within_label_cv(dwells) == 0


def test_a_clock_with_long_and_short_phases_is_regular_within_labels():
    label = np.tile(np.repeat([0, 1, 2], [30, 8, 2]), 10)
    segments = find_segments(label)
    assert within_label_cv(dwell_times(segments, DT_S)) == 0
    assert segments.length.std() / segments.length.mean() > 0.5


def test_memoryless_labels_have_the_cv_of_a_geometric_dwell(rng):
    label = sticky(200_000, labels=2, dwell=10, rng=rng)
    # Half of the draws repeat the label, so segments end with chance 1/20.
    cv = within_label_cv(dwell_times(find_segments(label), DT_S))
    assert cv == pytest.approx(np.sqrt(1 - 1 / 20), abs=0.03)


def test_a_label_that_is_never_seen_whole_has_no_dwell():
    [dwell] = dwell_times(find_segments(np.zeros(9, int)), DT_S)
    assert (dwell.segments, dwell.censored, dwell.median_s, dwell.cv) == (0, 1, None, None)
    assert within_label_cv([dwell]) is None


def test_occupancy_of_a_clock_is_even():
    found = occupancy(clock().label, 8)
    assert found.share.tolist() == [0.25] * 4 + [0.0] * 4
    assert found.visited == (0, 1, 2, 3)
    assert found.effective_labels == pytest.approx(4)
    assert found.entropy == pytest.approx(2 / 3)
    assert not found.stuck


def test_a_label_is_visited_above_one_percent_and_a_run_stuck_from_four_fifths():
    found = occupancy(np.repeat([0, 1, 2], [800, 190, 10]), 3)
    assert found.visited == (0, 1)
    assert (found.dominant, found.dominant_share, found.stuck) == (0, 0.8, True)


def test_nothing_is_occupied_without_frames():
    found = occupancy(np.full(3, -1), 4)
    assert (found.visited, found.entropy, found.dominant, found.stuck) == ((), None, None, False)
    assert occupancy(np.zeros(3, int), 1).entropy is None
