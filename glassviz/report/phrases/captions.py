"""Captions, alt texts and notes of the reports' figures, tables and film strips."""

from collections.abc import Collection, Iterable, Mapping, Sequence

from glassviz.compare.correspondence import Correspondence
from glassviz.compare.matching import MatchedBy
from glassviz.compare.returns import MetricCorrelation
from glassviz.figures.graph_drawing import percent
from glassviz.figures.latent_map import NO_DISTANCES, SHADOW, method_text
from glassviz.figures.transition_graph import cycle_text
from glassviz.maps.maps import LatentMap
from glassviz.metrics.labels import SoftStats
from glassviz.metrics.stability import RunStability
from glassviz.metrics.transitions import Cycle
from glassviz.report.phrases.numbers import p_value
from glassviz.text import listed
from glassviz.video.clip import CONTROLLER_NAMES

# Notes --------------------------------------------------------------------------------------------

RUNS_TABLE = (
    "by: planner (mppi) or policy (pi). n: episodes. return: mean over episodes ± half "
    "its 95 % interval, which says nothing about other seeds. "
    "labels: one label through the steady gait, with its share of the gait and of the agent's "
    "other gaits (100 %: stuck); phase-locked: each gait phase keeps its label; oscillating: they "
    "differ from cycle to cycle. seen: labels with more than 1 % of frames. U: share of label "
    "entropy that the gait phase explains. κ: agreement of labels across gait cycles, corrected "
    "for chance. sw/cyc: switches per gait cycle. These three are means over episodes with gait "
    "cycles. A fraction after a verdict is its share of the episodes."
)

COMPARISON = (
    "n counts checkpoints. Brackets are 95 % intervals; those of means resample runs and, within "
    "runs, episodes, and are somewhat too narrow for fewer than ten runs."
)

NO_LABEL_FIGURES = "No labels: there is no raster, dwell or occupancy to show."

STRIP = "K: label. φ: phase of the gait cycle, 0 at touchdown."

RASTER = (
    "One column per gait cycle, from touchdown at the bottom to the next at the top; one panel per "
    "episode. Bands: each phase keeps its label. Noise: it does not."
)

DWELL = (
    "How long labels last before a switch, over steady frames; n: complete segments. Bars of one "
    "label share a scale. Vertical line: median. The last bar includes all longer segments."
)

OCCUPANCY = "Share of the frames with each label; steady frames are those in gait cycles."

AUDIT = (
    "Soft metrics of the median episode at other temperatures; the dotted line marks the "
    "checkpoint's own. Where the left curves are near 0 at that line, soft metrics cannot tell "
    "behaviours apart: any seems stable."
)

EVIDENCE = "Value and margin are medians over the episodes where the criterion was measured."

EVIDENCE_DOTS = (
    "One dot per episode; the vertical line is the threshold, and filled dots to its right meet "
    "the criterion."
)

EPISODES = (
    "Below each episode that is not a stable hop: the first criterion it misses, with value, "
    "threshold and margin."
)

READING = (
    ("Film strip", STRIP),
    ("Labels by gait cycle and phase", RASTER),
    ("Dwell", DWELL),
    ("Occupancy", OCCUPANCY),
    ("Temperature audit", AUDIT),
    ("Evidence", f"{EVIDENCE_DOTS} {EVIDENCE}"),
    ("Episodes", EPISODES),
)
"""How to read what all cards have, by title."""


# Labels of one run --------------------------------------------------------------------------------


def raster_alt(cycles: int, episodes: int) -> str:
    """Alt text of a raster."""
    return f"labels of {cycles} gait cycles in {episodes} episodes"


NO_RASTER = "There are no gait cycles to draw."


def raster(shown: int, drawable: int, episodes: int) -> str:
    """What is particular to a raster of `shown` episodes, among those with gait cycles and all."""
    told = []
    if drawable and drawable < episodes:
        told.append(f"{episodes - drawable} of {episodes} episodes have no gait cycles.")
    if shown < drawable:
        told.append(f"Only the first {shown} are shown.")
    return " ".join(told)


def dwell_alt(labels: int) -> str:
    """Alt text of dwell times."""
    return f"dwell times of {labels} labels"


NO_DWELL = "No label has a complete segment."


ALL_FRAMES = "Over all frames, as there are no gait cycles."
"""Said of dwell times without steady frames."""


def occupancy_alt(titles: Iterable[str]) -> str:
    """Alt text of occupancy."""
    return f"shares of labels in {' and '.join(titles)}"


NO_OCCUPANCY = "There are no frames."


def no_audit(run: RunStability) -> str:
    """Why there is no temperature audit."""
    if run.tau is None:
        return "No temperature audit: fitted labels have no temperature."
    return "No temperature audit: the trace lacks the partition, or no frames are left."


def audit_alt(own: SoftStats) -> str:
    """Alt text of a temperature audit; `own`: at the checkpoint's temperature."""
    return (
        f"soft metrics against temperature; at the checkpoint's own, {own.tau:g}, confidence is "
        f"{own.confidence:.2f} and rule agreement {own.rule_agreement:.2f}"
    )


# Comparison ---------------------------------------------------------------------------------------


def no_returns_figure(metrics: Sequence[str]) -> str:
    """Why no metric is drawn against return."""
    return f"No run has {' or '.join(metrics)}."


def returns_alt(metrics: Sequence[str], runs: int) -> str:
    """Alt text of metrics against return."""
    return f"{listed(metrics)} of {runs} runs against their return"


def returns(number: Mapping[str, int], drawn: Iterable[MetricCorrelation]) -> str:
    """Caption of metrics against return, with the number of each run and every test."""
    return (
        f"One point per checkpoint, the mean over its episodes, numbered by return: "
        f"{', '.join(f'{i} {run}' for run, i in number.items())}. {'; '.join(map(_test, drawn))}."
    )


def _test(found: MetricCorrelation) -> str:
    n, test = len(found.runs), found.test
    if test is None:
        return f"{found.metric} n = {n}, ρ undefined"
    text = f"{found.metric} ρ = {test.statistic:.2f}, n = {n}, {p_value(test.p)}"
    text += f" (smallest attainable {test.smallest_p:.2g}"
    if found.family == "named" and found.adjusted_p is not None:
        text += f"; adjusted {found.adjusted_p:.2g}"
    return f"{text})"


def returns_panel(found: MetricCorrelation) -> str:
    """Title of a panel of a metric against return."""
    n, test = f"n = {len(found.runs)}", found.test
    return f"ρ = {test.statistic:.2f}, {p_value(test.p)}, {n}" if test else f"{n}, no ρ"


def correlations(missing: Collection[str]) -> str:
    """Note of a table of correlations; `missing`: metrics without one."""
    text = "n: runs. smallest p: the smallest attainable with these values, in any order."
    if missing:
        text += f" Not measured, or the same in all runs: {', '.join(missing)}."
    return text


def matched_labels(found: Correspondence) -> str:
    """Note of a table of matched labels."""
    which = "medoid" if found.medoid else "first run"
    return (
        f"Under each label of {found.reference} (the {which}): the matching label of the run, with "
        f"their Jaccard index. The matching maximises agreement on {found.frames} frames of all "
        f"runs; labels with an index below 0.2 stay unmatched. Only labels with more than 1 % of "
        f"these frames are listed. frames: share of frames whose two labels match. AMI: over all "
        f"frames; in cycles: in whole gait cycles; by chance: there, for warped circular shifts of "
        f"one run's labels, the null of p."
    )


def labels_matched_by_phase(reference: str) -> str:
    """Note of a table of labels that were matched by gait phase alone."""
    return (
        f"Under each label of {reference}: the label in the same gait phase, with 1 minus the "
        f"Jensen-Shannon divergence of their phase profiles in bits; labels below ⅓ stay unmatched."
    )


# Film strips --------------------------------------------------------------------------------------


def strip(episode: int, episodes: int, controller: str, cycles: int) -> str:
    """Caption of a film strip.

    Args:
        episode: from 0.
        cycles: gait cycles in the strip; 0 for the whole episode.
    """
    part = {
        0: "from start to end, as it has no gait cycles",
        1: "one gait cycle from touchdown",
        2: "two gait cycles from touchdown",
    }[cycles]
    who = CONTROLLER_NAMES.get(controller, controller)
    return f"Episode {episode + 1} of {episodes}, {who}: {part}."


def no_strip(error: Exception) -> str:
    """Why there is no film strip."""
    return f"No film strip: {error}"


def frame_alt(body: str, time_s: float, label: int | None, phase: float | None) -> str:
    """Alt text of one picture of a film strip."""
    text = f"the {body} at {time_s:.2f} s"
    if label is not None:
        text += f", label {label}"
    return text if phase is None else f"{text}, phase {phase:.2f} of the gait cycle"


# Interactive page ---------------------------------------------------------------------------------


def switches(dominant: Cycle | None, cycles: bool) -> str:
    """Caption of a graph of switches, with its dominant cycle in dark.

    `cycles` is whether the body has gait cycles that give the states an order.
    """
    text = "Size: share of the time. Width: share of the switches."
    if cycles:
        text += " Clockwise in the order of the gait cycle, from touchdown at the top."
    if dominant:
        cycle, share = cycle_text(dominant), percent(dominant.share)
        text += f" Dark: {cycle}, with {share} of the switches."
    return text


def live_map(found: LatentMap, path: bool, prototypes: bool) -> str:
    """Caption of a map, on which `path` is the typical gait cycle."""
    warning = NO_DISTANCES if found.options.method == "umap" else SHADOW
    text = f"{method_text(found)} of the latents; grey: all episodes. {warning}"
    if found.quality:
        text += f" Trustworthiness {found.quality.trustworthiness:.2f}."
    if path:
        text += " Line: the typical gait cycle from touchdown (ring), dotted across jumps."
    if prototypes:
        text += " Circles: prototypes."
    return text


_COLORS_BY = {
    MatchedBy.OBSERVATIONS: "by what the agents call the same observations",
    MatchedBy.PHASE: "by the phase of the gait that they live in",
}


def shared_colors(reference: str, by: Collection[MatchedBy]) -> str:
    """Which colours the labels of several runs have.

    Those of `reference` keep their own, and the others were matched with them in these ways.
    """
    how = " or ".join(_COLORS_BY[each] for each in by) or _COLORS_BY[MatchedBy.PHASE]
    return (
        f"Labels have the colours of those of {reference} that they correspond to, {how}; grey: "
        f"none."
    )


def matched_by_phase(similarity: float) -> str:
    """How labels of two checkpoints were matched, in parentheses of a sentence."""
    return f"matched by gait phase, similarity {similarity:.2f}"


def matched_by_observations(frames: int, accuracy: float | None) -> str:
    """The same for labels matched on common observations, with the share that agrees."""
    text = f"matched on {frames:,} observations of both"
    return text if accuracy is None else f"{text}, which agree on {percent(accuracy)}"
