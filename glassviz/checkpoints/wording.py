"""How text from a file that nobody vouches for comes into a message."""

LONGEST = 120


def printable(text: str, limit: int = LONGEST) -> str:
    """`text` cut to `limit`, with control characters and lone surrogates replaced.

    A name in a hostile file may hold terminal escapes, or characters that cannot be printed.
    """
    cut = text if len(text) <= limit else text[: limit - 1] + "…"
    return "".join(c if c.isprintable() else "?" for c in cut)
