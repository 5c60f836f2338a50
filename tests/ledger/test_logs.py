"""Files are read by their content, whatever their format; what is none says why."""

import json

import numpy as np
import pytest

from glassviz.errors import GlassvizError
from glassviz.ledger.logs import Log, NotALogError, controller_of, packed, read_log, unpacked
from glassviz.training.log import RunLog
from tests.helpers.log_trees import STEP, log, rows, write
from tests.helpers.run_folders import evaluation


def test_the_published_columns_with_spaces_around_them(tmp_path):
    path = write(
        tmp_path / "seed_1.csv", [f" {STEP} , 12.5 , mppi , 1 "], "step, reward, eval_type, seed "
    )
    [found] = read_log(path).trainings
    assert found.seed == 1
    assert found.series["mppi"].steps.tolist() == [STEP]
    assert found.series["mppi"].returns.tolist() == [12.5]


def test_published_results_hold_every_seed(tmp_path):
    lines = [f"{step},{seed}.5,{seed}" for seed in (1, 2, 3) for step in (0, 100_000)]
    found = read_log(write(tmp_path / "hopper-hop.csv", lines, "step,reward,seed"))
    assert [each.seed for each in found.trainings] == [1, 2, 3]
    assert found.trainings[1].series["eval"].returns.tolist() == [2.5, 2.5]


def test_an_official_evaluation_log(tmp_path):
    path = write(
        tmp_path / "eval.csv", ["0,1.0,9", "50000,20.0,9"], "step,episode_reward,episode_length"
    )
    [found] = read_log(path).trainings
    assert found.seed is None and found.series["eval"].steps.tolist() == [0, 50_000]


def test_a_chart_exported_by_wandb_has_a_training_per_run(tmp_path):
    header = ",".join(
        f'"{name}"'
        for name in (
            "Step",
            "HopperHop_phaseg_s1 - eval/episode_reward",
            "HopperHop_phaseg_s1 - eval/episode_reward__MIN",
            "HopperHop_phaseg_s2 - eval/episode_reward",
        )
    )
    lines = ['"100","1.5","1.0",""', '"200","2.5","2.0","7.5"']
    found = read_log(write(tmp_path / "chart.csv", lines, header))
    assert [each.name for each in found.trainings] == ["HopperHop_phaseg_s1", "HopperHop_phaseg_s2"]
    assert [each.series["eval"].returns.tolist() for each in found.trainings] == [[1.5, 2.5], [7.5]]


def test_a_history_exported_by_wandb_counts_environment_steps(tmp_path):
    header = ",_step,_runtime,train/episode_reward,eval/step,eval/episode_reward"
    lines = ["0,0,1.0,5.0,,", "1,1,2.0,,50000,30.0", "2,2,3.0,,100000,40.0"]
    [found] = read_log(write(tmp_path / "history.csv", lines, header)).trainings
    assert found.series["eval"].steps.tolist() == [50_000, 100_000]


def test_events_of_tensorboard_are_those_of_the_run_log(tmp_path):
    written = RunLog(tmp_path, 1, tensorboard=True)
    written.start()
    written.append(evaluation(1000))
    written.append(evaluation(1000, "mppi", (50.0, 60.0)))
    written.restart(1, 1000, "best_mppi", 55.0)
    path = tmp_path / "seed_1" / "events.out.tfevents"
    [found] = read_log(path).trainings
    assert found.series["mppi"].returns.tolist() == [55.0]
    assert found.restarts == (1000,)
    path.write_bytes(path.read_bytes()[:-3])
    assert read_log(path).incomplete


def test_a_file_named_as_events_that_is_none_says_so(tmp_path):
    path = tmp_path / "tfevents"
    path.write_bytes(b"\xff" * 100)
    with pytest.raises(NotALogError, match="no event file"):
        read_log(path)


@pytest.mark.parametrize(
    ("name", "controller"),
    [
        ("return/mppi", "mppi"),
        ("eval/mppi_reward", "mppi"),
        ("pi_return", "pi"),
        ("eval/episode_reward", "eval"),
        ("train/episode_reward", None),
        ("loss", None),
    ],
)
def test_the_controller_of_a_column(name, controller):
    assert controller_of(name) == controller


@pytest.mark.parametrize(
    ("header", "reason"),
    [
        ("step,eval_type,seed,full_reward_rate", "measures beside"),
        ("step,seed,pi_reward,mppi_reward,selected,reward,margin", "measures beside"),
        ("name,phone", "its columns are name and phone"),
        ("step,loss", "its columns are step and loss"),
        ("", "an empty file"),
        ("step,reward,eval_type,seed", "no evaluation yet"),
    ],
)
def test_what_is_no_log_says_why(tmp_path, header, reason):
    with pytest.raises(NotALogError, match=reason):
        read_log(write(tmp_path / "a.csv", [], header))


def test_a_damaged_line_is_left_out_and_counted(tmp_path):
    lines = rows(1, {"mppi": range(1, 30)})
    lines[10] = lines[10][:-3] + lines[11]
    found = read_log(write(tmp_path / "seed_1.csv", lines))
    assert found.damaged == (12,)
    assert len(found.trainings[0].series["mppi"]) == 28


def test_a_file_of_damaged_lines_is_no_log(tmp_path):
    with pytest.raises(GlassvizError, match="damaged lines of 7"):
        read_log(write(tmp_path / "seed_1.csv", ["x,y,z,w"] * 3 + rows(1, {"pi": [1.0] * 4})))


def test_a_cut_line_is_incomplete(tmp_path):
    path = log(tmp_path, 1, [1.0, 2.0])
    path.write_text(path.read_text()[:-4])
    found = read_log(path)
    assert found.incomplete and len(found.trainings[0].series["mppi"]) == 1


def test_a_log_whose_steps_go_back_without_end_is_refused(tmp_path):
    lines = [f"{step},1.0,pi,1" for _ in range(70) for step in (100, 1)]
    with pytest.raises(GlassvizError, match="at most 64 trainings"):
        read_log(write(tmp_path / "seed_1.csv", lines))


def test_what_is_packed_comes_back(tmp_path):
    path = log(tmp_path, 1, [1.0, 2.0], arb=[5.0])
    found = read_log(path)
    back = unpacked(packed(found))
    assert back.format == found.format and back.trainings[0].restarts == ()
    for kind, series in found.trainings[0].series.items():
        np.testing.assert_array_equal(back.trainings[0].series[kind].returns, series.returns)


@pytest.mark.parametrize("data", [b"", b"{}", b"[]", b'{"trainings": 3}', b"\xff\n"])
def test_other_bytes_are_not_unpacked(data):
    with pytest.raises(ValueError):
        unpacked(data)


def test_settings_of_a_run_folder(tmp_path):
    path = tmp_path / "train.json"
    agent = {"env": {"task": "hopper-hop"}, "glass": {}}
    shaping = {"soft_stand_bonus": 0.1}
    told = {"agent": agent, "steps": 9, "k_update": 64, "seed": 1, "shaping": shaping}
    path.write_text(json.dumps(told))
    found = read_log(path)
    assert isinstance(found, Log) and found.facts["shaped"] and found.facts["steps"] == 9
    path.write_text("[1]")
    with pytest.raises(NotALogError):
        read_log(path)
