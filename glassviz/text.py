"""Text for messages: names from files made printable, lists and counts."""

import re
from collections.abc import Iterable

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


def listed(names: Iterable[str], most: int = 4) -> str:
    """`a, b and c`; of more than `most` names the first ones, and the number of the others."""
    shown = list(names)
    if len(shown) > most:
        shown = [*shown[: most - 1], f"{len(shown) - most + 1} more"]
    return shown[0] if len(shown) == 1 else f"{', '.join(shown[:-1])} and {shown[-1]}"


def count_of(count: int, what: str) -> str:
    """`1 run`, `2 runs`."""
    return f"{count} {what}" if count == 1 else f"{count} {what}s"
