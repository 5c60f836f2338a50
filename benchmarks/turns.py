"""Contestants that take turns: whatever else the machine does meets all of them."""

import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import jax


@dataclass(frozen=True)
class Times:
    """Seconds of one contestant, round by round.

    Attributes:
        wall: on the clock.
        cpu: of all threads of the process, which depends little on what else runs.
    """

    wall: list[float] = field(default_factory=list)
    cpu: list[float] = field(default_factory=list)

    @property
    def wall_ms(self) -> float:
        """Median over the rounds."""
        return 1e3 * statistics.median(self.wall)

    @property
    def cpu_ms(self) -> float:
        """Median over the rounds."""
        return 1e3 * statistics.median(self.cpu)

    def over(self, other: "Times") -> tuple[float, float]:
        """Wall and CPU time as multiples of another's: medians of each round's ratio."""
        return _ratio(self.wall, other.wall), _ratio(self.cpu, other.cpu)


def measure(runs: Mapping[str, Callable[[], Any]], rounds: int) -> dict[str, Times]:
    """Time the contestants in turns, after one call of each that does not count."""
    times = {name: Times() for name in runs}
    for run in runs.values():
        jax.block_until_ready(run())
    for _ in range(rounds):
        for name, run in runs.items():
            before = time.perf_counter(), time.process_time()
            jax.block_until_ready(run())
            times[name].wall.append(time.perf_counter() - before[0])
            times[name].cpu.append(time.process_time() - before[1])
    return times


def _ratio(times: list[float], others: list[float]) -> float:
    return statistics.median(a / b for a, b in zip(times, others, strict=True))
