"""A run reads its trace once, describes its gaits once, and keeps what it knows."""

from collections import Counter
from dataclasses import replace
from pathlib import Path

import jax
import numpy as np
import pytest

import glassviz.gait.gait as gait_module
import tests.helpers.tiny as tiny
from glassviz import checkpoints
from glassviz.agents.networks import init_params
from glassviz.compare.compare import compare
from glassviz.errors import GlassvizError
from glassviz.export.kinds import export_all
from glassviz.export.product import Studio
from glassviz.metrics.fitted_labels import fit_labels
from glassviz.metrics.stability import assess
from glassviz.report.compose import compose
from glassviz.report.interactive.page import compose as compose_page
from glassviz.rollout.batch import Failed
from glassviz.rollout.run import (
    Run,
    TraceCache,
    assess_all,
    by_checkpoint,
    labels_path,
    with_distinct_names,
)
from glassviz.rollout.traces import RolloutOptions, find_runs
from glassviz.trace import Trace
from tests.helpers.commands import invoke
from tests.helpers.fake_renderer import BACKEND, FakeRenderer
from tests.helpers.planted_runs import HOP, STILL, planted
from tests.helpers.traces import clock_trace, wandering

EPISODES = 3


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """Two traces of different agents."""
    folder = tmp_path_factory.mktemp("traces")
    wandering(4).save(folder / "one.npz")
    wandering(5, name="other").save(folder / "two.npz")
    return folder


@pytest.fixture
def reads(monkeypatch) -> Counter:
    """How often each file is read as a trace."""
    counts: Counter = Counter()
    load = Trace.load.__func__

    def counted(cls, path):
        counts[path.name] += 1
        return load(cls, path)

    monkeypatch.setattr(Trace, "load", classmethod(counted))
    return counts


@pytest.fixture
def described(monkeypatch) -> list:
    """Grows with every gait that is described."""
    calls: list = []
    hopper_contacts = gait_module.hopper_contacts

    def counted(*arguments):
        calls.append(arguments)
        return hopper_contacts(*arguments)

    monkeypatch.setattr(gait_module, "hopper_contacts", counted)
    return calls


def stability(folder: Path, out: Path) -> None:
    invoke("stability", folder, "--json", "--jobs", 1)


def report(folder: Path, out: Path) -> None:
    rows = assess_all([folder], RolloutOptions(), jobs=1)
    compose(rows, "glassviz report", compare(rows), open_renderer=FakeRenderer)


def interactive(folder: Path, out: Path) -> None:
    rows = assess_all([folder], RolloutOptions(), jobs=1)
    compose_page(rows, "glassviz report", method="pca", open_renderer=FakeRenderer)


def graph(folder: Path, out: Path) -> None:
    invoke("graph", folder, "-o", out / "graphs.json")


def difference(folder: Path, out: Path) -> None:
    two = out / "again.npz"
    two.write_bytes((folder / "one.npz").read_bytes())
    invoke("graph", folder / "one.npz", two, "--compare", "-o", out / "difference.json")


def latent_map(folder: Path, out: Path) -> None:
    options = ("--method", "pca", "--max-points", 500)  # of 900: thinning looks at the gait
    invoke("map", folder, *options, "-o", out / "map.png")


def export(folder: Path, out: Path) -> None:
    rows = assess_all([folder], RolloutOptions(), jobs=1)
    with Studio("fast", 1, FakeRenderer, BACKEND) as studio:
        made = export_all(rows, out / "full", studio)
    assert any("graph" in path.name for path in made.written)
    assert any("map" in path.name for path in made.written)


@pytest.mark.parametrize(
    "command", [stability, report, interactive, graph, difference, latent_map, export]
)
def test_a_command_reads_each_trace_and_describes_each_gait_once(
    command, folder, tmp_path, monkeypatch, reads, described
):
    monkeypatch.setattr("glassviz.export.kinds.plans_of", _without_films)
    for path in folder.glob("*.map.npz"):
        path.unlink()
    command(folder, tmp_path)
    assert sorted(reads.values()) == [1, 1], reads
    assert len(described) == 2 * EPISODES


def _without_films(source, studio):
    from glassviz.export import kinds

    yield "timeline", lambda: kinds.timeline(source)
    yield "raster", lambda: kinds.raster(source)
    yield "graph", lambda: kinds.graph(source)
    yield "map", lambda: kinds.latent_map(source)


def test_a_trace_that_is_found_for_a_checkpoint_is_read_once(tmp_path, reads, described):
    path = tmp_path / "agent.safetensors"
    params = jax.tree.map(np.asarray, init_params(tiny.AGENT, jax.random.key(1)))
    checkpoints.save(path, tiny.AGENT, params, {"recipe": "tiny"})
    options = RolloutOptions(2, ("pi",), steps=60)
    [first] = assess_all([path], options, tmp_path / "traces", jobs=1)
    assert not reads, "what was just recorded is not read back"
    [again] = assess_all([path], options, tmp_path / "traces", jobs=1)
    assert list(reads.values()) == [1] and len(described) == 2 * 2
    assert (first.reused, again.reused) == (False, True)
    assert again.provenance == {"recipe": "tiny"} and again.checkpoint == path
    assert again.trace.sha256 == first.trace.sha256


# The run ------------------------------------------------------------------------------------------


def test_a_run_hands_out_its_trace_and_what_comes_of_it(folder):
    run = Run.of(Trace.load(folder / "one.npz"), folder / "one.npz")
    other = find_runs([folder / "one.npz"], RolloutOptions())[0]
    for each in (run, other):
        assert (each.name, each.controller, each.checkpoint) == ("walker", "pi", None)
        assert each.trace is each.trace and each.header is each.trace.header
        assert each.obs is each.trace.obs and each.clusters == 8
        assert each.stability.gait.name == assess(each.trace).gait.name
        assert [gait.opening_end for gait in each.gaits] == [
            episode.gait.opening_end for episode in each.stability.episodes
        ]


def test_gaits_that_were_described_before_are_those_of_the_assessment(folder):
    run = Run.of(Trace.load(folder / "one.npz"), folder / "one.npz")
    gaits = run.gaits
    assert all(a is e.gait for a, e in zip(gaits, run.stability.episodes, strict=True))


def test_a_run_goes_by_the_labels_that_were_asked_for(tmp_path):
    trace = clock_trace(2, 300)
    trace.save(tmp_path / "clock.npz")
    fitted = fit_labels(list(trace.latent), trace.header["checkpoint"]["sha256"], 4, 3)
    path = labels_path(tmp_path, trace.header["checkpoint"]["sha256"])
    fitted.save(path)
    options = RolloutOptions()
    [learned] = find_runs([tmp_path / "clock.npz"], options)
    [own] = find_runs([tmp_path / "clock.npz"], options, labels="fitted")
    [named] = find_runs([tmp_path / "clock.npz"], options, labels=str(path))
    assert (learned.fitted_labels, own.fitted_labels, named.fitted_labels) == (None, path, path)
    assert learned.labelling != own.labelling == named.labelling
    assert own.header["labels_from"] == "fitted" and own.clusters == 3
    assert own.recorded_sha256 == learned.recorded_sha256 == trace.sha256


def test_a_run_that_fails_is_named_by_its_file_unless_it_has_a_checkpoint(folder):
    run = Run.of(Trace.load(folder / "one.npz"), folder / "one.npz")
    error = GlassvizError("no")
    assert run.failed(error) == Failed(str(folder / "one.npz"), folder / "one.npz", None, "no")
    agent = Path("agent.safetensors")
    assert replace(run, target=agent).failed(error) == Failed("walker", agent, None, "no")


def test_runs_of_one_name_are_named_apart_and_checkpoints_have_one_name_each():
    def run(name, sha, controller, path):
        return Run(Path(path), Path(path), name, controller, sha)

    rows = [
        run("last", "a", "mppi", "x/one.npz"),
        run("last", "a", "pi", "x/two.npz"),
        run("last", "b", "pi", "x/three.npz"),
        Failed("last", Path("x/four.npz"), None, "no"),
    ]
    groups = by_checkpoint(rows[:3])
    assert [[each.name for each in group] for group in groups] == [["one", "one"], ["three"]]
    for each in rows[:3]:
        each.name = "last"
    assert [each.name for each in with_distinct_names(rows)] == ["last", "two", "three", "last"]


# Memory -------------------------------------------------------------------------------------------


def test_traces_are_kept_up_to_a_number_of_bytes_and_the_last_one_always(tmp_path, reads):
    traces = [clock_trace(1, 100, latent=64) for _ in range(3)]
    for i, trace in enumerate(traces):
        trace.save(tmp_path / f"{i}.npz")
    cache = TraceCache(2 * traces[0].latent.nbytes + 200_000)
    paths = [tmp_path / f"{i}.npz" for i in range(3)]
    one_by_one = TraceCache(1)
    for path in (*paths, *paths):
        assert one_by_one.load(path) is one_by_one.load(path)
    assert set(reads.values()) == {2}
    reads.clear()
    assert [cache.load(path) for path in paths[:2]] == [cache.load(path) for path in paths[:2]]
    assert dict(reads) == {"0.npz": 1, "1.npz": 1}


def test_what_was_used_longest_ago_makes_room(tmp_path, reads):
    trace = clock_trace(1, 100)
    size = sum(array.nbytes for name, array in vars(trace).items() if name != "header")
    for i in range(3):
        trace.save(tmp_path / f"{i}.npz")
    cache = TraceCache(2 * size)
    for i in (0, 1, 0, 2, 0, 1):
        cache.load(tmp_path / f"{i}.npz")
    assert dict(reads) == {"0.npz": 1, "1.npz": 2, "2.npz": 1}


def test_a_trace_that_was_replaced_meanwhile_is_not_mixed_with_the_one_before(tmp_path):
    cache = TraceCache(1)
    for name, frames in (("a", 100), ("b", 100)):
        clock_trace(1, frames).save(tmp_path / f"{name}.npz")
        cache.load(tmp_path / f"{name}.npz")
    clock_trace(1, 90).save(tmp_path / "a.npz")
    with pytest.raises(GlassvizError, match=r"a.npz: expected the trace .* read before, found"):
        cache.load(tmp_path / "a.npz")
    cache.put(clock_trace(1, 90), tmp_path / "a.npz")
    cache.load(tmp_path / "b.npz")
    assert cache.load(tmp_path / "a.npz").frames == 90


def test_what_a_comparison_needs_stays_when_a_trace_makes_room(tmp_path, reads):
    cache = TraceCache(1)
    runs = []
    for name, plan in (("one", HOP), ("two", STILL)):
        path = tmp_path / f"{name}.npz"
        planted(plan, name=name).save(path)
        runs.append(Run(path, path, name, "mppi", name, traces=cache))
    for run in runs:
        assert run.stability
    found = compare(runs)
    assert found.checkpoints == ("one", "two") and set(reads.values()) == {1}
