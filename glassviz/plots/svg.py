"""Figures as SVG that stands within a page: it takes the page's ink, and its names are its own."""

import io
import re
from html import escape

from matplotlib.figure import Figure

from glassviz.plots.figure import FAINT, INK, style

RASTER_DPI = 200
"""Of pictures within a figure."""


def inline_svg(figure: Figure, name: str, told: str) -> str:
    """An `<svg>` element for the body of a page.

    Text and axes have the page's `currentColor`, grids its `--rule`, so that one figure serves
    dark and light pages.

    Args:
        figure: what to draw.
        name: put before every id in it; no two figures of a page may have the same.
        told: what the figure shows, for those who cannot see it; plain text.
    """
    with style():
        text = io.StringIO()
        metadata = dict.fromkeys(("Date", "Creator", "Format", "Type"))
        figure.savefig(text, format="svg", transparent=True, dpi=RASTER_DPI, metadata=metadata)
    body = text.getvalue()
    body = body[body.index("<svg") :].strip()
    # What is within an element named style holds for the whole page.
    body = re.sub(r"<(metadata|style)\b.*?</\1>\s*", "", body, flags=re.DOTALL)
    body = body.replace("xlink:href", "href")
    body = re.sub(r'\bid="', f'id="{name}-', body)
    body = re.sub(r'(href="#|url\(#)', rf"\g<1>{name}-", body)
    body = re.sub(INK, "currentColor", body, flags=re.IGNORECASE)
    body = re.sub(FAINT, f"var(--rule, {FAINT})", body, flags=re.IGNORECASE)
    return _with_attributes(body, f'role="img" aria-label="{escape(told)}"')


def _with_attributes(svg: str, attributes: str) -> str:
    """The element as wide as its place, with these attributes instead of its size."""
    tag, rest = svg.split(">", 1)
    tag = re.sub(r'\s(width|height|xmlns(:\w+)?|version)="[^"]*"', "", tag)
    return f"{tag} {attributes}>{rest}"
