"""Two transition graphs on paper, and where the second has more traffic than the first, or less."""

from dataclasses import dataclass

from matplotlib.figure import Figure

from glassviz.plots.figure import style
from glassviz.plots.graph_drawing import Drawing
from glassviz.plots.graph_texts import NAME_SIZE
from glassviz.plots.text import text_width, wrapped
from glassviz.plots.transition_graph import (
    CAPTION_SIZE,
    CAPTION_STEP,
    COLUMN,
    MARGIN,
    TITLE_HEIGHT,
    Page,
    Width,
    draw,
)


@dataclass(frozen=True, eq=False)
class DifferenceFigure:
    """What a figure of a difference shows.

    Attributes:
        titles: of both runs, and of their difference.
        mode: of the graphs.
        drawings: of the same.
        caption: below all.
    """

    titles: tuple[str, str, str]
    mode: str
    drawings: tuple[Drawing, Drawing, Drawing]
    caption: str


def difference_size(width: Width) -> tuple[float, float]:
    """Width and height of a drawing in a figure of this width: below each other, or in a row."""
    return (COLUMN - 2 * MARGIN, 170.0) if width == "column" else (2 * COLUMN / 3 - 2, 176.0)


def flux_difference(shown: DifferenceFigure, width: Width = "column") -> Figure:
    """Draw both graphs and their difference; every state has one place in all three."""
    total = COLUMN if width == "column" else 2 * COLUMN
    caption = wrapped(shown.caption, total - 2 * MARGIN, CAPTION_SIZE)
    own, height = shown.drawings[0].width, shown.drawings[0].height
    rows = 3 if width == "column" else 1
    step = TITLE_HEIGHT + height
    body = rows * step
    with style():
        page = Page(total, body + 2 * MARGIN + len(caption) * CAPTION_STEP)
        page.text(total - MARGIN, 3.2, shown.mode, NAME_SIZE, ha="right")
        for i, (title, drawing) in enumerate(zip(shown.titles, shown.drawings, strict=True)):
            left, top = (MARGIN, i * step) if rows == 3 else (2 + i * (own + 2), 0.0)
            room = own - (text_width(shown.mode, NAME_SIZE) if i == (0 if rows == 3 else 2) else 0)
            page.title(left, top + 2.5, title, room)
            draw(page.axes(left, top + TITLE_HEIGHT, own, height), drawing)
        for i, line in enumerate(caption):
            page.text(MARGIN, body + MARGIN + i * CAPTION_STEP, line, CAPTION_SIZE)
    return page.figure
