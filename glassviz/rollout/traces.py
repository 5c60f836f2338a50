"""From what a user names to its traces: made where they are missing, reused where they are not."""

import dataclasses
import hashlib
import json
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
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
from glassviz.files import StrPath, as_paths
from glassviz.rollout.batch import NOBODY, Failed, Listener, counting_from, each_once, for_each
from glassviz.rollout.cost import check_cost
from glassviz.rollout.evaluate import recorded_in
from glassviz.rollout.find import TRACE_SUFFIX, Target, find_targets
from glassviz.rollout.rollout import Arrays, reset_seeds, roll_out
from glassviz.rollout.run import LEARNED, Run, TraceCache, check_labels
from glassviz.trace import SCHEMA_VERSION, Trace
from glassviz.validation import check_fields

TRACE_FOLDER = Path("renders") / "traces"

TRIAL_STEPS = 5
"""Decisions from which the time that a roll-out takes is estimated."""


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
        return f"{self.checkpoint.name}-{self.controller}-{digest[:10]}.npz"

    @property
    def batch(self) -> tuple[AgentConfig, Controller, PlannerConfig, EnvConfig]:
        """What jobs must have in common to be planned in one call."""
        # What an agent was trained in, and with which planner, does not change its networks.
        shape = self.checkpoint.config.replace(env=self.env, planner=self.planner)
        return shape, self.controller, self.planner, self.env


def traces_of(
    targets: StrPath | Sequence[StrPath],
    options: RolloutOptions,
    folder: StrPath = TRACE_FOLDER,
    tell: Callable[[str], None] = lambda line: None,
    on_progress: Callable[[int, int], None] = lambda done, total: None,
    labels: str = LEARNED,
) -> list[Run]:
    """The runs of checkpoints and trace files, in the order of `targets`, then of controllers.

    As `find_runs`, but nothing is recorded unless all targets are sound.

    Args:
        labels: that the traces are to go by, as for `run.labelled`.

    Raises:
        GlassvizError: a target cannot be read, or cannot be rolled out or labelled as asked.
    """
    check_labels(labels)

    def fail(target: Target, error: GlassvizError, controller: object = None) -> NoReturn:
        raise error

    listener = Listener(tell=tell, on_recording=on_progress)
    finder = _Finder(options, Path(folder), labels, listener, fail)
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
        folder: of the traces; renders/traces by default.

    Returns:
        In the order of `arguments`, then of controllers. An argument that leads to no trace does
        not stop the others.

    Raises:
        GlassvizError: no run can have such labels.
    """
    check_labels(labels)
    targets = find_targets(arguments, listener.tell)
    finder = _Finder(options, Path(folder or TRACE_FOLDER), labels, listener, Target.failed)
    return each_once(finder.runs(targets))


@dataclass(frozen=True)
class _Finder:
    """Finds the runs of targets, and records what is missing."""

    options: RolloutOptions
    folder: Path
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
        self._record(list(missing.values()))
        return rows

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
            path = self.folder / job.file_name
            reused = self._is_usable(path)
            if not reused:
                missing[path] = job
            return Run(
                target=target.path,
                trace_path=path,
                name=target.name or checkpoint.name,
                controller=controller,
                checkpoint_sha256=checkpoint.sha256,
                reused=reused,
                recorded=recorded_in(checkpoint.provenance, controller),
                provenance=checkpoint.provenance,
                labels=self.labels,
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

    def _record(self, jobs: list[_Job]) -> None:
        batches, listener = _batches(jobs), self.listener
        if jobs and listener.on_estimate:
            listener.on_estimate(len(jobs), _estimate_s(batches))
        total = sum(batch[0].env.episode_steps for batch in batches)
        before = 0
        for batch in batches:
            steps = batch[0].env.episode_steps
            on_step = counting_from(before, total, listener.on_recording)
            hoppers, recorded = _roll_out(batch, steps, on_step)
            before += steps
            for job, arrays in zip(batch, recorded, strict=True):
                trace, path = _trace(job, hoppers, arrays), self.folder / job.file_name
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


def _estimate_s(batches: list[list[_Job]]) -> float:
    """Seconds that all batches will take, by a trial of one of each kind."""
    kinds = [(batch[0].batch, len(batch)) for batch in batches]
    trials = dict(zip(kinds, batches, strict=True))
    seconds = {kind: _trial_s(batch) for kind, batch in trials.items()}
    return sum(seconds[kind] for kind in kinds)


def _trial_s(batch: list[_Job]) -> float:
    """Seconds that a batch will take once it is compiled, which the trial does for it."""
    ends: list[float] = []
    _roll_out(batch, 1 + TRIAL_STEPS, lambda done: ends.append(time.perf_counter()))
    return (ends[-1] - ends[0]) / TRIAL_STEPS * batch[0].env.episode_steps


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
