"""The opening, falls and recoveries, on bodies that are moved by hand."""

import numpy as np
import pytest

from glassviz.gait.contacts import (
    Fall,
    FloorContacts,
    fallen_frames,
    find_falls,
    floor_contacts,
    opening_end,
)

DT_S = 0.02
GEOMS = ("floor", "torso", "nose", "pelvis", "thigh", "calf", "foot")
STAND, LIE = 0.8, 0.1


class Body:
    """A body whose episode is told piece by piece: frames, height, geoms on the floor."""

    def __init__(self, *pieces: tuple[int, float, tuple[str, ...]]) -> None:
        self.height = np.concatenate([np.full(n, height) for n, height, _ in pieces])
        raw = np.zeros((len(self.height), len(GEOMS)), bool)
        at = 0
        for n, _, geoms in pieces:
            for geom in geoms:
                raw[at : at + n, GEOMS.index(geom)] = True
            at += n
        self.contacts: FloorContacts = floor_contacts(raw, GEOMS, DT_S)
        self.torso = np.zeros(len(self.height))
        self.thigh = np.zeros(len(self.height))

    @property
    def opening_end(self) -> int:
        return opening_end(self.contacts, self.height, DT_S)

    def falls(self, begin: int = 0) -> tuple[Fall, ...]:
        return find_falls(self.contacts, self.height, self.torso, self.thigh, DT_S, begin)


def test_the_opening_ends_when_the_agent_has_got_up():
    body = Body((20, 1.0, ()), (100, LIE, ("torso",)), (80, STAND, ("foot",)))
    assert body.opening_end == 120


def test_a_bounce_of_the_drop_is_no_stand():
    body = Body(
        (20, 1.0, ()), (15, STAND, ("foot",)), (100, LIE, ("nose",)), (80, STAND, ("foot",))
    )
    assert body.opening_end == 135


def test_who_lands_on_its_foot_and_stays_there_has_a_short_opening():
    assert Body((10, 1.0, ()), (200, STAND, ("foot",))).opening_end == 10 + 15


@pytest.mark.parametrize("low", [1, 5, 9])
def test_the_opening_ends_with_a_stand_however_short_the_time_before_it(low):
    body = Body((10, 1.0, ()), (15 + low, 0.4, ("foot",)), (200, STAND, ("foot",)))
    assert body.opening_end == 10 + 15 + low and body.height[body.opening_end] == STAND


def test_a_bounce_just_before_the_stand_is_not_yet_it():
    body = Body(
        *((10, 1.0, ()), (15, 0.4, ("foot",))),
        *((4, STAND, ("foot",)), (4, 0.4, ("foot",)), (200, STAND, ("foot",))),
    )
    assert body.opening_end == 10 + 15 + 8


def test_who_never_stands_is_described_from_the_impact_on():
    assert Body((10, 1.0, ()), (400, LIE, ("torso",))).opening_end == 10 + 15


def test_getting_up_late_is_no_opening():
    body = Body((10, 1.0, ()), (400, LIE, ("torso",)), (100, STAND, ("foot",)))
    assert body.opening_end == 10 + 15


def test_without_contact_there_is_no_opening():
    assert Body((50, 1.0, ())).opening_end == 0


@pytest.mark.parametrize("frames", [1, 2, 3, 10])
def test_the_opening_ends_within_the_shortest_episode(frames):
    assert 0 <= Body((frames, LIE, ("torso",))).opening_end < frames


def test_a_fall_runs_from_the_last_stand_over_the_hit_to_the_next_stand():
    (fall,) = Body(
        (50, STAND, ("foot",)),
        (10, 0.4, ("foot",)),
        (30, LIE, ("nose",)),
        (10, 0.4, ("foot",)),
        (50, STAND, ("foot",)),
    ).falls()
    assert (fall.start, fall.hit, fall.recovery, fall.first) == (49, 60, 100, ("nose",))


def test_who_lies_on_has_not_recovered():
    (fall,) = Body((50, STAND, ("foot",)), (100, LIE, ("torso", "pelvis"))).falls()
    assert fall.recovery is None


def test_a_crouch_without_touching_the_floor_is_no_fall():
    assert not Body((50, STAND, ("foot",)), (30, 0.3, ("foot",)), (50, STAND, ("foot",))).falls()


def test_touching_the_floor_while_standing_is_no_fall():
    assert not Body((50, STAND, ("foot",)), (30, STAND, ("foot", "thigh"))).falls()


def test_a_body_that_is_down_falls_once_however_often_it_touches():
    lying = [(8, LIE, ("nose",)), (8, 0.3, ("foot",))] * 5
    assert len(Body((50, STAND, ("foot",)), *lying, (50, STAND, ("foot",))).falls()) == 1


def test_who_begins_on_the_floor_has_not_fallen():
    assert not Body((50, LIE, ("torso",)), (50, STAND, ("foot",))).falls()


def test_falls_before_the_beginning_do_not_count():
    body = Body((20, STAND, ()), (30, LIE, ("nose",)), (50, STAND, ("foot",)), (30, LIE, ("nose",)))
    assert [fall.hit for fall in body.falls(begin=50)] == [100]


def test_who_stood_in_the_opening_only_has_not_fallen_since():
    body = Body((20, STAND, ()), (30, 0.4, ()), (50, LIE, ("nose",)))
    assert len(body.falls()) == 1
    assert not body.falls(begin=30)


def hit(first: tuple[str, ...], torso: float, thigh: float = 0.0) -> Fall:
    body = Body((50, STAND, ("foot",)), (50, LIE, first))
    body.torso[50:] = torso
    body.thigh[50:] = thigh
    (fall,) = body.falls()
    return fall


def test_the_torso_says_where_a_fall_goes():
    assert hit(("nose",), 1.7).direction == "forward"
    assert hit(("torso",), -1.4).direction == "backward"
    assert hit(("thigh",), 0.5).direction == "upright"


def test_geoms_and_joints_say_how_it_goes():
    assert hit(("pelvis",), -1.2).manner == "sits"
    assert hit(("torso", "pelvis"), -1.4, -1.8).manner == "topples"
    assert hit(("nose",), 1.7, 0.7).manner == "topples"
    assert hit(("nose",), 2.2, -0.4).manner == "folds"


def test_a_somersault_forward_goes_forward_although_its_angle_wraps():
    body = Body((50, STAND, ("foot",)), (12, 0.3, ()), (50, LIE, ("torso",)))
    turning = np.linspace(0.3, 3.6, 12)
    body.torso[50:62] = turning
    body.torso[62:] = 3.6
    body.torso = np.angle(np.exp(1j * body.torso))
    (fall,) = body.falls()
    assert body.torso[fall.hit] < 0
    assert fall.direction == "forward"


def test_whole_turns_before_a_fall_do_not_matter():
    body = Body((50, STAND, ("foot",)), (50, LIE, ("nose",)))
    body.torso = np.concatenate([np.linspace(-2 * np.pi, 0, 50), np.full(50, 1.5)])
    assert body.falls()[0].direction == "forward"


def test_fallen_frames_lie_between_the_stands():
    falls = (
        Fall(9, 12, 20, "forward", "folds", ("nose",)),
        Fall(29, 33, None, "forward", "folds", ("nose",)),
    )
    fallen = fallen_frames(falls, 40)
    assert np.flatnonzero(fallen).tolist() == [*range(10, 20), *range(30, 40)]
    assert not fallen_frames((), 5).any()
