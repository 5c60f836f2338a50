"""Intervals, tests by permutation and adjusted p-values: by hand, by oracle, on simulated nulls."""

import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from statsmodels.stats.multitest import multipletests

from glassviz.metrics.statistics import (
    benjamini_hochberg,
    bootstrap_interval,
    holm,
    interquartile_mean,
    mean_interval,
    paired_test,
    probability_of_improvement,
    rank_correlation_test,
    share_interval,
    two_group_test,
)
from glassviz.metrics.structural_entropy import cut, structural_entropy

VALUES = st.floats(-1e3, 1e3)
WHOLE = st.integers(-3, 3).map(float)
NULLS = 500


def floats(values) -> list[float]:
    return [float(value) for value in values]


# Student's t


@given(st.lists(VALUES, min_size=2, max_size=30).filter(lambda v: np.ptp(v) > 1e-3))
def test_the_interval_is_student_s_as_scipy_has_it(values):
    found = mean_interval(values, level=0.9)
    low, high = stats.t.interval(0.9, len(values) - 1, np.mean(values), stats.sem(values))
    assert (found.low, found.high) == pytest.approx((low, high), rel=1e-9, abs=1e-9)
    assert found.mean == pytest.approx(np.mean(values))
    assert (found.count, found.level) == (len(values), 0.9)


def test_the_interval_covers_the_true_mean_as_often_as_it_says(rng):
    samples = rng.normal(3.0, 2.0, size=(2000, 4))
    covered = [mean_interval(sample.tolist()).place(3.0) == "within" for sample in samples]
    assert np.mean(covered) == pytest.approx(0.95, abs=0.015)


def test_one_value_has_a_mean_and_no_interval():
    found = mean_interval([7.0])
    assert (found.mean, found.low, found.high, found.place(3.0)) == (7.0, None, None, None)


def test_a_value_lies_below_within_or_above_an_interval():
    found = mean_interval([9.0, 10.0, 11.0])
    assert [found.place(value) for value in (0.0, 10.0, 20.0)] == ["below", "within", "above"]


# Hierarchical bootstrap


def test_a_seed_with_many_episodes_and_an_episode_with_many_cycles_weigh_no_more_than_others(rng):
    sample = [[[1.0], [3.0, 3.0, 3.0]], [[10.0] * 50]]
    found = bootstrap_interval(sample, rng)
    assert (found.estimate, found.units) == (6.0, 2)


def test_a_flat_sample_has_the_percentiles_of_scipy_s_bootstrap():
    values = np.random.default_rng(0).normal(size=12)
    found = bootstrap_interval(
        values.tolist(), np.random.default_rng(0), level=0.9, replicates=20_000
    )
    theirs = stats.bootstrap(
        (values,),
        np.mean,
        confidence_level=0.9,
        n_resamples=20_000,
        method="percentile",
        rng=np.random.default_rng(0),
    ).confidence_interval
    assert (found.low, found.high) == pytest.approx((theirs.low, theirs.high), abs=0.01)


def test_resampled_means_spread_by_what_each_level_contributes():
    """Two levels of balanced normal values: the bootstrap variance is known (Davison & Hinkley)."""
    seeds, episodes = 200, 5
    means = np.random.default_rng(0).normal(size=(seeds, 1))
    values = means + 2 * np.random.default_rng(0).normal(size=(seeds, episodes))
    found = bootstrap_interval(
        values.tolist(), np.random.default_rng(0), level=0.6827, replicates=8_000
    )
    between, within = values.mean(axis=1).var(), values.var(axis=1).mean()
    expected = np.sqrt((between + within / episodes) / seeds)
    assert (found.high - found.low) / 2 == pytest.approx(expected, rel=0.04)


def test_a_single_seed_gets_an_interval_within_its_run_and_a_single_value_none():
    run = bootstrap_interval([[[1.0, 2.0], [5.0, 6.0]]], np.random.default_rng(0))
    assert run.units == 1 and run.low < run.estimate < run.high
    alone = bootstrap_interval([[[4.0]]], np.random.default_rng(0))
    assert (alone.estimate, alone.low, alone.high) == (4.0, None, None)


def test_what_is_undefined_or_empty_is_left_out_of_a_bootstrap():
    sample = [[[1.0, None], []], [[float("nan")]], [np.array([3.0, np.nan])]]
    found = bootstrap_interval(sample, np.random.default_rng(0))
    assert (found.estimate, found.units) == (2.0, 2)
    assert bootstrap_interval([[[]], [[None]]], np.random.default_rng(0)) is None
    assert bootstrap_interval([], np.random.default_rng(0)) is None


CYCLES = st.lists(VALUES, min_size=1, max_size=4)


@settings(max_examples=50)
@given(st.lists(st.lists(CYCLES, min_size=1, max_size=3), min_size=1, max_size=4), VALUES)
def test_a_bootstrap_shifts_with_its_sample_and_stays_within_its_range(sample, by):
    found = bootstrap_interval(sample, np.random.default_rng(0), replicates=50)
    shifted = [[[value + by for value in cycles] for cycles in seed] for seed in sample]
    other = bootstrap_interval(shifted, np.random.default_rng(0), replicates=50)
    assert other.estimate == pytest.approx(found.estimate + by, abs=1e-9)
    assert (found.low is None) == (other.low is None)
    if found.low is not None:
        flat = [value for seed in sample for cycles in seed for value in cycles]
        assert min(flat) - 1e-9 <= found.low <= found.high <= max(flat) + 1e-9
        assert (other.low, other.high) == pytest.approx((found.low + by, found.high + by), abs=1e-9)


def test_portions_of_a_large_bootstrap_make_all_replicates():
    values = np.random.default_rng(0).normal(size=(4, 5, 500))
    found = bootstrap_interval(values.tolist(), np.random.default_rng(0), replicates=1_000)
    assert found.low < values.mean() < found.high


# Shares, interquartile means, improvement


def test_wilson_s_interval_has_the_known_bounds():
    three, five = share_interval(3, 5), share_interval(5, 5)
    assert (three.low, three.high) == pytest.approx((0.23, 0.88), abs=0.005)
    assert (five.share, five.low, five.high) == pytest.approx((1.0, 0.57, 1.0), abs=0.006)
    assert share_interval(0, 0) is None


def test_the_interquartile_mean_is_the_middle_half_from_four_values_on(rng):
    assert interquartile_mean([1.0, 2.0, 3.0]) is None
    assert interquartile_mean([100.0, 1.0, 3.0, -50.0]) == 2.0
    values = rng.normal(size=40)
    assert interquartile_mean(values.tolist()) == pytest.approx(np.sort(values)[10:30].mean())


def test_an_interquartile_mean_is_bootstrapped_over_seeds():
    sample = [[1.0, 3.0], [4.0], [6.0], [1000.0]]
    found = bootstrap_interval(sample, np.random.default_rng(0), "iqm")
    assert found.estimate == 5.0 and found.low < 5.0 < found.high
    assert bootstrap_interval(sample[:3], np.random.default_rng(0), "iqm") is None


@given(st.lists(WHOLE, min_size=1), st.lists(WHOLE, min_size=1))
def test_the_probability_of_improvement_is_mann_and_whitney_s_u(x, y):
    found = probability_of_improvement(x, y)
    u = stats.mannwhitneyu(x, y, method="asymptotic").statistic if len(set(x + y)) > 1 else None
    assert found == pytest.approx(0.5 if u is None else u / (len(x) * len(y)))
    assert found + probability_of_improvement(y, x) == pytest.approx(1.0)


def test_nothing_improves_on_nothing():
    assert probability_of_improvement([], [1.0]) is None


# Permutation tests


@pytest.mark.parametrize(("each", "least"), [(3, 0.1), (4, 2 / 70), (5, 2 / 252)])
def test_the_smallest_p_of_two_groups_is_reached_by_groups_that_do_not_overlap(each, least):
    found = two_group_test(
        floats(range(each)), floats(range(10, 10 + each)), np.random.default_rng(0)
    )
    assert found.exact and (found.p, found.smallest_p) == pytest.approx((least, least))
    mixed = two_group_test(
        floats(range(0, 2 * each, 2)), floats(range(1, 2 * each, 2)), np.random.default_rng(0)
    )
    assert mixed.p > 0.3 and mixed.smallest_p == pytest.approx(least)


@pytest.mark.parametrize(("pairs", "least"), [(1, 1.0), (5, 0.0625), (6, 0.03125)])
def test_the_smallest_p_of_pairs_is_reached_when_all_differ_in_one_direction(pairs, least, rng):
    found = paired_test(floats(range(1, pairs + 1)), [0.0] * pairs, rng)
    assert found.exact and (found.p, found.smallest_p) == (least, least)


@pytest.mark.parametrize("kind", ["spearman", "kendall"])
@pytest.mark.parametrize("n", [4, 5, 6])
def test_the_smallest_p_of_a_rank_correlation_is_reached_by_the_same_order(kind, n, rng):
    least = 2 / math.factorial(n)
    found = rank_correlation_test(floats(range(n)), [i**3.0 for i in range(n)], rng, kind)
    assert (found.statistic, found.p, found.smallest_p) == pytest.approx((1.0, least, least))


SMALL = st.lists(WHOLE, min_size=2, max_size=5)


@given(SMALL, SMALL)
def test_two_groups_are_tested_as_scipy_does_it(x, y):
    def difference(x, y, axis):
        return np.mean(x, axis=axis) - np.mean(y, axis=axis)

    theirs = stats.permutation_test((x, y), difference, n_resamples=np.inf)
    found = two_group_test(x, y, np.random.default_rng(0))
    assert found.statistic == pytest.approx(theirs.statistic, abs=1e-12)
    if abs(theirs.statistic) > 1e-9:  # SciPy's ties at 0 fall victim to rounding.
        assert found.p == pytest.approx(theirs.pvalue)


@given(st.lists(st.tuples(WHOLE, WHOLE), min_size=2, max_size=7))
def test_pairs_are_tested_as_scipy_does_it(pairs):
    x, y = zip(*pairs, strict=True)
    theirs = stats.permutation_test(
        (np.subtract(x, y),), np.mean, permutation_type="samples", n_resamples=np.inf
    )
    found = paired_test(x, y, np.random.default_rng(0))
    assert (found.statistic, found.p) == pytest.approx((theirs.statistic, theirs.pvalue))


@settings(max_examples=40)
@given(st.permutations(floats(range(7))))
def test_kendall_s_test_is_exact_as_scipy_s_is_without_ties(y):
    theirs = stats.kendalltau(range(7), y, method="exact")
    found = rank_correlation_test(floats(range(7)), y, np.random.default_rng(0), "kendall")
    assert (found.statistic, found.p) == pytest.approx((theirs.statistic, theirs.pvalue))


TIED = st.lists(st.tuples(WHOLE, WHOLE), min_size=2, max_size=5)


@pytest.mark.parametrize(
    ("kind", "theirs"), [("spearman", stats.spearmanr), ("kendall", stats.kendalltau)]
)
@settings(max_examples=30)
@given(pairs=TIED)
def test_rank_correlations_with_ties_are_scipy_s_and_their_p_counts_all_orders(kind, theirs, pairs):
    x, y = map(list, zip(*pairs, strict=True))
    found = rank_correlation_test(x, y, np.random.default_rng(0), kind)
    if len(set(x)) == 1 or len(set(y)) == 1:
        assert found is None
        return
    observed = theirs(x, y).statistic
    null = np.array([theirs(order, y).statistic for order in set(itertools.permutations(x))])
    tails = [(null >= observed - 1e-9).mean(), (null <= observed + 1e-9).mean()]
    assert found.statistic == pytest.approx(observed, abs=1e-12)
    assert found.p == pytest.approx(min(2 * min(tails), 1.0))


def test_large_values_with_small_differences_still_tie_with_themselves():
    shifts = np.random.default_rng(0).normal(size=8) * 1e-3
    for base in (0.0, 1e3, 1e6):
        found = two_group_test(
            (base + shifts[:4]).tolist(), (base + shifts[4:]).tolist(), np.random.default_rng(0)
        )
        swapped = two_group_test(
            (base + shifts[4:]).tolist(), (base + shifts[:4]).tolist(), np.random.default_rng(0)
        )
        assert found.p == swapped.p >= found.smallest_p == pytest.approx(2 / 70)


def test_equal_values_show_nothing_and_could_not_have():
    groups = two_group_test([0.1] * 4, [0.1] * 3, np.random.default_rng(0))
    pairs = paired_test([0.3, 0.1], [0.3, 0.1], np.random.default_rng(0))
    assert (groups.p, groups.smallest_p, pairs.p, pairs.smallest_p) == (1.0,) * 4


def test_nothing_to_compare_is_no_test():
    assert two_group_test([], [1.0], np.random.default_rng(0)) is None
    assert paired_test([], [], np.random.default_rng(0)) is None
    assert rank_correlation_test([1.0], [1.0], np.random.default_rng(0)) is None
    assert rank_correlation_test([1.0, 1.0], [1.0, 2.0], np.random.default_rng(0)) is None


def test_random_arrangements_come_close_to_all_of_them(monkeypatch):
    x, y = (
        np.random.default_rng(0).normal(size=7),
        np.random.default_rng(0).normal(size=7) + np.arange(7) / 4,
    )
    tests = (two_group_test, paired_test, rank_correlation_test)
    exact = [test(x.tolist(), y.tolist(), np.random.default_rng(0)) for test in tests]
    monkeypatch.setattr("glassviz.metrics.statistics.EXACT_UP_TO", 1)
    drawn = [test(x.tolist(), y.tolist(), np.random.default_rng(0)) for test in tests]
    for every, some in zip(exact, drawn, strict=True):
        assert every.exact and not some.exact
        assert some.p == pytest.approx(every.p, abs=0.015)
        assert 2 / 10_000 <= some.smallest_p <= some.p
        assert some.smallest_p == pytest.approx(every.smallest_p, abs=0.005)


@pytest.mark.parametrize(
    "test",
    [
        pytest.param(
            lambda x, y: two_group_test(x[:6], y[:6], np.random.default_rng(0)),
            id="two groups of 6",
        ),
        pytest.param(
            lambda x, y: paired_test(x[:8], y[:8], np.random.default_rng(0)), id="8 pairs"
        ),
        pytest.param(
            lambda x, y: rank_correlation_test(x, y, np.random.default_rng(0), resamples=119),
            id="spearman of 12",
        ),
        pytest.param(
            lambda x, y: rank_correlation_test(x, y, np.random.default_rng(0), "kendall", 119),
            id="kendall of 12",
        ),
    ],
)
def test_a_test_errs_in_one_of_twenty_nulls(test):
    draws = np.random.default_rng(8).normal(size=(NULLS, 2, 12))
    p = np.array([test(x.tolist(), y.tolist()).p for x, y in draws])
    assert 0.03 <= (p <= 0.05).mean() <= 0.07


def test_a_difference_of_three_deviations_is_found_with_five_seeds_each():
    draws = np.random.default_rng(2).normal(size=(200, 2, 5))
    groups = [
        two_group_test((x + 3).tolist(), y.tolist(), np.random.default_rng(0)).p for x, y in draws
    ]
    pairs = [paired_test([*(x + 3), 3.0], [*y, 0.0], np.random.default_rng(0)).p for x, y in draws]
    assert np.mean(np.array(groups) <= 0.05) >= 0.9
    assert np.mean(np.array(pairs) <= 0.05) >= 0.9


def test_a_correlation_of_nine_tenths_is_found_with_ten_seeds():
    x, noise = np.random.default_rng(3).normal(size=(2, 200, 10))
    y = 0.9 * x + np.sqrt(1 - 0.9**2) * noise
    for kind in ("spearman", "kendall"):
        tests = [
            rank_correlation_test(
                a.tolist(), b.tolist(), np.random.default_rng(0), kind, resamples=199
            )
            for a, b in zip(x, y, strict=True)
        ]
        assert np.mean([test.p <= 0.05 for test in tests]) >= 0.9


# Tests against random partitions


def of_graphs(test, stronger: float) -> float:
    """Share rejected, of graphs of 8 pairs of nodes with so many times the weight inside."""
    draws, pairs = np.random.default_rng(0), np.arange(16) // 2
    inside = np.where(pairs[:, None] == pairs, stronger, 1.0)
    graphs = draws.exponential(size=(NULLS, 16, 16))
    graphs = (graphs + graphs.transpose(0, 2, 1)) / 2 * inside
    p = [test(graph, pairs, draws, replicates=99).p for graph in graphs]
    return float(np.mean(np.array(p) <= 0.05))


@pytest.mark.parametrize("test", [structural_entropy, cut])
def test_a_partition_that_says_nothing_about_a_graph_is_better_than_random_in_one_of_twenty(test):
    assert 0.03 <= of_graphs(test, 1.0) <= 0.07


@pytest.mark.parametrize("test", [structural_entropy, cut])
def test_pairs_of_nodes_with_three_times_the_weight_between_them_are_found(test):
    assert of_graphs(test, 3.0) >= 0.9


# Many tests at once


@settings(max_examples=8)
@given(st.lists(st.floats(0, 1), min_size=1, max_size=20))
def test_adjusted_p_are_statsmodels(p):
    for ours, theirs in ((holm, "holm"), (benjamini_hochberg, "fdr_bh")):
        found = ours(np.array(p))
        assert found == pytest.approx(multipletests(p, method=theirs)[1])
        assert (found >= np.array(p) - 1e-12).all() and (found <= 1).all()


def test_tests_that_were_not_made_count_for_nothing():
    p = np.array([0.02, np.nan, 0.01])
    for adjust in (holm, benjamini_hochberg):
        found = adjust(p)
        assert np.isnan(found[1])
        assert found[[0, 2]] == pytest.approx(adjust(p[[0, 2]]))
        assert np.isnan(adjust(np.array([np.nan]))).all()
