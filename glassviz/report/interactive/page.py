"""The interactive page: its data, composed from runs with their films, graphs and maps."""

import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import cv2
import numpy as np
from jaxtyping import Float32, Int, Int16, UInt8

from glassviz import environment
from glassviz.compare import matching
from glassviz.compare.matching import MatchedBy, ProbeSet, match_labels
from glassviz.envs.bodies import HOPPER
from glassviz.errors import GlassvizError
from glassviz.maps.coordinates import MAX_POINTS, MapOptions, Method
from glassviz.maps.features import return_to_go
from glassviz.maps.maps import LatentMap, given_together, make_map
from glassviz.metrics.labels import GAIT_PHASES
from glassviz.metrics.stability import RunStability, phases_of
from glassviz.metrics.transitions import dominant_cycle, dominant_cycles, transition_counts
from glassviz.palette import ink_on, label_color
from glassviz.report.compose import assessed_row, failed_row, tone_of
from glassviz.report.page import Answer, Row, Tone
from glassviz.report.phrases import captions
from glassviz.report.phrases.numbers import majority
from glassviz.report.phrases.summary import lead, return_and_gait
from glassviz.report.phrases.verdicts import basin_reasons, episode_reason
from glassviz.report.sections import answers_of
from glassviz.rollout.batch import Failed
from glassviz.rollout.run import Run
from glassviz.text import printable
from glassviz.trace import Trace
from glassviz.video.backdrop import Background
from glassviz.video.clip import CONTROLLER_NAMES, Clip
from glassviz.video.encode import Encoder, frame_rate, pack
from glassviz.video.renderer import (
    FrameRenderer,
    MujocoRenderer,
    OpenRenderer,
    Renderers,
    body_view,
    scene_of,
)

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
        speed: forward, m/s.
        reward: for the action of the frame.
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
    speed: Float32[np.ndarray, " frames"]
    reward: Float32[np.ndarray, " frames"]
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
        height_over: what heights are measured from; empty for a body without a height.
        states: states that occur, in ascending order.
        answers: to questions about gait, labels, return and value.
    """

    name: str
    controller: str
    by: str
    checkpoint: str
    labels_from: str
    height_over: str
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
        gait_phases: name and colour of each index in `EpisodeView.gait`, which is one of
            `SHOWN_PHASES`.
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


SIZE = (480, 360)
"""As large as the page shows a film."""

DRAWN = (2 * SIZE[0], 2 * SIZE[1])
"""Size of the drawn pictures: four samples per pixel, which is cheaper than multisampling without a
GPU, because the sky is then drawn once."""

SEEKABLE = (
    # A frame is decoded from the key frame before it: at most nine others on the way, and none
    # that comes later.
    *("-g", "10", "-bf", "0", "-sc_threshold", "0"),
    # About as sharp as `medium` at crf 27 for files 8 % larger, in half of its time.
    *("-preset", "veryfast", "-crf", "26", "-x264-params", "subme=2"),
)


class Projectionist(Renderers):
    """Films episodes. Close it, or use it in `with`.

    `failure` says why films are missing; None if none is.
    """

    def __init__(
        self, open_renderer: OpenRenderer = MujocoRenderer, background: Background = "sky"
    ) -> None:
        super().__init__(open_renderer)
        self._background: Background = background
        self.failure: str | None = None

    def film(
        self, trace: Trace, episode: int, on_frame: Callable[[], None] = lambda: None
    ) -> bytes | None:
        """MP4 film of an episode, counted from 0; None if it cannot be drawn."""
        try:
            scene = scene_of(trace, *DRAWN, "fast", body_view(trace), self._background)
            return _film(trace, episode, self.of(scene), self._background, on_frame)
        except GlassvizError as error:
            self.failure = str(error)
            return None


def _film(
    trace: Trace,
    episode: int,
    renderer: FrameRenderer,
    background: Background,
    on_frame: Callable[[], None],
) -> bytes:
    clip = Clip.of(trace, episode)
    renderer.begin(clip.reset_seed)
    fps, _ = frame_rate(trace.frame_dt_s, 1.0, "mp4")
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        path = Path(folder) / "film.mp4"
        comment = f"glassviz, background {background}, trace {trace.sha256}, episode {episode + 1}"
        with Encoder(path, *SIZE, fps, "mp4", comment, extra=SEEKABLE) as encoder:
            for qpos, qvel in zip(clip.qpos, clip.qvel, strict=True):
                drawn = renderer.render(qpos, qvel)
                picture = cv2.resize(drawn, SIZE, interpolation=cv2.INTER_AREA)
                encoder.write(pack(picture, "mp4"))
                on_frame()
        return path.read_bytes()


States = UInt8[np.ndarray, "episodes frames"]


def graph_of(
    state: States,
    phase: Float32[np.ndarray, "episodes frames"],
    keys: Sequence[int],
    ordered: bool = True,
) -> Graph:
    """Switches between the states of a run, over all its episodes.

    `state` is that of every frame, `NO_STATE` for none and in the initial transient; `phase` is in
    [0, 1), NaN outside of gait cycles; `keys` are the numbers that states are shown with; `ordered`
    is whether the body has gait cycles that give them an order.
    """
    states = len(keys)
    path = np.where(state == NO_STATE, -1, state.astype(np.int64))
    counts = transition_counts(path, states)
    np.fill_diagonal(counts, 0)
    dominant = dominant_cycle(dominant_cycles(path))
    main = dominant.states if dominant else ()
    steps = set(zip(main, main[1:] + main[:1], strict=True))
    total = max(counts.sum(), 1.0)
    edges = tuple(
        Edge(i, j, int(counts[i, j]), float(counts[i, j] / total), (i, j) in steps)
        for i, j in np.argwhere(counts > 0).tolist()
    )
    named = dominant and replace(dominant, states=tuple(keys[i] for i in main))
    return Graph(_around_the_cycle(state, phase, states), edges, captions.switches(named, ordered))


def _around_the_cycle(
    state: States, phase: Float32[np.ndarray, "episodes frames"], states: int
) -> tuple[tuple[float, float], ...]:
    """Places on a ring, clockwise by the circular mean of each state's phases."""
    turn = np.exp(2j * np.pi * phase)
    at = np.empty(states)
    for i in range(states):
        own = turn[(state == i) & np.isfinite(phase)]
        # States outside of cycles come last.
        at[i] = np.angle(own.mean()) % (2 * np.pi) if len(own) else 2 * np.pi
    place = np.empty(states)
    place[np.argsort(at, kind="stable")] = np.arange(states) * (2 * np.pi / max(states, 1))
    return tuple((float(x), float(y)) for x, y in zip(np.sin(place), np.cos(place), strict=True))


def matches_of(runs: Sequence[Run]) -> tuple[LabelMatch, ...]:
    """Matching labels of every two checkpoints that can be compared.

    Raises:
        GlassvizError: a checkpoint has changed.
    """
    found = match_labels(runs)
    checkpoint = {name: labelling.checkpoint_sha256 for labelling, name in found.names.items()}
    matches = []
    for pair in found.pairs:
        partners = enumerate(pair.matching.partner.tolist())
        pairs = tuple((str(k), str(partner)) for k, partner in partners if partner >= 0)
        one, other = checkpoint[pair.one], checkpoint[pair.other]
        matches.append(LabelMatch(one, other, pairs, _told(pair, found.probe_set)))
    return tuple(matches)


def _told(match: matching.LabelMatch, probe_set: ProbeSet | None) -> str:
    if match.by is MatchedBy.OBSERVATIONS and probe_set is not None:
        return captions.matched_by_observations(len(probe_set.obs), match.accuracy)
    similarity = match.matching.similarity[match.matching.partner >= 0].mean()
    return captions.matched_by_phase(float(similarity))


GROUND_POINTS = 1500
NOWHERE = np.zeros((0, 2), np.float32)


@dataclass(frozen=True, eq=False)
class Places:
    """A map of the frames of some traces, or why there is none (`failure`).

    `xy` are coordinates of each frame of each trace; zero without a map.
    """

    xy: tuple[Float32[np.ndarray, "_ _ 2"], ...]
    found: LatentMap | None
    failure: str = ""

    def of(self, number: int, states: Sequence[State]) -> Map:
        """The map as background of one of the traces."""
        every = np.concatenate([xy.reshape(-1, 2) for xy in self.xy])
        (left, bottom), (right, top) = every.min(axis=0).tolist(), every.max(axis=0).tolist()
        bounds = (left, right), (bottom, top)
        if self.found is None:
            return Map(bounds, NOWHERE, NOWHERE, (), self.failure)
        ground = every[:: -(-len(every) // GROUND_POINTS)]
        paths = [each.xy for each in self.found.cycles if each.trace == number]
        path = paths[0].astype(np.float32) if paths else NOWHERE
        numbers = {state.key: i for i, state in enumerate(states)}
        prototypes = tuple(
            MapPrototype(each.number, numbers[str(each.label)], *each.xy)
            for each in self.found.prototypes
            if str(each.label) in numbers
        )
        caption = captions.live_map(self.found, bool(paths), bool(prototypes))
        return Map(bounds, ground, path, prototypes, caption)


def places_of(runs: Sequence[Run], method: Method = "umap") -> Places:
    """Map the latents of one checkpoint's runs together, or reuse the map from an earlier fit.

    Coordinates are stored beside the first trace.
    """
    traces = [run.trace for run in runs]
    frames = sum(trace.label.size for trace in traces)
    try:
        options = MapOptions(method, place_rest=frames > MAX_POINTS)
        folder = runs[0].trace_path.parent
        gaits = [run.gaits for run in runs]
        found = make_map(traces, options, folder, gaits=gaits, given=given_together(runs))
    except GlassvizError as error:
        nowhere = [np.zeros((*trace.label.shape, 2), np.float32) for trace in traces]
        return Places(tuple(nowhere), None, str(error))
    return Places(found.coordinates, found)


PHASE_COLORS = ("#516186", "#7A90AB", "#DCDEEE", "#9AB5D9", "#BD9762", "#864C39", "#E6BA91")
"""Colours of `GAIT_PHASES`: blues for the upright body, from dark on the floor to light in the air,
and browns for the fallen one.

They are duller than the colours of labels, and distinguishable with defective colour vision."""


UNNAMED_PHASE = "no gait phase", "#B8BCC4"
"""Name and colour of all frames of a body whose gait phases have no names."""

SHOWN_PHASES = (*zip(GAIT_PHASES, PHASE_COLORS, strict=True), UNNAMED_PHASE)


def gait_of(trace: Trace, run: RunStability) -> UInt8[np.ndarray, "episodes frames"]:
    """Index in `SHOWN_PHASES` of every frame; `NO_STATE` in the initial transient."""
    if not trace.body.phased:
        return np.full(trace.label.shape, len(GAIT_PHASES), np.uint8)
    rows = [phases_of(trace, each.episode, each.gait) for each in run.episodes]
    return _numbered(np.stack(rows))


def states_of(
    trace: Trace, run: RunStability, gait: UInt8[np.ndarray, "episodes frames"]
) -> tuple[tuple[State, ...], UInt8[np.ndarray, "episodes frames"]]:
    """States that occur in a run, and the index of every frame's state among them."""
    if trace.has_labels:
        value = _numbered(trace.label)
        named = {each.label: each.name for each in run.label_names}
        occurring = np.unique(value[value != NO_STATE]).tolist()
        looks = [(str(k), named[k], label_color(k)) for k in occurring]
    else:
        value = gait
        occurring = np.unique(value[value != NO_STATE]).tolist()
        looks = [(str(k + 1), *SHOWN_PHASES[k]) for k in occurring]
    number = np.full(NO_STATE + 1, NO_STATE, np.uint8)
    number[occurring] = np.arange(len(occurring))
    state = number[value]
    states = tuple(
        State(key, name, color, ink_on(color), float((state == i).mean()))
        for i, (key, name, color) in enumerate(looks)
    )
    return states, state


def _numbered(values: Int[np.ndarray, "episodes frames"]) -> UInt8[np.ndarray, "episodes frames"]:
    return np.where(values < 0, NO_STATE, values).astype(np.uint8)


def compose(
    rows: Sequence[Run | Failed],
    command: str,
    films: int = 1,
    method: Method = "umap",
    on_frame: Callable[[int, int], None] = lambda done, total: None,
    open_renderer: OpenRenderer = MujocoRenderer,
    background: Background = "sky",
) -> InteractivePage:
    """Compose the page; films and maps the traces.

    Coordinates of maps are stored beside the traces, where `glassviz map` finds them too.

    Args:
        rows: runs from `assess_all`.
        films: episodes per run: for 1 the one with the median return, otherwise evenly from the
            lowest to the highest return.
        on_frame: called with frames filmed and in all.
        background: of the films: see `backdrop.set_backdrop`.

    Raises:
        GlassvizError: a trace is no longer what it was.
    """
    assessed = [row for row in rows if isinstance(row, Run)]
    chosen = {id(row): chosen_episodes(row.stability, films) for row in assessed}
    total = sum(len(chosen[id(row)]) * row.stability.frames for row in assessed)
    done = 0

    def tick() -> None:
        nonlocal done
        done += 1
        on_frame(done, total)

    runs: dict[int, RunView] = {}
    found: dict[str, bytes] = {}
    with Projectionist(open_renderer, background) as projectionist:
        for own in _by_checkpoint(assessed):
            places = places_of(own, method)
            for i, row in enumerate(own):
                trace = row.trace
                keys: dict[int, str] = {}
                for episode in chosen[id(row)]:
                    film = projectionist.film(trace, episode, tick)
                    if film is not None:
                        keys[episode] = f"{trace.sha256[:12]}-{episode + 1}"
                        found[keys[episode]] = film
                runs[id(row)] = _run(row, places, i, chosen[id(row)], keys)
    unnamed = any(not row.trace.body.phased for row in assessed)
    order = {id(row): str(number) for number, row in enumerate(assessed)}
    return InteractivePage(
        command=printable(command, limit=len(command)),
        verdict=lead(rows),
        rows=tuple(
            assessed_row(row, order[id(row)], rows) if isinstance(row, Run) else failed_row(row)
            for row in rows
        ),
        runs=tuple(runs[id(row)] for row in assessed),
        films=found,
        no_films=projectionist.failure,
        matches=matches_of(assessed),
        gait_phases=SHOWN_PHASES if unnamed else SHOWN_PHASES[: len(GAIT_PHASES)],
        versions=environment.versions(),
    )


def chosen_episodes(run: RunStability, count: int) -> tuple[int, ...]:
    """Episodes by ascending return: the median one, or evenly from the lowest to the highest."""
    order = np.argsort([each.episode_return for each in run.episodes], kind="stable")
    last = len(order) - 1
    places = [last // 2] if count == 1 else np.linspace(0, last, min(count, len(order))).round()
    return tuple(int(order[int(place)]) for place in places)


def _by_checkpoint(rows: Sequence[Run]) -> list[list[Run]]:
    """Runs grouped by checkpoint, whose latents share a map."""
    groups: dict[tuple[str, str], list[Run]] = {}
    for row in rows:
        groups.setdefault((row.stability.checkpoint_sha256, row.name), []).append(row)
    return list(groups.values())


def _height_over(trace: Trace) -> str:
    if "height" in trace.unknown:
        return ""
    return "foot" if trace.body.name == HOPPER else "floor"


def _run(
    row: Run, places: Places, number: int, chosen: Sequence[int], films: dict[int, str]
) -> RunView:
    run, trace = row.stability, row.trace
    gait = gait_of(trace, run)
    phased = run.episodes[0].gait.phased
    states, state = states_of(trace, run, gait)
    phase = np.stack([each.gait.cycles.phase for each in run.episodes]) / (2 * np.pi)
    phase = phase.astype(np.float32)
    path = np.where(gait == NO_STATE, gait, state)
    to_go, total = return_to_go(trace), np.cumsum(trace.reward, axis=1)
    shown = []
    for e in sorted(chosen):
        own = run.episodes[e]
        shown.append(
            EpisodeView(
                number=e + 1,
                episode_return=own.episode_return,
                basin=own.basin.name,
                tone=tone_of(own.basin.name),
                reason=episode_reason(own.basin),
                state=state[e],
                gait=gait[e],
                cycle=own.gait.cycles.cycle.astype(np.int16),
                phase=phase[e],
                xy=places.xy[number][e],
                height=trace.height[e].astype(np.float32),
                speed=trace.speed[e].astype(np.float32),
                reward=trace.reward[e].astype(np.float32),
                value=trace.value[e],
                spread=trace.value_spread[e],
                to_go=to_go[e].astype(np.float32),
                total=total[e].astype(np.float32),
                film=films.get(e),
            )
        )
    return RunView(
        name=row.name,
        controller=run.controller,
        by=CONTROLLER_NAMES.get(run.controller, run.controller),
        checkpoint=run.checkpoint_sha256,
        labels_from=run.labels_from,
        height_over=_height_over(trace),
        basin=majority(run.basin.name, run.basin.split),
        tone=tone_of(run.basin.name),
        reasons=basin_reasons(run.basin),
        summary=return_and_gait(run),
        episodes=len(run.episodes),
        dt_s=run.frame_dt_s,
        states=states,
        map=places.of(number, states),
        graph=graph_of(path, phase, [int(each.key) for each in states], phased),
        answers=answers_of(row),
        shown=tuple(shown),
    )
