"""Labels of several agents: matched by frames and by phase, compared, and set against chance."""

import itertools

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from sklearn import metrics

from glassviz.metrics.agreement import (
    agreement,
    agreement_test,
    consensus,
    match_by_frames,
    match_by_phase,
    pairwise_ami,
    phase_profiles,
    warped_circular_shifts,
)
from glassviz.metrics.information import contingency
from glassviz.metrics.locking import phase_raster
from tests.helpers.label_series import sticky, unlocked

LABELS = hnp.arrays(np.int64, (2, 40), elements=st.integers(0, 4))


def clock(cycles: int, period: int = 40, phases: int = 4) -> tuple[np.ndarray, ...]:
    """Label, phase and cycle of a perfect gait."""
    place = np.tile(np.arange(period), cycles)
    label = place * phases // period
    return label, 2 * np.pi * (place + 0.5) / period, np.repeat(np.arange(cycles), period)


# Contingency and matching


@given(LABELS)
def test_a_contingency_table_is_scikit_learns(labels):
    a, b = labels
    found = contingency(a, b)
    theirs = metrics.cluster.contingency_matrix(a, b)
    assert np.array_equal(found[found.any(axis=1)][:, found.any(axis=0)], theirs)


def test_frames_that_either_leaves_out_are_in_no_cell():
    found = contingency(np.array([0, -1, 1, 1]), np.array([0, 0, -1, 1]), rows=3, columns=2)
    assert found.tolist() == [[1, 0], [0, 1], [0, 0]]
    assert contingency(np.array([-1]), np.array([0])).size == 0


@given(st.permutations(range(5)), st.randoms(use_true_random=False))
def test_a_renumbering_is_found_and_is_complete(order, random):
    a = np.array([*range(5), *(random.randrange(5) for _ in range(30))])
    table = contingency(a, np.array(order)[a])
    found = match_by_frames(table)
    assert found.partner.tolist() == list(order)
    assert found.similarity == pytest.approx(np.ones(5))
    assert found.accuracy(table) == 1.0


@given(LABELS)
def test_no_other_assignment_makes_more_frames_agree(labels):
    table = contingency(*labels, rows=5, columns=5)
    found = match_by_frames(table)
    best = max(
        sum(table[i, j] for i, j in enumerate(order)) for order in itertools.permutations(range(5))
    )
    kept = found.partner >= 0
    assert len(set(found.partner[kept])) == kept.sum(), "each label has one partner"
    assert found.accuracy(table) <= best / table.sum() + 1e-12
    if kept.all():
        assert found.accuracy(table) == pytest.approx(best / table.sum())


def test_labels_that_hardly_overlap_are_unmatched_and_do_not_count():
    table = np.array([[90.0, 10.0], [10.0, 2.0]])
    found = match_by_frames(table)
    assert found.partner.tolist() == [0, -1]
    assert found.similarity == pytest.approx([90 / 110, 0.0])
    assert found.accuracy(table) == pytest.approx(90 / 112)


def test_with_more_labels_on_one_side_some_have_no_partner():
    table = np.array([[50.0, 0.0], [0.0, 40.0], [5.0, 5.0]])
    assert match_by_frames(table).partner.tolist() == [0, 1, -1]
    assert match_by_frames(table.T).partner.tolist() == [0, 1]
    assert match_by_frames(np.zeros((2, 2))).accuracy(np.zeros((2, 2))) is None


# Matching by phase


def test_a_profile_says_where_a_label_lives():
    found = phase_profiles(phase_raster(*clock(3, period=48)), clusters=5)
    assert found[:4] == pytest.approx(np.kron(np.eye(4), np.full(3, 1 / 3)))
    assert not found[4].any(), "a label that is not seen lives nowhere"


def test_labels_of_one_phase_are_matched_in_gaits_of_any_period_and_numbering():
    label, phase, cycle = clock(10, period=48)
    other, other_phase, other_cycle = clock(7, period=36)
    order = np.array([2, 3, 1, 0])
    found = match_by_phase(
        phase_profiles(phase_raster(label, phase, cycle), 6),
        phase_profiles(phase_raster(order[other], other_phase, other_cycle), 4),
    )
    assert found.partner.tolist() == [2, 3, 1, 0, -1, -1]
    assert found.similarity[:4] == pytest.approx(np.ones(4))


def test_matches_turned_round_and_resized_stay_the_same_matches():
    found = match_by_frames(np.array([[50.0, 0.0, 0.0], [0.0, 0.0, 40.0]]))
    turned = found.inverse(4)
    assert turned.partner.tolist() == [0, -1, 1, -1] and turned.similarity[2] == 1
    assert turned.inverse(2).partner.tolist() == found.partner.tolist() == [0, 2]
    more = found.resized(3)
    assert more.partner.tolist() == [0, 2, -1] and more.similarity.tolist() == [1, 1, 0]


def test_labels_that_live_in_other_phases_are_unmatched():
    apart = match_by_phase(np.eye(3), np.roll(np.eye(6), 3, axis=1)[:3, :3])
    assert apart.partner.tolist() == [-1, -1, -1]
    flat = np.zeros((2, 5))
    flat[0, :3], flat[1, 2:] = 1 / 3, 1 / 3
    close = match_by_phase(flat[:1], flat[1:])
    assert close.similarity == pytest.approx([1 / 3]), "as flat profiles with a Jaccard of 0.2"


# Agreement


@given(LABELS)
def test_ari_and_ami_are_scikit_learns(labels):
    a, b = labels
    assume(len(set(a)) > 1 or len(set(b)) > 1)
    found = agreement(a, b)
    assert found.ari == pytest.approx(metrics.adjusted_rand_score(a, b), abs=1e-9)
    assert found.ami == pytest.approx(metrics.adjusted_mutual_info_score(a, b), abs=1e-9)


@given(LABELS)
def test_the_variation_of_information_is_what_is_not_shared(labels):
    a, b = labels
    found, turned = agreement(a, b), agreement(b, a)
    conditional = sum(
        -n / 40 * np.log2(n / given_b)
        for x, y in (labels, labels[::-1])
        for given_b, n in (
            ((y == j).sum(), ((x == i) & (y == j)).sum()) for i in set(x) for j in set(y)
        )
        if n
    )
    assert found.vi_bits == pytest.approx(conditional, abs=1e-9)
    assert turned.vi_bits == pytest.approx(found.vi_bits, abs=1e-9)
    if found.vi_normalised is not None:
        assert -1e-9 <= found.vi_normalised <= 1 + 1e-9


@given(hnp.arrays(np.int64, 30, elements=st.integers(0, 3)), st.permutations(range(4)))
def test_a_renumbering_agrees_completely(a, order):
    assume(len(set(a)) > 1)
    found = agreement(a, np.array(order)[a])
    assert (found.ari, found.ami) == pytest.approx((1.0, 1.0))
    assert (found.vi_bits, found.vi_normalised) == pytest.approx((0.0, 0.0), abs=1e-9)


def test_one_label_has_nothing_to_agree_upon():
    one, two = np.zeros(6, np.int64), np.array([0, 0, 1, 1, 1, 0])
    both = agreement(one, one)
    assert (both.ari, both.ami, both.vi_bits, both.vi_normalised) == (None, None, 0.0, None)
    side = agreement(one, two)
    assert (side.ari, side.ami, side.vi_bits, side.vi_normalised) == pytest.approx((0, 0, 1, 1))
    nothing = agreement(one, one - 1)
    assert nothing.vi_bits is nothing.ami is None
    assert agreement(np.arange(5), np.arange(5)).ami is None, "any partition into singletons agrees"


# Against labels on other clocks


def test_labels_on_another_clock_keep_their_order_and_their_dwell_within_a_half():
    label, _, cycle = clock(25)
    label, cycle = np.r_[7, label, 7], np.r_[-1, cycle, -1]
    begun = set()
    for drawn in warped_circular_shifts(label, cycle, np.random.default_rng(0), 20):
        assert drawn[0] == drawn[-1] == -1
        switches = np.flatnonzero(np.diff(drawn[1:-1]))
        assert set((np.diff(drawn[1:-1])[switches] % 4).tolist()) == {1}
        dwell = np.diff(switches)
        assert 10 / 1.5 / 1.2 <= dwell.min() <= dwell.max() <= 10 / 0.5 * 1.2
        assert dwell.mean() == pytest.approx(10, rel=0.1)
        begun.add(int(switches[0]))
    assert len(begun) > 5, "they begin anywhere"


def test_two_labels_of_one_gait_agree_beyond_chance_and_the_null_does_not():
    label, _, cycle = clock(12)
    other = np.where(np.random.default_rng(0).random(len(label)) < 0.2, 0, 3 - label)
    found = agreement_test(
        label, other, warped_circular_shifts(other, cycle, np.random.default_rng(0), 199)
    )
    assert found.observed.ami > 0.4 and found.null_ami < 0.2
    assert found.null_ari < found.observed.ari and found.null_vi_bits > found.observed.vi_bits
    assert (found.ami_p, found.ari_p, found.replicates) == (1 / 200, 1 / 200, 199)


def test_what_lies_outside_of_cycles_is_compared_on_neither_side(rng):
    label, _, cycle = clock(12)
    other = label.copy()
    other[:200], cycle[:200] = 0, -1
    found = agreement_test(label, other, warped_circular_shifts(other, cycle, rng, 9))
    assert found.observed.ami == pytest.approx(1.0)


@pytest.mark.parametrize(
    ("labels", "dwell", "clocked"), [(4, 5, False), (8, 20, False), (2, 40, False), (4, 5, True)]
)
def test_labels_that_have_nothing_to_do_with_each_other_agree_in_one_of_twenty_comparisons(
    labels, dwell, clocked
):
    draws = np.random.default_rng(7)

    def independent() -> float:
        a, phase, cycle = unlocked(draws, labels=labels, dwell=dwell)
        if clocked:
            a = (phase / (2 * np.pi) * labels).astype(int)
        b = sticky(len(a), labels, dwell, draws)
        return agreement_test(a, b, warped_circular_shifts(b, cycle, draws, 39)).ami_p

    p = np.array([independent() for _ in range(500)])
    assert 0.03 <= (p <= 0.05).mean() <= 0.07


def found_in(pairs) -> float:
    """How often labels that have something in common are found to, over pairs with their cycles."""
    draws = np.random.default_rng(1)
    p = [agreement_test(a, b, warped_circular_shifts(b, c, draws, 39)).ami_p for a, b, c in pairs]
    return float(np.mean(np.array(p) <= 0.05))


def test_two_labellings_of_one_gait_are_found_to_agree_with_three_frames_in_ten_mislabelled():
    draws = np.random.default_rng(5)

    def of_one_gait():
        _, phase, cycle = unlocked(draws)
        a, b = (((phase / (2 * np.pi) * 4) + turn).astype(int) % 4 for turn in (0.0, 0.3))
        for label in (a, b):
            slipped = draws.random(len(label)) < 0.3
            label[slipped] = draws.integers(4, size=int(slipped.sum()))
        return a, b, cycle

    assert found_in(of_one_gait() for _ in range(60)) >= 0.9


def test_labels_that_are_the_same_in_half_of_the_time_are_found_to_agree():
    draws = np.random.default_rng(6)

    def partly_the_same():
        a, _, cycle = unlocked(draws, dwell=10)
        together = (sticky(len(a), 2, 60, draws) == 0) & (draws.random(len(a)) < 0.8)
        return a, np.where(together, a, sticky(len(a), 4, 10, draws)), cycle

    assert found_in(partly_the_same() for _ in range(120)) >= 0.9


def test_an_agreement_without_content_has_no_p():
    one, cycle = np.zeros(40, np.int64), np.repeat(np.arange(4), 10)
    found = agreement_test(
        one, one, warped_circular_shifts(one, cycle, np.random.default_rng(0), 5)
    )
    assert (found.ami_p, found.null_ami, found.replicates) == (None, None, 5)
    outside = agreement_test(
        one, one, warped_circular_shifts(one, cycle * 0 - 1, np.random.default_rng(0), 5)
    )
    assert outside.observed.vi_bits is outside.ami_p is None


# Several runs


def test_the_medoid_is_the_run_that_the_others_resemble():
    truth = clock(20)[0]

    def blurred(share: float, seed: int) -> np.ndarray:
        return np.where(
            np.random.default_rng(seed).random(800) < share,
            np.random.default_rng(seed + 9).integers(4, size=800),
            truth,
        )

    labels = np.stack([blurred(0.5, 1), blurred(0.4, 2), blurred(0.05, 3), blurred(0.6, 4)])
    found = consensus(labels, np.random.default_rng(0))
    assert found.medoid == 2
    upper = found.ami[np.triu_indices(4, 1)]
    assert found.mean_ami == pytest.approx(upper.mean())
    assert upper.min() <= found.low < found.mean_ami < found.high <= upper.max()
    assert np.isnan(np.diag(found.ami)).all()


def test_runs_that_agree_agree_in_every_resample(rng):
    found = consensus(np.stack([clock(3)[0]] * 4), rng)
    assert (found.mean_ami, found.low, found.high) == pytest.approx((1, 1, 1))


@settings(max_examples=25)
@given(hnp.arrays(np.int64, (3, 30), elements=st.integers(0, 3)), st.permutations(range(3)))
def test_a_consensus_does_not_depend_on_the_order_of_runs(labels, order):
    ami, turned = pairwise_ami(labels), pairwise_ami(labels[np.array(order)])
    assert turned == pytest.approx(ami[np.ix_(order, order)], nan_ok=True)
    for i, j in itertools.combinations(range(3), 2):
        if len(set(labels[i])) > 1 or len(set(labels[j])) > 1:
            theirs = metrics.adjusted_mutual_info_score(labels[i], labels[j])
            assert ami[i, j] == pytest.approx(theirs, abs=1e-9)


def test_few_or_stuck_runs_have_no_interval():
    label = clock(2)[0]
    two = consensus(np.stack([label, label]), np.random.default_rng(0))
    assert (two.mean_ami, two.low, two.medoid) == (pytest.approx(1.0), None, None)
    stuck = consensus(np.zeros((3, 10), np.int64), np.random.default_rng(0))
    assert (stuck.mean_ami, stuck.medoid) == (None, None)
    half = consensus(np.stack([label, label, label * 0, label * 0]), np.random.default_rng(0))
    assert half.low is None and half.medoid == 0 and half.mean_ami == pytest.approx(1 / 5)
