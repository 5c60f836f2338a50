"""From a tree of logs to trainings: what is one, what is two, what each is marked as."""

import json
import os
import random
import sqlite3
import time
from pathlib import Path

import pytest

from glassviz.errors import GlassvizError
from glassviz.files import MissingFileError
from glassviz.ledger import Index, Ledger, against_published, load_rules, read, summarise
from glassviz.ledger.tree import walk
from tests.helpers.log_trees import STEP, log, rows, write

GONE = 1e12
"""A time at which nothing is running any more."""


@pytest.fixture
def index(tmp_path) -> Index:
    return Index(tmp_path / "index.sqlite")


@pytest.fixture
def tree(tmp_path) -> Path:
    return tmp_path / "tree"


def ledger_of(tree: Path, index: Index, **options) -> Ledger:
    return read(tree, index=index, **{"now_s": GONE, **options})


def reasons(found: Ledger) -> dict[str, str]:
    return {each.path.name: each.reason for each in found.skipped}


def test_a_training_has_steps_and_returns_by_controller(tree, index):
    log(tree / "HopperHop_phaseg", 3, [10.0, 80.0, 60.0], [1.0, 2.0, 3.0])
    [training] = ledger_of(tree, index).trainings
    assert (training.task, training.phase, training.seed) == ("hopper-hop", "g", 3)
    assert training.series["mppi"].steps.tolist() == [STEP, 2 * STEP, 3 * STEP]
    reached = training.reached("mppi")
    assert (reached.peak, reached.peak_step, reached.final, reached.last) == (80, 2 * STEP, 60, 50)
    assert training.reached("pi").final == 3 and training.marks == ()


def test_machines_and_commits_are_merged_but_settings_never(tree, index):
    for i, tag in enumerate(("phasex", "phasex_local", "phasex_3060ti_4d3b935-dirty")):
        log(tree / f"HopperHop_{tag}", i + 1, [10.0 + i, 20.0])
    for tag in ("phasex_ns1024", "phased_v1_noise040", "phased_v2_H5_only", "phasex_2048"):
        log(tree / f"HopperHop_{tag}", 1, [random.Random(tag).random(), 3.0])
    found = ledger_of(tree, index)
    assert {phase.name: len(phase.trainings) for phase in found} == {
        "x": 3, "x_ns1024": 1, "d_v1": 1, "d_v2": 1, "x_2048": 1,
    }  # fmt: skip
    assert list(found.phase("x").tags) == ["phasex", "phasex_3060ti_4d3b935-dirty", "phasex_local"]


def test_the_same_rows_on_two_machines_are_one_training(tree, index):
    log(tree / "a" / "HopperHop_phaseg", 1, [10.0, 20.0, 30.0])
    log(tree / "b" / "HopperHop_phaseg_remote", 1, [10.0, 20.0, 30.0])
    log(tree / "c" / "HopperHop_phaseg", 1, [10.0, 20.0])  # copied while it was running
    [training] = ledger_of(tree, index).trainings
    assert len(training.copies) == 2 and training.marks == ("copied",)
    assert training.steps == 3 * STEP


def test_other_rows_of_the_same_tag_and_seed_are_another_training(tree, index):
    log(tree / "a" / "HopperHop_phaseg", 1, [10.0, 20.0, 30.0])
    log(tree / "b" / "HopperHop_phaseg", 1, [10.0, 21.0, 30.0])
    found = ledger_of(tree, index)
    assert [each.marks for each in found.trainings] == [("same seed",), ("same seed",)]
    assert summarise(found.phases[0]).seeds == 1


def test_rows_that_are_all_zero_are_no_copy_of_a_longer_log(tree, index):
    log(tree / "a" / "HopperHop_phaseg", 1, [0.0, 20.0, 30.0])
    log(tree / "b" / "HopperHop_phaseg", 1, [0.0])
    assert len(ledger_of(tree, index).trainings) == 2


def test_the_same_rows_in_another_phase_are_marked(tree, index):
    log(tree / "HopperHop_phaseg", 1, [10.0, 20.0])
    log(tree / "HopperHop_phaseh", 1, [10.0, 20.0])
    assert {each.marks for each in ledger_of(tree, index).trainings} == {("same rows elsewhere",)}


def test_two_trainings_in_one_file_are_told_apart_and_named(tree, index):
    lines = rows(9, {"pi": [5.0, 6.0, 7.0], "mppi": [50.0, 60.0, 70.0]})
    lines += rows(9, {"pi": [1.0], "mppi": [1.5]})
    write(tree / "HopperHop_phaseg" / "seed_9.csv", lines)
    first, second = ledger_of(tree, index).trainings
    assert first.name == "seed 9 (1 of 2 in its file)" and first.reached("mppi").peak == 70
    assert second.reached("mppi").peak == 1.5
    assert first.marks == ("one of several in its file",)


def test_a_restart_is_counted_and_its_attempts_are_kept_apart(tree, index):
    lines = [*rows(1, {"mppi": [10.0, 20.0]}), f"{2 * STEP},-1.0,restart_1,1"]
    lines += rows(1, {"mppi": [5.0, 600.0]}, first=3)
    write(tree / "HopperHop_phasear" / "seed_1.csv", lines)
    [phase] = ledger_of(tree, index).phases
    [training] = phase.trainings
    assert training.restarts == (2 * STEP,) and "restarted" in training.marks
    assert training.reached("mppi").attempts == (20.0, 600.0)
    row = summarise(phase)
    assert (row.restarts, row.hits.hits, row.first_hits.hits) == (1, 1, 0)


def test_a_log_that_was_set_aside_is_an_attempt_and_no_seed(tree, index):
    log(tree / "HopperHop_phaset", 2, [100.0, 600.0])
    write(tree / "HopperHop_phaset" / "seed_2_v_3m_cap.csv", rows(2, {"mppi": [1.0, 300.0]}))
    write(tree / "HopperHop_phaset" / "seed_4_partial.csv", rows(4, {"mppi": [2.0, 400.0]}))
    [phase] = ledger_of(tree, index).phases
    row = summarise(phase)
    assert (row.n, row.set_aside) == (2, 1)
    assert [each.seed for each in phase.trainings] == [2, 4]  # the only log of its seed counts


@pytest.mark.parametrize(("kind", "mark"), [("pi", "policy only"), ("mppi", "planner only")])
def test_evaluations_of_one_controller_alone_are_marked(tree, index, kind, mark):
    write(tree / "HopperHop_phaseg" / "seed_1.csv", rows(1, {kind: [1.0, 2.0]}))
    assert ledger_of(tree, index).trainings[0].marks == (mark,)


def test_a_policy_alone_has_no_planned_hit(tree, index):
    write(tree / "HopperHop_phaseg" / "seed_1.csv", rows(1, {"pi": [1.0, 900.0]}))
    row = summarise(ledger_of(tree, index).phases[0])
    assert row.hits is None and row.best is None and row.best_pi == 900


def test_a_log_that_changed_a_moment_ago_is_running(tree, index):
    path = log(tree / "HopperHop_phaseg", 1, [1.0, 2.0])
    os.utime(path, (1e9, 1e9))
    assert ledger_of(tree, index, now_s=1e9 + 60).trainings[0].running
    assert not ledger_of(tree, index, now_s=1e9 + 7200).trainings[0].running


def test_a_tree_that_was_copied_a_moment_ago_is_not_running(tree, index):
    for seed in range(1, 6):
        path = log(tree / "HopperHop_phaseg", seed, [1.0 * seed] * seed)
        os.utime(path, (1e9, 1e9))
    assert not any(each.running for each in ledger_of(tree, index, now_s=1e9 + 60).trainings)


def run_folder(tree: Path, seed: int, k_update: int = 64, steps: int = 10**7, begins: int = 0):
    folder = tree / "hopper-hop_glass"
    log(folder, seed, [1.0 * seed, 2.0])
    config = {"agent": {"env": {"task": "hopper-hop"}, "glass": {}}, "steps": steps, "seed": seed,
              "k_update": k_update, "shaping": {}}  # fmt: skip
    start = {"recipe": "f", "init": {"env_steps": begins}}
    (folder / f"seed_{seed}").mkdir()
    (folder / f"seed_{seed}" / "train.json").write_text(json.dumps(config))
    (folder / f"seed_{seed}" / "run.json").write_text(json.dumps({"starts": [start]}))


def test_our_run_folders_bring_their_settings(tree, index):
    run_folder(tree, 1, begins=1000)
    [phase] = ledger_of(tree, index).phases
    assert (phase.name, phase.settings, phase.shaped) == ("glass", "recipe f, k 64", False)
    assert phase.trainings[0].series["mppi"].steps[0] == STEP + 1000
    assert phase.trainings[0].planned_steps == 10**7 + 1000


def test_run_folders_of_one_name_with_other_settings_are_two_phases(tree, index):
    run_folder(tree, 1)
    run_folder(tree, 2, k_update=128)
    assert len(ledger_of(tree, index).phases) == 2


def test_official_folders_and_results(tree, index):
    lines = ["0,1.0,3", "50000,20.0,3"]
    write(
        tree / "logs" / "walker-run" / "2" / "default" / "eval.csv", lines, "step,episode_reward,x"
    )
    write(tree / "results" / "sac" / "dog-run.csv", ["0,0.5,1", "9,1.5,1"], "step,reward,seed")
    found = ledger_of(tree, index)
    assert [(each.task, each.phase, each.seed) for each in found.trainings] == [
        ("dog-run", "sac", 1), ("walker-run", "default", 2),
    ]  # fmt: skip


def test_what_is_not_read_is_listed_with_its_reason(tree, index):
    folder = tree / "HopperHop_phaseg"
    log(folder, 1, [1.0, 2.0])
    write(folder / "seed_1_diag.csv", [], "step,eval_type,seed,standing_rate")
    write(folder / "seed_1_arbitration.csv", [], "step")
    (folder / "plots").mkdir()
    (folder / "binary.csv").write_bytes(bytes(range(256)) * 10)
    (folder / "empty.csv").write_bytes(b"")
    (folder / "best.pkl").write_bytes(b"")
    (folder / "red\x1b[31m\n.csv").write_text("a,b\n1,2\n")
    os.mkfifo(folder / "pipe.csv")
    os.symlink(tree, folder / "loop")
    os.symlink(folder / "nowhere", folder / "broken.csv")
    with (folder / "huge.csv").open("wb") as file:
        file.truncate(1 << 40)
    found = ledger_of(tree, index)
    told = reasons(found)
    assert len(found.trainings) == 1 and found.others == {".pkl": 1}
    for name, part in {
        "seed_1_diag.csv": "no returns",
        "seed_1_arbitration.csv": "choices between",
        "plots": "pictures",
        "binary.csv": "UTF-8",
        "empty.csv": "empty",
        "pipe.csv": "no regular file",
        "loop": "read already",
        "broken.csv": "cannot be read",
        "huge.csv": "larger than",
        "red\x1b[31m\n.csv": "no log",
    }.items():
        assert part in told[name], name


def test_a_tree_that_does_not_exist_is_named(tree, index):
    with pytest.raises(MissingFileError, match="tree"):
        ledger_of(tree, index)


def test_overlapping_trees_are_read_once(tree, index):
    log(tree / "HopperHop_phaseg", 1, [1.0, 2.0])
    found = read([tree, tree / "HopperHop_phaseg"], index=index)
    assert len(found.trainings) == 1 and found.trainings[0].copies == ()


# The index ----------------------------------------------------------------------------------------


def test_only_what_changed_is_read_again(tree, index, monkeypatch):
    paths = [log(tree / "HopperHop_phaseg", seed, [1.0 * seed, 2.0]) for seed in (1, 2)]
    assert ledger_of(tree, index).known == 0
    with paths[0].open("a") as file:
        file.write(f"{3 * STEP},9.0,mppi,1\n")
    found = ledger_of(tree, index)
    assert found.known == 1 and found.trainings[0].reached("mppi").peak == 9
    paths[0].unlink()
    assert len(ledger_of(tree, index).trainings) == 1
    assert index.paths([str(tree)]) == [str(paths[1])]


def test_what_a_known_log_says_is_what_it_said(tree, index):
    lines = rows(1, {"mppi": [10.0, 20.0], "arb": [1.0]})
    lines += [f"{2 * STEP},-1.0,restart_1,1", "1,2"]
    write(tree / "HopperHop_phaseg" / "seed_1.csv", lines, end="")
    write(tree / "a.csv", [], "a,b")
    first, second = ledger_of(tree, index), ledger_of(tree, index)
    assert second.known == second.files == 2
    assert first.trainings[0].marks == second.trainings[0].marks
    assert first.skipped == second.skipped


@pytest.mark.parametrize(
    "content", [b"", b"no database" * 1000, b"SQLite format 3\0" + b"x" * 5000]
)
def test_a_damaged_index_is_replaced(tree, index, content):
    log(tree / "HopperHop_phaseg", 1, [1.0, 2.0])
    index.path.write_bytes(content)
    ledger_of(tree, index)
    assert len(ledger_of(tree, index).trainings) == 1
    assert ledger_of(tree, index).known == 1


def test_an_index_that_cannot_be_written_is_done_without(tree, tmp_path):
    log(tree / "HopperHop_phaseg", 1, [1.0, 2.0])
    (tmp_path / "file").write_text("")
    found = read(tree, index=Index(tmp_path / "file" / "index.sqlite"))
    assert len(found.trainings) == 1


def test_an_index_of_damaged_entries_is_read_past(tree, index):
    log(tree / "HopperHop_phaseg", 1, [1.0, 2.0])
    ledger_of(tree, index)
    with sqlite3.connect(index.path) as database:
        database.execute("UPDATE files SET log = x'00'")
    database.close()
    assert len(ledger_of(tree, index).trainings) == 1


def test_nothing_in_the_tree_is_altered(tree, index):
    log(tree / "HopperHop_phaseg", 1, [1.0, 2.0])

    def state() -> list[tuple[str, int, int]]:
        paths = sorted(tree.rglob("*"))
        return [(str(each), each.stat().st_mtime_ns, each.stat().st_size) for each in paths]

    before = state()
    ledger_of(tree, index)
    assert state() == before


def test_a_thousand_files_take_a_moment(tree, index):
    for i in range(250):
        log(tree / f"HopperHop_phasei{i}", 1, [float(i), 2.0])
    start = time.process_time()
    assert len(walk(tree).files) == 250
    assert time.process_time() - start < 1


# Phases and the published ledger ------------------------------------------------------------------


def test_rules_of_ones_own_come_over_the_built_in_ones(tree, index, tmp_path):
    path = tmp_path / "phases.toml"
    path.write_text('[phases.mine]\nsame = ["g", "h"]\nsettings = "both"\ncolor = "#112233"\n')
    log(tree / "HopperHop_phaseg", 1, [1.0, 2.0])
    log(tree / "HopperHop_phaseh", 2, [3.0, 4.0])
    [phase] = ledger_of(tree, index, rules=load_rules(path)).phases
    assert (phase.name, phase.settings, phase.color) == ("mine", "both", "#112233")


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("phases = 3", "phases"),
        ("[phases.g]\nsetings = 'x'", "setings"),
        ("strip = [{ pattern = '(', why = 'x' }]", "regular expressions"),
        ("not toml", "TOML"),
    ],
)
def test_rules_of_another_form_are_refused(tmp_path, text, part):
    path = tmp_path / "phases.toml"
    path.write_text(text)
    with pytest.raises(GlassvizError, match=part):
        load_rules(path)


def test_goals_of_success(tree, index):
    for seed in range(1, 6):
        log(tree / "HopperHop_phaseg", seed, [1.0 * seed, 500.0 + seed])
        log(tree / "HopperHop_phaset", seed, [1.0 * seed, 600.0 + seed])
    log(tree / "HopperHop_phaseh", 1, [1.0, 550.0])
    found = ledger_of(tree, index)
    goals = {phase.name: summarise(phase).goals for phase in found}
    assert goals["g"] == {"G1": "yes", "G2": "no"}
    assert goals["t"] == {"G1": "no", "G2": "yes"}  # it is shaped
    assert goals["h"] == {"G1": "open", "G2": "no"}


def test_the_published_ledger_beside_the_logs(tree, index):
    for seed, best in enumerate((526.0, 526.3, 294.4, 227.1, 562.1), start=1):
        log(tree / "HopperHop_phase1b_remote", seed, [1.0, best])
    for seed, best in enumerate((523.5, 287.3), start=3):
        log(tree / "HopperHop_phasex_local", seed, [1.0, best])
    log(tree / "HopperHop_phasez_baseline", 3, [1.0, 535.4])
    log(tree / "HopperHop_phasek", 1, [1.0, 292.2])
    found = {each.phase.name: each for each in against_published(ledger_of(tree, index))}
    assert {name: each.state for name, each in found.items()} == {
        "1b": "differs", "x": "open", "z": "differs", "k": "agrees",
    }  # fmt: skip
    assert (found["1b"].published.hits, found["1b"].found_hits, found["1b"].own_hits) == (2, 3, 3)
    assert found["1b"].best == "agrees" and found["x"].missing == 6


def test_filters_leave_what_they_name(tree, index):
    log(tree / "HopperHop_phaseg", 1, [1.0, 2.0, 3.0])
    log(tree / "HopperHop_phaseg", 2, [1.5])
    log(tree / "WalkerRun_phaseh", 1, [1.0])
    found = ledger_of(tree, index)
    assert [each.task for each in found.where(tasks=["walker-*"]).phases] == ["walker-run"]
    assert [
        each.seed for each in found.where(phases=["g", "none"], min_steps=2 * STEP).trainings
    ] == [1]
    assert found.where(running=True).phases == ()
