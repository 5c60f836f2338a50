"""Whole episodes whose gait is planted, and those in which there is hardly anything to find."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from glassviz.errors import GlassvizError
from glassviz.gait.gait import Gait, circular_sd, describe
from glassviz.gait.verdict import gait_answers, gait_verdict
from glassviz.trace import Trace
from tests.helpers.commands import loaded
from tests.helpers.synthetic_gait import GEOMS, GaitPlan, SyntheticGait, synthesise
from tests.helpers.traces import clock_trace

DT_S = 0.02


def planted(seed: int = 0, **plan) -> tuple[SyntheticGait, Gait]:
    truth = synthesise(GaitPlan(**plan), np.random.default_rng(seed))
    return truth, describe(truth.trace(), 0)


def durations(truth: SyntheticGait) -> np.ndarray:
    return np.bincount(truth.cycle[truth.cycle >= 0]) * truth.plan.dt_s


def changed(trace: Trace, **arrays: np.ndarray) -> Trace:
    return replace(trace, **arrays)


# Recovery of what was planted --------------------------------------------------------------------

SUPPORTS = [("foot", 0.3), ("foot", 0.4), ("foot", 0.6), ("foot", 0.9)]
SUPPORTS += [("knee", 0.8), ("knee", 1.0), ("knee", 1.4), ("knee", 1.9)]


@pytest.mark.parametrize("jitter_cv", [0.0, 0.05, 0.1])
@pytest.mark.parametrize(("support", "period_s"), SUPPORTS)
def test_all_three_detectors_find_the_planted_period_within_three_percent(
    support, period_s, jitter_cv
):
    truth, gait = planted(support=support, period_s=period_s, jitter_cv=jitter_cv)
    expected = pytest.approx(durations(truth).mean(), rel=0.03)
    assert gait.detected_periods_s == {
        "touchdown": expected,
        "hilbert": expected,
        "autocorrelation": expected,
    }
    assert gait.period_spread < 0.03


@pytest.mark.parametrize("jitter_cv", [0.0, 0.05, 0.1, 0.15])
@pytest.mark.parametrize(("support", "period_s"), SUPPORTS)
def test_the_planted_jitter_is_found_within_two_percent_points(support, period_s, jitter_cv):
    truth, gait = planted(support=support, period_s=period_s, jitter_cv=jitter_cv, frames=3000)
    drawn = durations(truth)
    assert gait.cycles.period_cv == pytest.approx(drawn.std(ddof=1) / drawn.mean(), abs=0.02)


@pytest.mark.parametrize("falls", [0, 1, 2, 3])
@pytest.mark.parametrize("seed", range(3))
def test_every_planted_fall_of_a_hopper_is_found_where_it_is(falls, seed):
    truth, gait = planted(seed, falls=falls, jitter_cv=0.05, frames=2000)
    hits = np.flatnonzero(np.diff(truth.going.astype(int)) == -1) + 1
    ups = np.flatnonzero(np.diff(truth.going.astype(int)) == 1)[1:] + 1
    assert [fall.hit for fall in gait.falls] == hits.tolist()
    assert [fall.recovery for fall in gait.falls] == ups.tolist()
    assert gait.cycles.period_s == pytest.approx(0.4, rel=0.03)
    assert not (gait.steady & gait.fallen).any()


@pytest.mark.parametrize("duty_factor", [0.3, 0.5, 0.7])
def test_the_planted_duty_factor_is_found_within_a_frame_a_cycle(duty_factor):
    _, gait = planted(duty_factor=duty_factor)
    assert gait.duty_factor == pytest.approx(duty_factor, abs=DT_S / 0.4)
    assert gait.flight_share == pytest.approx(1 - duty_factor, abs=DT_S / 0.4)


@pytest.mark.parametrize(("support", "period_s"), SUPPORTS)
def test_the_phase_is_right_within_two_frames(support, period_s):
    truth, gait = planted(support=support, period_s=period_s, jitter_cv=0.1)
    both = (truth.cycle >= 0) & gait.steady
    assert both.sum() >= 0.85 * (truth.cycle >= 0).sum()
    error = np.angle(np.exp(1j * (truth.phase[both] - gait.cycles.phase[both])))
    shortest = 0.6 * period_s
    assert np.abs(error).max() <= 2 * (2 * np.pi * DT_S / shortest)


def test_the_opening_ends_where_the_gait_begins():
    truth, gait = planted(opening_s=2.0)
    assert gait.opening_end == np.argmax(truth.going)


def test_speed_and_distance_are_the_planted_ones():
    truth, gait = planted(speed_mps=0.5)
    assert gait.mean_speed_mps == pytest.approx(0.5)
    assert gait.distance_m == pytest.approx(0.5 * truth.going.sum() * DT_S)


def test_a_description_is_the_same_each_time(rng):
    truth = synthesise(GaitPlan(jitter_cv=0.1), rng)
    assert describe(truth.trace(), 0).return_map == describe(truth.trace(), 0).return_map


@settings(max_examples=20)
@given(st.integers(0, 2**32 - 1), st.floats(0.3, 0.9), st.integers(0, 3))
def test_shares_are_shares_whatever_is_planted(seed, period_s, falls):
    _, gait = planted(seed, period_s=period_s, jitter_cv=0.2, falls=falls)
    shares = [gait.foot_only_share, gait.body_share, gait.standing_rate, gait.moving_share]
    shares += [gait.flight_share, gait.fallen_share, *gait.geom_shares.values()]
    assert all(0 <= share <= 1 for share in shares if share is not None)
    assert gait.foot_only_share + gait.body_share <= 1
    assert all(fall.start < fall.hit for fall in gait.falls)
    assert all(fall.recovery > fall.hit for fall in gait.falls if fall.recovery is not None)


def test_other_control_steps_are_in_seconds_too(rng):
    truth = synthesise(GaitPlan(frames=500, dt_s=0.04, period_s=0.8), rng)
    gait = describe(truth.trace(), 0)
    assert gait.cycles.period_s == pytest.approx(0.8, rel=0.03)
    assert gait.opening_end * gait.dt_s == pytest.approx(1.3, abs=0.04)


def test_circular_sd_is_that_of_small_angles(rng):
    angles = 0.1 * rng.standard_normal(100_000)
    resultant = float(np.abs(np.exp(1j * angles).mean()))
    assert circular_sd(resultant) == pytest.approx(0.1, rel=0.02)
    assert circular_sd(1.0) == 0.0


# Hardly anything to find -------------------------------------------------------------------------


def test_no_contact_at_all_is_a_result():
    trace = clock_trace(frames=200)
    trace = changed(trace, contacts=np.zeros_like(trace.contacts))
    gait = describe(trace, 0)
    assert gait.opening_end == 0
    assert gait.foot_only_share is None and gait.duty_factor is None
    assert gait.cycles.count == 0
    assert gait.flight_share == 1.0
    assert gait_verdict(gait).name == "undetermined"


@pytest.mark.parametrize("frames", [1, 2, 3, 10])
def test_the_shortest_traces_have_a_description_and_no_cycle(frames):
    gait = describe(clock_trace(frames=frames), 0)
    assert gait.cycles.count == 0
    assert gait.rhythm is None and gait.hilbert_period_s is None and gait.return_map is None
    assert gait_verdict(gait).name == "undetermined"
    assert gait_answers(gait).rhythmic is None


def test_a_constant_height_has_no_rhythm_but_may_have_touchdowns(rng):
    truth = synthesise(GaitPlan(), rng)
    trace = changed(truth.trace(), height=np.full((1, 1000), 0.7))
    gait = describe(trace, 0)
    assert gait.rhythm is None and gait.hilbert_period_s is None
    assert gait.cycles.period_s == pytest.approx(0.4, rel=0.03)
    assert gait.period_spread is None


def test_a_body_at_rest_has_nothing_to_return_to(rng):
    contacts = np.zeros((1, 300, len(GEOMS)), bool)
    contacts[..., GEOMS.index("torso")] = True
    still = changed(
        synthesise(GaitPlan(frames=300), rng).trace(),
        contacts=contacts,
        height=np.zeros((1, 300)),
        speed=np.zeros((1, 300)),
    )
    gait = describe(still, 0)
    assert gait.falls == () and gait.frames_to_first_fall is None and gait.longest_down_s == 0
    assert gait_verdict(gait).name == "static"


@pytest.mark.parametrize("name", ["height", "speed", "angles"])
@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_a_number_that_is_none_is_one_clear_sentence(name, value):
    trace = clock_trace(episodes=2, frames=40)
    broken = getattr(trace, name).astype(np.float64, copy=True)
    broken[1, 17] = value
    with pytest.raises(GlassvizError, match=r"trace of clock, episode 1: .* in frame 17: record"):
        describe(changed(trace, **{name: broken}), 1)
    describe(changed(trace, **{name: broken}), 0)


def test_a_trace_without_the_parts_of_its_body_is_refused():
    trace = clock_trace()
    header = trace.header | {"bodies": ["torso", "left_leg", "x", "y", "z"]}
    with pytest.raises(GlassvizError, match="none of thigh: record it again"):
        describe(replace(trace, header=header), 0)


def test_a_trace_without_frames_is_refused():
    with pytest.raises(GlassvizError, match="expected frames, found none"):
        describe(clock_trace(frames=0), 0)


# Answers -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("frames", "rhythmic"),
    [(1000, False), (325, False), (200, None)],
)
def test_lying_still_is_no_rhythm_and_a_moment_of_it_is_too_little_to_say(frames, rhythmic):
    _, gait = planted(frames=frames, opening_s=100.0)
    assert gait.cycles.count == 0
    assert gait_answers(gait).rhythmic is rhythmic


def test_a_rhythm_without_two_cycles_is_none_in_a_long_episode():
    _, gait = planted()
    nothing = replace(gait.cycles, starts=gait.cycles.starts[:1], ends=gait.cycles.ends[:1])
    assert gait_answers(replace(gait, cycles=nothing)).rhythmic is False


def test_a_hop_with_a_fall_answers_every_question():
    truth, gait = planted(falls=1, speed_mps=0.6)
    answers = gait_answers(gait)
    assert answers.course == "forward"
    assert answers.rhythmic is True
    assert answers.period_s == pytest.approx(0.4, rel=0.02)
    assert answers.hops_per_s == pytest.approx(2.5, rel=0.02)
    assert answers.fall_manners == {"topples forward": 1}
    going = np.flatnonzero(np.diff(truth.going.astype(int)) == -1)[0] + 1 - gait.opening_end
    assert answers.first_fall_s == pytest.approx(going * DT_S)
    assert answers.first_fall_m == pytest.approx(0.6 * going * DT_S)


@pytest.mark.parametrize(
    ("speed_mps", "course"), [(0.5, "forward"), (-0.5, "backward"), (0.01, "in place")]
)
def test_the_course_follows_the_mean_speed(speed_mps, course):
    assert gait_answers(planted(speed_mps=speed_mps)[1]).course == course


def test_a_knee_walk_has_no_hops():
    assert gait_answers(planted(support="knee", period_s=1.3)[1]).hops_per_s is None


# Synthetic gaits ---------------------------------------------------------------------------------


def test_the_planted_phase_resets_with_the_cycle():
    truth, _ = planted(jitter_cv=0.1)
    inside = truth.cycle >= 0
    np.testing.assert_array_equal(inside, np.isfinite(truth.phase))
    assert (
        np.diff(truth.phase)[np.diff(truth.cycle) == 0][inside[1:][np.diff(truth.cycle) == 0]] > 0
    ).all()
    assert sorted(set(truth.cycle[inside])) == list(range(truth.cycle.max() + 1))


def test_locked_labels_are_the_map_of_the_phase():
    truth, _ = planted(map=(3, 1, 5), jitter_cv=0.1)
    inside = truth.cycle >= 0
    sector = (truth.phase[inside] / (2 * np.pi) * 3).astype(int)
    np.testing.assert_array_equal(truth.label[inside], np.array([3, 1, 5])[sector])


def test_locking_and_flicker_are_the_planted_shares():
    common = dict(frames=50_000, opening_s=0.0)
    locked = planted(**common)[0].label
    loose = planted(**common, locking=0.4)[0].label
    # Of the sectors that are drawn anew an eighth keeps its label by chance.
    assert np.mean(loose != locked) == pytest.approx(0.6 * 7 / 8, abs=0.02)
    flickering = planted(**common, flicker=0.1)[0].label
    assert np.mean(flickering != locked) == pytest.approx(0.1, abs=0.01)


def test_a_synthetic_trace_survives_a_file(tmp_path, rng):
    trace = synthesise(GaitPlan(frames=100), rng).trace()
    trace.save(tmp_path / "synthetic.npz")
    assert Trace.load(tmp_path / "synthetic.npz").sha256 == trace.sha256


def test_gaits_need_neither_jax_nor_mujoco_nor_anything_that_draws():
    heavy = {"jax", "mujoco", "umap", "matplotlib", "cv2"}
    assert loaded("import glassviz.gait.verdict", heavy) == set()
