"""Labels for agents without Glass: prototypes by spherical k-means, clusters, their file."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Self

import numpy as np
from jaxtyping import Float, Float32, Int, Int32

from glassviz.errors import GlassvizError, UsageError
from glassviz.files import replacing
from glassviz.metrics.agreement import pairwise_ami
from glassviz.metrics.structural_entropy import (
    entropy_1d,
    entropy_2d,
    greedy_partition,
    symmetrised,
)
from glassviz.metrics.transitions import transition_counts

RESTARTS = 8


ITERATIONS = 100


SAMPLE = 8192
"""Starts are compared on so many vectors; consecutive frames are much alike."""


_SAME = 1e-6  # Latents with 1 − cos below this are the same, in single precision.


Unit = Float32[np.ndarray, "frames latent"]


Centres = Float32[np.ndarray, "prototypes latent"]


def unit_vectors(x: Float[np.ndarray, "*batch latent"]) -> Float32[np.ndarray, "*batch latent"]:
    """x / (|x| + 1e-8), as Glass normalises latents."""
    return (x / (np.linalg.norm(x, axis=-1, keepdims=True) + 1e-8)).astype(np.float32)


def spherical_kmeans(
    unit: Unit, prototypes: int, rng: np.random.Generator, restarts: int = RESTARTS
) -> tuple[Centres, Int[np.ndarray, " frames"], float]:
    """Directions that maximise the mean cosine between each vector and its nearest direction.

    Lloyd's algorithm, started as in k-means++ with 1 − cos for the squared distance, from the best
    of several starts on a sample of the vectors.

    Args:
        unit: vectors of length 1.
        prototypes: N.
        rng: draws the starts.
        restarts: number of starts.

    Returns:
        Directions of length 1, those of most vectors first; the nearest direction of each vector;
        and the mean cosine between them, in [−1, 1].

    Raises:
        UsageError: fewer than N of the vectors differ.

    References:
        Dhillon & Modha, "Concept decompositions for large sparse text data using clustering",
        2001. Arthur & Vassilvitskii, "k-means++", 2007.
    """
    from threadpoolctl import threadpool_limits

    with threadpool_limits(1):  # So that sums come out the same whatever the number of cores.
        return _fitted(unit, prototypes, rng, restarts)


def _fitted(
    unit: Unit, prototypes: int, rng: np.random.Generator, restarts: int
) -> tuple[Centres, Int[np.ndarray, " frames"], float]:
    few = unit[rng.choice(len(unit), SAMPLE, replace=False)] if len(unit) > SAMPLE else unit
    runs = [_lloyd(few, _start(few, prototypes, rng)) for _ in range(restarts)]
    start, _, _ = max(runs, key=lambda run: run[2])
    centres, nearest, cosine = _lloyd(unit, start)
    order = np.argsort(-np.bincount(nearest, minlength=prototypes), kind="stable")
    return centres[order], np.argsort(order)[nearest], cosine


def _start(unit: Unit, prototypes: int, rng: np.random.Generator) -> Centres:
    chosen: list[int] = []
    distance = np.ones(len(unit))
    while len(chosen) < prototypes:
        upto = np.cumsum(distance)
        if not len(unit) or upto[-1] == 0:
            raise UsageError(
                f"prototypes: expected at most as many as there are different latents "
                f"({len(chosen)}), found {prototypes}: ask for fewer"
            )
        chosen.append(int(np.searchsorted(upto, rng.random() * upto[-1], side="right")))
        apart = 1.0 - unit @ unit[chosen[-1]]
        distance = np.minimum(distance, np.where(apart < _SAME, 0.0, apart))
    return unit[chosen]


def _lloyd(unit: Unit, centres: Centres) -> tuple[Centres, Int[np.ndarray, " frames"], float]:
    nearest = np.full(len(unit), -1)
    for _ in range(ITERATIONS):
        cosine = unit @ centres.T
        before, nearest = nearest, cosine.argmax(axis=1)
        if np.array_equal(before, nearest):
            break
        member = (nearest == np.arange(len(centres))[:, None]).astype(np.float32)
        sums = member @ unit
        empty = np.flatnonzero(np.bincount(nearest, minlength=len(centres)) == 0)
        if len(empty):  # They take the vectors that are served worst.
            sums[empty] = unit[cosine.max(axis=1).argsort(kind="stable")[: len(empty)]]
        centres = unit_vectors(sums)
    cosine = unit @ centres.T
    return centres, cosine.argmax(axis=1), float(cosine.max(axis=1).mean(dtype=np.float64))


FORMAT = "glassviz-labels"


SCHEMA_VERSION = 1


_HEADER: dict[str, type] = {
    "checkpoint_sha256": str,
    "seed": int,
    "frames": int,
    "fitted_on": list,
    "mean_cosine": float,
    "h1_bits": float,
    "h2_bits": float,
}


@dataclass(frozen=True, eq=False)
class FittedLabels:
    """Prototypes and clusters that were fitted to the latents of one checkpoint.

    Attributes:
        prototypes: μ, of length 1; those with most frames first.
        partition: cluster of each prototype, 0 to K − 1, numbered by their first prototypes.
        mean_cosine: between the latents and their nearest prototypes, in [−1, 1]: what k-means
            maximised.
        h1_bits, h2_bits: structural entropies of the prototypes' transition graph without
            self-transitions, without and with the partition; the latter was minimised.
        seed: of the starts of k-means.
        frames: how many latents there were.
        checkpoint_sha256: of the checkpoint whose latents they are.
        fitted_on: what the latents came from, such as hashes of traces.
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
        """K, the number of clusters."""
        return int(self.partition.max()) + 1

    @property
    def gap(self) -> float | None:
        """θ = (H¹ − H²)/H¹, the share that the partition explains; None without transitions."""
        return (self.h1_bits - self.h2_bits) / self.h1_bits if self.h1_bits > 0 else None

    @cached_property
    def sha256(self) -> str:
        """Hash of the file that `save` writes; what is derived from the labels carries it."""
        return hashlib.sha256(self._encoded).hexdigest()

    def labels(
        self, latent: Float[np.ndarray, "*batch latent"]
    ) -> tuple[Int32[np.ndarray, "*batch"], Int32[np.ndarray, "*batch"]]:
        """The nearest prototype of each latent by cosine, and its cluster.

        Raises:
            GlassvizError: the latents are of another size.
        """
        if latent.shape[-1] != self.prototypes.shape[1]:
            raise GlassvizError(
                f"fitted labels: expected latents with {self.prototypes.shape[1]} values, found "
                f"{latent.shape[-1]}: fit labels to this checkpoint with `glassviz fit`"
            )
        cosine = unit_vectors(latent) @ self.prototypes.T
        prototype = np.asarray(cosine.argmax(axis=-1), dtype=np.int32)
        return prototype, np.asarray(self.partition[prototype])

    def save(self, path: Path) -> None:
        """Write the labels to `path` (.safetensors), whole or not at all.

        Raises:
            GlassvizError: it cannot be written.
        """
        data = self._encoded
        with replacing(path, len(data)) as partial:
            partial.write_bytes(data)

    @cached_property
    def _encoded(self) -> bytes:
        """The file's contents, the same for the same labels."""
        from safetensors.numpy import save

        header = {"schema_version": SCHEMA_VERSION, "clusters": self.clusters}
        header |= {name: getattr(self, name) for name in _HEADER}
        # One entry only: safetensors writes several in an order that differs from run to run.
        return save(
            {"prototypes": self.prototypes, "partition": self.partition},
            {FORMAT: json.dumps(header, sort_keys=True)},
        )

    @classmethod
    def load(cls, path: Path, checkpoint_sha256: str | None = None) -> Self:
        """Read fitted labels.

        Args:
            path: of the file.
            checkpoint_sha256: of the checkpoint that is to be labelled; None: any will do.

        Raises:
            GlassvizError: the file is missing, damaged, of another kind or schema version, or was
                fitted to another checkpoint.
        """
        text, arrays = _read(path)
        result = cls(**_checked(path, text, arrays))
        if checkpoint_sha256 not in (None, result.checkpoint_sha256):
            raise GlassvizError(
                f"{path}: expected labels fitted to checkpoint {checkpoint_sha256[:12]!r}, found "
                f"those of {result.checkpoint_sha256[:12]!r}: fit labels to this checkpoint with "
                f"`glassviz fit`"
            )
        return result


def _read(path: Path) -> tuple[str, dict[str, np.ndarray]]:
    """The header, not yet parsed, and the arrays that there should be."""
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="numpy") as file:
            text = (file.metadata() or {}).get(FORMAT)
            known = {"prototypes", "partition"} & set(file.keys())
            arrays = {name: file.get_tensor(name) for name in known}
    except FileNotFoundError:
        raise GlassvizError(
            f"{path}: expected fitted labels, found no such file: make them with `glassviz fit`"
        ) from None
    except (SafetensorError, OSError, TypeError, ValueError):
        raise GlassvizError(
            f"{path}: expected fitted labels (.safetensors), found a file that is damaged or of "
            f"another kind: make them again with `glassviz fit`"
        ) from None
    if text is None:
        raise GlassvizError(
            f"{path}: expected fitted labels, found a safetensors file of another kind: make "
            f"them with `glassviz fit`"
        )
    return text, arrays


def _checked(path: Path, text: str, arrays: dict[str, np.ndarray]) -> dict[str, Any]:
    """Arrays and entries of the header, if they belong to fitted labels."""
    try:
        header = json.loads(text)
    except (ValueError, RecursionError):
        header = None
    if not isinstance(header, dict):
        header = {"schema_version": SCHEMA_VERSION}
    found = header.get("schema_version")
    if found != SCHEMA_VERSION:
        raise GlassvizError(
            f"{path}: expected schema version {SCHEMA_VERSION} of fitted labels, found "
            f"{found!r:.12}: fit them again with `glassviz fit`"
        )
    damaged = any(not isinstance(header.get(name), kind) for name, kind in _HEADER.items())
    prototypes, partition = arrays.get("prototypes"), arrays.get("partition")
    if (
        damaged
        or prototypes is None
        or partition is None
        or prototypes.ndim != 2
        or prototypes.dtype != np.float32
        or partition.shape != prototypes.shape[:1]
        or partition.dtype != np.int32
        or not len(partition)
        or not np.isfinite(prototypes).all()
        or not np.array_equal(used := np.unique(partition), np.arange(len(used)))
    ):
        raise GlassvizError(
            f"{path}: expected prototypes, the cluster of each and where they are from, found "
            f"something else: make the labels again with `glassviz fit`"
        )
    values = {name: header[name] for name in _HEADER}
    return values | arrays | {"fitted_on": tuple(str(item) for item in header["fitted_on"])}


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
