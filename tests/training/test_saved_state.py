"""What is believed of a saved training state: all that the trainer takes from it, and no more."""

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import tests.helpers.tiny as tiny
from glassviz import archive
from glassviz.errors import GlassvizError
from glassviz.training import learner as learning
from glassviz.training import run_folder
from glassviz.training.run_folder import STATE_FILE

ROWS = 10


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    """A run of a few steps: its folder, how to load its state, its header and arrays."""
    trainer = tiny.trainer(tmp_path_factory.mktemp("run"))
    [run] = trainer.runs
    for _ in range(ROWS):
        trainer.collect([0])
        trainer.env_steps += tiny.TRAIN.num_envs
    like = learning.take(trainer.learner, 0)
    run.save(like, trainer.env_steps)
    path = run.folder / STATE_FILE
    header, arrays = archive.load(path, "", "")
    run.begin(0)
    run.collector.reset()
    begun = run.replay.get_state() | run.collector.get_state()

    def load():
        return run_folder.load(run.folder, run.train, like, begun)

    return path, load, header, arrays


def test_a_sound_state_is_read(saved):
    path, load, header, arrays = saved
    archive.save(path, header, arrays)
    _, found, counters = load()
    assert counters.env_steps == ROWS * tiny.TRAIN.num_envs and len(found["obs"]) == ROWS
    assert run_folder.saved_step(path.parent) == counters.env_steps


COUNTERS = {
    "a step before the first": ("env_steps", -1, "expected a usable env_steps"),
    "a step in words": ("env_steps", "9", "expected a usable env_steps"),
    "more steps than rows": ("env_steps", 4000, "expected 1000 rows added to the replay buffer"),
    "a beginning after the end": ("begun", 10**6, "expected begun of at most 40"),
    "more restarts than are allowed": ("basin_restarts", 10**9, "expected basin_restarts of at"),
    "a return that is none": ("best", {"pi": float("nan")}, "expected a usable best.pi"),
    "an unknown controller": ("best", {"me": 1.0}, "expected a usable best.me"),
    "evaluations that are none": ("latest", [3], "expected a usable latest.0"),
    "a generator of nothing": ("rng", {}, "expected the state of a generator as rng"),
}


@pytest.mark.parametrize("name", COUNTERS)
def test_counters_that_no_run_has_are_one_sentence(saved, name):
    path, load, header, arrays = saved
    counter, value, sentence = COUNTERS[name]
    archive.save(path, header | {counter: value}, arrays)
    with pytest.raises(GlassvizError, match=sentence) as raised:
        load()
    assert "\n" not in str(raised.value) and len(str(raised.value)) < 400


def first_leaf(arrays, kind):
    names = [name for name in arrays if name.startswith("learner/")]
    return next(name for name in names if arrays[name].dtype.kind == kind and arrays[name].ndim)


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (lambda a: a * np.float32(np.nan), "expected finite numbers in learner/"),
        (lambda a: a.astype(np.int8), "of float32 .*, found int8"),
        (lambda a: a[..., None], "of float32 .*, found float32"),
    ],
)
def test_parameters_that_no_learner_has_are_one_sentence(saved, change, sentence):
    path, load, header, arrays = saved
    name = first_leaf(arrays, "f")
    archive.save(path, header, arrays | {name: change(arrays[name])})
    with pytest.raises(GlassvizError, match=sentence) as raised:
        load()
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("obs", lambda a: a[:-1]),
        ("reward", lambda a: a[:-1]),
        ("first", lambda a: a.astype(np.int8)),
        ("added", lambda a: a - 1),
        ("added", lambda a: a.astype(float)),
        ("episode_step", lambda a: a + 1000),
        ("shaper_labels", lambda a: a + 2**40),
        ("action", lambda a: a + 100),
        ("env_state", lambda a: a + np.nan),
        ("env_state", lambda a: a[:, 1:]),
    ],
)
def test_a_replay_or_physics_that_no_run_has_is_one_sentence(saved, name, change):
    path, load, header, arrays = saved
    archive.save(path, header, arrays | {name: change(arrays[name])})
    with pytest.raises(GlassvizError, match=r"resume\.npz: expected .*, found") as raised:
        load()
    assert "\n" not in str(raised.value)
    archive.save(path, header, {key: array for key, array in arrays.items() if key != name})
    with pytest.raises(GlassvizError, match="found nothing"):
        load()


WRONG = st.sampled_from(
    [None, True, -1, 0, 1, 2**70, 1e308, float("nan"), "", "x" * 9000, [], {}, [[]], [{}]]
)


@given(data=st.data(), value=WRONG)
def test_any_other_counter_is_a_sentence_or_works(saved, data, value):
    path, load, header, arrays = saved
    header = json.loads(json.dumps(header))
    groups = [header, *(each for each in header.values() if isinstance(each, dict))]
    group = data.draw(st.sampled_from([each for each in groups if each]))
    group[data.draw(st.sampled_from(sorted(group)))] = value
    archive.save(path, header, arrays)
    try:
        load()
    except GlassvizError as error:
        assert "\n" not in str(error) and len(str(error)) < 400
    assert run_folder.saved_step(path.parent) is None or header["env_steps"] >= 0
