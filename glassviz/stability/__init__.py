"""Stability: what a run does, episode by episode, and which basin it is in.

    assess: everything about one trace, as `RunStability`.
    assess_all: the same for many runs at once; missing traces are made, broken runs named.
    median_episode: the one to show where one is shown.
    of_one_clock: the episodes whose gait cycles begin at one event.

Loads neither JAX nor MuJoCo until `assess_all` is called.
"""

from glassviz.stability.episode import EpisodeStability
from glassviz.stability.many import Assessed, assess_all
from glassviz.stability.metrics import METRICS, OF_BODY, OF_LABELS
from glassviz.stability.run import EpisodePair, RunStability, assess, median_episode, of_one_clock

__all__ = [
    "METRICS",
    "OF_BODY",
    "OF_LABELS",
    "Assessed",
    "EpisodePair",
    "EpisodeStability",
    "RunStability",
    "assess",
    "assess_all",
    "median_episode",
    "of_one_clock",
]
