"""Sections of the report: answers, comparison, figures, evidence, film strips."""

import io
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from statistics import fmean, median
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from jaxtyping import Int, UInt8
from PIL import Image

from glassviz.compare.compare import ControllerRuns, Together
from glassviz.compare.correspondence import Correspondence, LabelPair
from glassviz.compare.matching import LabelMatches
from glassviz.compare.returns import NAMED, PRIMARY, MetricCorrelation
from glassviz.compare.runs import LeftOut
from glassviz.errors import GlassvizError
from glassviz.figures.labels import dwell_histograms, label_raster, occupancy_bars
from glassviz.figures.return_scatter import Panel, against_return
from glassviz.figures.temperature_audit import AuditCurves, temperature_audit
from glassviz.gait.cycles import Cycles
from glassviz.gait.verdict import GAIT_THRESHOLDS as GAIT
from glassviz.gait.verdict import Criterion, GaitAnswers, GaitName
from glassviz.metrics.stability import OF_LABELS, EpisodeStability, RunStability, median_episode
from glassviz.metrics.verdict import LabelAnswers, LabelCriteria
from glassviz.palette import ink_on, label_color
from glassviz.report.page import (
    Answer,
    Chip,
    Drawing,
    Evidence,
    EvidenceGroup,
    Missed,
    Part,
    Picture,
    Strip,
    Table,
)
from glassviz.report.phrases import comparison as phrases
from glassviz.report.phrases.numbers import NONE, interval, p_value, shown_return
from glassviz.report.phrases.verdicts import NO_LABELS
from glassviz.rollout.run import Run
from glassviz.trace import Trace
from glassviz.video.clip import CONTROLLER_NAMES
from glassviz.video.renderer import (
    MujocoRenderer,
    OpenRenderer,
    StillMaker,
    consecutive_cycles,
    evenly,
)

if TYPE_CHECKING:
    from glassviz.rollout.evaluate import Recorded


MOST_RETURNS = 20
"""More returns than this are not listed one by one."""


def answers_of(row: Run) -> tuple[Answer, ...]:
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


def table_of(found: Correspondence) -> Table:
    """A row a run, a column for every label of the reference."""
    reference = found.reference
    columns = found.visited[reference]
    others = [run for run in found.runs if run != reference]
    head = (
        "run",
        *(f"its {label}" for label in columns),
        "unmatched",
        "frames",
        "AMI",
        "in cycles",
        "by chance",
        "p",
    )
    which = "the typical run" if found.medoid else "the first run"
    note = (
        f"Under each label of {reference}, {which}: the label that it is matched with so that as "
        f"many as possible of {found.frames} frames of all runs agree, and their Jaccard index; "
        f"below 0.2 they are unmatched. Labels with more than 1 % of these frames are named. "
        f"frames: the share whose two labels are matched. AMI: over all of them; in whole gait "
        f"cycles; and there with labels that run on other clocks (its null), with p."
    )
    rows = tuple(_row(run, found, columns) for run in others)
    return Table(f"Labels matched with those of {reference}", head, rows, note)


def phase_table(found: LabelMatches) -> Table:
    """A row per run, a column for every label of the reference, where no agent was asked."""
    reference = found.reference
    assert reference is not None
    rows = []
    matched: set[int] = set()
    for name, clusters in found.clusters.items():
        match = found.pair(reference, name)
        if match is None or name == reference:
            continue
        partner, similarity = match.matching.partner, match.matching.similarity
        cells = {
            own: f"{other} ({alike:.2f})"
            for own, (other, alike) in enumerate(
                zip(partner.tolist(), similarity.tolist(), strict=True)
            )
            if other >= 0
        }
        matched |= cells.keys()
        taken = set(partner.tolist())
        unmatched = [str(label) for label in range(clusters) if label not in taken]
        rows.append((name, cells, ", ".join(unmatched) or NONE))
    columns = sorted(matched)
    head = ("run", *(f"its {label}" for label in columns), "unmatched")
    note = (
        f"Under each label of {reference}: the label that lives in the same phase of the gait, and "
        f"1 less the Jensen-Shannon divergence of their phase profiles, in bits; below ⅓ they are "
        f"unmatched."
    )
    filled = tuple((name, *(own.get(k, NONE) for k in columns), alone) for name, own, alone in rows)
    return Table(f"Labels matched with those of {reference}", head, filled, note)


def _row(run: str, found: Correspondence, columns: Sequence[int]) -> tuple[str, ...]:
    pair = found.pair(found.reference, run)
    matches = _matches(pair, found.reference)
    matched = {own for own, _ in matches.values()}
    unmatched = [label for label in found.visited[run] if label not in matched]
    test = pair.test
    return (
        run,
        *(
            f"{matches[each][0]} ({matches[each][1]:.2f})" if each in matches else NONE
            for each in columns
        ),
        ", ".join(map(str, unmatched)) or NONE,
        NONE if pair.matched_accuracy is None else f"{pair.matched_accuracy:.0%}",
        _figure(pair.agreement.ami),
        _figure(test.observed.ami if test else None),
        _figure(test.null_ami if test else None),
        NONE if test is None or test.ami_p is None else p_value(test.ami_p).removeprefix("p = "),
    )


def _matches(pair: LabelPair, reference: str) -> dict[int, tuple[int, float]]:
    """For each matched label of the reference, the other run's label and how alike they are."""
    partners = zip(pair.matching.partner.tolist(), pair.matching.similarity.tolist(), strict=True)
    matched = [(one, other, alike) for one, (other, alike) in enumerate(partners) if other >= 0]
    if pair.one == reference:
        return {one: (other, alike) for one, other, alike in matched}
    return {other: (one, alike) for one, other, alike in matched}


def _figure(value: float | None) -> str:
    return NONE if value is None else f"{value:.2f}"


TITLE = "Stability against return"
DRAWN = (PRIMARY, *NAMED)


def drawing_of(own: ControllerRuns, name: str) -> Drawing | None:
    """The primary metric and the named ones against return, a point a run.

    Args:
        own: the runs.
        name: of the drawing.

    Returns:
        None for a single run, and where returns have no common scale.
    """
    found = {each.metric: each for each in own.stability_and_return.correlations}
    if not found or len(own.runs) < 2:
        return None
    returns = dict(zip(own.returns.runs, own.returns.values, strict=True))
    order = sorted(returns, key=lambda run: (-returns[run], run))
    number = {run: i for i, run in enumerate(order, start=1)}
    drawn = [found[metric] for metric in DRAWN]
    if not any(each.runs for each in drawn):
        return Drawing(name, TITLE, f"No run has {' or '.join(DRAWN)}.", "", None, DRAWN)
    told = f"{', '.join(DRAWN)} of {len(order)} runs against their return"
    caption = (
        f"A point is a checkpoint, the mean over its episodes; the numbers go by return: "
        f"{', '.join(f'{i} {run}' for run, i in number.items())}. {_tests(drawn)}"
    )
    figure = against_return(
        [Panel(each.metric, _over_panel(each), _numbered(each, number)) for each in drawn],
        {number[run]: value for run, value in returns.items()},
        {number[run]: each.basin for each in own.basins for run in each.returns.runs},
    )
    return Drawing(name, TITLE, told, caption, figure, DRAWN)


def tables_of(own: ControllerRuns) -> tuple[Table, ...]:
    """Every metric that can be correlated with return, those of labels and those of the body."""
    found = own.stability_and_return
    within = [
        # Its p is one of several, and adjusted for none of them.
        (f"{PRIMARY} within {basin}", replace(each, adjusted_p=None))
        for basin, each in found.within_basins.items()
    ]
    named = [(each.metric, each) for each in found.correlations]
    groups = {
        "Metrics of labels and return": [
            *[pair for pair in named if pair[0] in OF_LABELS],
            *within,
        ],
        "Metrics of the body and return": [pair for pair in named if pair[0] not in OF_LABELS],
    }
    head = ("metric", "n", "ρ", "95 %", "p", "p at best", "adjusted p")
    return tuple(
        Table(title, head, rows, _note(pairs))
        for title, pairs in groups.items()
        if (rows := tuple(_rows(pairs)))
    )


def _numbered(found: MetricCorrelation, number: Mapping[str, int]) -> dict[int, float]:
    values = zip(found.runs, found.values, strict=True)
    return {number[run]: value for run, value in values}


def _over_panel(found: MetricCorrelation) -> str:
    n = f"n = {len(found.runs)}"
    test = found.test
    return f"ρ = {test.statistic:.2f}, {p_value(test.p)}, {n}" if test else f"{n}, no ρ"


def _tests(drawn: Iterable[MetricCorrelation]) -> str:
    """Every test with the smallest p that its values could have led to."""
    told = []
    for each in drawn:
        n, test = len(each.runs), each.test
        if test is None:
            told.append(f"{each.metric} n = {n}, ρ undefined")
            continue
        text = f"{each.metric} ρ = {test.statistic:.2f}, n = {n}, {p_value(test.p)}"
        text += f" (at best {test.smallest_p:.2g}"
        if each.family == "named" and each.adjusted_p is not None:
            text += f"; {each.adjusted_p:.2g} adjusted"
        told.append(f"{text})")
    return f"{'; '.join(told)}."


def _rows(pairs: Iterable[tuple[str, MetricCorrelation]]) -> Iterable[tuple[str, ...]]:
    for name, each in pairs:
        if each.test is None:
            continue
        low, high = each.rho_low, each.rho_high
        yield (
            name,
            str(len(each.runs)),
            f"{each.test.statistic:+.2f}",
            NONE if low is None or high is None else interval(low, high, ".2f"),
            f"{each.test.p:.2g}",
            f"{each.test.smallest_p:.2g}",
            NONE if each.adjusted_p is None else f"{each.adjusted_p:.2g}",
        )


def _note(pairs: Iterable[tuple[str, MetricCorrelation]]) -> str:
    missing = [name for name, each in pairs if each.test is None]
    told = "n: runs. p at best: the smallest that these values could have led to in any order."
    if missing:
        told += f" Not measured, or the same in all runs: {', '.join(missing)}."
    return told


def parts_of(together: Together | None) -> tuple[Part, ...]:
    """What several runs say together; empty if there is nothing to compare."""
    if together is None:
        return ()
    answers = together.answers
    n = len(together.checkpoints)
    asked = (
        f"Do the gaits differ? {phrases.gaits_differ(answers)}",
        f"Do labels of one phase correspond? {phrases.labels_correspond(answers)}",
        f"Does a run lack a phase? {phrases.phases_lacking(answers)}",
        f"Do two phases share a label? {phrases.phases_merged(answers)}",
    )
    parts = [Part(f"What differs between {n} checkpoint{'s' if n > 1 else ''}", asked)]
    if together.controllers:
        pairs = map(phrases.controller_pair, together.controllers.pairs)
        parts.append(
            Part("Planner and policy", (phrases.controllers(together.controllers), *pairs))
        )
    doubts = phrases.caveats(together.caveats)
    for i, own in enumerate(together.by_controller, start=1):
        title = f"By the {CONTROLLER_NAMES.get(own.controller, own.controller)}"
        drawing = drawing_of(own, f"returns-{i}")
        drawings = (drawing,) if drawing else ()
        parts.append(Part(title, tuple(_of_controller(own, doubts)), drawings, tables_of(own)))
    if together.correspondence:
        found = together.correspondence
        told = (
            phrases.correspondence(found),
            *map(_left_out, found.left_out),
        )
        parts.append(Part("Which label is which", told, tables=(table_of(found),)))
    elif together.no_correspondence:
        why = phrases.no_correspondence(together.no_correspondence)
        matches = together.label_matches
        how = "were matched by phase alone" if matches.pairs else "were not compared"
        tables = (phase_table(matches),) if matches.pairs else ()
        parts.append(Part("Which label is which", (f"Labels {how}: {why}.",), tables=tables))
    left_out = [*map(_left_out, together.left_out)]
    if doubts or left_out:
        parts.append(Part("Doubts", (*doubts, *left_out)))
    return tuple(parts)


def _left_out(found: LeftOut) -> str:
    return f"{found.run} ({found.controller}): {phrases.left_out(found)}."


def _of_controller(own: ControllerRuns, told: Collection[str]) -> Iterator[str]:
    """What the runs of one controller say, without doubts that are told elsewhere."""
    found, groups = own.stability_and_return, own.groups
    yield f"Basins: {phrases.basins(own.basins)}"
    yield phrases.returns(own.returns)
    yield phrases.metric_means(own.means)
    yield phrases.stability_and_return(found)
    if others := phrases.other_metrics(found):
        yield others
    yield from (doubt for doubt in phrases.correlation_caveats(found) if doubt not in told)
    if groups:
        answer = phrases.groups(groups)
        yield answer[0].upper() + answer[1:]
        yield from phrases.caveats(groups.caveats, told)
    yield f"Planner calibration: {phrases.values(own.values)}"


MOST_EPISODES = 40
"""A raster shows so many at most."""


def drawings_of(run: RunStability, name: str) -> tuple[Drawing, ...]:
    """Raster, dwell, occupancy and temperature audit; those that cannot be drawn say why.

    Args:
        run: what was found.
        name: put before the name of each.
    """
    if run.occupancy is None:
        return ()
    return (
        _raster(run, f"{name}-raster"),
        _dwell(run, f"{name}-dwell"),
        _occupancy(run, f"{name}-occupancy"),
        _audit(run, f"{name}-audit"),
    )


def _raster(run: RunStability, name: str) -> Drawing:
    rasters = {
        episode.episode + 1: episode.steady_labels.raster
        for episode in run.episodes
        if episode.steady_labels and len(episode.steady_labels.raster)
    }
    shown = dict(list(rasters.items())[:MOST_EPISODES])
    missing = len(run.episodes) - len(rasters)
    told = (
        f"labels of {sum(map(len, shown.values()))} gait cycles in {len(shown)} episodes"
        if rasters
        else "There are no gait cycles to draw."
    )
    caption = (
        "A column is a gait cycle, from touchdown at the bottom to the next at the top; a block is "
        "an episode. Bands: each phase keeps its label. Noise: it does not."
    )
    if rasters and missing:
        caption += f" {missing} of {len(run.episodes)} episodes have no gait cycle."
    if len(shown) < len(rasters):
        caption += f" The first {MOST_EPISODES} are shown."
    figure = label_raster(shown) if rasters else None
    terms = ("locking_u", "fleiss_kappa")
    return Drawing(name, "Labels by gait cycle and phase", told, caption, figure, terms)


def _dwell(run: RunStability, name: str) -> Drawing:
    steady = any(episode.gait.cycles.count for episode in run.episodes)
    found = [episode.steady_labels if steady else episode.labels for episode in run.episodes]
    segments = [each.segments for each in found if each]
    whole = [(each.label[~each.censored], each.length[~each.censored]) for each in segments]
    label = np.concatenate([own for own, _ in whole])
    seconds = np.concatenate([length for _, length in whole]) * run.frame_dt_s
    dwell_s = {int(k): seconds[label == k] for k in np.unique(label)}
    names = {each.label: each.name for each in run.label_names}
    frames = "steady frames" if steady else "all frames, for there are no gait cycles"
    told = (
        f"dwell times of {len(dwell_s)} labels"
        if dwell_s
        else "No label was seen to come and to go."
    )
    caption = (
        f"How long labels stay before they switch, over {frames}; n segments that were seen whole, "
        f"all bars of a label to one scale. The upright line is the median; the last bar holds "
        f"whatever lasts longer."
    )
    figure = dwell_histograms(dwell_s, names, run.frame_dt_s) if dwell_s else None
    return Drawing(name, "Dwell", told, caption, figure, ("dwell_cv",))


def _occupancy(run: RunStability, name: str) -> Drawing:
    shares = {}
    for title, found in (
        ("all frames", [episode.labels for episode in run.episodes]),
        ("steady frames", [episode.steady_labels for episode in run.episodes]),
    ):
        own = [each for each in found if each and each.frames]
        if own:
            weights = [each.frames for each in own]
            shares[title] = np.average([each.occupancy.share for each in own], 0, weights)
    caption = "How the frames are shared out between the labels; steady frames are in gait cycles."
    told = f"shares of labels among {' and '.join(shares)}" if shares else "There are no frames."
    figure = occupancy_bars(shares) if shares else None
    return Drawing(name, "Occupancy", told, caption, figure, ("dominant_share",))


def _audit(run: RunStability, name: str) -> Drawing:
    title = "Temperature audit"
    caption = (
        "Soft metrics of the median episode as they would be at other temperatures; the dotted "
        "line is the checkpoint's own. Where the left curves lie near 0 there, soft metrics are "
        "blind: whatever the agent does passes for stable."
    )
    terms = ("rule_agreement", "confidence")
    if not run.audit:
        told = (
            "No temperature audit: fitted labels have no temperature."
            if run.tau is None
            else "No temperature audit: the trace does not hold the partition, or no frame is left."
        )
        return Drawing(name, title, told, caption, None, terms)
    assert run.tau is not None
    curves = AuditCurves(
        tau=[each.tau for each in run.audit],
        checkpoint_tau=run.tau,
        within_cycle_mi_bits=[each.within_cycle_mi_bits for each in run.audit],
        between_cycle_mi_bits=[each.between_cycle_mi_bits for each in run.audit],
        confidence=[each.confidence for each in run.audit],
        rule_agreement=[each.rule_agreement for each in run.audit],
    )
    own = next(each for each in run.audit if each.tau == run.tau)
    told = (
        f"soft metrics against the temperature; at the checkpoint's own, {run.tau:g}, confidence "
        f"is {own.confidence:.2f} and rule agreement {own.rule_agreement:.2f}"
    )
    return Drawing(name, title, told, caption, temperature_audit(curves), terms)


LOCKED = "Labels locked, if dominant_share holds, or all others do"
OSCILLATE = "Labels oscillate, if one of the first three holds; fleiss_kappa only with the last"


def evidence_of(run: RunStability) -> tuple[EvidenceGroup, ...]:
    """Criteria of the gaits, those of a hop and of what was found first, then of the labels."""
    episodes = run.episodes
    gaits = list(episodes[0].gait_verdict.candidates)
    found = {"hop", *run.gait.split}
    groups = [_gait_group(run, gait, gait not in found) for gait in gaits]
    groups.sort(key=lambda group: group.folded)
    verdicts = [episode.label_verdict for episode in episodes]
    if all(each.criteria for each in verdicts):
        found_labels = [LabelCriteria.of(each) for each in verdicts]
        locked = [(each.one, each.enough, *each.locked) for each in found_labels]
        oscillating = [(*each.oscillating, each.alike) for each in found_labels]
        unfolded = sum(not group.folded for group in groups)
        groups[unfolded:unfolded] = [
            EvidenceGroup(LOCKED, _pooled(locked)),
            EvidenceGroup(OSCILLATE, _pooled(oscillating)),
        ]
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
    criteria = LabelCriteria.of(episode.label_verdict)
    for each in (criteria.enough, *criteria.locked):
        if not each.met:
            return _missed(each)
    return next(
        _missed(each, "is a sign of oscillation")
        for each in (*criteria.oscillating, criteria.alike)
        if each.met
    )


def _missed(criterion: Criterion, why: str = "") -> Missed:
    if criterion.value is None:
        return Missed(criterion.name, f"not measured, {_limit(criterion)}")
    told = f"{criterion.value:.3g}, {_limit(criterion)}, margin {criterion.margin:+.3g}"
    return Missed(criterion.name, f"{told}{why and f': {why}'}")


def _limit(criterion: Criterion) -> str:
    return f"{'≥' if criterion.at_least else '≤'} {criterion.threshold:.3g}"


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


FRAMES = 9

CYCLES = 2
"""A strip lasts so many gait cycles; the last picture is the touchdown that ends them."""

WIDTH, HEIGHT = 240, 264
JPEG_QUALITY = 80


class StripMaker:
    """Draws strips. Close it, or use it as a context manager.

    Where nothing can be drawn, a strip without pictures says why.
    """

    def __init__(self, open_renderer: OpenRenderer = MujocoRenderer) -> None:
        self._stills = StillMaker(open_renderer)
        self._failure: GlassvizError | None = None

    def strip(self, trace: Trace, stability: RunStability) -> Strip:
        """A strip of the median episode: two cycles, or all of it where it has none."""
        episode = median_episode(stability)
        frames, told = chosen_frames(stability.episodes[episode].gait.cycles, trace.frames)
        controller = CONTROLLER_NAMES.get(stability.controller, stability.controller)
        caption = f"Episode {episode + 1} of {trace.episodes} by the {controller}, {told}."
        try:
            if self._failure:  # Whoever has failed to draw once would fail for every card.
                raise self._failure
            scene = self._stills.prepare(trace.header["env"]["physics"], WIDTH, HEIGHT)
        except GlassvizError as error:
            self._failure = error
            return Strip((), f"No film strip: {error}")
        phase = stability.episodes[episode].gait.cycles.phase / (2 * np.pi)
        pictures = []
        for t in frames.tolist():
            drawn = self._stills.draw(scene, trace.qpos[episode, t], trace.qvel[episode, t])
            label = int(trace.label[episode, t])
            pictures.append(
                Picture(
                    jpeg=_jpeg(drawn),
                    width=WIDTH,
                    height=HEIGHT,
                    chip=chip(label) if trace.has_labels else None,
                    time_s=float(trace.time[episode, t]),
                    phase=float(phase[t]) if np.isfinite(phase[t]) else None,
                )
            )
        return Strip(tuple(pictures), caption)

    def close(self) -> None:
        """Free what the renderers hold."""
        self._stills.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def chip(label: int) -> Chip:
    """The chip of a label."""
    color = label_color(label)
    return Chip(label, color, ink_on(color))


def chosen_frames(cycles: Cycles, frames: int) -> tuple[Int[np.ndarray, " chosen"], str]:
    """Frames of a strip, and what they show, in words.

    Those of two cycles that follow each other; else of one cycle; without any, of the whole
    episode.
    """
    found = consecutive_cycles(cycles, CYCLES)
    if found is None:
        told = "from its reset to its end, for it has no gait cycles"
        return evenly(0, frames - 1, FRAMES), told
    first, count = found
    start, end = int(cycles.starts[first]), int(cycles.ends[first + count - 1])
    told = f"{'two gait cycles' if count == 2 else 'one gait cycle'} from touchdown on"
    return evenly(start, min(end, frames - 1), FRAMES), told


def _jpeg(picture: UInt8[np.ndarray, "height width 3"]) -> bytes:
    file = io.BytesIO()
    Image.fromarray(picture).save(file, "JPEG", quality=JPEG_QUALITY, optimize=True)
    return file.getvalue()
