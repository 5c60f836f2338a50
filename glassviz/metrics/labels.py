"""Everything about the labels of an episode, hard and soft, and names for them."""

from collections.abc import Sequence
from dataclasses import dataclass, fields

import numpy as np
from jaxtyping import Bool, Float, Float64, Int
from scipy.special import softmax

from glassviz.errors import UsageError
from glassviz.metrics.information import (
    Distributions,
    between_groups_bits,
    divergence_bits,
    entropy_bits,
    one_hot,
    random_order,
    stretches,
    window_mi_bits,
    within_groups_bits,
)
from glassviz.metrics.locking import (
    Agreement,
    CycleWords,
    Locking,
    OnsetLocking,
    PhaseMap,
    Raster,
    agreement,
    cycle_words,
    in_modal_cycle,
    locking,
    onset_locking,
    phase_map,
    phase_raster,
)
from glassviz.metrics.nulls import REPLICATES
from glassviz.metrics.segments import (
    FLICKER_FRAMES,
    Dwell,
    Occupancy,
    Persistence,
    Segments,
    Switching,
    clock_cv,
    dwell_times,
    find_segments,
    occupancy,
    persistence,
    switching,
)

GAIT_PHASES = ("stance", "push-off", "flight", "landing", "lean", "fold", "recover")
"""The first four of an upright body, the others of one that fell or is about to."""


RISE_MPS = 0.3
"""Height changes more slowly than this at the turn of a stance, neither landing nor pushing off.

A trained hop of 2.8 cycles a second extends its leg at up to 0.7 m/s, and turns below 0.3: with
that line its three labels are stance, push-off and flight, as a film shows them."""


FOLDED_HEIGHT_M = 0.6
"""Torso over foot below which a body that is not upright has folded: the task's standing height."""


Categories = Int[np.ndarray, " frames"]


def gait_phases(
    stance: Bool[np.ndarray, " frames"],
    height: Float64[np.ndarray, " frames"],
    rise_mps: Float64[np.ndarray, " frames"],
    upright: Bool[np.ndarray, " frames"],
) -> Categories:
    """Sort frames into `GAIT_PHASES`, by index.

    Upright: flight off the floor; on it landing while the body sinks, push-off while it rises,
    stance in between. Otherwise: recover while it rises, else fold below standing height and lean
    above it.

    Args:
        stance: whether the body touches the floor.
        height: of the torso over the foot, m.
        rise_mps: rate of change of the torso's height, m/s.
        upright: whether the body stands.
    """
    rises, sinks = rise_mps > RISE_MPS, rise_mps < -RISE_MPS
    on_foot = np.select([~stance, rises, sinks], [2, 1, 3], 0)
    fallen = np.select([rises, height < FOLDED_HEIGHT_M], [6, 5], 4)
    return np.where(upright, on_foot, fallen)


@dataclass(frozen=True)
class LabelName:
    """What a label stands for.

    Attributes:
        label: which.
        name: the category that most of its frames lie in; of equal ones the first.
        share: share of its frames that do, in (0, 1].
        frames: how many frames it has.
    """

    label: int
    name: str
    share: float
    frames: int


@dataclass(frozen=True)
class PhaseUse:
    """How much of a run a phase of the gait is, and which label it has.

    Attributes:
        name: of the phase, one of `GAIT_PHASES`.
        share: of the frames, in [0, 1].
        label: the one that most of its frames have, of equal ones the lowest; None without frames
            or labels.
        label_share: share of its frames that do.
    """

    name: str
    share: float
    label: int | None
    label_share: float | None


def phase_table(
    label: Int[np.ndarray, " frames"], category: Categories, clusters: int, categories: int
) -> Int[np.ndarray, "clusters categories"]:
    """Frames by label and category; −1 in either leaves a frame out.

    A column of zeros is a phase that the run lacks; columns whose largest entries lie in one row
    are phases that share a label.
    """
    kept = (label >= 0) & (category >= 0)
    flat = np.bincount(
        label[kept].astype(np.int64) * categories + category[kept],
        minlength=clusters * categories,
    )
    return flat.reshape(clusters, categories)


def name_labels(
    label: Int[np.ndarray, " frames"],
    category: Categories,
    clusters: int,
    names: tuple[str, ...] = GAIT_PHASES,
) -> tuple[LabelName, ...]:
    """Name every label that occurs, by label.

    Args:
        label: of each frame; −1: left out.
        category: index into `names` of each frame; −1: none.
        clusters: K.
        names: of the categories.
    """
    table = phase_table(label, category, clusters, len(names))
    return tuple(
        LabelName(k, names[int(row.argmax())], float(row.max() / row.sum()), int(row.sum()))
        for k, row in enumerate(table)
        if row.any()
    )


def phase_uses(
    label: Int[np.ndarray, " frames"] | None, category: Categories, clusters: int
) -> tuple[PhaseUse, ...]:
    """Every one of `GAIT_PHASES`, in that order; none without frames.

    Args:
        label: of each frame; −1: left out. None: an agent without labels.
        category: index into `GAIT_PHASES` of each frame; −1: none.
        clusters: K.
    """
    count = np.bincount(category[category >= 0], minlength=len(GAIT_PHASES))
    if not count.any():
        return ()
    shares = (count / count.sum()).tolist()
    if label is None:
        return tuple(
            PhaseUse(name, share, None, None)
            for name, share in zip(GAIT_PHASES, shares, strict=True)
        )
    table = phase_table(label, category, clusters, len(GAIT_PHASES))
    return tuple(
        PhaseUse(name, share, int(column.argmax()), float(column.max() / column.sum()))
        if column.any()
        else PhaseUse(name, share, None, None)
        for name, share, column in zip(GAIT_PHASES, shares, table.T, strict=True)
    )


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


TAU_GRID = (0.02, 0.05, 0.1, 0.2, 0.4, 0.7, 1.0, 2.0)
"""Temperatures of an audit: from hard assignments to flat ones."""


AUDIT_FRAMES = 100_000
"""An audit looks at so many frames at most: more would not move its curves."""


ACTIVE_SHARE = 0.05
"""A cluster is active in S with more than this part of an even share of the prototypes."""


Assignments = Float[np.ndarray, "frames prototypes"]


Partition = Float[np.ndarray, "prototypes clusters"]


@dataclass(frozen=True)
class Change:
    """How much soft assignments change over time. All at least 0; 0: not at all.

    Attributes:
        window_mi_5_bits, window_mi_10_bits: of c over sliding windows of 5 and 10 frames.
        step_jsd_bits: mean Jensen-Shannon divergence of consecutive s, in [0, 1].
        temporal: mean squared distance of consecutive s, the trained term of this name.
        temp_stability: mean 1 − cosine of consecutive s, the trained term of this name.

    None where no two consecutive frames, or no window of them, were kept.
    """

    window_mi_5_bits: float | None
    window_mi_10_bits: float | None
    step_jsd_bits: float | None
    temporal: float | None
    temp_stability: float | None


@dataclass(frozen=True)
class SoftStats:
    """Soft assignments of an episode at one temperature; c over prototypes, s = c S over clusters.

    Attributes:
        tau: the temperature of c.
        change: how much they change.
        change_in_random_order: of such frames in random order; what `change` would be if time
            did not matter. `change` says something only as far as it is smaller.
        between_cycle_mi_bits: how much s differs from gait cycle to gait cycle, in
            [0, log2 K]; low in a steady gait, whatever its labels.
        within_cycle_mi_bits: how much s differs within a cycle, in [0, log2 K]; high where the
            clusters resolve the phase. None without gait cycles, as the former.
        confidence: mean of the largest entry of s, in [1/K, 1].
        margin: mean of the largest less the second largest entry, in [0, 1]; None with K = 1.
        entropy: mean H(s) / log K, in [0, 1]; 1: flat. None with K = 1.
        rule_agreement: share of frames in which the cluster of the nearest prototype is the
            largest entry of s. Low: soft and hard labels tell different stories.
    """

    tau: float
    change: Change
    change_in_random_order: Change
    between_cycle_mi_bits: float | None
    within_cycle_mi_bits: float | None
    confidence: float
    margin: float | None
    entropy: float | None
    rule_agreement: float


def describe_soft(
    c: Assignments,
    partition: Partition,
    tau: float,
    cycle: Int[np.ndarray, " frames"],
    rng: np.random.Generator,
) -> SoftStats | None:
    """Describe the soft assignments of one episode, or of its steady frames.

    Args:
        c: soft assignment of each frame; a frame of NaN is left out.
        partition: S, rows summing to 1.
        tau: temperature of c, to be printed beside every number.
        cycle: gait cycle of each frame; −1 outside of cycles.
        rng: for the random order.

    Returns:
        None when every frame is left out.
    """
    kept = ~np.isnan(c[:, 0])
    if not kept.any():
        return None
    # Sums of sliding windows run over all frames, though only windows of kept ones are looked at.
    c = np.where(kept[:, None], c, 0).astype(np.float64)
    s = c @ partition.astype(np.float64)
    order = random_order(kept, rng)
    change = _change(c, s, stretches(kept))
    in_random_order = _change(c[order], s[order], np.zeros(len(order), np.int64))
    nearest = np.argmax(partition, axis=1)[np.argmax(c, axis=1)[kept]]
    known, clusters = s[kept], partition.shape[1]
    group = np.where(kept, cycle, -1)
    ranked = np.sort(known, axis=1)
    several = clusters > 1
    return SoftStats(
        tau=tau,
        change=change,
        change_in_random_order=in_random_order,
        between_cycle_mi_bits=between_groups_bits(s, group),
        within_cycle_mi_bits=within_groups_bits(s, group),
        confidence=float(ranked[:, -1].mean()),
        margin=float((ranked[:, -1] - ranked[:, -2]).mean()) if several else None,
        entropy=float(np.mean(entropy_bits(known)) / np.log2(clusters)) if several else None,
        rule_agreement=float(np.mean(nearest == np.argmax(known, axis=1))),
    )


def temperature_audit(
    cosine: Assignments,
    partition: Partition,
    cycle: Int[np.ndarray, " frames"],
    rng: np.random.Generator,
    grid: Sequence[float] = TAU_GRID,
) -> tuple[SoftStats, ...]:
    """Soft metrics as they would be at other temperatures than the checkpoint's own.

    Args:
        cosine: similarity of each latent and each prototype, or `cosine_up_to_a_constant`.
        partition: S.
        cycle: gait cycle of each frame; −1 outside of cycles.
        rng: for the random orders.
        grid: temperatures; include the checkpoint's own, to mark it.

    Returns:
        One description a temperature, of the first 100,000 frames; empty when every one of them
        is left out.
    """
    cosine, cycle = cosine[:AUDIT_FRAMES], cycle[:AUDIT_FRAMES]
    described = (describe_soft(assign(cosine, tau), partition, tau, cycle, rng) for tau in grid)
    return tuple(stats for stats in described if stats is not None)


def assign(cosine: Assignments, tau: float) -> Float64[np.ndarray, "frames prototypes"]:
    """c = softmax(cosine / τ)."""
    return softmax(cosine.astype(np.float64) / tau, axis=1)


def cosine_up_to_a_constant(c: Assignments, tau: float) -> Float64[np.ndarray, "frames prototypes"]:
    """Recover cosines from assignments at a known τ: τ log c.

    Each frame's are off by one constant, which a softmax at any temperature takes out again.
    Entries that underflowed to 0 are taken for the smallest number that does not.
    """
    return tau * np.log(np.maximum(c.astype(np.float64), np.finfo(np.float32).tiny))


def reachable_clusters(partition: Partition) -> int:
    """How many clusters the label rule can produce: #{argmax_k S_nk over prototypes n}."""
    return len(np.unique(np.argmax(partition, axis=1)))


def active_clusters(partition: Partition) -> int:
    """#{k : mean_n S_nk > 0.05/K}, the training logs' count.

    A property of S alone: it says nothing about what the agent does or visits.
    """
    return int((partition.mean(axis=0) > ACTIVE_SHARE / partition.shape[1]).sum())


def _change(
    c: Float64[np.ndarray, "frames prototypes"],
    s: Float64[np.ndarray, "frames clusters"],
    stretch: Int[np.ndarray, " frames"],
) -> Change:
    # First, as they take most of the memory.
    windows = [window_mi_bits(c, window, stretch) for window in (5, 10)]
    pair = (stretch[:-1] >= 0) & (stretch[:-1] == stretch[1:])
    now, after = s[:-1][pair], s[1:][pair]
    some = bool(pair.any())
    norm = np.linalg.norm(now, axis=1) * np.linalg.norm(after, axis=1)
    return Change(
        window_mi_5_bits=windows[0],
        window_mi_10_bits=windows[1],
        step_jsd_bits=float(np.mean(divergence_bits(now, after))) if some else None,
        temporal=float(np.square(now - after).sum(axis=1).mean()) if some else None,
        temp_stability=float(np.mean(1 - (now * after).sum(axis=1) / norm)) if some else None,
    )
