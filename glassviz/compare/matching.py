"""Which label of one checkpoint is which of another: by shared observations, or by phase."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np
from jaxtyping import Float32, Int

from glassviz.compare.runs import Member
from glassviz.gait.gait import Gait
from glassviz.gait.verdict import GaitName
from glassviz.metrics.agreement import Matching, Profiles, match_by_phase
from glassviz.metrics.fitted_labels import FittedLabels
from glassviz.metrics.nulls import PHASE_BINS
from glassviz.metrics.stability import RunStability, of_one_clock
from glassviz.rollout.run import Run

if TYPE_CHECKING:
    from glassviz.agents.glass import LabelRule
    from glassviz.checkpoints import Checkpoint


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


def draw(run: Run, quota: int) -> Frames:
    """Draw frames of a run: whole gait cycles, and stretches of what lies between them.

    The same trace and quota always give the same frames.

    Args:
        run: where from.
        quota: how many frames, or all if there are fewer.
    """
    episodes, frames, size = run.obs.shape
    obs = run.obs.reshape(-1, size)
    cycle, piece = _pieces(run.gaits, frames)
    piece[~np.isfinite(obs).all(axis=1)] = -1
    rng = np.random.default_rng(int(run.recorded_sha256[:16], 16))
    length = np.bincount(piece[piece >= 0])
    order = rng.permutation(len(length))
    upto = np.cumsum(length[order])
    kept = np.isin(piece, order[upto <= quota])
    over = order[upto > quota][:1]
    if len(over):
        # The stretch that is one too many fills up what is left; a part is no cycle.
        part = np.flatnonzero(piece == over[0])[: quota - int(kept.sum())]
        kept[part], cycle[part] = True, -1
    episode = np.repeat(np.arange(episodes), frames)
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
    gaits: Sequence[Gait], frames: int
) -> tuple[Int[np.ndarray, " all_frames"], Int[np.ndarray, " all_frames"]]:
    """Gait cycle and stretch of every frame of all episodes; −1: none, or in an opening."""
    cycles, pieces = [], []
    first_cycle = first_piece = 0
    frame = np.arange(frames)
    for gait in gaits:
        span = max(round(PIECE_S / gait.dt_s), 1)
        cycle = gait.cycles.cycle
        changes = (np.diff(cycle, prepend=-2) != 0) | ((cycle < 0) & (frame % span == 0))
        piece = np.cumsum(changes) - 1
        after = frame >= gait.opening_end
        cycles.append(np.where(cycle >= 0, cycle + first_cycle, -1))
        pieces.append(np.where(after, piece + first_piece, -1))
        first_cycle += gait.cycles.count
        first_piece += int(piece.max(initial=-1)) + 1
    return np.concatenate(cycles), np.concatenate(pieces)


BATCH = 4096


def label_observations(
    checkpoint: "Checkpoint",
    obs: Float32[np.ndarray, "frames obs"],
    rule: "LabelRule",
    fitted: FittedLabels | None = None,
) -> Int[np.ndarray, " frames"]:
    """Label observations by an agent's own encoder, prototypes and partition, batch by batch.

    Args:
        checkpoint: of the agent; with Glass, if it is to go by what it has learned.
        obs: what it is shown.
        rule: how a latent gets its learned label.
        fitted: labels to go by instead.
    """
    import jax
    from jaxtyping import Array

    from glassviz.agents import glass
    from glassviz.agents.networks import encode

    config, params = checkpoint.config, checkpoint.params

    def answer(batch: Array) -> Array:
        z = encode(config, params, batch)
        if fitted or config.glass is None:
            return z
        return glass.label(config.glass, params["glass"], z, rule)

    found = np.asarray(jax.jit(lambda rows: jax.lax.map(answer, rows, batch_size=BATCH))(obs))
    return (fitted.labels(found)[1] if fitted else found).astype(np.int64)


@dataclass(frozen=True, eq=False)
class PhaseMatch:
    """Labels of two checkpoints that live in the same phase of the same gait.

    Attributes:
        controller: under which both have that gait.
        gait: which.
        matching: labels of the one to those of the other.
    """

    controller: str
    gait: str
    matching: Matching


UNNAMED_GAITS = ("split", "undetermined")
"""What a run is said to do whose episodes differ, or of which nothing can be said."""


CLOCKLESS_GAITS = (*UNNAMED_GAITS, "static")
"""Two runs of which this is said need not do the same, or do nothing in cycles."""


def match_phases(one: Sequence[Member], other: Sequence[Member]) -> tuple[PhaseMatch, ...]:
    """Match labels by phase, for each controller under which the gaits correspond.

    Gaits correspond where both have the same name and are rhythmic in most of their episodes.

    Args:
        one, other: two checkpoints, each under its controllers.
    """
    found = []
    theirs = {each.controller: each for each in other}
    for a in one:
        b = theirs.get(a.controller)
        if b and gaits_correspond(a.stability, b.stability):
            matching = match_by_phase(profiles(a.stability), profiles(b.stability))
            found.append(PhaseMatch(a.controller, a.stability.gait.name, matching))
    return tuple(found)


def gaits_correspond(one: RunStability, other: RunStability) -> bool:
    """Whether two runs have the same rhythmic gait, so that their phases mean the same."""
    gait = _rhythmic_gait(one)
    return gait is not None and gait == _rhythmic_gait(other)


def rhythmic_gait(name: GaitName | Literal["split"], rhythmic: Sequence[bool | None]) -> str | None:
    """The gait of a run by its name, if it has one and a rhythm in most episodes.

    Args:
        name: of the run's gait.
        rhythmic: whether each episode has a rhythm; None where that is not known.
    """
    has_rhythm = list(rhythmic).count(True) > len(rhythmic) / 2
    return name if has_rhythm and name not in CLOCKLESS_GAITS else None


def profiles(run: RunStability) -> Profiles:
    """p(phase bin | label), every gait cycle counting the same, of the episodes of one clock."""
    clusters = run.clusters or 0
    counts = np.zeros((clusters, PHASE_BINS))
    for episode in of_one_clock(run.episodes):
        if episode.steady_labels:
            raster = episode.steady_labels.raster
            counts += (raster == np.arange(clusters)[:, None, None]).sum(axis=1)
    total = counts.sum(axis=1, keepdims=True)
    return np.divide(counts, total, out=np.zeros_like(counts), where=total > 0)


def _rhythmic_gait(run: RunStability) -> str | None:
    return rhythmic_gait(run.gait.name, [each.gait_answers.rhythmic for each in run.episodes])
