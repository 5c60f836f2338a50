"""Style of figures: sizes, fonts, text, colour maps, SVG for pages."""

import io
import re
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache, lru_cache
from html import escape
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
from jaxtyping import Float64
from matplotlib.colors import Colormap, ListedColormap
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties
from matplotlib.textpath import text_to_path

from glassviz.errors import UsageError
from glassviz.files import StrPath, refuse_existing, replacing

FORMATS = (".png", ".pdf", ".svg")

COLUMN_INCHES = 85 / 25.4
"""Width of a column of most journals; text is sized to be read at this width."""

INK = "#22262E"
FAINT = "#D9DCE1"

STYLE: Any = {
    "font.family": "DejaVu Sans",  # comes with Matplotlib: the same on every machine
    "font.size": 7.5,
    "axes.titlesize": 8,
    "axes.labelsize": 7.5,
    "xtick.labelsize": 7,
    "ytick.labelsize": 7,
    "legend.fontsize": 7,
    "axes.titlelocation": "left",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.linewidth": 0.6,
    "axes.edgecolor": INK,
    "axes.labelcolor": INK,
    "text.color": INK,
    "xtick.color": INK,
    "ytick.color": INK,
    "xtick.major.width": 0.6,
    "ytick.major.width": 0.6,
    "xtick.major.size": 2.5,
    "ytick.major.size": 0,
    "axes.grid": True,
    "axes.grid.axis": "y",
    "axes.axisbelow": True,
    "grid.color": FAINT,
    "grid.linewidth": 0.5,
    "legend.frameon": False,
    "savefig.dpi": 300,
    "pdf.fonttype": 42,  # TrueType: embedded, and text stays text for editors and reviewers
    "svg.fonttype": "none",
    "svg.hashsalt": "glassviz",
}

# What Matplotlib would write into a file that two equal figures do not share.
_NO_DATE = {".png": {}, ".pdf": {"CreationDate": None}, ".svg": {"Date": None}}


@contextmanager
def style() -> Iterator[None]:
    """Draw within this: the project's look, whatever the user's matplotlibrc says."""
    with matplotlib.rc_context():
        matplotlib.rcdefaults()
        matplotlib.rcParams.update(STYLE)
        yield


def check_target(path: StrPath, overwrite: bool) -> None:
    """Say early that a figure cannot go to `path`.

    Raises:
        UsageError: another ending than `FORMATS`.
        GlassvizError: there is a file already.
    """
    path = Path(path)
    if path.suffix.lower() not in FORMATS:
        raise UsageError(f"{path}: expected a name that ends in {', '.join(FORMATS)}")
    refuse_existing(path, overwrite)


def save(
    figure: Figure, path: StrPath, overwrite: bool = False, text_as_paths: bool = False
) -> None:
    """Write a figure, whole or not at all; equal figures give equal files.

    Args:
        figure: what to write.
        path: where to.
        overwrite: whether it may replace a file.
        text_as_paths: in an SVG draw the text rather than write it. It is then as wide as it was
            measured, whatever fonts there are, but can no longer be edited or found.

    Raises:
        UsageError: as for `check_target`.
        GlassvizError: the file cannot be written.
    """
    path = Path(path)
    check_target(path, overwrite)
    ending = path.suffix.lower()
    with style(), replacing(path) as partial:
        if text_as_paths:
            matplotlib.rcParams["svg.fonttype"] = "path"
        figure.savefig(partial, format=ending.removeprefix("."), metadata=_NO_DATE[ending])


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


@cache
def phase_colors() -> Colormap:
    """A circle of hues, dark at touchdown and light half a cycle later.

    Chroma is the same all round (OKLCH); lightness rises and falls once, so that the two halves
    stay apart for those who see few hues, and no phase is near to white.
    """
    phase = np.linspace(0, 2 * np.pi, 256, endpoint=False)
    lightness = 0.62 - 0.17 * np.cos(phase)
    hue = phase + np.deg2rad(290)
    a, b = 0.125 * np.cos(hue), 0.125 * np.sin(hue)
    return ListedColormap(_srgb(lightness, a, b), name="gait phase")


def _srgb(
    lightness: Float64[np.ndarray, " n"], a: Float64[np.ndarray, " n"], b: Float64[np.ndarray, " n"]
) -> Float64[np.ndarray, "n 3"]:
    """OKLab as sRGB (Ottosson, 2020)."""
    l_, m_, s_ = (
        (lightness + p * a + q * b) ** 3
        for p, q in (
            (0.3963377774, 0.2158037573),
            (-0.1055613458, -0.0638541728),
            (-0.0894841775, -1.2914855480),
        )
    )
    linear = np.stack(
        [
            4.0767416621 * l_ - 3.3077115913 * m_ + 0.2309699292 * s_,
            -1.2684380046 * l_ + 2.6097574011 * m_ - 0.3413193965 * s_,
            -0.0041960863 * l_ - 0.7034186147 * m_ + 1.7076147010 * s_,
        ],
        axis=1,
    )
    linear = np.clip(linear, 0, 1)
    return np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)


@cache
def scale_colors() -> Colormap:
    """From dark to light, without the palest end, which white paper swallows."""
    from matplotlib import colormaps

    return ListedColormap(colormaps["viridis"](np.linspace(0, 0.93, 256)))


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
