"""Common clocks: places in episodes that belong to the same phase of the gait."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float64, Int

from glassviz.gait.cycles import Cycles

BEFORE_S, AFTER_S = 0.4, 0.8
"""Of a label's onset, where there are no gait cycles to align by."""


@dataclass(frozen=True, eq=False)
class Piece:
    """A part of an episode on a clock that other pieces share.

    Attributes:
        episode: which, from 0.
        frames: places that the clock is tied to, rising.
        clock: its readings there: gait cycles since a touchdown, or seconds since an onset.
    """

    episode: int
    frames: Int[np.ndarray, " ties"]
    clock: Float64[np.ndarray, " ties"]

    @property
    def first(self) -> int:
        """First frame."""
        return int(self.frames[0])

    @property
    def last(self) -> int:
        """The frame behind the last."""
        return int(self.frames[-1])

    def place(self, clock: Float64[np.ndarray, " film"]) -> Float64[np.ndarray, " film"]:
        """Frames, and parts of frames, at readings of the clock; linear between its ties."""
        return np.interp(clock, self.clock, self.frames)


def cycle_pieces(cycles: Cycles, episode: int, count: int) -> list[Piece]:
    """Pieces of `count` gait cycles that follow each other; no two share a cycle."""
    found = []
    for row in cycle_rows(cycles):
        for j in range(0, len(row) - count + 1, count):
            found.append(_piece(cycles, episode, row[j : j + count]))
    return found


def longest_piece(cycles: Cycles, episode: int, most: int) -> Piece | None:
    """The longest row of gait cycles that follow each other; of more than `most` the middle.

    None without cycles.
    """
    rows = cycle_rows(cycles)
    if not rows:
        return None
    row = max(rows, key=len)
    count = min(len(row), most)
    first = (len(row) - count) // 2
    return _piece(cycles, episode, row[first : first + count])


def onset_pieces(
    visited: Bool[np.ndarray, " frames"], episode: int, dt_s: float, since: int = 0
) -> list[Piece]:
    """Pieces around the onsets of a label, in real time; no two share a frame.

    Args:
        visited: whether each frame has the label.
        episode: that these are the frames of.
        dt_s: seconds between them.
        since: first frame that counts.
    """
    before, after = round(BEFORE_S / dt_s), round(AFTER_S / dt_s)
    onsets = np.flatnonzero(visited[1:] & ~visited[:-1]) + 1
    found: list[Piece] = []
    for onset in onsets[onsets > since].tolist():
        first, last = onset - before, onset + after
        if first >= (found[-1].last if found else 0) and last < len(visited):
            ties = np.array([first, last])
            found.append(Piece(episode, ties, (ties - onset) * dt_s))
    return found


def spread(pieces: Sequence[Piece], count: int, offset: float = 0.5) -> list[Piece]:
    """So many of them, evenly from among all.

    Args:
        pieces: to choose from.
        count: how many; all if there are fewer.
        offset: from 0 to below 1: others are chosen with others, if there are enough.
    """
    count = min(count, len(pieces))
    return [pieces[int((j + offset) * len(pieces) / count)] for j in range(count)]


def cycle_rows(cycles: Cycles) -> list[list[int]]:
    """Numbers of the gait cycles, those in one row that follow each other directly."""
    rows: list[list[int]] = []
    for j in range(cycles.count):
        if j and cycles.ends[j - 1] == cycles.starts[j]:
            rows[-1].append(j)
        else:
            rows.append([j])
    return rows


def _piece(cycles: Cycles, episode: int, row: Sequence[int]) -> Piece:
    ties = np.append(cycles.starts[row[0] : row[-1] + 1], cycles.ends[row[-1]])
    return Piece(episode, ties.astype(np.int64), np.arange(len(ties), dtype=np.float64))
