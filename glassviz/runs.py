"""From what a user names to its traces: made where they are missing, reused where they are not."""

import dataclasses
import hashlib
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Literal

from glassviz import checkpoints, provenance
from glassviz.agents.agent import Controller
from glassviz.agents.config import AgentConfig, EnvConfig, Physics, PlannerConfig
from glassviz.agents.glass import LabelRule, partition
from glassviz.checkpoints import Checkpoint
from glassviz.envs.hopper import CONTROL_DT_S, HopperBatch
from glassviz.rollout import Arrays, reset_seeds, roll_out
from glassviz.trace import SCHEMA_VERSION, Trace

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
    """A trace, the file that it lives in, and whether it was there already."""

    path: Path
    trace: Trace
    reused: bool


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
) -> list[Recording]:
    """The traces of checkpoints and trace files, in the order of `targets`, then of controllers.

    A trace file stands for itself, whatever `options` say. A checkpoint's trace is looked up in
    `folder` by its inputs, and recorded there if missing; missing traces of one architecture are
    planned together. A trace is written when its roll-out is complete, so that an interruption
    leaves nothing half-written.

    Args:
        tell: called with each line that a user should see: what is assumed, reused, recorded.
        on_progress: called with decisions done and in all, for the recordings to make.

    Raises:
        GlassvizError: a target cannot be read, or cannot be rolled out as asked.
    """
    wanted: list[Recording | _Job] = []
    for target in targets:
        if target.suffix == ".npz":
            wanted.append(Recording(target, Trace.load(target), reused=True))
            continue
        checkpoint = checkpoints.load(target)
        for assumption in checkpoint.assumptions:
            tell(f"{checkpoint.name}: assumed: {assumption}")
        wanted += [_job(checkpoint, controller, options) for controller in options.controllers]

    found: dict[str, Recording] = {}
    for job in (item for item in wanted if isinstance(item, _Job)):
        path = folder / job.file_name
        if path.exists():
            found[job.file_name] = Recording(path, Trace.load(path), reused=True)
            tell(f"reusing {path}")
    missing = {
        job.file_name: job for job in wanted if isinstance(job, _Job) and job.file_name not in found
    }
    for job, trace in _record(list(missing.values()), on_progress):
        path = folder / job.file_name
        trace.save(path)
        found[job.file_name] = Recording(path, trace, reused=False)
        tell(f"recorded {path}")
    return [found[item.file_name] if isinstance(item, _Job) else item for item in wanted]


def _job(checkpoint: Checkpoint, controller: Controller, options: RolloutOptions) -> _Job:
    config = checkpoint.config
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


def _record(
    jobs: list[_Job], on_progress: Callable[[int, int], None]
) -> Iterator[tuple[_Job, Trace]]:
    """Roll out all jobs, those of one architecture together."""
    batches: dict[Any, list[_Job]] = {}
    for job in jobs:
        batches.setdefault(job.batch, []).append(job)
    total = sum(job.env.episode_steps for [job, *_] in batches.values())
    before = 0
    for (config, controller, planner, env), batch in batches.items():
        options = batch[0].options
        hoppers = HopperBatch(env, options.episodes * len(batch))
        recorded = roll_out(
            config,
            [job.checkpoint.params for job in batch],
            controller,
            hoppers,
            options.seed,
            env.episode_steps,
            planner,
            options.rule,
            on_step=partial(_count, on_progress, before, total),
        )
        before += env.episode_steps
        for job, arrays in zip(batch, recorded, strict=True):
            yield job, _trace(job, hoppers, arrays)


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
        "versions": provenance.versions(),
        "device": f"{device.platform}: {device.device_kind}",
    }
    return Trace(header=json.loads(json.dumps(header)), **arrays)


def _partition(checkpoint: Checkpoint) -> list[list[float]] | None:
    """S as plain numbers; None without Glass."""
    if checkpoint.config.glass is None:
        return None
    return partition(checkpoint.config.glass, checkpoint.params["glass"]).tolist()
