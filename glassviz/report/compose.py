"""Composition of the report: lead, table of runs, comparison, cards, glossary, sources."""

from collections.abc import Callable, Iterable, Sequence
from contextlib import closing
from dataclasses import replace

from glassviz import environment
from glassviz.compare.compare import Comparison
from glassviz.compare.single_label import single_label
from glassviz.gait.verdict import GAIT_THRESHOLDS
from glassviz.metrics.glossary import Metric, metric
from glassviz.metrics.stability import EpisodeStability, RunStability
from glassviz.metrics.verdict import LABEL_THRESHOLDS
from glassviz.report.page import Card, Chip, Drawing, EpisodeRow, Page, Row, Side, Source, Tone
from glassviz.report.phrases.numbers import NONE, majority, shown_mean, shown_return
from glassviz.report.phrases.summary import (
    card_facts,
    label_split,
    lead,
    return_and_gait,
    source_facts,
)
from glassviz.report.phrases.verdicts import (
    basin_name,
    basin_reasons,
    basin_why,
    episode_reason,
    failure,
    labels_used,
    shown_gait,
    shown_labels,
)
from glassviz.report.sections import (
    StripMaker,
    answers_of,
    chip,
    drawings_of,
    evidence_of,
    first_missed,
    parts_of,
)
from glassviz.rollout.batch import Failed
from glassviz.rollout.run import Run
from glassviz.text import printable
from glassviz.video.backdrop import Background
from glassviz.video.clip import CONTROLLER_NAMES
from glassviz.video.renderer import MujocoRenderer, OpenRenderer

TITLE = "Basin classification report"

TABLE_TERMS = ("locking_u", "fleiss_kappa", "switches_per_cycle")

_TONES: dict[str, Tone] = {"stable-hop": "good", "stable": "good", "unstable": "bad"}


def compose(
    rows: Sequence[Run | Failed],
    command: str,
    together: Comparison | None = None,
    on_card: Callable[[int, int], None] = lambda done, total: None,
    open_renderer: OpenRenderer = MujocoRenderer,
    background: Background = "sky",
) -> Page:
    """Compose the page.

    Args:
        rows: runs from `assess_all`.
        together: comparison of the runs; None leaves that part out.
        on_card: called with the number of finished checkpoints and their total.
        background: of the pictures: see `backdrop.set_backdrop`.

    Raises:
        GlassvizError: a trace is no longer what it was.
    """
    runs: dict[tuple[str, str], list[Run]] = {}
    for row in rows:
        if isinstance(row, Run):
            runs.setdefault(_key(row), []).append(row)
    anchors = {key: f"run-{i}" for i, key in enumerate(runs, start=1)}
    cards, sources = [], []
    with closing(StripMaker(open_renderer, background)) as strips:
        for done, (key, own) in enumerate(runs.items(), start=1):
            cards.append(_card(anchors[key], own, strips))
            sources += [_source(row) for row in own]
            on_card(done, len(runs))
    parts = parts_of(together)
    shared = _shared(cards)
    return Page(
        title=TITLE,
        command=printable(command, limit=len(command)),
        verdict=lead(rows, together),
        rows=tuple(
            assessed_row(row, anchors[_key(row)], rows) if isinstance(row, Run) else failed_row(row)
            for row in rows
        ),
        labels=labels_used([row.stability for row in rows if isinstance(row, Run)]),
        together=parts,
        shared=shared,
        cards=tuple(
            replace(card, facts=tuple(each for each in card.facts if each not in shared))
            for card in cards
        ),
        terms=terms_of(
            (side for card in cards for side in card.sides),
            (drawing for part in parts for drawing in part.drawings),
        ),
        thresholds={
            verdict: [(name, f"{value:.3g}") for name, value in vars(thresholds).items()]
            for verdict, thresholds in (("Gait", GAIT_THRESHOLDS), ("Labels", LABEL_THRESHOLDS))
        },
        sources=tuple(sources),
        versions=environment.versions() | _commit(),
    )


def _shared(cards: Sequence[Card]) -> tuple[str, ...]:
    """Facts that are the same for all of several checkpoints."""
    if len(cards) < 2:
        return ()
    return tuple(each for each in cards[0].facts if all(each in other.facts for other in cards[1:]))


def _key(row: Run) -> tuple[str, str]:
    return row.stability.checkpoint_sha256, row.name


def assessed_row(row: Run, anchor: str, rows: Sequence[Run | Failed] = ()) -> Row:
    """Row of a run in the table of all runs, `rows`."""
    run = row.stability
    return Row(
        name=row.name,
        controller=row.controller,
        anchor=anchor,
        episodes=str(len(run.episodes)),
        returns=shown_return(run.returns),
        gait=shown_gait(run.gait),
        labels=shown_labels(run, single_label(row, rows)),
        seen=NONE if run.occupancy is None else str(len(run.occupancy.visited)),
        locking=shown_mean(run.metrics["locking_u"]),
        kappa=shown_mean(run.metrics["fleiss_kappa"]),
        switches=shown_mean(run.metrics["switches_per_cycle"], "z.1f"),
        basin=basin_name(run.basin),
        tone=tone_of(run.basin.name),
        reason=basin_why(run.basin),
    )


def failed_row(row: Failed) -> Row:
    """Row of a run that could not be assessed."""
    return Row(name=row.name, controller=row.controller or "", error=failure(row))


def _card(anchor: str, rows: Sequence[Run], strips: StripMaker) -> Card:
    best = max(range(len(rows)), key=lambda i: rows[i].stability.returns.mean)
    run = rows[best].stability
    return Card(
        anchor=anchor,
        name=rows[0].name,
        facts=card_facts(run),
        strip=strips.strip(rows[best].trace, run),
        sides=tuple(
            side_of(row, drawings_of(row.stability, f"{anchor}-{i}")) for i, row in enumerate(rows)
        ),
    )


def side_of(row: Run, drawings: tuple[Drawing, ...] = ()) -> Side:
    """One checkpoint under one controller, with its figures if there are any."""
    run = row.stability
    return Side(
        controller=CONTROLLER_NAMES.get(run.controller, run.controller),
        basin=majority(run.basin.name, run.basin.split),
        tone=tone_of(run.basin.name),
        reasons=basin_reasons(run.basin),
        summary=f"{return_and_gait(run)} {label_split(run)}".strip(),
        chips=_chips(run),
        drawings=drawings,
        evidence=evidence_of(run),
        answers=answers_of(row),
        episodes=tuple(map(_episode, run.episodes)),
    )


def _chips(run: RunStability) -> tuple[tuple[Chip, str], ...]:
    """Labels that are visited, most common first, with name and share."""
    if run.occupancy is None:
        return ()
    share = run.occupancy.share.tolist()
    visited = [name for name in run.label_names if share[name.label]]
    names = sorted(visited, key=lambda name: -share[name.label])
    return tuple((chip(each.label), f"{each.name}, {share[each.label]:.0%}") for each in names)


def _episode(episode: EpisodeStability) -> EpisodeRow:
    gait, labels = episode.gait, episode.steady_labels
    agreement = labels.agreement if labels else None
    kappa = agreement.fleiss_kappa if agreement else None
    return EpisodeRow(
        episode=episode.episode + 1,
        reset_seed=episode.reset_seed,
        episode_return=f"{episode.episode_return:.0f}",
        gait=episode.gait_verdict.name,
        labels=episode.label_verdict.verdict,
        basin=episode.basin.name,
        tone=tone_of(episode.basin.name),
        cycles=str(gait.cycles.count),
        falls=str(len(gait.falls)) if gait.body.feet else NONE,
        kappa=NONE if kappa is None else f"{kappa:.2f}",
        missed=first_missed(episode),
        reason=episode_reason(episode.basin),
    )


def tone_of(basin: str) -> Tone:
    """Tone that a basin is coloured in."""
    return _TONES.get(basin, "mixed")


def terms_of(sides: Iterable[Side], drawings: Iterable[Drawing] = ()) -> dict[str, Metric]:
    """Glossary entries of the metrics that a page shows, by name."""
    names = {*TABLE_TERMS, *(name for drawing in drawings for name in drawing.terms)}
    for side in sides:
        names |= {name for drawing in side.drawings for name in drawing.terms}
        names |= {each.name for group in side.evidence for each in group.criteria}
    # Some are fields: the entry then has another name than what is shown.
    return {name: replace(metric(name), name=name) for name in sorted(names)}


def _source(row: Run) -> Source:
    run = row.stability
    return Source(
        row.name, row.controller, run.checkpoint_sha256, run.trace_sha256, source_facts(row.header)
    )


def _commit() -> dict[str, str]:
    commit = environment.git_commit()
    return {"commit": commit[:12]} if commit else {}
