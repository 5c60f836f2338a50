"""Criteria of verdicts, pooled over the episodes of a run."""

from collections.abc import Sequence
from itertools import takewhile
from statistics import median

from glassviz.gait.thresholds import DEFAULT_THRESHOLDS as GAIT
from glassviz.gait.verdict import Criterion, GaitName
from glassviz.report.page import Evidence, EvidenceGroup, Missed
from glassviz.stability import EpisodeStability, RunStability
from glassviz.stability.wording import NONE

LOCKED = "Labels locked, if dominant_share holds, or all others do"
OSCILLATE = "Labels oscillate, if one of the first three holds; fleiss_kappa only with the last"


def evidence_of(run: RunStability) -> tuple[EvidenceGroup, ...]:
    """Criteria of the gaits, those of a hop and of what was found first, then of the labels."""
    episodes = run.episodes
    gaits = list(episodes[0].gait_verdict.candidates)
    found = {"hop", *run.gait.split}
    groups = [_gait_group(run, gait, gait not in found) for gait in gaits]
    groups.sort(key=lambda group: group.folded)
    criteria = [episode.label_verdict.criteria for episode in episodes]
    if all(criteria):
        locked, oscillating = zip(*map(_parted, criteria), strict=True)
        groups.insert(
            sum(not group.folded for group in groups),
            EvidenceGroup(LOCKED, _pooled(locked)),
        )
        groups.insert(
            sum(not group.folded for group in groups),
            EvidenceGroup(OSCILLATE, _pooled(oscillating)),
        )
    return tuple(groups)


def first_missed(episode: EpisodeStability) -> Missed | None:
    """The first criterion of a stable hop that an episode misses, or does not meet clearly.

    Those of the hop come first, then those of locked labels; None for a stable hop.
    """
    if episode.basin.name == "stable-hop":
        return None
    if episode.gait_verdict.name != "hop":
        for each in episode.gait_verdict.candidates["hop"]:
            if each.margin is None or each.margin < GAIT.tolerance * each.threshold:
                return _missed(each, "is too near" if each.met else "")
    if not episode.label_verdict.criteria:
        return Missed("", "no labels")
    locked, oscillating = _parted(episode.label_verdict.criteria)
    for each in locked[1:]:  # The first is the other way to be locked: one label.
        if not each.met:
            return _missed(each)
    return next(_missed(each, "is a sign of oscillation") for each in oscillating if each.met)


def _missed(criterion: Criterion, why: str = "") -> Missed:
    if criterion.value is None:
        return Missed(criterion.name, f"not measured, {_limit(criterion)}")
    told = f"{criterion.value:.3g}, {_limit(criterion)}, margin {criterion.margin:+.3g}"
    return Missed(criterion.name, f"{told}{why and f': {why}'}")


def _limit(criterion: Criterion) -> str:
    return f"{'≥' if criterion.at_least else '≤'} {criterion.threshold:.3g}"


def _parted(
    criteria: Sequence[Criterion],
) -> tuple[Sequence[Criterion], Sequence[Criterion]]:
    """Criteria of locked labels, and of oscillating ones, where metrics stand a second time."""
    names = [each.name for each in criteria]
    first = len(list(takewhile(lambda i: names[i] not in names[:i], range(len(names)))))
    return criteria[:first], criteria[first:]


def _gait_group(run: RunStability, gait: GaitName, folded: bool) -> EvidenceGroup:
    criteria = [episode.gait_verdict.candidates[gait] for episode in run.episodes]
    return EvidenceGroup(f"Gait: {gait}, if these hold", _pooled(criteria), folded)


def _pooled(criteria: Sequence[Sequence[Criterion]]) -> tuple[Evidence, ...]:
    """The same criteria of all episodes, one after the other."""
    names = dict.fromkeys((each.name, each.at_least) for own in criteria for each in own)
    return tuple(
        _evidence([each for own in criteria for each in own if (each.name, each.at_least) == name])
        for name in names
    )


def _evidence(criteria: Sequence[Criterion]) -> Evidence:
    """One criterion in each of its episodes."""
    first = criteria[0]
    measured = [each for each in criteria if each.value is not None]
    middle = Criterion(
        first.name,
        median(each.value for each in measured if each.value is not None) if measured else None,
        first.threshold,
        first.at_least,
    )
    return Evidence(
        name=first.name,
        threshold=_limit(first),
        value=NONE if middle.value is None else f"{middle.value:.3g}",
        margin=NONE if middle.margin is None else f"{middle.margin:+.3g}",
        met=sum(bool(each.met) for each in criteria),
        episodes=len(criteria),
        dots=tuple(_place(each) for each in measured),
    )


def _place(criterion: Criterion) -> float:
    """Where a value stands on a line whose middle is the threshold and whose end is its double."""
    assert criterion.margin is not None
    scale = 2 * abs(criterion.threshold) or 1.0
    return min(max(0.5 + criterion.margin / scale, 0.0), 1.0)
