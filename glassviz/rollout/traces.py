"""From what a user names to its traces: made where they are missing, reused where they are not."""

import dataclasses
import hashlib
import json
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property, partial
from pathlib import Path
from typing import Any, Literal, NoReturn

from glassviz import checkpoints, environment
from glassviz.agents.config import (
    UNSAID,
    AgentConfig,
    EnvConfig,
    Physics,
    PlannerConfig,
    Unsaid,
)
from glassviz.agents.glass import LabelRule, partition
from glassviz.agents.networks import batching_is_faster
from glassviz.agents.planner import Controller
from glassviz.checkpoints import Checkpoint
from glassviz.envs.hopper import CONTROL_DT_S, HopperBatch, check_body
from glassviz.errors import GlassvizError, UsageError
from glassviz.files import StrPath, check_folder, check_target
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
from glassviz.rollout.evaluate import better_controllers, recorded_in
from glassviz.rollout.find import TRACE_SUFFIX, Target, find_targets
from glassviz.rollout.remaining import Remaining, trial_s
from glassviz.rollout.rollout import Arrays, reset_seeds, roll_out
from glassviz.rollout.run import LEARNED, Run, TraceCache, check_labels, with_distinct_names
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
        unsaid: what the checkpoints' files do not say.
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
    unsaid: Unsaid = UNSAID


@dataclass(frozen=True)
class _Job:
    """One trace that is wanted: a checkpoint under a controller.

    Attributes:
        before: a trace of its first episodes, that is to be continued; None if there is none.
        first: the first episode that is missing, counted from 0.
    """

    checkpoint: Checkpoint
    controller: Controller
    planner: PlannerConfig
    env: EnvConfig
    options: RolloutOptions
    before: Path | None = None
    first: int = 0

    @property
    def missing(self) -> int:
        """How many episodes are missing."""
        return self.options.episodes - self.first

    @property
    def inputs(self) -> dict[str, Any]:
        """What an episode depends on beside its reset, the machine and the package versions."""
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
            "label_rule": self.options.rule,
        }

    @property
    def file_name(self) -> str:
        """Name of the trace's file: one for all episodes with the same inputs."""
        digest = hashlib.sha256(json.dumps(self.inputs, sort_keys=True).encode()).hexdigest()
        words = [file_stem(self.checkpoint.name), self.controller, f"seed{self.options.seed}"]
        if self.env.episode_steps != self.checkpoint.config.env.episode_steps:
            words.append(f"{self.env.episode_steps}steps")
        return f"{'-'.join([*words, digest[:10]])}{TRACE_SUFFIX}"

    @property
    def batch(self) -> tuple[AgentConfig, Controller, PlannerConfig, EnvConfig, int]:
        """What jobs must have in common to be planned in one call."""
        # What an agent was trained in, and with which planner, does not change its networks.
        shape = self.checkpoint.config.replace(env=self.env, planner=self.planner)
        return shape, self.controller, self.planner, self.env, self.first


def traces_of(
    targets: StrPath | Sequence[StrPath],
    options: RolloutOptions,
    folder: StrPath | None = None,
    labels: str = LEARNED,
    listener: Listener = NOBODY,
) -> list[Run]:
    """The runs that arguments lead to, in the order of `targets`, then of controllers.

    As `find_runs`, but nothing is recorded unless all targets are sound; and under names that are
    unique together with the controller.

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
    found = find_targets(targets, listener.tell)
    for each in found:
        if isinstance(each, Failed):
            raise GlassvizError(each.error)
    rows = with_distinct_names(finder.runs(found))
    runs = [row for row in rows if isinstance(row, Run)]
    for run in runs:
        finder.traces.load(run.trace_path, labels, run.target, run.episodes)
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
    architecture are planned together. A trace that has more episodes serves with its first, and one
    that has fewer is continued. A trace is written when its roll-out is complete, so that an
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
        runs = [row for row in rows if isinstance(row, Run)]
        if better := better_controllers(
            [(row.name, row.provenance) for row in runs], self.options.controllers
        ):
            self.listener.tell(better)
        self.listener.on_found(runs)
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
            run = Run.of(trace, target.path, labels=self.labels)
            return [replace(run, traces=self.traces)]
        checkpoint = checkpoints.load(target.path, self.options.unsaid)
        for assumption in checkpoint.assumptions:
            self.listener.tell(f"{checkpoint.name}: assumed: {assumption}")
        check_body(checkpoint.name, checkpoint.config)

        def run_of(wanted: tuple[Target, Controller]) -> Run:
            _, controller = wanted
            job = _job(checkpoint, controller, self.options)
            paths = [folder / job.file_name for folder in self._folders]
            found = {path: self._usable_episodes(path) for path in paths}
            usable = next((path for path in paths if found[path] >= job.missing), None)
            path = usable or paths[-1]
            if usable:
                self.listener.tell(f"reusing {usable}")
            else:
                missing[path] = self._continuing(job, found)
            return Run(
                target=target.path,
                trace_path=path,
                name=target.named(checkpoint.name),
                controller=controller,
                checkpoint_sha256=checkpoint.sha256,
                reused=usable is not None,
                recorded=recorded_in(checkpoint.provenance, controller),
                provenance=checkpoint.provenance,
                labels=self.labels,
                frames=self.options.episodes * job.env.episode_steps,
                episodes=self.options.episodes,
                has_labels=checkpoint.config.glass is not None or self.labels != LEARNED,
                traces=self.traces,
                unsaid=self.options.unsaid,
            )

        def failed(wanted: tuple[Target, Controller], error: GlassvizError) -> Failed:
            return self.failed(target, error, wanted[1])

        return for_each([(target, each) for each in self.options.controllers], run_of, failed)

    def _usable_episodes(self, path: Path) -> int:
        """How many episodes lie there; a damaged file has none, and is recorded anew."""
        if not path.exists():
            return 0
        try:
            return self.traces.load(path).episodes
        except GlassvizError as error:
            self.listener.tell(f"recording anew what cannot be used: {error}")
            return 0

    def _continuing(self, job: _Job, found: Mapping[Path, int]) -> _Job:
        """The job that continues the longest trace, if this machine would record the same."""
        path = max(found, key=lambda path: found[path])
        if not found[path]:
            return job
        header = self.traces.load(path).header
        if any(header.get(name) != value for name, value in _machine().items()):
            self.listener.tell(f"recording anew what another machine or version recorded: {path}")
            return job
        return replace(job, before=path, first=found[path])

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
                if job.before:
                    trace = self.traces.load(job.before).followed_by(trace)
                trace.save(path)
                self.traces.put(trace, path)
                self.traces.put(trace, path, episodes=trace.episodes)
                listener.tell(f"{'continued' if job.before else 'recorded'} {path}")


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
    config, controller, planner, env, first = batch[0].batch
    options = batch[0].options
    hoppers = HopperBatch(env, batch[0].missing * len(batch))
    agents, seed, rule = [job.checkpoint.params for job in batch], options.seed, options.rule
    return hoppers, roll_out(
        config, agents, controller, hoppers, seed, steps, planner, rule, on_step, first
    )


def _kind(batch: list[_Job]) -> Hashable:
    """What determines how long a step of a batch takes."""
    return batch[0].batch, len(batch)


def _one_of_each_kind(batches: list[list[_Job]]) -> Iterable[list[_Job]]:
    return {_kind(batch): batch for batch in batches}.values()


def _trial_s(batch: list[_Job]) -> float:
    """Seconds that a step of a batch takes once it is compiled, which the trial does for it."""
    return trial_s(lambda steps, on_step: _roll_out(batch, steps, on_step))


def _machine() -> dict[str, Any]:
    """What a roll-out may depend on, to the last bits, beside its inputs."""
    import jax

    device = jax.devices()[0]
    return {
        "versions": environment.versions(),
        "device": f"{device.platform}: {device.device_kind}",
    }


def _trace(job: _Job, hoppers: HopperBatch, arrays: Arrays) -> Trace:
    """The trace of the episodes that were missing."""
    glass, params = job.checkpoint.config.glass, job.checkpoint.params
    header = (
        job.inputs
        | _machine()
        | {
            "reset_seeds": reset_seeds(job.options.seed, job.options.episodes)[job.first :],
            "agent": job.checkpoint.config.to_dict(),
            "labels_from": "glass" if glass else "none",
            "tau": glass.proto_temperature if glass else None,
            "partition": partition(glass, params["glass"]).tolist() if glass else None,
            "geoms": list(hoppers.geoms),
            "bodies": list(hoppers.bodies),
            "assumptions": list(job.checkpoint.assumptions),
        }
    )
    return Trace(header=json.loads(json.dumps(header)), **arrays)
