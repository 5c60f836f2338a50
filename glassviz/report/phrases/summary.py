"""Summaries of runs for reports: the lead paragraph, cards, criteria and sources."""

from collections.abc import Mapping, Sequence
from typing import Any

from glassviz.compare.compare import Comparison
from glassviz.gait.verdict import Criterion, GaitName
from glassviz.metrics.stability import RunStability
from glassviz.report.phrases.numbers import majority, shown_return
from glassviz.report.phrases.verdicts import basin_reasons
from glassviz.rollout.batch import Failed
from glassviz.rollout.run import Run
from glassviz.text import count_of, listed

CONTROLLERS = {"mppi": "planner", "pi": "policy"}


SCOPE = (
    "The verdicts describe these episodes. They say nothing about other seeds and do not show that "
    "stable labels cause return."
)


def lead(rows: Sequence[Run | Failed], together: Comparison | None = None) -> tuple[str, ...]:
    """Sentences of the lead: gaits and basins by controller, differences, failures, scope.

    Args:
        rows: runs, including those that failed.
        together: their comparison, for differences between controllers.
    """
    assessed = [row for row in rows if isinstance(row, Run)]
    sentences = [
        _of_controller(controller, [row for row in assessed if row.controller == controller])
        for controller in dict.fromkeys(row.controller for row in assessed)
    ]
    sentences += _differing(together)
    failed = len(rows) - len(assessed)
    if failed:
        sentences.append(f"{failed} of {count_of(len(rows), 'row')} could not be assessed.")
    return (*sentences, *([SCOPE] if assessed else []))


def _of_controller(controller: str, rows: Sequence[Run]) -> str:
    who = CONTROLLERS.get(controller, controller)
    if len(rows) == 1:
        gait, basin = rows[0].stability.gait, rows[0].stability.basin
        return (
            f"With the {who}, the gait is {majority(gait.name, gait.split)} and the basin "
            f"{majority(basin.name, basin.split)} ({', '.join(basin_reasons(basin))})."
        )
    basins: dict[str, list[str]] = {}
    for row in rows:
        basins.setdefault(row.stability.basin.name, []).append(row.name)
    # The stable hop first, then the largest basin.
    order = sorted(basins, key=lambda basin: (basin != "stable-hop", -len(basins[basin])))
    parts = [f"{basin} {len(basins[basin])} ({listed(basins[basin], most=6)})" for basin in order]
    hops = sum(row.stability.gait.name == "hop" for row in rows)
    return (
        f"With the {who}, {hops} of {len(rows)} runs {'hops' if hops == 1 else 'hop'}. "
        f"Basins: {'; '.join(parts)}."
    )


def _differing(together: Comparison | None) -> list[str]:
    """Runs whose most common gait or basin depends on the controller."""
    pairs = together.controllers.pairs if together and together.controllers else ()
    names = [pair.run for pair in pairs if pair.gait_differs or pair.basin_differs]
    if not names:
        return []
    runs = count_of(len(names), "run")
    return [f"Planner and policy differ in gait or basin for {runs}: {listed(names, most=6)}."]


def card_facts(run: RunStability) -> tuple[str, ...]:
    """Episodes, checkpoint and labels of a run."""
    facts = [
        f"{count_of(len(run.episodes), 'episode')} of {run.frames * run.frame_dt_s:.0f} s",
        f"checkpoint {run.checkpoint_sha256[:12]}",
    ]
    if run.occupancy is None:
        facts.append("no labels")
    else:
        kind = "fitted" if run.labels_from == "fitted" else "learned"
        facts.append(f"{run.clusters} {kind} labels, rule {run.label_rule}")
    if run.tau is not None:
        facts.append(f"τ = {run.tau:g}")
    return tuple(facts)


def return_and_gait(run: RunStability) -> str:
    """Mean return and gait, one sentence each."""
    episodes = count_of(len(run.episodes), "episode")
    gait = majority(run.gait.name, run.gait.split)
    return f"Return {shown_return(run.returns)} over {episodes}. Gait: {gait}."


def label_split(run: RunStability) -> str:
    """Verdicts on the labels of all episodes; empty without labels."""
    if not run.occupancy:
        return ""
    split = ", ".join(f"{count} {verdict}" for verdict, count in run.label_split.items())
    return f"Labels: {split}."


def label_and_share(name: str, share: float) -> str:
    """Gait phase of a label, and its share of the frames."""
    return f"{name}, {share:.0%}"


def source_facts(header: Mapping[str, Any]) -> str:
    """Origin of a trace, from its header."""
    env, planner = header["env"], header["planner"]
    facts = [
        f"{env['task']}, physics {env['physics']}",
        f"seed {header['seed']}",
        f"recorded on {header['device']}",
    ]
    if header["controller"] == "mppi" and planner:
        settings = (f"{name} {planner[name]}" for name in ("samples", "horizon", "iterations"))
        facts.append(f"planner with {', '.join(settings)}")
    facts += [f"assumed: {assumption}" for assumption in header["assumptions"]]
    return "; ".join(facts)


# Criteria -----------------------------------------------------------------------------------------


def missed(criterion: Criterion, why: str = "") -> str:
    """Value, threshold and margin of a criterion that keeps an episode out of the stable hop.

    Args:
        criterion: not met, or not clearly.
        why: what is wrong with it if it is met.
    """
    if criterion.value is None:
        return f"not measured, {limit(criterion)}"
    text = f"{criterion.value:.3g}, {limit(criterion)}, margin {criterion.margin:+.3g}"
    return f"{text}: {why}" if why else text


TOO_CLOSE = "too close to the threshold"


OSCILLATES = "a sign of oscillation"


def limit(criterion: Criterion) -> str:
    """Threshold of a criterion: `≥ 0.85`."""
    return f"{'≥' if criterion.at_least else '≤'} {criterion.threshold:.3g}"


LOCKED = "Labels locked: requires dominant_share, or all others"


OSCILLATE = "Labels oscillating: requires one of the first three, fleiss_kappa with the last"


def gait_criteria(gait: GaitName) -> str:
    """Title of the criteria of a gait."""
    return f"Gait {gait}: requires all"
