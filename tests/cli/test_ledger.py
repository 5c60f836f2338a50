"""`glassviz ledger`: tables, JSON, CSV and pages of trees of logs."""

import csv
import io
import json
import re

import pytest

from tests.helpers.commands import invoke
from tests.helpers.log_trees import log, rows, write


@pytest.fixture
def tree(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    tree = tmp_path / "tree"
    for seed, best in enumerate((526.0, 526.3, 294.4, 227.1, 562.1), start=1):
        log(tree / "HopperHop_phase1b_remote", seed, [1.0, best, 100.0])
    log(tree / "WalkerRun_phaseh", 1, [1.0, 700.0])
    log(tree / "HopperHop_<b>&|x", 1, [5.0, 6.0])
    write(tree / "HopperHop_phase1b_remote" / "seed_1_diag.csv", [], "step,eval_type,seed,x")
    return tree


def test_the_table_has_hits_with_their_interval_and_the_published_ledger(tree):
    shown = invoke("ledger", tree).output
    row = next(line for line in shown.splitlines() if line.startswith("hopper-hop/1b "))
    assert "3/5" in row and "23–88 %" in row and "526 526 294 227 562" in row
    assert "the published returns themselves give 3" in shown
    assert "measures beside the evaluations" in shown and "7 trainings in 3 phases" in shown


def test_each_training_has_a_row_with_both_controllers(tree):
    shown = invoke("ledger", tree, "--each", "--phase", "1b", "--sort", "mppi peak").output
    first = shown.splitlines()[1].split()
    assert first[:6] == ["1b", "5", "562.1", "500k", "100.0", "221.0"]


def test_json_and_csv_say_the_same(tree):
    told = json.loads(invoke("ledger", tree, "--json", "--task", "hopper-hop").stdout)
    phase = next(each for each in told["phases"] if each["phase"] == "1b")
    assert phase["hits"]["hits"] == 3 and len(phase["trainings"]) == 5
    assert phase["trainings"][0]["reached"]["mppi"]["last_three_mean"] == pytest.approx(209.0)
    rows = list(csv.DictReader(io.StringIO(invoke("ledger", tree, "--csv").stdout)))
    row = next(each for each in rows if each["phase"] == "1b")
    assert row["hits.hits"] == "3" and json.loads(row["mppi.peak"])[4] == 562.1
    each = list(csv.DictReader(io.StringIO(invoke("ledger", tree, "--csv", "--each").stdout)))
    assert len(each) == 7 and each[0]["mppi.peak"]


def test_another_goal_and_controller(tree):
    told = json.loads(
        invoke("ledger", tree, "--json", "--goal", "250", "--controller", "pi").stdout
    )
    phase = next(each for each in told["phases"] if each["phase"] == "1b")
    assert (phase["hits"]["hits"], phase["best"]) == (3, 281.05)


def test_pages_escape_names_from_files(tree, tmp_path):
    page, text = tmp_path / "ledger.html", tmp_path / "ledger.md"
    invoke("ledger", tree, "-o", page)
    invoke("ledger", tree, "-o", text)
    html = page.read_text()
    assert "<b>" not in html and "&lt;b&gt;&amp;|x" in html and "default-src 'none'" in html
    assert r"\<b\>" in text.read_text() and r"\|x" in text.read_text()
    header, rule = text.read_text().split("## Phases")[1].strip().split("\n")[2:4]
    assert header.count("|") == rule.count("|") and set(rule) <= set("|:- ")
    assert "exists" in invoke("ledger", tree, "-o", page, code=1).output


def test_running_and_filters_of_nothing_print_an_empty_table(tree):
    assert "0 trainings" in invoke("ledger", tree, "--task", "nothing").output


def test_hostile_names_never_control_the_terminal(tree):
    folder = tree / "HopperHop_\x1b[31mred\n"
    write(folder / "seed_1.csv", rows(1, {"mppi": [1.0, 2.0]}))
    (folder / "x\x1b.csv").write_text("a,b\n")
    assert "\x1b" not in invoke("ledger", tree, "--skipped").output


@pytest.mark.parametrize(
    ("arguments", "part"),
    [
        ((), "expected a folder"),
        (("nowhere",), "no such folder"),
        (("TREE", "--sort", "nothing"), "--sort"),
        (("TREE", "--json", "--csv"), "exclude each other"),
        (("TREE", "-o", "ledger.pdf"), r"\.md or \.html"),
    ],
)
def test_mistakes_are_one_sentence(tree, arguments, part):
    done = invoke("ledger", *(tree if each == "TREE" else each for each in arguments), code=None)
    assert done.exit_code in (1, 2) and re.search(part, done.output)


def test_the_built_in_rules_can_be_read_and_given_back(tree, tmp_path):
    rules = tmp_path / "phases.toml"
    rules.write_text(invoke("ledger", "--show-phases").stdout)
    assert "3/5" in invoke("ledger", tree, "--phases", rules, "--phase", "1b").output


def test_seed_numbers_are_compared_over_phases(tree):
    for seed in (1, 2, 3):
        log(tree / "HopperHop_other", seed, [1.0, 100.0 * seed])
    shown = invoke("ledger", tree, "--seeds", "--task", "hopper-hop").output
    assert "no evidence that seed numbers matter: p = " in shown and "smallest attainable" in shown
    told = json.loads(invoke("ledger", tree, "--seeds", "--json").stdout)
    assert told["phases"] == 2 and {row["seed"] for row in told["rows"]} == {1, 2, 3, 4, 5}


def test_phases_are_compared_and_drawn(tree, tmp_path):
    for seed in (1, 2, 3):
        log(tree / "HopperHop_other", seed, [1.0, 100.0 * seed, 50.0])
    out = tmp_path / "compared.svg"
    shown = invoke("ledger", tree, "--compare", "1b", "other", "-o", out).output
    assert "1b against other" in shown and "smallest p" in shown and "IQM" in shown
    assert "the update ratio of other is unknown" in shown
    assert "P(a training returns more)" in out.read_text()
    told = json.loads(invoke("ledger", tree, "--compare", "1b,other", "--json").stdout)
    assert [each["name"] for each in told["at_steps"]["phases"]] == ["1b", "other"]
    assert told["at_steps"]["steps"] == 750_336 and told["at_updates"] is None


def test_a_tree_that_is_not_there_is_no_name_of_a_phase(tree, tmp_path):
    refused = invoke("ledger", tmp_path / "gone", "--compare", "1b", "other", code=1)
    assert "no such folder" in refused.output


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--seeds", "--compare", "a,b"], "expected one question, found --seeds and --compare"),
        (["--at", "5"], "--at is of --seeds and --compare"),
        (["--compare", "a,b", "--sort", "n"], "--compare has several tables: drop --sort"),
        (["--early", "--sort", "nothing"], "nothing"),
        (["--seeds", "--csv"], "--seeds has no --csv"),
        (["--seeds", "-o", "x.md"], "--seeds writes no file"),
        (["--compare", "1b", "-o", "x.md"], ".svg"),
        (["--compare", "1b"], "two different phases"),
    ],
)
def test_options_that_do_not_go_together_are_refused(tree, arguments, told):
    assert told in invoke("ledger", tree, *arguments, code=2).output


def test_early_signs_and_the_rule_for_restarts_are_printed(tree):
    shown = invoke("ledger", tree, "--early", "--task", "hopper-hop").output
    assert re.search(r"250k +return +mppi +3 +3 ", shown)
    assert "gait verdict and label stability" in " ".join(shown.split())
    shown = invoke("ledger", tree, "--restart-rule", "--task", "hopper-hop").output
    assert "restarted" in shown and "wrongly" in shown
    told = json.loads(invoke("ledger", tree, "--restart-rule", "--json").stdout)
    assert [rule["steps"] for rule in told["rules"]] == [250_000, 500_000, 1_000_000, 2_000_000]
    assert json.loads(invoke("ledger", tree, "--early", "--json").stdout)["goal"] == 500
