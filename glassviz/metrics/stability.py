"""Stability of one run: its episodes, their metrics, the verdict."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any

import numpy as np
from threadpoolctl import threadpool_limits

from glassviz.errors import GlassvizError
from glassviz.gait.contacts import Mask
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
from glassviz.metrics.information import Labels
from glassviz.metrics.labels import (
    OPENING,
    TAU_GRID,
    UNNAMED,
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


@dataclass(frozen=True, eq=False, repr=False)
class EpisodeStability:
    """One episode after its initial transient; `steady` frames are those in gait cycles.

    Attributes:
        episode: index, from 0.
        episode_return: sum of all rewards, including those of the initial transient.
        labels, steady_labels: hard labels; None without labels. Statistics within gait cycles are
            the same in both.
        soft, steady_soft: soft assignments; None without labels or frames, for fitted labels, and
            for traces without a partition.
        gait_answers: None for a body without feet.
        label_answers: None without labels.
    """

    episode: int
    reset_seed: int
    episode_return: float
    gait: Gait
    gait_answers: GaitAnswers | None
    labels: LabelStats | None
    steady_labels: LabelStats | None
    soft: SoftStats | None
    steady_soft: SoftStats | None
    label_answers: LabelAnswers | None
    basin: Basin

    def __repr__(self) -> str:
        return (
            f"EpisodeStability(episode {self.episode + 1}, {self.gait_verdict.name}, "
            f"{self.basin.name}, return {self.episode_return:.1f})"
        )

    @property
    def gait_verdict(self) -> GaitVerdict:
        """Verdict on the gait."""
        return self.basin.gait

    @property
    def label_verdict(self) -> LabelVerdict:
        """Verdict on the labels, over steady frames."""
        return self.basin.labels


def describe_gaits(trace: Trace) -> tuple[Gait, ...]:
    """The gait of every episode, the same for the same trace; raises as `gait.describe`."""
    # The matrices are small: several threads would wait for each other.
    with threadpool_limits(1):
        return tuple(describe_gait(trace, i, _episode_rng(trace, i)) for i in range(trace.episodes))


def _episode_rng(trace: Trace, episode: int) -> np.random.Generator:
    """Determined by the episode alone, not by those beside it."""
    return np.random.default_rng(int(trace.episode_sha256[episode][:16], 16))


def describe_episode(trace: Trace, episode: int, gait: Gait) -> EpisodeStability:
    """Describe one episode of a trace; the same trace always gives the same."""

    def describe(label: Labels, within_cycles: LabelStats | None = None) -> LabelStats:
        phase, cycle, rng = gait.cycles.phase, gait.cycles.cycle, _episode_rng(trace, episode)
        dt_s, clusters = trace.frame_dt_s, trace.clusters
        return describe_labels(
            label, phase, cycle, dt_s, clusters, rng, within_cycles=within_cycles
        )

    labels: LabelStats | None = None
    steady_labels: LabelStats | None = None
    answers: LabelAnswers | None = None
    verdict = label_verdict(None)
    if trace.has_labels:
        label = _labels(trace, episode, gait)
        labels = describe(label)
        steady_labels = describe(np.where(gait.steady, label, -1), labels)
        verdict = label_verdict(steady_labels, held=gait.held_from is not None)
        names = name_labels(label, phases_of(trace, episode, gait), trace.clusters)
        answers = label_answers(labels, verdict, names)
    return EpisodeStability(
        episode=episode,
        reset_seed=trace.header["reset_seeds"][episode],
        episode_return=float(trace.returns[episode]),
        gait=gait,
        gait_answers=gait_answers(gait),
        labels=labels,
        steady_labels=steady_labels,
        soft=_soft(trace, episode, _settled(trace, gait), gait),
        steady_soft=_soft(trace, episode, gait.steady, gait),
        label_answers=answers,
        basin=basin(gait_verdict(gait), verdict),
    )


def _settled(trace: Trace, gait: Gait) -> Mask:
    """Frames after the initial transient."""
    return np.arange(trace.frames) >= gait.opening_end


def _labels(trace: Trace, episode: int, gait: Gait) -> Labels:
    """Labels of an episode; −1 in its initial transient."""
    return np.where(_settled(trace, gait), trace.label[episode].astype(np.int64), -1)


def phases_of(trace: Trace, episode: int, gait: Gait) -> Labels:
    """Gait phase of each frame, as an index into `GAIT_PHASES`; −1 in the initial transient.

    The body is upright outside of falls, with torso, nose, pelvis and thigh off the floor. A body
    whose gait phases have no names has none: −1 throughout.
    """
    height = trace.height[episode]
    if len(height) < 2 or not gait.phased:
        return np.full(len(height), -1)
    rise_mps = np.gradient(height, trace.frame_dt_s)
    upright = ~gait.fallen & ~gait.contacts.body
    phases = gait_phases(gait.contacts.stance, height, rise_mps, upright)
    return np.where(_settled(trace, gait), phases, -1)


def label_names(
    trace: Trace, gaits: Sequence[Gait], given: Mapping[int, str] | None = None
) -> tuple[LabelName, ...]:
    """Name every label that occurs in a run, ordered by label; without labels there are none.

    A label is named by the gait phase that most of its frames are in, over all episodes after their
    initial transients; `OPENING` if it occurs in these only, `UNNAMED` if the body's gait phases
    are not known. All outputs show these names.

    Args:
        gaits: of the episodes.
        given: names that a user gave, by label.
    """
    if not trace.has_labels:
        return ()
    given = given or {}
    phase = np.concatenate([phases_of(trace, i, gait) for i, gait in enumerate(gaits)])
    label = trace.label.reshape(-1).astype(np.int64)
    named = {each.label: each for each in name_labels(label, phase, trace.clusters)}
    outside = OPENING if trace.body.phased else UNNAMED
    found = []
    for k, frames in enumerate(np.bincount(label[label >= 0], minlength=trace.clusters).tolist()):
        if frames:
            own = named.get(k) or LabelName(k, outside, outside, 1.0, frames)
            found.append(replace(own, name=given.get(k, own.name)))
    return tuple(found)


def _soft(trace: Trace, episode: int, kept: Mask, gait: Gait) -> SoftStats | None:
    partition, tau = trace.partition, trace.header["tau"]
    if partition is None or tau is None:
        return None
    c = np.where(kept[:, None], trace.soft_assignment[episode], np.float32(np.nan))
    return describe_soft(c, partition, tau, gait.cycles.cycle, _episode_rng(trace, episode))


# Metrics of an episode ----------------------------------------------------------------------------

Metric = Callable[[EpisodeStability], float | None]


def _at(path: str) -> Metric:
    """The value at a dotted path of attributes; None where the path ends early."""

    def value(episode: EpisodeStability) -> float | None:
        found: object = episode
        for name in path.split("."):
            found = None if found is None else getattr(found, name)
        assert found is None or isinstance(found, float)
        return found

    return value


def _locking_is_significant(episode: EpisodeStability) -> float | None:
    """1 or 0, so that the mean is a share of episodes: a mean of p-values says nothing."""
    p = _at("steady_labels.locking.locking_p")(episode)
    return None if p is None else float(p <= LABEL_THRESHOLDS.alpha)


_GAIT = (
    *("distance_m", "mean_speed_mps", "moving_share", "standing_rate", "foot_only_share"),
    *("body_share", "flight_share", "falls_per_minute", "first_fall_m", "hops_per_s"),
    *("mean_height_m", "duty_factor"),
)

OF_BODY: dict[str, Metric] = {name: _at(f"gait.{name}") for name in _GAIT} | {
    "period_s": _at("gait.cycles.period_s"),
    "period_cv": _at("gait.cycles.period_cv"),
    "cycles": lambda episode: float(episode.gait.cycles.count),
    "rhythm": _at("gait.rhythm.strength"),
    "rho": _at("gait.return_map.rho"),
}
"""Metrics of the gait; some of them, such as speed, are what the task rewards."""

_IN_TIME = {
    "switch_rate_hz": "switching.rate_hz",
    "flicker_share": "switching.flicker_share",
    "return_share": "switching.return_share",
    "chatter_share": "chatter_share",
    "dwell_cv": "dwell_cv",
    "label_period_s": "persistence.period_s",
    "periodicity": "persistence.periodicity",
    "window_mi_5_bits": "window_mi_5_bits",
    "window_mi_10_bits": "window_mi_10_bits",
}
"""Paths in `LabelStats`, over all frames."""

_IN_CYCLES = {
    "switches_per_cycle": "switching.per_cycle",
    "between_cycle_mi_bits": "between_cycle_mi_bits",
    "within_cycle_mi_bits": "within_cycle_mi_bits",
    "phase_information_bits": "locking.phase_information_bits",
    "locking_u": "locking.locking_u",
    "nmi": "locking.nmi",
    "phase_ami": "locking.ami",
    "fleiss_kappa": "agreement.fleiss_kappa",
    "pairwise_agreement": "agreement.pairwise_agreement",
    "modal_word_share": "words.modal_share",
    "clear_word_share": "clear_words.modal_share",
    "mean_distance": "words.mean_distance",
}
"""Paths in `LabelStats`, within gait cycles."""

_SOFT = {
    "soft_window_mi_5_bits": "change.window_mi_5_bits",
    "soft_window_mi_10_bits": "change.window_mi_10_bits",
    "step_jsd_bits": "change.step_jsd_bits",
    "temporal": "change.temporal",
    "temp_stability": "change.temp_stability",
    "confidence": "confidence",
    "margin": "margin",
    "soft_entropy": "entropy",
    "rule_agreement": "rule_agreement",
}
"""Paths in `SoftStats`."""

OF_LABELS: dict[str, Metric] = {
    "dominant_share": _at("labels.occupancy.dominant_share"),
    "effective_labels": _at("labels.occupancy.effective_labels"),
    "occupancy_entropy": _at("labels.occupancy.entropy"),
    **{name: _at(f"steady_labels.{path}") for name, path in (_IN_TIME | _IN_CYCLES).items()},
    "locking_significant_share": _locking_is_significant,
    **{name: _at(f"steady_soft.{path}") for name, path in _SOFT.items()},
    "soft_between_cycle_mi_bits": _at("steady_soft.between_cycle_mi_bits"),
    "soft_within_cycle_mi_bits": _at("steady_soft.within_cycle_mi_bits"),
}
"""Metrics of labels over steady frames; those of occupancy over all frames."""

METRICS = MappingProxyType(OF_BODY | OF_LABELS)
"""Metrics by name, by which runs are compared."""

OVER_ALL_FRAMES = MappingProxyType(
    {f"{name}_all_frames": _at(f"labels.{path}") for name, path in _IN_TIME.items()}
    | {f"{name}_all_frames": _at(f"soft.{path}") for name, path in _SOFT.items()}
)
"""Metrics that need no gait cycles, over all frames after the initial transient, falls included."""

SHARES = frozenset({"locking_significant_share"})
"""Metrics that are 0 or 1 in each episode."""


# Stability of a run -------------------------------------------------------------------------------


@dataclass(frozen=True)
class EpisodePair:
    """Agreement of the phase maps of two episodes of a run."""

    one: int
    other: int
    maps: MapAgreement


@dataclass(frozen=True, eq=False, repr=False)
class RunStability:
    """Stability of one checkpoint under one controller.

    Attributes:
        labels_from: `glass`, `fitted`, or `none`.
        labels_sha256: hash of the file of fitted labels; None for all others.
        label_rule: how a latent got its label.
        tau, clusters: temperature of the soft assignments, and K; None without labels.
        frames, frame_dt_s: of each episode, including its initial transient.
        gait, basin: most frequent gait and basin, and how the episodes split.
        label_split: number of episodes by the verdict on their labels, most frequent first.
        returns: mean return, with its interval over the episodes of this run.
        metrics: mean of every entry of `METRICS` and `OVER_ALL_FRAMES` over the episodes in which
            it is defined, with its interval; None if it never is. Intervals are within this run:
            they do not generalise to other seeds.
        occupancy: labels of all episodes after their initial transients; None without labels.
        dwell: dwell times of each label, over the same frames.
        onsets: onsets of each label that begins in a gait cycle, over all episodes.
        persistence: persistence of the labels in gait cycles, over all episodes; None without any.
        audit: `temperature_audit` of the steady frames of the median episode, or of all after its
            initial transient if there are none; empty without soft assignments.
        label_names: names of the labels that occur, see `label_names`.
        phases: share of each gait phase in the run, and its label.
        calibration: predicted against realised value; None for episodes that are too short.
        pairs: agreement of the phase maps of episodes, for pairs that share a phase bin.
        reachable_clusters, active_clusters: properties of the partition; None without one.
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

    def __repr__(self) -> str:
        return (
            f"RunStability({self.checkpoint!r}, {self.controller}, {self.gait.name}, "
            f"{self.basin.name}, return {self.returns.mean:.1f})"
        )

    @property
    def label_verdict(self) -> str:
        """The most frequent verdict on the labels; `split` as for the gait."""
        [(most_frequent, count), *_] = self.label_split.items()
        return most_frequent if count > GAIT_THRESHOLDS.split * len(self.episodes) else "split"

    @property
    def map_agreement(self) -> float | None:
        """Mean agreement of the phase maps of episodes, in [0, 1]; None without a pair."""
        agreements = [pair.maps.agreement for pair in self.pairs]
        return float(np.mean(agreements)) if agreements else None


def assess(
    trace: Trace,
    gaits: Sequence[Gait] | None = None,
    given: Mapping[int, str] | None = None,
) -> RunStability:
    """Assess the episodes of a trace; the same trace always gives the same result.

    Args:
        gaits: of the episodes, if they were described already.
        given: names that a user gave to labels.

    Raises:
        GlassvizError: there are no episodes, a number is NaN or infinite, or the gait of an episode
            cannot be described.
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
    verdicts = Counter(episode.label_verdict.verdict for episode in episodes)
    partition = trace.partition if trace.has_labels else None
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
        label_split=dict(verdicts.most_common()),
        returns=mean_interval(trace.returns.tolist()),
        metrics={
            name: _mean(name, [metric(each) for each in episodes])
            for name, metric in (METRICS | OVER_ALL_FRAMES).items()
        },
        label_names=label_names(trace, gaits, given),
        **_pooled(trace, episodes),
        audit=_audit(trace, episodes[_median(episodes)]),
        calibration=_calibration(trace),
        pairs=_pairs(episodes),
        reachable_clusters=None if partition is None else reachable_clusters(partition),
        active_clusters=None if partition is None else active_clusters(partition),
    )


def _refuse_broken(trace: Trace) -> None:
    """Refuse NaN and infinity, also where no metric looks: the agent that acted was broken."""
    for name in (each for each in ARRAYS if each not in trace.unknown):
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
    """The episode with the median return, from 0; the lower of two."""
    return _median(stability.episodes)


def _median(episodes: Sequence[EpisodeStability]) -> int:
    order = np.argsort([episode.episode_return for episode in episodes], kind="stable")
    return int(order[(len(order) - 1) // 2])


def _mean(name: str, values: list[float | None]) -> MeanInterval | None:
    defined = [value for value in values if value is not None and np.isfinite(value)]
    if name in SHARES and (share := share_interval(round(sum(defined)), len(defined))):
        return MeanInterval(share.share, share.low, share.high, share.count, share.level)
    return mean_interval(defined) if defined else None


def _pooled(trace: Trace, episodes: Sequence[EpisodeStability]) -> dict[str, Any]:
    """Statistics of the labels of all episodes, by field of `RunStability`."""
    phase = np.concatenate([phases_of(trace, each.episode, each.gait) for each in episodes])
    if not trace.has_labels:
        empty = {"occupancy": None, "dwell": (), "onsets": (), "persistence": None}
        return empty | {"phases": phase_uses(None, phase, 0)}
    label = np.concatenate([_labels(trace, each.episode, each.gait) for each in episodes])
    clusters, dt_s = trace.clusters, trace.frame_dt_s
    clocked = of_one_clock(episodes)
    phases = [each.gait.cycles.phase for each in clocked]
    # Gaps as long as the longest lag separate the episodes.
    lags = min(round(MAX_LAG_S / dt_s), trace.frames // 2)
    steady = [np.where(each.gait.steady, trace.label[each.episode], -1) for each in episodes]
    with_gaps = np.pad(np.stack(steady).astype(np.int64), ((0, 0), (0, lags)), constant_values=-1)
    return {
        "occupancy": occupancy(label, clusters),
        "dwell": dwell_times(_segments(episodes, trace.frames), dt_s),
        "onsets": onset_locking(_segments(clocked, trace.frames), np.concatenate(phases)),
        "persistence": persistence(with_gaps.ravel(), dt_s, lags * dt_s),
        "phases": phase_uses(label, phase, clusters),
    }


def _segments(episodes: Sequence[EpisodeStability], frames: int) -> Segments:
    return pooled([each.labels.segments for each in episodes if each.labels], frames)


def _audit(trace: Trace, episode: EpisodeStability) -> tuple[SoftStats, ...]:
    partition, tau, gait = trace.partition, trace.header["tau"], episode.gait
    if partition is None or tau is None or not trace.has_labels:
        return ()
    kept = gait.steady if gait.steady.any() else _settled(trace, gait)
    cosine = cosine_up_to_a_constant(trace.soft_assignment[episode.episode], tau)
    cosine = np.where(kept[:, None], cosine, np.nan)
    rng, grid = _episode_rng(trace, episode.episode), sorted({*TAU_GRID, float(tau)})
    return temperature_audit(cosine, partition, gait.cycles.cycle, rng, grid)


def _calibration(trace: Trace) -> ValueCalibration | None:
    discount = trace.header["agent"].get("planner", {}).get("discount")
    if discount is None:
        return None
    rng = np.random.default_rng(int(trace.sha256[:16], 16))
    return value_calibration(trace.value, trace.reward, discount, rng)


def of_one_clock(episodes: Sequence[EpisodeStability]) -> list[EpisodeStability]:
    """The episodes whose cycles begin at the same event, as most cycles do.

    The hopper's cycles begin with touchdowns of the foot, or of the body in gaits that are not on
    the foot; those of others with touchdowns of a leading foot, or with the joints. Phases after
    different events do not correspond.
    """
    clocks = sorted({each.gait.clock for each in episodes})
    kinds = [[each for each in episodes if each.gait.clock == clock] for clock in clocks]
    return max(kinds, key=lambda kind: (sum(each.gait.cycles.count for each in kind), len(kind)))


def _pairs(episodes: Sequence[EpisodeStability]) -> tuple[EpisodePair, ...]:
    labelled = [each for each in episodes if each.steady_labels]
    maps = [each.steady_labels.phase_map for each in labelled if each.steady_labels]
    return tuple(
        EpisodePair(labelled[i].episode, labelled[j].episode, agreement)
        for i, j, agreement in (map_agreements(np.stack(maps)) if maps else ())
        # Phases that begin at different events cannot agree.
        if labelled[i].gait.clock == labelled[j].gait.clock
    )
