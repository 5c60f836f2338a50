"""Gait cycles, from touchdown to touchdown."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float64, Int

from glassviz.gait.contacts import FloorContacts, debounce, rising
from glassviz.gait.rhythm import FASTEST_S, SLOWEST_S

REGULAR = (0.5, 1.5)
"""Between two touchdowns that lie further apart than one and a half median periods one was missed,
and such an interval is no cycle; nor is one of less than half a period."""


@dataclass(frozen=True, eq=False)
class Cycles:
    """The cycles of an episode, J of them.

    Attributes:
        starts: frame of the touchdown that begins each.
        ends: frame of the touchdown that ends it, the next one's start if that follows directly.
        phase: in [0, 2π), linear between touchdowns; NaN outside of cycles.
        cycle: number of the cycle, 0..J-1; -1 outside.
        dt_s: seconds between frames.
    """

    starts: Int[np.ndarray, " cycles"]
    ends: Int[np.ndarray, " cycles"]
    phase: Float64[np.ndarray, " frames"]
    cycle: Int[np.ndarray, " frames"]
    dt_s: float

    @property
    def count(self) -> int:
        """Number of cycles J."""
        return len(self.starts)

    @property
    def periods_s(self) -> Float64[np.ndarray, " cycles"]:
        """Duration of each, s."""
        return (self.ends - self.starts) * self.dt_s

    @property
    def period_s(self) -> float | None:
        """Mean duration, s; None without cycles."""
        return float(self.periods_s.mean()) if self.count else None

    @property
    def period_cv(self) -> float | None:
        """Coefficient of variation of the durations, 0 for a clock; None below two cycles."""
        periods = self.periods_s
        return float(periods.std(ddof=1) / periods.mean()) if self.count > 1 else None


def find_cycles(
    touchdowns: Int[np.ndarray, " touchdowns"], mask: Bool[np.ndarray, " frames"], dt_s: float
) -> Cycles:
    """Cut an episode into cycles at its touchdowns.

    A cycle is what lies between two successive touchdowns, if all its frames are in the mask, it
    lasts 1/6 to 2.5 s, and between 0.5 and 1.5 times the median of these.
    """
    starts, ends = touchdowns[:-1], touchdowns[1:]
    outside = np.concatenate([[0], np.cumsum(~mask)])
    lengths = ends - starts
    good = (outside[ends] == outside[starts]) & (lengths * dt_s >= FASTEST_S - dt_s / 2)
    good &= lengths * dt_s <= SLOWEST_S
    if good.any():
        usual = np.median(lengths[good])
        good &= (lengths >= REGULAR[0] * usual) & (lengths <= REGULAR[1] * usual)
    starts, ends = starts[good], ends[good]

    frames = np.arange(len(mask))
    cycle = np.searchsorted(starts, frames, side="right") - 1
    phase = np.full(len(mask), np.nan)
    if len(starts):
        cycle = np.where(frames < ends[cycle], cycle, -1)
        inside = cycle >= 0
        own = cycle[inside]
        phase[inside] = 2 * np.pi * (frames[inside] - starts[own]) / (ends[own] - starts[own])
    return Cycles(starts, ends, phase, cycle, dt_s)


def body_touchdowns(
    contacts: FloorContacts, height: Float64[np.ndarray, " frames"], dt_s: float
) -> Int[np.ndarray, " touchdowns"]:
    """Frames at which torso, nose, pelvis or thigh comes down, once for every rise of the torso.

    The cycle of a gait that does not stay on its foot begins when the body touches the floor. It
    may do so several times before it rises (nose, then knee), so that only the first touch after
    the torso was above its mean height counts.
    """
    high = debounce(height > height.mean(), dt_s)
    rises = np.zeros(len(height), int)
    rises[rising(high)] = 1
    touches = rising(contacts.body)
    _, first = np.unique(np.cumsum(rises)[touches], return_index=True)
    return touches[first]
