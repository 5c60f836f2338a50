"""Coordinates of a map: fitted once, kept beside the traces, and found again by what they are of.

The file's name is a hash of all that the coordinates depend on (the traces' hashes, the space, the
encoder, the method, its seed and version). Other traces, or another seed, lead to another file.
"""

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Bool, Float32

from glassviz.errors import GlassvizError, UsageError
from glassviz.files import replacing
from glassviz.maps.encoder import Encoder
from glassviz.maps.frames import pool
from glassviz.maps.projection import FEWEST, MIN_DIST, NEIGHBOURS, Method, project
from glassviz.maps.spaces import METRICS, Space, features
from glassviz.maps.thinning import thin
from glassviz.targets import MAP_SUFFIX
from glassviz.trace import UNREADABLE, Trace

SCHEMA_VERSION = 2

MAX_POINTS = 100_000
"""Frames that are fitted at most: those that UMAP takes about a minute for on two cores."""

Plane = Float32[np.ndarray, "episodes frames 2"]


@dataclass(frozen=True)
class MapOptions:
    """How a map is made.

    Attributes:
        method: `umap`, or `pca`.
        seed: of UMAP's layout and of the thinning.
        space: what is mapped.
        max_points: frames that are fitted at most; of more, as many of every episode, gait cycle
            and phase.
        place_rest: whether the others are placed on the fitted map; they are left out otherwise.

    Raises:
        UsageError: too few points, or a seed out of range.
    """

    method: Method = "umap"
    seed: int = 0
    space: Space = "latent"
    max_points: int = MAX_POINTS
    place_rest: bool = False

    def __post_init__(self) -> None:
        if self.max_points < FEWEST:
            raise UsageError(
                f"--max-points: expected at least {FEWEST}, found {self.max_points}: allow more"
            )
        if not 0 <= self.seed < 2**32:
            raise UsageError(f"--map-seed: expected 0 to {2**32 - 1}, found {self.seed}")


@dataclass(frozen=True, eq=False)
class Coordinates:
    """Where the frames of traces are on their map.

    Attributes:
        inputs: all that they depend on but the machine, as plain data.
        xy: of every frame, by the trace's hash; NaN for frames that were not placed.
        fitted: whether a frame was fitted, and not placed afterwards or left out; likewise.
        explained: share of the variance along each axis; None under UMAP.
    """

    inputs: dict[str, Any]
    xy: Mapping[str, Plane]
    fitted: Mapping[str, Bool[np.ndarray, "episodes frames"]]
    explained: tuple[float, float] | None

    @property
    def file_name(self) -> str:
        """Name of the file: the same inputs always lead to the same file."""
        return file_name(self.inputs)

    def save(self, path: Path) -> None:
        """Write them to `path`, whole or not at all.

        Raises:
            GlassvizError: they cannot be written.
        """
        header = {"inputs": self.inputs, "explained": self.explained}
        text = np.frombuffer(json.dumps(header, sort_keys=True).encode(), dtype=np.uint8)
        arrays: dict[str, Any] = {f"xy-{sha256}": each for sha256, each in self.xy.items()}
        arrays |= {f"fitted-{sha256}": each for sha256, each in self.fitted.items()}
        with replacing(path) as partial, partial.open("wb") as file:
            np.savez_compressed(file, header=text, **arrays)

    @classmethod
    def load(cls, path: Path) -> "Coordinates":
        """Read coordinates.

        Raises:
            GlassvizError: there are none, or the file is of another kind or damaged.
        """
        try:
            with path.open("rb") as file, np.load(file, allow_pickle=False) as archive:
                header = json.loads(archive["header"].tobytes())
                hashes = header["inputs"]["traces"]
                explained = header["explained"]
                return cls(
                    inputs=header["inputs"],
                    xy={sha256: archive[f"xy-{sha256}"] for sha256 in hashes},
                    fitted={sha256: archive[f"fitted-{sha256}"] for sha256 in hashes},
                    explained=(explained[0], explained[1]) if explained else None,
                )
        except UNREADABLE as error:
            raise GlassvizError(
                f"{path}: expected coordinates of a map, found a file that cannot be read as such "
                f"({error}): delete it, and it is made again"
            ) from None


def inputs_of(
    traces: Sequence[Trace], options: MapOptions, encoder: Encoder | None = None
) -> dict[str, Any]:
    """All that coordinates depend on but the machine.

    Labels are not among it: a trace that goes by fitted labels has the map of the recorded one.
    """
    package = "umap-learn" if options.method == "umap" else "numpy"
    return {
        "schema_version": SCHEMA_VERSION,
        "traces": sorted({recorded_sha256(trace) for trace in traces}),
        **asdict(options),
        "encoder": encoder.sha256 if encoder else None,
        "neighbours": NEIGHBOURS,
        "min_dist": MIN_DIST,
        "version": f"{package} {version(package)}",
    }


def recorded_sha256(trace: Trace) -> str:
    """Hash of the trace as it was recorded, whatever labels it goes by now."""
    fitted = trace.header.get("fitted_labels")
    return fitted["recorded_trace_sha256"] if fitted else trace.sha256


def file_name(inputs: dict[str, Any]) -> str:
    """Name of the file of coordinates with these inputs."""
    digest = hashlib.sha256(json.dumps(inputs, sort_keys=True).encode()).hexdigest()
    return f"{inputs['space']}-{inputs['method']}-{digest[:16]}{MAP_SUFFIX}"


def coordinates_of(
    traces: Sequence[Trace],
    options: MapOptions,
    folder: Path | None = None,
    tell: Callable[[str], None] = lambda line: None,
    encoder: Encoder | None = None,
) -> tuple[Coordinates, Path | None, bool]:
    """The coordinates of traces: those in the folder if there are any, else fitted, and kept there.

    The same traces in another order have the same coordinates.

    Args:
        traces: that share a space.
        options: how the map is made.
        folder: where coordinates are kept; None: nowhere.
        tell: called with each line that a user should see.
        encoder: makes the latents; each trace's own agent if None.

    Returns:
        The coordinates, their file (None if they are kept nowhere), and whether they were there.

    Raises:
        GlassvizError: there is nothing to map.
    """
    inputs = inputs_of(traces, options, encoder)
    path = folder / file_name(inputs) if folder else None
    if path and path.exists():
        try:
            found = Coordinates.load(path)
        except GlassvizError:
            tell(f"{path}: cannot be read, fitting the map again")
        else:
            # A name is a part of the hash only, and a file can be renamed.
            if found.inputs == inputs:
                tell(f"reusing {path}")
                return found, path, True
    fitted = _fit(traces, options, inputs, encoder)
    if path:
        try:
            fitted.save(path)
        except GlassvizError as error:
            tell(f"the map's coordinates are not kept: {error}")
            path = None
    return fitted, path, False


def _fit(
    traces: Sequence[Trace], options: MapOptions, inputs: dict[str, Any], encoder: Encoder | None
) -> Coordinates:
    by_hash = dict(sorted({recorded_sha256(trace): trace for trace in traces}.items()))
    ordered = list(by_hash.values())
    rows = features(ordered, options.space, encoder)
    kept = np.arange(len(rows))
    if len(rows) > options.max_points:
        kept = thin(pool(ordered), options.max_points, options.seed)
    projection = project(rows[kept], options.method, options.seed, METRICS[options.space])
    xy = np.full((len(rows), 2), np.nan, np.float32)
    xy[kept] = projection.xy
    fitted = np.zeros(len(rows), bool)
    fitted[kept] = True
    if options.place_rest and not fitted.all():
        xy[~fitted] = projection.place(rows[~fitted])
    ends = np.cumsum([trace.label.size for trace in ordered])[:-1]
    shapes = [(trace.episodes, trace.frames) for trace in ordered]
    own = list(zip(by_hash, shapes, np.split(xy, ends), np.split(fitted, ends), strict=True))
    return Coordinates(
        inputs=inputs,
        xy={sha256: part.reshape(*shape, 2) for sha256, shape, part, _ in own},
        fitted={sha256: part.reshape(shape) for sha256, shape, _, part in own},
        explained=projection.explained,
    )
