"""From many dimensions to two: UMAP, and PCA as its twin that leaves nothing to chance."""

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from types import ModuleType
from typing import Literal

import numpy as np
from jaxtyping import Float32, Float64, Int32

from glassviz.analysis.embedding import Metric
from glassviz.errors import GlassvizError

Method = Literal["umap", "pca"]
Rows = Float32[np.ndarray, "frames features"]
Plane = Float32[np.ndarray, "frames 2"]

NEIGHBOURS = 30
MIN_DIST = 0.1
FEWEST = 4
"""Frames without which there is no map."""

PLACED_BY = 5
"""A frame that was not fitted stands between so many of those that were."""


@dataclass(frozen=True, eq=False)
class Projection:
    """A map of some frames, and how others are placed on it.

    Attributes:
        xy: where the fitted frames are.
        place: where further frames are. Under PCA that is exact; under UMAP they stand between
            the fitted frames that are nearest to them, by 1/distance.
        explained: share of the variance along each axis; None under UMAP.
    """

    xy: Plane
    place: Callable[[Rows], Plane]
    explained: tuple[float, float] | None


def project(rows: Rows, method: Method, seed: int, metric: Metric = "cosine") -> Projection:
    """Fit a map; the same rows and seed give the same map on the same machine.

    Args:
        rows: vectors of length 1, or standardised features.
        method: `umap` keeps neighbourhoods, `pca` the directions of largest variance.
        seed: of UMAP's layout.
        metric: what UMAP takes for distance; `cosine` needs vectors of length 1.

    Raises:
        GlassvizError: there are fewer than four frames, or than two numbers in each.

    References:
        McInnes, Healy & Melville, "UMAP", 2018.
    """
    if rows.shape[1] < 2:
        raise GlassvizError(
            f"map: expected at least 2 numbers a frame, found {rows.shape[1]}: there is nothing to "
            f"lay flat"
        )
    if len(rows) < FEWEST:
        raise GlassvizError(
            f"map: expected at least {FEWEST} frames, found {len(rows)}: record longer episodes"
        )
    return _umap(rows, seed, metric) if method == "umap" else _pca(rows)


def _pca(rows: Rows) -> Projection:
    mean, axes, explained = _principal_axes(rows)

    def place(more: Rows) -> Plane:
        return ((more - mean) @ axes).astype(np.float32)

    return Projection(place(rows), place, explained)


def _principal_axes(
    rows: Rows,
) -> tuple[
    Float64[np.ndarray, " features"], Float64[np.ndarray, "features 2"], tuple[float, float]
]:
    from threadpoolctl import threadpool_limits

    mean = rows.mean(axis=0, dtype=np.float64)
    with threadpool_limits(1):  # So that sums come out the same whatever the number of cores.
        centred = rows - mean
        values, vectors = np.linalg.eigh(centred.T @ centred)
    axes = vectors[:, [-1, -2]]
    # An axis has no direction of its own: its largest entry is to be positive.
    axes *= np.sign(axes[np.abs(axes).argmax(axis=0), [0, 1]])
    shares = np.maximum(values, 0) / np.maximum(values, 0).sum()
    return mean, axes, (float(shares[-1]), float(shares[-2]))


def _umap(rows: Rows, seed: int, metric: Metric) -> Projection:
    """UMAP on exact neighbours, begun from the principal axes.

    The two steps of `umap.UMAP.fit`, with neighbours that are given: those that it looks for
    itself are approximate, and compiling that search takes longer than exact distances between
    50,000 frames.
    """
    umap_ = _import_umap()
    neighbours = min(NEIGHBOURS, len(rows) - 1)
    distance, index = _nearest(rows, rows, neighbours, metric)
    random = np.random.RandomState(seed)
    graph, _, _ = umap_.fuzzy_simplicial_set(
        rows, neighbours, random, metric, knn_indices=index, knn_dists=distance
    )
    a, b = umap_.find_ab_params(1.0, MIN_DIST)
    xy, _ = umap_.simplicial_set_embedding(
        rows,
        graph,
        n_components=2,
        initial_alpha=1.0,
        a=a,
        b=b,
        gamma=1.0,
        negative_sample_rate=5,
        n_epochs=None,
        init=_pca(rows).xy,
        random_state=random,
        metric=metric,
        metric_kwds={},
        densmap=False,
        densmap_kwds={},
        output_dens=False,
    )
    xy = np.asarray(xy, dtype=np.float32)

    def place(more: Rows) -> Plane:
        away, by = _nearest(rows, more, min(PLACED_BY, len(rows)), metric)
        weight = 1 / np.maximum(away, 1e-6)
        weight /= weight.sum(axis=1, keepdims=True)
        return np.einsum("fn,fnd->fd", weight, xy[by]).astype(np.float32)

    return Projection(xy, place, None)


def _import_umap() -> ModuleType:
    with warnings.catch_warnings():
        # It mentions that TensorFlow is not installed, which only its neural variant needs.
        warnings.simplefilter("ignore", ImportWarning)
        # Nor does it matter that a notebook has no widgets for the progress of its neural variant.
        warnings.filterwarnings("ignore", "IProgress not found")
        import umap.umap_

    return umap.umap_


def _nearest(
    among: Rows, rows: Rows, count: int, metric: Metric
) -> tuple[Float32[np.ndarray, "frames count"], Int32[np.ndarray, "frames count"]]:
    """Distances to the nearest rows, and which these are; a row is its own nearest."""
    from sklearn.neighbors import NearestNeighbors

    found = NearestNeighbors(n_neighbors=count, algorithm="brute").fit(among)
    distance, index = found.kneighbors(rows)
    # Of vectors of length 1, half the squared distance is 1 − cos.
    away = np.square(distance) / 2 if metric == "cosine" else distance
    return away.astype(np.float32), index.astype(np.int32)
