"""Floor contacts, the end of the initial transient, and falls."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from jaxtyping import Bool, Float64, Int

from glassviz.envs.bodies import FLICKER_S
from glassviz.errors import GlassvizError

Mask = Bool[np.ndarray, " frames"]
Signal = Float64[np.ndarray, " frames"]

FOOT = "foot"

BODY = ("torso", "nose", "pelvis", "thigh")
"""Geoms other than the foot that count as the body touching the floor. The calf does not count: its
ends lie inside foot and thigh."""


@dataclass(frozen=True, eq=False)
class FloorContacts:
    """Debounced contacts of every geom with the floor; `stance` is a contact of any geom.

    `trunk` has the geoms that no gait should touch the floor with, the hopper's by default.
    """

    geoms: tuple[str, ...]
    touching: Bool[np.ndarray, "frames geoms"]
    stance: Mask
    trunk: tuple[str, ...] = BODY

    @property
    def flight(self) -> Mask:
        """Whether nothing touches the floor."""
        return ~self.stance

    @property
    def foot(self) -> Mask:
        """Whether the foot touches the floor."""
        return self.touching[:, self.geoms.index(FOOT)]

    @property
    def body(self) -> Mask:
        """Whether the trunk touches the floor: the hopper's torso, nose, pelvis or thigh."""
        columns = [self.geoms.index(geom) for geom in self.trunk]
        return np.any(self.touching[:, columns], axis=1)

    @property
    def foot_only(self) -> Mask:
        """Whether the foot touches the floor and the body does not."""
        return self.foot & ~self.body

    @property
    def touchdowns(self) -> Int[np.ndarray, " touchdowns"]:
        """Frames in which a flight ends."""
        return rising_edges(self.stance)

    @property
    def liftoffs(self) -> Int[np.ndarray, " liftoffs"]:
        """Frames in which a flight begins."""
        return rising_edges(self.flight)

    def since(self, frame: int) -> "FloorContacts":
        """Contacts from `frame` on; `frame` becomes frame 0."""
        return replace(self, touching=self.touching[frame:], stance=self.stance[frame:])

    def shares(self) -> dict[str, float | None]:
        """Share of the stance frames in which each geom touches the floor; None without stance."""
        columns = zip(self.geoms, self.touching.T, strict=True)
        return {geom: share(touching, self.stance) for geom, touching in columns}


def hopper_contacts(
    contacts: Bool[np.ndarray, "frames geoms"], geoms: Sequence[str], dt_s: float
) -> FloorContacts:
    """`floor_contacts` of the hopper.

    Raises:
        GlassvizError: a geom of the hopper is missing.
    """
    missing = [geom for geom in (FOOT, *BODY) if geom not in geoms]
    if missing:
        raise GlassvizError(
            f"trace: expected contacts of the hopper's geoms, found none of {', '.join(missing)}: "
            f"record it again with `glassviz rollout`"
        )
    return floor_contacts(contacts, geoms, dt_s)


def floor_contacts(
    contacts: Bool[np.ndarray, "frames geoms"],
    geoms: Sequence[str],
    dt_s: float,
    floor: Sequence[str] = ("floor",),
    trunk: Sequence[str] = BODY,
    flicker_s: float = FLICKER_S,
) -> FloorContacts:
    """Debounce recorded contacts of the named geoms, in frames `dt_s` seconds apart.

    Stance is debounced separately, so that a flickering hand-over from one geom to another does
    not count as flight.

    Args:
        floor: the geoms that are the floor itself.
        trunk: the geoms that no gait should touch the floor with.
        flicker_s: shorter contacts and gaps are removed, s.
    """
    columns = [i for i, geom in enumerate(geoms) if geom not in floor]
    touching = contacts[:, columns]
    for i, column in enumerate(columns):
        touching[:, i] = debounce(contacts[:, column], dt_s, flicker_s)
    stance = debounce(np.any(contacts[:, columns], axis=1), dt_s, flicker_s)
    return FloorContacts(tuple(geoms[i] for i in columns), touching, stance, tuple(trunk))


def debounce(signal: Mask, dt_s: float, min_duration_s: float = FLICKER_S) -> Mask:
    """Remove runs shorter than `min_duration_s`: they take the value of the run before them.

    A lasting run starts at its first frame. Short runs at the beginning take the value of the
    first lasting run. If no run lasts, the result is all False.

    Example:
        >>> signal = np.array([0, 1, 0, 1, 1, 1, 0, 1, 0, 0, 0], bool)
        >>> debounce(signal, dt_s=0.02).astype(int)
        array([1, 1, 1, 1, 1, 1, 1, 1, 0, 0, 0])
    """
    min_frames = max(1, round(min_duration_s / dt_s))
    starts = np.flatnonzero(np.diff(signal, prepend=~signal[:1]))
    lengths = np.diff(starts, append=len(signal))
    lasting = lengths >= min(min_frames, len(signal))
    if not lasting.any():
        return np.zeros_like(signal)
    latest = np.maximum.accumulate(np.where(lasting, np.arange(len(starts)), -1))
    latest[latest < 0] = np.argmax(lasting)
    return np.repeat(signal[starts[latest]], lengths)


def rising_edges(signal: Mask) -> Int[np.ndarray, " edges"]:
    """Frames in which the signal turns True; frame 0 is never an edge."""
    return np.flatnonzero(signal[1:] & ~signal[:-1]) + 1


def share(part: Mask, whole: Mask) -> float | None:
    """Share of the frames of `whole` that are also in `part`; None if `whole` is empty."""
    total = int(whole.sum())
    return int((part & whole).sum()) / total if total else None


# Initial transient and falls ----------------------------------------------------------------------

STAND_HEIGHT_M = 0.6
"""Height of the torso above the foot from which the task counts the body as standing."""

IMPACT_S = 0.3
"""Legs that give way after a drop from one metre do so within this time."""

STAND_S = 0.2
"""After the drop, a shorter stand is a bounce."""

LONGEST_OPENING_S = 5.0
"""Getting up that takes longer belongs to the behaviour of the episode. In ten episodes of a
hopping agent the slowest was up after 4.0 s."""

LEANING_RAD = np.pi / 4
"""A torso that leans further at the impact falls forward or backward."""

FOLDED_RAD = np.pi / 2
"""A larger angle between torso and thigh at the impact counts as folded."""

Direction = Literal["forward", "backward", "upright"]
Manner = Literal["sits", "folds", "topples"]


@dataclass(frozen=True)
class Fall:
    """A fall: from standing to the floor, and up again.

    Attributes:
        start, recovery: last standing frame before it, and next one; None if there is none.
        hit: first frame in which the body (torso, nose, pelvis or thigh) touches the floor.
        direction: which way the torso leans at the hit, by more than 45°. The pitch is unwrapped
            from `start` on, so that a forward somersault counts as forward.
        manner: `sits`: the pelvis lands first, without nose or torso; `folds`: more than 90°
            between torso and thigh at the hit; `topples`: neither, the body falls as one piece.
            Other bodies than the hopper topple.
        first: geoms on the floor at the hit.
    """

    start: int
    hit: int
    recovery: int | None
    direction: Direction
    manner: Manner
    first: tuple[str, ...]


def opening_end(
    contacts: FloorContacts, height: Signal, dt_s: float, stand_m: float = STAND_HEIGHT_M
) -> int:
    """First frame after the initial transient, 0..T-1.

    Every episode begins with a drop from one metre in a random pose, from which most agents get
    up. The transient ends with the first stand (`stand_m` high for 0.2 s) later than 0.3 s after
    the first floor contact. If there is no stand in the first 5 s, it ends 0.3 s after that
    contact, and everything the agent does on the floor is described. Without any contact there is
    no transient.
    """
    touching = np.flatnonzero(contacts.stance)
    if not len(touching):
        return 0
    settled = min(int(touching[0]) + round(IMPACT_S / dt_s), len(height) - 1)
    latest = settled + max(1, round(LONGEST_OPENING_S / dt_s) - settled)
    high = height[settled:latest] >= stand_m
    # Padding with frames on the floor keeps the debounce from dating the first stand too early.
    padding = np.zeros(round(STAND_S / dt_s), bool)
    stands = debounce(np.concatenate([padding, high]), dt_s, STAND_S)[len(padding) :]
    return settled + int(np.argmax(stands))


def find_falls(
    contacts: FloorContacts,
    height: Signal,
    torso: Signal,
    thigh: Signal | None,
    dt_s: float,
    begin: int = 0,
    stand_m: float = STAND_HEIGHT_M,
) -> tuple[Fall, ...]:
    """Find all falls: the body stands, and later a geom of its trunk touches the floor.

    From the hit until the next stand it is one fall. A gait that lands on its knee and stands up
    again in every cycle falls in every cycle; the verdict on the gait takes care of that.

    `height` is that of the torso, m, and `stand_m` the height at which the body stands; `torso` and
    `thigh` are pitches from the vertical, rad, positive when leaning forward, and bodies other than
    the hopper have no thigh; `begin` is the first frame to look at.
    """
    considered = np.arange(len(height)) >= begin
    stands = debounce(height >= stand_m, dt_s) & considered
    down = contacts.body & ~stands & considered
    # A frame that neither stands nor touches the floor continues the state before it.
    decided = np.flatnonzero(stands | down)
    hits = decided[rising_edges(down[decided])]
    rises = decided[rising_edges(stands[decided])]
    starts = np.maximum.accumulate(np.where(stands, np.arange(len(stands)), 0))[hits]
    recoveries = np.searchsorted(rises, hits)

    unwrapped = np.unwrap(torso)
    upright = 2 * np.pi * np.round(unwrapped[starts] / (2 * np.pi))
    lean = unwrapped[hits] - upright
    fold = np.zeros(len(hits))
    if thigh is not None:
        fold = np.abs(np.angle(np.exp(1j * (torso[hits] - thigh[hits]))))
    falls = []
    for i, (start, hit) in enumerate(zip(starts.tolist(), hits.tolist(), strict=True)):
        first = tuple(np.array(contacts.geoms)[contacts.touching[hit]].tolist())
        recovery = int(rises[recoveries[i]]) if recoveries[i] < len(rises) else None
        direction = _direction(lean[i])
        manner = "topples" if thigh is None else _manner(first, fold[i])
        falls.append(Fall(start, hit, recovery, direction, manner, first))
    return tuple(falls)


def fallen_frames(falls: tuple[Fall, ...], frames: int) -> Mask:
    """Whether each frame lies between the last stand before a fall and the next stand."""
    change = np.zeros(frames + 1, int)
    np.add.at(change, [fall.start + 1 for fall in falls], 1)
    np.add.at(change, [frames if f.recovery is None else f.recovery for f in falls], -1)
    return np.cumsum(change[:-1]) > 0


def _direction(lean: float) -> Direction:
    if abs(lean) <= LEANING_RAD:
        return "upright"
    return "forward" if lean > 0 else "backward"


def _manner(first: tuple[str, ...], fold: float) -> Manner:
    if "pelvis" in first and not {"torso", "nose"} & set(first):
        return "sits"
    return "folds" if fold > FOLDED_RAD else "topples"
