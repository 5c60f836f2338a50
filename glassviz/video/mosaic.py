"""Films of many clips in cells, with independent clocks, and bars with playheads."""

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

BACKGROUND_COLOR = "#14161C"
LANE_COLOR = "#2E313A"

EDGE = 4
"""Width of the border of a highlighted cell, pixels."""

DIMMED = 0.62
"""Brightness of a cell that is not highlighted."""

Canvas = UInt8[np.ndarray, "height width 3"]


@dataclass(frozen=True, eq=False)
class Track:
    """A clip resampled to the F frames of the film.

    Attributes:
        qpos, qvel: the state that the picture is drawn from, interpolated between frames.
        label: label of the latest frame reached in the clip.
    """

    qpos: Float64[np.ndarray, "film nq"]
    qvel: Float64[np.ndarray, "film nv"]
    label: Int[np.ndarray, " film"]

    @classmethod
    def of(cls, clip: Clip, at: Float64[np.ndarray, " film"]) -> Self:
        """Resample a clip.

        Args:
            clip: the clip.
            at: position in the clip by frame of the film, in fractional frames; positions outside
                of the clip show its first or last frame.
        """
        at = np.clip(at, 0, clip.frames - 1)
        # Positions are computed from phases: rounding errors must not miss a whole frame.
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
    """One picture of the mosaic, with the size of the scene.

    Attributes:
        x, y: upper left corner.
        track: the clip shown.
        colors: colours by label; empty for an agent without labels.
        highlighted: whether the cell has full brightness and a border in its label's colour.
        note: short text at the lower edge.
    """

    x: int
    y: int
    track: Track
    colors: tuple[str, ...]
    highlighted: Bool[np.ndarray, " film"]
    note: str = ""


@dataclass(frozen=True, eq=False)
class Bar:
    """A strip with a playhead.

    Attributes:
        x, y: upper left corner.
        picture: the strip.
        playhead: position of the playhead, from 0 (left) to 1 (right).
    """

    x: int
    y: int
    picture: Canvas
    playhead: Float64[np.ndarray, " film"]


@dataclass(frozen=True, eq=False)
class Mosaic:
    """A reel of many clips side by side.

    Attributes:
        background: the static part: background and titles.
        cells: the pictures.
        bars: the strips.
        scene: scene of a cell.
        format: file format.
        frames: number of frames of the film.
    """

    background: Canvas
    cells: tuple[Cell, ...]
    bars: tuple[Bar, ...]
    scene: Scene
    format: Format
    frames: int

    @property
    def width(self) -> int:
        """Width of a frame."""
        return self.background.shape[1]

    @property
    def height(self) -> int:
        """Height of a frame."""
        return self.background.shape[0]

    def painter(self, renderer: FrameRenderer) -> Paint:
        """A function that draws the frames."""
        width, height = self.scene.width, self.scene.height
        size = chip_size(height)
        chips: dict[tuple[int, str], Sprite] = {}
        notes = [_note(cell.note, height) if cell.note else None for cell in self.cells]

        def paint(canvas: Canvas, t: int) -> None:
            canvas[:] = self.background
            for cell, note in zip(self.cells, notes, strict=True):
                panel = canvas[cell.y : cell.y + height, cell.x : cell.x + width]
                panel[:] = renderer.render(cell.track.qpos[t], cell.track.qvel[t])
                label = int(cell.track.label[t])
                if not cell.highlighted[t]:
                    np.multiply(panel, DIMMED, out=panel, casting="unsafe")
                if cell.colors and label >= 0:
                    color = cell.colors[label]
                    if cell.highlighted[t]:
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
    """Font size of the numbers in cells of the given height, pixels."""
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
    """A strip in the colours of the labels over the frames of the film.

    Args:
        label: label by frame of the film; −1 for none.
        colors: colours by label.
        width, height: size of the strip, pixels.
    """
    palette = np.array([to_rgb(color) for color in (*colors, LANE_COLOR)], np.uint8)
    columns = label[np.arange(width) * len(label) // width]
    return np.repeat(palette[columns][None], height, axis=0)


def share_bar(share: Float64[np.ndarray, " film"], color: str, width: int, height: int) -> Canvas:
    """A bar chart of a share from 0 to 1 over the frames of the film."""
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
    at = bar.x + round(float(bar.playhead[t]) * (width - 1))
    canvas[bar.y - 2 : bar.y + height + 2, at - 2 : at + 3] = 0
    canvas[bar.y - 2 : bar.y + height + 2, at - 1 : at + 2] = 255
