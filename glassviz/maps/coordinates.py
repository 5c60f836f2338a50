"""Coordinates of latent maps by UMAP or PCA, kept beside the traces."""

import hashlib
import json
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from types import ModuleType
from typing import Any, Literal

import numpy as np
from jaxtyping import Bool, Float32, Float64, Int32

from glassviz.errors import GlassvizError, UsageError
from glassviz.files import StrPath, replacing
from glassviz.gait.gait import Gait
from glassviz.maps.features import METRICS, Encoder, Space, features, pool, thin
from glassviz.metrics.embedding import Metric
from glassviz.rollout.find import MAP_SUFFIX
from glassviz.trace import UNREADABLE, Trace

Method = Literal["umap", "pca"]


Rows = Float32[np.ndarray, "frames features"]


Plane = Float32[np.ndarray, "frames 2"]


NEIGHBOURS = 30


MIN_DIST = 0.1


FEWEST = 4
"""Frames without which there is no map."""


PLACED_BY = 5
"""A frame that was not fitted stands between so many of those that were."""


@dataclass(frozen=True, eq=False)
class Projection:
    """A map of some frames, and how others are placed on it.

    Attributes:
        xy: where the fitted frames are.
        place: where further frames are. Under PCA that is exact; under UMAP they stand between
            the fitted frames that are nearest to them, by 1/distance.
        explained: share of the variance along each axis; None under UMAP.
    """

    xy: Plane
    place: Callable[[Rows], Plane]
    explained: tuple[float, float] | None


def project(rows: Rows, method: Method, seed: int, metric: Metric = "cosine") -> Projection:
    """Fit a map; the same rows and seed give the same map on the same machine.

    Args:
        rows: vectors of length 1, or standardised features.
        method: `umap` keeps neighbourhoods, `pca` the directions of largest variance.
        seed: of UMAP's layout.
        metric: what UMAP takes for distance; `cosine` needs vectors of length 1.

    Raises:
        GlassvizError: there are fewer than four frames, or than two numbers in each.

    References:
        McInnes, Healy & Melville, "UMAP", 2018.
    """
    if rows.shape[1] < 2:
        raise GlassvizError(
            f"map: expected at least 2 numbers a frame, found {rows.shape[1]}: there is nothing to "
            f"lay flat"
        )
    if len(rows) < FEWEST:
        raise GlassvizError(
            f"map: expected at least {FEWEST} frames, found {len(rows)}: record longer episodes"
        )
    return _umap(rows, seed, metric) if method == "umap" else _pca(rows)


def _pca(rows: Rows) -> Projection:
    mean, axes, explained = _principal_axes(rows)

    def place(more: Rows) -> Plane:
        return ((more - mean) @ axes).astype(np.float32)

    return Projection(place(rows), place, explained)


def _principal_axes(
    rows: Rows,
) -> tuple[
    Float64[np.ndarray, " features"], Float64[np.ndarray, "features 2"], tuple[float, float]
]:
    from threadpoolctl import threadpool_limits

    mean = rows.mean(axis=0, dtype=np.float64)
    with threadpool_limits(1):  # So that sums come out the same whatever the number of cores.
        centred = rows - mean
        values, vectors = np.linalg.eigh(centred.T @ centred)
    axes = vectors[:, [-1, -2]]
    # An axis has no direction of its own: its largest entry is to be positive.
    axes *= np.sign(axes[np.abs(axes).argmax(axis=0), [0, 1]])
    shares = np.maximum(values, 0) / np.maximum(values, 0).sum()
    return mean, axes, (float(shares[-1]), float(shares[-2]))


def _umap(rows: Rows, seed: int, metric: Metric) -> Projection:
    """UMAP on exact neighbours, begun from the principal axes.

    The two steps of `umap.UMAP.fit`, with neighbours that are given: those that it looks for
    itself are approximate, and compiling that search takes longer than exact distances between
    50,000 frames.
    """
    umap_ = _import_umap()
    neighbours = min(NEIGHBOURS, len(rows) - 1)
    distance, index = _nearest(rows, rows, neighbours, metric)
    random = np.random.RandomState(seed)
    graph, _, _ = umap_.fuzzy_simplicial_set(
        rows, neighbours, random, metric, knn_indices=index, knn_dists=distance
    )
    a, b = umap_.find_ab_params(1.0, MIN_DIST)
    xy, _ = umap_.simplicial_set_embedding(
        rows,
        graph,
        n_components=2,
        initial_alpha=1.0,
        a=a,
        b=b,
        gamma=1.0,
        negative_sample_rate=5,
        n_epochs=None,
        init=_pca(rows).xy,
        random_state=random,
        metric=metric,
        metric_kwds={},
        densmap=False,
        densmap_kwds={},
        output_dens=False,
    )
    xy = np.asarray(xy, dtype=np.float32)

    def place(more: Rows) -> Plane:
        away, by = _nearest(rows, more, min(PLACED_BY, len(rows)), metric)
        weight = 1 / np.maximum(away, 1e-6)
        weight /= weight.sum(axis=1, keepdims=True)
        return np.einsum("fn,fnd->fd", weight, xy[by]).astype(np.float32)

    return Projection(xy, place, None)


def _import_umap() -> ModuleType:
    with warnings.catch_warnings():
        # It mentions that TensorFlow is not installed, which only its neural variant needs.
        warnings.simplefilter("ignore", ImportWarning)
        # Nor does it matter that a notebook has no widgets for the progress of its neural variant.
        warnings.filterwarnings("ignore", "IProgress not found")
        import umap.umap_

    return umap.umap_


def _nearest(
    among: Rows, rows: Rows, count: int, metric: Metric
) -> tuple[Float32[np.ndarray, "frames count"], Int32[np.ndarray, "frames count"]]:
    """Distances to the nearest rows, and which these are; a row is its own nearest."""
    from sklearn.neighbors import NearestNeighbors

    found = NearestNeighbors(n_neighbors=count, algorithm="brute").fit(among)
    distance, index = found.kneighbors(rows)
    # Of vectors of length 1, half the squared distance is 1 − cos.
    away = np.square(distance) / 2 if metric == "cosine" else distance
    return away.astype(np.float32), index.astype(np.int32)


SCHEMA_VERSION = 2


MAX_POINTS = 100_000
"""Frames that are fitted at most: those that UMAP takes about a minute for on two cores."""


Planes = Float32[np.ndarray, "episodes frames 2"]


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
    xy: Mapping[str, Planes]
    fitted: Mapping[str, Bool[np.ndarray, "episodes frames"]]
    explained: tuple[float, float] | None

    @property
    def file_name(self) -> str:
        """Name of the file: the same inputs always lead to the same file."""
        return file_name(self.inputs)

    def save(self, path: StrPath) -> None:
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
    def load(cls, path: StrPath) -> "Coordinates":
        """Read coordinates.

        Raises:
            GlassvizError: there are none, or the file is of another kind or damaged.
        """
        path = Path(path)
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
    folder: StrPath | None = None,
    tell: Callable[[str], None] = lambda line: None,
    encoder: Encoder | None = None,
    gaits: Sequence[Sequence[Gait]] | None = None,
) -> tuple[Coordinates, Path | None, bool]:
    """The coordinates of traces: those in the folder if there are any, else fitted, and kept there.

    The same traces in another order have the same coordinates.

    Args:
        traces: that share a space.
        options: how the map is made.
        folder: where coordinates are kept; None: nowhere.
        tell: called with each line that a user should see.
        encoder: makes the latents; each trace's own agent if None.
        gaits: of the episodes of each trace, where they were described already.

    Returns:
        The coordinates, their file (None if they are kept nowhere), and whether they were there.

    Raises:
        GlassvizError: there is nothing to map.
    """
    folder = None if folder is None else Path(folder)
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
    fitted = _fit(traces, options, inputs, encoder, gaits)
    if path:
        try:
            fitted.save(path)
        except GlassvizError as error:
            tell(f"the map's coordinates are not kept: {error}")
            path = None
    return fitted, path, False


def _fit(
    traces: Sequence[Trace],
    options: MapOptions,
    inputs: dict[str, Any],
    encoder: Encoder | None,
    gaits: Sequence[Sequence[Gait]] | None,
) -> Coordinates:
    by_hash = dict(sorted({recorded_sha256(each): i for i, each in enumerate(traces)}.items()))
    ordered = [traces[i] for i in by_hash.values()]
    described = [gaits[i] for i in by_hash.values()] if gaits else None
    rows = features(ordered, options.space, encoder)
    kept = np.arange(len(rows))
    if len(rows) > options.max_points:
        kept = thin(pool(ordered, described), options.max_points, options.seed)
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
