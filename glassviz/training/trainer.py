"""The training loop: collect, update, evaluate, save; and continue after a kill."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Float32

from glassviz import checkpoints
from glassviz.agents.agent import CONTROLLERS, Controller
from glassviz.agents.networks import Params, encode
from glassviz.agents.values import policy_action
from glassviz.envs.hopper import HopperBatch
from glassviz.errors import GlassvizError
from glassviz.rollout import roll_out
from glassviz.training import resume
from glassviz.training.config import TrainConfig
from glassviz.training.learner import init_learner, update_round
from glassviz.training.log import Evaluation, RunLog
from glassviz.training.replay import Replay

Observations = Float32[np.ndarray, "envs obs"]

# Evaluations meet the same resets at every step of a run and in every run.
EVAL_SEED = 10_000


@dataclass(frozen=True)
class Progress:
    """What a training run says of itself after every round."""

    env_steps: int
    metrics: dict[str, float]
    evaluations: tuple[Evaluation, ...] = ()


class Trainer:
    """A training run in a folder.

    Args:
        train: what to train.
        folder: where logs and checkpoints go; `folder/seed_N.csv`, `folder/seed_N/…`.
        provenance: what every checkpoint says of its making (recipe, command, versions, …).

    Raises:
        GlassvizError: the folder holds a run of this seed, and `resume_from_save` is not asked
            for, or that run was made with another configuration.
    """

    def __init__(
        self,
        train: TrainConfig,
        folder: Path,
        provenance: dict[str, Any],
        resume_from_save: bool = False,
    ) -> None:
        self.train = train
        self.provenance = provenance
        self.folder = folder / f"seed_{train.seed}"
        self.env = HopperBatch(train.agent.env, train.num_envs)
        self.replay = Replay(
            train.buffer_steps // train.num_envs,
            train.num_envs,
            train.agent.obs_dim,
            train.agent.action_dim,
        )
        self.learner = init_learner(train)
        self.rng = np.random.default_rng(train.seed)
        self.env_steps = 0
        self.episode_step = 0
        self.best: dict[Controller, float] = {}
        self.latest: tuple[Evaluation, ...] = ()
        self.log = RunLog(folder, train.seed)
        if resume_from_save:
            self.obs = self._restore()
        else:
            resume.claim(self.folder, train)
            self.log.start()
            self.obs = self._reset()
            self._save()

    def run(self, on_round: Callable[[Progress], None]) -> None:
        """Train to the end, saving on the way.

        Raises:
            GlassvizError: a loss is no longer finite; names the term and the last good save.
        """
        while self.env_steps < self.train.steps:
            self._collect()
            metrics = self._update()
            evaluated = self._passed(self.train.eval_every)
            if evaluated:
                self._evaluate()
            if self._passed(self.train.save_every) or self.env_steps >= self.train.steps:
                self._save()
            on_round(Progress(self.env_steps, metrics, self.latest if evaluated else ()))

    def _passed(self, every: int) -> bool:
        """Whether this round crossed a multiple of `every` environment steps."""
        return self.env_steps // every > (self.env_steps - self.train.num_envs) // every

    def _reset(self) -> Observations:
        self.episode_step = 0
        seeds = self.rng.integers(2**31, size=self.train.num_envs)
        return self.env.reset([int(seed) for seed in seeds]).obs

    def _collect(self) -> None:
        train = self.train
        shape = (train.num_envs, train.agent.action_dim)
        if self.env_steps < train.expl_until:
            action = self.rng.uniform(-1, 1, shape).astype(np.float32)
        else:
            mean = np.asarray(_policy(train, self.learner.params, jnp.asarray(self.obs)))
            noise = train.act_noise * self.rng.standard_normal(shape, dtype=np.float32)
            action = np.clip(mean + noise, -1.0, 1.0)
        step = self.env.step(action.astype(np.float64))
        first = np.full(train.num_envs, self.episode_step == 0)
        self.replay.add(self.obs, action, step.reward.astype(np.float32), first)
        self.obs = step.obs
        self.env_steps += train.num_envs
        self.episode_step += 1
        if self.episode_step == train.agent.env.episode_steps:
            self.obs = self._reset()

    def _update(self) -> dict[str, float]:
        train = self.train
        horizon = train.agent.planner.horizon
        if self.env_steps < train.learning_starts or len(self.replay) <= horizon:
            return {}
        batches = self.replay.sample(self.rng, train.k_update, train.batch_size, horizon)
        warm = self.env_steps >= train.glass.warmup_steps
        self.learner, metrics = update_round(train, self.learner, batches, warm)
        values = {name: float(value) for name, value in metrics.items()}
        broken = [name for name, value in values.items() if not np.isfinite(value)]
        if broken:
            raise GlassvizError(
                f"{self.folder}: training diverged at step {self.env_steps}: expected finite "
                f"losses, found {', '.join(broken)} not finite: the last good save is "
                f"{resume.STATE_FILE}, resume it with another --seed or a lower learning rate"
            )
        return values

    def _evaluate(self) -> None:
        """Both controllers on the task's own reward; better ones than before are kept."""
        train = self.train
        results = []
        for controller in CONTROLLERS:
            episodes = train.eval_episodes_mppi if controller == "mppi" else train.eval_episodes_pi
            [arrays] = roll_out(
                train.agent,
                [self.learner.params],
                controller,
                HopperBatch(train.agent.env, episodes),
                EVAL_SEED,
                train.agent.env.episode_steps,
            )
            returns = arrays["reward"].sum(axis=1)
            results.append(Evaluation(self.env_steps, controller, tuple(returns.tolist())))
        self.latest = tuple(results)
        for result in results:
            self.log.append(result)
            if result.mean > self.best.get(result.controller, -np.inf):
                self.best[result.controller] = result.mean
                self._save_checkpoint(f"best_{result.controller}")

    def _save_checkpoint(self, name: str) -> None:
        checkpoints.save(
            self.folder / "checkpoints" / f"{name}.safetensors",
            self.train.agent,
            jax.tree.map(np.asarray, self.learner.params),
            self.provenance
            | {
                "algo": self.train.algo,
                "seed": self.train.seed,
                "env_steps": self.env_steps,
                "updates": int(self.learner.updates),
                "evaluation": {result.controller: result.to_dict() for result in self.latest},
                "training": self.train.to_dict(),
            },
        )

    def _save(self) -> None:
        self._save_checkpoint("last")
        resume.save(
            self.folder,
            self.learner,
            self.replay.get_state() | {"env_state": self.env.get_state(), "env_obs": self.obs},
            {
                "env_steps": self.env_steps,
                "episode_step": self.episode_step,
                "best": self.best,
                "latest": [result.to_dict() for result in self.latest],
                "rng": self.rng.bit_generator.state,
            },
        )

    def _restore(self) -> Observations:
        self.learner, arrays, counters = resume.load(self.folder, self.train, self.learner)
        self.replay.set_state(arrays)
        self.env_steps = counters["env_steps"]
        self.episode_step = counters["episode_step"]
        self.best = counters["best"]
        self.latest = tuple(Evaluation.from_dict(result) for result in counters["latest"])
        self.rng.bit_generator.state = counters["rng"]
        self.log.rewind(self.env_steps)
        self.env.set_state(arrays["env_state"])
        # Not what the environment shows now: its touch sensors belong to the last substep taken.
        return arrays["env_obs"]


@partial(jax.jit, static_argnames="train")
def _policy(
    train: TrainConfig, params: Params, obs: Float[Array, "envs obs"]
) -> Float[Array, "envs act"]:
    return policy_action(train.agent, params, encode(train.agent, params, obs))
