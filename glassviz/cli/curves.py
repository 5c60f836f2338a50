"""`glassviz curves`."""

from pathlib import Path
from typing import Annotated

import typer

from glassviz.cli.rollout import ControllerChoice


def curves(
    folders: Annotated[
        list[Path],
        typer.Argument(metavar="RUN_FOLDER", help="Folders that glassviz train wrote to."),
    ],
    out: Annotated[
        Path, typer.Option("--out", "-o", help="The figure: a .png, .pdf or .svg file.")
    ] = Path("renders/curves.png"),
    controller: Annotated[
        ControllerChoice, typer.Option(help="Whose evaluations: a panel each.")
    ] = "both",
    published: Annotated[
        bool,
        typer.Option(help="Show what published runs reached on hopper-hop behind the policy's."),
    ] = True,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace a file that exists.")
    ] = False,
) -> None:
    """Draw the learning curves of runs, a colour a run and a line a seed.

    Reads the logs seed_N.csv, of trainings that still run as well.
    """
    from glassviz.curves import CONTROLLERS, read_runs
    from glassviz.plots.curves import learning_curves
    from glassviz.plots.figure import check_target, save
    from glassviz.plots.published import HOPPER_HOP_POLICY

    check_target(out, overwrite)
    runs = read_runs(folders)
    shown = CONTROLLERS if controller == "both" else (controller,)
    save(learning_curves(runs, shown, HOPPER_HOP_POLICY if published else None), out, overwrite)
    typer.echo(f"{out}: {sum(run.seeds for run in runs)} seeds of {len(runs)} runs")
