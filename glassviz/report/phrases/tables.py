"""Notes below the tables of the commands, cells that are sentences, and rows about checkpoints."""

import re
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from glassviz.compare.compare import Comparison
from glassviz.compare.returns import LEVEL
from glassviz.figures.graph_drawing import percent
from glassviz.report.phrases import comparison
from glassviz.report.phrases.numbers import interval
from glassviz.text import count_of

if TYPE_CHECKING:
    from glassviz.checkpoints.summary import Summary
    from glassviz.compare.fit import LabelComparison
    from glassviz.compare.graphs import RunGraph
    from glassviz.compare.recipes import RecipeTotals
    from glassviz.rollout.evaluate import Fresh

STABILITY_NOTES = (
    "n: episodes. "
    "return: mean over episodes ± half its 95 % interval, which says nothing about other seeds. "
    "labels: `one label` through the steady gait, with its share of the gait and of the agent's "
    "other gaits (100 %: stuck); `phase-locked`: each gait phase keeps its label; `oscillating`: "
    "labels differ from cycle to cycle. seen: labels with more than 1 % of frames. "
    "U: share of label entropy that the gait phase explains, undefined for a single label. "
    "κ: agreement of labels across gait cycles, corrected for chance. "
    "sw/cyc: switches per gait cycle. U, κ and sw/cyc are means over episodes with gait cycles, U "
    "and κ only over those with more than one label."
)
MORE_STABILITY = (
    "Without --episodes, up to 10, and fewer once gait, labels and basin are settled. "
    "All episodes and criteria: --json, or --out DIR."
)

FIT_NOTES = (
    "K: clusters. seen: labels with more than 1 % of frames. H²: structural entropy of the "
    "transitions between prototypes given their clusters, without self-transitions; gap: share of "
    "H¹ that the clusters explain. refits: adjusted mutual information of labels, and of "
    "prototypes alone, between fits with different seeds, mean (minimum); 1 for identical fits, 0 "
    "by chance."
)

LEARNED_NOTES = (
    "learned: learned labels with more than 1 % of frames. AMI: adjusted mutual information of "
    "learned and fitted labels in gait cycles; chance: with warped circular shifts of the fitted "
    "labels. matched: frames whose two labels match. phase bits: information of the labels about "
    "the gait phase; U: share of their entropy that the phase explains; both learned / fitted, as "
    "means over episodes with gait cycles, U where both are defined. Differences describe these "
    "episodes, to which the labels were fitted; they are not tests."
)

GRAPH_NOTES = (
    "entropy rate: in bits per step of the mode (share of the maximum). irreversibility: net "
    "share of the flow, 0 under detailed balance and for two states, 1 for a pure cycle. "
    "relaxation time: the slowest, in seconds, from steps of 1 and of 10 frames; an increase means "
    "that states have memory, as in a clock. cycles: share of the switches (completions). gap: "
    "share of H¹ that the clusters explain; by chance: random clusters of the same sizes; best: "
    "the best clusters of a greedy search. cut: share of the flow between clusters. Q: modularity."
)
MORE_GRAPH = "Everything: --json."

MAP_NOTES = (
    "trust: trustworthiness; cont: continuity; 1 at best, 0.5 by chance. kept: share of a frame's "
    "nearest neighbours that stay nearest on the map; over chance, and over all neighbourhood "
    "sizes: 1 at best, 0 by chance. purity: share of nearest neighbours with the same label (by "
    "chance); silhouette: separation of the labels; both in the space → on the map. A map with "
    "higher values than its space exaggerates."
)


MORE_COMPARISON = "Comparison of the runs, with intervals and tests: --compare."


def comparison_paragraphs(
    together: Comparison, everything: bool = True
) -> Iterator[tuple[str, str]]:
    """Title and text of each paragraph about several runs.

    Args:
        everything: if False, only what was found: significant differences and correlations, and
            where planner and policy differ in gait or basin.
    """
    if not everything:
        yield from _findings(together)
        return
    n = count_of(len(together.checkpoints), "checkpoint")
    more = sum(each.reason == "same-training" for each in together.left_out)
    if more:
        n += f", one of each training run ({count_of(more, 'row')} of others left out)"
    stated = comparison.caveats(together.caveats)
    yield "comparison", " ".join([f"n = {n}; brackets: 95 % intervals.", *stated])
    for own in together.by_controller:
        yield f"basins, {own.controller}", comparison.basins(own.basins)
    for own in together.by_controller:
        texts = [comparison.returns(own.returns), comparison.metric_means(own.means)]
        yield f"runs, {own.controller}", " ".join(texts)
    for own in together.by_controller:
        found = own.stability_and_return
        texts = [comparison.stability_and_return(found), comparison.other_metrics(found)]
        texts += [each for each in comparison.correlation_caveats(found) if each not in stated]
        yield f"return, {own.controller}", " ".join(filter(None, texts))
    for own in together.by_controller:
        if own.groups:
            texts = [comparison.groups(own.groups), *comparison.caveats(own.groups.caveats, stated)]
            yield f"groups, {own.controller}", " ".join(texts)
    if together.controllers:
        yield "mppi and pi", comparison.controllers(together.controllers)
    for own in together.by_controller:
        yield f"value, {own.controller}", comparison.values(own.values)
    if together.correspondence:
        yield "labels", comparison.correspondence(together.correspondence)
        yield "phases", comparison.labels_correspond(together.answers)
    elif together.no_correspondence:
        by_phase = bool(together.label_matches.pairs)
        yield "labels", comparison.not_compared(together.no_correspondence, by_phase)


def _findings(together: Comparison) -> Iterator[tuple[str, str]]:
    for own in together.by_controller:
        tests = [each for each in own.stability_and_return.correlations if each.testable]
        if any(each.adjusted_p is not None and each.adjusted_p <= LEVEL for each in tests):
            yield (
                f"return, {own.controller}",
                comparison.stability_and_return(own.stability_and_return),
            )
        if own.groups and own.groups.returns.p <= LEVEL:
            yield f"groups, {own.controller}", comparison.groups(own.groups)
    both = together.controllers
    if both and (
        any(pair.gait_differs or pair.basin_differs for pair in both.pairs)
        or (both.test and both.test.p <= LEVEL)
    ):
        yield "mppi and pi", comparison.controllers(both)


NO_TOTALS = "No totals per recipe: task, physics or length of the episodes differ."


def improvements(totals: "RecipeTotals") -> Iterator[str]:
    """How probably one recipe earns more than another, one line for each two."""
    for each in totals.improvements:
        bounds = ""
        if each.low is not None and each.high is not None:
            bounds = f" {interval(each.low, each.high, '.0%')}"
        yield (
            f"probability of improvement, {each.controller}: {each.one} over {each.other} "
            f"{each.probability:.0%}{bounds}"
        )


SAME_BITS = 0.005
"""Differences in bits below this are reported as none."""


def learned_and_fitted(found: "LabelComparison") -> str:
    """How learned labels match fitted ones, and which are more informative about the phase."""
    return f"{_matches(found)}; {_more_informative(found)}"


def _matches(found: "LabelComparison") -> str:
    pairs = [
        f"{own}→{other} ({share:.2f})"
        for own, (other, share) in enumerate(zip(found.partner, found.similarity, strict=True))
        if other >= 0
    ]
    if not pairs:
        return "no learned label matches a fitted one"
    return f"learned→fitted {', '.join(pairs)}"


def _more_informative(found: "LabelComparison") -> str:
    bits, u = found.more_bits, found.more_u
    if bits is None:
        return "no gait cycles to compare them on"
    text = "equally informative about the phase"
    if abs(bits) >= SAME_BITS:
        more = "fitted" if bits > 0 else "learned"
        text = f"{more} labels carry {abs(bits):.2f} bits more about the phase"
    if u is not None:
        text += f" (U, fitted − learned: {u:+.2f})"
    return f"{text}, fitted ahead in {found.fitted_ahead} of {found.cycle_episodes} episodes"


def pooled(graph: "RunGraph") -> str:
    """Mode of a graph, and the frames that it pools."""
    return (
        f"mode {graph.mode}, {count_of(graph.episodes, 'episode')} after the initial transient, "
        f"{graph.frames:,} frames"
    )


def occupancy_distance(distance: float) -> str:
    """Distance of the stationary distribution from the empirical occupancy."""
    return f"stationary vs empirical occupancy: {percent(distance)} of the time differs"


def against_recorded(row: "Fresh") -> str:
    """Mean return of fresh episodes against the recorded one; empty without a recorded one."""
    if row.above_recorded is None:
        return ""
    side = "lower" if row.above_recorded < 0 else "higher"
    text = f"{abs(row.above_recorded):.1f} {side}"
    return f"{text}, recorded {row.recorded_place} the interval" if row.recorded_place else text


IQM_NOTE = "IQM: interquartile mean over checkpoints, from four of them."


def evaluation_notes(rows: Sequence["Fresh"]) -> Iterator[str]:
    """Notes below a table of fresh returns."""
    if rows:
        yield (
            "Intervals of checkpoints are Student's t over the episodes of one trained agent; they "
            "do not cover other seeds. Those of recipes resample checkpoints and their episodes. "
            f"{IQM_NOTE}"
        )
    if any(row.recorded for row in rows):
        yield (
            "recorded: the evaluation during training at this checkpoint. For a checkpoint that "
            "was kept as the best it is the maximum of noisy evaluations, so fresh means tend to "
            "be lower."
        )
    shared = max((row.shared_resets for row in rows), default=0)
    if shared:
        reuse = "episode reuses" if shared == 1 else "episodes reuse"
        yield f"{shared} {reuse} reset seeds of an evaluation during training."


REUSED_RESETS = "Other resets: choose another --seed."


def rows_of(summary: "Summary") -> Iterator[tuple[str, str]]:
    """Rows of the summary table: name and value."""
    yield "checkpoint", f"{summary.name} ({summary.format})"
    yield "sha256", summary.sha256
    yield "family", summary.family
    yield "parameters", f"{summary.parameters:,}"
    for network, sizes in summary.networks.items():
        yield f"  {network}", sizes
    if summary.glass is None:
        yield "Glass", "none: no labels unless they are fitted"
    else:
        glass = summary.glass
        yield (
            "Glass",
            (
                f"{glass.prototypes} prototypes, {glass.clusters} clusters, τ={glass.tau:g}, "
                f"{glass.similarity} similarity"
            ),
        )
        if glass.super_clusters:
            yield "  super-clusters", str(glass.super_clusters)
        if glass.cluster_obs:
            yield "  cluster row", "input of policy and Q"
        yield (
            "  clusters active in S",
            (
                f"{glass.clusters_active_in_partition} of {glass.clusters} "
                f"(a property of the parameters, not of behaviour)"
            ),
        )
    yield "planner", summary.no_planner or _pairs(summary.planner)
    yield "environment", _pairs(summary.env)
    for name, value in summary.provenance.items():
        yield from _facts(name, value, shown=("agent",) if name == "training" else ())
    yield from remarks_of(summary)


def _facts(name: str, value: Any, shown: Sequence[str] = ()) -> Iterator[tuple[str, str]]:
    """A fact, and those that it is made of, on rows of their own.

    Args:
        shown: keys that other rows show.
    """
    if isinstance(value, list) and any(isinstance(each, dict) for each in value):
        for number, each in enumerate(value, start=1):
            yield from _facts(f"{name} {number}", each)
        return
    if not isinstance(value, dict):
        yield name, _value(value)
        return
    plain = {key: each for key, each in value.items() if not isinstance(each, dict)}
    yield name, _pairs(plain)
    for key, each in value.items():
        if isinstance(each, dict) and key not in shown:
            yield f"  {key}", _pairs(each)


def remarks_of(summary: "Summary") -> Iterator[tuple[str, str]]:
    """Table rows about what was assumed, ignored and lost in the import."""
    yield from (("assumed", item) for item in summary.assumptions)
    yield from (("ignored", item) for item in summary.ignored_leaves)
    yield from (("not kept", item) for item in summary.losses)


def _pairs(items: dict[str, Any]) -> str:
    return ", ".join(
        f"{key} ({_pairs(value)})" if isinstance(value, dict) else f"{key} {_value(value)}"
        for key, value in items.items()
    )


def _value(value: Any) -> str:
    """A value as people write it: four digits, words for truth, lists without brackets.

    Hashes are cut to what tells files apart.
    """
    match value:
        case None:
            return "none"
        case bool():
            return "yes" if value else "no"
        case float():
            return f"{value:.4g}"
        case list() | tuple():
            return " ".join(map(_value, value)) or "none"
        case dict():
            return f"({_pairs(value)})"
        case str() if _SHA256.fullmatch(value):
            return value[:12]
    return str(value)


_SHA256 = re.compile("[0-9a-f]{64}")
