"""All of one seed of a training run but its parameters: hoppers, replay, log, folder."""

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import jax
import numpy as np

from glassviz import checkpoints
from glassviz.agents.agent import Controller
from glassviz.agents.networks import Params
from glassviz.evaluation import Evaluation
from glassviz.training.collection.collector import Collector
from glassviz.training.collection.replay import Replay, Sequences, joined
from glassviz.training.collection.rescue import SEED_STRIDE
from glassviz.training.config import TrainConfig
from glassviz.training.learning.learner import LearnerState
from glassviz.training.learning.losses import task_params
from glassviz.training.run_folder import folder as run_folder
from glassviz.training.run_folder import resume
from glassviz.training.run_folder.log import RunLog


class SeedRun:
    """One seed.

    Args:
        train: the run, with this seed.
        root: the run's folder; this seed has `root/seed_N` and its logs beside it.
        provenance: what every checkpoint says of its making.
        demos: demonstrations to sample from.
        keep: how many of the evaluations' checkpoints to keep.
    """

    def __init__(
        self,
        train: TrainConfig,
        root: Path,
        provenance: dict[str, Any],
        demos: Replay | None,
        keep: int,
        tensorboard: bool,
    ) -> None:
        self.train, self.provenance, self.demos, self.keep = train, provenance, demos, keep
        self.folder = run_folder.seed_folder(root, train.seed)
        self.log = RunLog(root, train.seed, tensorboard)
        self.best: dict[Controller, float] = {}
        self.best_step = 0
        self.latest: tuple[Evaluation, ...] = ()
        self.finished = False
        self.saved_at = 0
        self.plateau_restarts = 0
        self.basin_restarts = 0
        self.begun = 0
        self.begin(0)

    @property
    def attempt_seed(self) -> int:
        """Seed of the current attempt; the run's own until it was begun anew."""
        return self.train.seed + self.basin_restarts * SEED_STRIDE

    @property
    def restarts(self) -> int:
        """How often the agent, or a part of it, was begun anew so far."""
        return self.plateau_restarts + self.basin_restarts

    def begin(self, env_steps: int) -> None:
        """Start an attempt: an empty replay buffer and a random phase of its own."""
        train = self.train
        self.begun = env_steps
        self.rng = np.random.default_rng(self.attempt_seed)
        self.replay = Replay(
            train.buffer_steps // train.num_envs,
            train.num_envs,
            train.agent.obs_dim,
            train.agent.action_dim,
        )
        self.collector = Collector(train, self.rng, self.replay)

    def ready(self, env_steps: int) -> bool:
        """Whether there is enough to learn from."""
        waited = env_steps - self.begun >= self.train.learning_starts
        return waited and len(self.replay) > self.train.sequence_steps

    def sample(self) -> Sequences:
        """Batches for the updates of a round; demonstrations come first in each."""
        train = self.train
        shown = train.demo_batch
        own = self.replay.sample(
            self.rng,
            train.k_update,
            train.batch_size - shown,
            train.sequence_steps,
            groups=len(train.tasks),
        )
        if not shown:
            return own
        assert self.demos is not None
        demos = self.demos.sample(self.rng, train.k_update, shown, train.sequence_steps)
        return joined(demos, own)

    def note(self, results: Sequence[Evaluation], params: Params, updates: int) -> None:
        """Log evaluations of this moment and keep the checkpoints that they are worth."""
        self.latest = tuple(results)
        for result in results:
            self.log.append(result)
            if result.mean > self.best.get(result.controller, -np.inf):
                self.best[result.controller] = result.mean
                if result.controller == "mppi":
                    self.best_step = result.env_steps
                self.save_checkpoint(f"best_{result.controller}", params, result.env_steps, updates)
        if self.keep:
            step = results[0].env_steps
            path = run_folder.step_checkpoint(self.folder / "checkpoints", step)
            self.save_checkpoint(path.stem, params, step, updates)
            run_folder.prune(self.folder / "checkpoints", self.keep)

    def save_checkpoint(self, name: str, params: Params, env_steps: int, updates: int) -> None:
        """Write the agent as it is; one file a task in a multitask run.

        A file tells of an evaluation only when it is of this very agent: at this step, and on its
        own task, which is the first.
        """
        evaluation = {each.controller: each for each in self.latest if each.env_steps == env_steps}
        for i, task in enumerate(self.train.tasks):
            agent = self.train.agent
            if self.train.multitask:
                agent = agent.replace(env=dataclasses.replace(agent.env, task=task))
            own = task_params(params, i) if self.train.multitask else params
            stem = name if i == 0 else f"{name}_{task}"
            checkpoints.save(
                self.folder / "checkpoints" / f"{stem}.safetensors",
                agent,
                jax.tree.map(np.asarray, dict(own)),
                self.provenance
                | {
                    "algo": self.train.algo,
                    "seed": self.train.seed,
                    "env_steps": env_steps,
                    "updates": updates,
                    "shaped": self.train.shaping.active,
                    "evaluation": {
                        controller: result.to_dict()
                        for controller, result in evaluation.items()
                        if i == 0
                    },
                    "training": self.train.to_dict(),
                },
            )

    def save(self, learner: LearnerState, env_steps: int) -> None:
        """Replace the latest checkpoint and the state that a kill is survived by."""
        self.save_checkpoint("last", learner.params, env_steps, int(learner.updates))
        resume.save(
            self.folder,
            learner,
            self.replay.get_state() | self.collector.get_state(),
            {
                "env_steps": env_steps,
                "best": self.best,
                "best_step": self.best_step,
                "latest": [result.to_dict() for result in self.latest],
                "finished": self.finished,
                "plateau_restarts": self.plateau_restarts,
                "basin_restarts": self.basin_restarts,
                "begun": self.begun,
                "rng": self.rng.bit_generator.state,
            },
        )

    def restore(self, like: LearnerState) -> LearnerState:
        """Continue from the last save, which was at `saved_at`; returns its learner."""
        learner, arrays, counters = resume.load(self.folder, self.train, like)
        self.basin_restarts = counters["basin_restarts"]
        self.begin(counters["begun"])
        self.replay.set_state(arrays)
        self.collector.set_state(arrays)
        self.rng.bit_generator.state = counters["rng"]
        for name in ("best", "best_step", "finished", "plateau_restarts"):
            setattr(self, name, counters[name])
        self.latest = tuple(Evaluation.from_dict(result) for result in counters["latest"])
        self.log.rewind(counters["env_steps"])
        run_folder.drop_later(self.folder / "checkpoints", counters["env_steps"])
        self.saved_at = counters["env_steps"]
        return learner
