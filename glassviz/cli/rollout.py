"""Commands that record and measure agents: rollout, evaluate, fit."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from glassviz.agents.config import Unsaid
from glassviz.cli import options as opt
from glassviz.cli import terminal
from glassviz.errors import UsageError
from glassviz.text import count_of

if TYPE_CHECKING:
    from glassviz.rollout.run import Run


@opt.with_agent_options
def rollout(
    targets: opt.Runs,
    episodes: opt.Episodes = 10,
    controller: opt.Controller = "mppi",
    seed: opt.Seed = 0,
    steps: opt.Steps = None,
    samples: opt.Samples = None,
    horizon: opt.Horizon = None,
    iterations: opt.Iterations = None,
    precision: opt.Precision = None,
    physics: opt.Physics = None,
    rule: Annotated[
        Literal["nearest-prototype", "soft"],
        typer.Option(help="Rule that assigns a label to a latent."),
    ] = "nearest-prototype",
    out: Annotated[
        Path | None,
        typer.Option(
            "--out",
            "-o",
            "--traces",
            help="Folder to write to; by default renders/traces, or the user's cache folder where "
            "that cannot be written.",
        ),
    ] = None,
    *,
    unsaid: Unsaid,
) -> None:
    """Roll out agents and record their traces.

    Most commands work on traces, and record missing ones themselves. Both controllers start from
    the same resets. Existing traces are reused: with fewer episodes they are
    continued, and of longer episodes the beginnings are taken.

    \b
    Examples:
      glassviz rollout agent.safetensors
      glassviz rollout runs/hop --controller pi --episodes 50
    """
    from glassviz.cli.progress import record_with_progress

    options = opt.rollout_options(
        controller,
        episodes=episodes,
        seed=seed,
        steps=steps,
        samples=samples,
        horizon=horizon,
        iterations=iterations,
        precision=precision,
        physics=physics,
        rule=rule,
        unsaid=unsaid,
    )
    for run in record_with_progress(targets, options, out):
        terminal.echo(_returns(run))


def _returns(run: "Run") -> str:
    """One line: file, controller, return of each episode."""
    trace = run.trace
    returns = " ".join(f"{value:.1f}" for value in trace.returns)
    return (
        f"{run.trace_path}: {trace.header['controller']}, {count_of(trace.episodes, 'episode')} of "
        f"{count_of(trace.frames, 'frame')}, mean return {trace.returns.mean():.1f} ({returns})"
    )


@opt.with_agent_options
def evaluate(
    targets: opt.Runs,
    episodes: opt.Episodes = 20,
    controller: opt.Controller = "mppi",
    seed: opt.OptionalSeed = None,
    precision: opt.Precision = None,
    sort: opt.Sort = None,
    brief: opt.Brief = False,
    to_json: opt.Json = False,
    to_csv: opt.Csv = False,
    latex: opt.Latex = None,
    overwrite: opt.Overwrite = False,
    *,
    unsaid: Unsaid,
) -> None:
    """Measure returns on fresh episodes, against those seen in training.

    Returns are the task's own reward, from the same resets for every checkpoint and controller.
    The default seed is 2000, which training never uses. Two or more checkpoints are also totalled
    by recipe. JSON has the return of every episode, and totals of its recipe for every checkpoint.
    Checkpoints that cannot be evaluated are listed with the reason, and the exit code is 1.

    \b
    Examples:
      glassviz evaluate agent.safetensors
      glassviz evaluate runs/hop --episodes 50 --csv
    """
    opt.refuse_both("evaluate", to_json, to_csv)
    from glassviz.cli.progress import listener
    from glassviz.cli.tables import EVALUATION_COLUMNS as TITLES
    from glassviz.cli.tables import evaluation_tables, print_evaluations, save_latex
    from glassviz.report.documents import EVALUATION_COLUMNS, evaluation_dicts, evaluation_rows
    from glassviz.report.serialize import as_csv
    from glassviz.rollout.evaluate import FRESH_SEED, reevaluate

    opt.check_table("evaluate", TITLES, sort, brief, to_json or to_csv)
    opt.check_latex(latex, overwrite)
    seed = FRESH_SEED if seed is None else seed
    with listener("evaluating") as callbacks:
        rows = reevaluate(
            targets, opt.controllers(controller), episodes, seed, callbacks, precision, unsaid
        )
    if latex:
        save_latex(latex, evaluation_tables(rows, sort))
    if to_json:
        terminal.echo_json(evaluation_dicts(rows))
    elif to_csv:
        terminal.echo(as_csv(evaluation_rows(rows), EVALUATION_COLUMNS), end="")
    else:
        print_evaluations(rows, sort=sort, brief=brief)
    opt.exit_on_failures(rows)


FREE = "free"


@opt.with_agent_options
def fit(
    targets: opt.Runs,
    prototypes: Annotated[
        int, typer.Option(help="Prototypes to place in latent space.", min=1)
    ] = 16,
    clusters: Annotated[
        str,
        typer.Option(
            metavar="K|free",
            help="Clusters of prototypes; free: as many as minimise the structural entropy.",
        ),
    ] = FREE,
    fit_seed: Annotated[int, typer.Option(help="Seed of the fit.", min=0)] = 0,
    refits: Annotated[
        int, typer.Option(help="Refits with other seeds, to measure their agreement.", min=0)
    ] = 20,
    episodes: opt.Episodes = 10,
    controller: opt.Controller = "mppi",
    seed: opt.Seed = 0,
    steps: opt.Steps = None,
    precision: opt.Precision = None,
    traces: opt.Traces = None,
    out: Annotated[
        Path | None,
        typer.Option(
            "--out",
            "-o",
            help="Labels file of a single checkpoint; by default beside its traces, where "
            "--labels fitted finds it.",
        ),
    ] = None,
    overwrite: opt.Overwrite = False,
    sort: opt.Sort = None,
    brief: opt.Brief = False,
    to_json: opt.Json = False,
    latex: opt.Latex = None,
    *,
    unsaid: Unsaid,
) -> None:
    """Fit labels to recorded latents, for agents trained without Glass.

    Prototypes are placed among the latents of all traces of a checkpoint, and clustered by the
    transitions between them. If the agent has labels of its own, both are compared. Missing
    traces are recorded. Runs that cannot be fitted are listed with the reason, and the exit code
    is 1.

    \b
    Examples:
      glassviz fit tdmpc2-agent.safetensors
      glassviz fit runs/tdmpc2 --clusters 8 --controller pi
    """
    from glassviz.cli.progress import listener
    from glassviz.cli.tables import FIT_COLUMNS, fit_tables, print_fits, save_latex
    from glassviz.compare.fit import FitOptions, fit_all
    from glassviz.report.documents import fit_dict

    opt.check_table("fit", FIT_COLUMNS, sort, brief, to_json)
    opt.check_latex(latex, overwrite)
    options = opt.rollout_options(
        controller, unsaid, episodes=episodes, seed=seed, steps=steps, precision=precision
    )
    fitting = FitOptions(prototypes, _clusters(clusters), fit_seed, refits)
    with listener("fitting") as callbacks:
        rows = fit_all(targets, options, fitting, traces, out, overwrite, callbacks)
    if latex:
        save_latex(latex, fit_tables(rows, sort))
    if to_json:
        terminal.echo_json([fit_dict(row) for row in rows])
    else:
        print_fits(rows, sort=sort, brief=brief)
    opt.exit_on_failures(rows)


def _clusters(text: str) -> int | None:
    if text == FREE:
        return None
    if not text.isdecimal():
        raise UsageError(f"--clusters: expected a number or {FREE}, found {text!r}")
    return int(text)
