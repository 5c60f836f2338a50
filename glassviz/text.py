"""Text for messages: names from files made printable, lists and counts."""

import re
from collections.abc import Iterable

LONGEST = 120


def printable(text: str, limit: int = LONGEST) -> str:
    """`text` cut to `limit`, with control characters and lone surrogates replaced.

    A name in a hostile file may hold terminal escapes, or characters that cannot be printed.
    """
    cut = text if len(text) <= limit else text[: limit - 1] + "…"
    return "".join(c if c.isprintable() else "?" for c in cut)


_SIGNS = re.compile(r"([\\`*_{}\[\]<>#|~!$&])")


def escaped(text: str) -> str:
    """`text` on one line, with the characters escaped that mean something in Markdown or HTML."""
    return _SIGNS.sub(r"\\\1", " ".join(text.split()))


def listed(names: Iterable[str], most: int = 4) -> str:
    """`a, b and c`; of more than `most` names the first ones, and the number of the others."""
    shown = list(names)
    if len(shown) > most:
        shown = [*shown[: most - 1], f"{len(shown) - most + 1} more"]
    return shown[0] if len(shown) == 1 else f"{', '.join(shown[:-1])} and {shown[-1]}"


def count_of(count: int, what: str) -> str:
    """`1 run`, `2 runs`."""
    return f"{count} {what}" if count == 1 else f"{count} {what}s"
