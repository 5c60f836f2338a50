"""How long `glassviz ledger` takes for trees of logs, the first time and afterwards.

    python benchmarks/ledger.py              1,000 and 10,000 files
    python benchmarks/ledger.py 2000         another number

Prints seconds for reading without an index, with one, and after one file in a hundred has grown.
"""

import random
import sys
import tempfile
import time
from pathlib import Path

from glassviz.ledger import Index, read

SIZES = (1_000, 10_000)
EVALUATIONS = 40
SEEDS = 5


def plant(root: Path, files: int, seed: int = 0) -> list[Path]:
    """Write a tree of that many logs of random returns, a few of them copies of others."""
    rng = random.Random(seed)
    found: list[Path] = []
    while len(found) < files:
        number = len(found) // SEEDS
        folder = root / f"box{number % 7}" / f"HopperHop_phase{number // 10}_ns{512 << number % 3}"
        folder = folder.with_name(f"{folder.name}_{number:07x}a")
        folder.mkdir(parents=True, exist_ok=True)
        for one in range(1, SEEDS + 1):
            rows = ["step,reward,eval_type,seed"]
            level = rng.uniform(50, 600)
            for i in range(1, EVALUATIONS + 1):
                for kind in ("pi", "mppi"):
                    value = level * i / EVALUATIONS + rng.gauss(0, 20)
                    rows.append(f"{i * 250_048},{max(0.0, value):.1f},{kind},{one}")
            path = folder / f"seed_{one}.csv"
            path.write_text("\n".join(rows) + "\n")
            found.append(path)
    return found[:files]


def timed(root: Path, index: Index) -> str:
    """Seconds to read a tree, on the clock and of one core, and what was found."""
    start, used = time.perf_counter(), time.process_time()
    ledger = read(root, index=index)
    seconds, used = time.perf_counter() - start, time.process_time() - used
    found = f"{len(ledger.trainings)} trainings, {ledger.known} files known"
    return f"{seconds:6.2f} s  {used:6.2f} s of a core  {found}"


def main(sizes: list[int]) -> None:
    """Time each size."""
    for size in sizes:
        with tempfile.TemporaryDirectory() as folder:
            root = Path(folder) / "tree"
            paths = plant(root, size)
            index = Index(Path(folder) / "index.sqlite")
            for what in ("first", "second", "after 1 % grew"):
                if what.startswith("after"):
                    for path in paths[::100]:
                        with path.open("a") as file:
                            file.write("20000000,1.0,pi,1\n")
                print(f"{size:>6} files, {what:<15} {timed(root, index)}", flush=True)


if __name__ == "__main__":
    main([int(each) for each in sys.argv[1:]] or list(SIZES))
