"""Which label of one run is which of another's, so that their graphs can be laid on each other."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np
from jaxtyping import Float32, Float64, Int

from glassviz.analysis.correspondence import (
    Matching,
    contingency,
    match_by_frames,
    match_by_phase,
    phase_profiles,
)
from glassviz.analysis.fitted_labels import FittedLabels
from glassviz.comparison.phase_matches import rhythmic_gait
from glassviz.errors import GlassvizError
from glassviz.gait.answers import gait_answers
from glassviz.gait.gait import Gait
from glassviz.gait.verdict import gait_verdict, run_gait
from glassviz.graphs.run_graph import RunGraph
from glassviz.relabel import FITTED, labels_path
from glassviz.trace import Trace

if TYPE_CHECKING:
    from glassviz.agents.glass import LabelRule

BANK_FRAMES = 6_000
"""Of each run, evenly in time: what both agents are asked about."""

MatchedBy = Literal["checkpoint", "frames", "phase"]

MATCHED_BY: dict[MatchedBy, str] = {
    "checkpoint": "both runs have the same prototypes and labels",
    "frames": "labels matched by what both agents call the same frames (Hungarian method)",
    "phase": "labels matched by the phase of the gait that they live in (Hungarian method)",
}


@dataclass(frozen=True, eq=False)
class Source:
    """A run with all that its labels can be matched by.

    Attributes:
        graph: of the run.
        trace: with the labels that the graph is of.
        gaits: of its episodes.
        path: the trace's file.
        checkpoint: the agent's file; None for a run that was given as a trace.
        labels: that were asked for, as for `relabel.load_labelled`.
    """

    graph: RunGraph
    trace: Trace
    gaits: list[Gait]
    path: Path
    checkpoint: Path | None
    labels: str


def same_labels(one: RunGraph, other: RunGraph) -> bool:
    """Whether labels and prototypes of two runs are the same ones."""
    return (one.checkpoint_sha256, one.labels_sha256, one.label_rule) == (
        other.checkpoint_sha256,
        other.labels_sha256,
        other.label_rule,
    )


def match(one: Source, other: Source) -> tuple[Matching, MatchedBy]:
    """Match the labels of two checkpoints.

    By the frames of both runs, if both agents are at hand to be asked about them; else by the
    phases of their gaits.

    Raises:
        GlassvizError: there is neither.
    """
    if one.checkpoint and other.checkpoint:
        return _by_frames(one, other), "frames"
    gait = _rhythmic_gait(one)
    corresponding = gait is not None and gait == _rhythmic_gait(other)
    found = match_by_phase(_profiles(one), _profiles(other)) if corresponding else None
    if found is None or not (found.partner >= 0).any():
        raise GlassvizError(
            f"--compare: expected two checkpoints, or traces whose labels live in the same phases "
            f"of one gait, found neither in {one.graph.run} and {other.graph.run}: give the "
            f"checkpoints instead of their traces"
        )
    return found, "phase"


def _rhythmic_gait(source: Source) -> str | None:
    name = run_gait([gait_verdict(gait) for gait in source.gaits]).name
    return rhythmic_gait(name, [gait_answers(gait).rhythmic for gait in source.gaits])


def _by_frames(one: Source, other: Source) -> Matching:
    bank = np.concatenate([_observations(one), _observations(other)])
    a, b = _labels(one, bank), _labels(other, bank)
    shape = one.graph.partition.shape[1], other.graph.partition.shape[1]
    return match_by_frames(contingency(a, b, *shape))


def _observations(source: Source) -> Float32[np.ndarray, "frames obs"]:
    trace = source.trace
    opening = np.array([gait.opening_end for gait in source.gaits])
    obs = trace.obs[np.arange(trace.frames) >= opening[:, None]]
    obs = obs[np.isfinite(obs).all(axis=1)]
    kept = np.linspace(0, max(len(obs) - 1, 0), min(BANK_FRAMES, len(obs))).round()
    return obs[kept.astype(np.int64)]


def _labels(source: Source, obs: Float32[np.ndarray, "frames obs"]) -> Int[np.ndarray, " frames"]:
    from glassviz import checkpoints
    from glassviz.comparison.labelling import label_observations

    assert source.checkpoint is not None
    agent = checkpoints.load(source.checkpoint)
    fitted = None
    if source.graph.labels_from == FITTED:
        sha256 = source.graph.checkpoint_sha256
        file = labels_path(source.path.parent, sha256)
        if source.labels != FITTED:
            file = Path(source.labels)
        fitted = FittedLabels.load(file, sha256)
    rule: LabelRule = "soft" if source.graph.label_rule == "soft" else "nearest-prototype"
    return label_observations(agent, obs, rule, fitted)


def _profiles(source: Source) -> Float64[np.ndarray, "clusters bins"]:
    phase = np.concatenate([gait.cycles.phase for gait in source.gaits])
    cycle = np.concatenate([gait.cycles.cycle for gait in source.gaits])
    label = source.trace.label.reshape(-1).astype(np.int64)
    return phase_profiles(label, phase, cycle, source.graph.partition.shape[1])
