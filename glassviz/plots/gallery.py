"""The prototype gallery: a row of pictures for each prototype."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import UInt8
from matplotlib.figure import Figure

from glassviz.plots.figure import COLUMN_INCHES, style
from glassviz.plots.labels import PAGE_INCHES
from glassviz.plots.palette import ink_on, label_color
from glassviz.plots.text import wrapped

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
