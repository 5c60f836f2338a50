"""The published pickle layout: every variant becomes the right agent, or says why not."""

import argparse
import collections
import dataclasses
import datetime
import decimal
import enum
import fractions
import pickle
import sys
import types
import uuid
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import ml_dtypes
import numpy as np
import pytest
from flax.core import freeze

from glassviz.agents import networks
from glassviz.agents.config import AgentConfig, GlassConfig
from glassviz.checkpoints import Checkpoint, formats, load, summarise
from glassviz.checkpoints.unpickler import read_pickle
from glassviz.errors import GlassvizError
from tests.helpers.published_files import GLASS_SETTINGS, SMALL, own_params, payload, write

MEGABYTE = 1 << 20


def assert_same_tree(found: Any, expected: Any) -> None:
    jax.tree.map(np.testing.assert_array_equal, found, expected)


def load_payload(tmp_path: Path, content: Any) -> Checkpoint:
    return load(write(tmp_path / "best_mppi.pkl", content))


def with_glass(**changes: Any) -> AgentConfig:
    glass = GlassConfig(
        prototypes=8, clusters=4, proto_temperature=0.5, assignment_temperature=0.25
    )
    return SMALL.replace(glass=GlassConfig(**(vars(glass) | changes)))


# -- what a good file becomes


@pytest.mark.parametrize("protocol", range(6))
def test_every_pickle_protocol_gives_the_parameters_bit_for_bit(
    tmp_path: Path, protocol: int
) -> None:
    checkpoint = load(write(tmp_path / "best_mppi.pkl", payload(), protocol))
    assert_same_tree(checkpoint.params, own_params())
    assert all(leaf.dtype == np.float32 for leaf in jax.tree.leaves(checkpoint.params))


def test_the_configuration_follows_from_shapes_and_glass_settings(tmp_path: Path) -> None:
    checkpoint = load_payload(tmp_path, payload())
    assert checkpoint.config == with_glass().replace(
        env=SMALL.env.__class__(task="hopper-hop", physics="playground")
    )
    assert checkpoint.name == "best_mppi"


def test_provenance_tells_the_run_and_what_was_left_behind(tmp_path: Path) -> None:
    checkpoint = load_payload(tmp_path, payload())
    provenance = checkpoint.provenance
    assert provenance["seed"] == 3
    assert provenance["env_steps"] == 250_000
    assert provenance["returns"]["pi"] == {"mean": 120.5, "episodes": 5}
    assert provenance["returns"]["mppi"] == {"mean": 131.25, "episodes": 8}
    assert provenance["source"]["sha256"] == checkpoint.sha256
    assert "opt_state" in provenance["losses"][0]


def test_what_the_file_does_not_say_is_assumed_in_so_many_words(tmp_path: Path) -> None:
    assumed = " ".join(load_payload(tmp_path, payload()).assumptions)
    for word in ("horizon 3", "512 samples", "playground", "action repeat 1", "5 (pi)"):
        assert word in assumed
    assert "task" not in assumed
    without_env = " ".join(load_payload(tmp_path, payload(env_id=None)).assumptions)
    assert "the task is hopper-hop" in without_env


def test_latents_equal_those_of_the_original_tree_under_flax(tmp_path: Path) -> None:
    class Encoder(nn.Module):
        """The encoder as FORMATS describes it, written apart from the package's own."""

        @nn.compact
        def __call__(self, x: jax.Array) -> jax.Array:
            for _ in range(2):
                x = nn.silu(nn.LayerNorm(epsilon=1e-6)(nn.Dense(12)(x)))
            x = nn.Dense(16)(x).reshape(*x.shape[:-1], 8, 2)
            return nn.softmax(x, axis=-1).reshape(*x.shape[:-2], 16)

    content = payload()
    obs = jax.random.normal(jax.random.key(5), (7, 15))
    original = {"params": content["params"]["enc"]["params"]["NormMLP_0"]}
    checkpoint = load_payload(tmp_path, content)
    z = networks.encode(checkpoint.config, checkpoint.params, obs)
    np.testing.assert_allclose(z, Encoder().apply(original, obs), rtol=0, atol=1e-6)


# -- variants


def test_an_agent_without_glass_has_no_glass(tmp_path: Path) -> None:
    config = SMALL.replace(glass=None)
    checkpoint = load_payload(tmp_path, payload(config))
    assert checkpoint.config.glass is None
    assert checkpoint.config.family == "glass", "its networks are those of this layout"
    assert checkpoint.provenance["returns"]["mppi"]["episodes"] == 3
    assert_same_tree(checkpoint.params, own_params(config))


@pytest.mark.parametrize(("prototypes", "clusters"), [(8, 2), (16, 8), (32, 4)])
def test_prototypes_and_clusters_are_read_from_the_shapes(
    tmp_path: Path, prototypes: int, clusters: int
) -> None:
    config = with_glass(prototypes=prototypes, clusters=clusters)
    assert load_payload(tmp_path, payload(config)).config.glass == config.glass


def test_files_without_use_cosine_assign_assign_by_l2_distance(tmp_path: Path) -> None:
    settings = {k: v for k, v in GLASS_SETTINGS.items() if k != "use_cosine_assign"}
    checkpoint = load_payload(tmp_path, payload(glass_config=settings))
    assert checkpoint.config.glass is not None
    assert checkpoint.config.glass.similarity == "l2"
    assert any("L2" in sentence for sentence in checkpoint.assumptions)


def test_a_missing_temperature_is_assumed_and_said(tmp_path: Path) -> None:
    checkpoint = load_payload(tmp_path, payload(glass_config={"use_cosine_assign": True}))
    assert checkpoint.config.glass is not None
    assert checkpoint.config.glass.proto_temperature == 1.0
    assert any("proto_temperature" in sentence for sentence in checkpoint.assumptions)


def test_glass_that_was_switched_off_in_training_gives_no_labels(tmp_path: Path) -> None:
    content = payload(glass_config=GLASS_SETTINGS | {"enabled": False})
    checkpoint = load_payload(tmp_path, content)
    assert checkpoint.config.glass is None
    assert "glass/prototypes" in checkpoint.provenance["ignored_leaves"]
    assert "glass" not in checkpoint.params


def test_super_clusters_of_hierarchical_agents_are_kept(tmp_path: Path) -> None:
    config = with_glass(super_clusters=2)
    checkpoint = load_payload(tmp_path, payload(config))
    assert checkpoint.config.glass == config.glass
    assert checkpoint.params["glass"]["super_assign_logits"].shape == (4, 2)


def test_cluster_as_observation_is_seen_in_the_policys_inputs(tmp_path: Path) -> None:
    config = with_glass(cluster_obs=True)
    checkpoint = load_payload(tmp_path, payload(config))
    assert checkpoint.config.glass == config.glass
    assert checkpoint.config.value_input_dim == 20


@pytest.mark.parametrize("heads", [1, 2, 5])
def test_any_number_of_q_heads_is_stacked_in_order(tmp_path: Path, heads: int) -> None:
    config = SMALL.replace(num_q=heads)
    checkpoint = load_payload(tmp_path, payload(config))
    assert checkpoint.config.num_q == heads
    assert_same_tree(checkpoint.params["q"], own_params(config)["q"])


def test_leaves_of_behavioural_and_prototype_planner_agents_are_named_and_ignored(
    tmp_path: Path,
) -> None:
    content = payload()
    content["params"]["glass"] |= {
        "proto_reward": np.zeros(8, np.float32),
        "pdyn_W1": np.zeros((3, 3), np.float32),
    }
    checkpoint = load_payload(tmp_path, content)
    assert checkpoint.provenance["ignored_leaves"] == ["glass/proto_reward", "glass/pdyn_W1"]
    assert checkpoint.config.glass is not None


def test_jumpy_agents_load_and_say_why_they_are_not_planned_with(tmp_path: Path) -> None:
    content = payload()
    content["params"]["jdyn"] = content["params"]["jrew"] = content["params"]["dyn"]
    checkpoint = load_payload(tmp_path, content)
    assert "jdyn and jrew" in checkpoint.config.no_planner
    assert checkpoint.provenance["ignored_leaves"] == ["jdyn", "jrew"]


@pytest.mark.parametrize("module", ["ResGatedMLP_0", "GroupAttn_0"])
def test_residual_and_attention_networks_are_refused_by_name(tmp_path: Path, module: str) -> None:
    content = payload()
    content["params"]["dyn"]["params"] = {module: content["params"]["dyn"]["params"]["NormMLP_0"]}
    with pytest.raises(GlassvizError, match=f"'dyn' has a module {module}"):
        load_payload(tmp_path, content)


def test_jax_arrays_and_frozen_dicts_are_read(tmp_path: Path) -> None:
    content = payload()
    content["params"] = freeze(jax.tree.map(jnp.asarray, content["params"]))
    assert_same_tree(load_payload(tmp_path, content).params, own_params())


def test_numpy_1_names_its_modules_otherwise_and_is_read(tmp_path: Path) -> None:
    modern = pickle.dumps(payload(), 2)
    old = modern.replace(b"numpy._core.", b"numpy.core.")
    assert old != modern
    path = tmp_path / "old.pkl"
    path.write_bytes(old)
    assert_same_tree(load(path).params, own_params())


def test_double_precision_is_rounded_and_said(tmp_path: Path) -> None:
    content = payload()
    content["params"] = jax.tree.map(lambda leaf: leaf.astype(np.float64), content["params"])
    checkpoint = load_payload(tmp_path, content)
    assert_same_tree(checkpoint.params, own_params())
    assert any("double precision" in loss for loss in checkpoint.provenance["losses"])


@pytest.mark.parametrize("layout", ["F", ">f4", "strided"])
def test_arrays_in_other_memory_layouts_are_read(tmp_path: Path, layout: str) -> None:
    def laid_out(leaf: np.ndarray) -> np.ndarray:
        if layout == "F":
            return np.asfortranarray(leaf)
        return leaf.astype(layout) if layout == ">f4" else np.repeat(leaf, 2, axis=0)[::2]

    for protocol in (2, 5):
        content = payload()
        content["params"] = jax.tree.map(laid_out, content["params"])
        path = write(tmp_path / "x.pkl", content, protocol)
        assert_same_tree(load(path).params, own_params())


@pytest.mark.parametrize("protocol", [2, 5])
def test_arrays_with_permuted_axes_are_read(protocol: int) -> None:
    array = np.arange(24, dtype=np.float32).reshape(2, 3, 4).transpose(1, 0, 2)
    read, _ = read_pickle(pickle.dumps(array, protocol), "x")
    np.testing.assert_array_equal(read.values, array)


def test_objects_of_simulators_stay_behind_and_their_libraries_unloaded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    brax = types.ModuleType("brax")
    brax.State = type("State", (), {"__module__": "brax"})  # type: ignore[attr-defined]
    state = brax.State()
    state.obs, state.info = np.zeros(3), {"steps", 1}
    with monkeypatch.context() as patched:
        patched.setitem(sys.modules, "brax", brax)
        path = write(tmp_path / "best_mppi_full.pkl", payload(env_state=state))
    assert_same_tree(load(path).params, own_params())
    assert "brax" not in sys.modules


class Colour(enum.Enum):
    """Of a user's own module, which this reader cannot know."""

    RED = "red"


SETTINGS = {
    "argparse.Namespace": argparse.Namespace(seed=1, env="HopperHop"),
    "collections.UserDict": collections.UserDict({"a": 1}),
    "datetime.date": datetime.date(2026, 1, 2),
    "datetime.datetime": datetime.datetime(2026, 1, 2, tzinfo=datetime.UTC),
    "datetime.timedelta": datetime.timedelta(seconds=3),
    "datetime.timezone": datetime.timezone(datetime.timedelta(hours=1)),
    "decimal.Decimal": decimal.Decimal("0.1"),
    "fractions.Fraction": fractions.Fraction(1, 3),
    "pathlib.PosixPath": Path("runs/hop"),
    "pathlib.PurePosixPath": PurePosixPath("runs/hop"),
    "pathlib.PureWindowsPath": PureWindowsPath("runs/hop"),
    "tests.checkpoints.test_published.Colour": Colour.RED,
    "types.SimpleNamespace": types.SimpleNamespace(lr=3e-4),
    "uuid.UUID": uuid.uuid4(),
}


@pytest.mark.parametrize("protocol", range(6))
@pytest.mark.parametrize("kind", sorted(SETTINGS))
def test_settings_beside_the_parameters_are_left_out_and_named(kind: str, protocol: int) -> None:
    data = pickle.dumps(payload(args={"one": SETTINGS[kind], "more": [SETTINGS[kind]]}), protocol)
    checkpoint = formats.read(data, "best_mppi.pkl")
    assert_same_tree(checkpoint.params, own_params())
    assert any(kind in loss for loss in summarise(checkpoint).losses)


@pytest.mark.parametrize(
    "name", ["pathlib._local PosixPath", "pathlib WindowsPath", "zoneinfo ZoneInfo._unpickle"]
)
def test_names_of_other_versions_and_systems_are_known(name: str) -> None:
    call = b"c" + name.replace(" ", "\n").encode() + b"\n(Vhop\ntR."
    placeholder, left_out = read_pickle(call, "x")
    assert left_out == [name.replace(" ", ".").replace("._local", "")] == [placeholder.path]


def test_enum_members_are_known_by_name_too() -> None:
    by_name = b"c__builtin__\ngetattr\n(cmine\nColour\nVRED\ntR."
    assert read_pickle(by_name, "x")[1] == ["mine.Colour.RED"]


@pytest.mark.parametrize("protocol", range(6))
def test_containers_of_the_standard_library_are_plain_ones(protocol: int) -> None:
    containers = {
        "defaultdict": collections.defaultdict(list, {"a": [1]}),
        "Counter": collections.Counter("aab"),
        "deque": collections.deque([1, 2], maxlen=3),
        "OrderedDict": collections.OrderedDict(a=1),
    }
    read, left_out = read_pickle(pickle.dumps(containers, protocol), "x")
    plain = {"defaultdict": {"a": [1]}, "Counter": {"a": 2, "b": 1}, "deque": [1, 2]}
    assert read == plain | {"OrderedDict": {"a": 1}}
    assert left_out == []


@pytest.mark.parametrize("protocol", range(6))
def test_scalars_of_numpy_are_numbers_and_text(protocol: int) -> None:
    scalars = [np.float16(0.5), np.int64(-3), np.bool_(True), np.str_("hop"), np.complex64(1j)]
    scalars += [ml_dtypes.bfloat16(1.5)]
    read, _ = read_pickle(pickle.dumps(scalars, protocol), "x")
    assert read == [0.5, -3, True, "hop", 1j, 1.5]


@pytest.mark.parametrize("protocol", range(6))
def test_random_states_dates_records_and_odd_keys_do_not_keep_an_agent(protocol: int) -> None:
    extras = {
        "generator": np.random.default_rng(1),
        "old": np.random.RandomState(1),
        "tuple": np.random.RandomState(1).get_state(),
        "date": np.datetime64("2026-01-02"),
        "dates": np.array(["2026-01-02"], "M8[D]"),
        "record": np.zeros(2, [("a", "f4")]),
        "text": np.array(["a", "b"]),
        "odd": {("a", 1): 2, 0.5: 1, Colour.RED: 3, "k" * 2000: 4},
    }
    data = pickle.dumps(payload(extras=extras), protocol)
    assert_same_tree(formats.read(data, "x.pkl").params, own_params())


@pytest.mark.parametrize("dtype", [ml_dtypes.bfloat16, np.float16])
@pytest.mark.parametrize("library", ["numpy", "jax"])
def test_half_precision_of_either_kind_is_read_exactly(dtype: Any, library: str) -> None:
    as_array = jnp.asarray if library == "jax" else np.asarray
    content = payload()
    content["params"] = jax.tree.map(lambda leaf: as_array(leaf.astype(dtype)), content["params"])
    expected = jax.tree.map(lambda leaf: leaf.astype(dtype).astype(np.float32), own_params())
    for protocol in range(6):
        checkpoint = formats.read(pickle.dumps(content, protocol), "x.pkl")
        assert_same_tree(checkpoint.params, expected)
        assert checkpoint.params["enc"]["Dense_0"]["kernel"].dtype == np.float32


def test_an_object_of_an_unknown_class_is_named_without_an_accusation() -> None:
    @dataclasses.dataclass
    class Settings:
        seed: int = 1

    Settings.__qualname__ = "Settings"
    globals()["Settings"] = Settings
    for protocol in range(6):
        data = pickle.dumps(payload(args=Settings()), protocol)
        with pytest.raises(GlassvizError) as caught:
            formats.read(data, "x.pkl")
        message = str(caught.value)
        assert "an object of tests.checkpoints.test_published.Settings, which this" in message
        assert "save the parameters alone" in message and "trust" not in message


# -- what does not fit


def test_a_wrong_shape_names_leaf_shape_expected_and_shape_found(tmp_path: Path) -> None:
    content = payload()
    content["params"]["rew"]["params"]["NormMLP_0"]["Dense_1"]["kernel"] = np.zeros(
        (12, 10), np.float32
    )
    expected = r"rew/Dense_1/kernel has shape \(12, 10\), expected \(12, 12\)"
    with pytest.raises(GlassvizError, match=expected):
        load_payload(tmp_path, content)


def test_weights_that_are_not_finite_are_counted_and_named(tmp_path: Path) -> None:
    content = payload()
    content["params"]["pi"]["params"]["NormMLP_0"]["Dense_0"]["bias"][:3] = np.nan
    with pytest.raises(GlassvizError, match="pi/Dense_0/bias has 3 of 12 values"):
        load_payload(tmp_path, content)


@pytest.mark.parametrize("net", ["enc", "dyn", "rew", "q", "pi"])
def test_a_missing_network_is_named(tmp_path: Path, net: str) -> None:
    content = payload()
    del content["params"][net]
    with pytest.raises(GlassvizError, match=f"network '{net}' is missing"):
        load_payload(tmp_path, content)


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("enc/params/NormMLP_0/Dense_0", "leaf enc/Dense_0/kernel is missing"),
        ("q/params/NormMLP_0", "has a module NormMLP_1, expected NormMLP_0"),
        ("q/params/NormMLP_1/Dense_2", "NormMLP_1 has other shapes"),
        ("dyn/params/NormMLP_0/LayerNorm_1/scale", "leaf dyn/LayerNorm_1/scale is missing"),
        ("glass/prototypes", "leaf glass/prototypes is missing"),
        ("glass/assign_logits", "leaf glass/assign_logits is missing"),
    ],
)
def test_a_missing_branch_is_named(tmp_path: Path, path: str, message: str) -> None:
    content = payload()
    *parents, last = path.split("/")
    branch = content["params"]
    for key in parents:
        branch = branch[key]
    del branch[last]
    with pytest.raises(GlassvizError, match=message):
        load_payload(tmp_path, content)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"env_id": "CheetahRun"}, "env_id is CheetahRun"),
        ({"env_id": [["deep"]]}, "env_id"),
        ({"glass_config": {"proto_temperature": 0.0}}, "proto_temperature"),
        ({"glass_config": {"assignment_temperature": "hot"}}, "assignment_temperature"),
    ],
)
def test_unusable_settings_are_named(tmp_path: Path, changes: dict[str, Any], message: str) -> None:
    with pytest.raises(GlassvizError, match=message):
        load_payload(tmp_path, payload(**changes))
