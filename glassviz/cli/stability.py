"""Commands that assess runs: stability, report."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from glassviz.agents.config import Unsaid
from glassviz.cli import options as opt
from glassviz.cli import terminal
from glassviz.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from glassviz.compare.history import History
    from glassviz.metrics.verdict import RunBasin
    from glassviz.rollout.batch import Failed
    from glassviz.rollout.run import Run
    from glassviz.video.backdrop import Background

GATE = 3
"""Exit code when a run is in a basin that `--fail-on` names."""


@opt.with_agent_options
def stability(
    targets: opt.Runs,
    episodes: opt.UpToEpisodes = None,
    controller: opt.Controller = "mppi",
    jobs: opt.Jobs = None,
    seed: opt.Seed = 0,
    steps: opt.Steps = None,
    precision: opt.Precision = None,
    compare_all: Annotated[
        bool,
        typer.Option(
            "--compare",
            help="Print the whole comparison of the runs; otherwise only what it finds.",
        ),
    ] = False,
    sort: opt.Sort = None,
    brief: opt.Brief = False,
    to_json: opt.Json = False,
    to_csv: opt.Csv = False,
    latex: opt.Latex = None,
    out: Annotated[
        Path | None,
        typer.Option(
            "--out",
            "-o",
            help="Folder to write stability.json, runs.csv, episodes.csv, together.json and "
            "pairs.csv to, and history.csv with --history; or with --history, the figure to write: "
            "a .png, .svg or .pdf file.",
        ),
    ] = None,
    history: Annotated[
        bool,
        typer.Option(
            "--history",
            help="Take all step checkpoints of each run folder, and show gait, labels and return "
            "over environment steps.",
        ),
    ] = False,
    overwrite: opt.Overwrite = False,
    traces: opt.Traces = None,
    labels: opt.Labels = "learned",
    names: opt.Names = None,
    fail_on: Annotated[
        Literal["unstable", "not-stable"] | None,
        typer.Option(
            help="Exit with 3 if a run is unstable, or split with unstable episodes (unstable); "
            "or if a run is anything but stable (not-stable)."
        ),
    ] = None,
    *,
    unsaid: Unsaid,
) -> None:
    """Classify each run's gait, measure how stable its labels are, and assign a basin.

    A hopper is in the stable-hop basin if it hops with one label, or with labels that are
    phase-locked to the hop cycle. Other bodies are in the basin stable if they do what their task
    asks for, a steady gait or a hold, with labels as steady. Two or
    more runs are also compared, with checkpoints as the sample. Missing traces are recorded. JSON
    has every number of every episode. Runs that cannot be assessed are listed with the reason,
    and the exit code is 1.

    While traces are recorded, a line says what the first episode of each run shows, and another
    what all of them do. A run has up to 10 episodes, and fewer if its gait, labels and basin are
    settled before: each of them is, if the episodes that are left cannot change it, or if all agree
    after five or more. Traces that have more episodes are used in full. With --episodes N every run
    has N.

    \b
    Examples:
      glassviz stability checkpoints/*.safetensors
      glassviz stability runs/hop --controller pi --out results --fail-on not-stable
      glassviz stability runs/hop/seed_1 --history --controller pi -o history.png
    """
    opt.refuse_both("stability", to_json, to_csv)
    from glassviz.cli.progress import assess_with_progress
    from glassviz.cli.tables import (
        STABILITY_COLUMNS,
        print_history,
        print_table,
        save_latex,
        stability_tables,
    )
    from glassviz.compare.compare import compare
    from glassviz.compare.history import histories
    from glassviz.files import check_target
    from glassviz.report import documents
    from glassviz.report.serialize import as_csv
    from glassviz.rollout.find import with_history
    from glassviz.rollout.run import Run

    opt.check_table("stability", STABILITY_COLUMNS, sort, brief, to_json or to_csv)
    if brief and compare_all:
        raise UsageError("stability: --brief and --compare exclude each other: drop one")
    opt.check_latex(latex, overwrite)
    figure = out if out and history and out.suffix.lower() in FIGURES else None
    folder = None if figure else out
    if figure:
        check_target(figure, overwrite)
    if folder:
        written = (*documents.STABILITY_FILES, *documents.COMPARISON_FILES)
        for name in (*written, documents.HISTORY_FILE) if history else written:
            check_target(folder / name, overwrite)
    options = opt.rollout_options(
        controller, unsaid, episodes=episodes, seed=seed, steps=steps, precision=precision
    )
    targets = with_history(targets) if history else targets
    rows = assess_with_progress(targets, options, traces, jobs, labels, names=names)
    unused = (to_csv or brief) and not out
    together = None if unused else compare(rows, terminal.tell)
    found = histories([row for row in rows if isinstance(row, Run)])
    if folder:
        documents.save_stability(rows, folder, together, found)
        documents.save_comparison(together, folder)
        if history:
            documents.save_history(found, folder)
    if figure:
        _draw_history(found, figure, overwrite)
    if latex:
        save_latex(latex, stability_tables(rows, found, sort))
    if to_json:
        terminal.echo(documents.stability_json(rows, together, found))
    elif to_csv:
        terminal.echo(as_csv([documents.run_row(row, rows) for row in rows]), end="")
    else:
        print_table(rows, together, sort=sort, brief=brief, everything=compare_all)
        for each in found:
            print_history(each)
    opt.exit_on_failures(rows)
    basins = [row.stability.basin for row in rows if isinstance(row, Run)]
    if fail_on and any(_fails(basin, fail_on) for basin in basins):
        raise typer.Exit(GATE)


FIGURES = (".png", ".svg", ".pdf")


def _draw_history(found: "Sequence[History]", path: Path, overwrite: bool) -> None:
    from glassviz.figures import style
    from glassviz.figures.history import history_figure

    if not found:
        raise UsageError(
            f"{path}: expected checkpoints of two steps or more of one training run, found none: "
            f"name the folder of a run that kept the checkpoints of its evaluations"
        )
    style.save(history_figure(found), path, overwrite)
    terminal.tell(f"{path}")


def _fails(basin: "RunBasin", gate: Literal["unstable", "not-stable"]) -> bool:
    from glassviz.metrics.verdict import STABLE

    if gate == "not-stable":
        return basin.name not in STABLE
    return basin.name == "unstable" or (basin.name == "split" and "unstable" in basin.split)


@opt.with_agent_options
def report(
    targets: opt.Runs,
    out: Annotated[
        Path | None,
        typer.Option(
            "--out",
            "-o",
            help="Report to write: a .html or .md file. By default in renders/, under a name that "
            "says what is in it.",
        ),
    ] = None,
    episodes: opt.UpToEpisodes = None,
    controller: opt.Controller = "mppi",
    jobs: opt.Jobs = None,
    seed: opt.Seed = 0,
    steps: opt.Steps = None,
    precision: opt.Precision = None,
    overwrite: opt.Overwrite = False,
    traces: opt.Traces = None,
    labels: opt.Labels = "learned",
    names: opt.Names = None,
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
    background: opt.Background = "sky",
    link: Annotated[
        bool,
        typer.Option(
            "--link", help="With --interactive: keep the films in a folder beside the page."
        ),
    ] = False,
    *,
    unsaid: Unsaid,
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
    from glassviz.compare.runs import count_seeds
    from glassviz.files import check_folder
    from glassviz.report.html import check_target
    from glassviz.report.interactive import html as live_html
    from glassviz.rollout.run import Run
    from glassviz.text import count_of
    from glassviz.video.encode import find_ffmpeg

    if interactive and films:
        find_ffmpeg()
    options = opt.rollout_options(
        controller, unsaid, episodes=episodes, seed=seed, steps=steps, precision=precision
    )
    kind = "interactive" if interactive else "report"
    targeted: list[Path] = []

    def check_path(path: Path) -> None:
        if interactive:
            live_html.check_target(path, overwrite, link)
        else:
            check_target(path, overwrite)

    def check(runs: Sequence["Run"]) -> None:
        acting = dict.fromkeys(run.controller for run in runs)
        path = out or opt.output_path(kind, runs, options, ".html", list(acting))
        check_path(path)
        targeted.append(path)

    if out:
        check_path(out)
    else:
        check_folder(opt.RENDERS)
    rows = assess_with_progress(targets, options, traces, jobs, labels, check, names)
    out = targeted[-1]
    if interactive:
        _write_interactive(rows, out, overwrite, films, map_method, background, link)
    else:
        _write_static(rows, out, background, overwrite)
    opt.tell_failures(rows)
    assessed = [row for row in rows if isinstance(row, Run)]
    n = count_of(count_seeds(assessed), "seed")
    terminal.echo(f"{out}: {len(assessed)} of {count_of(len(rows), 'row')}, {n}")
    opt.exit_on_failures(rows)


def _write_static(
    rows: list["Run | Failed"], out: Path, background: "Background", overwrite: bool
) -> None:
    from glassviz import environment
    from glassviz.cli.progress import task
    from glassviz.compare.compare import compare
    from glassviz.report.compose import compose
    from glassviz.report.html import write_html, write_markdown

    with task("composing") as progress:
        together = compare(rows, terminal.tell)
        page = compose(
            rows, environment.command(), together, on_card=progress, background=background
        )
        (write_markdown if out.suffix.lower() == ".md" else write_html)(page, out, overwrite)


def _write_interactive(
    rows: list["Run | Failed"],
    out: Path,
    overwrite: bool,
    films: int,
    map_method: Literal["umap", "pca"],
    background: "Background",
    link: bool,
) -> None:
    from glassviz import environment
    from glassviz.cli.progress import task
    from glassviz.report.interactive import html
    from glassviz.report.interactive import page as live

    with task("filming") as progress:
        command = environment.command()
        page = live.compose(rows, command, films, map_method, progress, background=background)
        html.write(page, out, overwrite, link)
