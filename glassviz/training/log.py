"""The log of a run, in the columns that published runs use."""

import csv
import dataclasses
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np

from glassviz.agents.agent import Controller
from glassviz.files import replacing

COLUMNS = ("step", "reward", "eval_type", "seed")


@dataclass(frozen=True)
class Evaluation:
    """Returns of one controller's evaluation episodes at one step of training."""

    env_steps: int
    controller: Controller
    returns: tuple[float, ...]

    @property
    def mean(self) -> float:
        """Mean return."""
        return float(np.mean(self.returns))

    def to_dict(self) -> dict[str, Any]:
        """Plain containers only, for JSON; the mean is spelled out for its readers."""
        return dataclasses.asdict(self) | {"returns": list(self.returns), "mean": self.mean}

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> Self:
        """The inverse of `to_dict`."""
        return cls(data["env_steps"], data["controller"], tuple(data["returns"]))


class RunLog:
    """`seed_N.csv`: one row an evaluation, `step,reward,eval_type,seed`."""

    def __init__(self, folder: Path, seed: int) -> None:
        self.path = folder / f"seed_{seed}.csv"
        self.seed = seed

    def start(self) -> None:
        """Begin with the column names alone."""
        self._replace([])

    def append(self, evaluation: Evaluation) -> None:
        """Add a row."""
        row = (evaluation.env_steps, round(evaluation.mean, 3), evaluation.controller, self.seed)
        with self.path.open("a", newline="") as file:
            csv.writer(file).writerow(row)

    def rewind(self, env_steps: int) -> None:
        """Drop the rows after `env_steps`: a resumed run writes them again."""
        with self.path.open(newline="") as file:
            rows = [row for row in csv.reader(file) if row and row[0] != COLUMNS[0]]
        self._replace([row for row in rows if int(row[0]) <= env_steps])

    def _replace(self, rows: list[list[str]]) -> None:
        with replacing(self.path) as partial, partial.open("w", newline="") as file:
            csv.writer(file).writerows([COLUMNS, *rows])
