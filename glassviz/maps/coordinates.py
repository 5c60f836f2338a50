"""Coordinates of latent maps by UMAP or PCA, cached next to the traces."""

import hashlib
import json
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from types import ModuleType
from typing import Any, Literal, cast

import numpy as np
from jaxtyping import Bool, Float32, Int32

from glassviz import archive
from glassviz.errors import GlassvizError, UsageError
from glassviz.files import StrPath
from glassviz.gait.gait import Gait
from glassviz.maps.features import SPACE_METRICS, Encoder, Space, features, pool, thin
from glassviz.metrics.embedding import Metric
from glassviz.rollout.find import MAP_SUFFIX
from glassviz.text import printable
from glassviz.trace import LARGEST, Trace

Method = Literal["umap", "pca"]
Rows = Float32[np.ndarray, "frames features"]
Plane = Float32[np.ndarray, "frames 2"]


# Projection ---------------------------------------------------------------------------------------

NEIGHBOURS = 30
"""Largest number of neighbours of UMAP; see `neighbours_of`."""

MIN_DIST = 0.1

FEWEST = 4
"""Minimum number of frames of a map."""

PLACED_BY = 5
"""A frame that was not fitted is interpolated between this many fitted ones."""


@dataclass(frozen=True, eq=False)
class Projection:
    """A fitted 2-D projection.

    Attributes:
        place: computes positions of further frames: exact for PCA; for UMAP interpolated between
            the nearest fitted frames, weighted by 1/distance.
        explained: share of the variance along each axis; None for UMAP.
    """

    xy: Plane
    place: Callable[[Rows], Plane]
    explained: tuple[float, float] | None


def project(rows: Rows, method: Method, seed: int, metric: Metric = "cosine") -> Projection:
    """Fit a projection, reproducible for the same rows and seed on the same machine.

    `rows` are unit vectors, which `cosine` requires, or standardised features. UMAP preserves
    neighbourhoods, PCA the directions of largest variance. `seed` is that of the UMAP layout.

    Raises:
        GlassvizError: there are fewer than four frames, or fewer than two features.

    References:
        McInnes, Healy & Melville, "UMAP", 2018.

    Example:
        >>> rows = np.random.default_rng(0).normal(size=(50, 3)).astype(np.float32)
        >>> project(rows, "pca", seed=0).xy.shape
        (50, 2)
    """
    if rows.shape[1] < 2:
        raise GlassvizError(
            f"map: expected at least 2 features per frame, found {rows.shape[1]}: there is nothing "
            f"to project"
        )
    if len(rows) < FEWEST:
        raise GlassvizError(
            f"map: expected at least {FEWEST} frames, found {len(rows)}: record longer episodes"
        )
    return _umap(rows, seed, metric) if method == "umap" else _pca(rows)


def _pca(rows: Rows) -> Projection:
    from threadpoolctl import threadpool_limits

    mean = rows.mean(axis=0, dtype=np.float64)
    with threadpool_limits(1):  # Makes sums independent of the number of cores.
        centred = rows - mean
        values, vectors = np.linalg.eigh(centred.T @ centred)
    axes = vectors[:, [-1, -2]]
    # The sign of an axis is arbitrary: its largest entry is made positive.
    axes *= np.sign(axes[np.abs(axes).argmax(axis=0), [0, 1]])
    shares = np.maximum(values, 0) / np.maximum(values, 0).sum()

    def place(more: Rows) -> Plane:
        return ((more - mean) @ axes).astype(np.float32)

    return Projection(place(rows), place, (float(shares[-1]), float(shares[-2])))


def neighbours_of(frames: int) -> int:
    """Number of neighbours of UMAP on so many frames."""
    return min(NEIGHBOURS, frames - 1)


def _umap(rows: Rows, seed: int, metric: Metric) -> Projection:
    """UMAP with exact neighbours, initialised by PCA.

    The two steps of `umap.UMAP.fit` with precomputed neighbours: its own search is approximate, and
    compiling it takes longer than exact distances between 50,000 frames.
    """
    umap_ = _import_umap()
    neighbours = neighbours_of(len(rows))
    distance, index = _nearest(rows, rows, neighbours, metric)
    random = np.random.RandomState(seed)
    graph, _, _ = umap_.fuzzy_simplicial_set(
        rows, neighbours, random, metric, knn_indices=index, knn_dists=distance
    )
    a, b = umap_.find_ab_params(1.0, MIN_DIST)
    curve = {"a": a, "b": b, "gamma": 1.0, "initial_alpha": 1.0, "negative_sample_rate": 5}
    defaults = {"densmap": False, "densmap_kwds": {}, "metric_kwds": {}, "output_dens": False}
    options = {"n_components": 2, "n_epochs": None, "metric": metric, "random_state": random}
    init = _pca(rows).xy
    xy, _ = umap_.simplicial_set_embedding(rows, graph, init=init, **curve, **defaults, **options)
    xy = np.asarray(xy, dtype=np.float32)

    def place(more: Rows) -> Plane:
        distance, index = _nearest(rows, more, min(PLACED_BY, len(rows)), metric)
        weight = 1 / np.maximum(distance, 1e-6)
        weight /= weight.sum(axis=1, keepdims=True)
        return np.einsum("fn,fnd->fd", weight, xy[index]).astype(np.float32)

    return Projection(xy, place, None)


def _import_umap() -> ModuleType:
    with warnings.catch_warnings():
        # TensorFlow is needed by parametric UMAP only.
        warnings.simplefilter("ignore", ImportWarning)
        # Notebook widgets are needed by the progress bar of parametric UMAP only.
        warnings.filterwarnings("ignore", "IProgress not found")
        try:
            import umap.umap_
        except RuntimeError as error:
            if "cache" not in str(error):
                raise
            raise GlassvizError(
                f"NUMBA_CACHE_DIR: expected a folder that can be written, found none ({error}): "
                f"set NUMBA_CACHE_DIR to one"
            ) from None

    return umap.umap_


def _nearest(
    among: Rows, rows: Rows, count: int, metric: Metric
) -> tuple[Float32[np.ndarray, "frames count"], Int32[np.ndarray, "frames count"]]:
    """Distances and indices of the nearest rows; a row is its own nearest."""
    from sklearn.neighbors import NearestNeighbors

    fitted = NearestNeighbors(n_neighbors=count, algorithm="brute").fit(among)
    distance, index = fitted.kneighbors(rows)
    if metric == "cosine":
        # For unit vectors half the squared Euclidean distance is 1 − cos.
        distance = np.square(distance) / 2
    return distance.astype(np.float32), index.astype(np.int32)


# Coordinates and their file -----------------------------------------------------------------------

SCHEMA_VERSION = 2

MAX_POINTS = 100_000
"""Maximum number of fitted frames: UMAP takes about a minute for them on two cores."""

Planes = Float32[np.ndarray, "episodes frames 2"]


@dataclass(frozen=True)
class MapOptions:
    """Options of a map.

    Attributes:
        seed: seed of the UMAP layout and of the thinning.
        max_points: most frames to fit; more are thinned evenly over episodes, cycles and phases.
        place_rest: whether the other frames are placed on the fitted map or left out.

    Raises:
        UsageError: there are too few points, or the seed is out of range.
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
    """Coordinates of the frames of traces on their map.

    Attributes:
        inputs: everything that determines them except for the machine, as plain data.
        xy: position of every frame, by hash of the trace; NaN for frames that were not placed.
        fitted: whether a frame was fitted, not placed afterwards or left out; by hash of the trace.
        explained: share of the variance along each axis; None for UMAP.
    """

    inputs: dict[str, Any]
    xy: Mapping[str, Planes]
    fitted: Mapping[str, Bool[np.ndarray, "episodes frames"]]
    explained: tuple[float, float] | None

    @property
    def file_name(self) -> str:
        """Name of the file, determined by the inputs."""
        return file_name(self.inputs)

    def save(self, path: StrPath) -> None:
        """Write the coordinates to `path` atomically; GlassvizError if it cannot be written."""
        arrays: dict[str, np.ndarray] = {f"xy-{sha256}": xy for sha256, xy in self.xy.items()}
        arrays |= {f"fitted-{sha256}": fitted for sha256, fitted in self.fitted.items()}
        header = {"inputs": self.inputs, "explained": self.explained}
        archive.save(path, header, arrays, compress=True)

    @classmethod
    def load(cls, path: StrPath) -> "Coordinates":
        """Read coordinates; GlassvizError if the file is missing, of another kind, or damaged."""
        path = Path(path)
        header, arrays = archive.load(path, "coordinates of a map", _REMEDY)
        inputs, explained = header.get("inputs"), header.get("explained")
        hashes = inputs.get("traces") if isinstance(inputs, dict) else None
        if not isinstance(hashes, list) or not all(isinstance(each, str) for each in hashes):
            raise GlassvizError(f"{path}: expected the inputs of a map, found others: {_REMEDY}")
        if explained is not None and not (
            isinstance(explained, list)
            and len(explained) == 2
            and all(type(share) in (int, float) and 0 <= share <= 1 for share in explained)
        ):
            raise GlassvizError(
                f"{path}: expected two shares of explained variance or null, found something "
                f"else: {_REMEDY}"
            )
        xy = {sha256: arrays.get(f"xy-{sha256}") for sha256 in hashes}
        fitted = {sha256: arrays.get(f"fitted-{sha256}") for sha256 in hashes}
        for sha256 in hashes:
            _check_positions(path, sha256, xy[sha256], fitted[sha256])
        shares = (float(explained[0]), float(explained[1])) if explained else None
        return cls(cast(Any, inputs), cast(Any, xy), cast(Any, fitted), shares)

    def covers(self, traces: Sequence[Trace]) -> bool:
        """Whether there is a position for every frame of the traces that a map places."""
        shapes = {recorded_sha256(each): each.label.shape for each in traces}
        placed = self.inputs["place_rest"]
        most = self.inputs["max_points"]
        return (
            shapes == {sha256: each.shape for sha256, each in self.fitted.items()}
            and sum(int(each.sum()) for each in self.fitted.values())
            == min(most, sum(each.size for each in self.fitted.values()))
            and all(
                placed or self.fitted[sha256][np.isfinite(xy).all(axis=-1)].all()
                for sha256, xy in self.xy.items()
            )
            and all(not placed or np.isfinite(xy).all() for xy in self.xy.values())
            and (self.explained is not None) == (self.inputs["method"] == "pca")
        )


_REMEDY = "delete it to fit the map again"


def _check_positions(
    path: Path, sha256: str, xy: np.ndarray | None, fitted: np.ndarray | None
) -> None:
    place = f"{path}: trace {printable(sha256, 12)}"
    if (
        xy is None
        or fitted is None
        or xy.dtype != np.float32
        or fitted.dtype != np.bool_
        or fitted.ndim != 2
        or xy.shape != (*fitted.shape, 2)
    ):
        found = ["nothing" if a is None else f"{a.dtype} {a.shape}" for a in (xy, fitted)]
        raise GlassvizError(
            f"{place}: expected float32 positions (episodes, frames, 2) and whether each is "
            f"fitted, found {found[0]} and {found[1]}: {_REMEDY}"
        )
    if not (np.abs(xy[fitted]) <= LARGEST).all() or np.isinf(xy).any():
        raise GlassvizError(
            f"{place}: expected finite positions of fitted frames, found others: {_REMEDY}"
        )


def inputs_of(
    traces: Sequence[Trace], options: MapOptions, encoder: Encoder | None = None
) -> dict[str, Any]:
    """Everything that determines coordinates except for the machine.

    Labels do not: a trace with fitted labels shares the map of the recorded trace.
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
    """Hash of the trace as recorded, also if it has fitted labels."""
    fitted = trace.header.get("fitted_labels")
    return fitted["recorded_trace_sha256"] if fitted else trace.sha256


def file_name(inputs: dict[str, Any]) -> str:
    """Name of the file of coordinates with these inputs."""
    digest = hashlib.sha256(json.dumps(inputs, sort_keys=True).encode()).hexdigest()
    return f"{inputs['space']}-{inputs['method']}-{digest[:16]}{MAP_SUFFIX}"


def coordinates_of(
    traces: Sequence[Trace],
    options: MapOptions,
    folder: StrPath | None = None,
    tell: Callable[[str], None] = lambda line: None,
    encoder: Encoder | None = None,
    gaits: Sequence[Sequence[Gait]] | None = None,
) -> tuple[Coordinates, Path | None, bool]:
    """Load the coordinates of traces of one feature space from their cache, or fit and cache them.

    Coordinates do not depend on the order of the traces. `folder` None disables the cache,
    `encoder` None uses the recorded latents, and `gaits` None describes them.

    Returns:
        The coordinates, their file (None without a cache), and whether they were cached.

    Raises:
        GlassvizError: there is nothing to map.
    """
    folder = None if folder is None else Path(folder)
    inputs = inputs_of(traces, options, encoder)
    path = folder / file_name(inputs) if folder else None
    if path and path.exists():
        try:
            cached = Coordinates.load(path)
        except GlassvizError as error:
            tell(f"fitting the map again: {error}")
        else:
            # The name has only a part of the hash, and files can be renamed.
            if cached.inputs == inputs and cached.covers(traces):
                tell(f"reusing {path}")
                return cached, path, True
            tell(f"{path}: of other traces or options, fitting the map again")
    fitted = _fit(traces, options, inputs, encoder, gaits)
    if path:
        try:
            fitted.save(path)
        except GlassvizError as error:
            tell(f"the coordinates of the map are not saved: {error}")
            path = None
    return fitted, path, False


def _fit(
    traces: Sequence[Trace],
    options: MapOptions,
    inputs: dict[str, Any],
    encoder: Encoder | None,
    gaits: Sequence[Sequence[Gait]] | None,
) -> Coordinates:
    by_hash = dict(sorted({recorded_sha256(trace): i for i, trace in enumerate(traces)}.items()))
    ordered = [traces[i] for i in by_hash.values()]
    ordered_gaits = [gaits[i] for i in by_hash.values()] if gaits else None
    rows = features(ordered, options.space, encoder)
    chosen = np.arange(len(rows))
    if len(rows) > options.max_points:
        chosen = thin(pool(ordered, ordered_gaits), options.max_points, options.seed)
    projection = project(rows[chosen], options.method, options.seed, SPACE_METRICS[options.space])
    xy = np.full((len(rows), 2), np.nan, np.float32)
    xy[chosen] = projection.xy
    fitted = np.zeros(len(rows), bool)
    fitted[chosen] = True
    if options.place_rest and not fitted.all():
        xy[~fitted] = projection.place(rows[~fitted])
    ends = np.cumsum([trace.label.size for trace in ordered])[:-1]
    shapes = [(trace.episodes, trace.frames) for trace in ordered]
    parts = list(zip(by_hash, shapes, np.split(xy, ends), np.split(fitted, ends), strict=True))
    return Coordinates(
        inputs=inputs,
        xy={sha256: part.reshape(*shape, 2) for sha256, shape, part, _ in parts},
        fitted={sha256: part.reshape(shape) for sha256, shape, _, part in parts},
        explained=projection.explained,
    )
