"""The verdict on labels: planted truths, pitfalls, and reasons that can be read."""

import numpy as np
import pytest

from glassviz.metrics.labels import describe
from glassviz.metrics.verdict import LabelThresholds, LabelVerdict, judge_labels, label_verdict
from glassviz.report.phrases.verdicts import label_reason
from tests.helpers.label_series import DT_S, Series, clock, gait, planted, unlocked


def judged(series: Series, thresholds: LabelThresholds | None = None) -> LabelVerdict:
    stats = describe(*series, DT_S, 8, np.random.default_rng(0), replicates=199)
    return label_verdict(stats, thresholds or LabelThresholds())


def test_no_labels_are_none():
    assert label_verdict(None).verdict == "none"


@pytest.mark.parametrize("labels", [2, 3, 4, 6])
def test_a_clock_is_locked(labels):
    assert judged(clock(labels=labels)).verdict == "phase-locked"


@pytest.mark.parametrize("seed", range(5))
def test_a_jittered_gait_that_slips_rarely_is_locked(seed):
    assert judged(planted(np.random.default_rng(seed), slips=0.002)).verdict == "phase-locked"


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("dwell", [3, 6, 12])
def test_labels_independent_of_the_gait_oscillate(seed, dwell):
    assert judged(unlocked(np.random.default_rng(seed), dwell=dwell)).verdict == "oscillating"


def test_chatter_within_locked_phases_oscillates():
    series = planted(np.random.default_rng(0))
    chatter = (series.label >= 2) & (np.random.default_rng(1).random(len(series.label)) < 0.5)
    found = judged(series._replace(label=np.where(chatter, 5, series.label)))
    assert found.verdict == "oscillating" and "chatter" in label_reason(found)


def test_one_label_is_its_own_verdict_and_says_that_there_is_nothing_to_lock():
    found = judged(clock(labels=1))
    assert (
        found.verdict == "one label"
        and "A single label (0) covers 100.0% of frames" in label_reason(found)
    )


def test_one_label_with_rare_slips_is_one_label_although_kappa_is_low():
    phase, cycle = gait(20, 40)
    label = np.zeros(800, int)
    for j, at in enumerate(np.random.default_rng(0).integers(36, size=8)):
        label[80 * j + at : 80 * j + at + 4] = 1
    found = judged(Series(label, phase, cycle))
    [kappa] = [c.value for c in found.criteria if c.name == "fleiss_kappa" and c.at_least]
    assert kappa < 0.3 and found.verdict == "one label"


@pytest.mark.parametrize(("off", "verdict"), [(0.9, "undetermined"), (0.91, "one label")])
def test_a_share_close_to_one_label_is_undetermined_on_both_sides(off, verdict):
    values = {each.name: each.value for each in judged(clock()).criteria}
    for share in (off - 0.001, off + 0.001) if verdict == "undetermined" else (off + 0.001,):
        found = judge_labels(values | {"dominant_share": share})
        assert found.verdict == verdict
    if verdict == "undetermined":
        assert "too close to 0.9 to tell one label from several" in label_reason(found)


def test_one_label_needs_no_cycle():
    nowhere = Series(np.zeros(100, int), np.full(100, np.nan), np.full(100, -1))
    assert judged(nowhere).verdict == "one label"


def test_a_low_kappa_of_cycles_that_are_alike_is_no_oscillation():
    phase, cycle = gait(20, 40)
    label = np.zeros(800, int)
    for j, at in enumerate(np.random.default_rng(0).integers(34, size=17)):
        label[40 * j + at : 40 * j + at + 5] = 1  # Nearly once a cycle, anywhere, and no flicker.
    found = judged(Series(label, phase, cycle))
    assert found.verdict == "undetermined"


def test_too_few_cycles_are_undetermined_and_counted():
    found = judged(clock(cycles=4))
    assert (
        found.verdict == "undetermined"
        and "Too few gait cycles: 4, at least 5 required" in label_reason(found)
    )


@pytest.mark.parametrize("frames", [0, 3])
def test_too_few_frames_are_undetermined(frames):
    label = np.arange(frames)
    found = judged(Series(label, np.full(frames, np.nan), np.full(frames, -1)))
    assert found.verdict == "undetermined"


def test_agreement_between_the_lines_is_undetermined_and_names_what_is_missing():
    found = judged(planted(np.random.default_rng(3), lost=0.35))
    assert found.verdict == "undetermined" and "fleiss_kappa" in label_reason(found)


def test_evidence_for_both_is_undetermined():
    limits = LabelThresholds(clear_word=1.0)
    found = judged(clock(), limits)
    assert found.verdict == "undetermined" and "Conflicting evidence" in label_reason(found)


def test_every_criterion_is_shown_with_its_value_and_margin():
    found = judged(clock())
    shown = {(c.name, c.at_least): (c.value, c.met) for c in found.criteria}
    assert shown["fleiss_kappa", True] == (1, True)
    assert shown["fleiss_kappa", False] == (1, False)
    assert shown["dominant_share", True] == (0.25, False)
    assert shown["cycles", True] == (20, True)
    assert len(found.criteria) == 9
    assert all(c.margin is not None for c in found.criteria)


@pytest.mark.parametrize(
    "series",
    [
        clock(),
        clock(labels=1),
        unlocked(np.random.default_rng(0)),
        planted(np.random.default_rng(0), lost=0.35),
        clock(2),
    ],
)
def test_a_reason_is_one_sentence(series):
    reason = label_reason(judged(series))
    assert reason.endswith(".") and "\n" not in reason and len(reason) < 200
