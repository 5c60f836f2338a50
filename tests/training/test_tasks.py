"""Training on any task of the dm_control suite: what follows from the task, and what is refused."""

import dataclasses
from pathlib import Path

import jax
import numpy as np
import pytest

import tests.helpers.tiny as tiny
from glassviz import checkpoints
from glassviz.agents.config import GlassConfig
from glassviz.envs.bodies import tasks
from glassviz.errors import GlassvizError, UsageError
from glassviz.training import recipes
from glassviz.training.config import apply
from tests.helpers.commands import invoke

HOPPER = Path(__file__).parents[2] / "checkpoints" / "demo-small-s1.safetensors"
SHORT = dataclasses.replace(tiny.TRAIN, steps=160, eval_every=80, save_every=40)
RUNS = {
    "walker-walk": {"planner_share": 0.25, "planner_noise": 0.1, "action_repeat": 2},
    "cup-catch": {"collect": "mppi", "burst_rate": 0.1},
}
"""A body with feet, with Glass, and one without either."""


def run(folder, train, until=None, resume=False):
    trainer = tiny.trainer(folder, train, resume)
    if until is None:
        trainer.run(lambda progress: None)
    else:
        while trainer.env_steps < until:
            trainer.train_round()
        trainer._locks.close()
    return trainer


def equal(one, other):
    pairs = zip(jax.tree.leaves(one), jax.tree.leaves(other), strict=True)
    return all(np.array_equal(a, b) for a, b in pairs)


@pytest.mark.parametrize("task", RUNS)
def test_a_run_saves_an_agent_of_its_task_and_resumes_bit_for_bit(task, tmp_path):
    glass = tiny.GLASS if task == "walker-walk" else None
    plain = dataclasses.replace(SHORT, agent=SHORT.agent.replace(glass=glass))
    train = apply(plain, {"task": task} | RUNS[task])
    whole = run(tmp_path / "whole", train)
    run(tmp_path / "parts", train, until=100)  # between two saves, and within an episode
    parts = run(tmp_path / "parts", train, resume=True)
    assert equal(whole.learner, parts.learner)
    assert equal(whole.runs[0].replay.get_state(), parts.runs[0].replay.get_state())
    saved = checkpoints.load(tmp_path / "whole" / "seed_1" / "checkpoints" / "last.safetensors")
    assert (saved.config.env.task, saved.config.obs_dim) == (task, tasks()[task].obs_dim)
    assert saved.provenance["evaluation"].keys() == {"pi", "mppi"}
    assert saved.provenance["shaped"] is False


def test_collection_records_the_rewards_and_observations_of_the_suite(tmp_path):
    from dm_control import suite

    train = apply(SHORT, {"task": "walker-walk", "action_repeat": 2, "expl_until": 10**6})
    trainer = tiny.trainer(tmp_path, train)
    seeds = np.random.default_rng(train.seed).integers(2**31, size=train.num_envs)
    for _ in range(20):
        trainer.collect([0])
    replay = trainer.runs[0].replay
    for body, seed in enumerate(seeds):
        theirs = suite.load("walker", "walk", task_kwargs={"random": int(seed)})
        step = theirs.reset()
        for t in range(20):
            flat = np.concatenate([np.ravel(value) for value in step.observation.values()])
            assert np.array_equal(replay.obs[t, body], flat.astype(np.float32))
            first = theirs.step(replay.action[t, body].astype(np.float64))
            step = theirs.step(replay.action[t, body].astype(np.float64))
            assert replay.reward[t, body] == np.float32(first.reward + step.reward)


@pytest.mark.parametrize("name", tasks())
@pytest.mark.parametrize("recipe", ["suite", "suite_glass", "1b", "official"])
def test_every_task_can_be_trained_on_by_every_kind_of_recipe(name, recipe):
    agent = recipes.configure(recipe, changes={"task": name}).agent
    task = tasks()[name]
    assert (agent.obs_dim, agent.action_dim) == (task.obs_dim, task.body.action_dim)
    assert agent.env.episode_steps * agent.env.action_repeat == 1000
    many = agent.family == "tdmpc2" and task.body.action_dim >= 20
    assert agent.planner.iterations == (8 if many else 6)
    assert agent.planner.discount == 0.99


def test_the_official_discount_follows_from_the_decisions_of_an_episode():
    once = recipes.configure("official", changes={"task": "dog-run", "action_repeat": 1}).agent
    assert (once.env.episode_steps, once.planner.discount) == (1000, 0.995)
    kept = recipes.configure("official", changes={"action_repeat": 4, "discount": 0.9}).agent
    assert (kept.env.episode_steps, kept.planner.discount) == (250, 0.9)
    back = apply(recipes.configure("official", changes={"task": "dog-run"}), {"task": "fish-swim"})
    assert back.agent == recipes.configure("official", changes={"task": "fish-swim"}).agent


@pytest.mark.parametrize(
    "changes",
    [
        {"upright_resets": 0.25},
        {"knee_penalty_coef": 0.1},
        {"gait_fall_penalty": 0.1},
        {"soft_stand_bonus": 0.1},
        {"lambda_contrastive": 0.1},
        {"basin_restart": "gait"},
        {"demo_fraction": 0.5},
        {"multitask": True},
    ],
    ids=lambda changes: next(iter(changes)),
)
def test_what_only_the_hopper_has_is_refused_for_other_bodies(changes):
    [name] = changes
    with pytest.raises(UsageError, match=rf"^training: {name}.* is of the hopper alone, found the"):
        recipes.configure("1b", changes={"task": "walker-walk"} | changes)
    backwards = {"task": "hopper-hop-backwards"} | changes
    if name == "multitask":
        with pytest.raises(UsageError, match="multitask learns hopper-hop and hopper-stand"):
            recipes.configure("1b", changes=backwards)
    else:
        assert recipes.configure("1b", changes=backwards).agent.obs_dim == 15


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--task", "walker-wlak"], "did you mean walker-walk"),
        (["--task", "walker-walk", "--recipe", "q_knee"], "knee_penalty_coef is of the hopper"),
        (["--task", "cheetah-run", "--physics", "playground"], "only the hopper has others"),
        (["--task", "walker-walk", "--init", str(HOPPER)],
         "expected an agent with 24 observations and 6 actions, as walker-walk has, found one of"),
    ],
)  # fmt: skip
def test_a_run_that_cannot_be_is_refused_before_anything_is_written(options, message, tmp_path):
    out = tmp_path / "run"
    result = invoke("train", *options, "--out", out, code=None)
    assert result.exit_code in (1, 2) and message in " ".join(result.output.split())
    assert not out.exists()


def test_a_run_that_does_not_fit_into_memory_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr("glassviz.training.trainer.memory_bytes", lambda: 10**9)
    train = apply(SHORT, {"task": "dog-run", "num_envs": 12, "buffer_steps": 1200})
    with pytest.raises(GlassvizError, match=r"12 bodies of dog-run .*: lower --num-envs"):
        tiny.trainer(tmp_path / "run", train)
    assert not (tmp_path / "run").exists()


def test_the_recipe_of_a_run_that_names_none_follows_from_its_body_and_algorithm():
    from glassviz.cli.training import _default_recipe

    assert _default_recipe(None, None, None) == "1b"
    assert _default_recipe("tdmpc2", "hopper-hop-backwards", None) == "tdmpc2"
    assert _default_recipe(None, "walker-walk", None) == "suite_glass"
    assert _default_recipe("tdmpc2", "cup-catch", None) == "suite"
    with pytest.raises(GlassvizError, match="did you mean walker-walk"):
        _default_recipe(None, "walker-wlak", None)


def test_an_agent_goes_on_in_another_task_of_its_body(tmp_path):
    train = apply(dataclasses.replace(SHORT, steps=40), {"task": "walker-walk"})
    run(tmp_path / "walk", train)
    start = checkpoints.load(tmp_path / "walk" / "seed_1" / "checkpoints" / "last.safetensors")
    on = recipes.configure("suite_glass", changes={"task": "walker-run"}, agent=start.config)
    assert on.agent.env.task == "walker-run" and on.agent.glass == dataclasses.replace(
        GlassConfig(prototypes=6, clusters=3), proto_temperature=0.7
    )
    run(tmp_path / "run", dataclasses.replace(train, agent=on.agent))
    file = tmp_path / "walk" / "seed_1" / "checkpoints" / "last.safetensors"
    for command in ("refine", file), ("demonstrate", "--agent", file, "--steps", 9):
        refused = invoke(*command, "--out", tmp_path / "no", code=None)
        assert refused.exit_code in (1, 2) and "found walker-walk" in refused.output
