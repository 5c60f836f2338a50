"""Verdicts on planted gaits, and how they are reached."""

from dataclasses import replace

import numpy as np
import pytest

from glassviz.gait.gait import Gait, describe
from glassviz.gait.verdict import (
    GAIT_THRESHOLDS,
    Criterion,
    GaitName,
    GaitVerdict,
    gait_verdict,
    run_gait,
)
from glassviz.report.phrases.verdicts import gait_reason
from tests.helpers.synthetic import GaitPlan, synthesise


def planted(seed: int = 0, **plan) -> Gait:
    return describe(synthesise(GaitPlan(**plan), np.random.default_rng(seed)).trace(), 0)


def judged(seed: int = 0, **plan) -> GaitVerdict:
    return gait_verdict(planted(seed, **plan))


# Criteria ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "at_least", "margin", "met"),
    [
        (0.9, True, 0.1, True),
        (0.8, True, 0.0, True),
        (0.7, True, -0.1, False),
        (0.7, False, 0.1, True),
        (0.8, False, 0.0, True),
        (0.9, False, -0.1, False),
        (None, True, None, None),
    ],
)
def test_a_margin_is_positive_where_a_criterion_is_met(value, at_least, margin, met):
    criterion = Criterion("share", value, 0.8, at_least)
    assert criterion.margin == (None if margin is None else pytest.approx(margin))
    assert criterion.met is met


# Episodes ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("period_s", [0.3, 0.4, 0.6])
@pytest.mark.parametrize("jitter_cv", [0.0, 0.1])
def test_hops_are_hops(period_s, jitter_cv, seed):
    verdict = judged(seed, period_s=period_s, jitter_cv=jitter_cv)
    assert verdict.name == "hop"
    assert all(criterion.met for criterion in verdict.criteria)
    assert gait_reason(verdict).endswith("100% of stance on the foot alone; 0 falls.")


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("period_s", [0.9, 1.3, 1.8])
def test_knee_walks_are_knee_walks_although_they_go_down_in_every_cycle(period_s, seed):
    gait = planted(seed, support="knee", period_s=period_s, jitter_cv=0.05)
    verdict = gait_verdict(gait)
    assert len(gait.falls) >= gait.cycles.count
    assert verdict.name == "knee-walk"
    assert gait_reason(verdict).endswith("of stance on thigh.")


def test_a_hop_that_is_interrupted_once_in_twenty_seconds_is_a_hop():
    verdict = judged(falls=1, fall_s=0.6)
    assert verdict.name == "hop"
    assert "; 1 fall." in gait_reason(verdict)


def test_a_hop_on_the_spot_is_a_hop():
    assert judged(speed_mps=0.0).name == "hop"


def test_falling_all_the_time_is_no_hop():
    verdict = judged(falls=8)
    assert verdict.name == "fall-recover"
    assert gait_reason(verdict) == "8 falls, 8 recovered; most often it topples forward (8×)."


def test_what_happens_once_is_told_as_once():
    gait = planted(falls=8)
    manners = ("topples", "sits", "folds", "topples"), ("forward",) * 3 + ("backward",)
    falls = [
        replace(fall, manner=manner, direction=direction)
        for fall, manner, direction in zip(gait.falls, *manners, strict=False)
    ]
    verdict = gait_verdict(replace(gait, falls=tuple(falls)))
    assert gait_reason(verdict) == "4 falls, 4 recovered; most often it topples forward (1×)."


def test_a_knee_walk_that_does_not_get_anywhere_falls_and_gets_up():
    assert judged(support="knee", period_s=1.3, speed_mps=0.2).name == "fall-recover"


def test_lying_is_static():
    verdict = judged(opening_s=100.0)
    assert verdict.name == "static"
    assert {criterion.name for criterion in verdict.criteria} == {"moving_share", "flight_share"}


@pytest.mark.parametrize("speed_mps", [0.54, 0.55, 0.56])
def test_a_speed_near_the_line_is_undetermined_and_says_so(speed_mps):
    verdict = judged(support="knee", period_s=1.3, speed_mps=speed_mps)
    assert verdict.name == "undetermined"
    assert gait_reason(verdict) == (
        f"Possibly a knee-walk: mean_speed_mps {speed_mps} is too close to 0.55."
    )


def test_detectors_that_disagree_leave_a_hop_undetermined():
    gait = replace(planted(), hilbert_period_s=0.8)
    verdict = gait_verdict(gait)
    assert verdict.name == "undetermined"
    assert "period_spread" in {criterion.name for criterion in verdict.criteria}


def test_a_detector_without_a_period_leaves_a_hop_undetermined():
    verdict = gait_verdict(replace(planted(), hilbert_period_s=None))
    assert verdict.name == "undetermined"
    assert gait_reason(verdict) == "Possibly a hop: period_spread could not be measured."


def test_two_rhythms_in_turn_are_not_called_fall_recover():
    gait = planted(support="knee", period_s=1.3, speed_mps=0.2)
    assert gait_verdict(replace(gait, hilbert_period_s=2.4)).name == "undetermined"


def test_who_stays_down_has_not_recovered():
    gait = planted(falls=8)
    last = replace(gait.falls[-1], hit=gait.frames - 400, recovery=None)
    assert gait_verdict(replace(gait, falls=(*gait.falls[:-1], last))).name == "undetermined"


def test_a_hop_of_three_cycles_is_too_short_to_tell():
    assert judged(frames=130, period_s=0.4).name == "undetermined"


def test_irregular_touchdowns_are_no_hop():
    assert judged(jitter_cv=0.5, frames=3000).name == "undetermined"


def test_every_gait_shows_its_criteria_whatever_the_verdict():
    verdict = judged()
    assert list(verdict.candidates) == ["hop", "knee-walk", "static", "fall-recover"]
    assert verdict.criteria == verdict.candidates["hop"]


def test_thresholds_decide():
    strict = replace(GAIT_THRESHOLDS, hop_falls_per_minute=0.1)
    gait = planted(falls=1, fall_s=0.6)
    assert gait_verdict(gait, strict).name == "undetermined"


# Runs --------------------------------------------------------------------------------------------


def verdicts(*names: GaitName) -> list[GaitVerdict]:
    gait = planted()
    return [GaitVerdict(name, (), gait, None, (), {}) for name in names]


def test_a_run_is_what_most_of_its_episodes_are_with_the_split_shown():
    run = run_gait(verdicts(*["hop"] * 8, "static", "undetermined"))
    assert run.name == "hop"
    assert run.split == {"hop": 8, "static": 1, "undetermined": 1}


def test_a_run_that_walks_in_six_episodes_and_lies_in_four_is_split():
    run = run_gait(verdicts(*["static"] * 4, *["knee-walk"] * 6))
    assert run.name == "split"
    assert list(run.split) == ["knee-walk", "static"]


@pytest.mark.parametrize(("most", "name"), [(7, "split"), (8, "hop")])
def test_three_of_ten_episodes_split_a_run_and_two_do_not(most, name):
    assert run_gait(verdicts(*["hop"] * most, *["static"] * (10 - most))).name == name


def test_three_of_four_episodes_are_not_enough():
    assert run_gait(verdicts(*["hop"] * 3, "static")).name == "split"


def test_one_episode_is_its_run():
    assert run_gait(verdicts("static")).name == "static"


def test_a_run_without_episodes_is_an_error():
    with pytest.raises(ValueError, match="found none"):
        run_gait([])
