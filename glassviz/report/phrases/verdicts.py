"""Reasons for the verdicts on gait, labels and basin."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from glassviz.gait.contacts import BODY
from glassviz.gait.gait import Gait
from glassviz.gait.verdict import Criterion, GaitName, GaitVerdict
from glassviz.metrics.stability import RunStability
from glassviz.metrics.verdict import Basin, Cause, LabelCriteria, LabelVerdict, RunBasin, Verdict
from glassviz.report.phrases.numbers import shown_mean
from glassviz.rollout.batch import Failed
from glassviz.text import count_of, listed, printable

LONGEST = 1000
"""Characters after which a name or error from a file is cut off."""


def failure(row: Failed) -> str:
    """Why a run failed, without the path that the table shows beside it."""
    return printable(row.reason, limit=LONGEST)


NO_LABELS = "The agent has no labels."

CARRIES = 0.05
"""Share of stance from which a geom is named as load-bearing."""


def gait_reason(verdict: GaitVerdict) -> str:
    """Reason for the verdict on the gait of an episode, in one sentence."""
    if verdict.nearest:
        return f"Possibly a {verdict.nearest}: {' and '.join(map(_unclear, verdict.unclear))}."
    return _describe(verdict.name, verdict.gait)


def _unclear(criterion: Criterion) -> str:
    if criterion.value is None:
        return f"{criterion.name} could not be measured"
    return f"{criterion.name} {criterion.value:.2f} is too close to {criterion.threshold:g}"


def _describe(name: GaitName, gait: Gait) -> str:
    falls = count_of(len(gait.falls), "fall")
    match name:
        case "hop":
            return (
                f"Hops at {_figure(gait.hops_per_s, '.1f')} Hz with "
                f"{_figure(gait.foot_only_share, '.0%')} of stance on the foot alone; {falls}."
            )
        case "knee-walk":
            carriers = [geom for geom in BODY if (gait.geom_shares[geom] or 0) >= CARRIES]
            return (
                f"Moves forward at {gait.mean_speed_mps:.2f} m/s in cycles of "
                f"{_figure(gait.cycles.period_s, '.2f')} s; {_figure(gait.body_share, '.0%')} of "
                f"stance on {' and '.join(carriers)}."
            )
        case "static":
            return f"Stays in place: moves in {gait.moving_share:.0%} of frames."
        case "fall-recover":
            ups = sum(fall.recovery is not None for fall in gait.falls)
            manners = Counter(f"{fall.manner} {fall.direction}" for fall in gait.falls)
            [(manner, count)] = manners.most_common(1)
            return f"{falls}, {ups} recovered; most often it {manner} ({count}×)."
        case _:
            return (
                f"No gait matches: {_figure(gait.foot_only_share, '.0%')} of stance on the foot "
                f"alone, standing in {gait.standing_rate:.0%} of frames, "
                f"{gait.mean_speed_mps:.2f} m/s, {falls}."
            )


def _figure(value: float | None, spec: str) -> str:
    return "?" if value is None else f"{value:{spec}}"


def label_reason(verdict: LabelVerdict) -> str:
    """Reason for the verdict on the labels of an episode, in one sentence."""
    if not verdict.criteria:
        return NO_LABELS
    criteria = LabelCriteria.of(verdict)
    one, enough = criteria.one, criteria.enough
    if one.value is None:
        return "No steady frames to judge."
    if one.met:
        which = "" if verdict.dominant is None else f" ({verdict.dominant})"
        return f"A single label{which} covers {one.value:.1%} of frames: nothing to lock."
    if not enough.met:
        return f"Too few gait cycles: {enough.value:.0f}, at least {enough.threshold:.0f} required."
    kappa, _, p = criteria.locked
    signs = [*map(_sign, criteria.signs)]
    if all(each.met for each in criteria.locked):
        agree = f"kappa across cycles {_value(kappa)}, locking p = {_value(p)}"
        if not signs:
            return f"Each phase keeps its label: {agree}."
        return f"Conflicting evidence: {agree}, but {listed(signs)}."
    if signs:
        return f"Labels do not follow the gait: {listed(signs)}."
    missed = ", ".join(f"{each.name} {_value(each)}" for each in criteria.locked if not each.met)
    return f"Between locked and oscillating: {missed}."


def _sign(criterion: Criterion) -> str:
    match criterion.name:
        case "fleiss_kappa":
            return f"cycles barely agree (kappa {_value(criterion)})"
        case "chatter_share":
            return f"chatter fills {_percent(criterion)} of the time"
        case _:
            return f"the most common motif covers {_percent(criterion)} of cycles"


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
    """Cause of a basin in a few words: `knee-walk`, `hop, labels oscillate`."""
    gait = "gait undetermined" if cause.gait == "undetermined" else cause.gait
    return gait if cause.labels is None else f"{gait}, {_LABELS[cause.labels]}"


def episode_reason(basin: Basin) -> str:
    """Reasons for both verdicts on an episode."""
    return f"{gait_reason(basin.gait)} {label_reason(basin.labels)}"


def basin_reasons(basin: RunBasin) -> tuple[str, ...]:
    """Causes of a run's basin with their share of the episodes: `knee-walk 8/10`."""
    episodes = sum(basin.split.values())
    return tuple(
        cause_words(cause) + ("" if count == episodes else f" {count}/{episodes}")
        for cause, count in basin.causes.items()
    )


ONE_LABEL = "one label"
"""Shown for U where a single label leaves it undefined."""


def has_one_label(run: RunStability) -> bool:
    """Whether U is undefined in all episodes because each has a single label in gait cycles."""
    locking = [each.steady_labels.locking for each in run.episodes if each.steady_labels]
    return any(locking) and all(each is None or each.locking_u is None for each in locking)


def shown_locking(run: RunStability) -> str:
    """Mean of U; `one label` if it is undefined for a single label, a dash without labels."""
    return ONE_LABEL if has_one_label(run) else shown_mean(run.metrics["locking_u"])


def reasons_of(run: RunStability) -> tuple[str, ...]:
    """Causes of a run's basin; the first adds `one label` where a single label decided."""
    first, *others = basin_reasons(run.basin)
    labels_decide = next(iter(run.basin.causes)).labels is not None
    return f"{first} ({ONE_LABEL})" if labels_decide and has_one_label(run) else first, *others


def remark_of(run: RunStability) -> str:
    """What a table's row does not say: how the episodes divide, and why the basin is what it is."""
    gait, basin = run.gait, run.basin
    parts = [_split("gait", gait.split)] if gait.name == "split" else []
    parts += [_split("basin", basin.split)] if basin.name == "split" else []
    if gait.name == "split" or (parts and len(basin.causes) == 1):
        return "; ".join(parts)
    if basin.name == "split":
        return "; ".join(reasons_of(run))
    reason = reasons_of(run)[0]
    return "" if reason in (gait.name, f"gait {gait.name}") else reason


def _split(what: str, split: Mapping[Any, int]) -> str:
    """`gait 2 fall-recover and 1 hop`."""
    return f"{what} {listed([f'{count} {each}' for each, count in split.items()], most=6)}"


def labels_used(runs: Sequence[RunStability]) -> tuple[str, ...]:
    """Labels that runs were judged by: one line for learned labels, one for fitted labels."""
    learned: dict[str, dict[str, str]] = {}
    for run in runs:
        if run.labels_from != "none" and run.labels_sha256 is None:
            how = f"rule {run.label_rule}" + ("" if run.tau is None else f", τ = {run.tau:g}")
            learned.setdefault(how, {})[run.checkpoint_sha256] = run.checkpoint
    rules = [
        how if len(learned) == 1 else f"{how} ({', '.join(of.values())})"
        for how, of in learned.items()
    ]
    lines = [f"labels: learned, {'; '.join(rules)}"] if rules else []
    files = {run.checkpoint_sha256: run for run in runs if run.labels_sha256}
    if files:
        hashes = ", ".join(f"{each.checkpoint} {each.labels_sha256:.12}" for each in files.values())
        lines.append(f"labels: fitted by `glassviz fit`, not learned; SHA-256 {hashes}")
    return tuple(lines)
