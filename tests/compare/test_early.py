"""How early trainings tell whether they reach a goal, and rules for restarts."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import mannwhitneyu

from glassviz.compare.early import CHECKPOINTS, early_signs, restart_rules
from glassviz.ledger import Ledger, Phase, Series, Training
from glassviz.ledger.phases import About
from tests.helpers.log_trees import log, write

EVERY = 250_112


def training(seed, returns, path="seed.csv", **more) -> Training:
    steps = EVERY * np.arange(1, len(returns) + 1)
    series = {"mppi": Series(steps, np.array(returns, dtype=np.float64))}
    return Training("hopper-hop", "a", "a", seed, Path(path), "log", series, **more)


def ledger(*trainings) -> Ledger:
    phase = Phase("hopper-hop", "a", About(), "#123456", {"a": 1}, tuple(trainings))
    return Ledger((), (phase,))


def planted(early, late):
    """One training per pair of returns at 250k and at the end, 3M."""
    pairs = enumerate(zip(early, late, strict=True))
    return [training(i, [a, *[0.0] * 10, b]) for i, (a, b) in pairs]


EARLY, LATE = [5.0, 1.0, 9.0, 3.0, 7.0, 2.0], [600.0, 0.0, 550.0, 700.0, 10.0, 20.0]


def sign_of(found, steps, quantity="return", who="mppi"):
    [sign] = [
        each
        for each in found.signs
        if (each.steps, each.quantity, each.controller) == (steps, quantity, who)
    ]
    return sign


def test_the_area_under_the_curve_is_that_of_scipy():
    sign = sign_of(early_signs(ledger(*planted(EARLY, LATE))), 250_000)
    oracle = mannwhitneyu([5, 9, 3], [1, 7, 2]).statistic / 9
    assert sign.auc.estimate == pytest.approx(oracle)
    assert (sign.n, sign.reached, sign.before) == (6, 3, 0)
    assert sign.auc.low < oracle < sign.auc.high


@settings(max_examples=10, deadline=None)
@given(st.permutations(range(6)))
def test_seed_numbers_and_a_monotone_scale_change_no_area(order):
    plain = planted(EARLY, LATE)
    renamed = [replace(each, seed=order[each.seed]) for each in plain]
    curved = planted([value**3 for value in EARLY], LATE)
    areas = {
        sign_of(early_signs(ledger(*rows)), 250_000).auc.estimate
        for rows in (plain, renamed, curved)
    }
    assert len(areas) == 1


def test_trainings_that_stop_there_or_still_run_do_not_count():
    rows = planted(EARLY, LATE)
    stopped = training(7, [4.0])
    open_end = training(8, [4.0, 5.0], marks=("running",))
    there = training(9, [4.0, 600.0], marks=("running",))
    found = early_signs(ledger(*rows, stopped, open_end, there))
    assert sign_of(found, 250_000).n == 7 and found.open == 1


def test_what_had_reached_the_goal_already_is_told_apart():
    rows = [*planted(EARLY, LATE), training(7, [900.0, *[0.0] * 9])]
    sign = sign_of(early_signs(ledger(*rows)), 250_000)
    assert (sign.reached, sign.before) == (4, 1)
    assert sign.auc.estimate > sign.auc_ahead.estimate
    assert sign.auc_ahead == sign_of(early_signs(ledger(*planted(EARLY, LATE))), 250_000).auc


def test_measures_beside_the_evaluations_are_read_and_what_is_missing_is_named(tmp_path):
    rows = []
    for seed, (value, last) in enumerate(zip(EARLY, LATE, strict=True)):
        path = log(tmp_path / "a", seed, [value, 0.0, last])
        lines = [f"{EVERY * i},mppi,{seed},{value / 10}" for i in (1, 2)]
        write(
            path.with_name(f"seed_{seed}_diag.csv"), lines, "step,eval_type,seed,full_reward_rate"
        )
        rows.append(training(seed, [value, 0.0, last], str(path)))
    found = early_signs(ledger(*rows))
    own, oracle = (sign_of(found, 250_000, kind) for kind in ("full_reward_rate", "return"))
    assert own.auc.estimate == oracle.auc.estimate
    assert found.missing == ("standing_rate", "fall_count", "gait verdict", "label stability")


def test_a_rule_that_separates_is_never_wrong_and_advises_the_running():
    good, bad = [20.0, 30.0, 40.0, 50.0], [1.0, 2.0, 3.0, 4.0]
    rows = planted([*good, *bad], [600.0] * 4 + [0.0] * 4)
    running = [training(20 + i, [value], marks=("running",)) for i, value in enumerate((2, 45))]
    found = restart_rules(ledger(*rows, *running))
    rule = found.rules[0]
    assert (rule.steps, rule.threshold, rule.n, rule.reached) == (250_000, 12.0, 8, 4)
    assert (rule.restarted, rule.wrong.hits, rule.kept.hits) == (4, 0, 4)
    assert [each.restart for each in found.advice] == [True, False]


def test_a_rule_is_judged_by_trainings_that_it_was_not_learned_from():
    """The best threshold of all would restart the lowest hit; without it, it is lower."""
    rng = np.random.default_rng(0)
    late = np.where(rng.random(60) < 0.4, 600.0, 0.0).tolist()
    rule = restart_rules(ledger(*planted(rng.random(60).tolist(), late))).rules[0]
    apart = abs(rule.wrong.share - rule.kept.share) if rule.wrong and rule.kept else 0.0
    assert apart < 0.3  # Noise, which a rule judged by its own data would fit.


def test_without_an_outcome_there_is_no_rule_and_no_area():
    rows = planted(EARLY, [0.0] * 6)
    running = training(9, [3.0], marks=("running",))
    assert sign_of(early_signs(ledger(*rows)), 250_000).auc is None
    found = restart_rules(ledger(*rows, running))
    assert [rule.threshold for rule in found.rules] == [None] * len(CHECKPOINTS)
    assert found.advice[0].restart is None
