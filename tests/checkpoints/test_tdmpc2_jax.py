"""Runs of tdmpc2-jax: the agent of a step is read through orbax, and nothing beside it."""

import shutil
import sys
from pathlib import Path

import jax.numpy as jnp
import numpy as np
import pytest

import tests.helpers.torch_files as torch_files
from glassviz.agents.agent import Agent
from glassviz.agents.config import Unsaid
from glassviz.agents.world_model import world_model
from glassviz.checkpoints import convert, load
from glassviz.errors import GlassvizError, UsageError
from glassviz.rollout.find import Target, find_targets
from tests.helpers.commands import invoke
from tests.helpers.jax_runs import write_run

TASK = Unsaid(("cheetah-run",))
NETS = torch_files.networks(17, 6, episodic=True)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_run(tmp_path_factory.mktemp("jax") / "cheetah_s1", NETS)


def test_the_heads_are_those_of_the_same_networks(run: Path) -> None:
    rng = np.random.default_rng(0)
    obs, action = rng.normal(size=(7, 17)), rng.uniform(-1, 1, (7, 6))
    checkpoint = load(run, TASK)
    agent = Agent(checkpoint.config, checkpoint.params)
    z = agent.encode(obs)
    # The two families differ in the ε of their LayerNorms, by 1e-5.
    expected = torch_files.official_heads(NETS, obs, action, eps=1e-6)
    np.testing.assert_allclose(z, expected["z"], atol=2e-5)
    np.testing.assert_allclose(agent.next(z, action), expected["z_next"], atol=2e-5)
    np.testing.assert_allclose(agent.reward(z, action), expected["reward"], rtol=2e-5, atol=2e-5)
    np.testing.assert_allclose(agent.values(z, action), expected["q"], rtol=2e-5, atol=2e-5)
    np.testing.assert_allclose(agent.policy(z), np.tanh(expected["mean"]), atol=2e-5)


def test_the_network_that_says_whether_an_episode_goes_on_is_read_as_one_that_ends_it(
    run: Path,
) -> None:
    rng = np.random.default_rng(0)
    obs, action = rng.normal(size=(50, 17)), np.zeros((50, 6))
    checkpoint = load(run, TASK)
    config, params = checkpoint.config, checkpoint.params
    ends = world_model(config, config.planner, params).ends
    assert config.episodic and ends is not None
    expected = torch_files.official_heads(NETS, obs, action, eps=1e-6)["termination"] > 0
    found = np.asarray(ends(jnp.asarray(Agent(config, params).encode(obs))))
    np.testing.assert_array_equal(found, expected)


def test_what_the_file_says_of_its_planner_is_taken(tmp_path: Path) -> None:
    folder = write_run(tmp_path / "run", NETS, (1,), temperature=1.0, symlog=20.0)
    config = load(folder, TASK).config
    assert config.planner.variant == "tdmpc2-jax" and config.planner.temperature == 1.0
    assert config.planner.discount == 0.99 and config.planner.max_std == 2.0
    assert (config.bin_min, config.bin_max, config.layer_norm_eps) == (-20.0, 20.0, 1e-6)


def test_the_last_step_stands_for_the_run_and_any_step_can_be_named(run: Path) -> None:
    last = load(run, TASK)
    assert (last.name, last.provenance["env_steps"]) == ("cheetah_s1", 20)
    for same in (
        run / "checkpoint",
        run / "checkpoint" / "20",
        run / "checkpoint" / "20" / "agent",
    ):
        assert load(same, TASK).sha256 == last.sha256
    first = load(run / "checkpoint" / "5", TASK)
    assert first.sha256 != last.sha256 and first.provenance["env_steps"] == 5
    assert first.config.planner.discount == 0.5


def test_the_replay_buffer_is_never_opened(run: Path, tmp_path: Path) -> None:
    copied = tmp_path / "run"
    shutil.copytree(run, copied)
    for step in (copied / "checkpoint").iterdir():
        shutil.rmtree(step / "buffer_state")
        (step / "buffer_state").write_bytes(b"not a buffer")
    assert load(copied, TASK).sha256 == load(run, TASK).sha256


def test_runs_are_arguments_of_commands_and_can_be_converted(run: Path, tmp_path: Path) -> None:
    assert find_targets(run) == [Target(run, "cheetah_s1")]
    assert find_targets(run.parent) == [Target(run, "cheetah_s1")]
    target = tmp_path / "a.safetensors"
    assert convert(run, target, unsaid=TASK).config == load(run, TASK).config
    told = invoke("inspect", run, "--task", "cheetah-run").stdout
    assert "tdmpc2-jax" in told and "17 → 12 → 16" in told
    with pytest.raises(UsageError, match="17 observations, 6 actions"):
        load(run)


@pytest.mark.parametrize(
    "damage", ["no manifest", "no data", "metadata of text", "metadata of lies", "empty metadata"]
)
def test_a_damaged_folder_ends_in_one_sentence(run: Path, tmp_path: Path, damage: str) -> None:
    copied = tmp_path / "run"
    shutil.copytree(run, copied)
    agent = copied / "checkpoint" / "20" / "agent"
    if damage == "no manifest":
        (agent / "manifest.ocdbt").unlink()
    elif damage == "no data":
        for data in agent.rglob("d/*"):
            data.unlink()
    elif damage == "metadata of text":
        (agent / "_METADATA").write_text("x")
    elif damage == "metadata of lies":
        (agent / "_METADATA").write_text('{"tree_metadata": {"a": 1}}')
    else:
        (agent / "_METADATA").write_text("{}")
    with pytest.raises(GlassvizError, match=r"expected an agent of tdmpc2-jax") as caught:
        load(copied, TASK)
    assert str(caught.value).isprintable()


def test_without_orbax_one_sentence_says_what_to_install(
    run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "orbax.checkpoint", None)
    with pytest.raises(GlassvizError, match=r"orbax-checkpoint .*pip install 'glassviz\[orbax\]'"):
        load(run, TASK)
