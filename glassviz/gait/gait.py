"""Gait of an episode: contacts, cycles, falls, return map, in one description."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from jaxtyping import Bool, Float64

from glassviz.errors import GlassvizError
from glassviz.gait.contacts import (
    STAND_HEIGHT_M,
    Fall,
    FloorContacts,
    fallen_frames,
    find_falls,
    floor_contacts,
    opening_end,
    share,
)
from glassviz.gait.cycles import (
    Cycles,
    Rhythm,
    autocorrelation_rhythm,
    body_touchdowns,
    find_cycles,
    hilbert_period,
)
from glassviz.trace import Trace

FEWEST_CYCLES = 10


RESAMPLES = 200


LEVEL = 0.95


@dataclass(frozen=True)
class ReturnMap:
    """The largest Floquet multiplier of the linear return map.

    Attributes:
        rho: spectral radius ρ(A); below 1 disturbances die out from cycle to cycle.
        low, high: percentile interval of ρ over cycles drawn with replacement. Drawing repeats
            cycles, and a fit to fewer cycles scatters more: it lies rather high.
        level: share of the resampled values within the interval.
        cycles: number of cycles that it is fitted to.
    """

    rho: float
    low: float
    high: float
    level: float
    cycles: int


def return_map(
    cycles: Cycles,
    height: Float64[np.ndarray, " frames"],
    torso: Float64[np.ndarray, " frames"],
    rng: np.random.Generator,
) -> ReturnMap | None:
    """Fit y_{j+1} = A y_j + b to what the body does at touchdowns; None below 10 cycles.

    y is (rate of the height, pitch of the torso, its rate): with 20 cycles no more than three
    features can be fitted, and the interval is wide even so (Hurmuzlu & Basdogan, "On the
    measurement of dynamic stability of human locomotion", 1994).

    Args:
        cycles: of the gait; each gives one pair (y_j, y_{j+1}).
        height: torso over foot, m.
        torso: pitch, rad.
        rng: draws the cycles of the bootstrap.
    """
    if cycles.count < FEWEST_CYCLES:
        return None
    # Pitch is an angle: taken from its mean direction, whole turns drop out.
    towards = np.exp(1j * torso)
    pitch = np.angle(towards / towards[cycles.starts].mean())
    states = np.stack([np.gradient(height), pitch, np.gradient(np.unwrap(torso))], axis=1)
    before, after = states[cycles.starts], states[cycles.ends]
    # The same scale on both sides leaves the eigenvalues alone and the fit well conditioned.
    centre, scale = before.mean(axis=0), before.std(axis=0)
    scale[scale < 1e-12] = 1.0
    x = np.column_stack([(before - centre) / scale, np.ones(cycles.count)])
    y = (after - centre) / scale

    draws = rng.multinomial(cycles.count, np.full(cycles.count, 1 / cycles.count), RESAMPLES)
    weights = np.vstack([np.ones(cycles.count), draws])
    gram = np.einsum("wj,jab->wab", weights, x[:, :, None] * x[:, None, :], optimize=True)
    cross = np.einsum("wj,jab->wab", weights, x[:, :, None] * y[:, None, :], optimize=True)
    fitted = np.linalg.pinv(gram, hermitian=True) @ cross
    rho, *resampled = np.abs(np.linalg.eigvals(fitted[:, :-1])).max(axis=1)
    low, high = np.quantile(resampled, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return ReturnMap(float(rho), float(low), float(high), LEVEL, cycles.count)


ON_FOOT = 0.8
"""Foot-only stance share from which cycles begin with a touchdown of the foot. Hopping episodes
have 0.92 and more, all others 0.76 and less."""


MOVING_MPS = 0.1
"""A slower centre of mass stays where it is."""


@dataclass(frozen=True, eq=False)
class Gait:
    """The description of one episode.

    Attributes:
        dt_s: seconds between frames.
        opening_end: first frame after the opening drop and the getting up.
        contacts: with the floor, of the whole episode.
        falls: after the opening; frames are the episode's.
        geom_shares: share of the stance frames in which each geom touches; None without stance.
        foot_only_share: share in which the foot does and torso, nose, pelvis and thigh do not.
        body_share: share in which one of these four does.
        standing_rate: share of the frames with a height of at least 0.6 m.
        mean_height_m: of the torso over the foot.
        distance_m: that the centre of mass went, negative backward.
        first_fall_m: how far it went until the first fall hit the floor; None without falls.
        mean_speed_mps: of the centre of mass.
        moving_share: share of the frames in which it moves by 0.1 m/s or more, either way.
        torso_mean_rad, torso_sd_rad: circular mean and standard deviation of the torso's pitch.
        on_foot: whether the foot alone carries the gait; its touchdowns begin the cycles then,
            and those of the rest of the body otherwise.
        cycles: the first detector's: touchdowns.
        hilbert_period_s: the second detector's; None if it finds no rhythm.
        rhythm: the third detector's: autocorrelation of the height; None if it finds none.
        duty_factor: share of the frames in cycles that are stance; None without cycles.
        return_map: physical stability of the cycles; None if they are too few.
    """

    dt_s: float
    opening_end: int
    contacts: FloorContacts
    falls: tuple[Fall, ...]
    geom_shares: dict[str, float | None]
    foot_only_share: float | None
    body_share: float | None
    standing_rate: float
    mean_height_m: float
    distance_m: float
    first_fall_m: float | None
    mean_speed_mps: float
    moving_share: float
    torso_mean_rad: float
    torso_sd_rad: float
    on_foot: bool
    cycles: Cycles
    hilbert_period_s: float | None
    rhythm: Rhythm | None
    duty_factor: float | None
    return_map: ReturnMap | None

    @property
    def frames(self) -> int:
        """Frames of the episode, the opening included."""
        return len(self.contacts.stance)

    @property
    def duration_s(self) -> float:
        """Seconds after the opening."""
        return (self.frames - self.opening_end) * self.dt_s

    @property
    def flight_share(self) -> float:
        """Share of the frames in which nothing touches the floor."""
        return float(self.contacts.flight[self.opening_end :].mean())

    @property
    def fallen_share(self) -> float:
        """Share of the frames in a fall, until it stands again."""
        return float(self.fallen[self.opening_end :].mean())

    @cached_property
    def fallen(self) -> Bool[np.ndarray, " frames"]:
        """Whether a frame of the episode is in a fall."""
        return fallen_frames(self.falls, self.frames)

    @property
    def steady(self) -> Bool[np.ndarray, " frames"]:
        """Frames in gait cycles; if the gait is on the foot, there is no fall in them."""
        return self.cycles.cycle >= 0

    @property
    def falls_per_minute(self) -> float:
        """Falls a minute."""
        return 60 * len(self.falls) / self.duration_s

    @property
    def longest_down_s(self) -> float:
        """Longest time from a hit to the recovery, or to the episode's end; 0 without falls."""
        ends = [self.frames if fall.recovery is None else fall.recovery for fall in self.falls]
        downs = [end - fall.hit for fall, end in zip(self.falls, ends, strict=True)]
        return max(downs, default=0) * self.dt_s

    @property
    def frames_to_first_fall(self) -> int | None:
        """Frames from the opening's end to the first hit; None without falls."""
        return self.falls[0].hit - self.opening_end if self.falls else None

    @property
    def hops_per_s(self) -> float | None:
        """Hops a second while it hops; None for a gait that is not on the foot or has no cycle."""
        period = self.cycles.period_s
        return 1 / period if self.on_foot and period else None

    @property
    def detected_periods_s(self) -> dict[str, float | None]:
        """The period of each detector, None where it found none."""
        return {
            "touchdown": self.cycles.period_s,
            "hilbert": self.hilbert_period_s,
            "autocorrelation": self.rhythm.period_s if self.rhythm else None,
        }

    @property
    def period_spread(self) -> float | None:
        """How far the detectors disagree: (longest - shortest) / median period.

        None unless all three found one.
        """
        periods = [period for period in self.detected_periods_s.values() if period is not None]
        if len(periods) < 3:
            return None
        return float(np.ptp(periods) / np.median(periods))


def describe(trace: Trace, episode: int, rng: np.random.Generator | None = None) -> Gait:
    """Describe what the body does in one episode of a trace.

    Args:
        trace: of the hopper.
        episode: which one, from 0.
        rng: for the bootstrap of the return map; the same for every call by default.

    Raises:
        GlassvizError: the trace has no frames, or a number that is none; or it is not of the
            hopper.
    """
    signals = _signals(trace, episode)
    height, speed, torso = signals["height"], signals["speed"], signals["torso"]
    dt_s = trace.frame_dt_s
    contacts = floor_contacts(trace.contacts[episode], trace.header["geoms"], dt_s)
    begin = opening_end(contacts, height, dt_s)
    after = contacts.since(begin)
    foot_only = share(after.foot_only, after.stance)
    on_foot = foot_only is not None and foot_only >= ON_FOOT
    falls = find_falls(contacts, height, torso, signals["thigh"], dt_s, begin)

    mask = np.arange(trace.frames) >= begin
    if on_foot:
        mask &= ~fallen_frames(falls, trace.frames)
        touchdowns = contacts.touchdowns
    else:
        touchdowns = begin + body_touchdowns(after, height[begin:], dt_s)
    cycles = find_cycles(touchdowns, mask, dt_s)
    rhythm = autocorrelation_rhythm(height, mask, dt_s)
    around_s = rhythm.period_s if rhythm else None
    towards = np.exp(1j * torso[begin:]).mean()
    return Gait(
        dt_s=dt_s,
        opening_end=begin,
        contacts=contacts,
        falls=falls,
        geom_shares=after.shares(),
        foot_only_share=foot_only,
        body_share=share(after.body, after.stance),
        standing_rate=float((height[begin:] >= STAND_HEIGHT_M).mean()),
        mean_height_m=float(height[begin:].mean()),
        distance_m=float(speed[begin:].sum() * dt_s),
        first_fall_m=float(speed[begin : falls[0].hit].sum() * dt_s) if falls else None,
        mean_speed_mps=float(speed[begin:].mean()),
        moving_share=float((np.abs(speed[begin:]) >= MOVING_MPS).mean()),
        torso_mean_rad=float(np.angle(towards)),
        torso_sd_rad=circular_sd(float(np.abs(towards))),
        on_foot=on_foot,
        cycles=cycles,
        hilbert_period_s=hilbert_period(height, mask, dt_s, around_s) if around_s else None,
        rhythm=rhythm,
        duty_factor=share(contacts.stance, cycles.cycle >= 0),
        return_map=return_map(cycles, height, torso, rng or np.random.default_rng(0)),
    )


def circular_sd(resultant: float) -> float:
    """Circular standard deviation √(−2 ln R) of directions with mean resultant length R, rad."""
    return float(np.sqrt(-2 * np.log(np.clip(resultant, np.finfo(float).tiny, 1.0))))


def _signals(trace: Trace, episode: int) -> dict[str, Float64[np.ndarray, " frames"]]:
    """The signals of an episode that a gait is made of, each of them finite."""
    place = f"trace of {trace.header['checkpoint']['name']}, episode {episode}"
    bodies = trace.header["bodies"]
    missing = [body for body in ("torso", "thigh") if body not in bodies]
    if missing:
        raise GlassvizError(
            f"{place}: expected angles of torso and thigh, found none of {', '.join(missing)}: "
            f"give a trace of the hopper"
        )
    if not trace.frames:
        raise GlassvizError(f"{place}: expected frames, found none: record it again")
    signals = {"height": trace.height[episode], "speed": trace.speed[episode]}
    signals |= {body: trace.angles[episode, :, bodies.index(body)] for body in ("torso", "thigh")}
    for name, values in signals.items():
        broken = np.flatnonzero(~np.isfinite(values))
        if len(broken):
            raise GlassvizError(
                f"{place}: expected finite numbers, found {values[broken[0]]} for the {name} in "
                f"frame {broken[0]}: record it again with `glassviz rollout`"
            )
    return signals
