"""Fewer frames, evenly by episode and by phase of the gait."""

import numpy as np
from jaxtyping import Int

from glassviz.analysis.phase_counts import PHASE_BINS, phase_bin
from glassviz.maps.frames import Frames


def thin(frames: Frames, most: int, seed: int) -> Int[np.ndarray, " kept"]:
    """Numbers of at most `most` frames, rising; the same seed keeps the same ones.

    Every phase bin of every episode keeps equally many, as long as it has them, and so do the
    frames of an episode outside of its cycles, which count as a bin more. Within a bin frames are
    drawn at random, from all cycles alike.

    Args:
        frames: to choose from.
        most: how many to keep.
        seed: of the draw.
    """
    if len(frames) <= most:
        return np.arange(len(frames))
    found = phase_bin(frames.phase, frames.cycle, PHASE_BINS)
    stratum = frames.series * (PHASE_BINS + 1) + np.where(found < 0, PHASE_BINS, found)
    drawn = np.random.default_rng(seed).permutation(len(frames))
    drawn = drawn[np.argsort(stratum[drawn], kind="stable")]
    begins = np.flatnonzero(np.diff(stratum[drawn], prepend=-1))
    place = np.arange(len(drawn)) - np.repeat(begins, np.diff(begins, append=len(drawn)))
    # The first of every bin, then the second of every bin, and so on.
    return np.sort(drawn[np.argsort(place, kind="stable")[:most]])
