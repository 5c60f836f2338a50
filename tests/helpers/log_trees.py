"""Logs of trainings, as the tests of the ledger write them."""

from collections.abc import Mapping, Sequence
from pathlib import Path

HEADER = "step,reward,eval_type,seed"
STEP = 250_112

Returns = Mapping[str, Sequence[float]]
"""Returns by controller, evaluation by evaluation."""


def rows(seed: int, returns: Returns, first: int = 1) -> list[str]:
    """Rows of evaluations, from the one with number `first` on."""
    count = max(map(len, returns.values()))
    return [
        f"{STEP * (first + i)},{values[i]},{kind},{seed}"
        for i in range(count)
        for kind, values in returns.items()
        if i < len(values)
    ]


def write(path: Path, lines: Sequence[str], header: str = HEADER, end: str = "\n") -> Path:
    """Write a file of lines under a header."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join([header, *lines]) + end)
    return path


def log(folder: Path, seed: int, mppi: Sequence[float], pi: Sequence[float] = (), **more) -> Path:
    """Write `seed_N.csv`; without `pi`, the policy has half of the planner's returns."""
    policy = pi or [value / 2 for value in mppi]
    returns = {"pi": policy, "mppi": mppi, **more}
    return write(folder / f"seed_{seed}.csv", rows(seed, returns))
