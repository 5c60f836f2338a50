"""Recordings for the Rerun viewer, read back with its SDK where that is installed."""

import importlib.util
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from glassviz.errors import GlassvizError
from glassviz.export import rerun
from glassviz.export.product import Source
from glassviz.maps.coordinates import MapOptions
from glassviz.maps.maps import make_map
from glassviz.rollout.run import Run
from glassviz.trace import Trace
from tests.helpers.commands import invoke
from tests.helpers.fake_renderer import FakeRenderer, NoRenderer
from tests.helpers.traces import wandering

needs_sdk = pytest.mark.skipif(
    importlib.util.find_spec("rerun") is None, reason="needs pip install 'glassviz[rerun]'"
)


@pytest.fixture(scope="module")
def source(tmp_path_factory) -> Source:
    """The second episode of a run with labels, and of its map."""
    found = source_of(wandering(4), tmp_path_factory.mktemp("traces"))
    make_map([found.trace], MapOptions("pca"), found.run.trace_path.parent)
    return found


def source_of(trace: Trace, folder: Path) -> Source:
    """The second episode of a trace that is saved in a folder."""
    path = folder / "walker.npz"
    trace.save(path)
    return Source.of(Run.of(trace, path, "walker"), 1)


def read(path: Path) -> dict[str, list]:
    """The table of every entity in a recording, in the order of their chunks."""
    from rerun.chunk import RrdReader

    tables: dict[str, list] = {}
    for chunk in RrdReader(path).stream():
        tables.setdefault(chunk.entity_path.lstrip("/"), []).append(chunk.to_record_batch())
    return tables


def column(batches, ending: str) -> list:
    """The values under the name with this ending, one after the other."""
    found = [
        value
        for batch in batches
        for name in batch.schema.names
        if name.endswith(ending)
        for value in batch.column(name).to_pylist()
    ]
    assert found, [batch.schema.names for batch in batches]
    return [value[0] if isinstance(value, list) and len(value) == 1 else value for value in found]


# With the SDK -------------------------------------------------------------------------------------


@needs_sdk
def test_scalars_and_labels_are_those_of_the_episode_on_both_clocks(source, tmp_path):
    rerun.write(source, tmp_path / "a.rrd", open_renderer=FakeRenderer)
    found, trace = read(tmp_path / "a.rrd"), source.trace
    for name, values in {"reward": trace.reward, "height_m": trace.height}.items():
        batches = found[f"scalars/{name}"]
        np.testing.assert_allclose(column(batches, "scalars"), values[1])
        assert column(batches, "frame") == list(range(trace.frames))
        seconds = [each.total_seconds() for each in column(batches, "time")]
        np.testing.assert_allclose(seconds, trace.time[1], atol=1e-6)
    assert column(found["label"], "scalars") == trace.label[1].tolist()
    switches = 1 + int((np.diff(trace.label[1]) != 0).sum())
    told = column(found["switches"], "text")
    assert len(told) == switches and told[0].startswith(f"{trace.label[1, 0]} ")


@needs_sdk
def test_every_frame_of_the_film_has_its_moment(source, tmp_path):
    assert "no film" not in " ".join(
        rerun.write(source, tmp_path / "a.rrd", open_renderer=FakeRenderer)
    )
    film = read(tmp_path / "a.rrd")["film"]
    stamps = column(film, "timestamp")
    assert len(stamps) == source.trace.frames and np.all(np.diff(stamps) > 0)
    assert column(film, "frame") == list(range(source.trace.frames))


@needs_sdk
def test_a_map_that_was_made_before_is_in_it(source, tmp_path):
    made = make_map([source.trace], MapOptions("pca"), source.run.trace_path.parent)
    assert not rerun.write(source, tmp_path / "b.rrd", open_renderer=FakeRenderer)
    places = column(read(tmp_path / "b.rrd")["map/here"], "positions")
    np.testing.assert_allclose(places, made.coordinates[0][1] * [1, -1], rtol=1e-6)
    assert len(read(tmp_path / "b.rrd")["map/frames"]) == 1


@needs_sdk
def test_without_a_map_one_is_made_and_kept_for_the_next_time(tmp_path, monkeypatch):
    trace = wandering(4)
    own = source_of(trace, tmp_path)
    how = {"open_renderer": FakeRenderer, "method": "pca"}
    assert not rerun.write(own, tmp_path / "a.rrd", **how)
    made = make_map([trace], MapOptions("pca"), tmp_path)
    assert made.reused
    places = column(read(tmp_path / "a.rrd")["map/here"], "positions")
    np.testing.assert_allclose(places, made.coordinates[0][1] * [1, -1], rtol=1e-6)
    monkeypatch.setattr("glassviz.export.rerun.places_of", None)
    assert not rerun.write(own, tmp_path / "b.rrd", **how)


@needs_sdk
def test_latents_that_never_change_have_no_map_and_that_is_said(tmp_path):
    trace = wandering(4)
    trace = replace(trace, latent=np.ones_like(trace.latent))
    own = source_of(trace, tmp_path)
    [note] = rerun.write(own, tmp_path / "a.rrd", open_renderer=FakeRenderer)
    assert note.startswith("no map: ") and "nothing to map" in note
    assert "map/here" not in read(tmp_path / "a.rrd")


@needs_sdk
def test_without_opengl_the_rest_is_written_and_the_reason_told(source, tmp_path):
    notes = rerun.write(source, tmp_path / "a.rrd", open_renderer=NoRenderer)
    assert "no film: no OpenGL here" in notes
    assert "film" not in read(tmp_path / "a.rrd")


@needs_sdk
def test_an_existing_file_is_kept(source, tmp_path):
    path = tmp_path / "a.rrd"
    path.write_bytes(b"mine")
    with pytest.raises(GlassvizError, match="already exists"):
        rerun.write(source, path, open_renderer=FakeRenderer)
    assert path.read_bytes() == b"mine"
    rerun.write(source, path, overwrite=True, open_renderer=FakeRenderer)
    assert path.stat().st_size > 1000 and not list(tmp_path.glob(".*"))


@needs_sdk
def test_several_runs_and_other_endings_are_refused(source, tmp_path):
    (tmp_path / "b.npz").write_bytes(source.run.trace_path.read_bytes())
    wandering(4, seed=1).save(tmp_path / "c.npz")
    done = invoke("rerun", tmp_path, "-o", tmp_path / "a.rrd", code=2)
    assert "expected one run, found 2" in done.output
    done = invoke("rerun", tmp_path / "b.npz", "-o", "a.mp4", code=2)
    assert "ends in .rrd" in done.output


# Without ------------------------------------------------------------------------------------------


def test_without_the_extra_a_sentence_says_what_to_install(source, monkeypatch, tmp_path):
    for name in [name for name in sys.modules if name.split(".")[0] == "rerun"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "rerun", None)
    path = tmp_path / "a.rrd"
    done = invoke("rerun", source.run.trace_path, "-o", path, code=2)
    assert "pip install 'glassviz[rerun]'" in done.output
    assert done.output.count("\n") == 1 and not path.exists()


def test_the_umap_of_a_trace_comes_before_its_pca(source, tmp_path):
    assert rerun.find_map(source.trace, tmp_path) is None
    pca = make_map([source.trace], MapOptions("pca"), tmp_path).coordinates[0]
    np.testing.assert_array_equal(rerun.find_map(source.trace, tmp_path), pca)
    (tmp_path / "latent-umap-broken.map.npz").write_bytes(b"none")
    np.testing.assert_array_equal(rerun.find_map(source.trace, tmp_path), pca)
    thinned = MapOptions("umap", max_points=300)
    make_map([source.trace], thinned, tmp_path)  # which has places for some frames alone
    np.testing.assert_array_equal(rerun.find_map(source.trace, tmp_path), pca)
    umap = make_map([source.trace], MapOptions("umap"), tmp_path).coordinates[0]
    np.testing.assert_array_equal(rerun.find_map(source.trace, tmp_path), umap)
