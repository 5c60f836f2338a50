"""`glassviz fit`."""

from pathlib import Path
from typing import Annotated

import typer

from glassviz.cli.rollout import Controllers, Seed, Steps, controllers
from glassviz.cli.stability import Episodes, Runs, Traces
from glassviz.errors import UsageError

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
    from glassviz.cli.progress import listener
    from glassviz.cli.tables import print_fits
    from glassviz.compare.fit import FitOptions, Fitted, fit_all
    from glassviz.report.documents import fit_dict
    from glassviz.report.serialize import as_json
    from glassviz.rollout.traces import RolloutOptions

    options = RolloutOptions(
        episodes=episodes, controllers=controllers(controller), seed=seed, steps=steps
    )
    fitting = FitOptions(prototypes, _clusters(clusters), fit_seed, refits)
    with listener("fitting") as told:
        rows = fit_all(targets, options, fitting, traces, out, overwrite, told)
    if to_json:
        typer.echo(as_json([fit_dict(row) for row in rows]))
    else:
        print_fits(rows)
    if not all(isinstance(row, Fitted) for row in rows):
        raise typer.Exit(1)


def _clusters(text: str) -> int | None:
    if text == FREE:
        return None
    if not text.isdecimal():
        raise UsageError(f"--clusters: expected a number or {FREE}, found {text!r}")
    return int(text)
