"""What several runs say together; n is the number of checkpoints, never of episodes."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

import numpy as np

from glassviz.compare.caveats import (
    Caveat,
    Mismatch,
    NoCorrespondence,
    NoFrames,
    TooFewCheckpoints,
    dependence,
    mismatch,
    mixed_recipes,
)
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
from glassviz.compare.matching import BANK_FRAMES, Frames, draw, gather
from glassviz.compare.returns import (
    BasinShare,
    MetricMeans,
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
    LeftOut,
    Member,
    by_controller,
    called_apart,
    each_once,
    member,
)
from glassviz.metrics.fitted_labels import FittedLabels
from glassviz.rollout.batch import Failed
from glassviz.rollout.run import Run


@dataclass(frozen=True)
class ControllerRuns:
    """The runs of one controller.

    Attributes:
        controller: who acted.
        runs: names of the checkpoints; n is their number.
        basins: how many are in each, and what they earn there.
        returns: of all of them; with basins apart a mean may lie where no run is.
        stability_and_return: whether the one goes with the other.
        groups: two recipes, or agents with Glass and without; None unless there are two.
        values: predicted against realised value over the runs.
        means: of metrics of labels, over the runs.
    """

    controller: str
    runs: tuple[str, ...]
    basins: tuple[BasinShare, ...]
    returns: Returns
    stability_and_return: StabilityAndReturn
    groups: GroupComparison | None
    values: Values
    means: MetricMeans


@dataclass(frozen=True)
class Together:
    """What several runs say together. It describes, and says of nothing what causes it.

    Attributes:
        checkpoints: their names; n is their number.
        left_out: rows that do not count, and why.
        caveats: what keeps the checkpoints from being independent or alike.
        by_controller: the runs of each controller.
        controllers: planner and policy side by side; None if no checkpoint was seen under both.
        correspondence: of labels; None with fewer than two checkpoints with labels at hand.
        no_correspondence: why there is none; None if there is.
        answers: to the questions about several films.
    """

    checkpoints: tuple[str, ...]
    left_out: tuple[LeftOut, ...]
    caveats: tuple[Caveat, ...]
    by_controller: tuple[ControllerRuns, ...]
    controllers: Controllers | None
    correspondence: Correspondence | None
    no_correspondence: NoCorrespondence | None
    answers: ComparisonAnswers


def compare(
    rows: Sequence[Run | Failed],
    tell: Callable[[str], None] = lambda line: None,
) -> Together | None:
    """Compare runs; the order of rows changes nothing, and a checkpoint counts once.

    Reads their traces, and the checkpoints that they were made from. Where two have labels these
    are compared too, for which JAX is loaded.

    Args:
        rows: of `assess_all`; those that failed are passed over.
        tell: called with each line that a user should see.

    Returns:
        None with fewer than two rows that were assessed.

    Raises:
        GlassvizError: a trace or checkpoint is no longer what it was.
    """
    kept, left_out = each_once([row for row in rows if isinstance(row, Run)])
    if len(kept) + len(left_out) < 2:
        return None
    members, frames = _members(kept), _draw(kept)
    rng = _rng(members)
    correspondence, reason = _correspondence(kept, members, frames, rng, tell)
    caveats = (
        *dependence(members),
        mixed_recipes(list({each.name: each for each in members}.values())),
        mismatch(members),
    )
    return Together(
        checkpoints=tuple({each.checkpoint: each.name for each in members}.values()),
        left_out=left_out,
        caveats=tuple(caveat for caveat in caveats if caveat),
        by_controller=tuple(
            ControllerRuns(
                controller=controller,
                runs=tuple(each.name for each in own),
                basins=basin_shares(own, rng),
                returns=returns_of(own, rng),
                stability_and_return=stability_and_return(own, rng),
                groups=compare_groups(own, rng),
                values=compare_values(own),
                means=metric_means(own, rng),
            )
            for controller, own in by_controller(members).items()
        ),
        controllers=compare_controllers(members, rng),
        correspondence=correspondence,
        no_correspondence=reason,
        answers=comparison_answers(members, correspondence),
    )


@dataclass(frozen=True, eq=False)
class MatchedLabels:
    """Which label of one checkpoint is which of another's.

    Attributes:
        correspondence: of the checkpoints with labels that are at hand.
        names: what it calls each checkpoint, by the checkpoint's hash.
    """

    correspondence: Correspondence
    names: dict[str, str]


def match_labels(
    rows: Sequence[Run], tell: Callable[[str], None] = lambda line: None
) -> MatchedLabels | None:
    """Match the labels of checkpoints by what they call the same observations.

    Args:
        rows: of `assess_all`.
        tell: called with each line that a user should see.

    Returns:
        None unless the checkpoints of two agents with labels are at hand that can be compared.

    Raises:
        GlassvizError: a trace or checkpoint is no longer what it was.
    """
    kept, _ = each_once(rows)
    members = _members(kept)
    found, _ = _correspondence(kept, members, _draw(kept), _rng(members), tell)
    if found is None:
        return None
    return MatchedLabels(found, {each.checkpoint: each.name for each in members})


def _members(runs: Sequence[Run]) -> list[Member]:
    """The runs as members, with one name per checkpoint."""
    provenance: dict[str, Mapping[str, Any]] = {}
    for run in runs:
        if run.checkpoint:
            provenance.setdefault(run.checkpoint_sha256, run.provenance)
    return called_apart([member(run, provenance.get(run.checkpoint_sha256, {})) for run in runs])


def _draw(runs: Sequence[Run]) -> list[Frames]:
    """Frames of each run for the bank."""
    return [draw(run, BANK_FRAMES // len(runs)) for run in runs]


def _correspondence(
    runs: Sequence[Run],
    members: Sequence[Member],
    frames: Sequence[Frames],
    rng: np.random.Generator,
    tell: Callable[[str], None],
) -> tuple[Correspondence | None, NoCorrespondence | None]:
    """Of the checkpoints with labels that are at hand; or why there is none."""
    labelled: dict[str, list[Member]] = {}
    found: dict[str, Run] = {}
    for run, each in zip(runs, members, strict=True):
        if each.labelled:
            labelled.setdefault(each.name, []).append(each)
            if run.checkpoint:
                found.setdefault(each.name, run)
    missing = tuple(
        LeftOut(each.name, each.controller, "no-checkpoint")
        for name, own in labelled.items()
        if name not in found
        for each in own
    )
    if len(found) < 2:
        return None, TooFewCheckpoints(len(found), len(labelled))
    reason = _incomparable(members, frames)
    if reason:
        return None, reason
    from glassviz import checkpoints
    from glassviz.compare.matching import label_observations

    bank = gather(frames)
    tell(f"labelling {len(bank.obs)} observations of all runs with {len(found)} checkpoints")
    labels = {}
    for name, run in found.items():
        assert run.checkpoint is not None
        fitted = run.fitted_labels
        known = FittedLabels.load(fitted, run.checkpoint_sha256) if fitted else None
        agent, rule = checkpoints.load(run.checkpoint), labelled[name][0].label_rule
        labels[name] = label_observations(agent, bank.obs, rule, known)
    return correspond(bank, members, labels, labelled, missing, rng), None


def _incomparable(
    members: Sequence[Member], frames: Sequence[Frames]
) -> Mismatch | NoFrames | None:
    """Why observations of different runs cannot be shown to one agent; None if they can."""
    differing = mismatch(members)
    if differing and differing.setting != "episode_s":
        return differing
    sizes = sorted({each.obs.shape[1] for each in frames})
    if len(sizes) > 1:
        return Mismatch("observation_size", tuple(map(str, sizes)))
    return None if sum(len(each.obs) for each in frames) else NoFrames()


def _rng(members: Sequence[Member]) -> np.random.Generator:
    """The same for the same traces in any order."""
    digest = sha256("".join(sorted(each.stability.trace_sha256 for each in members)).encode())
    return np.random.default_rng(int(digest.hexdigest()[:16], 16))
