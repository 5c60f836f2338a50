"""Everything about the hard labels of one episode, in one description."""

from dataclasses import dataclass, fields

import numpy as np
from jaxtyping import Float64, Int

from glassviz.analysis.consistency import (
    Agreement,
    CycleWords,
    PhaseMap,
    Raster,
    agreement,
    cycle_words,
    in_modal_cycle,
    phase_map,
    phase_raster,
)
from glassviz.analysis.information import (
    Distributions,
    between_groups_bits,
    one_hot,
    random_order,
    stretches,
    window_mi_bits,
    within_groups_bits,
)
from glassviz.analysis.locking import Locking, locking
from glassviz.analysis.nulls import REPLICATES
from glassviz.analysis.onsets import OnsetLocking, onset_locking
from glassviz.analysis.persistence import Persistence, persistence
from glassviz.analysis.segments import (
    FLICKER_FRAMES,
    Dwell,
    Occupancy,
    Segments,
    Switching,
    clock_cv,
    dwell_times,
    find_segments,
    occupancy,
    switching,
)
from glassviz.errors import UsageError


@dataclass(frozen=True, eq=False)
class CycleStats:
    """What hard labels do within gait cycles; K clusters.

    Attributes:
        between_cycle_mi_bits: how much the labels' shares differ from cycle to cycle; 0: not.
        within_cycle_mi_bits: how much labels differ within a cycle, in [0, log2 K]; high where
            they resolve the phase. A good gait has a low former and may have a high latter.
        locking: information about the phase, and its test; None without cycles.
        raster: label by cycle and phase bin; −1: no frame.
        phase_map: label by phase bin.
        agreement: of cycles; None with fewer than two.
        words: of cycles; None without cycles.
        clear_words: of cycles, without stretches as short as flicker; None without cycles.
    """

    between_cycle_mi_bits: float | None
    within_cycle_mi_bits: float | None
    locking: Locking | None
    raster: Raster
    phase_map: PhaseMap
    agreement: Agreement | None
    words: CycleWords | None
    clear_words: CycleWords | None


@dataclass(frozen=True, eq=False)
class LabelStats(CycleStats):
    """The hard labels of one episode, or of its steady frames; K clusters.

    Attributes:
        frames: that were described.
        seconds: how long they last.
        segments: runs of one label.
        switching: rates of switches, flicker.
        chatter_share: share of the frames that are in flicker, outside of cycles spelled like
            most. A short label that every cycle has at the same place is the gait's. None without
            frames.
        dwell: by label that occurs.
        dwell_cv: within labels, see `clock_cv`.
        occupancy: shares of labels.
        persistence: against lag; None without frames.
        window_mi_5_bits, window_mi_10_bits: of one-hot labels over sliding windows of 5 and 10
            frames; 0: no window sees a switch. None where no window fits.
        window_mi_5_random_bits, window_mi_10_random_bits: such frames in random order.
        onsets: by label with an onset in a cycle.

    And all that is in `CycleStats`.
    """

    frames: int
    seconds: float
    segments: Segments
    switching: Switching
    chatter_share: float | None
    dwell: tuple[Dwell, ...]
    dwell_cv: float | None
    occupancy: Occupancy
    persistence: Persistence | None
    window_mi_5_bits: float | None
    window_mi_10_bits: float | None
    window_mi_5_random_bits: float | None
    window_mi_10_random_bits: float | None
    onsets: tuple[OnsetLocking, ...]


def describe(
    label: Int[np.ndarray, " frames"],
    phase: Float64[np.ndarray, " frames"],
    cycle: Int[np.ndarray, " frames"],
    dt_s: float,
    clusters: int,
    rng: np.random.Generator,
    replicates: int = REPLICATES,
    within_cycles: CycleStats | None = None,
) -> LabelStats:
    """Describe the labels of one episode.

    Args:
        label: of each frame, 0 … K − 1; −1 leaves a frame out, and nothing is counted across it.
            For steady frames only, call with `np.where(steady, label, -1)`.
        phase: of the gait, rad in [0, 2π); NaN outside of gait cycles.
        cycle: gait cycle of each frame; −1 outside of cycles.
        dt_s: seconds between frames.
        clusters: K.
        rng: for the nulls and the bootstrap; determines the result.
        replicates: of the rotation null.
        within_cycles: what is known already of the same labels within the same cycles, such as
            from all frames for steady ones.

    Raises:
        UsageError: a label is not below K.
    """
    if len(label) and int(label.max()) >= clusters:
        raise UsageError(
            f"labels: expected labels below K = {clusters}, found {int(label.max())}: give the "
            f"number of clusters of the agent that they come from"
        )
    label = np.where(label >= 0, label, -1).astype(np.int64)
    kept = label >= 0
    segments = find_segments(label)
    switches = switching(label, cycle, segments, dt_s)
    dwell = dwell_times(segments, dt_s)
    hard, stretch = one_hot(label, clusters), stretches(kept)
    # Streams of their own: p-values do not depend on how many frames lie outside of cycles.
    orders, rotations, resamples = rng.spawn(3)
    shuffled = hard[random_order(kept, orders)]
    whole = np.zeros(len(shuffled), np.int64)
    found = within_cycles or _within_cycles(
        label, phase, cycle, hard, rotations, resamples, replicates
    )
    return LabelStats(
        **{each.name: getattr(found, each.name) for each in fields(CycleStats)},
        frames=int(kept.sum()),
        seconds=float(kept.sum() * dt_s),
        segments=segments,
        switching=switches,
        chatter_share=_chatter(segments, found.words, cycle, label),
        dwell=dwell,
        dwell_cv=clock_cv(dwell),
        occupancy=occupancy(label, clusters),
        persistence=persistence(label, dt_s),
        window_mi_5_bits=window_mi_bits(hard, 5, stretch),
        window_mi_10_bits=window_mi_bits(hard, 10, stretch),
        window_mi_5_random_bits=window_mi_bits(shuffled, 5, whole),
        window_mi_10_random_bits=window_mi_bits(shuffled, 10, whole),
        onsets=onset_locking(segments, phase),
    )


def _within_cycles(
    label: Int[np.ndarray, " frames"],
    phase: Float64[np.ndarray, " frames"],
    cycle: Int[np.ndarray, " frames"],
    hard: Distributions,
    rotations: np.random.Generator,
    resamples: np.random.Generator,
    replicates: int,
) -> CycleStats:
    group = np.where(label >= 0, cycle, -1)
    raster = phase_raster(label, phase, cycle)
    return CycleStats(
        between_cycle_mi_bits=between_groups_bits(hard, group),
        within_cycle_mi_bits=within_groups_bits(hard, group),
        locking=locking(label, phase, cycle, rotations, replicates),
        raster=raster,
        phase_map=phase_map(raster),
        agreement=agreement(raster, resamples),
        words=cycle_words(label, cycle),
        clear_words=cycle_words(label, cycle, FLICKER_FRAMES + 1),
    )


def _chatter(
    segments: Segments,
    words: CycleWords | None,
    cycle: Int[np.ndarray, " frames"],
    label: Int[np.ndarray, " frames"],
) -> float | None:
    frames = int(segments.length.sum())
    if not frames:
        return None
    stray = segments.flicker
    if words is not None:
        stray = stray & ~in_modal_cycle(words, cycle, label)[segments.start]
    return float(segments.length[stray].sum() / frames)
