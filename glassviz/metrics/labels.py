"""Labels of an episode: names by gait phase, and statistics of hard and soft labels."""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from itertools import chain

import numpy as np
from jaxtyping import Float, Float64
from scipy.special import softmax

from glassviz.errors import UsageError
from glassviz.gait.contacts import Mask, Signal
from glassviz.metrics.information import (
    CycleIndex,
    Labels,
    Phases,
    between_groups_bits,
    contiguous_blocks,
    contingency,
    divergence_bits,
    entropy_bits,
    one_hot,
    random_order,
    window_mi_bits,
    within_groups_bits,
)
from glassviz.metrics.locking import (
    CycleAgreement,
    CycleMotifs,
    Locking,
    OnsetLocking,
    PhaseMap,
    Raster,
    cycle_agreement,
    cycle_motifs,
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
    dwell_times,
    find_segments,
    occupancy,
    persistence,
    switching,
    within_label_cv,
)

# Gait phases and label names ----------------------------------------------------------------------

GAIT_PHASES = ("stance", "push-off", "flight", "landing", "lean", "fold", "recover")
"""The first four phases are those of an upright body, the others those of a fall."""

OPENING = "opening"
"""Stands for the gait phase of a label that occurs in initial transients only."""

UNNAMED = "unnamed"
"""Stands for the gait phase of a label of a body whose gait phases are not known."""

RISE_MPS = 0.3
"""Below this vertical speed the body is in stance, neither landing nor pushing off.

A trained hop with 2.8 cycles per second extends its leg at up to 0.7 m/s and turns around below 0.3
m/s. With this threshold its three labels are stance, push-off and flight, as in the film."""

FOLDED_HEIGHT_M = 0.6
"""A body that is not upright has folded below this height of the torso above the foot: the standing
height of the task."""


def gait_phases(stance: Mask, height: Signal, rise_mps: Signal, upright: Mask) -> Labels:
    """Gait phase of each frame, as an index into `GAIT_PHASES`.

    Upright: flight off the floor; on the floor landing while the body sinks, push-off while it
    rises, and stance in between. Not upright: recover while the body rises, otherwise fold below
    standing height and lean above it.

    `height` is that of the torso above the foot, m; `rise_mps` its rate of change, m/s.
    """
    rises, sinks = rise_mps > RISE_MPS, rise_mps < -RISE_MPS
    standing = np.select([~stance, rises, sinks], [2, 1, 3], 0)
    fallen = np.select([rises, height < FOLDED_HEIGHT_M], [6, 5], 4)
    return np.where(upright, standing, fallen)


@dataclass(frozen=True)
class LabelName:
    """Name of a label.

    Attributes:
        name: what figures, films and tables call it: its phase, unless a user named it.
        phase: the most frequent category of its frames; `OPENING` outside of all categories,
            `UNNAMED` where there are none.
        share: share of its frames in that category.
    """

    label: int
    name: str
    phase: str
    share: float
    frames: int


@dataclass(frozen=True)
class PhaseUse:
    """Occupancy of a gait phase, and its most frequent label.

    Attributes:
        share: share of the frames in this phase, in [0, 1].
        label, label_share: most frequent label of its frames, the lowest of ties, and the share of
            its frames that have it; None without frames or labels.
    """

    name: str
    share: float
    label: int | None
    label_share: float | None


def name_labels(
    label: Labels, category: Labels, clusters: int, names: tuple[str, ...] = GAIT_PHASES
) -> tuple[LabelName, ...]:
    """Name every label that occurs, ordered by label.

    Each frame has a category, an index into `names`; −1 leaves a frame out. The first of ties wins.

    Example:
        >>> [name] = name_labels(np.array([1, 1, 1]), np.array([2, 2, 0]), clusters=2)
        >>> name.label, name.name, round(name.share, 2)
        (1, 'flight', 0.67)
    """
    table = contingency(label, category, clusters, len(names))
    found = []
    for k, row in enumerate(table):
        if row.any():
            phase, frames = names[int(row.argmax())], int(row.sum())
            found.append(LabelName(k, phase, phase, float(row.max() / frames), frames))
    return tuple(found)


def names_together(by_run: Sequence[Sequence[LabelName]]) -> tuple[LabelName, ...]:
    """The names of labels that runs of one checkpoint share, ordered by label.

    A label keeps the name that it has in each run. Where these differ, it has all of them, in the
    order of the runs: `push-off / lean`.
    """
    found: dict[int, list[LabelName]] = {}
    for each in chain.from_iterable(by_run):
        found.setdefault(each.label, []).append(each)
    together = []
    for label, own in sorted(found.items()):
        frames = sum(each.frames for each in own)
        together.append(
            LabelName(
                label,
                " / ".join(dict.fromkeys(each.name for each in own)),
                " / ".join(dict.fromkeys(each.phase for each in own)),
                sum(each.share * each.frames for each in own) / frames,
                frames,
            )
        )
    return tuple(together)


def phase_uses(label: Labels | None, category: Labels, clusters: int) -> tuple[PhaseUse, ...]:
    """Occupancy and label of all `GAIT_PHASES`, in that order; empty without frames.

    Each frame has a category, an index into `GAIT_PHASES`; −1 leaves a frame out. Agents without
    labels have no `label`.
    """
    count = np.bincount(category[category >= 0], minlength=len(GAIT_PHASES))
    if not count.any():
        return ()
    shares = (count / count.sum()).tolist()
    label = np.full_like(category, -1) if label is None else label
    table = contingency(label, category, clusters, len(GAIT_PHASES))
    return tuple(
        PhaseUse(name, share, int(column.argmax()), float(column.max() / column.sum()))
        if column.any()
        else PhaseUse(name, share, None, None)
        for name, share, column in zip(GAIT_PHASES, shares, table.T, strict=True)
    )


# Hard labels --------------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class CycleStats:
    """Statistics of hard labels within gait cycles; K clusters. Most are None without cycles.

    Attributes:
        between_cycle_mi_bits: information of the cycle about the label, bits; 0 if all cycles have
            the same label frequencies. Low in a steady gait.
        within_cycle_mi_bits: information of the position in the cycle about the label, in
            [0, log2 K] bits; high if labels resolve the phase.
        raster: label by cycle and phase bin; −1 without a frame.
        phase_map: most frequent label by phase bin.
        agreement: agreement of cycles; None with fewer than two.
        words: label motifs of cycles.
        clear_words: the same without segments as short as flicker.
    """

    between_cycle_mi_bits: float | None
    within_cycle_mi_bits: float | None
    locking: Locking | None
    raster: Raster
    phase_map: PhaseMap
    agreement: CycleAgreement | None
    words: CycleMotifs | None
    clear_words: CycleMotifs | None


@dataclass(frozen=True, eq=False)
class LabelStats(CycleStats):
    """Statistics of the hard labels of one episode, or of its steady frames; K clusters.

    Attributes:
        frames, seconds: labelled frames, and their duration.
        chatter_share: share of the frames that are flicker, outside of cycles with the modal motif:
            a short label that most cycles have at the same place belongs to the gait. None without
            frames.
        dwell_cv: mean coefficient of variation of the dwell time, see `within_label_cv`.
        window_mi_5_bits, window_mi_10_bits: `window_mi_bits` of one-hot labels over 5 and 10
            frames; 0 if no window contains a switch. None if no window fits.
        window_mi_5_random_bits, window_mi_10_random_bits: the same for frames in random order.
        onsets: onset statistics of every label with an onset in a cycle.
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
    label: Labels,
    phase: Phases,
    cycle: CycleIndex,
    dt_s: float,
    clusters: int,
    rng: np.random.Generator,
    replicates: int = REPLICATES,
    within_cycles: CycleStats | None = None,
) -> LabelStats:
    """Describe the labels of one episode.

    Args:
        label: of each frame, 0 … K − 1; `np.where(steady, label, -1)` for steady frames only.
        within_cycles: these statistics if known already: those of all frames hold for steady ones.

    Raises:
        UsageError: a label is not below K.

    Example:
        >>> cycle = np.repeat(np.arange(10), 20)
        >>> phase = np.tile(np.arange(20) * 2 * np.pi / 20, 10)
        >>> label = np.tile(np.repeat([0, 1], 10), 10)
        >>> stats = describe(label, phase, cycle, 0.02, 2, np.random.default_rng(0), replicates=99)
        >>> round(stats.switching.rate_hz, 2), stats.words.modal, stats.agreement.fleiss_kappa
        (4.77, (0, 1), 1.0)
    """
    if len(label) and int(label.max()) >= clusters:
        raise UsageError(
            f"labels: expected labels below K = {clusters}, found {int(label.max())}: give the "
            f"number of clusters of the agent that they come from"
        )
    label = np.where(label >= 0, label, -1).astype(np.int64)
    labelled = label >= 0
    frames, segments = int(labelled.sum()), find_segments(label)
    dwell = dwell_times(segments, dt_s)
    hard, block = one_hot(label, clusters), contiguous_blocks(labelled)
    # Separate streams keep p-values independent of the number of frames outside of cycles.
    orders, rotations, resamples = rng.spawn(3)
    shuffled = hard[random_order(labelled, orders)]
    one_block = np.zeros(len(shuffled), np.int64)
    if within_cycles is None:
        group, raster = np.where(labelled, cycle, -1), phase_raster(label, phase, cycle)
        within_cycles = CycleStats(
            between_cycle_mi_bits=between_groups_bits(hard, group),
            within_cycle_mi_bits=within_groups_bits(hard, group),
            locking=locking(label, phase, cycle, rotations, replicates),
            raster=raster,
            phase_map=phase_map(raster),
            agreement=cycle_agreement(raster, resamples),
            words=cycle_motifs(label, cycle),
            clear_words=cycle_motifs(label, cycle, FLICKER_FRAMES + 1),
        )
    chatter = segments.flicker
    if within_cycles.words:
        chatter &= ~in_modal_cycle(within_cycles.words, cycle, label)[segments.start]
    return LabelStats(
        **{field.name: getattr(within_cycles, field.name) for field in fields(CycleStats)},
        frames=frames,
        seconds=frames * dt_s,
        segments=segments,
        switching=switching(label, cycle, segments, dt_s),
        chatter_share=float(segments.length[chatter].sum() / frames) if frames else None,
        dwell=dwell,
        dwell_cv=within_label_cv(dwell),
        occupancy=occupancy(label, clusters),
        persistence=persistence(label, dt_s),
        window_mi_5_bits=window_mi_bits(hard, 5, block),
        window_mi_10_bits=window_mi_bits(hard, 10, block),
        window_mi_5_random_bits=window_mi_bits(shuffled, 5, one_block),
        window_mi_10_random_bits=window_mi_bits(shuffled, 10, one_block),
        onsets=onset_locking(segments, phase),
    )


# Soft assignments ---------------------------------------------------------------------------------

TAU_GRID = (0.02, 0.05, 0.1, 0.2, 0.4, 0.7, 1.0, 2.0)
"""Temperatures of an audit, from hard to flat assignments."""

AUDIT_FRAMES = 100_000
"""Maximum number of frames of an audit; more would not change its curves."""

ACTIVE_SHARE = 0.05
"""A cluster is active if its share of S exceeds this fraction of a uniform share."""

Assignments = Float[np.ndarray, "frames prototypes"]
Partition = Float[np.ndarray, "prototypes clusters"]


@dataclass(frozen=True)
class Change:
    """Change of soft assignments over time; 0 if constant. None without consecutive frames.

    Attributes:
        window_mi_5_bits, window_mi_10_bits: `window_mi_bits` of c over 5 and 10 frames; None if no
            window fits.
        step_jsd_bits: mean Jensen-Shannon divergence of consecutive s, in [0, 1] bit.
        temporal: mean squared distance of consecutive s, the training term of this name.
        temp_stability: mean 1 − cosine of consecutive s, the training term of this name.
    """

    window_mi_5_bits: float | None
    window_mi_10_bits: float | None
    step_jsd_bits: float | None
    temporal: float | None
    temp_stability: float | None


@dataclass(frozen=True)
class SoftStats:
    """Statistics of soft assignments at one temperature: c over prototypes, s = c S over clusters.

    Attributes:
        change, change_in_random_order: change over time, and the same for frames in random order;
            `change` is informative only as far as it is smaller.
        between_cycle_mi_bits: divergence of s between gait cycles, in [0, log2 K]; low in a steady
            gait with any labels. None without gait cycles.
        within_cycle_mi_bits: divergence of s within a cycle, in [0, log2 K]; high if the clusters
            resolve the phase. None without gait cycles.
        confidence: mean largest entry of s, in [1/K, 1].
        margin: mean difference of the two largest entries of s, in [0, 1]; None with K = 1.
        entropy: mean normalised entropy H(s) / log K, in [0, 1]; 1 if uniform. None with K = 1.
        rule_agreement: share of the frames in which the cluster of the nearest prototype is the
            largest entry of s. If low, hard and soft labels disagree.
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
    c: Assignments, partition: Partition, tau: float, cycle: CycleIndex, rng: np.random.Generator
) -> SoftStats | None:
    """Describe the soft assignments of one episode; None if every frame is left out.

    `c` are soft assignments at temperature `tau`, NaN in frames that are left out; rows of the
    partition S sum to 1; `rng` draws the random order.

    Example:
        >>> c = np.tile([[0.9, 0.1], [0.2, 0.8]], (5, 1))
        >>> stats = describe_soft(c, np.eye(2), 0.1, np.full(10, -1), np.random.default_rng(0))
        >>> round(stats.confidence, 2), round(stats.margin, 2), stats.rule_agreement
        (0.85, 0.7, 1.0)
    """
    assigned = ~np.isnan(c[:, 0])
    if not assigned.any():
        return None
    # Cumulative sums run over all frames; windows with frames left out are discarded later.
    c = np.where(assigned[:, None], c, 0).astype(np.float64)
    s = c @ partition.astype(np.float64)
    order = random_order(assigned, rng)
    nearest = np.argmax(partition, axis=1)[np.argmax(c, axis=1)[assigned]]
    kept, clusters, group = s[assigned], partition.shape[1], np.where(assigned, cycle, -1)
    ranked, several = np.sort(kept, axis=1), clusters > 1
    return SoftStats(
        tau=tau,
        change=_change(c, s, contiguous_blocks(assigned)),
        change_in_random_order=_change(c[order], s[order], np.zeros(len(order), np.int64)),
        between_cycle_mi_bits=between_groups_bits(s, group),
        within_cycle_mi_bits=within_groups_bits(s, group),
        confidence=float(ranked[:, -1].mean()),
        margin=float((ranked[:, -1] - ranked[:, -2]).mean()) if several else None,
        entropy=float(np.mean(entropy_bits(kept)) / np.log2(clusters)) if several else None,
        rule_agreement=float(np.mean(nearest == np.argmax(kept, axis=1))),
    )


def temperature_audit(
    cosine: Assignments,
    partition: Partition,
    cycle: CycleIndex,
    rng: np.random.Generator,
    grid: Sequence[float] = TAU_GRID,
) -> tuple[SoftStats, ...]:
    """Statistics of the first 100,000 frames by temperature; empty if all are left out.

    `cosine` is that of each latent and each prototype, or `cosine_up_to_a_constant`. `rng` draws
    the random orders.
    """
    cosine, cycle = cosine[:AUDIT_FRAMES], cycle[:AUDIT_FRAMES]
    audit = (describe_soft(soft_assignment(cosine, t), partition, t, cycle, rng) for t in grid)
    return tuple(stats for stats in audit if stats is not None)


def soft_assignment(cosine: Assignments, tau: float) -> Float64[np.ndarray, "frames prototypes"]:
    """c = softmax(cosine / τ)."""
    return softmax(cosine.astype(np.float64) / tau, axis=1)


def cosine_up_to_a_constant(c: Assignments, tau: float) -> Float64[np.ndarray, "frames prototypes"]:
    """Recover cosines from soft assignments at a known τ, up to a constant per frame: τ log c.

    A softmax removes the constant. Entries that underflowed to 0 count as the smallest positive
    number.
    """
    return tau * np.log(np.maximum(c.astype(np.float64), np.finfo(np.float32).tiny))


def reachable_clusters(partition: Partition) -> int:
    """Number of clusters that the label rule can produce: #{argmax_k S_nk over prototypes n}.

    Example:
        >>> reachable_clusters(np.array([[0.9, 0.1], [0.6, 0.4]]))
        1
    """
    return len(np.unique(np.argmax(partition, axis=1)))


def active_clusters(partition: Partition) -> int:
    """Number of active clusters #{k : mean_n S_nk > 0.05/K} of S alone, as in the training logs."""
    return int((partition.mean(axis=0) > ACTIVE_SHARE / partition.shape[1]).sum())


def _change(
    c: Float64[np.ndarray, "frames prototypes"],
    s: Float64[np.ndarray, "frames clusters"],
    block: Labels,
) -> Change:
    # First, since they take most of the memory.
    windows = [window_mi_bits(c, window, block) for window in (5, 10)]
    pair = (block[:-1] >= 0) & (block[:-1] == block[1:])
    now, after = s[:-1][pair], s[1:][pair]
    defined = bool(pair.any())
    norm = np.linalg.norm(now, axis=1) * np.linalg.norm(after, axis=1)
    # A trace may hold assignments of nothing to nothing, which have no angle.
    cosine = (now * after).sum(axis=1)[norm > 0] / norm[norm > 0]
    return Change(
        window_mi_5_bits=windows[0],
        window_mi_10_bits=windows[1],
        step_jsd_bits=float(np.mean(divergence_bits(now, after))) if defined else None,
        temporal=float(np.square(now - after).sum(axis=1).mean()) if defined else None,
        temp_stability=float(np.mean(1 - cosine)) if cosine.size else None,
    )
