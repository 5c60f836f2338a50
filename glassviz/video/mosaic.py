"""Films of many clips in cells, with independent clocks, and bars with playheads."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
from jaxtyping import Bool, Float64, Int
from PIL import Image, ImageDraw

from glassviz.errors import UsageError
from glassviz.palette import to_rgb
from glassviz.text import broken, cut_middle
from glassviz.trace import Trace
from glassviz.video.backdrop import Background
from glassviz.video.clip import Canvas, Clip
from glassviz.video.encode import Format
from glassviz.video.film import Paint
from glassviz.video.overlay import (
    FAINT_COLOR,
    PANEL_COLOR,
    TEXT_COLOR,
    Sprite,
    drawable,
    font,
    line_height,
    text_box,
    text_width,
)
from glassviz.video.renderer import (
    BODY_ASPECT,
    FrameRenderer,
    Quality,
    Scene,
    body_view,
    scene_of,
)

BACKGROUND_COLOR = "#14161C"
LANE_COLOR = "#2E313A"

DARK_SHEET = BACKGROUND_COLOR, TEXT_COLOR, FAINT_COLOR
WHITE_SHEET = "#FFFFFF", "#14161C", "#565C68"
"""Colours of a sheet, of its texts, and of those that are faint."""

EDGE = 4
"""Width of the border of a highlighted cell, pixels."""

DIMMED = 0.62
"""Brightness of a cell that is not highlighted."""

MAX_WIDTH, MAX_HEIGHT = 1920, 1080
MAX_CELL_HEIGHT = 300

MIN_CELL_HEIGHT = 88
"""With very many rows, a film becomes taller than a screen rather than its cells smaller."""

MARGIN = 16

GAP = 6
"""Distance between cells, pixels."""

TITLE, TEXT = 22, 16


MIN_CELL, MAX_CELL = 64, 1920
"""Smallest and largest side of a cell that may be asked for, pixels."""


@dataclass(frozen=True)
class Look:
    """How the cells of a mosaic are drawn.

    Attributes:
        background: of the cells: see `backdrop.set_backdrop`; a white one also has a white sheet.
        size: width and height of a cell, pixels; None for what suits a large screen.

    Raises:
        UsageError: the size is too small or too large.
    """

    quality: Quality
    background: Background = "sky"
    size: tuple[int, int] | None = None

    def __post_init__(self) -> None:
        if self.size and not all(MIN_CELL <= side <= MAX_CELL for side in self.size):
            raise UsageError(
                f"size: expected {MIN_CELL} to {MAX_CELL} pixels a side for each picture, found "
                f"{self.size[0]}x{self.size[1]}"
            )

    def scene(self, trace: Trace, width: int, height: int) -> Scene:
        """The scene of a cell."""
        view = body_view(trace)
        return scene_of(trace, width, height, self.quality, view, self.background)


@dataclass(frozen=True, eq=False)
class Track:
    """A clip resampled to the F frames of the film.

    States are interpolated between frames; labels are those of the latest frame reached.
    """

    qpos: Float64[np.ndarray, "film nq"]
    qvel: Float64[np.ndarray, "film nv"]
    label: Int[np.ndarray, " film"]
    reset_seed: int

    @classmethod
    def of(cls, clip: Clip, at: Float64[np.ndarray, " film"]) -> Self:
        """Resample a clip.

        Args:
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
            reset_seed=clip.reset_seed,
        )


@dataclass(frozen=True, eq=False)
class Cell:
    """One picture of the mosaic, with its upper left corner and the size of the scene.

    Attributes:
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
    """A strip, by its upper left corner, with a playhead between 0 (left) and 1 (right)."""

    x: int
    y: int
    picture: Canvas
    playhead: Float64[np.ndarray, " film"]


@dataclass(frozen=True, eq=False)
class Mosaic:
    """A reel of many clips side by side, in cells of size `scene` on a static `background`."""

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
        size = max(13, round(height / 13))
        chips: dict[tuple[int, str], Sprite] = {}
        notes = [_note(cell.note, height) if cell.note else None for cell in self.cells]

        def paint(canvas: Canvas, t: int) -> None:
            canvas[:] = self.background
            for cell, note in zip(self.cells, notes, strict=True):
                panel = canvas[cell.y : cell.y + height, cell.x : cell.x + width]
                renderer.begin(cell.track.reset_seed)
                panel[:] = renderer.render(cell.track.qpos[t], cell.track.qvel[t])
                label = int(cell.track.label[t])
                if not cell.highlighted[t]:
                    np.multiply(panel, DIMMED, out=panel, casting="unsafe")
                if cell.colors and label >= 0:
                    color = cell.colors[label]
                    if cell.highlighted[t]:
                        for side in (panel, panel.swapaxes(0, 1)):
                            side[:EDGE] = side[-EDGE:] = to_rgb(color)
                    if (label, color) not in chips:
                        chips[label, color] = Sprite(number_chip(label, color, size))
                    chips[label, color].draw(panel, 2 * EDGE, 2 * EDGE)
                if note:
                    note.draw(panel, width - note.width - EDGE, height - note.height - EDGE)
            for bar in self.bars:
                _draw_bar(canvas, bar, t)

        return paint


class Sheet:
    """The static background of a mosaic, with text; white under white cells."""

    def __init__(self, width: int, height: int, background: Background = "sky") -> None:
        self.width, self.height = width + width % 2, height
        self._paper, self._ink, self._faint = WHITE_SHEET if background == "white" else DARK_SHEET
        self._picture = Image.new("RGB", (self.width, height), self._paper)

    def footer(self, text: str, above: int, below: int) -> None:
        """Extend the sheet at the bottom, to an even height, by a text with space around it."""
        lines = _wrapped(text, self.width - 2 * MARGIN)
        top = self.height + above
        height = top + 22 * len(lines) + below
        self.height = height + height % 2
        taller = Image.new("RGB", (self.width, self.height), self._paper)
        taller.paste(self._picture, (0, 0))
        self._picture = taller
        for k, line in enumerate(lines):
            self.text(MARGIN, top + 22 * k, line, faint=True)

    def picture(self) -> Canvas:
        """The sheet as RGB pixels."""
        return np.array(self._picture)

    def text(
        self, x: int, y: int, text: str, size: int = TEXT, faint: bool = False, anchor: str = "la"
    ) -> None:
        """Write a line; `anchor` as in Pillow."""
        color = self._faint if faint else self._ink
        ink = ImageDraw.Draw(self._picture)
        ink.text((x, y), drawable(text), fill=color, font=font(size), anchor=anchor)

    def title(self, text: str, about: str) -> None:
        """Write the title at the left, and `about` at the right, both truncated to fit."""
        room = self.width - 2 * MARGIN
        size = self.fitted(MARGIN, 10, text, TITLE, TEXT, room)
        about = truncated(about, TEXT, int(room - text_width(text, size) - 2 * MARGIN))
        self.text(self.width - MARGIN, 14, about, faint=True, anchor="ra")

    def fitted(self, x: int, y: int, text: str, size: int, least: int, room: int) -> int:
        """Write a line within a width in pixels: smaller, and cut at the least size.

        Returns:
            The size that it was written in.
        """
        while size > least and text_width(text, size) > room:
            size -= 1
        self.text(x, y, truncated(text, size, room), size)
        return size

    def row_name(self, y: int, height: int, label: int, color: str, name: str, count: str) -> int:
        """Write a row's label, name and count; returns the y coordinate below."""
        chip = number_chip(label, color, 30)
        top = y + max(4, (height - 118) // 2)
        self._picture.paste(chip, (MARGIN, top), chip)
        self.text(MARGIN + chip.width + 12, top + chip.height // 2, name, 20, anchor="lm")
        self.text(MARGIN, top + chip.height + 8, count, 15, faint=True)
        return top + chip.height + 34


def fitted_cell(
    columns: int, rows: int, beside: int, above: int, max_height: int = MAX_CELL_HEIGHT
) -> tuple[int, int]:
    """Width and height of cells, even numbers, so that a film fits a large screen, pixels.

    `beside` and `above` are the width and height of everything else.
    """
    room = (MAX_WIDTH - beside) / columns / BODY_ASPECT - GAP, (MAX_HEIGHT - above) / rows - GAP
    height = max(MIN_CELL_HEIGHT, min(max_height, *room))
    return 2 * int(height * BODY_ASPECT / 2), 2 * int(height / 2)


def number_chip(label: int, color: str, size: int) -> Image.Image:
    """A label's number on its colour."""
    height = line_height(size) + round(size * 0.15)
    width = max(height, round(text_width(str(label), size) + size * 0.7))
    return text_box(str(label), size, width, height, height * 0.22, color)


def label_bar(
    label: Int[np.ndarray, " film"], colors: Sequence[str], width: int, height: int
) -> Canvas:
    """A strip of a size in pixels, in the colours of the frames' labels; -1 is no label."""
    palette = np.array([to_rgb(color) for color in (*colors, LANE_COLOR)], np.uint8)
    columns = label[np.arange(width) * len(label) // width]
    return np.repeat(palette[columns][None], height, axis=0)


def share_bar(share: Float64[np.ndarray, " film"], color: str, width: int, height: int) -> Canvas:
    """A bar chart of a share from 0 to 1 over the frames of the film."""
    columns = share[np.arange(width) * len(share) // width]
    filled = np.arange(height)[::-1, None] < columns * height
    inks = np.array([to_rgb(LANE_COLOR), to_rgb(color)], np.uint8)
    return inks[filled.astype(np.int64)]


def _note(text: str, height: int) -> Sprite:
    size = max(11, round(height / 18))
    width = round(text_width(text, size)) + size
    return Sprite(text_box(text, size, width, line_height(size), 3.0, PANEL_COLOR, TEXT_COLOR))


def _draw_bar(canvas: Canvas, bar: Bar, t: int) -> None:
    height, width, _ = bar.picture.shape
    canvas[bar.y : bar.y + height, bar.x : bar.x + width] = bar.picture
    at = bar.x + round(float(bar.playhead[t]) * (width - 1))
    canvas[bar.y - 2 : bar.y + height + 2, at - 2 : at + 3] = 0
    canvas[bar.y - 2 : bar.y + height + 2, at - 1 : at + 2] = 255


def _wrapped(text: str, room: int) -> list[str]:
    """A text broken into lines that fit a width in pixels."""

    def fits(line: str) -> bool:
        return text_width(line, TEXT) <= room

    lines: list[str] = []
    words = (part for word in text.split() for part in broken(word, fits))
    for word in words:
        longer = f"{lines[-1]} {word}" if lines else word
        if lines and fits(longer):
            lines[-1] = longer
        else:
            lines.append(word)
    return lines


def truncated(text: str, size: int, room: int) -> str:
    """A text with an ellipsis in its middle if it is wider than so many pixels."""
    return cut_middle(text, lambda part: text_width(part, size) <= room)
