"""Untrusted text from files, made safe for messages and for Markdown."""

import re

_LENGTH_LIMIT = 120
_MARKUP = re.compile(r"([\\`*_{}\[\]<>#|~!$&])")


def printable(text: str, limit: int = _LENGTH_LIMIT) -> str:
    r"""`text` cut to `limit` characters, with control characters and lone surrogates replaced.

    A name in a hostile file may contain terminal escapes or characters that cannot be printed.

    >>> printable("red\x1b[31m")
    'red?[31m'
    """
    cut = text if len(text) <= limit else text[: limit - 1] + "…"
    return "".join(c if c.isprintable() else "?" for c in cut)


def escaped(text: str) -> str:
    r"""`text` on one line, with the characters escaped that Markdown or HTML would interpret.

    >>> print(escaped("a_b <c>"))
    a\_b \<c\>
    """
    return _MARKUP.sub(r"\\\1", " ".join(text.split()))
