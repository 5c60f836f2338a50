"""Films against the bare `mujoco.Renderer` loop, at the same size and quality, in one run.

    python benchmarks/render.py [TRACE] [--frames N] [--rounds N]

The bare loop sets a recorded state, calls mj_forward and draws, and throws the pictures away; its
renderer is open before the clock starts. The film is a whole call: it starts its processes, draws,
writes the overlay, encodes H.264, and reads the file back. The two take turns, round by round, so
that whatever else the machine does meets both; medians over the rounds are printed. `steady` leaves
out the film's first quarter, and so the start of its processes. CPU time counts all processes and
threads, and depends little on what else runs. Memory is the largest process's peak.
"""

import argparse
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from glassviz.trace import SCHEMA_VERSION, Trace
from glassviz.video.film import FilmOptions, choose_jobs, film
from glassviz.video.opengl import choose_backend
from glassviz.video.renderer import MujocoRenderer, Quality, Scene

CASES: tuple[tuple[tuple[int, int], Quality], ...] = (
    ((320, 240), "fast"),
    ((640, 480), "fast"),
    ((640, 480), "full"),
    ((1280, 720), "full"),
)


@dataclass(frozen=True)
class Timing:
    """Frames per second, and CPU time of all processes per frame."""

    fps: float
    cpu_ms: float


def random_trace(frames: int) -> Trace:
    """A hopper that acts at random, with labels that mean nothing."""
    from glassviz.agents.config import EnvConfig
    from glassviz.envs.hopper import CONTROL_DT_S, HopperBatch

    rng = np.random.default_rng(0)
    hopper = HopperBatch(EnvConfig(), 1)
    steps = [hopper.reset([0])]
    steps += [hopper.step(rng.uniform(-1, 1, (1, 4))) for _ in range(frames - 1)]

    def column(name: str) -> np.ndarray:
        return np.stack([getattr(step, name) for step in steps], axis=1)

    def zeros(*shape: int) -> np.ndarray:
        return np.zeros((1, frames, *shape), np.float32)

    label = np.repeat(rng.integers(0, 8, frames // 8 + 1), 8)[None, :frames].astype(np.int32)
    header = {
        "schema_version": SCHEMA_VERSION,
        "checkpoint": {"name": "random", "sha256": "", "format": ""},
        "controller": "pi",
        "env": {"physics": "dm_control", "action_repeat": 1, "control_dt_s": CONTROL_DT_S},
        "labels_from": "glass",
        "geoms": list(hopper.geoms),
    }
    recorded = ("time", "qpos", "qvel", "obs", "height", "speed", "angles", "contacts", "touch")
    return Trace(
        header=header,
        latent=zeros(1),
        soft_assignment=zeros(16),
        prototype=label * 2,
        label=label,
        action=zeros(4),
        policy_action=zeros(4),
        value=zeros(),
        value_spread=zeros(),
        reward=column("reward"),
        **{name: column(name) for name in recorded},
    )


def cpu_seconds() -> float:
    """CPU time of this process and of the children that have ended."""
    usages = map(resource.getrusage, (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(usage.ru_utime + usage.ru_stime for usage in usages)


def time_bare(renderer: MujocoRenderer, trace: Trace) -> Timing:
    """Draw every state of the trace, and nothing else."""
    cpu, start = cpu_seconds(), time.perf_counter()
    for qpos, qvel in zip(trace.qpos[0], trace.qvel[0], strict=True):
        renderer.render(qpos, qvel)
    wall, cpu = time.perf_counter() - start, cpu_seconds() - cpu
    return Timing(trace.frames / wall, 1000 * cpu / trace.frames)


def time_film(trace: Trace, out: Path, options: FilmOptions) -> tuple[Timing, float]:
    """Film the trace; also the frames per second without the first quarter."""
    done_at: list[float] = []
    cpu, start = cpu_seconds(), time.perf_counter()
    film([trace], out, options, progress=lambda *_: done_at.append(time.perf_counter()))
    wall, cpu = time.perf_counter() - start, cpu_seconds() - cpu
    quarter = trace.frames // 4
    steady = (trace.frames - 1 - quarter) / (done_at[-1] - done_at[quarter])
    return Timing(trace.frames / wall, 1000 * cpu / trace.frames), steady


def compare(trace: Trace, size: tuple[int, int], quality: Quality, rounds: int) -> str:
    """One row of the table."""
    scene = Scene("hopper-hop", "dm_control", "cam0", *size, quality)
    options = FilmOptions(size=size, quality=quality, overlay_k=True, overwrite=True)
    bare, filmed, steady = [], [], []
    with MujocoRenderer(scene) as renderer, tempfile.TemporaryDirectory() as folder:
        renderer.render(trace.qpos[0, 0], trace.qvel[0, 0])
        for _ in range(rounds):
            bare.append(time_bare(renderer, trace))
            timing, rate = time_film(trace, Path(folder) / "film.mp4", options)
            filmed.append(timing)
            steady.append(rate / bare[-1].fps)
    ratio = statistics.median(f.fps / b.fps for f, b in zip(filmed, bare, strict=True))
    bare_fps, film_fps = (statistics.median(t.fps for t in side) for side in (bare, filmed))
    bare_cpu, film_cpu = (statistics.median(t.cpu_ms for t in side) for side in (bare, filmed))
    return (
        f"| {size[0]}x{size[1]} {quality} | {bare_fps:.0f} | {film_fps:.0f} | {ratio:.2f} "
        f"| {statistics.median(steady):.2f} | {bare_cpu:.1f} | {film_cpu:.1f} |"
    )


def peak_memory_mb(frames: int) -> float:
    """Peak memory of the largest process that makes a film of that many frames."""
    command = [sys.executable, __file__, "--peak-memory", "--frames", str(frames)]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    return float(done.stdout)


def print_peak_memory(frames: int) -> None:
    """Make a film in this process and tell the largest process's peak."""
    with tempfile.TemporaryDirectory() as folder:
        options = FilmOptions(overlay_k=True, quality="fast")
        film([random_trace(frames)], Path(folder) / "film.mp4", options)
    usages = map(resource.getrusage, (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    print(max(usage.ru_maxrss for usage in usages) / 1024)


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("trace", nargs="?", type=Path, help="a trace; random actions by default")
    parser.add_argument("--frames", type=int, default=1000, help="of the film")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--peak-memory", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    backend = choose_backend()
    if arguments.peak_memory:
        print_peak_memory(arguments.frames)
        return
    trace = Trace.load(arguments.trace) if arguments.trace else random_trace(arguments.frames)
    cores, load = len(os.sched_getaffinity(0)), os.getloadavg()[0]
    print(
        f"{backend.renderer}; {cores} cores, load {load:.1f} at the start; {trace.frames} frames, "
        f"{choose_jobs(trace.frames)} processes draw; medians of {arguments.rounds} rounds\n\n"
        "| picture | bare fps | film fps | film / bare | steady | bare CPU ms | film CPU ms |\n"
        "|---|---|---|---|---|---|---|"
    )
    for size, quality in CASES:
        print(compare(trace, size, quality, arguments.rounds), flush=True)
    print("\n| frames of 640x480 | peak memory, MB |\n|---|---|")
    for frames in (500, 5000):
        print(f"| {frames} | {peak_memory_mb(frames):.0f} |", flush=True)


if __name__ == "__main__":
    main()
