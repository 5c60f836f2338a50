"""`glassviz report`: a page about runs, static or interactive."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from glassviz.cli.options import (
    RENDERS,
    Controller,
    Episodes,
    Jobs,
    Labels,
    Overwrite,
    Runs,
    Seed,
    Steps,
    Traces,
    exit_on_failures,
    rollout_options,
)
from glassviz.errors import UsageError

if TYPE_CHECKING:
    from glassviz.rollout.batch import Failed
    from glassviz.rollout.run import Run


def report(
    targets: Runs,
    out: Annotated[
        Path, typer.Option("--out", "-o", help="Report to write: a .html or .md file.")
    ] = RENDERS / "report.html",
    episodes: Episodes = 10,
    controller: Controller = "both",
    jobs: Jobs = None,
    seed: Seed = 0,
    steps: Steps = None,
    overwrite: Overwrite = False,
    traces: Traces = None,
    labels: Labels = "learned",
    interactive: Annotated[
        bool,
        typer.Option(
            "--interactive",
            help="Write a page that links film, labels, latent map, graph and curves.",
        ),
    ] = False,
    films: Annotated[
        int,
        typer.Option(
            help="With --interactive: films per run. 1 shows the episode with the median return, "
            "more are spread from the lowest to the highest return.",
            min=1,
        ),
    ] = 1,
    map_method: Annotated[
        Literal["umap", "pca"],
        typer.Option("--map", help="With --interactive: method of the latent maps."),
    ] = "umap",
    link: Annotated[
        bool,
        typer.Option(
            "--link", help="With --interactive: keep the films in a folder beside the page."
        ),
    ] = False,
) -> None:
    """Write an HTML or Markdown report on gaits, labels and basins.

    The report has the table of `glassviz stability`, and for every run a film strip, its labels
    and the evidence for its verdict. A .html file is self-contained; the pictures of a .md file
    are in a folder beside it. In an interactive page, a click on a point of the map shows that
    frame in the film. Runs that cannot be assessed are listed with the reason, and the exit code
    is 1.

    \b
    Examples:
      glassviz report checkpoints/*.safetensors -o report.html
      glassviz report runs/hop --interactive --films 3 -o live.html
    """
    from glassviz.video.opengl import prefer_backend

    if link and not interactive:
        raise UsageError("report: --link needs --interactive")
    prefer_backend()  # before the next imports: MuJoCo reads MUJOCO_GL when it is imported
    from glassviz.cli.progress import assess_with_progress
    from glassviz.report.html import check_target
    from glassviz.report.interactive import html as live_html
    from glassviz.rollout.run import Run

    if interactive:
        live_html.check_target(out, overwrite, link)
    else:
        check_target(out, overwrite)
    options = rollout_options(controller, episodes=episodes, seed=seed, steps=steps)
    rows = assess_with_progress(targets, options, traces, jobs, labels)
    if interactive:
        checkpoints = _write_interactive(rows, out, overwrite, films, map_method, link)
    else:
        checkpoints = _write_static(rows, out, overwrite)
    assessed = sum(isinstance(row, Run) for row in rows)
    typer.echo(f"{out}: {assessed} of {len(rows)} rows, {checkpoints} checkpoints")
    exit_on_failures(rows)


def _write_static(rows: list["Run | Failed"], out: Path, overwrite: bool) -> int:
    """Write the page and return its number of checkpoints."""
    from glassviz import environment
    from glassviz.cli.progress import task
    from glassviz.compare.compare import compare
    from glassviz.report.compose import compose
    from glassviz.report.html import write_html, write_markdown

    with task("composing") as progress:
        together = compare(rows, lambda line: typer.echo(line, err=True))
        page = compose(rows, environment.command(), together, on_card=progress)
        (write_markdown if out.suffix.lower() == ".md" else write_html)(page, out, overwrite)
    return len(page.cards)


def _write_interactive(
    rows: list["Run | Failed"],
    out: Path,
    overwrite: bool,
    films: int,
    map_method: Literal["umap", "pca"],
    link: bool,
) -> int:
    """Write the page and return its number of checkpoints."""
    from glassviz import environment
    from glassviz.cli.progress import task
    from glassviz.report.interactive import compose, html

    with task("filming") as progress:
        page = compose.compose(rows, environment.command(), films, map_method, progress)
        html.write(page, out, overwrite, link)
    return len({(run.checkpoint, run.name) for run in page.runs})
