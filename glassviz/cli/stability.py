"""`glassviz stability`: gaits, labels and basins of runs."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from glassviz.cli.options import (
    Controller,
    Csv,
    Episodes,
    Jobs,
    Json,
    Labels,
    Overwrite,
    Runs,
    Seed,
    Steps,
    Traces,
    exit_on_failures,
    refuse_both,
    rollout_options,
)

if TYPE_CHECKING:
    from glassviz.compare.compare import Comparison
    from glassviz.metrics.verdict import RunBasin
    from glassviz.rollout.batch import Failed
    from glassviz.rollout.run import Run

GATE = 3
"""Exit code when a run is in a basin that `--fail-on` names."""


def stability(
    targets: Runs,
    episodes: Episodes = 10,
    controller: Controller = "both",
    jobs: Jobs = None,
    seed: Seed = 0,
    steps: Steps = None,
    to_json: Json = False,
    to_csv: Csv = False,
    out: Annotated[
        Path | None,
        typer.Option(
            help="Folder to write stability.json, runs.csv, episodes.csv, together.json and "
            "pairs.csv to."
        ),
    ] = None,
    overwrite: Overwrite = False,
    traces: Traces = None,
    labels: Labels = "learned",
    fail_on: Annotated[
        Literal["unstable", "not-stable"] | None,
        typer.Option(
            help="Exit with 3 if a run is unstable, or split with unstable episodes (unstable); "
            "or if a run is anything but stable-hop (not-stable)."
        ),
    ] = None,
) -> None:
    """Classify each run's gait, measure how stable its labels are, and assign a basin.

    A run is in the stable-hop basin if it hops and its labels are locked to the hop cycle. Two or
    more runs are also compared, with checkpoints as the sample. Missing traces are recorded. JSON
    has every number of every episode. Runs that cannot be assessed are listed with the reason,
    and the exit code is 1.

    \b
    Examples:
      glassviz stability checkpoints/*.safetensors
      glassviz stability runs/hop --controller pi --out results --fail-on not-stable
    """
    refuse_both("stability", to_json, to_csv)
    from glassviz.cli.progress import assess_with_progress
    from glassviz.cli.tables import print_table
    from glassviz.compare.compare import compare
    from glassviz.report.documents import run_row, stability_json
    from glassviz.report.serialize import as_csv

    if out:
        _refuse_existing(out, overwrite)
    options = rollout_options(controller, episodes=episodes, seed=seed, steps=steps)
    rows = assess_with_progress(targets, options, traces, jobs, labels)
    csv_only = to_csv and not out
    together = None if csv_only else compare(rows, lambda line: typer.echo(line, err=True))
    if out:
        _save(rows, together, out)
    if to_json:
        typer.echo(stability_json(rows, together))
    elif to_csv:
        typer.echo(as_csv([run_row(row) for row in rows]), nl=False)
    else:
        print_table(rows, together)
    exit_on_failures(rows)
    if fail_on:
        _exit_on_basins(rows, fail_on)


def _refuse_existing(folder: Path, overwrite: bool) -> None:
    from glassviz.files import refuse_existing
    from glassviz.report.documents import COMPARISON_FILES, STABILITY_FILES

    for name in (*STABILITY_FILES, *COMPARISON_FILES):
        refuse_existing(folder / name, overwrite)


def _save(rows: list["Run | Failed"], together: "Comparison | None", folder: Path) -> None:
    from glassviz.report.documents import save_comparison, save_stability

    save_stability(rows, folder, together)
    save_comparison(together, folder)


def _exit_on_basins(rows: list["Run | Failed"], gate: Literal["unstable", "not-stable"]) -> None:
    from glassviz.rollout.run import Run

    basins = [row.stability.basin for row in rows if isinstance(row, Run)]
    if any(_fails(basin, gate) for basin in basins):
        raise typer.Exit(GATE)


def _fails(basin: "RunBasin", gate: Literal["unstable", "not-stable"]) -> bool:
    if gate == "not-stable":
        return basin.name != "stable-hop"
    return basin.name == "unstable" or (basin.name == "split" and "unstable" in basin.split)
