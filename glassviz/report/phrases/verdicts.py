"""Why a gait, its labels or a run were judged as they were."""

from collections import Counter
from collections.abc import Sequence

from glassviz.gait.contacts import BODY
from glassviz.gait.gait import Gait
from glassviz.gait.verdict import Criterion, GaitName, GaitVerdict
from glassviz.metrics.stability import RunStability
from glassviz.metrics.verdict import Basin, Cause, LabelCriteria, LabelVerdict, RunBasin, Verdict
from glassviz.report.phrases.numbers import shown_mean
from glassviz.rollout.batch import Failed
from glassviz.text import count_of, printable

LONGEST = 1000
"""More of a name or an error from a file is cut off."""


def failure(row: Failed) -> str:
    """What is wrong with a run, without the path that stands beside it anyway."""
    return printable(row.reason, limit=LONGEST)


NO_LABELS = "The agent has no labels."

CARRIES = 0.05
"""Share of the stance from which a geom is named among those that carry it."""


def gait_reason(verdict: GaitVerdict) -> str:
    """Why an episode shows this gait, or none, in a sentence."""
    if verdict.nearest:
        near = " and ".join(map(_unclear, verdict.unclear))
        return f"It may be a {verdict.nearest}, but {near}."
    return _describe(verdict.name, verdict.gait)


def _unclear(criterion: Criterion) -> str:
    if criterion.value is None:
        return f"{criterion.name} could not be measured"
    return f"{criterion.name} {criterion.value:.2f} is too near to {criterion.threshold:g}"


def _describe(name: GaitName, gait: Gait) -> str:
    falls = count_of(len(gait.falls), "fall")
    match name:
        case "hop":
            return (
                f"It hops {_figure(gait.hops_per_s, '.1f')} times a second, "
                f"{_figure(gait.foot_only_share, '.0%')} of the stance on the foot alone, "
                f"with {falls}."
            )
        case "knee-walk":
            carriers = [geom for geom in BODY if (gait.geom_shares[geom] or 0) >= CARRIES]
            return (
                f"It goes forward at {gait.mean_speed_mps:.2f} m/s in cycles of "
                f"{_figure(gait.cycles.period_s, '.2f')} s, "
                f"{_figure(gait.body_share, '.0%')} of the stance on "
                f"{' and '.join(carriers)}."
            )
        case "static":
            return f"It stays where it is: it moves in {gait.moving_share:.0%} of the frames."
        case "fall-recover":
            ups = sum(fall.recovery is not None for fall in gait.falls)
            manners = Counter(f"{fall.manner} {fall.direction}" for fall in gait.falls)
            [(manner, count)] = manners.most_common(1)
            often = "once" if count == 1 else f"{count} times"
            return f"It has {falls} and gets up from {ups}; {often} it {manner}."
        case _:
            return (
                f"None of the gaits: {_figure(gait.foot_only_share, '.0%')} of the stance on the "
                f"foot alone, standing in {gait.standing_rate:.0%} of the frames, at "
                f"{gait.mean_speed_mps:.2f} m/s, with {falls}."
            )


def _figure(value: float | None, spec: str) -> str:
    return "?" if value is None else f"{value:{spec}}"


def label_reason(verdict: LabelVerdict) -> str:
    """Why the labels of an episode were judged so, in a sentence."""
    if not verdict.criteria:
        return NO_LABELS
    criteria = LabelCriteria.of(verdict)
    one, enough = criteria.one, criteria.enough
    if one.value is None:
        return "No frame is left to judge."
    if one.met:
        which = "" if verdict.dominant is None else f", {verdict.dominant},"
        return f"One label{which} for {one.value:.1%} of the time: none to lock."
    if not enough.met:
        found = f"{enough.value:.0f} gait cycles, {enough.threshold:.0f} are needed"
        return f"Too few cycles to compare: {found}."
    kappa, _, p = criteria.locked
    signs = " and ".join(map(_sign, criteria.signs))
    if all(each.met for each in criteria.locked):
        agree = f"cycles agree with kappa {_value(kappa)} (p = {_value(p)})"
        if not signs:
            return f"Each phase keeps its label: {agree}."
        return f"Evidence for both: {agree}, but {signs}."
    if signs:
        return f"Labels do not follow the gait: {signs}."
    missed = ", ".join(f"{each.name} {_value(each)}" for each in criteria.locked if not each.met)
    return f"Between locked and oscillating: {missed}."


def _sign(criterion: Criterion) -> str:
    """A sign of oscillation."""
    match criterion.name:
        case "fleiss_kappa":
            return f"cycles hardly agree (kappa {_value(criterion)})"
        case "chatter_share":
            return f"{_percent(criterion)} of the time is chatter"
        case _:
            return f"the commonest word covers {_percent(criterion)} of the cycles"


def _value(criterion: Criterion) -> str:
    return "undefined" if criterion.value is None else f"{criterion.value:.3g}"


def _percent(criterion: Criterion) -> str:
    return "an unknown share" if criterion.value is None else f"{criterion.value:.0%}"


_LABELS: dict[Verdict, str] = {
    "locked": "labels locked",
    "oscillating": "labels oscillate",
    "none": "no labels",
    "undetermined": "labels undetermined",
}


def cause_words(cause: Cause) -> str:
    """What decided on a basin, in a few words: `knee-walk`, `hop, labels oscillate`."""
    gait = "gait undetermined" if cause.gait == "undetermined" else cause.gait
    return gait if cause.labels is None else f"{gait}, {_LABELS[cause.labels]}"


def episode_reason(basin: Basin) -> str:
    """The reasons of both verdicts on an episode, a sentence each."""
    return f"{gait_reason(basin.gait)} {label_reason(basin.labels)}"


def basin_reasons(basin: RunBasin) -> tuple[str, ...]:
    """The causes of a run's basin, with their shares of the episodes: `knee-walk 8/10`."""
    episodes = sum(basin.split.values())
    return tuple(
        cause_words(cause) + ("" if count == episodes else f" {count}/{episodes}")
        for cause, count in basin.causes.items()
    )


ONE_LABEL = "one label"
"""Where locking is undefined because a single label leaves nothing to lock."""


def has_one_label(run: RunStability) -> bool:
    """Whether locking is measured in no episode, as each with gait cycles has one label in them."""
    locking = [each.steady_labels.locking for each in run.episodes if each.steady_labels]
    return any(locking) and all(each is None or each.locking_u is None for each in locking)


def shown_locking(run: RunStability) -> str:
    """The mean of U; `one label` for a run that has but one, unlike the dash of one without any."""
    return ONE_LABEL if has_one_label(run) else shown_mean(run.metrics["locking_u"])


def reasons_of(run: RunStability) -> tuple[str, ...]:
    """The reasons of a run's basin; with one label, where that decides, the first says so."""
    first, *others = basin_reasons(run.basin)
    labels_decide = next(iter(run.basin.causes)).labels is not None
    return f"{first} ({ONE_LABEL})" if labels_decide and has_one_label(run) else first, *others


def labels_used(runs: Sequence[RunStability]) -> tuple[str, ...]:
    """Which labels runs were judged by, a line for learned and a line for fitted ones."""
    learned: dict[str, dict[str, str]] = {}
    for run in runs:
        if run.labels_from != "none" and run.labels_sha256 is None:
            how = f"rule {run.label_rule}" + ("" if run.tau is None else f", τ {run.tau:g}")
            learned.setdefault(how, {})[run.checkpoint_sha256] = run.checkpoint
    told = [
        how if len(learned) == 1 else f"{how} ({', '.join(of.values())})"
        for how, of in learned.items()
    ]
    lines = [f"labels: learned, {'; '.join(told)}"] if told else []
    files = {run.checkpoint_sha256: run for run in runs if run.labels_sha256}
    if files:
        named = ", ".join(f"{each.checkpoint} {each.labels_sha256:.12}" for each in files.values())
        lines.append(
            f"labels: fitted to the agents' latents by `glassviz fit`, not learned; sha256 of the "
            f"files: {named}"
        )
    return tuple(lines)
