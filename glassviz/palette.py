"""The colours of the clusters: one palette for every film and figure.

The hues lie near those of Okabe & Ito ("Color Universal Design", 2008); their lightness is pulled
apart, so that each pair stays distinct under protanopia, deuteranopia and tritanopia, and each
colour from a black, a white and a grey ground.
"""

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

    From the ninth cluster on the colours repeat: there the number tells the clusters apart.
    """
    return NO_CLUSTER_COLOR if label < 0 else CLUSTER_COLORS[label % len(CLUSTER_COLORS)]


def to_rgb(color: str) -> tuple[int, int, int]:
    """Red, green and blue of #RRGGBB, 0..255 each."""
    red, green, blue = bytes.fromhex(color.removeprefix("#"))
    return red, green, blue


def ink_on(color: str) -> str:
    """Black or white, whichever reads better on `color` (WCAG relative luminance)."""
    linear = (
        value / 12.92 if value <= 0.04045 else ((value + 0.055) / 1.055) ** 2.4
        for value in (channel / 255 for channel in to_rgb(color))
    )
    luminance = sum(w * v for w, v in zip((0.2126, 0.7152, 0.0722), linear, strict=True))
    return "#000000" if luminance > 0.179 else "#FFFFFF"
