"""`glassviz report`."""

from pathlib import Path
from typing import Annotated

import typer

from glassviz.cli.labels import Labels
from glassviz.cli.rollout import Controllers, Seed, Steps, controllers
from glassviz.cli.stability import Episodes, Jobs, Runs, Traces, assess_with_progress
from glassviz.errors import GlassvizError


def report(
    targets: Runs,
    out: Annotated[
        Path, typer.Option("--out", "-o", help="The report: a .html or a .md file.")
    ] = Path("renders/report.html"),
    episodes: Episodes = 10,
    controller: Controllers = "both",
    jobs: Jobs = None,
    seed: Seed = 0,
    steps: Steps = None,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace a report that exists.")
    ] = False,
    traces: Traces = None,
    labels: Labels = "learned",
) -> None:
    """Write a report on the basins of runs, to read, to print and to hand on.

    The table of `glassviz stability`, and for every run a film strip, what its labels do, the
    evidence for its verdict and what somebody who watched its films would note down. A .html file
    holds everything and asks the network for nothing; the pictures of a .md file are in a folder
    beside it. Runs that cannot be assessed are named in the table, and make the exit code 1.
    """
    from contextlib import suppress

    from glassviz.video.gl import choose_backend

    # Before the next imports, which bring MuJoCo, which takes what it finds. Without a backend
    # there are no film strips, and they say so.
    with suppress(GlassvizError):
        choose_backend()
    from glassviz import provenance
    from glassviz.cli.progress import progress_bar
    from glassviz.comparison import compare
    from glassviz.report import check_target, compose, write_html, write_markdown
    from glassviz.runs import RolloutOptions
    from glassviz.stability import Assessed

    check_target(out, overwrite)
    options = RolloutOptions(
        episodes=episodes, controllers=controllers(controller), seed=seed, steps=steps
    )
    rows = assess_with_progress(targets, options, traces, jobs, labels)
    together = compare(rows, lambda line: typer.echo(line, err=True))
    with progress_bar() as bar:
        task = bar.add_task("composing", total=None)
        page = compose(
            rows,
            provenance.command(),
            together,
            on_card=lambda done, total: bar.update(task, completed=done, total=total),
        )
    write = write_markdown if out.suffix.lower() == ".md" else write_html
    write(page, out, overwrite)
    assessed = sum(isinstance(row, Assessed) for row in rows)
    typer.echo(f"{out}: {assessed} of {len(rows)} rows, {len(page.cards)} checkpoints")
    if assessed < len(rows):
        raise typer.Exit(1)
