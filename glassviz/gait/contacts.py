"""Floor contacts without their flicker: stance, flight, touchdowns, lift-offs.

The hopper touches the floor with six capsules. The foot is meant to; torso, nose, pelvis and
thigh (whose lower end is the knee) are not, and are called the body here. The calf says nothing of
its own: one of its ends lies inside the foot and the other inside the thigh, so that it can touch
only where one of these touches already (in 80,000 frames of four agents it never did alone). In a
hard landing the foot sinks into the floor far enough for the calf's end to touch as well: that is
still a landing on the foot.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Int

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
