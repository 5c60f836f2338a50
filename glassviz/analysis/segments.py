"""Segments: how long labels stay, how often they switch, and how much of that is flicker.

A label of −1 leaves its frame out (outside of an episode, not steady, no label): nothing is
counted across it, and a segment beside it is censored, for nobody saw where it began or ended.
"""

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace

import numpy as np
from jaxtyping import Bool, Float64, Int

from glassviz.analysis.information import entropy_bits, stretches

FLICKER_FRAMES = 2
"""A segment of so many frames or fewer is taken for flicker."""

VISITED_SHARE = 0.01
"""A label counts as visited with more than this share of the frames."""

STUCK_SHARE = 0.8
"""With one label for so much of the time, a run is called stuck."""

Labels = Int[np.ndarray, " frames"]


@dataclass(frozen=True, eq=False)
class Segments:
    """Maximal runs of one label in consecutive frames, in the order of time.

    Attributes:
        label: of each segment.
        start: its first frame.
        length: d, in frames.
        open_start, open_end: whether the frame before, or behind, is left out, so that the
            segment may be longer than what was seen of it.
    """

    label: Int[np.ndarray, " segments"]
    start: Int[np.ndarray, " segments"]
    length: Int[np.ndarray, " segments"]
    open_start: Bool[np.ndarray, " segments"]
    open_end: Bool[np.ndarray, " segments"]

    @property
    def censored(self) -> Bool[np.ndarray, " segments"]:
        """Segments whose whole length is unknown."""
        return self.open_start | self.open_end

    @property
    def flicker(self) -> Bool[np.ndarray, " segments"]:
        """Segments that are seen whole, and last two frames at most."""
        return ~self.censored & (self.length <= FLICKER_FRAMES)

    @property
    def returns(self) -> Bool[np.ndarray, " segments"]:
        """Flicker B in A-B-A: the label comes back to what it was."""
        around = np.zeros(len(self.label), bool)
        around[1:-1] = self.label[:-2] == self.label[2:]
        return self.flicker & around


def find_segments(label: Labels) -> Segments:
    """Cut an episode's labels into segments."""
    stretch = stretches(label >= 0)
    kept = np.flatnonzero(stretch >= 0)
    if not len(kept):
        empty, none = np.zeros(0, np.int64), np.zeros(0, bool)
        return Segments(empty, empty, empty, none, none)
    value, part = label[kept], stretch[kept]
    cut = np.flatnonzero((np.diff(value) != 0) | (np.diff(part) != 0)) + 1
    first = np.concatenate([[0], cut])
    last = np.concatenate([cut, [len(kept)]]) - 1
    alone = np.concatenate([[True], np.diff(part[first]) != 0, [True]])
    return Segments(
        label=value[first].astype(np.int64),
        start=kept[first],
        length=last - first + 1,
        open_start=alone[:-1],
        open_end=alone[1:],
    )


def pooled(episodes: Sequence[Segments], frames: int) -> Segments:
    """The segments of several episodes of so many frames each, laid one behind the other."""
    parts = [replace(each, start=each.start + i * frames) for i, each in enumerate(episodes)]
    names = [field.name for field in fields(Segments)]
    return Segments(**{n: np.concatenate([getattr(each, n) for each in parts]) for n in names})


@dataclass(frozen=True)
class Switching:
    """How often the label changes.

    Attributes:
        rate_hz: switches per second of observed time. 0: a constant label.
        per_cycle: switches per gait cycle. A clean gait of m phases has m; more is chatter.
        flicker_share: share of the segments seen whole that last two frames or fewer, in [0, 1].
        return_share: share of the segments seen whole that are such flicker and lead back to the
            label before (A-B-A), in [0, flicker_share].

    Each is None where it has nothing to be computed from: no two consecutive frames, no gait
    cycle, no segment seen whole.
    """

    rate_hz: float | None
    per_cycle: float | None
    flicker_share: float | None
    return_share: float | None


def switching(
    label: Labels, cycle: Int[np.ndarray, " frames"], segments: Segments, dt_s: float
) -> Switching:
    """Count the switches of an episode.

    Args:
        label: of each frame; −1: left out.
        cycle: gait cycle of each frame; −1 outside of cycles.
        segments: of these labels.
        dt_s: seconds between frames.
    """
    pair = (label[1:] >= 0) & (label[:-1] >= 0)
    changed = pair & (label[1:] != label[:-1])
    rate = changed.sum() / pair.sum() if pair.any() else None
    # A pair belongs to the cycle of its second frame, so that each cycle has as many as frames.
    inside = cycle >= 0
    in_cycle = pair & inside[1:]
    per_cycle = None
    if in_cycle.any():
        counted = inside & (label >= 0)
        period = counted.sum() / len(np.unique(cycle[counted]))
        per_cycle = float(changed[inside[1:]].sum() / in_cycle.sum() * period)
    whole = int((~segments.censored).sum())
    return Switching(
        rate_hz=float(rate / dt_s) if rate is not None else None,
        per_cycle=per_cycle,
        flicker_share=float(segments.flicker.sum() / whole) if whole else None,
        return_share=float(segments.returns.sum() / whole) if whole else None,
    )


@dataclass(frozen=True)
class Dwell:
    """How long one label stays, from the segments that were seen whole.

    Attributes:
        label: which.
        segments: seen whole.
        censored: segments cut off by the ends of what was observed; not in the figures below.
        median_frames, mean_frames, iqr_frames: of the length; iqr from quartile to quartile.
        median_s, mean_s, iqr_s: the same in seconds.
        cv: standard deviation over mean. Near 1 for a memoryless label, far below for a clocked
            one, 0 for a perfect clock. None with fewer than two segments.

    The figures are None without a segment seen whole.
    """

    label: int
    segments: int
    censored: int
    median_frames: float | None = None
    mean_frames: float | None = None
    iqr_frames: float | None = None
    median_s: float | None = None
    mean_s: float | None = None
    iqr_s: float | None = None
    cv: float | None = None


def dwell_times(segments: Segments, dt_s: float) -> tuple[Dwell, ...]:
    """The dwell of every label that occurs, by label."""
    return tuple(_dwell(segments, int(k), dt_s) for k in np.unique(segments.label))


def _dwell(segments: Segments, label: int, dt_s: float) -> Dwell:
    own = segments.label == label
    length = segments.length[own & ~segments.censored]
    censored = int((own & segments.censored).sum())
    if not len(length):
        return Dwell(label, 0, censored)
    low, median, high = np.quantile(length, [0.25, 0.5, 0.75]).tolist()
    mean = float(length.mean())
    return Dwell(
        label=label,
        segments=len(length),
        censored=censored,
        median_frames=median,
        mean_frames=mean,
        iqr_frames=high - low,
        median_s=median * dt_s,
        mean_s=mean * dt_s,
        iqr_s=(high - low) * dt_s,
        cv=float(length.std(ddof=1) / mean) if len(length) > 1 else None,
    )


def clock_cv(dwells: Sequence[Dwell]) -> float | None:
    """Coefficient of variation of the dwell within labels: mean over labels, by segments.

    Pooled over labels a perfect clock with long and short phases would look irregular. None when
    no label has two segments seen whole.
    """
    rated = [(dwell.cv, dwell.segments) for dwell in dwells if dwell.cv is not None]
    if not rated:
        return None
    cv, weight = zip(*rated, strict=True)
    return float(np.average(cv, weights=weight))


@dataclass(frozen=True, eq=False)
class Occupancy:
    """How the frames are shared out between the labels.

    Attributes:
        share: p_k of each of the K labels; all 0 without frames.
        visited: labels with more than 1 % of the frames. What happens, as opposed to the
            clusters that are active in the partition.
        entropy: −Σ p log p / log K, in [0, 1]; 0 for a stuck run, neither good nor bad by itself.
            None with K = 1 or without frames.
        effective_labels: 2^H, the number of equally frequent labels with the same entropy.
        dominant: the most frequent label, and `dominant_share` its share; None without frames.
    """

    share: Float64[np.ndarray, " clusters"]
    visited: tuple[int, ...]
    entropy: float | None
    effective_labels: float | None
    dominant: int | None
    dominant_share: float | None

    @property
    def stuck(self) -> bool:
        """Whether one label has four fifths of the frames or more."""
        return self.dominant_share is not None and self.dominant_share >= STUCK_SHARE


def occupancy(label: Labels, clusters: int) -> Occupancy:
    """Count the frames of each of K labels."""
    count = np.bincount(label[label >= 0], minlength=clusters)
    if not count.any():
        return Occupancy(np.zeros(clusters), (), None, None, None, None)
    share = count / count.sum()
    bits = float(entropy_bits(share))
    return Occupancy(
        share=share,
        visited=tuple(np.flatnonzero(share > VISITED_SHARE).tolist()),
        entropy=bits / float(np.log2(clusters)) if clusters > 1 else None,
        effective_labels=2.0**bits,
        dominant=int(share.argmax()),
        dominant_share=float(share.max()),
    )
