"""`glassviz.load`: a checkpoint or a trace, to work with in a notebook."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Self, get_args

from glassviz.errors import GlassvizError, UsageError
from glassviz.files import StrPath
from glassviz.notebook.results import Rollout, check_choice, fact_table, progress
from glassviz.rollout.batch import Failed
from glassviz.rollout.find import TRACE_SUFFIX, find_targets

if TYPE_CHECKING:
    from glassviz.agents.policy import Controller
    from glassviz.checkpoints import Checkpoint


@dataclass(frozen=True, eq=False, repr=False)
class Run:
    """A checkpoint. As the last line of a cell it shows what is in it.

    Attributes:
        path: the file.
        name: what films and tables call it.
        checkpoint: its configuration, parameters and provenance.
    """

    path: Path
    name: str
    checkpoint: "Checkpoint"

    @classmethod
    def load(cls, path: StrPath, name: str | None = None) -> Self:
        """Read a checkpoint.

        Raises:
            GlassvizError: it cannot be read.
        """
        from glassviz import checkpoints

        path = Path(path)
        checkpoint = checkpoints.load(path)
        return cls(path, name or checkpoint.name, checkpoint)

    def rollout(
        self,
        episodes: int = 10,
        controller: "Controller" = "mppi",
        seed: int = 0,
        steps: int | None = None,
        *,
        samples: int | None = None,
        horizon: int | None = None,
        iterations: int | None = None,
        folder: StrPath | None = None,
    ) -> Rollout:
        """Let the agent act; the same roll-out is found again when it was recorded before.

        Args:
            episodes: how many, each from its own reset.
            controller: who acts: `mppi`, the planner, or `pi`, the policy alone, which is a
                hundred times faster.
            seed: determines resets and planning.
            steps: frames per episode; the whole episode by default.
            samples, horizon, iterations: of the planner; the checkpoint's own by default.
            folder: of the traces; renders/traces by default.

        Raises:
            GlassvizError: there is nothing to roll out, there is no planner, or the trace cannot
                be written.
        """
        from glassviz.agents.policy import Controller
        from glassviz.errors import UsageError
        from glassviz.rollout.traces import TRACE_FOLDER, RolloutOptions, traces_of

        check_choice("controller", controller, get_args(Controller))
        for what, value in {"episodes": episodes, "steps": steps}.items():
            if value is not None and value < 1:
                raise UsageError(f"{what}: expected at least 1, found {value}")
        options = RolloutOptions(
            episodes=episodes,
            controllers=(controller,),
            seed=seed,
            steps=steps,
            samples=samples,
            horizon=horizon,
            iterations=iterations,
        )
        with progress(f"rolling out {self.name}") as on_progress:
            [made] = traces_of(
                [self.path], options, Path(folder or TRACE_FOLDER), on_progress=on_progress
            )
        return Rollout(replace(made, name=self.name))

    def __repr__(self) -> str:
        glass = self.checkpoint.config.glass
        labels = f"{glass.clusters} labels" if glass else "no labels"
        return f"Run({self.name!r}, {self.checkpoint.config.family}, {labels})"

    def _repr_html_(self) -> str:
        from glassviz.checkpoints import summarise
        from glassviz.report.phrases.tables import rows_of

        return fact_table(self.name, list(self._facts()), list(rows_of(summarise(self.checkpoint))))

    def _facts(self) -> Iterator[tuple[str, str]]:
        """What matters first."""
        from glassviz.checkpoints import summarise
        from glassviz.environment import reward_shaping
        from glassviz.report.phrases.tables import remarks_of
        from glassviz.rollout.evaluate import recorded_in

        summary, told = summarise(self.checkpoint), self.checkpoint.provenance
        glass = summary.glass
        yield "agent", f"{summary.family}, {summary.parameters:,} parameters"
        yield (
            "labels",
            f"{glass.clusters} clusters of {glass.prototypes} prototypes, τ={glass.tau:g}"
            if glass
            else "none: `glassviz fit` makes some",
        )
        yield "task", f"{summary.env['task']}, physics {summary.env['physics']}"
        for name in ("recipe", "seed", "env_steps"):
            if name in told:
                yield name, str(told[name])
        if "shaped" in told:
            yield "shaped", str(reward_shaping(told))
        for controller in ("mppi", "pi"):
            recorded = recorded_in(told, controller)
            if recorded:
                among = f" over {recorded.episodes} episodes" if recorded.episodes else ""
                yield f"return, {controller}", f"{recorded.mean:.0f}{among}, in training"
        yield from remarks_of(summary)


def load(path: StrPath) -> Run | Rollout:
    """Open a checkpoint or a trace.

    Args:
        path: a native checkpoint (.safetensors), a published one (.pkl), a folder that holds one
            run, or a trace (.npz). Reading a file runs no code of its own.

    Returns:
        A `Run`; a `Rollout` for a trace.

    Raises:
        GlassvizError: there is no such file, it is of another kind or damaged.
        UsageError: the folder holds several runs.
    """
    found = find_targets(path)
    if len(found) > 1:
        paths = (each.target if isinstance(each, Failed) else each.path for each in found[:3])
        names = ", ".join(map(str, paths))
        raise UsageError(
            f"{path}: expected one run, found {len(found)} ({names}, …): load them one by one"
        )
    [target] = found
    if isinstance(target, Failed):
        raise GlassvizError(target.error)
    if target.path.suffix == TRACE_SUFFIX:
        return Rollout.load(target.path)
    return Run.load(target.path, target.name)
