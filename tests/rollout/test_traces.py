"""Traces are found by what they were made from, made when missing, and never half-written."""

import dataclasses
import errno
import json
import os
from pathlib import Path

import jax
import numpy as np
import pytest

import tests.helpers.tiny as tiny
from glassviz import checkpoints, envs
from glassviz.agents.networks import batching_is_faster, init_params
from glassviz.envs.hopper import HopperBatch
from glassviz.errors import GlassvizError
from glassviz.rollout import traces
from glassviz.rollout.batch import Failed, Listener
from glassviz.rollout.evaluate import reevaluate
from glassviz.rollout.run import Run
from glassviz.rollout.traces import RolloutOptions, find_runs, traces_of
from glassviz.trace import ARRAYS, Trace

OPTIONS = RolloutOptions(episodes=2, controllers=("mppi", "pi"), steps=6)


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("checkpoints") / "agent.safetensors"
    params = jax.tree.map(np.asarray, init_params(tiny.AGENT, jax.random.key(1)))
    checkpoints.save(path, tiny.AGENT, params, {"recipe": "tiny"}, assumptions=["nothing is known"])
    return path


@pytest.fixture(scope="module")
def recorded(checkpoint, tmp_path_factory):
    folder = tmp_path_factory.mktemp("traces")
    lines: list[str] = []
    return (
        folder,
        traces_of([checkpoint], OPTIONS, folder, listener=Listener(tell=lines.append)),
        lines,
    )


def test_a_missing_trace_is_recorded_and_a_present_one_reused(recorded, checkpoint):
    folder, first, _ = recorded
    lines: list[str] = []
    again = traces_of([checkpoint], OPTIONS, folder, listener=Listener(tell=lines.append))
    assert [r.reused for r in first] == [False, False]
    assert [r.reused for r in again] == [True, True]
    assert [r.trace.sha256 for r in again] == [r.trace.sha256 for r in first]
    assert sum(line.startswith("reusing ") for line in lines) == 2


def test_a_trace_read_back_is_the_trace_that_was_made(recorded):
    _, [first, _], _ = recorded
    loaded = Trace.load(first.trace_path)
    assert loaded.header == first.trace.header
    assert all(np.array_equal(getattr(loaded, n), getattr(first.trace, n)) for n in ARRAYS)


def test_recording_anew_gives_the_same_file_byte_for_byte(recorded, checkpoint, tmp_path):
    _, first, _ = recorded
    again = traces_of([checkpoint], OPTIONS, tmp_path)
    for a, b in zip(first, again, strict=True):
        assert a.trace_path.name == b.trace_path.name
        assert a.trace_path.read_bytes() == b.trace_path.read_bytes()


def test_other_inputs_lead_to_another_trace(recorded, checkpoint):
    folder, first, _ = recorded
    known = {r.trace_path for r in first}
    for change in ({"seed": 1}, {"samples": 16}, {"physics": "playground"}, {"rule": "soft"}):
        options = dataclasses.replace(OPTIONS, controllers=("pi",), **change)
        [other] = traces_of([checkpoint], options, folder)
        assert other.trace_path not in known and not other.reused, change
        known.add(other.trace_path)


def test_the_file_of_a_trace_says_what_is_in_it(checkpoint, tmp_path):
    options = dataclasses.replace(OPTIONS, controllers=("pi",), seed=4)
    [run] = traces_of([checkpoint], options, tmp_path)
    assert run.trace_path.name.startswith("agent-pi-seed4-6steps-")


cpu = pytest.mark.skipif(batching_is_faster(), reason="elsewhere a batch rounds otherwise")


def other_agent(folder: Path) -> Path:
    """A checkpoint whose planner tells actions apart."""
    params = jax.tree.map(np.asarray, init_params(tiny.AGENT, jax.random.key(2)))
    last = params["rew"]["Dense_1"]
    last["kernel"] = np.random.default_rng(0).normal(size=last["kernel"].shape).astype(np.float32)
    checkpoints.save(folder / "other.safetensors", tiny.AGENT, params, {})
    return folder / "other.safetensors"


@cpu
@pytest.mark.parametrize("controller", ["mppi", "pi"])
def test_an_episode_is_the_same_however_many_are_recorded_beside_it(
    checkpoint, tmp_path, controller
):
    both = [checkpoint, other_agent(tmp_path)]
    options = dataclasses.replace(OPTIONS, controllers=(controller,), steps=4)
    whole: dict[int, list[Trace]] = {}
    for episodes in (1, 3, 10):
        folder = tmp_path / str(episodes)
        runs = traces_of(both, dataclasses.replace(options, episodes=episodes), folder)
        whole[episodes] = [run.trace for run in runs]
    assert not np.array_equal(whole[10][0].action, whole[10][1].action)
    for episodes in (1, 3):
        for few, many in zip(whole[episodes], whole[10], strict=True):
            assert few.sha256 == many.first(episodes).sha256
            assert few.episode_sha256 == many.episode_sha256[:episodes]


@cpu
def test_more_episodes_are_added_to_those_that_there_are_and_fewer_are_taken_from_them(
    checkpoint, tmp_path
):
    options = dataclasses.replace(OPTIONS, controllers=("mppi",))
    steps: list[int] = []
    lines: list[str] = []
    listener = Listener(tell=lines.append, on_recording=lambda done, total: steps.append(done))

    def recorded(episodes: int, folder: Path) -> Trace:
        wanted = dataclasses.replace(options, episodes=episodes)
        [run] = traces_of([checkpoint], wanted, folder, listener=listener)
        return run.trace

    first, more = recorded(2, tmp_path), recorded(5, tmp_path)
    [path] = tmp_path.iterdir()
    assert lines[-1] == f"continued {path}"
    assert more.first(2).sha256 == first.sha256
    assert more.sha256 == recorded(5, tmp_path / "at once").sha256
    before, done = path.read_bytes(), len(steps)
    assert recorded(3, tmp_path).sha256 == more.first(3).sha256
    assert lines[-1] == f"reusing {path}"
    assert len(steps) == done and path.read_bytes() == before


@cpu
@pytest.mark.parametrize("controller", ["mppi", "pi"])
def test_longer_episodes_serve_with_their_beginnings(checkpoint, tmp_path, monkeypatch, controller):
    options = dataclasses.replace(OPTIONS, controllers=(controller,), episodes=3)
    lines: list[str] = []

    def recorded(folder: Path, **change: int) -> Run:
        wanted = dataclasses.replace(options, **change)
        [run] = traces_of([checkpoint], wanted, folder, listener=Listener(tell=lines.append))
        return run

    long = recorded(tmp_path, steps=9)
    alone = [recorded(tmp_path / "4", steps=4, episodes=n).trace for n in (1, 3, 5)]
    with monkeypatch.context() as patched:
        patched.setattr(traces, "roll_out", None)  # nothing is rolled out
        for episodes, expected in zip((1, 3), alone, strict=False):
            run = recorded(tmp_path, steps=4, episodes=episodes)
            assert run.reused and run.trace.sha256 == expected.sha256
            assert lines[-1] == f"reusing the first 4 steps of {long.trace_path}"
    # More episodes of as many frames continue those, in a file of their own.
    more = recorded(tmp_path, steps=4, episodes=5)
    assert not more.reused and more.trace.sha256 == alone[-1].sha256
    assert more.trace_path.read_bytes() == next((tmp_path / "4").iterdir()).read_bytes()
    assert recorded(tmp_path, steps=9).trace.sha256 == long.trace.sha256
    # Shorter ones do not serve for longer ones.
    assert not recorded(tmp_path, steps=12).reused


def test_longer_episodes_of_other_settings_do_not_serve(checkpoint, tmp_path):
    options = dataclasses.replace(OPTIONS, controllers=("pi",), episodes=1)
    traces_of([checkpoint], options, tmp_path)
    for change in ({"seed": 1}, {"samples": 16}, {"physics": "playground"}, {"rule": "soft"}):
        other = dataclasses.replace(options, steps=5, **change)
        [run] = traces_of([checkpoint], other, tmp_path)
        assert not run.reused, change


def test_whole_episodes_serve_for_shorter_ones(checkpoint, tmp_path):
    options = dataclasses.replace(OPTIONS, controllers=("pi",), episodes=1, steps=None)
    [whole] = traces_of([checkpoint], options, tmp_path)
    [part] = traces_of([checkpoint], dataclasses.replace(options, steps=3), tmp_path)
    assert part.reused and part.trace.frames == 3 < whole.trace.frames
    assert part.header["env"]["episode_steps"] == 3


def test_a_damaged_longer_trace_is_passed_over(checkpoint, tmp_path):
    options = dataclasses.replace(OPTIONS, controllers=("pi",))
    [long] = traces_of([checkpoint], options, tmp_path)
    long.trace_path.write_bytes(b"damaged")
    lines: list[str] = []
    shorter = dataclasses.replace(options, steps=4)
    [run] = traces_of([checkpoint], shorter, tmp_path, listener=Listener(tell=lines.append))
    assert not run.reused and run.trace.frames == 4
    assert any(line.startswith("passing over what cannot be used: ") for line in lines)


def test_only_the_missing_episodes_are_rolled_out(checkpoint, tmp_path, monkeypatch):
    options = dataclasses.replace(OPTIONS, controllers=("pi",))
    traces_of([checkpoint], options, tmp_path)
    hoppers: list[int] = []
    monkeypatch.setattr(
        envs, "make", lambda env, num: (hoppers.append(num), HopperBatch(env, num))[1]
    )
    [run] = traces_of([checkpoint], dataclasses.replace(options, episodes=5), tmp_path)
    assert hoppers == [3] and run.trace.episodes == 5


def test_a_trace_of_another_version_is_not_continued(checkpoint, tmp_path):
    options = dataclasses.replace(OPTIONS, controllers=("pi",))
    [old] = traces_of([checkpoint], options, tmp_path)
    versions = old.header["versions"] | {"mujoco": "0.1"}
    dataclasses.replace(old.trace, header=old.header | {"versions": versions}).save(old.trace_path)
    lines: list[str] = []
    listener = Listener(tell=lines.append)
    [reused] = traces_of([checkpoint], options, tmp_path, listener=listener)
    assert reused.reused and reused.header["versions"]["mujoco"] == "0.1"
    wanted = dataclasses.replace(options, episodes=3)
    [run] = traces_of([checkpoint], wanted, tmp_path, listener=listener)
    assert run.header["versions"]["mujoco"] != "0.1" and run.trace.episodes == 3
    assert any("recording anew what another machine or version recorded" in line for line in lines)


def test_the_header_says_where_the_trace_came_from(recorded, checkpoint):
    _, [planned, _], lines = recorded
    header = planned.trace.header
    assert header["checkpoint"]["sha256"] == checkpoints.load(checkpoint).sha256
    assert header["planner"]["samples"] == 32
    assert header["env"]["control_dt_s"] == 0.02
    assert header["assumptions"] == ["nothing is known"]
    assert "agent: assumed: nothing is known" in lines
    assert header["label_rule"] == "nearest-prototype" and header["tau"] == 0.7
    assert header["geoms"][header["geoms"].index("foot")] == "foot"
    assert {"python", "jax", "mujoco"} <= header["versions"].keys()
    json.dumps(header)


def test_the_partition_comes_with_the_trace_and_explains_its_labels(recorded):
    _, [planned, _], _ = recorded
    partition = planned.trace.partition
    assert partition.shape == (tiny.GLASS.prototypes, tiny.GLASS.clusters)
    assert partition.sum(axis=1) == pytest.approx(1)
    assert np.array_equal(partition.argmax(axis=1)[planned.trace.prototype], planned.trace.label)
    assert planned.trace.clusters == tiny.GLASS.clusters


def test_a_trace_file_stands_for_itself(recorded):
    _, [first, _], _ = recorded
    [same] = traces_of([first.trace_path], RolloutOptions(episodes=7))
    assert same.reused and same.trace.sha256 == first.trace.sha256


def test_targets_come_back_in_order_then_by_controller(recorded, checkpoint):
    folder, first, _ = recorded
    both = traces_of([first[1].trace_path, checkpoint], OPTIONS, folder)
    assert [r.trace_path for r in both] == [
        first[1].trace_path,
        first[0].trace_path,
        first[1].trace_path,
    ]


def test_what_is_broken_is_named_and_the_others_are_located(recorded, checkpoint, tmp_path):
    _, first, _ = recorded
    jumpy, truncated = tmp_path / "jumpy.safetensors", tmp_path / "truncated.npz"
    agent = checkpoints.load(checkpoint)
    checkpoints.save(jumpy, agent.config.replace(no_planner="it jumps"), agent.params, {})
    truncated.write_bytes(first[0].trace_path.read_bytes()[:500])
    targets = [truncated, checkpoint, tmp_path / "none.safetensors", jumpy]
    options = dataclasses.replace(OPTIONS, seed=5)
    rows = find_runs(targets, options, tmp_path)
    located = [row for row in rows if not isinstance(row, Failed)]
    assert [(each.target, each.reused) for each in located] == [
        (checkpoint, False),
        (checkpoint, False),
        (jumpy, False),
    ]
    assert all(each.trace_path.exists() for each in located)
    broken = [row for row in rows if isinstance(row, Failed)]
    assert [(row.target.name, row.controller) for row in broken] == [
        ("truncated.npz", None),
        ("none.safetensors", None),
        ("jumpy.safetensors", "mppi"),
    ]
    assert "expected a planner for mppi, found none: it jumps" in broken[2].error
    assert [type(row) is Failed for row in rows] == [True, False, False, True, True, False]


def test_the_time_that_missing_traces_take_is_estimated_before_they_are_recorded(
    recorded, checkpoint, tmp_path
):
    folder, *_ = recorded
    events: list[object] = []

    def locate(into: Path) -> None:
        listener = Listener(
            on_recording=lambda done, total: events.append(done),
            on_estimate=lambda missing, seconds: events.append((missing, 0 < seconds < 60)),
        )
        options = dataclasses.replace(OPTIONS, controllers=("pi",))
        find_runs([checkpoint], options, into, listener=listener)

    locate(folder)
    assert events == []
    locate(tmp_path)
    assert events == [(1, True), *range(1, 7)]


def test_the_recorded_return_comes_with_a_located_trace(checkpoint, tmp_path):
    agent = checkpoints.load(checkpoint)
    told = {"evaluation": {"pi": {"mean": 12.5, "returns": [12.0, 13.0]}}}
    checkpoints.save(tmp_path / "told.safetensors", agent.config, agent.params, told)
    planned, prior = find_runs([tmp_path / "told.safetensors"], OPTIONS, tmp_path)
    assert planned.recorded is None and prior.recorded.mean == 12.5


def test_an_interruption_leaves_no_file(checkpoint, tmp_path):
    def interrupt(done: int, total: int) -> None:
        if done == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        traces_of([checkpoint], OPTIONS, tmp_path, listener=Listener(on_recording=interrupt))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(batching_is_faster(), reason="an accelerator records them together")
def test_what_was_recorded_before_an_interruption_is_kept(checkpoint, tmp_path):
    def interrupt(done: int, total: int) -> None:
        if done == OPTIONS.steps + 2:
            raise KeyboardInterrupt

    other = tmp_path / "other.safetensors"
    params = jax.tree.map(np.asarray, init_params(tiny.AGENT, jax.random.key(2)))
    checkpoints.save(other, tiny.AGENT, params, {})
    options = dataclasses.replace(OPTIONS, controllers=("pi",))
    with pytest.raises(KeyboardInterrupt):
        traces_of([checkpoint, other], options, tmp_path, listener=Listener(on_recording=interrupt))
    assert [path.name[:9] for path in tmp_path.glob("*.npz")] == ["agent-pi-"]


def test_a_failed_write_leaves_the_old_trace(recorded, monkeypatch):
    _, [first, _], _ = recorded
    before = first.trace_path.read_bytes()
    monkeypatch.setattr(np, "savez", lambda file, **arrays: _full_disk(file))
    with pytest.raises(GlassvizError, match="no space left on device"):
        first.trace.save(first.trace_path)
    assert first.trace_path.read_bytes() == before
    assert not [path for path in first.trace_path.parent.iterdir() if "partial" in path.name]


def _full_disk(file) -> None:
    file.write(b"half")
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda data: data[:200], "expected a trace"),
        (lambda data: b"not a trace", "expected a trace"),
        (lambda data: b"", "expected a trace"),
    ],
)
def test_a_damaged_trace_is_one_sentence(recorded, tmp_path, damage, message):
    _, [first, _], _ = recorded
    path = tmp_path / "damaged.npz"
    path.write_bytes(damage(first.trace_path.read_bytes()))
    with pytest.raises(GlassvizError, match=message):
        Trace.load(path)


def test_a_damaged_trace_of_a_checkpoint_is_recorded_anew(recorded, checkpoint, tmp_path):
    _, [_, first], _ = recorded
    options = dataclasses.replace(OPTIONS, controllers=(first.trace.header["controller"],))
    (tmp_path / first.trace_path.name).write_bytes(b"not a trace")
    lines: list[str] = []
    [again] = traces_of([checkpoint], options, tmp_path, listener=Listener(tell=lines.append))
    assert again.trace.sha256 == first.trace.sha256
    assert any(line.startswith("recording anew what cannot be used: ") for line in lines)


def test_an_agent_of_another_robot_is_refused(tmp_path):
    other = tiny.AGENT.replace(obs_dim=17)
    params = jax.tree.map(np.asarray, init_params(other, jax.random.key(1)))
    checkpoints.save(tmp_path / "cheetah.safetensors", other, params, {})
    with pytest.raises(GlassvizError, match="15 observations and 4 actions, found one with 17"):
        traces_of([tmp_path / "cheetah.safetensors"], OPTIONS, tmp_path)
    [failed] = reevaluate([tmp_path / "cheetah.safetensors"], ["pi"], 1, 0)
    assert isinstance(failed, Failed) and "found one with 17" in failed.error


def test_another_schema_version_is_named(recorded, tmp_path):
    _, [first, _], _ = recorded
    newer = dataclasses.replace(first.trace, header=first.trace.header | {"schema_version": 99})
    newer.save(tmp_path / "newer.npz")
    with pytest.raises(GlassvizError, match="schema version 1, found 99"):
        Trace.load(tmp_path / "newer.npz")


def test_missing_trace_and_missing_checkpoint_are_named(tmp_path):
    for name in ("none.npz", "none.safetensors"):
        with pytest.raises(GlassvizError, match=f"no such file: .*{name}"):
            traces_of([tmp_path / name], OPTIONS, tmp_path)


def test_a_planner_that_cannot_work_is_refused_before_anything_runs(checkpoint, tmp_path):
    with pytest.raises(GlassvizError, match="fewer policy trajectories than samples"):
        traces_of([checkpoint], dataclasses.replace(OPTIONS, samples=3), tmp_path)
    assert list(tmp_path.iterdir()) == []
