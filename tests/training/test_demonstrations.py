"""The planner knows the true model, is deterministic by seed, and what it did can be kept."""

import dataclasses
import hashlib
import json
import re
from pathlib import Path

import jax
import numpy as np
import pytest

from glassviz import archive, checkpoints
from glassviz.agents.config import EnvConfig
from glassviz.envs.hopper import HopperBatch
from glassviz.errors import GlassvizError, UsageError
from glassviz.rollout.rollout import roll_out
from glassviz.training import demonstrations
from glassviz.training.demonstrations import AgentGait, Demonstration, demonstrate
from glassviz.training.refine import ESConfig, Refiner
from glassviz.training.true_model import (
    AGENT_MPC,
    REST_POSE,
    HopModel,
    HopPlanner,
    MPCConfig,
    Readings,
    load_skills,
    objective,
    spline,
)
from tests.helpers.commands import invoke

HOPPING = Path(__file__).parents[2] / "checkpoints/demo-small-s1.safetensors"
QUICK = MPCConfig(samples=8, rescue_samples=16, horizon=30)


def episode(seed: int, steps: int = 4, value: float = 0.5) -> Demonstration:
    rng = np.random.default_rng(seed)
    return Demonstration(
        seed,
        obs=rng.normal(size=(steps, 15)).astype(np.float32),
        action=rng.uniform(-1, 1, (steps, 4)).astype(np.float32),
        reward=np.full(steps, value),
    )


def readings(**changes: float) -> Readings:
    values = dict(height=0.8, upright=1.0, speed=1.0, rise=0.0, ahead=0.0) | changes
    arrays = {name: np.array([value]) for name, value in values.items()}
    return Readings(**arrays, touch=np.zeros((1, 2)))


def planner(mpc: MPCConfig = QUICK) -> HopPlanner:
    return HopPlanner(mpc, *load_skills(), "dm_control", np.random.default_rng(0))


def standing() -> np.ndarray:
    """A crouch on the foot, leaning and moving forward a little: (qpos, qvel)."""
    return np.array([0, -0.175, 0.1, 0, -0.8, 1.2, -0.5, 0.5, 0, 0, 0, 0, 0, 0])


# `playground` stops its solver early, so that there the result depends on where it started.
@pytest.mark.parametrize(("physics", "tolerance"), [("dm_control", 1e-6), ("playground", 1e-2)])
def test_the_planners_model_steps_as_the_environment_does(physics, tolerance):
    env, model = HopperBatch(EnvConfig(physics=physics), 1), HopModel(physics)
    step = env.reset([5])
    for action in np.random.default_rng(0).uniform(-1, 1, (100, 1, 4)):
        before = np.concatenate([step.qpos, step.qvel], axis=1)
        step, (after, _) = env.step(action), model.step(before, action)
        expected = np.concatenate([step.qpos, step.qvel], axis=1)
        np.testing.assert_allclose(after, expected, rtol=0, atol=tolerance)


def test_the_planner_measures_height_and_speed_as_the_task_does():
    env, model = HopperBatch(EnvConfig(), 1), HopModel("dm_control")
    step = env.reset([5])
    for action in np.random.default_rng(0).uniform(-1, 1, (30, 1, 4)):
        step = env.step(action)
    read = model.read(np.concatenate([step.qpos[0], step.qvel[0]]), 2)
    np.testing.assert_allclose(read.height, np.repeat(step.height, 2), atol=1e-9)
    np.testing.assert_allclose(read.speed, np.repeat(step.speed, 2), atol=1e-9)
    np.testing.assert_allclose(read.upright, np.cos(step.qpos[0, 2]), atol=1e-9)


def test_the_objective_prefers_standing_tall_to_lying_and_fast_to_slow():
    score = lambda **changes: objective(QUICK, readings(**changes))[0]  # noqa: E731
    assert score(height=0.7) > 0.9 * score(height=0.9) > score(height=0.5) + 0.4
    assert score(speed=1.0) > score(speed=0.5) > score(speed=0.0) == score(speed=-1.0) == 0
    assert score(speed=2.0) == score(speed=3.0)


def test_a_sample_that_falls_scores_less_than_the_gait_left_alone():
    hopper = planner()
    throw = np.tile([5.0, -5.0, 5.0, 0.0], (hopper.mpc.knots, 1))  # folds the leg and the waist
    out = hopper.roll_out(standing(), np.stack([np.zeros_like(throw), throw]))
    assert out.stands.tolist() == [True, False]
    assert out.score[0] > out.score[1]


def test_it_hops_from_a_stand_and_plays_motions_from_the_floor():
    hopper = planner()
    hopper.plan(standing())
    assert hopper.phase == "hop"
    lying = np.concatenate([[0, -0.9, np.pi / 2], REST_POSE, np.zeros(7)])
    phases = [hopper.phase for _ in range(20) if len(hopper.plan(lying))]
    assert phases[0] == "lie" and phases[-1] == "stand up"
    lying[2] = -np.pi / 2
    on_its_back = planner()
    phases = [on_its_back.phase for _ in range(20) if len(on_its_back.plan(lying))]
    assert phases[-1] == "roll over"


def test_the_gait_hops_forward_on_the_foot_alone():
    env, hopper = HopperBatch(EnvConfig(), 1), planner()
    env.reset([0])
    full = env.get_state()
    full[0, 1:15] = standing()  # after the time
    step, touched, reward = env.set_state(full), np.zeros(len(env.geoms), bool), 0.0
    for _ in range(100):
        action = hopper.plan(np.concatenate([step.qpos[0], step.qvel[0]]))[0]
        step = env.step(action[None])
        touched |= step.contacts[0]
        reward += step.reward[0]
    assert step.qpos[0, 0] > 0.8 and reward > 20
    # The calf ends in the ankle, inside the foot: it touches as the foot rolls.
    assert {name for name, on in zip(env.geoms, touched, strict=True) if on} <= {"foot", "calf"}


def test_an_episode_is_deterministic_by_seed_and_shows_what_the_environment_shows():
    config = EnvConfig(episode_steps=45)
    demo, again, other = (demonstrate(config, QUICK, seed) for seed in (3, 3, 4))
    assert np.array_equal(demo.action, again.action) and np.array_equal(demo.obs, again.obs)
    assert not np.array_equal(demo.obs, other.obs)
    env = HopperBatch(config, 1)
    step = env.reset([3])
    for obs, action, reward in zip(demo.obs, demo.action, demo.reward, strict=True):
        assert np.array_equal(step.obs[0], obs)
        assert np.abs(action).max() <= 1
        step = env.step(action[None].astype(float))
        assert step.reward[0] == reward


def test_several_processes_make_the_same_episodes_in_the_same_order():
    config = EnvConfig(episode_steps=15)
    alone = list(demonstrations.demonstrate_all(config, QUICK, [4, 1, 2]))
    shared = list(demonstrations.demonstrate_all(config, QUICK, [4, 1, 2], jobs=2))
    assert [demo.seed for demo in shared] == [4, 1, 2]
    for one, two in zip(alone, shared, strict=True):
        assert np.array_equal(one.action, two.action)


def test_an_agents_gait_does_in_the_model_what_its_policy_does_in_the_environment():
    checkpoint = checkpoints.load(HOPPING)
    gait, model = AgentGait(checkpoint), HopModel("dm_control")
    env = HopperBatch(EnvConfig(), 1)
    (trace,) = roll_out(checkpoint.config, [checkpoint.params], "pi", env, 5, 60)
    frames = zip(trace["qpos"][0], trace["qvel"][0], trace["action"][0], strict=True)
    states, previous = None, None
    for qpos, qvel, action in frames:
        if states is not None:
            _, readings = model.step(states, previous)
            now = np.concatenate([qpos, qvel])[None]
            np.testing.assert_allclose(gait(now, readings)[0], action, atol=1e-2)
        states, previous = np.concatenate([qpos, qvel])[None], action[None].astype(float)


def test_around_an_agent_the_planner_hops_better_than_the_agent():
    checkpoint = checkpoints.load(HOPPING)
    config = EnvConfig(episode_steps=150)
    mpc = dataclasses.replace(AGENT_MPC, samples=16, horizon=50)
    env = HopperBatch(config, 1)
    (alone,) = roll_out(checkpoint.config, [checkpoint.params], "pi", env, 2002, 150)
    assert demonstrate(config, mpc, 2002, HOPPING).total > 1.1 * alone["reward"].sum()


def test_an_agent_of_another_task_is_refused_as_a_gait():
    checkpoint = checkpoints.load(HOPPING)
    stand = dataclasses.replace(checkpoint.config, env=EnvConfig(task="hopper-stand"))
    with pytest.raises(GlassvizError, match=r"expected an agent for hopper-hop .*hopper-stand"):
        AgentGait(dataclasses.replace(checkpoint, config=stand))


@pytest.mark.parametrize("config", [EnvConfig(task="hopper-stand"), EnvConfig(action_repeat=2)])
def test_what_the_planner_cannot_demonstrate_is_refused(config):
    with pytest.raises(UsageError, match="expected hopper-hop with action repeat 1"):
        demonstrate(config, QUICK, 1)


def test_a_spline_goes_through_its_knots(rng):
    knots = rng.normal(size=(3, 5, 4))
    fine = spline(knots, 6, 24)
    np.testing.assert_allclose(fine[:, ::6], knots[:, :4])
    np.testing.assert_allclose(fine[:, 3], knots[:, :2].mean(axis=1))


def test_saved_and_loaded_are_equal(tmp_path):
    episodes = [episode(seed) for seed in (3, 8)]
    made_by = demonstrations.describe(EnvConfig(), QUICK, tried=5, min_return=1.5)
    demonstrations.save(tmp_path / "demos.npz", episodes, made_by)
    loaded = demonstrations.load(tmp_path / "demos.npz")
    assert loaded.seeds == (3, 8)
    assert (loaded.header["tried"], loaded.header["kept"]) == (5, 2)
    assert loaded.header["planner"]["samples"] == QUICK.samples
    assert loaded.header["env"]["task"] == "hopper-hop"
    for i, demo in enumerate(episodes):
        assert np.array_equal(loaded.obs[:, i], demo.obs)
        assert np.array_equal(loaded.action[:, i], demo.action)
        assert loaded.returns[i] == demo.total == 2.0


def test_sequences_from_the_replay_are_those_of_one_episode(tmp_path, rng):
    demonstrations.save(tmp_path / "demos.npz", [episode(1, 9), episode(2, 9)], {})
    demos = demonstrations.load(tmp_path / "demos.npz")
    sampled = demonstrations.as_replay(demos).sample(rng, 2, 16, 3)
    for update in range(2):
        for b in range(16):
            obs = sampled.obs[update, :, b]
            where = np.argwhere((demos.obs == obs[0]).all(axis=-1))
            ((start, which),) = where
            assert np.array_equal(obs, demos.obs[start : start + 4, which])
            assert np.array_equal(
                sampled.action[update, :, b], demos.action[start : start + 3, which]
            )


def test_demonstrations_in_half_precision_are_read_without_a_warning(tmp_path):
    path = tmp_path / "demos.npz"
    demonstrations.save(path, [episode(1)], {})
    header, arrays = archive.load(path, "demonstrations", "")
    archive.save(path, header, arrays | {"obs": arrays["obs"].astype(np.float16)})
    assert demonstrations.load(path).obs.dtype == np.float32


def test_a_file_that_holds_no_demonstrations_is_refused_in_one_sentence(tmp_path):
    path = tmp_path / "demos.npz"
    with pytest.raises(GlassvizError, match="no such file"):
        demonstrations.load(path)
    demonstrations.save(path, [episode(1)], {})
    whole = path.read_bytes()
    with np.load(path) as members:
        arrays = {name: members[name] for name in members.files if name != archive.CHECKSUM}
    for broken in (b"", b"not an archive", whole[: len(whole) // 2]):
        path.write_bytes(broken)
        with pytest.raises(GlassvizError, match="expected demonstrations"):
            demonstrations.load(path)
    np.savez(path, **{**arrays, "action": arrays["action"][:2]})
    with pytest.raises(GlassvizError, match=r"expected arrays with axes \(steps, episodes\)"):
        demonstrations.load(path)
    np.savez(path, **{**arrays, "header": np.array(json.dumps({"schema_version": 99}))})
    with pytest.raises(GlassvizError, match="schema version 1, found 99"):
        demonstrations.load(path)
    np.savez(path, **{name: arrays[name] for name in arrays if name != "seeds"})
    with pytest.raises(GlassvizError, match="seeds"):
        demonstrations.load(path)


SPOILT = {
    "actions beyond their range": ("action", lambda a: a * 100, "from -1.00001 to 1.00001 for act"),
    "actions that are none": ("action", lambda a: a * np.nan, "for action, found nan in step 0"),
    "infinite rewards": ("reward", lambda a: a + np.float32(np.inf), "for reward, found inf"),
    "observations in words": ("obs", lambda a: a.astype(str), "floating-point numbers for obs"),
    "complex rewards": ("reward", lambda a: a + 1j, "floating-point numbers for reward"),
    "seeds between integers": ("seeds", lambda a: a + 0.5, "expected integers for seeds"),
    "another robot": ("obs", lambda a: a[..., :3], "15 observations and 4 actions, found obs"),
    "an action less": ("action", lambda a: a[..., :3], "15 observations and 4 actions, found"),
}


@pytest.mark.parametrize("name", SPOILT)
def test_episodes_that_no_agent_can_learn_from_are_refused_in_one_sentence(name, tmp_path):
    path = tmp_path / "demos.npz"
    array, change, sentence = SPOILT[name]
    demonstrations.save(path, [episode(1)], {})
    header, arrays = archive.load(path, "demonstrations", "")
    archive.save(path, header, arrays | {array: change(arrays[array])})
    with pytest.raises(GlassvizError, match=sentence) as raised:
        demonstrations.load(path)
    assert "\n" not in str(raised.value)


def test_demonstrations_of_double_precision_or_from_before_checksums_are_read(tmp_path):
    path = tmp_path / "demos.npz"
    demonstrations.save(path, [episode(1)], {})
    header, arrays = archive.load(path, "demonstrations", "")
    doubles = {n: a.astype(np.float64) if a.dtype.kind == "f" else a for n, a in arrays.items()}
    np.savez(path, header=np.array(json.dumps(header)), **doubles)
    found = demonstrations.load(path)
    assert found.obs.dtype == np.float32 and np.array_equal(found.obs, arrays["obs"])


def train_command(path: Path, out: Path, *options: str):
    return invoke("train", "--recipe", "demo", "--demos", path, "--out", out, *options, code=None)


@pytest.mark.parametrize(
    ("options", "found"),
    [
        (
            ["--task", "hopper-stand"],
            "expected task hopper-stand as in the run, found hopper-h",
        ),
        (["--physics", "playground"], "expected physics playground .* found dm_control"),
        (["--demo-fraction", "0"], "this run does not learn from demonstrations"),
    ],
)
def test_demonstrations_that_a_run_cannot_learn_from_are_refused(tmp_path, options, found):
    path, out = tmp_path / "demos.npz", tmp_path / "run"
    demonstrations.save(path, [episode(1)], demonstrations.describe(EnvConfig(), QUICK, 1, 0.0))
    refused = train_command(path, out, *options)
    assert refused.exit_code == 2 and not out.exists()
    assert re.search(found, " ".join(refused.output.split()))
    twice = demonstrations.describe(EnvConfig(action_repeat=2), QUICK, 1, 0.0)
    demonstrations.save(path, [episode(1)], twice)
    assert "found 2" in train_command(path, out).output


def test_a_run_says_which_demonstrations_it_learned_from(tmp_path, monkeypatch):
    path = tmp_path / "mine.npz"
    demonstrations.save(path, [episode(1)], demonstrations.describe(EnvConfig(), QUICK, 1, 0.0))
    told = []

    class Started(Exception):
        pass

    def start(train, folder, provenance, *rest):
        told.append(provenance.get("demos"))
        raise Started

    monkeypatch.setattr("glassviz.training.trainer.Trainer", start)
    with pytest.raises(Started):
        train_command(path, tmp_path)
    sha256 = hashlib.sha256(path.read_bytes()).hexdigest()
    assert told == [{"name": "mine", "sha256": sha256}]


def test_nothing_to_keep_leaves_an_older_file_as_it_was(tmp_path):
    path = tmp_path / "demos.npz"
    demonstrations.save(path, [episode(1)], {})
    before = path.read_bytes()
    with pytest.raises(GlassvizError, match="found none"):
        demonstrations.save(path, [], {})
    assert path.read_bytes() == before


def test_the_command_leaves_poor_episodes_out_and_says_so(tmp_path):
    out = tmp_path / "demos.npz"
    command = ["demonstrate", "--out", str(out), "--episodes", "2", "--steps", "12", "--seed", "6"]
    done = invoke(*command)
    assert "2 of 2 episodes" in done.output
    loaded = demonstrations.load(out)
    assert loaded.seeds == (6, 7) and loaded.obs.shape == (12, 2, 15)
    assert {"command", "versions", "planner"} <= set(loaded.header)
    assert loaded.header["agent"] is None
    again = invoke(*command, code=1)
    assert "already exists" in again.output
    assert demonstrations.load(out).seeds == (6, 7)
    command.append("--overwrite")
    invoke(*command, "--agent", HOPPING)
    assert demonstrations.load(out).header["agent"]["name"] == HOPPING.stem
    poor = invoke(*command, "--min-return", "1000", code=1)
    assert "dropped" in poor.output and "found none" in poor.output


def quick_search(**changes: float) -> ESConfig:
    values = dict(directions=8, horizon=40, start_episodes=2, start_steps=140)
    return ESConfig(**(values | changes))


def test_a_search_raises_its_score_and_changes_the_policy_alone():
    agent = checkpoints.load(HOPPING)
    refiner = Refiner(agent, quick_search(directions=16), 24, seed=1)
    scores = [refiner.iterate().score for _ in range(24)]
    assert np.mean(scores[-6:]) > np.mean(scores[:6])
    refined = refiner.params
    assert all(np.array_equal(*pair) for pair in leaf_pairs(agent.params, refined, without="pi"))
    assert not any(np.array_equal(*pair) for pair in leaf_pairs(agent.params["pi"], refined["pi"]))


def leaf_pairs(one, other, without=""):
    trees = [{k: v for k, v in tree.items() if k != without} for tree in (one, other)]
    return zip(*map(jax.tree.leaves, trees), strict=True)


def test_a_search_is_deterministic_by_seed():
    agent = checkpoints.load(HOPPING)
    one, same, other = (
        Refiner(agent, quick_search(), 1, seed=seed).iterate().score for seed in (1, 1, 2)
    )
    assert one == same != other


def test_an_agent_that_never_stands_is_refused():
    agent = checkpoints.load(HOPPING)
    with pytest.raises(GlassvizError, match="expected an agent that hops"):
        Refiner(agent, quick_search(start_steps=5), 1, seed=1)  # every episode starts on the floor


def test_a_refined_agent_says_what_it_was_refined_from(tmp_path, monkeypatch):
    monkeypatch.setattr("glassviz.training.refine.ESConfig", quick_search)
    out = tmp_path / "refined.safetensors"
    command = ["refine", str(HOPPING), "--out", str(out), "--iterations", "1"]
    invoke(*command)
    refined, agent = checkpoints.load(out), checkpoints.load(HOPPING)
    assert [search["from"]["sha256"] for search in refined.provenance["refined"]] == [agent.sha256]
    assert refined.provenance["init"] == agent.provenance["init"]
    assert "evaluation" not in refined.provenance
    assert agent.provenance["shaped"] is False and refined.provenance["shaped"] == "policy search"
    told = refined.provenance["refined"][0]["objective"]
    assert told == (
        "shaped: a logistic edge of 0.01 m at 0.6 m + 0.005 m of height, a fall penalty of 0.5 a "
        "step on the floor"
    )
    assert "--overwrite" in invoke(*command, code=1).output
    invoke("refine", out, *command[2:], "--overwrite")
    searches = checkpoints.load(out).provenance["refined"]
    assert [search["from"]["name"] for search in searches] == [agent.name, "refined"]
