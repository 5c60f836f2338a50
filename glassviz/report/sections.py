"""Sections of the report: answers, comparison, figures, evidence, film strips."""

import io
from collections.abc import Iterable, Sequence
from dataclasses import replace
from statistics import median

import numpy as np
from jaxtyping import Int, UInt8
from PIL import Image

from glassviz.compare.compare import Comparison, ControllerRuns
from glassviz.compare.correspondence import Correspondence, LabelPair
from glassviz.compare.matching import LabelMatches
from glassviz.compare.returns import NAMED, PRIMARY, MetricCorrelation
from glassviz.errors import GlassvizError
from glassviz.figures.labels import (
    dwell_histograms,
    label_raster,
    occupancy_bars,
    temperature_audit,
)
from glassviz.figures.returns import Panel, against_return
from glassviz.gait.cycles import Cycles
from glassviz.gait.verdict import GAIT_THRESHOLDS as GAIT
from glassviz.gait.verdict import Criterion
from glassviz.metrics.stability import OF_LABELS, EpisodeStability, RunStability, median_episode
from glassviz.metrics.verdict import OWN_GAITS, STABLE, LabelCriteria
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
from glassviz.report.phrases import captions, summary
from glassviz.report.phrases import comparison as phrases
from glassviz.report.phrases.numbers import NONE, figure, interval, p_value
from glassviz.report.phrases.summary import answers
from glassviz.rollout.run import Run
from glassviz.text import count_of
from glassviz.trace import Trace
from glassviz.video.backdrop import Background
from glassviz.video.clip import CONTROLLER_NAMES
from glassviz.video.renderer import (
    MujocoRenderer,
    OpenRenderer,
    StillMaker,
    consecutive_cycles,
    evenly,
)


def answers_of(row: Run) -> tuple[Answer, ...]:
    """Answers about one checkpoint under one controller."""
    return tuple(Answer(*each) for each in answers(row.stability, row.recorded))


def table_of(found: Correspondence) -> Table:
    """Labels matched on common observations: one row per run, one column per reference label."""
    reference = found.reference
    columns = found.visited[reference]
    others = [run for run in found.runs if run != reference]
    scores = ("unmatched", "frames", "AMI", "in cycles", "by chance", "p")
    head = ("run", *(f"label {label}" for label in columns), *scores)
    rows = tuple(_row(run, found, columns) for run in others)
    title = f"Labels matched with those of {reference}"
    return Table(title, head, rows, captions.matched_labels(found))


def phase_table(found: LabelMatches) -> Table:
    """Labels matched by gait phase alone: one row per run, one column per reference label."""
    reference = found.reference
    assert reference is not None
    rows = []
    matched: set[int] = set()
    for name, clusters in found.clusters.items():
        match = found.pair(reference, name)
        if match is None or name == reference:
            continue
        partners = match.matching.partner.tolist()
        alike = match.matching.similarity.tolist()
        cells = {k: f"{other} ({alike[k]:.2f})" for k, other in enumerate(partners) if other >= 0}
        matched |= cells.keys()
        taken = set(partners)
        unmatched = [str(label) for label in range(clusters) if label not in taken]
        rows.append((name, cells, ", ".join(unmatched) or NONE))
    columns = sorted(matched)
    head = ("run", *(f"label {label}" for label in columns), "unmatched")
    filled = tuple((name, *(own.get(k, NONE) for k in columns), alone) for name, own, alone in rows)
    title = f"Labels matched with those of {reference}"
    return Table(title, head, filled, captions.labels_matched_by_phase(reference))


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
        figure(pair.agreement.ami),
        figure(test.observed.ami if test else None),
        figure(test.null_ami if test else None),
        NONE if test is None or test.ami_p is None else p_value(test.ami_p).removeprefix("p = "),
    )


def _matches(pair: LabelPair, reference: str) -> dict[int, tuple[int, float]]:
    """For each matched label of the reference: the other run's label and their similarity."""
    partners = zip(pair.matching.partner.tolist(), pair.matching.similarity.tolist(), strict=True)
    matched = [(one, other, alike) for one, (other, alike) in enumerate(partners) if other >= 0]
    if pair.one == reference:
        return {one: (other, alike) for one, other, alike in matched}
    return {other: (one, alike) for one, other, alike in matched}


TITLE = "Stability against return"
DRAWN = (PRIMARY, *NAMED)


def drawing_of(own: ControllerRuns, name: str) -> Drawing | None:
    """Primary and named metrics against return, one point per run.

    None for a single run, or if returns have no common scale.
    """
    found = {each.metric: each for each in own.stability_and_return.correlations}
    if not found or len(own.runs) < 2:
        return None
    returns = dict(zip(own.returns.runs, own.returns.values, strict=True))
    order = sorted(returns, key=lambda run: (-returns[run], run))
    number = {run: i for i, run in enumerate(order, start=1)}
    drawn = [found[metric] for metric in DRAWN]
    if not any(each.runs for each in drawn):
        return Drawing(name, TITLE, captions.no_returns_figure(DRAWN), "", None, DRAWN)
    figure = against_return(
        [
            Panel(
                each.metric,
                captions.returns_panel(each),
                {number[run]: value for run, value in zip(each.runs, each.values, strict=True)},
            )
            for each in drawn
        ],
        {number[run]: value for run, value in returns.items()},
        {number[run]: each.basin for each in own.basins for run in each.returns.runs},
    )
    alt = captions.returns_alt(DRAWN, len(order))
    return Drawing(name, TITLE, alt, captions.returns(number, drawn), figure, DRAWN)


def tables_of(own: ControllerRuns) -> tuple[Table, ...]:
    """Correlations of all metrics with return: label metrics and body metrics."""
    found = own.stability_and_return
    within = [
        # One of several p values, and not adjusted for their number.
        (f"{PRIMARY} within {basin}", replace(each, adjusted_p=None))
        for basin, each in found.within_basins.items()
    ]
    named = [(each.metric, each) for each in found.correlations]
    groups = {
        "Label metrics and return": [*[pair for pair in named if pair[0] in OF_LABELS], *within],
        "Body metrics and return": [pair for pair in named if pair[0] not in OF_LABELS],
    }
    head = ("metric", "n", "ρ", "95 %", "p", "smallest p", "adjusted p")
    return tuple(
        Table(title, head, rows, captions.correlations([k for k, own in pairs if own.test is None]))
        for title, pairs in groups.items()
        if (rows := tuple(_rows(pairs)))
    )


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


def parts_of(together: Comparison | None) -> tuple[Part, ...]:
    """Parts of the comparison of runs; empty if there is nothing to compare."""
    if together is None:
        return ()
    count = count_of(len(together.checkpoints), "checkpoint")
    parts = [Part(f"Differences between {count}", phrases.answers(together.answers))]
    if together.controllers:
        pairs = map(phrases.controller_pair, together.controllers.pairs)
        parts.append(
            Part("Planner and policy", (phrases.controllers(together.controllers), *pairs))
        )
    caveats = phrases.caveats(together.caveats)
    for i, own in enumerate(together.by_controller, start=1):
        title = f"With the {CONTROLLER_NAMES.get(own.controller, own.controller)}"
        told = tuple(phrases.of_controller(own, caveats))
        drawing = drawing_of(own, f"returns-{i}")
        parts.append(Part(title, told, (drawing,) if drawing else (), tables_of(own)))
    if together.correspondence:
        found = together.correspondence
        told = (phrases.correspondence(found), *map(phrases.run_left_out, found.left_out))
        parts.append(Part("Label correspondence", told, tables=(table_of(found),)))
    elif together.no_correspondence:
        matches = together.label_matches
        reason = phrases.not_compared(together.no_correspondence, by_phase=bool(matches.pairs))
        tables = (phase_table(matches),) if matches.pairs else ()
        parts.append(Part("Label correspondence", (reason,), tables=tables))
    left_out = [*map(phrases.run_left_out, together.left_out)]
    if caveats or left_out:
        parts.append(Part("Caveats", (*caveats, *left_out)))
    return tuple(parts)


MOST_EPISODES = 40
"""Upper limit of the episodes in a raster."""


def drawings_of(run: RunStability, name: str) -> tuple[Drawing, ...]:
    """Raster, dwell, occupancy and temperature audit, or why one cannot be drawn.

    Args:
        name: prefix of the drawings' names.
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
    cycles = sum(map(len, shown.values()))
    alt = captions.raster_alt(cycles, len(shown)) if rasters else captions.NO_RASTER
    caption = captions.raster(len(shown), len(rasters), len(run.episodes))
    figure = label_raster(shown) if rasters else None
    terms = ("locking_u", "fleiss_kappa")
    return Drawing(name, "Labels by gait cycle and phase", alt, caption, figure, terms)


def _dwell(run: RunStability, name: str) -> Drawing:
    steady = any(episode.gait.cycles.count for episode in run.episodes)
    found = [episode.steady_labels if steady else episode.labels for episode in run.episodes]
    segments = [each.segments for each in found if each]
    whole = [(each.label[~each.censored], each.length[~each.censored]) for each in segments]
    label = np.concatenate([own for own, _ in whole])
    seconds = np.concatenate([length for _, length in whole]) * run.frame_dt_s
    dwell_s = {int(k): seconds[label == k] for k in np.unique(label)}
    names = {each.label: each.name for each in run.label_names}
    alt = captions.dwell_alt(len(dwell_s)) if dwell_s else captions.NO_DWELL
    figure = dwell_histograms(dwell_s, names, run.frame_dt_s) if dwell_s else None
    caption = "" if steady else captions.ALL_FRAMES
    return Drawing(name, "Dwell", alt, caption, figure, ("dwell_cv",))


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
    alt = captions.occupancy_alt(shares) if shares else captions.NO_OCCUPANCY
    figure = occupancy_bars(shares) if shares else None
    return Drawing(name, "Occupancy", alt, "", figure, ("dominant_share",))


def _audit(run: RunStability, name: str) -> Drawing:
    title = "Temperature audit"
    terms = ("rule_agreement", "confidence")
    if not run.audit:
        return Drawing(name, title, captions.no_audit(run), "", None, terms)
    assert run.tau is not None
    own = next(each for each in run.audit if each.tau == run.tau)
    figure = temperature_audit(run.audit, run.tau)
    return Drawing(name, title, captions.audit_alt(own), "", figure, terms)


def evidence_of(run: RunStability) -> tuple[EvidenceGroup, ...]:
    """Criteria of the verdicts: the task's gait and those of the run, labels, then other gaits."""
    episodes = run.episodes
    found = {*OWN_GAITS[episodes[0].basin.cause.goal], *run.gait.split}
    groups = [
        EvidenceGroup(
            summary.gait_criteria(gait),
            _pooled([episode.gait_verdict.candidates[gait] for episode in episodes]),
            folded=gait not in found,
        )
        for gait in episodes[0].gait_verdict.candidates
    ]
    groups.sort(key=lambda group: group.folded)
    verdicts = [episode.label_verdict for episode in episodes]
    if all(each.criteria for each in verdicts):
        found_labels = [LabelCriteria.of(each) for each in verdicts]
        locked = [(each.one, each.enough, *each.locked) for each in found_labels]
        oscillating = [(*each.oscillating, each.alike) for each in found_labels]
        unfolded = sum(not group.folded for group in groups)
        groups[unfolded:unfolded] = [
            EvidenceGroup(summary.LOCKED, _pooled(locked)),
            EvidenceGroup(summary.OSCILLATE, _pooled(oscillating)),
        ]
    return tuple(groups)


def first_missed(episode: EpisodeStability) -> Missed | None:
    """First criterion of a stable run that an episode misses or does not clearly meet.

    Criteria of the task's gait come before those of locked labels. None for a stable one.
    """
    if episode.basin.name in STABLE:
        return None
    own = OWN_GAITS[episode.basin.cause.goal]
    if episode.gait_verdict.name not in own:
        candidates = episode.gait_verdict.candidates
        wanted = next(criteria for name, criteria in candidates.items() if name in own)
        for each in wanted:
            if each.margin is None or each.margin < GAIT.tolerance * each.threshold:
                return _missed(each, summary.TOO_CLOSE if each.met else "")
    if not episode.label_verdict.criteria:
        return Missed("", "no labels")
    criteria = LabelCriteria.of(episode.label_verdict)
    for each in (criteria.enough, *criteria.locked):
        if not each.met:
            return _missed(each)
    return next(
        _missed(each, summary.OSCILLATES)
        for each in (*criteria.oscillating, criteria.alike)
        if each.met
    )


def _missed(criterion: Criterion, why: str = "") -> Missed:
    return Missed(criterion.name, summary.missed(criterion, why))


def _pooled(criteria: Sequence[Sequence[Criterion]]) -> tuple[Evidence, ...]:
    """Each criterion over all episodes."""
    names = dict.fromkeys((each.name, each.at_least) for own in criteria for each in own)
    return tuple(
        _evidence([each for own in criteria for each in own if (each.name, each.at_least) == name])
        for name in names
    )


def _evidence(criteria: Sequence[Criterion]) -> Evidence:
    first = criteria[0]
    values = [each.value for each in criteria if each.value is not None]
    middle = replace(first, value=median(values) if values else None)
    return Evidence(
        name=first.name,
        threshold=summary.limit(first),
        value=NONE if middle.value is None else f"{middle.value:.3g}",
        margin=NONE if middle.margin is None else f"{middle.margin:+.3g}",
        met=sum(bool(each.met) for each in criteria),
        episodes=len(criteria),
        dots=tuple(_place(each) for each in criteria if each.value is not None),
    )


def _place(criterion: Criterion) -> float:
    """Position of a value on [0, 1]: 0.5 is the threshold, 1 a margin as large as the threshold."""
    assert criterion.margin is not None
    scale = 2 * abs(criterion.threshold) or 1.0
    return min(max(0.5 + criterion.margin / scale, 0.0), 1.0)


FRAMES = 9

CYCLES = 2
"""Gait cycles in a strip; the last picture is the touchdown that ends them."""

WIDTH, HEIGHT = 240, 264
JPEG_QUALITY = 80


class StripMaker:
    """Draws film strips. Close it, or use it as a context manager.

    If nothing can be drawn, the strip has no pictures and its caption says why.
    """

    def __init__(
        self, open_renderer: OpenRenderer = MujocoRenderer, background: Background = "sky"
    ) -> None:
        self._stills = StillMaker(open_renderer, background)
        self._failure: GlassvizError | None = None

    def strip(self, trace: Trace, stability: RunStability) -> Strip:
        """Strip of the median episode: two gait cycles, or all of it without cycles."""
        episode = median_episode(stability)
        frames, cycles = chosen_frames(stability.episodes[episode].gait.cycles, trace.frames)
        caption = captions.strip(episode, trace.episodes, stability.controller, cycles)
        try:
            if self._failure:  # It would fail again for every card.
                raise self._failure
            scene = self._stills.prepare(trace, WIDTH, HEIGHT)
        except GlassvizError as error:
            self._failure = error
            return Strip((), captions.no_strip(error))
        phase = stability.episodes[episode].gait.cycles.phase / (2 * np.pi)
        pictures = []
        reset_seed = trace.header["reset_seeds"][episode]
        for t in frames.tolist():
            state = trace.qpos[episode, t], trace.qvel[episode, t]
            drawn = self._stills.draw(scene, *state, reset_seed)
            label = int(trace.label[episode, t]) if trace.has_labels else None
            time_s = float(trace.time[episode, t])
            at = float(phase[t]) if np.isfinite(phase[t]) else None
            pictures.append(
                Picture(
                    jpeg=_jpeg(drawn),
                    width=WIDTH,
                    height=HEIGHT,
                    alt=captions.frame_alt(trace.body.name, time_s, label, at),
                    chip=None if label is None else chip(label),
                    time_s=time_s,
                    phase=at,
                )
            )
        return Strip(tuple(pictures), caption)

    def close(self) -> None:
        """Release the renderers."""
        self._stills.close()


def chip(label: int) -> Chip:
    """The chip of a label."""
    color = label_color(label)
    return Chip(label, color, ink_on(color))


def chosen_frames(cycles: Cycles, frames: int) -> tuple[Int[np.ndarray, " chosen"], int]:
    """Frames of a strip, and how many gait cycles they show.

    Two consecutive cycles if there are any, else one cycle, else the whole episode.
    """
    found = consecutive_cycles(cycles, CYCLES)
    if found is None:
        return evenly(0, frames - 1, FRAMES), 0
    first, count = found
    start, end = int(cycles.starts[first]), int(cycles.ends[first + count - 1])
    return evenly(start, min(end, frames - 1), FRAMES), count


def _jpeg(picture: UInt8[np.ndarray, "height width 3"]) -> bytes:
    file = io.BytesIO()
    Image.fromarray(picture).save(file, "JPEG", quality=JPEG_QUALITY, optimize=True)
    return file.getvalue()
