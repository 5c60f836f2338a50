"""Common style of figures: sizes, fonts, text measurement, colour maps, files and inline SVG."""

import io
import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from difflib import get_close_matches
from functools import cache, lru_cache
from html import escape
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
from jaxtyping import Float64
from matplotlib.backends.backend_pdf import Op, PdfPages
from matplotlib.colors import Colormap, ListedColormap, to_hex
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties, findfont, fontManager, get_font
from matplotlib.text import Text
from matplotlib.textpath import text_to_path

from glassviz import files
from glassviz.errors import UsageError
from glassviz.files import StrPath, replacing
from glassviz.text import broken, cut_middle, spelled_out

FORMATS = (".png", ".pdf", ".svg")

COLUMN_INCHES = 85 / 25.4
"""Width of a column in most journals; text is sized to be readable at this width."""

PAGE_INCHES = 7.0
"""Width of a page between its margins."""

LINE_HEIGHT = 1.2
"""Height of a line of text, in font sizes."""

ROUNDED = 0.98

RASTER_DPI = 200
"""Resolution of raster images within an SVG."""

INK = "#22262E"
FAINT = "#D9DCE1"

STYLE: Any = {
    "font.family": "DejaVu Sans",  # ships with Matplotlib: the same on every machine
    "font.size": 7.5,
    "text.parse_math": False,  # a name may contain dollar signs
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
    "pdf.fonttype": 42,  # embedded TrueType, so text remains editable and searchable
    "svg.fonttype": "none",
    "svg.hashsalt": "glassviz",
}

# Without time stamps, equal figures give equal files.
_NO_DATE = {".png": {}, ".pdf": {"CreationDate": None}, ".svg": {"Date": None}}

FONT: str = STYLE["font.family"]
FONT_SIZE: float = STYLE["font.size"]

WIDE_INCHES = 5.5
"""Figures of at least this width have their parts side by side."""


@dataclass(frozen=True)
class FigureStyle:
    """How a figure is fitted into a paper or a talk.

    Attributes:
        title, caption, legend: whether the figure has these.
        panels: the panels to draw, in this order; None for all that apply.
        width_mm: width; None for the figure's own.
        font: family of all texts.
        font_size: size of the labels of axes, points. Other texts and all lines keep their
            proportions to it.
        dpi: resolution of a PNG, and of pictures within a PDF or an SVG.
    """

    title: bool = True
    caption: bool = True
    legend: bool = True
    panels: tuple[str, ...] | None = None
    width_mm: float | None = None
    font: str = FONT
    font_size: float = FONT_SIZE
    dpi: int = 300

    @property
    def scale(self) -> float:
        """Size of the figure in its file, relative to that in which it is laid out."""
        return self.font_size / FONT_SIZE

    def inches(self, own: float) -> float:
        """Width to lay a figure out in, with texts of the usual sizes; `own` is its own width."""
        return own if self.width_mm is None else self.width_mm / 25.4 / self.scale

    def shows(self, panel: str) -> bool:
        """Whether a panel is drawn."""
        return self.panels is None or panel in self.panels

    def chosen(self, every: Iterable[str]) -> list[str]:
        """The panels to draw among those that apply, in the order that was asked for."""
        applicable = list(every)
        return [name for name in self.panels or applicable if name in applicable]


PLAIN = FigureStyle()
"""The usual style."""

_font = ContextVar("font", default=FONT)


@contextmanager
def style(look: FigureStyle = PLAIN) -> Iterator[None]:
    """Context with the project's figure style, independent of the user's matplotlibrc."""
    token = _font.set(look.font)
    try:
        with matplotlib.rc_context():
            matplotlib.rcdefaults()
            matplotlib.rcParams.update(STYLE)
            matplotlib.rcParams["font.family"] = look.font
            yield
    finally:
        _font.reset(token)


def check_font(name: str) -> None:
    """Check that a font is installed.

    Raises:
        UsageError: it is not.
    """
    known = sorted({font.name for font in fontManager.ttflist})
    if name not in known:
        near = get_close_matches(name, known, n=3) or [FONT]
        raise UsageError(
            f"--font: expected an installed font, found {name!r}: install it, or choose another, "
            f"such as {', '.join(near)}"
        )


def check_target(path: StrPath, overwrite: bool) -> None:
    """Check in advance that a figure can be written to `path`.

    Raises:
        UsageError: the suffix is not one of `FORMATS`.
        GlassvizError: the file exists and `overwrite` is false, or it cannot be written.
    """
    path = Path(path)
    if path.suffix.lower() not in FORMATS:
        raise UsageError(f"{path}: expected a name that ends in {', '.join(FORMATS)}")
    files.check_target(path, overwrite)


def save(
    figure: Figure,
    path: StrPath,
    overwrite: bool = False,
    text_as_paths: bool = False,
    look: FigureStyle = PLAIN,
) -> None:
    """Write a figure atomically; equal figures give equal files.

    The figure is enlarged to the font size of `look`, the style that it was drawn in.

    With `text_as_paths`, the width of an SVG's text does not depend on installed fonts, but it
    cannot be edited or searched.

    Raises:
        UsageError: as for `check_target`.
        GlassvizError: the file exists and `overwrite` is false, or it cannot be written.
    """
    path = Path(path)
    check_target(path, overwrite)
    suffix = path.suffix.lower()
    metadata: Any = _NO_DATE[suffix]
    with style(look), replacing(path) as partial:
        if text_as_paths:
            matplotlib.rcParams["svg.fonttype"] = "path"
        make_drawable(figure)
        dpi = look.dpi * look.scale  # dots per inch of the layout
        if suffix == ".png":
            stated = {"dpi": (look.dpi, look.dpi)}
            figure.savefig(partial, format="png", metadata=metadata, dpi=dpi, pil_kwargs=stated)
        elif suffix == ".svg":
            figure.savefig(partial, format="svg", metadata=metadata, dpi=dpi)
            if look.scale != 1:
                text = partial.read_text(encoding="utf-8")
                partial.write_text(_enlarged(text, look.scale), encoding="utf-8", newline="")
        else:
            with PdfPages(partial, metadata=metadata) as pages:
                _enlarge(pages, look.scale)
                figure.savefig(pages, format="pdf", dpi=dpi)


def _enlarged(svg: str, scale: float) -> str:
    """An SVG whose drawing is shown larger."""
    head, rest = svg.split(" viewBox=", maxsplit=1)
    larger = re.sub(
        r'\b(width|height)="([\d.]+)pt"',
        lambda size: f'{size[1]}="{float(size[2]) * scale:.6g}pt"',
        head,
    )
    return f"{larger} viewBox={rest}"


def _enlarge(pages: PdfPages, scale: float) -> None:
    """Let the pages of a PDF show their drawings larger."""
    file = pages._ensure_file()
    usual = file.newPage

    def new_page(width: float, height: float) -> None:
        usual(width * scale, height * scale)
        file.output(scale, 0, 0, scale, 0, 0, Op.concat_matrix)

    if scale != 1:
        file.newPage = new_page


def drawable(text: str) -> str:
    """`text` as figures show it: with code points for characters that no installed font has."""
    return spelled_out(text, lambda character: _font_of(character, _font.get()) is not None)


def families(text: str) -> list[str]:
    """The fonts that draw a text: the figures' own, and others for characters that it lacks."""
    own = _font.get()
    fonts = (_font_of(character, own) for character in text)
    return [*dict.fromkeys([own]) | dict.fromkeys(filter(None, fonts))]


@cache
def _font_of(character: str, own: str) -> str | None:
    """An installed font with a glyph for a character, the figure's own if it has one."""
    if ord(character) in _characters(findfont(own)) or character == "\n":
        return own
    if not character.isprintable():
        return None
    # Matplotlib ships a last resort: it has a box for every character.
    upright = (
        each
        for each in fontManager.ttflist
        if each.style == "normal" and "last resort" not in each.name.lower()
    )
    others = sorted({(each.name, each.fname) for each in upright})
    return next((name for name, file in others if ord(character) in _characters(file)), None)


@cache
def _characters(file: str) -> frozenset[int]:
    """The characters that a font file has glyphs for."""
    try:
        return frozenset(get_font(file).get_charmap())
    except (OSError, RuntimeError):  # a font that was removed, or is broken
        return frozenset()


def make_drawable(figure: Figure) -> None:
    """Set fonts, and code points where there is no font, for all texts of a figure.

    Names come from files and may be in any script; Matplotlib draws boxes for missing glyphs.
    """
    for artist in figure.findobj(Text):
        assert isinstance(artist, Text)
        text = artist.get_text()
        if text and (shown := drawable(text)) != text:
            artist.set_text(shown)
        if len(fonts := families(artist.get_text())) > 1:
            artist.set_fontfamily(fonts)


def text_width(text: str, size: float, bold: bool = False) -> float:
    """Width of a line of text in the figure's font, in the unit of `size`."""
    return _text_width(text, size, bold, _font.get())


@lru_cache(maxsize=4096)
def _text_width(text: str, size: float, bold: bool, own: str) -> float:
    text = drawable(text)
    font = FontProperties(family=families(text), size=size, weight="bold" if bold else None)
    width, _, _ = text_to_path.get_text_width_height_descent(text, font, ismath=False)
    return float(width)


def shortened(text: str, width: float, size: float, bold: bool = False) -> str:
    """`text`, with an ellipsis in its middle if it is wider than `width`.

    Names of runs differ at their ends as often as at their starts.
    """
    return cut_middle(text, lambda part: text_width(part, size, bold) <= width)


LONG_NAME = 44
"""Characters of a name that fit into most titles and legends."""


def full_names(names: Iterable[str]) -> list[str]:
    """A sentence for a caption with the names that may be shortened in the figure, if any."""
    long = [name for name in dict.fromkeys(names) if len(name) > LONG_NAME]
    return [f"In full: {'; '.join(long)}."] if long else []


def wrapped(text: str, width: float, size: float) -> list[str]:
    """Break `text` into lines of at most `width`, at spaces and after arrows (→).

    Longer words are broken anywhere. A small reserve is kept, since renderers round glyph widths.
    """
    width *= ROUNDED

    def fits(line: str) -> bool:
        return text_width(line.rstrip(" "), size) <= width

    lines: list[str] = []
    for piece in re.split(r"(?<=→)|(?<= )(?!%)", text):
        if lines and fits(lines[-1] + piece):
            lines[-1] += piece
        elif fits(piece):
            lines.append(piece)
        else:
            lines += broken(piece, fits)
    return [line.rstrip(" ") for line in lines]


@cache
def phase_colors() -> Colormap:
    """Cyclic colour map of the gait phase, dark at touchdown and light half a cycle later.

    Chroma is constant (OKLCH); lightness rises and falls once, so that the halves of the cycle
    can be distinguished without hue, and no phase is close to white.
    """
    phase = np.linspace(0, 2 * np.pi, 256, endpoint=False)
    lightness = 0.62 - 0.17 * np.cos(phase)
    hue = phase + np.deg2rad(290)
    a, b = 0.125 * np.cos(hue), 0.125 * np.sin(hue)
    return ListedColormap(_srgb(lightness, a, b), name="gait phase")


def _srgb(
    lightness: Float64[np.ndarray, " n"], a: Float64[np.ndarray, " n"], b: Float64[np.ndarray, " n"]
) -> Float64[np.ndarray, "n 3"]:
    """Convert OKLab to sRGB (Ottosson, 2020)."""
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


GROUP_COLORS = (
    "#1F5FA8",  # blue
    "#E07B00",  # orange
    "#B46CFC",  # violet
    "#54A89C",  # teal
    "#782400",  # brown
    "#000090",  # navy
    "#A85430",  # clay
    "#3C0C30",  # aubergine
)
"""Colours of controllers, runs and episodes, distinct from each other and from the clusters'.

Like the clusters' palette, safe for all kinds of colour blindness.
"""


def category_colors(count: int) -> list[str]:
    """Colours of categories without an order; beyond the usual ones, hues of two lightnesses."""
    if count <= len(GROUP_COLORS):
        return list(GROUP_COLORS[:count])
    hue = 2 * np.pi * np.arange(count) / count
    lightness = np.where(np.arange(count) % 2, 0.75, 0.5)
    return [to_hex(color) for color in _srgb(lightness, 0.13 * np.cos(hue), 0.13 * np.sin(hue))]


@cache
def scale_colors() -> Colormap:
    """Sequential colour map: viridis without its lightest end, which is hard to see on white."""
    from matplotlib import colormaps

    return ListedColormap(colormaps["viridis"](np.linspace(0, 0.93, 256)))


def inline_svg(figure: Figure, name: str, description: str) -> str:
    """An `<svg>` element for the body of an HTML page.

    Text and axes use the page's `currentColor`, grids its `--rule`, so that the figure suits dark
    and light pages. `name` is a prefix of all ids, unique within the page; `description` is plain
    text for accessibility.
    """
    with style():
        make_drawable(figure)
        text = io.StringIO()
        metadata = dict.fromkeys(("Date", "Creator", "Format", "Type"))
        figure.savefig(text, format="svg", transparent=True, dpi=RASTER_DPI, metadata=metadata)
    body = text.getvalue()
    body = body[body.index("<svg") :].strip()
    # A style element would apply to the whole page.
    body = re.sub(r"<(metadata|style)\b.*?</\1>\s*", "", body, flags=re.DOTALL)
    body = body.replace("xlink:href", "href")
    body = re.sub(r'\bid="', f'id="{name}-', body)
    body = re.sub(r'(href="#|url\(#)', rf"\g<1>{name}-", body)
    body = re.sub(INK, "currentColor", body, flags=re.IGNORECASE)
    body = re.sub(FAINT, f"var(--rule, {FAINT})", body, flags=re.IGNORECASE)
    return _with_attributes(body, f'role="img" aria-label="{escape(description)}"')


def _with_attributes(svg: str, attributes: str) -> str:
    """Replace the size of an `<svg>` element by `attributes`, so that it fills its container."""
    tag, rest = svg.split(">", 1)
    tag = re.sub(r'\s(width|height|xmlns(:\w+)?|version)="[^"]*"', "", tag)
    return f"{tag} {attributes}>{rest}"
