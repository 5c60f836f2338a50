"""Curves of other quantities than the return over environment steps: as they were logged."""

import json
from pathlib import Path

import pytest

from glassviz.errors import UsageError
from glassviz.figures.returns import curves_caption, learning_curves
from glassviz.ledger.curves import TRAINING, read_runs
from glassviz.ledger.rows import CONTROLLERS
from glassviz.rollout.batch import Failed
from glassviz.training.log import RunLog
from glassviz.training.quantities import measured
from tests.helpers.commands import invoke

DIAGNOSTICS = """step,eval_type,seed,full_reward_rate,standing_rate,fall_count,time_to_first_full
100,pi,1,0.0,0.25,0.0,
100,mppi,1,0.0,0.5,0.0,
200,pi,1,0.1,0.75,2.0,40.0
200,mppi,1,0.2,1.0,1.0,30.0
"""


def logged(folder: Path, rounds: bool = True) -> Path:
    """A run folder: updates are a tenth of the steps, and a step takes 36 s."""
    log = RunLog(folder, 1)
    folder.mkdir()
    log.start()
    log.returns.write_text(
        "step,reward,eval_type,seed\n" + "".join(
            f"{step},{step}.5,{kind},1\n" for step in (100, 200) for kind in ("pi", "mppi")
        )
    )  # fmt: skip
    log.diagnostics.write_text(DIAGNOSTICS)
    lines = [
        {"kind": "round", "env_steps": step, "value_loss": 1 / (step or 1), "policy_loss": None,
         "updates": step // 10, "clock": {"time": 1e9 + 36 * step, "updates_per_s": 5.0}}
        for step in range(0, 201, 50)
    ]  # fmt: skip
    lines[0]["value_loss"] = True  # not a number
    if rounds:
        log.records.write_text("".join(json.dumps(line) + "\n" for line in lines) + '{"kind": ')
    return folder


def curves_of(folder: Path, x: str = "env_steps", y: str = "return"):
    [run] = measured(read_runs([folder]), [folder], x, y)
    assert not isinstance(run, Failed)
    return {curve.controller: (curve.x, curve.y) for curve in run.curves}


@pytest.fixture
def folder(tmp_path) -> Path:
    return logged(tmp_path / "hop")


def test_measures_of_evaluations_and_losses_are_drawn_as_they_were_logged(folder):
    assert curves_of(folder, y="standing_rate") == {
        "pi": ((100, 200), (0.25, 0.75)),
        "mppi": ((100, 200), (0.5, 1.0)),
    }
    steps, rates = curves_of(folder, y="time_to_first_full")["pi"]
    assert steps == (100, 200) and rates[0] != rates[0] and rates[1] == 40.0
    losses = {TRAINING: ((50, 100, 150, 200), (1 / 50, 1 / 100, 1 / 150, 1 / 200))}
    assert curves_of(folder, y="value_loss") == losses


def test_other_x_axes_are_interpolated_between_the_records(folder):
    assert curves_of(folder, x="updates")["pi"] == ((10.0, 20.0), (100.5, 200.5))
    hours, _ = curves_of(folder, x="hours", y="fall_count")["mppi"]
    assert hours == pytest.approx((1.0, 2.0))
    (updates, _) = curves_of(folder, x="updates", y="value_loss")[TRAINING]
    assert updates == (5.0, 10.0, 15.0, 20.0)


def test_a_training_that_started_from_another_agent_keeps_its_own_updates(folder):
    (folder / "seed_1").mkdir()
    (folder / "seed_1" / "run.json").write_text('{"starts": [{"init": {"env_steps": 1000}}]}')
    assert curves_of(folder, y="standing_rate")["pi"][0] == (1100, 1200)
    assert curves_of(folder, x="updates")["pi"][0] == (10.0, 20.0)


def test_what_no_log_has_is_refused_with_a_list_of_what_is_there(folder, tmp_path):
    published = logged(tmp_path / "published", rounds=False)
    rows = read_runs([published])
    with pytest.raises(UsageError, match="return, full_reward_rate, standing_rate, fall_count and"):
        measured(rows, [published], y="value_loss")
    with pytest.raises(UsageError, match=r"--x: .* found 'hours': choose among env_steps$"):
        measured(rows, [published], x="hours")
    both = [folder, published]
    told: list[str] = []
    good, bad = measured(read_runs(both), both, y="value_loss", tell=told.append)
    assert not isinstance(good, Failed) and isinstance(bad, Failed)
    assert "no value_loss in its logs, which have env_steps, return, full_" in bad.error
    (published / "seed_2.csv").write_text("step,reward,eval_type,seed\n100,1.0,pi,2\n")
    [run] = measured(read_runs([published]), [published], y="fall_count", tell=told.append)
    assert not isinstance(run, Failed) and run.seeds == 1
    assert told == [f"{published}, seed 2: left out, as there is no fall_count in the logs"]


def test_a_damaged_record_is_named_with_its_line(folder):
    path = folder / "seed_1_metrics.jsonl"
    for bad in ("{", "[]", '{"env_steps": -1}', '{"env_steps": 1e400}', '{"env_steps": "1"}'):
        path.write_text(f'{bad}\n{{"env_steps": 1}}\n')
        [row] = measured(read_runs([folder]), [folder], y="standing_rate")
        assert isinstance(row, Failed) and "metrics.jsonl, line 1: expected" in row.error


def test_axes_have_names_with_units(folder):
    [run] = measured(read_runs([folder]), [folder], "hours", "value_loss")
    [axes] = learning_curves([run], [TRAINING], x="hours", y="value_loss").axes
    assert axes.get_xlabel() == "time since the first record, h"
    assert axes.get_ylabel() == "value loss" and 0.02 < axes.get_ylim()[1] < 0.03
    assert "value loss of single seeds" in curves_caption([run], y="value_loss")
    assert len(learning_curves(read_runs([folder]), CONTROLLERS).axes) == 2


def test_the_command_draws_what_is_asked_for_or_says_what_there_is(folder, tmp_path):
    out = tmp_path / "a.svg"
    invoke("curves", folder, "--x", "updates", "--y", "value_loss", "-o", out)
    assert "gradient updates" in out.read_text() and "published" not in out.read_text()
    more = ["-o", tmp_path / "b.svg"]
    done = invoke("curves", folder, "--y", "loss", *more, code=2)
    assert "found 'loss': choose among return, full_reward_rate, standing_rate" in done.stderr
    for wrong in (["--controller", "pi"], ["--published"]):
        done = invoke("curves", folder, "--y", "value_loss", *wrong, *more, code=2)
        assert wrong[0] in done.stderr and len(done.stderr.splitlines()) == 1
    assert not (tmp_path / "b.svg").exists()
