"""Labels of two checkpoints matched by the phase of a gait that both have."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from glassviz.analysis.correspondence import Matching, Profiles, match_by_phase
from glassviz.analysis.phase_counts import PHASE_BINS
from glassviz.comparison.members import Member
from glassviz.stability import RunStability


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
    return one.gait.name == other.gait.name and _rhythmic(one) and _rhythmic(other)


def profiles(run: RunStability) -> Profiles:
    """p(phase bin | label), every gait cycle of every episode counting the same."""
    clusters = run.clusters or 0
    counts = np.zeros((clusters, PHASE_BINS))
    for episode in run.episodes:
        if episode.steady_labels:
            raster = episode.steady_labels.raster
            counts += (raster == np.arange(clusters)[:, None, None]).sum(axis=1)
    total = counts.sum(axis=1, keepdims=True)
    return np.divide(counts, total, out=np.zeros_like(counts), where=total > 0)


def _rhythmic(run: RunStability) -> bool:
    told = [each.gait_answers.rhythmic for each in run.episodes]
    return told.count(True) > len(told) / 2
