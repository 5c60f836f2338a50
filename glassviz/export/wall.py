"""The wall film: several runs side by side, in phase if they have gait cycles."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

import numpy as np
from jaxtyping import Float64

from glassviz.errors import UsageError
from glassviz.export.alignment import Piece, longest_piece
from glassviz.export.product import SharedColors, Source
from glassviz.palette import NO_CLUSTER_COLOR
from glassviz.report.phrases.numbers import speed_words
from glassviz.text import count_of, listed
from glassviz.video.clip import Clip
from glassviz.video.encode import Format
from glassviz.video.mosaic import (
    GAP,
    MARGIN,
    Bar,
    Cell,
    Mosaic,
    Sheet,
    Track,
    fitted_cell,
    label_bar,
    truncated,
)
from glassviz.video.renderer import BODY_VIEW, Quality, Scene

FPS = Fraction(30)
SPEED = 0.5

LASTS_S = 8.0
"""Approximate maximum duration of the film."""

MAX_IN_ROW = 4
MAX_RUNS = 16
MAX_CELL_HEIGHT = 420

ABOVE, BELOW = 58, 28
"""Height of a run's name above its cell, and of its bar below."""


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
    """

    pieces: tuple[Piece | None, ...]
    cycles: int
    period_s: float | None
    seconds: float


def plan_wall(sources: Sequence[Source], speed: float = SPEED) -> WallPlan:
    """Find gait cycles to align the runs by.

    Raises:
        UsageError: there are fewer than two or too many runs, or their physics profiles differ.
    """
    if not 2 <= len(sources) <= MAX_RUNS:
        raise UsageError(
            f"--wall: expected 2 to {MAX_RUNS} runs to show side by side, found {len(sources)}"
        )
    kinds = sorted({source.trace.header["env"]["physics"] for source in sources})
    if len(kinds) > 1:
        raise UsageError(f"--wall: expected runs of one physics profile, found {listed(kinds)}")
    seconds = LASTS_S * speed
    longest = [
        longest_piece(source.cycles(source.episode), source.episode, 999) for source in sources
    ]
    aligned = [piece for piece in longest if piece]
    if len(aligned) < 2:
        return WallPlan((None,) * len(sources), 0, None, seconds)
    periods_s = [_period_s(s, p) for s, p in zip(sources, longest, strict=True) if p]
    period_s = float(np.mean(periods_s))
    max_cycles = max(1, math.ceil(seconds / period_s))
    cycles = min(max_cycles, *(len(piece.frames) - 1 for piece in aligned))
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
    """Lay out the wall film.

    Args:
        sources: the runs.
        plan: content of the film.
        colors: colours of the labels.
        format: file format.
        quality: rendering quality.
        speed: playback speed; 1 for real time.
        fps: frames per second.
    """
    frames = max(2, round(plan.seconds / speed * float(fps)))
    share = np.linspace(0, 1, frames, endpoint=False)
    columns = min(len(sources), MAX_IN_ROW)
    if len(sources) > MAX_IN_ROW:
        columns = math.ceil(len(sources) / math.ceil(len(sources) / MAX_IN_ROW))
    rows = math.ceil(len(sources) / columns)
    top = 52
    beside = ABOVE + BELOW
    width, height = fitted_cell(
        columns, rows, 2 * MARGIN, top + 70 + rows * beside, MAX_CELL_HEIGHT
    )
    sheet = Sheet(2 * MARGIN + columns * (width + GAP) - GAP, top + rows * (height + beside))
    sheet.title(_clock_text(plan), speed_words(speed).lower())
    foot = sheet.wrapped(colors.note) if colors.note else []
    sheet.grow(12 + 22 * len(foot))
    cells, bars = [], []
    for i, (source, piece, run_colors) in enumerate(
        zip(sources, plan.pieces, colors.colors, strict=True)
    ):
        x = MARGIN + i % columns * (width + GAP)
        y = top + i // columns * (height + beside)
        clip = Clip.of(source.trace, source.episode)
        track = Track.of(clip, _frames(source, piece, plan, share))
        name = f"{source.title}, fitted labels" if source.fitted else source.title
        sheet.text(x, y + 4, truncated(name, 17, width), 17)
        sheet.text(
            x, y + 28, truncated(_run_text(source, piece, plan, speed), 14, width), 14, faint=True
        )
        highlighted = np.ones(frames, bool)
        cells.append(Cell(x, y + ABOVE - 8, track, run_colors, highlighted))
        strip = label_bar(track.label, run_colors or (NO_CLUSTER_COLOR,), width, 12)
        bars.append(Bar(x, y + ABOVE - 8 + height + 6, strip, share))
    for k, line in enumerate(foot):
        sheet.text(MARGIN, top + rows * (height + beside) + 4 + 22 * k, line, faint=True)
    physics = sources[0].trace.header["env"]["physics"]
    scene = Scene(physics, "cam0", width, height, quality, BODY_VIEW)
    return Mosaic(sheet.picture(), tuple(cells), tuple(bars), scene, format, frames)


def wall_caption(
    sources: Sequence[Source], plan: WallPlan, colors: SharedColors, speed: float = SPEED
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
            f" {names}: real time from the end of the initial transient, without common gait "
            f"cycles."
        )
    text += f" {speed_words(speed)}; poses between recorded frames are interpolated."
    return f"{text} {colors.note}".strip()


def _period_s(source: Source, piece: Piece) -> float:
    return (piece.last - piece.first) / (len(piece.frames) - 1) * source.trace.frame_dt_s


def _frames(
    source: Source, piece: Piece | None, plan: WallPlan, share: Float64[np.ndarray, " film"]
) -> Float64[np.ndarray, " film"]:
    if piece:
        return piece.frames_at(share * plan.cycles)
    start = source.stability.episodes[source.episode].gait.opening_end
    return start + share * plan.seconds / source.trace.frame_dt_s


def _run_text(source: Source, piece: Piece | None, plan: WallPlan, speed: float) -> str:
    gait = source.stability.episodes[source.episode].gait_verdict.name
    text = f"{gait}, return {source.trace.returns[source.episode]:.0f}"
    if piece is None or plan.period_s is None:
        return f"{text}; real time, speed {speed:.2f}"
    period_s = _period_s(source, piece)
    return f"{text}; {period_s:.2f} s cycle, speed {speed * period_s / plan.period_s:.2f}"


def _clock_text(plan: WallPlan) -> str:
    if plan.period_s is None:
        return "Real time, without common gait cycles"
    others = "" if all(plan.pieces) else "; runs without gait cycles in real time"
    return f"{count_of(plan.cycles, 'gait cycle')} from touchdown, in phase{others}"
