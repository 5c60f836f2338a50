"""Labels fitted to the latents of runs, and their comparison with learned labels."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from glassviz.compare.matching import numbered_apart
from glassviz.errors import GlassvizError, UsageError
from glassviz.files import StrPath, check_target
from glassviz.gait.gait import Gait
from glassviz.metrics.agreement import (
    AgreementTest,
    agreement,
    agreement_test,
    match_by_frames,
    warped_circular_shifts,
)
from glassviz.metrics.fitted_labels import (
    PROTOTYPES,
    REFITS,
    FittedLabels,
    RefitStability,
    check_numbers,
    fit_labels,
    refit_stability,
)
from glassviz.metrics.information import ROUNDING_BITS, Labels, contingency
from glassviz.metrics.locking import Locking, locking
from glassviz.metrics.nulls import REPLICATES
from glassviz.metrics.segments import occupancy
from glassviz.metrics.stability import describe_gaits
from glassviz.rollout.batch import NOBODY, Failed, Listener, for_each
from glassviz.rollout.remaining import counting_sizes
from glassviz.rollout.run import Run, by_checkpoint, labels_path, relabelled
from glassviz.trace import Trace

if TYPE_CHECKING:
    from glassviz.rollout.traces import RolloutOptions


@dataclass(frozen=True)
class PhaseReading:
    """Phase locking of labels, averaged over episodes with gait cycles.

    Attributes:
        phase_information_bits: I(phase bin; label), bits; can be higher with more labels.
        locking_u: share of the label entropy that the phase explains, in [0, 1]; over the episodes
            in which it is defined for both labellings. None without such an episode.
    """

    phase_information_bits: float
    locking_u: float | None


@dataclass(frozen=True)
class LabelComparison:
    """Learned against fitted labels of the same frames, after the initial transients.

    Attributes:
        label_rules: rules by which latents got their learned labels.
        learned_visited: learned labels with more than 1 % of the frames.
        ami: adjusted mutual information of both labellings; None if undefined.
        test: agreement over frames in gait cycles, against `warped_circular_shifts` of the fitted
            labels within their episodes; None without gait cycles.
        partner: matched fitted label of each learned label; −1 if unmatched.
        similarity: Jaccard index of each pair, in [0, 1]; 0 if unmatched.
        matched_share: share of the frames whose two labels are matched with each other.
        learned, fitted: phase locking of both labellings; None without gait cycles.
        fitted_ahead: number of episodes in which fitted labels have more phase information.
    """

    label_rules: tuple[str, ...]
    learned_visited: tuple[int, ...]
    ami: float | None
    test: AgreementTest | None
    partner: tuple[int, ...]
    similarity: tuple[float, ...]
    matched_share: float | None
    cycle_episodes: int
    learned: PhaseReading | None
    fitted: PhaseReading | None
    fitted_ahead: int

    @property
    def more_bits(self) -> float | None:
        """Phase information of fitted minus learned labels, bits; None without gait cycles."""
        if self.learned is None or self.fitted is None:
            return None
        return self.fitted.phase_information_bits - self.learned.phase_information_bits

    @property
    def more_u(self) -> float | None:
        """Locking U of fitted minus learned labels; None if undefined."""
        if self.learned is None or self.fitted is None:
            return None
        one, other = self.learned.locking_u, self.fitted.locking_u
        return None if one is None or other is None else other - one


def compare(
    traces: Sequence[Trace],
    fitted: FittedLabels,
    seed: int = 0,
    gaits: Sequence[Sequence[Gait]] | None = None,
) -> LabelComparison:
    """Compare the learned labels of one agent's traces with fitted ones; `seed` is for the null.

    Raises:
        GlassvizError: a gait cannot be described, or the latents have another dimension.
    """
    rng = np.random.default_rng(seed)
    gaits = gaits or [describe_gaits(trace) for trace in traces]
    episodes = [
        episode
        for trace, own in zip(traces, gaits, strict=True)
        for episode in _episodes(trace, own, fitted, rng)
    ]
    learned, fitted_label = _joined(episodes)
    clusters = max(trace.clusters for trace in traces)
    table = contingency(learned, fitted_label, clusters, fitted.clusters)
    matching = match_by_frames(table)
    rhythmic = [episode for episode in episodes if episode.locking]
    lockings = [episode.locking for episode in episodes if episode.locking]
    return LabelComparison(
        label_rules=tuple(sorted({trace.header["label_rule"] for trace in traces})),
        learned_visited=occupancy(learned, clusters).visited,
        ami=agreement(learned, fitted_label).ami,
        test=_test(rhythmic, rng) if rhythmic else None,
        partner=tuple(matching.partner.tolist()),
        similarity=tuple(matching.similarity.tolist()),
        matched_share=matching.accuracy(table),
        cycle_episodes=len(rhythmic),
        learned=_reading(lockings),
        fitted=_reading([(b, a) for a, b in lockings]),
        fitted_ahead=sum(
            b.phase_information_bits > a.phase_information_bits + ROUNDING_BITS for a, b in lockings
        ),
    )


@dataclass(frozen=True, eq=False)
class _Episode:
    """Both labellings of an episode, −1 in its initial transient, and their phase locking."""

    learned: Labels
    fitted: Labels
    cycle: Labels
    locking: tuple[Locking, Locking] | None


def _episodes(
    trace: Trace, gaits: Sequence[Gait], fitted: FittedLabels, rng: np.random.Generator
) -> Iterator[_Episode]:
    fitted_trace = relabelled(trace, fitted)
    for i, gait in enumerate(gaits):
        after = np.arange(trace.frames) >= gait.opening_end
        a, b = (np.where(after, t.label[i].astype(np.int64), -1) for t in (trace, fitted_trace))
        phase, cycle = gait.cycles.phase, gait.cycles.cycle
        # A single rotation, since the p-values are not used.
        locking_a, locking_b = (locking(label, phase, cycle, rng, 1) for label in (a, b))
        yield _Episode(a, b, cycle, (locking_a, locking_b) if locking_a and locking_b else None)


def _joined(episodes: Sequence[_Episode]) -> tuple[Labels, Labels]:
    learned = np.concatenate([episode.learned for episode in episodes])
    return learned, np.concatenate([episode.fitted for episode in episodes])


def _test(episodes: Sequence[_Episode], rng: np.random.Generator) -> AgreementTest:
    learned, fitted = _joined(episodes)
    # Surrogates stay within episodes: labels confined to one episode or controller are no evidence
    # of agreement.
    span = np.repeat(np.arange(len(episodes)), [len(episode.cycle) for episode in episodes])
    cycle = numbered_apart([episode.cycle for episode in episodes])
    nulls = warped_circular_shifts(fitted, cycle, rng, REPLICATES, span)
    return agreement_test(learned, fitted, nulls)


def _reading(lockings: Sequence[tuple[Locking, Locking]]) -> PhaseReading | None:
    """Mean phase locking of the first; U over the episodes in which it is defined for both."""
    if not lockings:
        return None
    u = [a.locking_u for a, b in lockings if a.locking_u is not None and b.locking_u is not None]
    bits = np.mean([a.phase_information_bits for a, _ in lockings])
    return PhaseReading(float(bits), float(np.mean(u)) if u else None)


@dataclass(frozen=True)
class FitOptions:
    """Options of a fit.

    Attributes:
        clusters: number of clusters K; None chooses the K of lowest structural entropy.
        refits: number of fits with other seeds to compare; below 2 none are compared.

    Raises:
        UsageError: N or K is out of range.
    """

    prototypes: int = PROTOTYPES
    clusters: int | None = None
    seed: int = 0
    refits: int = REFITS

    def __post_init__(self) -> None:
        check_numbers(self.prototypes, self.clusters)


@dataclass(frozen=True, eq=False)
class Fitted:
    """Labels fitted to one checkpoint; `visited` are those with more than 1 % of all frames."""

    name: str
    path: Path
    traces: tuple[Path, ...]
    labels: FittedLabels
    visited: tuple[int, ...]
    refits: RefitStability | None
    comparison: LabelComparison | None


def fit_all(
    arguments: StrPath | Sequence[StrPath],
    options: "RolloutOptions",
    fit: FitOptions,
    folder: StrPath | None = None,
    out: StrPath | None = None,
    overwrite: bool = False,
    listener: Listener = NOBODY,
) -> list[Fitted | Failed]:
    """Fit labels to the checkpoints of runs; failures do not stop the others.

    The same traces and seed give the same labels and the same file, in any order of the traces.
    Fits come in the order of `arguments`, then failures.

    Args:
        arguments: as for `find_targets`.
        options: to roll out checkpoints without traces.
        folder: of the traces; renders/traces by default.
        out: file of the labels of a single checkpoint; by default next to its first trace.

    Raises:
        UsageError: `out` is given, and there are several checkpoints.
        GlassvizError: `out` exists.
    """
    from glassviz.rollout.traces import find_runs

    out = None if out is None else Path(out)
    if out:
        check_target(out, overwrite)

    def check(runs: Sequence[Run]) -> None:
        """Refuse before the work if no labels can be written at all."""
        listener.on_found(runs)
        refused = [_refusal(out or _beside(run), overwrite) for run in runs]
        if runs and all(refused):
            raise GlassvizError(str(refused[0]))

    rows = find_runs(arguments, options, folder, listener=replace(listener, on_found=check))
    checkpoints = by_checkpoint([row for row in rows if isinstance(row, Run)])
    if out and len(checkpoints) > 1:
        names = ", ".join(runs[0].name for runs in checkpoints)
        raise UsageError(
            f"--out: expected one checkpoint, found {len(checkpoints)} ({names}): fit them one by "
            f"one, or leave --out out"
        )

    def fitted(runs: list[Run]) -> Fitted:
        path = out or _beside(runs[0])
        check_target(path, overwrite)
        return _fitted(runs, path, fit)

    def broken(runs: list[Run], error: GlassvizError) -> Failed:
        return Failed(runs[0].name, runs[0].target, None, str(error))

    sizes = [sum(run.frames for run in runs) for runs in checkpoints]
    return [
        *for_each(checkpoints, fitted, broken, counting_sizes(sizes, listener)),
        *(row for row in rows if isinstance(row, Failed)),
    ]


def _beside(run: Run) -> Path:
    """Where the labels lie by default: beside the trace."""
    return labels_path(run.trace_path.parent, run.checkpoint_sha256)


def _refusal(path: Path, overwrite: bool) -> GlassvizError | None:
    """Why a file cannot be written; None if it can."""
    try:
        check_target(path, overwrite)
    except GlassvizError as error:
        return error
    return None


def _fitted(runs: Sequence[Run], path: Path, fit: FitOptions) -> Fitted:
    """Fit labels to the runs of one checkpoint, independent of their order."""
    by_hash = dict(sorted({run.trace.sha256: run for run in reversed(runs)}.items()))
    latents = [episode for run in by_hash.values() for episode in run.trace.latent]
    labels = fit_labels(
        latents, runs[0].checkpoint_sha256, fit.prototypes, fit.clusters, fit.seed, tuple(by_hash)
    )
    refits, comparison = None, None
    if fit.refits > 1:
        refits = refit_stability(latents, fit.prototypes, fit.clusters, fit.refits)
    if learned := [run for run in by_hash.values() if run.header["labels_from"] == "glass"]:
        gaits = [run.gaits for run in learned]
        comparison = compare([run.trace for run in learned], labels, fit.seed, gaits)
    fitted = [labels.labels(episode)[1] for episode in latents]
    labels.save(path)
    return Fitted(
        name=runs[0].name,
        path=path,
        traces=tuple(run.trace_path for run in by_hash.values()),
        labels=labels,
        visited=occupancy(np.concatenate(fitted).astype(np.int64), labels.clusters).visited,
        refits=refits,
        comparison=comparison,
    )
