"""Figure of the mean pose of each label, with some of its frames behind it."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Bool, Float64
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from glassviz.agents.config import Physics
from glassviz.errors import GlassvizError
from glassviz.figures.graph_drawing import percent
from glassviz.figures.style import (
    COLUMN_INCHES,
    FAINT,
    INK,
    PLAIN,
    WIDE_INCHES,
    FigureStyle,
    shortened,
    style,
    text_width,
)
from glassviz.gait.gait import Gait
from glassviz.metrics.labels import LabelName
from glassviz.metrics.transitions import cycle_order, dominant_cycles
from glassviz.palette import ink_on, label_color
from glassviz.text import count_of
from glassviz.trace import Trace

SAMPLES = 12
"""Frames of each label that are drawn behind its mean pose."""

PANEL_INCHES = 0.8
"""Smallest width of a panel."""

TALLEST_INCHES, TALLEST_WIDE_INCHES = 1.0, 1.5
"""Largest height of a drawing, and that in a wide figure."""

TITLE_SIZE, FACT_SIZE = 7.5, 6.5
TITLE_POINTS, FACT_POINTS = 13.0, 9.0
"""Height of a panel's title, and of a line of numbers."""

GAP_POINTS = 4.0
MARGIN_M = 0.1
"""Room around the poses, m."""


@dataclass(frozen=True, eq=False)
class Pose:
    """The frames of one label.

    Attributes:
        name: gait phase in which the label occurs most, or the name that a user gave it.
        share: of all frames of all labels, in [0, 1].
        mean: generalised positions: means of the height of the root and, on the circle, of all
            angles. The forward position is 0, as in `samples`.
        samples: those of some frames, drawn at random.
        height_m, speed_mps: torso over foot, and forward speed: mean and standard deviation.
    """

    label: int
    name: str
    frames: int
    share: float
    mean: Float64[np.ndarray, " nq"]
    samples: Float64[np.ndarray, "samples nq"]
    height_m: tuple[float, float]
    speed_mps: tuple[float, float]


def mean_poses(
    trace: Trace, gaits: Sequence[Gait], names: Iterable[LabelName], episodes: Sequence[int]
) -> tuple[Pose, ...]:
    """The pose of each label that occurs, in the order in which a gait cycle visits them.

    Frames are those of `episodes`, counted from 0, after their initial transients. The same trace
    always gives the same.

    Raises:
        GlassvizError: there are no labels, or no such frames.
    """
    after = np.arange(trace.frames) >= np.array([gait.opening_end for gait in gaits])[:, None]
    after &= np.isin(np.arange(trace.episodes), episodes)[:, None] & (trace.label >= 0)
    if not after.any():
        raise GlassvizError(
            f"{trace.header['checkpoint']['name']}: expected labelled frames after the initial "
            f"transients for poses, found none: record longer episodes, or another agent"
        )
    label = np.where(after, trace.label, -1).astype(np.int64)
    named = {each.label: each for each in names}
    phase = {k: each.phase for k, each in named.items()}
    order = cycle_order(dominant_cycles(label), phase, trace.clusters)
    rng = np.random.default_rng(int(trace.sha256[:16], 16))
    return tuple(
        _pose(trace, label == k, named[k].name if k in named else "", k, int(after.sum()), rng)
        for k in order
        if (label == k).any()
    )


def _pose(
    trace: Trace,
    of_label: Bool[np.ndarray, "episodes frames"],
    name: str,
    label: int,
    total: int,
    rng: np.random.Generator,
) -> Pose:
    qpos = trace.qpos[of_label].copy()
    qpos[:, 0] = 0.0
    angles = np.angle(np.exp(1j * qpos[:, 2:]).mean(axis=0))
    drawn = np.sort(rng.choice(len(qpos), min(SAMPLES, len(qpos)), replace=False))
    height, speed = trace.height[of_label], trace.speed[of_label]
    return Pose(
        label=label,
        name=name,
        frames=len(qpos),
        share=len(qpos) / total,
        mean=np.array([0.0, qpos[:, 1].mean(), *angles]),
        samples=qpos[drawn],
        height_m=(float(height.mean()), float(height.std())),
        speed_mps=(float(speed.mean()), float(speed.std())),
    )


def pose_figure(poses: Sequence[Pose], physics: Physics, look: FigureStyle = PLAIN) -> Figure:
    """Draw a panel per label on one scale: its mean pose, sample poses behind it, and numbers."""
    from glassviz.envs.hopper import side_view

    mean = side_view(physics, np.stack([pose.mean for pose in poses]))
    samples = [side_view(physics, pose.samples) for pose in poses]
    ends = np.concatenate(
        [each.reshape(-1, 2) for view in (mean, *samples) for each in (view.start, view.end)]
    )
    reach = float(np.abs(ends[:, 0]).max()) + MARGIN_M
    low, high = min(float(ends[:, 1].min()), 0.0) - MARGIN_M, float(ends[:, 1].max()) + MARGIN_M
    with style(look):
        width = 72 * look.inches(COLUMN_INCHES)
        columns = max(1, min(len(poses), int(width / 72 / PANEL_INCHES)))
        rows = math.ceil(len(poses) / columns)
        panel = (width - GAP_POINTS * (columns + 1)) / columns
        tallest = TALLEST_WIDE_INCHES if width >= 72 * WIDE_INCHES else TALLEST_INCHES
        points_per_m = min(panel / (2 * reach), 72 * tallest / (high - low))
        drawing = points_per_m * (high - low)
        step = TITLE_POINTS + drawing + 4 * FACT_POINTS + GAP_POINTS
        figure = Figure(figsize=(width / 72, (rows * step + GAP_POINTS) / 72))
        total = rows * step + GAP_POINTS
        for i, pose in enumerate(poses):
            row, column = divmod(i, columns)
            left, top = GAP_POINTS + column * (panel + GAP_POINTS), GAP_POINTS + row * step

            def box(y: float, height: float, left: float = left) -> Any:
                place = left / width, 1 - (y + height) / total, panel / width, height / total
                return figure.add_axes(place)

            _title(box(top, TITLE_POINTS), pose, panel)
            axes = box(top + TITLE_POINTS, drawing)
            half = panel / points_per_m / 2
            axes.set(xlim=(-half, half), ylim=(low, high))
            axes.axis("off")
            axes.plot([-half, half], [0, 0], color=FAINT, linewidth=1, zorder=0)
            color = label_color(pose.label)
            for view, which, alpha in (
                *((samples[i], j, 0.16) for j in range(len(pose.samples))),
                (mean, i, 1.0),
            ):
                _body(axes, view.start[which], view.end[which], view.radius, points_per_m, color,
                      alpha)  # fmt: skip
            _facts(box(top + TITLE_POINTS + drawing, 4 * FACT_POINTS), pose)
    return figure


def _title(axes: Axes, pose: Pose, width: float) -> None:
    """The label's number on its colour, and its name."""
    axes.set(xlim=(0, width), ylim=(TITLE_POINTS, 0))
    axes.axis("off")
    color, number = label_color(pose.label), str(pose.label)
    chip = max(text_width(number, TITLE_SIZE, bold=True) + 4, 10.0)
    axes.add_patch(Rectangle((0, 1), chip, 10, color=color, linewidth=0))
    look: Any = {"va": "center_baseline", "fontsize": TITLE_SIZE, "parse_math": False}
    axes.text(chip / 2, 6, number, ha="center", color=ink_on(color), weight="bold", **look)
    axes.text(chip + 3, 6, shortened(pose.name, width - chip - 3, TITLE_SIZE), **look)


def _body(
    axes: Axes,
    start: Float64[np.ndarray, "parts 2"],
    end: Float64[np.ndarray, "parts 2"],
    radius: Float64[np.ndarray, " parts"],
    points_per_m: float,
    color: str,
    alpha: float,
) -> None:
    """The parts of a body as thick lines with round ends; the mean has an edge of ink."""
    edge = 1.2 if alpha == 1 else 0.0
    for ink, wider in ((INK, edge), (color, 0.0)):
        if ink == INK and not edge:
            continue
        for a, b, r in zip(start, end, radius, strict=True):
            look: Any = {"color": ink, "alpha": alpha, "solid_capstyle": "round"}
            axes.plot(*zip(a, b, strict=True), linewidth=2 * r * points_per_m + wider, **look)


def _facts(axes: Axes, pose: Pose) -> None:
    axes.set(xlim=(0, 1), ylim=(4 * FACT_POINTS, 0))
    axes.axis("off")
    lines = (
        percent(pose.share),
        f"n = {pose.frames:,}",
        f"{pose.height_m[0]:.2f} ± {pose.height_m[1]:.2f} m",
        f"{pose.speed_mps[0]:.1f} ± {pose.speed_mps[1]:.1f} m/s",
    )
    for i, line in enumerate(lines):
        axes.text(0, (i + 0.8) * FACT_POINTS, line, fontsize=FACT_SIZE)


def caption(poses: Sequence[Pose], episodes: int) -> str:
    """Caption of the poses."""
    frames = sum(pose.frames for pose in poses)
    most = max(len(pose.samples) for pose in poses)
    return (
        f"Mean pose of each label, in the order of the gait cycle, over {frames:,} frames of "
        f"{count_of(episodes, 'episode')} without the initial transients. Solid: means of the "
        f"joint angles and of the height of the body, a pose that need not occur; pale: up to "
        f"{most} frames of the label, drawn at random. All have the root of the body at one place "
        f"and move to the right; the line is the floor. Below: share of the frames, number of "
        f"frames n, height of the torso over the foot and forward speed (mean ± standard "
        f"deviation over frames)."
    )
