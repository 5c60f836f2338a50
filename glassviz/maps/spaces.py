"""Spaces that frames are mapped from: an agent's latents, observations, what the body does."""

from collections.abc import Sequence
from typing import Literal

import numpy as np
from jaxtyping import Float, Float32

from glassviz.analysis.embedding import Metric
from glassviz.analysis.spherical_kmeans import unit_vectors
from glassviz.errors import GlassvizError
from glassviz.maps.encoder import Encoder
from glassviz.trace import Trace

Space = Literal["latent", "obs", "gait"]

METRICS: dict[Space, Metric] = {"latent": "cosine", "obs": "euclidean", "gait": "euclidean"}
"""Latents are compared by cosine, as Glass does; the others in units of their own spread."""

TOLD: dict[Space, str] = {
    "latent": "latents",
    "obs": "observations, each standardised",
    "gait": "gait features (height, speed, pitch of every body, floor contacts), each standardised",
}


def features(
    traces: Sequence[Trace], space: Space, encoder: Encoder | None = None
) -> Float32[np.ndarray, "frames features"]:
    """What every frame of traces is in a space, one trace after the other.

    Latents have length 1, so that their Euclidean distance ranks as their cosine does.

    Args:
        traces: whose frames.
        space: what they are compared in.
        encoder: makes the latents; each trace's own agent if None.

    Raises:
        GlassvizError: a number is not finite, traces have unlike spaces, or all frames are alike.
    """
    rows = [_rows(trace, space, encoder) for trace in traces]
    if len({each.shape[1] for each in rows}) > 1:
        raise GlassvizError(
            f"map: expected {TOLD[space].split(',')[0]} with one number of values, found "
            f"{' and '.join(sorted({str(each.shape[1]) for each in rows}))}: map the runs one by "
            f"one"
        )
    for trace, own in zip(traces, rows, strict=True):
        broken = int((~np.isfinite(own).all(axis=1)).sum())
        if broken:
            raise GlassvizError(
                f"trace of {trace.header['checkpoint']['name']}: expected finite numbers to map, "
                f"found others in {broken} of {len(own)} frames: record it again with `glassviz "
                f"rollout`"
            )
    joined = np.concatenate(rows)
    found = unit_vectors(joined) if space == "latent" else _standardised(joined)
    spread = found.var(axis=0, dtype=np.float64).sum()
    if spread < 1e-9:
        raise GlassvizError(
            f"trace of {traces[0].header['checkpoint']['name']}: expected frames that differ, "
            f"found the same {TOLD[space].split(',')[0]} in all {len(found)}: there is nothing to "
            f"map"
        )
    return found


def _rows(
    trace: Trace, space: Space, encoder: Encoder | None
) -> Float[np.ndarray, "frames features"]:
    if space == "latent" and encoder:
        return encoder.latents(trace)
    if space == "latent":
        return trace.latent.reshape(-1, trace.latent.shape[2])
    if space == "obs":
        return trace.obs.reshape(-1, trace.obs.shape[2]).astype(np.float64)
    parts = (
        trace.height[..., None],
        trace.speed[..., None],
        np.sin(trace.angles),
        np.cos(trace.angles),
        trace.contacts,
    )
    both = np.concatenate([part.astype(np.float64) for part in parts], axis=2)
    return both.reshape(-1, both.shape[2])


def _standardised(
    rows: Float[np.ndarray, "frames features"],
) -> Float32[np.ndarray, "frames features"]:
    """Each feature with mean 0 and standard deviation 1; constant ones are 0."""
    centred = rows - rows.mean(axis=0)
    scale = centred.std(axis=0)
    return np.divide(centred, scale, out=np.zeros_like(centred), where=scale > 1e-9).astype(
        np.float32
    )
