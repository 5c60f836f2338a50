"""Demonstrations of hopping, by a planner on the true MuJoCo model."""

from glassviz.demonstrations.episodes import (
    Demonstration,
    Demonstrations,
    as_replay,
    demonstrate,
    demonstrate_all,
    describe,
    load,
    save,
)

__all__ = [
    "Demonstration",
    "Demonstrations",
    "as_replay",
    "demonstrate",
    "demonstrate_all",
    "describe",
    "load",
    "save",
]
