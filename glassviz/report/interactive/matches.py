"""Which labels of two checkpoints correspond, for their colours side by side."""

from collections.abc import Sequence
from itertools import combinations

from glassviz.analysis.correspondence import Matching, match_by_phase
from glassviz.comparison import match_labels
from glassviz.comparison.phase_matches import gaits_correspond, profiles
from glassviz.plots.graph_drawing import percent
from glassviz.report.interactive.page import LabelMatch
from glassviz.stability import Assessed, RunStability


def matches_of(rows: Sequence[Assessed]) -> tuple[LabelMatch, ...]:
    """Match the labels of every two checkpoints.

    By what both agents call the same observations, where their files are at hand; else by the
    phase of a gait that both have under some controller. Two that allow neither are left out.

    Raises:
        GlassvizError: a trace or checkpoint is no longer what it was.
    """
    runs: dict[str, list[RunStability]] = {}
    for row in rows:
        if row.stability.labels_from != "none":
            runs.setdefault(row.stability.checkpoint_sha256, []).append(row.stability)
    if len(runs) < 2:
        return ()
    matches = _by_frames([row for row in rows if row.stability.checkpoint_sha256 in runs])
    for one, other in combinations(runs, 2):
        if (one, other) not in matches and (other, one) not in matches:
            found = _by_phase(runs[one], runs[other])
            if found is not None:
                score = found.similarity[found.partner >= 0].mean()
                told = f"by the phase of the gait that they live in (similarity {score:.2f} of 1)"
                matches[one, other] = _match(one, other, found, told)
    return tuple(matches.values())


def _by_frames(rows: Sequence[Assessed]) -> dict[tuple[str, str], LabelMatch]:
    found = match_labels(rows)
    if found is None:
        return {}
    sha256 = {name: checkpoint for checkpoint, name in found.names.items()}
    matches = {}
    for pair in found.correspondence.pairs:
        one, other = sha256[pair.one], sha256[pair.other]
        told = f"by what both agents call the same {found.correspondence.frames:,} observations"
        if pair.matched_accuracy is not None:
            told += f" (they agree on {percent(pair.matched_accuracy)})"
        matches[one, other] = _match(one, other, pair.matching, told)
    return matches


def _by_phase(one: Sequence[RunStability], other: Sequence[RunStability]) -> Matching | None:
    for a in one:
        for b in other:
            if a.controller == b.controller and gaits_correspond(a, b):
                found = match_by_phase(profiles(a), profiles(b))
                if (found.partner >= 0).any():
                    return found
    return None


def _match(one: str, other: str, found: Matching, told: str) -> LabelMatch:
    pairs = tuple(
        (str(k), str(partner)) for k, partner in enumerate(found.partner.tolist()) if partner >= 0
    )
    return LabelMatch(one, other, pairs, told)
