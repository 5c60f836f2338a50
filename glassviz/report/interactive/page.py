"""What the interactive page shows: plain data that its scripts draw.

Texts are as they came, unescaped: the scripts set them as text, and `html` escapes what it prints.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float32, Int16, UInt8

from glassviz.report.page import Answer, Row, Tone

NO_STATE = 255
"""In `EpisodeView.state` and `EpisodeView.gait`: none."""


@dataclass(frozen=True)
class State:
    """What colours frames: a label; or a phase of the gait, for an agent without labels.

    Attributes:
        key: what its button, its node and its key on the keyboard are called: a number.
        name: the phase of the gait that it lives in.
        color, ink: #RRGGBB of its areas, and of what is written on them.
        share: of the frames of all episodes, in [0, 1].
    """

    key: str
    name: str
    color: str
    ink: str
    share: float


@dataclass(frozen=True)
class Edge:
    """Switches from one state to another, over all episodes.

    Attributes:
        source, target: numbers of the states.
        count: how many.
        share: of all switches of the run, in (0, 1].
        main: whether it belongs to the dominant cycle.
    """

    source: int
    target: int
    count: int
    share: float
    main: bool


@dataclass(frozen=True)
class Graph:
    """The transition graph of a run; a node a state.

    Attributes:
        xy: where each node stands, in any unit; x to the right, y upwards.
        edges: those that occur.
        caption: how to read it.
    """

    xy: tuple[tuple[float, float], ...]
    edges: tuple[Edge, ...]
    caption: str


@dataclass(frozen=True)
class MapPrototype:
    """A prototype on the map.

    Attributes:
        number: which.
        state: number of its state.
        x, y: where it stands.
    """

    number: int
    state: int
    x: float
    y: float


@dataclass(frozen=True, eq=False)
class Map:
    """What lies under the frames of a run on its latent map.

    Attributes:
        bounds: smallest and largest x, and y, of all frames on the map, whoever acted.
        ground: some of them, evenly drawn.
        path: the typical gait cycle, from touchdown on; empty without cycles.
        prototypes: those that were visited.
        caption: how it was made and how to read it.
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
        episode_return: its sum of rewards.
        basin, tone, reason: the verdict on it.
        state: number of the frame's state; `NO_STATE` for none.
        gait: the entry of `GAIT_PHASES` that it belongs to; `NO_STATE` in the opening.
        cycle: number of its gait cycle; −1 outside.
        phase: of the cycle, in [0, 1); NaN outside.
        xy: where it is on the map.
        height: of the torso over the foot, m.
        value, spread: the return-to-go that the controller expects, and its standard deviation.
        to_go: the return-to-go that came.
        total: return so far.
        film: key of its film in `InteractivePage.films`; None where none could be drawn.
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
        name, controller: as in the table; together no other run has them.
        by: the controller in words.
        checkpoint: hash. Labels of two runs mean the same if it is the same, and `labels_from` is.
        labels_from: `glass`, `fitted` or `none`.
        basin, tone, reasons, summary: the verdict.
        episodes: how many there are.
        dt_s: seconds between frames.
        states: that occur, the numbers in ascending order.
        map: under the frames.
        graph: of the states.
        answers: to the questions of who watches a film.
        shown: the episodes that the page has.
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
    """Which labels of two checkpoints correspond.

    Attributes:
        one, other: hashes of the checkpoints.
        pairs: keys of the labels that do, one of each; all others correspond to none.
        told: how that was found and how well they do, as the end of a sentence.
    """

    one: str
    other: str
    pairs: tuple[tuple[str, str], ...]
    told: str


@dataclass(frozen=True, eq=False)
class InteractivePage:
    """The whole page.

    Attributes:
        command: the command line that asked for it.
        verdict: a paragraph, sentence by sentence.
        rows: the table of all runs; `Row.anchor` is the number of the run in `runs`.
        runs: that were assessed.
        films: by key, MP4.
        no_films: why some or all are missing; None if none is.
        matches: of every two checkpoints whose labels can be matched.
        gait_phases: that `EpisodeView.gait` counts: name and colour.
        versions: of this program and what it runs on.
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
