"""Spherical k-means: prototypes that latents point at, by cosine as Glass assigns them."""

import numpy as np
from jaxtyping import Float, Float32, Int

from glassviz.errors import UsageError

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
