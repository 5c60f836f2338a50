"""Labels and basins of other bodies than the hopper."""

from dataclasses import replace

import numpy as np
import pytest

from glassviz.metrics.stability import assess
from glassviz.metrics.verdict import join
from glassviz.report.phrases.verdicts import episode_reason, shown_gait
from tests.helpers.planted_bodies import BodyPlan, plan_of, synthesise

PLANS = {
    "walker": plan_of("walk", jitter_cv=0.05, frames=900),
    "quadruped": plan_of("trot", jitter_cv=0.05, frames=900),
    "finger": BodyPlan("finger-spin", period_s=0.5, jitter_cv=0.05, noise=0.02, frames=900),
}


def assessed(plan: BodyPlan, seed: int = 0, **changes):
    return assess(synthesise(replace(plan, **changes), np.random.default_rng(seed)))


@pytest.mark.parametrize("body", PLANS)
def test_labels_that_follow_a_steady_gait_are_locked_and_the_run_is_stable(body):
    run = assessed(PLANS[body])
    assert run.gait.name == ("rhythmic" if body == "finger" else "steady gait")
    assert (run.label_verdict, run.basin.name) == ("phase-locked", "stable")
    assert run.metrics["locking_u"].mean > 0.7
    [episode] = run.episodes
    assert "Each phase keeps its label" in episode_reason(episode.basin)


@pytest.mark.parametrize("body", PLANS)
def test_labels_that_know_nothing_of_the_gait_are_locked_at_the_rate_of_the_test(body):
    rng, runs = np.random.default_rng(1), []
    for _ in range(30):
        trace = synthesise(PLANS[body], rng)
        switches = np.cumsum(rng.random(trace.frames) < 1 / 8)
        trace.label[:] = rng.integers(8, size=trace.frames)[switches]
        runs.append(assess(trace))
    assert not any(run.label_verdict == "phase-locked" for run in runs)
    assert all(run.basin.name == "unstable" for run in runs)
    p = [run.episodes[0].steady_labels.locking.locking_p for run in runs]
    # 95 % of thirty draws of a rate of 0.05 have at most four.
    assert sum(each <= 0.05 for each in p) <= 4


def test_a_run_shows_the_gait_of_its_feet():
    assert shown_gait(assessed(PLANS["walker"]).gait) == "steady gait (walk)"


@pytest.mark.parametrize(("switches", "verdict"), [(False, "one label"), (True, "oscillating")])
def test_labels_of_a_hold_are_locked_to_nothing(switches, verdict):
    plan = BodyPlan("pendulum-swingup", period_s=0.0, noise=0.0)
    trace = synthesise(plan, np.random.default_rng(0))
    trace.reward[:] = 1.0
    trace.label[:] = np.arange(trace.frames) % 2 if switches else 3
    run = assess(trace)
    assert (run.gait.name, run.label_verdict) == ("settled", verdict)
    assert run.basin.name == ("unstable" if switches else "stable")


@pytest.mark.parametrize(
    ("gait", "goal", "basin"),
    [
        ("hop", None, "stable-hop"),
        ("steady gait", "gait", "stable"),
        ("rhythmic", "gait", "stable"),
        ("settled", "hold", "stable"),
        ("rhythmic", "hold", "unstable"),
        ("steady gait", "hold", "unstable"),
        ("settled", "either", "stable"),
        ("rhythmic", "either", "stable"),
        ("drags its trunk", "gait", "unstable"),
        ("static", "hold", "unstable"),
        ("undetermined", "gait", "undetermined"),
    ],
)
def test_the_basin_asks_for_what_the_task_asks_for(gait, goal, basin):
    name, cause = join(gait, "phase-locked", goal)
    assert name == basin and (cause.why is None) == (basin in ("stable", "stable-hop"))
