"""Labels of two checkpoints matched by the phase of a gait that both have."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from glassviz.analysis.correspondence import Matching, Profiles, match_by_phase
from glassviz.analysis.phase_counts import PHASE_BINS
from glassviz.comparison.members import Member


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
        if b and a.stability.gait.name == b.stability.gait.name and _rhythmic(a) and _rhythmic(b):
            matching = match_by_phase(profiles(a), profiles(b))
            found.append(PhaseMatch(a.controller, a.stability.gait.name, matching))
    return tuple(found)


def profiles(member: Member) -> Profiles:
    """p(phase bin | label), every gait cycle of every episode counting the same."""
    clusters = member.stability.clusters or 0
    counts = np.zeros((clusters, PHASE_BINS))
    for episode in member.stability.episodes:
        if episode.steady_labels:
            raster = episode.steady_labels.raster
            counts += (raster == np.arange(clusters)[:, None, None]).sum(axis=1)
    total = counts.sum(axis=1, keepdims=True)
    return np.divide(counts, total, out=np.zeros_like(counts), where=total > 0)


def _rhythmic(member: Member) -> bool:
    told = [each.gait_answers.rhythmic for each in member.stability.episodes]
    return told.count(True) > len(told) / 2
