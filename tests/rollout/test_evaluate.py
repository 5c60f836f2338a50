"""Evaluations: the same episodes as roll-outs, diagnostics by hand, the command."""

import csv
import io
import itertools
import json
import re
from pathlib import Path

import jax
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import tests.helpers.tiny as tiny
from glassviz import checkpoints
from glassviz.agents.config import EnvConfig
from glassviz.agents.networks import init_params, map_stacked, stack
from glassviz.envs.hopper import HopperBatch
from glassviz.errors import GlassvizError
from glassviz.rollout.batch import Failed, Listener
from glassviz.rollout.evaluate import (
    EVAL_SEED,
    FRESH_SEED,
    Evaluation,
    Fresh,
    Recorded,
    better_controllers,
    evaluate,
    recorded_in,
    reevaluate,
    summarise,
)
from glassviz.rollout.rollout import reset_seeds, roll_out
from tests.helpers.commands import invoke

EPISODES = {"mppi": 2, "pi": 3}
SEED = 0
# Untrained agents earn something for standing, nothing for hopping.
AGENT = tiny.AGENT.replace(env=EnvConfig(task="hopper-stand", episode_steps=40))
UNPLANNABLE = AGENT.replace(no_planner="its dynamics are jumpy")


@pytest.fixture(scope="module")
def agents():
    return [telling_apart(init_params(AGENT, jax.random.key(i)), i) for i in range(3)]


def telling_apart(params, seed: int):
    """An agent that expects something: to a new one all plans are equally good."""
    last = params["rew"]["Dense_1"]
    kernel = jax.random.normal(jax.random.key(seed), last["kernel"].shape)
    return params | {"rew": params["rew"] | {"Dense_1": last | {"kernel": kernel}}}


@pytest.fixture(scope="module")
def evaluations(agents):
    return evaluate(AGENT, agents, EPISODES, SEED, env_steps=700)


@pytest.mark.skipif(jax.default_backend() != "cpu", reason="elsewhere a batch rounds otherwise")
def test_an_evaluation_is_to_the_last_bit_what_each_agent_and_controller_does_alone(
    agents, evaluations
):
    for params, found in zip(agents, evaluations, strict=True):
        for controller, count in EPISODES.items():
            env = HopperBatch(AGENT.env, count)
            [alone] = roll_out(AGENT, [params], controller, env, SEED, AGENT.env.episode_steps)
            assert found[controller].returns == tuple(alone["reward"].sum(axis=1).tolist())
    returns = {found[controller].returns for found in evaluations for controller in EPISODES}
    assert len(returns) == 6, "agents that do the same cannot show a mix-up"


@pytest.mark.skipif(jax.default_backend() != "cpu", reason="elsewhere a batch rounds otherwise")
def test_agents_rolled_out_together_do_to_the_last_bit_what_each_does_alone(agents):
    def run(trees):
        env = HopperBatch(AGENT.env, 2 * len(trees))
        return roll_out(AGENT, trees, "mppi", env, seed=2, steps=6)

    for together, params in zip(run(agents), agents, strict=True):
        [alone] = run([params])
        assert all(np.array_equal(together[name], alone[name]) for name in alone)


def test_controllers_and_agents_meet_the_same_resets_and_the_steps_are_kept(evaluations):
    for found in evaluations:
        assert list(found) == list(EPISODES)
        for controller, result in found.items():
            assert result.controller == controller
            assert result.env_steps == 700
            assert list(result.reset_seeds) == reset_seeds(SEED, EPISODES[controller])
            assert len(result.returns) == EPISODES[controller]


def test_a_controller_without_episodes_is_left_out(agents):
    [found] = evaluate(AGENT, agents[:1], {"mppi": 0, "pi": 1}, seed=0)
    assert list(found) == ["pi"]
    assert evaluate(AGENT, agents[:2], {"pi": 0}, seed=0) == [{}, {}]


def test_progress_counts_every_decision(agents):
    seen: list[int] = []
    evaluate(AGENT, agents[:1], {"pi": 1}, seed=0, on_step=seen.append)
    assert seen == list(range(1, AGENT.env.episode_steps + 1))


def test_map_stacked_maps_every_entry():
    trees = [{"a": np.arange(3.0) + i, "b": np.full((2, 2), i)} for i in range(4)]
    doubled = jax.jit(lambda tree: map_stacked(lambda one: (one["a"] * 2, one["b"].sum()), tree))
    a, b = doubled(stack(trees))
    assert np.array_equal(a, 2 * np.stack([tree["a"] for tree in trees]))
    assert np.array_equal(b, [0, 4, 8, 12])


# Four decisions of three episodes, worked out by hand.
REWARDS = np.array(
    [
        [0.0, 0.5, 1.0, 1.0],  # full: 2, first the third; standing: 3; falls: 0
        [1.0, 0.005, 0.02, 0.01],  # full: 1, the first; standing: 2; falls: 2, the last to 0.01
        [0.0, 0.0, 0.99, 0.0],  # full: none, 0.99 is not above; standing: 1; falls: 1
    ]
)


def test_diagnostics_are_those_worked_out_by_hand():
    found = summarise(9, "pi", REWARDS, [4, 5, 6], AGENT)
    assert found.returns == pytest.approx((2.5, 1.035, 0.99))
    assert found.mean == pytest.approx(4.525 / 3)
    assert found.full_reward_rate == pytest.approx(3 / 12)
    assert found.standing_rate == pytest.approx(6 / 12)
    assert found.fall_count == pytest.approx((0 + 2 + 1) / 3)
    assert found.time_to_first_full == pytest.approx((3 + 1) / 2)
    assert (found.env_steps, found.controller, found.reset_seeds) == (9, "pi", (4, 5, 6))


def test_there_is_no_time_to_a_full_reward_that_never_came():
    assert summarise(0, "pi", REWARDS[2:], [1], AGENT).time_to_first_full is None


def test_diagnostics_do_not_depend_on_the_action_repeat():
    twice = AGENT.replace(env=EnvConfig(action_repeat=2))
    one, two = (
        summarise(0, "pi", scale * REWARDS, [1, 2, 3], config)
        for scale, config in ((1, AGENT), (2, twice))
    )
    assert two.mean == pytest.approx(2 * one.mean)
    for name in ("full_reward_rate", "standing_rate", "fall_count", "time_to_first_full"):
        assert getattr(one, name) == getattr(two, name)


@given(st.lists(st.lists(st.booleans(), min_size=5, max_size=5), min_size=1, max_size=4))
def test_diagnostics_agree_with_a_count_step_by_step(standing):
    found = summarise(0, "pi", np.array(standing, dtype=float), [0] * len(standing), AGENT)
    falls = sum(a and not b for row in standing for a, b in itertools.pairwise(row)) / len(standing)
    assert found.fall_count == pytest.approx(falls)
    assert found.standing_rate == found.full_reward_rate == pytest.approx(np.mean(standing))
    firsts = [row.index(True) + 1 for row in standing if any(row)]
    expected = pytest.approx(np.mean(firsts)) if firsts else None
    assert found.time_to_first_full == expected


def test_an_evaluation_survives_json(evaluations):
    for found in evaluations:
        for result in found.values():
            assert Evaluation.from_dict(json.loads(json.dumps(result.to_dict()))) == result


def test_a_record_from_before_there_were_diagnostics_is_read_and_nothing_is_made_up():
    old = {"env_steps": 3, "controller": "pi", "returns": [1.0, 2.0], "mean": 1.5}
    found = Evaluation.from_dict(old)
    assert (found.mean, found.reset_seeds, found.standing_rate) == (1.5, (), None)


def test_fresh_episodes_are_none_that_training_evaluates_on():
    assert not set(reset_seeds(FRESH_SEED, 1000)) & set(reset_seeds(EVAL_SEED, 1000))


def save(path: Path, config, params, recorded: float | None = None, seeds=()) -> Path:
    told = {"mean": recorded, "returns": [recorded] * 3, "reset_seeds": list(seeds)}
    provenance = {"env_steps": 42} | ({"evaluation": {"pi": told}} if recorded is not None else {})
    checkpoints.save(path, config, jax.tree.map(np.asarray, params), provenance)
    return path


@pytest.fixture(scope="module")
def files(agents, tmp_path_factory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("checkpoints")
    broken = folder / "broken.safetensors"
    broken.write_bytes(b"nothing of use")
    return {
        "good": save(folder / "good.safetensors", AGENT, agents[0], 1e3),
        "broken": broken,
        "other": save(folder / "other.safetensors", AGENT, agents[1]),
        "unplannable": save(folder / "unplannable.safetensors", UNPLANNABLE, agents[0]),
        "met": save(folder / "met.safetensors", AGENT, agents[2], 0.0, reset_seeds(SEED, 2)),
    }


def test_a_broken_file_does_not_keep_the_others(files, agents):
    paths = [files[name] for name in ("good", "broken", "other", "unplannable")]
    counts: list[tuple[int, int]] = []
    rows = reevaluate(
        paths, ("mppi", "pi"), 2, SEED, Listener(on_recording=lambda *count: counts.append(count))
    )
    assert [(row.target.stem, row.controller, type(row)) for row in rows] == [
        ("good", "mppi", Fresh),
        ("good", "pi", Fresh),
        ("broken", None, Failed),
        ("other", "mppi", Fresh),
        ("other", "pi", Fresh),
        ("unplannable", "mppi", Failed),
        ("unplannable", "pi", Fresh),
    ]
    # Two groups: what can be planned with, and what cannot.
    assert counts[-1] == (80, 80) and [done for done, _ in counts] == list(range(1, 81))
    [alone] = evaluate(AGENT, agents[1:2], {"mppi": 2, "pi": 2}, seed=SEED, env_steps=42)
    assert [rows[3].evaluation, rows[4].evaluation] == [alone["mppi"], alone["pi"]]
    assert rows[6].evaluation == rows[1].evaluation


def test_the_comparison_with_the_record_has_its_sign_and_its_place():
    def fresh(recorded: float) -> Fresh:
        evaluation = Evaluation(0, "pi", (9.0, 10.0, 11.0), (1, 2, 3))
        return Fresh(Path("a"), "pi", evaluation, Recorded(recorded, 3, (3, 4)))

    assert (fresh(100.0).above_recorded, fresh(100.0).recorded_place) == (-90.0, "above")
    assert (fresh(9.5).above_recorded, fresh(9.5).recorded_place) == (0.5, "within")
    assert fresh(9.5).shared_resets == 1


AT_9 = {"env_steps": 9}


@pytest.mark.parametrize(
    ("provenance", "expected"),
    [
        ({}, None),
        ({"evaluation": {"pi": {"mean": 3, "returns": [2, 4]}}}, Recorded(3.0, 2)),
        ({"returns": {"pi": {"mean": 3.5, "episodes": 5}}}, Recorded(3.5, 5)),
        ({"returns": {"pi": {"mean": 3.5, "episodes": None}}}, Recorded(3.5, None)),
        ({"returns": {"mppi": {"mean": 3.5, "episodes": 5}}}, None),
        (AT_9 | {"evaluation": {"pi": {"mean": 3, "returns": [2, 4]}}}, Recorded(3.0, 2)),
        (AT_9 | {"evaluation": {"pi": AT_9 | {"mean": 3, "returns": [2, 4]}}}, Recorded(3.0, 2)),
        (AT_9 | {"evaluation": {"pi": {"mean": 3, "returns": [2, 4], "env_steps": 8}}}, None),
        ({"evaluation": "none", "returns": [1]}, None),
        ({"evaluation": {"pi": {"mean": "high"}}}, None),
        ({"evaluation": {"pi": {"mean": float("nan")}}}, None),
    ],
)
def test_what_a_file_recorded_is_read_and_nonsense_passed_over(provenance, expected):
    assert recorded_in(provenance, "pi") == expected


def run(*arguments) -> tuple[int, str]:
    done = invoke("evaluate", *arguments, code=None)
    return done.exit_code, done.output


def test_the_command_prints_a_table_with_the_broken_file_in_its_row(files):
    code, text = run(
        files["good"], files["broken"], files["other"], "--episodes", 2, "--controller", "pi"
    )
    assert code == 1
    lines = {
        name: next((line for line in text.splitlines() if line.startswith(path.stem)), "")
        for name, path in files.items()
    }
    assert re.search(r"pi .*1000\.0 \(n=3\) .*lower, recorded above", lines["good"])
    assert "failed: " in lines["broken"] and "expected a checkpoint" in lines["broken"]
    assert re.search(r"pi .* 2 +–", lines["other"])
    assert "Student's t" in text and "maximum of noisy evaluations" in text


def test_without_a_failure_the_command_ends_with_0_and_says_when_episodes_are_not_fresh(files):
    code, text = run(files["met"], "--episodes", 2, "--controller", "pi", "--seed", SEED)
    assert code == 0
    assert "2 episodes reuse reset seeds" in text


def test_the_command_prints_json_and_csv(files):
    arguments = (files["good"], files["broken"], "--episodes", 2, "--controller", "both")
    code, text = run(*arguments, "--json")
    told = json.loads(text)
    assert code == 1 and [row.get("controller") for row in told] == ["mppi", "pi", None]
    assert len(told[1]["returns"]) == 2 and told[1]["recorded"]["mean"] == 1e3
    assert told[1]["reset_seeds"] == reset_seeds(FRESH_SEED, 2) and told[1]["env_steps"] == 42
    code, text = run(*arguments, "--csv")
    rows = list(csv.DictReader(io.StringIO(text)))
    assert code == 1 and float(rows[1]["mean"]) == told[1]["mean"]
    assert (rows[1]["episodes"], rows[1]["recorded_place"]) == ("2", "above")
    assert rows[2]["error"] == told[2]["error"]


def test_totals_of_recipes_are_in_json_csv_and_latex_too(files, tmp_path):
    arguments = (files["good"], files["other"], "--episodes", 2, "--controller", "pi")
    code, text = run(*arguments, "--json")
    one, other = json.loads(text)
    assert code == 0 and one["recipe"] is None and one["recipe_totals"] == other["recipe_totals"]
    totals = one["recipe_totals"]
    assert totals["checkpoints"] == 2 and totals["improvements"] == [] and totals["iqm"] is None
    assert totals["mean"]["estimate"] == pytest.approx((one["mean"] + other["mean"]) / 2)
    out = tmp_path / "returns.tex"
    printed = invoke("evaluate", *arguments, "--csv", "--latex", out).stdout
    [row, _] = csv.DictReader(io.StringIO(printed))
    assert float(row["recipe_mean"]) == totals["mean"]["estimate"]
    assert (row["recipe_checkpoints"], row["recipe_improvements"]) == ("2", "[]")
    latex = out.read_text(encoding="utf-8")
    assert "unknown recipe & pi & 2 & " in latex and "\\label{tab:returns-recipes}" in latex
    code, text = run(files["good"], "--episodes", 2, "--controller", "pi", "--json")
    assert json.loads(text)[0]["recipe_totals"] is None


def test_json_and_csv_exclude_each_other(files):
    code, text = run(files["good"], "--json", "--csv")
    assert code == 2 and "--json and --csv exclude each other" in text


def test_the_help_names_the_default_seed():
    _, text = run("--help")
    assert f"The default seed is {FRESH_SEED}" in " ".join(text.split())


def test_planning_what_cannot_be_planned_with_is_one_sentence(agents):
    with pytest.raises(GlassvizError, match="supports planning"):
        evaluate(UNPLANNABLE, agents[:1], {"mppi": 1}, seed=0)


def told(mppi: float, pi: float):
    return {"evaluation": {"mppi": {"mean": mppi}, "pi": {"mean": pi}}}


def test_a_controller_that_was_better_by_far_is_named_with_its_option():
    agents = [("refined", told(3.9, 458.0)), ("alike", told(100.0, 150.0)), ("new", {})]
    line = better_controllers(agents, ["mppi"])
    assert line == (
        "pi earns far more than mppi, by their records: refined (458 against 4); --controller pi "
        "shows it"
    )
    assert better_controllers(agents, ["pi"]) is None
    assert better_controllers(agents, ["mppi", "pi"]) is None
    assert better_controllers([("nothing", told(0.0, 3.0))], ["mppi"]) is None
    refined = [("hop", {"refined": [{"recipe": "policy refined by evolution strategies"}]})]
    assert "hop (its policy was refined" in str(better_controllers(refined, ["mppi"]))
    assert better_controllers(refined, ["pi"]) is None
    alone = [("searched", {"evaluation": {"pi": {"mean": 458.0}}})]
    assert "searched (458 against no evaluation)" in str(better_controllers(alone, ["mppi"]))
