"""Entropies, what a label says about time, and what windows of frames have in common. In bits."""

import numpy as np
from jaxtyping import Bool, Float64, Int
from scipy.special import entr

RANDOM_FRAMES = 10_000
"""So many frames in random order have a steady mean; more would only cost time."""


Distributions = Float64[np.ndarray, "frames outcomes"]
"""One distribution over clusters or prototypes a frame; one-hot for hard labels."""


def entropy_bits(p: Float64[np.ndarray, "*more outcomes"]) -> Float64[np.ndarray, "*more"] | float:
    """H = −Σ p log2 p over the last axis, with 0 log 0 = 0: in [0, log2 outcomes]."""
    return entr(p).sum(axis=-1) / np.log(2)


def information_bits(
    counts: Float64[np.ndarray, "*more rows columns"],
) -> Float64[np.ndarray, "*more"] | float:
    """Plug-in mutual information I = H(row) + H(column) − H(row, column) of tables of counts.

    At least 0, at most the smaller of the two entropies. Biased upwards by about
    (rows − 1)(columns − 1) / (2 n ln 2) bits where the two are independent.
    """
    p = counts / counts.sum(axis=(-2, -1), keepdims=True)
    joint = entropy_bits(p.reshape(*p.shape[:-2], -1))
    return np.maximum(entropy_bits(p.sum(-1)) + entropy_bits(p.sum(-2)) - joint, 0.0)


def miller_madow_bits(counts: Float64[np.ndarray, "*shape"]) -> float:
    """Entropy of counts, corrected for their number: H + (m − 1) / (2 n ln 2), m non-empty cells.

    Reference: Miller, "Note on the bias of information estimates", 1955.
    """
    total = counts.sum()
    correction = (np.count_nonzero(counts) - 1) / (2 * total * np.log(2))
    return float(entropy_bits((counts / total).ravel()) + correction)


def divergence_bits(
    p: Float64[np.ndarray, "*more outcomes"], q: Float64[np.ndarray, "*more outcomes"]
) -> Float64[np.ndarray, "*more"] | float:
    """Jensen-Shannon divergence H((p + q)/2) − (H(p) + H(q))/2, in [0, 1] bit.

    SciPy's `jensenshannon` is its square root, in nats unless told otherwise.
    """
    mixed = entropy_bits((p + q) / 2) - (entropy_bits(p) + entropy_bits(q)) / 2
    return np.maximum(mixed, 0.0)


def one_hot(
    label: Int[np.ndarray, " frames"], clusters: int
) -> Float64[np.ndarray, "frames clusters"]:
    """Hard labels as distributions; a frame that is left out (−1) has a row of zeros."""
    return (label[:, None] == np.arange(clusters)).astype(np.float64)


def stretches(kept: Bool[np.ndarray, " frames"]) -> Int[np.ndarray, " frames"]:
    """Number the unbroken stretches of kept frames 0, 1, …; −1 for frames that are left out.

    What compares a frame with a later one stays within a stretch.
    """
    starts = kept & ~np.concatenate([[False], kept[:-1]])
    return np.where(kept, np.cumsum(starts) - 1, -1)


def random_order(
    kept: Bool[np.ndarray, " frames"], rng: np.random.Generator
) -> Int[np.ndarray, " drawn"]:
    """Kept frames in random order, at most 10,000: what there is without any order in time."""
    return rng.permutation(np.flatnonzero(kept))[:RANDOM_FRAMES]


def window_mi_bits(
    p: Distributions, window: int, stretch: Int[np.ndarray, " frames"]
) -> float | None:
    """How much the distribution changes within a sliding window of frames.

    Mean over windows of H(mean of p over the window) − mean of H(p) over the window. 0: nothing
    changes within any window; at most min(log2 window, log2 outcomes). Read it beside the value
    of the same frames in random order: nearly flat distributions have a low one whatever they do.

    Args:
        p: a distribution a frame.
        window: its length in frames.
        stretch: from `stretches`; no window reaches across two.

    Returns:
        None when no stretch is as long as the window.
    """
    frames = len(p) - window + 1
    if frames < 1:
        return None
    inside = (stretch[:frames] >= 0) & (stretch[:frames] == stretch[window - 1 :])
    if not inside.any():
        return None
    mixed = np.asarray(entropy_bits(_sliding_mean(p, window)))[inside]
    own = _sliding_mean(np.asarray(entropy_bits(p))[:, None], window)[inside, 0]
    return max(float(np.mean(mixed - own)), 0.0)


def between_groups_bits(p: Distributions, group: Int[np.ndarray, " frames"]) -> float | None:
    """How much groups of frames differ: the generalised Jensen-Shannon divergence.

    I(group; outcome) = H(mean_w q_w) − mean_w H(q_w), with q_w the mean distribution of group w
    and all groups weighing the same; in [0, min(log2 groups, log2 outcomes)], 0: all alike. Only
    groups of whole gait cycles are comparable: a perfect cycle of 40 frames has 0 bits between
    windows of 40 frames, and 2 bits between windows of 10.

    Args:
        p: a distribution a frame.
        group: of each frame; −1 for frames that are left out.

    Returns:
        None without groups.

    References:
        Lin, "Divergence measures based on the Shannon entropy", 1991.
    """
    kept = group >= 0
    if not kept.any():
        return None
    q = _group_means(p[kept], group[kept])
    return max(float(entropy_bits(q.mean(axis=0)) - np.mean(entropy_bits(q))), 0.0)


def within_groups_bits(p: Distributions, group: Int[np.ndarray, " frames"]) -> float | None:
    """How much the frames of one group differ: mean_w [H(q_w) − mean of H(p) over group w].

    Over gait cycles: how well the labels resolve the phase, up to log2 outcomes. Arguments and
    None as in `between_groups_bits`.
    """
    kept = group >= 0
    if not kept.any():
        return None
    own = np.asarray(entropy_bits(p[kept]))[:, None]
    mixed = entropy_bits(_group_means(p[kept], group[kept]))
    return max(float(np.mean(mixed - _group_means(own, group[kept])[:, 0])), 0.0)


def _sliding_mean(
    values: Float64[np.ndarray, "frames columns"], window: int
) -> Float64[np.ndarray, "windows columns"]:
    sums = np.cumsum(values, axis=0)
    mean = sums[window - 1 :].copy()
    mean[1:] -= sums[:-window]
    mean /= window
    # Differences of sums may come out as −1e-17, whose entropy would be −∞.
    return np.maximum(mean, 0.0, out=mean)


def _group_means(
    values: Float64[np.ndarray, "frames columns"], group: Int[np.ndarray, " frames"]
) -> Float64[np.ndarray, "groups columns"]:
    _, place, size = np.unique(group, return_inverse=True, return_counts=True)
    sums = [np.bincount(place, weights=column) for column in values.T]
    return np.stack(sums, axis=1) / size[:, None]
