"""Latent maps of runs, with their quality."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Float32

from glassviz.errors import GlassvizError, UsageError
from glassviz.files import StrPath
from glassviz.gait.gait import Gait
from glassviz.maps.coordinates import MapOptions, coordinates_of, recorded_sha256
from glassviz.maps.features import (
    SPACE_METRICS,
    CyclePath,
    Encoder,
    Frames,
    PlacedPrototype,
    features,
    place_prototypes,
    pool,
    typical_cycle,
)
from glassviz.metrics.embedding import (
    EmbeddingQuality,
    LabelSeparation,
    draw_sample,
    embedding_quality,
)
from glassviz.metrics.labels import LabelName, names_together
from glassviz.metrics.stability import describe_gaits, label_names
from glassviz.rollout.batch import NOBODY, Failed, Listener, each_once, for_each
from glassviz.rollout.remaining import counting_sizes
from glassviz.rollout.run import LEARNED, Run, by_checkpoint
from glassviz.trace import Trace

if TYPE_CHECKING:
    from glassviz.rollout.traces import RolloutOptions


@dataclass(frozen=True, eq=False, repr=False)
class LatentMap:
    """A map of the frames of traces that share a space.

    Attributes:
        name: name of the checkpoint, or of all checkpoints of a joint map.
        names: name of each trace's checkpoint.
        xy: position of each frame; NaN for those that thinning left out.
        fitted: number of frames that the map was fitted on.
        explained: share of the variance along each axis; None for UMAP.
        path: file of the coordinates; None without a cache.
        reused: whether the coordinates were cached.
        encoder: encoder of all latents; None for those of each checkpoint.
        quality: quality of the map; None for too few frames.
        labels: separation of labels; None without labels, or for several checkpoints.
        prototypes: positions of prototypes; empty without labels, or for several checkpoints.
        cycles: typical gait cycles of the traces that have one.
        label_names: names of the labels that occur, see `label_names`; empty for several
            checkpoints.
    """

    name: str
    names: tuple[str, ...]
    traces: tuple[Trace, ...]
    options: MapOptions
    frames: Frames
    xy: Float32[np.ndarray, "frames 2"]
    fitted: int
    explained: tuple[float, float] | None
    path: Path | None
    reused: bool
    encoder: Encoder | None
    quality: EmbeddingQuality | None
    labels: LabelSeparation | None
    prototypes: tuple[PlacedPrototype, ...]
    cycles: tuple[CyclePath, ...]
    label_names: tuple[LabelName, ...]

    def __repr__(self) -> str:
        return (
            f"LatentMap({', '.join(map(repr, self.names))}, {self.options.method}, "
            f"{len(self.frames)} frames)"
        )

    @cached_property
    def coordinates(self) -> tuple[Float32[np.ndarray, "episodes frames 2"], ...]:
        """Positions of the frames by trace; NaN for those that thinning left out."""
        shapes = [(trace.episodes, trace.frames) for trace in self.traces]
        parts = np.split(self.xy, np.cumsum([np.prod(shape) for shape in shapes])[:-1])
        return tuple(part.reshape(*shape, 2) for part, shape in zip(parts, shapes, strict=True))

    @property
    def of_one_checkpoint(self) -> bool:
        """Whether labels and prototypes mean the same in all traces."""
        return len({trace.header["checkpoint"]["sha256"] for trace in self.traces}) == 1

    @property
    def has_labels(self) -> bool:
        """Whether frames can be coloured by label."""
        return self.of_one_checkpoint and all(trace.has_labels for trace in self.traces)

    @property
    def dead_prototypes(self) -> tuple[int, ...]:
        """Prototypes that are nearest to no frame; empty if their number is unknown."""
        partition = self.traces[0].partition
        if not self.has_labels or partition is None:
            return ()
        return tuple(np.setdiff1d(np.arange(len(partition)), self.frames.prototype).tolist())


def make_map(
    traces: Sequence[Trace],
    options: MapOptions | None = None,
    folder: StrPath | None = None,
    names: Sequence[str] | None = None,
    tell: Callable[[str], None] = lambda line: None,
    encoder: Encoder | None = None,
    gaits: Sequence[Sequence[Gait]] | None = None,
    given: Mapping[int, str] | None = None,
) -> LatentMap:
    """Map the frames of traces together; equal traces and options give equal maps.

    Args:
        folder: folder of the cache of coordinates; None disables it.
        names: name of each trace's checkpoint; None for the recorded names.
        encoder: makes latents of several checkpoints comparable; None uses the recorded ones.
        gaits: gaits of the episodes of each trace; None describes them.
        given: names that a user gave to labels.

    Raises:
        GlassvizError: there is no common space, nothing to map, or a gait cannot be described.
    """
    options = options or MapOptions()
    names = tuple(names or [trace.header["checkpoint"]["name"] for trace in traces])
    hashes = {trace.header["checkpoint"]["sha256"] for trace in traces}
    if options.space == "latent" and len(hashes) > 1 and encoder is None:
        raise GlassvizError(
            f"map: expected latents of one checkpoint, found those of {len(hashes)} "
            f"({', '.join(dict.fromkeys(names))}), whose encoders have no space in common: map "
            f"them one by one, join what they share with --joint obs or --joint gait, or show all "
            f"observations to one agent with --joint latent --encoder CHECKPOINT"
        )
    gaits = gaits or [describe_gaits(trace) for trace in traces]
    coordinates, path, reused = coordinates_of(traces, options, folder, tell, encoder, gaits)
    frames = pool(traces, gaits)
    xy = np.concatenate([coordinates.xy[recorded_sha256(t)].reshape(-1, 2) for t in traces])
    labelled = len(hashes) == 1 and all(trace.has_labels for trace in traces)
    on_map = np.flatnonzero(np.isfinite(xy).all(axis=1))
    sample = on_map[draw_sample(len(on_map), np.random.default_rng(options.seed))]
    quality, labels = embedding_quality(
        features(traces, options.space, encoder)[sample],
        xy[sample],
        frames.series[sample],
        frames.time[sample],
        frames.window[sample],
        frames.label[sample].astype(np.int64) if labelled else None,
        SPACE_METRICS[options.space],
    )
    cycles = [typical_cycle(frames, xy, number) for number in range(len(traces))]
    return LatentMap(
        name=", ".join(dict.fromkeys(names)),
        names=names,
        traces=tuple(traces),
        options=options,
        frames=frames,
        xy=xy,
        fitted=sum(int(fitted.sum()) for fitted in coordinates.fitted.values()),
        explained=coordinates.explained,
        path=path,
        reused=reused,
        encoder=encoder,
        quality=quality,
        labels=labels,
        prototypes=place_prototypes(traces, frames, xy) if labelled else (),
        cycles=tuple(cycle for cycle in cycles if cycle),
        label_names=names_together(
            [label_names(t, g, given) for t, g in zip(traces, gaits, strict=True)]
        )
        if labelled
        else (),
    )


def given_together(runs: Sequence[Run]) -> dict[int, str]:
    """Names that a user gave to the labels of runs of one checkpoint."""
    return {label: name for run in runs for label, name in run.given_labels.items()}


def map_all(
    arguments: StrPath | Sequence[StrPath],
    rollout: "RolloutOptions",
    options: MapOptions,
    joint: bool = False,
    folder: StrPath | None = None,
    labels: str = LEARNED,
    listener: Listener = NOBODY,
    encoder: StrPath | None = None,
) -> list[LatentMap | Failed]:
    """Map runs, one map per checkpoint, in the order of `arguments`; failures come last.

    Args:
        arguments: as for `find.find_targets`.
        rollout: options of the rollouts of checkpoints without traces.
        joint: one map of all traces.
        folder: folder of the traces; renders/traces by default. Coordinates are cached beside the
            first trace of each checkpoint.
        labels: labels of the frames, see `run.labelled`.
        encoder: checkpoint whose encoder makes the latents of a joint map; None: the recorded ones.

    Raises:
        UsageError: an encoder is given for another map than a joint one of latents.
        GlassvizError: no run can have such labels, the encoder cannot be read, or a joint map has
            no common space.
    """
    if encoder and not (joint and options.space == "latent"):
        raise UsageError("--encoder: expected --joint latent with it: add that, or leave it out")
    common_encoder = Encoder.load(encoder, rollout.unsaid) if encoder else None
    from glassviz.rollout.traces import find_runs

    def with_hash(run: Run) -> tuple[str, Run]:
        return run.trace.sha256, run  # Reads the trace, so that failures are found.

    targets = find_runs(arguments, rollout, folder, labels, listener)
    read = each_once(for_each(targets, with_hash, Run.failed))
    runs: dict[str, Run] = {}
    for row in read:
        if not isinstance(row, Failed):
            runs.setdefault(*row)
    groups = by_checkpoint(runs.values())
    if joint and groups:
        groups = [list(runs.values())]

    def mapped(group: list[Run]) -> LatentMap:
        return make_map(
            [run.trace for run in group],
            options,
            group[0].trace_path.parent,
            [run.name for run in group],
            listener.tell,
            common_encoder,
            [run.gaits for run in group],
            given_together(group),
        )

    def failed(group: list[Run], error: GlassvizError) -> Failed:
        if joint:
            raise error
        return Failed(group[0].name, group[0].target, None, str(error))

    on_done = counting_sizes([sum(run.frames for run in group) for group in groups], listener)
    rows = (*read, *for_each(groups, mapped, failed, on_done))
    maps = [row for row in rows if isinstance(row, LatentMap)]
    return [*maps, *(row for row in rows if isinstance(row, Failed))]
