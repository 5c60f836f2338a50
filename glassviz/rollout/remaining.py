"""The time that is left of work whose steps take different times."""

import time
from collections.abc import Callable, Hashable, Mapping, Sequence
from itertools import accumulate

from glassviz.rollout.batch import Listener

TRIAL_STEPS = 5
"""Steps of a trial, and steps of a kind after which they count for more than it."""

Clock = Callable[[], float]
Number = int | float


def trial_s(start: Callable[[int, Callable[[int], None]], object]) -> float:
    """Seconds per step of work that is started for a few steps, and compiled on the way.

    Args:
        start: does so many steps, and calls its second argument after each.
    """
    ends: list[float] = []
    start(1 + TRIAL_STEPS, lambda done: ends.append(time.perf_counter()))
    return (ends[-1] - ends[0]) / TRIAL_STEPS


class Remaining:
    """Estimates the seconds left of parts that follow each other, each of steps of one kind.

    A step of the policy takes milliseconds and one of the planner may take seconds: steps alone
    say little. A kind costs what its steps took; before any were done, what a trial says, times
    how far the trial was off for other kinds; without a trial, what the other kinds cost.

    Args:
        parts: kind and size of each part, in the order in which they are done. The size is the
            number of its steps, or in what unit `done` is counted.
        trials_s: seconds per step of a kind, where a trial measured them.
        now: seconds on a clock.
        since: when the work began, on that clock; now by default.
    """

    def __init__(
        self,
        parts: Sequence[tuple[Hashable, Number]],
        trials_s: Mapping[Hashable, float] | None = None,
        now: Clock | None = None,
        since: float | None = None,
    ) -> None:
        self._parts = [(kind, float(size)) for kind, size in parts]
        self._trials_s = dict(trials_s or {})
        self._now = now or time.perf_counter
        self._at, self._done = self._now() if since is None else since, 0.0
        self._steps: dict[Hashable, float] = {}
        self._seconds: dict[Hashable, float] = {}
        # Without a trial, the first step of a kind may wait for its compilation.
        self._compiling = {kind for kind, _ in self._parts} - self._trials_s.keys()

    def __call__(self, done: Number) -> float:
        """Seconds left when `done` steps of all parts are done, counted from the first part."""
        self._measure(done)
        return sum(size * self._cost_s(kind) for kind, size in self._between(done, float("inf")))

    @property
    def costs_s(self) -> dict[Hashable, float]:
        """Seconds per step of each kind that was tried or measured."""
        return {kind: self._cost_s(kind) for kind in self._trials_s | self._steps}

    def _measure(self, done: Number) -> None:
        """Share the time since the last call among the kinds of the steps since then."""
        now = self._now()
        new = [(kind, size) for kind, size in self._between(self._done, done) if size]
        expected = [size * (self._cost_s(kind) or 1.0) for kind, size in new]
        for (kind, size), share in zip(new, expected, strict=True):
            seconds = (now - self._at) * share / sum(expected)
            if kind in self._compiling and kind in self._steps:
                # The first measure was with its compilation: this one replaces it.
                self._compiling.discard(kind)
                self._steps[kind], self._seconds[kind] = 0.0, 0.0
            self._steps[kind] = self._steps.get(kind, 0.0) + size
            self._seconds[kind] = self._seconds.get(kind, 0.0) + seconds
        self._at, self._done = now, max(float(done), self._done)

    def _between(self, first: Number, last: Number) -> list[tuple[Hashable, float]]:
        """Kind and size of what lies between two counts of done steps."""
        found, start = list[tuple[Hashable, float]](), 0.0
        for kind, size in self._parts:
            found.append((kind, max(0.0, min(start + size, last) - max(start, first))))
            start += size
        return found

    def _cost_s(self, kind: Hashable) -> float:
        """Seconds per step of a kind."""
        steps, trial = self._steps.get(kind, 0.0), self._trials_s.get(kind)
        if steps and (trial is None or steps >= TRIAL_STEPS):
            return self._seconds[kind] / steps
        measured = [each for each, steps in self._steps.items() if steps >= TRIAL_STEPS]
        if trial is not None:
            tried = [each for each in measured if each in self._trials_s]
            predicted = sum(self._steps[each] * self._trials_s[each] for each in tried)
            took = sum(self._seconds[each] for each in tried)
            return trial * (took / predicted if predicted else 1.0)
        steps = sum(self._steps.values())
        return sum(self._seconds.values()) / steps if steps else 0.0


def counting_sizes(sizes: Sequence[Number], listener: Listener) -> Callable[[int, int], None]:
    """Reports items done to `listener.on_run`, and the time left as their sizes are."""
    sizes = [size or 1 for size in sizes]
    remaining = Remaining([("item", size) for size in sizes])
    ends = [0, *accumulate(sizes)]

    def on_done(done: int, total: int) -> None:
        listener.on_remaining(remaining(ends[done]))
        listener.on_run(done, total)

    return on_done
