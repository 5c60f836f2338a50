"""A run folder: one process writes to it, its starts are recorded, a kill costs little."""

import dataclasses
import json
import os
import platform
import signal
import tempfile
from pathlib import Path

import jax
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from glassviz.agents.config import AgentConfig, GlassConfig
from glassviz.errors import GlassvizError, UsageError
from glassviz.files import partial_path
from glassviz.training import run_folder
from glassviz.training.config import TrainConfig
from glassviz.training.run_folder import (
    as_first_started,
    check_same,
    check_unused,
    drop_later,
    locked,
    prune,
    record_start,
    seed_folder,
    step_checkpoint,
)
from tests.helpers.commands import python_process, wait_until
from tests.helpers.run_folders import (
    LEARNER,
    PROVENANCE,
    TRAIN,
    load,
    save,
)

HOLDING = """
import sys
from pathlib import Path
from glassviz.training.run_folder import locked
with locked(Path({folder!r})):
    print("held", flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def holder(tmp_path):
    script = HOLDING.format(folder=str(seed_folder(tmp_path, 1)))
    with python_process("-c", script) as process:
        assert process.stdout.readline() == "held\n"
        yield process


def test_a_folder_that_another_process_writes_to_is_refused(tmp_path, holder):
    found = f"process {holder.pid} on {platform.node()} is training this run"
    with pytest.raises(UsageError, match=found) as refusal, locked(seed_folder(tmp_path, 1)):
        pass
    assert refusal.value.exit_code == 2
    with locked(seed_folder(tmp_path, 2)):
        pass


def left_by(pid: int, path: Path) -> Path:
    """Where a process writes a file before it gets its name."""
    partial = partial_path(path)
    return partial.with_name(partial.name.replace(f"-{os.getpid()}.", f"-{pid}."))


def test_a_killed_process_leaves_neither_a_lock_nor_half_a_file(tmp_path, holder):
    folder = seed_folder(tmp_path, 1)
    (folder / "checkpoints").mkdir()
    halves = [
        left_by(holder.pid, folder / "resume.npz"),
        left_by(holder.pid, folder / "checkpoints" / "last.safetensors"),
        left_by(holder.pid, tmp_path / "seed_1.csv"),
        folder / ".resume.npz.ffffff-1.partial",  # of another machine
    ]
    anothers = left_by(os.getpid(), tmp_path / "seed_10.csv")
    for path in [*halves, anothers]:
        path.touch()
    os.kill(holder.pid, signal.SIGKILL)
    holder.wait()
    with locked(folder):
        assert not any(path.exists() for path in halves)
    assert anothers.exists()


def test_a_folder_is_held_once_within_a_process_too_and_let_go_at_the_end(tmp_path):
    folder = seed_folder(tmp_path, 1)
    with locked(folder), pytest.raises(UsageError, match=str(os.getpid())), locked(folder):
        pass
    with locked(folder):
        pass


def test_a_folder_that_cannot_be_made_is_told(tmp_path):
    (tmp_path / "file").touch()
    place = seed_folder(tmp_path / "file", 1)
    with pytest.raises(GlassvizError, match="choose another --out"), locked(place):
        pass


def test_a_run_records_each_of_its_starts(tmp_path):
    record_start(tmp_path, TRAIN, PROVENANCE | {"command": "glassviz train --steps 9"}, 0)
    longer = dataclasses.replace(TRAIN, steps=TRAIN.steps * 2)
    record_start(tmp_path, longer, PROVENANCE | {"command": "glassviz train --resume"}, 500)
    starts = json.loads((tmp_path / "run.json").read_text())["starts"]
    assert [start["command"] for start in starts] == [
        "glassviz train --steps 9",
        "glassviz train --resume",
    ]
    assert [start["env_steps"] for start in starts] == [0, 500]
    assert all({"time", "recipe", "versions", "git_commit"} <= start.keys() for start in starts)
    assert json.loads((tmp_path / "train.json").read_text())["steps"] == longer.steps


def test_a_run_that_is_continued_keeps_recipe_and_sources_of_its_first_start(tmp_path):
    demos, init = {"name": "demos", "sha256": "d"}, {"name": "agent", "sha256": "a"}
    record_start(tmp_path, TRAIN, PROVENANCE | {"demos": demos, "init": init}, 0)
    again = PROVENANCE | {"recipe": "own", "command": "glassviz train --resume"}
    moved = {"demos": {"name": "moved", "sha256": "d"}, "init": {"name": "b", "sha256": "a"}}
    continued = as_first_started(tmp_path, again | moved)
    assert continued == again | {"recipe": "f", "demos": demos, "init": init}
    record_start(tmp_path, TRAIN, continued, 500)
    other = again | {"demos": {"name": "others", "sha256": "o"}}
    found = r"started with the demonstrations demos, found others in others: resume with the same"
    with pytest.raises(UsageError, match=found):
        as_first_started(tmp_path, other)


@pytest.mark.parametrize(
    ("first", "told"), [({}, "scratch"), ({"init": {"name": "agent", "sha256": "a"}}, "agent")]
)
def test_a_run_cannot_be_continued_from_another_agent(first, told, tmp_path):
    record_start(tmp_path, TRAIN, PROVENANCE | first, 0)
    later = PROVENANCE | {"init": {"name": "b", "sha256": "b"}}
    with pytest.raises(UsageError, match=f"started from b, found one that started from {told}"):
        as_first_started(tmp_path, later)


@pytest.mark.parametrize(
    "starts", ["[null]", "{}", "3", '[{"demos": 3}]', '[{"init": {"name": "a"}}]']
)
def test_a_record_of_starts_that_is_none_is_one_sentence(starts, tmp_path):
    (tmp_path / "run.json").write_text(f'{{"starts": {starts}}}')
    with pytest.raises(
        GlassvizError, match="expected the record of the run's starts, found no list"
    ):
        as_first_started(tmp_path, PROVENANCE)


def test_a_run_is_not_started_over_another(tmp_path):
    check_unused(tmp_path)
    record_start(tmp_path, TRAIN, PROVENANCE, 0)
    with pytest.raises(UsageError, match="--resume"):
        check_unused(tmp_path)


@pytest.mark.parametrize("content", ["", "[]", "{", '{"starts": 3}', "\0\0"])
def test_a_damaged_record_of_starts_is_named_and_left_alone(tmp_path, content):
    record_start(tmp_path, TRAIN, PROVENANCE, 0)
    (tmp_path / "run.json").write_text(content)
    with pytest.raises(GlassvizError, match=r"run\.json: expected the record of the run's starts"):
        record_start(tmp_path, TRAIN, PROVENANCE, 500)
    assert (tmp_path / "run.json").read_text() == content


def recorded(folder: Path, train: TrainConfig, **changes) -> None:
    """A run's folder whose configuration was afterwards changed at a dotted name, or lost it."""
    record_start(folder, train, PROVENANCE, 0)
    config = train.to_dict()
    for name, value in changes.items():
        *groups, last = name.split("__")
        place = config
        for group in groups:
            place = place[group]
        if value is None:
            del place[last]
        else:
            place[last] = value
    (folder / "train.json").write_text(json.dumps(config))


def test_a_run_resumes_with_its_settings_and_with_more_steps(tmp_path):
    recorded(tmp_path, TRAIN)
    check_same(tmp_path, TRAIN)
    check_same(tmp_path, dataclasses.replace(TRAIN, steps=TRAIN.steps * 2, save_every=1))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"seed": 7}, "expected seed = 7 .* found 1:"),
        ({"agent__latent_dim": 64}, r"expected agent\.latent_dim = 64 .* found 512:"),
        ({"agent__glass": 0}, r"expected agent\.glass = 0 .* found a group of settings:"),
        ({"no_longer_known": 2}, "expected no_longer_known = 2 .* found nothing:"),
    ],
)
def test_another_configuration_is_refused_by_the_setting(tmp_path, changes, message):
    glassy = dataclasses.replace(TRAIN, agent=some_glass())
    recorded(tmp_path, glassy, **changes)
    with pytest.raises(UsageError, match=message):
        check_same(tmp_path, glassy)


def some_glass() -> AgentConfig:
    return AgentConfig(glass=GlassConfig(prototypes=6, clusters=3))


def test_a_setting_that_a_later_version_added_agrees_at_its_default(tmp_path):
    glassy = dataclasses.replace(TRAIN, agent=some_glass())
    recorded(tmp_path, glassy, batch_size=None, agent__glass__proto_temperature=None, glass=None)
    check_same(tmp_path, glassy)
    with pytest.raises(UsageError, match=rf"batch_size = {TRAIN.batch_size} .* found 8:"):
        check_same(tmp_path, dataclasses.replace(glassy, batch_size=8))
    with pytest.raises(UsageError, match=r"glass\.warmup_steps = \d+ .* found 7:"):
        glass = dataclasses.replace(TRAIN.glass, warmup_steps=7)
        check_same(tmp_path, dataclasses.replace(glassy, glass=glass))


def test_a_part_that_a_later_version_added_does_not_agree_when_it_is_switched_on(tmp_path):
    recorded(tmp_path, TRAIN, agent__glass=None)
    with pytest.raises(UsageError, match=r"agent\.glass"):
        check_same(tmp_path, dataclasses.replace(TRAIN, agent=some_glass()))


@pytest.mark.parametrize("text", ['{"seed": ', "[]", "null", "[" * 100_000, "3", "\0"])
def test_a_damaged_configuration_is_named(tmp_path, text):
    (tmp_path / "train.json").write_text(text)
    with pytest.raises(
        GlassvizError, match=r"train\.json: expected the configuration of a run, found"
    ):
        check_same(tmp_path, TRAIN)


def test_a_saved_state_comes_back(tmp_path):
    record_start(tmp_path, TRAIN, PROVENANCE, 0)
    size = save(tmp_path, 100)
    learner, arrays, counters = load(tmp_path)
    assert jax.tree.all(jax.tree.map(np.array_equal, learner, LEARNER))
    assert {type(leaf) for leaf in jax.tree.leaves(learner)} == {np.ndarray}
    assert (arrays["replay"] == 100).all() and arrays.keys() == {"replay", "added"}
    assert (counters.env_steps, counters.best) == (100, {"pi": 0.5})
    assert run_folder.saved_step(tmp_path) == 100
    assert 0 <= (tmp_path / "resume.npz").stat().st_size - size < 3000


def test_a_state_of_another_learner_is_refused(tmp_path):
    record_start(tmp_path, TRAIN, PROVENANCE, 0)
    save(tmp_path, 100)
    with pytest.raises(GlassvizError, match=r"learner/1 .* \(3, 2\), found float32 \(2, 3\)"):
        load(tmp_path, like=LEARNER | {"w": np.zeros((3, 2))})
    with pytest.raises(GlassvizError, match="learner/2"):
        load(tmp_path, like=LEARNER | {"z": np.zeros(1)})


@settings(max_examples=20)
@given(st.floats(0, 1, exclude_max=True), st.booleans())
def test_a_damaged_state_is_named(where, flip):
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        record_start(folder, TRAIN, PROVENANCE, 0)
        save(folder, 100)
        path = folder / "resume.npz"
        data = bytearray(path.read_bytes())
        data = data[: int(where * len(data))]
        if flip and data:
            data[-1] ^= 0xFF
        path.write_bytes(data)
        with pytest.raises(GlassvizError, match=r"resume\.npz: expected the saved state"):
            load(folder)
        assert run_folder.saved_step(folder) in (None, 100)


def test_a_state_that_was_removed_is_told(tmp_path):
    record_start(tmp_path, TRAIN, PROVENANCE, 0)
    with pytest.raises(UsageError, match="found no such file: the run cannot be"):
        load(tmp_path)
    assert run_folder.saved_step(tmp_path) is None


SAVING = """
from itertools import count
from pathlib import Path
from tests.helpers import run_folders
for step in count(1):
    run_folders.save(Path({folder!r}), step, 1_000_000)
"""


def test_a_kill_in_a_save_leaves_a_whole_one(tmp_path):
    record_start(tmp_path, TRAIN, PROVENANCE, 0)
    script = SAVING.format(folder=str(tmp_path))
    with python_process("-c", script) as process:
        wait_until(lambda: (run_folder.saved_step(tmp_path) or 0) > 5, process)
        # In the middle of the next one, which is there as long as it is not whole.
        wait_until(lambda: list(tmp_path.glob(".resume.npz.*")), process)
    _, arrays, counters = load(tmp_path, 1_000_000)
    assert (arrays["replay"] == counters.env_steps % 256).all()


@pytest.mark.parametrize(("keep", "left"), [(0, []), (2, [300, 1_000_000_000]), (9, None)])
def test_the_newest_checkpoints_of_evaluations_stay_and_so_do_best_and_last(tmp_path, keep, left):
    steps = [100, 200, 300, 1_000_000_000]
    others = ["best_mppi", "best_pi", "last", "step_by_hand"]
    for path in [step_checkpoint(tmp_path, step) for step in steps]:
        path.touch()
    for name in others:
        (tmp_path / f"{name}.safetensors").touch()
    prune(tmp_path, keep)
    kept = {step_checkpoint(tmp_path, step).name for step in (steps if left is None else left)}
    assert {path.name for path in tmp_path.iterdir()} == kept | {
        f"{name}.safetensors" for name in others
    }


def test_an_evaluation_of_several_tasks_counts_once(tmp_path):
    for step in (100, 200):
        path = step_checkpoint(tmp_path, step)
        path.touch()
        path.with_stem(f"{path.stem}_hopper-stand").touch()
    prune(tmp_path, 1)
    assert sorted(path.stem for path in tmp_path.iterdir()) == [
        "step_000000200",
        "step_000000200_hopper-stand",
    ]


def test_checkpoints_from_after_the_save_that_a_run_resumes_from_go(tmp_path):
    for step in (100, 200, 300):
        step_checkpoint(tmp_path, step).touch()
    drop_later(tmp_path, 200)
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "step_000000100.safetensors",
        "step_000000200.safetensors",
    ]
