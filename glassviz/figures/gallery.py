"""The gallery of poses of prototypes."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Int, UInt8
from matplotlib.figure import Figure

from glassviz.errors import GlassvizError
from glassviz.figures.rasters import PAGE_INCHES
from glassviz.figures.style import COLUMN_INCHES, style, wrapped
from glassviz.maps.features import by_nearness
from glassviz.maps.maps import LatentMap
from glassviz.palette import ink_on, label_color
from glassviz.video.renderer import MujocoRenderer, OpenRenderer, StillMaker

COLUMN_ROWS = 8
"""More prototypes than this stand in two columns, on the width of a page."""

HEAD_INCHES = 0.62
"""Left of a row: the prototype's number, label and share."""

ROW_INCHES = 0.74
CAPTION_INCHES = 0.105


@dataclass(frozen=True, eq=False)
class Entry:
    """A prototype and its pictures.

    Attributes:
        number: n.
        label: of most of its frames.
        name: what the label stands for.
        share: of all frames, those that it is nearest to.
        pictures: all of one size.
        places: where each is from.
    """

    number: int
    label: int
    name: str
    share: float
    pictures: Sequence[UInt8[np.ndarray, "height width 3"]]
    places: Sequence[str]


def gallery(entries: Sequence[Entry], caption: str) -> Figure:
    """Draw the rows: at the width of a column, or in two columns at that of a page.

    Args:
        entries: in their order, column by column.
        caption: plain text.
    """
    columns = 1 if len(entries) <= COLUMN_ROWS else 2
    width = COLUMN_INCHES if columns == 1 else PAGE_INCHES
    rows = math.ceil(len(entries) / columns)
    lines = wrapped(caption, (width - 0.1) * 72, 6.0)
    height = rows * ROW_INCHES + CAPTION_INCHES * len(lines) + 0.14
    most = max(len(each.pictures) for each in entries)
    wide = (width / columns - HEAD_INCHES - 0.1) / most
    with style():
        figure = Figure(figsize=(width, height))
        for i, entry in enumerate(entries):
            left = (i // rows) * width / columns + 0.05
            top = height - 0.04 - (i % rows) * ROW_INCHES
            _head(figure, entry, left / width, top / height, height)
            for j, (picture, place) in enumerate(zip(entry.pictures, entry.places, strict=True)):
                x, tall = left + HEAD_INCHES + j * wide, ROW_INCHES - 0.13
                axes = figure.add_axes(
                    (x / width, (top - tall) / height, 0.97 * wide / width, tall / height)
                )
                axes.imshow(picture, interpolation="antialiased")
                axes.axis("off")
                at = (x + 0.485 * wide) / width, (top - tall - 0.01) / height
                figure.text(*at, place, ha="center", va="top", fontsize=4.8, parse_math=False)
        at = 0.05 / width, (CAPTION_INCHES * len(lines) + 0.06) / height
        told = "\n".join(lines)
        figure.text(*at, told, va="top", fontsize=6, linespacing=1.15, parse_math=False)
    return figure


def _head(figure: Figure, entry: Entry, x: float, y: float, height: float) -> None:
    """Number in a circle of the label's colour, then label, name and share."""
    color = label_color(entry.label)
    figure.text(
        x + 0.06 / figure.get_figwidth(),
        y - 0.11 / height,
        str(entry.number),
        ha="center",
        va="center",
        fontsize=7,
        color=ink_on(color),
        bbox={"boxstyle": "circle,pad=0.2", "facecolor": color, "linewidth": 0},
    )
    told = f"label {entry.label}\n{entry.name}\n{entry.share:.1%}"
    figure.text(x, y - 0.25 / height, told, va="top", fontsize=6, linespacing=1.15)


EXAMPLES = 5

PICTURE = (240, 264)
"""Width and height of a picture, in pixels."""


@dataclass(frozen=True, eq=False)
class Examples:
    """The frames that show a prototype.

    Attributes:
        number: n.
        label: the commonest label of its frames, and what that stands for.
        name: likewise.
        share: of all frames, those that it is nearest to.
        frames: numbers in `Frames`, the nearest first; no two of one gait cycle, and of different
            episodes as far as there are such.
    """

    number: int
    label: int
    name: str
    share: float
    frames: Int[np.ndarray, " examples"]


def examples_of(found: LatentMap, count: int = EXAMPLES) -> tuple[Examples, ...]:
    """The frames nearest to every visited prototype, those of one label together.

    Labels come in the order of their gait phases, as far as they have one, and so do the
    prototypes of a label.

    Raises:
        GlassvizError: the map has no prototypes.
    """
    if not found.prototypes:
        raise GlassvizError(
            f"gallery of {found.name}: expected labels with prototypes, found none: name an agent "
            f"with Glass, or add --labels fitted"
        )
    names = {each.label: each.name for each in found.label_names}
    made = [
        Examples(
            each.number,
            each.label,
            names.get(each.label, ""),
            each.share,
            _apart(found, by_nearness(found.traces, found.frames, each.number), count),
        )
        for each in found.prototypes
    ]
    phase = {
        each.number: _mean_phase(found, found.frames.prototype == each.number) for each in made
    }
    of_label = {each.label: _mean_phase(found, found.frames.label == each.label) for each in made}
    return tuple(sorted(made, key=lambda e: (of_label[e.label], e.label, phase[e.number])))


def _apart(
    found: LatentMap, candidates: Int[np.ndarray, " frames"], count: int
) -> Int[np.ndarray, " chosen"]:
    """The first candidates, of different episodes; of different cycles, if episodes run out."""
    frames = found.frames
    # Outside of cycles a window of time takes the cycle's place.
    stretch = -1 - frames.series * len(frames) - frames.time // frames.window
    piece = np.where(frames.cycle >= 0, frames.cycle, stretch)
    chosen: list[int] = []
    for from_new_episodes in (True, False):
        for i in candidates.tolist():
            if len(chosen) == count:
                break
            if piece[i] in piece[chosen]:
                continue
            if from_new_episodes and frames.series[i] in frames.series[chosen]:
                continue
            chosen.append(i)
    return candidates[np.isin(candidates, chosen)]


def _mean_phase(found: LatentMap, own: Bool[np.ndarray, " frames"]) -> float:
    """Circular mean of the gait phase, in [0, 2π); infinite without any."""
    phase = found.frames.phase[own]
    known = phase[np.isfinite(phase)]
    if not len(known):
        return np.inf
    return float(np.angle(np.exp(1j * known).mean()) % (2 * np.pi))


def pictures(
    found: LatentMap,
    chosen: Sequence[Examples],
    open_renderer: OpenRenderer = MujocoRenderer,
    on_progress: Callable[[int, int], None] = lambda done, total: None,
) -> list[Entry]:
    """Draw the frames of a gallery.

    Raises:
        GlassvizError: nothing can be drawn here.
    """
    frames = found.frames
    total, done = sum(len(each.frames) for each in chosen), 0
    entries = []
    with StillMaker(open_renderer) as stills:
        for each in chosen:
            drawn = []
            for i in each.frames.tolist():
                trace = found.traces[int(frames.trace[i])]
                scene = stills.prepare(trace.header["env"]["physics"], *PICTURE)
                at = int(frames.episode[i]), int(frames.time[i])
                drawn.append(stills.draw(scene, trace.qpos[at], trace.qvel[at]))
                done += 1
                on_progress(done, total)
            told = [_place(found, int(i)) for i in each.frames]
            entries.append(Entry(each.number, each.label, each.name, each.share, drawn, told))
    return entries


def _place(found: LatentMap, i: int) -> str:
    """Where a frame is from: controller, episode and time."""
    frames = found.frames
    trace = found.traces[int(frames.trace[i])]
    at = int(frames.episode[i]), int(frames.time[i])
    return f"{trace.header['controller']} {at[0] + 1}, {trace.time[at]:.1f} s"


def gallery_caption(found: LatentMap) -> str:
    """What a reader of the gallery has to know."""
    dead = found.dead_prototypes
    told = (
        f"Prototypes of {found.name}: the frames nearest to each, from different gait cycles and "
        f"episodes; under each controller, episode and time. Shares are of all frames."
    )
    if dead:
        told += f" Never visited: {', '.join(map(str, dead))}."
    return told
