"""What a checkpoint of others does not say is asked for by options, and told again."""

import json
from pathlib import Path

import numpy as np
import pytest

import glassviz as gv
import tests.helpers.torch_files as torch_files
from glassviz.agents.config import Unsaid
from glassviz.checkpoints import load, save
from glassviz.trace import Trace
from tests.helpers.commands import invoke
from tests.helpers.published_files import SMALL, own_params

OPTIONS = ("--task", "--action-repeat", "--episode-steps", "--layout")
TAKE_CHECKPOINTS = (
    *("inspect", "convert", "rollout", "evaluate", "fit", "render", "export", "rerun"),
    *("stability", "report", "graph", "map"),
)


@pytest.fixture
def many(tmp_path: Path) -> Path:
    """An agent of thirty tasks."""
    path = tmp_path / "mt30.pt"
    path.write_bytes(torch_files.torch_file(torch_files.networks(24, 6, tasks=30)))
    return path


@pytest.fixture
def single(tmp_path: Path) -> Path:
    """A hopper's agent."""
    path = tmp_path / "hop.pt"
    path.write_bytes(torch_files.torch_file(torch_files.networks(15, 4)))
    return path


@pytest.mark.parametrize("name", TAKE_CHECKPOINTS)
def test_every_command_that_takes_checkpoints_has_the_same_options(name: str) -> None:
    shown = invoke(name, "--help").stdout
    assert [each for each in OPTIONS if each not in shown] == []


def test_inspect_lists_the_tasks_of_an_agent_of_many(many: Path) -> None:
    shown = invoke("inspect", many).stdout
    assert "30 tasks" in shown and "cheetah-run               17 observations, 6 actions" in shown
    assert "pendulum-spin             3 observations, 1 action\n" in shown
    listed = json.loads(invoke("inspect", many, "--json").stdout)
    assert len(listed["tasks"]) == 30 and listed["multitask"]
    assert "task cheetah-run" in invoke("inspect", many, "--task", "cheetah-run").stdout


def test_inspect_tells_what_is_assumed_of_an_agent_of_one_task(single: Path) -> None:
    told = invoke("inspect", single, "--json", "--episode-steps", "250", "--action-repeat", "4")
    found = json.loads(told.stdout)
    assert found["env"] | {"action_repeat": 4, "episode_steps": 250} == found["env"]
    assert "environment: the task is hopper-hop" in found["assumptions"]
    assert "environment: action repeat 4, 250 decisions an episode" in found["assumptions"]
    assert found["planner"]["discount"] == 0.98


def test_convert_takes_one_task_or_all(many: Path, tmp_path: Path) -> None:
    invoke("convert", many, tmp_path / "walk.safetensors", "--task", "walker-walk")
    assert load(tmp_path / "walk.safetensors").config.env.task == "walker-walk"
    folder = tmp_path / "all"
    assert "30 tasks" in invoke("convert", many, folder, "--task", "all").stdout
    files = sorted(folder.iterdir())
    assert len(files) == 30 and len({load(file).sha256 for file in files}) == 30
    assert load(folder / "mt30_cup-spin.safetensors").config.env.task == "cup-spin"
    told = invoke("convert", many, folder, "--task", "all", code=1).output
    assert "mt30_walker-stand.safetensors" in told and "--overwrite" in told


def test_convert_of_all_tasks_needs_a_folder_and_many_tasks(many: Path, single: Path) -> None:
    told = invoke("convert", many, many.parent / "x.safetensors", "--task", "all", code=2).output
    assert "expected a folder for the files of all tasks" in told
    told = invoke("convert", single, single.parent / "x", "--task", "all", code=2).output
    assert "found an agent of one task" in told
    told = invoke("convert", many, many.parent / "x.safetensors", code=2).output
    assert "one of the 30 tasks" in told


def test_a_file_that_says_its_task_is_not_contradicted(tmp_path: Path) -> None:
    path = tmp_path / "a.safetensors"
    save(path, SMALL, own_params(), {})
    invoke("inspect", path, "--task", SMALL.env.task)
    told = invoke("inspect", path, "--task", "walker-run", code=2).output
    assert f"expected --task {SMALL.env.task}, as the file itself says" in told


@pytest.mark.parametrize("name", ["rollout", "evaluate", "stability", "graph", "fit", "render"])
def test_a_task_that_cannot_be_rolled_out_is_refused_before_any_work(
    many: Path, name: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    told = invoke(name, many, "--task", "walker-run-backwards", "--controller", "pi", code=1).output
    assert "found walker-run-backwards: other tasks cannot be rolled out" in " ".join(told.split())
    assert not list(tmp_path.rglob("*.npz"))


def test_a_task_of_many_is_rolled_out_under_its_own_name_and_its_trace_tells_what_was_assumed(
    many: Path, tmp_path: Path
) -> None:
    how = ["--controller", "pi", "--episodes", "1", "--steps", "4", "-o", tmp_path / "traces"]
    invoke("rollout", many, "--task", "hopper-hop", *how)
    invoke("rollout", many, "--task", "hopper-stand", *how)
    traces = [Trace.load(path) for path in sorted((tmp_path / "traces").glob("*.npz"))]
    assert [trace.header["env"]["task"] for trace in traces] == ["hopper-hop", "hopper-stand"]
    assert {trace.header["checkpoint"]["name"] for trace in traces} == {
        "mt30_hopper-hop",
        "mt30_hopper-stand",
    }
    assert len({trace.header["checkpoint"]["sha256"] for trace in traces}) == 2
    assumed = " ".join(traces[0].header["assumptions"])
    assert "action repeat 2, 500 decisions" in assumed and "layout D" in assumed


def test_several_tasks_of_one_file_are_several_agents(many: Path, tmp_path: Path) -> None:
    tasks = ["--task", "walker-walk", "--task", "cheetah-run", "--task", "walker-walk"]
    how = ["--controller", "pi", "--episodes", "2", "--traces", tmp_path]
    result = invoke("stability", many, *tasks, *how, "--steps", "4", "--json")
    assert result.stderr.count("action repeat 2, 500 decisions an episode") == 1
    rows = json.loads(result.stdout)
    assert [row["checkpoint"] for row in rows["runs"]] == ["mt30_walker-walk", "mt30_cheetah-run"]
    found = invoke("evaluate", many, *tasks, *how[:4], "--json")
    told = json.loads(found.stdout)
    assert [row["task"] for row in told] == ["walker-walk", "cheetah-run"]
    assert "mt30_cheetah-run" in invoke("evaluate", many, *tasks, *how[:4]).stdout


def test_where_one_agent_is_read_several_tasks_are_refused(many: Path) -> None:
    result = invoke("inspect", many, "--task", "walker-walk", "--task", "walker-run", code=2)
    assert "--task: expected one task" in result.stderr and "walker-run" in result.stderr


def test_a_notebook_opens_a_task_and_calls_its_agent(many: Path) -> None:
    run = gv.load(many, task="cheetah-run")
    assert run.name == "mt30_cheetah-run"
    z = run.agent.encode(np.zeros((2, 17)))
    assert run.agent.values(z, run.agent.policy(z)).shape == (3, 2)
    same = gv.load_checkpoint(many, Unsaid(("cheetah-run",)))
    assert same.sha256 == run.checkpoint.sha256
    with pytest.raises(gv.UsageError, match="one of the 30 tasks"):
        gv.load(many)
    runs = gv.load(many, task=["cheetah-run", "walker-run"])
    assert [each.name for each in runs] == ["mt30_cheetah-run", "mt30_walker-run"]
