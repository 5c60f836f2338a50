"""Text from files that nobody vouches for, in Markdown."""

import re

_SIGNS = re.compile(r"([\\`*_{}\[\]<>#|~!$&])")


def escaped(text: str) -> str:
    """Text of which nothing is taken for Markdown, nor for HTML; on one line."""
    return _SIGNS.sub(r"\\\1", " ".join(text.split()))
