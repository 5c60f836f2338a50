"""The ground of a mosaic: titles, names of rows, what is written below."""

import numpy as np
from jaxtyping import UInt8
from PIL import Image, ImageDraw

from glassviz.video.layout import FAINT_COLOR, TEXT_COLOR
from glassviz.video.mosaic import GROUND_COLOR, number_chip
from glassviz.video.renderer import BODY_SHAPE
from glassviz.video.sprite import font

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
    room = (MOST_WIDTH - beside) / columns / BODY_SHAPE - GAP, (MOST_HEIGHT - above) / rows - GAP
    height = max(SHORTEST, min(tallest, *room))
    return 2 * int(height * BODY_SHAPE / 2), 2 * int(height / 2)


class Sheet:
    """A dark ground to write on."""

    def __init__(self, width: int, height: int) -> None:
        self.width, self.height = width + width % 2, height
        self._picture = Image.new("RGB", (self.width, height), GROUND_COLOR)

    def grow(self, height: int) -> None:
        """Add room below, up to an even height."""
        self.height += height + (self.height + height) % 2
        taller = Image.new("RGB", (self.width, self.height), GROUND_COLOR)
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
