"""Comparison: what several runs say together; n is the number of checkpoints, never of episodes.

    compare: everything about several rows of `assess_all`, as `Together`.
    match_labels: only which label of one checkpoint is which of another's, for their colours.

Its parts, each with the answer in a sentence and the doubt beside it:
    members: what is compared, once each; basins: shares of runs, and returns within basins.
    means: how stable labels are over runs.
    returns: whether stability goes with return; groups: two recipes, or Glass and none.
    controllers: planner and policy; values: predicted against realised value.
    bank, labelling: observations of all runs, labelled by every checkpoint with Glass.
    correspondence, phase_matches: which label is which; answers: the questions about several films.

Loads JAX only where checkpoints are at hand.
"""

from glassviz.comparison.together import (
    ControllerRuns,
    MatchedLabels,
    Together,
    compare,
    match_labels,
)

__all__ = ["ControllerRuns", "MatchedLabels", "Together", "compare", "match_labels"]
