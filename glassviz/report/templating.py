"""Templates of the report: everything that comes from a file is escaped when it is printed."""

from collections.abc import Callable
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined


def environment(autoescape: bool, finalize: Callable[[Any], Any] | None = None) -> Environment:
    """Where the templates are found.

    Args:
        autoescape: whether what they print is escaped for HTML.
        finalize: what else it is put through.
    """
    return Environment(
        loader=PackageLoader("glassviz.report"),
        autoescape=autoescape,
        finalize=finalize,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=StrictUndefined,
    )
