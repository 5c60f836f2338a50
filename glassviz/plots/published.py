"""What published runs reached: numbers to hold new runs against."""

from dataclasses import dataclass


@dataclass(frozen=True)
class PublishedReturns:
    """Quartiles of the return over many runs, at a few steps of training.

    Attributes:
        what: the runs, in words.
        runs: how many.
        env_steps: where the quartiles were taken.
        p25, median, p75, best: of the runs' returns at that step.
    """

    what: str
    runs: int
    env_steps: tuple[int, ...]
    p25: tuple[float, ...]
    median: tuple[float, ...]
    p75: tuple[float, ...]
    best: tuple[float, ...]


HOPPER_HOP_POLICY = PublishedReturns(
    what="TD-MPC-Glass on hopper-hop, policy prior acting, all published recipes and seeds",
    runs=381,
    env_steps=(250_000, 500_000, 1_000_000, 2_000_000, 4_000_000),
    p25=(0.0, 1.0, 10.0, 116.0, 215.0),
    median=(0.3, 15.0, 230.0, 265.0, 281.0),
    p75=(24.0, 179.0, 307.0, 341.0, 387.0),
    best=(294.0, 462.0, 512.0, 549.0, 578.0),
)
