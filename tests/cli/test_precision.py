"""Every command that rolls out an agent plans in the precision that is asked for."""

import inspect
import json
from pathlib import Path

import jax
import numpy as np
import pytest

import tests.helpers.tiny as tiny
from glassviz import checkpoints
from glassviz.agents.networks import init_params
from glassviz.cli import app
from glassviz.rollout.traces import RolloutOptions, find_runs
from glassviz.trace import Trace
from tests.helpers.commands import invoke


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("checkpoints") / "agent.safetensors"
    params = jax.tree.map(np.asarray, init_params(tiny.AGENT, jax.random.key(1)))
    checkpoints.save(path, tiny.AGENT, params, {})
    return path


def test_all_commands_with_a_seed_of_roll_outs_take_a_precision():
    commands = {each.name or each.callback.__name__: each for each in app.registered_commands}
    taken = {name: inspect.signature(each.callback).parameters for name, each in commands.items()}
    rolling = {name for name, options in taken.items() if {"controller", "seed"} <= options.keys()}
    assert {"rollout", "stability", "report", "render", "graph", "evaluate"} <= rolling
    assert {name for name in rolling if "precision" not in taken[name]} == set()


def test_the_precision_is_part_of_a_trace_and_of_its_file_name(checkpoint, tmp_path):
    command = ("stability", checkpoint, "--episodes", "1", "--steps", "5", "--traces", tmp_path)
    invoke(*command, "--json")
    invoke(*command, "--json", "--precision", "bfloat16")
    whole, rounded = sorted(tmp_path.glob("*.npz"), key=lambda path: "bfloat16" in path.name)
    assert "bfloat16" in rounded.name and "bfloat16" not in whole.name
    assert Trace.load(whole).header["planner"]["precision"] == "float32"
    assert Trace.load(rounded).header["planner"]["precision"] == "bfloat16"


def test_an_evaluation_in_another_precision_says_so(checkpoint):
    command = ("evaluate", checkpoint, "--episodes", "1", "--controller", "both", "--json")
    planned, prior = json.loads(invoke(*command, "--precision", "bfloat16").stdout)
    assert planned["precision"] == "bfloat16" and prior["precision"] is None


def test_what_was_asked_for_in_the_agents_own_precision_is_the_same_trace(checkpoint, tmp_path):
    [own] = find_runs([checkpoint], RolloutOptions(1, steps=3), tmp_path)
    [asked] = find_runs([checkpoint], RolloutOptions(1, steps=3, precision="float32"), tmp_path)
    assert asked.reused and asked.trace_path == own.trace_path
