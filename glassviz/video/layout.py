"""Sizes and colours that the parts of the overlay share."""

from dataclasses import dataclass
from typing import Self

from PIL import Image

from glassviz.errors import UsageError
from glassviz.video.sprite import line_height, rounded_box

MIN_WIDTH, MIN_HEIGHT = 280, 200
"""Below this the panels would overlap, or the text be too small to read."""

PANEL_COLOR = "#14161CB8"
TEXT_COLOR = "#F4F5F7"
FAINT_COLOR = "#B4B9C4"


@dataclass(frozen=True)
class Layout:
    """Sizes in pixels, all derived from the size of the picture.

    Attributes:
        width, height: of the picture.
        margin: between the panels and the picture's edge.
        padding: between a panel's edge and what is in it.
        text, chip_text, small_text: sizes of type.
        radius: of a panel's corners.
    """

    width: int
    height: int
    margin: int
    padding: int
    text: int
    chip_text: int
    small_text: int
    radius: float

    @classmethod
    def of(cls, width: int, height: int) -> Self:
        """The layout of a picture.

        Raises:
            UsageError: the picture is too small for an overlay.
        """
        if width < MIN_WIDTH or height < MIN_HEIGHT:
            raise UsageError(
                f"size: expected at least {MIN_WIDTH}x{MIN_HEIGHT} a picture for an overlay, found "
                f"{width}x{height}: choose a larger size, or leave the overlay out"
            )
        unit = min(height, 0.75 * width)
        text = round(6 + unit / 45)
        return cls(
            width=width,
            height=height,
            margin=round(unit / 48),
            padding=round(unit / 60) + 1,
            text=text,
            chip_text=round(1.6 * text),
            small_text=max(10, round(0.8 * text)),
            radius=unit / 80 + 1,
        )

    @property
    def header_height(self) -> int:
        """Height of the panels along the top: two lines of text."""
        return 2 * line_height(self.text) + 3 * self.padding

    def panel(self, width: int, height: int) -> Image.Image:
        """The dark, half transparent ground of a part of the overlay."""
        return rounded_box(width, height, self.radius, PANEL_COLOR)
