"""Entropy, mutual information and divergence of labels and distributions, in bits."""

import numpy as np
from jaxtyping import Float64, Int
from scipy.special import entr

from glassviz.gait.contacts import Mask

ROUNDING_BITS = 1e-9
"""Entropies and information below this are rounding errors."""

RANDOM_FRAMES = 10_000
"""A mean over this many frames in random order is stable enough."""

Labels = Int[np.ndarray, " frames"]
"""Label, group or block of each frame; −1 leaves a frame out, and nothing is counted across it."""

Phases = Float64[np.ndarray, " frames"]
"""Phase of the gait of each frame, rad in [0, 2π); NaN outside of gait cycles."""

CycleIndex = Int[np.ndarray, " frames"]
"""Gait cycle of each frame; −1 outside of cycles."""

Distributions = Float64[np.ndarray, "frames outcomes"]
"""One distribution over clusters or prototypes per frame; one-hot for hard labels."""


Table = Float64[np.ndarray, "rows columns"]


def contingency(a: Labels, b: Labels, rows: int | None = None, columns: int | None = None) -> Table:
    """Contingency table n_ij: number of frames with label i of a and label j of b.

    Frames with −1 in either are left out. There is a row and a column more than the highest label
    that occurs, unless numbers are given.

    Example:
        >>> contingency(np.array([0, 0, 1, -1]), np.array([1, 1, 0, 0]))
        array([[0., 2.],
               [1., 0.]])
    """
    labelled = (a >= 0) & (b >= 0)
    a, b = a[labelled].astype(np.int64), b[labelled].astype(np.int64)
    rows = rows or int(a.max(initial=-1)) + 1
    columns = columns or int(b.max(initial=-1)) + 1
    counts = np.bincount(a * columns + b, minlength=rows * columns)
    return counts.reshape(rows, columns).astype(np.float64)


def normalised_rows(counts: Table) -> Table:
    """Rows scaled to sum to 1; rows of zeros stay zero."""
    total = counts.sum(axis=1, keepdims=True)
    return np.divide(counts, total, out=np.zeros_like(counts), where=total > 0)


def one_hot(label: Labels, clusters: int) -> Float64[np.ndarray, "frames clusters"]:
    """Hard labels as distributions; frames labelled −1 have a row of zeros."""
    return (label[:, None] == np.arange(clusters)).astype(np.float64)


# Entropy and information --------------------------------------------------------------------------


def entropy_bits(p: Float64[np.ndarray, "*more outcomes"]) -> Float64[np.ndarray, "*more"] | float:
    """H = −Σ p log2 p over the last axis, with 0 log 0 = 0: in [0, log2 outcomes].

    Example:
        >>> float(entropy_bits(np.array([0.5, 0.25, 0.25])))
        1.5
    """
    return entr(p).sum(axis=-1) / np.log(2)


def information_bits(
    counts: Float64[np.ndarray, "*more rows columns"],
) -> Float64[np.ndarray, "*more"] | float:
    """Plug-in mutual information I = H(row) + H(column) − H(row, column) of tables of counts.

    In [0, min(H(row), H(column))]. Biased upwards by about (rows − 1)(columns − 1) / (2 n ln 2)
    bits for independent variables.

    Example:
        >>> float(information_bits(np.array([[5.0, 0.0], [0.0, 5.0]])))
        1.0
    """
    p = counts / counts.sum(axis=(-2, -1), keepdims=True)
    joint = entropy_bits(p.reshape(*p.shape[:-2], -1))
    return np.maximum(entropy_bits(p.sum(-1)) + entropy_bits(p.sum(-2)) - joint, 0.0)


def expected_information_bits(table: Table) -> float:
    """Expected information of random labels with these margins (Vinh, Epps & Bailey, JMLR 2010)."""
    from sklearn.metrics.cluster import expected_mutual_information

    occupied = table[table.any(axis=1)][:, table.any(axis=0)].astype(np.int64)
    return float(expected_mutual_information(occupied, int(occupied.sum())) / np.log(2))


def miller_madow_bits(counts: Float64[np.ndarray, "*shape"]) -> float:
    """Entropy with the Miller-Madow bias correction: H + (m − 1) / (2 n ln 2), m non-empty cells.

    References:
        Miller, "Note on the bias of information estimates", 1955.
    """
    total = counts.sum()
    correction = (np.count_nonzero(counts) - 1) / (2 * total * np.log(2))
    return float(entropy_bits((counts / total).ravel()) + correction)


def divergence_bits(
    p: Float64[np.ndarray, "*more outcomes"], q: Float64[np.ndarray, "*more outcomes"]
) -> Float64[np.ndarray, "*more"] | float:
    """Jensen-Shannon divergence H((p + q)/2) − (H(p) + H(q))/2, in [0, 1] bit.

    SciPy's `jensenshannon` is its square root, and in nats by default.
    """
    mixed = entropy_bits((p + q) / 2) - (entropy_bits(p) + entropy_bits(q)) / 2
    return np.maximum(mixed, 0.0)


# Distributions over time --------------------------------------------------------------------------


def contiguous_blocks(labelled: Mask) -> Labels:
    """Number the blocks of consecutive labelled frames 0, 1, …; −1 for all other frames.

    Comparisons of a frame with a later one stay within a block.

    Example:
        >>> contiguous_blocks(np.array([True, True, False, True]))
        array([ 0,  0, -1,  1])
    """
    starts = labelled & ~np.concatenate([[False], labelled[:-1]])
    return np.where(labelled, np.cumsum(starts) - 1, -1)


def random_order(labelled: Mask, rng: np.random.Generator) -> Int[np.ndarray, " drawn"]:
    """At most 10,000 of the labelled frames in random order: the null without temporal order."""
    return rng.permutation(np.flatnonzero(labelled))[:RANDOM_FRAMES]


def window_mi_bits(p: Distributions, window: int, block: Labels) -> float | None:
    """Mutual information of time and outcome within a sliding window of frames.

    Mean over windows of H(mean of p over the window) − mean of H(p) over the window. 0 if nothing
    changes within any window; at most min(log2 window, log2 outcomes). Compare it with the value
    for the same frames in random order: nearly flat distributions have a low value in any order.

    Windows of `window` frames lie within one block, from `contiguous_blocks`. None if no block is
    as long.
    """
    frames = len(p) - window + 1
    if frames < 1:
        return None
    inside = (block[:frames] >= 0) & (block[:frames] == block[window - 1 :])
    if not inside.any():
        return None
    mixed = np.asarray(entropy_bits(_sliding_mean(p, window)))[inside]
    conditional = _sliding_mean(np.asarray(entropy_bits(p))[:, None], window)[inside, 0]
    return max(float(np.mean(mixed - conditional)), 0.0)


def between_groups_bits(p: Distributions, group: Labels) -> float | None:
    """Generalised Jensen-Shannon divergence between groups of frames.

    I(group; outcome) = H(mean_w q_w) − mean_w H(q_w), with q_w the mean distribution of group w
    and equal weights; in [0, min(log2 groups, log2 outcomes)], 0 if all groups are alike. Only
    groups of whole gait cycles are comparable: a perfect cycle of 40 frames has 0 bits between
    windows of 40 frames, and 2 bits between windows of 10. None without groups.

    References:
        Lin, "Divergence measures based on the Shannon entropy", 1991.
    """
    grouped = group >= 0
    if not grouped.any():
        return None
    q = _group_means(p[grouped], group[grouped])
    return max(float(entropy_bits(q.mean(axis=0)) - np.mean(entropy_bits(q))), 0.0)


def within_groups_bits(p: Distributions, group: Labels) -> float | None:
    """Mean divergence of the frames within a group: mean_w [H(q_w) − mean of H(p) over group w].

    With gait cycles as groups it measures how well labels resolve the phase, up to log2 outcomes.
    None without groups.
    """
    grouped = group >= 0
    if not grouped.any():
        return None
    frame_entropy = np.asarray(entropy_bits(p[grouped]))[:, None]
    mixed = entropy_bits(_group_means(p[grouped], group[grouped]))
    return max(float(np.mean(mixed - _group_means(frame_entropy, group[grouped])[:, 0])), 0.0)


def _sliding_mean(
    values: Float64[np.ndarray, "frames columns"], window: int
) -> Float64[np.ndarray, "windows columns"]:
    sums = np.cumsum(values, axis=0)
    mean = sums[window - 1 :].copy()
    mean[1:] -= sums[:-window]
    mean /= window
    # Differences of sums may round to −1e-17, whose entropy would be −∞.
    return np.maximum(mean, 0.0, out=mean)


def _group_means(
    values: Float64[np.ndarray, "frames columns"], group: Labels
) -> Float64[np.ndarray, "groups columns"]:
    _, index, size = np.unique(group, return_inverse=True, return_counts=True)
    sums = [np.bincount(index, weights=column) for column in values.T]
    return np.stack(sums, axis=1) / size[:, None]
