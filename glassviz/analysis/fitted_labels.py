"""Fitted labels, and the file that keeps them: one `.safetensors`, bound to one checkpoint."""

import hashlib
import json
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Self

import numpy as np
from jaxtyping import Float, Float32, Int32

from glassviz.analysis.spherical_kmeans import unit_vectors
from glassviz.errors import GlassvizError
from glassviz.files import replacing

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
