"""What the tests of run folders write there, and how they read it."""

import json
import struct
import time
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from glassviz.rollout.evaluate import Evaluation
from glassviz.training import run_folder
from glassviz.training.config import TrainConfig
from glassviz.training.log import RunLog

TRAIN = TrainConfig()
PROVENANCE = {"recipe": "f", "command": "glassviz train", "versions": {}, "git_commit": None}
LEARNER = {"w": np.arange(6, dtype=np.float32).reshape(2, 3), "n": (np.array(7),)}


def save(folder: Path, env_steps: int, replay_bytes: int = 1000) -> int:
    """A state of this many bytes, at least, filled with its step's last byte."""
    arrays = {"replay": np.full(replay_bytes, env_steps % 256, np.uint8), "added": np.array(0)}
    counters = {
        "env_steps": env_steps,
        "best": {"pi": 0.5},
        "best_step": 0,
        "finished": False,
        "plateau_restarts": 0,
        "basin_restarts": 0,
        "latest": [],
        "begun": env_steps,
        "rng": np.random.default_rng(0).bit_generator.state,
    }
    return run_folder.save(folder, LEARNER, arrays, counters)


def load(folder: Path, replay_bytes: int = 1000, like: Any = LEARNER):
    """What `save` wrote."""
    arrays = {"replay": np.zeros(replay_bytes, np.uint8), "added": np.array(0)}
    return run_folder.load(folder, TRAIN, like, arrays)


def evaluation(env_steps: int, controller="pi", returns=(12.5, 14.25)) -> Evaluation:
    """An evaluation with every kind of number in it."""
    return Evaluation(
        env_steps=env_steps,
        controller=controller,
        returns=returns,
        reset_seeds=(10_000, 10_001),
        full_reward_rate=0.125,
        standing_rate=0.5,
        fall_count=1.5,
        time_to_first_full=None,
    )


def log_span(log: RunLog, kinds: list[str], first: int = 0) -> None:
    """One event for each kind, at steps 1, 2, …, from the one at `first` on."""
    for step, kind in list(enumerate(kinds, start=1))[first:]:
        if kind == "restart":
            log.restart(1, step, "best_mppi", step / 3)
        elif kind == "round":
            log.metrics(step, {"loss": 1 / step}, {"updates_per_s": time.perf_counter()})
        else:
            log.append(evaluation(step, kind, (step / 7, 2.0)))


def log_files(folder: Path) -> dict[str, bytes]:
    """The logs by name; of JSON lines, what does not depend on the clock."""
    files = {}
    for path in folder.glob("seed_*.*"):
        data = path.read_bytes()
        if path.suffix == ".jsonl":
            lines = [json.loads(line) for line in data.decode().splitlines()]
            data = json.dumps([line | {"clock": None} for line in lines]).encode()
        files[path.name] = data
    return files


class Scalar(NamedTuple):
    """One point of a curve in TensorBoard."""

    step: int
    tag: str
    value: float


def scalars(path: Path) -> list[Scalar]:
    """What an event file holds, by the format's definition; checksums are checked."""
    from tensorboardX.proto.event_pb2 import Event
    from tensorboardX.record_writer import masked_crc32c

    data, found = path.read_bytes(), []
    while data:
        (length, length_sum), rest = struct.unpack("<QI", data[:12]), data[12:]
        event, (event_sum,) = rest[:length], struct.unpack("<I", rest[length : length + 4])
        assert (masked_crc32c(data[:8]), masked_crc32c(event)) == (length_sum, event_sum)
        parsed = Event.FromString(event)
        found += [Scalar(parsed.step, v.tag, v.simple_value) for v in parsed.summary.value]
        data = rest[length + 4 :]
    return found
