"""The loop over many runs, their names and the names of their files."""

import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from glassviz.errors import GlassvizError
from glassviz.rollout.batch import Failed, distinct_names, each_once, file_stem, for_each


def failed(number: int, error: GlassvizError) -> Failed:
    return Failed(f"run {number}", Path(f"{number}.npz"), None, str(error))


def half(number: int) -> int:
    if number % 2:
        raise GlassvizError(f"{number} is odd")
    return number // 2


def test_an_item_that_fails_does_not_stop_the_others_and_keeps_its_place():
    before = Failed("before", Path("b.npz"), None, "no trace")
    seen = []
    rows = for_each([4, before, 3, 6], half, failed, lambda *count: seen.append(count))
    assert rows == [2, before, Failed("run 3", Path("3.npz"), None, "3 is odd"), 3]
    assert seen == [(1, 3), (2, 3), (3, 3)]


def test_only_what_a_user_can_mend_is_a_failure():
    with pytest.raises(TypeError):
        for_each(["4"], half, failed)
    with pytest.raises(GlassvizError, match="3 is odd"):
        for_each([4, 3], half, lambda number, error: half(number))


def test_names_that_no_other_run_has_are_kept_and_others_become_files_then_paths():
    names = ["last", "last", "last", "best"]
    targets = [Path("a/one.npz"), Path("b/last.npz"), Path("c/last.npz"), Path("d/best.npz")]
    assert distinct_names(names, targets) == ["one", "b/last.npz", "c/last.npz", "best"]


def test_what_stands_beside_a_name_tells_runs_apart():
    targets = [Path("a.npz"), Path("b.npz")]
    assert distinct_names(["last", "last"], targets, [("mppi",), ("pi",)]) == ["last", "last"]
    assert distinct_names(["last", "last"], targets, [("pi",), ("pi",)]) == ["a", "b"]


@given(st.lists(st.sampled_from(["last", "LAST", "a/b", "a:b", "a-b"]), min_size=1, max_size=5))
def test_no_two_runs_have_one_file_even_if_all_of_them_are_one(names):
    found = [file_stem(each) for each in distinct_names(names, [Path("a/b")] * len(names))]
    assert len({stem.casefold() for stem in found}) == len(names)
    assert all(re.fullmatch(r"[\w.-]+", stem) for stem in found)


def test_what_fails_under_both_controllers_is_said_once_and_no_other_run_is_lost():
    one, other = Path("a/final.pkl"), Path("b/final.pkl")
    rows = [
        Failed("final", one, "mppi", "final: expected a planner"),
        Failed("final", one, "pi", "final: expected a planner"),
        Failed("final", other, "mppi", "final: expected a planner"),
    ]
    assert [row.target for row in each_once(rows)] == [one, other]
