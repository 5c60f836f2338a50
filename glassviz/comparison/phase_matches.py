"""Labels of two checkpoints matched by the phase of a gait that both have."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from glassviz.analysis.correspondence import Matching, Profiles, match_by_phase
from glassviz.analysis.phase_counts import PHASE_BINS
from glassviz.comparison.members import Member
from glassviz.gait.verdict import GaitName
from glassviz.stability import RunStability, of_one_clock


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
