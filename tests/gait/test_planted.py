"""What is planted in synthetic gaits is found: a small part of `benchmarks/planted.py`."""

import numpy as np
import planted
import pytest
from null_transcription import transcribed

from glassviz.metrics.nulls import cycle_counts, rotation_test, switch_counts
from tests.helpers.synthetic_gait import GaitPlan, synthesise

GAITS = [(0.3, 0.1, 1), (0.6, 0.0, 0), (1.2, 0.05, 1)]
LABELS = [(1.0, 0.0), (1.0, 0.02), (1.0, 0.1), (0.9, 0.0), (0.4, 0.0), (0.4, 0.1), (0.0, 0.0)]


@pytest.fixture(scope="module")
def found() -> list[planted.Found]:
    """Period, jitter, falls; locking, flicker."""
    grid = [(*gait, *labels) for gait in GAITS for labels in LABELS]
    return [planted.assessed(i, *each) for i, each in enumerate(grid)]


def test_period_jitter_cycles_falls_and_gait_are_those_that_were_drawn(found):
    for each in found:
        assert abs(each.period_error) < 0.02
        assert each.detector_error < 0.03
        assert abs(each.cv_error) < 0.05
        assert 0.97 <= each.cycles_found <= 1.06
        assert each.falls_found
        assert each.episode.gait_verdict.name == "hop"


def test_locking_is_that_of_the_formula(found):
    for each in found:
        # A touchdown is found up to a frame late, which blurs the borders of locked phases.
        u = planted.u_by_formula(each.plan)
        assert u - 0.15 < each.labels.locking.locking_u < u + 0.15


def test_kappa_without_flicker_is_that_of_the_formula(found):
    for each in found:
        if each.plan.flicker == 0:
            kappa = planted.kappa_by_formula(each.plan)
            assert kappa - 0.15 < each.labels.agreement.fleiss_kappa < kappa + 0.1


def test_chatter_is_at_least_the_planted_flicker_and_what_it_cuts_off_at_most(found):
    for each in found:
        flicker, chatter = each.plan.flicker, each.labels.chatter_share
        assert 0.7 * flicker <= chatter <= 3 * flicker + 0.01


@pytest.mark.parametrize(
    ("locking", "flicker", "verdict"),
    [
        (1.0, 0.0, "phase-locked"),
        (1.0, 0.02, "phase-locked"),
        (0.9, 0.0, "phase-locked"),
        (0.4, 0.0, "oscillating"),
        (0.4, 0.1, "oscillating"),
        (0.0, 0.0, "oscillating"),
    ],
)
def test_the_verdict_on_labels_is_the_planted_one(found, locking, flicker, verdict):
    own = [e for e in found if (e.plan.locking, e.plan.flicker) == (locking, flicker)]
    assert [each.episode.label_verdict.verdict for each in own] == [verdict] * len(GAITS)


def test_the_locking_test_finds_labels_of_which_four_tenths_are_locked(found):
    assert max(e.labels.locking.locking_p for e in found if e.plan.locking >= 0.4) <= 0.05


def test_the_rotation_null_is_that_of_a_transcription_frame_by_frame():
    plan = GaitPlan(frames=400, period_s=0.5, jitter_cv=0.05, locking=0.3, flicker=0.05)
    truth = synthesise(plan, np.random.default_rng(0))
    series = truth.label, truth.phase, truth.cycle
    tables = cycle_counts(*series), switch_counts(*series)
    ours = rotation_test(*tables, np.random.default_rng(1), 99)
    theirs = transcribed(*series, np.random.default_rng(1), 99)
    assert ours == pytest.approx(theirs)
