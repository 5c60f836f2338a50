"""Time and memory of `stability`: many short traces, long ones, and where the time goes.

    python benchmarks/analysis.py [--quick]

Assesses 1,000 synthetic traces of 1,000 frames from files on all cores, with every metric and
999-fold nulls; then one trace of a million frames, and traces of many episodes, each in a process
of its own; then the parts of one trace by themselves; then the rotation null against a
transcription that goes through the frames of every replicate, and against its bare matrix products.
Fails unless transcription and product give the same p-value, and, at the end, where a target is
missed: 60 s for the thousand traces, none of which fails; 60 s and 2 GB for the million frames; CPU
time that grows with the number of episodes and no faster (of --quick it would be noise).
"""

import argparse
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from null_transcription import transcribed
from threadpoolctl import threadpool_limits
from turns import measure

from glassviz.gait.gait import describe as describe_gait
from glassviz.metrics import information, labels, locking, nulls, segments
from glassviz.metrics.nulls import cycle_counts, switch_counts
from glassviz.metrics.stability import assess
from glassviz.rollout.run import Run, assess_all
from glassviz.rollout.traces import RolloutOptions
from glassviz.trace import ARRAYS, Trace
from tests.helpers.synthetic_gait import GaitPlan, synthesise

CLUSTERS, PROTOTYPES = 8, 16
LATENT, OBS, ACT = 128, 15, 4
"""Widths of a small agent's trace: 0.9 KB a frame."""
TAU = 0.7

TARGET_S, TARGET_MB = 60, 2000
EPISODES = (20, 80, 320)
TIMES_LINEAR = 1.5
"""How much more than its share of the CPU time the last three quarters of the episodes may take."""


def main() -> None:
    """Print all tables, or be the process that assesses one trace."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--quick", action="store_true", help="a tenth of everything")
    parser.add_argument("--one", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.one:
        return one(arguments.one)
    scale = 10 if arguments.quick else 1
    with tempfile.TemporaryDirectory() as folder:
        missed = many(Path(folder), 1000 // scale)
        missed += long(Path(folder), 1_000_000 // scale)
        growth = episodes(Path(folder), [count // scale for count in EPISODES])
    if not arguments.quick and growth > TIMES_LINEAR:
        missed.append(f"CPU time of episodes grew {growth:.1f} times as fast as their number")
    parts()
    against_a_transcription()
    if missed:
        sys.exit("missed: " + "; ".join(missed))


def synthetic(frames: int, seed: int, width: int = 1) -> Trace:
    """A hop with labels that are locked, loose or flicker, and their soft assignments."""
    plan = GaitPlan(
        frames=frames,
        period_s=(0.4, 0.8)[seed % 2],
        jitter_cv=0.05,
        falls=seed % 3,
        locking=(1.0, 0.8, 0.5)[seed % 3],
        flicker=0.02,
    )
    trace = synthesise(plan, np.random.default_rng(seed)).trace()
    partition = np.repeat(np.eye(CLUSTERS), PROTOTYPES // CLUSTERS, axis=0) * 0.93 + 0.01
    prototype = trace.label * (PROTOTYPES // CLUSTERS)
    c = np.exp((np.arange(PROTOTYPES) == prototype[..., None]) / TAU)
    glass = {"clusters": CLUSTERS, "prototypes": PROTOTYPES}
    made = {"partition": partition.tolist(), "tau": TAU, "agent": {"glass": glass}}
    wide = {"latent": LATENT, "obs": OBS, "action": ACT, "policy_action": ACT} if width > 1 else {}
    return replace(
        trace,
        header=trace.header | made,
        prototype=prototype.astype(np.int32),
        soft_assignment=(c / c.sum(axis=-1, keepdims=True)).astype(np.float32),
        **{name: np.zeros((1, frames, each), np.float32) for name, each in wide.items()},
    )


def of_episodes(count: int) -> Trace:
    """Many episodes of 1,000 frames in one trace, which differ in their gaits."""
    own = [synthetic(1000, i) for i in range(count)]
    arrays = {name: np.concatenate([getattr(each, name) for each in own]) for name in ARRAYS}
    return Trace(header=own[0].header | {"reset_seeds": list(range(count))}, **arrays)


def many(folder: Path, count: int) -> list[str]:
    """Many traces of 1,000 frames on all cores, and a quarter and a half of them.

    Returns:
        Targets that were missed, in words.
    """
    paths = [folder / f"{i:04}.npz" for i in range(count)]
    for i, path in enumerate(paths):
        synthetic(1000, i).save(path)
    print(f"| traces of 1,000 frames | s on {os.cpu_count()} cores | CPU s | ms of it a trace "
          "| failed |\n|---|---|---|---|---|")  # fmt: skip
    for own in (paths[: count // 4], paths[: count // 2], paths):
        start, cpu = time.perf_counter(), cpu_of_children()
        rows = assess_all(own, RolloutOptions(), jobs=os.cpu_count())
        seconds, cpu = time.perf_counter() - start, cpu_of_children() - cpu
        failed = sum(not isinstance(row, Run) for row in rows)
        print(
            f"| {len(own)} | {seconds:.1f} | {cpu:.1f} | {1e3 * cpu / len(own):.0f} | {failed} |",
            flush=True,
        )
    missed = [f"{failed} traces failed"] if failed else []
    if seconds > TARGET_S:
        missed.append(f"{count} traces took {seconds:.1f} s, {cpu:.1f} s of CPU")
    return missed


def cpu_of_children() -> float:
    """CPU seconds of all processes that this one has started and that have ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def long(folder: Path, frames: int) -> list[str]:
    """One episode, up to `frames` long.

    Returns:
        Targets that were missed, in words.
    """
    print("\n| frames of one trace | load s | assess s | CPU s | µs of it a frame | MB "
          "| of that trace |\n|---|---|---|---|---|---|---|")  # fmt: skip
    for length in (frames // 100, frames // 10, frames):
        loading, assessing, cpu, peak, size = alone(folder, synthetic(length, 4, width=LATENT))
        print(
            f"| {length} | {loading:.1f} | {assessing:.1f} | {cpu:.1f} | {1e6 * cpu / length:.0f} "
            f"| {peak:.0f} | {size:.0f} |",
            flush=True,
        )
    missed = []
    if loading + assessing > TARGET_S:
        missed.append(f"{frames} frames took {loading + assessing:.1f} s, {cpu:.1f} s of CPU")
    if peak > TARGET_MB:
        missed.append(f"{frames} frames took {peak:.0f} MB")
    return missed


def episodes(folder: Path, counts: list[int]) -> float:
    """Traces of many episodes: CPU time of one more of the last ones, over one of the first."""
    print(
        "\n| episodes of 1,000 frames in one trace | assess s | CPU s | ms of it an episode | MB |"
    )
    print("|---|---|---|---|---|")
    found = []
    for count in counts:
        _, assessing, cpu, peak, _ = alone(folder, of_episodes(count))
        found.append(cpu)
        print(
            f"| {count} | {assessing:.1f} | {cpu:.1f} | {1e3 * cpu / count:.0f} | {peak:.0f} |",
            flush=True,
        )
    first, last = np.diff(found) / np.diff(counts)
    return float(last / first)


def alone(folder: Path, trace: Trace) -> tuple[float, ...]:
    """What `one` finds of a trace in a process of its own, and the MB of its file."""
    path = folder / "alone.npz"
    trace.save(path)
    command = [sys.executable, __file__, "--one", str(path)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return *map(float, done.stdout.split()), path.stat().st_size / 1e6


def one(path: Path) -> None:
    """Seconds to load and to assess, CPU seconds to assess, and peak memory in MB."""
    start = time.perf_counter()
    trace = Trace.load(path)
    loaded, cpu = time.perf_counter(), time.process_time()
    assess(trace)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e6
    print(loaded - start, time.perf_counter() - loaded, time.process_time() - cpu, peak)


def parts(frames: int = 1000) -> None:
    """Every part of one trace by itself; some hold others, which are indented."""
    trace = synthetic(frames, 4)
    gait = describe_gait(trace, 0)
    phase, cycle, dt_s = gait.cycles.phase, gait.cycles.cycle, trace.frame_dt_s
    label = trace.label[0].astype(np.int64)
    series = label, phase, cycle
    counts, switches = cycle_counts(*series), switch_counts(*series)
    raster = locking.phase_raster(*series)
    hard = information.one_hot(label, CLUSTERS)
    whole = np.zeros(frames, np.int64)
    everything = labels.describe(*series, dt_s, CLUSTERS, rng())
    c, partition = trace.soft_assignment[0], trace.partition
    assert partition is not None

    def windows() -> None:
        for window in (5, 10):
            information.window_mi_bits(hard, window, whole)

    runs: dict[str, Callable[[], Any]] = {
        "all": lambda: assess(replace(trace)),
        "gait": lambda: describe_gait(trace, 0),
        "labels, all frames": lambda: labels.describe(*series, dt_s, CLUSTERS, rng()),
        "– locking": lambda: locking.locking(*series, rng()),
        "– – rotation null, 999": lambda: nulls.rotation_test(counts, switches, rng()),
        "– – shuffled null, 49": lambda: nulls.shuffled_information_bits(*series, rng()),
        "– kappa and its bootstrap, 999": lambda: locking.cycle_agreement(raster, rng()),
        "– persistence": lambda: segments.persistence(label, dt_s),
        "– window information": windows,
        "– words of cycles": lambda: locking.cycle_motifs(label, cycle),
        "labels, steady frames": lambda: labels.describe(
            *series, dt_s, CLUSTERS, rng(), within_cycles=everything
        ),
        "soft labels, once": lambda: labels.describe_soft(c, partition, TAU, cycle, rng()),
        "temperature audit": lambda: labels.temperature_audit(
            labels.cosine_up_to_a_constant(c, TAU), partition, cycle, rng()
        ),
    }
    with threadpool_limits(1):
        times = measure(runs, 30)
    total = times["all"].cpu_ms
    print(f"\n| part, {frames} frames | CPU ms | share |\n|---|---|---|")
    for name, each in times.items():
        print(f"| {name} | {each.cpu_ms:.2f} | {each.cpu_ms / total:.0%} |")


def against_a_transcription(replicates: int = nulls.REPLICATES) -> None:
    """The rotation null, its bare products, and a transcription frame by frame."""
    trace = synthetic(1000, 4)
    cycles = describe_gait(trace, 0).cycles
    series = trace.label[0].astype(np.int64), cycles.phase, cycles.cycle
    counts, switches = cycle_counts(*series), switch_counts(*series)
    found = nulls.rotation_test(counts, switches, rng(), replicates)
    start = time.process_time()
    theirs = transcribed(*series, rng(), replicates)
    slow = 1e3 * (time.process_time() - start)
    if not np.allclose(found, theirs, rtol=1e-9):
        sys.exit(f"rotation null {found}, transcription {theirs}")
    j, bins, labels_there = counts.shape
    turns = np.ones((bins // 2 + 1, replicates, j), np.complex128)
    spectra = np.ones((bins // 2 + 1, j, 2 * labels_there), np.complex128)
    with threadpool_limits(1):
        times = measure(
            {
                "bare products": lambda: turns @ spectra,
                "rotation null": lambda: nulls.rotation_test(counts, switches, rng(), replicates),
            },
            30,
        )
    bare, ours = times["bare products"].cpu_ms, times["rotation null"].cpu_ms
    # A complex product and sum are eight operations on real numbers.
    giga = 8 * turns.size * 2 * labels_there / 1e9
    moved = 16 * (turns.size + replicates * (bins // 2 + 1) * 2 * labels_there) / 1e6
    print(
        f"\n{replicates} rotations of {j} cycles: {giga:.3f} GFLOP of products, {moved:.0f} MB\n\n"
        f"| | CPU ms | × bare products |\n|---|---|---|\n"
        f"| bare products | {bare:.2f} | 1.0 |\n"
        f"| rotation null | {ours:.2f} | {ours / bare:.1f} |\n"
        f"| transcription, frame by frame | {slow:.0f} | {slow / bare:.0f} |\n\n"
        f"{slow / ours:.0f} times as fast as the transcription, with the same p"
    )


def rng() -> np.random.Generator:
    """The same numbers for everybody."""
    return np.random.default_rng(0)


if __name__ == "__main__":
    main()
