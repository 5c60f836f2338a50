"""What reports say about a run: the lead paragraph, cards, criteria, sources, and the answers to
questions about it.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from statistics import fmean
from typing import TYPE_CHECKING, Any

from glassviz.compare.compare import Comparison
from glassviz.compare.runs import one_per_training, unique_runs
from glassviz.gait.verdict import Criterion, GaitAnswers, GaitName
from glassviz.metrics.labels import LabelName
from glassviz.metrics.stability import RunStability
from glassviz.metrics.verdict import STABLE, LabelAnswers
from glassviz.report.phrases.numbers import majority, shown_return
from glassviz.report.phrases.verdicts import feet_lags, gait_reason, shown_basin, shown_gait
from glassviz.rollout.batch import Failed
from glassviz.rollout.run import Run
from glassviz.text import count_of, listed

if TYPE_CHECKING:
    from glassviz.rollout.evaluate import Recorded

CONTROLLERS = {"mppi": "planner", "pi": "policy"}

SCOPE = (
    "The verdicts describe these episodes. They say nothing about other seeds and do not show that "
    "stable labels cause return."
)


def lead(rows: Sequence[Run | Failed], together: Comparison | None = None) -> tuple[str, ...]:
    """Sentences of the lead: gaits and basins by controller, differences, failures, scope."""
    assessed = [row for row in rows if isinstance(row, Run)]
    # A training run counts once.
    counted, _ = one_per_training(unique_runs(assessed)[0])
    counted = [row for row in assessed if any(row is each for each in counted)]
    sentences = [
        _of_controller(controller, [row for row in counted if row.controller == controller])
        for controller in dict.fromkeys(row.controller for row in assessed)
    ]
    sentences += _differing(together)
    failed = len(rows) - len(assessed)
    if failed:
        sentences.append(f"{failed} of {count_of(len(rows), 'row')} could not be assessed.")
    return (*sentences, *([SCOPE] if assessed else []))


def _of_controller(controller: str, rows: Sequence[Run]) -> str:
    who = CONTROLLERS.get(controller, controller)
    if len(rows) == 1:
        gait, basin = rows[0].stability.gait, rows[0].stability.basin
        found = rows[0].stability
        labels = ""
        if found.occupancy is not None:
            labels = f" the labels are {majority(found.label_verdict, found.label_split)},"
        return (
            f"With the {who}, the gait is {majority(gait.name, gait.split)},{labels} and the basin "
            f"is {shown_basin(basin)}."
        )
    basins: dict[str, list[str]] = {}
    for row in rows:
        basins.setdefault(row.stability.basin.name, []).append(row.name)
    # The stable ones first, then the largest basin.
    order = sorted(basins, key=lambda basin: (basin not in STABLE, -len(basins[basin])))
    parts = [f"{basin} {len(basins[basin])} ({listed(basins[basin], most=6)})" for basin in order]
    hops = sum(row.stability.gait.name == "hop" for row in rows)
    return (
        f"With the {who}, {hops} of {len(rows)} runs {'hops' if hops == 1 else 'hop'}. "
        f"Basins: {'; '.join(parts)}."
    )


def _differing(together: Comparison | None) -> list[str]:
    """Runs whose most common gait or basin depends on the controller."""
    pairs = together.controllers.pairs if together and together.controllers else ()
    names = [pair.run for pair in pairs if pair.gait_differs or pair.basin_differs]
    if not names:
        return []
    runs = count_of(len(names), "run")
    return [f"Planner and policy differ in gait or basin for {runs}: {listed(names, most=6)}."]


def card_facts(run: RunStability) -> tuple[str, ...]:
    """Episodes, checkpoint and labels of a run."""
    facts = [
        f"{count_of(len(run.episodes), 'episode')} of {run.frames * run.frame_dt_s:.0f} s",
        f"checkpoint {run.checkpoint_sha256[:12]}",
    ]
    if run.occupancy is None:
        facts.append("no labels")
    else:
        kind = "fitted" if run.labels_from == "fitted" else "learned"
        facts.append(f"{run.clusters} {kind} labels, rule {run.label_rule}")
    if run.tau is not None:
        facts.append(f"τ = {run.tau:g}")
    return tuple(facts)


def return_and_gait(run: RunStability) -> str:
    """Mean return and gait, one sentence each."""
    episodes = count_of(len(run.episodes), "episode")
    return f"Return {shown_return(run.returns)} over {episodes}. Gait: {shown_gait(run.gait)}."


def label_split(run: RunStability) -> str:
    """Verdicts on the labels of all episodes; empty without labels."""
    if not run.occupancy:
        return ""
    split = ", ".join(f"{count} {verdict}" for verdict, count in run.label_split.items())
    return f"Labels: {split}."


def source_facts(header: Mapping[str, Any]) -> str:
    """Origin of a trace, from its header."""
    env, planner = header["env"], header["planner"]
    facts = [
        f"{env['task']}, physics {env['physics']}",
        f"seed {header['seed']}",
        f"recorded on {header['device']}",
    ]
    if header["controller"] == "mppi" and planner:
        settings = (f"{name} {planner[name]}" for name in ("samples", "horizon", "iterations"))
        facts.append(f"planner with {', '.join(settings)}")
    facts += [f"assumed: {assumption}" for assumption in header["assumptions"]]
    return "; ".join(facts)


# Criteria -----------------------------------------------------------------------------------------


def missed(criterion: Criterion, why: str = "") -> str:
    """Value, threshold and margin of a criterion that keeps an episode out of the stable hop.

    `why` says what is wrong with it if it is met.
    """
    if criterion.value is None:
        return f"not measured, {limit(criterion)}"
    text = f"{criterion.value:.3g}, {limit(criterion)}, margin {criterion.margin:+.3g}"
    return f"{text}: {why}" if why else text


TOO_CLOSE = "too close to the threshold"

OSCILLATES = "a sign of oscillation"


def limit(criterion: Criterion) -> str:
    """Threshold of a criterion: `≥ 0.85`."""
    return f"{'≥' if criterion.at_least else '≤'} {criterion.threshold:.3g}"


LOCKED = "Labels one label: requires dominant_share; phase-locked: all others"

OSCILLATE = "Labels oscillating: requires one of the first three, fleiss_kappa with the last"


def gait_criteria(gait: GaitName) -> str:
    """Title of the criteria of a gait."""
    return f"Gait {gait}: requires all"


MOST_EPISODES = 20
"""Episodes that are listed one by one."""


def answers(run: RunStability, recorded: "Recorded | None") -> list[tuple[str, str]]:
    """Questions and answers about a run; `recorded`: the checkpoint's training evaluation.

    Questions about labels are asked of agents with labels.
    """
    gaits = [episode.gait_answers for episode in run.episodes if episode.gait_answers]
    labels = [episode.label_answers for episode in run.episodes if episode.label_answers]
    of_labels: list[tuple[str, Callable[[RunStability], str]]] = [
        ("How many labels?", _visited),
        *(
            (
                ("In step with the gait?", lambda _: _in_step(labels)),
                ("Which phase is each label?", _names),
                ("Same phase map in all episodes?", _same_map),
            )
            if gaits or any(episode.gait.cycles.count for episode in run.episodes)
            else ()
        ),
        ("One label nearly all the time?", lambda run: _dominant(run, labels)),
    ]
    of_gaits = (
        (
            ("Forward or in place?", _course(gaits)),
            ("Rhythmic?", _rhythm(gaits)),
            ("How does it fall?", _falls(gaits)),
            ("How far does it get before it falls?", _first_falls(gaits)),
            ("Hops per second?", _hops(gaits))
            if run.episodes[0].gait.phased
            else ("Which gait do the feet show?", _pattern(run)),
        )
        if gaits
        else (("How does it move?", _moves(run)),)
    )
    return [
        *of_gaits,
        *((question, answer(run)) for question, answer in of_labels if labels),
        ("Return per episode?", _returns(run, recorded)),
        ("Does it get the return it predicts?", _calibration(run)),
    ]


def _moves(run: RunStability) -> str:
    """How a body without feet moves."""
    names = majority(run.gait.name, run.gait.split)
    gaits = [episode.gait for episode in run.episodes]
    distances = [each.distance_m for each in gaits if each.distance_m is not None]
    speeds = [each.mean_speed_mps for each in gaits if each.mean_speed_mps is not None]
    first = f"{names}. In the first episode: {gait_reason(run.episodes[0].gait_verdict)}"
    if not distances:
        return first
    return f"{first} On average {fmean(distances):.1f} m at {fmean(speeds):.2f} m/s."


def _pattern(run: RunStability) -> str:
    """Which gait the feet show, with the lags of the first episode that has them."""
    counts = Counter(each.gait.pattern or "no gait with a name" for each in run.episodes)
    text = ", ".join(f"{name} in {count}" for name, count in counts.most_common())
    timed = next((each for each in run.episodes if each.gait.cycles.count), None)
    if timed is None:
        return "None: no foot steps in cycles."
    return f"{text} of {len(run.episodes)}; lags in episode {timed.episode + 1}: " + (
        f"{feet_lags(timed.gait)} of a cycle."
    )


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
        f"{name.label}{_given(name)} is {name.phase} ({name.share:.0%} of its frames)"
        for name in run.label_names
        if name.label in run.occupancy.visited
    ]
    return (", ".join(names) or "No label is visited") + "."


def _given(name: LabelName) -> str:
    """The name that a user gave to a label, if any, in parentheses."""
    return "" if name.name == name.phase else f" ({name.name})"


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
