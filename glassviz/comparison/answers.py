"""What somebody who watches the films of several seeds notes down, in sentences.

Are the gaits different, do labels of one phase of the gait correspond, does a run lack a phase that
others have, and do two phases share a label?
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from glassviz.analysis.naming import PhaseUse
from glassviz.analysis.segments import VISITED_SHARE
from glassviz.comparison.correspondence import Correspondence
from glassviz.comparison.members import Member, by_controller
from glassviz.comparison.phase_matches import UNNAMED_GAITS
from glassviz.comparison.wording import count_of, listed

PHASES_OF_A_HOP = ("stance", "push-off", "flight", "landing")
"""The phases that one label may have together: those of an upright body."""

PHASES_TO_LACK = ("push-off", "flight", "landing")
"""Of these a run may lack one; in a quick hop the turn of the stance is too short to be missed."""

LACKING_SHARE = VISITED_SHARE
"""A phase with fewer of the frames is lacking, as a label with fewer is not visited."""

MERGED_SHARE = 0.5
"""Phases are merged where one label has more than this share of each."""


@dataclass(frozen=True)
class ComparisonAnswers:
    """The answers, with what they rest upon.

    Attributes:
        gaits: whether the runs move differently.
        labels: whether labels that live in one phase of the gait are matched with each other.
        lacking: which runs lack a phase of the hop that others have, and which phases none has.
        merged: in which runs two of these phases have one label.
        gaits_by_controller: how many runs have which gait.
        same_phase, matched: of the pairs of matched labels whose phases are known (`matched`),
            those in which both live in the same (`same_phase`).
        same_phase_by_chance: expected number of these if labels were paired blindly.
        lacking_phases: those that others by the same controller have, by controller and run; runs
            that lack none are left out.
        lacked_by_all: those that no run by a controller has.
        merged_phases: by controller and run; runs with none are left out.
    """

    gaits: str
    labels: str
    lacking: str
    merged: str
    gaits_by_controller: dict[str, dict[str, int]]
    same_phase: int
    matched: int
    same_phase_by_chance: float
    lacking_phases: dict[str, dict[str, tuple[str, ...]]]
    lacked_by_all: dict[str, tuple[str, ...]]
    merged_phases: dict[str, dict[str, tuple[tuple[str, ...], ...]]]


def comparison_answers(
    members: Sequence[Member], correspondence: Correspondence | None
) -> ComparisonAnswers:
    """Answer the questions about several runs.

    Args:
        members: checkpoints under their controllers.
        correspondence: of their labels; None if there is none.
    """
    groups = by_controller(members)
    gaits: dict[str, dict[str, int]] = {
        controller: dict(Counter[str](each.stability.gait.name for each in own).most_common())
        for controller, own in groups.items()
    }
    lacking = {
        controller: {each.name: lacks for each in own if (lacks := _lacking(each, own))}
        for controller, own in groups.items()
    }
    lacked_by_all = {controller: _lacked_by_all(own) for controller, own in groups.items()}
    merged = {
        controller: {each.name: shared for each in own if (shared := _merged(each))}
        for controller, own in groups.items()
    }
    same, matched, chance = _same_phase(members, correspondence)
    return ComparisonAnswers(
        gaits=_told_gaits(gaits),
        labels=_told_labels(same, matched, chance, correspondence),
        lacking=_told_lacking(lacking, lacked_by_all, groups),
        merged=_told_merged(merged, groups),
        gaits_by_controller=gaits,
        same_phase=same,
        matched=matched,
        same_phase_by_chance=chance,
        lacking_phases=lacking,
        lacked_by_all=lacked_by_all,
        merged_phases=merged,
    )


def _of_a_hop(member: Member) -> list[PhaseUse]:
    return [use for use in member.stability.phases if use.name in PHASES_OF_A_HOP]


def _lacking(member: Member, among: Sequence[Member]) -> tuple[str, ...]:
    """Phases of a hop that a run lacks and another of the same controller has."""
    had = _had(among)
    uses = _of_a_hop(member)
    return tuple(
        use.name
        for use in uses
        if use.name in PHASES_TO_LACK and use.share < LACKING_SHARE and use.name in had
    )


def _had(members: Sequence[Member]) -> set[str]:
    """Phases of a hop that a run has."""
    return {use.name for each in members for use in _of_a_hop(each) if use.share >= LACKING_SHARE}


def _lacked_by_all(members: Sequence[Member]) -> tuple[str, ...]:
    """Phases of a hop that no run has; empty if no run has a frame to tell from."""
    if not any(_of_a_hop(each) for each in members):
        return ()
    had = _had(members)
    return tuple(name for name in PHASES_TO_LACK if name not in had)


def _merged(member: Member) -> tuple[tuple[str, ...], ...]:
    """Groups of phases of a hop that have one label for most of their frames."""
    by_label: dict[int, list[str]] = {}
    for use in _of_a_hop(member):
        if use.label is None or use.label_share is None or use.share < LACKING_SHARE:
            continue
        if use.label_share > MERGED_SHARE:
            by_label.setdefault(use.label, []).append(use.name)
    return tuple(tuple(names) for _, names in sorted(by_label.items()) if len(names) > 1)


def _same_phase(
    members: Sequence[Member], correspondence: Correspondence | None
) -> tuple[int, int, float]:
    """Matched labels that live in one phase, all matched ones, and how many chance would give."""
    if correspondence is None:
        return 0, 0, 0.0
    phases = {(each.name, each.controller): _phases_of_labels(each) for each in members}
    controllers = list(by_controller(members))
    same, matched, chance = 0, 0, 0.0
    for pair in correspondence.pairs:
        shared = [
            (phases[pair.one, who], phases[pair.other, who])
            for who in controllers
            if (pair.one, who) in phases and (pair.other, who) in phases
        ]
        if not shared:
            continue
        one, other = shared[0]  # One controller is enough: the matching is the same for all.
        partners = enumerate(pair.matching.partner.tolist())
        both = [(one[i], other[j]) for i, j in partners if i in one and j in other]
        same += sum(a == b for a, b in both)
        matched += len(both)
        left, right = Counter(a for a, _ in both), Counter(b for _, b in both)
        chance += sum(left[name] * right[name] for name in left) / max(len(both), 1)
    return same, matched, chance


def _phases_of_labels(member: Member) -> dict[int, str]:
    """The phase of the gait that each visited label lives in."""
    run = member.stability
    if run.occupancy is None:
        return {}
    return {
        each.label: each.name for each in run.label_names if each.label in run.occupancy.visited
    }


def _told_gaits(gaits: Mapping[str, Mapping[str, int]]) -> str:
    named = {
        who: [name for name in found if name not in UNNAMED_GAITS] for who, found in gaits.items()
    }
    alike = any(
        len(names) == 1 and gaits[who][names[0]] == sum(gaits[who].values()) > 1
        for who, names in named.items()
    )
    differ = any(len(names) > 1 for names in named.values())
    answer = "Yes" if differ else "No" if alike else "Cannot be told"
    told = [
        f"by {who} {listed([f'{count} {name}' for name, count in found.items()], most=6)}"
        for who, found in gaits.items()
    ]
    return f"{answer}: {'; '.join(told)}."


def _told_labels(
    same: int, matched: int, chance: float, correspondence: Correspondence | None
) -> str:
    if correspondence is None:
        return "Cannot be told: it takes the files of two checkpoints with labels."
    if not matched:
        return "Cannot be told: no two visited labels are matched with each other."
    return (
        f"{same} of {count_of(matched, 'pair')} of matched labels live in one phase of the gait; "
        f"{chance:.1f} would by chance."
    )


def _told_lacking(
    lacking: Mapping[str, Mapping[str, tuple[str, ...]]],
    lacked_by_all: Mapping[str, tuple[str, ...]],
    groups: Mapping[str, Sequence[Member]],
) -> str:
    told = []
    for who, runs in lacking.items():
        missed = [
            f"{len(names)} without {phase} ({listed(names)})"
            for phase in PHASES_TO_LACK
            if (names := [name for name, lacks in runs.items() if phase in lacks])
        ]
        if lacked_by_all[who]:
            missed.append(f"none with {listed(lacked_by_all[who])}")
        if missed:
            told.append(f"of {count_of(len(groups[who]), 'run')} by {who} {', '.join(missed)}")
    if not any(_of_a_hop(each) for own in groups.values() for each in own):
        return "Cannot be told: no run has a frame after the opening of its episodes."
    if not told:
        return "No: every run has push-off, flight and landing."
    return f"Yes: {'; '.join(told)}."


def _told_merged(
    merged: Mapping[str, Mapping[str, tuple[tuple[str, ...], ...]]],
    groups: Mapping[str, Sequence[Member]],
) -> str:
    labelled = {
        who: sum(each.stability.occupancy is not None for each in own)
        for who, own in groups.items()
    }
    if not any(labelled.values()):
        return "Cannot be told: no run has labels."
    told = []
    for who, runs in merged.items():
        if runs:
            which = [
                f"{name} {' and '.join('+'.join(group) for group in found)}"
                for name, found in runs.items()
            ]
            told.append(
                f"in {len(runs)} of {count_of(labelled[who], 'run')} by {who} "
                f"({listed(which, most=3)})"
            )
    if not told:
        return "No: no label has most of two phases of the hop."
    return f"Yes: {'; '.join(told)}."
