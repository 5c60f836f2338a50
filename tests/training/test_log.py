"""The logs of a run: published columns, whole lines, and a rewind that loses nothing else."""

import csv
import json
import sys
import tempfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from glassviz.errors import GlassvizError, UsageError
from glassviz.training.log import RunLog
from tests.helpers.commands import python_process, wait_until
from tests.helpers.run_folders import (
    evaluation,
    log_files,
    log_span,
    scalars,
)


def test_the_tables_have_the_published_columns(tmp_path):
    log = RunLog(tmp_path, 3)
    log.start()
    log.append(evaluation(500))
    log.restart(1, 500, "best_mppi", 13.375)
    log.restart(2, 600, "gait", 0.125)
    assert log.returns.read_text() == (
        "step,reward,eval_type,seed\n500,13.375,pi,3\n500,13.375,restart_1,3\n600,,restart_2,3\n"
    )
    assert log.diagnostics.read_text() == (
        "step,eval_type,seed,full_reward_rate,standing_rate,fall_count,time_to_first_full\n"
        "500,pi,3,0.125,0.5,1.5,\n"
    )


def test_records_keep_episodes_and_put_the_clock_apart(tmp_path):
    log = RunLog(tmp_path, 3)
    log.start()
    log.metrics(256, {"updates": 64, "reward_loss": np.float32(0.5), "q": float("nan")}, {"ups": 9})
    log.append(evaluation(256))
    log.restart(2, 256, "best_mppi", 1.5)
    measured, evaluated, restarted = map(json.loads, log.records.read_text().splitlines())
    assert {"time", "ups"} == measured.pop("clock").keys()
    assert measured == {
        "kind": "round",
        "env_steps": 256,
        "updates": 64,
        "reward_loss": 0.5,
        "q": None,
    }
    assert evaluated["returns"] == [12.5, 14.25] and evaluated["reset_seeds"] == [10_000, 10_001]
    assert (evaluated["kind"], evaluated["controller"], evaluated["mean"]) == (
        "evaluation",
        "pi",
        13.375,
    )
    assert (restarted["kind"], restarted["attempt"]) == ("restart", 2)
    assert (restarted["reason"], restarted["value"]) == ("best_mppi", 1.5)


@settings(max_examples=25)
@given(st.data())
def test_a_rewound_log_continues_as_if_it_had_never_gone_on(data):
    kinds = data.draw(st.lists(st.sampled_from(["round", "pi", "mppi", "restart"]), max_size=8))
    saved = data.draw(st.integers(0, len(kinds)), label="saved at")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        log = RunLog(folder, 1)
        log.start()
        log_span(log, kinds[:saved])
        at_save = {path: path.stat().st_size for path in folder.iterdir()}
        log_span(log, kinds, saved)
        whole = log_files(folder)
        for path, least in at_save.items():
            now = path.read_bytes()
            # A share: lines are of other lengths at another time of day.
            share = data.draw(st.floats(0, 1), label=f"share of {path.name} that is left")
            cut = least + round(share * (len(now) - least))
            torn = data.draw(st.sampled_from([b"", b"\0" * 5, b"9\n", b"\xff\n{", b'{"env_st']))
            path.write_bytes(now[:cut] + torn)
        log.rewind(saved)
        assert {path: path.stat().st_size for path in folder.iterdir()} == at_save
        log_span(log, kinds, saved)
        assert log_files(folder) == whole


def test_a_row_that_was_cut_at_its_end_is_not_glued_to_the_next(tmp_path):
    log = RunLog(tmp_path, 12)
    log.start()
    log_span(log, ["pi", "pi"])
    whole = log_files(tmp_path)
    for path in (log.returns, log.diagnostics, log.records):
        path.write_bytes(path.read_bytes()[:-1])
    log.rewind(2)
    log_span(log, ["pi", "pi"], first=1)
    assert log_files(tmp_path) == whole


def test_a_log_that_is_missing_or_of_an_older_version_can_be_rewound(tmp_path):
    log = RunLog(tmp_path, 1)
    log.returns.write_bytes(b"step,reward,eval_type,seed\r\n100,1.0,pi,1\r\n200,2.0,pi,1\r\n")
    log.rewind(100)
    log.append(evaluation(200))
    with log.returns.open(newline="") as file:
        assert [row["step"] for row in csv.DictReader(file)] == ["100", "200"]
    assert len(log.diagnostics.read_text().splitlines()) == 2


def test_rewinding_reads_steps_as_curves_do(tmp_path):
    log = RunLog(tmp_path, 1)
    log.start()
    rows = [b"100.0,1.0,pi,1\n", b" 2e2, 2.0, pi, 1\n", b"300,3.0,pi,1\n"]
    log.returns.write_bytes(log.returns.read_bytes() + b"".join(rows))
    log.rewind(200)
    assert log.returns.read_bytes().splitlines(keepends=True)[1:] == rows[:2]


def test_a_log_with_other_columns_is_not_rewound_and_nothing_is_lost(tmp_path):
    log = RunLog(tmp_path, 1)
    log.start()
    log_span(log, ["pi", "pi"])
    whole = log_files(tmp_path)
    log.diagnostics.write_text("seed,step,more\n1,100,7\n")
    with pytest.raises(GlassvizError, match=r"diag\.csv, line 1: expected the columns step,eval_"):
        log.rewind(1)
    changed = log_files(tmp_path)
    assert [whole[name] == changed[name] for name in whole].count(False) == 1


APPENDING = """
from pathlib import Path
from glassviz.rollout.evaluate import Evaluation
from glassviz.training.log import RunLog
log = RunLog(Path({folder!r}), 1)
log.start()
for step in range(1, 1_000_000):
    log.metrics(step, {{"loss": 1 / step}})
    log.append(Evaluation(step, "pi", (1.0, 2.0), (1, 2), 0.5, 0.5, 1.0, None))
"""


def test_a_log_whose_writer_was_killed_can_be_rewound(tmp_path):
    log = RunLog(tmp_path, 1)
    with python_process("-c", APPENDING.format(folder=str(tmp_path))) as process:
        wait_until(lambda: log.records.exists() and log.records.stat().st_size > 20_000, process)
    log.rewind(20)
    steps = [json.loads(line)["env_steps"] for line in log.records.read_text().splitlines()]
    assert steps == [step for step in range(1, 21) for _ in range(2)]
    assert len(log.returns.read_text().splitlines()) == 21


def test_tensorboard_shows_what_the_log_holds_and_nothing_from_after_a_rewind(tmp_path):
    log = RunLog(tmp_path, 1, tensorboard=True)
    log.start()
    log_span(log, ["round", "pi", "round"])
    [path] = (tmp_path / "seed_1").glob("*tfevents*")
    first, clock, second, third, _ = scalars(path)
    assert first == (1, "train/loss", 1.0)
    assert clock[:2] == (1, "clock/updates_per_s")
    assert second[:2] == (2, "return/pi") and second.value == pytest.approx((2 / 7 + 2) / 2)
    assert third == (3, "train/loss", pytest.approx(1 / 3))
    log.rewind(2)
    assert [scalar.step for scalar in scalars(path)] == [1, 1, 2]


def test_tensorboard_has_the_past_of_a_log_that_began_without_it(tmp_path):
    plain = RunLog(tmp_path, 1)
    plain.start()
    log_span(plain, ["pi", "restart"])
    log = RunLog(tmp_path, 1, tensorboard=True)
    log.rewind(2)
    [path] = (tmp_path / "seed_1").glob("*tfevents*")
    assert [scalar.tag for scalar in scalars(path)] == ["return/pi", "restart/best_mppi"]


def test_without_the_extra_tensorboard_is_refused_with_what_to_install(tmp_path, monkeypatch):
    for name in [name for name in sys.modules if name.startswith("tensorboardX")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "tensorboardX", None)
    with pytest.raises(UsageError, match=r"pip install 'glassviz\[tensorboard\]'"):
        RunLog(tmp_path, 1, tensorboard=True)
