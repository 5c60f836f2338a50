"""What somebody who watches the films of a run notes down, in sentences, over all its episodes."""

from collections import Counter
from collections.abc import Callable, Iterable
from statistics import fmean
from typing import TYPE_CHECKING, Any

from glassviz.analysis.answers import LabelAnswers
from glassviz.gait.answers import GaitAnswers
from glassviz.report.page import Answer
from glassviz.stability import Assessed, RunStability
from glassviz.stability.wording import shown_return

if TYPE_CHECKING:
    from glassviz.reevaluation import Recorded

NO_LABELS = "The agent has no labels."
MOST_RETURNS = 20
"""More returns than this are not listed one by one."""


def answers_of(row: Assessed) -> tuple[Answer, ...]:
    """The answers about one checkpoint under one controller."""
    run = row.stability
    gaits = [episode.gait_answers for episode in run.episodes]
    labels = [episode.label_answers for episode in run.episodes if episode.label_answers]
    told = {
        ("A1", "Forward, or in place?"): _course(gaits),
        ("A2", "Rhythmic?"): _rhythm(gaits),
        ("A3", "How does it fall?"): _falls(gaits),
        ("A4", "How far does it get before it falls?"): _first_falls(gaits),
        ("A5", "Hops per second?"): _hops(gaits),
        ("B1", "How many labels?"): _visited(run) if labels else NO_LABELS,
        ("B2", "In step with the gait?"): _in_step(labels) if labels else NO_LABELS,
        ("B3", "Which phase is each label?"): _names(run) if labels else NO_LABELS,
        ("B4", "The same map in other episodes?"): _same_map(run) if labels else NO_LABELS,
        ("C1", "Return per episode?"): _returns(run, row.recorded),
        ("C2", "Quality, 1 to 10?"): (
            "Left to who watches: no number here measures how good it looks."
        ),
        ("D3", "One label nearly all the time?"): _dominant(run, labels) if labels else NO_LABELS,
        ("V", "Does it get what it expects?"): _calibration(run),
    }
    return tuple(Answer(code, question, text) for (code, question), text in told.items())


def _course(gaits: list[GaitAnswers]) -> str:
    courses = _counted((each.course for each in gaits), str)
    distance = fmean(each.distance_m for each in gaits)
    speed = fmean(each.mean_speed_mps for each in gaits)
    return f"{courses}: {distance:.1f} m at {speed:.2f} m/s in the mean."


def _rhythm(gaits: list[GaitAnswers]) -> str:
    words = {True: "rhythmic", False: "not rhythmic", None: "too little to say"}
    told = _counted((each.rhythmic for each in gaits), lambda rhythmic: words[rhythmic])
    periods = [each.period_s for each in gaits if each.period_s is not None]
    return f"{told}; " + (
        f"cycles of {fmean(periods):.2f} s in the mean." if periods else "no gait cycles."
    )


def _falls(gaits: list[GaitAnswers]) -> str:
    manners: Counter[str] = Counter()
    for each in gaits:
        manners.update(each.fall_manners)
    if not manners:
        return "It never falls."
    told = ", ".join(f"{manner} {count} times" for manner, count in manners.most_common())
    fallen = sum(bool(each.fall_manners) for each in gaits)
    return f"It falls in {fallen} of {len(gaits)} episodes: {told.replace(' 1 times', ' once')}."


def _first_falls(gaits: list[GaitAnswers]) -> str:
    """One entry an episode, in their order: which one fell where can be told from it."""
    told = [
        f"{each.distance_m:.1f} m without a fall"
        if each.first_fall_m is None
        else f"{each.first_fall_m:.1f} m ({each.first_fall_s:.1f} s)"
        for each in gaits[:MOST_RETURNS]
    ]
    more = len(gaits) - len(told)
    spared = sum(each.first_fall_m is None for each in gaits)
    return (
        f"By episode {', '.join(told)}{f' and {more} more' if more else ''}. "
        f"{spared} of {len(gaits)} {'has' if spared == 1 else 'have'} no fall."
    )


def _hops(gaits: list[GaitAnswers]) -> str:
    hops = [each.hops_per_s for each in gaits if each.hops_per_s is not None]
    if not hops:
        return "None: no episode has cycles on the foot."
    among = "" if len(hops) == len(gaits) else f", in {len(hops)} of {len(gaits)} episodes"
    return f"{fmean(hops):.2f} while it hops, in the mean{among}."


def _visited(run: RunStability) -> str:
    assert run.occupancy is not None
    visited = run.occupancy.visited
    told = ", ".join(map(str, visited)) or "none"
    text = f"{len(visited)} of {run.clusters} have more than 1 % of the frames: {told}."
    if run.reachable_clusters is not None:
        text += (
            f" The rule can produce {run.reachable_clusters}; {run.active_clusters} are active in "
            f"the partition, which says nothing about behaviour."
        )
    return text


def _in_step(labels: list[LabelAnswers]) -> str:
    words = {True: "in step", False: "out of step", None: "cannot be told, or nothing changes"}
    told = _counted((each.in_step for each in labels), lambda in_step: words[in_step])
    spelled = Counter(each.word for each in labels if each.word is not None)
    if not spelled:
        return f"{told}; no gait cycles."
    [(word, _)] = spelled.most_common(1)
    share = fmean(each.word_share or 0.0 for each in labels if each.word == word)
    path = "→".join(map(str, word))
    return (
        f"{told}. The commonest cycle, from touchdown on, is {path}: {share:.0%} of the cycles, in "
        f"the episodes in which it leads ({spelled[word]} of {len(labels)})."
    )


def _names(run: RunStability) -> str:
    assert run.occupancy is not None
    told = [
        f"{name.label} is {name.name} ({name.share:.0%} of its frames)"
        for name in run.label_names
        if name.label in run.occupancy.visited
    ]
    return (", ".join(told) or "No label is visited") + "."


def _same_map(run: RunStability) -> str:
    if run.map_agreement is None:
        return "Cannot be told: no two episodes have gait cycles with labels at one phase."
    first = next((pair for pair in run.pairs if (pair.one, pair.other) == (0, 1)), None)
    told = f"Two episodes have one label in {run.map_agreement:.0%} of the phase bins, in the mean"
    told += f" of {len(run.pairs)} pair{'s' if len(run.pairs) > 1 else ''}"
    return told + (f"; the first two in {first.maps.agreement:.0%}." if first else ".")


def _returns(run: RunStability, recorded: "Recorded | None") -> str:
    values = [f"{each.episode_return:.0f}" for each in run.episodes[:MOST_RETURNS]]
    more = len(run.episodes) - len(values)
    told = f"{', '.join(values)}{f' and {more} more' if more else ''}"
    told += f"; mean {shown_return(run.returns)}."
    if recorded is None:
        return f"{told} Nothing is recorded to hold it against."
    place = run.returns.place(recorded.mean)
    where = "" if place is None else f", {place} the interval of these episodes"
    return f"{told} Recorded in training: {recorded.mean:.0f}{where}."


def _dominant(run: RunStability, labels: list[LabelAnswers]) -> str:
    assert run.occupancy is not None
    if run.occupancy.dominant is None:
        return "Cannot be told: no frame is left."
    stuck = sum(each.stuck for each in labels)
    return (
        f"Label {run.occupancy.dominant} has {run.occupancy.dominant_share:.0%} of all frames; "
        f"{stuck} of {len(labels)} episodes have one label for 80 % or more."
    )


def _calibration(run: RunStability) -> str:
    found = run.calibration
    if found is None:
        return "Cannot be told: episodes are too short for the discount."
    bias, rank = found.bias, found.rank_correlation
    told = (
        f"Its values are {found.predicted:.1f} in the mean and {found.realised:.1f} come of them "
        f"(bias {bias.mean:+.1f}"
    )
    if bias.low is not None and bias.high is not None:
        told += f", 95 % {bias.low:+.1f} to {bias.high:+.1f}"
    told += ")"
    return (
        f"{told}; within episodes their ranks correlate by {rank.mean:.2f}." if rank else told + "."
    )


def _counted(values: Iterable[Any], told: Callable[[Any], str]) -> str:
    """`forward in 9 of 10 episodes, in place in 1`, with a capital."""
    counts = Counter(values)
    episodes = sum(counts.values())
    parts = [f"{told(value)} in {count}" for value, count in counts.most_common()]
    parts[0] += f" of {episodes} episode{'s' if episodes > 1 else ''}"
    text = ", ".join(parts)
    return text[0].upper() + text[1:]
