"""`glassviz traces` lists what was recorded, and removes what is not wanted."""

import json
import os
import time

import pytest

from tests.helpers.commands import invoke
from tests.helpers.traces import clock_trace


@pytest.fixture
def folder(tmp_path):
    """Three files of a folder of traces: two that can be used, and a damaged one."""
    for name in ("hop-s1-pi-seed0-a.npz", "hop-s2-pi-seed0-b.npz"):
        clock_trace().save(tmp_path / name)
    (tmp_path / "torn.npz").write_bytes(b"not a trace")
    (tmp_path / "a.map.npz").write_bytes(b"a map")
    month_s = 31 * 24 * 3600
    os.utime(tmp_path / "hop-s2-pi-seed0-b.npz", (time.time() - month_s,) * 2)
    return tmp_path


def test_every_trace_is_listed_with_what_is_in_it(folder):
    printed = invoke("traces", folder).stdout
    trace = clock_trace()
    assert f"{trace.episodes} × {trace.frames}" in printed
    assert "hop-s1-pi-seed0-a.npz" in printed and "torn.npz" in printed
    assert "3 traces, " in printed and "1 of them unusable" in printed
    assert ".map" not in printed
    told = json.loads(invoke("traces", folder, "--json").stdout)
    assert [each["error"] is None for each in told] == [True, True, False]


@pytest.mark.parametrize(
    ("options", "left"),
    [
        (("--match", "hop-s1-*"), ["hop-s2-pi-seed0-b.npz", "torn.npz"]),
        (("--older-than", "30"), ["hop-s1-pi-seed0-a.npz", "torn.npz"]),
        (("--unusable",), ["hop-s1-pi-seed0-a.npz", "hop-s2-pi-seed0-b.npz"]),
        (("--match", "*"), []),
    ],
)
def test_what_is_chosen_is_removed_and_nothing_else(folder, options, left):
    invoke("traces", folder, *options)
    assert len(list(folder.glob("*.npz"))) == 4, "listing removes nothing"
    assert "removed " in invoke("traces", folder, *options, "--remove", "--yes").stdout
    assert sorted(path.name for path in folder.glob("*.npz")) == ["a.map.npz", *left]


def test_nothing_is_removed_without_a_choice_or_an_answer(folder):
    for options, said in (((), "--match"), (("--match", "*"), "--yes")):
        done = invoke("traces", folder, *options, "--remove", code=2)
        assert said in done.stderr
    assert len(list(folder.glob("*.npz"))) == 4


def test_a_folder_that_is_missing_is_named(tmp_path):
    assert "none" in invoke("traces", tmp_path / "none", code=1).stderr
