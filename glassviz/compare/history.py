"""The history of a training run: gait, labels and return of its checkpoints."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Self

from glassviz.compare.runs import env_steps, seed_folder, trained_by
from glassviz.metrics.statistics import MeanInterval
from glassviz.rollout.run import Run


@dataclass(frozen=True)
class Moment:
    """One checkpoint of a training run.

    Attributes:
        env_steps: environment steps that it was trained for.
        gait, labels, basin: verdicts; `split` as for a run.
        gait_split, label_split, basin_split: number of episodes by verdict, most common first.
        returns: mean over episodes, with its interval within this checkpoint.
    """

    env_steps: int
    run: str
    gait: str
    gait_split: dict[str, int]
    labels: str
    label_split: dict[str, int]
    basin: str
    basin_split: dict[str, int]
    returns: MeanInterval


@dataclass(frozen=True)
class History:
    """One training run under one controller, by environment steps.

    Attributes:
        gait_since, labels_since: environment steps of the first checkpoint from which on the
            verdict is that of the last.
    """

    run: str
    controller: str
    moments: tuple[Moment, ...]
    gait_since: int
    labels_since: int

    @classmethod
    def of(cls, run: str, controller: str, moments: Sequence[Moment]) -> Self:
        """The history of checkpoints in the order of their steps, at least one."""
        gait = _since(moments, [each.gait for each in moments])
        labels = _since(moments, [each.labels for each in moments])
        return cls(run, controller, tuple(moments), gait, labels)


def histories(runs: Iterable[Run]) -> tuple[History, ...]:
    """The history of each training run with checkpoints of two steps or more.

    Of checkpoints of the same step, such as `best` and `step_…`, the first by name counts.
    """
    runs = list(runs)
    trained = trained_by(runs)
    found: dict[tuple[str, str], dict[int, Run]] = {}
    for run in sorted(runs, key=lambda run: run.name, reverse=True):
        steps = env_steps(run)
        if steps is not None:
            key = trained[run.checkpoint_sha256], run.controller
            found.setdefault(key, {})[steps] = run
    told = [
        History.of(_name(own), controller, [_moment(*each) for each in sorted(own.items())])
        for (_, controller), own in found.items()
        if len(own) > 1
    ]
    return tuple(sorted(told, key=lambda each: (each.run, each.controller)))


def _since(moments: Sequence[Moment], verdicts: Sequence[str]) -> int:
    others = [i for i, verdict in enumerate(verdicts) if verdict != verdicts[-1]]
    return moments[max(others, default=-1) + 1].env_steps


def _name(by_step: dict[int, Run]) -> str:
    """Folders of the run and its seed, or the name of the last checkpoint."""
    last = by_step[max(by_step)]
    folder = seed_folder(last.checkpoint) if last.checkpoint else None
    return "/".join(folder.parts[-2:]) if folder else last.name


def _moment(steps: int, run: Run) -> Moment:
    found = run.stability
    return Moment(
        env_steps=steps,
        run=run.name,
        gait=found.gait.name,
        gait_split={str(name): n for name, n in found.gait.split.items()},
        labels=found.label_verdict,
        label_split=found.label_split,
        basin=found.basin.name,
        basin_split={str(name): n for name, n in found.basin.split.items()},
        returns=found.returns,
    )
