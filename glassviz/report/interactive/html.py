"""The interactive page as one HTML file that makes no network requests.

Data, films and scripts are embedded. A content security policy allows these scripts by their
hashes, and pictures and films from within the page; everything else is blocked.
"""

import base64
import dataclasses
import json
import re
from collections.abc import Mapping
from contextlib import suppress
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
from markupsafe import Markup

import glassviz.files
from glassviz.errors import UsageError
from glassviz.files import StrPath, replacing
from glassviz.palette import CLUSTER_COLORS, NO_CLUSTER_COLOR, ink_on
from glassviz.report.html import environment, source_hash
from glassviz.report.interactive.page import InteractivePage

SCRIPTS = (
    *("dom", "data", "told", "clock", "film", "charts", "score", "raster", "map", "graph"),
    *("pane", "picture", "clip", "address", "keyboard", "main"),
)
"""Modules of `assets`, in an order where each follows its imports."""

TITLE = "Interactive report"

_FILM = re.compile(r"[0-9a-f]{12}-\d+")
"""Names of films from `compose`: prefix of the trace's hash, and the episode."""

LIBRARY = "vendor/echarts/echarts.min.js"
_IMPORT = re.compile(r"^import (\{[^}]*\}) from \"\./([a-z]+)\.js\";$", re.MULTILINE)
_EXPORT = re.compile(r"^export (?=(?:const|function|class) (\w+))", re.MULTILINE)


def check_target(path: StrPath, overwrite: bool, link: bool = False) -> None:
    """Check before the work that an interactive report can be written to `path`.

    Raises:
        UsageError: the suffix is not .html.
        GlassvizError: the file or the folder of its films exists, or cannot be written.
    """
    path = Path(path)
    if path.suffix.lower() != ".html":
        raise UsageError(f"{path}: expected a name that ends in .html for an interactive report")
    glassviz.files.check_target(path, overwrite)
    if link:
        glassviz.files.check_subfolder(films_beside(path), overwrite)


def films_beside(path: StrPath) -> Path:
    """Folder of the films of a page with linked films."""
    path = Path(path)
    return path.with_name(f"{path.stem}_films")


def write(
    page: InteractivePage, path: StrPath, overwrite: bool = False, link: bool = False
) -> None:
    """Write the page atomically; with `link`, films are in a folder beside it instead of in it.

    Raises:
        GlassvizError: the file exists or cannot be written.
    """
    path = Path(path)
    check_target(path, overwrite, link)
    folder = films_beside(path) if link else None
    text = to_html(page, folder.name if folder else None)
    if folder:
        for key, film in page.films.items():
            with replacing(folder / f"{key}.mp4", len(film)) as partial:
                partial.write_bytes(film)
    with replacing(path, len(text)) as partial:
        partial.write_text(text, encoding="utf-8")
    if folder:
        _remove_earlier_films(folder, page.films)


def _remove_earlier_films(folder: Path, films: Mapping[str, bytes]) -> None:
    """Remove films of an earlier page; files with other names are kept."""
    for file in folder.glob("*.mp4"):
        if _FILM.fullmatch(file.stem) and file.stem not in films:
            with suppress(OSError):  # A leftover film is harmless.
                file.unlink()


def to_html(page: InteractivePage, film_folder: str | None = None) -> str:
    """Render the page; deterministic. Without `film_folder`, films are in the page."""
    assets = files("glassviz.report")
    library = (assets / LIBRARY).read_text(encoding="utf-8")
    program = bundle({name: (assets / f"assets/{name}.js").read_text("utf-8") for name in SCRIPTS})
    style = environment(autoescape=False).get_template("interactive.css").render()
    return (
        environment(autoescape=True)
        .get_template("interactive.html.j2")
        .render(
            page=page,
            title=TITLE,
            policy=_policy((library, program), style, linked=film_folder is not None),
            style=Markup(style),
            library=Markup(library),
            program=Markup(program),
            data=Markup(embedded_json(as_data(page, film_folder))),
            films={}
            if film_folder
            else {key: base64.b64encode(film).decode() for key, film in page.films.items()},
        )
    )


def bundle(modules: dict[str, str]) -> str:
    """Modules as one plain script, which runs before the films that follow it are parsed.

    Each module becomes a function that is called once and returns its exports.

    Args:
        modules: texts by name, in an order where each follows its imports.
    """
    parts = []
    for name, text in modules.items():
        exported = ", ".join(_EXPORT.findall(text))
        body = _EXPORT.sub("", _IMPORT.sub(r"const \1 = module_\2;", text))
        parts.append(f"const module_{name} = (() => {{\n{body}\nreturn {{{exported}}};\n}})();\n")
    return "".join(('"use strict";\n', *parts))


def as_data(page: InteractivePage, film_folder: str | None = None) -> dict[str, Any]:
    """Data of the scripts."""
    return {
        "runs": [_plain(run) for run in page.runs],
        "gaitPhases": page.gait_phases,
        "matches": _plain(page.matches),
        "labelLooks": [_look(color) for color in CLUSTER_COLORS],
        "noLabelLook": _look(NO_CLUSTER_COLOR),
        "noFilms": page.no_films,
        "filmFolder": film_folder,
    }


def _look(color: str) -> dict[str, str]:
    return {"color": color, "ink": ink_on(color)}


def embedded_json(value: Any) -> str:
    """JSON for a script element, with nothing in it that could end the element."""
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def _plain(value: Any) -> Any:
    """Plain containers, with arrays as little-endian bytes in base64."""
    if isinstance(value, np.ndarray):
        little = np.ascontiguousarray(value).astype(value.dtype.newbyteorder("<"))
        return base64.b64encode(little.tobytes()).decode()
    if dataclasses.is_dataclass(value):
        return {each.name: _plain(getattr(value, each.name)) for each in dataclasses.fields(value)}
    if isinstance(value, tuple):
        return [_plain(each) for each in value]
    return value


def _policy(scripts: tuple[str, ...], style: str, linked: bool) -> str:
    media = "blob: file: 'self'" if linked else "blob:"
    return (
        f"default-src 'none'; script-src {' '.join(map(source_hash, scripts))}; "
        f"style-src {source_hash(style)}; img-src data:; media-src {media}; "
        f"base-uri 'none'; form-action 'none'"
    )
