"""Labels for agents without Glass: prototypes among their latents, and clusters of prototypes.

Prototypes come from spherical k-means, and their clusters from the loop-free two-dimensional
structural entropy of the transitions between them: what Glass learns by gradient, found after the
fact. Fitted labels belong to one checkpoint, whose latents no other shares.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Float32, Int32

from glassviz.analysis.agreement import pairwise_ami
from glassviz.analysis.fitted_labels import FittedLabels
from glassviz.analysis.partition_search import greedy_partition
from glassviz.analysis.spherical_kmeans import spherical_kmeans, unit_vectors
from glassviz.analysis.structural_entropy import entropy_1d, entropy_2d, symmetrised
from glassviz.analysis.transitions import transition_counts
from glassviz.errors import GlassvizError, UsageError

PROTOTYPES = 16
REFITS = 20

Latents = Sequence[Float[np.ndarray, "_ latent"]]
"""One array an episode."""


def fit_labels(
    latents: Latents,
    checkpoint_sha256: str,
    prototypes: int = PROTOTYPES,
    clusters: int | None = None,
    seed: int = 0,
    fitted_on: Sequence[str] = (),
) -> FittedLabels:
    """Fit prototypes and clusters to the latents of one checkpoint.

    The graph has the symmetrised counts of transitions between consecutive frames of an episode,
    that is their empirical flow, without self-transitions. The same latents and seed give the
    same labels.

    Args:
        latents: of each episode, frame by frame.
        checkpoint_sha256: of the checkpoint.
        prototypes: N.
        clusters: K; None: as many as minimise the structural entropy.
        seed: of the starts of k-means.
        fitted_on: to be noted down.

    Raises:
        UsageError: N or K is out of range, or fewer than N latents differ.
        GlassvizError: there are no latents, or they are not finite.
    """
    check_numbers(prototypes, clusters)
    unit = _pooled(latents)
    centres, nearest, cosine = spherical_kmeans(unit, prototypes, np.random.default_rng(seed))
    ends = np.cumsum([len(episode) for episode in latents])[:-1]
    counts = np.zeros((prototypes, prototypes))
    for episode in np.split(nearest, ends):
        counts += transition_counts(episode[None], prototypes)
    graph = symmetrised(counts)
    partition = greedy_partition(graph, clusters)
    return FittedLabels(
        prototypes=centres,
        partition=partition.astype(np.int32),
        mean_cosine=cosine,
        h1_bits=entropy_1d(graph),
        h2_bits=entropy_2d(graph, partition),
        seed=seed,
        frames=len(unit),
        checkpoint_sha256=checkpoint_sha256,
        fitted_on=tuple(fitted_on),
    )


def check_numbers(prototypes: int, clusters: int | None) -> None:
    """Raise UsageError for numbers of prototypes and clusters that no latents can have."""
    if not 1 <= (1 if clusters is None else clusters) <= prototypes:
        wanted = "1" if clusters is None else clusters
        raise UsageError(
            f"labels to fit: expected 1 <= clusters <= prototypes, found {wanted} clusters and "
            f"{prototypes} prototypes: ask for other numbers"
        )


@dataclass(frozen=True)
class RefitStability:
    """How much fits with other seeds say the same of the same frames.

    Attributes:
        clusters: K of each refit.
        label_ami_mean, label_ami_min: adjusted mutual information of their labels, over pairs of
            refits; at most 1, 0 by chance. None when it is undefined for all of them.
        prototype_ami_mean, prototype_ami_min: the same of their prototypes.
    """

    clusters: tuple[int, ...]
    label_ami_mean: float | None
    label_ami_min: float | None
    prototype_ami_mean: float | None
    prototype_ami_min: float | None


def refit_stability(
    latents: Latents,
    prototypes: int = PROTOTYPES,
    clusters: int | None = None,
    refits: int = REFITS,
) -> RefitStability:
    """Fit with seeds 0, 1, …, and compare the labels of every pair of fits.

    Args:
        latents, prototypes, clusters: as in `fit_labels`.
        refits: how many.

    Raises:
        UsageError, GlassvizError: as `fit_labels`.
    """
    fits = [fit_labels(latents, "", prototypes, clusters, seed) for seed in range(refits)]
    frames = np.concatenate(latents)
    nearest, labels = zip(*(fit.labels(frames) for fit in fits), strict=True)
    label_mean, label_min = _mean_and_min(np.stack(labels))
    prototype_mean, prototype_min = _mean_and_min(np.stack(nearest))
    return RefitStability(
        clusters=tuple(fit.clusters for fit in fits),
        label_ami_mean=label_mean,
        label_ami_min=label_min,
        prototype_ami_mean=prototype_mean,
        prototype_ami_min=prototype_min,
    )


def _mean_and_min(labels: Int32[np.ndarray, "refits frames"]) -> tuple[float | None, float | None]:
    ami = pairwise_ami(labels)
    defined = ami[~np.isnan(ami)]
    return (float(defined.mean()), float(defined.min())) if len(defined) else (None, None)


def _pooled(latents: Latents) -> Float32[np.ndarray, "frames latent"]:
    if not sum(map(len, latents)):
        raise GlassvizError(
            "latents: expected frames to fit labels to, found none: record the traces again with "
            "`glassviz rollout`"
        )
    frames = np.concatenate(latents)
    broken = int((~np.isfinite(frames).all(axis=1)).sum())
    if broken:
        raise GlassvizError(
            f"latents: expected finite numbers, found others in {broken} of {len(frames)} frames: "
            f"leave those frames out, or record the traces again with `glassviz rollout`"
        )
    return unit_vectors(frames)
