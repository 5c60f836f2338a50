"""Traces in which there is hardly anything, or something broken, through library and command.

Every one of them gives a result that can be told, or one sentence; warnings are errors here.
"""

import json
import re
from dataclasses import replace

import numpy as np
import pytest
from test_stability import HOP, planted, row, with_soft
from traces import clock_trace
from typer.testing import CliRunner

from glassviz.cli import app
from glassviz.errors import GlassvizError
from glassviz.stability import assess
from glassviz.stability.record import as_csv, as_json, episode_rows, run_row
from glassviz.trace import ARRAYS, Trace

SOUND = with_soft(planted(HOP, HOP))
NOT_A_NUMBER = re.compile(r"\b(nan|inf)\b", re.IGNORECASE)
NUMBERS = [name for name in ARRAYS if getattr(SOUND, name).dtype.kind == "f"]


def first(frames: int, since: int = 0) -> Trace:
    """So many frames of the sound trace."""
    arrays = {name: getattr(SOUND, name)[:, since : since + frames] for name in ARRAYS}
    return replace(SOUND, **arrays)


def filled(**values: float) -> Trace:
    """The sound trace with arrays that hold one value."""
    return replace(
        SOUND, **{name: np.full_like(getattr(SOUND, name), each) for name, each in values.items()}
    )


def broken(name: str, value: float) -> Trace:
    """The sound trace with one broken number, in frame 400 of its second episode."""
    array = getattr(SOUND, name).copy()
    array[1, 400] = value
    return replace(SOUND, **{name: array})


RESULTS = {
    "no label visited": (filled(label=-1), "hop", {"undetermined": 2}),
    "one label visited": (filled(label=3), "hop", {"locked": 2}),
    "two labels visited": (replace(SOUND, label=SOUND.label % 2), "hop", {"locked": 2}),
    "a label for each frame": (clock_trace(1, 500, dwell=1), "undetermined", None),
    "one cluster": (replace(planted(HOP), label=planted(HOP).label * 0), "hop", {"locked": 1}),
    "no contact at all": (filled(contacts=False), "undetermined", None),
    "every geom always in contact": (filled(contacts=True), "undetermined", None),
    "constant height": (filled(height=0.7), "undetermined", {"locked": 2}),
    "nothing moves": (filled(height=0.0, speed=0.0, angles=0.0, contacts=True), "static", None),
    "no return": (filled(reward=0.0), "hop", {"locked": 2}),
    "flat soft labels": (filled(soft_assignment=1 / 16), "hop", {"locked": 2}),
    **{
        f"{frames} frames {since or 'first'}": (first(frames, since), "undetermined", None)
        for frames in (1, 2, 3, 4, 10)
        for since in (0, 300)
    },
    **{
        f"{frames} frames without labels": (
            clock_trace(1, frames, labels=False),
            "undetermined",
            {"none": 1},
        )
        for frames in (1, 2, 3)
    },
}

ERRORS = {
    "no episode": (clock_trace(0, 50), "trace of clock: expected episodes, found none"),
    "no frame": (first(0), "episode 0: expected frames, found none"),
    "a label beyond the clusters": (filled(label=8), "expected labels below K = 8, found 8"),
    "another body": (
        replace(SOUND, header=SOUND.header | {"geoms": ["floor", *"abcdef"]}),
        "expected contacts of the hopper's geoms",
    ),
    "a trace of another version": (
        replace(SOUND, header=SOUND.header | {"schema_version": 99}),
        "schema version",
    ),
    **{
        f"{value} for {name}": (
            broken(name, value),
            rf"episode 1: expected finite numbers, found {value} for {name} in frame 400",
        )
        for name in NUMBERS
        for value in (np.nan, np.inf)
    },
}


@pytest.mark.parametrize("name", RESULTS)
def test_too_little_is_a_result_that_can_be_told(name):
    trace, gait, labels = RESULTS[name]
    found = assess(trace)
    assert found.gait.name == gait
    assert labels is None or found.label_split == labels
    told = json.loads(as_json([row(found)]))
    [run] = told["runs"]
    assert len(run["episodes"]) == trace.episodes
    assert not NOT_A_NUMBER.search(as_csv([run_row(row(found)), *episode_rows(row(found))]))


@pytest.mark.parametrize("name", [name for name in ERRORS if "version" not in name])
def test_what_is_broken_is_one_sentence(name):
    trace, sentence = ERRORS[name]
    with pytest.raises(GlassvizError, match=sentence) as raised:
        assess(trace)
    assert "\n" not in str(raised.value)


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """All of them as files, by name."""
    folder = tmp_path_factory.mktemp("degenerate")
    paths = {}
    for i, (name, (trace, *_)) in enumerate((RESULTS | ERRORS).items()):
        paths[name] = folder / f"{i:02}.npz"
        trace.save(paths[name])
    return paths


def test_the_command_tells_every_result(runs):
    told = CliRunner().invoke(app, ["stability", *(str(runs[name]) for name in RESULTS)])
    assert (told.exit_code, told.exception) == (0, None), told.output
    assert not NOT_A_NUMBER.search(told.output) and "Warning" not in told.output


def test_the_command_gives_every_broken_trace_its_sentence(runs):
    done = CliRunner().invoke(
        app, ["stability", "--json", "--jobs", "1", *(str(runs[name]) for name in ERRORS)]
    )
    assert done.exit_code == 1 and isinstance(done.exception, SystemExit)
    rows = {told["target"]: told["error"] for told in json.loads(done.stdout)["runs"]}
    for name, (_, sentence) in ERRORS.items():
        assert sentence in rows[str(runs[name])], name
        assert "\n" not in rows[str(runs[name])]
