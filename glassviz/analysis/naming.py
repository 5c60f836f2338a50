"""Names for labels, from the phase of the gait that they live in."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float64, Int

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
