"""Names for labels: phases of a hop and of a fall, and the share that supports each name."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from glassviz.metrics.information import contingency
from glassviz.metrics.labels import GAIT_PHASES, gait_phases, name_labels, phase_uses

KINDS = arrays(np.int64, 40, elements=st.integers(-1, 6))


def test_frames_are_sorted_by_floor_rise_height_and_uprightness():
    #          stance height rise upright
    frames = [
        (True, 1.0, 0.0, True, "stance"),
        (True, 1.0, 0.5, True, "push-off"),
        (False, 1.2, 0.5, True, "flight"),
        (False, 1.2, -0.5, True, "flight"),
        (True, 1.0, -0.5, True, "landing"),
        (True, 0.9, 0.0, False, "lean"),
        (True, 0.3, -0.5, False, "fold"),
        (True, 0.3, 0.5, False, "recover"),
    ]
    stance, height, rise, upright, names = zip(*frames, strict=True)
    found = gait_phases(*map(np.array, (stance, height, rise, upright)))
    assert [GAIT_PHASES[i] for i in found] == list(names)


def test_a_label_is_named_after_where_most_of_its_frames_lie():
    label = np.array([0, 0, 0, 2, 2, -1, 0])
    category = np.array([2, 2, 1, 0, -1, 0, 2])
    found = [(n.label, n.name, n.share, n.frames) for n in name_labels(label, category, 4)]
    assert found == [(0, "flight", 3 / 4, 4), (2, "stance", 1.0, 1)]


@given(KINDS, KINDS)
def test_every_frame_with_a_label_and_a_phase_counts_once(label, category):
    table = contingency(label, category, 7, 7)
    assert table.sum() == np.sum((label >= 0) & (category >= 0))
    for name in name_labels(label, category, 7):
        assert name.frames == table[name.label].sum()
        assert name.share == table[name.label].max() / name.frames


def test_uses_tell_how_much_of_a_run_each_phase_is_and_its_commonest_label():
    category = np.array([0, 0, 2, 2, 2, 2, -1, 0])
    label = np.array([1, 1, 3, 3, 1, -1, 5, 2])
    stance, push_off, flight = phase_uses(label, category, 6)[:3]
    assert (stance.share, stance.label, stance.label_share) == (3 / 7, 1, 2 / 3)
    assert (push_off.share, push_off.label, push_off.label_share) == (0, None, None)
    assert (flight.share, flight.label, flight.label_share) == (4 / 7, 3, 2 / 3)


def test_uses_without_labels_are_shares_alone():
    uses = phase_uses(None, np.array([0, 2, 2, 6]), 0)
    assert [use.share for use in uses] == [0.25, 0, 0.5, 0, 0, 0, 0.25]
    assert {use.label for use in uses} == {None}
    assert phase_uses(None, np.array([-1]), 0) == ()
