"""Quality of a 2-D embedding: neighbourhood preservation, and separation of labels.

Consecutive frames are neighbours in any space and on any map, and counting them would flatter every
map. Frames of one episode closer in time than a Theiler window (half a gait cycle) therefore do not
count as neighbours.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from jaxtyping import Bool, Float, Float64, Int

from glassviz.metrics.information import Labels

NEIGHBOURS = 15

SAMPLE = 2000
"""Default sample size; time and memory grow with its square."""

Metric = Literal["cosine", "euclidean"]
Pairs = Float64[np.ndarray, "frames frames"]
Allowed = Bool[np.ndarray, "frames frames"]
Ranks = Int[np.ndarray, "frames frames"]
PerFrame = Int[np.ndarray, " frames"]


@dataclass(frozen=True)
class EmbeddingQuality:
    """Neighbourhood preservation of a map, over a sample of its frames.

    Attributes:
        frames, neighbours: sample size n, and neighbourhood size k.
        trustworthiness: in [0, 1]; 1 if all neighbours on the map are neighbours in the space,
            about 1/2 by chance.
        continuity: in [0, 1]; 1 if all neighbours in the space are neighbours on the map, about 1/2
            by chance.
        neighbour_preservation: Q_k, share of the k nearest neighbours in the space that are also
            among the k nearest on the map; k / candidates by chance.
        neighbours_over_chance: R_k, Q_k rescaled to 0 by chance and 1 at best.
        neighbour_preservation_auc: mean of R_k over ln k for nearly all k, which weighs small and
            large neighbourhoods alike.
    """

    frames: int
    neighbours: int
    trustworthiness: float
    continuity: float
    neighbour_preservation: float
    neighbours_over_chance: float
    neighbour_preservation_auc: float


@dataclass(frozen=True)
class LabelSeparation:
    """Separation of labels, in the space and on the map.

    Attributes:
        frames, labels: numbers of labelled frames and of labels in the sample.
        chance_purity: Σ p_k², the purity of labels independent of position.
        purity_space, purity_plane: mean share of the k nearest neighbours with the same label.
        silhouette_space, silhouette_plane: mean silhouette (b − a)/max(a, b), in [−1, 1], with a
            the mean distance to frames of the same label and b that to the nearest other label, by
            the metric of each space. None with a single label.
    """

    frames: int
    labels: int
    chance_purity: float
    purity_space: float
    purity_plane: float
    silhouette_space: float | None
    silhouette_plane: float | None


def draw_sample(frames: int, rng: np.random.Generator, size: int = SAMPLE) -> Int[np.ndarray, " n"]:
    """Sorted indices of a random sample of frames; of all frames if there are at most `size`."""
    return np.sort(rng.choice(frames, size, replace=False)) if frames > size else np.arange(frames)


def embedding_quality(
    space: Float[np.ndarray, "frames features"],
    plane: Float[np.ndarray, "frames 2"],
    series: Labels,
    time: PerFrame,
    window: PerFrame | int,
    label: Labels | None = None,
    metric: Metric = "cosine",
    neighbours: int = NEIGHBOURS,
) -> tuple[EmbeddingQuality | None, LabelSeparation | None]:
    """Compare neighbourhoods on a map with those in its space.

    A frame is ranked among its candidates, the frames outside of its Theiler window. With a window
    of 0 or 1 these are all other frames, and trustworthiness equals scikit-learn's.

    Args:
        space, plane: at most a few thousand vectors, and their positions on the map.
        series, time: episode of each frame, and its index in the episode.
        window: Theiler window, frames: one number, or one per frame.
        label: label of each frame; None without labels.
        metric: metric of the space; the plane is Euclidean.
        neighbours: k, limited to half the smallest number of candidates.

    Returns:
        Quality, None if a frame has fewer than two candidates; and separation of the labels, None
        without quality, labels or candidates.

    References:
        Venna & Kaski, "Neighborhood preservation in nonlinear projection methods", 2001.
        Lee & Verleysen, "Quality assessment of dimensionality reduction", Neurocomputing 72, 2009.
        Theiler, "Spurious dimension from correlation algorithms", Phys. Rev. A 34, 1986.

    Example:
        >>> plane = np.random.default_rng(0).normal(size=(100, 2))
        >>> space = np.column_stack([plane, np.zeros(100)])
        >>> series, time = np.zeros(100, int), np.arange(100)
        >>> quality, _ = embedding_quality(space, plane, series, time, 5, metric="euclidean")
        >>> quality.trustworthiness, quality.continuity
        (1.0, 1.0)
    """
    from sklearn.metrics import pairwise_distances

    in_window = np.abs(time[:, None] - time) < np.reshape(window, (-1, 1))
    allowed = ~(in_window & (series[:, None] == series))
    np.fill_diagonal(allowed, False)
    candidates = allowed.sum(axis=1)
    fewest = int(candidates.min(initial=len(space)))
    if fewest < 2:
        return None, None
    k = min(neighbours, fewest // 2)
    in_space = pairwise_distances(space.astype(np.float64), metric=metric)
    on_map = pairwise_distances(plane.astype(np.float64))
    space_ranks, map_ranks = _ranks(in_space, allowed), _ranks(on_map, allowed)
    larger = np.maximum(space_ranks, map_ranks)
    over_chance = _neighbour_preservation(larger, candidates, fewest - 1)
    chance, ln_k = k / candidates, 1 / np.arange(1, fewest)
    quality = EmbeddingQuality(
        frames=len(space),
        neighbours=k,
        trustworthiness=_trustworthiness(space_ranks, map_ranks, candidates, k),
        continuity=_trustworthiness(map_ranks, space_ranks, candidates, k),
        neighbour_preservation=float((chance + over_chance[:, k - 1] * (1 - chance)).mean()),
        neighbours_over_chance=float(over_chance[:, k - 1].mean()),
        neighbour_preservation_auc=float(np.average(over_chance.mean(axis=0), weights=ln_k)),
    )
    if label is None or not (label >= 0).any():
        return quality, None
    return quality, _separation(in_space, on_map, space_ranks, map_ranks, allowed, label, k)


def _ranks(distance: Pairs, allowed: Allowed) -> Ranks:
    """Rank of each candidate by distance, from 1; other frames come last."""
    order = np.argsort(np.where(allowed, distance, np.inf), axis=1, kind="stable")
    ranks = np.empty_like(order)
    np.put_along_axis(ranks, order, np.arange(1, len(order) + 1)[None], axis=1)
    return ranks


def _trustworthiness(true: Ranks, shown: Ranks, candidates: PerFrame, k: int) -> float:
    """1 − Σ (true rank − k)⁺ over the k nearest shown neighbours / its maximum."""
    penalty = np.where(shown <= k, np.maximum(true - k, 0), 0).sum(axis=1)
    worst = k * (2 * candidates - 3 * k + 1) / 2
    return float(1 - (penalty / worst).mean())


def _neighbour_preservation(
    larger: Ranks, candidates: PerFrame, most: int
) -> Float64[np.ndarray, "frames ks"]:
    """R_k of each frame for k = 1 … most, from the larger of both ranks of every pair.

    Frames are among the k nearest both in the space and on the map if that rank is at most k.
    """
    n = len(larger)
    flat = np.arange(n)[:, None] * (n + 1) + larger
    counts = np.bincount(flat.ravel(), minlength=n * (n + 1)).reshape(n, n + 1)
    k = np.arange(1, most + 1)
    preserved = np.cumsum(counts[:, 1 : most + 1], axis=1) / k
    chance = k / candidates[:, None]
    return (preserved - chance) / (1 - chance)


def _separation(
    in_space: Pairs,
    on_map: Pairs,
    space_ranks: Ranks,
    map_ranks: Ranks,
    allowed: Allowed,
    label: Labels,
    neighbours: int,
) -> LabelSeparation | None:
    """Separation of the labelled frames among themselves."""
    labelled = np.flatnonzero(label >= 0)
    pairs = np.ix_(labelled, labelled)
    in_space, on_map, allowed = in_space[pairs], on_map[pairs], allowed[pairs]
    fewest = int(allowed.sum(axis=1).min())
    if fewest < 1:
        return None
    k = min(neighbours, fewest)
    _, index, counts = np.unique(label[labelled], return_inverse=True, return_counts=True)
    return LabelSeparation(
        frames=len(labelled),
        labels=len(counts),
        chance_purity=float(np.square(counts / len(labelled)).sum()),
        purity_space=_purity(space_ranks[pairs], index, k),
        purity_plane=_purity(map_ranks[pairs], index, k),
        silhouette_space=_silhouette(in_space, allowed, index),
        silhouette_plane=_silhouette(on_map, allowed, index),
    )


def _purity(ranks: Ranks, label: Labels, k: int) -> float:
    """Ranks among all frames order the labelled ones as well, and need no second sort."""
    nearest = np.argpartition(ranks, k - 1, axis=1)[:, :k]
    return float((label[nearest] == label[:, None]).mean())


def _silhouette(distance: Pairs, allowed: Allowed, label: Labels) -> float | None:
    """Mean silhouette; 0 for a frame alone with its label, as in scikit-learn."""
    member = (label[:, None] == np.arange(label.max() + 1)).astype(np.float64)
    if member.shape[1] < 2:
        return None
    count = allowed.astype(np.float64) @ member
    total = np.where(allowed, distance, 0.0) @ member
    mean = np.divide(total, count, out=np.full_like(total, np.inf), where=count > 0)
    is_label = member.astype(bool)
    a, b = mean[is_label], np.where(is_label, np.inf, mean).min(axis=1)
    defined = np.isfinite(a) & np.isfinite(b) & (np.maximum(a, b) > 0)
    value = np.zeros(len(label))
    value[defined] = (b - a)[defined] / np.maximum(a, b)[defined]
    return float(value.mean())
