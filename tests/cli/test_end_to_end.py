"""The commands as a user runs them, one after the other.

One of each kind runs in a process of its own: training, going on with it, a film, and mistakes. The
others run in this process, which saves their start.
"""

import contextlib
import csv
import json
import re
from pathlib import Path

import pytest

from glassviz.trace import Trace
from glassviz.video.encode import probe
from tests.helpers.commands import invoke, run_program
from tests.helpers.published_files import payload, write

TRAIN = ("train", "--preset", "small", "--seed", "3", "--k-update", "1", "--eval-every", "1000000")


def program(folder: Path, *arguments: str | Path, code: int = 0) -> str:
    """What a command printed in a process of its own, on both streams, without a traceback."""
    done = run_program(*arguments, code=code, cwd=folder)
    return done.stdout + done.stderr


def glassviz(folder: Path, *arguments: str | Path, code: int = 0) -> str:
    """What a command printed in this process, on both streams; a traceback or a warning fails."""
    with contextlib.chdir(folder):
        done = invoke(*arguments, code=code)
    assert "Traceback" not in done.stderr and "Warning" not in done.stderr, done.stderr
    return done.stdout + done.stderr


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A folder with a training run of a few updates in it."""
    folder = tmp_path_factory.mktemp("user")
    printed = program(folder, *TRAIN, "--steps", "5376", "--save-every", "2560")
    assert "done: 5,376 steps" in printed
    return folder


@pytest.fixture(scope="module")
def checkpoint(folder):
    [path] = folder.glob("runs/*/seed_3/checkpoints/last.safetensors")
    return path


def test_training_resumes_by_the_same_command_with_resume(folder, checkpoint):
    again = glassviz(folder, *TRAIN, "--steps", "5376", code=2)
    assert "error:" in again and "--resume" in again
    printed = program(folder, *TRAIN, "--steps", "5632", "--resume")
    assert "done: 5,632 steps" in printed
    assert (
        json.loads(glassviz(folder, "inspect", checkpoint, "--json"))["provenance"]["env_steps"]
        == 5632
    )
    with (checkpoint.parents[2] / "seed_3.csv").open() as file:
        assert next(csv.reader(file)) == ["step", "reward", "eval_type", "seed"]


def test_a_second_roll_out_reuses_the_traces_of_the_first(folder, checkpoint):
    command = (
        "rollout", checkpoint, "--controller", "both",
        "--episodes", "2", "--steps", "6", "--samples", "96",
    )  # fmt: skip
    first, second = glassviz(folder, *command), glassviz(folder, *command)
    assert first.count("recorded ") == 2 and second.count("reusing ") == 2
    assert re.search(r"mppi, 2 episodes of 6 frames, mean return", second)
    # The same frames are then filmed without rolling out again.
    [trace] = folder.glob("renders/traces/*-pi-*.npz")
    assert "recorded" not in glassviz(folder, "render", trace, "--overlay-k")


def test_the_film_ends_with_the_return_of_its_trace(folder, checkpoint):
    film = folder / "both.mp4"
    printed = program(
        folder, "render", checkpoint, "--side-by-side", "--controller", "both",
        "--steps", "12", "--samples", "96", "--size", "320x240", "--out", film,
    )  # fmt: skip
    facts = probe(film)
    assert (facts.frames, facts.fps, facts.width, facts.height) == (12, 50.0, 640, 240)
    for controller in ("mppi", "pi"):
        [path] = [
            p for p in folder.glob(f"renders/traces/*-{controller}-*.npz")
            if Trace.load(p).frames == 12
        ]  # fmt: skip
        total = Trace.load(path).returns[0]
        assert f"{controller}, episode 1: return {total:.2f}" in printed
    refused = glassviz(folder, "render", checkpoint, "--steps", "12", "--out", film, code=1)
    assert "--overwrite" in refused


def test_stability_of_a_run_folder_records_what_is_missing_and_then_reuses_it(folder, checkpoint):
    run = checkpoint.parents[2]
    command = ("stability", run, folder / "none.npz", "--episodes", "2", "--steps", "6")
    first = glassviz(folder, *command, "--controller", "pi", code=1)
    assert "seed_3: taking last.safetensors" in first
    assert re.search(r"1 trace is missing: recording it takes about \d+ s", first)
    assert re.search(rf"{run.name}/seed_3 +pi", first) and "no such file: " in first
    again = glassviz(folder, *command, "--controller", "pi", code=1)
    assert "missing" not in again and "reusing" in again


def test_a_published_pickle_renders_and_says_what_was_assumed(tmp_path):
    pickled = write(tmp_path / "best_mppi.pkl", payload())
    printed = glassviz(
        tmp_path, "render", pickled, "--overlay-k", "--steps", "8", "--size", "320x240"
    )
    assert "best_mppi: assumed:" in printed and "8 frames" in printed
    [trace] = tmp_path.glob("renders/traces/*.npz")
    header = Trace.load(trace).header
    assert header["checkpoint"]["format"] == "tdmpc-glass-pickle"
    assert header["assumptions"] and header["env"]["physics"] == "playground"


def test_a_mistake_is_one_line_and_the_right_exit_code(tmp_path):
    (tmp_path / "notes.txt").write_text("not a checkpoint")
    for run, command, code in (
        (program, ("render", "notes.txt"), 1),
        (glassviz, ("rollout", "missing.safetensors"), 1),
        (glassviz, ("inspect", "notes.txt"), 1),
        (program, ("render", "notes.txt", "--size", "wide"), 2),
        (glassviz, ("render", "notes.txt", "--controller", "human"), 2),
    ):
        printed = run(tmp_path, *command, code=code)
        assert "error" in printed.lower()
    assert [path.name for path in tmp_path.iterdir()] == ["notes.txt"]
