"""The log of a seed: tables in the columns that published runs use, and a richer one.

`seed_N.csv`            `step,reward,eval_type,seed`: a row an evaluation and controller; a restart
                        is a row `restart_n`, with the planner's best return where that was the
                        reason, and an empty field otherwise.
`seed_N_diag.csv`       `step,eval_type,seed,full_reward_rate,standing_rate,fall_count,
                        time_to_first_full`: the same evaluations; empty where there is no number.
`seed_N_metrics.jsonl`  one JSON object a line, each with `kind`, `env_steps`, `clock`:
                        `round` (losses, diagnostics), `evaluation` (returns of each episode,
                        their reset seeds), `restart`. Only what is in `clock` differs between two
                        runs on a CPU of the same seed.
"""

import json
import math
import time
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

from glassviz.evaluation import Evaluation
from glassviz.files import append, replacing
from glassviz.training.run_folder.tensorboard import EventFile

COLUMNS = ("step", "reward", "eval_type", "seed")
DIAGNOSTIC_COLUMNS = (
    "step",
    "eval_type",
    "seed",
    "full_reward_rate",
    "standing_rate",
    "fall_count",
    "time_to_first_full",
)
_NO_CLOCK: Mapping[str, float | int] = MappingProxyType({})


class RunLog:
    """The log files of one seed. Nothing is held open between two calls.

    Args:
        folder: the run's.
        seed: whose log it is.
        tensorboard: whether to write TensorBoard's events too, into `folder/seed_N`; a log that
            is rewound has all of its past in them, whether they were written then or not.

    Raises:
        UsageError: TensorBoard's extra is asked for and not installed.
    """

    def __init__(self, folder: Path, seed: int, tensorboard: bool = False) -> None:
        self.returns = folder / f"seed_{seed}.csv"
        self.diagnostics = folder / f"seed_{seed}_diag.csv"
        self.records = folder / f"seed_{seed}_metrics.jsonl"
        self.seed = seed
        self._events = EventFile(folder / f"seed_{seed}") if tensorboard else None

    def start(self) -> None:
        """Begin with the column names alone."""
        _rewrite(self.returns, [_row(COLUMNS)])
        _rewrite(self.diagnostics, [_row(DIAGNOSTIC_COLUMNS)])
        _rewrite(self.records, [])
        if self._events:
            self._events.rewrite([])

    def append(self, evaluation: Evaluation) -> None:
        """Add an evaluation of one controller."""
        step, controller = evaluation.env_steps, evaluation.controller
        append(self.returns, _row((step, round(evaluation.mean, 3), controller, self.seed)))
        measures = (
            evaluation.full_reward_rate,
            evaluation.standing_rate,
            evaluation.fall_count,
            evaluation.time_to_first_full,
        )
        rounded = ["" if value is None else round(value, 4) for value in measures]
        append(self.diagnostics, _row((step, controller, self.seed, *rounded)))
        self._record("evaluation", evaluation.to_dict())

    def restart(self, attempt: int, env_steps: int, reason: str, value: float) -> None:
        """Add that the agent was begun anew, for the `attempt`-th time.

        Args:
            reason: what was too low: `best_mppi`, the planner's best return, or a signal of a bad
                basin.
            value: how low it was.
        """
        reward = round(value, 3) if reason == "best_mppi" else ""
        append(self.returns, _row((env_steps, reward, f"restart_{attempt}", self.seed)))
        found = {"env_steps": env_steps, "attempt": attempt, "reason": reason, "value": value}
        self._record("restart", found)

    def metrics(
        self,
        env_steps: int,
        values: Mapping[str, float | int],
        clock: Mapping[str, float | int] = _NO_CLOCK,
    ) -> None:
        """Add what a round of training measured.

        Args:
            env_steps: at the end of the round.
            values: losses, diagnostics, counts, by name; what is not finite is logged as null.
            clock: what depends on the machine's speed, such as updates per second.
        """
        self._record("round", {"env_steps": env_steps, **values}, clock)

    def rewind(self, env_steps: int) -> None:
        """Drop what was logged after `env_steps`: a resumed run logs it again.

        A line that a kill cut short goes too, and a file that is missing is begun anew.
        """
        for path, columns in ((self.returns, COLUMNS), (self.diagnostics, DIAGNOSTIC_COLUMNS)):
            step_of = _step_of_row(len(columns))
            _rewrite(path, [_row(columns), *_lines_until(path, env_steps, step_of)])
        records = _lines_until(self.records, env_steps, _step_of_record)
        _rewrite(self.records, records)
        if self._events:
            self._events.rewrite(map(json.loads, records))

    def _record(
        self,
        kind: str,
        values: Mapping[str, Any],
        clock: Mapping[str, float | int] = _NO_CLOCK,
    ) -> None:
        now = {"time": round(time.time(), 3)}
        record = _plain({"kind": kind, **values, "clock": {**now, **clock}})
        append(self.records, json.dumps(record).encode() + b"\n")
        if self._events:
            self._events.append(record)


def _row(values: Iterable[object]) -> bytes:
    return ",".join(map(str, values)).encode() + b"\n"


def _plain(value: Any) -> Any:
    """In JSON's types; a number that is not finite, which JSON does not have, is None."""
    if isinstance(value, Mapping):
        return {name: _plain(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if value is None or isinstance(value, str | int):
        return value
    return float(value) if math.isfinite(value) else None


def _rewrite(path: Path, lines: list[bytes]) -> None:
    data = b"".join(lines)
    with replacing(path, len(data)) as partial:
        partial.write_bytes(data)


def _lines_until(path: Path, env_steps: int, step_of: Callable[[bytes], int]) -> list[bytes]:
    """The whole lines of `path` up to a step, as they stand; others are no lines of the log."""
    kept = []
    for line in path.read_bytes().splitlines(keepends=True) if path.exists() else []:
        try:
            if line.endswith(b"\n") and step_of(line) <= env_steps:
                kept.append(line)
        except (ValueError, KeyError, TypeError):
            continue
    return kept


def _step_of_row(columns: int) -> Callable[[bytes], int]:
    def step_of(line: bytes) -> int:
        step, *others = line.split(b",")
        if len(others) != columns - 1:
            raise ValueError("not a whole row")
        return int(step)

    return step_of


def _step_of_record(line: bytes) -> int:
    return int(json.loads(line)["env_steps"])
