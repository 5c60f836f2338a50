"""Several seeds, exploration, restarts and the other switches of the training loop."""

import csv
import dataclasses
import json
from pathlib import Path

import jax
import numpy as np
import pytest

import tests.helpers.tiny as tiny
from glassviz import checkpoints
from glassviz.errors import GlassvizError, UsageError
from glassviz.rollout.evaluate import EVAL_SEED
from glassviz.training import collection
from glassviz.training.collection import Proposal, Replay, noise_std, propose
from glassviz.training.config import apply, official
from glassviz.training.learner import init_learner, take
from glassviz.training.trainer import Trainer

SHORT = dataclasses.replace(tiny.TRAIN, steps=200)
UNJUDGED = {"eval_every": 1000}  # for runs whose evaluations no one looks at


def run(folder: Path, changes=None, train=SHORT, until=None, **options):
    trainer = tiny.trainer(folder, apply(train, changes or {}), **options)
    if until is None:
        trainer.run(lambda progress: None)
    else:
        while trainer.env_steps < until:
            trainer.train_round()
    return trainer


def leaves_equal(one, other) -> bool:
    pairs = zip(jax.tree.leaves(one), jax.tree.leaves(other), strict=True)
    return all(np.array_equal(a, b) for a, b in pairs)


def events(folder: Path, seed=1) -> list[str]:
    with (folder / f"seed_{seed}.csv").open() as file:
        return [row["eval_type"] for row in csv.DictReader(file)]


@pytest.fixture(scope="module")
def baseline(tmp_path_factory):
    folder = tmp_path_factory.mktemp("baseline")
    return folder, run(folder)


@pytest.fixture(scope="module")
def pair(tmp_path_factory):
    """Two seeds trained together, the baseline's second."""
    folder = tmp_path_factory.mktemp("pair")
    return folder, run(folder, seeds=[2, 1])


def test_seeds_trained_together_are_what_they_are_alone(baseline, pair):
    (folder, alone), (shared, together) = baseline, pair
    assert leaves_equal(take(together.learner, 1), take(alone.learner, 0))
    assert not leaves_equal(take(together.learner, 0).params, take(alone.learner, 0).params)
    for name in ("seed_1.csv", "seed_1_diag.csv"):
        assert (shared / name).read_text() == (folder / name).read_text()
    last = checkpoints.load(shared / "seed_2" / "checkpoints" / "last.safetensors")
    assert last.provenance["seed"] == 2


def test_seeds_are_resumed_together(pair, tmp_path):
    _, whole = pair
    run(tmp_path, until=130, seeds=[2, 1])
    parts = run(tmp_path, seeds=[2, 1], resume=True)
    assert leaves_equal(whole.learner, parts.learner)


def test_seeds_that_a_kill_left_at_different_steps_catch_up(pair, tmp_path):
    folder, whole = pair
    run(tmp_path, until=130, seeds=[1])
    run(tmp_path, until=30, seeds=[2])
    parts = run(tmp_path, seeds=[2, 1], resume=True)
    assert leaves_equal(whole.learner, parts.learner)
    for name in ("seed_1.csv", "seed_2.csv"):
        assert (folder / name).read_text() == (tmp_path / name).read_text()


def test_a_folder_is_held_while_a_trainer_lives(tmp_path):
    train = dataclasses.replace(SHORT, steps=20)
    holder = tiny.trainer(tmp_path, train)
    with pytest.raises(UsageError, match="is training this run: wait for it"):
        tiny.trainer(tmp_path, train, resume=True)
    holder.run(lambda progress: None)
    assert tiny.trainer(tmp_path, train, resume=True).env_steps == train.steps


TO_COME = {
    "latent_action_smooth_coef": 1e-3, "latent_smooth_warmup_steps": 10_000,
    "glass_off_steps": 10_000,
    "q_reset_steps": (10_000,),
    "restart_on_plateau": True, "restart_check_at": 10_000,
    "basin_restart": "gait", "basin_check_at": 10_000,
    "early_stop_patience": 10_000,
}  # fmt: skip
# Noise that ends as it started, bonuses of weight 0, and settings of a planner that has no share.
OFF = {
    "act_noise_end": 0.3, "soft_stand_bonus": 0.0, "knee_threshold_m": 0.5,
    "planner_noise": 0.5, "burst_steps": 9,
}  # fmt: skip


@pytest.mark.parametrize("changes", [TO_COME, OFF], ids=["to come", "off"])
def test_what_is_off_or_still_to_come_changes_no_bit(baseline, tmp_path, changes):
    _, plain = baseline
    assert leaves_equal(run(tmp_path, changes).learner, plain.learner)


def test_glass_stops_training_where_it_is_told_to(tmp_path):
    trainer = run(tmp_path, {"glass_off_steps": 160} | UNJUDGED, until=160)
    before = take(trainer.learner, 0).params
    while trainer.env_steps < 200:
        trainer.train_round()
    after = take(trainer.learner, 0).params
    assert trainer.schedule([trainer.env_steps]).glass.tolist() == [False]
    pairs = zip(jax.tree.leaves(before["glass"]), jax.tree.leaves(after["glass"]), strict=True)
    drift = max(float(np.abs(a - b).max()) for a, b in pairs)  # by Adam's memory alone
    assert drift < 10 * SHORT.losses.learning_rate
    assert not leaves_equal(before["enc"], after["enc"])


def test_the_schedule_follows_the_steps(tmp_path):
    changes = {
        "glass_warmup_steps": 100, "glass_off_steps": 300, "latent_smooth_warmup_steps": 50,
        "demo_bc_coef": 2.0, "demo_bc_end": 1.0, "demo_bc_decay_steps": 200,
    }  # fmt: skip
    trainer = tiny.trainer(tmp_path, apply(SHORT, changes))
    found = trainer.schedule([0, 50, 100, 200, 300])
    assert found.glass.tolist() == [False, False, True, True, False]
    assert found.smooth.tolist() == [False, True, True, True, True]
    assert found.imitation.tolist() == [2.0, 1.75, 1.5, 1.0, 1.0]


def test_collection_noise_is_annealed():
    train = apply(SHORT, {"act_noise_start": 0.3, "act_noise_end": 0.1})
    found = [noise_std(train, steps, 1)[0] for steps in (0, 500_000, 2_000_000)]
    assert found == pytest.approx([0.3, 0.2, 0.1])
    assert noise_std(SHORT, 2_000_000, 1)[0] == pytest.approx(0.3)


def test_random_actions_fade_out(tmp_path):
    """A policy of constant action 1, without noise, shows who acted at random."""
    changes = {"expl_mix_decay_steps": 400, "act_noise_start": 0.0, "buffer_steps": 40_000,
               "num_envs": 200}  # fmt: skip
    trainer = tiny.trainer(tmp_path, apply(SHORT, changes))
    collector = trainer.runs[0].collector
    ones = Proposal(np.ones((200, 4), np.float32), np.zeros(0, int), ())
    shares = []
    for env_steps in (0, 200, 400):
        collector.step(ones, env_steps)
        actions = collector.replay.action[collector.replay.added - 1]
        shares.append(float((actions != 1).any(axis=1).mean()))
    assert shares[0] == 1 and 0.35 < shares[1] < 0.65 and shares[2] == 0


def test_the_planner_collects_when_asked_to(baseline, tmp_path):
    _, plain = baseline
    planned = run(tmp_path, {"collect": "mppi", "act_noise_start": 0.0} | UNJUDGED)
    collector = planned.runs[0].collector
    assert [leaf.shape for leaf in collector.plan] == [(4, 3, 4), (4, 3, 4)]
    assert not leaves_equal(planned.learner.params, plain.learner.params)


def test_a_seed_that_still_acts_at_random_plans_nothing_for_its_company(tmp_path, monkeypatch):
    trainer = tiny.trainer(tmp_path, apply(SHORT, {"collect": "mppi"}), seeds=[1, 2])
    plans = tuple(np.ones_like(leaf) for leaf in trainer.runs[0].collector.plan)
    planned = Proposal(np.ones((4, 4), np.float32), np.zeros(0, int), plans)
    monkeypatch.setattr("glassviz.training.trainer.propose", lambda *given: [planned] * 2)
    trainer.env_steps = trainer.train.explore.expl_until
    trainer.runs[1].begun = trainer.env_steps  # as after a new start: alone it would not plan
    before = trainer.runs[1].collector.plan
    trainer.collect([0, 1])
    assert leaves_equal(trainer.runs[0].collector.plan, plans)
    assert leaves_equal(trainer.runs[1].collector.plan, before)


def test_a_run_with_the_planner_in_collection_resumes_exactly(tmp_path):
    changes = {"collect": "mppi", "cluster_intrinsic_coef": 0.1, "gait_action_smooth": 0.1}
    changes |= UNJUDGED
    whole = run(tmp_path / "whole", changes)
    run(tmp_path / "parts", changes, until=130)
    parts = run(tmp_path / "parts", changes, resume=True)
    assert leaves_equal(whole.learner, parts.learner)


MIXED = {"planner_share": 0.25, "planner_noise": 0.0, "act_noise_start": 0.0}


def test_the_planner_acts_for_a_share_of_the_hoppers_the_last_ones(tmp_path):
    trainer = tiny.trainer(tmp_path, apply(SHORT, MIXED))
    collector = trainer.runs[0].collector
    assert [leaf.shape for leaf in collector.plan] == [(1, 3, 4), (1, 3, 4)]
    trainer.env_steps = SHORT.explore.expl_until
    planned_by = {}
    for share in (0.0, 0.25, 1.0):
        train = apply(SHORT, MIXED | {"planner_share": share})
        count = train.explore.planned(4)
        plan = tuple(leaf[None, :1].repeat(count, axis=1) for leaf in collector.plan)
        given = (trainer.learner.params, collector.obs[None], plan if count else ())
        [found] = propose(train, *given, np.array([1], np.int32), trainer.env_steps)
        planned_by[share] = np.asarray(found.action)
    assert np.array_equal(planned_by[0.25][:3], planned_by[0.0][:3])
    assert not np.isclose(planned_by[0.25][3], planned_by[0.0][3]).any()
    # All by the planner is what `collect mppi` is.
    whole = apply(SHORT, {"collect": "mppi", "act_noise_start": 0.0})
    plan = tuple(leaf[None, :1].repeat(4, axis=1) for leaf in collector.plan)
    given = (trainer.learner.params, collector.obs[None], plan)
    [found] = propose(whole, *given, np.array([1], np.int32), trainer.env_steps)
    assert np.array_equal(found.action, planned_by[1.0])


def test_noise_is_spread_over_the_hoppers_of_the_policy():
    train = apply(SHORT, {"act_noise_start": 0.3, "act_noise_spread": 1.0, "planner_share": 0.25})
    assert noise_std(train, 0, 4) == pytest.approx([0.0, 0.3, 0.6, 0.3])
    quiet = apply(train, {"planner_noise": 0.0})
    assert noise_std(quiet, 0, 4) == pytest.approx([0.0, 0.3, 0.6, 0.0])


def test_bursts_of_random_actions_are_short_and_spare_the_planner(tmp_path):
    changes = {"burst_rate": 0.2, "burst_steps": 3, "num_envs": 40, "buffer_steps": 40_000,
               "planner_share": 0.25, "act_noise_start": 0.0}  # fmt: skip
    trainer = tiny.trainer(tmp_path, apply(SHORT, changes))
    collector = trainer.runs[0].collector
    ones = Proposal(np.ones((40, 4), np.float32), np.zeros(0, int), collector.plan)
    for _ in range(50):
        collector.step(ones, SHORT.explore.expl_until)
    burst = (collector.replay.action[:50] != 1).any(axis=2)
    assert not burst[:, 30:].any() and 0.1 < burst[:, :30].mean() < 0.5
    # Two bursts can follow each other; eight steps of one would be longer than any two.
    lengths = [
        len(run) for run in "".join(map(str, burst[:, :30].T.astype(int).ravel())).split("0")
    ]
    assert {1, 2, 3} <= set(lengths)


def test_a_run_with_a_planner_share_resumes_exactly(tmp_path):
    changes = MIXED | {"burst_rate": 0.2, "act_noise_spread": 0.5, "eval_every": 1000}
    whole = run(tmp_path / "whole", changes)
    run(tmp_path / "parts", changes, until=130)
    parts = run(tmp_path / "parts", changes, resume=True)
    assert leaves_equal(whole.learner, parts.learner)
    assert not leaves_equal(whole.runs[0].collector.plan, tiny.trainer(
        tmp_path / "new", apply(SHORT, changes)).runs[0].collector.plan)  # fmt: skip


@pytest.mark.parametrize("family", ["glass", "tdmpc2"])
def test_frozen_networks_keep_every_bit(tmp_path, family):
    train = SHORT if family == "glass" else official(SHORT)
    train = apply(train, {"freeze": ("enc", "pi", "glass"), "eval_every": 1000, "save_every": 1000})
    trainer = tiny.trainer(tmp_path, train)
    before = jax.tree.map(np.asarray, take(trainer.learner, 0).params)
    while trainer.env_steps < 200:
        trainer.train_round()
    after = take(trainer.learner, 0)
    assert after.updates > 0
    for name in before:
        assert leaves_equal(before[name], after.params[name]) is (name in train.losses.freeze)


def test_upright_resets_begin_standing_and_evaluation_does_not(tmp_path):
    trainer = tiny.trainer(tmp_path, apply(SHORT, {"upright_resets": 0.5}))
    pitch = np.abs(trainer.runs[0].collector.obs[:, 1])
    assert np.all(pitch[:2] <= 0.1) and np.any(pitch[2:] > 0.1)


def test_episodes_of_collection_can_be_shorter(tmp_path):
    trainer = run(tmp_path, {"collect_episode_steps": 10} | UNJUDGED, until=160)
    replay = trainer.runs[0].replay
    firsts = np.flatnonzero(replay.first[: len(replay), 0])
    assert firsts.tolist() == [0, 10, 20, 30]


def test_q_heads_are_reset_where_told(baseline, tmp_path):
    _, plain = baseline
    found = run(tmp_path, {"q_reset_steps": (200,)} | UNJUDGED)
    one, other = take(found.learner, 0), take(plain.learner, 0)
    assert not leaves_equal(one.params["q"], other.params["q"])
    assert leaves_equal(one.params["enc"], other.params["enc"])


def test_a_plateau_restarts_policy_and_q_and_is_logged(tmp_path):
    changes = {"restart_on_plateau": True, "restart_check_at": 100, "restart_threshold": 1e6,
               "restart_max_attempts": 1}  # fmt: skip
    trainer = run(tmp_path, changes)
    assert trainer.runs[0].plateau_restarts == 1
    assert events(tmp_path) == ["mppi", "pi", "restart_1", "mppi", "pi"]


def test_a_good_run_is_not_restarted(tmp_path):
    changes = {"restart_on_plateau": True, "restart_check_at": 100, "restart_threshold": -1.0}
    assert run(tmp_path, changes).runs[0].plateau_restarts == 0


def test_a_bad_basin_begins_again_with_another_seed(tmp_path, monkeypatch):
    monkeypatch.setattr(collection, "basin_signal", lambda *args: 0.125)
    changes = {"basin_restart": "gait", "basin_check_at": 100, "basin_max_attempts": 1}
    trainer = run(tmp_path, changes, until=120)
    seed_run = trainer.runs[0]
    assert seed_run.basin_restarts == 1 and seed_run.begun == 100
    assert seed_run.attempt_seed != seed_run.train.seed
    assert len(seed_run.replay) == 5  # what was collected since
    assert events(tmp_path) == ["mppi", "pi", "restart_1"]
    # No return was the reason, so none is told.
    assert (tmp_path / "seed_1.csv").read_text().endswith("\n100,,restart_1,1\n")
    records = map(json.loads, (tmp_path / "seed_1_metrics.jsonl").read_text().splitlines())
    [restart] = [each for each in records if each["kind"] == "restart"]
    assert (restart["reason"], restart["value"]) == ("gait", 0.125)
    last = checkpoints.load(tmp_path / "seed_1" / "checkpoints" / "last.safetensors")
    # The evaluation at this step was of the agent that was given up.
    assert (last.provenance["env_steps"], last.provenance["evaluation"]) == (100, {})
    while trainer.env_steps < 200:
        trainer.train_round()
    assert take(trainer.learner, 0).updates > 0


def test_the_gait_signal_is_the_share_of_contacts_by_the_foot_alone():
    geoms = ("floor", "torso", "foot")
    contacts = np.array([[0, 0, 1], [0, 1, 1], [0, 1, 0], [0, 0, 0], [0, 0, 1]], bool)
    assert collection.foot_share(contacts, geoms) == 0.5
    assert collection.foot_share(np.zeros((3, 3), bool), geoms) == 0


@pytest.mark.parametrize(("name", "bad"), [("refined-small-s1", False), ("glass-small-s3", True)])
def test_by_its_gait_an_agent_that_hops_is_in_a_good_basin_and_one_that_lies_in_a_bad(name, bad):
    agent = checkpoints.load(Path(__file__).parents[2] / f"checkpoints/{name}.safetensors")
    train = dataclasses.replace(SHORT, agent=agent.config)
    found = collection.basin_signal(train, "gait", agent.params, EVAL_SEED)
    assert (found < collection.BASIN_THRESHOLD["gait"]) is bad


@pytest.mark.parametrize(("active", "bad"), [(3, True), (4, False)])
def test_by_its_prototypes_an_agent_with_fewer_than_four_active_clusters_is_in_a_bad_basin(
    active, bad
):
    train = apply(SHORT, {"basin_restart": "prototypes", "glass_clusters": 5})
    params = init_learner(train).params
    one_each = np.full((6, 5), -9.0, np.float32)
    one_each[np.arange(6), np.arange(6) % active] = 9
    spread = {**params, "glass": {**params["glass"], "assign_logits": one_each}}
    found = collection.basin_signal(train, "prototypes", spread, EVAL_SEED)
    assert found == active and (found < collection.BASIN_THRESHOLD["prototypes"]) is bad


def test_a_run_without_progress_stops_early(tmp_path):
    trainer = run(tmp_path, {"early_stop_patience": 40, "eval_every": 1000})
    assert trainer.env_steps == 40 and trainer.runs[0].finished
    again = tiny.trainer(tmp_path, apply(SHORT, {"early_stop_patience": 40}), resume=True)
    assert again.env_steps == 40


def test_prototypes_start_at_the_centroids_of_visited_latents(tmp_path):
    trainer = run(tmp_path, {"kmeans_init": True}, until=tiny.TRAIN.explore.expl_until - 4)
    before = take(trainer.learner, 0).params["glass"]["prototypes"]
    trainer.train_round()
    after = np.asarray(take(trainer.learner, 0).params["glass"]["prototypes"])
    assert not np.array_equal(before, after)
    # Latents are groups that each sum to 1, and so are their centroids.
    assert np.allclose(after.reshape(6, 4, 4).sum(axis=-1), 1, atol=1e-5)


def test_glass_trains_no_prototypes_that_are_yet_to_be_found(tmp_path):
    changes = {"kmeans_init": True, "glass_warmup_steps": 20}
    trainer = tiny.trainer(tmp_path, apply(SHORT, changes))
    starts = trainer.train.prototypes_start
    assert starts == tiny.TRAIN.explore.expl_until > 20
    assert trainer.schedule([starts - 1, starts]).glass.tolist() == [False, True]


def test_a_run_that_would_begin_anew_cannot_start_from_an_agent(baseline, tmp_path):
    folder, _ = baseline
    last = checkpoints.load(folder / "seed_1" / "checkpoints" / "last.safetensors")
    with pytest.raises(
        UsageError, match="a basin restart would discard last, found basin_restart gait"
    ):
        tiny.trainer(tmp_path, apply(SHORT, {"basin_restart": "gait"}), start_from=last)


def test_multitask_runs_learn_two_tasks_and_ship_an_agent_for_each(tmp_path, monkeypatch):
    judge, judged = collection.basin_signal, []
    monkeypatch.setattr(
        collection, "basin_signal", lambda *of: judged.append((judge(*of), of[2])) or 1.0
    )
    changes = {"multitask": True, "upright_resets": 1.0, "basin_restart": "gait",
               "basin_check_at": 200, "eval_every": 200}  # fmt: skip
    trainer = run(tmp_path, changes)
    folder = tmp_path / "seed_1" / "checkpoints"
    hop = checkpoints.load(folder / "last.safetensors")
    stand = checkpoints.load(folder / "last_hopper-stand.safetensors")
    assert (hop.config.env.task, stand.config.env.task) == ("hopper-hop", "hopper-stand")
    assert leaves_equal(hop.params["enc"], stand.params["enc"])
    assert not leaves_equal(hop.params["q"], stand.params["q"])
    [(share, params)] = judged  # by the gait of the first task's agent, which does not hop yet
    assert share < collection.BASIN_THRESHOLD["gait"] and leaves_equal(params, hop.params)
    # Evaluations are of the first task alone.
    assert hop.provenance["evaluation"].keys() == {"mppi", "pi"}
    assert stand.provenance["evaluation"] == {}
    replay = trainer.runs[0].replay
    assert replay.reward[: len(replay), 2:].max() >= 0.8
    assert replay.reward[: len(replay), :2].max() < 0.8


IMITATING = {"demo_fraction": 0.25, "demo_bc_coef": 1.0}


def demonstrations() -> Replay:
    demos = Replay(30, 2, 15, 4)
    for i in range(30):
        demos.add(
            np.full((2, 15), 7, np.float32), np.full((2, 4), 0.5, np.float32),
            np.ones(2, np.float32), np.full(2, i == 0),
        )  # fmt: skip
    return demos


def test_demonstrations_come_first_in_every_batch(tmp_path):
    trainer = run(tmp_path, IMITATING, until=60, demos=demonstrations())
    batch = trainer.runs[0].sample()
    assert batch.obs.shape == (2, 4, 8, 15)
    assert np.all(batch.obs[:, :, :2] == 7) and not np.any(batch.obs[:, :, 2:] == 7)


def test_a_run_can_start_from_the_parameters_of_another(baseline, tmp_path):
    folder, plain = baseline
    last = checkpoints.load(folder / "seed_1" / "checkpoints" / "last.safetensors")
    started = tiny.trainer(tmp_path / "same", SHORT, start_from=last)
    learner = take(started.learner, 0)
    assert leaves_equal(learner.params, take(plain.learner, 0).params)
    assert leaves_equal(learner.params, learner.target_params)
    with pytest.raises(GlassvizError, match=r"start from last: leaf .* expected"):
        tiny.trainer(tmp_path / "other", apply(SHORT, {"glass_clusters": 5}), start_from=last)
    with pytest.raises(UsageError, match="multitask run cannot start from the agent of one task"):
        tiny.trainer(tmp_path / "two", apply(SHORT, {"multitask": True}), start_from=last)


def test_checkpoints_of_a_resumed_run_say_what_the_first_start_said(tmp_path):
    first = {"recipe": "first", "demos": {"name": "demos", "sha256": "d"}}
    later = first | {"recipe": "later"}
    train = apply(SHORT, IMITATING | UNJUDGED | {"steps": 40})
    Trainer(train, tmp_path, first, demos=demonstrations()).run(lambda progress: None)
    longer = dataclasses.replace(train, steps=44)
    options = dict(resume_from_save=True, demos=demonstrations())
    other = later | {"demos": {"name": "others", "sha256": "o"}}
    with pytest.raises(UsageError, match="started with the demonstrations demos"):
        Trainer(longer, tmp_path, other, **options)
    Trainer(longer, tmp_path, later, **options).run(lambda progress: None)
    last = checkpoints.load(tmp_path / "seed_1" / "checkpoints" / "last.safetensors")
    assert last.provenance["env_steps"] == 44
    assert first.items() <= last.provenance.items()


def test_a_run_that_learns_from_demonstrations_needs_them(tmp_path):
    with pytest.raises(UsageError, match=r"found none: pass a file with --demos"):
        tiny.trainer(tmp_path, apply(SHORT, {"demo_fraction": 0.25}))


def test_demonstrations_that_are_shorter_than_a_sequence_are_refused(tmp_path):
    short = Replay(3, 2, 15, 4)
    for i in range(3):
        short.add(np.zeros((2, 15), np.float32), np.zeros((2, 4), np.float32),
                  np.zeros(2, np.float32), np.full(2, i == 0))  # fmt: skip
    with pytest.raises(UsageError, match="longer than a sequence of 3 steps, found 3"):
        tiny.trainer(tmp_path, apply(SHORT, {"demo_fraction": 0.25}), demos=short)


@pytest.mark.parametrize(
    "changes",
    [{"precision": "bfloat16"}, {"cluster_obs": True}, {"routed_critic": True}],
    ids=lambda changes: next(iter(changes)),
)
def test_other_agents_train_save_and_load(baseline, tmp_path, changes):
    _, plain = baseline
    trainer = run(tmp_path, changes)
    last = checkpoints.load(tmp_path / "seed_1" / "checkpoints" / "last.safetensors")
    assert leaves_equal(take(trainer.learner, 0).params, last.params)
    assert not leaves_equal(
        take(trainer.learner, 0).params["enc"], take(plain.learner, 0).params["enc"]
    )
