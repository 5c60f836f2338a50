"""The page as Markdown, with its pictures in a folder beside it."""

import os
import re
import shutil
from pathlib import Path
from typing import Any
from urllib.parse import quote

from markupsafe import Markup

from glassviz.files import PARTIAL_SUFFIX, replacing
from glassviz.markdown import escaped
from glassviz.plots import figure as figures
from glassviz.report.page import Drawing, Page
from glassviz.report.target import check_target, pictures_beside
from glassviz.report.templating import environment


def write_markdown(page: Page, path: Path, overwrite: bool = False) -> None:
    """Write the page and its pictures, whole or not at all.

    The pictures of `report.md` are in the folder `report_pictures`, which is replaced with it.

    Raises:
        GlassvizError: there is either of them already, or they cannot be written.
    """
    check_target(path, overwrite)
    folder = pictures_beside(path)
    partial = folder.with_name(f".{folder.name}.{os.getpid()}{PARTIAL_SUFFIX}")
    try:
        with replacing(path) as text:
            _write_pictures(page, partial)
            text.write_text(to_markdown(page, folder.name), encoding="utf-8")
            if folder.exists():
                shutil.rmtree(folder)
            os.replace(partial, folder)
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def to_markdown(page: Page, folder: str) -> str:
    """The page as text, with links to pictures in `folder`."""
    jinja = environment(autoescape=False, finalize=_escaped)
    text = jinja.get_template("report.md.j2").render(page=page, folder=Markup(quote(folder)))
    return re.sub(r"\n{3,}", "\n\n", text).strip() + "\n"


def _write_pictures(page: Page, folder: Path) -> None:
    folder.mkdir(parents=True)
    for part in page.together:
        for drawing in part.drawings:
            _write_drawing(drawing, folder)
    for card in page.cards:
        for i, picture in enumerate(card.strip.pictures):
            (folder / f"{card.anchor}-frame-{i}.jpg").write_bytes(picture.jpeg)
        for side in card.sides:
            for drawing in side.drawings:
                _write_drawing(drawing, folder)


def _write_drawing(drawing: Drawing, folder: Path) -> None:
    if drawing.figure is not None:
        figures.save(drawing.figure, folder / f"{drawing.name}.png")


def _escaped(value: Any) -> Any:
    if not isinstance(value, str) or isinstance(value, Markup):
        return value
    return escaped(value)
