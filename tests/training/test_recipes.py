"""Recipes and settings: each is what it was published as, and changes just what it names."""

import dataclasses
import json
import os
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pytest

from glassviz.agents.config import tdmpc2_config
from glassviz.errors import UsageError
from glassviz.training import recipes
from glassviz.training.collection import Replay
from glassviz.training.config import SETTINGS, TrainConfig, apply, preset
from tests.helpers.commands import invoke

PHASES = [
    "1b",
    "1c",
    "2",
    "d_v1",
    "d_v2",
    "e",
    "f",
    "g",
    "h",
    "i",
    "j",
    "k",
    "l",
    "m",
    "n",
    "o",
    "p",
    "t",
    "v",
    "x",
    "y",
    "P",
    "Pa",
    "z",
    "q_knee",
    "r1_soft",
    "r2_gait",
    "rstack",
    "aa_k64",
    "aa_k128",
    "aa_k256",
    "ab",
    "ac",
    "ad",
    "ar",
    "g2",
    "i9r",
]


def test_every_published_phase_is_a_recipe():
    assert recipes.names("phase") == PHASES


@pytest.mark.parametrize("name", recipes.names())
def test_every_recipe_describes_a_run(name):
    found = recipes.recipe(name)
    assert found.what
    if found.kind == "proposal":
        train = recipes.configure("1b", additions=[name])
    else:
        train = recipes.configure(name)
        assert train.algo == found.algo
    for setting, value in found.settings.items():
        expected = tuple(value) if isinstance(value, list) else value
        assert SETTINGS[setting].of(train) == expected


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("h", {"latent_action_smooth_coef": 1e-3, "consistency_coef": 1.0, "lambda_se": 5e-3}),
        ("j", {"latent_smooth_warmup_steps": 250_000, "proto_temperature": 0.7}),
        ("o", {"glass_off_steps": 2_000_000, "latent_action_smooth_coef": 1e-3}),
        ("y", {"super_clusters": 4, "lambda_super_se": 5e-3, "expl_until": 500_000}),
        ("Pa", {"cluster_intrinsic_coef": 0.1, "cluster_intrinsic_decay_steps": 3_000_000}),
        ("rstack", {"soft_stand_bonus": 0.1, "gait_fall_penalty": 0.1, "proto_temperature": 1.0}),
        ("ar", {"k_update": 128, "restart_on_plateau": True, "mppi_samples": 2048}),
        ("i9r", {"k_update": 128, "expl_until": 25_000, "latent_action_smooth_coef": 0.0}),
        ("i9r", {"proto_temperature": 0.7, "assign_logits_init_scale": 0.5}),
        ("i9r", {"mppi_samples": 2048, "glass_off_steps": 1_000_000}),
    ],
)
def test_recipes_inherit_what_they_do_not_change(name, expected):
    train = recipes.configure(name, "paper")
    assert {setting: SETTINGS[setting].of(train) for setting in expected} == expected


def test_phases_without_glass_have_none():
    for name in ("z", "q_knee", "r1_soft", "r2_gait", "ab", "ad", "ar", "tdmpc2", "official"):
        assert recipes.configure(name).agent.glass is None
    for name in ("rstack", "ac", "g2", "i9r"):
        assert recipes.configure(name).agent.glass is not None


def test_the_official_recipe_has_the_official_networks_and_constants():
    train = recipes.configure("official", "paper")
    official = tdmpc2_config()
    assert train.agent == official
    losses = train.losses
    assert (losses.consistency_coef, losses.reward_coef, losses.value_coef) == (20, 0.1, 0.1)
    assert (losses.entropy_coef, losses.encoder_lr_scale) == (1e-4, 0.3)
    assert train.explore.collect == "mppi"


def another(kind: Any, value: Any) -> Any:
    """A value of a setting's type that differs from `value`."""
    if kind == SETTINGS["freeze"].type:
        return ("enc",)
    for option in get_args(kind):
        if get_args(option):
            return another(option, value)
        if isinstance(option, str) and option != value:
            return option
    if kind is str:
        return "hopper-stand"
    if isinstance(value, bool):
        return not value
    if isinstance(value, int):
        return value + 7
    if isinstance(value, tuple):
        return (7,)
    return 0.25 if value != 0.25 else 0.5


def flat(config: Any, prefix: str = "") -> dict[str, Any]:
    found = {}
    for field in dataclasses.fields(config):
        value, name = getattr(config, field.name), f"{prefix}{field.name}"
        found |= flat(value, f"{name}.") if dataclasses.is_dataclass(value) else {name: value}
    return found


@pytest.mark.parametrize("name", SETTINGS)
def test_a_setting_changes_its_own_field_and_no_other(name):
    base = apply(preset("small"), {"super_clusters": 3, "planner_share": 0.5})
    setting = SETTINGS[name]
    value = another(setting.type, setting.of(base))
    before, after = flat(base), flat(apply(base, {name: value}))
    # An episode lasts as long in control steps.
    follows = {"agent.env.episode_steps"} if name == "action_repeat" else set()
    assert {key for key in after if before[key] != after[key]} == {setting.path} | follows
    assert after[setting.path] == value


@pytest.mark.parametrize(
    ("name", "facts"),
    [
        ("expl_until", "[default: 25000 environment steps; x>=0]"),
        ("demo_fraction", "[default: 0; 0<=x<1]"),
        ("act_noise_end", "[x>=0]"),
        ("stopgrad_graph", "[default: on]"),
        ("knee_threshold_m", "[default: 0.15 m]"),
        ("task", "[default: hopper-hop]"),
    ],
)
def test_the_help_of_a_setting_ends_with_its_default_unit_and_range(name, facts):
    assert SETTINGS[name].help == f"{SETTINGS[name].doc.text}  {facts}"


def test_every_field_of_a_run_is_a_setting_or_is_known_not_to_be():
    fixed = {
        "seed",
        "losses.grad_clip",
        "losses.ema",
        "losses.encoder_lr_scale",
    }
    of_training = {name for name in flat(preset("small")) if not name.startswith("agent.")}
    assert of_training - {setting.path for setting in SETTINGS.values()} == fixed


def test_preset_recipe_additions_and_changes_overrule_one_another_in_this_order():
    assert recipes.configure("f").agent.planner.samples == 256
    assert recipes.configure("x").agent.planner.samples == 2048
    train = recipes.configure("aa_k64", additions=["update_ratio_128"])
    assert train.k_update == 128
    train = recipes.configure("aa_k64", additions=["update_ratio_128"], changes={"k_update": 32})
    assert train.k_update == 32


def test_the_list_of_recipes_says_what_each_starts_from():
    done = invoke("recipes", "--json")
    told = {each["name"]: each["starts_from"] for each in json.loads(done.output)}
    assert (told["1b"], told["i9r"], told["h"]) == ([], ["1b"], ["f", "g"])
    assert all(base in told for bases in told.values() for base in bases)
    table = invoke("recipes", env={"COLUMNS": "200"}).output
    row = next(line for line in table.splitlines() if line.startswith("rstack"))
    assert row.removeprefix("rstack").strip().startswith("r1_soft, r2_gait ")


def test_the_table_of_what_each_recipe_changes_is_of_these_recipes():
    text = (Path(__file__).parents[2] / "docs" / "recipes.md").read_text()
    rows = [line.strip("| ").split(" | ") for line in text.splitlines() if line.startswith("| ")]
    rows = rows[1:]
    assert [row[0] for row in rows] == recipes.names()
    for name, against, changes, _ in rows:
        found = recipes.recipe(name)
        own = ", ".join(f"{key} {value}" for key, value in found.own.items())
        assert changes == (own or "–"), "run python benchmarks/recipes.py again"
        assert against == (found.starts_from or (against,))[0]


def test_a_recipe_of_other_networks_is_not_added():
    for name in ("official", "z"):
        with pytest.raises(UsageError, match=f"found a recipe of other networks .* {name}$"):
            recipes.configure("1b", additions=[name])
    assert recipes.configure("z", additions=["update_ratio_128"]).k_update == 128
    train = recipes.configure("1b", additions=["f"])
    assert train.losses.latent_action_smooth_coef == 1e-3


def test_published_evaluations_have_eight_episodes_of_the_planner_with_glass_and_three_without():
    assert recipes.configure("1b", "paper").eval_episodes_mppi == 8
    assert recipes.configure("z", "paper").eval_episodes_mppi == 3


def test_planner_and_value_discount_alike():
    assert apply(preset("small"), {"discount": 0.9}).agent.planner.discount == 0.9


def test_a_recipe_can_be_trained_without_its_glass():
    train = recipes.configure("n", algo="tdmpc2")
    assert train.agent.glass is None
    assert train.losses.latent_action_smooth_coef == 1e-3


def test_a_recipe_of_the_users_own_starts_from_shipped_ones(tmp_path: Path):
    path = tmp_path / "mine.toml"
    path.write_text('[mine]\nfrom = ["j"]\nwhat = "hotter"\nsettings = { proto_temperature = 2 }\n')
    train = recipes.configure(str(path))
    assert train.agent.glass and train.agent.glass.proto_temperature == 2
    assert train.losses.latent_smooth_warmup_steps == 250_000


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("what", "not a recipe"),
        ("[a]\nwhat = 'x'\ncolour = 1", "not a recipe"),
        ("[a]\nwhat = 'x'\n[b]\nwhat = 'y'", "expected one table with the recipe, found 2"),
        ("[a]\nwhat = 'x'\nfrom = ['a']", "expected a recipe to start from, found 'a' again"),
        ("[a]\nwhat = 'x'\nfrom = ['nowhere']", "expected a recipe to start from"),
        ("[a]\nwhat = 'x'\nsettings = {speed = 1}", "expected settings of a training run"),
        ("[a]\nwhat = 'x'\nsettings = {k_update = 'many'}", "k_update is not usable"),
    ],
)
def test_a_recipe_that_cannot_be_used_is_named(tmp_path: Path, text, message):
    path = tmp_path / "mine.toml"
    path.write_text(text)
    with pytest.raises(UsageError, match=message):
        recipes.configure(str(path))


def test_an_unknown_setting_is_named_in_a_run_without_glass_too(tmp_path: Path):
    path = tmp_path / "mine.toml"
    path.write_text("[mine]\nwhat = 'x'\nalgo = 'tdmpc2'\nsettings = { speed = 1 }\n")
    with pytest.raises(UsageError, match=r"mine\.toml: expected settings .* found 'speed'"):
        recipes.configure(str(path))


def test_a_recipe_that_does_not_exist_is_named_with_those_that_do():
    with pytest.raises(UsageError, match="'q9': expected one of 1b, 1c"):
        recipes.configure("q9")


def test_settings_of_glass_need_glass():
    with pytest.raises(UsageError, match="lambda_se is a setting of Glass"):
        recipes.configure("z", changes={"lambda_se": 0.1})


def test_shaped_recipes_are_those_that_change_the_reward():
    shaped = {
        name
        for name in recipes.names()
        if recipes.recipe(name).kind != "proposal" and recipes.configure(name).shaping.active
    }
    assert shaped == {"t", "P", "Pa", "q_knee", "r1_soft", "r2_gait", "rstack"}
    assert all("shaped" in recipes.recipe(name).what for name in shaped)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"k_update": 0}, "k_update is not usable: .* to 1, found 0"),
        ({"eval_episodes_mppi": 0}, "eval_episodes_mppi is not usable: .* to 1, found 0"),
        ({"eval_episodes_pi": 0}, "eval_episodes_pi is not usable: .* to 1, found 0"),
        (
            {"act_noise_anneal_steps": 0},
            "act_noise_anneal_steps is not usable: .* to 1, found 0",
        ),
        (
            {"glass_every_k_updates": 0},
            "glass_every_k_updates is not usable: .* to 1, found 0",
        ),
        ({"cluster_intrinsic_window": 0}, "cluster_intrinsic_window is not usable"),
        ({"restart_check_at": 0}, "restart_check_at is not usable: .* to 1, found 0"),
        ({"demo_fraction": 1.0}, "demo_fraction is not usable: .* less than 1, found 1"),
        ({"learning_rate": float("nan")}, "learning_rate is not usable: .* found nan"),
        ({"consistency_coef": float("inf")}, "consistency_coef is not usable: .* found inf"),
        ({"demo_bc_decay_steps": -1}, "demo_bc_decay_steps is not usable: .* found -1"),
        ({"upright_resets": 1.5}, "upright_resets is not usable: .* found 1.5"),
        ({"act_noise_end": -0.1}, "act_noise_end is not usable: .* found -0.1"),
        ({"proto_temperature": 0}, "proto_temperature is not usable: .* found 0"),
        ({"q_reset_steps": [5, -5]}, "q_reset_steps is not usable"),
        ({"lambda_super_se": 0.1}, "need a second level, found super_clusters 0"),
        ({"basin_restart": "prototypes", "glass_clusters": 3}, "found glass_clusters 3"),
        ({"basin_check_at": 0}, "basin_check_at is not usable"),
        ({"multitask": True, "num_envs": 3}, "even num_envs"),
        ({"multitask": True, "demo_fraction": 0.5}, "demonstrations are of one task"),
        ({"soft_stand_floor_m": 0.6}, r"soft_stand_floor_m must be below 0\.6"),
        ({"collect_episode_steps": 3}, "more than the 3 steps of a sequence, found 3"),
        ({"collect_episode_steps": 4, "mppi_horizon": 5}, "the 5 steps of a sequence, found 4"),
        ({"num_envs": 10, "buffer_steps": 60}, "more than 6 steps of each of the 10 bodies"),
    ],
    ids=lambda value: "+".join(value) if isinstance(value, dict) else "",
)
def test_impossible_runs_are_refused_in_one_sentence(changes, message):
    with pytest.raises(UsageError, match=f"^training: .*{message}"):
        recipes.configure("1b", changes=changes)


@pytest.mark.parametrize("seed", [-1, 2**31])
def test_a_seed_that_does_not_fit_is_refused(seed):
    with pytest.raises(UsageError, match=f"training: seed is not usable: .* found {seed}"):
        dataclasses.replace(preset("small"), seed=seed)


def test_the_least_lengths_that_are_allowed_can_be_sampled(rng):
    changes = {"collect_episode_steps": 4, "num_envs": 2, "buffer_steps": 14}
    train = recipes.configure("1b", changes=changes)
    replay = Replay(train.buffer_steps // train.num_envs, train.num_envs, 15, 4)
    shown = np.zeros((2, 15), np.float32), np.zeros((2, 4), np.float32), np.zeros(2, np.float32)
    for step in range(40):
        replay.add(*shown, first=np.full(2, step % 4 == 0))
        if len(replay) > train.sequence_steps:
            replay.sample(rng, 1, 4, train.sequence_steps)  # would never return


@pytest.mark.parametrize(
    ("name", "changes", "setting"),
    [
        ("P", {}, "cluster_intrinsic_coef"),
        ("1b", {"basin_restart": "prototypes"}, "basin_restart prototypes"),
    ],
)
def test_what_needs_the_labels_of_glass_is_refused_without_it(name, changes, setting):
    recipes.configure(name, changes=changes)
    with pytest.raises(UsageError, match=f"{setting} needs the labels of Glass"):
        recipes.configure(name, changes=changes, algo="tdmpc2")


def test_settings_are_judged_together_and_not_one_by_one():
    train = recipes.configure("P", changes={"cluster_intrinsic_coef": 0.0}, algo="tdmpc2")
    assert train.agent.glass is None
    longer = {"mppi_horizon": 5, "collect_episode_steps": 6}
    for order in (longer, dict(reversed(longer.items()))):
        train = apply(preset("small"), order)
        assert train.sequence_steps == 5


def test_a_run_made_without_recipes_is_checked_as_well():
    losses = dataclasses.replace(preset("small").losses, learning_rate=0.0)
    with pytest.raises(UsageError, match=r"^training: losses\.learning_rate is not usable"):
        preset("small", losses=losses)


def test_presets_are_the_published_and_the_small_agent():
    paper, small = preset("paper"), preset("small")
    assert (paper.agent.latent_dim, paper.batch_size, paper.agent.simnorm_group) == (512, 256, 64)
    assert (small.agent.latent_dim, small.batch_size) == (128, 128)
    assert paper.k_update / paper.num_envs == small.k_update / small.num_envs == 0.25
    assert isinstance(paper, TrainConfig) and preset("paper", "tdmpc2").agent.glass is None


@pytest.mark.parametrize(
    "text",
    [
        "a = " + "[" * 5000,
        "[" + ".".join("a" * 3000) + "]\nwhat = 'x'",
        "[]",
        "x = 1",
        "",
        "[mine]\nwhat = 3",
        "[mine]\nwhat = 'x'\nfrom = 3",
        "[mine]\nwhat = 'x'\nsettings = 3",
        "[mine]\nwhat = 'x'\nsettings.learning_rate = 1979-05-27",
        "[mine]\nwhat = 'x'\nsettings.learning_rate = nan",
        "[mine]\nwhat = 'x'\nsettings.steps = [1]",
        "[mine]\nwhat = 'x'\nfrom = ['mine']",
        "\0",
    ],
)
def test_a_recipe_that_is_none_is_one_sentence(text, tmp_path):
    (tmp_path / "mine.toml").write_text(text)
    with pytest.raises(UsageError) as raised:
        recipes.configure(str(tmp_path / "mine.toml"))
    assert "\n" not in str(raised.value) and len(str(raised.value)) < 500


def test_a_recipe_that_is_no_file_is_one_sentence(tmp_path):
    os.mkfifo(tmp_path / "pipe.toml")
    (tmp_path / "large.toml").write_bytes(b"#" * 2_000_000)
    for name, found in (("pipe", "a named pipe"), ("large", "at most"), ("none", "no such file")):
        with pytest.raises(UsageError, match=found):
            recipes.recipe(str(tmp_path / f"{name}.toml"))
