"""Agents on other bodies than the hopper: recorded, read again, filmed and judged."""

import dataclasses
import pickle
from pathlib import Path

import jax
import numpy as np
import pytest

import tests.helpers.tiny as tiny
from glassviz.agents.config import AgentConfig, EnvConfig
from glassviz.agents.networks import init_params
from glassviz.checkpoints.native import save
from glassviz.envs.bodies import task_of
from glassviz.errors import GlassvizError, UsageError
from glassviz.maps.features import features
from glassviz.metrics.stability import METRICS, assess
from glassviz.report.page import Missed
from glassviz.report.phrases.summary import answers
from glassviz.report.phrases.verdicts import basin_reasons, gait_reason
from glassviz.report.sections import evidence_of, first_missed
from glassviz.rollout.traces import RolloutOptions, traces_of
from glassviz.trace import Trace
from glassviz.video.clip import Clip

OPTIONS = RolloutOptions(episodes=2, controllers=("pi",), steps=30)
TASKS = ("walker-walk", "quadruped-walk", "pendulum-swingup")


def agent_of(task: str) -> AgentConfig:
    facts = task_of(task)
    sizes = {"obs_dim": facts.obs_dim, "action_dim": facts.body.action_dim}
    return tiny.AGENT.replace(**sizes, env=EnvConfig(task=task, episode_steps=30))


@pytest.fixture(scope="module")
def traces(tmp_path_factory) -> dict[str, Trace]:
    folder = tmp_path_factory.mktemp("bodies")
    found = {}
    for task in TASKS:
        config = agent_of(task)
        path = folder / f"{task}.safetensors"
        save(path, config, init_params(config, jax.random.key(0), logit_scale=3.0), {})
        [run] = traces_of([path], OPTIONS, folder)
        found[task] = Trace.load(run.trace_path)
    return found


@pytest.mark.parametrize("task", TASKS)
def test_a_trace_says_its_task_and_holds_what_the_body_has(traces, task):
    trace, facts = traces[task], task_of(task)
    assert trace.task == facts
    assert trace.header["env"]["control_dt_s"] == facts.body.control_dt_s
    assert trace.frame_dt_s == pytest.approx(facts.body.control_dt_s)
    assert trace.qpos.shape == (2, 30, facts.nq) and trace.obs.shape == (2, 30, facts.obs_dim)
    assert trace.contacts.shape[2] == len(trace.header["geoms"])
    has_torso = facts.body.torso is not None
    assert np.isfinite(trace.height).all() == np.isfinite(trace.speed).all() == has_torso
    assert trace.unknown == (set() if has_torso else {"height", "speed"})


@pytest.mark.parametrize("task", TASKS)
def test_every_body_is_judged_and_told_of_in_sentences(traces, task):
    trace = traces[task]
    run = pickle.loads(pickle.dumps(assess(trace)))
    feet = bool(trace.body.feet)
    assert run.gait.name in {"static", "undetermined", "drags its trunk", "rhythmic", "split"}
    assert run.basin.name != "stable" and basin_reasons(run.basin)
    for episode in run.episodes:
        assert gait_reason(episode.gait_verdict).endswith(".")
        assert (episode.gait_answers is not None) == feet
        assert isinstance(first_missed(episode), Missed)
        assert (episode.gait.falls_per_minute is None) == (episode.gait.standing_rate is None)
    asked = dict(answers(run, None))
    assert ("Which gait do the feet show?" in asked) == ("How does it fall?" in asked) == feet
    assert ("How does it move?" in asked) != feet and "Hops per second?" not in asked
    assert all(group.criteria is not None for group in evidence_of(run))
    known = {name for name in METRICS if run.metrics[name] is not None}
    assert {"dominant_share", "occupancy_entropy"} <= known and "hops_per_s" not in known
    assert ("distance_m" in known) == ("flight_share" in known) == feet
    assert ("standing_rate" in known) == ("falls_per_minute" in known) == feet
    assert {name.name for name in run.label_names} == {"unnamed"}


def test_gait_features_leave_out_what_a_body_has_not(traces):
    for trace in traces.values():
        rows = features([trace], "gait", None)
        assert np.isfinite(rows).all() and len(rows) == 60


@pytest.mark.parametrize(
    ("task", "lanes", "names"),
    [
        ("walker-walk", ("left", "right", "other"), ("left", "right", "other")),
        (
            "quadruped-walk",
            ("front left", "front right", "back left", "back right", "other"),
            ("FL", "FR", "BL", "BR", "other"),
        ),
        ("pendulum-swingup", (), ()),
    ],
)
def test_a_film_shows_the_contacts_of_each_foot(traces, task, lanes, names):
    trace = traces[task]
    geoms = trace.header["geoms"]
    clip = Clip.of(trace, 0)
    assert (clip.lanes, clip.lane_names, clip.task) == (lanes, names, task)
    for lane, own in trace.body.foot_geoms(geoms).items():
        expected = trace.contacts[0][:, own].any(axis=1)
        assert np.array_equal(clip.contacts[:, lanes.index(lane)], expected)


def test_numbers_where_a_body_has_no_torso_are_refused(traces, tmp_path):
    path = tmp_path / "a.npz"
    for task, change, sentence in (
        ("pendulum-swingup", lambda h: np.zeros_like(h), "expected no height, which pendulum has"),
        ("walker-walk", lambda h: h + np.nan, "found nan for height in frame 0"),
    ):
        trace = traces[task]
        dataclasses.replace(trace, height=change(trace.height)).save(path)
        with pytest.raises(GlassvizError, match=sentence):
            Trace.load(path)


def test_another_physics_profile_of_another_body_is_refused(tmp_path):
    config = agent_of("walker-walk")
    path = Path(tmp_path / "a.safetensors")
    save(path, config, init_params(config, jax.random.key(0)), {})
    options = dataclasses.replace(OPTIONS, physics="playground")
    with pytest.raises(UsageError, match="a: environment: expected the physics profile dm_control"):
        traces_of([path], options, tmp_path)
