"""A run: one checkpoint under one controller, with its trace, labels and measures.

Every command that uses labels takes the same choice: `learned`, `fitted` (the file that
`glassviz fit` left beside the trace), or the path of a file of fitted labels.
"""

import multiprocessing
import os
import shlex
from collections import OrderedDict, deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, Self

import numpy as np
from jaxtyping import Float32

from glassviz.agents.config import UNSAID, Unsaid
from glassviz.errors import GlassvizError
from glassviz.files import StrPath, near
from glassviz.gait.gait import Gait
from glassviz.metrics.fitted_labels import FittedLabels
from glassviz.metrics.stability import RunStability, assess, describe_gaits
from glassviz.rollout.batch import NOBODY, Failed, Listener, distinct_names, each_once, for_each
from glassviz.rollout.find import LABELS_SUFFIX
from glassviz.trace import ARRAYS, Trace

if TYPE_CHECKING:
    from glassviz.rollout.evaluate import Recorded
    from glassviz.rollout.traces import RolloutOptions

LEARNED = "learned"
FITTED = "fitted"


def labels_path(folder: StrPath, checkpoint_sha256: str) -> Path:
    """Where the fitted labels of a checkpoint lie, in the folder of its traces."""
    return Path(folder) / f"{checkpoint_sha256[:16]}{LABELS_SUFFIX}"


def check_labels(labels: str) -> None:
    """Refuse a choice that no trace can be labelled by, before anything else is done.

    Raises:
        GlassvizError: it is none, or the path of a file that cannot be read as fitted labels.
    """
    if labels in (LEARNED, FITTED):
        return
    if not Path(labels).exists():
        raise GlassvizError(
            f"--labels: expected {LEARNED}, {FITTED} or a file of fitted labels, found "
            f"{labels!r}, which is no file{near(labels, (LEARNED, FITTED))}: make one with "
            f"`glassviz fit`"
        )
    FittedLabels.load(Path(labels))


def labelled(
    trace: Trace, path: StrPath, labels: str = LEARNED, target: StrPath | None = None
) -> Trace:
    """Give a trace the labels that are asked for.

    Args:
        labels: `learned`: as it was recorded, with or without labels; `fitted`: those beside it;
            or a file.
        target: what the trace was asked for by, to be named in errors; its file by default.

    Raises:
        GlassvizError: the labels cannot be read, there are no fitted labels yet, or they are
            another checkpoint's.
    """
    if labels == LEARNED:
        return trace
    checkpoint = trace.header["checkpoint"]
    file = Path(labels)
    if labels == FITTED:
        file = labels_path(Path(path).parent, checkpoint["sha256"])
        if not file.exists():
            command = shlex.join(["glassviz", "fit", str(target or path)])
            raise GlassvizError(
                f"{file}: expected labels fitted to {checkpoint['name']}, found no such file: make "
                f"it with `{command}` and the options of its roll-out"
            )
    return relabelled(trace, FittedLabels.load(file, checkpoint["sha256"]))


def relabelled(trace: Trace, fitted: FittedLabels) -> Trace:
    """The same roll-out, labelled by fitted prototypes and clusters.

    Its header says so (`labels_from`, and `fitted_labels` with the hash of the labels and of the
    recorded trace), so that its own hash is another one. It has a partition of zeros and ones,
    and no soft assignments, which fitted labels have no temperature for.

    Raises:
        GlassvizError: the labels are another checkpoint's, or latents are not finite.
    """
    checkpoint = trace.header["checkpoint"]
    if fitted.checkpoint_sha256 != checkpoint["sha256"]:
        raise GlassvizError(
            f"trace of {checkpoint['name']}: expected labels fitted to checkpoint "
            f"{checkpoint['sha256'][:12]!r}, found those of {fitted.checkpoint_sha256[:12]!r}: fit "
            f"labels to this checkpoint with `glassviz fit`"
        )
    broken = int((~np.isfinite(trace.latent).all(axis=-1)).sum())
    if broken:
        raise GlassvizError(
            f"trace of {checkpoint['name']}: expected finite latents to label, found others in "
            f"{broken} of {trace.label.size} frames: record it again with `glassviz rollout`"
        )
    prototype, label = fitted.labels(trace.latent)
    described = {
        "labels_from": FITTED,
        "label_rule": "nearest-prototype",
        "tau": None,
        "partition": np.eye(fitted.clusters)[fitted.partition].tolist(),
        "fitted_labels": {
            "sha256": fitted.sha256,
            "prototypes": len(fitted.prototypes),
            "clusters": fitted.clusters,
            "seed": fitted.seed,
            "recorded_trace_sha256": trace.sha256,
        },
    }
    return replace(
        trace,
        header=trace.header | described,
        soft_assignment=trace.soft_assignment[..., :0],
        prototype=prototype,
        label=label,
    )


CACHE_BYTES = 2_000_000_000
"""Bytes of traces that a command keeps. Latents make a trace of 10,000 frames about 20 MB, and a
command may be given a thousand; what was not used for longest is read again if it is needed."""


_Key = tuple[str, str, int | None, int | None]


class TraceCache:
    """Traces by file, labels and length: a command reads and hashes each file once.

    At most `most_bytes` are kept, but always the trace that was used last. A trace that has to be
    read again must be the same: results of two traces must not be mixed.
    """

    def __init__(self, most_bytes: int = CACHE_BYTES) -> None:
        self._most_bytes = most_bytes
        self._bytes = 0
        self._traces: OrderedDict[_Key, Trace] = OrderedDict()
        self._dropped: dict[_Key, str] = {}

    def load(
        self,
        path: StrPath,
        labels: str = LEARNED,
        target: StrPath | None = None,
        episodes: int | None = None,
        steps: int | None = None,
    ) -> Trace:
        """A trace with its labels, from memory or from its file; arguments as for `run.labelled`.

        Args:
            episodes: how many of its episodes, from the first; by default all.
            steps: how many frames of each, from the first; by default all.

        Raises:
            GlassvizError: the trace cannot be read, has fewer episodes or frames, or is another one
                than before; or as for `run.labelled`.
        """
        key = os.path.abspath(path), labels, episodes, steps
        if key in self._traces:
            self._traces.move_to_end(key)
            return self._traces[key]
        if labels == LEARNED:
            # The whole trace may be at hand from when it was looked at.
            trace = self._traces.get((key[0], LEARNED, None, None)) or Trace.load(path)
            for what, wanted, found in (
                ("episodes", episodes, trace.episodes),
                ("frames per episode", steps, trace.frames),
            ):
                if wanted and found < wanted:
                    raise GlassvizError(
                        f"{path}: expected {wanted} {what}, found {found}: run the command again, "
                        f"and change no file meanwhile"
                    )
            trace = trace.first(episodes or trace.episodes, steps)
        else:
            recorded = self.load(path, episodes=episodes, steps=steps)
            trace = labelled(recorded, path, labels, target)
        if self._dropped.get(key, trace.sha256) != trace.sha256:
            raise GlassvizError(
                f"{path}: expected the trace or labels that were read before, found others in "
                f"their place: run the command again, and change no file meanwhile"
            )
        self.put(trace, path, labels, episodes, steps)
        return trace

    def replace(self, trace: Trace, path: StrPath) -> None:
        """Keep a trace that was just written, and forget what the file was before."""
        place = os.path.abspath(path)
        for key in [key for key in self._traces if key[0] == place]:
            self._bytes -= _bytes(self._traces.pop(key))
        self._dropped = {key: sha for key, sha in self._dropped.items() if key[0] != place}
        self.put(trace, path)

    def put(
        self,
        trace: Trace,
        path: StrPath,
        labels: str = LEARNED,
        episodes: int | None = None,
        steps: int | None = None,
    ) -> None:
        """Keep a trace that is at hand anyway; arguments as for `load`."""
        key = os.path.abspath(path), labels, episodes, steps
        self._dropped.pop(key, None)
        if key in self._traces:
            self._bytes -= _bytes(self._traces.pop(key))
        self._traces[key] = trace
        self._bytes += _bytes(trace)
        while self._bytes > self._most_bytes and len(self._traces) > 1:
            place, oldest = self._traces.popitem(last=False)
            self._bytes -= _bytes(oldest)
            self._dropped[place] = oldest.sha256


def _bytes(trace: Trace) -> int:
    return sum(getattr(trace, name).nbytes for name in ARRAYS)


class Labelling(NamedTuple):
    """What gives a run its labels.

    Attributes:
        checkpoint_sha256: of the checkpoint.
        labels_sha256: of the file of fitted labels; None for learned ones, or none.
    """

    checkpoint_sha256: str
    labels_sha256: str | None
    rule: str


@dataclass(eq=False, repr=False)
class Run:
    """One checkpoint under one controller.

    What a command needs of it is read or computed once, when it is first asked for.

    Attributes:
        target: the checkpoint, or the trace itself.
        recorded: the evaluation during training that the checkpoint reports for this controller;
            None without one, and for a target that is a trace.
        provenance: of the checkpoint; empty for a target that is a trace.
        labels: which labels were asked for, as for `run.labelled`.
        frames: of all its episodes together: how much work it is.
        frame_dt_s: seconds between frames.
        episodes: how many of the trace it has, from the first; None: all.
        steps: how many frames of each of these it has, from the first; None: all.
        has_labels: whether it has any, learned or fitted.
        given_labels: names that a user gave to labels.
        unsaid: what the checkpoint was read with.
    """

    target: Path
    trace_path: Path
    name: str
    controller: str
    checkpoint_sha256: str
    reused: bool = True
    recorded: "Recorded | None" = None
    provenance: Mapping[str, Any] = field(default_factory=dict)
    labels: str = LEARNED
    frames: int = 0
    frame_dt_s: float = 0.0
    episodes: int | None = None
    steps: int | None = None
    has_labels: bool = True
    given_labels: Mapping[int, str] = field(default_factory=dict)
    traces: TraceCache = field(default_factory=TraceCache)
    unsaid: Unsaid = UNSAID

    def __repr__(self) -> str:
        return f"Run({self.name!r}, {self.controller}, {str(self.trace_path)!r})"

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
            path: its file.
            target: the checkpoint, where that is at hand.
            labels: what was asked for to get the trace's labels.
        """
        path = Path(path)
        checkpoint = trace.header["checkpoint"]
        run = cls(
            target=Path(target or path),
            trace_path=path,
            name=name or checkpoint["name"],
            controller=trace.header["controller"],
            checkpoint_sha256=checkpoint["sha256"],
            reused=reused,
            labels=labels,
            frames=trace.episodes * trace.frames,
            frame_dt_s=trace.frame_dt_s,
            has_labels=trace.has_labels or labels != LEARNED,
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
        trace = self.traces.load(
            self.trace_path, self.labels, self.target, self.episodes, self.steps
        )
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
    def known_clusters(self) -> int | None:
        """`clusters` where that is known before the trace is recorded, or labels are fitted.

        Raises:
            GlassvizError: the file of fitted labels cannot be read.
        """
        if file := self.fitted_labels:
            return FittedLabels.load(file).clusters if file.exists() else None
        if "clusters" in self.__dict__ or self.trace_path.exists():
            return self.clusters
        return None

    @property
    def labelling(self) -> Labelling:
        """What its labels are: runs with the same have the same prototypes and labels."""
        fitted = self.header.get("fitted_labels", {}).get("sha256")
        return Labelling(self.checkpoint_sha256, fitted, self.header["label_rule"])

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
        return assess(self.trace, self.__dict__.get("gaits"), self.given_labels)

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
    controllers = [(str(row.controller),) for row in every]
    names = distinct_names([row.name for row in every], [row.target for row in every], controllers)
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


WORTH_A_PROCESS = 4
"""Traces for which it pays to start one process more."""

AHEAD = 2
"""Traces that are handed to each process at a time: one to work on, and one that waits."""


def assess_all(
    arguments: StrPath | Sequence[StrPath],
    options: "RolloutOptions",
    folder: StrPath | None = None,
    jobs: int | None = None,
    labels: str = LEARNED,
    listener: Listener = NOBODY,
) -> list[Run | Failed]:
    """Find and assess runs; one that fails does not stop the others.

    Args:
        arguments, options, folder, labels: as for `traces.find_runs`.
        jobs: processes to assess with; by default one per core, if there are enough traces.

    Returns:
        Runs whose stability is known, in the order of `arguments`, then of controllers, under names
        that are unique together with the controller.

    Raises:
        GlassvizError: no run can have such labels.
    """
    from glassviz.rollout.remaining import counting_sizes
    from glassviz.rollout.traces import find_runs

    rows = find_runs(arguments, options, folder, labels, listener)
    runs = [row for row in rows if isinstance(row, Run)]
    if jobs is None:
        jobs = min(os.cpu_count() or 1, len(runs) // WORTH_A_PROCESS)

    unknown = [run for run in runs if "stability" not in run.__dict__]

    def assessed(run: Run) -> Run:
        if run in unknown:
            run.stability = stability_of(run)
        return run

    with _processes(unknown, min(jobs, len(unknown))) as stability_of:
        on_done = counting_sizes([run.frames for run in runs], listener)
        found = for_each(rows, assessed, Run.failed, on_done)
    return with_distinct_names(each_once(found))


@contextmanager
def _processes(runs: Sequence[Run], jobs: int) -> Iterator[Callable[[Run], RunStability]]:
    """Assess runs, in their order, in `jobs` processes if these are several.

    Traces are read here, where they are kept for what comes after, and handed on as they are
    needed: of a thousand only some fit into memory.
    """
    if jobs < 2:
        yield lambda run: assess(run.trace, given=run.given_labels)
        return
    # Forked processes would share the locks of libraries that have threads.
    pool = ProcessPoolExecutor(jobs, mp_context=multiprocessing.get_context("spawn"))
    waiting = deque(runs)
    started: dict[Run, Future[RunStability]] = {}

    def start(run: Run) -> Future[RunStability]:
        try:
            return pool.submit(assess, run.trace, given=run.given_labels)
        except GlassvizError as error:
            broken: Future[RunStability] = Future()
            broken.set_exception(error)
            return broken

    def result(run: Run) -> RunStability:
        while waiting and len(started) < AHEAD * jobs:
            following = waiting.popleft()
            started[following] = start(following)
        return started.pop(run).result()

    try:
        yield result
    finally:
        pool.shutdown(cancel_futures=True)
