"""Reasons for the verdicts on gait, labels and basin."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from glassviz.compare.single_label import SingleLabel
from glassviz.gait.contacts import BODY
from glassviz.gait.gait import Gait
from glassviz.gait.verdict import GAIT_THRESHOLDS, Criterion, GaitName, GaitVerdict, RunGait
from glassviz.metrics.stability import RunStability
from glassviz.metrics.verdict import (
    LABEL_THRESHOLDS,
    Basin,
    BasinName,
    Cause,
    LabelCriteria,
    LabelVerdict,
    RunBasin,
    Verdict,
)
from glassviz.report.phrases.numbers import majority, shown_return
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
        nearest = _A.get(verdict.nearest, f"a {verdict.nearest}")
        return f"Possibly {nearest}: {' and '.join(map(_unclear, verdict.unclear))}."
    gait = verdict.gait
    if gait.phased:
        return _describe(verdict.name, gait)
    return _on_feet(verdict.name, gait) if gait.body.feet else _of_joints(verdict.name, gait)


_A: dict[GaitName, str] = {
    "static": "static",
    "drags its trunk": "dragging its trunk",
    "falls and recovers": "falling and recovering",
    "rhythmic": "rhythmic",
    "settled": "settled",
}
"""What an unclear gait is called where it is no noun."""


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
                f"Moves forward at {_figure(gait.mean_speed_mps, '.2f')} m/s in cycles of "
                f"{_figure(gait.cycles.period_s, '.2f')} s; {_figure(gait.body_share, '.0%')} of "
                f"stance on {' and '.join(carriers)}."
            )
        case "static":
            return f"Stays in place: moves in {_figure(gait.moving_share, '.0%')} of frames."
        case "fall-recover":
            return _habit(gait)
        case _:
            return (
                f"No gait matches: {_figure(gait.foot_only_share, '.0%')} of stance on the foot "
                f"alone, standing in {_figure(gait.standing_rate, '.0%')} of frames, "
                f"{_figure(gait.mean_speed_mps, '.2f')} m/s, {falls}."
            )


def _habit(gait: Gait) -> str:
    ups = sum(fall.recovery is not None for fall in gait.falls)
    manners = Counter(f"{fall.manner} {fall.direction}" for fall in gait.falls)
    [(manner, count)] = manners.most_common(1)
    falls = count_of(len(gait.falls), "fall")
    return f"{falls}, {ups} recovered; most often it {manner} ({count}×)."


def _on_feet(name: GaitName, gait: Gait) -> str:
    falls = count_of(len(gait.falls), "fall")
    speed = f"{_figure(gait.mean_speed_mps, '.2f')} m/s"
    match name:
        case "steady gait":
            named = gait.pattern or "no gait with a name"
            return (
                f"Steps at {speed} in cycles of {_figure(gait.cycles.period_s, '.2f')} s: {named} "
                f"({feet_lags(gait)}; duty factor {_figure(gait.duty_factor, '.2f')}); {falls}."
            )
        case "drags its trunk":
            return f"Moves at {speed} with its trunk on the floor in {_trunk(gait)}; {falls}."
        case "settled":
            return _holds(gait)
        case "static":
            return f"Stays in place: moves in {_figure(gait.moving_share, '.0%')} of frames."
        case "falls and recovers":
            return _habit(gait)
        case _:
            return (
                f"No gait matches: {_trunk(gait)} with the trunk on the floor, standing in "
                f"{_figure(gait.standing_rate, '.0%')} of frames, {speed}, "
                f"{count_of(gait.cycles.count, 'cycle')}, {falls}."
            )


def feet_lags(gait: Gait) -> str:
    """Phase lag of each foot, as a share of the cycle: `left 0, right 0.48`."""
    lags = [
        f"{foot.name} {'?' if foot.phase_lag is None else f'{foot.phase_lag:.2g}'}"
        for foot in gait.feet
    ]
    return ", ".join(lags)


def _trunk(gait: Gait) -> str:
    return f"{_figure(gait.body_share, '.0%')} of stance"


def _of_joints(name: GaitName, gait: Gait) -> str:
    match name:
        case "settled":
            return _holds(gait)
        case "static":
            return f"Stays still: at rest in {_figure(gait.quiet_share, '.0%')} of the second half."
        case "rhythmic":
            return (
                f"Repeats itself every {_figure(gait.cycles.period_s, '.2f')} s; autocorrelation "
                f"{_figure(gait.rhythm.strength if gait.rhythm else None, '.2f')}."
            )
        case _:
            rhythm = gait.rhythm.strength if gait.rhythm else None
            return (
                f"Neither a rhythm nor a hold: autocorrelation {_figure(rhythm, '.2f')}, "
                f"{count_of(gait.cycles.count, 'cycle')}, at rest in "
                f"{_figure(gait.quiet_share, '.0%')} of the second half."
            )


def _holds(gait: Gait) -> str:
    since = "?" if gait.held_from is None else f"{gait.held_from * gait.dt_s:.1f}"
    return (
        f"Holds still from {since} s on, at {_figure(gait.hold_reward, '.2f')} of the highest "
        f"reward."
    )


def shown_gait(gait: RunGait) -> str:
    """Gait of a run with its share of the episodes: `steady gait 9/10 (walk)`."""
    return majority(gait.name, gait.split) + shown_pattern(gait)


def shown_pattern(gait: RunGait) -> str:
    """What the feet of most steady gaits show, in parentheses; empty if nothing does."""
    if gait.name != "steady gait" or not gait.patterns:
        return ""
    pattern, count = next(iter(gait.patterns.items()))
    most = GAIT_THRESHOLDS.split * gait.split["steady gait"]
    return f" ({pattern})" if count > most else ""


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
    if verdict.verdict != "one label" and _too_close(one):
        return (
            f"{one.name} {one.value:.3f} is too close to {one.threshold:g} to tell one label from "
            f"several."
        )
    if one.met:
        which = "" if verdict.dominant is None else f" ({verdict.dominant})"
        return f"A single label{which} covers {one.value:.1%} of frames: nothing to lock."
    if verdict.held and not enough.met:
        _, chatter, _ = criteria.oscillating
        why = _sign(chatter) if chatter.met else f"none has {one.threshold:.0%} of frames"
        return f"Labels change while the body is at rest: {why}."
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
    return f"Between phase-locked and oscillating: {missed}."


def _too_close(criterion: Criterion) -> bool:
    return criterion.margin is not None and abs(criterion.margin) < LABEL_THRESHOLDS.tolerance


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
    "one label": "one label",
    "phase-locked": "labels phase-locked",
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


def basin_why(basin: RunBasin) -> str:
    """Why a run is in its basin: `not a hop`; of a split one, why each part is; else empty."""
    if basin.name == "split":
        return ", ".join(f"{count} {_with_why(name, basin)}" for name, count in basin.split.items())
    return _whys(basin.name, basin)


def basin_name(basin: RunBasin) -> str:
    """Basin of a run with its share of the episodes; `basin_why` lists those of a split one."""
    return "split" if basin.name == "split" else majority(basin.name, basin.split)


def shown_basin(basin: RunBasin) -> str:
    """Basin of a run and why: `unstable 9/10 (not a hop)`, `split: 2 stable-hop, 1 unstable …`."""
    name, why = basin_name(basin), basin_why(basin)
    return f"split: {why}" if name == "split" else f"{name} ({why})" if why else name


def _with_why(name: BasinName, basin: RunBasin) -> str:
    why = _whys(name, basin)
    return f"{name} ({why})" if why else name


def _whys(name: BasinName, basin: RunBasin) -> str:
    """Reasons for one basin; with the number of episodes if there are several."""
    found = basin.whys_of(name)
    if len(found) == 1:
        return next(iter(found))
    return ", ".join(f"{why} {count}" for why, count in found.items())


def shown_labels(run: RunStability, single: SingleLabel | None = None) -> str:
    """Verdict on the labels of a run, and for a single label how far it is from being stuck."""
    verdict = majority(run.label_verdict, run.label_split)
    return f"{verdict} ({single_label(single)})" if single else verdict


def single_label(single: SingleLabel) -> str:
    """`label 5: 93 % of the hop, 20 % of other gaits`."""
    text = f"label {single.label}: {single.share:.0%}"
    if single.elsewhere is None:
        return text
    return f"{text}, {single.elsewhere:.0%} in other gaits"


def short_basin(basin: RunBasin) -> str:
    """Basin of a run and why, in a few words; that of a split one is left to `remark_of`."""
    return "split" if basin.name == "split" else shown_basin(basin)


def remark_of(run: RunStability, single: SingleLabel | None = None) -> str:
    """What a table's row does not say: how its episodes divide, and how stuck a single label is."""
    parts = [_split("gait", run.gait.split)] if run.gait.name == "split" else []
    parts += [_split("labels", run.label_split)] if run.label_verdict == "split" else []
    parts += [f"basin {basin_why(run.basin)}"] if run.basin.name == "split" else []
    return "; ".join([*parts, *([single_label(single)] if single else [])])


def _split(what: str, split: Mapping[Any, int]) -> str:
    """`gait 2 fall-recover and 1 hop`."""
    return f"{what} {listed([f'{count} {each}' for each, count in split.items()], most=6)}"


def row_line(name: str, run: RunStability, done: bool) -> str:
    """What the episodes of a run show, in one line, while others may follow.

    `glass-s1 by mppi, 6 episodes: gait knee-walk 5/6, labels phase-locked, unstable (not a hop),
    return 137 ± 9`.
    """
    episodes = count_of(len(run.episodes), "episode")
    so_far = "" if done else " so far"
    verdicts = (
        f"gait {shown_gait(run.gait)}",
        f"labels {majority(run.label_verdict, run.label_split)}",
        shown_basin(run.basin),
    )
    told = ", ".join((*verdicts, f"return {shown_return(run.returns)}"))
    return f"{printable(name, limit=LONGEST)} by {run.controller}, {episodes}{so_far}: {told}"


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
