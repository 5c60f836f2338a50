"""The report as one HTML file, or as Markdown with pictures beside it."""

import base64
import hashlib
import os
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import quote

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from glassviz import files
from glassviz.errors import UsageError
from glassviz.figures import style as figures
from glassviz.figures.style import inline_svg
from glassviz.files import StrPath, partial_path, replacing
from glassviz.report.page import Drawing, Page, Picture
from glassviz.report.phrases import captions
from glassviz.text import escaped


def environment(autoescape: bool, finalize: Callable[[Any], Any] | None = None) -> Environment:
    """Jinja environment of the report's templates; `finalize` is applied to every printed value."""
    found = Environment(
        loader=PackageLoader("glassviz.report"),
        autoescape=autoescape,
        finalize=finalize,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=StrictUndefined,
    )
    found.globals["captions"] = captions
    return found


FORMATS = (".html", ".md")


def check_target(path: StrPath, overwrite: bool) -> None:
    """Check before the work that a report can be written to `path`.

    Raises:
        UsageError: the suffix is not in `FORMATS`.
        GlassvizError: the file or the folder of its pictures exists, or cannot be written.
    """
    path = Path(path)
    if path.suffix.lower() not in FORMATS:
        raise UsageError(f"{path}: expected a name that ends in {' or '.join(FORMATS)}")
    files.check_target(path, overwrite)
    if path.suffix.lower() == ".md":
        files.check_subfolder(pictures_beside(path), overwrite)


def pictures_beside(path: StrPath) -> Path:
    """Folder of a Markdown report's pictures."""
    path = Path(path)
    return path.with_name(f"{path.stem}_pictures")


def write_html(page: Page, path: StrPath, overwrite: bool = False) -> None:
    """Write the page atomically.

    Raises:
        GlassvizError: the file exists or cannot be written.
    """
    check_target(path, overwrite)
    text = to_html(page)
    with replacing(path) as partial:
        partial.write_text(text, encoding="utf-8")


def to_html(page: Page) -> str:
    """Render the page; deterministic."""
    jinja = environment(autoescape=True)
    jinja.globals |= {"svg": _svg, "data_uri": _data_uri}
    script = environment(autoescape=False).get_template("report.js").render()
    return jinja.get_template("report.html.j2").render(
        page=page,
        terms=page.terms,
        glossary=True,
        script=Markup(script),
        script_hash=Markup(source_hash(script)),
    )


def source_hash(text: str) -> str:
    """The source of an inline script or style in a content security policy."""
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


def _svg(drawing: Drawing) -> Markup:
    assert drawing.figure is not None
    return Markup(inline_svg(drawing.figure, drawing.name, drawing.alt))


def _data_uri(picture: Picture) -> str:
    return "data:image/jpeg;base64," + base64.b64encode(picture.jpeg).decode()


def write_markdown(page: Page, path: StrPath, overwrite: bool = False) -> None:
    """Write the page and its pictures atomically.

    The pictures of `report.md` go to the folder `report_pictures`, which is replaced with it.

    Raises:
        GlassvizError: the file or the folder exists, or cannot be written.
    """
    path = Path(path)
    check_target(path, overwrite)
    folder = pictures_beside(path)
    partial = partial_path(folder)
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
    """Render the page with links to pictures in `folder`."""
    jinja = environment(autoescape=False, finalize=_escaped)
    text = jinja.get_template("report.md.j2").render(page=page, folder=Markup(quote(folder)))
    return re.sub(r"\n{3,}", "\n\n", text).strip() + "\n"


def _write_pictures(page: Page, folder: Path) -> None:
    folder.mkdir(parents=True)
    for card in page.cards:
        for i, picture in enumerate(card.strip.pictures):
            (folder / f"{card.anchor}-frame-{i}.jpg").write_bytes(picture.jpeg)
    drawings = [each for part in page.together for each in part.drawings]
    drawings += [each for card in page.cards for side in card.sides for each in side.drawings]
    for drawing in drawings:
        if drawing.figure is not None:
            figures.save(drawing.figure, folder / f"{drawing.name}.png")


def _escaped(value: Any) -> Any:
    return escaped(value) if isinstance(value, str) and not isinstance(value, Markup) else value
