"""The trainer: several seeds in one program, each with its own folder, logs and saves."""

import dataclasses
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

import jax
import jax.numpy as jnp
import numpy as np
from flax.traverse_util import flatten_dict

from glassviz import checkpoints
from glassviz.agents.networks import Params, stack
from glassviz.agents.planner import Controller
from glassviz.checkpoints import Checkpoint
from glassviz.checkpoints.native import check_leaves
from glassviz.environment import memory_bytes
from glassviz.errors import GlassvizError, UsageError
from glassviz.files import StrPath
from glassviz.rollout.cost import episode_bytes
from glassviz.rollout.evaluate import EVAL_SEED, Evaluation, evaluate
from glassviz.text import count_of
from glassviz.training import collection, run_folder
from glassviz.training import learner as learning
from glassviz.training.collection import SEED_STRIDE, Collector, Replay, Sequences, joined, propose
from glassviz.training.config import TrainConfig
from glassviz.training.learner import LearnerState
from glassviz.training.log import RunLog
from glassviz.training.losses import Schedule, task_params

_COUNTERS = ("best", "best_step", "finished", "plateau_restarts", "basin_restarts")


class SeedRun:
    """One seed of a run, in the folder `root/seed_N` with its logs beside it.

    `provenance`, `demos`, `keep` and `tensorboard` are as for `Trainer`.
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
        self.latest: tuple[Evaluation, ...] = ()
        self.finished = False
        self.kept_at = 0
        self.best_step = self.saved_at = self.plateau_restarts = self.basin_restarts = 0
        self.begin(0)

    @property
    def attempt_seed(self) -> int:
        """Seed of the current attempt; the run's seed until a basin restart."""
        return self.train.seed + self.basin_restarts * SEED_STRIDE

    @property
    def restarts(self) -> int:
        """Number of restarts of the agent, or of a part of it, so far."""
        return self.plateau_restarts + self.basin_restarts

    def begin(self, env_steps: int) -> None:
        """Start an attempt, with an empty replay buffer and a new random phase."""
        train = self.train
        self.begun = env_steps
        self.rng = np.random.default_rng(self.attempt_seed)
        rows, agent = train.buffer_steps // train.num_envs, train.agent
        self.replay = Replay(rows, train.num_envs, agent.obs_dim, agent.action_dim)
        self.collector = Collector(train, self.rng, self.replay)

    def ready(self, env_steps: int) -> bool:
        """Whether the replay buffer holds enough for an update."""
        waited = env_steps - self.begun >= self.train.learning_starts
        return waited and len(self.replay) > self.train.sequence_steps

    def sample(self) -> Sequences:
        """Batches for the updates of a round; demonstrations come first in each batch."""
        train, updates, steps = self.train, self.train.k_update, self.train.sequence_steps
        size, demo_size = train.batch_size - train.demo_batch, train.demo_batch
        collected = self.replay.sample(self.rng, updates, size, steps, groups=len(train.tasks))
        if not demo_size:
            return collected
        assert self.demos is not None
        return joined(self.demos.sample(self.rng, updates, demo_size, steps), collected)

    def note(self, results: Sequence[Evaluation], params: Params, updates: int) -> None:
        """Log evaluations of the current agent, and write the checkpoints that they call for."""
        self.latest = tuple(results)
        for result in results:
            self.log.append(result)
            if result.mean > self.best.get(result.controller, -np.inf):
                self.best[result.controller] = result.mean
                if result.controller == "mppi":
                    self.best_step = result.env_steps
                self.save_checkpoint(f"best_{result.controller}", params, result.env_steps, updates)
        if self.keep:
            step, place = results[0].env_steps, self.folder / "checkpoints"
            name = run_folder.step_checkpoint(place, step).stem
            self.save_checkpoint(name, params, step, updates)
            run_folder.prune(place, self.keep)

    def save_checkpoint(self, name: str, params: Params, env_steps: int, updates: int) -> None:
        """Write the current agent; a multitask run writes one file per task.

        An evaluation is recorded only if it is of exactly this agent: at this step, and on the
        first task.
        """
        train = self.train
        latest = {e.controller: e.to_dict() for e in self.latest if e.env_steps == env_steps}
        for i, task in enumerate(train.tasks):
            agent = train.agent.replace(env=dataclasses.replace(train.agent.env, task=task))
            of_task = task_params(params, i) if train.multitask else params
            stem = name if i == 0 else f"{name}_{task}"
            provenance = self.provenance | {
                "algo": train.algo,
                "seed": train.seed,
                "env_steps": env_steps,
                "updates": updates,
                "shaped": train.shaping.active,
                "evaluation": latest if i == 0 else {},
                "training": train.to_dict(),
            }
            path = self.folder / "checkpoints" / f"{stem}.safetensors"
            checkpoints.save(path, agent, jax.tree.map(np.asarray, dict(of_task)), provenance)

    def save(self, learner: LearnerState, env_steps: int) -> None:
        """Replace the last checkpoint and the state to resume from."""
        self.save_checkpoint("last", learner.params, env_steps, int(learner.updates))
        counters = {
            "env_steps": env_steps,
            **{name: getattr(self, name) for name in _COUNTERS},
            "latest": [result.to_dict() for result in self.latest],
            "begun": self.begun,
            "rng": self.rng.bit_generator.state,
        }
        arrays = self.replay.get_state() | self.collector.get_state()
        run_folder.save(self.folder, learner, arrays, counters)
        self.kept_at = env_steps

    def restore(self, like: LearnerState) -> LearnerState:
        """Continue from the last save; sets `saved_at` and returns the learner."""
        self.collector.reset()  # For the shapes of what was saved.
        begun = self.replay.get_state() | self.collector.get_state()
        learner, arrays, counters = run_folder.load(self.folder, self.train, like, begun)
        for name in _COUNTERS:
            setattr(self, name, getattr(counters, name))
        self.begin(counters.begun)
        self.replay.set_state(arrays)
        self.collector.set_state(arrays)
        self.rng.bit_generator.state = counters.rng
        self.latest = counters.latest
        self.log.rewind(counters.env_steps)
        run_folder.drop_later(self.folder / "checkpoints", counters.env_steps)
        self.saved_at = self.kept_at = counters.env_steps
        return learner


KEEP = 3

LOG_EVERY = 5_120
"""Environment steps between logged rounds."""

TOTALS = ("loss", "grad_norm")
"""Metrics that combine all losses."""


@dataclass(frozen=True)
class Progress:
    """State of a run after a round.

    Attributes:
        updates_per_s: gradient updates per second in this round.
        evaluations: of this round, by seed.
        losses: means over the seeds that were updated in this round; empty without an update.
        seconds: that the round took; evaluation_s: its evaluations alone.
    """

    env_steps: int
    updates_per_s: float
    evaluations: dict[int, tuple[Evaluation, ...]]
    losses: dict[str, float] = dataclasses.field(default_factory=dict)
    seconds: float = 0.0
    evaluation_s: float = 0.0


SHOWN_LOSSES = ("loss", "consistency_loss", "reward_loss", "value_loss", "policy_loss")


def _mean_losses(metrics: dict[int, dict[str, float]]) -> dict[str, float]:
    """The losses that progress shows, as means over seeds."""
    each = list(metrics.values())
    names = [name for name in SHOWN_LOSSES if each and name in each[0]]
    return {
        name.removesuffix("_loss"): sum(values[name] for values in each) / len(each)
        for name in names
    }


def _check_memory(train: TrainConfig, seeds: int) -> None:
    """Refuse a run whose simulations and replay buffers this machine cannot hold.

    Raises:
        GlassvizError: it cannot; names both numbers.
    """
    agent = train.agent
    bodies = train.num_envs * episode_bytes(agent.env.task)
    replay = train.buffer_steps * (agent.obs_dim + agent.action_dim + 2) * _FLOAT_BYTES
    if (needed := seeds * (bodies + replay)) > memory_bytes():
        raise GlassvizError(
            f"training: expected a run that fits into {memory_bytes() / 1e9:.3g} GB of memory, "
            f"found one of {needed / 1e9:.3g} GB ({train.num_envs} bodies of {agent.env.task} and "
            f"{train.buffer_steps} transitions for {count_of(seeds, 'seed')}): lower --num-envs, "
            f"--buffer-steps or the number of seeds"
        )


_FLOAT_BYTES = 4


class Trainer:
    """A training run in a folder.

    Args:
        folder: run folder for logs (`seed_N.csv`) and checkpoints (`seed_N/…`).
        provenance: recorded in every checkpoint: recipe, command, versions, ….
        seeds: trained together in one program; by default `train.seed` alone.
        resume_from_save: whether to continue the run in the folder.
        keep: number of checkpoints of past evaluations to keep, besides the best and the last.
        demos: demonstrations to sample from; needed if `train.demos` uses them.
        start_from: agent whose parameters a new run starts from.

    Raises:
        GlassvizError: the folder holds a run and `resume_from_save` is False; that run has another
            configuration or other demonstrations; another process trains it; the machine has too
            little memory; demonstrations are missing or shorter than a sequence; `start_from` has
            other networks, or cannot be combined with a setting.
    """

    def __init__(
        self,
        train: TrainConfig,
        folder: StrPath,
        provenance: dict[str, Any],
        seeds: Sequence[int] | None = None,
        resume_from_save: bool = False,
        keep: int = KEEP,
        demos: Replay | None = None,
        tensorboard: bool = False,
        start_from: Checkpoint | None = None,
    ) -> None:
        folder = Path(folder)
        if train.demo_batch and demos is None:
            raise UsageError(
                "training: this run learns from demonstrations, found none: pass a file with "
                "--demos (`glassviz demonstrate` makes one), or set --demo-fraction 0"
            )
        if start_from and train.multitask:
            raise UsageError(
                f"training: a multitask run cannot start from the agent of one task, found "
                f"{start_from.name}: drop --init"
            )
        if start_from and train.rescue.basin_restart:
            raise UsageError(
                f"training: a basin restart would discard {start_from.name}, found basin_restart "
                f"{train.rescue.basin_restart}: drop --init or the setting"
            )
        if train.demo_batch and demos is not None and len(demos) <= train.sequence_steps:
            raise UsageError(
                f"training: demonstrations must be longer than a sequence of "
                f"{train.sequence_steps} steps, found {len(demos)}: make longer ones"
            )
        _check_memory(train, len(seeds or (train.seed,)))
        self.train, self.folder = train, folder
        self.env_steps = 0
        self._locks = ExitStack()
        try:
            with run_folder.telling_last_save(folder):
                self.runs = []
                for seed in seeds or (train.seed,):
                    of_seed = dataclasses.replace(train, seed=seed)
                    origin = self._claimed(of_seed, provenance, resume_from_save)
                    self.runs.append(SeedRun(of_seed, folder, origin, demos, keep, tensorboard))
                states = self._restored() if resume_from_save else self._begun(start_from)
                for run in self.runs:
                    run_folder.record_start(run.folder, run.train, run.provenance, self.env_steps)
        except BaseException:
            self._locks.close()
            raise
        self.learner = stack(states)

    def run(self, on_round: Callable[[Progress], None]) -> None:
        """Train to the end, saving regularly; then release the folder.

        Raises:
            GlassvizError: a loss is not finite, or the disk is full; names the place and the last
                good save.
        """
        with self._locks, run_folder.telling_last_save(self.folder):
            while self.env_steps < self.train.steps and not all(r.finished for r in self.runs):
                on_round(self.train_round())

    def _claimed(
        self, train: TrainConfig, provenance: dict[str, Any], resumed: bool
    ) -> dict[str, Any]:
        """Lock the folder of a seed, and return the provenance of the run in it."""
        place = run_folder.seed_folder(self.folder, train.seed)
        if resumed:
            run_folder.check_same(place, train)
        self._locks.enter_context(run_folder.locked(place))
        if resumed:
            return run_folder.as_first_started(place, provenance)
        run_folder.check_unused(place)
        return provenance

    def _begun(self, start_from: Checkpoint | None) -> list[learning.LearnerState]:
        states = [learning.init_learner(run.train) for run in self.runs]
        if start_from:
            leaves = flatten_dict(start_from.params, sep="/")
            check_leaves(f"start from {start_from.name}", self.train.agent, leaves)
            states = [learning.with_params(state, start_from.params) for state in states]
        for run, state in zip(self.runs, states, strict=True):
            run.log.start()
            run.collector.reset()
            run.save(state, 0)
        return states

    def _restored(self) -> list[learning.LearnerState]:
        found = [run.restore(learning.init_learner(run.train)) for run in self.runs]
        # A kill between the saves of two seeds leaves them at different steps: the ones ahead wait.
        steps = [run.saved_at for run in self.runs]
        unfinished = [run.saved_at for run in self.runs if not run.finished]
        self.env_steps = min(unfinished, default=max(steps))
        return found

    def _going(self) -> list[int]:
        runs = enumerate(self.runs)
        return [i for i, run in runs if not run.finished and run.saved_at <= self.env_steps]

    def train_round(self) -> Progress:
        """One step of every body, then the updates of every seed."""
        started = time.monotonic()
        going = self._going()
        self.collect(going)
        self.env_steps += self.train.num_envs
        self._start_prototypes(going)
        ready = [i for i in going if self.runs[i].ready(self.env_steps)]
        metrics = self._update(ready) if ready else {}
        rate = len(ready) * self.train.k_update / (time.monotonic() - started)
        if self._passed(LOG_EVERY):
            for i, values in metrics.items():
                updates = {"updates": int(self.learner.updates[i])}
                self.runs[i].log.metrics(self.env_steps, values | updates, {"updates_per_s": rate})
        evaluated, before = self._passed(self.train.eval_every), time.monotonic()
        if evaluated:
            self.evaluate_seeds(going)
        evaluation_s = time.monotonic() - before
        latest = {self.runs[i].train.seed: self.runs[i].latest for i in going}
        self._rescue(going)
        ended = self.env_steps >= self.train.steps
        for i in going:
            if self._passed(self.train.save_every) or ended or self.runs[i].finished:
                self.runs[i].save(learning.take(self.learner, i), self.env_steps)
        return Progress(
            self.env_steps,
            rate,
            latest if evaluated else {},
            _mean_losses(metrics),
            time.monotonic() - started,
            evaluation_s,
        )

    @property
    def all_steps(self) -> int:
        """Steps at the end: a whole number of rounds, at least as many as were asked for."""
        rounds = -(-self.train.steps // self.train.num_envs)
        return rounds * self.train.num_envs

    def _passed(self, every: int) -> bool:
        """Whether this round crossed a multiple of `every` environment steps."""
        return self.env_steps // every > (self.env_steps - self.train.num_envs) // every

    def _reached(self, step: int) -> bool:
        """Whether this round reached `step`."""
        return self.env_steps - self.train.num_envs < step <= self.env_steps

    def collect(self, going: list[int]) -> None:
        """Take one step of every body of the seeds `going`."""
        runs = [self.runs[i] for i in going]
        clocks = [self.env_steps - run.begun for run in runs]
        needed = [r.collector.needs_proposal(c) for r, c in zip(runs, clocks, strict=True)]
        proposals: list[Any] = [None] * len(runs)
        if any(needed):
            obs = np.stack([run.collector.obs for run in runs])
            plans = zip(*[run.collector.plan for run in runs], strict=True)
            seeds = np.array([run.attempt_seed for run in runs], np.int32)
            params = self._some(going, self.learner.params)
            plan = tuple(map(np.stack, plans))
            proposals = propose(self.train, params, obs, plan, seeds, self.env_steps)
        for i, run in enumerate(runs):
            # The proposal is computed for all seeds; a seed that does not need it keeps its plan.
            run.collector.step(proposals[i] if needed[i] else None, clocks[i])

    def _update(self, ready: list[int]) -> dict[int, dict[str, float]]:
        train = self.train
        sampled = [self.runs[i].sample() for i in ready]
        sequences = Sequences(*map(np.stack, zip(*sampled, strict=True)))
        schedule = self.schedule([self.env_steps - self.runs[i].begun for i in ready])
        some = self._some(ready, self.learner)
        some, metrics = learning.update_round(train, some, sequences, schedule)
        if len(ready) == len(self.runs):
            self.learner = some
        else:
            for place, i in enumerate(ready):
                self._put(i, learning.take(some, place))
        host = {name: np.asarray(values) for name, values in metrics.items()}
        found = {}
        for place, i in enumerate(ready):
            found[i] = {name: float(values[place]) for name, values in host.items()}
            if (broken := int(found[i].pop("broken_update"))) >= 0:
                self._diverged(i, broken, found[i])
        return found

    def schedule(self, clocks: Sequence[int]) -> Schedule:
        """Which losses are on, by seed, at the environment steps `clocks`."""
        glass, losses, demos = self.train.glass, self.train.losses, self.train.demos
        steps = np.array(clocks)
        left = np.ones(len(steps), np.float32)
        if demos.demo_bc_decay_steps:
            left = np.maximum(0, 1 - steps / demos.demo_bc_decay_steps).astype(np.float32)
        imitation = demos.demo_bc_end + left * (demos.demo_bc_coef - demos.demo_bc_end)
        on = steps >= self.train.glass_starts
        if glass.off_steps:
            on &= steps < glass.off_steps
        smooth = steps >= losses.latent_smooth_warmup_steps
        return Schedule(jnp.asarray(on), jnp.asarray(smooth), jnp.asarray(imitation))

    def _diverged(self, i: int, broken: int, values: dict[str, float]) -> NoReturn:
        """End the run, whose metrics are not all finite at update `broken` of this round."""
        run = self.runs[i]
        update = int(self.learner.updates[i]) - self.train.k_update + broken + 1
        bad = [name for name, value in values.items() if not np.isfinite(value)]
        # Totals add no information to the terms that they are made of.
        terms = [name for name in bad if name not in TOTALS] or bad
        raise GlassvizError(
            f"{run.folder}: training diverged at step {self.env_steps}, update {update}: expected "
            f"finite losses, found {', '.join(terms)} not finite: the last good save is "
            f"{run_folder.STATE_FILE} of step {run_folder.saved_step(run.folder)}, try another "
            f"--seed or a lower --learning-rate"
        )

    def _some(self, places: list[int], tree: Any) -> Any:
        """The part of a stacked tree that belongs to some seeds."""
        if len(places) == len(self.runs):
            return tree
        return jax.tree.map(lambda leaf: leaf[np.array(places)], tree)

    def evaluate_seeds(self, going: list[int]) -> None:
        """Evaluate both controllers of every seed on the task's reward."""
        train = self.train
        pi, mppi = train.eval_episodes_pi, train.eval_episodes_mppi
        episodes: dict[Controller, int] = {"mppi": mppi, "pi": pi}
        params = [learning.take(self.learner.params, i) for i in going]
        of_task = [self._first_task(each) for each in params]
        results = evaluate(train.agent, of_task, episodes, EVAL_SEED, self.env_steps)
        for i, tree, found in zip(going, params, results, strict=True):
            evaluations = [found[controller] for controller in episodes]
            self.runs[i].note(evaluations, tree, int(self.learner.updates[i]))

    def _start_prototypes(self, going: list[int]) -> None:
        """Initialise the prototypes of seeds whose random phase ends in this round."""
        train = self.train
        if not (train.agent.glass and train.glass.kmeans_init):
            return
        for i in going:
            run = self.runs[i]
            if self._reached(run.begun + train.prototypes_start):
                one = learning.take(self.learner, i)
                obs = run.replay.observations(run.rng, collection.KMEANS_SAMPLE)
                found = collection.kmeans_prototypes(train, one.params, obs, run.attempt_seed)
                self._put(i, learning.with_prototypes(train, one, found))

    def _rescue(self, going: list[int]) -> None:
        """Apply the restarts of the recipe, and end seeds without progress."""
        for i in going:
            for number, step in enumerate(self.train.rescue.q_reset_steps, start=1):
                if self._reached(step):
                    seed = self.runs[i].attempt_seed + number * SEED_STRIDE
                    self._renew(
                        i, learning.reset_q(self.train, learning.take(self.learner, i), seed)
                    )
            self._restart_on_plateau(i)
            self._leave_bad_basin(i)
            run, patience = self.runs[i], self.train.rescue.early_stop_patience
            run.finished = bool(patience) and self.env_steps - run.best_step >= patience

    def _restart_on_plateau(self, i: int) -> None:
        run, settings = self.runs[i], self.train.rescue
        best = run.best.get("mppi")
        if (
            settings.restart_on_plateau
            and self._passed(settings.restart_check_at)
            and run.plateau_restarts < settings.restart_max_attempts
            and best is not None
            and best < settings.restart_threshold
        ):
            run.plateau_restarts += 1
            run.log.restart(run.restarts, self.env_steps, "best_mppi", best)
            seed = run.attempt_seed + run.plateau_restarts * SEED_STRIDE
            self._renew(i, learning.restart(self.train, learning.take(self.learner, i), seed))

    def _leave_bad_basin(self, i: int) -> None:
        run, settings = self.runs[i], self.train.rescue
        signal = settings.basin_restart
        if (
            signal is None
            or not self._reached(run.begun + settings.basin_check_at)
            or run.basin_restarts >= settings.basin_max_attempts
        ):
            return
        params = self._first_task(learning.take(self.learner, i).params)
        found = collection.basin_signal(self.train, signal, params, EVAL_SEED)
        if found < collection.BASIN_THRESHOLD[signal]:
            run.basin_restarts += 1
            run.log.restart(run.restarts, self.env_steps, signal, found)
            run.begin(self.env_steps)
            run.collector.reset()
            self._renew(i, learning.init_learner(run.train, run.attempt_seed))

    def _first_task(self, params: Params) -> Params:
        """The parameters of one agent; in a multitask run those of the first task."""
        return task_params(params, 0) if self.train.multitask else params

    def _renew(self, place: int, one: learning.LearnerState) -> None:
        """Replace the agent of a seed, and forget the evaluations of the old one."""
        self._put(place, one)
        self.runs[place].latest = ()

    def _put(self, place: int, one: learning.LearnerState) -> None:
        self.learner = learning.put(self.learner, place, one)
