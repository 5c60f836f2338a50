"""A run: one checkpoint under one controller, with its trace and what is computed from it."""

import os
from collections import OrderedDict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, Self

import numpy as np
from jaxtyping import Float32

from glassviz.errors import GlassvizError
from glassviz.files import StrPath
from glassviz.gait.gait import Gait
from glassviz.metrics.stability import RunStability, assess, describe_gaits
from glassviz.rollout.batch import Failed, distinct_names
from glassviz.rollout.relabel import FITTED, LEARNED, labelled, labels_path
from glassviz.trace import ARRAYS, Trace

if TYPE_CHECKING:
    from glassviz.rollout.evaluate import Recorded

CACHE_BYTES = 2_000_000_000
"""Bytes of traces that a command keeps. Latents make a trace of 10,000 frames about 20 MB, and a
command may be given a thousand; what was not used for longest is read again if it is needed."""


class TraceCache:
    """Traces by file and labels, so that a command reads and hashes each file once.

    Args:
        most_bytes: kept together; the trace that was used last always is.
    """

    def __init__(self, most_bytes: int = CACHE_BYTES) -> None:
        self._most_bytes = most_bytes
        self._bytes = 0
        self._traces: OrderedDict[tuple[str, str], Trace] = OrderedDict()

    def load(self, path: StrPath, labels: str = LEARNED, target: StrPath | None = None) -> Trace:
        """A trace with its labels, from memory or from its file.

        Args:
            path, labels, target: as for `relabel.labelled`.

        Raises:
            GlassvizError: the trace cannot be read; or as for `relabel.labelled`.
        """
        key = os.path.abspath(path), labels
        if key in self._traces:
            self._traces.move_to_end(key)
            return self._traces[key]
        if labels == LEARNED:
            trace = Trace.load(path)
        else:
            trace = labelled(self.load(path), path, labels, target)
        self.put(trace, path, labels)
        return trace

    def put(self, trace: Trace, path: StrPath, labels: str = LEARNED) -> None:
        """Keep a trace that is at hand anyway."""
        key = os.path.abspath(path), labels
        if key in self._traces:
            self._bytes -= _bytes(self._traces.pop(key))
        self._traces[key] = trace
        self._bytes += _bytes(trace)
        while self._bytes > self._most_bytes and len(self._traces) > 1:
            _, oldest = self._traces.popitem(last=False)
            self._bytes -= _bytes(oldest)


def _bytes(trace: Trace) -> int:
    return sum(getattr(trace, name).nbytes for name in ARRAYS)


class Labelling(NamedTuple):
    """What gives a run its labels.

    Attributes:
        checkpoint_sha256: of the checkpoint.
        labels_sha256: of the file of fitted labels; None for learned ones, or none.
        rule: how a latent gets its label.
    """

    checkpoint_sha256: str
    labels_sha256: str | None
    rule: str


@dataclass(eq=False)
class Run:
    """One checkpoint under one controller.

    What a command needs of it is read or computed once, when it is first asked for.

    Attributes:
        target: the checkpoint, or the trace itself.
        trace_path: the trace's file.
        name: as shown in tables.
        controller: who acted.
        checkpoint_sha256: of the checkpoint.
        reused: whether the trace existed already.
        recorded: the evaluation during training that the checkpoint reports for this controller;
            None without one, and for a target that is a trace.
        provenance: of the checkpoint; empty for a target that is a trace.
        labels: which labels were asked for, as for `relabel.labelled`.
        traces: where the trace is kept.
    """

    target: Path
    trace_path: Path
    name: str
    controller: str
    checkpoint_sha256: str
    reused: bool = True
    recorded: "Recorded | None" = None
    provenance: Mapping[str, Any] = field(default_factory=dict, repr=False)
    labels: str = LEARNED
    traces: TraceCache = field(default_factory=TraceCache, repr=False)

    @classmethod
    def of(
        cls,
        trace: Trace,
        path: StrPath,
        name: str | None = None,
        target: StrPath | None = None,
        reused: bool = True,
        labels: str = LEARNED,
    ) -> Self:
        """The run of a trace that is in memory.

        Args:
            trace: with the labels to go by.
            path: its file.
            name: as shown in tables; the checkpoint's by default.
            target: the checkpoint, where that is at hand.
            reused: whether the file existed already.
            labels: what was asked for to get the trace's labels.
        """
        path = Path(path)
        target = None if target is None else Path(target)
        checkpoint = trace.header["checkpoint"]
        run = cls(
            target=target or path,
            trace_path=path,
            name=name or checkpoint["name"],
            controller=trace.header["controller"],
            checkpoint_sha256=checkpoint["sha256"],
            reused=reused,
            labels=labels,
        )
        run.traces.put(trace, path, labels)
        return run

    @property
    def checkpoint(self) -> Path | None:
        """The checkpoint's file; None where only a trace was given."""
        return None if self.target == self.trace_path else self.target

    @property
    def trace(self) -> Trace:
        """The trace, with the labels that were asked for.

        Raises:
            GlassvizError: the file or the labels cannot be read, or do not fit.
        """
        trace = self.traces.load(self.trace_path, self.labels, self.target)
        # Small beside the latents: these stay when the trace makes room for others.
        self.__dict__.setdefault("header", trace.header)
        self.__dict__.setdefault("obs", trace.obs)
        self.__dict__.setdefault("clusters", trace.clusters if trace.has_labels else 0)
        return trace

    @cached_property
    def header(self) -> dict[str, Any]:
        """The header of the trace."""
        return self.trace.header

    @cached_property
    def obs(self) -> Float32[np.ndarray, "episodes frames obs"]:
        """The observations of the trace."""
        return self.trace.obs

    @cached_property
    def clusters(self) -> int:
        """Number of labels K that there may be; 0 without labels."""
        return self.trace.clusters if self.trace.has_labels else 0

    @property
    def labelling(self) -> "Labelling":
        """What its labels are: runs with the same have the same prototypes and labels."""
        fitted = self.header.get("fitted_labels")
        labels_sha256 = fitted["sha256"] if fitted else None
        return Labelling(self.checkpoint_sha256, labels_sha256, self.header["label_rule"])

    @cached_property
    def gaits(self) -> tuple[Gait, ...]:
        """The gait of each episode.

        Raises:
            GlassvizError: the gait of an episode cannot be described.
        """
        if "stability" in self.__dict__:
            return tuple(episode.gait for episode in self.stability.episodes)
        return describe_gaits(self.trace)

    @cached_property
    def stability(self) -> RunStability:
        """Everything that is measured of gait and labels. May be set by whoever knows it.

        Raises:
            GlassvizError: as for `metrics.stability.assess`.
        """
        return assess(self.trace, self.__dict__.get("gaits"))

    @property
    def recorded_sha256(self) -> str:
        """Hash of the trace as it was recorded, whatever labels it goes by."""
        fitted = self.header.get("fitted_labels")
        if fitted:
            return fitted["recorded_trace_sha256"]
        known = self.__dict__.get("stability")
        return known.trace_sha256 if known else self.trace.sha256

    @property
    def fitted_labels(self) -> Path | None:
        """The file of fitted labels; None for a run with learned labels, or none."""
        if self.labels == LEARNED:
            return None
        if self.labels != FITTED:
            return Path(self.labels)
        return labels_path(self.trace_path.parent, self.checkpoint_sha256)

    def failed(self, error: GlassvizError) -> Failed:
        """The run as one that could not be processed; a trace is named by its file."""
        name = self.name if self.checkpoint else str(self.target)
        return Failed(name, self.target, None, str(error))


def with_distinct_names(rows: Iterable[Run | Failed]) -> list[Run | Failed]:
    """The same rows, under names that are unique together with the controller."""
    every = list(rows)
    names = distinct_names(
        [row.name for row in every],
        [row.target for row in every],
        [(str(row.controller),) for row in every],
    )
    for i, (row, name) in enumerate(zip(every, names, strict=True)):
        if isinstance(row, Run):
            row.name = name  # In place: the run keeps what it has read and computed.
        else:
            every[i] = replace(row, name=name)
    return every


def by_checkpoint(runs: Iterable[Run]) -> list[list[Run]]:
    """The runs of each checkpoint, renamed to one name that no other checkpoint has.

    Groups are in the order of the first run of each.
    """
    groups: dict[str, list[Run]] = {}
    for run in runs:
        groups.setdefault(run.checkpoint_sha256, []).append(run)
    first = [group[0] for group in groups.values()]
    names = distinct_names([run.name for run in first], [run.target for run in first])
    for group, name in zip(groups.values(), names, strict=True):
        for run in group:
            run.name = name
    return list(groups.values())
