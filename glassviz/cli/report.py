"""`glassviz report`."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from glassviz.cli.options import Labels
from glassviz.cli.rollout import Controllers, Seed, Steps, controllers
from glassviz.cli.stability import Episodes, Jobs, Runs, Traces, assess_with_progress
from glassviz.errors import GlassvizError, UsageError


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
    interactive: Annotated[
        bool,
        typer.Option(
            "--interactive",
            help="A page in which film, labels, map, graph and curves move together.",
        ),
    ] = False,
    films: Annotated[
        int,
        typer.Option(
            help="Episodes of each run that the interactive page shows: the one with the median "
            "return, or so many from the least to the most.",
            min=1,
        ),
    ] = 1,
    map_method: Annotated[
        Literal["umap", "pca"],
        typer.Option("--map", help="How its latent maps are made: see `glassviz map`."),
    ] = "umap",
    link: Annotated[
        bool,
        typer.Option("--link", help="Put its films into a folder beside the page, not into it."),
    ] = False,
) -> None:
    """Write a report on the basins of runs, to read, to print and to hand on.

    The table of `glassviz stability`, and for every run a film strip, what its labels do, the
    evidence for its verdict and what somebody who watched its films would note down. A .html file
    holds everything and asks the network for nothing; the pictures of a .md file are in a folder
    beside it. With --interactive the page is one to play with: click a point of the map, and the
    film goes there. Runs that cannot be assessed are named in the table, and make the exit code 1.
    """
    from contextlib import suppress

    from glassviz.video.opengl import choose_backend

    # Before the next imports, which bring MuJoCo, which takes what it finds. Without a backend
    # there are no film strips, and they say so.
    with suppress(GlassvizError):
        choose_backend()
    from glassviz import environment
    from glassviz.cli.progress import progress_bar
    from glassviz.compare.compare import compare
    from glassviz.report.compose import compose
    from glassviz.report.html import check_target, write_html, write_markdown
    from glassviz.report.interactive import compose as live
    from glassviz.report.interactive import html as live_html
    from glassviz.rollout.run import Run
    from glassviz.rollout.traces import RolloutOptions

    if link and not interactive:
        raise UsageError("report: expected --interactive with --link, found none: add it")
    if interactive:
        live_html.check_target(out, overwrite, link)
    else:
        check_target(out, overwrite)
    options = RolloutOptions(
        episodes=episodes, controllers=controllers(controller), seed=seed, steps=steps
    )
    rows = assess_with_progress(targets, options, traces, jobs, labels)
    with progress_bar() as bar:
        task = bar.add_task("filming" if interactive else "composing", total=None)

        def show(done: int, total: int) -> None:
            bar.update(task, completed=done, total=total)

        if interactive:
            live_page = live.compose(rows, environment.command(), films, map_method, show)
            live_html.write(live_page, out, overwrite, link)
            checkpoints = len({(run.checkpoint, run.name) for run in live_page.runs})
        else:
            together = compare(rows, lambda line: typer.echo(line, err=True))
            page = compose(rows, environment.command(), together, on_card=show)
            (write_markdown if out.suffix.lower() == ".md" else write_html)(page, out, overwrite)
            checkpoints = len(page.cards)
    assessed = sum(isinstance(row, Run) for row in rows)
    typer.echo(f"{out}: {assessed} of {len(rows)} rows, {checkpoints} checkpoints")
    if assessed < len(rows):
        raise typer.Exit(1)
