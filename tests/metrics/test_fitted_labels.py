"""Fitted labels: planted prototypes and gaits are found again, and files keep them unspoilt."""

import json
from dataclasses import replace
from hashlib import sha256

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.numpy import save_file
from sklearn import metrics
from sklearn.cluster import KMeans

from glassviz.errors import GlassvizError, UsageError
from glassviz.metrics.fitted_labels import (
    FORMAT,
    FittedLabels,
    fit_labels,
    refit_stability,
    spherical_kmeans,
    unit_vectors,
)
from glassviz.metrics.structural_entropy import entropy_2d, greedy_partition, symmetrised
from glassviz.metrics.transitions import transition_counts
from tests.helpers.commands import run_python

SHA = "5e" * 32


def gait(episodes: int = 3, frames: int = 400, noise: float = 0.1, seed: int = 0):
    """Latents that go through eight places in two phases of four, and these places and phases.

    Within a phase places follow each other at random; the phase changes every 40 frames.
    """
    draws = np.random.default_rng(seed)
    places = np.random.default_rng(99).normal(size=(8, 24))
    phase = np.arange(frames) // 40 % 2
    place = 4 * phase + np.repeat(draws.integers(4, size=(episodes, frames // 4)), 4, axis=1)
    latents = places[place] + noise * draws.normal(size=(episodes, frames, 24))
    length = draws.uniform(0.5, 2.0, size=(episodes, frames, 1))
    return list((latents * length).astype(np.float32)), place, np.broadcast_to(phase, place.shape)


@pytest.fixture(scope="module")
def fitted() -> FittedLabels:
    return fit_labels(gait()[0], SHA, prototypes=8, seed=3, fitted_on=("aa", "bb"))


# Prototypes


def test_planted_directions_are_found_whatever_the_lengths_of_latents(fitted):
    latents, place, _ = gait()
    prototype, _ = fitted.labels(np.stack(latents))
    assert metrics.adjusted_rand_score(place.ravel(), prototype.ravel()) == 1.0
    share = np.bincount(prototype.ravel())
    assert (np.diff(share) <= 0).all(), "the most frequent first"
    assert np.linalg.norm(fitted.prototypes, axis=1) == pytest.approx(np.ones(8), abs=1e-5)


def test_a_direction_is_the_mean_of_its_vectors_and_each_vector_has_the_nearest():
    unit = unit_vectors(np.random.default_rng(0).normal(size=(600, 5)))
    centres, nearest, cosine = spherical_kmeans(unit, 6, np.random.default_rng(0))
    assert np.array_equal(nearest, (unit @ centres.T).argmax(axis=1))
    assert cosine == pytest.approx((unit * centres[nearest]).sum(axis=1).mean(), abs=1e-6)
    for n in range(6):
        mean = unit[nearest == n].mean(axis=0)
        assert centres[n] == pytest.approx(mean / np.linalg.norm(mean), abs=1e-4)


def test_the_mean_cosine_is_at_least_that_of_scikit_learns_k_means():
    for seed in range(5):
        x = unit_vectors(np.random.default_rng(seed).normal(size=(500, 8)) + 0.5)
        theirs = KMeans(7, n_init=8, random_state=seed).fit(x)
        centres = unit_vectors(theirs.cluster_centers_)
        reached = (x @ centres.T).max(axis=1).mean()
        assert spherical_kmeans(x, 7, np.random.default_rng(seed))[2] >= reached - 0.005


def test_a_direction_that_loses_its_vectors_takes_others():
    """Started from equal directions all but one lose theirs."""
    from glassviz.metrics.fitted_labels import lloyd

    unit = unit_vectors(np.repeat(np.eye(4), 5, axis=0))
    _, nearest, cosine = lloyd(unit, unit[[0, 0, 0, 0]])
    assert len(set(nearest)) == 4 and cosine == pytest.approx(1.0)


def test_more_prototypes_than_different_latents_are_refused():
    latents = [np.repeat(np.eye(3, dtype=np.float32), 10, axis=0)]
    assert fit_labels(latents, SHA, prototypes=3).mean_cosine == pytest.approx(1.0)
    with pytest.raises(UsageError, match=r"different latents \(3\), found 4: ask for fewer"):
        fit_labels(latents, SHA, prototypes=4)


def test_many_frames_are_all_labelled_though_starts_see_a_sample():
    latents, place, _ = gait(episodes=1, frames=12_000)
    found = fit_labels(latents, SHA, prototypes=8)
    assert found.frames == 12_000
    assert metrics.adjusted_rand_score(place[0], found.labels(latents[0])[0]) == 1.0


# Clusters


def test_planted_phases_are_found_with_and_without_their_number(fitted):
    latents, _, phase = gait()
    for found in (fitted, fit_labels(latents, SHA, prototypes=8, clusters=2)):
        assert found.clusters == 2
        _, label = found.labels(np.stack(latents))
        assert metrics.adjusted_rand_score(phase.ravel(), label.ravel()) == 1.0


def test_the_partition_minimises_the_loop_free_entropy_of_transitions_within_episodes(fitted):
    prototype, _ = fitted.labels(np.stack(gait()[0]))
    graph = symmetrised(transition_counts(prototype, 8))
    assert np.array_equal(fitted.partition, greedy_partition(graph))
    assert fitted.h2_bits == pytest.approx(entropy_2d(graph, fitted.partition))
    assert 0 < fitted.h2_bits < fitted.h1_bits


def test_episodes_may_differ_in_length_and_are_not_joined():
    latents, _, _ = gait()
    whole = np.concatenate(latents)
    parts = [whole[:160], whole[160:]]
    apart, joined = fit_labels(parts, SHA, 8), fit_labels([whole], SHA, 8)
    assert np.array_equal(apart.prototypes, joined.prototypes)
    assert apart.h1_bits != joined.h1_bits


@pytest.mark.parametrize(("prototypes", "clusters"), [(0, None), (4, 5), (4, 0)])
def test_impossible_numbers_are_refused(prototypes, clusters):
    with pytest.raises(UsageError, match="expected 1 <= clusters <= prototypes"):
        fit_labels(gait()[0], SHA, prototypes, clusters)


def test_latents_that_are_no_numbers_are_refused():
    latents, _, _ = gait()
    latents[1][7, 3] = np.nan
    with pytest.raises(GlassvizError, match="in 1 of 1200 frames: leave those frames out"):
        fit_labels(latents, SHA)


def test_a_still_agent_gets_one_prototype_and_one_label():
    found = fit_labels([np.ones((50, 4), np.float32)], SHA, prototypes=1)
    assert (found.clusters, found.h1_bits) == (1, 0.0)
    stability = refit_stability([np.ones((50, 4), np.float32)], prototypes=1, refits=3)
    assert (stability.clusters, stability.label_ami_mean) == ((1, 1, 1), None)


# Again


@settings(max_examples=5)
@given(st.integers(0, 100))
def test_the_same_latents_and_seed_give_the_same_labels(seed):
    latents, _, _ = gait(noise=1.0)
    one, two = (fit_labels(latents, SHA, 6, seed=seed) for _ in range(2))
    assert np.array_equal(one.prototypes, two.prototypes)
    assert np.array_equal(one.partition, two.partition)
    assert one.mean_cosine == two.mean_cosine


def test_refits_agree_on_what_is_there_and_less_on_what_is_not(rng):
    planted = refit_stability(gait()[0], prototypes=8, refits=5)
    assert planted.clusters == (2,) * 5
    assert planted.label_ami_min == pytest.approx(1.0)
    assert planted.prototype_ami_min == pytest.approx(1.0)
    noise = [rng.normal(size=(600, 24)).astype(np.float32)]
    unplanted = refit_stability(noise, prototypes=8, refits=5)
    assert unplanted.prototype_ami_min <= unplanted.prototype_ami_mean < 0.8
    assert unplanted.label_ami_mean < 0.8


# The file


def test_a_file_keeps_labels_and_where_they_are_from(fitted, tmp_path):
    path = tmp_path / "made" / "labels.safetensors"
    fitted.save(path)
    found = FittedLabels.load(path, SHA)
    for name in ("prototypes", "partition"):
        assert np.array_equal(getattr(found, name), getattr(fitted, name))
    for name in ("mean_cosine", "h1_bits", "h2_bits", "seed", "frames", "checkpoint_sha256"):
        assert getattr(found, name) == getattr(fitted, name)
    assert found.fitted_on == ("aa", "bb")
    assert [each.name for each in path.parent.iterdir()] == ["labels.safetensors"]


def test_labels_of_another_checkpoint_are_refused_and_say_so(fitted, tmp_path):
    fitted.save(tmp_path / "a")
    with pytest.raises(GlassvizError, match=r"checkpoint '77777.*found those of '5e5e.*: fit"):
        FittedLabels.load(tmp_path / "a", "7" * 64)
    assert FittedLabels.load(tmp_path / "a").seed == 3
    with pytest.raises(GlassvizError, match="expected latents with 24 values, found 5: fit"):
        fitted.labels(np.zeros((2, 5), np.float32))


GOOD = {
    "prototypes": np.eye(3, 4, dtype=np.float32),
    "partition": np.array([0, 1, 1], np.int32),
}
HEADER = {
    "schema_version": 1,
    "checkpoint_sha256": SHA,
    "seed": 0,
    "frames": 9,
    "fitted_on": [],
    "mean_cosine": 0.5,
    "h1_bits": 1.0,
    "h2_bits": 0.5,
}
METADATA = {FORMAT: json.dumps(HEADER)}


def test_a_file_made_by_hand_is_read(tmp_path):
    save_file(GOOD, tmp_path / "a", METADATA)
    found = FittedLabels.load(tmp_path / "a")
    assert (found.clusters, found.gap) == (2, 0.5)
    assert replace(found, h1_bits=0.0).gap is None


def test_the_same_labels_make_the_same_file_whose_hash_they_know(fitted, tmp_path):
    script = (
        "import sys, pathlib; from glassviz.metrics.fitted_labels import FittedLabels\n"
        "FittedLabels.load(pathlib.Path(sys.argv[1])).save(pathlib.Path(sys.argv[2]))"
    )
    fitted.save(tmp_path / "a")
    found = FittedLabels.load(tmp_path / "a")
    assert found.sha256 == fitted.sha256 == sha256((tmp_path / "a").read_bytes()).hexdigest()
    assert replace(found, seed=4).sha256 != found.sha256
    # Another process: what is hashed by a random key of the process comes in another order there.
    run_python("-c", script, tmp_path / "a", tmp_path / "b")
    assert (tmp_path / "b").read_bytes() == (tmp_path / "a").read_bytes()


@pytest.mark.parametrize(
    ("arrays", "header", "told"),
    [
        ({}, "{", "something else"),
        ({}, "[" * 100_000, "something else"),
        ({}, "[]", "something else"),
        ({}, "{}", "expected schema version 1 .* found None"),
        ({}, json.dumps(HEADER | {"schema_version": 2}), "expected schema version 1 .* found 2"),
        ({}, json.dumps(HEADER | {"seed": "x"}), "something else"),
        ({}, json.dumps(HEADER | {"checkpoint_sha256": "../x"}), "something else"),
        ({}, json.dumps(HEADER | {"h1_bits": float("nan")}), "something else"),
        ({}, json.dumps(HEADER | {"h2_bits": 10**400}), "something else"),
        ({}, json.dumps(HEADER | {"mean_cosine": 2}), "something else"),
        ({"prototypes": np.full((3, 4), 1e30, np.float32)}, None, "something else"),
        ({"prototypes": np.zeros((3, 0), np.float32)}, None, "something else"),
        ({"partition": None}, None, "something else"),
        ({"partition": np.array([0, 1], np.int32)}, None, "something else"),
        ({"partition": np.array([0, 1, 2**31 - 1], np.int32)}, None, "something else"),
        ({"partition": np.array([-1, 0, 1], np.int32)}, None, "something else"),
        ({"partition": np.array([0.0, 1.0, 1.0])}, None, "something else"),
        ({"prototypes": np.eye(3, 4)}, None, "something else"),
        ({"prototypes": np.full((3, 4), np.nan, np.float32)}, None, "something else"),
        ({"prototypes": np.zeros((0, 4), np.float32)}, None, "something else"),
        ({"prototypes": np.zeros(3, np.float32)}, None, "something else"),
    ],
)
def test_a_file_of_something_else_is_refused_in_a_sentence(arrays, header, told, tmp_path):
    path = tmp_path / "labels.safetensors"
    tensors = {name: array for name, array in (GOOD | arrays).items() if array is not None}
    save_file(tensors, path, {FORMAT: header} if header else METADATA)
    with pytest.raises(GlassvizError, match=told) as caught:
        FittedLabels.load(path)
    message = str(caught.value)
    assert message.startswith(str(path)) and "\n" not in message and "glassviz fit" in message


def test_a_missing_cut_or_foreign_file_is_refused_in_a_sentence(fitted, tmp_path):
    save_file(GOOD, tmp_path / "other", {"format": "pt"})
    with pytest.raises(GlassvizError, match="a safetensors file of another kind: make them"):
        FittedLabels.load(tmp_path / "other")
    with pytest.raises(GlassvizError, match=r"no such file: .*, expected .*: make them"):
        FittedLabels.load(tmp_path / "none")
    fitted.save(tmp_path / "whole")
    data = (tmp_path / "whole").read_bytes()
    for i, broken in enumerate((b"", b"PK\x03\x04", data[:40], data[:-1], data + b"x")):
        path = tmp_path / str(i)
        path.write_bytes(broken)
        with pytest.raises(GlassvizError, match="damaged or of another kind: make them again"):
            FittedLabels.load(path)
    with pytest.raises(GlassvizError, match="expected fitted labels, found a folder"):
        FittedLabels.load(tmp_path)
