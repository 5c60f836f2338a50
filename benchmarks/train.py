"""Training of recipe 1b: what an update costs, against its transcription and its matrix products.

    python benchmarks/train.py [--preset small paper] [--sections NAME …] [--rounds N]
                               [--updates K] [--json FILE]

Sections:

    updates    K updates in one compiled call, against the transcription's K calls, the bare matrix
               products of K updates, and the same call with products in bfloat16
    parts      the parts of an update, each alone
    seeds      five seeds in one call, against five calls, and against one call with all at once
    round      what else a round of training does: actions, physics, sampling
    variants   K updates without a part, in other programs, with other options of the compiler
    precision  losses with products in bfloat16, from the same start on the same batches

Contestants take turns (`turns.py`); figures are medians over the rounds, ratios are medians of each
round's ratio. Shipped and transcribed updates must lead to the same parameters, or the benchmark
fails: they may differ by `TOLERANCE` of the way that the parameters went.
"""

import argparse
import json
import platform
import statistics
import sys
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, get_args

import jax
import jax.numpy as jnp
import numpy as np
import turns
import update_parts
import update_transcription
import update_variants
from update_contestants import Setup, schedule, set_up, shipped, transcribe, transcribed, vectorised

from glassviz.agents.networks import stack
from glassviz.training import learner
from glassviz.training.collection import Sequences, propose
from glassviz.training.config import Preset
from glassviz.training.losses import Batch

TOLERANCE = 1e-2
SEEDS = 5
PRECISION_CALLS = 20
LOSSES = ("consistency_loss", "reward_loss", "value_loss", "policy_loss")
BARE, TRANSCRIPTION, SHIPPED = "matrix products", "transcription", "update_round"
BF16 = "bfloat16"


def disagreement(setup: Setup, batches: Sequences) -> float:
    """How far shipped and transcribed updates end apart, as a share of the way from the start."""
    own, _ = shipped(setup.train, [setup.state], batches)()
    (_, other), _ = transcribed(setup.train, setup.state, batches)()
    ends = learner.take(own.params, 0), other.params

    def distance(one: Any, two: Any) -> float:
        apart = jax.tree.map(lambda a, b: jnp.sum((a - b) ** 2), one, two)
        return float(jnp.sqrt(sum(jax.tree.leaves(apart))))

    return distance(*ends) / distance(ends[0], setup.state.params)


def counted_flop(setup: Setup, batches: Sequences) -> float:
    """Floating-point operations that XLA counts in one update, all kinds together."""
    batch, given = first(batches), learner.take(schedule(1), 0)
    one = jax.jit(partial(learner.update, setup.train))
    return float(one.lower(setup.state, batch, given).cost_analysis()["flops"])


def first(batches: Sequences) -> Batch:
    """The batch of the first update."""
    return Batch(*(jnp.asarray(leaf[0]) for leaf in batches))


def compare_updates(setup: Setup, options: argparse.Namespace) -> dict[str, Any]:
    """Contestants for K updates of one seed."""
    train, batches = setup.train, setup.sample(options.updates)
    apart = disagreement(setup, batches)
    multiply = update_parts.bare_products(train)
    in_bf16 = replace(train, precision="bfloat16")
    runs = {
        BARE: lambda: [multiply() for _ in range(options.updates)],
        TRANSCRIPTION: transcribed(train, setup.state, batches),
        SHIPPED: shipped(train, [setup.state], batches),
        BF16: shipped(in_bf16, [setup.state], batches),
    }
    times = turns.measure(runs, options.rounds)
    flop, counted = update_parts.flop(train), counted_flop(setup, batches)
    print(
        f"{flop / 1e9:.2f} GFLOP of products an update; XLA counts {counted / 1e9:.2f} of all kinds"
    )
    print(f"{'an update':18}{'ms':>8}{'CPU ms':>8}{'speed-up':>10}{'by CPU':>8}", end="")
    print(f"{'share':>8}{'by CPU':>8}{'GFLOP per CPU s':>17}")
    rows = {}
    for name, own in times.items():
        speedup, share = times[TRANSCRIPTION].over(own), times[BARE].over(own)
        wall, cpu = own.wall_ms / options.updates, own.cpu_ms / options.updates
        print(f"{name:18}{wall:8.1f}{cpu:8.1f}{speedup[0]:10.2f}{speedup[1]:8.2f}", end="")
        print(f"{share[0]:8.2f}{share[1]:8.2f}{1e-6 * flop / cpu:17.0f}")
        rows[name] = dict(wall_ms=wall, cpu_ms=cpu, speedup=speedup, share=share)
    print(
        f"after {options.updates} updates shipped and transcribed differ by {apart:.1e} of the way"
    )
    if apart > TOLERANCE:
        sys.exit(
            f"update_round: ends {apart:.1e} of the way apart from the transcription, expected "
            f"at most {TOLERANCE:.0e}"
        )
    return {"flop": flop, "flop_counted_by_xla": counted, "disagreement": apart, "rows": rows}


def compare_variants(setup: Setup, options: argparse.Namespace) -> dict[str, Any]:
    """Other ways to make K updates, against the shipped one."""
    runs = update_variants.variants(setup, options.updates)
    return _print_shares(turns.measure(runs, options.rounds), update_variants.SHIPPED, options)


def compare_parts(setup: Setup, options: argparse.Namespace) -> dict[str, Any]:
    """Parts of an update against an update."""
    train, batches = setup.train, setup.sample(options.updates)
    given = learner.take(schedule(1), 0)
    parts = update_parts.parts(train, setup.state, first(batches), given)
    parts = {BARE: update_parts.bare_products(train), **parts}
    runs = {
        name: lambda part=part: [part() for _ in range(options.updates)]
        for name, part in parts.items()
    }
    times = turns.measure({SHIPPED: shipped(train, [setup.state], batches), **runs}, options.rounds)
    return _print_shares(times, SHIPPED, options)


def _print_shares(
    times: dict[str, turns.Times], base: str, options: argparse.Namespace
) -> dict[str, Any]:
    """One row per contestant: its time for an update, and that time over `base`'s."""
    print(f"{'of an update':24}{'ms':>8}{'CPU ms':>8}{'of update':>11}{'by CPU':>8}")
    rows = {}
    for name, own in times.items():
        share = own.over(times[base])
        wall, cpu = own.wall_ms / options.updates, own.cpu_ms / options.updates
        print(f"{name:24}{wall:8.2f}{cpu:8.2f}{share[0]:11.2f}{share[1]:8.2f}")
        rows[name] = dict(wall_ms=wall, cpu_ms=cpu, share=share)
    return rows


def compare_seeds(setup: Setup, options: argparse.Namespace) -> dict[str, Any]:
    """Five seeds in one call, in five, and all at once."""
    train, batches = setup.train, setup.sample(options.updates)
    states = [setup.state] * SEEDS
    single = [shipped(train, [state], batches) for state in states]
    calls = f"{SEEDS} calls of one"
    runs = {
        calls: lambda: [run() for run in single],
        f"one call of {SEEDS}": shipped(train, states, batches),
        f"one call, {SEEDS} at once": vectorised(train, states, batches),
    }
    times = turns.measure(runs, options.rounds)
    print(f"{'an update of each seed':24}{'ms':>8}{'CPU ms':>8}{'throughput':>12}{'by CPU':>8}")
    rows = {}
    for name, own in times.items():
        gain = times[calls].over(own)
        wall, cpu = own.wall_ms / options.updates, own.cpu_ms / options.updates
        print(f"{name:24}{wall:8.1f}{cpu:8.1f}{gain[0]:12.2f}{gain[1]:8.2f}")
        rows[name] = dict(wall_ms=wall, cpu_ms=cpu, throughput=gain)
    return rows


def compare_round(setup: Setup, options: argparse.Namespace) -> dict[str, Any]:
    """The parts of a round of training; its updates are timed by `updates` and multiplied up."""
    train, collector = setup.train, setup.collector
    params = stack([setup.state.params])
    seeds, far = np.zeros(1, np.int32), train.explore.expl_until

    def proposal() -> Any:
        return propose(train, params, collector.obs[None], (), seeds, far)[0]

    proposed = proposal()
    update = shipped(train, [setup.state], setup.sample(options.updates))
    name = f"{train.k_update} updates"
    runs = {
        "propose actions": proposal,
        f"step {train.num_envs} hoppers": lambda: collector.step(proposed, far),
        "sample batches": lambda: setup.sample(train.k_update),
        name: update,
    }
    times = turns.measure(runs, options.rounds)
    often = {name: train.k_update / options.updates}
    wall = {n: own.wall_ms * often.get(n, 1.0) for n, own in times.items()}
    cpu = {n: own.cpu_ms * often.get(n, 1.0) for n, own in times.items()}
    print(f"{'of a round':24}{'ms':>8}{'CPU ms':>8}{'share':>8}{'by CPU':>8}")
    shares = {n: (wall[n] / sum(wall.values()), cpu[n] / sum(cpu.values())) for n in times}
    for n, share in shares.items():
        print(f"{n:24}{wall[n]:8.1f}{cpu[n]:8.1f}{share[0]:8.3f}{share[1]:8.3f}")
    return {n: dict(wall_ms=wall[n], cpu_ms=cpu[n], share=shares[n]) for n in times}


def compare_precision(setup: Setup, options: argparse.Namespace) -> dict[str, Any]:
    """Losses in each precision over many updates, from a fresh learner on the same batches.

    The transcription, which sums in another order, shows what rounding alone does.
    """
    train = setup.train
    start = learner.init_learner(train)
    all_batches = [setup.sample(options.updates) for _ in range(PRECISION_CALLS)]
    found: dict[str, list[dict[str, float]]] = {}
    for precision in ("float32", "bfloat16"):
        own = replace(train, precision=precision)
        state, found[precision] = stack([start]), []
        for batches in all_batches:
            one = Sequences(*(leaf[None] for leaf in batches))
            state, metrics = learner.update_round(own, state, one, schedule(1))
            found[precision].append({name: float(metrics[name][0]) for name in LOSSES})
    held, found[TRANSCRIPTION] = (0, update_transcription.start(start.params)), []
    for batches in all_batches:
        held, losses = transcribe(train, batches, held)
        means = {name: statistics.mean(float(of[name]) for of in losses) for name in LOSSES}
        found[TRANSCRIPTION].append(means)

    print(f"means of {options.updates} updates, of {PRECISION_CALLS * options.updates}: largest")
    print("difference, over the mean size of that loss")
    rows: dict[str, Any] = {}
    for name in LOSSES:
        base = [means[name] for means in found["float32"]]
        size = statistics.mean(map(abs, base))
        rows[name] = {
            other: max(abs(m[name] - b) for m, b in zip(found[other], base, strict=True)) / size
            for other in (BF16, TRANSCRIPTION)
        }
        print(f"{name:20}" + "".join(f"{n:>16} {value:.1e}" for n, value in rows[name].items()))
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description="Training updates against their transcription.")
    parser.add_argument("--preset", nargs="+", choices=get_args(Preset), default=["small"])
    parser.add_argument("--sections", nargs="+", choices=SECTIONS, default=list(SECTIONS))
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--updates", type=int, default=16, help="in one compiled call")
    parser.add_argument("--json", type=Path, metavar="FILE")
    options = parser.parse_args()

    device = jax.devices()[0]
    print(f"jax {jax.__version__} on {device.device_kind} ({platform.machine()})")
    found: dict[str, Any] = {"jax": jax.__version__, "device": device.device_kind}
    for preset in options.preset:
        setup = set_up(preset)
        for section in options.sections:
            print(f"\n{preset}: {section}", flush=True)
            result = SECTIONS[section](setup, options)
            found.setdefault(preset, {})[section] = result
    if options.json:
        options.json.write_text(json.dumps(found, indent=2) + "\n")


SECTIONS = {
    "updates": compare_updates,
    "parts": compare_parts,
    "variants": compare_variants,
    "seeds": compare_seeds,
    "round": compare_round,
    "precision": compare_precision,
}

if __name__ == "__main__":
    main()
