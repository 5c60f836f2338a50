"""The single label of a gait, and how far its agent is from being stuck in it."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from glassviz.metrics.stability import EpisodeStability, RunStability
from glassviz.metrics.verdict import Verdict
from glassviz.rollout.batch import Failed
from glassviz.rollout.run import Run

SINGLE: Verdict = "one label"


@dataclass(frozen=True)
class SingleLabel:
    """The label of a gait that has a single one.

    Attributes:
        label: most common label of the episodes with one label.
        share: its share of their frames after the initial transient.
        elsewhere: its share of the frames of the same agent in other gaits; 1 for an agent that is
            stuck in it. None without such episodes.
        episodes_elsewhere: their number.
    """

    label: int
    share: float
    elsewhere: float | None
    episodes_elsewhere: int


def single_label(run: Run, rows: Sequence[Run | Failed]) -> SingleLabel | None:
    """Single label of a run, and its share in the other gaits of the same agent among `rows`.

    Other gaits are those that no episode with one label has, and that have a name. None if one
    label is not the most common verdict on the labels of the run.
    """
    if next(iter(run.stability.label_split)) != SINGLE:
        return None
    own = _labelled(run.stability)
    single = [each for each in own if each.label_verdict.verdict == SINGLE]
    gaits = {each.gait_verdict.name for each in single} | {"undetermined"}
    agent = [
        each.stability
        for each in rows
        if isinstance(each, Run) and _same_labels(each.stability, run.stability)
    ]
    other = [
        each
        for stability in {each.controller: each for each in (*agent, run.stability)}.values()
        for each in _labelled(stability)
        if each.gait_verdict.name not in gaits
    ]
    shares = _shares(single)
    label = int(np.argmax(shares))
    elsewhere = float(_shares(other)[label]) if other else None
    return SingleLabel(label, float(shares[label]), elsewhere, len(other))


def _same_labels(one: RunStability, other: RunStability) -> bool:
    return (one.checkpoint_sha256, one.labels_sha256) == (
        other.checkpoint_sha256,
        other.labels_sha256,
    )


def _labelled(run: RunStability) -> list[EpisodeStability]:
    return [each for each in run.episodes if each.labels and each.labels.frames]


def _shares(episodes: Sequence[EpisodeStability]) -> np.ndarray:
    """Share of each label in all frames of the episodes."""
    found = [each.labels for each in episodes if each.labels]
    return np.average([each.occupancy.share for each in found], 0, [each.frames for each in found])
