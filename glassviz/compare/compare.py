"""What several runs say together; n is the number of checkpoints, never of episodes."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from glassviz.compare.correspondence import (
    ComparisonAnswers,
    Correspondence,
    comparison_answers,
    correspond,
)
from glassviz.compare.groups import (
    Controllers,
    GroupComparison,
    compare_controllers,
    compare_groups,
)
from glassviz.compare.matching import LabelMatches, match_labels
from glassviz.compare.returns import (
    BasinShare,
    MetricMean,
    Returns,
    StabilityAndReturn,
    Values,
    basin_shares,
    compare_values,
    metric_means,
    returns_of,
    stability_and_return,
)
from glassviz.compare.runs import (
    Caveat,
    ComparedRun,
    LeftOut,
    NoCorrespondence,
    by_controller,
    dependence,
    mismatch,
    mixed_recipes,
    one_per_training,
    unique_runs,
    with_checkpoint_names,
)
from glassviz.metrics.information import Labels
from glassviz.rollout.batch import Failed
from glassviz.rollout.run import Run


@dataclass(frozen=True)
class ControllerRuns:
    """The runs of one controller.

    Attributes:
        runs: names of the checkpoints; n is their number.
        basins: how many are in each, and what they earn there.
        returns: of all of them; with basins apart a mean may lie where no run is.
    """

    controller: str
    runs: tuple[str, ...]
    basins: tuple[BasinShare, ...]
    returns: Returns
    stability_and_return: StabilityAndReturn
    groups: GroupComparison | None
    values: Values
    means: tuple[MetricMean, ...]


@dataclass(frozen=True, repr=False)
class Comparison:
    """What several runs say together. It describes, and says of nothing what causes it.

    Attributes:
        left_out: rows that do not count, and why.
        controllers: planner and policy side by side; None if no checkpoint was seen under both.
        correspondence: of labels; None with fewer than two checkpoints with labels at hand.
        no_correspondence: why there is none; None if there is.
        label_matches: which label is which, also where only traces are at hand.
    """

    checkpoints: tuple[str, ...]
    left_out: tuple[LeftOut, ...]
    caveats: tuple[Caveat, ...]
    by_controller: tuple[ControllerRuns, ...]
    controllers: Controllers | None
    correspondence: Correspondence | None
    no_correspondence: NoCorrespondence | None
    label_matches: LabelMatches
    answers: ComparisonAnswers

    def __repr__(self) -> str:
        return f"Comparison({len(self.checkpoints)} checkpoints)"


def compare(
    rows: Sequence[Run | Failed], tell: Callable[[str], None] = lambda line: None
) -> Comparison | None:
    """Compare runs; the order of rows changes nothing, and a training run counts once.

    Reads their traces and checkpoints. Where two have labels these are compared too, for which JAX
    is loaded. Rows that failed are passed over; with fewer than two others the result is None.

    Raises:
        GlassvizError: a trace or checkpoint is no longer what it was.
    """
    every, duplicates = unique_runs([row for row in rows if isinstance(row, Run)])
    if len(every) + len(duplicates) < 2:
        return None
    kept, same = one_per_training(every)
    left_out = (*duplicates, *same)
    compared = _compared(kept)
    matches = match_labels(kept, tell)
    correspondence = _correspondence(kept, compared, matches)
    checkpoints = list({each.name: each for each in compared}.values())
    caveats = (*dependence(compared), mixed_recipes(checkpoints), mismatch(compared))
    return Comparison(
        checkpoints=tuple(each.name for each in checkpoints),
        left_out=left_out,
        caveats=tuple(caveat for caveat in caveats if caveat),
        by_controller=tuple(
            ControllerRuns(
                controller=controller,
                runs=tuple(each.name for each in own),
                basins=basin_shares(own),
                returns=returns_of(own),
                stability_and_return=stability_and_return(own),
                groups=compare_groups(own),
                values=compare_values(own),
                means=metric_means(own),
            )
            for controller, own in by_controller(compared).items()
        ),
        controllers=compare_controllers(compared),
        correspondence=correspondence,
        no_correspondence=matches.obstacle,
        label_matches=matches,
        answers=comparison_answers(compared, correspondence),
    )


def _compared(runs: Sequence[Run]) -> list[ComparedRun]:
    """The runs with their provenance, and one name per checkpoint."""
    provenance = {run.checkpoint_sha256: run.provenance for run in reversed(runs) if run.checkpoint}
    return with_checkpoint_names(
        [ComparedRun.of(run, provenance.get(run.checkpoint_sha256, {})) for run in runs]
    )


def _correspondence(
    runs: Sequence[Run],
    compared: Sequence[ComparedRun],
    matches: LabelMatches,
) -> Correspondence | None:
    """Of the checkpoints with labels that are at hand; None without two."""
    if matches.probe_set is None:
        return None
    labelled: dict[str, list[ComparedRun]] = {}
    labels: dict[str, Labels] = {}
    for run, each in zip(runs, compared, strict=True):
        if run.labelling in matches.names:
            labelled.setdefault(each.name, []).append(each)
            if (name := matches.names[run.labelling]) in matches.labels:
                labels.setdefault(each.name, matches.labels[name])
    missing = tuple(
        LeftOut(each.name, each.controller, "no-checkpoint")
        for name, own in labelled.items()
        if name not in labels
        for each in own
    )
    return correspond(matches.probe_set, compared, labels, labelled, missing)
