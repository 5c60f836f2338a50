"""How figures look on paper, and how they become files."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import matplotlib
from matplotlib.figure import Figure

from glassviz.errors import UsageError
from glassviz.files import refuse_existing, replacing

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


def check_target(path: Path, overwrite: bool) -> None:
    """Say early that a figure cannot go to `path`.

    Raises:
        UsageError: another ending than `FORMATS`.
        GlassvizError: there is a file already.
    """
    if path.suffix.lower() not in FORMATS:
        raise UsageError(f"{path}: expected a name that ends in {', '.join(FORMATS)}")
    refuse_existing(path, overwrite)


def save(figure: Figure, path: Path, overwrite: bool = False, text_as_paths: bool = False) -> None:
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
    check_target(path, overwrite)
    ending = path.suffix.lower()
    with style(), replacing(path) as partial:
        if text_as_paths:
            matplotlib.rcParams["svg.fonttype"] = "path"
        figure.savefig(partial, format=ending.removeprefix("."), metadata=_NO_DATE[ending])
