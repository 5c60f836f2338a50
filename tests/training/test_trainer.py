"""A training run logs, saves, evaluates both controllers, and survives a kill."""

import contextlib
import csv
import dataclasses
import json
import os
import shutil
import signal
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import tests.helpers.tiny as tiny
from glassviz import checkpoints
from glassviz.errors import GlassvizError, UsageError
from glassviz.training.config import apply
from glassviz.training.learner import take
from tests.helpers.commands import python_process
from tests.helpers.run_folders import log_files

LOG_EVERY = 20


class Stopped(Exception):
    """Ends a run in the middle, as a kill would."""


@pytest.fixture(scope="module", autouse=True)
def rounds_logged_often():
    """So that runs as short as these log several of them."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("glassviz.training.trainer.LOG_EVERY", LOG_EVERY)
        yield


def run(folder: Path, stop_after: int | None = None, train=tiny.TRAIN, resume=False):
    trainer = tiny.trainer(folder, train, resume)

    def on_round(progress):
        if stop_after and progress.env_steps >= stop_after:
            raise Stopped

    with contextlib.suppress(Stopped):
        trainer.run(on_round)
    return trainer


def leaves_equal(one, other) -> bool:
    pairs = zip(jax.tree.leaves(one), jax.tree.leaves(other), strict=True)
    return all(np.array_equal(a, b) for a, b in pairs)


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    folder = tmp_path_factory.mktemp("run")
    return folder, run(folder)


def rows(folder: Path) -> list[dict[str, str]]:
    with (folder / "seed_1.csv").open() as file:
        return list(csv.DictReader(file))


def test_the_log_has_the_published_columns_and_a_row_a_controller(finished):
    folder, _ = finished
    table = rows(folder)
    assert list(table[0]) == ["step", "reward", "eval_type", "seed"]
    assert [(row["step"], row["eval_type"]) for row in table] == [
        (str(step), kind) for step in (100, 200, 300, 400) for kind in ("mppi", "pi")
    ]
    assert {row["seed"] for row in table} == {"1"}


def test_rounds_log_losses_diagnostics_of_glass_and_speed(finished):
    folder, _ = finished
    lines = (folder / "seed_1_metrics.jsonl").read_text().splitlines()
    found = [record for record in map(json.loads, lines) if record["kind"] == "round"]
    steps = list(range(tiny.TRAIN.learning_starts, tiny.TRAIN.steps + 1, LOG_EVERY))
    assert [record["env_steps"] for record in found] == steps
    rounds = [(step - tiny.TRAIN.learning_starts) // tiny.TRAIN.num_envs + 1 for step in steps]
    assert [record["updates"] for record in found] == [2 * number for number in rounds]
    for record in found:
        clock = record.pop("clock")
        assert clock.keys() == {"time", "updates_per_s"} and clock["updates_per_s"] > 0
        losses = {f"{name}_loss" for name in ("consistency", "reward", "value", "policy")}
        terms = {f"glass_{name}" for name in ("entropy", "balance", "temporal")}
        diagnostics = {"clusters_active_in_s", "prototypes_visited", "assignment_confidence"}
        others = {"loss", "grad_norm", "scale", "q_mean", "q_spread"}
        known = {"kind", "env_steps", "updates"}
        assert record.keys() == losses | terms | diagnostics | others | known
        assert None not in record.values()  # that would be a number that is not finite
        assert 1 <= record["prototypes_visited"] <= 6 and 1 <= record["clusters_active_in_s"] <= 3
        assert 1 / 6 <= record["assignment_confidence"] <= 1
    assert len({record["reward_loss"] for record in found}) == len(found)


def test_checkpoints_say_where_they_come_from(finished):
    folder, trainer = finished
    last = checkpoints.load(folder / "seed_1" / "checkpoints" / "last.safetensors")
    assert last.config == tiny.AGENT
    assert last.provenance["env_steps"] == 400
    assert last.provenance["algo"] == "tdmpc-glass"
    assert len(last.provenance["evaluation"]["pi"]["returns"]) == 2
    assert last.provenance["shaped"] is False
    assert leaves_equal(take(trainer.learner, 0).params, last.params)
    names = {path.stem for path in (folder / "seed_1" / "checkpoints").iterdir()}
    steps = {f"step_{step:09d}" for step in (200, 300, 400)}
    assert names == {"best_mppi", "best_pi", "last"} | steps


def test_a_save_tells_of_no_evaluation_but_that_of_its_step(tmp_path):
    train = dataclasses.replace(tiny.TRAIN, steps=60, eval_every=40)
    run(tmp_path, train=train)
    folder = tmp_path / "seed_1" / "checkpoints"
    last, best = (checkpoints.load(folder / f"{name}.safetensors") for name in ("last", "best_pi"))
    assert (last.provenance["env_steps"], last.provenance["evaluation"]) == (60, {})
    assert best.provenance["env_steps"] == best.provenance["evaluation"]["pi"]["env_steps"] == 40


def test_the_best_checkpoint_is_that_of_the_best_evaluation(finished):
    folder, _ = finished
    best = checkpoints.load(folder / "seed_1" / "checkpoints" / "best_pi.safetensors")
    logged = {int(r["step"]): float(r["reward"]) for r in rows(folder) if r["eval_type"] == "pi"}
    assert logged[best.provenance["env_steps"]] == max(logged.values())


def test_a_resumed_run_equals_one_that_was_never_stopped(finished, tmp_path):
    folder, whole = finished
    run(tmp_path, stop_after=270)  # between the saves at 200 and 300
    continued = run(tmp_path, resume=True)
    assert log_files(tmp_path) == log_files(folder)
    assert leaves_equal(whole.learner, continued.learner)


def test_a_run_does_not_start_over_another(finished):
    folder, _ = finished
    with pytest.raises(UsageError, match="--resume"):
        tiny.trainer(folder)


def test_resume_refuses_another_configuration(finished):
    folder, _ = finished
    other = apply(tiny.TRAIN, {"learning_rate": 1e-3})
    with pytest.raises(UsageError, match=r"losses\.learning_rate = 0\.0003 .* found 0\.001"):
        tiny.trainer(folder, other, resume=True)


def test_resume_without_a_run_says_so(tmp_path):
    with pytest.raises(UsageError, match="found none"):
        tiny.trainer(tmp_path, resume=True)


@pytest.fixture
def copied(finished, tmp_path):
    """The folder of a finished run, free to be changed."""
    folder, _ = finished
    return Path(shutil.copytree(folder, tmp_path / "copied"))


def test_a_finished_run_can_be_prolonged(copied):
    longer = run(copied, train=dataclasses.replace(tiny.TRAIN, steps=500), resume=True)
    assert longer.env_steps == 500
    assert rows(copied)[-1]["step"] == "500"


def test_a_truncated_save_is_named(copied):
    state = copied / "seed_1" / "resume.npz"
    state.write_bytes(state.read_bytes()[:1000])
    with pytest.raises(GlassvizError, match=r"resume\.npz: expected the saved state"):
        tiny.trainer(copied, resume=True)


def spoilt(trainer, seed: int, name: str) -> None:
    """Make one weight of one network of one seed NaN."""
    params = trainer.learner.params
    leaves, structure = jax.tree.flatten(params[name])
    leaves[0] = leaves[0].at[seed, ..., 0].set(jnp.nan)
    params = params | {name: jax.tree.unflatten(structure, leaves)}
    trainer.learner = trainer.learner._replace(params=params)


def test_divergence_stops_the_run_with_step_update_term_and_save(tmp_path):
    trainer = tiny.trainer(tmp_path)
    spoilt(trainer, 0, "rew")
    # From the second update on the NaN is everywhere: the first is the one to tell of.
    found = (
        r"diverged at step 40, update 1: .* found reward_loss not finite: .*resume\.npz of step 0"
    )
    with pytest.raises(GlassvizError, match=found):
        trainer.run(lambda progress: None)


def test_divergence_in_the_middle_of_a_round_names_its_update_and_seed(tmp_path, monkeypatch):
    train = dataclasses.replace(tiny.TRAIN, k_update=3)
    trainer = tiny.trainer(tmp_path, train, seeds=[1, 2])
    sample = trainer.runs[1].sample

    def with_a_broken_reward():
        batch = sample()
        batch.reward[1] = np.nan
        return batch

    monkeypatch.setattr(trainer.runs[1], "sample", with_a_broken_reward)
    found = r"seed_2: training diverged at step 40, update 2: .* found reward_loss, value_loss not"
    with pytest.raises(GlassvizError, match=found):
        trainer.run(lambda progress: None)


KILLED = """
from pathlib import Path
import dataclasses
from tests.helpers import tiny
from glassviz.training import trainer
trainer.LOG_EVERY = {every}
train = dataclasses.replace(tiny.TRAIN, steps=100_000)
def on_round(progress):
    if progress.env_steps == 252:
        print("between two saves", flush=True)
tiny.trainer(Path({folder!r}), train).run(on_round)
"""


def test_a_killed_run_goes_on_as_if_it_had_never_been(finished, tmp_path):
    script = KILLED.format(every=LOG_EVERY, folder=str(tmp_path))
    with python_process("-c", script) as process:
        assert process.stdout.readline() == "between two saves\n"
        os.kill(process.pid, signal.SIGKILL)
    resumed = tiny.trainer(tmp_path, resume=True)
    assert 200 <= resumed.env_steps < 400
    resumed.run(lambda progress: None)
    folder, whole = finished
    assert log_files(tmp_path) == log_files(folder)
    assert leaves_equal(whole.learner, resumed.learner)


def test_progress_tells_losses_and_how_long_rounds_and_evaluations_take(tmp_path):
    trainer, told = tiny.trainer(tmp_path, tiny.TRAIN, False), []
    trainer.run(told.append)
    assert told[-1].env_steps == trainer.all_steps >= tiny.TRAIN.steps
    assert {"loss", "consistency", "reward", "value", "policy"} == set(told[-1].losses)
    assert all(np.isfinite(list(each.losses.values())).all() for each in told)
    assert all(0 <= each.evaluation_s <= each.seconds for each in told)
    assert any(each.evaluations and each.evaluation_s > 0 for each in told)
    assert [run.kept_at for run in trainer.runs] == [trainer.all_steps]
