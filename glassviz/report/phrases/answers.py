"""Answers to the questions of a viewer who rates films of a run."""

from collections import Counter
from collections.abc import Callable, Iterable
from statistics import fmean
from typing import TYPE_CHECKING, Any

from glassviz.gait.verdict import GaitAnswers
from glassviz.metrics.stability import RunStability
from glassviz.metrics.verdict import LabelAnswers
from glassviz.report.phrases.numbers import shown_return
from glassviz.report.phrases.verdicts import NO_LABELS
from glassviz.text import count_of

if TYPE_CHECKING:
    from glassviz.rollout.evaluate import Recorded


MOST_EPISODES = 20
"""Episodes that are listed one by one."""


def answers(run: RunStability, recorded: "Recorded | None") -> list[tuple[str, str, str]]:
    """Code, question and answer about one checkpoint under one controller.

    Args:
        run: its stability.
        recorded: the evaluation during training in the checkpoint, if any.
    """
    gaits = [episode.gait_answers for episode in run.episodes]
    labels = [episode.label_answers for episode in run.episodes if episode.label_answers]
    return [
        ("A1", "Forward or in place?", _course(gaits)),
        ("A2", "Rhythmic?", _rhythm(gaits)),
        ("A3", "How does it fall?", _falls(gaits)),
        ("A4", "How far does it get before it falls?", _first_falls(gaits)),
        ("A5", "Hops per second?", _hops(gaits)),
        ("B1", "How many labels?", _visited(run) if labels else NO_LABELS),
        ("B2", "In step with the gait?", _in_step(labels) if labels else NO_LABELS),
        ("B3", "Which phase is each label?", _names(run) if labels else NO_LABELS),
        ("B4", "Same phase map in all episodes?", _same_map(run) if labels else NO_LABELS),
        ("C1", "Return per episode?", _returns(run, recorded)),
        ("C2", "Visual quality, 1 to 10?", QUALITY),
        ("D3", "One label nearly all the time?", _dominant(run, labels) if labels else NO_LABELS),
        ("V", "Does it get the return it predicts?", _calibration(run)),
    ]


QUALITY = "Left to the viewer: no metric here measures how good it looks."


def _course(gaits: list[GaitAnswers]) -> str:
    courses = _counted((each.course for each in gaits), str)
    distance = fmean(each.distance_m for each in gaits)
    speed = fmean(each.mean_speed_mps for each in gaits)
    return f"{courses}; on average {distance:.1f} m at {speed:.2f} m/s."


def _rhythm(gaits: list[GaitAnswers]) -> str:
    words = {True: "rhythmic", False: "not rhythmic", None: "too short to tell"}
    counts = _counted((each.rhythmic for each in gaits), lambda rhythmic: words[rhythmic])
    periods = [each.period_s for each in gaits if each.period_s is not None]
    return f"{counts}; " + (f"mean cycle {fmean(periods):.2f} s." if periods else "no gait cycles.")


def _falls(gaits: list[GaitAnswers]) -> str:
    manners: Counter[str] = Counter()
    for each in gaits:
        manners.update(each.fall_manners)
    if not manners:
        return "It never falls."
    how = ", ".join(f"{manner} ({count}×)" for manner, count in manners.most_common())
    fallen = sum(bool(each.fall_manners) for each in gaits)
    return f"It falls in {fallen} of {count_of(len(gaits), 'episode')}: {how}."


def _first_falls(gaits: list[GaitAnswers]) -> str:
    """One entry per episode, in their order, so that each episode can be identified."""
    distances = [
        f"{each.distance_m:.1f} m (no fall)"
        if each.first_fall_m is None
        else f"{each.first_fall_m:.1f} m ({each.first_fall_s:.1f} s)"
        for each in gaits[:MOST_EPISODES]
    ]
    more = len(gaits) - len(distances)
    spared = sum(each.first_fall_m is None for each in gaits)
    return (
        f"By episode: {', '.join(distances)}{f' and {more} more' if more else ''}. "
        f"No fall in {spared} of {len(gaits)}."
    )


def _hops(gaits: list[GaitAnswers]) -> str:
    hops = [each.hops_per_s for each in gaits if each.hops_per_s is not None]
    if not hops:
        return "None: no episode has gait cycles on the foot."
    among = "" if len(hops) == len(gaits) else f", in {len(hops)} of {len(gaits)} episodes"
    return f"{fmean(hops):.2f} on average while hopping{among}."


def _visited(run: RunStability) -> str:
    assert run.occupancy is not None
    visited = run.occupancy.visited
    which = ", ".join(map(str, visited)) or "none"
    text = f"{len(visited)} of {run.clusters} have more than 1 % of frames: {which}."
    if run.reachable_clusters is not None:
        text += (
            f" The assignment rule can produce {run.reachable_clusters}; {run.active_clusters} are "
            f"active in the partition, a property of the parameters and not of behaviour."
        )
    return text


def _in_step(labels: list[LabelAnswers]) -> str:
    words = {True: "in step", False: "out of step", None: "undetermined or a single label"}
    counts = _counted((each.in_step for each in labels), lambda in_step: words[in_step])
    motifs = Counter(each.word for each in labels if each.word is not None)
    if not motifs:
        return f"{counts}; no gait cycles."
    [(motif, episodes)] = motifs.most_common(1)
    share = fmean(each.word_share or 0.0 for each in labels if each.word == motif)
    return (
        f"{counts}. The most common motif from touchdown is {'→'.join(map(str, motif))}: "
        f"{share:.0%} of cycles in the episodes where it leads ({episodes} of {len(labels)})."
    )


def _names(run: RunStability) -> str:
    assert run.occupancy is not None
    names = [
        f"{name.label} is {name.name} ({name.share:.0%} of its frames)"
        for name in run.label_names
        if name.label in run.occupancy.visited
    ]
    return (", ".join(names) or "No label is visited") + "."


def _same_map(run: RunStability) -> str:
    if run.map_agreement is None:
        return "Undefined: no two episodes have labels at a common gait phase."
    first = next((pair for pair in run.pairs if (pair.one, pair.other) == (0, 1)), None)
    text = f"Two episodes share the label in {run.map_agreement:.0%} of phase bins on average "
    text += f"({count_of(len(run.pairs), 'pair')})"
    return text + (f"; the first two in {first.maps.agreement:.0%}." if first else ".")


def _returns(run: RunStability, recorded: "Recorded | None") -> str:
    values = [f"{each.episode_return:.0f}" for each in run.episodes[:MOST_EPISODES]]
    more = len(run.episodes) - len(values)
    text = f"{', '.join(values)}{f' and {more} more' if more else ''}"
    text += f"; mean {shown_return(run.returns)}."
    if recorded is None:
        return f"{text} The checkpoint records no evaluation during training."
    place = run.returns.place(recorded.mean)
    where = "" if place is None else f", {place} the interval of these episodes"
    return f"{text} Evaluation during training: {recorded.mean:.0f}{where}."


def _dominant(run: RunStability, labels: list[LabelAnswers]) -> str:
    assert run.occupancy is not None
    if run.occupancy.dominant is None:
        return "Undefined: no frames after the initial transient."
    stuck = sum(each.stuck for each in labels)
    return (
        f"Label {run.occupancy.dominant} covers {run.occupancy.dominant_share:.0%} of frames; in "
        f"{stuck} of {count_of(len(labels), 'episode')} one label covers 80 % or more."
    )


def _calibration(run: RunStability) -> str:
    found = run.calibration
    if found is None:
        return "Undefined: episodes are too short for the discount factor."
    bias, rank = found.bias, found.rank_correlation
    text = (
        f"Mean predicted value {found.predicted:.1f}, realised {found.realised:.1f} "
        f"(bias {bias.mean:+.1f}"
    )
    if bias.low is not None and bias.high is not None:
        text += f", 95 % interval {bias.low:+.1f} to {bias.high:+.1f}"
    text += ")"
    return f"{text}; rank correlation within episodes {rank.mean:.2f}." if rank else f"{text}."


def _counted(values: Iterable[Any], words: Callable[[Any], str]) -> str:
    """`Forward in 9 of 10 episodes, in place in 1`."""
    counts = Counter(values)
    parts = [f"{words(value)} in {count}" for value, count in counts.most_common()]
    parts[0] += f" of {count_of(sum(counts.values()), 'episode')}"
    text = ", ".join(parts)
    return text[0].upper() + text[1:]
