"""A run's episodes are enough once its verdicts are settled."""

from collections import Counter
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from glassviz.gait.verdict import GAIT_THRESHOLDS
from glassviz.metrics.stopping import MOST, UNANIMOUS, is_settled, still_needed

names = st.lists(st.sampled_from("hsk"), max_size=MOST)


def majority(of: Sequence[str]) -> str:
    name, count = Counter(of).most_common(1)[0]
    return name if count > GAIT_THRESHOLDS.split * len(of) else "split"


@pytest.mark.parametrize(
    ("so_far", "settled"),
    [
        ("", False),
        ("h", False),
        ("hhhh", False),
        ("hhhhh", True),  # unanimous after five
        ("hhhhs", False),
        ("hhhhsh", False),
        ("shhhhhhh", False),
        ("shhhhhhhh", True),  # eight of ten: the last cannot change it
        ("hss", False),
        ("hsk", False),
        ("hhssk", True),  # eight of ten is out of reach for each of the three
        ("hhhsss", True),
        ("hhhhhss", False),
        ("hhhhsss", True),
        ("hhhhhhhsss", True),
    ],
)
def test_a_verdict_is_settled_when_nothing_can_change_it_or_five_agree(so_far, settled):
    assert is_settled(so_far) is settled


@pytest.mark.parametrize(
    ("so_far", "more"),
    [("", 4), ("h", 3), ("hh", 3), ("hhhh", 1), ("hhhhh", 0), ("hhhhs", 2), ("hhhhhs", 2)],
)
def test_it_is_known_how_many_more_episodes_it_takes_at_least(so_far, more):
    assert still_needed(so_far) == more


def test_fewer_than_five_may_be_all():
    assert still_needed("", most=2) == 2
    assert still_needed("h", most=2) == 1 and not is_settled("h", most=2)
    assert is_settled("hh", most=2) and is_settled("hs", most=2)


@given(names)
def test_an_unsettled_verdict_needs_more_and_a_settled_one_none(so_far):
    more = still_needed(so_far)
    assert 0 <= more <= MOST - len(so_far)
    assert (more == 0) == is_settled(so_far)


@given(st.lists(st.sampled_from("hsk"), min_size=MOST, max_size=MOST))
def test_what_is_settled_without_being_unanimous_is_the_verdict_on_all(every):
    for count in range(1, MOST + 1):
        so_far = every[:count]
        if is_settled(so_far) and len(set(so_far)) > 1:
            assert majority(so_far) == majority(every)


@given(st.lists(st.sampled_from("hsk"), min_size=MOST, max_size=MOST))
def test_no_verdict_is_settled_before_the_episodes_that_it_takes_at_least(every):
    for count in range(MOST):
        more = still_needed(every[:count])
        assert not any(is_settled(every[:n]) for n in range(count, count + more))


@given(names, st.permutations("hsk"))
def test_neither_the_order_of_the_episodes_nor_the_names_matter(so_far, others):
    renamed = [others["hsk".index(each)] for each in so_far]
    assert is_settled(so_far) == is_settled(so_far[::-1]) == is_settled(renamed)


@given(st.sampled_from("hsk"), st.integers(0, MOST))
def test_episodes_that_agree_are_settled_from_five_on(name, count):
    assert is_settled([name] * count) == (count >= UNANIMOUS)
