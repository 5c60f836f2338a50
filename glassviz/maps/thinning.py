"""Fewer frames, evenly by episode, gait cycle and phase."""

import numpy as np
from jaxtyping import Int

from glassviz.analysis.phase_counts import PHASE_BINS, phase_bin
from glassviz.maps.frames import Frames

Numbers = Int[np.ndarray, " frames"]


def thin(frames: Frames, most: int, seed: int) -> Numbers:
    """Numbers of at most `most` frames, rising; the same seed keeps the same ones.

    Every episode keeps equally many frames, as long as it has them. So does every phase bin of an
    episode, its frames outside of cycles being a bin more, and so does every cycle in a bin. Bins
    begin with different cycles, and episodes with different bins, so that what is few in each is
    even over all. Who comes first, and which frame of a cycle's bin, is drawn at random.

    Args:
        frames: to choose from.
        most: how many to keep.
        seed: of the draw.
    """
    if len(frames) <= most:
        return np.arange(len(frames))
    rng = np.random.default_rng(seed)
    part = phase_bin(frames.phase, frames.cycle, PHASE_BINS)
    part = rng.permutation(PHASE_BINS + 1)[np.where(part < 0, PHASE_BINS, part)]
    episode = _drawn(frames.series, rng)
    cycle = _drawn(frames.cycle, rng)
    bins = len(np.unique(episode * (PHASE_BINS + 1) + part))
    a_bin, an_episode = (max(1, round(most / n)) for n in (bins, int(episode.max()) + 1))

    order = _place((rng.permutation(len(frames)),), (episode, part, cycle))
    order = _place((order, _turned(cycle, part * a_bin, episode)), (episode, part))
    order = _place((order, (part + episode * an_episode) % (PHASE_BINS + 1)), (episode,))
    return np.sort(np.lexsort((episode, order))[:most])


def _drawn(group: Numbers, rng: np.random.Generator) -> Numbers:
    """Numbers of groups, 0, 1, 2 …, anew and at random."""
    names, number = np.unique(group, return_inverse=True)
    return rng.permutation(len(names))[number]


def _turned(cycle: Numbers, by: Numbers, episode: Numbers) -> Numbers:
    """The place of each frame's cycle among those of its episode, moved on by so many of them."""
    cycles = int(cycle.max()) + 1
    pairs, number = np.unique(episode * cycles + cycle, return_inverse=True)
    owner = pairs // cycles
    begins = np.searchsorted(owner, owner)
    count = np.searchsorted(owner, owner, side="right") - begins
    place = np.arange(len(pairs)) - begins
    return (place[number] + by) % count[number]


def _place(order: tuple[Numbers, ...], within: tuple[Numbers, ...]) -> Numbers:
    """The place of every frame among those of its group, 0 for the first.

    Args:
        order: what frames are ordered by, the first before the others.
        within: what the frames of a group have in common.
    """
    keys = (*within, *order)
    drawn = np.lexsort(keys[::-1])
    joint = np.stack(within)[:, drawn]
    first = np.append(True, (np.diff(joint, axis=1) != 0).any(axis=0))
    begins = np.flatnonzero(first)
    place = np.empty(len(drawn), np.int64)
    place[drawn] = np.arange(len(drawn)) - np.repeat(begins, np.diff(begins, append=len(drawn)))
    return place
