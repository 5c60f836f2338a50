"""Pieces of episodes aligned on a common clock: by gait cycle, or by the onset of a label."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float64, Int

from glassviz.gait.cycles import Cycles

BEFORE_S, AFTER_S = 0.4, 0.8
"""Extent of a piece before and after a label's onset."""


@dataclass(frozen=True, eq=False)
class Piece:
    """A part of an episode, mapped to a clock that pieces have in common.

    Attributes:
        episode: from 0.
        frames: frames with a known clock, ascending.
        clock: clock at these frames: gait cycles since a touchdown, or seconds since an onset.
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
        """Last frame (exclusive)."""
        return int(self.frames[-1])

    def frames_at(self, clock: Float64[np.ndarray, " film"]) -> Float64[np.ndarray, " film"]:
        """Fractional frames at clock readings, by linear interpolation."""
        return np.interp(clock, self.clock, self.frames)


def cycle_pieces(cycles: Cycles, episode: int, count: int) -> list[Piece]:
    """Disjoint pieces of `count` consecutive gait cycles."""
    return [
        _piece(cycles, episode, row[j : j + count])
        for row in cycle_rows(cycles)
        for j in range(0, len(row) - count + 1, count)
    ]


def longest_piece(cycles: Cycles, episode: int, most: int) -> Piece | None:
    """The longest run of consecutive gait cycles, or the middle `most` of it; None without any."""
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
    """Disjoint pieces around the onsets of a label, in real time.

    Args:
        visited: whether a frame has the label.
        since: onsets up to this frame are ignored.
    """
    before, after = round(BEFORE_S / dt_s), round(AFTER_S / dt_s)
    onsets = np.flatnonzero(visited[1:] & ~visited[:-1]) + 1
    pieces: list[Piece] = []
    for onset in onsets[onsets > since].tolist():
        first, last = onset - before, onset + after
        if first >= (pieces[-1].last if pieces else 0) and last < len(visited):
            frames = np.array([first, last])
            pieces.append(Piece(episode, frames, (frames - onset) * dt_s))
    return pieces


def spread(pieces: Sequence[Piece], count: int, offset: float = 0.5) -> list[Piece]:
    """Select evenly spaced pieces.

    Args:
        count: maximum number of pieces.
        offset: phase of the selection, from 0 to below 1; varying it varies the selection.
    """
    count = min(count, len(pieces))
    return [pieces[int((j + offset) * len(pieces) / count)] for j in range(count)]


def cycle_rows(cycles: Cycles) -> list[list[int]]:
    """Indices of the gait cycles, grouped into runs of consecutive cycles."""
    rows: list[list[int]] = []
    for j in range(cycles.count):
        if j and cycles.ends[j - 1] == cycles.starts[j]:
            rows[-1].append(j)
        else:
            rows.append([j])
    return rows


def _piece(cycles: Cycles, episode: int, row: Sequence[int]) -> Piece:
    frames = np.append(cycles.starts[row[0] : row[-1] + 1], cycles.ends[row[-1]])
    return Piece(episode, frames.astype(np.int64), np.arange(len(frames), dtype=np.float64))
