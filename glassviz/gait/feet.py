"""Feet: duty factors, phase lags, and the gait that they name."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from types import MappingProxyType
from typing import Literal

import numpy as np
from jaxtyping import Float64, Int

from glassviz.gait.contacts import Mask, rising_edges, share
from glassviz.gait.cycles import Cycles, find_cycles

LOCKED = 0.7
"""Mean resultant length from which a foot has a phase lag."""

ALPHA = 0.05
"""Level of the test that a foot has a phase lag."""

LEADS = 0.9
"""The leading foot is the first that has this share of what the best foot has."""

HALF = 0.5
"""Share of the period within which a second touchdown of a foot is a bounce."""

RUNNING = 0.5
"""Duty factor below which feet run."""

TOGETHER = 0.1
"""Two feet within this share of a cycle of each other, or of half a cycle, hop, walk or run."""

CLEARER = 0.5
"""A pattern of four feet is named if it is nearer than this share of the distance to the next."""


Frames = Int[np.ndarray, " landings"]

Pattern = Literal["walk", "run", "hop", "skip", "bound", "pronk", "trot", "pace", "amble", "gallop"]
"""Name of a gait by its feet."""


@dataclass(frozen=True, eq=False)
class Foot:
    """A foot in the gait cycles of an episode.

    Attributes:
        name: such as `left` or `back right`.
        down: whether any of its geoms touches the floor, in each frame of the episode.
        touchdowns: number of its touchdowns within cycles.
        duty_factor: share of the frames in cycles in which it is down; None without cycles.
        phase_lag: circular mean of the phases of its touchdowns, as a share of the cycle in [0, 1);
            the leading foot has 0. None unless the touchdowns agree: a mean resultant length of at
            least 0.7, and p ≤ 0.05 by Rayleigh's test.
        lag_concentration: mean resultant length of those phases, in [0, 1]; None without any.
    """

    name: str
    down: Mask
    touchdowns: int
    duty_factor: float | None
    phase_lag: float | None
    lag_concentration: float | None


def landings(down: Mask, apart: float = 0.0) -> Frames:
    """Frames in which a foot lands; of landings less than `apart` frames apart, the longest stance.

    A foot that bounces lands several times in a cycle. Landings that last as long come first.

    Example:
        >>> down = np.array([0, 1, 0, 1, 1, 1, 0, 0, 0, 1, 1], bool)
        >>> landings(down).tolist(), landings(down, apart=4.0).tolist()
        ([1, 3, 9], [3, 9])
    """
    starts = rising_edges(down)
    lifts = np.append(rising_edges(~down), len(down))
    length = lifts[np.searchsorted(lifts, starts, side="right")] - starts
    kept: list[int] = []
    for start in starts[np.argsort(-length, kind="stable")].tolist():
        if all(abs(start - other) >= apart for other in kept):
            kept.append(start)
    return np.array(sorted(kept), np.int64)


def lead_of(
    down: Mapping[str, Mask], mask: Mask, dt_s: float, period_s: float | None
) -> tuple[str | None, Cycles]:
    """The leading foot, whose touchdowns begin the cycles, and the cycles; None without any.

    It is the first foot of the body whose cycles are nearly as good as those of the best foot: as
    long as the period of the joints, because a foot that scuffs the floor lands more often than it
    steps; or as many, if the joints have no period. A
    contact that a fall, or the initial transient, passes on to the mask is no touchdown, and
    neither is a second one within half of the period of the joints, if they have one.
    """
    apart = HALF * (period_s or 0.0) / dt_s
    inside = mask & np.concatenate([[False], mask[:-1]])
    landed = {foot: landings(own, apart) for foot, own in down.items()}
    found = {foot: find_cycles(own[inside[own]], mask, dt_s) for foot, own in landed.items()}
    good = {foot: _goodness(cycles, period_s) for foot, cycles in found.items()}
    best = max(good.values())
    lead = next(foot for foot, own in good.items() if own >= LEADS * best)
    return (lead if best else None), found[lead]


def _goodness(cycles: Cycles, period_s: float | None) -> float:
    """How well cycles follow steps, 0 without any."""
    own = cycles.period_s
    if own is None:
        return 0.0
    return min(own, period_s) / max(own, period_s) if period_s else float(cycles.count)


def feet_in_cycles(down: Mapping[str, Mask], cycles: Cycles) -> tuple[Foot, ...]:
    """Duty factor and phase lag of each foot in the cycles of the leading one."""
    return tuple(_foot(name, own, cycles) for name, own in down.items())


def _foot(name: str, down: Mask, cycles: Cycles) -> Foot:
    inside = cycles.cycle >= 0
    apart = HALF * (cycles.period_s or 0.0) / cycles.dt_s
    phase = cycles.phase[landings(down, apart)]
    phase = phase[np.isfinite(phase)]
    if not len(phase):
        return Foot(name, down, 0, share(down, inside), None, None)
    mean = np.exp(1j * phase).mean()
    r = float(min(abs(mean), 1.0))
    # Rayleigh's test, to first order; the phases are of touchdowns, not of frames.
    agrees = r >= LOCKED and np.exp(-len(phase) * r**2) <= ALPHA
    # Rounding must not turn a lag of 0 into one of 1.
    lag = float(np.round(np.angle(mean) / (2 * np.pi), 9) % 1.0) if agrees else None
    return Foot(name, down, len(phase), share(down, inside), lag, r)


# Names of gaits -----------------------------------------------------------------------------------

SIDES = ("left", "right")

HILDEBRAND_ORDER = ("back left", "front left", "front right", "back right")
"""Feet in the order of the lags below."""

Lags = Float64[np.ndarray, "members feet"]


def _members() -> Mapping[Pattern, Lags]:
    """Lags of the four feet in each gait; families of gaits have several members.

    In symmetrical gaits the feet of a pair, hind or fore, are half a cycle apart, and the lag of
    the fore foot after the hind foot of its side names the gait. In the others they are together,
    or follow each other closely, and the pairs are apart by any lag.
    """

    def symmetrical(fore: float) -> list[float]:
        return [0.0, fore, fore + 0.5, 0.5]

    apart = np.arange(0.2, 0.81, 0.02)
    close = np.arange(0.1, 0.301, 0.02)
    gallops = [
        [0.0, fore, fore + way * other, hind]
        for fore, hind, other, way in product(apart, close, close, (1, -1))
    ]
    mirrored = [[d, c, b, a] for a, b, c, d in gallops]
    lags: dict[Pattern, list[list[float]]] = {
        "walk": [symmetrical(0.25), symmetrical(0.75)],
        "trot": [symmetrical(0.5)],
        "pace": [symmetrical(0.0)],
        "bound": [[0.0, fore, fore, 0.0] for fore in apart],
        "pronk": [[0.0] * 4],
        "gallop": gallops + mirrored,
    }
    return MappingProxyType({name: np.array(members) for name, members in lags.items()})


_MEMBERS = _members()


def name_pattern(feet: Sequence[Foot]) -> Pattern | None:
    """The gait that these feet show; None if one has no phase lag, or no gait is clearly nearest.

    - Two feet of both sides: `hop` together, `walk` or `run` half a cycle apart, else `skip`.
    - A front and a back foot: `pronk` together, else `bound`.
    - Four feet: the nearest pattern on the torus of lags.

    Walks have a mean duty factor of at least 0.5. Four beats below that are an `amble`.

    References:
        Hildebrand, "Symmetrical gaits of horses", Science 150, 1965.
    """
    lags = {foot.name: foot.phase_lag for foot in feet}
    known = {name: lag for name, lag in lags.items() if lag is not None}
    duties = [foot.duty_factor for foot in feet if foot.duty_factor is not None]
    if len(known) < len(lags) or len(lags) < 2 or not duties:
        return None
    runs = float(np.mean(duties)) < RUNNING
    if set(known) == set(HILDEBRAND_ORDER):
        nearest = nearest_pattern([known[name] for name in HILDEBRAND_ORDER])
        return "amble" if nearest == "walk" and runs else nearest
    if len(known) != 2:
        return None
    one, other = known.values()
    apart = abs((one - other + 0.5) % 1.0 - 0.5)
    if set(known) != set(SIDES):
        return "pronk" if apart <= TOGETHER else "bound"
    if apart <= TOGETHER:
        return "hop"
    if apart >= 0.5 - TOGETHER:
        return "run" if runs else "walk"
    return "skip"


def nearest_pattern(lags: Sequence[float]) -> Pattern | None:
    """The pattern of four feet nearest to these lags, in `HILDEBRAND_ORDER`; None if unclear.

    The distance is the root mean square of the differences of the lags, around the circle, after
    the shift in time that makes their mean zero.

    Example:
        >>> nearest_pattern([0.0, 0.52, 0.01, 0.49])
        'trot'
    """
    distances = {name: _distance(np.array(lags), own) for name, own in _MEMBERS.items()}
    (nearest, least), (_, second), *_ = sorted(distances.items(), key=lambda item: item[1])
    return nearest if least < CLEARER * second else None


def _distance(lags: Float64[np.ndarray, " feet"], members: Lags) -> float:
    turns = np.exp(2j * np.pi * (lags - members))
    mean = turns.mean(axis=1, keepdims=True)
    # A mean of zero has no angle: the lags are as far from the member as can be.
    apart = np.angle(turns * np.conj(np.where(abs(mean) < 1e-9, 1, mean))) / (2 * np.pi)
    return float(np.sqrt(np.square(apart).mean(axis=1)).min())
