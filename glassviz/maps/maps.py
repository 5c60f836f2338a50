"""Latent maps of runs, with their quality."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Float32

from glassviz.errors import GlassvizError, UsageError
from glassviz.files import StrPath
from glassviz.gait.gait import Gait
from glassviz.maps.coordinates import Coordinates, MapOptions, coordinates_of, recorded_sha256
from glassviz.maps.features import (
    SPACE_METRICS,
    CyclePath,
    Encoder,
    Frames,
    PlacedPrototype,
    features,
    place_prototypes,
    pool,
    split,
    typical_cycle,
)
from glassviz.metrics.embedding import (
    EmbeddingQuality,
    LabelSeparation,
    draw_sample,
    embedding_quality,
)
from glassviz.metrics.labels import LabelName
from glassviz.rollout.batch import NOBODY, Failed, Listener, each_once, for_each
from glassviz.rollout.relabel import LEARNED
from glassviz.rollout.run import Run, by_checkpoint
from glassviz.trace import Trace

if TYPE_CHECKING:
    from glassviz.rollout.traces import RolloutOptions


@dataclass(frozen=True, eq=False)
class LatentMap:
    """A map of the frames of traces that share a space.

    Attributes:
        name: what tables call it: the checkpoint's name, or those of all in a joint map.
        names: of the checkpoint of each trace.
        traces: in the order that they were given.
        options: how it was made.
        frames: of all traces.
        xy: where each is, in the same order; NaN for those that thinning left out.
        fitted: how many frames the map was fitted on.
        explained: share of the variance along each axis; None under UMAP.
        path: file of the coordinates; None if they are kept nowhere.
        reused: whether that was there already.
        encoder: the agent that made the latents; None if each checkpoint made its own.
        quality: what the map keeps; None for too few frames.
        labels: how far labels lie apart; None without, and where checkpoints are joined.
        prototypes: where they stand; none without labels, and where checkpoints are joined.
        cycles: the typical gait cycle of each trace that has some.
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

    @cached_property
    def coordinates(self) -> tuple[Float32[np.ndarray, "episodes frames 2"], ...]:
        """Where each frame of each trace is; NaN for those that thinning left out."""
        return split(self.frames, self.xy)

    @property
    def of_one_checkpoint(self) -> bool:
        """Whether labels and prototypes mean the same in all traces."""
        return len({trace.header["checkpoint"]["sha256"] for trace in self.traces}) == 1

    @property
    def has_labels(self) -> bool:
        """Whether frames can be coloured by label."""
        return self.of_one_checkpoint and all(trace.has_labels for trace in self.traces)

    @cached_property
    def label_names(self) -> tuple[LabelName, ...]:
        """Labels that occur, with the phase of the gait that each lives in."""
        if not self.has_labels:
            return ()
        return self.frames.label_names(max(trace.clusters for trace in self.traces))

    @property
    def dead_prototypes(self) -> tuple[int, ...]:
        """Prototypes that are the nearest one of no frame; none where N is unknown."""
        partition = self.traces[0].partition
        if not self.has_labels or partition is None:
            return ()
        seen = np.unique(self.frames.prototype)
        return tuple(n for n in range(len(partition)) if n not in seen)


def make_map(
    traces: Sequence[Trace],
    options: MapOptions | None = None,
    folder: StrPath | None = None,
    names: Sequence[str] | None = None,
    tell: Callable[[str], None] = lambda line: None,
    encoder: Encoder | None = None,
    gaits: Sequence[Sequence[Gait]] | None = None,
) -> LatentMap:
    """Map the frames of traces together; the same traces and options always give the same map.

    Args:
        traces: of one checkpoint; or of several, for a space that they share.
        options: how.
        folder: where coordinates are kept and looked for; None: nowhere.
        names: what the checkpoint of each trace is called; its own name by default.
        tell: called with each line that a user should see.
        encoder: makes the latents of all, so that several checkpoints have them in common; each
            checkpoint its own if None.
        gaits: of the episodes of each trace, where they were described already.

    Raises:
        GlassvizError: the traces have no space in common, there is nothing to map, or a gait
            cannot be described.
    """
    options = options or MapOptions()
    own = tuple(names or [trace.header["checkpoint"]["name"] for trace in traces])
    hashes = {trace.header["checkpoint"]["sha256"] for trace in traces}
    if options.space == "latent" and len(hashes) > 1 and encoder is None:
        raise GlassvizError(
            f"map: expected latents of one checkpoint, found those of {len(hashes)} "
            f"({', '.join(dict.fromkeys(own))}), whose encoders have no space in common: map them "
            f"one by one, join what they share with --joint obs or --joint gait, or show all "
            f"observations to one agent with --joint latent --encoder CHECKPOINT"
        )
    found, path, reused = coordinates_of(traces, options, folder, tell, encoder, gaits)
    frames = pool(traces, gaits)
    xy = np.concatenate([found.xy[recorded_sha256(trace)].reshape(-1, 2) for trace in traces])
    labelled = len(hashes) == 1 and all(trace.has_labels for trace in traces)
    quality, labels = _quality(traces, options, frames, xy, labelled, encoder)
    cycles = [typical_cycle(frames, xy, number) for number in range(len(traces))]
    return LatentMap(
        name=", ".join(dict.fromkeys(own)),
        names=own,
        traces=tuple(traces),
        options=options,
        frames=frames,
        xy=xy,
        fitted=_fitted(found),
        explained=found.explained,
        path=path,
        reused=reused,
        encoder=encoder,
        quality=quality,
        labels=labels,
        prototypes=place_prototypes(traces, frames, xy) if labelled else (),
        cycles=tuple(each for each in cycles if each),
    )


def _fitted(found: Coordinates) -> int:
    return sum(int(each.sum()) for each in found.fitted.values())


def _quality(
    traces: Sequence[Trace],
    options: MapOptions,
    frames: Frames,
    xy: Float32[np.ndarray, "frames 2"],
    labelled: bool,
    encoder: Encoder | None,
) -> tuple[EmbeddingQuality | None, LabelSeparation | None]:
    on_map = np.flatnonzero(np.isfinite(xy).all(axis=1))
    drawn = on_map[draw_sample(len(on_map), np.random.default_rng(options.seed))]
    return embedding_quality(
        features(traces, options.space, encoder)[drawn],
        xy[drawn],
        frames.series[drawn],
        frames.time[drawn],
        frames.window[drawn],
        frames.label[drawn].astype(np.int64) if labelled else None,
        SPACE_METRICS[options.space],
    )


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
    """Map runs; one that is broken does not keep the others.

    Args:
        arguments: traces, checkpoints, run folders, folders of either, or patterns, as for
            `targets.find_targets`.
        rollout: how checkpoints are rolled out whose traces are missing.
        options: how maps are made.
        joint: one map of all traces, in place of one a checkpoint.
        folder: of the traces; renders/traces by default. Coordinates are kept beside each
            checkpoint's first trace.
        labels: that frames are coloured by, as for `relabel.labelled`.
        listener: who is told how it goes.
        encoder: checkpoint of the agent that makes the latents of a joint map; each its own if
            None.

    Returns:
        Maps in the order of `arguments`, then what could not be mapped.

    Raises:
        UsageError: an encoder for what is no joint map of latents.
        GlassvizError: no run can have such labels, the encoder cannot be read, or a joint map has
            no space in common.
    """
    if encoder and not (joint and options.space == "latent"):
        raise UsageError("--encoder: expected --joint latent with it: add that, or leave it out")
    shown_to = Encoder.load(encoder) if encoder else None
    from glassviz.rollout.traces import find_runs

    def with_labels(run: Run) -> tuple[str, Run]:
        return run.trace.sha256, run

    rows = find_runs(arguments, rollout, folder, labels, listener)
    read = each_once(for_each(rows, with_labels, Run.failed))
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
            shown_to,
            [run.gaits for run in group],
        )

    def failed(group: list[Run], error: GlassvizError) -> Failed:
        if joint:
            raise error
        return Failed(group[0].name, group[0].target, None, str(error))

    maps = for_each(groups, mapped, failed, listener.on_run)
    made = [row for row in maps if isinstance(row, LatentMap)]
    return [*made, *(row for row in (*read, *maps) if isinstance(row, Failed))]
