"""What `stability` prints while traces are recorded, and how many episodes it says it used."""

import json
import re
from pathlib import Path

import jax
import numpy as np
import pytest

import tests.helpers.tiny as tiny
from glassviz import checkpoints
from glassviz.agents.networks import batching_is_faster, init_params
from tests.helpers.commands import invoke

pytestmark = pytest.mark.skipif(batching_is_faster(), reason="an accelerator records all at once")


@pytest.fixture(scope="module")
def printed(tmp_path_factory):
    """What the command prints first, and again with the same traces."""
    folder: Path = tmp_path_factory.mktemp("agents")
    params = jax.tree.map(np.asarray, init_params(tiny.AGENT, jax.random.key(1)))
    checkpoints.save(folder / "agent.safetensors", tiny.AGENT, params, {})
    command = ("stability", folder / "agent.safetensors", "--controller", "both", "--steps", 4)
    first = invoke(*command, "--traces", folder / "traces", "--json")
    return first, invoke(*command, "--traces", folder / "traces")


def test_a_row_is_told_after_the_first_episode_and_after_all_of_them(printed):
    first, _ = printed
    rows = [line for line in first.stderr.splitlines() if line.startswith("agent by ")]
    assert [re.match(r"agent by (\w+), (.+?): gait .*, labels .*, return ", row)[1] for row in rows]
    assert [row.partition(":")[0] for row in rows] == [
        f"agent by {controller}, {episodes}"
        for episodes in ("1 episode so far", "5 episodes")
        for controller in ("pi", "mppi")
    ]


def test_json_is_alone_on_standard_output_and_counts_the_episodes(printed):
    first, _ = printed
    runs = json.loads(first.stdout)["runs"]
    assert [(run["controller"], run["episode_count"]) for run in runs] == [("mppi", 5), ("pi", 5)]
    assert all(len(run["episodes"]) == run["episode_count"] for run in runs)


def test_the_table_counts_the_episodes_and_says_why_they_may_be_fewer(printed):
    _, again = printed
    assert "so far" not in again.stderr
    assert re.search(r"run +by +n +return", again.stdout)
    assert len(re.findall(r"^agent +(?:mppi|pi) +5 ", again.stdout, re.MULTILINE)) == 2
    assert "Without --episodes, up to 10, and fewer" in " ".join(again.stdout.split())
