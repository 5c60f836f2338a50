"""How episodes of other bodies than the hopper are best stepped together, as ratios.

    python benchmarks/collection.py [TASK …]

Ways: one loop (what `SuiteBatch` does), the same episodes on two threads, and in two worker
processes that send observations and rewards through a pipe. `physics alone` is the share of the
loop's time that `mujoco.rollout` could shorten: the simulation without observations and rewards.
Times are medians over decisions of 16 bodies with action repeat 2; the last column is the loop's
share of a round of the recipe `suite`, with its 16 updates and its planner.
"""

import dataclasses
import multiprocessing
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from multiprocessing.connection import Connection

import numpy as np

from glassviz.agents.config import EnvConfig
from glassviz.envs.suite import SuiteBatch
from glassviz.training import recipes
from glassviz.training.trainer import Trainer

BODIES, WORKERS, DECISIONS = 16, 2, 30
TASKS = ("walker-walk", "cheetah-run", "humanoid-walk")


def median_s(act: Callable[[], object], times: int = DECISIONS) -> float:
    """Median duration of a call, after two that are not counted."""
    found = []
    for _ in range(times + 2):
        begin = time.perf_counter()
        act()
        found.append(time.perf_counter() - begin)
    return float(np.median(found[2:]))


def serve(config: EnvConfig, num: int, pipe: Connection) -> None:
    """Step episodes in a worker process until it is told to end."""
    batch = SuiteBatch(config, num)
    batch.reset(range(num))
    while (actions := pipe.recv()) is not None:
        step = batch.step(actions)
        pipe.send((step.obs, step.reward))


def by_processes(config: EnvConfig, actions: np.ndarray) -> float:
    """Time of a decision of all bodies, divided among worker processes."""
    context = multiprocessing.get_context("spawn")
    pipes, workers = [], []
    for _ in range(WORKERS):
        ours, theirs = context.Pipe()
        worker = context.Process(target=serve, args=(config, BODIES // WORKERS, theirs))
        worker.start()
        pipes.append(ours)
        workers.append(worker)

    def act() -> None:
        for pipe, share in zip(pipes, np.split(actions, WORKERS), strict=True):
            pipe.send(share)
        for pipe in pipes:
            pipe.recv()

    seconds = median_s(act)
    for pipe, worker in zip(pipes, workers, strict=True):
        pipe.send(None)
        worker.join()
    return seconds


def by_threads(config: EnvConfig, actions: np.ndarray) -> float:
    """Time of a decision of all bodies, divided among threads."""
    batches = [SuiteBatch(config, BODIES // WORKERS) for _ in range(WORKERS)]
    for batch in batches:
        batch.reset(range(batch.num))
    with ThreadPoolExecutor(WORKERS) as pool:
        shares = np.split(actions, WORKERS)
        return median_s(lambda: list(pool.map(SuiteBatch.step, batches, shares)))


def physics_alone(batch: SuiteBatch) -> float:
    """Time of a decision's simulation, without observations and rewards."""
    repeat, substeps = batch.config.action_repeat, batch._substeps

    def act() -> None:
        for env in batch._envs:
            for _ in range(repeat):
                env.physics.step(substeps)

    return median_s(act)


def round_s(task: str) -> float:
    """Time of a round of the recipe `suite` after its random phase."""
    early = {"task": task, "learning_starts": 64, "expl_until": 64, "save_every": 10**6}
    train = dataclasses.replace(recipes.configure("suite", changes=early), eval_every=10**6)
    with tempfile.TemporaryDirectory() as folder:
        trainer = Trainer(train, folder, {"recipe": "suite"})
        for _ in range(6):
            trainer.train_round()
        return median_s(trainer.train_round, 6)


def main(names: list[str]) -> None:
    """Print the table."""
    print("| task | loop, ms | threads/loop | processes/loop | physics alone/loop | loop/round |")
    print("|---|---|---|---|---|---|", flush=True)
    for name in names or TASKS:
        config = EnvConfig(task=name, action_repeat=2, episode_steps=500)
        batch = SuiteBatch(config, BODIES)
        batch.reset(range(BODIES))
        actions = np.random.default_rng(0).uniform(-1, 1, (BODIES, batch.action_dim))
        loop = median_s(lambda batch=batch, actions=actions: batch.step(actions))
        others = by_threads(config, actions), by_processes(config, actions), physics_alone(batch)
        ratios = " | ".join(f"{seconds / loop:.2f}" for seconds in others)
        print(
            f"| `{name}` | {1e3 * loop:.1f} | {ratios} | {loop / round_s(name):.3f} |", flush=True
        )


if __name__ == "__main__":
    main(sys.argv[1:])
