"""The rotation null as its definition says: through the frames of every replicate, one by one."""

from collections.abc import Sequence

import numpy as np

from glassviz.metrics.information import information_bits


def transcribed(
    label: Sequence[int],
    phase: Sequence[float],
    cycle: Sequence[int],
    random: np.random.Generator,
    replicates: int,
    bins: int = 12,
) -> tuple[float, float]:
    """Mean information under the rotation null, and p, as the definitions say."""
    inside = [t for t in range(len(label)) if cycle[t] >= 0]
    kinds = sorted({int(label[t]) for t in inside})
    of, column = {t: int(cycle[t]) for t in inside}, {k: i for i, k in enumerate(kinds)}
    share = np.bincount([column[label[t]] for t in inside]) / len(inside)
    place = {t: phase[t] * (bins / (2 * np.pi)) for t in inside}

    def tables(shift: Sequence[int]) -> tuple[np.ndarray, np.ndarray]:
        frames, changes = np.zeros((2, bins, len(kinds)))
        for t in inside:
            own = int(place[t]) + int(shift[of[t]])
            frames[own % bins, column[label[t]]] += 1
            if of.get(t - 1) is not None and label[t] != label[t - 1]:
                into = place[t] % 1.0
                for at, weight in ((own, 1 - into), (own + 1, into)):
                    changes[at % bins, column[label[t]]] += weight
                    changes[at % bins, column[label[t - 1]]] -= weight
        return frames, changes

    def agreement(changes: np.ndarray) -> float:
        return float((np.square(changes) / share).sum())

    cycles = max(of.values()) + 1
    observed = agreement(tables([0] * cycles)[1])
    total, reached = 0.0, 1
    for shift in random.integers(bins, size=(replicates, cycles)):
        frames, changes = tables(shift)
        total += float(information_bits(frames))
        reached += agreement(changes) >= observed - 1e-9 * (1 + observed)
    return total / replicates, reached / (replicates + 1)
