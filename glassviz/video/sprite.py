"""Pictures with transparency, and text, blended into frames."""

from functools import cache
from typing import Self

import cv2
import numpy as np
from jaxtyping import UInt8
from PIL import Image, ImageDraw, ImageFont

SUPERSAMPLING = 4
"""Pillow draws shapes without smoothing: they are drawn larger and scaled down."""


class Sprite:
    """A picture with transparency, prepared so that blending is two passes over its pixels."""

    def __init__(self, picture: Image.Image) -> None:
        rgba = np.asarray(picture.convert("RGBA"))
        alpha = rgba[..., 3:]
        self.width, self.height = picture.size
        self._kept = np.repeat(255 - alpha, 3, axis=2)
        self._added = np.round(rgba[..., :3] * (alpha / 255.0)).astype(np.uint8)

    @classmethod
    def text(cls, text: str, size: int, color: str) -> Self:
        """A line of text, as tall as the font's line."""
        glyphs = font(size)
        width = max(1, round(glyphs.getlength(text)))
        picture = Image.new("RGBA", (width, line_height(size)), color + "00")
        ImageDraw.Draw(picture).text((0, 0), text, font=glyphs, fill=color)
        return cls(picture)

    def draw(self, frame: UInt8[np.ndarray, "height width 3"], x: int, y: int) -> None:
        """Blend into `frame` with the upper left corner at (x, y)."""
        region = frame[y : y + self.height, x : x + self.width]
        cv2.multiply(region, self._kept, dst=region, scale=1 / 255)
        cv2.add(region, self._added, dst=region)


class NumberWriter:
    """Writes numbers that change from frame to frame, from letters that are drawn once.

    Digits all take the width of the widest one, so that a running figure does not tremble.
    """

    def __init__(self, size: int, color: str) -> None:
        self._size = size
        self._color = color
        self._digit_width = max(font(size).getlength(digit) for digit in "0123456789")
        self._glyphs: dict[str, Sprite] = {}

    def width(self, text: str) -> int:
        """Width of `text`, in pixels."""
        return round(sum(map(self._advance, text)))

    def draw(self, frame: UInt8[np.ndarray, "height width 3"], text: str, x: int, y: int) -> None:
        """Write `text` into `frame` with the upper left corner at (x, y)."""
        pen = float(x)
        for character in text:
            advance = self._advance(character)
            if character != " ":
                glyph = self._glyphs.get(character)
                if glyph is None:
                    glyph = Sprite.text(character, self._size, self._color)
                    self._glyphs[character] = glyph
                glyph.draw(frame, round(pen + (advance - glyph.width) / 2), y)
            pen += advance

    def _advance(self, character: str) -> float:
        return self._digit_width if character.isdigit() else font(self._size).getlength(character)


@cache
def font(size: int) -> ImageFont.FreeTypeFont:
    """Pillow's own typeface (Aileron) at `size` pixels."""
    found = ImageFont.load_default(size)
    assert isinstance(found, ImageFont.FreeTypeFont)
    return found


def line_height(size: int) -> int:
    """Height of a line of text, from the top of the tallest letter to the lowest descender."""
    return sum(font(size).getmetrics())


def rounded_box(
    width: int, height: int, radius: float, fill: str, outline: str | None = None, line: float = 0.0
) -> Image.Image:
    """A box with smooth rounded corners; colours are #RRGGBB or #RRGGBBAA."""
    scale = SUPERSAMPLING
    large = Image.new("RGBA", (width * scale, height * scale), fill[:7] + "00")
    ImageDraw.Draw(large).rounded_rectangle(
        (0, 0, width * scale - 1, height * scale - 1),
        round(radius * scale),
        fill=fill,
        outline=outline,
        width=round(line * scale),
    )
    return large.reduce(scale)
