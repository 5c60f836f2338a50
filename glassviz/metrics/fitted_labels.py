"""Labels for agents without Glass: prototypes by spherical k-means, clusters by low entropy."""

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Self

import numpy as np
from jaxtyping import Float, Float32, Int32

from glassviz.errors import GlassvizError, UsageError
from glassviz.files import MissingFileError, StrPath, read_bytes, replacing
from glassviz.metrics.agreement import pairwise_ami
from glassviz.metrics.information import Labels
from glassviz.metrics.structural_entropy import (
    entropy_1d,
    entropy_2d,
    greedy_partition,
    symmetrised,
)
from glassviz.metrics.transitions import transition_counts
from glassviz.text import parse_json
from glassviz.trace import MAX_LATENT, MOST_CLUSTERS, is_sha256

# Spherical k-means --------------------------------------------------------------------------------

RESTARTS = 8
"""Number of k-means++ initialisations."""

ITERATIONS = 100

SAMPLE = 8192
"""Initialisations are compared on this many vectors, since consecutive frames are similar."""

_SAME = 1e-6  # Latents with 1 − cos below this are identical in single precision.
Unit = Float32[np.ndarray, "frames latent"]
Centres = Float32[np.ndarray, "prototypes latent"]
Clustering = tuple[Centres, Labels, float]
"""Centres, the nearest centre of each vector, and the mean cosine between them, in [−1, 1]."""


def unit_vectors(x: Float[np.ndarray, "*batch latent"]) -> Float32[np.ndarray, "*batch latent"]:
    """x / (|x| + 1e-8), the normalisation of latents in Glass."""
    return (x / (np.linalg.norm(x, axis=-1, keepdims=True) + 1e-8)).astype(np.float32)


def spherical_kmeans(
    unit: Unit, prototypes: int, rng: np.random.Generator, restarts: int = RESTARTS
) -> Clustering:
    """Spherical k-means: unit centres that maximise the mean cosine to the nearest centre.

    Lloyd's algorithm with k-means++ initialisation (1 − cos as squared distance), from the best of
    several initialisations on a sample of the vectors. Centres are ordered by decreasing number of
    vectors.

    Raises:
        UsageError: there are fewer than N distinct vectors.

    References:
        Dhillon & Modha, "Concept decompositions for large sparse text data using clustering",
        2001. Arthur & Vassilvitskii, "k-means++", 2007.

    Example:
        >>> unit = np.eye(3, dtype=np.float32)[[0, 0, 0, 1, 1, 2]]
        >>> centres, nearest, cosine = spherical_kmeans(unit, 3, np.random.default_rng(0))
        >>> nearest, cosine
        (array([0, 0, 0, 1, 1, 2]), 1.0)
    """
    from threadpoolctl import threadpool_limits

    sample = unit[rng.choice(len(unit), SAMPLE, replace=False)] if len(unit) > SAMPLE else unit
    with threadpool_limits(1):  # Makes sums independent of the number of cores.
        fits = [lloyd(sample, _initial_centres(sample, prototypes, rng)) for _ in range(restarts)]
        start, _, _ = max(fits, key=lambda fit: fit[2])
        centres, nearest, cosine = lloyd(unit, start)
    order = np.argsort(-np.bincount(nearest, minlength=prototypes), kind="stable")
    return centres[order], np.argsort(order)[nearest], cosine


def _initial_centres(unit: Unit, prototypes: int, rng: np.random.Generator) -> Centres:
    chosen: list[int] = []
    distance = np.ones(len(unit))
    while len(chosen) < prototypes:
        cumulative = np.cumsum(distance)
        if not len(unit) or cumulative[-1] == 0:
            raise UsageError(
                f"prototypes: expected at most the number of different latents ({len(chosen)}), "
                f"found {prototypes}: ask for fewer"
            )
        threshold = rng.random() * cumulative[-1]
        chosen.append(int(np.searchsorted(cumulative, threshold, side="right")))
        from_last = 1.0 - unit @ unit[chosen[-1]]
        distance = np.minimum(distance, np.where(from_last < _SAME, 0.0, from_last))
    return unit[chosen]


def lloyd(unit: Unit, centres: Centres) -> Clustering:
    """Lloyd's algorithm from these centres."""
    nearest = np.full(len(unit), -1)
    for _ in range(ITERATIONS):
        cosine = unit @ centres.T
        previous, nearest = nearest, cosine.argmax(axis=1)
        if np.array_equal(previous, nearest):
            break
        member = (nearest == np.arange(len(centres))[:, None]).astype(np.float32)
        sums = member @ unit
        empty = np.flatnonzero(np.bincount(nearest, minlength=len(centres)) == 0)
        if len(empty):  # Empty clusters take the vectors farthest from their centres.
            sums[empty] = unit[cosine.max(axis=1).argsort(kind="stable")[: len(empty)]]
        centres = unit_vectors(sums)
    cosine = unit @ centres.T
    return centres, cosine.argmax(axis=1), float(cosine.max(axis=1).mean(dtype=np.float64))


# Fitted labels and their file ---------------------------------------------------------------------

FORMAT = "glassviz-labels"
SCHEMA_VERSION = 1

MAX_FILE_BYTES = 1 << 30
"""More than the largest numbers of prototypes and latents take."""


def _is_natural(value: Any) -> bool:
    return type(value) is int and 0 <= value < 1 << 64


def _is_bits(value: Any) -> bool:
    """Whether it can be an entropy; NaN cannot, nor a number that no float holds."""
    return type(value) in (int, float) and -_SAME <= value <= 64


_HEADER: dict[str, Callable[[Any], bool]] = {
    "checkpoint_sha256": is_sha256,
    "seed": _is_natural,
    "frames": _is_natural,
    "fitted_on": lambda value: isinstance(value, list) and all(isinstance(x, str) for x in value),
    "mean_cosine": lambda value: type(value) in (int, float) and abs(value) <= 1 + _SAME,
    "h1_bits": _is_bits,
    "h2_bits": _is_bits,
}
"""Whether a value can be that of an entry."""


@dataclass(frozen=True, eq=False)
class FittedLabels:
    """Prototypes and clusters fitted to the latents of one checkpoint.

    Attributes:
        prototypes: unit prototypes μ, ordered by decreasing number of frames.
        partition: cluster of each prototype, 0 to K − 1, numbered by first prototype.
        mean_cosine: mean cosine of latents and nearest prototypes, which k-means maximised.
        h1_bits, h2_bits: structural entropy of the transition graph of prototypes without
            self-transitions: H¹ without the partition, and H² with it, which was minimised.
        checkpoint_sha256: hash of the checkpoint that made the latents.
        fitted_on: provenance of the latents, such as hashes of traces.
    """

    prototypes: Float32[np.ndarray, "prototypes latent"]
    partition: Int32[np.ndarray, " prototypes"]
    mean_cosine: float
    h1_bits: float
    h2_bits: float
    seed: int
    frames: int
    checkpoint_sha256: str
    fitted_on: tuple[str, ...] = ()

    @property
    def clusters(self) -> int:
        """Number of clusters K."""
        return int(self.partition.max()) + 1

    @property
    def gap(self) -> float | None:
        """θ = (H¹ − H²)/H¹, share of H¹ that the partition explains; None without transitions."""
        return (self.h1_bits - self.h2_bits) / self.h1_bits if self.h1_bits > 0 else None

    @cached_property
    def sha256(self) -> str:
        """Hash of the file that `save` writes; results derived from the labels record it."""
        return hashlib.sha256(self._encoded).hexdigest()

    def labels(
        self, latent: Float[np.ndarray, "*batch latent"]
    ) -> tuple[Int32[np.ndarray, "*batch"], Int32[np.ndarray, "*batch"]]:
        """Nearest prototype by cosine, and its cluster; GlassvizError if dimensions differ."""
        if latent.shape[-1] != self.prototypes.shape[1]:
            raise GlassvizError(
                f"fitted labels: expected latents with {self.prototypes.shape[1]} values, found "
                f"{latent.shape[-1]}: fit labels to this checkpoint with `glassviz fit`"
            )
        cosine = unit_vectors(latent) @ self.prototypes.T
        prototype = np.asarray(cosine.argmax(axis=-1), dtype=np.int32)
        return prototype, np.asarray(self.partition[prototype])

    def save(self, path: StrPath) -> None:
        """Write the labels to `path` (.safetensors) atomically; GlassvizError if that fails."""
        data = self._encoded
        with replacing(path, len(data)) as partial:
            partial.write_bytes(data)

    @cached_property
    def _encoded(self) -> bytes:
        """Contents of the file; deterministic."""
        from safetensors.numpy import save

        header = {"schema_version": SCHEMA_VERSION, "clusters": self.clusters}
        header |= {name: getattr(self, name) for name in _HEADER}
        # safetensors writes several metadata entries in random order, so there is only one.
        return save(
            {"prototypes": self.prototypes, "partition": self.partition},
            {FORMAT: json.dumps(header, sort_keys=True)},
        )

    @classmethod
    def load(cls, path: StrPath, checkpoint_sha256: str | None = None) -> Self:
        """Read fitted labels; `checkpoint_sha256` is the checkpoint to be labelled, None for any.

        Raises:
            GlassvizError: the file is missing, damaged, of another kind or schema version, or
                fitted to another checkpoint.
        """
        path = Path(path)
        result = cls(**_checked(path, *_read(path)))
        if checkpoint_sha256 not in (None, result.checkpoint_sha256):
            raise GlassvizError(
                f"{path}: expected labels fitted to checkpoint {checkpoint_sha256[:12]!r}, found "
                f"those of {result.checkpoint_sha256[:12]!r}: fit labels to this checkpoint with "
                f"`glassviz fit`"
            )
        return result


def _read(path: Path) -> tuple[str, dict[str, np.ndarray]]:
    """The unparsed header and the expected arrays of a file."""
    from safetensors import SafetensorError
    from safetensors.numpy import load

    try:
        data = read_bytes(path, "fitted labels", MAX_FILE_BYTES)
    except MissingFileError as error:
        raise error.with_remedy("make them with `glassviz fit`") from None
    try:
        arrays = load(data)
        length = int.from_bytes(data[:8], "little")
        text = (json.loads(data[8 : 8 + length]).get("__metadata__") or {}).get(FORMAT)
    except (SafetensorError, TypeError, ValueError, KeyError, AttributeError, RecursionError):
        raise GlassvizError(
            f"{path}: expected fitted labels (.safetensors), found a file that is damaged or of "
            f"another kind: make them again with `glassviz fit`"
        ) from None
    if not isinstance(text, str):
        raise GlassvizError(
            f"{path}: expected fitted labels, found a safetensors file of another kind: make "
            f"them with `glassviz fit`"
        )
    return text, arrays


def _checked(path: Path, text: str, arrays: dict[str, np.ndarray]) -> dict[str, Any]:
    """Fields of `FittedLabels` from the header and arrays of a file."""
    try:
        header = parse_json(text)
    except ValueError:
        header = None
    header = header if isinstance(header, dict) else {"schema_version": SCHEMA_VERSION}
    if (schema_version := header.get("schema_version")) != SCHEMA_VERSION:
        raise GlassvizError(
            f"{path}: expected schema version {SCHEMA_VERSION} of fitted labels, found "
            f"{schema_version!r:.12}: fit the labels again with `glassviz fit`"
        )
    damaged = not all(is_valid(header.get(name)) for name, is_valid in _HEADER.items())
    prototypes, partition = arrays.get("prototypes"), arrays.get("partition")
    if (
        damaged
        or prototypes is None
        or partition is None
        or prototypes.ndim != 2
        or prototypes.dtype != np.float32
        or partition.shape != prototypes.shape[:1]
        or partition.dtype != np.int32
        or not 1 <= len(partition) <= MOST_CLUSTERS
        or not 1 <= prototypes.shape[1] <= MAX_LATENT
        # Unit vectors; NaN is not below either.
        or not (np.abs(prototypes) <= 1 + _SAME).all()
        or not np.array_equal(used := np.unique(partition), np.arange(len(used)))
    ):
        raise GlassvizError(
            f"{path}: expected prototypes, their clusters and their provenance, found something "
            f"else: fit the labels again with `glassviz fit`"
        )
    values = {name: header[name] for name in _HEADER}
    return values | {
        "prototypes": prototypes,
        "partition": partition,
        "fitted_on": tuple(header["fitted_on"]),
    }


# Fitting ------------------------------------------------------------------------------------------

PROTOTYPES = 16
"""Default number of prototypes N."""

REFITS = 20

Latents = Sequence[Float[np.ndarray, "_ latent"]]
"""One array per episode."""


def fit_labels(
    latents: Latents,
    checkpoint_sha256: str,
    prototypes: int = PROTOTYPES,
    clusters: int | None = None,
    seed: int = 0,
    fitted_on: Sequence[str] = (),
) -> FittedLabels:
    """Fit prototypes and clusters to the latents of one checkpoint.

    Clusters minimise the structural entropy of the graph of symmetrised transition counts between
    consecutive frames of an episode (the empirical flow), without self-transitions. The same
    latents and seed give the same labels.

    `latents` are one array per episode. `clusters` K is by default that of lowest structural
    entropy. `seed` is that of the k-means initialisations, `fitted_on` provenance to record.

    Raises:
        UsageError: N or K is out of range, or there are fewer than N distinct latents.
        GlassvizError: there are no latents, or they are not finite.

    Example:
        >>> angle = np.linspace(0, 20 * np.pi, 400)
        >>> latents = np.stack([np.cos(angle), np.sin(angle)], axis=1)
        >>> labels = fit_labels([latents], checkpoint_sha256="0" * 64, prototypes=8)
        >>> len(labels.prototypes), labels.frames, labels.mean_cosine > 0.9
        (8, 400, True)
    """
    check_numbers(prototypes, clusters)
    unit = _pooled(latents)
    centres, nearest, cosine = spherical_kmeans(unit, prototypes, np.random.default_rng(seed))
    episodes = np.split(nearest, np.cumsum([len(episode) for episode in latents])[:-1])
    counts = [transition_counts(episode[None], prototypes) for episode in episodes]
    graph = symmetrised(np.sum(counts, axis=0))
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
    """Raise UsageError unless 1 <= clusters <= prototypes."""
    at_least = 1 if clusters is None else clusters
    if not 1 <= at_least <= prototypes:
        raise UsageError(
            f"labels to fit: expected 1 <= clusters <= prototypes, found {at_least} clusters and "
            f"{prototypes} prototypes: ask for other numbers"
        )


@dataclass(frozen=True)
class RefitStability:
    """Agreement of fits with different seeds on the same frames.

    Attributes:
        clusters: K of each refit.
        label_ami_mean, label_ami_min, prototype_ami_mean, prototype_ami_min: mean and minimum AMI
            of labels and of prototypes over pairs of refits. None if undefined for all pairs.
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
    """Fit with seeds 0 … `refits` − 1 and compare labels of all pairs; raises as `fit_labels`."""
    fits = [fit_labels(latents, "", prototypes, clusters, seed) for seed in range(refits)]
    frames = np.concatenate(latents)
    nearest, labels = zip(*(fit.labels(frames) for fit in fits), strict=True)
    clusters_of_fits = tuple(fit.clusters for fit in fits)
    of_labels, of_prototypes = _mean_and_min(np.stack(labels)), _mean_and_min(np.stack(nearest))
    return RefitStability(clusters_of_fits, *of_labels, *of_prototypes)


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
    not_finite = int((~np.isfinite(frames).all(axis=1)).sum())
    if not_finite:
        raise GlassvizError(
            f"latents: expected finite numbers, found others in {not_finite} of {len(frames)} "
            f"frames: leave those frames out, or record the traces again with `glassviz rollout`"
        )
    return unit_vectors(frames)
