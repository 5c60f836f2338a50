"""The page as one HTML file, which asks the network for nothing."""

import base64
from pathlib import Path

from markupsafe import Markup

from glassviz.files import replacing
from glassviz.plots.svg import inline_svg
from glassviz.report.page import Drawing, Page, Picture
from glassviz.report.target import check_target
from glassviz.report.templating import environment


def write_html(page: Page, path: Path, overwrite: bool = False) -> None:
    """Write the page, whole or not at all.

    Raises:
        GlassvizError: there is a file already, or it cannot be written.
    """
    check_target(path, overwrite)
    text = to_html(page)
    with replacing(path) as partial:
        partial.write_text(text, encoding="utf-8")


def to_html(page: Page) -> str:
    """The page as text; the same page always gives the same."""
    jinja = environment(autoescape=True)
    jinja.globals |= {"svg": _svg, "data_uri": _data_uri}
    return jinja.get_template("report.html.j2").render(page=page, terms=page.terms, glossary=True)


def _svg(drawing: Drawing) -> Markup:
    assert drawing.figure is not None
    return Markup(inline_svg(drawing.figure, drawing.name, drawing.told))


def _data_uri(picture: Picture) -> str:
    return "data:image/jpeg;base64," + base64.b64encode(picture.jpeg).decode()
