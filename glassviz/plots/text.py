"""How much room a text takes, known before anything is drawn."""

import re
from functools import lru_cache

from matplotlib.font_manager import FontProperties
from matplotlib.textpath import text_to_path

from glassviz.plots.figure import STYLE

ROUNDED = 0.98

LINE_HEIGHT = 1.2
"""Of a line, in font sizes."""


@lru_cache(maxsize=4096)
def text_width(text: str, size: float, bold: bool = False) -> float:
    """Width of a line of text in the font of the figures, in the unit of its size."""
    font = FontProperties(family=STYLE["font.family"], size=size, weight="bold" if bold else None)
    width, _, _ = text_to_path.get_text_width_height_descent(text, font, ismath=False)
    return float(width)


def shortened(text: str, width: float, size: float, bold: bool = False) -> str:
    """A text that is at most so wide, cut off if it must be."""
    if text_width(text, size, bold) <= width:
        return text
    kept = text
    while kept and text_width(f"{kept}…", size, bold) > width:
        kept = kept[:-1]
    return f"{kept.rstrip()}…"


def wrapped(text: str, width: float, size: float) -> list[str]:
    """A text in lines that are at most so wide, broken at its spaces and after its arrows (→).

    What cannot be broken is left as it is. A little room is kept: renderers round the widths of
    letters.
    """
    width *= ROUNDED
    lines: list[str] = []
    for piece in re.split(r"(?<=→)|(?<= )(?!%)", text):
        if lines and text_width((lines[-1] + piece).rstrip(" "), size) <= width:
            lines[-1] += piece
        else:
            lines.append(piece)
    return [line.rstrip(" ") for line in lines]
