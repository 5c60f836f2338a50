"""Figures measured in points, and the drawing of a transition graph into their axes."""

from collections.abc import Sequence
from typing import Any, Literal

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Arc, Circle, PathPatch, Polygon
from matplotlib.path import Path
from matplotlib.text import Text

from glassviz.figures.graph_drawing import (
    NUMBER_SIZE,
    RING_GAP,
    RING_WIDTH,
    SHARE_SIZE,
    Drawing,
    Node,
)
from glassviz.figures.graph_layout import NAME_SIZE
from glassviz.figures.style import COLUMN_INCHES, FAINT, INK, LINE_HEIGHT, shortened

Width = Literal["column", "page"]
POINTS = 72.0

COLUMN = COLUMN_INCHES * POINTS
"""Width of a column; a page has two columns."""

TITLE_SIZE, CAPTION_SIZE, TICK_SIZE = 8.0, 6.0, 6.0
CAPTION_STEP = CAPTION_SIZE * LINE_HEIGHT
MARGIN = 4.0
TITLE_HEIGHT = 13.0


class Page:
    """A figure measured in points from its upper left corner."""

    def __init__(self, width: float, height: float) -> None:
        self._size = width, height
        self.figure = Figure(figsize=(width / POINTS, height / POINTS))

    def axes(self, left: float, top: float, width: float, height: float) -> Axes:
        """Axes without decoration, in points, y downwards."""
        w, h = self._size
        axes = self.figure.add_axes((left / w, 1 - (top + height) / h, width / w, height / h))
        axes.set(xlim=(0, width), ylim=(height, 0))
        axes.axis("off")
        return axes

    def text(self, left: float, top: float, text: str, size: float, **properties: Any) -> None:
        """Write a line of text with its upper left corner, or the end given by `ha`, there."""
        w, h = self._size
        # A run's name may contain a dollar sign.
        defaults: dict[str, Any] = {"ha": "left", "va": "top", "parse_math": False}
        self.figure.text(left / w, 1 - top / h, text, fontsize=size, **(defaults | properties))

    def title(self, left: float, top: float, text: str, width: float) -> None:
        """Write a bold line, truncated to the width with a small gap at its end."""
        fits = shortened(text, width - TITLE_SIZE, TITLE_SIZE, bold=True)
        self.text(left, top, fits, TITLE_SIZE, weight="bold")


def draw(axes: Axes, drawing: Drawing) -> None:
    """Draw a graph into axes measured in points, y downwards."""
    for hull in drawing.hulls:
        tint = 0.2 if hull.visited else 0.07
        axes.add_patch(
            Polygon(hull.outline, facecolor=hull.color, alpha=tint, linewidth=0, joinstyle="round")
        )
        axes.add_patch(
            Polygon(
                hull.outline,
                facecolor="none",
                edgecolor=hull.color,
                alpha=1.0 if hull.visited else 0.5,
                linewidth=0.7,
                linestyle="-" if hull.visited else (0, (2, 2)),
            )
        )
        _name(axes, hull.name, hull.at, INK if hull.visited else "#6B7280")
    for z, arrow in enumerate(drawing.arrows):
        color = arrow.color
        codes = [Path.MOVETO, Path.CURVE3, Path.CURVE3]
        curve = Path([arrow.start, arrow.control, arrow.end], codes)
        zorder = 2 + z / 1000
        axes.add_patch(
            PathPatch(
                curve,
                facecolor="none",
                edgecolor=color,
                linewidth=arrow.width,
                capstyle="butt",
                zorder=zorder,
            )
        )
        if arrow.head:
            axes.add_patch(Polygon(arrow.head, facecolor=color, linewidth=0, zorder=zorder))
    for node in drawing.nodes:
        _node(axes, node)
    for arrow in drawing.arrows:
        if arrow.told:
            _plate(centred_text(axes, *arrow.at, arrow.told, SHARE_SIZE))


def _node(axes: Axes, node: Node) -> None:
    at = node.x, node.y
    if not node.share:
        hollow: Any = {
            "facecolor": "white",
            "edgecolor": node.color,
            "linewidth": 0.7,
            "alpha": 0.75,
        }
        axes.add_patch(Circle(at, node.radius, zorder=4, **hollow))
        centred_text(axes, *at, node.number, NUMBER_SIZE, color="#6B7280")
        return
    axes.add_patch(
        Circle(at, node.radius, facecolor=node.color, edgecolor=INK, linewidth=0.6, zorder=4)
    )
    if node.stays is not None:
        _ring(axes, node)
    if not node.told:
        centred_text(axes, *at, node.number, NUMBER_SIZE, color=node.ink, weight="bold")
        return
    centred_text(
        axes, node.x, node.y - 3.1, node.number, NUMBER_SIZE, color=node.ink, weight="bold"
    )
    centred_text(axes, node.x, node.y + 3.3, node.told, SHARE_SIZE, color=node.ink)


def _ring(axes: Axes, node: Node) -> None:
    """Draw the ring of self-transitions, clockwise from the top (angles follow y, downwards)."""
    size = 2 * (node.radius + RING_GAP + RING_WIDTH / 2)
    line: Any = {"linewidth": RING_WIDTH, "zorder": 4}
    axes.add_patch(Circle((node.x, node.y), size / 2, facecolor="none", edgecolor=FAINT, **line))
    if node.stays:
        arc = Arc((node.x, node.y), size, size, theta1=-90, theta2=-90 + 360 * node.stays, **line)
        arc.set_edgecolor(INK)
        axes.add_patch(arc)


def centred_text(
    axes: Axes, x: float, y: float, text: str, size: float, color: str = INK, weight: str = "normal"
) -> Text:
    """Write a text centred on (x, y)."""
    return axes.text(
        x, y, text, fontsize=size, color=color, weight=weight, ha="center", va="center", zorder=6
    )


def _plate(text: Text) -> None:
    """Put a white background behind a text that covers lines."""
    plate = {"boxstyle": "round,pad=0.12,rounding_size=0.4", "facecolor": "white", "linewidth": 0}
    text.set_bbox(plate | {"alpha": 0.9})


def _name(axes: Axes, lines: Sequence[str], at: tuple[float, float], color: str) -> None:
    step = NAME_SIZE * LINE_HEIGHT
    for i, line in enumerate(lines):
        y = at[1] + (i - (len(lines) - 1) / 2) * step
        weight = "bold" if i == 0 else "normal"
        size = NAME_SIZE if i == 0 else CAPTION_SIZE
        _plate(centred_text(axes, at[0], y, line, size, color, weight))
