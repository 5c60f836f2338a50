"""The wall: several runs side by side, at a common phase of the gait where they have cycles."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

import numpy as np
from jaxtyping import Float64

from glassviz.errors import UsageError
from glassviz.export.grid import GAP, MARGIN, Piece, Sheet, fitted_cell, longest_piece, shortened
from glassviz.export.product import SharedColors, Source
from glassviz.palette import NO_CLUSTER_COLOR
from glassviz.report.phrases.numbers import speed_words
from glassviz.text import count_of, listed
from glassviz.video.clip import Clip
from glassviz.video.encode import Format
from glassviz.video.mosaic import Bar, Cell, Mosaic, Track, label_bar
from glassviz.video.renderer import BODY_VIEW, Quality, Scene

FPS = Fraction(30)
SPEED = 0.5

LASTS_S = 8.0
"""Of the film, at most about."""

MOST_IN_ROW = 4
MOST_RUNS = 16
TALLEST = 420

ABOVE, BELOW = 58, 28
"""Room for the name of a run, and for its bar."""


@dataclass(frozen=True, eq=False)
class WallPlan:
    """What the wall shows.

    Attributes:
        pieces: of each run: gait cycles that follow each other, in the same number; None for a
            run without, which is shown in real time.
        cycles: that number; 0 if no two runs have cycles.
        period_s: that a gait cycle is shown to last, at real speed: the mean of the runs'.
        seconds: how long the film lasts, at real speed.
    """

    pieces: tuple[Piece | None, ...]
    cycles: int
    period_s: float | None
    seconds: float


def plan_wall(sources: Sequence[Source], speed: float = SPEED) -> WallPlan:
    """Find what the runs have in common to be aligned by.

    Raises:
        UsageError: there are fewer than two runs or too many, or they differ in their physics.
    """
    if not 2 <= len(sources) <= MOST_RUNS:
        raise UsageError(
            f"--wall: expected 2 to {MOST_RUNS} runs to show side by side, found {len(sources)}"
        )
    kinds = sorted({source.trace.header["env"]["physics"] for source in sources})
    if len(kinds) > 1:
        raise UsageError(f"--wall: expected runs of one physics profile, found {listed(kinds)}")
    seconds = LASTS_S * speed
    found = [
        longest_piece(source.cycles(source.episode), source.episode, 999) for source in sources
    ]
    aligned = [piece for piece in found if piece]
    if len(aligned) < 2:
        return WallPlan((None,) * len(sources), 0, None, seconds)
    own = [_period_s(s, p) for s, p in zip(sources, found, strict=True) if p]
    period_s = float(np.mean(own))
    most = max(1, math.ceil(seconds / period_s))
    cycles = min(most, *(len(piece.frames) - 1 for piece in aligned))
    pieces = [
        longest_piece(source.cycles(source.episode), source.episode, cycles) for source in sources
    ]
    return WallPlan(tuple(pieces), cycles, period_s, cycles * period_s)


def wall_film(
    sources: Sequence[Source],
    plan: WallPlan,
    colors: SharedColors,
    format: Format,
    quality: Quality,
    speed: float = SPEED,
    fps: Fraction = FPS,
) -> Mosaic:
    """Lay the film out.

    Args:
        sources: the runs.
        plan: of their wall.
        colors: of their labels.
        format: of the film.
        quality: what the cells are drawn with.
        speed: 1 for real time.
        fps: frames per second of the film.
    """
    frames = max(2, round(plan.seconds / speed * float(fps)))
    share = np.linspace(0, 1, frames, endpoint=False)
    columns = min(len(sources), MOST_IN_ROW)
    if len(sources) > MOST_IN_ROW:
        columns = math.ceil(len(sources) / math.ceil(len(sources) / MOST_IN_ROW))
    rows = math.ceil(len(sources) / columns)
    top = 52
    beside = ABOVE + BELOW
    width, height = fitted_cell(columns, rows, 2 * MARGIN, top + 70 + rows * beside, TALLEST)
    sheet = Sheet(2 * MARGIN + columns * (width + GAP) - GAP, top + rows * (height + beside))
    sheet.title(_told_clock(plan), speed_words(speed).lower())
    foot = sheet.wrapped(colors.told) if colors.told else []
    sheet.grow(12 + 22 * len(foot))
    cells, bars = [], []
    for i, (source, piece, own) in enumerate(zip(sources, plan.pieces, colors.colors, strict=True)):
        x = MARGIN + i % columns * (width + GAP)
        y = top + i // columns * (height + beside)
        clip = Clip.of(source.trace, source.episode)
        track = Track.of(clip, _places(source, piece, plan, share))
        name = f"{source.title}, fitted labels" if source.fitted else source.title
        sheet.text(x, y + 4, shortened(name, 17, width), 17)
        sheet.text(
            x, y + 28, shortened(_about(source, piece, plan, speed), 14, width), 14, faint=True
        )
        lit = np.ones(frames, bool)
        cells.append(Cell(x, y + ABOVE - 8, track, own, lit))
        strip = label_bar(track.label, own or (NO_CLUSTER_COLOR,), width, 12)
        bars.append(Bar(x, y + ABOVE - 8 + height + 6, strip, share))
    for k, line in enumerate(foot):
        sheet.text(MARGIN, top + rows * (height + beside) + 4 + 22 * k, line, faint=True)
    physics = sources[0].trace.header["env"]["physics"]
    scene = Scene(physics, "cam0", width, height, quality, BODY_VIEW)
    return Mosaic(sheet.picture(), tuple(cells), tuple(bars), scene, format, frames)


def wall_caption(
    sources: Sequence[Source], plan: WallPlan, colors: SharedColors, speed: float = SPEED
) -> str:
    """What the film shows, and how it is aligned."""
    titles = [source.title for source in sources]
    in_phase = [t for t, piece in zip(titles, plan.pieces, strict=True) if piece]
    others = [t for t, piece in zip(titles, plan.pieces, strict=True) if not piece]
    told = f"{count_of(len(sources), 'run')} side by side: {'; '.join(titles)}."
    if in_phase:
        who = "; ".join(in_phase) if others else "All"
        told += (
            f" {who}: {count_of(plan.cycles, 'gait cycle')} from touchdown on, re-timed to one "
            f"phase and a common period of {plan.period_s:.2f} s; each says how fast that makes it."
        )
    if others:
        who = "; ".join(others) if in_phase else "All"
        told += f" {who}: real time from the end of the opening, for want of gait cycles in common."
    told += f" {speed_words(speed)}; poses between recorded frames are interpolated."
    return f"{told} {colors.told}".strip()


def _period_s(source: Source, piece: Piece) -> float:
    return (piece.last - piece.first) / (len(piece.frames) - 1) * source.trace.frame_dt_s


def _places(
    source: Source, piece: Piece | None, plan: WallPlan, share: Float64[np.ndarray, " film"]
) -> Float64[np.ndarray, " film"]:
    if piece:
        return piece.place(share * plan.cycles)
    start = source.stability.episodes[source.episode].gait.opening_end
    return start + share * plan.seconds / source.trace.frame_dt_s


def _about(source: Source, piece: Piece | None, plan: WallPlan, speed: float) -> str:
    gait = source.stability.episodes[source.episode].gait_verdict.name
    told = f"{gait}, return {source.trace.returns[source.episode]:.0f}"
    if piece is None or plan.period_s is None:
        return f"{told}; real time, speed {speed:.2f}"
    own = _period_s(source, piece)
    return f"{told}; {own:.2f} s cycle, speed {speed * own / plan.period_s:.2f}"


def _told_clock(plan: WallPlan) -> str:
    if plan.period_s is None:
        return "Real time, for want of gait cycles in common"
    others = "" if all(plan.pieces) else "; runs without in real time"
    return f"{count_of(plan.cycles, 'gait cycle')} from touchdown, at one phase{others}"
