"""Films of many cycles side by side, on a common clock."""

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

import numpy as np
from jaxtyping import Bool, Float64, Int, UInt8
from PIL import Image, ImageDraw

from glassviz.errors import UsageError
from glassviz.export.product import Source
from glassviz.gait.cycles import Cycles
from glassviz.report.phrases.numbers import speed_words
from glassviz.text import count_of, listed
from glassviz.video.clip import Clip
from glassviz.video.encode import Format
from glassviz.video.mosaic import (
    BACKGROUND_COLOR,
    Bar,
    Cell,
    Mosaic,
    Track,
    label_bar,
    number_chip,
    share_bar,
)
from glassviz.video.overlay import FAINT_COLOR, TEXT_COLOR, font
from glassviz.video.renderer import BODY_ASPECT, BODY_VIEW, Quality, Scene

BEFORE_S, AFTER_S = 0.4, 0.8
"""Of a label's onset, where there are no gait cycles to align by."""


@dataclass(frozen=True, eq=False)
class Piece:
    """A part of an episode on a clock that other pieces share.

    Attributes:
        episode: which, from 0.
        frames: places that the clock is tied to, rising.
        clock: its readings there: gait cycles since a touchdown, or seconds since an onset.
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
        """The frame behind the last."""
        return int(self.frames[-1])

    def place(self, clock: Float64[np.ndarray, " film"]) -> Float64[np.ndarray, " film"]:
        """Frames, and parts of frames, at readings of the clock; linear between its ties."""
        return np.interp(clock, self.clock, self.frames)


def cycle_pieces(cycles: Cycles, episode: int, count: int) -> list[Piece]:
    """Pieces of `count` gait cycles that follow each other; no two share a cycle."""
    found = []
    for row in cycle_rows(cycles):
        for j in range(0, len(row) - count + 1, count):
            found.append(_piece(cycles, episode, row[j : j + count]))
    return found


def longest_piece(cycles: Cycles, episode: int, most: int) -> Piece | None:
    """The longest row of gait cycles that follow each other; of more than `most` the middle.

    None without cycles.
    """
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
    """Pieces around the onsets of a label, in real time; no two share a frame.

    Args:
        visited: whether each frame has the label.
        episode: that these are the frames of.
        dt_s: seconds between them.
        since: first frame that counts.
    """
    before, after = round(BEFORE_S / dt_s), round(AFTER_S / dt_s)
    onsets = np.flatnonzero(visited[1:] & ~visited[:-1]) + 1
    found: list[Piece] = []
    for onset in onsets[onsets > since].tolist():
        first, last = onset - before, onset + after
        if first >= (found[-1].last if found else 0) and last < len(visited):
            ties = np.array([first, last])
            found.append(Piece(episode, ties, (ties - onset) * dt_s))
    return found


def spread(pieces: Sequence[Piece], count: int, offset: float = 0.5) -> list[Piece]:
    """So many of them, evenly from among all.

    Args:
        pieces: to choose from.
        count: how many; all if there are fewer.
        offset: from 0 to below 1: others are chosen with others, if there are enough.
    """
    count = min(count, len(pieces))
    return [pieces[int((j + offset) * len(pieces) / count)] for j in range(count)]


def cycle_rows(cycles: Cycles) -> list[list[int]]:
    """Numbers of the gait cycles, those in one row that follow each other directly."""
    rows: list[list[int]] = []
    for j in range(cycles.count):
        if j and cycles.ends[j - 1] == cycles.starts[j]:
            rows[-1].append(j)
        else:
            rows.append([j])
    return rows


def _piece(cycles: Cycles, episode: int, row: Sequence[int]) -> Piece:
    ties = np.append(cycles.starts[row[0] : row[-1] + 1], cycles.ends[row[-1]])
    return Piece(episode, ties.astype(np.int64), np.arange(len(ties), dtype=np.float64))


MARGIN = 16
TITLE, TEXT = 22, 16
MOST_WIDTH, MOST_HEIGHT = 1920, 1080
TALLEST = 300

SHORTEST = 88
"""A cell is drawn no smaller: a film of very many rows becomes taller than a screen instead."""

GAP = 6
"""Between cells."""


def fitted_cell(
    columns: int, rows: int, beside: int, above: int, tallest: int = TALLEST
) -> tuple[int, int]:
    """Width and height of cells, even numbers, with which a film fits a large screen.

    Args:
        columns, rows: of cells.
        beside, above: pixels that something else takes.
        tallest: that a cell may become.
    """
    room = (MOST_WIDTH - beside) / columns / BODY_ASPECT - GAP, (MOST_HEIGHT - above) / rows - GAP
    height = max(SHORTEST, min(tallest, *room))
    return 2 * int(height * BODY_ASPECT / 2), 2 * int(height / 2)


class Sheet:
    """A dark ground to write on."""

    def __init__(self, width: int, height: int) -> None:
        self.width, self.height = width + width % 2, height
        self._picture = Image.new("RGB", (self.width, height), BACKGROUND_COLOR)

    def grow(self, height: int) -> None:
        """Add room below, up to an even height."""
        self.height += height + (self.height + height) % 2
        taller = Image.new("RGB", (self.width, self.height), BACKGROUND_COLOR)
        taller.paste(self._picture, (0, 0))
        self._picture = taller

    def picture(self) -> UInt8[np.ndarray, "height width 3"]:
        """What was written."""
        return np.array(self._picture)

    def text(
        self, x: int, y: int, text: str, size: int = TEXT, faint: bool = False, anchor: str = "la"
    ) -> None:
        """Write a line; `anchor` as in Pillow."""
        color = FAINT_COLOR if faint else TEXT_COLOR
        ImageDraw.Draw(self._picture).text((x, y), text, fill=color, font=font(size), anchor=anchor)

    def title(self, text: str, about: str) -> None:
        """Write the title, and beside it, or below where there is no room, what it is about."""
        room = self.width - 2 * MARGIN
        size = TITLE
        while size > TEXT and font(size).getlength(text) > room:
            size -= 1
        self.text(MARGIN, 10, shortened(text, size, room), size)
        rest = room - font(size).getlength(text) - 2 * MARGIN
        self.text(
            self.width - MARGIN, 14, shortened(about, TEXT, int(rest)), faint=True, anchor="ra"
        )

    def wrapped(self, text: str) -> list[str]:
        """A text in lines that fit."""
        lines = [""]
        for word in text.split():
            longer = f"{lines[-1]} {word}".strip()
            if font(TEXT).getlength(longer) <= self.width - 2 * MARGIN:
                lines[-1] = longer
            else:
                lines.append(word)
        return lines

    def row_name(self, y: int, height: int, label: int, color: str, about: tuple[str, str]) -> int:
        """Name a row after its label; where there is room below the name, from the top."""
        chip = number_chip(label, color, 30)
        top = y + max(4, (height - 118) // 2)
        self._picture.paste(chip, (MARGIN, top), chip)
        name, count = about
        self.text(MARGIN + chip.width + 12, top + chip.height // 2, name, 20, anchor="lm")
        self.text(MARGIN, top + chip.height + 8, count, 15, faint=True)
        return top + chip.height + 34

    def chip(self, x: int, y: int, label: int, color: str) -> int:
        """A label's number on its colour; how wide it is."""
        chip = number_chip(label, color, TEXT)
        self._picture.paste(chip, (x, y), chip)
        return chip.width


def shortened(text: str, size: int, room: int) -> str:
    """A text cut to the room that it has, in pixels."""
    if font(size).getlength(text) <= room:
        return text
    while text and font(size).getlength(text + "…") > room:
        text = text[:-1]
    return text + "…"


FPS = Fraction(30)
COLUMNS = 6
SPEEDS = (0.25, 0.5, 1.0)

LASTS_S = 8.0
"""Of the film, at most about: the slowest of these speeds at which it does."""

CYCLES = 2
"""Gait cycles that a cell shows, so that a label that lives around touchdown is seen whole."""

FEWEST = 3
"""A label with fewer visits has no row: chance would decide what it shows."""

HEADER = 210
"""Width of the rows' names, in pixels."""


@dataclass(frozen=True, eq=False)
class Visits:
    """A row of the grid.

    Attributes:
        label: whose.
        pieces: of episodes in which it occurs.
        of: how many such pieces there are with and without it; None where they are cut at its
            own onsets.
    """

    label: int
    pieces: tuple[Piece, ...]
    of: int | None


@dataclass(frozen=True, eq=False)
class GridPlan:
    """What the grid film shows.

    Attributes:
        rows: labels with their visits, in the order in which they come in a gait cycle.
        skipped: labels without a row, and why.
        cycles: gait cycles that each cell shows; 0 where cells are aligned at onsets, in real
            time.
        period_s: that a gait cycle is shown to last, at real speed; None without.
    """

    rows: tuple[Visits, ...]
    skipped: dict[int, str]
    cycles: int
    period_s: float | None


def plan_grid(source: Source) -> GridPlan:
    """Find the visits of every label.

    Raises:
        UsageError: there are no labels, or none has visits enough.
    """
    if not source.trace.has_labels:
        raise UsageError(
            f"{source.name}: expected labels for a grid of them, found an agent without: make some "
            f"with `glassviz fit {source.run.target}` and add --labels fitted"
        )
    cycles, pieces = _cut(source)
    rows, skipped = [], {}
    for label in range(source.trace.clusters):
        own = _visits(source, label, pieces) if cycles else _onsets(source, label)
        if len(own) < FEWEST:
            skipped[label] = _reason(source, label, len(own), cycles)
        else:
            rows.append(Visits(label, tuple(own), len(pieces) if cycles else None))
    if not rows:
        told = "; ".join(f"{label} {reason}" for label, reason in skipped.items())
        raise UsageError(
            f"{source.name}: expected a label with {FEWEST} visits for a grid, found none ({told}):"
            f" record more episodes"
        )
    if cycles:
        rows.sort(key=lambda row: _mean_phase(source, row.label))
    return GridPlan(tuple(rows), skipped, cycles, source.period_s() if cycles else None)


def usual_speed(plan: GridPlan) -> float:
    """The speed at which a grid is shown if none is asked for."""
    lasts_s = BEFORE_S + AFTER_S if plan.period_s is None else plan.cycles * plan.period_s
    return next((speed for speed in SPEEDS if lasts_s / speed <= LASTS_S), SPEEDS[-1])


def grid_film(
    source: Source,
    plan: GridPlan,
    format: Format,
    quality: Quality,
    columns: int,
    speed: float,
    fps: Fraction = FPS,
) -> Mosaic:
    """Lay the film out.

    Args:
        source: the run.
        plan: of its grid.
        format: of the film.
        quality: what the cells are drawn with.
        columns: visits in a row, if there are so many.
        speed: 1 for real time.
        fps: frames per second of the film.
    """
    clock = _clock(plan, speed, float(fps))
    place = np.linspace(0, 1, len(clock))
    top = 64
    skipped = _told_skipped(plan)
    width, height = fitted_cell(columns, len(plan.rows), HEADER, top + 60)
    sheet = Sheet(HEADER + columns * (width + GAP), top + len(plan.rows) * (height + GAP))
    foot = sheet.wrapped(skipped) if skipped else []
    sheet.grow(16 + 22 * len(foot))
    fitted = ", fitted labels" if source.fitted else ""
    sheet.title(f"{source.title}{fitted}", _told_clock(plan, speed))
    cells, bars = [], []
    for i, row in enumerate(plan.rows):
        y = top + i * (height + GAP)
        color = source.colors[row.label]
        for j, piece in enumerate(spread(row.pieces, columns, (i + 0.5) / len(plan.rows))):
            clip = Clip.of(source.trace, piece.episode)
            track = Track.of(clip, piece.place(clock))
            cells.append(
                Cell(
                    x=HEADER + j * (width + GAP),
                    y=y,
                    track=track,
                    colors=source.colors,
                    highlighted=track.label == row.label,
                    note=f"episode {piece.episode + 1}, {clip.time[piece.first]:.1f} s",
                )
            )
        share = _share(source, row, clock)
        bar = share_bar(share, color, HEADER - 40, 26)
        bars.append(
            Bar(16, sheet.row_name(y, height, row.label, color, _about(source, row)), bar, place)
        )
    if plan.cycles:
        across = label_bar(
            _commonest(source, clock), source.colors, columns * (width + GAP) - GAP, 10
        )
        bars.append(Bar(HEADER, top - 20, across, place))
        sheet.text(HEADER - 12, top - 15, "commonest label", 13, faint=True, anchor="rm")
    for k, line in enumerate(foot):
        sheet.text(16, top + len(plan.rows) * (height + GAP) + 12 + 22 * k, line, faint=True)
    physics = source.trace.header["env"]["physics"]
    scene = Scene(physics, "cam0", width, height, quality, BODY_VIEW)
    return Mosaic(sheet.picture(), tuple(cells), tuple(bars), scene, format, len(clock))


def grid_caption(source: Source, plan: GridPlan, columns: int, speed: float) -> str:
    """What the film shows, and how it is aligned."""
    names = source.phase_names()
    rows = ", ".join(
        f"{row.label} ({names.get(row.label, 'no name')}; {min(columns, len(row.pieces))} of "
        f"{len(row.pieces)} visits)"
        for row in plan.rows
    )
    aligned = (
        f"Each cell is {count_of(plan.cycles, 'gait cycle')} from touchdown on, re-timed so that "
        f"at any time all cells show the same phase"
        if plan.cycles
        else f"There are too few gait cycles to align by: each cell is real time, from "
        f"{BEFORE_S:g} s before its label's onset to {AFTER_S:g} s behind it"
    )
    told = (
        f"Rows are labels, columns visits to them, spread evenly over all: {rows}. {aligned}; a "
        f"cell is bright while it has its row's label. {speed_words(speed)}; poses between "
        f"recorded frames are interpolated. The bars show in which share of all visits the label "
        f"is there."
    )
    skipped = _told_skipped(plan)
    return f"{told} {skipped}" if skipped else told


def _cut(source: Source) -> tuple[int, list[Piece]]:
    """Pieces of gait cycles, two each if there are enough of those; 0: there are no cycles."""
    for count in range(CYCLES, 0, -1):
        pieces = [
            piece
            for episode in source.episodes
            for piece in cycle_pieces(source.cycles(episode), episode, count)
        ]
        if len(pieces) >= FEWEST:
            return count, pieces
    return 0, []


def _visits(source: Source, label: int, pieces: list[Piece]) -> list[Piece]:
    shown = source.trace.label == label
    return [piece for piece in pieces if shown[piece.episode, piece.first : piece.last].any()]


def _onsets(source: Source, label: int) -> list[Piece]:
    dt_s = source.trace.frame_dt_s
    return [
        piece
        for e in source.episodes
        for piece in onset_pieces(
            source.trace.label[e] == label, e, dt_s, source.stability.episodes[e].gait.opening_end
        )
    ]


def _reason(source: Source, label: int, visits: int, cycles: int) -> str:
    episodes = list(source.episodes)
    frames = int((source.trace.label[episodes] == label).sum())
    if not frames:
        return "never visited"
    in_cycles = any(
        ((source.trace.label[e] == label) & (source.cycles(e).cycle >= 0)).any() for e in episodes
    )
    if cycles and not in_cycles:
        return f"never in a gait cycle, in {count_of(frames, 'frame')} outside"
    return f"too few visits, {visits} where a row takes {FEWEST}"


def _mean_phase(source: Source, label: int) -> float:
    """Where in the gait cycle a label lives: circular mean of its frames' phases."""
    phases = np.concatenate(
        [source.cycles(e).phase[source.trace.label[e] == label] for e in source.episodes]
    )
    mean = np.exp(1j * phases[np.isfinite(phases)]).mean()
    return float(np.angle(mean) % (2 * np.pi))


def _clock(plan: GridPlan, speed: float, fps: float) -> Float64[np.ndarray, " film"]:
    """The clock's reading in each frame of the film."""
    if plan.period_s is None:
        frames = round((BEFORE_S + AFTER_S) / speed * fps)
        return np.linspace(-BEFORE_S, AFTER_S, frames, endpoint=False)
    frames = round(plan.cycles * plan.period_s / speed * fps)
    return np.linspace(0, plan.cycles, max(frames, 2), endpoint=False)


def _share(
    source: Source, row: Visits, clock: Float64[np.ndarray, " film"]
) -> Float64[np.ndarray, " film"]:
    """Share of a label's visits in which it is there, at each reading of the clock."""
    return np.mean([_labels(source, piece, clock) == row.label for piece in row.pieces], axis=0)


def _commonest(source: Source, clock: Float64[np.ndarray, " film"]) -> Int[np.ndarray, " film"]:
    """The label that most pieces have, at each reading of the clock."""
    pieces = _cut(source)[1]
    labels = np.stack([_labels(source, piece, clock) for piece in pieces])
    counts = [(labels == k).sum(axis=0) for k in range(source.trace.clusters)]
    return np.argmax(counts, axis=0)


def _labels(
    source: Source, piece: Piece, clock: Float64[np.ndarray, " film"]
) -> Int[np.ndarray, " film"]:
    at = np.floor(piece.place(clock) + 1e-6).astype(np.int64)
    return source.trace.label[piece.episode, np.minimum(at, source.trace.frames - 1)]


def _about(source: Source, row: Visits) -> tuple[str, str]:
    name = source.phase_names().get(row.label, "")
    of = "" if row.of is None else f" of {row.of}"
    return name, f"in {len(row.pieces)}{of} clips" if of else count_of(len(row.pieces), "visit")


def _told_clock(plan: GridPlan, speed: float) -> str:
    if plan.period_s is None:
        return f"aligned at the label's onset, real time at {speed_words(speed).lower()}"
    return (
        f"{count_of(plan.cycles, 'gait cycle')} of {plan.period_s:.2f} s from touchdown, all cells "
        f"at one phase; {speed_words(speed).lower()}"
    )


def _told_skipped(plan: GridPlan) -> str:
    reasons: dict[str, list[str]] = {}
    for label, reason in plan.skipped.items():
        reasons.setdefault(reason, []).append(str(label))
    if not reasons:
        return ""
    told = "; ".join(f"{listed(labels, most=99)} ({why})" for why, labels in reasons.items())
    return f"Without a row: {told}."
