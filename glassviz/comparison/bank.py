"""A bank of observations that many agents are asked about: what each calls the same frames."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float32, Int

from glassviz.stability import RunStability
from glassviz.trace import Trace

BANK_FRAMES = 12_000
"""Of all sources together: each gives its share, or all that it has."""

PIECE_S = 1.0
"""Frames outside of gait cycles are drawn in stretches of this length."""


@dataclass(frozen=True, eq=False)
class Frames:
    """Observations from one trace, without the openings of its episodes.

    Attributes:
        obs: what the agents are shown.
        cycle: gait cycle of each frame, −1 outside; no two episodes share a number.
        episode: of each frame.
    """

    obs: Float32[np.ndarray, "frames obs"]
    cycle: Int[np.ndarray, " frames"]
    episode: Int[np.ndarray, " frames"]


@dataclass(frozen=True, eq=False)
class Bank:
    """Observations of all sources, one source after the other.

    Attributes:
        obs: what the agents are shown.
        cycle: gait cycle of each frame, −1 outside; each cycle's frames are in a row.
        episode: number of each frame's episode, among those of all sources.
        source: which source each frame is from.
    """

    obs: Float32[np.ndarray, "frames obs"]
    cycle: Int[np.ndarray, " frames"]
    episode: Int[np.ndarray, " frames"]
    source: Int[np.ndarray, " frames"]


def draw(trace: Trace, stability: RunStability, quota: int) -> Frames:
    """Draw frames of a trace: whole gait cycles, and stretches of what lies between them.

    The same trace and quota always give the same frames.

    Args:
        trace: where from.
        stability: of that trace.
        quota: how many frames, or all if there are fewer.
    """
    obs = trace.obs.reshape(-1, trace.obs.shape[2])
    cycle, piece = _pieces(trace, stability)
    piece[~np.isfinite(obs).all(axis=1)] = -1
    rng = np.random.default_rng(int(trace.sha256[:16], 16))
    length = np.bincount(piece[piece >= 0])
    order = rng.permutation(len(length))
    upto = np.cumsum(length[order])
    kept = np.isin(piece, order[upto <= quota])
    over = order[upto > quota][:1]
    if len(over):
        # The stretch that is one too many fills up what is left; a part is no cycle.
        part = np.flatnonzero(piece == over[0])[: quota - int(kept.sum())]
        kept[part], cycle[part] = True, -1
    episode = np.repeat(np.arange(trace.episodes), trace.frames)
    return Frames(obs[kept], cycle[kept], episode[kept])


def gather(frames: Sequence[Frames]) -> Bank:
    """Put the frames of all sources into one bank."""
    cycles, episodes = [], []
    first_cycle = first_episode = 0
    for each in frames:
        cycles.append(np.where(each.cycle >= 0, each.cycle + first_cycle, -1))
        episodes.append(each.episode + first_episode)
        first_cycle += int(each.cycle.max(initial=-1)) + 1
        first_episode += int(each.episode.max(initial=-1)) + 1
    return Bank(
        obs=np.concatenate([each.obs for each in frames]),
        cycle=np.concatenate(cycles),
        episode=np.concatenate(episodes),
        source=np.repeat(np.arange(len(frames)), [len(each.cycle) for each in frames]),
    )


def _pieces(
    trace: Trace, stability: RunStability
) -> tuple[Int[np.ndarray, " all_frames"], Int[np.ndarray, " all_frames"]]:
    """Gait cycle and stretch of every frame of all episodes; −1: none, or in an opening."""
    cycles, pieces = [], []
    first_cycle = first_piece = 0
    span = max(round(PIECE_S / trace.frame_dt_s), 1)
    frame = np.arange(trace.frames)
    for episode in stability.episodes:
        found = episode.gait.cycles
        cycle = found.cycle
        changes = (np.diff(cycle, prepend=-2) != 0) | ((cycle < 0) & (frame % span == 0))
        piece = np.cumsum(changes) - 1
        after = frame >= episode.gait.opening_end
        cycles.append(np.where(cycle >= 0, cycle + first_cycle, -1))
        pieces.append(np.where(after, piece + first_piece, -1))
        first_cycle += found.count
        first_piece += int(piece.max(initial=-1)) + 1
    return np.concatenate(cycles), np.concatenate(pieces)
