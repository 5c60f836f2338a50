"""Text from files that nobody vouches for, made fit for messages and for Markdown."""

import re

LONGEST = 120


def printable(text: str, limit: int = LONGEST) -> str:
    """`text` cut to `limit`, with control characters and lone surrogates replaced.

    A name in a hostile file may hold terminal escapes, or characters that cannot be printed.
    """
    cut = text if len(text) <= limit else text[: limit - 1] + "…"
    return "".join(c if c.isprintable() else "?" for c in cut)


_SIGNS = re.compile(r"([\\`*_{}\[\]<>#|~!$&])")


def escaped(text: str) -> str:
    """Text of which nothing is taken for Markdown, nor for HTML; on one line."""
    return _SIGNS.sub(r"\\\1", " ".join(text.split()))
