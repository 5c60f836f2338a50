"""`glassviz stability`."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from glassviz.cli.options import Labels
from glassviz.cli.rollout import Controllers, Seed, Steps, controllers
from glassviz.errors import UsageError
from glassviz.files import refuse_existing

if TYPE_CHECKING:
    from glassviz.compare.compare import Together
    from glassviz.metrics.verdict import RunBasin
    from glassviz.rollout.batch import Failed
    from glassviz.rollout.run import Run
    from glassviz.rollout.traces import RolloutOptions


GATE = 3
"""Exit code when a run is in a basin that `--fail-on` names."""


Runs = Annotated[
    list[Path],
    typer.Argument(
        metavar="RUN",
        help="Checkpoints, traces, run folders, or folders of checkpoints or traces.",
    ),
]


Episodes = Annotated[int, typer.Option(help="Episodes to record where a trace is missing.", min=1)]


Jobs = Annotated[
    int | None,
    typer.Option(
        help="Processes to assess with; by default one a core, fewer for few traces.", min=1
    ),
]


Traces = Annotated[
    Path | None, typer.Option(help="Folder of the traces; renders/traces by default.")
]


def stability(
    targets: Runs,
    episodes: Episodes = 10,
    controller: Controllers = "both",
    jobs: Jobs = None,
    seed: Seed = 0,
    steps: Steps = None,
    to_json: Annotated[
        bool, typer.Option("--json", help="Print JSON, with everything about every episode.")
    ] = False,
    to_csv: Annotated[
        bool, typer.Option("--csv", help="Print a row a run and controller as CSV.")
    ] = False,
    out: Annotated[
        Path | None,
        typer.Option(
            help="Folder to write stability.json, runs.csv, episodes.csv, together.json and "
            "pairs.csv to."
        ),
    ] = None,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace such files that exist.")
    ] = False,
    traces: Traces = None,
    labels: Labels = "learned",
    fail_on: Annotated[
        Literal["unstable", "not-stable"] | None,
        typer.Option(
            help="Exit with 3 if a run is unstable, or split with unstable episodes; or if a run "
            "is anything but stable-hop."
        ),
    ] = None,
) -> None:
    """Say how runs move, what their labels do, and which basin they are in.

    A run is in the stable-hop basin if it hops and its labels are locked to the hop. Missing
    traces are recorded, existing ones reused. Runs that cannot be assessed are named in the
    table, and make the exit code 1; the others are assessed all the same. Two rows or more are
    compared with each other, checkpoints being what is counted.
    """
    if to_json and to_csv:
        raise UsageError("stability: expected one of --json and --csv, found both: leave one out")
    from glassviz.cli.tables import print_table
    from glassviz.report.documents import run_row, stability_json
    from glassviz.report.serialize import as_csv
    from glassviz.rollout.run import Run
    from glassviz.rollout.traces import RolloutOptions

    if out:
        for name in _results():
            refuse_existing(out / name, overwrite)
    options = RolloutOptions(
        episodes=episodes, controllers=controllers(controller), seed=seed, steps=steps
    )
    rows = assess_with_progress(targets, options, traces, jobs, labels)
    together = None if to_csv and not out else _compare(rows)
    if out:
        _save(rows, together, out)
    if to_json:
        typer.echo(stability_json(rows, together))
    elif to_csv:
        typer.echo(as_csv([run_row(row) for row in rows]), nl=False)
    else:
        print_table(rows, together)
    assessed = [row for row in rows if isinstance(row, Run)]
    if len(assessed) < len(rows):
        raise typer.Exit(1)
    if fail_on and any(_fails(row.stability.basin, fail_on) for row in assessed):
        raise typer.Exit(GATE)


def _results() -> tuple[str, ...]:
    """Files that `--out` writes."""
    from glassviz.report import documents

    return documents.STABILITY_FILES + documents.COMPARISON_FILES


def _save(rows: list["Run | Failed"], together: "Together | None", folder: Path) -> None:
    from glassviz.report import documents

    documents.save_stability(rows, folder, together)
    documents.save_comparison(together, folder)


def _compare(rows: list["Run | Failed"]) -> "Together | None":
    """What the runs say together; what that takes is told on standard error."""
    from glassviz.compare.compare import compare

    return compare(rows, lambda line: typer.echo(line, err=True))


def _fails(basin: "RunBasin", gate: Literal["unstable", "not-stable"]) -> bool:
    if gate == "not-stable":
        return basin.name != "stable-hop"
    return basin.name == "unstable" or (basin.name == "split" and "unstable" in basin.split)


def assess_with_progress(
    targets: list[Path],
    options: "RolloutOptions",
    traces: Path | None,
    jobs: int | None,
    labels: str = "learned",
) -> list["Run | Failed"]:
    """Assess runs with a progress bar, and an estimate before anything is recorded."""
    from glassviz.cli.progress import listener
    from glassviz.rollout.assess import assess_all

    with listener("assessing") as told:
        return assess_all(targets, options, traces, jobs, labels, told)
