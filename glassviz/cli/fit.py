"""`glassviz fit`."""

import json
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from glassviz.cli.rollout import Controllers, Seed, Steps, controllers
from glassviz.cli.stability import Episodes, Runs, Traces
from glassviz.errors import UsageError

if TYPE_CHECKING:
    from rich.progress import TaskID

    from glassviz.fitting import FitOptions, Fitted, Unfitted
    from glassviz.runs import RolloutOptions

FREE = "free"


def fit(
    targets: Runs,
    prototypes: Annotated[
        int, typer.Option(help="Reference points among the latents.", min=1)
    ] = 16,
    clusters: Annotated[
        str,
        typer.Option(
            metavar="K|free",
            help="Clusters of prototypes; free: as many as tell most about the transitions.",
        ),
    ] = FREE,
    fit_seed: Annotated[int, typer.Option(help="Determines the fit.", min=0)] = 0,
    refits: Annotated[
        int,
        typer.Option(help="Fits with other seeds, to see how far they agree; 0: none.", min=0),
    ] = 20,
    episodes: Episodes = 10,
    controller: Controllers = "both",
    seed: Seed = 0,
    steps: Steps = None,
    traces: Traces = None,
    out: Annotated[
        Path | None,
        typer.Option(
            help="File of the labels of a single checkpoint; beside its traces by default, where "
            "--labels fitted finds it."
        ),
    ] = None,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace labels that were fitted before.")
    ] = False,
    to_json: Annotated[
        bool, typer.Option("--json", help="Print JSON, with the partition and every refit's K.")
    ] = False,
) -> None:
    """Fit labels to what agents did, for those that have learned none.

    Prototypes are found among the latents of all traces of a checkpoint, and clusters of
    prototypes in the transitions between them. Where the agent has labels of its own, the fitted
    ones are held against them. Missing traces are recorded, existing ones reused. Runs that
    cannot be fitted are named in the table, and make the exit code 1.
    """
    from glassviz.cli.fit_table import print_fits
    from glassviz.fitting import FitOptions, Unfitted
    from glassviz.runs import RolloutOptions

    options = RolloutOptions(
        episodes=episodes, controllers=controllers(controller), seed=seed, steps=steps
    )
    fitting = FitOptions(prototypes, _clusters(clusters), fit_seed, refits)
    rows = _fit(targets, options, fitting, traces, out, overwrite)
    if to_json:
        typer.echo(json.dumps([row.to_dict() for row in rows], indent=2, allow_nan=False))
    else:
        print_fits(rows)
    if any(isinstance(row, Unfitted) for row in rows):
        raise typer.Exit(1)


def _clusters(text: str) -> int | None:
    if text == FREE:
        return None
    if not text.isdecimal():
        raise UsageError(f"--clusters: expected a number or {FREE}, found {text!r}")
    return int(text)


def _fit(
    targets: list[Path],
    options: "RolloutOptions",
    fitting: "FitOptions",
    traces: Path | None,
    out: Path | None,
    overwrite: bool,
) -> list["Fitted | Unfitted"]:
    """Fit labels with a progress bar, and an estimate before anything is recorded."""
    from glassviz.cli.progress import progress_bar, told_estimate
    from glassviz.fitting import fit_all

    with progress_bar() as bar:
        recording = bar.add_task("rolling out", total=None, visible=False)
        fits = bar.add_task("fitting", total=None, visible=False)

        def tell(line: str) -> None:
            bar.console.print(line, highlight=False, markup=False, soft_wrap=True)

        def show(task: "TaskID", done: int, total: int) -> None:
            bar.update(task, completed=done, total=total, visible=True)

        return fit_all(
            targets,
            options,
            fitting,
            traces,
            out,
            overwrite,
            tell,
            on_recording=partial(show, recording),
            on_estimate=lambda count, seconds: tell(told_estimate(count, seconds)),
            on_fitting=partial(show, fits),
        )
