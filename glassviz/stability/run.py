"""Everything about one run: a trace's episodes, and what they have in common."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from threadpoolctl import threadpool_limits

from glassviz.analysis.basin import RunBasin, run_basin
from glassviz.analysis.calibration import ValueCalibration, value_calibration
from glassviz.analysis.map_agreement import MapAgreement, map_agreements
from glassviz.analysis.naming import LabelName, PhaseUse, name_labels, phase_uses
from glassviz.analysis.onsets import OnsetLocking, onset_locking
from glassviz.analysis.persistence import MAX_LAG_S, Persistence, persistence
from glassviz.analysis.segments import Dwell, Occupancy, Segments, dwell_times, occupancy, pooled
from glassviz.analysis.soft import (
    TAU_GRID,
    SoftStats,
    active_clusters,
    cosine_up_to_a_constant,
    reachable_clusters,
    temperature_audit,
)
from glassviz.analysis.statistics import MeanInterval, mean_interval, share_interval
from glassviz.errors import GlassvizError
from glassviz.gait.thresholds import DEFAULT_THRESHOLDS
from glassviz.gait.verdict import RunGait, run_gait
from glassviz.stability.episode import (
    EpisodeStability,
    describe_episode,
    labels_after_opening,
    phases_of,
)
from glassviz.stability.metrics import METRICS, OVER_ALL_FRAMES, SHARES
from glassviz.trace import ARRAYS, Trace


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
        enough = count > DEFAULT_THRESHOLDS.split * len(self.episodes)
        return commonest if enough else "split"

    @property
    def map_agreement(self) -> float | None:
        """Mean agreement of the episodes' phase maps, in [0, 1]; None without a pair."""
        agreements = [pair.maps.agreement for pair in self.pairs]
        return float(np.mean(agreements)) if agreements else None


def assess(trace: Trace) -> RunStability:
    """Assess the episodes of a trace; the same trace always gives the same.

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
    # The matrices are small: several threads would spend their time waiting for each other.
    with threadpool_limits(1):
        episodes = tuple(describe_episode(trace, i) for i in range(trace.episodes))
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
