"""From what a user names to its traces: made where they are missing, reused where they are not."""

import dataclasses
import hashlib
import json
from collections.abc import Callable, Hashable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property, partial
from pathlib import Path
from typing import Any, Literal, NoReturn

from glassviz import checkpoints, environment
from glassviz.agents.config import AgentConfig, EnvConfig, Physics, PlannerConfig
from glassviz.agents.glass import LabelRule, partition
from glassviz.agents.networks import batching_is_faster
from glassviz.agents.planner import Controller
from glassviz.checkpoints import Checkpoint
from glassviz.envs.hopper import CONTROL_DT_S, HopperBatch, check_sizes
from glassviz.errors import GlassvizError, UsageError
from glassviz.files import StrPath, as_paths, check_folder, check_target
from glassviz.rollout.batch import (
    NOBODY,
    Failed,
    Listener,
    counting_from,
    each_once,
    file_stem,
    for_each,
)
from glassviz.rollout.cost import check_cost
from glassviz.rollout.evaluate import recorded_in
from glassviz.rollout.find import TRACE_SUFFIX, Target, find_targets
from glassviz.rollout.remaining import Remaining, trial_s
from glassviz.rollout.rollout import Arrays, reset_seeds, roll_out
from glassviz.rollout.run import LEARNED, Run, TraceCache, check_labels
from glassviz.trace import SCHEMA_VERSION, Trace
from glassviz.validation import check_fields

TRACE_FOLDER = Path("renders") / "traces"


@dataclass(frozen=True)
class RolloutOptions:
    """How checkpoints are rolled out; None leaves a setting to the checkpoint.

    Attributes:
        episodes: how many, each from its own reset.
        controllers: who acts; all of them meet the same resets.
        seed: determines resets and planning.
        steps: frames per episode.
        samples, horizon, iterations, precision: constants of the planner.
    """

    episodes: int = 10
    controllers: tuple[Controller, ...] = ("mppi",)
    seed: int = 0
    steps: int | None = None
    samples: int | None = None
    horizon: int | None = None
    iterations: int | None = None
    precision: Literal["float32", "bfloat16"] | None = None
    physics: Physics | None = None
    rule: LabelRule = "nearest-prototype"


@dataclass(frozen=True)
class _Job:
    """One trace that is wanted: a checkpoint under a controller."""

    checkpoint: Checkpoint
    controller: Controller
    planner: PlannerConfig
    env: EnvConfig
    options: RolloutOptions

    @property
    def inputs(self) -> dict[str, Any]:
        """All that the roll-out depends on, but for the machine and the package versions."""
        return {
            "schema_version": SCHEMA_VERSION,
            "checkpoint": {
                "name": self.checkpoint.name,
                "sha256": self.checkpoint.sha256,
                "format": self.checkpoint.format,
            },
            "controller": self.controller,
            "planner": dataclasses.asdict(self.planner),
            "env": dataclasses.asdict(self.env) | {"control_dt_s": CONTROL_DT_S},
            "seed": self.options.seed,
            "reset_seeds": reset_seeds(self.options.seed, self.options.episodes),
            "label_rule": self.options.rule,
        }

    @property
    def file_name(self) -> str:
        """Name of the trace's file: the same inputs always lead to the same file."""
        digest = hashlib.sha256(json.dumps(self.inputs, sort_keys=True).encode()).hexdigest()
        return f"{file_stem(self.checkpoint.name)}-{self.controller}-{digest[:10]}.npz"

    @property
    def batch(self) -> tuple[AgentConfig, Controller, PlannerConfig, EnvConfig]:
        """What jobs must have in common to be planned in one call."""
        # What an agent was trained in, and with which planner, does not change its networks.
        shape = self.checkpoint.config.replace(env=self.env, planner=self.planner)
        return shape, self.controller, self.planner, self.env


def traces_of(
    targets: StrPath | Sequence[StrPath],
    options: RolloutOptions,
    folder: StrPath | None = None,
    labels: str = LEARNED,
    listener: Listener = NOBODY,
) -> list[Run]:
    """The runs of checkpoints and trace files, in the order of `targets`, then of controllers.

    As `find_runs`, but nothing is recorded unless all targets are sound.

    Args:
        folder: of the traces; by default as for `find_runs`.
        labels: that the traces are to go by, as for `run.labelled`.

    Raises:
        GlassvizError: a target cannot be read, or cannot be rolled out or labelled as asked; or
            traces cannot be written.
    """
    check_labels(labels)

    def fail(target: Target, error: GlassvizError, controller: object = None) -> NoReturn:
        raise error

    folder = None if folder is None else Path(folder)
    finder = _Finder(options, folder, labels, listener, fail)
    rows = finder.runs([Target(path, None) for path in as_paths(targets)])
    runs = [row for row in rows if isinstance(row, Run)]
    for run in runs:
        finder.traces.load(run.trace_path, labels, run.target)
    return runs


def find_runs(
    arguments: StrPath | Sequence[StrPath],
    options: RolloutOptions,
    folder: StrPath | None = None,
    labels: str = LEARNED,
    listener: Listener = NOBODY,
) -> list[Run | Failed]:
    """The runs that arguments lead to; traces that are missing are recorded.

    A trace file stands for itself, whatever `options` say. A checkpoint's trace is looked up in
    `folder` by its inputs, and recorded there if missing; on an accelerator missing traces of one
    architecture are planned together. A trace is written when its roll-out is complete, so that an
    interruption leaves nothing half-written.

    Args:
        arguments: traces, checkpoints, run folders, folders of either, or patterns, as for
            `find.find_targets`.
        options: how checkpoints are rolled out whose traces are missing.
        folder: of the traces; by default renders/traces, or the user's cache folder where that
            cannot be written.

    Returns:
        In the order of `arguments`, then of controllers. An argument that leads to no trace does
        not stop the others.

    Raises:
        GlassvizError: no run can have such labels, or traces cannot be written.
    """
    check_labels(labels)
    targets = find_targets(arguments, listener.tell)
    finder = _Finder(
        options, None if folder is None else Path(folder), labels, listener, Target.failed
    )
    return each_once(finder.runs(targets))


@dataclass(frozen=True)
class _Finder:
    """Finds the runs of targets, and records what is missing."""

    options: RolloutOptions
    folder: Path | None
    labels: str
    listener: Listener
    failed: Callable[..., Failed]
    traces: TraceCache = field(default_factory=TraceCache)

    def runs(self, targets: Sequence[Target | Failed]) -> list[Run | Failed]:
        """The runs of all targets; nothing is recorded before all have been looked at."""
        rows: list[Run | Failed] = []
        missing: dict[Path, _Job] = {}
        work = partial(self._runs_of, missing=missing)
        for found in for_each(targets, work, self.failed):
            rows += [found] if isinstance(found, Failed) else found
        self.listener.on_found([row for row in rows if isinstance(row, Run)])
        self._record(missing)
        return rows

    @cached_property
    def _folders(self) -> list[Path]:
        """Where traces are looked up; what is missing is recorded in the last."""
        if self.folder:
            return [self.folder]
        try:
            check_folder(TRACE_FOLDER)
        except GlassvizError:
            return [TRACE_FOLDER, environment.cache_dir() / "traces"]
        return [TRACE_FOLDER]

    def _check_room(self, jobs: Sequence[_Job]) -> None:
        """Check that the traces of `jobs` can be written.

        Raises:
            GlassvizError: they cannot.
        """
        folder = self._folders[-1]
        if len(self._folders) > 1:
            self.listener.tell(
                f"{self._folders[0]}: cannot be written, so traces go to {folder}; --traces names "
                f"another folder"
            )
        check_folder(folder, sum(map(_least_bytes, jobs)))
        for job in jobs:
            check_target(folder / job.file_name)

    def _runs_of(self, target: Target, missing: dict[Path, _Job]) -> list[Run | Failed]:
        """A trace as a run, or a checkpoint as one run per controller."""
        if target.path.suffix == TRACE_SUFFIX:
            trace = self.traces.load(target.path)
            return [replace(Run.of(trace, target.path), labels=self.labels, traces=self.traces)]
        checkpoint = checkpoints.load(target.path)
        for assumption in checkpoint.assumptions:
            self.listener.tell(f"{checkpoint.name}: assumed: {assumption}")
        check_sizes(checkpoint.name, checkpoint.config)

        def run_of(wanted: tuple[Target, Controller]) -> Run:
            _, controller = wanted
            job = _job(checkpoint, controller, self.options)
            paths = [folder / job.file_name for folder in self._folders]
            usable = next(filter(self._is_usable, paths), None)
            path = usable or paths[-1]
            if not usable:
                missing[path] = job
            return Run(
                target=target.path,
                trace_path=path,
                name=target.name or checkpoint.name,
                controller=controller,
                checkpoint_sha256=checkpoint.sha256,
                reused=usable is not None,
                recorded=recorded_in(checkpoint.provenance, controller),
                provenance=checkpoint.provenance,
                labels=self.labels,
                frames=self.options.episodes * job.env.episode_steps,
                traces=self.traces,
            )

        def failed(wanted: tuple[Target, Controller], error: GlassvizError) -> Failed:
            return self.failed(target, error, wanted[1])

        return for_each([(target, each) for each in self.options.controllers], run_of, failed)

    def _is_usable(self, path: Path) -> bool:
        """Whether a trace lies there that can be read; a damaged one is recorded anew."""
        if not path.exists():
            return False
        try:
            self.traces.load(path)
        except GlassvizError as error:
            self.listener.tell(f"recording anew what cannot be used: {error}")
            return False
        self.listener.tell(f"reusing {path}")
        return True

    def _record(self, missing: dict[Path, _Job]) -> None:
        if not missing:
            return
        jobs, listener = list(missing.values()), self.listener
        self._check_room(jobs)
        batches = _batches(jobs)
        parts = [(_kind(batch), batch[0].env.episode_steps) for batch in batches]
        trials_s = {}
        if listener.on_estimate or len(dict(parts)) > 1:
            trials_s = {_kind(batch): _trial_s(batch) for batch in _one_of_each_kind(batches)}
        if listener.on_estimate:
            listener.on_estimate(len(jobs), sum(trials_s[kind] * steps for kind, steps in parts))
        remaining = Remaining(parts, trials_s)
        total = sum(steps for _, steps in parts)

        def on_progress(done: int, total: int) -> None:
            listener.on_remaining(remaining(done))
            listener.on_recording(done, total)

        before = 0
        for batch in batches:
            steps = batch[0].env.episode_steps
            on_step = counting_from(before, total, on_progress)
            hoppers, recorded = _roll_out(batch, steps, on_step)
            before += steps
            for job, arrays in zip(batch, recorded, strict=True):
                trace, path = _trace(job, hoppers, arrays), self._folders[-1] / job.file_name
                trace.save(path)
                self.traces.put(trace, path)
                listener.tell(f"recorded {path}")


def _job(checkpoint: Checkpoint, controller: Controller, options: RolloutOptions) -> _Job:
    config = checkpoint.config
    if controller == "mppi" and config.no_planner:
        raise GlassvizError(
            f"{checkpoint.name}: expected a planner for mppi, found none: {config.no_planner}"
        )
    overrides = {
        name: getattr(options, name)
        for name in ("samples", "horizon", "iterations", "precision")
        if getattr(options, name) is not None
    }
    env = dataclasses.replace(
        config.env,
        physics=options.physics or config.env.physics,
        episode_steps=config.env.episode_steps if options.steps is None else options.steps,
    )
    try:
        planner = dataclasses.replace(config.planner, **overrides)
    except GlassvizError as error:
        raise UsageError(f"{checkpoint.name}: {error}") from None
    check_fields(planner, "planner.")
    check_fields(env, "environment.")
    check_cost(checkpoint.name, config, planner, env, controller, options.episodes)
    return _Job(checkpoint, controller, planner, env, options)


def _least_bytes(job: _Job) -> int:
    """Bytes that a trace has at least: those of its latents."""
    latent = 4 * job.checkpoint.config.latent_dim
    return job.options.episodes * job.env.episode_steps * latent


def _batches(jobs: list[_Job]) -> list[list[_Job]]:
    """Jobs that are planned together: those of one architecture, if that saves time.

    Otherwise each by itself: its trace is written the earlier, and needs the less memory.
    """
    together = batching_is_faster()
    batches: dict[Any, list[_Job]] = {}
    for i, job in enumerate(jobs):
        batches.setdefault(job.batch if together else i, []).append(job)
    return list(batches.values())


def _roll_out(
    batch: list[_Job], steps: int, on_step: Callable[[int], None]
) -> tuple[HopperBatch, list[Arrays]]:
    config, controller, planner, env = batch[0].batch
    options = batch[0].options
    hoppers = HopperBatch(env, options.episodes * len(batch))
    agents, seed, rule = [job.checkpoint.params for job in batch], options.seed, options.rule
    return hoppers, roll_out(
        config, agents, controller, hoppers, seed, steps, planner, rule, on_step
    )


def _kind(batch: list[_Job]) -> Hashable:
    """What determines how long a step of a batch takes."""
    return batch[0].batch, len(batch)


def _one_of_each_kind(batches: list[list[_Job]]) -> Iterable[list[_Job]]:
    return {_kind(batch): batch for batch in batches}.values()


def _trial_s(batch: list[_Job]) -> float:
    """Seconds that a step of a batch takes once it is compiled, which the trial does for it."""
    return trial_s(lambda steps, on_step: _roll_out(batch, steps, on_step))


def _trace(job: _Job, hoppers: HopperBatch, arrays: Arrays) -> Trace:
    import jax

    glass, params = job.checkpoint.config.glass, job.checkpoint.params
    device = jax.devices()[0]
    header = job.inputs | {
        "agent": job.checkpoint.config.to_dict(),
        "labels_from": "glass" if glass else "none",
        "tau": glass.proto_temperature if glass else None,
        "partition": partition(glass, params["glass"]).tolist() if glass else None,
        "geoms": list(hoppers.geoms),
        "bodies": list(hoppers.bodies),
        "assumptions": list(job.checkpoint.assumptions),
        "versions": environment.versions(),
        "device": f"{device.platform}: {device.device_kind}",
    }
    return Trace(header=json.loads(json.dumps(header)), **arrays)
