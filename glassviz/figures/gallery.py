"""The figure of prototypes: a gallery of the frames nearest to them."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Bool, Int, UInt8
from matplotlib.figure import Figure

from glassviz.errors import GlassvizError
from glassviz.figures.style import COLUMN_INCHES, PAGE_INCHES, shortened, style, wrapped
from glassviz.maps.features import by_nearness
from glassviz.maps.maps import LatentMap
from glassviz.palette import ink_on, label_color
from glassviz.video.backdrop import Background
from glassviz.video.renderer import MujocoRenderer, OpenRenderer, StillMaker

COLUMN_ROWS = 8
"""Maximum number of prototypes in one column; more are drawn in two, at the width of a page."""

HEAD_INCHES = 0.62
"""Width of the prototype's number, label and share at the left of a row."""

ROW_INCHES = 0.74
CAPTION_INCHES = 0.105
EXAMPLES = 5

PICTURE = (240, 264)
"""Width and height of a picture, pixels."""


@dataclass(frozen=True, eq=False)
class Examples:
    """Example frames of a prototype.

    Attributes:
        label, name: most frequent label of its frames, and the label's name.
        share: share of all frames for which this prototype is the nearest.
        frames: indices into `Frames`, nearest first, from different gait cycles and as far as
            possible from different episodes.
    """

    number: int
    label: int
    name: str
    share: float
    frames: Int[np.ndarray, " examples"]


@dataclass(frozen=True, eq=False)
class Entry:
    """A prototype with pictures of its frames, and their controller, episode and time."""

    prototype: Examples
    pictures: Sequence[UInt8[np.ndarray, "height width 3"]]
    sources: Sequence[str]


def gallery(entries: Sequence[Entry], caption: str) -> Figure:
    """Draw one row per prototype, at the width of a column, or in two columns on a page.

    Args:
        entries: prototypes in order, column by column.
        caption: plain text.
    """
    columns = 1 if len(entries) <= COLUMN_ROWS else 2
    width = COLUMN_INCHES if columns == 1 else PAGE_INCHES
    rows = math.ceil(len(entries) / columns)
    lines = wrapped(caption, (width - 0.1) * 72, 6.0)
    height = rows * ROW_INCHES + CAPTION_INCHES * len(lines) + 0.14
    pictures_per_row = max(len(entry.pictures) for entry in entries)
    cell = (width / columns - HEAD_INCHES - 0.1) / pictures_per_row
    with style():
        figure = Figure(figsize=(width, height))
        for i, entry in enumerate(entries):
            left = (i // rows) * width / columns + 0.05
            top = height - 0.04 - (i % rows) * ROW_INCHES
            _head(figure, entry.prototype, left / width, top / height)
            for j, (picture, source) in enumerate(zip(entry.pictures, entry.sources, strict=True)):
                x, tall = left + HEAD_INCHES + j * cell, ROW_INCHES - 0.13
                bottom = top - tall
                box = x / width, bottom / height, 0.97 * cell / width, tall / height
                axes = figure.add_axes(box)
                axes.imshow(picture, interpolation="antialiased")
                axes.axis("off")
                at = (x + 0.485 * cell) / width, (bottom - 0.01) / height
                figure.text(*at, source, ha="center", va="top", fontsize=4.8, parse_math=False)
        at = 0.05 / width, (CAPTION_INCHES * len(lines) + 0.06) / height
        text = "\n".join(lines)
        figure.text(*at, text, va="top", fontsize=6, linespacing=1.15, parse_math=False)
    return figure


def _head(figure: Figure, prototype: Examples, x: float, y: float) -> None:
    """Draw the number in a circle in the label's colour, then label, name and share."""
    color, (width, height) = label_color(prototype.label), figure.get_size_inches()
    at = x + 0.06 / width, y - 0.11 / height
    box: Any = {"boxstyle": "circle,pad=0.2", "facecolor": color, "linewidth": 0}
    look: Any = {"ha": "center", "va": "center", "fontsize": 7, "color": ink_on(color)}
    figure.text(*at, str(prototype.number), bbox=box, **look)
    # The names of a label under two controllers are below each other.
    names = [shortened(part, 72 * HEAD_INCHES, 6.0) for part in prototype.name.split(" / ")]
    text = "\n".join([f"label {prototype.label}", *names, f"{prototype.share:.1%}"])
    figure.text(x, y - 0.25 / height, text, va="top", fontsize=6, linespacing=1.15)


def examples_of(latent_map: LatentMap, count: int = EXAMPLES) -> tuple[Examples, ...]:
    """The frames nearest to every visited prototype, grouped by label.

    Labels, and prototypes within a label, are ordered by their mean gait phase; those without one
    come last.

    Raises:
        GlassvizError: the map has no prototypes.
    """
    if not latent_map.prototypes:
        raise GlassvizError(
            f"gallery of {latent_map.name}: expected labels with prototypes, found none: choose an "
            f"agent with Glass, or add --labels fitted"
        )
    names = {named.label: named.name for named in latent_map.label_names}
    frames = latent_map.frames
    examples = [
        Examples(
            prototype.number,
            prototype.label,
            names.get(prototype.label, ""),
            prototype.share,
            _distinct(latent_map, by_nearness(latent_map.traces, frames, prototype.number), count),
        )
        for prototype in latent_map.prototypes
    ]
    phase = {e.number: _mean_phase(latent_map, frames.prototype == e.number) for e in examples}
    label_phase = {e.label: _mean_phase(latent_map, frames.label == e.label) for e in examples}
    return tuple(sorted(examples, key=lambda e: (label_phase[e.label], e.label, phase[e.number])))


def _distinct(
    latent_map: LatentMap, candidates: Int[np.ndarray, " frames"], count: int
) -> Int[np.ndarray, " chosen"]:
    """The first candidates from different episodes; if these run out, from different cycles."""
    frames = latent_map.frames
    # Outside of gait cycles, a window of time counts as a cycle.
    stretch = -1 - frames.series * len(frames) - frames.time // frames.window
    piece = np.where(frames.cycle >= 0, frames.cycle, stretch)
    chosen: list[int] = []
    for from_new_episodes in (True, False):
        for i in candidates.tolist():
            if len(chosen) == count:
                break
            known_episode = from_new_episodes and frames.series[i] in frames.series[chosen]
            if piece[i] not in piece[chosen] and not known_episode:
                chosen.append(i)
    return candidates[np.isin(candidates, chosen)]


def _mean_phase(latent_map: LatentMap, selected: Bool[np.ndarray, " frames"]) -> float:
    """Circular mean of the gait phase, in [0, 2π); infinite without any phase."""
    phase = latent_map.frames.phase[selected]
    known = phase[np.isfinite(phase)]
    if not len(known):
        return np.inf
    return float(np.angle(np.exp(1j * known).mean()) % (2 * np.pi))


def pictures(
    latent_map: LatentMap,
    prototypes: Sequence[Examples],
    open_renderer: OpenRenderer = MujocoRenderer,
    on_progress: Callable[[int, int], None] = lambda done, total: None,
    background: Background = "sky",
) -> list[Entry]:
    """Draw the example frames of prototypes.

    Raises:
        GlassvizError: no OpenGL backend works.
    """
    frames = latent_map.frames
    total, done = sum(len(prototype.frames) for prototype in prototypes), 0
    entries = []
    with StillMaker(open_renderer, background) as stills:
        for prototype in prototypes:
            drawn, sources = [], []
            for i in prototype.frames.tolist():
                trace = latent_map.traces[int(frames.trace[i])]
                scene = stills.prepare(trace, *PICTURE)
                at = int(frames.episode[i]), int(frames.time[i])
                reset_seed = trace.header["reset_seeds"][at[0]]
                drawn.append(stills.draw(scene, trace.qpos[at], trace.qvel[at], reset_seed))
                sources.append(f"{trace.header['controller']} {at[0] + 1}, {trace.time[at]:.1f} s")
                done += 1
                on_progress(done, total)
            entries.append(Entry(prototype, drawn, sources))
    return entries


def gallery_caption(latent_map: LatentMap) -> str:
    """Caption of the gallery."""
    dead = latent_map.dead_prototypes
    text = (
        f"Prototypes of {latent_map.name}: the frames nearest to each prototype, from different "
        f"gait cycles and episodes, with controller, episode and time. Shares are of all frames."
    )
    if dead:
        text += f" Never visited: {', '.join(map(str, dead))}."
    return text
