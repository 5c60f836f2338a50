"""Official agents of TD-MPC2 (.pt) compute what the official code does, in every layout."""

from collections import OrderedDict
from dataclasses import replace
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import tests.helpers.torch_files as torch_files
from glassviz.agents import networks as nets
from glassviz.agents.agent import Agent
from glassviz.agents.config import Unsaid, discount
from glassviz.agents.world_model import world_model
from glassviz.checkpoints import Checkpoint, convert, formats, load, survey
from glassviz.checkpoints.official import SIZES, size_class
from glassviz.errors import GlassvizError, UsageError
from tests.helpers.torch_files import Networks, archive, archive_of, state_of, tensor, torch_file

WALKER = Unsaid(("walker-walk",))
PATH = Path("agent.pt")


def read(data: bytes, unsaid: Unsaid = WALKER) -> Checkpoint:
    return formats.read(data, PATH, unsaid)


def inputs(agent: Networks, rows: int = 7) -> tuple[np.ndarray, np.ndarray]:
    """Observations, some of them large, and actions."""
    rng = np.random.default_rng(1)
    obs = 3.0 * rng.normal(size=(rows, agent.obs_dim)) ** 3
    return obs, rng.uniform(-1, 1, (rows, agent.action_dim))


def heads(checkpoint: Checkpoint, obs: np.ndarray, action: np.ndarray) -> dict[str, np.ndarray]:
    """What the agent computes, by the names of `official_heads`."""
    config, params = checkpoint.config, checkpoint.params
    agent = Agent(config, params)
    z = agent.encode(obs)
    mean, log_std = nets.policy(config, params, jnp.asarray(z))
    found = {
        "z": z,
        "z_next": agent.next(z, action),
        "reward": agent.reward(z, action),
        "q": agent.values(z, action),
        "mean": mean,
        "log_std": log_std,
    }
    if config.episodic:
        found["termination"] = world_model(config, config.planner, params).ends(jnp.asarray(z))
    return {name: np.asarray(value) for name, value in found.items()}


def assert_same_heads(data: bytes, agent: Networks, tolerance: float = 2e-5) -> None:
    """The agent in a file computes what the official code computes."""
    obs, action = inputs(agent)
    ours = heads(read(data), obs, action)
    expected = torch_files.official_heads(agent, obs, action)
    for name, values in expected.items():
        if name == "termination":
            np.testing.assert_array_equal(ours[name], values > 0)
            assert 0 < ours[name].mean() < 1, "neither always nor never"
        else:
            np.testing.assert_allclose(ours[name], values, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("layout", ["A", "B", "C", "D"])
@pytest.mark.parametrize("bare", [False, True], ids=["model", "bare"])
def test_every_layout_computes_what_the_official_code_computes(layout: Any, bare: bool) -> None:
    agent = torch_files.networks(symlog=layout == "A")
    data = torch_file(agent, layout, bare=bare)
    assert_same_heads(data, agent)
    checkpoint = read(data)
    assert checkpoint.provenance["source"]["layout"] == layout
    assert checkpoint.config.env.task == "walker-walk"
    assert checkpoint.config.symlog_obs == (layout == "A")
    assert any(f"layout {layout}, recognised" in each for each in checkpoint.assumptions)


@pytest.mark.parametrize("prefix", ["module.", "_orig_mod.", "_orig_mod.module."])
def test_marks_of_compiled_and_parallel_modules_are_ignored(prefix: str) -> None:
    agent = torch_files.networks()
    assert_same_heads(torch_file(agent, prefix=prefix), agent)


def test_a_termination_network_is_read() -> None:
    agent = torch_files.networks(episodic=True)
    data = torch_file(agent)
    assert_same_heads(data, agent)
    assert read(data).config.episodic and not read(torch_file(replace_nets(agent))).config.episodic


def replace_nets(agent: Networks) -> Networks:
    """The same agent without its termination network."""
    return replace(agent, layers={n: v for n, v in agent.layers.items() if n != "_termination"})


def test_a_wrong_layout_reads_an_agent_that_computes_other_numbers() -> None:
    agent = torch_files.networks(symlog=True)
    data = torch_file(agent, "A")
    obs, action = inputs(agent)
    right = read(data)
    wrong = read(data, replace(WALKER, layout="D"))
    assert not wrong.config.symlog_obs and right.sha256 != wrong.sha256
    right_z, wrong_z = heads(right, obs, action)["z"], heads(wrong, obs, action)["z"]
    assert np.abs(right_z - wrong_z).max() > 0.1
    assert any("layout D, as named" in each for each in wrong.assumptions)
    named = read(data, replace(WALKER, layout="A"))
    assert named.sha256 == right.sha256


# Storages -----------------------------------------------------------------------------------------


def stored(agent: Networks, make: Any) -> bytes:
    """The file of an agent whose matrices and vectors are made by `make`."""
    state = state_of(agent)
    made = {n: make(v) if isinstance(v, np.ndarray) else v for n, v in state.items()}
    scalars = {n: tensor(np.asarray(v)) for n, v in made.items() if isinstance(v, np.generic)}
    return archive({"model": OrderedDict(made | scalars)})


def rounded(agent: Networks, dtype: Any) -> Networks:
    """The agent as its parameters are after rounding."""
    layers = {
        net: [{n: v.astype(dtype).astype(np.float32) for n, v in each.items()} for each in own]
        for net, own in agent.layers.items()
    }
    return replace(agent, layers=layers)


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_half_precision_is_widened_and_said(dtype: str) -> None:
    agent = torch_files.networks()
    kind = torch_files.BFLOAT16 if dtype == "bfloat16" else np.dtype(dtype)
    data = stored(agent, lambda leaf: tensor(leaf.astype(kind)))
    assert_same_heads(data, rounded(agent, kind))
    assert f"parameters: stored as {dtype}, widened to float32" in read(data).assumptions


def test_double_precision_is_rounded_and_said() -> None:
    agent = torch_files.networks()
    data = stored(agent, lambda leaf: tensor(leaf.astype(np.float64)))
    assert_same_heads(data, agent)
    assert "parameters: stored as float64, rounded to float32" in read(data).assumptions


def test_a_quantised_agent_has_the_values_of_its_integers_and_says_so() -> None:
    agent = torch_files.networks()
    data = stored(agent, torch_files.quantised)

    def of_integers(leaf: np.ndarray) -> np.ndarray:
        made = torch_files.quantised(leaf)
        scale, zero_point = made.quantiser or (1.0, 0)
        integers = made.storage.values.reshape(leaf.shape).astype(np.float64)
        return ((integers - zero_point) * scale).astype(np.float32)

    layers = {
        net: [{n: of_integers(v) for n, v in each.items()} for each in own]
        for net, own in agent.layers.items()
    }
    assert_same_heads(data, replace(agent, layers=layers))
    assert any("quantised to 8 bits" in each for each in read(data).assumptions)


@pytest.mark.parametrize("order", ["little", "big"])
@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_byte_order_is_that_of_the_file(order: Any, dtype: str) -> None:
    agent = torch_files.networks()
    kind = torch_files.BFLOAT16 if dtype == "bfloat16" else np.dtype(dtype)
    state = {
        n: tensor(np.asarray(v, kind)) if isinstance(v, np.ndarray | np.generic) else v
        for n, v in state_of(agent).items()
    }
    assert_same_heads(archive({"model": state}, order), rounded(agent, kind))


@pytest.mark.parametrize(
    "make",
    [
        lambda leaf: tensor(leaf, device="cuda:0"),
        lambda leaf: tensor(leaf, parameter=True),
        lambda leaf: torch_files.transposed(leaf) if leaf.ndim > 1 else tensor(leaf),
    ],
    ids=["on a GPU", "as parameters", "transposed"],
)
def test_devices_wrappers_and_strides_do_not_matter(make: Any) -> None:
    agent = torch_files.networks()
    assert_same_heads(stored(agent, make), agent)


# Multitask ----------------------------------------------------------------------------------------

MT30 = torch_files.networks(24, 6, tasks=30)
MT30_DATA = torch_file(MT30, "B")
MT80 = torch_files.networks(39, 6, tasks=80)


@pytest.mark.parametrize(
    ("agent", "task", "row", "obs_dim", "action_dim"),
    [
        (MT30, "walker-stand", 0, 24, 6),
        (MT30, "hopper-hop", 18, 15, 4),
        (MT30, "pendulum-spin", 29, 3, 1),
        (MT80, "cup-catch", 12, 8, 2),
        (MT80, "mw-hand-insert", 79, 39, 4),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_one_task_of_many_computes_what_the_padded_networks_compute_with_its_embedding(
    agent: Networks, task: str, row: int, obs_dim: int, action_dim: int
) -> None:
    checkpoint = read(torch_file(agent), Unsaid((task,)))
    assert (checkpoint.config.obs_dim, checkpoint.config.action_dim) == (obs_dim, action_dim)
    obs, action = inputs(agent)
    obs[:, obs_dim:], action[:, action_dim:] = 0.0, 0.0
    expected = torch_files.official_heads(agent, obs, action, row)
    ours = heads(checkpoint, obs[:, :obs_dim], action[:, :action_dim])
    for name, values in ours.items():
        other = expected[name]
        other = other[:, :action_dim] if name in ("mean", "log_std") else other
        np.testing.assert_allclose(values, other, rtol=2e-5, atol=2e-5, err_msg=name)


def test_tasks_of_one_file_are_different_checkpoints() -> None:
    walk, run = (read(MT30_DATA, Unsaid((task,))) for task in ("walker-walk", "walker-run"))
    assert walk.sha256 != run.sha256 and walk.name == "agent_walker-walk"
    assert walk.provenance["source"]["sha256"] == run.provenance["source"]["sha256"]
    assert walk.provenance["tasks"] == 30


@pytest.mark.parametrize("asked", [(), ("walker-fly",)])
def test_a_missing_or_wrong_task_lists_those_that_there_are(asked: tuple[str, ...]) -> None:
    with pytest.raises(UsageError, match=r"one of the 30 tasks .*walker-stand, .*pendulum-spin"):
        read(MT30_DATA, Unsaid(asked))


def test_action_masks_tell_the_sizes_of_tasks_that_are_not_known() -> None:
    masks = np.array([[1, 1, 0], [1, 1, 1]], np.float32)
    agent = replace(torch_files.networks(7, 3, tasks=2), masks=masks)
    checkpoint = read(torch_file(agent), Unsaid(("task-0",)))
    assert (checkpoint.config.obs_dim, checkpoint.config.action_dim) == (7, 2)
    others = replace(MT30, masks=np.ones((30, 6), np.float32))
    assert survey_of(torch_file(others)).tasks[2].name == "task-2"


def survey_of(data: bytes) -> Any:
    from glassviz.checkpoints import official

    return official.survey(data, PATH)


# What a file does not say -------------------------------------------------------------------------


def test_the_task_of_an_agent_of_one_task_is_asked_for_with_those_that_fit() -> None:
    agent = torch_files.networks(24, 6)
    with pytest.raises(UsageError, match=r"24 observations, 6 actions.*--task, such as walker-st"):
        read(torch_file(agent), Unsaid())
    hopper = read(torch_file(torch_files.networks(15, 4)), Unsaid())
    assert hopper.config.env.task == "hopper-hop"
    assert "environment: the task is hopper-hop" in hopper.assumptions


def test_what_is_told_is_taken_and_the_discount_follows_the_length_of_an_episode() -> None:
    told = read(torch_file(torch_files.networks()), replace(WALKER, action_repeat=1))
    assert (told.config.env.action_repeat, told.config.env.episode_steps) == (1, 500)
    assert told.config.planner.discount == 0.99
    longer = read(torch_file(torch_files.networks()), replace(WALKER, episode_steps=1000))
    assert longer.config.planner.discount == 0.995
    assert [discount(steps) for steps in (10, 100, 250)] == [0.95, 0.95, 0.98]


@pytest.mark.parametrize(("actions", "iterations"), [(19, 6), (20, 8)])
def test_agents_with_many_actions_plan_longer(actions: int, iterations: int) -> None:
    data = torch_file(torch_files.networks(action_dim=actions))
    assert read(data).config.planner.iterations == iterations


def test_released_sizes_are_named() -> None:
    config = read(torch_file(torch_files.networks())).config
    for (encoder, width, latent, num_q), size in SIZES.items():
        released = config.replace(
            encoder_widths=encoder,
            hidden_widths=(width, width),
            latent_dim=latent,
            num_q=num_q,
        )
        assert size_class(released) == size
    assert size_class(config) == ""


def test_a_survey_lists_tasks_and_sizes_without_choosing_one(tmp_path: Path) -> None:
    found = survey_of(MT30_DATA)
    assert found.multitask and len(found.tasks) == 30 and found.layout == "B"
    assert found.tasks[3] == ("cheetah-run", 17, 6)
    single = survey_of(torch_file(torch_files.networks(17, 6)))
    assert not single.multitask and "cheetah-run" in [each.name for each in single.tasks]
    native = tmp_path / "agent.safetensors"
    source = tmp_path / "agent.pt"
    source.write_bytes(MT30_DATA)
    convert(source, native, unsaid=WALKER)
    assert survey(source) == found and survey(native) is None


def test_a_converted_task_is_the_same_agent(tmp_path: Path) -> None:
    source = tmp_path / "agent.pt"
    source.write_bytes(MT30_DATA)
    converted = convert(source, tmp_path / "walk.safetensors", unsaid=WALKER)
    original = load(source, WALKER)
    assert converted.config == original.config
    assert converted.assumptions == original.assumptions
    jax.tree.map(np.testing.assert_array_equal, converted.params, original.params)


# Neighbours ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("extra", "found"),
    [
        ({"_encoder.rgb.0.weight": np.zeros((2, 2), np.float32)}, "sees pixels"),
        ({"_Q1.0.weight": np.zeros((2, 2), np.float32)}, "TD-MPC, the predecessor"),
        ({"_V.0.weight": np.zeros((2, 2), np.float32)}, "state values in place of Q"),
        ({"actor.0.weight": np.zeros((2, 2), np.float32)}, "another algorithm"),
        ({"_decoder.0.weight": np.zeros((2, 2), np.float32)}, "_decoder.0: agents of an extended"),
        ({"_task_emb.weight": np.zeros((3, 512), np.float32)}, "Newt"),
    ],
    ids=["pixels", "TD-MPC", "state values", "another algorithm", "extra network", "Newt"],
)
def test_relatives_are_refused_by_name(extra: dict[str, np.ndarray], found: str) -> None:
    agent = replace(torch_files.networks(600, 2), extra=extra)
    with pytest.raises(GlassvizError, match=found):
        read(torch_file(agent))


@pytest.mark.parametrize("net", ["_encoder.state", "_dynamics", "_reward", "_pi", "_Qs"])
def test_a_network_that_is_missing_is_named(net: str) -> None:
    agent = torch_files.networks()
    del agent.layers[net]
    state = {name: leaf for name, leaf in state_of(replace_empty(agent, net)).items()}
    with pytest.raises(GlassvizError, match=net):
        read(archive_of(state))


def replace_empty(agent: Networks, net: str) -> Networks:
    """The agent with no layers in a network."""
    return replace(agent, layers=agent.layers | {net: []})


def test_shapes_that_do_not_match_are_named_with_leaf_and_both_shapes() -> None:
    agent = torch_files.networks()
    agent.layers["_reward"][1]["weight"] = np.zeros((12, 9), np.float32)
    with pytest.raises(GlassvizError, match=r"rew/Dense_1/kernel has shape \(9, 12\), expected"):
        read(torch_file(agent))
