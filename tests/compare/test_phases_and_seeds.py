"""Phases and seed numbers of a ledger against each other."""

import math
from itertools import permutations
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import kendalltau, mannwhitneyu, permutation_test, trim_mean

from glassviz.compare.phases import compare_phases, measured, over_steps
from glassviz.compare.seeds import compare_seeds
from glassviz.errors import GlassvizError, UsageError
from glassviz.ledger import Ledger, Phase, Series, Training
from glassviz.ledger.phases import About
from glassviz.metrics.statistics import (
    generator,
    improvement_interval,
    stratified_interval,
    stratified_test,
)

EVERY = 250_000


def training(seed, returns, phase="a", task="hopper-hop", every=EVERY, **more) -> Training:
    steps = every * np.arange(1, len(returns) + 1)
    series = {"mppi": Series(steps, np.array(returns, dtype=np.float64))}
    return Training(task, phase, phase, seed, Path("seed.csv"), "log", series, **more)


def phase(name, returns, task="hopper-hop", k=None, seeds=None) -> Phase:
    """A phase with one list of returns per training."""
    seeds = seeds or range(1, len(returns) + 1)
    own = tuple(training(s, r, name, task) for s, r in zip(seeds, returns, strict=True))
    return Phase(task, name, About(k_update=k), "#123456", {name: len(own)}, own)


def ledger(*phases) -> Ledger:
    return Ledger((), tuple(phases))


def constant(*values, evaluations=4):
    return [[value] * evaluations for value in values]


# Statistics ---------------------------------------------------------------------------------------

SAMPLE = st.lists(st.integers(0, 20).map(float), min_size=1, max_size=6)


@settings(max_examples=10, deadline=None)
@given(SAMPLE, SAMPLE)
def test_improvement_is_the_u_statistic_and_survives_monotone_transforms(x, y):
    rng = np.random.default_rng(0)
    found = improvement_interval([x], [y], rng)
    u = (
        mannwhitneyu(x, y, method="asymptotic").statistic
        if len({*x, *y}) > 1
        else len(x) * len(y) / 2
    )
    assert found.estimate == pytest.approx(u / (len(x) * len(y)))
    curved = improvement_interval(
        [np.exp(x).tolist()], [np.exp(y).tolist()], np.random.default_rng(0)
    )
    assert (curved.estimate, curved.low, curved.high) == (found.estimate, found.low, found.high)


def test_the_interquartile_mean_of_strata_is_that_of_all_values():
    strata = [[0.1, 0.2, 0.9], [0.5, 0.7], [0.3, 0.31, 0.99, 1.0]]
    found = stratified_interval(strata, np.random.default_rng(0), "iqm")
    assert found.estimate == pytest.approx(trim_mean(np.concatenate(strata), 0.25))
    assert found.low < found.estimate < found.high and found.units == 9


def test_the_stratified_test_agrees_with_enumeration_by_scipy():
    x, y = [[3.0, 5.0], [10.0]], [[1.0], [4.0, 12.0]]
    found = stratified_test(x, y, np.random.default_rng(0))
    oracle = [
        np.mean([np.mean(a[:2]) - a[2], b[0] - np.mean(b[1:])]) / 1
        for a in permutations([3.0, 5.0, 1.0])
        for b in permutations([10.0, 4.0, 12.0])
    ]
    tails = (
        np.mean(np.array(oracle) >= found.statistic - 1e-9),
        np.mean(np.array(oracle) <= found.statistic + 1e-9),
    )
    assert found.exact and found.p == pytest.approx(min(1, 2 * min(tails)))
    assert found.statistic == pytest.approx(np.mean([4 - 1, 10 - 8]))


def test_the_stratified_test_of_one_stratum_is_that_of_two_groups():
    x, y = [310.0, 290.0, 330.0], [120.0, 90.0, 200.0]
    found = stratified_test([x], [y], np.random.default_rng(0))
    oracle = permutation_test(
        (x, y), lambda a, b: np.mean(a) - np.mean(b), permutation_type="independent"
    )
    assert found.p == pytest.approx(oracle.pvalue) == found.smallest_p


# Seeds --------------------------------------------------------------------------------------------


def test_a_seed_that_is_always_worst_is_found_with_its_p_and_n():
    rng = np.random.default_rng(1)
    phases = [
        phase(f"p{i}", constant(*rng.permutation([100.0, 200.0, 300.0]), 1.0)) for i in range(8)
    ]
    found = compare_seeds(phases, resamples=999)
    worst = next(row for row in found.rows if row.seed == 4)
    assert (worst.ranked, worst.worst, worst.best, worst.place) == (8, 8, 0, -1.0)
    assert worst.worst_by_chance == pytest.approx(2, abs=0.15)
    assert worst.worst_p <= 0.005 and worst.p <= 0.005 and found.p <= 0.005
    assert worst.worst_alone_p <= worst.worst_p
    assert all(row.worst_p > 0.05 for row in found.rows if row.seed != 4)


def test_few_trainings_are_permuted_exactly_and_say_what_is_attainable():
    found = compare_seeds([phase("a", constant(1.0, 2.0, 3.0))])
    assert found.exact and found.permutations == 6
    # Any order of three is as far from chance as any other.
    assert found.p == found.smallest_p == 1.0
    assert [row.place for row in found.rows] == [-1, 0, 1]


def test_seeds_of_pure_chance_are_rejected_as_often_as_the_level_says():
    rng = np.random.default_rng(3)
    p = [
        compare_seeds(
            [phase(f"p{i}", constant(*rng.random(4).tolist())) for i in range(5)], resamples=199
        ).p
        for _ in range(60)
    ]
    assert 0.3 < np.mean(p) < 0.7 and np.mean(np.array(p) <= 0.1) < 0.25


VALUES = st.lists(
    st.lists(st.integers(0, 9).map(float), min_size=3, max_size=3), min_size=1, max_size=3
)


@settings(max_examples=15, deadline=None)
@given(VALUES, st.permutations([1, 2, 3]))
def test_new_names_for_seeds_change_nothing_but_the_names(values, names):
    before = compare_seeds([phase(f"p{i}", constant(*row)) for i, row in enumerate(values)])
    after = compare_seeds(
        [phase(f"p{i}", constant(*row), seeds=names) for i, row in enumerate(values)]
    )
    assert after.p == pytest.approx(before.p)
    renamed = {row.seed: row for row in after.rows}
    for old, row in zip(names, before.rows, strict=True):
        assert renamed[old].place == pytest.approx(row.place)
        assert renamed[old].worst == row.worst and renamed[old].p == pytest.approx(row.p)


@settings(max_examples=15, deadline=None)
@given(VALUES)
def test_a_monotone_scale_of_one_phase_changes_no_place_and_no_p(values):
    curved = [[math.exp(value) for value in row] for row in values]
    found, same = (
        compare_seeds([phase(f"p{i}", constant(*row)) for i, row in enumerate(each)])
        for each in (values, curved)
    )
    assert found.p == same.p and [r.place for r in found.rows] == [r.place for r in same.rows]


def test_without_a_phase_of_two_seeds_nothing_is_tested():
    found = compare_seeds([phase("a", constant(5.0)), phase("b", constant(7.0))])
    assert found.p is None and found.rows[0].place is None and found.rows[0].mean == 6


# Phases -------------------------------------------------------------------------------------------


def test_a_stopped_training_is_left_out_and_not_carried_forward():
    short, long = [500.0, 500.0], [1.0, 2.0, 3.0, 4.0]
    assert measured(training(1, short), "peak", "mppi", at=4 * EVERY) is None
    assert measured(training(1, long), "peak", "mppi", at=2 * EVERY) == 2
    found = compare_phases(
        ledger(phase("a", [long, short, long]), phase("b", [long, long])), ["a", "b"]
    )
    [a, b] = found.at_steps.phases
    assert (found.at_steps.steps, a.n, a.of, b.n) == (4 * EVERY, 2, 3, 2)
    assert a.values == ((3.0, 3.0),)
    steps, middle, _, _ = over_steps(found, found.groups[0])
    assert middle[-1] == 4 and steps[-1] == 4 * EVERY


def test_equal_updates_are_at_other_steps_and_need_the_update_ratio():
    rising = [[float(i) for i in range(1, 9)]] * 4
    known = ledger(phase("slow", rising, k=64), phase("fast", rising, k=128))
    found = compare_phases(known, ["slow", "fast"], "final")
    assert [each.steps for each in found.at_updates.phases] == [8 * EVERY, 4 * EVERY]
    assert found.at_updates.updates == 500_000
    assert [each.mean.estimate for each in found.at_updates.phases] == [8, 4]
    found = compare_phases(
        ledger(phase("slow", rising, k=64), phase("other", rising)), ["slow", "other"]
    )
    assert found.at_updates is None and found.unknown == ("other",)


def test_three_update_ratios_are_one_question():
    phases = [
        phase(f"k{k}", constant(*values), k=k)
        for k, values in ((64, (1.0, 2.0, 3.0)), (128, (4.0, 2.5)), (256, (6.0, 7.0)))
    ]
    found = compare_phases(ledger(*phases), ["k64", "k128", "k256"])
    x, y = [64, 64, 64, 128, 128, 256, 256], [1, 2, 3, 4, 2.5, 6, 7]
    assert found.at_steps.trend.test.statistic == pytest.approx(kendalltau(x, y).statistic)
    assert found.at_steps.trend.ratios == (64, 128, 256) and found.at_steps.trend.n == 7


def test_several_tasks_are_scores_with_profiles_on_the_tasks_that_all_have():
    tasks = ("hopper-hop", "walker-run")
    phases = [phase("a", constant(500.0, 700.0), task) for task in tasks]
    phases += [phase("b", constant(200.0, 600.0), task) for task in (*tasks, "cup-catch")]
    found = compare_phases(ledger(*phases), ["a", "b"])
    assert found.tasks == tasks and found.normalised
    assert [each.iqm.estimate for each in found.at_steps.phases] == pytest.approx([0.6, 0.4])
    assert found.profiles[0].share[[0, 55, 80]].tolist() == [1.0, 0.5, 0.0]
    [pair] = found.at_steps.pairs
    assert pair.improvement.estimate == 0.75


def test_pooled_phases_count_as_one():
    found = compare_phases(
        ledger(*(phase(name, constant(1.0, 2.0)) for name in "abc")), ["a+b", "c"]
    )
    assert [each.n for each in found.at_steps.phases] == [4, 2]


@pytest.mark.parametrize(
    ("names", "told"),
    [
        (["a"], "two different phases"),
        (["a", "a"], "two different phases"),
        (["a", "nothing"], "found 'nothing': there are a, b and c"),
        (["a", "c"], "a task that a and c share"),
    ],
)
def test_what_cannot_be_compared_is_said(names, told):
    phases = phase("a", constant(1.0)), phase("b", constant(2.0)), phase("c", constant(1.0), "x")
    with pytest.raises(UsageError, match=told):
        compare_phases(ledger(*phases), names)


def test_returns_of_several_tasks_need_a_common_scale():
    phases = [
        phase(name, constant(value), task)
        for name in "ab"
        for task, value in (("hopper-hop", 5.0), ("mw-reach", 4000.0))
    ]
    with pytest.raises(GlassvizError, match=r"returns from 0 to 1000 .* 4000 on mw-reach"):
        compare_phases(ledger(*phases), ["a", "b"])


def test_random_numbers_depend_on_the_data_alone():
    assert generator("a", 1).random() == generator("a", 1).random()
