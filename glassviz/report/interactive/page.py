"""Contents of the interactive page: plain data that its scripts draw.

Texts are unescaped: the scripts set them as text, and `html` escapes what it prints.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float32, Int16, UInt8

from glassviz.report.page import Answer, Row, Tone

NO_STATE = 255
"""Stands for none in `EpisodeView.state` and `EpisodeView.gait`."""


@dataclass(frozen=True)
class State:
    """A label, or a gait phase for an agent without labels; frames are coloured by it.

    Attributes:
        key: number shown on its button and node, and pressed on the keyboard.
        color, ink: #RRGGBB of its areas, and of text on them.
        share: share of the frames of all episodes, in [0, 1].
    """

    key: str
    name: str
    color: str
    ink: str
    share: float


@dataclass(frozen=True)
class Edge:
    """Switches from one state to another, by index, over all episodes.

    `share` is of all switches of the run, in (0, 1]; `main` edges form the dominant cycle.
    """

    source: int
    target: int
    count: int
    share: float
    main: bool


@dataclass(frozen=True)
class Graph:
    """The transition graph of a run, with one node per state.

    `xy` are places of the nodes in arbitrary units; x to the right, y upwards.
    """

    xy: tuple[tuple[float, float], ...]
    edges: tuple[Edge, ...]
    caption: str


@dataclass(frozen=True)
class MapPrototype:
    """A prototype on the map; `state` is the index of its state."""

    number: int
    state: int
    x: float
    y: float


@dataclass(frozen=True, eq=False)
class Map:
    """Background of a run's frames on its latent map.

    Attributes:
        bounds: range of x and of y over all frames on the map, for all controllers.
        ground: an even sample of these frames.
        path: the typical gait cycle from touchdown; empty without cycles.
    """

    bounds: tuple[tuple[float, float], tuple[float, float]]
    ground: Float32[np.ndarray, "points 2"]
    path: Float32[np.ndarray, "steps 2"]
    prototypes: tuple[MapPrototype, ...]
    caption: str


@dataclass(frozen=True, eq=False)
class EpisodeView:
    """One episode, frame by frame.

    Attributes:
        number: from 1.
        state: index of the frame's state; `NO_STATE` for none.
        gait: index in `GAIT_PHASES`; `NO_STATE` in the initial transient.
        cycle: number of the gait cycle; −1 outside of cycles.
        phase: phase in the cycle, in [0, 1); NaN outside of cycles.
        height: height of the torso over the foot, m.
        value, spread: predicted return-to-go and its standard deviation.
        to_go: realised return-to-go.
        total: return so far.
        film: key in `InteractivePage.films`; None if the film could not be drawn.
    """

    number: int
    episode_return: float
    basin: str
    tone: Tone
    reason: str
    state: UInt8[np.ndarray, " frames"]
    gait: UInt8[np.ndarray, " frames"]
    cycle: Int16[np.ndarray, " frames"]
    phase: Float32[np.ndarray, " frames"]
    xy: Float32[np.ndarray, "frames 2"]
    height: Float32[np.ndarray, " frames"]
    value: Float32[np.ndarray, " frames"]
    spread: Float32[np.ndarray, " frames"]
    to_go: Float32[np.ndarray, " frames"]
    total: Float32[np.ndarray, " frames"]
    film: str | None


@dataclass(frozen=True, eq=False)
class RunView:
    """One checkpoint under one controller.

    Attributes:
        name, controller: as in the table; unique together.
        checkpoint: hash. Labels of two runs are the same if it and `labels_from` are.
        labels_from: `glass`, `fitted` or `none`.
        states: states that occur, in ascending order.
        answers: to the questions of a viewer who rates films.
    """

    name: str
    controller: str
    by: str
    checkpoint: str
    labels_from: str
    basin: str
    tone: Tone
    reasons: tuple[str, ...]
    summary: str
    episodes: int
    dt_s: float
    states: tuple[State, ...]
    map: Map
    graph: Graph
    answers: tuple[Answer, ...]
    shown: tuple[EpisodeView, ...]


@dataclass(frozen=True)
class LabelMatch:
    """Matching labels of two checkpoints.

    Attributes:
        one, other: hashes of the checkpoints.
        pairs: keys of the matching labels; all others are unmatched.
        told: how they were matched and how well, in parentheses of a sentence.
    """

    one: str
    other: str
    pairs: tuple[tuple[str, str], ...]
    told: str


@dataclass(frozen=True, eq=False)
class InteractivePage:
    """The whole page.

    Attributes:
        rows: table of all runs; `Row.anchor` is the index of the run in `runs`.
        films: MP4 files by key.
        no_films: why films are missing; None if none is.
        matches: matching labels of every two checkpoints that can be compared.
        gait_phases: name and colour of each index in `EpisodeView.gait`.
        versions: versions of glassviz and its platform.
    """

    command: str
    verdict: tuple[str, ...]
    rows: tuple[Row, ...]
    runs: tuple[RunView, ...]
    films: Mapping[str, bytes]
    no_films: str | None
    matches: tuple[LabelMatch, ...]
    gait_phases: tuple[tuple[str, str], ...]
    versions: Mapping[str, str]
