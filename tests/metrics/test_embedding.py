"""What a map keeps of its space: known answers, scikit-learn as the oracle, and the time window."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.manifold import trustworthiness
from sklearn.metrics import silhouette_score
from sklearn.neighbors import NearestNeighbors

from glassviz.metrics.embedding import draw_sample, embedding_quality

N = 200


def points(seed: int = 0, features: int = 6, n: int = N):
    rng = np.random.default_rng(seed)
    space = rng.normal(size=(n, features))
    return space, space[:, :2] + 0.5 * rng.normal(size=(n, 2)), (space[:, 0] > 0).astype(int)


def judged(space, plane, label=None, window=0, metric="euclidean", series=None, **options):
    n = len(space)
    series = np.zeros(n, int) if series is None else series
    return embedding_quality(space, plane, series, np.arange(n), window, label, metric, **options)


@pytest.mark.parametrize("metric", ["cosine", "euclidean"])
@pytest.mark.parametrize("k", [1, 5, 15])
def test_without_a_window_trustworthiness_is_that_of_scikit_learn(metric, k):
    space, plane, _ = points()
    quality, _ = judged(space, plane, metric=metric, neighbours=k)
    oracle = trustworthiness(space, plane, n_neighbors=k, metric=metric)
    assert quality.trustworthiness == pytest.approx(oracle, abs=1e-12)


def test_continuity_is_trustworthiness_the_other_way_round():
    space, plane, _ = points()
    quality, _ = judged(space, plane)
    oracle = trustworthiness(plane, space, n_neighbors=15)
    assert quality.continuity == pytest.approx(oracle, abs=1e-12)


def test_neighbours_kept_are_those_in_both_neighbourhoods():
    space, plane, _ = points()
    near = [
        NearestNeighbors(n_neighbors=15).fit(each).kneighbors(return_distance=False)
        for each in (space, plane)
    ]
    kept = np.mean([len(set(a) & set(b)) / 15 for a, b in zip(*near, strict=True)])
    quality, _ = judged(space, plane)
    assert quality.neighbour_preservation == pytest.approx(kept, abs=1e-12)
    chance = 15 / (N - 1)
    assert quality.neighbours_over_chance == pytest.approx(
        (kept - chance) / (1 - chance), abs=1e-12
    )


@pytest.mark.parametrize("window", [0, 7])
def test_a_map_that_is_its_space_keeps_everything(window):
    space, _, label = points(features=2)
    quality, labels = judged(space, 3.0 * space + 1.0, label, window)
    assert quality.trustworthiness == quality.continuity == 1.0
    assert quality.neighbour_preservation == 1.0
    assert quality.neighbours_over_chance == pytest.approx(1.0)
    assert quality.neighbour_preservation_auc == pytest.approx(1.0)
    assert labels.purity_plane == labels.purity_space
    assert labels.silhouette_plane == pytest.approx(labels.silhouette_space)


def test_a_map_at_random_keeps_what_chance_does():
    space, _, label = points(n=800)
    plane = np.random.default_rng(1).normal(size=(800, 2))
    quality, labels = judged(space, plane, label)
    assert quality.trustworthiness == pytest.approx(0.5, abs=0.02)
    assert quality.continuity == pytest.approx(0.5, abs=0.02)
    assert quality.neighbours_over_chance == pytest.approx(0.0, abs=0.01)
    assert quality.neighbour_preservation_auc == pytest.approx(0.0, abs=0.01)
    assert labels.purity_plane == pytest.approx(labels.chance_purity, abs=0.02)
    assert labels.silhouette_plane == pytest.approx(0.0, abs=0.02)
    assert labels.purity_space > labels.purity_plane + 0.2


def test_neighbours_in_time_do_not_flatter_a_map(rng):
    """A random walk whose map keeps the order of time and nothing else."""
    space = np.cumsum(rng.normal(size=(600, 8)), axis=0) % 3.0
    plane = np.stack([np.arange(600.0), np.zeros(600)], axis=1)
    space += np.repeat(rng.normal(size=(60, 8)), 10, axis=0)
    bare, _ = judged(space, plane, neighbours=5)
    windowed, _ = judged(space, plane, neighbours=5, window=20)
    assert bare.neighbours_over_chance > 0.1
    assert abs(windowed.neighbours_over_chance) < 0.03


def test_frames_of_another_episode_are_neighbours_at_any_time():
    space, plane, _ = points()
    apart, _ = judged(space, plane, window=50, series=np.arange(N))
    without, _ = judged(space, plane)
    assert apart == without


def test_every_frame_has_its_own_window():
    space, plane, label = points()
    one, _ = judged(space, plane, label, window=9)
    each, _ = judged(space, plane, label, window=np.full(N, 9))
    assert one == each


@pytest.mark.parametrize("metric", ["cosine", "euclidean"])
def test_without_a_window_silhouettes_are_those_of_scikit_learn(metric):
    space, plane, label = points()
    label = label + (space[:, 1] > 1)
    label[0] = 7  # The only frame with its label: scikit-learn gives it 0.
    _, labels = judged(space, plane, label, metric=metric)
    assert labels.silhouette_space == pytest.approx(silhouette_score(space, label, metric=metric))
    assert labels.silhouette_plane == pytest.approx(silhouette_score(plane, label))
    assert labels.labels == 4


def test_frames_without_labels_are_left_out_of_what_is_about_labels():
    space, plane, label = points()
    some = np.where(np.arange(N) % 4 == 0, -1, label)
    _, labels = judged(space, plane, some)
    _, own = judged(space[some >= 0], plane[some >= 0], label[some >= 0])
    assert labels.frames == 150
    assert labels == own
    assert judged(space, plane, np.full(N, -1))[1] is None
    assert judged(space, plane)[1] is None


def test_one_label_has_purity_and_no_silhouette():
    space, plane, _ = points()
    _, labels = judged(space, plane, np.zeros(N, int))
    assert (labels.purity_space, labels.chance_purity, labels.silhouette_space) == (1.0, 1.0, None)


def test_too_few_candidates_are_no_quality():
    space, plane, label = points(n=5)
    assert judged(space, plane, label, window=9) == (None, None)
    assert judged(space[:2], plane[:2], label[:2]) == (None, None)
    quality, _ = judged(space, plane, label)
    assert quality.neighbours == 2


def test_a_constant_space_is_no_error():
    quality, labels = judged(np.ones((20, 3)), np.zeros((20, 2)), np.arange(20) % 2)
    assert quality.trustworthiness == 1.0
    assert labels.silhouette_plane == 0.0


@given(st.integers(0, 10_000), st.integers(6, 40), st.integers(0, 4))
def test_values_lie_in_their_ranges(seed, n, window):
    space, plane, label = points(seed, n=n)
    quality, labels = judged(space, plane, label, window)
    if quality:
        assert 0 <= quality.trustworthiness <= 1
        assert 0 <= quality.continuity <= 1
        assert 0 <= quality.neighbour_preservation <= 1
        assert quality.neighbours_over_chance <= 1 + 1e-12
    if labels:
        assert 0 <= labels.purity_space <= 1
        assert labels.silhouette_plane is None or -1 <= labels.silhouette_plane <= 1


@given(st.integers(0, 10_000))
def test_turning_and_scaling_a_map_changes_nothing(seed):
    space, plane, label = points(seed, n=40)
    turn = np.array([[0.6, -0.8], [0.8, 0.6]])
    a = judged(space, plane, label, 3)
    b = judged(space, 2.0 * plane @ turn, label, 3)
    assert a[0] == b[0]
    assert a[1].silhouette_plane == pytest.approx(b[1].silhouette_plane)


def test_a_sample_is_drawn_without_repeats_and_again_the_same():
    drawn = draw_sample(5000, np.random.default_rng(0), 100)
    assert len(np.unique(drawn)) == 100
    assert (np.diff(drawn) > 0).all()
    assert np.array_equal(drawn, draw_sample(5000, np.random.default_rng(0), 100))
    assert np.array_equal(draw_sample(50, np.random.default_rng(0), 100), np.arange(50))
