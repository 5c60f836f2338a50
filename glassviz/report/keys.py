"""Keys of results in JSON and CSV, where they differ from the fields.

Added are properties, and sentences, which results do not hold.
"""

import dataclasses
from collections.abc import Callable, Mapping
from operator import attrgetter
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Int

from glassviz.compare.compare import Comparison, ControllerRuns
from glassviz.compare.correspondence import ComparisonAnswers, Correspondence
from glassviz.compare.fit import LabelComparison
from glassviz.compare.groups import ControllerPair, Controllers, GroupComparison
from glassviz.compare.matching import LabelMatches
from glassviz.compare.returns import StabilityAndReturn, Values
from glassviz.compare.runs import LeftOut
from glassviz.gait.feet import Foot
from glassviz.gait.gait import Gait
from glassviz.gait.verdict import Criterion, GaitVerdict
from glassviz.metrics.labels import LabelStats
from glassviz.metrics.segments import Occupancy, Persistence
from glassviz.metrics.stability import RunStability
from glassviz.metrics.verdict import Basin, LabelVerdict, RunBasin
from glassviz.report.phrases import comparison as phrases
from glassviz.report.phrases.numbers import majority
from glassviz.report.phrases.verdicts import (
    basin_reasons,
    cause_words,
    episode_reason,
    gait_reason,
    label_reason,
)
from glassviz.rollout.batch import Failed

Of = Callable[[Any], Any]
"""Computes the value of a key from the result."""


class Keys(NamedTuple):
    """How the keys of a result differ from its fields.

    Attributes:
        without: omitted fields.
        before: additional keys, placed before the field that they are listed under.
        last: additional keys after all fields.
    """

    without: tuple[str, ...] = ()
    before: Mapping[str, Mapping[str, Of]] = {}
    last: Mapping[str, Of] = {}


def _properties(*names: str) -> dict[str, Of]:
    return {name: attrgetter(name) for name in names}


def _after_opening(gait: Gait, frames: Int[np.ndarray, " events"]) -> list[float]:
    """Times of events since the reset, s."""
    return [round(frame * gait.dt_s, 6) for frame in frames[frames >= gait.opening_end].tolist()]


def _falls(gait: Gait) -> list[dict[str, Any]] | None:
    """None for a body without feet."""
    if not gait.body.feet:
        return None
    return [
        {
            "start_s": fall.start * gait.dt_s,
            "hit_s": fall.hit * gait.dt_s,
            "recovery_s": None if fall.recovery is None else fall.recovery * gait.dt_s,
            "direction": fall.direction,
            "manner": fall.manner,
            "first": fall.first,
        }
        for fall in gait.falls
    ]


def _with_curves(run: RunStability) -> dict[str, Any] | None:
    """Persistence with its curves, which are omitted for single episodes."""
    found = run.persistence
    if found is None:
        return None
    return {each.name: getattr(found, each.name) for each in dataclasses.fields(found)}


def _verdict(name: str) -> Of:
    return lambda pair: majority((found := getattr(pair, name)).name, found.split)


_VERDICTS = ("planner_gait", "policy_gait", "planner_basin", "policy_basin")

KEYS: dict[type, Keys] = {
    Criterion: Keys(last=_properties("margin", "met")),
    Occupancy: Keys(last=_properties("stuck")),
    # Arrays as long as the episode are omitted; they are in the trace.
    Gait: Keys(
        without=("body", "opening_end", "contacts", "cycles", "falls", "held_from"),
        last=_properties(
            *("duration_s", "flight_share", "fallen_share", "falls_per_minute", "longest_down_s"),
            *("hops_per_s", "detected_periods_s", "period_spread"),
        )
        | {
            "cycles": lambda gait: gait.cycles.count,
            "period_s": lambda gait: gait.cycles.period_s,
            "period_cv": lambda gait: gait.cycles.period_cv,
            "opening_s": lambda gait: gait.opening_end * gait.dt_s,
            "held_from_s": lambda gait: (
                None if gait.held_from is None else gait.held_from * gait.dt_s
            ),
            "touchdowns_s": lambda gait: _after_opening(gait, gait.contacts.touchdowns),
            "liftoffs_s": lambda gait: _after_opening(gait, gait.contacts.liftoffs),
            "falls": _falls,
        },
    ),
    Foot: Keys(without=("down",)),
    LabelStats: Keys(without=("segments", "raster")),
    Persistence: Keys(without=("lag_s", "agreement", "kappa", "auto_information_bits")),
    GaitVerdict: Keys(
        without=("gait", "nearest", "unclear"), before={"candidates": {"reason": gait_reason}}
    ),
    LabelVerdict: Keys(without=("dominant",), before={"criteria": {"reason": label_reason}}),
    Basin: Keys(
        without=("cause",),
        before={"gait": {"cause": lambda basin: cause_words(basin.cause)}},
        last={"reason": episode_reason, "why": attrgetter("cause.why")},
    ),
    RunBasin: Keys(
        without=("causes",),
        last={
            "causes": lambda basin: {cause_words(cause): n for cause, n in basin.causes.items()},
            "reasons": basin_reasons,
            "whys": attrgetter("whys"),
        },
    ),
    RunStability: Keys(
        without=("persistence",),
        before={"persistence": {"persistence": _with_curves}},
        last=_properties("label_verdict", "map_agreement"),
    ),
    LabelComparison: Keys(
        without=("label_rules",),
        before={"learned_visited": {"label_rule": lambda found: " and ".join(found.label_rules)}},
        last=_properties("more_bits", "more_u"),
    ),
    LeftOut: Keys(without=("reason", "counted_as"), last={"reason": phrases.left_out}),
    ControllerRuns: Keys(
        without=("means",),
        last={
            "means": lambda own: {"metrics": own.means, "answer": phrases.metric_means(own.means)}
        },
    ),
    Values: Keys(last={"answer": phrases.values}),
    StabilityAndReturn: Keys(
        without=("mismatch", "caveats"),
        last={
            "answer": phrases.stability_and_return,
            "others": phrases.other_metrics,
            "doubts": phrases.correlation_caveats,
        },
    ),
    GroupComparison: Keys(
        without=("caveats",),
        last={"answer": phrases.groups, "doubts": lambda found: phrases.caveats(found.caveats)},
    ),
    ControllerPair: Keys(
        without=_VERDICTS,
        before={"gait_differs": {name: _verdict(name) for name in _VERDICTS}},
        last={"told": phrases.controller_pair},
    ),
    Controllers: Keys(without=("mismatch",), last={"answer": phrases.controllers}),
    Correspondence: Keys(last={"answer": phrases.correspondence}),
    ComparisonAnswers: Keys(
        without=("labels_compared", "any_frames", "labelled_runs"),
        before={
            "gaits_by_controller": {
                "gaits": phrases.gaits_differ,
                "labels": phrases.labels_correspond,
                "lacking": phrases.phases_lacking,
                "merged": phrases.phases_merged,
            }
        },
    ),
    Comparison: Keys(
        without=("caveats", "no_correspondence"),
        before={
            "by_controller": {"doubts": lambda found: phrases.caveats(found.caveats)},
            "label_matches": {
                "no_correspondence": lambda found: (
                    found.no_correspondence and phrases.no_correspondence(found.no_correspondence)
                )
            },
        },
    ),
    # What they were made from.
    LabelMatches: Keys(without=("names", "clusters", "probe_set", "labels", "obstacle")),
    Failed: Keys(
        without=("name", "target", "controller"), before={"error": {"run": attrgetter("name")}}
    ),
}
"""By the type of the result."""
