"""The ledger in words: cells of its tables, remarks, why published numbers differ."""

from collections import Counter
from collections.abc import Sequence

from glassviz.ledger import Claim, Ledger, Phase, PhaseSummary, Reached, Training
from glassviz.ledger.rows import CONTROLLERS, UNNAMED
from glassviz.metrics.statistics import Share
from glassviz.report.phrases.numbers import NONE, figure
from glassviz.text import count_of, listed, printable

MOST_PEAKS = 8
"""Peaks that a row of the table has room for; the JSON has all."""

TRAINING_COLUMNS = (
    "phase",
    "seed",
    "mppi peak",
    "at",
    "final",
    "last 3",
    "pi peak",
    "at ",
    "final ",
    "last 3 ",
    "steps",
    "restarts",
)
PUBLISHED_COLUMNS = ("phase", "best", "found", "hits", "found ", "state")

NOTES = (
    "best and peaks: highest evaluation of the planner (mppi), or of a log that names no "
    "controller; a maximum over many noisy evaluations. pi: the same of the policy prior. hits: "
    "trainings whose peak reaches the goal, with Wilson's 95 % interval; n counts trainings. "
    "restarts: of the agent within a training, + attempts that were set aside."
)
TRAINING_NOTES = (
    "final: the last evaluation; last 3: mean of the last three. Where a log names no controller, "
    "its returns stand under mppi."
)


def columns(goals: Sequence[str]) -> tuple[str, ...]:
    """Titles of the table of phases."""
    return ("phase", "n", "best", "peaks", "hits", "95 %", *goals, "pi", "steps", "restarts")


def phase_name(phase: Phase, ledger: Ledger) -> str:
    """Its name, with the task where the ledger has several."""
    several = len({each.task for each in ledger.phases}) > 1
    name = f"{phase.task or 'unknown task'}/{phase.name}" if several else phase.name
    return printable(name, 200)


def phase_cells(
    phase: Phase, summary: PhaseSummary, ledger: Ledger, controller: str = "mppi"
) -> tuple[str, ...]:
    """The cells under `columns`."""
    found = [each.reached(controller) for each in phase.trainings]
    peaks = [figure(each.peak if each else None, ".0f") for each in found]
    more = " …" if len(peaks) > MOST_PEAKS else ""
    low, high = map(short_steps, summary.steps)
    return (
        phase_name(phase, ledger),
        str(summary.n),
        figure(summary.best, ".0f"),
        " ".join(peaks[:MOST_PEAKS]) + more,
        NONE if summary.hits is None else f"{summary.hits.hits}/{summary.hits.count}",
        interval_of(summary.hits),
        *(summary.goals.get(name, NONE) for name in ledger.rules.goals),
        figure(summary.best_pi, ".0f"),
        low if low == high else f"{low}–{high}",
        restarts_of(summary),
    )


def restarts_of(summary: PhaseSummary) -> str:
    """`3+1`: restarts and attempts that were set aside."""
    aside = f"+{summary.set_aside}" if summary.set_aside else ""
    return f"{summary.restarts}{aside}"


def interval_of(share: Share | None) -> str:
    """Bounds of a share in percent."""
    return NONE if share is None else f"{100 * share.low:.0f}–{100 * share.high:.0f} %"


def short_steps(steps: int) -> str:
    """`750k`, `4M`.

    >>> short_steps(250_112), short_steps(10_000_128)
    ('250k', '10M')
    """
    if steps < 1000:
        return str(steps)
    if steps < 999_500:
        return f"{steps / 1e3:.0f}k"
    return f"{steps / 1e6:.3g}M"


def phase_remark(phase: Phase, summary: PhaseSummary, goal: float) -> str:
    """Settings, what was merged, and what a reader should know of its trainings."""
    told = [phase.settings]
    told += ["shaped"] if phase.shaped else []
    told += [phase.about.note]
    if summary.seeds < summary.n:
        told.append(f"{count_of(summary.seeds, 'seed number')}")
    if len(phase.tags) > 1:
        told.append("merges " + listed(printable(tag, 80) or "no tag" for tag in phase.tags))
    if summary.first_hits and summary.hits and summary.first_hits.hits != summary.hits.hits:
        told.append(
            f"before any restart {summary.first_hits.hits}/{summary.first_hits.count} reach "
            f"{goal:g}"
        )
    marks = Counter(mark for each in phase.trainings for mark in each.marks)
    told += [
        mark if count == len(phase.trainings) else f"{count} {mark}"
        for mark, count in marks.items()
        if mark not in ("restarted", "copied")
    ]
    return "; ".join(filter(None, told))


def training_cells(phase: Phase, training: Training, ledger: Ledger) -> tuple[str, ...]:
    """The cells under `TRAINING_COLUMNS`."""
    own = training.series.get("pi") or training.series.get("mppi")
    shown: list[str] = []
    for controller in ("mppi", "pi"):
        named = controller in training.series or (controller == "mppi" and not own)
        shown += _reached(training.reached(controller) if named else None)
    return (
        phase_name(phase, ledger),
        NONE if training.seed is None else str(training.seed),
        *shown,
        short_steps(training.steps),
        str(len(training.restarts)),
    )


def _reached(found: Reached | None) -> tuple[str, str, str, str]:
    if found is None:
        return NONE, NONE, NONE, NONE
    peak, final, last = (f"{value:.1f}" for value in (found.peak, found.final, found.last))
    return peak, short_steps(found.peak_step), final, last


def training_remark(training: Training) -> str:
    """Its marks, attempts and other types of evaluation."""
    told: list[str] = []
    for mark in training.marks:
        if mark == "one of several in its file":
            told.append(f"{training.part} of {training.parts} in its file")
        elif mark == "restarted":
            found = training.reached("mppi")
            peaks = [figure(each, ".0f") for each in found.attempts] if found else []
            told.append(f"peaks of its attempts {', '.join(peaks)}")
        elif mark == "set aside":
            told.append(f"set aside as {printable(training.path.name, 80)}")
        elif mark == "copied":
            told.append(f"same rows in {count_of(len(training.copies), 'other file')}")
        else:
            told.append(mark)
    others = [each for each in training.series if each not in (*CONTROLLERS, UNNAMED)]
    return "; ".join([*told, *([f"also {listed(others)}"] if others else [])])


# Beside the published ledger ----------------------------------------------------------------------


def claim_cells(claim: Claim) -> tuple[str, ...]:
    """The cells under `PUBLISHED_COLUMNS`."""
    published = claim.published
    best = figure(published.best, "g")
    if published.best is None and published.mean is not None:
        best, found = f"mean {published.mean:g}", f"mean {figure(claim.found_mean, '.0f')}"
    else:
        found = figure(claim.found_best, ".1f")
    hits = NONE if published.hits is None else f"{published.hits}/{published.n or '?'}"
    return (
        printable(claim.phase.name, 100),
        f"about {best}" if published.about else best,
        found,
        hits,
        f"{claim.found_hits}/{claim.n}",
        claim.state,
    )


def claim_reason(claim: Claim) -> str:
    """Why the numbers differ, or what could still make them agree; empty if they agree."""
    published, told = claim.published, []
    if claim.state == "agrees":
        return ""
    if claim.missing:
        told.append(f"logs of {claim.n} of {published.n} trainings are here")
    elif published.n is None and "open" in (claim.best, claim.mean):
        told.append(f"{count_of(claim.n, 'training')} here; how many were published is not said")
    if claim.extra:
        told.append(f"{claim.extra} more here than published")
    if claim.best == "differs" and claim.found_best is not None and claim.holder:
        told.append(f"{claim.holder.name} reaches {claim.found_best:.1f}")
        if published.best is not None and _near(claim.policy_best, published.best):
            told.append("the published best is the policy's")
    if claim.hits == "differs":
        if claim.own_hits is not None and claim.own_hits != published.hits:
            told.append(f"the published returns themselves give {claim.own_hits}")
        reached = [
            f"{found.peak:.0f}" for each in claim.phase.trainings if (found := each.reached("mppi"))
        ]
        told.append(f"the logs' peaks are {listed(reached, most=12)}")
    if claim.restarted:
        told.append(f"{count_of(claim.restarted, 'training')} with restarts")
    aside = [each for each in claim.phase.trainings if "set aside" in each.marks]
    if aside and claim.extra:
        names = listed(printable(each.path.name, 80) for each in aside)
        told.append(f"one whose only log was set aside: {names}")
    return "; ".join(told)


def _near(found: float | None, published: float) -> bool:
    return found is not None and abs(found - published) <= 1


# What was read ------------------------------------------------------------------------------------


def totals(ledger: Ledger) -> str:
    """How much there is."""
    trainings = ledger.trainings
    copies = sum(len(each.copies) for each in trainings)
    running = sum(each.running for each in trainings)
    told = (
        f"{count_of(len(trainings), 'training')} in {count_of(len(ledger.phases), 'phase')}, from "
        f"{count_of(ledger.files, 'file')}"
    )
    told += f"; {count_of(copies, 'copy') if copies == 1 else f'{copies} copies'}" if copies else ""
    return told + (f"; {running} running" if running else "")


def skipped_lines(ledger: Ledger, every: bool = False) -> list[str]:
    """What was not read: each reason with the number of files, or every file.

    Args:
        every: whether to name each file.
    """
    if every:
        lines = [f"{each.path}: {each.reason}" for each in ledger.skipped]
    else:
        by_reason: dict[str, list[str]] = {}
        for each in ledger.skipped:
            by_reason.setdefault(each.reason, []).append(str(each.path))
        lines = [
            f"skipped {paths[0]}: {reason}"
            if len(paths) == 1
            else f"skipped {len(paths)} files or folders: {reason}"
            for reason, paths in by_reason.items()
        ]
    if ledger.others:
        kinds = [f"{count} {suffix}" for suffix, count in ledger.others.items()]
        total = sum(ledger.others.values())
        lines.append(f"{count_of(total, 'file')} of other kinds: {listed(kinds)}")
    return [printable(line, 500) for line in lines]
