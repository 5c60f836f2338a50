"""Gait of one episode: support, falls, cycles, period detectors and return map."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from glassviz.envs.bodies import HOPPER, Body, Goal
from glassviz.errors import GlassvizError
from glassviz.gait.contacts import (
    STAND_HEIGHT_M,
    Fall,
    FloorContacts,
    Mask,
    Signal,
    debounce,
    fallen_frames,
    find_falls,
    floor_contacts,
    hopper_contacts,
    opening_end,
    share,
)
from glassviz.gait.cycles import SLOWEST_S as SLOWEST_STEP_S
from glassviz.gait.cycles import (
    Cycles,
    Rhythm,
    autocorrelation_rhythm,
    body_touchdowns,
    find_cycles,
    hilbert_beats,
    hilbert_period,
)
from glassviz.gait.feet import Foot, Pattern, feet_in_cycles, lead_of, name_pattern
from glassviz.gait.joints import (
    SLOWEST_S,
    WARM_UP,
    Columns,
    held_from,
    joint_features,
    joint_velocities,
    plane_rhythm,
    principal_components,
    quiet_frames,
)
from glassviz.trace import Trace

# Return map ---------------------------------------------------------------------------------------

FEWEST_CYCLES = 10
"""A return map is fitted to at least this many cycles."""

RESAMPLES = 200
"""Bootstrap replicates of the interval of ρ."""

LEVEL = 0.95


@dataclass(frozen=True)
class ReturnMap:
    """Largest Floquet multiplier of the linear return map.

    Attributes:
        rho: spectral radius ρ(A); below 1, perturbations decay from cycle to cycle.
        low, high: percentile bootstrap interval of ρ over cycles. Resamples contain fewer distinct
            cycles, so their fits are noisier and the interval is biased upwards.
    """

    rho: float
    low: float
    high: float
    level: float
    cycles: int


def return_map(
    cycles: Cycles, height: Signal, torso: Signal, rng: np.random.Generator
) -> ReturnMap | None:
    """Fit y_{j+1} = A y_j + b to the state of the body at touchdowns; None below 10 cycles.

    y is (rate of the height, pitch of the torso, pitch rate); a cycle gives one pair. 20 cycles
    support a fit of no more than three features, and the interval is wide even so.

    `height` is in m, `torso` in rad; `rng` draws the bootstrap resamples.

    References:
        Hurmuzlu & Basdogan, "On the measurement of dynamic stability of human locomotion", 1994.
    """
    if cycles.count < FEWEST_CYCLES:
        return None
    # Pitch is taken relative to its circular mean, which removes whole turns.
    direction = np.exp(1j * torso)
    pitch = np.angle(direction / direction[cycles.starts].mean())
    states = np.stack([np.gradient(height), pitch, np.gradient(np.unwrap(torso))], axis=1)
    before, after = states[cycles.starts], states[cycles.ends]
    # Scaling both sides alike conditions the fit and leaves the eigenvalues unchanged.
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


# Gait of an episode -------------------------------------------------------------------------------

ON_FOOT = 0.8
"""Share of the stance on the foot alone from which touchdowns of the foot begin the cycles. Hopping
episodes have 0.92 or more, all others 0.76 or less."""

MOVING_MPS = 0.1
"""The centre of mass moves at this speed or faster."""


@dataclass(frozen=True, eq=False)
class Gait:
    """Gait of one episode. Shares, means and falls exclude the initial transient.

    The hopper has rules of its own. Other bodies with feet have cycles that begin with touchdowns
    of a leading foot; those without have cycles of their joints, and nothing that falls. What a
    body has not is None.

    Attributes:
        body: the body that moves.
        opening_end: first frame after the initial transient (the drop and the getting up).
        contacts, falls: floor contacts and falls of the whole episode.
        geom_shares: share of stance in which each geom touches the floor; None without stance.
        foot_only_share, body_share: share of the stance frames in which the foot touches the floor
            and the body (torso, nose, pelvis, thigh) does not; and in which the body does. For
            other bodies a foot and the trunk; the latter outside of falls of at most 5 s.
        standing_rate, mean_height_m: share of the frames with a height of at least 0.6 m, and mean
            height of the torso above the foot, m.
        distance_m: distance covered by the centre of mass, m; negative backward.
        first_fall_m: distance covered before the first fall, m; None without falls.
        mean_speed_mps: mean forward speed of the centre of mass, m/s; None for a body without one.
        moving_share: share of the frames with a speed of 0.1 m/s or more, in either direction.
        torso_mean_rad, torso_sd_rad: circular mean and standard deviation of the torso pitch, rad.
        on_foot: whether the foot alone carries the gait. Cycles then begin with touchdowns of the
            foot, otherwise with touchdowns of the body.
        cycles: gait cycles between touchdowns, the first period detector.
        hilbert_period_s: period of the Hilbert phase, the second detector, s; None if not found.
        rhythm: autocorrelation of the height, the third detector; None if not found.
        duty_factor: share of the frames in cycles that are stance; None without cycles.
        return_map: orbital stability of the cycles; None with fewer than 10.
        goal: what the task asks for.
        feet: duty factor and phase lag of each foot; none for the hopper and for bodies without.
        lead: foot whose touchdowns begin the cycles; None without cycles, and for the hopper.
        pattern: gait that the lags of the feet show; None if they show none.
        quiet_share: share of the second half of the episode in which all joints are at rest; None
            for the hopper.
        held_from: first frame from which the joints are at rest to the end, at least for the second
            half; None otherwise. Such an episode has no cycles.
        hold_reward: mean reward of the second half per control step; the suite gives 0 to 1. None
            for the hopper.
    """

    body: Body
    dt_s: float
    opening_end: int
    contacts: FloorContacts
    falls: tuple[Fall, ...]
    geom_shares: dict[str, float | None]
    foot_only_share: float | None
    body_share: float | None
    standing_rate: float | None
    mean_height_m: float | None
    distance_m: float | None
    first_fall_m: float | None
    mean_speed_mps: float | None
    moving_share: float | None
    torso_mean_rad: float | None
    torso_sd_rad: float | None
    on_foot: bool
    cycles: Cycles
    hilbert_period_s: float | None
    rhythm: Rhythm | None
    duty_factor: float | None
    return_map: ReturnMap | None
    goal: Goal = "gait"
    feet: tuple[Foot, ...] = ()
    lead: str | None = None
    pattern: Pattern | None = None
    quiet_share: float | None = None
    held_from: int | None = None
    hold_reward: float | None = None

    @property
    def frames(self) -> int:
        """Frames of the episode, including the initial transient."""
        return len(self.contacts.stance)

    @property
    def duration_s(self) -> float:
        """Duration after the initial transient, s."""
        return (self.frames - self.opening_end) * self.dt_s

    @property
    def phased(self) -> bool:
        """Whether the phases of the gait have names."""
        return self.body.phased

    @property
    def clock(self) -> str:
        """What begins the cycles: only phases after the same event correspond."""
        if self.phased:
            return "foot" if self.on_foot else "trunk"
        return self.lead or "joints"

    @property
    def flight_share(self) -> float | None:
        """Share of the frames in which nothing touches the floor; None for a body without feet."""
        if not self.body.feet:
            return None
        return float(self.contacts.flight[self.opening_end :].mean())

    @property
    def fallen_share(self) -> float | None:
        """Share of the frames in a fall, getting up included; None for a body without feet."""
        if not self.body.feet:
            return None
        return float(self.fallen[self.opening_end :].mean())

    @cached_property
    def fallen(self) -> Mask:
        """Whether each frame of the episode lies in a fall."""
        return fallen_frames(self.falls, self.frames)

    @property
    def steady(self) -> Mask:
        """Whether each frame lies in a gait cycle, or in the hold of a body at rest.

        Cycles on the foot contain no fall.
        """
        if self.held_from is None:
            return self.cycles.cycle >= 0
        return np.arange(self.frames) >= max(self.held_from, self.opening_end)

    @property
    def falls_per_minute(self) -> float | None:
        """Falls per minute; None for a body without feet."""
        if not self.body.feet:
            return None
        return 60 * len(self.falls) / self.duration_s

    @property
    def longest_down_s(self) -> float | None:
        """Longest time from hit to recovery, or to the end of the episode, s; 0 without falls.

        None for a body without feet.
        """
        if not self.body.feet:
            return None
        ends = [self.frames if fall.recovery is None else fall.recovery for fall in self.falls]
        downs = [end - fall.hit for fall, end in zip(self.falls, ends, strict=True)]
        return max(downs, default=0) * self.dt_s

    @property
    def frames_to_first_fall(self) -> int | None:
        """Frames from the end of the initial transient to the first hit; None without falls."""
        return self.falls[0].hit - self.opening_end if self.falls else None

    @property
    def hops_per_s(self) -> float | None:
        """Hops per second within cycles; None if the gait is not on the foot or has no cycle."""
        period = self.cycles.period_s
        return 1 / period if self.on_foot and period else None

    @property
    def detected_periods_s(self) -> dict[str, float | None]:
        """Period by detector, s; None if the detector finds no rhythm."""
        return {
            "touchdown": self.cycles.period_s,
            "hilbert": self.hilbert_period_s,
            "autocorrelation": self.rhythm.period_s if self.rhythm else None,
        }

    @property
    def period_spread(self) -> float | None:
        """Disagreement (longest - shortest) / median of the three detectors; None if one fails."""
        periods = [period for period in self.detected_periods_s.values() if period is not None]
        return float(np.ptp(periods) / np.median(periods)) if len(periods) == 3 else None


def describe(trace: Trace, episode: int, rng: np.random.Generator | None = None) -> Gait:
    """Describe the gait of one episode of a trace.

    `rng` draws the bootstrap of the return map; by default it is seeded alike in every call.

    Raises:
        GlassvizError: the trace has no frames, contains NaN or infinity, or lacks parts of its
            body.
    """
    if trace.body.name != HOPPER:
        rng = rng or np.random.default_rng(0)
        return _on_feet(trace, episode, rng) if trace.body.feet else _of_joints(trace, episode)
    signals = _signals(trace, episode)
    height, speed, torso = signals["height"], signals["speed"], signals["torso"]
    dt_s = trace.frame_dt_s
    contacts = hopper_contacts(trace.contacts[episode], trace.header["geoms"], dt_s)
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
    mean_direction = np.exp(1j * torso[begin:]).mean()
    return Gait(
        body=trace.body,
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
        torso_mean_rad=float(np.angle(mean_direction)),
        torso_sd_rad=circular_sd(float(np.abs(mean_direction))),
        on_foot=on_foot,
        cycles=cycles,
        hilbert_period_s=hilbert_period(height, mask, dt_s, rhythm.period_s) if rhythm else None,
        rhythm=rhythm,
        duty_factor=share(contacts.stance, cycles.cycle >= 0),
        return_map=return_map(cycles, height, torso, rng or np.random.default_rng(0)),
    )


def _on_feet(trace: Trace, episode: int, rng: np.random.Generator) -> Gait:
    """Gait of a body with feet, other than the hopper."""
    body, dt_s = trace.body, trace.frame_dt_s
    stand_m = body.stand_m
    assert stand_m is not None  # Every body with feet has one.
    signals = _signals(trace, episode, (body.torso or "",))
    height, speed, torso = signals["height"], signals["speed"], signals[body.torso or ""]
    down = {
        foot: debounce(trace.contacts[episode][:, own].any(axis=1), dt_s, body.flicker_s)
        for foot, own in _feet_geoms(trace, episode).items()
    }
    contacts = _contacts(trace, episode)
    begin = opening_end(contacts, height, dt_s, stand_m)
    after = contacts.since(begin)
    falls = find_falls(contacts, height, torso, None, dt_s, begin, stand_m)
    fallen = fallen_frames(falls, trace.frames)
    mask = (np.arange(trace.frames) >= begin) & ~fallen

    quiet, held, reward = _rest(trace, episode)
    nowhere = np.zeros(trace.frames, bool)
    plane = _plane(trace, episode, mask)
    rhythm = plane_rhythm(plane, mask, dt_s, SLOWEST_STEP_S) if held is None else None
    period_s = rhythm.period_s if rhythm else None
    lead, cycles = lead_of(down, mask if held is None else nowhere, dt_s, period_s)
    feet = feet_in_cycles(down, cycles)
    duties = [foot.duty_factor for foot in feet if foot.duty_factor is not None]
    on_feet = np.any(list(down.values()), axis=0)[begin:] & ~after.body
    mean_direction = np.exp(1j * torso[begin:]).mean()
    return Gait(
        body=body,
        dt_s=dt_s,
        opening_end=begin,
        contacts=contacts,
        falls=falls,
        geom_shares=after.shares(),
        foot_only_share=share(on_feet, after.stance),
        body_share=share(after.body, after.stance & ~_short_falls(falls, trace)[begin:]),
        standing_rate=float((height[begin:] >= stand_m).mean()),
        mean_height_m=float(height[begin:].mean()),
        distance_m=float(speed[begin:].sum() * dt_s),
        first_fall_m=float(speed[begin : falls[0].hit].sum() * dt_s) if falls else None,
        mean_speed_mps=float(speed[begin:].mean()),
        moving_share=float((np.abs(speed[begin:]) >= MOVING_MPS).mean()),
        torso_mean_rad=float(np.angle(mean_direction)),
        torso_sd_rad=circular_sd(float(np.abs(mean_direction))),
        on_foot=False,
        cycles=cycles,
        hilbert_period_s=(
            hilbert_period(plane[:, 0], mask, dt_s, rhythm.period_s) if rhythm else None
        ),
        rhythm=rhythm,
        duty_factor=float(np.mean(duties)) if duties else None,
        return_map=return_map(cycles, height, torso, rng),
        goal=trace.task.goal,
        feet=feet,
        lead=lead,
        pattern=name_pattern(feet),
        quiet_share=quiet,
        held_from=held,
        hold_reward=reward,
    )


def _of_joints(trace: Trace, episode: int) -> Gait:
    """Gait of a body without feet: the rhythm of its joints, or their rest."""
    body, dt_s = trace.body, trace.frame_dt_s
    contacts = _contacts(trace, episode)
    mask = np.arange(trace.frames) >= round(WARM_UP * trace.frames)
    quiet, held, reward = _rest(trace, episode)
    plane = _plane(trace, episode, mask)
    rhythm = plane_rhythm(plane, mask, dt_s, SLOWEST_S) if held is None else None
    beats, hilbert = np.zeros(0, np.int64), None
    if rhythm is not None:
        beats = hilbert_beats(plane[:, 0], mask, dt_s, rhythm.period_s)
        hilbert = hilbert_period(plane[:, 0], mask, dt_s, rhythm.period_s)
    speed, height = trace.speed[episode], trace.height[episode]
    moves = "speed" not in trace.unknown
    return Gait(
        body=body,
        dt_s=dt_s,
        opening_end=0,
        contacts=contacts,
        falls=(),
        geom_shares=contacts.shares(),
        foot_only_share=None,
        body_share=None,
        standing_rate=None,
        mean_height_m=float(height.mean()) if moves else None,
        distance_m=float(speed.sum() * dt_s) if moves else None,
        first_fall_m=None,
        mean_speed_mps=float(speed.mean()) if moves else None,
        moving_share=float((np.abs(speed) >= MOVING_MPS).mean()) if moves else None,
        torso_mean_rad=None,
        torso_sd_rad=None,
        on_foot=False,
        cycles=find_cycles(beats, mask, dt_s, SLOWEST_S),
        hilbert_period_s=hilbert,
        rhythm=rhythm,
        duty_factor=None,
        return_map=None,
        goal=trace.task.goal,
        quiet_share=quiet,
        held_from=held,
        hold_reward=reward,
    )


LONGEST_FALL_S = 5.0
"""A body that takes longer to stand up again moves on the floor, rather than recovers."""


def _short_falls(falls: tuple[Fall, ...], trace: Trace) -> Mask:
    """Whether each frame lies in a fall from which the body soon stands up."""
    most = LONGEST_FALL_S / trace.frame_dt_s
    short = [each for each in falls if each.recovery and each.recovery - each.hit <= most]
    return fallen_frames(tuple(short), trace.frames)


def _contacts(trace: Trace, episode: int) -> FloorContacts:
    body, geoms = trace.body, trace.header["geoms"]
    floor, trunk = (
        [geoms[column] for column in columns]
        for columns in (body.floor_geoms(geoms), body.trunk_geoms(geoms))
    )
    dt_s, flicker_s = trace.frame_dt_s, body.flicker_s
    return floor_contacts(trace.contacts[episode], geoms, dt_s, floor, trunk, flicker_s)


def _feet_geoms(trace: Trace, episode: int) -> dict[str, list[int]]:
    found = trace.body.foot_geoms(trace.header["geoms"])
    missing = [foot for foot, own in found.items() if not own]
    if missing:
        raise GlassvizError(
            f"{_place(trace, episode)}: expected contacts of every foot of {trace.body.name}, "
            f"found none of {', '.join(missing)}: record it again with `glassviz rollout`"
        )
    return found


def _rest(trace: Trace, episode: int) -> tuple[float, int | None, float]:
    """Share of quiet frames in the second half, first frame of the hold, reward of that half."""
    quiet = quiet_frames(joint_velocities(trace.body, trace.qvel[episode]), trace.frame_dt_s)
    half = trace.frames // 2
    per_step = trace.reward[episode, half:] / trace.header["env"]["action_repeat"]
    return float(quiet[half:].mean()), held_from(quiet), float(per_step.mean())


def _plane(trace: Trace, episode: int, mask: Mask) -> Columns:
    features = joint_features(trace.body, trace.qpos[episode], trace.qvel[episode])
    return principal_components(features, mask)


def circular_sd(resultant: float) -> float:
    """Circular standard deviation √(−2 ln R), rad, from the mean resultant length R.

    Example:
        >>> angles = np.array([0.1, -0.1, 0.2, -0.2])
        >>> round(circular_sd(np.abs(np.exp(1j * angles).mean())), 3)
        0.158
    """
    return float(np.sqrt(-2 * np.log(np.clip(resultant, np.finfo(float).tiny, 1.0))))


def _place(trace: Trace, episode: int) -> str:
    return f"trace of {trace.header['checkpoint']['name']}, episode {episode}"


def _signals(
    trace: Trace, episode: int, parts: tuple[str, ...] = ("torso", "thigh")
) -> dict[str, Signal]:
    """Height, speed and the pitches of some parts of the body."""
    place = _place(trace, episode)
    bodies = trace.header["bodies"]
    missing = [body for body in parts if body not in bodies]
    if missing:
        raise GlassvizError(
            f"{place}: expected angles of {' and '.join(parts)}, found none of "
            f"{', '.join(missing)}: record it again with `glassviz rollout`"
        )
    if not trace.frames:
        raise GlassvizError(f"{place}: expected frames, found none: record it again")
    signals = {"height": trace.height[episode], "speed": trace.speed[episode]}
    signals |= {body: trace.angles[episode, :, bodies.index(body)] for body in parts}
    for name, values in signals.items():
        not_finite = np.flatnonzero(~np.isfinite(values))
        if len(not_finite):
            frame = not_finite[0]
            raise GlassvizError(
                f"{place}: expected finite numbers, found {values[frame]} for the {name} in "
                f"frame {frame}: record it again with `glassviz rollout`"
            )
    return signals
