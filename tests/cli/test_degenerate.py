"""Traces in which there is hardly anything, or something broken, through library and command.

Every one of them gives a result that can be told, or one sentence; warnings are errors here.
"""

import json
import re
import zipfile
from dataclasses import replace

import numpy as np
import pytest

from glassviz import archive
from glassviz.errors import GlassvizError
from glassviz.metrics.stability import assess
from glassviz.report.documents import episode_rows, run_row, stability_json
from glassviz.report.serialize import as_csv
from glassviz.trace import ARRAYS, Trace
from tests.helpers.commands import invoke
from tests.helpers.planted_runs import HOP, planted, row, with_soft
from tests.helpers.traces import clock_trace

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


def header(**entries: object) -> Trace:
    """The sound trace with other entries in its header; those that are `...` are missing."""
    changed = {**SOUND.header, **entries}
    return replace(SOUND, header={k: each for k, each in changed.items() if each is not ...})


def broken(name: str, value: float) -> Trace:
    """The sound trace with one broken number, in frame 400 of its second episode."""
    array = getattr(SOUND, name).copy()
    array[1, 400] = value
    return replace(SOUND, **{name: array})


RESULTS = {
    "no label visited": (filled(label=-1), "hop", {"undetermined": 2}),
    "one label visited": (filled(label=3), "hop", {"one label": 2}),
    "two labels visited": (replace(SOUND, label=SOUND.label % 2), "hop", {"phase-locked": 2}),
    "a label for each frame": (clock_trace(1, 500, dwell=1), "undetermined", None),
    "one cluster": (replace(planted(HOP), label=planted(HOP).label * 0), "hop", {"one label": 1}),
    "no contact at all": (filled(contacts=False), "undetermined", None),
    "every geom always in contact": (filled(contacts=True), "undetermined", None),
    "constant height": (filled(height=0.7), "undetermined", {"phase-locked": 2}),
    "nothing moves": (filled(height=0.0, speed=0.0, angles=0.0, contacts=True), "static", None),
    "no return": (filled(reward=0.0), "hop", {"phase-locked": 2}),
    "flat soft labels": (filled(soft_assignment=1 / 16), "hop", {"phase-locked": 2}),
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
    **{
        f"{value} for {name}": (
            broken(name, value),
            rf"episode 1: expected finite numbers, found {value} for {name} in frame 400",
        )
        for name in NUMBERS
        for value in (np.nan, np.inf)
    },
}


ENV = SOUND.header["env"]
PARTITION = SOUND.header["partition"]
UNREADABLE = {
    "another version": (header(schema_version=99), "schema version 1, found 99"),
    **{
        f"no {name}": (header(**{name: ...}), f"header entry {name}.*: expected .*, found nothing")
        for name in sorted(SOUND.header.keys() - {"schema_version", "partition"})
    },
    **{
        f"{name} of null": (header(**{name: None}), f"header entry {name}.*: expected .*, found")
        for name in sorted(SOUND.header.keys() - {"schema_version", "partition", "tau"})
    },
    "no control step": (
        header(env={k: v for k, v in ENV.items() if k != "control_dt_s"}),
        "entry env.control_dt_s: expected a positive number of seconds, found n",
    ),
    "frames that last no time": (header(env=ENV | {"control_dt_s": 0.0}), "positive number"),
    "frames of next to no time": (header(env=ENV | {"control_dt_s": 1e-320}), "positive number"),
    "a control step of NaN": (header(env=ENV | {"control_dt_s": np.nan}), "positive number"),
    "half an action repeat": (header(env=ENV | {"action_repeat": 0.5}), "positive integer"),
    "fewer seeds than episodes": (
        header(reset_seeds=[0]),
        r"reset_seeds: expected 2 integers, one per episode, found \[0\]",
    ),
    "more geoms than columns": (
        header(geoms=[*SOUND.header["geoms"], "tail"]),
        "geoms: expected 7 names, one per column of contacts",
    ),
    "fewer bodies than columns": (header(bodies=["torso", "thigh"]), "bodies: expected 5 names"),
    "geoms that are numbers": (header(geoms=list(range(7))), "geoms: expected 7 names"),
    "fewer rows than prototypes": (header(partition=PARTITION[1:]), "partition: expected 16 rows"),
    "a ragged partition": (header(partition=[*PARTITION[1:], [1.0]]), "partition: expected 16"),
    "a partition into nothing": (header(partition=[[]] * 16), "partition: expected 16 rows"),
    "a flat partition": (header(partition=PARTITION[0] * 2), "partition: expected 16 rows"),
    "Glass without clusters": (
        header(agent={"glass": {}}),
        "agent.glass.clusters: expected an integer from 1",
    ),
    "a planner that is none": (
        header(agent={"planner": None}),
        "agent.planner: expected an object",
    ),
    "labels from elsewhere": (header(labels_from="me"), "expected glass, fitted or none, found"),
    "more than a number": (
        header(env=ENV | {"action_repeat": 10**400}),
        "a positive integer, found 1",
    ),
    "a discount that is none": (
        header(agent={"planner": {"discount": 10**400}}),
        "agent.planner.discount: expected a number from 0 to 1, if present, found 1",
    ),
    "fitted labels of no file": (header(labels_from="fitted"), "fitted_labels: expected an object"),
    "fitted labels without a hash": (
        header(labels_from="fitted", fitted_labels={}),
        "fitted_labels: expected an object",
    ),
    "fitted labels of others": (
        header(fitted_labels={"sha256": "0" * 64}),
        "fitted_labels: expected nothing, since labels are from glass",
    ),
    "a temperature of nothing": (
        replace(SOUND, soft_assignment=SOUND.soft_assignment[..., :0]),
        "tau: expected null without soft assignments, found 0.1",
    ),
    "a temperature of 0": (header(tau=0), "tau: expected a positive number or null, found 0"),
    "a seed in words": (header(seed="one"), "seed: expected an integer of at most 64 bits, found"),
}
"""Traces that cannot be read, so that nothing needs to expect what they have."""


@pytest.mark.parametrize("name", RESULTS)
def test_too_little_is_a_result_that_can_be_told(name):
    trace, gait, labels = RESULTS[name]
    found = assess(trace)
    assert found.gait.name == gait
    assert labels is None or found.label_split == labels
    told = json.loads(stability_json([row(found)]))
    [run] = told["runs"]
    assert len(run["episodes"]) == trace.episodes
    assert not NOT_A_NUMBER.search(as_csv([run_row(row(found)), *episode_rows(row(found))]))


@pytest.mark.parametrize("name", ERRORS)
def test_what_is_broken_is_one_sentence(name):
    trace, sentence = ERRORS[name]
    with pytest.raises(GlassvizError, match=sentence) as raised:
        assess(trace)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize("name", UNREADABLE)
def test_a_header_that_tells_too_little_is_one_sentence(name, tmp_path):
    trace, sentence = UNREADABLE[name]
    trace.save(tmp_path / "trace.npz")
    with pytest.raises(GlassvizError, match=sentence) as raised:
        Trace.load(tmp_path / "trace.npz")
    assert str(raised.value).startswith(f"{tmp_path / 'trace.npz'}: ")
    assert str(raised.value).endswith(": record it again with `glassviz rollout`")
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    ("name", "change"),
    {
        "time": lambda array: array[..., None],
        "obs": lambda array: array[..., 0],
        "reward": lambda array: array[:, 1:],
        "speed": lambda array: array.astype(str),
        "label": lambda array: array.astype(np.float32),
        "contacts": lambda array: array.astype(np.float64),
    }.items(),
)
def test_an_array_of_other_axes_or_another_kind_is_one_sentence(name, change, tmp_path):
    path = tmp_path / "trace.npz"
    SOUND.save(path)
    header, arrays = archive.load(path, "a trace", "")
    archive.save(path, header, {**arrays, name: change(arrays[name])})
    with pytest.raises(GlassvizError, match=f"{name} .*, expected .*: record it again"):
        Trace.load(path)


@pytest.mark.parametrize("text", [b"[1]", b"{}", b"1", b"null", b"[" * 100_000, b"\xff"])
def test_a_header_that_is_none_is_one_sentence(text, tmp_path):
    path = tmp_path / "trace.npz"
    SOUND.save(path)
    with np.load(path) as members:
        kept = {name: members[name] for name in ARRAYS}
    np.savez(path, header=np.frombuffer(text, np.uint8), **kept)
    with pytest.raises(GlassvizError, match=r"expected (a trace|trace schema version).*, found"):
        Trace.load(path)


def test_an_array_that_is_no_archive_is_one_sentence(tmp_path):
    with (tmp_path / "trace.npz").open("wb") as file:
        np.save(file, np.zeros(3))
    with pytest.raises(GlassvizError, match=r"expected a trace .*cannot be read as one"):
        Trace.load(tmp_path / "trace.npz")


@pytest.mark.parametrize("member", ["header", "time"])
def test_a_member_that_is_no_array_is_one_sentence(member, tmp_path):
    SOUND.save(tmp_path / "sound.npz")
    with (
        zipfile.ZipFile(tmp_path / "sound.npz") as sound,
        zipfile.ZipFile(tmp_path / "trace.npz", "w") as broken,
    ):
        for name in sound.namelist():
            own = name == f"{member}.npy"
            broken.writestr(member if own else name, b"abc" if own else sound.read(name))
    with pytest.raises(GlassvizError, match=r"expected a trace .*cannot be read as one"):
        Trace.load(tmp_path / "trace.npz")


def test_a_trace_from_before_the_partition_was_recorded_can_be_read(tmp_path):
    header(partition=...).save(tmp_path / "old.npz")
    assert Trace.load(tmp_path / "old.npz").partition is None


READ = ("no episode", "no frame", "a label beyond the clusters")
"""Found where the trace is read, before anything is measured."""


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """All of them as files, by name."""
    folder = tmp_path_factory.mktemp("degenerate")
    paths = {}
    for i, (name, (trace, *_)) in enumerate((RESULTS | ERRORS | UNREADABLE).items()):
        paths[name] = folder / f"{i:02}.npz"
        trace.save(paths[name])
    return paths


def test_the_command_tells_every_result(runs):
    told = invoke("stability", *(runs[name] for name in RESULTS))
    assert not NOT_A_NUMBER.search(told.output) and "Warning" not in told.output


def test_the_command_gives_every_broken_trace_its_sentence(runs):
    broken = ERRORS | UNREADABLE
    targets = [runs[name] for name in broken]
    done = invoke("stability", "--json", "--jobs", "1", *targets, code=1)
    rows = {told["target"]: told["error"] for told in json.loads(done.stdout)["runs"]}
    for name, (_, sentence) in broken.items():
        told = rows[str(runs[name])]
        assert name in READ or re.search(sentence, told), name
        assert "expected" in told and "found" in told and "\n" not in told, name
