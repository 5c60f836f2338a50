"""The grid film: visits to every label side by side, aligned by gait phase or onset."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64, Int

from glassviz.errors import UsageError
from glassviz.export.alignment import AFTER_S, BEFORE_S, Piece, cycle_pieces, onset_pieces, spread
from glassviz.export.product import Source, mosaic_rate
from glassviz.report.phrases.numbers import speed_words
from glassviz.text import count_of, listed
from glassviz.video.clip import Clip
from glassviz.video.encode import Format
from glassviz.video.mosaic import (
    GAP,
    Bar,
    Cell,
    Mosaic,
    Sheet,
    Track,
    fitted_cell,
    label_bar,
    share_bar,
)
from glassviz.video.renderer import BODY_VIEW, Quality, Scene

COLUMNS = 6
SPEEDS = (0.25, 0.5, 1.0)

LASTS_S = 8.0
"""Approximate maximum duration of the film; the slowest of `SPEEDS` that meets it is used."""

CYCLES = 2
"""Gait cycles per cell; two show labels around touchdown without a cut."""

MIN_VISITS = 3
"""Minimum number of visits for a row; fewer would not be representative."""

HEADER = 210
"""Width of the rows' names, pixels."""


@dataclass(frozen=True, eq=False)
class GridRow:
    """A row of the grid.

    Attributes:
        pieces: pieces in which the label occurs.
        of: total number of pieces, with and without the label; None for pieces around its onsets.
    """

    label: int
    pieces: tuple[Piece, ...]
    of: int | None


@dataclass(frozen=True, eq=False)
class GridPlan:
    """Content of the grid film.

    Attributes:
        rows: labels with their visits, in the order of their gait phases.
        skipped: reasons by label without a row.
        cycles: gait cycles per cell; 0 for cells aligned at onsets, in real time.
        period_s: duration of a gait cycle at real speed; None without gait cycles.
    """

    rows: tuple[GridRow, ...]
    skipped: dict[int, str]
    cycles: int
    period_s: float | None


def plan_grid(source: Source) -> GridPlan:
    """Find the visits to every label.

    Raises:
        UsageError: there are no labels, or no label has enough visits.
    """
    if not source.trace.has_labels:
        raise UsageError(
            f"{source.name}: expected labels for a grid, found an agent without labels: fit some "
            f"with `glassviz fit {source.run.target}` and add --labels fitted"
        )
    cycles, pieces = _pieces(source)
    rows, skipped = [], {}
    for label in range(source.trace.clusters):
        visits = _visits(source, label, pieces) if cycles else _onsets(source, label)
        if len(visits) < MIN_VISITS:
            skipped[label] = _reason(source, label, len(visits), cycles)
        else:
            rows.append(GridRow(label, tuple(visits), len(pieces) if cycles else None))
    if not rows:
        reasons = "; ".join(f"{label} {reason}" for label, reason in skipped.items())
        raise UsageError(
            f"{source.name}: expected a label with {MIN_VISITS} visits for a grid, found none "
            f"({reasons}): record more episodes"
        )
    if cycles:
        rows.sort(key=lambda row: _mean_phase(source, row.label))
    return GridPlan(tuple(rows), skipped, cycles, source.period_s() if cycles else None)


def usual_speed(plan: GridPlan) -> float:
    """Default playback speed of a grid film."""
    duration_s = BEFORE_S + AFTER_S if plan.period_s is None else plan.cycles * plan.period_s
    return next((speed for speed in SPEEDS if duration_s / speed <= LASTS_S), SPEEDS[-1])


def grid_film(
    source: Source,
    plan: GridPlan,
    format: Format,
    quality: Quality,
    columns: int,
    speed: float,
) -> Mosaic:
    """Lay out the grid film.

    Args:
        columns: maximum number of visits per row.
        speed: playback speed; 1 for real time.
    """
    clock = _clock(plan, speed, float(mosaic_rate(format)))
    playhead = np.linspace(0, 1, len(clock))
    top = 64
    skipped = _skipped_text(plan)
    width, height = fitted_cell(columns, len(plan.rows), HEADER, top + 60)
    sheet = Sheet(HEADER + columns * (width + GAP), top + len(plan.rows) * (height + GAP))
    foot = sheet.wrapped(skipped) if skipped else []
    sheet.grow(16 + 22 * len(foot))
    sheet.title(source.labelled_title, _clock_text(plan, speed))
    cells, bars = [], []
    for i, row in enumerate(plan.rows):
        y = top + i * (height + GAP)
        color = source.colors[row.label]
        for j, piece in enumerate(spread(row.pieces, columns, (i + 0.5) / len(plan.rows))):
            clip = Clip.of(source.trace, piece.episode)
            track = Track.of(clip, piece.frames_at(clock))
            x = HEADER + j * (width + GAP)
            note = f"episode {piece.episode + 1}, {clip.time[piece.first]:.1f} s"
            cells.append(Cell(x, y, track, source.colors, track.label == row.label, note))
        bar = share_bar(_share(source, row, clock), color, HEADER - 40, 26)
        bar_top = sheet.row_name(y, height, row.label, color, _row_text(source, row))
        bars.append(Bar(16, bar_top, bar, playhead))
    if plan.cycles:
        label = _most_frequent(source, clock)
        bar = label_bar(label, source.colors, columns * (width + GAP) - GAP, 10)
        bars.append(Bar(HEADER, top - 20, bar, playhead))
        sheet.text(HEADER - 12, top - 15, "most frequent label", 13, faint=True, anchor="rm")
    for k, line in enumerate(foot):
        sheet.text(16, top + len(plan.rows) * (height + GAP) + 12 + 22 * k, line, faint=True)
    physics = source.trace.header["env"]["physics"]
    scene = Scene(physics, "cam0", width, height, quality, BODY_VIEW)
    return Mosaic(sheet.picture(), tuple(cells), tuple(bars), scene, format, len(clock))


def grid_caption(source: Source, plan: GridPlan, columns: int, speed: float) -> str:
    """Caption of the film: its rows and their alignment."""
    names = source.phase_names()
    rows = ", ".join(
        f"{row.label} ({names.get(row.label, 'no name')}; {min(columns, len(row.pieces))} of "
        f"{len(row.pieces)} visits)"
        for row in plan.rows
    )
    alignment = (
        f"Each cell shows {count_of(plan.cycles, 'gait cycle')} from touchdown, re-timed so that "
        f"all cells show the same phase at any time"
        if plan.cycles
        else f"With too few gait cycles to align by, each cell is in real time, from {BEFORE_S:g} "
        f"s before the onset of its label to {AFTER_S:g} s after it"
    )
    text = (
        f"Rows are labels; columns are visits to them, sampled evenly: {rows}. {alignment}; a cell "
        f"is bright while it has its row's label. {speed_words(speed)}; poses between recorded "
        f"frames are interpolated. Bars show the share of all visits in which the label is "
        f"present."
    )
    skipped = _skipped_text(plan)
    return f"{text} {skipped}" if skipped else text


def _pieces(source: Source) -> tuple[int, list[Piece]]:
    """Gait cycles per piece (two if there are enough, else one), and the pieces; 0 without any."""
    for count in range(CYCLES, 0, -1):
        pieces = [
            piece
            for episode in source.episodes
            for piece in cycle_pieces(source.cycles(episode), episode, count)
        ]
        if len(pieces) >= MIN_VISITS:
            return count, pieces
    return 0, []


def _visits(source: Source, label: int, pieces: list[Piece]) -> list[Piece]:
    visited = source.trace.label == label
    return [piece for piece in pieces if visited[piece.episode, piece.first : piece.last].any()]


def _onsets(source: Source, label: int) -> list[Piece]:
    pieces = []
    for e in source.episodes:
        since = source.stability.episodes[e].gait.opening_end
        visited = source.trace.label[e] == label
        pieces += onset_pieces(visited, e, source.trace.frame_dt_s, since)
    return pieces


def _reason(source: Source, label: int, visits: int, cycles: int) -> str:
    visited = [(source.trace.label[e] == label, source.cycles(e).cycle) for e in source.episodes]
    frames = sum(int(frames.sum()) for frames, _ in visited)
    if not frames:
        return "never visited"
    if cycles and not any((cycle[frames] >= 0).any() for frames, cycle in visited):
        return f"never in a gait cycle, {count_of(frames, 'frame')} outside"
    return f"too few visits: {visits} of the {MIN_VISITS} needed"


def _mean_phase(source: Source, label: int) -> float:
    """Circular mean of the gait phase over a label's frames."""
    phases = np.concatenate(
        [source.cycles(e).phase[source.trace.label[e] == label] for e in source.episodes]
    )
    mean = np.exp(1j * phases[np.isfinite(phases)]).mean()
    return float(np.angle(mean) % (2 * np.pi))


def _clock(plan: GridPlan, speed: float, fps: float) -> Float64[np.ndarray, " film"]:
    """Clock readings of the frames of the film."""
    if plan.period_s is None:
        frames = round((BEFORE_S + AFTER_S) / speed * fps)
        return np.linspace(-BEFORE_S, AFTER_S, frames, endpoint=False)
    frames = round(plan.cycles * plan.period_s / speed * fps)
    return np.linspace(0, plan.cycles, max(frames, 2), endpoint=False)


def _share(
    source: Source, row: GridRow, clock: Float64[np.ndarray, " film"]
) -> Float64[np.ndarray, " film"]:
    """Share of a label's visits in which it is present, by clock reading."""
    return np.mean([_labels(source, piece, clock) == row.label for piece in row.pieces], axis=0)


def _most_frequent(source: Source, clock: Float64[np.ndarray, " film"]) -> Int[np.ndarray, " film"]:
    """The most frequent label of all pieces, by clock reading."""
    pieces = _pieces(source)[1]
    labels = np.stack([_labels(source, piece, clock) for piece in pieces])
    counts = [(labels == k).sum(axis=0) for k in range(source.trace.clusters)]
    return np.argmax(counts, axis=0)


def _labels(
    source: Source, piece: Piece, clock: Float64[np.ndarray, " film"]
) -> Int[np.ndarray, " film"]:
    frames = np.floor(piece.frames_at(clock) + 1e-6).astype(np.int64)
    return source.trace.label[piece.episode, np.minimum(frames, source.trace.frames - 1)]


def _row_text(source: Source, row: GridRow) -> tuple[str, str]:
    name = source.phase_names().get(row.label, "")
    visits = len(row.pieces)
    return name, count_of(visits, "visit") if row.of is None else f"in {visits} of {row.of} clips"


def _clock_text(plan: GridPlan, speed: float) -> str:
    if plan.period_s is None:
        return f"aligned at the label's onset, real time at {speed_words(speed).lower()}"
    return (
        f"{count_of(plan.cycles, 'gait cycle')} of {plan.period_s:.2f} s from touchdown, all cells "
        f"in phase; {speed_words(speed).lower()}"
    )


def _skipped_text(plan: GridPlan) -> str:
    reasons: dict[str, list[str]] = {}
    for label, reason in plan.skipped.items():
        reasons.setdefault(reason, []).append(str(label))
    if not reasons:
        return ""
    text = "; ".join(f"{listed(labels, most=99)} ({why})" for why, labels in reasons.items())
    return f"Without a row: {text}."
