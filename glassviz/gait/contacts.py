"""Floor contacts, and the events of falling and getting up that follow from them."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from jaxtyping import Bool, Float64, Int

from glassviz.errors import GlassvizError

FOOT = "foot"


BODY = ("torso", "nose", "pelvis", "thigh")


DEBOUNCE_S = 0.06
"""Contact, or its absence, that does not last as long is flicker: three control steps."""


@dataclass(frozen=True, eq=False)
class FloorContacts:
    """What touches the floor, frame by frame; runs shorter than the debounce are gone.

    Attributes:
        geoms: names, the floor's own left out.
        touching: whether each geom touches the floor.
        stance: whether anything touches it.
    """

    geoms: tuple[str, ...]
    touching: Bool[np.ndarray, "frames geoms"]
    stance: Bool[np.ndarray, " frames"]

    @property
    def flight(self) -> Bool[np.ndarray, " frames"]:
        """Whether nothing touches the floor."""
        return ~self.stance

    @property
    def foot(self) -> Bool[np.ndarray, " frames"]:
        """Whether the foot touches the floor."""
        return self.touching[:, self.geoms.index(FOOT)]

    @property
    def body(self) -> Bool[np.ndarray, " frames"]:
        """Whether torso, nose, pelvis or thigh does."""
        own = [self.geoms.index(geom) for geom in BODY]
        return np.any(self.touching[:, own], axis=1)

    @property
    def foot_only(self) -> Bool[np.ndarray, " frames"]:
        """Whether the foot does and the body does not."""
        return self.foot & ~self.body

    @property
    def touchdowns(self) -> Int[np.ndarray, " touchdowns"]:
        """Frames at which a flight ends."""
        return rising(self.stance)

    @property
    def liftoffs(self) -> Int[np.ndarray, " liftoffs"]:
        """Frames at which a flight begins."""
        return rising(self.flight)

    def since(self, frame: int) -> "FloorContacts":
        """The contacts from `frame` on, counted from there."""
        return FloorContacts(self.geoms, self.touching[frame:], self.stance[frame:])

    def shares(self) -> dict[str, float | None]:
        """Share of the stance frames in which each geom touches; None without any stance."""
        return {
            geom: share(touching, self.stance)
            for geom, touching in zip(self.geoms, self.touching.T, strict=True)
        }


def floor_contacts(
    contacts: Bool[np.ndarray, "frames geoms"], geoms: Sequence[str], dt_s: float
) -> FloorContacts:
    """Debounce recorded contacts.

    The stance is debounced by itself: where one geom takes over from another in flickering
    contact, the body does not fly.

    Args:
        contacts: whether each geom touches the floor.
        geoms: names of the geoms.
        dt_s: seconds between frames.

    Raises:
        GlassvizError: a geom of the hopper is missing.
    """
    missing = [geom for geom in (FOOT, *BODY) if geom not in geoms]
    if missing:
        raise GlassvizError(
            f"trace: expected contacts of the hopper's geoms, found none of {', '.join(missing)}: "
            f"gaits are described for the hopper only"
        )
    own = [i for i, geom in enumerate(geoms) if geom != "floor"]
    touching = [debounce(contacts[:, i], dt_s) for i in own]
    return FloorContacts(
        geoms=tuple(geoms[i] for i in own),
        touching=np.stack(touching, axis=1),
        stance=debounce(np.any(contacts[:, own], axis=1), dt_s),
    )


def debounce(
    signal: Bool[np.ndarray, " frames"], dt_s: float, least_s: float = DEBOUNCE_S
) -> Bool[np.ndarray, " frames"]:
    """Keep a change only if it lasts: a run shorter than `least_s` continues what was before.

    A change that lasts is dated at its first frame. Short runs at the beginning take the value of
    the first lasting run; where no run lasts, all is False.
    """
    least = max(1, round(least_s / dt_s))
    starts = np.flatnonzero(np.diff(signal, prepend=~signal[:1]))
    lengths = np.diff(starts, append=len(signal))
    lasting = lengths >= min(least, len(signal))
    if not lasting.any():
        return np.zeros_like(signal)
    latest = np.maximum.accumulate(np.where(lasting, np.arange(len(starts)), -1))
    latest[latest < 0] = np.argmax(lasting)
    return np.repeat(signal[starts[latest]], lengths)


def rising(signal: Bool[np.ndarray, " frames"]) -> Int[np.ndarray, " edges"]:
    """Frames at which the signal turns True; a signal that begins True does not turn there."""
    return np.flatnonzero(signal[1:] & ~signal[:-1]) + 1


def share(part: Bool[np.ndarray, " frames"], whole: Bool[np.ndarray, " frames"]) -> float | None:
    """Share of the frames of `whole` that are in `part` too; None where there are none."""
    total = int(whole.sum())
    return int((part & whole).sum()) / total if total else None


STAND_HEIGHT_M = 0.6
"""Torso over foot; the task's own measure of standing."""


IMPACT_S = 0.3
"""Legs that hit the floor from one metre give way within this time, if they do."""


STAND_S = 0.2
"""What lasts shorter, after the drop, is a bounce and no stand."""


LONGEST_OPENING_S = 5.0
"""Getting up that takes longer is what the episode is about. Of ten episodes of a hopping agent
the slowest was up after 4.0 s."""


LEANING_RAD = np.pi / 4
"""A torso that leans further, when the body hits the floor, goes down forward or backward."""


FOLDED_RAD = np.pi / 2
"""A torso that leans further from the thigh, when the body hits the floor, is folded over it."""


Direction = Literal["forward", "backward", "upright"]


Manner = Literal["sits", "folds", "topples"]


@dataclass(frozen=True)
class Fall:
    """From standing to the floor, and up again.

    Attributes:
        start: last frame that stood.
        hit: first frame in which the body (torso, nose, pelvis or thigh) touches the floor.
        recovery: first frame that stands again; None if none does.
        direction: where the torso leans at the hit, by more than 45°; it is followed from the
            start, so that a somersault forward is one forward.
        manner: `sits`: pelvis first, and neither nose nor torso; `folds`: torso and thigh lean
            apart by more than 90° at the hit; `topples`: neither, the body goes over as one
            piece.
        first: geoms that hit the floor first.
    """

    start: int
    hit: int
    recovery: int | None
    direction: Direction
    manner: Manner
    first: tuple[str, ...]


def standing(height: Float64[np.ndarray, " frames"], dt_s: float) -> Bool[np.ndarray, " frames"]:
    """Whether the body stands: a height of 0.6 m, changes within three control steps ignored."""
    return debounce(height >= STAND_HEIGHT_M, dt_s)


def opening_end(
    contacts: FloorContacts, height: Float64[np.ndarray, " frames"], dt_s: float
) -> int:
    """First frame after the opening, 0..T-1.

    Every episode begins with a drop from one metre in a random pose, and most agents get up from
    it. The opening ends with the first stand (height of 0.6 m, for 0.2 s) later than 0.3 s after
    the first contact with the floor. Without one in the first 5 s it ends 0.3 s after that
    contact, and all that the agent does on the floor is left to be described. Without any contact
    there is no opening.
    """
    touching = np.flatnonzero(contacts.stance)
    if not len(touching):
        return 0
    settled = min(int(touching[0]) + round(IMPACT_S / dt_s), len(height) - 1)
    latest = settled + max(1, round(LONGEST_OPENING_S / dt_s) - settled)
    high = height[settled:latest] >= STAND_HEIGHT_M
    # As if it had lain before, or the moment before a stand would be taken for a part of it.
    before = np.zeros(round(STAND_S / dt_s), bool)
    stands = debounce(np.concatenate([before, high]), dt_s, STAND_S)[len(before) :]
    return settled + int(np.argmax(stands))


def find_falls(
    contacts: FloorContacts,
    height: Float64[np.ndarray, " frames"],
    torso: Float64[np.ndarray, " frames"],
    thigh: Float64[np.ndarray, " frames"],
    dt_s: float,
    begin: int = 0,
) -> tuple[Fall, ...]:
    """Every fall: the body stood, and then torso, nose, pelvis or thigh touches the floor.

    A body that went down has fallen once until it stands again. A gait that comes down on its
    knee and stands up again in every cycle falls in every cycle; whether that is its way of
    walking is for the verdict to say.

    Args:
        contacts: with the floor.
        height: torso over foot, m.
        torso, thigh: pitch against the vertical, rad; leaning forward is positive.
        dt_s: seconds between frames.
        begin: first frame that counts, the opening's end.
    """
    counts = np.arange(len(height)) >= begin
    stands = standing(height, dt_s) & counts
    down = contacts.body & ~stands & counts
    # Frames in which it neither stands nor lies belong to the state before.
    telling = np.flatnonzero(stands | down)
    hits = telling[rising(down[telling])]
    rises = telling[rising(stands[telling])]
    starts = np.maximum.accumulate(np.where(stands, np.arange(len(stands)), 0))[hits]
    recoveries = np.searchsorted(rises, hits)

    turned = np.unwrap(torso)
    upright = 2 * np.pi * np.round(turned[starts] / (2 * np.pi))
    lean = turned[hits] - upright
    fold = np.abs(np.angle(np.exp(1j * (torso[hits] - thigh[hits]))))
    falls = []
    for i, hit in enumerate(hits):
        first = tuple(
            geom
            for geom, touches in zip(contacts.geoms, contacts.touching[hit], strict=True)
            if touches
        )
        recovery = int(rises[recoveries[i]]) if recoveries[i] < len(rises) else None
        falls.append(
            Fall(
                int(starts[i]),
                int(hit),
                recovery,
                _direction(lean[i]),
                _manner(first, fold[i]),
                first,
            )
        )
    return tuple(falls)


def fallen_frames(falls: tuple[Fall, ...], frames: int) -> Bool[np.ndarray, " frames"]:
    """Whether a frame lies after the last stand before a fall and before the next one."""
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
