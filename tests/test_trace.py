"""What is believed of a trace file: everything that is computed from it later, and no more."""

import json
import warnings
from dataclasses import replace
from typing import get_args

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from glassviz import archive, trace
from glassviz.agents import config
from glassviz.agents.glass import LabelRule
from glassviz.agents.planner import Controller
from glassviz.compare.graphs import run_graph
from glassviz.errors import GlassvizError
from glassviz.metrics.stability import assess
from glassviz.trace import ARRAYS, Trace
from tests.helpers.planted_runs import HOP, planted, with_soft

SOUND = with_soft(planted(HOP))
SHORT = replace(SOUND, **{name: getattr(SOUND, name)[:, :120] for name in ARRAYS})


def reread(path, header, arrays) -> Trace:
    archive.save(path, header, arrays)
    return Trace.load(path)


def arrays_of(one: Trace) -> dict[str, np.ndarray]:
    return {name: getattr(one, name) for name in ARRAYS}


def test_a_trace_is_read_as_it_was_written(tmp_path):
    SOUND.save(tmp_path / "a.npz")
    assert Trace.load(tmp_path / "a.npz").sha256 == SOUND.sha256


def test_a_trace_from_before_there_were_checksums_can_be_read(tmp_path):
    text = np.frombuffer(json.dumps(SOUND.header, sort_keys=True).encode(), np.uint8)
    np.savez(tmp_path / "old.npz", header=text, **arrays_of(SOUND))
    assert Trace.load(tmp_path / "old.npz").sha256 == SOUND.sha256


def test_the_known_words_are_those_of_the_agents():
    assert get_args(Controller) == trace.CONTROLLERS
    assert get_args(config.Physics) == trace.PHYSICS
    assert get_args(LabelRule) == trace.LABEL_RULES


def test_a_trace_that_unpacks_to_far_more_than_it_holds_is_refused(tmp_path):
    zeros = {**arrays_of(SOUND), "latent": np.zeros((1, 400, 60_000), np.float32)}
    archive.save(tmp_path / "bomb.npz", SOUND.header, zeros, compress=True)
    with pytest.raises(GlassvizError, match="that unpack to"):
        Trace.load(tmp_path / "bomb.npz")


AGENT = SOUND.header["agent"]
HEADERS = {
    "more clusters than memory": (
        {"agent": {"glass": {"clusters": 10**9}}, "partition": None},
        "agent.glass.clusters: expected an integer from 1 to 4096, found 1000000000",
    ),
    "clusters that are not those of the partition": (
        {"agent": {"glass": AGENT["glass"] | {"clusters": 9}}},
        "partition: expected 16 rows of shares that sum to 1, all of length 9",
    ),
    "a partition that sums to nothing": (
        {"partition": [[0.0] * 8] * 16},
        "partition: expected 16 rows of shares that sum to 1",
    ),
    "a partition without labels": ({"labels_from": "none"}, "partition: expected null without"),
    "an unknown controller": ({"controller": "me"}, "controller: expected mppi or pi, found"),
    "an unknown task": (
        {"env": SOUND.header["env"] | {"task": "cheetah-jump"}},
        'env.task: expected a task that there is an environment for, such as hopper-hop, found "ch',
    ),
    "another task": (
        {"env": SOUND.header["env"] | {"task": "walker-walk"}},
        "expected 9 values of qpos per frame of walker-walk, found 7",
    ),
    "unknown physics": (
        {"env": SOUND.header["env"] | {"physics": "lunar"}},
        'env.physics: expected dm_control or playground, found "lunar"',
    ),
    "a planner without settings": (
        {"planner": {"samples": 3}},
        "planner: expected an object, empty or with samples, horizon and iterations",
    ),
    "a hash that is none": (
        {"checkpoint": SOUND.header["checkpoint"] | {"sha256": "../x"}},
        "checkpoint.sha256: expected a hash of 64 hexadecimal digits",
    ),
    "a hash of a recorded trace that is none": (
        {"labels_from": "fitted", "fitted_labels": {"sha256": "0" * 64}},
        "fitted_labels: expected an object with the hashes sha256 and recorded_trace_sha256",
    ),
    "frames of months": (
        {"env": SOUND.header["env"] | {"action_repeat": 10**9}},
        "control_dt_s: expected a number that makes frames last from a millisecond to a second",
    ),
    "frames of other lengths": (
        {"env": SOUND.header["env"] | {"action_repeat": 2}},
        "frames 0.04 s apart as in the header, found 0.02 s after frame 0",
    ),
    "a seed of many digits": ({"seed": 10**40}, "seed: expected an integer of at most 64 bits"),
    "a list of seeds of many digits": ({"reset_seeds": [10**40]}, "reset_seeds: expected 1 int"),
}


@pytest.mark.parametrize("name", HEADERS)
def test_a_header_that_later_code_would_stumble_over_is_one_sentence(name, tmp_path):
    entries, sentence = HEADERS[name]
    with pytest.raises(GlassvizError, match=sentence) as raised:
        reread(tmp_path / "a.npz", SOUND.header | entries, arrays_of(SOUND))
    assert "\n" not in str(raised.value) and len(str(raised.value)) < 500


@pytest.mark.parametrize(
    ("name", "change", "sentence"),
    [
        ("label", lambda a: np.full_like(a, 2**31 - 1), "expected -1 to 7, found 2147483647"),
        ("label", lambda a: np.full_like(a, -2), "expected -1 to 7, found -2 for label"),
        ("prototype", lambda a: np.full_like(a, 16), "expected -1 to 15, found 16"),
        ("soft_assignment", lambda a: a * 3, "expected 0 to 1"),
        ("height", lambda a: a + np.nan, "found nan for height in frame 0"),
        ("value", lambda a: a + np.float32(np.inf), "found inf for value in frame 0"),
        ("speed", lambda a: a + 1e300, "found 1e.300 for speed"),
        ("time", lambda a: a[:, ::-1].copy(), "frames 0.02 s apart as in the header, found -0.02"),
        ("latent", lambda a: a[..., :0], "expected 1 to 65536 values of latent per frame, found 0"),
        ("obs", lambda a: a[..., :3], "15 values of obs per frame of hopper-hop, found 3"),
        (
            "qpos",
            lambda a: a[..., :3],
            "7 values of qpos per frame of hopper-hop, found 3",
        ),
        ("speed", lambda a: a.astype(">f8"), "speed has dtype >f8, expected float64"),
        ("speed", lambda a: a.astype(np.float16), "speed has dtype float16, expected float64"),
    ],
)
def test_arrays_out_of_range_are_one_sentence(name, change, sentence, tmp_path):
    arrays = arrays_of(SOUND)
    with pytest.raises(GlassvizError, match=sentence) as raised:
        reread(tmp_path / "a.npz", SOUND.header, arrays | {name: change(arrays[name])})
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize("part", [np.s_[:0], np.s_[:, :0]])
def test_a_trace_of_nothing_is_one_sentence(part, tmp_path):
    arrays = {name: array[part] for name, array in arrays_of(SOUND).items()}
    with pytest.raises(GlassvizError, match="expected at least one episode of one frame, found"):
        reread(tmp_path / "a.npz", SOUND.header, arrays)


def places(value, path=()):
    """The places of all entries in a header."""
    yield path
    if isinstance(value, dict):
        for key, each in value.items():
            yield from places(each, (*path, key))
    elif isinstance(value, list) and value:
        yield from places(value[0], (*path, 0))


PLACES = [path for path in places(SHORT.header) if path]
WRONG = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(10**30), 10**30),
    st.sampled_from([0, 1, -1, 2**31, 2**63, 4096, 1e-320, 1e308, 0.5, float("nan"), 0.02]),
    st.sampled_from(["", "x" * 5000, "\ud800", "\x1b[31m", "../../x", "0" * 64, "none", "pi"]),
    st.sampled_from([[], {}, [[]], {"sha256": 1}, [None], [[1.0]], {"glass": {"clusters": 2}}]),
)
NUMBERS = st.sampled_from([np.nan, np.inf, -np.inf, 1e300, -1e30, 2.0**31, -2, 0, 1, 17, 1e9])


def changed(header, place, value):
    """The header with another value at a place."""
    copy = json.loads(json.dumps(header))
    inner = copy
    for key in place[:-1]:
        inner = inner[key]
    inner[place[-1]] = value
    return copy


def told_or_works(path):
    """Read the trace: one sentence, or one that can be measured and drawn as a graph."""
    try:
        found = Trace.load(path)
    except GlassvizError as error:
        assert "\n" not in str(error) and len(str(error)) < 600 and str(error).isprintable()
        return
    for work in (assess, run_graph):
        try:
            work(found)
        except GlassvizError as error:
            assert "\n" not in str(error)


@settings(max_examples=60, deadline=None)
@given(place=st.sampled_from(PLACES), value=WRONG, checksum=st.booleans())
def test_any_other_header_entry_is_a_sentence_or_works(tmp_path_factory, place, value, checksum):
    path = tmp_path_factory.mktemp("header") / "a.npz"
    header = changed(SHORT.header, place, value)
    if checksum:
        archive.save(path, header, arrays_of(SHORT))
    else:
        text = np.frombuffer(json.dumps(header).encode(), np.uint8)
        np.savez(path, header=text, **arrays_of(SHORT))
    told_or_works(path)


@settings(max_examples=60, deadline=None)
@given(name=st.sampled_from(ARRAYS), value=NUMBERS, whole=st.booleans(), frame=st.integers(0, 119))
def test_any_other_number_is_a_sentence_or_works(tmp_path_factory, name, value, whole, frame):
    path = tmp_path_factory.mktemp("arrays") / "a.npz"
    arrays = arrays_of(SHORT)
    array = arrays[name].copy()
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        array[:, slice(None) if whole else frame] = np.array(value).astype(array.dtype)
    archive.save(path, SHORT.header, arrays | {name: array})
    told_or_works(path)


@settings(max_examples=40, deadline=None)
@given(
    name=st.sampled_from(ARRAYS),
    axis=st.integers(0, 2),
    size=st.sampled_from([0, 1, 2]),
    dtype=st.sampled_from([None, "f2", ">f8", "c16", "i1", "u8", "S3", "U2", "?", "M8[s]"]),
)
def test_any_other_shape_or_kind_is_a_sentence_or_works(tmp_path_factory, name, axis, size, dtype):
    path = tmp_path_factory.mktemp("shapes") / "a.npz"
    arrays = arrays_of(SHORT)
    array = arrays[name]
    array = array[(*[slice(None)] * min(axis, array.ndim - 1), slice(0, size))]
    if dtype:
        array = np.zeros(array.shape, dtype)
    archive.save(path, SHORT.header, arrays | {name: array})
    told_or_works(path)
