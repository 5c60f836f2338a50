"""Figures of a run for a paper: film strip, timeline, raster."""

from collections.abc import Mapping

import numpy as np
from matplotlib.figure import Figure

from glassviz.errors import GlassvizError, UsageError
from glassviz.export.product import Source
from glassviz.figures.episode import WIDTH_MM, Signals, StripRow, film_strip, round_ticks, timeline
from glassviz.figures.labels import label_raster
from glassviz.text import count_of
from glassviz.video.clip import Clip
from glassviz.video.film import frames_between
from glassviz.video.renderer import StillMaker, consecutive_cycles

PICTURES = 6
ROWS = 2

PICTURE = 400, 440
"""Width and height of a picture in pixels: 700 to an inch of the strip's width."""

RASTER_ROW_INCHES = 0.7

CYCLES_SHOWN = 6
"""Gait cycles of the part that a timeline shows at large."""

LONGEST_S, SHORTEST_S = 6.0, 2.0
"""Of that part."""

Part = tuple[float, float]
"""Seconds of an episode, from and to."""


def strip_figure(source: Source, stills: StillMaker, part_s: Part | None = None) -> Figure:
    """A film strip: two gait cycles below each other, or a part in real time.

    Args:
        source: the run.
        stills: draws its pictures.
        part_s: of the episode; two cycles, or the whole episode without such, if None.

    Raises:
        GlassvizError: nothing can be drawn here, or there is no such part.
    """
    scene = stills.prepare(source.trace.header["env"]["physics"], *PICTURE)
    clip = Clip.of(source.trace, source.episode)
    spans, in_cycles = _strip_spans(source, part_s)
    rows = []
    for first, last in spans:
        at = first + (np.arange(PICTURES) + 0.5) / PICTURES * (last - first)
        frames = np.minimum(at.astype(np.int64), clip.frames - 1).tolist()
        pictures = [stills.draw(scene, clip.qpos[t], clip.qvel[t]) for t in frames]
        start, end = first * source.trace.frame_dt_s, last * source.trace.frame_dt_s
        rows.append(
            StripRow(
                pictures=pictures,
                labels=[int(clip.label[t]) for t in frames] if clip.has_labels else None,
                span=clip.label[first:last].astype(np.int64) if clip.has_labels else None,
                title=f"{start:.2f} to {end:.2f} s",
            )
        )
    names = source.phase_names()
    fitted = "; fitted labels" if source.fitted else ""
    if in_cycles:
        quarters = {0.0: "0", 0.25: "¼", 0.5: "½", 0.75: "¾", 1.0: "1"}
        return film_strip(rows, names, f"phase of the gait, from touchdown{fitted}", quarters)
    each = (spans[0][1] - spans[0][0]) * source.trace.frame_dt_s
    return film_strip(rows, names, f"time in each row, s{fitted}", round_ticks(0.0, each))


def strip_caption(source: Source, part_s: Part | None = None) -> str:
    """What the film strip shows."""
    spans, in_cycles = _strip_spans(source, part_s)
    what = (
        "Two gait cycles that follow each other, from touchdown to touchdown, a row each; pictures "
        "in a column are at one phase of the gait"
        if in_cycles and len(spans) > 1
        else "A gait cycle from touchdown to touchdown"
        if in_cycles
        else "A part of the episode in real time, row after row"
        if part_s
        else "The whole episode in real time, row after row, for it has no gait cycles"
    )
    labels = "; the bar has the label of every frame, and the numbers those of the pictures"
    return f"{what}{labels if source.trace.has_labels else ''}. Each picture stands over its frame."


def timeline_figure(source: Source, part_s: Part | None = None) -> Figure:
    """An episode's labels, height and floor contacts over time.

    Args:
        source: the run.
        part_s: that is shown at large; some gait cycles in the middle if None.
    """
    clip = Clip.of(source.trace, source.episode)
    signals = Signals(
        time_s=clip.time,
        height_m=source.trace.height[source.episode],
        foot=clip.foot,
        other=clip.other,
        label=clip.label.astype(np.int64) if clip.has_labels else None,
    )
    title = "fitted" if source.fitted else "label"
    return timeline(signals, shown_part(source, part_s), source.phase_names(), title)


def timeline_caption(source: Source, part_s: Part | None = None) -> str:
    """What the timeline shows."""
    first, last = (t * source.trace.frame_dt_s for t in shown_part(source, part_s))
    top = "Above the labels of the whole episode; below, " if source.trace.has_labels else ""
    told = (
        f"{top}{first:.2f} to {last:.2f} s of it with the height of the torso over the foot and "
        f"the floor contacts of the foot and of any other part of the body."
    )
    return told if top else told[0].upper() + told[1:]


def raster_figure(source: Source) -> Figure:
    """The label of every gait cycle at every phase.

    Raises:
        UsageError: there are no labels, or no gait cycles.
    """
    rasters = _rasters(source)
    return label_raster(rasters, WIDTH_MM / 25.4, RASTER_ROW_INCHES)


def raster_caption(source: Source) -> str:
    """What the raster shows."""
    rasters = _rasters(source)
    cycles = sum(map(len, rasters.values()))
    episodes = len(source.episodes)
    told = (
        f"Labels of {count_of(cycles, 'gait cycle')} in {count_of(len(rasters), 'episode')}. A "
        f"column is a gait cycle, from touchdown at the bottom to the next at the top; a block is "
        f"an episode, with its number above. Bands: each phase keeps its label. Noise: it does "
        f"not."
    )
    if len(rasters) < episodes:
        told += f" {episodes - len(rasters)} of {episodes} episodes have no gait cycle."
    return told


def shown_part(
    source: Source,
    part_s: Part | None,
    longest_s: float = LONGEST_S,
    shortest_s: float = SHORTEST_S,
) -> tuple[int, int]:
    """First frame of the part that is shown, and the one behind the last.

    Args:
        source: the run.
        part_s: that is asked for; if None, some gait cycles in the middle of the episode's, or
            what follows its opening.
        longest_s, shortest_s: of a part that was not asked for.

    Raises:
        UsageError: there is no such part.
    """
    trace = source.trace
    dt_s = trace.frame_dt_s
    if part_s:
        return frames_between(part_s, dt_s, trace.frames)
    cycles = source.cycles(source.episode)
    found = consecutive_cycles(cycles, CYCLES_SHOWN)
    if found:
        first, count = int(cycles.starts[found[0]]), found[1]
        length = int(cycles.ends[found[0] + count - 1]) - first
    else:
        first, length = source.stability.episodes[source.episode].gait.opening_end, trace.frames
    length = max(length, round(shortest_s / dt_s))
    length = min(length, round(longest_s / dt_s), trace.frames)
    first = max(0, min(first, trace.frames - length))
    return first, first + length


def _rasters(source: Source) -> Mapping[int, np.ndarray]:
    if not source.trace.has_labels:
        raise UsageError(
            f"{source.name}: expected labels for a raster, found an agent without: make some with "
            f"`glassviz fit {source.run.target}` and add --labels fitted"
        )
    found = {
        e + 1: labels.raster
        for e in source.episodes
        if (labels := source.stability.episodes[e].steady_labels) and len(labels.raster)
    }
    if not found:
        raise GlassvizError(
            f"{source.name}: expected gait cycles for a raster, found none in "
            f"{count_of(len(source.episodes), 'episode')}: a timeline needs none"
        )
    return found


def _strip_spans(source: Source, part_s: Part | None) -> tuple[list[tuple[int, int]], bool]:
    """First frame of each row and the one behind its last; and whether rows are gait cycles."""
    cycles = source.cycles(source.episode)
    found = None if part_s else consecutive_cycles(cycles, ROWS)
    if found:
        rows = range(found[0], found[0] + found[1])
        return [(int(cycles.starts[j]), int(cycles.ends[j])) for j in rows], True
    first, last = (
        frames_between(part_s, source.trace.frame_dt_s, source.trace.frames)
        if part_s
        else (0, source.trace.frames)
    )
    middle = (first + last) // 2
    return ([(first, middle), (middle, last)] if middle > first else [(first, last)]), False
