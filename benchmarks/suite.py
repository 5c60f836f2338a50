"""Every task of the suite: difference to dm_control, speed, camera and feet, as a table.

    python benchmarks/suite.py [TASK …]

Differences are the largest of observations (as float32) and rewards over 100 random steps from one
reset. Speed is control steps a second of one environment on one core, under random actions.
"""

import sys
import time

import numpy as np

from glassviz import envs
from glassviz.agents.config import EnvConfig
from glassviz.envs.bodies import HOPPER, task_of, tasks
from glassviz.envs.suite import load

STEPS, SEED = 100, 7


def difference(name: str) -> float:
    """Largest difference to dm_control in observation and reward; NaN for a task of our own."""
    from dm_control.suite.wrappers import action_scale

    task = task_of(name)
    if name == "hopper-hop-backwards":
        return float("nan")
    theirs, ours = load(task), envs.make(EnvConfig(task=name), 1)
    theirs.task.random.seed(SEED)
    start, step = theirs.reset(), ours.reset([SEED])
    if (theirs.action_spec().maximum != 1).any():
        theirs = action_scale.Wrapper(theirs, minimum=-1.0, maximum=1.0)
    rng, found = np.random.default_rng(0), [_gap(start.observation, step.obs[0])]
    for action in rng.uniform(-1, 1, (STEPS, task.body.action_dim)):
        expected, step = theirs.step(action), ours.step(action[None])
        found += [_gap(expected.observation, step.obs[0]), abs(expected.reward - step.reward[0])]
    return max(found)


def _gap(theirs: dict[str, np.ndarray], ours: np.ndarray) -> float:
    flat = np.concatenate([np.ravel(value) for value in theirs.values()]).astype(np.float32)
    return float(np.abs(flat - ours).max())


def steps_per_second(name: str) -> float:
    """Control steps a second of one environment."""
    task, env = task_of(name), envs.make(EnvConfig(task=name), 1)
    env.reset([SEED])
    actions = np.random.default_rng(0).uniform(-1, 1, (STEPS, 1, task.body.action_dim))
    begin = time.perf_counter()
    for action in actions:
        env.step(action)
    return STEPS / (time.perf_counter() - begin)


def main(names: list[str]) -> None:
    """Print the table."""
    print("| task | observation, action | control step, s | difference | steps/s | camera | feet |")
    print("|---|---|---|---|---|---|---|")
    for name in names or sorted(tasks()):
        task, body = task_of(name), task_of(name).body
        gap = difference(name)
        shown = "–" if np.isnan(gap) else f"{gap:g}"
        feet = ", ".join(body.feet) if body.name != HOPPER else "one"
        print(
            f"| `{name}` | {task.obs_dim}, {body.action_dim} | {body.control_dt_s:g} | {shown} "
            f"| {steps_per_second(name):,.0f} | `{body.camera}` | {feet or 'none'} |",
            flush=True,
        )


if __name__ == "__main__":
    main(sys.argv[1:])
