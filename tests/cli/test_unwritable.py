"""What cannot be written is refused before anything is rolled out, in every command."""

from pathlib import Path

import jax
import numpy as np
import pytest

import tests.helpers.tiny as tiny
from glassviz import checkpoints
from glassviz.agents.networks import init_params
from glassviz.errors import GlassvizError
from glassviz.rollout import traces
from glassviz.rollout.traces import RolloutOptions, find_runs
from tests.helpers.commands import invoke

OPTIONS = ("--controller", "pi", "--episodes", 1, "--steps", 6)


@pytest.fixture
def checkpoint(tmp_path) -> Path:
    params = jax.tree.map(np.asarray, init_params(tiny.AGENT, jax.random.key(1)))
    path = tmp_path / f"{'agent-' * 36}.safetensors"
    checkpoints.save(path, tiny.AGENT, params, {})
    return path


@pytest.fixture
def unwritable(tmp_path, monkeypatch) -> Path:
    """A working directory without room for renders: a file is in the way."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "renders").touch()
    monkeypatch.setattr("platformdirs.user_cache_dir", lambda name: str(tmp_path / "cache"))
    return tmp_path


@pytest.fixture
def no_work(monkeypatch) -> None:
    def roll_out(*args: object) -> None:
        pytest.fail("rolled out before the check")

    monkeypatch.setattr(traces, "_roll_out", roll_out)


@pytest.mark.usefixtures("no_work")
@pytest.mark.parametrize(
    "command",
    [
        ("rollout", "--out", "renders/traces"),
        ("render",),
        ("render", "--out", "renders/film.mp4"),
        ("stability", "--out", "renders/out"),
        ("report",),
        ("report", "-o", "renders/report.md"),
        ("report", "--interactive"),
        ("graph",),
        ("graph", "-o", "renders/graphs"),
        ("map",),
        ("export", "--timeline"),
        ("export", "--all", "renders/all"),
        ("fit", "--out", "renders/labels.safetensors"),
        ("stability", "--traces", "renders/traces"),
    ],
    ids=" ".join,
)
def test_a_folder_that_cannot_be_written_is_named_before_the_work(unwritable, checkpoint, command):
    done = invoke(command[0], checkpoint, *OPTIONS, *command[1:], code=1)
    assert "cannot be written" in done.stderr and "renders" in done.stderr


@pytest.mark.usefixtures("no_work")
def test_a_film_that_exists_is_named_before_the_work(tmp_path, monkeypatch, checkpoint):
    monkeypatch.chdir(tmp_path)
    for suffix, options in {".mp4": (), ".svg": ()}.items():
        command = "render" if suffix == ".mp4" else "graph"
        name = f"{_stem(checkpoint, command)}{suffix}"
        (tmp_path / "renders").mkdir(exist_ok=True)
        (tmp_path / "renders" / name).touch()
        done = invoke(command, checkpoint, *OPTIONS, *options, code=1)
        assert f"{name}: already exists" in done.stderr


def _stem(checkpoint: Path, command: str) -> str:
    from glassviz.rollout.batch import file_stem

    if command == "graph":
        return f"graph-{file_stem(checkpoint.stem, 'pi', 'jump')}-1episode-6steps"
    return file_stem(checkpoint.stem, "pi", "6steps")


def test_traces_go_to_the_cache_where_their_folder_cannot_be_written(unwritable, checkpoint):
    done = invoke("rollout", checkpoint, *OPTIONS)
    [told] = [line for line in done.stderr.splitlines() if "cannot be written" in line]
    assert told.startswith("renders/traces: ") and "--traces" in told
    [trace] = (unwritable / "cache" / "traces").iterdir()
    assert len(trace.name) < 160
    options = RolloutOptions(1, ("pi",), steps=6)
    [run] = find_runs(checkpoint, options)
    assert run.reused and run.trace_path == trace


@pytest.mark.usefixtures("no_work")
def test_without_room_for_traces_nothing_is_rolled_out(tmp_path, monkeypatch, checkpoint):
    monkeypatch.setattr("shutil.disk_usage", lambda folder: type("Usage", (), {"free": 100}))
    options = RolloutOptions(1, ("pi",), steps=6)
    with pytest.raises(GlassvizError, match="left on device"):
        find_runs(checkpoint, options, tmp_path / "traces")
