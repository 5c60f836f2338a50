"""How far a plane keeps the neighbourhoods of the space that it is a map of.

Consecutive frames are each other's neighbours in any space and on any map. Counting them would
flatter every map, so frames of one episode that lie nearer to each other in time than a window
(Theiler's, half a gait cycle) are no neighbours here.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from jaxtyping import Bool, Float, Float64, Int

NEIGHBOURS = 15


SAMPLE = 2000
"""Every two frames of a sample are compared: time and memory grow with its square."""


Metric = Literal["cosine", "euclidean"]


Pairs = Float64[np.ndarray, "frames frames"]


Allowed = Bool[np.ndarray, "frames frames"]


Ranks = Int[np.ndarray, "frames frames"]


@dataclass(frozen=True)
class EmbeddingQuality:
    """What a map keeps, over a sample of its frames; None where the sample is too small.

    Attributes:
        frames: n, the size of the sample.
        neighbours: k.
        trustworthiness: in [0, 1]; 1 if no frames are neighbours on the map that are none in the
            space, and about 1/2 by chance.
        continuity: the same with the two exchanged: 1 if no neighbours were torn apart.
        neighbour_preservation: Q_k, the share of a frame's k nearest that is among its k nearest
            in both; k over the number of candidates by chance.
        neighbours_over_chance: R_k, the same rescaled to 0 by chance; 1 at best.
        neighbour_preservation_auc: mean of R_k over ln k, up to nearly all frames, so that
            small neighbourhoods count as much as large ones.
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
    """How far labels lie apart, in the space and on the map; None where that is undefined.

    Attributes:
        frames: with labels, in the sample.
        labels: how many occur in it.
        chance_purity: Σ p_k², what purities would be if labels knew nothing of places.
        purity_space, purity_plane: mean share of a frame's k nearest that have its label.
        silhouette_space, silhouette_plane: mean of (b − a)/max(a, b) with a the mean distance to
            frames of the same label and b that to the nearest other one, in [−1, 1]; by the
            space's own measure of distance.
    """

    frames: int
    labels: int
    chance_purity: float
    purity_space: float
    purity_plane: float
    silhouette_space: float | None
    silhouette_plane: float | None


def draw_sample(frames: int, rng: np.random.Generator, size: int = SAMPLE) -> Int[np.ndarray, " n"]:
    """Numbers of the frames of a sample, all if there are no more; rising."""
    return np.sort(rng.choice(frames, size, replace=False)) if frames > size else np.arange(frames)


def embedding_quality(
    space: Float[np.ndarray, "frames features"],
    plane: Float[np.ndarray, "frames 2"],
    series: Int[np.ndarray, " frames"],
    time: Int[np.ndarray, " frames"],
    window: Int[np.ndarray, " frames"] | int,
    label: Int[np.ndarray, " frames"] | None = None,
    metric: Metric = "cosine",
    neighbours: int = NEIGHBOURS,
) -> tuple[EmbeddingQuality | None, LabelSeparation | None]:
    """Compare neighbourhoods on a map with those in its space.

    Each frame's ranks are among its own candidates, the m frames outside of its window. With a
    window of 0 or 1 these are all others, and trustworthiness is scikit-learn's.

    Args:
        space: what was mapped; a few thousand frames at most.
        plane: where each frame is on the map.
        series: which episode each frame is of.
        time: number of each frame in its episode.
        window: frames of one episode that are fewer steps apart are no neighbours; one number, or
            one for each frame.
        label: of each frame; −1: left out. None: no labels.
        metric: of the space; the plane's is Euclidean.
        neighbours: k, or half of the fewest candidates if that is less.

    Returns:
        Quality, None if some frame has fewer than two candidates; and separation of the labels,
        None then, and without labels.

    References:
        Venna & Kaski, "Neighborhood preservation in nonlinear projection methods", 2001.
        Lee & Verleysen, "Quality assessment of dimensionality reduction", Neurocomputing 72, 2009.
        Theiler, "Spurious dimension from correlation algorithms", Phys. Rev. A 34, 1986.
    """
    from sklearn.metrics import pairwise_distances

    near = np.abs(time[:, None] - time) < np.reshape(window, (-1, 1))
    allowed = ~(near & (series[:, None] == series))
    np.fill_diagonal(allowed, False)
    candidates = allowed.sum(axis=1)
    fewest = int(candidates.min(initial=len(space)))
    if fewest < 2:
        return None, None
    k = min(neighbours, fewest // 2)
    far = pairwise_distances(space.astype(np.float64), metric=metric)
    flat = pairwise_distances(plane.astype(np.float64))
    ranks_far, ranks_flat = _ranks(far, allowed), _ranks(flat, allowed)
    over_chance = _neighbour_preservation(np.maximum(ranks_far, ranks_flat), candidates, fewest - 1)
    chance = k / candidates
    quality = EmbeddingQuality(
        frames=len(space),
        neighbours=k,
        trustworthiness=_trust(ranks_far, ranks_flat, candidates, k),
        continuity=_trust(ranks_flat, ranks_far, candidates, k),
        neighbour_preservation=float((chance + over_chance[:, k - 1] * (1 - chance)).mean()),
        neighbours_over_chance=float(over_chance[:, k - 1].mean()),
        neighbour_preservation_auc=_mean_over_log(over_chance.mean(axis=0)),
    )
    if label is None or not (label >= 0).any():
        return quality, None
    return quality, _separation(far, flat, allowed, label, neighbours)


def _ranks(distance: Pairs, allowed: Allowed) -> Ranks:
    """Rank of each candidate by distance, from 1; those that are none come last."""
    order = np.argsort(np.where(allowed, distance, np.inf), axis=1, kind="stable")
    ranks = np.empty_like(order)
    np.put_along_axis(ranks, order, np.arange(1, len(order) + 1)[None], axis=1)
    return ranks


def _trust(true: Ranks, shown: Ranks, candidates: Int[np.ndarray, " frames"], k: int) -> float:
    """1 − Σ (true rank − k)⁺ over the k that are shown nearest, over the largest such sum."""
    penalty = np.where(shown <= k, np.maximum(true - k, 0), 0).sum(axis=1)
    worst = k * (2 * candidates - 3 * k + 1) / 2
    return float(1 - (penalty / worst).mean())


def _neighbour_preservation(
    larger: Ranks, candidates: Int[np.ndarray, " frames"], upto: int
) -> Float64[np.ndarray, "frames ks"]:
    """R_k of each frame for k from 1 on; two frames are neighbours in both up to k if the larger
    of their ranks is at most k."""
    n = len(larger)
    flat = np.arange(n)[:, None] * (n + 1) + larger
    counts = np.bincount(flat.ravel(), minlength=n * (n + 1)).reshape(n, n + 1)
    k = np.arange(1, upto + 1)
    kept = np.cumsum(counts[:, 1 : upto + 1], axis=1) / k
    chance = k / candidates[:, None]
    return (kept - chance) / (1 - chance)


def _mean_over_log(values: Float64[np.ndarray, " ks"]) -> float:
    weights = 1 / np.arange(1, len(values) + 1)
    return float(np.average(values, weights=weights))


def _separation(
    far: Pairs,
    flat: Pairs,
    allowed: Allowed,
    label: Int[np.ndarray, " frames"],
    neighbours: int,
) -> LabelSeparation | None:
    """Of the frames with labels, among themselves."""
    kept = np.flatnonzero(label >= 0)
    pairs = np.ix_(kept, kept)
    far, flat, allowed = far[pairs], flat[pairs], allowed[pairs]
    fewest = int(allowed.sum(axis=1).min())
    if fewest < 1:
        return None
    k = min(neighbours, fewest)
    _, own, counts = np.unique(label[kept], return_inverse=True, return_counts=True)
    return LabelSeparation(
        frames=len(kept),
        labels=len(counts),
        chance_purity=float(np.square(counts / len(kept)).sum()),
        purity_space=_purity(far, allowed, own, k),
        purity_plane=_purity(flat, allowed, own, k),
        silhouette_space=_silhouette(far, allowed, own),
        silhouette_plane=_silhouette(flat, allowed, own),
    )


def _purity(distance: Pairs, allowed: Allowed, label: Int[np.ndarray, " frames"], k: int) -> float:
    nearest = np.argsort(np.where(allowed, distance, np.inf), axis=1, kind="stable")[:, :k]
    return float((label[nearest] == label[:, None]).mean())


def _silhouette(
    distance: Pairs, allowed: Allowed, label: Int[np.ndarray, " frames"]
) -> float | None:
    """Mean silhouette; 0 for a frame without others of its label, as in scikit-learn."""
    member = (label[:, None] == np.arange(label.max() + 1)).astype(np.float64)
    if member.shape[1] < 2:
        return None
    count = allowed.astype(np.float64) @ member
    total = np.where(allowed, distance, 0.0) @ member
    mean = np.divide(total, count, out=np.full_like(total, np.inf), where=count > 0)
    own = member.astype(bool)
    a, b = mean[own], np.where(own, np.inf, mean).min(axis=1)
    defined = np.isfinite(a) & np.isfinite(b) & (np.maximum(a, b) > 0)
    value = np.zeros(len(label))
    value[defined] = (b - a)[defined] / np.maximum(a, b)[defined]
    return float(value.mean())
