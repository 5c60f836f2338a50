"""Demonstrations of hopping, by a planner on the true MuJoCo model."""

from glassviz.demonstrations.episodes import (
    Demonstration,
    Demonstrations,
    as_replay,
    demonstrate,
    demonstrate_all,
    describe,
    load,
    require_same_task,
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
    "require_same_task",
    "save",
]
