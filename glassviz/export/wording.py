"""Words that captions and titles share."""

from glassviz.comparison.wording import count_of as counted
from glassviz.comparison.wording import listed

__all__ = ["counted", "listed", "speed_words"]

_FRACTIONS = {1.0: "Real speed", 0.5: "Half speed", 0.25: "A quarter of the speed"}


def speed_words(speed: float) -> str:
    """`A quarter of the speed`."""
    return _FRACTIONS.get(speed, f"{speed:g} times the speed")
