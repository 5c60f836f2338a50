"""Traces are recorded in turns: a look at every run first, then what its verdicts need."""

import dataclasses
from itertools import pairwise
from pathlib import Path

import jax
import numpy as np
import pytest

import tests.helpers.tiny as tiny
from glassviz import checkpoints
from glassviz.agents.networks import batching_is_faster, init_params
from glassviz.metrics.stability import RunStability
from glassviz.metrics.stopping import UNANIMOUS, episodes_needed
from glassviz.rollout.batch import Listener
from glassviz.rollout.run import Run, assess_all
from glassviz.rollout.traces import RolloutOptions, find_runs
from glassviz.trace import Trace

pytestmark = pytest.mark.skipif(batching_is_faster(), reason="an accelerator records all at once")

OPTIONS = RolloutOptions(controllers=("mppi", "pi"), steps=4, early=True)

Told = tuple[str, str, int, bool]


@pytest.fixture(scope="module")
def agents(tmp_path_factory) -> list[Path]:
    folder = tmp_path_factory.mktemp("checkpoints")
    paths = [folder / f"{name}.safetensors" for name in ("one", "other")]
    for seed, path in enumerate(paths):
        params = jax.tree.map(np.asarray, init_params(tiny.AGENT, jax.random.key(seed)))
        checkpoints.save(path, tiny.AGENT, params, {})
    return paths


def assessed(agents: list[Path], folder: Path, options: RolloutOptions = OPTIONS):
    """The runs, what was told of each meanwhile, and the counts of frames done and in all."""
    told: list[Told] = []
    counts: list[tuple[int, int]] = []

    def on_row(run: Run, known: RunStability, done: bool) -> None:
        told.append((run.name, run.controller, len(known.episodes), done))

    listener = Listener(on_row=on_row, on_recording=lambda *count: counts.append(count))
    runs = [r for r in assess_all(agents, options, folder, 1, listener=listener)]
    assert all(isinstance(run, Run) for run in runs)
    return runs, told, counts


@pytest.fixture(scope="module")
def first(agents, tmp_path_factory):
    folder = tmp_path_factory.mktemp("traces")
    return folder, *assessed(agents, folder)


def test_each_run_is_looked_at_before_any_is_done_and_the_policy_before_the_planner(first):
    _, _, told, _ = first
    looks = [("one", "pi"), ("other", "pi"), ("one", "mppi"), ("other", "mppi")]
    assert told[:4] == [(*run, 1, False) for run in looks]
    assert [each[:2] for each in told if each[3]] == looks


def test_rows_stay_in_the_order_of_the_arguments(first):
    _, runs, _, _ = first
    assert [(run.name, run.controller) for run in runs] == [
        (name, by) for name in ("one", "other") for by in ("mppi", "pi")
    ]


def test_episodes_that_all_agree_end_with_the_fifth(first):
    _, runs, told, counts = first
    assert [len(run.stability.episodes) for run in runs] == [UNANIMOUS] * 4
    assert {each[2] for each in told if each[3]} == {UNANIMOUS}
    assert all(run.frames == UNANIMOUS * OPTIONS.steps for run in runs)
    assert counts[-1][0] == 4 * UNANIMOUS * OPTIONS.steps
    assert all(one <= other for (one, _), (other, _) in pairwise(counts))


def test_the_episodes_are_those_that_are_recorded_at_once(first, agents, tmp_path):
    _, runs, _, _ = first
    at_once = find_runs(agents, dataclasses.replace(OPTIONS, early=False), tmp_path)
    for early, whole in zip(runs, at_once, strict=True):
        assert early.trace_path.name == whole.trace_path.name
        assert early.trace.sha256 == whole.trace.first(UNANIMOUS).sha256


def test_a_trace_that_settles_its_run_is_reused(first, agents):
    folder, runs, _, _ = first
    again, told, counts = assessed(agents, folder)
    assert told == [] and counts == [] and all(run.reused for run in again)
    assert [r.stability.trace_sha256 for r in again] == [r.stability.trace_sha256 for r in runs]


def test_so_many_episodes_as_are_asked_for_are_recorded(agents, tmp_path):
    exact = dataclasses.replace(OPTIONS, early=False, episodes=7, controllers=("pi",))
    runs, told, _ = assessed(agents, tmp_path, exact)
    assert [len(run.stability.episodes) for run in runs] == [7, 7]
    assert [each[2] for each in told] == [1, 1, 7, 7]


def test_traces_with_more_episodes_are_used_in_full(agents, tmp_path):
    options = dataclasses.replace(OPTIONS, episodes=12, controllers=("pi",), early=False)
    find_runs(agents[:1], options, tmp_path)
    early = dataclasses.replace(OPTIONS, controllers=("pi",))
    [run], told, _ = assessed(agents[:1], tmp_path, early)
    assert len(run.stability.episodes) == 12 and told == []


def test_a_trace_with_too_few_episodes_is_continued(agents, tmp_path):
    options = dataclasses.replace(OPTIONS, episodes=2, controllers=("pi",), early=False)
    [short] = find_runs(agents[:1], options, tmp_path)
    before = Trace.load(short.trace_path)
    [run], told, _ = assessed(
        agents[:1], tmp_path, dataclasses.replace(OPTIONS, controllers=("pi",))
    )
    assert told == [("one", "pi", 2, False), ("one", "pi", UNANIMOUS, True)]
    assert run.trace.first(2).sha256 == before.sha256


def test_verdicts_that_differ_need_more_episodes(first):
    _, [run, *_], _, _ = first
    gaits = [each.gait_verdict for each in run.stability.episodes]
    odd = dataclasses.replace(
        run.stability.episodes[0],
        basin=dataclasses.replace(
            run.stability.episodes[0].basin, gait=dataclasses.replace(gaits[0], name="hop")
        ),
    )
    assert episodes_needed(run.stability.episodes) == 0
    assert episodes_needed([odd, *run.stability.episodes[1:]]) > 0


def test_an_interruption_keeps_the_episodes_that_are_whole(agents, tmp_path):
    def interrupt(done: int, total: int) -> None:
        if done == 3 * OPTIONS.steps + 2:
            raise KeyboardInterrupt

    options = dataclasses.replace(OPTIONS, controllers=("pi",))
    listener = Listener(on_recording=interrupt)
    with pytest.raises(KeyboardInterrupt):
        find_runs(agents, options, tmp_path, listener=listener)
    kept = [Trace.load(path).episodes for path in sorted(tmp_path.glob("*.npz"))]
    assert kept == [1, 1]
    runs, _, _ = assessed(agents, tmp_path, options)
    assert [len(run.stability.episodes) for run in runs] == [UNANIMOUS] * 2
