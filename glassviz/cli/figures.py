"""Commands that draw figures: graph, map, curves."""

import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from glassviz.agents.config import Unsaid
from glassviz.cli import options as opt
from glassviz.cli import terminal
from glassviz.errors import GlassvizError, UsageError
from glassviz.files import check_folder, check_target

if TYPE_CHECKING:
    from glassviz.compare.graphs import FluxDifference, Graphed, RunGraph
    from glassviz.ledger.curves import Run as CurvesOfRun
    from glassviz.maps.maps import LatentMap
    from glassviz.rollout.batch import Failed
    from glassviz.rollout.run import Run
    from glassviz.rollout.traces import RolloutOptions
    from glassviz.video.backdrop import Background

GraphMode = Literal["frame", "jump", "soft-train", "flow"]


@opt.with_agent_options
@opt.with_figure_options("graph", "P", "A", "S", "difference", "first", "second")
def graph(
    targets: opt.Runs,
    out: Annotated[
        Path | None,
        typer.Option(
            "--out",
            "-o",
            help="File to write: .png, .svg, .pdf, .graphml or .json. With several graphs the "
            "start of their names, or a folder. By default in renders/, under names that say what "
            "is in them.",
        ),
    ] = None,
    mode: Annotated[
        GraphMode,
        typer.Option(
            help="Transitions to count: every frame (frame), switches only (jump), the soft graph "
            "that Glass is trained on (soft-train), or shares of time (flow)."
        ),
    ] = "jump",
    order: Annotated[
        Literal["cycle", "share", "number"],
        typer.Option(
            help="Order of labels around the graph and of the rows of matrices: along the gait "
            "cycle (cycle), by number of frames (share), or by number."
        ),
    ] = "cycle",
    compare: Annotated[
        bool,
        typer.Option(
            "--compare",
            help="Match the labels of two runs and draw the difference of the graphs; with "
            "--panels also the graphs.",
        ),
    ] = False,
    episodes: opt.Episodes = 10,
    controller: opt.Controller = "mppi",
    seed: opt.Seed = 0,
    steps: opt.Steps = None,
    precision: opt.Precision = None,
    traces: opt.Traces = None,
    labels: opt.Labels = "learned",
    names: opt.Names = None,
    overwrite: opt.Overwrite = False,
    brief: opt.Brief = False,
    to_json: opt.Json = False,
    latex: opt.Latex = None,
    *,
    figures: opt.Figures,
    unsaid: Unsaid,
) -> None:
    """Plot transition graphs of prototypes, and measure their order.

    One graph per checkpoint and controller: prototypes inside the hulls of their clusters, arrows
    as wide as their traffic, the dominant cycle in black, and the matrices P, A and S of the
    visited prototypes: below the graph, or beside it in a figure of at least 140 mm.
    Transitions are pooled over episodes, without their initial transients. Agents without labels
    need `glassviz fit` first. With --json, files are written only if --out is given. Runs without
    a graph are listed with the reason, and the exit code is 1.

    \b
    Examples:
      glassviz graph agent.safetensors -o graph.svg
      glassviz graph one.safetensors other.safetensors --controller pi --compare -o diff.pdf
    """
    from glassviz.cli.progress import listener
    from glassviz.cli.tables import graph_tables, print_difference, print_graphs, save_latex
    from glassviz.compare.graphs import Graphed, graph_all
    from glassviz.report.documents import check_format, graph_caption, graph_dict, save_graph
    from glassviz.rollout.batch import Failed
    from glassviz.rollout.names import Names

    opt.check_table("graph", (), None, brief, to_json)
    opt.check_latex(latex, overwrite)
    if out and out.suffix:
        check_format(out)
    _check_panels(figures, compare)
    options = opt.rollout_options(
        controller, unsaid, episodes=episodes, seed=seed, steps=steps, precision=precision
    )
    writes = out is not None or not to_json

    def check(runs: Sequence["Run"]) -> None:
        _check_targets(runs, out, mode, compare, options, overwrite, figures)

    if writes:
        check([])
    shown = Names.load(names)
    with listener("counting", check if writes else lambda runs: None, shown) as callbacks:
        rows = graph_all(targets, options, mode, traces, labels, callbacks, order)
    difference = _difference(rows) if compare else None
    drawn = _by_stem(rows, difference)
    runs = [row.run for row in rows if isinstance(row, Graphed)]
    words = opt.settings_words(runs, options)
    paths = _paths(out, list(drawn), words) if writes else []
    for path in paths:
        check_target(path, overwrite)
    if latex:
        save_latex(latex, graph_tables(rows, difference))
    if to_json:
        failed = [row for row in rows if isinstance(row, Failed)]
        terminal.echo_json([*map(graph_dict, drawn.values()), *failed], ascii_only=False)
    else:
        print_graphs(rows, brief=brief)
        if difference:
            print_difference(difference)

    def draw(path: Path, graph: "RunGraph | FluxDifference") -> None:
        save_graph(graph, path, overwrite, figures.style)
        figures.save_caption(path, graph_caption(graph), overwrite)
        terminal.echo(f"wrote {path}", err=to_json)

    # The difference of two is that of the first.
    plots = dict(zip(runs, zip(paths, drawn.values(), strict=bool(paths)), strict=False))
    written = opt.each_by_itself([*plots], lambda run: draw(*plots[run]))
    opt.tell_failures(written)
    opt.exit_on_failures([*rows, *written])


def _check_panels(figures: opt.Figures, compare: bool) -> None:
    """Refuse panels of a graph with --compare, and those of a difference without.

    Raises:
        UsageError: a panel is not of this figure.
    """
    from glassviz.figures import flux_difference, transition_graph

    known = flux_difference.PANELS if compare else transition_graph.PANELS
    for name in figures.style.panels or ():
        if name not in known:
            which = "with" if compare else "without"
            raise UsageError(
                f"--panels: expected some of {', '.join(known)} {which} --compare, found {name!r}"
            )


def _by_stem(
    rows: list["Graphed | Failed"], difference: "FluxDifference | None"
) -> dict[str, "RunGraph | FluxDifference"]:
    """The graphs by the stems of their files, or the difference of two."""
    from glassviz.compare.graphs import Graphed

    graphs = {row.file_stem: row.graph for row in rows if isinstance(row, Graphed)}
    return {_against(list(graphs)): difference} if difference else {**graphs}


def _against(stems: Sequence[str]) -> str:
    """The stem of the file of a difference."""
    from glassviz.rollout.batch import cut_stem

    return cut_stem("-against-".join(stems))


def _check_targets(
    runs: Sequence["Run"],
    out: Path | None,
    mode: GraphMode,
    compare: bool,
    options: "RolloutOptions",
    overwrite: bool,
    figures: opt.Figures,
) -> None:
    """Refuse what cannot be written, once before the runs are found and once they are."""
    from glassviz.rollout.batch import distinct_names, file_stem

    controllers = [(run.controller,) for run in runs]
    names = distinct_names([run.name for run in runs], [run.target for run in runs], controllers)
    stems = [file_stem(name, run.controller, mode) for name, run in zip(names, runs, strict=True)]
    if compare and runs:
        if len(stems) != 2:
            raise _not_two(len(stems))
        stems = [_against(stems)]
    # Before there are runs, any name shows whether the folder can be written.
    for path in _paths(out, stems or [mode], opt.settings_words(runs, options)):
        check_target(path, overwrite if stems else True)
        figures.check(path, overwrite if stems else True)


def _difference(rows: list["Graphed | Failed"]) -> "FluxDifference":
    from glassviz.compare.graphs import Graphed, flux_difference

    graphs = [row for row in rows if isinstance(row, Graphed)]
    if len(graphs) == 2:
        return flux_difference(graphs[0], graphs[1])
    for row in rows:
        if not isinstance(row, Graphed):
            raise GlassvizError(row.error)
    raise _not_two(len(graphs))


def _not_two(found: int) -> UsageError:
    return UsageError(
        f"--compare: expected two graphs, found {found}: name two runs and one controller, or one "
        f"run with --controller both"
    )


def _paths(out: Path | None, names: list[str], words: Sequence[str]) -> list[Path]:
    """One file per graph: the one that is named, others after it, or all in a folder.

    `words` end default names.
    """
    if out is None:
        return [opt.RENDERS / f"{'-'.join(['graph', name, *words])}.svg" for name in names]
    if not out.suffix:
        return [out / f"{name}.svg" for name in names]
    if len(names) == 1:
        return [out]
    return [out.with_name(_after(out.stem, name) + out.suffix) for name in names]


def _after(stem: str, name: str) -> str:
    """The stem of one of several files that are named after their runs."""
    from glassviz.rollout.batch import LONGEST_STEM, cut_stem

    return cut_stem(f"{stem}-{name}", longest=2 * LONGEST_STEM)


@opt.with_agent_options
@opt.with_figure_options(
    "label", "phase", "return-to-go", "controller", "episode", "run", "quality"
)
def latent_map(
    targets: opt.Runs,
    out: Annotated[
        Path | None,
        typer.Option(
            "--out",
            "-o",
            help="Figure to write: a .png, .svg or .pdf file. By default in renders/, under a name "
            "that says what is in it.",
        ),
    ] = None,
    method: Annotated[
        Literal["umap", "pca"],
        typer.Option(help="umap keeps neighbourhoods, pca the directions of largest variance."),
    ] = "umap",
    joint: Annotated[
        Literal["obs", "gait", "latent"] | None,
        typer.Option(
            help="Draw one map of all runs, of features they share: observations, gait features, "
            "or latents (of one checkpoint, or of --encoder)."
        ),
    ] = None,
    encoder: Annotated[
        Path | None,
        typer.Option(
            metavar="CKPT",
            help="With --joint latent: checkpoint that encodes the observations of all runs.",
        ),
    ] = None,
    gallery: Annotated[
        Path | None,
        typer.Option(help="Also draw the frames nearest to each prototype, to this file."),
    ] = None,
    background: opt.Background = "sky",
    max_points: Annotated[
        int,
        typer.Option(
            help="Largest number of frames to fit; more are subsampled evenly over gait cycles "
            "and phases.",
            min=4,
        ),
    ] = 100_000,
    place_rest: Annotated[
        bool, typer.Option("--place-rest", help="Also place the frames that were not fitted.")
    ] = False,
    map_seed: Annotated[int, typer.Option(help="Seed of the map.", min=0)] = 0,
    episodes: opt.Episodes = 10,
    controller: opt.Controller = "mppi",
    seed: opt.Seed = 0,
    steps: opt.Steps = None,
    precision: opt.Precision = None,
    traces: opt.Traces = None,
    labels: opt.Labels = "learned",
    names: opt.Names = None,
    overwrite: opt.Overwrite = False,
    sort: opt.Sort = None,
    brief: opt.Brief = False,
    to_json: opt.Json = False,
    latex: opt.Latex = None,
    *,
    figures: opt.Figures,
    unsaid: Unsaid,
) -> None:
    """Plot 2-D latent maps (UMAP or PCA), one per checkpoint.

    There is one panel per colouring of the frames. Both controllers share a map. Coordinates are
    cached beside the traces. Quality measures compare neighbourhoods on the map and in latent
    space, and ignore neighbours in time. Missing traces are recorded. JSON has landmarks, quality
    and captions. Runs that cannot be mapped are
    listed with the reason, and the exit code is 1.

    \b
    Examples:
      glassviz map agent.safetensors -o map.png
      glassviz map runs/hop --joint gait --panels run -o gaits.pdf
    """
    from glassviz.cli.tables import MAP_COLUMNS, map_tables, print_maps, save_latex
    from glassviz.figures import style

    opt.check_table("map", MAP_COLUMNS, sort, brief, to_json)
    opt.check_latex(latex, overwrite)
    if background != "sky" and not gallery:
        raise UsageError("map: --background is of the pictures of --gallery: add that or drop it")
    for path in filter(None, (out, gallery)):
        style.check_target(path, overwrite)
    if out:
        figures.check(out, overwrite)
    else:
        check_folder(opt.RENDERS)
    if gallery:
        from glassviz.video.opengl import choose_backend

        choose_backend()  # before the next imports: MuJoCo reads MUJOCO_GL when it is imported
    from glassviz.cli.progress import listener
    from glassviz.maps.coordinates import MapOptions
    from glassviz.maps.maps import LatentMap, map_all
    from glassviz.rollout.names import Names
    from glassviz.rollout.run import by_checkpoint

    shown = Names.load(names)
    rollout = opt.rollout_options(
        controller, unsaid, episodes=episodes, seed=seed, steps=steps, precision=precision
    )
    options = MapOptions(method, map_seed, joint or "latent", max_points, place_rest)

    words: list[str] = [each for each in (method, joint) if each not in ("umap", None)]
    words += figures.style.panels or ()

    targeted: list[Path] = []

    def check(runs: Sequence["Run"]) -> None:
        of_runs = [group[0].name for group in by_checkpoint(runs)]
        acting = dict.fromkeys(run.controller for run in runs)
        path = out or opt.output_path("map", runs, rollout, ".png", [*acting, *words])
        style.check_target(path, overwrite)
        figures.check(path, overwrite)
        targeted.append(path)
        if gallery and runs and not any(run.has_labels for run in runs):
            raise _no_prototypes()
        if gallery and len(of_runs) > 1:
            for file in _named_after(gallery, of_runs):
                style.check_target(file, overwrite)

    with listener("mapping", check, shown) as callbacks:
        rows = map_all(
            targets, rollout, options, joint is not None, traces, labels, callbacks, encoder
        )
    maps = [row for row in rows if isinstance(row, LatentMap)]
    files = _draw_maps(maps, figures, targeted[-1], gallery, background, overwrite) if maps else []
    if latex:
        save_latex(latex, map_tables(rows, sort))
    if to_json:
        from glassviz.report.documents import map_dict

        terminal.echo_json([map_dict(row) for row in rows])
    else:
        print_maps(rows, files, sort=sort, brief=brief)
    opt.exit_on_failures(rows)


def _draw_maps(
    maps: list["LatentMap"],
    figures: opt.Figures,
    out: Path,
    gallery: Path | None,
    background: "Background",
    overwrite: bool,
) -> list[Path]:
    """Draw the maps into one figure, and the galleries of their prototypes; returns the files."""
    from glassviz.figures.latent_map import caption, figure
    from glassviz.figures.style import save

    galleries = _gallery_files(maps, gallery, overwrite) if gallery else {}
    save(figure(maps, figures.style), out, overwrite, look=figures.style)
    figures.save_caption(out, caption(maps), overwrite)
    for path, each in galleries.items():
        _draw_gallery(each, path, background, overwrite)
    return [out, *galleries]


def _gallery_files(maps: list["LatentMap"], path: Path, overwrite: bool) -> dict[Path, "LatentMap"]:
    """The gallery file of each map with prototypes; several are named after their runs."""
    from glassviz.figures import style

    shown = [each for each in maps if each.prototypes]
    if not shown:
        raise _no_prototypes()
    if len(shown) == 1:
        return {path: shown[0]}
    names = [each.name for each in shown]
    files = _named_after(path, names)
    for file in files:
        style.check_target(file, overwrite)
    return dict(zip(files, shown, strict=True))


def _no_prototypes() -> UsageError:
    return UsageError(
        "--gallery: expected agents with prototypes, found none: name one with Glass, or add "
        "--labels fitted"
    )


def _named_after(path: Path, names: Sequence[str]) -> list[Path]:
    """The files of several galleries, named after their runs."""
    from glassviz.rollout.batch import file_stem

    return [path.with_stem(_after(path.stem, file_stem(name))) for name in names]


def _draw_gallery(
    found: "LatentMap", path: Path, background: "Background", overwrite: bool
) -> None:
    from glassviz.figures.gallery import examples_of, gallery, gallery_caption, pictures
    from glassviz.figures.style import save

    entries = pictures(found, examples_of(found), background=background)
    behind = "" if background == "sky" else f" Background: {background}."
    save(gallery(entries, gallery_caption(found) + behind), path, overwrite)


@opt.with_figure_options()
def curves(
    folders: Annotated[
        list[Path],
        typer.Argument(
            metavar="RUN_FOLDER",
            help="Folders written by `glassviz train`, or folders of these; with --phase or --task "
            "trees of logs, as `glassviz ledger` reads them.",
        ),
    ],
    out: opt.FigureFile = opt.RENDERS / "curves.png",
    phase: Annotated[
        list[str] | None,
        typer.Option(
            "--phase",
            metavar="PATTERN",
            help="Draw phases of the ledger whose canonical names fit, such as 'i10*'; may be "
            "repeated.",
        ),
    ] = None,
    task: Annotated[
        str | None,
        typer.Option(help="Draw phases of the ledger of this task; a pattern with *."),
    ] = None,
    controller: Annotated[
        opt.ControllerChoice,
        typer.Option(help="Which controller's evaluations to plot; both: one panel each."),
    ] = "both",
    published: Annotated[
        bool | None,
        typer.Option(
            "--published/--no-published",
            help="Show the quartiles of published hopper-hop runs behind the policy's; by default "
            "if that is the task of all runs.",
        ),
    ] = None,
    statistic: Annotated[
        Literal["mean", "iqm", "none"],
        typer.Option(
            help="Thick line over the seeds of a run, with its 95 % interval: their mean, their "
            "interquartile mean (from four seeds on), or none."
        ),
    ] = "mean",
    interval: Annotated[
        Literal["t", "bootstrap"] | None,
        typer.Option(
            help="Interval of the thick line: Student's t (default of the mean) or bootstrap "
            "(always of the interquartile mean).",
            show_default=False,
        ),
    ] = None,
    goal: Annotated[
        list[float] | None,
        typer.Option(metavar="RETURN", help="Draw a dashed line at this return; may be repeated."),
    ] = None,
    group: Annotated[
        list[str] | None,
        typer.Option(
            metavar="PATTERN",
            help="Draw all runs whose names fit, such as 'glass-*', as one; may be repeated.",
        ),
    ] = None,
    smooth: Annotated[
        int, typer.Option(help="Evaluations of a seed to average at each step.", min=1, max=1000)
    ] = 1,
    x: Annotated[
        str,
        typer.Option(
            "--x",
            metavar="QUANTITY",
            help="X-axis: env_steps; where they are logged, updates, or hours since the first "
            "record.",
        ),
    ] = "env_steps",
    y: Annotated[
        str,
        typer.Option(
            "--y",
            metavar="QUANTITY",
            help="Y-axis: return, a column of seed_N_diag.csv such as standing_rate, or a number "
            "of seed_N_metrics.jsonl such as value_loss.",
        ),
    ] = "return",
    xlim: Annotated[
        str | None,
        typer.Option(
            "--xlim",
            metavar="FROM:TO",
            help="Part of the x-axis to show, such as 0:1e6; an end may be empty.",
        ),
    ] = None,
    ylim: Annotated[
        str | None,
        typer.Option(
            "--ylim", metavar="FROM:TO", help="Part of the y-axis to show, such as 0:600."
        ),
    ] = None,
    names: opt.Names = None,
    overwrite: opt.Overwrite = False,
    *,
    figures: opt.Figures,
) -> None:
    """Plot learning curves: the mean over the seeds of a run, and every seed.

    Return over environment steps, or other quantities of the logs with --x and --y.

    With --phase or --task, the folders are trees of logs, and each phase of their ledger is drawn
    in its own colour, which stays the same from figure to figure. A seed that has stopped is not
    carried forward.

    Runs that started from another agent begin where that one stopped, if it is on record. Reads
    the logs seed_N.csv, also while the training is running. Several trainings in one log are drawn
    apart, and named on standard error. Folders that cannot be read are named with the
    reason, and the exit code is 1.

    \b
    Examples:
      glassviz curves runs/* -o curves.pdf
      glassviz curves logs --phase 1b --phase z --statistic iqm --goal 500 -o phases.svg
    """
    from glassviz.figures import style
    from glassviz.figures.returns import HOPPER_HOP_POLICY, curves_caption, learning_curves
    from glassviz.figures.style import save
    from glassviz.ledger.curves import Run, grouped, read_runs
    from glassviz.rollout.names import Names
    from glassviz.text import count_of, listed
    from glassviz.training.quantities import RETURN, STEPS, measured

    style.check_target(out, overwrite)
    figures.check(out, overwrite)
    limits = _range("--xlim", xlim), _range("--ylim", ylim)
    shown = Names.load(names)
    usual = (x, y) == (STEPS, RETURN)
    if published and not usual:
        raise UsageError(
            "curves: --published is of the return over environment steps: drop it, or --x and --y"
        )
    if statistic != "mean" and interval == "t":
        raise UsageError("curves: --interval t is of the mean: drop it, or choose --statistic mean")
    if (phase or task) and not usual:
        raise UsageError(
            "curves: --phase and --task draw returns over environment steps: drop them, or --x "
            "and --y"
        )
    rows: Sequence[Run | Failed]
    if phase or task:
        rows = _phases(folders, phase or [], task)
    else:
        rows = measured(read_runs(folders, terminal.tell), folders, x, y, terminal.tell)
    opt.tell_failures(rows)
    runs = [row for row in rows if isinstance(row, Run)]
    shown.tell_unknown([run.name for run in runs], terminal.tell)
    runs = [replace(run, name=shown.runs.get(run.name, run.name)) for run in runs]
    if runs:
        runs = grouped(runs, group or [])
        of = HOPPER_HOP_POLICY.task
        others = [run for run in runs if run.task not in ((of, None) if published else (of,))]
        if usual and published is not False and others:
            which = listed(f"{run.name} (task {run.task or 'unknown'})" for run in others)
            remedy = "" if any(run.task for run in others) else "; --published draws them"
            terminal.tell(f"published returns of {of} left out beside {which}{remedy}")
        panels = _panels(runs, controller, y)
        behind = None if published is False or others or not usual else HOPPER_HOP_POLICY
        over = None if statistic == "none" else statistic
        goals = goal or []
        figure = learning_curves(
            runs, panels, behind, over, smooth, figures.style, x, y, interval, goals
        )
        for axes in figure.axes:
            axes.set_xlim(*limits[0])
            axes.set_ylim(*limits[1])
        save(figure, out, overwrite, look=figures.style)
        figures.save_caption(
            out, curves_caption(runs, behind, over, smooth, y, interval, goals), overwrite
        )
        seeds = sum(run.seeds for run in runs)
        terminal.echo(f"{out}: {count_of(seeds, 'seed')} of {count_of(len(runs), 'run')}")
    opt.exit_on_failures(rows)


def _phases(
    trees: Sequence[Path], patterns: Sequence[str], task: str | None
) -> list["CurvesOfRun"]:
    """Phases of the ledger of trees, in the order of the patterns.

    Raises:
        UsageError: a pattern fits no phase with evaluations.
    """
    from glassviz.ledger import read
    from glassviz.ledger.curves import runs_of
    from glassviz.text import listed

    ledger = read(trees).where(tasks=[task] if task else ())
    found: dict[str, CurvesOfRun] = {}
    for pattern in patterns or ["*"]:
        fitting = runs_of(ledger.where(phases=[pattern]))
        if not fitting:
            known = listed(sorted({each.name for each in ledger.phases}), most=20)
            raise UsageError(
                f"curves: expected a phase of the ledger that fits {pattern!r}"
                f"{f' of the task {task}' if task else ''}, found {known or 'none'}"
            )
        found |= {run.name: run for run in fitting if run.name not in found}
    return list(found.values())


def _panels(runs: Sequence["CurvesOfRun"], controller: str, y: str) -> Sequence[str]:
    """The controllers whose curves are drawn; what is logged while training has none.

    Raises:
        UsageError: a controller is chosen for that.
    """
    from glassviz.ledger.curves import TRAINING
    from glassviz.ledger.rows import CONTROLLERS

    if any(curve.controller == TRAINING for run in runs for curve in run.curves):
        if controller != "both":
            raise UsageError(
                f"--controller: {y} is logged while training, for no controller: drop "
                f"--controller {controller}"
            )
        return (TRAINING,)
    return CONTROLLERS if controller == "both" else (controller,)


def _range(option: str, text: str | None) -> tuple[float | None, float | None]:
    """The range that an option names; None where an end is empty.

    Raises:
        UsageError: it is not a range.
    """
    low, colon, high = (text or ":").partition(":")
    try:
        ends = tuple(float(end) if end.strip() else None for end in (low, high))
    except ValueError:
        ends = (math.nan, math.nan)
    first, last = ends
    known = [end for end in ends if end is not None]
    empty = first is not None and last is not None and not first < last
    if not colon or not all(map(math.isfinite, known)) or empty:
        raise UsageError(f"{option}: expected a range such as 0:1e6 or 100:, found {text!r}")
    return first, last
