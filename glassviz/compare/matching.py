"""Which label of one run is which of another's: the one answer that all commands give.

Labels of two agents are matched by what both call the same observations, where both checkpoints
are at hand; else by the phase of a gait that both runs have.
"""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import cache, cached_property
from itertools import combinations
from operator import attrgetter
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from jaxtyping import Float32, Int

from glassviz.compare.runs import (
    ComparedRun,
    Mismatch,
    NoCorrespondence,
    NoFrames,
    TooFewCheckpoints,
    checkpoint_names,
    worth,
)
from glassviz.gait.gait import Gait
from glassviz.metrics.agreement import (
    Matching,
    Profiles,
    match_by_frames,
    match_by_phase,
    medoid,
    pairwise_ami,
    phase_profiles,
)
from glassviz.metrics.fitted_labels import FittedLabels
from glassviz.metrics.information import Labels, contingency
from glassviz.metrics.nulls import PHASE_BINS
from glassviz.metrics.stability import RunStability, of_one_clock
from glassviz.rollout.run import Labelling, Run

if TYPE_CHECKING:
    from glassviz.agents.glass import LabelRule
    from glassviz.checkpoints import Checkpoint


PROBE_FRAMES = 12_000
"""Of all runs together: each gives its share, or all that it has."""

PIECE_S = 1.0
"""Frames outside of gait cycles are drawn in stretches of this length."""


@dataclass(frozen=True, eq=False)
class Frames:
    """Observations from one trace, without the openings of its episodes.

    Attributes:
        cycle: gait cycle of each frame, −1 outside; no two episodes share a number.
    """

    obs: Float32[np.ndarray, "frames obs"]
    cycle: Int[np.ndarray, " frames"]
    episode: Int[np.ndarray, " frames"]


@dataclass(frozen=True, eq=False)
class ProbeSet(Frames):
    """Observations of several runs, one run after the other, that agents are asked about.

    Attributes:
        cycle: each cycle's frames are in a row.
        episode: numbered among those of all runs.
        source: number of the run that each frame is from.
    """

    source: Int[np.ndarray, " frames"]


def draw(run: Run, quota: int) -> Frames:
    """Draw `quota` frames of a run, or all: whole gait cycles, and stretches of what lies between.

    The same trace and quota always give the same frames.
    """
    episodes, frames, size = run.obs.shape
    obs = run.obs.reshape(-1, size)
    cycle, piece = _pieces(run.gaits, frames)
    piece[~np.isfinite(obs).all(axis=1)] = -1
    rng = np.random.default_rng(int(run.recorded_sha256[:16], 16))
    length = np.bincount(piece[piece >= 0])
    order = rng.permutation(len(length))
    upto = np.cumsum(length[order])
    kept = np.isin(piece, order[upto <= quota])
    over = order[upto > quota][:1]
    if len(over):
        # The stretch that is one too many fills up what is left; a part is no cycle.
        part = np.flatnonzero(piece == over[0])[: quota - int(kept.sum())]
        kept[part], cycle[part] = True, -1
    return Frames(obs[kept], cycle[kept], np.repeat(np.arange(episodes), frames)[kept])


def numbered_apart(numbers: Sequence[Int[np.ndarray, " _"]]) -> Labels:
    """Numbers of episodes or runs in a row, raised so that no two of these share one; −1 stays."""
    starts = np.cumsum([0, *(int(each.max(initial=-1)) + 1 for each in numbers)])
    raised = zip(numbers, starts[:-1], strict=True)
    return np.concatenate([np.where(each >= 0, each + start, -1) for each, start in raised])


def gather(frames: Sequence[Frames]) -> ProbeSet:
    """Put the frames of all runs into one probe set."""
    return ProbeSet(
        obs=np.concatenate([each.obs for each in frames]),
        cycle=numbered_apart([each.cycle for each in frames]),
        episode=numbered_apart([each.episode for each in frames]),
        source=np.repeat(np.arange(len(frames)), [len(each.cycle) for each in frames]),
    )


def _pieces(gaits: Sequence[Gait], frames: int) -> tuple[Labels, Labels]:
    """Gait cycle and stretch of every frame of all episodes; −1: none, or in an opening."""
    pieces = []
    frame = np.arange(frames)
    for gait in gaits:
        span = max(round(PIECE_S / gait.dt_s), 1)
        cycle = gait.cycles.cycle
        changes = (np.diff(cycle, prepend=-2) != 0) | ((cycle < 0) & (frame % span == 0))
        pieces.append(np.cumsum(changes) - 1)
    after = np.concatenate([frame >= gait.opening_end for gait in gaits])
    cycles = numbered_apart([gait.cycles.cycle for gait in gaits])
    return cycles, np.where(after, numbered_apart(pieces), -1)


BATCH = 4096


def label_observations(
    checkpoint: "Checkpoint",
    obs: Float32[np.ndarray, "frames obs"],
    rule: "LabelRule",
    fitted: FittedLabels | None = None,
) -> Int[np.ndarray, " frames"]:
    """Label observations by an agent's own encoder, prototypes and partition, batch by batch.

    `fitted` labels replace the learned ones, which need a checkpoint with Glass and follow `rule`.
    """
    import jax
    from jaxtyping import Array

    from glassviz.agents import glass
    from glassviz.agents.networks import encode

    config, params = checkpoint.config, checkpoint.params

    def answer(batch: Array) -> Array:
        z = encode(config, params, batch)
        if fitted or config.glass is None:
            return z
        return glass.label(config.glass, params["glass"], z, rule)

    found = np.asarray(jax.jit(lambda rows: jax.lax.map(answer, rows, batch_size=BATCH))(obs))
    return (fitted.labels(found)[1] if fitted else found).astype(np.int64)


@dataclass(frozen=True, eq=False)
class PhaseMatch:
    """Labels of two checkpoints in the same phase of a gait that both have under `controller`."""

    controller: str
    gait: str
    matching: Matching


UNNAMED_GAITS = ("split", "undetermined")
"""What a run is said to do whose episodes differ, or of which nothing can be said."""

CLOCKLESS_GAITS = (*UNNAMED_GAITS, "static")
"""Two runs of which this is said need not do the same, or do nothing in cycles."""


def match_phases(
    one: Sequence[ComparedRun], other: Sequence[ComparedRun]
) -> tuple[PhaseMatch, ...]:
    """Match labels by phase, for each controller under which the gaits correspond."""
    theirs = {each.controller: each.stability for each in other}
    both = [(each, theirs[each.controller]) for each in one if each.controller in theirs]
    return tuple(
        PhaseMatch(a.controller, b.gait.name, match_by_phase(profiles(a.stability), profiles(b)))
        for a, b in both
        if gaits_correspond(a.stability, b)
    )


def gaits_correspond(one: RunStability, other: RunStability) -> bool:
    """Whether phases of two runs mean the same: same gait, rhythmic in most episodes of both."""
    gait = _rhythmic_gait(one)
    return gait is not None and gait == _rhythmic_gait(other)


def _rhythmic_gait(run: RunStability) -> str | None:
    """The gait of a run by its name, if it has one and a rhythm in most episodes."""
    rhythmic = [each.gait_answers and each.gait_answers.rhythmic for each in run.episodes]
    has_rhythm = rhythmic.count(True) > len(rhythmic) / 2
    return run.gait.name if has_rhythm and run.gait.name not in CLOCKLESS_GAITS else None


def profiles(run: RunStability) -> Profiles:
    """p(phase bin | label), every gait cycle counting the same, of the episodes of one clock."""
    labels = [each.steady_labels for each in of_one_clock(run.episodes)]
    rasters = [each.raster for each in labels if each]
    raster = np.concatenate([np.zeros((0, PHASE_BINS), np.int64), *rasters])
    return phase_profiles(raster, run.clusters or 0)


def match_observations(a: Labels, b: Labels) -> Matching:
    """Match the labels that two agents give to the same observations; −1 in either: left out."""
    return match_by_frames(contingency(a, b))


class MatchedBy(StrEnum):
    """How the labels of two runs were matched."""

    CHECKPOINT = "checkpoint"
    """Both runs have the same checkpoint and labels."""

    OBSERVATIONS = "frames"
    """By what both agents call the same observations."""

    PHASE = "phase"
    """By the phase of a gait that both runs have."""


@dataclass(frozen=True, eq=False)
class LabelMatch:
    """The labels of two agents, matched one to one.

    Attributes:
        matching: every label of `one` to those of `other`.
        accuracy: share of the probe set whose two labels are matched with each other, in [0, 1];
            None if they were not matched by observations.
    """

    one: str
    other: str
    by: MatchedBy
    matching: Matching
    accuracy: float | None = None


@dataclass(frozen=True, eq=False)
class LabelMatches:
    """Which label of each agent is which of each other's.

    Attributes:
        names: of each set of labels, by what gives them; in alphabetical order.
        clusters: number of labels K, by name.
        probe_set: observations that the agents at hand were asked about; None without two.
        labels: of each frame of the probe set, by the name of the agent that was asked.
        obstacle: why no observations were labelled; None if they were.
    """

    names: Mapping[Labelling, str]
    clusters: Mapping[str, int]
    pairs: tuple[LabelMatch, ...]
    probe_set: ProbeSet | None
    labels: Mapping[str, Labels]
    obstacle: NoCorrespondence | None

    @cached_property
    def reference(self) -> str | None:
        """Whose labels the others are named after: the one that most others are matched with.

        Of several the typical one (see `agreement.medoid`), else the first. None without labels.
        """
        if not self.names:
            return None
        partners = Counter(name for pair in self.pairs for name in (pair.one, pair.other))
        asked = list(self.labels)
        found = medoid(pairwise_ami(np.stack(list(self.labels.values())))) if asked else None
        typical = None if found is None else asked[found]
        return max(self.names.values(), key=lambda name: (partners[name], name == typical))

    def between(self, one: Run, other: Run) -> LabelMatch | None:
        """The labels of one run to those of another; None if nothing could match them.

        Runs with the same checkpoint and labels are matched by identity.
        """
        return self.pair(self.names[one.labelling], self.names[other.labelling])

    def of_reference(self, run: Run) -> tuple[int, ...]:
        """The label of the reference that each label of a run is matched with; −1: none."""
        name = self.names[run.labelling]
        found = self.pair(name, self.reference) if self.reference else None
        return tuple(found.matching.partner.tolist()) if found else (-1,) * self.clusters[name]

    def pair(self, one: str, other: str) -> LabelMatch | None:
        """As `between`, by name."""
        clusters = self.clusters[one]
        if one == other:
            identity = Matching(np.arange(clusters), np.ones(clusters))
            return LabelMatch(one, other, MatchedBy.CHECKPOINT, identity)
        for pair in self.pairs:
            if (pair.one, pair.other) == (one, other):
                return pair
            if (pair.one, pair.other) == (other, one):
                inverse = pair.matching.inverse(clusters)
                return LabelMatch(one, other, pair.by, inverse, pair.accuracy)
        return None


def match_labels(
    runs: Sequence[Run], tell: Callable[[str], None] = lambda line: None
) -> LabelMatches:
    """Match the labels of runs; their order changes nothing.

    All runs give observations to the probe set, those without labels too. Of several runs with the
    same labels and controller only the first by `runs.worth` does.

    Raises:
        GlassvizError: a trace, checkpoint or file of labels cannot be read.
    """
    counted: dict[tuple[Labelling, str], Run] = {}
    for run in sorted(runs, key=worth):
        counted.setdefault((run.labelling, run.controller), run)
    runs = sorted(counted.values(), key=attrgetter("name", "checkpoint_sha256", "controller"))
    names = _names(runs)
    found: dict[str, list[Run]] = {}
    for run in runs:
        if run.clusters:
            found.setdefault(names[run.labelling], []).append(run)
    probe_set, labels, obstacle = _probe(runs, found, tell)
    clusters = {name: own[0].clusters for name, own in found.items()}
    profiles_of = cache(lambda run: profiles(run.stability))
    pairs = []
    for one, other in combinations(found, 2):
        if one in labels and other in labels:
            a, b = labels[one], labels[other]
            matching = match_observations(a, b).resized(clusters[one])
            accuracy = matching.accuracy(contingency(a, b, clusters[one]))
            pairs.append(LabelMatch(one, other, MatchedBy.OBSERVATIONS, matching, accuracy))
        elif by_phase := _by_phase(found[one], found[other], profiles_of):
            pairs.append(LabelMatch(one, other, MatchedBy.PHASE, by_phase))
    return LabelMatches(
        names={key: name for key, name in names.items() if name in found},
        clusters=clusters,
        pairs=tuple(pairs),
        probe_set=probe_set,
        labels=labels,
        obstacle=obstacle,
    )


def _names(runs: Sequence[Run]) -> dict[Labelling, str]:
    """One name for each set of labels, that no other has: its checkpoint's, if that has no more."""
    checkpoints = checkpoint_names((run.checkpoint_sha256, run.name) for run in runs)
    names: dict[Labelling, str] = {}
    for run in runs:
        name, (_, fitted, rule) = checkpoints[run.checkpoint_sha256], run.labelling
        if run.labelling not in names and name in names.values():
            name = f"{name} ({f'labels {fitted[:8]}, ' if fitted else ''}rule {rule})"
        names.setdefault(run.labelling, name)
    return names


def _probe(
    runs: Sequence[Run], labelled: Mapping[str, Sequence[Run]], tell: Callable[[str], None]
) -> tuple[ProbeSet | None, dict[str, Labels], NoCorrespondence | None]:
    """Ask the agents at hand about observations of all runs; or why they cannot be asked."""
    at_hand = {name: run for name, own in labelled.items() for run in own[::-1] if run.checkpoint}
    if len(at_hand) < 2:
        return None, {}, TooFewCheckpoints(len(at_hand), len(labelled))
    frames = [draw(run, PROBE_FRAMES // len(runs)) for run in runs]
    obstacle = _incomparable(runs, frames)
    if obstacle:
        return None, {}, obstacle
    probe_set = gather(frames)
    tell(f"labelling {len(probe_set.obs)} observations of all runs with {len(at_hand)} checkpoints")
    return probe_set, {name: _ask(run, probe_set) for name, run in at_hand.items()}, None


def _ask(run: Run, probe_set: ProbeSet) -> Labels:
    from glassviz import checkpoints

    assert run.checkpoint is not None
    file = run.fitted_labels
    fitted = FittedLabels.load(file, run.checkpoint_sha256) if file else None
    rule: LabelRule = "soft" if run.labelling.rule == "soft" else "nearest-prototype"
    agent = checkpoints.load(run.checkpoint, run.unsaid)
    return label_observations(agent, probe_set.obs, rule, fitted)


def _incomparable(runs: Sequence[Run], frames: Sequence[Frames]) -> Mismatch | NoFrames | None:
    """Why observations of different runs cannot be shown to one agent; None if they can."""
    settings: dict[Literal["task", "physics", "observation_size"], list[Any]] = {
        "task": [run.header["env"]["task"] for run in runs],
        "physics": [run.header["env"]["physics"] for run in runs],
        "observation_size": [run.obs.shape[2] for run in runs],
    }
    for setting, values in settings.items():
        if len(set(values)) > 1:
            return Mismatch(setting, tuple(map(str, sorted(set(values)))))
    return None if sum(len(each.obs) for each in frames) else NoFrames()


def _by_phase(
    one: Sequence[Run], other: Sequence[Run], profiles_of: Callable[[Run], Profiles]
) -> Matching | None:
    """Matching by the phase of a gait that both have, from the first pair of runs that has one.

    Pairs under one controller come before others.
    """
    pairs = [(a, b) for a in one for b in other]
    for a, b in sorted(pairs, key=lambda pair: pair[0].controller != pair[1].controller):
        if gaits_correspond(a.stability, b.stability):
            found = match_by_phase(profiles_of(a), profiles_of(b))
            if (found.partner >= 0).any():
                return found
    return None
