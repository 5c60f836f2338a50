"""Agreement of cycles: statsmodels' kappa, words by hand, scikit-learn's AMI."""

import time
import warnings
from collections.abc import Callable
from itertools import combinations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from sklearn.metrics import adjusted_mutual_info_score

from glassviz.metrics.locking import (
    cycle_agreement,
    cycle_motifs,
    levenshtein,
    map_agreements,
    phase_map,
    phase_raster,
)
from tests.helpers.label_series import clock, planted, unlocked

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # What an oracle deprecates is no concern of ours.
    from statsmodels.stats.inter_rater import aggregate_raters, fleiss_kappa


def map_agreement(one, other):
    """Of two maps by themselves; None without a bin in common."""
    found = list(map_agreements(np.stack([one, other])))
    return found[0][2] if found else None


def test_every_cycle_of_a_clock_is_the_same_row(rng):
    raster = phase_raster(*clock())
    assert raster.shape == (20, 12)
    assert (raster == np.repeat([0, 1, 2, 3], 3)).all()
    found = cycle_agreement(raster, rng)
    assert (found.pairwise_agreement, found.fleiss_kappa) == (1, 1)
    assert (found.kappa_low, found.kappa_high) == (1, 1)


def test_a_bin_has_its_most_frequent_label_and_of_equals_the_first():
    label = np.array([2, 1, 1, 5, 3, 3, 5, 4])
    phase = np.repeat([0.1, np.pi + 0.1], 4)
    raster = phase_raster(label, phase, np.zeros(8, int), bins=3)
    # Frames 1 to 4 lie in the first third, the others in the second, and the last is empty.
    assert raster.tolist() == [[1, 3, -1]]
    label[[1, 2]] = 2, 1
    label[4:] = [5, 3, 5, 3]
    assert phase_raster(label, phase, np.zeros(8, int), bins=3).tolist() == [[2, 5, -1]]


@given(
    arrays(np.int64, st.tuples(st.integers(2, 8), st.integers(1, 12)), elements=st.integers(0, 3))
)
def test_kappa_is_that_of_statsmodels(raster):
    found = cycle_agreement(raster, np.random.default_rng(0), resamples=9)
    if len(np.unique(raster)) == 1:
        assert found.fleiss_kappa is None and found.pairwise_agreement == 1
    else:
        table, _ = aggregate_raters(raster.T)
        assert found.fleiss_kappa == pytest.approx(fleiss_kappa(table), abs=1e-9)


@given(arrays(np.int64, (5, 7), elements=st.integers(0, 3)), st.permutations(range(4)))
def test_agreement_does_not_depend_on_the_labels_names_nor_on_the_order_of_cycles(raster, names):
    one = cycle_agreement(raster, np.random.default_rng(0), resamples=5)
    other = cycle_agreement(np.array(names)[raster[::-1]], np.random.default_rng(0), resamples=5)
    assert other.pairwise_agreement == pytest.approx(one.pairwise_agreement)
    assert (one.fleiss_kappa is None) == (other.fleiss_kappa is None)
    if one.fleiss_kappa is not None:
        assert other.fleiss_kappa == pytest.approx(one.fleiss_kappa)


@given(arrays(np.int64, (6, 5), elements=st.integers(-1, 2)))
def test_agreement_is_counted_over_pairs_of_cycles_where_both_have_a_label(raster):
    same = [
        a == b
        for i in range(6)
        for j in range(i)
        for a, b in zip(raster[i], raster[j], strict=True)
        if a >= 0 and b >= 0
    ]
    found = cycle_agreement(raster, np.random.default_rng(0), resamples=5)
    if same:
        assert found.pairwise_agreement == pytest.approx(np.mean(same))
    else:
        assert found is None


def test_independent_labels_have_no_kappa_on_average(rng):
    kappas = [
        cycle_agreement(phase_raster(*unlocked(rng)), rng, 1).fleiss_kappa for _ in range(200)
    ]
    assert np.mean(kappas) == pytest.approx(0, abs=0.02)


def test_the_bootstrap_covers_the_kappa_of_many_cycles():
    truth = cycle_agreement(
        phase_raster(*planted(np.random.default_rng(0), cycles=4000, lost=0.3)),
        np.random.default_rng(0),
        1,
    ).fleiss_kappa
    draws = np.random.default_rng(1)
    found = [
        cycle_agreement(phase_raster(*planted(draws, lost=0.3)), draws, 199) for _ in range(200)
    ]
    covered = np.mean([each.kappa_low <= truth <= each.kappa_high for each in found])
    assert 0.85 <= covered <= 0.99


@pytest.mark.parametrize("cycles", [0, 1])
def test_one_cycle_agrees_with_nobody(cycles, rng):
    raster = phase_raster(*clock())[:cycles]
    assert cycle_agreement(raster, rng) is None
    labels = [0, 1, 2, 3] if cycles else [-1]
    assert phase_map(raster).tolist() == np.repeat(labels, 12 // len(labels)).tolist()


def test_words_are_spelled_from_touchdown_with_repeats_collapsed():
    label = np.array([3, 3, 4, 3, 3, 4, 4, 4, 3, 4, 4, 4, 5, 9])
    cycle = np.array([0, 0, 0, 1, 1, 1, 1, 1, 2, 2, 2, 2, 2, -1])
    found = cycle_motifs(label, cycle)
    assert found.words == ((3, 4), (3, 4), (3, 4, 5))
    assert found.modal == (3, 4)
    assert found.modal_share == pytest.approx(2 / 3)
    assert found.mean_distance == pytest.approx((0 + 0 + 1 / 3) / 3)
    assert cycle_motifs(label, np.full(14, -1)) is None


def test_short_stretches_can_be_left_out_of_words():
    label = np.array([3, 3, 5, 3, 3, 4, 4, 4, 3, 3, 4, 5, 4])
    cycle = np.array([0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 2, 2, 2])
    assert cycle_motifs(label, cycle, 2).words == ((3, 4), (3,), ())
    assert cycle_motifs(label, cycle).words == ((3, 5, 3, 4), (4, 3), (4, 5, 4))
    assert cycle_motifs(label, cycle, 9).modal_share == 1


def test_a_label_that_lasts_into_the_next_cycle_begins_its_word():
    assert cycle_motifs(np.array([1, 1, 1, 1]), np.array([0, 0, 1, 1])).words == ((1,), (1,))


@pytest.mark.parametrize(
    ("a", "b", "distance"),
    [("kitten", "sitting", 3), ("", "abc", 3), ("abc", "abc", 0), ("flaw", "lawn", 2)],
)
def test_distances_of_words_are_the_known_ones(a, b, distance):
    assert levenshtein(tuple(map(ord, a)), tuple(map(ord, b))) == distance


def test_the_map_is_the_commonest_label_of_each_bin():
    raster = np.array([[0, 1, -1], [0, 2, -1], [3, 2, -1]])
    assert phase_map(raster).tolist() == [0, 2, -1]


@given(arrays(np.int64, (2, 12), elements=st.integers(-1, 3)))
def test_maps_agree_as_scikit_learn_says(maps):
    found = map_agreement(*maps)
    a, b = maps[:, (maps >= 0).all(axis=0)]
    if not len(a):
        assert found is None
        return
    assert (found.bins, found.agreement) == (len(a), np.mean(a == b))
    alone = len(set(a)) == len(set(b)) == len(a)
    if len(set(a)) > 1 and len(set(b)) > 1 and not alone:
        assert found.ami == pytest.approx(adjusted_mutual_info_score(a, b))
    else:
        assert found.ami is None, "two constant maps are no evidence of a common map"


def test_all_pairs_of_maps_are_compared_as_each_by_itself(rng):
    maps = rng.integers(-1, 4, size=(7, 12))
    maps[2] = -1
    found = {(i, j): agreement for i, j, agreement in map_agreements(maps)}
    alone = {(i, j): map_agreement(maps[i], maps[j]) for i, j in combinations(range(7), 2)}
    assert found == {pair: each for pair, each in alone.items() if each is not None}
    assert len(found) == 15, "an episode without cycles is in no pair"


def test_many_maps_take_less_time_a_pair_than_two(rng):
    maps = rng.integers(0, 4, size=(200, 12))
    pairs = list(combinations(range(200), 2))

    def seconds_a_pair(compare: Callable[[], object], count: int) -> float:
        start = time.process_time()
        compare()
        return (time.process_time() - start) / count

    some = pairs[:: len(pairs) // 300]
    alone = seconds_a_pair(lambda: [map_agreement(maps[i], maps[j]) for i, j in some], len(some))
    together = seconds_a_pair(lambda: list(map_agreements(maps)), len(pairs))
    assert together < alone / 2, "measured: a tenth"


def test_maps_that_differ_by_names_only_have_full_information_and_no_agreement():
    one = np.repeat([0, 1, 2, 3], 3)
    found = map_agreement(one, (one + 1) % 4)
    assert (found.agreement, found.ami) == (0, pytest.approx(1))
