"""A short run of every recipe and proposal on a tiny agent, and what each changed first.

    python benchmarks/recipes.py [--rounds N] [--only NAME …] [--markdown FILE]

Every run has the same seed and sizes: 16 wide, 8 hoppers, an update a round (2 and 4 where a
recipe asks for more); steps of schedules are divided by so much that all of them happen. Each is
compared, round by round, with the run that it is a variant of (1b with Glass, tdmpc2 without): the
table has the first round after which they differ, and what differs then: networks, and what was
collected. The script fails when a run does, or when the baseline repeated is not the same to the
last bit.
"""

import argparse
import dataclasses
import tempfile
import time
from pathlib import Path
from typing import Any

import jax
import numpy as np

from glassviz.agents.config import EnvConfig
from glassviz.training import recipes
from glassviz.training.collection.replay import Replay
from glassviz.training.config import TrainConfig
from glassviz.training.learning.learner import take
from glassviz.training.trainer import Progress, Trainer

STEPS_PER_STEP = 10_000
TINY_TASK = {"episode_steps": 60}


def shrunk(train: TrainConfig, rounds: int) -> TrainConfig:
    """The same recipe on an agent and a schedule small enough for seconds."""
    agent = train.agent.replace(
        latent_dim=16,
        encoder_widths=(16,) * len(train.agent.encoder_widths),
        hidden_widths=(16, 16),
        simnorm_group=4,
        planner=dataclasses.replace(
            train.agent.planner, samples=32, elites=8, policy_trajectories=4, iterations=2
        ),
        env=EnvConfig(**(dataclasses.asdict(train.agent.env) | TINY_TASK)),
    )
    small: Any = dataclasses.replace(
        train,
        agent=agent,
        num_envs=8,
        steps=8 * rounds,
        k_update=max(train.k_update // 64, 1),
        batch_size=8,
        buffer_steps=8 * rounds,
        learning_starts=40,
        eval_every=max(8 * rounds // 2, 8),
        eval_episodes_pi=1,
        eval_episodes_mppi=1,
        save_every=10**9,
    )
    scaled = {}
    for group in ("explore", "losses", "glass", "shaping", "rescue", "demos"):
        part = getattr(small, group)
        changes = {
            field.name: _scaled(getattr(part, field.name))
            for field in dataclasses.fields(part)
            if field.name.endswith(("_steps", "_until", "_check_at"))
        }
        scaled[group] = dataclasses.replace(part, **changes)
    return dataclasses.replace(small, **scaled)


def _scaled(value: Any) -> Any:
    if isinstance(value, tuple):
        return tuple(map(_scaled, value))
    return -(-value // STEPS_PER_STEP) * 8 if value else value


def demonstrations(train: TrainConfig) -> Replay:
    """Any episode serves here: random actions."""
    rng = np.random.default_rng(0)
    replay = Replay(60, 2, train.agent.obs_dim, train.agent.action_dim)
    for step in range(60):
        replay.add(
            rng.normal(size=(2, train.agent.obs_dim)).astype(np.float32),
            rng.uniform(-1, 1, (2, train.agent.action_dim)).astype(np.float32),
            rng.uniform(size=2).astype(np.float32),
            np.full(2, step == 0),
        )
    return replay


def run(train: TrainConfig) -> list[dict[str, Any]]:
    """Train to the end in a folder that is thrown away; what was there after every round."""
    demos = demonstrations(train) if train.demo_batch else None
    history = []

    def remember(progress: Progress) -> None:
        replay = trainer.runs[0].replay
        row = (replay.added - 1) % len(replay.obs)
        collected = {
            "collected actions": replay.action[row],
            "collected rewards": replay.reward[row],
        }
        history.append(jax.tree.map(np.copy, {**take(trainer.learner, 0).params, **collected}))

    with tempfile.TemporaryDirectory() as folder:
        trainer = Trainer(train, Path(folder), {"recipe": "benchmark"}, demos=demos)
        trainer.run(remember)
    return history


def first_difference(
    one: list[dict[str, Any]], other: list[dict[str, Any]]
) -> tuple[int, list[str]] | None:
    """The first round after which two runs differ, and in what."""
    for number, (a, b) in enumerate(zip(one, other, strict=False), start=1):
        found = [name for name in a if name not in b or not _equal(a[name], b[name])]
        if found:
            return number, found
    if len(one) != len(other):
        return min(len(one), len(other)) + 1, ["length of the run"]
    return None


def _equal(one: Any, other: Any) -> bool:
    leaves = jax.tree.leaves(one), jax.tree.leaves(other)
    if jax.tree.structure(one) != jax.tree.structure(other):
        return False
    return all(np.array_equal(a, b) for a, b in zip(*leaves, strict=True))


def main() -> None:
    """Run them all and print the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--rounds", type=int, default=200)
    parser.add_argument("--only", nargs="*", default=recipes.names())
    parser.add_argument("--markdown", type=Path)
    options = parser.parse_args()
    baselines = {}
    for name in ("1b", "tdmpc2"):
        train = shrunk(recipes.configure(name), options.rounds)
        baselines[name] = run(train)
        assert not first_difference(baselines[name], run(train)), f"{name} is not reproducible"
    lines = ["| recipe | settings of its own | what differs first |", "|---|---|---|"]
    print(*lines, sep="\n", flush=True)
    for name in options.only:
        chosen = recipes.recipe(name)
        added = [name] if chosen.kind == "proposal" else []
        train = recipes.configure("1b" if added else name, additions=added)
        against = "1b" if train.agent.glass else "tdmpc2"
        started = time.monotonic()
        found = first_difference(run(shrunk(train, options.rounds)), baselines[against])
        what = f"from round {found[0]}: {', '.join(found[1])}" if found else "nothing"
        changes = ", ".join(f"{key} {value}" for key, value in chosen.own.items())
        lines.append(f"| {name} | {changes} | {what} |")
        # Programs of forty runs are more memory maps than a process may have.
        jax.clear_caches()
        print(lines[-1], f"({time.monotonic() - started:.0f} s)", flush=True)
    if options.markdown:
        options.markdown.write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
