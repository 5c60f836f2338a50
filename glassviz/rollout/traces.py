"""From what a user names to its traces: made where they are missing, reused where they are not."""

import dataclasses
import hashlib
import json
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Literal, NoReturn

from glassviz import checkpoints, environment
from glassviz.agents.config import AgentConfig, EnvConfig, Physics, PlannerConfig
from glassviz.agents.glass import LabelRule, partition
from glassviz.agents.networks import batching_is_faster
from glassviz.agents.policy import Controller
from glassviz.checkpoints import Checkpoint
from glassviz.envs.hopper import CONTROL_DT_S, HopperBatch, check_sizes
from glassviz.errors import GlassvizError
from glassviz.rollout.batch import NOBODY, Failed, Listener, each_once, for_each
from glassviz.rollout.evaluate import Recorded, recorded_in
from glassviz.rollout.find import TRACE_SUFFIX, Target, find_targets
from glassviz.rollout.relabel import LEARNED, check_labels, load_labelled
from glassviz.rollout.rollout import Arrays, reset_seeds, roll_out
from glassviz.trace import SCHEMA_VERSION, Trace

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
        physics: profile to act in.
        rule: how a latent gets its label.
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
class Recording:
    """A trace with the labels asked for, its file, and whether that was there already."""

    path: Path
    trace: Trace
    reused: bool


@dataclass(frozen=True)
class Located:
    """Where a trace lies.

    Attributes:
        target: what it was asked for by.
        path: the trace file.
        reused: whether it was there already.
        recorded: what the checkpoint says of its evaluation in training under the trace's
            controller; None if nothing, and for a target that is a trace.
        name: what tables call it; None for a trace, which knows its checkpoint's name.
    """

    target: Path
    path: Path
    reused: bool
    recorded: Recorded | None = None
    name: str | None = None

    def failed(self, error: GlassvizError) -> Failed:
        """The run, where nothing can be made of its trace."""
        return Failed(self.name or str(self.target), self.target, None, str(error))


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
    targets: Sequence[Path],
    options: RolloutOptions,
    folder: Path = TRACE_FOLDER,
    tell: Callable[[str], None] = lambda line: None,
    on_progress: Callable[[int, int], None] = lambda done, total: None,
    labels: str = LEARNED,
) -> list[Recording]:
    """The traces of checkpoints and trace files, in the order of `targets`, then of controllers.

    As `find_traces`, but nothing is recorded unless all targets are sound.

    Args:
        labels: that the traces are to go by, as for `relabel.load_labelled`.

    Raises:
        GlassvizError: a target cannot be read, or cannot be rolled out or labelled as asked.
    """
    check_labels(labels)

    def fail(target: Target, error: GlassvizError, controller: object = None) -> NoReturn:
        raise error

    listener = Listener(tell=tell, on_recording=on_progress)
    found = [Target(path, None) for path in targets]
    return [
        Recording(each.path, load_labelled(each.path, labels, each.target), each.reused)
        for each in _located(found, options, folder, listener, fail)
        if isinstance(each, Located)
    ]


def find_traces(
    arguments: Sequence[Path],
    options: RolloutOptions,
    folder: Path | None = None,
    listener: Listener = NOBODY,
) -> list[Located | Failed]:
    """The traces that arguments lead to; those missing are recorded.

    A trace file stands for itself, whatever `options` say. A checkpoint's trace is looked up in
    `folder` by its inputs, and recorded there if missing; on an accelerator missing traces of one
    architecture are planned together. A trace is written when its roll-out is complete, so that an
    interruption leaves nothing half-written.

    Args:
        arguments: traces, checkpoints, run folders, folders of either, or patterns, as for
            `find.find_targets`.
        options: how checkpoints are rolled out whose traces are missing.
        folder: of the traces; renders/traces by default.
        listener: progress callbacks.

    Returns:
        In the order of `arguments`, then of controllers. An argument that leads to no trace does
        not stop the others.
    """
    targets = find_targets(arguments, listener.tell)
    return each_once(_located(targets, options, folder or TRACE_FOLDER, listener, Target.failed))


def _located(
    targets: Sequence[Target | Failed],
    options: RolloutOptions,
    folder: Path,
    listener: Listener,
    failed: Callable[..., Failed],
) -> list[Located | Failed]:
    """The traces of targets; those missing are recorded once all targets have been looked at."""
    plans: list[_Plan | Failed] = []
    for row in for_each(
        targets, lambda target: _plans(target, options, folder, listener.tell, failed), failed
    ):
        plans += [row] if isinstance(row, Failed) else row
    jobs = {
        each.located.path: each.missing
        for each in plans
        if not isinstance(each, Failed) and each.missing
    }
    batches = _batches(list(jobs.values()))
    if jobs and listener.on_estimate:
        listener.on_estimate(len(jobs), _estimate_s(batches))
    for job, trace in _record(batches, listener.on_recording):
        path = folder / job.file_name
        trace.save(path)
        listener.tell(f"recorded {path}")
    return [each if isinstance(each, Failed) else each.located for each in plans]


@dataclass(frozen=True)
class _Plan:
    """A trace that is wanted, and the job that records it; None where it is there already."""

    located: Located
    missing: _Job | None


def _plans(
    target: Target,
    options: RolloutOptions,
    folder: Path,
    tell: Callable[[str], None],
    failed: Callable[..., Failed],
) -> list[_Plan | Failed]:
    """The traces of one target: itself, or one per controller of a checkpoint."""
    if target.path.suffix == TRACE_SUFFIX:
        Trace.load(target.path)
        return [_Plan(Located(target.path, target.path, reused=True, name=target.name), None)]
    checkpoint = checkpoints.load(target.path)
    for assumption in checkpoint.assumptions:
        tell(f"{checkpoint.name}: assumed: {assumption}")
    check_sizes(checkpoint.name, checkpoint.config)

    def plan(wanted: tuple[Target, Controller]) -> _Plan:
        _, controller = wanted
        job = _job(checkpoint, controller, options)
        path = folder / job.file_name
        reused = _reusable(path, tell)
        recorded = recorded_in(checkpoint.provenance, controller)
        located = Located(target.path, path, reused, recorded, target.name)
        return _Plan(located, None if reused else job)

    def cannot(wanted: tuple[Target, Controller], error: GlassvizError) -> Failed:
        return failed(target, error, wanted[1])

    return for_each([(target, controller) for controller in options.controllers], plan, cannot)


def _reusable(path: Path, tell: Callable[[str], None]) -> bool:
    """Whether a trace lies there that can be read; a damaged one is recorded anew."""
    if not path.exists():
        return False
    try:
        Trace.load(path)
    except GlassvizError as error:
        tell(f"recording anew what cannot be used: {error}")
        return False
    tell(f"reusing {path}")
    return True


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
        episode_steps=options.steps or config.env.episode_steps,
    )
    planner = dataclasses.replace(config.planner, **overrides)
    return _Job(checkpoint, controller, planner, env, options)


def _batches(jobs: list[_Job]) -> list[list[_Job]]:
    """Jobs that are planned together: those of one architecture, if that saves time.

    Otherwise each by itself: its trace is written the earlier, and needs the less memory.
    """
    if not batching_is_faster():
        return [[job] for job in jobs]
    batches: dict[Any, list[_Job]] = {}
    for job in jobs:
        batches.setdefault(job.batch, []).append(job)
    return list(batches.values())


def _record(
    batches: list[list[_Job]], on_progress: Callable[[int, int], None]
) -> Iterator[tuple[_Job, Trace]]:
    """Roll out all jobs, batch by batch."""
    total = sum(job.env.episode_steps for [job, *_] in batches)
    before = 0
    for batch in batches:
        steps = batch[0].env.episode_steps
        hoppers, recorded = _roll_out(batch, steps, partial(_count, on_progress, before, total))
        before += steps
        for job, arrays in zip(batch, recorded, strict=True):
            yield job, _trace(job, hoppers, arrays)


def _roll_out(
    batch: list[_Job], steps: int, on_step: Callable[[int], None]
) -> tuple[HopperBatch, list[Arrays]]:
    config, controller, planner, env = batch[0].batch
    options = batch[0].options
    hoppers = HopperBatch(env, options.episodes * len(batch))
    agents = [job.checkpoint.params for job in batch]
    recorded = roll_out(
        config, agents, controller, hoppers, options.seed, steps, planner, options.rule, on_step
    )
    return hoppers, recorded


def _estimate_s(batches: list[list[_Job]]) -> float:
    """Seconds that all batches will take, by a trial of one of each kind."""
    kinds = [(batch[0].batch, len(batch)) for batch in batches]
    trials = {kind: batch for kind, batch in zip(kinds, batches, strict=True)}
    seconds = {kind: _trial_s(batch) for kind, batch in trials.items()}
    return sum(seconds[kind] for kind in kinds)


def _trial_s(batch: list[_Job]) -> float:
    """Seconds that a batch will take once it is compiled, which the trial does for it."""
    ends: list[float] = []
    _roll_out(batch, 1 + TRIAL_STEPS, lambda done: ends.append(time.perf_counter()))
    return (ends[-1] - ends[0]) / TRIAL_STEPS * batch[0].env.episode_steps


def _count(on_progress: Callable[[int, int], None], before: int, total: int, done: int) -> None:
    on_progress(before + done, total)


def _trace(job: _Job, hoppers: HopperBatch, arrays: Arrays) -> Trace:
    import jax

    config = job.checkpoint.config
    device = jax.devices()[0]
    header = job.inputs | {
        "agent": config.to_dict(),
        "labels_from": "glass" if config.glass else "none",
        "tau": config.glass.proto_temperature if config.glass else None,
        "partition": _partition(job.checkpoint),
        "geoms": list(hoppers.geoms),
        "bodies": list(hoppers.bodies),
        "assumptions": list(job.checkpoint.assumptions),
        "versions": environment.versions(),
        "device": f"{device.platform}: {device.device_kind}",
    }
    return Trace(header=json.loads(json.dumps(header)), **arrays)


def _partition(checkpoint: Checkpoint) -> list[list[float]] | None:
    """S as plain numbers; None without Glass."""
    if checkpoint.config.glass is None:
        return None
    return partition(checkpoint.config.glass, checkpoint.params["glass"]).tolist()
