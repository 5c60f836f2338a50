"""Figures, in a notebook."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

WIDEST = 1000
"""Pixels of a figure on the screen."""

FINEST_DPI = 200


def hand_over(figure: "Figure") -> "Sequence[Axes]":
    """Give a figure to pyplot, which shows it as it does its own: below the cell that made it.

    Returns:
        The figure's axes, in the order in which they were drawn.
    """
    import matplotlib.pyplot as plt

    def the_same(*args: Any, **kwargs: Any) -> "Figure":
        return figure

    figure.set_dpi(min(FINEST_DPI, WIDEST / figure.get_figwidth()))
    plt.figure(FigureClass=the_same)  # type: ignore[arg-type]
    return figure.axes
