"""What is compared: checkpoints under a controller, each a unit of n."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

from glassviz.metrics.stability import RunStability
from glassviz.rollout.run import Run


@dataclass(frozen=True)
class Setting:
    """What a run acted in; returns of unlike settings have no common scale.

    Attributes:
        task, physics: of the environment.
        episode_s: seconds of an episode.
    """

    task: str
    physics: str
    episode_s: float


@dataclass(frozen=True, eq=False)
class Member:
    """One checkpoint under one controller.

    Attributes:
        name: as in the table of runs.
        stability: what was found about it.
        glass: whether the agent was trained with Glass.
        recipe, seed: that it was trained with; None where the file is missing or does not say.
        started_from: hash of the checkpoint that its training, or refinement, went on from.
        shaped: whether it was trained on another reward than the task's; None if unknown.
        setting: what it acted in.
    """

    name: str
    stability: RunStability
    glass: bool
    recipe: str | None
    seed: int | None
    started_from: str | None
    shaped: bool | None
    setting: Setting

    @property
    def controller(self) -> str:
        """Who acted."""
        return self.stability.controller

    @property
    def checkpoint(self) -> str:
        """Hash of the checkpoint, which tells units apart."""
        return self.stability.checkpoint_sha256

    @property
    def labelled(self) -> bool:
        """Whether it has labels, learned or fitted."""
        return self.stability.labels_from != "none"

    @property
    def label_rule(self) -> Literal["nearest-prototype", "soft"]:
        """How a latent got its label."""
        return "soft" if self.stability.label_rule == "soft" else "nearest-prototype"

    @property
    def mean_return(self) -> float:
        """Mean over its episodes."""
        return self.stability.returns.mean


@dataclass(frozen=True)
class LeftOut:
    """A run that does not count.

    Attributes:
        run, controller: which.
        reason: `duplicate`: its checkpoint counts already; `no-checkpoint`: only its trace was
            given, and the checkpoint is needed.
        counted_as: the run that counts in place of a duplicate; None otherwise.
    """

    run: str
    controller: str
    reason: Literal["duplicate", "no-checkpoint"]
    counted_as: str | None = None


def each_once(rows: Sequence[Run]) -> tuple[list[Run], tuple[LeftOut, ...]]:
    """One row for each checkpoint and controller, by name; of several the one with most frames.

    Of equally long ones that of the checkpoint comes before that of its trace, which knows less.
    """
    best: dict[tuple[str, str], Run] = {}
    left_out = []
    for row in sorted(rows, key=_worth):
        key = row.stability.checkpoint_sha256, row.controller
        kept = best.setdefault(key, row)
        if kept is not row:
            left_out.append(LeftOut(row.name, row.controller, "duplicate", kept.name))
    kept_rows = sorted(best.values(), key=lambda row: (row.name, *_key(row)))
    return kept_rows, tuple(sorted(left_out, key=lambda each: (each.run, each.controller)))


def _worth(row: Run) -> tuple[int, bool, str, str]:
    return -_frames(row), row.checkpoint is None, row.name, str(row.trace_path)


def member(run: Run, provenance: Mapping[str, Any]) -> Member:
    """A run, with what its trace and its checkpoint say of where it comes from.

    Args:
        run: that was assessed.
        provenance: of its checkpoint; empty if that is not at hand.
    """
    header, stability = run.header, run.stability
    env, agent = header["env"], header["agent"]
    init = provenance.get("init")
    recipe, seed, shaped = (provenance.get(name) for name in ("recipe", "seed", "shaped"))
    return Member(
        name=run.name,
        stability=stability,
        glass=bool(agent.get("glass")) or header["labels_from"] == "glass",
        # Older files write the preset without brackets.
        recipe=recipe.replace("(", "").replace(")", "") if isinstance(recipe, str) else None,
        seed=seed if isinstance(seed, int) else None,
        started_from=init.get("sha256") if isinstance(init, Mapping) else None,
        shaped=shaped if isinstance(shaped, bool) else None,
        setting=Setting(
            env["task"], env["physics"], round(stability.frames * stability.frame_dt_s, 6)
        ),
    )


def called_apart(members: Sequence[Member]) -> list[Member]:
    """The same members, with one name for each checkpoint, that no other has."""
    names: dict[str, str] = {}
    for each in members:
        name = names.get(each.checkpoint, each.name)
        if name in [other for key, other in names.items() if key != each.checkpoint]:
            name = f"{each.name} ({each.checkpoint[:8]})"
        names[each.checkpoint] = name
    return [replace(each, name=names[each.checkpoint]) for each in members]


def by_controller(members: Sequence[Member]) -> dict[str, list[Member]]:
    """Members of each controller, controllers in the order of their names."""
    found: dict[str, list[Member]] = {}
    for each in sorted(members, key=lambda each: each.controller):
        found.setdefault(each.controller, []).append(each)
    return found


def _frames(row: Run) -> int:
    return len(row.stability.episodes) * row.stability.frames


def _key(row: Run) -> tuple[str, str]:
    return row.stability.checkpoint_sha256, row.controller
