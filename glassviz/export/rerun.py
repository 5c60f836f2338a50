"""Recordings of episodes for the Rerun viewer, an extra: `pip install 'glassviz[rerun]'`.

Film, labels, latent map and scalars share the timelines `time` (s since the reset) and `frame`.
"""

from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Float32, Int32, UInt32

from glassviz.errors import GlassvizError, UsageError
from glassviz.export.product import Source, made_from
from glassviz.files import StrPath, check_target, replacing
from glassviz.maps.coordinates import Coordinates, Method, recorded_sha256
from glassviz.palette import label_color
from glassviz.report.interactive.page import Projectionist, places_of
from glassviz.rollout.find import MAP_SUFFIX
from glassviz.trace import Trace
from glassviz.video.backdrop import Background
from glassviz.video.renderer import MujocoRenderer, OpenRenderer

if TYPE_CHECKING:
    from rerun import RecordingStream, TimeColumn
    from rerun.blueprint import Blueprint


SUFFIX = ".rrd"
INK = "#22262E"

FRAME_POINTS, HERE_POINTS = 1.6, 7.0
"""Point sizes on the map: of all frames, and of the current frame."""

Plane = Float32[np.ndarray, "episodes frames 2"]


def check(path: StrPath, overwrite: bool) -> None:
    """Check in advance that a recording can be written.

    Raises:
        UsageError: the extra is not installed, or the path has another suffix.
        GlassvizError: the file exists and `overwrite` is false.
    """
    path = Path(path)
    _sdk()
    if path.suffix != SUFFIX:
        raise UsageError(f"{path}: expected a name that ends in {SUFFIX}")
    check_target(path, overwrite)


def write(
    source: Source,
    path: StrPath,
    overwrite: bool = False,
    open_renderer: OpenRenderer = MujocoRenderer,
    method: Method = "umap",
    background: Background = "sky",
) -> list[str]:
    """Write an episode to `path` (.rrd) atomically, and return what was omitted and why.

    The film is omitted if no OpenGL backend works, the map if the latents cannot be mapped. A map
    stored beside the trace is reused, otherwise one is made by `method`.

    Raises:
        UsageError: as for `check`.
        GlassvizError: as for `check`, or the file cannot be written.
    """
    check(path, overwrite)
    rr = _sdk()
    with Projectionist(open_renderer, background) as films:
        film = films.film(source.trace, source.episode)
    notes = [] if film else [f"no film: {films.failure}"]
    xy = find_map(source.trace, source.run.trace_path.parent)
    if xy is None:
        places = places_of([source.run], method)
        if places.found:
            [xy] = places.xy
        else:
            notes.append(f"no map: {places.failure}")
    # The viewer merges files with equal ids into one recording.
    recording_id = f"{source.stability.trace_sha256[:32]}-{source.episode + 1}"
    stream = rr.RecordingStream("glassviz", recording_id=recording_id)
    with replacing(path) as partial:
        stream.save(partial, default_blueprint=_blueprint(source, bool(film), xy is not None))
        stream.send_recording_name(f"{source.title}, episode {source.episode + 1}")
        _log(rr, stream, source, film, xy)
        stream.flush()
        stream.disconnect()
    return notes


def find_map(trace: Trace, folder: StrPath) -> Plane | None:
    """Positions of a trace's frames on its map in `folder`, UMAP before PCA; None without one."""
    for path in sorted(Path(folder).glob(f"latent-*{MAP_SUFFIX}"), reverse=True):
        try:
            coordinates = Coordinates.load(path)
        except GlassvizError:
            continue
        xy = coordinates.xy.get(recorded_sha256(trace))
        if xy is not None and np.isfinite(xy).all() and not coordinates.inputs.get("encoder"):
            return xy
    return None


def _sdk() -> ModuleType:
    try:
        import rerun
    except ModuleNotFoundError as error:
        raise UsageError(
            f"rerun: expected the package rerun-sdk, found no {error.name}: pip install "
            f"'glassviz[rerun]'"
        ) from None
    return rerun


def _log(
    rr: Any, stream: "RecordingStream", source: Source, film: bytes | None, xy: Plane | None
) -> None:
    trace, e = source.trace, source.episode
    frames = np.arange(trace.frames)
    clock = _clock(rr, trace.time[e], frames)
    stream.log("about", rr.TextDocument(made_from(source, whole=False)), static=True)
    scalars = {"reward": trace.reward[e], "value": trace.value[e]}
    if "height" not in trace.unknown:
        scalars["height_m"] = trace.height[e]
    for name, values in scalars.items():
        stream.log(f"scalars/{name}", rr.SeriesLines(names=name, colors=_packed(INK)), static=True)
        stream.send_columns(f"scalars/{name}", clock, rr.Scalars.columns(scalars=values))
    if trace.has_labels:
        _log_labels(rr, stream, source)
    if film:
        video = rr.AssetVideo(contents=film, media_type="video/mp4")
        stream.log("film", video, static=True)
        shown = rr.VideoFrameReference.columns_nanos(video.read_frame_timestamps_nanos())
        stream.send_columns("film", clock, shown)
    if xy is not None:
        _log_map(rr, stream, source, xy)


def _log_labels(rr: Any, stream: "RecordingStream", source: Source) -> None:
    """Log labels as numbers, and switches as text: the new label with its gait phase."""
    trace, e = source.trace, source.episode
    label, names = trace.label[e], source.label_names()
    stream.log("label", rr.SeriesPoints(names="label", marker_sizes=2.0), static=True)
    clock = _clock(rr, trace.time[e], np.arange(trace.frames))
    stream.send_columns("label", clock, rr.Scalars.columns(scalars=label))
    switch = np.flatnonzero(np.diff(label, prepend=-2))
    text = [f"{k} {names.get(k, '')}".strip() for k in label[switch].tolist()]
    clock = _clock(rr, trace.time[e, switch], switch)
    stream.send_columns(
        "switches", clock, rr.TextLog.columns(text=text, color=_rgba(label[switch]))
    )


def _log_map(rr: Any, stream: "RecordingStream", source: Source, xy: Plane) -> None:
    """Log all frames of the trace in the colours of their labels, and the current frame."""
    trace, e = source.trace, source.episode
    # The viewer's y axis points down.
    positions = xy * np.array([1, -1], np.float32)
    on_map = np.isfinite(positions).all(axis=-1)
    small, large = (rr.Radius.ui_points(size) for size in (FRAME_POINTS, HERE_POINTS))
    points = rr.Points2D(positions[on_map], colors=_rgba(trace.label[on_map]), radii=small)
    stream.log("map/frames", points, static=True)
    marker = rr.Points2D.from_fields(colors=[_packed(INK)], radii=[large], draw_order=100.0)
    stream.log("map/here", marker, static=True)
    frames = np.flatnonzero(on_map[e])
    clock = _clock(rr, trace.time[e, frames], frames)
    stream.send_columns("map/here", clock, rr.Points2D.columns(positions=positions[e, frames]))


def _clock(rr: Any, time_s: np.ndarray, frames: np.ndarray) -> "list[TimeColumn]":
    return [rr.TimeColumn("time", duration=time_s), rr.TimeColumn("frame", sequence=frames)]


def _blueprint(source: Source, film: bool, on_map: bool) -> "Blueprint":
    import rerun.blueprint as rrb

    left: list[Any] = [rrb.Spatial2DView(origin="film", name="Film")] if film else []
    if on_map:
        left.append(rrb.Spatial2DView(origin="map", name="Latent map"))
    right: list[Any] = [
        rrb.TimeSeriesView(origin=f"scalars/{name}", name=name)
        for name in ("height_m", "reward", "value")
    ]
    if source.trace.has_labels:
        right.insert(0, rrb.TimeSeriesView(origin="label", name="Label"))
        left.append(rrb.TextLogView(origin="switches", name="Switches"))
    left.append(rrb.TextDocumentView(origin="about", name="About"))
    return rrb.Blueprint(
        rrb.Horizontal(rrb.Vertical(*left), rrb.Vertical(*right)),
        rrb.TimePanel(state="collapsed"),
        collapse_panels=True,
    )


def _rgba(labels: Int32[np.ndarray, " labels"]) -> UInt32[np.ndarray, " labels"]:
    """Colours of labels as 0xRRGGBBAA."""
    return np.array([_packed(label_color(label)) for label in labels.tolist()], np.uint32)


def _packed(color: str) -> int:
    """#RRGGBB as 0xRRGGBBAA."""
    return int(f"{color.removeprefix('#')}FF", 16)
