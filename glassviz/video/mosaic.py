"""Films made of many: clips in cells, each on a clock of its own, with bars that follow it."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
from jaxtyping import Bool, Float64, Int, UInt8
from PIL import Image, ImageDraw

from glassviz.palette import ink_on, to_rgb
from glassviz.video.clip import Clip
from glassviz.video.encode import Format
from glassviz.video.frames import Paint
from glassviz.video.overlay import PANEL_COLOR, TEXT_COLOR, Sprite, font, line_height, rounded_box
from glassviz.video.renderer import FrameRenderer, Scene

GROUND_COLOR = "#14161C"
LANE_COLOR = "#2E313A"

EDGE = 4
"""Width of a cell's edge while it is lit, in pixels."""

UNLIT = 0.62
"""Brightness of a cell that is not."""

Canvas = UInt8[np.ndarray, "height width 3"]


@dataclass(frozen=True, eq=False)
class Track:
    """What a cell shows, frame by frame of the film; F frames.

    Attributes:
        qpos, qvel: the state that the picture is drawn from, between two recorded frames
            interpolated.
        label: of the recorded frame that was reached last.
    """

    qpos: Float64[np.ndarray, "film nq"]
    qvel: Float64[np.ndarray, "film nv"]
    label: Int[np.ndarray, " film"]

    @classmethod
    def of(cls, clip: Clip, at: Float64[np.ndarray, " film"]) -> Self:
        """A clip on another clock.

        Args:
            clip: of an episode.
            at: the place in the clip, in frames and parts of frames, of each frame of the film;
                places outside of the clip show its first or last frame.
        """
        at = np.clip(at, 0, clip.frames - 1)
        # Places are computed from phases: one that is a frame must not fall short of it.
        low = np.floor(at + 1e-6).astype(np.int64)
        high = np.minimum(low + 1, clip.frames - 1)
        weight = np.clip(at - low, 0, 1)[:, None]
        return cls(
            qpos=(1 - weight) * clip.qpos[low] + weight * clip.qpos[high],
            qvel=(1 - weight) * clip.qvel[low] + weight * clip.qvel[high],
            label=clip.label[low].astype(np.int64),
        )


@dataclass(frozen=True, eq=False)
class Cell:
    """One picture of the mosaic, which has the size of the scene.

    Attributes:
        x, y: its upper left corner.
        track: what it shows.
        colors: of its labels, by label; empty for an agent without.
        lit: while it is, it has its full brightness, and an edge in its label's colour.
        note: a few words along its lower edge.
    """

    x: int
    y: int
    track: Track
    colors: tuple[str, ...]
    lit: Bool[np.ndarray, " film"]
    note: str = ""


@dataclass(frozen=True, eq=False)
class Bar:
    """A strip with a playhead.

    Attributes:
        x, y: its upper left corner.
        picture: the strip.
        place: of the playhead, from 0 at its left end to 1 at its right.
    """

    x: int
    y: int
    picture: Canvas
    place: Float64[np.ndarray, " film"]


@dataclass(frozen=True, eq=False)
class Mosaic:
    """The reel of a film made of many clips.

    Attributes:
        ground: what does not move: titles, and the ground behind all.
        cells: the pictures.
        bars: the strips.
        scene: what each cell is drawn with.
        format: of the film.
        frames: number of frames of the film.
    """

    ground: Canvas
    cells: tuple[Cell, ...]
    bars: tuple[Bar, ...]
    scene: Scene
    format: Format
    frames: int

    @property
    def width(self) -> int:
        """Width of a frame."""
        return self.ground.shape[1]

    @property
    def height(self) -> int:
        """Height of a frame."""
        return self.ground.shape[0]

    def painter(self, renderer: FrameRenderer) -> Paint:
        """What draws the frames."""
        width, height = self.scene.width, self.scene.height
        size = chip_size(height)
        chips: dict[tuple[int, str], Sprite] = {}
        notes = [_note(cell.note, height) if cell.note else None for cell in self.cells]

        def paint(canvas: Canvas, t: int) -> None:
            canvas[:] = self.ground
            for cell, note in zip(self.cells, notes, strict=True):
                panel = canvas[cell.y : cell.y + height, cell.x : cell.x + width]
                panel[:] = renderer.render(cell.track.qpos[t], cell.track.qvel[t])
                label = int(cell.track.label[t])
                if not cell.lit[t]:
                    np.multiply(panel, UNLIT, out=panel, casting="unsafe")
                if cell.colors and label >= 0:
                    color = cell.colors[label]
                    if cell.lit[t]:
                        _edge(panel, color)
                    if (label, color) not in chips:
                        chips[label, color] = Sprite(number_chip(label, color, size))
                    chips[label, color].draw(panel, 2 * EDGE, 2 * EDGE)
                if note:
                    note.draw(panel, width - note.width - EDGE, height - note.height - EDGE)
            for bar in self.bars:
                _draw_bar(canvas, bar, t)

        return paint


def chip_size(height: int) -> int:
    """Size of type of the numbers in cells of that height."""
    return max(13, round(height / 13))


def number_chip(label: int, color: str, size: int) -> Image.Image:
    """A label's number on its colour."""
    glyphs = font(size)
    height = line_height(size) + round(size * 0.15)
    width = max(height, round(glyphs.getlength(str(label)) + size * 0.7))
    box = rounded_box(width, height, height * 0.22, color)
    middle = width / 2, height / 2
    ImageDraw.Draw(box).text(middle, str(label), fill=ink_on(color), font=glyphs, anchor="mm")
    return box


def label_bar(
    label: Int[np.ndarray, " film"], colors: Sequence[str], width: int, height: int
) -> Canvas:
    """A strip in the colours of a film's labels from its first frame to its last.

    Args:
        label: of each frame of the film; −1: none.
        colors: by label.
        width, height: of the strip.
    """
    palette = np.array([to_rgb(color) for color in (*colors, LANE_COLOR)], np.uint8)
    columns = label[np.arange(width) * len(label) // width]
    return np.repeat(palette[columns][None], height, axis=0)


def share_bar(share: Float64[np.ndarray, " film"], color: str, width: int, height: int) -> Canvas:
    """A strip whose columns are filled from below by a share, from 0 to 1."""
    columns = share[np.arange(width) * len(share) // width]
    filled = np.arange(height)[::-1, None] < columns * height
    inks = np.array([to_rgb(LANE_COLOR), to_rgb(color)], np.uint8)
    return inks[filled.astype(np.int64)]


def _edge(panel: Canvas, color: str) -> None:
    rgb = to_rgb(color)
    for side in (panel[:EDGE], panel[-EDGE:], panel[:, :EDGE], panel[:, -EDGE:]):
        side[:] = rgb


def _note(text: str, height: int) -> Sprite:
    size = max(11, round(height / 18))
    box_height = line_height(size)
    width = round(font(size).getlength(text)) + size
    box = rounded_box(width, box_height, 3.0, PANEL_COLOR)
    middle = width / 2, box_height / 2
    ImageDraw.Draw(box).text(middle, text, fill=TEXT_COLOR, font=font(size), anchor="mm")
    return Sprite(box)


def _draw_bar(canvas: Canvas, bar: Bar, t: int) -> None:
    height, width, _ = bar.picture.shape
    canvas[bar.y : bar.y + height, bar.x : bar.x + width] = bar.picture
    at = bar.x + round(float(bar.place[t]) * (width - 1))
    canvas[bar.y - 2 : bar.y + height + 2, at - 2 : at + 3] = 0
    canvas[bar.y - 2 : bar.y + height + 2, at - 1 : at + 2] = 255
