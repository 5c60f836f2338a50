"""Figure of how often each label is used, by group of runs."""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from glassviz.compare.matching import LabelMatches, MatchedBy, match_labels
from glassviz.compare.runs import ComparedRun, one_per_training, unique_runs
from glassviz.errors import GlassvizError
from glassviz.figures.style import COLUMN_INCHES, INK, PLAIN, FigureStyle, style
from glassviz.metrics.statistics import bootstrap_interval
from glassviz.palette import UNMATCHED_COLORS, label_color
from glassviz.rollout.run import Run
from glassviz.text import count_of, printable
from glassviz.video.clip import CONTROLLER_NAMES

NO_MATCH = -1
"""In place of a label of the reference: labels that correspond to none of its labels."""

FEWEST = 3
"""Checkpoints from which on a group has an interval."""

HEIGHT_INCHES = 2.0
MARKERS = "osD^vP*X"


@dataclass(frozen=True, eq=False)
class Usage:
    """Shares of frames by label, of the checkpoints of some groups.

    Attributes:
        labels: of the reference, those that occur; `NO_MATCH` last, if it does.
        groups: of each group by name, one row per checkpoint with the share of each label, in
            [0, 1]; rows sum to 1.
        reference: the run whose labels these are; None if all runs have the same labels.
        by: how the labels of the others were matched with them.
    """

    labels: tuple[int, ...]
    groups: Mapping[str, np.ndarray]
    reference: str | None
    by: tuple[MatchedBy, ...]


def label_usage(runs: Sequence[Run], tell: Callable[[str], None] = lambda line: None) -> Usage:
    """How often runs use each label: shares of the frames after the initial transients.

    A group is a recipe under a controller. A training run counts once, by its preferred checkpoint.

    Raises:
        GlassvizError: no run has labelled frames after its initial transients.
    """
    counted, _ = one_per_training(unique_runs(list(runs))[0])
    counted = [run for run in counted if run.trace.has_labels and _frames(run).any()]
    if not counted:
        raise GlassvizError(
            "usage: expected runs with labels after their initial transients, found none: record "
            "longer episodes, or fit labels with `glassviz fit` and add --labels fitted"
        )
    matches = match_labels(counted, tell)
    several = len({run.labelling for run in counted}) > 1
    shares: dict[str, list[dict[int, float]]] = {}
    for run in counted:
        shares.setdefault(_group(run), []).append(_shares(run, matches))
    found = {label for rows in shares.values() for row in rows for label in row}
    labels = sorted(found - {NO_MATCH}) + [NO_MATCH] * (NO_MATCH in found)
    pairs = [pair for pair in matches.pairs if matches.reference in (pair.one, pair.other)]
    return Usage(
        labels=tuple(labels),
        groups={
            name: np.array([[row.get(label, 0.0) for label in labels] for row in rows])
            for name, rows in sorted(shares.items())
        },
        reference=matches.reference if several else None,
        by=tuple(dict.fromkeys(pair.by for pair in pairs)),
    )


def _group(run: Run) -> str:
    recipe = ComparedRun.of(run, run.provenance).recipe or "recipe unknown"
    return f"{printable(recipe)}, {CONTROLLER_NAMES[run.controller]}"


def _frames(run: Run) -> np.ndarray:
    """Which frames count: labelled, and after the initial transient of their episode."""
    after = np.arange(run.trace.frames) >= [[gait.opening_end] for gait in run.gaits]
    counted: np.ndarray = after & (run.trace.label >= 0)
    return counted


def _shares(run: Run, matches: LabelMatches) -> dict[int, float]:
    """Share of the frames of a run by the label of the reference that theirs corresponds to."""
    partner = np.array(matches.of_reference(run))
    label = partner[run.trace.label[_frames(run)]]
    return {int(k): float((label == k).mean()) for k in np.unique(np.maximum(label, NO_MATCH))}


def usage_figure(usage: Usage, look: FigureStyle = PLAIN) -> Figure:
    """Draw a column per label and group: a dot per checkpoint, their mean, and its interval."""
    with style(look):
        figure = Figure(figsize=(look.inches(COLUMN_INCHES), HEIGHT_INCHES), layout="constrained")
        axes = figure.subplots()
        step = 0.8 / len(usage.groups)
        for i, (marker, rows) in enumerate(
            zip(_markers(usage), usage.groups.values(), strict=True)
        ):
            for j, label in enumerate(usage.labels):
                x = j + (i - (len(usage.groups) - 1) / 2) * step
                _column(axes, x, 100 * rows[:, j], marker, _color(label), step)
        axes.set(ylabel="share of frames, %", ylim=(0, None), xlim=(-0.6, len(usage.labels) - 0.4))
        names = ["no match" if label == NO_MATCH else str(label) for label in usage.labels]
        axes.set_xticks(range(len(usage.labels)), names)
        axes.set_xlabel("label")
        if look.legend and len(usage.groups) > 1:
            marks = [
                Line2D([], [], marker=marker, color=INK, linestyle="", markersize=4,
                       label=f"{name} (n = {len(rows)})")
                for marker, (name, rows) in zip(_markers(usage), usage.groups.items(), strict=True)
            ]  # fmt: skip
            figure.legend(handles=marks, loc="outside lower center", ncols=1)
    return figure


def _markers(usage: Usage) -> list[str]:
    return [MARKERS[i % len(MARKERS)] for i in range(len(usage.groups))]


def _color(label: int) -> str:
    return UNMATCHED_COLORS[0] if label == NO_MATCH else label_color(label)


def _column(
    axes: Axes, x: float, percents: np.ndarray, marker: str, color: str, step: float
) -> None:
    spread = np.linspace(-0.25, 0.25, len(percents)) * step if len(percents) > 1 else np.zeros(1)
    axes.plot(x + spread, percents, marker, color=color, markersize=3, alpha=0.6, clip_on=False)
    mean = percents.mean()
    axes.plot([x - 0.4 * step, x + 0.4 * step], [mean, mean], color=INK, linewidth=1)
    if len(percents) >= FEWEST:
        found = bootstrap_interval(list(percents), np.random.default_rng(0))
        if found and found.low is not None and found.high is not None:
            axes.plot([x, x], [found.low, found.high], color=INK, linewidth=0.8)


def caption(usage: Usage, shared: Callable[[str, Collection[MatchedBy]], str]) -> str:
    """Caption; `shared` says in a sentence whose labels they are, and how others were matched."""
    groups = "; ".join(
        f"{name}: {count_of(len(rows), 'checkpoint')}" for name, rows in usage.groups.items()
    )
    whose = shared(usage.reference, usage.by) if usage.reference else ""
    return (
        f"Share of the frames of each label, without the initial transients. A dot per checkpoint, "
        f"one of each training run; line: their mean; bar: its 95 % interval (bootstrap over "
        f"checkpoints) for {FEWEST} or more. {groups}. {whose}"
    ).strip()
