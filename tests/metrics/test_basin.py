"""The basin joins the verdicts on gait and labels, by episode and by run."""

from dataclasses import replace
from typing import get_args

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from glassviz.gait.gait import describe
from glassviz.gait.verdict import Criterion, GaitName, GaitVerdict, run_gait
from glassviz.metrics.verdict import BASIN_OF, Basin, LabelVerdict, Verdict, basin, run_basin
from glassviz.report.phrases.verdicts import (
    basin_reasons,
    cause_words,
    episode_reason,
    gait_reason,
    shown_basin,
)
from tests.helpers.synthetic_gait import GaitPlan, synthesise

A_GAIT = describe(synthesise(GaitPlan(), np.random.default_rng(0)).trace(), 0)
GAITS = get_args(GaitName)
LABELS = get_args(Verdict)
RHYTHM = Criterion("rhythm", 0.5, 0.35, True)
KAPPA = Criterion("fleiss_kappa", 0.7, 0.6, True)


def joined(gait: str, labels: str) -> Basin:
    return basin(
        GaitVerdict(gait, (RHYTHM,), A_GAIT, None, (), {gait: (RHYTHM,)}),
        LabelVerdict(labels, 0, (KAPPA,)),
    )


NAMES = st.tuples(st.sampled_from(GAITS), st.sampled_from(LABELS))


def test_a_hop_with_one_label_or_phase_locked_ones_is_the_only_stable_hop():
    stable = [(g, k) for g in GAITS for k in LABELS if joined(g, k).name == "stable-hop"]
    assert stable == [("hop", "one label"), ("hop", "phase-locked")]


@pytest.mark.parametrize("labels", LABELS)
@pytest.mark.parametrize("gait", ["knee-walk", "fall-recover", "static"])
def test_another_gait_is_unstable_whatever_the_labels_and_is_named(gait, labels):
    found = joined(gait, labels)
    assert found.name == "unstable" and cause_words(found.cause).startswith(gait)


@pytest.mark.parametrize("gait", GAITS)
def test_oscillating_labels_are_unstable_whatever_the_gait_and_are_named(gait):
    found = joined(gait, "oscillating")
    assert found.name == "unstable" and "labels oscillate" in cause_words(found.cause)


@pytest.mark.parametrize("gait", GAITS)
@pytest.mark.parametrize("labels", LABELS)
def test_what_keeps_an_episode_out_of_the_stable_hop_tells_its_basin(gait, labels):
    found = joined(gait, labels)
    assert (found.name == "stable-hop") == (found.cause.why is None)
    if found.cause.why:
        assert BASIN_OF[found.cause.why] == found.name


def test_unstable_for_its_gait_reads_differently_from_unstable_for_its_labels():
    knee = run_basin([joined("knee-walk", "phase-locked")] * 3)
    loose = run_basin([joined("hop", "oscillating")] * 3)
    both = run_basin([joined("hop", "oscillating")] * 4 + [joined("static", "one label")] * 6)
    split = run_basin([joined("hop", "one label"), joined("undetermined", "none")])
    assert shown_basin(knee) == "unstable (not a hop)"
    assert shown_basin(loose) == "unstable (labels oscillate)"
    assert shown_basin(both) == "unstable (not a hop 6, labels oscillate 4)"
    assert shown_basin(split) == "split: 1 stable-hop, 1 undetermined (gait unclear)"


@pytest.mark.parametrize(
    ("gait", "labels", "cause"),
    [
        ("hop", "none", "hop, no labels"),
        ("hop", "undetermined", "hop, labels undetermined"),
        ("undetermined", "phase-locked", "gait undetermined"),
        ("undetermined", "none", "gait undetermined"),
        ("undetermined", "undetermined", "gait undetermined"),
    ],
)
def test_what_cannot_be_told_is_undetermined_and_says_what_is_missing(gait, labels, cause):
    found = joined(gait, labels)
    assert (found.name, cause_words(found.cause)) == ("undetermined", cause)


def test_an_episode_keeps_both_verdicts_and_their_reasons():
    found = joined("hop", "phase-locked")
    without = replace(found, labels=LabelVerdict("none", None, ()))
    assert episode_reason(without) == f"{gait_reason(found.gait)} The agent has no labels."
    assert (found.gait.criteria, found.labels.criteria) == ((RHYTHM,), (KAPPA,))


def test_a_run_that_leaves_the_basin_in_two_ways_is_split_in_gait_only():
    episodes = [joined("static", "phase-locked")] * 5 + [joined("knee-walk", "phase-locked")] * 5
    found = run_basin(episodes)
    assert found.name == "unstable" and found.split == {"unstable": 10}
    assert basin_reasons(found) == ("static 5/10", "knee-walk 5/10")
    assert run_gait([each.gait for each in episodes]).name == "split"


@pytest.mark.parametrize(("stable", "name"), [(8, "stable-hop"), (7, "split"), (2, "unstable")])
def test_a_run_is_named_by_more_than_three_quarters_of_its_episodes(stable, name):
    episodes = [joined("hop", "phase-locked")] * stable
    episodes += [joined("hop", "oscillating")] * (10 - stable)
    found = run_basin(episodes)
    assert found.name == name
    assert found.split == {"stable-hop": stable, "unstable": 10 - stable}


def test_a_run_says_how_many_episodes_have_each_cause_unless_all_have():
    assert basin_reasons(run_basin([joined("hop", "none")] * 3)) == ("hop, no labels",)
    mixed = [joined("hop", "oscillating")] * 2 + [joined("hop", "phase-locked")]
    assert basin_reasons(run_basin(mixed)) == (
        "hop, labels oscillate 2/3",
        "hop, labels phase-locked 1/3",
    )


def test_the_first_reason_is_one_for_the_basin_that_the_run_is_in():
    gaits = ["static", "knee-walk", "fall-recover"]
    episodes = [joined("hop", "none")] * 2 + [joined(gait, "none") for gait in gaits * 3]
    assert basin_reasons(run_basin(episodes))[0] == "static 3/11"
    more = [joined("hop", "none")] * 4 + [joined(gait, "none") for gait in gaits * 2]
    assert basin_reasons(run_basin(more)) == (
        *(f"{gait} 2/10" for gait in gaits),
        "hop, no labels 4/10",
    )


@given(st.lists(NAMES, min_size=1, max_size=12))
def test_every_episode_of_a_run_is_counted_once(names):
    found = run_basin([joined(*each) for each in names])
    assert sum(found.split.values()) == sum(found.causes.values()) == len(names)
    assert list(found.split.values()) == sorted(found.split.values(), reverse=True)


def test_a_run_without_episodes_has_no_basin():
    with pytest.raises(ValueError, match="at least one episode"):
        run_basin([])
