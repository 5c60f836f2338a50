"""Figures of a run for papers: film strip, timeline and raster, with their captions."""

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
from matplotlib.figure import Figure

from glassviz.envs.bodies import HOPPER
from glassviz.errors import GlassvizError, UsageError
from glassviz.export.product import Source
from glassviz.figures.episode import WIDTH_MM, Signals, StripRow, film_strip, round_ticks, timeline
from glassviz.figures.labels import label_raster
from glassviz.figures.poses import Pose, mean_poses
from glassviz.figures.style import PLAIN, FigureStyle
from glassviz.text import count_of
from glassviz.video.clip import Clip
from glassviz.video.film import frames_between
from glassviz.video.renderer import StillMaker, consecutive_cycles

PICTURES = 6
ROWS = 2

PICTURE = 400, 440
"""Width and height of a picture, pixels; 700 pixels per inch in the strip."""

RASTER_ROW_INCHES = 0.7

CYCLES_SHOWN = 6

Part = tuple[float, float]
"""Start and end of a part of an episode, s."""


def strip_figure(
    source: Source, stills: StillMaker, part_s: Part | None = None, look: FigureStyle = PLAIN
) -> Figure:
    """A film strip of two gait cycles, one per row, or of a part of the episode in real time.

    Without gait cycles and `part_s`, the whole episode is shown.

    Raises:
        UsageError: the episode has no such part.
        GlassvizError: no OpenGL backend works.
    """
    scene = stills.prepare(source.trace, *PICTURE)
    clip = Clip.of(source.trace, source.episode)
    spans, in_cycles = _strip_spans(source, part_s)
    rows = []
    for first, last in spans:
        centres = first + (np.arange(PICTURES) + 0.5) / PICTURES * (last - first)
        frames = np.minimum(centres.astype(np.int64), clip.frames - 1)
        start, end = first * source.trace.frame_dt_s, last * source.trace.frame_dt_s
        rows.append(
            StripRow(
                pictures=[
                    stills.draw(scene, clip.qpos[t], clip.qvel[t], clip.reset_seed) for t in frames
                ],
                labels=clip.label[frames].tolist() if clip.has_labels else None,
                span=clip.label[first:last].astype(np.int64) if clip.has_labels else None,
                title=f"{start:.2f} to {end:.2f} s",
            )
        )
    names = source.label_names()
    fitted = "; fitted labels" if source.fitted else ""
    if in_cycles:
        quarters = {0.0: "0", 0.25: "¼", 0.5: "½", 0.75: "¾", 1.0: "1"}
        return film_strip(rows, names, f"gait phase, from touchdown{fitted}", quarters, look)
    row_s = (spans[0][1] - spans[0][0]) * source.trace.frame_dt_s
    ticks = round_ticks(0.0, row_s)
    return film_strip(rows, names, f"time within the row, s{fitted}", ticks, look)


def strip_caption(source: Source, part_s: Part | None = None) -> str:
    """Caption of the film strip."""
    spans, in_cycles = _strip_spans(source, part_s)
    content = (
        "Two consecutive gait cycles from touchdown to touchdown, one per row; pictures in a "
        "column have the same gait phase"
        if in_cycles and len(spans) > 1
        else "A gait cycle from touchdown to touchdown"
        if in_cycles
        else "A part of the episode in real time, row by row"
        if part_s
        else "The whole episode in real time, row by row, since it has no gait cycles"
    )
    labels = "; bars show the labels of all frames, numbers those of the pictures"
    return f"{content}{labels if source.trace.has_labels else ''}. Pictures are above their frames."


def timeline_figure(
    source: Source, part_s: Part | None = None, look: FigureStyle = PLAIN
) -> Figure:
    """Labels, height and floor contacts of an episode over time.

    The part `part_s` is enlarged, by default some gait cycles in the middle of the episode.
    """
    clip = Clip.of(source.trace, source.episode)
    signals = Signals(
        time_s=clip.time,
        height_m=None if "height" in source.trace.unknown else source.trace.height[source.episode],
        lanes=clip.lane_names,
        contacts=clip.contacts,
        label=clip.label.astype(np.int64) if clip.has_labels else None,
    )
    title = "fitted" if source.fitted else "label"
    return timeline(signals, shown_part(source, part_s), source.label_names(), title, look)


def timeline_caption(source: Source, part_s: Part | None = None) -> str:
    """Caption of the timeline."""
    first, last = (t * source.trace.frame_dt_s for t in shown_part(source, part_s))
    top = "Top: labels of the whole episode. Below: " if source.trace.has_labels else ""
    part, body = f"{first:.2f} to {last:.2f} s of the episode", source.trace.body
    if not body.feet:
        return f"{top}{part}."
    over, feet = ("foot", "the foot") if body.name == HOPPER else ("floor", "each foot")
    return (
        f"{top}{part}, with the height of the torso over the {over} and the floor contacts of "
        f"{feet} and of any other part of the body."
    )


def raster_figure(source: Source, look: FigureStyle = PLAIN) -> Figure:
    """The labels of all gait cycles by phase.

    Raises:
        UsageError: there are no labels, or no gait cycles.
    """
    width_mm = look.width_mm or WIDTH_MM
    return label_raster(_label_rasters(source), replace(look, width_mm=width_mm), RASTER_ROW_INCHES)


def raster_caption(source: Source) -> str:
    """Caption of the raster."""
    rasters = _label_rasters(source)
    cycles = sum(map(len, rasters.values()))
    episodes = len(source.episodes)
    text = (
        f"Labels of {count_of(cycles, 'gait cycle')} in {count_of(len(rasters), 'episode')}. A "
        f"panel is an episode, a column a gait cycle, from touchdown at the bottom to the next "
        f"touchdown at the top. Bands mean that labels are locked to the "
        f"gait phase, noise that they are not."
    )
    if len(rasters) < episodes:
        text += f" {episodes - len(rasters)} of {episodes} episodes have no gait cycle."
    return text


def shown_part(
    source: Source, part_s: Part | None, longest_s: float = 6.0, shortest_s: float = 2.0
) -> tuple[int, int]:
    """First and last frame (exclusive) of a requested part of an episode.

    By default, some gait cycles in its middle, or without these the part after its initial
    transient, of a duration between `shortest_s` and `longest_s`.

    Raises:
        UsageError: the episode has no such part.
    """
    trace = source.trace
    dt_s = trace.frame_dt_s
    if part_s:
        return frames_between(part_s, dt_s, trace.frames)
    cycles = source.cycles(source.episode)
    if consecutive := consecutive_cycles(cycles, CYCLES_SHOWN):
        start, count = consecutive
        first = int(cycles.starts[start])
        length = int(cycles.ends[start + count - 1]) - first
    else:
        first, length = source.stability.episodes[source.episode].gait.opening_end, trace.frames
    length = max(length, round(shortest_s / dt_s))
    length = min(length, round(longest_s / dt_s), trace.frames)
    first = max(0, min(first, trace.frames - length))
    return first, first + length


def label_poses(source: Source) -> tuple[Pose, ...]:
    """The mean pose of each label of the source's episodes.

    Raises:
        UsageError: there are no labels, or the body is not the hopper.
        GlassvizError: there are no frames after the initial transients.
    """
    source.require_labels("poses")
    run, body = source.run, source.trace.task.body.name
    if body != HOPPER:
        raise UsageError(
            f"{run.name}: poses: expected a hopper, whose side view is known, found {body}: draw "
            f"--strip or --gif instead"
        )
    return mean_poses(source.trace, run.gaits, source.stability.label_names, source.episodes)


def _label_rasters(source: Source) -> Mapping[int, np.ndarray]:
    source.require_labels("a raster")
    rasters = {
        e + 1: labels.raster
        for e in source.episodes
        if (labels := source.stability.episodes[e].steady_labels) and len(labels.raster)
    }
    if not rasters:
        raise GlassvizError(
            f"{source.name}: expected gait cycles for a raster, found none in "
            f"{count_of(len(source.episodes), 'episode')}: export a timeline instead"
        )
    return rasters


def _strip_spans(source: Source, part_s: Part | None) -> tuple[list[tuple[int, int]], bool]:
    """First and last frame (exclusive) of every row, and whether rows are gait cycles."""
    cycles = source.cycles(source.episode)
    consecutive = None if part_s else consecutive_cycles(cycles, ROWS)
    if consecutive:
        start, count = consecutive
        rows = range(start, start + count)
        return [(int(cycles.starts[j]), int(cycles.ends[j])) for j in rows], True
    first, last = shown_part(source, part_s) if part_s else (0, source.trace.frames)
    middle = (first + last) // 2
    return ([(first, middle), (middle, last)] if middle > first else [(first, last)]), False
