"""From what a user names to its traces: made where they are missing, reused where they are not."""

import dataclasses
import hashlib
import json
import re
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property, partial
from pathlib import Path
from typing import Any, NoReturn, Self

from glassviz import checkpoints, environment, envs
from glassviz.agents.config import (
    MAX_EPISODE_STEPS,
    UNSAID,
    AgentConfig,
    EnvConfig,
    Physics,
    PlannerConfig,
    Precision,
    Unsaid,
)
from glassviz.agents.glass import LabelRule, partition
from glassviz.agents.networks import batching_is_faster
from glassviz.agents.planner import Controller
from glassviz.checkpoints import Checkpoint
from glassviz.envs.batch import Batch
from glassviz.envs.bodies import task_of
from glassviz.errors import GlassvizError, UsageError
from glassviz.files import StrPath, check_folder, check_target
from glassviz.metrics.stability import RunStability, assess
from glassviz.metrics.stopping import episodes_needed
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
        early: whether fewer will do, as soon as the verdicts on a run are settled
            (`metrics.stopping`). A trace that has more serves with all.
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
    precision: Precision | None = None
    physics: Physics | None = None
    rule: LabelRule = "nearest-prototype"
    early: bool = False
    unsaid: Unsaid = UNSAID


@dataclass(frozen=True)
class _Job:
    """One trace that is wanted: a checkpoint under a controller.

    Attributes:
        before: a trace of its first episodes, or of their first frames and more, that is to be
            continued; None if there is none.
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

    def of_episodes(self, count: int) -> Self:
        """The job of only so many of the episodes that are missing."""
        return replace(self, options=replace(self.options, episodes=self.first + count))

    def after(self, path: Path, first: int) -> Self:
        """The job that continues a trace of so many episodes."""
        return replace(self, before=path, first=first)

    @property
    def kind(self) -> Hashable:
        """What determines how long a frame takes."""
        shape, *others, _ = self.batch
        return shape, *others

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
            "env": dataclasses.asdict(self.env) | {"control_dt_s": self.control_dt_s},
            "seed": self.options.seed,
            "label_rule": self.options.rule,
        }

    @property
    def control_dt_s(self) -> float:
        """Control step of the body, s."""
        return task_of(self.env.task).body.control_dt_s

    @property
    def file_name(self) -> str:
        """Name of the trace's file: one for all episodes with the same inputs."""
        digest = hashlib.sha256(json.dumps(self.inputs, sort_keys=True).encode()).hexdigest()
        words = [self._file_start]
        if self.env.episode_steps != self.checkpoint.config.env.episode_steps:
            words.append(f"{self.env.episode_steps}steps")
        if self.planner.precision != self.checkpoint.config.planner.precision:
            words.append(self.planner.precision)
        return f"{'-'.join([*words, digest[:10]])}{TRACE_SUFFIX}"

    @property
    def _file_start(self) -> str:
        words = [file_stem(self.checkpoint.name), self.controller, f"seed{self.options.seed}"]
        return "-".join(words)

    def longer_in(self, folder: Path) -> list[Path]:
        """Traces in a folder that differ from this one in that their episodes are longer.

        Their first frames are those of this one, for no frame depends on what follows. Sorted by
        length.
        """
        start, whole = f"{self._file_start}-", self.checkpoint.config.env.episode_steps
        try:
            names = [path.name for path in folder.iterdir() if path.name.startswith(start)]
        except OSError:
            return []
        longer = {}
        for name in names:
            said = _STEPS.match(name, len(start))
            steps = int(said[1]) if said else whole
            if self.env.episode_steps < steps <= MAX_EPISODE_STEPS:
                env = dataclasses.replace(self.env, episode_steps=steps)
                if replace(self, env=env).file_name == name:
                    longer[steps] = folder / name
        return [longer[steps] for steps in sorted(longer)]

    @property
    def batch(self) -> tuple[AgentConfig, Controller, PlannerConfig, EnvConfig, int]:
        """What jobs must have in common to be planned in one call."""
        # What an agent was trained in, and with which planner, does not change its networks.
        shape = self.checkpoint.config.replace(env=self.env, planner=self.planner)
        return shape, self.controller, self.planner, self.env, self.first


_STEPS = re.compile(r"(\d{1,9})steps-", re.ASCII)


@dataclass(frozen=True)
class _Stored:
    """A trace that serves a job, or a part of it.

    Attributes:
        episodes: how many it has.
        steps: how many of their frames serve; None: all.
    """

    path: Path
    episodes: int
    steps: int | None


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
    found = find_targets(targets, listener.tell, options.unsaid)
    for each in found:
        if isinstance(each, Failed):
            raise GlassvizError(each.error)
    rows = with_distinct_names(finder.runs(found))
    runs = [row for row in rows if isinstance(row, Run)]
    for run in runs:
        _ = run.trace  # what is wrong with it is said now
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
    architecture are planned together. A trace that has more episodes serves with its first, one
    whose episodes are longer with their beginnings, and one that has fewer is continued. A trace is
    written when its roll-out is complete, so that an interruption leaves nothing half-written.

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
    targets = find_targets(arguments, listener.tell, options.unsaid)
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
    told: set[tuple[Path, str]] = field(default_factory=set)

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
        self._record(missing, {run.trace_path: run for run in runs if not run.reused})
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
        checkpoint = checkpoints.load(target.path, target.unsaid)
        for assumption in checkpoint.assumptions:
            # What is assumed of one task of a file is assumed of the others too.
            if (target.path, assumption) not in self.told:
                self.told.add((target.path, assumption))
                self.listener.tell(f"{checkpoint.name}: assumed: {assumption}")
        envs.check_body(checkpoint.name, checkpoint.config)
        glass = checkpoint.config.glass

        def run_of(wanted: tuple[Target, Controller]) -> Run:
            _, controller = wanted
            most, early = self.options.episodes, self.options.early
            job = _job(checkpoint, controller, self.options)
            usable, stored = None, list[_Stored]()
            for each in self._stored(job):
                stored.append(each)
                if each.episodes >= job.missing:
                    usable = each
                    break
            if early and not usable:
                usable = next((each for each in stored if self._is_enough(each, job, target)), None)
            path = usable.path if usable else self._folders[-1] / job.file_name
            if usable:
                of = f"the first {usable.steps} steps of " if usable.steps else ""
                self.listener.tell(f"reusing {of}{path}")
            else:
                missing[path] = self._continuing(job, stored)
            run = Run(
                target=target.path,
                trace_path=path,
                name=target.named(checkpoint.name),
                controller=controller,
                checkpoint_sha256=checkpoint.sha256,
                reused=usable is not None,
                recorded=recorded_in(checkpoint.provenance, controller),
                provenance=checkpoint.provenance,
                labels=self.labels,
                frames=(usable.episodes if early and usable else most) * job.env.episode_steps,
                frame_dt_s=job.control_dt_s * job.env.action_repeat,
                episodes=None if early else most,
                steps=usable.steps if usable else None,
                has_labels=glass is not None or self.labels != LEARNED,
                traces=self.traces,
                unsaid=target.unsaid,
            )
            if self.labels == LEARNED:
                run.clusters = glass.clusters if glass else 0
            return run

        def failed(wanted: tuple[Target, Controller], error: GlassvizError) -> Failed:
            return self.failed(target, error, wanted[1])

        return for_each([(target, each) for each in self.options.controllers], run_of, failed)

    def _stored(self, job: _Job) -> Iterator[_Stored]:
        """What has been recorded of a job: its own traces, then longer ones that begin as it does.

        A damaged file is passed over.
        """
        for folder in self._folders:
            path = folder / job.file_name
            if path.exists() and (episodes := self._usable_episodes(path, job)):
                yield _Stored(path, episodes, None)
        for folder in self._folders:
            for path in job.longer_in(folder):
                if episodes := self._usable_episodes(path, job):
                    yield _Stored(path, episodes, job.env.episode_steps)

    def _usable_episodes(self, path: Path, job: _Job) -> int:
        """How many episodes lie there; a damaged file has none."""
        try:
            trace = self.traces.load(path)
        except GlassvizError as error:
            does = "recording anew" if path.name == job.file_name else "passing over"
            self.listener.tell(f"{does} what cannot be used: {error}")
            return 0
        return trace.episodes if trace.frames >= job.env.episode_steps else 0

    def _continuing(self, job: _Job, stored: Sequence[_Stored]) -> _Job:
        """The job that continues what has most episodes, if this machine would record the same."""
        for each in sorted(stored, key=lambda each: -each.episodes):
            header = self.traces.load(each.path).header
            if all(header.get(name) == value for name, value in _machine().items()):
                return job.after(each.path, each.episodes)
            self.listener.tell(
                f"recording anew what another machine or version recorded: {each.path}"
            )
        return job

    def _is_enough(self, stored: _Stored, job: _Job, target: Target) -> bool:
        """Whether a trace settles the verdicts on its run, though it has fewer episodes."""
        known = self._stability(stored.path, stored.steps, target.path)
        return known is not None and not episodes_needed(known.episodes, self.options.episodes)

    def _stability(self, path: Path, steps: int | None, target: Path) -> RunStability | None:
        """What the episodes so far show, or their first steps; None if they cannot be assessed."""
        try:
            return assess(self.traces.load(path, self.labels, target, steps=steps))
        except GlassvizError:
            return None

    def _record(self, missing: dict[Path, _Job], runs: Mapping[Path, Run]) -> None:
        if not missing:
            return
        jobs = list(missing.values())
        self._check_room(jobs)
        if (self.options.early or self.listener.on_row) and not batching_is_faster():
            self._record_in_turns(jobs, runs)
        else:
            self._record_at_once(jobs)

    def _record_in_turns(self, jobs: list[_Job], runs: Mapping[Path, Run]) -> None:
        """Record an episode of each trace, then what each needs; the fast policy comes first."""
        listener, most, folder = self.listener, self.options.episodes, self._folders[-1]
        jobs = sorted(jobs, key=lambda job: job.controller == "mppi")
        costs_s: dict[Hashable, float] = {}
        if listener.on_estimate or len({job.kind for job in jobs}) > 1:
            # Every trial waits for a compilation, and the first row for all trials.
            one_of_each = {job.controller: job.of_episodes(1) for job in reversed(jobs)}
            trials_s = {controller: _trial_s([job]) for controller, job in one_of_each.items()}
            costs_s = {job.kind: trials_s[job.controller] for job in jobs}
        left = [job.missing * job.env.episode_steps for job in jobs]
        done = 0
        if listener.on_estimate:
            times = zip(jobs, left, strict=True)
            listener.on_estimate(len(jobs), sum(costs_s[job.kind] * n for job, n in times))

        def record(i: int, count: int) -> None:
            nonlocal done
            job, before = jobs[i].of_episodes(count), done
            size = count * job.env.episode_steps
            left[i] -= size
            others = [(each.kind, n) for each, n in zip(jobs, left, strict=True)]
            remaining, total = Remaining([(job.kind, size), *others], costs_s), done + size
            total += sum(left)

            def on_step(step: int) -> None:
                listener.on_remaining(remaining(count * step))
                listener.on_recording(before + count * step, total)

            episodes, [arrays] = _roll_out([job], job.env.episode_steps, on_step)
            path = self._written(job, episodes, arrays)
            costs_s.update(remaining.costs_s)
            jobs[i], done = jobs[i].after(path, job.options.episodes), done + size

        def needed(i: int) -> int:
            """How many more episodes a trace needs; its run is told of what there is."""
            job = jobs[i]
            if not job.before:
                return 1
            run = runs[folder / job.file_name]
            known = self._stability(job.before, job.env.episode_steps, run.target)
            more = job.missing
            if known:
                more = episodes_needed(known.episodes, most) if self.options.early else more
                if listener.on_row:
                    listener.on_row(run, known, more == 0)
                if not more:
                    run.stability, run.frames = known, job.first * job.env.episode_steps
            return more

        told = ["continued" if job.before else "recorded" for job in jobs]
        wanted = [needed(i) for i in range(len(jobs))]
        for i in range(len(jobs)):
            if not jobs[i].before:
                record(i, wanted[i])
                wanted[i] = needed(i)
        for i in range(len(jobs)):
            while wanted[i]:
                record(i, wanted[i])
                wanted[i] = needed(i)
            left[i] = 0
            listener.tell(f"{told[i]} {folder / jobs[i].file_name}")

    def _written(self, job: _Job, batch: Batch, arrays: Arrays) -> Path:
        """The file of the trace of a job, written."""
        trace, path = _trace(job, batch, arrays), self._folders[-1] / job.file_name
        if job.before:
            before = self.traces.load(job.before)
            trace = before.first(before.episodes, job.env.episode_steps).followed_by(trace)
        trace.save(path)
        self.traces.replace(trace, path)
        return path

    def _record_at_once(self, jobs: list[_Job]) -> None:
        """Record the traces one after the other, or those of one architecture in one call."""
        listener = self.listener
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
            episodes, recorded = _roll_out(batch, steps, on_step)
            before += steps
            for job, arrays in zip(batch, recorded, strict=True):
                path = self._written(job, episodes, arrays)
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
        envs.check_env(env)
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
) -> tuple[Batch, list[Arrays]]:
    config, controller, planner, env, first = batch[0].batch
    options = batch[0].options
    episodes = envs.make(env, batch[0].missing * len(batch))
    agents, seed, rule = [job.checkpoint.params for job in batch], options.seed, options.rule
    return episodes, roll_out(
        config, agents, controller, episodes, seed, steps, planner, rule, on_step, first
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


def _trace(job: _Job, batch: Batch, arrays: Arrays) -> Trace:
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
            "geoms": list(batch.geoms),
            "bodies": list(batch.bodies),
            "assumptions": list(job.checkpoint.assumptions),
        }
    )
    return Trace(header=json.loads(json.dumps(header)), **arrays)
