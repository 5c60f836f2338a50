"""Bodies without feet: rhythms and holds that were planted are found, and noise has none."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.signal import lfilter

from glassviz.envs.bodies import task_of
from glassviz.gait.gait import describe
from glassviz.gait.joints import held_from, quiet_frames
from glassviz.gait.verdict import gait_verdict
from glassviz.trace import Trace
from tests.helpers.planted_bodies import BodyPlan, synthesise

TASKS = ("finger-spin", "pendulum-swingup", "swimmer-swimmer6", "fish-swim", "cartpole-swingup")
SECONDS = 20.0


def planted(task: str, seed: int = 0, **plan) -> Trace:
    frames = round(SECONDS / task_of(task).body.control_dt_s)
    return synthesise(BodyPlan(task=task, frames=frames, **plan), np.random.default_rng(seed))


def with_joints(trace: Trace, angle: np.ndarray) -> Trace:
    """The trace with other angles of its joints, and the velocities that belong to them."""
    qpos, qvel, body = trace.qpos.copy(), trace.qvel.copy(), trace.body
    first = body.root + (body.root == 6)
    qpos[0, :, first : first + angle.shape[1]] = angle
    qvel[0, :, body.root :] = np.gradient(angle, trace.frame_dt_s, axis=0)
    return replace(trace, qpos=qpos, qvel=qvel)


@pytest.mark.parametrize("period_s", [0.4, 0.8, 1.2, 1.8])
@pytest.mark.parametrize("task", TASKS)
def test_a_planted_rhythm_is_found_with_its_period(task, period_s):
    gait = describe(planted(task, period_s=period_s, jitter_cv=0.05, noise=0.02), 0)
    assert gait_verdict(gait).name == "rhythmic"
    assert gait.cycles.period_s == pytest.approx(period_s, rel=0.06)


def test_noise_of_any_correlation_time_has_no_rhythm():
    rng = np.random.default_rng(0)
    base = {task: planted(task) for task in ("pendulum-swingup", "finger-spin", "swimmer-swimmer6")}
    wrong = total = 0
    for trace in base.values():
        joints = trace.task.nv - trace.body.root
        for tau_s in (0.05, 0.3, 1.0, 5.0):
            a = np.exp(-trace.frame_dt_s / tau_s)
            for _ in range(10):
                # Twice filtered: velocities are finite, as those of a body are.
                white = rng.standard_normal((trace.frames + 500, joints))
                noise = lfilter([1], np.polymul([1, -a], [1, -a]), white, axis=0)[500:]
                gait = describe(with_joints(trace, 0.8 * noise / noise.std()), 0)
                wrong += gait_verdict(gait).name == "rhythmic"
                total += 1
    assert wrong / total <= 0.05


@pytest.mark.parametrize(("reward", "name"), [(0.9, "settled"), (0.1, "static")])
def test_a_swing_up_that_holds_is_settled_and_hanging_is_static(reward, name):
    trace = planted("pendulum-swingup", noise=0.0)
    t = trace.time[0, :, None]
    trace = with_joints(trace, np.where(t < 4, np.pi * np.cos(t) ** 2, np.pi * np.cos(4) ** 2))
    trace.reward[:] = reward
    gait = describe(trace, 0)
    assert gait_verdict(gait).name == name
    assert gait.held_from * gait.dt_s == pytest.approx(4.0, abs=1.0)
    assert gait.cycles.count == 0 and gait.steady.sum() == gait.frames - gait.held_from


def test_a_task_that_asks_for_a_rhythm_does_not_settle():
    trace = planted("finger-spin", period_s=0.0, noise=0.0)
    trace.reward[:] = 1.0
    assert gait_verdict(describe(trace, 0)).name == "static"


def test_a_body_that_trembles_in_its_place_is_at_rest_and_one_that_swings_is_not():
    t = np.arange(400) * 0.02
    trembling, swinging = np.cos(np.pi * np.arange(400)), np.cos(2 * np.pi * t)
    assert quiet_frames(trembling[:, None], 0.02)[10:-10].all()
    assert quiet_frames(swinging[:, None], 0.02).mean() < 0.2


def test_a_hold_lasts_from_its_first_quiet_frame_to_the_end():
    quiet = np.arange(100) >= 40
    assert held_from(quiet) == pytest.approx(40, abs=4)
    assert held_from(np.arange(100) >= 60) is None
    assert held_from(np.arange(100) < 60) is None and held_from(np.ones(1, bool)) is None
