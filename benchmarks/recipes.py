"""A short run of every recipe and proposal on a tiny agent, and what each changed first.

    python benchmarks/recipes.py [--rounds N] [--only NAME …] [--markdown FILE]

Every run has the same seed and sizes: 16 wide, 8 hoppers, an update a round (2 and 4 where a
recipe asks for more), an eighth of the planner's samples. Steps of schedules are divided so that
4M environment steps, which published runs have, are the whole run: every event happens in it.

Each run is compared, round by round, with its parent's: the first recipe that it starts from; the
preset where it starts from nothing; 1b for a proposal. So the table has what a recipe changes
itself, and nothing that it inherits: the first round after which the two differ, and what differs
then, of networks, of what was collected, and of returns in evaluations. The task is standing,
because a tiny agent earns nothing for hopping, and the evaluations of all would be the same.

The script fails when a run does, when the preset repeated is not the same to the last bit, and
when a recipe changes nothing that is not in `CHANGE_NOTHING`, or something that is.
"""

import argparse
import dataclasses
import os
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

# Compiling takes most of the time, and runs are compared with one another alone.
os.environ["XLA_FLAGS"] = "--xla_backend_optimization_level=0"

import jax
import numpy as np

from glassviz.agents.config import EnvConfig
from glassviz.training import recipes
from glassviz.training.collection import Replay
from glassviz.training.config import TrainConfig, preset
from glassviz.training.learner import take
from glassviz.training.trainer import Progress, Trainer

PUBLISHED_STEPS = 4_000_000
HOPPERS = 8
TINY_TASK = {"task": "hopper-stand", "episode_steps": 60}
UPDATES_DIVIDED_BY, SAMPLES_DIVIDED_BY = 64, 8
# Programs of forty runs are more memory maps than a process may have.
RUNS_PER_CACHE = 8

CHANGE_NOTHING = {
    "tdmpc2": "it is the preset without Glass",
    "m": "same settings as j; the published run left the smoothing term out of the graph before "
    "250k steps, which changes no number",
    "P": "the bonus is the entropy of the labels, and this agent always has the same label; tests "
    "cover the bonus",
    "Pa": "it is P with a smaller bonus, and the bonus is zero here",
    "aa_k64": "64 updates per round is the setting of z",
    "ab": "same settings as aa_k128, intended for five seeds",
    "basin_restart_prototypes": "its trigger, fewer than four active clusters in the partition, "
    "does not occur in this run; a test covers one in which it does",
}
"""Recipes that must train exactly as their parents do, and why."""

History = list[dict[str, Any]]


def shrunk(train: TrainConfig, rounds: int) -> TrainConfig:
    """The same recipe on an agent and a schedule small enough for seconds."""
    agent = train.agent.replace(
        latent_dim=16,
        encoder_widths=(16,) * len(train.agent.encoder_widths),
        hidden_widths=(16, 16),
        simnorm_group=4,
        planner=dataclasses.replace(
            train.agent.planner,
            samples=train.agent.planner.samples // SAMPLES_DIVIDED_BY,
            elites=8,
            policy_trajectories=4,
            iterations=2,
        ),
        env=EnvConfig(**(dataclasses.asdict(train.agent.env) | TINY_TASK)),
    )
    steps = HOPPERS * rounds
    small: Any = dataclasses.replace(
        train,
        agent=agent,
        num_envs=HOPPERS,
        steps=steps,
        k_update=max(train.k_update // UPDATES_DIVIDED_BY, 1),
        batch_size=8,
        buffer_steps=steps,
        learning_starts=2 * HOPPERS,
        eval_every=steps // 4,
        eval_episodes_pi=2,
        eval_episodes_mppi=2,
        save_every=10**9,
    )
    scaled = {}
    for group in ("explore", "losses", "glass", "shaping", "rescue", "demos"):
        part = getattr(small, group)
        changes = {
            field.name: _scaled(getattr(part, field.name), rounds)
            for field in dataclasses.fields(part)
            if field.name.endswith(("_steps", "_until", "_check_at"))
        }
        scaled[group] = dataclasses.replace(part, **changes)
    return dataclasses.replace(small, **scaled)


def _scaled(value: Any, rounds: int) -> Any:
    if isinstance(value, tuple):
        return tuple(_scaled(each, rounds) for each in value)
    assert value < PUBLISHED_STEPS, f"{value} steps are not within a run"
    return -(-value * rounds // PUBLISHED_STEPS) * HOPPERS


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


def run(train: TrainConfig) -> History:
    """Train to the end in a folder that is thrown away; what was there after every round."""
    demos = demonstrations(train) if train.demo_batch else None
    history: History = []

    def remember(progress: Progress) -> None:
        replay = trainer.runs[0].replay
        row = (replay.added - 1) % len(replay.obs)
        found = take(trainer.learner, 0).params | {
            "collected actions": replay.action[row],
            "collected rewards": replay.reward[row],
        }
        for results in progress.evaluations.values():
            found |= {f"returns of {each.controller}": each.returns for each in results}
        history.append(jax.tree.map(np.copy, found))

    with tempfile.TemporaryDirectory() as folder:
        trainer = Trainer(train, Path(folder), {"recipe": "benchmark"}, demos=demos)
        trainer.run(remember)
    return history


def first_difference(one: History, other: History) -> tuple[int, list[str]] | None:
    """The first round after which two runs differ, and in what."""
    for number, (a, b) in enumerate(zip(one, other, strict=False), start=1):
        found = [name for name in a if name not in b or not _equal(a[name], b[name])]
        found += [name for name in b if name not in a]
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


class Runs:
    """Runs by name of recipe or preset, made once each; those that others start from are kept.

    Args:
        rounds: of each.
    """

    def __init__(self, rounds: int) -> None:
        self._rounds = rounds
        self._kept: dict[str, History] = {}
        self._made = 0
        shipped = map(recipes.recipe, recipes.names())
        self._parents = {parent_of(each) for each in shipped}

    def __call__(self, name: str) -> History:
        """The run of that name."""
        if name in self._kept:
            return self._kept[name]
        history = self.anew(name)
        if name in self._parents:
            self._kept[name] = history
        return history

    def anew(self, name: str) -> History:
        """The same, made again."""
        self._made += 1
        if self._made % RUNS_PER_CACHE == 0:
            jax.clear_caches()
        return run(shrunk(configuration(name), self._rounds))


PRESETS = {"preset with Glass": "tdmpc-glass", "preset without Glass": "tdmpc2"}


def configuration(name: str) -> TrainConfig:
    """The run that a recipe, a proposal added to 1b, or a preset describes."""
    if name in PRESETS:
        return preset("small", PRESETS[name])  # type: ignore[arg-type]
    added = [name] if recipes.recipe(name).kind == "proposal" else []
    return recipes.configure("1b" if added else name, additions=added)


def parent_of(recipe: recipes.Recipe) -> str:
    """The name of the run that a recipe is a variant of."""
    if recipe.kind == "proposal":
        return "1b"
    without = {algo: name for name, algo in PRESETS.items()}
    return recipe.starts_from[0] if recipe.starts_from else without[recipe.algo]


@contextmanager
def shared_programs() -> Iterator[None]:
    """Compile once what is the same in several recipes: many differ in no program."""
    with tempfile.TemporaryDirectory() as folder:
        jax.config.update("jax_compilation_cache_dir", folder)
        jax.config.update("jax_persistent_cache_min_compile_time_secs", 0)
        jax.config.update("jax_persistent_cache_min_entry_size_bytes", -1)
        yield


def main() -> None:
    """Run them all and print the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--rounds", type=int, default=80)
    parser.add_argument("--only", nargs="*", default=recipes.names())
    parser.add_argument("--markdown", type=Path, help="put the table at the end of this file")
    options = parser.parse_args()
    runs = Runs(options.rounds)
    for name in PRESETS:
        assert not first_difference(runs(name), runs.anew(name)), f"{name} is not reproducible"
    lines = ["| recipe | against | changed settings | first difference |", "|---|---|---|---|"]
    print(*lines, sep="\n", flush=True)
    wrong = []
    for name in options.only:
        chosen = recipes.recipe(name)
        parent = parent_of(chosen)
        started = time.monotonic()
        found = first_difference(runs(name), runs(parent))
        if bool(found) == (name in CHANGE_NOTHING):
            wrong.append(name)
        nothing = f"nothing: {CHANGE_NOTHING.get(name, 'why?')}"
        what = f"from round {found[0]}: {', '.join(found[1])}" if found else nothing
        changes = ", ".join(f"{key} {value}" for key, value in chosen.own.items()) or "–"
        lines.append(f"| {name} | {parent} | {changes} | {what} |")
        print(lines[-1], f"({time.monotonic() - started:.0f} s)", flush=True)
    if options.markdown:
        text = options.markdown.read_text() if options.markdown.exists() else ""
        text = text.split(lines[0].split("against")[0])[0]
        options.markdown.write_text(text + "\n".join(lines) + "\n")
    if wrong:
        sys.exit(f"expected a change in all but those of CHANGE_NOTHING, not in: {wrong}")


if __name__ == "__main__":
    with shared_programs():
        main()
