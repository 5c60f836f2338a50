"""Sentences about several runs: returns, groups, controllers, correspondence of labels."""

from collections.abc import Collection, Iterable, Iterator, Sequence

import numpy as np

from glassviz.compare.compare import ControllerRuns
from glassviz.compare.correspondence import (
    PHASES_TO_LACK,
    ComparisonAnswers,
    Correspondence,
    adjusted_p,
)
from glassviz.compare.groups import ControllerPair, Controllers, GroupComparison
from glassviz.compare.history import History
from glassviz.compare.matching import UNNAMED_GAITS
from glassviz.compare.returns import (
    LEVEL,
    PRIMARY,
    BasinShare,
    MetricMean,
    Returns,
    StabilityAndReturn,
    Values,
)
from glassviz.compare.runs import (
    Caveat,
    ConfoundedRecipes,
    ContinuedFrom,
    LeftOut,
    Mismatch,
    MixedRecipes,
    NoCorrespondence,
    NoFrames,
    OneBasin,
    SharedSeed,
    TooFewCheckpoints,
    Unmeasured,
)
from glassviz.metrics.stability import OF_BODY, OF_LABELS
from glassviz.metrics.statistics import PermutationTest
from glassviz.report.phrases.numbers import estimate, interval, majority, p_value
from glassviz.text import count_of, listed

# Runs of one controller ---------------------------------------------------------------------------


def of_controller(own: ControllerRuns, besides: Collection[str]) -> Iterator[str]:
    """Sentences about the runs of one controller, without the caveats in `besides`."""
    found = own.stability_and_return
    yield f"Basins: {basins(own.basins)}"
    yield returns(own.returns)
    yield metric_means(own.means)
    yield stability_and_return(found)
    if others := other_metrics(found):
        yield others
    yield from (each for each in correlation_caveats(found) if each not in besides)
    if own.groups:
        yield f"Groups: {groups(own.groups)}"
        yield from caveats(own.groups.caveats, besides)
    yield values(own.values)


def basins(shares: Sequence[BasinShare]) -> str:
    """Basins that have runs: `stable-hop 2 of 5 [12%, 77%], returns 400 and 410`."""
    parts = [
        f"{each.basin} {each.share.hits} of {each.share.count} "
        f"{interval(each.share.low, each.share.high, '.0%')}"
        # The returns of all runs are stated separately.
        f"{f', {_returns(each.returns)}' if each.share.hits < each.share.count else ''}"
        for each in shares
        if each.share.hits
    ]
    return f"{'; '.join(parts)}."


def returns(found: Returns) -> str:
    """Returns over runs."""
    return f"{count_of(len(found.runs), 'run')}: {_returns(found)}."


def _returns(found: Returns) -> str:
    if found.mean is None or found.iqm is None:
        values = listed(f"{value:.0f}" for value in found.values)
        return f"{'return' if len(found.values) == 1 else 'returns'} {values}"
    mean, iqm = (estimate(each, ".0f") for each in (found.mean, found.iqm))
    return f"mean return {mean}, interquartile mean {iqm}"


def metric_means(found: Sequence[MetricMean]) -> str:
    """Label metrics over runs."""
    return f"Label metrics over runs: {'; '.join(map(_metric_mean, found))}."


def _metric_mean(found: MetricMean) -> str:
    if not found.runs:
        return f"{found.metric} undefined in all runs"
    values = listed(f"{value:.2f}" for value in found.values)
    shown = estimate(found.mean, ".2f") if found.mean else values
    return f"{found.metric} {shown} (n = {len(found.runs)})"


def values(found: Values) -> str:
    """Calibration of predicted values over runs."""
    if not found.runs:
        return "Value calibration is undefined: episodes are too short for the discount factor."
    biases, n = found.biases, len(found.runs)
    ranks = [each for each in found.rank_correlations if each is not None]
    text = f"Value bias (predicted − realised) {np.median(biases):+.1f}"
    if n > 1:
        low, high = int(np.argmin(biases)), int(np.argmax(biases))
        text = f"Value bias (predicted − realised): median {np.median(biases):+.1f} over {n} runs, "
        text += f"from {biases[low]:+.1f} ({found.runs[low]}) to {biases[high]:+.1f} "
        text += f"({found.runs[high]})"
    if ranks:
        text += f"; {'median ' if n > 1 else ''}rank correlation {np.median(ranks):.2f}"
    if found.worse_than_mean:
        worse = f" in {len(found.worse_than_mean)} of {n}" if n > 1 else ""
        text += f"; predicts worse than the mean{worse}"
    text += "."
    if found.shaped:
        text += f" Values of a shaped reward, not the task's: {listed(found.shaped)}."
    return text


# Stability and return -----------------------------------------------------------------------------


def stability_and_return(found: StabilityAndReturn) -> str:
    """Whether the primary metric correlates with return."""
    if found.mismatch:
        return f"Not tested: returns have no common scale, as {_differ(found.mismatch)}."
    primary = found.correlations[0]
    n, test = len(primary.runs), primary.test
    if test is None and n < 2:
        return f"Inconclusive: {PRIMARY} is defined in {n} of {count_of(found.runs, 'run')}."
    if test is None:
        return f"Inconclusive: {PRIMARY} or return is the same in all {n} runs."
    rho = f"ρ = {test.statistic:.2f}"
    if primary.rho_low is not None and primary.rho_high is not None:
        rho += f" {interval(primary.rho_low, primary.rho_high, '.2f')}"
    within = [
        f"within {basin} ρ = {each.test.statistic:.2f} (n = {len(each.runs)})"
        for basin, each in found.within_basins.items()
        if each.test
    ]
    numbers = "; ".join([f"{rho}, {p_value(test.p)}, n = {n}", *within])
    if test.smallest_p > LEVEL:
        return (
            f"Inconclusive: with n = {n} the smallest attainable p is {test.smallest_p:.2g}. "
            f"{PRIMARY} and return: {numbers}."
        )
    if test.p > LEVEL:
        return f"No significant correlation of {PRIMARY} with return: {numbers}."
    sign = "positively" if test.statistic > 0 else "negatively"
    return f"{PRIMARY} correlates {sign} with return: {numbers}."


def other_metrics(found: StabilityAndReturn) -> str:
    """Which other metrics correlate with return; empty if there are too few runs to tell."""
    parts = []
    kinds = (("label metrics", OF_LABELS), ("body metrics, parts of the reward", OF_BODY))
    for what, names in kinds:
        tested = [each for each in found.correlations[1:] if each.metric in names and each.testable]
        hits = [each for each in tested if each.adjusted_p is not None and each.adjusted_p <= LEVEL]
        hits = sorted(hits, key=lambda each: (each.adjusted_p, each.metric))
        if tested:
            which = [f"{each.metric} {each.test.statistic:+.2f}" for each in hits if each.test]
            some = f" ({listed(which)})" if which else ""
            parts.append(f"{len(hits)} of {len(tested)} {what}{some}")
    if not parts:
        return ""
    return f"Correlated with return after adjustment for multiple testing: {'; '.join(parts)}."


NO_CAUSE = "Correlation does not show causation."


def correlation_caveats(found: StabilityAndReturn) -> list[str]:
    """Caveats about the correlations with return; empty if there are none."""
    return [] if found.mismatch else [*map(caveat, found.caveats), NO_CAUSE]


# Caveats ------------------------------------------------------------------------------------------


def caveats(found: Iterable[Caveat], besides: Collection[str] = ()) -> list[str]:
    """One sentence per caveat, without those in `besides`."""
    return [text for text in map(caveat, found) if text not in besides]


def caveat(found: Caveat) -> str:
    """A limit of a comparison."""
    match found:
        case Mismatch():
            return f"Returns have no common scale, as {_differ(found)}."
        case ContinuedFrom(run, parent):
            return f"{run} was trained from {parent}; the two are not independent."
        case SharedSeed(runs):
            return f"{listed(runs)} share recipe and seed and may be from one training run."
        case MixedRecipes(counts):
            which = listed([f"{name} × {count}" for name, count in counts], most=6)
            return f"Recipes are mixed ({which}), which may explain differences."
        case ConfoundedRecipes():
            return "The groups differ in recipe as well as in Glass."
        case Unmeasured(metric, runs, count):
            return f"{runs} of {count_of(count, 'run')} excluded: {metric} is undefined."
        case OneBasin(basin):
            return f"All runs are {basin}; basins cannot be compared."


_SETTINGS = {
    "task": "task",
    "physics": "physics profile",
    "episode_s": "episode length in seconds",
    "observation_size": "observation size",
}


def _differ(found: Mismatch) -> str:
    return f"runs differ in {_SETTINGS[found.setting]} ({listed(found.values)})"


def left_out(found: LeftOut) -> str:
    """Why a run does not count."""
    if found.reason == "duplicate":
        return f"same checkpoint and controller as {found.counted_as}, counted once"
    if found.reason == "same-training":
        return f"same training run as {found.counted_as}, which counts for it"
    return "the checkpoint is required, but only its trace was given"


def run_left_out(found: LeftOut) -> str:
    """Which run does not count, and why."""
    return f"{found.run} ({found.controller}): {left_out(found)}."


# Groups and controllers ---------------------------------------------------------------------------


def groups(found: GroupComparison) -> str:
    """Comparison of two groups of runs."""
    one, other, test = found.one, found.other, found.returns
    returns = f"return {test.statistic:+.0f}, {p_value(test.p)}"
    if test.smallest_p > LEVEL:
        returns += f"; inconclusive, the smallest attainable p is {test.smallest_p:.2g}"
    else:
        returns += f" (smallest attainable {test.smallest_p:.2g})"
    sentences = [
        f"{one.name} ({count_of(len(one.runs), 'run')}) minus {other.name} "
        f"({count_of(len(other.runs), 'run')}): {returns}.",
        f"Probability of improvement {found.improvement:.0%}.",
    ]
    if found.primary:
        sentences.append(f"{PRIMARY} {found.primary.statistic:+.2f}, {_attainable(found.primary)}.")
    sentences.append(
        f"Stable hops: {one.stable_hops} of {len(one.runs)} and {other.stable_hops} of "
        f"{len(other.runs)}, Fisher's exact {p_value(found.stable_hop_p)} (smallest attainable "
        f"{found.stable_hop_smallest_p:.2g})."
    )
    return " ".join(sentences)


def _attainable(test: PermutationTest) -> str:
    return f"{p_value(test.p)} (smallest attainable {test.smallest_p:.2g})"


def controllers(found: Controllers) -> str:
    """Difference in return between planner and policy, and where their verdicts differ."""
    pairs, mean, test = found.pairs, found.mean, found.test
    n = count_of(len(pairs), "checkpoint")
    if test is None:
        assert found.mismatch is not None
        return f"No mean difference over {n}: {_differ(found.mismatch)}. {_agreement(pairs)}"
    text = f"Return, planner − policy: {test.statistic:+.0f}"
    if mean is not None and mean.low is not None and mean.high is not None:
        text += f" {interval(mean.low, mean.high, '+.0f')}"
    text += f", {p_value(test.p)}, n = {n}"
    if test.smallest_p > LEVEL:
        text += f"; the smallest attainable p is {test.smallest_p:.2g}"
    return f"{text}. {_agreement(pairs)}"


def _agreement(pairs: Sequence[ControllerPair]) -> str:
    differing = [each.run for each in pairs if each.gait_differs or each.basin_differs]
    if not differing:
        return "Gait and basin agree for all of them."
    n = count_of(len(differing), "checkpoint")
    return f"Gait or basin differs for {n}: {listed(differing, most=6)}."


def controller_pair(found: ControllerPair) -> str:
    """One checkpoint under planner and policy."""
    parts = [
        f"{found.run}: return {found.planner_return:.0f} with the planner, "
        f"{found.policy_return:.0f} with the policy"
    ]
    parts += [
        f"{what} {majority(one.name, one.split)} with the planner, "
        f"{majority(other.name, other.split)} with the policy"
        for what, one, other, differs in (
            ("gait", found.planner_gait, found.policy_gait, found.gait_differs),
            ("basin", found.planner_basin, found.policy_basin, found.basin_differs),
        )
        if differs
    ]
    if len(parts) == 1:
        parts.append("gait and basin agree")
    return f"{'; '.join(parts)}."


# Labels -------------------------------------------------------------------------------------------


def correspondence(found: Correspondence) -> str:
    """Agreement of the labels of several checkpoints on the same observations."""
    mean = found.consensus
    if mean.mean_ami is None:
        return "Undefined: every checkpoint gives all frames the same label."
    text = f"Mean AMI {mean.mean_ami:.2f}"
    if mean.low is not None and mean.high is not None:
        text += f" {interval(mean.low, mean.high, '.2f')}"
    text += f" over {count_of(len(found.pairs), 'pair')}, n = {len(mean.ami)} checkpoints"
    tests = [pair.test for pair in found.pairs if pair.test and pair.test.ami_p is not None]
    if tests:
        inside = np.mean([test.observed.ami for test in tests])
        chance = np.mean([test.null_ami for test in tests])
        p = adjusted_p(found.pairs)
        text += f"; in gait cycles {inside:.2f}, by chance {chance:.2f}, "
        text += (
            f"significant for {(p <= LEVEL).sum()} of {len(tests)}"
            if len(tests) > 1
            else p_value(float(p[0]))
        )
    return f"{text}. Medoid: {found.medoid}." if found.medoid else f"{text}."


def not_compared(found: NoCorrespondence, by_phase: bool) -> str:
    """Why labels were not compared on common observations, and whether phases matched them."""
    how = "Labels matched by gait phase alone" if by_phase else "Labels not matched"
    return f"{how}: {no_correspondence(found)}."


def no_correspondence(found: NoCorrespondence) -> str:
    """Why labels are not matched across checkpoints."""
    match found:
        case TooFewCheckpoints(at_hand, labelled):
            given = f"{at_hand} of {labelled}" if at_hand < labelled else f"{at_hand}"
            return f"the checkpoints of two agents with labels are required, {given} found"
        case Mismatch():
            return _differ(found)
        case NoFrames():
            return NO_FRAMES


NO_FRAMES = "no run has frames after the initial transient"


def answers(found: ComparisonAnswers) -> tuple[str, ...]:
    """Questions about several runs, each with its answer."""
    return (
        f"Do the gaits differ? {gaits_differ(found)}",
        f"Are matched labels in the same gait phase? {labels_correspond(found)}",
        f"Does a run lack a phase? {phases_lacking(found)}",
        f"Do two phases share a label? {phases_merged(found)}",
    )


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
    answer = "Yes" if differ else "No" if alike else "Inconclusive"
    counts = [
        f"{listed([f'{count} {name}' for name, count in counts.items()], most=6)} with {who}"
        for who, counts in gaits.items()
    ]
    return f"{answer}: {'; '.join(counts)}."


def labels_correspond(found: ComparisonAnswers) -> str:
    """Whether matched labels belong to the same gait phase."""
    if not found.labels_compared:
        return "Not compared: the checkpoints of two agents with labels are required."
    if not found.matched:
        return "Inconclusive: no two visited labels are matched."
    return (
        f"{found.same_phase} of {count_of(found.matched, 'pair')} of matched labels share a gait "
        f"phase; {found.same_phase_by_chance:.1f} expected by chance."
    )


def phases_lacking(found: ComparisonAnswers) -> str:
    """Which runs lack a phase of the hop that others have, and which phases no run has."""
    if not found.any_frames:
        return f"Inconclusive: {NO_FRAMES}."
    parts = []
    for who, runs in found.lacking_phases.items():
        count = count_of(sum(found.gaits_by_controller[who].values()), "run")
        missing = [
            f"{phase} in {len(names)} of {count} ({listed(names)})"
            for phase in PHASES_TO_LACK
            if (names := [name for name, lacks in runs.items() if phase in lacks])
        ]
        if found.lacked_by_all[who]:
            missing.append(f"{listed(found.lacked_by_all[who])} in all of {count}")
        if missing:
            parts.append(f"with {who}, missing {', '.join(missing)}")
    if not parts:
        return "No: every run has push-off, flight and landing."
    return f"Yes: {'; '.join(parts)}."


def phases_merged(found: ComparisonAnswers) -> str:
    """In which runs two phases of the hop share a label."""
    if not any(found.labelled_runs.values()):
        return "Inconclusive: no run has labels."
    parts = []
    for who, runs in found.merged_phases.items():
        which = [
            f"{name} {' and '.join('+'.join(phases) for phases in merged)}"
            for name, merged in runs.items()
        ]
        if which:
            count = count_of(found.labelled_runs[who], "run")
            parts.append(f"in {len(runs)} of {count} with {who} ({listed(which, most=3)})")
    return f"Yes: {'; '.join(parts)}." if parts else "No: no label covers most of two hop phases."


def settled(history: History) -> str:
    """Since when the last verdicts on gait and labels hold, and which of them settled first."""
    last = history.moments[-1]
    told = [
        f"{what} {verdict} at every checkpoint since {since:,} steps"
        for what, verdict, since in (
            ("gait", last.gait, history.gait_since),
            ("labels", last.labels, history.labels_since),
        )
    ]
    first, second = history.gait_since, history.labels_since
    order = "gait" if first < second else "labels"
    return f"{', '.join(told)}: " + (
        "both settled at the same checkpoint" if first == second else f"the {order} settled first"
    )
