"""One plan of a published agent: the direct transcription against the shipped planner.

    python benchmarks/planner.py [--rounds N] [--precision bf16] [--json FILE]
    python benchmarks/planner.py --precision bf16 --returns CHECKPOINT… [--episodes N] [--steps N]

Agents are 512 wide with random parameters, both families; 512 samples, horizon 3, 6 iterations.
Transcription, planner and the bare matrix products of one plan take turns, round by round, so that
whatever else the machine does meets all of them; medians over the rounds are printed, and ratios
are medians of each round's ratio. CPU time counts all threads, and depends little on what else
runs. Both must choose the same actions to 1e-4, or the benchmark fails.

The rate is what the bare products reach in the same run. `share` is the time of all products of
the algorithm as published over the time of a plan: work that a planner saves counts in its favour.
"""

import argparse
import itertools
import json
import platform
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import transcription
import turns

from glassviz.agents import networks
from glassviz.agents.config import AgentConfig, PlannerConfig, tdmpc2_config
from glassviz.agents.planner import PlannerState, plan

AGENTS = {"glass": AgentConfig(), "tdmpc2": tdmpc2_config()}
PRECISIONS = {"fp32": "float32", "bf16": "bfloat16"}
TOLERANCE = 1e-4
CHECKED_PLANS = 8
MATRIX_PRODUCTS, TRANSCRIPTION, PLANNER = "matrix products", "transcription", "planner"


@dataclass(frozen=True)
class Row:
    """Medians of one contestant; ratios are medians over the rounds."""

    name: str
    wall_ms: float
    cpu_ms: float
    gflops_per_s: float
    speedup_wall: float
    speedup_cpu: float
    share_wall: float
    share_cpu: float


def random_agent(config: AgentConfig) -> dict[str, Any]:
    """Parameters as after some training: nothing is at its initial zero."""
    shapes = jax.eval_shape(partial(networks.init_params, config), jax.random.key(0))
    rng = np.random.default_rng(0)

    def leaf(path: tuple[Any, ...], like: jax.ShapeDtypeStruct) -> jax.Array:
        offset = 1.0 if path[-1].key == "scale" else 0.0
        return jnp.asarray(offset + 0.05 * rng.standard_normal(like.shape), jnp.float32)

    return jax.tree_util.tree_map_with_path(leaf, shapes)


def products(config: AgentConfig) -> list[tuple[int, int, int]]:
    """Matrix products that one sample passes in one iteration: (how often, inputs, outputs)."""
    step = config.latent_dim + config.action_dim
    horizon, hidden = config.planner.horizon, config.hidden_widths

    def mlp(times: int, inputs: int, outputs: int) -> list[tuple[int, int, int]]:
        widths = [inputs, *hidden, outputs]
        return [(times, a, b) for a, b in itertools.pairwise(widths)]

    return [
        *mlp(horizon, step, config.latent_dim),
        *mlp(horizon, step, config.num_bins),
        *mlp(1, config.latent_dim, 2 * config.action_dim),
        *mlp(2, step, config.num_bins),
    ]


def flop(config: AgentConfig) -> float:
    """Floating-point operations of a plan's matrix products, as published."""
    each = sum(2 * times * a * b for times, a, b in products(config))
    return float(each * config.planner.samples * config.planner.iterations)


def flop_needed(config: AgentConfig) -> float:
    """The same when policy trajectories run once and a shared z is multiplied once."""
    planner = config.planner
    *rolled, pi_in, pi_mid, pi_out, _, _, _ = products(config)
    model = sum(2 * times * a * b for times, a, b in rolled)
    policy = sum(2 * a * b for _, a, b in (pi_in, pi_mid, pi_out))
    whole = sum(2 * times * a * b for times, a, b in products(config))
    shared = 2 * 2 * config.latent_dim * config.hidden_widths[0]
    sampled = planner.samples - planner.policy_trajectories
    proposals = planner.policy_trajectories * (model + planner.horizon * policy)
    iteration = sampled * (model - shared) + planner.samples * (whole - model)
    return float(proposals + planner.iterations * iteration)


def bare_products(config: AgentConfig) -> Callable[[], Any]:
    """The matrix products of one plan in single precision and nothing else."""
    rng = np.random.default_rng(0)

    def random(*shape: int) -> jax.Array:
        return jnp.asarray(rng.standard_normal(shape), jnp.float32)

    sizes = [(a, b) for times, a, b in products(config) for _ in range(times)]
    rows = {a: random(config.planner.samples, a) for a, _ in sizes}
    kernels = [random(a, b) for a, b in sizes]
    multiply = jax.jit(lambda rows, kernels: [rows[k.shape[0]] @ k for k in kernels])
    return lambda: [multiply(rows, kernels) for _ in range(config.planner.iterations)]


def contestants(
    config: AgentConfig, precisions: list[str]
) -> dict[str, Callable[[int], tuple[jax.Array, Any]]]:
    """Functions from the number of a situation to (action, rest) of the plan made in it."""
    params = random_agent(config)
    rng = np.random.default_rng(1)
    obs = jnp.asarray(rng.standard_normal((CHECKED_PLANS, config.obs_dim)), jnp.float32)
    z = jax.block_until_ready(networks.encode(config, params, obs))
    keys = jax.random.split(jax.random.key(0), CHECKED_PLANS)
    shape = (1, config.planner.horizon, config.action_dim)
    start = PlannerState(jnp.zeros(shape), jnp.full(shape, config.planner.max_std))
    shipped = jax.jit(plan, static_argnums=(0, 1))
    transcribed = jax.jit(transcription.PLANS[config.planner.variant], static_argnums=(0, 1))

    def run_transcription(i: int) -> tuple[jax.Array, Any]:
        mean_std = (start.mean[0], start.std[0])
        action, *rest = transcribed(config, config.planner, params, z[i], mean_std, keys[i])
        return action, rest

    def run_planner(planner: PlannerConfig, i: int) -> tuple[jax.Array, Any]:
        made = shipped(config, planner, params, z[i : i + 1], start, keys[i : i + 1])
        return made.action[0], made

    found: dict[str, Callable[[int], tuple[jax.Array, Any]]] = {TRANSCRIPTION: run_transcription}
    for precision in precisions:
        name = PLANNER if precision == "fp32" else f"{PLANNER} {precision}"
        planner = replace(config.planner, precision=PRECISIONS[precision])
        found[name] = partial(run_planner, planner)
    return found


def measure(config: AgentConfig, runs: dict[str, Callable[[], Any]], rounds: int) -> list[Row]:
    """Time the contestants in turns."""
    times = turns.measure(runs, rounds)
    baseline, bare = times[TRANSCRIPTION], times[MATRIX_PRODUCTS]
    rows = []
    for name, own in times.items():
        speedup_wall, speedup_cpu = baseline.over(own)
        share_wall, share_cpu = bare.over(own)
        rows.append(
            Row(
                name=name,
                wall_ms=own.wall_ms,
                cpu_ms=own.cpu_ms,
                gflops_per_s=1e-6 * flop(config) / own.wall_ms,
                speedup_wall=speedup_wall,
                speedup_cpu=speedup_cpu,
                share_wall=share_wall,
                share_cpu=share_cpu,
            )
        )
    return rows


def differences(
    plans: dict[str, Callable[[int], tuple[jax.Array, Any]]],
) -> dict[str, list[float]]:
    """Largest component by which each contestant's action differs, situation by situation."""
    reference = [plans[TRANSCRIPTION](i)[0] for i in range(CHECKED_PLANS)]
    return {
        name: [float(jnp.abs(run(i)[0] - reference[i]).max()) for i in range(CHECKED_PLANS)]
        for name, run in plans.items()
    }


def compare(family: str, precisions: list[str], rounds: int) -> dict[str, Any]:
    """Measure and print one family; what was found, for the JSON file."""
    config = AGENTS[family]
    plans = contestants(config, precisions)
    differs = differences(plans)
    runs = {name: partial(run, 0) for name, run in plans.items()}
    rows = measure(config, {MATRIX_PRODUCTS: bare_products(config), **runs}, rounds)

    needed = flop_needed(config)
    print(
        f"\n{family}: {flop(config) / 1e9:.1f} GFLOP a plan as published, {needed / 1e9:.1f} needed"
    )
    print(
        f"{'':18}{'ms':>8}{'CPU ms':>8}{'GFLOP/s':>9}{'speed-up':>10}{'by CPU':>8}"
        f"{'share':>8}{'by CPU':>8}{'action differs':>16}"
    )
    for row in rows:
        difference = f"{max(differs[row.name]):.1e}" if row.name in differs else ""
        print(
            f"{row.name:18}{row.wall_ms:8.1f}{row.cpu_ms:8.1f}{row.gflops_per_s:9.0f}"
            f"{row.speedup_wall:10.2f}{row.speedup_cpu:8.2f}{row.share_wall:8.2f}"
            f"{row.share_cpu:8.2f}{difference:>16}"
        )
    for name, by_plan in differs.items():
        if name not in (TRANSCRIPTION, PLANNER):
            print(
                f"{name}: action differs by {statistics.median(by_plan):.3f} in the median of "
                f"{CHECKED_PLANS} plans"
            )
    if max(differs[PLANNER]) > TOLERANCE:
        sys.exit(
            f"{family}: the planner's actions differ by {max(differs[PLANNER]):.1e}, "
            f"expected at most {TOLERANCE:.0e}"
        )
    return {
        "flop": flop(config),
        "flop_needed": needed,
        "rows": [asdict(row) for row in rows],
        "action_differences": differs,
    }


def compare_returns(
    paths: list[Path], precisions: list[str], episodes: int, steps: int | None
) -> dict[str, Any]:
    """Returns, verdicts and CPU time of agents' planners from the same resets, by precision.

    Episode by episode, the precisions take turns; ratios are of CPU times, which depend little on
    what else runs.
    """
    from glassviz.report.phrases.verdicts import row_line
    from glassviz.rollout.run import assess_all
    from glassviz.rollout.traces import RolloutOptions

    found: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as folder:
        for path in paths:
            cpu_s = dict.fromkeys(precisions, 0.0)
            for count, precision in itertools.product(range(1, episodes + 1), precisions):
                options = RolloutOptions(count, steps=steps, precision=PRECISIONS[precision])
                warm_up = replace(options, episodes=1, steps=2)
                assess_all(path, warm_up, folder, 1)
                begun = time.process_time()
                [run] = assess_all(path, options, folder, 1)
                cpu_s[precision] += time.process_time() - begun
                if count < episodes:
                    continue
                stability = run.stability
                plans = episodes * stability.frames
                print(f"{precision}: {row_line(run.name, stability, done=True)}")
                found[f"{path.stem} {precision}"] = {
                    "returns": run.trace.returns.tolist(),
                    "gait": stability.gait.split,
                    "labels": stability.label_split,
                    "basin": stability.basin.split,
                    "cpu_ms_per_plan": 1e3 * cpu_s[precision] / plans,
                }
            costs = [1e3 * seconds / plans for seconds in cpu_s.values()]
            told = ", ".join(
                f"{name} {cost:.1f}" for name, cost in zip(precisions, costs, strict=True)
            )
            print(f"CPU ms a plan: {told}; ratio {costs[0] / costs[-1]:.2f}", flush=True)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description="The planner against its transcription.")
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--families", nargs="+", choices=AGENTS, default=list(AGENTS))
    parser.add_argument("--precision", choices=PRECISIONS, default="fp32")
    parser.add_argument("--returns", type=Path, nargs="+", metavar="CHECKPOINT")
    parser.add_argument("--episodes", type=int, default=10)
    parser.add_argument("--steps", type=int, help="of an episode; by default all")
    parser.add_argument("--json", type=Path, metavar="FILE")
    options = parser.parse_args()
    precisions = list(dict.fromkeys(["fp32", options.precision]))

    device = jax.devices()[0]
    print(f"jax {jax.__version__} on {device.device_kind} ({platform.machine()})")
    found: dict[str, Any] = {"jax": jax.__version__, "device": device.device_kind}
    if options.returns:
        found["returns"] = compare_returns(
            options.returns, precisions, options.episodes, options.steps
        )
    else:
        found |= {f: compare(f, precisions, options.rounds) for f in options.families}
    if options.json:
        options.json.write_text(json.dumps(found, indent=2) + "\n")


if __name__ == "__main__":
    main()
