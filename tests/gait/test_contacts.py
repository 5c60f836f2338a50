"""Floor contacts: what flickers is gone, what lasts stays where it was."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from glassviz.errors import GlassvizError
from glassviz.gait.contacts import (
    FLICKER_S,
    debounce,
    floor_contacts,
    hopper_contacts,
    rising_edges,
    share,
)

DT_S = 0.02
GEOMS = ("floor", "torso", "nose", "pelvis", "thigh", "calf", "foot")


def bits(text: str) -> np.ndarray:
    return np.array([letter == "1" for letter in text])


def contacts(**touching: str):
    frames = len(next(iter(touching.values())))
    raw = np.zeros((frames, len(GEOMS)), bool)
    for geom, text in touching.items():
        raw[:, GEOMS.index(geom)] = bits(text)
    return floor_contacts(raw, GEOMS, DT_S)


@pytest.mark.parametrize(
    ("raw", "clean"),
    [
        ("0001110000", "0001110000"),  # three frames last
        ("0001100000", "0000000000"),  # two do not
        ("1111011111", "1111111111"),  # nor does a gap
        ("0000101011", "0000000000"),  # flicker is no contact, however often it comes
        ("1011111111", "1111111111"),  # at the beginning the first lasting run counts
        ("0101010101", "0000000000"),  # nothing lasts
        ("11", "11"),  # what is all there is lasts
        ("1", "1"),
    ],
)
def test_debounce_keeps_what_lasts_three_control_steps(raw, clean):
    np.testing.assert_array_equal(debounce(bits(raw), DT_S), bits(clean))


@given(st.lists(st.booleans(), min_size=1, max_size=60))
def test_debounced_signals_have_no_short_run_but_the_last_and_stay_as_they_are(values):
    signal = np.array(values)
    clean = debounce(signal, DT_S)
    edges = np.flatnonzero(np.diff(clean)) + 1
    runs = np.diff(np.concatenate([[0], edges]))
    assert (runs >= round(FLICKER_S / DT_S)).all()
    np.testing.assert_array_equal(debounce(clean, DT_S), clean)
    assert set(np.unique(clean)) <= set(np.unique(signal)) | {False}


@given(st.lists(st.booleans(), min_size=1, max_size=60))
def test_debounce_treats_contact_and_flight_alike_where_anything_lasts(values):
    signal = np.array(values)
    if (
        np.diff(np.flatnonzero(np.diff(signal, prepend=~signal[:1], append=~signal[-1:]))) > 2
    ).any():
        np.testing.assert_array_equal(debounce(~signal, DT_S), ~debounce(signal, DT_S))


def test_debounce_is_in_seconds():
    np.testing.assert_array_equal(debounce(bits("00011000"), 0.03), bits("00011000"))


def test_touchdowns_and_liftoffs_are_dated_at_their_first_frame():
    found = contacts(foot="000111100001111000")
    assert found.touchdowns.tolist() == [3, 11]
    assert found.liftoffs.tolist() == [7, 15]
    np.testing.assert_array_equal(found.flight, ~found.stance)


def test_a_signal_that_begins_true_does_not_rise_there():
    assert rising_edges(bits("1100110")).tolist() == [4]


def test_the_calf_in_a_hard_landing_is_still_the_foot():
    found = contacts(foot="000111111000", calf="000111110000")
    assert share(found.foot_only, found.stance) == 1.0
    assert found.shares()["calf"] == pytest.approx(5 / 6)


@pytest.mark.parametrize("geom", ["torso", "nose", "pelvis", "thigh"])
def test_any_other_geom_takes_stance_from_the_foot(geom):
    found = contacts(foot="000111111000", **{geom: "000000111000"})
    assert share(found.foot_only, found.stance) == 0.5
    assert share(found.body, found.stance) == 0.5


def test_the_body_does_not_fly_while_one_geom_takes_over_from_another_in_flicker():
    found = contacts(foot="0001110100000000", thigh="0000000010111000")
    assert found.stance[3:13].all()


def test_shares_are_of_the_stance_and_none_without_any():
    found = contacts(foot="00011110000", thigh="00000000000")
    assert found.shares()["foot"] == 1.0
    assert found.shares()["thigh"] == 0.0
    assert "floor" not in found.geoms
    assert set(contacts(foot="000000").shares().values()) == {None}


def test_since_counts_from_there():
    found = contacts(foot="000111100001111000").since(6)
    assert found.touchdowns.tolist() == [5]


def test_a_body_without_a_foot_is_refused():
    with pytest.raises(GlassvizError, match="found none of foot"):
        hopper_contacts(np.zeros((5, 5), bool), GEOMS[:5], DT_S)
