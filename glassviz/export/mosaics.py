"""Films of clips on a common clock: the grid of a run's labels, and the wall of several runs.

Clips are aligned by gait phase or, without enough gait cycles, by the onset of a label.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float64, Int

from glassviz.errors import UsageError
from glassviz.export.figures import Part, shown_part
from glassviz.export.product import SharedColors, Source, mosaic_rate
from glassviz.gait.cycles import Cycles
from glassviz.palette import NO_CLUSTER_COLOR
from glassviz.report.phrases.numbers import speed_words
from glassviz.text import count_of, listed
from glassviz.video.clip import Clip
from glassviz.video.encode import Format
from glassviz.video.film import model_words
from glassviz.video.mosaic import (
    GAP,
    MARGIN,
    Bar,
    Cell,
    Look,
    Mosaic,
    Sheet,
    Track,
    fitted_cell,
    label_bar,
    share_bar,
    truncated,
)

BEFORE_S, AFTER_S = 0.4, 0.8
"""Extent of a piece before and after a label's onset."""

LASTS_S = 8.0
"""Approximate maximum duration of a film."""

COLUMNS = 6

SPEEDS = (0.25, 0.5, 1.0)
"""Speeds of a grid; the slowest of them that meets `LASTS_S` is used."""

CYCLES = 2
"""Gait cycles per cell; two show labels around touchdown without a cut."""

MIN_VISITS = 3
"""Minimum number of visits for a row; fewer would not be representative."""

GRID_HEADER = 210
"""Width of the rows' names, pixels."""

WALL_SPEED = 0.5
MAX_RUNS = 64
WALL_CELL_HEIGHT = 420

ABOVE, BELOW = 58, 28
"""Height of a run's name above its cell, and of its bar below."""


@dataclass(frozen=True, eq=False)
class Piece:
    """A part of an episode, mapped to a clock that pieces have in common.

    Attributes:
        episode: from 0.
        frames: frames with a known clock, ascending.
        clock: clock at these frames: gait cycles since a touchdown, or seconds since an onset.
    """

    episode: int
    frames: Int[np.ndarray, " ties"]
    clock: Float64[np.ndarray, " ties"]

    @property
    def first(self) -> int:
        """First frame."""
        return int(self.frames[0])

    @property
    def last(self) -> int:
        """Last frame (exclusive)."""
        return int(self.frames[-1])

    def frames_at(self, clock: Float64[np.ndarray, " film"]) -> Float64[np.ndarray, " film"]:
        """Fractional frames at clock readings, by linear interpolation."""
        return np.interp(clock, self.clock, self.frames)


def cycle_pieces(cycles: Cycles, episode: int, count: int) -> list[Piece]:
    """Disjoint pieces of `count` consecutive gait cycles."""
    return [
        _piece(cycles, episode, row[j : j + count])
        for row in cycle_rows(cycles)
        for j in range(0, len(row) - count + 1, count)
    ]


def longest_piece(cycles: Cycles, episode: int, most: int) -> Piece | None:
    """The longest run of consecutive gait cycles, or the middle `most` of it; None without any."""
    rows = cycle_rows(cycles)
    if not rows:
        return None
    row = max(rows, key=len)
    count = min(len(row), most)
    first = (len(row) - count) // 2
    return _piece(cycles, episode, row[first : first + count])


def onset_pieces(
    visited: Bool[np.ndarray, " frames"], episode: int, dt_s: float, since: int = 0
) -> list[Piece]:
    """Disjoint pieces around the onsets of a label, in real time.

    `visited` says which frames have the label; onsets up to frame `since` are ignored.
    """
    before, after = round(BEFORE_S / dt_s), round(AFTER_S / dt_s)
    onsets = np.flatnonzero(visited[1:] & ~visited[:-1]) + 1
    pieces: list[Piece] = []
    for onset in onsets[onsets > since].tolist():
        first, last = onset - before, onset + after
        if first >= (pieces[-1].last if pieces else 0) and last < len(visited):
            frames = np.array([first, last])
            pieces.append(Piece(episode, frames, (frames - onset) * dt_s))
    return pieces


def spread(pieces: Sequence[Piece], count: int, offset: float = 0.5) -> list[Piece]:
    """Up to `count` evenly spaced pieces; other offsets, from 0 to below 1, select others."""
    count = min(count, len(pieces))
    return [pieces[int((j + offset) * len(pieces) / count)] for j in range(count)]


def cycle_rows(cycles: Cycles) -> list[list[int]]:
    """Indices of the gait cycles, grouped into runs of consecutive cycles."""
    rows: list[list[int]] = []
    for j in range(cycles.count):
        if j and cycles.ends[j - 1] == cycles.starts[j]:
            rows[-1].append(j)
        else:
            rows.append([j])
    return rows


def _piece(cycles: Cycles, episode: int, row: Sequence[int]) -> Piece:
    frames = np.append(cycles.starts[row[0] : row[-1] + 1], cycles.ends[row[-1]])
    return Piece(episode, frames.astype(np.int64), np.arange(len(frames), dtype=np.float64))


@dataclass(frozen=True, eq=False)
class GridRow:
    """A label, and the pieces in which it occurs."""

    label: int
    pieces: tuple[Piece, ...]


@dataclass(frozen=True, eq=False)
class GridPlan:
    """Content of the grid film.

    Attributes:
        rows: labels with their visits, in the order of their gait phases.
        pieces: all pieces, with and without each label; empty for cells aligned at onsets.
        skipped: reasons by label without a row.
        cycles: gait cycles per cell; 0 for cells aligned at onsets, in real time.
        period_s: duration of a gait cycle at real speed; None without gait cycles.
    """

    rows: tuple[GridRow, ...]
    pieces: list[Piece]
    skipped: dict[int, str]
    cycles: int
    period_s: float | None


def plan_grid(source: Source, part_s: Part | None = None) -> GridPlan:
    """Find the visits to every label, in a part of each episode if that is asked for.

    Raises:
        UsageError: there are no labels, or no label has enough visits.
    """
    source.require_labels("a grid")
    span = shown_part(source, part_s) if part_s else (0, source.trace.frames)
    cycles, pieces = _pieces(source, span)
    rows, skipped = [], {}
    for label in range(source.trace.clusters):
        visited = source.trace.label == label
        in_pieces = [p for p in pieces if visited[p.episode, p.first : p.last].any()]
        visits = in_pieces if cycles else _onsets(source, label, span)
        if len(visits) < MIN_VISITS:
            skipped[label] = _reason(source, label, len(visits), cycles)
        else:
            rows.append(GridRow(label, tuple(visits)))
    if not rows:
        reasons = "; ".join(f"{label} {reason}" for label, reason in skipped.items())
        raise UsageError(
            f"{source.name}: expected a label with {MIN_VISITS} visits for a grid, found none "
            f"({reasons}): record more episodes{', or show a longer part' if part_s else ''}"
        )
    if cycles:
        rows.sort(key=lambda row: _mean_phase(source, row.label))
    period_s = source.period_s() if cycles else None
    return GridPlan(tuple(rows), pieces, skipped, cycles, period_s)


def usual_speed(plan: GridPlan) -> float:
    """Default playback speed of a grid film."""
    duration_s = BEFORE_S + AFTER_S if plan.period_s is None else plan.cycles * plan.period_s
    return next((speed for speed in SPEEDS if duration_s / speed <= LASTS_S), SPEEDS[-1])


def grid_film(
    source: Source, plan: GridPlan, format: Format, look: Look, columns: int, speed: float
) -> Mosaic:
    """Lay out the grid film, with up to `columns` visits per row; a `speed` of 1 is real time."""
    clock = _clock(plan, speed, float(mosaic_rate(format)))
    playhead = np.linspace(0, 1, len(clock))
    top = 64
    width, height = look.size or fitted_cell(columns, len(plan.rows), GRID_HEADER, top + 60)
    sheet = Sheet(
        GRID_HEADER + columns * (width + GAP),
        top + len(plan.rows) * (height + GAP),
        look.background,
    )
    sheet.footer(_skipped_text(plan), above=12, below=4)
    sheet.title(source.labelled_title, _grid_clock_text(plan, speed))
    cells, bars = [], []
    for i, row in enumerate(plan.rows):
        y = top + i * (height + GAP)
        color = source.colors[row.label]
        for j, piece in enumerate(spread(row.pieces, columns, (i + 0.5) / len(plan.rows))):
            clip = Clip.of(source.trace, piece.episode)
            track = Track.of(clip, piece.frames_at(clock))
            x = GRID_HEADER + j * (width + GAP)
            note = f"episode {piece.episode + 1}, {clip.time[piece.first]:.1f} s"
            cells.append(Cell(x, y, track, source.colors, track.label == row.label, note))
        share = np.mean([_labels(source, p, clock) == row.label for p in row.pieces], axis=0)
        bar = share_bar(share, color, GRID_HEADER - 40, 26)
        visits = len(row.pieces)
        count = f"in {visits} of {len(plan.pieces)} clips"
        count = count if plan.cycles else count_of(visits, "visit")
        name = source.label_names()[row.label]
        bar_top = sheet.row_name(y, height, row.label, color, name, count)
        bars.append(Bar(16, bar_top, bar, playhead))
    if plan.cycles:
        labels = np.stack([_labels(source, piece, clock) for piece in plan.pieces])
        counts = [(labels == k).sum(axis=0) for k in range(source.trace.clusters)]
        bar = label_bar(np.argmax(counts, axis=0), source.colors, columns * (width + GAP) - GAP, 10)
        bars.append(Bar(GRID_HEADER, top - 20, bar, playhead))
        sheet.text(GRID_HEADER - 12, top - 15, "most frequent label", 13, faint=True, anchor="rm")
    scene = look.scene(source.trace, width, height)
    return Mosaic(sheet.picture(), tuple(cells), tuple(bars), scene, format, len(clock))


def grid_caption(source: Source, plan: GridPlan, columns: int, speed: float) -> str:
    """Caption of the film: its rows and their alignment."""
    names = source.label_names()
    rows = ", ".join(
        f"{row.label} ({names[row.label]}; {min(columns, len(row.pieces))} of "
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


def _pieces(source: Source, span: tuple[int, int]) -> tuple[int, list[Piece]]:
    """Gait cycles per piece (two if there are enough, else one), and the pieces; 0 without any."""
    for count in range(CYCLES, 0, -1):
        pieces = [
            piece
            for episode in source.episodes
            for piece in cycle_pieces(source.cycles(episode), episode, count)
            if span[0] <= piece.first and piece.last <= span[1]
        ]
        if len(pieces) >= MIN_VISITS:
            return count, pieces
    return 0, []


def _onsets(source: Source, label: int, span: tuple[int, int]) -> list[Piece]:
    pieces = []
    for e in source.episodes:
        since = source.stability.episodes[e].gait.opening_end
        visited = source.trace.label[e] == label
        pieces += onset_pieces(visited, e, source.trace.frame_dt_s, since)
    return [piece for piece in pieces if span[0] <= piece.first and piece.last <= span[1]]


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


def _labels(
    source: Source, piece: Piece, clock: Float64[np.ndarray, " film"]
) -> Int[np.ndarray, " film"]:
    frames = np.floor(piece.frames_at(clock) + 1e-6).astype(np.int64)
    return source.trace.label[piece.episode, np.minimum(frames, source.trace.frames - 1)]


def _grid_clock_text(plan: GridPlan, speed: float) -> str:
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


@dataclass(frozen=True, eq=False)
class WallPlan:
    """Content of the wall film.

    Attributes:
        pieces: one piece per run with an equal number of consecutive gait cycles; None for a run
            without gait cycles, which is shown in real time.
        cycles: number of gait cycles; 0 if fewer than two runs have any.
        period_s: duration of a gait cycle at real speed, the mean of the runs; None without
            gait cycles.
        seconds: duration of the film at real speed.
        part_s: part of the episodes that was asked for, s; it is shown in real time.
    """

    pieces: tuple[Piece | None, ...]
    cycles: int
    period_s: float | None
    seconds: float
    part_s: Part | None = None


def check_count(runs: int) -> None:
    """Raise UsageError if so many runs cannot be on one wall."""
    if not 2 <= runs <= MAX_RUNS:
        raise UsageError(
            f"--wall: expected 2 to {MAX_RUNS} runs to show side by side, found {runs}"
        )


def plan_wall(
    sources: Sequence[Source], speed: float = WALL_SPEED, part_s: Part | None = None
) -> WallPlan:
    """Find gait cycles to align the runs by; a part of the episodes is shown as it is.

    Raises:
        UsageError: there are fewer than two or too many runs, their bodies or physics profiles
            differ, or an episode has no such part.
    """
    check_count(len(sources))
    kinds = sorted({model_words(source.trace) for source in sources})
    if len(kinds) > 1:
        raise UsageError(
            f"--wall: expected runs of one body and physics profile, found {listed(kinds)}"
        )
    if part_s:
        for source in sources:
            shown_part(source, part_s)
        return WallPlan((None,) * len(sources), 0, None, part_s[1] - part_s[0], part_s)
    seconds = LASTS_S * speed
    longest = [longest_piece(s.cycles(s.episode), s.episode, 999) for s in sources]
    aligned = [piece for piece in longest if piece]
    if len(aligned) < 2:
        return WallPlan((None,) * len(sources), 0, None, seconds)
    periods_s = [_period_s(s, p) for s, p in zip(sources, longest, strict=True) if p]
    period_s = float(np.mean(periods_s))
    max_cycles = max(1, math.ceil(seconds / period_s))
    cycles = min(max_cycles, *(len(piece.frames) - 1 for piece in aligned))
    pieces = tuple(longest_piece(s.cycles(s.episode), s.episode, cycles) for s in sources)
    return WallPlan(pieces, cycles, period_s, cycles * period_s)


def wall_film(
    sources: Sequence[Source],
    plan: WallPlan,
    colors: SharedColors,
    format: Format,
    look: Look,
    speed: float = WALL_SPEED,
) -> Mosaic:
    """Lay out the wall film; a `speed` of 1 is real time."""
    frames = max(2, round(plan.seconds / speed * float(mosaic_rate(format))))
    share = np.linspace(0, 1, frames, endpoint=False)
    top = 52
    beside = ABOVE + BELOW

    def cell(rows: int) -> tuple[int, int]:
        columns, above = math.ceil(len(sources) / rows), top + 70 + rows * beside
        return fitted_cell(columns, rows, 2 * MARGIN, above, WALL_CELL_HEIGHT)

    # The largest cells, in as few rows as have them.
    rows = max(range(1, len(sources) + 1), key=lambda rows: (cell(rows), -rows))
    columns = math.ceil(len(sources) / rows)
    width, height = look.size or cell(rows)
    sheet = Sheet(
        2 * MARGIN + columns * (width + GAP) - GAP, top + rows * (height + beside), look.background
    )
    # What all runs share is said once: a name needs all the width of its cell.
    about = {source.labelled_title.removeprefix(f"{source.name}, ") for source in sources}
    shared = f"; {about.pop()}" if len(about) == 1 else ""
    sheet.title(f"{_wall_clock_text(plan)}{shared}", speed_words(speed).lower())
    sheet.footer(colors.note, above=4, below=8)
    cells, bars = [], []
    for i, (source, piece, run_colors) in enumerate(
        zip(sources, plan.pieces, colors.colors, strict=True)
    ):
        x = MARGIN + i % columns * (width + GAP)
        y = top + i // columns * (height + beside)
        clip = Clip.of(source.trace, source.episode)
        opening_end = source.stability.episodes[source.episode].gait.opening_end
        since = shown_part(source, plan.part_s)[0] if plan.part_s else opening_end
        real_time = since + share * plan.seconds / source.trace.frame_dt_s
        track = Track.of(clip, piece.frames_at(share * plan.cycles) if piece else real_time)
        result = _run_text(source, piece, plan, speed)
        sheet.fitted(x, y + 4, source.name if shared else source.labelled_title, 17, 11, width)
        sheet.text(x, y + 28, truncated(result, 14, width), 14, faint=True)
        highlighted = np.ones(frames, bool)
        cells.append(Cell(x, y + ABOVE - 8, track, run_colors, highlighted))
        strip = label_bar(track.label, run_colors or (NO_CLUSTER_COLOR,), width, 12)
        bars.append(Bar(x, y + ABOVE - 8 + height + 6, strip, share))
    scene = look.scene(sources[0].trace, width, height)
    return Mosaic(sheet.picture(), tuple(cells), tuple(bars), scene, format, frames)


def wall_caption(
    sources: Sequence[Source], plan: WallPlan, colors: SharedColors, speed: float = WALL_SPEED
) -> str:
    """Caption of the film: its runs and their alignment."""
    titles = [source.title for source in sources]
    in_phase = [t for t, piece in zip(titles, plan.pieces, strict=True) if piece]
    others = [t for t, piece in zip(titles, plan.pieces, strict=True) if not piece]
    text = f"{count_of(len(sources), 'run')} side by side: {'; '.join(titles)}."
    if in_phase:
        names = "; ".join(in_phase) if others else "All"
        text += (
            f" {names}: {count_of(plan.cycles, 'gait cycle')} from touchdown, re-timed to a common "
            f"phase and a common period of {plan.period_s:.2f} s; each run states its resulting "
            f"speed."
        )
    if others:
        names = "; ".join(others) if in_phase else "All"
        text += (
            f" {names}: {plan.part_s[0]:g} to {plan.part_s[1]:g} s of the episode, in real time."
            if plan.part_s
            else f" {names}: real time from the end of the initial transient, without common gait "
            f"cycles."
        )
    text += f" {speed_words(speed)}; poses between recorded frames are interpolated."
    return f"{text} {colors.note}".strip()


def _period_s(source: Source, piece: Piece) -> float:
    return (piece.last - piece.first) / (len(piece.frames) - 1) * source.trace.frame_dt_s


def _run_text(source: Source, piece: Piece | None, plan: WallPlan, speed: float) -> str:
    gait = source.stability.episodes[source.episode].gait_verdict.name
    text = f"{gait}, return {source.trace.returns[source.episode]:.0f}"
    if plan.part_s:
        return text
    if piece is None or plan.period_s is None:
        return f"{text}; real time, speed {speed:.2f}"
    period_s = _period_s(source, piece)
    return f"{text}; {period_s:.2f} s cycle, speed {speed * period_s / plan.period_s:.2f}"


def _wall_clock_text(plan: WallPlan) -> str:
    if plan.part_s:
        return f"{plan.part_s[0]:g} to {plan.part_s[1]:g} s of each episode, in real time"
    if plan.period_s is None:
        return "Real time, without common gait cycles"
    others = "" if all(plan.pieces) else "; runs without gait cycles in real time"
    return f"{count_of(plan.cycles, 'gait cycle')} from touchdown, in phase{others}"
