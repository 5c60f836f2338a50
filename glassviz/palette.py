"""The cluster palette, shared by films and figures.

The hues are close to those of Okabe & Ito ("Color Universal Design", 2008). Their lightness is
spread so that any two colours differ under protanopia, deuteranopia and tritanopia, and every
colour stands out from black, white and grey.
"""

from collections.abc import Sequence
from itertools import cycle

CLUSTER_COLORS = (
    "#EE8F1C",  # orange
    "#98D8FF",  # sky
    "#36BE92",  # green
    "#F4D62A",  # yellow
    "#2A48D8",  # blue
    "#DD3C12",  # vermilion
    "#BE8BEA",  # lavender
    "#83296A",  # plum
)
NO_CLUSTER_COLOR = "#808080"


def label_color(label: int) -> str:
    """Colour of cluster `label` as #RRGGBB; grey for a negative label, which means no cluster.

    Colours repeat from the ninth cluster on; there the printed number tells clusters apart.

    >>> label_color(0), label_color(8), label_color(-1)
    ('#EE8F1C', '#EE8F1C', '#808080')
    """
    return NO_CLUSTER_COLOR if label < 0 else CLUSTER_COLORS[label % len(CLUSTER_COLORS)]


UNMATCHED_COLORS = ("#808080", "#B8B8B8", "#5C5C5C", "#9C9C9C", "#D0D0D0")
"""Greys of labels that correspond to none: neighbours can be told apart."""


def matched_colors(partners: Sequence[int]) -> tuple[str, ...]:
    """Colours of labels that are matched with those of a reference run.

    Args:
        partners: label of the reference that each label is matched with; negative: none.

    Returns:
        For each label the colour of its partner, or a grey.
    """
    greys = cycle(UNMATCHED_COLORS)
    return tuple(label_color(k) if k >= 0 else next(greys) for k in partners)


def to_rgb(color: str) -> tuple[int, int, int]:
    """Red, green and blue of #RRGGBB, from 0 to 255.

    >>> to_rgb("#EE8F1C")
    (238, 143, 28)
    """
    red, green, blue = bytes.fromhex(color.removeprefix("#"))
    return red, green, blue


def ink_on(color: str) -> str:
    """Black or white, whichever has more contrast on `color` (WCAG relative luminance)."""
    linear = (
        value / 12.92 if value <= 0.04045 else ((value + 0.055) / 1.055) ** 2.4
        for value in (channel / 255 for channel in to_rgb(color))
    )
    luminance = sum(w * v for w, v in zip((0.2126, 0.7152, 0.0722), linear, strict=True))
    return "#000000" if luminance > 0.179 else "#FFFFFF"
