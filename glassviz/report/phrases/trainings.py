"""What was learned from trainings in words: seeds, phases against each other, early signs."""

from glassviz.compare.early import Advice, Early, RestartRule, Sign
from glassviz.compare.phases import At, Comparison, Pair, PhaseReturns, Trend
from glassviz.compare.seeds import SeedRow, Seeds
from glassviz.metrics.statistics import BootstrapInterval, PermutationTest, Share
from glassviz.report.phrases.ledger import interval_of, short_steps
from glassviz.report.phrases.numbers import NONE, figure
from glassviz.text import count_of, listed, printable

# Seeds --------------------------------------------------------------------------------------------

SEED_COLUMNS = (
    "seed", "n", "mean", "median", "max", "min", "ranked", "best", "by chance",
    "worst", "by chance ", "place", "p", "p worst", "named before",
)  # fmt: skip

SEED_NOTES = (
    "n: trainings; ranked: those in phases with other seed numbers. best, worst: in how many "
    "phases it alone is first or last, beside the mean over permuted seeds. place: mean rank in "
    "the phases, from -1 (always last) to 1 (always first). p: that any seed number has a place as "
    "far from 0; p worst: that any is worst so often beyond chance; named before: the same of this "
    "number alone, if it was named before looking. "
    "Trainings of different lengths count as far as each came: --at compares them at equal steps."
)


def seed_cells(row: SeedRow) -> tuple[str, ...]:
    """The cells under `SEED_COLUMNS`."""
    return (
        str(row.seed),
        str(row.trainings),
        *(f"{value:.0f}" for value in (row.mean, row.median, row.highest, row.lowest)),
        str(row.ranked),
        str(row.best),
        f"{row.best_by_chance:.1f}",
        str(row.worst),
        f"{row.worst_by_chance:.1f}",
        figure(row.place, "+.2f"),
        *(shown_p(p) for p in (row.p, row.worst_p, row.worst_alone_p)),
    )


def shown_p(p: float | None) -> str:
    """A p-value: `0.03`, `0.0001`.

    >>> shown_p(0.0642), shown_p(0.0001), shown_p(None)
    ('0.064', '0.0001', '–')
    """
    return NONE if p is None else f"{p:.2g}"


def seeds_answer(seeds: Seeds) -> list[str]:
    """Whether seed numbers matter, and whether one is always worst."""
    if seeds.p is None:
        return ["whether seed numbers matter is open: no phase has trainings of two seed numbers"]
    ways = "all" if seeds.exact else f"{seeds.permutations:,} random"
    n = (
        f"{count_of(seeds.trainings, 'training')} in {count_of(seeds.phases, 'phase')}; {ways} "
        f"permutations of seeds within phases; smallest attainable p {shown_p(seeds.smallest_p)}"
    )
    if (seeds.smallest_p or 0) > 0.05:
        answer = "whether seed numbers matter cannot be told from so few"
    elif seeds.p <= 0.05:
        answer = "seed numbers matter"
    else:
        answer = "no evidence that seed numbers matter"
    lines = [f"{answer}: p = {shown_p(seeds.p)} ({n})"]
    ranked = [row for row in seeds.rows if row.ranked and row.worst]
    if ranked:
        row = max(ranked, key=lambda each: each.worst - each.worst_by_chance)
        always = "always" if row.worst == row.ranked else "not always"
        lines.append(
            f"most often worst beyond chance: seed {row.seed}, worst of its phase {row.worst} "
            f"times among {row.ranked} ({always}), {row.worst_by_chance:.1f} expected; p = "
            f"{shown_p(row.worst_p)} over all seed numbers, {shown_p(row.worst_alone_p)} had it "
            f"been named before"
        )
    if seeds.left_out:
        lines.append(
            f"left out: {count_of(seeds.left_out, 'training')} without a seed number, or without a "
            f"return up to the step"
        )
    return lines


# Phases -------------------------------------------------------------------------------------------

PHASE_COLUMNS = ("phase", "n", "steps", "IQM", "95 %", "mean", "95 % ", "lowest", "highest")
PAIR_COLUMNS = ("pair", "P(first returns more)", "95 %", "difference", "p", "Holm", "smallest p")

MEASURES = {
    "peak": "the highest evaluation",
    "last": "mean of the last three evaluations",
    "final": "the last evaluation",
}


def phase_cells(row: PhaseReturns, normalised: bool) -> tuple[str, ...]:
    """The cells under `PHASE_COLUMNS`."""
    spec = ".3f" if normalised else ".0f"
    values = [value for own in row.values for value in own]
    return (
        printable(row.name, 100),
        str(row.n) if row.n == row.of else f"{row.n} of {row.of}",
        short_steps(row.steps),
        figure(row.iqm.estimate if row.iqm else None, spec),
        bounds(row.iqm, spec),
        f"{row.mean.estimate:{spec}}",
        bounds(row.mean, spec),
        f"{min(values):{spec}}",
        f"{max(values):{spec}}",
    )


def bounds(interval: BootstrapInterval | None, spec: str) -> str:
    """Bounds of an interval."""
    if interval is None or interval.low is None or interval.high is None:
        return NONE
    return f"{interval.low:{spec}}–{interval.high:{spec}}"


def pair_cells(pair: Pair, normalised: bool) -> tuple[str, ...]:
    """The cells under `PAIR_COLUMNS`."""
    return (
        printable(f"{pair.one} against {pair.other}", 200),
        f"{pair.improvement.estimate:.2f}",
        bounds(pair.improvement, ".2f"),
        f"{pair.test.statistic:+{'.3f' if normalised else '.0f'}}",
        shown_p(pair.test.p),
        shown_p(pair.holm_p),
        shown_p(pair.test.smallest_p),
    )


def compared_title(found: Comparison, at: At) -> str:
    """What is compared, and at what step."""
    where = (
        f"at {short_steps(at.steps)} environment steps"
        if at.steps is not None
        else f"at {short_steps(at.updates or 0)} gradient updates"
    )
    tasks = (
        f"{count_of(len(found.tasks), 'task')}, scores are returns / 1000"
        if found.normalised
        else found.tasks[0] or "unknown task"
    )
    return f"{where} ({tasks}; {MEASURES[found.measure]} up to there, {found.controller})"


def updates_remark(found: Comparison) -> str:
    """Why there is no table at equal updates; empty if there is one."""
    if found.unknown:
        return (
            f"not compared at equal updates: the update ratio of {listed(found.unknown)} is "
            f"unknown; give k_update of the phase in a file for --phases"
        )
    if found.same_ratio:
        return "all have the same update ratio: equal steps are equal updates"
    return ""


def compare_notes(found: Comparison) -> str:
    """How the numbers were made, and what limits them."""
    told = [
        "n: trainings that count, each once. A training that stopped earlier is left out, and its "
        "last return is not carried forward.",
        "IQM: mean of the middle half, from four trainings on; 95 %: bootstrap of trainings"
        + (" within tasks." if found.normalised else "."),
        "p: permutation of trainings between two phases"
        + (" within tasks" if found.normalised else "")
        + ", two-sided; no test here can be below its smallest p.",
    ]
    if any(len(own) < 10 for each in found.at_steps.phases for own in each.values):
        told.append(
            "The bootstrap is too narrow for few trainings: a nominal 95 % covers about 75 % with "
            "3, 82 % with 5 and 88 % with 10."
        )
    return " ".join(told)


def powerless(pairs: tuple[Pair, ...]) -> str:
    """Pairs with too few trainings for any result; empty if there are none."""
    few = [f"{each.one} against {each.other}" for each in pairs if each.test.smallest_p > 0.05]
    return f"too few trainings for any p ≤ 0.05: {listed(few)}" if few else ""


def trend_sentence(trend: Trend | None) -> str:
    """Whether returns grow with the update ratio; empty if that is no question here."""
    if trend is None:
        return ""
    ratios = ", ".join(map(str, trend.ratios))
    if trend.test.smallest_p > 0.05:
        answer = "too few trainings to tell whether returns change with the update ratio"
    elif trend.test.p > 0.05:
        answer = "no evidence that returns change with the update ratio"
    else:
        change = "grow" if trend.test.statistic > 0 else "fall"
        answer = f"returns {change} with the update ratio"
    return f"{answer} (k {ratios}): Kendall's τ {trend.test.statistic:+.2f}, {p_of(trend.test)}"


def p_of(test: PermutationTest) -> str:
    """`p = 0.63 (smallest attainable 0.019)`."""
    return f"p = {shown_p(test.p)} (smallest attainable {shown_p(test.smallest_p)})"


def compare_caption(found: Comparison) -> str:
    """Caption of the figure."""
    at = found.at_steps
    names = "; ".join(
        f"{each.name}: {each.n} of {count_of(each.of, 'training')}" for each in at.phases
    )
    what = {"iqm": "interquartile mean", "mean": "mean"}[found.statistic]
    told = [
        f"Curves: {what} over the trainings that reach a step; bands: 95 % bootstrap"
        + (" within tasks. " if found.normalised else ". ")
    ]
    if found.profiles:
        told.append(f"Profiles and probabilities of improvement {compared_title(found, at)}. ")
    else:
        told.append(f"Probabilities of improvement {compared_title(found, at)}. ")
    return "".join(told) + f"{names}."


# Early signs --------------------------------------------------------------------------------------

SIGN_COLUMNS = ("at", "quantity", "of", "n", "reach", "already", "AUC", "95 %", "ahead", "95 % ")
RULE_COLUMNS = ("at", "below", "n", "reach", "restarted", "wrongly", "95 %", "kept", "reach it")
ADVICE_COLUMNS = ("training", "steps", "at", "return", "below", "restart")

RULE_NOTES = (
    "Rule: restart if the return at a step is below the threshold with the highest sum of "
    "sensitivity and specificity on past trainings; each past training is judged by the threshold "
    "of the others. n: past trainings that had not reached the goal by then and went on. wrongly: "
    "restarted ones that would have reached the goal. A dash under below: no threshold is better "
    "than chance. A rule is of use only where wrongly is clearly below reach of n; what a "
    "restarted training would reach is not known."
)


def sign_cells(sign: Sign) -> tuple[str, ...]:
    """The cells under `SIGN_COLUMNS`."""
    return (
        short_steps(sign.steps),
        sign.quantity,
        sign.controller,
        str(sign.n),
        str(sign.reached),
        str(sign.before),
        figure(sign.auc.estimate if sign.auc else None),
        bounds(sign.auc, ".2f"),
        figure(sign.auc_ahead.estimate if sign.auc_ahead else None),
        bounds(sign.auc_ahead, ".2f"),
    )


def early_notes(found: Early) -> list[str]:
    """What the table says, and what is missing."""
    lines = [
        f"AUC for reaching {found.goal:g} ({found.controller}) by the end of the log: 0.5 is "
        f"chance; below it, lower values reach it. n: trainings that went on after the step; "
        f"already: those that had reached it by then; ahead: the AUC without these. 95 %: "
        f"bootstrap of trainings, as if those of a phase were independent. A training that was "
        f"stopped counts as not reaching it: choose long ones with --min-steps.",
        f"not in these logs: {listed(found.missing, most=9)}; the gait and labels of a checkpoint "
        f"are in `glassviz stability`, which rolls it out",
    ]
    if found.tasks > 1:
        lines.append(f"{found.tasks} tasks are pooled: choose one with --task")
    if found.open:
        lines.append(f"left out: {count_of(found.open, 'running training')}, whose end is open")
    return lines


def rule_cells(rule: RestartRule) -> tuple[str, ...]:
    """The cells under `RULE_COLUMNS`."""
    return (
        short_steps(rule.steps),
        figure(rule.threshold, ".1f"),
        str(rule.n),
        str(rule.reached),
        str(rule.restarted),
        _hits_of(rule.wrong),
        interval_of(rule.wrong),
        str(rule.n - rule.restarted),
        _hits_of(rule.kept),
    )


def _hits_of(share: Share | None) -> str:
    return NONE if share is None else f"{share.hits}/{share.count}"


def advice_cells(advice: Advice) -> tuple[str, ...]:
    """The cells under `ADVICE_COLUMNS`."""
    own, rule = advice.training, advice.rule
    return (
        printable(f"{own.task or 'unknown task'}/{own.phase} {own.name}", 200),
        short_steps(own.steps),
        NONE if rule is None else short_steps(rule.steps),
        figure(advice.value, ".1f"),
        figure(rule.threshold if rule else None, ".1f"),
        NONE if advice.restart is None else "restart" if advice.restart else "keep",
    )
