"""What several runs say together."""

from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from glassviz.compare.caveats import (
    Caveat,
    ConfoundedRecipes,
    ContinuedFrom,
    Mismatch,
    MixedRecipes,
    NoCorrespondence,
    NoFrames,
    OneBasin,
    SharedSeed,
    TooFewCheckpoints,
    Unmeasured,
)
from glassviz.compare.correspondence import (
    PHASES_TO_LACK,
    ComparisonAnswers,
    Correspondence,
    adjusted_p,
)
from glassviz.compare.groups import ControllerPair, Controllers, GroupComparison
from glassviz.compare.matching import UNNAMED_GAITS
from glassviz.compare.returns import (
    LEVEL,
    PRIMARY,
    BasinShare,
    MetricMean,
    MetricMeans,
    Returns,
    StabilityAndReturn,
    Values,
)
from glassviz.compare.runs import LeftOut
from glassviz.metrics.stability import OF_BODY, OF_LABELS
from glassviz.report.phrases.numbers import estimate, interval, p_value, verdict
from glassviz.text import count_of, listed

# Runs ---------------------------------------------------------------------------------------------


def basins(shares: Sequence[BasinShare]) -> str:
    """Basins that have runs: `stable-hop 2 of 5 [12%, 77%], return 400 and 410`."""
    told = [
        f"{each.basin} {each.share.hits} of {each.share.count} "
        f"{interval(each.share.low, each.share.high, '.0%')}"
        # Those of all runs are told anyway.
        f"{f', {_returns(each.returns)}' if each.share.hits < each.share.count else ''}"
        for each in shares
        if each.share.hits
    ]
    return f"{'; '.join(told)}."


def returns(found: Returns) -> str:
    """Returns over runs."""
    return f"Over {count_of(len(found.runs), 'run')}: {_returns(found)}."


def _returns(found: Returns) -> str:
    if found.mean is None or found.iqm is None:
        return f"return {listed(f'{value:.0f}' for value in found.values)}"
    mean, iqm = (estimate(each, ".0f") for each in (found.mean, found.iqm))
    return f"mean return {mean}, interquartile mean {iqm}"


def metric_means(found: MetricMeans) -> str:
    """Metrics of labels over runs."""
    return f"Stability over runs: {'; '.join(map(_metric_mean, found.metrics))}."


def _metric_mean(found: MetricMean) -> str:
    if not found.runs:
        return f"{found.metric} is measured in none"
    values = listed(f"{value:.2f}" for value in found.values)
    shown = estimate(found.mean, ".2f") if found.mean else values
    return f"{found.metric} {shown}, n = {len(found.runs)}"


def values(found: Values) -> str:
    """How far runs know what they will get."""
    if not found.runs:
        return "Cannot be told: episodes are too short for the discount."
    biases = found.biases
    told = f"Predicted less realised value {np.median(biases):+.1f}"
    if len(found.runs) > 1:
        low, high = int(np.argmin(biases)), int(np.argmax(biases))
        told += f" in the median of {count_of(len(found.runs), 'run')}, {biases[low]:+.1f} "
        told += f"({found.runs[low]}) to {biases[high]:+.1f} ({found.runs[high]})"
    ranks = [each for each in found.rank_correlations if each is not None]
    if ranks:
        told += f"; rank correlation {np.median(ranks):.2f}"
    if found.worse_than_mean:
        told += f"; worse than the mean in {len(found.worse_than_mean)}"
    told += "."
    if found.shaped:
        whose = "its values predict" if len(found.shaped) == 1 else "their values predict"
        told += f" {listed(found.shaped)} learned a shaped reward: {whose} that one."
    return told


# Stability and return -----------------------------------------------------------------------------


def stability_and_return(found: StabilityAndReturn) -> str:
    """Whether stability goes with return, by the primary metric."""
    if found.mismatch:
        return (
            f"Cannot be told: returns of these runs have no common scale, as "
            f"{_differ(found.mismatch)}."
        )
    primary = found.correlations[0]
    n, test = len(primary.runs), primary.test
    if test is None and n < 2:
        return f"Cannot be told: {PRIMARY} is measured in {n} of {count_of(found.runs, 'run')}."
    if test is None:
        return f"Cannot be told: {PRIMARY} or return is the same in all of {n} runs."
    rho = f"ρ = {test.statistic:.2f}"
    if primary.rho_low is not None and primary.rho_high is not None:
        rho += f" {interval(primary.rho_low, primary.rho_high, '.2f')}"
    told = f"{rho}, {p_value(test.p)}, n = {n}"
    alone = [
        f"within {basin} {each.test.statistic:.2f}, n = {len(each.runs)}"
        for basin, each in found.within_basins.items()
        if each.test
    ]
    told = "; ".join([told, *alone])
    if test.smallest_p > LEVEL:
        return (
            f"Cannot be told from {n} runs, in no order of which p is below {test.smallest_p:.2g}: "
            f"{PRIMARY} and return have {told}."
        )
    if test.p > LEVEL:
        return f"No sign that {PRIMARY} goes with return: {told}."
    direction = "higher" if test.statistic > 0 else "lower"
    return f"Runs with a higher {PRIMARY} have a {direction} return: {told}."


def other_metrics(found: StabilityAndReturn) -> str:
    """What the other metrics say; empty if they are too few to say."""
    told = []
    for what, names in (("of labels", OF_LABELS), ("of the body (parts of the reward)", OF_BODY)):
        tested = [each for each in found.correlations[1:] if each.metric in names and each.testable]
        hits = [each for each in tested if each.adjusted_p is not None and each.adjusted_p <= LEVEL]
        hits = sorted(hits, key=lambda each: (each.adjusted_p, each.metric))
        if tested:
            which = [f"{each.metric} {each.test.statistic:+.2f}" for each in hits if each.test]
            some = f" ({listed(which)})" if which else ""
            told.append(f"{len(hits)} of {len(tested)} {what}{some}")
    if not told:
        return ""
    return f"Of the other metrics, adjusted for their number, {', and '.join(told)} go with return."


NO_CAUSE = "Which of the two makes the other so, if either does, is not told by this."


def correlation_caveats(found: StabilityAndReturn) -> list[str]:
    """What speaks against reading more into correlations with return; none without any."""
    return [] if found.mismatch else [*map(caveat, found.caveats), NO_CAUSE]


# Caveats ------------------------------------------------------------------------------------------


def caveats(found: Iterable[Caveat], besides: Iterable[str] = ()) -> list[str]:
    """A sentence each, without those that are told elsewhere, `besides`."""
    told = set(besides)
    return [text for text in map(caveat, found) if text not in told]


def caveat(found: Caveat) -> str:
    """What limits a comparison."""
    match found:
        case Mismatch():
            return f"Returns have no common scale, as {_differ(found)}."
        case ContinuedFrom(run, parent):
            return f"{run} was trained on from {parent}."
        case SharedSeed(runs):
            return f"{listed(runs)} have one recipe and seed: they may be of one training run."
        case MixedRecipes(counts):
            which = listed([f"{name} × {count}" for name, count in counts], most=6)
            return f"Recipes are mixed, {which}: what differs may be their doing."
        case ConfoundedRecipes():
            return "The groups differ in their recipes too, and not only in Glass."
        case Unmeasured(metric, runs, count):
            do = "does" if runs == 1 else "do"
            return f"{count_of(runs, 'run')} of {count} without {metric} {do} not count."
        case OneBasin(basin):
            return f"All of them are {basin}: no basins to compare."


def _differ(found: Mismatch, who: str = "they differ in their") -> str:
    what = {"episode_s": "episodes in seconds"}.get(found.setting, found.setting)
    return f"{who} {what}: {listed(found.values)}"


def left_out(found: LeftOut) -> str:
    """Why a run does not count."""
    if found.reason == "duplicate":
        return f"the checkpoint by {found.controller} counts once, as {found.counted_as}"
    return "its checkpoint is needed, and only a trace was given"


# Groups -------------------------------------------------------------------------------------------


def groups(found: GroupComparison) -> str:
    """How two groups of runs compare."""
    one, other, test = found.one, found.other, found.returns
    told = f"{one.name} ({count_of(len(one.runs), 'run')}) less {other.name} ({len(other.runs)}): "
    told += f"return {test.statistic:+.0f}, {p_value(test.p)}"
    if test.smallest_p > LEVEL:
        told += f"; cannot be told from so few, as p is at best {test.smallest_p:.2g}."
    else:
        told += f" (at best {test.smallest_p:.2g})."
    sentences = [
        told,
        f"In {found.improvement:.0%} of the pairs of their runs {one.name} earns more.",
    ]
    if found.primary:
        primary = found.primary
        sentences.append(
            f"{PRIMARY} {primary.statistic:+.2f}, {p_value(primary.p)} "
            f"(at best {primary.smallest_p:.2g})."
        )
    sentences.append(
        f"Stable hops: {one.stable_hops} of {len(one.runs)} and {other.stable_hops} of "
        f"{len(other.runs)}, {p_value(found.stable_hop_p)} by Fisher's exact test (at best "
        f"{found.stable_hop_smallest_p:.2g})."
    )
    return " ".join(sentences)


def controllers(found: Controllers) -> str:
    """What the planner earns against the policy, and where gait or basin differ."""
    pairs, mean, test = found.pairs, found.mean, found.test
    if test is None:
        assert found.mismatch is not None
        told = f"No mean over {count_of(len(pairs), 'checkpoint')}: {_differ(found.mismatch)}."
        return f"{told} {_agreement(pairs)}"
    told = f"The planner earns {test.statistic:+.0f} against the policy"
    if mean is not None and mean.low is not None and mean.high is not None:
        told += f" {interval(mean.low, mean.high, '+.0f')}"
    told += f", {p_value(test.p)}, n = {count_of(len(pairs), 'checkpoint')}"
    if test.smallest_p > LEVEL:
        told += f"; p cannot be below {test.smallest_p:.2g}"
    return f"{told}. {_agreement(pairs)}"


def _agreement(pairs: Sequence[ControllerPair]) -> str:
    differing = [each.run for each in pairs if each.gait_differs or each.basin_differs]
    if not differing:
        return "Gait and basin agree in all of them."
    return f"Gait or basin differ in {len(differing)}: {listed(differing, most=6)}."


def controller_pair(found: ControllerPair) -> str:
    """What the planner makes different."""
    told = (
        f"{found.run} earns {found.planner_return:.0f} by the planner, {found.policy_return:.0f} "
        f"by the policy"
    )
    differing = [
        f"{what} {verdict(one.name, one.split)} by the planner, "
        f"{verdict(other.name, other.split)} by the policy"
        for what, one, other, differs in (
            ("gait", found.planner_gait, found.policy_gait, found.gait_differs),
            ("basin", found.planner_basin, found.policy_basin, found.basin_differs),
        )
        if differs
    ]
    return "; ".join([told, *differing]) + ("." if differing else "; gait and basin agree.")


# Labels -------------------------------------------------------------------------------------------


def correspondence(found: Correspondence) -> str:
    """How far checkpoints call the same observations the same."""
    mean = found.consensus
    if mean.mean_ami is None:
        return "Cannot be told: every checkpoint gives one label to all frames."
    told = f"AMI {mean.mean_ami:.2f}"
    if mean.low is not None and mean.high is not None:
        told += f" {interval(mean.low, mean.high, '.2f')}"
    told += f" in the mean of {count_of(len(found.pairs), 'pair')}, n = {len(mean.ami)} checkpoints"
    tests = [pair.test for pair in found.pairs if pair.test and pair.test.ami_p is not None]
    if tests:
        inside = np.mean([test.observed.ami for test in tests])
        chance = np.mean([test.null_ami for test in tests])
        p = adjusted_p(found.pairs)
        told += f"; in gait cycles {inside:.2f}, by chance {chance:.2f}"
        told += (
            f", beyond it in {(p <= LEVEL).sum()} of {len(tests)}"
            if len(tests) > 1
            else f", {p_value(float(p[0]))}"
        )
    return f"{told}. The typical one is {found.medoid}." if found.medoid else f"{told}."


def no_correspondence(found: NoCorrespondence) -> str:
    """Why labels are not matched."""
    match found:
        case TooFewCheckpoints(at_hand, labelled):
            had = f"{at_hand} of {labelled}" if at_hand < labelled else f"{at_hand}"
            return f"it takes the checkpoints of two agents with labels, and {had} is at hand"
        case Mismatch("observation_size", values):
            return f"observations differ in size: {listed(values)}"
        case Mismatch():
            return _differ(found, "runs differ in their")
        case NoFrames():
            return "no run has a frame after the opening of its episodes"


def gaits_differ(found: ComparisonAnswers) -> str:
    """Whether the runs move differently."""
    gaits = found.gaits_by_controller
    named = {
        who: [name for name in counts if name not in UNNAMED_GAITS] for who, counts in gaits.items()
    }
    alike = any(
        len(names) == 1 and gaits[who][names[0]] == sum(gaits[who].values()) > 1
        for who, names in named.items()
    )
    differ = any(len(names) > 1 for names in named.values())
    answer = "Yes" if differ else "No" if alike else "Cannot be told"
    told = [
        f"by {who} {listed([f'{count} {name}' for name, count in counts.items()], most=6)}"
        for who, counts in gaits.items()
    ]
    return f"{answer}: {'; '.join(told)}."


def labels_correspond(found: ComparisonAnswers) -> str:
    """Whether labels that live in one phase of the gait are matched with each other."""
    if not found.labels_compared:
        return "Cannot be told: it takes the files of two checkpoints with labels."
    if not found.matched:
        return "Cannot be told: no two visited labels are matched with each other."
    return (
        f"{found.same_phase} of {count_of(found.matched, 'pair')} of matched labels live in one "
        f"phase of the gait; {found.same_phase_by_chance:.1f} would by chance."
    )


def phases_lacking(found: ComparisonAnswers) -> str:
    """Which runs lack a phase of the hop that others have, and which phases none has."""
    told = []
    for who, runs in found.lacking_phases.items():
        missed = [
            f"{len(names)} without {phase} ({listed(names)})"
            for phase in PHASES_TO_LACK
            if (names := [name for name, lacks in runs.items() if phase in lacks])
        ]
        if found.lacked_by_all[who]:
            missed.append(f"none with {listed(found.lacked_by_all[who])}")
        if missed:
            count = sum(found.gaits_by_controller[who].values())
            told.append(f"of {count_of(count, 'run')} by {who} {', '.join(missed)}")
    if not found.any_frames:
        return "Cannot be told: no run has a frame after the opening of its episodes."
    if not told:
        return "No: every run has push-off, flight and landing."
    return f"Yes: {'; '.join(told)}."


def phases_merged(found: ComparisonAnswers) -> str:
    """In which runs two phases of the hop have one label."""
    if not any(found.labelled_runs.values()):
        return "Cannot be told: no run has labels."
    told = [
        f"in {len(runs)} of {count_of(found.labelled_runs[who], 'run')} by {who} "
        f"({listed(_merged(runs), most=3)})"
        for who, runs in found.merged_phases.items()
        if runs
    ]
    if not told:
        return "No: no label has most of two phases of the hop."
    return f"Yes: {'; '.join(told)}."


def _merged(runs: Mapping[str, Sequence[Sequence[str]]]) -> list[str]:
    return [
        f"{name} {' and '.join('+'.join(group) for group in found)}" for name, found in runs.items()
    ]
