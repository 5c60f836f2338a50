"""Traces by other labels than their own: what they say of themselves, and who refuses them."""

import csv
import io
import json
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from sklearn.metrics import adjusted_rand_score

from glassviz.errors import GlassvizError
from glassviz.metrics.fitted_labels import FittedLabels, fit_labels
from glassviz.metrics.stability import assess
from glassviz.palette import NO_CLUSTER_COLOR, label_color, to_rgb
from glassviz.rollout.find import find_targets
from glassviz.rollout.run import TraceCache, assess_all, check_labels, labels_path, relabelled
from glassviz.rollout.traces import RolloutOptions, traces_of
from glassviz.trace import ARRAYS, Trace
from glassviz.video.clip import Clip
from glassviz.video.overlay import Layout, Overlay, Timeline
from tests.helpers.commands import invoke
from tests.helpers.planted_runs import HOP, planted, sha256_of

PLACES = 4
HOPPER, GLASS = sha256_of("hopper"), sha256_of("glass")


def fit(trace: Trace, **options) -> FittedLabels:
    sha256 = trace.header["checkpoint"]["sha256"]
    return fit_labels(list(trace.latent), sha256, **{"prototypes": PLACES, "clusters": 4} | options)


@pytest.fixture(scope="module")
def bare() -> Trace:
    """A hop of an agent without Glass."""
    return planted(HOP, HOP, glass=False, name="hopper")


@pytest.fixture(scope="module")
def folder(tmp_path_factory, bare) -> Path:
    """Traces of an agent without Glass, of one with, and labels beside the former."""
    folder = tmp_path_factory.mktemp("traces")
    bare.save(folder / "bare-mppi.npz")
    planted(HOP, controller="pi", glass=False, name="hopper").save(folder / "bare-pi.npz")
    planted(HOP, name="glass").save(folder / "glass.npz")
    fit(bare).save(labels_path(folder, HOPPER))
    return folder


# A trace ----------------------------------------------------------------------------------------


def test_fitted_labels_are_those_of_the_planted_places(bare):
    found = relabelled(bare, fit(bare))
    truth = planted(HOP, HOP, name="hopper")
    assert adjusted_rand_score(found.label.ravel(), truth.label.ravel()) == 1
    assert found.has_labels and found.clusters == 4
    assert np.array_equal(found.partition.argmax(axis=1)[found.prototype], found.label)


def test_the_header_says_whose_labels_these_are(bare):
    fitted = fit(bare)
    header = relabelled(bare, fitted).header
    assert (header["labels_from"], header["label_rule"]) == ("fitted", "nearest-prototype")
    assert header["tau"] is None and np.shape(header["partition"]) == (PLACES, fitted.clusters)
    assert header["fitted_labels"] == {
        "sha256": fitted.sha256,
        "prototypes": PLACES,
        "clusters": fitted.clusters,
        "seed": 0,
        "recorded_trace_sha256": bare.sha256,
    }
    assert json.loads(json.dumps(header)) == header


def test_a_relabelled_trace_is_another_one_but_for_its_labels_the_same(bare):
    found = relabelled(bare, fit(bare))
    assert len({found.sha256, relabelled(bare, fit(bare, seed=5)).sha256, bare.sha256}) == 3
    for name in set(ARRAYS) - {"label", "prototype", "soft_assignment"}:
        assert np.array_equal(getattr(found, name), getattr(bare, name))


def test_labels_of_glass_leave_no_soft_assignments_behind():
    trace = planted(HOP, name="hopper")
    trace = replace(trace, soft_assignment=np.ones((*trace.label.shape, 16), np.float32))
    found = relabelled(trace, fit(trace))
    assert found.soft_assignment.shape == (*trace.label.shape, 0)
    assert assess(found).episodes[0].soft is None and assess(found).tau is None


def test_learned_labels_are_the_trace_as_it_was_recorded(folder):
    for name in ("bare-mppi.npz", "glass.npz"):
        one, other = Trace.load(folder / name), TraceCache().load(folder / name)
        assert one.header == other.header and one.sha256 == other.sha256
        assert all(np.array_equal(getattr(one, n), getattr(other, n)) for n in ARRAYS)


def test_a_relabelled_trace_survives_saving(bare, tmp_path):
    found = relabelled(bare, fit(bare))
    found.save(tmp_path / "a.npz")
    assert Trace.load(tmp_path / "a.npz").sha256 == found.sha256


# What is refused --------------------------------------------------------------------------------


def test_labels_of_another_checkpoint_are_refused(folder, bare, tmp_path):
    fitted = fit(bare)
    fitted.save(tmp_path / "other")
    with pytest.raises(
        GlassvizError, match=rf"glass: expected .* '{GLASS[:12]}.* found those of '{HOPPER[:12]}"
    ):
        relabelled(Trace.load(folder / "glass.npz"), fitted)
    with pytest.raises(GlassvizError, match=r"other: expected labels fitted to .* found those of"):
        TraceCache().load(folder / "glass.npz", str(tmp_path / "other"))


def test_missing_fitted_labels_are_a_sentence_with_the_command_that_makes_them(folder):
    with pytest.raises(GlassvizError, match=r"fitted to glass, found no such file: make it with"):
        TraceCache().load(folder / "glass.npz", "fitted")
    target = Path("agents/glass.safetensors")
    with pytest.raises(GlassvizError, match=r"`glassviz fit agents/glass.safetensors`"):
        TraceCache().load(folder / "glass.npz", "fitted", target)


def test_latents_that_are_no_numbers_get_no_labels(bare):
    broken = replace(bare, latent=bare.latent.copy())
    broken.latent[1, 7, 2] = np.nan
    with pytest.raises(GlassvizError, match=r"hopper: expected finite .* in 1 of 1000 frames"):
        relabelled(broken, fit(bare))


def test_a_choice_that_no_trace_can_have_is_refused_before_anything_is_done(folder):
    for good in ("learned", "fitted", str(labels_path(folder, HOPPER))):
        check_labels(good)
    with pytest.raises(GlassvizError, match=r"--labels: expected learned, fitted or .* 'fited'"):
        check_labels("fited")
    with pytest.raises(GlassvizError, match=r"glass.npz: expected fitted labels"):
        check_labels(str(folder / "glass.npz"))
    with pytest.raises(GlassvizError, match="--labels: expected learned"):
        traces_of([Path("none.npz")], RolloutOptions(), labels="fited")


def test_fitted_labels_lead_to_no_trace(folder):
    found = [target.path.name for target in find_targets([folder])]
    assert found == ["bare-mppi.npz", "bare-pi.npz", "glass.npz"]


# Commands ---------------------------------------------------------------------------------------


def stability(*arguments: str | Path, code: int = 0):
    return invoke("stability", *arguments, code=code).stdout


def test_an_agent_without_glass_has_a_verdict_on_its_labels_once_they_are_fitted(folder):
    names = folder / "bare-mppi.npz", folder / "bare-pi.npz"
    assert "undetermined (no labels)" in stability(*names)
    told = stability(*names, "--labels", "fitted")
    assert len(re.findall("hop +phase-locked .* stable-hop", told)) == 2
    [note] = [line for line in told.splitlines() if line.startswith("labels: fitted")]
    fitted = FittedLabels.load(labels_path(folder, HOPPER))
    assert f"hopper {fitted.sha256[:12]}" in note
    assert "labels: fitted" not in stability(*names)


def test_json_and_csv_name_the_labels_that_a_verdict_is_about(folder):
    trace = folder / "bare-mppi.npz"
    fitted = FittedLabels.load(labels_path(folder, HOPPER))
    [told] = json.loads(stability(trace, "--labels", "fitted", "--json"))["runs"]
    assert (told["labels_from"], told["labels_sha256"]) == ("fitted", fitted.sha256)
    assert (told["clusters"], told["reachable_clusters"], told["tau"]) == (4, 4, None)
    assert told["trace_sha256"] != Trace.load(trace).sha256
    [row] = csv.DictReader(io.StringIO(stability(trace, "--labels", "fitted", "--csv")))
    assert row["labels_sha256"] == fitted.sha256 and float(row["locking_u"]) > 0.8
    [told] = json.loads(stability(folder / "glass.npz", "--json"))["runs"]
    assert (told["labels_from"], told["labels_sha256"]) == ("glass", None)


def test_a_file_labels_the_runs_that_it_was_fitted_to_and_no_others(folder):
    told = stability(folder, "--labels", labels_path(folder, HOPPER), code=1)
    assert len(re.findall("hop +phase-locked ", told)) == 2
    [failed] = [line for line in told.splitlines() if "failed" in line]
    assert "glass.npz" in failed and "expected labels fitted to checkpoint" in failed


def test_runs_without_fitted_labels_are_rows_that_failed(folder):
    told = stability(folder, "--labels", "fitted", code=1)
    [failed] = [line for line in told.splitlines() if "failed" in line]
    assert f"make it with `glassviz fit {folder / 'glass.npz'}`" in failed


def test_an_assessed_run_knows_the_trace_that_it_was_judged_by(folder):
    trace = folder / "bare-mppi.npz"
    for labels in ("learned", "fitted", str(labels_path(folder, HOPPER))):
        [row] = assess_all([trace], RolloutOptions(), labels=labels)
        assert row.trace.sha256 == row.stability.trace_sha256, labels


def test_an_unknown_choice_is_one_line(folder):
    done = invoke("stability", folder, "--labels", "fited", code=1)
    assert done.stderr.startswith("error: --labels: expected learned")
    done = invoke("render", folder / "glass.npz", "--labels", "fitted", code=1)
    assert "`glassviz fit" in done.stderr


# Films ------------------------------------------------------------------------------------------


def chip_colors(trace: Trace, width: int = 640, height: int = 480) -> np.ndarray:
    """A pixel of the chip in every frame of the first episode."""
    overlay = Overlay(Clip.of(trace, 0), width, height)
    colors = []
    for t in range(trace.frames):
        frame = np.zeros((height, width, 3), np.uint8)
        overlay.draw(frame, t)
        colors.append(frame[27, 27])
    return np.stack(colors)


def test_the_chip_of_an_agent_without_glass_has_the_colour_of_its_fitted_label(bare):
    short = replace(bare, **{name: getattr(bare, name)[:, 200:260] for name in ARRAYS})
    assert (chip_colors(short) == to_rgb(NO_CLUSTER_COLOR)).all()
    found = relabelled(short, fit(bare))
    wanted = [to_rgb(label_color(int(label))) for label in found.label[0]]
    assert len(set(wanted)) == 4 and (chip_colors(found) == wanted).all()


def test_the_legend_says_that_labels_are_fitted(bare):
    fitted = relabelled(bare, fit(bare))
    learned = replace(fitted, header=fitted.header | {"fitted_labels": None})

    def drawn(trace: Trace) -> np.ndarray:
        frame = np.zeros((480, 640, 3), np.uint8)
        Timeline(Clip.of(trace, 0), Layout.of(640, 480)).draw(frame, 0)
        return frame

    assert not np.array_equal(drawn(fitted), drawn(learned))
