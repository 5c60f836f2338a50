"""Text from files made printable, JSON from files, and text for messages: lists and counts."""

import json
import re
from collections.abc import Callable, Iterable
from itertools import groupby
from typing import Any
from unicodedata import category

_LENGTH_LIMIT = 120

LONGEST_NAME = 255
"""Characters of a file name: no file system that people use allows more."""

LONGEST_PATH = 4096
"""Characters of a path, likewise."""
_MARKUP = re.compile(r"([\\`*_{}\[\]<>#|~!$&])")


def printable(text: str, limit: int = _LENGTH_LIMIT) -> str:
    r"""`text` cut to `limit` characters, with control characters and lone surrogates replaced.

    A name in a hostile file may contain terminal escapes or characters that cannot be printed.

    >>> printable("red\x1b[31m")
    'red?[31m'
    """
    cut = text if len(text) <= limit else text[: limit - 1] + "…"
    return "".join(c if c.isprintable() else "?" for c in cut)


def printable_lines(text: str) -> str:
    r"""`text` of any length, with `?` for characters that control a terminal or cannot be encoded.

    >>> printable_lines("one\x1b\ntwo")
    'one?\ntwo'
    """
    return "".join(c if c == "\n" or category(c)[0] != "C" else "?" for c in text)


def spelled_out(text: str, has_glyph: Callable[[str], bool]) -> str:
    """`text` with the code points of characters that a font has no glyph for.

    >>> spelled_out("run 中文 1", str.isascii)
    'run U+4E2D U+6587 1'
    """
    parts: list[str] = []
    for drawn, characters in groupby(text, lambda c: c == "\n" or has_glyph(c)):
        shown = (c if drawn else f"U+{ord(c):04X}" for c in characters)
        parts.append(("" if drawn else " ").join(shown))
    return "".join(parts)


def cut_middle(text: str, fits: Callable[[str], bool]) -> str:
    """`text`, or as much of its start and end as fits around an ellipsis.

    >>> cut_middle("abcdefgh", lambda text: len(text) <= 5)
    'ab…gh'
    """
    if fits(text):
        return text

    def cut(kept: int) -> str:
        start, end = text[: (kept + 1) // 2].rstrip(), text[len(text) - kept // 2 :].lstrip()
        return f"{start}…{end}"

    low, high = 0, len(text) - 1
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if fits(cut(middle)) else (low, middle - 1)
    return cut(low)


def broken(word: str, fits: Callable[[str], bool]) -> list[str]:
    """A word in parts that fit, each of at least one character.

    >>> broken("abcde", lambda text: len(text) <= 2)
    ['ab', 'cd', 'e']
    """
    parts = [""]
    for character in word:
        if parts[-1] and not fits(parts[-1] + character):
            parts.append("")
        parts[-1] += character
    return parts


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


def parse_json(text: str | bytes) -> Any:
    r"""JSON from a file, with every string in it made printable; numbers may be NaN or infinite.

    Raises:
        ValueError: it is not JSON, or nested too deep; in one short sentence.

    >>> parse_json(b'{"name": "red\\u001b[31m"}')
    {'name': 'red?[31m'}
    """
    try:
        value = json.loads(text)
    except RecursionError:
        value = None
        too_deep = True
    except ValueError as error:
        reason = "it is not text" if isinstance(error, UnicodeDecodeError) else str(error)
        raise ValueError(f"no valid JSON: {printable(reason)}") from None
    else:
        too_deep = _deeper_than(_MAX_DEPTH, value)
    if too_deep:
        raise ValueError(f"JSON nested deeper than {_MAX_DEPTH} levels")
    return printable_strings(value)


_MAX_DEPTH = 32


def _deeper_than(limit: int, value: Any) -> bool:
    """Whether containers are nested deeper than `limit`, which could overflow recursive code."""
    level = [value]
    for _ in range(limit):
        containers = [item for item in level if isinstance(item, dict | list)]
        level = [x for c in containers for x in (c.values() if isinstance(c, dict) else c)]
    return any(isinstance(item, dict | list) for item in level)


def printable_strings(value: Any) -> Any:
    """`value`, a tree of dictionaries and lists, with every string in it made printable."""
    if isinstance(value, str):
        return printable(value, limit=_MAX_STRING)
    if isinstance(value, dict):
        return {printable_strings(key): printable_strings(each) for key, each in value.items()}
    if isinstance(value, list):
        return [printable_strings(each) for each in value]
    return value


_MAX_STRING = 10_000
