"""Where the frames of a checkpoint are on its latent map."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float32
from sklearn.decomposition import PCA

from glassviz.trace import Trace


@dataclass(frozen=True, eq=False)
class Places:
    """A map of the frames of some traces.

    Attributes:
        xy: of each frame of each trace.
        caption: how it was made and how to read it.
    """

    xy: tuple[Float32[np.ndarray, "_ _ 2"], ...]
    caption: str


def places_of(traces: Sequence[Trace]) -> Places:
    """Map the latents of traces of one checkpoint together, by their two principal axes."""
    latents = [trace.latent.reshape(-1, trace.latent.shape[2]) for trace in traces]
    pca = PCA(2, svd_solver="covariance_eigh").fit(np.concatenate(latents))
    first, second = pca.explained_variance_ratio_
    xy = [
        pca.transform(latent).astype(np.float32).reshape(trace.episodes, trace.frames, 2)
        for trace, latent in zip(traces, latents, strict=True)
    ]
    return Places(tuple(xy), f"PCA of the latents ({first:.0%} and {second:.0%} of the variance).")
