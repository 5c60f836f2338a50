"""The opening drop, falls and recoveries."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from jaxtyping import Bool, Float64

from glassviz.gait.contacts import FloorContacts, debounce, rising

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
