"""`glassviz train`."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

if TYPE_CHECKING:
    from glassviz.training.trainer import Progress


def train(
    algo: Annotated[
        Literal["tdmpc-glass", "tdmpc2"],
        typer.Option(help="With prototypes and clusters over the latent space, or without."),
    ] = "tdmpc-glass",
    preset: Annotated[
        Literal["small", "paper"],
        typer.Option(help="small: 128 wide, for a CPU. paper: 512 wide, as published."),
    ] = "small",
    task: Annotated[
        Literal["hopper-hop", "hopper-stand"], typer.Option(help="What to learn.")
    ] = "hopper-hop",
    physics: Annotated[
        Literal["dm_control", "playground"], typer.Option(help="Physics profile to train in.")
    ] = "dm_control",
    seed: Annotated[int, typer.Option(help="Random seed of the run.", min=0)] = 1,
    steps: Annotated[
        int | None, typer.Option(help="Environment steps; the preset's by default.", min=1)
    ] = None,
    k_update: Annotated[
        int, typer.Option(help="Gradient updates per step of all hoppers.", min=1)
    ] = 64,
    expl_until: Annotated[
        int, typer.Option(help="Environment steps of random actions.", min=0)
    ] = 25_000,
    eval_every: Annotated[
        int | None, typer.Option(help="Environment steps between evaluations.", min=1)
    ] = None,
    save_every: Annotated[
        int, typer.Option(help="Environment steps between saves.", min=1)
    ] = 50_000,
    out: Annotated[
        Path | None, typer.Option(help="Run folder; runs/<task>_<algo> by default.")
    ] = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="Continue the run from its last save.")
    ] = False,
) -> None:
    """Train a TD-MPC2 or TD-MPC-Glass agent on the hopper.

    Saves as it goes: the best by planner, the best by policy, and the last.
    """
    from glassviz import provenance
    from glassviz.training import config
    from glassviz.training.trainer import Trainer

    given: dict[str, Any] = {"steps": steps, "eval_every": eval_every}
    run = config.preset(
        preset,
        algo,
        task,
        physics,
        seed=seed,
        k_update=k_update,
        expl_until=expl_until,
        save_every=save_every,
        **{name: value for name, value in given.items() if value is not None},
    )
    folder = out or Path("runs") / f"{task}_{algo}"
    made_by = provenance.describe(recipe=f"{algo} {preset}")
    trainer = Trainer(run, folder, made_by, resume_from_save=resume)
    typer.echo(f"training {algo} ({preset}) on {task}, seed {seed}, into {trainer.folder}")
    with _Display(run.steps, trainer.env_steps) as display:
        trainer.run(display.show)
    typer.echo(f"done: {trainer.env_steps} steps, checkpoints in {trainer.folder / 'checkpoints'}")


class _Display:
    """A progress bar with an ETA on a terminal, a line an evaluation elsewhere."""

    def __init__(self, total: int, done: int) -> None:
        from glassviz.cli.progress import progress_bar

        self._bar = progress_bar()
        self._task = self._bar.add_task("training", total=total, completed=done)

    def __enter__(self) -> "_Display":
        self._bar.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._bar.stop()

    def show(self, progress: "Progress") -> None:
        """Move on to the state of a run after a round."""
        self._bar.update(self._task, completed=progress.env_steps)
        for result in progress.evaluations:
            returns = " ".join(f"{value:.0f}" for value in result.returns)
            line = f"step {result.env_steps}: {result.controller} {result.mean:.1f} ({returns})"
            self._bar.console.print(line, highlight=False)
