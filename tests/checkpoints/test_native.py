"""The native format: what is saved comes back, and what is not whole is refused."""

import hashlib
import json
import stat
import struct
from pathlib import Path
from typing import Any

import jax
import numpy as np
import pytest
import safetensors.numpy
from flax.traverse_util import flatten_dict
from hypothesis import given
from hypothesis import strategies as st

from glassviz.agents.config import (
    AgentConfig,
    EnvConfig,
    GlassConfig,
    PlannerConfig,
    tdmpc2_config,
)
from glassviz.checkpoints import convert, formats, load, save
from glassviz.checkpoints.native import FORMAT, check_config
from glassviz.errors import GlassvizError, UsageError
from tests.helpers.published_files import SMALL, own_params, payload, write

PROVENANCE = {
    "recipe": "small",
    "command": "glassviz train --preset small",
    "seed": 3,
    "env_steps": 500_000,
    "returns": {"pi": {"mean": 12.5, "episodes": 10}},
    "versions": {"jax": "0.7"},
    "git_commit": "0123abc",
}
ASSUMPTIONS = ("physics profile playground",)
TDMPC2 = tdmpc2_config(
    latent_dim=16, encoder_widths=(6,), hidden_widths=(12, 10), simnorm_group=4, num_bins=7
)


def metadata(**changes: str | None) -> dict[str, str]:
    """The header of a good file, with some entries changed, or removed by None."""
    entries = {
        "format": FORMAT,
        "format_version": "1",
        "config": json.dumps(SMALL.to_dict()),
        "provenance": json.dumps(PROVENANCE),
        "assumptions": "[]",
    } | changes
    return {key: value for key, value in entries.items() if value is not None}


def stored(leaves: dict[str, np.ndarray], header: dict[str, str] | None) -> bytes:
    return safetensors.numpy.save(leaves, header)


def good_leaves(config: AgentConfig = SMALL) -> dict[str, np.ndarray]:
    return flatten_dict(own_params(config), sep="/")


def read(data: bytes) -> Any:
    return formats.read(data, Path("agent.safetensors"))


@pytest.mark.parametrize("config", [SMALL, SMALL.replace(glass=None), TDMPC2])
def test_parameters_and_configuration_come_back_bit_for_bit(
    tmp_path: Path, config: AgentConfig
) -> None:
    path, params = tmp_path / "run" / "best.safetensors", own_params(config)
    sha256 = save(path, config, params, PROVENANCE, assumptions=ASSUMPTIONS)
    checkpoint = load(path)
    jax.tree.map(np.testing.assert_array_equal, checkpoint.params, params)
    assert checkpoint.config == config
    assert checkpoint.provenance == PROVENANCE
    assert checkpoint.assumptions == ASSUMPTIONS
    assert checkpoint.name == "best"
    assert checkpoint.sha256 == sha256 == hashlib.sha256(path.read_bytes()).hexdigest()


def test_parameters_on_a_device_are_saved_as_they_are(tmp_path: Path) -> None:
    save(tmp_path / "x.safetensors", SMALL, jax.tree.map(jax.numpy.asarray, own_params()), {})
    found = load(tmp_path / "x.safetensors").params
    jax.tree.map(np.testing.assert_array_equal, found, own_params())


def test_half_precision_halves_the_file_and_comes_back_as_the_nearest_float32(
    tmp_path: Path,
) -> None:
    full, half = tmp_path / "full.safetensors", tmp_path / "half.safetensors"
    config = SMALL.replace(encoder_widths=(256, 256))
    params = own_params(config)
    save(full, config, params, {})
    save(half, config, params, {}, dtype="float16")
    assert half.stat().st_size < 0.55 * full.stat().st_size
    for name, leaf in flatten_dict(load(half).params, sep="/").items():
        assert leaf.dtype == np.float32
        expected = flatten_dict(params, sep="/")[name].astype(np.float16).astype(np.float32)
        np.testing.assert_array_equal(leaf, expected)


def test_weights_beyond_half_precision_are_refused_and_nothing_is_written(tmp_path: Path) -> None:
    params = own_params()
    params["dyn"]["Dense_0"]["bias"][0] = 1e6
    with pytest.raises(GlassvizError, match="dyn/Dense_0/bias has values up to 1e\\+06"):
        save(tmp_path / "x.safetensors", SMALL, params, {}, dtype="float16")
    assert not list(tmp_path.iterdir())


def test_parameters_that_do_not_fit_are_never_written(tmp_path: Path) -> None:
    target = tmp_path / "x.safetensors"
    save(target, SMALL, own_params(), {})
    before = target.read_bytes()
    broken = own_params()
    broken["pi"]["Dense_1"]["kernel"][0, 0] = np.inf
    with pytest.raises(GlassvizError, match="pi/Dense_1/kernel has 1 of 144 values"):
        save(target, SMALL, broken, {})
    with pytest.raises(GlassvizError, match="glass/assign_logits"):
        save(target, SMALL.replace(glass=None), own_params(), {})
    assert target.read_bytes() == before
    assert [path.name for path in tmp_path.iterdir()] == ["x.safetensors"]


def test_a_file_that_cannot_be_written_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(GlassvizError, match="cannot be written"):
        save(tmp_path / "file" / "x.safetensors", SMALL, own_params(), {})


def test_others_may_read_what_was_saved(tmp_path: Path) -> None:
    save(tmp_path / "x.safetensors", SMALL, own_params(), {})
    (tmp_path / "plain").touch()
    modes = {stat.S_IMODE(path.stat().st_mode) for path in tmp_path.iterdir()}
    assert len(modes) == 1


# -- broken files


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"format": None}, "without its header"),
        ({"format": "pt"}, "without its header"),
        ({"format_version": None}, "expected format version 1, found none"),
        ({"format_version": "2"}, "expected format version 1, found 2: update glassviz"),
        ({"config": None}, "header entry 'config' is missing"),
        ({"config": "{"}, "header entry 'config' is missing or damaged"),
        ({"config": "[]"}, "header entry 'config' is missing or damaged, expected a JSON object"),
        ({"config": "[" * 100_000}, "header entry 'config'"),
        ({"config": '{"colour": 1}'}, "colour"),
        ({"provenance": "[" * 400 + "]" * 400}, "header entry 'provenance'"),
        ({"provenance": '{"a":' * 400 + "1" + "}" * 400}, "header entry 'provenance'"),
        ({"provenance": "9" * 5000}, "header entry 'provenance'"),
        ({"assumptions": "{}"}, "header entry 'assumptions' .* expected a JSON list"),
    ],
)
def test_a_wrong_header_is_told_in_one_sentence(
    changes: dict[str, str | None], message: str
) -> None:
    with pytest.raises(GlassvizError, match=message):
        read(stored(good_leaves(), metadata(**changes)))


def test_a_safetensors_file_of_another_program_is_told_apart() -> None:
    with pytest.raises(GlassvizError, match="written by another program"):
        read(stored({"weight": np.zeros(3, np.float32)}, None))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"latent_dim": 0}, "latent_dim"),
        ({"simnorm_group": 0}, "simnorm_group"),
        ({"num_q": 0}, "num_q"),
        ({"num_q": 10**6}, "Q heads"),
        ({"obs_dim": 10**12}, "obs_dim"),
        ({"obs_dim": -1}, "obs_dim"),
        ({"encoder_widths": [12] * 1000}, "layers"),
        ({"encoder_widths": [12, 0]}, "narrowest layer"),
        ({"layer_norm_eps": float("nan")}, "layer_norm_eps"),
        ({"layer_norm_eps": 1e308}, "layer_norm_eps"),
        ({"layer_norm_eps": 1e-300}, "layer_norm_eps"),
        ({"bin_min": 30.0}, "bin_max - bin_min"),
        ({"num_bins": "101"}, "num_bins"),
        ({"glass": {"proto_temperature": 0.0}}, "proto_temperature"),
        ({"planner": {"samples": 8}}, r"agent\.safetensors: .*expected fewer policy trajectories"),
        ({"planner": {"samples": 0}}, r"planner.samples.* equal to 1, found 0: no agent runs"),
        ({"planner": {"samples": 2**20}}, "planner.samples.*65536, found 1048576"),
        ({"planner": {"elites": 600}}, "at most as many elites as samples"),
        ({"planner": {"elites": 0}}, "planner.elites"),
        ({"planner": {"horizon": 2**20}}, "planner.horizon"),
        ({"planner": {"horizon": 0}}, "planner.horizon"),
        ({"planner": {"iterations": 2**20}}, "planner.iterations"),
        ({"planner": {"iterations": 0}}, "planner.iterations"),
        ({"planner": {"policy_trajectories": -1}}, "planner.policy_trajectories"),
        ({"planner": {"max_std": -1.0}}, "planner.max_std"),
        ({"env": {"episode_steps": 0}}, "env.episode_steps"),
        ({"env": {"episode_steps": 2**20}}, "env.episode_steps"),
        ({"env": {"action_repeat": 0}}, "env.action_repeat"),
        ({"env": {"action_repeat": 2**20}}, "env.action_repeat"),
        ({"obs_dim": "\x1b[31m" * 10_000}, "obs_dim"),
        ({"latent_dim": 24, "simnorm_group": 5}, "divisible by the SimNorm group"),
    ],
)
def test_an_impossible_configuration_is_told_in_one_sentence(
    changes: dict[str, Any], message: str
) -> None:
    config = json.dumps(SMALL.to_dict() | changes)
    with pytest.raises(GlassvizError, match=message) as caught:
        read(stored(good_leaves(), metadata(config=config)))
    assert len(str(caught.value)) < 400 and str(caught.value).isprintable()


def test_what_could_not_be_read_back_is_not_written(tmp_path: Path) -> None:
    config = SMALL.replace(env=EnvConfig(episode_steps=0))
    with pytest.raises(GlassvizError, match=r"env\.episode_steps is not usable"):
        save(tmp_path / "x.safetensors", config, own_params(), {})
    assert not (tmp_path / "x.safetensors").exists()


def test_the_largest_real_agents_are_within_bounds() -> None:
    planner = PlannerConfig(variant="tdmpc2", samples=2048, iterations=12, horizon=5)
    large = tdmpc2_config(
        latent_dim=1376,
        encoder_widths=(1792,) * 5,
        hidden_widths=(4096,) * 2,
        num_q=8,
        planner=planner,
        env=EnvConfig(action_repeat=8, episode_steps=5000),
    )
    check_config("x", large)


def test_a_missing_an_unexpected_and_a_misshapen_leaf_are_named() -> None:
    missing, extra, misshapen = good_leaves(), good_leaves(), good_leaves()
    del missing["q/Dense_1/bias"]
    extra["q/Dense_9/bias"] = np.zeros(2, np.float32)
    misshapen["dyn/Dense_2/kernel"] = np.zeros((12, 15), np.float32)
    for leaves, message in (
        (missing, r"leaf q/Dense_1/bias is missing, expected shape \(2, 12\)"),
        (extra, r"leaf q/Dense_9/bias of shape \(2,\) is unexpected"),
        (misshapen, r"dyn/Dense_2/kernel has shape \(12, 15\), expected \(12, 16\)"),
    ):
        with pytest.raises(GlassvizError, match=message):
            read(stored(leaves, metadata()))


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_weights_that_are_not_finite_are_refused(value: float) -> None:
    leaves = good_leaves()
    leaves["enc/LayerNorm_0/scale"][2] = value
    with pytest.raises(GlassvizError, match="enc/LayerNorm_0/scale has 1 of 12 values"):
        read(stored(leaves, metadata()))


@pytest.mark.parametrize(
    "leaf", [np.zeros(12), np.zeros(12, np.int32), np.zeros((1,) * 40, np.float32)]
)
def test_leaves_of_other_types_are_refused(leaf: np.ndarray) -> None:
    with pytest.raises(GlassvizError, match=r"enc/Dense_0/bias is stored as .* expected F32"):
        read(stored(good_leaves() | {"enc/Dense_0/bias": leaf}, metadata()))


@pytest.mark.parametrize("kept", [9, 100, 0.3, 0.9, -1])
def test_a_file_that_is_cut_short_is_refused(kept: float) -> None:
    data = stored(good_leaves(), metadata())
    end = int(kept * len(data)) if isinstance(kept, float) else kept
    with pytest.raises(GlassvizError, match="damaged or truncated"):
        read(data[:end])


def test_a_header_that_claims_more_than_the_file_is_refused() -> None:
    for length in (1 << 40, (1 << 63) + 5):
        with pytest.raises(GlassvizError, match="damaged or truncated"):
            read(struct.pack("<Q", length) + b'{"a":1}')


GOOD = stored(good_leaves(), metadata())


@given(
    edits=st.lists(st.tuples(st.integers(0, 1 << 20), st.integers(0, 255)), max_size=6),
    cut=st.none() | st.tuples(st.integers(0, 1 << 20), st.integers(0, 40)),
    in_header=st.booleans(),
)
def test_random_damage_gives_an_agent_or_one_sentence(
    edits: list[tuple[int, int]], cut: tuple[int, int] | None, in_header: bool
) -> None:
    data = bytearray(GOOD)
    reach = struct.unpack_from("<Q", GOOD)[0] + 8 if in_header else len(data)
    for place, byte in edits:
        data[place % reach] = byte
    if cut:
        place = cut[0] % reach
        del data[place : place + cut[1]]
    try:
        checkpoint = read(bytes(data))
    except GlassvizError as error:
        assert str(error).isprintable()
    else:
        assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(checkpoint.params))


def test_strings_of_the_header_and_the_name_are_printable(tmp_path: Path) -> None:
    save(
        tmp_path / "red\x1b[31m.safetensors",
        SMALL.replace(no_planner="no\x1b[2J"),
        own_params(),
        {"recipe": "1b\x1b]0;owned\x07", "no\x07te": ["\u202e"]},
        assumptions=["line\nbreak"],
    )
    checkpoint = load(tmp_path / "red\x1b[31m.safetensors")
    assert checkpoint.name == "red?[31m"
    assert checkpoint.config.no_planner == "no?[2J"
    assert checkpoint.provenance == {"recipe": "1b?]0;owned?", "no?te": ["?"]}
    assert checkpoint.assumptions == ("line?break",)


# -- conversion


def test_a_published_file_becomes_a_native_one_with_nothing_lost_that_runs_it(
    tmp_path: Path,
) -> None:
    source = write(tmp_path / "best_mppi.pkl", payload())
    convert(source, tmp_path / "best.safetensors")
    before, after = load(source), load(tmp_path / "best.safetensors")
    jax.tree.map(np.testing.assert_array_equal, after.params, before.params)
    assert after.config == before.config
    assert after.assumptions == before.assumptions
    assert after.provenance == before.provenance
    assert after.provenance["source"]["sha256"] == before.sha256
    assert after.format != before.format


def test_converting_to_half_precision_says_so_in_the_file(tmp_path: Path) -> None:
    source = write(tmp_path / "best_mppi.pkl", payload())
    written = convert(source, tmp_path / "half.safetensors", half=True)
    assert "parameters were rounded to half precision" in written.provenance["losses"]


def test_provenance_of_any_shape_is_converted(tmp_path: Path) -> None:
    save(tmp_path / "odd.safetensors", SMALL, own_params(), {"losses": 7, "returns": None})
    written = convert(tmp_path / "odd.safetensors", tmp_path / "half.safetensors", half=True)
    assert written.provenance["losses"] == ["parameters were rounded to half precision"]


def test_converting_replaces_nothing_unless_asked_to(tmp_path: Path) -> None:
    source = write(tmp_path / "best_mppi.pkl", payload())
    target = tmp_path / "best.safetensors"
    target.write_text("precious")
    with pytest.raises(GlassvizError, match=r"already exists.*--overwrite"):
        convert(source, target)
    assert target.read_text() == "precious"
    convert(source, target, overwrite=True)
    assert load(target).config == load(source).config


def test_converting_wants_the_suffix_that_other_tools_go_by(tmp_path: Path) -> None:
    source = write(tmp_path / "best_mppi.pkl", payload())
    with pytest.raises(UsageError, match=r"ends in \.safetensors"):
        convert(source, tmp_path / "best.pkl")


def test_an_unreadable_source_leaves_the_target_alone(tmp_path: Path) -> None:
    (tmp_path / "bad.pkl").write_bytes(b"\x80\x04N.")
    target = tmp_path / "best.safetensors"
    target.write_text("precious")
    with pytest.raises(GlassvizError):
        convert(tmp_path / "bad.pkl", target, overwrite=True)
    assert target.read_text() == "precious"


def test_clusters_and_super_clusters_survive(tmp_path: Path) -> None:
    config = SMALL.replace(glass=GlassConfig(prototypes=8, clusters=4, super_clusters=2))
    save(tmp_path / "x.safetensors", config, own_params(config), {})
    assert load(tmp_path / "x.safetensors").config.glass == config.glass
