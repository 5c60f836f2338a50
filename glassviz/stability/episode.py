"""Everything about one episode: gait, labels, and the basin that they put it in."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Int

from glassviz.analysis.answers import LabelAnswers, label_answers
from glassviz.analysis.basin import Basin, basin
from glassviz.analysis.label_verdict import LabelVerdict, label_verdict
from glassviz.analysis.labels import LabelStats
from glassviz.analysis.labels import describe as describe_labels
from glassviz.analysis.naming import gait_phases, name_labels
from glassviz.analysis.soft import SoftStats, describe_soft
from glassviz.gait.answers import GaitAnswers, gait_answers
from glassviz.gait.gait import Gait
from glassviz.gait.gait import describe as describe_gait
from glassviz.gait.verdict import GaitVerdict, gait_verdict
from glassviz.trace import Trace


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


def describe_episode(trace: Trace, episode: int) -> EpisodeStability:
    """Describe one episode of a trace; the same trace always gives the same.

    Raises:
        GlassvizError: the gait cannot be described, as for `gait.describe`.
    """
    seed = [int(trace.sha256[:16], 16), episode]
    gait = describe_gait(trace, episode, np.random.default_rng(seed))
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
