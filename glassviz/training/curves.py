"""Learning curves, read from the logs of run folders."""

import csv
import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from glassviz.errors import GlassvizError
from glassviz.files import StrPath, as_paths

COLUMNS = ("step", "reward", "eval_type", "seed")
CONTROLLERS = ("pi", "mppi")
_LOG = re.compile(r"seed_(\d+)\.csv")
_RESTART = re.compile(r"restart_\d+")


@dataclass(frozen=True)
class Curve:
    """Evaluations of one seed under one controller, by the step of training.

    Attributes:
        seed: the seed.
        controller: that acted.
        env_steps: steps of the evaluations, ascending.
        returns: mean return of each evaluation.
    """

    seed: int
    controller: str
    env_steps: tuple[int, ...]
    returns: tuple[float, ...]


@dataclass(frozen=True)
class Run:
    """The learning curves of all seeds of a run folder.

    Attributes:
        name: for figures.
        curves: by seed, then controller; a controller without evaluations has none.
        restarts: steps of restarts, by seed.
    """

    name: str
    curves: tuple[Curve, ...]
    restarts: dict[int, tuple[int, ...]]

    @property
    def seeds(self) -> int:
        """Number of seeds with a curve."""
        return len({curve.seed for curve in self.curves})


def read_runs(folders: StrPath | Sequence[StrPath]) -> list[Run]:
    """Read run folders, each named by the shortest unique end of its path.

    Raises:
        GlassvizError: as for `read_run`.
    """
    folders = as_paths(folders)
    paths = [folder.resolve() for folder in folders]
    names = [path.name for path in paths]
    for depth in range(2, max(len(path.parts) for path in paths) + 1):
        names = [
            str(Path(*path.parts[-depth:])) if names.count(name) > 1 else name
            for path, name in zip(paths, names, strict=True)
        ]
    return [read_run(folder, name) for folder, name in zip(folders, names, strict=True)]


def read_run(folder: StrPath, name: str) -> Run:
    """Read `seed_N.csv` of every seed in a run folder.

    Skips evaluation types other than the two controllers and restarts, and an incomplete last line
    of a training that is running. If a step occurs twice, the later line counts.

    Raises:
        GlassvizError: there is no log, no evaluation, or a damaged line.
    """
    folder = Path(folder)
    logs = {
        int(match[1]): path
        for path in (folder.iterdir() if folder.is_dir() else ())
        if (match := _LOG.fullmatch(path.name))
    }
    if not logs:
        found = "none" if folder.is_dir() else "no such folder"
        raise GlassvizError(
            f"{folder}: expected a run folder with logs seed_N.csv, found {found}: name a folder "
            f"written by `glassviz train`"
        )
    curves: list[Curve] = []
    restarts = {}
    for seed, path in sorted(logs.items()):
        by_type: dict[str, dict[int, float]] = {}
        for step, reward, kind in _rows(path):
            by_type.setdefault("restart" if _RESTART.fullmatch(kind) else kind, {})[step] = reward
        restarts[seed] = tuple(sorted(by_type.get("restart", ())))
        for controller in CONTROLLERS:
            if points := sorted(by_type.get(controller, {}).items()):
                curves.append(Curve(seed, controller, *map(tuple, zip(*points, strict=True))))
    if not curves:
        raise GlassvizError(
            f"{folder}: expected evaluations in {', '.join(logs[seed].name for seed in logs)}, "
            f"found none: wait for the first one"
        )
    return Run(name, tuple(curves), restarts)


def _rows(path: Path) -> list[tuple[int, float, str]]:
    """Step, reward and evaluation type of every line."""
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not text"
        raise GlassvizError(f"{path}: cannot be read: {reason}") from None
    lines = text.splitlines()
    if not lines or tuple(lines[0].split(",")) != COLUMNS:
        found = f"{lines[0][:60]!r}" if lines else "an empty file"
        raise GlassvizError(
            f"{path}, line 1: expected the columns {','.join(COLUMNS)}, found {found}"
        )
    rows = []
    for number, fields in enumerate(csv.reader(lines[1:]), start=2):
        try:
            step, reward, kind, _ = fields
            # A restart may have no return.
            empty = not reward and _RESTART.fullmatch(kind)
            row = int(step), 0.0 if empty else float(reward), kind
            if row[0] < 0 or not math.isfinite(row[1]):
                raise ValueError
        except ValueError:
            if number == len(lines) and not text.endswith("\n"):
                break
            raise GlassvizError(
                f"{path}, line {number}: expected step,reward,eval_type,seed with finite numbers, "
                f"found {lines[number - 1][:60]!r}: correct or delete the line"
            ) from None
        rows.append(row)
    return rows
