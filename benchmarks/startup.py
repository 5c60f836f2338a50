"""Time to the first planned step, with an empty and with a filled compilation cache.

    python benchmarks/startup.py [CKPT]

Starts `glassviz rollout` for one step in a fresh process, twice with a new cache folder and then
again with the same one, and counts what the second run added to the cache.
"""

import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROUNDS = 3
CHECKPOINT = Path(__file__).parents[1] / "checkpoints" / "glass-small-s1.safetensors"


def main() -> None:
    """Print cold and warm times and their ratio, round by round."""
    checkpoint = Path(sys.argv[1]) if len(sys.argv) > 1 else CHECKPOINT
    ratios = []
    for _ in range(ROUNDS):
        with tempfile.TemporaryDirectory() as cache:
            cold, warm = first_step(checkpoint, cache), first_step(checkpoint, cache)
        ratios.append(cold[0] / warm[0])
        print(
            f"cold {cold[0]:.1f} s ({cold[1]} programs compiled), warm {warm[0]:.1f} s "
            f"({warm[1]} compiled), cold/warm {ratios[-1]:.2f}"
        )
    print(f"median ratio {statistics.median(ratios):.2f}")


def first_step(checkpoint: Path, cache: str) -> tuple[float, int]:
    """Seconds of a roll-out of one step, and how many programs it added to the cache."""
    before = len(list(Path(cache).glob("*-cache")))
    with tempfile.TemporaryDirectory() as out:
        command = ["rollout", str(checkpoint), "--controller", "mppi", "--episodes", "1"]
        start = time.perf_counter()
        subprocess.run(
            [sys.executable, "-m", "glassviz", *command, "--steps", "1", "--out", out],
            env=os.environ | {"JAX_COMPILATION_CACHE_DIR": cache},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            check=True,
        )
        seconds = time.perf_counter() - start
    return seconds, len(list(Path(cache).glob("*-cache"))) - before


if __name__ == "__main__":
    main()
