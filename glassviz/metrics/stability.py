"""Stability of one run: its episodes, their metrics, the verdict."""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
from jaxtyping import Bool, Int
from threadpoolctl import threadpool_limits

from glassviz.errors import GlassvizError
from glassviz.gait.gait import Gait
from glassviz.gait.gait import describe as describe_gait
from glassviz.gait.verdict import (
    GAIT_THRESHOLDS,
    GaitAnswers,
    GaitVerdict,
    RunGait,
    gait_answers,
    gait_verdict,
    run_gait,
)
from glassviz.metrics.calibration import ValueCalibration, value_calibration
from glassviz.metrics.labels import (
    TAU_GRID,
    LabelName,
    LabelStats,
    PhaseUse,
    SoftStats,
    active_clusters,
    cosine_up_to_a_constant,
    describe_soft,
    gait_phases,
    name_labels,
    phase_uses,
    reachable_clusters,
    temperature_audit,
)
from glassviz.metrics.labels import describe as describe_labels
from glassviz.metrics.locking import MapAgreement, OnsetLocking, map_agreements, onset_locking
from glassviz.metrics.segments import (
    MAX_LAG_S,
    Dwell,
    Occupancy,
    Persistence,
    Segments,
    dwell_times,
    occupancy,
    persistence,
    pooled,
)
from glassviz.metrics.statistics import MeanInterval, mean_interval, share_interval
from glassviz.metrics.verdict import (
    LABEL_THRESHOLDS,
    Basin,
    LabelAnswers,
    LabelVerdict,
    RunBasin,
    basin,
    label_answers,
    label_verdict,
    run_basin,
)
from glassviz.trace import ARRAYS, Trace


@dataclass(frozen=True, eq=False)
class EpisodeStability:
    """One episode, after its opening; `steady` frames are those in gait cycles.

    Attributes:
        episode: which one, from 0.
        reset_seed: what it was reset with.
        episode_return: its sum of rewards, the opening's included.
        gait: what the body does.
        gait_answers: about it.
        labels, steady_labels: what the labels do; None without labels. The part that is about
            gait cycles is the same in both.
        soft, steady_soft: what soft assignments do; None without labels or frames, for fitted
            labels, and for traces without a partition.
        label_answers: about the labels; None without labels.
        basin: the verdicts on gait and labels, and what they make together.
    """

    episode: int
    reset_seed: int
    episode_return: float
    gait: Gait
    gait_answers: GaitAnswers
    labels: LabelStats | None
    steady_labels: LabelStats | None
    soft: SoftStats | None
    steady_soft: SoftStats | None
    label_answers: LabelAnswers | None
    basin: Basin

    @property
    def gait_verdict(self) -> GaitVerdict:
        """On the gait."""
        return self.basin.gait

    @property
    def label_verdict(self) -> LabelVerdict:
        """On the labels, over steady frames."""
        return self.basin.labels


def describe_gaits(trace: Trace) -> tuple[Gait, ...]:
    """Describe the gait of every episode of a trace; the same trace always gives the same.

    Raises:
        GlassvizError: a gait cannot be described, as for `gait.describe`.
    """
    # The matrices are small: several threads would spend their time waiting for each other.
    with threadpool_limits(1):
        return tuple(
            describe_gait(trace, episode, np.random.default_rng(_seed(trace, episode)))
            for episode in range(trace.episodes)
        )


def _seed(trace: Trace, episode: int) -> list[int]:
    return [int(trace.sha256[:16], 16), episode]


def describe_episode(trace: Trace, episode: int, gait: Gait) -> EpisodeStability:
    """Describe one episode of a trace; the same trace always gives the same.

    Args:
        trace: that holds it.
        episode: which one, from 0.
        gait: of that episode, from `describe_gaits`.
    """
    seed = _seed(trace, episode)
    labels: LabelStats | None = None
    steady_labels: LabelStats | None = None
    answers: LabelAnswers | None = None
    verdict = label_verdict(None)
    if trace.has_labels:
        own = labels_after_opening(trace, episode, gait)
        labels = _labels(trace, own, gait, seed)
        steady_labels = _labels(trace, np.where(gait.steady, own, -1), gait, seed, labels)
        verdict = label_verdict(steady_labels)
        names = name_labels(own, phases_of(trace, episode, gait), trace.clusters)
        answers = label_answers(labels, verdict, names)
    after = np.arange(trace.frames) >= gait.opening_end
    return EpisodeStability(
        episode=episode,
        reset_seed=trace.header["reset_seeds"][episode],
        episode_return=float(trace.returns[episode]),
        gait=gait,
        gait_answers=gait_answers(gait),
        labels=labels,
        steady_labels=steady_labels,
        soft=_soft(trace, episode, after, gait, seed),
        steady_soft=_soft(trace, episode, gait.steady, gait, seed),
        label_answers=answers,
        basin=basin(gait_verdict(gait), verdict),
    )


def labels_after_opening(trace: Trace, episode: int, gait: Gait) -> Int[np.ndarray, " frames"]:
    """Labels of an episode; −1 in its opening."""
    after = np.arange(trace.frames) >= gait.opening_end
    return np.where(after, trace.label[episode].astype(np.int64), -1)


def phases_of(trace: Trace, episode: int, gait: Gait) -> Int[np.ndarray, " frames"]:
    """The entry of `GAIT_PHASES` that each frame belongs to; −1 in the opening.

    A body is upright while it is in no fall and has neither torso, nose, pelvis nor thigh on the
    floor.
    """
    height = trace.height[episode]
    if len(height) < 2:
        return np.full(len(height), -1)
    rise_mps = np.gradient(height, trace.frame_dt_s)
    upright = ~gait.fallen & ~gait.contacts.body
    phases = gait_phases(gait.contacts.stance, height, rise_mps, upright)
    return np.where(np.arange(len(height)) >= gait.opening_end, phases, -1)


def _labels(
    trace: Trace,
    label: Int[np.ndarray, " frames"],
    gait: Gait,
    seed: list[int],
    everything: LabelStats | None = None,
) -> LabelStats:
    """Describe labels; of steady frames, the part about cycles is that of `everything`."""
    return describe_labels(
        label,
        gait.cycles.phase,
        gait.cycles.cycle,
        trace.frame_dt_s,
        trace.clusters,
        np.random.default_rng(seed),
        within_cycles=everything,
    )


def _soft(
    trace: Trace, episode: int, kept: Bool[np.ndarray, " frames"], gait: Gait, seed: list[int]
) -> SoftStats | None:
    partition, tau = trace.partition, trace.header["tau"]
    if partition is None or tau is None:
        return None
    c = np.where(kept[:, None], trace.soft_assignment[episode], np.float32(np.nan))
    rng = np.random.default_rng(seed)
    return describe_soft(c, partition, tau, gait.cycles.cycle, rng)


Metric = Callable[[EpisodeStability], float | None]


def _of_gait(name: str) -> Metric:
    return lambda episode: getattr(episode.gait, name)


def _of_labels(*names: str) -> Metric:
    return lambda episode: _walk(episode.labels, names)


def _of_steady_labels(*names: str) -> Metric:
    return lambda episode: _walk(episode.steady_labels, names)


def _of_soft(*names: str) -> Metric:
    return lambda episode: _walk(episode.soft, names)


def _of_steady_soft(*names: str) -> Metric:
    return lambda episode: _walk(episode.steady_soft, names)


def _locking_is_significant(episode: EpisodeStability) -> float | None:
    """1 or 0, so that the mean is a share of episodes: a mean of p-values says nothing."""
    p = _walk(episode.steady_labels, ("locking", "locking_p"))
    return None if p is None else float(p <= LABEL_THRESHOLDS.alpha)


def _walk(value: object, names: tuple[str, ...]) -> float | None:
    """The value at the end of a path of attributes; None where the path ends early."""
    for name in names:
        if value is None:
            return None
        value = getattr(value, name)
    assert value is None or isinstance(value, float)
    return value


OF_BODY: dict[str, Metric] = {
    "distance_m": _of_gait("distance_m"),
    "mean_speed_mps": _of_gait("mean_speed_mps"),
    "moving_share": _of_gait("moving_share"),
    "standing_rate": _of_gait("standing_rate"),
    "foot_only_share": _of_gait("foot_only_share"),
    "body_share": _of_gait("body_share"),
    "flight_share": _of_gait("flight_share"),
    "falls_per_minute": _of_gait("falls_per_minute"),
    "first_fall_m": _of_gait("first_fall_m"),
    "hops_per_s": _of_gait("hops_per_s"),
    "mean_height_m": _of_gait("mean_height_m"),
    "duty_factor": _of_gait("duty_factor"),
    "period_s": lambda episode: episode.gait.cycles.period_s,
    "period_cv": lambda episode: episode.gait.cycles.period_cv,
    "cycles": lambda episode: float(episode.gait.cycles.count),
    "rhythm": lambda episode: _walk(episode.gait.rhythm, ("strength",)),
    "rho": lambda episode: _walk(episode.gait.return_map, ("rho",)),
}
"""What the body does: parts of it, such as speed, are what the task rewards."""

_IN_TIME = {
    "switch_rate_hz": ("switching", "rate_hz"),
    "flicker_share": ("switching", "flicker_share"),
    "return_share": ("switching", "return_share"),
    "chatter_share": ("chatter_share",),
    "dwell_cv": ("dwell_cv",),
    "label_period_s": ("persistence", "period_s"),
    "periodicity": ("persistence", "periodicity"),
    "window_mi_5_bits": ("window_mi_5_bits",),
    "window_mi_10_bits": ("window_mi_10_bits",),
}
"""Of labels, by the name of the metric, where it is in `LabelStats`."""

_IN_CYCLES = {
    "switches_per_cycle": ("switching", "per_cycle"),
    "between_cycle_mi_bits": ("between_cycle_mi_bits",),
    "within_cycle_mi_bits": ("within_cycle_mi_bits",),
    "phase_information_bits": ("locking", "phase_information_bits"),
    "locking_u": ("locking", "locking_u"),
    "nmi": ("locking", "nmi"),
    "phase_ami": ("locking", "ami"),
    "fleiss_kappa": ("agreement", "fleiss_kappa"),
    "pairwise_agreement": ("agreement", "pairwise_agreement"),
    "modal_word_share": ("words", "modal_share"),
    "clear_word_share": ("clear_words", "modal_share"),
    "mean_distance": ("words", "mean_distance"),
}
"""The same, of gait cycles."""

_SOFT = {
    "soft_window_mi_5_bits": ("change", "window_mi_5_bits"),
    "soft_window_mi_10_bits": ("change", "window_mi_10_bits"),
    "step_jsd_bits": ("change", "step_jsd_bits"),
    "temporal": ("change", "temporal"),
    "temp_stability": ("change", "temp_stability"),
    "confidence": ("confidence",),
    "margin": ("margin",),
    "soft_entropy": ("entropy",),
    "rule_agreement": ("rule_agreement",),
}
"""Of soft assignments, where it is in `SoftStats`."""

OF_LABELS: dict[str, Metric] = {
    "dominant_share": _of_labels("occupancy", "dominant_share"),
    "effective_labels": _of_labels("occupancy", "effective_labels"),
    "occupancy_entropy": _of_labels("occupancy", "entropy"),
    **{name: _of_steady_labels(*path) for name, path in (_IN_TIME | _IN_CYCLES).items()},
    "locking_significant_share": _locking_is_significant,
    **{name: _of_steady_soft(*path) for name, path in _SOFT.items()},
    "soft_between_cycle_mi_bits": _of_steady_soft("between_cycle_mi_bits"),
    "soft_within_cycle_mi_bits": _of_steady_soft("within_cycle_mi_bits"),
}
"""Over steady frames; those about occupancy over all."""

METRICS = MappingProxyType(OF_BODY | OF_LABELS)
"""By name: what runs are compared by."""

ALL_FRAMES = "_all_frames"

OVER_ALL_FRAMES = MappingProxyType(
    {f"{name}{ALL_FRAMES}": _of_labels(*path) for name, path in _IN_TIME.items()}
    | {f"{name}{ALL_FRAMES}": _of_soft(*path) for name, path in _SOFT.items()}
)
"""What is not about gait cycles once more, over all frames after the opening: falls included."""

SHARES = frozenset({"locking_significant_share"})
"""Of which each episode has 0 or 1."""


@dataclass(frozen=True)
class EpisodePair:
    """Whether two episodes of a run have the same labels at the same phases.

    Attributes:
        one, other: which two.
        maps: how far their phase maps agree.
    """

    one: int
    other: int
    maps: MapAgreement


@dataclass(frozen=True, eq=False)
class RunStability:
    """One checkpoint under one controller.

    Attributes:
        checkpoint, checkpoint_sha256: whose run it is.
        controller: who acted.
        trace_sha256: of the trace that all of this was made from.
        labels_from: `glass`, `fitted`, or `none`.
        labels_sha256: of the file of fitted labels; None for all others.
        label_rule: how a latent got its label.
        tau: temperature of the soft assignments; None without labels.
        clusters: K; None without labels.
        frames, frame_dt_s: of each episode, the opening included.
        episodes: all of them.
        gait: the commonest verdict on the gait, and the split.
        basin: the commonest basin, and the split.
        label_split: number of episodes by the verdict on their labels, the commonest first.
        returns: mean return, and its interval over the episodes of this run.
        metrics: mean of every entry of `METRICS` and `OVER_ALL_FRAMES`, over the episodes in
            which it is defined, with its interval; None where it never is. Intervals are within
            this run: they say nothing about other seeds.
        occupancy: labels of all episodes after their openings; None without labels.
        dwell: of each label, over all episodes after their openings.
        onsets: of each label that begins in a gait cycle, over all episodes.
        persistence: of the labels in gait cycles, over all episodes; None without any.
        audit: soft metrics of the median episode's steady frames, or of all after its opening if
            there are none, as they would be at other temperatures and at its own; empty where
            there are no soft assignments.
        label_names: the phase of the gait that each label lives in, over all episodes.
        phases: how much of the run each phase of the gait is, and which label it has.
        calibration: predicted against realised value; None for episodes too short to tell.
        pairs: agreement of the episodes' phase maps, for pairs that share a phase bin.
        reachable_clusters: how many labels the rule can produce; None without a partition.
        active_clusters: how many clusters the partition spreads over, whatever the agent does;
            None without a partition.
    """

    checkpoint: str
    checkpoint_sha256: str
    controller: str
    trace_sha256: str
    labels_from: str
    labels_sha256: str | None
    label_rule: str
    tau: float | None
    clusters: int | None
    frames: int
    frame_dt_s: float
    episodes: tuple[EpisodeStability, ...]
    gait: RunGait
    basin: RunBasin
    label_split: dict[str, int]
    returns: MeanInterval
    metrics: dict[str, MeanInterval | None]
    occupancy: Occupancy | None
    dwell: tuple[Dwell, ...]
    onsets: tuple[OnsetLocking, ...]
    persistence: Persistence | None
    audit: tuple[SoftStats, ...]
    label_names: tuple[LabelName, ...]
    phases: tuple[PhaseUse, ...]
    calibration: ValueCalibration | None
    pairs: tuple[EpisodePair, ...]
    reachable_clusters: int | None
    active_clusters: int | None

    @property
    def label_verdict(self) -> str:
        """The commonest verdict on the labels; `split` as for the gait."""
        [(commonest, count), *_] = self.label_split.items()
        enough = count > GAIT_THRESHOLDS.split * len(self.episodes)
        return commonest if enough else "split"

    @property
    def map_agreement(self) -> float | None:
        """Mean agreement of the episodes' phase maps, in [0, 1]; None without a pair."""
        agreements = [pair.maps.agreement for pair in self.pairs]
        return float(np.mean(agreements)) if agreements else None


def assess(trace: Trace, gaits: Sequence[Gait] | None = None) -> RunStability:
    """Assess the episodes of a trace; the same trace always gives the same.

    Args:
        trace: to assess.
        gaits: of its episodes, where they were described already.

    Raises:
        GlassvizError: there are no episodes, a number is none, or the gait of an episode cannot be
            described.
    """
    header = trace.header
    if not trace.episodes:
        raise GlassvizError(
            f"trace of {header['checkpoint']['name']}: expected episodes, found none: record it "
            f"again with `glassviz rollout`"
        )
    _refuse_broken(trace)
    gaits = gaits or describe_gaits(trace)
    with threadpool_limits(1):
        episodes = tuple(describe_episode(trace, i, gait) for i, gait in enumerate(gaits))
    verdicts = [episode.label_verdict.verdict for episode in episodes]
    partition = trace.partition if trace.has_labels else None
    in_all, names, phases = _pooled(trace, episodes)
    dwell, onsets, lagged = _in_time(trace, episodes)
    return RunStability(
        checkpoint=header["checkpoint"]["name"],
        checkpoint_sha256=header["checkpoint"]["sha256"],
        controller=header["controller"],
        trace_sha256=trace.sha256,
        labels_from=header["labels_from"],
        labels_sha256=trace.labels_sha256,
        label_rule=header["label_rule"],
        tau=header["tau"] if trace.has_labels else None,
        clusters=trace.clusters if trace.has_labels else None,
        frames=trace.frames,
        frame_dt_s=trace.frame_dt_s,
        episodes=episodes,
        gait=run_gait([episode.gait_verdict for episode in episodes]),
        basin=run_basin([episode.basin for episode in episodes]),
        label_split=dict(Counter(verdicts).most_common()),
        returns=mean_interval(trace.returns.tolist()),
        metrics={
            name: _mean(name, [metric(each) for each in episodes])
            for name, metric in (METRICS | OVER_ALL_FRAMES).items()
        },
        occupancy=in_all,
        dwell=dwell,
        onsets=onsets,
        persistence=lagged,
        audit=_audit(trace, episodes[_median([each.episode_return for each in episodes])]),
        label_names=names,
        phases=phases,
        calibration=_calibration(trace),
        pairs=_pairs(episodes),
        reachable_clusters=None if partition is None else reachable_clusters(partition),
        active_clusters=None if partition is None else active_clusters(partition),
    )


def _refuse_broken(trace: Trace) -> None:
    """Refuse NaN and infinity, also where no metric looks: the agent that acted was broken."""
    for name in ARRAYS:
        values = getattr(trace, name)
        finite = np.isfinite(values)
        if not finite.all():
            episode, frame, *_ = place = tuple(np.argwhere(~finite)[0].tolist())
            raise GlassvizError(
                f"trace of {trace.header['checkpoint']['name']}, episode {episode}: expected "
                f"finite numbers, found {values[place]} for {name} in frame {frame}: record it "
                f"again with `glassviz rollout`"
            )


def median_episode(stability: RunStability) -> int:
    """The episode with the median return, from 0; of two the one with less."""
    return _median([each.episode_return for each in stability.episodes])


def _median(returns: Sequence[float]) -> int:
    order = np.argsort(returns, kind="stable")
    return int(order[(len(order) - 1) // 2])


def _mean(name: str, values: list[float | None]) -> MeanInterval | None:
    defined = [value for value in values if value is not None and np.isfinite(value)]
    if name in SHARES and (share := share_interval(round(sum(defined)), len(defined))):
        return MeanInterval(share.share, share.low, share.high, share.count, share.level)
    return mean_interval(defined) if defined else None


def _pooled(
    trace: Trace, episodes: tuple[EpisodeStability, ...]
) -> tuple[Occupancy | None, tuple[LabelName, ...], tuple[PhaseUse, ...]]:
    """Occupancy and names of the labels, and use of the phases, over all episodes."""
    phase = np.concatenate([phases_of(trace, each.episode, each.gait) for each in episodes])
    if not trace.has_labels:
        return None, (), phase_uses(None, phase, 0)
    labels = [labels_after_opening(trace, each.episode, each.gait) for each in episodes]
    label, clusters = np.concatenate(labels), trace.clusters
    names = name_labels(label, phase, clusters)
    return occupancy(label, clusters), names, phase_uses(label, phase, clusters)


def _in_time(
    trace: Trace, episodes: tuple[EpisodeStability, ...]
) -> tuple[tuple[Dwell, ...], tuple[OnsetLocking, ...], Persistence | None]:
    """Dwell and persistence of the labels of all episodes, onsets in those of one clock."""
    labelled = [each for each in episodes if each.labels]
    if not labelled:
        return (), (), None
    dt_s = trace.frame_dt_s
    lags = min(round(MAX_LAG_S / dt_s), trace.frames // 2)
    segments = _segments(labelled, trace.frames)
    clocked = of_one_clock(labelled)
    phase = np.concatenate([each.gait.cycles.phase for each in clocked])
    # No pair of frames that is compared is of two episodes.
    gap = np.full(lags, -1)
    steady = [np.where(each.gait.steady, trace.label[each.episode], -1) for each in episodes]
    laid_out = np.concatenate([part for each in steady for part in (each, gap)])
    return (
        dwell_times(segments, dt_s),
        onset_locking(_segments(clocked, trace.frames), phase),
        persistence(laid_out.astype(np.int64), dt_s, lags * dt_s),
    )


def _segments(episodes: Sequence[EpisodeStability], frames: int) -> Segments:
    return pooled([each.labels.segments for each in episodes if each.labels], frames)


def _audit(trace: Trace, episode: EpisodeStability) -> tuple[SoftStats, ...]:
    """Soft metrics of an episode against the temperature."""
    partition, tau, gait = trace.partition, trace.header["tau"], episode.gait
    if partition is None or tau is None or not trace.has_labels:
        return ()
    kept = gait.steady if gait.steady.any() else np.arange(trace.frames) >= gait.opening_end
    cosine = cosine_up_to_a_constant(trace.soft_assignment[episode.episode], tau)
    cosine = np.where(kept[:, None], cosine, np.nan)
    rng = np.random.default_rng([int(trace.sha256[:16], 16), episode.episode])
    return temperature_audit(
        cosine, partition, gait.cycles.cycle, rng, sorted({*TAU_GRID, float(tau)})
    )


def _calibration(trace: Trace) -> ValueCalibration | None:
    discount = trace.header["agent"].get("planner", {}).get("discount")
    if discount is None:
        return None
    rng = np.random.default_rng(int(trace.sha256[:16], 16))
    return value_calibration(trace.value, trace.reward, discount, rng)


def of_one_clock(episodes: Sequence[EpisodeStability]) -> list[EpisodeStability]:
    """The episodes whose cycles begin at the same event, as most cycles do.

    A cycle begins when the foot touches down, or the body where it is on more than its foot; a
    phase of the one is not the same phase of the other.
    """
    kinds = [[each for each in episodes if each.gait.on_foot == kind] for kind in (True, False)]
    return max(kinds, key=lambda own: (sum(each.gait.cycles.count for each in own), len(own)))


def _pairs(episodes: tuple[EpisodeStability, ...]) -> tuple[EpisodePair, ...]:
    on_foot = {each.episode: each.gait.on_foot for each in episodes}
    maps = {each.episode: each.steady_labels.phase_map for each in episodes if each.steady_labels}
    if not maps:
        return ()
    numbers = list(maps)
    found = map_agreements(np.stack(list(maps.values())))
    return tuple(
        EpisodePair(numbers[i], numbers[j], agreement)
        for i, j, agreement in found
        # Phases that begin at different events cannot agree.
        if on_foot[numbers[i]] == on_foot[numbers[j]]
    )
